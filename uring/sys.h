/*
 * The system calls and the clock that weir uses besides the ring.
 *
 * A test may replace all functions of this header. Each returns a negative
 * errno on failure. Every descriptor made here is close-on-exec.
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

/* musl defines these since 1.2.5. */
#ifndef STATX_TYPE
#include <linux/stat.h>
#endif
/* musl does not define it. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
/* Since Linux 6.16. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
/* Since Linux 6.18. */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x8
#endif

/* Returns true if this process or machine has run out of descriptors or memory.
 * Such an error is not the fault of the file or the peer. */
static inline bool wr_sys_is_shortage(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS ||
           err == -ENOMEM;
}

#define WR_MODE_BITS 07777u

/* Returns CLOCK_MONOTONIC in nanoseconds. */
uint64_t wr_sys_now(void);

void wr_sys_sleep_a_little(void);

/* Makes a blocking socket, which io_uring polls. @type may add
 * SOCK_NONBLOCK. */
int wr_sys_socket(int family, int type, int protocol);
int wr_sys_set_blocking(int fd);
int wr_sys_set_cloexec(int fd);
int wr_sys_bind(int fd, const struct sockaddr *addr, socklen_t len);
int wr_sys_listen(int fd, int backlog);
int wr_sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int wr_sys_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
/* For a TCP socket this works even after a reset, unless the kernel has no
 * SO_PEERNAME, but not after wr_sys_disconnect(). *len must be at least the
 * size of an IPv6 address. */
int wr_sys_getpeername_ever(int fd, struct sockaddr *addr, socklen_t *len);
int wr_sys_setsockopt(int fd, int level, int name, const void *value,
                      socklen_t len);
int wr_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int wr_sys_shutdown(int fd, int how);
/* Resets a TCP connection, even with unsent bytes. The addresses are lost. */
int wr_sys_disconnect(int fd);
int wr_sys_close(int fd);
/* Duplicates a descriptor that will be passed over a Unix socket. Returns
 * -EINVAL for an io_uring, which the kernel does not pass. */
int wr_sys_dup_to_pass(int fd);

/* Receives the bytes that a stream socket has now into @count buffers. Returns
 * their number, 0 at the end of the stream, or -EAGAIN if there are none. */
int32_t wr_sys_recv(int fd, struct iovec *iov, uint32_t count);

#define WR_PASSED_MAX 344u
struct wr_passed {
    uint32_t count;
    /* more descriptors arrived than fit into `fds` or the process's table */
    bool has_lost;
    int fds[WR_PASSED_MAX];
};

/* Like wr_sys_recv(), but from a Unix socket. *ret gets the descriptors of one
 * message. */
int32_t wr_sys_recv_fds(int fd, struct iovec *iov, uint32_t count,
                        struct wr_passed *ret);

/* Reads the bytes that a file has now into @count buffers, without waiting.
 * Returns their number, 0 at the end of the file, -EAGAIN if there are none, or
 * -EOPNOTSUPP if a read of this kind of file may wait. */
int32_t wr_sys_read(int fd, struct iovec *iov, uint32_t count);

/* Writes as many bytes as a file accepts now, without waiting and without
 * SIGPIPE. Returns their number, -EAGAIN if the file accepts none, or
 * -EOPNOTSUPP if a write to this kind of file may wait. @has_nosignal is true
 * if the kernel has RWF_NOSIGNAL. */
int32_t wr_sys_write(int fd, const struct iovec *iov, uint32_t count,
                     bool has_nosignal);

struct wr_sys_signals {
    sigset_t before;
    /* SIGPIPE and SIGXFSZ, except those that were pending before */
    sigset_t removed;
};

/* Blocks SIGPIPE and SIGXFSZ in the calling thread. Returns 0 or a negative
 * error. After an error the thread must not write. */
WEIR_MUST_USE int wr_sys_block_signals(struct wr_sys_signals *signals);
/* Restores the signal mask. If @may_be_raised is true, first removes a pending
 * SIGPIPE or SIGXFSZ that a call of this thread has raised. */
