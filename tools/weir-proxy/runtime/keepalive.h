/*
 * TCP keepalive.
 *
 * Accepted sockets inherit it from their listener. The socket to a target gets
 * it only after its connection has lasted a moment: most connections end
 * earlier, which saves four system calls.
 */
#ifndef WEIR_PROXY_KEEPALIVE_H
#define WEIR_PROXY_KEEPALIVE_H

#include "session.h"

/* Sets the times of a service on a TCP socket. Returns false if the kernel
 * refuses. */
bool keepalive_set(int fd, const struct config_service *config);

/* Must be called when the session is relayed; its target's socket gets the
 * times soon. */
void keepalive_begin(struct session *session);
/* Must be called when the session ends. */
void keepalive_end(struct session *session);

#endif
