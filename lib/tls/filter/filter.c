/*
 * TLS filters: the device of a connection that stands on another.
 *
 * Every callback of the transport below ends here, as do the connection's step
 * and the end of the turn. Each event is noted; then the pump opens and
 * delivers what has arrived, and the connection advances. A filter is lost when
 * the transport below is lost, and not before.
 *
 * Only the loop and the transport below make the filter advance. Callbacks of
 * the protocol run inside the pump; they may abort the filter or push its step,
 * so no pump runs inside another.
 */
#include "filter_impl.h"
#include "lib/tls/context/context.h"
#include "lib/tls/engine/session.h"

/* ---- the end ---- */

static void filter_free_settings(struct wr_filter *f)
{
    if (f->settings) {
        wr_filter_settings_drop(f->settings);
        wr_free(&f->c.t.loop->counting, f->settings, sizeof(*f->settings));
        f->settings = NULL;
    }
}

static void filter_free(weir_transport *t)
{
    struct wr_filter *f = wr_filter_of(t);

    if (f->has_engine) {
        wr_tls_engine_fini(&f->engine);
    }
    filter_free_settings(f);
    weir_transport_unref(f->below);
    wr_connection_free(t);
}

/* Tells the maker the result, once. */
static void filter_tell(struct wr_filter *f, int err)
{
    const struct wr_secure_opener opener = f->opener;

    if (opener.opened) {
        f->opener.opened = NULL;
        opener.opened(opener.arg, err, &f->c.t);
        wr_loop_end_if_forked(f->c.t.loop);
    }
}

/* The handshake was not completed: tells the maker why. */
static void filter_tell_failure(struct wr_filter *f)
{
    wr_assert(wr_life_is_over(&f->c.t));
    filter_tell(f, f->c.t.error ? f->c.t.error : -ECANCELED);
}

/* Sealed bytes, above all the alert of a failure, are still sent, except after
 * an abort. */
static void filter_stop(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);
    weir_transport *below = f->below;

    wr_assert(c->t.state == WR_LIFE_ENDING && below);
    c->t.has_dropped |= !wr_sendq_is_empty(&c->outbox.queue);
    wr_filter_drop_input(f);
    wr_list_remove(&f->wait_link);
    wr_list_remove(&f->seal.link);
    f->since_ns = weir_loop_get_time(c->t.loop);
    wr_clock_changed(c->clock);
    wr_connection_push(c); /* the maker is told */
    if (f->below_lost) {
        return;
    }
    if (f->aborts) {
        below->ops->abort(below);
        return;
    }
    if (f->has_engine) {
        wr_filter_send_output(f);
    }
    below->ops->close(below);
}

/* The protocol of a lost filter that its program never knew. */
static const struct weir_protocol filter_nobody = {
    .size = sizeof(filter_nobody), .kind = WEIR_PROTOCOL_STREAM};

/* Sealed bytes that a broken connection has not sent are dropped by below. */
static void filter_drop(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);

    if (c->t.state != WR_LIFE_ENDING) {
        wr_assert(f->unsent_bytes == 0);
        return;
    }
    wr_assert(f->below_lost); /* the filter is lost, too */
    if (f->is_cut && !f->aborts && c->t.error == 0) {
        wr_transport_set_error(&c->t, WEIR_ETLSTRUNCATED, "TLS receive");
    }
    wr_transport_set_end(&c->t, f->below->end);
    c->t.has_dropped |= f->below->has_dropped || f->unsent_bytes > 0;
    wr_outbox_passed(&c->outbox, f->unsent_bytes);
    f->unsent_bytes = 0;
    f->upper = NULL;
    if (!c->is_made) {
        c->t.binding.protocol = &filter_nobody;
    }
    filter_tell_failure(f);
}

/* Closes if the peer is cut off and its last bytes are delivered. */
static void filter_close_if_cut(struct wr_filter *f)
{
    struct wr_connection *c = &f->c;

    if (c->t.state == WR_LIFE_OPEN && !f->upper && c->t.error == 0 &&
        !wr_delivery_has_held(&c->delivery)) {
        wr_connection_close_unasked(c);
    }
}

/* All is sent: waits for the peer's close_notify. The pump may have kept the
 * end of the stream until now. */
static bool filter_linger(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);

    wr_assert(c->t.state == WR_LIFE_CLOSING);
    f->since_ns = weir_loop_get_time(c->t.loop);
    wr_connection_push(c);
    return f->engine.state == WR_TLS_ENGINE_SENT_CLOSE &&
           f->shutdown_timeout_ns > 0;
}

/* ---- the beginning ---- */

