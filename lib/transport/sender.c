/*
 * Sends a file; outbox.h explains senders. Queued bytes belong to the queue. A
 * sender owns at most one part, which is being read or sent without the queue.
 * The sender is freed before done is called.
 */
#include "connection.h"

/* The smallest part, even if the marks are lower. */
#define PART_LEAST (4u << 10)

static void sender_set_state(struct wr_sender *f, enum wr_sender_state state)
{
    static const uint8_t allowed[WR_SENDER_STATES] = {
        [WR_SENDER_NEXT] = 1u << WR_SENDER_READING | 1u << WR_SENDER_STOPPING |
                           1u << WR_SENDER_DONE,
        [WR_SENDER_READING] = 1u << WR_SENDER_SENDING | 1u << WR_SENDER_NEXT |
                              1u << WR_SENDER_STOPPING | 1u << WR_SENDER_DONE,
        [WR_SENDER_SENDING] = 1u << WR_SENDER_NEXT | 1u << WR_SENDER_STOPPING |
                              1u << WR_SENDER_DONE,
        [WR_SENDER_STOPPING] = 1u << WR_SENDER_DONE,
    };
    wr_assert(state < WR_SENDER_STATES);
    wr_assert(allowed[f->state] >> state & 1u);
    f->state = state;
}

const char *wr_sender_state_name(const struct wr_sender *f)
{
    static const char *const names[WR_SENDER_STATES] = {
        "next", "reading", "sending", "stopping", "done"};
    return f ? names[f->state] : "none";
}

static const struct wr_sendq *sender_queue_of(const struct wr_sender *f)
{
    return &wr_outbox_of(f->t)->queue;
}

uint64_t wr_sender_take_back(struct wr_sender *f, uint64_t waiting)
{
    const uint64_t lost = wr_min_u64(waiting, f->queued_bytes);

    wr_assert(f->state < WR_SENDER_DONE);
    wr_assert(f->queued_bytes <= f->sent_bytes);
    f->file.offset -= lost;
    f->file.left += lost;
    f->sent_bytes -= lost;
    f->queued_bytes = 0;
    return lost;
}

/* Schedules done. Nothing of the file may be in flight. */
static void sender_finish(struct wr_sender *f, int err)
{
    const bool is_whole = f->file.left == 0 && !f->has_lost_queue;

    wr_assert(!f->read_op.base.in_flight && !f->chunk);
    if (f->has_lost_queue) {
        wr_ignore(wr_sender_take_back(f, sender_queue_of(f)->bytes) > 0);
    }
    f->err = is_whole ? 0 : err;
    sender_set_state(f, WR_SENDER_DONE);
    wr_ready_push(&f->t->loop->ready, &f->ready);
}

static void sender_ready(struct wr_ready *ready)
{
    struct wr_sender *f = wr_container_of(ready, struct wr_sender, ready);
    weir_transport *t = f->t;
    weir_sendfile_done_fn *done = f->file.done;
    void *arg = f->file.arg;
    const int err = f->err;
    const uint64_t sent = f->sent_bytes;

    wr_assert(f->state == WR_SENDER_DONE);
    wr_assert(!f->chunk && !f->read_op.base.in_flight);
    wr_assert(!wr_ready_is_pending(ready));
    t->ops->end_file(t, err);
    wr_free(&t->loop->counting, f, sizeof(*f));
    done(arg, t, err, sent);
    wr_loop_end_if_forked(t->loop);
}

static bool sender_may_read(const struct wr_sender *f)
{
    const weir_transport *t = f->t;
    const bool has_two = sender_queue_of(f)->bytes > f->last_bytes &&
                         f->queued_bytes > f->last_bytes;

    return !has_two && t->ops->get_depth(t) <= wr_transport_high(t);
}

static void sender_read(struct wr_sender *f)
{
    weir_loop *loop = f->t->loop;
    uint64_t len = wr_min_u64(f->file.left, f->t->ops->part_bytes);

    wr_assert(len > 0 && !f->chunk);
    if (!f->t->ops->send_part) {
        len = wr_min_u64(len, wr_max_u64(wr_transport_high(f->t), PART_LEAST));
    }
    f->chunk = wr_sendq_make_chunk(&loop->send_memory, (size_t)len);
    if (!f->chunk) {
        sender_finish(f, -ENOMEM);
        return;
    }
    sender_set_state(f, WR_SENDER_READING);
    wr_budget_queue(&loop->budget, wr_chunk_block(f->chunk)->capacity);
    wr_prep_read_at(&loop->uring, &f->read_op, f->file.fd,
                    wr_chunk_room(f->chunk), (size_t)len, f->file.offset);
}

