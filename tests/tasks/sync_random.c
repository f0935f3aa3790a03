/*
 * Random programs with all synchronisation objects, cancelled at random points.
 *
 * Workers use locks, semaphores, events, conditions, barriers and queues at
 * random, or whichever comes first, some calls with a timeout, while the main
 * task cancels, sets, notifies, resets, puts, gets, shuts down and frees. At
 * any time a lock must have one owner, a semaphore must not give more than it
 * has, each position of a barrier's round must be taken once unless the round
 * is broken, and an item that was put must be taken once, others never. When
 * the main task stops cancelling, all workers must end. Half of the runs end
 * with the loop instead. WEIR_TASK_SEED sets the seed.
 */
#include "sync.h"

#include <signal.h>
#include <weir/waitable.h>

#ifdef UNIT_HAS_LSAN
#define SEEDS 200u
#else
#define SEEDS 2000u
#endif
#define WORKERS    12
#define STEPS      30
#define LOCKS      2
#define PARTIES    3
#define QUEUES     2
#define PERMITS    3u
#define ITEMS      1024
#define MAIN_STEPS 200
#define END_TURNS  2000

/* Shown with what failed. */
#define must(cond)                                                             \
    cr_assert((cond), "WEIR_TASK_SEED=%llu: %s", (unsigned long long)seed,     \
              #cond)

enum item_state { ITEM_NEW, ITEM_OFFERED, ITEM_GOT, ITEM_WITHDRAWN };

/* An item's pointer is that of its state. */
struct item {
    enum item_state state;
    bool is_put; /* the call has said so */
};

static uint64_t seed;
static uint64_t dice;
static uint64_t call_count;    /* over all seeds */
static uint64_t success_count; /* calls that returned what they are for */

/* One run. */
static struct {
    weir_lock *locks[LOCKS];
    bool is_inside[LOCKS];
    weir_condition *condition; /* of the first lock */
    weir_semaphore *semaphore;
    uint32_t permits; /* had */
    weir_event *event;
    weir_barrier *barrier;
    uint32_t places[MAIN_STEPS + 1]; /* had of a round; for each barrier made */
    size_t barrier_count;
    weir_queue *queues[QUEUES];
    struct item items[ITEMS];
    size_t item_count;
    size_t notified;
    size_t notices; /* waits that returned 0 */
    weir_task *workers[WORKERS];
    uint32_t alive;
} run;

static uint64_t random_below(uint64_t below)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (dice >> 11) % below;
}

static bool one_in(uint64_t count)
{
    return random_below(count) == 0;
}

/* Result of a call that may be cancelled or fail with @other. */
static int seen(int err, int other)
{
    must(err >= 0 || err == -ECANCELED || err == other);
    call_count++;
    success_count += err >= 0;
    return err;
}

static void linger(weir_loop *on)
{
    while (one_in(2)) {
        seen(one_in(3) ? weir_sleep(on, random_below(20 * US)) : weir_yield(on),
             0);
    }
}

static void go_in(size_t idx)
{
    must(weir_lock_is_locked(run.locks[idx]));
    must(!run.is_inside[idx]);
    run.is_inside[idx] = true;
}

static void go_out(size_t idx)
{
    must(run.is_inside[idx]);
    run.is_inside[idx] = false;
}

static void use_lock(weir_loop *on)
{
    const size_t idx = random_below(LOCKS);
    weir_lock *lock = run.locks[idx];
    const int err =
        one_in(4) ? weir_lock_acquire_nowait(lock) : weir_lock_acquire(lock);

    if (seen(err, -EBUSY) < 0) {
        return;
    }
    go_in(idx);
    must(weir_lock_acquire_nowait(lock) == -EBUSY);
    linger(on);
    go_out(idx);
    must(weir_lock_release(lock) == 0);
}

static void use_condition(weir_loop *on)
{
    if (seen(weir_lock_acquire(run.locks[0]), 0) < 0) {
        return;
    }
    go_in(0);
    linger(on);
    go_out(0);
    if (seen(weir_condition_wait(run.condition), 0) == 0) {
        run.notices++;
        must(run.notices <= run.notified);
    }
    go_in(0); /* also when it was cancelled */
    linger(on);
    go_out(0);
    must(weir_lock_release(run.locks[0]) == 0);
}

