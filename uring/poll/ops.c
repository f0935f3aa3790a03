/*
 * Operations of the poll engine: memory, search by user_data, completions.
 *
 * The index is a table of chains that doubles when it is full; without memory
 * it stays as it is, and only gets slower.
 */
#include "ops.h"

#include "../alloc.h"

#include <errno.h>
#include <string.h>

#define BUCKET_BITS_FIRST 6u

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

int wr_ep_ops_init(struct wr_ep_ops *ops,
                   const struct weir_allocator *allocator)
{
    memset(ops, 0, sizeof(*ops));
    ops->allocator = allocator;
    wr_slab_init(&ops->slab, allocator, sizeof(struct wr_ep_op));
    wr_list_init(&ops->ended);
    ops->buckets = ops_new_buckets(ops, BUCKET_BITS_FIRST);
    if (!ops->buckets) {
        return -ENOMEM;
    }
    ops->bucket_bits = BUCKET_BITS_FIRST;
    return 0;
}

void wr_ep_ops_fini(struct wr_ep_ops *ops)
{
    struct wr_list *link;

    wr_assert(ops->waiting_count == 0);
    while ((link = wr_list_pop_front(&ops->ended))) {
        wr_slab_give(&ops->slab, wr_container_of(link, struct wr_ep_op, link));
    }
    wr_slab_fini(&ops->slab);
    if (ops->buckets) {
        wr_free(ops->allocator, ops->buckets,
                ops_bucket_bytes(ops->bucket_bits));
    }
}

void wr_ep_op_set_state(struct wr_ep_op *op, enum wr_ep_state state)
{
    static const uint32_t allowed[WR_EP_STATES] = {
        [WR_EP_NEW] = 1u << WR_EP_PARKED | 1u << WR_EP_TIMED |
                      1u << WR_EP_WORKING | 1u << WR_EP_ENDED,
        [WR_EP_PARKED] = 1u << WR_EP_WORKING | 1u << WR_EP_ENDED,
        [WR_EP_TIMED] = 1u << WR_EP_ENDED,
        [WR_EP_WORKING] = 1u << WR_EP_PARKED | 1u << WR_EP_ENDED,
    };

    wr_assert(allowed[op->state] >> state & 1u);
    op->state = state;
}

struct wr_ep_op *wr_ep_ops_new(struct wr_ep_ops *ops,
                               const struct io_uring_sqe *sqe)
{
    struct wr_ep_op *op = wr_slab_take_raw(&ops->slab);

    if (op) {
        wr_list_init(&op->link);
        op->sqe = *sqe;
        op->state = WR_EP_NEW;
        op->is_begun = false;
        op->events = 0;
        op->told = 0;
        op->flags = 0;
    }
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
    wr_assert(state != WR_EP_ENDED);
    const bool is_new = op->state == WR_EP_NEW;
    wr_ep_op_set_state(op, state);
    if (!is_new) {
        return; /* it is found already */
    }
    struct wr_ep_op **bucket = ops_bucket(ops, op->sqe.user_data);
    op->same_hash = *bucket;
    *bucket = op;
    ops->waiting_count++;
    if (WR_UNLIKELY(ops->waiting_count >> ops->bucket_bits > 1)) {
        ops_resize(ops, ops->bucket_bits + 1);
    }
}

uint64_t wr_ep_ops_trim(struct wr_ep_ops *ops)
{
    const size_t old_bytes = ops_bucket_bytes(ops->bucket_bits);
    uint32_t bits = BUCKET_BITS_FIRST;

    while (ops->waiting_count >> bits > 0) {
        bits++;
    }
    if (bits < ops->bucket_bits) {
        ops_resize(ops, bits);
    }
    wr_assert(ops_bucket_bytes(ops->bucket_bits) <= old_bytes);
    return wr_slab_trim(&ops->slab) + old_bytes -
           ops_bucket_bytes(ops->bucket_bits);
}

struct wr_ep_op *wr_ep_ops_find(const struct wr_ep_ops *ops, uint64_t user_data)
{
    struct wr_ep_op *op = *ops_bucket(ops, user_data);

    while (op && op->sqe.user_data != user_data) {
        op = op->same_hash;
    }
    wr_assert(!op || op->state != WR_EP_ENDED);
    return op;
}

static void ops_unindex(struct wr_ep_ops *ops, struct wr_ep_op *op)
{
    struct wr_ep_op **at = ops_bucket(ops, op->sqe.user_data);

    while (*at != op) {
        wr_assert(*at);
        at = &(*at)->same_hash;
    }
    *at = op->same_hash;
    wr_assert(ops->waiting_count > 0);
    ops->waiting_count--;
}

void wr_ep_ops_end(struct wr_ep_ops *ops, struct wr_ep_op *op, int32_t res,
                   uint32_t flags)
{
    wr_assert(!wr_list_is_linked(&op->link));
    if (op->state != WR_EP_NEW) {
        ops_unindex(ops, op);
    }
    wr_ep_op_set_state(op, WR_EP_ENDED);
    if (res >= 0 && op->sqe.flags & IOSQE_CQE_SKIP_SUCCESS) {
        wr_slab_give(&ops->slab, op);
        return;
    }
    op->res = res;
    op->flags = flags;
    wr_list_push_back(&ops->ended, &op->link);
    ops->ended_count++;
}

bool wr_ep_ops_post(struct wr_ep_ops *ops, const struct wr_ep_op *op,
                    int32_t res, uint32_t flags)
{
    struct wr_ep_op *shot = wr_ep_ops_new(ops, &op->sqe);

    wr_assert(op->state == WR_EP_NEW || op->state == WR_EP_PARKED);
    if (!shot) {
        return false;
    }
    wr_ep_ops_end(ops, shot, res, flags | IORING_CQE_F_MORE);
    return true;
}

uint32_t wr_ep_ops_reap(struct wr_ep_ops *ops, struct wr_cqe *ret, uint32_t max)
{
    uint32_t count = 0;

    while (count < max && ops->ended_count > 0) {
        struct wr_list *link = wr_list_pop_front(&ops->ended);
        wr_assert(link);
        struct wr_ep_op *op = wr_container_of(link, struct wr_ep_op, link);
        ret[count++] = (struct wr_cqe){
            .user_data = op->sqe.user_data,
            .res = op->res,
            .flags = op->flags,
        };
        ops->ended_count--;
        wr_slab_give(&ops->slab, op);
    }
    return count;
}
