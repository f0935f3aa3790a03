/*
 * A reload follows SIGHUP (signals.c) or the command reload. It runs in a task
 * of the first worker, with callbacks on all threads. The new setup serves
 * after all threads have opened its servers; the servers of the old setup
 * accept until then. Up to this point every change can be undone.
 *
 * Settings that a running process cannot change keep their values, which is
 * reported.
 */
#include "reload.h"

#include "tools/common/console.h"
#include "tools/weir-proxy/config/changes.h"
#include "tools/weir-proxy/config/options.h"
#include "tools/weir-proxy/config/validity.h"
#include "tools/weir-proxy/runtime/manager.h"
#include "tools/weir-proxy/runtime/setup.h"
#include "tools/weir-proxy/runtime/states.h"
#include "tools/weir-proxy/runtime/worker.h"

#include "weir/error.h"
#include "weir/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Maximum number of changed lines that a reload prints; -t prints all. */
#define REPORTED_MAX 20
/* Changed lines are printed in pieces of this size, because say() cuts longer
 * texts. */
#define PIECE_SIZE ((size_t)400)
/* A reload prints only pieces that begin at or before this offset; -t prints
 * all. */
#define LAST_PIECE (2 * PIECE_SIZE)
/* Length of CHANGES_HASH and the eight digits after it. */
#define HASH_LEN (sizeof(CHANGES_HASH) - 1 + 8)

/* Poll interval until all threads have opened their servers. */
#define LOOK_NS UINT64_C(1000000)

struct report {
    enum reload_report how;
    char kept[160]; /* directives that need a new process */
    size_t count;
};

static bool is_kept(const char *line, size_t len)
{
    static const char *const words[] = {
        "threads", "memory-limit", "admin",  "user",     "group",   "chroot",
        "sandbox", "ctl",          "engine", "resolver", "handover"};
    size_t i = 0;

    while (i < sizeof(words) / sizeof(words[0]) &&
           (strlen(words[i]) != len || memcmp(words[i], line, len) != 0)) {
        i++;
    }
    return i < sizeof(words) / sizeof(words[0]);
}

static void report_line(void *arg, const char *line, bool is_added)
{
    static const char *const words[2][2] = {{"removed", "added"},
                                            {"remove", "add"}};
    struct report *report = arg;
    const size_t len = strcspn(line, " ");
    const size_t old = strlen(report->kept);
    const bool is_plan = report->how == RELOAD_PLANNED;
    const bool is_said = ++report->count <= REPORTED_MAX || is_plan;
    size_t end = strlen(line);
    size_t n = 0;

    if (end > HASH_LEN && strncmp(line + end - HASH_LEN, CHANGES_HASH,
                                  sizeof(CHANGES_HASH) - 1) == 0) {
        end -= HASH_LEN;
    }
    for (size_t at = 0; is_said && at < end && (is_plan || at <= LAST_PIECE);
         at += n) {
        n = end - at < PIECE_SIZE ? end - at : PIECE_SIZE;
        while (n > PIECE_SIZE - 3 && (line[at + n] & 0xC0) == 0x80) {
            n--; /* do not split a character of UTF-8 */
        }
        say("%s%s: %s%.*s", is_plan ? "a reload would " : "",
            words[is_plan][is_added], at > 0 ? "..." : "", (int)n, line + at);
    }
    /* The removed and the added line of a directive follow each other. Only one
     * of them adds its name. */
    if (is_kept(line, len) &&
        (old < len || memcmp(report->kept + old - len, line, len) != 0)) {
        snprintf(report->kept + old, sizeof(report->kept) - old, "%s%.*s",
                 old > 0 ? ", " : "", (int)len, line);
    }
}

size_t reload_say(const struct config_texts *before,
                  const struct config_texts *after, enum reload_report how)
{
    struct report report = {.how = how};

    changes_each(before, after, report_line, &report);
    if (report.count > REPORTED_MAX && how != RELOAD_PLANNED) {
        say("%zu other lines were added or removed",
            report.count - REPORTED_MAX);
    }
    if (report.kept[0] && how != RELOAD_REPLACED) {
        say("a change of %s needs a new process (--handover)", report.kept);
    }
    return report.count;
}

