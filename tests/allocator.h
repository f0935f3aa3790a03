/*
 * An allocator for tests that counts, checks, and fails on request.
 *
 * Allocations are numbered from 1. Allocation number fail_at returns NULL, and
 * with fail_after all later ones do, too. A header with the block's size and a
 * mark reveals foreign pointers, double frees and wrong sizes. Blocks are
 * overwritten when they are allocated and freed, so that code that relies on
 * zeroes fails. Blocks come from malloc(), so that a sanitizer sees them.
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
    uint64_t calls;
    uint64_t fail_at; /* this allocation fails, counted from 1; 0 is none */
    uint64_t failed;
    uint64_t live_count;
    uint64_t live_bytes;
    size_t size_limit; /* larger ones fail; 0 means out of memory */
    bool fail_after;
};

#define ALLOCATOR_LIVE 0x77656972616c6c6fu
#define ALLOCATOR_FREE 0x6e6f7468696e6721u
/* Only this many bytes of a block are overwritten: receive buffers have 256
 * KiB. */
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

static inline struct weir_loop_options
allocator_options(const struct test_allocator *self)
{
    return (struct weir_loop_options){.size = sizeof(struct weir_loop_options),
                                      .allocator = &self->hooks};
}

#endif
