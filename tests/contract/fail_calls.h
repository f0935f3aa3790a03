/*
 * System calls that fail.
 *
 * The kernel reports a temporary lack of memory or space as an error. A test
 * chooses the call, the error and when the failures start; they last until the
 * end of the test.
 */
#ifndef WEIR_TESTS_CONTRACT_FAIL_CALLS_H
#define WEIR_TESTS_CONTRACT_FAIL_CALLS_H

#include <stdint.h>

/* Makes the system call with this number fail from now on, in the calling
 * thread and in threads that it creates. */
void fail_calls(uint32_t number, uint32_t error);
/* Like fail_calls(), but only if argument @index, counted from 0, is this small
 * number. */
void fail_calls_of(uint32_t number, uint32_t index, uint32_t value,
                   uint32_t error);

#endif
