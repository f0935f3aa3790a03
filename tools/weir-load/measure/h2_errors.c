/*
 * Three tables of names, one for each range of codes. Codes that the RFC or
 * gRPC does not define map to the last entry of their table, so that everything
 * a server sends is counted and has a name.
 */
#include "measure.h"

#include <stddef.h>

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))
#define STEM         7 /* of "GOAWAY_" */

/* Names of RFC 9113, section 7. */
#define NAMES(stem)                                                            \
    stem "NO_ERROR", stem "PROTOCOL_ERROR", stem "INTERNAL_ERROR",             \
        stem "FLOW_CONTROL_ERROR", stem "SETTINGS_TIMEOUT",                    \
        stem "STREAM_CLOSED", stem "FRAME_SIZE_ERROR", stem "REFUSED_STREAM",  \
        stem "CANCEL", stem "COMPRESSION_ERROR", stem "CONNECT_ERROR",         \
        stem "ENHANCE_YOUR_CALM", stem "INADEQUATE_SECURITY",                  \
        stem "HTTP_1_1_REQUIRED", stem "UNKNOWN"

static const char *const resets[] = {NAMES("RST_")};
static const char *const goaways[] = {NAMES("GOAWAY_")};

/* Codes of google.rpc.Code. 0 is OK there; here it means that an answer has no
 * grpc-status. */
static const char *const grpc[] = {
    "GRPC_NO_STATUS",
    "GRPC_CANCELLED",
    "GRPC_UNKNOWN",
    "GRPC_INVALID_ARGUMENT",
    "GRPC_DEADLINE_EXCEEDED",
    "GRPC_NOT_FOUND",
    "GRPC_ALREADY_EXISTS",
    "GRPC_PERMISSION_DENIED",
    "GRPC_RESOURCE_EXHAUSTED",
    "GRPC_FAILED_PRECONDITION",
    "GRPC_ABORTED",
    "GRPC_OUT_OF_RANGE",
    "GRPC_UNIMPLEMENTED",
    "GRPC_INTERNAL",
    "GRPC_UNAVAILABLE",
    "GRPC_DATA_LOSS",
    "GRPC_UNAUTHENTICATED",
    "GRPC_STATUS_UNKNOWN",
};

struct table {
    int first;
    const char *const *names;
    size_t count;
    const char *text;
};

static const struct table tables[] = {
    {H2_ERROR_RST, resets, COUNT(resets), "the server reset the stream"},
    {H2_ERROR_GOAWAY, goaways, COUNT(goaways),
     "the server ended the connection with an error"},
    {H2_ERROR_GRPC, grpc, COUNT(grpc), "the gRPC status is not OK"},
};

static int code_of(const struct table *table, uint32_t code)
{
    const uint32_t last = (uint32_t)table->count - 1;

    return table->first - (int)(code < last ? code : last);
}

int h2_error_of_reset(uint32_t code)
{
    return code_of(&tables[0], code);
}

int h2_error_of_goaway(uint32_t code)
{
    return code_of(&tables[1], code);
}

int h2_error_of_grpc(uint32_t status)
{
    return code_of(&tables[2], status);
}

const char *h2_code_name(uint32_t code)
{
    return h2_error_name(h2_error_of_goaway(code)) + STEM;
}

static const struct table *find(int code)
{
    for (size_t i = 0; i < COUNT(tables); i++) {
        if (code <= tables[i].first &&
            code > tables[i].first - (int)tables[i].count) {
            return &tables[i];
        }
    }
    return NULL;
}

const char *h2_error_name(int code)
{
    const struct table *table = find(code);

    return table ? table->names[table->first - code] : NULL;
}

const char *h2_error_text(int code)
{
    return find(code)->text;
}
