/*
 * Waiting requests, in the order of their arrival.
 * Most arrive in the order of their tickets. Requests that return from a failed
 * try are older than other waiting ones, in any order.
 */
#include "queue.h"

#include "choose.h"

enum { OLDER, YOUNGER };

static void queue_check_links(const struct wr_queued *queued)
{
    wr_assert(queued->ticket > 0);
    wr_assert(!queued->above || queued->queue);
    wr_assert(!queued->below[OLDER] || !wr_list_is_linked(&queued->link));
    wr_debug_assert(!queued->below[OLDER] ||
                    queued->below[OLDER]->ticket < queued->ticket);
    wr_debug_assert(!queued->below[YOUNGER] ||
                    queued->below[YOUNGER]->ticket > queued->ticket);
}

static uint64_t queue_get_rank(const struct wr_queued *queued)
{
    struct wr_random random = {queued->ticket};

    wr_assert(queued->ticket > 0);
    return wr_random_next(&random);
}

/* Returns the second oldest of the tree whose oldest is @oldest, or NULL. */
static struct wr_queued *queue_find_second(struct wr_queued *oldest)
{
    struct wr_queued *queued = oldest->below[YOUNGER];

    wr_assert(!oldest->below[OLDER]);
    if (!queued) {
        return oldest->above;
    }
    while (queued->below[OLDER]) {
        queued = queued->below[OLDER];
    }
    return queued;
}

/* Makes @queued a child of @above. Both may be NULL. */
static void queue_hang(struct wr_queued *above, int side,
                       struct wr_queued *queued)
{
    wr_assert(above != queued || !above);
    if (above) {
        above->below[side] = queued;
    }
    if (queued) {
        queued->above = above;
    }
}

static int queue_get_side(const struct wr_queued *queued)
{
    return queued->above && queued->above->below[YOUNGER] == queued ? YOUNGER
                                                                    : OLDER;
}

/* Rotates the node up, so that it changes places with its parent. */
static void queue_turn_up(struct wr_queued *queued)
{
    struct wr_queued *above = queued->above;
    const int side = queue_get_side(queued);

    wr_assert(above != NULL);
    queue_hang(above->above, queue_get_side(above), queued);
    queue_hang(above, side, queued->below[!side]);
    queue_hang(queued, !side, above);
}

static void queue_insert(struct wr_queued *top, struct wr_queued *queued)
{
    struct wr_queued *above = NULL;
    int side = OLDER;

    while (top) {
        wr_assert(top->ticket != queued->ticket);
        side = queued->ticket > top->ticket ? YOUNGER : OLDER;
        above = top;
        top = top->below[side];
    }
    queue_hang(above, side, queued);
    while (queued->above &&
           queue_get_rank(queued) > queue_get_rank(queued->above)) {
        queue_turn_up(queued);
    }
}

static struct wr_queued *queue_get_higher(const struct wr_queued *queued)
{
    struct wr_queued *older = queued->below[OLDER];
    struct wr_queued *younger = queued->below[YOUNGER];

    if (!older || !younger) {
        return older ? older : younger;
    }
    wr_assert(older->ticket < younger->ticket);
    return queue_get_rank(older) > queue_get_rank(younger) ? older : younger;
}

/* The counts must be equal, and neither may have duplicates. */
static bool queue_has_all(const struct wr_exclusions *a,
                          const struct wr_exclusions *b)
{
    wr_assert(a->count == b->count);
    for (size_t i = 0; i < b->count; i++) {
        if (!wr_exclusions_have(a, b->ids[i])) {
            return false;
        }
    }
    return true;
}

/* Returns the oldest waiting request with these exclusions, or NULL. */
static struct wr_queued *queue_find(const struct wr_request_queue *queue,
                                    const struct wr_exclusions *excluded)
{
    struct wr_queued *oldest = NULL;

    wr_assert(excluded->count <= WR_TRIES_MAX + WR_EXCLUDED_MAX);
    while ((oldest = wr_request_queue_next(queue, oldest))) {
        const struct wr_exclusions *other = &oldest->excluded;
        if (other->sum == excluded->sum && other->count == excluded->count &&
            other->with_unchecked == excluded->with_unchecked &&
            queue_has_all(other, excluded)) {
            return oldest;
        }
    }
    return NULL;
}

/* Inserts the oldest request of a kind into the list of kinds. The search
 * starts at @at; requests before @at must be older. */
static void queue_link(struct wr_request_queue *queue, struct wr_list *at,
                       struct wr_queued *oldest)
{
    wr_assert(!oldest->below[OLDER]);
    while (at != &queue->kinds &&
           wr_container_of(at, struct wr_queued, link)->ticket <
               oldest->ticket) {
        at = at->next;
    }
    wr_list_push_back(at, &oldest->link);
}

void wr_request_queue_init(struct wr_request_queue *queue)
{
    wr_list_init(&queue->kinds);
    queue->count = 0;
    queue->excluded_most = 0;
}

void wr_queued_init(struct wr_queued *queued)
{
    wr_assert(!queued->queue);
    wr_list_init(&queued->link);
}

void wr_request_queue_add(struct wr_request_queue *queue,
                          struct wr_queued *queued)
{
    struct wr_queued *oldest = queue_find(queue, &queued->excluded);

    wr_assert(!queued->queue);
    queued->queue = queue;
    queue->count++;
    if (queue->count == 1 || queued->excluded.count > queue->excluded_most) {
        queue->excluded_most = queued->excluded.count;
    }
    if (oldest) {
        struct wr_queued *top = oldest;
        while (top->above) {
            top = top->above;
        }
        queue_insert(top, queued);
    }
    if (!oldest || queued->ticket < oldest->ticket) {
        if (oldest) {
            wr_list_remove(&oldest->link);
        }
        queue_link(queue, queue->kinds.next, queued);
    }
    queue_check_links(queued);
}

void wr_request_queue_remove(struct wr_queued *queued)
{
    struct wr_request_queue *queue = queued->queue;
    const bool is_oldest = wr_list_is_linked(&queued->link);
    struct wr_list *behind = queued->link.next;
    struct wr_queued *higher;

    queue_check_links(queued);
    wr_assert(queue->count > 0);
    struct wr_queued *second = is_oldest ? queue_find_second(queued) : NULL;
    while ((higher = queue_get_higher(queued))) {
        queue_turn_up(higher); /* until @queued is a leaf */
    }
    queue_hang(queued->above, queue_get_side(queued), NULL);
    queued->above = NULL;
    wr_assert(!queued->below[OLDER]);
    wr_list_remove(&queued->link);
    if (second) {
        queue_link(queue, behind, second);
    }
    queue->count--;
    queued->queue = NULL;
}

bool wr_request_queue_has_older(const struct wr_request_queue *queue,
                                const struct wr_queued *queued)
{
    const struct wr_queued *oldest = queue_find(queue, &queued->excluded);

    wr_assert(!queued->queue);
    return oldest && (queued->ticket == 0 || oldest->ticket < queued->ticket);
}
