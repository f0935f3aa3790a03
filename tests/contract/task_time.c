/*
 * What the time that a task needs changes for it, on the kernel's clock.
 *
 * On the fake machine, where the other tests of tasks are, time passes only
 * while the loop waits, so there all calls are quick.
 */
#include "tests/unit.h"

#include <time.h>
#include <weir.h>

enum { CALLS_MAX = 100000, CALL_NS = 1000 };

struct spinning {
    weir_event *event; /* is set */
    bool is_over;
    int calls;
};

static int64_t clock_ns(void)
{
    struct timespec now;
    expect_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Calls that need not wait, each followed by some work. */
static int spin(weir_loop *on, void *arg)
{
    struct spinning *s = arg;
    (void)on;
    while (!s->is_over && s->calls < CALLS_MAX) {
        const int64_t until_ns = clock_ns() + CALL_NS;
        expect_eq(weir_event_wait(s->event), 0);
        s->calls++;
        while (clock_ns() < until_ns) {
        }
    }
    return 0;
}

static int run_beside(weir_loop *on, void *arg)
{
    struct spinning *s = arg;
    weir_task *task;
    expect_eq(weir_event_new(on, &s->event), 0);
    weir_event_set(s->event);
    expect_eq(weir_task_spawn(on, spin, s, NULL, &task), 0);
    expect_eq(weir_yield(on), 0);
    s->is_over = true;
    expect_eq(weir_task_join(task, NULL), 0);
    weir_event_free(s->event);
    return 0;
}

/* The first 128 calls start the clock, the next 128 take too long. */
UNIT(task_time, a_task_whose_calls_take_long_lets_others_run_after_256)
{
    struct spinning s = {.calls = 0};
    expect_eq(weir_run(NULL, run_beside, &s), 0);
    expect_eq(s.calls, 256);
}
