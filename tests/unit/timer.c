/*
 * The timer wheel: each promise of timer.h, slots that are distributed early,
 * and every level and digit boundary.
 *
 * timer_model.c has random sequences.
 */
#include "uring/timer.h"

#include "tests/death.h"

#define TICK    UINT64_C(1024)
#define YEAR_NS (UINT64_C(365) * 24 * 3600 * 1000000000)

/* ---- one promise each ---- */

struct probe {
    struct wr_timer timer;
    struct wr_wheel *wheel;
    struct probe *target; /* timer that the callback acts on */
    uint64_t arm_at;      /* time for which the callback arms the target */
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

    expect_eq(wr_wheel_next(&wheel), UINT64_MAX);
    expect_eq(wr_wheel_expire(&wheel, UINT64_MAX, 10), 0);
    expect_eq(wheel.armed_count, 0);
}

UNIT(timer, fires_not_before_its_deadline_and_in_its_tick)
{
    struct probe probe;
    setup(0, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, 10 * TICK + 1);

    expect_eq(wr_wheel_next(&wheel), 11 * TICK);
    expect_eq(wr_wheel_expire(&wheel, 11 * TICK - 1, 10), 0);
    cr_assert(wr_timer_is_armed(&probe.timer));
    expect_eq(wr_wheel_expire(&wheel, 11 * TICK, 10), 1);
    expect_eq(probe.calls, 1);
    expect_eq(wheel.armed_count, 0);
    expect_eq(wr_wheel_next(&wheel), UINT64_MAX);
}

UNIT(timer, a_deadline_in_the_past_is_due_at_once)
{
    struct probe probes[2];
    setup(YEAR_NS, probes, 2);
    wr_timer_arm(&wheel, &probes[0].timer, 0);
    wr_timer_arm(&wheel, &probes[1].timer, YEAR_NS / 2);

    expect_eq(wr_wheel_next(&wheel), 0);
    expect_eq(wr_wheel_expire(&wheel, YEAR_NS, 10), 2);
    expect_eq(probes[0].order, 1);
    expect_eq(probes[1].order, 2);
}

UNIT(timer, deadlines_in_the_past_fire_in_their_order)
{
    enum { COUNT = 100 };
    struct probe probes[COUNT];
    setup(YEAR_NS, probes, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        /* Backwards, two for each tick. */
        wr_timer_arm(&wheel, &probes[i].timer, YEAR_NS - i / 2 * 3 * TICK);
    }

    expect_eq(wr_wheel_expire(&wheel, YEAR_NS, 7), 7);
    expect_eq(wr_wheel_expire(&wheel, YEAR_NS + TICK, COUNT), COUNT - 7);
    for (size_t i = 0; i < COUNT; i++) {
        const size_t before = COUNT - 2 - i / 2 * 2 + i % 2;
        expect_eq(probes[i].order, (int)before + 1, "timer %zu", i);
    }
}

UNIT(timer, a_clock_that_steps_back_changes_nothing)
{
    struct probe probe;
    setup(100 * TICK, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, 200 * TICK);

    expect_eq(wr_wheel_expire(&wheel, 50 * TICK, 10), 0);
    expect_eq(wr_wheel_next(&wheel), 200 * TICK);
    expect_eq(wr_wheel_expire(&wheel, 200 * TICK, 10), 1);
}

UNIT(timer, never_is_armed_and_never_fires)
{
    struct probe probes[2];
    setup(3 * TICK, probes, 2);
    wr_timer_arm(&wheel, &probes[0].timer, UINT64_MAX);
    wr_timer_arm(&wheel, &probes[1].timer, UINT64_MAX - 5);

    cr_assert(wr_timer_is_armed(&probes[0].timer));
    expect_eq(wr_wheel_next(&wheel), UINT64_MAX);
    expect_eq(wr_wheel_expire(&wheel, UINT64_MAX, 10), 0);
    wr_timer_cancel(&wheel, &probes[0].timer);
    wr_timer_cancel(&wheel, &probes[1].timer);
    expect_eq(wheel.armed_count, 0);
}

