/*
 * HTTP/1.x answers as they come on a connection: where each ends, and whether
 * the connection may carry another one.
 *
 * Bytes may be cut anywhere. Bodies are counted where they lie: by length, in
 * chunks with trailers, or until the stream ends. Interim answers (1xx) are
 * skipped. A server says the same head again and again, so the last one is kept
 * and compared as a whole before it is read byte by byte; connections of a
 * thread share it.
 *
 * An answer that is not understood is told with its first bytes.
 */
#ifndef WEIR_LOAD_HTTP_RESPONSE_H
#define WEIR_LOAD_HTTP_RESPONSE_H

#include "tools/common/http_head.h"

#include <sys/types.h>

/* Heads that are longer are not kept. */
#define HTTP_KEPT_MAX 2048U

/* Room for every text of http_response_describe(). */
#define HTTP_DESCRIPTION_SIZE 256U

/* The head of an answer that was read before. */
struct http_kept {
    size_t len;
    struct http_head head;
    uint8_t bytes[HTTP_KEPT_MAX];
};

enum http_state {
    HTTP_IN_HEAD,    /* inside a head, or before its first byte */
    HTTP_LENGTH,     /* inside a body of known length */
    HTTP_UNTIL_END,  /* inside a body that ends with the stream */
    HTTP_CHUNK_SIZE, /* at the digits of a chunk's size */
    HTTP_CHUNK_EXT,  /* behind them */
    HTTP_CHUNK_FEED, /* behind the CR of that line */
    HTTP_CHUNK_DATA, /* inside a chunk */
    HTTP_CHUNK_CR,   /* behind it */
    HTTP_CHUNK_LF,   /* behind the CR */
    HTTP_TRAILERS,   /* behind the last chunk */
    HTTP_COMPLETE,   /* an answer has ended */
    HTTP_BROKEN,     /* not understood */
};

struct http_response {
    enum http_state state;
    /* The answers are those to HEAD, and have no bodies. */
    bool is_head_request;
    /* It is a request behind its first line: without a length it has no body.
     */
    bool is_request;
    /* Blanks follow the chunk's size: an extension must. */
    bool awaits_extension;
    /* Digits of the chunk's size, and bytes of its line. */
    uint8_t digits;
    uint8_t shown_len;
    uint32_t line_bytes;
    /* Bytes of the body, or of the chunk, that are to come. */
    uint64_t left_bytes;
    /* Bytes of the answer until now, and of its body without the framing. */
    uint64_t size_bytes;
    uint64_t body_bytes;
    struct http_head_reader reader;
    /* Called with each piece of a body, without the framing; NULL: none is
     * looked at. Set after http_response_init(). */
    void (*take_body)(void *arg, const uint8_t *data, size_t len);
    void *take_arg;
    /* The first bytes of the answer, or those at an error in its body. */
    uint8_t shown[HTTP_SHOWN_MAX];
};

/* A new connection, all of whose requests are HEAD or none is. */
void http_response_init(struct http_response *response, bool is_head_request);

/* Begin a request of version 1.minor behind its first line: fields and a body,
 * up to HTTP_COMPLETE. */
void http_response_begin_request(struct http_response *response, uint8_t minor);

/* Forget what kept holds. */
void http_kept_init(struct http_kept *kept);

/*
 * Read an answer, a part of one, or nothing. After a complete one the next
 * call begins another.
 *
 * Returns how many bytes were used, all of them unless the state is
 * HTTP_COMPLETE; or an enum http_error.
 */
ssize_t http_response_read(struct http_response *response,
                           struct http_kept *kept, const uint8_t *data,
                           size_t len);

/* The stream has ended: 0 if that completes the answer, or HTTP_E_CUT. */
int http_response_end(struct http_response *response);

/* Of a complete answer: may the connection carry another one? */
bool http_response_may_go_on(const struct http_response *response);

/* Status of the answer, once its head was read. */
static inline uint16_t http_response_status(const struct http_response *self)
{
    return self->reader.head.status;
}

/* One line about an error and the bytes at it. Returns text, which has size
 * bytes. */
const char *http_response_describe(const struct http_response *response,
                                   int err, char *text, size_t size);

#endif
