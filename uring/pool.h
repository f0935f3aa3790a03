/*
 * The receive pool: memory that the kernel fills and protocols read in place.
 *
 * The pool owns buffers of one size, posts a few of them to the kernel as a
 * ring of provided buffers, and finds the bytes of a completion. With
 * incremental consumption (used from Linux 6.17 on, see feature.h) a receive
 * consumes only the filled part of a 256 KiB buffer, so slices of one buffer
 * belong to different sockets; without it a receive consumes a whole 16 KiB
 * buffer. A buffer is free again when the kernel has used it up *and* every
 * slice was given back:
 *
 *     free --post--> posted --used up--> retired --last slice given--> free
 *      \ \-------> open ----used up-----/
 *       \______________\___________________\______________________> lost
 *
 * The kernel reports the buffer that a receive filled and whether it is used
 * up; the pool counts the bytes of each receive. If the two contradict each
 * other, the owner of the bytes is unknown: the receive fails with
 * WEIR_EBADBUFFER, and the buffer is lost, which means kept until the end and
 * never posted again.
 *
 * Free buffers are a stack: the last one given back is posted first, because it
 * is still in the cache. Few are posted, for the same reason. Receives by a
 * system call (wr_pool_recv()) fill an open buffer bit by bit, and start again
 * at its beginning when all its slices were given back.
 *
 * Leases (lease.h) refer to slices and are charged to accounts. A lease pins
 * its whole buffer. When leases pin a quarter of the buffers the pool is short,
 * and bytes that are kept are copied to blocks, so that leases never pin the
 * last buffer.
 *
 * The pool only counts; budget.h decides how much a connection may hold.
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
    WR_BUF_FREE,    /* on the stack */
    WR_BUF_POSTED,  /* the kernel may write to it beyond offset */
    WR_BUF_OPEN,    /* receives by system calls fill it from offset on */
    WR_BUF_RETIRED, /* used up; leases may be out */
    WR_BUF_LOST,    /* the kernel's reports contradict themselves */
    WR_BUF_STATES,
};

struct wr_pool_buf {
    struct wr_pool_buf *next;
    uint8_t *data;
    uint32_t offset; /* bytes used */
    uint32_t refs;   /* leases that point into it */
    uint16_t id;
    bool is_discarded; /* set by trimming, cleared by posting */
    enum wr_pool_buf_state state;
};

struct wr_account;

/* The account got bytes back and wanted to be notified: it may have credit
 * again, or its owner may be freed. */
typedef void wr_account_released_fn(struct wr_account *account);

/* The account exceeds its limit, as kept bytes are charged with the size of
 * their block. */
typedef void wr_account_over_fn(struct wr_account *account);

struct wr_account_ops {
    wr_account_released_fn *released; /* NULL: it is never to be notified */
    wr_account_over_fn *over;         /* may be NULL */
};

/* The bytes that one connection holds. Embedded in its owner, which lives until
 * lease_count is 0. */
struct wr_account {
    uint64_t held_bytes;
    uint64_t limit_bytes;
    const struct wr_account_ops *ops; /* NULL: it is never called */
    uint32_t lease_count;
    bool notify_released; /* set and cleared by the owner */
};

struct wr_pool {
    struct wr_uring *uring;
    struct wr_pool_buf **bufs; /* indexed by buffer id */
    struct wr_pool_buf *free_list;
    struct wr_pool_buf *open; /* the open buffer, or NULL */
    struct wr_slab leases;
    struct wr_blocks *blocks; /* for bytes that must not pin a buffer */
    uint64_t held_bytes;      /* charged to accounts other than own */
    struct wr_account own;    /* for wr_lease_own(); no limit */
    uint32_t buf_size;
    uint32_t buf_count; /* made so far */
    uint32_t buf_max;   /* for the limit, plus twice the goal */
    int32_t pinnable;   /* how many more may retire; below 0: short */
    uint32_t posted_count;
    uint32_t posted_goal;
    uint32_t lost_count;  /* never posted again */
    uint32_t shared_size; /* buf_size if receives share buffers, else 0 */
    uint64_t copied_bytes;
};

/* Makes a pool whose buffers can hold @limit_bytes besides the posted ones.
 * Copies use @blocks, which must outlive the pool. 0 or a negative error. */
WEIR_MUST_USE int wr_pool_init(struct wr_pool *pool, struct wr_uring *uring,
                               uint64_t limit_bytes, struct wr_blocks *blocks);

/* Frees the pool after the ring was closed. False: leases are out and nothing
 * was freed; call it again later. */
WEIR_MUST_USE bool wr_pool_fini(struct wr_pool *pool);

/* Checks the counts, the states and references of all buffers, and the free
 * stack. */
void wr_pool_check_invariants(const struct wr_pool *pool);

/* Posts free buffers up to the goal; called once a turn. */
void wr_pool_post(struct wr_pool *pool);

/* Gives the pages of free buffers back to the system, and the memory of unused
 * leases to the allocator; returns the bytes of the latter. */
uint64_t wr_pool_trim(struct wr_pool *pool);

static inline uint64_t wr_pool_leases_out(const struct wr_pool *pool)
{
    return pool->leases.used_count;
}

/* True if a receive that is armed now can expect a buffer. */
static inline bool wr_pool_has_posted(const struct wr_pool *pool)
{
    return pool->posted_count > 0;
}

