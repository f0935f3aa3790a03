/*
 * Pipes: their life.
 *
 * Every completion of a pipe ends here, and so does its step, which calls of
 * the user push onto the ready queue: the files below note what happened, then
 * wr_pipe_next_step() says what comes next, and pipe_advance() carries it out.
 * A connection is lost when its last operation has ended, and not before: until
 * then the kernel may read or write its memory, and its descriptor's number
 * must not be used again.
 */
#include "pipe_impl.h"

#include "uring/guard.h"
#include "weir/error.h"

#include <string.h>

static void pipe_free_if_unused(struct wr_pipe *p)
{
    weir_loop *loop = p->t.loop;

    if (!wr_life_is_unused(&p->t)) {
        return;
    }
    wr_assert(p->fd < 0);
    wr_guard_free(&loop->counting, p, sizeof(*p));
    wr_loop_unpin(loop);
}

static void pipe_unreferenced(weir_transport *t)
{
    pipe_free_if_unused(wr_pipe_of(t));
}

static void pipe_lose(struct wr_pipe *p)
{
    weir_loop *loop = p->t.loop;

    wr_assert(!p->op.in_flight && !p->watch_op.in_flight);
    wr_assert(!p->outbox.sender);
    wr_outbox_drop(&p->t);
    wr_guard_free(&loop->counting, p->scratch, WR_PIPE_SCRATCH);
    p->scratch = NULL;
    wr_splice_close(&p->splice);
    wr_life_lose(&p->t);
    wr_protocol_lost(&p->t);
    wr_owned_remove(&loop->owned, p->fd);
    wr_prep_close_any(&loop->uring, p->fd);
    p->fd = -1;
    wr_life_leave(&p->t);
}

static void pipe_end(struct wr_pipe *p)
{
    struct wr_uring *uring = &p->t.loop->uring;

    wr_life_set_state(&p->t, WR_LIFE_ENDING);
    wr_delivery_drop(&p->delivery);
    wr_intake_leave(&p->t);
    wr_clock_stop(&p->clock);
    wr_timer_cancel(&p->t.loop->wheel, &p->rest_timer);
    wr_list_remove(&p->turn_end.link);
    wr_op_cancel(uring, &p->op);
    wr_op_cancel(uring, &p->watch_op);
    wr_life_push_step(&p->t); /* if nothing is in flight, no completion comes */
}

/* Nothing more is written. */
static bool pipe_has_stopped(const struct wr_pipe *p)
{
    return (p->t.error || wr_outbox_is_over(&p->outbox)) &&
           p->io != WR_PIPE_WORKING;
}

/* Goes as many steps as can be gone now. The last thing that a handler does:
 * the pipe may be freed. */
static void pipe_advance(struct wr_pipe *p)
{
    for (;;) {
        if (WR_UNLIKELY(p->outbox.sender != NULL) && pipe_has_stopped(p)) {
            wr_sender_break(p->outbox.sender);
        }
        switch (wr_pipe_next_step(p)) {
        case WR_PIPE_WAIT:
            return;
        case WR_PIPE_GO:
            if (p->direction == WR_PIPE_READ) {
                wr_pipe_update_read(p);
            }
            wr_pipe_check_invariants(p);
            return;
        case WR_PIPE_DOOM:
            wr_life_doom(&p->t);
            break;
        case WR_PIPE_END:
            pipe_end(p);
            break;
        case WR_PIPE_LOSE:
            pipe_lose(p);
            return;
        }
    }
}

static void pipe_step(struct wr_ready *ready)
{
    struct wr_pipe *p = wr_container_of(ready, struct wr_pipe, t.step);

    wr_pipe_check_invariants(p);
    wr_assert(p->t.state != WR_LIFE_UNBORN);
    wr_assert(p->t.state != WR_LIFE_LOST);
    wr_pipe_read_held(p);
    pipe_advance(p);
}

static void pipe_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_pipe *p = wr_container_of(op, struct wr_pipe, op);

    /* Each of them completes once, but for the poll that tells changes. */
    wr_check(!(flags & WR_CQE_MORE) || p->sees_changes);
    wr_assert(p->t.state > WR_LIFE_UNBORN && p->t.state < WR_LIFE_LOST);
    if (p->direction == WR_PIPE_READ) {
        wr_pipe_read_completed(p, res);
    } else {
        wr_pipe_write_completed(p, res);
    }
    pipe_advance(p);
}

static void pipe_watch_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_pipe *p = wr_container_of(op, struct wr_pipe, watch_op);
    (void)flags;

    wr_pipe_check_invariants(p);
    wr_pipe_watched(p, res);
    pipe_advance(p);
}

