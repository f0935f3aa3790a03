/*
 * The client's churn: connect, send a request, read its whole answer, close.
 *
 * A fixed number of slots repeat this without a pause. By default the client
 * closes first, and its sockets stay in TIME_WAIT; with --server-closes it
 * waits for the server's end after the answer. The client uses many source
 * addresses, so that local ports do not run out.
 */
#include "bench/bench.h"
#include "bench/client.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 512

struct slot {
    int fd;
    bool is_sent;
    uint32_t recv_bytes;
    uint64_t start_ns;
};

static uint32_t next_index;

static void open_slot(struct client *k, struct slot *s)
{
    s->is_sent = false;
    s->recv_bytes = 0;
    s->start_ns = bench_now_ns();
    s->fd = client_connect(k, next_index++);
    if (s->fd >= 0) {
        client_watch(k, EPOLL_CTL_ADD, s->fd, EPOLLIN | EPOLLOUT | EPOLLET, s);
    }
}

static void finish(struct client *k, struct slot *s)
{
    k->messages++;
    if (k->is_measuring) {
        histogram_record(&k->latency, bench_now_ns() - s->start_ns);
    }
    close(s->fd);
    open_slot(k, s);
}

/* The slot stays closed, because a broken server would get a storm. */
static void fail(struct client *k, struct slot *s, enum client_error error)
{
    k->errors[error]++;
    close(s->fd);
    s->fd = -1;
}

static void send_request(struct client *k, struct slot *s)
{
    size_t size = k->options.size_bytes;
    ssize_t sent = send(s->fd, client_pattern(k, 0), size, MSG_NOSIGNAL);

    if (sent != (ssize_t)size) {
        fail(k, s, CLIENT_BROKEN);
        return;
    }
    s->is_sent = true;
}

/* Returns true if the slot must wait for more. */
static bool receive(struct client *k, struct slot *s)
{
    ssize_t len = recv(s->fd, k->recv_buf, CLIENT_CHUNK, 0);
    bool is_answered = s->recv_bytes == k->options.size_bytes;

    if (len < 0) {
        if (errno != EAGAIN) {
            fail(k, s, CLIENT_BROKEN);
        }
        return false;
    }
    if (len == 0) {
        if (is_answered) {
            finish(k, s);
        } else {
            fail(k, s, CLIENT_EOF);
        }
        return false;
    }
    if ((size_t)len > k->options.size_bytes - s->recv_bytes) {
        fail(k, s, CLIENT_SURPLUS);
        return false;
    }
    if (memcmp(k->recv_buf, client_pattern(k, s->recv_bytes), (size_t)len) !=
        0) {
        fail(k, s, CLIENT_MISMATCH);
        return false;
    }
    s->recv_bytes += (uint32_t)len;
    if (s->recv_bytes == k->options.size_bytes && !k->options.server_closes) {
        finish(k, s);
        return false;
    }
    return true;
}

static void handle(struct client *k, const struct epoll_event *event)
{
    struct slot *s = event->data.ptr;

    if (s->fd < 0) {
        return;
    }
    if (!s->is_sent && (event->events & EPOLLERR) != 0) {
        fail(k, s, CLIENT_CONNECT);
        return;
    }
    if (!s->is_sent && (event->events & EPOLLOUT) != 0) {
        send_request(k, s);
        return;
    }
    /* Edge-triggered events require reading until EAGAIN. */
    while (s->is_sent && receive(k, s)) {
    }
}

void client_run_churn(struct client *k)
{
    static struct epoll_event events[MAX_EVENTS];
    struct slot *slots =
        bench_alloc(k->options.conn_count * sizeof(struct slot));

    client_begin(k);
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        open_slot(k, &slots[i]);
    }
    while (client_tick(k, bench_now_ns())) {
        int count = epoll_wait(k->epoll_fd, events, MAX_EVENTS, 10);

        if (count < 0 && errno != EINTR) {
            bench_die("epoll_wait");
        }
        for (int i = 0; i < count; i++) {
            handle(k, &events[i]);
        }
    }
}
