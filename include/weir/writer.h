/**
 * @file writer.h
 * Writers: the sending side of a stream, and the handle of the whole stream.
 *
 * A write is accepted or refused at once, and accepted bytes are sent at the
 * end of the loop iteration. A task that must not write faster than its peer
 * reads calls weir_writer_drain(), which waits for space, or
 * weir_writer_flush(), which waits until the kernel has all bytes. Any number
 * of tasks may write, drain and flush. A waiting call holds a reference to the
 * stream; a task that uses the stream after the call needs its own reference
 * (weir_writer_ref()).
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
 * @return      0 if the bytes were accepted; after an error none of them is
 *              sent
 * @retval -ENOTCONN   the stream has no connection yet, or was detached
 * @retval -ESHUTDOWN  weir_writer_write_eof() or weir_writer_close() was called
 *                     before
 * @retval -EPIPE      the stream is broken, see weir_writer_drain()
 * @retval -ENOBUFS    the hard limit would be exceeded
 * @retval -ENOMEM     there is no memory for the copy
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
 * @param buf  received bytes, or a part of them, with their lease; borrowed,
 *             but the writer takes its own reference
 * @return     as weir_writer_write()
 */
WEIR_API int weir_writer_write_buf(weir_writer *writer,
                                   const struct weir_buf *buf);

/**
 * End the writing side after all written bytes; reading continues.
 *
 * @retval -ENOTCONN    the stream has no connection yet, or was detached
 * @retval -EOPNOTSUPP  the stream cannot end its writing side alone, see
 *                      weir_writer_can_write_eof()
 * @retval -ENOBUFS, -ENOMEM  a write was refused, and its bytes would be
 *                            missing
 */
WEIR_API int weir_writer_write_eof(weir_writer *writer);

/**
 * Report whether the stream can end its writing side and still read.
 *
 * @return true if it can; false if it cannot, or has no connection
 */
WEIR_API bool weir_writer_can_write_eof(const weir_writer *writer);

/**
 * Wait until there is space for more bytes to send; asyncio's drain.
 *
 * If the number of waiting bytes has exceeded the high mark, the call waits
 * until it has fallen to the low mark
 * (weir_transport_set_write_buffer_limits()). Otherwise it returns at once. Any
 * number of tasks may drain.
 *
 * After weir_writer_write_buf() the call also returns at once if fewer than 256
 * KiB were written and none of these bytes has been passed to the kernel yet.
 * So received bytes that are forwarded in small pieces are sent together. They
 * take no additional memory, because their lease keeps them anyway.
 *
 * After a refused write the call does not wait. It returns the error of the
 * write, once, and writes are accepted again if there is space.
 *
 * @return 0 if there is space. If the connection has failed, every call returns
 *         the connection's first error, for example -ECONNRESET, or an error
 *         below
 * @retval -ENOBUFS      a write was refused, because it would have exceeded the
 *                       hard limit
 * @retval -ENOMEM       a write was refused, because there was no memory for
 *                       the copy
 * @retval -ESHUTDOWN    this program has closed the stream, and the connection
 *                       has ended
 * @retval -ECONNABORTED the program or weir_loop_free() has aborted the
 *                       connection, or the program has closed it and not all
 *                       bytes were sent
 * @retval WEIR_EPEERCLOSED  the connection ended when the peer ended its stream
 * @retval -ENOTCONN     the stream has no connection yet, or was detached
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_writer_drain(weir_writer *writer);

/**
 * Wait until the kernel has accepted all written bytes. After a refused write
 * the call returns its error at once, as weir_writer_drain() does.
 *
 * @return 0 if no byte waits, even after a close that has sent everything; or
 *         an error of weir_writer_drain(), for example if bytes that were
 *         written before a close were lost
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_writer_flush(weir_writer *writer);

/**
 * Get the number of written bytes that the kernel has not accepted, including
 * bytes in flight.
 *
 * @return number of bytes; 0 if there is no connection
 */
WEIR_API uint64_t weir_writer_get_write_buffer_size(const weir_writer *writer);

/**
 * Stop reading, send the waiting bytes, then end the connection. Further calls
 * have no effect. A reading task gets the buffered bytes and then the end of
 * the stream. Either the written bytes reach the peer, or
 * weir_writer_wait_closed() returns an error; weir_transport_close() has the
 * details and the time limits.
 *
 * @return 0, or the error of a refused write, which aborts the connection
 * @retval -ENOBUFS, -ENOMEM  a write was refused
 * @retval -ENOTCONN  the stream has no connection yet, or was detached
 */
WEIR_API int weir_writer_close(weir_writer *writer);

/** Drop the waiting bytes and reset the connection; see weir_transport_abort().
 * May be called after weir_writer_close(). The call has no effect if it was
 * called before, or there is no connection yet. */
WEIR_API void weir_writer_abort(weir_writer *writer);

/** Report whether the stream is closed, closing or broken. Once true, it
 * remains true. */
WEIR_API bool weir_writer_is_closing(const weir_writer *writer);

/**
 * Wait until the connection has ended. The call does not close it. Any number
 * of tasks may wait, repeatedly.
 *
 * @return 0 if this program has closed the stream and everything was sent; or
 *         an error below, or the first error of the connection
 * @retval WEIR_EPEERCLOSED  the connection ended when the peer ended its stream
 * @retval -ECONNABORTED  the program or weir_loop_free() has aborted the
 *                     connection, or the program has closed it and not all
 *                     bytes were sent
 * @retval -ENOTCONN   the stream has no connection yet, or was detached
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_writer_wait_closed(weir_writer *writer);

/**
 * Get the transport, for its options, limits, addresses and first error.
 *
 * @return the transport, borrowed; valid as long as the writer, or until
 *         weir_stream_detach(); NULL if there is no connection
 */
WEIR_API weir_transport *weir_writer_get_transport(const weir_writer *writer);

/** Get the loop of the stream. */
WEIR_API weir_loop *weir_writer_get_loop(const weir_writer *writer);

/**
 * Get a piece of information about the connection by its name; see
 * weir_transport_get_extra_info().
 *
 * @param name  name of the information; borrowed
 * @param ret   the result, written on success only
 * @retval -ENOENT    the transport has no information of this name
 * @retval -ENOTCONN  the stream has no connection yet, or was detached
 */
WEIR_API WEIR_MUST_USE int
weir_writer_get_extra_info(const weir_writer *writer, const char *name,
                           struct weir_extra_info *ret);

/**
 * Get the reader of the stream.
 *
 * @return the reader, borrowed; valid as long as the writer
 */
WEIR_API weir_reader *weir_writer_get_reader(const weir_writer *writer);

/** Take a reference to a stream: its writer, reader and transport. */
WEIR_API weir_writer *weir_writer_ref(weir_writer *writer);

/** Release a reference to a stream. The last release closes the stream if it is
 * open: the waiting bytes are sent in the background. */
WEIR_API void weir_writer_unref(weir_writer *writer);

WEIR_END_DECLS

#endif
