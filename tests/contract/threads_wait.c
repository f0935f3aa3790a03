/*
 * A task that waits for a function to run on each thread: it may be interrupted
 * while the call is on its way, while the function runs and when the call has
 * returned, and its loop may be freed meanwhile.
 *
 * Afterwards the function does not run any more, so its argument may be on the
 * task's stack.
 */
#define UNIT_RUN with_threads
#include "tests/contract/threads_rig.h"

static weir_threads *threads;

struct tour {
    uint32_t order[THREADS];
    int count;
    bool is_inside;
};

struct asking {
    weir_task *task;
    weir_threads_each_fn *visit;
    struct tour tour;
    int result;
    int next_err;
    bool was_inside;
};

static sem_t inside;
static sem_t go;

static void visit_one(void *arg, weir_thread *thread)
{
    struct tour *tour = arg;
    const uint32_t index = weir_thread_get_index(thread);
    cr_assert(pthread_equal(pthread_self(), served.ids[index]));
    tour->order[tour->count++] = index;
}

static void visit_held(void *arg, weir_thread *thread)
{
    struct tour *tour = arg;
    visit_one(arg, thread);
    tour->is_inside = true;
    expect_eq(sem_post(&inside), 0);
    wait_for(&go);
    spin(20 * MS); /* a task that does not wait for the end sees is_inside */
    tour->is_inside = false;
}

static int ask(weir_loop *on, void *arg)
{
    struct asking *asking = arg;
    struct tour tour = {.count = 0};
    asking->result =
        weir_threads_run_each_wait(threads, on, asking->visit, &tour);
    asking->was_inside = tour.is_inside;
    asking->tour = tour;
    asking->next_err = weir_yield(on);
    return 0;
}

static void start_asking(struct asking *asking, weir_threads_each_fn *visit)
{
    *asking = (struct asking){.visit = visit, .result = 1000};
    expect_ok(weir_task_spawn(loop, ask, asking, NULL, &asking->task));
}

static void join(struct asking *asking)
{
    expect_eq(weir_task_join(asking->task, NULL), 0);
}

static int body_of_test(weir_loop *on, void *arg)
{
    (*(void (**)(void))arg)();
    return 0;
}

static void with_loop_of_test(void (*body)(void))
{
    open_loop(NULL);
    expect_eq(sem_init(&inside, 0, 0), 0);
    expect_eq(sem_init(&go, 0, 0), 0);
    expect_eq(weir_loop_run_task(loop, body_of_test, &body, NULL), 0);
    close_loop();
}

static void (*body_with_threads)(void);

static void serve_body(void)
{
    threads = start_serving(NULL, 0);
    body_with_threads();
    end_serving(threads);
}

static void with_threads(void (*body)(void))
{
    body_with_threads = body;
    with_loop_of_test(serve_body);
}

static void stand(void *arg)
{
    expect_eq(sem_post(&inside), 0);
    wait_for(&go);
}

static void let_stand(uint32_t index)
{
    expect_ok(weir_thread_call_soon(weir_threads_get(threads, index), stand,
                                    NULL, NULL));
    wait_for(&inside);
}

static void let_go_on(void)
{
    expect_eq(sem_post(&go), 0);
}

UNIT(threads_wait, the_call_returns_when_all_threads_were_visited)
{
    struct tour tour = {.count = 0};
    expect_eq(weir_threads_run_each_wait(threads, loop, visit_one, &tour),
              THREADS);
    expect_eq(tour.count, THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        expect_eq(tour.order[i], i);
    }
    expect_eq(weir_threads_run_each_wait(threads, loop, NULL, &tour), -EINVAL);
}

UNIT(threads_wait, other_tasks_run_while_one_waits)
{
    struct asking asking;
    start_asking(&asking, visit_held);
    while (sem_trywait(&inside) < 0) {
        yield();
    }
    expect_eq(asking.result, 1000);
    expect_str_eq(weir_task_get_wait(asking.task), "call on each thread");
    for (int i = 0; i < THREADS; i++) {
        let_go_on();
    }
    join(&asking);
    expect_eq(asking.result, THREADS);
    expect_eq(asking.next_err, 0);
}

UNIT_IN(threads_wait, threads_that_have_ended_are_left_out, with_loop_of_test,
        void)
{
    struct tour tour = {.count = 0};
    struct weir_loop_statistics sum = {.size = sizeof(sum), .turns = 7};
    struct weir_threads_options options = {.size = sizeof(options),
                                           .thread_count = THREADS};
    served = (struct served){.failing = -1};
    open_served();
    expect_ok(
        weir_threads_start(&options, serve_until_cancelled, &served, &threads));
    for (int i = 0; i < THREADS; i++) {
        wait_for(&served.runs);
    }
    weir_threads_stop(threads, UINT64_MAX);
    for (uint32_t i = 0; i < THREADS; i++) {
        wait_for_end(weir_threads_get(threads, i));
    }
    expect_eq(weir_threads_run_each_wait(threads, loop, visit_one, &tour), 0);
    expect_eq(tour.count, 0);
    expect_eq(weir_threads_get_statistics_wait(threads, loop, &sum), 0);
    expect_eq(sum.turns, 0, "the sum over none");
    expect_eq(weir_threads_join(threads), 0);
}

