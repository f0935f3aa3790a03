/*
 * The running loop of a thread: what weir_get_running_loop() returns in each
 * place where a program's code may run.
 *
 * Loops run inside each other, and at the same time in threads and processes.
 */
#define UNIT_RUN with_loop

#include "tests/contract/loop_rig.h"

#include <sys/wait.h>
#include <weir/embed.h>
#include <weir/executor.h>
#include <weir/pair.h>
#include <weir/resolver.h>
#include <weir/task.h>

static int seen_count;

static void expect_in(const weir_loop *expected)
{
    expect_eq(weir_get_running_loop(), expected);
    seen_count++;
}

static void expect_in_loop(void *arg)
{
    expect_in(loop);
}

static bool is_over(void *arg)
{
    expect_eq(weir_get_running_loop(), loop);
    return seen_count == *(int *)arg;
}

UNIT_IN(running, there_is_none_outside_a_run, unit_alone, void)
{
    expect_eq(weir_get_running_loop(), NULL);
    open_loop(NULL);
    expect_eq(weir_get_running_loop(), NULL);
    soon(expect_in_loop, NULL);
    one_turn();
    expect_eq(weir_get_running_loop(), NULL);
    one_turn();
    expect_eq(seen_count, 1);
    close_loop();
    expect_eq(weir_get_running_loop(), NULL);
}

UNIT(running, callbacks_timers_and_conditions_are_in_their_loop)
{
    int count = 3;
    soon(expect_in_loop, NULL);
    later(1, expect_in_loop, NULL);
    expect_ok(weir_loop_call_soon_threadsafe(loop, expect_in_loop, NULL, NULL));

    expect_eq(weir_loop_run_until(loop, is_over, &count), 0);

    expect_eq(weir_get_running_loop(), NULL);
}

static void fail_lookup(void *arg, int err,
                        const struct weir_address *addresses, size_t count)
{
    expect_eq(err, WEIR_EDNSNODATA);
    expect_eq(count, 0);
    expect_in(arg);
    weir_loop_stop(weir_get_running_loop());
}

UNIT(running, the_end_of_what_failed_finds_its_loop)
{
    const struct weir_getaddrinfo_options options = {.size = sizeof(options),
                                                     .family = AF_INET6};
    expect_ok(weir_resolve_start(loop, "192.0.2.1", 80, &options, fail_lookup,
                                 loop, NULL));

    expect_eq(weir_loop_run(loop), 0);

    expect_eq(seen_count, 1);
}

static int run_inside(weir_loop *on, void *arg)
{
    expect_in(on);
    expect_eq(weir_yield(on), 0);
    expect_in(on);
    return arg ? weir_loop_run_once(arg) : 0;
}

UNIT(running, tasks_are_in_their_loop)
{
    expect_eq(weir_loop_run_task(loop, run_inside, NULL, NULL), 0);
    expect_eq(seen_count, 2);
}

static void run_another(void *arg)
{
    expect_in(loop);
    expect_eq(weir_run(NULL, run_inside, NULL), 0);
    expect_in(loop);
}

UNIT(running, an_inner_loop_hides_the_outer_one_while_it_runs)
{
    soon(run_another, NULL);
    one_turn();
    expect_eq(seen_count, 4);
}

UNIT(running, a_loop_that_a_task_runs_hides_the_tasks_own)
{
    weir_loop *inner;
    expect_eq(weir_loop_new(NULL, &inner), 0);
    weir_loop *outer = loop;
    loop = inner;
    soon(expect_in_loop, NULL);

    expect_eq(weir_loop_run_task(outer, run_inside, inner, NULL), 0);

    expect_eq(seen_count, 3);
    expect_eq(weir_loop_free(inner), 0);
    loop = outer;
}

static void free_it(void *arg)
{
    expect_eq(weir_loop_free(arg), 0);
    expect_in(loop);
}

UNIT(running, a_loop_that_is_freed_in_a_callback_gives_the_outer_one_back)
{
    weir_loop *other;
    expect_eq(weir_loop_new(NULL, &other), 0);
    soon(free_it, other);
    one_turn();
    expect_eq(seen_count, 1);
}

/* Suspends the task of the outer loop inside the run of the inner one. */
static void sleep_outside(void *arg)
{
    expect_eq(weir_sleep(arg, MS), 0);
}

static int run_and_sleep(weir_loop *outer, void *arg)
{
    weir_loop *inner = arg;
    expect_eq(weir_loop_call_soon(inner, sleep_outside, outer, NULL), 0);
    expect_eq(weir_loop_run_once(inner), 0);
    expect_in(outer);
    return 0;
}

