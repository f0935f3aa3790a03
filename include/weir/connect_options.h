/**
 * @file connect_options.h
 * How a connection is made, and what it starts with: the options of all calls
 * that connect, and those that servers and connected sockets share with them.
 *
 * connect.h, unix.h, pipe.h and stream.h have the calls.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_CONNECT_OPTIONS_H
#define WEIR_CONNECT_OPTIONS_H

#include "address.h"
#include "base.h"
#include "transport.h"

WEIR_BEGIN_DECLS

struct weir_tls_settings;

/** Settings that a new connection starts with. */
struct weir_connection_options {
    size_t size;
    /** Leave Nagle's algorithm on (TCP_NODELAY is set otherwise). */
    bool no_nodelay;
    /** Set SO_KEEPALIVE: when nothing has been received for a time, TCP asks
     * the peer's kernel whether the connection is still there. A peer that
     * vanished or restarted ends it so with -ETIMEDOUT or -ECONNRESET, where
     * neither side sends. Default: off; then such a connection stays, unless a
     * time limit ends it (struct weir_timeouts). While sent bytes are not
     * acknowledged nothing is asked: the kernel repeats them, for about 15
     * minutes; write_stall_ns ends that earlier if more bytes wait. Unix
     * sockets, whose kernel knows each end at once, take no part. */
    bool keep_alive;
    /** How many questions in a row may stay without an answer (TCP_KEEPCNT), up
     * to 127; 0: as the system has it, usually 9. -EINVAL without keep_alive,
     * as for the two times below. */
    uint32_t keep_alive_count;
    /** The silence before the first question, in nanoseconds, in whole seconds
     * rounded up, to 32,767 s (TCP_KEEPIDLE); 0: as the system has it, usually
     * 2 hours. */
    uint64_t keep_alive_idle_ns;
    /** The time from one question to the next, in nanoseconds, in whole seconds
     * rounded up, to 32,767 s (TCP_KEEPINTVL); 0: as the system has it, usually
     * 75 s. */
    uint64_t keep_alive_interval_ns;
    /** TCP_NOTSENT_LOWAT in bytes; 0 leaves the system's value. */
    uint32_t notsent_lowat_bytes;
    /** Received bytes that a connection may hold; default 1 MiB. */
    uint64_t read_limit_bytes;
    /** Bytes that may wait to be sent; default 64 MiB, 4 GiB - 1: no limit. */
    uint64_t write_hard_limit_bytes;
    /** Descriptors that one receive from a Unix socket takes at most, up to
     * WEIR_FDS_MAX, for fds_received of the protocol; further ones are closed.
     * 0: all are closed. With a limit each connection receives by a system
     * call of its own, which copies the bytes. */
    uint32_t fd_limit;
    /** Time limits. */
    struct weir_timeouts timeouts;
};

/**
 * The end of a connection attempt.
 *
 * @p err is 0 and @p t the new transport (borrowed), after its
 * connection_made; or @p err is negative and @p t NULL. -ECANCELED means
 * weir_pending_cancel(), -ETIMEDOUT a connect time-out, a WEIR_EDNS... code
 * that the name has no address (resolver.h). -EPROTONOSUPPORT and -ENOPROTOOPT
 * mean that this kernel has no Multipath TCP, or that it is switched off.
 */
typedef void weir_connect_done_fn(void *arg, int err, weir_transport *t);

/** Options of weir_create_connection() and its like. */
struct weir_connect_options {
    size_t size;
    /** Give up after this time, in nanoseconds: -ETIMEDOUT. It includes the
     * lookup of the name and a TLS handshake. 0: the lookup ends after 10 s,
     * and each attempt after attempt_timeout_ns. */
    uint64_t timeout_ns;
    /** Give one address up after this time, in nanoseconds; 0: when the kernel
     * does, after about two minutes. The kernel never gives up on a Unix server
     * that does not accept. */
    uint64_t attempt_timeout_ns;
    /** The time after which the next address is tried beside an attempt that
     * has not ended, in nanoseconds; default 250 ms, UINT64_MAX: one address is
     * tried after the other. */
    uint64_t happy_eyeballs_delay_ns;
    /** Addresses of the first family that are tried before the families take
     * turns; default 1. */
    uint32_t interleave;
    /** Try addresses in their given order; families do not take turns. */
    bool no_interleave;
    /** AF_INET, AF_INET6 or AF_UNIX to insist on one; 0: any. */
    int family;
    /** Own address, borrowed; NULL: any. Peers of another family are left
     * out. */
    const struct weir_address *local_address;
    /** Own port, where local_address is NULL; 0: any. */
    uint16_t local_port;
    /** Memory for a line with the errors of all attempts and of a TLS
     * handshake: "192.0.2.1:80: Connection refused (from 198.51.100.7:40312);
     * ...". The line is written before done is called; held until then. NULL:
     * not wanted. */
    char *error_text;
    /** Bytes of error_text; a longer line is cut. */
    size_t error_text_size;
    /** TLS on the connection (tls_connection.h), borrowed; NULL: none. done is
     * called after the handshake. */
    const struct weir_tls_settings *tls;
    /** IPPROTO_MPTCP: Multipath TCP, if the kernel has it and
     * net.mptcp.enabled is 1; with a peer that does not speak it the connection
     * is plain TCP. 0 or IPPROTO_TCP: TCP. Must be 0 if a socket is adopted; if
     * it is not 0, Unix addresses are left out. An abort of Multipath TCP is a
     * reset since Linux 7.1 (and stable kernels of 2026); before, the peer may
     * see an end of stream. */
    int proto;
    /** TCP Fast Open (RFC 7413): the first bytes go with the SYN, a round trip
     * earlier. It takes one address to connect to (of a name or a list with
     * more, none is tried so), a server that has been connected to before with
     * this option and has given a cookie, and net.ipv4.tcp_fastopen with 1 in
     * it; otherwise, and for Unix sockets, the connection is made as without
     * it. Then done comes at once, and tells nothing of the server. The SYN
     * leaves at the end of that turn, with the bytes that were written until
     * then (TLS writes at once), or alone. An error of connecting, such as
     * -ECONNREFUSED, or -ETIMEDOUT of the kernel, ends the connection as other
     * errors do; of the time limits only those of TLS and of the connection
     * hold (write_stall_ns). The server may get the bytes of a SYN twice:
     * repeating them must do no harm. Whether they went with the SYN is
     * TCPI_OPT_SYN_DATA in tcpi_options of TCP_INFO. It must be false with
     * IPPROTO_MPTCP, and if a socket is adopted. */
    bool fast_open;
    /** Settings of the connection. */
    struct weir_connection_options connection;
};

WEIR_END_DECLS

#endif
