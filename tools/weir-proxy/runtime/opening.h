/*
 * First half of a session, from accepting the client to choosing its route:
 * limits, first bytes, and TLS.
 *
 * Afterwards session.c connects it to its target.
 */
#ifndef WEIR_PROXY_OPENING_H
#define WEIR_PROXY_OPENING_H

#include "proxy.h"

/* Factory of accepted connections; its argument is the door. */
weir_factory_fn opening_create;
/* The `take_in` callback of a door. */
void opening_take_in(struct place *place);
/* Refuses the clients that wait because of a limit; called when the proxy
 * ends. */
void opening_refuse_waiting(struct door *door);

#endif
