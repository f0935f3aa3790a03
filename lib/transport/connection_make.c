/*
 * Connections: making one with its options, and the time limits.
 *
 * The clock is made when the first limit is set: most connections have none.
 */
#include "connection.h"

#include "lib/base/options.h"
#include "uring/guard.h"
#include "weir/unix.h"

#include <string.h>

/* ---- its clock ---- */

void wr_connection_view(const weir_transport *t, struct wr_clock_view *ret)
{
    const struct wr_connection *c = wr_connection_of(t);
    const struct wr_sender *file = c->outbox.sender;
    const bool is_empty = wr_sendq_is_empty(&c->outbox.queue);

    ret->is_over = wr_life_is_over(t);
    ret->is_open = t->state == WR_LIFE_OPEN;
    ret->is_reading =
        t->ops->is_reading && wr_connection_is_reading(t) && !t->held_back;
    ret->is_sending = !is_empty || file;
    /* Also in state DONE: a read may have ended the file. */
    ret->awaits_file =
        is_empty && file &&
        (file->state == WR_SENDER_READING || file->state == WR_SENDER_DONE);
}

const struct wr_clock_ops wr_connection_clock_ops = {.view = wr_connection_view,
                                                     .expired = wr_life_expire};

int wr_connection_make_clock(struct wr_connection *c)
{
    const struct wr_device *device = c->t.ops->device;
    weir_loop *loop = c->t.loop;

    wr_assert(!wr_life_is_over(&c->t));
    if (c->clock) {
        return 0;
    }
    wr_assert(device->clock_size >= sizeof(*c->clock));
    c->clock = wr_alloc(&loop->counting, device->clock_size);
    wr_require(c->clock, -ENOMEM);
    memset(c->clock, 0, device->clock_size);
    wr_clock_init(c->clock, &c->t, device->clock);
    if (c->t.state > WR_LIFE_OPEN) {
        c->clock->closing_ns = weir_loop_get_time(loop);
    }
    return 0;
}

void wr_connection_free_clock(struct wr_connection *c)
{
    wr_assert(c->t.state == WR_LIFE_NEW || c->t.state == WR_LIFE_ENDING);
    if (c->clock) {
        wr_clock_stop(c->clock);
        wr_free(&c->t.loop->counting, c->clock, c->t.ops->device->clock_size);
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

/* ---- options ---- */

static int connection_make_check(struct weir_connection_options *connection)
{
    int err = wr_options_read_inner(connection, &connection->timeouts,
                                    sizeof(connection->timeouts));

    wr_require(err >= 0, err);
    wr_require(connection->read_limit_bytes == 0 ||
                   connection->read_limit_bytes >= WR_CREDIT_MIN,
               -EINVAL);
    wr_require(connection->fd_limit <= WEIR_FDS_MAX, -EINVAL);
    return 0;
}

int wr_connection_options_read(const void *outer,
                               struct weir_connection_options *connection)
{
    int err = wr_options_read_inner(outer, connection, sizeof(*connection));

    return err < 0 ? err : connection_make_check(connection);
}

int wr_connection_options_take(struct weir_connection_options *known,
                               const struct weir_connection_options *options)
{
    int err = wr_options_read(known, sizeof(*known), options);

    return err < 0 ? err : connection_make_check(known);
}

/* ---- making ---- */

struct wr_connection *
wr_connection_make(weir_loop *loop, const struct wr_transport_ops *ops,
                   const struct weir_connection_options *options)
{
    struct wr_connection *c =
        wr_guard_alloc(&loop->counting, ops->device->size);

    wr_assert(ops->device->size >= sizeof(*c));
    if (!c) {
        return NULL;
    }
    memset(c, 0, ops->device->size);
    wr_connection_init(c, loop, ops);
    if (wr_connection_apply(c, options) < 0) {
        wr_connection_discard(c);
        return NULL;
    }
    return c;
}

void wr_connection_discard(struct wr_connection *c)
{
    wr_assert(c->t.state == WR_LIFE_NEW);
    wr_assert(c->t.demand.account.lease_count == 0);
    wr_connection_free_clock(c);
    c->t.ops->free(&c->t);
}
