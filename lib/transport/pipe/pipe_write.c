/*
 * Pipes: writing. Writes are queued. At the end of the loop iteration a system
 * call that does not wait writes as much of the queue as fits. The remaining
 * bytes wait until a poll reports space.
 *
 *     idle --end of the iteration--> idle
 *              \--no space--> polling --space--> idle
 *              \--> working --done, failed--> idle
 *
 * If a write may wait despite free space, a worker thread writes a few bytes at
 * a time, so that it seldom waits. The end of the pipe cancels the write. No
 * write raises SIGPIPE: see wr_sys_write(); worker threads have it blocked.
 *
 * A second poll notices the end of the reader while nothing is written. It
 * waits only for POLLERR and POLLHUP, because a readable terminal or socket is
 * no end.
 */
#include "pipe_impl.h"

#include <poll.h>
#include <string.h>

#define WRITE_BYTES_MIN (256u << 10)
/* Maximum bytes of a worker's write; a ready pipe has space for them. */
#define WORKER_BYTES WR_SPLICE_BYTES

void wr_pipe_write_later(struct wr_pipe *p)
{
    wr_debug_assert(!wr_sendq_is_empty(&p->c.outbox.queue));
    if (p->io == WR_PIPE_IDLE && !wr_life_is_over(&p->c.t)) {
        wr_loop_at_turn_end(p->c.t.loop, &p->turn_end);
    }
}

static void pipe_write_failed(struct wr_pipe *p, int err)
{
    wr_assert(err < 0);
    wr_transport_set_error(&p->c.t, err, "write");
    wr_connection_push(&p->c);
}

/* A single-shot POLLOUT also reports existing space. But it completes at once
 * without space after a socket's peer has shut its direction down. Then an
 * edge-triggered multishot poll is used, and cancelled. */
static void pipe_write_wait_for_room(struct wr_pipe *p)
{
    wr_assert(!wr_sendq_is_empty(&p->c.outbox.queue));
    wr_pipe_set_io(p, WR_PIPE_POLLING);
    wr_outbox_stall(&p->c.t);
    wr_prep_poll(&p->c.t.loop->uring, &p->op.base, p->c.t.fd, POLLOUT,
                 p->sees_changes);
}

static void pipe_write_ended(struct wr_pipe *p, int32_t res, bool is_short)
{
    wr_assert(p->io == WR_PIPE_IDLE);
    if (res > 0) {
        wr_connection_sent(&p->c, (uint32_t)res);
    } else if (res < 0 && !wr_res_is_transient(res)) {
        pipe_write_failed(p, res);
    }
    if (wr_life_is_over(&p->c.t) || p->c.t.error ||
        wr_sendq_is_empty(&p->c.outbox.queue)) {
        return;
    }
    if ((is_short || res == -EAGAIN) && !p->is_file) {
        wr_list_remove(&p->turn_end.link); /* resume_writing has written */
        pipe_write_wait_for_room(p);
    } else {
        wr_pipe_write_later(p);
    }
}

static void pipe_write_by_worker(struct wr_pipe *p)
{
    struct iovec piece;
    const uint32_t count =
        wr_sendq_gather(&p->c.outbox.queue, &piece, 1, WORKER_BYTES);

    wr_assert(p->way == WR_PIPE_BY_WORKER);
    wr_assert(count == 1);
    const int err =
        wr_splice_prep_write(&p->splice, &p->c.t.loop->uring, &p->op, p->c.t.fd,
                             piece.iov_base, (uint32_t)piece.iov_len);
    if (err < 0) {
        pipe_write_failed(p, err);
        return;
    }
    wr_pipe_set_io(p, WR_PIPE_WORKING);
}

static void pipe_write_flush(struct wr_turn_end *turn_end)
{
    struct wr_pipe *p = wr_container_of(turn_end, struct wr_pipe, turn_end);
    struct iovec iov[WR_IOV_MAX];
    uint64_t bytes = 0;

    wr_assert(p->io == WR_PIPE_IDLE && p->c.t.is_made);
    if (p->c.t.error || wr_life_is_over(&p->c.t)) {
        return;
    }
    if (p->way == WR_PIPE_BY_WORKER) {
        pipe_write_by_worker(p);
        return;
    }
    const uint32_t count =
        wr_sendq_gather(&p->c.outbox.queue, iov, WR_IOV_MAX,
                        wr_max_u64(p->c.t.high_bytes, WRITE_BYTES_MIN));
    for (uint32_t i = 0; i < count; i++) {
        bytes += iov[i].iov_len;
    }
    const int32_t res = p->way == WR_PIPE_BY_SOCKET
                            ? wr_sys_send(p->c.t.fd, iov, count)
                            : wr_sys_write(p->c.t.fd, iov, count,
                                           wr_has(&p->c.t.loop->uring.features,
                                                  WR_FEATURE_WRITE_NOSIGNAL));
    if (res == -EOPNOTSUPP && p->way == WR_PIPE_BY_NOWAIT) {
        p->way = WR_PIPE_BY_WORKER;
        pipe_write_by_worker(p);
        return;
    }
    pipe_write_ended(p, res, res >= 0 && (uint32_t)res < bytes);
}

