/*
 * A process that may make no thread, as a service whose limit is reached: by
 * RLIMIT_NPROC, which does not hold for root, or by the limit of a group of
 * processes (pids.max, which is TasksMax of systemd), which does.
 *
 * The limit is lifted before the test ends: the check for leaks makes a thread.
 */
#ifndef WEIR_TESTS_CONTRACT_SHORTAGE_RIG_H
#define WEIR_TESTS_CONTRACT_SHORTAGE_RIG_H

#include "tests/task.h"

enum shortage { OF_PROCESSES, OF_A_GROUP, SHORTAGES };

/* A folder that the test may write to, below /tmp; its name. */
extern char shortage_folder[64];

/* Runs @body as the main task of a loop on which the shortage can begin; skips
 * the test where it cannot be made. */
void shortage_run(enum shortage shortage, task_body_fn *body);

/* No thread can be made from now on; any number can. */
void shortage_begin(void);
void shortage_end(void);

/* How often the loop's exception hook was told of a lack of threads. */
extern int shortage_told;

/* A name in the folder. */
const char *shortage_path(const char *name);

#endif
