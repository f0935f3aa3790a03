/*
 * The device of a pipe transport, which moves bytes one way. A pipe is lost
 * only after its last operation has ended: until then the kernel may use its
 * memory, and the number of its descriptor must not be reused.
 */
#include "pipe_impl.h"

#include "uring/guard.h"

#include <string.h>

#define CANCEL_AGAIN_NS 10000000u

static void pipe_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_pipe *p = wr_container_of(op, struct wr_pipe, op.base);

    /* Each operation completes once, except an edge-triggered poll. */
    wr_check(!(flags & WR_CQE_MORE) || p->sees_changes);
    if (p->direction == WR_PIPE_READ) {
        wr_pipe_read_completed(p, res);
    } else {
        wr_pipe_write_completed(p, res);
    }
}

static void pipe_watch_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_pipe *p = wr_container_of(op, struct wr_pipe, watch_op);
    (void)flags;

    wr_assert(p->direction == WR_PIPE_WRITE);
    wr_pipe_watched(p, res);
}

static void pipe_receive(struct wr_connection *c)
{
    struct wr_pipe *p = wr_pipe_of(c);

    wr_assert(!wr_life_is_over(&c->t));
    if (p->direction == WR_PIPE_READ) {
        wr_pipe_update_read(p);
    }
}

static void pipe_queued(weir_transport *t, size_t len)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_connection_note_queued(c, len);
    wr_pipe_write_later(wr_pipe_of(c));
}

/* A worker may miss a cancel; see wr_prep_read_waiting(). */
static void pipe_cancel(struct wr_pipe *p)
{
    weir_loop *loop = p->c.t.loop;

    wr_assert(p->c.t.state == WR_LIFE_ENDING);
    wr_op_cancel(&loop->uring, &p->op.base);
    if (p->io == WR_PIPE_WORKING) {
        wr_timer_arm(&loop->wheel, &p->timer,
                     wr_add_sat(loop->now_ns, CANCEL_AGAIN_NS));
    }
}

static void pipe_timer_expired(struct wr_timer *timer)
{
    struct wr_pipe *p = wr_container_of(timer, struct wr_pipe, timer);

    if (p->c.t.state == WR_LIFE_ENDING) {
        pipe_cancel(p);
        return;
    }
    wr_assert(p->c.t.held_back && p->direction == WR_PIPE_READ);
    wr_connection_push(&p->c);
}

static void pipe_stop(struct wr_connection *c)
{
    struct wr_pipe *p = wr_pipe_of(c);

    wr_timer_cancel(&c->t.loop->wheel, &p->timer);
    wr_list_remove(&p->turn_end.link);
    pipe_cancel(p);
    wr_op_cancel(&c->t.loop->uring, &p->watch_op);
}

static bool pipe_is_in_flight(const struct wr_connection *c)
{
    const struct wr_pipe *p = wr_pipe_of(c);

    wr_assert(p->c.t.fd >= 0);
    return p->op.base.in_flight || p->watch_op.in_flight;
}

/* A worker thread may have taken bytes and complete later. */
static bool pipe_has_arrived(const struct wr_connection *c)
{
    const struct wr_pipe *p = wr_pipe_of(c);

    wr_assert(p->direction == WR_PIPE_READ);
    return p->io == WR_PIPE_WORKING || wr_sys_inq(p->c.t.fd) > 0;
}

static void pipe_close(struct wr_connection *c)
{
    struct wr_pipe *p = wr_pipe_of(c);
    weir_loop *loop = c->t.loop;

    wr_guard_free(&loop->counting, p->scratch, WR_PIPE_SCRATCH);
    p->scratch = NULL;
    wr_timer_cancel(&loop->wheel, &p->timer);
    wr_splice_close(&p->splice);
    wr_owned_remove(&loop->owned, p->c.t.fd);
    wr_prep_close_any(&loop->uring, p->c.t.fd);
    p->c.t.fd = -1;
}

static void pipe_write_eof(weir_transport *t)
{
    wr_assert(t->ops == &wr_pipe_write_ops);
    wr_outbox_end(wr_outbox_of(t));
    wr_connection_close(t);
}

static void pipe_abandon(weir_transport *t)
{
    struct wr_pipe *p = wr_pipe_of(wr_connection_of(t));

    wr_outbox_abandon(t);
    wr_op_abandon(&t->loop->uring, &p->op.base);
    wr_op_abandon(&t->loop->uring, &p->watch_op);
}

static uint64_t pipe_get_depth(const weir_transport *t)
{
    const struct wr_pipe *p = wr_pipe_of(wr_connection_of(t));

    wr_assert(p->direction == WR_PIPE_WRITE);
    return p->c.outbox.queue.bytes;
}

static const struct wr_sendq *pipe_get_unoffered(const weir_transport *t)
{
    const struct wr_pipe *p = wr_pipe_of(wr_connection_of(t));

    wr_assert(p->direction == WR_PIPE_WRITE);
    return p->io == WR_PIPE_IDLE ? &p->c.outbox.queue : NULL;
}

static int pipe_get_extra_info(const weir_transport *t, const char *name,
                               struct weir_extra_info *ret)
{
    const struct wr_pipe *p = wr_pipe_of(wr_connection_of(t));

