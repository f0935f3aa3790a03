/*
 * Leases: counted references to received bytes.
 *
 * A lease points into a receive buffer, which counts it, or to a block of its
 * own, or it is a part of a lease over a block and references that lease. Its
 * length is charged to the account of the receiving connection until its last
 * reference is gone. During a callback bytes are borrowed: their lease is
 * charged only if it is kept.
 */
#ifndef WEIR_URING_LEASE_H
#define WEIR_URING_LEASE_H

#include "pool.h"

/* Shorter remainders are copied, so that they do not pin a buffer. */
#define WR_COMPACT_BELOW (4u << 10)
/* Shorter kept pieces are copied: a copy into the smallest block costs less
 * than tracking their place. */
#define WR_LEASE_LEAST (1u << WR_BLOCK_MIN_BITS)

struct weir_lease {
    weir_lease *next; /* for a list of the owner */
    const uint8_t *data;
    uint32_t len;
    uint32_t refs;
    /* The bytes' place: exactly one of these three is set. */
    struct wr_pool_buf *buf; /* a receive buffer, which it pins */
    weir_lease *parent;      /* a lease over a block, of which it is a part */
    struct wr_block *block;  /* a block of its own */
    struct wr_account *account;
    struct wr_pool *pool;
};

/* Checks a lease and its place in its memory. */
void wr_lease_check_invariants(const weir_lease *lease);

/* A lease over a copy of @len bytes, charged to @account; NULL without
 * memory. */
WEIR_MUST_USE weir_lease *wr_lease_copy(struct wr_pool *pool,
                                        struct wr_account *account,
                                        const void *data, size_t len);

/* A lease over the first @len bytes of @block, charged to @account; NULL
 * without memory. @block: from the pool's blocks, taken, also on failure. */
WEIR_MUST_USE weir_lease *wr_lease_block(struct wr_pool *pool,
                                         struct wr_account *account,
                                         struct wr_block *block, size_t len);

/* A lease over a new block for at least @capacity bytes; its len is the
 * capacity. It is charged to the pool's `own` account, which has no limit, so
 * the caller must bound these bytes. NULL without memory. */
WEIR_MUST_USE weir_lease *wr_lease_own(struct wr_pool *pool, size_t capacity);

/* A lease over a part of the bytes of @parent, in place. In a receive buffer
 * only the part is charged; in a block it references @parent, which stays
 * charged. The caller's reference to @parent is taken on success; NULL without
 * memory. */
WEIR_MUST_USE weir_lease *wr_lease_slice(weir_lease *parent,
                                         const uint8_t *data, uint32_t len);

/*
 * Keeps the bytes of @buf, all or a part of a lease: @buf gets a reference of
 * its own, and the bytes may move. Copied to a block of their own are fewer
 * than WR_LEASE_LEAST bytes, any bytes while the pool is short, and a small
 * part of a block. 0, or -ENOMEM without any change.
 */
WEIR_MUST_USE int wr_lease_keep(struct weir_buf *buf);

/* Keeps bytes under a lease of exactly these bytes that only the caller refers
 * to, so that its `next` may be used; NULL without memory. */
WEIR_MUST_USE weir_lease *wr_lease_keep_apart(const struct weir_buf *buf);

/* Removes the first @len bytes from a lease in a receive buffer to which only
 * the caller refers. Does nothing to other leases. */
void wr_lease_trim(weir_lease *lease, uint32_t len);

/* True if the lease pins a receive buffer for only @len bytes, less than half
 * of it, or buffers are short. */
static inline bool wr_lease_wastes(const weir_lease *lease, size_t len)
{
    const struct wr_pool *pool = lease->pool;

    return lease->buf && (len < pool->buf_size / 2 || wr_pool_is_short(pool));
}

/* Moves the @len bytes at @data out of their receive buffer into a block; the
 * lease's other bytes are given back. Does nothing if others refer to the
 * lease, if it pins no buffer, or without memory. */
void wr_lease_move_out(weir_lease *lease, const uint8_t *data, uint32_t len);

/* Moves bytes out of their receive buffer into a block: few bytes always, many
 * if the pool is short. Does nothing if others refer to the lease, if it pins
 * no buffer, or without memory. */
void wr_lease_compact(weir_lease *lease);

/* Moves bytes that wr_lease_compact() would move into the block of @last,
 * behind its bytes, which precede them in the stream, as far as there is room.
 * So many small pieces cost little more than their bytes. True: all were moved,
 * and @lease is freed. */
WEIR_MUST_USE bool wr_lease_pack(weir_lease *last, weir_lease *lease);

/* The bytes charged for a lease; a block is at least WR_LEASE_LEAST. */
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

/* Frees a lease without references. */
void wr_lease_release(weir_lease *lease);

static inline void wr_lease_unref(weir_lease *lease)
{
    wr_assert(lease->refs > 0);
    if (--lease->refs == 0) {
        wr_lease_release(lease);
    }
}

/* Charges a lease in a receive buffer. */
static inline void wr_lease_charge(weir_lease *lease)
{
    struct wr_account *account = lease->account;

    wr_debug_assert(lease->buf);
    wr_debug_assert(account != &lease->pool->own);
    account->held_bytes += lease->len;
    account->lease_count++;
    lease->pool->held_bytes += lease->len;
}

/* Ends the borrow after the callback. Mostly the bytes were not kept; then the
 * lease was not charged and need not be discharged. */
static inline void wr_lease_end_borrow(weir_lease *lease)
{
    wr_debug_check(wr_lease_check_invariants(lease));
    if (lease->refs > 1) { /* kept */
        wr_lease_charge(lease);
        lease->refs--;
        return;
    }
    lease->buf->refs--;
    wr_pool_free_if_unused(lease->pool, lease->buf);
    wr_slab_give(&lease->pool->leases, lease);
}

#endif
