/*
 * The fake machine's queues, waiting, and provided buffers (uring/ring.h).
 *
 * An enter submits the prepared entries, lets ready operations make progress
 * (at most as many as one run of the kernel's deferred work), and waits if that
 * is not enough. Only waiting takes time: the clock jumps to the next time at
 * which something can happen. If nothing can happen, and the wait has no time
 * limit, the loop hangs, which is a failure.
 */
#include "tests/fake/world.h"

#include "uring/guard.h"
#include "uring/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Features of io_uring that the engine on epoll lacks (wr_probe_machine()). */
#define RING_FEATURES                                                          \
    (1u << WR_FEATURE_RING_RESIZE | 1u << WR_FEATURE_NO_IOWAIT |               \
     1u << WR_FEATURE_SEND_VECTORIZED)

/* Limit of one run of deferred work: IO_LOCAL_TW_DEFAULT_MAX of Linux 6.13. */
#define WORK_MAX 20u
/* A completion that is held back appears after a few ticks of this length. */
#define TICK_NS        20000u
#define HOLD_TICKS_MAX 8u
/* The time that ring.c sleeps if the kernel has no memory for entries. */
#define AGAIN_NS 1000000u

/* ---- completions ---- */

bool fake_ring_has_room(const struct wr_ring *ring)
{
    return fake_ring_polls(ring) ||
           (ring->backlog_len == 0 && ring->cq_len < ring->cq_entries);
}

static void cq_double(struct wr_ring *ring)
{
    struct wr_cqe *cq = calloc(2u * ring->cq_entries, sizeof(*cq));
    wr_assert(cq);
    for (uint32_t i = 0; i < ring->cq_len; i++) {
        cq[i] = ring->cq[(ring->cq_head + i) % ring->cq_entries];
    }
    free(ring->cq);
    ring->cq = cq;
    ring->cq_entries *= 2;
    ring->cq_head = 0;
}

static void cq_push(struct wr_ring *ring, const struct wr_cqe *cqe)
{
    if (ring->cq_len == ring->cq_entries) {
        cq_double(ring); /* on epoll; other rings use the backlog */
    }
    ring->cq[(ring->cq_head + ring->cq_len) % ring->cq_entries] = *cqe;
    ring->cq_len++;
}

static void backlog_push(struct wr_ring *ring, const struct wr_cqe *cqe)
{
    if (ring->backlog_len == ring->backlog_size) {
        ring->backlog_size = ring->backlog_size * 2 + 16;
        ring->backlog =
            realloc(ring->backlog, ring->backlog_size * sizeof(*ring->backlog));
        wr_assert(ring->backlog);
    }
    ring->backlog[ring->backlog_len++] = *cqe;
    ring->overflowed = true;
    ring->stats.overflows++;
    fake.stats.overflows++;
}

void fake_ring_post(struct wr_ring *ring, const struct fake_op *op, int32_t res,
                    uint32_t flags)
{
    struct wr_cqe cqe = {op->sqe.user_data, res, flags};
    ring->stats.completions++;
    fake.stats.completions++;
    if (fake_ring_has_room(ring)) {
        cq_push(ring, &cqe);
    } else {
        backlog_push(ring, &cqe);
    }
}

static void flush_backlog(struct wr_ring *ring)
{
    uint32_t moved = 0;
    while (moved < ring->backlog_len && ring->cq_len < ring->cq_entries) {
        cq_push(ring, &ring->backlog[moved++]);
    }
    if (moved > 0) {
        ring->backlog_len -= moved;
        memmove(ring->backlog, ring->backlog + moved,
                ring->backlog_len * sizeof(*ring->backlog));
    }
}

/* ---- opening ---- */

/* Chooses like ring.c, but io_uring is never refused here. */
static enum wr_engine_kind choose_engine(enum wr_engine_kind asked)
{
    const char *name = getenv("WEIR_ENGINE");
    if (asked != WR_ENGINE_AUTO) {
        return asked;
    }
    return name && strcmp(name, "poll") == 0 ? WR_ENGINE_POLL : WR_ENGINE_URING;
}

bool fake_ring_has(const struct wr_ring *ring, enum wr_feature feature)
{
    return wr_has(&ring->features, feature);
}

static uint32_t clamp_entries(uint32_t asked, uint32_t max)
{
    return max != 0 && asked > max ? max : asked;
}

static void setup_buffers(struct wr_ring *ring, uint32_t entries)
{
    ring->incremental = fake_ring_has(ring, WR_FEATURE_BUF_INC);
    wr_assert((entries & (entries - 1)) == 0);
    ring->slots = calloc(entries, sizeof(*ring->slots));
    wr_assert(ring->slots);
    ring->slot_count = entries;
}

