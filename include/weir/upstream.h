/**
 * @file upstream.h
 * Sets of upstreams: the servers from which a proxy chooses one for each
 * connection.
 *
 * A set belongs to one loop. Each upstream in it is a host, an address or a
 * Unix path. weir_upstreams_connect() chooses an upstream, connects to it, and
 * tries another one if this fails. With the transport the program gets a
 * **slot**, which counts the connection against the upstream's limit. After the
 * end of the connection the program releases the slot, and with the same call
 * reports the connection's result.
 *
 * Which upstreams can be chosen:
 * - upstreams with weight 0, drained or removed are never chosen;
 * - an upstream is down while its checks fail (struct weir_upstream_check);
 * - an upstream is ejected, which means excluded for a time, after several
 *   failures in a row. Failed connects count, and errors that the program
 *   reports with weir_upstream_slot_release();
 * - an upstream that is neither down nor ejected is up. Backups are chosen only
 *   if no other upstream is up;
 * - an upstream whose checks have starts_down is not chosen before its first
 *   check has ended; requests wait for it if there is no other;
 * - if no upstream is up, ejected upstreams are chosen nevertheless, because
 *   failures in a row do not prove that a server is down.
 *
 * If all upstreams that can be chosen are at their connection_limit, requests
 * wait in a queue, in order.
 *
 * A program with several loops has a set on each loop. Sets that are made with
 * the same weir_upstreams_shared choose, check and limit as if they were one
 * set; other sets count and check separately. The state that a set has found
 * for an upstream can be passed to another set (weir_upstream_get_health()),
 * for example in the process that replaces this one.
 *
 * Times are on the loop's clock, and all random numbers come from a generator
 * whose seed is an option, so that a test can repeat the behaviour of a set.
 *
 * These functions are in libweir-proxy (pkg-config weir-proxy).
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_UPSTREAM_H
#define WEIR_UPSTREAM_H

#include "address.h"
#include "base.h"
#include "connect_options.h"
#include "endpoint.h"
#include "pending.h"
#include "upstream_check.h"

WEIR_BEGIN_DECLS

/** A set of upstreams. */
typedef struct weir_upstreams weir_upstreams;

/** A slot: one connection at an upstream, which counts against the upstream's
 * connection_limit. */
typedef struct weir_upstream_slot weir_upstream_slot;

/** The state that several sets on any loops have in common; see
 * weir_upstreams_shared_new(). */
typedef struct weir_upstreams_shared weir_upstreams_shared;

/** The algorithm that chooses an upstream. */
enum weir_balance {
    /** Chooses one upstream after the other, in proportion to the weights, and
     * evenly mixed: the weights 2 and 1 give A B A, not A A B. */
    WEIR_BALANCE_ROUND_ROBIN = 0,
    /** Chooses the upstream with the fewest connections for its weight.
     * Upstreams with the same number are chosen one after the other. */
    WEIR_BALANCE_LEAST_CONNECTIONS,
    /** Draws two upstreams at random, by weight, and chooses the upstream with
     * fewer connections for its weight. So several proxies that do not know
     * each other's connections do not all choose the same upstream. */
    WEIR_BALANCE_RANDOM_TWO,
    /** Chooses the same upstream for the same key of a request, as long as the
     * upstream can be chosen. If one of n upstreams is added or removed, only
     * its own keys move, about 1/n of all. All sets with the same names and
     * weights make the same choice, in any process. */
    WEIR_BALANCE_HASH,
    /** Chooses the first upstream that is up, in the order of adding; the
     * addresses of a name have the position of the name. Requests wait while
     * this upstream is at its limit, and while the first check of an earlier
     * upstream has not ended (starts_down). This is for servers of which only
     * one at a time may be written to. */
    WEIR_BALANCE_FIRST,
};

/** The state of an upstream. */
enum weir_upstream_state {
    /** The upstream can be chosen. */
    WEIR_UPSTREAM_UP = 1,
    /** The first check has not ended, and starts_down is set: the upstream is
     * not chosen yet, but requests wait for it. */
    WEIR_UPSTREAM_CHECKING,
    /** The upstream's checks fail. */
    WEIR_UPSTREAM_DOWN,
    /** The upstream is excluded for a time, after several failures in a row. */
    WEIR_UPSTREAM_EJECTED,
    /** The upstream gets no new connections, because of
     * weir_upstream_set_draining(). */
    WEIR_UPSTREAM_DRAINING,
    /** The upstream was removed, but still has connections. */
    WEIR_UPSTREAM_REMOVED,
    /** The upstream is a name whose addresses are upstreams of their own
     * (weir_upstream_options.each_address). The name itself is never chosen. */
    WEIR_UPSTREAM_NAME,
};

