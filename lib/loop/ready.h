/*
 * Items of the ready queue.
 *
 * An object that defers work to the loop embeds a struct wr_ready and pushes it
 * onto the loop's ready queue. Each item runs once, after items that were
 * pushed earlier; if the items have much work, they run in several iterations.
 */
#ifndef WEIR_LIB_LOOP_READY_H
#define WEIR_LIB_LOOP_READY_H

#include "uring/list.h"

struct wr_ready;

typedef void wr_ready_fn(struct wr_ready *ready);

/* Prefetches the memory that the first WR_READY_FETCHED items of @queue will
 * use, and the start of the items after them. */
typedef void wr_ready_fetch_fn(const struct wr_list *queue);

#define WR_READY_FETCHED 8u

struct wr_ready {
    struct wr_list link;
    wr_ready_fn *run;
};

static inline void wr_ready_init(struct wr_ready *ready, wr_ready_fn *run)
{
    wr_list_init(&ready->link);
    ready->run = run;
}

static inline bool wr_ready_is_pending(const struct wr_ready *ready)
{
    return wr_list_is_linked(&ready->link);
}

static inline void wr_ready_push(struct wr_list *queue, struct wr_ready *ready)
{
    wr_debug_assert(ready->run);
    if (!wr_ready_is_pending(ready)) {
        wr_list_push_back(queue, &ready->link);
    }
}

static inline void wr_ready_cancel(struct wr_ready *ready)
{
    wr_list_remove(&ready->link);
}

#endif
