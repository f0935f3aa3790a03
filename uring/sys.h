/*
 * The system calls and the clock that weir uses besides the ring.
 *
 * The second half of the seam (ring.h): a test may replace all of it. Every
 * function returns a negative errno, and every descriptor made here is
 * close-on-exec.
 */
#ifndef WEIR_URING_SYS_H
#define WEIR_URING_SYS_H

#include "../include/weir/base.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* musl has it from 1.2.5 on. */
#ifndef STATX_TYPE
#include <linux/stat.h>
#endif
/* musl lacks the name. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
/* The C library's headers are older than Linux 6.13. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
/* ... and than Linux 6.16. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
/* ... and than Linux 6.18. */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif
/* musl has the name from 1.2.5 on. */
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x8
#endif

/* True for a lack of descriptors or memory of this process or machine, which
 * says nothing about the file or the peer that was asked for. */
static inline bool wr_sys_is_shortage(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS ||
           err == -ENOMEM;
}

/* The mode bits that chmod() can set. */
#define WR_MODE_BITS 07777u

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t wr_sys_now(void);

/* Sleeps for a millisecond, in a ring without memory. */
void wr_sys_sleep_a_little(void);

/* Makes a socket, blocking (io_uring polls it) unless @type has SOCK_NONBLOCK;
 * makes a descriptor blocking; makes it close-on-exec. */
int wr_sys_socket(int family, int type, int protocol);
int wr_sys_set_blocking(int fd);
int wr_sys_set_cloexec(int fd);
int wr_sys_bind(int fd, const struct sockaddr *addr, socklen_t len);
int wr_sys_listen(int fd, int backlog);
int wr_sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int wr_sys_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
/* The peer's address, for a TCP socket also after a reset, when
 * wr_sys_getpeername() returns -ENOTCONN, but not after wr_sys_disconnect(),
 * nor where there is no SO_PEERNAME. *len must have room for an IPv6 address.
 */
int wr_sys_getpeername_ever(int fd, struct sockaddr *addr, socklen_t *len);
int wr_sys_setsockopt(int fd, int level, int name, const void *value,
                      socklen_t len);
int wr_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int wr_sys_shutdown(int fd, int how);
/* Resets a TCP connection at once, even with unsent bytes; it has no addresses
 * then. */
int wr_sys_disconnect(int fd);
int wr_sys_close(int fd);
/* Duplicates a descriptor, to be passed over a Unix socket; -EINVAL for a ring,
 * which the kernel does not pass. */
int wr_sys_dup_to_pass(int fd);

/* Receives what a stream socket has now into @count pieces of memory, without
 * waiting. Returns the bytes, 0 at the end of the stream, -EAGAIN if nothing is
 * there. */
int32_t wr_sys_recv(int fd, struct iovec *iov, uint32_t count);

/* Descriptors received with bytes. */
#define WR_PASSED_MAX 344u
struct wr_passed {
    uint32_t count;
    bool
        has_lost; /* others were lost: no room here or in the process's table */
    int fds[WR_PASSED_MAX];
};

/* wr_sys_recv() from a Unix socket, with a message's descriptors,
 * close-on-exec. */
int32_t wr_sys_recv_fds(int fd, struct iovec *iov, uint32_t count,
                        struct wr_passed *ret);

/* Reads what a file has now into @count pieces of memory, without waiting.
 * Returns the bytes, 0 at the end, -EAGAIN if nothing is there, -EOPNOTSUPP if
 * this kind of file may wait nevertheless. */
int32_t wr_sys_read(int fd, struct iovec *iov, uint32_t count);

/* Writes what a file has room for now, without waiting and without SIGPIPE.
 * Returns the bytes, -EAGAIN if there is no room, -EOPNOTSUPP if this kind of
 * file may wait nevertheless. @has_nosignal: the kernel has RWF_NOSIGNAL. */
int32_t wr_sys_write(int fd, const struct iovec *iov, uint32_t count,
                     bool has_nosignal);

/* The mask of the calling thread while SIGPIPE and SIGXFSZ are blocked in
 * it. */
struct wr_sys_signals {
    sigset_t before;
    sigset_t removed; /* of the two, those that were not pending before */
};

