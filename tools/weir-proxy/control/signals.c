/*
 * Signals that run callbacks on all threads or stop them.
 *
 * weir's threads could handle SIGINT and SIGTERM themselves, but would restore
 * the default action when they end. A signal that arrives afterwards would end
 * the program before its log is written and its files are removed.
 */
#include "signals.h"

#include "reload.h"
#include "tools/common/console.h"
#include "tools/common/key_log.h"
#include "tools/weir-proxy/runtime/worker.h"

#include "weir/error.h"

#include <signal.h>

static void visit(const struct worker *worker, weir_threads_each_fn *call)
{
    const int err =
        weir_threads_run_each(weir_thread_get_group(worker->thread),
                              worker->loop, call, worker->proxy, NULL, NULL);

    if (err < 0) {
        say("the signal could not be passed to the threads: %s",
            weir_strerror(err));
    }
}

static void renew(void *arg, int signum)
{
    const struct worker *worker = arg;

    (void)signum;
    reload_ask(worker->proxy);
}

static void reopen(void *arg, int signum)
{
    (void)signum;
    key_logs_reopen();
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

    weir_threads_stop(weir_thread_get_group(worker->thread),
                      worker_config(worker)->drain_ns);
}

/* Starts a drain, or ends the proxy at the second signal. With a drain delay
 * the listening sockets stay open for this time, so that a load balancer can
 * notice that the proxy is not ready. */
static void stop(void *arg, int signum)
{
    struct worker *worker = arg;
    const uint64_t delay_ns = worker_config(worker)->drain_delay_ns;

    (void)signum;
    if (worker->is_stopping) {
        weir_threads_stop(weir_thread_get_group(worker->thread), 0);
        return;
    }
    worker->is_stopping = true;
    if (delay_ns == 0 ||
        weir_loop_call_later(worker->loop, delay_ns, drain, worker, NULL) < 0) {
        drain(worker);
    }
}

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

void signals_hold(bool holds)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(holds ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}
