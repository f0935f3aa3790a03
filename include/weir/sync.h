/**
 * @file sync.h
 * Tasks that wait for each other: event, lock, semaphore, condition, barrier
 * and queue, as asyncio has them.
 *
 * Each object belongs to one loop. Waiters are served first come, first served,
 * and nothing that a waiter was given is lost: a task that is cancelled before
 * it was served leaves the queue, and one that was served keeps what it got
 * (task.h). Nothing here blocks the thread, and only the waiting calls need a
 * task.
 *
 * As all suspending calls do (task.h), those here also return WEIR_ENOTTASK,
 * -EPERM and -ECHILD. Makers, and calls that return an error, return -EPERM on
 * another thread than the loop's and -ECHILD after fork(); functions that
 * return nothing do nothing there.
 *
 * Freeing an object wakes all tasks that wait on it with -ECANCELED. Objects
 * may be freed after their loop.
 *
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
/** Owned by one task at a time. */
typedef struct weir_lock weir_lock;
/** A count of permits. */
typedef struct weir_semaphore weir_semaphore;
/** A lock, and a place to wait for a change of what it protects. */
typedef struct weir_condition weir_condition;
/** Where a number of tasks wait for each other. */
typedef struct weir_barrier weir_barrier;
/** Pointers from tasks to tasks. */
typedef struct weir_queue weir_queue;

/**
 * Make an event that is not set.
 *
 * @param loop  the loop; borrowed
 * @param ret   the event, given; end with weir_event_free()
 * @return      0
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int weir_event_new(weir_loop *loop, weir_event **ret);

/**
 * End an event.
 *
 * @param event  taken; NULL is ignored
 */
WEIR_API void weir_event_free(weir_event *event);

/**
 * Set an event: all tasks that wait for it go on.
 *
 * @param event  the event; borrowed
 */
WEIR_API void weir_event_set(weir_event *event);

/**
 * Unset an event. Tasks that the last set has woken go on all the same.
 *
 * @param event  the event; borrowed
 */
WEIR_API void weir_event_clear(weir_event *event);

/**
 * Tell whether the event is set.
 *
 * @param event  the event; borrowed
 * @return       true when it is
 */
WEIR_API bool weir_event_is_set(const weir_event *event);

/**
 * Wait until the event is set.
 *
 * @param event  the event; held
 * @return       0
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_event_wait(weir_event *event);

/**
 * Make a lock that is free.
 *
 * @param loop  the loop; borrowed
 * @param ret   the lock, given; end with weir_lock_free()
 * @return      0
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int weir_lock_new(weir_loop *loop, weir_lock **ret);

/**
 * End a lock. A task that the lock was passed to and that has not run yet does
 * not get it: its call returns -ECANCELED.
 *
 * @param lock  taken; NULL is ignored
 */
WEIR_API void weir_lock_free(weir_lock *lock);

/**
 * Wait until this task has the lock. A release passes it to the next in line,
 * so that no other task can slip in.
 *
 * @param lock  the lock; held
 * @return      0 when this task has it
 * @retval -EDEADLK    this task has it already
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_lock_acquire(weir_lock *lock);

/**
 * Take the lock if it is free.
 *
 * @param lock  the lock; borrowed
 * @return      0 when this task has it
 * @retval -EBUSY  a task has it
 * @retval WEIR_ENOTTASK  not in a task
 */
WEIR_API WEIR_MUST_USE int weir_lock_acquire_nowait(weir_lock *lock);

/**
 * Pass the lock to the next in line; without one it is free.
 *
 * @param lock  the lock; borrowed
 * @return      0
 * @retval -EPERM  this task does not have it
 */
WEIR_API int weir_lock_release(weir_lock *lock);

/**
 * Tell whether a task has the lock.
 *
 * @param lock  the lock; borrowed
 * @return      true when it is taken
 */
WEIR_API bool weir_lock_is_locked(const weir_lock *lock);

/**
 * Make a semaphore.
 *
 * @param loop   the loop; borrowed
 * @param value  permits that can be acquired at first
 * @param ret    the semaphore, given; end with weir_semaphore_free()
 * @return       0
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int weir_semaphore_new(weir_loop *loop, uint64_t value,
                                              weir_semaphore **ret);

/**
 * Make a semaphore whose permits never are more than at first; asyncio's
 * BoundedSemaphore.
 *
 * @param loop   the loop; borrowed
 * @param value  permits that can be acquired at first; to release more of them
 *               is an error
 * @param ret    the semaphore, given; end with weir_semaphore_free()
 * @return       0
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int weir_bounded_semaphore_new(weir_loop *loop,
                                                      uint64_t value,
                                                      weir_semaphore **ret);

/**
 * End a semaphore.
 *
 * @param semaphore  taken; NULL is ignored
 */
WEIR_API void weir_semaphore_free(weir_semaphore *semaphore);

