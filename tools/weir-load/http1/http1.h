/*
 * HTTP/1.1 as weir-load speaks it: the reader of responses, expected bodies,
 * and requests as the codec sends them.
 *
 * HTTP/2 and WebSocket use the same requests and the same expectations.
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

/* ---- http_response ---- */

/*
 * HTTP/1.x responses on a connection: where each ends, and whether the
 * connection may be reused.
 *
 * Bytes may be split anywhere. Bodies are counted without copying: by length,
 * in chunks with trailers, or until the stream ends. Interim responses (1xx)
 * are skipped. Servers often send the same head again, so the last head is
 * cached. A head that equals the cached one is not parsed byte by byte. The
 * connections of a thread share the cache.
 */

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
    HTTP_CHUNK_EXT,  /* after the digits of a chunk's size */
    HTTP_CHUNK_FEED, /* after the CR of the line with a chunk's size */
    HTTP_CHUNK_DATA, /* in a chunk */
    HTTP_CHUNK_CR,   /* after a chunk */
    HTTP_CHUNK_LF,   /* after the CR that follows a chunk */
    HTTP_TRAILERS,   /* after the last chunk */
    HTTP_COMPLETE,   /* a response has ended */
    HTTP_BROKEN,     /* invalid */
};

struct http_response {
    enum http_state state;
    /* Responses answer HEAD requests and have no bodies. */
    bool is_head_request;
    /* The message is a request, which is parsed after its first line. A request
     * without a length has no body. */
    bool is_request;
    /* Blanks followed the chunk's size, so an extension must follow. */
    bool awaits_extension;
    /* Number of digits of the chunk's size so far. */
    uint8_t digits;
    uint8_t shown_len;
    uint32_t line_bytes;
    /* Bytes still missing of the body or of the chunk. */
    uint64_t left_bytes;
    /* Bytes of the response so far. */
    uint64_t size_bytes;
    /* Bytes of the body so far, without the framing. */
    uint64_t body_bytes;
    struct http_head_reader reader;
    /* Called with each piece of a body, without the framing. May be NULL. Set
     * after http_response_init(). */
    void (*take_body)(void *arg, const uint8_t *data, size_t len);
    void *take_arg;
    /* Start of the response, or of an error in its body. */
    uint8_t shown[HTTP_SHOWN_MAX];
};

/* Initialises a reader for a new connection. Either all requests of a
 * connection are HEAD requests or none is. */
void http_response_init(struct http_response *response, bool is_head_request);

/* Starts to parse a request of version 1.minor after its first line: fields and
 * a body, up to HTTP_COMPLETE. */
void http_response_begin_request(struct http_response *response, uint8_t minor);

void http_kept_init(struct http_kept *kept);

/*
 * Parses a response or a part of it. After a complete response the next call
 * starts the next response.
 *
 * Returns the number of bytes used, or an enum http_error. All bytes are used
 * unless the state is HTTP_COMPLETE.
 */
ssize_t http_response_read(struct http_response *response,
                           struct http_kept *kept, const uint8_t *data,
                           size_t len);

/* Must be called when the stream has ended. Returns 0 if the end completes the
 * response, else HTTP_E_CUT. */
int http_response_end(struct http_response *response);

/* Returns true if the connection may be reused after a complete response. */
bool http_response_may_go_on(const struct http_response *response);

/* Returns the status; the head must be complete. */
static inline uint16_t http_response_status(const struct http_response *self)
{
    return self->reader.head.status;
}

/* Writes one line about an error, with the bytes at the error, to text of size
 * bytes. Returns text. */
const char *http_response_describe(const struct http_response *response,
                                   int err, char *text, size_t size);

/* ---- wanted ---- */

/*
 * The required body of an HTTP response, from --expect:
 *
 *     text:TEXT   these bytes, with the escapes of script.c
 *     file:NAME   the bytes of a file, which is read once
 *     len:SIZE    this many bytes
 *     echo        the body of its request
 *     re:REGEX    a match of an extended regular expression (regex(7))
 *
 * A body arrives in pieces, split anywhere. The pieces are compared in place.
 * Only a regular expression needs the whole body. For a regular expression the
 * size of a body is therefore limited, and a body in several pieces is copied.
 */

/* Largest body that a regular expression is matched with. */
#define WANTED_KEPT_MAX (1U << 20)

/* Bytes of a wrong body that are shown. */
#define WANTED_SHOWN_MAX 40U

enum wanted_kind {
    WANTED_ANY, /* any body is right */
    WANTED_BYTES,
    WANTED_SIZE,
    WANTED_ECHO,
    WANTED_MATCH,
};

struct wanted_bytes {
    const char *bytes;
    size_t len;
};

/* All zero means WANTED_ANY. */
struct wanted {
    enum wanted_kind kind;
    /* WANTED_BYTES: the bytes of the body; owned. */
    char *bytes;
    size_t len;
    /* WANTED_SIZE: the size of the body. */
    uint64_t size_bytes;
    /* WANTED_MATCH: the regular expression. */
    regex_t regex;
};

