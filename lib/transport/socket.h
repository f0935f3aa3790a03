/*
 * Sockets of the kernel, before they belong to a transport and after.
 *
 * Makers ask them for names and options, adopt those of the program, and close
 * those that become no transport.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCKET_H
#define WEIR_LIB_TRANSPORT_SOCKET_H

#include "lib/loop/loop.h"

/* Peers can send descriptors over this Unix socket, or cannot where the kernel
 * can refuse them. */
void wr_socket_set_passrights(const weir_loop *loop, int fd, bool passes);

/* Asks a socket for its own address, or for the one that its peer has or had. A
 * failure, as with @fd -1, leaves an address of length 0. */
int wr_socket_ask_sockname(int fd, struct weir_address *ret);
int wr_socket_ask_peername(int fd, struct weir_address *ret);

/* An option of SOL_SOCKET that is a number and not below 0, or -errno. */
int wr_socket_get_option(int fd, int name);

/* The protocols of stream sockets that a program may ask for; 0 stands for that
 * of the family. */
static inline bool wr_socket_is_proto(int proto)
{
    return proto == 0 || proto == IPPROTO_TCP || proto == IPPROTO_MPTCP;
}

/* Checks a descriptor that a program wants adopted: it must be open (-EBADF), a
 * stream socket (-EINVAL) of a family that weir knows (-EAFNOSUPPORT), and
 * connected if @ret_peer is set, not connected if it is NULL (-EINVAL). Returns
 * the family. */
WEIR_MUST_USE int wr_socket_check(int fd, struct weir_address *ret_peer);

/* Closes a connected socket, or none (@fd -1), that becomes no transport; a
 * Unix socket in a thread, since its peer may have put descriptors into it. */
void wr_socket_close(weir_loop *loop, int fd, int family);
/* Closes a Unix socket in a thread. */
void wr_socket_close_unix(int fd);
/* Closes the socket, if there is one, that the options of a refused call
 * brought along: it was taken in any case, and is closed when that returns. */
static inline void wr_socket_refuse(bool use_sock, int sock)
{
    if (use_sock) {
        wr_ignore(wr_sys_close(sock)); /* the caller is told another error */
    }
}

#endif
