/*
 * The page for operators: /metrics in Prometheus' text format, /status
 * (status.h), /healthz (the proxy runs) and /readyz (it accepts connections).
 *
 * It is served where --admin says, by the first worker. An answer to /metrics
 * or /status is a visit of all threads.
 */
#ifndef WEIR_PROXY_ADMIN_H
#define WEIR_PROXY_ADMIN_H

#include "proxy.h"

/* Listens, if the configuration has an address. 0 or a negative error. */
int admin_begin(struct worker *worker);
/* Listens before that, for a proxy that will be another user. */
int admin_open(struct proxy *proxy);
/* Keeps a listening socket of the predecessor that is at the page's address.
 * False: it is another one, and still the caller's. */
bool admin_offer(struct proxy *proxy, int fd);
/* The page's listening socket, for a successor; -1: there is none. */
int admin_get_socket(const struct admin *admin);
/* A successor serves the page from now on. Who has come before is answered. */
void admin_stop_listening(struct admin *admin);
/* Waits until those are answered. */
void admin_wait(struct admin *admin);
/* Gives back what belongs to the loop. */
void admin_end(struct admin *admin);
/* When all threads have ended. */
void admin_free(struct admin *admin);

#endif
