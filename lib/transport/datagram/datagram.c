/*
 * Datagram transports: their life.
 *
 * Every completion ends here, and so does the step, which calls of the program
 * push onto the ready queue. A transport is lost only after its last operation
 * has ended: until then the number of its descriptor must not be reused.
 */
#include "datagram_impl.h"

#include <poll.h>
#include <string.h>

static void datagram_free(weir_transport *t)
{
    wr_assert(wr_datagram_of(t)->fd < 0);
    wr_guard_free(&t->loop->counting, wr_datagram_of(t),
                  sizeof(struct wr_datagram));
}

static void datagram_lose(struct wr_datagram *d)
{
    weir_loop *loop = d->t.loop;

    wr_assert(!d->recv_op.in_flight && !d->send_op.in_flight);
    wr_assert(wr_datagramq_is_empty(&d->queue));
    wr_life_lose(&d->t);
    wr_protocol_lost(&d->t);
    wr_owned_remove(&loop->owned, d->fd);
    wr_datagram_close_own(d);
    wr_datagram_unshare(d->shared);
    wr_life_leave(&d->t);
}

/* The close time-out is over: the peer does not take the queue. */
static void datagram_close_expired(struct wr_timer *timer)
{
    struct wr_datagram *d =
        wr_container_of(timer, struct wr_datagram, close_timer);

    wr_datagram_check_invariants(d);
    wr_assert(d->t.state == WR_LIFE_CLOSING || d->t.state == WR_LIFE_DOOMED);
    wr_datagram_break(d, WEIR_ECLOSETIMEOUT, "close");
}

/* Ends receiving, sending and delivering. */
static void datagram_end(struct wr_datagram *d)
{
    wr_assert(d->fd >= 0);
    wr_life_set_state(&d->t, WR_LIFE_ENDING);
    wr_datagram_drop_kept(d);
    wr_datagram_end_recv(d);
    wr_datagram_end_send(d);
    wr_timer_cancel(&d->t.loop->wheel, &d->close_timer);
    wr_datagram_drop_queue(d);
    wr_life_push_step(&d->t); /* if nothing is in flight, no completion comes */
    wr_assert(!wr_intake_is_queued(&d->t));
    wr_assert(d->outlet_state == WR_OUTLET_IDLE);
}

/* Every handler calls it last, because the transport may be freed. */
static void datagram_advance(struct wr_datagram *d)
{
    if (d->t.state == WR_LIFE_CLOSING && wr_datagramq_is_empty(&d->queue)) {
        wr_life_doom(&d->t);
    }
    if (d->t.state == WR_LIFE_DOOMED) {
        datagram_end(d);
    }
    if (d->t.state == WR_LIFE_ENDING) {
        if (!d->recv_op.in_flight && !d->send_op.in_flight) {
            datagram_lose(d);
        }
        return;
    }
    wr_datagram_check_invariants(d);
}

static void datagram_step(struct wr_ready *ready)
{
    struct wr_datagram *d = wr_container_of(ready, struct wr_datagram, t.step);

    wr_datagram_check_invariants(d);
    wr_assert(d->t.state != WR_LIFE_NEW);
    wr_assert(d->t.state != WR_LIFE_LOST);
    wr_datagram_deliver_kept(d);
    if (d->t.state == WR_LIFE_OPEN) {
        wr_datagram_update_recv(d);
    }
    wr_datagram_send_queued(d);
    datagram_advance(d);
}

static void datagram_recv_completed(struct wr_op *op, int32_t res,
                                    uint32_t flags)
{
    struct wr_datagram *d = wr_container_of(op, struct wr_datagram, recv_op);

    wr_assert(d->t.state > WR_LIFE_NEW && d->t.state < WR_LIFE_LOST);
    wr_check(!(flags & WR_CQE_MORE)); /* single-shot */
    if (d->t.state == WR_LIFE_OPEN) {
        wr_datagram_recv_polled(d, res);
    }
    datagram_advance(d);
}

static void datagram_send_completed(struct wr_op *op, int32_t res,
                                    uint32_t flags)
{
    struct wr_datagram *d = wr_container_of(op, struct wr_datagram, send_op);

    wr_assert(d->t.state > WR_LIFE_NEW && d->t.state < WR_LIFE_LOST);
    wr_check(!(flags & WR_CQE_MORE));
    if (wr_datagram_is_alive(d)) { /* the next send returns errors */
        if (res > 0 && (uint32_t)res & POLLERR) {
            wr_datagram_tell_queued_errors(d); /* else each poll ends at once */
        }
    }
    if (wr_datagram_is_alive(d)) { /* or a callback has aborted it */
        wr_datagram_send_polled(d);
    }
    datagram_advance(d);
}

static void datagram_close(weir_transport *t)
{
    struct wr_datagram *d = wr_datagram_of(t);

    wr_datagram_check_invariants(d);
    if (!wr_life_close(t)) {
        return;
    }
    wr_datagram_drop_kept(d);
    wr_datagram_end_recv(d);
    if (d->close_timeout_ns > 0) {
        wr_timer_arm(
            &t->loop->wheel, &d->close_timer,
            wr_add_sat(weir_loop_get_time(t->loop), d->close_timeout_ns));
    }
}

