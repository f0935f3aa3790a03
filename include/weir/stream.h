/**
 * @file stream.h
 * Streams: reading and writing a connection from a task; asyncio's streams.
 *
 * A stream is a pair of a reader and a writer over one transport of any kind.
 * The reader keeps what arrived until somebody asks for it, and stops the
 * transport when that is too much; the writer waits where the peer is slow.
 *
 * **Three ways to read.** Into the caller's memory: one copy. As a view: a
 * struct weir_buf that points into the receive buffers, valid until the next
 * call on this reader, whichever it is; nothing is copied unless the bytes
 * straddle two buffers. Or taken: weir_reader_take() moves the bytes out
 * together with their lease, and weir_writer_write_buf() sends them on without
 * a copy.
 *
 * **Nothing is lost.** A call that fails consumes nothing: what was buffered
 * stays, and weir_reader_peek() shows it. What arrived before an error or the
 * end of the stream is given out first; then the error, every time. Where a
 * read fails for its own reason there is more to know:
 *
 * - WEIR_EINCOMPLETE: the stream ended before what was asked for was there.
 *   What there is stays readable; weir_reader_expected() has how much it was.
 * - WEIR_ELIMIT: no separator within the limit. weir_reader_consumed() has how
 *   many bytes can be skipped or read before going on to look.
 *
 * **The limit** is asyncio's: the longest line that readuntil accepts, and the
 * measure of back-pressure. Reading is paused when more than twice the limit is
 * buffered, and resumed when no more than the limit is, or when a task has to
 * wait for more. So a reader takes no more than two limits and what a receive
 * that was under way still brings, 1 MiB at most.
 *
 * One task at a time reads (-EBUSY); any number may write, drain and flush. All
 * suspending calls may return WEIR_ENOTTASK, -EPERM and -ECHILD (task.h), which
 * is not repeated below.
 */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include "base.h"
#include "buffer.h"
#include "server.h"
#include "transport.h"

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
 * @retval -EINVAL     a limit of 0 or less
 * @retval -ENOMEM     no memory
 * @retval -ESHUTDOWN  the loop is being freed
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_reader_new(weir_loop *loop, int64_t limit_bytes,
                                           weir_reader **ret);

