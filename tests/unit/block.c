/*
 * Blocks: their sizes, which of them are cached, and running out of memory.
 *
 * The allocator below counts, returns dirty memory and fails on request, so
 * every path that allocates also runs without memory.
 */
#include "uring/block.h"

#include "tests/death.h"
#include "tests/walk.h"

/* Page guards find late accesses only in blocks that are really freed. */
#ifdef WR_GUARD
static const bool keeps_none = true;
#else
static const bool keeps_none = false;
#endif

static struct test_allocator allocator;
static struct wr_blocks blocks;

static void setup_blocks(void)
{
    allocator_init(&allocator);
    wr_blocks_init(&blocks, &allocator.hooks);
}

UNIT(block, every_capacity_up_to_the_largest_class_fits)
{
    setup_blocks();
    for (size_t want = 0; want <= (64u << 10) + 100; want += 61) {
        struct wr_block *block = wr_block_take(&blocks, want);
        cr_assert_not_null(block);
        expect_geq(block->capacity, want);
        expect_eq(block->used, 0);
        cr_assert_null(block->next);
        memset(block->data, 0x11, block->capacity);
        block->used = 7;
        block->next = block;
        expect_eq(blocks.used_bytes, block->capacity);
        wr_block_give(&blocks, block);
        expect_eq(blocks.used_bytes, 0);
    }
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
}

/* Powers of two, then eight sizes per doubling, then exact sizes. */
UNIT(block, a_size_wastes_at_most_an_eighth_above_16_kib)
{
    static const size_t kib[] = {1,  2,  4,  8,  16, 18, 20, 22, 24, 26, 28,
                                 30, 32, 36, 40, 44, 48, 52, 56, 60, 64};
    const size_t header = sizeof(struct wr_block);
    const size_t count = sizeof(kib) / sizeof(kib[0]);
    setup_blocks();
    expect_eq(count + 2, WR_BLOCK_CLASSES); /* 256 and 512 bytes */
    for (size_t i = 0; i < count; i++) {
        const size_t size = kib[i] << 10;
        struct wr_block *fits = wr_block_take(&blocks, size - header);
        struct wr_block *over = wr_block_take(&blocks, size - header + 1);
        const size_t next = i + 1 == count ? size + 1 : kib[i + 1] << 10;
        expect_eq(fits->capacity + header, size);
        expect_eq(over->capacity + header, next);
        wr_block_give(&blocks, fits);
        wr_block_give(&blocks, over);
    }
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
}

UNIT(block, the_last_one_given_back_is_taken_first)
{
    if (keeps_none) {
        cr_skip_test("a guard build keeps no block; runs in a release build");
    }
    setup_blocks();
    struct wr_block *first = wr_block_take(&blocks, 3000);
    struct wr_block *second = wr_block_take(&blocks, 3000);
    uint64_t calls = allocator.calls;
    wr_block_give(&blocks, first);
    wr_block_give(&blocks, second);

    expect_eq(wr_block_take(&blocks, 2500), second);
    expect_eq(wr_block_take(&blocks, 4000), first);
    expect_eq(allocator.calls, calls);
    wr_block_give(&blocks, first);
    wr_block_give(&blocks, second);
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
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
        /* Alignment costs each block a few bytes (guard.h). */
        uint64_t kept = allocator.live_bytes - live_before;
        expect_leq(kept, WR_BLOCK_KEPT_BYTES / 16 * 17);
        expect_eq(kept > WR_BLOCK_KEPT_BYTES / 16 * 15, !keeps_none);
        cr_assert(!keeps_none || kept == 0);
    }
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
}

UNIT(block, taking_and_giving_in_turn_never_allocates_again)
{
    if (keeps_none) {
        cr_skip_test("a guard build keeps no block; runs in a release build");
    }
    setup_blocks();
    for (int i = 0; i < 5000; i++) {
        wr_block_give(&blocks, wr_block_take(&blocks, 10000));
    }

    expect_eq(allocator.calls, 1);
    wr_blocks_fini(&blocks);
}

UNIT(block, a_block_made_to_measure_is_not_kept)
{
    setup_blocks();
    struct wr_block *block = wr_block_take(&blocks, 1u << 20);
    expect_eq(block->capacity, 1u << 20);
    wr_block_give(&blocks, block);

    allocator_check(&allocator);
    wr_blocks_fini(&blocks);
}

UNIT(block, a_size_that_no_block_can_have_is_refused)
{
    setup_blocks();

    cr_assert_null(wr_block_take(&blocks, (size_t)UINT32_MAX + 1));
    cr_assert_null(wr_block_take(&blocks, SIZE_MAX));
    expect_eq(allocator.calls, 0);
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
        expect_eq(blocks.used_bytes, used);
        struct wr_block *second = wr_block_take(&blocks, wants[i]);
        cr_assert_not_null(second);
        wr_block_give(&blocks, first);
        wr_block_give(&blocks, second);
        wr_blocks_fini(&blocks);
        allocator_check(&allocator);
    }
}

UNIT_ABORTS(block, ending_with_blocks_out_is_a_bug, "blocks->used_bytes == 0")
{
    setup_blocks();
    cr_assert_not_null(wr_block_take(&blocks, 10));
    wr_blocks_fini(&blocks);
}
