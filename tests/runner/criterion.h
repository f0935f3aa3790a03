/*
 * Criterion, with a failed assertion that ends the process of its test.
 *
 * Criterion jumps back to where the test began. Bodies of tests run on stacks
 * of tasks, in threads and in forked children, out of which no jump leads
 * there: so the assertion is sent to the runner, and the process exits with 1,
 * which fails the test, too. A child is not known to the runner: what it
 * asserts it prints, and its parent sees how it ended.
 */
#ifndef WEIR_TESTS_RUNNER_CRITERION_H
#define WEIR_TESTS_RUNNER_CRITERION_H

#include <criterion/criterion.h>

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

void runner_send_assert(struct criterion_assert_stats *stats);
_Noreturn void runner_end_failed(void);

/* The macros of the header above mean these from here on. */
#define criterion_send_assert runner_send_assert
#define criterion_abort_test  runner_end_failed

#endif
