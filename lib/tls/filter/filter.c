/*
 * TLS filters: the device of a connection on top of another transport.
 *
 * This file has the callbacks of the transport below, the connection's step and
 * the work before the end of a loop iteration. Each stores its event; then the
 * pump opens and delivers the received bytes, and the connection advances. A
 * filter is lost only when the transport below is lost.
 *
 * Callbacks of the protocol run inside the pump. They may abort the filter or
 * push its step, but never run a pump.
 */
#include "filter_impl.h"
#include "lib/tls/context/context.h"

/* Time after a failure, in ns, in which the transport below may still send
 * sealed bytes, above all an alert. */
#define LAST_NS UINT64_C(10000000000)

/* ---- facts of the transport below ----
 *
 * The transport below has the addresses, the descriptor and the time-outs idle,
 * read and write stall. The filter has the marks and limits of writing. The
 * read limit applies to both. */

static const weir_transport *filter_get_below(const weir_transport *t)
{
    return wr_filter_of(t)->below;
}

static uint64_t filter_get_depth(const weir_transport *t)
{
    return wr_outbox_depth(&wr_filter_of(t)->c.outbox);
}

static const struct wr_sendq *filter_get_unoffered(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    return f->c.outbox.passed_bytes == 0 ? &f->c.outbox.queue : NULL;
}

static bool filter_has_taken_all(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    wr_assert(f->below);
    return !f->below_lost && f->below->ops->has_taken_all(f->below);
}

static uint64_t filter_get_unacknowledged(const weir_transport *t)
{
    const weir_transport *below = wr_filter_of(t)->below;

    wr_assert(below);
    return below->ops->get_unacknowledged
               ? below->ops->get_unacknowledged(below)
               : 0;
}

static void filter_set_read_limit(weir_transport *t, uint64_t bytes)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_connection_debug_check(&f->c);
    if (!wr_life_is_over(t) && !f->below_lost) {
        f->below->ops->set_read_limit(f->below, bytes);
    }
    wr_intake_set_limit(t, bytes);
}

/* ---- time limits, and the limit of bytes that a close reads ----
 *
 * The connection's clock has the limit of a close. The filter adds the limits
 * of the handshake and of the wait for the peer's close_notify. A last limit
 * ensures that a peer that does not read an alert cannot keep a broken
 * connection open. A peer that has received all bytes, but sends data instead
 * of its close_notify, gets only WR_END_REST_NS and WR_END_REST_BYTES more. */

static void filter_consider_peer(const struct wr_filter *f,
                                 struct wr_deadline *first)
{
    wr_assert(f->c.t.state == WR_LIFE_LINGERING);
    wr_deadline_consider(first, f->since_ns, f->shutdown_timeout_ns,
                         WEIR_ETLSTIMEOUT, "close");
    if (wr_clock_get_limits(f->c.clock)->close_ns == 0) {
        wr_deadline_consider(first, f->since_ns, WR_END_WHOLE_NS,
                             WEIR_ETLSTIMEOUT, "close");
    }
    if (f->rest_ns > 0) {
        wr_deadline_consider(first, f->rest_ns, WR_END_REST_NS,
                             WEIR_ETLSTIMEOUT, "close");
    }
}

/* If two limits of a close end at the same time, reports close_ns. */
static void filter_view_time(const weir_transport *t, struct wr_clock_view *ret)
{
    const struct wr_filter *f = wr_filter_of(t);
    const struct wr_clock *clock = f->c.clock;

    wr_assert(clock && t->state != WR_LIFE_LOST);
    ret->is_over = f->aborts || f->below_lost;
    if (ret->is_over) {
        return;
    }
    if (clock->closing_ns != 0) {
        wr_deadline_consider(&ret->own, clock->closing_ns,
                             wr_clock_get_limits(clock)->close_ns,
                             WEIR_ECLOSETIMEOUT, "close");
    }
    if (t->state == WR_LIFE_LINGERING) {
        filter_consider_peer(f, &ret->own);
    } else if (t->state == WR_LIFE_ENDING && t->error) {
        wr_deadline_consider(&ret->own, f->since_ns, LAST_NS, t->error,
                             "close");
    } else if (t->state <= WR_LIFE_OPEN && wr_filter_is_shaking(f)) {
        wr_deadline_consider(&ret->own, f->since_ns, f->handshake_timeout_ns,
                             WEIR_ETLSTIMEOUT, "TLS handshake");
    }
}

