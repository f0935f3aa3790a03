/*
 * The places at targets, and who waits for one.
 *
 * With n places free, the n sets whose oldest requests are the oldest of all
 * may take them, side by side. This holds whenever the mutex is free: a set
 * that waits, and may take a place, is called, or looks by itself.
 */
#include "limits.h"

#include <errno.h>
#include <string.h>

/* ---- calls ---- */

static void limits_free_call(struct wr_limits_call *call)
{
    weir_upstream_limits *limits = call->limits;

    wr_assert(!call->owner);
    wr_wake_unref(call->wake);
    wr_free(&limits->allocator, call, sizeof(*call));
    wr_limits_unref(limits);
}

/* The item has left the mailbox. True: the set is there. */
static bool limits_end_post(struct wr_limits_call *call)
{
    wr_limits_lock(call->limits);
    wr_assert(call->is_posted);
    call->is_posted = false;
    wr_limits_unlock(call->limits);
    if (!call->owner) {
        limits_free_call(call);
        return false;
    }
    return true;
}

static void limits_run_call(void *arg)
{
    struct wr_limits_call *call = arg;

    if (limits_end_post(call)) {
        call->look(call->owner);
    }
}

static void limits_drop_call(void *arg)
{
    limits_end_post(arg); /* a set that is there is closed */
}

/* Under the mutex: calls the sets whose turn it is, but for @own. A loop that
 * takes no posts any more is closing its sets, which leave as they do. */
static void limits_call_waiting(struct wr_limits_target *target,
                                const struct wr_limits_call *own)
{
    uint32_t older_count = 0;

    for (struct wr_list *link = target->waiting.next; link != &target->waiting;
         link = link->next) {
        const struct wr_limits_share *share =
            wr_container_of(link, struct wr_limits_share, link);
        struct wr_limits_call *call = share->call;
        wr_assert(share->target == target);
        if (share->limit <= target->taken + older_count) {
            continue;
        }
        older_count++;
        if (call != own && !call->is_posted) {
            call->is_posted = wr_wake_post_item(call->wake, &call->item) == 0;
        }
    }
}

int wr_limits_call_make(weir_upstream_limits *limits, struct wr_wake *wake,
                        void (*look)(void *owner), void *owner,
                        struct wr_limits_call **ret)
{
    struct wr_limits_call *call = wr_alloc(&limits->allocator, sizeof(*call));

    wr_require(call, -ENOMEM);
    *call = (struct wr_limits_call){
        .limits = limits,
        .wake = wake,
        .item = {.run = limits_run_call, .arg = call, .drop = limits_drop_call},
        .look = look,
        .owner = owner};
    wr_wake_ref(wake);
    wr_limits_lock(limits);
    wr_assert(limits->ref_count > 0);
    limits->ref_count++;
    wr_limits_unlock(limits);
    *ret = call;
    return 0;
}

void wr_limits_call_end(struct wr_limits_call *call)
{
    wr_assert(call->owner);
    call->owner = NULL;
    wr_limits_lock(call->limits);
    const bool is_posted = call->is_posted;
    wr_limits_unlock(call->limits);
    if (!is_posted) {
        limits_free_call(call);
    }
}

/* ---- the queue ---- */

bool wr_limits_enter_queue(weir_upstream_limits *limits, uint32_t queue_limit,
                           uint64_t *ticket)
{
    wr_limits_lock(limits);
    const bool has_room = limits->queued_count < queue_limit;
    limits->queued_count += has_room;
    wr_limits_draw_ticket(limits, ticket);
    wr_limits_unlock(limits);
    return has_room;
}

void wr_limits_leave_queue(weir_upstream_limits *limits)
{
    wr_limits_lock(limits);
    wr_assert(limits->queued_count > 0);
    limits->queued_count--;
    wr_limits_unlock(limits);
}

/* ---- targets ---- */

static struct wr_limits_target *limits_make_target(weir_upstream_limits *limits,
                                                   const char *name)
{
    const size_t name_size = strlen(name) + 1;
    const size_t size = sizeof(struct wr_limits_target) + name_size;
    struct wr_limits_target *target = wr_alloc(&limits->allocator, size);

    if (target) {
        *target = (struct wr_limits_target){.size = size};
        wr_list_init(&target->link);
        wr_list_init(&target->waiting);
        memcpy(target->name, name, name_size);
    }
    return target;
}

/* Under the mutex; NULL: there is none. */
static struct wr_limits_target *
limits_find_target(const weir_upstream_limits *limits, const char *name)
{
    for (struct wr_list *link = limits->targets.next; link != &limits->targets;
         link = link->next) {
        struct wr_limits_target *target =
            wr_container_of(link, struct wr_limits_target, link);
        wr_assert(target->share_count > 0);
        if (strcmp(target->name, name) == 0) {
            return target;
        }
    }
    return NULL;
}

