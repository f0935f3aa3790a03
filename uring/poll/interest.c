/*
 * The epoll set: which descriptors it has, and which it should have.
 *
 * The kernel may remove a descriptor from the set by itself, so changing a
 * missing descriptor adds it again. If the set reports a file that was closed
 * here, its watch is not registered, or the event has an older generation.
 */
#include "poll_impl.h"

#include "../alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* After this many events in a row without a completion, a watch becomes
 * edge-triggered. Otherwise a permanent error that no operation returns would
 * end every wait at once. */
#define VAIN_MAX 8u
/* Time in ns that a wait sleeps first if the set may report files that were
 * closed here, because their events would end every wait at once. */
#define REST_NS 1000000u

void wr_ep_interest_close(struct wr_ep_interest *interest)
{
    for (uint32_t i = 0; i < interest->chunk_count; i++) {
        wr_free(interest->allocator, interest->chunks[i],
                WR_EP_CHUNK_WATCHES * sizeof(struct wr_ep_watch));
    }
    wr_free(interest->allocator, interest->chunks,
            interest->chunk_count * sizeof(struct wr_ep_watch *));
    wr_assert(interest->epfd >= 0);
    close(interest->epfd);
}

static bool interest_grow(struct wr_ep_interest *interest, uint32_t index)
{
    const uint32_t old = interest->chunk_count;
    const uint32_t count = (uint32_t)wr_max_u64(index + 1, 2 * (uint64_t)old);
    const size_t word = sizeof(struct wr_ep_watch *);
    wr_assert(count > old);
    struct wr_ep_watch **chunks = wr_alloc(interest->allocator, count * word);

    if (!chunks) {
        return false;
    }
    memset(chunks, 0, count * word);
    if (old > 0) {
        memcpy(chunks, interest->chunks, old * word);
    }
    wr_free(interest->allocator, interest->chunks, old * word);
    interest->chunks = chunks;
    interest->chunk_count = count;
    return true;
}

static bool interest_add_chunk(struct wr_ep_interest *interest, uint32_t index)
{
    const size_t size = WR_EP_CHUNK_WATCHES * sizeof(struct wr_ep_watch);

    wr_assert(!interest->chunks[index]);
    struct wr_ep_watch *chunk = wr_alloc(interest->allocator, size);
    if (!chunk) {
        return false;
    }
    memset(chunk, 0, size);
    for (uint32_t i = 0; i < WR_EP_CHUNK_WATCHES; i++) {
        wr_list_init(&chunk[i].ops);
        wr_list_init(&chunk[i].changed);
        chunk[i].fd = (int)(index * WR_EP_CHUNK_WATCHES + i);
    }
    interest->chunks[index] = chunk;
    return true;
}

struct wr_ep_watch *wr_ep_watch_add(struct wr_ep_interest *interest, int fd)
{
    const uint32_t index = (uint32_t)fd / WR_EP_CHUNK_WATCHES;

    wr_assert(!wr_ep_watch_find(interest, fd));
    if (index >= interest->chunk_count && !interest_grow(interest, index)) {
        return NULL;
    }
    return interest_add_chunk(interest, index) ? wr_ep_watch_find(interest, fd)
                                               : NULL;
}

static void interest_mark(struct wr_ep_interest *interest,
                          struct wr_ep_watch *watch)
{
    wr_debug_assert(watch->fd >= 0);
    if (!wr_list_is_linked(&watch->changed)) {
        wr_list_push_back(&interest->changed, &watch->changed);
    }
}

/* Returns true if the set already reports all events that @op waits for. */
static bool interest_has_all(const struct wr_ep_watch *watch,
                             const struct wr_ep_op *op)
{
    const uint32_t missing = op->events & ~watch->registered;

    wr_debug_assert(op->told == 0);
    return watch->is_own && missing == 0 &&
           !(watch->registered & (uint32_t)EPOLLET) &&
           watch->vain_count < VAIN_MAX && !watch->is_overheard;
}

