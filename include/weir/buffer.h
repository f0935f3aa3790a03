/**
 * @file buffer.h
 * Received bytes, without a copy.
 *
 * Received bytes are in the loop's receive pool. A callback gets them as a
 * struct weir_buf, borrowed until it returns. A protocol that needs the bytes
 * longer calls weir_buf_ref(), and releases the lease later.
 *
 * **Kept bytes are charged** to their connection, by one rule for protocols,
 * for weir_reader_take() and for bytes that the library itself keeps. Fewer
 * than 256 bytes, and any bytes while a quarter of the receive buffers are
 * pinned, are copied into memory of their own, and count as at least 256; other
 * bytes stay where they are. If a connection's charge reaches its limit
 * (weir_transport_set_read_buffer_limit()), nothing more is received: keeping
 * is back-pressure. Kept bytes can pin only a bounded number of receive
 * buffers, so buffers are left for other connections.
 *
 * Rules of all headers: include/guide/rules.md.
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
    /** Number of bytes. */
    size_t len;
    /** Keeps the bytes alive. */
    weir_lease *lease;
};

/**
 * Keep received bytes after the callback, or a view after the next call.
 *
 * To keep a part, narrow @p buf first. Keeping kept bytes returns another
 * lease. The bytes may be copied: afterwards use the address in @p buf; the old
 * address is still only borrowed.
 *
 * Release leases while the connection is open. When they reach its limit
 * nothing more is received, not even the peer's end of stream or bytes from
 * before a reset: connection_lost then waits for the leases, or for a time-out.
 *
 * @param buf  in: the bytes, at least 1, borrowed; out: the same bytes with a
 *             lease, given, end with weir_buf_unref()
 * @retval -EINVAL  no bytes, or no lease
 * @retval -ENOMEM  no memory for a copy; nothing was changed
 */
WEIR_API WEIR_MUST_USE int weir_buf_ref(struct weir_buf *buf);

/** Release kept bytes. The bytes may be overwritten at once. A connection that
 * held too much to receive may receive again. */
WEIR_API void weir_buf_unref(weir_lease *lease);

WEIR_END_DECLS

#endif
