/*
 * The ring of the poll engine, for the files of this folder.
 *
 * Each of ops.c, interest.c, buffers.c and workers.c has its own state.
 * issue.c, cancel.c and ring.c move operations between them.
 */
#ifndef WEIR_URING_POLL_POLL_IMPL_H
#define WEIR_URING_POLL_POLL_IMPL_H

#include "../../include/weir/base.h"
#include "../check.h"
#include "../engine.h"
#include "../jobs.h"
#include "../list.h"
#include "../ring.h"
#include "../slab.h"
#include "../sqe.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/*
 * Submitted entries of the poll engine, and its queue of completions.
 *
 *     entry --waits for a descriptor, a time or a worker--> operation
 *       '------------------> completion <---------------------'
 *
 * An entry that must wait becomes an operation, which keeps a copy of it. The
 * queue of completions has space for the completions of all operations, so it
 * cannot overflow, and for one more per prepared entry, so that an entry can
 * end when memory has run out.
 */

enum wr_ep_state {
    WR_EP_NEW,
    WR_EP_PARKED,
    WR_EP_TIMED,
    WR_EP_WORKING,
    WR_EP_STATES,
};

struct wr_ep_watch;

struct wr_ep_op {
    union {
        struct {
            struct wr_list link;
            uint64_t due_ns;
        };
        struct wr_job job; /* for state WORKING; its first field is `link` */
    };
    struct wr_ep_op *same_hash;
    int awaited_fd; /* the descriptor that the operation may wait for, or -1 */
    int32_t res;
    /* in state PARKED: events that wake it, besides errors and hang-ups */
    uint16_t events;
    uint16_t told; /* multishot poll: the events of its last completion */
    enum wr_ep_state state : 8;
    /* only the first WR_SQE_USED bytes exist; must be last */
    struct io_uring_sqe sqe;
};

/* Small, because each idle connection has an operation. */
#define WR_EP_OP_SIZE (offsetof(struct wr_ep_op, sqe) + WR_SQE_USED)

_Static_assert(offsetof(struct wr_job, link) == 0, "it is wr_ep_op.link");
_Static_assert(WR_EP_OP_SIZE <= 96, "it is small");

struct wr_ep_ops {
    struct wr_slab slab;
    const struct weir_allocator *allocator;
    struct wr_cqe *ended; /* completions, the oldest at ended_head */
    uint32_t ended_size;
    uint32_t ended_room; /* slots, except those for prepared entries */
    uint32_t entry_room; /* number of slots for prepared entries */
    uint32_t ended_head;
    uint32_t ended_count;
    uint32_t waiting_count;
    uint32_t bucket_bits;
    struct wr_ep_op **buckets;
};

/* @entries, a power of two, is the maximum number of prepared entries. Returns
 * 0 or -ENOMEM. */
WEIR_MUST_USE int wr_ep_ops_init(struct wr_ep_ops *ops,
                                 const struct weir_allocator *allocator,
                                 uint32_t entries);
void wr_ep_ops_fini(struct wr_ep_ops *ops);

uint64_t wr_ep_ops_trim(struct wr_ep_ops *ops);

void wr_ep_op_set_state(struct wr_ep_op *op, enum wr_ep_state state);

/* Slow paths of wr_ep_ops_reserve() and wr_ep_ops_post(), which allocate. */
WEIR_MUST_USE bool wr_ep_ops_grow(struct wr_ep_ops *ops);
WEIR_MUST_USE bool wr_ep_ops_grow_ended(struct wr_ep_ops *ops);

/* Returns the number of completions if all operations ended now. */
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

/* Returns true if a prepared entry can complete without an operation. */
static inline bool wr_ep_ops_may_end(const struct wr_ep_ops *ops)
{
    wr_debug_assert(ops->ended_room < ops->ended_size);
    return wr_ep_ops_ended_max(ops) < ops->ended_size;
}

/* wr_ep_ops_reserve() must have returned true. */
struct wr_ep_op *wr_ep_ops_new(struct wr_ep_ops *ops,
                               const struct io_uring_sqe *sqe);

/* Puts the operation in @state, and a new operation in the hash table. */
void wr_ep_ops_wait(struct wr_ep_ops *ops, struct wr_ep_op *op,
                    enum wr_ep_state state);

struct wr_ep_op *wr_ep_ops_find(const struct wr_ep_ops *ops,
                                uint64_t user_data);

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

/* Adds a completion, unless the entry wants none for success. */
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

WEIR_MUST_USE static inline bool wr_ep_ops_post(struct wr_ep_ops *ops,
                                                const struct io_uring_sqe *sqe,
                                                int32_t res, uint32_t flags)
{
    /* Needs space for two: the other is for the last completion of @sqe. */
    if (WR_UNLIKELY(wr_ep_ops_ended_max(ops) + 2 > ops->ended_room) &&
        !wr_ep_ops_grow_ended(ops)) {
        return false;
    }
    wr_ep_ops_push(ops, sqe, res, flags | IORING_CQE_F_MORE);
    return true;
}

