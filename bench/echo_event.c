/*
 * A server with libevent's bufferevents: an echo moves the input buffer to the
 * output without a copy; a frame is a separate bufferevent_write().
 *
 * It has one thread, no locks and the epoll backend. Watermarks stop reading
 * while 1 MiB waits to be sent.
 */
#include "bench/bench.h"
#include "bench/lines.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HIGH_MARK (1024 * 1024)

struct conn {
    struct bufferevent *events;
    uint32_t index;
    struct lines_answer lines;
};

static struct bench_options options;
static struct conn **conns;
static uint32_t conn_count;
static uint32_t conn_capacity;
static uint8_t *frame;
static uint8_t *message;

static void close_conn(struct conn *c)
{
    conns[c->index] = conns[--conn_count];
    conns[c->index]->index = c->index;
    bufferevent_free(c->events);
    free(c);
}

static void send_to_all(size_t times)
{
    for (size_t i = 0; i < times * conn_count; i++) {
        struct evbuffer *out =
            bufferevent_get_output(conns[i % conn_count]->events);

        evbuffer_add_reference(out, message, options.message_size, NULL, NULL);
    }
}

static void answer_frames(struct conn *c, struct evbuffer *in)
{
    size_t size = options.frame_size;

    while (evbuffer_get_length(in) >= size) {
        evbuffer_remove(in, frame, size);
        if (options.mode == BENCH_CLOSE) {
            bufferevent_disable(c->events, EV_READ);
            bufferevent_write(c->events, frame, size);
            return;
        }
        bufferevent_write(c->events, frame, size);
    }
}

/* As in libevent's documentation: each line is allocated, and freed. */
static void answer_lines(struct conn *c, struct evbuffer *in)
{
    size_t len = 0;
    char *line;

    while ((line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF)) != NULL) {
        /* The NUL replaces the newline. */
        if (lines_take(&c->lines, (uint8_t *)line, len + 1)) {
            bufferevent_write(c->events, &c->lines, sizeof(c->lines));
            c->lines = (struct lines_answer){0};
        }
        free(line);
    }
}

static void on_read(struct bufferevent *events, void *arg)
{
    struct evbuffer *in = bufferevent_get_input(events);
    struct evbuffer *out = bufferevent_get_output(events);
    size_t len = evbuffer_get_length(in);

    switch (options.mode) {
    case BENCH_ECHO:
        evbuffer_add_buffer(out, in);
        break;
    case BENCH_FANOUT:
        evbuffer_drain(in, len);
        send_to_all(len);
        break;
    case BENCH_FRAMED:
    case BENCH_CLOSE:
        answer_frames(arg, in);
        break;
    case BENCH_LINES:
        answer_lines(arg, in);
        break;
    }
    if (evbuffer_get_length(out) >= HIGH_MARK) {
        bufferevent_disable(events, EV_READ);
    }
}

/* Called when the output is empty. */
static void on_write(struct bufferevent *events, void *arg)
{
    if (options.mode == BENCH_CLOSE) {
        close_conn(arg);
    } else if ((bufferevent_get_enabled(events) & EV_READ) == 0) {
        bufferevent_enable(events, EV_READ);
    }
}

static void on_event(struct bufferevent *events, short what, void *arg)
{
    (void)events;
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
        close_conn(arg);
    }
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd,
                      struct sockaddr *addr, int addr_len, void *arg)
{
    struct conn *c = bench_alloc(sizeof(*c));
    struct event_base *base = evconnlistener_get_base(listener);

    (void)addr;
    (void)addr_len;
    (void)arg;
    if (conn_count == conn_capacity) {
        conn_capacity = conn_capacity * 2 + 64;
        conns = bench_realloc(conns, conn_capacity * sizeof(struct conn *));
    }
    c->events = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (c->events == NULL) {
        bench_die("bufferevent_socket_new");
    }
    c->index = conn_count;
    conns[conn_count++] = c;
    bufferevent_setcb(c->events, on_read, on_write, on_event, c);
    /* EV_WRITE is enabled already; enabling it again would poll for it. */
    bufferevent_enable(c->events, EV_READ);
}

int main(int argc, char **argv)
{
    struct event_config *config = event_config_new();
    struct event_base *base;
    struct evconnlistener *listener;
    int fd;

    options = bench_parse(argc, argv, "A server on libevent.");
    frame = bench_alloc(options.frame_size);
    message = bench_alloc(options.message_size);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    base = event_base_new_with_config(config);
    fd = bench_listen(&options, SOCK_NONBLOCK);
    listener =
        evconnlistener_new(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd);
    if (base == NULL || listener == NULL) {
        bench_die("libevent");
    }
    bench_serving(&options);
    return event_base_dispatch(base);
}
