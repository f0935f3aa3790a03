/*
 * Pipes: writing.
 *
 * Writes go to the queue, and at the end of the turn the queue is written by a
 * system call that does not wait, as far as there is room. What is left waits
 * for a poll to see room.
 *
 *     idle --end of the turn--> idle
 *              \--no room--> polling --room--> idle
 *              \--> working --done, failed--> idle
 *
 * Where a write may have to wait even if there is some room, a worker thread of
 * the kernel makes it, with few bytes at a time, so that it seldom waits. It is
 * cancelled when the pipe ends.
 *
 * No write raises SIGPIPE, whatever the program has done about that signal: see
 * wr_sys_write(); worker threads have it blocked. A second poll notices that
 * the reader has gone while nothing is written. It looks at POLLERR and POLLHUP
 * alone: that a terminal or a socket can be read from means nothing here.
 */
#include "pipe_impl.h"

#include <poll.h>
#include <string.h>

#define WRITE_BYTES_MIN (256u << 10)
/* Of one write in a worker: a pipe that has any room has it for these. */
#define WORKER_BYTES (4u << 10)

void wr_pipe_write_later(struct wr_pipe *p)
{
    wr_debug_assert(!wr_sendq_is_empty(&p->sendq) || p->copier);
    if (p->io == WR_PIPE_IDLE) {
        wr_loop_at_turn_end(p->t.loop, &p->turn_end);
    }
}

static void pipe_write_failed(struct wr_pipe *p, int err)
{
    wr_assert(err < 0);
    wr_transport_set_error(&p->t, err, "write");
    wr_pipe_doom(&p->t);
}

/* A single poll sees room that is there already. After a socket's peer has
 * ended its own direction it would end at once for that alone: then a multishot
 * one waits, and is cancelled. */
static void pipe_write_wait_for_room(struct wr_pipe *p)
{
    wr_assert(!wr_sendq_is_empty(&p->sendq));
    wr_pipe_set_io(p, WR_PIPE_POLLING);
    wr_prep_poll(&p->t.loop->uring, &p->op, p->fd, POLLOUT, p->sees_changes);
}

/* The kernel has taken bytes. The callbacks may write, close and abort. */
static void pipe_write_took(struct wr_pipe *p, uint32_t bytes)
{
    weir_loop *loop = p->t.loop;

    wr_check(bytes <= p->sendq.bytes);
    wr_assert(!p->in_resume);
    wr_budget_unqueue(&loop->budget, bytes);
    loop->counts.sent_bytes += bytes;
    wr_pipe_note_moved(p);
    wr_sendq_consume(&p->sendq, &loop->send_memory, bytes);
    wr_loop_leave_if_forked(loop); /* by a release callback */
    if (p->t.notify_depth < 0 || wr_pipe_is_over(p) || p->t.error) {
        return; /* a release callback may have ended it */
    }
    p->in_resume = true;
    wr_transport_check_low(&p->t, p->sendq.bytes);
    p->in_resume = false;
}

static int32_t pipe_write_call(struct wr_pipe *p, const struct iovec *iov,
                               uint32_t count)
{
    return p->way == WR_PIPE_BY_SOCKET
               ? wr_sys_send(p->fd, iov, count)
               : wr_sys_write(p->fd, iov, count,
                              wr_has(&p->t.loop->uring.features,
                                     WR_FEATURE_WRITE_NOSIGNAL));
}

/* A write has ended with @res; @is_short: there was no room for all of it. */
static void pipe_write_ended(struct wr_pipe *p, int32_t res, bool is_short)
{
    wr_assert(p->io == WR_PIPE_IDLE);
    if (res >= 0) {
        pipe_write_took(p, (uint32_t)res);
    } else if (res != -EAGAIN && res != -EINTR && res != -ECANCELED) {
        pipe_write_failed(p, res);
    }
    if (wr_pipe_is_over(p) || p->t.error) {
        return;
    }
    if (wr_sendq_is_empty(&p->sendq)) {
        wr_pipe_times_changed(p);
        if (p->state == WR_PIPE_CLOSING) {
            wr_pipe_push_step(p);
        }
    } else if (is_short || res == -EAGAIN) {
        wr_list_remove(&p->turn_end.link); /* resume_writing has written */
        pipe_write_wait_for_room(p);
    } else {
        wr_pipe_write_later(p);
    }
    if (p->copier) {
        wr_copier_go_on(p->copier);
    }
}

static void pipe_write_by_worker(struct wr_pipe *p)
{
    struct iovec piece;
    const uint32_t count = wr_sendq_gather(&p->sendq, &piece, 1, WORKER_BYTES);

    wr_assert(p->way == WR_PIPE_BY_WORKER);
    wr_assert(count == 1);
    wr_pipe_set_io(p, WR_PIPE_WORKING);
    wr_prep_write_waiting(&p->t.loop->uring, &p->op, p->fd, piece.iov_base,
                          piece.iov_len);
}

static void pipe_write_go_on_with_file(struct wr_pipe *p)
{
    wr_assert(wr_sendq_is_empty(&p->sendq));
    if (p->copier) {
        wr_copier_go_on(p->copier);
    }
}

