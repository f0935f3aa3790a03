/*
 * First half of a session, from accepting the client to choosing its route:
 * limits, first bytes, and TLS.
 *
 * Afterwards session.c connects the session to its target.
 */
#ifndef WEIR_PROXY_OPENING_H
#define WEIR_PROXY_OPENING_H

#include "proxy.h"

/* Factory of accepted connections; its argument is the struct door. */
weir_factory_fn opening_create;
/* The take_in() callback of struct door. */
void opening_take_in(struct place *place);
/* For the end of the proxy: refuses clients that wait for a limit. */
void opening_refuse_waiting(struct door *door);

#endif
