/**
 * @file sync.h
 * Tasks that wait for each other: event, lock, semaphore, condition, barrier
 * and queue, as asyncio has them.
 *
 * All belong to one loop. Waiters are served first come, first served, and what
 * a waiter was given is never lost: one that is cancelled before it was served
 * leaves the queue, one that was served keeps what it got (task.h). Nothing
 * here blocks the thread, and only the waiting calls need a task.
 *
 * Freeing an object wakes whoever still waits on it with -ECANCELED. Objects
 * may be freed after their loop. What returns nothing does nothing on another
 * thread.
 */
#ifndef WEIR_SYNC_H
#define WEIR_SYNC_H

#include "base.h"

#include <sys/types.h>

WEIR_BEGIN_DECLS

/** A flag that tasks wait for. */
typedef struct weir_event weir_event;
/** Owned by one task at a time. */
typedef struct weir_lock weir_lock;
/** A count of something that can be had. */
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
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_event_new(weir_loop *loop, weir_event **ret);

/**
 * End an event.
 *
 * @param event  taken; NULL is ignored
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_event_free(weir_event *event);

/**
 * Set an event: all who wait go on.
 *
 * @param event  the event; borrowed
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_event_set(weir_event *event);

/**
 * Unset an event. Who was woken by the last set goes on all the same.
 *
 * @param event  the event; borrowed
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_event_clear(weir_event *event);

/**
 * Is the event set?
 *
 * @param event  the event; borrowed
 * @return       true when it is
 * @suspends no
 * @thread loop
 */
WEIR_API bool weir_event_is_set(const weir_event *event);

/**
 * Wait until the event is set.
 *
 * @param event  the event; held
 * @return       0
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_event_wait(weir_event *event);

/**
 * Make a lock that nobody has.
 *
 * @param loop  the loop; borrowed
 * @param ret   the lock, given; end with weir_lock_free()
 * @return      0
 * @retval -ENOMEM  no memory
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_lock_new(weir_loop *loop, weir_lock **ret);

/**
 * End a lock. A task that was passed it and has not run yet does not get it:
 * its call returns -ECANCELED.
 *
 * @param lock  taken; NULL is ignored
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_lock_free(weir_lock *lock);

/**
 * Wait until the lock is ours. The next in line gets it with the release, so
 * that nobody can slip in.
 *
 * @param lock  the lock; held
 * @return      0 when this task has it
 * @retval -EDEADLK    this task has it already
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_lock_acquire(weir_lock *lock);

/**
 * Take the lock if nobody has it.
 *
 * @param lock  the lock; borrowed
 * @return      0 when this task has it
 * @retval -EBUSY  somebody has it
 * @retval WEIR_ENOTTASK  not in a task
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_lock_acquire_nowait(weir_lock *lock);

/**
 * Give the lock to the next in line, or back.
 *
 * @param lock  the lock; borrowed
 * @return      0
 * @retval -EPERM  this task does not have it
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_lock_release(weir_lock *lock);

/**
 * Has somebody the lock?
 *
 * @param lock  the lock; borrowed
 * @return      true when it is taken
 * @suspends no
 * @thread loop
 */
WEIR_API bool weir_lock_is_locked(const weir_lock *lock);

/**
 * Make a semaphore.
 *
 * @param loop     the loop; borrowed
 * @param value    how many can be acquired at first
 * @param bounded  releasing above @p value is an error; asyncio's
 *                 BoundedSemaphore
 * @param ret      the semaphore, given; end with weir_semaphore_free()
 * @return         0
 * @retval -ENOMEM  no memory
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_semaphore_new(weir_loop *loop, uint64_t value,
                                              bool bounded,
                                              weir_semaphore **ret);

/**
 * End a semaphore.
 *
 * @param semaphore  taken; NULL is ignored
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_semaphore_free(weir_semaphore *semaphore);

/**
 * Wait until one can be had, and take it. All go on in the order in which they
 * asked.
 *
 * @param semaphore  the semaphore; held
 * @return           0
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_semaphore_acquire(weir_semaphore *semaphore);

/**
 * Take one if it can be had; who waits comes first.
 *
 * @param semaphore  the semaphore; borrowed
 * @return           0
 * @retval -EBUSY  none is to be had
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_semaphore_acquire_nowait(weir_semaphore *semaphore);

/**
 * Give one back, from anywhere on the loop.
 *
 * @param semaphore  the semaphore; borrowed
 * @return           0
 * @retval -ERANGE  a bounded one would have more than at first
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_semaphore_release(weir_semaphore *semaphore);

/**
 * How many can be acquired now.
 *
 * @param semaphore  the semaphore; borrowed
 * @return           a count
 * @suspends no
 * @thread loop
 */
WEIR_API uint64_t weir_semaphore_get_value(const weir_semaphore *semaphore);

