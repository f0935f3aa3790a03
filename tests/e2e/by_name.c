/*
 * Listens on a host name, or connects to one, with the functions of the library
 * that accept names.
 *
 * A server echoes, prints its addresses in one line, and ends with 0 on
 * SIGTERM. A client sends a few bytes, reads them back, and prints the address
 * that it has connected to. After an error either prints a line and ends with
 * 1; all memory is freed then, too.
 *
 * Usage: by_name create [HOST]       weir_create_server()
 *        by_name start [HOST]        weir_start_server()
 *        by_name connect HOST PORT   weir_open_connection()
 */

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>
#include <weir/stream.h>
#include <weir/task.h>

struct words {
    const char *host; /* NULL if it is not given */
    uint16_t port;
};

static void check(int error, const char *what)
{
    if (error < 0) {
        errx(1, "%s: %s", what, weir_err_name(error));
    }
}

static void print_sockets(weir_server *server)
{
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    printf("serving on");
    for (size_t i = 0; i < weir_server_get_socket_count(server); i++) {
        check(weir_server_get_socket(server, i, &address), "get_socket");
        printf(" %s", weir_address_format(&address, text, sizeof(text)));
    }
    printf("\n");
    fflush(stdout);
}

/* ---- a server with protocols ---- */

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    (void)user;
    return weir_transport_write(t, buf->data, buf->len);
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

static void listening(void *ret_error, int error, weir_server *server)
{
    *(int *)ret_error = error;
    if (error < 0) {
        weir_loop_stop(weir_server_get_loop(server));
    } else {
        print_sockets(server);
    }
}

static void stop(void *loop, int signum)
{
    (void)signum;
    weir_loop_stop(loop);
}

static int create_server(const char *host)
{
    int error = 0;
    struct weir_factory factory = {create, NULL};
    weir_loop *loop;
    weir_server *server;

    check(weir_loop_new(NULL, &loop), "loop_new");
    check(weir_loop_add_signal_handler(loop, SIGTERM, stop, loop), "SIGTERM");
    check(weir_create_server(loop, &factory, host, 0, NULL, listening, &error,
                             &server),
          "create_server");
    check(weir_loop_run(loop), "loop_run");
    weir_server_free(server);
    check(weir_loop_free(loop), "loop_free");
    return error;
}

/* ---- tasks ---- */

static int echo_all(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct weir_buf bytes;
    int error = 0;

    (void)arg;
    while (error >= 0 && weir_reader_read_view(reader, SIZE_MAX, &bytes) > 0) {
        error = weir_writer_write(writer, bytes.data, bytes.len);
    }
    return error;
}

static int start_server(weir_loop *loop, void *words)
{
    const char *host = ((struct words *)words)->host;
    weir_server *server;

    int error = weir_start_server(loop, echo_all, host, 0, NULL, &server);
    if (error < 0) {
        return error;
    }
    print_sockets(server);
    error = weir_server_serve_forever(server);
    weir_server_free(server);
    return error;
}

static int say_hello(weir_reader *reader, weir_writer *writer)
{
    struct weir_address peer;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    char answer[sizeof("hello")];

    weir_transport_get_peername(weir_writer_get_transport(writer), &peer);
    int error = weir_writer_write(writer, "hello", sizeof(answer));
    if (error < 0) {
        return error;
    }
    ssize_t len = weir_reader_readexactly(reader, answer, sizeof(answer));
    if (len < 0) {
        return (int)len;
    }
    printf("%s from %s\n", answer,
           weir_address_format(&peer, text, sizeof(text)));
    weir_writer_close(writer);
    return weir_writer_wait_closed(writer);
}

static int connect_by_name(weir_loop *loop, void *arg)
{
    const struct words *words = arg;
    weir_reader *reader;
    weir_writer *writer;

    int error = weir_open_connection(loop, words->host, words->port, NULL,
                                     &reader, &writer);
    if (error < 0) {
        return error;
    }
    error = say_hello(reader, writer);
    weir_writer_unref(writer);
    return error;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    struct words words = {
        .host = argc > 2 ? argv[2] : NULL,
        .port = (uint16_t)(argc > 3 ? atoi(argv[3]) : 0),
    };

    if (strcmp(what, "create") == 0) {
        check(create_server(words.host), what);
    } else if (strcmp(what, "start") == 0) {
        check(weir_run(NULL, start_server, &words), what);
    } else if (strcmp(what, "connect") == 0) {
        check(weir_run(NULL, connect_by_name, &words), what);
    } else {
        errx(2, "create, start or connect");
    }
    return 0;
}