void wr_ep_watch_park(struct wr_ep_interest *interest,
                      struct wr_ep_watch *watch, struct wr_ep_op *op)
{
    const bool is_only = wr_list_is_empty(&watch->ops);

    wr_assert(op->state == WR_EP_PARKED);
    wr_list_push_back(&watch->ops, &op->link);
    if (is_only && interest_has_all(watch, op)) {
        wr_list_remove(&watch->changed);
        return;
    }
    watch->is_fresh = true;
    interest_mark(interest, watch);
}

void wr_ep_watch_leave(struct wr_ep_interest *interest,
                       struct wr_ep_watch *watch, struct wr_ep_op *op)
{
    wr_assert(op->state == WR_EP_PARKED);
    wr_assert(wr_list_is_linked(&op->link));
    wr_list_remove(&op->link);
    if (wr_list_is_empty(&watch->ops)) {
        interest_mark(interest, watch);
    }
}

void wr_ep_watch_note_slowly(struct wr_ep_interest *interest,
                             struct wr_ep_watch *watch, bool was_useful,
                             bool was_wanted)
{
    const bool by_edges = (watch->registered & (uint32_t)EPOLLET) != 0;

    wr_assert(was_wanted || !was_useful);
    watch->vain_count = was_useful ? 0
                        : watch->vain_count < VAIN_MAX
                            ? (uint8_t)(watch->vain_count + 1)
                            : (uint8_t)VAIN_MAX;
    if (!by_edges && (!was_wanted || watch->vain_count >= VAIN_MAX)) {
        watch->is_overheard = true; /* interest_update() reduces the events */
        interest_mark(interest, watch);
    } else if (by_edges && was_useful) {
        /* the event may still hold: interest_update() rearms */
        watch->is_fresh = true;
        interest_mark(interest, watch);
    }
}

static int interest_control(const struct wr_ep_interest *interest,
                            const struct wr_ep_watch *watch, int change,
                            uint32_t events)
{
    const uint32_t own = watch->is_own ? WR_EP_EVENT_OWN : 0;
    struct epoll_event event = {
        .events = events,
        .data.u64 =
            (uint64_t)watch->generation << 32 | own | (uint32_t)watch->fd,
    };

    wr_assert(interest->epfd >= 0);
    return epoll_ctl(interest->epfd, change, watch->fd, &event) < 0 ? -errno
                                                                    : 0;
}

static void interest_remove(struct wr_ep_interest *interest,
                            struct wr_ep_watch *watch)
{
    if (watch->registered != 0) {
        watch->registered = 0;
        /* The descriptor may have been closed. */
        wr_ignore(interest_control(interest, watch, EPOLL_CTL_DEL, 0) < 0);
    }
    watch->vain_count = 0;
    watch->is_own = false;
    watch->is_drained = false;
}

void wr_ep_watch_forget(struct wr_ep_interest *interest,
                        struct wr_ep_watch *watch)
{
    wr_assert(wr_list_is_empty(&watch->ops));
    interest_remove(interest, watch);
    wr_list_remove(&watch->changed);
    watch->is_connector = false;
    watch->is_fresh = false;
    watch->is_overheard = false;
}

void wr_ep_watch_close(struct wr_ep_interest *interest,
                       struct wr_ep_watch *watch)
{
    if (!interest->removes) {
        watch->registered = 0; /* the close removes it from the set */
    }
    wr_ep_watch_forget(interest, watch);
}

/* Adds EPOLLET if the set would otherwise report an event all the time: an
 * error and a hang-up cannot be masked. */
static uint32_t interest_wanted(const struct wr_ep_watch *watch)
{
    const uint32_t unasked = (uint32_t)(EPOLLERR | EPOLLHUP);
    uint32_t wanted = 0;
    uint32_t told = 0;

    for (const struct wr_list *link = watch->ops.next; link != &watch->ops;
         link = link->next) {
        const struct wr_ep_op *op =
            wr_container_of(link, const struct wr_ep_op, link);
        wr_debug_assert(op->state == WR_EP_PARKED);
        wanted |= op->events & ~op->told;
        told |= op->told;
    }
    if (wanted != 0 && (told & unasked || watch->vain_count >= VAIN_MAX)) {
        wanted |= (uint32_t)EPOLLET;
    }
    return wanted;
}