/* Returns how much more time the handshake gets, or 0 if it has expired. It
 * gets more time if the loop was late, so that the filter got the peer's bytes
 * too late or has not read them yet. A handshake that has had twice its time
 * gets no more. */
static uint64_t filter_owes(const struct wr_filter *f, uint64_t when_ns)
{
    const uint64_t limit_ns = f->handshake_timeout_ns;
    const uint64_t late_ns = f->c.t.loop->now_ns - when_ns;
    const weir_transport *below = f->below;

    wr_assert(wr_filter_is_shaking(f));
    if (late_ns < WR_DEADLINE_LATE_NS ||
        when_ns >
            wr_add_sat(f->handshake_began_ns, wr_add_sat(limit_ns, limit_ns))) {
        return 0;
    }
    return f->heard_ns > when_ns || f->input_head ||
                   (below->ops->has_unread && below->ops->has_unread(below))
               ? wr_min_u64(late_ns, limit_ns)
               : 0;
}

static void filter_time_expired(weir_transport *t,
                                const struct wr_deadline *over)
{
    struct wr_filter *f = wr_filter_of(t);
    const uint64_t owed_ns =
        t->state <= WR_LIFE_OPEN ? filter_owes(f, over->when_ns) : 0;

    wr_assert(!f->below_lost);
    if (owed_ns > 0) {
        f->since_ns = t->loop->now_ns + owed_ns - f->handshake_timeout_ns;
        wr_clock_changed(f->c.clock);
        return;
    }
    wr_transport_set_error(t, over->err, over->where);
    if (t->state == WR_LIFE_ENDING) {
        f->below->ops->abort(f->below);
    } else {
        t->ops->doom(t);
    }
}

/* Returns true if the peer has received all that this filter has sent. The
 * first time, restarts the count of dropped bytes. */
static bool filter_peer_has_all(struct wr_filter *f)
{
    wr_assert(wr_filter_discards(f));
    if (f->rest_ns > 0) {
        return true;
    }
    if (f->c.t.state != WR_LIFE_LINGERING ||
        filter_get_unacknowledged(&f->c.t) > 0) {
        return false;
    }
    f->rest_ns = f->c.t.loop->now_ns;
    wr_outbox_forget_dropped(&f->c.outbox);
    wr_clock_changed(f->c.clock);
    return true;
}

/* Called when the lowest filter has received bytes. Each closing filter, from
 * @f up, drops them, and ends at its limit. */
static void filter_note_dropped(struct wr_filter *f, size_t bytes)
{
    wr_assert(bytes > 0);
    wr_assert(!f->is_upper);
    for (; f; f = f->upper) {
        if (!wr_filter_discards(f)) {
            continue;
        }
        const bool has_all = filter_peer_has_all(f);
        const uint32_t dropped = wr_outbox_note_dropped(&f->c.outbox, bytes);
        if (has_all && dropped >= WR_END_REST_BYTES && f->c.t.error == 0) {
            wr_transport_set_error(&f->c.t, WEIR_ETLSTIMEOUT, "close");
            f->c.t.ops->doom(&f->c.t);
        }
    }
}

