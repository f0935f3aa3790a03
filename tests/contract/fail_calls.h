/*
 * System calls that fail.
 *
 * A kernel that has no memory or no room for a moment says so by an error. Here
 * a test chooses the call, the error and the time at which this begins; it
 * lasts until the end of the test.
 */
#ifndef WEIR_TESTS_CONTRACT_FAIL_CALLS_H
#define WEIR_TESTS_CONTRACT_FAIL_CALLS_H

#include <stdint.h>

/* From now on the system call with this number fails in the calling thread, and
 * in those that it makes. */
void fail_calls(uint32_t number, uint32_t error);
/* Only if argument number @index, from 0 on, is this small number. */
void fail_calls_of(uint32_t number, uint32_t index, uint32_t value,
                   uint32_t error);

#endif
