/*
 * The handle of an operation that the program may cancel.
 *
 * An operation embeds the handle and passes its address to the program, which
 * may use the address until the done callback has returned.
 */
#ifndef WEIR_LIB_LOOP_PENDING_H
#define WEIR_LIB_LOOP_PENDING_H

#include "weir/pending.h"

struct weir_pending {
    weir_loop *loop;
    /* Cancels the operation. The loop calls the done callback later. */
    void (*give_up)(struct weir_pending *pending);
    /* Returns attempt @index or -EINVAL. NULL if there are no attempts. */
    int (*get_attempt)(const struct weir_pending *pending, size_t index,
                       struct weir_attempt *ret);
};

#endif
