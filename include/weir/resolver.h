/**
 * @file resolver.h
 * Name resolution: getaddrinfo, getnameinfo, SRV records, and the resolver.
 *
 * Lookups run on the loop, without threads: a built-in resolver reads
 * /etc/hosts, and the search domains and name servers of /etc/resolv.conf, and
 * queries IPv6 and IPv4 addresses at the same time (with c-ares). All calls
 * that take host names look them up in this way. The program may replace the
 * resolver by its own, for tests or for names that are stored elsewhere. The
 * loop's thread reads these files, and /etc/services, and waits for their file
 * system: keep them on a local one.
 *
 * Literal addresses ("192.0.2.1", "::1", "[::1]", "fe80::1%eth0") are not
 * looked up, and "localhost" and all names below it are the loopback addresses
 * ::1 and 127.0.0.1 (RFC 6761), whatever the hosts file contains. Text that is
 * not a host name is refused without a query, unless the hosts file has it: an
 * empty label, a label of more than 63 bytes, more than 253 bytes in all, bytes
 * other than letters, digits, '-' and '_', or one to four labels of only
 * digits, as in "127.1". Use the "xn--" form of a name outside ASCII.
 *
 * The hosts file is searched first, by the rules of the C library with "multi
 * on" (host.conf(5)): all lines of a name are used, and if one has an address,
 * no server is queried, not even for the other family. For a lookup of only
 * IPv4, the address "::1" in the file counts as 127.0.0.1, and
 * "::ffff:192.0.2.1" as 192.0.2.1. A name in the file is any text of up to 253
 * bytes without blanks and '#', in upper or lower case; a dot at its end
 * matters, and no search domain is added. Lines that do not begin with a whole
 * address ("127.1", "fe80::1%eth0") are ignored, and so is everything after 16
 * MiB, or a million names.
 *
 * Search domains are used as in the C library. A name with fewer dots than
 * `ndots` is queried with each domain of the list appended, then as it is;
 * other names as they are, then with the domains. The search continues after a
 * domain without such a name or address, or whose servers fail (SERVFAIL); it
 * ends at a domain whose servers refuse (REFUSED, NOTIMP, FORMERR) or do not
 * answer, but the name as it is is still queried. If nothing is found, the
 * error is the one of the name as it is if that was queried first; else
 * WEIR_EDNSNODATA or WEIR_EDNSSERVFAIL if one occurred, else the last error.
 *
 * Of resolv.conf(5) weir reads `nameserver` (32 at most, with the zone of a
 * link: fe80::1%eth0), `search` and `domain` with any number of domains in
 * lines of any length, and these options: `ndots`, `timeout`, `attempts`,
 * `rotate`, `use-vc`, `no-aaaa`, `no-reload`, `no-tld-query`, and
 * `single-request`, which queries IPv4, then IPv6, and `single-request-reopen`,
 * which does the same, and queries IPv6 over UDP from another socket.
 * LOCALDOMAIN and RES_OPTIONS of the environment override the file. These have
 * no effect: `edns0` and `trust-ad` (a larger answer is fetched over TCP, and
 * results do not show whether it is authentic), `no-check-names` (names are
 * always checked), `debug`, `inet6`, `ip6-bytestring`, `ip6-dotint` and
 * `sortlist`. Without `timeout` and `attempts` a server has 2 s and 3 tries.
 *
 * A loop caches the addresses of a name for their TTL, at most for a minute,
 * for all kinds of lookups; asyncio has no cache. Concurrent lookups of one
 * name share a query; each has its own time limit, and cancelling the last one
 * ends the query. Errors, answers with an error in one family, and addresses
 * from the hosts file are not cached. While names are looked up resolv.conf and
 * the hosts file are checked once a second; if one has changed it is read again
 * and the cache is cleared. The cache has up to 512 KiB, about 400 names; the
 * least recently used names are removed first, and unused ones a few seconds
 * after connections were lost (weir_loop_trim()).
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

/** Size of a buffer for every host name that lookups write, with the NUL. */
#define WEIR_HOST_SIZE 256

/** A lookup under way, as a resolver sees it. */
typedef struct weir_lookup weir_lookup;