/**
 * End a reader that weir_reader_new() gave. A task that waits in it gets
 * -ECANCELED.
 *
 * @param reader  taken; NULL is ignored
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_reader_free(weir_reader *reader);

/**
 * Read what there is, at least one byte, at most @p len.
 *
 * @param reader  the reader; borrowed
 * @param buf     destination; held
 * @param len     its size; 0 returns 0 at once
 * @return        bytes read, 0 at the end of the stream, or a negative error
 * @retval -EBUSY      another task is reading
 * @retval -ECANCELED  the task was cancelled; nothing was consumed
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read(weir_reader *reader, void *buf,
                                                size_t len);

/**
 * As weir_reader_read(), as a view of the next bytes that lie together.
 *
 * The view's lease is borrowed like its bytes: weir_writer_write_buf() and
 * weir_lease_ref() may be used on it before the next call.
 *
 * @param reader  the reader; borrowed
 * @param max     bytes at most; 0 returns 0 at once
 * @param ret     the bytes; valid until the next call on the reader
 * @return        bytes in the view, 0 at the end of the stream, or a negative
 *                error as weir_reader_read()
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read_view(weir_reader *reader,
                                                     size_t max,
                                                     struct weir_buf *ret);

/**
 * Take the next bytes that lie together out of the reader, with their lease.
 *
 * They count against what the connection may hold until the lease is given
 * back.
 *
 * @param reader  the reader; borrowed
 * @param max     bytes at most; 0 returns 0 at once
 * @param ret     the bytes; its lease is given, end with weir_lease_unref()
 * @return        as weir_reader_read_view()
 * @retval -ENOMEM  no memory; nothing was consumed
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_take(weir_reader *reader, size_t max,
                                                struct weir_buf *ret);

/**
 * Read until the end of the stream; asyncio's read(-1).
 *
 * @param reader  the reader; borrowed
 * @param max     bytes at most, so that a peer cannot fill the memory
 * @param ret     the bytes in one piece; its lease is given, end with
 *                weir_lease_unref(). NULL lease when there was no byte
 * @return        bytes read, or a negative error
 * @retval WEIR_ELIMIT  there are more than @p max; nothing was consumed
 * @retval -ENOMEM      no memory; nothing was consumed
 * @retval -EBUSY       another task is reading
 * @retval -ECANCELED   the task was cancelled; nothing was consumed
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_read_to_end(weir_reader *reader,
                                                       size_t max,
                                                       struct weir_buf *ret);

/**
 * Read exactly so many bytes. Not limited by the reader's limit.
 *
 * @param reader  the reader; borrowed
 * @param buf     destination; held
 * @param len     how many; 0 returns 0 at once
 * @return        @p len, or a negative error
 * @retval WEIR_EINCOMPLETE  the stream ended before; nothing was consumed
 * @retval -ENOMEM     no memory to keep so many; nothing was consumed
 * @retval -EBUSY      another task is reading
 * @retval -ECANCELED  the task was cancelled; nothing was consumed
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readexactly(weir_reader *reader,
                                                       void *buf, size_t len);

/**
 * As weir_reader_readexactly(), as a view.
 *
 * @param reader  the reader; borrowed
 * @param len     how many; 0 returns 0 at once
 * @param ret     the bytes; valid until the next call on the reader
 * @return        as weir_reader_readexactly()
 * @suspends yes
 * @thread loop
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
 * @retval -EBUSY       another task is reading
 * @retval -ECANCELED   the task was cancelled; nothing was consumed
 * @suspends yes
 * @thread loop
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
 * @thread loop
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readline_view(weir_reader *reader,
                                                         struct weir_buf *ret);

/** A sequence of bytes that ends what weir_reader_readuntil() reads. */
struct weir_separator {
    /** The bytes; borrowed with the struct. */
    const void *data;
    /** How many, at least 1 and at most 1024. */
    size_t len;
};

/**
 * Read up to and including a separator.
 *
 * Of several separators the one whose match ends first wins, and of those that
 * end together the shortest.
 *
 * @param reader      the reader; borrowed
 * @param separators  what to look for; held
 * @param count       how many, from 1 to 16
 * @param buf         destination; held
 * @param size        its size; the part before the separator must be no longer
 *                    than the reader's limit, and all must fit
 * @return            bytes read, the separator included, or a negative error
 * @retval WEIR_EINCOMPLETE  the stream ended before; nothing was consumed
 * @retval WEIR_ELIMIT  longer than allowed; nothing was consumed, see
 *                      weir_reader_consumed()
 * @retval -EINVAL      no separator, or an empty or too long one
 * @retval -EBUSY       another task is reading
 * @retval -ECANCELED   the task was cancelled; nothing was consumed
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readuntil(
    weir_reader *reader, const struct weir_separator *separators, size_t count,
    void *buf, size_t size);

/**
 * As weir_reader_readuntil(), as a view.
 *
 * @param reader      the reader; borrowed
 * @param separators  what to look for; held
 * @param count       how many, from 1 to 16
 * @param ret         the bytes; valid until the next call on the reader
 * @return            as weir_reader_readuntil()
 * @retval -ENOMEM    the match straddles buffers and there is no memory to put
 *                    it together; nothing was consumed
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_readuntil_view(
    weir_reader *reader, const struct weir_separator *separators, size_t count,
    struct weir_buf *ret);

/**
 * Wait until so many bytes are buffered, without consuming any. Not limited by
 * the reader's limit.
 *
 * @param reader  the reader; borrowed
 * @param len     how many
 * @return        bytes that are buffered, at least @p len; or a negative error
 * @retval WEIR_EINCOMPLETE  the stream ended before
 * @retval -ENOMEM     no memory to keep so many
 * @retval -EBUSY      another task is reading
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_fill(weir_reader *reader,
                                                size_t len);

/**
 * Look at what is buffered from some place on, without consuming it. Ends the
 * last view, and may be called in callbacks.
 *
 * @param reader  the reader; borrowed
 * @param offset  bytes to pass over
 * @param ret     the bytes that lie together there; valid until the next call
 *                on the reader
 * @return        how many; 0 when no more are buffered
 * @suspends no
 * @thread loop
 */
