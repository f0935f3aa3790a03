/**
 * @file sync.h
 * Synchronisation of tasks: event, lock, semaphore, condition, barrier and
 * queue, as in asyncio.
 *
 * Each object belongs to one loop. Waiting tasks are served in the order of
 * their calls. A cancellation loses nothing: a task that is cancelled before it
 * is served leaves the queue, and a task that was served gets its lock, permit
 * or item (task.h). No function blocks the thread, and only functions that wait
 * need a task.
 *
 * If an object is freed, the calls of all tasks that wait on it return
 * -ECANCELED. Objects may be freed after their loop.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_SYNC_H
#define WEIR_SYNC_H

#include "base.h"
#include "loop.h"

#include <sys/types.h>

WEIR_BEGIN_DECLS

/** A flag that tasks wait for. */
typedef struct weir_event weir_event;
/** A lock, owned by one task at a time. */
typedef struct weir_lock weir_lock;
/** A count of permits. */
typedef struct weir_semaphore weir_semaphore;
/** A condition variable, for tasks that wait for a change of data that a lock
 * protects. */
typedef struct weir_condition weir_condition;
/** A barrier, at which a fixed number of tasks wait for each other. */
typedef struct weir_barrier weir_barrier;
/** A queue of pointers, which tasks pass to other tasks. */
typedef struct weir_queue weir_queue;

/** Make an event that is not set. */
WEIR_API WEIR_MUST_USE int weir_event_new(weir_loop *loop, weir_event **ret);

/** Free an event. */
WEIR_API void weir_event_free(weir_event *event);

/** Set an event, and wake all tasks that wait for it. */
WEIR_API void weir_event_set(weir_event *event);

/** Clear an event. Tasks that weir_event_set() has already woken still
 * continue. */
WEIR_API void weir_event_clear(weir_event *event);

/** Report whether the event is set. */
WEIR_API bool weir_event_is_set(const weir_event *event);

/**
 * Wait until the event is set.
 *
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_event_wait(weir_event *event);

/** Make a lock that is free. */
WEIR_API WEIR_MUST_USE int weir_lock_new(weir_loop *loop, weir_lock **ret);

/** Free a lock. If the lock was just passed to a task that has not run since
 * then, the call of that task returns -ECANCELED. */
WEIR_API void weir_lock_free(weir_lock *lock);

/**
 * Wait until this task has the lock. A release passes the lock directly to the
 * task that has waited longest, so that no other task can take it in between.
 *
 * @return 0 if this task has the lock
 * @retval -EDEADLK    this task already has the lock
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_lock_acquire(weir_lock *lock);

/**
 * Take the lock if it is free.
 *
 * @return 0 if this task has the lock
 * @retval -EBUSY  a task has the lock
 * @retval WEIR_ENOTTASK  no task runs, for example in a callback
 */
WEIR_API WEIR_MUST_USE int weir_lock_acquire_nowait(weir_lock *lock);

/**
 * Release the lock: pass it to the task that has waited longest. If no task
 * waits, the lock is free.
 *
 * @retval -EPERM  this task does not have the lock
 */
WEIR_API int weir_lock_release(weir_lock *lock);

/** Report whether a task has the lock. */
WEIR_API bool weir_lock_is_locked(const weir_lock *lock);

/**
 * Make a semaphore.
 *
 * @param value  number of permits at the start
 */
WEIR_API WEIR_MUST_USE int weir_semaphore_new(weir_loop *loop, uint64_t value,
                                              weir_semaphore **ret);

/**
 * Make a semaphore that never has more permits than at the start; asyncio's
 * BoundedSemaphore.
 *
 * @param value  number of permits at the start. To release more permits than
 *               were acquired is an error
 */
WEIR_API WEIR_MUST_USE int weir_bounded_semaphore_new(weir_loop *loop,
                                                      uint64_t value,
                                                      weir_semaphore **ret);

/** Free a semaphore. */
WEIR_API void weir_semaphore_free(weir_semaphore *semaphore);

/**
 * Acquire a permit; wait while there is none. Waiting tasks get permits in the
 * order of their calls.
 *
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_semaphore_acquire(weir_semaphore *semaphore);

/**
 * Acquire a permit if there is one and no task waits for a permit.
 *
 * @retval -EBUSY  there is no permit, or a task waits for one
 */
