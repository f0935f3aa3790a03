/*
 * The proxy's signals, all handled by the loop of the first worker.
 *
 * SIGHUP reads the configuration again, SIGUSR1 reopens the logs, SIGUSR2 dumps
 * all loops. SIGINT and SIGTERM stop the threads within the time of --drain; a
 * second such signal stops them at once.
 */
#ifndef WEIR_PROXY_SIGNALS_H
#define WEIR_PROXY_SIGNALS_H

#include "tools/weir-proxy/runtime/proxy.h"

/* Must be called before the threads start. SIGINT and SIGTERM have their
 * default action before the loop handles signals. They are ignored after the
 * end of the loop, because the remaining work is short and must be
 * completed. */
void signals_prepare(void);
/* Blocks SIGHUP and SIGUSR1 in this thread and all threads started later, or
 * unblocks them in the first thread, whose loop then handles pending signals.
 */
void signals_hold(bool holds);

int signals_begin(struct worker *worker);

#endif
