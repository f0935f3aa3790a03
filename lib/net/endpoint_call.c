/*
 * The public calls that make a datagram endpoint.
 *
 * They read the options of the program, and describe themselves to endpoint.c.
 * A socket that is adopted is closed if the options cannot be read.
 */
#include "endpoint.h"

#include "lib/base/options.h"
#include "uring/check.h"

/* Reads the options of the program, then begins. */
static int endpoint_call_begin(weir_loop *loop,
                               const struct weir_factory *factory,
                               struct wr_endpoint_call *call,
                               const struct weir_datagram_options *options,
                               weir_pending **ret)
{
    struct weir_datagram_options known;

    int err = wr_options_read(&known, sizeof(known), options);
    if (err < 0) {
        wr_endpoint_refuse(loop, call);
        return err;
    }
    wr_assert(known.size > 0);
    call->options = &known;
    return wr_endpoint_start(loop, factory, call, ret);
}

int weir_create_datagram_endpoint(weir_loop *loop,
                                  const struct weir_factory *factory,
                                  const struct weir_datagram_options *options,
                                  weir_endpoint_done_fn *done, void *done_arg,
                                  weir_pending **ret)
{
    struct wr_endpoint_call call = {.done = done, .done_arg = done_arg};

    return endpoint_call_begin(loop, factory, &call, options, ret);
}

int weir_create_datagram_endpoint_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_place local, struct weir_place remote,
    const struct weir_datagram_options *options, weir_endpoint_done_fn *done,
    void *done_arg, weir_pending **ret)
{
    struct wr_endpoint_call call = {.has_places = true,
                                    .local = local,
                                    .remote = remote,
                                    .done = done,
                                    .done_arg = done_arg};

    return endpoint_call_begin(loop, factory, &call, options, ret);
}
