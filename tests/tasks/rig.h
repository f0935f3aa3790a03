/*
 * A loop on the fake machine, and tasks on it.
 *
 * rig_run() makes both, runs a function as the main task and ends them; the
 * test's body is that function. Time passes only while the loop waits, so
 * sleeps cost nothing and their order is exact. Nothing may be left when the
 * machine stops: it says so itself.
 */
#ifndef WEIR_TESTS_TASKS_RIG_H
#define WEIR_TESTS_TASKS_RIG_H

#include "tests/fake/fake.h"
#include "tests/unit.h"
#include "weir.h"

#include <errno.h>

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

static weir_loop *loop;

static inline void rig_start(void)
{
    static const struct fake_options machine = {.seed = 1};
    fake_start(&machine);
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
}

static inline void rig_stop(void)
{
    cr_assert_geq(weir_loop_free(loop), 0);
    fake_stop();
}

/* Runs @fn as the main task of the loop; its result. */
static inline int rig_main(weir_task_fn *fn, void *arg)
{
    int result = 1;
    cr_assert_eq(weir_loop_run_task(loop, fn, arg, &result), 0);
    return result;
}

static inline int rig_run(weir_task_fn *fn, void *arg)
{
    rig_start();
    int result = rig_main(fn, arg);
    rig_stop();
    return result;
}

/* Starts a task that must start. */
static inline weir_task *rig_spawn(weir_task_fn *fn, void *arg)
{
    weir_task *task = NULL;
    cr_assert_eq(weir_task_spawn(loop, fn, arg, NULL, &task), 0);
    return task;
}

/* Waits for a task that must not fail; its result. */
static inline int rig_join(weir_task *task)
{
    int result = 1;
    cr_assert_eq(weir_task_join(task, &result), 0);
    return result;
}

static inline struct weir_loop_statistics rig_statistics(void)
{
    struct weir_loop_statistics result;
    weir_loop_get_statistics(loop, &result);
    return result;
}

#endif
