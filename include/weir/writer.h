/**
 * @file writer.h
 * Writers: the sending side of a stream, and the handle of both.
 *
 * Writes are accepted or refused at once, and leave when the turn ends. A task
 * that must not run ahead of its peer waits: for room (weir_writer_drain()), or
 * until the kernel has everything (weir_writer_flush()). Any number of tasks
 * may write, drain and flush; a task that waits keeps the stream by that, one
 * that uses it again later needs a reference of its own (weir_writer_ref()).
 *
 * All suspending calls may return WEIR_ENOTTASK, -EPERM, -ECHILD and -ECANCELED
 * (task.h), which is not repeated below.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_WRITER_H
#define WEIR_WRITER_H

#include "base.h"
#include "transport.h"

WEIR_BEGIN_DECLS

/**
 * Send a copy of some bytes; see weir_transport_write().
 *
 * The result of writes need not be looked at: if a write was refused for want
 * of room or memory, all later writes fail until weir_writer_drain() or
 * weir_writer_flush() has returned that error. A stream that is closed before
 * is aborted with the error.
 *
 * @param writer  the writer; borrowed
 * @param data    the bytes; borrowed
 * @param len     number of bytes
 * @return        0 when accepted, or a negative error; then nothing was taken
 * @retval -ENOTCONN   there is no connection yet
 * @retval -ESHUTDOWN  after weir_writer_write_eof() or weir_writer_close()
 * @retval -EPIPE      the stream is broken, see weir_writer_drain()
 * @retval -ENOBUFS    more than the hard limit would wait
 * @retval -ENOMEM     no memory for the copy
 */
WEIR_API int weir_writer_write(weir_writer *writer, const void *data,
                               size_t len);

/**
 * Send copies of several pieces; see weir_transport_writelines().
 *
 * @param writer  the writer; borrowed
 * @param iov     the pieces; borrowed with their bytes
 * @param count   number of pieces
 * @return        as weir_writer_write(): all pieces or none
 * @retval -EOVERFLOW  the sizes do not fit into a size_t
 */
WEIR_API int weir_writer_writelines(weir_writer *writer,
                                    const struct iovec *iov, size_t count);

/**
 * Send bytes of the caller without copying them; see
 * weir_transport_write_ref().
 *
 * @param writer   the writer; borrowed
 * @param data     the bytes; held and unchanged until @p release is called
 * @param len      number of bytes
 * @param release  called once, whatever is returned; may be NULL
 * @param arg      passed to @p release
 * @return         as weir_writer_write()
 */
WEIR_API int weir_writer_write_ref(weir_writer *writer, const void *data,
                                   size_t len, weir_release_fn *release,
                                   void *arg);

/**
 * Send received bytes on without copying them; see
 * weir_transport_write_buf().
 *
 * @param writer  the writer; borrowed
 * @param buf     the bytes, or a part of them with the same lease; borrowed:
 *                the writer takes a reference of its own
 * @return        as weir_writer_write()
 */
WEIR_API int weir_writer_write_buf(weir_writer *writer,
                                   const struct weir_buf *buf);

/**
 * End the writing side once everything is sent; reading goes on.
 *
 * @param writer  the writer; borrowed
 * @return        0
 * @retval -ENOTCONN    there is no connection yet
 * @retval -EOPNOTSUPP  see weir_writer_can_write_eof()
 * @retval -ENOBUFS, -ENOMEM  a write was refused: bytes would be missing
 */
WEIR_API int weir_writer_write_eof(weir_writer *writer);

/**
 * Whether the writing side can be ended alone.
 *
 * @param writer  the writer; borrowed
 * @return        false also without a connection
 */
WEIR_API bool weir_writer_can_write_eof(const weir_writer *writer);

