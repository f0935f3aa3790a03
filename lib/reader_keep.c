/*
 * What readers keep: the end of the turn.
 *
 * What concerns memory is done by the keeper, when the tasks have taken what
 * they want: what is left is packed or moved out of the receive pool, a few
 * small pieces a little later (a relay would copy the tail of every receive),
 * and the transport is paused if it is too much. A task that waits for more
 * than it has must never be what its own bytes wait for: where they keep the
 * transport from receiving, all of them are moved.
 */
#include "reader.h"

#include "transport.h"

/* Few small pieces are left where they are for so long: most are read, or sent
 * on, before. */
#define PACK_AFTER_NS 10000000u
#define PACK_ABOVE    64u

void wr_reader_pause(weir_reader *reader)
{
    if (reader->transport && !reader->is_paused) {
        reader->is_paused = true;
        weir_transport_pause_reading(reader->transport);
    }
}

void wr_reader_resume(weir_reader *reader)
{
    if (reader->is_paused) {
        reader->is_paused = false;
        weir_transport_resume_reading(reader->transport);
    }
}

void wr_reader_resume_if_low(weir_reader *reader)
{
    if (reader->queue.total <= reader->limit_bytes) {
        wr_reader_resume(reader);
    }
}

/* Must bytes give up their place in the pool so that more can come? */
static bool is_short(const weir_reader *reader, bool waits)
{
    return reader->must_move || wr_pool_is_short(&reader->loop->pool) ||
           (waits && reader->transport &&
            reader->transport->ops->is_short(reader->transport));
}

/* Others starve, and this one has bytes that it could move. */
static void relieve(struct wr_list *link)
{
    weir_reader *reader = wr_container_of(link, weir_reader, hoard_link);

    reader->must_move = true;
    wr_reader_keep(reader);
}

/* Looks again in some time whether anything was consumed by then. */
static void watch_rest(weir_reader *reader)
{
    reader->is_untouched = true;
    wr_timer_arm(&reader->loop->wheel, &reader->packer,
                 wr_add_sat(reader->loop->now_ns, PACK_AFTER_NS));
}

static void pack(struct wr_timer *timer)
{
    weir_reader *reader = wr_container_of(timer, weir_reader, packer);

    if (reader->queue.total == 0) {
        return;
    }
    if (reader->is_untouched) {
        wr_ignore(wr_recvq_compact(&reader->queue, false)); /* or later */
    } else {
        watch_rest(reader);
    }
}

/* Many pieces, and small ones: their records cost more than they do. */
static bool is_crumbled(const weir_reader *reader)
{
    const uint64_t count = reader->queue.count;
    return count > PACK_ABOVE && reader->queue.total < count * WR_COMPACT_BELOW;
}

static void keep(struct wr_sender *sender)
{
    weir_reader *reader = wr_container_of(sender, weir_reader, keeper);
    struct wr_list *link = reader->waiters.next;
    const bool waits = link != &reader->waiters;
    const bool all = is_short(reader, waits);

    reader->must_move = false;
    if (reader->queue.total == 0) {
        return;
    }
    bool has_memory = true;
    if (all || is_crumbled(reader)) {
        has_memory = wr_recvq_compact(&reader->queue, all);
    } else if (!wr_timer_is_armed(&reader->packer)) {
        watch_rest(reader);
    }
    if (!waits) {
        if (reader->queue.total > wr_reader_high(reader)) {
            wr_reader_pause(reader);
        }
        return;
    }
    if (all && !has_memory) {
        /* Nothing would ever wake it. */
        wr_waiter_wake(wr_container_of(link, struct wr_waiter, link), -ENOMEM);
    } else if (!all && !wr_list_is_linked(&reader->hoard_link)) {
        wr_pool_hoard(&reader->loop->pool, &reader->hoard_link, relieve);
    }
}

void wr_reader_keeper_init(weir_reader *reader)
{
    wr_list_init(&reader->hoard_link);
    wr_list_init(&reader->keeper.link);
    reader->keeper.flush = keep;
    wr_timer_init(&reader->packer, pack);
}

void wr_reader_keeper_fini(weir_reader *reader)
{
    wr_list_remove(&reader->hoard_link);
    wr_list_remove(&reader->keeper.link);
    wr_timer_cancel(&reader->loop->wheel, &reader->packer);
}
