/*
 * The program's descriptors that a loop watches or uses, by their numbers. An
 * entry has the callbacks that watch a descriptor (watch.c) and the queues of
 * tasks' calls that use it (fd_call.c). Entries are made in chunks at their
 * first use, and stay until the loop's end. A transport's descriptor may not be
 * used here.
 */
#ifndef WEIR_LIB_WATCH_DESCRIPTOR_H
#define WEIR_LIB_WATCH_DESCRIPTOR_H

#include "poll.h"

struct wr_watch {
    struct wr_ready ready; /* calls the callback */
    struct wr_poll *poll;  /* NULL if there is no callback */
    weir_callback_fn *cb;
    void *arg;
};

struct wr_descriptor {
    struct wr_watch watches[WR_DIRECTIONS];
    struct wr_list calls[WR_DIRECTIONS]; /* see fd_call.c */
};

/* Returns -EBADF if negative, -EBUSY for a transport's, else 0. */
WEIR_MUST_USE static inline int wr_descriptor_check_free(const weir_loop *loop,
                                                         int fd)
{
    wr_require(fd >= 0, -EBADF);
    return wr_owned_has(&loop->owned, fd) ? -EBUSY : 0;
}

/* Finds or makes an entry. Returns NULL if out of memory. */
WEIR_MUST_USE struct wr_descriptor *wr_descriptor_make(weir_loop *loop, int fd);

/* Returns the entry of a number, or NULL. */
struct wr_descriptor *wr_descriptor_find(const weir_loop *loop, int fd);

static inline void wr_watch_clear(struct wr_watch *watch)
{
    wr_assert(watch->poll);
    wr_ready_cancel(&watch->ready);
    wr_poll_stop(watch->poll);
    watch->poll = NULL;
}

#endif
