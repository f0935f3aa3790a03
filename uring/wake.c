/*
 * The mailbox: a lock-free stack of posts with one word for its state.
 *
 *     NULL (empty) --post, wakes--> item --post--> item --> ...
 *          ^ rest                   | take  ^ post
 *          '-------- &awake_mark <--'-------'
 *     &closed_mark: posts are refused
 *
 * A poster that pushes onto NULL writes the eventfd. Other posters rely on that
 * write, or on the owner, which checks again after each take. When the stack is
 * empty, the owner turns the awake mark into NULL, with an exchange that fails
 * if there was a post meanwhile. So no post is missed, and a stream of posts to
 * a busy loop writes nothing.
 *
 * The number of waiting posts is posted_count - popped_total. Posters count
 * before a push, the owner after some pops, so the difference is never too low.
 * A poster that waits raises waiting_count before it reads the counts, and the
 * owner reads waiting_count after it has counted; both are sequentially
 * consistent.
 *
 * The last unref closes the eventfd, not wr_wake_close(): a poster that pushed
 * just before may be about to write.
 */
#include "wake.h"

#include "alloc.h"
#include "check.h"
#include "race.h"
#include "sys.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

/* Separates the cache lines that posters write from the owner's. */
#define LINE_BYTES 64
#define PAGE_BYTES 4096u
/* Maximum number of pops before the owner publishes their count. */
#define POPPED_MAX 64u

struct wr_wake {
    _Atomic(struct wr_wake_item *) head;
    atomic_uint refs;
    /* Counted by posters. Lowered again if a push fails. */
    _Atomic(uint64_t) posted_count;
    /* Posters need not read popped_total while posted_count is below this. */
    _Atomic(uint64_t) room_end;
    atomic_uint waiting_count; /* posters in wr_wake_wait_room() */
    uint32_t limit;
    int fd;
    /* a copy, as the mailbox may outlive the loop's allocator */
    struct weir_allocator allocator;
    const void *volatile *owner;
    _Atomic(const void *) thread; /* the owner's thread, which must not wait */
    /* Posts by the owner's thread, which may change at the first run. */
    _Atomic(uint64_t) own_posted;
    pthread_mutex_t mutex; /* only for waiting */
    pthread_cond_t room;
    uint8_t unused[LINE_BYTES];
    /* Only the owner uses the fields below. Taken, unpopped items, oldest
     * first: */
    struct wr_wake_item *taken;
    struct wr_wake_item **taken_end;
    uint64_t own_popped;
    /* counted items popped, but not in popped_total yet */
    uint32_t popped_count;
    _Atomic(uint64_t) popped_total; /* counted items popped */
};

/* Only the addresses of these marks are used. */
static struct wr_wake_item wake_closed_mark;
static struct wr_wake_item wake_awake_mark;

static bool wake_is_item(const struct wr_wake_item *head)
{
    return head && head != &wake_awake_mark && head != &wake_closed_mark;
}

static void wake_check_invariants(const struct wr_wake *wake)
{
    wr_assert(!wake->taken == (wake->taken_end == &wake->taken));
    wr_assert(!wake->taken || wake->taken->is_posted);
    wr_assert(wake->popped_count < POPPED_MAX);
    /* Relaxed: the owner has acquired all popped items. */
    wr_debug_assert(
        atomic_load_explicit(&wake->popped_total, memory_order_relaxed) +
            wake->popped_count <=
        atomic_load_explicit(&wake->posted_count, memory_order_relaxed));
}

static void wake_append(struct wr_wake *wake, struct wr_wake_item *newest)
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

static int wake_push(struct wr_wake *wake, struct wr_wake_item *item)
{
    struct wr_wake_item *head =
        atomic_load_explicit(&wake->head, memory_order_relaxed);
    wr_assert(!item->is_posted); /* a second post would make a cycle */
    item->is_posted = true;
    wr_race_release(item);
    do {
        if (head == &wake_closed_mark) {
            item->is_posted = false;
            return -ESHUTDOWN;
        }
        item->next = head == &wake_awake_mark ? NULL : head;
        /* Releases the item to wr_wake_take() or wr_wake_close(). */
    } while (!atomic_compare_exchange_weak_explicit(
        &wake->head, &head, item, memory_order_release, memory_order_relaxed));
    if (!head) {
        int err = wr_sys_eventfd_write(wake->fd);
        wr_check(err == 0);
    }
    return 0;
}

static void wake_posters(struct wr_wake *wake)
{
    if (atomic_load_explicit(&wake->waiting_count, memory_order_seq_cst) > 0) {
        pthread_mutex_lock(&wake->mutex);
        pthread_cond_broadcast(&wake->room);
        pthread_mutex_unlock(&wake->mutex);
    }
}

