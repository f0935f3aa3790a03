/*
 * Declarations shared only by the files of this folder.
 *
 * signal.c belongs only to loops that handle signals, the other files to all
 * loops.
 */
#ifndef WEIR_LIB_LOOP_LOOP_IMPL_H
#define WEIR_LIB_LOOP_LOOP_IMPL_H

#include "loop.h"

/* Maximum number of attempts at work that normally ends by itself. */
#define WR_LOOP_SUBMITS_MAX 1000u

WEIR_MUST_USE int wr_loop_bind(weir_loop *loop);

/* Returns 0, or the error that broke the ring. */
WEIR_MUST_USE int wr_loop_turn(weir_loop *loop);

void wr_moves_init(struct wr_moves *moves);
/* Restores the signal mask. Called before anything else runs. */
void wr_moves_restore_signals(weir_loop *loop);

void wr_loop_run_ready(weir_loop *loop);
void wr_loop_run_turn_ends(weir_loop *loop);

/* Sets the budget of tasks that are entered from now on. */
static inline void wr_loop_set_calls(weir_loop *loop, bool is_crowded)
{
    const uint32_t given = is_crowded ? WR_TASK_CALLS_CROWDED : WR_TASK_CALLS;
    loop->given_calls =
        (struct wr_task_calls){.given = given, .left = (int32_t)given - 1};
}

WEIR_MUST_USE int wr_loop_submit_all(weir_loop *loop);

void wr_loop_end_modules(weir_loop *loop, enum wr_end_step step);
/* Ends the wait of one task that no event can wake, if there is such a task. */
void wr_loop_give_up(weir_loop *loop);
void wr_loop_close_modules(weir_loop *loop);

WEIR_MUST_USE int wr_posts_open(weir_loop *loop, uint32_t limit);
/* Arms the read of the mailbox: from now on a post wakes the loop. */
void wr_posts_arm(weir_loop *loop);
/* Returns the number of this thread's last post, or 0 if all have run. */
WEIR_MUST_USE uint64_t wr_posts_own_pending(const weir_loop *loop);
void wr_posts_run_own(weir_loop *loop, uint64_t number);

void wr_alarm_init(weir_loop *loop);
/* Returns the time-out of an enter, in ns, for timers due at @deadline_ns
 * (UINT64_MAX if there are none). Returns UINT64_MAX if the enter needs no
 * time-out, perhaps because the alarm ends the wait. */
WEIR_MUST_USE uint64_t wr_alarm_wait(weir_loop *loop, uint64_t deadline_ns);

void wr_notices_init(weir_loop *loop);
void wr_notices_add(weir_loop *loop, enum wr_notice which);
static inline void wr_notices_go_on(weir_loop *loop)
{
    bool is_due = false;

    for (int i = 0; i < WR_NOTICES; i++) {
        is_due |= loop->notices.states[i] == WR_NOTICE_DUE;
    }
    if (is_due && loop->exception_hook) {
        wr_ready_push(&loop->ready, &loop->notices.ready);
    }
}

void wr_host_open(weir_loop *loop);
void wr_host_begin_run(weir_loop *loop);
void wr_host_end_run(weir_loop *loop);

WEIR_MUST_USE int wr_callbacks_open(weir_loop *loop);

void wr_loop_init_trim(weir_loop *loop);

#endif
