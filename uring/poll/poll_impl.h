/*
 * The ring of the poll engine, for its own files.
 *
 * Each part (ops.c, interest.c, buffers.c, workers.c) keeps its own state and
 * does not know the others; the functions here move operations between them.
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
 * An entry that can be carried out at once becomes a completion. Any other
 * entry becomes an operation, which keeps a copy of it. The queue of
 * completions has space for the completions of all operations, so it cannot
 * overflow, and for one more per prepared entry, so that an entry can end when
 * memory has run out. Operations are found by their user_data, for cancel
 * requests.
 */

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
        struct wr_job job; /* in state WORKING; its first field is `link` */
    };
    struct wr_ep_op *same_hash;
    int awaited_fd; /* the descriptor that the operation may wait for, or -1 */
    int32_t res;    /* set by a worker */
    /* In state PARKED: one of these events, an error or a hang-up wakes the
     * operation. */
    uint16_t events;
    uint16_t told; /* multishot poll: the events of its last completion */
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
    uint32_t ended_room;  /* slots, without those for prepared entries */
    uint32_t entry_room;  /* number of slots for prepared entries */
    uint32_t ended_head;
    uint32_t ended_count;
    uint32_t waiting_count;
    uint32_t bucket_bits;
    struct wr_ep_op **buckets; /* operations by user_data */
};

/* @entries, a power of two, is the maximum number of entries that are prepared
 * at once. Returns 0 or -ENOMEM. */
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

/* Makes sure that there is space for one operation and its completion. Returns
 * false if out of memory. */
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

/* Adds a completion, for which there must be space. */
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

/*
 * The provided buffers of the poll engine: a queue, the oldest first.
 *
 * A receive fills the first buffer and removes it, or removes only the filled
 * part if buffers are incremental and bytes are left. Receives see added
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
    uint32_t staged; /* including buffers that were not committed */
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

/* Returns the buffer that the next receive fills, or NULL. */
static inline const struct wr_ep_buffer *
wr_ep_buffers_first(const struct wr_ep_buffers *buffers)
{
    wr_debug_assert(buffers->tail - buffers->head <= buffers->entries);
    return buffers->head == buffers->tail
               ? NULL
               : &buffers->ring[buffers->head & (buffers->entries - 1)];
}

/* Marks the first @len bytes of the next buffer as filled by a receive. Returns
 * the flags of its completion. */
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
 * in the set. The set is level-triggered and is changed late, once before a
 * wait: a receive that is armed again in the loop iteration of its completion
 * costs no system call. A watch without waiting operations leaves the set
 * before the next wait, because its descriptor may be closed, and its number
 * used again, unnoticed. weir's stream sockets, whose closes are noticed
 * (wr_ep_watch_close()), stay until the set reports them without need: most of
 * them are received from again, or closed.
 *
 * The kernel removes a descriptor from the set at its close, unless another
 * process or descriptor has the same file: then the set continues to report the
 * file, which only a new set would not. So when an event of such a file is
 * seen, the set is replaced, and from then on descriptors leave the set before
 * they are closed.
 *
 * A set that a host waits for cannot be replaced, so descriptors always leave
 * it before they are closed. While no new set can be made, because descriptors
 * or memory have run out, the old set is called at most once in a millisecond.
 * If the new set refuses a watch, the watch's operations end with the error, as
 * when an operation begins.
 *
 * Files without readiness (EPERM) are always ready.
 */

#define WR_EP_CHUNK_WATCHES 64u
/* Maximum number of events that one wait returns. If more descriptors are
 * ready, the kernel reports them in turn, so one that is always ready is not
 * seen in every iteration. */
#define WR_EP_EVENTS_MAX 1024u
/* Flag next to the descriptor in an event: its watch was a stream socket of
 * weir when it entered the set. */
#define WR_EP_EVENT_OWN 0x80000000u

struct wr_ep_watch {
    struct wr_list ops;     /* parked operations, the oldest first */
    struct wr_list changed; /* in wr_ep_interest.changed */
    int fd;
    uint32_t registered; /* events in the set, and EPOLLET, or 0 */
    uint32_t generation; /* counts entries into the set */
    uint8_t vain_count;  /* events in a row that completed nothing */
    /* Written by interest.c. Receives and connects also write is_own,
     * is_drained, is_connector and is_overheard. */
    bool is_own : 1;       /* a stream socket of weir */
    bool is_connector : 1; /* connected here */
    bool is_fresh : 1;     /* an operation was parked or continues after an
                            * edge */
    bool is_overheard : 1; /* the set reports more than is wanted */
    bool is_drained : 1;   /* receives wait until the set reports bytes */
};

