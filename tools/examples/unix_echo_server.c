/*
 * An echo server on a Unix socket, with streams: sends received bytes back, and
 * prints the client's credentials. SIGINT or SIGTERM ends it and removes the
 * socket.
 * Usage: unix_echo_server PATH, or @NAME for an abstract address
 */
#include <err.h>
#include <stdio.h>
#include <weir.h>

static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    weir_transport *transport = weir_writer_get_transport(writer);
    struct weir_peercred peer;
    int error = weir_transport_get_peercred(transport, &peer);

    (void)arg;
    if (error == 0) {
        printf("process %d of user %u\n", (int)peer.pid, (unsigned)peer.uid);
        fflush(stdout);
    }
    while (error == 0) {
        struct weir_buf bytes;
        ssize_t len = weir_reader_take(reader, 65536, &bytes);
        if (len <= 0) {
            return (int)len;
        }
        error = weir_writer_write_buf(writer, &bytes);
        weir_buf_unref(bytes.lease);
        if (error == 0) {
            error = weir_writer_drain(writer);
        }
    }
    return error;
}

static int serve(weir_loop *loop, void *path)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options), .server.socket_mode = 0600};
    weir_server *server;
    int error = weir_start_unix_server(loop, echo, path, &options, &server);
    if (error < 0) {
        return error;
    }
    printf("serving on %s\n", (const char *)path);
    fflush(stdout);
    error = weir_server_serve_forever(server); /* until a signal cancels it */
    weir_server_free(server);
    return error;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        errx(2, "usage: unix_echo_server PATH");
    }
    int error = weir_run(NULL, serve, argv[1]);
    if (error < 0) {
        errx(1, "%s: %s", argv[1], weir_strerror(error));
    }
    return 0;
}
