/*
 * The client's modes with quiet connections, and with peers that do not read.
 *
 * fanout: one byte asks the server to send a message to every connection; the
 *         next byte follows when all have received it. A message is one
 *         delivery.
 * idle:   connects all as fast as possible, prints a line, and holds them, for
 *         memory, accept storms and readers that never read.
 * flood:  writes without end and never reads an answer.
 */
#include "bench/bench.h"
#include "bench/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 512

struct conn {
    int fd;
    uint32_t waiting_bytes;
};

static struct conn *connect_all(struct client *k, uint32_t events)
{
    struct conn *conns =
        bench_alloc(k->options.conn_count * sizeof(struct conn));

    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        conns[i].fd = client_connect(k, i);
        if (conns[i].fd >= 0) {
            client_watch(k, EPOLL_CTL_ADD, conns[i].fd, events, &conns[i]);
        }
    }
    return conns;
}

static bool has_errors(const struct client *k)
{
    uint64_t count = 0;

    for (size_t i = 0; i < BENCH_ARRAY_SIZE(k->errors); i++) {
        count += k->errors[i];
    }
    return count > 0;
}

static void wait_connected(struct client *k, const struct conn *conns)
{
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        client_wait_connected(k, conns[i].fd);
    }
}

static void ask_all(struct client *k, struct conn *conns)
{
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        conns[i].waiting_bytes = k->options.size_bytes;
    }
    if (send(conns[0].fd, "!", 1, MSG_NOSIGNAL) != 1) {
        k->errors[CLIENT_BROKEN]++;
    }
}

/* Returns true if this connection has the whole message. */
static bool take_message(struct client *k, struct conn *c)
{
    ssize_t len = recv(c->fd, k->recv_buf, CLIENT_CHUNK, 0);

    if (len <= 0) {
        if (len == 0 || errno != EAGAIN) {
            k->errors[len == 0 ? CLIENT_EOF : CLIENT_BROKEN]++;
        }
        return false;
    }
    if ((size_t)len > c->waiting_bytes) {
        k->errors[CLIENT_SURPLUS]++;
        return false;
    }
    k->bytes += (uint64_t)len;
    c->waiting_bytes -= (uint32_t)len;
    return c->waiting_bytes == 0;
}

void client_run_fanout(struct client *k)
{
    static struct epoll_event events[MAX_EVENTS];
    struct conn *conns = connect_all(k, EPOLLIN);
    uint32_t left = k->options.conn_count;

    wait_connected(k, conns);
    usleep(200000); /* gives the server time to accept them all */
    client_begin(k);
    ask_all(k, conns);
    while (!has_errors(k) && client_tick(k, bench_now_ns())) {
        int count = epoll_wait(k->epoll_fd, events, MAX_EVENTS, 10);

        for (int i = 0; i < count; i++) {
            if (take_message(k, events[i].data.ptr)) {
                k->messages++;
                left--;
            }
        }
        if (left == 0) {
            left = k->options.conn_count;
            ask_all(k, conns);
        }
    }
}

void client_run_idle(struct client *k)
{
    struct conn *conns = connect_all(k, EPOLLRDHUP);
    struct epoll_event event;

    wait_connected(k, conns);
    printf("ready %u\n", k->options.conn_count);
    fflush(stdout);
    client_begin(k);
    while (client_tick(k, bench_now_ns())) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

        /* The driver ends the client by closing its standard input. */
        if (poll(&input, 1, 10) == 1) {
            k->window_end_ns = bench_now_ns();
            k->window_start_ns = k->window_end_ns;
        }
    }
    if (epoll_wait(k->epoll_fd, &event, 1, 0) != 0) {
        k->errors[CLIENT_EOF]++;
    }
}

void client_run_flood(struct client *k)
{
    static struct epoll_event events[MAX_EVENTS];

    (void)connect_all(k, EPOLLOUT);
    client_begin(k);
    while (!has_errors(k) && client_tick(k, bench_now_ns())) {
        int count = epoll_wait(k->epoll_fd, events, MAX_EVENTS, 10);

        for (int i = 0; i < count; i++) {
            struct conn *c = events[i].data.ptr;
            ssize_t sent =
                send(c->fd, client_pattern(k, 0), 65536, MSG_NOSIGNAL);

            if (sent > 0) {
                k->bytes += (uint64_t)sent;
            } else if (errno != EAGAIN) {
                k->errors[CLIENT_BROKEN]++;
            }
        }
    }
}
