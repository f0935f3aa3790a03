/*
 * Datagram endpoints: their life.
 *
 * Completions end here, and so does the endpoint's step, which calls of the
 * user push onto the ready queue. An endpoint is lost when its last operation
 * has ended, and not before: until then its descriptor's number must not be
 * used again.
 */
#include "datagram_impl.h"

#include <poll.h>
#include <string.h>

static void datagram_free_if_unused(struct wr_endpoint *e)
{
    weir_loop *loop = e->t.loop;

    if (!wr_life_is_unused(&e->t)) {
        return;
    }
    wr_assert(e->fd < 0);
    wr_guard_free(&loop->counting, e, sizeof(*e));
    wr_loop_unpin(loop);
}

static void datagram_unreferenced(weir_transport *t)
{
    datagram_free_if_unused(wr_endpoint_of(t));
}

static void datagram_lose(struct wr_endpoint *e)
{
    weir_loop *loop = e->t.loop;

    wr_assert(!e->recv_op.in_flight && !e->send_op.in_flight);
    wr_assert(wr_datagramq_is_empty(&e->queue));
    wr_life_lose(&e->t);
    wr_protocol_lost(&e->t);
    wr_owned_remove(&loop->owned, e->fd);
    wr_endpoint_close_own(e);
    wr_datagram_unshare(e->shared);
    wr_life_leave(&e->t);
}

/* A peer does not take what a close is sending. */
static void datagram_close_expired(struct wr_timer *timer)
{
    struct wr_endpoint *e =
        wr_container_of(timer, struct wr_endpoint, close_timer);

    wr_endpoint_check_invariants(e);
    wr_assert(e->t.state == WR_LIFE_CLOSING || e->t.state == WR_LIFE_DOOMED);
    wr_endpoint_break(e, WEIR_ECLOSETIMEOUT, "close");
}

/* No more is received, sent or delivered. */
static void datagram_end(struct wr_endpoint *e)
{
    wr_assert(e->fd >= 0);
    wr_life_set_state(&e->t, WR_LIFE_ENDING);
    wr_endpoint_drop_kept(e);
    wr_endpoint_end_recv(e);
    wr_endpoint_end_send(e);
    wr_timer_cancel(&e->t.loop->wheel, &e->close_timer);
    wr_endpoint_drop_queue(e);
    wr_life_push_step(&e->t); /* if nothing is in flight, no completion comes */
    wr_assert(!wr_intake_is_queued(&e->t));
    wr_assert(e->outlet_state == WR_OUTLET_IDLE);
}

/* The last thing that a handler does: the endpoint may be freed. */
static void datagram_advance(struct wr_endpoint *e)
{
    if (e->t.state == WR_LIFE_CLOSING && wr_datagramq_is_empty(&e->queue)) {
        wr_life_doom(&e->t);
    }
    if (e->t.state == WR_LIFE_DOOMED) {
        datagram_end(e);
    }
    if (e->t.state == WR_LIFE_ENDING) {
        if (!e->recv_op.in_flight && !e->send_op.in_flight) {
            datagram_lose(e);
        }
        return;
    }
    wr_endpoint_check_invariants(e);
}

static void datagram_step(struct wr_ready *ready)
{
    struct wr_endpoint *e = wr_container_of(ready, struct wr_endpoint, t.step);

    wr_endpoint_check_invariants(e);
    wr_assert(e->t.state != WR_LIFE_UNBORN);
    wr_assert(e->t.state != WR_LIFE_LOST);
    wr_endpoint_deliver_kept(e);
    if (e->t.state == WR_LIFE_OPEN) {
        wr_endpoint_update_recv(e);
    }
    wr_endpoint_send_rest(e);
    datagram_advance(e);
}

static void datagram_recv_completed(struct wr_op *op, int32_t res,
                                    uint32_t flags)
{
    struct wr_endpoint *e = wr_container_of(op, struct wr_endpoint, recv_op);

    wr_assert(e->t.state > WR_LIFE_UNBORN && e->t.state < WR_LIFE_LOST);
    wr_check(!(flags & WR_CQE_MORE)); /* a single poll completes once */
    if (e->t.state == WR_LIFE_OPEN) {
        wr_endpoint_recv_polled(e, res);
    }
    datagram_advance(e);
}

static void datagram_send_completed(struct wr_op *op, int32_t res,
                                    uint32_t flags)
{
    struct wr_endpoint *e = wr_container_of(op, struct wr_endpoint, send_op);

    wr_assert(e->t.state > WR_LIFE_UNBORN && e->t.state < WR_LIFE_LOST);
    wr_check(!(flags & WR_CQE_MORE));
    if (wr_endpoint_is_alive(e)) { /* the next send tells of an error */
        if (res > 0 && (uint32_t)res & POLLERR) {
            wr_endpoint_drop_errors(e); /* or each poll ends at once */
        }
        wr_endpoint_send_polled(e);
    }
    datagram_advance(e);
}

static void datagram_close(weir_transport *t)
{
    struct wr_endpoint *e = wr_endpoint_of(t);

    wr_endpoint_check_invariants(e);
    if (e->t.state != WR_LIFE_OPEN) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_CLOSED);
    wr_life_set_state(&e->t, WR_LIFE_CLOSING);
    wr_endpoint_drop_kept(e);
    wr_endpoint_end_recv(e);
    if (e->close_timeout_ns > 0) {
        wr_timer_arm(
            &t->loop->wheel, &e->close_timer,
            wr_add_sat(weir_loop_get_time(t->loop), e->close_timeout_ns));
    }
    wr_life_push_step(&e->t);
}

