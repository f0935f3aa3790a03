/*
 * The server listens on every address, prints one line to standard output when
 * all accept connections, serves until a signal, and stops with a grace time. A
 * second signal ends the grace time.
 *
 * Each thread has the servers of its loop (serve_thread.c). The first thread,
 * which is the main thread, controls the others. Threads queue callbacks to
 * each other's loops:
 *
 *     first:   listen (itself)    listen (the others)    stop
 *     each:          listens            listens             ended
 *
 * The first thread chooses the ports. A thread stays after its servers have
 * ended, so that its counts can be added to the others'; then the first thread
 * ends all.
 */
#include "serve.h"

#include "serve_options.h"
#include "serve_thread.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"
#include "tools/common/limits.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/target/target.h"

#include "weir/error.h"
#include "weir/inspect.h"
#include "weir/loop.h"
#include "weir/task.h"
#include "weir/threads.h"
#include "weir/tls_connection.h"
#include "weir/waitable.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group;

struct worker {
    struct serve_thread serve;
    struct group *group;
    /* First failure of this thread. Written before the first thread is
     * notified. */
    const struct target *failed;
    int err;
    bool has_told_end;
};

/* State of the server. The first thread changes it. Other threads read
 * `options` and `places`, and add their counts to `sums`, one thread after
 * another. */
struct group {
    const struct serve_options *options;
    weir_tls_context *tls;
    struct worker *workers;
    /* Addresses on which the first thread listens. Written before it reports
     * that it listens. */
    struct target places[SERVE_ADDRESSES_MAX];
    size_t listening;
    size_t ended;
    bool has_begun;
    bool stopping;
    int err;
    /* A task prints the statistics, with or without dumps of the loops, and
     * again if they were requested while it ran. */
    struct serve_sums sums;
    bool is_printing;
    bool has_dumps;
    bool is_wanted_again;
    bool is_last;
};

static weir_threads *get_threads(void)
{
    return weir_thread_get_group(weir_loop_get_thread(weir_get_running_loop()));
}

/* Queues a callback to a thread, unless it has ended. */
static void tell(size_t index, weir_callback_fn *cb, struct worker *worker)
{
    weir_thread *thread = weir_threads_get(get_threads(), (uint32_t)index);
    int err = weir_thread_call_soon(thread, cb, worker, NULL);

    if (err != -ESHUTDOWN) {
        console_check(err, "a thread could not be notified");
    }
}

static void first_heard_listening(void *arg);
static void first_heard_failure(void *arg);
static void first_heard_end(void *arg);

static void tell_listening(struct serve_thread *serve)
{
    struct worker *worker = serve->owner;
    struct group *group = worker->group;

    if (worker == group->workers) {
        console_check(serve_thread_get_places(serve, group->places),
                      "addresses");
    }
    tell(0, first_heard_listening, worker);
}

/* Reports a failure. The first one ends all threads. A start that a stop
 * cancelled is not a failure. */
static void tell_failure(struct serve_thread *serve,
                         const struct target *target, int err)
{
    struct worker *worker = serve->owner;

    if (!worker->failed && !(serve->stopping && err == -ECANCELED)) {
        worker->failed = target;
        worker->err = err;
        tell(0, first_heard_failure, worker);
    }
}

static void tell_end(struct serve_thread *serve)
{
    struct worker *worker = serve->owner;

    if (!worker->has_told_end) {
        worker->has_told_end = true;
        tell(0, first_heard_end, worker);
    }
}

static const struct serve_thread_ops ops = {
    .listening = tell_listening, .failed = tell_failure, .ended = tell_end};

