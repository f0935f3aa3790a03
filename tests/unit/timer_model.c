/*
 * The timer wheel in random sequences compared with a model.
 *
 * The model is an array that is searched from end to end. For each timer it has
 * the tick in which it may fire and the number of its arming; the wheel must
 * always call the smallest pair. Callbacks arm and cancel other timers.
 */
#include "uring/timer.h"

#include "tests/unit/random.h"

#define TICK UINT64_C(1024)

enum { MODEL_COUNT = 300 };

struct model_timer {
    struct wr_timer timer;
    uint64_t tick; /* in which it may fire; UINT64_MAX is never */
    uint64_t number;
    uint64_t left_by; /* the expiry that should have called it */
    bool armed;
};

static struct wr_wheel wheel;
static struct model_timer model[MODEL_COUNT];
static struct unit_random rng;
static uint64_t now; /* time of the model */
static uint64_t arm_count;
static uint64_t expiry_start; /* arm_count at the start of the expiry */
static uint64_t expiry_count;
static bool expiring;
static size_t used_count; /* number of timers in use */
static uint64_t span;     /* limit for most deadlines; 0 is no limit */

static bool model_is_before(const struct model_timer *a,
                            const struct model_timer *b)
{
    if (a->left_by != b->left_by) {
        return a->left_by < b->left_by;
    }
    return a->tick != b->tick ? a->tick < b->tick : a->number < b->number;
}

/* Returns the timer that must fire next, or if @any the one that would fire
 * first. */
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
        if (span > 0) {
            distance = unit_random_below(&rng, span);
        }
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
    at->tick = tick > UINT64_MAX / TICK ? UINT64_MAX : tick;
    at->number = ++arm_count;
    at->left_by = UINT64_MAX;
    at->armed = true;
}

static void model_call(struct wr_timer *timer)
{
    struct model_timer *at = wr_container_of(timer, struct model_timer, timer);
    cr_assert(expiring);
    expect_eq(at, model_first(false), "another timer comes first");
    at->armed = false;
    for (uint64_t i = unit_random_below(&rng, 4); i > 0; i--) {
        model_act();
    }
}

static void model_expire(void)
{
    unsigned max = (unsigned)unit_random_below(&rng, 40);
    expiry_start = arm_count;
    if (wr_wheel_is_quiet(&wheel, now)) {
        cr_assert(!model_first(false), "a due timer was not seen");
        if (unit_random_below(&rng, 4) > 0) {
            return; /* skipped, as in a loop */
        }
    }
    if (unit_random_below(&rng, 2)) { /* a hold that ends at once */
        wr_ignore(wr_wheel_hold(
            &wheel, now - unit_random_below(&rng, now / 2 + 1), now));
        wr_wheel_release(&wheel);
    }
    expiring = true;
    unsigned count = wr_wheel_expire(&wheel, now, max);
    expiring = false;
    expect_leq(count, max);
    cr_assert(count == max || !model_first(false), "a due timer was left");
    expiry_count++;
    for (size_t i = 0; i < used_count; i++) {
        struct model_timer *at = &model[i];
        if (at->left_by == UINT64_MAX && at->tick <= now / TICK &&
            at->number <= expiry_start) {
            at->left_by = expiry_count;
        }
    }
}

/* Compares the wheel's observable state with the model. Returns next. */
static uint64_t model_compare(void)
{
    const struct model_timer *first = model_first(true);
    const uint64_t later = unit_random_below(&rng, 100) * TICK;
    const uint64_t when = wr_add_sat(now, later) / TICK * TICK;
    const bool waits = wr_wheel_waits_until(&wheel, when);
    uint64_t next = wr_wheel_next(&wheel);
    uint64_t armed = 0;

    cr_assert(!waits || next >= when, "a timer fires before");
    for (size_t i = 0; i < used_count; i++) {
        expect_eq(wr_timer_is_armed(&model[i].timer), model[i].armed);
        armed += model[i].armed;
    }
    expect_eq(wheel.armed_count, armed);
    uint64_t exact = UINT64_MAX;
    if (first && first->tick <= now / TICK) {
        expect_leq(next, now); /* 0, unless quiet expiries were skipped */
        return next;
    }
    if (first && first->tick != UINT64_MAX) {
        exact = first->tick * TICK;
    }
    expect_leq(next, exact);
    if (used_count <= 16) {
        expect_eq(next, exact, "few timers: nobody wakes for nothing");
    } else if (now != UINT64_MAX) {
        expect_gt(next, now);
    }
    return next;
}

static uint64_t random_time(uint64_t next)
{
    uint64_t distance = unit_random_next(&rng) >> unit_random_below(&rng, 64);
    if (span > 0) {
        return wr_add_sat(now, unit_random_below(&rng, span / 40));
    }
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
        uint64_t most = span > 0 ? timers / 20 + 2 : 6;
        for (uint64_t i = unit_random_below(&rng, most); i > 0; i--) {
            model_act();
        }
        now = random_time(model_compare());
        model_expire();
        model_compare();
    }
}

UNIT(timer_model, random_histories_of_few_timers_match_the_model)
{
    unit_random_seed(&rng);
    for (unsigned i = 0; i < 3000; i++) {
        run_history(1 + i % 16, 60);
    }
}

UNIT(timer_model, random_histories_of_many_timers_match_the_model)
{
    unit_random_seed(&rng);
    for (unsigned i = 0; i < 100; i++) {
        run_history(MODEL_COUNT, 100);
    }
}

UNIT(timer_model, random_histories_in_small_steps_match_the_model)
{
    /* Time advances slowly, so that slots of each level are distributed early
     * while their timers are armed, cancelled and armed again. */
    unit_random_seed(&rng);
    for (unsigned i = 0; i < 300; i++) {
        span = UINT64_C(1) << (16 + i % 40);
        run_history(i % 3 == 0 ? 10 : MODEL_COUNT, 100);
    }
}
