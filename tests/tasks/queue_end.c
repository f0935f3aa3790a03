/*
 * Queues: what weir/sync.h promises about their end and about wrong uses.
 *
 * Both kinds of shutdown, draining and freeing end all waits, and no item is
 * lost.
 */
#include "scenes.h"

/* Only a queue that is shut can be drained. Items that are in are still given,
 * and nothing is put although there is room. */
SCENE(queue_end, shut_down_takes_nothing_in_and_gives_out_what_is_there,
      "queue:2; take ENOENT; put_nowait:0; take ENOENT; put_nowait:1; "
      "begin p put:2; start j join; shutdown; p WEIR_EQUEUESHUTDOWN; "
      "put_nowait:3 WEIR_EQUEUESHUTDOWN; put:3 WEIR_EQUEUESHUTDOWN; get 0; "
      "put_nowait:3 WEIR_EQUEUESHUTDOWN; get_nowait 1; "
      "get WEIR_EQUEUESHUTDOWN; get_nowait WEIR_EQUEUESHUTDOWN; settle; "
      "waits j; task_done; task_done; j")
SCENE(queue_end, shut_down_tells_getters_when_it_is_empty,
      "queue:2; begin a get; start bc get; put_nowait:0; shutdown; shutdown; "
      "a 0; b WEIR_EQUEUESHUTDOWN; c WEIR_EQUEUESHUTDOWN")
SCENE(queue_end, shut_down_at_once_gives_nothing_out_but_by_drain,
      "queue:4; put_nowait:0; put_nowait:1; put_nowait:2; put_nowait:3; get 0; "
      "start j join; shutdown_now; get WEIR_EQUEUESHUTDOWN; "
      "get_nowait WEIR_EQUEUESHUTDOWN; put_nowait:5 WEIR_EQUEUESHUTDOWN; "
      "settle; waits j; task_done; j; take 1; take 2; take 3; take ENOENT; "
      "task_done ERANGE")
SCENE(queue_end, shut_down_at_once_ends_joins,
      "lifo:2; put_nowait:0; put_nowait:1; begin p put:2; start j join; "
      "shutdown_now; j; p WEIR_EQUEUESHUTDOWN; take 1; take 0; take ENOENT")
SCENE(queue_end, shut_down_twice_may_become_immediate,
      "queue:3; put_nowait:0; put_nowait:1; put_nowait:2; start j join; "
      "shutdown; take 0; settle; waits j; shutdown_now; shutdown; j; "
      "get WEIR_EQUEUESHUTDOWN; take 1; take 2")
SCENE(queue_end, drained_counts_as_dealt_with,
      "queue:1; put_nowait:0; start j join; shutdown; take 0; j")

SCENE(queue_end, freed_wakes_who_waits,
      "queue:1; begin a get; start b get; put_nowait:6; free; a 6; "
      "b ECANCELED 0; queue:1; put_nowait:0; begin p put:1; start j join; "
      "free; p ECANCELED; j ECANCELED")
#define PASS "queue:1; begin a put:0,get,task_done,join,again; yield; "
SCENE(queue_end, freed_inside_a_call_that_lets_others_run_is_not_touched_again,
      PASS "waits a; free; a ECANCELED; " PASS
           "yield; waits a; free; a ECANCELED; " PASS
           "yield; yield; waits a; free; a ECANCELED; " PASS
           "yield; yield; yield; waits a; free; a ECANCELED")

SCENE(queue_end, on_another_thread_is_an_error,
      "queue:2; put_nowait:0; thread queue:1 EPERM; thread put:1 EPERM; "
      "thread put_nowait:1 EPERM; thread get EPERM; thread get_nowait EPERM; "
      "thread join EPERM; thread task_done EPERM; put_nowait:1; shutdown_now; "
      "thread take ENOENT; size 2")
SCENE(queue_end, is_used_without_waiting_in_callbacks,
      "queue:1; callback put:0 WEIR_ENOTTASK; callback get WEIR_ENOTTASK; "
      "callback join WEIR_ENOTTASK; start a get; callback put_nowait:1; a 1; "
      "callback put_nowait:2; callback put_nowait:3 EAGAIN; "
      "callback get_nowait 2")
SCENE(queue_end, without_room_or_order_is_not_made,
      "queue:0 EINVAL; unordered:1 EINVAL; queue:-1 ENOMEM; "
      "queue:2305843009213693951 ENOMEM; queue:1; get_null EINVAL; "
      "get_nowait_null EINVAL")
SCENE(queue_end, may_be_drained_and_freed_after_its_loop_which_ended_the_waits,
      "queue:1; put_nowait:0; begin p put:1; start j join; leave; p ECANCELED; "
      "j ECANCELED; get WEIR_ENOTTASK; shutdown_now; take 0; take ENOENT")
