/*
 * Error codes (errors.h) of HTTP/2 and gRPC: each code that a
 * server can send has its own, and is counted and named
 * separately.
 */
#ifndef WEIR_LOAD_H2_ERRORS_H
#define WEIR_LOAD_H2_ERRORS_H

#include <stdint.h>

/* First codes of each range. From it the codes decrease by the code of RFC
 * 9113, section 7, or of gRPC. */
enum {
    H2_ERROR_RST = -5100,
    H2_ERROR_GOAWAY = -5120,
    H2_ERROR_GRPC = -5140,
};

/* Return the error of RST_STREAM, of GOAWAY and of a grpc-status above 0. */
int h2_error_of_reset(uint32_t code);
int h2_error_of_goaway(uint32_t code);
int h2_error_of_grpc(uint32_t status);

/* Returns the name in the RFC, like "PROTOCOL_ERROR". */
const char *h2_code_name(uint32_t code);

/* Returns a name like "RST_CANCEL", or NULL if the code is not of HTTP/2 or
 * gRPC. */
const char *h2_error_name(int code);

/* Returns one line without a full stop. The code must have a name. */
const char *h2_error_text(int code);

#endif