/**
 * Acquire a permit; waits while there is none. Tasks go on in the order in
 * which they asked.
 *
 * @param semaphore  the semaphore; held
 * @return           0
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_semaphore_acquire(weir_semaphore *semaphore);

/**
 * Acquire a permit if there is one and no task waits for it.
 *
 * @param semaphore  the semaphore; borrowed
 * @return           0
 * @retval -EBUSY  there is none
 */
WEIR_API WEIR_MUST_USE int
weir_semaphore_acquire_nowait(weir_semaphore *semaphore);

/**
 * Give a permit back. May be called from anywhere on the loop.
 *
 * @param semaphore  the semaphore; borrowed
 * @return           0
 * @retval -ERANGE  a bounded semaphore would have more than at first
 */
WEIR_API int weir_semaphore_release(weir_semaphore *semaphore);

/**
 * How many permits can be acquired now.
 *
 * @param semaphore  the semaphore; borrowed
 * @return           a count
 */
WEIR_API uint64_t weir_semaphore_get_value(const weir_semaphore *semaphore);

/**
 * Make a condition.
 *
 * @param lock  the lock that protects the data that tasks wait to see changed;
 *              held until weir_condition_free()
 * @param ret   the condition, given; end with weir_condition_free()
 * @return      0
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int weir_condition_new(weir_lock *lock,
                                              weir_condition **ret);

/**
 * End a condition.
 *
 * @param condition  taken; NULL is ignored
 */
WEIR_API void weir_condition_free(weir_condition *condition);

/**
 * Release the lock, wait to be notified, and acquire the lock again.
 *
 * The lock is acquired again before this returns, also when the task was
 * cancelled. A notification that a cancelled waiter had got already is passed
 * on to the next. One exception: while the loop is being freed, the wait ends
 * without the lock if its owner has ended or waits without end itself; and so
 * it does when the lock is freed.
 *
 * @param condition  the condition; held
 * @return           0 when notified
 * @retval -EPERM      this task does not have the lock
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_condition_wait(weir_condition *condition);

/**
 * Wait until a predicate holds; asyncio's Condition.wait_for.
 *
 * The predicate is asked with the lock, first without waiting and then after
 * each notification.
 *
 * @param condition  the condition; held
 * @param predicate  asked on the task's stack; must not suspend, nor give the
 *                   lock away, nor free it or the condition
 * @param arg        its argument
 * @return           0 when it holds; the task has the lock
 * @retval -EINVAL     no predicate
 * @retval -EPERM      this task does not have the lock
 * @retval -ECANCELED  the task was cancelled, or the condition was freed; the
 *                     task has the lock, but see weir_condition_wait()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_condition_wait_for(weir_condition *condition,
                                                   weir_predicate_fn *predicate,
                                                   void *arg);

/**
 * Wake waiting tasks, first come, first served.
 *
 * A task must have the lock, as a rule the one that calls this: a change that
 * is made without it can be missed. A callback may notify while a task has the
 * lock.
 *
 * @param condition  the condition; borrowed
 * @param count      how many at most; SIZE_MAX for all
 * @return           how many were woken
 * @retval -EPERM  the lock is free, or this is another thread than the loop's;
 *                 no task was woken
 */
WEIR_API ssize_t weir_condition_notify(weir_condition *condition, size_t count);

/**
 * Make a barrier.
 *
 * @param loop     the loop; borrowed
 * @param parties  how many tasks it takes, at least 1
 * @param ret      the barrier, given; end with weir_barrier_free()
 * @return         0
 * @retval -EINVAL  no parties, or more than INT_MAX
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int weir_barrier_new(weir_loop *loop, uint32_t parties,
                                            weir_barrier **ret);

/**
 * End a barrier.
 *
 * @param barrier  taken; NULL is ignored
 */
WEIR_API void weir_barrier_free(weir_barrier *barrier);

/**
 * Wait until as many tasks wait here as the barrier takes; then all go on.
 *
 * Until each task of a full round has run, a reset or an abort reaches those
 * that have not, and tasks that come wait for the next round.
 *
 * @param barrier  the barrier; held
 * @return         this task's place in its round, from 0
 * @retval WEIR_EBROKEN  the barrier was aborted, or reset before this task of
 *                       its round went on
 * @retval -ECANCELED    the task was cancelled; the others wait on
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_barrier_wait(weir_barrier *barrier);

/**
 * Make the barrier as new; tasks that wait get WEIR_EBROKEN.
 *
 * So do tasks of a full round that have not run yet. Those that wait for the
 * next round stay, and are the first of it.
 *
 * @param barrier  the barrier; borrowed
 */
WEIR_API void weir_barrier_reset(weir_barrier *barrier);

/**
 * Break the barrier: tasks that wait, and tasks that come, get WEIR_EBROKEN,
 * until a reset.
 *
 * @param barrier  the barrier; borrowed
 */
WEIR_API void weir_barrier_abort(weir_barrier *barrier);

/**
 * How many tasks wait at the barrier; 0 until each task of a full round has
 * run.
 *
 * @param barrier  the barrier; borrowed
 * @return         a count
 */
WEIR_API uint32_t weir_barrier_get_waiting_count(const weir_barrier *barrier);

