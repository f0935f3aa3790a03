/*
 * Sockets on which the kernel asks whether their peers are still there.
 *
 * Accepted sockets inherit it from their listener. A socket to a target is
 * asked for it when its connection has lasted a moment, as most connections end
 * before: they are spared four system calls.
 */
#ifndef WEIR_PROXY_KEEPALIVE_H
#define WEIR_PROXY_KEEPALIVE_H

#include "session.h"

/* Sets the times of a service on a socket of TCP; false: the kernel refuses. */
bool keepalive_set(int fd, const struct config_service *config);

/* The session is relayed: its target's socket gets the times soon. */
void keepalive_begin(struct session *session);
/* The session ends. */
void keepalive_end(struct session *session);

#endif
