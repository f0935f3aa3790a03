/*
 * Many stacks released at once: which pages they keep, and the cost.
 *
 * The linker uses this file's system call wrappers, so that each call is
 * counted. The kernel is queried page by page for what is kept.
 */
#define UNIT_RUN with_stacks

#include "lib/task/fiber.h"
#include "tests/death.h"
#include "tests/walk.h"

#include <sys/mman.h>

#define MANY      5000u
#define DEEP      (200u << 10)
#define SOME_DEEP 700u
/* Stacks that are charged by their size. */
#define UNMEASURED (WR_STACK_UNMEASURED_BYTES / WR_STACK_DEFAULT)

static struct test_allocator allocator;
static struct wr_stacks stacks;
static struct wr_stack *taken[MANY];
static size_t page;

static struct calls {
    unsigned mincore;
    unsigned madvise;
    unsigned munmap;
} calls;

int __real_mincore(void *start, size_t size, unsigned char *ret);
int __wrap_mincore(void *start, size_t size, unsigned char *ret);
int __real_madvise(void *start, size_t size, int advice);
int __wrap_madvise(void *start, size_t size, int advice);
int __real_munmap(void *start, size_t size);
int __wrap_munmap(void *start, size_t size);

int __wrap_mincore(void *start, size_t size, unsigned char *ret)
{
    calls.mincore++;
    return __real_mincore(start, size, ret);
}

int __wrap_madvise(void *start, size_t size, int advice)
{
    calls.madvise++;
    return __real_madvise(start, size, advice);
}

int __wrap_munmap(void *start, size_t size)
{
    calls.munmap++;
    return __real_munmap(start, size);
}

static void with_stacks(void (*body)(void))
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    allocator_init(&allocator);
    wr_stacks_init(&stacks, &allocator.hooks);
    body();
    wr_stacks_fini(&stacks);
    allocator_check(&allocator);
}

static void take_all(size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        expect_eq(wr_stack_take(&stacks, size, &taken[i]), 0);
    }
}

/* Writes to the uppermost @size bytes. */
static void use(struct wr_stack *stack, size_t size)
{
    memset(stack->base + stack->size - size, 1, size);
}

static void use_all(size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        use(taken[i], size);
    }
}

static void give_all(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        wr_stack_give(&stacks, taken[i]);
    }
}

/* Returns how many bytes of a stack are resident. */
static size_t touched(const struct wr_stack *stack)
{
    static unsigned char there[4096];
    size_t count = 0;
    expect_eq(__real_mincore(stack->base, stack->size, there), 0);
    for (size_t i = 0; i < stack->size / page; i++) {
        count += there[i] & 1;
    }
    return count * page;
}

static size_t touched_by_all(size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += touched(taken[i]);
    }
    return sum;
}

UNIT(stack_burst, the_first_that_are_free_cost_no_system_call)
{
    take_all(UNMEASURED, WR_STACK_DEFAULT);
    use_all(UNMEASURED, DEEP);
    calls = (struct calls){0};
    for (int i = 0; i < 3; i++) {
        give_all(UNMEASURED);
        take_all(UNMEASURED, WR_STACK_DEFAULT);
    }
    expect_eq(calls.mincore, 0);
    expect_eq(calls.madvise, 0);
    expect_eq(stacks.warm_bytes, 0);
    give_all(UNMEASURED);
    expect_eq(stacks.warm_bytes, WR_STACK_UNMEASURED_BYTES);
}

UNIT(stack_burst, of_those_beyond_one_in_a_sample_costs_a_system_call)
{
    const unsigned measured =
        (MANY - UNMEASURED + WR_STACK_SAMPLE - 1) / WR_STACK_SAMPLE;
    take_all(MANY, WR_STACK_DEFAULT);
    use_all(MANY, 1);
    for (unsigned i = 0; i < 3; i++) {
        calls = (struct calls){0};
        give_all(MANY);
        expect_leq(calls.mincore, measured);
        expect_geq(calls.mincore, measured - 1);
        expect_eq(calls.madvise, 0);
        expect_eq(touched_by_all(MANY), MANY * page, "a page was given back");
        take_all(MANY, WR_STACK_DEFAULT);
        expect_eq(calls.munmap, 0);
    }
    give_all(MANY);
}

UNIT(stack_burst, deep_ones_stay_within_the_budget)
{
    take_all(SOME_DEEP, WR_STACK_DEFAULT);
    use_all(SOME_DEEP, DEEP);
    give_all(SOME_DEEP);
    expect_leq(touched_by_all(SOME_DEEP), WR_STACK_WARM_BYTES);
    /* Most of the budget is used. */
    expect_geq(touched_by_all(SOME_DEEP), WR_STACK_WARM_BYTES * 3 / 4);
    expect_leq(stacks.warm_bytes, WR_STACK_WARM_BYTES);
}

