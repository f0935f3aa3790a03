/*
 * The provided buffers of the poll engine: a queue, the oldest first.
 *
 * A receive fills the first buffer and removes it, or removes only the filled
 * part if buffers are incremental and bytes are left. Receives see added
 * buffers after a commit.
 */
#ifndef WEIR_URING_POLL_BUFFERS_H
#define WEIR_URING_POLL_BUFFERS_H

#include "../../include/weir/base.h"
#include "../check.h"
#include "../sqe.h"

#include <stdbool.h>
#include <stdint.h>

struct wr_ep_buffer {
    uint8_t *data;
    uint32_t len;
    uint16_t id;
};

struct wr_ep_buffers {
    struct wr_ep_buffer *ring;
    uint32_t entries;
    uint32_t head;
    uint32_t tail;   /* as receives see it */
    uint32_t staged; /* including buffers that were not committed */
    bool incremental;
};

WEIR_MUST_USE int wr_ep_buffers_open(struct wr_ep_buffers *buffers,
                                     const struct weir_allocator *allocator,
                                     uint32_t entries, bool incremental);
void wr_ep_buffers_close(struct wr_ep_buffers *buffers,
                         const struct weir_allocator *allocator);

void wr_ep_buffers_add(struct wr_ep_buffers *buffers,
                       const struct wr_ep_buffer *buffer);
void wr_ep_buffers_commit(struct wr_ep_buffers *buffers);

/* Returns the buffer that the next receive fills, or NULL. */
static inline const struct wr_ep_buffer *
wr_ep_buffers_first(const struct wr_ep_buffers *buffers)
{
    wr_debug_assert(buffers->tail - buffers->head <= buffers->entries);
    return buffers->head == buffers->tail
               ? NULL
               : &buffers->ring[buffers->head & (buffers->entries - 1)];
}

/* Removes @len received bytes. Returns the flags of the completion. */
static inline uint32_t wr_ep_buffers_take(struct wr_ep_buffers *buffers,
                                          uint32_t len)
{
    struct wr_ep_buffer *first =
        &buffers->ring[buffers->head & (buffers->entries - 1)];
    const uint32_t flags = IORING_CQE_F_BUFFER | (uint32_t)first->id
                                                     << IORING_CQE_BUFFER_SHIFT;

    wr_debug_assert(wr_ep_buffers_first(buffers) == first);
    wr_assert(len <= first->len);
    if (buffers->incremental && len < first->len) {
        first->data += len;
        first->len -= len;
        return flags | IORING_CQE_F_BUF_MORE;
    }
    buffers->head++;
    return flags;
}

#endif