WEIR_API size_t weir_reader_peek(weir_reader *reader, size_t offset,
                                 struct weir_buf *ret);

/**
 * Consume bytes that are buffered.
 *
 * @param reader  the reader; borrowed
 * @param len     how many
 * @return        0
 * @retval -EINVAL  no more than that are buffered; nothing was consumed
 * @retval -EBUSY   a task is reading
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_reader_consume(weir_reader *reader, size_t len);

/**
 * Bytes that are buffered and not consumed; those of a view are consumed.
 *
 * @param reader  the reader; borrowed
 * @return        bytes
 * @suspends no
 * @thread loop
 */
WEIR_API size_t weir_reader_get_buffer_size(const weir_reader *reader);

/**
 * Bytes that the read that failed last with WEIR_ELIMIT has looked at and that
 * hold no separator, so that they can be skipped; LimitOverrunError.consumed.
 *
 * @param reader  the reader; borrowed
 * @return        bytes
 * @suspends no
 * @thread loop
 */
WEIR_API size_t weir_reader_consumed(const weir_reader *reader);

/**
 * Bytes that the read that failed last with WEIR_EINCOMPLETE wanted;
 * IncompleteReadError.expected. weir_reader_get_buffer_size() is how many there
 * were, and they can still be read.
 *
 * @param reader  the reader; borrowed
 * @return        bytes; 0 when it looked for a separator
 * @suspends no
 * @thread loop
 */
WEIR_API size_t weir_reader_expected(const weir_reader *reader);

/**
 * Has the stream ended, and is nothing left to read?
 *
 * @param reader  the reader; borrowed
 * @return        true when a read would return 0
 * @suspends no
 * @thread loop
 */
WEIR_API bool weir_reader_at_eof(const weir_reader *reader);

/**
 * The error that ends the stream, whether or not bytes are left before it.
 *
 * @param reader  the reader; borrowed
 * @return        a negative error, or 0
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_reader_exception(const weir_reader *reader);

/**
 * Feed a copy of some bytes.
 *
 * @param reader  the reader; borrowed
 * @param data    the bytes; borrowed
 * @param len     how many; 0 does nothing
 * @return        0
 * @retval -ENOMEM     no memory; nothing was fed
 * @retval -ESHUTDOWN  after weir_reader_feed_eof() or an exception
 * @suspends no
 * @thread loop
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
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_reader_feed_buf(weir_reader *reader,
                                                const struct weir_buf *buf);

/**
 * No more bytes will come; idempotent.
 *
 * @param reader  the reader; borrowed
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_reader_feed_eof(weir_reader *reader);

/**
 * The stream has failed: reads return the error once the bytes that are
 * buffered have been read. The first one counts.
 *
 * @param reader  the reader; borrowed
 * @param err     negative
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_reader_set_exception(weir_reader *reader, int err);

/**
 * Say which transport feeds the reader, so that it can be paused; NULL: none
 * any more.
 *
 * @param reader  the reader; borrowed
 * @param t       the transport; held until another one is set or the reader is
 *                freed: it must be taken away in connection_lost
 * @return        0
 * @retval -EBUSY  it has another one
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_reader_set_transport(weir_reader *reader, weir_transport *t);

/**
 * Send a copy of some bytes; see weir_transport_write().
 *
 * @param writer  the writer; borrowed
 * @param data    the bytes; borrowed
 * @param len     how many
 * @return        0 when accepted, or a negative error; then nothing was taken
 * @retval -ENOTCONN   there is no connection yet
 * @retval -ESHUTDOWN  after weir_writer_write_eof() or weir_writer_close()
 * @retval -EPIPE      the stream is broken, see weir_writer_drain()
 * @retval -ENOBUFS    more than the hard limit would wait
 * @retval -ENOMEM     no memory for the copy
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_writer_write(weir_writer *writer, const void *data,
                               size_t len);

/**
 * Send copies of several pieces; see weir_transport_writelines().
 *
 * @param writer  the writer; borrowed
 * @param iov     the pieces; borrowed with their bytes
 * @param count   how many
 * @return        as weir_writer_write(): all pieces or none
 * @retval -EOVERFLOW  the sizes do not fit into a size_t
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_writer_writelines(weir_writer *writer,
                                    const struct iovec *iov, size_t count);

/**
 * Send bytes of the caller without copying them; see
 * weir_transport_write_ref().
 *
 * @param writer   the writer; borrowed
 * @param data     the bytes; held and unchanged until @p release is called
 * @param len      how many
 * @param release  called once, whatever is returned; may be NULL
 * @param arg      passed to @p release
 * @return         as weir_writer_write()
 * @suspends no
 * @thread loop
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
 * @suspends no
 * @thread loop
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
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_writer_write_eof(weir_writer *writer);

/**
 * Can the writing side be ended alone?
 *
 * @param writer  the writer; borrowed
 * @return        true when it can
 * @suspends no
 * @thread loop
 */
