/*
 * TLS filters: the next step, and the invariants.
 *
 * The decision about the next step reads only the struct and changes nothing.
 * The states are those of life.h.
 */
#include "filter_impl.h"

/* True when the engine will yield no more plaintext. */
static bool filter_state_is_ended(const struct wr_filter *f)
{
    return f->engine.state == WR_TLS_ENGINE_CLOSED ||
           f->engine.state == WR_TLS_ENGINE_FAILED;
}

/* Bytes from before below's error or loss are still opened: an alert says more
 * than the reset that followed it. */
static enum wr_filter_next
filter_state_next_of_handshaking(const struct wr_filter *f)
{
    if (!wr_filter_may_open(f) || (f->t.error && !f->has_engine)) {
        return WR_FILTER_END; /* the engine has neither read nor sent anything
                               */
    }
    if (f->engine.state == WR_TLS_ENGINE_OPEN) {
        return f->t.error ? WR_FILTER_END : WR_FILTER_BEGIN;
    }
    return f->below_lost && !f->input_head ? WR_FILTER_END : WR_FILTER_PUMP;
}

/* True when bytes from before the error or the loss are left: unopened ones, or
 * the rest of a record that the protocol got in part. */
static bool filter_state_has_unread(const struct wr_filter *f)
{
    if (wr_delivery_has_held(&f->delivery) || f->eof_seen ||
        !wr_filter_may_open(f)) {
        return wr_delivery_has_held(&f->delivery);
    }
    return f->input_head || wr_tls_engine_get_plaintext_left(&f->engine) > 0;
}

/* True when the peer is cut off and its last bytes are delivered. */
static bool filter_state_may_close(const struct wr_filter *f)
{
    wr_assert(f->t.state == WR_LIFE_OPEN && f->is_cut);
    return !f->upper && f->t.error == 0 && !f->below_lost &&
           !wr_delivery_has_held(&f->delivery);
}

/* True if the connection broke and its queue can be dropped. Unread bytes may
 * keep a broken connection, and the task that reads them may wait for a
 * drain. */
static bool filter_state_may_drop_queue(const struct wr_filter *f)
{
    return f->t.error && !f->outbox.sender &&
           (!wr_sendq_is_empty(&f->outbox.queue) ||
            wr_intake_awaits_drop(&f->t));
}

static enum wr_filter_next filter_state_next_of_open(const struct wr_filter *f)
{
    if (WR_UNLIKELY(f->is_cut) && filter_state_may_close(f)) {
        return WR_FILTER_CLOSE;
    }
    if (WR_LIKELY(f->t.error == 0 && !f->below_lost)) {
        return WR_FILTER_PUMP;
    }
    if (filter_state_may_drop_queue(f)) {
        return WR_FILTER_DROP;
    }
    if (!f->below_lost && wr_filter_may_open(f)) {
        return WR_FILTER_PUMP; /* bytes may have come before below's error */
    }
    if (!filter_state_has_unread(f)) {
        return WR_FILTER_END;
    }
    if (wr_filter_looks_ahead(f)) {
        return WR_FILTER_PUMP;
    }
    return wr_delivery_is_paused(&f->delivery) || wr_intake_waits(&f->t)
               ? WR_FILTER_WAIT
               : WR_FILTER_PUMP;
}

static enum wr_filter_next
filter_state_next_of_closing(const struct wr_filter *f)
{
    if (f->t.error || f->below_lost) {
        return WR_FILTER_END;
    }
    switch (f->engine.state) {
    case WR_TLS_ENGINE_CLOSED:
    case WR_TLS_ENGINE_FAILED:
        return WR_FILTER_END;
    case WR_TLS_ENGINE_SENT_CLOSE:
        if (f->shutdown_timeout_ns == 0) {
            return WR_FILTER_END;
        }
        return wr_filter_sealed_bytes(f) == 0 ? WR_FILTER_LINGER
                                              : WR_FILTER_PUMP;
    case WR_TLS_ENGINE_HANDSHAKE:
    case WR_TLS_ENGINE_OPEN:
    case WR_TLS_ENGINE_RECEIVED_CLOSE:
        break;
    }
    return WR_FILTER_PUMP;
}

enum wr_filter_next wr_filter_next_step(const struct wr_filter *f)
{
    if (f->lent) {
        return WR_FILTER_PUMP; /* lent bytes came before any error */
    }
    switch (f->t.state) {
    case WR_LIFE_HANDSHAKING:
        return filter_state_next_of_handshaking(f);
    case WR_LIFE_OPEN:
        return filter_state_next_of_open(f);
    case WR_LIFE_CLOSING:
        return filter_state_next_of_closing(f);
    case WR_LIFE_LINGERING:
        return f->t.error || f->below_lost || filter_state_is_ended(f)
                   ? WR_FILTER_END
                   : WR_FILTER_PUMP;
    case WR_LIFE_DOOMED:
        return WR_FILTER_END;
    case WR_LIFE_ENDING:
        return f->below_lost && !f->outbox.sender ? WR_FILTER_LOSE
                                                  : WR_FILTER_WAIT;
    case WR_LIFE_NEW:
    case WR_LIFE_MOVING: /* TLS stays */
    case WR_LIFE_LOST:
    case WR_LIFE_STATES:
        break;
    }
    return WR_FILTER_WAIT;
}

