/*
 * The poll engine: a ring that epoll, system calls and a few threads carry out.
 *
 * This engine implements ring.h if io_uring is refused. Receives are multishot
 * and buffers incremental, as on Linux 6.17: single receives of 16 KiB would
 * take nearly twice the instructions for an echo.
 *
 * An enter begins the prepared entries, adds those that must wait for
 * descriptors to the epoll set, waits, and attempts the operations whose
 * descriptors have become ready. If there are completions, or the loop has work
 * left, the enter does not wait, and only every fourth of such enters calls
 * epoll_wait().
 *
 * Without memory an entry that would have to wait stays in the queue, and is
 * tried again each millisecond. When the queue is full of such entries, the
 * oldest ends with -ENOMEM.
 */
#include "poll_impl.h"

#include "../alloc.h"
#include "../probe.h"
#include "../sys.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SQ_FULL_RETRIES 1000
/* Maximum length in ns of a wait while entries wait for memory. */
#define SHORTAGE_NS UINT64_C(1000000)
/* Maximum number of enters in a row that do not call epoll_wait(). */
#define SKIPS_MAX 3u
/* Maximum number of connections whose events an enter handles. */
#define RECEIVES_MAX 64u

static struct wr_ep_ring *ring_of(struct wr_ring *base)
{
    wr_debug_assert(base->engine == &wr_engine_poll);
    return wr_container_of(base, struct wr_ep_ring, base);
}

static int ring_open_parts(struct wr_ep_ring *ring, uint32_t sq_entries)
{
    const struct weir_allocator *allocator = ring->base.allocator;

    ring->sq = wr_alloc(allocator, sq_entries * sizeof(*ring->sq));
    wr_require(ring->sq, -ENOMEM);
    ring->sq_entries = sq_entries;
    int err = wr_ep_ops_init(&ring->ops, allocator, sq_entries);
    if (err < 0) {
        goto free_sq;
    }
    err = wr_ep_workers_open(&ring->workers);
    if (err < 0) {
        goto fini_ops;
    }
    err =
        wr_ep_interest_open(&ring->interest, allocator, ring->workers.eventfd);
    if (err < 0) {
        goto close_workers;
    }
    wr_list_init(&ring->timed);
    return 0;

close_workers:
    wr_ep_workers_close(&ring->workers, &ring->ops);
fini_ops:
    wr_ep_ops_fini(&ring->ops);
free_sq:
    wr_free(allocator, ring->sq, sq_entries * sizeof(*ring->sq));
    return err;
}

static int ring_open(const struct wr_ring_options *options,
                     struct wr_ring **ret, struct wr_features *ret_features)
{
    const struct weir_allocator *allocator = options->allocator;
    wr_assert(options->sq_entries > 0);
    struct wr_ep_ring *ring = wr_alloc(allocator, sizeof(*ring));

    wr_require(ring, -ENOMEM);
    memset(ring, 0, sizeof(*ring));
    ring->base.engine = &wr_engine_poll;
    ring->base.allocator = allocator;
    const int err = ring_open_parts(ring, options->sq_entries);
    if (err < 0) {
        wr_free(allocator, ring, sizeof(*ring));
        return err;
    }
    memset(ret_features, 0, sizeof(*ret_features));
    wr_probe_machine(ret_features);
    ret_features->sq_entries = options->sq_entries;
    ret_features->cq_entries = options->cq_entries;
    *ret = &ring->base;
    return 0;
}

static int ring_enable(struct wr_ring *base)
{
    struct wr_ep_ring *ring = ring_of(base);

    wr_assert(!ring->enabled);
    ring->enabled = true;
    return 0;
}

/* Discards an SQE after an error. A close is carried out here. */
static __attribute__((noinline, cold)) void
ring_lose_entry(struct wr_ep_ring *ring)
{
    wr_assert(ring->error);
    if (ring->discarded.opcode == IORING_OP_CLOSE) {
        wr_ignore(wr_sys_close(ring->discarded.fd) < 0);
    }
    ring->discarded.opcode = IORING_OP_NOP;
}