_Static_assert(sizeof(struct wr_ep_watch) <= 48, "each descriptor has one");

struct wr_ep_interest {
    int epfd;
    int own_fd; /* the ring's eventfd */
    const struct weir_allocator *allocator;
    /* Watches, in the order of their descriptors. */
    struct wr_ep_watch **chunks;
    uint32_t chunk_count;
    struct wr_list changed;
    bool has_no_pwait2;
    bool removes;        /* descriptors leave the set before they are closed */
    bool is_shared;      /* a host waits for the set */
    bool has_leftover;   /* the set may report files that were closed here */
    bool is_new;         /* no watch has changed since the wait */
    uint32_t event_next; /* index of the next event to handle */
    uint32_t event_count;
    struct epoll_event events[WR_EP_EVENTS_MAX];
};

/* @own_fd is an eventfd of the ring, which stays in the set. */
WEIR_MUST_USE int wr_ep_interest_open(struct wr_ep_interest *interest,
                                      const struct weir_allocator *allocator,
                                      int own_fd);
void wr_ep_interest_close(struct wr_ep_interest *interest);

/* Returns the watch of a descriptor, whose address never changes, or NULL if
 * the descriptor was never watched. */
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

/* Makes a watch. wr_ep_watch_get() finds or makes one. NULL if out of
 * memory. */
WEIR_MUST_USE struct wr_ep_watch *
wr_ep_watch_add(struct wr_ep_interest *interest, int fd);

static inline struct wr_ep_watch *
wr_ep_watch_get(struct wr_ep_interest *interest, int fd)
{
    struct wr_ep_watch *watch = wr_ep_watch_find(interest, fd);

    return WR_LIKELY(watch) ? watch : wr_ep_watch_add(interest, fd);
}

/* Descriptors below this number may have a watch. */
static inline uint32_t wr_ep_interest_fds(const struct wr_ep_interest *interest)
{
    return interest->chunk_count * WR_EP_CHUNK_WATCHES;
}

/* Duplicates the set's descriptor, for a host. Returns it or an error. The
 * watches may have to be applied again. */
WEIR_MUST_USE int wr_ep_interest_share(struct wr_ep_interest *interest);

/* Parks an operation, whose events are set. */
void wr_ep_watch_park(struct wr_ep_interest *interest,
                      struct wr_ep_watch *watch, struct wr_ep_op *op);
void wr_ep_watch_leave(struct wr_ep_interest *interest,
                       struct wr_ep_watch *watch, struct wr_ep_op *op);
/* Called when the descriptor leaves the ring, or is closed elsewhere. */
void wr_ep_watch_forget(struct wr_ep_interest *interest,
                        struct wr_ep_watch *watch);
/* Called before the descriptor is closed. */
void wr_ep_watch_close(struct wr_ep_interest *interest,
                       struct wr_ep_watch *watch);
void wr_ep_watch_note_slowly(struct wr_ep_interest *interest,
                             struct wr_ep_watch *watch, bool was_useful,
                             bool was_wanted);

/* Counts an event. @was_useful is true if the event led to a completion,
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

/* Applies changes to the set. Returns the next watch that the set refuses,
 * whose operations must all end or go elsewhere, with the error in *ret_err;
 * -EPERM means that the file is always ready. Returns NULL when all are
 * applied. */
WEIR_MUST_USE struct wr_ep_watch *
wr_ep_interest_apply(struct wr_ep_interest *interest, int *ret_err);

/* Returns true if a filter refuses all changes of the set. */
WEIR_MUST_USE bool
wr_ep_interest_is_refused(const struct wr_ep_interest *interest);

/* Waits for events; all earlier events must be done. Returns their number, or
 * an error if the kernel refuses the call. */
WEIR_MUST_USE int wr_ep_interest_wait(struct wr_ep_interest *interest,
                                      uint64_t timeout_ns);
/* Called for an event of a descriptor that has left the set. */
void wr_ep_interest_note_leftover(struct wr_ep_interest *interest);

/* Returns the watch of event @index and sets *ret_events. Returns NULL if its
 * descriptor has left the set. */
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