/** The order in which weir_queue_get() gives items. */
enum weir_queue_order {
    /** First in, first out. */
    WEIR_QUEUE_FIFO = 0,
    /** Last in, first out; asyncio's LifoQueue. */
    WEIR_QUEUE_LIFO,
};

/**
 * Make a queue of pointers.
 *
 * @param loop     the loop; borrowed
 * @param maxsize  items that it holds at most, at least 1; the memory for them
 *                 is allocated now, so that putting never fails for want of it
 * @param order    which item comes out first
 * @param ret      the queue, given; end with weir_queue_free()
 * @return         0
 * @retval -EINVAL  a @p maxsize of 0, or no such order
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int weir_queue_new(weir_loop *loop, size_t maxsize,
                                          enum weir_queue_order order,
                                          weir_queue **ret);

/**
 * Compares two items of a priority queue: below 0 when @p a comes out before
 * @p b, above 0 when it comes out after it, 0 when the one comes first that was
 * put first. Neither may suspend, call anything of the queue, nor change its
 * mind about items that are in it.
 */
typedef int weir_queue_compare_fn(void *arg, const void *a, const void *b);

/**
 * Make a queue that gives the least of its items first; asyncio's
 * PriorityQueue. All calls on queues are for it too.
 *
 * @param loop     the loop; borrowed
 * @param maxsize  as weir_queue_new()
 * @param compare  says which of two items is less; called by calls that put
 *                 items or take them out, some 2 log2(items) times each
 * @param arg      its first argument; held until weir_queue_free()
 * @param ret      the queue, given; end with weir_queue_free()
 * @return         0
 * @retval -EINVAL  a @p maxsize of 0, or no @p compare
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int
weir_priority_queue_new(weir_loop *loop, size_t maxsize,
                        weir_queue_compare_fn *compare, void *arg,
                        weir_queue **ret);

/**
 * End a queue. Items that are left in it are lost: take them out before.
 *
 * @param queue  taken; NULL is ignored
 */
WEIR_API void weir_queue_free(weir_queue *queue);

/**
 * Put an item in; waits while the queue is full.
 *
 * @param queue  the queue; held
 * @param item   a pointer, also NULL
 * @return       0
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down; nothing was put
 * @retval -ECANCELED  the task was cancelled; nothing was put
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_queue_put(weir_queue *queue, void *item);

/**
 * Put an item in if there is room.
 *
 * @param queue  the queue; borrowed
 * @param item   a pointer, also NULL
 * @return       0
 * @retval -EAGAIN  the queue is full; asyncio's QueueFull
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down
 */
WEIR_API WEIR_MUST_USE int weir_queue_put_nowait(weir_queue *queue, void *item);

/**
 * Take an item out; waits while the queue is empty.
 *
 * @param queue  the queue; held
 * @param ret    the pointer, given
 * @return       0
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down and is empty, or was
 *                              shut down with @p immediate
 * @retval -ECANCELED  the task was cancelled; nothing was taken
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_queue_get(weir_queue *queue, void **ret);

/**
 * Take an item out if there is one.
 *
 * @param queue  the queue; borrowed
 * @param ret    the pointer, given
 * @return       0
 * @retval -EAGAIN  it is empty; asyncio's QueueEmpty
 * @retval WEIR_EQUEUESHUTDOWN  as weir_queue_get()
 */
WEIR_API WEIR_MUST_USE int weir_queue_get_nowait(weir_queue *queue, void **ret);

/**
 * How many items are in the queue.
 *
 * @param queue  the queue; borrowed
 * @return       a count
 */
WEIR_API size_t weir_queue_get_size(const weir_queue *queue);

/**
 * Say that an item that was taken out has been dealt with.
 *
 * @param queue  the queue; borrowed
 * @return       0
 * @retval -ERANGE  called more often than items were put
 */
WEIR_API int weir_queue_task_done(weir_queue *queue);

/**
 * Wait until all items that were put have been dealt with
 * (weir_queue_task_done()).
 *
 * @param queue  the queue; held
 * @return       0
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_queue_join(weir_queue *queue);

/**
 * Take nothing in any more: waits to put fail with WEIR_EQUEUESHUTDOWN, and so
 * do those to get once the queue is empty.
 *
 * @param queue  the queue; borrowed
 */
WEIR_API void weir_queue_shutdown(weir_queue *queue);

/**
 * Take nothing in any more, as weir_queue_shutdown(), and give nothing out
 * either: weir_queue_get() fails at once, and the items in the queue count as
 * dealt with. They can still be taken with weir_queue_take_left().
 *
 * @param queue  the queue; borrowed
 */
WEIR_API void weir_queue_shutdown_immediate(weir_queue *queue);

/**
 * Take an item out after weir_queue_shutdown(), to free it; it counts as dealt
 * with.
 *
 * @param queue  the queue; borrowed
 * @param ret    the pointer, given
 * @return       true when there was an item; false too before the shutdown
 */
WEIR_API bool weir_queue_take_left(weir_queue *queue, void **ret);

WEIR_END_DECLS

#endif
