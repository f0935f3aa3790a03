/*
 * An echo client on a Unix socket, with streams: sends a message, prints the
 * answer and closes.
 * Usage: unix_echo_client PATH (or @NAME)
 */
#include <err.h>
#include <stdio.h>
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

static int talk(weir_loop *loop, void *path)
{
    weir_reader *reader;
    weir_writer *writer;
    int error = weir_open_unix_connection(loop, path, NULL, &reader, &writer);
    if (error < 0) {
        return error;
    }
    error = say(reader, writer, "Hello World!");
    weir_writer_unref(writer);
    return error;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        errx(2, "usage: unix_echo_client PATH");
    }
    int error = weir_run(NULL, talk, argv[1]);
    if (error < 0) {
        errx(1, "%s: %s", argv[1], weir_strerror(error));
    }
    return 0;
}
