/*
 * Allocator for the library's sessions of one thread: freed blocks are cached
 * by size, because each request allocates and frees the same few sizes.
 *
 * There are never more blocks of a size than were in use at a time.
 */
#ifndef WEIR_LOAD_H2_MEMORY_H
#define WEIR_LOAD_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

/* Blocks up to H2_MEMORY_SIZES steps are cached, by size in steps. */
#define H2_MEMORY_STEP  64U
#define H2_MEMORY_SIZES 32U

struct h2_block_head;

/* Must be zero-initialised. */
struct h2_memory {
    nghttp2_mem functions;
    struct h2_block_head *kept[H2_MEMORY_SIZES];
};

/* Returns the library's interface. The object must not move any more. */
nghttp2_mem *h2_memory_of(struct h2_memory *self);

/* Must be called after the sessions were deleted. */
void h2_memory_fini(struct h2_memory *self);

#endif
