/*
 * A bare liburing proxy in the best form that is known for this kernel; the
 * floor for what a library's relay may cost.
 *
 * One ring, DEFER_TASKRUN, one system call a turn. Each side has a multishot
 * receive with a credit, which takes its memory from few posted buffers that
 * are filled bit by bit; what was received is sent to the other side from
 * there, one send in flight for each side. SQEs made in a turn leave together
 * at its end.
 *
 * The end of one direction is passed on, and the other goes on. An error of
 * either side ends both; it is not passed on as a reset.
 */
#include "bench/bench.h"
#include "bench/uring_pool.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SQ_ENTRIES   1024
#define CQ_ENTRIES   16384
#define CREDIT       (1024U * 1024)
#define SLICE_INLINE 4
#define IOV_COUNT    8

enum tag { TAG_ACCEPT, TAG_CONNECT, TAG_RECV, TAG_SEND, TAG_CLOSE };

#define TAG_MASK 7U

/* One socket; its slices are what it is to be sent. */
struct side {
    struct pair *pair;
    struct side *other;
    int fd;
    bool is_open; /* connected */
    bool is_armed;
    bool is_sending;
    bool is_dirty;
    bool is_starved;
    bool has_ended; /* nothing more comes from it */
    bool is_shut;   /* nothing more is sent to it */
    uint32_t slice_count;
    uint32_t slice_capacity;
    uint32_t pending; /* bytes in slices */
    struct slice *slices;
    struct msghdr msg;
    struct iovec iov[IOV_COUNT];
    struct slice slices_inline[SLICE_INLINE];
};

struct pair {
    struct side client;
    struct side backend;
    bool is_connecting;
    bool is_broken; /* closed as soon as the kernel has given all back */
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
    struct list dirty; /* have something to send at the end of the turn */
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
    struct io_uring_sqe *sqe = io_uring_get_sqe(&p->ring);

    while (sqe == NULL) {
        int ret = io_uring_submit(&p->ring);

        if (ret < 0 && ret != -EBUSY && ret != -EINTR) {
            bench_die_err("io_uring_submit", ret);
        }
        sqe = io_uring_get_sqe(&p->ring);
    }
    /* The prep functions leave user_data alone. */
    io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)s | (uint64_t)tag);
    return sqe;
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
    return s->is_armed || s->is_sending || s->is_dirty || s->is_starved;
}

static void close_side(struct proxy *p, struct side *s)
{
    struct io_uring_sqe *sqe = get_sqe(p, NULL, TAG_CLOSE);

    io_uring_prep_close(sqe, s->fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    for (uint32_t i = 0; i < s->slice_count; i++) {
        pool_release(&p->pool, s->slices[i].buf_id);
    }
    if (s->slices != s->slices_inline) {
        free(s->slices);
    }
}

/* Free it if it is over and neither the kernel nor a list knows it. */
static void end_if_done(struct proxy *p, struct pair *pair)
{
    bool is_done = pair->client.has_ended && pair->backend.has_ended &&
                   pair->client.pending == 0 && pair->backend.pending == 0;

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
        /* They end the receives and the connecting. */
        shutdown(pair->client.fd, SHUT_RDWR);
        shutdown(pair->backend.fd, SHUT_RDWR);
    }
}

/* Pass on the end of the other side, unless all is over with it. */
static void shut_if_sent(struct side *s)
{
    if (s->other->has_ended && s->pending == 0 && s->is_open && !s->is_shut &&
        !(s->has_ended && s->other->pending == 0)) {
        s->is_shut = true;
        shutdown(s->fd, SHUT_WR);
    }
}

static void mark_dirty(struct proxy *p, struct side *s)
{
    if (!s->is_dirty && !s->is_sending && s->is_open) {
        s->is_dirty = true;
        list_push(&p->dirty, s);
    }
}