void wr_sys_restore_signals(const struct wr_sys_signals *signals,
                            bool may_be_raised);

/* Like wr_sys_write(), for a stream socket. */
int32_t wr_sys_send(int fd, const struct iovec *iov, uint32_t count);

/* Gets a file's type and permissions without a query to a remote server. */
int wr_sys_mode(int fd, mode_t *ret);
int wr_sys_flags(int fd);
/* wr_sys_connect() needs a non-blocking socket; wr_sys_recvfrom() does not. */
int wr_sys_connect(int fd, const struct sockaddr *addr, socklen_t len);
int32_t wr_sys_recvfrom(int fd, void *buf, size_t size, struct sockaddr *addr,
                        socklen_t *len);

/* Sends a datagram without waiting (-EAGAIN) or SIGPIPE. @addr may be NULL. */
int32_t wr_sys_sendto(int fd, const void *data, size_t size,
                      const struct sockaddr *addr, socklen_t len);

/* Returns a number that changes when the file changes, or 0 without a file. */
uint64_t wr_sys_file_stamp(const char *path);

/* Receives at most @count pending datagrams. Returns their number, or -EAGAIN
 * if there are none. msg_len is a datagram's full length, even if it was
 * truncated. A pending socket error is returned once. */
int wr_sys_recvmmsg(int fd, struct mmsghdr *messages, uint32_t count);

/* Receives a message from the socket's error queue. Returns 0 or -EAGAIN. */
int wr_sys_recv_error(int fd, struct msghdr *message);

/* Sends datagrams in order until the socket is full. Returns their number, at
 * least 1, or the error of the first datagram. */
int wr_sys_sendmmsg(int fd, struct mmsghdr *messages, uint32_t count);

/* Returns the number of bytes that the peer has not acknowledged (SIOCOUTQ). */
int wr_sys_outq(int fd);

/* Returns how many bytes a receive or a read would return now (SIOCINQ,
 * FIONREAD). Works at a pipe's writing end too. */
int wr_sys_inq(int fd);

/* Returns RLIMIT_NOFILE, which other processes may change, or 0 if unknown. */
uint64_t wr_sys_get_nofile(void);

/* Returns 1 if a receive would not wait, because of bytes, the end or an error;
 * 0 if it would wait; or a negative error. */
int wr_sys_is_readable(int fd);

/* Sends up to @len bytes of a file over a stream socket, without waiting and
 * without SIGPIPE. Returns their number, 0 at the end of the file, or
 * -EAGAIN. */
int64_t wr_sys_sendfile(int fd, int file, uint64_t offset, size_t len);
/* Like wr_sys_sendfile(), but the caller calls wr_sys_begin_nonblock() and
 * wr_sys_block_signals() before. May have raised SIGPIPE if it returns less
 * than @len. */
int64_t wr_sys_sendfile_bare(int fd, int file, uint64_t offset, size_t len);

/* Makes a socket non-blocking. Returns its previous flags, or a negative error.
 * Operations in flight are not affected, but a receive that is submitted before
 * wr_sys_end_nonblock() fails with -EAGAIN. */
int wr_sys_begin_nonblock(int fd);
void wr_sys_end_nonblock(int fd, int flags);

/* ---- sys_cache.c ---- */

/* musl has statx() since 1.2.5. */
int wr_sys_statx(int fd, const char *path, int flags, uint32_t what,
                 struct statx *ret);

/* Gets type, mode, size, links and inode number of a file, without a query to
 * the server of a network file system. */
int wr_sys_stat_known(int fd, struct statx *ret);

/* Returns true for a regular file whose operations must run in a kernel worker
 * thread, because its file system has no non-blocking reads. Also returns true
 * if the file is not open for reading, which hides this. On the loop's thread
 * io_uring would, for example, wait for FUSE's server. */
WEIR_MUST_USE bool wr_sys_needs_worker(int fd);

