/**
 * @file datagram.h
 * Datagram endpoints: UDP over IPv4 and IPv6, and Unix datagram sockets.
 *
 * An endpoint is a transport whose protocol is of the datagram kind:
 *
 *     connection_made  ( datagram_received | error_received )*  connection_lost
 *
 * **Receiving.** datagram_received is called once for each datagram, even an
 * empty one. The bytes are borrowed, and may be kept with weir_buf_keep().
 * While the program keeps as many bytes as its limit allows, or has paused
 * reading, the kernel's queue fills up, and the kernel drops further datagrams;
 * weir_transport_get_datagram_counts() tells how many.
 *
 * **Sending.** Datagrams are queued and leave together at the end of the loop's
 * turn, in order. pause_writing and resume_writing follow the marks of
 * weir_transport_set_write_buffer_limits(); in the queue each datagram counts
 * WEIR_DATAGRAM_COST bytes more than its length. Datagrams wait while the
 * kernel has no room, and none is lost. The loop's thread looks up the path of
 * a Unix peer for each datagram, and the paths that an endpoint is bound and
 * connected to, and waits for the file system.
 *
 * **Errors.** One datagram's error does not end an endpoint: error_received
 * reports a destination that refuses (ICMP), a datagram that is too long or a
 * missing route, and the next datagram is sent. Only a callback that fails, an
 * abort or an unusable descriptor ends the endpoint. The kernel reports no
 * refusal to an endpoint without a remote address, unless the program has set
 * IP_RECVERR, or IPV6_RECVERR, on its socket (weir_transport_get_socket()):
 * then error_received gets each refusal, with the peer that has refused.
 *
 * **Descriptors** of a Unix peer are refused: since Linux 6.16 the peer's send
 * fails with EPERM. Before, threads close the descriptors (unix.h); the
 * endpoint then receives one datagram by each system call, and none during a
 * close. A thread also closes the endpoint's own socket, soon after
 * connection_lost, or later if descriptors lie in it; until then the socket's
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
#include "pending.h"
#include "place.h"
#include "protocol.h"
#include "transport.h"

WEIR_BEGIN_DECLS

/** Bytes that a datagram in the send queue counts besides its own. */
#define WEIR_DATAGRAM_COST 64

/** The longest datagram that is received unless the options say otherwise, and
 * the longest that they may ask for. */
#define WEIR_DATAGRAM_SIZE_MAX 65536

/** The facts that can accompany a datagram; bits of weir_ancillary.has and
 * weir_datagram_options.ancillary. */
enum weir_ancillary_bits {
    /** The own address and the interface. */
    WEIR_ANCILLARY_LOCAL = 1 << 0,
    /** Type of service (IPv4) or traffic class (IPv6). */
    WEIR_ANCILLARY_TOS = 1 << 1,
    /** Time to live (IPv4) or hop limit (IPv6). */
    WEIR_ANCILLARY_TTL = 1 << 2,
    /** When the kernel received it; of received datagrams only. */
    WEIR_ANCILLARY_TIMESTAMP = 1 << 3,
};

/** Facts about a datagram besides its bytes and the peer. */
struct weir_ancillary {
    /** sizeof(struct weir_ancillary); the library sets that of a received one.
     */
    size_t size;
    /** Which of the fields are set: weir_ancillary_bits. */
    uint32_t has;
    /** Index of the interface it arrived on, or leaves by; 0: any. */
    unsigned int interface;
    /** The own address, without a port: where it was sent to, or its source. A
     * len of 0 in a datagram to be sent leaves the choice to the kernel. */
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
    /** It was longer than there was room for: the end is missing. */
    WEIR_DATAGRAM_TRUNCATED = 1 << 0,
};

/** A received datagram, or with GRO a train of them. */
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
     * shorter. 0: this is one datagram. */
    uint32_t segment_bytes;
    /** The facts that the options ask for; NULL: none. */
    const struct weir_ancillary *ancillary;
    /** The sender; its len is 0 for a Unix socket without a name. */
    struct weir_address peer;
};

/** A datagram to be sent by weir_transport_sendmsg(). */
struct weir_message {
    size_t size;
    /** The bytes. */
    const void *data;
    /** How many, in bytes. */
    size_t len;
    /** Where to; NULL: the remote address of the endpoint. */
    const struct weir_address *address;
    /** The lease that keeps the bytes alive, so that they are not copied; a
     * reference is taken. NULL: there is none. */
    weir_lease *lease;
    /** Not NULL: the bytes are not copied either, and the function is called
     * when the library no longer needs them, unless the call fails. */
    weir_release_fn *release;
    /** First argument of release. */
    void *release_arg;
    /** Send a train: the kernel cuts the bytes into datagrams of this length
     * (UDP GSO); the last one may be shorter. 0: one datagram. */
    uint32_t segment_bytes;
    /** Facts to be set: LOCAL, TOS and TTL, as far as `has` names them;
     * borrowed. NULL: none. */
    const struct weir_ancillary *ancillary;
};

