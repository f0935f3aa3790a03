/**
 * @file upstream_check.h
 * Active health checks of the upstreams of a set (upstream.h): their protocol,
 * their interval, and the number of results that change a state.
 *
 * In libweir-proxy (pkg-config weir-proxy).
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_UPSTREAM_CHECK_H
#define WEIR_UPSTREAM_CHECK_H

#include "base.h"
#include "endpoint.h"
#include "proxy_protocol.h"

WEIR_BEGIN_DECLS

/** Bytes of the text of weir_upstream_statistics.check_reason. */
#define WEIR_UPSTREAM_CHECK_REASON_SIZE 128

/** An upstream; it belongs to its set (upstream.h). */
typedef struct weir_upstream weir_upstream;

/** Kinds of checks. */
enum weir_upstream_check_kind {
    /** Connect, without TLS. */
    WEIR_UPSTREAM_CHECK_TCP = 0,
    /** Connect, and complete a TLS handshake. */
    WEIR_UPSTREAM_CHECK_TLS,
    /** Connect, send bytes, and expect bytes, once or several times. */
    WEIR_UPSTREAM_CHECK_TEXT,
    /** Connect, send a GET request (HTTP/1.1, Connection: close), and check the
     * status of the final response. */
    WEIR_UPSTREAM_CHECK_HTTP,
    /** Log in to PostgreSQL, without TLS: it is a success if the server
     * requests a password, which is not sent, or accepts the user. */
    WEIR_UPSTREAM_CHECK_POSTGRES,
    /** Log in to MySQL or MariaDB, without TLS, as a user without a password,
     * and leave with COM_QUIT: such a server counts connections that end before
     * the login, and finally blocks the client's address. */
    WEIR_UPSTREAM_CHECK_MYSQL,
};

/** Maximum number of steps of a dialogue. */
#define WEIR_UPSTREAM_CHECK_STEPS_MAX 64
/** Maximum length of a user name, in bytes. */
#define WEIR_UPSTREAM_CHECK_USER_MAX 128

/** A step of a dialogue: bytes are sent, and then bytes are expected. */
struct weir_upstream_check_step {
    /** Bytes to send, or NULL. Bytes that were received before are skipped. */
    const void *send;
    /** Number of bytes to send. */
    size_t send_size;
    /** Bytes that the response must have, after the bytes that the previous
     * step has matched; NULL does not wait for a response. */
    const void *expect;
    /** Number of bytes in expect. */
    size_t expect_size;
    /** The bytes may be anywhere in the response; otherwise at its
     * beginning. */
    bool expect_anywhere;
};

/**
 * Get the name of a kind of checks, for configurations.
 *
 * @param kind  the kind; kinds are numbered from 0
 * @return      the end of the constant in lower case, such as "tcp"; NULL for
 *              an unknown kind
 * @thread any
 */
WEIR_API const char *
weir_upstream_check_kind_get_name(enum weir_upstream_check_kind kind);

/**
 * Find a kind of checks by its name.
 *
 * @param name  the name; borrowed
 * @param ret   the kind
 * @retval -EINVAL  no kind has this name
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_upstream_check_kind_parse(const char *name,
                               enum weir_upstream_check_kind *ret);

/**
 * Active checks of upstreams.
 *
 * Each upstream is checked as soon as it is added, and again after each
 * interval. At most one check of an upstream is under way. Of several sets with
 * the same weir_upstreams_shared and equal checks one set makes them.
 * WEIR_UPSTREAM_CHECK_TEXT and WEIR_UPSTREAM_CHECK_HTTP use the upstream's TLS
 * settings, if it has any.
 *
 * A check that cannot be made because descriptors, memory, buffers, threads,
 * ports or a local address are missing does not change the state: it is counted
 * and reported as skipped, and repeated after 100 ms, then after up to a
 * second, or after the interval if it is shorter.
 *
 * A response is wrong when its first bytes differ from the expected ones, when
 * the peer ends it, when it reaches the limit, or, if bytes are expected
 * anywhere, when nothing more was received for an eighth of the time-out. After
 * a right or wrong response the check ends its stream and reads for up to a
 * second more, so that the peer sees no reset. WEIR_UPSTREAM_CHECK_TCP and
 * WEIR_UPSTREAM_CHECK_TLS, and checks without a response, end with a reset.
 *
 * Invalid are an unknown kind, bytes to send or to expect that are NULL, more
 * bytes to expect than the limit, a limit below 12 for HTTP, min_status above
 * max_status, an empty path, a path or a host with a blank or a control
 * character, no_tls with WEIR_UPSTREAM_CHECK_TLS, too many steps, steps
 * together with send or expect, a login without a user, and an endpoint
 * together with a port or of several addresses.
 */