void wr_filter_doom(weir_transport *t)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_assert(f->t.state != WR_LIFE_NEW && f->t.state != WR_LIFE_LOST);
    if (!wr_life_is_over(t)) {
        f->is_hard = true;
        wr_list_remove(
            &f->wait_link); /* it takes no turn from other handshakes */
        wr_life_doom(t);
    }
}

/* ---- what must hold ---- */

static void filter_state_check_life(const struct wr_filter *f)
{
    wr_assert((f->t.state == WR_LIFE_NEW) == !f->below);
    wr_assert(!f->made || f->t.state != WR_LIFE_NEW);
    wr_assert(f->t.state != WR_LIFE_OPEN || f->made);
    wr_assert(!wr_filter_discards(f) || f->made);
    wr_assert(f->t.state != WR_LIFE_LOST || f->below_lost);
    wr_assert(f->t.state != WR_LIFE_LOST || !f->opener.opened);
    wr_assert(f->opener.opened || f->t.state != WR_LIFE_HANDSHAKING);
    wr_debug_assert(!wr_timer_is_armed(&f->timer) || f->deadline_err < 0);
}

static void filter_state_check_received(const struct wr_filter *f)
{
    wr_assert(!f->input_head == !f->input_tail);
    wr_assert(!f->input_tail || !f->input_tail->next);
    wr_delivery_check_invariants(&f->delivery);
    wr_assert(wr_delivery_is_shut(&f->delivery) == (f->t.state > WR_LIFE_OPEN));
    wr_assert(!f->head_is_fed || f->input_head);
    /* The engine's input is the first lease's, or is lent. */
    wr_assert(!f->has_engine || f->lent || f->head_is_fed ||
              wr_tls_engine_get_input_left(&f->engine) == 0);
    wr_assert(!f->lent || (f->has_engine && !f->input_head));
    wr_assert(f->t.demand.account.lease_count > 0 ||
              f->t.demand.account.held_bytes == 0);
    wr_debug_assert(!wr_list_is_linked(&f->wait_link) ||
                    f->t.state == WR_LIFE_HANDSHAKING);
}

void wr_filter_check_invariants(const struct wr_filter *f)
{
    wr_transport_check_invariants(&f->t);
    filter_state_check_life(f);
    filter_state_check_received(f);
    wr_outbox_check_invariants(&f->outbox);
    wr_assert(wr_outbox_is_over(&f->outbox) || !wr_life_is_over(&f->t));
    wr_debug_assert((f->outbox.state == WR_OUTBOX_NEW) ==
                    (!f->made && !wr_life_is_over(&f->t)));
    wr_debug_assert(f->unsent_bytes <= f->outbox.passed_bytes);
    wr_assert(!f->outbox.sender || f->t.state < WR_LIFE_LOST);
    if (f->has_engine) {
        wr_debug_check(wr_tls_engine_check_invariants(&f->engine));
    }
}

/* True when bytes that the protocol wants are there, but no event will deliver
 * them. */
static bool filter_state_is_forgotten(const struct wr_filter *f)
{
    return wr_filter_is_reading(f) && !wr_intake_waits(&f->t) &&
           (wr_delivery_has_held(&f->delivery) || f->input_head);
}

void wr_filter_check_progress(const struct wr_filter *f)
{
    wr_filter_check_invariants(f);
    wr_assert(!f->lent && !f->outbox.in_resume);
    wr_assert(f->t.loop->budget.queued_bytes >= f->outbox.queue.bytes);
    if (!f->below_lost) {
        f->below->ops->check(f->below);
    }
    if (wr_ready_is_pending(&f->t.step)) {
        return; /* the step will do all of it */
    }
    wr_assert(!filter_state_is_forgotten(f));
    wr_assert(f->t.state != WR_LIFE_ENDING || !f->below_lost ||
              f->outbox.sender);
    wr_assert(wr_tls_engine_get_output_bytes(&f->engine) == 0 ||
              f->t.state >= WR_LIFE_ENDING);
    if (!wr_life_is_over(&f->t) && f->t.error == 0 && !f->below_lost) {
        wr_assert(wr_sendq_is_empty(&f->outbox.queue) ||
                  wr_filter_below_depth(f) > 0 ||
                  f->t.state == WR_LIFE_HANDSHAKING);
        wr_assert(f->unsent_bytes == 0);
        if (f->outbox.sender) {
            wr_sender_check_progress(f->outbox.sender);
        }
    }
}