/** How many datagrams went through an endpoint. */
struct weir_datagram_counts {
    size_t size;
    /** Calls of datagram_received, trains counted once. */
    uint64_t received;
    /** Datagrams that the kernel took, trains counted once. */
    uint64_t sent;
    /** Datagrams that the kernel received and dropped, because its queue was
     * full or a checksum wrong. 0 if the kernel does not tell. */
    uint64_t dropped_by_kernel;
    /** Received datagrams that the library dropped without memory. */
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
typedef void weir_endpoint_done_fn(void *arg, int err, weir_transport *t);

/** Options of weir_create_datagram_endpoint() and its like. */
struct weir_datagram_options {
    size_t size;
    /** AF_INET, AF_INET6 or AF_UNIX: the family, needed if there is no address;
     * 0: the family of the addresses. */
    int family;
    /** Own address, a name or a literal one; NULL: any. */
    const char *local_host;
    /** Own port; 0: the kernel chooses. */
    uint16_t local_port;
    /** Port of the peer. */
    uint16_t remote_port;
    /** Address of the peer, a name or a literal one. The socket is connected
     * to the peer: datagrams of others are not received, and ICMP errors are
     * reported. With allow_broadcast the socket is not connected; the address
     * is only the default of sendto, and a name is looked up for IPv4. NULL:
     * none. */
    const char *remote_host;
    /** Set SO_REUSEPORT: several endpoints share the own address. Nothing on
     * Unix sockets. */
    bool reuse_port;
    /** Set SO_BROADCAST: datagrams may be sent to broadcast addresses. */
    bool allow_broadcast;
    /** Let the kernel join datagrams of one sender that arrive together into
     * trains (UDP GRO); see weir_datagram.segment_bytes. */
    bool join_segments;
    /** Which facts come with each datagram: sum of weir_ancillary_bits. */
    uint32_t ancillary;
    /** Longer datagrams are truncated; default and limit are
     * WEIR_DATAGRAM_SIZE_MAX. A train may be longer, as the limit is that of
     * each datagram in it; one of longer datagrams comes as single datagrams,
     * each truncated. */
    uint32_t size_limit_bytes;
    /** SO_RCVBUF in bytes; 0 leaves the system's value. */
    uint32_t receive_buffer_bytes;
    /** SO_SNDBUF in bytes; 0 leaves the system's value. */
    uint32_t send_buffer_bytes;
    /** Received bytes that the program may keep; default 1 MiB. */
    uint64_t read_limit_bytes;
    /** Bytes that may wait to be sent; default 64 MiB, 4 GiB - 1: no limit. */
    uint64_t write_hard_limit_bytes;
    /** From close to the loss, in nanoseconds: then waiting datagrams are
     * dropped, WEIR_ECLOSETIMEOUT. 0: no limit; a Unix peer that does not read
     * delays the close. */
    uint64_t close_timeout_ns;
    /** Unix sockets without a remote address: the time that a datagram may wait
     * for room at its peer, in nanoseconds from when it was queued. Then it is
     * dropped, and error_received gets -ETIMEDOUT, so that a peer that does not
     * read delays datagrams for others no longer. But the kernel counts unread
     * datagrams of all peers against this socket's send buffer (choose
     * SO_SNDBUF for that); when the buffer is full, datagrams for all peers
     * wait, and are dropped. 0: no limit. */
    uint64_t peer_wait_ns;
};

/**
 * Make a datagram endpoint; asyncio's create_datagram_endpoint.
 *
 * Without an own address an IPv4 or IPv6 socket gets a free port, on all
 * addresses or on the address that leads to the peer. With a local_port alone
 * the socket is one of IPv6 that also takes IPv4, unless the family or the peer
 * says otherwise. No answer reaches a Unix socket without an own address.
 *
 * A host name is looked up once (resolver.h). Its addresses are tried in order,
 * IPv6 first, and the endpoint uses the first address that a socket can be
 * bound or connected to. If there is none, done gets the error of the first
 * address, or the error of the lookup, which ends after 10 s. Connecting a
 * datagram socket sends nothing to the peer: if the peer serves one family
 * only, set family. An own address that is in use is tried again for two
 * seconds, as by weir_create_server(). weir_pending_get_attempt() has the
 * addresses that were tried.
 *
 * @param factory  called when the socket is ready; copied. Its protocol must be
 *                 of the datagram kind
 * @param options  borrowed; at least a family, a host or a port
 * @param done     called once, when the endpoint is there or could not be made;
 *                 may be NULL when no handle is asked for
 * @retval WEIR_EDNSBADNAME  a host is neither an address nor a host name
 * @retval -EINVAL      no factory, neither a host nor a family nor a port,
 *                      hosts of two families, a limit out of range, facts that
 *                      the family does not have, or a handle without done
 * @retval -EAFNOSUPPORT  the family is neither IPv4, IPv6 nor Unix
 */
WEIR_API WEIR_MUST_USE int weir_create_datagram_endpoint(
    weir_loop *loop, const struct weir_factory *factory,
    const struct weir_datagram_options *options, weir_endpoint_done_fn *done,
    void *done_arg, weir_pending **ret);

/**
 * Make a datagram endpoint at a place, or of a socket, bound and connected as
 * it is.
 *
 * @param factory  as in weir_create_datagram_endpoint()
 * @param local    the own place: a host, one address, a Unix socket, whose file
 *                 that no process is bound to is removed first and whose own
 *                 file stays, or a datagram socket. weir_place_none(): see
 *                 there; the host NULL with a port: all addresses
 * @param remote   the place of the peer: a host, one address or a Unix socket;
 *                 weir_place_none(): none
 * @param options  borrowed, without hosts and ports; NULL for all defaults
 * @param done     as in weir_create_datagram_endpoint()
 * @return         as weir_create_datagram_endpoint()
 * @retval -EBADF   no descriptor that is open
 * @retval -EINVAL  an invalid address, addresses of two families, several
 *                  addresses of one side, hosts or ports in the options, a host
 *                  for a Unix socket, no datagram socket or one of another
 *                  family than was asked for, a socket and a peer, or as
 *                  weir_create_datagram_endpoint()
 */
WEIR_API WEIR_MUST_USE int weir_create_datagram_endpoint_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_place local, struct weir_place remote,
    const struct weir_datagram_options *options, weir_endpoint_done_fn *done,
    void *done_arg, weir_pending **ret);

