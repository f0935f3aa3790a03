/**
 * @file upstream.h
 * Sets of upstreams: the servers from which a proxy chooses one for each
 * connection.
 *
 * A set belongs to one loop. Each upstream of it is a host, an address or a
 * Unix path. weir_upstreams_connect() chooses an upstream, connects to it, and
 * tries another one if this fails. With the transport the program gets a slot,
 * which counts the connection, and ends the slot with the connection's result.
 *
 * Rules of the choice:
 * - upstreams with weight 0, drained or removed are never chosen;
 * - an upstream is down while its checks fail (struct weir_upstream_check);
 * - an upstream is ejected for a time after several failures in a row: of
 *   connecting, or reported by weir_upstream_slot_release();
 * - an upstream that is neither down nor ejected is up. Backups are chosen only
 *   if no other upstream is up;
 * - with starts_down requests wait until an upstream's first check has ended;
 * - if no upstream is up, ejected upstreams are chosen nevertheless: failures
 *   in a row do not prove that a server is down, and an overloaded server
 *   rejects requests itself.
 *
 * If all these upstreams are at their connection_limit, requests wait in a
 * queue, in order.
 *
 * A program with several loops has a set on each. Sets that are made with the
 * same weir_upstreams_shared choose, check and limit like one set; otherwise
 * each counts and checks separately. The findings of a set can be passed to
 * another one (weir_upstream_get_health()), for example in a successor process.
 *
 * Times are on the loop's clock, and all random numbers come from a generator
 * with a seed, so that a test can repeat the behaviour of a set.
 *
 * In libweir-proxy (pkg-config weir-proxy).
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

/** A slot: one connection of an upstream's connection_limit. */
typedef struct weir_upstream_slot weir_upstream_slot;

/** The balance, the findings and the limits of several sets, on any loops.
 */
typedef struct weir_upstreams_shared weir_upstreams_shared;

/** How an upstream is chosen. */
enum weir_balance {
    /** One after the other, in proportion to the weights, and evenly mixed: the
     * weights 2 and 1 make A B A, not A A B. */
    WEIR_BALANCE_ROUND_ROBIN = 0,
    /** The upstream with the fewest connections for its weight; equal ones one
     * after the other. */
    WEIR_BALANCE_LEAST_CONNECTIONS,
    /** Draws two upstreams by weight, and chooses the one with fewer
     * connections for its weight. Several proxies that do not know each other's
     * connections do not all choose the same upstream. */
    WEIR_BALANCE_RANDOM_TWO,
    /** By the request's key: the same upstream for the same key, as long as it
     * can be chosen. If one of n upstreams is added or removed, only its keys
     * move, about 1/n of all. All sets with the same names and weights agree,
     * in any process. */
    WEIR_BALANCE_HASH,
    /** The first upstream, in the order of adding, that is up; the addresses of
     * a name have the position of the name. Requests wait while it is full, and
     * for the first check of an earlier upstream (starts_down). For servers of
     * which only one may be written to. */
    WEIR_BALANCE_FIRST,
};

/** The state of an upstream. */
enum weir_upstream_state {
    /** Up: the upstream can be chosen. */
    WEIR_UPSTREAM_UP = 1,
    /** The first check has not ended, and starts_down is set: not chosen, but
     * requests wait for it. */
    WEIR_UPSTREAM_CHECKING,
    /** Its checks fail. */
    WEIR_UPSTREAM_DOWN,
    /** Several failures in a row. */
    WEIR_UPSTREAM_EJECTED,
    /** No new connections: weir_upstream_set_draining(). */
    WEIR_UPSTREAM_DRAINING,
    /** Removed, but still with connections. */
    WEIR_UPSTREAM_REMOVED,
    /** Never chosen, but represents the addresses of its name, each of which is
     * an upstream: weir_upstream_options.each_address. */
    WEIR_UPSTREAM_NAME,
};

/**
 * Called when the state of an upstream has changed by checks, failures or time.
 * Called from the loop. Several changes in one loop iteration are reported by
 * one call. The function may change the set, and may free it.
 *
 * @param arg       the argument of the options
 * @param upstream  the upstream; borrowed
 * @param state     its present state
 * @param err       the last error if it is down or ejected, negative; else 0
 */
