/*
 * The inside of locks, for conditions.
 *
 * A lock that has an owner passes from one to the next: it is never free while
 * a task waits for it, so that no other can slip in between a release and the
 * task that was woken. The owner is known by its number, which no other task of
 * the loop ever has, so that a new task cannot be mistaken for one that ended
 * with its lock.
 */
#ifndef WEIR_LIB_SYNC_LOCK_H
#define WEIR_LIB_SYNC_LOCK_H

#include "sync.h"
#include "weir/sync.h"

struct weir_lock {
    struct wr_sync sync;
    uint64_t owner;         /* a task's number; 0: the lock is free */
    struct wr_list waiters; /* struct wr_waiter */
};

void wr_lock_check_invariants(const weir_lock *lock);

/* True when the running task is the owner. */
bool wr_lock_is_ours(const weir_lock *lock);

/* Makes the next in line the owner, or the lock free. */
void wr_lock_pass(weir_lock *lock);

/* Puts a waiting task, in whatever queue it is, in line. Wakes it with 0 once
 * it is the owner; at once where the lock is free (with -ECANCELED if it was
 * interrupted) or was freed (with -ECANCELED). */
void wr_lock_queue(weir_lock *lock, struct wr_waiter *waiter);

#endif