/* True if a buffer can be posted without an allocation. */
static inline bool wr_pool_has_free(const struct wr_pool *pool)
{
    return pool->free_list != NULL;
}

/* True if another buffer may be allocated. */
static inline bool wr_pool_can_grow(const struct wr_pool *pool)
{
    return pool->buf_count < pool->buf_max;
}

/* True if leases pin more than a quarter of the buffers. Then kept bytes are
 * copied: a small slice pins a large buffer, and peers choose the sizes. */
static inline bool wr_pool_is_short(const struct wr_pool *pool)
{
    return pool->pinnable < 0;
}

/* The @res > 0 bytes of a completed receive as a borrowed lease for a callback:
 * one reference, not charged. NULL: the bytes are lost, and
 * wr_pool_lost_error() returns the reason. wr_lease_end_borrow() must follow
 * before the next completion is handled. */
WEIR_MUST_USE weir_lease *wr_pool_borrow(struct wr_pool *pool,
                                         struct wr_account *account,
                                         int32_t res, uint32_t flags);

/* The bytes of a completed receive as a lease with one reference, charged to
 * @account; NULL: the bytes are lost. This or wr_pool_borrow() must be called
 * for every completion with a buffer; for @res <= 0 this gives the buffer back
 * and returns NULL. */
WEIR_MUST_USE weir_lease *wr_pool_receive(struct wr_pool *pool,
                                          struct wr_account *account,
                                          int32_t res, uint32_t flags);

/* wr_sys_recv() or wr_sys_read(). */
typedef int32_t wr_pool_call_fn(int fd, struct iovec *iov, uint32_t count);

/* Receives at most @most bytes of a stream by a system @call, into the open
 * buffer and free ones. Returns the number of bytes; *ret has them in borrowed
 * leases, in order and linked by `next`. End each with wr_lease_end_borrow(),
 * in order; charges happen there. Returns 0 at the end of the stream, -EAGAIN
 * if nothing is there, -ENOBUFS without memory for a buffer, or the error of
 * the call. */
WEIR_MUST_USE int32_t wr_pool_recv(struct wr_pool *pool,
                                   struct wr_account *account,
                                   wr_pool_call_fn *call, int fd, uint32_t most,
                                   weir_lease **ret);

/* The most buffers that one receive fills: 4 MiB, or 256 KiB of plain ones. */
#define WR_ROOM_BUFS 16u

/* Buffers for bytes of a stream, between wr_pool_open_room() and
 * wr_pool_close_room(). */
struct wr_room {
    uint32_t most;
    uint32_t count;
    struct iovec iov[WR_ROOM_BUFS];
    weir_lease *leases[WR_ROOM_BUFS];
};

/* The two halves of wr_pool_recv(), for another system call in between. False:
 * no memory for a buffer. @res: the call's result. */
WEIR_MUST_USE bool wr_pool_open_room(struct wr_pool *pool, struct wr_room *room,
                                     uint32_t most);
WEIR_MUST_USE weir_lease *wr_pool_close_room(struct wr_pool *pool,
                                             struct wr_account *account,
                                             struct wr_room *room, int32_t res);

/* The most datagrams of one system call, and the most buffers for them: 4 MiB,
 * or 256 KiB of plain ones. */
#define WR_SLOTS_MAX  64u
#define WR_SLOTS_BUFS 16u
/* The alignment of slots. */
#define WR_SLOT_ALIGN 64u

/* Buffers for datagrams, between wr_pool_open_slots() and
 * wr_pool_close_slots(). */
struct wr_slots {
    uint32_t count;
    uint32_t used; /* set by the caller: how many slots, from the first on, hold
                    * a datagram */
    uint32_t buf_count;
    struct wr_pool_buf *bufs[WR_SLOTS_BUFS];
    uint32_t ends[WR_SLOTS_BUFS]; /* slots up to the end of each buffer */
    uint8_t *data[WR_SLOTS_MAX];
    uint32_t lens[WR_SLOTS_MAX]; /* set by the caller, not 0 */
};

/* Takes up to @most slots of @stride bytes, a multiple of WR_SLOT_ALIGN, for
 * one system call; fewer if buffers or memory are short. False: not even one;
 * nothing was taken. */
WEIR_MUST_USE bool wr_pool_open_slots(struct wr_pool *pool,
                                      struct wr_slots *slots, uint32_t stride,
                                      uint32_t most);

/* After the system call: returns the used slots in borrowed leases, as
 * wr_pool_recv(); NULL: none. */
WEIR_MUST_USE weir_lease *wr_pool_close_slots(struct wr_pool *pool,
                                              struct wr_account *account,
                                              const struct wr_slots *slots);

/* Why the pool returned NULL for a completion with these @flags:
 * WEIR_EBADBUFFER if they cannot be true, else -ENOMEM. */
int wr_pool_lost_error(const struct wr_pool *pool, uint32_t flags);

/* Makes a retired buffer without references free. */
void wr_pool_free_buf(struct wr_pool *pool, struct wr_pool_buf *buf);

/* Called when a lease has dropped its reference to the buffer. */
static inline void wr_pool_free_if_unused(struct wr_pool *pool,
                                          struct wr_pool_buf *buf)
{
    if (WR_UNLIKELY(buf->state == WR_BUF_RETIRED && buf->refs == 0)) {
        wr_pool_free_buf(pool, buf);
    }
}

#endif
