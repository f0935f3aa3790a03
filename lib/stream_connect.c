/*
 * weir_open_connection(): a connection attempt that a task waits for.
 *
 * The attempt knows of the task's stack: its factory and its done do. So the
 * task never returns before done has run; a cancellation is passed on to the
 * attempt, which tells its end like any other.
 */
#include "connect.h"
#include "options.h"
#include "writer.h"

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

/* What came of reading the caller's options, for when a task may fail. */
static int read_options(const struct weir_open_options *options,
                        struct weir_open_options *ret)
{
    int err = wr_options_read(ret, sizeof(*ret), options);
    if (err == 0) {
        err = wr_connect_options_read(ret, &ret->connect);
    }
    wr_require(err >= 0, err);
    wr_require(!ret->connect.done, -EINVAL);
    wr_require(ret->limit_bytes >= 0, -EINVAL);
    return 0;
}

static int connect_and_wait(weir_loop *loop, const char *host, uint16_t port,
                            const struct weir_connect_options *options,
                            struct opening *opening)
{
    const struct weir_factory factory = {.create = create, .arg = opening};

    int err = wr_connect_start(loop, &factory, host, port, options,
                               &opening->connect);
    if (err == 0) {
        err = wr_task_wait(loop, &opening->waiter, NULL);
    }
    return err;
}

int weir_open_connection(weir_loop *loop, const char *host, uint16_t port,
                         const struct weir_open_options *options,
                         weir_reader **ret_reader, weir_writer **ret_writer)
{
    struct weir_open_options known;
    struct weir_stream_protocol_options stream = {.size = sizeof(stream)};
    struct opening opening = {.waiter = {.interrupt = give_up}};
    weir_writer *writer = NULL;

    const int unread = read_options(options, &known);
    int err = wr_task_enter(loop);
    if (err == 0) {
        err = ret_writer ? unread : -EINVAL;
    }
    if (err == 0) {
        stream.limit_bytes = known.limit_bytes;
        err =
            weir_stream_protocol_new(loop, &stream, &opening.binding, &writer);
    }
    if (err < 0) {
        wr_connect_refuse(&known.connect);
        return err;
    }
    known.connect.done = opened;
    known.connect.done_arg = &opening;
    err = connect_and_wait(loop, host, port, &known.connect, &opening);
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
