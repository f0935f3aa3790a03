/*
 * HTTP/1.1 of weir-load: reading responses, expected bodies,
 * and requests. HTTP/2 shares the requests and the expected
 * bodies.
 */
#ifndef WEIR_LOAD_HTTP1_H
#define WEIR_LOAD_HTTP1_H

#include "tools/common/http_head.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/codec/codec.h"
#include "tools/weir-load/request/request.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Reads the HTTP/1.x responses of a connection: where each ends, and whether
 * the connection may be reused.
 *
 * Bytes may be split anywhere. Bodies are counted without a copy: by length, in
 * chunks with trailers, or until the stream ends. Interim responses (1xx) are
 * skipped.
 *
 * Servers often send the same head again. The connections of a thread therefore
 * share a cache of the last head, and a head that equals it is not parsed.
 */

/* Size of the cache. A longer head is not cached. */
#define HTTP_KEPT_MAX 2048U

#define HTTP_DESCRIPTION_SIZE 256U

/* The cached head of a thread. */
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
    HTTP_CHUNK_EXT,  /* after the digits of a chunk's size */
    HTTP_CHUNK_FEED, /* after the CR of the line with a chunk's size */
    HTTP_CHUNK_DATA, /* in a chunk */
    HTTP_CHUNK_CR,   /* after a chunk */
    HTTP_CHUNK_LF,   /* after the CR that follows a chunk */
    HTTP_TRAILERS,   /* after the last chunk */
    HTTP_COMPLETE,   /* a response has ended */
    HTTP_BROKEN,     /* the response is invalid */
};

struct http_response {
    enum http_state state;
    /* The request was HEAD, so the response has no body. */
    bool is_head_request;
    /* The message is a request, whose first line was already parsed. A request
     * without a length has no body. */
    bool is_request;
    /* Blanks followed the chunk's size, so an extension must follow. */
    bool awaits_extension;
    /* Digits of the chunk's size so far. */
    uint8_t digits;
    uint8_t shown_len;
    uint32_t line_bytes;
    /* Bytes still missing of the body or of the chunk. */
    uint64_t left_bytes;
    uint64_t size_bytes;
    /* Bytes of the body so far, without the chunks' framing. */
    uint64_t body_bytes;
    struct http_head_reader reader;
    /* Called with each piece of a body, without the chunks' framing. May be
     * NULL. http_response_init() clears it. */
    void (*take_body)(void *arg, const uint8_t *data, size_t len);
    void *take_arg;
    /* First bytes of the response, or bytes at an error in its body. */
    uint8_t shown[HTTP_SHOWN_MAX];
};

/* Initialises a reader for a new connection. */
void http_response_init(struct http_response *response, bool is_head_request);

/* Starts to parse a request of version HTTP/1.@minor after its first line. The
 * state becomes HTTP_COMPLETE at its end. */
void http_response_begin_request(struct http_response *response, uint8_t minor);

void http_kept_init(struct http_kept *kept);

/*
 * Parses a response or a part of it. After a complete response the next call
 * starts the next one.
 *
 * Returns the number of bytes used, or an enum http_error. All bytes are used
 * unless the state is HTTP_COMPLETE.
 */
ssize_t http_response_read(struct http_response *response,
                           struct http_kept *kept, const uint8_t *data,
                           size_t len);

/* Must be called when the stream has ended. Returns 0 if this completes the
 * response, else HTTP_E_CUT. */
int http_response_end(struct http_response *response);

/* Returns true if the connection may be used for another request. The response
 * must be complete. */
bool http_response_may_go_on(const struct http_response *response);

/* Must be called after the head is complete. */
static inline uint16_t http_response_status(const struct http_response *self)
{
    return self->reader.head.status;
}

/* Writes one line about an error, with the bytes at the error, to @text of
 * @size bytes. Returns @text. */
const char *http_response_describe(const struct http_response *response,
                                   int err, char *text, size_t size);

/*
 * The required body of an HTTP response, from --expect:
 *
 *     text:TEXT   these bytes, with the escapes of script.c
 *     file:NAME   the bytes of a file, which is read once
 *     len:SIZE    this many bytes
 *     echo        the body of its request
 *     re:REGEX    a match of an extended regular expression (regex(7))
 *
 * Bodies arrive in pieces, split anywhere, and are compared in place. Only a
 * regular expression needs the whole body. A body in several pieces is copied
 * for it, and the size of the body is limited.
 */

/* Largest body that is matched with a regular expression. */
#define WANTED_KEPT_MAX (1U << 20)

/* How many bytes of a wrong body are shown. */
#define WANTED_SHOWN_MAX 40U

enum wanted_kind {
    WANTED_ANY,
    WANTED_BYTES,
    WANTED_SIZE,
    WANTED_ECHO,
    WANTED_MATCH,
};

struct wanted_bytes {
    const char *bytes;
    size_t len;
};

