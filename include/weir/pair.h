/**
 * @file pair.h
 * Two transports connected in memory, for tests of protocols.
 *
 * Bytes that are written on one end are received by the protocol of the other
 * end, within one loop and without a descriptor. A test needs no port, no peer
 * and no clock except the loop's. The ends support everything in transport.h
 * about streams: marks and limits of writing, pauses, time-outs, half-closed
 * connections, and also files (sendfile.h) and TLS
 * (weir_transport_start_tls()).
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
 * **Differences from sockets.** There are no kernel buffers: bytes that the
 * other end has not received are in the writer's queue, and count for its marks
 * and its limit. So a close is complete when the other end has received all
 * bytes; close_ns limits the time. Bytes that reach an end after its close are
 * dropped. If one end aborts or breaks, the other end gets -ECONNRESET. A write
 * after the other end has ended returns -EPIPE. Neither end has an address or a
 * descriptor.
 *
 * Bytes are copied twice, once by the write and once for the receiving
 * protocol, which may keep them with weir_buf_ref() as with a socket.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_PAIR_H
#define WEIR_PAIR_H

#include "base.h"
#include "connect_options.h"
#include "protocol.h"

WEIR_BEGIN_DECLS

/** Options of weir_transport_pair(). */
struct weir_pair_options {
    size_t size;
    /** Settings of both ends. Settings for sockets, and linger_ns, have no
     * effect. */
    struct weir_connection_options connection;
};

/**
 * Make two connected transports in memory.
 *
 * Both are open when the call returns, and the program may write to them at
 * once; so pause_writing may be called before connection_made. The loop calls
 * connection_made for the first end and then for the second, before all other
 * callbacks.
 *
 * @param loop      the loop of both transports; borrowed
 * @param bindings  the protocol of each end, stream or buffered; copied
 * @param ret       set to the two ends, in the order of their bindings,
 *                  borrowed; valid until their connection_lost, unless the
 *                  program takes a reference (weir_transport_ref()); may be
 *                  NULL
 * @retval -EINVAL     a binding has no table or a table of another kind, or an
 *                     option is out of range
 */
WEIR_API WEIR_MUST_USE int weir_transport_pair(
    weir_loop *loop, const struct weir_protocol_binding bindings[2],
    const struct weir_pair_options *options, weir_transport *ret[2]);

WEIR_END_DECLS

#endif
