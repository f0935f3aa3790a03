/*
 * Waits until another thread of the program waits.
 *
 * No event reports that a thread waits in the kernel, but /proc shows it. A
 * test that must act while a thread waits polls /proc until it does, and so
 * needs no delay that may be too short.
 */
#ifndef WEIR_TESTS_CONTRACT_ASLEEP_H
#define WEIR_TESTS_CONTRACT_ASLEEP_H

#include <stdbool.h>
#include <sys/types.h>

/* Returns true once the thread, named by its gettid(), waits for something
 * other than a processor. Returns false if it has ended, or after a minute. */
bool wait_until_asleep(pid_t thread);
/* Returns true once all other threads of the process wait, or false after a
 * minute. A child that is forked then inherits no lock that one of them held,
 * for example a sanitizer's. */
bool wait_until_others_sleep(void);

#endif
