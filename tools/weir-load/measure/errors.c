/*
 * Counts errors by phase and code, and names the codes. The table is
 * searched linearly: it has few rows, and errors are not on the hot
 * path.
 */
#include "measure.h"

#include "tools/common/http_head.h"

#include "weir/error.h"

#include <string.h>

#define ERROR_PHASE_NAME(name, text) text,
#define ERROR_ROW(name, text)        {#name, text},

static const char *const phase_names[] = {ERROR_PHASES(ERROR_PHASE_NAME)};

static const struct own_code {
    const char *name;
    const char *text;
} own_codes[] = {ERROR_CODES(ERROR_ROW)};

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

/* Names in RFC 9113, section 7. */
#define NAMES(stem)                                                            \
    stem "NO_ERROR", stem "PROTOCOL_ERROR", stem "INTERNAL_ERROR",             \
        stem "FLOW_CONTROL_ERROR", stem "SETTINGS_TIMEOUT",                    \
        stem "STREAM_CLOSED", stem "FRAME_SIZE_ERROR", stem "REFUSED_STREAM",  \
        stem "CANCEL", stem "COMPRESSION_ERROR", stem "CONNECT_ERROR",         \
        stem "ENHANCE_YOUR_CALM", stem "INADEQUATE_SECURITY",                  \
        stem "HTTP_1_1_REQUIRED", stem "UNKNOWN"

static const char *const resets[] = {NAMES("RST_")};
static const char *const goaways[] = {NAMES("GOAWAY_")};

/* Codes of google.rpc.Code. Its 0 is OK; here 0 means that an answer had no
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

/* First words of the errors of Redis 7 and Redis Cluster. For another word, the
 * event's detail has the whole text. */
#define REDIS(word) "REDIS_" word

static const char *const redis[] = {
    REDIS("ERR"),         REDIS("WRONGTYPE"), REDIS("NOAUTH"),
    REDIS("WRONGPASS"),   REDIS("NOPERM"),    REDIS("NOPROTO"),
    REDIS("MOVED"),       REDIS("ASK"),       REDIS("TRYAGAIN"),
    REDIS("CLUSTERDOWN"), REDIS("CROSSSLOT"), REDIS("LOADING"),
    REDIS("BUSY"),        REDIS("READONLY"),  REDIS("MASTERDOWN"),
    REDIS("NOREPLICAS"),  REDIS("MISCONF"),   REDIS("OOM"),
    REDIS("NOSCRIPT"),    REDIS("NOTBUSY"),   REDIS("UNKILLABLE"),
    REDIS("EXECABORT"),   REDIS("BUSYKEY"),   REDIS("BUSYGROUP"),
    REDIS("NOGROUP"),     REDIS("UNBLOCKED"), REDIS("DENIED"),
    REDIS("INPROG"),      REDIS("NOTREADY"),  REDIS("OTHER"),
};

/* Names of a range of codes, which decrease from `first`. A code that a server
 * sends but that is not defined gets the last name. */
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
    {REDIS_ERROR, redis, COUNT(redis), "the server answered with an error"},
};

static const struct table *find_table(int code)
{
    for (size_t i = 0; i < COUNT(tables); i++) {
        if (code <= tables[i].first &&
            code > tables[i].first - (int)tables[i].count) {
            return &tables[i];
        }
    }
    return NULL;
}

static const struct own_code *find_own(int code)
{
    return code > ERROR_BEFORE && code < ERROR_BEHIND
               ? &own_codes[code - ERROR_BEFORE - 1]
               : NULL;
}

static struct error_kind *find_kind(struct error_table *table,
                                    enum error_phase phase, int code)
{
    for (size_t i = 0; i < table->kind_count; i++) {
        struct error_kind *kind = &table->kinds[i];
        if (kind->phase == phase && kind->code == code) {
            return kind;
        }
    }
    return NULL;
}

struct error_kind *errors_add(struct error_table *table, enum error_phase phase,
                              int code, uint64_t requests)
{
    struct error_kind *known = find_kind(table, phase, code);

    if (known) {
        known->count++;
        known->requests += requests;
        return NULL;
    }
    if (table->kind_count == ERRORS_KINDS) {
        table->other_count++;
        return NULL;
    }
    struct error_kind *kind = &table->kinds[table->kind_count++];
    *kind = (struct error_kind){
        .phase = phase, .code = code, .count = 1, .requests = requests};
    return kind;
}

void errors_merge(struct error_table *table, const struct error_table *from)
{
    table->other_count += from->other_count;
    for (size_t i = 0; i < from->kind_count; i++) {
        const struct error_kind *kind = &from->kinds[i];
        struct error_kind *own = find_kind(table, kind->phase, kind->code);
        if (own) {
            own->count += kind->count;
            own->requests += kind->requests;
        } else if (table->kind_count < ERRORS_KINDS) {
            table->kinds[table->kind_count++] = *kind;
        } else {
            table->other_count += kind->count;
        }
    }
}

/* seen->kinds[i] counts the same error as table->kinds[i]. */
void errors_since(const struct error_table *table, struct error_counts *seen,
                  struct error_counts *ret)
{
    ret->kind_count = 0;
    ret->other_count = table->other_count - seen->other_count;
    seen->other_count = table->other_count;
    for (size_t i = 0; i < table->kind_count; i++) {
        const struct error_kind *kind = &table->kinds[i];
        uint64_t before = i < seen->kind_count ? seen->kinds[i].count : 0;
        if (kind->count > before) {
            ret->kinds[ret->kind_count++] = (struct error_count){
                kind->phase, kind->code, kind->count - before};
        }
        seen->kinds[i].count = kind->count;
    }
    seen->kind_count = table->kind_count;
}

static void add_count(struct error_counts *sum, const struct error_count *like)
{
    for (size_t i = 0; i < sum->kind_count; i++) {
        struct error_count *own = &sum->kinds[i];
        if (own->phase == like->phase && own->code == like->code) {
            own->count += like->count;
            return;
        }
    }
    if (sum->kind_count < ERRORS_KINDS) {
        sum->kinds[sum->kind_count++] = *like;
    } else {
        sum->other_count += like->count;
    }
}

void errors_add_counts(struct error_counts *sum,
                       const struct error_counts *from)
{
    sum->other_count += from->other_count;
    for (size_t i = 0; i < from->kind_count; i++) {
        add_count(sum, &from->kinds[i]);
    }
}

const char *error_phase_name(enum error_phase phase)
{
    return phase_names[phase];
}

const char *error_code_name(int code)
{
    const struct own_code *own = find_own(code);
    const struct table *table = find_table(code);
    const char *http = http_error_name(code);

    return own     ? own->name
           : table ? table->names[table->first - code]
           : http  ? http
                   : weir_err_name(code);
}

const char *error_code_text(int code)
{
    const struct own_code *own = find_own(code);
    const struct table *table = find_table(code);

    return own                     ? own->text
           : table                 ? table->text
           : http_error_name(code) ? http_error_text(code)
                                   : weir_strerror(code);
}

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
    return goaways[H2_ERROR_GOAWAY - h2_error_of_goaway(code)] +
           strlen("GOAWAY_");
}

int redis_error_of(const char *text, size_t len)
{
    const size_t stem = strlen("REDIS_");
    size_t word = 0;
    size_t index = 0;

    while (word < len && text[word] >= 'A' && text[word] <= 'Z') {
        word++;
    }
    while (index < COUNT(redis) - 1 &&
           (strlen(redis[index]) != word + stem ||
            memcmp(redis[index] + stem, text, word) != 0)) {
        index++;
    }
    return REDIS_ERROR - (int)index;
}