/* Blocks the signals that a call which writes may raise: 0, or a negative
 * error, after which no such call may be made. */
WEIR_MUST_USE int wr_sys_block_signals(struct wr_sys_signals *signals);
/* Restores the mask. @may_be_raised: a call may have raised one of them, which
 * is removed. */
void wr_sys_restore_signals(const struct wr_sys_signals *signals,
                            bool may_be_raised);

/* wr_sys_write() for a stream socket. */
int32_t wr_sys_send(int fd, const struct iovec *iov, uint32_t count);

/* A file's type and permissions, without asking a remote server. */
int wr_sys_mode(int fd, mode_t *ret);
/* The file's open flags (O_ACCMODE and others). */
int wr_sys_flags(int fd);
/* Connects, or receives from, a non-blocking or a datagram socket, like the
 * system calls. */
int wr_sys_connect(int fd, const struct sockaddr *addr, socklen_t len);
int32_t wr_sys_recvfrom(int fd, void *buf, size_t size, struct sockaddr *addr,
                        socklen_t *len);

/* Sends a datagram, or fails with -EAGAIN, without SIGPIPE. @addr may be
 * NULL. */
int32_t wr_sys_sendto(int fd, const void *data, size_t size,
                      const struct sockaddr *addr, socklen_t len);

/* A number that changes when the file changes; 0: no file. */
uint64_t wr_sys_file_stamp(const char *path);

/* Receives the datagrams that are there, at most @count; returns their number,
 * or -EAGAIN. msg_len is a datagram's full length, even if it was truncated. A
 * pending socket error is returned once. */
int wr_sys_recvmmsg(int fd, struct mmsghdr *messages, uint32_t count);

/* Receives one message from the socket's error queue; -EAGAIN: it is empty. */
int wr_sys_recv_error(int fd, struct msghdr *message);

/* Sends datagrams in order, as far as there is room; returns their number, 1 or
 * more, or the error of the first. */
int wr_sys_sendmmsg(int fd, struct mmsghdr *messages, uint32_t count);

/* Bytes that the peer has not acknowledged (SIOCOUTQ). */
int wr_sys_outq(int fd);

/* Bytes that a receive or a read would return now (SIOCINQ, FIONREAD); works at
 * a pipe's writing end too. */
int wr_sys_inq(int fd);

/* The present limit of the process's descriptors, which it and others may
 * change (RLIMIT_NOFILE); 0: it is not known. */
uint64_t wr_sys_get_nofile(void);

/* 1 if a receive would not wait: there are bytes, the end or an error. 0 if
 * nothing is there, or a negative error. */
int wr_sys_is_readable(int fd);

/* Sends as many bytes of a file on a stream socket as it has room for now, at
 * most @len. Returns the bytes, 0 at the end of the file, -EAGAIN without room.
 * SIGPIPE is blocked meanwhile, so a broken socket raises none. */
int64_t wr_sys_sendfile(int fd, int file, uint64_t offset, size_t len);
/* wr_sys_sendfile() after wr_sys_begin_nonblock() and wr_sys_block_signals().
 * SIGPIPE may be raised if it returns less than @len. */
int64_t wr_sys_sendfile_bare(int fd, int file, uint64_t offset, size_t len);

/* Makes a socket non-blocking; returns its flags of before, or an error. This
 * does not affect operations of a ring in flight; a receive that is submitted
 * while it lasts fails with -EAGAIN where others wait. */
int wr_sys_begin_nonblock(int fd);
void wr_sys_end_nonblock(int fd, int flags);

/* ---- sys_cache.c ---- */

/* statx(), which musl has from 1.2.5 on. */
int wr_sys_statx(int fd, const char *path, int flags, uint32_t what,
                 struct statx *ret);

/* Type, mode, size, link count and number of a file from the cache: the server
 * of a network file system, which may not answer, is not asked. */
int wr_sys_stat_known(int fd, struct statx *ret);

/* True for a regular file whose operations must run in a kernel worker thread:
 * its file system has no non-blocking reads, or this is unknown because the
 * file is not open for reading. (With FUSE, for example, a ring would ask the
 * serving process for a poll and the bytes, and wait.) */
