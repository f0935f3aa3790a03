/*
 * The memory of the library's sessions, of one thread: what is freed is kept
 * for the next of its size, as each request takes and frees the same few sizes.
 *
 * Of each size there is never more than was in use at once.
 */
#ifndef WEIR_LOAD_H2_MEMORY_H
#define WEIR_LOAD_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

/* Sizes up to this one are kept, in steps. */
#define H2_MEMORY_STEP  64U
#define H2_MEMORY_SIZES 32U

struct h2_block_head;

/* All zero: nothing is kept. */
struct h2_memory {
    nghttp2_mem functions;
    struct h2_block_head *kept[H2_MEMORY_SIZES];
};

/* As the library takes it; the memory may not move any more. */
nghttp2_mem *h2_memory_of(struct h2_memory *self);

/* The sessions are gone. */
void h2_memory_fini(struct h2_memory *self);

#endif
