/*
 * A bare liburing server in the best form known for this kernel: the baseline
 * for the cost of a library.
 *
 * One ring with DEFER_TASKRUN and one system call per iteration. A multishot
 * receive for each connection uses a few posted buffers of 256 KiB, filled
 * incrementally, with a limit of bytes that stops a flooding peer in the
 * kernel. An echo is sent from its receive buffer without a copy; answers frame
 * by frame are collected by copying. Each connection has one send in flight.
 * All SQEs of an iteration are submitted at its end.
 *
 * A buffer returns to the kernel when it is full and its last slice has been
 * sent.
 */
#include "bench/bench.h"
#include "bench/lines.h"
#include "bench/uring_pool.h"
#include "bench/uring_queue.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CQ_ENTRIES 16384
#define CREDIT     (1024U * 1024)

enum tag { TAG_ACCEPT, TAG_RECV, TAG_SEND, TAG_CLOSE, TAG_MASK = 3 };

struct conn {
    int fd;
    uint32_t index;
    bool is_armed;
    bool is_dirty;
    bool is_ending; /* receives no more; closed when all is sent */
    bool is_broken; /* closed after the last completion */
    bool is_starved;
    uint32_t answered;  /* bytes sent, with BENCH_CLOSE */
    struct queue queue; /* its is_sending also covers copied answers */
    /* Copied answers are collected in fill and sent from fly. */
    uint8_t *fill;
    uint8_t *fly;
    uint32_t fill_len;
    uint32_t fill_capacity;
    uint32_t fly_len;
    uint32_t fly_sent;
    uint32_t fly_capacity;
    uint32_t held_len;
    uint8_t *held;
    struct server *server; /* for answers to lines */
    struct lines lines;
};

struct list {
    struct conn **items;
    uint32_t count;
    uint32_t capacity;
};

struct server {
    struct bench_options options;
    struct io_uring ring;
    int listen_fd;
    uint32_t cpu;
    struct pool pool;
    struct list conns;
    struct list dirty; /* send at the end of the iteration */
    struct list starved;
    uint8_t *message;
};

static void list_push(struct list *l, struct conn *c)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity * 2 + 64;
        l->items = bench_realloc(l->items, l->capacity * sizeof(c));
    }
    l->items[l->count++] = c;
}

static struct io_uring_sqe *get_sqe(struct server *s, struct conn *c,
                                    enum tag tag)
{
    return ring_get_sqe(&s->ring, (uint64_t)(uintptr_t)c | (uint64_t)tag);
}

