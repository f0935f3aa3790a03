/*
 * Slabs and blocks: what is given out, what is kept, and running out. The
 * allocator beneath counts, hands out dirty memory and fails where it is told
 * to, so every path that needs memory is taken without it once.
 */
#include "uring/slab.h"

#include "tests/unit.h"
#include "tests/unit/allocator.h"
#include "tests/unit/random.h"

#include <signal.h>

/* Page guards find a late access only in what is really freed. */
#ifdef WR_GUARD
static const bool keeps_none = true;
#else
static const bool keeps_none = false;
#endif

static struct unit_allocator allocator;
static struct wr_slab slab;
static struct wr_blocks blocks;

static void setup_slab(size_t object_size)
{
    unit_allocator_init(&allocator);
    wr_slab_init(&slab, &allocator.hooks, object_size);
}

static void setup_blocks(void)
{
    unit_allocator_init(&allocator);
    wr_blocks_init(&blocks, &allocator.hooks);
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

    cr_assert_eq(allocator.calls, 0);
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
            cr_assert_eq((uintptr_t)objects[i] % 16, 0);
            cr_assert(is_zero(objects[i], size));
            memset(objects[i], i + 1, size);
        }
        for (int i = 0; i < COUNT; i++) {
            cr_assert_eq(objects[i][0], i + 1, "written by another object");
            cr_assert_eq(objects[i][size - 1], i + 1);
            wr_slab_give(&slab, objects[i]);
        }
        wr_slab_fini(&slab);
        unit_allocator_check(&allocator);
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
    cr_assert_eq(again, second);
    cr_assert(is_zero(again, 48));
    wr_slab_give(&slab, again);
    wr_slab_give(&slab, first);
    wr_slab_fini(&slab);
}

UNIT(slab, what_was_needed_once_is_not_allocated_again)
{
    void *objects[500];
    setup_slab(200);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) {
            objects[i] = wr_slab_take(&slab);
        }
        cr_assert_eq(slab.used_count, 500);
        for (int i = 0; i < 500; i++) {
            wr_slab_give(&slab, objects[i]);
        }
    }

    cr_assert_eq(slab.used_count, 0);
    cr_assert_geq(slab.total_count, 500);
    cr_assert_lt(slab.total_count, 500 + slab.per_chunk);
    cr_assert_eq(allocator.calls * slab.per_chunk, slab.total_count);
    wr_slab_fini(&slab);
    unit_allocator_check(&allocator);
}

UNIT(slab, a_chunk_of_common_objects_wastes_little)
{
    for (size_t size = 16; size <= 1024; size += 16) {
        setup_slab(size);
        wr_slab_give(&slab, wr_slab_take(&slab));
        cr_assert_leq(allocator.live_bytes,
                      slab.total_count * size + sizeof(void *) * 2);
        cr_assert_leq(allocator.live_bytes, 16u << 10);
        wr_slab_fini(&slab);
    }
}

UNIT(slab, running_out_of_memory_leaves_the_slab_as_it_was)
{
    enum { COUNT = 12 };
    for (uint64_t fail_at = 1; fail_at <= 3; fail_at++) {
        void *objects[COUNT];
        int failures = 0;
        setup_slab(4000); /* four in a chunk */
        allocator.fail_at = fail_at;
        for (int i = 0; i < COUNT; i++) {
            uint64_t used = slab.used_count;
            objects[i] = wr_slab_take(&slab);
            if (!objects[i]) {
                failures++;
                cr_assert_eq(slab.used_count, used);
                objects[i] = wr_slab_take(&slab);
            }
            cr_assert_not_null(objects[i]);
        }
        cr_assert_eq(failures, 1);
        for (int i = 0; i < COUNT; i++) {
            wr_slab_give(&slab, objects[i]);
        }
        wr_slab_fini(&slab);
        unit_allocator_check(&allocator);
    }
}

UNIT_ABORTS(slab, ending_with_objects_out_is_a_bug)
{
    setup_slab(100);
    cr_assert_not_null(wr_slab_take(&slab));
    wr_slab_fini(&slab);
}

UNIT_ABORTS(slab, giving_more_than_was_taken_is_a_bug)
{
    uint64_t foreign[64] = {0};
    setup_slab(100);
    wr_slab_give(&slab, foreign);
}

