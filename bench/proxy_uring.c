/*
 * A bare liburing proxy in the best form known for this kernel: the baseline
 * for the cost of a library's relay.
 *
 * One ring with DEFER_TASKRUN and one system call per iteration. Each side has
 * a multishot receive with a limit of bytes, which uses a few posted buffers
 * that are filled incrementally. Received bytes are sent to the other side from
 * their buffer, with one send in flight for each side. All SQEs of an iteration
 * are submitted at its end.
 *
 * The end of one direction is forwarded, and the other direction continues. An
 * error on either side ends both; it is not forwarded as a reset.
 */
#include "bench/bench.h"
#include "bench/uring_pool.h"
#include "bench/uring_queue.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CQ_ENTRIES 16384
#define CREDIT     (1024U * 1024)

enum tag { TAG_ACCEPT, TAG_CONNECT, TAG_RECV, TAG_SEND, TAG_CLOSE };

#define TAG_MASK 7U

/* A socket and the bytes to send on it. */
struct side {
    struct pair *pair;
    struct side *other;
    int fd;
    bool is_open;
    bool is_armed;
    bool is_dirty;
    bool is_starved;
    bool has_ended; /* its peer has ended */
    bool is_shut;   /* its end was sent */
    struct queue queue;
};

struct pair {
    struct side client;
    struct side backend;
    bool is_connecting;
    bool is_broken; /* closed after the last completion */
};

struct list {
    struct side **items;
    uint32_t count;
    uint32_t capacity;
};

struct proxy {
    struct bench_options options;
    struct sockaddr_in to;
    struct io_uring ring;
    int listen_fd;
    struct pool pool;
    struct list dirty; /* send at the end of the iteration */
    struct list starved;
};

static void list_push(struct list *l, struct side *s)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity * 2 + 64;
        l->items = bench_realloc(l->items, l->capacity * sizeof(s));
    }
    l->items[l->count++] = s;
}

static struct io_uring_sqe *get_sqe(struct proxy *p, struct side *s,
                                    enum tag tag)
{
    return ring_get_sqe(&p->ring, (uint64_t)(uintptr_t)s | (uint64_t)tag);
}

