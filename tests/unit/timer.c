/*
 * The timer wheel: each promise of timer.h on its own, every level and digit
 * boundary, and random histories against a model.
 *
 * The model is a plain array that is searched from end to end. It knows of a
 * timer the tick in which it may fire and the number of its arming, and the
 * wheel must call the smallest pair each time.
 */
#include "uring/timer.h"

#include "tests/unit.h"
#include "tests/unit/random.h"

#include <signal.h>

#define TICK    UINT64_C(1024)
#define YEAR_NS (UINT64_C(365) * 24 * 3600 * 1000000000)

/* ---- one promise each ---- */

struct probe {
    struct wr_timer timer;
    struct wr_wheel *wheel;
    struct probe *target; /* what the call acts upon */
    uint64_t arm_at;      /* when the call arms the target for */
    int calls;
    int order;
};

static int call_count;
static struct wr_wheel wheel;

static void note_call(struct wr_timer *timer)
{
    struct probe *probe = wr_container_of(timer, struct probe, timer);
    cr_assert(!wr_timer_is_armed(timer));
    probe->calls++;
    probe->order = ++call_count;
}

static void call_and_arm(struct wr_timer *timer)
{
    struct probe *probe = wr_container_of(timer, struct probe, timer);
    note_call(timer);
    wr_timer_arm(probe->wheel, &probe->target->timer, probe->arm_at);
}

static void call_and_cancel(struct wr_timer *timer)
{
    struct probe *probe = wr_container_of(timer, struct probe, timer);
    note_call(timer);
    wr_timer_cancel(probe->wheel, &probe->target->timer);
}

static void call_and_free(struct wr_timer *timer)
{
    note_call(timer);
    free(wr_container_of(timer, struct probe, timer));
}

static void call_and_expire(struct wr_timer *timer)
{
    struct probe *probe = wr_container_of(timer, struct probe, timer);
    wr_wheel_expire(probe->wheel, UINT64_MAX, 1);
}

static void probe_init(struct probe *probe, wr_timer_expire_fn *expire)
{
    *probe = (struct probe){.wheel = &wheel};
    wr_timer_init(&probe->timer, expire);
}

static void setup(uint64_t now_ns, struct probe *probes, size_t count)
{
    call_count = 0;
    wr_wheel_init(&wheel, now_ns);
    for (size_t i = 0; i < count; i++) {
        probe_init(&probes[i], note_call);
    }
}

UNIT(timer, an_empty_wheel_never_wakes_and_calls_nothing)
{
    setup(5 * TICK, NULL, 0);

    cr_assert_eq(wr_wheel_next(&wheel), UINT64_MAX);
    cr_assert_eq(wr_wheel_expire(&wheel, UINT64_MAX, 10), 0);
    cr_assert_eq(wheel.armed_count, 0);
}

UNIT(timer, fires_not_before_its_deadline_and_in_its_tick)
{
    struct probe probe;
    setup(0, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, 10 * TICK + 1);

    cr_assert_eq(wr_wheel_next(&wheel), 11 * TICK);
    cr_assert_eq(wr_wheel_expire(&wheel, 11 * TICK - 1, 10), 0);
    cr_assert(wr_timer_is_armed(&probe.timer));
    cr_assert_eq(wr_wheel_expire(&wheel, 11 * TICK, 10), 1);
    cr_assert_eq(probe.calls, 1);
    cr_assert_eq(wheel.armed_count, 0);
    cr_assert_eq(wr_wheel_next(&wheel), UINT64_MAX);
}

UNIT(timer, a_deadline_in_the_past_is_due_at_once)
{
    struct probe probes[2];
    setup(YEAR_NS, probes, 2);
    wr_timer_arm(&wheel, &probes[0].timer, 0);
    wr_timer_arm(&wheel, &probes[1].timer, YEAR_NS / 2);

    cr_assert_eq(wr_wheel_next(&wheel), 0);
    cr_assert_eq(wr_wheel_expire(&wheel, YEAR_NS, 10), 2);
    cr_assert_eq(probes[0].order, 1);
    cr_assert_eq(probes[1].order, 2);
}

UNIT(timer, a_clock_that_steps_back_changes_nothing)
{
    struct probe probe;
    setup(100 * TICK, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, 200 * TICK);

    cr_assert_eq(wr_wheel_expire(&wheel, 50 * TICK, 10), 0);
    cr_assert_eq(wr_wheel_next(&wheel), 200 * TICK);
    cr_assert_eq(wr_wheel_expire(&wheel, 200 * TICK, 10), 1);
}

