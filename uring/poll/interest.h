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
 * A close removes a descriptor from the set, unless another process or
 * descriptor has its file: then the set continues to report it, and only a new
 * set would not. So when an event of such a file is seen, the set is replaced,
 * and from then on descriptors leave it before they are closed. A set that a
 * host waits for cannot be replaced; there descriptors always leave it before
 * they are closed. While no new set can be made, for lack of a descriptor or of
 * memory, the old set stays and is called once in a millisecond. If the new set
 * refuses a watch, its operations end with the error, as when an operation
 * begins.
 *
 * Files without readiness (EPERM) are always ready.
 */
#ifndef WEIR_URING_POLL_INTEREST_H
#define WEIR_URING_POLL_INTEREST_H

#include "ops.h"

#include <sys/epoll.h>

#define WR_EP_CHUNK_WATCHES 64u
/* Events of one wait. Further events wait in the set, so that a descriptor that
 * is always ready is not seen in every iteration. */
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
    struct wr_ep_watch **chunks; /* of descriptors in order */
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

/* Counts an event. @was_useful is true if it has brought a completion,
 * @was_wanted if an operation waited for it. */
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

#endif