static void arm_accept(struct proxy *p)
{
    struct io_uring_sqe *sqe = get_sqe(p, NULL, TAG_ACCEPT);

    io_uring_prep_multishot_accept(sqe, p->listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static void arm_recv(struct proxy *p, struct side *s, unsigned flags)
{
    struct io_uring_sqe *sqe = get_sqe(p, s, TAG_RECV);

    io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
    sqe->len = POOL_BUF_SIZE;
    sqe->optlen = CREDIT;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = POOL_GROUP;
    sqe->ioprio |= (uint16_t)flags;
    s->is_armed = true;
}

static bool is_in_use(const struct side *s)
{
    return s->is_armed || s->queue.is_sending || s->is_dirty || s->is_starved;
}

static void close_side(struct proxy *p, struct side *s)
{
    struct io_uring_sqe *sqe = get_sqe(p, NULL, TAG_CLOSE);

    io_uring_prep_close(sqe, s->fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    queue_fini(&s->queue, &p->pool);
}

/* Frees an ended connection that neither the kernel nor a list refers to. */
static void end_if_done(struct proxy *p, struct pair *pair)
{
    bool is_done = pair->client.has_ended && pair->backend.has_ended &&
                   pair->client.queue.bytes == 0 &&
                   pair->backend.queue.bytes == 0;

    if ((is_done || pair->is_broken) && !pair->is_connecting &&
        !is_in_use(&pair->client) && !is_in_use(&pair->backend)) {
        close_side(p, &pair->client);
        close_side(p, &pair->backend);
        free(pair);
    }
}

static void break_pair(struct pair *pair)
{
    if (!pair->is_broken) {
        pair->is_broken = true;
        /* Ends the receives and the connect. */
        shutdown(pair->client.fd, SHUT_RDWR);
        shutdown(pair->backend.fd, SHUT_RDWR);
    }
}

/* Forwards the end of the other side when all bytes are sent. */
static void shut_if_sent(struct side *s)
{
    if (s->other->has_ended && s->queue.bytes == 0 && s->is_open &&
        !s->is_shut && !(s->has_ended && s->other->queue.bytes == 0)) {
        s->is_shut = true;
        shutdown(s->fd, SHUT_WR);
    }
}

static void mark_dirty(struct proxy *p, struct side *s)
{
    if (!s->is_dirty && !s->queue.is_sending && s->is_open) {
        s->is_dirty = true;
        list_push(&p->dirty, s);
    }
}

static void rearm_if_wanted(struct proxy *p, struct side *s)
{
    if (!s->is_armed && !s->is_starved && !s->has_ended &&
        !s->pair->is_broken && s->other->queue.bytes < CREDIT) {
        arm_recv(p, s, 0);
    }
}

static void on_recv(struct proxy *p, struct side *s,
                    const struct io_uring_cqe *cqe)
{
    s->is_armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        struct slice slice = pool_take(&p->pool, cqe);

        if (slice.len > 0 && !s->pair->is_broken) {
            queue_push(&s->other->queue, &p->pool, slice);
            mark_dirty(p, s->other);
        } else {
            pool_release(&p->pool, slice.buf_id);
        }
    }
    if (cqe->res == 0) {
        s->has_ended = true;
        shut_if_sent(s->other);
    } else if (cqe->res == -ENOBUFS) {
        s->is_starved = true;
        list_push(&p->starved, s);
    } else if (cqe->res < 0) {
        break_pair(s->pair);
    }
    rearm_if_wanted(p, s);
    end_if_done(p, s->pair);
}

static void on_send(struct proxy *p, struct side *s, int res)
{
    queue_sent(&s->queue, &p->pool, res);
    if (res < 0) {
        break_pair(s->pair);
    }
    if (s->queue.bytes > 0 && !s->pair->is_broken) {
        mark_dirty(p, s);
    }
    shut_if_sent(s);
    rearm_if_wanted(p, s->other);
    end_if_done(p, s->pair);
}

static void send_dirty(struct proxy *p)
{
    for (uint32_t i = 0; i < p->dirty.count; i++) {
        struct side *s = p->dirty.items[i];

        s->is_dirty = false;
        if (s->pair->is_broken) {
            end_if_done(p, s->pair);
        } else {
            queue_prep_send(&s->queue, get_sqe(p, s, TAG_SEND), s->fd);
        }
    }
    p->dirty.count = 0;
}

static void feed_starved(struct proxy *p)
{
    if (p->pool.posted_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < p->starved.count; i++) {
        struct side *s = p->starved.items[i];

        s->is_starved = false;
        rearm_if_wanted(p, s);
        end_if_done(p, s->pair);
    }
    p->starved.count = 0;
}

static void start_side(struct pair *pair, struct side *s, int fd)
{
    s->pair = pair;
    s->other = s == &pair->client ? &pair->backend : &pair->client;
    s->fd = fd;
    queue_init(&s->queue);
}

static void on_accept(struct proxy *p, const struct io_uring_cqe *cqe)
{
    struct pair *pair = bench_alloc(sizeof(*pair));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        arm_accept(p);
    }
    if (cqe->res < 0) {
        bench_die_err("accept", cqe->res);
    }
    if (fd < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0) {
        bench_die("socket");
    }
    start_side(pair, &pair->client, cqe->res);
    start_side(pair, &pair->backend, fd);
    pair->client.is_open = true;
    pair->is_connecting = true;
    io_uring_prep_connect(get_sqe(p, &pair->backend, TAG_CONNECT), fd,
                          (const struct sockaddr *)&p->to, sizeof(p->to));
    arm_recv(p, &pair->client, IORING_RECVSEND_POLL_FIRST);
}

static void on_connect(struct proxy *p, struct side *s, int res)
{
    s->pair->is_connecting = false;
    if (res < 0) {
        break_pair(s->pair);
    }
    if (s->pair->is_broken) {
        end_if_done(p, s->pair);
        return;
    }
    s->is_open = true;
    arm_recv(p, s, IORING_RECVSEND_POLL_FIRST);
    if (s->queue.bytes > 0) {
        mark_dirty(p, s);
    }
    shut_if_sent(s);
}

static void handle(struct proxy *p, const struct io_uring_cqe *cqe)
{
    struct side *s =
        (struct side *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);

    switch ((enum tag)(cqe->user_data & TAG_MASK)) {
    case TAG_ACCEPT:
        on_accept(p, cqe);
        return;
    case TAG_CONNECT:
        on_connect(p, s, cqe->res);
        return;
    case TAG_RECV:
        on_recv(p, s, cqe);
        return;
    case TAG_SEND:
        on_send(p, s, cqe->res);
        return;
    case TAG_CLOSE:
        bench_die_err("close", cqe->res);
    }
}

static void serve(struct proxy *p)
{
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned int head;
        unsigned int count = 0;

        ring_wait(&p->ring);
        io_uring_for_each_cqe(&p->ring, head, cqe)
        {
            handle(p, cqe);
            count++;
        }
        io_uring_cq_advance(&p->ring, count);
        pool_post(&p->pool);
        feed_starved(p);
        send_dirty(p);
    }
}

int main(int argc, char **argv)
{
    struct proxy *p = bench_alloc(sizeof(*p));

    p->options = bench_parse(argc, argv, "A proxy on bare liburing.");
    p->to = bench_backend(&p->options);
    p->listen_fd = bench_listen(&p->options, 0);
    ring_start(&p->ring, CQ_ENTRIES);
    pool_init(&p->pool, &p->ring);
    arm_accept(p);
    bench_serving(&p->options);
    serve(p);
    return 0;
}
