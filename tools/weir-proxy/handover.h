/*
 * The replacement of the running proxy by a new one, without a connection lost.
 *
 * A proxy that runs with --handover PATH listens on that Unix socket. A new
 * proxy with the same PATH connects to it, is given the listening sockets, and
 * says when it serves; then the old one accepts no more and lets its
 * connections end. Connections that arrive meanwhile wait in sockets that stay
 * open all the time.
 */
#ifndef WEIR_PROXY_HANDOVER_H
#define WEIR_PROXY_HANDOVER_H

#include "proxy.h"

/* Asks a running proxy for its sockets, for what it has found out about its
 * targets and for the keys of its session tickets, for the setup of this one,
 * before the threads start. Sets the predecessor, if there is one. */
void handover_take(struct proxy *proxy);

/* A worker listens. When all do, the program says so: on the console, to
 * systemd, to the predecessor; and the first worker waits for a successor. 0 or
 * a negative error. */
int handover_worker_is_ready(struct worker *worker);

#endif
