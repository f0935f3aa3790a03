/*
 * TLS filters: facts for the connection's decision, the invariants, and the
 * facts for a dump.
 *
 * The facts are read from what the other files have noted, and change nothing.
 */
#include "filter_impl.h"

/* The close_notify follows the written bytes. Before a wait for the peer's
 * close_notify, below sends all of this. */
bool wr_filter_is_sending(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);

    wr_debug_assert(c->t.state == WR_LIFE_CLOSING);
    if (f->engine.state == WR_TLS_ENGINE_SENT_CLOSE) {
        return f->shutdown_timeout_ns > 0 && wr_filter_sealed_bytes(f) > 0;
    }
    return f->engine.state == WR_TLS_ENGINE_OPEN ||
           f->engine.state == WR_TLS_ENGINE_RECEIVED_CLOSE;
}

/* True if a broken handshake ends. Bytes from before below's error are still
 * opened: an alert says more than the reset that followed it. */
static bool filter_state_has_shaken(const struct wr_filter *f)
{
    wr_assert(f->c.t.error);
    return !f->has_engine || f->engine.state != WR_TLS_ENGINE_HANDSHAKE ||
           (f->below_lost && !f->input_head);
}

/* Bytes from before the error may be left: unopened ones, or the rest of a
 * record that the protocol got in part. */
bool wr_filter_has_read_all(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);

    if (!wr_filter_may_open(f)) {
        return true;
    }
    if (wr_filter_is_shaking(f)) {
        return filter_state_has_shaken(f);
    }
    return f->below_lost &&
           (c->eof_seen || (!f->input_head &&
                            wr_tls_engine_get_plaintext_left(&f->engine) == 0));
}

bool wr_filter_has_arrived(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);
    const weir_transport *below = f->below;

    wr_assert(below);
    if (c->eof_seen) {
        return false;
    }
    return f->input_head ||
           (f->has_engine &&
            wr_tls_engine_get_plaintext_left(&f->engine) > 0) ||
           (!f->below_lost && below->ops->has_unread &&
            below->ops->has_unread(below));
}

/* ---- what must hold ---- */

static void filter_state_check_life(const struct wr_filter *f)
{
    const enum wr_life_state state = f->c.t.state;

    wr_assert((state == WR_LIFE_NEW) == !f->below);
    wr_assert(f->c.is_made ||
              (state != WR_LIFE_OPEN && !wr_filter_discards(f)));
    wr_assert(f->c.is_made || wr_filter_is_shaking(f) || f->opener.opened ||
              wr_life_is_over(&f->c.t)); /* in the factory it is not made */
    wr_assert(!wr_filter_discards(f) || !wr_filter_is_shaking(f));
    wr_assert(state != WR_LIFE_LOST || (f->below_lost && !f->opener.opened));
    wr_assert(f->opener.opened || !wr_filter_is_shaking(f) ||
              wr_life_is_over(&f->c.t));
}

static void filter_state_check_received(const struct wr_filter *f)
{
    wr_assert(!f->input_head == !f->input_tail);
    wr_assert(!f->input_tail || !f->input_tail->next);
    wr_assert(!f->head_is_fed || f->input_head);
    /* The engine's input is the first lease's, or is lent. */
    wr_assert(!f->has_engine || f->lent || f->head_is_fed ||
              wr_tls_engine_get_input_left(&f->engine) == 0);
    wr_assert(!f->lent || (f->has_engine && !f->input_head));
    wr_debug_assert(!wr_list_is_linked(&f->wait_link) ||
                    wr_filter_is_shaking(f));
}

void wr_filter_check_invariants(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);

    filter_state_check_life(f);
    filter_state_check_received(f);
    wr_debug_assert(f->unsent_bytes <= c->outbox.passed_bytes);
    if (f->has_engine) {
        wr_debug_check(wr_tls_engine_check_invariants(&f->engine));
    }
}

/* True when bytes that the protocol wants are there, but no event will deliver
 * them. */
static bool filter_state_is_forgotten(const struct wr_filter *f)
{
    return wr_connection_is_reading(&f->c.t) && !wr_filter_is_shaking(f) &&
           !wr_intake_waits(&f->c.t) &&
           (wr_delivery_has_held(&f->c.delivery) || f->input_head);
}

void wr_filter_check_progress(const struct wr_connection *c)
{
    const struct wr_filter *f = wr_filter_of(&c->t);

    wr_assert(!f->lent && !c->outbox.in_resume);
    if (!f->below_lost) {
        f->below->ops->check(f->below);
    }
    wr_assert(!filter_state_is_forgotten(f));
    wr_assert(wr_tls_engine_get_output_bytes(&f->engine) == 0 ||
              c->t.state >= WR_LIFE_ENDING);
    if (!wr_life_is_over(&c->t) && c->t.error == 0) {
        wr_assert(wr_sendq_is_empty(&c->outbox.queue) ||
                  wr_filter_below_depth(f) > 0 || wr_filter_is_shaking(f));
        wr_assert(f->unsent_bytes == 0);
    }
}

void wr_filter_dump(const struct wr_connection *c, FILE *out)
{
    const struct wr_filter *f = wr_filter_of(&c->t);
    const char *version =
        f->has_engine ? wr_tls_engine_get_version(&f->engine) : NULL;

    wr_assert(f->below);
    fprintf(out, " version=%s input=%zu output=%zu", version ? version : "none",
            wr_tls_engine_get_input_left(&f->engine),
            wr_tls_engine_get_output_bytes(&f->engine));
}
