/*
 * An echo server of WebSocket: the messages of a client come back as it sent
 * them, frame by frame, and its pings are answered.
 *
 * Every path is served. Text is not looked at: what is no UTF-8 comes back,
 * too.
 */
#ifndef WEIR_LOAD_SERVE_WS_H
#define WEIR_LOAD_SERVE_WS_H

#include "modes.h"

/* A weir_factory_fn, whose argument is a struct mode_counts. */
int serve_ws_create(void *arg, weir_transport *t,
                    struct weir_protocol_binding *ret);

#endif
