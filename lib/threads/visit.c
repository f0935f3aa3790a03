/*
 * Calls that are passed from thread to thread, and the statistics of all
 * threads.
 *
 *     on the way <--> called       a thread runs the function
 *         |              '-------> called for the last time: the task was
 *         v                        interrupted, so the visit then goes home
 *        left                      the task waits no longer; the visit is freed
 *
 * A visit is an item that is posted to the mailbox of one thread after the
 * other, and finally to the mailbox of the requesting loop (home). A mailbox
 * orders the writes of its poster before the reads of its loop, so the function
 * needs no lock. The mutex protects the state, because the function must not
 * run any more after a waiting task has been interrupted.
 */
#include "threads.h"

#include "lib/base/options.h"
#include "lib/task/task.h"

#include <string.h>

enum visit_state {
    VISIT_ON_THE_WAY, /* in a mailbox, or about to be posted */
    VISIT_CALLED,
    VISIT_CALLED_LAST,
    VISIT_LEFT,
    VISIT_STATES,
};

struct visit {
    /* a copy, because the threads may end before the visit */
    struct weir_allocator allocator;
    /* Must not be used at home: the threads may have ended. */
    weir_threads *threads;
    weir_threads_each_fn *fn;
    void *arg;
    weir_threads_each_done_fn *done;
    void *done_arg;
    struct wr_wake *home; /* mailbox of the requesting loop */
    struct wr_wake_item item;
    uint32_t next;
    int visited_count;
    pthread_mutex_t mutex;
    pthread_cond_t returned;
    enum visit_state state;
};

static void visit_lock(struct visit *visit)
{
    const int err = pthread_mutex_lock(&visit->mutex);
    wr_check(err == 0);
}

static void visit_unlock(struct visit *visit)
{
    const int err = pthread_mutex_unlock(&visit->mutex);
    wr_check(err == 0);
}

static void visit_set_state(struct visit *visit, enum visit_state state)
{
    static const unsigned edges[VISIT_STATES] = {
        [VISIT_ON_THE_WAY] = 1u << VISIT_CALLED | 1u << VISIT_LEFT,
        [VISIT_CALLED] = 1u << VISIT_ON_THE_WAY | 1u << VISIT_CALLED_LAST,
        [VISIT_CALLED_LAST] = 1u << VISIT_ON_THE_WAY,
    };

    wr_assert(edges[visit->state] & 1u << state);
    visit->state = state;
}

/* Called on a thread or at home. Returns false if the task waits no longer. */
static bool visit_arrive(struct visit *visit)
{
    visit_lock(visit);
    const bool is_wanted = visit->state == VISIT_ON_THE_WAY;
    if (is_wanted) {
        visit_set_state(visit, VISIT_CALLED);
    }
    visit_unlock(visit);
    return is_wanted;
}

static void visit_free(struct visit *visit)
{
    const struct weir_allocator allocator = visit->allocator;

    wr_assert(!visit->item.is_posted);
    wr_wake_unref(visit->home);
    pthread_cond_destroy(&visit->returned);
    pthread_mutex_destroy(&visit->mutex);
    wr_free(&allocator, visit, sizeof(*visit));
}

/* Runs on the requesting loop, unless this loop was freed. */
static void visit_end(struct visit *visit, int result)
{
    weir_threads_each_done_fn *done = visit_arrive(visit) ? visit->done : NULL;
    void *done_arg = visit->done_arg;

    visit_free(visit);
    if (done) {
        done(done_arg, result);
    }
}

static void visit_came_home(void *arg)
{
    struct visit *visit = arg;

    wr_assert((uint32_t)visit->visited_count <= visit->next);
    visit_end(visit, visit->visited_count);
}

static void visit_found_no_home(void *arg)
{
    visit_end(arg, -ECANCELED);
}

/* Posts the visit to the requesting loop, which may free the visit, with its
 * reference to the mailbox, before the post has returned. */
static void visit_go_home(struct visit *visit)
{
    struct wr_wake *home = visit->home;

    visit->item = (struct wr_wake_item){
        .run = visit_came_home, .arg = visit, .drop = visit_found_no_home};
    wr_wake_ref(home);
    if (wr_wake_post_item(home, &visit->item) < 0) {
        visit_found_no_home(visit);
    }
    wr_wake_unref(home);
}

static void visit_go_on(struct visit *visit);