static struct setup *read_setup(const struct proxy *proxy, char *why)
{
    struct config *config = calloc(1, sizeof(*config));

    if (!config) {
        option_refuse(why, "no memory");
        return NULL;
    }
    if (options_read_again(proxy->argc, proxy->argv, config, why)) {
        return setup_new(config, proxy->setup, why);
    }
    config_free(config);
    free(config);
    return NULL;
}

/* Keeps the TLS sessions of clients when contexts are replaced. */
static void keep_sessions(const struct setup *before, const struct setup *after)
{
    size_t count;
    struct contexts_keys *keys =
        contexts_save_keys(before->contexts, before->config, &count);

    contexts_load_keys(after->contexts, after->config, keys, count);
    contexts_forget_keys(keys, count);
}

/* Makes a setup with open sockets. Returns NULL with a reason in @why. */
static struct setup *make_setup(struct proxy *proxy, char *why)
{
    struct setup *before = proxy->setup;
    struct setup *setup = read_setup(proxy, why);

    if (!setup) {
        return NULL;
    }
    keep_sessions(before, setup);
    console_divert(why, OPTION_WHY_SIZE);
    const bool is_found = listeners_init(&setup->listeners, setup->config) == 0;
    console_divert(NULL, 0);
    const int err =
        is_found ? listeners_inherit(&setup->listeners, &before->listeners) : 0;
    if (err < 0) {
        option_refuse(why, "%s", weir_strerror(err));
    } else if (is_found && setup_open(setup, before, proxy, why)) {
        return setup;
    }
    setup_unref(setup);
    return NULL;
}

struct change {
    struct proxy *proxy;
    struct setup *setup;
    int err; /* first error; -EAGAIN while a thread is opening its servers */
};

static void make_next(void *arg, weir_thread *thread)
{
    const struct change *change = arg;
    struct worker *worker = worker_at(change->proxy, thread);

    if (!worker->is_draining) {
        worker_make_next(worker, change->setup);
    }
}

static void ask_next(void *arg, weir_thread *thread)
{
    struct change *change = arg;
    const struct worker *worker = worker_at(change->proxy, thread);
    const int err = worker->is_draining         ? -ECANCELED
                    : worker->opening_count > 0 ? -EAGAIN
                                                : worker->opening_err;

    if (err < 0 && (change->err == 0 || change->err == -EAGAIN)) {
        change->err = err;
    }
}

static void take_next(void *arg, weir_thread *thread)
{
    const struct change *change = arg;
    struct worker *worker = worker_at(change->proxy, thread);

    worker_take_next(worker);
    if (worker->services->setup == change->setup) {
        log_change(&worker->log, &change->setup->log);
    }
}

static void drop_next(void *arg, weir_thread *thread)
{
    const struct change *change = arg;

    worker_drop_next(worker_at(change->proxy, thread));
}

static int visit(struct change *change, weir_threads_each_fn *call)
{
    const int count = worker_visit(&change->proxy->workers[0], call, change);

    return count < 0 ? count : 0;
}

/* Returns 0 after all threads have opened the servers of the setup. */
static int open_everywhere(struct change *change)
{
    int err = visit(change, make_next);

    while (err == 0) {
        change->err = 0;
        err = visit(change, ask_next);
        if (err < 0 || change->err != -EAGAIN) {
            return err < 0 ? err : change->err;
        }
        err = weir_sleep(change->proxy->workers[0].loop, LOOK_NS);
    }
    return err;
}

static void commit(struct change *change)
{
    struct proxy *proxy = change->proxy;
    struct setup *before = proxy->setup;

    reload_say(&before->config->said, &change->setup->config->said,
               RELOAD_DONE);
    proxy->setup = change->setup;
    setup_set_limits(proxy->setup, proxy);
    if (visit(change, take_next) == 0) { /* no stop interrupted it */
        setup_close_log(proxy->setup);
    }
    listeners_leave(&before->listeners);
    listeners_own_paths(&proxy->setup->listeners);
    setup_unref(before);
    config_warn(proxy->setup->config);
    validity_warn(proxy->setup->config);
}

