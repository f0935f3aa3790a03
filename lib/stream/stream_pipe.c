/*
 * Streams over pipes.
 *
 * A pipe is already open, and the protocol of a stream calls no code of the
 * program. So the transport is made inside the task's call, and the call does
 * not wait.
 */
#include "lib/base/options.h"
#include "lib/transport/pipe/pipe.h"
#include "lib/transport/sock/sock.h"
#include "writer.h"

static int stream_pipe_create(void *arg, weir_transport *t,
                              struct weir_protocol_binding *ret)
{
    const struct weir_protocol_binding *binding = arg;
    (void)t;
    wr_assert(binding->protocol != NULL);
    *ret = *binding;
    return 0;
}

static int
stream_pipe_read_options(const struct weir_open_pipe_options *options,
                         struct weir_open_pipe_options *ret)
{
    int err = wr_options_read(ret, sizeof(*ret), options);
    if (err == 0) {
        err = wr_connection_options_read(ret, &ret->connection);
    }
    wr_require(err >= 0, err);
    wr_require(ret->limit_bytes <= INT64_MAX, -EINVAL);
    return 0;
}

/* Makes the transport; takes @fd. */
static int stream_pipe_bind(weir_loop *loop, int fd,
                            enum wr_pipe_direction direction,
                            const struct weir_connection_options *connection,
                            struct weir_protocol_binding *binding)
{
    const struct weir_factory factory = {.create = stream_pipe_create,
                                         .arg = binding};
    weir_transport *t;

    wr_assert(!wr_loop_is_closing(loop)); /* a closing loop makes no stream */
    return wr_pipe_open(loop, fd, direction, &factory, connection, &t);
}

static int stream_pipe_open(weir_loop *loop, int fd,
                            enum wr_pipe_direction direction,
                            const struct weir_open_pipe_options *options,
                            weir_writer **ret)
{
    struct weir_open_pipe_options known;
    struct weir_stream_options stream = {.size = sizeof(stream)};
    struct weir_protocol_binding binding;
    weir_writer *writer = NULL;

    const int unread = stream_pipe_read_options(options, &known);
    int err = wr_stream_enter(loop, unread, ret != NULL);
    if (err == 0) {
        err = wr_pipe_check(fd, direction);
    }
    if (err == 0) {
        stream.limit_bytes = known.limit_bytes;
        err = weir_stream_protocol_new(loop, &stream, &binding, &writer);
    }
    if (err < 0) {
        wr_ignore(wr_sys_close(fd) < 0); /* the call has taken it */
        return err;
    }
    err = stream_pipe_bind(loop, fd, direction, &known.connection, &binding);
    if (err < 0) {
        weir_writer_unref(writer);
        return err;
    }
    wr_writer_check_invariants(writer);
    *ret = writer;
    return 0;
}

int weir_open_read_pipe(weir_loop *loop, int fd,
                        const struct weir_open_pipe_options *options,
                        weir_reader **ret_reader, weir_writer **ret_writer)
{
    int err = stream_pipe_open(loop, fd, WR_PIPE_READ, options, ret_writer);

    if (err == 0 && ret_reader) {
        *ret_reader = &(*ret_writer)->reader;
    }
    return err;
}

int weir_open_write_pipe(weir_loop *loop, int fd,
                         const struct weir_open_pipe_options *options,
                         weir_writer **ret_writer)
{
    return stream_pipe_open(loop, fd, WR_PIPE_WRITE, options, ret_writer);
}
