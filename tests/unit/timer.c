/*
 * The timer wheel: what timer_model.c does not see: a clock that steps back,
 * held timers, slots that are distributed early, and every digit boundary.
 *
 * Order, arming, cancelling and limits are tested there.
 */
#include "uring/timer.h"

#include "tests/death.h"

#define TICK UINT64_C(1024)

struct probe {
    struct wr_timer timer;
    struct wr_wheel *wheel;
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

UNIT(timer, a_clock_that_steps_back_changes_nothing)
{
    struct probe probe;
    setup(100 * TICK, &probe, 1);
    wr_timer_arm(&wheel, &probe.timer, 200 * TICK);

    expect_eq(wr_wheel_expire(&wheel, 50 * TICK, 10), 0);
    expect_eq(wr_wheel_next(&wheel), 200 * TICK);
    expect_eq(wr_wheel_expire(&wheel, 200 * TICK, 10), 1);
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