WEIR_MUST_USE uint32_t wr_ep_ops_reap(struct wr_ep_ops *ops, struct wr_cqe *ret,
                                      uint32_t max);

/*
 * Provided buffers, the oldest first. A receive removes the first buffer, or
 * only the part that it filled if buffers are incremental. Receives see added
 * buffers after a commit.
 */

struct wr_ep_buffer {
    uint8_t *data;
    uint32_t len;
    uint16_t id;
};

struct wr_ep_buffers {
    struct wr_ep_buffer *ring;
    uint32_t entries;
    uint32_t head;
    uint32_t tail;   /* index after the last buffer that receives see */
    uint32_t staged; /* index after the last buffer, committed or not */
    bool incremental;
};

WEIR_MUST_USE int wr_ep_buffers_open(struct wr_ep_buffers *buffers,
                                     const struct weir_allocator *allocator,
                                     uint32_t entries, bool incremental);
void wr_ep_buffers_close(struct wr_ep_buffers *buffers,
                         const struct weir_allocator *allocator);

void wr_ep_buffers_add(struct wr_ep_buffers *buffers,
                       const struct wr_ep_buffer *buffer);
void wr_ep_buffers_commit(struct wr_ep_buffers *buffers);

static inline const struct wr_ep_buffer *
wr_ep_buffers_first(const struct wr_ep_buffers *buffers)
{
    wr_debug_assert(buffers->tail - buffers->head <= buffers->entries);
    return buffers->head == buffers->tail
               ? NULL
               : &buffers->ring[buffers->head & (buffers->entries - 1)];
}

/* Consumes @len bytes of the next buffer. Returns the completion's flags. */
static inline uint32_t wr_ep_buffers_take(struct wr_ep_buffers *buffers,
                                          uint32_t len)
{
    struct wr_ep_buffer *first =
        &buffers->ring[buffers->head & (buffers->entries - 1)];
    const uint32_t flags = IORING_CQE_F_BUFFER | (uint32_t)first->id
                                                     << IORING_CQE_BUFFER_SHIFT;

    wr_debug_assert(wr_ep_buffers_first(buffers) == first);
    wr_assert(len <= first->len);
    if (buffers->incremental && len < first->len) {
        first->data += len;
        first->len -= len;
        return flags | IORING_CQE_F_BUF_MORE;
    }
    buffers->head++;
    return flags;
}

/*
 * Descriptors that operations wait for, and the epoll set.
 *
 * Each descriptor has a watch: the operations that wait for it, and its events
 * in the set. The set is level-triggered and is changed once before a wait, so
 * a receive that is armed again in the loop iteration of its completion costs
 * no system call. A watch without operations leaves the set before the next
 * wait, because its descriptor may be closed, and its number used again,
 * unnoticed. Closes of weir's stream sockets are noticed, so these stay until
 * the set reports an event that no operation waits for, unless a host waits for
 * the set.
 *
 * If another process or descriptor has the same file, the set continues to
 * report a closed descriptor. A new set then replaces the old one, and from
 * then on descriptors leave the set before they are closed. While no new set
 * can be made, the old set is called at most once in a millisecond. A set that
 * a host waits for cannot be replaced, so descriptors always leave it before
 * they are closed.
 */

#define WR_EP_CHUNK_WATCHES 64u
/* Maximum number of events of one wait. The kernel reports further ready
 * descriptors in turn. */
#define WR_EP_EVENTS_MAX 1024u
/* Flag in an event: the watch had is_own when it entered the set. */
#define WR_EP_EVENT_OWN 0x80000000u

struct wr_ep_watch {
    struct wr_list ops;
    struct wr_list changed;
    int fd;
    uint32_t registered; /* events in the set, with EPOLLET, or 0 */
    uint32_t generation; /* number of times that the watch entered the set */
    uint8_t vain_count;
    bool is_own : 1;       /* a stream socket of weir */
    bool is_connector : 1; /* weir connected the socket */
    /* an operation was parked, or an edge-triggered event completed one */
    bool is_fresh : 1;
    /* the set may report events that no operation waits for */
    bool is_overheard : 1;
    bool is_drained : 1; /* receives wait until the set reports bytes */
};

_Static_assert(sizeof(struct wr_ep_watch) <= 48, "each descriptor has one");

