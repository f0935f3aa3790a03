/*
 * Files on their way through a send queue; see copier.h.
 *
 * What is in the queue is the queue's: a copier has no more than the part that
 * is being read, and is gone when the program was told.
 */
#include "copier.h"

#include "transport.h"

/* However low the marks are a part is not smaller. */
#define PART_LEAST (4u << 10)

static void copier_set_state(struct wr_copier *c, enum wr_copier_state state)
{
    static const uint8_t allowed[WR_COPIER_STATES] = {
        [WR_COPIER_COPYING] = 1u << WR_COPIER_DRAINING |
                              1u << WR_COPIER_STOPPING | 1u << WR_COPIER_DONE,
        [WR_COPIER_DRAINING] = 1u << WR_COPIER_DONE,
        [WR_COPIER_STOPPING] = 1u << WR_COPIER_DONE,
    };
    wr_assert(state < WR_COPIER_STATES);
    wr_assert(allowed[c->state] >> state & 1u);
    c->state = state;
}

const char *wr_copier_state_name(const struct wr_copier *c)
{
    static const char *const names[WR_COPIER_STATES] = {"copying", "draining",
                                                        "stopping", "done"};
    return c ? names[c->state] : "none";
}

/* ---- the end ---- */

/* The loop tells the program. */
static void copier_finish(struct wr_copier *c, int err)
{
    wr_assert(!c->read_op.in_flight && !c->reading);
    c->err = err;
    if (c->is_broken) { /* the last of them are in the queue */
        c->sent_bytes -= wr_min_u64(c->queue->bytes, c->sent_bytes);
    }
    copier_set_state(c, WR_COPIER_DONE);
    wr_ready_push(&c->t->loop->ready, &c->ready);
}

static void copier_tell(struct wr_ready *ready)
{
    struct wr_copier *c = wr_container_of(ready, struct wr_copier, ready);
    weir_transport *t = c->t;
    weir_sendfile_done_fn *done = c->file.done;
    void *arg = c->file.arg;
    const int err = c->err;
    const uint64_t sent = c->sent_bytes;

    wr_assert(!wr_ready_is_pending(ready));
    wr_assert(c->state == WR_COPIER_DONE);
    c->ops->ended(t, err);
    wr_free(&t->loop->counting, c, sizeof(*c));
    done(arg, t, err, sent);
    wr_loop_end_if_forked(t->loop);
}

/* ---- reading ---- */

/* At most two parts wait: the last one, and some of the one before it. */
static bool copier_may_read(const struct wr_copier *c)
{
    const weir_transport *t = c->t;
    const bool has_two =
        c->queue->bytes > c->last_bytes && c->sent_bytes > c->last_bytes;

    return !c->reading && !has_two &&
           t->ops->get_depth(t).bytes <= wr_transport_high(t);
}

static void copier_read(struct wr_copier *c)
{
    weir_loop *loop = c->t->loop;
    const uint64_t most = wr_max_u64(wr_transport_high(c->t), PART_LEAST);
    const size_t len =
        (size_t)wr_min_u64(c->file.left, wr_min_u64(most, c->ops->part_bytes));

    wr_assert(len > 0 && !c->reading);
    c->reading = wr_sendq_make_chunk(&loop->send_memory, len);
    if (!c->reading) {
        copier_finish(c, -ENOMEM);
        return;
    }
    wr_budget_queue(&loop->budget, wr_chunk_block(c->reading)->capacity);
    wr_prep_read_at(&loop->uring, &c->read_op, c->file.fd,
                    wr_chunk_room(c->reading), len, c->file.offset);
}

/* The chunk that was read into waits no longer in the copier. */
static struct wr_chunk *copier_take_read(struct wr_copier *c)
{
    struct wr_chunk *chunk = c->reading;

    wr_assert(chunk);
    wr_budget_unqueue(&c->t->loop->budget, wr_chunk_block(chunk)->capacity);
    c->reading = NULL;
    return chunk;
}

static void copier_queue(struct wr_copier *c, struct wr_chunk *chunk,
                         size_t len)
{
    wr_sendfile_took(&c->file, len);
    c->sent_bytes += len;
    c->last_bytes = len;
    c->ops->queue(c->t, chunk, len);
    wr_copier_go_on(c);
}

static void copier_read_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_copier *c = wr_container_of(op, struct wr_copier, read_op);
    struct wr_chunk *chunk = copier_take_read(c);
    (void)flags;

    wr_assert(c->state == WR_COPIER_COPYING || c->state == WR_COPIER_STOPPING);
    if (c->state == WR_COPIER_COPYING && res > 0) {
        wr_check((uint64_t)res <= c->file.left);
        copier_queue(c, chunk, (size_t)res);
        return;
    }
    wr_sendq_drop_chunk(&c->t->loop->send_memory, chunk);
    if (c->state == WR_COPIER_STOPPING) {
        copier_finish(c, c->err);
    } else if (res == 0) {
        copier_set_state(c, WR_COPIER_DRAINING);
        wr_copier_go_on(c);
    } else if (res == -EINTR || res == -EAGAIN || res == -ECANCELED) {
        wr_copier_go_on(c);
    } else {
        copier_finish(c, res);
    }
}