/* Returns true if the event was of a stream socket when it entered the set. */
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
 * The threads of a ring that make system calls which can block.
 *
 * An operation is queued, run by a thread, and finished; then the loop's
 * thread, notified by an eventfd in the ring's epoll set, collects it. There
 * are at most WR_EP_WORKERS_MAX threads, as many as io_uring has for a ring,
 * and they end with it (../jobs.h). A call that a thread has begun is not
 * interrupted: a cancel reaches only operations that are still queued, and
 * opens of FIFOs.
 */

#define WR_EP_WORKERS_MAX 4u

struct wr_ep_workers {
    struct wr_jobs jobs;
    int eventfd; /* readable when an operation has finished */
};

WEIR_MUST_USE int wr_ep_workers_open(struct wr_ep_workers *workers);
/* Waits for calls that have begun, makes queued closes and cancels other queued
 * operations, so that all end. */
void wr_ep_workers_close(struct wr_ep_workers *workers, struct wr_ep_ops *ops);

/* Passes an operation, which is WORKING and in no list, to the threads. Returns
 * false if there is no thread, and none can be made. Then it ends with
 * -ECANCELED, as in a ring of io_uring, and the owner makes its call (struct
 * wr_file_op). */
WEIR_MUST_USE bool wr_ep_workers_push(struct wr_ep_workers *workers,
                                      struct wr_ep_op *op);
/* Removes a queued operation. Returns false if a thread has it. */
WEIR_MUST_USE bool wr_ep_workers_take_back(struct wr_ep_workers *workers,
                                           struct wr_ep_op *op);
/* Resets the eventfd, and moves the finished operations to @ret. */
void wr_ep_workers_collect(struct wr_ep_workers *workers, struct wr_list *ret);

struct wr_ep_ring {
    struct wr_ring base;
    struct io_uring_sqe *sq; /* prepared entries, the oldest at sq_head */
    uint32_t sq_entries;
    uint32_t sq_head;
    uint32_t sq_tail;
    uint32_t kept_count; /* entries at the start of `sq` that wait for memory */
    struct wr_ep_ops ops;
    struct wr_ep_buffers buffers;
    struct wr_ep_workers workers;
    struct wr_list timed;   /* operations, the first due first */
    uint32_t receives_left; /* in this enter */
    /* First receives in a row that found nothing: of accepted sockets, and of
     * sockets that were connected here. */
    uint32_t vain_firsts[2];
    uint32_t vain_looks; /* polls for a second connection that found none */
    int error;           /* sticky */
    bool enabled;
    uint8_t skipped_waits;         /* enters in a row without epoll_wait() */
    bool has_more;                 /* the last wait may have left events */
    struct io_uring_sqe discarded; /* returned by sqe() after an error */
    /* Must be last, because it ends with pages of events. */
    struct wr_ep_interest interest;
};

/* ---- issue.c ---- */

/* Begins an entry. Returns false if it needs memory and there is none; sends,
 * closes and cancels need none. */
WEIR_MUST_USE bool wr_ep_issue(struct wr_ep_ring *ring,
                               struct io_uring_sqe *sqe);

/* Handles an event of a watch. Returns false if its receive must wait until the
 * loop has seen earlier receives, because the provided buffers are used up, or
 * because many connections have received: their bytes are sent on while they
 * are in the CPU's cache. */
WEIR_MUST_USE bool wr_ep_wake(struct wr_ep_ring *ring,
                              struct wr_ep_watch *watch, uint32_t events);

/* Continues or ends the operations of a watch that the set has refused. */
void wr_ep_go_on_without_set(struct wr_ep_ring *ring, struct wr_ep_watch *watch,
                             int err);

/* Called when the threads may have finished operations. */
void wr_ep_collect(struct wr_ep_ring *ring);

/* Ends the operations whose time has expired. */
void wr_ep_expire(struct wr_ep_ring *ring);
/* Returns how long until the next timed operation, at most @limit_ns. */
uint64_t wr_ep_time_left(const struct wr_ep_ring *ring, uint64_t limit_ns);

/* ---- cancel.c ---- */

/* Ends an entry that waits for memory. Returns false if there is none. */
WEIR_MUST_USE bool wr_ep_cancel_kept(struct wr_ep_ring *ring,
                                     uint64_t user_data);
/* Stops an operation's wait. Returns false if a worker has begun it. */
WEIR_MUST_USE bool wr_ep_stop(struct wr_ep_ring *ring, struct wr_ep_op *op);
/* Cancels all operations that wait for a descriptor or a time. */
void wr_ep_cancel_all(struct wr_ep_ring *ring);

#endif
