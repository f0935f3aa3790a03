/**
 * @file buffer.h
 * Bytes as they come from the kernel, without a copy.
 *
 * Received bytes lie in the loop's receive pool. A protocol is shown them as a
 * struct weir_buf, borrowed for the time of the callback. Who wants them
 * longer takes a reference to the lease and gives it back later; until then
 * the bytes stay where they are and count against what the connection may hold
 * (weir_transport_set_read_buffer_limit()). A peer whose bytes are held is not
 * read from beyond that limit: holding is back-pressure.
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
    /** What keeps them alive. */
    weir_lease *lease;
};

/**
 * Keep received bytes beyond the callback.
 *
 * Leases are to be given back while the connection lives. When they reach its
 * limit nothing more is received, the peer's end of stream and what came before
 * a reset included: connection_lost then waits for them, or for a time-out.
 *
 * @param lease  the lease of a struct weir_buf; borrowed
 * @return       @p lease; one reference is given
 * @suspends no
 * @thread loop
 */
WEIR_API weir_lease *weir_lease_ref(weir_lease *lease);

/**
 * Give a reference back.
 *
 * With the last one the bytes may be overwritten at once, and a connection
 * that was not read from because it held too much is read from again.
 *
 * @param lease  taken; NULL is ignored
 * @suspends no
 * @thread loop
 */
WEIR_API void weir_lease_unref(weir_lease *lease);

WEIR_END_DECLS

#endif
