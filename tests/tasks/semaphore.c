/*
 * Semaphores: what weir/sync.h promises about them.
 *
 * A released permit goes to the task that has waited longest; no permit is lost
 * or added, whichever task is cancelled or late.
 */
#include "scenes.h"

SCENE(semaphore, gives_what_there_is_and_then_first_come_first_served,
      "semaphore:2; acquire; try; value 0; try EBUSY; start abc acquire; "
      "notes -; release; settle; notes a; release; release; settle; notes abc; "
      "a; b; c; value 0")
SCENE(semaphore, released_belongs_to_the_next_in_line_and_to_no_other,
      "semaphore:0; start a acquire; release; value 0; try EBUSY; a")
/* Releases for all that wait; one of them asks again. */
SCENE(semaphore, is_taken_in_the_order_in_which_it_was_asked_for,
      "semaphore:1; begin 1 acquire; begin 4 acquire,note:2,acquire; "
      "begin 3 acquire; yield; release; release; release; 1; 4; 3; notes 1234; "
      "value 0")
SCENE(semaphore, that_is_bounded_is_not_released_above_its_first_value,
      "bounded:1; release ERANGE; value 1; acquire; start a acquire; release; "
      "release; release ERANGE; a; free; semaphore:1; release; value 2; free; "
      "semaphore:-1; release ERANGE")
SCENE(semaphore, cancelled_before_it_is_had_goes_to_the_next,
      "semaphore:0; start ab acquire; cancel a; release; a ECANCELED 0; b; "
      "value 0")
SCENE(semaphore, cancelled_after_it_is_had_stays_had_and_cancels_the_next_call,
      "semaphore:0; start a acquire; release; cancel a; a 0 ECANCELED; value 0")
SCENE(semaphore, waited_for_too_long_times_out_and_nothing_is_lost,
      "semaphore:0; late acquire; release; value 1")
SCENE(semaphore, freed_wakes_who_waits,
      "bounded:0; start ab acquire; free; a ECANCELED 0; b ECANCELED 0")
SCENE(semaphore, freed_inside_a_call_that_lets_others_run_is_not_touched_again,
      "semaphore:-1; begin a acquire,again; yield; waits a; free; a ECANCELED")
SCENE(semaphore, is_used_without_waiting_in_callbacks_and_nowhere_else,
      "semaphore:1; callback acquire WEIR_ENOTTASK; callback try; "
      "start a acquire; callback release; a; thread semaphore:1 EPERM; "
      "thread acquire EPERM; thread try EPERM; thread release EPERM; value 0")
SCENE(semaphore, may_be_freed_after_its_loop_which_ended_the_wait,
      "semaphore:0; start a acquire; leave; a ECANCELED; release; value 1")
