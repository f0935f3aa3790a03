/*
 * Replaces the running proxy by a new one without losing a connection.
 *
 * A proxy that runs with --handover PATH listens on that Unix socket. A new
 * proxy with the same PATH connects to it, receives the listening sockets, and
 * reports when it serves; then the old proxy stops accepting and drains.
 * Connections that arrive meanwhile wait in the sockets, which stay open.
 */
#ifndef WEIR_PROXY_HANDOVER_H
#define WEIR_PROXY_HANDOVER_H

#include "tools/weir-proxy/runtime/proxy.h"

/* Receives the sockets, the facts about targets and the session ticket keys of
 * a running proxy. Must be called before the threads start. Sets
 * proxy->predecessor, which is negative unless the handover was complete. */
void handover_take(struct proxy *proxy);

/* Must be called when a worker listens. When all workers listen, the first
 * worker starts to wait for a successor, and this is reported on the console,
 * to systemd and to the predecessor. Returns 0 or a negative error. */
int handover_worker_is_ready(struct worker *worker);

#endif