static void ring_close(struct wr_ring *base)
{
    struct wr_ep_ring *ring = ring_of(base);
    const struct weir_allocator *allocator = base->allocator;

    if (ring->error) {
        ring_lose_entry(ring);
    }
    wr_ep_cancel_all(ring);
    wr_ep_workers_close(&ring->workers, &ring->ops);
    wr_ep_interest_close(&ring->interest);
    wr_ep_buffers_close(&ring->buffers, allocator);
    wr_ep_ops_fini(&ring->ops);
    wr_assert(ring->sq_entries > 0);
    wr_free(allocator, ring->sq, ring->sq_entries * sizeof(*ring->sq));
    wr_free(allocator, ring, sizeof(*ring));
}

static uint32_t ring_unsubmitted(const struct wr_ring *base)
{
    const struct wr_ep_ring *ring =
        wr_container_of(base, const struct wr_ep_ring, base);

    wr_debug_assert(ring->sq_head <= ring->sq_tail);
    return ring->sq_tail - ring->sq_head;
}

static struct io_uring_sqe *ring_unsubmitted_at(struct wr_ring *base,
                                                uint32_t index)
{
    struct wr_ep_ring *ring = ring_of(base);

    wr_assert(ring->sq_head + index < ring->sq_tail);
    return &ring->sq[ring->sq_head + index];
}

/* Begins the entries after the first, for which there was no memory; some need
 * none. Entries that cannot begin stay in the queue, in order. */
static __attribute__((noinline, cold)) void
ring_submit_rest(struct wr_ep_ring *ring)
{
    wr_assert(ring->kept_count == 0);
    for (uint32_t i = ring->sq_head; i < ring->sq_tail; i++) {
        struct io_uring_sqe sqe = ring->sq[i];
        if (i > ring->sq_head && wr_ep_issue(ring, &sqe)) {
            ring->base.stats.submitted++;
        } else {
            ring->sq[ring->kept_count++] = sqe;
        }
    }
    ring->sq_head = 0;
    ring->sq_tail = ring->kept_count;
    ring->kept_count = 0;
}

static void ring_submit(struct wr_ep_ring *ring)
{
    while (ring->sq_head < ring->sq_tail) {
        if (WR_UNLIKELY(!wr_ep_issue(ring, &ring->sq[ring->sq_head]))) {
            ring_submit_rest(ring);
            return;
        }
        ring->sq_head++;
        ring->base.stats.submitted++;
    }
    wr_assert(ring->sq_head == ring->sq_tail);
    ring->sq_head = 0;
    ring->sq_tail = 0;
}

static __attribute__((noinline, cold)) void
ring_submit_full_queue(struct wr_ep_ring *ring)
{
    wr_assert(ring->sq_tail == ring->sq_entries);
    ring->base.stats.sq_full++;
    ring_submit(ring);
    for (int i = 0; i < SQ_FULL_RETRIES && ring->sq_tail == ring->sq_entries;
         i++) {
        /* The oldest entry waits for memory, and other entries need its slot.
         * There is no space for its completion only if the loop prepared
         * several times @sq_entries in one iteration. */
        wr_assert(ring->sq_head == 0);
        if (!wr_ep_ops_may_end(&ring->ops)) {
            wr_sys_sleep_a_little();
            ring_submit(ring);
            continue;
        }
        wr_ep_ops_complete(&ring->ops, &ring->sq[0], -ENOMEM, 0);
        ring->sq_tail--;
        memmove(&ring->sq[0], &ring->sq[1],
                ring->sq_tail * sizeof(ring->sq[0]));
    }
    if (ring->sq_tail == ring->sq_entries && !ring->error) {
        ring->error = -EAGAIN;
    }
}

static struct io_uring_sqe *ring_sqe(struct wr_ring *base)
{
    struct wr_ep_ring *ring = ring_of(base);
    struct io_uring_sqe *sqe = &ring->discarded;

    wr_assert(ring->enabled);
    if (WR_UNLIKELY(ring->sq_tail == ring->sq_entries) && !ring->error) {
        ring_submit_full_queue(ring);
    }
    if (WR_UNLIKELY(ring->error)) {
        ring_lose_entry(ring);
    } else {
        sqe = &ring->sq[ring->sq_tail++];
    }
    memset(sqe, 0, sizeof(*sqe));
    return sqe;
}