UNIT_IN(threads_wait, only_a_task_waits, with_loop, void)
{
    struct tour tour = {.count = 0};
    struct weir_loop_statistics sum = {.size = sizeof(sum)};
    threads = start_serving(NULL, 0);
    expect_eq(weir_threads_run_each_wait(threads, loop, visit_one, &tour),
              WEIR_ENOTTASK);
    expect_eq(weir_threads_get_statistics_wait(threads, loop, &sum),
              WEIR_ENOTTASK);
    end_serving(threads);
    expect_eq(tour.count, 0);
}

UNIT(threads_wait, an_interruption_does_not_wait_for_a_thread_that_stands)
{
    struct asking asking;
    let_stand(0);
    start_asking(&asking, visit_one);
    yield();
    cr_assert(weir_task_cancel(asking.task));
    join(&asking);
    expect_eq(asking.result, -ECANCELED);
    expect_eq(asking.tour.count, 0);
    expect_eq(asking.next_err, 0);
    let_go_on();
    /* Runs after the call, which reaches no thread. */
    expect_eq(
        weir_threads_run_each_wait(threads, loop, visit_one, &asking.tour),
        THREADS);
    expect_eq(asking.tour.count, THREADS);
}

UNIT(threads_wait, a_time_out_ends_the_visit)
{
    struct tour tour = {.count = 0};
    struct weir_timeout limit;
    let_stand(1);
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    const int result =
        weir_threads_run_each_wait(threads, loop, visit_one, &tour);
    expect_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);
    expect_leq(tour.count, 1);
    let_go_on();
}

UNIT(threads_wait, an_interruption_waits_until_the_function_has_returned)
{
    struct asking asking;
    start_asking(&asking, visit_held);
    while (sem_trywait(&inside) < 0) {
        yield();
    }
    cr_assert(weir_task_cancel(asking.task));
    cr_assert(weir_task_cancel(asking.task));
    for (int i = 0; i < 10; i++) {
        yield();
    }
    expect_eq(asking.result, 1000);
    let_go_on();
    join(&asking);
    expect_eq(asking.result, -ECANCELED);
    expect_eq(asking.was_inside, false);
    expect_eq(asking.tour.count, 1);
    expect_eq(asking.next_err, 0);
}

static void do_note(void *arg)
{
    expect_eq(sem_post(arg), 0);
}

UNIT(threads_wait, an_interruption_finds_the_visit_at_home)
{
    struct asking asking;
    start_asking(&asking, visit_held);
    yield();
    for (int i = 0; i < THREADS; i++) {
        let_go_on();
        wait_for(&inside);
    }
    /* The last thread has posted the call when it makes the next one. */
    expect_ok(weir_thread_call_soon(weir_threads_get(threads, THREADS - 1),
                                    do_note, &inside, NULL));
    wait_for(&inside);
    cr_assert(weir_task_cancel(asking.task));
    join(&asking);
    expect_eq(asking.result, -ECANCELED);
    expect_eq(asking.tour.count, THREADS);
    expect_eq(asking.next_err, 0);
    yield();
}

static int let_go_at_end(weir_loop *on, void *arg)
{
    expect_eq(weir_sleep(on, FAILSAFE_S * 1000 * MS), -ECANCELED);
    let_go_on();
    return 0;
}

UNIT_IN(threads_wait, the_end_of_the_loop_waits_for_the_function, unit_alone,
        void)
{
    struct asking asking;
    open_loop(NULL);
    expect_eq(sem_init(&inside, 0, 0), 0);
    expect_eq(sem_init(&go, 0, 0), 0);
    threads = start_serving(NULL, 0);
    start_asking(&asking, visit_held);
    expect_ok(weir_task_spawn(loop, let_go_at_end, NULL, NULL, NULL));
    one_turn();
    wait_for(&inside);
    weir_task_unref(asking.task);
    expect_eq(weir_loop_free(loop), 0);
    expect_eq(asking.result, -ECANCELED);
    expect_eq(asking.was_inside, false);
    expect_eq(asking.tour.count, 1);
    end_serving(threads);
}

UNIT_IN(threads_wait, the_end_of_the_loop_waits_for_no_thread_that_stands,
        unit_alone, void)
{
    struct asking asking;
    open_loop(NULL);
    expect_eq(sem_init(&inside, 0, 0), 0);
    expect_eq(sem_init(&go, 0, 0), 0);
    threads = start_serving(NULL, 0);
    let_stand(0);
    start_asking(&asking, visit_one);
    one_turn();
    weir_task_unref(asking.task);
    expect_eq(weir_loop_free(loop), 0);
    expect_eq(asking.result, -ECANCELED);
    let_go_on();
    end_serving(threads);
    expect_eq(asking.tour.count, 0);
}

