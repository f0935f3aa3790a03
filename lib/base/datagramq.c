/*
 * A queue of datagrams in blocks.
 *
 * The first block is freed when its last entry has left. An entry is its
 * struct, its name, its control data and its copied bytes, each aligned to
 * PART_ALIGN.
 */
#include "datagramq.h"

#include "uring/lease.h"

#include <errno.h>
#include <string.h>

#define PART_ALIGN 8u

static inline size_t datagramq_align(size_t size)
{
    return (size + PART_ALIGN - 1) & ~(size_t)(PART_ALIGN - 1);
}

_Static_assert(sizeof(struct wr_outgoing) % PART_ALIGN == 0, "entries align");

void wr_datagramq_check_invariants(const struct wr_datagramq *q)
{
    wr_assert((q->count == 0) == (q->head == NULL));
    wr_assert((q->head == NULL) == (q->tail == NULL));
    wr_assert(q->bytes >= (uint64_t)q->count * WEIR_DATAGRAM_COST);
    if (q->head) {
        wr_assert(q->head_offset < q->head->used);
        wr_assert(!q->tail->next);
    } else {
        wr_assert(q->bytes == 0);
    }
}

void wr_datagramq_init(struct wr_datagramq *q)
{
    memset(q, 0, sizeof(*q));
    wr_datagramq_check_invariants(q);
}

static inline struct wr_outgoing *datagramq_at(const struct wr_block *block,
                                               uint32_t offset)
{
    wr_debug_assert(offset + sizeof(struct wr_outgoing) <= block->used);
    return (struct wr_outgoing *)(uintptr_t)(block->data + offset);
}

static inline uint8_t *datagramq_name(const struct wr_outgoing *entry)
{
    return (uint8_t *)(uintptr_t)(entry + 1);
}

static inline uint8_t *datagramq_control(const struct wr_outgoing *entry)
{
    return datagramq_name(entry) + datagramq_align(entry->name_len);
}

static struct wr_outgoing *
datagramq_extend(struct wr_datagramq *q, struct wr_blocks *blocks, size_t size)
{
    struct wr_block *block = q->tail;

    if (!block || block->capacity - block->used < size) {
        const size_t least = WR_DATAGRAMQ_BLOCK - sizeof(*block);
        block = wr_block_take(blocks, size > least ? size : least);
        if (!block) {
            return NULL;
        }
        if (q->tail) {
            q->tail->next = block;
        } else {
            q->head = block;
            q->head_offset = 0;
        }
        q->tail = block;
    }
    wr_debug_assert(block->used % PART_ALIGN == 0);
    const uint32_t offset = block->used;
    block->used += (uint32_t)size;
    return datagramq_at(block, offset);
}

static void datagramq_fill(struct wr_outgoing *entry,
                           const struct wr_outgoing_parts *parts)
{
    uint8_t *copy =
        datagramq_control(entry) + datagramq_align(entry->control_len);

    wr_assert(parts->kind < WR_OUTGOING_KINDS);
    entry->kind = parts->kind;
    entry->data = parts->data;
    switch (parts->kind) {
    case WR_OUTGOING_LEASE:
        wr_lease_ref(parts->lease);
        entry->lease = parts->lease;
        break;
    case WR_OUTGOING_REF:
        entry->release = parts->release;
        entry->release_arg = parts->release_arg;
        break;
    case WR_OUTGOING_COPY:
    case WR_OUTGOING_KINDS:
        entry->data = copy;
        if (parts->len > 0) {
            memcpy(copy, parts->data, parts->len);
        }
        break;
    }
}

