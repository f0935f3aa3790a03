/*
 * Events: what weir/sync.h promises about them.
 *
 * Setting wakes all tasks that wait at that time and no later one. A failed
 * wait has a reason, and a wait that has succeeded does not fail later.
 */
#include "scenes.h"

SCENE(event, set_wakes_all_who_wait_in_their_order,
      "event; is_set 0; start abc wait; notes -; set; is_set 1; notes -; "
      "settle; notes abc; a; b; c")
SCENE(event, that_is_set_is_not_waited_for, "event; set; set; at_once wait")
SCENE(event, cleared_after_set_lets_the_woken_go_on_and_stops_the_next,
      "event; start a wait; set; clear; is_set 0; start b wait; notes a; a; "
      "waits b; set; b")
SCENE(event, cancelled_before_it_is_set_returns_that,
      "event; start ab wait; cancel a; set; a ECANCELED 0; b")
SCENE(event, cancelled_after_it_is_set_cancels_the_next_call,
      "event; start a wait; set; cancel a; a 0 ECANCELED")
SCENE(event, waited_for_too_long_times_out, "event; late wait")
SCENE(event, freed_wakes_who_waits,
      "event; start ab wait; free; a ECANCELED 0; b ECANCELED 0")
/* Now and then the worker lets others run, from within a call. */
SCENE(event, freed_inside_a_call_that_lets_others_run_is_not_touched_again,
      "event; set; begin a wait,again; yield; rounds >1; waits a; free; "
      "a ECANCELED")
SCENE(event, in_the_wrong_place_is_an_error,
      "event; callback wait WEIR_ENOTTASK; thread wait EPERM; "
      "thread event EPERM; set; is_set 1; wait")
SCENE(event, can_be_set_in_a_callback, "event; start a wait; callback set; a")
SCENE(event, may_be_freed_after_its_loop_which_ended_the_wait,
      "event; start a wait; leave; a ECANCELED; set; wait WEIR_ENOTTASK")
