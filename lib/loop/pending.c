/* Giving up an operation whose end the program waits for. */
#include "pending.h"

#include "loop.h"

void weir_pending_cancel(weir_pending *pending)
{
    wr_assert(pending->give_up != NULL);
    if (wr_loop_check(pending->loop) == 0) {
        pending->give_up(pending);
    }
}
