/*
 * Lookups that a task waits for together.
 *
 * For example, a server that starts has a lookup for each of its names.
 * wr_lookups_await() waits until all have ended.
 */
#ifndef WEIR_LIB_NAMES_LOOKUPS_H
#define WEIR_LIB_NAMES_LOOKUPS_H

#include "lib/task/task.h"
#include "lookup.h"

struct wr_lookups {
    weir_loop *loop;
    struct wr_list all; /* struct lookups_name, in the order of adding */
    size_t open_count;
    struct wr_waiter waiter;
};

void wr_lookups_init(struct wr_lookups *lookups, weir_loop *loop);

WEIR_MUST_USE int wr_lookups_ask(struct wr_lookups *lookups,
                                 const struct wr_lookup_question *question,
                                 const weir_lookup **ret);
WEIR_MUST_USE int wr_lookups_ask_reverse(struct wr_lookups *lookups,
                                         const struct weir_address *address,
                                         uint64_t timeout_ns,
                                         const weir_lookup **ret);

WEIR_MUST_USE int wr_lookups_ask_srv(struct wr_lookups *lookups,
                                     const char *name, uint64_t timeout_ns,
                                     const weir_lookup **ret);

/* Like wr_lookups_ask(), with the default time limit. */
WEIR_MUST_USE int wr_lookups_add(struct wr_lookups *lookups, const char *host,
                                 uint16_t port, int family,
                                 const weir_lookup **ret);

/* Waits until all lookups have ended. Must be called after wr_task_enter().
 * Returns 0, or the first error in the order of adding, and sets *ret_failed to
 * its lookup. If the task is interrupted, cancels all and returns -ECANCELED.
 */
WEIR_MUST_USE int wr_lookups_await(struct wr_lookups *lookups,
                                   const weir_lookup **ret_failed);

/* Returns the first lookup if @lookup is NULL. Returns NULL after the last. */
const weir_lookup *wr_lookups_get_next(const struct wr_lookups *lookups,
                                       const weir_lookup *lookup);

/* Does not wake a task that waits for the lookups; the caller interrupts it. */
void wr_lookups_cancel(struct wr_lookups *lookups);

void wr_lookups_fini(struct wr_lookups *lookups);

#endif