/* Queue received bytes for sending; takes over the reference to the buffer. */
static void push_slice(struct proxy *p, struct side *s, struct slice slice)
{
    struct slice *last = &s->slices[s->slice_count - 1];

    s->pending += slice.len;
    if (s->slice_count > 0 && !s->is_sending && last->buf_id == slice.buf_id &&
        last->data + last->len == slice.data) {
        last->len += slice.len;
        pool_release(&p->pool, slice.buf_id);
        return;
    }
    if (s->slice_count == s->slice_capacity) {
        size_t size = s->slice_capacity * sizeof(slice);
        bool is_inline = s->slices == s->slices_inline;

        s->slices = bench_realloc(is_inline ? NULL : s->slices, size * 2);
        if (is_inline) {
            memcpy(s->slices, s->slices_inline, size);
        }
        s->slice_capacity *= 2;
    }
    s->slices[s->slice_count++] = slice;
}

static void rearm_if_wanted(struct proxy *p, struct side *s)
{
    if (!s->is_armed && !s->is_starved && !s->has_ended &&
        !s->pair->is_broken && s->other->pending < CREDIT) {
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
            push_slice(p, s->other, slice);
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

static void drop_sent_slices(struct proxy *p, struct side *s, uint32_t sent)
{
    uint32_t done = 0;

    s->pending -= sent;
    while (sent > 0 && sent >= s->slices[done].len) {
        sent -= s->slices[done].len;
        pool_release(&p->pool, s->slices[done].buf_id);
        done++;
    }
    s->slice_count -= done;
    if (s->slice_count > 0) {
        memmove(s->slices, s->slices + done,
                s->slice_count * sizeof(struct slice));
        s->slices[0].data += sent;
        s->slices[0].len -= sent;
    }
}

static void on_send(struct proxy *p, struct side *s, int res)
{
    s->is_sending = false;
    if (res < 0) {
        break_pair(s->pair);
    } else {
        drop_sent_slices(p, s, (uint32_t)res);
    }
    if (s->pending > 0 && !s->pair->is_broken) {
        mark_dirty(p, s);
    }
    shut_if_sent(s);
    rearm_if_wanted(p, s->other);
    end_if_done(p, s->pair);
}

static void send_slices(struct proxy *p, struct side *s)
{
    struct io_uring_sqe *sqe = get_sqe(p, s, TAG_SEND);
    uint32_t count = s->slice_count < IOV_COUNT ? s->slice_count : IOV_COUNT;

    s->is_sending = true;
    if (count == 1) {
        io_uring_prep_send(sqe, s->fd, s->slices[0].data, s->slices[0].len, 0);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        s->iov[i].iov_base = s->slices[i].data;
        s->iov[i].iov_len = s->slices[i].len;
    }
    s->msg.msg_iov = s->iov;
    s->msg.msg_iovlen = count;
    io_uring_prep_sendmsg(sqe, s->fd, &s->msg, 0);
}

static void send_dirty(struct proxy *p)
{
    for (uint32_t i = 0; i < p->dirty.count; i++) {
        struct side *s = p->dirty.items[i];

        s->is_dirty = false;
        if (s->pair->is_broken) {
            end_if_done(p, s->pair);
        } else {
            send_slices(p, s);
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
    s->slices = s->slices_inline;
    s->slice_capacity = SLICE_INLINE;
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
    if (s->pending > 0) {
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
        int ret = io_uring_submit_and_wait(&p->ring, 1);

        if (ret < 0 && ret != -EINTR && ret != -EBUSY) {
            bench_die_err("io_uring_submit_and_wait", ret);
        }
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

static void start(struct proxy *p)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = CQ_ENTRIES,
    };
    int ret = io_uring_queue_init_params(SQ_ENTRIES, &p->ring, &params);

    if (ret < 0) {
        bench_die_err("io_uring_queue_init_params", ret);
    }
    io_uring_register_ring_fd(&p->ring);
    pool_init(&p->pool, &p->ring);
}

int main(int argc, char **argv)
{
    struct proxy *p = bench_alloc(sizeof(*p));

    p->options = bench_parse(argc, argv, "A proxy on bare liburing.");
    p->to = bench_backend(&p->options);
    p->listen_fd = bench_listen(&p->options, 0);
    start(p);
    arm_accept(p);
    bench_serving(&p->options);
    serve(p);
    return 0;
}
