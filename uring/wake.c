/*
 * The mailbox: a lock-free stack of posts with one word for its state.
 *
 *     NULL (empty) --post, wakes--> item --post--> item --> ...
 *          ^------------- take, everything ------------|
 *     &closed_mark: no post gets in any more
 *
 * Whoever pushes onto the empty stack writes the eventfd; all others rely on
 * that write. Since every change from empty to not empty is followed by a
 * write, no post is missed; the loop may be woken once for nothing, when it
 * took a post before its poster came to write.
 *
 * The descriptor is closed with the last reference and not by wr_wake_close():
 * a poster that got in just before may still be about to write.
 */
#include "wake.h"

#include "check.h"
#include "guard.h"
#include "sys.h"

#include <errno.h>
#include <stdatomic.h>

/* The lines of the cache that posters write are not those the owner works in.
 */
#define LINE_BYTES 64

struct wr_wake {
    _Atomic(struct wr_wake_item *) head;
    atomic_uint refs;
    int fd;
    struct weir_allocator allocator; /* a copy: the loop's may be gone */
    uint8_t unused[LINE_BYTES];
    /* The owner's: taken and not popped, oldest first. */
    struct wr_wake_item *taken;
    struct wr_wake_item **taken_end;
};

/* Only its address counts. */
static struct wr_wake_item closed_mark;

/* Appends a stack, newest first, to what was taken, oldest first. */
static void append(struct wr_wake *wake, struct wr_wake_item *newest)
{
    struct wr_wake_item *oldest = NULL;
    struct wr_wake_item *item = newest;

    while (item) {
        struct wr_wake_item *next = item->next;
        wr_assert(item->is_posted);
        item->next = oldest;
        oldest = item;
        item = next;
    }
    *wake->taken_end = oldest;
    if (newest) {
        wake->taken_end = &newest->next;
    }
}

static int push(struct wr_wake *wake, struct wr_wake_item *item)
{
    struct wr_wake_item *head =
        atomic_load_explicit(&wake->head, memory_order_relaxed);
    wr_assert(!item->is_posted); /* a second time would tie a knot */
    item->is_posted = true;
    do {
        if (head == &closed_mark) {
            item->is_posted = false;
            return -ESHUTDOWN;
        }
        item->next = head;
        /* Release the item to the exchange in wr_wake_take() or _close(). */
    } while (!atomic_compare_exchange_weak_explicit(
        &wake->head, &head, item, memory_order_release, memory_order_relaxed));
    if (!head) {
        int err = wr_sys_eventfd_write(wake->fd);
        wr_check(err == 0);
    }
    return 0;
}

int wr_wake_open(const struct weir_allocator *allocator, struct wr_wake **ret)
{
    struct wr_wake *wake = wr_alloc(allocator, sizeof(*wake));
    if (!wake) {
        return -ENOMEM;
    }
    int fd = wr_sys_eventfd();
    if (fd < 0) {
        wr_free(allocator, wake, sizeof(*wake));
        return fd;
    }
    atomic_init(&wake->head, NULL);
    atomic_init(&wake->refs, 1);
    wake->fd = fd;
    wake->allocator = *allocator;
    wake->taken = NULL;
    wake->taken_end = &wake->taken;
    *ret = wake;
    return 0;
}

void wr_wake_ref(struct wr_wake *wake)
{
    /* Relaxed: the caller has a reference, so nothing can be freed here. */
    unsigned before =
        atomic_fetch_add_explicit(&wake->refs, 1, memory_order_relaxed);
    wr_assert(before > 0);
}

void wr_wake_unref(struct wr_wake *wake)
{
    /* Release what this thread did; the last one acquires it from all. */
    unsigned before =
        atomic_fetch_sub_explicit(&wake->refs, 1, memory_order_acq_rel);
    wr_assert(before > 0);
    if (before > 1) {
        return;
    }
    struct wr_wake_item *left =
        atomic_load_explicit(&wake->head, memory_order_relaxed);
    wr_assert(!left || left == &closed_mark);
    wr_assert(!wake->taken);
    struct weir_allocator allocator = wake->allocator;
    /* Nobody can use the descriptor any more, so nobody is told. */
    wr_ignore(wr_sys_close(wake->fd));
    wr_free(&allocator, wake, sizeof(*wake));
}

int wr_wake_post(struct wr_wake *wake, void (*run)(void *arg), void *arg)
{
    struct wr_wake_item *item = wr_alloc(&wake->allocator, sizeof(*item));
    if (!item) {
        return -ENOMEM;
    }
    *item = (struct wr_wake_item){.run = run, .arg = arg, .is_owned = false};
    int err = push(wake, item);
    if (err < 0) {
        wr_wake_free_item(wake, item);
    }
    return err;
}

int wr_wake_post_item(struct wr_wake *wake, struct wr_wake_item *item)
{
    wr_assert(item->run);
    item->is_owned = true;
    return push(wake, item);
}

int wr_wake_fd(const struct wr_wake *wake)
{
    return wake->fd;
}

bool wr_wake_take(struct wr_wake *wake)
{
    /* A look first: it keeps the line shared while nobody posts. */
    struct wr_wake_item *head =
        atomic_load_explicit(&wake->head, memory_order_relaxed);
    if (head && head != &closed_mark) {
        /* Acquire the items that posters released. Only the owner closes, so
         * the mark cannot have come in between. */
        append(wake, atomic_exchange_explicit(&wake->head, NULL,
                                              memory_order_acquire));
    }
    return wake->taken != NULL;
}

struct wr_wake_item *wr_wake_pop(struct wr_wake *wake)
{
    struct wr_wake_item *item = wake->taken;

    if (!item) {
        return NULL;
    }
    wr_assert(item->is_posted);
    wake->taken = item->next;
    if (!wake->taken) {
        wake->taken_end = &wake->taken;
    }
    item->next = NULL;
    item->is_posted = false;
    return item;
}

void wr_wake_free_item(struct wr_wake *wake, struct wr_wake_item *item)
{
    wr_assert(!item->is_posted);
    if (!item->is_owned) {
        wr_free(&wake->allocator, item, sizeof(*item));
    }
}

void wr_wake_close(struct wr_wake *wake)
{
    /* Acquire as in wr_wake_take(). */
    struct wr_wake_item *head = atomic_exchange_explicit(
        &wake->head, &closed_mark, memory_order_acquire);
    if (head != &closed_mark) {
        append(wake, head);
    }
}