static void listen_now(void *arg)
{
    struct worker *worker = arg;
    const struct target *failed = NULL;

    worker->serve.loop = weir_get_running_loop();
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

static void add_counts(void *arg, weir_thread *thread)
{
    struct group *group = arg;

    serve_thread_add(&group->workers[weir_thread_get_index(thread)].serve,
                     &group->sums);
}

/* Runs on one thread after another, so that dumps do not mix. */
static void dump_loop(void *arg, weir_thread *thread)
{
    const struct group *group = arg;

    if (group->options->thread_count > 1) {
        fprintf(stderr, "thread %u\n", weir_thread_get_index(thread));
    }
    weir_loop_dump(weir_thread_get_loop(thread), stderr);
    fflush(stderr);
}

static void print_sums(const struct serve_sums *sums, const char *loop_text)
{
    fprintf(stderr,
            "served_connections %llu\nserved_open %llu\nserved_broken %llu\n"
            "served_received_bytes %llu\nserved_datagrams %llu\n"
            "served_datagrams_failed %llu\nserved_full_handshakes %llu\n"
            "served_resumed_handshakes %llu\n%s",
            LLU(sums->counts.opened), LLU(sums->counts.open_now),
            LLU(sums->counts.broken), LLU(sums->counts.received_bytes),
            LLU(sums->datagrams), LLU(sums->datagrams_failed),
            LLU(sums->counts.full_handshakes),
            LLU(sums->counts.resumed_handshakes), loop_text);
    fflush(stderr);
}

static int print_once(struct group *group, weir_loop *loop)
{
    struct weir_loop_statistics statistics = {.size = sizeof(statistics)};
    weir_threads *threads = get_threads();
    char text[4096];

    group->sums = (struct serve_sums){.datagrams = 0};
    int result = weir_threads_run_each_wait(threads, loop, add_counts, group);
    if (result >= 0) {
        result = weir_threads_get_statistics_wait(threads, loop, &statistics);
    }
    if (result < 0) {
        return result;
    }
    if (weir_statistics_format(&statistics, text, sizeof(text)) >= 0) {
        print_sums(&group->sums, text);
    }
    return group->has_dumps
               ? weir_threads_run_each_wait(threads, loop, dump_loop, group)
               : 0;
}

static void end_if_over(struct group *group);

static int print_statistics(weir_loop *loop, void *arg)
{
    struct group *group = arg;
    int result;

    do {
        group->is_wanted_again = false;
        result = print_once(group, loop);
        group->has_dumps = true;
    } while (result >= 0 && group->is_wanted_again);
    if (result == -ECANCELED) {
        return 0; /* a thread's loop has ended */
    }
    console_check(result, "a thread could not be queried");
    group->is_printing = false;
    end_if_over(group);
    return 0;
}

static void want_statistics(struct group *group, bool has_dumps)
{
    if (group->is_printing) {
        group->is_wanted_again = true;
        return;
    }
    group->is_printing = true;
    group->has_dumps = has_dumps;
    console_check(weir_task_spawn(weir_get_running_loop(), print_statistics,
                                  group, NULL, NULL),
                  "no task for statistics");
}

/* Ends the threads if all servers are closed and everything is printed. */
static void end_if_over(struct group *group)
{
    if (group->ended < group->options->thread_count || group->is_printing) {
        return;
    }
    if (group->options->stats && !group->is_last) {
        group->is_last = true;
        want_statistics(group, false);
    } else {
        weir_threads_stop(get_threads(), UINT64_MAX);
    }
}

static void stop_all(struct group *group, bool at_once)
{
    group->stopping = true;
    for (size_t i = 0; i < group->options->thread_count; i++) {
        tell(i, at_once ? stop_at_once : stop_within_grace, &group->workers[i]);
    }
}

static void print_address(const struct target *target,
                          const struct weir_address *address)
{
    const bool is_unix = address->storage.any.sa_family == AF_UNIX;
    const char *scheme = is_unix ? "" : "tcp://";
    char text[WEIR_ADDRESS_TEXT_SIZE];

    if (target->is_datagram) {
        scheme = "udp://";
    } else if (target->is_http) {
        scheme = target->is_tls ? "https://" : "http://";
    } else if (target->is_ws) {
        scheme = target->is_tls ? "wss://" : "ws://";
    } else if (target->is_tls) {
        scheme = is_unix ? "tls+" : "tls://";
    }
    printf(" %s%s", scheme, weir_address_format(address, text, sizeof(text)));
}

static void print_places(const struct serve_options *options,
                         const struct target *places)
{
    printf("serving %s on", options->mode->name);
    for (size_t i = 0; i < options->target_count; i++) {
        for (size_t j = 0; j < places[i].address_count; j++) {
            print_address(&places[i], &places[i].addresses[j]);
        }
    }
    printf("\n");
    fflush(stdout);
}

static void first_heard_listening(void *arg)
{
    struct worker *worker = arg;
    struct group *group = worker->group;

    if (group->stopping) {
        return;
    }
    group->listening++;
    if (group->listening == group->options->thread_count) {
        print_places(group->options, group->places);
    } else if (group->listening == 1) {
        for (size_t i = 1; i < group->options->thread_count; i++) {
            tell(i, listen_now, &group->workers[i]);
        }
    }
}

static void first_heard_failure(void *arg)
{
    const struct worker *worker = arg;
    struct group *group = worker->group;

    if (group->err == 0) {
        const struct serve_thread *serve = &worker->serve;
        const char *why = serve->why[worker->failed - serve->targets];
        say("%s: %s (%s)", worker->failed->text,
            why[0] ? why : weir_strerror(worker->err),
            weir_err_name(worker->err));
        group->err = worker->err;
    }
    stop_all(group, true);
}

static void first_heard_end(void *arg)
{
    struct worker *worker = arg;

    worker->group->ended++;
    end_if_over(worker->group);
}

static void on_signal(void *arg, int signum)
{
    struct group *group = arg;

    stop_all(group, group->stopping);
}

static void on_usr1(void *arg, int signum)
{
    want_statistics(arg, true);
}

/* Returns 0, or an error that was printed. */
static int handle_signals(weir_loop *loop, struct group *group)
{
    const struct {
        int signum;
        weir_signal_fn *cb;
    } handlers[] = {
        {SIGINT, on_signal},
        {SIGTERM, on_signal},
        {SIGUSR1, on_usr1},
    };

    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        int err = weir_loop_add_signal_handler(loop, handlers[i].signum,
                                               handlers[i].cb, group);
        if (err < 0) {
            say("signal handler: %s", weir_strerror(err));
            return err;
        }
    }
    return 0;
}

