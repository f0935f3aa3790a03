/*
 * Stream sockets: their life.
 *
 * wr_sock_advance() is the one place where a socket goes from state to state
 * by itself; it runs at the end of every completion and in the socket's step,
 * which calls of the user push onto the ready queue. A connection is lost when
 * its last operation has ended, and not before: until then the kernel may
 * write to its memory, and its descriptor's number must not be used again.
 */
#include "sock_impl.h"

#include "../include/weir/error.h"
#include "options.h"

#include <netinet/tcp.h>
#include <string.h>

static const char *const state_names[WR_SOCK_STATES] = {
    "open", "closing", "lingering", "ending", "lost", "unborn"};

static void set_state(struct wr_sock *s, enum wr_sock_state state)
{
    static const uint8_t allowed[WR_SOCK_STATES] = {
        [WR_SOCK_OPEN] =
            1u << WR_SOCK_CLOSING | 1u << WR_SOCK_ENDING | 1u << WR_SOCK_UNBORN,
        [WR_SOCK_CLOSING] = 1u << WR_SOCK_LINGERING | 1u << WR_SOCK_ENDING,
        [WR_SOCK_LINGERING] = 1u << WR_SOCK_ENDING,
        [WR_SOCK_ENDING] = 1u << WR_SOCK_LOST,
        [WR_SOCK_UNBORN] = 1u << WR_SOCK_OPEN,
    };
    wr_assert(allowed[s->state] >> state & 1u);
    s->state = state;
}

static void push_step(struct wr_sock *s)
{
    wr_ready_push(&s->t.loop->ready, &s->step);
}

void wr_sock_free_if_unused(struct wr_sock *s)
{
    weir_loop *loop = s->t.loop;
    if (s->t.refs > 0 || s->account.lease_count > 0) {
        return;
    }
    wr_assert(s->state == WR_SOCK_LOST || s->fd < 0);
    wr_slab_give(&loop->socks, s);
    loop->pinned_count--;
    wr_loop_release(loop);
}

static void unreferenced(weir_transport *t)
{
    wr_sock_free_if_unused(wr_sock_of(t));
}

static void get_sockname(const weir_transport *t, struct weir_address *ret)
{
    struct wr_sock *s = wr_sock_of(t);

    if (!s->sockname_known && s->fd >= 0) {
        struct weir_address addr = {.len = sizeof(addr.storage)};
        int err = wr_sys_getsockname(s->fd, &addr.storage.any, &addr.len);
        if (err < 0 || addr.storage.any.sa_family == AF_UNIX) {
            addr.len = 0;
        }
        s->sockname = addr;
        s->sockname_known = true;
    }
    *ret = s->sockname;
}

/* The getters must answer later on, without a descriptor. */
static void remember_sockname(struct wr_sock *s)
{
    struct weir_address ignored;
    if (s->t.refs > 1) {
        get_sockname(&s->t, &ignored);
    }
}

static void lose(struct wr_sock *s)
{
    weir_loop *loop = s->t.loop;

    set_state(s, WR_SOCK_LOST);
    s->account.tell_released = true; /* the last lease frees */
    s->wants_credit = false;
    wr_sock_times_free(s);
    wr_sock_drop_queue(s);
    wr_sock_free_into(s);
    wr_protocol_lost(&s->t);
    remember_sockname(s);
    wr_prep_close(&loop->uring, s->fd);
    s->fd = -1;
    wr_ready_cancel(&s->step);
    wr_list_remove(&s->t.alive.link);
    loop->counts.connections--;
    loop->pool.budget.account_count--;
    wr_loop_trim_later(loop);
    if (s->t.owner) {
        s->t.owner->ops->forget(s->t.owner, &s->t);
        s->t.owner = NULL;
    }
    weir_transport_unref(&s->t);
}

/* The peer is told by a reset, not by an end of the stream that would pass for
 * a proper one. Unix sockets know no reset, and ignore it. */
static void reset_on_close(struct wr_sock *s)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    s->resets = true;
    wr_ignore(wr_sys_setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger,
                                sizeof(linger)) < 0);
}