static void pipe_fed(weir_transport *t, enum wr_demand_state queue)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_assert(p->direction == WR_PIPE_READ && p->io == WR_PIPE_IDLE);
    wr_pipe_read_fed(p, queue == WR_DEMAND_DUE);
    pipe_advance(p);
}

static void pipe_close(weir_transport *t)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_pipe_check_invariants(p);
    if (p->t.state != WR_LIFE_OPEN) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_CLOSED);
    if (p->direction == WR_PIPE_READ) {
        wr_life_doom(&p->t);
        return;
    }
    wr_life_set_state(&p->t, WR_LIFE_CLOSING);
    if (p->clock.has_limits) {
        wr_clock_close(&p->clock);
    }
    wr_life_push_step(&p->t);
}

/* The end of writing is the end of the connection. */
static void pipe_write_eof(weir_transport *t)
{
    wr_assert(wr_pipe_of(t)->direction == WR_PIPE_WRITE);
    wr_outbox_end(wr_outbox_of(t));
    pipe_close(t);
}

static void pipe_abort(weir_transport *t)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_pipe_check_invariants(p);
    if (p->t.state == WR_LIFE_UNBORN || wr_life_is_over(&p->t)) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_ABORTED);
    wr_life_doom(&p->t);
    pipe_end(p); /* the cancels leave together with this turn's submissions */
    wr_pipe_check_invariants(p);
}

static void pipe_abandon(weir_transport *t)
{
    struct wr_pipe *p = wr_pipe_of(t);
    struct wr_uring *uring = &t->loop->uring;

    weir_transport_ref(t); /* the last of the three loses it */
    if (p->outbox.sender) {
        wr_sender_abandon(p->outbox.sender);
    }
    wr_op_abandon(uring, &p->op);
    wr_op_abandon(uring, &p->watch_op);
    weir_transport_unref(t);
}

static bool pipe_is_reading(const weir_transport *t)
{
    return wr_pipe_is_reading(wr_pipe_of(t));
}

static bool pipe_is_closing(const weir_transport *t)
{
    const struct wr_pipe *p = wr_pipe_of(t);

    return p->outbox.state != WR_OUTBOX_OPEN || t->error != 0;
}

static struct weir_depth pipe_get_depth(const weir_transport *t)
{
    const struct wr_pipe *p = wr_pipe_of(t);

    wr_assert(p->direction == WR_PIPE_WRITE);
    return (struct weir_depth){.bytes = p->outbox.queue.bytes,
                               .operations = p->io == WR_PIPE_WORKING};
}

static const struct wr_sendq *pipe_get_unoffered(const weir_transport *t)
{
    const struct wr_pipe *p = wr_pipe_of(t);

    wr_assert(p->direction == WR_PIPE_WRITE);
    return p->io == WR_PIPE_IDLE ? &p->outbox.queue : NULL;
}

static int pipe_get_extra_info(const weir_transport *t, const char *name,
                               struct weir_extra_info *ret)
{
    const struct wr_pipe *p = wr_pipe_of(t);

    wr_assert(p->fd >= 0 || p->t.state == WR_LIFE_LOST);
    wr_require(strcmp(name, "pipe") == 0, -ENOENT);
    ret->fd = p->fd >= 0 ? p->fd : -EBADF;
    return 0;
}

static void pipe_dump(const weir_transport *t, FILE *out)
{
    static const char *const ways[] = {"socket", "nowait", "worker"};
    const struct wr_pipe *p = wr_pipe_of(t);

    fprintf(out,
            "%s fd=%d state=%s io=%s%s by=%s%s%s held=%llu leases=%u "
            "queued=%llu file=%s%s error=%s\n",
            t->ops->name, p->fd, wr_life_state_name(&p->t), wr_pipe_io_name(p),
            p->watch_op.in_flight ? " watching" : "", ways[p->way],
            wr_delivery_is_paused(&p->delivery) ? " paused" : "",
            p->eof_seen ? " eof" : "",
            (unsigned long long)p->t.demand.account.held_bytes,
            p->t.demand.account.lease_count,
            (unsigned long long)p->outbox.queue.bytes,
            wr_sender_state_name(p->outbox.sender),
            t->writing_paused ? " writing-paused" : "",
            t->error ? weir_err_name(t->error) : "none");
}

/* A worker thread may have the bytes that a poll has seen, and tell later. */
static bool pipe_has_unread(const weir_transport *t)
{
    const struct wr_pipe *p = wr_pipe_of(t);

    wr_assert(p->direction == WR_PIPE_READ);
    return p->t.state == WR_LIFE_OPEN &&
           (wr_delivery_has_held(&p->delivery) || p->io == WR_PIPE_WORKING ||
            wr_sys_inq(p->fd) > 0);
}

