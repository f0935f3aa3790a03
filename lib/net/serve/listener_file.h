/*
 * The files of Unix sockets.
 *
 * A socket that is bound to a path makes a file there, and the file outlives
 * it. A listener or a datagram endpoint that finds such a file in its way
 * removes it if no socket is bound to it any more; a listener also removes its
 * own when it is closed.
 */
#ifndef WEIR_LIB_NET_SERVE_LISTENER_FILE_H
#define WEIR_LIB_NET_SERVE_LISTENER_FILE_H

#include "listener.h"

/* Binds a socket to an address of any family; the file, if the address has one,
 * gets the permissions @mode, if that is not 0. Returns -EADDRINUSE for a path
 * that has a file which is no socket, or one that a socket is bound to, and
 * -EMFILE, -ENFILE, -ENOMEM or -ENOBUFS where that could not be found out. On
 * other errors too no file is left. */
WEIR_MUST_USE int wr_listener_file_bind(int fd,
                                        const struct weir_address *address,
                                        uint32_t mode);

/* Notes which file the listener's address names now: it is the listener's. */
void wr_listener_file_know(struct wr_listener *listener);

/* Removes the listener's file, unless another one has taken its place. */
void wr_listener_file_remove(struct wr_listener *listener);

#endif
