/*
 * Who may hold how much: the policy between the connections of a loop.
 *
 * Two sums are bounded. `held`: bytes received and not given back, under leases
 * or moved out of the receive buffers by readers. `queued`: bytes written and
 * not taken by the kernel. Of both a part is a reserve. What one connection may
 * have shrinks with what is left beyond the reserve, so that those that hold
 * much never take what one that holds little needs: that much it always gets.
 *
 * What a connection may receive next, its credit, grows with proof: it doubles
 * each time everything older than the last credit has been got rid of, given
 * back and sent, and halves while that is stuck.
 *
 * Pure arithmetic: no callbacks, no clock, no descriptors, no memory.
 */
#ifndef WEIR_URING_BUDGET_H
#define WEIR_URING_BUDGET_H

#include "check.h"

#include <stdbool.h>
#include <stdint.h>

/* Of one receive. */
#define WR_CREDIT_MAX   (1024u << 10)
#define WR_CREDIT_START (256u << 10) /* to a connection that proved nothing */
#define WR_CREDIT_SLOW  (16u << 10)  /* to one that gets rid of nothing */
#define WR_CREDIT_MIN   (4u << 10)   /* less is not worth a receive */
/* What every connection may hold, and queue, whatever others have. */
#define WR_HELD_LEAST   (2u * WR_CREDIT_MIN)
#define WR_QUEUED_LEAST (16u << 10)

struct wr_budget {
    uint64_t held_limit_bytes;
    uint64_t held_bytes; /* under leases of connections */
    uint64_t kept_bytes; /* moved out by readers */
    uint64_t queued_limit_bytes;
    uint64_t queued_bytes;
    uint64_t account_count; /* live connections */
};

/* What one connection has, and what its own limit is. */
struct wr_demand {
    uint64_t held_bytes;
    uint64_t limit_bytes;
    uint64_t stuck_bytes; /* of its send queue: the kernel has no room */
    uint32_t window;      /* see wr_budget_window() */
};

/* Why there is credit or none. */
enum wr_verdict {
    WR_VERDICT_CREDIT,
    WR_VERDICT_HOLDS_LIMIT, /* its own limit: only what it gives back helps */
    WR_VERDICT_HOLDS_SHARE, /* its share: what others give back helps too */
    WR_VERDICT_IS_STUCK,    /* it must send first, or others must */
};

/* How much one connection may hold as things stand. */
uint64_t wr_budget_held_share(const struct wr_budget *budget);

/* How much of it may wait to be sent; UINT64_MAX while there is plenty. */
uint64_t wr_budget_queued_share(const struct wr_budget *budget);

/* Do the send queues of all take so much that each has only a share? */
static inline bool wr_budget_is_queue_short(const struct wr_budget *budget)
{
    return budget->queued_bytes > budget->queued_limit_bytes / 4;
}

/* How much a reader may keep unread as things stand; at most @high. */
uint64_t wr_budget_reader_high(const struct wr_budget *budget, uint64_t high);

/* How many bytes the connection may receive next, 0 or WR_CREDIT_MIN to
 * WR_CREDIT_MAX, and why. */
enum wr_verdict wr_budget_credit(const struct wr_budget *budget,
                                 const struct wr_demand *of,
                                 uint32_t *ret_credit);

/* The window after a receive with @last_credit has ended: how much credit the
 * connection has earned. @backlog: bytes that it holds or that are stuck. */
uint32_t wr_budget_window(uint32_t window, uint32_t last_credit,
                          uint64_t backlog);

#endif
