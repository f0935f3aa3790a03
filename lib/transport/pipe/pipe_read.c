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

#include "lib/transport/rest.h"

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

void wr_pipe_read_leave(struct wr_pipe *p)
{
    if (p->io == WR_PIPE_STARVED || p->io == WR_PIPE_DUE) {
        wr_budget_leave(&p->demand);
        wr_pipe_set_io(p, WR_PIPE_IDLE);
    }
}

static void pipe_read_starve(struct wr_pipe *p)
{
    wr_pipe_set_io(p, WR_PIPE_STARVED);
    wr_budget_starve(&p->t.loop->budget, &p->demand);
    p->held_back = true;
}

/* There is no credit now: waits for what can change that. */
static void pipe_read_wait_for_credit(struct wr_pipe *p,
                                      enum wr_verdict verdict)
{
    wr_assert(verdict == WR_VERDICT_HOLDS_LIMIT ||
              verdict == WR_VERDICT_HOLDS_SHARE);
    wr_assert(p->io == WR_PIPE_IDLE);
    if (p->demand.account.held_bytes > 0) {
        p->demand.account.notify_released = true;
    }
    if (verdict == WR_VERDICT_HOLDS_SHARE) {
        pipe_read_starve(p); /* what others give back helps too */
        return;
    }
    wr_assert(p->demand.account.notify_released); /* else it would hang */
    p->held_back = true;
}

/* Credit for the next read; 0: the pipe waits for it. */
static uint32_t pipe_read_ask(struct wr_pipe *p)
{
    uint32_t credit;
    const enum wr_verdict verdict =
        wr_budget_ask(&p->t.loop->budget, &p->demand, &credit);

    if (verdict != WR_VERDICT_CREDIT) {
        pipe_read_wait_for_credit(p, verdict);
    }
    return credit;
}

/* Without credit a poll would end at once, in vain. */
static bool pipe_read_has_credit(struct wr_pipe *p)
{
    uint32_t credit;

    if (pipe_read_needs_no_lease(p) ||
        wr_budget_judge(&p->t.loop->budget, &p->demand, &credit) ==
            WR_VERDICT_CREDIT) {
        return true;
    }
    credit = pipe_read_ask(p); /* which counts against it */
    wr_assert(credit == 0);
    return false;
}

static void pipe_read_make_due(struct wr_pipe *p)
{
    wr_pipe_set_io(p, WR_PIPE_DUE);
    wr_budget_make_due(&p->t.loop->budget, &p->demand);
}

static void pipe_read_arm(struct wr_pipe *p)
{
    wr_assert(p->io == WR_PIPE_IDLE);
    wr_assert(!wr_delivery_has_held(&p->delivery) && !p->eof_seen);
    if (!pipe_read_has_credit(p)) {
        return;
    }
    if (p->held_back) {
        p->held_back = false;
        wr_pipe_note_moved(p); /* the read time-out starts anew */
        wr_pipe_times_changed(p);
    }
    if (p->is_file) {
        pipe_read_make_due(p);
        return;
    }
    wr_pipe_set_io(p, WR_PIPE_POLLING);
    wr_prep_poll(&p->t.loop->uring, &p->op, p->fd, POLLIN, false);
}

void wr_pipe_update_read(struct wr_pipe *p)
{
    if (!pipe_read_wants(p)) {
        wr_pipe_read_leave(p);
    } else if (p->io == WR_PIPE_IDLE && !wr_timer_is_armed(&p->rest_timer)) {
        pipe_read_arm(p);
    }
}

static void pipe_read_lack_buffer(struct wr_pipe *p)
{
    if (wr_rest_for_buffer(p->t.loop, &p->rest_timer)) {
        p->held_back = true;
    } else {
        pipe_read_starve(p);
    }
}

static void pipe_read_rested(struct wr_timer *timer)
{
    struct wr_pipe *p = wr_container_of(timer, struct wr_pipe, rest_timer);

    wr_assert(p->t.state == WR_LIFE_OPEN || p->t.state == WR_LIFE_DOOMED);
    wr_life_push_step(&p->t);
}

static void pipe_read_failed(struct wr_pipe *p, int err)
{
    wr_assert(err < 0);
    switch (err) {
    case -EAGAIN:
    case -EINTR:
    case -ECANCELED:
        break; /* wr_pipe_update_read() says what next */
    case -ENOBUFS:
        pipe_read_lack_buffer(p);
        break;
    default:
        wr_transport_set_error(&p->t, err, "read");
    }
}

/* Bytes have left the kernel for the protocol. */
static void pipe_read_note(struct wr_pipe *p, uint32_t bytes)
{
    wr_assert(bytes > 0);
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
            pipe_read_lack_buffer(p);
            return;
        }
    }
    const uint32_t credit = pipe_read_ask(p);
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
    const uint32_t credit = pipe_read_ask(p);
    if (credit == 0) {
        return -EAGAIN;
    }
    const int32_t res = wr_pool_recv(&p->t.loop->pool, &p->demand.account, call,
                                     p->fd, credit, &lease);
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
        wr_pipe_deliver_eof(p);
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
        wr_pipe_deliver_eof(p);
        return;
    }
    wr_check((uint32_t)res <= WR_PIPE_SCRATCH);
    weir_lease *lease = wr_lease_copy(&p->t.loop->pool, &p->demand.account,
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
        pipe_read_make_due(p);
    }
}

void wr_pipe_seek_credit(struct wr_pipe *p)
{
    wr_assert(p->t.state != WR_LIFE_LOST);
    if (p->demand.account.notify_released) {
        p->demand.account.notify_released = false;
        if (p->io == WR_PIPE_STARVED) {
            wr_pipe_read_leave(p);
        }
        wr_life_push_step(&p->t);
    }
}

void wr_pipe_read_init(struct wr_pipe *p, wr_demand_feed_fn *feed)
{
    wr_assert(p->t.state == WR_LIFE_UNBORN);
    wr_demand_init(&p->demand, WR_READ_LIMIT_DEFAULT, feed);
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

void wr_pipe_set_read_limit(weir_transport *t, uint64_t bytes)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_pipe_check_invariants(p);
    wr_assert(bytes >= WR_CREDIT_MIN);
    p->demand.account.limit_bytes = bytes;
    if (p->t.state != WR_LIFE_LOST) {
        wr_pipe_seek_credit(p);
    }
}
