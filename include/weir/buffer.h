/**
 * @file buffer.h
 * Received bytes, which a program can keep without a copy.
 *
 * Received bytes are in the loop's receive pool. A callback gets them as a
 * struct weir_buf, borrowed until it returns. A protocol that needs the bytes
 * longer calls weir_buf_ref(), and releases the lease later.
 *
 * **Kept bytes count** against the limit of their connection
 * (weir_transport_set_read_buffer_limit()). The same rule applies to bytes that
 * a protocol keeps, to bytes of weir_reader_take(), and to bytes that the
 * library itself keeps. When the limit is reached, nothing more is received, so
 * a program slows its peer down by keeping bytes. Kept bytes stay in their
 * receive buffer, which cannot be used for other bytes meanwhile. To free
 * receive buffers for other connections, the library copies kept bytes into
 * other memory in two cases: if they are fewer than 256 bytes, and if kept
 * bytes occupy a quarter of the receive buffers. Copied bytes count as at least
 * 256 bytes.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_BUFFER_H
#define WEIR_BUFFER_H

#include "base.h"

WEIR_BEGIN_DECLS

/** Received bytes, and the lease that keeps them valid. */
struct weir_buf {
    /** The bytes. */
    const uint8_t *data;
    /** Number of bytes. */
    size_t len;
    /** Keeps the bytes valid. NULL if the bytes are not in the receive pool,
     * for example an empty buffer. */
    weir_lease *lease;
};

/**
 * Keep received bytes beyond the callback, or a reader's view beyond the next
 * call on the reader.
 *
 * To keep only a part of the bytes, first change @p buf to that part. For bytes
 * that are already kept, each call gives another lease. The call may copy the
 * bytes: afterwards use the address in @p buf, because the old address is still
 * only borrowed.
 *
 * Release leases while the connection is open. When kept bytes reach the
 * connection's limit, nothing more is received, not even the peer's end of
 * stream or bytes that arrived before a reset. connection_lost is then called
 * only after leases were released, or a time-out has expired.
 *
 * @param buf  the bytes, at least 1; borrowed. Set to the address of the kept
 *             bytes and their lease, which is given; end with weir_buf_unref()
 * @retval -EINVAL  @p buf has no bytes or no lease
 * @retval -ENOMEM  no memory for a copy; nothing was changed
 */
WEIR_API WEIR_MUST_USE int weir_buf_ref(struct weir_buf *buf);

/** Release kept bytes. They may be overwritten at once. If kept bytes had
 * reached the limit of their connection, the connection may receive again. */
WEIR_API void weir_buf_unref(weir_lease *lease);

WEIR_END_DECLS

#endif
