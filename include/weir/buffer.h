/**
 * @file buffer.h
 * Bytes as they come from the kernel, without a copy.
 *
 * Received bytes lie in the loop's receive pool. A protocol is shown them as a
 * struct weir_buf, borrowed for the time of the callback. A protocol
 * that wants them longer keeps them, weir_buf_keep(), and gives the lease back
 * later.
 *
 * **What is kept is charged**, with one rule for protocols, for
 * weir_reader_take() and for bytes kept by the library itself. A connection is
 * charged with the bytes that it keeps. Fewer than 256, and any while a quarter
 * of the receive buffers are kept from reuse, are copied into memory of their
 * own, and count as 256 at least; others stay where they are. A connection that
 * is charged with its limit (weir_transport_set_read_buffer_limit()) is not
 * read from: keeping is back-pressure. Kept bytes can occupy a bounded number
 * of receive buffers only, so buffers are left for others to receive into.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_BUFFER_H
#define WEIR_BUFFER_H

#include "base.h"

WEIR_BEGIN_DECLS

/** Some bytes of the receive pool. */
struct weir_buf {
    /** The bytes. */
    const uint8_t *data;
    /** How many, in bytes. */
    size_t len;
    /** Keeps the bytes alive. */
    weir_lease *lease;
};

/**
 * Keep received bytes beyond the callback, or a view beyond the next call.
 *
 * To keep a part, narrow @p buf before. Keeping bytes that are kept already
 * gives one more lease. The bytes may be moved, so those that @p buf names
 * afterwards count; where they were before is borrowed as it was.
 *
 * Leases are to be given back while the connection lives. When they reach its
 * limit nothing more is received, not even the peer's end of stream or bytes
 * from before a reset: connection_lost then waits for the leases, or for a
 * time-out.
 *
 * @param buf  in: the bytes, borrowed, not none; out: the same bytes, its lease
 *             given, end with weir_lease_unref()
 * @return     0
 * @retval -EINVAL  no bytes, or no lease
 * @retval -ENOMEM  no memory to copy them to; nothing was changed
 */
WEIR_API WEIR_MUST_USE int weir_buf_keep(struct weir_buf *buf);

/**
 * Give kept bytes back.
 *
 * They may be overwritten at once, and a connection that was not read from
 * because it held too much is read from again.
 *
 * @param lease  taken; NULL is ignored
 */
WEIR_API void weir_lease_unref(weir_lease *lease);

WEIR_END_DECLS

#endif
