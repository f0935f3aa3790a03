/**
 * @file upstream.h
 * Sets of upstreams: the servers among which a proxy chooses for each
 * connection.
 *
 * A set belongs to one loop. Each upstream of it is a host, an address or a
 * Unix path. weir_upstreams_connect() chooses an upstream, connects to it, and
 * tries another one if this fails. With the transport the program is given a
 * slot, which counts the connection, and ends it with the connection's result.
 *
 * Which ones are chosen from:
 * - those without weight, drained or removed are never chosen;
 * - an upstream is down while its checks fail (struct weir_upstream_check);
 * - an upstream is ejected for a time after several failures in a row: of
 *   connecting, or reported by weir_upstream_slot_end();
 * - an upstream that is neither is up. Backups are chosen only if no other
 *   upstream is up;
 * - one whose first check has not ended is waited for, where checks are to
 *   decide first (starts_down);
 * - if none at all is up, those that are ejected are used all the same, because
 *   too much is better rejected by the servers than by a guess.
 *
 * If those to choose from are all at their connection_limit, a request waits in
 * a queue, first come, first served.
 *
 * A program with several loops has a set on each. Those that are made with the
 * same weir_upstreams_shared choose, check and keep limits as one set would;
 * otherwise each counts and checks for itself. What one has found may be given
 * to another (weir_upstream_get_known()), in a process that follows for
 * instance.
 *
 * Times are those of the loop's clock, and everything random comes from a
 * generator with a seed, so that a test can repeat what a set does.
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
#include "pending.h"
#include "place.h"
#include "upstream_check.h"

WEIR_BEGIN_DECLS

/** A set of upstreams. */
typedef struct weir_upstreams weir_upstreams;

/** One connection's place at an upstream. */
typedef struct weir_upstream_slot weir_upstream_slot;

/** The balance, the findings and the limits of several sets, on whatever loops.
 */
typedef struct weir_upstreams_shared weir_upstreams_shared;

/** How an upstream is chosen. */
enum weir_balance {
    /** In turn, in proportion to the weights, and evenly mixed: the weights 2
     * and 1 make A B A, not A A B. */
    WEIR_BALANCE_ROUND_ROBIN = 0,
    /** The upstream with the fewest connections for its weight; in turn among
     * equals. */
    WEIR_BALANCE_LEAST_CONNECTIONS,
    /** Of two that are drawn by weight, the one with the fewer connections for
     * its weight. Several proxies that do not know each other's connections do
     * not all choose the same upstream. */
    WEIR_BALANCE_RANDOM_TWO,
    /** By the request's key: the same upstream for the same key, as long as it
     * can be chosen. If one of n upstreams comes or goes, only its own keys
     * move, about 1/n of all. All sets with the same names and weights agree,
     * in whatever process. */
    WEIR_BALANCE_HASH,
    /** The first, in the order in which they were added, that is up, where the
     * addresses of a name stand in its place; requests
     * wait for it while it is full, and for the first check of one before it
     * (starts_down). Where one alone may be written to. */
    WEIR_BALANCE_FIRST,
};

/** The state of an upstream. */
enum weir_upstream_state {
    /** It is chosen. */
    WEIR_UPSTREAM_UP = 1,
    /** The first check has not ended, and starts_down is set: it is not chosen,
     * but requests wait for it. */
    WEIR_UPSTREAM_CHECKING,
    /** Its checks fail. */
    WEIR_UPSTREAM_DOWN,
    /** It has failed several times in a row. */
    WEIR_UPSTREAM_EJECTED,
    /** It gets no new connections: weir_upstream_set_draining(). */
    WEIR_UPSTREAM_DRAINING,
    /** It was removed, and has connections still. */
    WEIR_UPSTREAM_REMOVED,
    /** It is never chosen, but stands for the addresses of its name, each of
     * which is an upstream: weir_upstream_options.each_address. */
    WEIR_UPSTREAM_NAME,
};

/**
 * The state of an upstream has changed by itself: by checks, failures or time.
 *
 * Called from the loop. Several changes in one turn are told as one. The
 * function may change the set, and may free it.
 *
 * @param arg       the argument of the options
 * @param upstream  the upstream; borrowed
 * @param state     its state now
 * @param err       why it is down or ejected: the last error, negative; 0
 *                  otherwise
 */
