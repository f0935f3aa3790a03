/*
 * The signals of the proxy, in one place: the loop of the first worker.
 *
 * SIGHUP reads certificates again, SIGUSR1 opens the log anew, SIGUSR2 dumps
 * all loops. SIGINT and SIGTERM are the threads' own.
 */
#ifndef WEIR_PROXY_SIGNALS_H
#define WEIR_PROXY_SIGNALS_H

#include "proxy.h"

/* 0 or a negative error. */
int signals_begin(struct worker *worker);

#endif
