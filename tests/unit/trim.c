/*
 * Slabs and blocks that are trimmed.
 *
 * Objects and blocks in use stay where they are, unchanged; unused memory
 * returns to the allocator, and later allocations work as before. The allocator
 * below counts live blocks.
 */
#include "uring/block.h"
#include "uring/slab.h"

#include "tests/unit/random.h"
#include "tests/walk.h"

enum { OBJECTS = 2000, SIZE = 200, ROUNDS = 200, BLOCKS = 100 };

static struct test_allocator allocator;
static struct wr_slab slab;
static uint64_t *objects[OBJECTS];

static void start(void)
{
    allocator_init(&allocator);
    wr_slab_init(&slab, &allocator.hooks, SIZE);
    memset(objects, 0, sizeof(objects));
}

/* Fills the object with its number. */
static void take(size_t number)
{
    objects[number] = wr_slab_take(&slab);
    cr_assert_not_null(objects[number]);
    for (size_t i = 0; i < SIZE / sizeof(uint64_t); i++) {
        expect_eq(objects[number][i], 0);
        objects[number][i] = number;
    }
}

static void give(size_t number)
{
    for (size_t i = 0; i < SIZE / sizeof(uint64_t); i++) {
        expect_eq(objects[number][i], number);
    }
    wr_slab_give(&slab, objects[number]);
    objects[number] = NULL;
}

UNIT(trim, of_a_slab_without_chunks_or_without_free_objects_does_nothing)
{
    struct wr_slab never = {0};
    start();

    expect_eq(wr_slab_trim(&never), 0);
    expect_eq(wr_slab_trim(&slab), 0);
    take(0);
    expect_eq(wr_slab_trim(&slab), 0);
    give(0);
    wr_slab_fini(&slab);
}

UNIT(trim, of_a_slab_gives_back_all_chunks_when_no_object_is_in_use)
{
    start();
    for (size_t i = 0; i < OBJECTS; i++) {
        take(i);
    }
    const uint64_t total = slab.total_count;
    for (size_t i = 0; i < OBJECTS; i++) {
        give(i);
    }

    expect_geq(wr_slab_trim(&slab), total * SIZE);

    expect_eq(slab.total_count, 0);
    expect_eq(allocator.live_bytes, 0);
    take(7); /* it continues */
    give(7);
    wr_slab_fini(&slab);
}

UNIT(trim, of_a_slab_without_memory_for_it_does_nothing)
{
    start();
    take(0);
    give(0);
    const uint64_t total = slab.total_count;
    allocator.fail_at = allocator.calls + 1;

    expect_eq(wr_slab_trim(&slab), 0);

    expect_eq(slab.total_count, total);
    allocator.fail_at = 0;
    take(1);
    give(1);
    wr_slab_fini(&slab);
}

UNIT(trim, of_a_slab_leaves_objects_in_use_alone_at_random)
{
    struct unit_random random = unit_random_new();
    start();

    for (int round = 0; round < ROUNDS; round++) {
        const size_t first = unit_random_below(&random, OBJECTS);
        const size_t count = unit_random_below(&random, OBJECTS);
        const bool takes = unit_random_below(&random, 2) == 0;
        for (size_t i = 0; i < count; i++) {
            const size_t number = (first + i) % OBJECTS;
            if (takes && !objects[number]) {
                take(number);
            } else if (!takes && objects[number]) {
                give(number);
            }
        }
        const uint64_t free_before = slab.total_count - slab.used_count;
        wr_ignore(wr_slab_trim(&slab) == 0);
        const uint64_t free_after = slab.total_count - slab.used_count;
        expect_leq(free_after, free_before);
        for (size_t i = 0; i < 50; i++) { /* free objects can be taken */
            const size_t number = unit_random_below(&random, OBJECTS);
            if (!objects[number]) {
                take(number);
            }
        }
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        if (objects[i]) {
            give(i);
        }
    }
    wr_ignore(wr_slab_trim(&slab) == 0);
    expect_eq(allocator.live_bytes, 0);
    wr_slab_fini(&slab);
}

UNIT(trim, of_blocks_gives_back_those_that_are_kept)
{
    struct wr_blocks blocks;
    struct wr_block *taken[BLOCKS];
    allocator_init(&allocator);
    wr_blocks_init(&blocks, &allocator.hooks);
    for (size_t i = 0; i < BLOCKS; i++) {
        taken[i] = wr_block_take(&blocks, 100 + 600 * i);
        cr_assert_not_null(taken[i]);
    }
    for (size_t i = 1; i < BLOCKS; i++) {
        wr_block_give(&blocks, taken[i]);
    }

    wr_ignore(wr_blocks_trim(&blocks) == 0);

    memset(taken[0]->data, 1, 100);
    expect_eq(blocks.used_bytes, taken[0]->capacity);
    wr_block_give(&blocks, taken[0]);
    wr_ignore(wr_blocks_trim(&blocks) == 0);
    expect_eq(allocator.live_bytes, 0);
    wr_blocks_fini(&blocks);
}
