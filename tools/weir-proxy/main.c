/*
 * weir-proxy: a proxy for TCP, TLS and Unix sockets on weir. See weir-proxy(1).
 *
 * The configuration is read, and certificates and listening sockets are opened,
 * before the threads start, so that an error ends the program.
 */
#include "tools/common/clock.h"
#include "tools/common/completion.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"
#include "tools/common/limits.h"
#include "tools/common/target.h"
#include "tools/weir-proxy/base/memory.h"
#include "tools/weir-proxy/config/needs.h"
#include "tools/weir-proxy/config/options.h"
#include "tools/weir-proxy/config/validity.h"
#include "tools/weir-proxy/config/words.h"
#include "tools/weir-proxy/control/admin.h"
#include "tools/weir-proxy/control/control.h"
#include "tools/weir-proxy/control/handover.h"
#include "tools/weir-proxy/control/reload.h"
#include "tools/weir-proxy/control/signals.h"
#include "tools/weir-proxy/control/top.h"
#include "tools/weir-proxy/runtime/manager.h"
#include "tools/weir-proxy/runtime/setup.h"
#include "tools/weir-proxy/runtime/worker.h"

#include "weir/error.h"
#include "weir/systemd.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

const char console_name[] = "weir-proxy";

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define PASSED_MAX 64

/* Descriptors for other purposes: loops, files, the operators' page. */
#define OWN_FDS        16u
#define FDS_PER_WORKER 6u

/* Each connection uses two descriptors. */
static void find_limit(struct proxy *proxy)
{
    const uint64_t own =
        OWN_FDS + (uint64_t)FDS_PER_WORKER * proxy->worker_count +
        2 * proxy->setup->listeners.count * proxy->worker_count;
    struct rlimit limit;

    limits_raise_fds_to_hard();
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    proxy->fd_limit = limit.rlim_cur > own + 2 ? (limit.rlim_cur - own) / 2 : 1;
    say("%llu descriptors are allowed, which is enough for %llu connections",
        (unsigned long long)limit.rlim_cur,
        (unsigned long long)proxy->fd_limit);
}

static int take_passed(struct listeners *listeners)
{
    struct weir_systemd_fd passed[PASSED_MAX];
    const int count = weir_systemd_listen_fds(true, passed, PASSED_MAX);
    for (int i = 0; i < count && i < PASSED_MAX; i++) {
        if (!listeners_offer(listeners, passed[i].fd, false)) {
            say("the passed socket '%s' is bound to no address of the "
                "configuration",
                passed[i].name);
        }
    }
    if (count < 0) {
        say("the sockets of LISTEN_FDS: %s", weir_strerror(count));
    }
    return count < 0 ? count : 0;
}

static int begin_first(struct worker *worker)
{
    int err = reload_prepare(worker->proxy);

    if (err == 0) {
        err = signals_begin(worker);
    }
    return err < 0 ? err : admin_begin(worker);
}

static void end_first(struct worker *worker)
{
    admin_end(worker);
    weir_server_free(worker->control);
    weir_server_free(worker->successors);
    reload_finish(worker->proxy);
}

static const struct worker_hooks hooks = {
    .begin = begin_first, .ready = handover_worker_is_ready, .end = end_first};

static int run(struct proxy *proxy)
{
    /* Half of a thread's share is for received bytes, half for queued ones.
     * Their sum stays within the limit even if TLS changes the number of
     * bytes. */
    const uint64_t half = proxy->memory_limit_bytes / proxy->worker_count / 2;
    const struct weir_loop_options loop_options = {
        .size = sizeof(loop_options),
        .held_limit_bytes = half,
        .queued_limit_bytes = half,
    };
    const struct weir_threads_options options = {
        .size = sizeof(options),
        .thread_count = proxy->worker_count,
        .loop = &loop_options,
        .no_signals = true,
        .grace_ns = proxy->setup->config->drain_ns,
    };

    signals_prepare();
    console_set_patient(false); /* threads must not block on output */
    const int err = weir_threads_run(&options, worker_main, proxy);
    console_set_patient(true);

    const uint64_t end_ns = clock_now_ns() + LOG_LAST_NS;
    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        worker_free(&proxy->workers[i], end_ns);
    }
    if (proxy->start_err < 0) {
        return EXIT_FAILED; /* the error was printed */
    }
    switch (err) {
    case 0:
        return EXIT_DONE;
    case -ETIMEDOUT:
        say("connections were cut off");
        return EXIT_DONE;
    case -EAGAIN:
        engine_say_refused(err);
        return EXIT_FAILED;
    default:
        say("%s (%s)", weir_strerror(err), weir_err_name(err));
        return EXIT_FAILED;
    }
}

