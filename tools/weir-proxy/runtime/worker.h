/*
 * A worker: the main task of one thread.
 *
 * It serves all services until it is cancelled, and then waits until its
 * connections have ended.
 */
#ifndef WEIR_PROXY_WORKER_H
#define WEIR_PROXY_WORKER_H

#include "proxy.h"

int worker_main(weir_thread *thread, void *arg);

/* Frees what a worker has left after its thread has ended. Waits for the log
 * until @end_ns (log_close()). */
void worker_free(struct worker *worker, uint64_t end_ns);

/* Callbacks for each thread; their argument is the proxy. */
void worker_reopen_log(void *arg, weir_thread *thread);
void worker_dump(void *arg, weir_thread *thread);

static inline struct worker *worker_at(const struct proxy *proxy,
                                       weir_thread *thread)
{
    return &proxy->workers[weir_thread_get_index(thread)];
}

/* Calls @call with @arg on each thread, in a task of @worker, which waits.
 * Returns the number of threads or a negative error. */
static inline int worker_visit(const struct worker *worker,
                               weir_threads_each_fn *call, void *arg)
{
    return weir_threads_run_each_wait(weir_thread_get_group(worker->thread),
                                      worker->loop, call, arg);
}

const struct config *worker_config(const struct worker *worker);

void worker_leave(struct services *services);

/* worker_make_next() makes the services of another setup and starts to open
 * them. When opening_count is 0, they accept or opening_err is set.
 * worker_take_next() then replaces the current services, or worker_drop_next()
 * frees the new ones. Replaced services stop accepting and end with their
 * connections. All must be called on the worker's thread. */
void worker_make_next(struct worker *worker, struct setup *setup);
void worker_take_next(struct worker *worker);
void worker_drop_next(struct worker *worker);

#endif
