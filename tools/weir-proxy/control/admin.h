/*
 * HTTP page for operators: /metrics in Prometheus' text format, /status
 * (status.h), /healthz (the proxy runs) and /readyz (it accepts connections).
 *
 * The first worker serves the page at the address of --admin.
 */
#ifndef WEIR_PROXY_ADMIN_H
#define WEIR_PROXY_ADMIN_H

#include "tools/weir-proxy/runtime/proxy.h"

/* Serves the socket of admin_open() or admin_offer(), if any. Returns 0 or a
 * negative error. */
int admin_begin(struct worker *worker);
/* Opens the listening socket, if the configuration has an address and the
 * predecessor passed no socket. Must be called before the proxy changes its
 * user, because a low port needs root. Returns 0 or a negative error. */
int admin_open(struct proxy *proxy);
/* Takes ownership of a listening socket of the predecessor if it is bound to
 * the page's address. Otherwise returns false, and the caller keeps @fd. */
bool admin_offer(struct proxy *proxy, int fd);
/* Returns the page's listening socket for a successor, or -1. */
int admin_get_socket(const struct worker *worker);
/* Stops accepting, because a successor serves the page. Accepted requests still
 * get their responses. */
void admin_stop_listening(struct worker *worker);
/* Must be called before the loop ends. If a successor serves, waits until
 * accepted requests have their responses. */
void admin_end(struct worker *worker);

#endif
