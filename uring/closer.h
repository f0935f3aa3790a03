/*
 * Threads that close descriptors which came from peers.
 *
 * The last close of a file may block: on a TCP socket with SO_LINGER until its
 * bytes are sent, on FUSE until a process responds. This cannot be known
 * beforehand, as other processes may share the file and change it. So threads
 * close descriptors that came over a Unix socket and that weir drops, and Unix
 * sockets whose queues may contain such descriptors. If memory or threads have
 * run out, the caller, usually a loop's thread, closes them and may block.
 *
 * Each owner of such descriptors, for example a connection, has a closer, which
 * is served by at most one thread. All closers of a process share the threads;
 * threads are made on demand and end when idle.
 */
#ifndef WEIR_URING_CLOSER_H
#define WEIR_URING_CLOSER_H

#include "wake.h"

struct wr_closer;

/* Closes @count descriptors soon, perhaps in this call. If *closer is NULL
 * makes a closer, unless memory has run out. */
void wr_closer_close(struct wr_closer **closer, const int *fds, size_t count);

/* Returns true while closes are pending. Then the mailbox's owner calls
 * @on_idle with @arg once, when all are closed. @closer may be NULL. */
WEIR_MUST_USE bool wr_closer_is_busy(struct wr_closer *closer,
                                     struct wr_wake *wake,
                                     void (*on_idle)(void *arg), void *arg);

/* Detaches *closer, which finishes its closes without calling @on_idle, and
 * sets it to NULL. Called before the mailbox is closed, by its owner. */
void wr_closer_detach(struct wr_closer **closer);

void wr_closer_close_alone(const int *fds, size_t count);
/* Closes a Unix socket whose queue was empty a moment ago. Uses other threads
 * than wr_closer_close(), so that it does not wait for slow closes. */
void wr_closer_close_empty(int fd);

#endif