static void pipe_write_flush(struct wr_turn_end *turn_end)
{
    struct wr_pipe *p = wr_container_of(turn_end, struct wr_pipe, turn_end);
    struct iovec iov[WR_IOV_MAX];
    uint64_t bytes = 0;

    wr_pipe_check_invariants(p);
    wr_assert(p->io == WR_PIPE_IDLE);
    if (p->t.error || wr_pipe_is_over(p)) {
        return;
    }
    if (wr_sendq_is_empty(&p->sendq)) {
        pipe_write_go_on_with_file(p);
        return;
    }
    if (p->way == WR_PIPE_BY_WORKER) {
        pipe_write_by_worker(p);
        return;
    }
    const uint32_t count =
        wr_sendq_gather(&p->sendq, iov, WR_IOV_MAX,
                        wr_max_u64(p->t.high_bytes, WRITE_BYTES_MIN));
    for (uint32_t i = 0; i < count; i++) {
        bytes += iov[i].iov_len;
    }
    const int32_t res = pipe_write_call(p, iov, count);
    if (res == -EOPNOTSUPP && p->way == WR_PIPE_BY_NOWAIT) {
        p->way = WR_PIPE_BY_WORKER;
        pipe_write_by_worker(p);
        return;
    }
    pipe_write_ended(p, res, res >= 0 && (uint32_t)res < bytes);
}

/* A poll for room has completed: there is room, or something that the next
 * write will tell. False: the wait goes on. */
static bool pipe_write_has_waited(struct wr_pipe *p, int32_t res)
{
    const bool is_over =
        res < 0 || ((uint32_t)res & (POLLOUT | POLLERR | POLLHUP)) != 0;

    if (p->op.in_flight) {
        wr_assert(p->sees_changes);
        if (is_over) {
            wr_op_cancel(&p->t.loop->uring, &p->op);
        }
        return false;
    }
    wr_pipe_set_io(p, WR_PIPE_IDLE);
    if (is_over || wr_pipe_is_over(p) || p->t.error) {
        return true;
    }
    p->sees_changes = true;
    pipe_write_wait_for_room(p);
    return false;
}

void wr_pipe_write_completed(struct wr_pipe *p, int32_t res)
{
    const bool has_worked = p->io == WR_PIPE_WORKING;

    if (has_worked) {
        wr_assert(!p->op.in_flight);
        wr_pipe_set_io(p, WR_PIPE_IDLE);
        if (res > 0 && (wr_pipe_is_over(p) || p->t.error)) {
            pipe_write_took(p, (uint32_t)res); /* so that its count is true */
        }
    } else if (!pipe_write_has_waited(p, res)) {
        return;
    }
    if (wr_pipe_is_over(p) || p->t.error) {
        return;
    }
    if (has_worked) {
        pipe_write_ended(p, res, false);
    } else if (res < 0 && res != -EINTR && res != -ECANCELED) {
        pipe_write_failed(p, res);
    } else {
        wr_pipe_write_later(p);
    }
}

void wr_pipe_watch(struct wr_pipe *p)
{
    wr_assert(p->direction == WR_PIPE_WRITE);
    wr_prep_poll(&p->t.loop->uring, &p->watch_op, p->fd, 0, p->sees_changes);
}

/* The reader has what it has, which is not all if bytes wait or were refused.
 */
static void pipe_write_lose_peer(struct wr_pipe *p)
{
    if (!wr_sendq_is_empty(&p->sendq) || wr_copier_is_active(p->copier)) {
        wr_transport_set_error(&p->t, -EPIPE, "write");
    } else if (p->t.write_error) {
        wr_ignore(weir_transport_close(&p->t) < 0); /* which aborts and tells */
    }
    p->peer_gone = true;
    wr_transport_set_end(&p->t, WEIR_END_EOF);
}

/* After a socket's peer has ended its own direction, which means nothing here,
 * a single poll would end at once, again and again. Files that cannot be
 * polled have no reader that could go, and refuse. */
void wr_pipe_watched(struct wr_pipe *p, int32_t res)
{
    if (wr_pipe_is_over(p) || res < 0) {
        return;
    }
    if ((uint32_t)res & (POLLERR | POLLHUP)) {
        pipe_write_lose_peer(p);
    } else if (!p->watch_op.in_flight) {
        p->sees_changes = true;
        wr_pipe_watch(p);
    }
}

void wr_pipe_write_init(struct wr_pipe *p)
{
    wr_assert(p->state == WR_PIPE_UNBORN);
    wr_sendq_init(&p->sendq);
    wr_list_init(&p->turn_end.link);
    p->turn_end.run = pipe_write_flush;
}

void wr_pipe_drop_queue(struct wr_pipe *p)
{
    wr_assert(!p->op.in_flight);
    wr_assert(p->state == WR_PIPE_ENDING);
    p->t.has_dropped |= p->sendq.bytes > 0;
    wr_budget_unqueue(&p->t.loop->budget, p->sendq.bytes);
    wr_sendq_clear(&p->sendq, &p->t.loop->send_memory);
    wr_loop_leave_if_forked(p->t.loop); /* by a release callback */
}

