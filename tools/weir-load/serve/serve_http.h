/*
 * The server as a server of HTTP: what a request's query asks for.
 *
 * ?s=SIZE is the size of the body, or a distribution (sizes.h); t=TIME the
 * service time (a plain number is milliseconds), r=STATUS the status, and
 * close=1 ends the connection behind the answer, as haterm has them. Paths mean
 * nothing.
 */
#ifndef WEIR_LOAD_SERVE_HTTP_H
#define WEIR_LOAD_SERVE_HTTP_H

#include "modes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a request asks for. */
struct serve_http_wish {
    struct sizes sizes;
    uint64_t delay_ns;
    uint16_t status;
    bool closes;
    bool is_head_request;
    uint8_t minor;
};

/* Read "GET /x?s=1k HTTP/1.1\r"; the defaults stand in ret. 0, or the status
 * that refuses it: it is no request line, or its query is wrong. */
int serve_http_parse_line(const char *line, size_t len,
                          struct serve_http_wish *ret);

/* The factory of the mode; its argument is a struct mode_counts. */
int serve_http_create(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret);

#endif
