/*
 * The receive pool: memory that the kernel fills and protocols read in place.
 *
 * The pool owns buffers of one size, posts a few of them to the kernel as a
 * ring of provided buffers, and finds the bytes that a completion speaks of.
 * With incremental consumption (used from Linux 6.17 on, see feature.h) each
 * receive takes what it fills of a 256 KiB buffer, so the slices of one buffer
 * belong to different sockets; without it each takes a whole 16 KiB buffer. A
 * buffer goes back when the kernel has used it up *and* every slice was given
 * back:
 *
 *     free --post--> posted --used up--> retired --last slice given--> free
 *
 * The kernel says which buffer a receive filled and whether it is used up; how
 * many bytes each took is counted here. Where the two cannot both be right the
 * bytes are nobody's: the receive fails with WEIR_EBADBUFFER, and the buffer is
 * lost, that is, kept until the end and never posted again.
 *
 * Free buffers are a stack: the last one given back is posted first, because
 * it is still in the cache. Few are posted, for the same reason.
 *
 * A slice is a struct weir_lease: counted, and charged to the account of the
 * connection that received it, with its length. What it pins besides, the rest
 * of its buffer, is bounded for all together: when a quarter of the buffers are
 * pinned, whatever is kept from then on is copied to a block of its own. So
 * leases can never take the last buffer.
 *
 * Who may hold how much is said by budget.h; the pool feeds those that wait.
 */
#ifndef WEIR_URING_POOL_H
#define WEIR_URING_POOL_H

#include "../include/weir/buffer.h"
#include "budget.h"
#include "list.h"
#include "op.h"
#include "slab.h"

#include <stdint.h>

#define WR_POOL_INC_SIZE     (256u << 10)
#define WR_POOL_PLAIN_SIZE   (16u << 10)
#define WR_POOL_RING_ENTRIES 256u
/* Remainders shorter than this are copied rather than pin a buffer. */
#define WR_COMPACT_BELOW (4u << 10)
/* Pieces that are kept for good are copied if they are shorter than this: that
 * costs less than to keep account of where they lie. */
#define WR_LEASE_LEAST (1u << WR_BLOCK_MIN_BITS)

enum wr_pool_buf_state {
    WR_BUF_FREE,    /* on the stack */
    WR_BUF_POSTED,  /* the kernel may write to it beyond offset */
    WR_BUF_RETIRED, /* used up; leases may be out */
    WR_BUF_LOST,    /* the kernel's account of it cannot be true */
};

struct wr_pool_buf {
    struct wr_pool_buf *next;
    uint8_t *data;
    uint32_t offset; /* bytes that the kernel has used */
    uint32_t refs;   /* leases that point into it */
    uint16_t id;
    bool is_discarded; /* set by trimming, cleared by posting */
    enum wr_pool_buf_state state;
};

struct wr_account;

/* Bytes went back to an account that asked to be told: it may have credit
 * again, or nobody may need it any more. */
typedef void wr_account_released_fn(struct wr_account *account);

/* There may be a buffer and credit now: arm the receive. */
typedef void wr_account_feed_fn(struct wr_account *account);

/* Kept bytes cost more than they are, and so more than its credit: it holds
 * more than its limit now. */
typedef void wr_account_over_fn(struct wr_account *account);

/* What one connection holds of the pool. Embedded in its owner, which lives
 * until held_bytes is 0. */
struct wr_account {
    uint64_t held_bytes;
    uint64_t limit_bytes;
    uint64_t stuck_bytes; /* of its send queue; set by the owner */
    uint32_t lease_count;
    uint32_t window;      /* see wr_budget_window() ... */
    uint32_t last_credit; /* ... of the last wr_pool_ask() */
    bool tell_released;   /* set and cleared by the owner */
    wr_account_released_fn *released;
    wr_account_feed_fn *feed;
    wr_account_over_fn *over;    /* may be NULL */
    struct wr_list starved_link; /* in wr_pool.starved or wr_pool.stuck */
};

struct weir_lease {
    weir_lease *next; /* for the list of whoever holds it */
    const uint8_t *data;
    uint32_t len;
    uint32_t refs;
    struct wr_pool_buf *buf; /* what it pins, or NULL ... */
    weir_lease *parent;      /* ... because it is a part of this one, or */
    struct wr_block *block;  /* ... was moved here, see wr_lease_compact() */
    struct wr_account *account;
    struct wr_pool *pool;
};