static void arm_accept(struct server *s)
{
    struct io_uring_sqe *sqe = get_sqe(s, NULL, TAG_ACCEPT);

    io_uring_prep_multishot_accept(sqe, s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static void arm_recv(struct server *s, struct conn *c, bool poll_first)
{
    struct io_uring_sqe *sqe = get_sqe(s, c, TAG_RECV);

    if (s->options.mode == BENCH_CLOSE) {
        /* A multishot receive in flight would delay the FIN. */
        io_uring_prep_recv(sqe, c->fd, NULL, 0, 0);
    } else {
        io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
        sqe->len = POOL_BUF_SIZE;
        sqe->optlen = CREDIT;
    }
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = POOL_GROUP;
    sqe->ioprio |= poll_first ? IORING_RECVSEND_POLL_FIRST : 0;
    c->is_armed = true;
}

static void free_conn(struct server *s, struct conn *c)
{
    struct conn *last = s->conns.items[--s->conns.count];
    struct io_uring_sqe *sqe;

    s->conns.items[c->index] = last;
    last->index = c->index;
    queue_fini(&c->queue, &s->pool);
    sqe = get_sqe(s, NULL, TAG_CLOSE);
    io_uring_prep_close(sqe, c->fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    free(c->fill);
    free(c->fly);
    free(c->held);
    lines_fini(&c->lines);
    free(c);
}

static bool has_output(const struct conn *c)
{
    return c->queue.count > 0 || c->fill_len > 0 || c->fly_len > 0;
}

/* Frees an ended connection that neither the kernel nor a list refers to. */
static void end_if_done(struct server *s, struct conn *c)
{
    if (c->queue.is_sending || c->is_dirty || c->is_starved) {
        return;
    }
    if (!c->is_broken && (!c->is_ending || has_output(c))) {
        return;
    }
    if (!c->is_armed) {
        free_conn(s, c);
    } else if (!c->is_broken) {
        c->is_broken = true;
        shutdown(c->fd, SHUT_RDWR); /* ends the receive */
    }
}

static void mark_dirty(struct server *s, struct conn *c)
{
    if (!c->is_dirty && !c->queue.is_sending) {
        c->is_dirty = true;
        list_push(&s->dirty, c);
    }
}

static void break_conn(struct conn *c)
{
    if (!c->is_broken) {
        c->is_broken = true;
        shutdown(c->fd, SHUT_RDWR);
    }
}

/* Returns true if answers are copied, not slices of a receive buffer. */
static bool has_answers(const struct server *s)
{
    return s->options.mode == BENCH_FRAMED || s->options.mode == BENCH_LINES;
}

/* Appends an answer, which is sent at the end of the iteration. */
static void write_answer(struct conn *c, const void *answer, uint32_t size)
{
    if (c->fill_capacity - c->fill_len < size) {
        c->fill_capacity = c->fill_capacity * 2 + 4096 + size;
        c->fill = bench_realloc(c->fill, c->fill_capacity);
    }
    memcpy(c->fill + c->fill_len, answer, size);
    c->fill_len += size;
}

static void answer_frames(struct server *s, struct conn *c, const uint8_t *data,
                          uint32_t len)
{
    uint32_t size = s->options.frame_size;
    uint32_t offset = 0;

    if (c->held_len > 0) {
        offset = size - c->held_len < len ? size - c->held_len : len;
        memcpy(c->held + c->held_len, data, offset);
        c->held_len += offset;
        if (c->held_len < size) {
            return;
        }
        write_answer(c, c->held, size);
    }
    for (; len - offset >= size; offset += size) {
        write_answer(c, data + offset, size);
    }
    c->held_len = len - offset;
    if (c->held_len > 0) {
        c->held = c->held == NULL ? bench_alloc(size) : c->held;
        memcpy(c->held, data + offset, c->held_len);
    }
    if (c->fill_len > 0) {
        mark_dirty(s, c);
    }
}

static int answer_line(void *conn, const struct lines_answer *answer)
{
    struct conn *c = conn;

    write_answer(c, answer, sizeof(*answer));
    mark_dirty(c->server, c);
    return 0;
}

static void send_to_all(struct server *s)
{
    for (uint32_t i = 0; i < s->conns.count; i++) {
        struct slice slice = {s->message, s->options.message_size, POOL_NO_BUF};

        queue_push(&s->conns.items[i]->queue, &s->pool, slice);
        mark_dirty(s, s->conns.items[i]);
    }
}

static void take_data(struct server *s, struct conn *c, struct slice slice)
{
    switch (s->options.mode) {
    case BENCH_ECHO:
    case BENCH_CLOSE:
        queue_push(&c->queue, &s->pool, slice);
        mark_dirty(s, c);
        return;
    case BENCH_FRAMED:
        answer_frames(s, c, slice.data, slice.len);
        break;
    case BENCH_LINES:
        if (lines_cut(&c->lines, slice.data, slice.len, answer_line, c) < 0) {
            break_conn(c);
        }
        break;
    case BENCH_FANOUT:
        for (uint32_t i = 0; i < slice.len; i++) {
            send_to_all(s);
        }
        break;
    }
    pool_release(&s->pool, slice.buf_id);
}

static void rearm_if_wanted(struct server *s, struct conn *c, int res)
{
    if (c->is_armed || c->is_broken || c->is_ending || c->is_starved) {
        return;
    }
    if (res == -ENOBUFS) {
        c->is_starved = true;
        list_push(&s->starved, c);
    } else if (c->queue.bytes < CREDIT &&
               (s->options.mode != BENCH_CLOSE ||
                c->answered + c->queue.bytes < s->options.frame_size)) {
        arm_recv(s, c, false);
    }
}

static void on_recv(struct server *s, struct conn *c,
                    const struct io_uring_cqe *cqe)
{
    c->is_armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        struct slice slice = pool_take(&s->pool, cqe);

        if (slice.len > 0 && !c->is_broken) {
            take_data(s, c, slice);
        } else {
            pool_release(&s->pool, slice.buf_id);
        }
    }
    if (cqe->res == 0) {
        c->is_ending = true;
    } else if (cqe->res < 0 && cqe->res != -ENOBUFS) {
        break_conn(c);
    }
    rearm_if_wanted(s, c, cqe->res);
    end_if_done(s, c);
}

static void on_send(struct server *s, struct conn *c, int res)
{
    queue_sent(&c->queue, &s->pool, has_answers(s) ? 0 : res);
    if (res < 0) {
        break_conn(c);
    } else if (has_answers(s)) {
        c->fly_sent += (uint32_t)res;
        c->fly_len = c->fly_sent == c->fly_len ? 0 : c->fly_len;
    } else {
        c->answered += (uint32_t)res;
        if (s->options.mode == BENCH_CLOSE &&
            c->answered >= s->options.frame_size) {
            c->is_ending = true;
        }
    }
    if (has_output(c) && !c->is_broken) {
        mark_dirty(s, c);
    }
    rearm_if_wanted(s, c, res);
    end_if_done(s, c);
}

static void send_answers(struct server *s, struct conn *c)
{
    struct io_uring_sqe *sqe = get_sqe(s, c, TAG_SEND);

    c->queue.is_sending = true;
    if (c->fly_len == 0) {
        uint8_t *memory = c->fly;
        uint32_t capacity = c->fly_capacity;

        c->fly = c->fill;
        c->fly_len = c->fill_len;
        c->fly_capacity = c->fill_capacity;
        c->fly_sent = 0;
        c->fill = memory;
        c->fill_len = 0;
        c->fill_capacity = capacity;
    }
    io_uring_prep_send(sqe, c->fd, c->fly + c->fly_sent,
                       c->fly_len - c->fly_sent, 0);
}

static void send_dirty(struct server *s)
{
    for (uint32_t i = 0; i < s->dirty.count; i++) {
        struct conn *c = s->dirty.items[i];

        c->is_dirty = false;
        if (c->is_broken) {
            end_if_done(s, c);
            continue;
        }
        if (has_answers(s)) {
            send_answers(s, c);
        } else {
            queue_prep_send(&c->queue, get_sqe(s, c, TAG_SEND), c->fd);
        }
    }
    s->dirty.count = 0;
}

static void feed_starved(struct server *s)
{
    if (s->pool.posted_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < s->starved.count; i++) {
        struct conn *c = s->starved.items[i];

        c->is_starved = false;
        rearm_if_wanted(s, c, 0);
        end_if_done(s, c);
    }
    s->starved.count = 0;
}

static void on_accept(struct server *s, const struct io_uring_cqe *cqe)
{
    struct conn *c;

    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        arm_accept(s);
    }
    if (cqe->res < 0) {
        bench_die_err("accept", cqe->res);
    }
    c = bench_alloc(sizeof(*c));
    c->fd = cqe->res;
    c->server = s;
    queue_init(&c->queue);
    c->index = s->conns.count;
    list_push(&s->conns, c);
    arm_recv(s, c, true);
}

static void handle(struct server *s, const struct io_uring_cqe *cqe)
{
    struct conn *c =
        (struct conn *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);

    switch ((enum tag)(cqe->user_data & TAG_MASK)) {
    case TAG_ACCEPT:
        on_accept(s, cqe);
        return;
    case TAG_RECV:
        on_recv(s, c, cqe);
        return;
    case TAG_SEND:
        on_send(s, c, cqe->res);
        return;
    case TAG_CLOSE:
        bench_die_err("close", cqe->res);
    }
}

static void serve(struct server *s)
{
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned int head;
        unsigned int count = 0;

        ring_wait(&s->ring);
        io_uring_for_each_cqe(&s->ring, head, cqe)
        {
            handle(s, cqe);
            count++;
        }
        io_uring_cq_advance(&s->ring, count);
        pool_post(&s->pool);
        feed_starved(s);
        send_dirty(s);
    }
}

