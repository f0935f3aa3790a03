/*
 * Iterations of the loop ("turns" in identifiers), and runs, which are
 * sequences of iterations.
 *
 *     enter     submit the last iteration's operations and wait, in one call
 *     dispatch  completions go to their operations, protocols are called
 *     expire    due timers fire
 *     receive   some of the due connections receive (budget.h)
 *     ready     the items that are in the ready queue now run
 *     replenish buffers go back to the kernel, starved and stuck connections
 *               are fed
 *     end       each connection sends its written bytes, readers compact;
 *               pieces of files are sent (moves.c)
 *
 * Every step is limited, so that no step can starve the others. The first run
 * binds the ring to its thread. Nothing uses the ring before, and objects that
 * are started earlier wait in the ready queue.
 */
#include "loop_impl.h"
#include "uring/tracepoint.h"
#include "weir/embed.h"

/* Maximum number of completions, timers and ready items per iteration. */
#define DRAIN_MAX  1024u
#define TIMERS_MAX 4096u
#define READY_MAX  4096u
/* Time that ready items run in an iteration, so that tasks with much work delay
 * neither bytes nor timers. A longer iteration that leaves work makes the loop
 * crowded, until an iteration is far shorter or leaves none. */
#define READY_NS      1000000u
#define READY_PORTION 64u
#define SHORT_TURN_NS (READY_NS / 16)
/* A timer that fires more than this after its deadline is late. */
#define LATE_NS 1000000u
/* Limits of the time and the iterations for which late timers are held. */
#define HELD_MAX_NS    10000000u
#define HELD_TURNS_MAX 64u
/* The pause before buffers are tried again after -ENOMEM. */
#define FEED_RETRY_NS 10000000u

int wr_loop_bind(weir_loop *loop)
{
    if (*loop->owner != WR_UNBOUND) {
        return 0;
    }
    wr_assert(loop->state == WR_LOOP_IDLE);
    int err = wr_ring_enable(loop->uring.ring);
    if (err < 0) {
        return err;
    }
    *loop->owner = wr_this_thread();
    wr_wake_set_thread(loop->wake, wr_this_thread());
    wr_pool_post(&loop->pool);
    wr_posts_arm(loop);
    return 0;
}

static uint64_t loop_feed_wait(const weir_loop *loop)
{
    static const uint64_t waits_ns[] = {
        [WR_FEED_NONE] = UINT64_MAX,
        [WR_FEED_NOW] = 0,
        [WR_FEED_LATER] = FEED_RETRY_NS,
    };
    return waits_ns[wr_budget_next_feed(&loop->budget)];
}

static bool loop_is_due(const weir_loop *loop)
{
    return loop->is_stopping || !wr_list_is_empty(&loop->ready) ||
           !wr_list_is_empty(&loop->turn_ends) ||
           !wr_list_is_empty(&loop->before_ends) ||
           wr_budget_has_due(&loop->budget);
}

static uint64_t loop_wait_time(weir_loop *loop)
{
    if (loop->never_waits) {
        return 0;
    }
    if (loop_is_due(loop)) {
        wr_ring_set_due(loop->uring.ring);
        return 0;
    }
    /* Usually there is no timer, or the alarm wakes the loop in time. */
    const uint64_t timers_ns =
        WR_LIKELY(wr_wheel_waits_until(&loop->wheel, loop->alarm.when_ns))
            ? UINT64_MAX
            : wr_alarm_wait(loop, wr_wheel_next(&loop->wheel));
    return wr_min_u64(timers_ns, loop_feed_wait(loop));
}

/* Returns false if there were fewer items. */
static inline bool loop_run_items(struct wr_list *batch, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct wr_list *link = wr_list_pop_front(batch);
        if (!link) {
            return false;
        }
        struct wr_ready *ready = wr_container_of(link, struct wr_ready, link);
        ready->run(ready);
    }
    return true;
}

