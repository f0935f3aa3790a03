/*
 * Memory that the kernel accesses, for either build of the library, and the
 * default allocator.
 *
 * guard_pages.c tests what only page guards promise, and compiles them for
 * every build.
 */
#include "uring/guard.h"

#include "tests/death.h"
#include "tests/walk.h"

#include <malloc.h>

static struct test_allocator allocator;

UNIT(guard, memory_is_aligned_and_apart_whatever_its_size)
{
    allocator_init(&allocator);
    for (size_t size = 1; size < 20000; size += 1 + size / 5) {
        uint8_t *first = wr_guard_alloc(&allocator.hooks, size);
        uint8_t *second = wr_guard_alloc(&allocator.hooks, size);
        cr_assert_not_null(first);
        cr_assert_not_null(second);
        expect_eq((uintptr_t)first % 64, 0);
        expect_eq((uintptr_t)second % 64, 0);
        memset(first, 1, size);
        memset(second, 2, size);
        expect_eq(first[0], 1);
        expect_eq(first[size - 1], 1);
        wr_guard_free(&allocator.hooks, first, size);
        wr_guard_free(&allocator.hooks, second, size);
    }
    allocator_check(&allocator);
}

/* An allocator whose memory starts at any byte, the worst case. */
static uint8_t arena[4096];
static size_t arena_offset;

static void *arena_alloc(void *arg, size_t size)
{
    cr_assert_null(arg);
    expect_leq(arena_offset + size, sizeof(arena));
    return arena + arena_offset;
}

static int arena_frees;

static void arena_free(void *arg, void *ptr, size_t size)
{
    cr_assert_null(arg);
    arena_frees++;
    expect_leq(size, sizeof(arena));
    expect_eq(ptr, arena + arena_offset, "freed what was not allocated");
}

UNIT(guard, memory_is_aligned_even_if_the_allocator_aligns_nothing)
{
    const struct weir_allocator hooks = {arena_alloc, arena_free, NULL};
    for (arena_offset = 0; arena_offset < 130; arena_offset++) {
        uint8_t *ptr = wr_guard_alloc(&hooks, 500);
        expect_eq((uintptr_t)ptr % 64, 0);
        memset(ptr, 3, 500);
        wr_guard_free(&hooks, ptr, 500);
    }
}

UNIT(guard, freeing_null_does_not_call_the_allocator)
{
    const struct weir_allocator hooks = {arena_alloc, arena_free, NULL};
    void *ptr = wr_guard_alloc(&hooks, 100);
    wr_guard_free(&hooks, ptr, 100);
    expect_eq(arena_frees, 1);

    wr_guard_free(&hooks, NULL, 100);
    wr_free(&hooks, NULL, 100);

    expect_eq(arena_frees, 1);
}

UNIT(guard, running_out_of_memory_gives_null)
{
    allocator_init(&allocator);
    allocator.fail_at = 1;

    cr_assert_null(wr_guard_alloc(&allocator.hooks, 100));
    void *ptr = wr_guard_alloc(&allocator.hooks, 100);
    cr_assert_not_null(ptr);
    wr_guard_free(&allocator.hooks, ptr, 100);
    allocator_check(&allocator);
}

UNIT(guard, a_size_beyond_all_memory_gives_null)
{
    allocator_init(&allocator);

    cr_assert_null(wr_guard_alloc(&allocator.hooks, SIZE_MAX));
    cr_assert_null(wr_guard_alloc(&allocator.hooks, SIZE_MAX - 10));
    expect_eq(allocator.calls, 0);
}

UNIT_ABORTS(guard, an_empty_allocation_is_a_bug, "size > 0")
{
    cr_assert_null(wr_guard_alloc(wr_default_allocator(), 0));
}

UNIT(guard, the_default_allocator_is_the_c_library)
{
    const struct weir_allocator *hooks = wr_default_allocator();
    uint8_t *ptr = wr_alloc(hooks, 1000);
    cr_assert_not_null(ptr);
    expect_geq(malloc_usable_size(ptr), 1000);
    memset(ptr, 1, 1000);
    wr_free(hooks, ptr, 1000);
}
