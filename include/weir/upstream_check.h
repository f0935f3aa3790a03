/**
 * @file upstream_check.h
 * Active checks of the upstreams of a set (upstream.h): what they say to an
 * upstream, how often, and how many of them change its state.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_UPSTREAM_CHECK_H
#define WEIR_UPSTREAM_CHECK_H

#include "base.h"
#include "place.h"
#include "proxy_protocol.h"

WEIR_BEGIN_DECLS

/** Bytes of the text of weir_upstream_info.check_reason. */
#define WEIR_CHECK_REASON_SIZE 128

/** An upstream; it belongs to its set (upstream.h). */
typedef struct weir_upstream weir_upstream;

/** Kinds of checks. */
enum weir_check_kind {
    /** Connect, without TLS. */
    WEIR_CHECK_TCP = 0,
    /** Connect, and complete a TLS handshake. */
    WEIR_CHECK_TLS,
    /** Connect, send bytes, and expect bytes, once or several times. */
    WEIR_CHECK_TEXT,
    /** Connect, send a GET request (HTTP/1.1, Connection: close), and look at
     * the status of the answer that follows interim ones. */
    WEIR_CHECK_HTTP,
    /** Log in at PostgreSQL, without TLS: it is good that the server asks for a
     * password, which is not sent, or lets the user in. */
    WEIR_CHECK_POSTGRES,
    /** Log in at MySQL or MariaDB, without TLS, as a user without a password,
     * and leave by COM_QUIT: such a server counts what ends before the login
     * against the address of the client, and refuses it at last. */
    WEIR_CHECK_MYSQL,
};

/** The most steps of a dialogue. */
#define WEIR_CHECK_STEPS_MAX 64
/** The most bytes of the name of a user. */
#define WEIR_CHECK_USER_MAX 128

/** A step of a dialogue: bytes are sent, and then bytes are expected. */
struct weir_check_step {
    /** Bytes to send; NULL: none. What was received before is passed over. */
    const void *send;
    /** Number of bytes to send. */
    size_t send_size;
    /** Bytes that the answer must have, behind those that the step before has
     * found; NULL: no answer is waited for. */
    const void *expect;
    /** Number of bytes that the answer must have. */
    size_t expect_size;
    /** They may be anywhere in the answer; otherwise at its beginning. */
    bool expect_anywhere;
};

/**
 * The name of a kind of checks, as in configurations.
 *
 * @param kind  the kind; they are numbered from 0
 * @return      that of the constant in lower case, as "tcp"; NULL for an
 *              unknown kind
 * @thread any
 */
WEIR_API const char *weir_check_kind_get_name(enum weir_check_kind kind);

/**
 * Find a kind of checks by its name.
 *
 * @param name  the name; borrowed
 * @param ret   the kind
 * @retval -EINVAL  no kind has this name
 * @thread any
 */
WEIR_API WEIR_MUST_USE int weir_check_kind_parse(const char *name,
                                                 enum weir_check_kind *ret);

/**
 * Active checks of upstreams.
 *
 * Each upstream is checked as soon as it is added, and again after each
 * interval. At most one check of an upstream is under way. Of several sets with
 * the same weir_upstreams_shared and equal checks one makes them. Checks of
 * texts and by HTTP use the upstream's TLS settings, if it has any.
 *
 * A check that this machine cannot make, for want of descriptors, memory,
 * buffers, threads, ports or an address of its own, says nothing of the
 * upstream: its state stays, the check is counted and told as skipped, and is
 * made again after 100 ms, then after up to a second, or the interval if that
 * is shorter.
 *
 * An answer counts as wrong as soon as it is: when its first bytes are others
 * than those expected, when the peer ends it, when it is as long as the limit,
 * or, where bytes are expected anywhere, when nothing more has come for an
 * eighth of the time-out. A check that has got an answer, a good or a wrong
 * one, ends with the end of its stream, and reads on for up to a second, so
 * that the peer sees no reset. One by TCP or TLS alone, and one without an
 * answer, ends with a reset.
 *
 * Refused are an unknown kind, bytes to send or to expect that are not there,
 * more bytes to expect than the limit, a limit below 12 for HTTP, a lowest
 * status above the highest, an empty path, a path or a host with a blank or a
 * control character, no_tls of a check of TLS, more steps than the most, steps
 * beside send or expect, a login without a user, and a place with a port or of
 * several addresses.
 */
