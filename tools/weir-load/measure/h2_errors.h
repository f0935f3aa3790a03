/*
 * Codes of errors (errors.h) that come of HTTP/2 and of gRPC: those that a
 * server sends have a code of weir-load's for each, so that each is counted and
 * named apart.
 */
#ifndef WEIR_LOAD_H2_ERRORS_H
#define WEIR_LOAD_H2_ERRORS_H

#include <stdint.h>

/* Own ones are in errors.h. From here on down, by the code of RFC 9113,
 * section 7, or of gRPC. */
enum {
    H2_ERROR_RST = -5100,
    H2_ERROR_GOAWAY = -5120,
    H2_ERROR_GRPC = -5140,
};

/* What RST_STREAM and GOAWAY say, and a grpc-status above 0. */
int h2_error_of_reset(uint32_t code);
int h2_error_of_goaway(uint32_t code);
int h2_error_of_grpc(uint32_t status);

/* As in the RFC: "PROTOCOL_ERROR". */
const char *h2_code_name(uint32_t code);

/* "RST_CANCEL", "GOAWAY_ENHANCE_YOUR_CALM", "GRPC_UNAVAILABLE"; NULL: it is no
 * such code. */
const char *h2_error_name(int code);

/* One line without a dot at its end, of a code that has a name. */
const char *h2_error_text(int code);

#endif
