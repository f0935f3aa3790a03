/*
 * Sockets of the kernel, with and without a transport.
 *
 * Makers ask sockets for names and options, adopt sockets of the program, and
 * close sockets that become no transport.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCKET_H
#define WEIR_LIB_TRANSPORT_SOCKET_H

#include "lib/loop/loop.h"

/* Sets whether peers may send descriptors over this Unix socket, if the kernel
 * can refuse them (Linux 6.16). */
void wr_socket_set_passrights(const weir_loop *loop, int fd, bool passes);

/* Asks a socket for its own address, or for its peer's, present or former. A
 * failure, as with @fd -1, gives an address of length 0. */
int wr_socket_ask_sockname(int fd, struct weir_address *ret);
int wr_socket_ask_peername(int fd, struct weir_address *ret);

/* Completes the own address of a socket that has failed to connect to @peer,
 * with @own as wr_socket_ask_sockname() told it: an address that the kernel has
 * forgotten is the one that it chooses now. Length 0: there is none. */
void wr_socket_find_own(const struct weir_address *peer,
                        struct weir_address *own);

/* An int option of SOL_SOCKET that is not negative, or -errno. */
int wr_socket_get_option(int fd, int name);

/* True for the protocols of stream sockets that a program may ask for; 0 is the
 * family's default. */
static inline bool wr_socket_is_proto(int proto)
{
    return proto == 0 || proto == IPPROTO_TCP || proto == IPPROTO_MPTCP;
}

/* Checks a descriptor that the program wants adopted: it must be open (-EBADF),
 * a stream socket (-EINVAL) of a family that weir knows (-EAFNOSUPPORT), and
 * connected if @ret_peer is set, not connected if @ret_peer is NULL (-EINVAL).
 * Returns the family. */
WEIR_MUST_USE int wr_socket_check(int fd, struct weir_address *ret_peer);

/* True for a TCP socket that has been connected to @peer, and is its own peer:
 * none listened there, and the kernel chose that port as the own one. */
bool wr_socket_is_own_peer(int fd, const struct weir_address *peer);

/* From here on the close of @fd, a stream socket, tells its peer a reset
 * instead of an end of the stream, which would look like a complete stream.
 * Unix sockets ignore it. */
void wr_socket_reset_on_close(int fd);
/* Closes a connected socket that becomes no transport; @fd may be -1. A Unix
 * socket is closed in a thread, because its peer may have sent descriptors. */
void wr_socket_close(weir_loop *loop, int fd, int family);
/* Closes a client that was let in and is not served, which gets a reset. */
void wr_socket_turn_away(weir_loop *loop, int fd, int family);
/* Closes a Unix socket in a thread. */
void wr_socket_close_unix(int fd);
/* An accept on @fd has ended without a connection: wakes all that still wait to
 * accept there, in any loop and process, if a client waits. The kernel may have
 * woken the one that ended for this client, and then wakes no other before the
 * next client comes. */
void wr_socket_wake_accepts(int fd);
/* Closes the descriptor of a refused call, which takes it in any case: a Unix
 * socket in a thread. It may be of any kind, no open descriptor, or -1. */
void wr_socket_refuse(int fd);

#endif
