/*
 * The main thread controls the threads that serve, and they tell it what has
 * happened. Both are posts, so that all decisions are made on one loop:
 *
 *     main:   listen (the first)  listen (the others)  stop
 *     thread:    begun   listens     listens         ended
 *
 * The first thread chooses the ports. When a thread has ended it stays, so that
 * its counts can be added to the others'; then the main thread ends all.
 */
#include "serve_threads.h"
#include "exits.h"

#include "names.h"
#include "serve_gather.h"
#include "serve_tell.h"
#include "serve_thread.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"

#include "weir/error.h"
#include "weir/task.h"
#include "weir/threads.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

struct group;

/* A thread that serves. */
struct worker {
    struct serve_thread serve;
    struct group *group;
    /* Its first failure, written before it is posted. */
    const struct target *failed;
    int err;
    bool has_told_end;
};

/* All of them; but for the places it belongs to the main thread. */
struct group {
    weir_loop *loop;
    const struct serve_options *options;
    weir_tls_context *tls;
    weir_threads *threads;
    struct worker *workers;
    /* Where the first thread listens, written before it tells so. */
    struct target places[SERVE_ADDRESSES_MAX];
    size_t begun;
    size_t listening;
    size_t ended;
    /* A signal came before all had begun. */
    bool is_interrupted;
    bool stopping;
    /* The first error. */
    int err;
    /* The sums are printed for the last time. */
    bool is_last;
    struct serve_gather gather;
};

static void tell_main(struct worker *worker, weir_callback_fn *cb)
{
    console_check(
        weir_loop_call_soon_threadsafe(worker->group->loop, cb, worker, NULL),
        "the main thread could not be told");
}

/* A thread that has ended by itself is told nothing. */
static void tell_worker(struct worker *worker, weir_callback_fn *cb)
{
    struct group *group = worker->group;
    weir_thread *thread = weir_threads_get_thread(
        group->threads, (uint32_t)(worker - group->workers));
    int err = weir_thread_call_soon(thread, cb, worker, NULL);

    if (err != -ESHUTDOWN) {
        console_check(err, "a thread could not be told");
    }
}

/* ---- on a thread ---- */

static void main_heard_begun(void *arg);
static void main_heard_listening(void *arg);
static void main_heard_failure(void *arg);
static void main_heard_end(void *arg);

static struct worker *worker_of(struct serve_thread *serve)
{
    return serve->owner;
}

static void tell_listening(struct serve_thread *serve)
{
    struct worker *worker = worker_of(serve);
    struct group *group = worker->group;

    if (worker == group->workers) {
        console_check(serve_thread_get_places(serve, group->places),
                      "addresses");
    }
    tell_main(worker, main_heard_listening);
}

/* The first failure ends all; and a stop cancels starts, which is none. */
static void tell_failure(struct serve_thread *serve,
                         const struct target *target, int err)
{
    struct worker *worker = worker_of(serve);

    if (!worker->failed && !(serve->stopping && err == -ECANCELED)) {
        worker->failed = target;
        worker->err = err;
        tell_main(worker, main_heard_failure);
    }
}

static void tell_end(struct serve_thread *serve)
{
    struct worker *worker = worker_of(serve);

    if (!worker->has_told_end) {
        worker->has_told_end = true;
        tell_main(worker, main_heard_end);
    }
}

static const struct serve_thread_ops worker_ops = {
    .listening = tell_listening, .failed = tell_failure, .ended = tell_end};

static void listen_now(void *arg)
{
    struct worker *worker = arg;
    const struct target *failed = NULL;

    int err = serve_thread_listen(&worker->serve, &failed);
    if (err < 0) {
        tell_failure(&worker->serve, failed, err);
    }
}

static void stop_within_grace(void *arg)
{
    struct worker *worker = arg;

    serve_thread_stop(&worker->serve, worker->group->options->grace_ns);
}

static void stop_at_once(void *arg)
{
    struct worker *worker = arg;

    serve_thread_stop(&worker->serve, 0);
}

/* The main task of a thread. All is done by callbacks, until it is cancelled:
 * at the end, or because the loop of another thread broke. */
static int serve_on_thread(weir_thread *thread, void *arg)
{
    struct group *group = arg;
    struct worker *worker = &group->workers[weir_thread_get_index(thread)];

    worker->serve.loop = weir_thread_get_loop(thread);
    weir_loop_set_exception_handler(worker->serve.loop, serve_thread_report,
                                    &worker->serve);
    tell_main(worker, main_heard_begun);
    int err = weir_sleep(worker->serve.loop, UINT64_MAX);
    tell_end(&worker->serve);
    serve_thread_free_servers(&worker->serve);
    return err == -ECANCELED ? 0 : err;
}

