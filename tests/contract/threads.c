/*
 * Threads that each run a loop: their start, all of them or none, and their
 * stop by a call, by a signal, by an error of one, and by the end of a time.
 *
 * Signals are real, sent to the whole process.
 */
#include "tests/contract/threads_rig.h"

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <weir/waitable.h>

UNIT(threads, each_runs_a_loop_of_its_own_on_a_thread_of_its_own)
{
    weir_threads *threads = start_serving(NULL, 0);

    expect_eq(weir_threads_get_count(threads), THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        weir_thread *thread = weir_threads_get(threads, i);
        expect_eq(weir_thread_get_index(thread), i);
        cr_assert_eq(weir_thread_get_group(thread), threads);
        expect_eq(served.started_count[i], 1);
        for (uint32_t j = 0; j < i; j++) {
            cr_assert_not(pthread_equal(served.ids[i], served.ids[j]));
        }
    }
    cr_assert_null(weir_threads_get(threads, THREADS));
    end_serving(threads);
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
    expect_eq(sched_getaffinity(0, sizeof(own), &own), 0);

    expect_eq(
        weir_threads_run(SIZED(weir_threads_options, .thread_count = THREADS,
                               .no_pinning = true),
                         note_cpus, sets),
        0);

    for (int i = 0; i < THREADS; i++) {
        cr_assert(CPU_EQUAL(&sets[i], &own));
    }
}

static weir_threads *handle;

static int look_at_handle(weir_thread *thread, void *arg)
{
    return handle == weir_thread_get_group(thread) ? 0 : -EIO;
}

UNIT(threads, main_tasks_find_the_handle_of_the_call)
{
    for (int round = 0; round < 50; round++) {
        handle = NULL;
        expect_ok(weir_threads_start(
            SIZED(weir_threads_options, .thread_count = THREADS),
            look_at_handle, NULL, &handle));
        expect_eq(weir_threads_join(handle), 0);
    }
}

static int look_at_name(weir_thread *thread, void *arg)
{
    char name[16];
    char expected[16];
    int *found_count = arg;
    expect_eq(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
    snprintf(expected, sizeof(expected), "weir-%u",
             weir_thread_get_index(thread));
    expect_str_eq(name, expected);
    ++*found_count;
    return 0;
}

UNIT(threads, each_is_named_by_its_number)
{
    int found_count = 0;
    weir_threads *threads;
    expect_ok(weir_threads_start(SIZED(weir_threads_options, .thread_count = 1),
                                 look_at_name, &found_count, &threads));
    expect_eq(weir_threads_join(threads), 0);
    expect_eq(found_count, 1);
}

static int note_id(weir_thread *thread, void *arg)
{
    pthread_t *ids = arg;
    ids[weir_thread_get_index(thread)] = pthread_self();
    return 0;
}

UNIT(threads, the_caller_of_a_run_is_the_first_and_goes_on_as_before)
{
    pthread_t ids[THREADS];
    cpu_set_t cpus;
    cpu_set_t cpus_after;
    char name[16];
    char name_after[16];
    expect_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    expect_eq(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);

    expect_eq(
        weir_threads_run(SIZED(weir_threads_options, .thread_count = THREADS),
                         note_id, ids),
        0);

    cr_assert(pthread_equal(ids[0], pthread_self()));
    for (int i = 1; i < THREADS; i++) {
        cr_assert_not(pthread_equal(ids[i], pthread_self()));
    }
    expect_eq(sched_getaffinity(0, sizeof(cpus), &cpus_after), 0);
    cr_assert(CPU_EQUAL(&cpus, &cpus_after));
    pthread_getname_np(pthread_self(), name_after, sizeof(name_after));
    expect_str_eq(name_after, name);
}

static int find_itself(weir_thread *thread, void *arg)
{
    int *found_count = arg;
    weir_loop *own = weir_thread_get_loop(thread);
    *found_count +=
        weir_loop_get_thread(own) == thread && weir_get_running_loop() == own;
    return 0;
}

UNIT_IN(threads, a_loop_knows_its_thread, with_loop, void)
{
    int found_count = 0;
    expect_eq(weir_threads_run(SIZED(weir_threads_options, .thread_count = 1),
                               find_itself, &found_count),
              0);
    expect_eq(found_count, 1);

    cr_assert_null(weir_loop_get_thread(loop));
}

static void release_config(void *arg)
{
    ++*(int *)arg;
}

static int never_run(weir_thread *thread, void *arg)
{
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
    return 0;
}

static void start_once(void *arg)
{
    struct test_allocator *memory = arg;
    int released_count = 0;
    const struct weir_loop_options loop_options = {.size = sizeof(loop_options),
                                                   .allocator = &memory->hooks};

    walk_begin(memory);
    const int err = weir_threads_run(
        SIZED(weir_threads_options, .thread_count = 2, .loop = &loop_options,
              .config_release = release_config, .config_arg = &released_count),
        end_at_once, NULL);
    const bool has_failed = walk_end(memory);

    /* A loop works without some of its memory. */
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

    expect_eq(weir_threads_run(SIZED(weir_threads_options, .thread_count = 8),
                               never_run, NULL),
              -EMFILE);

    expect_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* Replaces the C library's function: fails once after this number of calls. */
static int create_fails_in;

int pthread_create(pthread_t *id, const pthread_attr_t *attr,
                   void *(*body)(void *), void *arg)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                       void *);
    if (create_fails_in > 0 && --create_fails_in == 0) {
        return EAGAIN;
    }
    if (!real) {
        void *found = dlsym(RTLD_NEXT, "pthread_create");
        memcpy(&real, &found, sizeof(real));
    }
    return real(id, attr, body, arg);
}

