/*
 * Criterion, with failed assertions that end the process of their test.
 *
 * Criterion jumps back to the start of the test. This is impossible from a
 * task's stack, a thread or a forked child. So a failed assertion is sent to
 * the runner, and the process exits with 1, which fails the test as well. The
 * runner does not know forked children: they print the assertion, and the
 * parent sees their exit status.
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

/* Redirects the macros of Criterion's header. */
#define criterion_send_assert runner_send_assert
#define criterion_abort_test  runner_end_failed

#endif
