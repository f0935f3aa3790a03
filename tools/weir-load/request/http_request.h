/*
 * HTTP/1.1 requests built from the command line: method, path, fields and body,
 * each of which may be a template (template.h).
 *
 * A request without placeholders is stored several times in a row, so that a
 * batch is one write without a copy.
 */
#ifndef WEIR_LOAD_HTTP_REQUEST_H
#define WEIR_LOAD_HTTP_REQUEST_H

#include "template.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_FIELDS_MAX 64U

/* Upper limit of status codes, exclusive. */
#define HTTP_STATUS_END 1000U

enum http_version {
    HTTP_VERSION_1_1,
    HTTP_VERSION_2,
    HTTP_VERSION_AUTO, /* chosen in the handshake of each connection */
};

struct http_options {
    enum http_version version;
    /* HTTP/2 receive windows of a stream and of a connection. */
    uint64_t window_bytes;
    uint64_t conn_window_bytes;
    /* HTTP/2: largest frame accepted, and header table size of both sides. */
    uint64_t frame_bytes;
    uint64_t table_bytes;
    /* NULL means GET, or POST with a body. */
    const char *method;
    /* Path for targets that have none; NULL means "/". */
    const char *path;
    /* "Name: value"; "Name:" removes a field that is sent by default. */
    const char *fields[HTTP_FIELDS_MAX];
    size_t field_count;
    /* Body, or @FILE for a file; may be NULL. */
    const char *body;
    bool is_chunked;
    /* The last request of a connection has the field Connection: close. */
    bool is_last;
    /* Statuses that are not failures. */
    bool has_expected;
    bool expected[HTTP_STATUS_END];
    const struct data *data;
    /* The expected body as given (wanted.h), or NULL if any body is right. */
    const char *wanted;
};

struct http_request {
    bool is_head;
    /* May be sent twice (RFC 9110, 9.2.2). */
    bool is_idempotent;
    bool is_chunked;
    /* The head up to Content-Length, which depends on the body. */
    struct template head;
    struct template body;
    bool has_body;
    /* Copies of a fixed request, of len bytes each. */
    char *bytes;
    size_t len;
    size_t copies;
    /* Largest size of a request that is not fixed. */
    size_t size_max;
};

/* Check the value of an option. They return 0, or an error with one line in
 * @why (WHY_SIZE). */
int http_check_method(const char *method, char *why);
int http_check_path(const char *path, char *why);
int http_check_field(const char *field, char *why);
int http_check_body(const char *body, char *why);

/* Returns true if one of the first @count fields has the name of @field. */
bool http_is_given(const struct http_options *options, size_t count,
                   const char *field);

/* Reports whether there is a Connection field, and whether it has "close". */
bool http_has_connection(const struct http_options *options, bool *ret_closes);

/* Parses "200", "2xx" or "200,3xx". Returns 0, or -EINVAL and the offset of the
 * first wrong byte. */
int http_parse_expected(const char *text, struct http_options *options,
                        size_t *ret_at);

/* Builds requests for a path and the value of the Host field. @copies is the
 * largest batch. Returns 0, or a negative error with one line in @why. */
int http_request_init(struct http_request *self,
                      const struct http_options *options, const char *host,
                      const char *path, size_t copies, char *why);

/* Renders a request into @out of size_max bytes. Returns its length. */
size_t http_request_render(const struct http_request *self,
                           const struct template_values *values, char *out);

void http_request_fini(struct http_request *self);

#endif