UNIT(timer, the_last_tick_of_all_fires)
{
    struct probe probe;
    uint64_t last = UINT64_MAX / TICK * TICK;
    setup(3 * TICK, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, last);

    expect_eq(wr_wheel_next(&wheel), last);
    expect_eq(wr_wheel_expire(&wheel, last - 1, 10), 0);
    expect_eq(wr_wheel_expire(&wheel, last, 10), 1);
}

UNIT(timer, a_cancelled_timer_does_not_fire)
{
    struct probe probe;
    setup(0, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, 10 * TICK);
    wr_timer_cancel(&wheel, &probe.timer);

    cr_assert_not(wr_timer_is_armed(&probe.timer));
    expect_eq(wr_wheel_next(&wheel), UINT64_MAX);
    expect_eq(wr_wheel_expire(&wheel, YEAR_NS, 10), 0);
    expect_eq(wheel.armed_count, 0);
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

    expect_eq(wheel.armed_count, 1);
    expect_eq(wr_wheel_expire(&wheel, 10 * TICK, 10), 1);
    expect_eq(probes[1].calls, 1);
}

UNIT(timer, arming_again_moves_the_deadline_both_ways)
{
    struct probe probe;
    setup(0, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, 1000 * TICK);
    wr_timer_arm(&wheel, &probe.timer, 10 * TICK);
    expect_eq(wr_wheel_next(&wheel), 10 * TICK);
    wr_timer_arm(&wheel, &probe.timer, 500000 * TICK);
    expect_eq(wr_wheel_next(&wheel), 500000 * TICK);
    expect_eq(wheel.armed_count, 1);

    expect_eq(wr_wheel_expire(&wheel, 499999 * TICK, 10), 0);
    expect_eq(wr_wheel_expire(&wheel, 500000 * TICK, 10), 1);
    expect_eq(probe.calls, 1);
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

    expect_eq(wr_wheel_expire(&wheel, when, 10), 3);
    expect_eq(probes[0].order, 1);
    expect_eq(probes[1].order, 2);
    expect_eq(probes[2].order, 3);
}

