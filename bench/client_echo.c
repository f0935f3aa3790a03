/*
 * The client's closed and open loop with an echo server.
 *
 * Each connection sends its own endless stream of test bytes, divided into
 * messages of one size, and compares the answers with it. The closed loop
 * sends a message after each answer. The open loop sends message i at
 * start + i / rate and measures the latency from this time, so that a stalled
 * server cannot hide requests that had to wait.
 */
#define _GNU_SOURCE
#include "bench/bench.h"
#include "bench/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS    512
#define OPEN_LIMIT    1024   /* maximum of messages that wait on a connection */
#define SPIN_BELOW_NS 200000 /* shorter waits do not sleep */
#define DRAIN_NS      1000000000ULL

struct conn {
    int fd;
    bool wants_write;
    uint64_t base; /* offset of its stream in the test bytes */
    uint64_t queued_bytes;
    uint64_t sent_bytes;
    uint64_t recv_bytes;
    uint64_t queued; /* in messages */
    uint64_t done;
    uint64_t window_done;
    uint64_t *stamps; /* intended send time of each waiting message */
};

struct echo {
    struct client *k;
    struct conn *conns;
    uint32_t alive;
    uint32_t stamp_mask;
    bool is_open_loop;
};

static void drop(struct echo *e, struct conn *c, enum client_error error)
{
    e->k->errors[error]++;
    e->alive--;
    close(c->fd);
    c->fd = -1;
}

static void queue_message(struct echo *e, struct conn *c, uint64_t stamp_ns)
{
    c->stamps[c->queued & e->stamp_mask] = stamp_ns;
    c->queued++;
    c->queued_bytes += e->k->options.size_bytes;
}

static void set_wants_write(struct echo *e, struct conn *c, bool wanted)
{
    if (c->wants_write != wanted) {
        c->wants_write = wanted;
        client_watch(e->k, EPOLL_CTL_MOD, c->fd,
                     wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, c);
    }
}

static void flush(struct echo *e, struct conn *c)
{
    while (c->sent_bytes < c->queued_bytes) {
        uint64_t len = c->queued_bytes - c->sent_bytes;
        ssize_t sent;

        len = len < CLIENT_CHUNK ? len : CLIENT_CHUNK;
        sent = send(c->fd, client_pattern(e->k, c->base + c->sent_bytes), len,
                    MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            set_wants_write(e, c, true);
            return;
        }
        if (sent < 0) {
            drop(e, c, CLIENT_BROKEN);
            return;
        }
        c->sent_bytes += (uint64_t)sent;
    }
    set_wants_write(e, c, false);
}

static void complete(struct echo *e, struct conn *c, uint64_t now_ns)
{
    struct client *k = e->k;
    uint64_t stamp = c->stamps[c->done & e->stamp_mask];

    c->done++;
    k->messages++;
    if (!e->is_open_loop) {
        if (k->is_measuring) {
            c->window_done++;
            histogram_record(&k->latency, now_ns - stamp);
        }
        queue_message(e, c, now_ns);
    } else if (stamp >= k->window_start_ns && stamp < k->window_end_ns) {
        c->window_done++;
        histogram_record(&k->latency, now_ns - stamp);
    }
}

static void receive(struct echo *e, struct conn *c)
{
    struct client *k = e->k;
    ssize_t len = recv(c->fd, k->recv_buf, CLIENT_CHUNK, 0);
    uint64_t now;

    if (len < 0 && errno == EAGAIN) {
        return;
    }
    if (len <= 0) {
        drop(e, c, len == 0 ? CLIENT_EOF : CLIENT_BROKEN);
        return;
    }
    if ((uint64_t)len > c->sent_bytes - c->recv_bytes) {
        drop(e, c, CLIENT_SURPLUS);
        return;
    }
    if (memcmp(k->recv_buf, client_pattern(k, c->base + c->recv_bytes),
               (size_t)len) != 0) {
        drop(e, c, CLIENT_MISMATCH);
        return;
    }
    c->recv_bytes += (uint64_t)len;
    k->bytes += (uint64_t)len;
    now = bench_now_ns();
    while (c->recv_bytes >= (c->done + 1) * k->options.size_bytes) {
        complete(e, c, now);
    }
}

static void handle(struct echo *e, const struct epoll_event *event)
{
    struct conn *c = event->data.ptr;

    if (c->fd >= 0 && (event->events & ~(uint32_t)EPOLLOUT) != 0) {
        receive(e, c);
    }
    if (c->fd >= 0) {
        flush(e, c);
    }
}

