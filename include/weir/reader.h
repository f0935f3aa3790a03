/**
 * @file reader.h
 * Readers: the bytes that arrived on a stream, until a task asks for them.
 *
 * **Three ways to read.** Into the caller's memory: one copy. As a view: a
 * struct weir_buf that points into the receive buffers, valid until the next
 * call on this reader, whichever it is; nothing is copied unless the bytes
 * straddle two buffers. Or taken: weir_reader_take() moves the bytes out
 * together with their lease, and weir_writer_write_buf() sends them on without
 * a copy.
 *
 * **Nothing is lost.** A call that fails consumes nothing: the buffered bytes
 * stay, and weir_reader_peek() shows them. Bytes that arrived before an error
 * or the end of the stream are read first; then the error, every time. Two
 * errors have more to tell:
 *
 * - WEIR_EINCOMPLETE: the stream ended too early. weir_reader_get_expected() is
 *   how many bytes the call wanted; those that are buffered can still be read.
 * - WEIR_ELIMIT: no separator within the limit. weir_reader_get_consumed() is
 *   how many bytes can be skipped or read before another search.
 *
 * **The limit** is asyncio's: the longest line that readuntil accepts, and the
 * measure of back-pressure. Reading is paused when more than twice the limit is
 * buffered, and resumed when no more than the limit is, or when a task has to
 * wait for more. So a reader takes no more than two limits and the rest of a
 * receive that was under way, 1 MiB at most. Bytes that had to make room in the
 * receive buffers lie in memory of the reader's own, which only this bounds:
 * held_limit_bytes (loop.h) does not count them.
 *
 * One task at a time reads. All suspending calls may return -EBUSY, when
 * another task is reading, and WEIR_ENOTTASK, -EPERM, -ECHILD and -ECANCELED
 * (task.h), which is not repeated below.
 *
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
 * Make a reader that is fed by hand, for protocols that build on one.
 *
 * @param loop         the loop; borrowed
 * @param limit_bytes  the limit, at least 1; WEIR_STREAM_LIMIT is asyncio's
 * @param ret          the reader, given; end with weir_reader_free()
 * @return             0
 * @retval -EINVAL     a limit of 0, or above INT64_MAX
 * @retval -ENOMEM     no memory
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int
weir_reader_new(weir_loop *loop, uint64_t limit_bytes, weir_reader **ret);

/**
 * End a reader that weir_reader_new() gave. A task that waits in it gets
 * -ECANCELED.
 *
 * @param reader  taken; NULL is ignored
 */
WEIR_API void weir_reader_free(weir_reader *reader);

