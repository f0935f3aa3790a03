/*
 * Visits: a call that goes from thread to thread, and the statistics of all.
 *
 * A visit is one item that is posted to the mailbox of one thread after the
 * other, and at the end to that of the loop which has asked. A mailbox orders
 * what its poster has written before what its loop reads, so that the visited
 * threads need no lock.
 */
#include "threads.h"

#include "lib/base/options.h"

#include <string.h>

struct visit {
    struct weir_allocator allocator; /* a copy: the threads may end first */
    weir_threads *threads;           /* until it goes home */
    weir_thread_visit_fn *visit;
    void *arg;
    weir_threads_visited_fn *done;
    void *done_arg;
    struct wr_wake *home;     /* the mailbox of the loop that has asked */
    struct wr_wake_item item; /* in one mailbox at a time */
    uint32_t next;            /* the thread that is visited next */
    int visited_count;
};

/* Tells of the end, on the loop that has asked or instead of it. */
static void visit_end(struct visit *visit, int result)
{
    const struct visit ended = *visit;

    wr_assert(!visit->item.is_posted);
    wr_free(&ended.allocator, visit, sizeof(*visit));
    if (ended.done) {
        ended.done(ended.done_arg, result);
    }
    wr_wake_unref(ended.home);
}

static void visit_came_home(void *arg)
{
    struct visit *visit = arg;

    wr_assert((uint32_t)visit->visited_count <= visit->next);
    visit_end(visit, visit->visited_count);
}

/* The loop that has asked was freed. */
static void visit_found_no_home(void *arg)
{
    visit_end(arg, -ECANCELED);
}

/* Goes to the loop that has asked. The loop may give the visit's reference to
 * its mailbox back before the post has returned. */
static void visit_go_home(struct visit *visit)
{
    struct wr_wake *home = visit->home;

    wr_assert(visit->next > 0);
    visit->item = (struct wr_wake_item){
        .run = visit_came_home, .arg = visit, .drop = visit_found_no_home};
    wr_wake_ref(home);
    if (wr_wake_post_item(home, &visit->item) < 0) {
        visit_found_no_home(visit);
    }
    wr_wake_unref(home);
}

static void visit_go_on(struct visit *visit);

/* The user's function, where the loop looks how long it takes. */
static void visit_call(void *arg)
{
    const struct visit *visit = arg;

    wr_assert(visit->next > 0);
    visit->visit(visit->arg, &visit->threads->threads[visit->next - 1]);
}

static void visit_arrived(void *arg)
{
    struct visit *visit = arg;

    wr_assert(visit->next > 0 && visit->next <= visit->threads->count);
    weir_loop *loop = visit->threads->threads[visit->next - 1].loop;

    wr_assert(wr_loop_is_running(loop));
    visit->visited_count++;
    wr_loop_call(loop, visit_call, visit, "visit");
    visit_go_on(visit);
}

/* The thread has ended before its visit. */
static void visit_missed(void *arg)
{
    wr_assert(((struct visit *)arg)->next > 0);
    visit_go_on(arg);
}

/* Goes to the next thread that has not ended, and then home. */
static void visit_go_on(struct visit *visit)
{
    weir_threads *threads = visit->threads;

    wr_assert(!visit->item.is_posted);
    visit->item = (struct wr_wake_item){
        .run = visit_arrived, .arg = visit, .drop = visit_missed};
    while (visit->next < threads->count) {
        struct wr_wake *wake = threads->threads[visit->next].wake;
        visit->next++; /* before the post: the thread reads it */
        if (wr_wake_post_item(wake, &visit->item) == 0) {
            return;
        }
    }
    visit_go_home(visit);
}

int weir_threads_visit(weir_threads *threads, weir_loop *loop,
                       weir_thread_visit_fn *visit, void *arg,
                       weir_threads_visited_fn *done, void *done_arg)
{
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(visit, -EINVAL);
    struct visit *made = wr_alloc(&threads->allocator, sizeof(*made));
    wr_require(made, -ENOMEM);
    *made = (struct visit){.allocator = threads->allocator,
                           .threads = threads,
                           .visit = visit,
                           .arg = arg,
                           .done = done,
                           .done_arg = done_arg,
                           .home = loop->wake};
    wr_wake_ref(made->home);
    visit_go_on(made);
    return 0;
}

/* ---- statistics ---- */

struct gathering {
    struct weir_allocator allocator; /* a copy, as in a visit */
    struct weir_loop_statistics sum;
    struct weir_loop_statistics *ret;
    weir_threads_visited_fn *done;
    void *done_arg;
};

#define FIELDS_AT    offsetof(struct weir_loop_statistics, turns)
#define FIELDS_BYTES (sizeof(struct weir_loop_statistics) - FIELDS_AT)
_Static_assert(FIELDS_BYTES % sizeof(uint64_t) == 0, "all fields are counts");

/* Adds each field of @one to that of @sum, but keeps the larger mark. */
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
    struct gathering *gathering = arg;

    wr_assert(gathering->ret);
    struct weir_loop_statistics one = {.size = sizeof(one)};
    const int err = weir_loop_get_statistics(thread->loop, &one);

    wr_assert(err == 0); /* on its own thread */
    visit_add(&gathering->sum, &one);
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
                                weir_threads_visited_fn *done, void *done_arg)
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
    err = weir_threads_visit(threads, loop, visit_gather, gathering,
                             visit_gathered, gathering);
    if (err < 0) {
        wr_free(&threads->allocator, gathering, sizeof(*gathering));
    }
    return err;
}
