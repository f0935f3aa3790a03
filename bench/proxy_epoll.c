/*
 * A proxy with bare epoll.
 *
 * With edge-triggered events a connection is registered once. A receive takes
 * up to 256 KiB into memory that all connections share, and the bytes are sent
 * from there at once. Only unsent bytes are copied and kept; then reading from
 * the other side stops until they are sent. Bytes that arrive before the
 * connection to the backend is established are kept, too.
 *
 * The end of one direction is forwarded, and the other direction continues. An
 * error on either side closes both; it is not forwarded as a reset.
 */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 512
#define MAX_ACCEPT 64
#define RECV_MAX   (256U * 1024)

struct side {
    struct pair *pair;
    struct side *other;
    int fd;
    bool is_hung_up; /* EPOLLRDHUP has been reported */
    bool has_ended;  /* the end was read */
    bool is_waiting; /* not read, because the other side takes nothing */
    uint8_t *out;    /* unsent bytes; usually NULL */
    size_t out_len;
    size_t out_sent;
};

struct pair {
    struct side client;
    struct side backend;
    struct pair *next; /* in proxy.over */
    bool is_over;
};

struct proxy {
    struct bench_options options;
    struct sockaddr_in to;
    int listen_fd;
    int epoll_fd;
    uint8_t *recv_buf;
    size_t recv_size;
    struct pair *over; /* closed; events of this batch may refer to them */
};

static void close_pair(struct proxy *p, struct pair *pair)
{
    if (pair->is_over) {
        return;
    }
    close(pair->client.fd);
    close(pair->backend.fd);
    free(pair->client.out);
    free(pair->backend.out);
    pair->is_over = true;
    pair->next = p->over;
    p->over = pair;
}

static void free_over(struct proxy *p)
{
    while (p->over != NULL) {
        struct pair *pair = p->over;

        p->over = pair->next;
        free(pair);
    }
}

static void keep(struct side *to, const uint8_t *data, size_t len)
{
    to->out = bench_malloc(len);
    memcpy(to->out, data, len);
    to->out_len = len;
    to->out_sent = 0;
}

/* Returns 0, or -1 if the connection is broken. */
static int send_bytes(struct side *to, const uint8_t *data, size_t len)
{
    ssize_t sent = send(to->fd, data, len, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN) {
        return -1;
    }
    sent = sent < 0 ? 0 : sent;
    if ((size_t)sent < len) {
        keep(to, data + sent, len - (size_t)sent);
    }
    return 0;
}

/* Forwards all received bytes. Returns 1 if both directions have ended, or -1.
 */
static int pump(struct proxy *p, struct side *from)
{
    struct side *to = from->other;
    ssize_t len = (ssize_t)p->recv_size;

    while (!from->has_ended) {
        if (to->out != NULL) {
            from->is_waiting = true;
            return 0;
        }
        /* A short read: nothing is left, except perhaps the end. */
        if ((size_t)len < p->recv_size && !from->is_hung_up) {
            return 0;
        }
        len = recv(from->fd, p->recv_buf, p->recv_size, 0);
        if (len < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        if (len > 0 && send_bytes(to, p->recv_buf, (size_t)len) < 0) {
            return -1;
        }
        from->has_ended = len == 0;
    }
    if (to->out != NULL) {
        return 0;
    }
    if (to->has_ended && from->out == NULL) {
        return 1;
    }
    return shutdown(to->fd, SHUT_WR);
}

/* Sends the kept bytes of a side, and then reads from the other side. */
static int send_kept(struct proxy *p, struct side *to)
{
    ssize_t sent = send(to->fd, to->out + to->out_sent,
                        to->out_len - to->out_sent, MSG_NOSIGNAL);

    if (sent < 0) {
        return errno == EAGAIN ? 0 : -1;
    }
    to->out_sent += (size_t)sent;
    if (to->out_sent < to->out_len) {
        return 0;
    }
    free(to->out);
    to->out = NULL;
    if (to->other->is_waiting || to->other->has_ended) {
        to->other->is_waiting = false;
        return pump(p, to->other);
    }
    return 0;
}

static void handle(struct proxy *p, struct side *side, uint32_t events)
{
    int status = 0;

    if (side->pair->is_over) {
        return;
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        side->is_hung_up = true;
    }
    if ((events & EPOLLOUT) != 0 && side->out != NULL) {
        status = send_kept(p, side);
    }
    if (status == 0 && !side->has_ended &&
        (events & ~(uint32_t)EPOLLOUT) != 0) {
        status = pump(p, side);
    }
    if (status != 0) {
        close_pair(p, side->pair);
    }
}

static int connect_backend(const struct proxy *p)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0) {
        bench_die("socket");
    }
    if (connect(fd, (const struct sockaddr *)&p->to, sizeof(p->to)) < 0 &&
        errno != EINPROGRESS) {
        bench_die("connect");
    }
    return fd;
}

static void start_side(struct proxy *p, struct pair *pair, struct side *side,
                       int fd)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.ptr = side,
    };

    side->pair = pair;
    side->fd = fd;
    side->other = side == &pair->client ? &pair->backend : &pair->client;
    if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        bench_die("epoll_ctl");
    }
}

static void accept_some(struct proxy *p)
{
    for (int i = 0; i < MAX_ACCEPT; i++) {
        int fd =
            accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            if (errno == EAGAIN || errno == ECONNABORTED) {
                return;
            }
            bench_die("accept4");
        }
        struct pair *pair = bench_alloc(sizeof(*pair));
        start_side(p, pair, &pair->client, fd);
        start_side(p, pair, &pair->backend, connect_backend(p));
    }
}

static void serve(struct proxy *p)
{
    static struct epoll_event events[MAX_EVENTS];

    for (;;) {
        int count = epoll_wait(p->epoll_fd, events, MAX_EVENTS, -1);

        if (count < 0 && errno != EINTR) {
            bench_die("epoll_wait");
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                accept_some(p);
            } else {
                handle(p, events[i].data.ptr, events[i].events);
            }
        }
        free_over(p);
    }
}

int main(int argc, char **argv)
{
    struct proxy p = {
        .options = bench_parse(argc, argv, "A proxy on bare epoll."),
    };
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    p.to = bench_backend(&p.options);
    p.listen_fd = bench_listen(&p.options, SOCK_NONBLOCK);
    p.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (p.epoll_fd < 0 ||
        epoll_ctl(p.epoll_fd, EPOLL_CTL_ADD, p.listen_fd, &event) < 0) {
        bench_die("epoll");
    }
    p.recv_size =
        p.options.recv_size < RECV_MAX ? p.options.recv_size : RECV_MAX;
    p.recv_buf = bench_alloc(p.recv_size);
    bench_serving(&p.options);
    serve(&p);
    return 0;
}