/** The end of a lookup: @p err is 0 and there are @p count addresses, at least
 * one, borrowed; or @p err is negative and @p count 0. */
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
    /** If there is no host, return the wildcard addresses, for a server,
     * instead of the loopback addresses (AI_PASSIVE). */
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
    /** As map_ipv4, but after the IPv6 addresses, if any (AI_ALL). */
    bool map_all;
    /** The port by name or number ("http", "80"), looked up in /etc/services;
     * NULL means the port of the call. */
    const char *service;
    /** Limit of the lookup, in nanoseconds; default 10 s; UINT64_MAX means the
     * resolver's own limits. */
    uint64_t timeout_ns;
    /** Memory for the canonical name of the host (AI_CANONNAME): the name at
     * the end of its aliases (CNAME), the first name of its line in the hosts
     * file, or the name with the search domain that was added, without a dot at
     * the end. For a literal address it is the address as weir writes it, for
     * localhost the name itself. Held until the lookup has ended, and undefined
     * after an error. May be NULL; otherwise a host is needed. */
    char *canonical_name;
    /** Bytes at canonical_name: at least WEIR_HOST_SIZE. */
    size_t canonical_name_size;
};

/**
 * Look up the addresses of a host, in a task (asyncio's loop.getaddrinfo).
 *
 * IPv6 addresses are first, each family in the order of its answer. Cached
 * answers are rotated by one address per lookup, as by round-robin DNS. If one
 * family has addresses, an error of the other is not reported.
 *
 * @param host      a name or a literal address; NULL means this machine
 * @param port      the port in host byte order, for all results
 * @param ret       array of @p capacity addresses
 * @param capacity  size of @p ret; 2 * WEIR_ADDRESSES_MAX is enough
 * @return          number of addresses, at least 1; addresses beyond @p
 *                  capacity are not written
 * @retval WEIR_EDNSNOTFOUND     there is no such name
 * @retval WEIR_EDNSNODATA       the name has no address of the requested
 *                               family, or this machine has none, with
 *                               configured_only
 * @retval WEIR_EDNSSERVFAIL     the servers cannot answer now: try again
 * @retval WEIR_EDNSTIMEOUT      no answer in time: try again
 * @retval WEIR_EDNSREFUSED      the servers refuse to answer
 * @retval WEIR_EDNSUNREACHABLE  no server could be reached
 * @retval WEIR_EDNSBADANSWER    the answer is malformed, or the canonical name
 *                               is not a host name
 * @retval WEIR_EDNSBADNAME      @p host is no host name, nor in the hosts file
 * @retval WEIR_ESERVICE         unknown service, or not a number with
 *                               numeric_service
 * @retval WEIR_ENONAMES         weir was built without a resolver
 * @retval WEIR_ENOTLITERAL      a name, with numeric_host
 * @retval -ENODEV     the zone of an address names no interface
 * @retval -EMFILE     no descriptors left
 * @retval -EINVAL     an unknown family, no @p ret, map_ipv4 with another
 *                     family than IPv6, or canonical_name without a host or
 *                     with too small a size
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
 * @return      0 when the lookup has begun
 * @retval WEIR_EDNSBADNAME  @p host is no host name, nor in the hosts file
 * @retval -EMFILE     no descriptor left for the hosts file
 * @retval WEIR_ESERVICE     there is no such service
 * @retval WEIR_ENOTLITERAL  a name, with numeric_host
 * @retval -ENODEV     the zone of an address names no interface
 * @retval -EINVAL     no done, or as weir_getaddrinfo()
 */
WEIR_API WEIR_MUST_USE int
weir_resolve_start(weir_loop *loop, const char *host, uint16_t port,
                   const struct weir_getaddrinfo_options *options,
                   weir_resolve_done_fn *done, void *done_arg,
                   weir_pending **ret);

/** Size of a buffer for every service of weir_getnameinfo(), with the NUL. */
#define WEIR_SERVICE_SIZE 64

/** Options of weir_getnameinfo(). */
struct weir_getnameinfo_options {
    size_t size;
    /** Write the address instead of a name (NI_NUMERICHOST). */
    bool numeric_host;
    /** Fail if the address has no name (NI_NAMEREQD). */
    bool name_required;
    /** Write the port as a number (NI_NUMERICSERV). */
    bool numeric_service;
    /** The service uses UDP (NI_DGRAM). */
    bool datagram;
    /** Limit of the lookup, in nanoseconds; default 10 s; UINT64_MAX means the
     * resolver's own limits. */
    uint64_t timeout_ns;
};

