/*
 * A worker: the main task of one thread.
 *
 * It serves all services until it is cancelled, and then waits until its
 * connections have ended.
 */
#ifndef WEIR_PROXY_WORKER_H
#define WEIR_PROXY_WORKER_H

#include "proxy.h"

/* The main task; its argument is the proxy. */
int worker_main(weir_thread *thread, void *arg);

/* Frees what a worker has left after its thread has ended. Waits for its log
 * until @end_ns (log_close()). */
void worker_free(struct worker *worker, uint64_t end_ns);

/* Callbacks for each thread; their argument is the proxy. */
void worker_reopen_log(void *arg, weir_thread *thread);
void worker_dump(void *arg, weir_thread *thread);

/* Returns the configuration of the services that accept. */
const struct config *worker_config(const struct worker *worker);

/* Counts the end of a session or a server of the services. */
void worker_leave(struct services *services);

/* Replace the services by the services of another setup, on the worker's
 * thread: make them, and take or drop them when they accept (opening.count
 * is 0). The replaced services stop accepting and end with their connections.
 */
void worker_make_next(struct worker *worker, struct setup *setup);
void worker_take_next(struct worker *worker);
void worker_drop_next(struct worker *worker);

#endif
