/*
 * A TLS echo client with streams: sends a message, prints the answer and
 * closes. HOST is the name that the server's certificate must have. AUTHORITIES
 * is a file of trusted certificate authorities; the default is the system's.
 * Usage: tls_echo_client_streams HOST PORT [AUTHORITIES]
 */
#include "tls_run.h"

#include <stdio.h>
#include <stdlib.h>

static int say_hello(weir_reader *reader, weir_writer *writer)
{
    char answer[100];
    struct weir_extra_info version = {.size = sizeof(version)};
    int error = weir_writer_get_extra_info(writer, "tls_version", &version);
    if (error == 0) {
        error = weir_writer_write(writer, "Hello World!", 12);
    }
    if (error < 0) {
        return error;
    }
    ssize_t got = weir_reader_readexactly(reader, answer, 12);
    if (got < 0) {
        return (int)got;
    }
    printf("received by %s: %.*s\n", version.text, (int)got, answer);
    weir_writer_close(writer);
    return weir_writer_wait_closed(writer);
}

static int talk(weir_loop *loop, void *argv)
{
    char **words = argv;
    weir_reader *reader;
    weir_writer *writer;
    struct weir_open_options options = {.size = sizeof(options)};
    options.connect.tls = &tls;
    int error = weir_open_connection(loop, words[0], (uint16_t)atoi(words[1]),
                                     &options, &reader, &writer);
    if (error == 0) {
        error = say_hello(reader, writer);
        weir_writer_unref(writer);
    }
    return error;
}

int main(int argc, char **argv)
{
    struct weir_tls_options options = {.size = sizeof(options)};
    if (argc < 3) {
        errx(2, "usage: tls_echo_client_streams HOST PORT [AUTHORITIES]");
    }
    options.authorities.file = argv[3]; /* may be NULL */
    tls.context = make_context(&options);
    return run_task(talk, argv + 1);
}
