/*
 * A process that cannot create threads, like a service at its limit: with
 * RLIMIT_NPROC, which does not apply to root, or with the pids.max limit of a
 * cgroup (TasksMax of systemd), which does.
 *
 * The limit is lifted before the test ends, because the check for leaks creates
 * a thread.
 */
#ifndef WEIR_TESTS_CONTRACT_SHORTAGE_RIG_H
#define WEIR_TESTS_CONTRACT_SHORTAGE_RIG_H

#include "tests/task.h"

enum shortage { OF_PROCESSES, OF_A_GROUP, SHORTAGES };

extern char shortage_folder[64];

/* Runs @body as the main task of a loop in which the shortage can be started;
 * skips the test if it cannot. */
void shortage_run(enum shortage shortage, task_body_fn *body);

void shortage_begin(void);
void shortage_end(void);

extern int shortage_told;

const char *shortage_path(const char *name);

#endif
