/*
 * The client's closed loop of datagrams, each connection on a connected socket.
 *
 * A connection sends an endless stream of test bytes, divided into datagrams,
 * and compares the answers with it. A server with one thread neither loses nor
 * reorders a few datagrams on loopback; a second without an answer is an error.
 *
 * The client takes and replaces all available answers together. With trains,
 * a connection sends its datagrams with one call (UDP GSO) when all answers to
 * the last train have arrived.
 */
#define _GNU_SOURCE
#include "bench/bench.h"
#include "bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 512
#define DEPTH_MAX  64
#define BYTES_MAX  1500
#define SILENCE_NS 1000000000ULL

struct conn {
    int fd;
    uint64_t base; /* offset of its stream in the test bytes */
    uint64_t sent; /* in datagrams */
    uint64_t done;
    uint64_t stamps[DEPTH_MAX];
};

struct udp {
    struct client *k;
    struct conn *conns;
    uint64_t heard_ns; /* time of the last answer */
    bool is_over;      /* because of an error */
    struct mmsghdr messages[DEPTH_MAX];
    struct iovec iov[DEPTH_MAX];
};

static void fail(struct udp *u, enum client_error error)
{
    u->k->errors[error]++;
    u->is_over = true;
}

static const uint8_t *datagram(const struct udp *u, const struct conn *c,
                               uint64_t number)
{
    return client_pattern(u->k, c->base + number * u->k->options.size_bytes);
}

static int open_conn(struct udp *u)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons(u->k->options.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int segment = (int)u->k->options.size_bytes;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        bench_die("socket");
    }
    if (u->k->options.has_trains &&
        setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0) {
        bench_die("UDP_SEGMENT");
    }
    return fd;
}

static void stamp(struct conn *c, uint32_t count, uint64_t now_ns)
{
    for (uint32_t i = 0; i < count; i++) {
        c->stamps[(c->sent + i) % DEPTH_MAX] = now_ns;
    }
}

static void send_train(struct udp *u, struct conn *c, uint32_t count)
{
    size_t len = (size_t)count * u->k->options.size_bytes;

    stamp(c, count, bench_now_ns());
    if (send(c->fd, datagram(u, c, c->sent), len, 0) != (ssize_t)len) {
        fail(u, CLIENT_BROKEN);
    }
    c->sent += count;
}

static void send_each(struct udp *u, struct conn *c, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        u->iov[i].iov_base = (void *)(uintptr_t)datagram(u, c, c->sent + i);
        u->iov[i].iov_len = u->k->options.size_bytes;
    }
    stamp(c, count, bench_now_ns());
    if (sendmmsg(c->fd, u->messages, count, 0) != (int)count) {
        fail(u, CLIENT_BROKEN);
    }
    c->sent += count;
}

static void send_more(struct udp *u, struct conn *c)
{
    uint32_t depth = u->k->options.depth;
    uint32_t count = depth - (uint32_t)(c->sent - c->done);

    if (!u->k->options.has_trains) {
        send_each(u, c, count);
    } else if (count == depth) {
        send_train(u, c, count);
    }
}

static void take_answer(struct udp *u, struct conn *c, uint32_t i,
                        uint64_t now_ns)
{
    struct client *k = u->k;
    uint32_t size = k->options.size_bytes;

    if (c->done == c->sent) {
        fail(u, CLIENT_SURPLUS);
        return;
    }
    if (u->messages[i].msg_len != size ||
        memcmp(u->iov[i].iov_base, datagram(u, c, c->done), size) != 0) {
        fail(u, CLIENT_MISMATCH);
        return;
    }
    if (k->is_measuring) {
        histogram_record(&k->latency, now_ns - c->stamps[c->done % DEPTH_MAX]);
    }
    c->done++;
    k->messages++;
    k->bytes += size;
}

static void receive(struct udp *u, struct conn *c)
{
    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        u->iov[i].iov_base = u->k->recv_buf + i * BYTES_MAX;
        u->iov[i].iov_len = BYTES_MAX;
    }
    int count = recvmmsg(c->fd, u->messages, DEPTH_MAX, MSG_DONTWAIT, NULL);
    if (count <= 0) {
        fail(u, CLIENT_BROKEN);
        return;
    }
    u->heard_ns = bench_now_ns();
    for (int i = 0; i < count && !u->is_over; i++) {
        take_answer(u, c, (uint32_t)i, u->heard_ns);
    }
    if (!u->is_over) {
        send_more(u, c);
    }
}

static void start(struct udp *u)
{
    const struct client_options *options = &u->k->options;

    u->conns = bench_alloc(options->conn_count * sizeof(struct conn));
    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        u->messages[i].msg_hdr.msg_iov = &u->iov[i];
        u->messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (uint32_t i = 0; i < options->conn_count; i++) {
        u->conns[i].fd = open_conn(u);
        /* With equal bytes, an answer on the wrong connection would look right.
         */
        u->conns[i].base = i * 7919ULL;
        client_watch(u->k, EPOLL_CTL_ADD, u->conns[i].fd, EPOLLIN,
                     &u->conns[i]);
    }
    for (uint32_t i = 0; i < options->conn_count; i++) {
        send_more(u, &u->conns[i]);
    }
}

static void poll_events(struct udp *u)
{
    static struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(u->k->epoll_fd, events, MAX_EVENTS, 10);

    for (int i = 0; i < count && !u->is_over; i++) {
        receive(u, events[i].data.ptr);
    }
    if (bench_now_ns() > u->heard_ns + SILENCE_NS) {
        fail(u, CLIENT_BROKEN);
    }
}

void client_run_udp(struct client *k)
{
    struct udp u = {.k = k, .heard_ns = bench_now_ns()};

    if (k->options.depth > DEPTH_MAX || k->options.size_bytes > BYTES_MAX) {
        errno = EINVAL;
        bench_die("--depth or --size");
    }
    client_begin(k);
    start(&u);
    while (!u.is_over && client_tick(k, bench_now_ns())) {
        poll_events(&u);
    }
    for (uint32_t i = 0; i < k->options.conn_count; i++) {
        k->in_flight += u.conns[i].sent - u.conns[i].done;
    }
}
