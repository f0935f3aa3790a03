/**
 * @file resolver.h
 * Name resolution: getaddrinfo, getnameinfo, SRV records, and the resolver.
 *
 * Lookups run on the loop, without threads. A built-in resolver (with c-ares)
 * reads /etc/hosts, and the search domains and name servers of
 * /etc/resolv.conf, and queries IPv6 and IPv4 addresses at the same time. All
 * calls that take host names look them up in this way. The program may replace
 * the resolver with its own, for tests or for names that are stored elsewhere.
 * The loop's thread reads these files and /etc/services itself and waits for
 * their file system, so keep them on a local file system.
 *
 * Literal addresses ("192.0.2.1", "::1", "[::1]", "fe80::1%eth0") are not
 * looked up. "localhost" and all names below it are the loopback addresses ::1
 * and 127.0.0.1 (RFC 6761), whatever the hosts file contains. Text that is not
 * a host name is refused without a query, unless the hosts file has it. A host
 * name has at most 253 bytes. Each label has 1 to 63 letters, digits, '-' and
 * '_'. One to four labels of only digits, as in "127.1", are not a host name.
 * Use the "xn--" form of a name outside ASCII.
 *
 * The hosts file is searched first, by the rules of the C library with "multi
 * on" (host.conf(5)): all lines with the name are used, and if one of them has
 * an address, no server is queried, not even for the other family. For a lookup
 * of only IPv4, the address "::1" in the file counts as 127.0.0.1, and
 * "::ffff:192.0.2.1" as 192.0.2.1. A name in the file is any text of up to 253
 * bytes without blanks and '#'. Case does not matter, but a dot at the end
 * does; no search domain is added. A line must begin with a complete address
 * without a zone; other lines are ignored (for example with "127.1" or
 * "fe80::1%eth0"). The rest of the file after 16 MiB or a million names is
 * ignored, too.
 *
 * Search domains are used as in the C library. A name with fewer dots than
 * `ndots` is queried with each domain of the list appended, and then unchanged;
 * other names are queried unchanged, and then with the domains. The search
 * continues with the next domain if a domain does not have the name or an
 * address for it, or if its servers fail (SERVFAIL). The search skips the
 * remaining domains if the servers of a domain refuse (REFUSED, NOTIMP,
 * FORMERR) or do not answer; the unchanged name is still queried. If nothing is
 * found, the lookup fails with one of these errors, in this order: the error of
 * the unchanged name, if it was queried first; WEIR_EDNSNODATA or
 * WEIR_EDNSSERVFAIL, if a query failed with it; the last error.
 *
 * From resolv.conf(5) weir reads:
 * - `nameserver`, at most 32, with a zone if need be (fe80::1%eth0);
 * - `search` and `domain`, with any number of domains in lines of any length;
 * - the options `ndots`, `timeout`, `attempts`, `rotate`, `use-vc`, `no-aaaa`,
 *   `no-reload` and `no-tld-query`;
 * - the option `single-request`, which queries IPv4, then IPv6, and
 *   `single-request-reopen`, which also queries IPv6 over UDP from another
 *   socket.
 *
 * The environment variables LOCALDOMAIN and RES_OPTIONS override the file.
 * Without `timeout` and `attempts` a server has 2 s and 3 tries. These settings
 * have no effect: `edns0` (a larger answer is fetched over TCP), `trust-ad`
 * (results do not show whether an answer is authentic), `no-check-names` (names
 * are always checked), `debug`, `inet6`, `ip6-bytestring`, `ip6-dotint` and
 * `sortlist`.
 *
 * A loop caches the addresses of a name for their TTL, at most for a minute,
 * for all kinds of lookups; asyncio has no cache. Concurrent lookups of the
 * same name share a query. Each lookup has its own time limit, and the query
 * ends when all of its lookups are cancelled. Errors, answers with an error in
 * one family, and addresses from the hosts file are not cached. The cache has
 * up to 512 KiB, which is about 400 names. The least recently used names are
 * removed first; a few seconds after connections were lost all unused names are
 * removed, as by weir_loop_trim().
 *
 * While names are looked up, resolv.conf and the hosts file are checked once a
 * second. If one of them has changed, it is read again and the cache is
 * cleared.
 *
 * The WEIR_EDNS... codes of error.h distinguish how lookups fail.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_RESOLVER_H
#define WEIR_RESOLVER_H

#include "address.h"
#include "base.h"
#include "pending.h"

WEIR_BEGIN_DECLS

/** Maximum number of addresses of one family in a result; further addresses of
 * an answer are dropped. An array of twice this size is enough for every
 * result. */