void wr_sock_end(struct wr_sock *s)
{
    if (s->state >= WR_SOCK_ENDING) {
        return;
    }
    set_state(s, WR_SOCK_ENDING);
    if (WR_UNLIKELY(s->t.has_dropped || !wr_sendq_is_empty(&s->sendq))) {
        reset_on_close(s);
    }
    wr_sock_drop_held(s);
    wr_sock_times_stop(s);
    wr_ignore(wr_sock_end_recv(s));
    wr_ignore(wr_sock_end_send(s));
    push_step(s); /* nothing may be in flight; then no completion comes */
}

void wr_sock_fail(struct wr_sock *s, int err, const char *what)
{
    wr_transport_set_error(&s->t, err, what);
}

void wr_sock_lose_bytes(struct wr_sock *s, int err)
{
    wr_sock_fail(s, err, "receive");
    wr_sock_end(s);
}

void wr_sock_fail_callback(struct wr_sock *s, int err, const char *callback)
{
    const struct weir_exception failed = {
        .message = "protocol callback failed: connection aborted",
        .err = err,
        .callback = callback,
        .transport = &s->t,
    };
    wr_transport_set_error(&s->t, err, callback);
    wr_loop_report(s->t.loop, &failed);
    wr_sock_end(s);
}

static void start_lingering(struct wr_sock *s)
{
    set_state(s, WR_SOCK_LINGERING);
    s->times->linger_ns = s->t.loop->now_ns;
    s->write_eof = true;
    wr_sock_shut_when_sent(s);
    wr_sock_times_changed(s);
}

/* All sent, nobody left to wait for? */
static bool advance_closing(struct wr_sock *s)
{
    if (s->t.error) {
        return true;
    }
    if (!wr_sendq_is_empty(&s->sendq) || s->send_op.in_flight) {
        return false;
    }
    if (wr_sock_lingers(s) && !s->eof_seen) {
        start_lingering(s);
        return false;
    }
    return true;
}

static bool should_end(struct wr_sock *s)
{
    switch (s->state) {
    case WR_SOCK_OPEN:
        /* What came before the error is delivered before the loss. */
        return s->t.error != 0 && wr_sock_has_read_all(s) &&
               !s->recv_op.in_flight && !wr_sock_has_kept(s) && !s->eof_pending;
    case WR_SOCK_CLOSING:
        return advance_closing(s);
    case WR_SOCK_LINGERING:
        return s->eof_seen || s->t.error != 0 || !wr_sock_lingers(s);
    case WR_SOCK_ENDING:
    case WR_SOCK_LOST:
    case WR_SOCK_UNBORN:
    case WR_SOCK_STATES:
        break;
    }
    return false;
}

void wr_sock_advance(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->t.error != 0) && !s->send_op.in_flight &&
        s->state < WR_SOCK_ENDING) {
        wr_sock_drop_broken_queue(s); /* it may hold what the receive needs */
    }
    if (WR_UNLIKELY(should_end(s))) {
        wr_sock_end(s);
    }
    if (WR_LIKELY(s->state < WR_SOCK_ENDING)) {
        wr_sock_update_recv(s);
        return;
    }
    if (s->state == WR_SOCK_ENDING && !s->recv_op.in_flight &&
        !s->poll_op.in_flight && !s->send_op.in_flight) {
        lose(s);
    }
}

static void step(struct wr_ready *ready)
{
    struct wr_sock *s = wr_container_of(ready, struct wr_sock, step);

    wr_sock_deliver_held(s);
    wr_sock_advance(s);
}

static void close_sock(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    if (s->state != WR_SOCK_OPEN) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_CLOSED);
    set_state(s, WR_SOCK_CLOSING);
    wr_sock_drop_held(s);
    if (s->times) {
        s->times->closing_ns = weir_loop_time(t->loop);
        wr_sock_times_changed(s);
    }
    wr_sock_update_recv(s); /* a cancel leaves together with the last send */
    push_step(s);
}

static void abort_sock(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    if (s->state >= WR_SOCK_ENDING) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_ABORTED);
    reset_on_close(s);
    wr_sock_end(s);
}