static void use_semaphore(weir_loop *on)
{
    const int err = one_in(4) ? weir_semaphore_acquire_nowait(run.semaphore)
                              : weir_semaphore_acquire(run.semaphore);

    if (seen(err, -EBUSY) < 0) {
        return;
    }
    run.permits++;
    must(run.permits + weir_semaphore_get_value(run.semaphore) <= PERMITS);
    linger(on);
    if (one_in(3)) {
        use_lock(on);
    }
    run.permits--;
    must(weir_semaphore_release(run.semaphore) == 0);
}

static void use_event(weir_loop *on)
{
    seen(weir_event_wait(run.event), 0);
}

static void use_barrier(weir_loop *on)
{
    uint32_t *places = &run.places[run.barrier_count];
    const int place = seen(weir_barrier_wait(run.barrier), WEIR_EBROKEN);

    must(place < PARTIES);
    if (place < 0) {
        return;
    }
    must((*places & 1u << place) == 0);
    *places |= 1u << place;
    if (*places == (1u << PARTIES) - 1) { /* the round is over */
        *places = 0;
    }
}

static struct item *make_item(void)
{
    must(run.item_count < ITEMS);
    struct item *item = &run.items[run.item_count++];
    item->state = ITEM_OFFERED;
    return item;
}

static void know_put(struct item *item, int err)
{
    if (err == 0) {
        must(item->state == ITEM_OFFERED || item->state == ITEM_GOT);
        item->is_put = true;
    } else {
        must(item->state == ITEM_OFFERED);
        item->state = ITEM_WITHDRAWN;
    }
}

static void know_got(void *pointer)
{
    struct item *item = pointer;
    must(item->state == ITEM_OFFERED);
    item->state = ITEM_GOT;
}

static weir_queue *any_queue(void)
{
    return run.queues[random_below(QUEUES)];
}

static void put_something(weir_loop *on)
{
    weir_queue *queue = any_queue();
    struct item *item = make_item();
    know_put(item, seen(weir_queue_put(queue, item), WEIR_EQUEUESHUTDOWN));
}

static void get_something(weir_loop *on)
{
    weir_queue *queue = any_queue();
    void *item = NULL;

    if (seen(weir_queue_get(queue, &item), WEIR_EQUEUESHUTDOWN) < 0) {
        must(!item);
        return;
    }
    know_got(item);
    linger(on);
    must(weir_queue_task_done(queue) == 0);
}

static void join_queue(weir_loop *on)
{
    seen(weir_queue_join(any_queue()), 0);
}

/* Takes whichever comes first, and handles it as the others do. */
static void use_first(weir_loop *on)
{
    const size_t idx = random_below(LOCKS);
    weir_queue *from = any_queue();
    void *got = NULL;
    struct item *item = make_item();
    struct weir_waitable what[] = {
        weir_waitable_queue_put(any_queue(), item),
        weir_waitable_queue_get(from, &got),
        weir_waitable_lock(run.locks[idx]),
        weir_waitable_semaphore(run.semaphore),
        weir_waitable_event(run.event),
    };
    const size_t count = sizeof(what) / sizeof(what[0]);
    const size_t begin = random_below(count); /* not all of them */
    int index = seen(weir_wait_any(on, &what[begin], count - begin), 0);

    index = index < 0 ? index : index + (int)begin;
    know_put(item, index == 0 ? what[0].result : -ECANCELED);
    if (index < 0 || what[index].result < 0) {
        must(!got);
        return;
    }
    must(!got == (index != 1));
    switch (index) {
    case 1:
        know_got(got);
        linger(on);
        must(weir_queue_task_done(from) == 0);
        break;
    case 2:
        go_in(idx);
        linger(on);
        go_out(idx);
        must(weir_lock_release(run.locks[idx]) == 0);
        break;
    case 3:
        run.permits++;
        must(run.permits + weir_semaphore_get_value(run.semaphore) <= PERMITS);
        linger(on);
        run.permits--;
        must(weir_semaphore_release(run.semaphore) == 0);
        break;
    default:
        break;
    }
}

