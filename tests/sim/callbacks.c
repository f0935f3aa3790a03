/*
 * Thousands of random programs of callbacks, compared with a model.
 *
 * Every callback adds, cancels and moves others; the model is a table of
 * pending callbacks with their times. Checked are: the order of callbacks; the
 * iteration of each; that timers are never early, are late only while the fake
 * clock moves, and run in the order of their times; and that cancelling and
 * moving return the truth, and old handles do no harm.
 */
#include "tests/fake/fake.h"
#include "tests/statistics.h"
#include "tests/walk.h"

#ifdef UNIT_HAS_LSAN
#define SEEDS 1000u
#else
#define SEEDS 2000u
#endif

#define SLOTS   256
#define SLACK   2048u /* two ticks of the timers */
#define FAR_OFF (UINT64_C(400) * 1000000000)

enum kind { SOON, LATER };
enum where { OUTSIDE, IN_SOON, IN_LATER };

struct slot {
    enum kind kind;
    bool pending;
    struct weir_handle handle;
    uint64_t due_ns;
    uint64_t added_ns;
    uint64_t added_turn;
    enum where added_in;
};

static weir_loop *loop;
static struct slot slots[SLOTS];
static uint32_t slot_count;
static uint32_t pending_count;
static enum where place;

static void require(bool holds, const char *what, const struct slot *slot)
{
    if (!holds) {
        fake_fail("callback %d: %s", (int)(slot - slots), what);
    }
}

/* A time in the past counts as the time at which it was asked for. */
static uint64_t due_time(const struct slot *slot)
{
    return slot->due_ns > slot->added_ns ? slot->due_ns : slot->added_ns;
}

/* Nothing that came first may still be waiting. */
static void check_order(const struct slot *slot, uint64_t turn)
{
    for (uint32_t i = 0; i < slot_count; i++) {
        const struct slot *other = &slots[i];
        if (!other->pending || other->kind != slot->kind || other == slot) {
            continue;
        }
        if (slot->kind == SOON) {
            require(other > slot, "it overtakes another", slot);
        } else if (other->added_turn < turn) {
            require(due_time(other) + SLACK >= due_time(slot),
                    "it overtakes one that was due earlier", slot);
        }
    }
}

static void check_time(const struct slot *slot, uint64_t turn)
{
    uint64_t now_ns = weir_loop_get_time(loop);
    if (slot->kind == LATER) {
        require(now_ns >= slot->due_ns, "it comes too early", slot);
        require(now_ns <= due_time(slot) + SLACK, "it comes too late", slot);
        return;
    }
    uint64_t expected = slot->added_turn + (slot->added_in == IN_SOON ? 1 : 0);
    require(slot->added_in == OUTSIDE || turn == expected,
            "it runs in another turn", slot);
}

static void act(void);

static void run(void *arg)
{
    struct slot *slot = arg;
    uint64_t turn = statistics_of(loop).turns;
    require(place == OUTSIDE, "it runs inside another", slot);
    require(slot->pending, "it runs, and is not pending", slot);
    slot->pending = false;
    pending_count--;
    check_order(slot, turn);
    check_time(slot, turn);
    place = slot->kind == SOON ? IN_SOON : IN_LATER;
    for (uint64_t i = fake_random(4); i > 0; i--) {
        act();
    }
    place = OUTSIDE;
}

static uint64_t random_delay(void)
{
    static const uint64_t scales[] = {1,       1000,          50000,
                                      1000000, 1000000000ull, FAR_OFF};
    return fake_random(scales[fake_random(6)]);
}

static void add(void)
{
    if (slot_count == SLOTS) {
        return;
    }
    struct slot *slot = &slots[slot_count++];
    uint64_t now_ns = weir_loop_get_time(loop);
    slot->kind = fake_chance(400) ? SOON : LATER;
    slot->added_ns = now_ns;
    slot->added_turn = statistics_of(loop).turns;
    slot->added_in = place;
    slot->due_ns = now_ns + random_delay();
    int err;
    if (slot->kind == SOON) {
        err = weir_loop_call_soon(loop, run, slot, &slot->handle);
    } else if (fake_chance(500)) {
        err = weir_loop_call_later(loop, slot->due_ns - now_ns, run, slot,
                                   &slot->handle);
    } else {
        slot->due_ns -= fake_chance(300) ? fake_random(slot->due_ns) : 0;
        err = weir_loop_call_at(loop, slot->due_ns, run, slot, &slot->handle);
    }
    require(err == 0, "it was refused", slot);
    slot->pending = true;
    pending_count++;
}

static void cancel(struct slot *slot)
{
    bool was = weir_handle_cancel(loop, slot->handle);
    require(was == slot->pending, "cancelling says something else", slot);
    pending_count -= was ? 1 : 0;
    slot->pending = false;
}

static void move(struct slot *slot)
{
    uint64_t due_ns = weir_loop_get_time(loop) + random_delay();
    if (slot->kind == SOON && slot->pending) {
        return;
    }
    bool was = weir_handle_reschedule(loop, slot->handle, due_ns);
    require(was == slot->pending, "moving says something else", slot);
    slot->due_ns = due_ns;
    slot->added_ns = weir_loop_get_time(loop);
    slot->added_turn = statistics_of(loop).turns;
}

static void act(void)
{
    switch (slot_count == 0 ? 0 : fake_random(6)) {
    case 4:
        cancel(&slots[fake_random(slot_count)]);
        break;
    case 5:
        move(&slots[fake_random(slot_count)]);
        break;
    default:
        add();
        break;
    }
}

static bool is_over(void *arg)
{
    return pending_count == 0;
}

static void run_program(uint64_t seed)
{
    struct fake_options machine = {.seed = seed};
    struct test_allocator alloc;
    machine.permille[FAKE_INTERRUPT] = seed % 3 == 0 ? 200 : 0;
    fake_start(&machine);
    allocator_init(&alloc);
    struct weir_loop_options options = {.size = sizeof(options),
                                        .allocator = &alloc.hooks};
    expect_eq(weir_loop_new(&options, &loop), 0);
    memset(slots, 0, sizeof(slots));
    slot_count = 0;
    pending_count = 0;
    for (uint64_t i = 1 + fake_random(20); i > 0; i--) {
        add();
    }
    expect_eq(weir_loop_run_until(loop, is_over, NULL), 0);
    expect_eq(weir_loop_free(loop), 0);
    allocator_check(&alloc);
    fake_stop();
}

UNIT(callbacks, random_programs_run_as_the_model_says)
{
    uint64_t slots_used = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run_program(seed);
        slots_used += slot_count;
    }
    expect_gt(slots_used, SEEDS * 20);
}
