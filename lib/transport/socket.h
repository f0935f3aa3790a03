/*
 * Sockets of the kernel, with and without a transport. The functions here close
 * a Unix socket in a thread, because its peer may have sent descriptors, whose
 * close may block.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCKET_H
#define WEIR_LIB_TRANSPORT_SOCKET_H

#include "lib/loop/loop.h"

/* Sets whether peers may send descriptors over this Unix socket, if the kernel
 * can refuse them (Linux 6.16). */
void wr_socket_set_passrights(const weir_loop *loop, int fd, bool passes);

/* Get a socket's local address, or the address of its present or former peer.
 * On failure, and if @fd is -1, the address has length 0. */
int wr_socket_ask_sockname(int fd, struct weir_address *ret);
int wr_socket_ask_peername(int fd, struct weir_address *ret);

/* Completes the local address @own of a socket that failed to connect to @peer;
 * @own is from wr_socket_ask_sockname(). If the kernel has forgotten the
 * address, sets the address that it would choose now, or length 0 if there is
 * none. */
void wr_socket_find_own(const struct weir_address *peer,
                        struct weir_address *own);

int wr_socket_get_option(int fd, int name);

static inline bool wr_socket_is_proto(int proto)
{
    return proto == 0 || proto == IPPROTO_TCP || proto == IPPROTO_MPTCP;
}

/* Checks a descriptor that the program wants adopted. It must be open (-EBADF),
 * a stream socket (-EINVAL) of a known family (-EAFNOSUPPORT), and (-EINVAL)
 * connected if @ret_peer is set, not connected if @ret_peer is NULL. Returns
 * the family. */
WEIR_MUST_USE int wr_socket_check(int fd, struct weir_address *ret_peer);

/* True for a TCP socket that was connected to @peer and is its own peer: no
 * socket listened there, and the kernel chose that port as the local port. */
bool wr_socket_is_own_peer(int fd, const struct weir_address *peer);

/* Makes the close of @fd, a stream socket, send a reset instead of an end of
 * stream, which would look like a complete stream. Has no effect on Unix
 * sockets. */
void wr_socket_reset_on_close(int fd);
/* Closes a connected socket for which no transport is made. @fd may be -1. */
void wr_socket_close(weir_loop *loop, int fd, int family);
/* Closes an accepted client that is not served, with a reset. */
void wr_socket_turn_away(weir_loop *loop, int fd, int family);
void wr_socket_close_unix(int fd);
/* Called when an accept on @fd has ended without a connection. If a client
 * waits, wakes all accepts that wait on the socket, in any loop and process.
 * The kernel may have woken the ended accept for this client, and would then
 * wake no other before the next client arrives. */
void wr_socket_wake_accepts(int fd);
/* Closes the descriptor of a refused call, because such a call takes its
 * descriptor in any case. @fd may be of any type, not open, or -1. */
void wr_socket_refuse(int fd);

#endif
