/*
 * As much of HTTP/1.1 as the servers of the comparison speak: they read
 * requests without a body, and answer each with a file. A request may come in
 * parts, and several at once.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_LINE_MAX 256 /* of a line that came in parts */
#define HTTP_PATH_MAX 128 /* of what is asked for */
#define HTTP_HEAD_MAX 256 /* of an answer */

/* A connection's parser; zero is its start. */
struct http {
    bool in_headers; /* behind the first line */
    uint32_t held_len;
    char held[HTTP_LINE_MAX]; /* the start of a line */
    char path[HTTP_PATH_MAX]; /* of the last request, as it was sent */
};

/* Take bytes that have come, up to the end of the first request: 1 where one
 * has ended, 0 where all bytes were taken before, or -1 where they are not a
 * GET request of HTTP/1.1. */
int http_take_one(struct http *h, const void *data, size_t len,
                  size_t *ret_taken);

/* Take all bytes that have come: how many requests have ended, or -1. */
int http_take(struct http *h, const void *data, size_t len);

/* The head of an answer with a body of @length bytes; its own length. */
size_t http_head(char ret[HTTP_HEAD_MAX], uint64_t length);

/* The whole answer, head and body, that stands for the file; or the end of the
 * run. */
const uint8_t *http_answer(const char *path, size_t *ret_size);

#endif
