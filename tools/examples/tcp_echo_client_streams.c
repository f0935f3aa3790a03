/*
 * asyncio's "TCP echo client using streams": sends a message, prints the answer
 * and closes.
 * Usage: tcp_echo_client_streams [PORT]
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

static int say(weir_reader *reader, weir_writer *writer, const char *message)
{
    char answer[100];
    size_t len = strlen(message);
    int error = weir_writer_write(writer, message, len);
    if (error == 0) {
        error = weir_writer_drain(writer);
    }
    if (error < 0) {
        return error;
    }
    ssize_t got = weir_reader_readexactly(reader, answer, len);
    if (got < 0) {
        return (int)got;
    }
    printf("received: %.*s\n", (int)got, answer);
    weir_writer_close(writer);
    return weir_writer_wait_closed(writer);
}

static int talk(weir_loop *loop, void *port)
{
    weir_reader *reader;
    weir_writer *writer;
    int error = weir_open_connection(loop, "127.0.0.1", *(uint16_t *)port, NULL,
                                     &reader, &writer);
    if (error < 0) {
        return error;
    }
    error = say(reader, writer, "Hello World!");
    weir_writer_unref(writer);
    return error;
}

int main(int argc, char **argv)
{
    uint16_t port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8888);
    int error = weir_run(NULL, talk, &port);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}
