/*
 * A server of one file on weir: each request, which ends with an empty line, is
 * answered with a head of HTTP/1.1 and the file, by sendfile.
 *
 * The other side of the comparison is a web server, so the head is there; which
 * file is asked for is not looked at. SIGTERM ends it.
 */
#include "bench/bench.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/sendfile.h>
#include <weir/server.h>

struct conn {
    weir_transport *transport;
    bool is_asked; /* for a file that is not being sent yet */
    bool is_sending;
};

static struct bench_options options;
static int file_fd;
static uint64_t file_bytes;
static char head[128];

static void check(const char *what, int err)
{
    if (err < 0) {
        fprintf(stderr, "%s: %s\n", what, weir_strerror(err));
        exit(1);
    }
}

static int answer(struct conn *c);

/* A client may have all of the file, and ask again, before this is called. */
static void on_sent(void *conn, weir_transport *t, int err, uint64_t sent)
{
    struct conn *c = conn;

    (void)sent;
    c->is_sending = false;
    if (err < 0 || (c->is_asked && answer(c) < 0)) {
        weir_transport_abort(t);
    }
}

static int answer(struct conn *c)
{
    int err = weir_transport_write(c->transport, head, strlen(head));

    c->is_asked = false;
    if (err < 0) {
        return err;
    }
    c->is_sending = true;
    return weir_transport_sendfile(c->transport, file_fd, 0, file_bytes,
                                   on_sent, c);
}

static void connection_made(void *user, weir_transport *t)
{
    struct conn *c = user;

    c->transport = t;
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    (void)t;
    (void)err;
    free(user);
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *c = user;

    (void)t;
    /* Requests come whole and one at a time: the client sees to that. */
    if (buf->len < 4 || memcmp(buf->data + buf->len - 4, "\r\n\r\n", 4) != 0) {
        return -1;
    }
    c->is_asked = true;
    return c->is_sending ? 0 : answer(c);
}

static const struct weir_protocol protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = connection_made,
    .connection_lost = connection_lost,
    .data_received = data_received,
};

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    (void)arg;
    (void)t;
    ret->user = bench_alloc(sizeof(struct conn));
    ret->protocol = &protocol;
    return 0;
}

static void on_serving(void *arg, int err, weir_server *server)
{
    (void)arg;
    (void)server;
    check("listen", err);
    bench_serving(&options);
}

static void on_terminate(void *arg, int signum)
{
    (void)signum;
    weir_loop_stop(arg);
}

static void open_file(void)
{
    struct stat status;

    file_fd = open(options.file, O_RDONLY | O_CLOEXEC);
    if (file_fd < 0 || fstat(file_fd, &status) < 0) {
        bench_die(options.file);
    }
    file_bytes = (uint64_t)status.st_size;
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
             (unsigned long long)file_bytes);
}

int main(int argc, char **argv)
{
    struct weir_server_options server_options = {
        .size = sizeof(server_options),
        .done = on_serving,
    };
    struct weir_factory factory = {.create = make_protocol};
    weir_loop *loop = NULL;
    weir_server *server = NULL;

    options = bench_parse(argc, argv, "A server of a file on weir.");
    open_file();
    check("weir_loop_new", weir_loop_new(NULL, &loop));
    check("SIGTERM",
          weir_loop_add_signal_handler(loop, SIGTERM, on_terminate, loop));
    check("weir_create_server",
          weir_create_server(loop, &factory, "127.0.0.1", options.port,
                             &server_options, &server));
    check("weir_loop_run", weir_loop_run(loop));
    weir_server_free(server);
    check("weir_loop_free", weir_loop_free(loop));
    return 0;
}