#define WEIR_ADDRESSES_MAX 64

/** Size of a buffer that is large enough for every host name that lookups
 * write, with the NUL. */
#define WEIR_HOST_SIZE 256

/** A lookup under way, which a resolver of the program answers. */
typedef struct weir_lookup weir_lookup;

/** Called at the end of a lookup. Either @p err is 0 and there are @p count
 * addresses, at least one, borrowed; or @p err is negative and @p count is
 * 0. */
typedef void weir_resolve_done_fn(void *arg, int err,
                                  const struct weir_address *addresses,
                                  size_t count);

/** Options of weir_getaddrinfo() and weir_resolve_start(): the flags and hints
 * of getaddrinfo(3). There is no socket type, because all types get the same
 * addresses, and no AI_IDN, because a name is given in its "xn--" form. */
struct weir_getaddrinfo_options {
    size_t size;
    /** Use only this family: AF_INET or AF_INET6. 0 means both. */
    int family;
    /** If no host is given, return the wildcard addresses for a server instead
     * of the loopback addresses (AI_PASSIVE). */
    bool passive;
    /** Accept only literal addresses (AI_NUMERICHOST). */
    bool numeric_host;
    /** Accept only numbers as service (AI_NUMERICSERV). */
    bool numeric_service;
    /** If this machine, apart from its loopback, has addresses of one family
     * only, look up only that family (AI_ADDRCONFIG). Literal addresses and
     * localhost are not affected. */
    bool configured_only;
    /** With AF_INET6: if there is no IPv6 address, return the IPv4 addresses as
     * "::ffff:192.0.2.1" (AI_V4MAPPED). An IPv6 socket that also speaks IPv4
     * can use them, for example a datagram endpoint with only a local_port. */
    bool map_ipv4;
    /** With AF_INET6: return the IPv6 addresses, and after them the IPv4
     * addresses in the form of map_ipv4 (AI_ALL). */
    bool map_all;
    /** The port as a number ("80") or as a name ("http") that is looked up in
     * /etc/services; NULL means the @p port of the call. */
    const char *service;
    /** Limit of the lookup, in nanoseconds; default 10 s; UINT64_MAX means the
     * resolver's own limits. */
    uint64_t timeout_ns;
    /** Memory for the canonical name of the host (AI_CANONNAME), or NULL. It is
     * held until the lookup has ended, and its content is undefined after an
     * error. The canonical name is the name at the end of the aliases (CNAME),
     * or the first name of the host's line in the hosts file. It includes a
     * search domain that was added, and has no dot at the end. For a literal
     * address it is the address as weir writes it, for localhost the name
     * itself. If this is set, a host must be given. */
    char *canonical_name;
    /** Size of canonical_name in bytes, at least WEIR_HOST_SIZE. */
    size_t canonical_name_size;
};

/**
 * Look up the addresses of a host, in a task (asyncio's loop.getaddrinfo).
 *
 * IPv6 addresses come first; the addresses of a family have the order of the
 * answer. Cached answers are rotated by one address per lookup, like
 * round-robin DNS. If one family has addresses, an error of the other family is
 * not reported.
 *
 * @param host      a name or a literal address; NULL means this machine
 * @param port      the port in host byte order, for all results
 * @param ret       array of @p capacity addresses
 * @param capacity  size of @p ret; 2 * WEIR_ADDRESSES_MAX is enough
 * @return          number of addresses, at least 1; it may be more than @p
 *                  capacity, but only @p capacity are written
 * @retval WEIR_EDNSNOTFOUND     there is no such name
 * @retval WEIR_EDNSNODATA       the name has no address of the requested
 *                               family; or configured_only is set, and this
 *                               machine has no address of this family
 * @retval WEIR_EDNSSERVFAIL     the servers cannot answer now; try again
 * @retval WEIR_EDNSTIMEOUT      no server has answered in time; try again
 * @retval WEIR_EDNSREFUSED      the servers refuse to answer
 * @retval WEIR_EDNSUNREACHABLE  no server could be reached
 * @retval WEIR_EDNSBADANSWER    the answer is malformed, or the canonical name
 *                               is not a host name
 * @retval WEIR_EDNSBADNAME      @p host is not a host name
 * @retval WEIR_ESERVICE         the service is unknown, or is not a number
 *                               although numeric_service is set
 * @retval WEIR_ENONAMES         weir was built without a resolver
 * @retval WEIR_ENOTLITERAL      @p host is a name, and numeric_host is set
 * @retval -ENODEV     the zone of an address names no interface
 * @retval -EMFILE     the process has no free descriptor
 * @retval -EINVAL     the family is unknown; @p ret is NULL; map_ipv4 or
 *                     map_all is set and the family is not AF_INET6; or
 *                     canonical_name is set and there is no host, or its size
 *                     is too small
 * @retval -ENOMEM     no memory
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_getaddrinfo(weir_loop *loop, const char *host, uint16_t port,
                 const struct weir_getaddrinfo_options *options,
                 struct weir_address *ret, size_t capacity);

/**
 * Look up the addresses of a host, with a callback.
 *
 * @param host  a name or a literal address; NULL means this machine
 * @param port  the port in host byte order, for all results
 * @param done  called once, from the loop, with the errors of
 *              weir_getaddrinfo()
 * @param ret   a handle for weir_pending_cancel(); NULL if not wanted
 * @return      0 when the lookup has started; then @p done will be called
 * @retval WEIR_EDNSBADNAME  @p host is not a host name
 * @retval -EMFILE     the process has no free descriptor for the hosts file
 * @retval WEIR_ESERVICE     there is no such service
 * @retval WEIR_ENOTLITERAL  @p host is a name, and numeric_host is set
 * @retval -ENODEV     the zone of an address names no interface
 * @retval -EINVAL     @p done is NULL, or another cause that
 *                     weir_getaddrinfo() lists
 */