struct wanted {
    enum wanted_kind kind;
    /* Only WANTED_BYTES: the bytes of the body, owned by this struct. */
    char *bytes;
    size_t len;
    uint64_t size_bytes;
    regex_t regex;
};

/* Must be zero-initialised before the first body. */
struct wanted_reader {
    /* Bytes of the body so far. */
    uint64_t size_bytes;
    /* Bytes before the first wrong one. */
    uint64_t right_bytes;
    size_t shown_len;
    uint8_t shown[WANTED_SHOWN_MAX];
    /* Only WANTED_MATCH: the first piece, if no other piece has arrived. It
     * points into the received bytes. */
    const uint8_t *piece;
    /* Only WANTED_MATCH: copies of all pieces. The buffer is kept for the next
     * body. */
    char *kept;
    size_t kept_len;
    size_t kept_size;
    bool has_no_memory;
};

/* Returns true if a value of --expect describes a body. In mode script,
 * len:SIZE is a rule of script.c instead. */
bool wanted_is_meant(const char *text);

/* Parses a value. Returns 0, or -ENOMEM or -EINVAL with a reason in @why. The
 * caller must call wanted_fini() after success. */
int wanted_parse(const char *text, struct wanted *ret, char *why);

void wanted_fini(struct wanted *self);

/* Handles the next piece of a body. The piece must stay valid until
 * wanted_keep() or wanted_begin(). @echo is the body of the request, for
 * WANTED_ECHO. */
void wanted_read(const struct wanted *self, struct wanted_reader *reader,
                 struct wanted_bytes echo, const uint8_t *data, size_t len);

/* Copies the piece to which the reader points, if any. Must be called before
 * the received bytes are overwritten, if the body is not complete. */
void wanted_keep(struct wanted_reader *reader);

/* Checks a complete body. Returns 0, or a code of measure.h with a message in
 * @detail, which has @size bytes. */
int wanted_judge(const struct wanted *self, const struct wanted_reader *reader,
                 struct wanted_bytes echo, char *detail, size_t size);

void wanted_begin(struct wanted_reader *reader);

void wanted_drop(struct wanted_reader *reader);

/*
 * Requests and expected responses of a thread, for all versions of HTTP. There
 * is one request for each target or, with --mix and --urls, for each target and
 * kind.
 */

/* Without --expect, a response with this status or a higher one is a
 * failure. */
#define HTTP_FAILURE_STATUS 400U

/* Size of a host in brackets with a port. */
#define HTTP_HOST_SIZE (TARGET_HOST_SIZE + 16)

struct http_load {
    const struct run_options *options;
    bool is_v2;
    struct wanted wanted;
    /* Buffer for one request with its placeholders replaced. */
    char *scratch;
    size_t scratch_size;
    /* There are several kinds of requests (--mix, --urls). */
    bool is_varied;
    /* All kinds of the first target, then all kinds of the next target, and so
     * on. If the last request of a connection differs, the variants for it
     * follow in the same order from index last_offset; otherwise last_offset is
     * 0. The first thread owns the requests; the others read them. */
    size_t last_offset;
    size_t request_count;
    struct http_request *requests;
    bool owns_requests;
};

/* Writes the value of the Host field: without the scheme's default port, and
 * without an address's zone, which it must not have (RFC 6874). @size should be
 * HTTP_HOST_SIZE. */
void http_load_print_host(const struct target *target, char *text, size_t size);

/* Makes the requests, or uses those of the first thread if @first is not NULL.
 * Returns 0, or a negative error that was printed. http_load_fini() must be
 * called in both cases. */
int http_load_init(struct http_load *self, const struct run_options *options,
                   bool is_v2, const struct http_load *first);

void http_load_fini(struct http_load *self);

/* Makes the request for a target and a kind. If @kind is NULL, @http defines
 * the request; otherwise @http is overwritten from the kind. Returns 0, or a
 * negative error with a reason in @why (WHY_SIZE). */
int http_load_make(struct http_options *http, const struct target *target,
                   const struct request_kind *kind, size_t copies,
                   struct http_request *ret, char *why);

/* Implements codec.announces_end. Returns true with --requests-per-conn, unless
 * -H sets a Connection field that does not close. */
bool http_load_announces_end(const struct run_options *options);

const struct http_request *http_load_find(const struct http_load *self,
                                          const struct target *target);

/* Returns true if a complete response with this status needs no further
 * check. */
static inline bool http_load_takes_any(const struct http_load *self,
                                       uint16_t status)
{
    const struct http_options *http = &self->options->http;

    return self->wanted.kind == WANTED_ANY && !http->has_expected &&
           status < HTTP_FAILURE_STATUS;
}

/* Checks a complete response: its status, and its body unless it is a response
 * to HEAD. @echo is the body of its request. */
void http_load_judge(const struct http_load *self, bool is_head_request,
                     uint64_t body_bytes, const struct wanted_reader *reader,
                     struct wanted_bytes echo, struct codec_answer *answer);

#endif
