/*
 * TLS filters: calls that are passed on to the transport below.
 *
 * The addresses, the descriptor and the time-outs idle, read and write stall
 * belong to the transport below. Marks and limits of writing belong to the
 * filter. The read limit applies to both.
 */
#include "filter_impl.h"

void wr_filter_get_peername(const weir_transport *t, struct weir_address *ret)
{
    wr_assert(wr_filter_of(t)->below);
    weir_transport_get_peername(wr_filter_of(t)->below, ret);
}

void wr_filter_get_sockname(const weir_transport *t, struct weir_address *ret)
{
    wr_assert(wr_filter_of(t)->below);
    weir_transport_get_sockname(wr_filter_of(t)->below, ret);
}

int wr_filter_get_socket(const weir_transport *t)
{
    wr_assert(wr_filter_of(t)->below);
    return weir_transport_get_socket(wr_filter_of(t)->below);
}

bool wr_filter_tells_reading(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    return wr_filter_is_reading(f) && !f->below_lost;
}

const weir_transport *wr_filter_get_below(const weir_transport *t)
{
    return wr_filter_of(t)->below;
}

struct weir_depth wr_filter_get_depth(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);
    struct weir_depth depth = {.bytes = wr_outbox_depth(&f->outbox)};

    wr_assert(f->below);
    if (!f->below_lost && f->below->ops->get_depth) {
        depth.operations = f->below->ops->get_depth(f->below).operations;
    }
    return depth;
}

const struct wr_sendq *wr_filter_get_unoffered(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    return f->outbox.passed_bytes == 0 ? &f->outbox.queue : NULL;
}

bool wr_filter_has_unread(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);
    const weir_transport *below = f->below;

    wr_assert(below);
    if (f->t.state != WR_LIFE_OPEN || f->eof_seen) {
        return false;
    }
    return wr_delivery_has_held(&f->delivery) || f->input_head ||
           wr_tls_engine_get_plaintext_left(&f->engine) > 0 ||
           (!f->below_lost && below->ops->has_unread &&
            below->ops->has_unread(below));
}

/* The peer takes bytes from the transport below, so that transport knows. */
bool wr_filter_has_taken_all(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    wr_assert(f->below);
    return !f->below_lost && f->below->ops->has_taken_all(f->below);
}

void wr_filter_get_handover(const weir_transport *t, struct wr_handover *ret)
{
    const struct wr_filter *f = wr_filter_of(t);

    wr_assert(f->below);
    *ret = (struct wr_handover){
        .timeouts = f->limits,
        .is_paused = wr_delivery_is_paused(&f->delivery),
        .has_ended = f->eof_seen,
    };
}

void wr_filter_set_read_limit(weir_transport *t, uint64_t bytes)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_filter_check_invariants(f);
    if (!wr_life_is_over(t) && !f->below_lost) {
        f->below->ops->set_read_limit(f->below, bytes);
    }
    wr_intake_set_limit(t, bytes);
}

void wr_filter_dump(const weir_transport *t, FILE *out)
{
    const struct wr_filter *f = wr_filter_of(t);

    wr_assert(f->below);
    fprintf(out,
            "%s state=%s%s%s%s input=%zu held=%llu leases=%u queued=%llu "
            "output=%zu file=%s%s%s version=%s error=%s over ",
            t->ops->name, wr_life_state_name(&f->t),
            wr_delivery_is_paused(&f->delivery) ? " paused" : "",
            wr_intake_waits(&f->t) ? " held-back" : "",
            f->eof_seen ? " eof" : "", wr_tls_engine_get_input_left(&f->engine),
            (unsigned long long)f->t.demand.account.held_bytes,
            f->t.demand.account.lease_count,
            (unsigned long long)f->outbox.queue.bytes,
            wr_tls_engine_get_output_bytes(&f->engine),
            wr_sender_state_name(f->outbox.sender),
            t->writing_paused ? " writing-paused" : "",
            f->outbox.state == WR_OUTBOX_ENDED ? " write-eof" : "",
            f->has_engine && wr_tls_engine_get_version(&f->engine)
                ? wr_tls_engine_get_version(&f->engine)
                : "none",
            t->error ? weir_err_name(t->error) : "none");
    if (f->below_lost) {
        fputs("nothing\n", out);
    } else {
        f->below->ops->dump(f->below, out);
    }
}