/* The session that the connection may resume, or NULL. */
static struct WOLFSSL_SESSION *
filter_find_session(const struct wr_secure_settings *settings)
{
    const bool is_verified = wr_tls_context_verifies(settings->context) &&
                             !settings->no_hostname_check;

    wr_assert(settings->context);
    return wr_tls_session_use(settings->session, settings->context,
                              is_verified ? settings->server_hostname : NULL);
}

/* Makes the engine, on the loop's stack; false: it failed. */
static bool filter_arm(struct wr_filter *f)
{
    const struct wr_secure_settings *settings = f->settings;

    if (f->c.t.error) {
        return false; /* nothing was read or sent */
    }
    wr_assert(settings && !wr_loop_is_closed(f->c.t.loop));
    const struct wr_tls_peer_options options = {
        .server_hostname =
            settings->server_hostname[0] ? settings->server_hostname : NULL,
        .no_hostname_check = settings->no_hostname_check,
        .session = filter_find_session(settings),
        .can_export = settings->can_export,
        .ignores_eof = settings->ignore_unexpected_eof,
    };
    const int err = wr_tls_engine_init(&f->engine, settings->context, &options,
                                       &f->shared->memory);
    if (err < 0) {
        wr_transport_set_error(&f->c.t, err, "TLS");
        return false;
    }
    f->has_engine = true;
    filter_free_settings(f);
    return true;
}

/* Calls the factory and connection_made; false: the connection ends. */
static bool filter_make_known(struct wr_filter *f)
{
    weir_transport *t = &f->c.t;

    t->is_busy = false; /* the program may set it now */
    const int err = wr_protocol_find(t, &f->opener.factory);
    if (err == 0 && !wr_life_is_over(t)) {
        wr_connection_open(&f->c);
        wr_transport_note_idle(t);
        return true;
    }
    t->binding.protocol = NULL; /* is not called */
    if (!wr_life_is_over(t)) {
        wr_transport_set_error(t, err, "factory");
    }
    return false;
}

/* The handshake is done. False: the connection ends. */
static bool filter_begin(struct wr_filter *f)
{
    const bool is_known = f->c.is_made; /* by start_tls */

    wr_assert(f->engine.state == WR_TLS_ENGINE_OPEN);
    f->handshake_took_ns =
        wr_sys_now() - f->handshake_began_ns + 1; /* never 0 */
    WR_TRACEPOINT(handshake, &f->c.t, f->handshake_took_ns);
    wr_clock_changed(f->c.clock);
    if (is_known) {
        wr_filter_seal_later(&f->c); /* of writes before */
    } else if (!filter_make_known(f)) {
        return false;
    }
    filter_tell(f, 0);
    return true;
}

/* ---- events ---- */

/* Opens what has arrived. The first call makes the engine. */
static void filter_pump(struct wr_filter *f)
{
    if (wr_life_is_over(&f->c.t) || (!f->has_engine && !filter_arm(f))) {
        return;
    }
    wr_filter_pump(f);
    if (WR_UNLIKELY(wr_filter_is_shaking(f)) && f->c.t.error == 0 &&
        f->engine.state == WR_TLS_ENGINE_OPEN && filter_begin(f)) {
        wr_filter_pump(f);
    }
    if (WR_UNLIKELY(f->is_cut)) {
        filter_close_if_cut(f);
    }
}

static void filter_deliver(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);

    wr_assert(!f->lent); /* no pump runs */
    if (wr_life_is_over(&c->t)) {
        filter_tell_failure(f);
    } else {
        filter_pump(f);
    }
}

static void filter_seal(struct wr_turn_end *seal)
{
    struct wr_filter *f = wr_container_of(seal, struct wr_filter, seal);

    wr_assert(f->c.is_made && !f->c.t.loop->current);
    wr_assert(!f->lent); /* no pump runs */
    wr_filter_seal(f);
    wr_connection_advance(&f->c);
}

static int filter_below_received(void *user, weir_transport *below,
                                 const struct weir_buf *buf)
{
    struct wr_filter *f = user;

    wr_assert(f->below == below && !f->below_lost);
    wr_filter_arrived(f, buf);
    filter_pump(f);
    wr_connection_advance(&f->c);
    return 0;
}

/* Half-close: the transport below stays writable. If a filter below is cut off,
 * bytes may be missing. */
static int filter_below_ended(void *user, weir_transport *below)
{
    struct wr_filter *f = user;

    wr_assert(f->below == below && !f->below_eof);
    f->below_eof = true;
    if (f->is_upper && wr_filter_of(below)->is_cut) {
        f->engine.ignores_eof = false;
    }
    filter_pump(f);
    wr_connection_advance(&f->c);
    return 1;
}