static void visit_call(void *arg)
{
    const struct visit *visit = arg;

    wr_assert(visit->next > 0);
    visit->fn(visit->arg, &visit->threads->threads[visit->next - 1]);
}

static void visit_arrived(void *arg)
{
    struct visit *visit = arg;

    if (!visit_arrive(visit)) {
        visit_free(visit);
        return;
    }
    wr_assert(visit->next > 0 && visit->next <= visit->threads->count);
    weir_loop *loop = visit->threads->threads[visit->next - 1].loop;

    wr_assert(wr_loop_is_running(loop));
    visit->visited_count++;
    wr_loop_call(loop, visit_call, visit, "threads_each");
    visit_lock(visit);
    const bool goes_on = visit->state == VISIT_CALLED;
    visit_set_state(visit, VISIT_ON_THE_WAY);
    pthread_cond_broadcast(&visit->returned);
    visit_unlock(visit);
    if (goes_on) {
        visit_go_on(visit);
    } else {
        visit_go_home(visit);
    }
}

/* The thread has ended before the visit arrived. */
static void visit_missed(void *arg)
{
    wr_assert(((struct visit *)arg)->next > 0);
    visit_go_on(arg);
}

/* Posts the visit to the next thread that has not ended, or else home. */
static void visit_go_on(struct visit *visit)
{
    weir_threads *threads = visit->threads;

    wr_assert(!visit->item.is_posted);
    visit->item = (struct wr_wake_item){
        .run = visit_arrived, .arg = visit, .drop = visit_missed};
    while (visit->next < threads->count) {
        struct wr_wake *wake = threads->threads[visit->next].wake;
        visit->next++; /* the thread reads it after the post */
        if (wr_wake_post_item(wake, &visit->item) == 0) {
            return;
        }
    }
    visit_go_home(visit);
}

static struct visit *visit_make(weir_threads *threads, weir_loop *loop,
                                weir_threads_each_fn *fn, void *arg,
                                weir_threads_each_done_fn *done, void *done_arg)
{
    struct visit *made = wr_alloc(&threads->allocator, sizeof(*made));

    wr_assert(fn != NULL);
    wr_require(made, NULL);
    *made = (struct visit){.allocator = threads->allocator,
                           .threads = threads,
                           .fn = fn,
                           .arg = arg,
                           .done = done,
                           .done_arg = done_arg,
                           .home = loop->wake,
                           .mutex = PTHREAD_MUTEX_INITIALIZER,
                           .returned = PTHREAD_COND_INITIALIZER};
    wr_wake_ref(made->home);
    return made;
}

int weir_threads_run_each(weir_threads *threads, weir_loop *loop,
                          weir_threads_each_fn *fn, void *arg,
                          weir_threads_each_done_fn *done, void *done_arg)
{
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(fn, -EINVAL);
    struct visit *made = visit_make(threads, loop, fn, arg, done, done_arg);
    wr_require(made, -ENOMEM);
    visit_go_on(made);
    return 0;
}

struct visiting {
    struct wr_waiter waiter;
    struct visit *visit;
};

static void visit_wake(void *arg, int result)
{
    struct visiting *visiting = arg;

    /* only a freed loop causes an error, and its tasks have ended */
    wr_assert(result >= 0);
    wr_waiter_wake(&visiting->waiter,
                   visiting->waiter.was_interrupted ? -ECANCELED : result);
}

static void visit_interrupt(struct wr_waiter *waiter)
{
    struct visiting *visiting =
        wr_container_of(waiter, struct visiting, waiter);

    wr_assert(visiting->visit != NULL);
    /* If the function is running, the visit goes home afterwards. */
    visit_lock(visiting->visit);
    const bool is_running = visiting->visit->state != VISIT_ON_THE_WAY;
    if (!is_running) {
        visit_set_state(visiting->visit, VISIT_LEFT);
    } else if (visiting->visit->state == VISIT_CALLED) {
        visit_set_state(visiting->visit, VISIT_CALLED_LAST);
    }
    visit_unlock(visiting->visit);
    if (!is_running) {
        wr_waiter_wake(waiter, -ECANCELED);
    }
}

/* The loop is being freed and does not read its mailbox any more. */
static void visit_give_up(struct wr_waiter *waiter)
{
    struct visiting *visiting =
        wr_container_of(waiter, struct visiting, waiter);

    wr_assert(wr_loop_is_closing(waiter->task->future.loop));
    /* Waits while the function runs, because it may use the task's stack. */
    visit_lock(visiting->visit);
    while (visiting->visit->state != VISIT_ON_THE_WAY) {
        pthread_cond_wait(&visiting->visit->returned, &visiting->visit->mutex);
    }
    visit_set_state(visiting->visit, VISIT_LEFT);
    visit_unlock(visiting->visit);
    wr_waiter_wake(waiter, -ECANCELED);
}