UNIT(timer, never_is_armed_and_never_fires)
{
    struct probe probes[2];
    setup(3 * TICK, probes, 2);
    wr_timer_arm(&wheel, &probes[0].timer, UINT64_MAX);
    wr_timer_arm(&wheel, &probes[1].timer, UINT64_MAX - 5);

    cr_assert(wr_timer_is_armed(&probes[0].timer));
    cr_assert_eq(wr_wheel_next(&wheel), UINT64_MAX);
    cr_assert_eq(wr_wheel_expire(&wheel, UINT64_MAX, 10), 0);
    wr_timer_cancel(&wheel, &probes[0].timer);
    wr_timer_cancel(&wheel, &probes[1].timer);
    cr_assert_eq(wheel.armed_count, 0);
}

UNIT(timer, the_last_tick_of_all_fires)
{
    struct probe probe;
    uint64_t last = UINT64_MAX / TICK * TICK;
    setup(3 * TICK, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, last);

    cr_assert_eq(wr_wheel_next(&wheel), last);
    cr_assert_eq(wr_wheel_expire(&wheel, last - 1, 10), 0);
    cr_assert_eq(wr_wheel_expire(&wheel, last, 10), 1);
}

UNIT(timer, a_cancelled_timer_does_not_fire)
{
    struct probe probe;
    setup(0, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, 10 * TICK);
    wr_timer_cancel(&wheel, &probe.timer);

    cr_assert_not(wr_timer_is_armed(&probe.timer));
    cr_assert_eq(wr_wheel_next(&wheel), UINT64_MAX);
    cr_assert_eq(wr_wheel_expire(&wheel, YEAR_NS, 10), 0);
    cr_assert_eq(wheel.armed_count, 0);
}

UNIT(timer, cancelling_twice_or_before_arming_is_harmless)
{
    struct probe probes[2];
    setup(0, probes, 2);
    wr_timer_cancel(&wheel, &probes[0].timer);
    wr_timer_arm(&wheel, &probes[0].timer, 10 * TICK);
    wr_timer_arm(&wheel, &probes[1].timer, 10 * TICK);
    wr_timer_cancel(&wheel, &probes[0].timer);
    wr_timer_cancel(&wheel, &probes[0].timer);

    cr_assert_eq(wheel.armed_count, 1);
    cr_assert_eq(wr_wheel_expire(&wheel, 10 * TICK, 10), 1);
    cr_assert_eq(probes[1].calls, 1);
}

UNIT(timer, arming_again_moves_the_deadline_both_ways)
{
    struct probe probe;
    setup(0, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, 1000 * TICK);
    wr_timer_arm(&wheel, &probe.timer, 10 * TICK);
    cr_assert_eq(wr_wheel_next(&wheel), 10 * TICK);
    wr_timer_arm(&wheel, &probe.timer, 500000 * TICK);
    cr_assert_eq(wr_wheel_next(&wheel), 500000 * TICK);
    cr_assert_eq(wheel.armed_count, 1);

    cr_assert_eq(wr_wheel_expire(&wheel, 499999 * TICK, 10), 0);
    cr_assert_eq(wr_wheel_expire(&wheel, 500000 * TICK, 10), 1);
    cr_assert_eq(probe.calls, 1);
}

UNIT(timer, one_tick_fires_in_the_order_of_arming_from_any_level)
{
    struct probe probes[3];
    uint64_t when = 5000000 * TICK;
    setup(0, probes, 3);
    wr_timer_arm(&wheel, &probes[0].timer, when);
    wr_wheel_expire(&wheel, when - 3000 * TICK, 10);
    wr_timer_arm(&wheel, &probes[1].timer, when - 7);
    wr_wheel_expire(&wheel, when - 2 * TICK, 10);
    wr_timer_arm(&wheel, &probes[2].timer, when - 9);

    cr_assert_eq(wr_wheel_expire(&wheel, when, 10), 3);
    cr_assert_eq(probes[0].order, 1);
    cr_assert_eq(probes[1].order, 2);
    cr_assert_eq(probes[2].order, 3);
}

UNIT(timer, arming_again_goes_behind_the_others_of_the_tick)
{
    struct probe probes[2];
    setup(0, probes, 2);
    wr_timer_arm(&wheel, &probes[0].timer, 70 * TICK);
    wr_timer_arm(&wheel, &probes[1].timer, 70 * TICK);
    wr_timer_arm(&wheel, &probes[0].timer, 70 * TICK);

    cr_assert_eq(wr_wheel_expire(&wheel, 70 * TICK, 10), 2);
    cr_assert_eq(probes[1].order, 1);
    cr_assert_eq(probes[0].order, 2);
}

