/*
 * A server of one file over TLS on weir's protocols. Each request is answered
 * with an HTTP/1.1 head and the file, which is in memory.
 *
 * With --tickets sessions can be resumed. SIGTERM ends the server.
 */
#include "bench/bench.h"
#include "bench/http.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/server.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>

static struct bench_options options;
static const uint8_t *answer;
static size_t answer_size;

static void check(const char *what, int err)
{
    if (err < 0) {
        fprintf(stderr, "%s: %s\n", what, weir_strerror(err));
        exit(1);
    }
}

static void connection_made(void *user, weir_transport *t)
{
    (void)user;
    (void)t;
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
    int count = http_take(user, buf->data, buf->len);

    for (int i = 0; i < count; i++) {
        int err = weir_transport_write_ref(t, answer, answer_size, NULL, NULL);

        if (err < 0) {
            return err;
        }
    }
    return count < 0 ? -1 : 0;
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
    ret->user = bench_alloc(sizeof(struct http));
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

static weir_tls_context *make_context(void)
{
    struct weir_tls_options tls_options = {
        .size = sizeof(tls_options),
        .server = true,
        .no_tickets = !options.has_tickets,
        .certificate = {.file = options.identity},
    };
    weir_tls_context *context = NULL;
    char text[256];

    if (weir_tls_context_new(&tls_options, &context, text, sizeof(text)) < 0) {
        fprintf(stderr, "--identity: %s\n", text);
        exit(1);
    }
    return context;
}

int main(int argc, char **argv)
{
    struct weir_tls_settings settings = {.size = sizeof(settings)};
    struct weir_server_options server_options = {.size = sizeof(server_options),
                                                 .tls = &settings};
    struct weir_factory factory = {.create = make_protocol};
    weir_loop *loop = NULL;
    weir_server *server = NULL;

    options = bench_parse(argc, argv, "A server of a file over TLS, on weir.");
    answer = http_answer(options.file, &answer_size);
    settings.context = make_context();
    check("weir_loop_new", weir_loop_new(NULL, &loop));
    check("SIGTERM",
          weir_loop_add_signal_handler(loop, SIGTERM, on_terminate, loop));
    check("weir_create_server",
          weir_create_server(loop, &factory, "127.0.0.1", options.port,
                             &server_options, on_serving, NULL, &server));
    check("weir_loop_run", weir_loop_run(loop));
    weir_server_free(server);
    check("weir_loop_free", weir_loop_free(loop));
    weir_tls_context_unref(settings.context);
    return 0;
}
