/*
 * Waiting for locked memory that closed rings give back.
 *
 * Some kernels charge rings to RLIMIT_MEMLOCK until 5 to 15 ms after they were
 * closed or their process was killed, so a restarted program finds less memory
 * than there will be. A ring that is being opened sleeps a millisecond and asks
 * again. Counted, not timed: on a busy machine the kernel is late, too.
 */
#ifndef WEIR_URING_LOCKED_H
#define WEIR_URING_LOCKED_H

#include <stdbool.h>
#include <stdint.h>

/* Sleeps of one ring: until smaller sizes are tried, and in total. Before this
 * process has closed a ring, only one that was killed can have left some, and
 * the limit is too low as a rule: the total is lower then. */
#define WR_LOCKED_WAITS_FOR_SIZE 100u
#define WR_LOCKED_WAITS_AT_FIRST 100u
#define WR_LOCKED_WAITS          1000u

/* Sleeps, and counts that in @waits. False: @err is another error, the limit of
 * sleeps is reached, or another ring of this process has slept in vain. */
bool wr_locked_wait(int err, uint32_t *waits, uint32_t limit);

/* A ring of this process was closed: the next one may wait again. */
void wr_locked_given_back(void);

#endif