WEIR_MUST_USE bool wr_sys_needs_worker(int fd);

/* The most bytes that wr_sys_cached_bytes() checks at once. */
#define WR_CACHED_MAX ((size_t)1 << 20)

/* How many of the next @len bytes (at most WR_CACHED_MAX, within the file's
 * @size) can be read without waiting for a device. An error if the kernel does
 * not report it: -EPERM for a file that the process may not write and does not
 * own, -EOPNOTSUPP for some file systems. *is_told is set if the kernel reports
 * it, and saves a check the next time. */
int64_t wr_sys_cached_bytes(int file, uint64_t offset, size_t len,
                            uint64_t size, bool *is_told);

/* 1 if the cache has all pages of these bytes of a file, ready or on their way
 * from the device; 0 if one is missing. An error if the kernel does not report
 * it: -EPERM as above, -ENOSYS before Linux 6.5, -EOPNOTSUPP for some file
 * systems. */
int wr_sys_is_cached(int file, uint64_t offset, size_t len);

/* Reads bytes of a file from the page cache. Returns the bytes, 0 at the end,
 * -EAGAIN if they are not cached, -EOPNOTSUPP if that cannot be told, or an
 * error. */
int64_t wr_sys_read_cached(int file, void *buf, size_t len, uint64_t offset);

/* Makes an eventfd with count 0; adds one to its count, on any thread. */
int wr_sys_eventfd(void);
int wr_sys_eventfd_write(int fd);
/* Makes a non-blocking eventfd; resets its count, which may be 0. */
int wr_sys_eventfd_nonblock(void);
int wr_sys_eventfd_drain(int fd);

/* Makes a pipe, the reading end first; both ends block. */
int wr_sys_pipe(int ret[2]);
/* Makes a non-blocking pipe; reads and writes at its ends. */
int wr_sys_pipe_nonblock(int ret[2]);
int32_t wr_sys_pipe_read(int fd, void *buf, size_t len);
int32_t wr_sys_pipe_write(int fd, const void *buf, size_t len);
/* Makes a pipe hold more; -EPERM beyond what the user may have. */
int wr_sys_pipe_widen(int fd, size_t size);
/* Two stream sockets between which several pieces are spliced: they do not
 * block meanwhile, and the signals that a write may raise are blocked. */
struct wr_sys_splices {
    int from;
    int to;
    int from_flags;
    int to_flags;
    bool may_be_raised;
    struct wr_sys_signals signals;
};

/* 0, or a negative error, after which nothing may be spliced. */
WEIR_MUST_USE int wr_sys_begin_splices(struct wr_sys_splices *splices, int from,
                                       int to);
void wr_sys_end_splices(const struct wr_sys_splices *splices);
/* Moves bytes of the one socket into a pipe of wr_sys_pipe_nonblock(), or out
 * of it into the other: at most @len, as many as are there, and as there is
 * room for, without waiting and without SIGPIPE. Returns their number; 0: the
 * end of the stream or an urgent byte; or an error. -EINVAL: the kernel does
 * not splice such sockets. */
int32_t wr_sys_splice_in(const struct wr_sys_splices *splices, int pipe,
                         size_t len);
int32_t wr_sys_splice_out(struct wr_sys_splices *splices, int pipe, size_t len);
/* Bytes that a stream socket has room for: about as many as a send would take
 * now. */
int wr_sys_room(int fd);
/* Opens /dev/null for reading and writing. */
int wr_sys_open_null(void);
/* Like lstat(2): a symbolic link is not followed. */
int wr_sys_lstat(const char *path, struct stat *ret);
int wr_sys_unlink(const char *path);
/* -EOPNOTSUPP for a symbolic link, which is not followed. */
int wr_sys_chmod(const char *path, mode_t mode);
/* For an unbound Unix socket: the mode, minus the umask, of the file that a
 * bind makes. */
int wr_sys_fchmod(int fd, mode_t mode);
/* Locks the file's directory against other callers. Returns a descriptor, whose
 * close unlocks it; -EAGAIN: another process has the lock. */
int wr_sys_lock_directory(const char *path);

#endif
