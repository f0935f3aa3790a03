/**
 * @file connect_options.h
 * The options of all calls that connect, and the options that servers and
 * connected sockets share with them.
 *
 * The calls are in connect.h, unix.h, pipe.h and stream.h.
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
    /** Keep Nagle's algorithm on; by default TCP_NODELAY is set. */
    bool no_nodelay;
    /** Set SO_KEEPALIVE: when nothing has been received for a time, TCP probes
     * the peer's kernel. If the peer has vanished or restarted, the connection
     * ends with -ETIMEDOUT or -ECONNRESET, even if neither side sends. Default
     * off: such a connection stays unless a time limit ends it (struct
     * weir_timeouts). While sent bytes are not acknowledged there are no
     * probes: the kernel resends the bytes, for about 15 minutes;
     * write_stall_ns ends the connection earlier if more bytes wait. No effect
     * on Unix sockets. */
    bool keep_alive;
    /** Probes in a row without an answer before the connection ends
     * (TCP_KEEPCNT), up to 127; default: the system's value, usually 9. This
     * and the two times below need keep_alive, otherwise -EINVAL. */
    uint32_t keep_alive_count;
    /** The silence before the first probe, in nanoseconds, rounded up to whole
     * seconds, at most 32,767 s (TCP_KEEPIDLE); default: the system's value,
     * usually 2 hours. */
    uint64_t keep_alive_idle_ns;
    /** The time between probes, in nanoseconds, rounded up to whole seconds, at
     * most 32,767 s (TCP_KEEPINTVL); default: the system's value, usually 75
     * s. */
    uint64_t keep_alive_interval_ns;
    /** TCP_NOTSENT_LOWAT in bytes; 0 leaves the system's value. */
    uint32_t notsent_lowat_bytes;
    /** Received bytes that a connection may hold; default 1 MiB. */
    uint64_t read_limit_bytes;
    /** Bytes that may wait to be sent; default 64 MiB; 4 GiB - 1 is no
     * limit. */
    uint64_t write_hard_limit_bytes;
    /** Descriptors that one receive from a Unix socket takes at most, up to
     * WEIR_FDS_MAX, for fds_received of the protocol; further descriptors are
     * closed, with 0 all of them. With a limit each connection makes its own
     * receive calls, which copy the bytes. */
    uint32_t fd_limit;
    /** Time limits. */
    struct weir_timeouts timeouts;
};

/**
 * The end of a connection attempt.
 *
 * @p err is 0 and @p t the new transport (borrowed), after its connection_made;
 * or @p err is negative and @p t NULL. -ECANCELED means weir_pending_cancel(),
 * -ETIMEDOUT a connect time-out, a WEIR_EDNS... code that the name has no
 * address (resolver.h). -EPROTONOSUPPORT and -ENOPROTOOPT mean that Multipath
 * TCP is missing in this kernel or switched off.
 */
typedef void weir_connect_done_fn(void *arg, int err, weir_transport *t);

/** Options of weir_create_connection() and all other calls that connect. */
struct weir_connect_options {
    size_t size;
    /** Fail with -ETIMEDOUT after this time, in nanoseconds, which includes the
     * lookup of the name and a TLS handshake. By default only the lookup is
     * limited, to 10 s, and each attempt by attempt_timeout_ns. */
    uint64_t timeout_ns;
    /** End the attempt on one address after this time, in nanoseconds. By
     * default the kernel ends it after about two minutes, but never for a Unix
     * server that does not accept. */
    uint64_t attempt_timeout_ns;
    /** Start an attempt on the next address if the current attempt has not
     * ended after this time, in nanoseconds; default 250 ms. UINT64_MAX tries
     * one address after the other. */
    uint64_t happy_eyeballs_delay_ns;
    /** Addresses of the first family that are tried before the families
     * alternate; default 1. */
    uint32_t interleave;
    /** Try addresses in their given order; families do not alternate. */
    bool no_interleave;
    /** Use only this family: AF_INET, AF_INET6 or AF_UNIX. 0 means any. */
    int family;
    /** Local address, borrowed; NULL is any. Peers of another family are
     * skipped. */
    const struct weir_address *local_address;
    /** Local port if local_address is NULL; 0 means any. */
    uint16_t local_port;
    /** Memory for a line with the errors of all attempts and of a TLS
     * handshake: "192.0.2.1:80: Connection refused (from 198.51.100.7:40312);
     * ...". The line is written before done is called; held until then. NULL if
     * not wanted. */
    char *error_text;
    /** Bytes of error_text; a longer line is cut. */
    size_t error_text_size;
    /** TLS on the connection (tls_connection.h), borrowed; NULL means no TLS.
     * done is called after the handshake. */
    const struct weir_tls_settings *tls;
    /** IPPROTO_MPTCP for Multipath TCP, if the kernel has it and
     * net.mptcp.enabled is 1; the connection falls back to TCP if the peer does
     * not support it. 0 or IPPROTO_TCP for TCP. Must be 0 if a socket is
     * adopted; if it is not 0, Unix addresses are skipped. An abort of
     * Multipath TCP is a reset since Linux 7.1 (and stable kernels of 2026);
     * before, the peer may see an end of stream. */
    int proto;
    /** TCP Fast Open (RFC 7413): the first bytes are sent with the SYN, a round
     * trip earlier. It is used only for TCP, if there is exactly one address,
     * an earlier connection with this option got a cookie from the server, and
     * net.ipv4.tcp_fastopen has flag 1. Then done is called at once, before the
     * server has answered. The SYN leaves at the end of that loop iteration,
     * with the bytes that were written until then (TLS writes at once), or
     * alone. A connect error, such as -ECONNREFUSED or -ETIMEDOUT of the
     * kernel, ends the connection like other errors; only the time limits of
     * TLS and of the connection apply (write_stall_ns). The server may get the
     * bytes of a SYN twice: repeating them must do no harm. TCPI_OPT_SYN_DATA
     * in tcpi_options of TCP_INFO shows whether they were sent with the SYN.
     * Must be false with IPPROTO_MPTCP, and if a socket is adopted. */
    bool fast_open;
    /** Settings of the connection. */
    struct weir_connection_options connection;
};

WEIR_END_DECLS

#endif