int weir_threads_run_each_wait(weir_threads *threads, weir_loop *loop,
                               weir_threads_each_fn *fn, void *arg)
{
    static const struct wr_wait_kind kind = {.name = "call on each thread",
                                             .interrupt = visit_interrupt,
                                             .give_up = visit_give_up};
    struct visiting visiting = {.waiter.kind = &kind};
    int err = wr_task_enter(loop);
    wr_require(err >= 0, err);
    wr_require(fn, -EINVAL);
    visiting.visit = visit_make(threads, loop, fn, arg, visit_wake, &visiting);
    wr_require(visiting.visit, -ENOMEM);
    visit_go_on(visiting.visit); /* the visit ends in a later iteration */
    return wr_task_wait(loop, &visiting.waiter, NULL);
}

struct gathering {
    struct weir_allocator allocator; /* a copy, as in struct visit */
    struct weir_loop_statistics sum;
    struct weir_loop_statistics *ret;
    weir_threads_each_done_fn *done;
    void *done_arg;
};

#define FIELDS_AT    offsetof(struct weir_loop_statistics, turns)
#define FIELDS_BYTES (sizeof(struct weir_loop_statistics) - FIELDS_AT)
_Static_assert(FIELDS_BYTES % sizeof(uint64_t) == 0, "all fields are counts");

/* Adds all counts, but takes the maximum of stack_high_water_bytes. */
static void visit_add(struct weir_loop_statistics *sum,
                      const struct weir_loop_statistics *one)
{
    uint64_t sums[FIELDS_BYTES / sizeof(uint64_t)];
    uint64_t ones[FIELDS_BYTES / sizeof(uint64_t)];
    const uint64_t high =
        wr_max_u64(sum->stack_high_water_bytes, one->stack_high_water_bytes);

    memcpy(sums, (const char *)sum + FIELDS_AT, FIELDS_BYTES);
    memcpy(ones, (const char *)one + FIELDS_AT, FIELDS_BYTES);
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        sums[i] += ones[i];
    }
    memcpy((char *)sum + FIELDS_AT, sums, FIELDS_BYTES);
    sum->stack_high_water_bytes = high;
}

static void visit_gather(void *arg, weir_thread *thread)
{
    struct weir_loop_statistics one = {.size = sizeof(one)};
    const int err = weir_loop_get_statistics(thread->loop, &one);

    wr_assert(err == 0); /* each thread reads its own loop */
    visit_add(arg, &one);
}

static void visit_gathered(void *arg, int result)
{
    const struct gathering gathering = *(struct gathering *)arg;

    wr_assert(gathering.ret);
    wr_free(&gathering.allocator, arg, sizeof(gathering));
    if (result >= 0) {
        wr_answer_write(gathering.ret, &gathering.sum, sizeof(gathering.sum));
    }
    if (gathering.done) {
        gathering.done(gathering.done_arg, result);
    }
}

int weir_threads_get_statistics(weir_threads *threads, weir_loop *loop,
                                struct weir_loop_statistics *ret,
                                weir_threads_each_done_fn *done, void *done_arg)
{
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    struct gathering *gathering =
        wr_alloc(&threads->allocator, sizeof(*gathering));
    wr_require(gathering, -ENOMEM);
    *gathering = (struct gathering){.allocator = threads->allocator,
                                    .ret = ret,
                                    .done = done,
                                    .done_arg = done_arg};
    err = weir_threads_run_each(threads, loop, visit_gather, &gathering->sum,
                                visit_gathered, gathering);
    if (err < 0) {
        wr_free(&threads->allocator, gathering, sizeof(*gathering));
    }
    return err;
}

int weir_threads_get_statistics_wait(weir_threads *threads, weir_loop *loop,
                                     struct weir_loop_statistics *ret)
{
    struct weir_loop_statistics sum = {.size = sizeof(sum)};
    const int err = wr_answer_check(ret);

    wr_require(err >= 0, err);
    const int count =
        weir_threads_run_each_wait(threads, loop, visit_gather, &sum);
    if (count >= 0) {
        wr_answer_write(ret, &sum, sizeof(sum));
    }
    return count;
}