/* Returns false if there were fewer items. @fetch may be NULL. */
static inline bool loop_run_portion(struct wr_list *batch,
                                    wr_ready_fetch_fn *fetch)
{
    if (!fetch) {
        return loop_run_items(batch, READY_PORTION);
    }
    for (uint32_t i = 0; i < READY_PORTION / WR_READY_FETCHED; i++) {
        fetch(batch);
        if (!loop_run_items(batch, WR_READY_FETCHED)) {
            return false;
        }
    }
    return true;
}

/* Runs more portions for READY_NS, but at least as many items as there were
 * completions: completions add items, and the queue must not grow faster than
 * it is run. A loop that stops or is being freed ignores READY_NS. The rest
 * stays before items added since. */
static __attribute__((noinline)) void
loop_run_more(weir_loop *loop, struct wr_list *batch, uint32_t completions)
{
    const uint64_t began_ns = wr_sys_now();

    for (uint32_t i = READY_PORTION; i < READY_MAX; i += READY_PORTION) {
        if (!loop_run_portion(batch, loop->fetch)) {
            return;
        }
        if (i >= completions && loop->state == WR_LOOP_RUNNING &&
            !loop->is_stopping && wr_sys_now() - began_ns >= READY_NS) {
            break;
        }
    }
    wr_list_splice_back(batch, &loop->ready);
    wr_list_splice_back(&loop->ready, batch);
}

static inline void loop_run_ready(weir_loop *loop, uint32_t completions)
{
    struct wr_list batch;

    wr_assert(!loop->current);
    wr_list_init(&batch);
    wr_list_splice_back(&batch, &loop->ready);
    if (loop_run_portion(&batch, NULL)) {
        loop_run_more(loop, &batch, completions);
    }
}

void wr_loop_run_ready(weir_loop *loop)
{
    wr_assert(wr_loop_is_running(loop));
    loop_run_ready(loop, 0);
}

static __attribute__((noinline)) void loop_feed(weir_loop *loop)
{
    struct wr_budget *budget = &loop->budget;
    struct wr_feeding round;
    struct wr_demand *demand;
    struct wr_evictable *evictable;

    if (wr_budget_begin_stuck(budget, &round)) {
        while ((demand = wr_budget_next_stuck(budget, &round))) {
            wr_demand_feed(demand, WR_DEMAND_STUCK);
        }
        if (wr_budget_end_stuck(budget, &round)) {
            wr_ready_push(&loop->ready, &loop->feed_again);
        }
    }
    if (wr_budget_begin_starved(budget, &round)) {
        while ((demand = wr_budget_next_starved(budget, &round))) {
            wr_demand_feed(demand, WR_DEMAND_STARVED);
        }
        wr_budget_end_starved(budget, &round);
    }
    while ((evictable = wr_budget_next_evicted(budget))) {
        evictable->evict(evictable);
    }
}

/* Also runs turn ends that are added meanwhile, so that a chain of transports
 * sends in one iteration. */
static void loop_run_before_ends(weir_loop *loop)
{
    struct wr_list *link;

    while ((link = wr_list_pop_front(&loop->before_ends))) {
        struct wr_turn_end *turn_end =
            wr_container_of(link, struct wr_turn_end, link);
        turn_end->run(turn_end);
    }
}

/* A turn end that adds itself again runs in the next iteration. */
static inline void loop_run_turn_ends(weir_loop *loop)
{
    struct wr_list batch;
    struct wr_list *link;

    wr_assert(!loop->current);
    if (WR_UNLIKELY(!wr_list_is_empty(&loop->before_ends))) {
        loop_run_before_ends(loop);
    }
    wr_list_init(&batch);
    wr_list_splice_back(&batch, &loop->turn_ends);
    while ((link = wr_list_pop_front(&batch))) {
        struct wr_turn_end *turn_end =
            wr_container_of(link, struct wr_turn_end, link);
        turn_end->run(turn_end);
    }
}

