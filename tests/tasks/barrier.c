/*
 * Barriers: what weir/sync.h promises about them.
 *
 * A round has as many tasks as the barrier, without cancelled ones, and each
 * has another position in it.
 */
#include "scenes.h"

SCENE(barrier, lets_all_go_on_when_the_last_one_comes_round_after_round,
      "barrier:3; waiting 0; start ab wait; waiting 2; waits ab; "
      "at_once wait 2; waiting 0; a 0; b 1; start ab wait; waiting 2; "
      "at_once wait 2; a 0; b 1; start ab wait; waits ab; wait 2; waiting 0; "
      "a 0; b 1; notes ababab")
/* No task of the old round has run when the next one begins. */
SCENE(barrier, begins_the_next_round_before_the_old_one_has_run,
      "barrier:2; start a wait; wait 1; begin b wait; wait 0; b 1; a 0")
SCENE(barrier, of_one_never_waits, "barrier:1; wait; wait")
SCENE(barrier, cancelled_leaves_and_the_others_wait_on,
      "barrier:3; start ab wait; cancel a; cancel a; waiting 1; a ECANCELED 0; "
      "waits b; start a wait; wait 2; b 0; a 1")
SCENE(barrier, does_not_count_on_who_was_cancelled_but_has_not_run,
      "barrier:2; start a wait; cancel a; timed wait ETIMEDOUT; a ECANCELED")
SCENE(barrier, cancelled_after_the_round_keeps_its_place,
      "barrier:2; start a wait; wait 1; cancel a; a 0 ECANCELED; waiting 0")
SCENE(barrier, waited_at_too_long_times_out, "barrier:2; late wait; waiting 0")
SCENE(barrier, reset_is_as_new_and_who_waits_is_told,
      "barrier:3; start ab wait; reset; waiting 0; a WEIR_EBROKEN; "
      "b WEIR_EBROKEN; start ab wait; wait 2; a 0; b 1")
SCENE(barrier, aborted_is_broken_until_it_is_reset,
      "barrier:2; start a wait; abort; waiting 0; wait WEIR_EBROKEN; "
      "wait WEIR_EBROKEN; a WEIR_EBROKEN; reset; start a wait; waits a; "
      "wait 1; a")
SCENE(barrier, freed_wakes_who_waits,
      "barrier:3; start ab wait; free; a ECANCELED 0; b ECANCELED 0")
SCENE(barrier, freed_inside_a_call_that_lets_others_run_is_not_touched_again,
      "barrier:1; begin a wait,again; yield; waits a; free; a ECANCELED")
SCENE(barrier, in_the_wrong_place_is_an_error,
      "barrier:0 EINVAL; barrier:2147483648 EINVAL; barrier:2; start a wait; "
      "callback wait WEIR_ENOTTASK; thread wait EPERM; thread barrier:2 EPERM; "
      "waiting 1; callback abort; a WEIR_EBROKEN")
SCENE(barrier, may_be_freed_after_its_loop_which_ended_the_wait,
      "barrier:2; start a wait; leave; a ECANCELED; waiting 0")
