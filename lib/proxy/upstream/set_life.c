/*
 * The memory of a set of upstreams, and its end.
 *
 * The last reference frees the set. The set leaves its loop earlier: when it is
 * closed, and none of its requests and checks is running.
 */
#include "upstream.h"

#include <string.h>

#define ROOM_FIRST 8u

/* Called when a slot is free for the set, or when the set must follow a
 * change. */
static void set_life_look(void *owner, bool has_news)
{
    weir_upstreams *set = owner;

    set->is_behind |= has_news;
    wr_upstreams_wake(set);
}

static int set_life_join(weir_upstreams *set, weir_upstreams_shared *shared)
{
    weir_upstreams_shared *own = NULL;

    wr_assert(!set->call);
    if (!shared) {
        const int err = wr_shared_make(&set->loop->counting, &own);
        wr_require(err >= 0, err);
    }
    const int err = wr_shared_call_make(shared ? shared : own, set->loop->wake,
                                        set_life_look, set, &set->call);
    if (own) {
        wr_shared_unref(own); /* the call has a reference */
    }
    return err;
}

int wr_upstreams_make(weir_loop *loop, weir_upstreams_shared *shared,
                      weir_upstreams **ret)
{
    weir_upstreams *set = wr_alloc(&loop->counting, sizeof(*set));

    wr_require(set, -ENOMEM);
    wr_assert(!wr_loop_is_closing(loop));
    memset(set, 0, sizeof(*set));
    set->loop = loop;
    const int err = set_life_join(set, shared);
    if (err < 0) {
        wr_free(&loop->counting, set, sizeof(*set));
        return err;
    }
    set->ref_count = 1;
    set->round = 1;
    wr_list_init(&set->news);
    wr_list_init(&set->requests);
    wr_request_queue_init(&set->queue);
    wr_request_queue_init(&set->unchecked);
    wr_loop_pin(loop);
    *ret = set;
    return 0;
}

void wr_upstreams_unref(weir_upstreams *set)
{
    weir_loop *loop = set->loop;

    wr_assert(set->ref_count > 0);
    set->ref_count--;
    if (set->ref_count > 0) {
        return;
    }
    wr_assert(set->count == 0);
    wr_assert(wr_list_is_empty(&set->news));
    wr_assert(!wr_list_is_linked(&set->member.link));
    wr_ready_cancel(&set->ready);
    wr_shared_call_end(set->call);
    wr_check_fini(&set->check, &loop->counting);
    wr_free(&loop->counting, set->upstreams,
            2 * set->capacity * sizeof(*set->upstreams));
    wr_free(&loop->counting, set->candidates,
            set->capacity * sizeof(*set->candidates));
    wr_free(&loop->counting, set, sizeof(*set));
    wr_loop_unpin(loop);
}

void wr_upstreams_leave_if_quiet(weir_upstreams *set)
{
    wr_assert(set->ref_count > 0);
    if (set->is_closed && set->probe_count == 0 &&
        wr_list_is_empty(&set->requests) &&
        wr_list_is_linked(&set->member.link)) {
        wr_loop_remove_member(set->loop, &set->member);
    }
}

int wr_upstreams_make_room(weir_upstreams *set)
{
    const struct weir_allocator *allocator = &set->loop->counting;
    const size_t old = set->capacity;
    const size_t capacity = old == 0 ? ROOM_FIRST : 2 * old;

    wr_assert(set->count <= old);
    if (set->count < old) {
        return 0;
    }
    weir_upstream **upstreams = /* the second half is the survey's (->firsts) */
        wr_alloc(allocator, 2 * capacity * sizeof(weir_upstream *));
    wr_require(upstreams, -ENOMEM);
    struct wr_candidate_upstream *candidates =
        wr_alloc(allocator, capacity * sizeof(*candidates));
    if (!candidates) {
        wr_free(allocator, upstreams, 2 * capacity * sizeof(weir_upstream *));
        return -ENOMEM;
    }
    if (old > 0) {
        memcpy(upstreams, set->upstreams, old * sizeof(weir_upstream *));
        memcpy(candidates, set->candidates, old * sizeof(*candidates));
        wr_free(allocator, set->upstreams, 2 * old * sizeof(weir_upstream *));
        wr_free(allocator, set->candidates, old * sizeof(*candidates));
    }
    set->upstreams = upstreams;
    set->survey.firsts = upstreams + capacity;
    set->candidates = candidates;
    set->capacity = capacity;
    return 0;
}

void wr_upstreams_wake(weir_upstreams *set)
{
    wr_assert(set->ref_count > 0);
    if (!set->is_closed) {
        wr_ready_push(&set->loop->ready, &set->ready);
    }
}
