/*
 * The life of the server: listen on every address, say so in one line on
 * standard output once all of them accept, serve until a signal comes, stop
 * with a time of grace, end with 0. A second signal ends the grace.
 *
 * One loop serves here. Several threads are in serve_threads.c, and the servers
 * of a loop in serve_thread.c.
 */
#include "serve.h"

#include "exits.h"
#include "names.h"
#include "serve_options.h"
#include "serve_tell.h"
#include "serve_thread.h"
#include "serve_threads.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"
#include "tools/common/limits.h"

#include "weir/error.h"
#include "weir/inspect.h"
#include "weir/loop.h"
#include "weir/tls_connection.h"

#include <stdio.h>
#include <string.h>

struct serve {
    struct serve_thread thread;
    const struct serve_options *options;
    /* The first error that ends the program. */
    int err;
};

/* ---- one loop ---- */

static void print_statistics(const struct serve *serve)
{
    char text[4096];
    struct serve_sums sums = {.datagrams = 0};

    serve_thread_add(&serve->thread, &sums);
    weir_loop_get_statistics_text(serve->thread.loop, text, sizeof(text));
    serve_print_statistics(&sums, text);
}

static void on_usr1(void *arg, int signum)
{
    const struct serve *serve = arg;

    (void)signum;
    print_statistics(serve);
    weir_loop_dump(serve->thread.loop, stderr);
    fflush(stderr);
}

static void on_signal(void *arg, int signum)
{
    struct serve *serve = arg;

    (void)signum;
    serve_thread_stop(&serve->thread,
                      serve->thread.stopping ? 0 : serve->options->grace_ns);
}

static void fail(struct serve_thread *thread, const struct target *target,
                 int err)
{
    struct serve *serve = thread->owner;

    serve_say_error(target, err, serve_thread_why(thread, target));
    if (serve->err == 0) {
        serve->err = err;
    }
    serve_thread_stop(thread, 0);
}

static void print_places(struct serve_thread *thread)
{
    const struct serve *serve = thread->owner;
    struct target places[SERVE_ADDRESSES_MAX];

    int err = serve_thread_get_places(thread, places);
    if (err == 0) {
        serve_print_places(serve->options, places);
    }
    names_forget(places, thread->target_count);
    if (err < 0) {
        fail(thread, &thread->targets[0], err);
    }
}

static void end_loop(struct serve_thread *thread)
{
    weir_loop_stop(thread->loop);
}

static const struct serve_thread_ops ops = {
    .listening = print_places, .failed = fail, .ended = end_loop};

/* Returns the exit code. */
static int serve_until_signal(struct serve *serve)
{
    struct serve_thread *thread = &serve->thread;
    const struct target *failed = NULL;

    weir_loop_set_exception_handler(thread->loop, serve_thread_report, thread);
    if (serve_handle_signals(thread->loop, on_signal, on_usr1, serve) < 0) {
        return LOAD_USAGE;
    }
    int err = serve_thread_listen(thread, &failed);
    if (err < 0) {
        serve_say_error(failed, err, serve_thread_why(thread, failed));
        return LOAD_USAGE;
    }
    err = weir_loop_run(thread->loop);
    return serve_exit_code(serve->err, err);
}

static int serve_on_loop(weir_loop *loop, const struct serve_options *options,
                         weir_tls_context *tls)
{
    static struct serve serve; /* the loop's end may still call it */

    serve.options = options;
    serve.thread = (struct serve_thread){
        .ops = &ops,
        .owner = &serve,
        .loop = loop,
        .options = options,
        .targets = options->targets,
        .target_count = options->target_count,
        .tls = tls,
    };
    const int exit_code = serve_until_signal(&serve);
    if (options->stats) {
        print_statistics(&serve);
    }
    serve_thread_free_servers(&serve.thread);
    return exit_code;
}

/* ---- names ---- */

static bool add_target(struct serve_options *options,
                       const struct target *target)
{
    if (options->target_count == SERVE_ADDRESSES_MAX) {
        say("%s: more than %u addresses", target->text, SERVE_ADDRESSES_MAX);
        return false;
    }
    options->targets[options->target_count] = *target;
    options->target_count++;
    return true;
}

/* A target for each address of a name. */
static bool add_addresses(weir_loop *loop, struct serve_options *options,
                          struct target *name)
{
    bool added = names_find(loop, name, 1, 0) >= 0;

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

/* A server listens on all addresses of a name. An endpoint is bound to one of
 * them alone: the names of datagram targets are looked up here, and each
 * address gets an endpoint. */
static bool find_datagram_names(weir_loop *loop, struct serve_options *options)
{
    struct target given[SERVE_ADDRESSES_MAX];
    const size_t given_count = options->target_count;
    bool added = true;

    memcpy(given, options->targets, sizeof(given));
    options->target_count = 0;
    for (size_t i = 0; i < given_count && added; i++) {
        const bool is_name = given[i].host[0] && given[i].address.len == 0;
        added = given[i].is_datagram && is_name
                    ? add_addresses(loop, options, &given[i])
                    : add_target(options, &given[i]);
    }
    return added;
}

/* ---- all of it ---- */

/* Returns the exit code. */
static int serve_all(struct serve_options *options, weir_tls_context *tls)
{
    weir_loop *loop = NULL;

    int err = weir_loop_new(NULL, &loop);
    if (err < 0) {
        engine_say_refused(err);
        return LOAD_USAGE;
    }
    weir_loop_set_exception_handler(loop, engine_tell_only, NULL);
    if (options->verbose) {
        char text[4096];
        weir_loop_get_features_text(loop, text, sizeof(text));
        fputs(text, stderr);
    }
    int exit_code = LOAD_USAGE;
    if (find_datagram_names(loop, options)) {
        exit_code = options->thread_count > 1
                        ? serve_threads_run(loop, options, tls)
                        : serve_on_loop(loop, options, tls);
    }
    weir_loop_free(loop);
    return exit_code;
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
    int exit_code = serve_all(&options, tls);
    tls_drop_context(tls);
    return exit_code;
}
