/*
 * Slabs: allocated objects, and running out of memory.
 *
 * The allocator below counts, returns dirty memory and fails on request, so
 * every path that allocates also runs without memory.
 */
#include "uring/slab.h"

#include "tests/death.h"
#include "tests/unit/random.h"
#include "tests/walk.h"

static struct test_allocator allocator;
static struct wr_slab slab;

static void setup_slab(size_t object_size)
{
    allocator_init(&allocator);
    wr_slab_init(&slab, &allocator.hooks, object_size);
}

static bool is_zero(const void *object, size_t size)
{
    const uint8_t *bytes = object;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

UNIT(slab, nothing_is_allocated_before_the_first_take)
{
    setup_slab(100);

    expect_eq(allocator.calls, 0);
    wr_slab_fini(&slab);
}

UNIT(slab, objects_of_every_size_are_zero_aligned_and_apart)
{
    enum { COUNT = 100 };
    static uint8_t *objects[COUNT];
    for (size_t size = 1; size <= 5000; size += 1 + size / 7) {
        setup_slab(size);
        for (int i = 0; i < COUNT; i++) {
            objects[i] = wr_slab_take(&slab);
            cr_assert_not_null(objects[i]);
            expect_eq((uintptr_t)objects[i] % 16, 0);
            cr_assert(is_zero(objects[i], size));
            memset(objects[i], i + 1, size);
        }
        for (int i = 0; i < COUNT; i++) {
            expect_eq(objects[i][0], i + 1, "written by another object");
            expect_eq(objects[i][size - 1], i + 1);
            wr_slab_give(&slab, objects[i]);
        }
        wr_slab_fini(&slab);
        allocator_check(&allocator);
    }
}

UNIT(slab, objects_of_whole_cache_lines_begin_with_one)
{
    enum { COUNT = 300 };
    static void *objects[COUNT];
    for (size_t lines = 1; lines <= 8; lines++) {
        setup_slab(lines * WR_SLAB_LINE);
        for (int i = 0; i < COUNT; i++) {
            objects[i] = wr_slab_take(&slab);
            expect_eq((uintptr_t)objects[i] % WR_SLAB_LINE, 0);
            memset(objects[i], 1, lines * WR_SLAB_LINE);
        }
        for (int i = 0; i < COUNT; i++) {
            wr_slab_give(&slab, objects[i]);
        }
        expect_gt(wr_slab_trim(&slab), 0);
        wr_slab_fini(&slab);
        allocator_check(&allocator);
    }
}

UNIT(slab, an_object_given_back_comes_first_and_zeroed)
{
    setup_slab(48);
    void *first = wr_slab_take(&slab);
    void *second = wr_slab_take(&slab);
    memset(second, 0xff, 48);
    wr_slab_give(&slab, second);

    void *again = wr_slab_take(&slab);
    expect_eq(again, second);
    cr_assert(is_zero(again, 48));
    wr_slab_give(&slab, again);
    wr_slab_give(&slab, first);
    wr_slab_fini(&slab);
}

UNIT(slab, memory_that_was_needed_once_is_not_allocated_again)
{
    void *objects[500];
    setup_slab(200);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) {
            objects[i] = wr_slab_take(&slab);
        }
        expect_eq(slab.used_count, 500);
        for (int i = 0; i < 500; i++) {
            wr_slab_give(&slab, objects[i]);
        }
    }

    expect_eq(slab.used_count, 0);
    expect_geq(slab.total_count, 500);
    expect_lt(slab.total_count, 500 + slab.per_chunk);
    expect_eq(allocator.calls * slab.per_chunk, slab.total_count);
    wr_slab_fini(&slab);
    allocator_check(&allocator);
}

UNIT(slab, a_chunk_of_common_objects_wastes_little)
{
    for (size_t size = 16; size <= 1024; size += 16) {
        setup_slab(size);
        wr_slab_give(&slab, wr_slab_take(&slab));
        expect_leq(allocator.live_bytes,
                   slab.total_count * size + (size % WR_SLAB_LINE == 0
                                                  ? WR_SLAB_LINE
                                                  : sizeof(void *) * 2));
        expect_leq(allocator.live_bytes, 16u << 10);
        wr_slab_fini(&slab);
    }
}

static void take_without(void *arg)
{
    enum { COUNT = 12 };
    void *objects[COUNT];
    uint64_t failures = 0;
    setup_slab(4000); /* four in a chunk */
    walk_begin(&allocator);
    for (int i = 0; i < COUNT; i++) {
        uint64_t used = slab.used_count;
        objects[i] = wr_slab_take(&slab);
        if (!objects[i]) {
            failures++;
            expect_eq(slab.used_count, used);
            objects[i] = wr_slab_take(&slab);
        }
        cr_assert_not_null(objects[i]);
    }
    expect_eq(failures, allocator.failed);
    for (int i = 0; i < COUNT; i++) {
        wr_slab_give(&slab, objects[i]);
    }
    wr_slab_fini(&slab);
}

UNIT(slab, running_out_of_memory_leaves_the_slab_as_it_was)
{
    expect_eq(walk_allocations(&allocator, take_without, NULL), 3);
}

UNIT_ABORTS(slab, ending_with_objects_out_is_a_bug, "slab->used_count == 0")
{
    setup_slab(100);
    cr_assert_not_null(wr_slab_take(&slab));
    wr_slab_fini(&slab);
}

UNIT_ABORTS(slab, giving_more_than_was_taken_is_a_bug, "slab->used_count > 0")
{
    uint64_t foreign[64] = {0};
    setup_slab(100);
    wr_slab_give(&slab, foreign);
}

UNIT(slab, random_takes_and_gives_never_share_memory)
{
    enum { COUNT = 300, SIZE = 72 };
    static uint64_t *objects[COUNT];
    struct unit_random rng = unit_random_new();
    uint64_t used = 0;
    memset(objects, 0, sizeof(objects));
    setup_slab(SIZE);
    for (int step = 0; step < 20000; step++) {
        uint64_t at = unit_random_below(&rng, COUNT);
        if (objects[at]) {
            expect_eq(objects[at][0], at + 1);
            expect_eq(objects[at][8], at + 1);
            wr_slab_give(&slab, objects[at]);
            objects[at] = NULL;
            used--;
        } else {
            objects[at] = wr_slab_take(&slab);
            cr_assert(is_zero(objects[at], SIZE));
            objects[at][0] = at + 1;
            objects[at][8] = at + 1;
            used++;
        }
        expect_eq(slab.used_count, used);
    }
    for (int i = 0; i < COUNT; i++) {
        if (objects[i]) {
            wr_slab_give(&slab, objects[i]);
        }
    }
    wr_slab_fini(&slab);
    allocator_check(&allocator);
}
