/**
 * @file pair.h
 * Two transports that are connected in memory, for tests of protocols.
 *
 * What is written on one end the protocol of the other receives, within one
 * loop and without a descriptor: a protocol is tested with no port, no peer and
 * no clock but the loop's. Everything that transport.h promises of a stream
 * holds: marks and limits of writing, pauses, time-outs, half-closed
 * connections, files (sendfile.h) and TLS (weir_transport_start_tls()) on it.
 *
 * @code
 * const struct weir_protocol_binding bindings[2] = {
 *     {.protocol = &my_client, .user = client},
 *     {.protocol = &my_server, .user = server},
 * };
 * weir_transport *ends[2];
 * int err = weir_transport_pair(loop, bindings, NULL, ends);
 * @endcode
 *
 * **What differs from sockets.** No kernel has bytes on their way: those that
 * the other end has not taken are in the queue of the one that wrote them, and
 * count for its marks and its limit. So an end that closes is lost when the
 * other one has taken all, and a time-out for closing limits that. Bytes that
 * reach an end after its close are dropped. An end that is aborted, or breaks,
 * is a reset for the other one: -ECONNRESET. Bytes that are written when the
 * other end is gone are -EPIPE. Neither end has an address or a descriptor.
 *
 * Bytes are copied twice, once by the write that queues them and once for the
 * protocol that receives them, which holds them under a lease as those of a
 * socket.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_PAIR_H
#define WEIR_PAIR_H

#include "base.h"
#include "protocol.h"
#include "server.h"

WEIR_BEGIN_DECLS

/** Options of weir_transport_pair(). */
struct weir_pair_options {
    /** sizeof(struct weir_pair_options). */
    size_t size;
    /** Settings of both ends. Those of sockets, and the time to linger, mean
     * nothing here. */
    struct weir_connection_options connection;
};

/**
 * Make two connected transports in memory.
 *
 * Both are open when the call returns, and may be written to, so that
 * pause_writing may come before connection_made. That of the first end and then
 * that of the second comes from the loop, and everything else after it.
 *
 * @param loop      the loop of both; borrowed
 * @param bindings  the protocol of each end, a stream or a buffered one; copied
 * @param options   borrowed; NULL for all defaults
 * @param ret       the two ends, in the order of their bindings, each borrowed:
 *                  weir_transport_ref() for a pointer that is used after its
 *                  connection_lost; NULL: not wanted
 * @return          0
 * @retval -EINVAL     a binding without a table, or with one of another kind;
 *                     an option that is out of range
 * @retval -E2BIG      options of a newer library with an unknown field set
 * @retval -ESHUTDOWN  the loop is being freed
 * @retval -ENOMEM     no memory
 */
WEIR_API WEIR_MUST_USE int weir_transport_pair(
    weir_loop *loop, const struct weir_protocol_binding bindings[2],
    const struct weir_pair_options *options, weir_transport *ret[2]);

WEIR_END_DECLS

#endif
