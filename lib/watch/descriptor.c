/*
 * The places of descriptors, and which of them belong to transports.
 *
 * Transports do not tell which descriptor they own, so that a program without
 * watched ones pays nothing. Instead, when a descriptor is about to be used,
 * the transports that have joined the loop since the last time are looked at,
 * once each, and their inodes are kept by number. Nothing tells that one has
 * gone. But the file of a descriptor with another inode than was kept is not
 * the transport's, and only where it is the same all transports are asked.
 */
#include "descriptor.h"

#include "lib/transport/transport.h"

#include <string.h>

#define CHUNK_BITS    5u
#define CHUNK_ENTRIES (1u << CHUNK_BITS)

struct chunk {
    struct wr_descriptor descriptors[CHUNK_ENTRIES];
};

struct descriptors {
    struct wr_module module;
    weir_loop *loop;
    struct chunk **chunks; /* by number; NULL where none was used */
    uint64_t *inodes;      /* of transports, by number; 0: none */
    uint32_t chunk_room;
    uint32_t inode_room;
    uint64_t seen_count; /* transports that were looked at */
};

static struct descriptors *descriptor_of_module(struct wr_module *module)
{
    return wr_container_of(module, struct descriptors, module);
}

/* ---- the module ---- */

static void descriptor_shutdown_chunk(struct chunk *chunk)
{
    for (uint32_t i = 0; i < CHUNK_ENTRIES * WR_DIRECTIONS; i++) {
        struct wr_descriptor *descriptor =
            &chunk->descriptors[i / WR_DIRECTIONS];
        struct wr_watch *watch = &descriptor->watches[i % WR_DIRECTIONS];
        if (watch->poll) {
            wr_watch_clear(watch);
        }
    }
}

/* No callback is called any more. Tasks' calls are interrupted. */
static void descriptor_shutdown(struct wr_module *module)
{
    struct descriptors *all = descriptor_of_module(module);

    wr_assert(wr_loop_is_closing(all->loop));
    for (uint32_t i = 0; i < all->chunk_room; i++) {
        if (all->chunks[i]) {
            descriptor_shutdown_chunk(all->chunks[i]);
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
    wr_free(allocator, all->inodes, all->inode_room * sizeof(*all->inodes));
    wr_free(allocator, all, sizeof(*all));
}

static void descriptor_check_all(const struct wr_module *module)
{
    const struct descriptors *all =
        wr_container_of(module, const struct descriptors, module);

    wr_assert(!all->chunks == (all->chunk_room == 0));
    wr_assert(!all->inodes == (all->inode_room == 0));
    wr_assert(all->seen_count <= all->loop->joined_counts[WR_STAGE_TRANSPORTS]);
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

/* A table of @room entries has entry @index: 0 or -ENOMEM. */
WEIR_MUST_USE static int descriptor_make_room(struct descriptors *all,
                                              void **table, uint32_t *room,
                                              size_t entry_size, uint32_t index)
{
    const struct weir_allocator *allocator = &all->loop->counting;
    wr_assert(index <= INT32_MAX);
    wr_assert(!*table == (*room == 0));
    if (index < *room) {
        return 0;
    }
    uint32_t larger = *room ? *room : 32;
    while (larger <= index) {
        larger *= 2;
    }
    void *copy = wr_alloc(allocator, larger * entry_size);
    if (!copy) {
        return -ENOMEM;
    }
    memset(copy, 0, larger * entry_size);
    if (*room > 0) {
        memcpy(copy, *table, *room * entry_size);
    }
    wr_free(allocator, *table, *room * entry_size);
    *table = copy;
    *room = larger;
    return 0;
}

/* ---- transports' descriptors ---- */

/* The descriptor that a member of the transports' stage owns, or -1. */
static int descriptor_of_member(const struct wr_member *member)
{
    struct weir_extra_info info = {.fd = -1};

    if (member->ops != &wr_transport_member_ops) {
        return -1;
    }
    const weir_transport *t = wr_container_of(member, weir_transport, member);
    if (weir_transport_get_extra_info(t, "socket", &info) < 0 &&
        weir_transport_get_extra_info(t, "pipe", &info) < 0) {
        return -1;
    }
    return info.fd;
}

WEIR_MUST_USE static int descriptor_keep_inode(struct descriptors *all, int fd)
{
    struct wr_file_id id;

    if (fd < 0 || wr_sys_identify(fd, &id) < 0) {
        return 0; /* it owns none that the program could name */
    }
    void *inodes = all->inodes;
    int err = descriptor_make_room(all, &inodes, &all->inode_room,
                                   sizeof(*all->inodes), (uint32_t)fd);
    if (err < 0) {
        return err;
    }
    all->inodes = inodes;
    all->inodes[fd] = id.inode;
    return 0;
}

/* Looks at the transports that have joined since the last time. */
WEIR_MUST_USE static int descriptor_look(struct descriptors *all)
{
    const weir_loop *loop = all->loop;
    const struct wr_list *members = &loop->members[WR_STAGE_TRANSPORTS];
    const uint64_t joined = loop->joined_counts[WR_STAGE_TRANSPORTS];

    wr_assert(all->seen_count <= joined);
    uint64_t count = joined - all->seen_count;
    for (const struct wr_list *link = members->prev;
         link != members && count > 0; link = link->prev) {
        int err = descriptor_keep_inode(
            all, descriptor_of_member(
                     wr_container_of(link, const struct wr_member, link)));
        if (err < 0) {
            return err;
        }
        count--;
    }
    all->seen_count = joined;
    return 0;
}

/* Asks all transports. */
static bool descriptor_has_owner(const weir_loop *loop, int fd)
{
    const struct wr_list *members = &loop->members[WR_STAGE_TRANSPORTS];

    for (const struct wr_list *link = members->next; link != members;
         link = link->next) {
        if (descriptor_of_member(
                wr_container_of(link, const struct wr_member, link)) == fd) {
            return true;
        }
    }
    return false;
}

/* True when the file is that of a transport; forgets one that has gone. */
static bool descriptor_is_owned(struct descriptors *all, int fd)
{
    struct wr_file_id id;

    wr_assert(fd >= 0);
    wr_assert(all->seen_count == all->loop->joined_counts[WR_STAGE_TRANSPORTS]);
    if ((uint32_t)fd >= all->inode_room || all->inodes[fd] == 0) {
        return false;
    }
    if (wr_sys_identify(fd, &id) == 0 && id.inode == all->inodes[fd] &&
        descriptor_has_owner(all->loop, fd)) {
        return true;
    }
    all->inodes[fd] = 0;
    return false;
}

int wr_descriptor_check_free(weir_loop *loop, int fd)
{
    wr_require(fd >= 0, -EBADF);
    struct descriptors *all = descriptor_open_all(loop);
    wr_require(all, -ENOMEM);
    int err = descriptor_look(all);
    wr_require(err >= 0, err);
    return descriptor_is_owned(all, fd) ? -EBUSY : 0;
}

/* ---- places ---- */

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
    if (!all) {
        return NULL;
    }
    void *chunks = all->chunks;
    if (descriptor_make_room(all, &chunks, &all->chunk_room,
                             sizeof(struct chunk *), index) < 0) {
        return NULL;
    }
    all->chunks = chunks;
    if (!all->chunks[index]) {
        all->chunks[index] = descriptor_make_chunk(all);
    }
    return wr_descriptor_find(loop, fd);
}
