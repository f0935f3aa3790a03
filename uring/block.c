/*
 * Blocks: size classes and free lists.
 *
 * The size of a block, including its header, determines its class, so a block
 * does not store its class.
 */
#include "block.h"

#include "guard.h"

_Static_assert(WR_BLOCK_SMALL + sizeof(struct wr_block) ==
                   1u << WR_BLOCK_SMALL_BITS,
               "the small class is one of the classes");
_Static_assert(sizeof(struct wr_block) < (1u << WR_BLOCK_MIN_BITS),
               "the smallest block has room for data");

#define BLOCK_CLASS_FINE (WR_BLOCK_FINE_BITS - WR_BLOCK_MIN_BITS + 1u)

static size_t block_size(const struct wr_block *block)
{
    return sizeof(*block) + block->capacity;
}

/* Returns the smallest class for @size bytes, including the header. Returns at
 * least WR_BLOCK_CLASSES if @size is too large for any class. */
static unsigned block_class_of(size_t size)
{
    const unsigned bits = 64u - (unsigned)__builtin_clzll(size - 1);
    if (bits <= WR_BLOCK_FINE_BITS) {
        return bits <= WR_BLOCK_MIN_BITS ? 0 : bits - WR_BLOCK_MIN_BITS;
    }
    const unsigned eighth = (unsigned)((size - 1) >> (bits - 4)) & 7u;
    return BLOCK_CLASS_FINE + (bits - WR_BLOCK_FINE_BITS - 1) * 8u + eighth;
}

static size_t block_size_of(unsigned class)
{
    wr_assert(class < WR_BLOCK_CLASSES);
    if (class < BLOCK_CLASS_FINE) {
        return (size_t)1 << (class + WR_BLOCK_MIN_BITS);
    }
    const unsigned fine = class - BLOCK_CLASS_FINE;
    return (size_t)(9u + fine % 8u) << (WR_BLOCK_FINE_BITS - 3 + fine / 8u);
}

static struct wr_block *block_new(struct wr_blocks *blocks, size_t size)
{
    struct wr_block *block = wr_guard_alloc(blocks->allocator, size);
    if (block) {
        block->capacity = (uint32_t)(size - sizeof(*block));
    }
    return block;
}

static void block_check_kept(const struct wr_blocks *blocks, unsigned class)
{
    uint32_t count = 0;

    for (const struct wr_block *block = blocks->kept[class]; block;
         block = block->next) {
        wr_assert(block_class_of(block_size(block)) == class);
        count++;
    }
    wr_assert(count == blocks->kept_count[class]);
}

void wr_blocks_check_invariants(const struct wr_blocks *blocks)
{
    for (unsigned class = 0; class < WR_BLOCK_CLASSES; class ++) {
        const size_t bytes = blocks->kept_count[class] * block_size_of(class);
        wr_assert(bytes <= WR_BLOCK_KEPT_BYTES);
        wr_assert(bytes == 0 || !blocks->keeps_none);
        wr_assert(!blocks->kept[class] == (bytes == 0));
        wr_debug_check(block_check_kept(blocks, class));
    }
}

void wr_blocks_init(struct wr_blocks *blocks,
                    const struct weir_allocator *allocator)
{
    *blocks = (struct wr_blocks){.allocator = allocator};
#ifdef WR_GUARD
    blocks->keeps_none = true;
#endif
}

struct wr_block *wr_block_take(struct wr_blocks *blocks, size_t min_capacity)
{
    if (min_capacity > UINT32_MAX) {
        return NULL;
    }
    size_t size = min_capacity + sizeof(struct wr_block);
    unsigned class = block_class_of(size);
    struct wr_block *block = NULL;
    if (class >= WR_BLOCK_CLASSES) {
        block = block_new(blocks, size);
    } else if (blocks->kept[class]) {
        wr_assert(blocks->kept_count[class] > 0);
        block = blocks->kept[class];
        blocks->kept[class] = block->next;
        blocks->kept_count[class]--;
    } else {
        block = block_new(blocks, block_size_of(class));
    }
    if (!block) {
        return NULL;
    }
    wr_assert(block->capacity >= min_capacity);
    block->next = NULL;
    block->used = 0;
    blocks->used_bytes += block->capacity;
    return block;
}

void wr_block_give_slowly(struct wr_blocks *blocks, struct wr_block *block)
{
    size_t size = block_size(block);
    unsigned class = block_class_of(size);
    wr_assert(blocks->used_bytes >= block->capacity);
    wr_assert(block->used <= block->capacity);
    blocks->used_bytes -= block->capacity;
    if (blocks->keeps_none || class >= WR_BLOCK_CLASSES ||
        (blocks->kept_count[class] + 1) * size > WR_BLOCK_KEPT_BYTES) {
        wr_guard_free(blocks->allocator, block, size);
        return;
    }
    block->next = blocks->kept[class];
    blocks->kept[class] = block;
    blocks->kept_count[class]++;
}

uint64_t wr_blocks_trim(struct wr_blocks *blocks)
{
    uint64_t bytes = 0;

    wr_blocks_check_invariants(blocks);
    for (unsigned class = 0; class < WR_BLOCK_CLASSES; class ++) {
        while (blocks->kept[class]) {
            struct wr_block *block = blocks->kept[class];
            blocks->kept[class] = block->next;
            bytes += block_size(block);
            wr_guard_free(blocks->allocator, block, block_size(block));
        }
        blocks->kept_count[class] = 0;
    }
    return bytes;
}

void wr_blocks_fini(struct wr_blocks *blocks)
{
    wr_assert(blocks->used_bytes == 0);
    wr_blocks_trim(blocks);
}