/* The idle and read limits of the transport below do not apply to a close. */
static void filter_rest(struct wr_filter *f)
{
    struct weir_timeouts limits = *wr_clock_get_limits(f->c.clock);

    wr_assert(wr_filter_discards(f));
    if (!f->below_lost && (limits.idle_ns || limits.read_ns)) {
        limits.size = sizeof(limits);
        limits.idle_ns = 0;
        limits.read_ns = 0;
        if (f->below->ops->set_timeouts(f->below, &limits) < 0) {
            /* Without memory to copy the remaining limits, remove all limits,
             * which needs no memory. The filter has its own limits. */
            const struct weir_timeouts none = {.size = sizeof(none)};
            wr_ignore(f->below->ops->set_timeouts(f->below, &none) < 0);
        }
    }
}

static int filter_set_timeouts(weir_transport *t,
                               const struct weir_timeouts *timeouts)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_connection_debug_check(&f->c);
    if (f->below_lost) {
        return 0;
    }
    int err = f->below->ops->set_timeouts(f->below, timeouts);
    wr_require(err == 0, err);
    /* Allocates nothing, because ->below has just stored equal limits, and
     * equal limits of a loop share one copy. */
    err = wr_clock_set_limits(f->c.clock, timeouts);
    wr_require(err == 0, err);
    if (wr_filter_discards(f)) {
        filter_rest(f);
    }
    return 0;
}

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

static void filter_tell(struct wr_filter *f, int err)
{
    const struct wr_secure_opener opener = f->opener;

    if (opener.opened) {
        f->opener.opened = NULL;
        opener.opened(opener.arg, err, &f->c.t);
        wr_loop_end_if_forked(f->c.t.loop);
    }
}

static void filter_tell_failure(struct wr_filter *f)
{
    wr_assert(wr_life_is_over(&f->c.t));
    filter_tell(f, f->c.t.error ? f->c.t.error : -ECANCELED);
}

/* Drops the input, and closes or aborts the transport below. A close still
 * sends sealed bytes, above all an alert. */
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
    wr_connection_push(c); /* its step reports the failure to the opener */
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

/* Protocol of a lost filter that the program never knew. */
static const struct weir_protocol filter_nobody = {
    .size = sizeof(filter_nobody), .kind = WEIR_PROTOCOL_STREAM};

/* Called in state ENDING after the transport below is lost, which has dropped
 * the sealed bytes that it had not sent. */
static void filter_drop(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);

    if (c->t.state != WR_LIFE_ENDING) {
        wr_assert(f->unsent_bytes == 0);
        return;
    }
    wr_assert(f->below_lost);
    if (f->is_cut && !f->aborts && c->t.error == 0) {
        wr_transport_set_error(&c->t, WEIR_ETLSTRUNCATED, "TLS receive");
    }
    wr_transport_set_end(&c->t, f->below->end);
    c->t.has_dropped |= f->below->has_dropped || f->unsent_bytes > 0;
    wr_outbox_passed(&c->outbox, f->unsent_bytes);
    f->unsent_bytes = 0;
    f->upper = NULL;
    if (!c->t.is_made) {
        c->t.binding.protocol = &filter_nobody;
    }
    filter_tell_failure(f);
}

/* Called when everything was sent. Returns true to wait for the peer's
 * close_notify. The pump may have postponed the end of the stream until now. */
static bool filter_linger(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);

    wr_assert(c->t.state == WR_LIFE_CLOSING);
    f->since_ns = weir_loop_get_time(c->t.loop);
    wr_connection_push(c);
    return f->engine.state == WR_TLS_ENGINE_SENT_CLOSE &&
           f->shutdown_timeout_ns > 0;
}

static const struct wr_tls_known *
filter_find_session(const struct wr_secure_settings *settings)
{
    const bool is_verified = wr_tls_context_verifies(settings->context) &&
                             !settings->no_hostname_check;

    wr_assert(settings->context);
    return wr_tls_session_use(settings->session, settings->context,
                              is_verified ? settings->server_hostname : NULL);
}

