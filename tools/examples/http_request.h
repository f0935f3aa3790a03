/*
 * Parses a request of HTTP/1.1 or 1.0 (RFC 9112) strictly: a request that a
 * proxy before this server might parse differently is refused. A request with a
 * body is refused, too, and its connection is closed. Does no I/O.
 */
#ifndef WEIR_EXAMPLES_HTTP_REQUEST_H
#define WEIR_EXAMPLES_HTTP_REQUEST_H

#include "http_header.h"

static inline int parse_start(struct text line, struct http_request *ret)
{
    struct text method;
    struct text target;
    if (!take_before(&line, ' ', &method) || method.len == 0 ||
        !take_before(&line, ' ', &target) || line.len != 8 ||
        memcmp(line.data, "HTTP/", 5) != 0) {
        return 400;
    }
    ret->is_old = text_is(line, "HTTP/1.0");
    ret->keeps = !ret->is_old;
    if (!ret->is_old && !text_is(line, "HTTP/1.1")) {
        return 505;
    }
    ret->is_head = method.len == 4 && memcmp(method.data, "HEAD", 4) == 0;
    bool is_get = method.len == 3 && memcmp(method.data, "GET", 3) == 0;
    if (!ret->is_head && !is_get) {
        return 405;
    }
    return decode_path(target, ret->path) ? 0 : 400;
}

static inline int parse_request(const uint8_t *head, size_t len,
                                struct http_request *ret)
{
    struct text rest = {(const char *)head, len};
    struct text line;
    *ret = (struct http_request){.keeps = false};
    int status = take_line(&rest, &line) ? parse_start(line, ret) : 400;
    while (status == 0) {
        if (!take_line(&rest, &line)) {
            return 400;
        }
        if (line.len == 0) {
            ret->range.is_wanted &= !ret->is_conditional;
            return ret->host_count == 0 && !ret->is_old ? 400 : 0;
        }
        status = parse_header(line, ret);
    }
    return status;
}

#endif
