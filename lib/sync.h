/*
 * What the objects that tasks wait on have in common: where they come from,
 * and that they may be freed while somebody is inside a call.
 *
 * A call that suspends may come back to an object that the program has freed
 * meanwhile. So each call holds the memory, and the last one that leaves gives
 * it back; what is left of a freed object answers -ECANCELED. An object keeps
 * its loop's memory, so that it may also be freed after the loop.
 */
#ifndef WEIR_LIB_SYNC_H
#define WEIR_LIB_SYNC_H

#include "task.h"

/* The first field of each object. */
struct wr_sync {
    weir_loop *loop;
    size_t size;   /* of the whole object */
    uint32_t refs; /* the program's, and one for each call inside */
    bool is_freed; /* set by wr_sync_free(), never cleared */
};

/* A zeroed object of @size bytes, but for what is above: 0, -ENOMEM, or an
 * error of wr_loop_check(). */
int wr_sync_new(weir_loop *loop, size_t size, struct wr_sync **ret);

/* Gives the program's reference back; its waiters have been woken. */
void wr_sync_free(struct wr_sync *sync);

/* A reference for somebody inside. */
void wr_sync_ref(struct wr_sync *sync);
void wr_sync_unref(struct wr_sync *sync);

/* Begins a suspending call: as wr_task_enter(), and -ECANCELED if the object
 * was freed while other tasks had their turn. After a 0 the caller ends with
 * wr_sync_unref(). */
int wr_sync_enter(struct wr_sync *sync);

#endif
