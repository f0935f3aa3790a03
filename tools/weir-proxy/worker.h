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

/* Frees what a worker has left when its thread has ended. Its log is waited for
 * until then (log_close()). */
void worker_free(struct worker *worker, uint64_t end_ns);

/* For visits of all threads; their argument is the proxy. */
void worker_reopen_log(void *arg, weir_thread *thread);
void worker_dump(void *arg, weir_thread *thread);

/* The configuration of the services that accept. */
const struct config *worker_config(const struct worker *worker);

/* A session, or a server, of services begins, and has ended. */
void worker_enter(struct services *services);
void worker_leave(struct services *services);

/* The services of another setup, on the worker's thread: made, and asked
 * whether they accept: 0, -EAGAIN while they are being opened, or an error.
 * Then they take the place of those before them, or they are dropped: whichever
 * of both goes accepts no more and ends with its connections. */
void worker_make_next(struct worker *worker, struct setup *setup);
int worker_ask_next(const struct worker *worker);
void worker_take_next(struct worker *worker);
void worker_drop_next(struct worker *worker);

#endif
