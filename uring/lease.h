/*
 * Leases: counted references to received bytes.
 *
 * A lease refers to bytes in a receive buffer, in its own block, or in the
 * block of another lease. Its length is charged to the account of the receiving
 * connection until the last reference is dropped. During a callback bytes are
 * borrowed: their lease is charged only if the program keeps it.
 */
#ifndef WEIR_URING_LEASE_H
#define WEIR_URING_LEASE_H

#include "pool.h"

/* A lease on fewer bytes is copied, so that it does not pin a receive buffer.
 */
#define WR_COMPACT_BELOW (4u << 10)
/* Fewer kept bytes are copied: it costs less than to track their position. */
#define WR_LEASE_LEAST (1u << WR_BLOCK_MIN_BITS)

struct weir_lease {
    weir_lease *next;
    const uint8_t *data;
    uint32_t len;
    uint32_t refs;
    /* Exactly one of these three is set. */
    struct wr_pool_buf *buf; /* a receive buffer, which the lease pins */
    /* a lease with a block that contains these bytes */
    weir_lease *parent;
    struct wr_block *block; /* a block that belongs to this lease */
    struct wr_account *account;
    struct wr_pool *pool;
};

void wr_lease_check_invariants(const weir_lease *lease);

WEIR_MUST_USE weir_lease *wr_lease_copy(struct wr_pool *pool,
                                        struct wr_account *account,
                                        const void *data, size_t len);

/* Returns a lease on the first @len bytes of @block, charged to @account, or
 * NULL. Takes @block, one of the pool's blocks, even on failure. */
WEIR_MUST_USE weir_lease *wr_lease_block(struct wr_pool *pool,
                                         struct wr_account *account,
                                         struct wr_block *block, size_t len);

/* Returns a lease on a new block of at least @capacity bytes, or NULL if out of
 * memory. Its len is the block's capacity. It is charged to the pool's `own`
 * account, which has no limit, so the caller must limit these bytes. */
WEIR_MUST_USE weir_lease *wr_lease_own(struct wr_pool *pool, size_t capacity);

/* Returns a lease on some bytes of @parent, without a copy, or NULL if out of
 * memory. On success takes the caller's reference to @parent. In a receive
 * buffer only these bytes are charged; a block stays charged as a whole. */
WEIR_MUST_USE weir_lease *wr_lease_slice(weir_lease *parent,
                                         const uint8_t *data, uint32_t len);

/* Keeps the bytes of @buf, and gives @buf a reference to them. Copies them if
 * they are fewer than WR_LEASE_LEAST or a small part of a block, or if the pool
 * is short of buffers. Returns 0, or -ENOMEM without any change. */
WEIR_MUST_USE int wr_lease_keep(struct weir_buf *buf);

/* Keeps exactly the bytes of @buf in a lease without other references, so that
 * the caller may use `next`. Returns NULL if out of memory. */
WEIR_MUST_USE weir_lease *wr_lease_keep_apart(const struct weir_buf *buf);

/* Like wr_lease_keep_apart(), but copies bytes without a lease for @account. */
WEIR_MUST_USE weir_lease *wr_lease_keep_any(struct wr_pool *pool,
                                            struct wr_account *account,
                                            const struct weir_buf *buf);

/* This has no effect with other references or without a receive buffer. */
void wr_lease_trim(weir_lease *lease, uint32_t len);

static inline bool wr_lease_wastes(const weir_lease *lease, size_t len)
{
    const struct wr_pool *pool = lease->pool;

    return lease->buf && (len < pool->buf_size / 2 || wr_pool_is_short(pool));
}

/* Copies @len bytes at @data out of the receive buffer and drops the others.
 * Has no effect with other references or without memory. */
void wr_lease_move_out(weir_lease *lease, const uint8_t *data, uint32_t len);

/* Like wr_lease_move_out() for all bytes of the lease, if they are fewer than
 * WR_COMPACT_BELOW or the pool is short. */
void wr_lease_compact(weir_lease *lease);

/* Appends bytes of @lease, which must follow @last in the stream, to the block
 * of @last. Moves only bytes that wr_lease_compact() would move. Returns true
 * if all bytes were moved; @lease is then freed. */
WEIR_MUST_USE bool wr_lease_pack(weir_lease *last, weir_lease *lease);

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

/* Charges the lease if it was kept meanwhile, else frees it. */
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