WEIR_API bool weir_writer_can_write_eof(const weir_writer *writer);

/**
 * Wait while too much waits to be sent.
 *
 * Returns at once unless more than the high mark has been waiting; otherwise
 * when completions of the kernel have brought it down to the low mark
 * (weir_transport_set_write_buffer_limits()). Any number of tasks may drain.
 *
 * @param writer  the writer; borrowed
 * @return        0 when there is room
 * @retval -ESHUTDOWN    the stream was closed here, and the connection is over
 * @retval -ECONNABORTED the connection was aborted here, or with the loop; or
 *                       after a close, before everything was sent
 * @retval WEIR_EPEERCLOSED  the peer's end of stream ended the connection
 * @retval -ENOTCONN     there is no connection yet
 * @retval -ECANCELED    the task was cancelled
 * @return               any other: the first error of the connection, such as
 *                       -ECONNRESET, every time
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_writer_drain(weir_writer *writer);

/**
 * Wait until the kernel has accepted everything that was written.
 *
 * @param writer  the writer; borrowed
 * @return        0 when nothing waits, also after a close that has sent
 *                everything; errors as weir_writer_drain(): what was written
 *                before a close is waited for and its loss told
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_writer_flush(weir_writer *writer);

/** What a writer waits for. */
struct weir_depth {
    /** Bytes written and not accepted by the kernel, those in flight included.
     */
    uint64_t bytes;
    /** Sends that the kernel has and has not completed. */
    uint32_t operations;
};

/**
 * How much waits to be sent.
 *
 * @param writer  the writer; borrowed
 * @return        bytes and operations; 0 without a connection
 * @suspends no
 * @thread loop
 */
WEIR_API struct weir_depth weir_writer_get_depth(const weir_writer *writer);

/**
 * Stop reading, send what waits, then close; idempotent. A task that reads gets
 * the end of the stream after the bytes that are buffered. Does nothing before
 * there is a connection.
 *
 * @param writer  the writer; borrowed
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_writer_close(weir_writer *writer);

/**
 * Drop what waits and close; idempotent, also after close. Does nothing before
 * there is a connection.
 *
 * @param writer  the writer; borrowed
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_writer_abort(weir_writer *writer);

/**
 * Is the stream closed, closing or broken?
 *
 * @param writer  the writer; borrowed
 * @return        true from then on
 * @suspends no
 * @thread loop
 */
WEIR_API bool weir_writer_is_closing(const weir_writer *writer);

