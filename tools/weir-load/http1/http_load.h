/*
 * What a thread asks for over HTTP, whichever version it speaks: a request for
 * each target, or with --mix and --urls one of each kind; and what
 * answers have to be.
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

/* Without --expect a status from here on is a failure. */
#define HTTP_FAILURE_STATUS 400U

/* A host in brackets and a port. */
#define HTTP_HOST_SIZE (TARGET_HOST_SIZE + 16)

struct http_load {
    const struct run_options *options;
    /* Over HTTP/2. */
    bool is_v2;
    struct wanted wanted;
    /* One that is not always the same is put together here; of the largest
     * request. */
    char *scratch;
    size_t scratch_size;
    /* Requests are not all of one kind. */
    bool is_varied;
    /* The first thread's: the kinds of the first target, then those of the
     * next; and so many behind each the same as the last one of its connection,
     * 0: they are not told apart. */
    size_t last_offset;
    size_t request_count;
    struct http_request *requests;
    bool owns_requests;
};

/* A host as the field Host has it: without the port where it is the scheme's
 * own, and without the zone of an address, which means nothing there (RFC
 * 6874). HTTP_HOST_SIZE is enough room. */
void http_load_print_host(const struct target *target, char *text, size_t size);

/* Over HTTP/2 or not, with requests of its own, or those of the first thread's.
 * 0, or a negative error that has been told; http_load_fini() is called as
 * well. */
int http_load_init(struct http_load *self, const struct run_options *options,
                   bool is_v2, const struct http_load *first);

void http_load_fini(struct http_load *self);

/* One request of a target, of a kind, or without one what the options say,
 * which are written over. 0, or a negative error with one line in why
 * (TEMPLATE_WHY_SIZE). */
int http_load_make(struct http_options *http, const struct target *target,
                   const struct request_kind *kind, size_t copies,
                   struct http_request *ret, char *why);

/* codec.announces_end of HTTP/1.1: --requests-per-conn, unless -H has said what
 * the server is told of it. */
bool http_load_announces_end(const struct run_options *options);

/* The first kind of a target. */
const struct http_request *http_load_find(const struct http_load *self,
                                          const struct target *target);

/* The kind that is asked for next, of those from the first on: by its number in
 * the run where there are lines, else by random. */
const struct http_request *http_load_choose(const struct http_load *self,
                                            const struct http_request *first,
                                            uint64_t random, uint64_t number);

/* Is a complete answer of this status as expected, whatever its body is? */
static inline bool http_load_takes_any(const struct http_load *self,
                                       uint16_t status)
{
    const struct http_options *http = &self->options->http;

    return self->wanted.kind == WANTED_ANY && !http->has_expected &&
           status < HTTP_FAILURE_STATUS;
}

/* Judge a complete answer: its status, and the body that was read unless it
 * answers HEAD. The echo is the body of its request. */
void http_load_judge(const struct http_load *self, bool is_head_request,
                     uint64_t body_bytes, const struct wanted_reader *reader,
                     struct wanted_bytes echo, struct codec_answer *answer);

#endif
