/*
 * Waiting for another thread of the program to wait.
 *
 * That a thread waits in the kernel is an event like others, though nothing
 * tells of it: /proc does when it is asked. A test that has to act while a
 * thread waits asks until it does, and so needs no time that may be too short.
 */
#ifndef WEIR_TESTS_CONTRACT_ASLEEP_H
#define WEIR_TESTS_CONTRACT_ASLEEP_H

#include <stdbool.h>
#include <sys/types.h>

/* Returns once the thread, named by its gettid(), waits for something other
 * than a processor; false when it has ended or did not wait within a minute. */
bool wait_until_asleep(pid_t thread);
/* Returns once all other threads of the process wait; false: not within a
 * minute. A child that is forked then finds no lock that one of them had, those
 * of a sanitizer among them. */
bool wait_until_others_sleep(void);

#endif
