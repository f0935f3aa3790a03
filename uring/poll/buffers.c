/*
 * A ring of provided buffers in plain memory.
 *
 * The indices only grow, and may wrap, because only their differences count.
 * The buffers' memory is not accessed here.
 */
#include "poll_impl.h"

#include "../alloc.h"
#include "../check.h"

#include <errno.h>

int wr_ep_buffers_open(struct wr_ep_buffers *buffers,
                       const struct weir_allocator *allocator, uint32_t entries,
                       bool incremental)
{
    wr_assert(buffers->entries == 0);
    buffers->ring = wr_alloc(allocator, entries * sizeof(*buffers->ring));
    if (!buffers->ring) {
        return -ENOMEM;
    }
    buffers->entries = entries;
    buffers->incremental = incremental;
    return 0;
}

void wr_ep_buffers_close(struct wr_ep_buffers *buffers,
                         const struct weir_allocator *allocator)
{
    wr_assert(!buffers->ring == (buffers->entries == 0));
    if (buffers->ring) {
        wr_free(allocator, buffers->ring,
                buffers->entries * sizeof(*buffers->ring));
    }
}

void wr_ep_buffers_add(struct wr_ep_buffers *buffers,
                       const struct wr_ep_buffer *buffer)
{
    wr_assert(buffers->staged - buffers->head < buffers->entries);
    buffers->ring[buffers->staged & (buffers->entries - 1)] = *buffer;
    buffers->staged++;
}

void wr_ep_buffers_commit(struct wr_ep_buffers *buffers)
{
    wr_assert(buffers->staged - buffers->head <= buffers->entries);
    buffers->tail = buffers->staged;
}