/* ---- the writes ---- */

/* There is no room for bytes that could be written. A close that has begun must
 * not come to a clean end without them. */
static int pipe_write_refuse_bytes(struct wr_pipe *p, int err)
{
    wr_assert(err == -ENOBUFS || err == -ENOMEM);
    err = wr_transport_refuse(&p->t, err);
    if (p->state == WR_PIPE_CLOSING) {
        wr_transport_set_error(&p->t, err, "write");
    }
    return err;
}

/* 0 when @len more bytes may be written, or why not. */
static int pipe_write_check(struct wr_pipe *p, size_t len)
{
    wr_pipe_check_invariants(p);
    wr_require(p->t.error == 0 && !p->peer_gone, -EPIPE);
    wr_require(p->state == WR_PIPE_OPEN ||
                   (p->state == WR_PIPE_CLOSING && p->in_resume),
               -ESHUTDOWN);
    wr_require(!p->copier, -EBUSY);
    wr_require(p->t.write_error == 0, p->t.write_error);
    if (len > 0 && (len > p->t.hard_limit_bytes ||
                    p->sendq.bytes > p->t.hard_limit_bytes - len)) {
        return pipe_write_refuse_bytes(p, -ENOBUFS);
    }
    return 0;
}

/* Bytes wait in the queue. */
static void pipe_write_note_queued(struct wr_pipe *p, size_t len)
{
    wr_assert(len > 0 && len <= p->sendq.bytes);
    wr_budget_queue(&p->t.loop->budget, len);
    if (p->sendq.bytes == len) {
        wr_pipe_note_moved(p); /* the stall clock starts with the first byte */
        wr_pipe_times_changed(p);
    }
    wr_pipe_write_later(p);
}

static void pipe_write_queued(struct wr_pipe *p, size_t len)
{
    pipe_write_note_queued(p, len);
    wr_transport_check_high(&p->t, p->sendq.bytes);
}

int wr_pipe_writelines(weir_transport *t, const struct iovec *iov, size_t count,
                       size_t total)
{
    struct wr_pipe *p = wr_pipe_of(t);
    int err = pipe_write_check(p, total);

    if (err < 0 || total == 0) {
        return err;
    }
    err = wr_sendq_copy(&p->sendq, &t->loop->send_memory, iov, count, total);
    if (err < 0) {
        return pipe_write_refuse_bytes(p, err);
    }
    t->loop->counts.copied_by_write += total;
    pipe_write_queued(p, total);
    return 0;
}

int wr_pipe_write(weir_transport *t, const void *data, size_t len)
{
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    return wr_pipe_writelines(t, &piece, 1, len);
}

int wr_pipe_queue_file(weir_transport *t, const struct iovec *piece,
                       weir_release_fn *release, void *arg)
{
    struct wr_pipe *p = wr_pipe_of(t);
    const int err =
        wr_sendq_ref(&p->sendq, &t->loop->send_memory, piece, release, arg);

    wr_assert(p->copier);
    wr_require(err == 0, err);
    pipe_write_note_queued(p, piece->iov_len);
    return 0;
}

int wr_pipe_write_ref(weir_transport *t, const void *data, size_t len,
                      weir_release_fn *release, void *arg)
{
    struct wr_pipe *p = wr_pipe_of(t);
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    int err = pipe_write_check(p, len);

    if (err < 0 || len == 0) {
        return err;
    }
    err = wr_sendq_ref(&p->sendq, &t->loop->send_memory, &piece, release, arg);
    if (err < 0) {
        return pipe_write_refuse_bytes(p, err);
    }
    pipe_write_queued(p, len);
    return 0;
}

int wr_pipe_write_lease(weir_transport *t, const struct weir_buf *buf)
{
    struct wr_pipe *p = wr_pipe_of(t);
    const struct wr_sendq_memory *memory = &t->loop->send_memory;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)buf->data,
                                .iov_len = buf->len};
    int err = pipe_write_check(p, buf->len);

    if (err < 0 || buf->len == 0) {
        return err;
    }
    wr_assert(buf->lease->refs > 0);
    /* The rule of sockets: few bytes are copied, and all that would pin a
     * buffer while buffers are short. */
    if (buf->len < WR_LEASE_LEAST ||
        (wr_pool_is_short(&t->loop->pool) && buf->lease->buf)) {
        err = wr_sendq_copy(&p->sendq, memory, &piece, 1, buf->len);
        t->loop->pool.copied_bytes += err == 0 ? buf->len : 0;
    } else {
        err = wr_sendq_lease(&p->sendq, memory, buf);
    }
    if (err < 0) {
        return pipe_write_refuse_bytes(p, err);
    }
    pipe_write_queued(p, buf->len);
    return 0;
}

void wr_pipe_limits_changed(weir_transport *t)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_pipe_check_invariants(p);
    wr_transport_check_high(t, p->sendq.bytes);
}
