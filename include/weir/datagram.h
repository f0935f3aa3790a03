/**
 * @file datagram.h
 * Datagram endpoints: UDP over IPv4 and IPv6, and Unix datagram sockets.
 *
 * An endpoint is a transport whose protocol is of the datagram kind:
 *
 *     connection_made  ( datagram_received | error_received )*  connection_lost
 *
 * **Receiving.** datagram_received is called once for each datagram, even an
 * empty one. The bytes are borrowed, and may be kept with weir_buf_ref().
 * While the program keeps as many bytes as its limit allows, or has paused
 * reading, the kernel's queue fills up, and the kernel drops further datagrams,
 * which weir_transport_get_datagram_counts() counts.
 *
 * **Sending.** Datagrams are queued and leave together at the end of the loop
 * iteration, in order. pause_writing and resume_writing follow the marks of
 * weir_transport_set_write_buffer_limits(); in the queue each datagram counts
 * WEIR_DATAGRAM_COST bytes more than its length. Datagrams wait while the
 * kernel's send buffer is full, and none is lost. The loop's thread looks up
 * the path of a Unix peer for each datagram, and the paths that an endpoint is
 * bound and connected to, and waits for the file system.
 *
 * **Errors.** One datagram's error does not end an endpoint: error_received
 * reports a destination that refuses (ICMP), a datagram that is too long or a
 * missing route, and the next datagram is sent. Only a callback that fails, an
 * abort or an unusable descriptor ends the endpoint. The kernel reports no
 * refusal to an endpoint without a remote address, unless the program has set
 * IP_RECVERR, or IPV6_RECVERR, on its socket (weir_transport_get_socket()):
 * then error_received gets each refusal, with its peer.
 *
 * **Descriptors** of a Unix peer are refused: since Linux 6.16 the peer's send
 * fails with EPERM. On older kernels threads close the descriptors (unix.h);
 * the endpoint then receives one datagram per system call, and none during a
 * close. A thread also closes the endpoint's socket, soon after
 * connection_lost, or later if it contains descriptors; until then the socket's
 * name is in use.
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
    /** Time at which the kernel received it; only in received datagrams. */
    WEIR_ANCILLARY_TIMESTAMP = 1 << 3,
};

/** Ancillary data of a datagram. */
struct weir_ancillary {
    /** sizeof(struct weir_ancillary); set by the library if received.
     */
    size_t size;
    /** The fields that are set: sum of weir_ancillary_bits. */
    uint32_t has;
    /** Index of the interface on which it arrived or is sent; 0 means any. */
    unsigned int interface;
    /** The local address, without a port: the destination of a received
     * datagram, the source of a sent one. When sending, a len of 0 lets the
     * kernel choose. */
    struct weir_address local;
    /** 0 to 255; the two lowest bits are ECN (RFC 3168). */
    int tos;
    /** 1 to 255; 0 is a value of received datagrams only. */
    int ttl;
    /** CLOCK_REALTIME in nanoseconds. */
    uint64_t timestamp_ns;
};

/** How a datagram arrived; bits of weir_datagram.flags. */
enum weir_datagram_flags {
    /** The datagram was longer than its buffer: the end is missing. */
    WEIR_DATAGRAM_TRUNCATED = 1 << 0,
};

/** A received datagram, or with GRO a train of datagrams. */
struct weir_datagram {
    /** sizeof(struct weir_datagram), which the library sets. */
    size_t size;
    /** The bytes. An empty datagram has no bytes, and cannot be kept. */
    struct weir_buf buf;
    /** The length of the datagram when it was sent; more than buf.len if it
     * was truncated. */
    size_t size_bytes;
    /** Sum of weir_datagram_flags. */
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
    /** The lease that keeps the bytes alive, so that they are not copied; the
     * library takes its own reference. May be NULL. */
    weir_lease *lease;
    /** If not NULL the bytes are not copied, and the function is called when
     * the library no longer needs them, unless the call fails. */
    weir_release_fn *release;
    /** First argument of release. */
    void *release_arg;
    /** Send a train: the kernel cuts the bytes into datagrams of this length
     * (UDP GSO); the last one may be shorter. 0 sends one datagram. */
    uint32_t segment_bytes;
    /** Ancillary data to set: LOCAL, TOS and TTL, as far as `has` names them;
     * borrowed. May be NULL. */
    const struct weir_ancillary *ancillary;
};

/** Counts of an endpoint's datagrams. */
struct weir_datagram_counts {
    size_t size;
    /** Calls of datagram_received, trains counted once. */
    uint64_t received;
    /** Datagrams that the kernel accepted, trains counted once. */
    uint64_t sent;
    /** Datagrams that the kernel received and dropped, because its queue was
     * full or a checksum wrong. 0 if the kernel does not report it. */
    uint64_t dropped_by_kernel;
    /** Received datagrams that the library dropped because memory ran out. */
    uint64_t dropped_here;
    /** Sends and receives that failed: calls of error_received. */
    uint64_t errors;
};

