/**
 * @file datagram.h
 * Datagram endpoints: UDP over IPv4 and IPv6, and Unix datagram sockets.
 *
 * An endpoint is a transport whose protocol is of the datagram kind:
 *
 *     connection_made  ( datagram_received | error_received )*  connection_lost
 *
 * **Receiving.** datagram_received is called once for each datagram, even an
 * empty one. The bytes are borrowed, and may be kept with weir_buf_ref(). While
 * the program has paused reading, or keeps as many bytes as its limit allows,
 * the kernel's queue fills up, and the kernel drops further datagrams.
 * weir_transport_get_datagram_counts() returns their number.
 *
 * **Sending.** Datagrams are queued, and sent together and in order at the end
 * of the loop iteration. pause_writing and resume_writing follow the marks of
 * weir_transport_set_write_buffer_limits(); in the queue each datagram counts
 * WEIR_DATAGRAM_COST bytes more than its length. While the kernel's send buffer
 * is full, datagrams wait in the queue, and none is lost. The loop's thread
 * looks up the path of a Unix peer for each datagram, and the paths that an
 * endpoint is bound and connected to. It waits for the file system.
 *
 * **Errors.** The error of one datagram does not end an endpoint.
 * error_received reports it, for example that the destination has refused the
 * datagram (ICMP), that the datagram is too long, or that there is no route;
 * then the next datagram is sent. Only a callback that fails, an abort or an
 * unusable descriptor ends the endpoint. With UDP, the kernel does not report a
 * refusal to an endpoint without a remote address, unless the program sets
 * IP_RECVERR or IPV6_RECVERR on its socket (weir_transport_get_socket()); then
 * error_received gets each refusal, with its peer.
 *
 * **Descriptors** that a Unix peer sends are refused. Since Linux 6.16 the
 * peer's send fails with EPERM. On older kernels threads close the descriptors
 * (unix.h), and the endpoint receives one datagram per system call, and none
 * during such a close. A thread also closes the endpoint's socket, soon after
 * connection_lost, or later if the socket's queue has descriptors; until then
 * the socket's name is in use.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_DATAGRAM_H
#define WEIR_DATAGRAM_H

#include "address.h"
#include "base.h"
#include "buffer.h"
#include "endpoint.h"
#include "pending.h"
#include "protocol.h"
#include "transport.h"

WEIR_BEGIN_DECLS

/** Overhead in bytes that each queued datagram adds to the send queue. */
#define WEIR_DATAGRAM_COST 64

/** Default and maximum of size_limit_bytes. */
#define WEIR_DATAGRAM_SIZE_MAX 65536

/** Ancillary data of a datagram; bits of weir_ancillary.has and
 * weir_datagram_options.ancillary. */
enum weir_ancillary_bits {
    /** The local address and the interface. */
    WEIR_ANCILLARY_LOCAL = 1 << 0,
    /** Type of service (IPv4) or traffic class (IPv6). */
    WEIR_ANCILLARY_TOS = 1 << 1,
    /** Time to live (IPv4) or hop limit (IPv6). */
    WEIR_ANCILLARY_TTL = 1 << 2,
    /** The time at which the kernel received the datagram; only in received
     * datagrams. */
    WEIR_ANCILLARY_TIMESTAMP = 1 << 3,
};

/** Ancillary data of a datagram. */
struct weir_ancillary {
    /** sizeof(struct weir_ancillary); in a received datagram the library sets
     * it. */
    size_t size;
    /** The fields that are set, as a sum of weir_ancillary_bits. */
    uint32_t has;
    /** Index of the interface on which the datagram arrived or is sent; 0 means
     * any. */
    unsigned int interface;
    /** The local address, without a port: the destination of a received
     * datagram, or the source of a datagram to send. With a len of 0 the kernel
     * chooses the source. */
    struct weir_address local;
    /** The type of service or traffic class, from 0 to 255; the two lowest bits
     * are ECN (RFC 3168). */
    int tos;
    /** The time to live or hop limit, from 1 to 255; in a received datagram it
     * may be 0. */
    int ttl;
    /** The time at which the kernel received the datagram, on CLOCK_REALTIME,
     * in nanoseconds. */
    uint64_t timestamp_ns;
};

/** Flags of a received datagram; bits of weir_datagram.flags. */
enum weir_datagram_flags {
    /** The datagram was longer than its buffer, so its end is missing. */
    WEIR_DATAGRAM_TRUNCATED = 1 << 0,
};

/** A received datagram, or with GRO several datagrams of one sender, a
 * **train**. */