/**
 * Wait until the connection is over. Does not close it. Any number of tasks
 * may wait, and again later.
 *
 * @param writer  the writer; borrowed
 * @return        0 when it was closed here, and everything sent
 * @retval WEIR_EPEERCLOSED  the peer's end of stream ended it
 * @retval -ECONNABORTED  it was aborted here, or with the loop; or after a
 *                     close, before everything was sent
 * @retval -ENOTCONN   there is no connection yet
 * @retval -ECANCELED  the task was cancelled
 * @return             any other: the first error of the connection
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_writer_wait_closed(weir_writer *writer);

/**
 * The transport, for its options, limits, addresses and first error.
 *
 * @param writer  the writer; borrowed
 * @return        the transport; borrowed, lives as long as the writer. NULL
 *                when there is no connection yet
 * @suspends no
 * @thread loop
 */
WEIR_API weir_transport *weir_writer_get_transport(const weir_writer *writer);

/**
 * asyncio's get_extra_info; see weir_transport_get_extra_info().
 *
 * @param writer  the writer; borrowed
 * @param name    what; borrowed
 * @param ret     the answer, written on success only
 * @return        0
 * @retval -ENOENT    the transport knows nothing of that name
 * @retval -ENOTCONN  there is no connection yet
 * @suspends no
 * @thread loop
 */
WEIR_API int weir_writer_get_extra_info(const weir_writer *writer,
                                        const char *name,
                                        struct weir_extra_info *ret);

/**
 * The reader of the same stream.
 *
 * @param writer  the writer; borrowed
 * @return        the reader; borrowed, lives as long as the writer
 * @suspends no
 * @thread loop
 */
WEIR_API weir_reader *weir_writer_get_reader(const weir_writer *writer);

/**
 * Keep a stream: writer, reader and transport.
 *
 * @param writer  the writer; borrowed
 * @return        @p writer; one reference is given
 * @suspends no
 * @thread loop
 */
WEIR_API weir_writer *weir_writer_ref(weir_writer *writer);

/**
 * Give a stream back. With the last reference it is closed, if nobody has:
 * what waits is sent in the background.
 *
 * @param writer  taken; NULL is ignored
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_writer_unref(weir_writer *writer);

/**
 * Serves a connection, in a task of its own or as a callback.
 *
 * Reader and writer are borrowed; take a reference (weir_writer_ref()) to keep
 * the stream beyond the return. A task that returns has its stream closed
 * gracefully (a difference from asyncio). A negative result, but for
 * -ECANCELED, is reported to the exception hook.
 */
typedef int weir_client_connected_fn(void *arg, weir_reader *reader,
                                     weir_writer *writer);

/** Options of streams; zero is the default everywhere. */
struct weir_stream_protocol_options {
    /** sizeof(struct weir_stream_protocol_options). */
    size_t size;
    /** The reader's limit; default WEIR_STREAM_LIMIT; less than 0 is -EINVAL.
     */
    int64_t limit_bytes;
    /** Called with each new connection; NULL: nothing is. */
    weir_client_connected_fn *client_connected;
    /** First argument of client_connected. */
    void *arg;
    /** Call client_connected from connection_made, not as a task: it must not
     * suspend, and a good return does not close the stream, while a negative
     * one does. Who keeps the stream takes a reference; without one it is
     * closed. */
    bool no_task;
    /** Stack of the task, as in struct weir_task_options; default: the
     * loop's. */
    size_t stack_size_bytes;
};

