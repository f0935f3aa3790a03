/*
 * TCP keepalive.
 *
 * Accepted sockets inherit it from their listener. The socket to a target gets
 * it only after the relay has run for up to a second. Most connections end
 * earlier, and save four system calls.
 */
#ifndef WEIR_PROXY_KEEPALIVE_H
#define WEIR_PROXY_KEEPALIVE_H

#include "session.h"

/* Enables keepalive on a TCP socket, with the times of the service. Returns
 * false if the kernel refuses. */
bool keepalive_set(int fd, const struct config_service *config);

/* Must be called when the relay starts. Enables keepalive within a second,
 * unless keepalive_end() is called before. */
void keepalive_begin(struct session *session);
void keepalive_end(struct session *session);

#endif