UNIT(threads, if_one_cannot_be_made_none_runs)
{
    for (int fails = 1; fails <= THREADS; fails++) {
        weir_threads *threads;
        int released_count = 0;
        create_fails_in = fails;
        expect_eq(weir_threads_start(SIZED(weir_threads_options,
                                           .thread_count = THREADS,
                                           .config_release = release_config,
                                           .config_arg = &released_count),
                                     never_run, NULL, &threads),
                  -EAGAIN);
        expect_eq(create_fails_in, 0);
        expect_eq(released_count, 1);
    }
}

UNIT(threads, if_one_cannot_be_made_beside_the_caller_none_runs)
{
    cpu_set_t cpus;
    cpu_set_t cpus_after;
    expect_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    for (int fails = 1; fails < THREADS; fails++) {
        int released_count = 0;
        create_fails_in = fails;
        expect_eq(weir_threads_run(SIZED(weir_threads_options,
                                         .thread_count = THREADS,
                                         .config_release = release_config,
                                         .config_arg = &released_count),
                                   never_run, NULL),
                  -EAGAIN);
        expect_eq(create_fails_in, 0);
        expect_eq(released_count, 1);
    }
    expect_eq(sched_getaffinity(0, sizeof(cpus), &cpus_after), 0);
    cr_assert(CPU_EQUAL(&cpus, &cpus_after));
}

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

static int wait_for_stop(weir_loop *on, void *arg)
{
    struct weir_waitable what = weir_waitable_stop(on);
    return weir_wait_any(on, &what, 1);
}

static int serve_beside_one_who_waits(weir_thread *thread, void *arg)
{
    weir_loop *on = weir_thread_get_loop(thread);
    weir_task *task;
    int result = 1;

    expect_eq(weir_task_spawn(on, wait_for_stop, NULL, NULL, &task), 0);
    expect_eq(sem_post(arg), 0);
    expect_eq(weir_sleep(on, UINT64_MAX), -ECANCELED);
    cr_assert(weir_loop_is_stopping(on));
    expect_eq(weir_task_join(task, &result), 0);
    return result;
}

UNIT(threads, a_stop_is_announced_on_each_loop)
{
    weir_threads *threads;
    sem_t begun;
    expect_eq(sem_init(&begun, 0, 0), 0);
    expect_ok(
        weir_threads_start(SIZED(weir_threads_options, .thread_count = THREADS),
                           serve_beside_one_who_waits, &begun, &threads));
    for (int i = 0; i < THREADS; i++) {
        expect_eq(sem_wait(&begun), 0);
    }
    weir_threads_stop(threads, UINT64_MAX);
    expect_eq(weir_threads_join(threads), 0);
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
    served = (struct served){.failing = 1, .result = -EADDRINUSE};
    open_served();
    expect_eq(
        weir_threads_run(SIZED(weir_threads_options, .thread_count = THREADS),
                         serve_until_cancelled, &served),
        -EADDRINUSE);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(served.cancelled_count[i], i == 1 ? 0 : 1);
    }
}

UNIT(threads, one_that_ends_well_leaves_the_others_running)
{
    weir_threads *threads;
    served = (struct served){.failing = 0, .result = 7};
    open_served();
    expect_ok(
        weir_threads_start(SIZED(weir_threads_options, .thread_count = THREADS),
                           serve_until_cancelled, &served, &threads));
    for (int i = 0; i < THREADS; i++) {
        wait_for(&served.runs);
    }
    wait_for_end(weir_threads_get(threads, 0));
    expect_eq(served.cancelled_count[1], 0);
    end_serving(threads);
    expect_eq(served.cancelled_count[1], 1);
}

static int join_all(weir_thread *thread, void *arg)
{
    *(int *)arg = weir_threads_join(weir_thread_get_group(thread));
    return 0;
}

UNIT(threads, one_of_them_cannot_join_them)
{
    int err = 0;
    expect_eq(weir_threads_run(SIZED(weir_threads_options, .thread_count = 1),
                               join_all, &err),
              0);
    expect_eq(err, -EDEADLK);
}

