/*
 * Pipes: reading. A pipe waits with a poll, which holds no memory and takes no
 * byte, so pausing and closing lose none. When bytes have arrived the pipe
 * joins queue DUE of the budget. It reads in ->fed, with a system call that
 * does not wait, into buffers of the pool or into the memory of a buffered
 * protocol. So a flooded pipe reads at most its receive window in a loop
 * iteration.
 *
 *     idle --arm--> polling --bytes arrived--> due --fed--> idle
 *                                                \--fed--> working --> idle
 *     due --fed, no buffer--> starved, or idle until a timer expires
 *     idle --arm, of a regular file--> due
 *
 * A read may have to wait even after the poll, because another process may take
 * the bytes first. If the file has no nowait reads, a worker thread makes one
 * read at a time into the pipe's memory, which is copied. A pause does not
 * cancel this read; its bytes are held. The end of the pipe cancels it.
 */
#include "pipe_impl.h"

#include <poll.h>

static bool pipe_read_needs_no_lease(const struct wr_pipe *p)
{
    return p->c.t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED &&
           p->way != WR_PIPE_BY_WORKER;
}

static void pipe_read_arm(struct wr_pipe *p)
{
    wr_assert(p->io == WR_PIPE_IDLE);
    if (!pipe_read_needs_no_lease(p) && !wr_intake_may_poll(&p->c.t)) {
        return;
    }
    wr_connection_goes_on(&p->c);
    if (p->is_file) {
        wr_intake_make_due(&p->c.t);
        return;
    }
    wr_pipe_set_io(p, WR_PIPE_POLLING);
    wr_prep_poll(&p->c.t.loop->uring, &p->op.base, p->c.t.fd, POLLIN, false);
}

void wr_pipe_update_read(struct wr_pipe *p)
{
    if (!wr_connection_wants(&p->c)) {
        wr_intake_leave(&p->c.t);
    } else if (p->io == WR_PIPE_IDLE && !wr_intake_is_queued(&p->c.t) &&
               !wr_timer_is_armed(&p->timer)) {
        pipe_read_arm(p);
    }
}

static void pipe_read_failed(struct wr_pipe *p, int err)
{
    wr_assert(err < 0);
    if (err == -ENOBUFS) {
        wr_intake_lack_buffer(&p->c.t, &p->timer);
    } else if (!wr_res_is_transient(err)) {
        wr_transport_set_error(&p->c.t, err, "read");
    }
}

static void pipe_read_note(struct wr_pipe *p, uint32_t bytes)
{
    wr_assert(bytes > 0 && bytes <= WR_CREDIT_MAX);
    wr_budget_received_due(&p->c.t.loop->budget, bytes);
    wr_connection_note_received(&p->c, bytes);
}

static void pipe_read_by_worker(struct wr_pipe *p)
{
    weir_loop *loop = p->c.t.loop;

    wr_assert(p->way == WR_PIPE_BY_WORKER);
    if (!p->scratch) {
        p->scratch = wr_guard_alloc(&loop->counting, WR_PIPE_SCRATCH);
        if (!p->scratch) {
            wr_intake_lack_buffer(&p->c.t, &p->timer);
            return;
        }
    }
    const uint32_t credit = wr_intake_ask(&p->c.t);
    if (credit == 0) {
        return;
    }
    const int err = wr_splice_prep_read(
        &p->splice, &loop->uring, &p->op, p->c.t.fd, p->scratch,
        (uint32_t)wr_min_u64(credit, WR_PIPE_SCRATCH));
    if (err < 0) {
        pipe_read_failed(p, err);
        return;
    }
    wr_pipe_set_io(p, WR_PIPE_WORKING);
}