void wr_loop_run_turn_ends(weir_loop *loop)
{
    loop_run_turn_ends(loop);
}

/* Holds back timers that are late because the loop was busy. The kernel posts
 * only some completions in each enter, and until the loop has seen all, a timer
 * could time out a peer whose bytes have arrived. The wait is limited, because
 * an overloaded loop never sees all. Timers due at loop->now_ns (the time of
 * the last iteration) or earlier are not held: they were armed for the past. */
static __attribute__((noinline)) void loop_hold_late(weir_loop *loop,
                                                     uint64_t now_ns)
{
    struct wr_wheel *wheel = &loop->wheel;

    wr_assert(now_ns >= loop->now_ns);
    wr_assert(wheel->armed_count > 0);
    if (wr_add_sat(wr_wheel_next(wheel), LATE_NS) <= now_ns &&
        wr_add_sat(wr_wheel_hold(wheel, loop->now_ns, now_ns), LATE_NS) >
            now_ns) {
        wr_wheel_release(wheel);
    }
}

static inline void loop_set_time(weir_loop *loop)
{
    const uint64_t now_ns = wr_sys_now();

    wr_check(now_ns >= loop->now_ns);
    if (wr_wheel_may_be_due(&loop->wheel, now_ns - LATE_NS)) {
        loop_hold_late(loop, now_ns);
    }
    loop->now_ns = now_ns;
}

static bool loop_has_caught_up(weir_loop *loop)
{
    wr_assert(wr_wheel_holds(&loop->wheel));
    if (!wr_ring_has_completions(loop->uring.ring)) {
        return true;
    }
    if (loop->held_turn != loop->counts.turns) {
        loop->held_ns = loop->now_ns;
        loop->held_turns = 0;
    }
    loop->held_turn = loop->counts.turns + 1;
    loop->held_turns++;
    return loop->held_turns > HELD_TURNS_MAX ||
           loop->now_ns - loop->held_ns >= HELD_MAX_NS;
}

static __attribute__((noinline)) void loop_expire(weir_loop *loop)
{
    struct wr_wheel *wheel = &loop->wheel;

    wr_debug_assert(wheel->armed_count > 0);
    wr_debug_assert(!wheel->is_expiring);
    if (wr_wheel_holds(wheel) && loop_has_caught_up(loop)) {
        wr_wheel_release(wheel);
    }
    wr_ignore(wr_wheel_expire(wheel, loop->now_ns, TIMERS_MAX));
}

static __attribute__((noinline)) void
loop_adapt_calls(weir_loop *loop, uint64_t took_ns, bool has_left)
{
    const bool was_crowded = loop->given_calls.given != WR_TASK_CALLS;
    wr_loop_set_calls(
        loop, has_left && took_ns >= (was_crowded ? SHORT_TURN_NS : READY_NS));
}

static bool loop_has_other_ends(const weir_loop *loop)
{
    const struct wr_list *pieces = &loop->moves.turn_end.link;

    return !wr_list_is_empty(&loop->turn_ends) &&
           (loop->turn_ends.next != pieces || loop->turn_ends.prev != pieces);
}

static bool loop_has_other_work(weir_loop *loop)
{
    wr_assert(!loop->moves.is_running);
    return wr_ring_has_completions(loop->uring.ring) ||
           wr_wheel_next(&loop->wheel) <= loop->now_ns ||
           !wr_list_is_empty(&loop->ready) ||
           wr_list_is_empty(&loop->turn_ends) || loop_has_other_ends(loop) ||
           !wr_list_is_empty(&loop->before_ends) ||
           wr_budget_has_due(&loop->budget) ||
           wr_budget_has_waiting(&loop->budget) ||
           loop->state != WR_LOOP_RUNNING;
}

