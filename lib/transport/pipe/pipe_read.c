/*
 * Pipes: reading.
 *
 * A pipe that wants bytes waits for them by a poll, which holds no memory and
 * takes no byte, so that pausing and closing lose none. When bytes are there it
 * is due, and it reads when the loop feeds it, within the budget of the turn
 * (budget.h): by a system call that does not wait, into buffers of the pool, or
 * straight into the memory of a buffered protocol. So a pipe that is flooded
 * reads as much in a turn as its credit says, after others had their turn.
 *
 *     idle --arm--> polling --bytes are there--> due --fed--> idle
 *                                                  \--fed--> working --> idle
 *     due --fed, no buffer--> starved, or idle until a timer expires
 *     idle --arm, of a regular file--> due
 *
 * Where a read may have to wait although the poll saw bytes, because another
 * process may take them first, a worker thread of the kernel makes it: one read
 * at a time, into memory of the pipe, from which the bytes are copied. It is
 * cancelled when the pipe ends; one that is in flight when the protocol pauses
 * goes on, and its bytes are held.
 */
#include "pipe_impl.h"

#include <poll.h>

/* True when the protocol wants bytes that are still in the kernel. */
static bool pipe_read_wants(const struct wr_pipe *p)
{
    return wr_pipe_is_reading(p) && !wr_delivery_has_held(&p->delivery);
}

/* True when the bytes go straight into memory of the protocol. */
static bool pipe_read_needs_no_lease(const struct wr_pipe *p)
{
    return p->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED &&
           p->way != WR_PIPE_BY_WORKER;
}

static void pipe_read_arm(struct wr_pipe *p)
{
    wr_assert(p->io == WR_PIPE_IDLE);
    wr_assert(!wr_delivery_has_held(&p->delivery) && !p->eof_seen);
    if (!pipe_read_needs_no_lease(p) && !wr_intake_may_poll(&p->t)) {
        return;
    }
    if (wr_intake_goes_on(&p->t)) {
        wr_pipe_note_moved(p); /* the read time-out starts anew */
        wr_pipe_times_changed(p);
    }
    if (p->is_file) {
        wr_intake_make_due(&p->t);
        return;
    }
    wr_pipe_set_io(p, WR_PIPE_POLLING);
    wr_prep_poll(&p->t.loop->uring, &p->op, p->fd, POLLIN, false);
}

void wr_pipe_update_read(struct wr_pipe *p)
{
    if (!pipe_read_wants(p)) {
        wr_intake_leave(&p->t);
    } else if (p->io == WR_PIPE_IDLE && !wr_intake_is_queued(&p->t) &&
               !wr_timer_is_armed(&p->rest_timer)) {
        pipe_read_arm(p);
    }
}

static void pipe_read_rested(struct wr_timer *timer)
{
    struct wr_pipe *p = wr_container_of(timer, struct wr_pipe, rest_timer);

    wr_assert(p->t.held_back && p->direction == WR_PIPE_READ);
    wr_assert(p->t.state == WR_LIFE_OPEN || p->t.state == WR_LIFE_DOOMED);
    wr_life_push_step(&p->t);
}

/* ---- the end of the stream ---- */

/* There is no other direction that could stay open: the end of the stream is
 * that of the connection, and a positive answer of the protocol changes nothing
 * (R12b). */
static void pipe_read_end(struct wr_pipe *p)
{
    wr_assert(p->eof_seen);
    if (wr_delivery_tell_end(&p->t, &p->delivery) < 0) {
        return;
    }
    wr_transport_set_end(&p->t, WEIR_END_EOF);
    wr_life_doom(&p->t);
}

static void pipe_read_eof(struct wr_pipe *p)
{
    wr_assert(!p->eof_seen);
    if (p->t.state != WR_LIFE_OPEN) {
        return;
    }
    p->eof_seen = true;
    wr_delivery_end(&p->delivery);
    if (wr_delivery_end_is_due(&p->delivery)) {
        pipe_read_end(p);
    }
}

