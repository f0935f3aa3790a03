/*
 * The inside that the files of this room share, and that no other includes.
 *
 * loop_new.c and loop_end.c are the beginning and the end of a loop, loop.c
 * makes turns and runs of turns. alarm.c, callback.c, signal.c, remote.c and
 * trim.c are the modules that every loop has, module.c is the list of all
 * modules, and call.c calls functions of the program.
 */
#ifndef WEIR_LIB_LOOP_LOOP_IMPL_H
#define WEIR_LIB_LOOP_LOOP_IMPL_H

#include "loop.h"

/* Tries before giving up on work that ends by itself sooner or later. */
#define WR_LOOP_SUBMITS_MAX 1000u

/* Makes the calling thread the owner; 0 if it is already. */
WEIR_MUST_USE int wr_loop_bind(weir_loop *loop);

/* One turn: 0, or the error that ended the ring. */
WEIR_MUST_USE int wr_loop_turn(weir_loop *loop);

/* Runs the items that are in the ready queue at the time of the call, or as
 * many as a turn may. */
void wr_loop_run_ready(weir_loop *loop);

/* How many calls a task gets that is entered from now on. @is_crowded: the last
 * turn was long, and left work. */
static inline void wr_loop_set_calls(weir_loop *loop, bool is_crowded)
{
    const uint32_t given = is_crowded ? WR_TASK_CALLS_CROWDED : WR_TASK_CALLS;
    loop->calls =
        (struct wr_task_calls){.given = given, .left = (int32_t)given - 1};
}

/* Hands over all entries: the kernel may take only some, when memory is short.
 */
WEIR_MUST_USE int wr_loop_submit_all(weir_loop *loop);

/* module.c */

/* Takes one step of the end in all modules, in the order of their joining. */
void wr_loop_end_modules(weir_loop *loop, enum wr_end_step step);
/* Ends the wait of one task that nothing from outside can wake, if any. */
void wr_loop_give_up(weir_loop *loop);
void wr_loop_close_modules(weir_loop *loop);

/* remote.c */

/* Makes the mailbox, for @limit posts at most. */
WEIR_MUST_USE int wr_posts_open(weir_loop *loop, uint32_t limit);
/* The ring is enabled: from now on a post wakes the loop. */
void wr_posts_arm(weir_loop *loop);
/* The number of the last post of the loop's own thread that has not run, or 0.
 */
WEIR_MUST_USE uint64_t wr_posts_own_pending(const weir_loop *loop);
/* Runs what was posted up to that number. */
void wr_posts_run_own(weir_loop *loop, uint64_t number);

/* alarm.c */

void wr_alarm_init(weir_loop *loop);
/* How long an enter may wait when timers are due at @deadline_ns, UINT64_MAX
 * for never. An operation may end the wait then instead of the enter. */
WEIR_MUST_USE uint64_t wr_alarm_wait(weir_loop *loop, uint64_t deadline_ns);

/* host.c */

void wr_host_open(weir_loop *loop);
/* A run begins: the host needs not be told of what happens. */
void wr_host_begin_run(weir_loop *loop);
/* It has ended: what it did not do makes the descriptor readable, or is seen by
 * wr_ring_has_work(). */
void wr_host_end_run(weir_loop *loop);

/* callback.c */

WEIR_MUST_USE int wr_callbacks_open(weir_loop *loop);

/* trim.c */

void wr_loop_init_trim(weir_loop *loop);

#endif
