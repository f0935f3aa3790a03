/*
 * The handle of an operation that the program may give up.
 *
 * An operation embeds the handle and passes its address to the program, which
 * may use it until done returns.
 */
#ifndef WEIR_LIB_LOOP_PENDING_H
#define WEIR_LIB_LOOP_PENDING_H

#include "weir/pending.h"

struct weir_pending {
    weir_loop *loop;
    /* Gives up the operation. done is called later, from the loop. */
    void (*give_up)(struct weir_pending *pending);
    /* Gets attempt @index, or returns -EINVAL. NULL if there are no
     * attempts. */
    int (*get_attempt)(const struct weir_pending *pending, size_t index,
                       struct weir_attempt *ret);
};

#endif