void wr_pipe_read_held(struct wr_pipe *p)
{
    wr_assert(p->t.state > WR_LIFE_UNBORN && p->t.state < WR_LIFE_LOST);
    wr_delivery_show_held(&p->t, &p->delivery);
    if (wr_delivery_end_is_due(&p->delivery)) {
        pipe_read_end(p);
    }
}

/* ---- reading ---- */

static void pipe_read_failed(struct wr_pipe *p, int err)
{
    wr_assert(err < 0);
    switch (err) {
    case -EAGAIN:
    case -EINTR:
    case -ECANCELED:
        break; /* wr_pipe_update_read() says what next */
    case -ENOBUFS:
        wr_intake_lack_buffer(&p->t, &p->rest_timer);
        break;
    default:
        wr_transport_set_error(&p->t, err, "read");
    }
}

/* Bytes have left the kernel for the protocol. */
static void pipe_read_note(struct wr_pipe *p, uint32_t bytes)
{
    wr_assert(bytes > 0 && bytes <= WR_CREDIT_MAX);
    p->t.loop->counts.received_bytes += bytes;
    wr_budget_received_due(&p->t.loop->budget, bytes);
    wr_pipe_note_moved(p);
}

static void pipe_read_by_worker(struct wr_pipe *p)
{
    weir_loop *loop = p->t.loop;

    wr_assert(p->way == WR_PIPE_BY_WORKER);
    if (!p->scratch) {
        p->scratch = wr_guard_alloc(&loop->counting, WR_PIPE_SCRATCH);
        if (!p->scratch) {
            wr_intake_lack_buffer(&p->t, &p->rest_timer);
            return;
        }
    }
    const uint32_t credit = wr_intake_ask(&p->t);
    if (credit == 0) {
        return;
    }
    const int err =
        wr_splice_prep_read(&p->splice, &loop->uring, &p->op, p->fd, p->scratch,
                            (uint32_t)wr_min_u64(credit, WR_PIPE_SCRATCH));
    if (err < 0) {
        pipe_read_failed(p, err);
        return;
    }
    wr_pipe_set_io(p, WR_PIPE_WORKING);
}

/* Reads and delivers, or returns why not: 0 is the end of the stream. */
static int32_t pipe_read_into_pool(struct wr_pipe *p, wr_pool_call_fn *call)
{
    weir_lease *lease;
    const uint32_t credit = wr_intake_ask(&p->t);
    if (credit == 0) {
        return -EAGAIN;
    }
    const int32_t res = wr_pool_recv(&p->t.loop->pool, &p->t.demand.account,
                                     call, p->fd, credit, &lease);
    if (res <= 0) {
        return res;
    }
    pipe_read_note(p, (uint32_t)res);
    while (lease) {
        weir_lease *next = lease->next;
        lease->next = NULL;
        if (wr_delivery_borrowed(&p->t, &p->delivery, lease)) {
            wr_life_push_step(&p->t);
        }
        lease = next;
    }
    return res;
}

/* The memory is the protocol's again when the call returns: it lends it for a
 * moment, whether it has a release callback or not. */
static int32_t pipe_read_into_own(struct wr_pipe *p, wr_pool_call_fn *call)
{
    const struct weir_protocol_binding from = p->t.binding;
    struct iovec iov;

    int err = wr_protocol_get_buffer(&p->t, 0, &iov.iov_base, &iov.iov_len);
    if (err < 0) {
        wr_delivery_fail(&p->t, err, "get_buffer");
        return -EAGAIN;
    }
    if (!pipe_read_wants(p) || !wr_protocol_is_bound(&p->t, &from)) {
        /* Paused, closed or switched by get_buffer itself. */
        wr_protocol_give_back(&p->t, &from, iov.iov_base);
        return -EAGAIN;
    }
    iov.iov_len = wr_min_u64(iov.iov_len, WR_CREDIT_MAX);
    const int32_t res = call(p->fd, &iov, 1);
    if (res <= 0) {
        wr_protocol_give_back(&p->t, &from, iov.iov_base);
        return res;
    }
    pipe_read_note(p, (uint32_t)res);
    err = wr_protocol_updated(&p->t, (uint32_t)res);
    if (err < 0) {
        wr_delivery_fail(&p->t, err, "buffer_updated");
    }
    return res;
}

