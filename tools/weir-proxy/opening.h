/*
 * The opening of a session, from a client's acceptance to its route: its place,
 * its first bytes, and its TLS.
 *
 * Then session.c connects it to its target.
 */
#ifndef WEIR_PROXY_OPENING_H
#define WEIR_PROXY_OPENING_H

#include "proxy.h"

/* The factory of a door's connections; its argument is the door. */
weir_factory_fn opening_create;
/* The `take_in` of a door. */
void opening_take_in(struct place *place);
/* Refuses those that wait for a place: the proxy ends. */
void opening_refuse_waiting(struct door *door);

#endif