static int open_and_run(struct proxy *proxy)
{
    struct setup *setup = proxy->setup;
    const struct config *config = setup->config;
    char why[OPTION_WHY_SIZE];
    int code = EXIT_FAILED;

    find_limit(proxy);
    proxy->memory_limit_bytes = config->memory_limit_bytes
                                    ? config->memory_limit_bytes
                                    : memory_default_limit(proxy->worker_count);
    manager_begin(proxy);
    handover_take(proxy);
    if (take_passed(&setup->listeners) == 0 &&
        (setup_open(setup, NULL, proxy, why) || say("%s", why)) &&
        admin_open(proxy) == 0 &&
        confine_begin(config, &proxy->confinement) == 0) {
        setup_set_limits(setup, proxy);
        code = run(proxy);
    }
    if (proxy->admin_fd >= 0) {
        close(proxy->admin_fd);
    }
    manager_end(proxy);
    return code;
}

/* Takes ownership of the setup. Returns the exit code. */
static int serve(struct setup *setup, int argc, char **argv)
{
    struct proxy proxy = {.hooks = &hooks,
                          .argc = argc,
                          .argv = argv,
                          .setup = setup,
                          .worker_count = config_count_threads(setup->config),
                          .predecessor = -1,
                          .admin_fd = -1,
                          .notify_fd = -1};
    int code = EXIT_FAILED;

    proxy.workers = calloc(proxy.worker_count, sizeof(*proxy.workers));
    for (uint32_t i = 0; proxy.workers && i < proxy.worker_count; i++) {
        proxy.workers[i].proxy = &proxy;
    }
    if (proxy.workers &&
        listeners_init(&setup->listeners, setup->config) == 0) {
        code = open_and_run(&proxy);
    }
    setup_unref(proxy.setup);
    free(proxy.workers);
    free(proxy.states);
    setup_free_shared(&proxy);
    return code;
}

/* Prints how this configuration differs from the running proxy's. */
static void compare_with_running(const struct config *config,
                                 enum reload_report how)
{
    struct config_texts running = {.count = 0};
    struct arena arena = {.first = NULL};
    char whole[PATH_MAX];

    if (config->control_path &&
        control_get_facts(
            confine_path_outside(config, config->control_path, whole), &arena,
            &running) &&
        reload_say(&running, &config->said, how) == 0) {
        say("the proxy that serves %s has the same", whole);
    }
    arena_free(&arena);
}

/* Takes ownership of the configuration, reads its files, and serves or only
 * tests. Returns the exit code. */
static int look_and_serve(struct config *config, int argc, char **argv)
{
    char why[OPTION_WHY_SIZE];
    char other[OPTION_WHY_SIZE]; /* only the first reason is printed */
    char place[CONFIG_PLACE_SIZE] = "";
    const bool tests_only = config->tests_only;
    bool is_good = confine_check(config, why) && control_check(config, why);
    if (!is_good) {
        char word[16];
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(why, ": "), why);
        config_place(config,
                     needs_line(&(struct needs_at){.config = config}, word),
                     place);
    }
    struct setup *setup = setup_new(config, NULL, is_good ? why : other);

    is_good = is_good && setup &&
              (!tests_only || setup_open_key_logs(setup, true, why));
    if (!setup || !is_good) {
        setup_unref(setup);
        say("%s%s", place, why);
        return EXIT_USAGE;
    }
    config_warn(config);
    validity_warn(config);
    if (tests_only) {
        confine_look(config);
        compare_with_running(config, RELOAD_PLANNED);
        say("the configuration is good");
        setup_unref(setup);
        return EXIT_DONE;
    }
    if (config->handover_path) {
        compare_with_running(config, RELOAD_REPLACED);
    }
    return serve(setup, argc, argv);
}

/* Returns true if a command follows "--ctl PATH". If --ctl is a flag of a
 * proxy, an address or another flag follows. */
static bool is_command(const char *word)
{
    return word[0] != '-' && !target_has_scheme(word);
}

int main(int argc, char **argv)
{
    struct config *config = calloc(1, sizeof(*config));
    int code = EXIT_USAGE;

    console_begin();
    console_check(config ? 0 : -ENOMEM, "the configuration");
    if (argc > 1 && strcmp(argv[1], "--completion") == 0) {
        const struct completion_command command = {.set = &words};
        code = completion_print(stdout, argv[2], "weir-proxy", &command, 1)
                   ? EXIT_DONE
                   : EXIT_USAGE;
        free(config);
        return console_end(code);
    }
    if (argc > 3 && strcmp(argv[1], "--ctl") == 0 && is_command(argv[3])) {
        code = control_send(argv[2], argc - 3, argv + 3);
        free(config);
        return console_end(code);
    }
    /* SIGHUP, SIGUSR1 and SIGUSR2 must not end the program before and after
     * the loops handle them. SIGPIPE is ignored because the reader of a log to
     * a pipe may end. */
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signals_hold(true);
    const enum options_result result = options_parse(argc, argv, config);
    if (result == OPTIONS_READY && config->is_top) {
        code = top_run(config->admin) ? EXIT_DONE : EXIT_FAILED;
    } else if (result == OPTIONS_READY) {
        code = look_and_serve(config, argc, argv);
        config = NULL;
    }
    if (config) {
        config_free(config);
        free(config);
    }
    return console_end(result == OPTIONS_DONE ? EXIT_DONE : code);
}
