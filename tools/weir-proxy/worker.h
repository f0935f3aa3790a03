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

/* Frees what a worker has left when its thread has ended. */
void worker_free(struct worker *worker);

/* For visits of all threads; their argument is the proxy. */
void worker_reopen_log(void *arg, weir_thread *thread);
void worker_dump(void *arg, weir_thread *thread);
void worker_renew_tls(void *arg, weir_thread *thread);

#endif
