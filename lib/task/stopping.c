/*
 * The announcement of a graceful stop, for which tasks wait in one list of the
 * loop.
 *
 * The announcement itself ends no task, closes nothing and does not end the
 * run. Until the woken tasks have run, servers close no idle connection
 * (wr_loop_tells_stop()).
 */
#include "waitable.h"

static void stopping_check_invariants(const weir_loop *loop)
{
    wr_assert(!loop->stop_is_announced ||
              wr_list_is_empty(&loop->stop_waiters));
    wr_assert(loop->pin_count > 0 || !wr_loop_is_closed(loop));
}

void wr_loop_announce_stop(weir_loop *loop)
{
    stopping_check_invariants(loop);
    loop->stop_is_announced = true;
    if (!wr_list_is_empty(&loop->stop_waiters)) {
        wr_waiters_wake_all(&loop->stop_waiters, 0);
        wr_ready_push(&loop->ready, &loop->stop_told);
    }
    stopping_check_invariants(loop);
}

void wr_loop_forget_stop(weir_loop *loop)
{
    stopping_check_invariants(loop);
    wr_assert(!wr_loop_is_running(loop));
    loop->stop_is_announced = false;
}

void weir_loop_announce_stop(weir_loop *loop)
{
    if (wr_loop_admits(loop)) {
        wr_loop_announce_stop(loop);
    }
}

bool weir_loop_is_stopping(const weir_loop *loop)
{
    return loop->stop_is_announced;
}

static bool stopping_attempt(struct wr_waitable *what)
{
    const weir_loop *loop = what->object;

    wr_assert(what->loop == loop);
    what->result = 0;
    return loop->stop_is_announced;
}

static void stopping_stand(struct wr_waitable *what)
{
    weir_loop *loop = what->object;

    wr_assert(!loop->stop_is_announced);
    wr_assert(what->waiter.task == loop->current);
    wr_list_push_back(&loop->stop_waiters, &what->waiter.link);
}

struct weir_waitable weir_waitable_stop(weir_loop *loop)
{
    static const struct wr_waitable_ops ops = {.kind = {.name = "stop"},
                                               .attempt = stopping_attempt,
                                               .stand = stopping_stand};
    const struct wr_waitable what = {
        .ops = loop ? &ops : NULL, .loop = loop, .object = loop};
    return wr_waitable_give(&what);
}
