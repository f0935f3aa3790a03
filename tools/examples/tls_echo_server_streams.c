/*
 * A TLS echo server with streams: sends received bytes back, and closes a
 * connection at the client's end of stream. CHAIN has the certificate and KEY
 * its private key, both in PEM. SIGINT or SIGTERM ends it.
 * Usage: tls_echo_server_streams CHAIN KEY PORT
 */
#include "tls_run.h"

#include <stdio.h>
#include <stdlib.h>

static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    int error = 0;

    (void)arg;
    while (error == 0) {
        struct weir_buf bytes;
        ssize_t len = weir_reader_take(reader, 65536, &bytes);
        if (len <= 0) {
            return (int)len; /* an error if close_notify is missing */
        }
        error = weir_writer_write_buf(writer, &bytes);
        weir_buf_unref(bytes.lease);
        if (error == 0) {
            error = weir_writer_drain(writer);
        }
    }
    return error;
}

static int serve(weir_loop *loop, void *argv)
{
    weir_server *server;
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    struct weir_start_server_options options = {.size = sizeof(options)};
    options.server.tls = &tls;
    uint16_t port = (uint16_t)atoi(*(char **)argv);
    int error =
        weir_start_server(loop, echo, "127.0.0.1", port, &options, &server);
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
    if (argc != 4) {
        errx(2, "usage: tls_echo_server_streams CHAIN KEY PORT");
    }
    use_certificate(argv[1], argv[2]);
    return run_task(serve, argv + 3);
}