UNIT(stack_burst, ones_that_grow_deep_later_stay_within_the_budget)
{
    for (unsigned i = 0; i < 5; i++) {
        take_all(SOME_DEEP, WR_STACK_DEFAULT);
        use_all(SOME_DEEP, 1);
        give_all(SOME_DEEP);
    }
    take_all(SOME_DEEP, WR_STACK_DEFAULT);
    use_all(SOME_DEEP, DEEP);
    give_all(SOME_DEEP);
    expect_leq(touched_by_all(SOME_DEEP),
               WR_STACK_WARM_BYTES + WR_STACK_SAMPLE * DEEP,
               "those before the first one that was measured");
}

/* One of @period stacks is deep, the one with the number @at. */
static void expect_near_budget(unsigned period, unsigned at)
{
    take_all(SOME_DEEP * 2, WR_STACK_DEFAULT);
    for (unsigned i = 0; i < SOME_DEEP * 2; i++) {
        use(taken[i], i % period == at ? DEEP : 1);
    }
    give_all(SOME_DEEP * 2);
    expect_leq(touched_by_all(SOME_DEEP * 2), WR_STACK_WARM_BYTES * 5 / 4,
               "period %u, at %u", period, at);
    wr_stacks_trim(&stacks);
}

/* Tasks of one connection often end alternately: a shallow one, then a deep
 * one. */
UNIT(stack_burst, of_alternating_depths_the_sum_stays_near_the_budget)
{
    for (unsigned period = 2; period <= 16; period *= 2) {
        expect_near_budget(period, 0);
        expect_near_budget(period, 1);
    }
}

UNIT(stack_burst, all_sizes_share_one_budget)
{
    enum { LARGE = 2u << 20, COUNT = 40 };
    take_all(COUNT, LARGE);
    use_all(COUNT, LARGE);
    struct wr_stack *shallow = NULL;
    expect_eq(wr_stack_take(&stacks, WR_STACK_DEFAULT, &shallow), 0);
    use(shallow, WR_STACK_DEFAULT);
    give_all(COUNT);
    expect_eq(touched_by_all(COUNT), WR_STACK_WARM_BYTES);
    wr_stack_give(&stacks, shallow);
    expect_eq(touched(shallow), 0, "the large ones have used all of it");
    /* One of them is taken: there is space for another size. */
    expect_eq(wr_stack_take(&stacks, LARGE, &taken[0]), 0);
    expect_eq(wr_stack_take(&stacks, WR_STACK_DEFAULT, &shallow), 0);
    use(shallow, WR_STACK_DEFAULT);
    wr_stack_give(&stacks, shallow);
    expect_eq(touched(shallow), WR_STACK_DEFAULT);
    wr_stack_give(&stacks, taken[0]);
}

UNIT(stack_burst, a_trim_unmaps_what_is_free_without_a_call_for_each)
{
    take_all(MANY, WR_STACK_DEFAULT);
    use_all(MANY, 20000);
    const unsigned mappings = (MANY + 15) / 16;
    give_all(MANY);
    calls = (struct calls){0};

    wr_stacks_trim(&stacks);

    expect_eq(calls.munmap, mappings);
    expect_leq(calls.mincore, 2 * mappings);
    expect_eq(calls.madvise, 0);
    expect_eq(stacks.stack_count, 0);
    expect_eq(stacks.warm_bytes, 0);
    expect_eq(stacks.high_water_bytes, 20480);
    expect_eq(allocator.live_bytes, 0);
}

UNIT(stack_burst, a_trim_takes_the_pages_of_those_whose_mapping_is_in_use)
{
    enum { COUNT = 320, STEP = 16 };
    take_all(COUNT, WR_STACK_DEFAULT);
    use_all(COUNT, 2 * page);
    for (unsigned i = 0; i < COUNT; i++) {
        if (i % STEP != 0) {
            wr_stack_give(&stacks, taken[i]);
        }
    }

    wr_stacks_trim(&stacks);

    expect_eq(touched_by_all(COUNT), COUNT / STEP * 2 * page);
    expect_eq(stacks.warm_bytes, 0);
    expect_eq(stacks.stack_count, COUNT);
    for (unsigned i = 0; i < COUNT; i += STEP) {
        wr_stack_give(&stacks, taken[i]);
    }
}

/* A query of the kernel ends with the mapping, of 64 small stacks. */
UNIT(stack_burst, the_deepest_is_found_at_the_end_of_a_mapping)
{
    enum { EACH = 64 };
    take_all(2 * EACH, WR_STACK_MIN);
    for (size_t i = 0; i < EACH; i++) {
        wr_stack_give(&stacks, taken[i]);
    }
    wr_stacks_trim(&stacks); /* nothing is above the others now */
    expect_eq(stacks.stack_count, EACH);

    use(taken[2 * EACH - 1], 2 * page);
    expect_eq(wr_stacks_high_water(&stacks), 2 * page);
    for (size_t i = EACH; i < 2 * EACH; i++) {
        wr_stack_give(&stacks, taken[i]);
    }
}
