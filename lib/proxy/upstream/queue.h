/*
 * Requests that wait, in the order in which they came: the pure part.
 *
 * Requests that exclude the same upstreams are of one kind: what the oldest of
 * a kind may not have, no other of it may. So the queue shows the oldest of
 * each kind alone, in the order of their tickets, and the next of a kind when
 * that one has left: whoever serves the queue looks once at each kind and once
 * at each request that it serves, however many wait.
 *
 *     kinds <-> oldest of a kind <-> oldest of another <-> kinds
 *                   |                    |
 *                 tree                 tree       by ticket, the oldest first
 *
 * Each kind is a treap: a tree in the order of tickets, where none has a higher
 * rank than the one above it. Ranks are mixed tickets, so that the tree is
 * about as deep as one of random numbers, in whatever order requests come.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_QUEUE_H
#define WEIR_LIB_PROXY_UPSTREAM_QUEUE_H

#include "uring/list.h"

#include <stddef.h>

#define WR_TRIES_MAX    16u
#define WR_EXCLUDED_MAX 16u

/* Upstreams that a request does not take. */
struct wr_exclusions {
    uint64_t ids[WR_TRIES_MAX + WR_EXCLUDED_MAX];
    size_t count;
    uint64_t sum;        /* of the ids, which tells most sets of them apart */
    bool with_unchecked; /* and all whose first check has not ended */
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

/* Adds one; it may be there already. */
static inline void wr_exclusions_add(struct wr_exclusions *exclusions,
                                     uint64_t id)
{
    wr_assert(exclusions->count < WR_TRIES_MAX + WR_EXCLUDED_MAX);
    if (!wr_exclusions_have(exclusions, id)) {
        exclusions->ids[exclusions->count++] = id;
        exclusions->sum += id;
    }
}

/* Forgets the one that was added last. */
static inline void wr_exclusions_drop_last(struct wr_exclusions *exclusions)
{
    wr_assert(exclusions->count > 0);
    exclusions->sum -= exclusions->ids[--exclusions->count];
}

struct wr_request_queue {
    struct wr_list kinds; /* struct wr_queued: the oldest of each, by ticket */
    uint32_t count;       /* of all that wait */
    size_t excluded_most; /* none of them excludes more upstreams */
};

/* The owner embeds it, and does not change what it excludes, nor its ticket,
 * while it is in a queue. */
struct wr_queued {
    uint64_t ticket; /* its number, of its own; 0: none yet */
    struct wr_exclusions excluded;
    struct wr_request_queue *queue; /* NULL: it is in none */
    struct wr_list link;            /* in ->kinds if it is the oldest of one */
    struct wr_queued *above;        /* in the tree; NULL: the top */
    struct wr_queued *below[2];     /* older, younger */
};

void wr_request_queue_init(struct wr_request_queue *queue);
void wr_queued_init(struct wr_queued *queued);

/* Adds one with a ticket that no other has. */
void wr_request_queue_add(struct wr_request_queue *queue,
                          struct wr_queued *queued);
void wr_request_queue_remove(struct wr_queued *queued);

/* True if one of its kind waits that came earlier. Without a ticket @queued
 * comes now; it is in no queue. */
bool wr_request_queue_has_older(const struct wr_request_queue *queue,
                                const struct wr_queued *queued);

/* The oldest of the kind behind that of @before, which is the oldest of its
 * own; NULL for @before: the oldest of all. NULL: there is none. */
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