/* False if the wait continues. The next write returns an error of @res. */
static bool pipe_write_has_waited(struct wr_pipe *p, int32_t res)
{
    const bool is_over =
        res < 0 || ((uint32_t)res & (POLLOUT | POLLERR | POLLHUP)) != 0;

    if (p->op.base.in_flight) {
        wr_assert(p->sees_changes);
        if (is_over) {
            wr_op_cancel(&p->c.t.loop->uring, &p->op.base);
        }
        return false;
    }
    wr_pipe_set_io(p, WR_PIPE_IDLE);
    wr_outbox_go_on(&p->c.outbox);
    if (is_over || wr_life_is_over(&p->c.t) || p->c.t.error) {
        return true;
    }
    p->sees_changes = true;
    pipe_write_wait_for_room(p);
    return false;
}

void wr_pipe_write_completed(struct wr_pipe *p, int32_t res)
{
    const bool has_worked = p->io == WR_PIPE_WORKING;
    const bool is_over = wr_life_is_over(&p->c.t) || p->c.t.error;

    if (has_worked) {
        wr_assert(!p->op.base.in_flight);
        wr_pipe_set_io(p, WR_PIPE_IDLE);
        res = wr_splice_write_completed(&p->splice, res);
        if (res > 0 && is_over) { /* sendfile must count these bytes */
            wr_connection_sent(&p->c, (uint32_t)res);
        }
    } else if (!pipe_write_has_waited(p, res)) {
        return;
    }
    if (is_over) {
        wr_connection_push(&p->c);
    } else if (has_worked) {
        pipe_write_ended(p, res, false);
    } else if (res < 0 && !wr_res_is_transient(res)) {
        pipe_write_failed(p, res);
    } else {
        wr_pipe_write_later(p);
    }
}

void wr_pipe_watch(struct wr_pipe *p)
{
    wr_assert(p->direction == WR_PIPE_WRITE);
    wr_assert(!p->watch_op.in_flight);
    if (p->is_file) {
        return;
    }
    wr_prep_poll(&p->c.t.loop->uring, &p->watch_op, p->c.t.fd, 0,
                 p->sees_changes);
}

/* Called when the reader is gone: a clean end if no byte waits or was
 * refused. */
static void pipe_write_lose_peer(struct wr_pipe *p)
{
    wr_assert(!wr_life_is_over(&p->c.t));
    if (!wr_sendq_is_empty(&p->c.outbox.queue) ||
        wr_sender_is_active(p->c.outbox.sender)) {
        wr_transport_set_error(&p->c.t, -EPIPE, "write");
        wr_connection_push(&p->c);
    } else if (p->c.t.write_error) {
        wr_ignore(weir_transport_close(&p->c.t) < 0); /* aborts and reports */
    } else {
        wr_outbox_lose_peer(&p->c.outbox);
        wr_transport_set_end(&p->c.t, WEIR_END_EOF);
        wr_life_doom(&p->c.t);
    }
}

/* If a socket's peer has only shut its direction down, each single-shot poll
 * would complete at once; an edge-triggered poll continues. Devices that refuse
 * polls have no reader. */
void wr_pipe_watched(struct wr_pipe *p, int32_t res)
{
    if (wr_life_is_over(&p->c.t)) {
        wr_connection_push(&p->c);
    } else if (res > 0 && (uint32_t)res & (POLLERR | POLLHUP)) {
        pipe_write_lose_peer(p);
    } else if (res >= 0 && !p->watch_op.in_flight) {
        p->sees_changes = true;
        wr_pipe_watch(p);
    }
}

void wr_pipe_write_init(struct wr_pipe *p)
{
    wr_assert(p->c.t.state == WR_LIFE_NEW);
    wr_list_init(&p->turn_end.link);
    p->turn_end.run = pipe_write_flush;
}