/**
 * Called when the state of an upstream has changed because of checks, failures
 * or the time. It is called from the loop, once for several changes in one loop
 * iteration. The function may change the set, and may free it.
 *
 * @param arg       the changed_arg of the options
 * @param upstream  the upstream; borrowed
 * @param state     the present state of the upstream
 * @param err       the last error, negative, if the upstream is down or
 *                  ejected; else 0
 */
typedef void weir_upstream_changed_fn(void *arg, weir_upstream *upstream,
                                      enum weir_upstream_state state, int err);

/**
 * Called when attempts to connect to an upstream begin to fail, and when they
 * succeed again.
 *
 * It is called from the loop, once for several changes in one loop iteration.
 * Of several sets with the same @c shared only the set that made the attempt
 * calls it. The function may change the set, and may free it.
 *
 * @param arg       the changed_arg of the options
 * @param upstream  the upstream; borrowed
 * @param err       the negative error of the connect that has failed, or 0
 *                  after a connect that has succeeded
 */
typedef void weir_upstream_failing_fn(void *arg, weir_upstream *upstream,
                                      int err);

/**
 * Called in a set with WEIR_BALANCE_FIRST when the upstream in use changes. The
 * upstream in use is the one that gets new connections. The function is also
 * called for the first upstream in use.
 *
 * It is called from the loop, after the calls that report the changes of state
 * that caused it. The function may change the set, and may free it.
 *
 * @param arg       the changed_arg of the options
 * @param upstream  the upstream; borrowed
 */
typedef void weir_upstream_in_use_fn(void *arg, weir_upstream *upstream);

/** Options of weir_upstreams_new(). */
struct weir_upstreams_options {
    size_t size;
    /** The algorithm that chooses an upstream; default round robin. */
    enum weir_balance balance;
    /** Maximum number of requests that wait for a slot, in all sets with the
     * same @c shared together. With 0 a request that finds no free slot fails
     * with -ENOBUFS at once. */
    uint32_t queue_limit;
    /** Maximum time that a request waits for a slot, in nanoseconds; default 5
     * s; UINT64_MAX is no limit. */
    uint64_t queue_timeout_ns;
    /** Failures in a row after which an upstream is ejected; default 5;
     * UINT32_MAX means never. */
    uint32_t fail_limit;
    /** Duration of the first ejection, in nanoseconds; default 10 s. If the
     * upstream fails again before it has succeeded once, the next ejection
     * lasts twice as long. */
    uint64_t eject_ns;
    /** Maximum duration of an ejection, in nanoseconds; default 300 s. */
    uint64_t eject_max_ns;
    /** Time in which the weight of a recovered upstream grows to its full
     * value, in nanoseconds. With 0 the upstream has its full weight at
     * once. */
    uint64_t slow_start_ns;
    /** Time after which the addresses of a host are looked up again, in
     * nanoseconds; default 30 s; UINT64_MAX means never. If the answer has a
     * shorter TTL, the host is looked up again after the TTL, but not before a
     * second has passed. */
    uint64_t resolve_ns;
    /** The seed of the random generator; 0 uses the time. Sets with the same @c
     * shared use the generator of the first set. */
    uint64_t seed;
    /** Checks of all upstreams, copied; NULL means no checks. */
    const struct weir_upstream_check *check;
    /** Called when an upstream's state has changed; may be NULL. */
    weir_upstream_changed_fn *changed;
    /** First argument of changed, check_skipped, in_use and failing. */
    void *changed_arg;
    /** The state that this set has in common with other sets; borrowed, but the
     * set keeps a reference. NULL if there are no other sets. */
    weir_upstreams_shared *shared;
    /** Called when a check could not be made; may be NULL. */
    weir_upstream_check_skipped_fn *check_skipped;
    /** With WEIR_BALANCE_FIRST: keep choosing the upstream in use while it is
     * up. By default an earlier upstream is chosen again when it has recovered,
     * and any upstream that has recovered is chosen instead of a backup. */
    bool stay;
    /** Use only one backup at a time: choose the first backup that is up,
     * whatever the balance, and wait while it is at its limit. By default the
     * balance chooses among all backups. */
    bool one_backup;
    /** If checks find an upstream down while a request connects to it, the
     * request stops this attempt and chooses another upstream; the attempt does
     * not count as one of its tries. By default the attempt continues. */
    bool leave_down;
    /** Called when another upstream comes into use; may be NULL. */
    weir_upstream_in_use_fn *in_use;
    /** Called when attempts to connect to an upstream begin to fail, and when
     * they succeed again; may be NULL. */
    weir_upstream_failing_fn *failing;
};

