/*
 * A loop and its tasks, on any machine; see rig.h.
 *
 * This file does not use the fake machine, so that tests on a real ring can use
 * it, too.
 */
#include "tests/tasks/rig.h"
#include "tests/statistics.h"

weir_loop *loop;

int rig_main(weir_task_fn *fn, void *arg)
{
    int result = 1;
    cr_assert_eq(weir_loop_run_task(loop, fn, arg, &result), 0);
    return result;
}

int rig_call(weir_loop *on, void *arg)
{
    void (*const *body)(void) = (void (*const *)(void))arg;

    cr_assert_eq(on, loop);
    (*body)();
    return 0;
}

void settle(void)
{
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(weir_yield(loop), 0);
    }
}

char notes[256];

void note(const char *text)
{
    cr_assert_lt(strlen(notes) + strlen(text), sizeof(notes));
    strcat(notes, text);
}

void expect_settled(const char *expected)
{
    settle();
    expect_str_eq(notes, expected);
}

weir_task *rig_spawn(weir_task_fn *fn, void *arg)
{
    weir_task *task = NULL;
    cr_assert_eq(weir_task_spawn(loop, fn, arg, NULL, &task), 0);
    return task;
}

int rig_join(weir_task *task)
{
    int result = 1;
    cr_assert_eq(weir_task_join(task, &result), 0);
    return result;
}

int rig_cancel(weir_task *task)
{
    cr_assert(weir_task_cancel(task));
    return rig_join(task);
}

struct weir_loop_statistics rig_statistics(void)
{
    return statistics_of(loop);
}