/* Handles completions, unless the loop only sends files; see moves.c. */
static __attribute__((noinline)) uint32_t loop_dispatch_moving(weir_loop *loop)
{
    wr_assert(loop->moves.goes_on);
    loop->moves.is_alone = !loop_has_other_work(loop);
    if (loop->moves.is_alone) {
        return 0;
    }
    wr_moves_restore_signals(loop);
    return wr_uring_dispatch(&loop->uring, DRAIN_MAX);
}

int wr_loop_turn(weir_loop *loop)
{
    wr_assert(loop->state == WR_LOOP_RUNNING || loop->state == WR_LOOP_CLOSING);
    wr_debug_assert(wr_loop_is_ours(loop));
    const uint64_t wait_ns = loop_wait_time(loop);
    int err = wr_uring_enter(&loop->uring, 1, wait_ns);
    if (err < 0) {
        return err;
    }
    const uint64_t before_ns = loop->now_ns;
    loop_set_time(loop);
    const uint64_t took_ns = loop->now_ns - before_ns;

    if (WR_UNLIKELY(took_ns >= READY_NS ||
                    loop->given_calls.given != WR_TASK_CALLS) &&
        !loop->never_waits) {
        loop_adapt_calls(loop, took_ns, wait_ns == 0);
    }
    loop->counts.turns++;
    const uint32_t count = WR_LIKELY(!loop->moves.goes_on)
                               ? wr_uring_dispatch(&loop->uring, DRAIN_MAX)
                               : loop_dispatch_moving(loop);
    if (WR_LIKELY(count < DRAIN_MAX)) {
        wr_ignore(wr_ring_handle_overflow(loop->uring.ring));
    }
    if (WR_UNLIKELY(!wr_wheel_is_quiet(&loop->wheel, loop->now_ns))) {
        loop_expire(loop);
    }
    WR_TRACEPOINT(turn, loop, count);
    wr_budget_begin_turn(&loop->budget);
    if (WR_UNLIKELY(wr_budget_has_due(&loop->budget))) {
        /* Other due connections wait for the next iteration, so that the
         * received bytes are sent on while they are in the CPU's cache. */
        struct wr_demand *demand;

        while ((demand = wr_budget_next_due(&loop->budget))) {
            wr_demand_feed(demand, WR_DEMAND_DUE);
        }
    }
    if (!wr_list_is_empty(&loop->ready)) {
        loop_run_ready(loop, count);
    }
    wr_pool_post(&loop->pool);
    if (WR_UNLIKELY(wr_budget_has_waiting(&loop->budget))) {
        loop_feed(loop);
    }
    loop_run_turn_ends(loop);
#ifdef WR_INVARIANTS
    wr_loop_check_invariants(loop);
#endif
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

/* Submits all written bytes; long sends need the budgets of several iterations.
 * A file continues in the next run: a peer that reads it quickly would delay
 * the end of this run until the file's last byte. */
WEIR_MUST_USE static __attribute__((noinline)) int
loop_send_all(weir_loop *loop)
{
    int err;

    wr_assert(loop->state == WR_LOOP_RUNNING);
    do {
        wr_budget_begin_turn(&loop->budget);
        loop_run_turn_ends(loop);
        err = wr_loop_submit_all(loop);
    } while (err == 0 && loop_has_other_ends(loop));
    return err;
}

/* Ends a run when the condition is true. If it is NULL, only a stop does. */
struct loop_goal {
    weir_predicate_fn *condition;
    void *arg;
    bool is_own; /* a condition of the library */
};

static bool loop_holds_now(weir_loop *loop, const struct loop_goal *goal)
{
    wr_assert(loop->state == WR_LOOP_RUNNING);
    if (WR_UNLIKELY(loop->moves.holds_signals) && goal->condition &&
        !goal->is_own) {
        wr_moves_restore_signals(loop);
    }
    const bool holds = goal->condition && goal->condition(goal->arg);

    wr_loop_end_if_forked(loop);
    return holds;
}

static int loop_make_turns(weir_loop *loop, void *arg)
{
    const struct loop_goal *goal = arg;
    int err = 0;
    bool stopped = false;

    loop_set_time(loop);
    bool holds = loop_holds_now(loop, goal);
    while (!holds && !stopped && err == 0) {
        stopped = loop->is_stopping;
        err = wr_loop_turn(loop);
        holds = loop_holds_now(loop, goal);
        stopped = stopped || loop->is_stopping;
    }
    wr_moves_restore_signals(loop);
    if (err == 0) { /* the condition may have written bytes */
        err = loop_send_all(loop);
    }
    if (err < 0) {
        return err;
    }
    return goal->condition && !holds ? -ECANCELED : 0;
}

static int loop_make_one_turn(weir_loop *loop, void *arg)
{
    (void)arg;
    wr_assert(loop->state == WR_LOOP_RUNNING);
    wr_assert(!loop->never_waits);
    loop->never_waits = true;
    int err = wr_loop_turn(loop);
    loop->never_waits = false;
    /* Time outside of iterations belongs to the host. */
    loop_adapt_calls(loop, wr_sys_now() - loop->now_ns, loop_is_due(loop));
    if (err == 0 && wr_ring_unsubmitted(loop->uring.ring) > 0) {
        err = wr_loop_submit_all(loop);
    }
    if (err < 0) {
        return err;
    }
    return loop->is_stopping ? -ECANCELED : 0;
}

WEIR_MUST_USE static int
loop_run(weir_loop *loop, int (*body)(weir_loop *loop, void *arg), void *arg)
{
    wr_require_loop(loop);
    wr_require(loop->state == WR_LOOP_IDLE, -EBUSY);
    int err = wr_loop_bind(loop);
    if (err < 0) {
        return err;
    }
    wr_host_begin_run(loop);
    wr_assert(!loop->current);
    wr_loop_set_state(loop, WR_LOOP_RUNNING);
    err = body(loop, arg);
    wr_loop_set_state(loop, WR_LOOP_IDLE);
    wr_host_end_run(loop);
    loop->is_stopping = false;
    loop->never_waits = false;
    return err;
}

int weir_loop_run(weir_loop *loop)
{
    struct loop_goal goal = {.condition = NULL};

    return loop_run(loop, loop_make_turns, &goal);
}

int weir_loop_run_until(weir_loop *loop, weir_predicate_fn *condition,
                        void *arg)
{
    wr_require(condition, -EINVAL);
    struct loop_goal goal = {.condition = condition, .arg = arg};
    return loop_run(loop, loop_make_turns, &goal);
}

int wr_loop_run_until(weir_loop *loop, weir_predicate_fn *condition, void *arg)
{
    struct loop_goal goal = {
        .condition = condition, .arg = arg, .is_own = true};

    wr_assert(condition);
    return loop_run(loop, loop_make_turns, &goal);
}

int weir_loop_run_once(weir_loop *loop)
{
    return loop_run(loop, loop_make_one_turn, NULL);
}

uint64_t weir_loop_get_deadline(weir_loop *loop)
{
    if (wr_loop_check(loop) < 0 || wr_loop_is_closed(loop)) {
        return UINT64_MAX;
    }
    if (*loop->owner == WR_UNBOUND || wr_ring_has_work(loop->uring.ring)) {
        return 0;
    }
    if (loop_is_due(loop)) {
        return 0;
    }
    const uint64_t feed_ns = wr_add_sat(loop->now_ns, loop_feed_wait(loop));
    return wr_min_u64(wr_wheel_next(&loop->wheel), feed_ns);
}

void weir_loop_stop(weir_loop *loop)
{
    if (wr_loop_admits(loop) && !wr_loop_is_closing(loop)) {
        loop->is_stopping = true;
    }
}

bool weir_loop_is_running(const weir_loop *loop)
{
    return wr_loop_is_running(loop);
}

uint64_t weir_loop_get_time(const weir_loop *loop)
{
    return wr_loop_is_running(loop) ? loop->now_ns : wr_sys_now();
}
