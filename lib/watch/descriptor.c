/*
 * The table of the program's descriptors. It is an array of chunks; a chunk has
 * the entries of consecutive numbers, and is made when one of them is first
 * used. Chunks do not move, so pointers to entries stay valid.
 */
#include "descriptor.h"

#include <string.h>

#define CHUNK_BITS    5u
#define CHUNK_ENTRIES (1u << CHUNK_BITS)

struct chunk {
    struct wr_descriptor descriptors[CHUNK_ENTRIES];
};

struct descriptors {
    struct wr_module module;
    weir_loop *loop;
    /* NULL if no number of the chunk was used */
    struct chunk **chunks;
    uint32_t chunk_room;
};

static struct descriptors *descriptor_of_module(struct wr_module *module)
{
    return wr_container_of(module, struct descriptors, module);
}

/* The calls of tasks are interrupted elsewhere. */
static void descriptor_shutdown(struct wr_module *module)
{
    struct descriptors *all = descriptor_of_module(module);

    wr_assert(wr_loop_is_closing(all->loop));
    for (uint32_t i = 0; i < all->chunk_room; i++) {
        struct chunk *chunk = all->chunks[i];
        for (uint32_t j = 0; chunk && j < CHUNK_ENTRIES * WR_DIRECTIONS; j++) {
            struct wr_descriptor *descriptor =
                &chunk->descriptors[j / WR_DIRECTIONS];
            struct wr_watch *watch = &descriptor->watches[j % WR_DIRECTIONS];
            if (watch->poll) {
                wr_watch_clear(watch);
            }
        }
    }
}

static void descriptor_close(struct wr_module *module)
{
    struct descriptors *all = descriptor_of_module(module);
    const struct weir_allocator *allocator = &all->loop->counting;

    wr_assert(wr_loop_is_closed(all->loop));
    for (uint32_t i = 0; i < all->chunk_room; i++) {
        wr_free(allocator, all->chunks[i], sizeof(*all->chunks[i]));
    }
    wr_free(allocator, all->chunks, all->chunk_room * sizeof(*all->chunks));
    wr_free(allocator, all, sizeof(*all));
}

static void descriptor_check_all(const struct wr_module *module)
{
    const struct descriptors *all =
        wr_container_of(module, const struct descriptors, module);

    wr_assert(!all->chunks == (all->chunk_room == 0));
}

static const struct wr_module_ops descriptor_module_ops = {
    .end = {[WR_END_SHUTDOWN] = descriptor_shutdown},
    .close = descriptor_close,
    .check = descriptor_check_all,
};

static struct descriptors *descriptor_find_all(const weir_loop *loop)
{
    struct wr_module *module =
        wr_loop_find_module(loop, &descriptor_module_ops);

    return module ? descriptor_of_module(module) : NULL;
}

WEIR_MUST_USE static struct descriptors *descriptor_open_all(weir_loop *loop)
{
    struct descriptors *all = descriptor_find_all(loop);
    if (all) {
        return all;
    }
    all = wr_alloc(&loop->counting, sizeof(*all));
    if (all) {
        *all = (struct descriptors){.loop = loop};
        wr_loop_add_module(loop, &all->module, &descriptor_module_ops);
    }
    return all;
}

WEIR_MUST_USE static int descriptor_make_room(struct descriptors *all,
                                              uint32_t index)
{
    const struct weir_allocator *allocator = &all->loop->counting;
    uint32_t room = all->chunk_room ? all->chunk_room : 32;

    wr_assert(!all->chunks == (all->chunk_room == 0));
    if (index < all->chunk_room) {
        return 0;
    }
    while (room <= index) {
        room *= 2;
    }
    struct chunk **chunks = wr_alloc(allocator, room * sizeof(*chunks));
    wr_require(chunks, -ENOMEM);
    memset(chunks, 0, room * sizeof(*chunks));
    if (all->chunks) {
        memcpy(chunks, all->chunks, all->chunk_room * sizeof(*chunks));
    }
    wr_free(allocator, all->chunks, all->chunk_room * sizeof(*chunks));
    all->chunks = chunks;
    all->chunk_room = room;
    return 0;
}

WEIR_MUST_USE static struct chunk *
descriptor_make_chunk(const struct descriptors *all)
{
    struct chunk *chunk = wr_alloc(&all->loop->counting, sizeof(*chunk));
    wr_assert(!wr_loop_is_closing(all->loop));
    if (!chunk) {
        return NULL;
    }
    memset(chunk, 0, sizeof(*chunk));
    for (uint32_t i = 0; i < CHUNK_ENTRIES; i++) {
        for (uint32_t j = 0; j < WR_DIRECTIONS; j++) {
            wr_list_init(&chunk->descriptors[i].calls[j]);
            wr_list_init(&chunk->descriptors[i].watches[j].ready.link);
        }
    }
    return chunk;
}

struct wr_descriptor *wr_descriptor_find(const weir_loop *loop, int fd)
{
    const struct descriptors *all = descriptor_find_all(loop);
    const uint32_t number = (uint32_t)fd;

    if (!all || fd < 0 || number >> CHUNK_BITS >= all->chunk_room ||
        !all->chunks[number >> CHUNK_BITS]) {
        return NULL;
    }
    return &all->chunks[number >> CHUNK_BITS]
                ->descriptors[number & (CHUNK_ENTRIES - 1)];
}

struct wr_descriptor *wr_descriptor_make(weir_loop *loop, int fd)
{
    const uint32_t index = (uint32_t)fd >> CHUNK_BITS;
    struct descriptors *all = descriptor_open_all(loop);

    wr_assert(fd >= 0);
    if (!all || descriptor_make_room(all, index) < 0) {
        return NULL;
    }
    if (!all->chunks[index]) {
        all->chunks[index] = descriptor_make_chunk(all);
    }
    return wr_descriptor_find(loop, fd);
}