/* Maximum number of bytes that one call of wr_sys_cached_bytes() checks. */
#define WR_CACHED_MAX ((size_t)1 << 20)

/* Returns how many of the next @len bytes (at most WR_CACHED_MAX, within the
 * file's @size) can be read without waiting for a device. Returns an error if
 * the kernel does not report it: -EPERM for a file that the process may not
 * write and does not own, -EOPNOTSUPP for some file systems. The caller keeps
 * *is_told, which spares later calls this check. */
int64_t wr_sys_cached_bytes(int file, uint64_t offset, size_t len,
                            uint64_t size, bool *is_told);

/* Returns 1 if the page cache has all pages of these bytes, ready or being read
 * from the device, and 0 if a page is missing. Returns -EPERM like
 * wr_sys_cached_bytes(), -ENOSYS before Linux 6.5, or -EOPNOTSUPP for some file
 * systems. */
int wr_sys_is_cached(int file, uint64_t offset, size_t len);

/* Reads bytes of a file from the page cache. Returns their number, 0 at the end
 * of the file, -EAGAIN if they are not cached, -EOPNOTSUPP if the kernel cannot
 * report this, or another error. */
int64_t wr_sys_read_cached(int file, void *buf, size_t len, uint64_t offset);

/* Any thread may call wr_sys_eventfd_write(), which adds 1 to the count. */
int wr_sys_eventfd(void);
int wr_sys_eventfd_write(int fd);
/* wr_sys_eventfd_drain() resets the count, which may be 0. */
int wr_sys_eventfd_nonblock(void);
int wr_sys_eventfd_drain(int fd);

/* Makes a pipe, the reading end first. */
int wr_sys_pipe(int ret[2]);
int wr_sys_pipe_nonblock(int ret[2]);
int32_t wr_sys_pipe_read(int fd, void *buf, size_t len);
int32_t wr_sys_pipe_write(int fd, const void *buf, size_t len);
/* Enlarges a pipe. Returns -EPERM above the user's limit. */
int wr_sys_pipe_widen(int fd, size_t size);
/* Two stream sockets between which bytes are spliced. Until
 * wr_sys_end_splices() the sockets are non-blocking, and the thread's SIGPIPE
 * and SIGXFSZ are blocked. */
struct wr_sys_splices {
    int from;
    int to;
    int from_flags;
    int to_flags;
    bool may_be_raised;
    struct wr_sys_signals signals;
};

/* Returns 0, or a negative error, after which nothing may be spliced. */
WEIR_MUST_USE int wr_sys_begin_splices(struct wr_sys_splices *splices, int from,
                                       int to);
void wr_sys_end_splices(const struct wr_sys_splices *splices);
/* Moves at most @len bytes from the socket `from` into a pipe of
 * wr_sys_pipe_nonblock(), or from the pipe into the socket `to`, without
 * waiting and without SIGPIPE. Returns their number, or 0 at the end of the
 * stream or before an urgent byte. Returns -EINVAL if the kernel does not
 * splice such sockets, or another error. */
int32_t wr_sys_splice_in(const struct wr_sys_splices *splices, int pipe,
                         size_t len);
int32_t wr_sys_splice_out(struct wr_sys_splices *splices, int pipe, size_t len);
/* Returns the free space of a stream socket's send buffer, or a negative error.
 * Each TCP segment takes some space besides its bytes. */
int wr_sys_room(int fd);
int wr_sys_open_null(void);
/* Does not follow a symbolic link. */
int wr_sys_lstat(const char *path, struct stat *ret);
int wr_sys_unlink(const char *path);
/* Returns -EOPNOTSUPP for a symbolic link. */
int wr_sys_chmod(const char *path, mode_t mode);
/* For a Unix socket that is not bound yet: bind() makes its file with this mode
 * minus umask. */
int wr_sys_fchmod(int fd, mode_t mode);
/* Locks the directory of a file against other callers of this function. Returns
 * a descriptor whose close unlocks it, or -EAGAIN if another process has the
 * lock. */
int wr_sys_lock_directory(const char *path);

#endif
