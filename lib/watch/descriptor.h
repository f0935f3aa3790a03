/*
 * The program's descriptors that a loop has to do with, by their numbers.
 *
 * For each there are the callbacks that watch it (watch.c) and the queues of
 * tasks' calls that use it (fd_call.c). Neither is for a descriptor
 * that belongs to a transport. The places of descriptors are made at their
 * first use, many at a time, and stay until the loop's end.
 */
#ifndef WEIR_LIB_WATCH_DESCRIPTOR_H
#define WEIR_LIB_WATCH_DESCRIPTOR_H

#include "poll.h"

/* A callback that is called while a descriptor is ready. */
struct wr_watch {
    struct wr_ready ready; /* the callback is to be called */
    struct wr_poll *poll;  /* NULL: there is no callback */
    weir_callback_fn *cb;
    void *arg;
};

struct wr_descriptor {
    struct wr_watch watches[WR_DIRECTIONS];
    struct wr_list calls[WR_DIRECTIONS]; /* of tasks; see fd_call.c */
};

/* 0, -EBADF for a number below 0, or -EBUSY for a descriptor of a transport. */
WEIR_MUST_USE static inline int wr_descriptor_check_free(const weir_loop *loop,
                                                         int fd)
{
    wr_require(fd >= 0, -EBADF);
    return wr_owned_has(&loop->owned, fd) ? -EBUSY : 0;
}

/* The place of a number, made where there is none; NULL without memory. */
WEIR_MUST_USE struct wr_descriptor *wr_descriptor_make(weir_loop *loop, int fd);

/* The place of a number, or NULL. */
struct wr_descriptor *wr_descriptor_find(const weir_loop *loop, int fd);

/* The callback is not called any more. */
static inline void wr_watch_clear(struct wr_watch *watch)
{
    wr_assert(watch->poll);
    wr_ready_cancel(&watch->ready);
    wr_poll_stop(watch->poll);
    watch->poll = NULL;
}

#endif