typedef void action(weir_loop *on);

static void act(weir_loop *on)
{
    static action *const actions[] = {
        use_lock,      use_lock,      use_condition, use_semaphore,
        use_semaphore, use_event,     use_barrier,   use_barrier,
        put_something, put_something, get_something, get_something,
        join_queue,    linger,        use_first,     use_first,
    };
    const size_t count = sizeof(actions) / sizeof(actions[0]);
    struct weir_timeout limit;

    if (one_in(3)) {
        must(weir_timeout_begin(on, &limit, random_below(60 * US)) == 0);
        actions[random_below(count)](on);
        must(weir_timeout_end(&limit, 0) == 0);
    } else {
        actions[random_below(count)](on);
    }
}

static int work(weir_loop *on, void *arg)
{
    for (uint64_t steps = random_below(STEPS); steps > 0; steps--) {
        act(on);
    }
    run.alive--;
    return 0;
}

static void cancel_somebody(void)
{
    weir_task *task = run.workers[random_below(WORKERS)];

    for (uint64_t times = 1 + random_below(2); times > 0; times--) {
        weir_task_cancel(task);
    }
}

static void touch_event(weir_loop *on)
{
    if (one_in(4)) {
        weir_event_free(run.event);
        must(weir_event_new(on, &run.event) == 0);
    } else if (one_in(2)) {
        weir_event_set(run.event);
    } else {
        weir_event_clear(run.event);
    }
}

static void touch_barrier(weir_loop *on)
{
    must(weir_barrier_get_waiting_count(run.barrier) < PARTIES);
    if (one_in(4)) {
        weir_barrier_free(run.barrier);
        must(weir_barrier_new(on, PARTIES, &run.barrier) == 0);
        run.barrier_count++;
        return;
    }
    run.places[run.barrier_count] = 0; /* who has none by now gets none */
    if (one_in(3)) {
        weir_barrier_abort(run.barrier);
    } else {
        weir_barrier_reset(run.barrier);
    }
}

static void touch_queue(void)
{
    weir_queue *queue = any_queue();
    void *item;

    if (one_in(30)) {
        if (one_in(2)) {
            weir_queue_shutdown_immediate(queue);
        } else {
            weir_queue_shutdown(queue);
        }
    } else if (one_in(2)) {
        struct item *offered = make_item();
        know_put(offered, weir_queue_put_nowait(queue, offered));
    } else if (weir_queue_get_nowait(queue, &item) == 0) {
        know_got(item);
        must(weir_queue_task_done(queue) == 0);
    } else if (weir_queue_take_left(queue, &item)) {
        know_got(item);
    }
}

/* While a task has the lock; or with it, for a moment. */
static void notify_some(size_t count)
{
    const bool is_free = weir_lock_acquire_nowait(run.locks[0]) == 0;
    const ssize_t woken = weir_condition_notify(run.condition, count);

    must(woken >= 0);
    run.notified += (size_t)woken;
    if (is_free) {
        must(weir_lock_release(run.locks[0]) == 0);
    }
    must(weir_lock_is_locked(run.locks[0]) ||
         weir_condition_notify(run.condition, 1) == -EPERM);
}

static void touch_something(weir_loop *on)
{
    switch (random_below(8)) {
    case 0:
        touch_event(on);
        break;
    case 1:
        notify_some(random_below(3));
        break;
    case 2:
        touch_barrier(on);
        break;
    case 3:
    case 4:
        touch_queue();
        break;
    default:
        cancel_somebody();
    }
}

/* Once all that tasks wait for has come, no task may wait any more. */
static void calm_down(weir_loop *on)
{
    weir_event_set(run.event);
    run.places[run.barrier_count] = 0;
    weir_barrier_abort(run.barrier);
    for (size_t i = 0; i < QUEUES; i++) {
        weir_queue_shutdown_immediate(run.queues[i]);
    }
    for (int i = 0; i < END_TURNS && run.alive > 0; i++) {
        notify_some(SIZE_MAX);
        must(weir_sleep(on, 10 * US) == 0);
    }
    must(run.alive == 0);
}