struct weir_datagram {
    /** sizeof(struct weir_datagram), which the library sets. */
    size_t size;
    /** The bytes. An empty datagram has no bytes, and cannot be kept. */
    struct weir_buf buf;
    /** The length of the datagram when it was sent; more than buf.len if the
     * datagram was truncated. */
    size_t size_bytes;
    /** Flags of the datagram, a sum of weir_datagram_flags. */
    uint32_t flags;
    /** The length of each datagram in a train; the last datagram may be
     * shorter. 0 means a single datagram. */
    uint32_t segment_bytes;
    /** The ancillary data that the options request, or NULL. */
    const struct weir_ancillary *ancillary;
    /** The sender; its len is 0 for a Unix socket without a name. */
    struct weir_address peer;
};

/** A datagram to be sent by weir_transport_sendmsg(). */
struct weir_message {
    size_t size;
    /** The bytes. */
    const void *data;
    /** Number of bytes. */
    size_t len;
    /** Destination; NULL means the endpoint's remote address. */
    const struct weir_address *address;
    /** The lease of the bytes, if they are received bytes. They are then not
     * copied, and the library takes its own reference. May be NULL. */
    weir_lease *lease;
    /** If this is not NULL, the bytes are not copied, but held, and the
     * function is called when the library no longer needs them, but not if
     * weir_transport_sendmsg() fails. */
    weir_release_fn *release;
    /** First argument of release. */
    void *release_arg;
    /** Send several datagrams, a train: the kernel divides the bytes into
     * datagrams of this length (UDP GSO); the last datagram may be shorter. 0
     * sends one datagram. */
    uint32_t segment_bytes;
    /** Ancillary data to send with the datagram; borrowed, may be NULL. Of
     * WEIR_ANCILLARY_LOCAL, _TOS and _TTL the items are sent that are set in
     * its `has`. */
    const struct weir_ancillary *ancillary;
};

/** Counts of an endpoint's datagrams. */
struct weir_datagram_counts {
    size_t size;
    /** Number of datagrams that datagram_received got; a train counts once. */
    uint64_t received;
    /** Number of datagrams that the kernel accepted for sending; a train counts
     * once. */
    uint64_t sent;
    /** Number of received datagrams that the kernel dropped, because its queue
     * was full or a checksum was wrong. 0 if the kernel does not report the
     * number. */
    uint64_t dropped_by_kernel;
    /** Number of received datagrams that the library dropped because memory ran
     * out. */
    uint64_t dropped_here;
    /** Number of sends and receives that failed, which is the number of calls
     * of error_received. */
    uint64_t errors;
};

/**
 * Called at the end of weir_create_datagram_endpoint().
 *
 * After a success @p err is 0, and @p t is the new transport, borrowed, whose
 * connection_made was called. After a failure @p err is negative, and @p t is
 * NULL. -ECANCELED means that weir_pending_cancel() was called.
 */
typedef void weir_datagram_endpoint_done_fn(void *arg, int err,
                                            weir_transport *t);

