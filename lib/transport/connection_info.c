/*
 * Connections: queries.
 *
 * These entries of a transport's table read the connection's parts and change
 * nothing.
 */
#include "connection.h"

bool wr_connection_is_reading(const weir_transport *t)
{
    const struct wr_connection *c = wr_connection_of(t);

    return t->state == WR_LIFE_OPEN && wr_delivery_may_show(&c->delivery) &&
           !c->eof_seen && t->error == 0;
}

struct weir_depth wr_connection_get_depth(const weir_transport *t)
{
    const struct wr_connection *c = wr_connection_of(t);

    return (struct weir_depth){.bytes = wr_outbox_depth(&c->outbox)};
}

const struct wr_sendq *wr_connection_get_unoffered(const weir_transport *t)
{
    return &wr_connection_of(t)->outbox.queue;
}

void wr_connection_get_handover(const weir_transport *t,
                                struct wr_handover *ret)
{
    const struct wr_connection *c = wr_connection_of(t);

    wr_assert(t->state != WR_LIFE_NEW);
    *ret = (struct wr_handover){
        .is_paused = wr_delivery_is_paused(&c->delivery),
        .has_ended = c->eof_seen && !wr_delivery_has_end(&c->delivery),
        .is_new = !c->is_made,
    };
    if (c->clock) {
        ret->timeouts = c->clock->limits;
    }
}

bool wr_connection_has_unread(const weir_transport *t)
{
    const struct wr_connection *c = wr_connection_of(t);

    wr_assert(t->ops->is_reading);
    return t->state == WR_LIFE_OPEN && (wr_delivery_has_held(&c->delivery) ||
                                        t->ops->device->has_arrived(c));
}

void wr_connection_dump(const weir_transport *t, FILE *out)
{
    const struct wr_connection *c = wr_connection_of(t);
    const struct wr_sender *file = c->outbox.sender;
    const weir_transport *below =
        t->ops->get_below ? t->ops->get_below(t) : NULL;

    wr_assert(t->state != WR_LIFE_NEW);
    fprintf(out, "%s state=%s", t->ops->name, wr_life_state_name(t));
    if (t->ops->device->dump) {
        t->ops->device->dump(c, out);
    }
    fprintf(out,
            " wait=%s%s%s held=%llu leases=%u queued=%llu file=%s left=%llu"
            "%s%s error=%s",
            t->demand.account.notify_released ? "held-back"
                                              : wr_intake_queue_name(t),
            wr_delivery_is_paused(&c->delivery) ? " paused" : "",
            c->eof_seen ? " eof" : "",
            (unsigned long long)t->demand.account.held_bytes,
            t->demand.account.lease_count,
            (unsigned long long)c->outbox.queue.bytes,
            wr_sender_state_name(file),
            (unsigned long long)(file ? file->file.left : 0),
            t->writing_paused ? " writing-paused" : "",
            wr_outbox_is_ending(&c->outbox) ? " ending" : "",
            t->error ? weir_err_name(t->error) : "none");
    if (below && below->state != WR_LIFE_LOST) {
        fputs(" over ", out);
        below->ops->dump(below, out);
    } else {
        fputc('\n', out);
    }
}
