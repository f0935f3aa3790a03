/*
 * weir_open_connection() and its like: a task waits for an attempt to connect.
 *
 * The attempt's factory and its done refer to the task's stack. So the task
 * never returns before done has run: a cancellation cancels the attempt, and
 * the task waits for its done.
 */
#include "lib/base/options.h"
#include "lib/net/connect/connect.h"
#include "lib/transport/socket.h"
#include "writer.h"

struct opening {
    struct wr_waiter waiter;
    struct weir_protocol_binding binding;
    weir_pending *connect;
    const char *alert; /* of the peer's TLS */
};

static int stream_open_create(void *arg, weir_transport *t,
                              struct weir_protocol_binding *ret)
{
    const struct opening *opening = arg;
    (void)t;
    wr_assert(opening->binding.protocol != NULL);
    *ret = opening->binding;
    return 0;
}

static void stream_open_opened(void *arg, int err, weir_transport *t)
{
    struct opening *opening = arg;

    wr_assert((err < 0) == !t);
    opening->alert = weir_connect_get_tls_alert(opening->connect);
    wr_waiter_wake(&opening->waiter, err);
}

static void stream_open_give_up(struct wr_waiter *waiter)
{
    struct opening *opening = wr_container_of(waiter, struct opening, waiter);

    wr_assert(opening->connect != NULL);
    weir_pending_cancel(opening->connect);
}

static int stream_open_read_options(const struct weir_open_options *options,
                                    struct weir_open_options *ret)
{
    int err = wr_options_read(ret, sizeof(*ret), options);
    if (err == 0) {
        err = wr_connect_options_read(ret, &ret->connect);
    }
    wr_require(err >= 0, err);
    wr_require(ret->limit_bytes <= INT64_MAX, -EINVAL);
    return 0;
}

static int
stream_open_connect_and_wait(weir_loop *loop, struct weir_place place,
                             const struct weir_connect_options *options,
                             struct opening *opening)
{
    const struct weir_factory factory = {.create = stream_open_create,
                                         .arg = opening};
    const struct wr_connect_call call = {.place = place,
                                         .options = options,
                                         .done = stream_open_opened,
                                         .done_arg = opening};

    wr_assert(options->size > 0);
    wr_assert(!opening->connect);
    int err = wr_connect_start(loop, &factory, &call, &opening->connect);
    return err < 0 ? err : wr_task_wait(loop, &opening->waiter, NULL);
}

int weir_open_connection_at(weir_loop *loop, struct weir_place place,
                            const struct weir_open_options *options,
                            weir_reader **ret_reader, weir_writer **ret_writer)
{
    static const struct wr_wait_kind kind = {.name = "connect",
                                             .interrupt = stream_open_give_up};
    struct weir_open_options known;
    struct weir_stream_options stream = {.size = sizeof(stream)};
    struct opening opening = {.waiter = {.kind = &kind}};
    weir_writer *writer = NULL;

    const int unread = stream_open_read_options(options, &known);
    int err = wr_stream_enter(loop, unread, ret_writer != NULL);
    if (err == 0) {
        stream.limit_bytes = known.limit_bytes;
        err =
            weir_stream_protocol_new(loop, &stream, &opening.binding, &writer);
    }
    if (err < 0) {
        wr_socket_refuse(wr_place_get_fd(&place));
        return err;
    }
    err = stream_open_connect_and_wait(loop, place, &known.connect, &opening);
    if (known.tls_alert) {
        *known.tls_alert = opening.alert;
    }
    if (err < 0) {
        weir_writer_unref(writer); /* closes its connection, if any */
        return err;
    }
    wr_writer_check_invariants(writer);
    wr_assert(writer->state != WRITER_UNBOUND); /* perhaps already lost */
    if (ret_reader) {
        *ret_reader = &writer->reader;
    }
    *ret_writer = writer;
    return 0;
}

int weir_open_connection(weir_loop *loop, const char *host, uint16_t port,
                         const struct weir_open_options *options,
                         weir_reader **ret_reader, weir_writer **ret_writer)
{
    return weir_open_connection_at(loop, weir_place_host(host, port), options,
                                   ret_reader, ret_writer);
}

int weir_open_unix_connection(weir_loop *loop, const char *path,
                              const struct weir_open_options *options,
                              weir_reader **ret_reader,
                              weir_writer **ret_writer)
{
    return weir_open_connection_at(loop, weir_place_unix(path), options,
                                   ret_reader, ret_writer);
}
