/*
 * Conditions: what weir/sync.h promises about them.
 *
 * Whatever a wait returns, the task has the lock again; and a notification is
 * not lost with a cancelled task.
 */
#include "scenes.h"

#define MAKE   "lock; condition; "
#define WAIT   "acquire=0,wait,release=0; "
#define LOSE   "acquire=0,wait; "
#define NOTIFY "try=0,notify:"

SCENE(condition, notified_wakes_as_many_as_asked_first_come_first_served,
      MAKE NOTIFY "-1,release=0 0; start abcd " WAIT
                  "locked 0; notes -; " NOTIFY "0,release=0 0; " NOTIFY
                  "1,release=0 1; settle; notes a; " NOTIFY
                  "2,release=0 2; settle; notes abc; " NOTIFY
                  "-1,release=0 1; a; b; c; d; notes abcd")
SCENE(condition, notified_stands_in_line_for_the_lock_like_all_others,
      MAKE
      "start w " WAIT
      "acquire; start b acquire,release; notify:1 1; start a acquire,release; "
      "notes -; release; a; w; b; notes bwa")
/* It has to have the lock first, and may be cancelled again before it runs. */
SCENE(condition, cancelled_has_the_lock_all_the_same,
      MAKE "start ab " WAIT
           "acquire; cancel a; settle; notes -; cancel a; notify:1 1; release; "
           "a ECANCELED 0; b")
/* The first has the lock at once, and the second stands in line. */
SCENE(condition, cancelled_twice_before_it_runs_is_told_once,
      MAKE "start ab " WAIT
           "cancel aabb; a ECANCELED 0; b ECANCELED 0; start a " WAIT
           "acquire; cancel a; release; cancel a; a ECANCELED 0")
SCENE(condition, freed_does_not_hide_a_cancellation,
      MAKE "start a " WAIT "free; cancel a; a ECANCELED ECANCELED")
SCENE(condition, cancelled_after_a_notification_passes_it_on,
      MAKE "start abc " WAIT
           "acquire; notify:1 1; cancel aa; release; a ECANCELED; b; settle; "
           "waits c; cancel c; c ECANCELED")
SCENE(condition, cancelled_when_it_has_notification_and_lock_keeps_both,
      MAKE "start ab " WAIT NOTIFY
           "1,release=0 1; cancel a; a 0 ECANCELED; settle; waits b; "
           "cancel b; b ECANCELED")
SCENE(condition, of_a_task_that_was_cancelled_keeps_the_lock,
      MAKE "begin a acquire=0,cancel_self=0,wait,release=0; a ECANCELED")
SCENE(condition, waited_for_too_long_times_out_with_the_lock, MAKE "late " WAIT)
/* The wait for the lock has no time limit. */
SCENE(condition, timed_out_in_line_waits_for_the_lock,
      MAKE "limited a " WAIT
           "settle; acquire; notify:1 1; sleep:20; waits a; release; "
           "a ETIMEDOUT 0")
SCENE(condition, freed_wakes_who_waits_with_the_lock,
      MAKE "start ab " WAIT "free; a ECANCELED 0; b ECANCELED 0; locked 0")
SCENE(condition, freed_with_its_lock_wakes_who_waits_without_it,
      MAKE "start ab " LOSE
           "acquire; notify:1 1; free; free_lock; a ECANCELED; b ECANCELED")
SCENE(condition, whose_lock_was_freed_first_cannot_be_notified,
      MAKE "start a " LOSE
           "free_lock; settle; waits a; notify:1 EPERM; free; a ECANCELED")
SCENE(condition, notified_without_the_lock_is_an_error,
      MAKE "start a " WAIT "notify:1 EPERM; notify:-1 EPERM; notify:0 EPERM; "
           "callback notify:1 EPERM; settle; waits a; " NOTIFY
           "1,release=0 1; a")
SCENE(
    condition, in_the_wrong_place_is_an_error,
    MAKE
    "wait EPERM; start a " WAIT
    "callback wait WEIR_ENOTTASK; thread wait EPERM; "
    "thread condition EPERM; thread notify:1 EPERM; settle; waits a; acquire; "
    "callback notify:1 1; release; a")
