/*
 * Submitted entries of the poll engine, and its queue of completions.
 *
 *     entry --waits for a descriptor, a time or a worker--> operation
 *       '------------------> completion <---------------------'
 *
 * An entry that can be carried out at once becomes a completion. Any other
 * entry becomes an operation, which keeps a copy of it. The queue of
 * completions has space for all completions of operations, so it cannot
 * overflow, and for as many more as there are prepared entries, which can thus
 * end without memory. Operations are found by their user_data, for cancel
 * requests.
 */
#ifndef WEIR_URING_POLL_OPS_H
#define WEIR_URING_POLL_OPS_H

#include "../jobs.h"
#include "../list.h"
#include "../ring.h"
#include "../slab.h"
#include "../sqe.h"

enum wr_ep_state {
    WR_EP_NEW,
    WR_EP_PARKED, /* waits for a descriptor */
    WR_EP_TIMED,
    WR_EP_WORKING, /* with the workers */
    WR_EP_STATES,
};

struct wr_ep_watch;

struct wr_ep_op {
    union {
        struct {
            struct wr_list link; /* in the list of its state */
            uint64_t due_ns;     /* TIMED */
        };
        struct wr_job job; /* WORKING; it starts with `link` */
    };
    struct wr_ep_op *same_hash;
    int awaited_fd;  /* the descriptor that it may wait for, or -1 */
    int32_t res;     /* set by a worker */
    uint16_t events; /* PARKED: any of these, an error or a hang-up wakes it */
    uint16_t told;   /* multishot poll: the events of its last completion */
    enum wr_ep_state state : 8;
    struct io_uring_sqe sqe; /* only WR_SQE_USED bytes of it; must be last */
};

/* Each idle connection has one. */
#define WR_EP_OP_SIZE (offsetof(struct wr_ep_op, sqe) + WR_SQE_USED)

_Static_assert(offsetof(struct wr_job, link) == 0, "it is wr_ep_op.link");
_Static_assert(WR_EP_OP_SIZE <= 96, "it is small");

struct wr_ep_ops {
    struct wr_slab slab;
    const struct weir_allocator *allocator;
    struct wr_cqe *ended; /* completions, the oldest at ended_head */
    uint32_t ended_size;  /* a power of two */
    uint32_t ended_room;  /* without the slots for prepared entries */
    uint32_t entry_room;  /* the number of these slots */
    uint32_t ended_head;
    uint32_t ended_count;
    uint32_t waiting_count;
    uint32_t bucket_bits;
    struct wr_ep_op **buckets; /* operations by user_data */
};

/* @entries, a power of two, is how many entries are prepared at once. */
WEIR_MUST_USE int wr_ep_ops_init(struct wr_ep_ops *ops,
                                 const struct weir_allocator *allocator,
                                 uint32_t entries);
/* Frees everything. All operations must have ended. */
void wr_ep_ops_fini(struct wr_ep_ops *ops);

/* Frees unused memory. Returns its size in bytes. */
uint64_t wr_ep_ops_trim(struct wr_ep_ops *ops);

void wr_ep_op_set_state(struct wr_ep_op *op, enum wr_ep_state state);

/* Slow paths of wr_ep_ops_reserve() and wr_ep_ops_post(), which allocate. */
WEIR_MUST_USE bool wr_ep_ops_grow(struct wr_ep_ops *ops);
WEIR_MUST_USE bool wr_ep_ops_grow_ended(struct wr_ep_ops *ops);

/* Returns how many completions there may be when all operations have ended. */
static inline uint64_t wr_ep_ops_ended_max(const struct wr_ep_ops *ops)
{
    wr_debug_assert(ops->ended_count <= ops->ended_size);
    return ops->ended_count + ops->slab.used_count;
}

/* Ensures space for one operation and its completion, unless out of memory. */
WEIR_MUST_USE static inline bool wr_ep_ops_reserve(struct wr_ep_ops *ops)
{
    const bool has_room =
        ops->slab.free_list && wr_ep_ops_ended_max(ops) < ops->ended_room;

    return WR_LIKELY(has_room) || wr_ep_ops_grow(ops);
}

/* Returns true if there is space for the completion of a prepared entry, though
 * there is no memory for an operation. */
static inline bool wr_ep_ops_may_end(const struct wr_ep_ops *ops)
{
    wr_debug_assert(ops->ended_room < ops->ended_size);
    return wr_ep_ops_ended_max(ops) < ops->ended_size;
}

/* wr_ep_ops_reserve() must have returned true. */
struct wr_ep_op *wr_ep_ops_new(struct wr_ep_ops *ops,
                               const struct io_uring_sqe *sqe);

/* Makes the operation wait in this state. It can be found from now on. */
void wr_ep_ops_wait(struct wr_ep_ops *ops, struct wr_ep_op *op,
                    enum wr_ep_state state);

/* Returns a waiting operation, or NULL. */
struct wr_ep_op *wr_ep_ops_find(const struct wr_ep_ops *ops,
                                uint64_t user_data);

/* There must be space for the completion. */
static inline void wr_ep_ops_push(struct wr_ep_ops *ops,
                                  const struct io_uring_sqe *sqe, int32_t res,
                                  uint32_t flags)
{
    const uint32_t tail = ops->ended_head + ops->ended_count;

    wr_assert(ops->ended_count < ops->ended_size);
    ops->ended[tail & (ops->ended_size - 1)] = (struct wr_cqe){
        .user_data = sqe->user_data, .res = res, .flags = flags};
    ops->ended_count++;
}

/* Adds a completion, unless the entry wants none. There must be space. */
static inline void wr_ep_ops_complete(struct wr_ep_ops *ops,
                                      const struct io_uring_sqe *sqe,
                                      int32_t res, uint32_t flags)
{
    if (res < 0 || !(sqe->flags & IOSQE_CQE_SKIP_SUCCESS)) {
        wr_debug_assert(wr_ep_ops_ended_max(ops) < ops->ended_size);
        wr_ep_ops_push(ops, sqe, res, flags);
    }
}

/* Ends and frees an operation, which must be in no list. */
void wr_ep_ops_end(struct wr_ep_ops *ops, struct wr_ep_op *op, int32_t res,
                   uint32_t flags);

/* Adds a completion of a multishot entry. Returns false if out of memory. */
WEIR_MUST_USE static inline bool wr_ep_ops_post(struct wr_ep_ops *ops,
                                                const struct io_uring_sqe *sqe,
                                                int32_t res, uint32_t flags)
{
    /* Space for two: the second is the last completion of @sqe. */
    if (WR_UNLIKELY(wr_ep_ops_ended_max(ops) + 2 > ops->ended_room) &&
        !wr_ep_ops_grow_ended(ops)) {
        return false;
    }
    wr_ep_ops_push(ops, sqe, res, flags | IORING_CQE_F_MORE);
    return true;
}

WEIR_MUST_USE uint32_t wr_ep_ops_reap(struct wr_ep_ops *ops, struct wr_cqe *ret,
                                      uint32_t max);

#endif
