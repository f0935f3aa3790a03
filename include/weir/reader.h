/**
 * @file reader.h
 * Readers: received bytes of a stream, buffered until a task reads them.
 *
 * **Three ways to read.**
 * - Into the caller's memory, with one copy.
 * - As a **view**, a struct weir_buf that points into the receive buffers. It
 *   is valid until the next call of any kind on this reader. Nothing is copied
 *   unless the bytes straddle two buffers.
 * - With weir_reader_take(), which removes the bytes from the reader together
 *   with their lease. weir_writer_write_buf() can send them without a copy.
 *
 * **Nothing is lost.** A call that fails consumes nothing: the buffered bytes
 * stay, and weir_reader_peek() returns them. Bytes that arrived before an error
 * or the end of the stream are read first; then every call returns the error.
 * For two errors the reader has more information:
 *
 * - WEIR_EINCOMPLETE: the stream ended too early. weir_reader_get_expected()
 *   returns the number of bytes that the call requested. The buffered bytes can
 *   still be read.
 * - WEIR_ELIMIT: there was no separator within the limit.
 *   weir_reader_get_consumed() returns the number of bytes that can be skipped
 *   or read before another search.
 *
 * **The limit** is the same as in asyncio: the length of the longest line that
 * weir_reader_readuntil() accepts, and the measure of back-pressure. Reading is
 * paused if more than twice the limit is buffered. It is resumed if no more
 * than the limit is buffered, or a task has to wait for more bytes. So a reader
 * holds at most twice the limit, plus one receive of up to 1 MiB that is in
 * flight. If bytes are moved out of the receive buffers into the reader's own
 * memory, they no longer count against held_limit_bytes (loop.h).
 *
 * Only one task at a time may read. All suspending calls return -EBUSY if
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
 * Make a reader without a connection, for a program's own protocols. The
 * program feeds it with weir_reader_feed_data() and similar functions.
 *
 * @param limit_bytes  the limit, at least 1; WEIR_STREAM_LIMIT is asyncio's
 *                     default
 * @retval -EINVAL     @p limit_bytes is 0 or above INT64_MAX
 */
WEIR_API WEIR_MUST_USE int
weir_reader_new(weir_loop *loop, uint64_t limit_bytes, weir_reader **ret);

/** Free a reader of weir_reader_new(). The call of a task that waits in the
 * reader returns -ECANCELED. */
WEIR_API void weir_reader_free(weir_reader *reader);

/**
 * Read buffered bytes, at most @p len. Waits if no byte is buffered.
 *
 * @param buf  memory for the bytes; held
 * @param len  the size of @p buf in bytes; with 0 the call returns 0 at once
 * @return     number of bytes read, 0 at the end of the stream, or a negative
 *             error
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read(weir_reader *reader, void *buf,
                                                size_t len);

/**
 * Get a view of the next contiguous bytes, and consume them. Waits if no byte
 * is buffered. The view's lease is borrowed like its bytes: the view may be
 * passed to weir_writer_write_buf() and weir_buf_ref() before the next call.
 *
 * @param max_bytes  maximum number of bytes; with 0 the call returns 0 at once
 * @param ret        set to the view, which is valid until the next call on the
 *                   reader
 * @return           number of bytes in the view, 0 at the end of the stream, or
 *                   a negative error as weir_reader_read()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read_view(weir_reader *reader,
                                                     size_t max_bytes,
                                                     struct weir_buf *ret);

/**
 * Remove the next contiguous bytes from the reader, with their lease.
 *
 * The bytes count against the limits of the connection until the lease is
 * released (buffer.h), unless the reader had moved them out of the receive
 * buffers. A small @p max_bytes does not make a program that forwards the bytes
 * slower: all pieces of one receive are sent together, see weir_writer_drain().
 *
 * @param max_bytes  maximum number of bytes; with 0 the call returns 0 at once
 * @param ret        set to the bytes and their lease, which is given; release
 *                   it with weir_buf_unref()
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
 * @param max_bytes  maximum number of bytes, as a limit for the peer
 * @param ret        set to the bytes in one piece and their lease, which is
 *                   given; release it with weir_buf_unref(). The lease is NULL
 *                   if there was no byte
 * @return           number of bytes read, or a negative error
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
 * If @p len is more than 64 KiB, bytes are moved to @p buf as they arrive, so
 * that they need no memory in the reader. If such a call fails, the bytes are
 * copied back to the reader, and can be read as if the call had not been made.
 * If there is no memory for that, the stream fails, and every later read
 * returns -ENOMEM. After a cancellation other reads return -EBUSY until the
 * cancelled task has run.
 *
 * @param buf  memory for the bytes; held
 * @param len  number of bytes; with 0 the call returns 0 at once
 * @return     @p len, or a negative error; after an error the content of @p buf
 *             is undefined
 * @retval WEIR_EINCOMPLETE  the stream ended too early; nothing was consumed
 * @retval -ENOMEM     no memory to keep the bytes; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readexactly(weir_reader *reader,
                                                       void *buf, size_t len);

/**
 * Get a view of exactly @p len bytes, and consume them. Waits until they have
 * arrived.
 *
 * @param len  number of bytes; with 0 the call returns 0 at once
 * @param ret  set to the view, which is valid until the next call on the reader
 * @return     as weir_reader_readexactly()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readexactly_view(
    weir_reader *reader, size_t len, struct weir_buf *ret);

/**
 * Read a line, including its newline.
 *
 * @param buf   memory for the line; held. No NUL is added
 * @param size  the size of @p buf in bytes; the line must fit. The part before
 *              the newline must not be longer than the reader's limit
 * @return      number of bytes in the line, which has no newline only if the
 *              stream ends there; 0 at the end of the stream; or a negative
 *              error
 * @retval WEIR_ELIMIT  the line is longer than allowed; nothing was consumed
 * @retval -ENOMEM      there is no memory to keep the line's first part;
 *                      nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readline(weir_reader *reader,
                                                    void *buf, size_t size);

/**
 * Get a view of a line, including its newline, and consume it. To iterate over
 * all lines, call this until it returns 0 or less.
 *
 * @param ret  set to the view, which is valid until the next call on the reader
 * @return     as weir_reader_readline()
 * @retval -ENOMEM  the line straddles two buffers, and there is no memory to
 *                  join its parts; nothing was consumed
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
 * Read up to and including a separator. If several separators match, the match
 * that ends first counts; if several end at the same byte, the shortest
 * separator counts.
 *
 * @param separators  the separators; held
 * @param count       number of separators, from 1 to 16
 * @param buf         memory for the bytes; held
 * @param size        the size of @p buf in bytes; the bytes and the separator
 *                    must fit. The part before the separator must not be longer
 *                    than the reader's limit
 * @return            number of bytes read, including the separator, or a
 *                    negative error
 * @retval WEIR_EINCOMPLETE  the stream ended too early; nothing was consumed
 * @retval WEIR_ELIMIT  there is no separator within the limit or the size;
 *                      nothing was consumed, see weir_reader_get_consumed()
 * @retval -EINVAL      there are no or too many separators, or one of them is
 *                      empty or too long
 * @retval -ENOMEM      there is no memory to keep the bytes; nothing was
 *                      consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readuntil(
    weir_reader *reader, const struct weir_separator *separators, size_t count,
    void *buf, size_t size);

/**
 * Get a view of the bytes up to and including a separator, and consume them;
 * see weir_reader_readuntil().
 *
 * @param separators  the separators; held
 * @param count       number of separators, from 1 to 16
 * @param ret         set to the view, which is valid until the next call on the
 *                    reader
 * @return            as weir_reader_readuntil()
 * @retval -ENOMEM    the bytes straddle two buffers, and there is no memory to
 *                    join them; nothing was consumed
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
 * @return     number of buffered bytes, at least @p len; or a negative error
 * @retval WEIR_EINCOMPLETE  the stream ended too early
 * @retval -ENOMEM     no memory to keep the bytes
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_fill(weir_reader *reader,
                                                size_t len);

/**
 * Get buffered bytes without consuming them. This ends the last view. Callbacks
 * may call this, too.
 *
 * @param offset  number of bytes to skip
 * @param ret     the contiguous bytes after @p offset; valid until the next
 *                call on the reader. While another task waits in the reader,
 *                they are valid only until the caller suspends or its callback
 *                returns
 * @return        number of bytes in @p ret; 0 if no byte is buffered after @p
 *                offset
 */