/**
 * Read the bytes that are buffered, at most @p len; wait for one if there is
 * none.
 *
 * @param reader  the reader; borrowed
 * @param buf     destination; held
 * @param len     its size in bytes; 0 returns 0 at once
 * @return        bytes read, 0 at the end of the stream, or a negative error
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read(weir_reader *reader, void *buf,
                                                size_t len);

/**
 * As weir_reader_read(), as a view of the next bytes that lie together.
 *
 * The view's lease is borrowed like its bytes: weir_writer_write_buf() and
 * weir_buf_keep() may be used on it before the next call.
 *
 * @param reader     the reader; borrowed
 * @param max_bytes  number of bytes at most; 0 returns 0 at once
 * @param ret        the bytes; valid until the next call on the reader
 * @return           bytes in the view, 0 at the end of the stream, or a
 * negative error as weir_reader_read()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read_view(weir_reader *reader,
                                                     size_t max_bytes,
                                                     struct weir_buf *ret);

/**
 * Take the next bytes that lie together out of the reader, with their lease.
 *
 * They count against what the connection may hold until the lease is given
 * back, by the rule of buffer.h: few bytes are copied and count as few. Bytes
 * that the reader had moved out of the receive buffers before do not count.
 * A program that sends them on loses nothing by a small @p max_bytes: all
 * pieces of a receive leave together, see weir_writer_drain().
 *
 * @param reader     the reader; borrowed
 * @param max_bytes  number of bytes at most; 0 returns 0 at once
 * @param ret        the bytes; its lease is given, end with weir_lease_unref()
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
 * @param reader     the reader; borrowed
 * @param max_bytes  number of bytes at most: a peer cannot fill the memory
 * @param ret        the bytes in one piece; its lease is given, end with
 *                   weir_lease_unref(). NULL lease when there was no byte
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
 * More than 64 KiB are moved to @p buf as they arrive: one copy, and no memory
 * beside the caller's. When such a call fails, the bytes that it has moved are
 * put back by a second copy, and can be read as if there had been no call; from
 * a cancellation until its task has run other reads are -EBUSY. Without memory
 * to put them back, the stream fails with -ENOMEM for good.
 *
 * @param reader  the reader; borrowed
 * @param buf     destination; held
 * @param len     number of bytes; 0 returns 0 at once
 * @return        @p len, or a negative error; then @p buf holds nothing of use
 * @retval WEIR_EINCOMPLETE  the stream ended before; nothing was consumed
 * @retval -ENOMEM     no memory to keep them; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readexactly(weir_reader *reader,
                                                       void *buf, size_t len);

/**
 * As weir_reader_readexactly(), as a view.
 *
 * @param reader  the reader; borrowed
 * @param len     number of bytes; 0 returns 0 at once
 * @param ret     the bytes; valid until the next call on the reader
 * @return        as weir_reader_readexactly()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readexactly_view(
    weir_reader *reader, size_t len, struct weir_buf *ret);

/**
 * Read a line, its newline included.
 *
 * @param reader  the reader; borrowed
 * @param buf     destination; held. Not terminated with a NUL
 * @param size    its size in bytes; a line must fit, and the part before the
 *                newline be no longer than the reader's limit
 * @return        bytes of the line; without a newline it is the last; 0 at the
 *                end of the stream; or a negative error
 * @retval WEIR_ELIMIT  the line is longer; nothing was consumed
 * @retval -ENOMEM      no memory to keep its first part; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readline(weir_reader *reader,
                                                    void *buf, size_t size);

/**
 * As weir_reader_readline(), as a view; to iterate over lines call it until it
 * returns 0 or less.
 *
 * @param reader  the reader; borrowed
 * @param ret     the line; valid until the next call on the reader
 * @return        as weir_reader_readline()
 * @retval -ENOMEM  the line straddles buffers and there is no memory to put it
 *                  together; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readline_view(weir_reader *reader,
                                                         struct weir_buf *ret);

/** A sequence of bytes that ends what weir_reader_readuntil() reads. */
struct weir_separator {
    /** The bytes; borrowed with the struct. */
    const void *data;
    /** Number of bytes, from 1 to 1024. */
    size_t len;
};

/**
 * Read up to and including a separator.
 *
 * Of several separators the one whose match ends first wins, and of those that
 * end together the shortest.
 *
 * @param reader      the reader; borrowed
 * @param separators  the separators; held
 * @param count       number of separators, from 1 to 16
 * @param buf         destination; held
 * @param size        its size in bytes; the part before the separator must be
 * no longer than the reader's limit, and all must fit
 * @return            bytes read, the separator included, or a negative error
 * @retval WEIR_EINCOMPLETE  the stream ended before; nothing was consumed
 * @retval WEIR_ELIMIT  longer than allowed; nothing was consumed, see
 *                      weir_reader_get_consumed()
 * @retval -EINVAL      no separator, or an empty or too long one
 * @retval -ENOMEM      no memory to keep the bytes; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readuntil(
    weir_reader *reader, const struct weir_separator *separators, size_t count,
    void *buf, size_t size);

/**
 * As weir_reader_readuntil(), as a view.
 *
 * @param reader      the reader; borrowed
 * @param separators  the separators; held
 * @param count       number of separators, from 1 to 16
 * @param ret         the bytes; valid until the next call on the reader
 * @return            as weir_reader_readuntil()
 * @retval -ENOMEM    the match straddles buffers and there is no memory to put
 *                    it together; nothing was consumed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readuntil_view(
    weir_reader *reader, const struct weir_separator *separators, size_t count,
    struct weir_buf *ret);

/**
 * Wait until @p len bytes are buffered, without consuming any. They may be more
 * than the reader's limit.
 *
 * @param reader  the reader; borrowed
 * @param len     number of bytes
 * @return        bytes that are buffered, at least @p len; or a negative error
 * @retval WEIR_EINCOMPLETE  the stream ended before
 * @retval -ENOMEM     no memory to keep them
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_fill(weir_reader *reader,
                                                size_t len);

/**
 * Look at buffered bytes without consuming them. The bytes of the last view are
 * no longer valid then. May be called in callbacks.
 *
 * @param reader  the reader; borrowed
 * @param offset  number of bytes to pass over
 * @param ret     the bytes that lie together there; valid until the next call
 *                on the reader. While another task waits in the reader they are
 *                valid only until the caller suspends or its callback returns
 * @return        bytes in @p ret; 0 when no more are buffered
 */