struct wr_ep_interest {
    int epfd;
    int own_fd; /* the eventfd of the ring's workers */
    const struct weir_allocator *allocator;
    struct wr_ep_watch **chunks;
    uint32_t chunk_count;
    struct wr_list changed;
    bool has_no_pwait2;
    bool removes; /* descriptors leave the set before they are closed */
    bool is_shared;
    bool has_leftover; /* the set may report files that were closed here */
    bool is_new;       /* no watch has changed since the last wait */
    uint32_t event_next;
    uint32_t event_count;
    struct epoll_event events[WR_EP_EVENTS_MAX];
};

/* @own_fd is an eventfd of the ring, which stays in the set. */
WEIR_MUST_USE int wr_ep_interest_open(struct wr_ep_interest *interest,
                                      const struct weir_allocator *allocator,
                                      int own_fd);
void wr_ep_interest_close(struct wr_ep_interest *interest);

/* Returns NULL if the descriptor was never watched. A watch never moves. */
static inline struct wr_ep_watch *
wr_ep_watch_find(const struct wr_ep_interest *interest, int fd)
{
    const uint32_t index = (uint32_t)fd / WR_EP_CHUNK_WATCHES;

    wr_assert(fd >= 0);
    if (index >= interest->chunk_count || !interest->chunks[index]) {
        return NULL;
    }
    return &interest->chunks[index][(uint32_t)fd % WR_EP_CHUNK_WATCHES];
}

/* Returns NULL if out of memory. The descriptor must have no watch. */
WEIR_MUST_USE struct wr_ep_watch *
wr_ep_watch_add(struct wr_ep_interest *interest, int fd);

static inline struct wr_ep_watch *
wr_ep_watch_get(struct wr_ep_interest *interest, int fd)
{
    struct wr_ep_watch *watch = wr_ep_watch_find(interest, fd);

    return WR_LIKELY(watch) ? watch : wr_ep_watch_add(interest, fd);
}

static inline uint32_t wr_ep_interest_fds(const struct wr_ep_interest *interest)
{
    return interest->chunk_count * WR_EP_CHUNK_WATCHES;
}

/* Duplicates the set's descriptor for a host. Returns it, or a negative error.
 * Call wr_ep_interest_apply() afterwards: the set may be a new one. */
WEIR_MUST_USE int wr_ep_interest_share(struct wr_ep_interest *interest);

void wr_ep_watch_park(struct wr_ep_interest *interest,
                      struct wr_ep_watch *watch, struct wr_ep_op *op);
void wr_ep_watch_leave(struct wr_ep_interest *interest,
                       struct wr_ep_watch *watch, struct wr_ep_op *op);
/* Called when the descriptor moves to another ring or is closed without
 * wr_ep_watch_close(). No operation may wait for it. */
void wr_ep_watch_forget(struct wr_ep_interest *interest,
                        struct wr_ep_watch *watch);
/* Called before the descriptor is closed. No operation may wait for it. */
void wr_ep_watch_close(struct wr_ep_interest *interest,
                       struct wr_ep_watch *watch);
void wr_ep_watch_note_slowly(struct wr_ep_interest *interest,
                             struct wr_ep_watch *watch, bool was_useful,
                             bool was_wanted);

/* Counts an event. @was_useful is true if the event completed something,
 * @was_wanted if an operation waited for the event. */
static inline void wr_ep_watch_note(struct wr_ep_interest *interest,
                                    struct wr_ep_watch *watch, bool was_useful,
                                    bool was_wanted)
{
    wr_assert(was_wanted || !was_useful);
    if (WR_LIKELY(was_useful && !(watch->registered & (uint32_t)EPOLLET))) {
        watch->vain_count = 0;
    } else {
        wr_ep_watch_note_slowly(interest, watch, was_useful, was_wanted);
    }
}

/* Applies changes to the set. Returns NULL when all are applied. If the set
 * refuses a watch, returns it and sets *ret_err; -EPERM means that the file is
 * always ready. The caller then ends or moves its operations, and calls
 * again. */
WEIR_MUST_USE struct wr_ep_watch *
wr_ep_interest_apply(struct wr_ep_interest *interest, int *ret_err);

/* Returns true if a seccomp filter refuses all changes of the set. */
WEIR_MUST_USE bool
wr_ep_interest_is_refused(const struct wr_ep_interest *interest);

/* Returns the number of events or an error. All earlier events were handled. */
WEIR_MUST_USE int wr_ep_interest_wait(struct wr_ep_interest *interest,
                                      uint64_t timeout_ns);
void wr_ep_interest_note_leftover(struct wr_ep_interest *interest);

/* Returns NULL if the event's descriptor has left the set. */
static inline struct wr_ep_watch *
wr_ep_interest_event(struct wr_ep_interest *interest, uint32_t index,
                     uint32_t *ret_events)
{
    const struct epoll_event *event = &interest->events[index];
    const uint64_t data = event->data.u64;
    struct wr_ep_watch *watch =
        wr_ep_watch_find(interest, (int)((uint32_t)data & ~WR_EP_EVENT_OWN));

    wr_assert(watch);
    *ret_events = event->events;
    if (WR_LIKELY(watch->registered != 0 &&
                  watch->generation == (uint32_t)(data >> 32))) {
        return watch;
    }
    wr_ep_interest_note_leftover(interest);
    return NULL;
}