int wr_limits_share_open(struct wr_limits_share *share,
                         struct wr_limits_call *call, const char *name,
                         uint32_t limit)
{
    weir_upstream_limits *limits = call->limits;

    *share = (struct wr_limits_share){.call = call, .limit = limit};
    wr_list_init(&share->link);
    if (limit == 0) {
        return 0;
    }
    struct wr_limits_target *made = limits_make_target(limits, name);
    wr_require(made, -ENOMEM);
    wr_limits_lock(limits);
    struct wr_limits_target *target = limits_find_target(limits, name);
    if (!target) {
        wr_list_push_back(&limits->targets, &made->link);
        target = made;
        made = NULL;
    }
    target->share_count++;
    wr_limits_unlock(limits);
    share->target = target;
    if (made) {
        wr_free(&limits->allocator, made, made->size);
    }
    return 0;
}

void wr_limits_share_close(struct wr_limits_share *share)
{
    weir_upstream_limits *limits = share->call->limits;
    struct wr_limits_target *target = share->target;

    if (!target) {
        return;
    }
    wr_limits_lock(limits);
    wr_assert(!wr_list_is_linked(&share->link));
    wr_assert(target->share_count > 0);
    target->share_count--;
    const bool is_last = target->share_count == 0;
    if (is_last) {
        wr_assert(target->taken == 0);
        wr_assert(wr_list_is_empty(&target->waiting));
        wr_list_remove(&target->link);
    }
    wr_limits_unlock(limits);
    if (is_last) {
        wr_free(&limits->allocator, target, target->size);
    }
}

/* ---- places ---- */

bool wr_limits_share_is_full(const struct wr_limits_share *share,
                             uint64_t ticket)
{
    const struct wr_limits_target *target = share->target;
    uint32_t older_count = 0; /* that may take a place */

    wr_assert(ticket > 0);
    if (!target) {
        return false;
    }
    for (const struct wr_list *link = target->waiting.next;
         link != &target->waiting; link = link->next) {
        const struct wr_limits_share *other =
            wr_container_of(link, struct wr_limits_share, link);
        older_count += other->call != share->call && other->ticket < ticket &&
                       other->limit > target->taken + older_count;
    }
    return share->limit <= target->taken + older_count;
}

void wr_limits_share_take(struct wr_limits_share *share)
{
    if (share->target) {
        wr_assert(share->target->taken < share->limit);
        share->target->taken++;
    }
}

void wr_limits_share_give(struct wr_limits_share *share)
{
    struct wr_limits_target *target = share->target;

    if (!target) {
        return;
    }
    wr_limits_lock(share->call->limits);
    wr_assert(target->taken > 0);
    target->taken--;
    limits_call_waiting(target, share->call);
    wr_limits_unlock(share->call->limits);
}

/* ---- waiting ---- */

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
    limits_call_waiting(target, share->call);
}

void wr_limits_share_settle(struct wr_limits_share *share, uint64_t round)
{
    if (wr_list_is_linked(&share->link) && share->round != round) {
        wr_assert(share->target != NULL);
        wr_list_remove(&share->link);
        limits_call_waiting(share->target, share->call);
    }
}

void wr_limits_share_leave(struct wr_limits_share *share)
{
    wr_limits_lock(share->call->limits);
    wr_limits_share_settle(share, 0); /* no round has this number */
    wr_limits_unlock(share->call->limits);
}

/* ---- life ---- */

int wr_limits_make(const struct weir_allocator *allocator,
                   weir_upstream_limits **ret)
{
    weir_upstream_limits *limits = wr_alloc(allocator, sizeof(*limits));

    wr_require(limits, -ENOMEM);
    *limits = (weir_upstream_limits){.allocator = *allocator, .ref_count = 1};
    if (pthread_mutex_init(&limits->mutex, NULL)) {
        wr_free(allocator, limits, sizeof(*limits));
        return -ENOMEM;
    }
    wr_list_init(&limits->targets);
    wr_assert(limits->ref_count == 1);
    *ret = limits;
    return 0;
}

void wr_limits_unref(weir_upstream_limits *limits)
{
    wr_limits_lock(limits);
    wr_assert(limits->ref_count > 0);
    limits->ref_count--;
    const bool is_last = limits->ref_count == 0;
    wr_limits_unlock(limits);
    if (!is_last) {
        return;
    }
    const struct weir_allocator allocator = limits->allocator;
    wr_assert(wr_list_is_empty(&limits->targets));
    wr_assert(limits->queued_count == 0);
    pthread_mutex_destroy(&limits->mutex);
    wr_free(&allocator, limits, sizeof(*limits));
}

int weir_upstream_limits_new(const struct weir_allocator *allocator,
                             weir_upstream_limits **ret)
{
    return wr_limits_make(allocator ? allocator : wr_default_allocator(), ret);
}

void weir_upstream_limits_free(weir_upstream_limits *limits)
{
    if (limits) {
        wr_limits_unref(limits);
    }
}
