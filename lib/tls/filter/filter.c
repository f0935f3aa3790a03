/*
 * TLS filters: their life.
 *
 * Every callback of the transport below ends here, as do the filter's step and
 * the end of its turn. The other files note what happened, bytes that have come
 * among it; then wr_filter_next_step() decides what comes next, and
 * filter_advance() carries it out. A filter is lost when the transport below is
 * lost, and not before.
 *
 * Only the loop and the transport below make the filter advance. Callbacks of
 * the protocol run inside a pump; they may abort the filter or push its step,
 * so no pump runs inside another.
 */
#include "filter_impl.h"
#include "lib/tls/context/context.h"
#include "lib/tls/engine/session.h"

#include <string.h>

/* ---- the end ---- */

static void filter_free_settings(struct wr_filter *f)
{
    if (f->settings) {
        wr_filter_settings_drop(f->settings);
        wr_free(&f->t.loop->counting, f->settings, sizeof(*f->settings));
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
    wr_free(&f->t.loop->counting, f, sizeof(*f));
}

/* Tells the maker the result, once. */
static void filter_tell(struct wr_filter *f, int err)
{
    const struct wr_secure_opener opener = f->opener;

    if (opener.opened) {
        f->opener.opened = NULL;
        opener.opened(opener.arg, err, &f->t);
        wr_loop_end_if_forked(f->t.loop);
    }
}

/* The handshake was not completed: tells the maker why. */
static void filter_tell_failure(struct wr_filter *f)
{
    wr_assert(wr_life_is_over(&f->t));
    filter_tell(f, f->t.error ? f->t.error : -ECANCELED);
}

static void filter_lose(struct wr_filter *f)
{
    weir_loop *loop = f->t.loop;

    wr_assert(f->below_lost && !f->outbox.sender);
    wr_assert(!wr_list_is_linked(&f->seal.link)); /* it may be freed now */
    if (f->is_cut && !f->is_hard && f->t.error == 0) {
        wr_transport_set_error(&f->t, WEIR_ETLSTRUNCATED, "TLS receive");
    }
    wr_transport_set_end(&f->t, f->below->end);
    f->t.has_dropped |= f->below->has_dropped; /* of what was sealed */
    wr_filter_drop_queue(f);
    filter_tell_failure(f);
    wr_life_lose(&f->t);
    f->upper = NULL;
    if (f->made) {
        wr_protocol_lost(&f->t);
    }
    wr_timer_cancel(&loop->wheel, &f->timer);
    wr_life_leave(&f->t);
}

/* Sealed bytes, above all the alert of a failure, are still sent, except after
 * an abort. */
static void filter_end(struct wr_filter *f)
{
    weir_transport *below = f->below;

    wr_assert(below);
    if (!wr_life_is_over(&f->t)) {
        wr_life_set_state(&f->t, WR_LIFE_DOOMED);
    }
    wr_life_set_state(&f->t, WR_LIFE_ENDING);
    f->ending_ns = weir_loop_get_time(f->t.loop);
    f->t.has_dropped |= !wr_sendq_is_empty(&f->outbox.queue);
    wr_filter_drop_input(f);
    wr_intake_leave(&f->t);
    wr_list_remove(&f->wait_link);
    wr_list_remove(&f->seal.link);
    wr_filter_time_state(f);
    if (f->below_lost) {
        return;
    }
    if (f->is_hard) {
        below->ops->abort(below);
        return;
    }
    if (f->has_engine) {
        wr_filter_send_output(f);
    }
    below->ops->close(below);
}

/* From now on written bytes are still sent, but none are delivered. */
static void filter_begin_close(struct wr_filter *f)
{
    wr_assert(f->t.state == WR_LIFE_CLOSING);
    wr_intake_leave(&f->t);
    f->closing_ns = weir_loop_get_time(f->t.loop);
    wr_filter_time_state(f);
    wr_filter_seal_later(f);
}

/* The peer is cut off. */
static void filter_close_cut(struct wr_filter *f)
{
    wr_assert(f->is_cut);
    wr_life_set_state(&f->t, WR_LIFE_CLOSING);
    filter_begin_close(f);
}

/* All is sent: waits for the peer's close_notify. */
static void filter_linger(struct wr_filter *f)
{
    wr_life_set_state(&f->t, WR_LIFE_LINGERING);
    f->linger_ns = weir_loop_get_time(f->t.loop);
    wr_filter_time_state(f);
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

    wr_assert(settings && !wr_loop_is_closed(f->t.loop));
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
        wr_transport_set_error(&f->t, err, "TLS");
        return false;
    }
    f->has_engine = true;
    filter_free_settings(f);
    return true;
}

/* Opens received bytes; the first call makes the engine. */
static void filter_pump(struct wr_filter *f)
{
    if (f->has_engine || filter_arm(f)) {
        wr_filter_pump(f);
    }
}