struct wr_pool {
    struct wr_uring *uring;
    struct wr_pool_buf **bufs; /* by buffer id */
    struct wr_pool_buf *free_list;
    struct wr_slab leases;
    struct wr_blocks *blocks;
    struct wr_account own; /* of wr_pool_lease_own(), counted but unlimited */
    struct wr_budget budget;
    uint32_t buf_size;
    uint32_t buf_count; /* made so far */
    uint32_t buf_max;   /* as many as the limit allows, and the posted ones */
    int32_t pinnable;   /* how many more may be retired; below 0: one copies */
    uint32_t posted_count;
    uint32_t posted_goal;
    uint32_t lost_count;  /* never posted again; the kernel may have them */
    uint32_t shared_size; /* buf_size if receives share buffers, else 0 */
    uint64_t copied_bytes;
    struct wr_list starved;  /* accounts to feed, oldest first */
    uint64_t unfed_bytes;    /* with so much held none of them has credit */
    struct wr_list stuck;    /* accounts to feed when send queues are shorter */
    struct wr_list hoarders; /* see wr_pool_hoard() */
    void (*relieve)(struct wr_list *link);
    uint64_t starved_count; /* how often a receive found no buffer */
};

/* What is to be done for the starved. */
enum wr_pool_feed {
    WR_FEED_NOBODY, /* nobody starves, or only what is given back helps */
    WR_FEED_NOW,
    WR_FEED_LATER, /* there was no memory for a buffer: to be tried again */
};

struct wr_pool_options {
    uint64_t limit_bytes;
    uint64_t queued_limit_bytes; /* of what may wait to be sent */
    struct wr_blocks *blocks;    /* where compacted slices live; held */
};

int wr_pool_init(struct wr_pool *pool, struct wr_uring *uring,
                 const struct wr_pool_options *options);

/* The kernel must not use the ring any more. Leases may be out still: then
 * false is returned and nothing freed, call again when they are back. */
bool wr_pool_fini(struct wr_pool *pool);

/* Its receive wants a buffer or common credit, and there is none: it is fed
 * when there is, in turn. */
static inline void wr_pool_starve(struct wr_pool *pool,
                                  struct wr_account *account)
{
    wr_list_push_back(&pool->starved, &account->starved_link);
    pool->unfed_bytes = UINT64_MAX; /* not known of this one */
}

/* It gets no credit before its send queue is shorter, or all together are: then
 * it is fed. */
static inline void wr_pool_wait_unstuck(struct wr_pool *pool,
                                        struct wr_account *account)
{
    wr_list_push_back(&pool->stuck, &account->starved_link);
}

/* It wants none any more. */
static inline void wr_pool_unstarve(struct wr_account *account)
{
    wr_list_remove(&account->starved_link);
}

/* @link is of somebody who waits for more bytes and keeps those that it has in
 * the pool, but could move them out. When the starved can be fed no more it is
 * unlinked and @relieve is called, the same for all. */
static inline void wr_pool_hoard(struct wr_pool *pool, struct wr_list *link,
                                 void (*relieve)(struct wr_list *link))
{
    pool->relieve = relieve;
    wr_list_push_back(&pool->hoarders, link);
}

/* What wr_pool_feed() would do for the starved. */
enum wr_pool_feed wr_pool_next_feed(const struct wr_pool *pool);

/* Feeds the starved as far as posted buffers go: more would starve again. */
void wr_pool_feed_some(struct wr_pool *pool);

static inline void wr_pool_feed(struct wr_pool *pool)
{
    if (WR_UNLIKELY(!wr_list_is_empty(&pool->starved) ||
                    !wr_list_is_empty(&pool->stuck))) {
        wr_pool_feed_some(pool);
    }
}

/* Gives the pages of free buffers back to the system, and leases' memory that
 * is not in use to the allocator; returns the bytes of the latter. */
uint64_t wr_pool_trim(struct wr_pool *pool);

/* How long a turn may wait at most on behalf of the starved. */
uint64_t wr_pool_wait_ns(const struct wr_pool *pool);

/* Posts free buffers up to the goal; called once a turn, and after a receive
 * found none. */
void wr_pool_post(struct wr_pool *pool);

static inline uint64_t wr_pool_leases_out(const struct wr_pool *pool)
{
    return pool->leases.used_count;
}

/* Can a receive that is armed now expect a buffer? */
static inline bool wr_pool_has_posted(const struct wr_pool *pool)
{
    return pool->posted_count > 0;
}

/* The bytes of a completed receive, @res > 0 of them, as a lease for the time
 * of a callback: one reference, charged to nobody. NULL when the bytes are
 * lost, wr_pool_lost_error() says why. wr_pool_end_borrow() follows before the
 * next completion is looked at. */
weir_lease *wr_pool_borrow(struct wr_pool *pool, struct wr_account *account,
                           int32_t res, uint32_t flags);

/* The bytes of a completed receive as a lease with one reference, charged to
 * @account; NULL when they are lost. Must be called for every completion that
 * carries a buffer; @res <= 0 with a buffer gives the buffer back and returns
 * NULL. */
