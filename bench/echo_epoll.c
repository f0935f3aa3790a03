/*
 * A server with bare epoll.
 *
 * Level-triggered events; one receive of up to 1 MiB for each event. Received
 * bytes are sent at once from the same memory, while they are in the cache.
 * Only unsent bytes are copied and kept; then reading stops until the peer has
 * taken them. At most 64 connections are accepted for an event, so that a storm
 * of connections does not starve the others.
 */
#define _GNU_SOURCE
#include "bench/bench.h"
#include "bench/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 512
#define MAX_ACCEPT 64

struct conn {
    int fd;
    uint32_t index;    /* index in server.conns */
    uint32_t held_len; /* bytes of a partial frame in held */
    uint8_t *held;
    struct lines lines;
    struct server *server; /* for answers to lines */
    uint8_t *out;          /* unsent bytes; usually NULL */
    size_t out_len;
    size_t out_sent;
};

struct server {
    struct bench_options options;
    int listen_fd;
    int epoll_fd;
    struct conn **conns;
    uint32_t conn_count;
    uint32_t conn_capacity;
    uint8_t *recv_buf;  /* holds a partial frame and a receive */
    uint8_t *write_buf; /* collected writes of one receive */
    size_t write_len;
    uint8_t *message;
};

static void watch(struct server *s, struct conn *c, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(s->epoll_fd, op, c->fd, &event) < 0) {
        bench_die("epoll_ctl");
    }
}

static void close_conn(struct server *s, struct conn *c)
{
    struct conn *last = s->conns[--s->conn_count];

    s->conns[c->index] = last;
    last->index = c->index;
    close(c->fd);
    free(c->out);
    free(c->held);
    lines_fini(&c->lines);
    free(c);
}

static void keep(struct server *s, struct conn *c, const uint8_t *data,
                 size_t len)
{
    if (c->out == NULL) {
        watch(s, c, EPOLL_CTL_MOD, EPOLLOUT);
    }
    c->out = bench_realloc(c->out, c->out_len + len);
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
}

/* Returns 0, or -1 if the connection is broken. */
static int send_bytes(struct server *s, struct conn *c, const uint8_t *data,
                      size_t len)
{
    ssize_t sent = 0;

    if (c->out == NULL) {
        sent = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
            return -1;
        }
        sent = sent < 0 ? 0 : sent;
    }
    if ((size_t)sent < len) {
        keep(s, c, data + sent, len - (size_t)sent);
    }
    return 0;
}

static int send_kept(struct server *s, struct conn *c)
{
    ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent,
                        MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0) {
        return errno == EAGAIN ? 0 : -1;
    }
    c->out_sent += (size_t)sent;
    if (c->out_sent == c->out_len) {
        free(c->out);
        c->out = NULL;
        c->out_len = 0;
        c->out_sent = 0;
        watch(s, c, EPOLL_CTL_MOD, EPOLLIN);
    }
    return 0;
}

/* Appends an answer, which is sent when all requests are answered. */
static void write_answer(struct server *s, const void *answer, size_t len)
{
    memcpy(s->write_buf + s->write_len, answer, len);
    s->write_len += len;
}

static int answer_frames(struct server *s, struct conn *c, size_t len)
{
    size_t size = s->options.frame_size;
    size_t offset = 0;

    s->write_len = 0;
    for (; len - offset >= size; offset += size) {
        write_answer(s, s->recv_buf + offset, size);
        if (s->options.mode == BENCH_CLOSE) {
            (void)send_bytes(s, c, s->write_buf, s->write_len);
            return -1;
        }
    }
    c->held_len = (uint32_t)(len - offset);
    if (c->held_len > 0) {
        c->held = c->held == NULL ? bench_alloc(size) : c->held;
        memcpy(c->held, s->recv_buf + offset, c->held_len);
    }
    return s->write_len > 0 ? send_bytes(s, c, s->write_buf, s->write_len) : 0;
}

