/*
 * Closes of descriptors that peers have chosen, in threads.
 *
 * The last close of a file may take as long as a device, a network or the peer
 * that has sent it likes: that of a TCP socket with SO_LINGER waits for its
 * bytes, that of a file on FUSE for a process. Whether it will cannot be told
 * beforehand, as others may have the file too and change it meanwhile. So
 * descriptors that came over a Unix socket and that weir drops are closed by
 * threads of their own, and so are Unix sockets in which some may lie. Where
 * there is no memory to note them, or no thread can be made and none is there,
 * the caller closes them, which is mostly a loop's thread and may wait then.
 *
 * Each owner of such descriptors, a connection for example, has a closer, and
 * each closer one thread at most. All of a process share the threads; they are
 * made when there is something to close, and end when there is nothing.
 */
#ifndef WEIR_URING_CLOSER_H
#define WEIR_URING_CLOSER_H

#include "wake.h"

struct wr_closer;

/* Closes @count descriptors, soon. *closer is made if it is NULL, and stays
 * NULL where there is no memory for it. The call may close them itself, as told
 * above; without threads it closes those of other closers too. */
void wr_closer_close(struct wr_closer **closer, const int *fds, size_t count);

/* True while it has something to close; NULL has nothing. Then @go_on is called
 * with @arg, once and by the owner of the mailbox, some time after that. */
WEIR_MUST_USE bool wr_closer_is_busy(struct wr_closer *closer,
                                     struct wr_wake *wake,
                                     void (*go_on)(void *arg), void *arg);

/* Gives *closer up, which goes on alone, and makes it NULL: @go_on is not
 * called any more. Before the mailbox is closed, by its owner. */
void wr_closer_let_go(struct wr_closer **closer);

/* Closes descriptors that belong to no owner. */
void wr_closer_close_alone(const int *fds, size_t count);
/* Closes a Unix socket in which nothing lay a moment ago. It does not wait for
 * the threads that have the others. */
void wr_closer_close_empty(int fd);

#endif
