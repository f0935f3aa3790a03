/*
 * The last states of all kinds of connections. wr_life_doom() runs no callback,
 * because weir_transport_abort() may call it. A connection leaves the loop
 * after its last callback, and after the end of its last operation.
 */
#include "life.h"

const char *wr_life_state_name(const weir_transport *t)
{
    static const char *const names[WR_LIFE_STATES] = {
        "new",       "handshaking", "moving", "open", "closing",
        "lingering", "doomed",      "ending", "lost"};
    return names[t->state];
}

bool wr_life_is_closing(const weir_transport *t)
{
    wr_assert(t->state < WR_LIFE_STATES);
    return t->state != WR_LIFE_OPEN || t->error != 0;
}

void wr_life_doom(weir_transport *t)
{
    wr_assert(t->state != WR_LIFE_NEW);
    if (!wr_life_is_over(t)) {
        wr_life_set_state(t, WR_LIFE_DOOMED);
        wr_life_push_step(t);
    }
}

void wr_life_expire(weir_transport *t, const struct wr_deadline *over)
{
    const char *where = over->err == WEIR_EREADTIMEOUT  ? "read"
                        : over->err == WEIR_EWRITESTALL ? "write"
                                                        : over->where;

    wr_assert(over->err < 0);
    wr_transport_set_error(t, over->err, where);
    wr_life_doom(t);
}

void wr_life_leave(weir_transport *t)
{
    weir_loop *loop = t->loop;

    wr_assert(t->state == WR_LIFE_LOST);
    wr_ready_cancel(&t->step);
    if (!t->is_below) { /* else the upper transport is the member */
        wr_loop_remove_member(loop, &t->member);
    }
    wr_assert(loop->budget.account_count > 0);
    loop->budget.account_count--;
    wr_loop_trim_later(loop);
    if (t->set) {
        t->set->ops->forget(t->set, t);
        t->set = NULL;
    }
    wr_transport_unref(t);
}
