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

void rig_leave(weir_task_fn *fn, void *arg)
{
    rig_start();
    expect_eq(rig_main(fn, arg), 0);
    expect_eq(weir_loop_free(loop), 0);
}

struct test_allocator rig_memory;

static void start_again(void)
{
    static const struct fake_options machine = {.seed = 1};
    fake_start(&machine);
    loop = allocator_make_loop(&rig_memory);
}

void rig_start_counted(void)
{
    allocator_init(&rig_memory);
    start_again();
}

int rig_run_counted(weir_task_fn *fn, void *arg)
{
    rig_start_counted();
    const int result = rig_main(fn, arg);
    rig_stop();
    allocator_check(&rig_memory);
    return result;
}

struct round {
    weir_task_fn *fn;
    void *arg;
};

static void run_round(void *arg)
{
    const struct round *round = arg;
    start_again();
    expect_eq(rig_main(round->fn, round->arg), 0);
    rig_stop();
}

uint64_t rig_walk(weir_task_fn *fn, void *arg)
{
    return walk_allocations(&rig_memory, run_round,
                            &(struct round){.fn = fn, .arg = arg});
}

void rig_run_body(void (*body)(void))
{
    cr_assert_eq(rig_run(rig_call, &body), 0);
}