UNIT(timer, years_in_one_step_keep_the_order_of_deadlines)
{
    enum { COUNT = 40 };
    struct probe probes[COUNT];
    setup(12345, probes, COUNT);
    for (int i = 0; i < COUNT; i++) {
        /* The later ones first; the distances span all levels. */
        int place = COUNT - 1 - i;
        wr_timer_arm(&wheel, &probes[place].timer,
                     12345 + (UINT64_C(3) << (place + 10)));
    }

    cr_assert_eq(wr_wheel_expire(&wheel, 200 * YEAR_NS, COUNT), COUNT);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(probes[i].order, i + 1, "timer %d was called as %d", i,
                     probes[i].order);
    }
}

UNIT(timer, at_most_max_are_called_and_the_rest_stay_due_in_order)
{
    enum { COUNT = 7 };
    struct probe probes[COUNT];
    setup(0, probes, COUNT);
    for (int i = 0; i < COUNT; i++) {
        wr_timer_arm(&wheel, &probes[i].timer, (uint64_t)(i + 1) * 100 * TICK);
    }

    cr_assert_eq(wr_wheel_expire(&wheel, 1000 * TICK, 0), 0);
    cr_assert_eq(wr_wheel_expire(&wheel, 1000 * TICK, 3), 3);
    cr_assert_eq(wr_wheel_next(&wheel), 0);
    cr_assert(wr_timer_is_armed(&probes[4].timer));
    wr_timer_cancel(&wheel, &probes[4].timer);
    wr_timer_arm(&wheel, &probes[3].timer, 2000 * TICK);
    cr_assert_eq(wr_wheel_expire(&wheel, 1000 * TICK, 100), 2);
    cr_assert_eq(probes[5].order, 4);
    cr_assert_eq(probes[6].order, 5);
    cr_assert_eq(probes[4].calls, 0);
    cr_assert_eq(wr_wheel_next(&wheel), 2000 * TICK);
}

UNIT(timer, what_a_call_arms_for_the_past_waits_for_the_next_expiry)
{
    struct probe probes[3];
    setup(0, probes, 3);
    probes[0].timer.expire = call_and_arm;
    probes[0].target = &probes[0];
    probes[0].arm_at = 0;
    wr_timer_arm(&wheel, &probes[0].timer, TICK);
    wr_timer_arm(&wheel, &probes[1].timer, TICK);
    wr_timer_arm(&wheel, &probes[2].timer, 2 * TICK);

    cr_assert_eq(wr_wheel_expire(&wheel, 2 * TICK, 2), 2);
    cr_assert_eq(wr_wheel_next(&wheel), 0);
    cr_assert_eq(wr_wheel_expire(&wheel, 2 * TICK, 10), 2);
    cr_assert_eq(probes[2].order, 3, "the rest comes first");
    cr_assert_eq(probes[0].order, 4);
    cr_assert_eq(probes[0].calls, 2);
}

UNIT(timer, a_call_may_cancel_or_postpone_what_is_due_with_it)
{
    struct probe probes[4];
    setup(0, probes, 4);
    probes[0].timer.expire = call_and_cancel;
    probes[0].target = &probes[1];
    probes[2].timer.expire = call_and_arm;
    probes[2].target = &probes[3];
    probes[2].arm_at = 9 * TICK;
    for (int i = 0; i < 4; i++) {
        wr_timer_arm(&wheel, &probes[i].timer, TICK);
    }

    cr_assert_eq(wr_wheel_expire(&wheel, TICK, 10), 2);
    cr_assert_eq(probes[1].calls, 0);
    cr_assert_eq(probes[3].calls, 0);
    cr_assert_eq(wr_wheel_expire(&wheel, 9 * TICK, 10), 1);
    cr_assert_eq(probes[3].calls, 1);
}

UNIT(timer, a_call_may_free_its_owner)
{
    struct probe *probe = malloc(sizeof(*probe));
    setup(0, NULL, 0);
    cr_assert_not_null(probe);
    probe_init(probe, call_and_free);
    wr_timer_arm(&wheel, &probe->timer, TICK);

    cr_assert_eq(wr_wheel_expire(&wheel, TICK, 10), 1);
    cr_assert_eq(call_count, 1);
}

