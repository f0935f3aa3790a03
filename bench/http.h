/*
 * As much of HTTP/1.1 as the servers of the comparison speak: they read
 * requests without a body, and answer each with the same file. What a request
 * asks for is not looked at.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_LINE_MAX 256 /* of a line that came in parts */

/* A connection's parser; zero is its start. */
struct http {
    bool in_headers; /* behind the first line */
    uint32_t held_len;
    char held[HTTP_LINE_MAX]; /* the start of a line */
};

/* Take bytes that have come; how many requests have ended, or -1 where they are
 * not GET requests of HTTP/1.1. */
int http_take(struct http *h, const void *data, size_t len);

/* The whole answer, head and body, that stands for the file; or the end of the
 * run. */
const uint8_t *http_answer(const char *path, size_t *ret_size);

#endif