UNIT(slab, random_takes_and_gives_never_share_memory)
{
    enum { COUNT = 300, SIZE = 72 };
    static uint64_t *objects[COUNT];
    struct unit_random rng;
    uint64_t used = 0;
    unit_random_seed(&rng);
    memset(objects, 0, sizeof(objects));
    setup_slab(SIZE);
    for (int step = 0; step < 20000; step++) {
        uint64_t at = unit_random_below(&rng, COUNT);
        if (objects[at]) {
            cr_assert_eq(objects[at][0], at + 1);
            cr_assert_eq(objects[at][8], at + 1);
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
        cr_assert_eq(slab.used_count, used);
    }
    for (int i = 0; i < COUNT; i++) {
        if (objects[i]) {
            wr_slab_give(&slab, objects[i]);
        }
    }
    wr_slab_fini(&slab);
    unit_allocator_check(&allocator);
}

/* ---- blocks ---- */

UNIT(block, every_capacity_up_to_the_largest_class_fits)
{
    setup_blocks();
    for (size_t want = 0; want <= (64u << 10) + 100; want += 61) {
        struct wr_block *block = wr_block_take(&blocks, want);
        cr_assert_not_null(block);
        cr_assert_geq(block->capacity, want);
        cr_assert_eq(block->used, 0);
        cr_assert_null(block->next);
        memset(block->data, 0x11, block->capacity);
        block->used = 7;
        block->next = block;
        cr_assert_eq(blocks.used_bytes, block->capacity);
        wr_block_give(&blocks, block);
        cr_assert_eq(blocks.used_bytes, 0);
    }
    wr_blocks_fini(&blocks);
    unit_allocator_check(&allocator);
}

UNIT(block, sizes_are_powers_of_two_up_to_64_kib_and_exact_above)
{
    const size_t header = sizeof(struct wr_block);
    setup_blocks();
    for (size_t size = 1024; size <= 65536; size *= 2) {
        struct wr_block *fits = wr_block_take(&blocks, size - header);
        struct wr_block *over = wr_block_take(&blocks, size - header + 1);
        size_t next = size == 65536 ? size + 1 : size * 2;
        cr_assert_eq(fits->capacity + header, size);
        cr_assert_eq(over->capacity + header, next);
        wr_block_give(&blocks, fits);
        wr_block_give(&blocks, over);
    }
    wr_blocks_fini(&blocks);
    unit_allocator_check(&allocator);
}

UNIT(block, the_last_one_given_back_is_taken_first)
{
    if (keeps_none) {
        cr_skip_test("a guard build keeps no block");
    }
    setup_blocks();
    struct wr_block *first = wr_block_take(&blocks, 3000);
    struct wr_block *second = wr_block_take(&blocks, 3000);
    uint64_t calls = allocator.calls;
    wr_block_give(&blocks, first);
    wr_block_give(&blocks, second);

    cr_assert_eq(wr_block_take(&blocks, 2500), second);
    cr_assert_eq(wr_block_take(&blocks, 4000), first);
    cr_assert_eq(allocator.calls, calls);
    wr_block_give(&blocks, first);
    wr_block_give(&blocks, second);
    wr_blocks_fini(&blocks);
    unit_allocator_check(&allocator);
}

UNIT(block, a_bounded_number_of_each_class_is_kept)
{
    enum { COUNT = 1500 };
    static struct wr_block *taken[COUNT];
    setup_blocks();
    for (size_t want = 900; want < 65536; want *= 2) {
        uint64_t live_before = allocator.live_bytes;
        for (int i = 0; i < COUNT; i++) {
            taken[i] = wr_block_take(&blocks, want);
            cr_assert_not_null(taken[i]);
        }
        for (int i = 0; i < COUNT; i++) {
            wr_block_give(&blocks, taken[i]);
        }
        /* Alignment costs each block a little (guard.h). */
        uint64_t kept = allocator.live_bytes - live_before;
        cr_assert_leq(kept, WR_BLOCK_KEPT_BYTES / 16 * 17);
        cr_assert_eq(kept >= WR_BLOCK_KEPT_BYTES, !keeps_none);
        cr_assert(!keeps_none || kept == 0);
    }
    wr_blocks_fini(&blocks);
    unit_allocator_check(&allocator);
}

UNIT(block, taking_and_giving_in_turn_never_allocates_again)
{
    if (keeps_none) {
        cr_skip_test("a guard build keeps no block");
    }
    setup_blocks();
    for (int i = 0; i < 5000; i++) {
        wr_block_give(&blocks, wr_block_take(&blocks, 10000));
    }

    cr_assert_eq(allocator.calls, 1);
    wr_blocks_fini(&blocks);
}

UNIT(block, a_block_made_to_measure_is_not_kept)
{
    setup_blocks();
    struct wr_block *block = wr_block_take(&blocks, 1u << 20);
    cr_assert_eq(block->capacity, 1u << 20);
    wr_block_give(&blocks, block);

    unit_allocator_check(&allocator);
    wr_blocks_fini(&blocks);
}

UNIT(block, a_size_that_no_block_can_have_is_refused)
{
    setup_blocks();

    cr_assert_null(wr_block_take(&blocks, (size_t)UINT32_MAX + 1));
    cr_assert_null(wr_block_take(&blocks, SIZE_MAX));
    cr_assert_eq(allocator.calls, 0);
    wr_blocks_fini(&blocks);
}

UNIT(block, running_out_of_memory_leaves_the_counts)
{
    const size_t wants[] = {100, 5000, 200000};
    for (int i = 0; i < 3; i++) {
        setup_blocks();
        allocator.fail_at = 2;
        struct wr_block *first = wr_block_take(&blocks, wants[i]);
        uint64_t used = blocks.used_bytes;
        cr_assert_null(wr_block_take(&blocks, wants[i]));
        cr_assert_eq(blocks.used_bytes, used);
        struct wr_block *second = wr_block_take(&blocks, wants[i]);
        cr_assert_not_null(second);
        wr_block_give(&blocks, first);
        wr_block_give(&blocks, second);
        wr_blocks_fini(&blocks);
        unit_allocator_check(&allocator);
    }
}

UNIT_ABORTS(block, ending_with_blocks_out_is_a_bug)
{
    setup_blocks();
    cr_assert_not_null(wr_block_take(&blocks, 10));
    wr_blocks_fini(&blocks);
}