int wr_datagramq_push(struct wr_datagramq *q, struct wr_blocks *blocks,
                      const struct wr_outgoing_parts *parts)
{
    const size_t name_len = parts->name ? parts->name->len : 0;
    const size_t copied = parts->kind == WR_OUTGOING_COPY ? parts->len : 0;
    const size_t size =
        datagramq_align(sizeof(struct wr_outgoing) + datagramq_align(name_len) +
                        datagramq_align(parts->control_len) + copied);

    wr_debug_check(wr_datagramq_check_invariants(q));
    wr_assert(size <= UINT32_MAX);
    struct wr_outgoing *entry = datagramq_extend(q, blocks, size);
    if (!entry) {
        return -ENOMEM;
    }
    entry->size = (uint32_t)size;
    entry->len = (uint32_t)parts->len;
    entry->name_len = (uint16_t)name_len;
    entry->control_len = (uint16_t)parts->control_len;
    entry->error = 0;
    entry->deadline_ns = parts->deadline_ns;
    if (name_len > 0) {
        memcpy(datagramq_name(entry), &parts->name->storage, name_len);
    }
    if (parts->control_len > 0) {
        memcpy(datagramq_control(entry), parts->control, parts->control_len);
    }
    datagramq_fill(entry, parts);
    q->count++;
    q->bytes += parts->len + WEIR_DATAGRAM_COST;
    return 0;
}

struct wr_outgoing *wr_datagramq_first(const struct wr_datagramq *q)
{
    wr_assert(q->count > 0);
    return datagramq_at(q->head, q->head_offset);
}

void wr_datagramq_get_name(const struct wr_datagramq *q,
                           struct weir_address *ret)
{
    const struct wr_outgoing *entry = wr_datagramq_first(q);

    wr_assert(entry->name_len <= sizeof(ret->storage));
    ret->len = entry->name_len;
    memcpy(&ret->storage, datagramq_name(entry), entry->name_len);
}

uint32_t wr_datagramq_gather(const struct wr_datagramq *q,
                             struct mmsghdr *messages, struct iovec *iov,
                             uint32_t max)
{
    const struct wr_block *block = q->head;
    uint32_t offset = q->head_offset;
    const uint32_t count = q->count < max ? q->count : max;

    wr_debug_check(wr_datagramq_check_invariants(q));
    for (uint32_t i = 0; i < count; i++) {
        if (offset == block->used) {
            block = block->next;
            offset = 0;
        }
        const struct wr_outgoing *entry = datagramq_at(block, offset);
        struct msghdr *header = &messages[i].msg_hdr;
        iov[i].iov_base = (void *)(uintptr_t)entry->data;
        iov[i].iov_len = entry->len;
        header->msg_name = entry->name_len ? datagramq_name(entry) : NULL;
        header->msg_namelen = entry->name_len;
        header->msg_control =
            entry->control_len ? datagramq_control(entry) : NULL;
        header->msg_controllen = entry->control_len;
        header->msg_iov = &iov[i];
        header->msg_iovlen = 1;
        offset += entry->size;
    }
    return count;
}

static void datagramq_unlink_first(struct wr_datagramq *q,
                                   struct wr_blocks *blocks, uint32_t size)
{
    struct wr_block *block = q->head;

    q->head_offset += size;
    wr_assert(q->head_offset <= block->used);
    if (q->head_offset < block->used) {
        return;
    }
    q->head = block->next;
    q->head_offset = 0;
    if (!q->head) {
        q->tail = NULL;
    }
    wr_block_give(blocks, block);
}

uint64_t wr_datagramq_pop(struct wr_datagramq *q, struct wr_blocks *blocks)
{
    const struct wr_outgoing entry = *wr_datagramq_first(q);
    const uint64_t bytes = (uint64_t)entry.len + WEIR_DATAGRAM_COST;

    wr_assert(q->bytes >= bytes);
    q->bytes -= bytes;
    q->count--;
    datagramq_unlink_first(q, blocks, entry.size);
    if (entry.kind == WR_OUTGOING_LEASE) {
        wr_lease_unref(entry.lease);
    } else if (entry.kind == WR_OUTGOING_REF && entry.release) {
        entry.release(entry.release_arg);
    }
    return bytes;
}
