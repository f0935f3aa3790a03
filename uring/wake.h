/*
 * The mailbox through which other threads reach a loop.
 *
 * Posting pushes onto a lock-free stack and, only if the stack was empty,
 * writes the eventfd that the loop reads through its ring: a thousand posts
 * cost one wake-up. The loop takes the whole stack at once and turns it round.
 * The mailbox is counted and outlives the loop, so that a post after the loop's
 * end is an error and not a use of freed memory. Here and in
 * lib/loop/signal.c are the only atomics of weir.
 */
#ifndef WEIR_URING_WAKE_H
#define WEIR_URING_WAKE_H

#include "../include/weir/base.h"

struct wr_wake;

struct wr_wake_item {
    struct wr_wake_item *next;
    void (*run)(void *arg);
    void *arg;
    /* Called with arg in place of run when the loop ends before that; may be
     * NULL. */
    void (*drop)(void *arg);
    bool is_counted;   /* against the limit; set by its poster */
    bool is_own;       /* posted on the owner's thread; set by its poster */
    bool is_allocated; /* set by wr_wake_post(): it is freed here */
    bool is_cancelled; /* set by wr_wake_cancel(), on the owner's thread */
    bool is_posted;    /* set by posting, cleared by wr_wake_pop() */
};

/* A mailbox in which @limit posts may wait, 1 at least, with one reference for
 * the caller; 0 or a negative error. */
WEIR_MUST_USE int wr_wake_open(const struct weir_allocator *allocator,
                               uint32_t limit, struct wr_wake **ret);

/* Two words on a page that a forked child finds empty: it sees NULL in both.
 * The first is the owner's, WR_UNBOUND until it is written; the second stays
 * WR_UNBOUND, so that other threads may read it. */
#define WR_UNBOUND ((const void *)-1)
const void *volatile *wr_wake_owner(const struct wr_wake *wake);

/* Any thread: is this process a child of the one that opened the mailbox? */
bool wr_wake_is_forked(const struct wr_wake *wake);

/* Owner: names its thread, which must not wait for room. */
void wr_wake_set_thread(struct wr_wake *wake, const void *thread);

/* Any thread. */
void wr_wake_ref(struct wr_wake *wake);
void wr_wake_unref(struct wr_wake *wake);

/* Any thread: is @thread, the caller's, the owner's? */
bool wr_wake_is_owned_by(const struct wr_wake *wake, const void *thread);

/* Any thread: 0, -ENOMEM, -ENOBUFS when the limit is reached, or -ESHUTDOWN
 * after wr_wake_close(). After 0 either @run or, when it is not NULL, @drop is
 * called with @arg, by the caller of wr_wake_pop(). @thread is the caller's. */
WEIR_MUST_USE int wr_wake_post(struct wr_wake *wake, const void *thread,
                               void (*run)(void *arg), void *arg,
                               void (*drop)(void *arg));

/* Any thread: 0, -ESHUTDOWN, or -ENOBUFS for an item that is counted; takes no
 * memory. The caller has set @item's first fields and keeps the item, which may
 * be posted again when it runs and not before; callers on several threads see
 * to that among themselves. */
WEIR_MUST_USE int wr_wake_post_item(struct wr_wake *wake,
                                    struct wr_wake_item *item);

/* Any thread but the owner's: waits until there is room for a post, or the
 * mailbox is closed. @thread is the caller's, the deadline one of wr_sys_now().
 * 0, -ETIMEDOUT, or -EDEADLK on the owner's thread. */
WEIR_MUST_USE int wr_wake_wait_room(struct wr_wake *wake, const void *thread,
                                    uint64_t deadline_ns);

/* Owner: the eventfd to read from; 8 bytes. */
int wr_wake_fd(const struct wr_wake *wake);

/* Owner: takes all items posted so far; the next post wakes again. True when
 * there are any to pop. */
WEIR_MUST_USE bool wr_wake_take(struct wr_wake *wake);

/* Owner: the oldest item that was taken, or NULL. It is out of the mailbox, and
 * the caller frees it with wr_wake_free_item(), which leaves those of
 * wr_wake_post_item() alone. Each must be popped. */
WEIR_MUST_USE struct wr_wake_item *wr_wake_pop(struct wr_wake *wake);
void wr_wake_free_item(struct wr_wake *wake, struct wr_wake_item *item);

/* Owner: how many items its own thread has posted, and how many of these were
 * popped. While another thread than the one that made the loop begins to run
 * it, the first may count an item that is about to be posted. */
uint64_t wr_wake_own_posted(const struct wr_wake *wake);
uint64_t wr_wake_own_popped(const struct wr_wake *wake);

/* Owner: the posts of @run with @arg that were not popped call their @drop in
 * its place when they are, or nothing; how many they are. Looks at all posts.
 */
size_t wr_wake_cancel(struct wr_wake *wake, void (*run)(void *arg),
                      const void *arg);

/* Owner: later posts fail; items that were posted before are taken. */
void wr_wake_close(struct wr_wake *wake);

#endif