static bool filter_arm(struct wr_filter *f)
{
    const struct wr_secure_settings *settings = f->settings;

    if (f->c.t.error) {
        return false;
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
                                       f->shared->account);
    if (err < 0) {
        wr_transport_set_error(&f->c.t, err, "TLS");
        return false;
    }
    f->has_engine = true;
    filter_free_settings(f);
    return true;
}

static bool filter_make_known(struct wr_filter *f)
{
    weir_transport *t = &f->c.t;

    t->is_busy = false; /* from now on the program sets it */
    const int err = wr_protocol_find(t, &f->opener.factory);
    if (err == 0 && !wr_life_is_over(t)) {
        wr_connection_open(&f->c);
        wr_transport_note_idle(t);
        return true;
    }
    t->binding.protocol = NULL; /* must not be called */
    if (!wr_life_is_over(t)) {
        wr_transport_set_error(t, err, "factory");
    }
    return false;
}

static bool filter_begin(struct wr_filter *f)
{
    const bool is_known = f->c.t.is_made; /* by start_tls */

    wr_assert(f->engine.state == WR_TLS_ENGINE_OPEN);
    f->handshake_took_ns =
        wr_sys_now() - f->handshake_began_ns + 1; /* never 0 */
    WR_TRACEPOINT(handshake, &f->c.t, f->handshake_took_ns);
    wr_clock_changed(f->c.clock);
    if (is_known) {
        wr_filter_seal_later(&f->c);
    } else if (!filter_make_known(f)) {
        return false;
    }
    filter_tell(f, 0);
    return true;
}

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
    /* The peer is cut off: close once its last bytes are delivered. */
    if (WR_UNLIKELY(f->is_cut) && f->c.t.state == WR_LIFE_OPEN && !f->upper &&
        f->c.t.error == 0 && !wr_delivery_has_held(&f->c.delivery)) {
        wr_connection_close_unasked(&f->c);
    }
}

static void filter_deliver(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);

    wr_assert(!f->lent);
    if (wr_life_is_over(&c->t)) {
        filter_tell_failure(f);
    } else {
        filter_pump(f);
    }
}