typedef void weir_upstream_changed_fn(void *arg, weir_upstream *upstream,
                                      enum weir_upstream_state state, int err);

/**
 * Connects to an upstream begin to fail, or work again.
 *
 * Called from the loop; of sets with the same @c shared, by the set that has
 * connected. Changes in the same loop iteration are reported by one call. The
 * function may change the set, and may free it.
 *
 * @param arg       the changed_arg of the options
 * @param upstream  the upstream; borrowed
 * @param err       the negative error of the connect that has failed, or 0
 * after a connect that has succeeded
 */
typedef void weir_upstream_failing_fn(void *arg, weir_upstream *upstream,
                                      int err);

/**
 * Another upstream is in use, of a set with WEIR_BALANCE_FIRST: connections
 * that are asked for now go to it. It is also called for the first one.
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
    /** Requests that may wait for a slot, of all sets with the same @c shared;
     * 0 is none: -ENOBUFS at once. */
    uint32_t queue_limit;
    /** How long a request waits for a slot, in nanoseconds; default 5 s,
     * UINT64_MAX: without limit. */
    uint64_t queue_timeout_ns;
    /** Failures in a row after which an upstream is ejected; default 5,
     * UINT32_MAX: it never is. */
    uint32_t fail_limit;
    /** How long the first ejection lasts, in nanoseconds; default 10 s. If an
     * upstream fails again after it, before it has succeeded once, the next one
     * lasts twice as long. */
    uint64_t eject_ns;
    /** How long an ejection lasts at most, in nanoseconds; default 300 s. */
    uint64_t eject_max_ns;
    /** The time in which the weight of an upstream grows that was down or
     * ejected and is up again, in nanoseconds; 0: it has all of its weight at
     * once. */
    uint64_t slow_start_ns;
    /** The time after which the addresses of a host are looked up again, in
     * nanoseconds; default 30 s, UINT64_MAX: never. A name whose answer is good
     * for a shorter time (TTL) is looked up again after that time, but not
     * before a second has passed. */
    uint64_t resolve_ns;
    /** The seed of all that is random; 0: one by the time. Sets with the same
     * @c shared draw from the generator of the first of them. */
    uint64_t seed;
    /** Checks of all upstreams, copied; NULL: none. */
    const struct weir_upstream_check *check;
    /** Told when an upstream's state has changed; may be NULL. */
    weir_upstream_changed_fn *changed;
    /** Its first argument. */
    void *changed_arg;
    /** The balance, findings and limits in common with other sets; borrowed,
     * kept alive. NULL: its own. */
    weir_upstreams_shared *shared;
    /** Told when a check could not be made; may be NULL. */
    weir_upstream_check_skipped_fn *check_skipped;
    /** WEIR_BALANCE_FIRST: the upstream that is in use is chosen as long as it
     * is up, also if one before it, or one of which it is a backup, is up
     * again. By default that one is chosen. */
    bool stay;
    /** Of several backups the first that is up is chosen, whatever the balance,
     * and waited for while it is full. By default all of them are chosen from
     * by the balance. */
    bool one_backup;
    /** A request that connects to an upstream which its checks find down leaves
     * it, and another one is chosen; the try does not count. By default it goes
     * on until it has an end of its own. */
    bool leave_down;
    /** Called when another upstream is in use; may be NULL. */
    weir_upstream_in_use_fn *in_use;
    /** Called when connects to an upstream begin to fail, and when they work
     * again; may be NULL. */
    weir_upstream_failing_fn *failing;
};

