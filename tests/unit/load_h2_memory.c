/*
 * The allocator of HTTP/2 sessions: a freed block is used for the next one of
 * its size, growing blocks keep their bytes, and at the end everything is
 * freed.
 *
 * With AddressSanitizer nothing is cached, so blocks are only counted.
 */
#include "tools/weir-load/http2/h2_memory.c"

#include "tests/unit.h"

/* Blocks allocated with malloc() and not freed, in a test. */
static int blocks;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void __real_free(void *block);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size)
{
    void *block = __real_malloc(size);

    blocks += block != NULL;
    return block;
}

void __wrap_free(void *block)
{
    blocks -= block != NULL;
    __real_free(block);
}

static nghttp2_mem *begun(struct h2_memory *memory)
{
    *memory = (struct h2_memory){0};
    blocks = 0;
    return h2_memory_of(memory);
}

static void ended(struct h2_memory *memory)
{
    h2_memory_fini(memory);
    expect_eq(blocks, 0);
    for (size_t i = 0; i < H2_MEMORY_SIZES; i++) {
        cr_assert_null(memory->kept[i]);
    }
}

UNIT(load_h2_memory, what_is_freed_is_used_for_the_next_of_its_size)
{
    struct h2_memory memory;
    const nghttp2_mem *mem = begun(&memory);

    for (size_t step = 0; step < H2_MEMORY_SIZES; step++) {
        const size_t least = step * H2_MEMORY_STEP + 1;
        const size_t most = (step + 1) * H2_MEMORY_STEP;
        void *first = mem->malloc(least, &memory);
        void *second = mem->malloc(most, &memory);
        cr_assert_neq(first, second);
        memset(first, 1, least);
        memset(second, 2, most);
        mem->free(first, &memory);
        void *next = mem->malloc(most, &memory);
        expect_eq(next == first, !KEEPS_NOTHING);
        memset(next, 3, most);
        mem->free(next, &memory);
        mem->free(second, &memory);
    }
    expect_eq(blocks, KEEPS_NOTHING ? 0 : 2 * (int)H2_MEMORY_SIZES);
    ended(&memory);
}

UNIT(load_h2_memory, blocks_above_all_steps_are_given_back)
{
    struct h2_memory memory;
    const nghttp2_mem *mem = begun(&memory);
    /* volatile, so that the compiler does not remove both calls */
    void *volatile large =
        mem->malloc(H2_MEMORY_STEP * H2_MEMORY_SIZES + 1, &memory);

    cr_assert_not_null(large);
    expect_eq(blocks, 1);
    mem->free(large, &memory);
    expect_eq(blocks, 0);
    ended(&memory);
}

UNIT(load_h2_memory, a_block_that_grows_keeps_its_bytes)
{
    struct h2_memory memory;
    const nghttp2_mem *mem = begun(&memory);
    uint8_t *block = mem->realloc(NULL, 1, &memory);

    block[0] = 0;
    for (size_t len = 2; len < 5000; len++) {
        block = mem->realloc(block, len, &memory);
        block[len - 1] = (uint8_t)(len - 1);
        for (size_t i = 0; i < len; i += len / 9 + 1) {
            expect_eq(block[i], (uint8_t)i);
        }
    }
    cr_assert_eq(mem->realloc(block, 7, &memory), block);
    mem->free(block, &memory);
    ended(&memory);
}

UNIT(load_h2_memory, zeroed_blocks_are_zeroed_when_used_again)
{
    static const size_t sizes[] = {1, 64, 65, 2048, 2049};
    struct h2_memory memory;
    const nghttp2_mem *mem = begun(&memory);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *block = mem->malloc(sizes[i], &memory);
        memset(block, 0xff, sizes[i]);
        mem->free(block, &memory);
        block = mem->calloc(sizes[i], 1, &memory);
        for (size_t at = 0; at < sizes[i]; at++) {
            expect_eq(block[at], 0);
        }
        mem->free(block, &memory);
    }
    ended(&memory);
}

UNIT(load_h2_memory, blocks_of_no_bytes_are_blocks)
{
    struct h2_memory memory;
    const nghttp2_mem *mem = begun(&memory);
    void *all[] = {mem->malloc(0, &memory), mem->calloc(0, 9, &memory),
                   mem->calloc(9, 0, &memory), mem->realloc(NULL, 0, &memory)};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        cr_assert_not_null(all[i]);
        all[i] = mem->realloc(all[i], 10, &memory);
        memset(all[i], 1, 10);
        mem->free(all[i], &memory);
    }
    mem->free(NULL, &memory);
    ended(&memory);
}

UNIT(load_h2_memory, sizes_beyond_all_memory_are_refused)
{
    volatile size_t huge = SIZE_MAX;
    struct h2_memory memory;
    const nghttp2_mem *mem = begun(&memory);
    uint8_t *block = mem->malloc(3, &memory);

    block[2] = 7;
    cr_assert_null(mem->malloc(huge, &memory));
    /* Their products overflow to 4. */
    cr_assert_null(mem->calloc(huge / 4 + 2, 4, &memory));
    cr_assert_null(mem->calloc(4, huge / 4 + 2, &memory));
    cr_assert_null(mem->calloc(1, huge, &memory));
    cr_assert_null(mem->realloc(block, huge, &memory));
    expect_eq(block[2], 7);
    mem->free(block, &memory);
    ended(&memory);
}