WEIR_API size_t weir_reader_peek(weir_reader *reader, size_t offset,
                                 struct weir_buf *ret);

/**
 * Consume buffered bytes.
 *
 * @param len  number of bytes
 * @retval -EINVAL  fewer than @p len bytes are buffered; nothing was consumed
 * @retval -EBUSY   a task is reading
 */
WEIR_API int weir_reader_consume(weir_reader *reader, size_t len);

/** Get the number of buffered bytes, without the bytes of a view. */
WEIR_API size_t weir_reader_get_buffer_size(const weir_reader *reader);

/** Get the number of bytes in which the last read found no separator, before it
 * failed with WEIR_ELIMIT. These bytes can be skipped; asyncio's
 * LimitOverrunError.consumed. */
WEIR_API size_t weir_reader_get_consumed(const weir_reader *reader);

/**
 * Get the number of bytes that the last read requested before it failed with
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
 * Get the error that ends the stream. The reader may still have bytes that
 * arrived before the error.
 *
 * @return 0 if there is no error, or any negative error
 */
WEIR_API int weir_reader_get_exception(const weir_reader *reader);

/**
 * Add a copy of some bytes to a reader of weir_reader_new().
 *
 * @param data  the bytes; borrowed
 * @param len   number of bytes; 0 does nothing
 * @retval -ENOMEM     there is no memory; no byte was added
 * @retval -ESHUTDOWN  weir_reader_feed_eof() or weir_reader_set_exception() was
 *                     called before
 */
WEIR_API WEIR_MUST_USE int weir_reader_feed_data(weir_reader *reader,
                                                 const void *data, size_t len);

/**
 * Add received bytes to a reader without copying them.
 *
 * @param buf  the bytes; borrowed, but the reader takes its own reference
 * @return     as weir_reader_feed_data()
 */
WEIR_API WEIR_MUST_USE int weir_reader_feed_buf(weir_reader *reader,
                                                const struct weir_buf *buf);

/** End the stream of a reader: no more bytes will be added. Further calls have
 * no effect. */
WEIR_API void weir_reader_feed_eof(weir_reader *reader);

/**
 * End the stream of a reader with an error, which reads return when the
 * buffered bytes have been read. Only the first error counts. If the reader
 * belongs to a connection, only reading ends: bytes that arrive later are
 * dropped, and the program can still write. The same is true for
 * weir_reader_feed_eof().
 *
 * @param err  the error; negative
 */
WEIR_API void weir_reader_set_exception(weir_reader *reader, int err);

/**
 * Set the transport that feeds the reader, so that the reader can pause it.
 *
 * @param t  the transport, held until another one is set or the reader is
 *           freed; NULL removes it. The program must remove it in
 *           connection_lost
 * @retval -EBUSY  the reader has another transport
 */
WEIR_API int weir_reader_set_transport(weir_reader *reader, weir_transport *t);

WEIR_END_DECLS

#endif
