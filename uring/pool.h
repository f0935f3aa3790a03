/*
 * The receive pool: memory that the kernel fills and protocols read in place.
 *
 * The pool owns buffers of one size and posts a few of them to the kernel as a
 * ring of provided buffers. With incremental consumption (feature.h) a receive
 * consumes only the filled part of a 256 KiB buffer, so slices of one buffer
 * belong to different sockets. Otherwise a receive consumes a whole 16 KiB
 * buffer. A buffer is free again when it is used up and every slice was
 * released:
 *
 *     free --post--> posted --used up--> retired --last slice released--> free
 *       '-----------> open --used up-------^
 *                      '--no slice left--> free
 *     any of these --the kernel contradicts the pool--> lost
 *
 * The kernel reports which buffer a receive filled and whether it is used up;
 * the pool counts the bytes of each receive. If the two contradict each other,
 * the owner of the bytes is unknown. The receive then fails with
 * WEIR_EBADBUFFER, and the lost buffer is never posted again.
 *
 * Free buffers are a stack, because the buffer that was freed last is still in
 * the CPU's cache. A receive with a system call (wr_pool_recv()) fills the open
 * buffer from `offset` on, and from its start if no slice of it is left.
 *
 * A lease (lease.h) pins its whole buffer, and peers choose the sizes of
 * slices. When leases pin more than a quarter of the buffers, the pool is
 * short: kept bytes are then copied to blocks. The pool only counts; budget.h
 * decides how much a connection may hold.
 */
#ifndef WEIR_URING_POOL_H
#define WEIR_URING_POOL_H

#include "../include/weir/buffer.h"
#include "block.h"
#include "op.h"
#include "slab.h"

#include <stdint.h>

#define WR_POOL_INC_SIZE     (256u << 10)
#define WR_POOL_PLAIN_SIZE   (16u << 10)
#define WR_POOL_RING_ENTRIES 256u

enum wr_pool_buf_state {
    WR_BUF_FREE,
    WR_BUF_POSTED,  /* the kernel may write to it from `offset` on */
    WR_BUF_OPEN,    /* filled by system calls from `offset` on */
    WR_BUF_RETIRED, /* used up; leases may point into it */
    WR_BUF_LOST,    /* the kernel's reports contradict each other */
    WR_BUF_STATES,
};

struct wr_pool_buf {
    struct wr_pool_buf *next;
    uint8_t *data;
    uint32_t offset;
    uint32_t refs;
    uint16_t id;
    /* set by wr_pool_trim(), cleared when the buffer is taken */
    bool is_discarded;
    enum wr_pool_buf_state state;
};

struct wr_account;

/* Called when bytes of the account were released while notify_released was set.
 * The account may have receive window again, or its owner may be freed. */
typedef void wr_account_released_fn(struct wr_account *account);

/* Called when the account exceeds its limit. This can happen because a kept
 * lease is charged with the size of its block. */
typedef void wr_account_over_fn(struct wr_account *account);

struct wr_account_ops {
    wr_account_released_fn *released; /* NULL if notify_released is never set */
    wr_account_over_fn *over;         /* may be NULL */
};

/* Counts the bytes that one connection holds. Embedded in its owner, which must
 * live until lease_count is 0. */
struct wr_account {
    uint64_t held_bytes;
    uint64_t limit_bytes;
    const struct wr_account_ops *ops; /* may be NULL */
    uint32_t lease_count;
    bool notify_released; /* set and cleared by the account's owner */
};

struct wr_pool {
    struct wr_uring *uring;
    struct wr_pool_buf **bufs;
    struct wr_pool_buf *free_list;
    struct wr_pool_buf *open;
    struct wr_slab leases;
    struct wr_blocks *blocks;
    uint64_t held_bytes;   /* charged to accounts other than `own` */
    struct wr_account own; /* account of wr_lease_own(), without a limit */
    uint32_t buf_size;
    uint32_t buf_count;
    uint32_t buf_max; /* buffers for the limit, plus twice posted_goal */
    /* number of buffers that may still retire; negative if the pool is short */
    int32_t pinnable;
    uint32_t posted_count;
    uint32_t posted_goal;
    uint32_t lost_count;
    uint32_t shared_size; /* buf_size if receives share buffers, else 0 */
    uint64_t copied_bytes;
};

/* Makes a pool whose buffers can hold @limit_bytes besides the posted buffers.
 * Returns 0 or a negative error. @blocks must outlive the pool. */
WEIR_MUST_USE int wr_pool_init(struct wr_pool *pool, struct wr_uring *uring,
                               uint64_t limit_bytes, struct wr_blocks *blocks);

/* Frees the pool. The ring must be closed. Returns false if leases are left:
 * nothing was freed, and the caller must call again later. */
WEIR_MUST_USE bool wr_pool_fini(struct wr_pool *pool);

void wr_pool_check_invariants(const struct wr_pool *pool);

/* Posts free buffers up to the goal. Called once per loop iteration. */
void wr_pool_post(struct wr_pool *pool);

/* Returns the pages of free buffers to the system, and unused leases to the
 * allocator. Returns the number of bytes of these leases. */
uint64_t wr_pool_trim(struct wr_pool *pool);