static int32_t pipe_read_into_pool(struct wr_pipe *p, wr_pool_call_fn *call)
{
    weir_lease *lease;
    const uint32_t credit = wr_intake_ask(&p->c.t);
    if (credit == 0) {
        return -EAGAIN;
    }
    const int32_t res = wr_pool_recv(&p->c.t.loop->pool, &p->c.t.demand.account,
                                     call, p->c.t.fd, credit, &lease);
    if (res <= 0) {
        return res;
    }
    pipe_read_note(p, (uint32_t)res);
    while (lease) {
        weir_lease *next = lease->next;
        lease->next = NULL;
        if (wr_delivery_borrowed(&p->c.t, &p->c.delivery, lease)) {
            wr_connection_push(&p->c);
        }
        lease = next;
    }
    return res;
}

/* The protocol gets its memory back before this returns. */
static int32_t pipe_read_into_own(struct wr_pipe *p, wr_pool_call_fn *call)
{
    const struct weir_protocol_binding from = p->c.t.binding;
    struct iovec iov;

    int err = wr_protocol_get_buffer(&p->c.t, 0, &iov.iov_base, &iov.iov_len);
    if (err < 0) {
        wr_delivery_fail(&p->c.t, err, "get_buffer");
        return -EAGAIN;
    }
    if (!wr_connection_wants(&p->c) || !wr_protocol_is_bound(&p->c.t, &from)) {
        /* get_buffer has paused, closed or replaced the protocol. */
        wr_protocol_give_back(&p->c.t, &from, iov.iov_base);
        return -EAGAIN;
    }
    iov.iov_len = wr_min_u64(iov.iov_len, WR_CREDIT_MAX);
    const int32_t res = call(p->c.t.fd, &iov, 1);
    if (res <= 0) {
        wr_protocol_give_back(&p->c.t, &from, iov.iov_base);
        return res;
    }
    pipe_read_note(p, (uint32_t)res);
    err = wr_protocol_updated(&p->c.t, (uint32_t)res);
    if (err < 0) {
        wr_delivery_fail(&p->c.t, err, "buffer_updated");
    }
    return res;
}

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
        if (p->c.t.state == WR_LIFE_OPEN) {
            wr_connection_received_end(&p->c);
        }
    } else if (res == -EOPNOTSUPP && p->way == WR_PIPE_BY_NOWAIT) {
        p->way = WR_PIPE_BY_WORKER;
        pipe_read_by_worker(p);
    } else if (res < 0) {
        pipe_read_failed(p, res);
    }
}

void wr_pipe_read_fed(weir_transport *t, enum wr_demand_state queue)
{
    struct wr_pipe *p = wr_pipe_of(wr_connection_of(t));

    wr_assert(p->direction == WR_PIPE_READ && p->io == WR_PIPE_IDLE);
    if (queue == WR_DEMAND_DUE && wr_connection_wants(&p->c)) {
        pipe_read_now(p);
    }
    wr_connection_push(&p->c);
}

/* Delivers a copy, because the next read overwrites ->scratch. */
static void pipe_read_worked(struct wr_pipe *p, int32_t res)
{
    res = wr_splice_read_completed(&p->splice, p->scratch, res);
    if (res < 0) {
        pipe_read_failed(p, res);
    } else if (res == 0) {
        wr_connection_received_end(&p->c);
    } else {
        wr_check((uint32_t)res <= WR_PIPE_SCRATCH);
        wr_budget_received_due(&p->c.t.loop->budget, (uint32_t)res);
        wr_connection_received(&p->c, p->scratch, (uint32_t)res);
    }
}

void wr_pipe_read_completed(struct wr_pipe *p, int32_t res)
{
    const bool has_worked = p->io == WR_PIPE_WORKING;

    wr_assert(!p->op.base.in_flight);
    wr_pipe_set_io(p, WR_PIPE_IDLE);
    if (p->c.t.state == WR_LIFE_OPEN) {
        if (has_worked) {
            pipe_read_worked(p, res);
        } else if (res < 0) {
            pipe_read_failed(p, res);
        } else if (wr_connection_wants(&p->c)) {
            wr_intake_make_due(&p->c.t);
            return;
        }
        if (p->is_file) {
            wr_pipe_update_read(p); /* in this loop iteration */
        }
    }
    wr_connection_push(&p->c);
}
