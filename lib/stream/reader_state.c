/*
 * The invariants of a reader.
 *
 * A reader has no single state: whether its stream has ended, whether a task
 * waits in it and whether its transport is paused are independent. These are
 * the relations between them.
 */
#include "reader.h"

void wr_reader_check_invariants(const weir_reader *reader)
{
    const struct wr_recvq *queue = &reader->queue;

    wr_assert(reader->limit_bytes > 0);
    wr_assert(reader->high_bytes >= reader->limit_bytes);
    wr_assert(reader->exception <= 0);
    wr_assert(!reader->is_paused || reader->transport);
    wr_assert(!reader->is_reporting_idle || reader->reports_idle);
    wr_assert((queue->total == 0) == (queue->count == 0));
    /* Only a call that has the reader has bytes of it. */
    wr_assert(reader->moved == 0 || reader->woken);
    if (!wr_list_is_empty(&reader->waiters)) {
        wr_assert(reader->needed > 0);
        wr_assert(!queue->is_shown);
        wr_debug_assert(wr_list_count(&reader->waiters) == 1);
    }
    if (reader->woken) {
        wr_debug_assert(reader->woken->reader == reader);
    }
}
