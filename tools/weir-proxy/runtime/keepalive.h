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

/* Enables keepalive on a TCP socket, with the times of the service. Returns
 * false if the kernel refuses. */
bool keepalive_set(int fd, const struct config_service *config);

/* Must be called when the relay starts. Within a second the target's socket
 * gets keepalive. */
void keepalive_begin(struct session *session);
/* Must be called when the session ends. */
void keepalive_end(struct session *session);

#endif