static void begin_first(struct group *group, weir_loop *loop)
{
    group->has_begun = true;
    if (group->options->verbose) {
        char text[4096];
        weir_loop_get_features_text(loop, text, sizeof(text));
        fputs(text, stderr);
    }
    group->err = handle_signals(loop, group);
    if (group->err < 0) {
        stop_all(group, true);
    } else {
        listen_now(&group->workers[0]);
    }
}

/* Main task of a thread. Callbacks do everything else. It waits for the stop,
 * at the end or because another thread's loop failed. weir_sleep() would add a
 * timer that is checked in each loop iteration. */
static int serve_on_thread(weir_thread *thread, void *arg)
{
    struct group *group = arg;
    struct serve_thread *serve =
        &group->workers[weir_thread_get_index(thread)].serve;
    weir_loop *loop = weir_thread_get_loop(thread);
    struct weir_waitable stop = weir_waitable_stop(loop);

    weir_loop_set_exception_handler(loop, serve_thread_report, serve);
    if (weir_thread_get_index(thread) == 0) {
        begin_first(group, loop);
    }
    int err = weir_wait_any(loop, &stop, 1);
    tell_end(serve);
    serve_thread_free_servers(serve);
    return err == -ECANCELED ? 0 : err;
}

static int run_group(struct group *group)
{
    const struct serve_options *options = group->options;
    const struct weir_threads_options threads = {
        .size = sizeof(threads),
        .thread_count = options->thread_count,
        .no_pinning = options->thread_count == 1,
        .no_signals = true,
    };

    for (size_t i = 0; i < options->thread_count; i++) {
        group->workers[i].group = group;
        group->workers[i].serve = (struct serve_thread){
            .ops = &ops,
            .owner = &group->workers[i],
            .options = options,
            .targets = i == 0 ? options->targets : group->places,
            .target_count = options->target_count,
            .is_further = i > 0,
            .tls = group->tls,
        };
    }
    int err = weir_threads_run(&threads, serve_on_thread, group);
    if (err < 0 && !group->has_begun) {
        engine_say_refused(err);
        return LOAD_USAGE;
    }
    if (err < 0) {
        say("the loop failed: %s (%s)", weir_strerror(err), weir_err_name(err));
        return LOAD_INTERNAL;
    }
    return group->err < 0 ? LOAD_USAGE : LOAD_OK;
}

static int serve_all(const struct serve_options *options, weir_tls_context *tls)
{
    struct group group = {.options = options, .tls = tls};

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

static bool add_target(struct serve_options *options,
                       const struct target *target)
{
    if (options->target_count == SERVE_ADDRESSES_MAX) {
        return say("%s: more than %u addresses", target->text,
                   SERVE_ADDRESSES_MAX);
    }
    options->targets[options->target_count] = *target;
    options->target_count++;
    return true;
}

/* Adds a target for each address of a name, resolved on a temporary loop. */
static bool add_addresses(struct serve_options *options, struct target *name)
{
    weir_loop *loop = NULL;

    int err = weir_loop_new(NULL, &loop);
    if (err < 0) {
        engine_say_refused(err);
        return false;
    }
    weir_loop_set_exception_handler(loop, engine_tell_only, NULL);
    bool added = names_find(loop, name, 1, 0) >= 0;
    weir_loop_free(loop);
    for (size_t i = 0; i < name->address_count && added; i++) {
        struct target target = {
            .text = name->text,
            .is_datagram = true,
            .address = name->addresses[i],
        };
        added = add_target(options, &target);
    }
    names_forget(name, 1);
    return added;
}

/* Replaces the names of UDP targets by a target for each address, because a UDP
 * socket is bound to one address. */
static bool find_datagram_names(struct serve_options *options)
{
    struct target given[SERVE_ADDRESSES_MAX];
    const size_t given_count = options->target_count;
    bool added = true;

    memcpy(given, options->targets, sizeof(given));
    options->target_count = 0;
    for (size_t i = 0; i < given_count && added; i++) {
        added = given[i].is_datagram && given[i].host[0] &&
                        given[i].address.len == 0
                    ? add_addresses(options, &given[i])
                    : add_target(options, &given[i]);
    }
    return added;
}

int serve_main(int argc, char **argv, int first)
{
    static struct serve_options options;
    weir_tls_context *tls = NULL;

    enum options_result parsed =
        serve_options_parse(argc, argv, first, &options);
    if (parsed != OPTIONS_READY) {
        return parsed == OPTIONS_DONE ? LOAD_OK : LOAD_USAGE;
    }
    if (tls_make_context(&options.tls, true, options.targets,
                         options.target_count, &tls) < 0) {
        return LOAD_USAGE;
    }
    size_t text_len = 0;
    mode_chargen_text(&text_len); /* made before threads share it */
    limits_raise_fds_to_hard();
    int exit_code = LOAD_USAGE;
    if (find_datagram_names(&options)) {
        exit_code = serve_all(&options, tls);
    }
    tls_drop_context(tls);
    return exit_code;
}
