/*
 * Loops whose tasks have much work after each call: each does a little at a
 * time, and timers do not wait until all have had their share. The work of a
 * call takes time of the fake machine.
 */
#include "rig.h"

#include <weir/embed.h>
#include <weir/sync.h>

enum {
    COUNT = 1000,
    CALLS = 128,         /* of a task in a loop that is not crowded */
    CALLS_CROWDED = 8,   /* of one in a crowded loop */
    SLICE_US = 20,       /* since these, before others run */
    PORTION = 64,        /* tasks that run before the clock is read */
    CALLS_MAX = 1 << 20, /* a test that goes wrong ends as well */
};

struct spinning {
    weir_event *event; /* is set */
    uint64_t call_us;  /* the work behind each call */
    bool is_over;
    int count;   /* of the tasks */
    int last;    /* the task that ran last */
    int calls;   /* of it, since it was entered */
    int longest; /* the most that one made at a time */
    int order;   /* tasks that did not run after the one before them */
};

struct member {
    struct spinning *all;
    int number;
};

static void spin_note(struct spinning *s, int number)
{
    if (s->last != number) {
        s->order += number != (s->last + 1) % s->count;
        s->last = number;
        s->calls = 0;
    }
    s->calls++;
    s->longest = s->calls > s->longest ? s->calls : s->longest;
}

static int spin(weir_loop *on, void *arg)
{
    struct member *member = arg;
    struct spinning *s = member->all;
    for (int i = 0; !s->is_over && i < CALLS_MAX; i++) {
        spin_note(s, member->number);
        expect_eq(weir_event_wait(s->event), 0); /* it need not wait */
        fake_spend(s->call_us * US);
    }
    return 0;
}

static void spin_begin(struct spinning *s)
{
    expect_eq(weir_event_new(loop, &s->event), 0);
    weir_event_set(s->event);
}

static void spin_end(struct spinning *s, weir_task **tasks, int count)
{
    s->is_over = true;
    for (int i = 0; i < count; i++) {
        rig_join(tasks[i]);
    }
    weir_event_free(s->event);
}

/* The first calls start the clock, as many again take too long. */
TASK(crowded, a_task_whose_calls_take_long_lets_others_run_after_256)
{
    struct spinning s = {.call_us = 1, .count = 1, .last = -1};
    struct member member = {.all = &s};
    spin_begin(&s);
    weir_task *task = rig_spawn(spin, &member);
    expect_eq(weir_yield(loop), 0);
    expect_eq(s.longest, 2 * CALLS);
    spin_end(&s, &task, 1);
}

static struct member members[COUNT];
static weir_task *tasks[COUNT];

static void spin_all(struct spinning *s, int count)
{
    spin_begin(s);
    s->count = count;
    s->last = count - 1;
    for (int i = 0; i < count; i++) {
        members[i] = (struct member){.all = s, .number = i};
        tasks[i] = rig_spawn(spin, &members[i]);
    }
}

/* A thousand tasks; the first turns tell the loop that it is crowded. */
static void crowd(struct spinning *s)
{
    spin_all(s, COUNT);
    expect_eq(weir_sleep(loop, MS), 0);
}

TASK(crowded, tasks_run_in_turn_and_make_few_calls_at_a_time)
{
    struct spinning s = {.call_us = SLICE_US / 2};
    crowd(&s);
    expect_leq(s.longest, 2 * CALLS);
    s.longest = 0;
    expect_eq(weir_sleep(loop, S), 0);
    expect_eq(s.longest, 2 * CALLS_CROWDED);
    expect_eq(s.order, 0);
    spin_end(&s, tasks, COUNT);
}

struct ticks {
    uint64_t due_ns;
    uint64_t latest_ns; /* the most that one was late */
    int count;
};

static void tick(void *arg)
{
    struct ticks *ticks = arg;
    const uint64_t late_ns = fake_now() - ticks->due_ns;
    ticks->latest_ns = late_ns > ticks->latest_ns ? late_ns : ticks->latest_ns;
    ticks->count++;
    ticks->due_ns = fake_now() + MS;
    expect_eq(weir_loop_call_at(loop, ticks->due_ns, tick, ticks, NULL), 0);
}

/* Their turns are short because the loop is crowded. */
TASK(crowded, a_loop_with_few_tasks_stays_so)
{
    struct spinning s = {.call_us = SLICE_US / 4};
    spin_all(&s, 10);
    expect_eq(weir_sleep(loop, 20 * MS), 0);
    s.longest = 0;
    expect_eq(weir_sleep(loop, S), 0);
    expect_eq(s.longest, 2 * CALLS_CROWDED);
    expect_eq(s.order, 0);
    spin_end(&s, tasks, 10);
}

static int crowd_hosted(weir_loop *on, void *arg)
{
    spin_all(arg, COUNT);
    return 0;
}

static int leave_hosted(weir_loop *on, void *arg)
{
    spin_end(arg, tasks, COUNT);
    return 0;
}

/* The time between two turns of a host is not the loop's. */
UNIT(crowded, a_loop_in_a_host_is_so_by_its_own_work)
{
    struct spinning s = {.call_us = SLICE_US / 2};
    rig_start();
    expect_eq(rig_main(crowd_hosted, &s), 0);
    for (int i = 0; i < 40; i++) {
        expect_eq(weir_loop_run_once(loop), 0);
        fake_spend(MS);
    }
    s.longest = 0;
    expect_eq(weir_loop_run_once(loop), 0);
    expect_eq(s.longest, 2 * CALLS_CROWDED);
    expect_eq(rig_main(leave_hosted, &s), 0);
    rig_stop();
}

static int ran;

static void work(void *arg)
{
    ran++;
    fake_spend(MS / 10);
}

static void stop_first(void *arg)
{
    weir_loop_stop(loop);
    work(arg);
}

UNIT(crowded, a_run_that_is_stopped_runs_all_that_was_ready)
{
    rig_start();
    expect_eq(weir_loop_call_soon(loop, stop_first, NULL, NULL), 0);
    for (int i = 1; i < COUNT; i++) {
        expect_eq(weir_loop_call_soon(loop, work, NULL, NULL), 0);
    }
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(ran, COUNT);
    rig_stop();
}

TASK(crowded, timers_wait_for_a_part_of_the_tasks_alone)
{
    const uint64_t call_ns = SLICE_US / 2 * US;
    const uint64_t portion_ns = 2 * CALLS_CROWDED * PORTION * call_ns;
    struct spinning s = {.call_us = SLICE_US / 2};
    crowd(&s);
    struct ticks ticks = {.due_ns = fake_now()};
    tick(&ticks);
    expect_eq(weir_sleep(loop, S), 0);
    /* One portion, a millisecond of others and the one that began in it. */
    expect_leq(ticks.latest_ns, 2 * portion_ns + 2 * MS);
    expect_gt(ticks.count, 20);
    spin_end(&s, tasks, COUNT);
}

TASK(crowded, a_loop_that_is_no_longer_so_lets_quick_tasks_go_on)
{
    struct spinning s = {.call_us = SLICE_US / 2};
    crowd(&s);
    spin_end(&s, tasks, COUNT);
    expect_eq(weir_sleep(loop, MS), 0);

    struct spinning quick = {.count = 1, .last = -1};
    struct member member = {.all = &quick};
    spin_begin(&quick);
    weir_task *task = rig_spawn(spin, &member);
    expect_eq(weir_yield(loop), 0);
    expect_eq(quick.longest, 2048);
    spin_end(&quick, &task, 1);
}