/**
 * Make what several sets are to have in common.
 *
 * The balance: an upstream of the same name and place (host and port, address
 * or path) is one target in all sets that were made with it. Its connections,
 * its turn and the draws are those of all: however many sets there are, they
 * choose as one set would. Of several upstreams of one name and place in a set
 * the first is one target, the second another one, and so on. Weights, drains
 * and what is excluded are each set's own.
 *
 * Findings: failures of connections, in a row, are those of all these sets, by
 * the fail_limit of the set that meets one; an ejection and a slow start are
 * all sets' too, but for those that never eject. Of the sets with equal checks
 * one makes each check, with its own TLS settings. Its result holds in all
 * before their next choice, and each is told of a change. When that set is
 * freed or retired, or the upstream is removed from it, another one goes on at
 * once; when
 * its loop does not run, one that chooses does, if a check is late by more than
 * the interval, its time-out and a second. Upstreams that are added later begin
 * with what is known, a host with the addresses of the last good lookup. Sets
 * with other checks, or none, share all but their results.
 *
 * Limits: upstreams of one name, in all sets that were made with it, count as
 * one for their connection_limit. Requests that wait are counted together for
 * the queue_limit of each set. A slot that ends wakes the loop of the longest
 * waiting request that could use the place; places that become free together
 * are taken side by side. A request takes no place that is an older one's. What
 * is given up or ended leaves its turn to the next; a loop that does not run
 * keeps its turn, one free place.
 *
 * Slots of an upstream that was removed, or of a freed set, count until they
 * end, so that sets may follow others.
 *
 * A forked child makes its own.
 *
 * @param allocator  for what the sets share, thread-safe, copied; NULL: malloc
 * @param ret        given; end with weir_upstreams_shared_free()
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_upstreams_shared_new(const struct weir_allocator *allocator,
                          weir_upstreams_shared **ret);

/**
 * Give up what sets have in common; sets that were made with it keep it alive.
 *
 * @thread any
 */
WEIR_API void weir_upstreams_shared_free(weir_upstreams_shared *shared);

/**
 * Make a set without upstreams.
 *
 * @param ret  the set, given; end with weir_upstreams_free()
 * @retval -EINVAL     an unknown balance, stay with another one than
 *                     WEIR_BALANCE_FIRST, or a check that is refused (see
 *                     struct weir_upstream_check)
 */
WEIR_API WEIR_MUST_USE int
weir_upstreams_new(weir_loop *loop,
                   const struct weir_upstreams_options *options,
                   weir_upstreams **ret);

/**
 * Free a set, with its upstreams.
 *
 * Checks end. Requests that wait or connect are given up, and their done is
 * called with -ECANCELED from the loop. Connections go on, and their slots may
 * be ended later. A set may be freed after its loop.
 */
WEIR_API void weir_upstreams_free(weir_upstreams *set);

/**
 * Retire a set: other sets with the same @c shared follow it.
 *
 * It stays as it is for its connections and for the requests that it has, but
 * leaves the rest to the others: no lookup of a name begins any more, checks
 * are made by the youngest set with equal checks that is not retired, at once
 * and with its TLS settings, if there is one, and by WEIR_BALANCE_FIRST this
 * set's choices do not count as what is in use. changed and
 * in_use are called as before.
 *
 * @param set  retired already: nothing happens
 */
WEIR_API void weir_upstreams_retire(weir_upstreams *set);

/** Findings of a set about an upstream, for another set to go on from, in
 * another process for instance. Zero is one of which nothing is known. */
struct weir_upstream_known {
    size_t size;
    /** Its state as checks have found it: WEIR_UPSTREAM_UP or
     * WEIR_UPSTREAM_DOWN; 0: unknown. */
    enum weir_upstream_state state;
    /** Ejections since it has last succeeded, each of which was longer than the
     * one before; 0 if there was none. */
    uint32_t ejected_count;
    /** True: slots that ended with errors have ejected it; false: connections
     * that could not be made. */
    bool ejected_by_report;
    /** The last error of a connection, negative; 0 if there was none. */
    int err;
    /** How long it stays ejected, in nanoseconds; 0: it is not. */
    uint64_t ejected_ns;
    /** How long its slow start goes on, in nanoseconds; 0: it is in none. */
    uint64_t slow_start_ns;
    /** WEIR_BALANCE_FIRST: how long it has been in use, in nanoseconds, or 0
     * where it is not. The first upstream that is added to a set with such a
     * time is in use from then on; with stay it is kept while it is up. */
    uint64_t in_use_ns;
};