weir_lease *wr_pool_receive(struct wr_pool *pool, struct wr_account *account,
                            int32_t res, uint32_t flags);

/* After the pool returned NULL for a completion with these @flags:
 * WEIR_EBADBUFFER when what it says cannot be true, else -ENOMEM. */
int wr_pool_lost_error(const struct wr_pool *pool, uint32_t flags);

/* A lease over a copy of @len bytes, charged like received ones, or NULL. */
weir_lease *wr_pool_lease_copy(struct wr_pool *pool, struct wr_account *account,
                               const void *data, size_t len);

/* A lease over memory for at least @capacity bytes, its len says how many, that
 * pins no buffer and is charged to nobody: what is kept in it must be bounded
 * by something else. The pool's `own` account is told of its end when it asks,
 * since no connection waits for it. NULL without memory. */
weir_lease *wr_pool_lease_own(struct wr_pool *pool, size_t capacity);

/* A lease over a part of another one's bytes, where they are. In a receive
 * buffer it is charged for itself alone; in a block it keeps @parent, which
 * stays charged. The caller's reference to @parent is taken on success; NULL
 * without memory. */
weir_lease *wr_lease_slice(weir_lease *parent, const uint8_t *data,
                           uint32_t len);

/*
 * Keeps bytes under a lease, all of its or a part: @buf becomes the same bytes
 * with a reference of its own; they may lie elsewhere then. Fewer than
 * WR_LEASE_LEAST bytes, any when buffers are short, and a small part of a block
 * are copied to a block of their own. 0 or -ENOMEM; then nothing was changed.
 */
int wr_lease_keep(struct weir_buf *buf);

/* The same as a lease of exactly these bytes that nobody else has, so that its
 * `next` may be used; NULL without memory. */
weir_lease *wr_lease_keep_apart(const struct weir_buf *buf);

/* The first @len bytes of a lease in a receive buffer, which only the caller
 * refers to, are nobody's any more. Another lease stays as it is. */
void wr_lease_trim(weir_lease *lease, uint32_t len);

/* How many bytes the account may receive with its next arm; 0: none now. */
uint32_t wr_pool_credit(const struct wr_pool *pool,
                        const struct wr_account *account);

/* The same for an arm that follows, and why. What the account got rid of since
 * the last one counts for or against it. */
enum wr_verdict wr_pool_ask(const struct wr_pool *pool,
                            struct wr_account *account, uint32_t *ret_credit);

/* Moves a slice that only its holder knows of out of the pool, so that it does
 * not pin a large buffer: small ones always, others when buffers are short.
 * Leaves it alone when it is shared or when there is no memory. */
void wr_lease_compact(weir_lease *lease);

/* What it is charged with: no block is smaller. */
static inline uint32_t wr_lease_cost(const weir_lease *lease)
{
    return lease->block && lease->len < WR_LEASE_LEAST ? WR_LEASE_LEAST
                                                       : lease->len;
}

static inline void wr_lease_ref(weir_lease *lease)
{
    wr_assert(lease->refs > 0);
    lease->refs++;
}

/* The last reference is gone. */
void wr_lease_release(weir_lease *lease);

static inline void wr_lease_unref(weir_lease *lease)
{
    wr_assert(lease->refs > 0);
    if (--lease->refs == 0) {
        wr_lease_release(lease);
    }
}

static inline void wr_lease_charge(weir_lease *lease)
{
    struct wr_account *account = lease->account;

    account->held_bytes += lease->len;
    account->lease_count++;
    lease->pool->budget.held_bytes += lease->len;
}

static inline void wr_pool_free_if_unused(struct wr_pool *pool,
                                          struct wr_pool_buf *buf)
{
    if (WR_UNLIKELY(buf->state == WR_BUF_RETIRED && buf->refs == 0)) {
        buf->state = WR_BUF_FREE;
        buf->next = pool->free_list;
        pool->free_list = buf;
        pool->pinnable++;
    }
}

/* Are so many buffers pinned that bytes had better be copied than pin more? A
 * small slice pins a large buffer, and peers choose the sizes. */
static inline bool wr_pool_is_short(const struct wr_pool *pool)
{
    return pool->pinnable < 0;
}

/* The callback is over. Mostly nobody kept the bytes, and nothing was done for
 * the lease that would have to be undone. */
static inline void wr_pool_end_borrow(weir_lease *lease)
{
    if (lease->refs > 1) { /* somebody keeps it */
        wr_lease_charge(lease);
        lease->refs--;
        return;
    }
    lease->buf->refs--;
    wr_pool_free_if_unused(lease->pool, lease->buf);
    wr_slab_give(&lease->pool->leases, lease);
}

#endif
