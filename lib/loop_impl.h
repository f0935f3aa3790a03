/*
 * What the two files of the loop share.
 *
 * loop.c turns, loop_life.c begins and ends; the end makes turns too. Nobody
 * else includes this.
 */
#ifndef WEIR_LIB_LOOP_IMPL_H
#define WEIR_LIB_LOOP_IMPL_H

#include "loop.h"

/* Tries before giving up on what ends by itself sooner or later. */
#define WR_LOOP_SUBMITS_MAX 1000u

/* Makes the calling thread the owner; 0 if it is already. */
int wr_loop_bind(weir_loop *loop);

/* One turn: 0, or the error that ended the ring. */
int wr_loop_turn(weir_loop *loop);

/* The ready queue as it stands now. */
void wr_loop_run_ready(weir_loop *loop);

/* Hands over all entries: the kernel may take only some, when memory is short.
 */
int wr_loop_submit_all(weir_loop *loop);

/* The other threads' posts: the eventfd was read, and what it told of. */
void wr_loop_wake_completed(struct wr_op *op, int32_t res, uint32_t flags);
void wr_loop_run_posted(struct wr_ready *ready);

#endif
