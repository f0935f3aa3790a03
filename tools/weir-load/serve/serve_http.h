/*
 * The server's HTTP mode, controlled by a request's query.
 *
 * ?s=SIZE is the body's size, or a distribution (sizes.h); t=TIME the service
 * time (a plain number is in milliseconds), r=STATUS the status, and close=1
 * closes the connection after the response, like in haterm. Paths are ignored.
 */
#ifndef WEIR_LOAD_SERVE_HTTP_H
#define WEIR_LOAD_SERVE_HTTP_H

#include "modes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Settings from a request's query. */
struct serve_http_wish {
    struct sizes sizes;
    uint64_t delay_ns;
    uint16_t status;
    bool closes;
    bool is_head_request;
    uint8_t minor;
};

/* Parses a line like "GET /x?s=1k HTTP/1.1\r". *ret must have the defaults.
 * Returns 0, or the status for refusing an invalid line or query. */
int serve_http_parse_line(const char *line, size_t len,
                          struct serve_http_wish *ret);

/* Factory of the mode; its argument is a struct mode_counts. */
int serve_http_create(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret);

#endif
