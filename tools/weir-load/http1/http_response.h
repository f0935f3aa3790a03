/*
 * HTTP/1.x responses on a connection: where each ends, and whether the
 * connection may be reused.
 *
 * Bytes may be split anywhere. Bodies are counted without copying: by length,
 * in chunks with trailers, or until the stream ends. Interim responses (1xx)
 * are skipped. Servers often send the same head, so the last one is cached and
 * compared as a whole before a head is parsed byte by byte; connections of a
 * thread share the cache.
 *
 * Errors are reported with the first bytes.
 */
#ifndef WEIR_LOAD_HTTP_RESPONSE_H
#define WEIR_LOAD_HTTP_RESPONSE_H

#include "tools/common/http_head.h"

#include <sys/types.h>

/* Longer heads are not cached. */
#define HTTP_KEPT_MAX 2048U

/* Buffer size for http_response_describe(). */
#define HTTP_DESCRIPTION_SIZE 256U

/* The cached head. */
struct http_kept {
    size_t len;
    struct http_head head;
    uint8_t bytes[HTTP_KEPT_MAX];
};

enum http_state {
    HTTP_IN_HEAD,    /* in a head, or before its first byte */
    HTTP_LENGTH,     /* in a body of known length */
    HTTP_UNTIL_END,  /* in a body that ends with the stream */
    HTTP_CHUNK_SIZE, /* at the digits of a chunk's size */
    HTTP_CHUNK_EXT,  /* after these digits */
    HTTP_CHUNK_FEED, /* after the CR of that line */
    HTTP_CHUNK_DATA, /* in a chunk */
    HTTP_CHUNK_CR,   /* after a chunk */
    HTTP_CHUNK_LF,   /* after the CR */
    HTTP_TRAILERS,   /* after the last chunk */
    HTTP_COMPLETE,   /* a response has ended */
    HTTP_BROKEN,     /* invalid */
};

struct http_response {
    enum http_state state;
    /* Responses answer HEAD requests and have no bodies. */
    bool is_head_request;
    /* The message is a request, parsed after its first line; without a length
     * it has no body. */
    bool is_request;
    /* Blanks followed the chunk's size: an extension must follow. */
    bool awaits_extension;
    /* Digits of the chunk's size. */
    uint8_t digits;
    uint8_t shown_len;
    uint32_t line_bytes;
    /* Bytes still missing of the body or of the chunk. */
    uint64_t left_bytes;
    /* Bytes so far of the response, and of its body without the framing. */
    uint64_t size_bytes;
    uint64_t body_bytes;
    struct http_head_reader reader;
    /* Called with each piece of a body, without the framing. May be NULL. Set
     * after http_response_init(). */
    void (*take_body)(void *arg, const uint8_t *data, size_t len);
    void *take_arg;
    /* First bytes of the response, or the bytes at an error in its body. */
    uint8_t shown[HTTP_SHOWN_MAX];
};

/* Initialises for a new connection. Either all its requests are HEAD or none
 * is. */
void http_response_init(struct http_response *response, bool is_head_request);

/* Starts to parse a request of version 1.minor after its first line: fields and
 * a body, up to HTTP_COMPLETE. */
void http_response_begin_request(struct http_response *response, uint8_t minor);

void http_kept_init(struct http_kept *kept);

/*
 * Parses a response or a part of it. After a complete one the next call starts
 * another.
 *
 * Returns how many bytes were used, all of them unless the state is
 * HTTP_COMPLETE; or an enum http_error.
 */
ssize_t http_response_read(struct http_response *response,
                           struct http_kept *kept, const uint8_t *data,
                           size_t len);

/* Must be called when the stream has ended. Returns 0 if that completes the
 * response, or HTTP_E_CUT. */
int http_response_end(struct http_response *response);

/* Returns true if the connection may be reused after a complete response. */
bool http_response_may_go_on(const struct http_response *response);

/* Returns the status; the head must be complete. */
static inline uint16_t http_response_status(const struct http_response *self)
{
    return self->reader.head.status;
}

/* Writes one line about an error with the bytes at it. Returns text, which has
 * size bytes. */
const char *http_response_describe(const struct http_response *response,
                                   int err, char *text, size_t size);

#endif