typedef void weir_upstream_changed_fn(void *arg, weir_upstream *upstream,
                                      enum weir_upstream_state state, int err);

/**
 * Called when connects to an upstream begin to fail, or work again.
 *
 * Called from the loop; among sets with the same @c shared, by the set that has
 * connected. Changes in the same loop iteration are reported by one call. The
 * function may change the set, and may free it.
 *
 * @param arg       the changed_arg of the options
 * @param upstream  the upstream; borrowed
 * @param err       the negative error of the connect that has failed, or 0
 *                  after a connect that has succeeded
 */
typedef void weir_upstream_failing_fn(void *arg, weir_upstream *upstream,
                                      int err);

/**
 * Called when another upstream is in use, in a set with WEIR_BALANCE_FIRST: it
 * gets the following connections. It is also called for the first one.
 *
 * Called from the loop, after the changes of states that have led to it. The
 * function may change the set, and may free it.
 *
 * @param arg       the changed_arg of the options
 * @param upstream  the upstream; borrowed
 */
typedef void weir_upstream_in_use_fn(void *arg, weir_upstream *upstream);

/** Options of weir_upstreams_new(). */
struct weir_upstreams_options {
    size_t size;
    /** How an upstream is chosen. */
    enum weir_balance balance;
    /** Requests that may wait for a slot, in all sets with the same @c shared;
     * with 0 a request fails with -ENOBUFS at once. */
    uint32_t queue_limit;
    /** How long a request waits for a slot, in nanoseconds; default 5 s;
     * UINT64_MAX is no limit. */
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
    /** The time in which the weight of a recovered upstream grows to its full
     * value, in nanoseconds; 0 gives it the full weight at once. */
    uint64_t slow_start_ns;
    /** The time after which the addresses of a host are looked up again, in
     * nanoseconds; default 30 s; UINT64_MAX means never. If the answer has a
     * shorter TTL, the name is looked up again after that time, but at least a
     * second. */
    uint64_t resolve_ns;
    /** The seed of the random generator; 0 uses the time. Sets with the same @c
     * shared use the generator of the first set. */
    uint64_t seed;
    /** Checks of all upstreams, copied; NULL means no checks. */
    const struct weir_upstream_check *check;
    /** Called when an upstream's state has changed; may be NULL. */
    weir_upstream_changed_fn *changed;
    /** Its first argument. */
    void *changed_arg;
    /** The balance, findings and limits in common with other sets; borrowed,
     * the set keeps a reference. May be NULL. */
    weir_upstreams_shared *shared;
    /** Called when a check could not be made; may be NULL. */
    weir_upstream_check_skipped_fn *check_skipped;
    /** WEIR_BALANCE_FIRST: keep choosing the upstream that is in use while it
     * is up, even if an earlier one, or one of which it is a backup, has
     * recovered. By default the recovered upstream is chosen. */
    bool stay;
    /** Of several backups choose the first that is up, whatever the balance,
     * and wait while it is full. By default the balance chooses from all
     * backups. */
    bool one_backup;
    /** If checks find an upstream down while a request connects to it, the
     * request chooses another one; the try does not count. By default the
     * attempt continues. */
    bool leave_down;
    /** Called when another upstream is in use; may be NULL. */
    weir_upstream_in_use_fn *in_use;
    /** Called when connects to an upstream begin to fail, and when they work
     * again; may be NULL. */
    weir_upstream_failing_fn *failing;
};