/**
 * Make the protocol of a stream; asyncio's StreamReaderProtocol.
 *
 * To be returned by a factory, or set on a transport of any kind with
 * weir_transport_set_protocol(), after which its connection_made is to be
 * called: `binding.protocol->connection_made(binding.user, t)`.
 *
 * It is for one connection. Until that is made, only the references of
 * @p ret_writer keep the stream: a protocol that never gets a connection is
 * given up with the last of them. Without @p ret_writer it must get one, as it
 * does in a factory that returns 0. Who binds another protocol later ends the
 * stream by hand, with connection_lost and an error of 0: giving it back then
 * does not close the connection, which may have to be resumed.
 *
 * @param loop     the loop; borrowed
 * @param options  borrowed; NULL for all defaults
 * @param ret      the protocol and its user pointer
 * @param ret_writer  the writer, one reference is given; NULL when nobody keeps
 *                    the stream but its handler
 * @return         0
 * @retval -EINVAL     a limit below 0, no such stack size, an unset size field,
 *                     or neither a handler nor @p ret_writer
 * @retval -E2BIG      options of a newer library with an unknown field set
 * @retval -ENOMEM     no memory
 * @retval -ESHUTDOWN  the loop is being freed
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_stream_protocol_new(
    weir_loop *loop, const struct weir_stream_protocol_options *options,
    struct weir_protocol_binding *ret, weir_writer **ret_writer);

/** Options of weir_open_connection(). */
struct weir_open_options {
    /** sizeof(struct weir_open_options). */
    size_t size;
    /** The reader's limit; default WEIR_STREAM_LIMIT; less than 0 is -EINVAL.
     */
    int64_t limit_bytes;
    /** How to connect; size 0 means all defaults. Its done is not used and must
     * be NULL. */
    struct weir_connect_options connect;
};

/**
 * Connect, and read and write the connection.
 *
 * @param loop        the loop; borrowed
 * @param host        as weir_create_connection()
 * @param port        the port in host byte order
 * @param options     borrowed; NULL for all defaults
 * @param ret_reader  the reader, borrowed from the writer; may be NULL
 * @param ret_writer  the writer, given; end with weir_writer_unref()
 * @return            0 when connected; other errors are those of
 *                    weir_create_connection() and of its attempt
 * @retval -ECANCELED  the task was cancelled; a socket that was passed is
 *                     closed
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_open_connection(weir_loop *loop, const char *host, uint16_t port,
                     const struct weir_open_options *options,
                     weir_reader **ret_reader, weir_writer **ret_writer);

/** Options of weir_start_server(). */
struct weir_start_server_options {
    /** sizeof(struct weir_start_server_options). */
    size_t size;
    /** The readers' limit; default WEIR_STREAM_LIMIT; less than 0 is -EINVAL.
     */
    int64_t limit_bytes;
    /** As in struct weir_stream_protocol_options. */
    bool no_task;
    /** Stack of each task; default: the loop's. */
    size_t stack_size_bytes;
    /** How to listen; size 0 means all defaults. Its done is not used and must
     * be NULL. */
    struct weir_server_options server;
};

/**
 * Listen, and serve each connection with a task.
 *
 * @param loop       the loop; borrowed
 * @param connected  serves a connection
 * @param arg        its first argument
 * @param host       as weir_create_server(); more of them in the options
 * @param port       the port in host byte order, 0 to let the kernel choose
 * @param options    borrowed; NULL for all defaults
 * @param ret        the server, given; end with weir_server_free()
 * @return           0 when it listens; other errors are those of
 *                   weir_create_server() and of its start
 * @retval -EINVAL     nothing to serve with, a limit below 0, or no such stack
 *                     size
 * @retval -ECANCELED  the task was cancelled; nothing listens
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_start_server(weir_loop *loop, weir_client_connected_fn *connected,
                  void *arg, const char *host, uint16_t port,
                  const struct weir_start_server_options *options,
                  weir_server **ret);

/**
 * Serve until cancelled.
 *
 * Starts to accept if need be. Cancelled, it closes the server and its
 * connections and waits for their end; a second cancellation ends that wait.
 *
 * @param server  the server; held
 * @return        a negative error
 * @retval -ECANCELED  the task was cancelled, and the server is closed
 * @retval -ESHUTDOWN  the server was closed, by somebody else or before
 * @retval -EBUSY      another task does that already
 * @suspends yes
 * @thread loop
 */
WEIR_API int weir_server_serve_forever(weir_server *server);

/**
 * Wait until the server is closed and has no connections left. Does not close
 * it.
 *
 * @param server  the server; held
 * @return        0
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_server_join(weir_server *server);

WEIR_END_DECLS

#endif