struct weir_upstream_check {
    size_t size;
    /** The kind of the checks. */
    enum weir_upstream_check_kind kind;
    /** The time from the end of a check to the next one, in nanoseconds,
     * randomly varied by up to a tenth; 0 means no checks. */
    uint64_t interval_ns;
    /** The time after which a check has failed, in nanoseconds; default 2 s. */
    uint64_t timeout_ns;
    /** Checks in a row that must succeed before an upstream that is down is up;
     * default 2. */
    uint32_t rise;
    /** Checks in a row that must fail before an upstream that is up is down;
     * default 3. */
    uint32_t fall;
    /** A new upstream is not chosen until its first check, whose result sets
     * the state; requests wait for it, but no longer than timeout_ns, unless
     * another upstream of the same or a higher rank
     * (weir_upstream_options.is_backup) is up; with WEIR_BALANCE_FIRST, one
     * that was added before it. By default a new upstream is up. */
    bool starts_down;
    /** WEIR_UPSTREAM_CHECK_TEXT: the bytes may be anywhere in the response. */
    bool expect_anywhere;
    /** WEIR_UPSTREAM_CHECK_TEXT: bytes to send, copied, or NULL. */
    const void *send;
    /** Number of bytes to send. */
    size_t send_size;
    /** WEIR_UPSTREAM_CHECK_TEXT: bytes that the response must have, copied;
     * NULL means any byte. */
    const void *expect;
    /** Number of bytes in expect. */
    size_t expect_size;
    /** Bytes of a response that are checked; default 4096, for
     * WEIR_UPSTREAM_CHECK_TEXT 16384; for HTTP at least 12. */
    uint32_t limit_bytes;
    /** WEIR_UPSTREAM_CHECK_HTTP: the path, copied; default "/". */
    const char *path;
    /** WEIR_UPSTREAM_CHECK_HTTP: the Host of the request, copied; default the
     * server_hostname of the upstream's TLS settings, or its host or address,
     * with the port unless that is 80, or 443 with TLS; or "localhost" for a
     * Unix socket. */
    const char *host;
    /** WEIR_UPSTREAM_CHECK_HTTP: the lowest status of a success; default 200.
     */
    uint32_t min_status;
    /** WEIR_UPSTREAM_CHECK_HTTP: the highest status of a success; default 399.
     */
    uint32_t max_status;
    /** The port to connect to, at the upstream's addresses; default the
     * upstream's. If set, weir_upstreams_add() refuses a Unix socket. */
    uint16_t port;
    /** WEIR_UPSTREAM_CHECK_TEXT, WEIR_UPSTREAM_CHECK_HTTP: without TLS, even if
     * the upstream has TLS settings. */
    bool no_tls;
    /** WEIR_UPSTREAM_CHECK_TEXT: the steps of a dialogue, in order, copied with
     * their bytes, instead of send and expect; may be NULL. */
    const struct weir_upstream_check_step *steps;
    /** Number of steps, at most WEIR_UPSTREAM_CHECK_STEPS_MAX. */
    size_t step_count;
    /** WEIR_UPSTREAM_CHECK_POSTGRES, WEIR_UPSTREAM_CHECK_MYSQL: the name of the
     * user, copied, of at most WEIR_UPSTREAM_CHECK_USER_MAX bytes. */
    const char *user;
    /** The time to the next check after a result that contradicts the state, in
     * nanoseconds, randomly varied by up to a tenth; default interval_ns. */
    uint64_t fast_ns;
    /** The version of a PROXY header that is sent first, before TLS; default no
     * header. Version 2 is LOCAL, version 1 has the two addresses of the
     * check. */
    enum weir_proxy_version proxy_version;
    /** The endpoint that checks connect to, copied: a host, one address or a
     * Unix socket. Default: the upstream's, with @c port. */
    struct weir_endpoint endpoint;
};

/**
 * Called when a check of an upstream could not be made because a local resource
 * was missing; only for the first of several in a row. Called from the loop.
 * The function may change the set, and may free it.
 *
 * @param arg       the changed_arg of the options
 * @param upstream  the upstream, whose state has not changed; borrowed
 * @param err       the error, for example -EMFILE
 */
typedef void weir_upstream_check_skipped_fn(void *arg, weir_upstream *upstream,
                                            int err);

WEIR_END_DECLS

#endif
