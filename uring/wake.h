/*
 * The mailbox through which other threads reach a loop.
 *
 * Posting pushes onto a lock-free stack and, only if nobody has done so since
 * the loop last looked, writes the eventfd that the loop reads through its
 * ring: a thousand posts cost one wake-up. The loop takes the whole stack at
 * once and turns it round. The mailbox is counted and outlives the loop, so
 * that a post after the loop's end is an error and not a use of freed memory.
 * Here and in lib/threads.c are the only atomics of weir.
 */
#ifndef WEIR_URING_WAKE_H
#define WEIR_URING_WAKE_H

#include "../include/weir/base.h"

struct wr_wake;

struct wr_wake_item {
    struct wr_wake_item *next;
    void (*run)(void *arg);
    void *arg;
    /* What its poster wants to be called with arg when the loop ends before it
     * runs; may be NULL. */
    void (*drop)(void *arg);
    bool is_owned;  /* set by posting: by its poster, so it is not freed here */
    bool is_posted; /* set by posting, cleared by wr_wake_pop() */
};

/* One reference for the caller. */
int wr_wake_open(const struct weir_allocator *allocator, struct wr_wake **ret);

/* Any thread. */
void wr_wake_ref(struct wr_wake *wake);
void wr_wake_unref(struct wr_wake *wake);

/* Any thread: 0, -ENOMEM, or -ESHUTDOWN after wr_wake_close(). */
int wr_wake_post(struct wr_wake *wake, void (*run)(void *arg), void *arg);

/* Any thread: 0 or -ESHUTDOWN; takes no memory. The caller has set @item's run,
 * arg and drop and keeps the item. It may be posted again when it runs and not
 * before: who posts it on several threads sees to that. */
int wr_wake_post_item(struct wr_wake *wake, struct wr_wake_item *item);

/* Owner: the eventfd to read from; 8 bytes. */
int wr_wake_fd(const struct wr_wake *wake);

/* Owner: takes all items posted so far; the next post wakes again. True when
 * there are any to pop. */
bool wr_wake_take(struct wr_wake *wake);

/* Owner: the oldest item that was taken, or NULL. It is out of the mailbox, and
 * the caller frees it with wr_wake_free_item(), which leaves those of
 * wr_wake_post_item() alone. */
struct wr_wake_item *wr_wake_pop(struct wr_wake *wake);
void wr_wake_free_item(struct wr_wake *wake, struct wr_wake_item *item);

/* Owner: later posts fail; what was posted before is taken. */
void wr_wake_close(struct wr_wake *wake);

#endif
