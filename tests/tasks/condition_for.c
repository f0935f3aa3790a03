/*
 * Conditions: what weir/sync.h promises about waiting for a predicate.
 *
 * The predicate is true when a number has reached a value. It counts its calls,
 * and checks each time that the lock is held.
 */
#include "scenes.h"

#define MAKE "lock; condition; goal:"
#define WAIT "acquire=0,wait_for,release=0"
#define RAISE(n, woken)                                                        \
    "acquire,raise:" #n ",notify:-1,release=0 " #woken "; settle; "

SCENE(condition_for, a_predicate_that_holds_is_not_waited_for,
      MAKE "0; at_once " WAIT "; asked 1")
SCENE(condition_for, the_wait_goes_on_until_the_predicate_holds,
      MAKE "2; start a " WAIT
           "; asked 1; locked 0; " RAISE(0, 1) "asked 2; " RAISE(
               1, 1) "waits a; " RAISE(1, 1) "notes a; asked 4; a 0 0")
SCENE(condition_for, a_cancelled_wait_has_the_lock_and_asks_no_more,
      MAKE "1; start a " WAIT "; cancel a; a ECANCELED 0; asked 1")
SCENE(condition_for, a_task_that_was_cancelled_before_does_not_ask,
      MAKE "0; acquire=0,cancel_self=0,wait_for,release=0 ECANCELED; asked 0")
SCENE(condition_for, a_wait_that_takes_too_long_times_out_with_the_lock,
      MAKE "1; late " WAIT)
SCENE(condition_for, the_freed_condition_ends_the_wait,
      MAKE "1; start ab " WAIT
           "; acquire; notify:1 1; free; release; a ECANCELED; b ECANCELED; "
           "asked 2")
SCENE(condition_for, the_loops_end_ends_the_wait,
      MAKE "1; start ab acquire=0,wait_for; leave; a ECANCELED; b ECANCELED; "
           "asked 2; free; "
           "free_lock")
SCENE(condition_for, in_the_wrong_place_it_is_an_error,
      MAKE "0; wait_for EPERM; acquire=0,wait_null,release=0 EINVAL; "
           "callback wait_for WEIR_ENOTTASK; thread wait_for EPERM; asked 0")