static void ring_apply_interest(struct wr_ep_ring *ring)
{
    struct wr_ep_watch *refused;
    int err = 0;

    while ((refused = wr_ep_interest_apply(&ring->interest, &err))) {
        wr_assert(err < 0);
        if (wr_ep_interest_is_refused(&ring->interest)) {
            ring->error = err;
            return;
        }
        wr_ep_go_on_without_set(ring, refused, err);
    }
}

static bool ring_handle_event(struct wr_ep_ring *ring, uint32_t index)
{
    uint32_t events;
    struct wr_ep_watch *watch =
        wr_ep_interest_event(&ring->interest, index, &events);

    if (watch && watch->fd == ring->workers.eventfd) {
        wr_ep_collect(ring);
        return true;
    }
    return !watch || wr_ep_wake(ring, watch, events);
}

/* Keeps the remaining events of weir's stream sockets for the next enter. Other
 * events may not hold any more by then, so they are handled now. */
static void ring_keep_events(struct wr_ep_ring *ring)
{
    struct wr_ep_interest *interest = &ring->interest;
    uint32_t kept = 0;

    for (uint32_t i = interest->event_next; i < interest->event_count; i++) {
        if (wr_ep_interest_is_own(interest, i) || !ring_handle_event(ring, i)) {
            interest->events[kept++] = interest->events[i];
        }
    }
    wr_assert(kept <= interest->event_count);
    interest->event_next = 0;
    interest->event_count = kept;
}

static void ring_handle_events(struct wr_ep_ring *ring)
{
    struct wr_ep_interest *interest = &ring->interest;

    wr_assert(interest->event_count <= WR_EP_EVENTS_MAX);
    while (wr_ep_interest_has_events(interest) &&
           ring_handle_event(ring, interest->event_next)) {
        interest->event_next++;
    }
}

static void ring_wait(struct wr_ep_ring *ring, uint64_t timeout_ns)
{
    const int count = wr_ep_interest_wait(&ring->interest, timeout_ns);

    if (WR_UNLIKELY(count < 0)) {
        ring->error = count;
        return;
    }
    ring->has_more = count == (int)WR_EP_EVENTS_MAX;
    ring_handle_events(ring);
    if (wr_ep_interest_has_events(&ring->interest)) {
        ring_keep_events(ring);
    }
}

static __attribute__((noinline, cold)) int
ring_enter_without_memory(struct wr_ep_ring *ring, uint64_t timeout_ns)
{
    wr_assert(ring->sq_tail > 0);
    if (wr_ep_interest_has_events(&ring->interest)) {
        ring_handle_events(ring);
    } else {
        const uint64_t limit_ns = wr_min_u64(timeout_ns, SHORTAGE_NS);
        ring_wait(ring, ring->ops.ended_count > 0
                            ? 0
                            : wr_ep_time_left(ring, limit_ns));
    }
    wr_ep_expire(ring);
    return ring->error;
}

/* Returns true if this enter need not call epoll_wait(). It must if a host
 * waits for the epoll set, because the host may do so after any enter. */
static bool ring_skips_wait(struct wr_ep_ring *ring)
{
    const bool is_due = ring->base.is_due;

    wr_assert(ring->skipped_waits <= SKIPS_MAX);
    ring->base.is_due = false;
    return (is_due || ring->ops.ended_count > 0) &&
           ring->skipped_waits < SKIPS_MAX && ring->sq_tail == 0 &&
           !ring->interest.is_shared &&
           !wr_ep_interest_has_events(&ring->interest);
}

static int ring_enter(struct wr_ring *base, uint32_t want, uint64_t timeout_ns)
{
    struct wr_ep_ring *ring = ring_of(base);

    wr_assert(ring->enabled);
    if (WR_UNLIKELY(ring->error)) {
        return ring->error;
    }
    ring->base.stats.enters++;
    ring->receives_left = RECEIVES_MAX;
    ring_submit(ring);
    if (want > 0 && ring_skips_wait(ring)) {
        ring->skipped_waits++;
        return 0;
    }
    ring_apply_interest(ring);
    if (WR_UNLIKELY(ring->error)) {
        return ring->error;
    }
    if (WR_UNLIKELY(ring->sq_tail > 0)) {
        return ring_enter_without_memory(ring, timeout_ns);
    }
    if (want > 0 && wr_ep_interest_has_events(&ring->interest)) {
        ring_handle_events(ring);
        wr_ep_expire(ring);
        return 0;
    }
    const bool has_completions = ring->ops.ended_count > 0;
    if (want == 0 || (has_completions && ring->skipped_waits == 0)) {
        ring->skipped_waits = SKIPS_MAX;
        return 0;
    }
    ring->skipped_waits = 0;
    ring_wait(ring, has_completions ? 0 : wr_ep_time_left(ring, timeout_ns));
    wr_ep_expire(ring);
    return ring->error;
}

