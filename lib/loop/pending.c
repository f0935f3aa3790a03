/*
 * Giving up an operation.
 *
 * The maker of the operation knows how. It calls done later, from the loop, so
 * that a program may give an operation up anywhere.
 */
#include "pending.h"

#include "loop.h"

void weir_pending_cancel(weir_pending *pending)
{
    wr_assert(pending->give_up != NULL);
    if (wr_loop_admits(pending->loop)) {
        pending->give_up(pending);
    }
}