/** Options of weir_upstreams_add(). */
struct weir_upstream_options {
    size_t size;
    /** Where it is, copied: a host, one address of any family, or a Unix
     * socket. There must be one. */
    struct weir_place place;
    /** Limit of the connections that have a slot, those that are being made
     * among them; 0 is no limit. Upstreams of one name are one for it. */
    uint32_t connection_limit;
    /** The name of the upstream, copied: it is what WEIR_BALANCE_HASH
     * remembers an upstream by, and what slots are counted by. Default: host
     * and port, or the address as text. */
    const char *name;
    /** TLS on connections, copied; NULL: none. */
    const struct weir_tls_settings *tls;
    /** Share of the connections, 1 to 256; default 1. */
    uint32_t weight;
    /** Chosen only if no other upstream is up. */
    bool is_backup;
    /** For weir_upstream_get_user(). */
    void *user;
    /** Findings of another set, copied; NULL: none. Those that sets with the
     * same @c shared have already count more. An ejection lasts no longer
     * than the set's eject_max_ns, a slow start no longer than its
     * slow_start_ns; where the set has none, that of @c known is left out. */
    const struct weir_upstream_known *known;
    /** Its own checks, copied; without an interval it is never checked, nor
     * down. NULL: those of the set. */
    const struct weir_upstream_check *check;
    /** TLS of its checks, copied, also where connections have none; NULL: that
     * of connections. */
    const struct weir_tls_settings *check_tls;
    /** Each address of the host is an upstream of its own, in this set, beside
     * the one that is added: with its name and the address as name, "NAME at
     * ADDRESS", and all other options of this one. It comes and goes with the
     * answers, which have WEIR_ADDRESSES_MAX addresses of a family at most, and
     * keeps its health and counts while its address stays. One whose address
     * is in the answer no more is removed, as by weir_upstream_remove(); an
     * answer that is an error changes nothing. Weight, drain, TLS settings and
     * removal of the one that was added are those of all. Requests wait for
     * the first answer. A literal address is one upstream, and @c known is
     * that of no address. */
    bool each_address;
    /** The host is the name of a service, as "_postgres._tcp.db.example": each
     * address of the hosts of its records (SRV, RFC 2782) is an upstream, with
     * the record's port, as by each_address; the port of the place is not used.
     * Those of the lowest priority are chosen from while one of them is up; of
     * a set with several names, those that have the lowest one of their own.
     * The heaviest of a priority has the weight of these options, and others
     * less by their weights, which follow the answers; each address of a host
     * has its weight, so that one with two gets twice the share. A host whose
     * lookup fails keeps its addresses; a domain that says that it does not
     * have the service has none. TLS is for the domain, the name without its
     * labels that begin with '_', unless the settings name another. */
    bool is_service;
    /** Own address of connections and checks, copied; NULL: that of the options
     * of connect, and any for checks. Addresses of a name that are of another
     * family are left out, and a check's own place of another family is asked
     * from any address. */
    const struct weir_address *local_address;
};

/**
 * Add an upstream.
 *
 * The addresses of a host name are looked up from now on, beside connections:
 * a connection tries all addresses of the last lookup that has found some. If
 * there was none yet, it looks the name up itself.
 *
 * @param options  borrowed
 * @param ret      the upstream, borrowed: it may be used until it is removed,
 *                 the set is freed, or its last slot has ended; may be NULL
 * @retval -EINVAL  no place, one of several addresses, an unnamed or invalid
 *                  one, a socket or a pipe, which is closed; an unnamed or
 *                  invalid local_address; a weight above
 *                  256; TLS settings for a server, or without a name to verify;
 *                  no TLS settings although checks make a handshake; checks
 *                  that are refused; another known state than the two, or one
 *                  of an upstream that is not checked
 * @retval WEIR_EDNSBADNAME  the host is neither an address nor a host name
 * @retval -ENAMETOOLONG  a path of more than 107 bytes
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int
weir_upstreams_add(weir_upstreams *set,
                   const struct weir_upstream_options *options,
                   weir_upstream **ret);

/**
 * Remove an upstream: it is not chosen any more, nor checked.
 *
 * Its connections go on. Requests that are connecting to it go on too.
 *
 * @param upstream  the upstream, taken unless it has slots; borrowed otherwise,
 *                  until the last has ended
 */
WEIR_API void weir_upstream_remove(weir_upstream *upstream);