/* Reader of a body; must be zero-initialised before the first body. */
struct wanted_reader {
    /* Number of bytes of the body so far. */
    uint64_t size_bytes;
    /* Number of bytes before the first wrong byte. */
    uint64_t right_bytes;
    size_t shown_len;
    uint8_t shown[WANTED_SHOWN_MAX];
    /* WANTED_MATCH: the only piece so far, borrowed. */
    const uint8_t *piece;
    /* WANTED_MATCH: buffer with copies of all pieces, which is kept for the
     * next body. */
    char *kept;
    /* Number of bytes in kept. */
    size_t kept_len;
    /* Size of the buffer kept. */
    size_t kept_size;
    bool has_no_memory;
};

/* Returns true if a value of --expect describes a body. len:SIZE can also be a
 * rule of a script (script.c). */
bool wanted_is_meant(const char *text);

/* Parses a value. Returns 0, or -ENOMEM or -EINVAL with a reason in why. The
 * result must be freed with wanted_fini(). */
int wanted_parse(const char *text, struct wanted *ret, char *why);

void wanted_fini(struct wanted *self);

/* Reads the next piece of a body, which must stay valid until wanted_keep() or
 * wanted_begin(). echo is the body of the request, for WANTED_ECHO. */
void wanted_read(const struct wanted *self, struct wanted_reader *reader,
                 struct wanted_bytes echo, const uint8_t *data, size_t len);

/* Copies the bytes to which the reader still points. Must be called before the
 * received bytes are overwritten, if the body is not complete yet. */
void wanted_keep(struct wanted_reader *reader);

/* Checks a complete body. Returns 0, or a code of measure.h with a message in
 * detail, which has size bytes. */
int wanted_judge(const struct wanted *self, const struct wanted_reader *reader,
                 struct wanted_bytes echo, char *detail, size_t size);

void wanted_begin(struct wanted_reader *reader);

void wanted_drop(struct wanted_reader *reader);

/* ---- http_load ---- */

/*
 * Requests and expected responses of a thread, for every version of HTTP: one
 * request for each target, or with --mix and --urls one request for each target
 * and kind.
 *
 * All threads use the requests of the first.
 */

/* Without --expect, responses with this status or above are failures. */
#define HTTP_FAILURE_STATUS 400U

/* Size of a host in brackets with a port. */
#define HTTP_HOST_SIZE (TARGET_HOST_SIZE + 16)

struct http_load {
    const struct run_options *options;
    bool is_v2;
    struct wanted wanted;
    /* Buffer in which a varying request is rendered. */
    char *scratch;
    size_t scratch_size;
    /* Requests are of several kinds. */
    bool is_varied;
    /* The requests are all kinds of the first target, then all kinds of the
     * next target. The variants that a connection sends as its last request
     * follow in the same order, from index last_offset; 0 if there are none.
     * The first thread owns them all. */
    size_t last_offset;
    size_t request_count;
    struct http_request *requests;
    bool owns_requests;
};

/* Writes a host for the field Host: without the scheme's default port, and
 * without an address's zone, which has no meaning there (RFC 6874). @size
 * should be HTTP_HOST_SIZE. */
void http_load_print_host(const struct target *target, char *text, size_t size);

/* Initialises the load with new requests, or if @first is not NULL with the
 * requests of the first thread. Returns 0, or a negative error that was
 * printed. http_load_fini() must be called in any case. */
int http_load_init(struct http_load *self, const struct run_options *options,
                   bool is_v2, const struct http_load *first);

void http_load_fini(struct http_load *self);

/* Makes the request for a target and a kind. If kind is NULL, http defines the
 * request; otherwise http is overwritten from the kind. Returns 0, or a
 * negative error with a reason in why (WHY_SIZE). */
int http_load_make(struct http_options *http, const struct target *target,
                   const struct request_kind *kind, size_t copies,
                   struct http_request *ret, char *why);

/* Implements codec.announces_end of HTTP/1.1. Returns true with
 * --requests-per-conn, unless -H sets another Connection field. */
bool http_load_announces_end(const struct run_options *options);

const struct http_request *http_load_find(const struct http_load *self,
                                          const struct target *target);

/* Returns the kind of the next request: with --urls the kind that belongs to
 * the request's @number in the run, with --mix one selected by @random. @first
 * is the target's first kind. */
const struct http_request *http_load_choose(const struct http_load *self,
                                            const struct http_request *first,
                                            uint64_t random, uint64_t number);

/* Returns true if any body is right in a complete response with this status. */
static inline bool http_load_takes_any(const struct http_load *self,
                                       uint16_t status)
{
    const struct http_options *http = &self->options->http;

    return self->wanted.kind == WANTED_ANY && !http->has_expected &&
           status < HTTP_FAILURE_STATUS;
}

/* Checks a complete response: its status, and its body unless it responds to
 * HEAD. echo is the body of its request. */
void http_load_judge(const struct http_load *self, bool is_head_request,
                     uint64_t body_bytes, const struct wanted_reader *reader,
                     struct wanted_bytes echo, struct codec_answer *answer);

#endif