int wr_ring_open(const struct wr_ring_options *options, struct wr_ring **ret,
                 struct wr_features *ret_features)
{
    if (fake.options.open_error != 0) {
        return fake.options.open_error;
    }
    if (fake.ring) {
        fake_fail("a second ring is opened");
    }
    struct wr_ring *ring = wr_alloc(options->allocator, sizeof(*ring));
    if (!ring) {
        return -ENOMEM;
    }
    memset(ring, 0, sizeof(*ring));
    ring->allocator = options->allocator;
    ring->sq_entries = clamp_entries(options->sq_entries, fake.options.sq_max);
    ring->cq_entries = clamp_entries(options->cq_entries, fake.options.cq_max);
    ring->sq = calloc(ring->sq_entries, sizeof(*ring->sq));
    ring->cq = calloc(ring->cq_entries, sizeof(*ring->cq));
    wr_assert(ring->sq);
    wr_assert(ring->cq);
    wr_list_init(&ring->ops);
    ring->features.engine = choose_engine(options->engine);
    ring->features.found = ((1u << WR_FEATURE_COUNT) - 1u) &
                           ~fake.options.missing &
                           ~(fake_ring_polls(ring) ? RING_FEATURES : 0);
    ring->features.sq_entries = ring->sq_entries;
    ring->features.cq_entries = ring->cq_entries;
    wr_features_reduce(&ring->features);
    if (options->buf_entries > 0) {
        setup_buffers(ring, options->buf_entries);
    }
    *ret_features = ring->features;
    fake.ring = ring;
    *ret = ring;
    return 0;
}

int wr_ring_enable(struct wr_ring *ring)
{
    if (ring->enabled) {
        fake_fail("the ring is enabled twice");
    }
    ring->enabled = true;
    return 0;
}

void wr_ring_close(struct wr_ring *ring)
{
    while (!wr_list_is_empty(&ring->ops)) {
        fake_op_drop(wr_container_of(ring->ops.next, struct fake_op, link));
    }
    free(ring->slots);
    free(ring->backlog);
    free(ring->sq);
    free(ring->cq);
    fake.ring = NULL;
    wr_free(ring->allocator, ring, sizeof(*ring));
}

void fake_spoil_receive(uint32_t flags)
{
    fake.spoil_flags = flags;
}

void fake_peer_urge(struct fake_peer *peer, uint32_t count)
{
    const struct fake_end *end = ((struct fake_end *)(void *)peer)->other;
    for (struct wr_list *link = fake.ring->ops.next; link != &fake.ring->ops;
         link = link->next) {
        struct fake_op *op = wr_container_of(link, struct fake_op, link);
        if (op->file->end == end && !fake_op_is_ready(op)) {
            fake_op_wake(op, count);
        }
    }
}

void fake_peer_deafen(struct fake_peer *peer)
{
    ((struct fake_end *)(void *)peer)->other->is_deaf = true;
}

void fake_break_ring(int err)
{
    wr_assert(fake.ring);
    fake.ring->broken = err;
}

/* ---- submission ---- */

/* Returns true if the operation is ready. Chance may hold it back. */
static bool is_due(const struct wr_ring *ring, struct fake_op *op)
{
    if (op->held_to_tick > ring->tick || !fake_op_is_ready(op)) {
        return false;
    }
    if (!op->judged && op->file->end && op->file->end->err_is_taken &&
        (op->sqe.opcode == IORING_OP_SEND ||
         op->sqe.opcode == IORING_OP_SENDMSG)) {
        op->judged = true; /* it has taken the error, and reports it late */
        op->held_to_tick = ring->tick + 1;
        return false;
    }
    if (!op->judged) {
        op->judged = true;
        if (fake_chance(fake.options.permille[FAKE_DELAY])) {
            op->held_to_tick = ring->tick + 1 + fake_random(HOLD_TICKS_MAX);
            return false;
        }
    }
    return true;
}

static void submit(struct wr_ring *ring, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct fake_op *op = fake_op_issue(ring, &ring->sq[i]);
        if (op && is_due(ring, op)) {
            fake_op_run(op);
        }
    }
    ring->sq_len -= count;
    memmove(ring->sq, ring->sq + count, ring->sq_len * sizeof(*ring->sq));
    ring->stats.submitted += count;
    fake.stats.submitted += count;
}

/* Returns how many entries a kernel that is short of memory takes. */
static uint32_t entries_to_take(const struct wr_ring *ring)
{
    if (ring->sq_len == 0 ||
        !fake_chance(fake.options.permille[FAKE_NO_SUBMIT])) {
        return ring->sq_len;
    }
    return (uint32_t)fake_random(ring->sq_len);
}