/**
 * The end of weir_create_datagram_endpoint().
 *
 * @p err is 0 and @p t the new transport (borrowed), after its
 * connection_made; or @p err is negative and @p t NULL. -ECANCELED means
 * weir_pending_cancel().
 */
typedef void weir_datagram_endpoint_done_fn(void *arg, int err,
                                            weir_transport *t);

/** Options of all calls that make a datagram endpoint. */
struct weir_datagram_options {
    size_t size;
    /** AF_INET, AF_INET6 or AF_UNIX; needed if there is no address. 0 means the
     * family of the addresses. */
    int family;
    /** Local address, a name or a literal address; NULL means any. */
    const char *local_host;
    /** Local port; with 0 the kernel chooses. */
    uint16_t local_port;
    /** Port of the peer. */
    uint16_t remote_port;
    /** Address of the peer, a name or a literal address, or NULL. The socket is
     * connected to the peer: datagrams of other peers are not received, and
     * ICMP errors are reported. With allow_broadcast the socket is not
     * connected; the address is only the default of sendto, and a name is
     * looked up for IPv4. */
    const char *remote_host;
    /** Set SO_REUSEPORT: several endpoints share the local address. No effect
     * on Unix sockets. */
    bool reuse_port;
    /** Set SO_BROADCAST: datagrams may be sent to broadcast addresses. */
    bool allow_broadcast;
    /** Let the kernel join datagrams of one sender that arrive together into
     * trains (UDP GRO); see weir_datagram.segment_bytes. */
    bool join_segments;
    /** Ancillary data to receive with each datagram: sum of
     * weir_ancillary_bits. */
    uint32_t ancillary;
    /** Longer datagrams are truncated; default and maximum are
     * WEIR_DATAGRAM_SIZE_MAX. In a train the limit applies to each datagram; a
     * train of longer datagrams is delivered as single datagrams, each
     * truncated. */
    uint32_t size_limit_bytes;
    /** SO_RCVBUF in bytes; 0 leaves the system's value. */
    uint32_t receive_buffer_bytes;
    /** SO_SNDBUF in bytes; 0 leaves the system's value. */
    uint32_t send_buffer_bytes;
    /** Received bytes that the program may keep; default 1 MiB. */
    uint64_t read_limit_bytes;
    /** Bytes that may wait to be sent; default 64 MiB; 4 GiB - 1 is no
     * limit. */
    uint64_t write_hard_limit_bytes;
    /** Limit of a close, in nanoseconds: then waiting datagrams are dropped,
     * with WEIR_ECLOSETIMEOUT. Default no limit: a Unix peer that does not read
     * delays the close. */
    uint64_t close_timeout_ns;
    /** For Unix sockets without a remote address: the time that a queued
     * datagram may wait for space at its peer, in nanoseconds; default no
     * limit. Then it is dropped, and error_received gets -ETIMEDOUT, so that a
     * peer that does not read no longer delays datagrams for others. But the
     * kernel counts unread datagrams of all peers against this socket's send
     * buffer (choose SO_SNDBUF for that); when the buffer is full, datagrams
     * for all peers wait, and are dropped. */
    uint64_t peer_wait_ns;
};

/**
 * Make a datagram endpoint; asyncio's create_datagram_endpoint.
 *
 * Without a local address an IPv4 or IPv6 socket gets a free port, on all
 * addresses or on the address that leads to the peer. With only a local_port it
 * is an IPv6 socket that also receives IPv4, unless the family or the peer
 * decides otherwise. No reply reaches a Unix socket without a local address.
 *
 * A host name is looked up once (resolver.h). Its addresses are tried in order,
 * IPv6 first, and the endpoint uses the first address that a socket can be
 * bound or connected to. If all fail, done gets the error of the first address,
 * or the error of the lookup, which ends after 10 s. Connecting a datagram
 * socket sends nothing to the peer: if the peer serves one family only, set
 * family. A local address that is in use is tried again for two seconds, as by
 * weir_create_server(). weir_pending_get_attempt() returns the tried addresses.
 *
 * @param factory  called when the socket is ready; copied. Its protocol must be
 *                 of the datagram kind
 * @param options  borrowed; at least a family, a host or a port
 * @param done     called once, when the endpoint is ready or has failed; may be
 *                 NULL if no handle is wanted
 * @retval WEIR_EDNSBADNAME  a host is neither an address nor a host name
 * @retval -EINVAL      no factory, neither a host nor a family nor a port,
 *                      hosts of two families, a limit out of range, ancillary
 *                      data unknown to the family, or a handle without done
 * @retval -EAFNOSUPPORT  the family is neither IPv4, IPv6 nor Unix
 */