/**
 * Wait while too much waits to be sent.
 *
 * Returns at once unless the depth has been above the high mark; otherwise when
 * completions of the kernel have brought it down to the low mark
 * (weir_transport_set_write_buffer_limits()). Any number of tasks may drain.
 * After weir_writer_write_buf() it returns at once, too, while less than 256
 * KiB were written and none offered to the kernel: received bytes that are
 * taken in small pieces and sent on leave with one send, and are held by their
 * lease anyway. After a write was refused the call does not wait but tells
 * that, once, and writes are accepted again as far as there is room.
 *
 * @param writer  the writer; borrowed
 * @return        0 when there is room, or a negative error: one of these, or
 * the first error of the connection, such as -ECONNRESET, every time
 * @retval -ENOBUFS      a write was refused: more than the hard limit would
 *                       have waited
 * @retval -ENOMEM       a write was refused: no memory for the copy
 * @retval -ESHUTDOWN    the stream was closed here, and the connection is over
 * @retval -ECONNABORTED the connection was aborted here, or with the loop; or
 *                       after a close, before everything was sent
 * @retval WEIR_EPEERCLOSED  the peer's end of stream ended the connection
 * @retval -ENOTCONN     there is no connection yet
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_writer_drain(weir_writer *writer);

/**
 * Wait until the kernel has accepted all bytes that were written. If a write
 * was refused the call returns its error at once, as weir_writer_drain() does.
 *
 * @param writer  the writer; borrowed
 * @return        0 when nothing waits, also after a close that has sent
 *                everything; errors as weir_writer_drain(): bytes written
 * before a close are waited for and their loss told
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_writer_flush(weir_writer *writer);

/**
 * How much waits to be sent.
 *
 * @param writer  the writer; borrowed
 * @return        bytes and operations; 0 without a connection
 */
WEIR_API struct weir_depth weir_writer_get_depth(const weir_writer *writer);

/**
 * Stop reading, send the bytes that wait, then close; idempotent. A task that
 * reads gets the end of the stream after the bytes that are buffered. Does
 * nothing before there is a connection. What was written reaches the peer, or
 * weir_writer_wait_closed() tells that it may not have
 * (weir_transport_close(), which names the limits in time).
 *
 * @param writer  the writer; borrowed
 */
WEIR_API void weir_writer_close(weir_writer *writer);

/**
 * Drop the bytes that wait and reset the connection, see
 * weir_transport_abort(); idempotent, also after close. Does nothing before
 * there is a connection.
 *
 * @param writer  the writer; borrowed
 */
WEIR_API void weir_writer_abort(weir_writer *writer);

/**
 * Whether the stream is closed, closing or broken.
 *
 * @param writer  the writer; borrowed
 * @return        true from then on
 */
WEIR_API bool weir_writer_is_closing(const weir_writer *writer);

/**
 * Wait until the connection is over. The call does not close it. Any number of
 * tasks may wait, and again later.
 *
 * @param writer  the writer; borrowed
 * @return        0 when it was closed here, and everything sent; or a negative
 *                error: one of these, or the first error of the connection
 * @retval WEIR_EPEERCLOSED  the peer's end of stream ended it
 * @retval -ECONNABORTED  it was aborted here, or with the loop; or after a
 *                     close, before everything was sent
 * @retval -ENOTCONN   there is no connection yet
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_writer_wait_closed(weir_writer *writer);

/**
 * The transport, for its options, limits, addresses and first error.
 *
 * @param writer  the writer; borrowed
 * @return        the transport; borrowed, lives as long as the writer. NULL
 *                when there is no connection yet
 */
WEIR_API weir_transport *weir_writer_get_transport(const weir_writer *writer);

/**
 * The loop that the stream belongs to.
 *
 * @param writer  the writer; borrowed
 * @return        the loop; borrowed
 */
WEIR_API weir_loop *weir_writer_get_loop(const weir_writer *writer);

/**
 * asyncio's get_extra_info; see weir_transport_get_extra_info().
 *
 * @param writer  the writer; borrowed
 * @param name    name of the information; borrowed
 * @param ret     the answer, written on success only
 * @return        0
 * @retval -ENOENT    the transport knows nothing of that name
 * @retval -ENOTCONN  there is no connection yet
 */
WEIR_API int weir_writer_get_extra_info(const weir_writer *writer,
                                        const char *name,
                                        struct weir_extra_info *ret);

/**
 * The reader of the same stream.
 *
 * @param writer  the writer; borrowed
 * @return        the reader; borrowed, lives as long as the writer
 */
WEIR_API weir_reader *weir_writer_get_reader(const weir_writer *writer);

/**
 * Keep a stream: its writer, reader and transport.
 *
 * @param writer  the writer; borrowed
 * @return        @p writer; one reference is given
 */
WEIR_API weir_writer *weir_writer_ref(weir_writer *writer);

/**
 * Give a stream back. With the last reference it is closed, if it was not
 * before: the bytes that wait are sent in the background.
 *
 * @param writer  taken; NULL is ignored
 */
WEIR_API void weir_writer_unref(weir_writer *writer);

WEIR_END_DECLS

#endif