static void abandon(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    struct wr_uring *uring = &t->loop->uring;

    wr_ignore(!weir_transport_ref(t)); /* the last of the three loses it */
    wr_op_abandon(uring, &s->send_op);
    wr_op_abandon(uring, &s->recv_op);
    wr_op_abandon(uring, &s->poll_op);
    weir_transport_unref(t);
}

static bool is_closing(const weir_transport *t)
{
    return wr_sock_of(t)->state != WR_SOCK_OPEN || t->error != 0;
}

static uint64_t depth(const weir_transport *t)
{
    return wr_sock_of(t)->sendq.bytes;
}

static uint64_t held(const weir_transport *t)
{
    return wr_sock_of(t)->account.held_bytes;
}

static uint32_t send_count(const weir_transport *t)
{
    return wr_sock_of(t)->send_op.in_flight ? 1 : 0;
}

static bool is_short(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);
    return s->account.held_bytes > 0 &&
           (wr_pool_credit(&t->loop->pool, &s->account) == 0 ||
            wr_pool_is_short(&t->loop->pool));
}

static bool has_unread(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return s->state == WR_SOCK_OPEN &&
           (wr_sock_has_kept(s) || wr_sys_inq(s->fd) > 0);
}

static int get_socket(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return s->fd >= 0 ? s->fd : -EBADF;
}

static void dump(const weir_transport *t, FILE *out)
{
    const struct wr_sock *s = wr_sock_of(t);
    struct weir_address sockname;
    char peer[WEIR_ADDRESS_TEXT_SIZE];
    char own[WEIR_ADDRESS_TEXT_SIZE];

    get_sockname(t, &sockname);
    fprintf(out,
            "tcp fd=%d %s -> %s state=%s recv=%s%s%s send=%s ops=%s%s%s "
            "credit=%u held=%llu leases=%u queued=%llu%s%s error=%s\n",
            s->fd, weir_address_format(&sockname, own, sizeof(own)),
            weir_address_format(&t->peername, peer, sizeof(peer)),
            state_names[s->state], wr_sock_recv_state_name(s),
            s->paused ? " paused" : "", s->eof_seen ? " eof" : "",
            wr_sock_send_state_name(s), s->recv_op.in_flight ? "r" : "",
            s->send_op.in_flight ? "s" : "", s->poll_op.in_flight ? "p" : "",
            wr_pool_credit(&t->loop->pool, &s->account),
            (unsigned long long)s->account.held_bytes, s->account.lease_count,
            (unsigned long long)s->sendq.bytes,
            t->writing_paused ? " writing-paused" : "",
            s->write_eof ? " write-eof" : "",
            t->error ? weir_err_name(t->error) : "none");
}

static const struct wr_transport_ops sock_ops = {
    .name = "tcp",
    .can_write_eof = true,
    .write = wr_sock_write,
    .writelines = wr_sock_writelines,
    .write_ref = wr_sock_write_ref,
    .write_lease = wr_sock_write_lease,
    .write_eof = wr_sock_write_eof,
    .pause_reading = wr_sock_pause_reading,
    .resume_reading = wr_sock_resume_reading,
    .is_reading = wr_sock_is_reading,
    .is_closing = is_closing,
    .depth = depth,
    .held = held,
    .send_count = send_count,
    .is_short = is_short,
    .has_unread = has_unread,
    .limits_changed = wr_sock_limits_changed,
    .set_read_limit = wr_sock_set_read_limit,
    .set_timeouts = wr_sock_set_timeouts,
    .set_protocol = wr_sock_set_protocol,
    .close = close_sock,
    .abort = abort_sock,
    .abandon = abandon,
    .get_sockname = get_sockname,
    .get_socket = get_socket,
    .dump = dump,
    .unreferenced = unreferenced,
};

int wr_stream_options_read(const void *outer,
                           struct weir_stream_options *stream)
{
    int err = wr_options_read_inner(outer, stream, sizeof(*stream));
    if (err == 0) {
        err = wr_options_read_inner(stream, &stream->timeouts,
                                    sizeof(stream->timeouts));
    }
    if (err == 0 && stream->read_limit_bytes != 0 &&
        stream->read_limit_bytes < WR_CREDIT_MIN) {
        err = -EINVAL;
    }
    return err;
}

