/*
 * Counted: tasks without any connection.
 *
 * A yield is one switch to the loop and one back, among tasks that all yield.
 * The life of a task is its spawn, its immediate return and its join. In a
 * burst many tasks of a group are alive at once, and end one after the other.
 */
#include "tests/counts/count.h"

#include <weir/task.h>

static int yield_often(weir_loop *loop, void *arg)
{
    struct count *c = arg;

    for (uint64_t i = 0; i < c->turns_left; i++) {
        count_require(weir_yield(loop) == 0, "a yield failed");
        c->done++;
    }
    c->tasks--;
    return 0;
}

static void start_yield(struct count *c)
{
    for (uint32_t i = 0; i < c->conns; i++) {
        count_require(weir_task_spawn(c->loop, yield_often, c, NULL, NULL) == 0,
                      "no task");
        c->tasks++;
    }
}

static int return_at_once(weir_loop *loop, void *arg)
{
    struct count *c = arg;
    c->callbacks++;
    return 0;
}

static int spawn_often(weir_loop *loop, void *arg)
{
    struct count *c = arg;
    weir_task *tasks[COUNT_CONNS_MAX];

    for (uint64_t i = 0; i < c->turns_left; i++) {
        for (uint32_t j = 0; j < c->conns; j++) {
            count_require(
                weir_task_spawn(loop, return_at_once, c, NULL, &tasks[j]) == 0,
                "no task");
        }
        for (uint32_t j = 0; j < c->conns; j++) {
            count_require(weir_task_join(tasks[j], NULL) == 0, "no join");
            c->done++;
        }
    }
    c->tasks--;
    return 0;
}

static void start_spawn(struct count *c)
{
    count_require(weir_task_spawn(c->loop, spawn_often, c, NULL, NULL) == 0,
                  "no task");
    c->tasks++;
}

static int wait_once(weir_loop *loop, void *arg)
{
    struct count *c = arg;
    c->callbacks++;
    return weir_sleep(loop, 0);
}

static int burst_often(weir_loop *loop, void *arg)
{
    struct count *c = arg;

    for (uint64_t i = 0; i < c->turns_left; i++) {
        struct weir_task_group group;
        count_require(weir_task_group_begin(loop, &group) == 0, "no group");
        for (uint32_t j = 0; j < c->conns * c->depth; j++) {
            count_require(
                weir_task_group_spawn(&group, wait_once, c, NULL, NULL) == 0,
                "no task");
            c->done++;
        }
        count_require(weir_task_group_end(&group, 0) == 0, "a task failed");
    }
    c->tasks--;
    return 0;
}

static void start_burst(struct count *c)
{
    count_require(weir_task_spawn(c->loop, burst_often, c, NULL, NULL) == 0,
                  "no task");
    c->tasks++;
}

static bool have_all_ended(const struct count *c)
{
    return c->tasks == 0;
}

const struct count_case count_yield = {
    .name = "yield", .start = start_yield, .is_over = have_all_ended};
const struct count_case count_spawn = {
    .name = "spawn", .start = start_spawn, .is_over = have_all_ended};
const struct count_case count_burst = {
    .name = "burst", .start = start_burst, .is_over = have_all_ended};