/**
 * Change the weight of an upstream.
 *
 * @param weight  0 to 256; 0: no new connections
 * @retval -EINVAL  a weight above 256
 */
WEIR_API int weir_upstream_set_weight(weir_upstream *upstream, uint32_t weight);

/**
 * Replace the TLS settings of an upstream's checks, as weir_upstream_set_tls()
 * does those of its connections.
 *
 * @param upstream  an upstream that was added with check_tls; borrowed
 * @param settings  all the settings, not only those that change; borrowed
 * @return          0; after an error the old settings are in force
 * @retval -EINVAL  no settings, no context or one for servers, no name to
 *                  verify, or an upstream that was added without check_tls
 */
WEIR_API WEIR_MUST_USE int
weir_upstream_set_check_tls(weir_upstream *upstream,
                            const struct weir_tls_settings *settings);

/**
 * Begin or end the drain of an upstream: no new connections while it lasts.
 *
 * Its connections go on; weir_upstream_get_info() tells how many are left.
 *
 * @param is_draining  true: begin
 */
WEIR_API void weir_upstream_set_draining(weir_upstream *upstream,
                                         bool is_draining);

/**
 * Take an upstream for up, whatever its checks have found.
 *
 * The checks go on, and may find it down again, by as many failures in a row as
 * they need. Without checks this has no effect; an ejection goes on.
 */
WEIR_API void weir_upstream_lift(weir_upstream *upstream);

/**
 * Begin or end a pause of the checks of an upstream, which is not checked while
 * it lasts; its state stays.
 *
 * Of sets with the same @c shared another one goes on, unless the upstream is
 * paused in all. When the pause ends a check is made at once.
 *
 * @param is_paused  true: begin
 */
WEIR_API void weir_upstream_pause_checks(weir_upstream *upstream,
                                         bool is_paused);

/**
 * End the requests that are connecting to an upstream, without another try:
 * their done is called from the loop. Connections go on.
 *
 * @param err  what done gets, negative
 * @return     number of requests
 * @retval -EINVAL  @p err is not negative
 */
WEIR_API int weir_upstream_end_requests(weir_upstream *upstream, int err);

/**
 * Replace the TLS settings of an upstream, with a renewed certificate for
 * instance.
 *
 * Connections and checks that begin from now on use the new settings; earlier
 * ones keep the old ones.
 *
 * @param upstream  an upstream that was added with TLS; borrowed
 * @param settings  all the settings, not only those that change; borrowed
 * @return          0; after an error the old settings are in force
 * @retval -EINVAL  no settings, no context or one for servers, no name to
 *                  verify, or an upstream that was added without TLS
 */
WEIR_API WEIR_MUST_USE int
weir_upstream_set_tls(weir_upstream *upstream,
                      const struct weir_tls_settings *settings);

/**
 * Number of upstreams.
 *
 * @return number of upstreams that were added and not removed
 */
WEIR_API size_t weir_upstreams_get_count(const weir_upstreams *set);

/**
 * One of the upstreams, in the order of adding; the addresses of a name
 * (each_address) stand behind it.
 *
 * @param index  from 0 to weir_upstreams_get_count() - 1; a removal moves the
 *               later ones down
 * @return       the upstream, borrowed; NULL: no such upstream
 */
WEIR_API weir_upstream *weir_upstreams_get_upstream(weir_upstreams *set,
                                                    size_t index);

/**
 * The name of an upstream.
 *
 * @return the name; borrowed as long as the upstream
 */
WEIR_API const char *weir_upstream_get_name(const weir_upstream *upstream);

/**
 * The user pointer of an upstream.
 *
 * @return that of its options
 */
WEIR_API void *weir_upstream_get_user(const weir_upstream *upstream);

/** Facts about an upstream, for metrics. Counts are this set's: add those of
 * all sets up. With each_address they are those of all addresses together, and
 * of those that were removed; the error, the status and the alerts are those of
 * one that has failed. State, errors, status and alerts are those of all sets
 * with the same weir_upstreams_shared, and so is whether it is being checked.
 */
