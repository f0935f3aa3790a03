/*
 * Locks: what weir/sync.h promises about them.
 *
 * There is one owner at a time, in the order of requests, even if tasks are
 * cancelled, late or gone; and only the owner may release the lock.
 */
#include "scenes.h"

SCENE(lock, is_had_by_one_at_a_time_first_come_first_served,
      "lock; locked 0; acquire; locked 1; start abc acquire,yield,release; "
      "notes -; release; a; b; c; notes abc; locked 0")
SCENE(lock, released_belongs_to_the_next_in_line_and_to_no_other,
      "lock; try; start a acquire,yield,release; release; locked 1; try EBUSY; "
      "acquire; notes a; release; a")
SCENE(lock, is_released_only_by_who_has_it_and_not_taken_twice,
      "lock; release EPERM; acquire; acquire EDEADLK; try EBUSY; "
      "begin a release; a EPERM; locked 1; release; release EPERM")
SCENE(lock, cancelled_before_it_is_had_goes_to_the_next,
      "lock; acquire; start ab acquire,yield,release; cancel a; release; "
      "a ECANCELED 0; b; locked 0")
SCENE(lock, cancelled_after_it_is_had_stays_had_and_cancels_the_next_call,
      "lock; acquire; start a acquire,locked=1,yield=ECANCELED,release; "
      "release; cancel a; a; locked 0")
SCENE(lock, waited_for_too_long_times_out,
      "lock; acquire; late acquire; release; locked 0")
SCENE(lock, freed_wakes_who_waits,
      "lock; acquire; start ab acquire; free; a ECANCELED 0; b ECANCELED 0")
SCENE(lock, freed_inside_a_call_that_lets_others_run_is_not_touched_again,
      "lock; begin a acquire,release,again; yield; waits a; free; a ECANCELED")
/* A task in the place in memory of one that ended with the lock. */
SCENE(lock, of_a_task_that_ended_is_not_the_next_tasks,
      "lock; begin a acquire,locked=1; a; locked 1; begin b release; b EPERM; "
      "begin c try; c EBUSY; late acquire")
SCENE(lock, in_the_wrong_place_is_an_error,
      "lock; callback acquire WEIR_ENOTTASK; callback try WEIR_ENOTTASK; "
      "callback release EPERM; thread lock EPERM; thread acquire EPERM; "
      "thread try EPERM; locked 0; acquire; thread release EPERM; locked 1; "
      "release")
/* One task sleeps with the lock, another waits for it. */
SCENE(lock, may_be_freed_after_its_loop_which_ended_the_wait,
      "lock; begin a acquire,sleep:1000=ECANCELED,acquire=ECANCELED,release; "
      "start b acquire; leave; a; b ECANCELED; locked 0")
SCENE(lock, of_a_task_that_ended_may_be_freed_after_its_loop,
      "lock; acquire; leave; locked 1")
/* The lock was passed on, and its new owner did not run yet. */
SCENE(lock, that_is_freed_before_its_new_owner_runs_is_not_had,
      "lock; acquire; start a acquire; release; locked 1; free; a ECANCELED")
SCENE(lock, that_is_freed_before_its_new_owner_runs_ends_a_conditions_wait,
      "lock; condition; start a acquire=0,wait; try; notify:1 1; release; "
      "locked 1; free_lock; a ECANCELED")