/**
 * Make the state that several sets have in common. A forked child must make its
 * own.
 *
 * **Balance.** Upstreams with the same name and endpoint (host and port,
 * address or path) are one target in all these sets. The sets share the counts
 * of connections, the round-robin position and the random generator, so any
 * number of sets chooses as if they were one set. If a set has several
 * upstreams with the same name and endpoint, the first of them in each set are
 * one target, the second are another target, and so on. Weights, drains and
 * exclusions belong to each set.
 *
 * **Failures.** Consecutive failures of connections are counted over all these
 * sets. Each set compares the count with its own fail_limit when one of its
 * connections fails. An ejection and a slow start apply to all sets, except
 * sets that never eject.
 *
 * **Checks.** If several sets have equal checks, one of the sets makes them,
 * with its own TLS settings. A result applies to all these sets before their
 * next choice, and each set reports the change. If the checking set is freed or
 * replaced, or the upstream is removed from it, another set continues the
 * checks at once. The loop of the checking set may also stop running: if a
 * check is late by more than the interval plus the time-out of the check plus a
 * second, the next set that chooses an upstream continues the checks. Sets with
 * other checks, or without checks, share everything except results of checks.
 *
 * An upstream that is added later starts with the known state, and a host with
 * the addresses of the last successful lookup.
 *
 * **Limits.** Upstreams with the same name have one connection_limit in all
 * these sets together. The waiting requests of all sets are counted together
 * for the queue_limit of each set. The release of a slot wakes the loop of the
 * oldest waiting request that can use the slot. Several loops can use free
 * slots in parallel, but no request gets the slot of an older request. A
 * request that is cancelled or ends passes its slot to the next request. A loop
 * that does not run keeps at most one free slot, for its oldest request.
 *
 * Slots of a removed upstream or of a freed set count until they are released,
 * so that new sets can replace old sets.
 *
 * @param allocator  allocates the common state; must be thread-safe; copied;
 *                   NULL means malloc()
 * @param ret        given; end with weir_upstreams_shared_free()
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_upstreams_shared_new(const struct weir_allocator *allocator,
                          weir_upstreams_shared **ret);

/**
 * Release the common state; sets that were made with it keep it alive.
 *
 * @thread any
 */
WEIR_API void weir_upstreams_shared_free(weir_upstreams_shared *shared);

/**
 * Make a set without upstreams.
 *
 * @retval -EINVAL     the balance is unknown, stay is set although the balance
 *                     is not WEIR_BALANCE_FIRST, or the check is invalid
 *                     (struct weir_upstream_check)
 */
WEIR_API WEIR_MUST_USE int
weir_upstreams_new(weir_loop *loop,
                   const struct weir_upstreams_options *options,
                   weir_upstreams **ret);

/** Free a set and its upstreams. Checks end. Requests that wait or connect are
 * cancelled: their @c done is called with -ECANCELED from the loop. Connections
 * continue, and their slots may be released later. A set may be freed after its
 * loop. */
WEIR_API void weir_upstreams_free(weir_upstreams *set);

/**
 * Mark a set as replaced by other sets with the same @c shared.
 *
 * The connections and requests of the replaced set continue, and changed and
 * in_use are called as before. It starts no more lookups. Another set with
 * equal checks, the youngest one that is not replaced, makes the checks from
 * now on, with its own TLS settings. With WEIR_BALANCE_FIRST the choices of the
 * replaced set no longer change the upstream in use.
 *
 * @param set  the set; the call has no effect if the set is replaced already
 */
WEIR_API void weir_upstreams_replace(weir_upstreams *set);