static int answer_line(void *conn, const struct lines_answer *answer)
{
    struct conn *c = conn;

    write_answer(c->server, answer, sizeof(*answer));
    return 0;
}

static int answer_lines(struct server *s, struct conn *c, size_t len)
{
    s->write_len = 0;
    if (lines_cut(&c->lines, s->recv_buf, len, answer_line, c) < 0) {
        return -1;
    }
    return s->write_len > 0 ? send_bytes(s, c, s->write_buf, s->write_len) : 0;
}

static void send_to_all(struct server *s)
{
    for (uint32_t i = 0; i < s->conn_count; i++) {
        /* A broken connection is closed on its own event. */
        (void)send_bytes(s, s->conns[i], s->message, s->options.message_size);
    }
}

static int receive(struct server *s, struct conn *c)
{
    size_t held = c->held_len;
    ssize_t len;

    if (held > 0) {
        memcpy(s->recv_buf, c->held, held);
    }
    len = recv(c->fd, s->recv_buf + held, s->options.recv_size, MSG_DONTWAIT);
    if (len <= 0) {
        return len < 0 && errno == EAGAIN ? 0 : -1;
    }
    switch (s->options.mode) {
    case BENCH_ECHO:
        return send_bytes(s, c, s->recv_buf, (size_t)len);
    case BENCH_FANOUT:
        for (ssize_t i = 0; i < len; i++) {
            send_to_all(s);
        }
        return 0;
    case BENCH_LINES:
        return answer_lines(s, c, (size_t)len);
    case BENCH_FRAMED:
    case BENCH_CLOSE:
        break;
    }
    return answer_frames(s, c, held + (size_t)len);
}

static void add_conn(struct server *s, int fd)
{
    struct conn *c = bench_alloc(sizeof(*c));

    if (s->conn_count == s->conn_capacity) {
        s->conn_capacity = s->conn_capacity * 2 + 64;
        s->conns =
            bench_realloc(s->conns, s->conn_capacity * sizeof(struct conn *));
    }
    c->fd = fd;
    c->server = s;
    c->index = s->conn_count;
    s->conns[s->conn_count++] = c;
    watch(s, c, EPOLL_CTL_ADD, EPOLLIN);
}

static void accept_some(struct server *s)
{
    for (int i = 0; i < MAX_ACCEPT; i++) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == EAGAIN || errno == ECONNABORTED) {
                return;
            }
            bench_die("accept4");
        }
        add_conn(s, fd);
    }
}

static void handle_event(struct server *s, const struct epoll_event *event)
{
    struct conn *c = event->data.ptr;
    int status;

    if (c == NULL) {
        accept_some(s);
        return;
    }
    if ((event->events & EPOLLOUT) != 0) {
        status = send_kept(s, c);
    } else {
        status = receive(s, c);
    }
    if (status < 0) {
        close_conn(s, c);
    }
}

static void serve(struct server *s)
{
    static struct epoll_event events[MAX_EVENTS];

    for (;;) {
        int count = epoll_wait(s->epoll_fd, events, MAX_EVENTS, -1);

        if (count < 0 && errno != EINTR) {
            bench_die("epoll_wait");
        }
        for (int i = 0; i < count; i++) {
            handle_event(s, &events[i]);
        }
    }
}

int main(int argc, char **argv)
{
    struct server s = {
        .options = bench_parse(argc, argv, "A server on bare epoll."),
    };
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    s.listen_fd = bench_listen(&s.options, SOCK_NONBLOCK);
    s.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s.epoll_fd < 0 ||
        epoll_ctl(s.epoll_fd, EPOLL_CTL_ADD, s.listen_fd, &event) < 0) {
        bench_die("epoll");
    }
    s.recv_buf = bench_alloc(s.options.frame_size + s.options.recv_size);
    s.write_buf = bench_alloc(s.options.frame_size + s.options.recv_size);
    s.message = bench_alloc(s.options.message_size);
    bench_serving(&s.options);
    serve(&s);
    return 0;
}