/**
 * Make the common state of several sets.
 *
 * The balance: upstreams with the same name and endpoint (host and port,
 * address or path) are one target in all sets that were made with it.
 * Connections, round-robin position and random draws are common, so any number
 * of sets chooses like one set. If a set has several upstreams with one name
 * and endpoint, the first ones of all sets are one target, the second ones
 * another, and so on. Weights, drains and exclusions belong to each set.
 *
 * Findings: consecutive failures of connections are counted for all these sets,
 * against the fail_limit of the set that has the failure; an ejection and a
 * slow start apply to all sets except sets that never eject. Of the sets with
 * equal checks one makes each check, with its own TLS settings. Its result
 * applies to all before their next choice, and each set reports the change.
 * When that set is freed or replaced, or the upstream is removed from it,
 * another set continues at once; if its loop does not run, another set
 * continues when it chooses and a check is late by more than the interval, its
 * time-out and a second. Upstreams that are added later begin with the known
 * state, a host with the addresses of the last successful lookup. Sets with
 * other checks, or none, share everything except results of checks.
 *
 * Limits: upstreams with one name, in all sets that were made with it, have one
 * connection_limit. Waiting requests are counted together for the queue_limit
 * of each set. The end of a slot wakes the loop of the oldest waiting request
 * that can use it; slots that become free at the same time are used in
 * parallel, but no request uses the slot of an older one. Cancelled and ended
 * requests pass their slot to the next; a loop that does not run keeps one free
 * slot for its request.
 *
 * Slots of a removed upstream or of a freed set count until they end, so that
 * new sets can replace old ones.
 *
 * A forked child must make its own.
 *
 * @param allocator  for the common state, thread-safe, copied; NULL is malloc()
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
 * @retval -EINVAL     an unknown balance, stay with another balance than
 *                     WEIR_BALANCE_FIRST, or an invalid check (see struct
 *                     weir_upstream_check)
 */
WEIR_API WEIR_MUST_USE int
weir_upstreams_new(weir_loop *loop,
                   const struct weir_upstreams_options *options,
                   weir_upstreams **ret);

/** Free a set, with its upstreams. Checks end. Requests that wait or connect
 * are cancelled: their done is called with -ECANCELED from the loop.
 * Connections continue, and their slots may be ended later. A set may be freed
 * after its loop. */
WEIR_API void weir_upstreams_free(weir_upstreams *set);

/**
 * Mark a set as replaced by other sets with the same @c shared.
 *
 * Its connections and requests continue. It starts no more lookups; the
 * youngest set with equal checks that is not replaced, if there is one, makes
 * the checks at once, with its TLS settings; with WEIR_BALANCE_FIRST this set's
 * choices do not change the upstream in use. changed and in_use are called as
 * before.
 *
 * @param set  the set; nothing happens if it is replaced already
 */
WEIR_API void weir_upstreams_replace(weir_upstreams *set);

/** Findings of a set about an upstream, with which another set can start, for
 * example in another process. All zero means that nothing is known. */
struct weir_upstream_health {
    size_t size;
    /** Result of checks: WEIR_UPSTREAM_UP, WEIR_UPSTREAM_DOWN, 0 if unknown. */
    enum weir_upstream_state state;
    /** Ejections since its last success, each longer than the previous one. */
    uint32_t ejected_count;
    /** True if it was ejected for slots that ended with errors, false for
     * failed connects. */
    bool ejected_by_report;
    /** The last error of a connection, negative, or 0. */
    int err;
    /** Remaining time of its ejection, in nanoseconds; 0 if not ejected. */
    uint64_t ejected_ns;
    /** Remaining time of its slow start, in nanoseconds; 0 if it has ended. */
    uint64_t slow_start_ns;
    /** WEIR_BALANCE_FIRST: its time in use, in nanoseconds; 0 if it is not. The
     * first upstream that is added to a set with such a time becomes the
     * upstream in use; with stay it is kept while it is up. */
    uint64_t in_use_ns;
};

