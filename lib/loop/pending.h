/*
 * The handle of an operation that the program may give up.
 *
 * A maker contains one, and gives its address to the program, which uses it
 * until done returns.
 */
#ifndef WEIR_LIB_LOOP_PENDING_H
#define WEIR_LIB_LOOP_PENDING_H

#include "weir/pending.h"

struct weir_pending {
    weir_loop *loop;
    /* Gives the operation up: done follows, from the loop. */
    void (*give_up)(struct weir_pending *pending);
    /* Writes attempt @index: 0, or -EINVAL without one. NULL: it makes none. */
    int (*get_attempt)(const struct weir_pending *pending, size_t index,
                       struct weir_attempt *ret);
};

#endif
