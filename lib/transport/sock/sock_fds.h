/*
 * Stream sockets: descriptors that are sent with bytes, part of the
 * internals of sock_impl.h. sock_fds.c describes how descriptors
 * wait.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_FDS_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_FDS_H

#include "lib/loop/loop.h"
#include "uring/closer.h"

struct wr_sock;
struct wr_fd_batch;

struct wr_sock_fds {
    struct wr_fd_batch *first;
    struct wr_fd_batch *last;
    uint64_t taken_bytes;     /* bytes that the kernel took while batches
                               * waited */
    uint32_t waiting_count;   /* descriptors in all batches */
    struct wr_closer *closer; /* closes received descriptors; may be NULL */
};

/* Queues duplicates, to be sent with the next written byte. Returns 0, -EBADF,
 * -EMFILE, -ENOMEM, or -ENOBUFS if too many wait. */
WEIR_MUST_USE int wr_sock_fds_push(struct wr_sock *s, const int *fds,
                                   size_t count);
/* Removes the last batch, because its byte was not written. */
void wr_sock_fds_take_back(struct wr_sock *s);
/* Returns the most bytes that the next send may cover. */
uint64_t wr_sock_fds_reach(const struct wr_sock *s);
/* True if the next send must carry descriptors, with wr_sock_fds_send(). */
bool wr_sock_fds_are_next(const struct wr_sock *s);
void wr_sock_fds_send(struct wr_sock *s, const struct iovec *piece);
/* Notes that the kernel has taken @bytes while descriptors waited. */
void wr_sock_fds_took(struct wr_sock *s, uint64_t bytes);
void wr_sock_fds_drop(struct wr_sock *s);
/* Closes refused descriptors, in a thread, because the peer chose them. */
void wr_sock_fds_discard(weir_transport *t, const int *fds, size_t count);
/* True while received descriptors are being closed: the socket receives
 * nothing, and the step is pushed afterwards. */
WEIR_MUST_USE bool wr_sock_fds_rest(struct wr_sock *s);
void wr_sock_fds_close_own(struct wr_sock *s);
void wr_sock_fds_free(struct wr_sock *s);
void wr_sock_check_fds(const struct wr_sock *s);

#endif