/** Options of weir_upstreams_add(). */
struct weir_upstream_options {
    size_t size;
    /** The endpoint to connect to, copied: a host, one address of any family,
     * or a Unix socket. Required. */
    struct weir_endpoint endpoint;
    /** Limit of slots, including connects under way; 0 means no limit.
     * Upstreams with one name have one limit. */
    uint32_t connection_limit;
    /** The name of the upstream, copied: WEIR_BALANCE_HASH and the count of
     * slots identify an upstream by it. Default: host and port, or the address
     * as text. */
    const char *name;
    /** TLS on connections, copied; NULL means no TLS. */
    const struct weir_tls_settings *tls;
    /** Share of the connections, 1 to 256; default 1. */
    uint32_t weight;
    /** Chosen only if no other upstream is up. */
    bool is_backup;
    /** For weir_upstream_get_user(). */
    void *user;
    /** Findings of another set, copied, or NULL. Findings of sets with the same
     * @c shared take precedence. An ejection lasts at most the set's
     * eject_max_ns, a slow start at most its slow_start_ns; both are ignored if
     * the set does not use them. */
    const struct weir_upstream_health *health;
    /** Its own checks, copied; without an interval it is never checked, nor
     * down. NULL means the checks of the set. */
    const struct weir_upstream_check *check;
    /** TLS of its checks, copied, even if connections have no TLS; NULL means
     * the TLS of connections. */
    const struct weir_tls_settings *check_tls;
    /** Make an upstream of each address of the host, in addition to the added
     * one, with the name "NAME at ADDRESS" and the same options. They follow
     * the answers, of at most WEIR_ADDRESSES_MAX addresses per family: an
     * upstream keeps its health and counts while the answers have its address,
     * and is removed, as by weir_upstream_remove(), when they do not. A lookup
     * that fails changes nothing. Weight, drain, TLS settings and removal of
     * the added upstream apply to all. Requests wait for the first answer. A
     * literal address is one upstream, and @c health applies to no address. */
    bool each_address;
    /** The host is the name of a service, such as "_postgres._tcp.db.example":
     * each address of the hosts of its SRV records (RFC 2782) is an upstream,
     * with the record's port, as with each_address; the port of the endpoint is
     * not used. Upstreams of the lowest priority number are chosen while one of
     * them is up; in a set with several names, upstreams with the lowest number
     * of their own name. The record with the largest weight of a priority gets
     * the weight of these options, the others proportionally less; the weights
     * follow the answers. Each address of a host has the host's weight, so that
     * a host with two addresses gets twice the share. A host whose lookup fails
     * keeps its addresses; a domain that declares that it does not have the
     * service has no addresses. TLS uses the domain, the name without its
     * labels that begin with '_', unless the settings have another name. */
    bool is_service;
    /** Local address of connections and checks, copied; NULL means the local
     * address of connect's options, and any for checks. A name's addresses of
     * another family are skipped; a check's own endpoint of another family is
     * connected from any address. */
    const struct weir_address *local_address;
};

/**
 * Add an upstream. The addresses of a host name are looked up in the
 * background: a connection tries all addresses of the last successful lookup.
 * Before the first one it looks the name up itself.
 *
 * @param options  borrowed
 * @param ret      the upstream, borrowed until it is removed, the set is freed,
 *                 or its last slot has ended; may be NULL
 * @retval -EINVAL  no endpoint, several addresses, an unnamed or invalid
 *                  address, a socket or a pipe, which is closed; an unnamed or
 *                  invalid local_address; a weight above 256; TLS settings for
 *                  a server, or without a name to verify; no TLS settings
 *                  although checks make a handshake; invalid checks; an invalid
 *                  known state, or a known state without checks
 * @retval WEIR_EDNSBADNAME  the host is neither an address nor a host name
 * @retval -ENAMETOOLONG  a path of more than 107 bytes
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
 * @param upstream  the upstream; taken, or borrowed until its last slot ends
 */
WEIR_API void weir_upstream_remove(weir_upstream *upstream);

/**
 * Change the weight of an upstream.
 *
 * @param weight  0 to 256; 0 means no new connections
 * @retval -EINVAL  a weight above 256
 */
WEIR_API int weir_upstream_set_weight(weir_upstream *upstream, uint32_t weight);

/**
 * Replace the TLS settings of an upstream's checks; see
 * weir_upstream_set_tls().
 *
 * @param upstream  an upstream that was added with check_tls; borrowed
 * @param settings  all the settings, not only those that change; borrowed
 * @return          0; after an error the old settings still apply
 * @retval -EINVAL  no settings, no context, a server context, no name to
 *                  verify, or an upstream that was added without check_tls
 */
WEIR_API WEIR_MUST_USE int
weir_upstream_set_check_tls(weir_upstream *upstream,
                            const struct weir_tls_settings *settings);

/**
 * Begin or end the drain of an upstream: no new connections while it lasts. Its
 * connections continue; weir_upstream_get_statistics() counts them.
 *
 * @param is_draining  true to begin, false to end
 */
WEIR_API void weir_upstream_set_draining(weir_upstream *upstream,
                                         bool is_draining);

/** Set an upstream to up, whatever its checks have found. The checks continue,
 * and find it down again after `fall` failures in a row. No effect without
 * checks, or on an ejection. */
