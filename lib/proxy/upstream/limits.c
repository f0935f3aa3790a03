/*
 * The slots of targets, and the sets that wait for one.
 *
 * A free slot belongs to no set. If n slots are free, the n waiting sets with
 * the oldest requests may take them, in any order. Invariant, whenever the
 * mutex is free: each waiting set that may take a slot has been called, or is
 * about to check by itself.
 *
 * Sets may have different limits for the same target. A set with a higher limit
 * must not take a slot if an older set with a lower limit could then not take
 * its own.
 */
#include "limits.h"

#include <errno.h>
#include <string.h>

bool wr_limits_enter_queue(weir_upstreams_shared *shared, uint32_t queue_limit,
                           uint64_t *ticket)
{
    wr_shared_lock(shared);
    const bool has_room = shared->queued_count < queue_limit;
    shared->queued_count += has_room;
    wr_limits_draw_ticket(shared, ticket);
    wr_shared_unlock(shared);
    return has_room;
}

void wr_limits_leave_queue(weir_upstreams_shared *shared)
{
    wr_shared_lock(shared);
    wr_assert(shared->queued_count > 0);
    shared->queued_count--;
    wr_shared_unlock(shared);
}

static struct wr_limits_target *
limits_make_target(weir_upstreams_shared *shared, const char *name)
{
    const size_t name_size = strlen(name) + 1;
    const size_t size = sizeof(struct wr_limits_target) + name_size;
    struct wr_limits_target *target = wr_alloc(&shared->allocator, size);

    if (target) {
        *target = (struct wr_limits_target){.hashed.hash =
                                                wr_hash_bytes(name, name_size),
                                            .least_limit = UINT32_MAX,
                                            .size = size};
        wr_list_init(&target->shares);
        wr_list_init(&target->waiting);
        memcpy(target->name, name, name_size);
    }
    return target;
}

/* The mutex must be held. */
static struct wr_limits_target *
limits_find_target(weir_upstreams_shared *shared,
                   const struct wr_limits_target *made)
{
    struct wr_hashed_way way = {&shared->places, made->hashed.hash};

    for (; *way.place; wr_hashed_go_on(&way)) {
        struct wr_limits_target *target =
            wr_container_of(*way.place, struct wr_limits_target, hashed);
        wr_assert(!wr_list_is_empty(&target->shares));
        if (strcmp(target->name, made->name) == 0) {
            return target;
        }
    }
    return NULL;
}

/* Called after a share with this limit has left. The mutex must be held. */
static void limits_find_least(struct wr_limits_target *target, uint32_t limit)
{
    uint32_t least = UINT32_MAX;

    for (const struct wr_list *link = target->shares.next;
         link != &target->shares && least > target->least_limit;
         link = link->next) {
        const uint32_t other =
            wr_container_of(link, struct wr_limits_share, share_link)->limit;
        least = other < least ? other : least;
    }
    wr_assert(target->least_limit <= limit);
    target->least_limit = least;
}

int wr_limits_share_open(struct wr_limits_share *share,
                         struct wr_shared_call *call, const char *name,
                         uint32_t limit)
{
    weir_upstreams_shared *shared = call->shared;

    *share = (struct wr_limits_share){.call = call, .limit = limit};
    wr_list_init(&share->share_link);
    wr_list_init(&share->link);
    if (limit == 0) {
        return 0;
    }
    struct wr_limits_target *made = limits_make_target(shared, name);
    wr_require(made, -ENOMEM);
    wr_shared_lock(shared);
    struct wr_limits_target *target = limits_find_target(shared, made);
    if (!target) {
        wr_hashed_add(&shared->places, &made->hashed);
        target = made;
        made = NULL;
    }
    wr_list_push_back(&target->shares, &share->share_link);
    target->least_limit =
        limit < target->least_limit ? limit : target->least_limit;
    wr_shared_unlock(shared);
    share->target = target;
    if (made) {
        wr_free(&shared->allocator, made, made->size);
    }
    return 0;
}

void wr_limits_share_close(struct wr_limits_share *share)
{
    weir_upstreams_shared *shared = share->call->shared;
    struct wr_limits_target *target = share->target;

    if (!target) {
        return;
    }
    wr_shared_lock(shared);
    wr_assert(!wr_list_is_linked(&share->link));
    wr_list_remove(&share->share_link);
    limits_find_least(target, share->limit);
    const bool is_last = wr_list_is_empty(&target->shares);
    if (is_last) {
        wr_assert(target->taken == 0);
        wr_assert(wr_list_is_empty(&target->waiting));
        wr_hashed_remove(&shared->places, &target->hashed);
        wr_shared_note_change(shared);
    }
    wr_shared_unlock(shared);
    if (is_last) {
        wr_free(&shared->allocator, target, target->size);
    }
}

