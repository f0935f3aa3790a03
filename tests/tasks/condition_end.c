/*
 * Conditions while their loop is being freed.
 *
 * A task that waits for a notification gets the lock once it is released; a
 * lock that is never released does not keep its loop.
 */
#include "scenes.h"

#define MAKE "lock; condition; "
#define WAIT "acquire=0,wait,release=0; "

SCENE(condition_end,
      waited_for_at_the_loops_end_has_the_lock_once_it_is_released,
      MAKE "start ab " WAIT
           "start c acquire=0,sleep:1000,release=0; notify:1 1; leave; "
           "a ECANCELED; b ECANCELED; c ECANCELED; locked 0")
#define LOSE MAKE "start a acquire=0,wait; acquire; "
SCENE(condition_end, whose_lock_went_with_a_task_does_not_keep_the_loop,
      LOSE "settle; waits a; leave; a ECANCELED; free; free_lock")
SCENE(condition_end, that_was_cancelled_in_line_does_not_keep_the_loop,
      LOSE "cancel a; settle; waits a; leave; a ECANCELED; free; free_lock")
SCENE(condition_end, does_not_keep_a_loop_whose_ring_is_broken,
      LOSE "settle; waits a; leave broken; a ECANCELED; free; free_lock")
/* A task has the lock that another needs, and waits for its end: one of the two
 * has to stop waiting, which is the one that was started last. */
SCENE(condition_end,
      whose_locks_owner_waits_for_the_waiter_does_not_keep_the_loop,
      MAKE "start a " WAIT
           "start b acquire=0,join_a,release=0; notify:1 1; cancel b; "
           "settle; waits ab; leave; a ECANCELED; b ECANCELED; locked 0")
