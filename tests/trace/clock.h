/*
 * Runs a loop on the fake ring for a given time.
 *
 * The fake clock moves only while the loop waits, so a test says how much time
 * passes.
 */
#ifndef WEIR_TESTS_TRACE_CLOCK_H
#define WEIR_TESTS_TRACE_CLOCK_H

#include <stdint.h>
#include <weir/loop.h>

/* Runs the loop until this much time has passed. */
void clock_run_for(weir_loop *loop, uint64_t time_ns);

#endif