/* Bytes from before the error are still delivered. */
static void filter_below_broke(void *user, weir_transport *below, int err,
                               const struct weir_address *peer)
{
    struct wr_filter *f = user;
    (void)peer;

    wr_assert(f->below == below);
    if (f->c.t.error == 0) {
        wr_transport_set_error(&f->c.t, f->is_cut ? WEIR_ETLSTRUNCATED : err,
                               below->error_what);
        wr_connection_push(&f->c);
    }
}

/* Unsent bytes were dropped. Below does not end by itself without an error. */
static void filter_below_was_lost(void *user, weir_transport *below, int err)
{
    struct wr_filter *f = user;
    (void)err; /* the transport keeps it */

    wr_assert(f->below == below && !f->below_lost);
    wr_assert(f->c.t.error || wr_life_is_over(&f->c.t));
    f->below_lost = true;
    wr_outbox_passed(&f->c.outbox, wr_filter_sealed_bytes(f));
    filter_pump(f);
    wr_connection_advance(&f->c);
}

/* While this filter, or one above it, closes. */
static int filter_below_received_late(void *user, weir_transport *below,
                                      const struct weir_buf *buf)
{
    wr_assert(wr_filter_of(user)->below == below);
    wr_filter_time_dropped(user, buf->len);
    return filter_below_received(user, below, buf);
}

#define FILTER_PROTOCOL(received)                                              \
    {                                                                          \
        .size = sizeof(struct weir_protocol), .kind = WEIR_PROTOCOL_STREAM,    \
        .connection_lost = filter_below_was_lost, .data_received = (received), \
        .eof_received = filter_below_ended,                                    \
        .error_received = filter_below_broke,                                  \
    }
const struct weir_protocol wr_filter_protocol =
    FILTER_PROTOCOL(filter_below_received);
static const struct weir_protocol filter_protocol_late =
    FILTER_PROTOCOL(filter_below_received_late);

/* From now on no bytes are delivered; they are counted below the lowest TLS. */
static void filter_begin_close(struct wr_connection *c)
{
    struct wr_filter *lowest = wr_filter_of(&c->t);

    wr_assert(c->t.state == WR_LIFE_CLOSING);
    wr_intake_leave(&c->t);
    wr_filter_time_rest(lowest);
    while (lowest->is_upper) {
        lowest = wr_filter_of(lowest->below);
    }
    if (!lowest->below_lost) {
        lowest->below->binding.protocol = &filter_protocol_late;
        wr_protocol_bound(lowest->below);
    }
    wr_filter_seal_later(c);
}

/* ---- the table ---- */

static void filter_reset(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);

    wr_assert(!wr_life_is_over(&c->t));
    f->aborts = true;
    wr_list_remove(&f->wait_link); /* it takes no turn from other handshakes */
}

static void filter_doom(weir_transport *t)
{
    if (!wr_life_is_over(t)) {
        filter_reset(wr_connection_of(t));
        wr_life_doom(t);
    }
}

static void filter_abort(weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    if (t->state == WR_LIFE_ENDING && !f->below_lost) {
        wr_transport_set_end(t, WEIR_END_ABORTED);
        f->below->ops->abort(f->below); /* it may be waiting to send */
    }
    wr_connection_abort(t);
}

static void filter_close(weir_transport *t)
{
    if (t->state <= WR_LIFE_OPEN && wr_filter_is_shaking(wr_filter_of(t))) {
        filter_abort(t);
    } else {
        wr_connection_close(t);
    }
}

static void filter_abandon(weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    weir_transport_ref(t);
    wr_outbox_abandon(t);
    if (!f->below_lost) {
        f->below->ops->abandon(f->below);
    }
    weir_transport_unref(t);
}

static int filter_set_protocol(weir_transport *t,
                               const struct weir_protocol_binding *binding,
                               const struct weir_buf *initial, size_t count)
{
    wr_require(wr_life_is_closing(t) || !wr_filter_is_shaking(wr_filter_of(t)),
               -EBUSY);
    return wr_intake_set_protocol(t, binding, initial, count);
}

/* A filter below that is cut off may have lost bytes of this one. */
static void filter_ignore_unexpected_eof(weir_transport *t)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_assert(f->has_engine);
    if (!f->is_upper || !wr_filter_of(f->below)->is_cut) {
        f->engine.ignores_eof = true;
    }
}

static void filter_get_handover(const weir_transport *t,
                                struct wr_handover *ret)
{
    wr_assert(wr_filter_of(t)->below); /* it has begun */
    wr_connection_get_handover(t, ret);
    ret->is_new |= wr_filter_is_shaking(wr_filter_of(t));
}

static bool filter_holds_queue(const struct wr_connection *c)
{
    wr_assert(c->t.state > WR_LIFE_NEW);
    return false; /* records are copies */
}

static bool filter_is_in_flight(const struct wr_connection *c)
{
    return !wr_filter_of(&c->t)->below_lost;
}

