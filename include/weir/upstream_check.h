/**
 * @file upstream_check.h
 * Active health checks of the upstreams of a set (upstream.h): their protocol,
 * their interval, and the number of results that change a state.
 *
 * These functions are in libweir-proxy (pkg-config weir-proxy).
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

/** Size of the text weir_upstream_statistics.check_reason, with the NUL. */
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
    /** Log in to PostgreSQL, without TLS. The check succeeds if the server
     * requests a password, which is not sent, or accepts the user. */
    WEIR_UPSTREAM_CHECK_POSTGRES,
    /** Log in to MySQL or MariaDB, without TLS, as a user without a password,
     * and end with COM_QUIT. The login is necessary, because these
     * servers count connections that end before the login, and finally block
     * the client's address. */
    WEIR_UPSTREAM_CHECK_MYSQL,
};

/** Maximum number of steps of a check. */
#define WEIR_UPSTREAM_CHECK_STEPS_MAX 64
/** Maximum length of a user name, in bytes. */
#define WEIR_UPSTREAM_CHECK_USER_MAX 128

/** One step of a check with several requests: bytes are sent, and then bytes
 * are expected. */
struct weir_upstream_check_step {
    /** Bytes to send; may be NULL. If there are some, bytes that were received
     * before are skipped. */
    const void *send;
    /** Number of bytes to send. */
    size_t send_size;
    /** Bytes that the response must have, after the bytes that the previous
     * step has matched. With NULL the step does not wait for a response. */
    const void *expect;
    /** Number of bytes in expect. */
    size_t expect_size;
    /** Accept the bytes anywhere in the response. By default the response must
     * begin with them. */
    bool expect_anywhere;
};

/**
 * Get the name of a kind of checks, for configurations.
 *
 * @param kind  the kind; kinds are numbered from 0
 * @return      the last word of the constant in lower case, such as "tcp"; NULL
 *              for an unknown kind
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
 * interval. At most one check of an upstream is under way. If several sets with
 * the same weir_upstreams_shared have equal checks, one of the sets makes them.
 * WEIR_UPSTREAM_CHECK_TEXT and WEIR_UPSTREAM_CHECK_HTTP use the upstream's TLS
 * settings, if it has any.
 *
 * A check cannot be made if this machine has no free descriptors, memory,
 * buffers, threads or ports, or does not have the local address. Such a check
 * does not change the state. It is counted and reported as skipped. It is
 * repeated after 100 ms, and then at intervals of up to a second, or of
 * interval_ns if that is shorter.
 *
 * A response is wrong when its first bytes differ from the expected bytes, and
 * when it ends or reaches limit_bytes without the expected bytes. With
 * expect_anywhere it is also wrong when nothing more was received for an eighth
 * of the time-out. After a right or a wrong response the check ends its stream
 * and reads for up to a second more, so that the peer sees no reset.
 * WEIR_UPSTREAM_CHECK_TCP and WEIR_UPSTREAM_CHECK_TLS, and checks without a
 * response, end with a reset.
 *
 * These checks are invalid:
 * - the kind is unknown;
 * - send or expect is NULL with a size above 0, or expect has more bytes than
 *   limit_bytes;
 * - for HTTP: limit_bytes is below 12, min_status is above max_status, the path
 *   is empty, or the path or the host has a blank or a control character;
 * - no_tls is set with WEIR_UPSTREAM_CHECK_TLS;
 * - there are too many steps, or steps together with send or expect;
 * - a login has no user;
 * - there is an endpoint together with a port, or an endpoint of several
 *   addresses.
 */
