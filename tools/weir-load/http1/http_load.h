/*
 * Requests and expected responses of a thread, for every version of HTTP: one
 * request for each target, or with --mix and --urls one request for each target
 * and kind.
 *
 * All threads use the requests of the first.
 */
#ifndef WEIR_LOAD_HTTP_LOAD_H
#define WEIR_LOAD_HTTP_LOAD_H

#include "tools/weir-load/codec/codec.h"
#include "tools/weir-load/request/http_request.h"
#include "wanted.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Without --expect, responses with this status or above are failures. */
#define HTTP_FAILURE_STATUS 400U

/* A host in brackets and a port. */
#define HTTP_HOST_SIZE (TARGET_HOST_SIZE + 16)

struct http_load {
    const struct run_options *options;
    bool is_v2;
    struct wanted wanted;
    /* Buffer to render a varying request in. */
    char *scratch;
    size_t scratch_size;
    /* Requests are of several kinds. */
    bool is_varied;
    /* Requests of the first thread: all kinds of the first target, then of the
     * next. Each has a variant for the last request of a connection,
     * last_offset elements later; 0 means that there are no variants. */
    size_t last_offset;
    size_t request_count;
    struct http_request *requests;
    bool owns_requests;
};

/* Writes a host for the field Host: without the scheme's default port, and
 * without an address's zone, which has no meaning there (RFC 6874). @size
 * should be HTTP_HOST_SIZE. */
void http_load_print_host(const struct target *target, char *text, size_t size);

/* Initialises with new requests, or if @first is not NULL with the requests of
 * the first thread. Returns 0, or a negative error that was printed;
 * http_load_fini() must be called even then. */
int http_load_init(struct http_load *self, const struct run_options *options,
                   bool is_v2, const struct http_load *first);

void http_load_fini(struct http_load *self);

/* Makes a request for a target and a kind. Without a kind, http defines it;
 * otherwise http is overwritten. Returns 0, or a negative error with a reason
 * in why (WHY_SIZE). */
int http_load_make(struct http_options *http, const struct target *target,
                   const struct request_kind *kind, size_t copies,
                   struct http_request *ret, char *why);

/* codec.announces_end of HTTP/1.1: true with --requests-per-conn, unless -H
 * sets another Connection. */
bool http_load_announces_end(const struct run_options *options);

const struct http_request *http_load_find(const struct http_load *self,
                                          const struct target *target);

/* Returns the kind of the next request; first is the target's first kind. With
 * --urls the request's number in the run selects it, else random. */
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