WEIR_API WEIR_MUST_USE int
weir_semaphore_acquire_nowait(weir_semaphore *semaphore);

/**
 * Release a permit. Any callback or task of the loop may call this.
 *
 * @retval -ERANGE  a bounded semaphore would have more permits than at the
 *                  start
 */
WEIR_API int weir_semaphore_release(weir_semaphore *semaphore);

/** Get the number of permits that can be acquired now. */
WEIR_API uint64_t weir_semaphore_get_value(const weir_semaphore *semaphore);

/**
 * Make a condition.
 *
 * @param lock  the lock that protects the data; held until
 *              weir_condition_free()
 */
WEIR_API WEIR_MUST_USE int weir_condition_new(weir_lock *lock,
                                              weir_condition **ret);

/** Free a condition. */
WEIR_API void weir_condition_free(weir_condition *condition);

/**
 * Release the lock, wait to be notified, and acquire the lock again.
 *
 * The lock is acquired again before the call returns, even if the task was
 * cancelled. If a task is cancelled after it was notified, the next waiting
 * task is notified. The call returns without the lock in two cases: the lock
 * was freed; or the loop is being freed, and the task that has the lock has
 * ended or will never release it.
 *
 * @return 0 when the task was notified
 * @retval -EPERM      this task does not have the lock
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_condition_wait(weir_condition *condition);

/**
 * Wait until a predicate returns true; asyncio's Condition.wait_for. The
 * predicate is called while the task has the lock, once at the start and then
 * after each notification.
 *
 * @param predicate  called on the task's stack; it must not suspend, release
 *                   the lock, or free the lock or the condition
 * @return           0 when the predicate has returned true; the task has the
 *                   lock
 * @retval -EINVAL     @p predicate is NULL
 * @retval -EPERM      this task does not have the lock
 * @retval -ECANCELED  the task was cancelled, or the condition was freed; the
 *                     task has the lock, except in the two cases of
 *                     weir_condition_wait()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_condition_wait_for(weir_condition *condition,
                                                   weir_predicate_fn *predicate,
                                                   void *arg);

/**
 * Wake waiting tasks, in the order of their calls. A task must have the lock,
 * usually the caller, because a change that is made without the lock can be
 * missed. A callback may call this while a task has the lock.
 *
 * @param count  maximum number of tasks to wake; SIZE_MAX wakes all
 * @return       number of tasks that were woken
 * @retval -EPERM  the lock is free, or the caller is not the loop's thread; no
 *                 task was woken
 */
WEIR_API ssize_t weir_condition_notify(weir_condition *condition, size_t count);

/**
 * Make a barrier.
 *
 * @param parties  number of tasks in a round, at least 1
 * @retval -EINVAL  @p parties is 0 or more than INT_MAX
 */
WEIR_API WEIR_MUST_USE int weir_barrier_new(weir_loop *loop, uint32_t parties,
                                            weir_barrier **ret);

/** Free a barrier. */
WEIR_API void weir_barrier_free(weir_barrier *barrier);

/**
 * Wait until the round is full, which means that @c parties tasks wait; then
 * all of these tasks continue. Until all of them have run, a reset or an abort
 * still affects the tasks that have not run, and tasks that arrive wait for the
 * next round.
 *
 * @return the position of this task in its round, from 0
 * @retval WEIR_EBROKEN  the barrier was aborted, or reset before this task
 *                       continued
 * @retval -ECANCELED    the task was cancelled; the others still wait
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_barrier_wait(weir_barrier *barrier);

/** Reset the barrier to its first state. The calls of waiting tasks return
 * WEIR_EBROKEN, and so do the calls of tasks of a full round that have not run
 * yet. Tasks that wait for the next round continue to wait, and are the first
 * in it. */
WEIR_API void weir_barrier_reset(weir_barrier *barrier);

/** Break the barrier: until a reset, the calls of waiting and arriving tasks
 * return WEIR_EBROKEN. */
WEIR_API void weir_barrier_abort(weir_barrier *barrier);

/** Get the number of tasks that wait for the present round to become full. The
 * number is 0 while tasks of a full round have not run yet. */
WEIR_API uint32_t weir_barrier_get_waiting_count(const weir_barrier *barrier);