/* Runs a separate server on one CPU. Threads share neither ring, buffers nor
 * connections. */
static void *serve_thread(void *arg)
{
    struct server *s = arg;

    bench_pin(s->cpu);
    ring_start(&s->ring, CQ_ENTRIES);
    pool_init(&s->pool, &s->ring);
    arm_accept(s);
    serve(s);
    return NULL;
}

static struct server *make_server(const struct bench_options *options)
{
    struct server *s = bench_alloc(sizeof(*s));

    s->options = *options;
    s->message = bench_alloc(options->message_size);
    s->listen_fd = bench_listen(options, 0);
    return s;
}

/* Starts a server on each CPU except the first. */
static void start_threads(const struct bench_options *options)
{
    for (uint32_t cpu = 1; cpu < options->threads; cpu++) {
        struct server *s = make_server(options);
        pthread_t thread;

        s->cpu = cpu;
        if (pthread_create(&thread, NULL, serve_thread, s) != 0) {
            bench_die_err("pthread_create", -1);
        }
    }
    if (options->threads > 1) {
        bench_pin(0);
    }
}

int main(int argc, char **argv)
{
    struct bench_options options =
        bench_parse(argc, argv, "A server on bare liburing.");
    struct server *s = make_server(&options);

    start_threads(&options);
    ring_start(&s->ring, CQ_ENTRIES);
    pool_init(&s->pool, &s->ring);
    arm_accept(s);
    bench_serving(&options);
    serve(s);
    return 0;
}