UNIT(timer, next_is_exact_for_a_short_slot_of_a_high_level)
{
    struct probe probes[16];
    setup(0, probes, 16);
    for (uint64_t i = 0; i < 16; i++) {
        wr_timer_arm(&wheel, &probes[i].timer, (70000 - i) * TICK);
    }

    cr_assert_eq(wr_wheel_next(&wheel), 69985 * TICK);
    wr_timer_cancel(&wheel, &probes[15].timer);
    cr_assert_eq(wr_wheel_next(&wheel), 69986 * TICK, "found anew");
    cr_assert_eq(wr_wheel_expire(&wheel, 69986 * TICK, 10), 1);
    cr_assert_eq(wr_wheel_next(&wheel), 69987 * TICK);
}

UNIT(timer, next_is_the_start_of_a_long_slot)
{
    struct probe probes[17];
    uint64_t slot_start = (70000 / 4096 * 4096) * TICK;
    setup(0, probes, 17);
    for (uint64_t i = 0; i < 17; i++) {
        wr_timer_arm(&wheel, &probes[i].timer, (70000 - i) * TICK);
    }
    wheel.next_ns = 0; /* forget what arming noticed */

    cr_assert_eq(wr_wheel_next(&wheel), slot_start);
    cr_assert_eq(wr_wheel_expire(&wheel, slot_start, 10), 0);
    cr_assert_eq(wr_wheel_next(&wheel), 69984 * TICK);
}

UNIT_ABORTS(timer, expiring_from_a_call_is_a_bug)
{
    struct probe probe;
    setup(0, &probe, 1);
    probe.timer.expire = call_and_expire;
    wr_timer_arm(&wheel, &probe.timer, TICK);

    wr_wheel_expire(&wheel, TICK, 1);
}

UNIT_ABORTS(timer, a_timer_needs_something_to_call)
{
    struct wr_timer timer;
    wr_timer_init(&timer, NULL);
}

/* ---- all boundaries ---- */

static void check_one(uint64_t now_ns, uint64_t when_ns)
{
    struct probe probe;
    uint64_t tick = when_ns / TICK + (when_ns % TICK != 0);
    uint64_t due = tick > UINT64_MAX / TICK ? UINT64_MAX : tick * TICK;
    setup(now_ns, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, when_ns);
    if (tick <= now_ns / TICK) {
        cr_assert_eq(wr_wheel_next(&wheel), 0);
        cr_assert_eq(wr_wheel_expire(&wheel, now_ns, 1), 1);
        return;
    }
    cr_assert_eq(wr_wheel_next(&wheel), due);
    cr_assert_eq(wr_wheel_expire(&wheel, due - 1, 1), 0);
    cr_assert_eq(wr_wheel_next(&wheel), due);
    cr_assert_eq(wr_wheel_expire(&wheel, due, 1), due != UINT64_MAX,
                 "armed at %llu for %llu", (unsigned long long)now_ns,
                 (unsigned long long)when_ns);
}

UNIT(timer, every_digit_boundary_fires_on_the_tick)
{
    /* Times around each power of two, seen from times around each other. */
    for (unsigned from = 0; from < 64; from += 3) {
        for (unsigned to = 0; to < 64; to++) {
            uint64_t now_ns = (UINT64_C(1) << from) - (from % 2);
            uint64_t when_ns = UINT64_C(1) << to;
            check_one(now_ns, when_ns - 1);
            check_one(now_ns, when_ns);
            check_one(now_ns, when_ns + 1);
            check_one(now_ns, wr_add_sat(now_ns, when_ns));
        }
    }
}

/* ---- random histories against a model ---- */

enum { MODEL_COUNT = 120 };

struct model_timer {
    struct wr_timer timer;
    uint64_t tick; /* in which it may fire; UINT64_MAX: never */
    uint64_t number;
    bool armed;
};

static struct model_timer model[MODEL_COUNT];
static struct unit_random rng;
static uint64_t now; /* of the model */
static uint64_t arm_count;
static uint64_t expiry_start; /* arm_count when the expiry began */
static bool expiring;
static size_t used_count; /* timers that take part */

static bool model_is_before(const struct model_timer *a,
                            const struct model_timer *b)
{
    return a->tick != b->tick ? a->tick < b->tick : a->number < b->number;
}

/* What must fire next, or what would fire first of all if @any. */
static struct model_timer *model_first(bool any)
{
    struct model_timer *first = NULL;
    for (size_t i = 0; i < used_count; i++) {
        struct model_timer *at = &model[i];
        bool may =
            at->armed &&
            (any || (at->tick <= now / TICK && at->number <= expiry_start));
        if (may && (!first || model_is_before(at, first))) {
            first = at;
        }
    }
    return first;
}