WEIR_API WEIR_MUST_USE int weir_create_datagram_endpoint(
    weir_loop *loop, const struct weir_factory *factory,
    const struct weir_datagram_options *options,
    weir_datagram_endpoint_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Make a datagram endpoint with two sides, or from a socket that is already
 * bound or connected.
 *
 * @param factory  as in weir_create_datagram_endpoint()
 * @param local    the local side: a host, where NULL with a port means all
 *                 addresses; one address; a Unix socket, for which a file that
 *                 no process is bound to is removed first, and whose file stays
 *                 after the end; a datagram socket; or weir_endpoint_none()
 * @param remote   the side of the peer: a host, one address, a Unix socket or
 *                 weir_endpoint_none()
 * @param options  borrowed, without hosts and ports; NULL for all defaults
 * @param done     as in weir_create_datagram_endpoint()
 * @return         as weir_create_datagram_endpoint()
 * @retval -EBADF   the descriptor is not open
 * @retval -EINVAL  an invalid address, addresses of two families, several
 *                  addresses of one side, hosts or ports in the options, a host
 *                  for a Unix socket, a descriptor that is not a datagram
 *                  socket or has another family than requested, a socket and a
 *                  peer, or as weir_create_datagram_endpoint()
 */
WEIR_API WEIR_MUST_USE int weir_create_datagram_endpoint_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_endpoint local, struct weir_endpoint remote,
    const struct weir_datagram_options *options,
    weir_datagram_endpoint_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Send a copy of a datagram, which may be empty.
 *
 * The datagram leaves at the end of this loop iteration, in order. May call
 * pause_writing before it returns. error_received reports later failures, for
 * example a refusal by the peer. During a close datagrams are refused, except
 * from inside resume_writing.
 *
 * Because datagrams leave in order, datagrams for one Unix peer whose queue is
 * full delay all later datagrams, for peer_wait_ns at most. Reordering would
 * help little: the marks and the hard limit count the whole endpoint, and a
 * peer that never reads would fill it in the end. If peers are not trusted, set
 * peer_wait_ns; if nothing may be lost, use an endpoint for each peer, with a
 * remote address.
 *
 * @param data  the bytes; borrowed; may be NULL only if @p len is 0
 * @param len   number of bytes
 * @param addr  destination, borrowed; NULL means the endpoint's remote address
 * @return      0 when accepted, 1 when accepted and writing is paused until
 *              resume_writing; or a negative error, then nothing was accepted
 * @retval -EINVAL        @p addr differs from the endpoint's remote address or
 *                        is not an address, or @p data is NULL
 * @retval -EDESTADDRREQ  neither @p addr nor a remote address of the endpoint
 * @retval -EAFNOSUPPORT  @p addr is of another family than the endpoint
 * @retval -EMSGSIZE      longer than any datagram can be
 * @retval -ESHUTDOWN     after close or abort
 * @retval -EPIPE         the endpoint is broken, see weir_transport_get_error()
 * @retval -ENOBUFS       the hard limit would be exceeded
 * @retval -ENOMEM        no memory for the copy
 * @retval -EOPNOTSUPP    the transport is of another kind
 */
WEIR_API int weir_transport_sendto(weir_transport *t, const void *data,
                                   size_t len, const struct weir_address *addr);

/**
 * Send a datagram without a copy, as a train, or with ancillary data. Otherwise
 * as weir_transport_sendto().
 *
 * @param message  the datagram; borrowed
 * @return         as weir_transport_sendto()
 * @retval -EINVAL  besides the above: both lease and release, ancillary data
 *                  out of range or unknown to the family, segments on a Unix
 *                  socket, or more than 64 segments
 */
WEIR_API int weir_transport_sendmsg(weir_transport *t,
                                    const struct weir_message *message);

/**
 * Receive datagrams that are sent to a multicast group.
 *
 * @param group      the group's address, its port ignored; borrowed
 * @param source     the only sender to receive from (SSM), borrowed; NULL is
 *                   any
 * @param interface  index of the interface; with 0 the kernel chooses
 * @retval -EINVAL         not a multicast address of the endpoint's family
 * @retval -EADDRINUSE, -EADDRNOTAVAIL it is a member already
 * @retval -ENODEV         no such interface
 * @retval -EBADF          the endpoint is lost
 * @retval -EOPNOTSUPP     the transport is of another kind, or a Unix socket
 */
WEIR_API WEIR_MUST_USE int
weir_transport_join_group(weir_transport *t, const struct weir_address *group,
                          const struct weir_address *source,
                          unsigned int interface);

/**
 * Undo weir_transport_join_group() with the same arguments.
 *
 * @param group      as it was joined; borrowed
 * @param source     as it was joined; borrowed
 * @param interface  as it was joined
 * @return           as weir_transport_join_group()
 * @retval -EADDRNOTAVAIL  it is not a member
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
