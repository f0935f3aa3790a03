/*
 * Datagram endpoints that a task waits for.
 *
 * The maker's done points to the task's stack. So the task never returns before
 * done has run; a cancellation is passed on to the maker, whose done tells its
 * end like any other.
 */
#include "endpoint_open.h"

#include "lib/base/options.h"
#include "lib/task/task.h"

struct endpoint_opening {
    struct wr_waiter waiter;
    weir_pending *maker;
    weir_transport *t; /* NULL until it is made */
};

static void endpoint_open_done(void *arg, int err, weir_transport *t)
{
    struct endpoint_opening *opening = arg;

    wr_assert((err < 0) == !t);
    opening->t = t ? weir_transport_ref(t) : NULL;
    wr_waiter_wake(&opening->waiter, err);
}

static void endpoint_open_give_up(struct wr_waiter *waiter)
{
    struct endpoint_opening *opening =
        wr_container_of(waiter, struct endpoint_opening, waiter);

    wr_assert(opening->maker != NULL);
    weir_pending_cancel(opening->maker);
}

int wr_endpoint_await(weir_loop *loop, const struct weir_factory *factory,
                      struct wr_endpoint_call *call, weir_transport **ret)
{
    static const struct wr_wait_kind kind = {
        .name = "datagram endpoint", .interrupt = endpoint_open_give_up};
    struct endpoint_opening opening = {.waiter = {.kind = &kind}};

    call->done = endpoint_open_done;
    call->done_arg = &opening;
    wr_assert(call->options->size > 0);
    int err = wr_endpoint_start(loop, factory, call, &opening.maker);
    if (err == 0) {
        err = wr_task_wait(loop, &opening.waiter, NULL);
    }
    wr_assert(err < 0 || opening.t);
    if (err < 0 && opening.t) { /* interrupted when it was made */
        wr_ignore(weir_transport_abort(opening.t));
        weir_transport_unref(opening.t);
    }
    wr_require(err >= 0, err);
    *ret = opening.t;
    return 0;
}

static int endpoint_open_with(weir_loop *loop,
                              const struct weir_factory *factory,
                              struct wr_endpoint_call *call,
                              const struct weir_datagram_options *options,
                              weir_transport **ret)
{
    struct weir_datagram_options known;

    int err = wr_task_enter(loop);
    if (err == 0) {
        err = ret ? wr_options_read(&known, sizeof(known), options) : -EINVAL;
    }
    if (err < 0) {
        wr_endpoint_refuse(loop, call);
        return err;
    }
    call->options = &known;
    return wr_endpoint_await(loop, factory, call, ret);
}

int weir_open_datagram_endpoint(weir_loop *loop,
                                const struct weir_factory *factory,
                                const struct weir_datagram_options *options,
                                weir_transport **ret)
{
    struct wr_endpoint_call call = {.has_places = false};

    return endpoint_open_with(loop, factory, &call, options, ret);
}

int weir_open_datagram_endpoint_at(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   struct weir_place local,
                                   struct weir_place remote,
                                   const struct weir_datagram_options *options,
                                   weir_transport **ret)
{
    struct wr_endpoint_call call = {
        .has_places = true, .local = local, .remote = remote};

    return endpoint_open_with(loop, factory, &call, options, ret);
}
