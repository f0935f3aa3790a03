/*
 * Readers: the memory of unread bytes, and invariants. At the end of a loop
 * iteration the unread bytes are compacted or moved out of the receive pool,
 * and the transport is paused if too many are left. A few small pieces are
 * moved some time later, because a relay would otherwise copy the tail of every
 * receive. If a task waits for more bytes and its unread bytes keep the
 * transport from receiving, all of them are moved.
 */
#include "reader.h"

#include "lib/transport/transport.h"

/* FEW_PIECES stay in place for this time, in which most are read. */
#define COMPACT_AFTER_NS 10000000u
#define FEW_PIECES       64u

void wr_reader_check_invariants(const weir_reader *reader)
{
    const struct wr_recvq *queue = &reader->queue;

    wr_assert(reader->limit_bytes > 0);
    wr_assert(reader->high_bytes >= reader->limit_bytes);
    wr_assert(reader->exception <= 0);
    wr_assert(!reader->is_paused || reader->transport);
    wr_assert(!reader->is_reporting_idle || reader->reports_idle);
    wr_assert((queue->total == 0) == (queue->count == 0));
    wr_assert(reader->moved == 0 || reader->woken);
    if (!wr_list_is_empty(&reader->waiters)) {
        wr_assert(reader->needed > 0);
        wr_assert(!queue->is_shown);
        wr_debug_assert(wr_list_count(&reader->waiters) == 1);
    }
    if (reader->woken) {
        wr_debug_assert(reader->woken->reader == reader);
    }
    /* While a window is open, the fast path of lines relies on all of this. */
    if (wr_recvq_has_window(queue)) {
        wr_assert(!wr_reader_is_busy(reader));
        wr_assert(!reader->is_paused);
        wr_assert(wr_list_is_linked(&reader->turn_end.link));
    }
}

void wr_reader_pause(weir_reader *reader)
{
    /* otherwise no read would resume the transport */
    wr_assert(reader->queue.total > 0 || reader->fds);
    if (reader->transport && !reader->is_paused) {
        wr_recvq_close_window(&reader->queue);
        reader->is_paused = true;
        weir_transport_pause_reading(reader->transport);
    }
}

void wr_reader_resume(weir_reader *reader)
{
    if (reader->is_paused) {
        wr_assert(reader->transport != NULL);
        reader->is_paused = false;
        weir_transport_resume_reading(reader->transport);
    }
}

int wr_reader_gather(weir_reader *reader, struct weir_buf *ret)
{
    struct wr_recvq *queue = &reader->queue;

    wr_recvq_drop_shown(queue);
    *ret = (struct weir_buf){.len = 0};
    if (queue->total == 0) {
        return 0;
    }
    const int err = wr_recvq_join(queue, queue->total);
    wr_require(err >= 0, err);
    const size_t len = wr_recvq_peek(queue, 0, ret);
    wr_assert(len == queue->total);
    return 0;
}

void wr_reader_discard(weir_reader *reader)
{
    if (reader->queue.total > 0) {
        wr_recvq_consume(&reader->queue, reader->queue.total);
    }
    wr_assert(reader->queue.total == 0);
}

void wr_reader_resume_if_low(weir_reader *reader)
{
    wr_assert(reader->is_paused);
    if (reader->queue.total <= reader->limit_bytes && !reader->fds) {
        wr_reader_resume(reader);
    }
}

static void reader_memory_evict(struct wr_evictable *evictable)
{
    weir_reader *reader = wr_container_of(evictable, weir_reader, evictable);

    wr_assert(!wr_list_is_linked(&evictable->link));
    wr_reader_check_invariants(reader);
    reader->must_evict = true;
    wr_reader_look_later(reader);
}

static void reader_memory_look(struct wr_evictable *evictable)
{
    wr_reader_look_later(wr_container_of(evictable, weir_reader, evictable));
}

static void reader_memory_watch_unread(weir_reader *reader)
{
    wr_assert(reader->queue.total > 0);
    reader->was_read = false;
    wr_timer_arm(&reader->loop->wheel, &reader->compaction_timer,
                 wr_add_sat(reader->loop->now_ns, COMPACT_AFTER_NS));
}

static void reader_memory_timer_expired(struct wr_timer *timer)
{
    weir_reader *reader = wr_container_of(timer, weir_reader, compaction_timer);

    wr_reader_check_invariants(reader);
    if (reader->queue.total == 0) {
        return;
    }
    if (reader->was_read) {
        reader_memory_watch_unread(reader);
    } else {
        wr_ignore(wr_recvq_compact(&reader->queue, false));
    }
    wr_reader_check_invariants(reader);
}

/* Many small pieces need much memory for their bookkeeping. */
static bool reader_memory_is_fragmented(const weir_reader *reader)
{
    const uint64_t count = reader->queue.count;
    return count > FEW_PIECES && reader->queue.total < count * WR_COMPACT_BELOW;
}

static void reader_memory_end_turn(struct wr_turn_end *turn_end)
{
    weir_reader *reader = wr_container_of(turn_end, weir_reader, turn_end);
    struct wr_list *link = reader->waiters.next;
    const bool waits = link != &reader->waiters;
    /* All bytes must leave the receive pool. */
    const bool all = reader->must_evict ||
                     wr_pool_is_short(&reader->loop->pool) ||
                     (waits && reader->transport &&
                      wr_transport_lacks_credit(reader->transport));

    wr_assert(!wr_list_is_linked(&turn_end->link));
    wr_assert(!waits || link->next == &reader->waiters);
    wr_recvq_close_window(&reader->queue);
    wr_reader_debug_check(reader);
    reader->must_evict = false;
    if (WR_UNLIKELY(reader->fds != NULL) && !waits) {
        wr_reader_pause(reader);
    }
    if (reader->queue.total == 0) {
        return;
    }
    bool has_memory = true;
    if (all || reader_memory_is_fragmented(reader)) {
        has_memory = wr_recvq_compact(&reader->queue, all);
    } else if (!wr_timer_is_armed(&reader->compaction_timer)) {
        reader_memory_watch_unread(reader);
    }
    if (!waits) {
        if (reader->queue.total > wr_reader_high(reader)) {
            wr_reader_pause(reader);
        }
        return;
    }
    if (all && !has_memory) {
        /* The connection cannot receive, and nothing else wakes the task. */
        wr_waiter_wake(wr_container_of(link, struct wr_waiter, link), -ENOMEM);
    } else if (!all && !wr_list_is_linked(&reader->evictable.link)) {
        wr_budget_offer(&reader->loop->budget, &reader->evictable,
                        reader->transport ? &reader->transport->evictable
                                          : NULL);
    }
}

void wr_reader_memory_init(weir_reader *reader)
{
    wr_list_init(&reader->evictable.link);
    reader->evictable.evict = reader_memory_evict;
    reader->evictable.look = reader_memory_look;
    wr_list_init(&reader->turn_end.link);
    reader->turn_end.run = reader_memory_end_turn;
    wr_timer_init(&reader->compaction_timer, reader_memory_timer_expired);
}

void wr_reader_memory_fini(weir_reader *reader)
{
    wr_assert(wr_list_is_empty(&reader->waiters));
    wr_budget_withdraw(&reader->evictable);
    wr_list_remove(&reader->turn_end.link);
    wr_timer_cancel(&reader->loop->wheel, &reader->compaction_timer);
}