/**
 * Send a copy of a datagram, perhaps an empty one.
 *
 * It leaves at the end of this turn of the loop, in order with all others. May
 * call pause_writing before it returns. error_received reports later failures,
 * a refusal by the peer for one. While a close sends what waits, datagrams are
 * refused, except from inside resume_writing.
 *
 * As they leave in order, those for one Unix peer whose queue is full hold up
 * those for others, for peer_wait_ns at most. Letting those for others pass
 * would help little: the marks and the hard limit count the whole endpoint, and
 * a peer that never reads would fill it in the end. A server of peers that it
 * does not trust sets the limit; one that must lose nothing has an endpoint for
 * each peer, with a remote address.
 *
 * @param data  the bytes; borrowed, NULL only where there are none
 * @param len   how many
 * @param addr  where to, borrowed; NULL: the remote address of the endpoint
 * @return      0 when accepted, 1 when accepted and writing is paused: more
 *              should wait for resume_writing; or a negative error, then
 *              nothing was taken
 * @retval -EINVAL        the endpoint has a remote address and @p addr is
 *                        another one, or @p addr is no address, or @p data is
 *                        NULL
 * @retval -EDESTADDRREQ  no address, and the endpoint has none
 * @retval -EAFNOSUPPORT  @p addr is of another family than the endpoint
 * @retval -EMSGSIZE      longer than any datagram can be
 * @retval -ESHUTDOWN     after close or abort
 * @retval -EPIPE         the endpoint is broken, see
 *                        weir_transport_get_error()
 * @retval -ENOBUFS       more than the hard limit would wait
 * @retval -ENOMEM        no memory for the copy
 * @retval -EOPNOTSUPP    the transport is of another kind
 */
WEIR_API int weir_transport_sendto(weir_transport *t, const void *data,
                                   size_t len, const struct weir_address *addr);

/**
 * Send a datagram with all that can be said about it: without a copy, as a
 * train, with facts of its own. Otherwise as weir_transport_sendto().
 *
 * @param message  the datagram; borrowed
 * @return         as weir_transport_sendto()
 * @retval -EINVAL  besides the above: both lease and release, a
 *                  fact out of range or one that the family does not have,
 *                  segments on a Unix socket, or more than 64 of them
 */
WEIR_API int weir_transport_sendmsg(weir_transport *t,
                                    const struct weir_message *message);

/**
 * Receive what is sent to a multicast group.
 *
 * @param group      the group's address, its port ignored; borrowed
 * @param source     the only sender to receive from (SSM), borrowed; NULL: any
 * @param interface  index of the interface; 0: the kernel chooses
 * @retval -EINVAL         no multicast address, or not of the endpoint's family
 * @retval -EADDRINUSE, -EADDRNOTAVAIL  it is a member already
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
 * @retval -EADDRNOTAVAIL  it is no member
 */
WEIR_API WEIR_MUST_USE int
weir_transport_leave_group(weir_transport *t, const struct weir_address *group,
                           const struct weir_address *source,
                           unsigned int interface);

/**
 * How many datagrams went through the endpoint.
 *
 * @param ret  the counts, written on success only
 * @retval -EOPNOTSUPP  the transport is of another kind
 */
WEIR_API WEIR_MUST_USE int
weir_transport_get_datagram_counts(const weir_transport *t,
                                   struct weir_datagram_counts *ret);

WEIR_END_DECLS

#endif