struct io_uring_sqe *wr_ring_sqe(struct wr_ring *ring)
{
    if (!ring->enabled) {
        fake_fail("an entry is prepared before the ring is enabled");
    }
    if (ring->sq_len == ring->sq_entries) {
        ring->stats.sq_full++;
        submit(ring, ring->sq_len);
    }
    struct io_uring_sqe *sqe = &ring->sq[ring->sq_len++];
    memset(sqe, 0, sizeof(*sqe));
    return sqe;
}

uint32_t wr_ring_unsubmitted(const struct wr_ring *ring)
{
    return ring->sq_len;
}

struct io_uring_sqe *wr_ring_unsubmitted_at(struct wr_ring *ring,
                                            uint32_t index)
{
    wr_assert(index < ring->sq_len);
    return &ring->sq[index];
}

bool fake_ring_names_fd(const struct wr_ring *ring, int fd)
{
    for (uint32_t i = 0; i < ring->sq_len; i++) {
        uint8_t opcode = ring->sq[i].opcode;
        if (ring->sq[i].fd == fd && opcode != IORING_OP_ASYNC_CANCEL &&
            opcode != IORING_OP_NOP) {
            return true;
        }
    }
    return false;
}

/* ---- progress ---- */

static void shuffle(struct fake_op **ops, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)fake_random(i);
        struct fake_op *op = ops[i - 1];
        ops[i - 1] = ops[other];
        ops[other] = op;
    }
}

/* Lets at most @max operations that are due make progress. */
static void do_work(struct wr_ring *ring, uint32_t max)
{
    uint32_t count = 0;
    ring->more = false;
    if (ring->op_count == 0) {
        return;
    }
    struct fake_op **due = malloc(ring->op_count * sizeof(struct fake_op *));
    wr_assert(due);
    for (struct wr_list *link = ring->ops.next; link != &ring->ops;
         link = link->next) {
        struct fake_op *op = wr_container_of(link, struct fake_op, link);
        if (!fake_op_is_ready(op) &&
            fake_chance(fake.options.permille[FAKE_RETRIES_OVER])) {
            fake_op_wake(op, UINT32_MAX / 2);
        }
        if (is_due(ring, op)) {
            due[count++] = op;
        }
    }
    if (count > 1 && fake_chance(fake.options.permille[FAKE_REORDER])) {
        shuffle(due, count);
    }
    for (uint32_t i = 0; i < count && i < max; i++) {
        fake_op_run(due[i]);
    }
    ring->more = count > max;
    free(due);
}

/* Returns the time of the next event, or UINT64_MAX without one. */
static uint64_t next_change(const struct wr_ring *ring)
{
    uint64_t next = fake_event_next();
    for (struct wr_list *link = ring->ops.next; link != &ring->ops;
         link = link->next) {
        const struct fake_op *op = wr_container_of(link, struct fake_op, link);
        if (fake_op_is_ready(op)) {
            next = wr_min_u64(next, fake.now_ns + TICK_NS);
        } else if (op->ready_ns > fake.now_ns) {
            next = wr_min_u64(next, op->ready_ns);
        }
    }
    return next;
}

static void advance_clock(struct wr_ring *ring, uint32_t want,
                          uint64_t deadline_ns)
{
    uint64_t next = wr_min_u64(next_change(ring), deadline_ns);
    if (next == UINT64_MAX) {
        fake_fail("the loop waits for ever: %u of %u completions, %u "
                  "operations in flight, and nothing can happen",
                  ring->cq_len, want, ring->op_count);
    }
    if (next > fake.now_ns) {
        fake_trace("time +%llu us",
                   (unsigned long long)(next - fake.now_ns) / 1000);
        fake.now_ns = next;
    }
    fake_events_run();
}

static void wait_for(struct wr_ring *ring, uint32_t want, uint64_t timeout_ns)
{
    uint64_t deadline_ns = wr_add_sat(fake.now_ns, timeout_ns);
    while (ring->cq_len < want && ring->backlog_len == 0) {
        if (fake_chance(fake.options.permille[FAKE_INTERRUPT])) {
            return;
        }
        bool acted = fake.options.idle && fake.options.idle(fake.options.arg);
        if (!acted && fake.now_ns >= deadline_ns) {
            return;
        }
        if (!acted) {
            advance_clock(ring, want, deadline_ns);
        }
        ring->tick++;
        do_work(ring, (uint32_t)wr_max_u64(want, WORK_MAX));
    }
}