/** Options of all calls that make a datagram endpoint. */
struct weir_datagram_options {
    size_t size;
    /** The family: AF_INET, AF_INET6 or AF_UNIX; 0 means the family of the
     * addresses. It is needed if there is no address. */
    int family;
    /** Local address, as a name or a literal address; NULL means any. */
    const char *local_host;
    /** Local port; with 0 the kernel chooses. */
    uint16_t local_port;
    /** Port of the peer. */
    uint16_t remote_port;
    /** Address of the peer, as a name or a literal address; may be NULL. The
     * socket is connected to the peer: datagrams of other peers are not
     * received, and ICMP errors are reported. With allow_broadcast the socket
     * is not connected, the address is only the default of
     * weir_transport_sendto(), and a name is looked up for IPv4. */
    const char *remote_host;
    /** Set SO_REUSEPORT, so that several endpoints can share the local address.
     * This has no effect on Unix sockets. */
    bool reuse_port;
    /** Set SO_BROADCAST, so that datagrams can be sent to broadcast
     * addresses. */
    bool allow_broadcast;
    /** Let the kernel join datagrams of one sender that arrive together into a
     * train (UDP GRO); see weir_datagram.segment_bytes. */
    bool join_segments;
    /** Ancillary data to receive with each datagram, as a sum of
     * weir_ancillary_bits. */
    uint32_t ancillary;
    /** Maximum length of a received datagram; longer datagrams are truncated.
     * The default and the maximum are WEIR_DATAGRAM_SIZE_MAX. In a train the
     * limit applies to each datagram; a train of longer datagrams is delivered
     * as single datagrams, each truncated. */
    uint32_t size_limit_bytes;
    /** The value of SO_RCVBUF, in bytes; 0 leaves the system's value. */
    uint32_t receive_buffer_bytes;
    /** The value of SO_SNDBUF, in bytes; 0 leaves the system's value. */
    uint32_t send_buffer_bytes;
    /** Number of received bytes that the program may keep; default 1 MiB. */
    uint64_t read_limit_bytes;
    /** Number of bytes that may wait to be sent; default 64 MiB; 4 GiB - 1 is
     * no limit. */
    uint64_t write_hard_limit_bytes;
    /** Maximum duration of a close, in nanoseconds. After this time waiting
     * datagrams are dropped, and the endpoint ends with WEIR_ECLOSETIMEOUT. By
     * default there is no limit, and a Unix peer that does not read delays the
     * close. */
    uint64_t close_timeout_ns;
    /** For Unix sockets without a remote address: the time that a queued
     * datagram may wait for space at its peer, in nanoseconds; default no
     * limit. After this time the datagram is dropped, and error_received gets
     * -ETIMEDOUT, so that a peer that does not read no longer delays datagrams
     * for other peers. But the kernel counts unread datagrams of all peers
     * against the send buffer of this socket; when the buffer is full,
     * datagrams for all peers wait and are dropped. Choose send_buffer_bytes
     * accordingly. */
    uint64_t peer_wait_ns;
};

/**
 * Make a datagram endpoint; asyncio's create_datagram_endpoint.
 *
 * Without a local address an IPv4 or IPv6 socket gets a free port, on all
 * addresses or on the address that leads to the peer. With only a local_port
 * the socket is an IPv6 socket that also receives IPv4, unless the family or
 * the peer decides otherwise. A Unix socket without a local address cannot
 * receive replies.
 *
 * A host name is looked up once (resolver.h), for at most 10 s. Its addresses
 * are tried in order, IPv6 first, and the endpoint uses the first address that
 * a socket can be bound or connected to. If all fail, @p done gets the error of
 * the first address; if the lookup fails, it gets the error of the lookup.
 * Connecting a datagram socket sends nothing to the peer, so a successful
 * connect does not show whether the peer serves the address. If the peer serves
 * only one family, set family. If a local address is in use, the bind is
 * repeated for two seconds, as by weir_create_server().
 * weir_pending_get_attempt() returns the tried addresses.
 *
 * @param factory  called when the socket is ready; copied. Its protocol must be
 *                 of the datagram kind
 * @param options  borrowed; at least a family, a host or a port must be set
 * @param done     called once, when the endpoint is ready or has failed; may be
 *                 NULL if @p ret is NULL
 * @retval WEIR_EDNSBADNAME  a host is neither an address nor a host name
 * @retval -EINVAL      @p factory is NULL; the options have neither a host nor
 *                      a family nor a port; the hosts have two families; a
 *                      limit is out of range; the family does not have the
 *                      ancillary data; or @p ret is given without @p done
 * @retval -EAFNOSUPPORT  the family is neither IPv4, IPv6 nor Unix
 */
