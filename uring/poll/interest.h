/*
 * Descriptors that operations wait for, and the epoll set.
 *
 * Each descriptor has a watch: the operations that wait for it, and the events
 * that the set has of it. The set is level-triggered and is changed late, once
 * before a wait: a receive that is armed again in the turn of its completion
 * costs no system call. A watch that no operation waits for leaves the set
 * before the next wait, because its descriptor may be closed, and its number
 * used again, unseen. The stream sockets of weir, whose closes are seen
 * (wr_ep_watch_close()), stay until the set tells of them in vain: most of them
 * are received from again, or closed.
 *
 * A close takes a descriptor out of the set by itself, unless another process
 * or descriptor has its file: then the set goes on to tell of it, and nothing
 * but another set would forget it. So when an event of such a file is seen, the
 * set is made anew, and from then on descriptors leave it before they are
 * closed. A set that a host waits for cannot be made anew: descriptors leave it
 * before they are closed from the beginning. While no other set can be made,
 * for want of a descriptor or of memory, the old one stays and is asked once in
 * a millisecond. What another set refuses ends with the error, as it does where
 * an operation begins.
 *
 * Files without readiness (EPERM) are always ready.
 */
#ifndef WEIR_URING_POLL_INTEREST_H
#define WEIR_URING_POLL_INTEREST_H

#include "ops.h"

#include <sys/epoll.h>

#define WR_EP_CHUNK_WATCHES 64u
/* Events of one wait. Those beyond it wait for their turn in the set, so that a
 * descriptor which is always ready is not seen in every turn. */
#define WR_EP_EVENTS_MAX 1024u
/* Beside the descriptor in an event: its watch was a stream socket of weir when
 * it entered the set. */
#define WR_EP_EVENT_OWN 0x80000000u

struct wr_ep_watch {
    struct wr_list ops;     /* parked here, the oldest first */
    struct wr_list changed; /* in the list of watches to be looked at */
    int fd;
    uint32_t registered; /* events in the set, and EPOLLET; 0: not in it */
    uint32_t generation; /* counts entries into the set */
    uint8_t vain_count;  /* events in a row that ended nothing, to VAIN_MAX */
    /* Set and cleared by interest.c, is_own, is_drained, is_connector and
     * is_overheard also by receives and connects. */
    bool is_own : 1;       /* a stream socket of weir */
    bool is_connector : 1; /* it was connected here */
    bool is_fresh : 1;     /* since the last look an operation was parked, or
                            * has got something by an edge and goes on */
    bool is_overheard : 1; /* the set tells of events that are not wanted, or of
                            * another file */
    bool is_drained : 1;   /* the last receive left nothing behind, or none is
                            * tried before the set tells of bytes */
};

_Static_assert(sizeof(struct wr_ep_watch) <= 48, "each descriptor has one");

struct wr_ep_interest {
    int epfd;
    int own_fd; /* the eventfd of the ring */
    const struct weir_allocator *allocator;
    struct wr_ep_watch **chunks; /* of descriptors in order */
    uint32_t chunk_count;
    struct wr_list changed;
    bool has_no_pwait2;
    bool removes;        /* descriptors leave the set before they are closed */
    bool is_shared;      /* others wait for the set, so that it stays */
    bool has_leftover;   /* the set may tell of files that were closed here */
    bool is_new;         /* no watch has changed since the events came */
    uint32_t event_next; /* those before it are done with */
    uint32_t event_count;
    struct epoll_event events[WR_EP_EVENTS_MAX]; /* of the last wait */
};

/* @own_fd: an eventfd of the ring, which stays in the set. */
WEIR_MUST_USE int wr_ep_interest_open(struct wr_ep_interest *interest,
                                      const struct weir_allocator *allocator,
                                      int own_fd);
void wr_ep_interest_close(struct wr_ep_interest *interest);

/* The watch of a descriptor, at its place for good; NULL: it was never watched.
 */
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

/* Makes one where there is none. NULL: no memory. */
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

/* Another descriptor of the set, for those who wait for it; or an error. The
 * watches may have to be applied again. */
WEIR_MUST_USE int wr_ep_interest_share(struct wr_ep_interest *interest);

/* Parks an operation, whose events are set. */
void wr_ep_watch_park(struct wr_ep_interest *interest,
                      struct wr_ep_watch *watch, struct wr_ep_op *op);
/* Takes one out. */
void wr_ep_watch_leave(struct wr_ep_interest *interest,
                       struct wr_ep_watch *watch, struct wr_ep_op *op);
/* The descriptor leaves the ring, or is closed by others. */
void wr_ep_watch_forget(struct wr_ep_interest *interest,
                        struct wr_ep_watch *watch);
/* The descriptor is closed next. */
void wr_ep_watch_close(struct wr_ep_interest *interest,
                       struct wr_ep_watch *watch);
/* The part of wr_ep_watch_note() for other events than those of a receive that
 * goes on. */
void wr_ep_watch_note_slowly(struct wr_ep_interest *interest,
                             struct wr_ep_watch *watch, bool was_useful,
                             bool was_wanted);

/* An event has come: has it brought a completion, or concerned an operation? */
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

/* The next watch whose events were brought to the set in vain: all of its
 * operations must end or go elsewhere. *ret_err says why; -EPERM: the file is
 * always ready. NULL: all watches are in the set. */
WEIR_MUST_USE struct wr_ep_watch *
wr_ep_interest_apply(struct wr_ep_interest *interest, int *ret_err);

/* After an error: true if a filter refuses all changes of the set, rather than
 * the set this file. */
WEIR_MUST_USE bool
wr_ep_interest_is_refused(const struct wr_ep_interest *interest);

/* Waits for events; all earlier ones are done with. Returns their number, or an
 * error if the kernel refuses the call. */
WEIR_MUST_USE int wr_ep_interest_wait(struct wr_ep_interest *interest,
                                      uint64_t timeout_ns);
/* Notes an event of a descriptor that has left the set. */
void wr_ep_interest_note_leftover(struct wr_ep_interest *interest);

/* The watch and the events of event number @index; NULL: it is of a descriptor
 * that has left the set. */
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

/* True if event number @index is known to be of a stream socket of weir,
 * without a look at its watch. */
static inline bool wr_ep_interest_is_own(const struct wr_ep_interest *interest,
                                         uint32_t index)
{
    wr_debug_assert(index < interest->event_count);
    return (interest->events[index].data.u64 & WR_EP_EVENT_OWN) != 0;
}

/* Events that are not done with. */
static inline bool
wr_ep_interest_has_events(const struct wr_ep_interest *interest)
{
    return interest->event_next < interest->event_count;
}

#endif
