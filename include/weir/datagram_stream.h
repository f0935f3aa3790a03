/**
 * @file datagram_stream.h
 * Datagram endpoints for tasks: receive and send with calls that wait.
 *
 * A datagram stream is an endpoint (datagram.h) with a queue of limited length
 * between the loop and the tasks. When the queue is full, the endpoint is not
 * read: datagrams wait in the kernel's queue, and the kernel drops datagrams
 * when its queue is full, too (weir_transport_get_datagram_counts() returns
 * their number). Any number of tasks may receive; they are served in the order
 * of their calls.
 *
 * An error that does not end the endpoint, for example an ICMP refusal, is
 * returned once, by the next receive that finds no datagram. No datagram is
 * lost by an interruption.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends yes
 */
#ifndef WEIR_DATAGRAM_STREAM_H
#define WEIR_DATAGRAM_STREAM_H

#include "base.h"
#include "datagram.h"

#include <sys/types.h>

WEIR_BEGIN_DECLS

/** A datagram endpoint for tasks. */
typedef struct weir_datagram_stream weir_datagram_stream;

/** The default of queue_count in struct weir_datagram_stream_options. */
#define WEIR_DATAGRAM_QUEUE 64

/** Options of weir_open_datagram_stream() and
 * weir_open_datagram_stream_at(). */
struct weir_datagram_stream_options {
    size_t size;
    /** Maximum number of datagrams that wait for a task, up to 65536; default
     * WEIR_DATAGRAM_QUEUE. Each takes about 300 bytes. */
    uint32_t queue_count;
    /** Options of the endpoint. */
    struct weir_datagram_options endpoint;
};

/**
 * Make a datagram endpoint for tasks.
 *
 * @param options  borrowed; at least a family, a host or a port of the endpoint
 *                 must be set
 * @return         0, or an error of weir_create_datagram_endpoint() or of the
 *                 start of the endpoint
 * @retval -EINVAL  @p ret is NULL, queue_count is too large, or another
 *                  cause that weir_create_datagram_endpoint() lists
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int
weir_open_datagram_stream(weir_loop *loop,
                          const struct weir_datagram_stream_options *options,
                          weir_datagram_stream **ret);

/**
 * Make a datagram endpoint for tasks from a local and a remote endpoint
 * (endpoint.h), or from a socket.
 *
 * @param local   as in weir_create_datagram_endpoint_at(); held
 * @param remote  as in weir_create_datagram_endpoint_at(); held
 * @return        as weir_open_datagram_stream()
 */
WEIR_API WEIR_MUST_USE int
weir_open_datagram_stream_at(weir_loop *loop, struct weir_endpoint local,
                             struct weir_endpoint remote,
                             const struct weir_datagram_stream_options *options,
                             weir_datagram_stream **ret);

/**
 * Make a datagram endpoint with a protocol of the program, and wait until it is
 * ready.
 *
 * @param factory  as in weir_create_datagram_endpoint(); held
 * @param options  borrowed; must have at least a family, a host or a port
 * @param ret      set to the transport, whose connection_made was called; a
 *                 reference is given, end with weir_transport_unref()
 * @return         0, or an error of weir_create_datagram_endpoint() or of the
 *                 start of the endpoint
 * @retval -EINVAL  @p ret is NULL, or another cause that
 *                  weir_create_datagram_endpoint() lists
 * @retval -ECANCELED  the task was interrupted; no endpoint was made
 */
WEIR_API WEIR_MUST_USE int
weir_open_datagram_endpoint(weir_loop *loop, const struct weir_factory *factory,
                            const struct weir_datagram_options *options,
                            weir_transport **ret);

/**
 * Make a datagram endpoint from a local and a remote endpoint (endpoint.h),
 * with a protocol of the program, and wait until it is ready.
 *
 * @param factory  as in weir_create_datagram_endpoint(); held
 * @param local    as in weir_create_datagram_endpoint_at(); held
 * @param remote   as in weir_create_datagram_endpoint_at(); held
 * @param ret      as in weir_open_datagram_endpoint()
 * @return         as weir_open_datagram_endpoint()
 */
WEIR_API WEIR_MUST_USE int weir_open_datagram_endpoint_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_endpoint local, struct weir_endpoint remote,
    const struct weir_datagram_options *options, weir_transport **ret);

/**
 * Receive one datagram into memory of the caller.
 *
 * @param buf       memory for the datagram; held; may be NULL if @p size is 0
 * @param size      size of @p buf in bytes; the rest of a longer datagram is
 *                  lost
 * @param ret_peer  set to the address of the sender; held; may be NULL
 * @return          the length of the datagram, which may be 0; it is more than
 *                  @p size if the end was cut off
 * @retval -ESHUTDOWN  the endpoint was closed, and all datagrams were received
 * @retval -ECANCELED  the stream was freed
 * @retval -ENOBUFS    a datagram was lost, because the program has resumed
 *                     reading on the transport while the queue was full
 */
WEIR_API WEIR_MUST_USE ssize_t
weir_datagram_stream_recv(weir_datagram_stream *stream, void *buf, size_t size,
                          struct weir_address *ret_peer);

/**
 * Receive one datagram without copying it.
 *
 * @param ret  set to the datagram; held. The lease in its buf is given, end
 *             with weir_buf_unref(); an empty datagram has no lease. Its
 *             ancillary data is borrowed, and valid until the next call that
 *             receives
 * @return     0, or an error of weir_datagram_stream_recv()
 */
WEIR_API WEIR_MUST_USE int
weir_datagram_stream_take(weir_datagram_stream *stream,
                          struct weir_datagram *ret);

/**
 * Send a copy of a datagram; see weir_transport_sendto(). To wait while too
 * many bytes are queued, call weir_datagram_stream_drain(). For ancillary data
 * use weir_transport_sendmsg() on the transport.
 *
 * @param data  the bytes; borrowed
 * @param len   number of bytes
 * @param addr  the destination, borrowed; NULL means the endpoint's remote
 *              address
 * @return      0, or an error of weir_transport_sendto()
 * @suspends no
 */
WEIR_API int weir_datagram_stream_send(weir_datagram_stream *stream,
                                       const void *data, size_t len,
                                       const struct weir_address *addr);

/**
 * If the queued bytes have exceeded the high mark, wait until they have fallen
 * to the low mark.
 *
 * @retval -ESHUTDOWN  the endpoint was closed and is lost
 * @retval -ECANCELED  the stream was freed
 */
WEIR_API WEIR_MUST_USE int
weir_datagram_stream_drain(weir_datagram_stream *stream);

/**
 * Send the queued datagrams, and then close the endpoint. Further calls have no
 * effect. Datagrams that were received before can still be taken.
 *
 * @suspends no
 */
WEIR_API void weir_datagram_stream_close(weir_datagram_stream *stream);

/**
 * Wait until the endpoint is lost. The call does not close it.
 *
 * @return 0, or the first error of the endpoint
 * @retval -ECANCELED  the stream was freed
 */
WEIR_API WEIR_MUST_USE int
weir_datagram_stream_wait_closed(weir_datagram_stream *stream);

/**
 * Get the transport of the endpoint, for example for
 * weir_transport_get_sockname().
 *
 * @suspends no
 */
WEIR_API weir_transport *
weir_datagram_stream_get_transport(const weir_datagram_stream *stream);

/**
 * Close the endpoint and free the stream. Datagrams that no task has received
 * are dropped, and the calls of tasks that wait on the stream return
 * -ECANCELED.
 *
 * @suspends no
 */
WEIR_API void weir_datagram_stream_free(weir_datagram_stream *stream);

WEIR_END_DECLS

#endif
