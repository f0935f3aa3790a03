/*
 * The system calls and the clock that weir uses beside the ring.
 *
 * The second half of the seam (ring.h): a test may replace all of it. Every
 * function returns a negative errno instead of setting errno, and every
 * descriptor made here is close-on-exec.
 */
#ifndef WEIR_URING_SYS_H
#define WEIR_URING_SYS_H

#include "../include/weir/base.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

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

/* All that chmod() can set of a file's mode. */
#define WR_MODE_BITS 07777u

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t wr_sys_now(void);

/* A descriptor, blocking (io_uring does the polling) if @type does not say
 * SOCK_NONBLOCK; and making it so. */
int wr_sys_socket(int family, int type, int protocol);
int wr_sys_set_blocking(int fd);
int wr_sys_bind(int fd, const struct sockaddr *addr, socklen_t len);
int wr_sys_listen(int fd, int backlog);
int wr_sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int wr_sys_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
/* The address that the peer has or had: of a TCP socket also after a reset,
 * when wr_sys_getpeername() is -ENOTCONN, but not after wr_sys_disconnect().
 * *len must have room for an IPv6 address. */
int wr_sys_getpeername_ever(int fd, struct sockaddr *addr, socklen_t *len);
int wr_sys_setsockopt(int fd, int level, int name, const void *value,
                      socklen_t len);
int wr_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int wr_sys_shutdown(int fd, int how);
/* Resets a connection now (TCP), whatever waits; it has no addresses then. */
int wr_sys_disconnect(int fd);
int wr_sys_close(int fd);
/* Another descriptor for the same open file, to be passed over a Unix socket;
 * -EINVAL for a ring, which the kernel does not pass on. */
int wr_sys_dup_to_pass(int fd);

/* Receives what a stream socket has now into 1 to @count pieces of memory:
 * how many bytes, 0 at the end of the stream, -EAGAIN when nothing is there. */
int32_t wr_sys_recv(int fd, struct iovec *iov, uint32_t count);

/* Descriptors that came along with bytes. */
#define WR_PASSED_MAX 344u
struct wr_passed {
    uint32_t count;
    bool has_lost; /* others had no room, here or in the process's table */
    int fds[WR_PASSED_MAX];
};

/* wr_sys_recv() of a Unix socket with all descriptors that a message has. They
 * are close-on-exec. */
int32_t wr_sys_recv_fds(int fd, struct iovec *iov, uint32_t count,
                        struct wr_passed *ret);

/* Reads what a file has now into 1 to @count pieces of memory, without waiting:
 * how many bytes, 0 at the end, -EAGAIN when nothing is there, -EOPNOTSUPP when
 * this kind of file may wait nevertheless. */
int32_t wr_sys_read(int fd, struct iovec *iov, uint32_t count);

/* Writes what a file has room for now, without waiting and without a SIGPIPE:
 * how many bytes, -EAGAIN when there is no room, -EOPNOTSUPP when this kind of
 * file may wait nevertheless. @has_nosignal: the kernel has RWF_NOSIGNAL. */
int32_t wr_sys_write(int fd, const struct iovec *iov, uint32_t count,
                     bool has_nosignal);

/* wr_sys_write() for a stream socket. */
int32_t wr_sys_send(int fd, const struct iovec *iov, uint32_t count);

/* The type of a file and its permissions, as the machine knows them. */
int wr_sys_mode(int fd, mode_t *ret);
/* The flags that it was opened with (O_ACCMODE and others). */
int wr_sys_flags(int fd);
/* Connects a socket that does not block or is one of datagrams, and receives
 * from it, as the system calls do. */
int wr_sys_connect(int fd, const struct sockaddr *addr, socklen_t len);
int32_t wr_sys_recvfrom(int fd, void *buf, size_t size, struct sockaddr *addr,
                        socklen_t *len);

/* Sends a datagram, or fails with -EAGAIN, without a SIGPIPE. @addr may be
 * NULL.
 */
int32_t wr_sys_sendto(int fd, const void *data, size_t size,
                      const struct sockaddr *addr, socklen_t len);

/* A number that changes with the content of a file; 0 when there is none. */
uint64_t wr_sys_file_stamp(const char *path);