/* The turn of the pipe has come, and bytes were there. */
static void pipe_read_now(struct wr_pipe *p)
{
    wr_pool_call_fn *call =
        p->way == WR_PIPE_BY_SOCKET ? wr_sys_recv : wr_sys_read;

    wr_assert(p->io == WR_PIPE_IDLE);
    if (p->way == WR_PIPE_BY_WORKER) {
        pipe_read_by_worker(p);
        return;
    }
    const int32_t res = pipe_read_needs_no_lease(p)
                            ? pipe_read_into_own(p, call)
                            : pipe_read_into_pool(p, call);
    if (res == 0) {
        pipe_read_eof(p);
    } else if (res == -EOPNOTSUPP && p->way == WR_PIPE_BY_NOWAIT) {
        p->way = WR_PIPE_BY_WORKER;
        pipe_read_by_worker(p);
    } else if (res < 0) {
        pipe_read_failed(p, res);
    }
}

void wr_pipe_read_fed(struct wr_pipe *p, bool was_due)
{
    if (was_due && pipe_read_wants(p)) {
        pipe_read_now(p);
    }
}

/* The bytes are copied out of the memory that the next read uses. */
static void pipe_read_worked(struct wr_pipe *p, int32_t res)
{
    res = wr_splice_read_completed(&p->splice, p->scratch, res);
    if (res < 0) {
        pipe_read_failed(p, res);
        return;
    }
    if (res == 0) {
        pipe_read_eof(p);
        return;
    }
    wr_check((uint32_t)res <= WR_PIPE_SCRATCH);
    weir_lease *lease = wr_lease_copy(&p->t.loop->pool, &p->t.demand.account,
                                      p->scratch, (uint32_t)res);
    if (!lease) {
        wr_transport_set_error(&p->t, -ENOMEM, "read"); /* they are lost */
        return;
    }
    pipe_read_note(p, (uint32_t)res);
    if (wr_delivery_given(&p->t, &p->delivery, lease)) {
        wr_life_push_step(&p->t);
    }
}

void wr_pipe_read_completed(struct wr_pipe *p, int32_t res)
{
    const bool has_worked = p->io == WR_PIPE_WORKING;

    wr_assert(!p->op.in_flight);
    wr_pipe_set_io(p, WR_PIPE_IDLE);
    if (p->t.state != WR_LIFE_OPEN) {
        return;
    }
    if (has_worked) {
        pipe_read_worked(p, res);
    } else if (res < 0) {
        pipe_read_failed(p, res);
    } else if (pipe_read_wants(p)) {
        wr_intake_make_due(&p->t);
    }
}

void wr_pipe_read_init(struct wr_pipe *p)
{
    wr_intake_init(&p->t);
    wr_timer_init(&p->rest_timer, pipe_read_rested);
}

void wr_pipe_pause_reading(weir_transport *t)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_pipe_check_invariants(p);
    if (p->t.state == WR_LIFE_OPEN && !wr_delivery_is_paused(&p->delivery)) {
        wr_delivery_pause(&p->delivery);
        wr_life_push_step(&p->t);
    }
}

void wr_pipe_resume_reading(weir_transport *t)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_pipe_check_invariants(p);
    if (p->t.state == WR_LIFE_OPEN && wr_delivery_is_paused(&p->delivery)) {
        wr_delivery_resume(&p->delivery);
        wr_pipe_note_moved(p); /* the read time-out starts anew */
        wr_pipe_times_changed(p);
        wr_life_push_step(&p->t);
    }
}

int wr_pipe_set_protocol(weir_transport *t,
                         const struct weir_protocol_binding *binding,
                         const struct weir_buf *initial, size_t count)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_pipe_check_invariants(p);
    wr_require(p->t.state == WR_LIFE_OPEN && t->error == 0, -ESHUTDOWN);
    wr_require(p->direction == WR_PIPE_READ || count == 0, -EINVAL);
    const int err =
        wr_delivery_set_protocol(t, &p->delivery, binding, initial, count);
    wr_require(err >= 0, err);
    wr_intake_look_anew(t); /* this one may need no credit */
    return 0;
}
