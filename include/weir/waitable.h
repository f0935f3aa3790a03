/**
 * @file waitable.h
 * Waiting for the first of several things: the end of a task, an event, an item
 * of a queue, a lock, a graceful stop.
 *
 * Each element of an array represents one call that waits. weir_wait_any()
 * waits until one of these calls need not wait any more, and makes only this
 * call:
 *
 * @code{.c}
 * void *job;
 * struct weir_waitable what[] = {weir_waitable_event(stop),
 *                                weir_waitable_future(child),
 *                                weir_waitable_queue_get(jobs, &job)};
 * switch (weir_wait_any(loop, what, 3)) {
 * case 0: ... the event is set
 * case 1: ... what[1].result is the child's
 * case 2: ... job is an item, unless what[2].result is an error
 * default: ... the task was cancelled
 * }
 * @endcode
 *
 * asyncio needs wait() with FIRST_COMPLETED and a task for each thing. A task
 * that has taken an item although another task was first must put the item
 * back. In weir only the call that is made takes something: all other items
 * remain in their queues, in order, and locks with their owners. Nothing is
 * allocated.
 *
 * For a time limit use weir_timeout_begin().
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_WAITABLE_H
#define WEIR_WAITABLE_H

#include "base.h"
#include "future.h"
#include "sync.h"

WEIR_BEGIN_DECLS

/** A call that weir_wait_any() can make. weir_waitable_future() and the other
 * functions of this header initialise it. The program declares the struct, and
 * may use it for any number of waits. */
struct weir_waitable {
    /** The result of the call, if weir_wait_any() has returned the index of
     * this element. */
    int result;
    /** Used by the library. */
    uint64_t opaque[13];
};

/**
 * Make an element for the end of a future, or of a task
 * (weir_task_get_future()). The future is never cancelled by the wait.
 *
 * @param future  held while a task waits for it
 * @return        the element; its result will be the result of the future
 */
WEIR_API struct weir_waitable weir_waitable_future(weir_future *future);

/**
 * Make an element for weir_event_wait().
 *
 * @param event  borrowed until the last wait for it
 * @return       the element; its result will be 0, or -ECANCELED if the event
 *               was freed
 */
WEIR_API struct weir_waitable weir_waitable_event(weir_event *event);

/**
 * Make an element for weir_lock_acquire().
 *
 * @param lock  borrowed until the last wait for it
 * @return      the element; its result will be 0 if the task has the lock,
 *              -EDEADLK if the task had the lock before, or -ECANCELED if the
 *              lock was freed
 */
WEIR_API struct weir_waitable weir_waitable_lock(weir_lock *lock);

/**
 * Make an element for weir_semaphore_acquire().
 *
 * @param semaphore  borrowed until the last wait for it
 * @return           the element; its result will be 0 if a permit was acquired,
 *                   or -ECANCELED if the semaphore was freed
 */
WEIR_API struct weir_waitable
weir_waitable_semaphore(weir_semaphore *semaphore);

/**
 * Make an element for weir_queue_get().
 *
 * @param queue  borrowed until the last wait for it
 * @param ret    set to the item, if the result is 0; held while a task waits
 * @return       the element; its result will be 0 if an item was taken,
 *               WEIR_EQUEUESHUTDOWN as for weir_queue_get(), or -ECANCELED if
 *               the queue was freed
 */
WEIR_API struct weir_waitable weir_waitable_queue_get(weir_queue *queue,
                                                      void **ret);

/**
 * Make an element for weir_queue_put().
 *
 * @param queue  borrowed until the last wait for it
 * @param item   a pointer, which may be NULL
 * @return       the element; its result will be 0 if the item was put,
 *               WEIR_EQUEUESHUTDOWN if the queue was shut down, or -ECANCELED
 *               if the queue was freed
 */
WEIR_API struct weir_waitable weir_waitable_queue_put(weir_queue *queue,
                                                      void *item);

/**
 * Make an element for the start of a graceful stop; see
 * weir_loop_announce_stop().
 *
 * @param loop  the loop of the task
 * @return      the element; its result will be 0
 */
WEIR_API struct weir_waitable weir_waitable_stop(weir_loop *loop);

/**
 * Wait until one of several calls need not wait, and make that call.
 *
 * If several calls need not wait, the call with the lowest index is made, so
 * order the elements by priority. If all calls must wait, this task joins the
 * queue of each object, after earlier tasks. The first call that can be served
 * is made; the task leaves the other queues before another object can serve it.
 * The cost grows with the number of elements.
 *
 * A call that fails at once, for example on a queue that was shut down, need
 * not wait either; its error is the result of the element. If an object is
 * freed during the wait, the result of its element is -ECANCELED. If the task
 * is cancelled after one of the calls was made, the index is still returned,
 * and the next suspending call returns -ECANCELED.
 *
 * @param what   the calls; held
 * @param count  number of calls, at least 1
 * @return       the index of the call that was made, from 0; its result is in
 *               the element
 * @retval -ECANCELED  this task was cancelled, and no call was made
 * @retval -EINVAL     @p count is 0 or above INT_MAX; or an element was not
 *                     made by a function of this header, was made with NULL, or
 *                     is for an object of another loop
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_wait_any(weir_loop *loop, struct weir_waitable *what, size_t count);

WEIR_END_DECLS

#endif
