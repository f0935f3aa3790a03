/*
 * Waiting for several futures at once: weir_wait().
 *
 * A worker waits. The main task sets results and checks when and with what the
 * wait returns; the futures must not be changed.
 */
#include "scenes.h"

#define THREE "future:0; future:1; future:2; "

SCENE(wait, for_all_returns_when_all_are_done,
      THREE
      "start w all:-1; give:0:EIO; give:1:1; settle; waits w; give:2:1; w 3 0")
SCENE(wait, for_the_first_returns_when_one_is_done,
      THREE "start w first:-1; give:1:1; w 1; done:0 0; " THREE
            "start w first:-1; give:1:EIO; give:2:1; w 2")
SCENE(wait, for_an_error_returns_with_the_first_or_when_all_are_done,
      THREE
      "start w failed:-1; give:1:1; settle; waits w; give:0:EIO; w 2; " THREE
      "start w failed:-1; give:0; settle; waits w; give:1; settle; waits w; "
      "give:2; w 3")
SCENE(wait, that_need_not_wait_returns_without_suspending,
      "at_once all:-1 0; future:0; future:1; give:0:EIO; give:1:1; "
      "at_once all:-1 2; future:2; at_once all:0 2; at_once failed:-1 2; "
      "at_once first:1 2")
SCENE(wait, returns_how_many_are_done_when_the_time_is_over,
      THREE "give:0; since; all:4 1; elapsed 4; done:1 0; yield; cancelling 0")
SCENE(wait, that_is_cancelled_leaves_the_futures_alone,
      THREE "start w first:-1; cancel w; give:0; cancel w; w ECANCELED 0; "
            "done:1 0; " THREE
            "start w first:-1; give:0; cancel w; w 1 ECANCELED")
/* Futures that lost their last reference count as done. */
SCENE(wait, counts_the_same_future_as_often_as_it_is_there,
      THREE "start w all:-1; give:0; alias:1:0; alias:2:0; w 3; future:0; "
            "alias:1:0; future:2; "
            "give:2; all:0 1; give:0; all:0 3")