struct weir_upstream_info {
    size_t size;
    /** Its state. */
    enum weir_upstream_state state;
    /** Its weight, as it was set. */
    uint32_t weight;
    /** Its weight in thousandths of that, less than 1000 in a slow start. */
    uint32_t warm_permille;
    /** Slots that have not ended. */
    uint32_t active_count;
    /** Limit of the slots; 0 is no limit. */
    uint32_t connection_limit;
    /** Addresses that a connection tries; 0: none are known yet. */
    uint32_t address_count;
    /** True: a backup. */
    bool is_backup;
    /** True: a check is under way. */
    bool is_being_checked;
    /** The last error of connecting, of a slot or of a check; 0: none yet. */
    int last_err;
    /** Times that it was chosen. */
    uint64_t chosen_count;
    /** Connections that were made. */
    uint64_t connected_count;
    /** Attempts to connect that have failed. */
    uint64_t connect_error_count;
    /** Slots that ended with an error. */
    uint64_t reported_error_count;
    /** Times that it was ejected. */
    uint64_t ejected_count;
    /** Checks that have succeeded. */
    uint64_t check_count;
    /** Checks that have failed. */
    uint64_t check_error_count;
    /** Lookups of its name that have failed. */
    uint64_t lookup_error_count;
    /** Checks that could not be made, because this machine lacked something. */
    uint64_t check_skipped_count;
    /** The status of HTTP that the last check that was made was answered with,
     * or the error of MySQL; 0 if there was none. */
    uint32_t check_status;
    /** The first line of the server's words by which the last check has failed:
     * the message of a database, behind the SQLSTATE of PostgreSQL, or a wrong
     * answer to a text check; "" if there is none. Bytes that are no plain text
     * are '?'. */
    char check_reason[WEIR_CHECK_REASON_SIZE];
    /** The alert by which its TLS has refused the last check that was made: the
     * name, "unknown_ca" for example, a string with static life time; NULL:
     * there was none. */
    const char *check_alert;
    /** The alert by which its TLS has refused the last connection that failed,
     * likewise. Of one that was made, and failed later, its transport tells it
     * (tls_connection.h). */
    const char *connect_alert;
    /** WEIR_BALANCE_FIRST: how long it has been in use, in nanoseconds, or 0
     * where it is not. */
    uint64_t in_use_ns;
    /** With each_address: addresses that are up. */
    uint32_t up_count;
    /** Of an address of a service: the priority of its record. */
    uint16_t service_priority;
    /** Likewise: the weight. */
    uint16_t service_weight;
};

/** Get the facts about an upstream. */
WEIR_API int weir_upstream_get_info(const weir_upstream *upstream,
                                    struct weir_upstream_info *ret);

/** Get what the set has found out about an upstream. */
WEIR_API int weir_upstream_get_known(const weir_upstream *upstream,
                                     struct weir_upstream_known *ret);

/** Facts about a set, for metrics. */
struct weir_upstreams_info {
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
    /** Requests whose time in the queue was over. */
    uint64_t queue_timeout_total;
    /** Requests for which no upstream could be used. */
    uint64_t no_upstream_total;
};

/** Get the facts about a set. */
WEIR_API int weir_upstreams_get_info(const weir_upstreams *set,
                                     struct weir_upstreams_info *ret);

/** Options of weir_upstreams_connect(), and of the calls of tasks. */
struct weir_upstreams_connect_options {
    size_t size;
    /** WEIR_BALANCE_HASH: the key, as the address of the client or the name
     * that it asks for; borrowed. NULL: no key, which is a key too. */
    const void *key;
    /** Bytes of the key. */
    size_t key_size;
    /** Upstreams that are tried at most; default 3. */
    uint32_t tries;
    /** Give up after this time, in nanoseconds, with all waits: -ETIMEDOUT; 0:
     * without limit. The limit of one try is the timeout_ns of connect. */
    uint64_t timeout_ns;
    /** How long to wait, in nanoseconds, for descriptors or memory that this
     * machine lacks, from the first lack on. It tries again after 100 ms, then
     * after up to a second. 0: the lack is an error at once. */
    uint64_t shortage_timeout_ns;
    /** Upstreams that are not chosen, at most 16; borrowed. */
    weir_upstream *const *excluded;
    /** Number of excluded ones. */
    size_t excluded_count;
    /** The reader's limit, for weir_upstreams_open_connection() alone; default
     * WEIR_STREAM_LIMIT. */
    uint64_t limit_bytes;
    /** Options of each try, without fast_open and tls, which upstreams have.
     * timeout_ns is 10 s by default, UINT64_MAX: without limit. */
    struct weir_connect_options connect;
};