WEIR_API WEIR_MUST_USE int
weir_resolve_start(weir_loop *loop, const char *host, uint16_t port,
                   const struct weir_getaddrinfo_options *options,
                   weir_resolve_done_fn *done, void *done_arg,
                   weir_pending **ret);

/** Size of a buffer that is large enough for every service of
 * weir_getnameinfo(), with the NUL. */
#define WEIR_SERVICE_SIZE 64

/** Options of weir_getnameinfo(). */
struct weir_getnameinfo_options {
    size_t size;
    /** Write the address instead of a name (NI_NUMERICHOST). */
    bool numeric_host;
    /** Fail if the address has no name (NI_NAMEREQD). */
    bool name_required;
    /** Write the port as a number instead of a name (NI_NUMERICSERV). */
    bool numeric_service;
    /** Look up the name of the port for UDP instead of TCP (NI_DGRAM). */
    bool datagram;
    /** Limit of the lookup, in nanoseconds; default 10 s; UINT64_MAX means the
     * resolver's own limits. */
    uint64_t timeout_ns;
};

/** The result of weir_getnameinfo(), as texts. */
struct weir_nameinfo {
    size_t size;
    /** The name of the host, or its address without a port. */
    char host[WEIR_HOST_SIZE];
    /** The name of the service, or the port. */
    char service[WEIR_SERVICE_SIZE];
};

/**
 * Look up the name of an address, in a task (asyncio's loop.getnameinfo).
 *
 * The name is the first name of the address in the hosts file, which may be any
 * text. If the hosts file does not have the address, it is the name in DNS,
 * which the owner of the address can choose freely. An address without a name
 * is written in numbers, unless name_required is set.
 *
 * @param address  the address; borrowed
 * @param ret      the texts, written on success only
 * @retval WEIR_EDNSNOTFOUND  the address has no name, and name_required is set
 * @retval WEIR_EDNSBADANSWER  the answer is not a host name
 * @retval -EINVAL     @p address or @p ret is NULL, or the address has a wrong
 *                     length for its family
 * @retval -EAFNOSUPPORT  the address is neither IPv4 nor IPv6
 * @retval -ENOMEM     no memory
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_getnameinfo(weir_loop *loop, const struct weir_address *address,
                 const struct weir_getnameinfo_options *options,
                 struct weir_nameinfo *ret);

/* ---- services ---- */

/** Maximum number of records in a result of weir_resolve_srv(). */
#define WEIR_SRV_MAX 64

/** An SRV record (RFC 2782), which names a host of a service. */
struct weir_srv {
    /** The priority: clients use the hosts with the lowest number while one of
     * them is reachable. */
    uint16_t priority;
    /** The host's share of the connections among the hosts with the same
     * priority. With 0 a host is chosen rarely. */
    uint16_t weight;
    /** The port, in host byte order. */
    uint16_t port;
    /** The name of the host, without a dot at its end. */
    char host[WEIR_HOST_SIZE];
};

/** Options of weir_resolve_srv(). */
struct weir_resolve_srv_options {
    size_t size;
    /** Limit of the lookup, in nanoseconds; default 10 s; UINT64_MAX means the
     * resolver's own limits. */
    uint64_t timeout_ns;
};

