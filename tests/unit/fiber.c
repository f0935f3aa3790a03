/*
 * Fibers: a switch preserves everything that a call preserves.
 *
 * The registers that survive a call are filled with values that belong to one
 * fiber, on both sides of a switch, and compared afterwards.
 */
#define UNIT_RUN with_stacks
#include "lib/task/fiber.h"
#include "tests/death.h"

#include "registers.h"
#include "tests/walk.h"

static struct test_allocator allocator;
static struct wr_stacks stacks;

static void begin(void)
{
    allocator_init(&allocator);
    wr_stacks_init(&stacks, &allocator.hooks);
}

static void with_stacks(void (*body)(void))
{
    begin();
    body();
    wr_stacks_fini(&stacks);
    allocator_check(&allocator);
}

static void make(struct wr_fiber *fiber, void (*run)(void *), void *arg)
{
    struct wr_stack *stack = NULL;
    expect_eq(wr_stack_take(&stacks, WR_STACK_DEFAULT, &stack), 0);
    wr_fiber_init(fiber, stack);
    wr_fiber_begin(fiber, run, arg);
}

static void drop(struct wr_fiber *fiber)
{
    wr_fiber_fini(fiber);
    wr_stack_give(&stacks, fiber->stack);
}

struct counting {
    struct wr_fiber fiber;
    unsigned goal;
    unsigned count;
    bool is_done;
};

static void count_to_goal(void *arg)
{
    struct counting *self = arg;
    for (unsigned i = 0; i < self->goal; i++) {
        self->count++;
        wr_fiber_leave(&self->fiber);
    }
    self->is_done = true;
    wr_fiber_exit(&self->fiber);
}

UNIT(fiber, runs_between_enter_and_leave)
{
    struct counting one = {.goal = 3};
    make(&one.fiber, count_to_goal, &one);
    expect_eq(one.count, 0);
    for (unsigned i = 1; i <= 3; i++) {
        wr_fiber_enter(&one.fiber);
        expect_eq(one.count, i);
        cr_assert_not(one.is_done);
    }
    wr_fiber_enter(&one.fiber);
    cr_assert(one.is_done);
    drop(&one.fiber);
}

UNIT(fiber, one_that_never_ran_can_be_dropped)
{
    struct counting one = {.goal = 3};
    make(&one.fiber, count_to_goal, &one);
    drop(&one.fiber);
    expect_eq(one.count, 0);
}

UNIT(fiber, a_stack_serves_one_after_another)
{
    for (unsigned i = 0; i < 1000; i++) {
        struct counting one = {.goal = i % 5};
        make(&one.fiber, count_to_goal, &one);
        while (!one.is_done) {
            wr_fiber_enter(&one.fiber);
        }
        expect_eq(one.count, i % 5);
        drop(&one.fiber);
    }
    expect_eq(stacks.stack_count, 1);
}

struct adding {
    struct wr_fiber fiber;
    unsigned seed;
    uint64_t sum;
    bool is_done;
};

/* Uses deep frames with contents from the seed; leaves at the deepest. */
static uint64_t fill(struct adding *self, unsigned depth)
{
    volatile uint64_t here[32];
    for (unsigned i = 0; i < 32; i++) {
        here[i] = (uint64_t)self->seed * 1000 + depth * 32 + i;
    }
    wr_fiber_leave(&self->fiber);
    uint64_t below = depth > 0 ? fill(self, depth - 1) : 0;
    wr_fiber_leave(&self->fiber);
    for (unsigned i = 0; i < 32; i++) {
        below += here[i];
    }
    return below;
}

static uint64_t expected_sum(unsigned seed, unsigned depth)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < 32 * (depth + 1); i++) {
        sum += (uint64_t)seed * 1000 + i;
    }
    return sum;
}

static void add(void *arg)
{
    struct adding *self = arg;
    self->sum = fill(self, self->seed % 20);
    self->is_done = true;
    wr_fiber_exit(&self->fiber);
}

