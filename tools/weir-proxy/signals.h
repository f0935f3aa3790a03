/*
 * The signals of the proxy, in one place: the loop of the first worker.
 *
 * SIGHUP reads certificates again, SIGUSR1 opens the log anew, SIGUSR2 dumps
 * all loops. SIGINT and SIGTERM stop the threads within the time of --drain,
 * and a second one at once.
 */
#ifndef WEIR_PROXY_SIGNALS_H
#define WEIR_PROXY_SIGNALS_H

#include "proxy.h"

/* Before the threads are started. What arrives before the loop handles signals
 * does what it does by default; what arrives after its end, nothing: what is
 * left then takes no time, and is to be done. */
void signals_prepare(void);
/* Lets signals that ask for something wait, in all threads that begin later. */
void signals_hold(void);
/* Ends that in the first thread, whose loop obeys those that have waited. */
void signals_let_in(void);

/* 0 or a negative error. */
int signals_begin(struct worker *worker);

#endif