static struct wr_chunk *sender_take_chunk(struct wr_sender *f)
{
    struct wr_chunk *chunk = f->chunk;

    wr_assert(chunk && !f->read_op.base.in_flight);
    wr_budget_unqueue(&f->t->loop->budget, wr_chunk_block(chunk)->capacity);
    f->chunk = NULL;
    return chunk;
}

static void sender_drop_chunk(struct wr_sender *f)
{
    wr_sendq_drop_chunk(&f->t->loop->send_memory, sender_take_chunk(f));
}

static void sender_took(struct wr_sender *f, uint64_t bytes)
{
    wr_sendfile_took(&f->file, bytes);
    f->sent_bytes += bytes;
}

static void sender_queue(struct wr_sender *f, struct wr_chunk *chunk,
                         size_t len)
{
    sender_took(f, len);
    f->queued_bytes += len;
    f->last_bytes = len;
    f->t->ops->queue_file(f->t, chunk, len);
}

static void sender_send(struct wr_sender *f, size_t len)
{
    wr_assert(f->state == WR_SENDER_READING);
    wr_check(len <= f->file.left);
    if (!f->t->ops->send_part) {
        sender_set_state(f, WR_SENDER_NEXT);
        sender_queue(f, sender_take_chunk(f), len);
        wr_sender_go_on(f);
        return;
    }
    const int err = f->t->ops->send_part(f->t, wr_chunk_room(f->chunk), len);
    if (err < 0) {
        sender_drop_chunk(f);
        sender_finish(f, err);
        return;
    }
    f->last_bytes = len;
    sender_set_state(f, WR_SENDER_SENDING);
}

static void sender_read_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_sender *f = wr_container_of(op, struct wr_sender, read_op.base);
    (void)flags;

    wr_assert(f->state == WR_SENDER_READING || f->state == WR_SENDER_STOPPING);
    if (f->state == WR_SENDER_READING && res > 0) {
        sender_send(f, (size_t)res);
        return;
    }
    sender_drop_chunk(f);
    if (f->state == WR_SENDER_STOPPING) {
        sender_finish(f, f->err);
    } else if (wr_res_is_transient(res)) {
        sender_set_state(f, WR_SENDER_NEXT);
        if (sender_may_read(f)) { /* once in each loop iteration */
            sender_read(f);
        }
    } else if (res == 0) {
        f->file.left = 0;
        sender_set_state(f, WR_SENDER_NEXT);
        wr_sender_go_on(f);
    } else {
        sender_finish(f, res);
    }
}

void wr_sender_join(struct wr_sender *f)
{
    const struct wr_sendq_memory *memory = &f->t->loop->send_memory;
    const size_t len = wr_sendfile_small_bytes(&f->file);
    struct wr_chunk *chunk = NULL;

    wr_sender_check_invariants(f);
    wr_assert(f->state == WR_SENDER_NEXT && f->sent_bytes == 0);
    if (len > 0 &&
        f->t->ops->get_depth(f->t) + len <= wr_transport_high(f->t)) {
        chunk = wr_sendq_make_chunk(memory, len);
    }
    if (!chunk) {
        return;
    }
    const int64_t got = wr_sys_read_cached(f->file.fd, wr_chunk_room(chunk),
                                           len, f->file.offset);
    if (got > 0) {
        sender_queue(f, chunk, (size_t)got);
    } else { /* the ring's read will find the error */
        wr_sendq_drop_chunk(memory, chunk);
    }
}

/* @res is the number of bytes that the device took, or its error. */
static void sender_went(struct wr_sender *f, int64_t res)
{
    weir_transport *t = f->t;

    if (res < 0 && !wr_res_is_transient(res)) {
        t->ops->file_went(t, (int)res);
    } else if (f->state == WR_SENDER_NEXT) {
        const bool is_full = res == -EAGAIN || (res > 0 && f->file.is_full);
        t->ops->file_went(t, is_full ? -EAGAIN : 0);
    }
}

static void sender_splice(struct wr_sender *f)
{
    const int64_t res = f->t->ops->splice(f->t, &f->file);

    wr_assert(f->state == WR_SENDER_NEXT);
    if (res == 0) {
        sender_read(f);
        return;
    }
    if (res > 0) {
        sender_took(f, (uint64_t)res);
        if (f->file.left == 0) {
            sender_finish(f, 0);
        }
    }
    sender_went(f, res);
}