/* Stores the facts about targets, for the new upstream sets. */
static void note_states(struct proxy *proxy)
{
    struct states_one *states;
    const int64_t count = states_gather(&proxy->workers[0], &states);

    free(proxy->states);
    proxy->states = states;
    proxy->state_count = count > 0 ? (size_t)count : 0;
    states_sort(states, proxy->state_count);
}

static bool may_change(const struct proxy *proxy)
{
    const struct worker *first = &proxy->workers[0];

    return !first->is_draining && !first->is_stopping && !first->is_replaced;
}

/* Must be called with the setup locked. */
static bool change_setup(struct proxy *proxy, char *why)
{
    note_states(proxy); /* before make_setup(), which uses them */
    struct change change = {.proxy = proxy, .setup = make_setup(proxy, why)};

    if (!change.setup) {
        return false;
    }
    int err = open_everywhere(&change);
    if (err == 0 && !may_change(proxy)) {
        err = -ECANCELED; /* a stop has closed the listeners of the old setup */
    }
    if (err == 0) {
        commit(&change);
        return true;
    }
    (void)!visit(&change, drop_next);
    listeners_close(&change.setup->listeners);
    setup_unref(change.setup);
    return option_refuse(why, "%s", weir_strerror(err));
}

/* Waits until all threads listen, as they start one after another. */
static bool wait_until_all_listen(const struct proxy *proxy)
{
    int err = 0;

    while (err == 0 && proxy->ready_count < proxy->worker_count) {
        err = weir_sleep(proxy->workers[0].loop, LOOK_NS);
    }
    return err == 0;
}

static bool read_again(struct proxy *proxy, char *why)
{
    manager_tell_reloading(proxy);
    const bool is_done = change_setup(proxy, why);
    proxy->was_refused = !is_done;
    if (is_done) {
        say("the configuration was read again");
    } else {
        say("%s; the previous configuration stays in force", why);
    }
    if (may_change(proxy)) { /* false during a stop */
        manager_tell(proxy, "READY=1");
    }
    return is_done;
}

bool reload_run(struct proxy *proxy, char *why)
{
    const int err = reload_begin(proxy);
    bool is_done = false;

    if (err < 0) {
        say("%s; the configuration is not read again", weir_strerror(err));
        return option_refuse(why, "%s", weir_strerror(err));
    }
    if (wait_until_all_listen(proxy) && may_change(proxy)) {
        is_done = read_again(proxy, why);
    } else {
        option_refuse(why, "the proxy ends");
        say("%s; its configuration is not read again", why);
    }
    reload_end(proxy);
    return is_done;
}

static int run_asked(weir_loop *loop, void *arg)
{
    struct proxy *proxy = arg;
    char why[OPTION_WHY_SIZE];

    (void)loop;
    while (proxy->is_asked_again) {
        proxy->is_asked_again = false;
        reload_run(proxy, why);
    }
    proxy->is_reloading = false;
    return 0;
}

void reload_ask(struct proxy *proxy)
{
    proxy->is_asked_again = true;
    if (proxy->is_reloading) {
        return;
    }
    const int err =
        weir_task_spawn(proxy->workers[0].loop, run_asked, proxy, NULL, NULL);
    proxy->is_reloading = err == 0;
    if (err < 0) {
        say("the configuration cannot be read again: %s", weir_strerror(err));
    }
}

int reload_prepare(struct proxy *proxy)
{
    return weir_lock_new(proxy->workers[0].loop, &proxy->change);
}

void reload_finish(struct proxy *proxy)
{
    weir_lock_free(proxy->change);
    proxy->change = NULL;
}

int reload_begin(struct proxy *proxy)
{
    return proxy->change ? weir_lock_acquire(proxy->change) : -ESHUTDOWN;
}

void reload_end(struct proxy *proxy)
{
    if (proxy->change) {
        weir_lock_release(proxy->change);
    }
}
