/*
 * asyncio's "TCP echo server using streams": sends received bytes back, and
 * closes a connection at the client's end of stream. SIGINT or SIGTERM ends it.
 * Usage: tcp_echo_server_streams [PORT]
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir.h>

/* Runs as a task for each connection; its return closes the connection. */
static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    int error = 0;

    (void)arg;
    while (error == 0) {
        struct weir_buf bytes;
        ssize_t len = weir_reader_take(reader, 65536, &bytes);
        if (len <= 0) {
            return (int)len;
        }
        error = weir_writer_write_buf(writer, &bytes);
        weir_buf_unref(bytes.lease);
        if (error == 0) {
            error = weir_writer_drain(writer); /* if the client is slow */
        }
    }
    return error;
}

static int serve(weir_loop *loop, void *port)
{
    weir_server *server;
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    int error = weir_start_server(loop, echo, "127.0.0.1", *(uint16_t *)port,
                                  NULL, &server);
    if (error < 0) {
        return error;
    }
    weir_server_get_socket(server, 0, &address);
    printf("serving on %s\n",
           weir_address_format(&address, text, sizeof(text)));
    fflush(stdout);
    error = weir_server_serve_forever(server); /* until a signal cancels it */
    weir_server_free(server);
    return error;
}

int main(int argc, char **argv)
{
    uint16_t port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8888);
    int error = weir_run(NULL, serve, &port);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}