/** The order in which weir_queue_get() returns items. */
enum weir_queue_order {
    /** First in, first out. */
    WEIR_QUEUE_FIFO = 0,
    /** Last in, first out; asyncio's LifoQueue. */
    WEIR_QUEUE_LIFO,
};

/**
 * Make a queue of pointers.
 *
 * @param maxsize  maximum number of items, at least 1. Their memory is
 *                 allocated by this call, so a put never runs out of memory
 * @param order    the order of the items
 * @retval -EINVAL  @p maxsize is 0, or @p order is unknown
 */
WEIR_API WEIR_MUST_USE int weir_queue_new(weir_loop *loop, size_t maxsize,
                                          enum weir_queue_order order,
                                          weir_queue **ret);

/** Compares two items of a priority queue. Returns a negative number if the
 * queue must return @p a before @p b, and a positive number if it must return
 * @p b before @p a. After 0 the item that was put first is returned first. The
 * function must not suspend or call functions on the queue, and its result for
 * two items must not change while they are in the queue. */
typedef int weir_queue_compare_fn(void *arg, const void *a, const void *b);

/**
 * Make a queue that returns its least item first; asyncio's PriorityQueue. All
 * functions for queues may be used with it.
 *
 * @param maxsize  as weir_queue_new()
 * @param compare  compares two items. A put or a get calls it about 2 log2(n)
 *                 times for n items
 * @param arg      the first argument of @p compare; held until
 *                 weir_queue_free()
 * @retval -EINVAL  @p maxsize is 0, or @p compare is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_priority_queue_new(weir_loop *loop, size_t maxsize,
                        weir_queue_compare_fn *compare, void *arg,
                        weir_queue **ret);

/** Free a queue. Items that are still in the queue are lost, so remove them
 * before. */
WEIR_API void weir_queue_free(weir_queue *queue);

/**
 * Put an item into a queue; wait while the queue is full.
 *
 * @param item  a pointer, which may be NULL
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down; nothing was put
 * @retval -ECANCELED  the task was cancelled; nothing was put
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_queue_put(weir_queue *queue, void *item);

/**
 * Put an item into a queue, if the queue is not full.
 *
 * @param item  a pointer, which may be NULL
 * @retval -EAGAIN  the queue is full; asyncio's QueueFull
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down
 */
WEIR_API WEIR_MUST_USE int weir_queue_put_nowait(weir_queue *queue, void *item);

/**
 * Get an item from a queue; wait while the queue is empty.
 *
 * @param ret  the pointer, given
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down and is empty, or was
 *                              shut down with weir_queue_shutdown_immediate()
 * @retval -ECANCELED  the task was cancelled; nothing was taken
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_queue_get(weir_queue *queue, void **ret);

/**
 * Get an item from a queue, if there is one.
 *
 * @param ret  the pointer, given
 * @retval -EAGAIN  the queue is empty; asyncio's QueueEmpty
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down and is empty, or was
 *                              shut down with weir_queue_shutdown_immediate()
 */
WEIR_API WEIR_MUST_USE int weir_queue_get_nowait(weir_queue *queue, void **ret);

/** Get the number of items in the queue. */
WEIR_API size_t weir_queue_get_size(const weir_queue *queue);

/**
 * Report that an item from the queue has been processed.
 *
 * @retval -ERANGE  the call was made more often than items were put
 */
WEIR_API int weir_queue_task_done(weir_queue *queue);

/**
 * Wait until all items that were put have been processed
 * (weir_queue_task_done()).
 *
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_queue_join(weir_queue *queue);

/** Refuse further items: weir_queue_put() fails with WEIR_EQUEUESHUTDOWN, even
 * in waiting tasks, and so does weir_queue_get() when the queue is empty. */
WEIR_API void weir_queue_shutdown(weir_queue *queue);

/** Refuse further items, as weir_queue_shutdown() does, and also make
 * weir_queue_get() fail at once. The items in the queue count as processed, and
 * weir_queue_take_left() can still remove them. */
WEIR_API void weir_queue_shutdown_immediate(weir_queue *queue);

/**
 * Remove an item from a queue after a shutdown, so that the program can free
 * it. The item counts as processed.
 *
 * @param ret  the pointer, given
 * @return     true if there was an item; false if the queue is empty or was not
 *             shut down
 */
WEIR_API bool weir_queue_take_left(weir_queue *queue, void **ret);

WEIR_END_DECLS

#endif