/* Calls the waiting sets that may take a free slot, except @own. The mutex must
 * be held. */
static void limits_call_waiting(struct wr_limits_target *target,
                                const struct wr_shared_call *own)
{
    uint32_t older_count = 0;

    for (struct wr_list *link = target->waiting.next; link != &target->waiting;
         link = link->next) {
        const struct wr_limits_share *share =
            wr_container_of(link, struct wr_limits_share, link);
        struct wr_shared_call *call = share->call;
        wr_assert(share->target == target);
        if (share->limit <= target->taken + older_count) {
            continue;
        }
        older_count++;
        if (call != own) {
            wr_shared_call(call);
        }
    }
}

bool wr_limits_share_is_full(const struct wr_limits_share *share,
                             uint64_t ticket)
{
    const struct wr_limits_target *target = share->target;
    uint32_t older_count = 0; /* older waiting sets that may take a slot */
    bool takes_last = false;  /* an older set needs the last slot */

    wr_assert(ticket > 0);
    if (!target) {
        return false;
    }
    for (const struct wr_list *link = target->waiting.next;
         link != &target->waiting; link = link->next) {
        const struct wr_limits_share *other =
            wr_container_of(link, struct wr_limits_share, link);
        const uint32_t place = target->taken + older_count;
        if (other->call != share->call && other->ticket < ticket &&
            other->limit > place) {
            takes_last |= other->limit == place + 1;
            older_count++;
        }
    }
    return takes_last || share->limit <= target->taken + older_count;
}

/* Records a change if an upstream may be full with @taken slots taken, but not
 * with one fewer. The mutex must be held. */
static void limits_note_taken(const struct wr_limits_share *share,
                              uint32_t taken)
{
    wr_assert(share->target->least_limit <= share->limit);
    if (taken >= share->target->least_limit) {
        wr_shared_note_change_of(
            share->call->shared,
            (struct wr_shared_change){.places = share->target});
    }
}

void wr_limits_share_take(struct wr_limits_share *share)
{
    if (share->target) {
        wr_assert(share->target->taken < share->limit);
        share->target->taken++;
        limits_note_taken(share, share->target->taken);
    }
}

void wr_limits_share_give(struct wr_limits_share *share)
{
    struct wr_limits_target *target = share->target;

    if (!target) {
        return;
    }
    wr_shared_lock(share->call->shared);
    wr_assert(target->taken > 0);
    limits_note_taken(share, target->taken);
    target->taken--;
    limits_call_waiting(target, share->call);
    wr_shared_unlock(share->call->shared);
}

void wr_limits_share_wait(struct wr_limits_share *share, uint64_t ticket,
                          uint64_t round)
{
    struct wr_limits_target *target = share->target;

    wr_assert(target != NULL);
    wr_assert(ticket > 0);
    if (wr_limits_share_is_awaited(share, round) && share->ticket <= ticket) {
        return;
    }
    if (wr_list_is_linked(&share->link)) {
        wr_list_remove(&share->link);
        share->call->waiting_count--;
    }
    struct wr_list *next = target->waiting.next;
    while (next != &target->waiting &&
           wr_container_of(next, struct wr_limits_share, link)->ticket <
               ticket) {
        next = next->next;
    }
    share->ticket = ticket;
    share->round = round;
    wr_list_push_back(next, &share->link);
    share->call->waiting_count++;
    limits_call_waiting(target, share->call);
}

void wr_limits_share_settle(struct wr_limits_share *share, uint64_t round)
{
    if (wr_list_is_linked(&share->link) && share->round != round) {
        wr_assert(share->target != NULL);
        wr_list_remove(&share->link);
        share->call->waiting_count--;
        wr_shared_note_change(share->call->shared);
        limits_call_waiting(share->target, share->call);
    }
}

void wr_limits_share_leave(struct wr_limits_share *share)
{
    wr_shared_lock(share->call->shared);
    wr_limits_share_settle(share, 0); /* no round has this number */
    wr_shared_unlock(share->call->shared);
}