static void datagram_abort(weir_transport *t)
{
    struct wr_endpoint *e = wr_endpoint_of(t);

    wr_endpoint_check_invariants(e);
    if (!wr_endpoint_is_alive(e)) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_ABORTED);
    wr_life_doom(&e->t);
    datagram_end(e);
    wr_endpoint_check_invariants(e);
}

static void datagram_abandon(weir_transport *t)
{
    struct wr_endpoint *e = wr_endpoint_of(t);
    struct wr_uring *uring = &t->loop->uring;

    wr_assert(!wr_endpoint_is_alive(e)); /* the loop has shut it down */
    weir_transport_ref(t);               /* the last of the two loses it */
    wr_op_abandon(uring, &e->recv_op);
    wr_op_abandon(uring, &e->send_op);
    weir_transport_unref(t);
}

static int datagram_set_protocol(weir_transport *t,
                                 const struct weir_protocol_binding *binding,
                                 const struct weir_buf *initial, size_t count)
{
    (void)initial;
    wr_require(count == 0, -EINVAL); /* bytes are no datagrams */
    wr_require(t->state != WR_LIFE_LOST, -ESHUTDOWN);
    t->binding = *binding;
    wr_protocol_bound(t);
    return 0;
}

static bool datagram_is_reading(const weir_transport *t)
{
    return wr_endpoint_is_reading(wr_endpoint_of(t));
}

static bool datagram_is_closing(const weir_transport *t)
{
    return t->state > WR_LIFE_OPEN;
}

static struct weir_depth datagram_get_depth(const weir_transport *t)
{
    return (struct weir_depth){.bytes = wr_endpoint_of(t)->queue.bytes};
}

static void datagram_get_peername(const weir_transport *t,
                                  struct weir_address *ret)
{
    *ret = wr_endpoint_of(t)->remote;
}

static void datagram_get_sockname(const weir_transport *t,
                                  struct weir_address *ret)
{
    *ret = wr_endpoint_of(t)->sockname;
}

static int datagram_get_socket(const weir_transport *t)
{
    const struct wr_endpoint *e = wr_endpoint_of(t);

    return e->fd >= 0 ? e->fd : -EBADF;
}

static void datagram_check(const weir_transport *t)
{
    wr_endpoint_check_rest(wr_endpoint_of(t));
}

const struct wr_transport_ops wr_datagram_ops = {
    .name = "datagram",
    .protocol_kinds = WR_PROTOCOL_BIT(WEIR_PROTOCOL_DATAGRAM),
    .write = wr_refuse_write,
    .writelines = wr_refuse_writelines,
    .write_ref = wr_refuse_write_ref,
    .write_lease = wr_refuse_write_lease,
    .pause_reading = wr_endpoint_pause_reading,
    .resume_reading = wr_endpoint_resume_reading,
    .is_reading = datagram_is_reading,
    .is_closing = datagram_is_closing,
    .get_depth = datagram_get_depth,
    .limits_changed = wr_endpoint_limits_changed,
    .set_read_limit = wr_intake_set_limit,
    .fed = wr_endpoint_fed,
    .set_protocol = datagram_set_protocol,
    .close = datagram_close,
    .abort = datagram_abort,
    .abandon = datagram_abandon,
    .get_peername = datagram_get_peername,
    .get_sockname = datagram_get_sockname,
    .get_socket = datagram_get_socket,
    .dump = wr_endpoint_dump,
    .check = datagram_check,
    .unreferenced = datagram_unreferenced,
};

struct wr_endpoint *wr_endpoint_make(weir_loop *loop, int fd)
{
    struct wr_endpoint *e =
        wr_owned_make_room(&loop->owned, &loop->counting, fd) == 0
            ? wr_guard_alloc(&loop->counting, sizeof(*e))
            : NULL;
    if (!e) {
        return NULL;
    }
    memset(e, 0, sizeof(*e));
    e->shared = wr_datagram_share(loop);
    if (!e->shared) {
        wr_guard_free(&loop->counting, e, sizeof(*e));
        return NULL;
    }
    wr_transport_init(&e->t, loop, &wr_datagram_ops);
    e->fd = fd;
    wr_ready_init(&e->t.step, datagram_step);
    wr_op_init(&e->recv_op, datagram_recv_completed);
    wr_op_init(&e->send_op, datagram_send_completed);
    wr_intake_init(&e->t);
    wr_timer_init(&e->close_timer, datagram_close_expired);
    wr_endpoint_send_init(e);
    return e;
}

void wr_endpoint_unmake(struct wr_endpoint *e)
{
    weir_loop *loop = e->t.loop;

    wr_assert(e->t.state == WR_LIFE_UNBORN);
    wr_assert(e->t.demand.account.lease_count == 0);
    wr_datagram_unshare(e->shared);
    wr_guard_free(&loop->counting, e, sizeof(*e));
}

void wr_endpoint_bear(struct wr_endpoint *e)
{
    weir_loop *loop = e->t.loop;

    wr_assert(e->fd >= 0);
    wr_assert(e->t.binding.protocol->kind == WEIR_PROTOCOL_DATAGRAM);
    wr_life_begin(&e->t, WR_LIFE_OPEN);
    wr_owned_add(&loop->owned, e->fd);
    wr_loop_add_member(loop, &e->t.member);
    wr_protocol_made(&e->t);
    if (e->t.state == WR_LIFE_OPEN) {
        wr_endpoint_update_recv(e);
    }
    wr_endpoint_check_invariants(e);
}
