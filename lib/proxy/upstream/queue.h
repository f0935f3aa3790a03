/*
 * Waiting requests, in the order of their arrival: pure functions.
 *
 * Requests that exclude the same upstreams are of one kind: if the oldest of a
 * kind may not have an upstream, no other request of that kind may. So
 * wr_request_queue_next() returns only the oldest of each kind, by ticket.
 * Serving the queue checks each kind once and each served request once, however
 * many wait.
 *
 * Each kind is a treap: a tree in the order of tickets, where no node has a
 * higher rank than its parent. Ranks are mixed tickets, so the depth does not
 * depend on the order in which requests arrive.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_QUEUE_H
#define WEIR_LIB_PROXY_UPSTREAM_QUEUE_H

#include "lib/proxy/libweir.h"

#include <stddef.h>

#define WR_TRIES_MAX    16u
#define WR_EXCLUDED_MAX 16u

/* Upstreams that a request must not use. */
struct wr_exclusions {
    uint64_t ids[WR_TRIES_MAX + WR_EXCLUDED_MAX];
    size_t count;
    /* Sum of the ids; different sets of ids rarely have the same sum. */
    uint64_t sum;
    bool with_unchecked; /* also excludes upstreams before a first check */
};

static inline bool wr_exclusions_have(const struct wr_exclusions *exclusions,
                                      uint64_t id)
{
    wr_assert(id > 0);
    for (size_t i = 0; i < exclusions->count; i++) {
        if (exclusions->ids[i] == id) {
            return true;
        }
    }
    return false;
}

static inline void wr_exclusions_add(struct wr_exclusions *exclusions,
                                     uint64_t id)
{
    wr_assert(exclusions->count < WR_TRIES_MAX + WR_EXCLUDED_MAX);
    if (!wr_exclusions_have(exclusions, id)) {
        exclusions->ids[exclusions->count++] = id;
        exclusions->sum += id;
    }
}

static inline void wr_exclusions_drop_last(struct wr_exclusions *exclusions)
{
    wr_assert(exclusions->count > 0);
    exclusions->sum -= exclusions->ids[--exclusions->count];
}

struct wr_request_queue {
    struct wr_list kinds; /* struct wr_queued: the oldest of each, by ticket */
    uint32_t count;       /* number of waiting requests */
    size_t excluded_most; /* no waiting request excludes more upstreams */
};

/* A waiting request, embedded in its owner. The exclusions and the ticket must
 * not change while the request is in a queue. */
struct wr_queued {
    uint64_t ticket; /* unique number, or 0 before it is assigned */
    struct wr_exclusions excluded;
    struct wr_request_queue *queue; /* may be NULL */
    /* In ->kinds if this request is the oldest of its kind. */
    struct wr_list link;
    struct wr_queued *above;    /* parent in the tree, or NULL */
    struct wr_queued *below[2]; /* older, younger */
};

void wr_request_queue_init(struct wr_request_queue *queue);
void wr_queued_init(struct wr_queued *queued);

void wr_request_queue_add(struct wr_request_queue *queue,
                          struct wr_queued *queued);
void wr_request_queue_remove(struct wr_queued *queued);

/* Returns true if an older request of the same kind waits. @queued must not be
 * in a queue. If it has no ticket yet, all waiting requests are older. */
bool wr_request_queue_has_older(const struct wr_request_queue *queue,
                                const struct wr_queued *queued);

/* Iterates over the oldest request of each kind, by ticket. Returns the first
 * if @before is NULL, else the next after @before, or NULL at the end. @before
 * must be the oldest of its kind. */
static inline struct wr_queued *
wr_request_queue_next(const struct wr_request_queue *queue,
                      const struct wr_queued *before)
{
    struct wr_list *link = before ? before->link.next : queue->kinds.next;

    wr_assert(!before || wr_list_is_linked(&before->link));
    return link == &queue->kinds
               ? NULL
               : wr_container_of(link, struct wr_queued, link);
}

#endif
