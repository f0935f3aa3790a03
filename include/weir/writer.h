/**
 * @file writer.h
 * Writers: the sending side of a stream, and the handle of both.
 *
 * Writes are accepted or refused at once, and sent at the end of the loop
 * iteration. A task that must not write faster than its peer reads waits for
 * space (weir_writer_drain()), or until the kernel has everything
 * (weir_writer_flush()). Any number of tasks may write, drain and flush. A
 * waiting call holds a reference to the stream; a task that uses the stream
 * after the call needs its own reference (weir_writer_ref()).
 *
 * Rules of all headers: include/guide/rules.md.
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
 * The result of a write may be ignored: after -ENOBUFS or -ENOMEM all later
 * writes fail until weir_writer_drain() or weir_writer_flush() has returned the
 * error. If the stream is closed before that, it is aborted with the error.
 *
 * @param data  the bytes; borrowed
 * @param len   number of bytes
 * @return      0 if accepted, or a negative error and no byte is sent
 * @retval -ENOTCONN   there is no connection yet, or it was detached
 * @retval -ESHUTDOWN  after weir_writer_write_eof() or weir_writer_close()
 * @retval -EPIPE      the stream is broken, see weir_writer_drain()
 * @retval -ENOBUFS    the hard limit would be exceeded
 * @retval -ENOMEM     no memory for the copy
 */
WEIR_API int weir_writer_write(weir_writer *writer, const void *data,
                               size_t len);

/**
 * Send copies of several pieces; see weir_transport_writelines().
 *
 * @param iov    the pieces; borrowed with their bytes
 * @param count  number of pieces
 * @return       as weir_writer_write(): all pieces or none
 * @retval -EOVERFLOW  the sizes do not fit into a size_t
 */
WEIR_API int weir_writer_writelines(weir_writer *writer,
                                    const struct iovec *iov, size_t count);

/**
 * Send bytes of the caller without copying them; see
 * weir_transport_write_ref().
 *
 * @param data     the bytes; held and unchanged until @p release is called
 * @param len      number of bytes
 * @param release  called once, even after a failure; may be NULL
 * @param arg      passed to @p release
 * @return         as weir_writer_write()
 */
WEIR_API int weir_writer_write_ref(weir_writer *writer, const void *data,
                                   size_t len, weir_release_fn *release,
                                   void *arg);

/**
 * Forward received bytes without copying them; see weir_transport_write_buf().
 *
 * @param buf  received bytes or a part, with their lease; borrowed, the writer
 *             takes its own reference
 * @return     as weir_writer_write()
 */
WEIR_API int weir_writer_write_buf(weir_writer *writer,
                                   const struct weir_buf *buf);

/**
 * End the writing side after all written bytes; reading continues.
 *
 * @retval -ENOTCONN    there is no connection yet, or it was detached
 * @retval -EOPNOTSUPP  see weir_writer_can_write_eof()
 * @retval -ENOBUFS, -ENOMEM  a write was refused: bytes would be missing
 */
WEIR_API int weir_writer_write_eof(weir_writer *writer);

/**
 * Report whether the stream can end its writing side and still read.
 *
 * @return true if it can; false without a connection
 */
WEIR_API bool weir_writer_can_write_eof(const weir_writer *writer);

