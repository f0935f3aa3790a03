/*
 * Barriers whose round is complete, until each of its tasks has run.
 *
 * Until then a reset or an abort affects the tasks that have not run, and new
 * ones wait for the next round.
 */
#include "sync.h"

#include <weir/sync.h>

#define HALF 3

static weir_barrier *barrier;

static struct {
    void (*act)(weir_barrier *); /* by the task with which HALF have gone on */
    int went_on;
    int broken;
    int late;        /* went on, of those that came while the round drained */
    int late_broken; /* and did not */
    struct worker workers[6 * HALF];
} drain;

static void make(weir_loop *on, uint32_t parties)
{
    expect_eq(weir_barrier_new(on, parties, &barrier), 0);
}

static int wait_here(void *object)
{
    return weir_barrier_wait(object);
}

static int wait_and_act(void *object)
{
    int place = weir_barrier_wait(object);

    if (place < 0) {
        expect_eq(place, WEIR_EBROKEN);
        drain.broken++;
        return place;
    }
    drain.went_on++;
    if (drain.went_on == HALF) {
        expect_eq(weir_barrier_get_waiting_count(object), 0,
                  "waiting tasks while the barrier drains");
        drain.act(object);
    }
    return place;
}

static int come_late(void *object)
{
    int place = weir_barrier_wait(object);

    drain.late += place >= 0;
    drain.late_broken += place == WEIR_EBROKEN;
    return place;
}

static void let_come(int count, sync_call *call)
{
    for (int i = 0; i < count; i++) {
        start(&drain.workers[i], "", call, barrier);
        weir_task_unref(drain.workers[i].task);
    }
}

/* A round becomes full, @late tasks come before the others of it have run, and
 * the third that goes on calls @act. */
static void drain_half(weir_loop *on, void (*act)(weir_barrier *), int late)
{
    static struct worker round[2 * HALF];

    make(on, 2 * HALF);
    memset(&drain, 0, sizeof(drain));
    drain.act = act;
    for (int i = 0; i < 2 * HALF; i++) {
        start(&round[i], "", wait_and_act, barrier);
        weir_task_unref(round[i].task);
    }
    let_come(late, come_late);
    settle();
}

static void do_nothing(weir_barrier *object)
{
}

TASK(barrier_drain, that_drains_lets_newcomers_wait_for_the_next_rounds)
{
    drain_half(loop, do_nothing, 5 * HALF);
    expect_eq(drain.went_on, 2 * HALF);
    expect_eq(drain.late, 4 * HALF, "newcomers of two further rounds");
    expect_eq(weir_barrier_get_waiting_count(barrier), HALF);
    let_come(HALF, come_late);
    settle();
    expect_eq(drain.late, 6 * HALF);
    expect_eq(drain.broken + drain.late_broken, 0);
    weir_barrier_free(barrier);
}

TASK(barrier_drain, reset_when_half_has_drained_breaks_the_other_half)
{
    drain_half(loop, weir_barrier_reset, 0);
    expect_eq(drain.went_on, HALF);
    expect_eq(drain.broken, HALF, "%d were told", drain.broken);
    expect_eq(weir_barrier_get_waiting_count(barrier), 0);
    let_come(2 * HALF, come_late);
    settle();
    expect_eq(drain.late, 2 * HALF, "newcomers of the round after the reset");
    weir_barrier_free(barrier);
}

TASK(barrier_drain, reset_while_it_drains_leaves_the_next_round_alone)
{
    drain_half(loop, weir_barrier_reset, HALF);
    expect_eq(drain.went_on, HALF);
    expect_eq(drain.broken, HALF, "%d were told", drain.broken);
    expect_eq(drain.late + drain.late_broken, 0);
    expect_eq(weir_barrier_get_waiting_count(barrier), HALF);
    let_come(HALF, come_late);
    settle();
    expect_eq(drain.late, 2 * HALF);
    weir_barrier_free(barrier);
}

static int wait_reset_and_wait(void *object)
{
    int place = weir_barrier_wait(object);

    drain.went_on += place >= 0;
    drain.broken += place == WEIR_EBROKEN;
    if (drain.went_on == HALF && place >= 0) {
        weir_barrier_reset(object);
        weir_barrier_reset(object); /* the first is not over: no change */
        drain.late += weir_barrier_wait(object) == 0;
    }
    return place;
}