static void filter_seal(struct wr_turn_end *seal)
{
    struct wr_filter *f = wr_container_of(seal, struct wr_filter, seal);

    wr_assert(f->c.t.is_made && !f->c.t.loop->current);
    wr_assert(!f->lent);
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

/* eof_received of the transport below, which stays writable. If the transport
 * below is a filter that was cut off, bytes may be missing, so a close_notify
 * is required here. */
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

/* error_received of the transport below. Bytes received before the error are
 * still delivered. WEIR_ETLSTRUNCATED (the stream ended without a close_notify)
 * or the engine's error replaces @err. */
static void filter_below_broke(void *user, weir_transport *below, int err,
                               const struct weir_address *peer)
{
    struct wr_filter *f = user;
    const int opened = f->has_engine ? f->engine.err : 0;
    (void)peer;

    wr_assert(f->below == below && opened <= 0);
    if (f->c.t.error == 0) {
        wr_transport_set_error(&f->c.t,
                               f->is_cut    ? WEIR_ETLSTRUNCATED
                               : opened < 0 ? opened
                                            : err,
                               opened < 0 ? "TLS receive" : below->error_what);
        wr_connection_push(&f->c);
    }
}

/* connection_lost of the transport below, which has dropped its unsent bytes. A
 * transport that the filter did not end is lost only with an error. */
static void filter_below_was_lost(void *user, weir_transport *below, int err)
{
    struct wr_filter *f = user;
    (void)err;

    wr_assert(f->below == below && !f->below_lost);
    wr_assert(f->c.t.error || wr_life_is_over(&f->c.t));
    f->below_lost = true;
    wr_outbox_passed(&f->c.outbox, wr_filter_sealed_bytes(f));
    filter_pump(f);
    wr_connection_advance(&f->c);
}

/* data_received of the transport below while this filter, or a filter above it,
 * closes. */
static int filter_below_received_late(void *user, weir_transport *below,
                                      const struct weir_buf *buf)
{
    wr_assert(wr_filter_of(user)->below == below);
    filter_note_dropped(user, buf->len);
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

/* From now on no bytes are delivered, and the lowest filter counts the bytes
 * that it receives. */
static void filter_begin_close(struct wr_connection *c)
{
    struct wr_filter *lowest = wr_filter_of(&c->t);

    wr_assert(c->t.state == WR_LIFE_CLOSING);
    wr_intake_leave(&c->t);
    filter_rest(lowest);
    while (lowest->is_upper) {
        lowest = wr_filter_of(lowest->below);
    }
    if (!lowest->below_lost) {
        lowest->below->binding.protocol = &filter_protocol_late;
        wr_protocol_bound(lowest->below);
    }
    wr_filter_seal_later(c);
}

/* Returns true until the written bytes and the close_notify are sealed. If the
 * filter will wait for the peer's close_notify, returns true until the
 * transport below has sent them. */
static bool filter_is_sending(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);

    wr_debug_assert(c->t.state == WR_LIFE_CLOSING);
    if (f->engine.state == WR_TLS_ENGINE_SENT_CLOSE) {
        return f->shutdown_timeout_ns > 0 && wr_filter_sealed_bytes(f) > 0;
    }
    return f->engine.state == WR_TLS_ENGINE_OPEN ||
           f->engine.state == WR_TLS_ENGINE_RECEIVED_CLOSE;
}

/* Returns true if a failed handshake may end. Bytes received before the error
 * of the transport below are opened first, because an alert is more precise
 * than the reset that follows it. */
static bool filter_has_shaken(const struct wr_filter *f)
{
    wr_assert(f->c.t.error);
    return !f->has_engine || f->engine.state != WR_TLS_ENGINE_HANDSHAKE ||
           (f->below_lost && !f->input_head);
}

/* Returns true if no received bytes are left to deliver. Ciphertext from before
 * the error may be left, or the end of a record whose start was delivered. */
static bool filter_has_read_all(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);

    if (!wr_filter_may_open(f)) {
        return true;
    }
    if (wr_filter_is_shaking(f)) {
        return filter_has_shaken(f);
    }
    return f->below_lost &&
           (c->t.eof_seen ||
            (!f->input_head &&
             wr_tls_engine_get_plaintext_left(&f->engine) == 0));
}

static bool filter_has_arrived(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);
    const weir_transport *below = f->below;

    wr_assert(below);
    if (c->t.eof_seen) {
        return false;
    }
    return f->input_head ||
           (f->has_engine &&
            wr_tls_engine_get_plaintext_left(&f->engine) > 0) ||
           (!f->below_lost && below->ops->has_unread &&
            below->ops->has_unread(below));
}

static void filter_check_life(const struct wr_filter *f)
{
    const enum wr_life_state state = f->c.t.state;

    wr_assert((state == WR_LIFE_NEW) == !f->below);
    wr_assert(f->c.t.is_made ||
              (state != WR_LIFE_OPEN && !wr_filter_discards(f)));
    wr_assert(f->c.t.is_made || wr_filter_is_shaking(f) || f->opener.opened ||
              wr_life_is_over(&f->c.t)); /* not made during the factory */
    wr_assert(!wr_filter_discards(f) || !wr_filter_is_shaking(f));
    wr_assert(state != WR_LIFE_LOST || (f->below_lost && !f->opener.opened));
    wr_assert(f->opener.opened || !wr_filter_is_shaking(f) ||
              wr_life_is_over(&f->c.t));
}