WEIR_API void weir_upstream_lift(weir_upstream *upstream);

/**
 * Begin or end a pause of an upstream's checks; its state does not change
 * during the pause. Another set with the same @c shared continues to check,
 * unless the upstream is paused in all. When the pause ends a check is made at
 * once.
 *
 * @param is_paused  true to begin, false to end
 */
WEIR_API void weir_upstream_pause_checks(weir_upstream *upstream,
                                         bool is_paused);

/**
 * End the requests that are connecting to an upstream, without another try:
 * their done is called from the loop. Connections continue.
 *
 * @param err  the error for done, negative
 * @return     number of requests
 * @retval -EINVAL  @p err is not negative
 */
WEIR_API int weir_upstream_fail_pending(weir_upstream *upstream, int err);

/**
 * Replace the TLS settings of an upstream, for example with a renewed
 * certificate. New connections and checks use the new settings; earlier ones
 * keep the old settings.
 *
 * @param upstream  an upstream that was added with TLS; borrowed
 * @param settings  all the settings, not only those that change; borrowed
 * @return          0; after an error the old settings still apply
 * @retval -EINVAL  no settings, no context, a server context, no name to
 *                  verify, or an upstream that was added without TLS
 */
WEIR_API WEIR_MUST_USE int
weir_upstream_set_tls(weir_upstream *upstream,
                      const struct weir_tls_settings *settings);

/**
 * Get the number of upstreams that were added and not removed, and of the
 * addresses of names (each_address).
 */
WEIR_API size_t weir_upstreams_get_count(const weir_upstreams *set);

/**
 * Get one of the upstreams, in the order of adding; the addresses of a name
 * (each_address) follow it.
 *
 * @param index  from 0 to weir_upstreams_get_count() - 1; a removal moves the
 *               later ones down
 * @return       the upstream, borrowed; NULL if @p index is out of range
 */
WEIR_API weir_upstream *weir_upstreams_get_upstream(weir_upstreams *set,
                                                    size_t index);

/**
 * Get the name of an upstream.
 *
 * @return the name; borrowed as long as the upstream
 */
WEIR_API const char *weir_upstream_get_name(const weir_upstream *upstream);

/** Get the user pointer of an upstream. */
WEIR_API void *weir_upstream_get_user(const weir_upstream *upstream);

/** Facts about an upstream, for metrics. Counts belong to this set: add up the
 * counts of all sets. With each_address they are the sums of all addresses,
 * including removed ones; the error, the status and the alerts are from an
 * address that has failed. State, errors, status, alerts and is_being_checked
 * are common to all sets with the same weir_upstreams_shared.
 */
struct weir_upstream_statistics {
    size_t size;
    /** Its state. */
    enum weir_upstream_state state;
    /** The configured weight. */
    uint32_t weight;
    /** Present weight in thousandths of it, less than 1000 in a slow start. */
    uint32_t warm_permille;
    /** Slots that have not ended. */
    uint32_t active_count;
    /** Limit of the slots; 0 means no limit. */
    uint32_t connection_limit;
    /** Addresses that a connection tries; 0 if they are not known yet. */
    uint32_t address_count;
    /** True for a backup. */
    bool is_backup;
    /** True while a check is under way. */
    bool is_being_checked;
    /** The last error of connecting, of a slot or of a check, or 0. */
    int last_err;
    /** Times it was chosen. */
    uint64_t chosen_count;
    /** Connections that were made. */
    uint64_t connected_count;
    /** Attempts to connect that have failed. */
    uint64_t connect_error_count;
    /** Slots that ended with an error. */
    uint64_t reported_error_count;
    /** Times it was ejected. */
    uint64_t ejected_count;
    /** Checks that have succeeded. */
    uint64_t check_count;
    /** Checks that have failed. */
    uint64_t check_error_count;
    /** Lookups of its name that have failed. */
    uint64_t lookup_error_count;
    /** Checks that could not be made because a local resource was missing. */
    uint64_t check_skipped_count;
    /** The HTTP status or the MySQL error of the last completed check, or 0. */
    uint32_t check_status;
    /** The first line of the response with which the last check has failed: the
     * message of a database, for PostgreSQL after the SQLSTATE, or a wrong
     * response to a text check; may be "". Bytes that are not plain text are
     * '?'. */
    char check_reason[WEIR_UPSTREAM_CHECK_REASON_SIZE];
    /** The alert with which its TLS has refused the last completed check: the
     * name, for example "unknown_ca", a static string; may be NULL. */
    const char *check_alert;
    /** The alert with which its TLS has refused the last failed connect,
     * likewise. For a connection that failed later see its transport
     * (tls_connection.h). */
    const char *connect_alert;
    /** WEIR_BALANCE_FIRST: its time in use, in nanoseconds; 0 if it is not. */
    uint64_t in_use_ns;
    /** With each_address: addresses that are up. */
    uint32_t up_count;
    /** For an address of a service: the priority of its record. */
    uint16_t service_priority;
    /** Likewise: the weight. */
    uint16_t service_weight;
};

