/*
 * Classifies answers to datagrams.
 *
 * After a datagram is lost, its slot is used again but keeps the number of the
 * last lost datagram. An answer with that number is late. An answer with
 * another old number is a duplicate, because those datagrams were answered. One
 * late answer is counted as a duplicate: one that arrives after the slot has
 * lost another datagram, at least two time-outs later.
 */
#include "measure.h"

#include <assert.h>

void track_init(struct track *track, struct track_slot *slots, uint32_t depth)
{
    assert(depth > 0 && depth < TRACK_NONE);
    *track = (struct track){
        .slots = slots,
        .depth = depth,
        .oldest = TRACK_NONE,
        .newest = TRACK_NONE,
        .next_number = 1,
    };
    for (uint32_t i = 0; i < depth; i++) {
        slots[i] =
            (struct track_slot){.next = i + 1 < depth ? i + 1 : TRACK_NONE};
    }
}

uint32_t track_send(struct track *track, uint64_t now_ns)
{
    uint32_t at = track->free;

    if (at == TRACK_NONE) {
        return TRACK_NONE;
    }
    struct track_slot *slot = &track->slots[at];
    assert(!slot->is_under_way);
    track->free = slot->next;
    slot->number = track->next_number++;
    slot->sent_ns = now_ns;
    slot->is_under_way = true;
    slot->previous = track->newest;
    slot->next = TRACK_NONE;
    if (track->newest == TRACK_NONE) {
        track->oldest = at;
    } else {
        track->slots[track->newest].next = at;
    }
    track->newest = at;
    return at;
}

/* Moves a slot from the list of slots in flight to the free list. */
static void release(struct track *track, uint32_t at)
{
    struct track_slot *slot = &track->slots[at];

    assert(slot->is_under_way);
    if (slot->previous == TRACK_NONE) {
        track->oldest = slot->next;
    } else {
        track->slots[slot->previous].next = slot->next;
    }
    if (slot->next == TRACK_NONE) {
        track->newest = slot->previous;
    } else {
        track->slots[slot->next].previous = slot->previous;
    }
    slot->is_under_way = false;
    slot->next = track->free;
    track->free = at;
}

enum track_answer track_receive(struct track *track, uint32_t at,
                                uint64_t number, struct track_counts *counts,
                                uint64_t *ret_sent_ns)
{
    if (at >= track->depth || number == 0 || number > track->slots[at].number) {
        return TRACK_STRANGE;
    }
    struct track_slot *slot = &track->slots[at];
    if (slot->is_under_way && number == slot->number) {
        *ret_sent_ns = slot->sent_ns;
        release(track, at);
        counts->reordered += number < track->highest;
        track->highest = number > track->highest ? number : track->highest;
        return TRACK_FIRST;
    }
    if (number == slot->lost) {
        slot->lost = 0;
        counts->late++;
        return TRACK_LATE;
    }
    counts->duplicate++;
    return TRACK_DUPLICATE;
}

uint64_t track_oldest_ns(const struct track *track)
{
    return track->oldest == TRACK_NONE ? UINT64_MAX
                                       : track->slots[track->oldest].sent_ns;
}

uint64_t track_oldest_meant_ns(const struct track *track)
{
    return track->oldest == TRACK_NONE ? UINT64_MAX
                                       : track->slots[track->oldest].meant_ns;
}

uint64_t track_lose(struct track *track)
{
    uint32_t at = track->oldest;

    assert(at != TRACK_NONE);
    track->slots[at].lost = track->slots[at].number;
    release(track, at);
    return track->slots[at].number;
}