static void wait_until_cancelled(void)
{
    for (int i = 0; i < THREADS; i++) {
        wait_for(&served.cancels);
    }
}

UNIT(threads, a_shorter_stop_comes_to_those_that_were_stopped_before)
{
    weir_threads *threads = start_serving(NULL, 1);
    weir_threads_stop(threads, UINT64_MAX);
    wait_until_cancelled();
    weir_threads_stop(threads, 0);
    expect_eq(weir_threads_join(threads), -ETIMEDOUT);
}

static void turn_over(void *arg, weir_thread *thread)
{
}

static void turned_over(void *arg, int result)
{
    expect_eq(result, THREADS);
    weir_loop_stop(loop);
}

UNIT_IN(threads, a_further_stop_does_not_cancel_again, with_loop, void)
{
    weir_threads *threads = start_serving(NULL, 1);
    weir_threads_stop(threads, UINT64_MAX);
    wait_until_cancelled();
    weir_threads_stop(threads, FAILSAFE_S * 1000 * MS);
    for (int i = 0; i < 2;
         i++) { /* a task runs in the iteration after its wake-up */
        expect_ok(weir_threads_run_each(threads, loop, turn_over, NULL,
                                        turned_over, NULL));
        expect_eq(weir_loop_run(loop), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        expect_eq(served.cancelled_count[i], 1);
    }
    weir_threads_stop(threads, 0);
    expect_eq(weir_threads_join(threads), -ETIMEDOUT);
}

static int fail_when_cancelled(weir_thread *thread, void *arg)
{
    const int result = serve_until_cancelled(thread, arg);
    return result == -ECANCELED ? -EIO : result;
}

UNIT(threads, the_first_error_that_is_no_stop_is_the_result)
{
    static const struct {
        struct served behaviour;
        int (*main)(weir_thread *thread, void *arg);
        uint64_t grace_ns;
    } rows[] = {
        {{.failing = 2, .result = -EADDRINUSE}, fail_when_cancelled, 0},
        {{.failing = 0, .result = -EADDRINUSE, .patience = 1},
         serve_until_cancelled,
         10 * MS},
        {{.failing = 0, .result = -ECANCELED}, serve_until_cancelled, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct weir_threads_options options = {.size = sizeof(options),
                                                     .thread_count = THREADS,
                                                     .grace_ns =
                                                         rows[i].grace_ns};
        served = rows[i].behaviour;
        open_served();
        expect_eq(weir_threads_run(&options, rows[i].main, &served),
                  rows[i].behaviour.result, "row %zu", i);
    }
}

static int use_in_child(weir_threads *threads)
{
    weir_threads_stop(threads, 0);
    return weir_threads_join(threads) != -ECHILD ||
           weir_config_publish(threads, NULL, NULL, NULL) != -ECHILD ||
           weir_thread_call_soon(weir_threads_get(threads, 0), stop_loop, NULL,
                                 NULL) != -ECHILD;
}

UNIT(threads, a_forked_child_reaches_none_of_them)
{
    weir_threads *threads = start_serving(NULL, 0);
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        _exit(use_in_child(threads));
    }
    expect_eq(end_of(child), 0);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(served.cancelled_count[i], 0);
    }
    end_serving(threads);
}

UNIT(threads, a_signal_stops_all_of_them_and_a_second_one_ends_them)
{
    static const struct {
        int signals[2];
        uint64_t grace_ns;
        int patience;
        int result;
    } rows[] = {
        {{SIGTERM}, 0, 0, 0},
        {{SIGINT, SIGTERM}, 0, 1, -EINTR},
        {{SIGINT}, 10 * MS, 1, -ETIMEDOUT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        weir_threads *threads = start_serving(
            SIZED(weir_threads_options, .grace_ns = rows[i].grace_ns),
            rows[i].patience);
        for (int j = 0; j < 2 && rows[i].signals[j] != 0; j++) {
            expect_eq(kill(getpid(), rows[i].signals[j]), 0);
        }
        expect_eq(weir_threads_join(threads), rows[i].result, "row %zu", i);
        for (int j = 0; j < THREADS && rows[i].patience == 0; j++) {
            expect_eq(served.cancelled_count[j], 1, "row %zu", i);
        }
    }
}

static volatile sig_atomic_t own_signal_count;

static void count_signal(int signum)
{
    own_signal_count++;
}

UNIT(threads, signals_can_stay_the_programs)
{
    struct sigaction before;
    const struct sigaction own = {.sa_handler = count_signal};
    weir_threads *threads =
        start_serving(SIZED(weir_threads_options, .no_signals = true), 0);
    expect_eq(sigaction(SIGTERM, &own, &before), 0);

    expect_eq(raise(SIGTERM), 0);

    expect_eq(own_signal_count, 1);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(served.cancelled_count[i], 0);
    }
    expect_eq(sigaction(SIGTERM, &before, NULL), 0);
    end_serving(threads);
}