/** The end of weir_upstreams_connect(). */
struct weir_upstreams_result {
    /** sizeof(struct weir_upstreams_result) of the library. */
    size_t size;
    /** The connection, borrowed, after its connection_made; NULL after an
     * error. */
    weir_transport *transport;
    /** The upstream of the connection, or the last that was tried; NULL: none.
     * Borrowed. */
    weir_upstream *upstream;
    /** The slot of the connection, given: weir_upstream_slot_end(); NULL after
     * an error. */
    weir_upstream_slot *slot;
    /** Upstreams that were tried. */
    uint32_t try_count;
    /** How long the request has waited in the queue, in nanoseconds. */
    uint64_t queue_ns;
    /** How long the last try took, in nanoseconds. */
    uint64_t connect_ns;
    /** The alert by which the TLS of the last upstream that was tried has
     * refused: the name, "unknown_ca" for example, a string with static life
     * time; NULL: there was none. */
    const char *tls_alert;
    /** The addresses of all upstreams that were tried in vain, each with its
     * error, as in error_text of struct weir_connect_options; "": there are
     * none. A string, borrowed; NULL if error_text of connect was given. */
    const char *error_text;
};

/**
 * The end of a request; @p err is 0, or negative. @p result is borrowed.
 *
 * -ECANCELED means weir_pending_cancel(), or that the set was freed. -EHOSTDOWN
 * means that there was no upstream to choose, -ENOBUFS that the queue was full,
 * -ETIMEDOUT that the time in the queue or that of the request was over. Other
 * errors are those of the last upstream that was tried.
 */
typedef void weir_upstreams_done_fn(void *arg, int err,
                                    const struct weir_upstreams_result *result);

/**
 * Choose an upstream and connect to it.
 *
 * If an upstream cannot be reached, a new one is tried, until the factory has
 * been called: an error of the factory is the request's, and does not count
 * against the upstream. Nor does a lack of memory, descriptors or ports here.
 *
 * @param factory  called once the connection stands; copied
 * @param done     called once, from the loop
 * @param ret      a handle for weir_pending_cancel(); until done has returned
 *                 also for weir_pending_get_attempt(), which tells the
 *                 addresses of all tries, of those that have failed no more
 *                 than 64; may be NULL
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
 * Choose an upstream, connect to it, and wait for the end of the request.
 *
 * An interruption of the task gives the request up.
 *
 * @param factory  called once the connection stands; held
 * @param ret      how the request has ended, its size set by the caller;
 *                 written after an error of the request, too. Its transport is
 *                 given: end with weir_transport_unref(); it may be lost
 *                 already. Its upstream is NULL after an error also if that
 *                 one was removed meanwhile
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
 * Choose an upstream and connect to it, and read and write the connection.
 *
 * An interruption of the task gives the request up. The slot is to be ended
 * beside the stream.
 *
 * @param ret         as in weir_upstreams_open_transport(), but for its
 *                    transport, which is borrowed from the writer
 * @param ret_reader  the reader, borrowed from the writer; may be NULL
 * @param ret_writer  the writer, given; end with weir_writer_unref()
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
 * The upstream of a slot.
 *
 * @return the upstream; borrowed as long as the slot
 */
WEIR_API weir_upstream *
weir_upstream_slot_get_upstream(const weir_upstream_slot *slot);

/**
 * End a slot: its connection is over.
 *
 * Call it once for each connection, in connection_lost for example. The first
 * request of the queue gets the place, or that of another set with the same
 * weir_upstreams_shared. A slot may be ended after its set was freed, and after
 * the loop was.
 *
 * @param slot    taken; NULL is ignored
 * @param result  0: the upstream has served well; a negative error: it has
 *                failed, which counts for its ejection; -ECANCELED: neither, as
 *                when the client has left
 */
WEIR_API void weir_upstream_slot_end(weir_upstream_slot *slot, int result);

WEIR_END_DECLS

#endif