/** Get the facts about an upstream. */
WEIR_API int weir_upstream_get_statistics(const weir_upstream *upstream,
                                          struct weir_upstream_statistics *ret);

/** Get the findings of the set about an upstream. */
WEIR_API int weir_upstream_get_health(const weir_upstream *upstream,
                                      struct weir_upstream_health *ret);

/** Facts about a set, for metrics. */
struct weir_upstreams_statistics {
    size_t size;
    /** Upstreams. */
    uint32_t upstream_count;
    /** Upstreams that are up. */
    uint32_t up_count;
    /** Requests that wait for a slot. */
    uint32_t queued_count;
    /** Requests that are connecting. */
    uint32_t connecting_count;
    /** Requests that have waited for a slot. */
    uint64_t queued_total;
    /** Requests that found the queue full. */
    uint64_t queue_full_total;
    /** Requests whose time in the queue has expired. */
    uint64_t queue_timeout_total;
    /** Requests for which no upstream could be used. */
    uint64_t no_upstream_total;
};

/** Get the facts about a set. */
WEIR_API int
weir_upstreams_get_statistics(const weir_upstreams *set,
                              struct weir_upstreams_statistics *ret);

/** Options of weir_upstreams_connect(), and of the calls of tasks. */
struct weir_upstreams_connect_options {
    size_t size;
    /** WEIR_BALANCE_HASH: the key, such as the address of the client or the
     * name that it requests; borrowed. NULL is a key, too. */
    const void *key;
    /** Bytes of the key. */
    size_t key_size;
    /** Upstreams that are tried at most; default 3. */
    uint32_t tries;
    /** Fail with -ETIMEDOUT after this time, in nanoseconds, including all
     * waits; 0 means no limit. The limit of one try is the timeout_ns of
     * connect. */
    uint64_t timeout_ns;
    /** How long to wait, in nanoseconds, if descriptors or memory run out. The
     * request tries again after 100 ms, then after up to a second. With 0 it
     * fails at once. */
    uint64_t shortage_timeout_ns;
    /** Upstreams that are not chosen, at most 16; borrowed. */
    weir_upstream *const *excluded;
    /** Number of excluded upstreams. */
    size_t excluded_count;
    /** The reader's limit, only for weir_upstreams_open_connection(); default
     * WEIR_STREAM_LIMIT. */
    uint64_t limit_bytes;
    /** Connect to this host, held until done, instead of the endpoint of the
     * chosen upstream; NULL means the upstream's endpoint. The limit, the
     * counts, TLS with its server name and session are the upstream's. Errors
     * of the host, including its lookup, count for the ejection of the
     * upstream. */
    const char *host;
    /** The port at @c host. */
    uint16_t port;
    /** Options of each try, without fast_open and tls, which upstreams have.
     * timeout_ns is 10 s by default; UINT64_MAX is no limit. */
    struct weir_connect_options connect;
};

/** The result of weir_upstreams_connect(). */
struct weir_upstreams_result {
    /** sizeof(struct weir_upstreams_result) of the library. */
    size_t size;
    /** The connection, borrowed, after connection_made; NULL after an error. */
    weir_transport *transport;
    /** The upstream of the connection, or the last one tried, or NULL;
     * borrowed. */
    weir_upstream *upstream;
    /** The slot of the connection, given: weir_upstream_slot_release(); NULL
     * after an error. */
    weir_upstream_slot *slot;
    /** Upstreams that were tried. */
    uint32_t try_count;
    /** How long the request has waited in the queue, in nanoseconds. */
    uint64_t queue_ns;
    /** How long the last try took, in nanoseconds. */
    uint64_t connect_ns;
    /** The alert with which the TLS of the last tried upstream has refused: the
     * name, for example "unknown_ca", a static string; may be NULL. */
    const char *tls_alert;
    /** The addresses of all failed tries, each with its error, as in error_text
     * of struct weir_connect_options; may be "". A string, borrowed; NULL if
     * error_text of connect was given. */
    const char *error_text;
};

