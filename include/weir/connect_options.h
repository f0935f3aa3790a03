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
    /** Do not set TCP_NODELAY, so that Nagle's algorithm stays on. By default
     * TCP_NODELAY is set. */
    bool no_nodelay;
    /** Set SO_KEEPALIVE: when nothing has been received for a time, TCP probes
     * the peer's kernel. If the peer has vanished or restarted, the connection
     * ends with -ETIMEDOUT or -ECONNRESET, even if neither side sends. By
     * default this is off, and such a connection stays open unless a time limit
     * ends it (struct weir_timeouts). While sent bytes are not acknowledged
     * there are no probes: the kernel resends the bytes, for about 15 minutes.
     * If more bytes wait, write_stall_ns ends the connection earlier. The
     * option has no effect on Unix sockets. */
    bool keep_alive;
    /** Number of probes in a row without an answer after which the connection
     * ends (TCP_KEEPCNT), at most 127; default: the system's value, usually 9.
     * Without keep_alive this option, keep_alive_idle_ns and
     * keep_alive_interval_ns are refused with -EINVAL. */
    uint32_t keep_alive_count;
    /** Time without received bytes before the first probe (TCP_KEEPIDLE), in
     * nanoseconds, rounded up to whole seconds, at most 32,767 s; default: the
     * system's value, usually 2 hours. */
    uint64_t keep_alive_idle_ns;
    /** Time between two probes (TCP_KEEPINTVL), in nanoseconds, rounded up to
     * whole seconds, at most 32,767 s; default: the system's value, usually 75
     * s. */
    uint64_t keep_alive_interval_ns;
    /** The value of TCP_NOTSENT_LOWAT, in bytes; 0 leaves the system's
     * value. */
    uint32_t notsent_lowat_bytes;
    /** Number of received bytes that the connection may hold; default 1 MiB. */
    uint64_t read_limit_bytes;
    /** Number of bytes that may wait to be sent; default 64 MiB; 4 GiB - 1 is
     * no limit. */
    uint64_t write_hard_limit_bytes;
    /** Maximum number of descriptors that one receive from a Unix socket
     * accepts, at most WEIR_FDS_MAX; the protocol's fds_received gets them.
     * Further descriptors are closed; with 0 all descriptors are closed. If
     * this is not 0, each connection makes its own receive calls, which copy
     * the bytes. */
    uint32_t fd_limit;
    /** Time limits. */
    struct weir_timeouts timeouts;
};

/**
 * Called when an operation that connects has ended.
 *
 * After a success @p err is 0, and @p t is the new transport, borrowed, whose
 * connection_made was called. After a failure @p err is negative, and @p t is
 * NULL. -ECANCELED means that weir_pending_cancel() was called, -ETIMEDOUT that
 * the connect has timed out, and a WEIR_EDNS... code that the lookup of the
 * name has failed (resolver.h). -EPROTONOSUPPORT and -ENOPROTOOPT mean that
 * this kernel has no Multipath TCP, or that it is switched off.
 */
typedef void weir_connect_done_fn(void *arg, int err, weir_transport *t);

/** Options of weir_create_connection() and all other calls that connect. */
struct weir_connect_options {
    size_t size;
    /** Maximum duration of the whole operation, including the lookup of the
     * name and a TLS handshake, in nanoseconds; then it fails with -ETIMEDOUT.
     * By default there are only two limits: 10 s for the lookup, and
     * attempt_timeout_ns for each attempt. */
    uint64_t timeout_ns;
    /** Maximum duration of the attempt on one address, in nanoseconds. By
     * default the kernel ends an attempt after about two minutes; an attempt to
     * connect to a Unix server that does not accept never ends. */
    uint64_t attempt_timeout_ns;
    /** Start an attempt on the next address if the current attempt has not
     * ended after this time, in nanoseconds; default 250 ms. With UINT64_MAX
     * the next attempt starts only when the current one has failed. */
    uint64_t happy_eyeballs_delay_ns;
    /** Number of addresses of the first family that are tried before the
     * families alternate; default 1. */
    uint32_t interleave;
    /** Try addresses in their given order; families do not alternate. */
    bool no_interleave;
    /** Use only this family: AF_INET, AF_INET6 or AF_UNIX. 0 means any. */
    int family;
    /** Local address, borrowed; NULL means any. Addresses of the peer that have
     * another family are skipped. */
    const struct weir_address *local_address;
    /** Local port if local_address is NULL; 0 means any. */
    uint16_t local_port;
    /** Memory for a line with the errors of all attempts and of a TLS
     * handshake, such as "192.0.2.1:80: Connection refused (from
     * 198.51.100.7:40312); ...". The line is written before @c done is called,
     * and the memory is held until then. May be NULL. */
    char *error_text;
    /** Size of error_text in bytes; a longer line is cut. */
    size_t error_text_size;
    /** TLS settings of the connection (tls_connection.h), borrowed; NULL means
     * no TLS. With TLS @c done is called after the handshake. */
    const struct weir_tls_settings *tls;
    /** The protocol of the socket: 0 or IPPROTO_TCP for TCP, IPPROTO_MPTCP for
     * Multipath TCP. Multipath TCP needs a kernel with net.mptcp.enabled = 1,
     * and falls back to TCP if the peer does not support it. proto must be 0
     * with an existing socket; if it is not 0, Unix addresses are skipped. An
     * abort of Multipath TCP is a reset since Linux 7.1 and in stable kernels
     * of 2026; with earlier kernels the peer may see an end of stream. */
    int proto;
    /** Use TCP Fast Open (RFC 7413): send the first bytes with the SYN, a round
     * trip earlier. It is used only for TCP, if there is exactly one address,
     * an earlier connection with this option got a cookie from the server, and
     * net.ipv4.tcp_fastopen has flag 1. It must be false with IPPROTO_MPTCP and
     * with an existing socket.
     *
     * With Fast Open @c done is called at once, before the server has answered.
     * The SYN is sent at the end of that loop iteration, with the bytes that
     * were written until then, if there are any; TLS writes its first bytes at
     * once. So a connect error, such as -ECONNREFUSED or the kernel's
     * -ETIMEDOUT, ends the connection like other errors. Only the time limits
     * of TLS and of the connection (write_stall_ns) apply.
     *
     * The server may get the bytes of a SYN twice, so repeating them must do no
     * harm. TCPI_OPT_SYN_DATA in tcpi_options of TCP_INFO shows whether they
     * were sent with the SYN. */
    bool fast_open;
    /** Settings of the connection. */
    struct weir_connection_options connection;
};

WEIR_END_DECLS

#endif
