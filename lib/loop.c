/*
 * The loop: one turn after the other.
 *
 *     enter     submit what the last turn prepared and wait, in one call
 *     drain     completions go to their operations, protocols are called
 *     expire    timers that are due
 *     ready     the ready queue, as it stands now
 *     replenish buffers go back to the kernel, starved receives are armed
 *     send      what was written leaves, one send for each connection
 *
 * Every step is bounded, so that none of them can keep the others waiting.
 * The loop knows nothing of sockets: it has operations, timers, ready items
 * and senders, and each of them knows its owner.
 *
 * The first run binds the ring to its thread. Until then nothing touches the
 * ring: what is started earlier waits in the ready queue.
 */
#include "loop_impl.h"

/* Bounds of one turn. */
#define DRAIN_MAX  1024u
#define TIMERS_MAX 4096u
#define READY_MAX  4096u

void wr_loop_run_posted(struct wr_ready *ready)
{
    weir_loop *loop = wr_container_of(ready, weir_loop, posted_ready);
    struct wr_wake_item *item = NULL;

    for (uint32_t i = 0; i < READY_MAX && (item = wr_wake_pop(loop->wake));
         i++) {
        weir_callback_fn *run = item->run;
        void *arg = item->arg;
        if (!item->is_allocated) {
            run(arg);
            continue;
        }
        wr_wake_free_item(loop->wake, item);
        wr_loop_call(loop, run, arg, "call_soon_threadsafe");
    }
    if (item) { /* there may be more */
        wr_ready_push(&loop->ready, ready);
    }
}

/* Posts of other threads become ready in this turn. */
static void take_posted(weir_loop *loop)
{
    if (wr_wake_take(loop->wake)) {
        wr_ready_push(&loop->ready, &loop->posted_ready);
    }
}

static void arm_wake(weir_loop *loop)
{
    wr_prep_read(&loop->uring, &loop->wake_op, wr_wake_fd(loop->wake),
                 &loop->wake_count, sizeof(loop->wake_count));
}

void wr_loop_wake_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    weir_loop *loop = wr_container_of(op, weir_loop, wake_op);
    (void)flags;
    if (loop->closing) {
        return;
    }
    arm_wake(loop);
    if (res > 0) {
        take_posted(loop);
    }
}

int wr_loop_bind(weir_loop *loop)
{
    if (*loop->owner != WR_UNBOUND) {
        return 0;
    }
    int err = wr_ring_enable(loop->uring.ring);
    if (err < 0) {
        return err;
    }
    *loop->owner = wr_this_thread();
    wr_wake_set_thread(loop->wake, wr_this_thread());
    wr_pool_post(&loop->pool);
    arm_wake(loop);
    return 0;
}

/* How long the enter of this turn may wait. */
static uint64_t wait_time(weir_loop *loop)
{
    if ((loop->stopping && !loop->closing) || !wr_list_is_empty(&loop->ready) ||
        !wr_list_is_empty(&loop->dirty)) {
        return 0;
    }
    const uint64_t starved_ns = wr_pool_wait_ns(&loop->pool);
    const uint64_t next_ns = wr_wheel_next(&loop->wheel);
    if (next_ns == UINT64_MAX) {
        return starved_ns;
    }
    const uint64_t now_ns = wr_sys_now();
    return wr_min_u64(next_ns > now_ns ? next_ns - now_ns : 0, starved_ns);
}

void wr_loop_run_ready(weir_loop *loop)
{
    struct wr_list batch;
    wr_list_init(&batch);
    wr_list_splice_back(&batch, &loop->ready);

    for (uint32_t i = 0; i < READY_MAX; i++) {
        struct wr_list *link = wr_list_pop_front(&batch);
        if (!link) {
            return;
        }
        struct wr_ready *ready = wr_container_of(link, struct wr_ready, link);
        ready->run(ready);
    }
    /* What is left keeps its place before what was added meanwhile. */
    wr_list_splice_back(&batch, &loop->ready);
    wr_list_splice_back(&loop->ready, &batch);
}

static void flush_senders(weir_loop *loop)
{
    struct wr_list *link;
    while ((link = wr_list_pop_front(&loop->dirty))) {
        struct wr_sender *sender =
            wr_container_of(link, struct wr_sender, link);
        sender->flush(sender);
    }
}