    wr_assert(p->c.t.fd >= 0 || t->state == WR_LIFE_LOST);
    wr_require(strcmp(name, "pipe") == 0, -ENOENT);
    ret->fd = p->c.t.fd >= 0 ? p->c.t.fd : -EBADF;
    return 0;
}

/* True if bytes wait here although the reader has emptied the kernel's buffer.
 * A pipe reports its bytes at both ends, a socket its unsent bytes. */
static bool pipe_has_taken_all(const weir_transport *t)
{
    const struct wr_pipe *p = wr_pipe_of(wr_connection_of(t));

    return !wr_life_is_over(t) && !wr_sendq_is_empty(&p->c.outbox.queue) &&
           (p->way == WR_PIPE_BY_SOCKET ? wr_sys_outq(p->c.t.fd)
                                        : wr_sys_inq(p->c.t.fd)) == 0;
}

const struct wr_transport_ops wr_pipe_read_ops = {
    .name = "read-pipe",
    .protocol_kinds = WR_PROTOCOL_STREAMS,
    .is_one_way = true,
    .size = sizeof(struct wr_pipe),

    .write = wr_refuse_write,
    .writelines = wr_refuse_writelines,
    .write_ref = wr_refuse_write_ref,
    .write_lease = wr_refuse_write_lease,
    .pause_reading = wr_connection_pause_reading,
    .resume_reading = wr_connection_resume_reading,
    .is_reading = wr_connection_is_reading,
    .is_closing = wr_life_is_closing,
    .has_unread = wr_connection_has_unread,
    .has_taken_all = pipe_has_taken_all,
    .set_read_limit = wr_intake_set_limit,
    .fed = wr_pipe_read_fed,
    .set_timeouts = wr_connection_set_timeouts,
    .set_protocol = wr_intake_set_protocol,
    .close = wr_connection_close,
    .abort = wr_connection_abort,
    .doom = wr_connection_fail,
    .get_extra_info = pipe_get_extra_info,
    .abandon = pipe_abandon,
    .dump = wr_connection_dump,
    .check = wr_connection_check,
    .free = wr_connection_free,

    .queued = pipe_queued,
    .receive = pipe_receive,
    .stop = pipe_stop,
    .close_device = pipe_close,
    .holds_queue = pipe_is_in_flight,
    .is_in_flight = pipe_is_in_flight,
    .has_arrived = pipe_has_arrived,
    .check_device = wr_pipe_check_invariants,
    .check_progress = wr_pipe_check_progress,
    .dump_device = wr_pipe_dump,

    .view_time = wr_connection_view_time,
    .time_expired = wr_life_expire,
};

const struct wr_transport_ops wr_pipe_write_ops = {
    .name = "write-pipe",
    .protocol_kinds = WR_PROTOCOL_STREAMS,
    .can_write_eof = true,
    .is_one_way = true,
    .size = sizeof(struct wr_pipe),

    .write = wr_outbox_write,
    .writelines = wr_outbox_writelines,
    .write_ref = wr_outbox_write_ref,
    .write_lease = wr_outbox_write_lease,
    .write_eof = pipe_write_eof,
    .sendfile = wr_outbox_sendfile,
    .cancel_sendfile = wr_outbox_cancel_sendfile,
    .is_closing = wr_life_is_closing,
    .get_depth = pipe_get_depth,
    .get_unoffered = pipe_get_unoffered,
    .has_taken_all = pipe_has_taken_all,
    .limits_changed = wr_outbox_limits_changed,
    .fed = wr_pipe_read_fed,
    .set_timeouts = wr_connection_set_timeouts,
    .set_protocol = wr_intake_set_protocol,
    .close = wr_connection_close,
    .abort = wr_connection_abort,
    .doom = wr_connection_fail,
    .get_extra_info = pipe_get_extra_info,
    .abandon = pipe_abandon,
    .dump = wr_connection_dump,
    .check = wr_connection_check,
    .free = wr_connection_free,

    .queued = pipe_queued,
    .receive = pipe_receive,
    .stop = pipe_stop,
    .close_device = pipe_close,
    .holds_queue = pipe_is_in_flight,
    .is_in_flight = pipe_is_in_flight,
    .check_device = wr_pipe_check_invariants,
    .check_progress = wr_pipe_check_progress,
    .dump_device = wr_pipe_dump,

    .part_bytes = WR_SENDFILE_READ,
    .queue_file = wr_outbox_queue_file,
    .end_file = wr_outbox_end_file,
    .file_begins = wr_connection_file_changed,
    .file_ended = wr_connection_file_changed,

    .view_time = wr_connection_view_time,
    .time_expired = wr_life_expire,
};

void wr_pipe_init(struct wr_pipe *p, int fd, enum wr_pipe_direction direction)
{
    wr_assert(p->c.t.state == WR_LIFE_NEW);
    p->c.t.fd = fd;
    p->direction = direction;
    wr_op_init(&p->op.base, pipe_completed);
    wr_op_init(&p->watch_op, pipe_watch_completed);
    wr_splice_init(&p->splice);
    wr_timer_init(&p->timer, pipe_timer_expired);
    wr_pipe_write_init(p);
}