/* A pipe tells what is in it at both ends, a socket what it has sent. */
static bool pipe_has_taken_all(const weir_transport *t)
{
    const struct wr_pipe *p = wr_pipe_of(t);

    return !wr_life_is_over(&p->t) && !wr_sendq_is_empty(&p->outbox.queue) &&
           (p->way == WR_PIPE_BY_SOCKET ? wr_sys_outq(p->fd)
                                        : wr_sys_inq(p->fd)) == 0;
}

static void pipe_check(const weir_transport *t)
{
    wr_pipe_check_progress(wr_pipe_of(t));
}

/* The entries of both tables. */
#define PIPE_OPS                                                               \
    .protocol_kinds = WR_PROTOCOL_STREAMS, .outbox = &wr_pipe_outbox_ops,      \
    .delivery_offset = offsetof(struct wr_pipe, delivery),                     \
    .is_closing = pipe_is_closing, .set_timeouts = wr_pipe_set_timeouts,       \
    .set_protocol = wr_pipe_set_protocol, .has_taken_all = pipe_has_taken_all, \
    .close = pipe_close, .abort = pipe_abort, .doom = wr_life_doom,            \
    .fed = pipe_fed, .get_extra_info = pipe_get_extra_info,                    \
    .abandon = pipe_abandon, .dump = pipe_dump, .check = pipe_check,           \
    .unreferenced = pipe_unreferenced

static const struct wr_transport_ops pipe_read_ops = {
    .name = "read-pipe",
    .write = wr_refuse_write,
    .writelines = wr_refuse_writelines,
    .write_ref = wr_refuse_write_ref,
    .write_lease = wr_refuse_write_lease,
    .pause_reading = wr_pipe_pause_reading,
    .resume_reading = wr_pipe_resume_reading,
    .is_reading = pipe_is_reading,
    .has_unread = pipe_has_unread,
    .set_read_limit = wr_intake_set_limit,
    PIPE_OPS,
};

static const struct wr_transport_ops pipe_write_ops = {
    .name = "write-pipe",
    .can_write_eof = true,
    .write = wr_outbox_write,
    .writelines = wr_outbox_writelines,
    .write_ref = wr_outbox_write_ref,
    .write_lease = wr_outbox_write_lease,
    .write_eof = pipe_write_eof,
    .sendfile = wr_outbox_sendfile,
    .cancel_sendfile = wr_outbox_cancel_sendfile,
    .get_depth = pipe_get_depth,
    .get_unoffered = pipe_get_unoffered,
    .limits_changed = wr_outbox_limits_changed,
    PIPE_OPS,
};

struct wr_pipe *wr_pipe_make(weir_loop *loop, int fd,
                             enum wr_pipe_direction direction)
{
    struct wr_pipe *p =
        wr_owned_make_room(&loop->owned, &loop->counting, fd) == 0
            ? wr_guard_alloc(&loop->counting, sizeof(*p))
            : NULL;
    if (!p) {
        return NULL;
    }
    memset(p, 0, sizeof(*p));
    wr_transport_init(&p->t, loop,
                      direction == WR_PIPE_READ ? &pipe_read_ops
                                                : &pipe_write_ops);
    p->fd = fd;
    p->direction = direction;
    wr_ready_init(&p->t.step, pipe_step);
    wr_op_init(&p->op, pipe_completed);
    wr_op_init(&p->watch_op, pipe_watch_completed);
    wr_splice_init(&p->splice);
    wr_pipe_read_init(p);
    wr_pipe_write_init(p);
    wr_pipe_times_init(p);
    return p;
}

void wr_pipe_unmake(struct wr_pipe *p)
{
    weir_loop *loop = p->t.loop;

    wr_assert(p->t.state == WR_LIFE_UNBORN);
    wr_assert(p->t.demand.account.lease_count == 0);
    wr_clock_stop(&p->clock);
    wr_guard_free(&loop->counting, p, sizeof(*p));
}

void wr_pipe_bear(struct wr_pipe *p)
{
    weir_loop *loop = p->t.loop;

    wr_life_begin(&p->t, WR_LIFE_OPEN);
    wr_pipe_times_changed(p);
    wr_owned_add(&loop->owned, p->fd);
    wr_loop_add_member(loop, &p->t.member);
    wr_protocol_made(&p->t);
    if (wr_life_is_over(&p->t)) {
        return;
    }
    if (p->direction == WR_PIPE_WRITE) {
        wr_pipe_watch(p);
    } else {
        wr_pipe_update_read(p);
    }
    wr_pipe_check_invariants(p);
}