int wr_loop_turn(weir_loop *loop)
{
    int err = wr_uring_enter(&loop->uring, 1, wait_time(loop));
    if (err < 0) {
        return err;
    }
    loop->now_ns = wr_sys_now();
    loop->counts.turns++;
    const uint32_t count = wr_uring_drain(&loop->uring, DRAIN_MAX);
    if (count < DRAIN_MAX) {
        wr_ignore(wr_ring_handle_overflow(loop->uring.ring));
    }
    if (loop->wheel.armed_count > 0) {
        wr_ignore(wr_wheel_expire(&loop->wheel, loop->now_ns, TIMERS_MAX));
    }
    wr_loop_run_ready(loop);
    wr_pool_post(&loop->pool);
    wr_pool_feed(&loop->pool);
    flush_senders(loop);
    return 0;
}

int wr_loop_submit_all(weir_loop *loop)
{
    int err = 0;
    for (uint32_t i = 0; i < WR_LOOP_SUBMITS_MAX && err == 0; i++) {
        err = wr_uring_enter(&loop->uring, 0, 0);
        if (wr_ring_unsubmitted(loop->uring.ring) == 0) {
            break;
        }
    }
    return err;
}

void wr_loop_leave(weir_loop *loop)
{
    wr_assert(wr_loop_is_forked(loop));
    /* A task that has forked goes on: all that could suspend it fails, and its
     * end comes here. */
    if (loop->in_child && !loop->current && loop->forbidden_count == 0) {
        longjmp(*loop->in_child, 1);
    }
}

static bool holds_now(weir_loop *loop, weir_predicate_fn *condition, void *arg)
{
    const bool holds = condition && condition(arg);

    wr_loop_leave_if_forked(loop);
    return holds;
}

/* Turns until @condition holds or the loop is stopped. */
static int make_turns(weir_loop *loop, weir_predicate_fn *condition, void *arg)
{
    int err = 0;
    bool stopped = false;
    bool holds = holds_now(loop, condition, arg);

    while (!holds && !stopped && err == 0) {
        stopped = loop->stopping;
        err = wr_loop_turn(loop);
        holds = holds_now(loop, condition, arg);
        stopped = stopped || loop->stopping;
    }
    if (err == 0) {
        flush_senders(loop); /* the condition may have written */
        err = wr_loop_submit_all(loop);
    }
    if (err < 0) {
        return err;
    }
    return condition && !holds ? -ECANCELED : 0;
}

static int run(weir_loop *loop, weir_predicate_fn *condition, void *arg)
{
    jmp_buf in_child;
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(!loop->running && !loop->closing, -EBUSY);
    err = wr_loop_bind(loop);
    if (err < 0) {
        return err;
    }

    loop->running = true;
    loop->now_ns = wr_sys_now();
    loop->in_child = &in_child;
    err = setjmp(in_child) == 0 ? make_turns(loop, condition, arg) : -ECHILD;
    loop->in_child = NULL;
    loop->running = false;
    loop->stopping = false;
    return err;
}

int weir_loop_run(weir_loop *loop)
{
    return run(loop, NULL, NULL);
}

int weir_loop_run_until(weir_loop *loop, weir_predicate_fn *condition,
                        void *arg)
{
    wr_require(condition, -EINVAL);
    return run(loop, condition, arg);
}

void weir_loop_stop(weir_loop *loop)
{
    if (wr_loop_check(loop) == 0) {
        loop->stopping = true;
    }
}

bool weir_loop_is_running(const weir_loop *loop)
{
    return loop->running;
}

uint64_t weir_loop_time(const weir_loop *loop)
{
    return loop->running ? loop->now_ns : wr_sys_now();
}

void weir_loop_set_exception_handler(weir_loop *loop, weir_exception_fn *hook,
                                     void *arg)
{
    loop->exception_hook = hook;
    loop->exception_arg = arg;
}

void wr_loop_report(weir_loop *loop, const struct weir_exception *exception)
{
    if (loop->exception_hook && !wr_loop_is_forked(loop)) {
        weir_task *task = wr_loop_forbid(loop);
        loop->exception_hook(loop->exception_arg, loop, exception);
        wr_loop_allow(loop, task);
    }
}

void weir_loop_call_exception_handler(weir_loop *loop,
                                      const struct weir_exception *exception)
{
    wr_loop_report(loop, exception);
}
