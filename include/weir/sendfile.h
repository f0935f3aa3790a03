/**
 * @file sendfile.h
 * Sending files on transports that write a stream of bytes; asyncio's
 * loop.sendfile().
 *
 * **Order.** The file is sent after all bytes that were written before. While
 * it is being sent, writes are refused with -EBUSY. Afterwards they are
 * accepted again, even if the sending was cancelled or the file could not be
 * read. weir_transport_write_eof() and weir_transport_close() take effect after
 * the file, so a program may send a file and close at once. Reading continues.
 *
 * **Method.** On a socket, bytes in the page cache are sent from there, without
 * a copy through the program. All other bytes are first read by the ring, so
 * that a slow device does not block the loop. All bytes are read by the ring,
 * which costs more, if the kernel does not report which bytes are in the cache:
 * on some file systems, network file systems among them, and for files that the
 * process neither owns nor may write. The same is true over TLS and for write
 * pipes; there the file passes through the write buffer in parts of at most 64
 * KiB.
 *
 * A small file is sent together with the bytes that were written before: on all
 * transports up to 32 KiB that are in the cache are read at once, if the write
 * buffer stays below its high mark. A blocking socket is made non-blocking
 * while parts of the file are sent, which other processes that share the socket
 * could notice; it is blocking again when weir_loop_run_once() returns.
 *
 * **Flow control.** On a socket, bytes of the file that the kernel has not
 * accepted do not count for the size of the write buffer: they use no memory,
 * and pause_writing and weir_writer_flush() ignore them. Parts that pass
 * through the write buffer count for its size. The next part is read while the
 * size is not above the high mark, and at most two parts wait. These parts do
 * not cause pause_writing, but resume_writing and weir_writer_flush() wait for
 * them. Time-outs apply to all transports: write_stall_ns ends a connection
 * whose peer receives nothing of the file; the time in which the file's device
 * is slow does not count.
 *
 * **The file** is a regular file, open for reading, without O_DIRECT. Its
 * position is neither used nor changed.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_SENDFILE_H
#define WEIR_SENDFILE_H

#include "base.h"
#include "transport.h"
#include "writer.h"

WEIR_BEGIN_DECLS

/** A count that means "to the end of the file". On a network file system the
 * end is taken from the cached size, which may be outdated: the file server is
 * not queried, because the loop would wait for it. weir_file_stat() queries the
 * server. */
#define WEIR_TO_END UINT64_MAX

/**
 * Called once, from the loop, when the sending of a file has ended; before
 * connection_lost. The program may write to the transport again, close it, or
 * send another file.
 *
 * @param arg   the argument of weir_transport_sendfile()
 * @param t     the transport; borrowed
 * @param err   0 if all bytes were sent, or the file had fewer bytes;
 *              -ECANCELED if the sending was cancelled; an error of the file,
 *              such as -EIO; the connection's first error; or -ECONNABORTED if
 *              the connection was aborted
 * @param sent  number of bytes that the kernel has accepted, even after an
 *              error. Bytes in the write buffer count, too, if TLS has
 *              encrypted them, or if they will be sent before the next write
 */
typedef void weir_sendfile_done_fn(void *arg, weir_transport *t, int err,
                                   uint64_t sent);

/**
 * Send a part of a file, after the bytes that were written before. If the file
 * is shorter, or becomes shorter, fewer bytes are sent; this is not an error.
 *
 * @param fd      the file; held until @p done is called
 * @param offset  the offset of the first byte
 * @param count   number of bytes, or WEIR_TO_END; 0 sends none
 * @param done    called once, unless this call fails
 * @return        0 if the sending has started; then @p done will be called
 * @retval -EBUSY       another file is being sent
 * @retval -ESHUTDOWN   the transport was closed or aborted, or
 *                      weir_transport_write_eof() was called on it
 * @retval -EPIPE       the connection is broken
 * @retval -ENOBUFS, -ENOMEM a write was refused, or there is no memory
 * @retval -EBADF       the file is not open for reading
 * @retval -EISDIR      the file is a directory
 * @retval -ESPIPE      the file is a pipe, a socket or a device
 * @retval -EINVAL      the file was opened with O_DIRECT; @p done is NULL; or
 *                      the part ends beyond INT64_MAX
 * @retval -EOPNOTSUPP  the transport is a read pipe, a datagram endpoint or a
 *                      subprocess
 */
WEIR_API WEIR_MUST_USE int
weir_transport_sendfile(weir_transport *t, int fd, uint64_t offset,
                        uint64_t count, weir_sendfile_done_fn *done, void *arg);

/** Stop the sending of a file. The @c done callback is called with -ECANCELED
 * and the number of bytes that were sent, or with 0 if all were sent. Then the
 * program may write again: the next written byte follows the last sent byte of
 * the file. The call has no effect if no file is being sent. If the transport
 * is closing, the connection ends with a reset, so that the peer does not take
 * the part for the whole file. */
WEIR_API int weir_transport_cancel_sendfile(weir_transport *t);

/**
 * Send a part of a file, and wait until the kernel has accepted it.
 *
 * @param t       the transport; held, a reference is taken
 * @param fd      the file; held
 * @param offset  the offset of the first byte; held. Set to the offset after
 *                the last byte that was sent, even after an error
 * @param count   number of bytes, or WEIR_TO_END; 0 sends none
 * @return        number of bytes sent, fewer than @p count if the file ended
 *                earlier; or an error of weir_transport_sendfile() or of
 *                weir_sendfile_done_fn
 * @retval -ECANCELED  the task was interrupted; *@p offset is set, and the
 *                     program may write to the transport
 * @retval -ECONNRESET, -EPIPE the connection has broken meanwhile
 * @retval -ECONNABORTED        the connection was aborted meanwhile
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int64_t weir_sendfile(weir_transport *t, int fd,
                                             uint64_t *offset, uint64_t count);

/**
 * Send a part of a file on a stream, and wait until the kernel has accepted it;
 * see weir_sendfile().
 *
 * @param writer  the writer; held
 * @param fd      the file; held
 * @param offset  as weir_sendfile()
 * @param count   as weir_sendfile()
 * @return        as weir_sendfile()
 * @retval -ENOTCONN  there is no connection yet
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int64_t weir_writer_sendfile(weir_writer *writer, int fd,
                                                    uint64_t *offset,
                                                    uint64_t count);

WEIR_END_DECLS

#endif