int wr_ring_enter(struct wr_ring *ring, uint32_t want, uint64_t timeout_ns)
{
    if (!ring->enabled) {
        fake_fail("the ring is entered before it is enabled");
    }
    if (ring->broken != 0) {
        return ring->broken;
    }
    if (fake.blocks_signals && timeout_ns > 0) {
        fake_fail("a wait with signals blocked");
    }
    ring->stats.enters++;
    fake.stats.enters++;
    ring->tick++;
    if (fake.options.entered) {
        fake.options.entered(fake.options.arg);
    }
    fake_trace("enter want=%u", timeout_ns == 0 ? 0 : want);
    fake_events_run();
    submit(ring, entries_to_take(ring));
    flush_backlog(ring);
    if (ring->sq_len > 0) {
        fake.now_ns += AGAIN_NS; /* -EAGAIN: no work was done, no wait made */
        return 0;
    }
    do_work(ring, (uint32_t)wr_max_u64(want, WORK_MAX));
    if (timeout_ns != 0 && want != 0) {
        wait_for(ring, want, timeout_ns);
    }
    return 0;
}

uint32_t wr_ring_reap(struct wr_ring *ring, struct wr_cqe *ret, uint32_t max)
{
    uint32_t count = 0;
    while (count < max && ring->cq_len > 0) {
        ret[count++] = ring->cq[ring->cq_head];
        ring->cq_head = (ring->cq_head + 1) % ring->cq_entries;
        ring->cq_len--;
    }
    return count;
}

void wr_ring_forget(struct wr_ring *ring, int fd)
{
    if (fake_ring_names_fd(ring, fd)) {
        fake_fail("descriptor %d leaves the ring before its entry", fd);
    }
}

/* The test plays the host in the hook `idle`, so nothing waits here. */
int wr_ring_open_signal(struct wr_ring *ring)
{
    ring->misses_ends = !ring->enabled && !fake_ring_polls(ring);
    return wr_sys_eventfd_nonblock();
}

bool wr_ring_misses_ends(const struct wr_ring *ring)
{
    return ring->misses_ends;
}

void wr_ring_enable_signal(struct wr_ring *ring, int fd, bool enable)
{
}

uint64_t wr_ring_trim(struct wr_ring *ring)
{
    return 0;
}

/* The fake machine has no deferred work to flush. */
void wr_ring_set_due(struct wr_ring *ring)
{
    (void)ring;
}

bool wr_ring_has_completions(const struct wr_ring *ring)
{
    return ring->cq_len > 0 || ring->backlog_len > 0 || ring->more;
}

bool wr_ring_has_work(const struct wr_ring *ring)
{
    return wr_ring_has_completions(ring) || wr_ring_unsubmitted(ring) > 0;
}

bool wr_ring_handle_overflow(struct wr_ring *ring)
{
    bool overflowed = ring->overflowed;
    ring->overflowed = false;
    if (overflowed && fake_ring_has(ring, WR_FEATURE_RING_RESIZE) &&
        ring->cq_len == 0 && ring->backlog_len == 0) {
        cq_double(ring);
    }
    return overflowed;
}

/* ---- provided buffers ---- */

void wr_ring_provide_buffer(struct wr_ring *ring, void *data, uint32_t len,
                            uint16_t buf_id)
{
    if (ring->slot_staged - ring->slot_head >= ring->slot_count) {
        fake_fail("more buffers are provided than the ring has room for");
    }
    for (uint32_t i = ring->slot_head; i != ring->slot_staged; i++) {
        if (ring->slots[i % ring->slot_count].buf_id == buf_id) {
            fake_fail("buffer %u is provided twice", buf_id);
        }
    }
    if (fake.options.poison) {
        memset(data, 0xee, len);
    }
    struct fake_slot *slot = &ring->slots[ring->slot_staged % ring->slot_count];
    slot->data = data;
    slot->len = len;
    slot->buf_id = buf_id;
    ring->slot_staged++;
}

void wr_ring_commit_buffers(struct wr_ring *ring)
{
    ring->slot_tail = ring->slot_staged;
}

struct fake_slot *fake_ring_slot(struct wr_ring *ring)
{
    if (!ring->slots || ring->slot_head == ring->slot_tail) {
        return NULL;
    }
    return &ring->slots[ring->slot_head % ring->slot_count];
}

uint32_t fake_ring_slot_use(struct wr_ring *ring, uint32_t len)
{
    struct fake_slot *slot = fake_ring_slot(ring);
    uint32_t flags = IORING_CQE_F_BUFFER | (uint32_t)slot->buf_id
                                               << IORING_CQE_BUFFER_SHIFT;
    wr_assert(len <= slot->len);
    slot->data += len;
    slot->len -= len;
    if (ring->incremental && slot->len > 0) {
        return flags | IORING_CQE_F_BUF_MORE;
    }
    ring->slot_head++;
    return flags;
}

const struct wr_ring_stats *wr_ring_stats(const struct wr_ring *ring)
{
    return &ring->stats;
}
