/*
 * Reads requests of redis' protocol (RESP2) from a stream: arguments with their
 * lengths, or a line of arguments. Memory grows only as bytes arrive, not by
 * announced lengths; the limits are in redis_words.h.
 */
#ifndef WEIR_EXAMPLES_REDIS_REQUEST_H
#define WEIR_EXAMPLES_REDIS_REQUEST_H

#include "redis_numbers.h"

#include <errno.h>
#include <weir.h>

/* Stores the reason. The caller sends it and closes the connection. */
static inline int refuse(struct redis_request *request, const char *why)
{
    request->refusal = why;
    return -EBADMSG;
}

/* Splits a line into arguments, as a person types them. */
static inline int split(struct redis_request *ret, const struct weir_buf *line)
{
    size_t begin = 0;
    for (size_t i = 0; i < line->len; i++) {
        if (strchr(" \t\r\n", line->data[i])) {
            if (i > begin &&
                (ret->count == REDIS_WORDS ||
                 !redis_add_word(ret, line->data + begin, i - begin))) {
                return refuse(ret, "too big inline request");
            }
            begin = i + 1;
        }
    }
    return 1;
}

/* Reads an argument. Returns 1, 0 at the end of the stream, or an error. */
static inline ssize_t read_word(weir_reader *reader, struct redis_request *ret)
{
    struct weir_buf buf;
    ssize_t len = weir_reader_readline_view(reader, &buf);
    if (len <= 0) {
        return len;
    }
    long most = REDIS_BYTES - (long)ret->used;
    long count = read_head(buf.data, buf.len, most);
    if (count < 0 || buf.data[0] != '$') {
        return refuse(ret, "invalid bulk length");
    }
    len = weir_reader_readexactly_view(reader, (size_t)count + 2, &buf);
    if (len < 0) {
        return len == WEIR_EINCOMPLETE ? 0 : len;
    }
    if (memcmp(buf.data + count, "\r\n", 2) != 0) {
        return refuse(ret, "no line's end behind a bulk");
    }
    return redis_add_word(ret, buf.data, (size_t)count) ? 1 : -ENOMEM;
}

/* Reads a request. Returns 1, 0 at the end of the stream, or an error. */
static inline ssize_t read_request(weir_reader *reader,
                                   struct redis_request *ret)
{
    struct weir_buf line;
    redis_clear(ret);
    ssize_t len = weir_reader_readline_view(reader, &line);
    if (len <= 0 || line.data[0] != '*') {
        return len <= 0 ? len : split(ret, &line);
    }
    long count = read_head(line.data, line.len, REDIS_WORDS);
    len = count < 0 ? refuse(ret, "invalid multibulk length") : 1;
    while (len > 0 && count-- > 0) {
        len = read_word(reader, ret);
    }
    return len;
}

#endif
