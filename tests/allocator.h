/*
 * An allocator for tests: it counts, checks and fails on request.
 *
 * Allocations are numbered from 1; the one whose number is fail_at gives NULL,
 * and with fail_after so do all later ones. Each block is preceded by its size
 * and a mark, which catch a foreign or twice freed pointer and a wrong size,
 * and is overwritten on both ways, so that code which counts on zeroes is found
 * out. Blocks come from malloc(), so that a sanitizer sees them too.
 *
 * walk.h fails the allocations of a call one after the other.
 */
#ifndef WEIR_TESTS_ALLOCATOR_H
#define WEIR_TESTS_ALLOCATOR_H

#include "uring/check.h"
#include "weir/loop.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct test_allocator {
    struct weir_allocator hooks;
    pthread_mutex_t mutex;
    uint64_t calls;      /* allocations asked for so far */
    uint64_t fail_at;    /* this one fails, counted from 1; 0: none */
    uint64_t failed;     /* how many did fail */
    uint64_t live_count; /* blocks that are out */
    uint64_t live_bytes;
    size_t size_limit; /* larger ones fail; 0: memory has run out */
    bool fail_after;   /* all after fail_at fail too */
};

#define ALLOCATOR_LIVE 0x77656972616c6c6fu
#define ALLOCATOR_FREE 0x6e6f7468696e6721u
/* Large blocks are not overwritten whole: receive buffers are 256 KiB. */
#define ALLOCATOR_DIRT (64u << 10)

struct allocator_block {
    uint64_t mark;
    uint64_t size;
};

_Static_assert(sizeof(struct allocator_block) % 16 == 0, "blocks stay aligned");

static inline void *allocator_take(void *arg, size_t size)
{
    struct test_allocator *self = arg;
    wr_assert(size > 0);
    pthread_mutex_lock(&self->mutex);
    self->calls++;
    const bool fails =
        self->calls == self->fail_at || size > self->size_limit ||
        (self->fail_after && self->fail_at > 0 && self->calls > self->fail_at);
    struct allocator_block *block =
        fails ? NULL : malloc(sizeof(*block) + size);
    self->failed += !block;
    self->live_count += block ? 1 : 0;
    self->live_bytes += block ? size : 0;
    pthread_mutex_unlock(&self->mutex);
    if (!block) {
        return NULL;
    }
    *block = (struct allocator_block){.mark = ALLOCATOR_LIVE, .size = size};
    memset(block + 1, 0xa1, wr_min_u64(size, ALLOCATOR_DIRT));
    return block + 1;
}

static inline void allocator_give(void *arg, void *ptr, size_t size)
{
    struct test_allocator *self = arg;
    struct allocator_block *block = (struct allocator_block *)ptr - 1;
    wr_assert(block->mark == ALLOCATOR_LIVE);
    wr_assert(block->size == size);
    pthread_mutex_lock(&self->mutex);
    self->live_count--;
    self->live_bytes -= size;
    pthread_mutex_unlock(&self->mutex);
    memset(ptr, 0xdf, wr_min_u64(size, ALLOCATOR_DIRT));
    block->mark = ALLOCATOR_FREE;
    free(block);
}

static inline void allocator_init(struct test_allocator *self)
{
    *self = (struct test_allocator){
        .hooks = {.alloc = allocator_take, .free = allocator_give, .arg = self},
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .size_limit = SIZE_MAX,
    };
}

/* Of a loop that has its memory from @self. */
static inline struct weir_loop_options
allocator_options(const struct test_allocator *self)
{
    return (struct weir_loop_options){.size = sizeof(struct weir_loop_options),
                                      .allocator = &self->hooks};
}

#endif