static uint64_t random_deadline(void)
{
    uint64_t distance = unit_random_next(&rng) >> unit_random_below(&rng, 64);
    switch (unit_random_below(&rng, 8)) {
    case 0:
        return now - wr_min_u64(now, distance);
    case 1:
        return now;
    case 2:
        return UINT64_MAX - unit_random_below(&rng, 3000);
    case 3:
        return now / TICK * TICK + unit_random_below(&rng, 4) * TICK;
    default:
        return wr_add_sat(now, distance);
    }
}

static void model_act(void)
{
    struct model_timer *at = &model[unit_random_below(&rng, used_count)];
    if (unit_random_below(&rng, 3) == 0) {
        wr_timer_cancel(&wheel, &at->timer);
        at->armed = false;
        return;
    }
    uint64_t when_ns = random_deadline();
    uint64_t tick = when_ns / TICK + (when_ns % TICK != 0);
    wr_timer_arm(&wheel, &at->timer, when_ns);
    at->tick =
        tick > UINT64_MAX / TICK ? UINT64_MAX : wr_max_u64(tick, now / TICK);
    at->number = ++arm_count;
    at->armed = true;
}

static void model_call(struct wr_timer *timer)
{
    struct model_timer *at = wr_container_of(timer, struct model_timer, timer);
    cr_assert(expiring);
    cr_assert_eq(at, model_first(false), "another timer comes first");
    at->armed = false;
    for (uint64_t i = unit_random_below(&rng, 4); i > 0; i--) {
        model_act();
    }
}

static void model_expire(void)
{
    unsigned max = (unsigned)unit_random_below(&rng, 40);
    expiry_start = arm_count;
    expiring = true;
    unsigned count = wr_wheel_expire(&wheel, now, max);
    expiring = false;
    cr_assert_leq(count, max);
    cr_assert(count == max || !model_first(false), "a due timer was left");
}

/* Compares what can be seen of the wheel with the model; returns next. */
static uint64_t model_compare(void)
{
    const struct model_timer *first = model_first(true);
    uint64_t next = wr_wheel_next(&wheel);
    uint64_t armed = 0;
    for (size_t i = 0; i < used_count; i++) {
        cr_assert_eq(wr_timer_is_armed(&model[i].timer), model[i].armed);
        armed += model[i].armed;
    }
    cr_assert_eq(wheel.armed_count, armed);
    uint64_t exact = UINT64_MAX;
    if (first && first->tick <= now / TICK) {
        exact = 0;
    } else if (first && first->tick != UINT64_MAX) {
        exact = first->tick * TICK;
    }
    cr_assert_leq(next, exact);
    if (used_count <= 16) {
        cr_assert_eq(next, exact, "few timers: nobody wakes for nothing");
    } else if (exact != 0 && now != UINT64_MAX) {
        cr_assert_gt(next, now);
    }
    return next;
}

static uint64_t random_time(uint64_t next)
{
    uint64_t distance = unit_random_next(&rng) >> unit_random_below(&rng, 64);
    switch (unit_random_below(&rng, 6)) {
    case 0:
        return now;
    case 1:
        return wr_add_sat(now, distance);
    case 2:
        return wr_add_sat(now, unit_random_below(&rng, 100 * TICK));
    case 3:
        return next == UINT64_MAX ? now : wr_max_u64(now, next - 1);
    default:
        return next == UINT64_MAX ? now : wr_max_u64(now, next);
    }
}

static void run_history(size_t timers, unsigned steps)
{
    now = unit_random_next(&rng) >> unit_random_below(&rng, 64);
    arm_count = 0;
    used_count = timers;
    wr_wheel_init(&wheel, now);
    for (size_t i = 0; i < timers; i++) {
        model[i] = (struct model_timer){.armed = false};
        wr_timer_init(&model[i].timer, model_call);
    }
    for (unsigned step = 0; step < steps; step++) {
        for (uint64_t i = unit_random_below(&rng, 6); i > 0; i--) {
            model_act();
        }
        now = random_time(model_compare());
        model_expire();
        model_compare();
    }
}

UNIT(timer, random_histories_of_few_timers_match_the_model)
{
    unit_random_seed(&rng);
    for (unsigned i = 0; i < 3000; i++) {
        run_history(1 + i % 16, 60);
    }
}

UNIT(timer, random_histories_of_many_timers_match_the_model)
{
    unit_random_seed(&rng);
    for (unsigned i = 0; i < 300; i++) {
        run_history(MODEL_COUNT, 100);
    }
}
