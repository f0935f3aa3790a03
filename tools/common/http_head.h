/*
 * The head of an HTTP/1.x message, read byte by byte as it comes: an answer's
 * status line, and of the fields those that say where the message ends and
 * whether its connection may carry another one. The line of a request is read
 * as a whole.
 *
 * Nothing is copied and nothing is allocated, however the bytes are cut. A name
 * is a token with a colon right behind it, and lengths that disagree are
 * errors. In answers LF alone ends a line too, and a folded line is read as a
 * blank, which RFC 9112 lets a client do (2.2, 5.2). In requests both are
 * errors, as a proxy before the server may have understood them differently.
 * Host is not asked for: no server here has several names.
 *
 * The trailers of a chunked body are read by the same reader, and have no
 * meaning.
 */
#ifndef TOOLS_HTTP_HEAD_H
#define TOOLS_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes of a head, and of the trailers. */
#define HTTP_HEAD_MAX 65536U

/* Why an answer is not understood: names and one line about each. A code is
 * below 0, and no error of the kernel's. */
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

/* What the head says. */
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

/* The fields that are read; the order is that of a table. */
enum http_field {
    HTTP_FIELD_LENGTH,
    HTTP_FIELD_CODING,
    HTTP_FIELD_CONNECTION,
    HTTP_FIELD_COUNT,
    HTTP_FIELD_OTHER = HTTP_FIELD_COUNT,
};

enum http_head_state {
    HTTP_HEAD_STATUS,    /* inside the status line's fixed part */
    HTTP_HEAD_REASON,    /* behind it */
    HTTP_HEAD_LINE,      /* at the first byte of a line */
    HTTP_HEAD_NAME,      /* inside a name */
    HTTP_HEAD_VALUE,     /* inside a value */
    HTTP_HEAD_LINE_FEED, /* behind the CR of a line */
    HTTP_HEAD_LAST_FEED, /* behind the CR of the empty line */
    HTTP_HEAD_DONE,
};

#define HTTP_ELEMENT_SIZE 24U

struct http_head_reader {
    enum http_head_state state;
    /* Bytes of the status line's fixed part, or of a name. */
    uint32_t at;
    /* All bytes until now. */
    uint32_t size_bytes;
    /* Names that the bytes of this one fit, a bit each; then the field. */
    uint8_t fitting;
    uint8_t field;
    /* An element of a list in a value: its bytes in lower case, and whether a
     * blank followed them. */
    uint8_t element_len;
    bool element_has_blank;
    /* Is there a field that a folded line could go on with? */
    bool has_field;
    /* Fields have no meaning. */
    bool is_trailer;
    /* They are those of a request. */
    bool is_request;
    char element[HTTP_ELEMENT_SIZE];
    struct http_head head;
};

/* Begin an answer's head, or the trailers of its body; or the fields of a
 * request behind its line, which are those of a good answer. */
void http_head_begin(struct http_head_reader *reader);
void http_head_begin_fields(struct http_head_reader *reader, uint8_t minor);
void http_head_begin_trailers(struct http_head_reader *reader);

/* Read up to the head's end. Returns how many bytes were used, and the state is
 * HTTP_HEAD_DONE behind the last one; or an enum http_error, and @ret_at is the
 * offending byte's place in @data. */
int http_head_read(struct http_head_reader *reader, const uint8_t *data,
                   size_t len, size_t *ret_at);

/* The line of a request. */
struct http_request_line {
    const char *method;
    size_t method_len;
    const char *target;
    size_t target_len;
    uint8_t minor;
};

/* Reads "GET /x HTTP/1.1\r". 0, or the status that refuses it: 400, or 505 for
 * another version than 1.x. One that has none is no line of a request. */
int http_request_line_read(const char *line, size_t len,
                           struct http_request_line *ret);

/* Reads a request's whole head, of which nothing follows: 0, or the status that
 * refuses it. */
int http_request_read(const char *head, size_t len,
                      struct http_request_line *ret);

bool http_request_line_has(const struct http_request_line *line,
                           const char *method);

/* The status that refuses a request with an error in its fields. */
int http_error_status(int err);

/* One line about an error. */
const char *http_error_text(int err);

/* "HTTP_STATUS_LINE", ...; NULL for other numbers. */
const char *http_error_name(int err);

/* Bytes that an error shows. */
#define HTTP_SHOWN_MAX 40U

/* Bytes as people read them, in quotes and escaped where they do not print. */
const char *http_quote(const uint8_t *bytes, size_t len, char *text,
                       size_t size);

#endif
