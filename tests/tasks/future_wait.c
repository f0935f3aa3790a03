/*
 * Waiting for a future: weir_future_await(), weir_future_shield() and
 * weir_wait_for(), and which result counts when results, cancellations and
 * timeouts come in the same iteration.
 */
#include "scenes.h"

/* An error of the future is its result. */
SCENE(future_wait, that_is_done_is_returned_without_suspending,
      "future:0; give:0:EPIPE; at_once await:0=0,got EPIPE; at_once shield:0; "
      "at_once wait_future:0:0")
/* The wait lasts until the future is done; each interruption cancels it. */
SCENE(future_wait, is_cancelled_with_the_task_that_awaits_it,
      "slow:0; start w await:0=ECANCELED,got; cancel w; cancels:0 1; "
      "sleep:1000; waits w; cancel w; cancels:0 2; give:0:ECANCELED; "
      "w ECANCELED 0")
SCENE(future_wait, that_has_another_result_after_its_cancellation_returns_it,
      "slow:0; start w await:0=0,got; cancel w; give:0:8; w 8 ECANCELED")
SCENE(future_wait, that_was_cancelled_does_not_cancel_who_awaits_it,
      "future:0; start w await:0=0,got; cancel_future:0 1; w ECANCELED 0")
SCENE(future_wait, keeps_a_result_that_was_there_before_the_cancellation,
      "future:0; start w await:0=0,got; give:0:3; cancel w; w 3 ECANCELED; "
      "future:0; start w shield:0=0,got; give:0:3; cancel w; w 3 ECANCELED")
SCENE(future_wait, comes_too_late_after_the_cancellation_in_the_same_turn,
      "future:0; start w await:0; cancel w; give:0:3 ESTALE; w ECANCELED 0; "
      "future:0; start w shield:0; cancel w; give:0:3; w ECANCELED 0")
SCENE(future_wait, delivers_two_cancellations_of_one_turn_as_one,
      "future:0; start a await:0; start b shield:0; cancel baba; "
      "a ECANCELED 0; b ECANCELED 0")
SCENE(future_wait,
      delivers_a_second_cancellation_with_the_first_until_it_is_heard,
      "slow:0; start w await:0; cancel w; yield; give:0:ECANCELED; cancel w; "
      "w ECANCELED 0")
/* A result that was there before is given. */
SCENE(future_wait, takes_a_cancellation_that_was_not_delivered_yet,
      "future:0; give:0:5; future:1; cancel_self; await:0=ECANCELED,got 5; "
      "yield; cancel_self; await:1 ECANCELED; result:1 ECANCELED; yield; "
      "future:1; cancel_self; shield:1 ECANCELED; done:1 0; yield")
SCENE(future_wait, may_be_freed_by_its_own_cancellation,
      "fleeting:0; start w await:0; cancel w; w ECANCELED; fleeting:0; "
      "cancel_self; await:0 ECANCELED")
SCENE(future_wait, that_is_shielded_goes_on_when_the_task_is_cancelled,
      "slow:0:ECANCELED; start w shield:0; cancel w; w ECANCELED; cancels:0 0; "
      "give:0:1")
SCENE(future_wait, that_is_done_lets_other_tasks_run_now_and_then,
      "future:0; give:0; begin w await:0; await:0,again:3000; notes w; w")

SCENE(wait_for, cancels_the_future_when_the_time_is_over,
      "slow:0:ECANCELED; since; wait_future:0:3=ETIMEDOUT,got ECANCELED; "
      "elapsed 3; cancels:0 1; result:0 ECANCELED; cancelling 0; yield; "
      "future:1; wait_future:1:0 ETIMEDOUT; result:1 ECANCELED")
/* The end of the future is waited for. */
SCENE(wait_for, returns_what_a_stubborn_future_came_to,
      "slow:0; give_later:0:9; wait_future:0:3=0,got 21; cancels:0 1; yield")
SCENE(wait_for, returns_a_result_that_comes_in_time,
      "slow:0; give_later:0:2; wait_future:0:-1=0,got 21; slow:1; "
      "give_later:1:2; wait_future:1:3; sleep:5; cancels:1 0")
SCENE(wait_for, is_cancelled_when_the_time_is_over_after_a_cancellation,
      "slow:0; start w wait_future:0:5; sleep:2; cancel w; sleep:8; "
      "cancels:0 2; give:0:ECANCELED; w ECANCELED")
SCENE(wait_for, is_cancelled_when_a_cancellation_follows_the_time_out,
      "slow:0; start w wait_future:0:5; sleep:8; cancels:0 1; cancel w; "
      "give:0:ECANCELED; w ECANCELED")