WEIR_API size_t weir_reader_peek(weir_reader *reader, size_t offset,
                                 struct weir_buf *ret);

/**
 * Consume bytes that are buffered.
 *
 * @param reader  the reader; borrowed
 * @param len     number of bytes
 * @return        0
 * @retval -EINVAL  fewer bytes are buffered; nothing was consumed
 * @retval -EBUSY   a task is reading
 */
WEIR_API int weir_reader_consume(weir_reader *reader, size_t len);

/**
 * Number of bytes that are buffered and not consumed; those of a view are
 * consumed.
 *
 * @param reader  the reader; borrowed
 * @return        number of bytes
 */
WEIR_API size_t weir_reader_get_buffer_size(const weir_reader *reader);

/**
 * Number of bytes that the last read which failed with WEIR_ELIMIT has searched
 * and found to hold no separator, so that they can be skipped; asyncio's
 * LimitOverrunError.consumed.
 *
 * @param reader  the reader; borrowed
 * @return        number of bytes
 */
WEIR_API size_t weir_reader_get_consumed(const weir_reader *reader);

/**
 * Number of bytes that the last read which failed with WEIR_EINCOMPLETE wanted;
 * asyncio's IncompleteReadError.expected. weir_reader_get_buffer_size() is the
 * number of those that arrived, and they can still be read.
 *
 * @param reader  the reader; borrowed
 * @return        number of bytes; 0 when the read looked for a separator
 */
WEIR_API size_t weir_reader_get_expected(const weir_reader *reader);

/**
 * Whether the stream has ended without an error and all of it was read.
 *
 * @param reader  the reader; borrowed
 * @return        true when a read would return 0
 */
WEIR_API bool weir_reader_at_eof(const weir_reader *reader);

/**
 * The error that ends the stream, whether or not bytes are left before it.
 *
 * @param reader  the reader; borrowed
 * @return        a negative error, or 0
 */
WEIR_API int weir_reader_get_exception(const weir_reader *reader);

/**
 * Feed a copy of some bytes.
 *
 * @param reader  the reader; borrowed
 * @param data    the bytes; borrowed
 * @param len     number of bytes; 0 does nothing
 * @return        0
 * @retval -ENOMEM     no memory; nothing was fed
 * @retval -ESHUTDOWN  after weir_reader_feed_eof() or an exception
 */
WEIR_API WEIR_MUST_USE int weir_reader_feed_data(weir_reader *reader,
                                                 const void *data, size_t len);

/**
 * Feed received bytes without copying them.
 *
 * @param reader  the reader; borrowed
 * @param buf     the bytes; the reader takes a reference of its own to the
 *                lease
 * @return        as weir_reader_feed_data()
 */
WEIR_API WEIR_MUST_USE int weir_reader_feed_buf(weir_reader *reader,
                                                const struct weir_buf *buf);

/**
 * No more bytes will come; idempotent.
 *
 * @param reader  the reader; borrowed
 */
WEIR_API void weir_reader_feed_eof(weir_reader *reader);

/**
 * The stream has failed: reads return the error once the bytes that are
 * buffered have been read. The first error counts. On a live stream only
 * reading ends: bytes that arrive from then on are dropped, and the connection
 * can still be written. weir_reader_feed_eof() on a live stream does the same.
 *
 * @param reader  the reader; borrowed
 * @param err     negative
 */
WEIR_API void weir_reader_set_exception(weir_reader *reader, int err);

/**
 * Say which transport feeds the reader, so that the reader can pause it.
 *
 * @param reader  the reader; borrowed
 * @param t       the transport, or NULL for none any more; held until another
 *                one is set or the reader is freed: NULL must be set in
 *                connection_lost
 * @return        0
 * @retval -EBUSY  the reader has another transport
 */
WEIR_API int weir_reader_set_transport(weir_reader *reader, weir_transport *t);

WEIR_END_DECLS

#endif
