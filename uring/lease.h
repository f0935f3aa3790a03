/*
 * Leases: counted references to received bytes.
 *
 * A lease points into a receive buffer, which counts it, or into a block of its
 * own, or it is a part of a lease over a block and keeps that one. It is
 * charged to the account of the connection that received the bytes, with its
 * length, until its last reference goes. During a callback bytes are borrowed:
 * their lease is charged only if it is kept.
 */
#ifndef WEIR_URING_LEASE_H
#define WEIR_URING_LEASE_H

#include "pool.h"

/* Remainders shorter than this are copied rather than pin a buffer. */
#define WR_COMPACT_BELOW (4u << 10)
/* Pieces that are kept for good are copied if they are shorter than this, the
 * smallest block: a copy costs less than the account of where they lie. */
#define WR_LEASE_LEAST (1u << WR_BLOCK_MIN_BITS)

struct weir_lease {
    weir_lease *next; /* for a list of its owner */
    const uint8_t *data;
    uint32_t len;
    uint32_t refs;
    /* One of these three says where the bytes are; the others are NULL. */
    struct wr_pool_buf *buf; /* the receive buffer that it pins */
    weir_lease *parent;      /* the lease over a block that it is a part of */
    struct wr_block *block;  /* a block of its own */
    struct wr_account *account;
    struct wr_pool *pool;
};

/* The lease alone: where its bytes are, and its place there. */
void wr_lease_check_invariants(const weir_lease *lease);

/* A lease over a copy of @len bytes, charged like received ones; NULL without
 * memory. */
WEIR_MUST_USE weir_lease *wr_lease_copy(struct wr_pool *pool,
                                        struct wr_account *account,
                                        const void *data, size_t len);

/* A lease over the first @len bytes of a block of the pool's, which is taken,
 * also when it fails; charged like received ones. NULL without memory. */
WEIR_MUST_USE weir_lease *wr_lease_block(struct wr_pool *pool,
                                         struct wr_account *account,
                                         struct wr_block *block, size_t len);

/* A lease over a block for at least @capacity bytes; its len is the capacity.
 * It is charged to the pool's `own` account, which has no limit: its bytes must
 * be bounded by something else. NULL without memory. */
WEIR_MUST_USE weir_lease *wr_lease_own(struct wr_pool *pool, size_t capacity);

/* A lease over a part of another one's bytes, where they are. In a receive
 * buffer it is charged for itself alone; in a block it keeps @parent, which
 * stays charged. The caller's reference to @parent is taken on success; NULL
 * without memory. */
WEIR_MUST_USE weir_lease *wr_lease_slice(weir_lease *parent,
                                         const uint8_t *data, uint32_t len);

/*
 * Keeps all bytes of a lease or a part of them: @buf becomes the same bytes
 * with a reference of its own, and they may lie elsewhere then. Fewer than
 * WR_LEASE_LEAST bytes, any when the pool is short, and a small part of a block
 * are copied to a block of their own. 0 or -ENOMEM; then nothing was changed.
 */
WEIR_MUST_USE int wr_lease_keep(struct weir_buf *buf);

/* Keeps bytes by a lease of exactly these bytes that only the caller has, so
 * that its `next` may be used; NULL without memory. */
WEIR_MUST_USE weir_lease *wr_lease_keep_apart(const struct weir_buf *buf);

/* Gives up the first @len bytes of a lease in a receive buffer to which only
 * the caller refers. Any other lease stays as it is. */
void wr_lease_trim(weir_lease *lease, uint32_t len);

/* Moves bytes to which only the caller refers out of their receive buffer: few
 * bytes always, many when the pool is short. Does nothing when the lease is
 * shared, when it pins no buffer, or without memory. */
void wr_lease_compact(weir_lease *lease);

/* Moves bytes that wr_lease_compact() would move behind those of @last, which
 * come before them in the stream, as far as its block has room: many small
 * pieces cost about their bytes then. True when all were moved, and @lease is
 * gone. */
WEIR_MUST_USE bool wr_lease_pack(weir_lease *last, weir_lease *lease);

/* The charge for the lease: no block is smaller than WR_LEASE_LEAST. */
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

/* Ends a lease whose last reference is gone. */
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

/* The callback is over. Mostly it did not keep the bytes, and nothing was done
 * for the lease that would have to be undone. */
static inline void wr_lease_end_borrow(weir_lease *lease)
{
    wr_debug_check(wr_lease_check_invariants(lease));
    if (lease->refs > 1) { /* it is kept */
        wr_lease_charge(lease);
        lease->refs--;
        return;
    }
    lease->buf->refs--;
    wr_pool_free_if_unused(lease->pool, lease->buf);
    wr_slab_give(&lease->pool->leases, lease);
}

#endif
