/*
 * Operations of the poll engine: memory, search by user_data, completions.
 *
 * The hash table doubles when it is full; without memory it only gets slower.
 * The queue of completions doubles before an entry begins; without memory the
 * entry waits.
 */
#include "poll_impl.h"

#include "../alloc.h"

#include <errno.h>
#include <string.h>

#define BUCKET_BITS_FIRST 6u
#define ENDED_SIZE_FIRST  64u

static struct wr_ep_op **ops_bucket(const struct wr_ep_ops *ops,
                                    uint64_t user_data)
{
    const uint64_t hash = user_data * UINT64_C(0x9e3779b97f4a7c15);

    wr_debug_assert(ops->bucket_bits > 0);
    return &ops->buckets[hash >> (64 - ops->bucket_bits)];
}

static size_t ops_bucket_bytes(uint32_t bits)
{
    return (size_t)sizeof(struct wr_ep_op *) << bits;
}

static struct wr_ep_op **ops_new_buckets(const struct wr_ep_ops *ops,
                                         uint32_t bits)
{
    struct wr_ep_op **buckets =
        wr_alloc(ops->allocator, ops_bucket_bytes(bits));

    if (buckets) {
        memset(buckets, 0, ops_bucket_bytes(bits));
    }
    return buckets;
}

static size_t ops_ended_bytes(uint32_t size)
{
    return size * sizeof(struct wr_cqe);
}

static bool ops_resize_ended(struct wr_ep_ops *ops, uint32_t size)
{
    struct wr_cqe *ended = wr_alloc(ops->allocator, ops_ended_bytes(size));

    wr_assert(wr_ep_ops_ended_max(ops) <= size);
    if (!ended) {
        return false;
    }
    for (uint32_t i = 0; i < ops->ended_count; i++) {
        ended[i] = ops->ended[(ops->ended_head + i) & (ops->ended_size - 1)];
    }
    if (ops->ended) {
        wr_free(ops->allocator, ops->ended, ops_ended_bytes(ops->ended_size));
    }
    ops->ended = ended;
    ops->ended_size = size;
    ops->ended_room = size - ops->entry_room;
    ops->ended_head = 0;
    return true;
}

bool wr_ep_ops_grow_ended(struct wr_ep_ops *ops)
{
    wr_assert(ops->ended_size <= UINT32_MAX / 2);
    return ops_resize_ended(ops, 2 * ops->ended_size);
}

static uint32_t ops_ended_size_first(const struct wr_ep_ops *ops)
{
    wr_assert(ops->entry_room > 0);
    return 2 * (ops->entry_room > ENDED_SIZE_FIRST / 2 ? ops->entry_room
                                                       : ENDED_SIZE_FIRST / 2);
}

int wr_ep_ops_init(struct wr_ep_ops *ops,
                   const struct weir_allocator *allocator, uint32_t entries)
{
    wr_assert((entries & (entries - 1)) == 0);
    memset(ops, 0, sizeof(*ops));
    ops->allocator = allocator;
    ops->entry_room = entries;
    wr_slab_init(&ops->slab, allocator, WR_EP_OP_SIZE);
    ops->buckets = ops_new_buckets(ops, BUCKET_BITS_FIRST);
    if (!ops->buckets) {
        return -ENOMEM;
    }
    ops->bucket_bits = BUCKET_BITS_FIRST;
    if (!ops_resize_ended(ops, ops_ended_size_first(ops))) {
        wr_free(allocator, ops->buckets, ops_bucket_bytes(BUCKET_BITS_FIRST));
        return -ENOMEM;
    }
    return 0;
}

void wr_ep_ops_fini(struct wr_ep_ops *ops)
{
    wr_assert(ops->waiting_count == 0);
    wr_slab_fini(&ops->slab);
    wr_free(ops->allocator, ops->ended, ops_ended_bytes(ops->ended_size));
    wr_free(ops->allocator, ops->buckets, ops_bucket_bytes(ops->bucket_bits));
}

void wr_ep_op_set_state(struct wr_ep_op *op, enum wr_ep_state state)
{
    static const uint32_t allowed[WR_EP_STATES] = {
        [WR_EP_NEW] =
            1u << WR_EP_PARKED | 1u << WR_EP_TIMED | 1u << WR_EP_WORKING,
        [WR_EP_PARKED] = 1u << WR_EP_WORKING,
        [WR_EP_WORKING] = 1u << WR_EP_PARKED,
    };

    wr_assert(allowed[op->state] >> state & 1u);
    op->state = state;
}

bool wr_ep_ops_grow(struct wr_ep_ops *ops)
{
    return wr_slab_reserve(&ops->slab, 1) &&
           (wr_ep_ops_ended_max(ops) < ops->ended_room ||
            wr_ep_ops_grow_ended(ops));
}