static uint32_t ring_reap(struct wr_ring *base, struct wr_cqe *ret,
                          uint32_t max)
{
    struct wr_ep_ring *ring = ring_of(base);
    const uint32_t count = wr_ep_ops_reap(&ring->ops, ret, max);

    wr_assert(ring->enabled);
    base->stats.completions += count;
    return count;
}

/* The queue of completions of this engine cannot overflow. */
static bool ring_handle_overflow(struct wr_ring *base)
{
    wr_assert(base->stats.overflows == 0);
    return false;
}

static bool ring_has_completions(const struct wr_ring *base)
{
    const struct wr_ep_ring *ring =
        wr_container_of(base, const struct wr_ep_ring, base);

    wr_assert(ring->sq_entries > 0);
    return ring->ops.ended_count > 0 || ring->has_more ||
           wr_ep_interest_has_events(&ring->interest);
}

static void ring_forget(struct wr_ring *base, int fd)
{
    struct wr_ep_ring *ring = ring_of(base);
    struct wr_ep_watch *watch = wr_ep_watch_find(&ring->interest, fd);

    wr_assert(fd >= 0);
    if (watch) {
        wr_ep_watch_forget(&ring->interest, watch);
    }
}

/* The descriptor is readable while the epoll set has an event. */
static int ring_open_signal(struct wr_ring *base)
{
    struct wr_ep_ring *ring = ring_of(base);
    const int fd = wr_ep_interest_share(&ring->interest);

    wr_assert(fd != 0 || !ring->error);
    if (fd >= 0) {
        ring_apply_interest(ring); /* the host may wait before the next enter */
    }
    return fd;
}

static void ring_enable_signal(struct wr_ring *base, int fd, bool enable)
{
    wr_assert(fd >= 0);
    wr_assert(base->engine == &wr_engine_poll);
    (void)enable; /* the host does not wait during a run */
}

static int ring_setup_buffers(struct wr_ring *base, uint32_t entries,
                              bool incremental)
{
    struct wr_ep_ring *ring = ring_of(base);

    return wr_ep_buffers_open(&ring->buffers, base->allocator, entries,
                              incremental);
}

static void ring_provide_buffer(struct wr_ring *base, void *data, uint32_t len,
                                uint16_t buf_id)
{
    const struct wr_ep_buffer buffer = {.data = data, .len = len, .id = buf_id};

    wr_assert(data);
    wr_ep_buffers_add(&ring_of(base)->buffers, &buffer);
}

static void ring_commit_buffers(struct wr_ring *base)
{
    wr_assert(base->engine == &wr_engine_poll);
    wr_ep_buffers_commit(&ring_of(base)->buffers);
}

static uint64_t ring_trim(struct wr_ring *base)
{
    struct wr_ep_ring *ring = ring_of(base);

    return wr_ep_ops_trim(&ring->ops);
}

const struct wr_engine wr_engine_poll = {
    .open = ring_open,
    .enable = ring_enable,
    .close = ring_close,
    .sqe = ring_sqe,
    .unsubmitted = ring_unsubmitted,
    .unsubmitted_at = ring_unsubmitted_at,
    .enter = ring_enter,
    .reap = ring_reap,
    .handle_overflow = ring_handle_overflow,
    .forget = ring_forget,
    .open_signal = ring_open_signal,
    .enable_signal = ring_enable_signal,
    .has_completions = ring_has_completions,
    .setup_buffers = ring_setup_buffers,
    .provide_buffer = ring_provide_buffer,
    .commit_buffers = ring_commit_buffers,
    .trim = ring_trim,
};
