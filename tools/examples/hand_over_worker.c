/*
 * Echoes on connections that another process has accepted and hands over
 * (hand_over_front), until SIGINT or SIGTERM.
 * Usage: hand_over_worker PATH (or @NAME)
 */
#include <err.h>
#include <errno.h>
#include <weir.h>

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    (void)user;
    return weir_transport_write_buf(t, buf);
}

static const struct weir_protocol echo = {sizeof(echo), WEIR_PROTOCOL_STREAM,
                                          .data_received = data_received};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&echo, arg};
    return 0;
}

static int take(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct weir_factory factory = {create, arg};
    weir_loop *loop = weir_writer_get_loop(writer);
    int error = 0;

    while (error >= 0) {
        char mark;
        int fd;
        ssize_t len = weir_reader_read(reader, &mark, 1);
        if (len <= 0) {
            return (int)len;
        }
        ssize_t count = weir_reader_take_fds(reader, &fd, 1);
        if (count <= 0) {
            return (int)count;
        }
        error =
            weir_adopt_connection(loop, &factory, fd, NULL, NULL, NULL, NULL);
    }
    return error;
}

static int serve(weir_loop *loop, void *path)
{
    struct weir_start_server_options options = {
        .size = sizeof(options), .server.connection.fd_limit = 1};
    weir_server *server;
    int error = weir_start_unix_server(loop, take, path, &options, &server);
    if (error < 0) {
        return error;
    }
    error = weir_server_serve_forever(server); /* until a signal cancels it */
    weir_server_free(server);
    return error == -ECANCELED ? 0 : error;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        errx(2, "usage: hand_over_worker PATH");
    }
    int error = weir_run(NULL, serve, argv[1]);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}