static const struct wr_transport_ops filter_ops = {
    .name = "tls",
    .protocol_kinds = WR_PROTOCOL_STREAMS,
    .can_write_eof = true,
    .size = sizeof(struct wr_filter),

    .write = wr_outbox_write,
    .writelines = wr_outbox_writelines,
    .write_ref = wr_outbox_write_ref,
    .write_lease = wr_outbox_write_lease,
    .write_eof = wr_connection_write_eof,
    .sendfile = wr_outbox_sendfile,
    .cancel_sendfile = wr_outbox_cancel_sendfile,
    .pause_reading = wr_connection_pause_reading,
    .resume_reading = wr_connection_resume_reading,
    .is_reading = wr_connection_is_reading,
    .is_closing = wr_life_is_closing,
    .get_depth = wr_filter_get_depth,
    .get_unoffered = wr_filter_get_unoffered,
    .get_below = wr_filter_get_below,
    .get_handover = filter_get_handover,
    .has_unread = wr_connection_has_unread,
    .has_taken_all = wr_filter_has_taken_all,
    .get_unacknowledged = wr_filter_get_unacknowledged,
    .limits_changed = wr_outbox_limits_changed,
    .set_read_limit = wr_filter_set_read_limit,
    .fed = wr_connection_fed,
    .ignore_unexpected_eof = filter_ignore_unexpected_eof,
    .set_timeouts = wr_filter_set_timeouts,
    .set_protocol = filter_set_protocol,
    .close = filter_close,
    .abort = filter_abort,
    .doom = filter_doom,
    .get_extra_info = wr_filter_get_extra_info,
    .abandon = filter_abandon,
    .dump = wr_connection_dump,
    .check = wr_connection_check,
    .free = filter_free,

    .queued = wr_filter_queued,
    .deliver = filter_deliver,
    .receive = wr_filter_settle_read,
    .stop_receiving = filter_begin_close,
    .shut = wr_filter_seal_later,
    .linger = filter_linger,
    .reset = filter_reset,
    .stop = filter_stop,
    .drop = filter_drop,
    .holds_queue = filter_holds_queue,
    .is_sending = wr_filter_is_sending,
    .is_in_flight = filter_is_in_flight,
    .has_read_all = wr_filter_has_read_all,
    .has_arrived = wr_filter_has_arrived,
    .check_device = wr_filter_check_invariants,
    .check_progress = wr_filter_check_progress,
    .dump_device = wr_filter_dump,

    .part_bytes = WR_FILTER_PART_BYTES,
    .queue_file = wr_outbox_queue_file,
    .end_file = wr_outbox_end_file,
    .file_begins = wr_filter_file_begins,
    .file_ended = wr_filter_file_ended,

    .view_time = wr_filter_view_time,
    .time_expired = wr_filter_time_expired,
};

/* ---- making ---- */

struct wr_filter *wr_filter_make(weir_loop *loop,
                                 const struct weir_connection_options *options,
                                 const struct wr_secure_settings *settings,
                                 const struct wr_secure_opener *opener)
{
    static const struct weir_connection_options none;
    struct wr_filter_shared *shared = wr_filter_share(loop);
    struct wr_connection *c =
        shared
            ? wr_connection_make(loop, &filter_ops, options ? options : &none)
            : NULL;

    wr_assert(settings->context && opener->opened);
    if (!c) {
        return NULL;
    }
    struct wr_filter *f = wr_filter_of(&c->t);
    f->settings = wr_alloc(&loop->counting, sizeof(*f->settings));
    if (f->settings) {
        wr_filter_settings_copy(f->settings, settings);
    }
    if (!f->settings || wr_connection_make_clock(c) < 0) {
        wr_connection_discard(c);
        return NULL;
    }
    f->shared = shared;
    f->opener = *opener;
    f->handshake_timeout_ns = settings->handshake_timeout_ns;
    f->shutdown_timeout_ns = settings->shutdown_timeout_ns;
    wr_list_init(&f->wait_link);
    wr_list_init(&f->seal.link);
    f->seal.run = filter_seal;
    return f;
}

void wr_filter_begin(struct wr_filter *f, weir_transport *below)
{
    weir_transport *t = &f->c.t;

    wr_assert(below->loop == t->loop && !f->below && f->settings);
    f->below = weir_transport_ref(below);
    f->is_upper = below->ops == &filter_ops;
    if (f->is_upper) {
        wr_assert(!wr_filter_of(below)->upper);
        wr_filter_of(below)->upper = f;
    }
    below->hard_limit_bytes = UINT64_MAX; /* the filter's limit holds */
    f->handshake_began_ns = wr_sys_now();
    f->since_ns = weir_loop_get_time(t->loop);
    wr_connection_begin_on(&f->c, below);
}
