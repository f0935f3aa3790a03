/*
 * An echo server for connections that another process accepts and hands over
 * (hand_over_front). SIGINT or SIGTERM ends it.
 * Usage: hand_over_worker PATH (or @NAME)
 */
#include <err.h>
#include <errno.h>
#include <weir.h>

static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct weir_buf piece;
    int error = 0;
    (void)arg;
    while (error == 0 && weir_reader_read_view(reader, SIZE_MAX, &piece) > 0) {
        error = weir_writer_write_buf(writer, &piece);
        error = error == 0 ? weir_writer_drain(writer) : error;
    }
    return error;
}

/* Receives connections from a front and adds them to the echo server. */
static int take(void *server, weir_reader *reader, weir_writer *writer)
{
    char mark;
    (void)writer;
    while (weir_reader_read(reader, &mark, 1) > 0) {
        int fd;
        ssize_t count = weir_reader_take_fds(reader, &fd, 1);
        if (count <= 0) {
            return (int)count;
        }
        int error = weir_server_add_fd(server, fd);
        if (error < 0 && error != -ENOTCONN) { /* the client has disconnected */
            return error;
        }
    }
    return 0;
}

static int serve_fronts(weir_loop *loop, const char *path, weir_server *server)
{
    struct weir_start_server_options options = {.size = sizeof(options),
                                                .arg = server,
                                                .server.connection.fd_limit =
                                                    1};
    weir_server *fronts;
    int error = weir_start_unix_server(loop, take, path, &options, &fronts);
    if (error == 0) {
        error = weir_server_serve_forever(fronts); /* until a signal */
        weir_server_free(fronts);
    }
    return error;
}

static int serve(weir_loop *loop, void *path)
{
    struct weir_start_server_options options = {.size = sizeof(options),
                                                .server.no_sockets = true};
    weir_server *server;
    int error = weir_start_server(loop, echo, NULL, 0, &options, &server);
    if (error == 0) {
        error = serve_fronts(loop, path, server);
        weir_server_free(server);
    }
    return error;
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
