/*
 * Slots: the places of connections at upstreams.
 *
 * A request makes its slot when it begins, and takes a place with it for each
 * try, so that nothing can fail between the choice and the connection. The
 * program ends the slot of the connection that it was given.
 */
#include "upstream.h"

#include "uring/alloc.h"

weir_upstream_slot *wr_slot_make(weir_upstreams *set)
{
    weir_upstream_slot *slot = wr_alloc(&set->loop->counting, sizeof(*slot));

    wr_assert(!set->is_closed);
    if (slot) {
        slot->upstream = NULL;
    }
    return slot;
}

void wr_slot_free(weir_upstreams *set, weir_upstream_slot *slot)
{
    wr_assert(!slot->upstream);
    wr_free(&set->loop->counting, slot, sizeof(*slot));
}

void wr_slot_take(weir_upstream_slot *slot, weir_upstream *upstream)
{
    wr_assert(!slot->upstream);
    wr_upstream_ref(upstream);
    upstream->active_count++;
    upstream->counts.chosen++;
    slot->upstream = upstream;
}

void wr_slot_leave(weir_upstream_slot *slot)
{
    weir_upstream *upstream = slot->upstream;

    wr_assert(upstream != NULL);
    wr_assert(upstream->active_count > 0);
    upstream->active_count--;
    wr_shared_part_give(&upstream->part);
    slot->upstream = NULL;
    wr_limits_share_give(&upstream->share);
    wr_upstreams_wake(upstream->set);
    wr_upstream_unref(upstream);
}

weir_upstream *weir_upstream_slot_get_upstream(const weir_upstream_slot *slot)
{
    wr_assert(slot->upstream != NULL);
    return slot->upstream;
}

void weir_upstream_slot_end(weir_upstream_slot *slot, int result)
{
    if (!slot || !wr_loop_admits(slot->upstream->set->loop)) {
        return;
    }
    weir_upstreams *set = slot->upstream->set;
    wr_upstreams_ref(set);
    if (result >= 0) {
        wr_upstream_note_success(slot->upstream, WR_FAILURE_REPORT);
    } else if (result != -ECANCELED) {
        wr_upstream_note_failure(slot->upstream, WR_FAILURE_REPORT, result,
                                 NULL);
    }
    wr_slot_leave(slot);
    wr_slot_free(set, slot);
    wr_upstreams_unref(set);
}
