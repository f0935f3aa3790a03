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
/* A successor serves the page from now on. */
void admin_stop_listening(struct admin *admin);
/* Gives back what belongs to the loop. */
void admin_end(struct admin *admin);
/* When all threads have ended. */
void admin_free(struct admin *admin);

#endif