void wr_copier_join(struct wr_copier *c)
{
    const struct wr_sendq_memory *memory = &c->t->loop->send_memory;
    const size_t len = wr_sendfile_small_bytes(&c->file);
    struct wr_chunk *chunk = NULL;

    wr_copier_check_invariants(c);
    wr_assert(c->state == WR_COPIER_COPYING && c->sent_bytes == 0);
    if (len > 0 && len <= c->ops->part_bytes && copier_may_read(c)) {
        chunk = wr_sendq_make_chunk(memory, len);
    }
    if (!chunk) {
        return;
    }
    const int64_t got = wr_sys_read_cached(c->file.fd, wr_chunk_room(chunk),
                                           len, c->file.offset);
    if (got > 0) {
        copier_queue(c, chunk, (size_t)got);
    } else {
        wr_sendq_drop_chunk(memory, chunk);
    }
}

/* ---- its life ---- */

struct wr_copier *wr_copier_new(weir_transport *t,
                                const struct wr_sendfile *file,
                                const struct wr_copier_ops *ops,
                                const struct wr_sendq *queue)
{
    struct wr_copier *c = wr_alloc(&t->loop->counting, sizeof(*c));
    if (!c) {
        return NULL;
    }
    wr_assert(ops->part_bytes <= WR_SENDFILE_READ);
    *c = (struct wr_copier){.t = t, .ops = ops, .queue = queue, .file = *file};
    wr_op_init(&c->read_op, copier_read_completed);
    wr_ready_init(&c->ready, copier_tell);
    return c;
}

void wr_copier_go_on(struct wr_copier *c)
{
    wr_copier_check_invariants(c);
    if (c->state == WR_COPIER_COPYING && c->file.left == 0) {
        copier_set_state(c, WR_COPIER_DRAINING);
    }
    if (c->state == WR_COPIER_COPYING && copier_may_read(c)) {
        copier_read(c);
    } else if (c->state == WR_COPIER_DRAINING &&
               c->t->ops->get_depth(c->t).bytes == 0) {
        copier_finish(c, 0);
    }
}

/* Ends as soon as nothing is in flight. */
static void copier_stop(struct wr_copier *c, int err)
{
    wr_assert(err < 0);
    if (c->state == WR_COPIER_STOPPING) {
        c->err = err;
    } else if (c->reading) {
        c->err = err;
        copier_set_state(c, WR_COPIER_STOPPING);
        wr_op_cancel(&c->t->loop->uring, &c->read_op);
    } else {
        copier_finish(c, err);
    }
}

void wr_copier_cancel(struct wr_copier *c)
{
    wr_copier_check_invariants(c);
    if (c->state == WR_COPIER_DRAINING) {
        copier_finish(c, 0); /* all of it is sent */
    } else if (c->state == WR_COPIER_COPYING) {
        copier_stop(c, -ECANCELED);
    }
}

void wr_copier_break(struct wr_copier *c)
{
    wr_copier_check_invariants(c);
    if (c->state < WR_COPIER_DONE && !c->is_broken) {
        c->is_broken = true;
        copier_stop(c, c->t->error ? c->t->error : -ECONNABORTED);
    }
}

/* First: a read that has ended would be followed by another. */
void wr_copier_abandon(struct wr_copier *c)
{
    wr_copier_break(c);
    wr_op_abandon(&c->t->loop->uring, &c->read_op);
}

void wr_copier_check_invariants(const struct wr_copier *c)
{
    wr_assert(c->state < WR_COPIER_STATES);
    wr_assert((c->reading != NULL) == c->read_op.in_flight);
    wr_assert(!c->reading || c->state == WR_COPIER_COPYING ||
              c->state == WR_COPIER_STOPPING);
    wr_assert(c->state != WR_COPIER_STOPPING || c->reading);
    wr_assert(c->state != WR_COPIER_STOPPING || c->err < 0);
    wr_assert(c->last_bytes <= c->sent_bytes || c->is_broken);
    wr_assert(!c->is_broken || c->state > WR_COPIER_DRAINING);
    wr_debug_assert(wr_ready_is_pending(&c->ready) ==
                    (c->state == WR_COPIER_DONE));
}

void wr_copier_check_rest(const struct wr_copier *c)
{
    const uint64_t depth = c->t->ops->get_depth(c->t).bytes;

    wr_copier_check_invariants(c);
    wr_assert(c->state != WR_COPIER_COPYING || c->reading || depth > 0);
    wr_assert(c->state != WR_COPIER_DRAINING || depth > 0);
}
