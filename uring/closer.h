/*
 * Threads that close descriptors which came from peers.
 *
 * The last close of a file may block: on a TCP socket with SO_LINGER until its
 * bytes are sent, on FUSE until a process responds. Other processes may share
 * and change the file, so this cannot be known beforehand. So threads close
 * descriptors that weir received over a Unix socket and drops, and Unix sockets
 * whose queues may contain descriptors. Without memory or threads the caller
 * closes them and may block.
 *
 * Each owner of such descriptors, for example a connection, has a closer. At
 * most one thread at a time works for a closer.
 */
#ifndef WEIR_URING_CLOSER_H
#define WEIR_URING_CLOSER_H

#include "wake.h"

struct wr_closer;

/* Closes @count descriptors soon, perhaps in this call. Makes *closer if
 * NULL. */
void wr_closer_close(struct wr_closer **closer, const int *fds, size_t count);

/* Returns true while closes are pending. The owner of the mailbox @wake then
 * calls @on_idle with @arg once all are closed. @closer may be NULL. */
WEIR_MUST_USE bool wr_closer_is_busy(struct wr_closer *closer,
                                     struct wr_wake *wake,
                                     void (*on_idle)(void *arg), void *arg);

/* Sets *closer to NULL. The closer finishes its closes, but does not call
 * on_idle. Called before the mailbox is closed, on its owner's thread. */
void wr_closer_detach(struct wr_closer **closer);

void wr_closer_close_alone(const int *fds, size_t count);
/* Closes a Unix socket whose queue was empty a moment ago. Uses other threads
 * than wr_closer_close(), so that the socket does not wait for slow closes. */
void wr_closer_close_empty(int fd);

#endif
