/*
 * STARTTLS like in mail protocols: a client and a server start in plain text
 * and continue with TLS on the same connection.
 * Usage: starttls CERTIFICATE KEY AUTHORITIES SOCKET
 */
#include "tls_run.h"

#include <stdio.h>

static struct weir_tls_settings server_tls = {.size = sizeof(server_tls)};

static int answer(void *arg, weir_reader *reader, weir_writer *writer)
{
    char line[64];
    ssize_t len = weir_reader_readline(reader, line, sizeof(line));
    (void)arg;
    if (len <= 0) {
        return (int)len;
    }
    weir_writer_write(writer, "220 go ahead\n", 13);
    int error = weir_writer_start_tls(writer, &server_tls);
    return error < 0 ? error : weir_writer_write(writer, "250 sealed\n", 11);
}

static int show_line(weir_reader *reader, const char *how)
{
    char line[64];
    ssize_t len = weir_reader_readline(reader, line, sizeof(line));
    printf("%s: %.*s", how, len > 0 ? (int)len : 0, line);
    return len < 0 ? (int)len : 0;
}

static int ask(weir_reader *reader, weir_writer *writer)
{
    weir_writer_write(writer, "STARTTLS\n", 9);
    int error = show_line(reader, "plain");
    if (error == 0) {
        error = weir_writer_start_tls(writer, &tls);
    }
    return error < 0 ? error : show_line(reader, "TLS");
}

static int talk(weir_loop *loop, void *words)
{
    const char *path = *(char **)words;
    weir_server *server;
    weir_reader *reader;
    weir_writer *writer;
    int error = weir_start_unix_server(loop, answer, path, NULL, &server);
    if (error < 0) {
        return error;
    }
    error = weir_open_unix_connection(loop, path, NULL, &reader, &writer);
    if (error == 0) {
        error = ask(reader, writer);
        weir_writer_unref(writer);
    }
    weir_server_free(server);
    return error;
}

int main(int argc, char **argv)
{
    struct weir_tls_options server = {.size = sizeof(server), .server = true};
    struct weir_tls_options client = {.size = sizeof(client)};
    if (argc != 5) {
        errx(2, "usage: starttls CERTIFICATE KEY AUTHORITIES SOCKET");
    }
    server.certificate.file = argv[1];
    server.key.file = argv[2];
    client.authorities.file = argv[3];
    server_tls.context = make_context(&server);
    tls.context = make_context(&client);
    tls.server_hostname = "localhost";
    return run_task(talk, argv + 4);
}