static bool wake_is_closed(const struct wr_wake *wake)
{
    /* Sequentially consistent with the registration of a waiter. */
    return atomic_load_explicit(&wake->head, memory_order_seq_cst) ==
           &wake_closed_mark;
}

static bool wake_has_room_for(struct wr_wake *wake, uint64_t number)
{
    if (number < atomic_load_explicit(&wake->room_end, memory_order_relaxed)) {
        return true;
    }
    const uint64_t end =
        wake->limit +
        atomic_load_explicit(&wake->popped_total, memory_order_seq_cst);
    /* Relaxed: a poster that reads an older value only checks again. */
    atomic_store_explicit(&wake->room_end, end, memory_order_relaxed);
    return number < end;
}

/* A post above the limit is not counted, even for a moment: it could make other
 * posters fail, or wait without a wake-up. */
static int wake_claim(struct wr_wake *wake)
{
    uint64_t number =
        atomic_load_explicit(&wake->posted_count, memory_order_relaxed);
    do {
        if (!wake_has_room_for(wake, number)) {
            return wake_is_closed(wake) ? -ESHUTDOWN : -ENOBUFS;
        }
        /* Relaxed: only the number matters. */
    } while (!atomic_compare_exchange_weak_explicit(
        &wake->posted_count, &number, number + 1, memory_order_relaxed,
        memory_order_relaxed));
    return 0;
}

static const void *volatile *wake_make_owner(void)
{
    const void **page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return NULL;
    }
    if (madvise(page, PAGE_BYTES, MADV_WIPEONFORK) < 0) {
        munmap(page, PAGE_BYTES);
        return NULL;
    }
    page[0] = WR_UNBOUND;
    page[1] = WR_UNBOUND;
    return page;
}

static int wake_init_waiting(struct wr_wake *wake)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr)) {
        return -ENOMEM;
    }
    int err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    wr_check(err == 0);
    err = pthread_cond_init(&wake->room, &attr);
    pthread_condattr_destroy(&attr);
    if (err == 0 && pthread_mutex_init(&wake->mutex, NULL)) {
        pthread_cond_destroy(&wake->room);
        err = ENOMEM;
    }
    return err ? -ENOMEM : 0;
}

static void wake_init_empty(struct wr_wake *wake, uint32_t limit)
{
    atomic_init(&wake->head, NULL);
    atomic_init(&wake->refs, 1);
    atomic_init(&wake->waiting_count, 0);
    atomic_init(&wake->posted_count, 0);
    atomic_init(&wake->room_end, limit);
    atomic_init(&wake->popped_total, 0);
    atomic_init(&wake->own_posted, 0);
    atomic_init(&wake->thread, NULL);
    wake->limit = limit;
    wake->taken = NULL;
    wake->taken_end = &wake->taken;
    wake->own_popped = 0;
    wake->popped_count = 0;
    wr_assert(wake->limit > 0);
}

int wr_wake_open(const struct weir_allocator *allocator, uint32_t limit,
                 struct wr_wake **ret)
{
    int err = -ENOMEM;
    struct wr_wake *wake = wr_alloc(allocator, sizeof(*wake));
    if (!wake) {
        return err;
    }
    wake->owner = wake_make_owner();
    if (!wake->owner) {
        goto fail_owner;
    }
    err = wake_init_waiting(wake);
    if (err < 0) {
        goto fail_waiting;
    }
    wake->fd = wr_sys_eventfd();
    if (wake->fd < 0) {
        err = wake->fd;
        goto fail_eventfd;
    }
    wake_init_empty(wake, limit);
    wake->allocator = *allocator;
    wake_check_invariants(wake);
    *ret = wake;
    return 0;

fail_eventfd:
    pthread_mutex_destroy(&wake->mutex);
    pthread_cond_destroy(&wake->room);
fail_waiting:
    munmap((void *)(uintptr_t)wake->owner, PAGE_BYTES);
fail_owner:
    wr_free(allocator, wake, sizeof(*wake));
    return err;
}

const void *volatile *wr_wake_owner(const struct wr_wake *wake)
{
    return wake->owner;
}

bool wr_wake_is_forked(const struct wr_wake *wake)
{
    return wake->owner[1] == NULL;
}

void wr_wake_set_thread(struct wr_wake *wake, const void *thread)
{
    /* Relaxed: a thread only checks whether it is the owner's. */
    atomic_store_explicit(&wake->thread, thread, memory_order_relaxed);
}