struct weir_upstream_check {
    size_t size;
    /** The kind of the checks. */
    enum weir_check_kind kind;
    /** The time from the end of a check to the next one, in nanoseconds, give
     * or take a tenth by chance; 0: no checks. */
    uint64_t interval_ns;
    /** The time after which a check has failed, in nanoseconds; default 2 s. */
    uint64_t timeout_ns;
    /** Checks in a row that must succeed before an upstream that is down is up;
     * default 2. */
    uint32_t rise;
    /** Checks in a row that must fail before an upstream that is up is down;
     * default 3. */
    uint32_t fall;
    /** A new one is not chosen until its first check, which decides alone;
     * requests wait for it, but no longer than timeout_ns, unless another one
     * of its rank (weir_upstream_options.is_backup), or above, is up; with
     * WEIR_BALANCE_FIRST one that was added before it. By default it is up. */
    bool starts_down;
    /** WEIR_CHECK_TEXT: the bytes may be anywhere in the answer. */
    bool expect_anywhere;
    /** WEIR_CHECK_TEXT: bytes to send, copied; NULL: none. */
    const void *send;
    /** Number of bytes to send. */
    size_t send_size;
    /** WEIR_CHECK_TEXT: bytes that the answer must have, copied; NULL: any
     * byte. */
    const void *expect;
    /** Number of bytes that the answer must have. */
    size_t expect_size;
    /** Bytes of an answer that are looked at; default 4096, for WEIR_CHECK_TEXT
     * 16384; for HTTP at least 12. */
    uint32_t limit_bytes;
    /** WEIR_CHECK_HTTP: the path, copied; default "/". */
    const char *path;
    /** WEIR_CHECK_HTTP: the Host of the request, copied; default the
     * server_hostname of the upstream's TLS settings, or its host or address,
     * with the port unless that is 80, or 443 with TLS; or "localhost" for a
     * Unix socket. */
    const char *host;
    /** WEIR_CHECK_HTTP: the lowest status of a success; default 200. */
    uint32_t min_status;
    /** WEIR_CHECK_HTTP: the highest one; default 399. */
    uint32_t max_status;
    /** The port that is connected to, at the upstream's addresses; default
     * the upstream's. With one weir_upstreams_add() refuses a Unix socket. */
    uint16_t port;
    /** WEIR_CHECK_TEXT, WEIR_CHECK_HTTP: without TLS, also of an upstream that
     * has TLS settings. */
    bool no_tls;
    /** WEIR_CHECK_TEXT: the steps of a dialogue, in order, copied with their
     * bytes, in place of send and expect; NULL: none. */
    const struct weir_check_step *steps;
    /** Number of steps, at most WEIR_CHECK_STEPS_MAX. */
    size_t step_count;
    /** WEIR_CHECK_POSTGRES, WEIR_CHECK_MYSQL: the name of the user, copied, of
     * at most WEIR_CHECK_USER_MAX bytes. */
    const char *user;
    /** The time to the next check after one that speaks against the state, in
     * nanoseconds, give or take a tenth; default interval_ns. */
    uint64_t fast_ns;
    /** The version of a PROXY header that goes before all else, also before
     * TLS; there is none by default. Version 2 is LOCAL, version 1 has the
     * check's own two addresses. */
    enum weir_proxy_version proxy_version;
    /** Where checks connect to, copied: a host, one address or a Unix socket.
     * Default: where the upstream is, with @c port. */
    struct weir_place place;
};

/**
 * A check of an upstream could not be made, because this machine lacked
 * something; of several in a row the first is told.
 *
 * Called from the loop. The function may change the set, and may free it.
 *
 * @param arg       the changed_arg of the options
 * @param upstream  the upstream, whose state has not changed; borrowed
 * @param err       what was lacking, as -EMFILE
 */
typedef void weir_upstream_check_skipped_fn(void *arg, weir_upstream *upstream,
                                            int err);

WEIR_END_DECLS

#endif