/** The texts of an address. */
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
 * The name is the first one of the address in the hosts file, which may be any
 * text; or the name in DNS, which the owner of the address can choose freely.
 * An address without a name is written in numbers, unless the name is required.
 *
 * @param address  the address; borrowed
 * @param ret      the texts, written on success only
 * @retval WEIR_EDNSNOTFOUND  the address has no name, and one is required
 * @retval WEIR_EDNSBADANSWER  the answer is not a host name
 * @retval -EINVAL     no address, a wrong length for its family, or no @p ret
 * @retval -EAFNOSUPPORT  the address is neither IPv4 nor IPv6
 * @retval -ENOMEM     no memory
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_getnameinfo(weir_loop *loop, const struct weir_address *address,
                 const struct weir_getnameinfo_options *options,
                 struct weir_nameinfo *ret);

/* ---- services ---- */

/** Maximum number of records in a result. */
#define WEIR_SRV_MAX 64

/** An SRV record (RFC 2782): a host of a service. */
struct weir_srv {
    /** Hosts with the lowest number are used while one is reachable. */
    uint16_t priority;
    /** The share of the host within its priority; 0 is a small share. */
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
 * Records are sorted by priority, then by weight, the largest first. Use
 * weir_getaddrinfo() for the addresses of a host. No search domain is added to
 * the name, no answer is cached, and the hosts file is not used. Records
 * without a host or with the port 0 are left out, and so are the last ones of
 * more than WEIR_SRV_MAX.
 *
 * @param name      for example "_postgres._tcp.db.example"
 * @param ret       array of @p capacity records
 * @param capacity  size of @p ret; WEIR_SRV_MAX is enough
 * @return          number of records, at least 1; records beyond @p capacity
 *                  are not written; or a negative error as weir_getaddrinfo()
 * @retval WEIR_EDNSNODATA       the name has no SRV record
 * @retval WEIR_EDNSNOSERVICE    the domain says that it has no such service
 * @retval WEIR_EDNSBADNAME      @p name is not a name
 * @retval -EINVAL     no @p name, or no @p ret
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
    /** Name servers, as in "127.0.0.1:5353,[::1]:53,[fe80::1%eth0]:53", 32 at
     * most; NULL means those in resolv.conf. */
    const char *servers;
    /** Search domains, separated by commas; "" means no domains, "." the name
     * as it is, NULL the domains in resolv.conf. */
    const char *search;
    /** The file to read instead of /etc/resolv.conf, or NULL. */
    const char *resolv_conf;
    /** The file to read instead of /etc/hosts, or NULL. */
    const char *hosts;
    /** A name with this many dots is first tried without a search domain; 0
     * means the value in resolv.conf, by default 1. */
    uint32_t ndots;
    /** Time to wait for a server in the first round, in nanoseconds; doubled in
     * each further round. Default 2 s. */
    uint64_t try_timeout_ns;
    /** Number of queries to each server; default 3. */
    uint32_t tries;
    /** Make a query for each lookup, without the cache. */
    bool no_cache;
    /** Maximum time in the cache, whatever the TTL, in nanoseconds; default 60
     * s; UINT64_MAX means only the TTL. */
    uint64_t cache_ns;
};

/**
 * Configure the built-in resolver, instead of the system's files. The call
 * clears the cache; it may be repeated when no lookup is under way. Without it
 * the first lookup reads the system's files.
 *
 * @return 0; after an error nothing has changed
 * @retval WEIR_ENONAMES  weir was built without a resolver
 * @retval -EINVAL  invalid text, or a number out of range
 * @retval -ENOBUFS  more than 32 servers
 * @retval -ENODEV  the zone of a server names no interface
 * @retval -EBUSY   lookups are under way
 * @retval -ESHUTDOWN  the loop is being freed
 * @retval -EMFILE, -ENFILE no descriptor left to read the files
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int
weir_loop_set_dns_options(weir_loop *loop,
                          const struct weir_dns_options *options);

/* ---- a resolver of the program's own ---- */

