/*
 * Each allocation of an arena has a header that links it to the others.
 *
 * The header also has the address of the link to it, so that realloc(3) may
 * move a block. Arrays of the caller have no header.
 */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    struct arena_block **link; /* the pointer to this block */
};

static void *grow(struct arena *arena, void *old, size_t size)
{
    if (!arena) {
        return realloc(old, size);
    }
    struct arena_block *block = realloc(
        old ? (struct arena_block *)old - 1 : NULL, sizeof(*block) + size);
    if (!block) {
        return NULL;
    }
    if (!old) {
        *block = (struct arena_block){arena->first, &arena->first};
    }
    *block->link = block;
    if (block->next) {
        block->next->link = &block->next;
    }
    return block + 1;
}

void *arena_add(struct arena *arena, void *array, size_t *count,
                const void *element, size_t size)
{
    char *all;

    memcpy(&all, array, sizeof(all));
    if ((*count & (*count - 1)) == 0) {
        all = grow(arena, all, (*count > 0 ? 2 * *count : 1) * size);
        if (!all) {
            return NULL;
        }
        memcpy(array, &all, sizeof(all));
    }
    return memcpy(all + (*count)++ * size, element, size);
}

void *arena_copy(struct arena *arena, const void *bytes, size_t size)
{
    char *copy = grow(arena, NULL, size + 1);

    if (copy) {
        memcpy(copy, bytes, size);
        copy[size] = '\0';
    }
    return copy;
}

char *arena_copy_text(struct arena *arena, const char *text)
{
    return arena_copy(arena, text, strlen(text));
}

void arena_free(struct arena *arena)
{
    while (arena->first) {
        struct arena_block *block = arena->first;
        arena->first = block->next;
        free(block);
    }
}
