/*
 * STARTTLS as mail servers have it: a client and a server begin in plain text
 * and go on with TLS on the same connection.
 * Usage: starttls CERTIFICATE KEY AUTHORITIES SOCKET
 */
#include <err.h>
#include <stdio.h>
#include <weir.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>

static struct weir_tls_settings server_tls = {.size = sizeof(server_tls)};
static struct weir_tls_settings client_tls = {.size = sizeof(client_tls),
                                              .server_hostname = "localhost"};

static int answer(void *arg, weir_reader *reader, weir_writer *writer)
{
    char line[64];
    (void)arg;
    int error = (int)weir_reader_readline(reader, line, sizeof(line));
    error = error < 0 ? error : weir_writer_write(writer, "220 go ahead\n", 13);
    error = error < 0 ? error : weir_writer_start_tls(writer, &server_tls);
    return error < 0 ? error : weir_writer_write(writer, "250 sealed\n", 11);
}

static int talk(weir_loop *loop, void *path)
{
    char line[64];
    weir_server *server = NULL;
    weir_reader *reader;
    weir_writer *writer = NULL;
    int error = weir_start_unix_server(loop, answer, path, NULL, &server);
    error = error < 0
                ? error
                : weir_open_unix_connection(loop, path, NULL, &reader, &writer);
    for (int i = 0; i < 2 && error >= 0; i++) {
        error = i ? weir_writer_start_tls(writer, &client_tls)
                  : weir_writer_write(writer, "STARTTLS\n", 9);
        error = error < 0 ? error : (int)weir_reader_readline(reader, line, 64);
        printf("%s: %.*s", i ? "TLS" : "plain", error < 0 ? 0 : error, line);
    }
    weir_writer_unref(writer);
    weir_server_free(server);
    return error;
}

int main(int argc, char **argv)
{
    struct weir_tls_options server = {.size = sizeof(server), .server = true};
    struct weir_tls_options client = {.size = sizeof(client)};
    server.certificate.file = argc > 1 ? argv[1] : "";
    server.key.file = argc > 2 ? argv[2] : "";
    client.authorities.file = argc > 3 ? argv[3] : "";
    if (weir_tls_context_new(&server, &server_tls.context, NULL, 0) < 0 ||
        weir_tls_context_new(&client, &client_tls.context, NULL, 0) < 0) {
        errx(1, "these certificates cannot be used");
    }
    int error = weir_run(NULL, talk, argv[argc > 4 ? 4 : 0]);
    weir_tls_context_unref(server_tls.context);
    weir_tls_context_unref(client_tls.context);
    return error < 0 ? (warnx("%s", weir_strerror(error)), 1) : 0;
}
