/*
 * Waiting for the locked memory of closed rings.
 *
 * Some kernels charge rings to RLIMIT_MEMLOCK until 5 to 15 ms after they were
 * closed or their process was killed, so a restarted program finds too little
 * memory at first. Opening a ring sleeps a millisecond and tries again. Sleeps
 * are counted, not timed, because on a busy machine the kernel is late too.
 */
#ifndef WEIR_URING_LOCKED_H
#define WEIR_URING_LOCKED_H

#include <stdbool.h>
#include <stdint.h>

/* Sleeps of one ring: until smaller sizes are tried, and in total. The total is
 * lower before this process has closed a ring: then only a killed process can
 * have left memory charged, and usually the limit is too low. */
#define WR_LOCKED_WAITS_FOR_SIZE 100u
#define WR_LOCKED_WAITS_AT_FIRST 100u
#define WR_LOCKED_WAITS          1000u

/* Sleeps and increments @waits. Returns false if @err is another error, @limit
 * is reached, or another ring has used up its sleeps without success. */
bool wr_locked_wait(int err, uint32_t *waits, uint32_t limit);

/* Called when a ring of this process was closed: others may wait again. */
void wr_locked_given_back(void);

#endif