/**
 * Make a condition.
 *
 * @param lock  the lock that protects what is waited for; held as long as the
 *              condition is there
 * @param ret   the condition, given; end with weir_condition_free()
 * @return      0
 * @retval -ENOMEM  no memory
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_condition_new(weir_lock *lock,
                                              weir_condition **ret);

/**
 * End a condition.
 *
 * @param condition  taken; NULL is ignored
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_condition_free(weir_condition *condition);

/**
 * Release the lock, wait to be notified, and acquire the lock again.
 *
 * The lock is acquired again before this returns, also when the task was
 * cancelled. A notification that a cancelled waiter had got already is passed
 * on to the next. One exception: while the loop is being freed, a lock whose
 * owner has ended, or itself waits without end, is not waited for for ever;
 * the wait then ends without it, and so it does when the lock is freed.
 *
 * @param condition  the condition; held
 * @return           0 when notified
 * @retval -EPERM      this task does not have the lock
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_condition_wait(weir_condition *condition);

/**
 * Wake some of those that wait, first come, first served.
 *
 * Somebody must have the lock, as a rule the task that calls this: a change
 * that is made without it can be missed. A callback may notify while a task
 * has the lock.
 *
 * @param condition  the condition; borrowed
 * @param count      how many at most; SIZE_MAX for all
 * @return           how many were woken
 * @retval -EPERM  nobody has the lock; nobody was woken
 * @suspends no
 * @thread loop
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
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_barrier_new(weir_loop *loop, uint32_t parties,
                                            weir_barrier **ret);

/**
 * End a barrier.
 *
 * @param barrier  taken; NULL is ignored
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_barrier_free(weir_barrier *barrier);

/**
 * Wait until as many tasks wait here as the barrier takes; then all go on.
 *
 * A full round drains: until each of its tasks has run, a reset or an abort
 * reaches those that have not, and who comes waits for the next round.
 *
 * @param barrier  the barrier; held
 * @return         this task's place in its round, from 0
 * @retval WEIR_EBROKEN  the barrier was aborted, or reset before this task of
 *                       its round went on
 * @retval -ECANCELED    the task was cancelled; the others wait on
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_barrier_wait(weir_barrier *barrier);

/**
 * Make the barrier as new; who waits gets WEIR_EBROKEN.
 *
 * So does who belongs to a full round and has not run yet. Those that wait for
 * the next round stay, and are the first of it.
 *
 * @param barrier  the barrier; borrowed
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_barrier_reset(weir_barrier *barrier);

/**
 * Break the barrier: who waits, and who comes, gets WEIR_EBROKEN, until a
 * reset.
 *
 * @param barrier  the barrier; borrowed
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_barrier_abort(weir_barrier *barrier);

/**
 * How many tasks wait at the barrier; none while a round drains.
 *
 * @param barrier  the barrier; borrowed
 * @return         a count
 * @suspends no
 * @thread loop
 */
WEIR_API uint32_t weir_barrier_waiting_count(const weir_barrier *barrier);

/** In which order weir_queue_get() gives what was put. */
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
 * @param maxsize  how many it holds at most, at least 1; its memory is taken
 *                 now, so that putting never fails for want of it
 * @param order    which comes out first
 * @param ret      the queue, given; end with weir_queue_free()
 * @return         0
 * @retval -EINVAL  no room, or no such order
 * @retval -ENOMEM  no memory
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_queue_new(weir_loop *loop, size_t maxsize,
                                          enum weir_queue_order order,
                                          weir_queue **ret);

/**
 * End a queue. What is in it is the program's to take out before.
 *
 * @param queue  taken; NULL is ignored
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_queue_free(weir_queue *queue);

/**
 * Put something in; waits while the queue is full.
 *
 * @param queue  the queue; held
 * @param item   a pointer, also NULL
 * @return       0
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down; nothing was put
 * @retval -ECANCELED  the task was cancelled; nothing was put
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_queue_put(weir_queue *queue, void *item);

/**
 * Put something in if there is room.
 *
 * @param queue  the queue; borrowed
 * @param item   a pointer, also NULL
 * @return       0
 * @retval -EAGAIN  it is full, or others wait to put; asyncio's QueueFull
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_queue_put_nowait(weir_queue *queue, void *item);

/**
 * Take something out; waits while the queue is empty.
 *
 * @param queue  the queue; held
 * @param ret    the pointer, given
 * @return       0
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down and is empty
 * @retval -ECANCELED  the task was cancelled; nothing was taken
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_queue_get(weir_queue *queue, void **ret);

/**
 * Take something out if there is anything.
 *
 * @param queue  the queue; borrowed
 * @param ret    the pointer, given
 * @return       0
 * @retval -EAGAIN  it is empty; asyncio's QueueEmpty
 * @retval WEIR_EQUEUESHUTDOWN  the queue was shut down and is empty
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_queue_get_nowait(weir_queue *queue, void **ret);

/**
 * How many are in the queue.
 *
 * @param queue  the queue; borrowed
 * @return       a count
 * @suspends no
 * @thread loop
 */
WEIR_API size_t weir_queue_size(const weir_queue *queue);

/**
 * Say that something that was taken out has been dealt with.
 *
 * @param queue  the queue; borrowed
 * @return       0
 * @retval -ERANGE  called more often than something was put
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_queue_task_done(weir_queue *queue);

/**
 * Wait until all that was put has been dealt with (weir_queue_task_done()).
 *
 * @param queue  the queue; held
 * @return       0
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_queue_join(weir_queue *queue);

/**
 * Take nothing in any more; who waits to put is told, and who waits to get
 * once the queue is empty.
 *
 * @param queue      the queue; borrowed
 * @param immediate  give nothing out any more either: weir_queue_get() fails at
 *                   once, and what is in the queue counts as dealt with. It can
 *                   still be taken with weir_queue_drain()
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_queue_shutdown(weir_queue *queue, bool immediate);

/**
 * Take something out after weir_queue_shutdown(), to free it; it counts as
 * dealt with.
 *
 * @param queue  the queue; borrowed
 * @param ret    the pointer, given
 * @return       true when there was something; false too before the shutdown
 * @suspends no
 * @thread loop
 */
WEIR_API bool weir_queue_drain(weir_queue *queue, void **ret);

WEIR_END_DECLS

#endif