/** The state that a set has found for an upstream. Another set can start with
 * this state, for example in another process. All zero means that nothing is
 * known. */
struct weir_upstream_health {
    size_t size;
    /** The result of checks: WEIR_UPSTREAM_UP or WEIR_UPSTREAM_DOWN; 0 if it is
     * unknown. */
    enum weir_upstream_state state;
    /** Number of ejections since the last success of the upstream; each lasts
     * longer than the previous one. */
    uint32_t ejected_count;
    /** The reason of the ejection: true for slots that were released with
     * errors, false for failed connects. */
    bool ejected_by_report;
    /** The last error of a connection, negative; 0 if there was none. */
    int err;
    /** Remaining time of the ejection, in nanoseconds; 0 if the upstream is not
     * ejected. */
    uint64_t ejected_ns;
    /** Remaining time of the slow start, in nanoseconds; 0 if it has ended. */
    uint64_t slow_start_ns;
    /** With WEIR_BALANCE_FIRST: how long the upstream has been in use, in
     * nanoseconds; 0 if it is not in use. In a new set the first added upstream
     * whose in_use_ns is not 0 becomes the upstream in use. If the option stay
     * is set, it remains in use while it is up. */
    uint64_t in_use_ns;
};

/** Options of weir_upstreams_add(). */
struct weir_upstream_options {
    size_t size;
    /** The endpoint to connect to, copied: a host, one address of any family,
     * or a Unix socket. Required. */
    struct weir_endpoint endpoint;
    /** Maximum number of slots, including connects under way; 0 means no limit.
     * Upstreams with the same name share one limit. */
    uint32_t connection_limit;
    /** The name of the upstream, copied. WEIR_BALANCE_HASH and the count of
     * slots identify an upstream by its name. The default is the host and the
     * port, or the address as text. */
    const char *name;
    /** TLS settings of connections, copied; NULL means no TLS. */
    const struct weir_tls_settings *tls;
    /** Share of the upstream in all connections, from 1 to 256; default 1. */
    uint32_t weight;
    /** The upstream is a backup: it is chosen only if no other upstream is
     * up. */
    bool is_backup;
    /** A pointer of the program, which weir_upstream_get_user() returns. */
    void *user;
    /** The state that another set has found, copied; may be NULL. It is ignored
     * if sets with the same @c shared know the upstream. An ejection lasts at
     * most the eject_max_ns of this set, a slow start at most its
     * slow_start_ns. An ejection is ignored if this set does not eject, a slow
     * start if this set has none. */
    const struct weir_upstream_health *health;
    /** Checks of this upstream, copied; NULL means the checks of the set. If
     * they have no interval, the upstream is never checked, and never down. */
    const struct weir_upstream_check *check;
    /** TLS settings of the checks, copied; they may be set even if connections
     * have no TLS. NULL means the TLS settings of connections. */
    const struct weir_tls_settings *check_tls;
    /** Make an upstream for each address of the host, in addition to the added
     * upstream, with the name "NAME at ADDRESS" and the same options. The
     * upstreams follow the answers of the lookups, which have at most
     * WEIR_ADDRESSES_MAX addresses per family. An upstream keeps its health and
     * counts while the answers have its address. It is removed, as by
     * weir_upstream_remove(), when an answer does not have its address. A
     * lookup that fails changes nothing. A change of the added upstream's
     * weight, drain or TLS settings, and its removal, apply to the upstreams of
     * all addresses. Requests wait for the first answer. A literal address is a
     * single upstream. @c health does not apply to the upstreams of
     * addresses. */
    bool each_address;
    /** The host is the name of a service, such as "_postgres._tcp.db.example".
     * Each address of each host in its SRV records (RFC 2782) is an upstream,
     * as with each_address. It has the port of the record; the port of the
     * endpoint is not used.
     *
     * Of the upstreams of one name, those with the lowest priority number are
     * chosen while one of them is up. The record with the largest weight of a
     * priority gets the weight of these options, the other records
     * proportionally less; the weights follow the answers. Each address of a
     * host has the host's weight, so a host with two addresses gets twice the
     * share.
     *
     * A host whose lookup fails keeps its addresses. A domain that declares
     * that it does not have the service has no addresses. TLS verifies the
     * domain, which is the name without the labels that begin with '_', unless
     * the settings have another name. */
    bool is_service;
    /** Local address of connections and checks, copied. NULL means the local
     * address in the options of each connect, and any local address for checks.
     * Addresses of the host that have another family are skipped. A check that
     * has its own endpoint of another family uses any local address. */
    const struct weir_address *local_address;
};

