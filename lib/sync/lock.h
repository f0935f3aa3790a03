/*
 * Internals of locks, for conditions.
 *
 * A lock passes from owner to owner: it is never free while a task waits for
 * it, so no other task can take it between a release and the run of the woken
 * task. The lock stores the owner's number, which is unique in the loop, so a
 * new task is not mistaken for a task that ended with the lock.
 */
#ifndef WEIR_LIB_SYNC_LOCK_H
#define WEIR_LIB_SYNC_LOCK_H

#include "sync.h"
#include "weir/sync.h"

struct weir_lock {
    struct wr_sync sync;
    uint64_t owner;         /* a task's number; 0 if the lock is free */
    struct wr_list waiters; /* struct wr_waiter */
};

void wr_lock_check_invariants(const weir_lock *lock);

/* True if the running task is the owner. */
bool wr_lock_is_ours(const weir_lock *lock);

/* Makes the first waiter the owner, or the lock free. */
void wr_lock_pass(weir_lock *lock);

/* Moves a waiter from its queue to the lock's queue, and wakes it with 0 when
 * it owns the lock. If the lock is free, wakes it immediately, with -ECANCELED
 * if it was interrupted. If the lock was freed, wakes it with -ECANCELED. */
void wr_lock_queue(weir_lock *lock, struct wr_waiter *waiter);

#endif
