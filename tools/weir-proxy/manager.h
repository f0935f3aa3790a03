/*
 * What the service manager is told (NOTIFY_SOCKET): that the proxy serves, that
 * it ends, and, if there is a watchdog, that all of its threads make turns.
 *
 * Without a manager, or a watchdog of it, all calls do nothing.
 */
#ifndef WEIR_PROXY_MANAGER_H
#define WEIR_PROXY_MANAGER_H

#include "proxy.h"

/* Before the threads start and the root changes: the time of the watchdog,
 * which the manager says to a process that it started itself. One that replaces
 * another is told by that (handover.h). */
void manager_begin(struct proxy *proxy);
/* When the threads have ended. */
void manager_end(struct proxy *proxy);

/* All workers listen. Called before a predecessor is told: a manager that sees
 * it end without knowing this one takes the service for ended. On the first
 * worker's loop, as the next one. */
void manager_tell_ready(struct proxy *proxy);

/* The configuration is read again, and has been, whatever came of it. */
void manager_tell_reloading(const struct proxy *proxy);
void manager_tell_reloaded(const struct proxy *proxy);

/* The proxy ends, and no other one takes its place. */
void manager_tell_stopping(const struct proxy *proxy);

#endif
