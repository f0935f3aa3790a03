/*
 * Notifications to the service manager (NOTIFY_SOCKET): that the proxy serves,
 * that it ends, and, with a watchdog, that the loops of all threads run.
 *
 * Without a manager or a watchdog the calls do nothing.
 */
#ifndef WEIR_PROXY_MANAGER_H
#define WEIR_PROXY_MANAGER_H

#include "proxy.h"

/* Reads the watchdog's time before the threads start and the root changes. The
 * manager passes it only to a process that it started itself; a successor gets
 * it from its predecessor (handover.h). */
void manager_begin(struct proxy *proxy);
/* Must be called after the threads have ended. */
void manager_end(struct proxy *proxy);

/* Reports that all workers listen. Must be called before the predecessor is
 * notified: a manager that sees it exit without knowing this process considers
 * the service ended. Like the next functions, it must be called on the first
 * worker's loop. */
void manager_tell_ready(struct proxy *proxy);

/* Reports that a reload starts. Its end is "READY=1", whatever its result. */
void manager_tell_reloading(const struct proxy *proxy);

/* Sends a state of sd_notify(3), such as "READY=1". */
void manager_tell(const struct proxy *proxy, const char *state);

#endif
