/*
 * Stream sockets: descriptors that go along with bytes.
 *
 * A part of the inside of a stream socket, for the files that make it up
 * (sock_impl.h). How the descriptors wait is told in sock_fds.c.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_FDS_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_FDS_H

#include "lib/loop/loop.h"
#include "uring/closer.h"
#include "weir/unix.h"

struct wr_sock;
struct wr_fd_batch;

/* Descriptors that go along with bytes. */
struct wr_sock_fds {
    struct wr_fd_batch *first;
    struct wr_fd_batch *last;
    uint64_t taken_bytes;     /* by the kernel, while batches waited */
    uint32_t waiting_count;   /* descriptors in all batches */
    struct wr_closer *closer; /* of received ones that no one took, or NULL */
};

/* Duplicates wait to be sent with the next byte that is written: 0, -EBADF,
 * -EMFILE, -ENOMEM, or -ENOBUFS when too many wait. */
WEIR_MUST_USE int wr_sock_fds_push(struct wr_sock *s, const int *fds,
                                   size_t count);
/* The byte was not written: takes the last ones back. */
void wr_sock_fds_take_back(struct wr_sock *s);
/* How many bytes the next send may cover. */
uint64_t wr_sock_fds_reach(const struct wr_sock *s);
/* True when the next send must take descriptors along: wr_sock_fds_send(). */
bool wr_sock_fds_are_next(const struct wr_sock *s);
void wr_sock_fds_send(struct wr_sock *s, const struct iovec *piece);
/* The kernel has taken bytes while descriptors waited. */
void wr_sock_fds_took(struct wr_sock *s, uint64_t bytes);
/* None of those that wait will be sent. */
void wr_sock_fds_drop(struct wr_sock *s);
/* Closes received descriptors that no one takes; they are the peer's choice. */
void wr_sock_fds_discard(weir_transport *t, const int *fds, size_t count);
/* Rests while those are being closed: no more are received. Its step follows
 * afterwards. */
WEIR_MUST_USE bool wr_sock_fds_rest(struct wr_sock *s);
/* At the loss: closes the socket's own descriptor. */
void wr_sock_fds_close_own(struct wr_sock *s);
void wr_sock_fds_free(struct wr_sock *s);
/* Of a socket that has `fds`. */
void wr_sock_check_fds(const struct wr_sock *s);

#endif
