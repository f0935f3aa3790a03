/*
 * Leases: counted references to received bytes.
 *
 * A lease refers to a receive buffer, which counts its leases, to a block of
 * its own, or to a part of the bytes of another lease with a block. Its length
 * is charged to the account of the receiving connection until its last
 * reference is dropped. During a callback bytes are borrowed: their lease is
 * charged only if it is kept.
 */
#ifndef WEIR_URING_LEASE_H
#define WEIR_URING_LEASE_H

#include "pool.h"

/* Shorter remainders are copied, so that they do not pin a buffer. */
#define WR_COMPACT_BELOW (4u << 10)
/* Shorter kept pieces are copied, which is cheaper than tracking their
 * position. */
#define WR_LEASE_LEAST (1u << WR_BLOCK_MIN_BITS)

struct weir_lease {
    weir_lease *next; /* link of a list of the owner */
    const uint8_t *data;
    uint32_t len;
    uint32_t refs;
    /* Exactly one of these three is set. */
    struct wr_pool_buf *buf; /* a receive buffer, which it pins */
    weir_lease *parent;      /* a lease over a block that contains this lease */
    struct wr_block *block;  /* a block that belongs to this lease */
    struct wr_account *account;
    struct wr_pool *pool;
};

void wr_lease_check_invariants(const weir_lease *lease);

/* Returns a lease over a copy, charged to @account, or NULL if out of
 * memory. */
WEIR_MUST_USE weir_lease *wr_lease_copy(struct wr_pool *pool,
                                        struct wr_account *account,
                                        const void *data, size_t len);

/* Returns a lease over the first @len bytes of @block, charged to @account, or
 * NULL. Takes @block, from the pool's blocks, even on failure. */
WEIR_MUST_USE weir_lease *wr_lease_block(struct wr_pool *pool,
                                         struct wr_account *account,
                                         struct wr_block *block, size_t len);

/* Returns a lease over a new block whose capacity is its len and at least
 * @capacity, or NULL if out of memory. It is charged to the pool's `own`
 * account, which has no limit, so the caller must limit these bytes. */
WEIR_MUST_USE weir_lease *wr_lease_own(struct wr_pool *pool, size_t capacity);

/* Returns a lease over a part of the bytes of @parent, in place, or NULL if out
 * of memory. On success takes the caller's reference to @parent. In a receive
 * buffer only the part is charged. In a block the slice references @parent,
 * which stays charged. */
WEIR_MUST_USE weir_lease *wr_lease_slice(weir_lease *parent,
                                         const uint8_t *data, uint32_t len);

/* Keeps the bytes of @buf, which are all or a part of a lease. Gives @buf its
 * own reference, and may move the bytes: fewer than WR_LEASE_LEAST bytes, a
 * small part of a block, and any bytes while the pool is short are copied.
 * Returns 0, or -ENOMEM without any change. */
WEIR_MUST_USE int wr_lease_keep(struct weir_buf *buf);

/* Keeps bytes with a lease of exactly these bytes. The caller has the only
 * reference, so that `next` may be used. Returns NULL if out of memory. */
WEIR_MUST_USE weir_lease *wr_lease_keep_apart(const struct weir_buf *buf);

/* Keeps bytes like wr_lease_keep_apart(). Bytes without a lease are copied, and
 * charged to @account. */
WEIR_MUST_USE weir_lease *wr_lease_keep_any(struct wr_pool *pool,
                                            struct wr_account *account,
                                            const struct weir_buf *buf);

/* Removes the first @len bytes of an unshared lease in a receive buffer. */
void wr_lease_trim(weir_lease *lease, uint32_t len);

/* Returns true if the lease pins a receive buffer and @len is less than half
 * the buffer, or buffers are short. */
static inline bool wr_lease_wastes(const weir_lease *lease, size_t len)
{
    const struct wr_pool *pool = lease->pool;

    return lease->buf && (len < pool->buf_size / 2 || wr_pool_is_short(pool));
}

/* Moves the @len bytes at @data out of their receive buffer into a block and
 * releases the lease's other bytes. Does nothing if there are other references,
 * if the lease pins no buffer, or if out of memory. */
void wr_lease_move_out(weir_lease *lease, const uint8_t *data, uint32_t len);

/* Like wr_lease_move_out() for all bytes of the lease, if they are fewer than
 * WR_COMPACT_BELOW or the pool is short. */
void wr_lease_compact(weir_lease *lease);

/* Appends the bytes of @lease to the block of @last, as far as they fit, so
 * that many small pieces cost little more than their bytes. @last must precede
 * @lease in the stream. Moves only bytes that wr_lease_compact() would move.
 * Returns true if all were moved; @lease is then freed. */
WEIR_MUST_USE bool wr_lease_pack(weir_lease *last, weir_lease *lease);

/* Returns the charged bytes: for a block at least WR_LEASE_LEAST. */
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

void wr_lease_release(weir_lease *lease);

static inline void wr_lease_unref(weir_lease *lease)
{
    wr_assert(lease->refs > 0);
    if (--lease->refs == 0) {
        wr_lease_release(lease);
    }
}

/* Drops a list of leases, which may be empty. */
static inline void wr_lease_unref_list(weir_lease *first)
{
    while (first) {
        weir_lease *next = first->next;
        wr_lease_unref(first);
        first = next;
    }
}

static inline void wr_lease_charge(weir_lease *lease)
{
    struct wr_account *account = lease->account;

    wr_debug_assert(lease->buf);
    wr_debug_assert(account != &lease->pool->own);
    account->held_bytes += lease->len;
    account->lease_count++;
    lease->pool->held_bytes += lease->len;
}

/* Ends the borrow after the callback. If the bytes were not kept, the lease was
 * not charged and need not be discharged. */
static inline void wr_lease_end_borrow(weir_lease *lease)
{
    wr_debug_check(wr_lease_check_invariants(lease));
    if (lease->refs > 1) {
        wr_lease_charge(lease);
        lease->refs--;
        return;
    }
    lease->buf->refs--;
    wr_pool_free_if_unused(lease->pool, lease->buf);
    wr_slab_give(&lease->pool->leases, lease);
}

#endif