static int wait_in_task(weir_loop *on, void *arg)
{
    return weir_barrier_wait(barrier);
}

TASK(barrier_drain, reset_by_one_of_a_full_round_takes_it_into_the_next)
{
    make(loop, 2 * HALF);
    memset(&drain, 0, sizeof(drain));
    let_come(2 * HALF, wait_reset_and_wait);
    settle();
    expect_eq(drain.went_on, HALF);
    expect_eq(drain.broken, HALF, "%d were told", drain.broken);
    expect_eq(drain.late, 0);
    expect_eq(weir_barrier_get_waiting_count(barrier), 1);
    for (int i = 0; i < 2 * HALF - 1; i++) {
        weir_task_unref(rig_spawn(wait_in_task, NULL));
    }
    settle();
    expect_eq(drain.late, 1, "it was the first of the next round");
    weir_barrier_free(barrier);
}

/* Three rounds; the last that leaves the first resets the barrier at once. */
static int wait_reset_last_and_pass(void *object)
{
    int place = weir_barrier_wait(object);

    expect_geq(place, 0);
    drain.went_on++;
    const bool is_last = drain.went_on == 2 * HALF;
    if (is_last) {
        weir_barrier_reset(object);
    }
    place = weir_barrier_wait(object);
    drain.late += place >= 0;
    drain.late_broken += place == WEIR_EBROKEN;
    return weir_barrier_wait(object);
}

/* asyncio's test_reset_barrier_while_tasks_draining. */
TASK(barrier_drain, reset_by_the_last_that_leaves_is_not_told_to_the_next_round)
{
    make(loop, 2 * HALF);
    memset(&drain, 0, sizeof(drain));
    let_come(2 * HALF, wait_reset_last_and_pass);
    settle();
    expect_eq(drain.went_on, 2 * HALF);
    expect_eq(drain.late_broken, 0, "%d were told", drain.late_broken);
    expect_eq(drain.late, 2 * HALF);
    for (int i = 0; i < 2 * HALF; i++) {
        cr_assert(drain.workers[i].is_back, "%d passed the last round", i);
        expect_geq(drain.workers[i].result, 0);
    }
    weir_barrier_free(barrier);
}

static int wait_and_free(void *object)
{
    int place = weir_barrier_wait(object);

    weir_barrier_free(object);
    return place;
}

TASK(barrier_drain, freed_before_the_next_round_begins_wakes_who_came)
{
    struct worker round;
    struct worker late;
    make(loop, 2);
    start(&round, "r", wait_and_free, barrier);
    settle();
    start(&late, "a", wait_here, barrier); /* it runs before the round does */
    expect_eq(weir_barrier_wait(barrier), 1);
    expect_eq(finish(&round), 0);
    expect_eq(finish(&late), -ECANCELED);
}

TASK(barrier_drain, aborted_while_it_drains_breaks_who_has_not_run_and_who_came)
{
    drain_half(loop, weir_barrier_abort, HALF);
    expect_eq(drain.went_on, HALF);
    expect_eq(drain.broken, HALF, "%d were told", drain.broken);
    expect_eq(drain.late_broken, HALF);
    expect_eq(weir_barrier_wait(barrier), WEIR_EBROKEN, "it stays broken");
    expect_eq(weir_barrier_get_waiting_count(barrier), 0);
    weir_barrier_reset(barrier);
    let_come(2 * HALF, come_late);
    settle();
    expect_eq(drain.late, 2 * HALF);
    weir_barrier_free(barrier);
}

TASK(barrier_drain, that_drains_does_not_count_newcomers_that_were_cancelled)
{
    struct worker round;
    make(loop, 2);
    start(&round, "r", wait_here, barrier);
    settle();
    expect_eq(weir_barrier_wait(barrier), 1);
    start(&first, "a", wait_here, barrier);
    start(&second, "b", wait_here, barrier);
    cr_assert(weir_task_cancel(round.task)); /* it has its place */
    cr_assert(weir_task_cancel(first.task));
    expect_eq(weir_barrier_wait(barrier), 0);
    expect_eq(finish(&second), 1);
    expect_eq(finish(&first), -ECANCELED);
    expect_end(&round, 0, -ECANCELED);
    expect_eq(weir_barrier_get_waiting_count(barrier), 0);
    weir_barrier_free(barrier);
}
