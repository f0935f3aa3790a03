/*
 * The head of an HTTP/1.x message, parsed byte by byte as it arrives: a
 * response's status line, and the fields that determine where the message ends
 * and whether its connection may be reused. A request line is parsed as a
 * whole.
 *
 * No memory is allocated, and the bytes may be split anywhere. Conflicting
 * lengths are errors. In responses a line may end with LF alone, and a folded
 * line counts as a blank, as RFC 9112 allows for clients (2.2, 5.2). In
 * requests both are errors, because a proxy before the server may have
 * interpreted them differently. Host is not required: no server here has
 * several names. The trailers of a chunked body are parsed in the same way, and
 * ignored.
 */
#ifndef TOOLS_HTTP_HEAD_H
#define TOOLS_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Maximum size in bytes of a head, and of the trailers of a body. */
#define HTTP_HEAD_MAX 65536U

/* Codes are negative, and no kernel error has the same code. */
#define HTTP_ERRORS(X)                                                         \
    X(STATUS_LINE, "no status line of HTTP/1.x")                               \
    X(STATUS, "a status below 100")                                            \
    X(LINE_END, "a CR inside a line")                                          \
    X(NAME, "a field without a name and its colon")                            \
    X(VALUE, "a control character in a line")                                  \
    X(HEAD_SIZE, "a head of more than 64 KiB")                                 \
    X(LENGTH, "a Content-Length that is not one number")                       \
    X(CODING, "a Transfer-Encoding that does not end with one chunked")        \
    X(BOTH, "both Content-Length and Transfer-Encoding")                       \
    X(SWITCH, "a change of protocols, not asked for")                          \
    X(CHUNK, "a chunk without its size or its line end")                       \
    X(CUT, "the stream ended inside an answer")                                \
    X(HTTP2, "the server speaks HTTP/2, and not HTTP/1.1")                     \
    X(TLS, "the server speaks TLS; write https://")

#define HTTP_ERROR_CODE(name, text) HTTP_E_##name,

enum http_error {
    HTTP_E_BEFORE = -6100,
    HTTP_ERRORS(HTTP_ERROR_CODE) HTTP_E_BEHIND,
};

struct http_head {
    uint16_t status;
    uint8_t minor;
    bool has_length;
    bool has_coding;
    bool is_chunked;
    bool has_close;
    bool has_keep_alive;
    uint64_t length;
};

enum http_field {
    HTTP_FIELD_LENGTH,
    HTTP_FIELD_CODING,
    HTTP_FIELD_CONNECTION,
    HTTP_FIELD_COUNT,
    HTTP_FIELD_OTHER = HTTP_FIELD_COUNT,
};

enum http_head_state {
    HTTP_HEAD_STATUS, /* in the fixed part of the status line */
    HTTP_HEAD_REASON, /* after the fixed part */
    HTTP_HEAD_LINE,   /* at the first byte of a line */
    HTTP_HEAD_NAME,
    HTTP_HEAD_VALUE,
    HTTP_HEAD_LINE_FEED, /* after the CR of a line */
    HTTP_HEAD_LAST_FEED, /* after the CR of the empty line */
    HTTP_HEAD_DONE,
};

#define HTTP_ELEMENT_SIZE 24U

struct http_head_reader {
    enum http_head_state state;
    /* Bytes so far of the status line's fixed part, or of a field name. */
    uint32_t at;
    uint32_t size_bytes;
    /* Bit mask of the field names that still match. */
    uint8_t fitting;
    /* After the colon: index of the field, or HTTP_FIELD_OTHER. */
    uint8_t field;
    uint8_t element_len;
    bool element_has_blank;
    /* A field has begun, so a folded line may continue it. */
    bool has_field;
    bool is_trailer;
    bool is_request;
    char element[HTTP_ELEMENT_SIZE];
    struct http_head head;
};

/* Start to parse the head of a response, the fields after a request line, or
 * the trailers of a body. Fields of a request are treated like the fields of a
 * successful response. */
void http_head_begin(struct http_head_reader *reader);
void http_head_begin_fields(struct http_head_reader *reader, uint8_t minor);
void http_head_begin_trailers(struct http_head_reader *reader);

/* Parses up to the end of the head. Returns the number of bytes used; at the
 * end of the head the state is HTTP_HEAD_DONE. On error returns an enum
 * http_error, and sets *ret_at to the offset of the wrong byte. */
int http_head_read(struct http_head_reader *reader, const uint8_t *data,
                   size_t len, size_t *ret_at);

struct http_request_line {
    const char *method;
    size_t method_len;
    const char *target;
    size_t target_len;
    uint8_t minor;
};

/* Parses "GET /x HTTP/1.1\r". Returns 0, or the status of the refusal: 505 for
 * a version other than 1.x, else 400. */
int http_request_line_read(const char *line, size_t len,
                           struct http_request_line *ret);

/* Parses a complete request head. Returns 0, or the status of the refusal. */
int http_request_read(const char *head, size_t len,
                      struct http_request_line *ret);

bool http_request_line_has(const struct http_request_line *line,
                           const char *method);

/* Returns the status for refusing a request with this error. */
int http_error_status(int err);

const char *http_error_text(int err);

/* Returns a name such as "HTTP_STATUS_LINE", or NULL for other numbers. */
const char *http_error_name(int err);

/* Maximum number of received bytes that an error message quotes. */
#define HTTP_SHOWN_MAX 40U

/* Quotes bytes, with escapes for unprintable bytes. */
const char *http_quote(const uint8_t *bytes, size_t len, char *text,
                       size_t size);

#endif
