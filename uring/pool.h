/*
 * The receive pool: memory that the kernel fills and protocols read in place.
 *
 * The pool owns buffers of one size, posts a few of them to the kernel as a
 * ring of provided buffers, and finds the bytes that a completion speaks of.
 * With incremental consumption (used from Linux 6.17 on, see feature.h) each
 * receive takes what it fills of a 256 KiB buffer, so the slices of one buffer
 * belong to different sockets; without it each takes a whole 16 KiB buffer. A
 * buffer is free again when the kernel has used it up *and* every slice was
 * given back:
 *
 *     free --post--> posted --used up--> retired --last slice given--> free
 *      \ \-------> open ----used up-----/
 *       \______________\___________________\______________________> lost
 *
 * The kernel says which buffer a receive filled and whether it is used up; the
 * pool counts how many bytes each receive took. Where the two cannot both be
 * right it is not known whose the bytes are: the receive fails with
 * WEIR_EBADBUFFER, and the buffer is lost, kept until the end and never posted
 * again.
 *
 * Free buffers are a stack: the last one given back is posted first, because
 * it is still in the cache. Few are posted, for the same reason. Receives by a
 * system call (wr_pool_recv()) fill an open buffer bit by bit, and begin at its
 * start again when all its slices were given back.
 *
 * Leases (lease.h) refer to slices and are charged to accounts. A lease pins
 * its whole buffer, and the buffers that all leases pin are bounded together:
 * when a quarter of the buffers are pinned the pool is short, and bytes that
 * are kept from then on are copied to blocks. So leases never take the last
 * buffer.
 *
 * How much each connection may hold is not decided here: the pool only counts.
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
    WR_BUF_LOST,    /* what the kernel says of it cannot be true */
    WR_BUF_STATES,
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

/* The account got bytes back and had asked to be told: it may have credit
 * again, or its owner may be needed no longer. */
typedef void wr_account_released_fn(struct wr_account *account);

/* Kept bytes cost more than they are, and so more than the account's credit: it
 * holds more than its limit now. */
typedef void wr_account_over_fn(struct wr_account *account);

/* How much one connection holds of the pool. Embedded in its owner, which lives
 * until lease_count is 0. */
struct wr_account {
    uint64_t held_bytes;
    uint64_t limit_bytes;
    uint32_t lease_count;
    bool notify_released; /* set and cleared by the owner */
    wr_account_released_fn *released;
    wr_account_over_fn *over; /* may be NULL */
};

struct wr_pool {
    struct wr_uring *uring;
    struct wr_pool_buf **bufs; /* by buffer id */
    struct wr_pool_buf *free_list;
    struct wr_pool_buf *open; /* the open buffer; NULL: there is none */
    struct wr_slab leases;
    struct wr_blocks *blocks; /* for the bytes that must not pin a buffer */
    uint64_t held_bytes;      /* charged to accounts other than own */
    struct wr_account own;    /* of wr_lease_own(), without a limit */
    uint32_t buf_size;
    uint32_t buf_count; /* made so far */
    uint32_t buf_max;   /* for the limit, and twice the posted ones */
    int32_t pinnable;   /* how many more may be retired; below 0: short */
    uint32_t posted_count;
    uint32_t posted_goal;
    uint32_t lost_count;  /* never posted again; the kernel may use them */
    uint32_t shared_size; /* buf_size if receives share buffers, else 0 */
    uint64_t copied_bytes;
};

/* A pool whose buffers hold @limit_bytes besides those that are posted. Memory
 * for copies comes from @blocks, which must outlive the pool. 0 or a negative
 * error. */
WEIR_MUST_USE int wr_pool_init(struct wr_pool *pool, struct wr_uring *uring,
                               uint64_t limit_bytes, struct wr_blocks *blocks);

/* Frees the pool; the kernel uses its ring no more. While leases are out false
 * is returned and nothing freed: to be called again when they are back. */
WEIR_MUST_USE bool wr_pool_fini(struct wr_pool *pool);

/* The pool as a whole: its counts, the states and references of its buffers and
 * the stack of free ones. */
void wr_pool_check_invariants(const struct wr_pool *pool);

/* Posts free buffers up to the goal; called once a turn. */
void wr_pool_post(struct wr_pool *pool);

/* Gives the pages of free buffers back to the system, and leases' memory that
 * is not in use to the allocator; returns the bytes of the latter. */
uint64_t wr_pool_trim(struct wr_pool *pool);

static inline uint64_t wr_pool_leases_out(const struct wr_pool *pool)
{
    return pool->leases.used_count;
}

/* True when a receive that is armed now can expect a buffer. */
static inline bool wr_pool_has_posted(const struct wr_pool *pool)
{
    return pool->posted_count > 0;
}

/* True when a buffer can be posted without memory for another one. */
static inline bool wr_pool_has_free(const struct wr_pool *pool)
{
    return pool->free_list != NULL;
}

/* True when another buffer can be made, if there is memory. */
static inline bool wr_pool_can_grow(const struct wr_pool *pool)
{
    return pool->buf_count < pool->buf_max;
}

