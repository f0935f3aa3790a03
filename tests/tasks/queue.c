/*
 * Queues: what weir/sync.h promises about putting, getting and joining.
 *
 * Order, fairness on both sides, and that an item is in one place, whichever
 * task is cancelled. queue_end.c tests their ends.
 */
#include "scenes.h"

#define ROUND                                                                  \
    "put_nowait:0; put_nowait:1; get; put_nowait:2; put_nowait:3; size 3; "    \
    "get_nowait 1; "                                                           \
    "get 2; get 3; get_nowait EAGAIN; "
SCENE(queue, gives_the_first_first, "queue:3; " ROUND ROUND ROUND ROUND ROUND)
SCENE(
    queue, gives_the_last_first_if_told_so,
    "lifo:2; put_nowait:0; put_nowait:1; start a put:2; get 1; get 2; get 0; a")
SCENE(queue, takes_a_null_pointer_like_any_other, "queue:1; put:8; get 8")

/* An item is given to the first getter; a later call is not served before. */
SCENE(queue, serves_getters_first_come_first_served,
      "queue:2; start abc get; notes -; put_nowait:0; size 0; "
      "get_nowait EAGAIN; put_nowait:1; put_nowait:2; put_nowait:3; size 1; "
      "a 0; b 1; c 2; notes abc; get 3")
SCENE(queue, serves_putters_first_come_first_served,
      "queue:2; put_nowait:0; put_nowait:1; put_nowait:2 EAGAIN; "
      "begin a put:2; begin b put:3; settle; notes -; get 0; size 2; "
      "put_nowait:4 EAGAIN; settle; notes a; get_nowait 1; get_nowait 2; "
      "get_nowait 3; a; b; notes ab")

SCENE(queue, cancelled_get_takes_nothing,
      "queue:2; start ab get; cancel a; put_nowait:0; a ECANCELED 0; b 0")
SCENE(queue, cancelled_after_it_was_given_something_keeps_it,
      "queue:2; start a get; put_nowait:5; cancel a; a 5 ECANCELED")
SCENE(queue, cancelled_put_puts_nothing,
      "queue:1; put_nowait:0; begin a put:1; start b put:2; cancel a; get 0; "
      "a ECANCELED 0; b; get 2; get_nowait EAGAIN")
SCENE(queue, cancelled_after_it_has_put_something_has_put_it,
      "queue:1; put_nowait:0; start a put:1; get 0; cancel a; a 0 ECANCELED; "
      "get 1")
SCENE(queue, waited_for_too_long_times_out,
      "queue:1; late get; put_nowait:0; size 1; late put:1; late join; get 0; "
      "size 0")

/* Putting changes nothing for tasks that were woken. */
SCENE(queue, join_waits_until_all_that_was_put_is_dealt_with,
      "queue:4; join; task_done ERANGE; put_nowait:0; put_nowait:1; "
      "begin a join; begin b join; get 0; get 1; settle; task_done; settle; "
      "notes -; task_done; put_nowait:2; a; b; notes ab; get 2; task_done; "
      "task_done ERANGE")
SCENE(
    queue, join_counts_what_went_from_hand_to_hand,
    "queue:1; start g get; put_nowait:0; put_nowait:1; start p put:2; "
    "begin j join; get 1; get 2; settle; waits j; task_done; settle; waits j; "
    "task_done; settle; waits j; task_done; g 0; p; j")
SCENE(queue, cancelled_join_leaves_the_others,
      "queue:1; put_nowait:0; start ab join; cancel a; a ECANCELED; task_done; "
      "cancel b; b 0 ECANCELED")