/**
 * Add an upstream. The addresses of a host name are looked up in the
 * background, and a connection tries all addresses of the last successful
 * lookup. A connection that is made before the first lookup has ended looks the
 * name up itself.
 *
 * @param options  borrowed
 * @param ret      set to the upstream, borrowed; valid until it is removed or
 *                 the set is freed, and then until its last slot is released;
 *                 may be NULL
 * @retval -EINVAL  an option is invalid: the endpoint is missing, has several
 *                  addresses or an address that is unnamed or invalid, or is a
 *                  socket or a pipe (the descriptor is then closed);
 *                  local_address is unnamed or invalid; the weight is above
 *                  256; TLS settings are for a server, have no name to verify,
 *                  or are missing although checks make a handshake; the checks
 *                  are invalid; or health has an invalid state, or a state
 *                  although there are no checks
 * @retval WEIR_EDNSBADNAME  the host is neither an address nor a host name
 * @retval -ENAMETOOLONG  the path of a Unix socket has more than 107 bytes
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int
weir_upstreams_add(weir_upstreams *set,
                   const struct weir_upstream_options *options,
                   weir_upstream **ret);

/**
 * Remove an upstream: it is no longer chosen or checked. Its connections
 * continue, and so do requests that are connecting to it.
 *
 * @param upstream  the upstream; taken, but valid until its last slot is
 *                  released
 */
WEIR_API void weir_upstream_remove(weir_upstream *upstream);

/**
 * Change the weight of an upstream.
 *
 * @param weight  0 to 256; 0 means no new connections
 * @retval -EINVAL  @p weight is above 256
 */
WEIR_API int weir_upstream_set_weight(weir_upstream *upstream, uint32_t weight);

/**
 * Replace the TLS settings of an upstream's checks; see
 * weir_upstream_set_tls().
 *
 * @param upstream  an upstream that was added with check_tls; borrowed
 * @param settings  all settings, including those that do not change; borrowed
 * @return          0; after an error the old settings still apply
 * @retval -EINVAL  @p settings is NULL, has no context or a context for
 *                  servers, or has no name to verify; or the upstream was added
 *                  without check_tls
 */
WEIR_API WEIR_MUST_USE int
weir_upstream_set_check_tls(weir_upstream *upstream,
                            const struct weir_tls_settings *settings);

/**
 * Begin or end the drain of an upstream. During the drain the upstream gets no
 * new connections. Its connections continue; weir_upstream_get_statistics()
 * returns their number.
 *
 * @param is_draining  true to begin, false to end
 */
WEIR_API void weir_upstream_set_draining(weir_upstream *upstream,
                                         bool is_draining);

/** Set the state of an upstream to up, whatever its checks have found. The
 * checks continue, and find the upstream down again after `fall` failures in a
 * row. The call has no effect if there are no checks, and does not end an
 * ejection. */
WEIR_API void weir_upstream_lift(weir_upstream *upstream);

/**
 * Begin or end a pause of an upstream's checks. The state of the upstream does
 * not change during the pause, and a check is made when the pause ends. If
 * other sets with the same @c shared have no pause, one of them continues to
 * check.
 *
 * @param is_paused  true to begin, false to end
 */
WEIR_API void weir_upstream_pause_checks(weir_upstream *upstream,
                                         bool is_paused);

/**
 * End the requests that are connecting to an upstream. They do not try another
 * upstream; their @c done is called from the loop. Connections continue.
 *
 * @param err  the error that is passed to @c done; negative
 * @return     number of requests that were ended
 * @retval -EINVAL  @p err is not negative
 */
WEIR_API int weir_upstream_fail_pending(weir_upstream *upstream, int err);

/**
 * Replace the TLS settings of an upstream, for example with a renewed
 * certificate. New connections and checks use the new settings; earlier ones
 * keep the old settings.
 *
 * @param upstream  an upstream that was added with TLS; borrowed
 * @param settings  all settings, including those that do not change; borrowed
 * @return          0; after an error the old settings still apply
 * @retval -EINVAL  @p settings is NULL, has no context or a context for
 *                  servers, or has no name to verify; or the upstream was added
 *                  without TLS
 */
