/*
 * The bitmap of the transports' descriptors; see owned.h.
 *
 * The bitmap grows to the highest descriptor that was ever in use, by powers of
 * two, and does not shrink.
 */
#include "owned.h"

#include "uring/alloc.h"

#include <errno.h>
#include <string.h>

#define WORDS_LEAST 4u /* 256 descriptors */

int wr_owned_grow(struct wr_owned *owned,
                  const struct weir_allocator *allocator, int fd)
{
    const struct wr_owned old = *owned;
    uint32_t count = old.words ? old.word_count : WORDS_LEAST;

    while (count <= (uint32_t)fd / 64) {
        count *= 2;
    }
    wr_assert(count > old.word_count);
    uint64_t *words = wr_alloc(allocator, count * sizeof(*words));
    wr_require(words, -ENOMEM);
    memset(words, 0, count * sizeof(*words));
    if (old.words) {
        memcpy(words, old.words, old.word_count * sizeof(*words));
    }
    wr_owned_free(owned, allocator);
    *owned = (struct wr_owned){.words = words, .word_count = count};
    return 0;
}

void wr_owned_free(struct wr_owned *owned,
                   const struct weir_allocator *allocator)
{
    wr_assert(!owned->words == (owned->word_count == 0));
    wr_free(allocator, owned->words, owned->word_count * sizeof(*owned->words));
    *owned = (struct wr_owned){.words = NULL};
}