/** Called at the end of a request; @p err is 0, or negative. @p result is
 * borrowed. -ECANCELED means weir_pending_cancel(), or that the set was freed.
 * -EHOSTDOWN means that there was no upstream to choose, -ENOBUFS that the
 * queue was full, -ETIMEDOUT that the time in the queue or the time of the
 * request has expired. Other errors are from the last upstream that was
 * tried. */
typedef void weir_upstreams_done_fn(void *arg, int err,
                                    const struct weir_upstreams_result *result);

/**
 * Choose an upstream and connect to it.
 *
 * If an upstream cannot be reached another one is tried, until the factory has
 * been called: an error of the factory ends the request. Neither this nor a
 * local lack of memory, descriptors or ports counts against the upstream.
 *
 * @param factory  called once the connection is established; copied
 * @param done     called once, from the loop
 * @param ret      a handle for weir_pending_cancel(), and until done has
 *                 returned for weir_pending_get_attempt(), which has the
 *                 addresses of all tries, but at most 64 of failed ones; may be
 *                 NULL
 * @retval -EINVAL  no factory or done, tls or fast_open in options.connect,
 *                  more than 16 excluded upstreams, or more than 16 tries
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int
weir_upstreams_connect(weir_upstreams *set, const struct weir_factory *factory,
                       const struct weir_upstreams_connect_options *options,
                       weir_upstreams_done_fn *done, void *done_arg,
                       weir_pending **ret);

/**
 * Choose an upstream, connect to it, and wait for the end of the request. An
 * interruption of the task cancels the request.
 *
 * @param factory  called once the connection is established; held
 * @param ret      the result, its size set by the caller; written even after an
 *                 error of the request. Its transport is given: end with
 *                 weir_transport_unref(); it may be lost already. After an
 *                 error its upstream is NULL if it was removed meanwhile
 * @return         0 when connected; other errors are those of
 *                 weir_upstreams_connect() and of weir_upstreams_done_fn
 * @retval -EINVAL     no @p ret, or as weir_upstreams_connect()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_upstreams_open_transport(
    weir_upstreams *set, const struct weir_factory *factory,
    const struct weir_upstreams_connect_options *options,
    struct weir_upstreams_result *ret);

/**
 * Choose an upstream and connect to it, and read and write the connection. An
 * interruption of the task cancels the request. End the slot in addition to the
 * stream.
 *
 * @param ret         as in weir_upstreams_open_transport(), except that the
 *                    transport is borrowed from the writer
 * @return            as weir_upstreams_open_transport()
 * @retval -EINVAL     no @p ret or @p ret_writer, a limit above INT64_MAX, or
 *                     as weir_upstreams_connect()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_upstreams_open_connection(
    weir_upstreams *set, const struct weir_upstreams_connect_options *options,
    struct weir_upstreams_result *ret, weir_reader **ret_reader,
    weir_writer **ret_writer);

/**
 * Get the upstream of a slot.
 *
 * @return the upstream; borrowed as long as the slot
 */
WEIR_API weir_upstream *
weir_upstream_slot_get_upstream(const weir_upstream_slot *slot);

/**
 * End a slot after its connection.
 *
 * Call it once for each connection, for example in connection_lost. The first
 * request in the queue of this set, or of another one with the same
 * weir_upstreams_shared, gets the slot. A slot may be ended after its set and
 * its loop were freed.
 *
 * @param slot    taken; NULL is ignored
 * @param result  0 for a success; a negative error for a failure, which counts
 *                for its ejection; -ECANCELED for neither, for example if the
 *                client has left
 */
WEIR_API void weir_upstream_slot_release(weir_upstream_slot *slot, int result);

WEIR_END_DECLS

#endif
