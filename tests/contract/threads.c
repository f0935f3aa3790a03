/*
 * Threads that each run a loop: their start, all of them or none, and their
 * stop by a call, by a signal, by an error of one, and by the end of a time.
 * Signals are real ones, sent to the whole process.
 */
#include "tests/contract/threads_rig.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

/* ---- the start ---- */

UNIT(threads, each_runs_a_loop_of_its_own_on_a_thread_of_its_own)
{
    weir_threads *threads = start_serving(NULL, 0);

    expect_eq(weir_threads_get_count(threads), THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        weir_thread *thread = weir_threads_get_thread(threads, i);
        expect_eq(weir_thread_get_index(thread), i);
        cr_assert_eq(weir_thread_get_threads(thread), threads);
        expect_eq(served.started_count[i], 1);
        for (uint32_t j = 0; j < i; j++) {
            cr_assert_not(pthread_equal(served.ids[i], served.ids[j]));
        }
    }
    cr_assert_null(weir_threads_get_thread(threads, THREADS));
    weir_threads_stop(threads, UINT64_MAX);
    expect_eq(weir_threads_join(threads), 0);
}

static int note_cpus(weir_thread *thread, void *arg)
{
    cpu_set_t *sets = arg;
    return sched_getaffinity(0, sizeof(*sets),
                             &sets[weir_thread_get_index(thread)]);
}

UNIT(threads, there_is_one_for_each_processor_and_it_stays_there)
{
    static cpu_set_t sets[CPU_SETSIZE];
    cpu_set_t own;
    expect_eq(sched_getaffinity(0, sizeof(own), &own), 0);
    const int count = CPU_COUNT(&own);

    expect_eq(weir_threads_run(NULL, note_cpus, sets), 0);

    int index = 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &own)) {
            expect_eq(CPU_COUNT(&sets[index]), 1);
            cr_assert(CPU_ISSET(cpu, &sets[index]));
            index++;
        }
    }
    expect_eq(index, count);
    expect_eq(CPU_COUNT(&sets[count]), 0, "more threads than processors");
}

UNIT(threads, without_pinning_the_kernel_moves_them)
{
    static cpu_set_t sets[THREADS];
    cpu_set_t own;
    const struct weir_threads_options options = {
        .size = sizeof(options), .thread_count = THREADS, .no_pinning = true};
    expect_eq(sched_getaffinity(0, sizeof(own), &own), 0);

    expect_eq(weir_threads_run(&options, note_cpus, sets), 0);

    for (int i = 0; i < THREADS; i++) {
        cr_assert(CPU_EQUAL(&sets[i], &own));
    }
}

static int find_itself(weir_thread *thread, void *arg)
{
    int *found_count = arg;
    weir_loop *own = weir_thread_get_loop(thread);
    *found_count +=
        weir_loop_get_thread(own) == thread && weir_get_running_loop() == own;
    return 0;
}

UNIT(threads, a_loop_knows_its_thread)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = 1};
    int found_count = 0;
    expect_eq(weir_threads_run(&options, find_itself, &found_count), 0);
    expect_eq(found_count, 1);

    open_loop(NULL);
    cr_assert_null(weir_loop_get_thread(loop));
    close_loop();
}

static void release_config(void *arg)
{
    ++*(int *)arg;
}

static int never_run(weir_thread *thread, void *arg)
{
    (void)thread;
    (void)arg;
    cr_assert_fail("a main task of a start that has failed");
    return 0;
}

UNIT(threads, wrong_options_are_refused_and_release_the_configuration)
{
    weir_threads *threads = NULL;
    int released_count = 0;
    struct weir_threads_options options = {.size = sizeof(options),
                                           .config_release = release_config,
                                           .config_arg = &released_count};
    expect_eq(weir_threads_start(&options, NULL, NULL, &threads), -EINVAL);
    expect_eq(released_count, 1);
    options.thread_count = 1025;
    expect_eq(weir_threads_start(&options, never_run, NULL, &threads), -EINVAL);
    expect_eq(released_count, 2);
    const struct weir_loop_options wrong = {.size = sizeof(wrong),
                                            .stack_size_bytes = 1};
    options.thread_count = THREADS;
    options.loop = &wrong;
    expect_eq(weir_threads_start(&options, never_run, NULL, &threads), -EINVAL);
    expect_eq(released_count, 3);
    options.size = 0;
    expect_eq(weir_threads_start(&options, never_run, NULL, &threads),
              WEIR_EOPTIONSIZE);
    cr_assert_null(threads);
}

static int end_at_once(weir_thread *thread, void *arg)
{
    (void)thread;
    (void)arg;
    return 0;
}

static void start_once(void *arg)
{
    struct test_allocator *memory = arg;
    int released_count = 0;
    const struct weir_loop_options loop_options = {.size = sizeof(loop_options),
                                                   .allocator = &memory->hooks};
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = 2,
                                                 .loop = &loop_options,
                                                 .config_release =
                                                     release_config,
                                                 .config_arg = &released_count};

    walk_begin(memory);
    const int err = weir_threads_run(&options, end_at_once, NULL);
    const bool has_failed = walk_end(memory);

    /* A loop does without some of its memory. */
    cr_assert(err == 0 || (has_failed && err == -ENOMEM), "%d", err);
    expect_eq(released_count, 1);
}

