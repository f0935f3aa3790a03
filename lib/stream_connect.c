/*
 * weir_open_connection(): a connection attempt that a task waits for.
 *
 * The attempt knows of the task's stack: its factory and its done do. So the
 * task never returns before done has run; a cancellation is passed on to the
 * attempt, which tells its end like any other.
 */
#include "writer.h"

#include "../uring/sys.h"

#include <string.h>

struct opening {
    struct wr_waiter waiter;
    struct weir_protocol_binding binding;
    weir_connect *connect;
};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    const struct opening *opening = arg;
    (void)t;
    *ret = opening->binding;
    return 0;
}

static void opened(void *arg, int err, weir_transport *t)
{
    struct opening *opening = arg;
    (void)t;
    wr_waiter_wake(&opening->waiter, err);
}

static void give_up(struct wr_waiter *waiter)
{
    struct opening *opening = wr_container_of(waiter, struct opening, waiter);
    weir_connect_cancel(opening->connect);
}

/* All defaults, and what the caller has set of it. */
static int read_options(const struct weir_open_options *options,
                        struct weir_stream_protocol_options *ret_stream,
                        struct weir_connect_options *ret_connect)
{
    struct weir_open_options known = {.size = sizeof(known)};

    *ret_stream =
        (struct weir_stream_protocol_options){.size = sizeof(*ret_stream)};
    *ret_connect = (struct weir_connect_options){.size = sizeof(*ret_connect)};
    if (!options) {
        return 0;
    }
    int err = wr_options_check(options, sizeof(known));
    wr_require(err >= 0, err);
    memcpy(&known, options, wr_min_u64(options->size, sizeof(known)));
    ret_stream->limit_bytes = known.limit_bytes;
    err = wr_options_check_inner(&known.connect, sizeof(known.connect));
    wr_require(err >= 0, err);
    *ret_connect = known.connect;
    ret_connect->size = sizeof(*ret_connect);
    wr_require(!ret_connect->done, -EINVAL);
    return wr_stream_check(ret_stream);
}

/* Takes no descriptor when it fails before the attempt begins. */
static int connect_and_wait(weir_loop *loop, const char *host, uint16_t port,
                            const struct weir_connect_options *options,
                            struct opening *opening)
{
    const struct weir_factory factory = {.create = create, .arg = opening};

    int err = weir_create_connection(loop, &factory, host, port, options,
                                     &opening->connect);
    if (err == 0) {
        err = wr_task_wait(loop, &opening->waiter, NULL);
    }
    return err;
}

/* What a call that fails before weir_create_connection() must do itself. */
static int refuse(const struct weir_open_options *options, int err)
{
    if (options && options->connect.use_sock) {
        wr_ignore(wr_sys_close(options->connect.sock)); /* taken in any case */
    }
    return err;
}

int weir_open_connection(weir_loop *loop, const char *host, uint16_t port,
                         const struct weir_open_options *options,
                         weir_reader **ret_reader, weir_writer **ret_writer)
{
    struct weir_stream_protocol_options stream;
    struct weir_connect_options connect;
    struct opening opening = {.waiter = {.interrupt = give_up}};
    weir_writer *writer = NULL;

    int err = wr_task_enter(loop);
    if (err == 0) {
        err = read_options(options, &stream, &connect);
    }
    if (err == 0 && !ret_writer) {
        err = -EINVAL;
    }
    if (err == 0) {
        err =
            weir_stream_protocol_new(loop, &stream, &opening.binding, &writer);
    }
    if (err < 0) {
        return refuse(options, err);
    }
    connect.done = opened;
    connect.done_arg = &opening;
    err = connect_and_wait(loop, host, port, &connect, &opening);
    if (err < 0) {
        weir_writer_unref(writer); /* closes what came about nevertheless */
        return err;
    }
    if (ret_reader) {
        *ret_reader = &writer->reader;
    }
    *ret_writer = writer;
    return 0;
}
