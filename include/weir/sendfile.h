/**
 * @file sendfile.h
 * Sending files on transports that write a stream of bytes; asyncio's
 * loop.sendfile().
 *
 * **Order.** The file is sent after all bytes written before. Meanwhile writes
 * are refused with -EBUSY; afterwards they are accepted again, even if the
 * sending was cancelled or the file could not be read.
 * weir_transport_write_eof() and weir_transport_close() take effect after the
 * file, so a program may send a file and close at once. Reading continues.
 *
 * **Method.** On a socket, bytes in the page cache are sent from there, without
 * a copy through the program. The ring reads all other bytes first, so that a
 * slow device does not block the loop. If the kernel does not report which
 * bytes are in the cache, the ring reads all bytes, at more cost: on some file
 * systems (network file systems among them), and for files that the process
 * neither owns nor may write. Over TLS and on write pipes the ring reads all
 * bytes, in parts of at most 64 KiB that pass through the write buffer. On all
 * transports, at most 32 KiB that are in the cache and keep the write buffer
 * below its high mark are read at once, pass through the write buffer, and are
 * sent together with the bytes written before. A blocking socket is made
 * non-blocking while pieces are sent, which other processes that share it could
 * notice, but it never stays so after weir_loop_run_once().
 *
 * **Flow control.** On a socket, bytes of the file that the kernel has not
 * accepted do not count for the write buffer's size: they use no memory, and
 * pause_writing and weir_writer_flush() ignore them. Parts that pass through
 * the write buffer count: the next part is read while the size is not above the
 * high mark, and at most two wait. They do not pause the protocol, but
 * resume_writing and weir_writer_flush() wait for them. Time-outs apply to all
 * files: write_stall_ns ends a connection whose peer receives nothing of the
 * file; the time of the file's device does not count.
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

/** A count that means: up to the end of the file. On a network file system this
 * is the cached size, which may be outdated: the server is not queried, because
 * the loop would wait for it. weir_file_stat() queries it. */
#define WEIR_TO_END UINT64_MAX

/**
 * Called when the sending of a file has ended. Called once, from the loop, and
 * before connection_lost. The transport may be written to, closed, or given
 * another file.
 *
 * @param arg   the argument of weir_transport_sendfile()
 * @param t     the transport; borrowed
 * @param err   0 if all bytes were sent, or the file ended earlier; -ECANCELED
 *              if cancelled; an error of the file, like -EIO; or the
 *              connection's first error, or -ECONNABORTED
 * @param sent  bytes that the kernel has accepted, even after an error; bytes
 *              in the write buffer count if they were encrypted, or are sent
 *              before the next write
 */
typedef void weir_sendfile_done_fn(void *arg, weir_transport *t, int err,
                                   uint64_t sent);

/**
 * Send a part of a file, after the bytes written before. A file that is or
 * becomes shorter is not an error: fewer bytes are sent.
 *
 * @param fd      the file; held until @p done is called
 * @param offset  the first byte
 * @param count   number of bytes, or WEIR_TO_END; 0 sends none
 * @param done    called once, unless this call fails
 * @return        0, and @p done follows; or a negative error
 * @retval -EBUSY       another file is being sent
 * @retval -ESHUTDOWN   after weir_transport_write_eof(), close or abort
 * @retval -EPIPE       the connection is broken
 * @retval -ENOBUFS, -ENOMEM a write was refused, or there is no memory
 * @retval -EBADF       the file is not open for reading
 * @retval -EISDIR      the file is a directory
 * @retval -ESPIPE      the file is a pipe, a socket or a device
 * @retval -EINVAL      O_DIRECT, no @p done, or an end beyond INT64_MAX
 * @retval -EOPNOTSUPP  the transport is a read pipe, a datagram endpoint or a
 *                      subprocess
 */
WEIR_API WEIR_MUST_USE int
weir_transport_sendfile(weir_transport *t, int fd, uint64_t offset,
                        uint64_t count, weir_sendfile_done_fn *done, void *arg);

/** Stop the sending of a file. The done callback follows, with -ECANCELED and
 * the number of bytes sent, or with 0 if all were sent. Then the transport can
 * be written to: the next byte follows the last sent byte of the file. Does
 * nothing if no file is being sent. If the transport is closing, the connection
 * ends with a reset, since the peer would take the part for the whole. */
WEIR_API int weir_transport_cancel_sendfile(weir_transport *t);

/**
 * Send a part of a file, and wait until the kernel has accepted it.
 *
 * @param t       the transport; held, a reference is taken
 * @param fd      the file; held
 * @param offset  in: the first byte; out, even after an error: the byte after
 *                the last sent one; held
 * @param count   number of bytes, or WEIR_TO_END; 0 sends none
 * @return        bytes sent, fewer if the file ended earlier; or a negative
 *                error, including those of weir_transport_sendfile() and its
 *                done
 * @retval -ECANCELED  the task was interrupted; *@p offset is set, and the
 *                     transport can be used
 * @retval -ECONNRESET, -EPIPE the connection broke meanwhile
 * @retval -ECONNABORTED        it was aborted meanwhile
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int64_t weir_sendfile(weir_transport *t, int fd,
                                             uint64_t *offset, uint64_t count);

/**
 * weir_sendfile() on the transport of a stream.
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
