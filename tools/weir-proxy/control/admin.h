/*
 * HTTP page for operators: /metrics in Prometheus' text format, /status
 * (status.h), /healthz (the proxy runs) and /readyz (it accepts connections).
 *
 * The first worker serves the page at the address of --admin.
 */
#ifndef WEIR_PROXY_ADMIN_H
#define WEIR_PROXY_ADMIN_H

#include "tools/weir-proxy/runtime/proxy.h"

/* Starts to listen if the configuration has an address. Returns 0 or a negative
 * error. */
int admin_begin(struct worker *worker);
/* Opens the listening socket before the proxy changes its user, because a low
 * port needs root. Returns 0 or a negative error. */
int admin_open(struct proxy *proxy);
/* Takes ownership of a listening socket of the predecessor if it is bound to
 * the page's address. Otherwise returns false, and the caller keeps @fd. */
bool admin_offer(struct proxy *proxy, int fd);
/* Returns the page's listening socket for a successor, or -1. */
int admin_get_socket(const struct admin *admin);
/* Stops accepting, because a successor serves the page. Accepted requests still
 * get their responses. */
void admin_stop_listening(struct admin *admin);
/* Waits until accepted requests have their responses. */
void admin_wait(struct admin *admin);
void admin_end(struct admin *admin);
/* Must be called after all threads have ended. */
void admin_free(struct admin *admin);

#endif