/* True when leases pin more than a quarter of the buffers. Then bytes are
 * copied before they pin more: a small slice pins a large buffer, and peers
 * choose the sizes. */
static inline bool wr_pool_is_short(const struct wr_pool *pool)
{
    return pool->pinnable < 0;
}

/* The bytes of a completed receive, @res > 0 of them, as a lease for the time
 * of a callback: one reference, not charged yet. NULL when the bytes are lost,
 * and wr_pool_lost_error() says why. wr_lease_end_borrow() follows before the
 * next completion is handled. */
WEIR_MUST_USE weir_lease *wr_pool_borrow(struct wr_pool *pool,
                                         struct wr_account *account,
                                         int32_t res, uint32_t flags);

/* The bytes of a completed receive as a lease with one reference, charged to
 * @account; NULL when they are lost. Must be called for every completion that
 * carries a buffer; @res <= 0 with a buffer gives the buffer back and returns
 * NULL. */
WEIR_MUST_USE weir_lease *wr_pool_receive(struct wr_pool *pool,
                                          struct wr_account *account,
                                          int32_t res, uint32_t flags);

/* wr_sys_recv() or wr_sys_read(). */
typedef int32_t wr_pool_call_fn(int fd, struct iovec *iov, uint32_t count);

/* Receives what a stream has now, at most @most bytes, by a system @call, into
 * the open buffer and free ones. Returns how many bytes came; *ret has them in
 * borrowed leases, in order and linked by their `next`. Each of them is ended
 * like that of wr_pool_borrow(), one after the other, and none is charged
 * before. Or returns 0 at the end of the stream, -EAGAIN when nothing is there,
 * -ENOBUFS without memory for a buffer, or the error of the call. */
WEIR_MUST_USE int32_t wr_pool_recv(struct wr_pool *pool,
                                   struct wr_account *account,
                                   wr_pool_call_fn *call, int fd, uint32_t most,
                                   weir_lease **ret);

/* Buffers that one receive fills at most: 1 MiB, or 256 KiB of plain ones. */
#define WR_ROOM_BUFS 16u

/* Room for bytes of a stream, between wr_pool_open_room() and
 * wr_pool_close_room(). */
struct wr_room {
    uint32_t most;
    uint32_t count;
    struct iovec iov[WR_ROOM_BUFS];
    weir_lease *leases[WR_ROOM_BUFS];
};

/* The two halves of wr_pool_recv(), for another system call in between: false
 * without memory for a buffer, then that call's result. */
WEIR_MUST_USE bool wr_pool_open_room(struct wr_pool *pool, struct wr_room *room,
                                     uint32_t most);
WEIR_MUST_USE weir_lease *wr_pool_close_room(struct wr_pool *pool,
                                             struct wr_account *account,
                                             struct wr_room *room, int32_t res);

/* Datagrams that one system call receives at most, and the buffers that they
 * lie in at most: 1 MiB, or 256 KiB of plain ones. */
#define WR_SLOTS_MAX  64u
#define WR_SLOTS_BUFS 16u
/* Slots begin at multiples of it. */
#define WR_SLOT_ALIGN 64u

/* Room for datagrams, between wr_pool_open_slots() and wr_pool_close_slots().
 */
struct wr_slots {
    uint32_t count;
    uint32_t used; /* set by the caller: slots, from the first on, that hold a
                    * datagram */
    uint32_t buf_count;
    struct wr_pool_buf *bufs[WR_SLOTS_BUFS];
    uint32_t ends[WR_SLOTS_BUFS]; /* slots in a buffer and those before it */
    uint8_t *data[WR_SLOTS_MAX];
    uint32_t lens[WR_SLOTS_MAX]; /* set by the caller: bytes used, not 0 */
};

/* Takes room for up to @most slots of @stride bytes, a multiple of
 * WR_SLOT_ALIGN, for one system call: fewer where buffers or memory are short.
 * False, and nothing was taken, without room for one. */
WEIR_MUST_USE bool wr_pool_open_slots(struct wr_pool *pool,
                                      struct wr_slots *slots, uint32_t stride,
                                      uint32_t most);

/* The system call is over. Returns the used slots in borrowed leases, as
 * wr_pool_recv() does; NULL when none is used. */
WEIR_MUST_USE weir_lease *wr_pool_close_slots(struct wr_pool *pool,
                                              struct wr_account *account,
                                              const struct wr_slots *slots);

/* Why the pool returned NULL for a completion with these @flags: because they
 * cannot be true, WEIR_EBADBUFFER, or -ENOMEM. */
int wr_pool_lost_error(const struct wr_pool *pool, uint32_t flags);

/* A retired buffer without references becomes free. */
void wr_pool_free_buf(struct wr_pool *pool, struct wr_pool_buf *buf);

/* A lease gave up its reference to the buffer. */
static inline void wr_pool_free_if_unused(struct wr_pool *pool,
                                          struct wr_pool_buf *buf)
{
    if (WR_UNLIKELY(buf->state == WR_BUF_RETIRED && buf->refs == 0)) {
        wr_pool_free_buf(pool, buf);
    }
}

#endif
