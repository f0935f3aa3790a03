/*
 * HTTP/1.1 requests as the command line asks for them: method, path, fields and
 * body, any of which each request may fill anew (template.h).
 *
 * A request that is always the same lies in memory several times in a row, so
 * that a batch is one write without a copy.
 */
#ifndef WEIR_LOAD_HTTP_REQUEST_H
#define WEIR_LOAD_HTTP_REQUEST_H

#include "template.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_FIELDS_MAX 64U

/* Statuses are below. */
#define HTTP_STATUS_END 1000U

enum http_version {
    HTTP_VERSION_1_1,
    HTTP_VERSION_2,
    HTTP_VERSION_AUTO, /* each connection what its handshake agrees on */
};

/* What the flags say. */
struct http_options {
    enum http_version version;
    /* HTTP/2: how many bytes a server may send on a stream, and on a
     * connection, before it is told that they were taken. */
    uint64_t window_bytes;
    uint64_t conn_window_bytes;
    /* HTTP/2: the largest frame of a server, and the table of each side. */
    uint64_t frame_bytes;
    uint64_t table_bytes;
    /* NULL: GET, or POST with a body. */
    const char *method;
    /* Of targets whose text has none; NULL: "/". */
    const char *path;
    /* "Name: value"; "Name:" leaves out a field that is sent otherwise. */
    const char *fields[HTTP_FIELDS_MAX];
    size_t field_count;
    /* As given, @FILE for one that stands in a file; NULL: none. */
    const char *body;
    bool is_chunked;
    /* The last request of its connection says so (Connection: close). */
    bool is_last;
    /* Statuses that are no failure. */
    bool has_expected;
    bool expected[HTTP_STATUS_END];
    /* What fields of data are of; NULL: there are none. */
    const struct data *data;
    /* As given, what bodies have to be (wanted.h); NULL: anything. */
    const char *wanted;
};

struct http_request {
    bool is_head;
    /* It may be sent twice (RFC 9110, 9.2.2). */
    bool is_idempotent;
    bool is_chunked;
    /* The head up to the field for the body's length, which is written if
     * there is a body. */
    struct template head;
    struct template body;
    bool has_body;
    /* The same for all: copies of len bytes each. */
    char *bytes;
    size_t len;
    size_t copies;
    /* Bytes of one that is not. */
    size_t size_max;
};

/* What is wrong with a flag: one line in why (TEMPLATE_WHY_SIZE), or 0. */
int http_check_method(const char *method, char *why);
int http_check_path(const char *path, char *why);
int http_check_field(const char *field, char *why);
int http_check_body(const char *body, char *why);

/* Is one of the first fields named as another is? */
bool http_is_given(const struct http_options *options, size_t count,
                   const char *field);

/* Is there a field Connection, and does it end the connection? */
bool http_has_connection(const struct http_options *options, bool *ret_closes);

/* Read "200", "2xx" or "200,3xx". 0, or -EINVAL and the first wrong byte's
 * place, from 0. */
int http_parse_expected(const char *text, struct http_options *options,
                        size_t *ret_at);

/* Build requests for a host, as the field Host has it, and a path. @copies: how
 * many a batch has at most. 0, or a negative error with one line in why. */
int http_request_init(struct http_request *self,
                      const struct http_options *options, const char *host,
                      const char *path, size_t copies, char *why);

/* Write one that is not always the same; out has size_max bytes. Returns how
 * many were written. */
size_t http_request_render(const struct http_request *self,
                           const struct template_values *values, char *out);

void http_request_fini(struct http_request *self);

#endif
