/*
 * Functions that run on one thread after another (weir_threads_run_each()):
 * threads, or the loop that called, end meanwhile, and a loop calls that may
 * not.
 *
 * Also what such a call reports: sums of statistics, and that it was slow.
 */
#define UNIT_RUN with_loop
#include "tests/contract/threads_rig.h"
#include "tests/statistics.h"

struct tour {
    sem_t *visited;
    uint64_t high;
    int count;
    int result;
    bool is_told;
};

static void visit_one(void *arg, weir_thread *thread)
{
    struct tour *tour = arg;
    tour->count++;
    if (tour->visited) {
        expect_eq(sem_post(tour->visited), 0);
    }
}

static void told(void *arg, int result)
{
    struct tour *tour = arg;
    tour->result = result;
    tour->is_told = true;
    weir_loop_stop(loop);
}

static void told_elsewhere(void *arg, int result)
{
    struct tour *tour = arg;
    tour->result = result;
}

static void end_threads(weir_threads *threads)
{
    end_serving(threads);
}

/* The result is in the mailbox of the calling loop when the threads are gone,
 * and is reported afterwards. */
UNIT(threads_run_each, the_end_of_the_threads_is_no_end_of_a_visit)
{
    struct tour tour = {.count = 0};
    struct tour second = {.count = 0};
    struct weir_loop_statistics sum = {.size = 0};
    weir_threads *threads = start_serving(NULL, 0);
    expect_eq(weir_threads_get_statistics(threads, loop, &sum, told, &second),
              WEIR_EOPTIONSIZE);
    sum.size = sizeof(sum);
    expect_ok(
        weir_threads_run_each(threads, loop, visit_one, &tour, told, &tour));
    expect_ok(weir_threads_get_statistics(threads, loop, &sum, told, &second));
    end_threads(threads);
    while (!tour.is_told || !second.is_told) {
        expect_eq(weir_loop_run(loop), 0);
    }
    expect_eq(tour.result, tour.count);
    cr_assert(second.result >= 0 && second.result <= THREADS);
}

static sem_t may_end;

static void let_end(void *arg)
{
    expect_eq(sem_post(&may_end), 0);
}

/* Runs on the first thread: the second one ends when the call is in its
 * mailbox. */
static void let_second_end(void *arg, weir_thread *thread)
{
    visit_one(arg, thread);
    if (weir_thread_get_index(thread) == 0) {
        expect_ok(weir_loop_call_soon(weir_thread_get_loop(thread), let_end,
                                      NULL, NULL));
    }
}

static int block_second(weir_thread *thread, void *arg)
{
    if (weir_thread_get_index(thread) != 1) {
        return serve_until_cancelled(thread, arg);
    }
    expect_eq(sem_post(&served.runs), 0);
    wait_for(&may_end);
    return 0;
}

UNIT(threads_run_each, a_thread_that_ends_before_its_visit_is_not_counted)
{
    struct tour tour = {.count = 0};
    weir_threads *threads;
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = THREADS};
    served = (struct served){.failing = -1};
    expect_eq(sem_init(&served.runs, 0, 0), 0);
    expect_eq(sem_init(&may_end, 0, 0), 0);
    expect_eq(weir_threads_start(&options, block_second, &served, &threads), 0);
    for (int i = 0; i < THREADS; i++) {
        wait_for(&served.runs);
    }
    expect_ok(weir_threads_run_each(threads, loop, let_second_end, &tour, told,
                                    &tour));
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(tour.result, THREADS - 1);
    expect_eq(tour.count, THREADS - 1);
    end_threads(threads);
}

struct asking {
    weir_threads *threads;
    weir_loop *foreign;
    struct weir_loop_statistics sum;
    int visit_err;
    int sum_err;
    bool has_thread;
};

