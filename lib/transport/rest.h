/*
 * Receives that rest because there is no memory, in the kernel or for a buffer.
 *
 * Transports that take a buffer themselves, when bytes are there, wait for one
 * among the starved while the pool has none at all. Where the kernel has the
 * others, posted, the starved are fed in every turn, and such a transport would
 * find no buffer each time: it rests until a timer ends.
 */
#ifndef WEIR_LIB_TRANSPORT_REST_H
#define WEIR_LIB_TRANSPORT_REST_H

#include "lib/loop/loop.h"

#define WR_REST_NS 10000000u

static inline void wr_rest_begin(weir_loop *loop, struct wr_timer *rest)
{
    wr_timer_arm(&loop->wheel, rest, wr_add_sat(loop->now_ns, WR_REST_NS));
}

/* A receive found no buffer, and rests if that is better than to starve: true
 * when the timer was armed. */
WEIR_MUST_USE static inline bool wr_rest_for_buffer(weir_loop *loop,
                                                    struct wr_timer *rest)
{
    wr_assert(!wr_timer_is_armed(rest));
    loop->budget.starved_count++;
    if (!wr_pool_has_posted(&loop->pool)) {
        return false;
    }
    wr_rest_begin(loop, rest);
    wr_assert(wr_timer_is_armed(rest));
    return true;
}

#endif