WEIR_API WEIR_MUST_USE int
weir_upstream_set_tls(weir_upstream *upstream,
                      const struct weir_tls_settings *settings);

/**
 * Get the number of upstreams in a set. With each_address, a name and each of
 * its addresses are counted.
 */
WEIR_API size_t weir_upstreams_get_count(const weir_upstreams *set);

/**
 * Get one of the upstreams, in the order of adding. The upstreams of the
 * addresses of a name (each_address) follow the name.
 *
 * @param index  from 0 to weir_upstreams_get_count() - 1; a removal moves the
 *               later upstreams down by one
 * @return       the upstream, borrowed; NULL if @p index is out of range
 */
WEIR_API weir_upstream *weir_upstreams_get_upstream(weir_upstreams *set,
                                                    size_t index);

/**
 * Get the name of an upstream.
 *
 * @return the name, borrowed; valid as long as the upstream
 */
WEIR_API const char *weir_upstream_get_name(const weir_upstream *upstream);

/** Get the user pointer of an upstream. */
WEIR_API void *weir_upstream_get_user(const weir_upstream *upstream);

/** Facts about an upstream, for metrics. The counts are those of this set: if
 * there are several sets, add up their counts. State, errors, status, alerts
 * and is_being_checked are common to all sets with the same
 * weir_upstreams_shared. For a name with each_address the counts are sums over
 * all its addresses, including removed ones; the error, the status and the
 * alerts are from the first address that has failed. */
struct weir_upstream_statistics {
    size_t size;
    /** The state of the upstream. */
    enum weir_upstream_state state;
    /** The configured weight. */
    uint32_t weight;
    /** The present weight in thousandths of the configured weight; less than
     * 1000 in a slow start. */
    uint32_t warm_permille;
    /** Number of slots that are in use. */
    uint32_t active_count;
    /** Maximum number of slots; 0 means no limit. */
    uint32_t connection_limit;
    /** Number of addresses that a connection tries; 0 if they are not known
     * yet. */
    uint32_t address_count;
    /** True for a backup. */
    bool is_backup;
    /** True while a check is under way. */
    bool is_being_checked;
    /** The last error of a connect, a slot or a check; 0 if there was none. */
    int last_err;
    /** Number of times that the upstream was chosen. */
    uint64_t chosen_count;
    /** Number of connections that were established. */
    uint64_t connected_count;
    /** Number of attempts to connect that have failed. */
    uint64_t connect_error_count;
    /** Number of slots that were released with an error. */
    uint64_t reported_error_count;
    /** Number of times that the upstream was ejected. */
    uint64_t ejected_count;
    /** Number of checks that have succeeded. */
    uint64_t check_count;
    /** Number of checks that have failed. */
    uint64_t check_error_count;
    /** Number of lookups of the host that have failed. */
    uint64_t lookup_error_count;
    /** Number of checks that could not be made because a local resource was
     * missing. */
    uint64_t check_skipped_count;
    /** The HTTP status or the MySQL error of the last completed check; 0 if
     * there is none. */
    uint32_t check_status;
    /** The first line of the response, if the last check has failed because of
     * it; otherwise "". For a database this is the SQLSTATE (only PostgreSQL)
     * and the message, for a text check the wrong response. Bytes that are not
     * printable are replaced by '?'. */
    char check_reason[WEIR_UPSTREAM_CHECK_REASON_SIZE];
    /** The name of the TLS alert with which the upstream has refused the last
     * completed check, for example "unknown_ca"; a static string. NULL if there
     * was no alert. */
    const char *check_alert;
    /** The name of the TLS alert with which the upstream has refused the last
     * failed connect; a static string. NULL if there was no alert. For a
     * connection that fails later, weir_transport_get_extra_info() returns the
     * alert (tls_connection.h). */
    const char *connect_alert;
    /** With WEIR_BALANCE_FIRST: how long the upstream has been in use, in
     * nanoseconds; 0 if it is not in use. */
    uint64_t in_use_ns;
    /** With each_address: number of addresses that are up. */
    uint32_t up_count;
    /** For an address of a service: the priority of its SRV record. */
    uint16_t service_priority;
    /** For an address of a service: the weight of its SRV record. */
    uint16_t service_weight;
};

