/*
 * Tasks that continue while their loop is freed.
 *
 * Each of their calls fails. After a number of calls they are parked: the hook
 * gets their names, tasks that wait for them continue, and the loop ends with
 * all memory freed, including their stacks.
 */
#include "lib/task/task.h"
#include "tests/death.h"

#include "rig.h"

static char names[64];
static uint64_t ticks;

static void note_parked(void *arg, weir_loop *on,
                        const struct weir_exception *exception)
{
    expect_eq(exception->err, -ECANCELED);
    cr_assert_not_null(exception->message);
    strncat(names, weir_task_get_name(exception->task),
            sizeof(names) - strlen(names) - 1);
}

static int tick_for_ever(weir_loop *on, void *arg)
{
    for (;;) {
        if (weir_sleep(on, MS) < 0) {
            ticks++;
        }
    }
    return 0;
}

static void spawn_named(const char *name, weir_task_fn *fn, weir_task **ret)
{
    const struct weir_task_options options = {.size = sizeof(options),
                                              .name = name};
    expect_eq(weir_task_spawn(loop, fn, NULL, &options, ret), 0);
}

static int leave_ticking(weir_loop *on, void *arg)
{
    weir_loop_set_exception_handler(on, note_parked, NULL);
    spawn_named("a", tick_for_ever, NULL);
    spawn_named("b", tick_for_ever, NULL);
    return weir_sleep(on, 5 * MS);
}

/* Makes a loop that counts its memory, runs @fn and frees the loop. */
static void run_to_the_end(weir_task_fn *fn)
{
    rig_start_counted();
    expect_eq(rig_main(fn, NULL), 0);
    expect_geq(weir_loop_free(loop), 0);
    allocator_check(&rig_memory);
    fake_stop();
}

UNIT(parked, a_task_that_ignores_the_end_is_named_and_the_loop_ends)
{
    run_to_the_end(leave_ticking);
    expect_str_eq(names, "ab");
    expect_eq(ticks, 2 * 10001, "the calls before each of the two was parked");
}

/* This task has a group, a time-out and a member when it is parked. */
static int own_for_ever(weir_loop *on, void *arg)
{
    struct weir_task_group group;
    struct weir_timeout limit;

    expect_eq(weir_timeout_begin(on, &limit, 20 * MS), 0);
    expect_eq(weir_task_group_begin(on, &group), 0);
    expect_ok(weir_task_group_spawn(&group, tick_for_ever, NULL, NULL, NULL));
    return tick_for_ever(on, NULL);
}

static int join_ticking(weir_loop *on, void *arg)
{
    weir_task *task;
    int result = 0;
    spawn_named("c", own_for_ever, &task);
    expect_eq(weir_task_join(task, &result), -ECANCELED);
    expect_eq(result, -ECANCELED, "a parked task's result");
    strncat(names, "j", sizeof(names) - strlen(names) - 1);
    return 0;
}

static int leave_joining(weir_loop *on, void *arg)
{
    weir_loop_set_exception_handler(on, note_parked, NULL);
    spawn_named("d", join_ticking, NULL);
    return weir_sleep(on, 5 * MS);
}

UNIT(parked, a_task_ends_for_those_who_wait_for_it)
{
    run_to_the_end(leave_joining);
    expect_str_eq(names, "cj");
}

static weir_task *kept;

static int keep_ticking(weir_loop *on, void *arg)
{
    spawn_named("k", tick_for_ever, &kept);
    return weir_sleep(on, 5 * MS);
}

UNIT(parked, a_handle_of_it_may_be_given_back_after_the_loop)
{
    rig_leave(keep_ticking, NULL);
    cr_assert(weir_future_is_done(weir_task_get_future(kept)));
    cr_assert_not(weir_task_cancel(kept));
    weir_task_unref(kept);
    fake_stop();
}

UNIT_ABORTS(parked, tasks_are_never_entered_again,
            "task->state & wr_task_edges(state)")
{
    weir_task task = {.state = WR_TASK_PARKED};
    wr_task_set_state(&task, WR_TASK_RUNNING);
}

static struct weir_timeout limit;

static void move_the_limit(void *arg, weir_loop *on,
                           const struct weir_exception *exception)
{
    expect_eq(
        weir_timeout_reschedule(&limit, weir_loop_get_time(on) + 1000 * MS),
        -ESTALE);
    ticks++;
}

static int tick_in_a_scope(weir_loop *on, void *arg)
{
    expect_eq(weir_timeout_begin(on, &limit, 1000 * MS), 0);
    return tick_for_ever(on, arg);
}

static int leave_ticking_in_a_scope(weir_loop *on, void *arg)
{
    weir_loop_set_exception_handler(on, move_the_limit, NULL);
    spawn_named("scoped", tick_in_a_scope, NULL);
    return weir_sleep(on, 5 * MS);
}

UNIT(parked, the_scope_of_a_parked_task_is_not_moved)
{
    run_to_the_end(leave_ticking_in_a_scope);
    expect_gt(ticks, 0);
}

static int fail_when_the_loop_is_freed(weir_loop *on, void *arg)
{
    expect_eq(weir_sleep(on, 1000 * MS), -ECANCELED);
    for (uint32_t i = 0; i < WR_TASK_REFUSALS_MAX - 1; i++) {
        expect_lt(weir_sleep(on, MS), 0); /* until the owner is parked */
    }
    return -EIO;
}

static int tick_in_a_group(weir_loop *on, void *arg)
{
    struct weir_task_group group;

    expect_eq(weir_task_group_begin(on, &group), 0);
    expect_ok(weir_task_group_spawn(&group, fail_when_the_loop_is_freed, NULL,
                                    NULL, NULL));
    return tick_for_ever(on, arg);
}

static int leave_ticking_in_a_group(weir_loop *on, void *arg)
{
    weir_loop_set_exception_handler(on, note_parked, NULL);
    spawn_named("grouped", tick_in_a_group, NULL);
    return weir_sleep(on, 5 * MS);
}

UNIT(parked, a_group_whose_task_is_parked_takes_the_failure_of_a_member)
{
    run_to_the_end(leave_ticking_in_a_group);
    expect_str_eq(names, "grouped");
}