static weir_task *served_task;

static void cancel_own(void *arg, weir_thread *thread)
{
    struct tour *tour = arg;
    tour->count++;
    if (weir_thread_get_index(thread) == 0) {
        cr_assert(weir_task_cancel(served_task));
    }
}

static int ask_on_thread(weir_thread *thread, void *arg)
{
    struct tour tour = {.count = 0};
    if (weir_thread_get_index(thread) > 0) {
        return serve_until_cancelled(thread, arg);
    }
    served_task =
        weir_task_ref(weir_task_get_current(weir_thread_get_loop(thread)));
    const int result = weir_threads_run_each_wait(weir_thread_get_group(thread),
                                                  weir_thread_get_loop(thread),
                                                  cancel_own, &tour);
    weir_task_unref(served_task);
    expect_eq(tour.count, 1);
    weir_threads_stop(weir_thread_get_group(thread), UINT64_MAX);
    return result;
}

UNIT_IN(threads_wait, the_function_interrupts_the_task_that_asks, unit_alone,
        void)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = THREADS};
    served = (struct served){.failing = -1};
    open_served();
    expect_eq(weir_threads_run(&options, ask_on_thread, &served), 0);
}

static void add_one(void *arg, weir_thread *thread)
{
    struct tour *tour = arg;
    tour->count++;
}

static int storm_main(weir_thread *thread, void *arg)
{
    weir_loop *own = weir_thread_get_loop(thread);
    for (uint64_t i = 0; i < 40; i++) {
        struct weir_timeout limit;
        struct tour tour = {.count = 0};
        expect_eq(weir_timeout_begin(own, &limit, i % 8 * 20000), 0);
        const int result = weir_threads_run_each_wait(
            weir_thread_get_group(thread), own, add_one, &tour);
        const int64_t end = weir_timeout_end(&limit, result);
        cr_assert(end == -ETIMEDOUT || end == tour.count);
        cr_assert(tour.count <= THREADS);
    }
    return 0;
}

UNIT_IN(threads_wait, visits_that_end_at_any_moment_touch_no_argument,
        unit_alone, void)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = THREADS};
    for (int round = 0; round < 20; round++) {
        expect_eq(weir_threads_run(&options, storm_main, NULL), 0);
    }
}

UNIT(threads_wait, statistics_are_the_sum_over_all_loops)
{
    struct weir_loop_statistics sum = {.size = sizeof(sum)};
    expect_eq(weir_threads_get_statistics_wait(threads, loop, &sum), THREADS);
    expect_eq(sum.size, sizeof(sum));
    expect_eq(sum.tasks, THREADS);
    expect_eq(sum.tasks_spawned, THREADS);
    sum.size = 0;
    expect_eq(weir_threads_get_statistics_wait(threads, loop, &sum),
              WEIR_EOPTIONSIZE);
}

UNIT(threads_wait, statistics_of_an_interrupted_visit_are_not_written)
{
    struct weir_loop_statistics sum = {.size = sizeof(sum), .turns = 7};
    let_stand(0);
    cr_assert(weir_task_cancel(weir_task_get_current(loop)));
    expect_eq(weir_threads_get_statistics_wait(threads, loop, &sum),
              -ECANCELED);
    struct weir_timeout limit;
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    const int result = weir_threads_get_statistics_wait(threads, loop, &sum);
    expect_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);
    expect_eq(sum.turns, 7);
    let_go_on();
}

static int visit_without_memory(weir_loop *on, void *arg)
{
    struct test_allocator *memory = arg;
    struct tour tour = {.count = 0};
    walk_begin(memory);
    const int result =
        weir_threads_run_each_wait(threads, on, visit_one, &tour);
    const bool has_failed = walk_end(memory);
    expect_eq(result, has_failed ? -ENOMEM : THREADS);
    expect_eq(tour.count, has_failed ? 0 : THREADS);
    return 0;
}

static void walk_visit(void *arg)
{
    struct test_allocator *memory = arg;
    struct weir_loop_options loop_options;
    loop_options = (struct weir_loop_options){.size = sizeof(loop_options),
                                              .allocator = &memory->hooks};
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .loop = &loop_options};
    threads = start_serving(&options, 0);
    expect_eq(weir_loop_run_task(loop, visit_without_memory, memory, NULL), 0);
    end_serving(threads);
}

UNIT_IN(threads_wait, a_visit_without_memory_visits_no_thread, with_loop, void)
{
    struct test_allocator memory;
    allocator_init(&memory);
    expect_eq(walk_allocations(&memory, walk_visit, &memory), 1);
}