UNIT(fiber, locals_of_many_survive_when_they_take_turns)
{
    enum { COUNT = 500 };
    static struct adding all[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        all[i].seed = i;
        make(&all[i].fiber, add, &all[i]);
    }
    unsigned alive = COUNT;
    for (unsigned turn = 0; alive > 0; turn++) {
        expect_lt(turn, 50);
        for (unsigned i = 0; i < COUNT; i++) {
            struct adding *one = &all[(i * 7 + turn) % COUNT];
            if (!one->is_done) {
                wr_fiber_enter(&one->fiber);
                alive -= one->is_done ? 1 : 0;
            }
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        expect_eq(all[i].sum, expected_sum(i, i % 20), "fiber %u", i);
        drop(&all[i].fiber);
    }
}

struct aligned {
    struct wr_fiber fiber;
    uintptr_t address;
};

static void look_at_address(void *arg)
{
    struct aligned *self = arg;
    _Alignas(16) volatile double vector[2] = {1.0, 2.0};
    self->address = (uintptr_t)vector;
    /* Saves vector registers with instructions that require alignment. */
    char text[32];
    expect_eq(snprintf(text, sizeof(text), "%.1f", vector[0] + vector[1]), 3);
    wr_fiber_exit(&self->fiber);
}

UNIT(fiber, its_stack_is_aligned)
{
    enum { COUNT = 40 };
    static struct aligned all[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        make(&all[i].fiber, look_at_address, &all[i]);
        wr_fiber_enter(&all[i].fiber);
        expect_eq(all[i].address % 16, 0);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        drop(&all[i].fiber);
    }
}

#ifdef REGISTERS

struct registers {
    struct wr_fiber fiber;
    uint64_t value;
    uint64_t seen[REGISTERS];
};

static void leave(void *arg)
{
    struct registers *self = arg;
    wr_fiber_leave(&self->fiber);
}

static void enter(void *arg)
{
    struct registers *self = arg;
    wr_fiber_enter(&self->fiber);
}

static void run_registers(void *arg)
{
    struct registers *self = arg;
    for (int i = 0; i < 3; i++) {
        fill_registers(self->value, leave, self, self->seen);
        for (unsigned j = 0; j < REGISTERS; j++) {
            expect_eq(self->seen[j], self->value + j, "register %u", j);
        }
    }
    wr_fiber_exit(&self->fiber);
}

UNIT(fiber, registers_survive_on_both_sides)
{
    struct registers first = {.value = 0x1111111100000000};
    struct registers second = {.value = 0x2222222200000000};
    make(&first.fiber, run_registers, &first);
    make(&second.fiber, run_registers, &second);
    for (uint64_t i = 0; i < 4; i++) {
        struct registers *both[] = {&first, &second};
        for (int k = 0; k < 2; k++) {
            uint64_t mine = 0x7777777700000000 + i * 0x100;
            uint64_t seen[REGISTERS];
            fill_registers(mine, enter, both[k], seen);
            for (unsigned j = 0; j < REGISTERS; j++) {
                expect_eq(seen[j], mine + j, "register %u", j);
            }
        }
    }
    drop(&first.fiber);
    drop(&second.fiber);
}

#endif

#if defined(__aarch64__)

static void set_upward(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" ::"r"(fpcr | UINT64_C(1) << 22));
}

#elif defined(__x86_64__)

/* Sets the rounding of both floating-point units. */
static void set_upward(void)
{
    uint16_t x87;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    x87 = (uint16_t)((x87 & ~0xc00u) | 0x800u);
    __asm__ volatile("fldcw %0" ::"m"(x87));
    uint32_t mxcsr = (__builtin_ia32_stmxcsr() & ~0x6000u) | 0x4000u;
    __builtin_ia32_ldmxcsr(mxcsr);
}

#endif

#if defined(__x86_64__) || defined(__aarch64__)

struct rounding {
    struct wr_fiber fiber;
    bool was_upward;
    bool is_upward[2];
};

static bool double_rounds_upward(void)
{
    volatile double three = 3.0;
    volatile double above = 1.0 / three;
    volatile double below = -1.0 / three;
    return above > -below;
}

static bool long_double_rounds_upward(void)
{
    volatile long double three = 3.0L;
    volatile long double above = 1.0L / three;
    volatile long double below = -1.0L / three;
    return above > -below;
}

static void round_upward(void *arg)
{
    struct rounding *self = arg;
    self->was_upward = double_rounds_upward() || long_double_rounds_upward();
    set_upward();
    wr_fiber_leave(&self->fiber);
    self->is_upward[0] = double_rounds_upward();
    self->is_upward[1] = long_double_rounds_upward();
    wr_fiber_exit(&self->fiber);
}

UNIT(fiber, rounding_belongs_to_the_fiber)
{
    struct rounding one = {.was_upward = true};
    make(&one.fiber, round_upward, &one);
    for (int i = 0; i < 2; i++) {
        wr_fiber_enter(&one.fiber);
        cr_assert_not(double_rounds_upward());
        cr_assert_not(long_double_rounds_upward());
    }
    cr_assert_not(one.was_upward);
    cr_assert(one.is_upward[0]);
    cr_assert(one.is_upward[1]);
    drop(&one.fiber);
}

#endif

static void return_at_once(void *arg)
{
}

UNIT_ABORTS(fiber, must_not_return, "a fiber ends with wr_fiber_exit()")
{
    struct wr_fiber fiber;
    begin();
    make(&fiber, return_at_once, NULL);
    wr_fiber_enter(&fiber);
}

UNIT_ABORTS(fiber, must_not_be_entered_after_its_end,
            "a fiber is not entered after its end")
{
    struct counting one = {.goal = 0};
    begin();
    make(&one.fiber, count_to_goal, &one);
    wr_fiber_enter(&one.fiber);
    wr_fiber_enter(&one.fiber);
}