/** Get the facts about an upstream. */
WEIR_API int weir_upstream_get_statistics(const weir_upstream *upstream,
                                          struct weir_upstream_statistics *ret);

/** Get the state that the set has found for an upstream, to pass it to another
 * set. */
WEIR_API int weir_upstream_get_health(const weir_upstream *upstream,
                                      struct weir_upstream_health *ret);

/** Facts about a set, for metrics. */
struct weir_upstreams_statistics {
    size_t size;
    /** Number of upstreams. */
    uint32_t upstream_count;
    /** Number of upstreams that are up. */
    uint32_t up_count;
    /** Number of requests that wait for a slot now. */
    uint32_t queued_count;
    /** Number of requests that are connecting now. */
    uint32_t connecting_count;
    /** Number of requests that have ever waited for a slot. */
    uint64_t queued_total;
    /** Number of requests that have failed because the queue was full. */
    uint64_t queue_full_total;
    /** Number of requests that have failed because their time in the queue had
     * expired. */
    uint64_t queue_timeout_total;
    /** Number of requests that have failed because no upstream could be
     * chosen. */
    uint64_t no_upstream_total;
};

/** Get the facts about a set. */
WEIR_API int
weir_upstreams_get_statistics(const weir_upstreams *set,
                              struct weir_upstreams_statistics *ret);

/** Options of weir_upstreams_connect(), weir_upstreams_open_transport() and
 * weir_upstreams_open_connection(). */
struct weir_upstreams_connect_options {
    size_t size;
    /** With WEIR_BALANCE_HASH: the key, such as the address of the client or
     * the name that the client requests; borrowed. NULL is a key, too. */
    const void *key;
    /** Number of bytes of the key. */
    size_t key_size;
    /** Maximum number of upstreams that the request tries; default 3. */
    uint32_t tries;
    /** Maximum duration of the request including all waits, in nanoseconds;
     * then it fails with -ETIMEDOUT. 0 means no limit. The limit of one try is
     * the timeout_ns of connect. */
    uint64_t timeout_ns;
    /** How long the request waits if descriptors or memory run out, in
     * nanoseconds. It tries again after 100 ms, and then at intervals of up to
     * a second. With 0 it fails at once. */
    uint64_t shortage_timeout_ns;
    /** Upstreams that the request must not choose, at most 16; borrowed. */
    weir_upstream *const *excluded;
    /** Number of excluded upstreams. */
    size_t excluded_count;
    /** Limit of the reader's buffer in bytes, only for
     * weir_upstreams_open_connection(); default WEIR_STREAM_LIMIT. */
    uint64_t limit_bytes;
    /** Connect to this host instead of the endpoint of the chosen upstream;
     * held until the request has ended. NULL means the endpoint of the
     * upstream. Everything else is the upstream's: the limit, the counts, and
     * the TLS settings with their server name and session. Errors of the host,
     * including its lookup, count for the ejection of the upstream. */
    const char *host;
    /** The port of @c host. */
    uint16_t port;
    /** Options of each try. fast_open and tls must not be set, because
     * upstreams have their own. timeout_ns is 10 s by default; UINT64_MAX is no
     * limit. */
    struct weir_connect_options connect;
};

/** The result of weir_upstreams_connect(). */
struct weir_upstreams_result {
    /** sizeof(struct weir_upstreams_result); the library sets it for @c
     * done. */
    size_t size;
    /** The connection, whose connection_made was called; borrowed. NULL after
     * an error. */
    weir_transport *transport;
    /** The upstream of the connection; after an error the upstream that was
     * tried last, or NULL if there was none; borrowed. */
    weir_upstream *upstream;
    /** The slot of the connection, given; end with
     * weir_upstream_slot_release(). NULL after an error. */
    weir_upstream_slot *slot;
    /** Number of upstreams that were tried. */
    uint32_t try_count;
    /** How long the request has waited in the queue, in nanoseconds. */
    uint64_t queue_ns;
    /** How long the last try took, in nanoseconds. */
    uint64_t connect_ns;
    /** The name of the TLS alert with which the upstream that was tried last
     * has refused the handshake, for example "unknown_ca"; a static string.
     * NULL if there was no alert. */
    const char *tls_alert;
    /** A text with the address and the error of each failed try, like the
     * error_text of struct weir_connect_options; borrowed; "" if no try has
     * failed. NULL if the program has set error_text in the connect options,
     * because the text is there. */
    const char *error_text;
};

