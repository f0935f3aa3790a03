/*
 * An allocator for libnghttp2 that caches freed blocks by size class. Each
 * block has a header with its class. With AddressSanitizer nothing is cached,
 * so that it detects accesses to freed blocks.
 */
#include "h2_session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define KEEPS_NOTHING 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(KEEPS_NOTHING)
#define KEEPS_NOTHING 1
#endif
#ifndef KEEPS_NOTHING
#define KEEPS_NOTHING 0
#endif

struct h2_block_head {
    /* The next block in the cache, or the usable bytes of a block in use. */
    union {
        struct h2_block_head *next;
        size_t size;
    } is;
    /* Size class, or H2_MEMORY_SIZES for a block that is too large for the
     * cache. */
    size_t place;
};

_Static_assert(sizeof(struct h2_block_head) % _Alignof(max_align_t) == 0,
               "what is behind a head has the alignment of malloc()");

static struct h2_block_head *head_of(void *block)
{
    return (struct h2_block_head *)block - 1;
}

static void *take(size_t size, void *arg)
{
    struct h2_memory *self = arg;
    const size_t place =
        size > 0 && !KEEPS_NOTHING ? (size - 1) / H2_MEMORY_STEP : SIZE_MAX;
    const bool is_small = place < H2_MEMORY_SIZES;
    struct h2_block_head *head = is_small ? self->kept[place] : NULL;
    const size_t room = is_small ? (place + 1) * H2_MEMORY_STEP : size;

    if (head) {
        self->kept[place] = head->is.next;
    } else if (room > SIZE_MAX - sizeof(*head)) {
        return NULL;
    } else {
        head = malloc(sizeof(*head) + room);
    }
    if (!head) {
        return NULL;
    }
    head->is.size = room;
    head->place = is_small ? place : H2_MEMORY_SIZES;
    return head + 1;
}

static void give_back(void *block, void *arg)
{
    struct h2_memory *self = arg;

    if (!block) {
        return;
    }
    struct h2_block_head *head = head_of(block);
    if (head->place == H2_MEMORY_SIZES) {
        free(head);
        return;
    }
    head->is.next = self->kept[head->place];
    self->kept[head->place] = head;
}

static void *take_zeroed(size_t count, size_t size, void *arg)
{
    if (size > 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    void *block = take(count * size, arg);
    if (block) {
        memset(block, 0, count * size);
    }
    return block;
}

static void *resize(void *block, size_t size, void *arg)
{
    if (!block) {
        return take(size, arg);
    }
    const size_t room = head_of(block)->is.size;
    if (room >= size) {
        return block;
    }
    void *larger = take(size, arg);
    if (larger) {
        memcpy(larger, block, room);
        give_back(block, arg);
    }
    return larger;
}

nghttp2_mem *h2_memory_of(struct h2_memory *self)
{
    self->functions = (nghttp2_mem){
        .mem_user_data = self,
        .malloc = take,
        .free = give_back,
        .calloc = take_zeroed,
        .realloc = resize,
    };
    return &self->functions;
}

void h2_memory_fini(struct h2_memory *self)
{
    for (size_t i = 0; i < H2_MEMORY_SIZES; i++) {
        while (self->kept[i]) {
            struct h2_block_head *head = self->kept[i];
            self->kept[i] = head->is.next;
            free(head);
        }
    }
}
