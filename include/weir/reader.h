/**
 * @file reader.h
 * Readers: received bytes of a stream, buffered until a task reads them.
 *
 * **Three ways to read.** Into the caller's memory: one copy. As a view: a
 * struct weir_buf that points into the receive buffers, valid until the next
 * call of any kind on this reader; nothing is copied unless the bytes straddle
 * two buffers. Or taken: weir_reader_take() moves the bytes out with their
 * lease, and weir_writer_write_buf() sends them on without a copy.
 *
 * **Nothing is lost.** A call that fails consumes nothing: the buffered bytes
 * stay, and weir_reader_peek() shows them. Bytes that arrived before an error
 * or the end of the stream are read first; then every call returns the error.
 * Two errors come with more information:
 *
 * - WEIR_EINCOMPLETE: the stream ended too early. weir_reader_get_expected() is
 *   the number of bytes that the call wanted; buffered bytes can still be read.
 * - WEIR_ELIMIT: no separator within the limit. weir_reader_get_consumed() is
 *   the number of bytes that can be skipped or read before another search.
 *
 * **The limit** is asyncio's: the longest line that readuntil accepts, and the
 * measure of back-pressure. Reading is paused if more than twice the limit is
 * buffered, and resumed if no more than the limit is buffered or a task has to
 * wait for more. So a reader holds at most twice the limit plus a receive in
 * flight, of up to 1 MiB. Bytes that were moved out of the receive buffers are
 * in the reader's own memory. held_limit_bytes (loop.h) does not include them.
 *
 * Only one task at a time may read. All suspending calls may return -EBUSY, if
 * another task is reading.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_READER_H
#define WEIR_READER_H

#include "base.h"
#include "buffer.h"

#include <sys/types.h>

WEIR_BEGIN_DECLS

/** The default limit of a reader, in bytes. */
#define WEIR_STREAM_LIMIT 65536

/**
 * Make a reader that is fed by hand, for a program's own protocols.
 *
 * @param limit_bytes  the limit, at least 1; WEIR_STREAM_LIMIT is asyncio's
 * @retval -EINVAL     a limit of 0, or above INT64_MAX
 */
WEIR_API WEIR_MUST_USE int
weir_reader_new(weir_loop *loop, uint64_t limit_bytes, weir_reader **ret);

/** Free a reader of weir_reader_new(). A task that waits in it gets
 * -ECANCELED. */
WEIR_API void weir_reader_free(weir_reader *reader);