/**
 * Look up the hosts of a service, in a task.
 *
 * Records are sorted by priority; records with the same priority are sorted by
 * weight, the largest first. Use weir_getaddrinfo() for the addresses of a
 * host. No search domain is added to the name, no answer is cached, and the
 * hosts file is not used. Records without a host or with port 0 are left out,
 * and so are records beyond WEIR_SRV_MAX.
 *
 * @param name      the name of the service, for example
 *                  "_postgres._tcp.db.example"
 * @param ret       array of @p capacity records
 * @param capacity  size of @p ret; WEIR_SRV_MAX is enough
 * @return          number of records, at least 1; it may be more than @p
 *                  capacity, but only @p capacity are written; or an error of
 *                  weir_getaddrinfo()
 * @retval WEIR_EDNSNODATA       the name has no SRV record
 * @retval WEIR_EDNSNOSERVICE    the domain declares that it does not have the
 *                               service
 * @retval WEIR_EDNSBADNAME      @p name is not a name
 * @retval -EINVAL     @p name or @p ret is NULL
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_resolve_srv(weir_loop *loop, const char *name,
                 const struct weir_resolve_srv_options *options,
                 struct weir_srv *ret, size_t capacity);

/* ---- the built-in resolver ---- */

/** Settings of the built-in resolver of one loop. */
struct weir_dns_options {
    size_t size;
    /** Name servers, at most 32, written like
     * "127.0.0.1:5353,[::1]:53,[fe80::1%eth0]:53"; NULL means the servers in
     * resolv.conf. */
    const char *servers;
    /** Search domains, separated by commas; "" means that there are none, NULL
     * means the domains in resolv.conf. The domain "." stands for the unchanged
     * name. */
    const char *search;
    /** The file to read instead of /etc/resolv.conf; NULL means
     * /etc/resolv.conf. */
    const char *resolv_conf;
    /** The file to read instead of /etc/hosts; NULL means /etc/hosts. */
    const char *hosts;
    /** A name with at least this many dots is first queried without a search
     * domain; 0 means the value in resolv.conf, by default 1. */
    uint32_t ndots;
    /** Time to wait for a server's answer in the first round of queries, in
     * nanoseconds; doubled in each further round. Default 2 s. */
    uint64_t try_timeout_ns;
    /** Number of queries to each server; default 3. */
    uint32_t tries;
    /** Do not use the cache: make a query for each lookup. */
    bool no_cache;
    /** Maximum time that addresses stay in the cache, even if their TTL is
     * longer, in nanoseconds; default 60 s; UINT64_MAX means that only the TTL
     * counts. */
    uint64_t cache_ns;
};

/**
 * Configure the built-in resolver. Without this call the first lookup reads the
 * system's files. The call clears the cache, and may be repeated while no
 * lookup is under way.
 *
 * @return 0; after an error nothing has changed
 * @retval WEIR_ENONAMES  weir was built without a resolver
 * @retval -EINVAL  a text of the options is invalid, or a number is out of
 *                  range
 * @retval -ENOBUFS  there are more than 32 servers
 * @retval -ENODEV  the zone of a server names no interface
 * @retval -EBUSY   lookups are under way
 * @retval -ESHUTDOWN  the loop is being freed
 * @retval -EMFILE, -ENFILE there is no free descriptor to read the files
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int
weir_loop_set_dns_options(weir_loop *loop,
                          const struct weir_dns_options *options);

/* ---- a resolver of the program's own ---- */

/** A resolver of the program: functions that look up names and addresses. The
 * table must stay valid while it is used; see weir_loop_set_resolver(). */
struct weir_resolver {
    size_t size;
    /**
     * Start a lookup of a name.
     *
     * The resolver answers with weir_resolver_reply_addresses(), inside this
     * call or later, once for each family, or once for both. A negative result
     * ends the lookup with this error.
     *
     * @p host is a valid name, borrowed; it may have a dot at its end. @p
     * family is AF_INET, AF_INET6 or 0 for both. If @c start sets @p
     * ret_data, @c cancel gets this value as @p data.
     */
    int (*start)(void *user, weir_lookup *lookup, const char *host, int family,
                 void **ret_data);
    /** Start a lookup of the name of an address. The resolver answers with
     * weir_resolver_reply_name(). NULL if the resolver does not support
     * this. */
    int (*start_reverse)(void *user, weir_lookup *lookup,
                         const struct weir_address *address, void **ret_data);
    /** Stop a lookup that does not have all its answers, because it was
     * cancelled or has timed out; a lookup may be cancelled inside start. The
     * resolver must not answer the lookup any more; an answer inside this call
     * returns -ESTALE. */
    void (*cancel)(void *user, weir_lookup *lookup, void *data);
    /** Let the loop cache the addresses of names for the time of
     * weir_lookup_set_ttl(), and call start once for concurrent lookups of the
     * same name. By default start is called for each lookup. */
    bool is_shared;
    /** Start a lookup of the SRV records of a service. The resolver answers
     * with weir_resolver_reply_srv(). NULL if the resolver does not support
     * this. */
    int (*start_srv)(void *user, weir_lookup *lookup, const char *name,
                     void **ret_data);
};