void wr_wake_ref(struct wr_wake *wake)
{
    /* Relaxed: the caller has a reference, so nothing is freed meanwhile. */
    unsigned before =
        atomic_fetch_add_explicit(&wake->refs, 1, memory_order_relaxed);
    wr_assert(before > 0);
}

void wr_wake_unref(struct wr_wake *wake)
{
    /* Releases this thread's changes. The last unref acquires all. */
    wr_race_release(wake);
    unsigned before =
        atomic_fetch_sub_explicit(&wake->refs, 1, memory_order_acq_rel);
    wr_assert(before > 0);
    if (before > 1) {
        return;
    }
    wr_race_acquire(wake);
    struct wr_wake_item *left =
        atomic_load_explicit(&wake->head, memory_order_relaxed);
    wr_assert(!wake_is_item(left));
    wr_assert(!wake->taken);
    wr_assert(wake->popped_count == 0);
    wr_assert(
        atomic_load_explicit(&wake->waiting_count, memory_order_relaxed) == 0);
    wr_assert(atomic_load_explicit(&wake->posted_count, memory_order_relaxed) ==
              atomic_load_explicit(&wake->popped_total, memory_order_relaxed));
    struct weir_allocator allocator = wake->allocator;
    wr_sys_close(wake->fd);
    pthread_mutex_destroy(&wake->mutex);
    pthread_cond_destroy(&wake->room);
    munmap((void *)(uintptr_t)wake->owner, PAGE_BYTES);
    wr_free(&allocator, wake, sizeof(*wake));
}

int wr_wake_post_item(struct wr_wake *wake, struct wr_wake_item *item)
{
    wr_assert(item->run);
    int err = item->is_counted ? wake_claim(wake) : 0;
    if (err < 0) {
        return err;
    }
    /* Relaxed: only the owner's thread reads and writes this field. */
    if (item->is_own) {
        atomic_fetch_add_explicit(&wake->own_posted, 1, memory_order_relaxed);
    }
    err = wake_push(wake, item);
    if (err < 0 && item->is_counted) {
        /* The mailbox is closed, which waiting posters see too. */
        atomic_fetch_sub_explicit(&wake->posted_count, 1, memory_order_relaxed);
    }
    return err;
}

bool wr_wake_is_owned_by(const struct wr_wake *wake, const void *thread)
{
    /* Relaxed: a thread only checks whether it is the owner's. */
    return atomic_load_explicit(&wake->thread, memory_order_relaxed) == thread;
}

int wr_wake_post(struct wr_wake *wake, const void *thread,
                 void (*run)(void *arg), void *arg, void (*drop)(void *arg))
{
    struct wr_wake_item *item = wr_alloc(&wake->allocator, sizeof(*item));
    if (!item) {
        return -ENOMEM;
    }
    *item = (struct wr_wake_item){.run = run,
                                  .arg = arg,
                                  .drop = drop,
                                  .is_counted = true,
                                  .is_own = wr_wake_is_owned_by(wake, thread),
                                  .is_allocated = true};
    int err = wr_wake_post_item(wake, item);
    if (err < 0) {
        wr_wake_free_item(wake, item);
    }
    return err;
}

static bool wake_has_room(struct wr_wake *wake)
{
    return wake_has_room_for(wake,
                             atomic_load_explicit(&wake->posted_count,
                                                  memory_order_seq_cst)) ||
           wake_is_closed(wake);
}

/* Called with the mutex locked. Unlocks it during the wait. */
static int wake_wait_room_until(struct wr_wake *wake, uint64_t deadline_ns)
{
    const struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / 1000000000u),
        .tv_nsec = (long)(deadline_ns % 1000000000u),
    };
    int err = 0;

    while (!wake_has_room(wake) && err == 0) {
        err =
            deadline_ns == UINT64_MAX
                ? pthread_cond_wait(&wake->room, &wake->mutex)
                : pthread_cond_timedwait(&wake->room, &wake->mutex, &deadline);
    }
    return wake_has_room(wake) ? 0 : -err;
}

int wr_wake_wait_room(struct wr_wake *wake, const void *thread,
                      uint64_t deadline_ns)
{
    if (wr_wake_is_owned_by(wake, thread)) {
        return -EDEADLK;
    }
    pthread_mutex_lock(&wake->mutex);
    /* Must precede the count. Pairs with wr_wake_pop() and wr_wake_close(). */
    atomic_fetch_add_explicit(&wake->waiting_count, 1, memory_order_seq_cst);
    const int err = wake_wait_room_until(wake, deadline_ns);
    atomic_fetch_sub_explicit(&wake->waiting_count, 1, memory_order_relaxed);
    pthread_mutex_unlock(&wake->mutex);
    return err;
}

