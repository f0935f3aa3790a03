/*
 * The part of HTTP/1.1 that the servers of the comparison use: they read
 * requests without a body, and answer each with a file. A request may arrive in
 * parts, and several at once.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_LINE_MAX 256 /* of a line received in parts */
#define HTTP_PATH_MAX 128
#define HTTP_HEAD_MAX 256

/* A connection's parser, initially zeroed. */
struct http {
    bool in_headers; /* after the first line */
    uint32_t held_len;
    char held[HTTP_LINE_MAX]; /* the beginning of a line */
    char path[HTTP_PATH_MAX]; /* of the last request, not decoded */
};

/* Reads bytes up to the end of the first request. Returns 1 if a request has
 * ended, 0 if it is not complete, or -1 if it is not a GET request of
 * HTTP/1.1. */
int http_take_one(struct http *h, const void *data, size_t len,
                  size_t *ret_taken);

/* Reads all bytes. Returns the number of requests that have ended, or -1. */
int http_take(struct http *h, const void *data, size_t len);

/* Writes the head of an answer with a body of @length bytes. Returns its size.
 */
size_t http_head(char ret[HTTP_HEAD_MAX], uint64_t length);

/* Returns the whole answer, head and file. A failure ends the program. */
const uint8_t *http_answer(const char *path, size_t *ret_size);

#endif
