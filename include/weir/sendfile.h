/**
 * @file sendfile.h
 * Sending a file on a transport that writes a stream of bytes; asyncio's
 * loop.sendfile().
 *
 * **Order.** The file leaves after everything that was written before. While it
 * is being sent writes are refused with -EBUSY; afterwards they are accepted
 * again, also when the sending was cancelled or the file could not be read.
 * weir_transport_write_eof() and weir_transport_close() take effect behind the
 * file, so that a program may send a file and close at once. Reading goes on.
 *
 * **The way.** On a socket the bytes in the page cache go from there, without a
 * copy through the program; the rest is read by the ring first, so that a slow
 * device does not hold up the loop; so are bytes that are on their way from it.
 * Where the kernel does not tell what is in the cache all is read first, at
 * more cost: on some file systems, those of a network among them, and of files
 * that the process neither owns nor may write. Over TLS and on write pipes the
 * ring reads all of it, in parts of at most 64 KiB that pass through the write
 * buffer. At most 32 KiB that are in the cache, and that keep the write buffer
 * below its high mark, are read at once on all of these, pass through the write
 * buffer, and leave with what was written before: by one send.
 *
 * **Flow control.** On a socket the bytes of the file that the kernel has not
 * taken are not part of the write buffer's size: they take no memory, and
 * neither pause_writing nor weir_writer_flush() knows of them. Parts that pass
 * through the write buffer do count: the next is read while its size is not
 * above the high mark, and two wait at most. They do not pause the protocol,
 * but resume_writing and weir_writer_flush() wait for them. The time-outs know
 * of all files: write_stall_ns ends a connection whose peer takes nothing of
 * the file, and time that the file's device takes does not count.
 *
 * **The file.** A regular file, open for reading, and not with O_DIRECT. Its
 * own position is neither used nor changed.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_SENDFILE_H
#define WEIR_SENDFILE_H

#include "base.h"
#include "transport.h"
#include "writer.h"

WEIR_BEGIN_DECLS

/** A count of bytes: as many as there are up to the end of the file. On a
 * network file system that is the size that this machine knows, which may be
 * older than a write of another one: the server is not asked, as the loop would
 * wait for it. weir_file_stat() asks. */
#define WEIR_TO_END UINT64_MAX

/**
 * The sending of a file has ended.
 *
 * Called once, from the loop, and before connection_lost. The transport may be
 * written to, closed, and given another file.
 *
 * @param arg   the argument of weir_transport_sendfile()
 * @param t     the transport; borrowed
 * @param err   0 when all bytes were sent, or all that the file had; -ECANCELED
 *              when it was cancelled; an error of the file, such as -EIO; or
 *              how the connection ended: its first error, or -ECONNABORTED
 * @param sent  how many bytes the kernel has taken, whatever @p err is; where
 *              they pass through the write buffer, those that were sealed, or
 *              that leave before what is written next
 */
typedef void weir_sendfile_done_fn(void *arg, weir_transport *t, int err,
                                   uint64_t sent);

/**
 * Send a part of a file, after what was written before.
 *
 * A file that is shorter, or becomes so, is no error: fewer bytes are sent.
 *
 * @param t       the transport; borrowed
 * @param fd      the file; held until @p done is called
 * @param offset  the first byte
 * @param count   how many bytes, or WEIR_TO_END; 0 sends none
 * @param done    called once, unless this call fails
 * @param arg     passed to @p done
 * @return        0, and @p done follows; or a negative error
 * @retval -EBUSY       another file is being sent
 * @retval -ESHUTDOWN   after weir_transport_write_eof(), close or abort
 * @retval -EPIPE       the connection is broken
 * @retval -ENOBUFS, -ENOMEM  a write was refused, or there is no memory
 * @retval -EBADF       the file is not open for reading
 * @retval -EISDIR      it is a directory
 * @retval -ESPIPE      it is a pipe, a socket or a device
 * @retval -EINVAL      it is open with O_DIRECT, no @p done, or the end would
 *                      be beyond INT64_MAX
 * @retval -EOPNOTSUPP  the transport is a read pipe, or one of datagrams, or of
 *                      a subprocess
 */
WEIR_API WEIR_MUST_USE int
weir_transport_sendfile(weir_transport *t, int fd, uint64_t offset,
                        uint64_t count, weir_sendfile_done_fn *done, void *arg);

/**
 * Stop the sending of a file.
 *
 * Its done follows, with -ECANCELED and the number of bytes that were sent, or
 * with 0 when the last one was. The transport can be written to then: the next
 * byte follows the last one of the file that was sent. Does nothing when no
 * file is being sent. While the transport is closing the connection ends with
 * a reset, since the peer would take the part for the whole.
 *
 * @param t  the transport; borrowed
 * @return   0
 */
WEIR_API int weir_transport_cancel_sendfile(weir_transport *t);

/**
 * Send a part of a file, and wait until the kernel has taken it.
 *
 * @param t       the transport; held, a reference is taken
 * @param fd      the file; held
 * @param offset  in: the first byte; out, whatever is returned: the byte after
 *                the last one that was sent; held
 * @param count   how many bytes, or WEIR_TO_END; 0 sends none
 * @return        bytes sent, fewer when the file has fewer; or a negative
 *                error, those of weir_transport_sendfile() and of its done
 * @retval -ECANCELED  the task was interrupted; *@p offset tells how far the
 *                     file was sent, and the transport can be used
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