/* The handshake is done. */
static void filter_begin(struct wr_filter *f)
{
    f->handshake_took_ns =
        wr_sys_now() - f->handshake_began_ns + 1; /* never 0 */
    f->t.is_busy = f->t.is_busy && f->starts; /* the program may set it now */
    const int err = f->starts ? 0 : wr_protocol_find(&f->t, &f->opener.factory);

    wr_assert(f->engine.state == WR_TLS_ENGINE_OPEN);
    if (wr_life_is_over(&f->t)) {
        return; /* the factory has ended it */
    }
    if (err < 0) {
        wr_transport_set_error(&f->t, err, "factory");
        return;
    }
    const bool is_new = !f->made;
    wr_life_set_state(&f->t, WR_LIFE_OPEN);
    wr_filter_time_state(f);
    f->made = true;
    if (is_new) {
        wr_protocol_made(&f->t);
        wr_transport_note_idle(&f->t);
    }
    if (f->starts) {
        wr_loop_before_turn_end(f->t.loop, &f->seal); /* of writes before */
    }
    filter_tell(f, 0);
}

/* ---- steps ---- */

/* Stops a file when nothing more can be sent, but after the received bytes were
 * opened, since they may hold the reason (an alert). */
static void filter_break_file(struct wr_filter *f)
{
    struct wr_sender *sender = f->outbox.sender;

    if (WR_UNLIKELY(sender != NULL) && !f->lent &&
        (f->t.error || f->below_lost || wr_life_is_over(&f->t))) {
        wr_sender_break(sender);
    }
}

/* Takes every step that can be taken now. A handler calls this last: the filter
 * may be freed. */
static void filter_advance(struct wr_filter *f)
{
    bool is_pumped = false; /* since the last step of another kind */

    for (;;) {
        filter_break_file(f);
        const enum wr_filter_next next = wr_filter_next_step(f);
        switch (next) {
        case WR_FILTER_PUMP:
            if (!is_pumped) {
                filter_pump(f);
                break;
            }
            __attribute__((fallthrough));
        case WR_FILTER_WAIT:
            wr_filter_settle_read(f);
            wr_filter_check_invariants(f);
            return;
        case WR_FILTER_BEGIN:
            filter_begin(f);
            break;
        case WR_FILTER_DROP:
            wr_filter_drop_broken_queue(f);
            break;
        case WR_FILTER_CLOSE:
            filter_close_cut(f);
            break;
        case WR_FILTER_LINGER:
            filter_linger(f);
            break;
        case WR_FILTER_END:
            filter_end(f);
            filter_tell_failure(f);
            break;
        case WR_FILTER_LOSE:
            filter_lose(f);
            return;
        }
        is_pumped = next == WR_FILTER_PUMP;
    }
}

static void filter_step(struct wr_ready *ready)
{
    struct wr_filter *f = wr_container_of(ready, struct wr_filter, t.step);

    wr_filter_check_invariants(f);
    wr_assert(f->t.state != WR_LIFE_NEW);
    wr_assert(f->t.state != WR_LIFE_LOST);
    wr_assert(!f->lent); /* no pump runs */
    filter_advance(f);
}

static void filter_seal(struct wr_turn_end *seal)
{
    struct wr_filter *f = wr_container_of(seal, struct wr_filter, seal);

    wr_assert(f->made && !f->t.loop->current);
    wr_assert(!f->lent); /* no pump runs */
    wr_filter_seal(f);
    filter_advance(f);
}

/* A queue of the budget lets the filter deliver. */
static void filter_fed(weir_transport *t, enum wr_demand_state queue)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_assert(queue == WR_DEMAND_STARVED);
    wr_assert(!f->lent); /* no pump runs */
    filter_advance(f);
}

/* ---- calls of the transport below ---- */

static int filter_below_received(void *user, weir_transport *below,
                                 const struct weir_buf *buf)
{
    struct wr_filter *f = user;

    wr_assert(f->below == below && !f->below_lost);
    wr_assert(buf->len > 0);
    wr_filter_arrived(f, buf);
    filter_advance(f);
    return 0;
}

/* Half-close: the transport below stays writable. */
static int filter_below_ended(void *user, weir_transport *below)
{
    struct wr_filter *f = user;

    wr_assert(f->below == below);
    wr_filter_arrived_eof(f);
    filter_advance(f);
    return 1;
}

static void filter_below_was_lost(void *user, weir_transport *below, int err)
{
    struct wr_filter *f = user;
    (void)err; /* the transport keeps it */

    wr_assert(f->below == below);
    wr_filter_check_invariants(f);
    wr_filter_lose_below(f);
    filter_advance(f);
}

/* Bytes from before the error are still delivered. */
static void filter_below_broke(void *user, weir_transport *below, int err,
                               const struct weir_address *peer)
{
    struct wr_filter *f = user;
    (void)peer;

    wr_assert(f->below == below);
    wr_assert(below->error == err);
    if (f->t.error == 0) {
        wr_transport_set_error(&f->t, f->is_cut ? WEIR_ETLSTRUNCATED : err,
                               below->error_what);
        wr_life_push_step(&f->t);
    }
}