static void filter_check_invariants(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);

    filter_check_life(f);
    wr_assert(!f->input_head == !f->input_tail);
    wr_assert(!f->input_tail || !f->input_tail->next);
    wr_assert(!f->head_is_fed || f->input_head);
    /* The engine's input is in the first lease, or is lent. */
    wr_assert(!f->has_engine || f->lent || f->head_is_fed ||
              wr_tls_engine_get_input_left(&f->engine) == 0);
    wr_assert(!f->lent || (f->has_engine && !f->input_head));
    wr_debug_assert(!wr_list_is_linked(&f->wait_link) ||
                    wr_filter_is_shaking(f));
    wr_debug_assert(f->unsent_bytes <= c->outbox.passed_bytes);
    if (f->has_engine) {
        wr_debug_check(wr_tls_engine_check_invariants(&f->engine));
    }
}

/* Returns true if no event will deliver bytes that the protocol wants. */
static bool filter_is_forgotten(const struct wr_filter *f)
{
    return wr_connection_is_reading(&f->c.t) && !wr_filter_is_shaking(f) &&
           !wr_intake_waits(&f->c.t) &&
           (wr_delivery_has_held(&f->c.delivery) || f->input_head);
}

static void filter_check_progress(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);

    wr_assert(!f->lent && !c->outbox.in_resume);
    if (!f->below_lost) {
        f->below->ops->check(f->below);
    }
    wr_assert(!filter_is_forgotten(f));
    wr_assert(wr_tls_engine_get_output_bytes(&f->engine) == 0 ||
              c->t.state >= WR_LIFE_ENDING);
    if (!wr_life_is_over(&c->t) && c->t.error == 0) {
        wr_assert(wr_sendq_is_empty(&c->outbox.queue) ||
                  wr_filter_below_depth(f) > 0 || wr_filter_is_shaking(f));
        wr_assert(f->unsent_bytes == 0);
    }
}

static void filter_dump(const struct wr_connection *c, FILE *out)
{
    const struct wr_filter *f = wr_filter_of(&c->t);
    const char *version =
        f->has_engine ? wr_tls_engine_get_version(&f->engine) : NULL;

    wr_assert(f->below);
    fprintf(out, " version=%s input=%zu output=%zu", version ? version : "none",
            wr_tls_engine_get_input_left(&f->engine),
            wr_tls_engine_get_output_bytes(&f->engine));
}

static void filter_reset(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);

    wr_assert(!wr_life_is_over(&c->t));
    f->aborts = true;
    wr_list_remove(&f->wait_link); /* let other handshakes continue */
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
        f->below->ops->abort(f->below); /* a close could wait for a send */
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

/* If the filter below was cut off, bytes of this filter may be missing, so a
 * close_notify stays required. */
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
    wr_assert(wr_filter_of(t)->below);
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
    .get_depth = filter_get_depth,
    .get_unoffered = filter_get_unoffered,
    .get_below = filter_get_below,
    .get_handover = filter_get_handover,
    .has_unread = wr_connection_has_unread,
    .has_taken_all = filter_has_taken_all,
    .get_unacknowledged = filter_get_unacknowledged,
    .limits_changed = wr_outbox_limits_changed,
    .set_read_limit = filter_set_read_limit,
    .fed = wr_connection_fed,
    .ignore_unexpected_eof = filter_ignore_unexpected_eof,
    .set_timeouts = filter_set_timeouts,
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
    .is_sending = filter_is_sending,
    .is_in_flight = filter_is_in_flight,
    .has_read_all = filter_has_read_all,
    .has_arrived = filter_has_arrived,
    .check_device = filter_check_invariants,
    .check_progress = filter_check_progress,
    .dump_device = filter_dump,

    .part_bytes = WR_FILTER_PART_BYTES,
    .queue_file = wr_outbox_queue_file,
    .end_file = wr_outbox_end_file,
    .file_begins = wr_filter_file_begins,
    .file_ended = wr_filter_file_ended,

    .view_time = filter_view_time,
    .time_expired = filter_time_expired,
};

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
    below->hard_limit_bytes = WR_NO_LIMIT; /* only the filter's limit applies */
    f->handshake_began_ns = wr_sys_now();
    f->since_ns = weir_loop_get_time(t->loop);
    wr_connection_begin_on(&f->c, below);
}
