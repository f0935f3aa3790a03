/*
 * A loop on the fake machine, and tasks on it.
 *
 * TASK() makes both, runs the test's body as the main task and ends them;
 * rig_run() does the same for a function. Time passes only while the loop
 * waits, so sleeps take no real time and their order is exact. The machine
 * fails if anything is left when it stops.
 */
#ifndef WEIR_TESTS_TASKS_RIG_H
#define WEIR_TESTS_TASKS_RIG_H

#include "tests/fake/fake.h"
#include "tests/walk.h"
#include "weir/error.h"
#include "weir/inspect.h"
#include "weir/task.h"

#include <errno.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

extern weir_loop *loop;

void rig_start(void);
void rig_stop(void);

/* Runs @fn as the main task of the loop; its result. */
int rig_main(weir_task_fn *fn, void *arg);
/* As rig_main(), between rig_start() and rig_stop(). */
int rig_run(weir_task_fn *fn, void *arg);

/* Frees the loop, in which @fn has left tasks; fake_stop() is for the test. */
void rig_leave(weir_task_fn *fn, void *arg);

/* The memory of loops in what follows: all of it comes back. */
extern struct test_allocator rig_memory;

void rig_start_counted(void);
int rig_run_counted(weir_task_fn *fn, void *arg);
/* Expects that @fn returns 0 on each round of a walk (walk.h). */
uint64_t rig_walk(weir_task_fn *fn, void *arg);

/* The other tasks come to where they wait. */
void settle(void);

/* The notes of a test, in order. */
extern char notes[256];

void note(const char *text);
/* The other tasks come to where they wait; the notes are this then. */
void expect_settled(const char *expected);

/* A test's body as a main task, for rig_main(): @arg points to it. */
int rig_call(weir_loop *on, void *arg);
/* Runs the body of a TASK(). */
void rig_run_body(void (*body)(void));

/* Starts a task that must start. */
weir_task *rig_spawn(weir_task_fn *fn, void *arg);

/* Waits for a task that must not fail; its result. */
int rig_join(weir_task *task);
/* Cancels a task and waits for it; its result. */
int rig_cancel(weir_task *task);
struct weir_loop_statistics rig_statistics(void);

#endif