/* Receives as many datagrams as are there, at most @count, 1 or more; returns
 * how many, or -EAGAIN. In each message msg_len is the length that the datagram
 * has, more than there was room for if it was truncated. An error that is kept
 * for the socket is returned, once. */
int wr_sys_recvmmsg(int fd, struct mmsghdr *messages, uint32_t count);

/* Receives one message from the socket's queue of errors; -EAGAIN when it is
 * empty. */
int wr_sys_recv_error(int fd, struct msghdr *message);

/* Sends datagrams one after the other, as far as there is room; returns how
 * many, 1 or more. The error is that of the first. */
int wr_sys_sendmmsg(int fd, struct mmsghdr *messages, uint32_t count);

/* Bytes that the peer has not acknowledged yet (SIOCOUTQ). */
int wr_sys_outq(int fd);

/* Bytes that a receive or a read would give now (SIOCINQ, FIONREAD); at the
 * writing end of a pipe too. */
int wr_sys_inq(int fd);

/* 1 when a receive would not wait: there is something, the end or an error. 0
 * when nothing is there, or a negative error. */
int wr_sys_is_readable(int fd);

/* Sends bytes of a file on a stream socket, as many as it has room for now, at
 * most @len: how many, 0 at the end of the file, -EAGAIN without room. A socket
 * that is broken raises no SIGPIPE: the thread has it blocked meanwhile. */
int64_t wr_sys_sendfile(int fd, int file, uint64_t offset, size_t len);

/* ---- sys_cache.c ---- */

/* Type, size, inode and number of names of a file, as the machine knows them:
 * no server of a network file system is asked, which may not answer. */
int wr_sys_stat_known(int fd, struct statx *ret);

/* True of a regular file that a ring must leave to a worker thread of the
 * kernel: its file system knows no reads that do not wait, or that is not known
 * because the file is not open for reading. (FUSE is one, and a ring that tries
 * nevertheless asks its process for a poll, and for the bytes, and waits.) */
WEIR_MUST_USE bool wr_sys_needs_worker(int fd);

/* Bytes that wr_sys_cached_bytes() tells of at once. */
#define WR_CACHED_MAX ((size_t)1 << 20)

/* How many of the next @len bytes, at most WR_CACHED_MAX, can be read without
 * waiting for a device; @size is the file's, and all of them lie within it. An
 * error when the kernel does not tell: -EPERM for a file that the process may
 * not write and does not own, -EOPNOTSUPP for some file systems. *is_told is
 * set when it does tell, and spares the question the next time. */
int64_t wr_sys_cached_bytes(int file, uint64_t offset, size_t len,
                            uint64_t size, bool *is_told);

/* Reads bytes of a file that are in the cache: how many, 0 at its end, -EAGAIN
 * when they are not there, or an error. */
int64_t wr_sys_read_cached(int file, void *buf, size_t len, uint64_t offset);

/* An eventfd with count 0, and adding one to it. Writing is for any thread. */
int wr_sys_eventfd(void);
int wr_sys_eventfd_write(int fd);
/* One that does not block, and taking its count, which may be 0. */
int wr_sys_eventfd_nonblock(void);
int wr_sys_eventfd_drain(int fd);

/* A pipe: its reading and its writing end, both blocking. */
int wr_sys_pipe(int ret[2]);
/* One that does not wait, and reading and writing at its ends. */
int wr_sys_pipe_nonblock(int ret[2]);
int32_t wr_sys_pipe_read(int fd, void *buf, size_t len);
int32_t wr_sys_pipe_write(int fd, const void *buf, size_t len);
/* /dev/null, for reading and writing. */
int wr_sys_open_null(void);
/* The file of that name itself, where it is a symbolic link too. */
int wr_sys_lstat(const char *path, struct stat *ret);
int wr_sys_unlink(const char *path);
/* Of a symbolic link neither its own nor those of the file that it names:
 * -EOPNOTSUPP. */
int wr_sys_chmod(const char *path, mode_t mode);
/* Of a Unix socket that is not bound yet: of the file that a bind makes, less
 * what the umask takes away. */
int wr_sys_fchmod(int fd, mode_t mode);
/* Locks the directory that the file lies in, against others that do the same: a
 * descriptor, whose close unlocks it, or -EAGAIN when another one has it. */
int wr_sys_lock_directory(const char *path);

#endif