static int interest_register(struct wr_ep_interest *interest,
                             struct wr_ep_watch *watch, uint32_t events)
{
    int err = -ENOENT;

    wr_assert(events != 0);
    if (watch->registered != 0) {
        err = interest_control(interest, watch, EPOLL_CTL_MOD, events);
    }
    if (err == -ENOENT) {
        watch->generation++;
        err = interest_control(interest, watch, EPOLL_CTL_ADD, events);
    }
    if (err == -EEXIST) { /* the set still has a file that was closed here */
        err = interest_control(interest, watch, EPOLL_CTL_MOD, events);
    }
    watch->registered = err == 0 ? events : 0;
    return err;
}

static int interest_update(struct wr_ep_interest *interest,
                           struct wr_ep_watch *watch)
{
    const uint32_t wanted = interest_wanted(watch);
    const uint32_t missing = wanted & ~watch->registered;
    const uint32_t differing = wanted ^ watch->registered;

    wr_assert(wanted != (uint32_t)EPOLLET);
    if (wanted == 0) {
        /* The watch may stay in the set for its next operation, unless a host
         * waits for the set. */
        if (!wr_list_is_empty(&watch->ops) || !watch->is_own ||
            watch->is_overheard || interest->is_shared) {
            interest_remove(interest, watch);
        }
        return 0;
    }
    if (missing != 0 || (differing & (uint32_t)EPOLLET) ||
        (watch->is_fresh && (!watch->is_own || wanted & (uint32_t)EPOLLET)) ||
        watch->is_overheard) {
        return interest_register(interest, watch, wanted);
    }
    return 0;
}

static int interest_open_set(int own_fd)
{
    struct epoll_event event = {.events = EPOLLIN,
                                .data.u64 = (uint32_t)own_fd};
    const int epfd = epoll_create1(EPOLL_CLOEXEC);

    wr_assert(own_fd >= 0);
    if (epfd >= 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, own_fd, &event) < 0) {
        const int err = -errno;
        close(epfd);
        return err;
    }
    return epfd >= 0 ? epfd : -errno;
}

/* Makes a new set, without files that were closed here. Keeps the old set on
 * error. The watches are added before the next wait. */
static int interest_renew(struct wr_ep_interest *interest)
{
    const int epfd = interest_open_set(interest->own_fd);

    wr_assert(!interest->is_shared);
    wr_require(epfd >= 0, epfd);
    close(interest->epfd);
    interest->epfd = epfd;
    interest->has_leftover = false;
    for (uint32_t fd = 0; fd < wr_ep_interest_fds(interest); fd++) {
        struct wr_ep_watch *watch = wr_ep_watch_find(interest, (int)fd);
        if (watch && watch->registered != 0 && watch->fd != interest->own_fd) {
            watch->registered = 0;
            interest_mark(interest, watch);
        }
    }
    return 0;
}

int wr_ep_interest_share(struct wr_ep_interest *interest)
{
    const int err = interest->is_shared ? 0 : interest_renew(interest);
    wr_require(err >= 0, err);
    const int fd = fcntl(interest->epfd, F_DUPFD_CLOEXEC, 0);
    wr_require(fd >= 0, -errno);
    interest->is_shared = true;
    interest->removes = true;
    return fd;
}

struct wr_ep_watch *wr_ep_interest_apply(struct wr_ep_interest *interest,
                                         int *ret_err)
{
    struct wr_list *link;

    interest->is_new = false;
    if (WR_UNLIKELY(interest->has_leftover)) {
        wr_ignore(interest_renew(interest) < 0); /* the next enter retries */
    }
    while ((link = wr_list_pop_front(&interest->changed))) {
        struct wr_ep_watch *watch =
            wr_container_of(link, struct wr_ep_watch, changed);
        const int err = interest_update(interest, watch);
        watch->is_fresh = false;
        watch->is_overheard = false;
        if (err < 0) {
            wr_assert(watch->registered == 0);
            *ret_err = err;
            return watch;
        }
    }
    return NULL;
}

