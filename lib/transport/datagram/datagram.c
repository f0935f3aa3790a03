/*
 * Datagram transports: creation and life. Public calls change the state and
 * schedule the step. A transport is lost only after its last operation has
 * ended, because until then the number of its descriptor must not be reused.
 */
#include "datagram_impl.h"
#include "lib/transport/socket.h"

#include <poll.h>
#include <string.h>

#define OVERFLOW_BYTES (WR_SLOTS_MAX * WR_OVERFLOW_AREA)

static void datagram_shared_close(struct wr_module *module)
{
    struct wr_datagram_shared *shared =
        wr_container_of(module, struct wr_datagram_shared, module);

    wr_assert(shared->transport_count == 0);
    wr_assert(!shared->overflow);
    wr_guard_free(&shared->loop->counting, shared, sizeof(*shared));
}

static const struct wr_module_ops datagram_shared_ops = {
    .close = datagram_shared_close};

static struct wr_datagram_shared *datagram_shared_find(weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &datagram_shared_ops);
    struct wr_datagram_shared *shared;

    if (module) {
        return wr_container_of(module, struct wr_datagram_shared, module);
    }
    shared = wr_guard_alloc(&loop->counting, sizeof(*shared));
    if (shared) {
        wr_assert(!wr_loop_is_closed(loop));
        memset(shared, 0, sizeof(*shared));
        shared->loop = loop;
        for (uint32_t i = 0; i < WR_SLOTS_MAX; i++) {
            shared->in[i].msg_hdr.msg_iov = shared->in_iov[i];
        }
        wr_loop_add_module(loop, &shared->module, &datagram_shared_ops);
    }
    return shared;
}

static struct wr_datagram_shared *datagram_share(weir_loop *loop)
{
    struct wr_datagram_shared *shared = datagram_shared_find(loop);
    if (!shared) {
        return NULL;
    }
    if (!shared->overflow) {
        wr_assert(shared->transport_count == 0);
        shared->overflow = wr_guard_alloc(&loop->counting, OVERFLOW_BYTES);
    }
    if (!shared->overflow) {
        return NULL;
    }
    shared->transport_count++;
    return shared;
}

static void datagram_unshare(struct wr_datagram_shared *shared)
{
    wr_assert(shared->transport_count > 0);
    if (--shared->transport_count == 0) {
        wr_guard_free(&shared->loop->counting, shared->overflow,
                      OVERFLOW_BYTES);
        shared->overflow = NULL;
    }
}

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
    datagram_unshare(d->shared);
    wr_life_leave(&d->t);
}

/* The close time-out has expired: the peer does not take the queue. */
static void datagram_close_expired(struct wr_timer *timer)
{
    struct wr_datagram *d =
        wr_container_of(timer, struct wr_datagram, close_timer);

    wr_datagram_check_invariants(d);
    wr_assert(d->t.state == WR_LIFE_CLOSING || d->t.state == WR_LIFE_DOOMED);
    wr_datagram_break(d, WEIR_ECLOSETIMEOUT, "close");
}

static void datagram_end(struct wr_datagram *d)
{
    wr_assert(d->fd >= 0);
    wr_life_set_state(&d->t, WR_LIFE_ENDING);
    wr_datagram_drop_kept(d);
    wr_datagram_end_recv(d);
    wr_datagram_end_send(d);
    wr_timer_cancel(&d->t.loop->wheel, &d->close_timer);
    wr_datagram_drop_queue(d);
    wr_life_push_step(&d->t);
    wr_assert(!wr_intake_is_queued(&d->t));
    wr_assert(d->outlet_state == WR_OUTLET_IDLE);
}

/* Handlers call this last, because it may free the transport. */
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
    wr_check(!(flags & WR_CQE_MORE));
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
    if (wr_datagram_is_alive(d)) {
        if (res > 0 && (uint32_t)res & POLLERR) {
            /* otherwise each poll would complete at once */
            wr_datagram_tell_queued_errors(d);
        }
    }
    if (wr_datagram_is_alive(d)) { /* the callbacks may have aborted it */
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

    wr_assert(!wr_datagram_is_alive(d));
    weir_transport_ref(t); /* the last completion loses it */
    wr_op_abandon(uring, &d->recv_op);
    wr_op_abandon(uring, &d->send_op);
    wr_transport_unref(t);
}

