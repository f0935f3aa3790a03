/*
 * The program's descriptors that a loop watches or uses. An entry has the
 * callbacks that watch a descriptor (watch.c) and the queues of the tasks'
 * calls that use it (fd_call.c). Entries are made at their first use and stay
 * until the loop's end. A transport's descriptor must not be used here.
 */
#ifndef WEIR_LIB_WATCH_DESCRIPTOR_H
#define WEIR_LIB_WATCH_DESCRIPTOR_H

#include "lib/loop/loop.h"

/*
 * Polls: waiting until a descriptor of the program is readable or writable.
 *
 *     DUE --end of the iteration--> ARMED --completion--> FIRED
 *      ^                              |                     |
 *      +------- a FIN, see poll.c ----+                     |
 *      +------------- wr_poll_again() ----------------------+
 *
 * A poll fires once, when its operation completes, and is armed again only
 * after wr_poll_again(). Polls are level-triggered. An armed poll refers to the
 * file, not to the number, so the program must stop it before it closes the
 * descriptor. After wr_poll_stop() the object exists until its operation has
 * ended.
 */

enum wr_direction {
    WR_READING, /* bytes, a connection, or the end */
    WR_WRITING, /* space, or an error */
    WR_DIRECTIONS,
};

enum wr_poll_state {
    WR_POLL_DUE, /* is armed at the iteration's end, or after a cancellation */
    WR_POLL_ARMED,
    WR_POLL_FIRED,
    WR_POLL_STOPPED, /* freed when the operation ends */
    WR_POLL_STATES,
};

struct wr_poll;

/* Called with 0 if the descriptor is ready, or with the error of the poll. */
typedef void wr_poll_fired_fn(struct wr_poll *poll, int err);

struct wr_poll {
    struct wr_op op;
    struct wr_turn_end turn_end;
    struct wr_list link;
    weir_loop *loop;
    wr_poll_fired_fn *fired;
    void *arg;
    int fd;
    enum wr_direction direction : 8;
    enum wr_poll_state state : 8;
    /* A FIN has completed a poll for space; the poll is multishot now. */
    bool fin_seen;
};

/* The poll is armed at the iteration's end. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_poll_new(weir_loop *loop, int fd,
                              enum wr_direction direction,
                              wr_poll_fired_fn *fired, void *arg,
                              struct wr_poll **ret);

void wr_poll_again(struct wr_poll *poll);

/* In any state. ->fired is not called any more. */
void wr_poll_stop(struct wr_poll *poll);

struct wr_watch {
    struct wr_ready ready;
    struct wr_poll *poll; /* NULL without a callback */
    weir_callback_fn *cb;
    void *arg;
};

struct wr_descriptor {
    struct wr_watch watches[WR_DIRECTIONS];
    struct wr_list calls[WR_DIRECTIONS];
};

/* Returns 0, -EBADF for a negative number, or -EBUSY for a transport's. */
WEIR_MUST_USE static inline int wr_descriptor_check_free(const weir_loop *loop,
                                                         int fd)
{
    wr_require(fd >= 0, -EBADF);
    return wr_owned_has(&loop->owned, fd) ? -EBUSY : 0;
}

WEIR_MUST_USE struct wr_descriptor *wr_descriptor_make(weir_loop *loop, int fd);

struct wr_descriptor *wr_descriptor_find(const weir_loop *loop, int fd);

static inline void wr_watch_clear(struct wr_watch *watch)
{
    wr_assert(watch->poll);
    wr_ready_cancel(&watch->ready);
    wr_poll_stop(watch->poll);
    watch->poll = NULL;
}

#endif
