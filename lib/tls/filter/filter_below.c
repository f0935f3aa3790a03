/*
 * TLS filters: entries of the table that ask the transport below.
 *
 * The addresses, the descriptor and the time-outs idle, read and write stall
 * belong to the transport below. Marks and limits of writing belong to the
 * filter. The read limit applies to both.
 */
#include "filter_impl.h"

const weir_transport *wr_filter_get_below(const weir_transport *t)
{
    return wr_filter_of(t)->below;
}

struct weir_depth wr_filter_get_depth(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);
    struct weir_depth depth = {.bytes = wr_outbox_depth(&f->c.outbox)};

    wr_assert(f->below);
    if (!f->below_lost && f->below->ops->get_depth) {
        depth.operations = f->below->ops->get_depth(f->below).operations;
    }
    return depth;
}

const struct wr_sendq *wr_filter_get_unoffered(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    return f->c.outbox.passed_bytes == 0 ? &f->c.outbox.queue : NULL;
}

/* The peer takes bytes from the transport below, so that transport knows. */
bool wr_filter_has_taken_all(const weir_transport *t)
{
    const struct wr_filter *f = wr_filter_of(t);

    wr_assert(f->below);
    return !f->below_lost && f->below->ops->has_taken_all(f->below);
}

uint64_t wr_filter_get_unacknowledged(const weir_transport *t)
{
    const weir_transport *below = wr_filter_of(t)->below;

    wr_assert(below);
    return below->ops->get_unacknowledged
               ? below->ops->get_unacknowledged(below)
               : 0;
}

void wr_filter_set_read_limit(weir_transport *t, uint64_t bytes)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_connection_debug_check(&f->c);
    if (!wr_life_is_over(t) && !f->below_lost) {
        f->below->ops->set_read_limit(f->below, bytes);
    }
    wr_intake_set_limit(t, bytes);
}
