/*
 * A server on weir's protocols, for the modes that weir-load serve does not
 * have, and an echo with statistics.
 *
 * SIGUSR1 prints the loop's statistics, a line "name value" for each, and an
 * empty line; SIGTERM ends the server. Reading stops while 1 MiB waits to be
 * sent, as in the other servers.
 */
#include "bench/bench.h"
#include "bench/lines.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>
#include <weir/inspect.h>
#include <weir/loop.h>
#include <weir/server.h>
#include <weir/unix.h>

#define HIGH_MARK (1024 * 1024)

struct conn {
    weir_transport *transport;
    uint32_t index;
    uint32_t held_len; /* bytes of a partial frame */
    uint8_t *held;
    struct lines lines;
};

static struct bench_options options;
static struct conn **conns;
static uint32_t conn_count;
static uint32_t conn_capacity;
static uint8_t *message;

static void check(const char *what, int err)
{
    if (err < 0) {
        fprintf(stderr, "%s: %s\n", what, weir_strerror(err));
        exit(1);
    }
}

static void connection_made(void *user, weir_transport *t)
{
    struct conn *c = user;

    if (conn_count == conn_capacity) {
        conn_capacity = conn_capacity * 2 + 64;
        conns = bench_realloc(conns, conn_capacity * sizeof(struct conn *));
    }
    c->transport = t;
    c->index = conn_count;
    conns[conn_count++] = c;
    check("limits",
          weir_transport_set_write_buffer_limits(
              t, (struct weir_water_marks){.high_bytes = HIGH_MARK,
                                           .low_bytes = WEIR_DEFAULT}));
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct conn *c = user;

    (void)t;
    (void)err;
    conns[c->index] = conns[--conn_count];
    conns[c->index]->index = c->index;
    free(c->held);
    lines_fini(&c->lines);
    free(c);
}

static void pause_writing(void *user, weir_transport *t)
{
    (void)user;
    weir_transport_pause_reading(t);
}

static void resume_writing(void *user, weir_transport *t)
{
    (void)user;
    weir_transport_resume_reading(t);
}

static int echo_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    (void)user;
    return weir_transport_write_buf(t, buf);
}

static int answer_frames(struct conn *c, const uint8_t *data, size_t len)
{
    size_t size = options.frame_size;
    size_t offset = 0;

    if (c->held_len > 0) {
        offset = size - c->held_len < len ? size - c->held_len : len;
        memcpy(c->held + c->held_len, data, offset);
        c->held_len += (uint32_t)offset;
        if (c->held_len < size) {
            return 0;
        }
        weir_transport_write(c->transport, c->held, size);
    }
    for (; len - offset >= size; offset += size) {
        int err = weir_transport_write(c->transport, data + offset, size);

        if (err < 0) {
            return err;
        }
    }
    c->held_len = (uint32_t)(len - offset);
    if (c->held_len > 0) {
        c->held = c->held == NULL ? bench_alloc(size) : c->held;
        memcpy(c->held, data + offset, c->held_len);
    }
    return 0;
}

static int framed_received(void *user, weir_transport *t,
                           const struct weir_buf *buf)
{
    (void)t;
    return answer_frames(user, buf->data, buf->len);
}

static int close_received(void *user, weir_transport *t,
                          const struct weir_buf *buf)
{
    struct conn *c = user;

    /* The length alone shows when the request is complete. */
    c->held_len += (uint32_t)buf->len;
    weir_transport_write_buf(t, buf);
    if (c->held_len >= options.frame_size) {
        weir_transport_close(t);
    }
    return 0;
}

static int answer_line(void *conn, const struct lines_answer *answer)
{
    const struct conn *c = conn;

    return weir_transport_write(c->transport, answer, sizeof(*answer));
}

static int lines_received(void *user, weir_transport *t,
                          const struct weir_buf *buf)
{
    struct conn *c = user;

    (void)t;
    return lines_cut(&c->lines, buf->data, buf->len, answer_line, c);
}

static int fanout_received(void *user, weir_transport *t,
                           const struct weir_buf *buf)
{
    (void)user;
    (void)t;
    for (size_t i = 0; i < buf->len * conn_count; i++) {
        weir_transport_write_ref(conns[i % conn_count]->transport, message,
                                 options.message_size, NULL, NULL);
    }
    return 0;
}

#define PROTOCOL(received)                                                     \
    {                                                                          \
        .size = sizeof(struct weir_protocol), .kind = WEIR_PROTOCOL_STREAM,    \
        .connection_made = connection_made,                                    \
        .connection_lost = connection_lost, .pause_writing = pause_writing,    \
        .resume_writing = resume_writing, .data_received = received,           \
    }

static const struct weir_protocol protocols[] = {
    [BENCH_ECHO] = PROTOCOL(echo_received),
    [BENCH_FRAMED] = PROTOCOL(framed_received),
    [BENCH_CLOSE] = PROTOCOL(close_received),
    [BENCH_FANOUT] = PROTOCOL(fanout_received),
    [BENCH_LINES] = PROTOCOL(lines_received),
};

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    (void)arg;
    (void)t;
    ret->protocol = &protocols[options.mode];
    ret->user = bench_alloc(sizeof(struct conn));
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

static void print_statistics(void *arg, int signum)
{
    static char text[8192];

    (void)signum;
    weir_loop_format_statistics(arg, text, sizeof(text));
    printf("%s\n", text);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct weir_server_options server_options = {.size =
                                                     sizeof(server_options)};
    struct weir_factory factory = {.create = make_protocol};
    char name[BENCH_UNIX_NAME_SIZE];
    weir_loop *loop = NULL;
    weir_server *server = NULL;

    options = bench_parse(argc, argv, "A server on weir's protocols.");
    message = bench_alloc(options.message_size);
    check("weir_loop_new", weir_loop_new(NULL, &loop));
    check("SIGTERM",
          weir_loop_add_signal_handler(loop, SIGTERM, on_terminate, loop));
    check("SIGUSR1",
          weir_loop_add_signal_handler(loop, SIGUSR1, print_statistics, loop));
    if (options.is_unix) {
        bench_unix_name(&options, name);
        check("weir_create_unix_server",
              weir_create_unix_server(loop, &factory, name, &server_options,
                                      on_serving, NULL, &server));
    } else {
        check("weir_create_server",
              weir_create_server(loop, &factory, "127.0.0.1", options.port,
                                 &server_options, on_serving, NULL, &server));
    }
    check("weir_loop_run", weir_loop_run(loop));
    weir_server_free(server);
    check("weir_loop_free", weir_loop_free(loop));
    return 0;
}
