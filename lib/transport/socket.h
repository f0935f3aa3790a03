/*
 * Sockets with and without a transport. The functions here close a Unix socket
 * in a thread, because the peer may have sent descriptors whose close blocks
 * (socket.c).
 */
#ifndef WEIR_LIB_TRANSPORT_SOCKET_H
#define WEIR_LIB_TRANSPORT_SOCKET_H

#include "lib/loop/loop.h"

/* Allows or forbids peers to send descriptors over this Unix socket. Has no
 * effect before Linux 6.16. */
void wr_socket_set_passrights(const weir_loop *loop, int fd, bool passes);

/* Gets a socket's local address, or the address of its present or former peer.
 * On failure, and if @fd is -1, the address has length 0. */
int wr_socket_ask_sockname(int fd, struct weir_address *ret);
int wr_socket_ask_peername(int fd, struct weir_address *ret);

/* Completes the local address @own of a socket that failed to connect to @peer.
 * If the kernel forgot it, sets the address that a new socket would get, or
 * length 0. */
void wr_socket_find_own(const struct weir_address *peer,
                        struct weir_address *own);

int wr_socket_get_option(int fd, int name);

static inline bool wr_socket_is_proto(int proto)
{
    return proto == 0 || proto == IPPROTO_TCP || proto == IPPROTO_MPTCP;
}

/* Checks a descriptor that the program wants adopted. It must be an open
 * (-EBADF) stream socket (-EINVAL), IP or Unix (-EAFNOSUPPORT), connected if
 * @ret_peer is set, and unconnected otherwise (-EINVAL). Returns the family. */
WEIR_MUST_USE int wr_socket_check(int fd, struct weir_address *ret_peer);

/* True if a TCP socket, connected to @peer, is connected to itself: no socket
 * listened there, and the kernel chose that port as the local port. */
bool wr_socket_is_own_peer(int fd, const struct weir_address *peer);

/* Makes the close of a TCP socket send a reset, not an end of stream. */
void wr_socket_reset_on_close(int fd);
/* Closes a connected socket for which no transport is made. @fd may be -1. */
void wr_socket_close(weir_loop *loop, int fd, int family);
/* Closes an accepted client that is not served, with a reset. */
void wr_socket_turn_away(weir_loop *loop, int fd, int family);
void wr_socket_close_unix(int fd);
/* Called when an accept on @fd has ended without a connection. Wakes all
 * accepts on the socket, in any process, if a client waits: the kernel may have
 * woken only the ended accept. */
void wr_socket_wake_accepts(int fd);
/* Closes the descriptor that a failed call has taken. @fd may be invalid. */
void wr_socket_refuse(int fd);

#endif
