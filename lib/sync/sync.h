/*
 * The common part of the objects that tasks wait on: they may be freed while a
 * task is inside a call.
 *
 * While a call is suspended the program may free the object. So each call holds
 * a reference to the memory, and the last one that leaves frees it; a freed
 * object answers -ECANCELED. An object keeps its loop's memory, so that it may
 * also be freed after the loop.
 */
#ifndef WEIR_LIB_SYNC_SYNC_H
#define WEIR_LIB_SYNC_SYNC_H

#include "lib/task/task.h"

/* The first field of each object. */
struct wr_sync {
    weir_loop *loop;
    size_t size;   /* of the whole object */
    uint32_t refs; /* the program's, calls inside, conditions of a lock */
    bool is_freed; /* set by wr_sync_free(), never cleared */
};

void wr_sync_check_invariants(const struct wr_sync *sync);

/* An object of @size bytes, zeroed behind struct wr_sync: 0, -ENOMEM, or an
 * error of wr_loop_check(). */
WEIR_MUST_USE int wr_sync_new(weir_loop *loop, size_t size,
                              struct wr_sync **ret);

/* Gives the program's reference back. The caller has woken the waiters. */
void wr_sync_free(struct wr_sync *sync);

/* A reference for a call, or for another object. */
void wr_sync_ref(struct wr_sync *sync);
void wr_sync_unref(struct wr_sync *sync);

/* Begins a suspending call: like wr_task_enter(), and -ECANCELED if the object
 * was freed while other tasks had their turn. After a 0 the caller ends with
 * wr_sync_unref(). */
WEIR_MUST_USE int wr_sync_enter(struct wr_sync *sync);

#endif
