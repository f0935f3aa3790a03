/*
 * A request, and the headers that this server knows. Unknown headers are
 * ignored. A request with an invalid length, a second Host header or a body is
 * refused with a status. Does no I/O.
 */
#ifndef WEIR_EXAMPLES_HTTP_HEADER_H
#define WEIR_EXAMPLES_HTTP_HEADER_H

#include "http_range.h"
#include "http_target.h"

struct http_request {
    char path[HTTP_PATH];
    struct http_range range;
    bool is_head;
    bool is_old; /* HTTP/1.0 */
    bool keeps;
    bool closes;
    bool is_conditional;
    uint32_t host_count;
};

/* Returns true if the connection stays open for another request. */
static inline bool stays(const struct http_request *request)
{
    return request->keeps && !request->closes;
}

static inline void read_connection(struct text value, struct http_request *ret)
{
    struct text option;
    while (take_before(&value, ',', &option)) {
        ret->closes |= text_is(trim(option), "close");
        ret->keeps |= text_is(trim(option), "keep-alive");
    }
    ret->closes |= text_is(trim(value), "close");
    ret->keeps |= text_is(trim(value), "keep-alive");
}

static inline int parse_header(struct text line, struct http_request *ret)
{
    struct text name;
    if (!take_name(&line, &name)) {
        return 400;
    }
    if (text_is(name, "host")) {
        return ++ret->host_count > 1 ? 400 : 0;
    }
    if (text_is(name, "content-length")) {
        uint64_t length = read_number(line);
        return length == 0 ? 0 : length == UINT64_MAX ? 400 : 413;
    }
    if (text_is(name, "connection")) {
        read_connection(line, ret);
    } else if (text_is(name, "range")) {
        ret->range = read_range(line);
    } else if (text_is(name, "if-range")) {
        ret->is_conditional = true; /* does not match, so the whole file is
                                     * sent */
    }
    return text_is(name, "transfer-encoding") ? 413 : 0;
}

#endif
