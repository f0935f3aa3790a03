/*
 * Signals that become visits or stops of all threads.
 *
 * The threads could take SIGINT and SIGTERM themselves. They would give back
 * the default action at the end, and a signal then would end the program before
 * its log is written and its files are removed.
 *
 * Certificates are read by the first worker, and are in force everywhere or,
 * after an error, nowhere.
 */
#include "signals.h"

#include "clients.h"
#include "contexts.h"
#include "tools/common/console.h"
#include "validity.h"
#include "worker.h"

#include "weir/error.h"

#include <signal.h>

static void visit(const struct worker *worker, weir_thread_visit_fn *call)
{
    const int err =
        weir_threads_visit(weir_thread_get_threads(worker->thread),
                           worker->loop, call, worker->proxy, NULL, NULL);

    if (err < 0) {
        say("the threads were not visited: %s", weir_strerror(err));
    }
}

/* Sessions of clients outlive the contexts that they were made by. */
static void keep_sessions(const struct worker *worker,
                          const struct contexts *contexts)
{
    const struct config *config = worker->proxy->config;
    size_t count;
    struct contexts_keys *keys = contexts_save_keys(
        weir_thread_get_config(worker->thread), config, &count);

    contexts_load_keys(contexts, config, keys, count);
    contexts_forget_keys(keys, count);
}

/* The files of client-allow, client-deny and client-free. */
static void read_clients(const struct worker *worker)
{
    const struct proxy *proxy = worker->proxy;
    char why[OPTION_WHY_SIZE];
    size_t count = 0;

    if (!clients_read_again(proxy->clients, proxy->config, &count, why)) {
        say("%s; the networks of before stay in force", why);
    } else if (count > 0) {
        say("networks of clients were read again");
    }
}

static void renew(void *arg, int signum)
{
    const struct worker *worker = arg;
    char why[OPTION_WHY_SIZE];

    read_clients(worker);
    struct contexts *contexts = contexts_make(worker->proxy->config, why);

    (void)signum;
    if (!contexts) {
        say("%s; the certificates of before stay in force", why);
        return;
    }
    keep_sessions(worker, contexts);
    const int err =
        weir_threads_set_config(weir_thread_get_threads(worker->thread),
                                contexts, contexts_free, contexts);
    if (err < 0) {
        contexts_free(contexts);
        say("the certificates stay as they are: %s", weir_strerror(err));
        return;
    }
    visit(worker, worker_renew_tls); /* each thread has them by then */
    validity_warn(worker->proxy->config);
    say("certificates were read again");
}

static void reopen(void *arg, int signum)
{
    (void)signum;
    visit(arg, worker_reopen_log);
}

static void dump(void *arg, int signum)
{
    (void)signum;
    visit(arg, worker_dump);
}

static void drain(void *arg)
{
    struct worker *worker = arg;

    weir_threads_stop(weir_thread_get_threads(worker->thread),
                      worker->proxy->config->drain_ns);
}

/* Whoever sends clients here gets time to see that it is not ready any longer,
 * before the listening sockets are closed. The second signal ends it. */
static void stop(void *arg, int signum)
{
    struct worker *worker = arg;
    const uint64_t delay_ns = worker->proxy->config->drain_delay_ns;

    (void)signum;
    if (worker->is_stopping) {
        weir_threads_stop(weir_thread_get_threads(worker->thread), 0);
        return;
    }
    worker->is_stopping = true;
    if (delay_ns == 0 ||
        weir_loop_call_later(worker->loop, delay_ns, drain, worker, NULL) < 0) {
        drain(worker);
    }
}

/* ---- while no loop handles them ---- */

static volatile sig_atomic_t has_begun;

static void arrived(int signum)
{
    if (!has_begun) {
        signal(signum, SIG_DFL);
        raise(signum);
    }
}

void signals_prepare(void)
{
    signal(SIGINT, arrived);
    signal(SIGTERM, arrived);
}

int signals_begin(struct worker *worker)
{
    static const struct {
        int signum;
        weir_signal_fn *cb;
    } handlers[] = {{SIGHUP, renew},
                    {SIGUSR1, reopen},
                    {SIGUSR2, dump},
                    {SIGINT, stop},
                    {SIGTERM, stop}};
    int err = 0;

    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        err = err < 0 ? err
                      : weir_loop_add_signal_handler(worker->loop,
                                                     handlers[i].signum,
                                                     handlers[i].cb, worker);
    }
    has_begun = err == 0;
    return err;
}