/**
 * Read buffered bytes, at most @p len. Waits if no byte is buffered.
 *
 * @param buf  destination; held
 * @param len  its size in bytes; 0 returns 0 at once
 * @return     bytes read, 0 at the end of the stream, or a negative error
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read(weir_reader *reader, void *buf,
                                                size_t len);

/**
 * As weir_reader_read(), as a view of the next contiguous bytes. The view's
 * lease is borrowed like its bytes: weir_writer_write_buf() and weir_buf_ref()
 * may be used on it before the next call.
 *
 * @param max_bytes  number of bytes at most; 0 returns 0 at once
 * @param ret        the bytes; valid until the next call on the reader
 * @return           bytes in the view, 0 at the end of the stream, or a
 *                   negative error as weir_reader_read()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read_view(weir_reader *reader,
                                                     size_t max_bytes,
                                                     struct weir_buf *ret);

/**
 * Remove the next contiguous bytes from the reader, with their lease.
 *
 * The bytes are charged to the connection until the lease is released, by the
 * rule of buffer.h. Bytes that the reader has moved out of the receive buffers
 * are not charged. A small @p max_bytes is not slower for a program that
 * forwards the bytes: all pieces of a receive are sent together, see
 * weir_writer_drain().
 *
 * @param max_bytes  number of bytes at most; 0 returns 0 at once
 * @param ret        the bytes; its lease is given, end with weir_buf_unref()
 * @return           as weir_reader_read_view()
 * @retval -ENOMEM  no memory; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_take(weir_reader *reader,
                                                size_t max_bytes,
                                                struct weir_buf *ret);

/**
 * Read until the end of the stream; asyncio's read(-1).
 *
 * @param max_bytes  number of bytes at most, as a limit for the peer
 * @param ret        the bytes in one piece; its lease is given, end with
 *                   weir_buf_unref(); the lease is NULL if there was no byte
 * @return           bytes read, or a negative error
 * @retval WEIR_ELIMIT  there are more than @p max_bytes; nothing was consumed
 * @retval -ENOMEM      no memory; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read_to_end(weir_reader *reader,
                                                       size_t max_bytes,
                                                       struct weir_buf *ret);

/**
 * Read exactly @p len bytes, which may be more than the reader's limit.
 *
 * If @p len is more than 64 KiB, bytes are moved to @p buf as they arrive: one
 * copy, and no memory except the caller's. If such a call fails, the moved
 * bytes are put back by a second copy, and can be read as if the call had not
 * been made; between a cancellation and the run of its task, other reads return
 * -EBUSY. If there is no memory for this copy, the stream fails with -ENOMEM
 * for ever.
 *
 * @param buf  destination; held
 * @param len  number of bytes; 0 returns 0 at once
 * @return     @p len, or a negative error; @p buf is undefined then
 * @retval WEIR_EINCOMPLETE  the stream ended before; nothing was consumed
 * @retval -ENOMEM     no memory to keep them; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readexactly(weir_reader *reader,
                                                       void *buf, size_t len);

/**
 * As weir_reader_readexactly(), as a view.
 *
 * @param len  number of bytes; 0 returns 0 at once
 * @param ret  the bytes; valid until the next call on the reader
 * @return     as weir_reader_readexactly()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readexactly_view(
    weir_reader *reader, size_t len, struct weir_buf *ret);

/**
 * Read a line, including its newline.
 *
 * @param buf   destination; held. Not terminated with a NUL
 * @param size  its size in bytes; the line must fit, and the part before the
 *              newline must not be longer than the reader's limit
 * @return      bytes of the line; only the last line may have no newline; 0 at
 *              the end of the stream; or a negative error
 * @retval WEIR_ELIMIT  the line is longer; nothing was consumed
 * @retval -ENOMEM      no memory for its first part; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readline(weir_reader *reader,
                                                    void *buf, size_t size);

/**
 * As weir_reader_readline(), as a view. To iterate over lines, call it until it
 * returns 0 or less.
 *
 * @param ret  the line; valid until the next call on the reader
 * @return     as weir_reader_readline()
 * @retval -ENOMEM  the line straddles buffers and there is no memory to join
 *                  it; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readline_view(weir_reader *reader,
                                                         struct weir_buf *ret);

/** A sequence of bytes at which weir_reader_readuntil() ends. */
struct weir_separator {
    /** The bytes; borrowed with the struct. */
    const void *data;
    /** Number of bytes, from 1 to 1024. */
    size_t len;
};

/**
 * Read up to and including a separator. The match that ends first wins; if
 * several end together, the shortest.
 *
 * @param separators  the separators; held
 * @param count       number of separators, from 1 to 16
 * @param buf         destination; held
 * @param size        its size in bytes; the separator must fit, too, and the
 *                    part before it must not be longer than the reader's limit
 * @return            bytes read, the separator included, or a negative error
 * @retval WEIR_EINCOMPLETE  the stream ended before; nothing was consumed
 * @retval WEIR_ELIMIT  longer than allowed; nothing was consumed, see
 *                      weir_reader_get_consumed()
 * @retval -EINVAL      no separators, or one is empty or too long
 * @retval -ENOMEM      no memory to keep the bytes; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readuntil(
    weir_reader *reader, const struct weir_separator *separators, size_t count,
    void *buf, size_t size);

/**
 * As weir_reader_readuntil(), as a view.
 *
 * @param separators  the separators; held
 * @param count       number of separators, from 1 to 16
 * @param ret         the bytes; valid until the next call on the reader
 * @return            as weir_reader_readuntil()
 * @retval -ENOMEM    the bytes straddle buffers and there is no memory to join
 *                    them; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readuntil_view(
    weir_reader *reader, const struct weir_separator *separators, size_t count,
    struct weir_buf *ret);

/**
 * Wait until @p len bytes are buffered, without consuming any. @p len may be
 * more than the reader's limit.
 *
 * @param len  number of bytes
 * @return     buffered bytes, at least @p len; or a negative error
 * @retval WEIR_EINCOMPLETE  the stream ended before
 * @retval -ENOMEM     no memory to keep them
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_fill(weir_reader *reader,
                                                size_t len);

/**
 * Get buffered bytes without consuming them. Ends the last view. May be called
 * in callbacks.
 *
 * @param offset  number of bytes to skip
 * @param ret     the contiguous bytes there; valid until the next call on the
 *                reader. While another task waits in the reader, they are valid
 *                only until the caller suspends or its callback returns
 * @return        bytes in @p ret; 0 if no more are buffered
 */
