/*
 * The mailbox for posts from other threads to a loop.
 *
 * A post pushes onto a lock-free stack, which the loop takes as a whole. The
 * post writes the eventfd that the loop reads through its ring only if the loop
 * does not check the stack any more, so a thousand posts cost one wake-up. The
 * mailbox may outlive the loop, so that a post after the loop's end is an error
 * and not a use after free.
 *
 * The owner is the loop's thread. Functions that any thread may call are
 * marked; all others are for the owner.
 */
#ifndef WEIR_URING_WAKE_H
#define WEIR_URING_WAKE_H

#include "../include/weir/base.h"

struct wr_wake;

struct wr_wake_item {
    struct wr_wake_item *next;
    void (*run)(void *arg);
    void *arg;
    /* Called with arg instead of run if the loop ends first. May be NULL. */
    void (*drop)(void *arg);
    bool is_counted;   /* counts towards the limit; set before the post */
    bool is_own;       /* posted by the owner's thread; set before the post */
    bool is_allocated; /* set by wr_wake_post(): the mailbox frees it */
    bool is_cancelled; /* set by wr_wake_cancel() */
    bool is_posted;    /* set by a post, cleared by wr_wake_pop() */
};

/* @limit, at least 1, is the maximum number of waiting posts. Returns 0 or a
 * negative error. The caller owns the first reference. */
WEIR_MUST_USE int wr_wake_open(const struct weir_allocator *allocator,
                               uint32_t limit, struct wr_wake **ret);

#define WR_UNBOUND ((const void *)-1)
/* Returns two words on a page that is zeroed in a forked child. The first is
 * the owner, initially WR_UNBOUND. The second is always WR_UNBOUND, and other
 * threads may read it. */
const void *volatile *wr_wake_owner(const struct wr_wake *wake);

/* Any thread. Returns true in a forked child of the mailbox's process. */
bool wr_wake_is_forked(const struct wr_wake *wake);

void wr_wake_set_thread(struct wr_wake *wake, const void *thread);

/* Any thread. */
void wr_wake_ref(struct wr_wake *wake);
void wr_wake_unref(struct wr_wake *wake);

/* Any thread. @thread is the caller's. */
bool wr_wake_is_owned_by(const struct wr_wake *wake, const void *thread);

/* Any thread; @thread is the caller's. Posts a call. Returns 0, -ENOMEM,
 * -ENOBUFS at the limit, or -ESHUTDOWN after wr_wake_close(). After 0, the
 * caller of wr_wake_pop() calls @run or, if not NULL, @drop with @arg. */
WEIR_MUST_USE int wr_wake_post(struct wr_wake *wake, const void *thread,
                               void (*run)(void *arg), void *arg,
                               void (*drop)(void *arg));

/* Any thread. Posts an item without allocating. Returns 0, -ESHUTDOWN, or
 * -ENOBUFS for a counted item. The caller owns @item and has set its fields up
 * to is_own. An item may be posted again only once it runs; callers on several
 * threads must coordinate this. */
WEIR_MUST_USE int wr_wake_post_item(struct wr_wake *wake,
                                    struct wr_wake_item *item);

/* Any thread; @thread is the caller's. Waits until there are fewer posts than
 * the limit or the mailbox is closed. @deadline_ns is a time of wr_sys_now().
 * Returns 0, -ETIMEDOUT, or -EDEADLK on the owner's thread. */
WEIR_MUST_USE int wr_wake_wait_room(struct wr_wake *wake, const void *thread,
                                    uint64_t deadline_ns);

/* Returns the eventfd, which must be read with 8 bytes. */
int wr_wake_fd(const struct wr_wake *wake);

/* Takes all items posted so far. Returns true if there are items to pop. No
 * post then wakes the owner until wr_wake_rest(). So the owner pops all items
 * and takes again, until there is no item. */
WEIR_MUST_USE bool wr_wake_take(struct wr_wake *wake);

/* Lets the next post wake the owner. All taken items must have been popped.
 * Returns false if there was a post meanwhile, which must be taken. */
WEIR_MUST_USE bool wr_wake_rest(struct wr_wake *wake);

/* Every item must be popped, and freed with wr_wake_free_item(), which ignores
 * items of wr_wake_post_item(). Returns NULL after the last. */
WEIR_MUST_USE struct wr_wake_item *wr_wake_pop(struct wr_wake *wake);
void wr_wake_free_item(struct wr_wake *wake, struct wr_wake_item *item);

/* Return how many items the owner's thread has posted, and how many of these
 * were popped. If the loop moves to another thread at its first run, the first
 * number may include an item that is about to be posted. */
uint64_t wr_wake_own_posted(const struct wr_wake *wake);
uint64_t wr_wake_own_popped(const struct wr_wake *wake);

/* Makes all unpopped posts of wr_wake_post() with @run and @arg call their drop
 * function instead, or nothing. Returns their number. Takes linear time. */
size_t wr_wake_cancel(struct wr_wake *wake, void (*run)(void *arg),
                      const void *arg);

/* Later posts fail. The remaining items can be popped. */
void wr_wake_close(struct wr_wake *wake);

#endif