/* ---- on the main thread ---- */

static void add_counts(void *arg, weir_thread *thread)
{
    struct group *group = arg;

    serve_thread_add(&group->workers[weir_thread_get_index(thread)].serve,
                     &group->gather.sums);
}

/* Ends the program when all have ended, which stay until their counts were
 * printed. */
static void end_if_over(void *arg)
{
    struct group *group = arg;

    if (group->ended < group->options->thread_count ||
        group->gather.is_running) {
        return;
    }
    if (group->options->stats && !group->is_last) {
        group->is_last = true;
        serve_gather(&group->gather, false);
    } else {
        weir_loop_stop(group->loop);
    }
}

static void stop_all(struct group *group, bool at_once)
{
    group->stopping = true;
    for (size_t i = 0; i < group->options->thread_count; i++) {
        tell_worker(&group->workers[i],
                    at_once ? stop_at_once : stop_within_grace);
    }
}

static void main_heard_begun(void *arg)
{
    struct worker *worker = arg;
    struct group *group = worker->group;

    group->begun++;
    if (group->begun < group->options->thread_count) {
        return;
    }
    if (group->is_interrupted) {
        stop_all(group, false);
    } else {
        tell_worker(&group->workers[0], listen_now);
    }
}

static void main_heard_listening(void *arg)
{
    struct worker *worker = arg;
    struct group *group = worker->group;

    if (group->stopping) {
        return;
    }
    group->listening++;
    if (group->listening == group->options->thread_count) {
        serve_print_places(group->options, group->places);
    } else if (group->listening == 1) {
        for (size_t i = 1; i < group->options->thread_count; i++) {
            tell_worker(&group->workers[i], listen_now);
        }
    }
}

static void main_heard_failure(void *arg)
{
    const struct worker *worker = arg;
    struct group *group = worker->group;

    if (group->err == 0) {
        serve_say_error(worker->failed, worker->err,
                        serve_thread_why(&worker->serve, worker->failed));
        group->err = worker->err;
    }
    stop_all(group, true);
}

static void main_heard_end(void *arg)
{
    struct worker *worker = arg;
    struct group *group = worker->group;

    group->ended++;
    end_if_over(group);
}

static void on_signal(void *arg, int signum)
{
    struct group *group = arg;

    (void)signum;
    if (group->begun < group->options->thread_count) {
        group->is_interrupted = true;
    } else {
        stop_all(group, group->stopping);
    }
}

static void on_usr1(void *arg, int signum)
{
    struct group *group = arg;

    (void)signum;
    serve_gather(&group->gather, true);
}

static int start(struct group *group)
{
    const struct weir_threads_options options = {
        .size = sizeof(options),
        .thread_count = group->options->thread_count,
        .no_signals = true,
    };

    for (size_t i = 0; i < group->options->thread_count; i++) {
        struct worker *worker = &group->workers[i];
        worker->group = group;
        worker->serve = (struct serve_thread){
            .ops = &worker_ops,
            .owner = worker,
            .options = group->options,
            .targets = i == 0 ? group->options->targets : group->places,
            .target_count = group->options->target_count,
            .is_further = i > 0,
            .tls = group->tls,
        };
    }
    int err =
        weir_threads_start(&options, serve_on_thread, group, &group->threads);
    group->gather = (struct serve_gather){.loop = group->loop,
                                          .threads = group->threads,
                                          .add_counts = add_counts,
                                          .idle = end_if_over,
                                          .arg = group};
    return err;
}

/* Returns the exit code. */
static int run_group(struct group *group)
{
    if (serve_handle_signals(group->loop, on_signal, on_usr1, group) < 0) {
        return LOAD_USAGE;
    }
    int err = start(group);
    if (err < 0) {
        engine_say_refused(err);
        return LOAD_USAGE;
    }
    err = weir_loop_run(group->loop);
    weir_threads_stop(group->threads, UINT64_MAX);
    const int ended = weir_threads_join(group->threads);
    return serve_exit_code(group->err, err < 0 ? err : ended);
}

int serve_threads_run(weir_loop *loop, const struct serve_options *options,
                      weir_tls_context *tls)
{
    struct group group = {.loop = loop, .options = options, .tls = tls};

    group.workers = calloc(options->thread_count, sizeof(*group.workers));
    if (!group.workers) {
        say("threads: %s", weir_strerror(-ENOMEM));
        return LOAD_INTERNAL;
    }
    const int exit_code = run_group(&group);
    names_forget(group.places, SERVE_ADDRESSES_MAX);
    free(group.workers);
    return exit_code;
}