struct wr_ep_op *wr_ep_ops_new(struct wr_ep_ops *ops,
                               const struct io_uring_sqe *sqe)
{
    struct wr_ep_op *op = wr_slab_take_raw(&ops->slab);

    wr_assert(op);
    wr_assert(wr_ep_ops_ended_max(ops) <= ops->ended_size);
    wr_list_init(&op->link);
    wr_sqe_copy(&op->sqe, sqe);
    op->state = WR_EP_NEW;
    op->told = 0;
    return op;
}

static void ops_resize(struct wr_ep_ops *ops, uint32_t bits)
{
    const uint32_t old_bits = ops->bucket_bits;
    struct wr_ep_op **old = ops->buckets;
    struct wr_ep_op **buckets = ops_new_buckets(ops, bits);

    wr_assert(bits != old_bits);
    if (!buckets) {
        return;
    }
    ops->buckets = buckets;
    ops->bucket_bits = bits;
    for (size_t i = 0; i < (size_t)1 << old_bits; i++) {
        for (struct wr_ep_op *op = old[i]; op;) {
            struct wr_ep_op *next = op->same_hash;
            struct wr_ep_op **bucket = ops_bucket(ops, op->sqe.user_data);
            op->same_hash = *bucket;
            *bucket = op;
            op = next;
        }
    }
    wr_free(ops->allocator, old, ops_bucket_bytes(old_bits));
}

void wr_ep_ops_wait(struct wr_ep_ops *ops, struct wr_ep_op *op,
                    enum wr_ep_state state)
{
    wr_assert(state != WR_EP_NEW);
    const bool is_new = op->state == WR_EP_NEW;
    wr_ep_op_set_state(op, state);
    if (!is_new) {
        return;
    }
    struct wr_ep_op **bucket = ops_bucket(ops, op->sqe.user_data);
    op->same_hash = *bucket;
    *bucket = op;
    ops->waiting_count++;
    if (WR_UNLIKELY(ops->waiting_count >> ops->bucket_bits > 1)) {
        ops_resize(ops, ops->bucket_bits + 1);
    }
}

static size_t ops_table_bytes(const struct wr_ep_ops *ops)
{
    return ops_bucket_bytes(ops->bucket_bits) +
           ops_ended_bytes(ops->ended_size);
}

uint64_t wr_ep_ops_trim(struct wr_ep_ops *ops)
{
    const size_t old_bytes = ops_table_bytes(ops);
    uint32_t bits = BUCKET_BITS_FIRST;
    uint32_t size = ops_ended_size_first(ops);

    while (ops->waiting_count >> bits > 0) {
        bits++;
    }
    if (bits < ops->bucket_bits) {
        ops_resize(ops, bits);
    }
    while (size < wr_ep_ops_ended_max(ops) + ops->entry_room) {
        size *= 2;
    }
    if (size < ops->ended_size) {
        /* without memory the queue stays large */
        wr_ignore(!ops_resize_ended(ops, size));
    }
    wr_assert(ops_table_bytes(ops) <= old_bytes);
    return wr_slab_trim(&ops->slab) + old_bytes - ops_table_bytes(ops);
}

struct wr_ep_op *wr_ep_ops_find(const struct wr_ep_ops *ops, uint64_t user_data)
{
    struct wr_ep_op *op = *ops_bucket(ops, user_data);

    while (op && op->sqe.user_data != user_data) {
        op = op->same_hash;
    }
    wr_assert(!op || op->state != WR_EP_NEW);
    return op;
}

void wr_ep_ops_end(struct wr_ep_ops *ops, struct wr_ep_op *op, int32_t res,
                   uint32_t flags)
{
    wr_assert(!wr_list_is_linked(&op->link));
    wr_assert(op->state != WR_EP_NEW);
    struct wr_ep_op **at = ops_bucket(ops, op->sqe.user_data);

    while (*at != op) {
        wr_assert(*at);
        at = &(*at)->same_hash;
    }
    *at = op->same_hash;
    wr_assert(ops->waiting_count > 0);
    ops->waiting_count--;
    if (res < 0 || !(op->sqe.flags & IOSQE_CQE_SKIP_SUCCESS)) {
        wr_ep_ops_push(ops, &op->sqe, res, flags);
    }
    wr_slab_give(&ops->slab, op);
}

uint32_t wr_ep_ops_reap(struct wr_ep_ops *ops, struct wr_cqe *ret, uint32_t max)
{
    const uint32_t count = ops->ended_count < max ? ops->ended_count : max;

    for (uint32_t i = 0; i < count; i++) {
        ret[i] = ops->ended[(ops->ended_head + i) & (ops->ended_size - 1)];
    }
    ops->ended_count -= count;
    /* An empty queue starts again at index 0, in memory that is in the CPU's
     * cache. */
    ops->ended_head = ops->ended_count > 0 ? ops->ended_head + count : 0;
    wr_assert(wr_ep_ops_ended_max(ops) <= ops->ended_size);
    return count;
}
