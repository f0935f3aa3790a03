/*
 * The inside of locks, for conditions.
 *
 * A lock that has an owner passes from one to the next: it is never free while
 * somebody waits for it, so nobody can slip in between a release and the task
 * that was woken. The owner is known by its number, which no other task of the
 * loop ever has, so that a new task cannot be mistaken for one that ended with
 * its lock.
 */
#ifndef WEIR_LIB_LOCK_H
#define WEIR_LIB_LOCK_H

#include "../include/weir/sync.h"
#include "sync.h"

struct weir_lock {
    struct wr_sync sync;
    uint64_t owner;         /* a task's number; 0: nobody has it or waits */
    struct wr_list waiters; /* struct wr_waiter */
};

/* Does the running task have it? */
bool wr_lock_is_ours(const weir_lock *lock);

/* Gives it to the next in line, or back. */
void wr_lock_pass(weir_lock *lock);

/* Puts a task that waits, in whatever queue, in line: it is woken with 0 once
 * it has the lock, which may be now (-ECANCELED when it was interrupted), or
 * with -ECANCELED if the lock was or is freed. */
void wr_lock_queue(weir_lock *lock, struct wr_waiter *waiter);

#endif
