/*
 * weir_open_connection() and its variants. The connection is made in the
 * calling task, on its stack, because the protocol of a stream calls no code of
 * the program.
 */
#include "lib/base/options.h"
#include "lib/net/connect/connect.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"
#include "writer.h"

static int stream_open_create(void *arg, weir_transport *t,
                              struct weir_protocol_binding *ret)
{
    const struct weir_protocol_binding *binding = arg;
    (void)t;
    wr_assert(binding->protocol != NULL);
    *ret = *binding;
    return 0;
}

/* Takes the descriptor of @call. @unread is the result of reading options. */
static int stream_open_call(weir_loop *loop, const struct wr_connect_call *call,
                            int unread, size_t limit_bytes,
                            const char **ret_alert, weir_writer **ret)
{
    const struct weir_stream_options stream = {.size = sizeof(stream),
                                               .limit_bytes = limit_bytes};
    struct weir_protocol_binding binding;
    const struct weir_factory factory = {.create = stream_open_create,
                                         .arg = &binding};
    const char *alert = NULL;
    weir_writer *writer;

    int err = wr_stream_enter(loop, unread, ret != NULL);
    if (err == 0 && limit_bytes > INT64_MAX) {
        err = -EINVAL;
    }
    if (err == 0) {
        err = weir_stream_protocol_new(loop, &stream, &binding, &writer);
    }
    if (err < 0) {
        wr_socket_refuse(wr_endpoint_get_fd(&call->endpoint));
        return err;
    }
    err = wr_connect_await(loop, &factory, call, &alert);
    if (ret_alert) {
        *ret_alert = alert;
    }
    if (err < 0) {
        weir_writer_unref(writer);
        return err;
    }
    wr_writer_check_invariants(writer);
    wr_assert(writer->state != WRITER_UNBOUND); /* BOUND, or already LOST */
    *ret = writer;
    return 0;
}

int weir_open_connection_at(weir_loop *loop, struct weir_endpoint endpoint,
                            const struct weir_open_options *options,
                            weir_reader **ret_reader, weir_writer **ret_writer)
{
    struct weir_open_options known = {.size = sizeof(known)};
    const struct wr_connect_call call = {.endpoint = endpoint,
                                         .options = &known.connect};

    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        err = wr_connect_options_read(&known, &known.connect);
    }
    err = stream_open_call(loop, &call, err, known.limit_bytes, known.tls_alert,
                           ret_writer);
    if (err == 0 && ret_reader) {
        *ret_reader = &(*ret_writer)->reader;
    }
    return err;
}

int weir_open_connection(weir_loop *loop, const char *host, uint16_t port,
                         const struct weir_open_options *options,
                         weir_reader **ret_reader, weir_writer **ret_writer)
{
    return weir_open_connection_at(loop, weir_endpoint_host(host, port),
                                   options, ret_reader, ret_writer);
}

int weir_open_unix_connection(weir_loop *loop, const char *path,
                              const struct weir_open_options *options,
                              weir_reader **ret_reader,
                              weir_writer **ret_writer)
{
    return weir_open_connection_at(loop, weir_endpoint_unix(path), options,
                                   ret_reader, ret_writer);
}
