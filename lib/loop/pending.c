/*
 * Public functions for pending operations.
 *
 * The operation's functions call done later, from the loop, so a program may
 * cancel an operation anywhere.
 */
#include "pending.h"

#include "lib/base/options.h"
#include "loop.h"

void weir_pending_cancel(weir_pending *pending)
{
    wr_assert(pending->give_up != NULL);
    if (wr_loop_admits(pending->loop)) {
        pending->give_up(pending);
    }
}

int weir_pending_get_attempt(const weir_pending *pending, size_t index,
                             struct weir_attempt *ret)
{
    struct weir_attempt known = {.size = sizeof(known)};

    wr_assert(pending->give_up != NULL);
    int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    wr_require(pending->get_attempt, -EINVAL);
    err = pending->get_attempt(pending, index, &known);
    wr_require(err >= 0, err);
    wr_answer_write(ret, &known, sizeof(known));
    return 0;
}