/**
 * Wait while too many bytes wait to be sent.
 *
 * Returns at once if the depth has not been above the high mark; otherwise when
 * the depth has fallen to the low mark
 * (weir_transport_set_write_buffer_limits()). Any number of tasks may drain.
 * After weir_writer_write_buf() it also returns at once while fewer than 256
 * KiB were written and none was offered to the kernel: so received bytes that
 * are taken in small pieces are sent on with one send, and their lease holds
 * them anyway. After a refused write the call does not wait but returns the
 * error, once, and writes are accepted again as far as there is room.
 *
 * @return 0 if there is room, or a negative error: one of these, or every time
 *         the first error of the connection, for example -ECONNRESET
 * @retval -ENOBUFS      a write was refused: more than the hard limit would
 *                       have waited
 * @retval -ENOMEM       a write was refused: no memory for the copy
 * @retval -ESHUTDOWN    the stream was closed here, and the connection is over
 * @retval -ECONNABORTED the connection was aborted, here or by
 *                       weir_loop_free(), or was closed here and not
 *                       everything was sent
 * @retval WEIR_EPEERCLOSED  the peer's end of stream ended the connection
 * @retval -ENOTCONN     there is no connection yet, or it was detached
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_writer_drain(weir_writer *writer);

/**
 * Wait until the kernel has accepted all written bytes. After a refused write
 * the call returns its error at once, as weir_writer_drain() does.
 *
 * @return 0 if no byte waits, even after a close that has sent everything;
 *         errors as weir_writer_drain(), including lost bytes that were written
 *         before a close
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_writer_flush(weir_writer *writer);

/**
 * Get the bytes written and not accepted by the kernel, including bytes in
 * flight.
 *
 * @return bytes; 0 without a connection
 */
WEIR_API uint64_t weir_writer_get_write_buffer_size(const weir_writer *writer);

/**
 * Stop reading, send the waiting bytes, then close; idempotent. A reading task
 * gets the buffered bytes and then the end of the stream. The written bytes
 * reach the peer, or weir_writer_wait_closed() returns an error; see
 * weir_transport_close() for this and the time limits.
 *
 * @return 0, or the error of a refused write, which aborts the connection
 * @retval -ENOBUFS, -ENOMEM  a write was refused
 * @retval -ENOTCONN  there is no connection yet, or it was detached
 */
WEIR_API int weir_writer_close(weir_writer *writer);

/** Drop the waiting bytes and reset the connection, see weir_transport_abort();
 * idempotent, even after close. No effect before there is a connection. */
WEIR_API void weir_writer_abort(weir_writer *writer);

/** Report whether the stream is closed, closing or broken, which is final. */
WEIR_API bool weir_writer_is_closing(const weir_writer *writer);

/**
 * Wait until the connection has ended. The call does not close it. Any number
 * of tasks may wait, repeatedly.
 *
 * @return 0 if it was closed here and everything was sent; or a negative error:
 *         one of these, or the first error of the connection
 * @retval WEIR_EPEERCLOSED  the peer's end of stream ended the connection
 * @retval -ECONNABORTED  the connection was aborted, here or by
 *                     weir_loop_free(), or was closed here and not
 *                     everything was sent
 * @retval -ENOTCONN   there is no connection yet, or it was detached
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_writer_wait_closed(weir_writer *writer);

/**
 * Get the transport, for its options, limits, addresses and first error.
 *
 * @return the transport; borrowed, lives as long as the writer, or until
 *         weir_stream_detach(); NULL if there is no connection
 */
WEIR_API weir_transport *weir_writer_get_transport(const weir_writer *writer);

/** Get the loop of the stream. */
WEIR_API weir_loop *weir_writer_get_loop(const weir_writer *writer);

/**
 * asyncio's get_extra_info; see weir_transport_get_extra_info().
 *
 * @param name  name of the information; borrowed
 * @param ret   the result, written on success only
 * @retval -ENOENT    the transport has no information of this name
 * @retval -ENOTCONN  there is no connection yet, or it was detached
 */
WEIR_API WEIR_MUST_USE int
weir_writer_get_extra_info(const weir_writer *writer, const char *name,
                           struct weir_extra_info *ret);

/**
 * Get the reader of the stream.
 *
 * @return the reader; borrowed, lives as long as the writer
 */
WEIR_API weir_reader *weir_writer_get_reader(const weir_writer *writer);

/** Take a reference to a stream: its writer, reader and transport. */
WEIR_API weir_writer *weir_writer_ref(weir_writer *writer);

/** Release a reference to a stream. The last release closes the stream if it is
 * open: the waiting bytes are sent in the background. */
WEIR_API void weir_writer_unref(weir_writer *writer);

WEIR_END_DECLS

#endif
