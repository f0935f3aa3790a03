/*
 * Futures in the order in which they are done: weir_as_completed_begin() and
 * its calls.
 *
 * The main task takes them, or a worker does while the main task sets results;
 * the worker records their indexes in order.
 */
#include "scenes.h"

#define FOUR "future:0; future:1; future:2; future:3; each; "
#define TAKE "start w next,note_last,again; "

/* Two come in one turn. */
SCENE(as_completed, gives_futures_in_the_order_in_which_they_are_done,
      FOUR TAKE
      "notes -; give:2:5; settle; notes 2; give:3:EIO; give:0; settle; "
      "notes 230; give:1; w ENOENT; notes 2301w; result:2 5; next ENOENT; "
      "each_end")
SCENE(as_completed, gives_those_that_are_done_first_without_suspending,
      "each; at_once next ENOENT; each_end; future:0; future:1; give:1:1; "
      "future:2; give:2:EIO; each; give:0; at_once next 1; at_once next 2; "
      "at_once next 0; at_once next ENOENT; each_end")
SCENE(as_completed, gives_tasks_as_they_end,
      "begin a sleep:30; begin b sleep:10; begin c sleep:20; alias_task:0:a; "
      "alias_task:1:b; alias_task:2:c; each; next 1; next 2; next 0; each_end; "
      "a; b; c")
/* What is given then is not for the task that was cancelled before. */
SCENE(as_completed, cancelled_leaves_the_futures_alone_and_can_go_on,
      FOUR TAKE
      "cancel w; give:1; w ECANCELED; notes w; done:0 0; next 1; each_end")
SCENE(as_completed, cancelled_after_it_was_given_one_keeps_it,
      FOUR "start w next; give:3; cancel w; w 3 ECANCELED; each_end")
SCENE(as_completed, has_the_time_limit_of_the_scope_around_it,
      FOUR "give:2; timed next=2,next ETIMEDOUT; give:0; next 0; each_end")
SCENE(as_completed, gives_a_future_as_often_as_it_is_named,
      "future:0; alias:1:0; each; give:0; unref:0; unref:1; next 0; next 1; "
      "each_end")
SCENE(as_completed, gives_one_that_lost_its_last_reference,
      "future:0; each; unref:0; next 0; each_end")
/* One task at a time; and a second end does nothing. */
SCENE(as_completed, ended_wakes_who_waits_and_forgets_the_futures,
      FOUR "start ab next; b EBUSY 0; each_end; give:0; a ECANCELED 0; next "
           "ESTALE; each_end")
SCENE(as_completed, in_the_wrong_place_is_an_error,
      "next ESTALE; each_end; each_null EINVAL; next EINVAL; each_end; " FOUR
      "callback next WEIR_ENOTTASK; thread next EPERM; "
      "thread each_elsewhere EPERM; give:1; next 1; each_end")
SCENE(as_completed, ended_after_its_loop_which_ended_the_wait,
      FOUR TAKE "leave; w ECANCELED; cancel_future:1 1; each_end")
