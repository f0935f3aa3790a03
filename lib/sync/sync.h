/*
 * The common part of the objects that tasks wait on. They may be freed while a
 * task is inside a call.
 *
 * The program may free an object while a call is suspended. So each call holds
 * a reference to the memory, and the last reference frees it; calls on a freed
 * object return -ECANCELED. An object pins its loop's memory, so that it may be
 * freed after the loop.
 */
#ifndef WEIR_LIB_SYNC_SYNC_H
#define WEIR_LIB_SYNC_SYNC_H

#include "lib/task/task.h"

/* The first field of each object. */
struct wr_sync {
    weir_loop *loop;
    size_t size;   /* of the whole object */
    uint32_t refs; /* the program's, calls', conditions' of a lock */
    bool is_freed; /* set by wr_sync_free(), never cleared */
};

void wr_sync_check_invariants(const struct wr_sync *sync);

/* An object of @size bytes, zeroed behind struct wr_sync: 0, -ENOMEM, or an
 * error of wr_loop_check(). */
WEIR_MUST_USE int wr_sync_new(weir_loop *loop, size_t size,
                              struct wr_sync **ret);

/* Drops the program's reference. The caller has woken the waiters. */
void wr_sync_free(struct wr_sync *sync);

/* Takes a reference for a call or another object. */
void wr_sync_ref(struct wr_sync *sync);
void wr_sync_unref(struct wr_sync *sync);

/* Begins a suspending call: wr_task_enter(), and -ECANCELED if the object was
 * freed while other tasks ran. After 0 the caller must end with
 * wr_sync_unref(). */
WEIR_MUST_USE int wr_sync_enter(struct wr_sync *sync);

#endif
