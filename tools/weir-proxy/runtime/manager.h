/*
 * Notifications to the service manager (NOTIFY_SOCKET): that the proxy serves,
 * that it ends, and, with a watchdog, that the loops of all threads run.
 *
 * Without a manager or a watchdog the calls do nothing.
 */
#ifndef WEIR_PROXY_MANAGER_H
#define WEIR_PROXY_MANAGER_H

#include "proxy.h"

/* Reads the watchdog's time and, with chroot, connects to the manager's socket.
 * Must be called before the threads start and the root changes. The manager
 * passes the time only to a process that it started itself; a successor gets it
 * from its predecessor (handover.h). */
void manager_begin(struct proxy *proxy);
void manager_end(struct proxy *proxy);

/* Reports that all workers listen. Must be called on the first worker's loop,
 * like the functions below. Must be called before the predecessor is notified:
 * if the predecessor ended first, the manager would consider the service
 * ended. */
void manager_tell_ready(struct proxy *proxy);

/* Reports that a reload starts. After the reload, "READY=1" must be sent,
 * whatever its result. */
void manager_tell_reloading(const struct proxy *proxy);

void manager_tell(const struct proxy *proxy, const char *state);

#endif