static int set_option(int fd, int level, int name, int value)
{
    return wr_sys_setsockopt(fd, level, name, &value, sizeof(value));
}

int wr_sock_configure(int fd, int family,
                      const struct weir_stream_options *stream)
{
    int err = 0;
    if (family != AF_INET && family != AF_INET6) {
        return 0;
    }
    if (!stream || !stream->no_nodelay) {
        err = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (err == 0 && stream && stream->keep_alive) {
        err = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    }
    if (err == 0 && stream && stream->notsent_lowat_bytes) {
        err = set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
                         (int)stream->notsent_lowat_bytes);
    }
    return err;
}

static bool has_limits(const struct weir_timeouts *timeouts)
{
    return (timeouts->idle_ns | timeouts->read_ns | timeouts->write_stall_ns |
            timeouts->close_ns | timeouts->linger_ns) != 0;
}

static int apply_limits(struct wr_sock *s,
                        const struct weir_stream_options *stream)
{
    if (!stream) {
        return 0;
    }
    if (stream->read_limit_bytes) {
        s->account.limit_bytes = stream->read_limit_bytes;
    }
    if (stream->write_hard_limit_bytes) {
        s->t.hard_limit_bytes = stream->write_hard_limit_bytes;
    }
    return has_limits(&stream->timeouts)
               ? wr_sock_set_timeouts(&s->t, &stream->timeouts)
               : 0;
}

static struct wr_sock *make_sock(weir_loop *loop, int fd,
                                 const struct wr_sock_options *options)
{
    if (loop->socks.object_size == 0) {
        wr_slab_init(&loop->socks, &loop->counting, sizeof(struct wr_sock));
    }
    struct wr_sock *s = wr_slab_take(&loop->socks);
    if (!s) {
        return NULL;
    }
    wr_transport_init(&s->t, loop, &sock_ops);
    s->fd = fd;
    s->t.owner = options->owner;
    if (options->peername) {
        s->t.peername = *options->peername;
    }
    if (!options->may_ask_sockname && options->sockname) {
        s->sockname = *options->sockname;
        s->sockname_known = true;
    }
    wr_ready_init(&s->step, step);
    wr_sock_recv_init(s);
    wr_sock_send_init(s);
    return s;
}

static void free_unborn(struct wr_sock *s)
{
    weir_loop *loop = s->t.loop;

    wr_sock_times_free(s);
    wr_slab_give(&loop->socks, s);
}

static int find_protocol(struct wr_sock *s, const struct weir_factory *factory)
{
    set_state(s, WR_SOCK_UNBORN);
    int err = factory->create(factory->arg, &s->t, &s->t.binding);
    wr_loop_leave_if_forked(s->t.loop);
    set_state(s, WR_SOCK_OPEN);
    if (err < 0) {
        return err;
    }
    if (!wr_protocol_is_valid(&s->t.binding)) {
        return -EINVAL;
    }
    wr_protocol_bound(&s->t);
    return 0;
}

int wr_sock_open(weir_loop *loop, int fd, const struct weir_factory *factory,
                 const struct wr_sock_options *options, weir_transport **ret)
{
    struct wr_sock *s = make_sock(loop, fd, options);
    if (!s) {
        wr_prep_close(&loop->uring, fd);
        return -ENOMEM;
    }
    int err = apply_limits(s, options->stream);
    if (err == 0) {
        err = find_protocol(s, factory);
    }
    if (err < 0) {
        free_unborn(s);
        wr_prep_close(&loop->uring, fd);
        return err;
    }

    loop->pinned_count++;
    loop->counts.connections++;
    loop->pool.budget.account_count++;
    wr_list_push_back(&loop->transports, &s->t.alive.link);
    if (s->t.owner) {
        s->t.owner->ops->adopt(s->t.owner, &s->t);
    }
    wr_protocol_made(&s->t);
    if (s->state == WR_SOCK_OPEN) {
        wr_sock_update_recv(s);
    }
    *ret = &s->t;
    return 0;
}
