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

/* A bind to an address in use is tried again, for two seconds where the process
 * runs. The ring of a process that was killed keeps its socket until the kernel
 * has ended its operations: some 20 ms (Linux 6.18), and more where processors
 * are busy. Tries are counted, and no time: while the machine stands still, the
 * kernel ends nothing either. */
#define WR_BIND_RETRY_NS (10u * 1000000u)
#define WR_BIND_TRIES    200u

/* Binds a socket to an address of any family. If the address has a file, the
 * file gets the permissions @mode, unless @mode is 0. -EADDRINUSE: the path has
 * a file that is not a socket, or that a socket is bound to; -EMFILE, -ENFILE,
 * -ENOMEM or -ENOBUFS: the state of the file could not be determined. No error
 * leaves a file. */
WEIR_MUST_USE int wr_listener_file_bind(int fd,
                                        const struct weir_address *address,
                                        uint32_t mode);

/* Records the file at the listener's address as the listener's. */
void wr_listener_file_know(struct wr_listener *listener);

/* Removes the listener's file, unless another file has replaced it. */
void wr_listener_file_remove(struct wr_listener *listener);

#endif