/** Called at the end of a request. @p result is borrowed. @p err is 0 if the
 * connection is established, or one of these errors:
 * - -ECANCELED: weir_pending_cancel() was called, or the set was freed;
 * - -EHOSTDOWN: there was no upstream to choose;
 * - -ENOBUFS: the queue was full;
 * - -ETIMEDOUT: the time in the queue or the time of the request has expired;
 * - another error: the error of the upstream that was tried last. */
typedef void weir_upstreams_done_fn(void *arg, int err,
                                    const struct weir_upstreams_result *result);

/**
 * Choose an upstream and connect to it.
 *
 * If an upstream cannot be reached, another one is tried. After the factory has
 * been called no other upstream is tried: an error of the factory ends the
 * request. Such an error does not count against the upstream, nor does a local
 * shortage of memory, descriptors or ports.
 *
 * @param factory  called once the connection is established; copied
 * @param done     called once, from the loop
 * @param ret      a handle for weir_pending_cancel(), and for
 *                 weir_pending_get_attempt() until @p done has returned. The
 *                 attempts are the addresses of all tries, of which at most 64
 *                 failed ones are kept. May be NULL
 * @retval -EINVAL  @p factory or @p done is NULL; or the options have tls or
 *                  fast_open in connect, more than 16 excluded upstreams, or
 *                  more than 16 tries
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int
weir_upstreams_connect(weir_upstreams *set, const struct weir_factory *factory,
                       const struct weir_upstreams_connect_options *options,
                       weir_upstreams_done_fn *done, void *done_arg,
                       weir_pending **ret);

/**
 * Choose an upstream and connect to it, in a task: wait until the connection is
 * established or the request has failed. An interruption of the task cancels
 * the request.
 *
 * @param factory  called once the connection is established; held
 * @param ret      the result, with the size set by the caller; written even if
 *                 the request fails. The transport in it is given, end with
 *                 weir_transport_unref(); it may be lost already. After an
 *                 error the upstream in it is NULL if it was removed meanwhile
 * @return         0 when the connection is established, or an error of
 *                 weir_upstreams_connect() or weir_upstreams_done_fn
 * @retval -EINVAL     @p ret is NULL, or another cause that
 *                     weir_upstreams_connect() lists
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_upstreams_open_transport(
    weir_upstreams *set, const struct weir_factory *factory,
    const struct weir_upstreams_connect_options *options,
    struct weir_upstreams_result *ret);

/**
 * Choose an upstream and connect to it, in a task, and get a reader and a
 * writer for the connection. An interruption of the task cancels the request.
 * After the connection release the slot in addition to the writer.
 *
 * @param ret         the result, with the size set by the caller; written even
 *                    if the request fails. The transport in it is borrowed from
 *                    the writer
 * @return            as weir_upstreams_open_transport()
 * @retval -EINVAL     @p ret or @p ret_writer is NULL, limit_bytes is above
 *                     INT64_MAX, or another cause that
 *                     weir_upstreams_connect() lists
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_upstreams_open_connection(
    weir_upstreams *set, const struct weir_upstreams_connect_options *options,
    struct weir_upstreams_result *ret, weir_reader **ret_reader,
    weir_writer **ret_writer);

/**
 * Get the upstream of a slot.
 *
 * @return the upstream, borrowed; valid as long as the slot
 */
WEIR_API weir_upstream *
weir_upstream_slot_get_upstream(const weir_upstream_slot *slot);

/**
 * Release a slot after the end of its connection, and report the connection's
 * result.
 *
 * Call this once for each connection, for example in connection_lost. The first
 * request in the queue of this set, or of another set with the same
 * weir_upstreams_shared, gets the slot. A slot may be released after its set
 * and its loop were freed.
 *
 * @param slot    taken; NULL is ignored
 * @param result  0 if the connection was a success. A negative error is a
 *                failure, which counts for the ejection of the upstream.
 *                -ECANCELED is neither, for example if the client has ended the
 *                connection
 */
WEIR_API void weir_upstream_slot_release(weir_upstream_slot *slot, int result);

WEIR_END_DECLS

#endif
