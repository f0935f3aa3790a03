/*
 * The fake machine's closes of descriptors from peers (uring/closer.h).
 *
 * The machine has no threads. A close ends at once, unless it waits: by a
 * random fault, for a time that comes from the seed, or because the test holds
 * all closes. Descriptors that an owner gives while one of its closes waits are
 * closed together with it. As with a thread, the owner is notified through its
 * mailbox, and descriptors whose owner is gone are closed, too.
 */
#include "uring/closer.h"
#include "tests/fake/world.h"
#include "uring/sys.h"

#include <stdlib.h>
#include <string.h>

/* A close that waits by a fault ends after a few iterations, or much later. */
#define SHORT_NS UINT64_C(1000000)
#define LONG_NS  UINT64_C(3000000000)

struct wr_closer {
    struct wr_list link; /* in the machine's list while closes wait */
    int *fds;            /* of closes that wait */
    size_t count;
    uint64_t due_ns; /* UINT64_MAX: when the test lets it end */
    uint32_t refs;   /* of the owner, the list and the mailbox */
    bool is_awaited;
    bool is_posted;
    struct wr_wake *wake;
    struct wr_wake_item item;
    void (*on_idle)(void *arg); /* NULL if the owner is gone or never waited */
    void *arg;
};

static struct wr_closer *closer_at(struct wr_list *link)
{
    return wr_container_of(link, struct wr_closer, link);
}

static struct wr_closer *closer_make(void)
{
    struct wr_closer *closer = calloc(1, sizeof(*closer));
    wr_assert(closer);
    wr_list_init(&closer->link);
    closer->refs = 1;
    fake.closer_count++;
    return closer;
}

static void closer_unref(struct wr_closer *closer)
{
    wr_assert(closer->refs > 0);
    if (--closer->refs == 0) {
        wr_assert(closer->count == 0);
        fake.closer_count--;
        free(closer);
    }
}

/* ---- notifying the owner ---- */

static void run_item(void *arg)
{
    struct wr_closer *closer = arg;
    void (*on_idle)(void *arg) = closer->on_idle;
    void *owner = closer->arg;
    closer->is_posted = false;
    closer_unref(closer);
    if (on_idle) {
        on_idle(owner);
    }
}

static void drop_item(void *arg)
{
    closer_unref(arg);
}

static void tell_owner(struct wr_closer *closer)
{
    if (!closer->is_awaited || closer->is_posted) {
        return;
    }
    closer->is_awaited = false;
    closer->is_posted = true;
    closer->refs++;
    closer->item = (struct wr_wake_item){
        .run = run_item, .arg = closer, .drop = drop_item};
    if (wr_wake_post_item(closer->wake, &closer->item) != 0) {
        fake_fail("a closer was not let go before the end of its loop");
    }
}

/* ---- closes that wait ---- */

static void close_now(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        wr_ignore(wr_sys_close(fds[i]) < 0);
    }
}

static void end_closes(struct wr_closer *closer)
{
    fake_trace("%zu closes have waited", closer->count);
    close_now(closer->fds, closer->count);
    free(closer->fds);
    closer->fds = NULL;
    closer->count = 0;
    wr_list_remove(&closer->link);
    tell_owner(closer);
    closer_unref(closer);
}

static void end_due(void *arg)
{
    struct wr_list *link = fake.closers.next;
    while (link != &fake.closers) {
        struct wr_closer *closer = closer_at(link);
        link = link->next;
        if (closer->due_ns <= fake.now_ns) {
            end_closes(closer);
        }
    }
}

void fake_closers_end(void)
{
    while (!wr_list_is_empty(&fake.closers)) {
        end_closes(closer_at(fake.closers.next));
    }
}

void fake_hold_closes(bool holds)
{
    fake.holds_closes = holds;
    if (!holds) {
        fake_closers_end();
    }
}

uint32_t fake_closing_tokens(uint64_t first, uint64_t count)
{
    uint32_t found = 0;
    for (struct wr_list *link = fake.closers.next; link != &fake.closers;
         link = link->next) {
        const struct wr_closer *closer = closer_at(link);
        for (size_t i = 0; i < closer->count; i++) {
            const struct fake_file *file =
                fake_file_get(closer->fds[i], "a close that waits");
            found += file->kind == FAKE_TOKEN && file->token - first < count;
        }
    }
    return found;
}

/* ---- the owner's side ---- */

static void wait_with(struct wr_closer *closer, const int *fds, size_t count)
{
    closer->fds =
        realloc(closer->fds, (closer->count + count) * sizeof(*closer->fds));
    wr_assert(closer->fds);
    memcpy(closer->fds + closer->count, fds, count * sizeof(*fds));
    if (closer->count == 0) {
        const uint64_t most_ns = fake_chance(300) ? LONG_NS : SHORT_NS;
        closer->due_ns =
            fake.holds_closes ? UINT64_MAX : fake.now_ns + fake_random(most_ns);
        closer->refs++;
        wr_list_push_back(&fake.closers, &closer->link);
        if (!fake.holds_closes) {
            fake_at(closer->due_ns, end_due, NULL);
        }
    }
    closer->count += count;
    fake.stats.closes_waited += count;
    fake_trace("%zu closes wait", count);
}

void wr_closer_close(struct wr_closer **closer, const int *fds, size_t count)
{
    if (count == 0) {
        return;
    }
    if (!*closer) {
        *closer = closer_make();
    }
    if ((*closer)->count > 0 || fake.holds_closes ||
        fake_chance(fake.options.permille[FAKE_SLOW_CLOSE])) {
        wait_with(*closer, fds, count);
    } else {
        close_now(fds, count);
    }
}

void wr_closer_close_alone(const int *fds, size_t count)
{
    struct wr_closer *closer = NULL;

    wr_closer_close(&closer, fds, count);
    wr_closer_detach(&closer);
}

void wr_closer_close_empty(int fd)
{
    const struct fake_file *file = fake_file_get(fd, "close");

    if (file->kind == FAKE_STREAM && fake_end_readable(file->end) > 0) {
        fake_fail("descriptor %d is closed as empty, and is not", fd);
    }
    close_now(&fd, 1);
}

bool wr_closer_is_busy(struct wr_closer *closer, struct wr_wake *wake,
                       void (*on_idle)(void *arg), void *arg)
{
    if (!closer) {
        return false;
    }
    closer->is_awaited = closer->count > 0;
    closer->wake = wake;
    closer->on_idle = on_idle;
    closer->arg = arg;
    return closer->is_awaited;
}

void wr_closer_detach(struct wr_closer **closer)
{
    if (!*closer) {
        return;
    }
    (*closer)->is_awaited = false;
    (*closer)->on_idle = NULL;
    closer_unref(*closer);
    *closer = NULL;
}