UNIT(timer, arming_again_goes_behind_the_others_of_the_tick)
{
    struct probe probes[2];
    setup(0, probes, 2);
    wr_timer_arm(&wheel, &probes[0].timer, 70 * TICK);
    wr_timer_arm(&wheel, &probes[1].timer, 70 * TICK);
    wr_timer_arm(&wheel, &probes[0].timer, 70 * TICK);

    expect_eq(wr_wheel_expire(&wheel, 70 * TICK, 10), 2);
    expect_eq(probes[1].order, 1);
    expect_eq(probes[0].order, 2);
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

    expect_eq(wr_wheel_expire(&wheel, 200 * YEAR_NS, COUNT), COUNT);
    for (int i = 0; i < COUNT; i++) {
        expect_eq(probes[i].order, i + 1, "timer %d was called as %d", i,
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

    expect_eq(wr_wheel_expire(&wheel, 1000 * TICK, 0), 0);
    expect_eq(wr_wheel_expire(&wheel, 1000 * TICK, 3), 3);
    expect_eq(wr_wheel_next(&wheel), 0);
    cr_assert(wr_timer_is_armed(&probes[4].timer));
    wr_timer_cancel(&wheel, &probes[4].timer);
    wr_timer_arm(&wheel, &probes[3].timer, 2000 * TICK);
    expect_eq(wr_wheel_expire(&wheel, 1000 * TICK, 100), 2);
    expect_eq(probes[5].order, 4);
    expect_eq(probes[6].order, 5);
    expect_eq(probes[4].calls, 0);
    expect_eq(wr_wheel_next(&wheel), 2000 * TICK);
}

UNIT(timer, held_timers_wait_for_a_release_and_others_do_not)
{
    struct probe probes[5];
    setup(0, probes, 5);
    wr_timer_arm(&wheel, &probes[0].timer, 50 * TICK);
    wr_timer_arm(&wheel, &probes[1].timer, 200 * TICK);
    wr_timer_arm(&wheel, &probes[2].timer, 300 * TICK);
    wr_timer_arm(&wheel, &probes[3].timer, 5000 * TICK);

    expect_eq(wr_wheel_hold(&wheel, 50 * TICK, 1000 * TICK), 200 * TICK);
    wr_timer_arm(&wheel, &probes[4].timer, 100 * TICK);
    expect_eq(wr_wheel_expire(&wheel, 1000 * TICK, 10), 2);
    expect_eq(probes[0].calls, 1, "it was due before");
    expect_eq(probes[4].calls, 1, "it was armed for the past");
    expect_eq(wr_wheel_next(&wheel), 0);
    cr_assert(!wr_wheel_is_quiet(&wheel, 1000 * TICK));

    wr_timer_cancel(&wheel, &probes[1].timer);
    expect_eq(wr_wheel_hold(&wheel, 1000 * TICK, 1001 * TICK), 300 * TICK);
    wr_wheel_release(&wheel);
    expect_eq(wr_wheel_expire(&wheel, 1001 * TICK, 10), 1);
    expect_eq(probes[2].calls, 1);
    expect_eq(wr_wheel_next(&wheel), 5000 * TICK);
}

UNIT(timer, a_timer_armed_in_a_call_for_the_past_waits_for_the_next_expiry)
{
    struct probe probes[3];
    setup(0, probes, 3);
    probes[0].timer.expire = call_and_arm;
    probes[0].target = &probes[0];
    probes[0].arm_at = 0;
    wr_timer_arm(&wheel, &probes[0].timer, TICK);
    wr_timer_arm(&wheel, &probes[1].timer, TICK);
    wr_timer_arm(&wheel, &probes[2].timer, 2 * TICK);

    expect_eq(wr_wheel_expire(&wheel, 2 * TICK, 2), 2);
    expect_eq(wr_wheel_next(&wheel), 0);
    expect_eq(wr_wheel_expire(&wheel, 2 * TICK, 10), 2);
    expect_eq(probes[2].order, 3, "the rest comes first");
    expect_eq(probes[0].order, 4);
    expect_eq(probes[0].calls, 2);
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

    expect_eq(wr_wheel_expire(&wheel, TICK, 10), 2);
    expect_eq(probes[1].calls, 0);
    expect_eq(probes[3].calls, 0);
    expect_eq(wr_wheel_expire(&wheel, 9 * TICK, 10), 1);
    expect_eq(probes[3].calls, 1);
}

UNIT(timer, a_call_may_free_its_owner)
{
    struct probe *probe = malloc(sizeof(*probe));
    setup(0, NULL, 0);
    cr_assert_not_null(probe);
    probe_init(probe, call_and_free);
    wr_timer_arm(&wheel, &probe->timer, TICK);

    expect_eq(wr_wheel_expire(&wheel, TICK, 10), 1);
    expect_eq(call_count, 1);
}

UNIT(timer, next_is_exact_for_a_short_slot_of_a_high_level)
{
    struct probe probes[16];
    setup(0, probes, 16);
    for (uint64_t i = 0; i < 16; i++) {
        wr_timer_arm(&wheel, &probes[i].timer, (70000 - i) * TICK);
    }

    expect_eq(wr_wheel_next(&wheel), 69985 * TICK);
    wr_timer_cancel(&wheel, &probes[15].timer);
    expect_eq(wr_wheel_next(&wheel), 69986 * TICK, "found anew");
    expect_eq(wr_wheel_expire(&wheel, 69986 * TICK, 10), 1);
    expect_eq(wr_wheel_next(&wheel), 69987 * TICK);
}

UNIT(timer, next_is_the_start_of_a_long_slot)
{
    struct probe probes[17];
    uint64_t slot_start = (70000 / 4096 * 4096) * TICK;
    setup(0, probes, 17);
    for (uint64_t i = 0; i < 17; i++) {
        wr_timer_arm(&wheel, &probes[i].timer, (70000 - i) * TICK);
    }
    wheel.next_ns = 0; /* discard what arming noticed */

    expect_eq(wr_wheel_next(&wheel), slot_start);
    expect_eq(wr_wheel_expire(&wheel, slot_start, 10), 0);
    expect_eq(wr_wheel_next(&wheel), 69984 * TICK);
}

/* ---- slots that are dealt out ahead ---- */

enum { CROWD = 600 };

static struct probe crowd[CROWD];

/* Makes timers that share a slot of level 3, and sets the time just before it.
 */
static uint64_t setup_crowd(void)
{
    uint64_t slot_start = (UINT64_C(5) << 18) * TICK;
    setup(0, crowd, CROWD);
    for (uint64_t i = 0; i < CROWD; i++) {
        wr_timer_arm(&wheel, &crowd[i].timer,
                     slot_start + (i * 331 % 200000) * TICK);
    }
    for (uint64_t at = 0; at < slot_start; at += 1000 * TICK) {
        expect_eq(wr_wheel_expire(&wheel, at, 1), 0);
    }
    return slot_start;
}

UNIT(timer, a_long_slot_is_dealt_out_before_it_opens)
{
    uint64_t slot_start = setup_crowd();
    cr_assert(wr_list_is_empty(&wheel.slots[3][5]));
    expect_eq(wheel.staged_index[3], 5);
    expect_eq(wr_wheel_next(&wheel), slot_start, "the first is due then");

    unsigned count = wr_wheel_expire(&wheel, slot_start + 500000 * TICK, CROWD);
    expect_eq(count, CROWD);
    for (int i = 1; i < CROWD; i++) {
        /* Armed in the order of their numbers, called in the order of
         * deadlines. */
        for (int j = 0; j < i; j++) {
            bool earlier = crowd[j].timer.when_ns <= crowd[i].timer.when_ns;
            expect_eq(crowd[j].order < crowd[i].order, earlier);
        }
    }
}

UNIT(timer, cancelling_all_of_a_staged_slot_leaves_an_empty_wheel)
{
    setup_crowd();
    wr_timer_cancel(&wheel, &crowd[0].timer);
    wr_timer_arm(&wheel, &crowd[1].timer, crowd[1].timer.when_ns);
    for (int i = 1; i < CROWD; i++) {
        wr_timer_cancel(&wheel, &crowd[i].timer);
    }

    expect_eq(wr_wheel_next(&wheel), UINT64_MAX);
    expect_eq(wheel.occupied[3], 0);
    expect_eq(wheel.staged[3], 0);
    expect_eq(wheel.staged_index[3], 0);
    expect_eq(wheel.armed_count, 0);
}

UNIT(timer, a_timer_that_joins_a_staged_slot_fires_behind_the_older_of_its_tick)
{
    uint64_t slot_start = setup_crowd();
    struct probe late[2];
    for (int i = 0; i < 2; i++) {
        probe_init(&late[i], note_call);
        wr_timer_arm(&wheel, &late[i].timer, crowd[i].timer.when_ns);
    }

    expect_eq(wr_wheel_expire(&wheel, slot_start + 331 * TICK, 10), 4);
    expect_eq(crowd[0].order, 1);
    expect_eq(late[0].order, 2);
    expect_eq(crowd[1].order, 3);
    expect_eq(late[1].order, 4);
}

UNIT(timer, a_slot_before_the_staged_one_opens_first)
{
    uint64_t slot_start = setup_crowd();
    struct probe early;
    probe_init(&early, note_call);
    wr_timer_arm(&wheel, &early.timer, slot_start - 2 * TICK);

    expect_eq(wr_wheel_next(&wheel), slot_start - 2 * TICK);
    expect_eq(wr_wheel_expire(&wheel, slot_start, 10), 2);
    expect_eq(early.order, 1);
    expect_eq(crowd[0].order, 2);
}

UNIT_ABORTS(timer, expiring_from_a_call_is_a_bug, "!wheel->is_expiring")
{
    struct probe probes[2]; /* the callback could otherwise call itself */
    setup(0, probes, 2);
    probes[0].timer.expire = call_and_expire;
    wr_timer_arm(&wheel, &probes[0].timer, TICK);
    wr_timer_arm(&wheel, &probes[1].timer, TICK);

    wr_wheel_expire(&wheel, TICK, 1);
}

UNIT_ABORTS(timer, a_timer_needs_something_to_call, "expire != NULL")
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
        expect_eq(wr_wheel_next(&wheel), 0);
        expect_eq(wr_wheel_expire(&wheel, now_ns, 1), 1);
        return;
    }
    expect_eq(wr_wheel_next(&wheel), due);
    expect_eq(wr_wheel_expire(&wheel, due - 1, 1), 0);
    expect_eq(wr_wheel_next(&wheel), due);
    expect_eq(wr_wheel_expire(&wheel, due, 1), due != UINT64_MAX,
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