static void poll_events(struct echo *e, uint64_t timeout_ns)
{
    static struct epoll_event events[MAX_EVENTS];
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / 1000000000U),
        .tv_nsec = (long)(timeout_ns % 1000000000U),
    };
    int count =
        epoll_pwait2(e->k->epoll_fd, events, MAX_EVENTS, &timeout, NULL);

    if (count < 0 && errno != EINTR) {
        bench_die("epoll_pwait2");
    }
    for (int i = 0; i < count; i++) {
        handle(e, &events[i]);
    }
}

static void start(struct echo *e, struct client *k, uint32_t stamp_count)
{
    uint32_t power = 1;

    while (power < stamp_count) {
        power *= 2;
    }
    e->k = k;
    e->stamp_mask = power - 1;
    e->conns = bench_alloc(k->options.conn_count * sizeof(struct conn));
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        struct conn *c = &e->conns[i];

        c->fd = client_connect(k, i);
        if (c->fd < 0) {
            continue;
        }
        c->stamps = bench_alloc(power * sizeof(uint64_t));
        /* With equal bytes, an answer on the wrong connection would look right.
         */
        c->base = i * 7919ULL;
        client_watch(k, EPOLL_CTL_ADD, c->fd, EPOLLIN, c);
        e->alive++;
    }
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        if (e->conns[i].fd >= 0) {
            client_wait_connected(k, e->conns[i].fd);
        }
    }
}

static void measure_fairness(struct echo *e)
{
    double sum = 0;
    double squares = 0;

    for (uint32_t i = 0; i < e->k->options.conn_count; i++) {
        double done = (double)e->conns[i].window_done;

        sum += done;
        squares += done * done;
        e->k->in_flight += e->conns[i].queued - e->conns[i].done;
    }
    if (squares > 0) {
        e->k->fairness =
            sum * sum / (squares * (double)e->k->options.conn_count);
    }
}

void client_run_closed(struct client *k)
{
    struct echo e = {.is_open_loop = false};
    uint64_t now = bench_now_ns();

    start(&e, k, k->options.depth);
    client_begin(k);
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        struct conn *c = &e.conns[i];

        for (uint32_t j = 0; c->fd >= 0 && j < k->options.depth; j++) {
            queue_message(&e, c, now);
        }
        if (c->fd >= 0) {
            flush(&e, c);
        }
    }
    while (e.alive > 0 && client_tick(k, bench_now_ns())) {
        poll_events(&e, 10000000);
    }
    measure_fairness(&e);
}

/* Queues the messages that are due. Returns the intended time of the next. */
static uint64_t send_due(struct echo *e, uint64_t first_ns, uint64_t *number)
{
    struct client *k = e->k;
    uint64_t now = bench_now_ns();

    for (;; ++*number) {
        uint64_t due = first_ns + (uint64_t)((double)*number * 1e9 /
                                             (double)k->options.rate);
        struct conn *c = &e->conns[*number % k->options.conn_count];
        bool counts = due >= k->window_start_ns && due < k->window_end_ns;

        if (due > now || due >= k->window_end_ns) {
            return due;
        }
        k->offered += counts ? 1 : 0;
        if (c->fd < 0 || c->queued - c->done >= OPEN_LIMIT) {
            k->dropped += counts ? 1 : 0;
            continue;
        }
        queue_message(e, c, due);
        flush(e, c);
        now = bench_now_ns();
        if (counts) {
            histogram_record(&k->lateness, now - due);
        }
    }
}

static uint64_t count_waiting(const struct echo *e)
{
    uint64_t waiting = 0;

    for (uint32_t i = 0; i < e->k->options.conn_count; i++) {
        waiting += e->conns[i].queued - e->conns[i].done;
    }
    return waiting;
}

void client_run_open(struct client *k)
{
    struct echo e = {.is_open_loop = true};
    uint64_t number = 0;
    uint64_t first;
    uint64_t next;
    uint64_t now;

    start(&e, k, OPEN_LIMIT);
    client_begin(k);
    first = bench_now_ns();
    while (e.alive > 0 && client_tick(k, bench_now_ns())) {
        next = send_due(&e, first, &number);
        now = bench_now_ns();
        poll_events(&e, next > now + SPIN_BELOW_NS ? next - now - SPIN_BELOW_NS
                                                   : 0);
    }
    /* The histogram includes messages that still wait. */
    now = bench_now_ns();
    while (e.alive > 0 && count_waiting(&e) > 0 &&
           bench_now_ns() < now + DRAIN_NS) {
        poll_events(&e, 1000000);
    }
    measure_fairness(&e);
}