static inline bool wr_ep_interest_is_own(const struct wr_ep_interest *interest,
                                         uint32_t index)
{
    wr_debug_assert(index < interest->event_count);
    return (interest->events[index].data.u64 & WR_EP_EVENT_OWN) != 0;
}

static inline bool
wr_ep_interest_has_events(const struct wr_ep_interest *interest)
{
    return interest->event_next < interest->event_count;
}

/*
 * Threads that make system calls which can block. An eventfd in the epoll set
 * notifies the loop's thread, which collects the operation. A call that has
 * begun is not interrupted: a cancel reaches only queued operations and opens
 * of FIFOs.
 */

#define WR_EP_WORKERS_MAX 4u

struct wr_ep_workers {
    struct wr_jobs jobs;
    int eventfd;
};

WEIR_MUST_USE int wr_ep_workers_open(struct wr_ep_workers *workers);
/* Waits for calls that have begun. Queued closes are made, other queued
 * operations are cancelled. */
void wr_ep_workers_close(struct wr_ep_workers *workers, struct wr_ep_ops *ops);

/* @op must be in state WORKING and in no list. If this returns false, the
 * caller ends it with -ECANCELED, like io_uring. */
WEIR_MUST_USE bool wr_ep_workers_push(struct wr_ep_workers *workers,
                                      struct wr_ep_op *op);
/* Removes a queued operation. Returns false if a thread has started it. */
WEIR_MUST_USE bool wr_ep_workers_take_back(struct wr_ep_workers *workers,
                                           struct wr_ep_op *op);
/* Resets the eventfd, and moves the finished operations to @ret. */
void wr_ep_workers_collect(struct wr_ep_workers *workers, struct wr_list *ret);

struct wr_ep_ring {
    struct wr_ring base;
    struct io_uring_sqe *sq;
    uint32_t sq_entries;
    uint32_t sq_head;
    uint32_t sq_tail;
    /* entries that ring_submit_rest() keeps at the start of `sq`, else 0 */
    uint32_t kept_count;
    struct wr_ep_ops ops;
    struct wr_ep_buffers buffers;
    struct wr_ep_workers workers;
    struct wr_list timed;
    /* connections whose events this enter may still handle */
    uint32_t receives_left;
    /* Consecutive first receives that found nothing: [0] of accepted sockets,
     * [1] of sockets that weir connected. */
    uint32_t vain_firsts[2];
    /* consecutive polls for a second connection that found none */
    uint32_t vain_looks;
    int error;
    bool enabled;
    /* enters in a row without epoll_wait(); SKIPS_MAX if the next must call */
    uint8_t skipped_waits;
    /* the kernel may have more events than the last wait returned */
    bool has_more;
    struct io_uring_sqe discarded; /* the SQE that is returned after an error */
    struct wr_ep_interest interest;
};

/* ---- issue.c ---- */

/* Begins an entry. Returns false if it needs memory and there is none. NOPs,
 * sends, closes and cancels need none. */
WEIR_MUST_USE bool wr_ep_issue(struct wr_ep_ring *ring,
                               struct io_uring_sqe *sqe);

/* Handles an event of a watch. Returns false if its receive must wait until the
 * loop has handled earlier receives: the provided buffers are used up, or many
 * connections, whose bytes should stay in the CPU's cache, have received. */
WEIR_MUST_USE bool wr_ep_wake(struct wr_ep_ring *ring,
                              struct wr_ep_watch *watch, uint32_t events);

/* Continues or ends the operations of a watch that the set has refused. */
void wr_ep_go_on_without_set(struct wr_ep_ring *ring, struct wr_ep_watch *watch,
                             int err);

void wr_ep_collect(struct wr_ep_ring *ring);

void wr_ep_expire(struct wr_ep_ring *ring);
/* Returns the time until the first timed operation, at most @limit_ns. */
uint64_t wr_ep_time_left(const struct wr_ep_ring *ring, uint64_t limit_ns);

/* ---- cancel.c ---- */

/* Ends an entry that waits for memory. Returns false if none has @user_data. */
WEIR_MUST_USE bool wr_ep_cancel_kept(struct wr_ep_ring *ring,
                                     uint64_t user_data);
/* Stops an operation's wait. Returns false if a worker has begun its call. */
WEIR_MUST_USE bool wr_ep_stop(struct wr_ep_ring *ring, struct wr_ep_op *op);
void wr_ep_cancel_all(struct wr_ep_ring *ring);

#endif