const struct weir_protocol wr_filter_protocol = {
    .size = sizeof(wr_filter_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_lost = filter_below_was_lost,
    .data_received = filter_below_received,
    .eof_received = filter_below_ended,
    .error_received = filter_below_broke,
};

/* ---- the table ---- */

static void filter_abort(weir_transport *t)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_filter_check_invariants(f);
    if (f->t.state == WR_LIFE_NEW || f->t.state == WR_LIFE_LOST) {
        return;
    }
    wr_transport_set_end(t, WEIR_END_ABORTED);
    if (f->t.state == WR_LIFE_ENDING) {
        if (!f->below_lost) {
            f->below->ops->abort(f->below); /* it may be waiting to send */
        }
        return;
    }
    wr_filter_doom(
        t); /* pushes its step: if below is lost, no callback comes */
    filter_end(f);
}

static void filter_close(weir_transport *t)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_filter_check_invariants(f);
    if (f->t.state == WR_LIFE_HANDSHAKING) {
        filter_abort(t);
    }
    if (wr_life_close(t)) {
        filter_begin_close(f);
    }
}

static void filter_abandon(weir_transport *t)
{
    struct wr_filter *f = wr_filter_of(t);

    weir_transport_ref(t);
    wr_outbox_abandon(t);
    if (!f->below_lost) {
        f->below->ops->abandon(f->below);
    }
    weir_transport_unref(t);
}

static bool filter_is_closing(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    return !wr_filter_is_usable(f) || t->error != 0 || f->below_lost;
}

static void filter_check(const weir_transport *t)
{
    wr_filter_check_progress(wr_filter_of(t));
}

static const struct wr_transport_ops filter_ops = {
    .name = "tls",
    .protocol_kinds = WR_PROTOCOL_STREAMS,
    .fed = filter_fed,
    .delivery_offset = offsetof(struct wr_filter, delivery),
    .outbox = &wr_filter_outbox_ops,
    .write = wr_outbox_write,
    WR_OUTBOX_OPS,
    .write_eof = wr_filter_write_eof,
    .pause_reading = wr_filter_pause_reading,
    .resume_reading = wr_filter_resume_reading,
    .is_reading = wr_filter_tells_reading,
    .is_closing = filter_is_closing,
    .get_depth = wr_filter_get_depth,
    .get_unoffered = wr_filter_get_unoffered,
    .get_below = wr_filter_get_below,
    .get_handover = wr_filter_get_handover,
    .has_unread = wr_filter_has_unread,
    .has_taken_all = wr_filter_has_taken_all,
    .set_read_limit = wr_filter_set_read_limit,
    .set_timeouts = wr_filter_set_timeouts,
    .set_protocol = wr_filter_set_protocol,
    .close = filter_close,
    .abort = filter_abort,
    .doom = wr_filter_doom,
    .get_peername = wr_filter_get_peername,
    .get_sockname = wr_filter_get_sockname,
    .get_socket = wr_filter_get_socket,
    .get_extra_info = wr_filter_get_extra_info,
    .abandon = filter_abandon,
    .dump = wr_filter_dump,
    .check = filter_check,
    .free = filter_free,
};

/* ---- making ---- */

struct wr_filter *wr_filter_make(weir_loop *loop,
                                 const struct wr_secure_settings *settings,
                                 const struct wr_secure_opener *opener)
{
    struct wr_filter_shared *shared = wr_filter_share(loop);
    struct wr_filter *f = shared ? wr_alloc(&loop->counting, sizeof(*f)) : NULL;
    if (!f) {
        return NULL;
    }
    wr_assert(settings->context && opener->opened);
    memset(f, 0, sizeof(*f));
    f->settings = wr_alloc(&loop->counting, sizeof(*f->settings));
    if (!f->settings) {
        wr_free(&loop->counting, f, sizeof(*f));
        return NULL;
    }
    wr_filter_settings_copy(f->settings, settings);
    wr_transport_init(&f->t, loop, &filter_ops);
    f->shared = shared;
    f->opener = *opener;
    f->handshake_timeout_ns = settings->handshake_timeout_ns;
    f->shutdown_timeout_ns = settings->shutdown_timeout_ns;
    wr_ready_init(&f->t.step, filter_step);
    wr_list_init(&f->wait_link);
    wr_intake_init(&f->t);
    wr_filter_write_init(f, filter_seal);
    wr_filter_time_init(f);
    return f;
}

void wr_filter_discard(struct wr_filter *f)
{
    wr_assert(f->t.state == WR_LIFE_NEW);
    wr_assert(!f->below && !f->has_engine);
    filter_free(&f->t);
}

void wr_filter_begin(struct wr_filter *f, weir_transport *below)
{
    weir_loop *loop = f->t.loop;

    wr_assert(below->loop == loop && !f->below);
    wr_assert(f->t.state == WR_LIFE_NEW && f->settings);
    f->below = weir_transport_ref(below);
    f->is_upper = below->ops == &filter_ops;
    if (f->is_upper) {
        wr_assert(!wr_filter_of(below)->upper);
        wr_filter_of(below)->upper = f;
    }
    wr_transport_take_place(&f->t, below);
    below->hard_limit_bytes = UINT64_MAX; /* the filter's limit holds */
    f->handshake_began_ns = wr_sys_now();
    wr_life_begin(&f->t, WR_LIFE_HANDSHAKING);
    wr_filter_time_state(f);
    wr_life_push_step(&f->t);
}