static void ask_on_another_loop(void *arg)
{
    struct asking *asking = arg;
    asking->visit_err = weir_threads_run_each(asking->threads, asking->foreign,
                                              visit_one, NULL, NULL, NULL);
    asking->sum_err = weir_threads_get_statistics(
        asking->threads, asking->foreign, &asking->sum, NULL, NULL);
    expect_eq(weir_threads_get_statistics(asking->threads, asking->foreign,
                                          NULL, NULL, NULL),
              -EPERM, "whatever else is wrong");
    asking->has_thread = weir_loop_get_thread(asking->foreign) != NULL;
    expect_eq(sem_post(&may_end), 0);
}

UNIT(threads_run_each, a_loop_of_another_thread_cannot_ask)
{
    struct asking asking = {.sum = {.size = sizeof(asking.sum)},
                            .has_thread = true};
    one_turn(); /* from its first iteration on the loop belongs to this thread
                 */
    expect_eq(sem_init(&may_end, 0, 0), 0);
    weir_threads *threads = start_serving(NULL, 0);
    asking.threads = threads;
    asking.foreign = loop;
    expect_ok(weir_thread_call_soon(weir_threads_get(threads, 0),
                                    ask_on_another_loop, &asking, NULL));
    wait_for(&may_end);
    expect_eq(asking.visit_err, -EPERM);
    expect_eq(asking.sum_err, -EPERM);
    cr_assert_not(asking.has_thread);
    end_threads(threads);
}

UNIT_IN(threads_run_each, statistics_that_nobody_waits_for_are_not_written,
        unit_alone, void)
{
    struct tour tour = {.count = 0};
    struct weir_loop_statistics sum = {.size = sizeof(sum), .turns = 7};
    open_loop(NULL);
    weir_threads *threads = start_serving(NULL, 0);
    expect_ok(weir_threads_get_statistics(threads, loop, &sum, told_elsewhere,
                                          &tour));
    expect_eq(weir_loop_free(loop), 0);
    end_threads(threads);
    expect_eq(tour.result, -ECANCELED);
    expect_eq(sum.turns, 7);
}

static void look_at_stack(void *arg, weir_thread *thread)
{
    struct tour *tour = arg;
    const struct weir_loop_statistics one =
        statistics_of(weir_thread_get_loop(thread));
    tour->high = one.stack_high_water_bytes > tour->high
                     ? one.stack_high_water_bytes
                     : tour->high;
}

UNIT(threads_run_each, the_mark_of_stacks_is_the_highest_and_not_the_sum)
{
    struct tour tour = {.count = 0};
    struct weir_loop_statistics sum = {.size = sizeof(sum)};
    weir_threads *threads = start_serving(NULL, 0);
    expect_ok(weir_threads_run_each(threads, loop, look_at_stack, &tour, told,
                                    &tour));
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(weir_threads_get_statistics(threads, loop, &sum, told, &tour), 0);
    expect_eq(weir_loop_run(loop), 0);
    expect_gt(tour.high, 0);
    expect_eq(sum.stack_high_water_bytes, tour.high);
    end_threads(threads);
}

static bool was_named;

static void note_slow(void *arg, weir_loop *l, const struct weir_exception *e)
{
    /* A busy machine makes other callbacks slow, too. */
    was_named |= e->notice == WEIR_NOTICE_SLOW &&
                 strcmp(e->callback, "threads_each") == 0;
}

static void be_slow(void *arg, weir_thread *thread)
{
    struct tour *tour = arg;
    if (tour->count++ == 0) {
        weir_loop_set_exception_handler(weir_thread_get_loop(thread), note_slow,
                                        NULL);
        spin(3 * MS);
    }
}

UNIT(threads_run_each, a_slow_visit_is_reported_by_its_name)
{
    struct tour tour = {.count = 0};
    const struct weir_loop_options loop_options = {.size = sizeof(loop_options),
                                                   .slow_callback_ns = MS};
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .loop = &loop_options};
    weir_threads *threads = start_serving(&options, 0);
    expect_ok(
        weir_threads_run_each(threads, loop, be_slow, &tour, told, &tour));
    expect_eq(weir_loop_run(loop), 0);
    end_threads(threads);
    cr_assert(was_named);
}