/**
 * Replace the built-in resolver for all later lookups of a loop, and clear the
 * cache.
 *
 * @param resolver  the resolver; held until the loop is freed, or has another
 *                  resolver and no lookup uses this one. NULL means the
 *                  built-in resolver
 * @param user      the first argument of the resolver's functions
 * @retval -EINVAL  the resolver has no start or no cancel
 * @retval -ESHUTDOWN  the loop is being freed
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int
weir_loop_set_resolver(weir_loop *loop, const struct weir_resolver *resolver,
                       void *user);

/**
 * Answer a lookup of addresses. A resolver of the program calls this. The call
 * does not run callbacks: the loop ends the lookup later. Addresses of another
 * family than @p family are ignored, and so are duplicates. Ports are not used.
 *
 * @param family     AF_INET or AF_INET6 to answer for one family; 0 to answer
 *                   for all families that have no answer yet
 * @param err        0, or a negative error if there are no addresses
 * @param addresses  the addresses, copied; may be NULL if @p count is 0
 * @param count      number of elements
 * @retval -EINVAL   the family was not requested, or @p err is positive
 * @retval -ESTALE   the family already has an answer
 */
WEIR_API WEIR_MUST_USE int
weir_resolver_reply_addresses(weir_lookup *lookup, int family, int err,
                              const struct weir_address *addresses,
                              size_t count);

/**
 * Set the canonical name of a host. A resolver of the program calls this before
 * its last answer to the lookup. The last call counts; without a call the
 * canonical name is the requested name. The call has no effect if the lookup
 * did not request the canonical name.
 *
 * @param name  the name, which may have a dot at its end; copied
 * @retval WEIR_EDNSBADANSWER  @p name is not a host name
 * @retval -EINVAL  @p lookup is not a lookup of addresses, or @p name is NULL
 * @retval -ESTALE  the lookup already has its answer
 */
WEIR_API WEIR_MUST_USE int weir_lookup_set_canonical_name(weir_lookup *lookup,
                                                          const char *name);

/**
 * Set how long addresses are valid. A resolver of the program calls this before
 * its last answer to the lookup.
 *
 * Sets of upstreams (upstream.h) look a name up again after this time, and a
 * loop caches the answer of a resolver with is_shared until then. The shortest
 * time of several calls counts; without a call the time is unknown.
 *
 * @param ttl_ns  the time, in nanoseconds
 * @retval -EINVAL  @p lookup is not a lookup of addresses
 * @retval -ESTALE  the lookup already has its answer
 */
WEIR_API WEIR_MUST_USE int weir_lookup_set_ttl(weir_lookup *lookup,
                                               uint64_t ttl_ns);

/**
 * Answer a lookup of the name of an address. A resolver of the program calls
 * this.
 *
 * @param err   0, or a negative error if there is no name
 * @param host  the name, copied; NULL if @p err is an error
 * @retval -EINVAL  @p lookup is not a lookup of a name, @p err is positive, or
 *                  @p err is 0 and @p host is NULL
 * @retval -ESTALE  the lookup already has an answer
 */
WEIR_API WEIR_MUST_USE int weir_resolver_reply_name(weir_lookup *lookup,
                                                    int err, const char *host);

/**
 * Answer a lookup of a service. A resolver of the program calls this.
 *
 * @param err      0, or a negative error if there are no records
 * @param records  the records in any order, copied; records without a host or
 *                 with port 0 are ignored; may be NULL if @p count is 0
 * @param count    number of elements
 * @retval -EINVAL   @p lookup is not a lookup of a service, @p err is positive,
 *                   or @p err is 0 and there is no record
 * @retval -ESTALE   the lookup already has an answer
 */
WEIR_API WEIR_MUST_USE int
weir_resolver_reply_srv(weir_lookup *lookup, int err,
                        const struct weir_srv *records, size_t count);

WEIR_END_DECLS

#endif