static void make_objects(weir_loop *on)
{
    for (size_t i = 0; i < LOCKS; i++) {
        must(weir_lock_new(on, &run.locks[i]) == 0);
    }
    must(weir_condition_new(run.locks[0], &run.condition) == 0);
    must(weir_bounded_semaphore_new(on, PERMITS, &run.semaphore) == 0);
    must(weir_event_new(on, &run.event) == 0);
    must(weir_barrier_new(on, PARTIES, &run.barrier) == 0);
    for (size_t i = 0; i < QUEUES; i++) {
        must(weir_queue_new(on, 1 + random_below(4),
                            i == 0 ? WEIR_QUEUE_FIFO : WEIR_QUEUE_LIFO,
                            &run.queues[i]) == 0);
    }
}

static int play(weir_loop *on, void *arg)
{
    const bool ends_calmly = *(const bool *)arg;
    const uint64_t steps = random_below(MAIN_STEPS);

    make_objects(on);
    for (size_t i = 0; i < WORKERS; i++) {
        run.workers[i] = rig_spawn(work, NULL);
        run.alive++;
    }
    for (uint64_t i = 0; i < steps; i++) {
        touch_something(on);
        if (one_in(2)) {
            must(weir_sleep(on, random_below(20 * US)) == 0);
        }
    }
    if (ends_calmly) {
        calm_down(on);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        weir_task_unref(run.workers[i]);
    }
    return 0;
}

static void check_items(void)
{
    void *item;

    for (size_t i = 0; i < QUEUES; i++) {
        weir_queue_shutdown_immediate(run.queues[i]);
        while (weir_queue_take_left(run.queues[i], &item)) {
            know_got(item);
        }
        must(weir_queue_task_done(run.queues[i]) == -ERANGE);
    }
    for (size_t i = 0; i < run.item_count; i++) {
        must(run.items[i].is_put == (run.items[i].state == ITEM_GOT));
        must(run.items[i].state != ITEM_OFFERED);
    }
}

static void check_and_free(void)
{
    must(run.alive == 0);
    for (size_t i = 0; i < LOCKS; i++) {
        must(!weir_lock_is_locked(run.locks[i]));
        weir_lock_free(run.locks[i]);
    }
    must(run.notices <= run.notified);
    must(run.permits == 0);
    must(weir_semaphore_get_value(run.semaphore) == PERMITS);
    must(weir_barrier_get_waiting_count(run.barrier) == 0);
    for (size_t i = 0; i <= run.barrier_count; i++) {
        must(run.places[i] == 0);
    }
    check_items();
    weir_condition_free(run.condition);
    weir_semaphore_free(run.semaphore);
    weir_event_free(run.event);
    weir_barrier_free(run.barrier);
    for (size_t i = 0; i < QUEUES; i++) {
        weir_queue_free(run.queues[i]);
    }
}

static void play_seed(void)
{
    const struct fake_options machine = {.seed = seed};
    const bool ends_calmly = seed % 2 == 0;

    dice = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    memset(&run, 0, sizeof(run));
    fake_start(&machine);
    must(weir_loop_new(NULL, &loop) == 0);
    must(rig_main(play, (void *)(uintptr_t)&ends_calmly) == 0);
    must(weir_loop_free(loop) == 0);
    check_and_free();
    fake_stop();
}

/* An assertion of the library ends the process: say which seed it was. */
static void tell_seed(int signum)
{
    char line[64];
    const int len = snprintf(line, sizeof(line), "WEIR_TASK_SEED=%llu\n",
                             (unsigned long long)seed);
    if (write(STDERR_FILENO, line, (size_t)len) == len) {
        signal(signum, SIG_DFL);
    }
    raise(signum);
}

UNIT(sync_random, programs_keep_what_each_object_promises_and_all_end)
{
    const char *given = getenv("WEIR_TASK_SEED");

    signal(SIGABRT, tell_seed);
    signal(SIGSEGV, tell_seed);
    if (given) {
        seed = strtoull(given, NULL, 0);
        play_seed();
        return;
    }
    for (seed = 1; seed <= SEEDS; seed++) {
        play_seed();
    }
    expect_gt(call_count, SEEDS * 50);
    expect_gt(success_count, call_count / 4);
}
