/*
 * The call that asks for a connection to an upstream.
 *
 * A request keeps what its tries need of the options, so that the program may
 * forget them: the own address is copied, the key is hashed, and upstreams are
 * remembered by numbers that are not used again.
 */
#include "lib/base/options.h"
#include "lib/net/connect/connect.h"
#include "request.h"
#include "uring/alloc.h"

#include <stddef.h>
#include <string.h>

#define TRIES_DEFAULT  3u
#define TRY_TIMEOUT_NS UINT64_C(10000000000)

static int
request_ask_check(const weir_upstreams *set, const struct weir_factory *factory,
                  const struct weir_upstreams_connect_options *options,
                  weir_upstreams_done_fn *done)
{
    const struct weir_address *local = options->connect.local_address;

    wr_require(!set->is_closed, -ESHUTDOWN);
    wr_require(factory && factory->create && done, -EINVAL);
    wr_require(options->tries <= WR_TRIES_MAX, -EINVAL);
    wr_require(options->excluded_count <= WR_EXCLUDED_MAX, -EINVAL);
    wr_require(options->excluded || options->excluded_count == 0, -EINVAL);
    wr_require(options->key || options->key_size == 0, -EINVAL);
    wr_require(!options->connect.tls, -EINVAL);
    wr_require(!options->connect.fast_open, -EINVAL); /* no try would fail */
    wr_require(!local || wr_address_is_valid(local), -EINVAL);
    return 0;
}

/* Fills a request with what it needs of the options. */
static void
request_ask_fill(struct wr_request *request,
                 const struct weir_upstreams_connect_options *options)
{
    wr_assert(!request->slot);
    request->connect = options->connect;
    request->connect.size = sizeof(request->connect);
    if (request->connect.timeout_ns == 0) {
        request->connect.timeout_ns = TRY_TIMEOUT_NS;
    }
    if (options->connect.local_address) {
        request->local = *options->connect.local_address;
    }
    request->key = wr_hash_bytes(options->key, options->key_size);
    request->tries = options->tries > 0 ? options->tries : TRIES_DEFAULT;
    if (options->timeout_ns > 0) {
        request->end_ns = wr_add_sat(weir_loop_get_time(request->set->loop),
                                     options->timeout_ns);
    }
    for (size_t i = 0; i < options->excluded_count; i++) {
        wr_exclusions_add(&request->queued.excluded, options->excluded[i]->id);
    }
    request->shortage_timeout_ns = options->shortage_timeout_ns;
}

static int
request_ask_make(weir_upstreams *set,
                 const struct weir_upstreams_connect_options *options,
                 struct wr_request **ret)
{
    struct wr_request *request =
        wr_alloc(&set->loop->counting, sizeof(*request));
    wr_require(request, -ENOMEM);
    memset(request, 0, offsetof(struct wr_request, text));
    request->text[0] = '\0';
    if (!options->connect.error_text) {
        request->result.error_text = request->text;
    }
    wr_request_init(request, set);
    request_ask_fill(request, options);
    request->slot = wr_slot_make(set);
    if (!request->slot) {
        wr_free(&set->loop->counting, request, sizeof(*request));
        return -ENOMEM;
    }
    wr_assert(!request->slot->upstream);
    *ret = request;
    return 0;
}

int weir_upstreams_connect(weir_upstreams *set,
                           const struct weir_factory *factory,
                           const struct weir_upstreams_connect_options *options,
                           weir_upstreams_done_fn *done, void *done_arg,
                           weir_pending **ret)
{
    struct weir_upstreams_connect_options known;
    struct wr_request *request;

    wr_require_loop(set->loop);
    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    err = wr_connect_options_read(&known, &known.connect);
    wr_require(err >= 0, err);
    err = request_ask_check(set, factory, &known, done);
    wr_require(err >= 0, err);
    err = request_ask_make(set, &known, &request);
    wr_require(err >= 0, err);
    request->factory = *factory;
    request->done = done;
    request->done_arg = done_arg;
    wr_request_start(request);
    if (ret) {
        *ret = &request->pending;
    }
    return 0;
}
