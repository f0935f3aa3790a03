/*
 * Connections: the clock and the time limits.
 *
 * The clock is made when the first limit is set, or when a device needs it,
 * because most connections have none. A device may have a clock of its own
 * kind, whose struct begins with the clock and whose view adds facts of the
 * device.
 */
#include "connection.h"

void wr_connection_view(const weir_transport *t, struct wr_clock_view *ret)
{
    const struct wr_connection *c = wr_connection_of(t);
    const struct wr_sender *file = c->outbox.sender;
    const bool is_empty = wr_sendq_is_empty(&c->outbox.queue);

    wr_assert(c->clock);
    ret->is_over = wr_life_is_over(t) || t->state == WR_LIFE_MOVING;
    ret->is_open = t->state == WR_LIFE_OPEN;
    ret->is_reading =
        t->ops->is_reading && wr_connection_is_reading(t) && !t->held_back;
    ret->is_sending = wr_outbox_has_unsent(&c->outbox);
    /* Also in state DONE: a read may have ended the file. */
    ret->awaits_file =
        is_empty && file &&
        (file->state == WR_SENDER_READING || file->state == WR_SENDER_DONE);
}

const struct wr_clock_ops wr_connection_clock_ops = {.view = wr_connection_view,
                                                     .expired = wr_life_expire};

int wr_connection_make_clock(struct wr_connection *c)
{
    weir_loop *loop = c->t.loop;

    wr_assert(!wr_life_is_over(&c->t));
    if (c->clock) {
        return 0;
    }
    if (loop->clocks.object_size == 0) {
        wr_slab_init(&loop->clocks, &loop->counting, WR_CLOCK_SIZE);
    }
    c->clock = wr_slab_take(&loop->clocks);
    wr_require(c->clock, -ENOMEM);
    wr_clock_init(c->clock, &c->t, c->t.ops->device->clock);
    if (c->t.state > WR_LIFE_OPEN) {
        c->clock->closing_ns = weir_loop_get_time(loop);
    }
    return 0;
}

void wr_connection_free_clock(struct wr_connection *c)
{
    wr_assert(c->t.state == WR_LIFE_NEW || c->t.state == WR_LIFE_ENDING);
    if (c->clock) {
        wr_assert(c->clock->t == &c->t);
        wr_clock_stop(c->clock);
        wr_slab_give(&c->t.loop->clocks, c->clock);
        c->clock = NULL;
    }
}

int wr_connection_set_limits(struct wr_connection *c,
                             const struct weir_timeouts *timeouts)
{
    struct weir_timeouts limits = *timeouts;
    const int err = wr_connection_make_clock(c);

    wr_require(err == 0, err);
    if (!c->t.ops->device->linger) {
        limits.linger_ns = 0; /* a close waits until everything is sent */
    }
    wr_clock_set_limits(c->clock, &limits);
    return 0;
}

int wr_connection_set_timeouts(weir_transport *t,
                               const struct weir_timeouts *timeouts)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_connection_check_invariants(c);
    return t->state == WR_LIFE_NEW || wr_life_is_over(t)
               ? 0
               : wr_connection_set_limits(c, timeouts);
}
