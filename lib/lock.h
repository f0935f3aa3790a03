/*
 * The inside of locks, for conditions.
 *
 * A lock that has an owner passes from one to the next: it is never free while
 * somebody waits for it, so nobody can slip in between a release and the task
 * that was woken. The owner is held by a reference, so that a task that ends
 * with its lock cannot be mistaken for a new one in its place.
 */
#ifndef WEIR_LIB_LOCK_H
#define WEIR_LIB_LOCK_H

#include "../include/weir/sync.h"
#include "sync.h"

struct weir_lock {
    struct wr_sync sync;
    weir_task *owner;       /* NULL: nobody has it, and nobody waits */
    struct wr_list waiters; /* struct wr_lock_waiter */
};

struct wr_lock_waiter {
    struct wr_waiter waiter;
    bool was_interrupted; /* set by a condition: its task will be told */
};

/* Does the running task have it? */
bool wr_lock_is_ours(const weir_lock *lock);

/* Gives it to the next in line, or back. */
void wr_lock_pass(weir_lock *lock);

/* Puts a task that waits, in whatever queue, in line: it is woken with 0 once
 * it has the lock, which may be now (-ECANCELED when it was interrupted), or
 * with -ECANCELED if the lock was or is freed. */
void wr_lock_queue(weir_lock *lock, struct wr_lock_waiter *waiter);

#endif