void wr_sender_sent(struct wr_sender *f, int32_t res)
{
    wr_assert(f->t->ops->send_part && !f->read_op.base.in_flight);
    if (f->chunk) {
        sender_drop_chunk(f);
        if (res > 0) {
            wr_check((size_t)res <= f->last_bytes);
            sender_took(f, (uint64_t)res);
            f->file.is_full = (size_t)res < f->last_bytes;
        }
    }
    if (f->state == WR_SENDER_SENDING) {
        sender_set_state(f, WR_SENDER_NEXT);
    }
    if (f->state == WR_SENDER_STOPPING || f->file.left == 0) {
        sender_finish(f, f->err);
    }
    sender_went(f, res); /* the kernel reports an error only once */
}

void wr_sender_stopped(struct wr_sender *f)
{
    wr_assert(f->state == WR_SENDER_STOPPING);
    wr_assert(f->err < 0);
    sender_finish(f, f->err);
}

struct wr_sender *wr_sender_new(weir_transport *t,
                                const struct wr_sendfile *file)
{
    struct wr_sender *f = wr_alloc(&t->loop->counting, sizeof(*f));
    if (!f) {
        return NULL;
    }
    wr_assert(t->ops->part_bytes <= WR_SENDFILE_READ);
    wr_assert(t->ops->part_bytes >= WR_SENDFILE_SMALL);
    *f = (struct wr_sender){.t = t, .file = *file};
    wr_op_init(&f->read_op.base, sender_read_completed);
    wr_ready_init(&f->ready, sender_ready);
    return f;
}

void wr_sender_go_on(struct wr_sender *f)
{
    wr_sender_check_invariants(f);
    if (f->state != WR_SENDER_NEXT) {
        return;
    }
    if (f->file.left == 0) {
        if (f->t->ops->get_depth(f->t) == 0) {
            sender_finish(f, 0);
        }
    } else if (f->t->ops->splice) {
        wr_assert(wr_sendq_is_empty(sender_queue_of(f)));
        sender_splice(f);
    } else if (sender_may_read(f)) {
        sender_read(f);
    }
}

/* Stops the file with @err, after the end of a read or a send in flight. */
static void sender_stop(struct wr_sender *f, int err)
{
    wr_assert(err < 0);
    wr_assert(wr_sender_is_active(f));
    f->err = err;
    if (f->state == WR_SENDER_READING) {
        sender_set_state(f, WR_SENDER_STOPPING);
        wr_op_cancel(&f->t->loop->uring, &f->read_op.base);
    } else if (f->t->ops->withdraw && !f->t->ops->withdraw(f->t)) {
        sender_set_state(f, WR_SENDER_STOPPING);
    } else {
        sender_finish(f, err);
    }
}

void wr_sender_cancel(struct wr_sender *f)
{
    wr_sender_check_invariants(f);
    if (wr_sender_is_active(f)) {
        sender_stop(f, -ECANCELED);
    }
}

void wr_sender_break(struct wr_sender *f)
{
    wr_sender_check_invariants(f);
    if (f->state < WR_SENDER_DONE) {
        f->has_lost_queue = !f->t->ops->withdraw;
    }
    if (wr_sender_is_active(f)) {
        sender_stop(f, f->t->error ? f->t->error : -ECONNABORTED);
    }
}

/* Breaks the file first; otherwise a completed read would start another. */
void wr_sender_abandon(struct wr_sender *f)
{
    wr_sender_break(f);
    wr_op_abandon(&f->t->loop->uring, &f->read_op.base);
}

void wr_sender_check_invariants(const struct wr_sender *f)
{
    const bool is_reading = f->read_op.base.in_flight;

    wr_assert(f->state < WR_SENDER_STATES);
    wr_assert(f->state != WR_SENDER_READING || is_reading);
    wr_assert(!is_reading || f->state == WR_SENDER_READING ||
              f->state == WR_SENDER_STOPPING);
    wr_assert(!is_reading || f->chunk);
    wr_assert(f->state != WR_SENDER_SENDING ||
              (f->chunk && f->t->ops->send_part));
    wr_assert(f->state != WR_SENDER_NEXT || !f->chunk);
    wr_assert(f->state != WR_SENDER_STOPPING || f->err < 0);
    wr_assert(f->state != WR_SENDER_DONE || !f->chunk);
    wr_assert(f->queued_bytes <= f->sent_bytes);
    wr_debug_assert(!wr_ready_is_pending(&f->ready) ||
                    f->state == WR_SENDER_DONE);
}

void wr_sender_check_progress(const struct wr_sender *f)
{
    wr_sender_check_invariants(f);
    wr_assert(f->state != WR_SENDER_NEXT || f->t->ops->get_depth(f->t) > 0);
    wr_assert(f->state != WR_SENDER_DONE || wr_ready_is_pending(&f->ready));
}