static void datagram_abort(weir_transport *t)
{
    struct wr_datagram *d = wr_datagram_of(t);

    wr_datagram_check_invariants(d);
    if (!wr_datagram_is_alive(d)) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_ABORTED);
    wr_life_doom(&d->t);
    datagram_end(d);
    wr_datagram_check_invariants(d);
}

static void datagram_abandon(weir_transport *t)
{
    struct wr_datagram *d = wr_datagram_of(t);
    struct wr_uring *uring = &t->loop->uring;

    wr_assert(!wr_datagram_is_alive(d)); /* the loop has shut it down */
    weir_transport_ref(t);               /* the last completion loses it */
    wr_op_abandon(uring, &d->recv_op);
    wr_op_abandon(uring, &d->send_op);
    wr_transport_unref(t);
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
    return wr_datagram_is_reading(wr_datagram_of(t));
}

static bool datagram_is_closing(const weir_transport *t)
{
    return t->state > WR_LIFE_OPEN;
}

static struct weir_depth datagram_get_depth(const weir_transport *t)
{
    return (struct weir_depth){.bytes = wr_datagram_of(t)->queue.bytes};
}

static void datagram_get_peername(const weir_transport *t,
                                  struct weir_address *ret)
{
    *ret = wr_datagram_of(t)->remote;
}

static void datagram_get_sockname(const weir_transport *t,
                                  struct weir_address *ret)
{
    *ret = wr_datagram_of(t)->sockname;
}

static int datagram_get_socket(const weir_transport *t)
{
    const struct wr_datagram *d = wr_datagram_of(t);

    return d->fd >= 0 ? d->fd : -EBADF;
}

static void datagram_check(const weir_transport *t)
{
    wr_datagram_check_progress(wr_datagram_of(t));
}

const struct wr_transport_ops wr_datagram_ops = {
    .name = "datagram",
    .protocol_kinds = WR_PROTOCOL_BIT(WEIR_PROTOCOL_DATAGRAM),
    .write = wr_refuse_write,
    .writelines = wr_refuse_writelines,
    .write_ref = wr_refuse_write_ref,
    .write_lease = wr_refuse_write_lease,
    .pause_reading = wr_datagram_pause_reading,
    .resume_reading = wr_datagram_resume_reading,
    .is_reading = datagram_is_reading,
    .is_closing = datagram_is_closing,
    .get_depth = datagram_get_depth,
    .limits_changed = wr_datagram_limits_changed,
    .set_read_limit = wr_intake_set_limit,
    .fed = wr_datagram_fed,
    .set_protocol = datagram_set_protocol,
    .close = datagram_close,
    .abort = datagram_abort,
    .abandon = datagram_abandon,
    .get_peername = datagram_get_peername,
    .get_sockname = datagram_get_sockname,
    .get_socket = datagram_get_socket,
    .dump = wr_datagram_dump,
    .check = datagram_check,
    .free = datagram_free,
};

struct wr_datagram *wr_datagram_make(weir_loop *loop, int fd)
{
    struct wr_datagram *d =
        wr_owned_make_room(&loop->owned, &loop->counting, fd) == 0
            ? wr_guard_alloc(&loop->counting, sizeof(*d))
            : NULL;
    if (!d) {
        return NULL;
    }
    memset(d, 0, sizeof(*d));
    d->shared = wr_datagram_share(loop);
    if (!d->shared) {
        wr_guard_free(&loop->counting, d, sizeof(*d));
        return NULL;
    }
    wr_transport_init(&d->t, loop, &wr_datagram_ops);
    d->fd = fd;
    wr_ready_init(&d->t.step, datagram_step);
    wr_op_init(&d->recv_op, datagram_recv_completed);
    wr_op_init(&d->send_op, datagram_send_completed);
    wr_intake_init(&d->t);
    wr_timer_init(&d->close_timer, datagram_close_expired);
    wr_datagram_send_init(d);
    return d;
}

void wr_datagram_discard(struct wr_datagram *d)
{
    weir_loop *loop = d->t.loop;

    wr_assert(d->t.state == WR_LIFE_NEW);
    wr_assert(d->t.demand.account.lease_count == 0);
    wr_datagram_unshare(d->shared);
    wr_guard_free(&loop->counting, d, sizeof(*d));
}

void wr_datagram_begin(struct wr_datagram *d)
{
    weir_loop *loop = d->t.loop;

    wr_assert(d->fd >= 0);
    wr_assert(d->t.binding.protocol->kind == WEIR_PROTOCOL_DATAGRAM);
    wr_life_begin(&d->t, WR_LIFE_OPEN);
    wr_owned_add(&loop->owned, d->fd);
    wr_loop_add_member(loop, &d->t.member);
    wr_protocol_made(&d->t);
    if (d->t.state == WR_LIFE_OPEN) {
        wr_datagram_update_recv(d);
    }
    wr_datagram_check_invariants(d);
}