static inline uint64_t wr_pool_leases_out(const struct wr_pool *pool)
{
    return pool->leases.used_count;
}

/* Returns true if a receive that is armed now can expect a buffer. */
static inline bool wr_pool_has_posted(const struct wr_pool *pool)
{
    return pool->posted_count > 0;
}

static inline bool wr_pool_has_free(const struct wr_pool *pool)
{
    return pool->free_list != NULL;
}

static inline bool wr_pool_can_grow(const struct wr_pool *pool)
{
    return pool->buf_count < pool->buf_max;
}

/* Returns true if leases pin more than a quarter of the buffers. */
static inline bool wr_pool_is_short(const struct wr_pool *pool)
{
    return pool->pinnable < 0;
}

/* Returns the @res > 0 bytes of a completed receive as a borrowed lease, which
 * has one reference and is not charged. Returns NULL if the bytes are lost;
 * wr_pool_lost_error() returns the reason. The caller must call
 * wr_lease_end_borrow() before it handles the next completion. */
WEIR_MUST_USE weir_lease *wr_pool_borrow(struct wr_pool *pool,
                                         struct wr_account *account,
                                         int32_t res, uint32_t flags);

/* Returns the bytes of a completed receive as a lease with one reference,
 * charged to @account, or NULL if the bytes are lost. If @res <= 0, returns the
 * buffer to the pool, and NULL. Every completion with a buffer must be passed
 * to this function or wr_pool_borrow(). */
WEIR_MUST_USE weir_lease *wr_pool_receive(struct wr_pool *pool,
                                          struct wr_account *account,
                                          int32_t res, uint32_t flags);

/* Type of wr_sys_recv() and wr_sys_read(). */
typedef int32_t wr_pool_call_fn(int fd, struct iovec *iov, uint32_t count);

/* Receives at most @most bytes of a stream with @call, into the open buffer and
 * free buffers. Returns their number, and sets *ret to borrowed leases, in
 * order and linked by `next`. The caller must pass each to
 * wr_lease_end_borrow(), in order. Returns 0 at the end of the stream, -EAGAIN
 * if there are no bytes, -ENOBUFS without memory for a buffer, or the error of
 * the call. */
WEIR_MUST_USE int32_t wr_pool_recv(struct wr_pool *pool,
                                   struct wr_account *account,
                                   wr_pool_call_fn *call, int fd, uint32_t most,
                                   weir_lease **ret);

/* Maximum number of buffers of one receive: 4 MiB, or 256 KiB if plain. */
#define WR_ROOM_BUFS 16u

struct wr_room {
    uint32_t most;
    uint32_t count;
    struct iovec iov[WR_ROOM_BUFS];
    weir_lease *leases[WR_ROOM_BUFS];
};

/* The two halves of wr_pool_recv(), for a caller that makes the system call
 * itself. wr_pool_open_room() returns false if out of memory. @res is the
 * call's result. */
WEIR_MUST_USE bool wr_pool_open_room(struct wr_pool *pool, struct wr_room *room,
                                     uint32_t most);
WEIR_MUST_USE weir_lease *wr_pool_close_room(struct wr_pool *pool,
                                             struct wr_account *account,
                                             struct wr_room *room, int32_t res);

/* Maximum numbers of datagrams and of buffers in one system call. */
#define WR_SLOTS_MAX  64u
#define WR_SLOTS_BUFS 16u
#define WR_SLOT_ALIGN 64u

struct wr_slots {
    uint32_t count;
    /* number of slots with a datagram, from the first; set by the caller */
    uint32_t used;
    uint32_t buf_count;
    struct wr_pool_buf *bufs[WR_SLOTS_BUFS];
    /* number of slots up to the end of each buffer */
    uint32_t ends[WR_SLOTS_BUFS];
    uint8_t *data[WR_SLOTS_MAX];
    uint32_t lens[WR_SLOTS_MAX]; /* set by the caller, not 0 */
};

/* Takes up to @most slots of @stride bytes, a multiple of WR_SLOT_ALIGN, or
 * fewer if buffers or memory are short. Returns false if there is no slot. */
WEIR_MUST_USE bool wr_pool_open_slots(struct wr_pool *pool,
                                      struct wr_slots *slots, uint32_t stride,
                                      uint32_t most);

/* Returns the used slots as borrowed leases, like wr_pool_recv(), or NULL if no
 * slot is used. */
WEIR_MUST_USE weir_lease *wr_pool_close_slots(struct wr_pool *pool,
                                              struct wr_account *account,
                                              const struct wr_slots *slots);

/* Returns why the pool returned NULL for a completion with these @flags:
 * WEIR_EBADBUFFER if the flags contradict the pool's counts, else -ENOMEM. */
int wr_pool_lost_error(const struct wr_pool *pool, uint32_t flags);

void wr_pool_free_buf(struct wr_pool *pool, struct wr_pool_buf *buf);

static inline void wr_pool_free_if_unused(struct wr_pool *pool,
                                          struct wr_pool_buf *buf)
{
    if (WR_UNLIKELY(buf->state == WR_BUF_RETIRED && buf->refs == 0)) {
        wr_pool_free_buf(pool, buf);
    }
}

#endif