UNIT(running, runs_that_end_in_another_order_leave_none_behind)
{
    weir_loop *inner[2];
    weir_task *tasks[2];
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_loop_new(NULL, &inner[i]), 0);
        expect_ok(
            weir_task_spawn(loop, run_and_sleep, inner[i], NULL, &tasks[i]));
    }
    while (seen_count < 2) {
        expect_eq(weir_loop_run_once(loop), 0);
        expect_eq(weir_loop_is_running(loop), false);
    }
    for (int i = 0; i < 2; i++) {
        weir_task_unref(tasks[i]);
        expect_eq(weir_loop_free(inner[i]), 0);
    }
    expect_eq(weir_get_running_loop(), NULL);
}

static void lost(void *user, weir_transport *t, int err)
{
    expect_eq(weir_transport_get_loop(t), user);
    expect_in(user);
}

UNIT_IN(running, what_ends_with_a_loop_is_in_it, unit_alone, void)
{
    static CALLBACKS(protocol, STREAM, .connection_lost = lost);
    open_loop(NULL);
    const struct weir_protocol_binding bindings[2] = {{&protocol, loop},
                                                      {&protocol, loop}};
    expect_eq(weir_transport_pair(loop, bindings, NULL, NULL), 0);
    one_turn();
    expect_eq(weir_loop_free(loop), 2);
    expect_eq(seen_count, 2);
    expect_eq(weir_get_running_loop(), NULL);
}

struct thread {
    pthread_t id;
    weir_loop *loop;
    pthread_barrier_t *barrier;
    bool is_in_own;
    bool is_in_none_before;
    bool is_in_none_after;
};

static void look_around(void *arg)
{
    struct thread *thread = arg;
    pthread_barrier_wait(thread->barrier);
    thread->is_in_own = weir_get_running_loop() == thread->loop;
    pthread_barrier_wait(thread->barrier);
    weir_loop_stop(thread->loop);
}

static void *run_thread(void *arg)
{
    struct thread *thread = arg;
    thread->is_in_none_before = !weir_get_running_loop();
    if (weir_loop_call_soon(thread->loop, look_around, thread, NULL) < 0 ||
        weir_loop_run(thread->loop) < 0) {
        return arg;
    }
    thread->is_in_none_after = !weir_get_running_loop();
    return weir_loop_free(thread->loop) < 0 ? arg : NULL;
}

UNIT_IN(running, each_thread_is_in_its_own, unit_alone, void)
{
    struct thread threads[2] = {{.is_in_own = false}};
    pthread_barrier_t barrier;
    expect_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
    for (int i = 0; i < 2; i++) {
        threads[i].barrier = &barrier;
        expect_eq(weir_loop_new(NULL, &threads[i].loop), 0);
        expect_ok(
            pthread_create(&threads[i].id, NULL, run_thread, &threads[i]));
    }
    for (int i = 0; i < 2; i++) {
        void *failed;
        expect_eq(pthread_join(threads[i].id, &failed), 0);
        cr_assert_null(failed);
        cr_assert(threads[i].is_in_none_before);
        cr_assert(threads[i].is_in_own);
        cr_assert(threads[i].is_in_none_after);
    }
    pthread_barrier_destroy(&barrier);
}

static int look_from_job(void *arg)
{
    return weir_get_running_loop() == NULL;
}

static int run_job(weir_loop *on, void *arg)
{
    int is_none = 0;
    expect_eq(weir_run_in_executor(on, look_from_job, NULL, NULL, &is_none), 0);
    expect_eq(is_none, 1);
    expect_in(on);
    return 0;
}

UNIT(running, a_job_of_the_executor_is_in_none)
{
    expect_eq(weir_loop_run_task(loop, run_job, NULL, NULL), 0);
    expect_eq(seen_count, 1);
}

static int is_running_on(weir_loop *on, void *arg)
{
    return weir_get_running_loop() == on ? 7 : 8;
}

static void fork_and_look(void *arg)
{
    pid_t *forked = arg;
    *forked = fork();
    if (*forked == 0) {
        const bool is_none = !weir_get_running_loop();
        const int own = weir_run(NULL, is_running_on, NULL);
        _exit(is_none && own == 7 && !weir_get_running_loop() ? 0 : 1);
    }
    expect_in(loop);
}

UNIT(running, a_forked_child_is_in_none_but_its_own)
{
    pid_t forked = -1;
    soon(fork_and_look, &forked);
    one_turn();
    expect_gt(forked, 0);
    expect_eq(end_of(forked), 0);
    expect_eq(seen_count, 1);
}