bool wr_ep_interest_is_refused(const struct wr_ep_interest *interest)
{
    const struct wr_ep_watch *own =
        wr_ep_watch_find(interest, interest->own_fd);

    wr_assert(own && own->generation == 0);
    const int err = interest_control(interest, own, EPOLL_CTL_MOD, EPOLLIN);
    return err == -EPERM || err == -ENOSYS;
}

int wr_ep_interest_open(struct wr_ep_interest *interest,
                        const struct weir_allocator *allocator, int own_fd)
{
    memset(interest, 0, sizeof(*interest));
    interest->allocator = allocator;
    interest->own_fd = own_fd;
    wr_list_init(&interest->changed);
    interest->epfd = interest_open_set(own_fd);
    wr_require(interest->epfd >= 0, interest->epfd);
    struct wr_ep_watch *own = wr_ep_watch_get(interest, own_fd);
    if (!own) {
        wr_ep_interest_close(interest);
        return -ENOMEM;
    }
    own->registered = EPOLLIN;
    return 0;
}

/* Calls epoll_pwait2() (Linux 5.11) if the timeout is neither 0 nor infinite.
 * If a seccomp filter refuses a call, makes another. */
static int interest_call(struct wr_ep_interest *interest, uint64_t timeout_ns)
{
    const int max = (int)WR_EP_EVENTS_MAX;
    const struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / 1000000000u),
        .tv_nsec = (long)(timeout_ns % 1000000000u),
    };
    const bool is_exact = timeout_ns != 0 && timeout_ns != UINT64_MAX;

    wr_assert(interest->epfd >= 0);
#ifdef SYS_epoll_pwait2
    if (is_exact && !interest->has_no_pwait2) {
        const long ret =
            syscall(SYS_epoll_pwait2, interest->epfd, interest->events, max,
                    &timeout, NULL, (size_t)0);
        if (ret >= 0 || (errno != ENOSYS && errno != EPERM)) {
            return (int)ret;
        }
        interest->has_no_pwait2 = true;
    }
#endif
    const uint64_t timeout_ms =
        timeout_ns / 1000000u + (timeout_ns % 1000000u != 0);
    const int wait_ms = timeout_ns == UINT64_MAX ? -1
                        : timeout_ms > INT_MAX   ? INT_MAX
                                                 : (int)timeout_ms;
    const int got = epoll_wait(interest->epfd, interest->events, max, wait_ms);
    return got < 0 && (errno == ENOSYS || errno == EPERM)
               ? epoll_pwait(interest->epfd, interest->events, max, wait_ms,
                             NULL)
               : got;
}

int wr_ep_interest_wait(struct wr_ep_interest *interest, uint64_t timeout_ns)
{
    if (WR_UNLIKELY(interest->has_leftover)) {
        const struct timespec rest = {
            .tv_nsec = (long)wr_min_u64(timeout_ns, REST_NS)};

        wr_assert(rest.tv_nsec < 1000000000);
        nanosleep(&rest, NULL);
        /* The next event of such a file sets has_leftover again. */
        interest->has_leftover = false;
    }
    int got = interest_call(interest, timeout_ns);
    if (got < 0) {
        got = errno == EINTR ? 0 : -errno;
    }
    wr_assert(got <= (int)WR_EP_EVENTS_MAX);
    interest->event_next = 0;
    interest->event_count = got < 0 ? 0 : (uint32_t)got;
    interest->is_new = true;
    return got;
}

void wr_ep_interest_note_leftover(struct wr_ep_interest *interest)
{
    wr_assert(interest->event_count > 0);
    if (interest->is_new && !interest->is_shared) {
        interest->removes = true;
        interest->has_leftover = true;
    }
}