/** A resolver: how names become addresses. */
struct weir_resolver {
    size_t size;
    /**
     * Begin to look a name up.
     *
     * The resolver answers with weir_resolver_reply_addresses(), inside this
     * call or later, once for each family, or once for both. A negative result
     * ends the lookup with this error.
     *
     * @p host is a valid name, borrowed, perhaps with a dot at its end. @p
     * family is AF_INET, AF_INET6 or 0 for both. cancel gets the value of @p
     * ret_data.
     */
    int (*start)(void *user, weir_lookup *lookup, const char *host, int family,
                 void **ret_data);
    /** Begin to look up the name of an address. The resolver answers with
     * weir_resolver_reply_name(). NULL if the resolver has no such lookups. */
    int (*start_reverse)(void *user, weir_lookup *lookup,
                         const struct weir_address *address, void **ret_data);
    /** Forget a lookup without all its answers, which was cancelled, perhaps
     * inside start, or has expired. The resolver must not answer it any more;
     * inside this call an answer returns -ESTALE. */
    void (*cancel)(void *user, weir_lookup *lookup, void *data);
    /** Let the loop cache the addresses of names for the time of
     * weir_lookup_set_ttl(), and start one lookup for concurrent lookups of one
     * name. Without it start is called for each lookup. */
    bool is_shared;
    /** Begin to look up the SRV records of a service. The resolver answers with
     * weir_resolver_reply_srv(). NULL if the resolver has no such lookups. */
    int (*start_srv)(void *user, weir_lookup *lookup, const char *name,
                     void **ret_data);
};

/**
 * Replace the built-in resolver for all later lookups of a loop, and clear the
 * cache.
 *
 * @param resolver  a table that is valid until the loop has ended or has
 *                  another one, and no lookup uses it; NULL means the built-in
 *                  resolver
 * @param user      first argument of its functions
 * @retval -EINVAL  no start or cancel
 * @retval -ESHUTDOWN  the loop is being freed
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int
weir_loop_set_resolver(weir_loop *loop, const struct weir_resolver *resolver,
                       void *user);

/**
 * Answer a lookup, as a resolver; the loop ends the lookup later. Addresses of
 * another family than @p family are ignored, and so are duplicates. Ports are
 * not used.
 *
 * @param family     AF_INET or AF_INET6 for the addresses of one family, 0 for
 *                   all families without an answer
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
 * Set the canonical name of a host, as a resolver, before its last answer. The
 * last call counts; without a call the canonical name is the requested name. No
 * effect if the program did not request it.
 *
 * @param name  the name, perhaps with a dot at its end; copied
 * @retval WEIR_EDNSBADANSWER  @p name is not a host name
 * @retval -EINVAL  not a lookup of addresses, or no @p name
 * @retval -ESTALE  the lookup already has its answer
 */
WEIR_API WEIR_MUST_USE int weir_lookup_set_canonical_name(weir_lookup *lookup,
                                                          const char *name);

/**
 * Set how long addresses are valid, as a resolver, before the last answer.
 *
 * Sets of upstreams (upstream.h) look a name up again after this time, and a
 * loop caches the answer of a resolver with is_shared until then. The shortest
 * time of several calls counts; without a call the time is unknown.
 *
 * @param ttl_ns  the time, in nanoseconds
 * @retval -EINVAL  not a lookup of addresses
 * @retval -ESTALE  the lookup already has its answer
 */
WEIR_API WEIR_MUST_USE int weir_lookup_set_ttl(weir_lookup *lookup,
                                               uint64_t ttl_ns);

/**
 * Answer a lookup of a name, as a resolver.
 *
 * @param err   0, or a negative error if there is no name
 * @param host  the name, copied; NULL with an error
 * @retval -EINVAL  not a lookup of a name, @p err is positive, or no name
 * @retval -ESTALE  the lookup already has an answer
 */
WEIR_API WEIR_MUST_USE int weir_resolver_reply_name(weir_lookup *lookup,
                                                    int err, const char *host);

/**
 * Answer a lookup of a service, as a resolver.
 *
 * @param err      0, or a negative error if there are no records
 * @param records  the records in any order, copied; records without a host or
 *                 with the port 0 are left out; may be NULL if @p count is 0
 * @param count    number of elements
 * @retval -EINVAL   not a lookup of a service, @p err is positive, or no record
 * @retval -ESTALE   the lookup already has an answer
 */
WEIR_API WEIR_MUST_USE int
weir_resolver_reply_srv(weir_lookup *lookup, int err,
                        const struct weir_srv *records, size_t count);

WEIR_END_DECLS

#endif
