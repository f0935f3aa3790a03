/*
 * The counting allocator; see alloc.h.
 *
 * Each block is preceded by its size and a mark, which catch a foreign or
 * twice freed pointer and a wrong size. The blocks come from malloc(), so that
 * a sanitizer sees them too.
 */
#include "tests/fake/alloc.h"

#include "tests/fake/fake.h"

#include <stdlib.h>
#include <string.h>

#define MARK_LIVE 0x77656972616c6c6fu
#define MARK_FREE 0x6e6f7468696e6721u
/* Large blocks are not overwritten whole: receive buffers are 256 KiB. */
#define POISON_MAX 4096u

struct block {
    uint64_t mark;
    uint64_t size;
};

_Static_assert(sizeof(struct block) % 16 == 0, "blocks stay aligned");

static size_t poison_len(size_t size)
{
    return size < POISON_MAX ? size : POISON_MAX;
}

static void *take_block(void *arg, size_t size)
{
    struct fake_alloc *alloc = arg;
    if (size == 0) {
        fake_fail("an allocation of no bytes");
    }
    alloc->count++;
    bool fails = alloc->fail_at != 0 &&
                 (alloc->count == alloc->fail_at ||
                  (alloc->fail_after && alloc->count > alloc->fail_at));
    struct block *block = fails ? NULL : malloc(sizeof(*block) + size);
    if (!block) {
        alloc->failed++;
        return NULL;
    }
    block->mark = MARK_LIVE;
    block->size = size;
    memset(block + 1, 0xa1, poison_len(size));
    alloc->live_count++;
    alloc->live_bytes += size;
    if (alloc->live_bytes > alloc->peak_bytes) {
        alloc->peak_bytes = alloc->live_bytes;
    }
    return block + 1;
}

static void give_block(void *arg, void *ptr, size_t size)
{
    struct fake_alloc *alloc = arg;
    struct block *block = (struct block *)ptr - 1;
    if (block->mark != MARK_LIVE) {
        fake_fail("%p is freed, and is no block that is out", ptr);
    }
    if (block->size != size) {
        fake_fail("a block of %llu bytes is freed as %zu",
                  (unsigned long long)block->size, size);
    }
    alloc->live_count--;
    alloc->live_bytes -= size;
    memset(ptr, 0xdf, poison_len(size));
    block->mark = MARK_FREE;
    free(block);
}

void fake_alloc_init(struct fake_alloc *alloc)
{
    memset(alloc, 0, sizeof(*alloc));
    alloc->hooks.alloc = take_block;
    alloc->hooks.free = give_block;
    alloc->hooks.arg = alloc;
}

void fake_alloc_check(const struct fake_alloc *alloc)
{
    if (alloc->live_count != 0) {
        fake_fail("%llu blocks with %llu bytes were not freed",
                  (unsigned long long)alloc->live_count,
                  (unsigned long long)alloc->live_bytes);
    }
}