static int datagram_set_protocol(weir_transport *t,
                                 const struct weir_protocol_binding *binding,
                                 const struct weir_buf *initial, size_t count)
{
    (void)initial;
    wr_require(count == 0, -EINVAL);
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

static uint64_t datagram_get_depth(const weir_transport *t)
{
    return wr_datagram_of(t)->queue.bytes;
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

static struct wr_datagram *datagram_make(weir_loop *loop, int fd)
{
    struct wr_datagram *d =
        wr_owned_make_room(&loop->owned, &loop->counting, fd) == 0
            ? wr_guard_alloc(&loop->counting, sizeof(*d))
            : NULL;
    if (!d) {
        return NULL;
    }
    memset(d, 0, sizeof(*d));
    d->shared = datagram_share(loop);
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

static void datagram_begin(struct wr_datagram *d)
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

static int datagram_open_set(int fd, int name, int value)
{
    wr_assert(fd >= 0);
    return wr_sys_setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value));
}

static int datagram_open_set_size(int fd, int name, uint32_t bytes)
{
    return bytes == 0
               ? 0
               : datagram_open_set(fd, name, (int)wr_min_u64(bytes, INT32_MAX));
}

int wr_datagram_configure(const weir_loop *loop, int fd, int family,
                          const struct weir_datagram_options *options)
{
    int err = wr_datagram_ask_control(fd, family, options);

    if (family == AF_UNIX) {
        wr_socket_set_passrights(loop, fd, false);
    }
    if (err >= 0 && options->reuse_port && family != AF_UNIX) {
        err = datagram_open_set(fd, SO_REUSEPORT, 1);
    }
    if (err >= 0 && options->allow_broadcast) {
        err = datagram_open_set(fd, SO_BROADCAST, 1);
    }
    if (err >= 0) {
        err = datagram_open_set_size(fd, SO_RCVBUF,
                                     options->receive_buffer_bytes);
    }
    if (err >= 0) {
        err = datagram_open_set_size(fd, SO_SNDBUF, options->send_buffer_bytes);
    }
    return err;
}

static void
datagram_open_set_limits(struct wr_datagram *d,
                         const struct weir_datagram_options *options)
{
    wr_assert(options->size_limit_bytes <= WEIR_DATAGRAM_SIZE_MAX);
    d->size_limit_bytes = options->size_limit_bytes ? options->size_limit_bytes
                                                    : WEIR_DATAGRAM_SIZE_MAX;
    d->wants_control = options->ancillary != 0 || options->join_segments;
    wr_transport_set_limits(&d->t, options->read_limit_bytes,
                            options->write_hard_limit_bytes);
    d->close_timeout_ns = options->close_timeout_ns;
    wr_datagram_recv_init(d, options->join_segments);
}

int wr_datagram_open(weir_loop *loop, const struct wr_datagram_socket *socket,
                     const struct weir_factory *factory,
                     const struct weir_datagram_options *options,
                     weir_transport **ret)
{
    const int fd = socket->fd;
    const int family = socket->family;

    wr_assert(family == AF_INET || family == AF_INET6 || family == AF_UNIX);
    struct wr_datagram *d = datagram_make(loop, fd);
    if (!d) {
        wr_datagram_close_fd(loop, fd, family);
        return -ENOMEM;
    }
    d->family = (sa_family_t)family;
    d->meets_fds = wr_datagram_meets_fds(loop, family);
    datagram_open_set_limits(d, options);
    struct weir_address peer;

    wr_assert(d->fd >= 0);
    wr_ignore(wr_socket_ask_sockname(d->fd, &d->sockname) < 0);
    d->is_connected = wr_socket_ask_peername(d->fd, &peer) >= 0;
    d->remote = socket->remote->len > 0 ? *socket->remote : peer;
    d->peer_wait_ns = UINT64_MAX;
    if (options->peer_wait_ns > 0 && family == AF_UNIX && !d->is_connected) {
        d->peer_wait_ns = options->peer_wait_ns;
    }
    int err = wr_protocol_find(&d->t, factory);
    if (err < 0) {
        wr_datagram_close_fd(loop, fd, family);
        wr_assert(d->t.state == WR_LIFE_NEW);
        wr_assert(d->t.demand.account.lease_count == 0);
        datagram_unshare(d->shared);
        wr_guard_free(&loop->counting, d, sizeof(*d));
        return err;
    }
    datagram_begin(d);
    *ret = &d->t;
    return 0;
}
