/*
 * A test whose body is the main task of a loop.
 *
 * UNIT_IN(suite, name, task_run, weir_loop *loop) runs it with weir_run(). A
 * rig that needs more than the loop has its own function, which passes the
 * address of the body to task_call().
 */
#ifndef WEIR_TESTS_TASK_H
#define WEIR_TESTS_TASK_H

#include "unit.h"

#include <weir/task.h>

typedef void task_body_fn(weir_loop *on);

static inline int task_call(weir_loop *on, void *arg)
{
    (*(task_body_fn **)arg)(on);
    return 0;
}

static inline void task_run(task_body_fn *body)
{
    expect_eq(weir_run(NULL, task_call, &body), 0);
}

#endif