WEIR_API WEIR_MUST_USE int weir_create_datagram_endpoint(
    weir_loop *loop, const struct weir_factory *factory,
    const struct weir_datagram_options *options,
    weir_datagram_endpoint_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Make a datagram endpoint from a local and a remote endpoint (endpoint.h), or
 * from a socket that is already bound or connected.
 *
 * @param factory  as in weir_create_datagram_endpoint()
 * @param local    the local address: a host, where NULL with a port means all
 *                 addresses; one address; a Unix socket; an existing datagram
 *                 socket; or weir_endpoint_none(). If the file of a Unix socket
 *                 exists and no process is bound to it, it is removed first.
 *                 The file remains after the end of the endpoint
 * @param remote   the address of the peer: a host, one address, a Unix socket,
 *                 or weir_endpoint_none()
 * @param options  borrowed; must have no hosts and no ports; NULL for all
 *                 defaults
 * @param done     as in weir_create_datagram_endpoint()
 * @return         as weir_create_datagram_endpoint()
 * @retval -EBADF   the descriptor is not open
 * @retval -EINVAL  an address is invalid, the addresses have two families, or
 *                  an endpoint has several addresses; the options have a host
 *                  or a port; there is a host for a Unix socket; the descriptor
 *                  is not a datagram socket, has another family than requested,
 *                  or is given together with @p remote; or another
 *                  cause that weir_create_datagram_endpoint() lists
 */
WEIR_API WEIR_MUST_USE int weir_create_datagram_endpoint_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_endpoint local, struct weir_endpoint remote,
    const struct weir_datagram_options *options,
    weir_datagram_endpoint_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Send a copy of a datagram, which may be empty.
 *
 * The datagram is sent at the end of this loop iteration, in order. The call
 * may call pause_writing before it returns. error_received reports later
 * failures, for example that the peer has refused the datagram. During a close
 * datagrams are not accepted, except inside resume_writing.
 *
 * Because datagrams are sent in order, a datagram for a Unix peer whose queue
 * is full delays all later datagrams, but for at most peer_wait_ns. If you do
 * not trust the peers, set peer_wait_ns. If no datagram may be lost, use an
 * endpoint for each peer, with a remote address.
 *
 * @param data  the bytes; borrowed; may be NULL only if @p len is 0
 * @param len   number of bytes
 * @param addr  the destination, borrowed; NULL means the endpoint's remote
 *              address
 * @return      0 if the datagram was accepted; 1 if it was accepted and writing
 *              is paused until resume_writing; after an error it was not
 *              accepted
 * @retval -EINVAL        @p addr differs from the endpoint's remote address or
 *                        is not an address, or @p data is NULL
 * @retval -EDESTADDRREQ  @p addr is NULL, and the endpoint has no remote
 *                        address
 * @retval -EAFNOSUPPORT  @p addr has another family than the endpoint
 * @retval -EMSGSIZE      @p len is more than the maximum length of a datagram
 * @retval -ESHUTDOWN     the endpoint was closed or aborted
 * @retval -EPIPE         the endpoint is broken, see weir_transport_get_error()
 * @retval -ENOBUFS       the hard limit would be exceeded
 * @retval -ENOMEM        there is no memory for the copy
 * @retval -EOPNOTSUPP    the transport is of another kind
 */
WEIR_API int weir_transport_sendto(weir_transport *t, const void *data,
                                   size_t len, const struct weir_address *addr);

/**
 * Send a datagram without a copy, with ancillary data, or as a train of several
 * datagrams. Everything else is as for weir_transport_sendto().
 *
 * @param message  the datagram; borrowed
 * @return         as weir_transport_sendto()
 * @retval -EINVAL  the message has both lease and release; its ancillary data
 *                  is out of range, or the family does not have it;
 *                  segment_bytes is set for a Unix socket, or makes more than
 *                  64 datagrams; or another cause that
 *                  weir_transport_sendto() lists
 */
WEIR_API int weir_transport_sendmsg(weir_transport *t,
                                    const struct weir_message *message);

/**
 * Receive datagrams that are sent to a multicast group.
 *
 * @param group      the group's address, whose port is ignored; borrowed
 * @param source     the only sender to receive from (SSM), borrowed; NULL means
 *                   any sender
 * @param interface  index of the interface; with 0 the kernel chooses
 * @retval -EINVAL         @p group is not a multicast address of the endpoint's
 *                         family
 * @retval -EADDRINUSE, -EADDRNOTAVAIL the endpoint is a member of the group
 *                                     already
 * @retval -ENODEV         the interface does not exist
 * @retval -EBADF          the endpoint is lost
 * @retval -EOPNOTSUPP     the transport is of another kind, or has a Unix
 *                         socket
 */
WEIR_API WEIR_MUST_USE int
weir_transport_join_group(weir_transport *t, const struct weir_address *group,
                          const struct weir_address *source,
                          unsigned int interface);

/**
 * Leave a multicast group: undo weir_transport_join_group() with the same
 * arguments.
 *
 * @param group      as for weir_transport_join_group(); borrowed
 * @param source     as for weir_transport_join_group(); borrowed
 * @param interface  as for weir_transport_join_group()
 * @return           as weir_transport_join_group()
 * @retval -EADDRNOTAVAIL  the endpoint is not a member of the group
 */
WEIR_API WEIR_MUST_USE int
weir_transport_leave_group(weir_transport *t, const struct weir_address *group,
                           const struct weir_address *source,
                           unsigned int interface);

/**
 * Get the counts of an endpoint.
 *
 * @param ret  the counts, written on success only
 * @retval -EOPNOTSUPP  the transport is of another kind
 */
WEIR_API WEIR_MUST_USE int
weir_transport_get_datagram_counts(const weir_transport *t,
                                   struct weir_datagram_counts *ret);

WEIR_END_DECLS

#endif