UNIT(threads, without_memory_none_runs_and_nothing_leaks)
{
    struct test_allocator memory;
    allocator_init(&memory);
    const uint64_t rounds = walk_allocations(&memory, start_once, &memory);
    expect_gt(rounds, 3); /* the threads, the configuration, two loops */
}

UNIT(threads, without_descriptors_for_all_loops_none_runs)
{
    struct rlimit before;
    expect_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct unit_fds fds;
    unit_fds_read(&fds);
    struct rlimit few = before;
    few.rlim_cur = (rlim_t)fds.count + 6; /* a loop has two and more */
    expect_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = 8};

    expect_eq(weir_threads_run(&options, never_run, NULL), -EMFILE);

    expect_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* ---- the stop ---- */

UNIT(threads, a_stop_cancels_each_main_task_once)
{
    weir_threads *threads = start_serving(NULL, 0);
    weir_threads_stop(threads, UINT64_MAX);
    weir_threads_stop(threads, UINT64_MAX);
    weir_threads_stop(threads, FAILSAFE_S * 1000 * MS);
    expect_eq(weir_threads_join(threads), 0);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(served.cancelled_count[i], 1);
    }
}

UNIT(threads, the_end_of_its_time_ends_tasks_that_go_on)
{
    weir_threads *threads = start_serving(NULL, 1);
    weir_threads_stop(threads, 10 * MS);
    expect_eq(weir_threads_join(threads), -ETIMEDOUT);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(served.cancelled_count[i], 2, "the second by the loop's end");
    }
}

UNIT(threads, a_stop_without_time_ends_a_stop_that_lasts)
{
    weir_threads *threads = start_serving(NULL, 1);
    weir_threads_stop(threads, UINT64_MAX);
    weir_threads_stop(threads, 0);
    expect_eq(weir_threads_join(threads), -ETIMEDOUT);
}

UNIT(threads, an_error_of_one_stops_the_others_and_is_the_result)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = THREADS};
    served = (struct served){.failing = 1, .result = -EADDRINUSE};
    expect_eq(sem_init(&served.runs, 0, 0), 0);
    expect_eq(weir_threads_run(&options, serve_until_cancelled, &served),
              -EADDRINUSE);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(served.cancelled_count[i], i == 1 ? 0 : 1);
    }
}

UNIT(threads, one_that_ends_well_leaves_the_others_running)
{
    weir_threads *threads;
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = THREADS};
    served = (struct served){.failing = 0, .result = 7};
    expect_eq(sem_init(&served.runs, 0, 0), 0);
    expect_eq(
        weir_threads_start(&options, serve_until_cancelled, &served, &threads),
        0);
    for (int i = 0; i < THREADS; i++) {
        wait_for(&served.runs);
    }
    wait_for_end(weir_threads_get_thread(threads, 0));
    expect_eq(served.cancelled_count[1], 0);
    weir_threads_stop(threads, UINT64_MAX);
    expect_eq(weir_threads_join(threads), 0);
    expect_eq(served.cancelled_count[1], 1);
}

static int join_all(weir_thread *thread, void *arg)
{
    *(int *)arg = weir_threads_join(weir_thread_get_threads(thread));
    return 0;
}

UNIT(threads, one_of_them_cannot_join_them)
{
    int err = 0;
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = 1};
    expect_eq(weir_threads_run(&options, join_all, &err), 0);
    expect_eq(err, -EDEADLK);
}

/* ---- signals ---- */

UNIT(threads, a_signal_stops_all_of_them)
{
    weir_threads *threads = start_serving(NULL, 0);
    expect_eq(kill(getpid(), SIGTERM), 0);
    expect_eq(weir_threads_join(threads), 0);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(served.cancelled_count[i], 1);
    }
}

UNIT(threads, a_second_signal_ends_tasks_that_go_on)
{
    weir_threads *threads = start_serving(NULL, 1);
    expect_eq(kill(getpid(), SIGINT), 0);
    expect_eq(kill(getpid(), SIGTERM), 0);
    expect_eq(weir_threads_join(threads), -EINTR);
}

UNIT(threads, a_signal_gives_them_the_time_of_the_options)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .grace_ns = 10 * MS};
    weir_threads *threads = start_serving(&options, 1);
    expect_eq(kill(getpid(), SIGINT), 0);
    expect_eq(weir_threads_join(threads), -ETIMEDOUT);
}

static volatile sig_atomic_t own_signal_count;

static void count_signal(int signum)
{
    (void)signum;
    own_signal_count++;
}

UNIT(threads, signals_can_stay_the_programs)
{
    struct sigaction before;
    const struct sigaction own = {.sa_handler = count_signal};
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .no_signals = true};
    weir_threads *threads = start_serving(&options, 0);
    expect_eq(sigaction(SIGTERM, &own, &before), 0);

    expect_eq(raise(SIGTERM), 0);

    expect_eq(own_signal_count, 1);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(served.cancelled_count[i], 0);
    }
    expect_eq(sigaction(SIGTERM, &before, NULL), 0);
    weir_threads_stop(threads, UINT64_MAX);
    expect_eq(weir_threads_join(threads), 0);
}