struct weir_upstream_check {
    size_t size;
    /** The kind of the checks. */
    enum weir_upstream_check_kind kind;
    /** Time from the end of a check to the start of the next one, in
     * nanoseconds, randomly varied by up to a tenth; 0 means no checks. */
    uint64_t interval_ns;
    /** Maximum duration of a check, in nanoseconds; then it has failed. Default
     * 2 s. */
    uint64_t timeout_ns;
    /** Number of successful checks in a row after which an upstream that is
     * down is up again; default 2. */
    uint32_t rise;
    /** Number of failed checks in a row after which an upstream that is up is
     * down; default 3. */
    uint32_t fall;
    /** Do not choose a new upstream before its first check has ended; the
     * result of this check sets the state. By default a new upstream is up at
     * once. Requests wait for the first check, but no longer than timeout_ns.
     * They do not wait if they can use another upstream that is up: a backup
     * only if the new upstream is a backup, too
     * (weir_upstream_options.is_backup), and with WEIR_BALANCE_FIRST only an
     * upstream that was added earlier. */
    bool starts_down;
    /** WEIR_UPSTREAM_CHECK_TEXT: accept the expected bytes anywhere in the
     * response. By default the response must begin with them. */
    bool expect_anywhere;
    /** WEIR_UPSTREAM_CHECK_TEXT: bytes to send, copied; may be NULL. */
    const void *send;
    /** Number of bytes to send. */
    size_t send_size;
    /** WEIR_UPSTREAM_CHECK_TEXT: bytes that the response must have, copied;
     * NULL means any byte. */
    const void *expect;
    /** Number of bytes in expect. */
    size_t expect_size;
    /** Number of bytes of a response that are checked; default 16384 for
     * WEIR_UPSTREAM_CHECK_TEXT, 4096 otherwise; at least 12 for
     * WEIR_UPSTREAM_CHECK_HTTP. */
    uint32_t limit_bytes;
    /** WEIR_UPSTREAM_CHECK_HTTP: the path to request, copied; default "/". */
    const char *path;
    /** WEIR_UPSTREAM_CHECK_HTTP: the Host field of the request, copied. The
     * default is the server_hostname of the upstream's TLS settings, or else
     * the upstream's host or address. The port is added to the default, unless
     * it is 80, or 443 with TLS. For a Unix socket the default is "localhost".
     */
    const char *host;
    /** WEIR_UPSTREAM_CHECK_HTTP: the lowest status that is a success; default
     * 200. */
    uint32_t min_status;
    /** WEIR_UPSTREAM_CHECK_HTTP: the highest status that is a success; default
     * 399. */
    uint32_t max_status;
    /** The port to connect to, at the upstream's addresses; default the
     * upstream's port. With a Unix socket weir_upstreams_add() refuses a
     * port. */
    uint16_t port;
    /** WEIR_UPSTREAM_CHECK_TEXT, WEIR_UPSTREAM_CHECK_HTTP: check without TLS,
     * even if the upstream has TLS settings. */
    bool no_tls;
    /** WEIR_UPSTREAM_CHECK_TEXT: several steps, in order, instead of send and
     * expect; copied with their bytes; may be NULL. */
    const struct weir_upstream_check_step *steps;
    /** Number of steps, at most WEIR_UPSTREAM_CHECK_STEPS_MAX. */
    size_t step_count;
    /** WEIR_UPSTREAM_CHECK_POSTGRES, WEIR_UPSTREAM_CHECK_MYSQL: the name of the
     * user, copied; at most WEIR_UPSTREAM_CHECK_USER_MAX bytes. */
    const char *user;
    /** Time to the next check after a result that contradicts the state, such
     * as a failure while the upstream is up; in nanoseconds, randomly varied by
     * up to a tenth; default interval_ns. */
    uint64_t fast_ns;
    /** Send a PROXY header of this version first, before TLS; by default no
     * header is sent. A header of version 2 has the command LOCAL, a header of
     * version 1 has the two addresses of the check. */
    enum weir_proxy_version proxy_version;
    /** The endpoint that checks connect to, copied: a host, one address or a
     * Unix socket. The default is the upstream's endpoint with @c port. */
    struct weir_endpoint endpoint;
};

/**
 * Called when a check of an upstream could not be made because a local resource
 * was missing. It is called from the loop, only for the first of several such
 * checks in a row. The function may change the set, and may free it.
 *
 * @param arg       the changed_arg of the options
 * @param upstream  the upstream, whose state has not changed; borrowed
 * @param err       the error, for example -EMFILE
 */
typedef void weir_upstream_check_skipped_fn(void *arg, weir_upstream *upstream,
                                            int err);

WEIR_END_DECLS

#endif
