/*
 * The call that asks for a connection to an upstream.
 *
 * A request keeps what its tries need of the options, so that the program may
 * forget them: the own address is copied, the key is hashed, and upstreams are
 * remembered by numbers that are not used again.
 */
#include "lib/base/options.h"
#include "lib/net/connect/connect.h"
#include "lib/stream/writer.h"
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
    wr_require(options->limit_bytes <= INT64_MAX, -EINVAL);
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

/* ---- from a task ---- */

/* On the stack of the task that waits for a request. */
struct request_opening {
    struct wr_waiter waiter;
    weir_pending *request;
    struct weir_upstreams_result result; /* with references until it is told */
};

static void request_ask_opened(void *arg, int err,
                               const struct weir_upstreams_result *result)
{
    struct request_opening *opening = arg;

    wr_assert((err == 0) == (result->slot != NULL));
    opening->result = *result;
    opening->result.error_text = NULL; /* it ends with the request */
    if (result->upstream) {
        wr_upstream_ref(result->upstream);
    }
    if (result->transport) {
        weir_transport_ref(result->transport);
    }
    wr_waiter_wake(&opening->waiter, err);
}

static void request_ask_give_up(struct wr_waiter *waiter)
{
    struct request_opening *opening =
        wr_container_of(waiter, struct request_opening, waiter);

    wr_assert(opening->request != NULL);
    weir_pending_cancel(opening->request); /* done follows */
}

/* Gives the upstream back, which the slot keeps, or else the set, if it has it
 * still. */
static void request_ask_leave_upstream(struct weir_upstreams_result *result)
{
    weir_upstream *upstream = result->upstream;

    if (!upstream) {
        return;
    }
    if (!result->slot && (upstream->is_removed || upstream->set->is_freed)) {
        result->upstream = NULL;
    }
    wr_assert(!result->slot || result->slot->upstream == upstream);
    wr_upstream_unref(upstream);
}

/* After wr_task_enter(): asks, and waits for the end. */
static int
request_ask_open(weir_upstreams *set, const struct weir_factory *factory,
                 const struct weir_upstreams_connect_options *options,
                 struct weir_upstreams_result *ret)
{
    static const struct wr_wait_kind kind = {.name = "upstream",
                                             .interrupt = request_ask_give_up};
    struct request_opening opening = {.waiter = {.kind = &kind}};
    weir_loop *loop = set->loop; /* the set may be freed meanwhile */

    wr_assert(loop->current != NULL);
    int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    err = weir_upstreams_connect(set, factory, options, request_ask_opened,
                                 &opening, &opening.request);
    wr_require(err >= 0, err);
    err = wr_task_wait(loop, &opening.waiter, NULL);
    wr_assert((err == 0) == (opening.result.transport != NULL));
    request_ask_leave_upstream(&opening.result);
    wr_answer_write(ret, &opening.result, sizeof(opening.result));
    return err;
}

int weir_upstreams_open_transport(
    weir_upstreams *set, const struct weir_factory *factory,
    const struct weir_upstreams_connect_options *options,
    struct weir_upstreams_result *ret)
{
    const int err = wr_task_enter(set->loop);

    wr_require(err >= 0, err);
    return request_ask_open(set, factory, options, ret);
}

struct request_stream {
    uint64_t limit_bytes;
    weir_writer *writer; /* NULL: there is no connection yet */
};

/* The stream is made when there is a connection, so that a request that waits
 * has none. */
static int request_ask_create(void *arg, weir_transport *t,
                              struct weir_protocol_binding *ret)
{
    struct request_stream *stream = arg;
    const struct weir_stream_options options = {
        .size = sizeof(options), .limit_bytes = stream->limit_bytes};

    wr_assert(!stream->writer);
    return weir_stream_protocol_new(t->loop, &options, ret, &stream->writer);
}

int weir_upstreams_open_connection(
    weir_upstreams *set, const struct weir_upstreams_connect_options *options,
    struct weir_upstreams_result *ret, weir_reader **ret_reader,
    weir_writer **ret_writer)
{
    struct weir_upstreams_connect_options known;
    struct request_stream stream = {.writer = NULL};
    const struct weir_factory factory = {request_ask_create, &stream};

    const int unread = wr_options_read(&known, sizeof(known), options);
    int err = wr_stream_enter(set->loop, unread, ret_writer != NULL);
    wr_require(err >= 0, err);
    stream.limit_bytes = known.limit_bytes;
    err = request_ask_open(set, &factory, options, ret);
    if (err < 0) {
        weir_writer_unref(stream.writer); /* closes its connection, if any */
        return err;
    }
    wr_assert(stream.writer->state != WRITER_UNBOUND); /* perhaps lost */
    weir_transport_unref(stream.writer->transport); /* the result's reference */
    if (ret_reader) {
        *ret_reader = &stream.writer->reader;
    }
    *ret_writer = stream.writer;
    return 0;
}