WEIR_API size_t weir_reader_peek(weir_reader *reader, size_t offset,
                                 struct weir_buf *ret);

/**
 * Consume buffered bytes.
 *
 * @param len  number of bytes
 * @retval -EINVAL  fewer bytes are buffered; nothing was consumed
 * @retval -EBUSY   a task is reading
 */
WEIR_API int weir_reader_consume(weir_reader *reader, size_t len);

/** Get the number of buffered bytes, without the bytes of a view. */
WEIR_API size_t weir_reader_get_buffer_size(const weir_reader *reader);

/** Get the number of bytes that the last read with WEIR_ELIMIT has searched
 * without finding a separator, so that they can be skipped; asyncio's
 * LimitOverrunError.consumed. */
WEIR_API size_t weir_reader_get_consumed(const weir_reader *reader);

/**
 * Get the number of bytes wanted by the last read that failed with
 * WEIR_EINCOMPLETE; asyncio's IncompleteReadError.expected. The bytes that have
 * arrived (weir_reader_get_buffer_size()) can still be read.
 *
 * @return number of bytes; 0 if the read searched for a separator
 */
WEIR_API size_t weir_reader_get_expected(const weir_reader *reader);

/** Report whether the stream has ended without an error and was read
 * completely, so that a read would return 0. */
WEIR_API bool weir_reader_at_eof(const weir_reader *reader);

/**
 * Get the error that ends the stream, even if unread bytes are left before it.
 *
 * @return 0, or any negative error
 */
WEIR_API int weir_reader_get_exception(const weir_reader *reader);

/**
 * Feed a copy of some bytes.
 *
 * @param data  the bytes; borrowed
 * @param len   number of bytes; 0 does nothing
 * @retval -ENOMEM     no memory; nothing was fed
 * @retval -ESHUTDOWN  after weir_reader_feed_eof() or an exception
 */
WEIR_API WEIR_MUST_USE int weir_reader_feed_data(weir_reader *reader,
                                                 const void *data, size_t len);

/**
 * Feed received bytes without copying them.
 *
 * @param buf  the bytes; borrowed, the reader takes its own reference
 * @return     as weir_reader_feed_data()
 */
WEIR_API WEIR_MUST_USE int weir_reader_feed_buf(weir_reader *reader,
                                                const struct weir_buf *buf);

/** End the stream: no more bytes will be fed; idempotent. */
WEIR_API void weir_reader_feed_eof(weir_reader *reader);

/**
 * Fail the stream: reads return the error when the buffered bytes have been
 * read. Only the first error counts. On a connected stream only reading ends:
 * bytes that arrive later are dropped, and the connection can still be written.
 * weir_reader_feed_eof() on a connected stream does the same.
 *
 * @param err  negative
 */
WEIR_API void weir_reader_set_exception(weir_reader *reader, int err);

/**
 * Set the transport that feeds the reader, so that the reader can pause it.
 *
 * @param t  the transport, or NULL for none; held until another is set or the
 *           reader is freed; NULL must be set in connection_lost
 * @retval -EBUSY  the reader has another transport
 */
WEIR_API int weir_reader_set_transport(weir_reader *reader, weir_transport *t);

WEIR_END_DECLS

#endif