int wr_wake_fd(const struct wr_wake *wake)
{
    return wake->fd;
}

bool wr_wake_take(struct wr_wake *wake)
{
    wr_debug_check(wake_check_invariants(wake));
    /* Loads first, which keeps the cache line shared while no thread posts. */
    struct wr_wake_item *head =
        atomic_load_explicit(&wake->head, memory_order_relaxed);
    if (wake_is_item(head)) {
        /* Acquires the items that posters released. Only the owner closes the
         * mailbox, so the closed mark cannot have appeared in between. */
        wake_append(wake,
                    atomic_exchange_explicit(&wake->head, &wake_awake_mark,
                                             memory_order_acquire));
    }
    return wake->taken != NULL;
}

bool wr_wake_rest(struct wr_wake *wake)
{
    struct wr_wake_item *head = &wake_awake_mark;

    wr_assert(!wake->taken);
    /* Relaxed: no data is passed; the next take acquires a post. */
    return atomic_compare_exchange_strong_explicit(&wake->head, &head, NULL,
                                                   memory_order_relaxed,
                                                   memory_order_relaxed) ||
           !wake_is_item(head);
}

struct wr_wake_item *wr_wake_pop(struct wr_wake *wake)
{
    struct wr_wake_item *item = wake->taken;

    wr_debug_check(wake_check_invariants(wake));
    if (!item) {
        return NULL;
    }
    wr_assert(item->is_posted);
    wr_race_acquire(item);
    wake->taken = item->next;
    if (!wake->taken) {
        wake->taken_end = &wake->taken;
    }
    item->next = NULL;
    item->is_posted = false;
    wake->own_popped += item->is_own;
    wake->popped_count += item->is_counted;
    if (wake->popped_count >= POPPED_MAX ||
        (!wake->taken && wake->popped_count > 0)) {
        wr_assert(wake->popped_count > 0);
        const uint64_t before =
            atomic_load_explicit(&wake->popped_total, memory_order_relaxed);
        /* Must precede the check for waiting posters (wr_wake_wait_room()). */
        atomic_store_explicit(&wake->popped_total, before + wake->popped_count,
                              memory_order_seq_cst);
        wake->popped_count = 0;
        wake_posters(wake);
    }
    return item;
}

uint64_t wr_wake_own_posted(const struct wr_wake *wake)
{
    /* Relaxed: see wr_wake_post_item(). */
    return atomic_load_explicit(&wake->own_posted, memory_order_relaxed);
}

uint64_t wr_wake_own_popped(const struct wr_wake *wake)
{
    return wake->own_popped;
}

void wr_wake_free_item(struct wr_wake *wake, struct wr_wake_item *item)
{
    wr_assert(!item->is_posted);
    if (item->is_allocated) {
        wr_free(&wake->allocator, item, sizeof(*item));
    }
}

static void wake_run_nothing(void *arg)
{
    (void)arg;
}

/* Cancelled posts stay in the list, which keeps its count and order. */
static size_t wake_cancel_in(struct wr_wake_item *item, void (*run)(void *arg),
                             const void *arg)
{
    size_t count = 0;

    for (; item; item = item->next) {
        wr_assert(item->is_posted);
        wr_race_acquire(item);
        if (item->is_allocated && !item->is_cancelled && item->run == run &&
            item->arg == arg) {
            item->is_cancelled = true;
            item->run = item->drop ? item->drop : wake_run_nothing;
            count++;
        }
    }
    return count;
}

size_t wr_wake_cancel(struct wr_wake *wake, void (*run)(void *arg),
                      const void *arg)
{
    wr_debug_check(wake_check_invariants(wake));
    /* An acquiring load is enough: posters do not change posted items, and only
     * the owner takes them. */
    struct wr_wake_item *head =
        atomic_load_explicit(&wake->head, memory_order_acquire);
    wr_assert(run);
    return wake_cancel_in(wake->taken, run, arg) +
           (wake_is_item(head) ? wake_cancel_in(head, run, arg) : 0);
}

void wr_wake_close(struct wr_wake *wake)
{
    wake_check_invariants(wake);
    /* Acquires like wr_wake_take(). Must precede the check for waiters. */
    struct wr_wake_item *head = atomic_exchange_explicit(
        &wake->head, &wake_closed_mark, memory_order_seq_cst);
    if (wake_is_item(head)) {
        wake_append(wake, head);
    }
    wake_posters(wake);
}
