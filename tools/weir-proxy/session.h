/*
 * A session: a client's connection, the connection to its target, and what
 * becomes of both.
 *
 *     accepted -> preface -> (TLS) -> connecting -> relayed -> over
 *
 * A preface is read only where the service says so: a PROXY header, or a
 * ClientHello by which the route is chosen. Then a target is chosen and
 * connected to, and the relay moves the bytes until both sides have ended. In
 * each of these states the session waits for one thing, and ends with one
 * reason.
 */
#ifndef WEIR_PROXY_SESSION_H
#define WEIR_PROXY_SESSION_H

#include "proxy.h"

/* The factory of a door's connections; its argument is the door. */
weir_factory_fn session_create;

#endif
