/*
 * The loop of rig.h on the fake machine.
 *
 * It is made and freed around each test, and the machine is stopped after it,
 * which reports descriptors that are open.
 */
#include "tests/tasks/rig.h"

void rig_start(void)
{
    static const struct fake_options machine = {.seed = 1};
    fake_start(&machine);
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
}

void rig_stop(void)
{
    cr_assert_geq(weir_loop_free(loop), 0);
    fake_stop();
}

int rig_run(weir_task_fn *fn, void *arg)
{
    rig_start();
    int result = rig_main(fn, arg);
    rig_stop();
    return result;
}

void rig_run_body(void (*body)(void))
{
    cr_assert_eq(rig_run(rig_call, &body), 0);
}
