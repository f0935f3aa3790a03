/**
 * @file resolver.h
 * Names to addresses and back, and services to hosts: getaddrinfo, getnameinfo,
 * SRV records, and who answers them.
 *
 * Lookups run on the loop, without threads: a built-in resolver reads
 * /etc/hosts, the search domains and name servers of /etc/resolv.conf, and asks
 * for IPv6 and IPv4 addresses at the same time (by c-ares). Makers look host
 * names up in the same way. The program may replace the resolver by its own,
 * for tests or for names that are kept elsewhere. The loop's thread reads these
 * files, and /etc/services, and waits for their file system: keep them on a
 * local one.
 *
 * Some names never reach a resolver: literal addresses ("192.0.2.1", "::1",
 * "[::1]", "fe80::1%eth0") stand for themselves, and "localhost" and all names
 * below it are the loopback addresses ::1 and 127.0.0.1 (RFC 6761), whatever
 * the hosts file says. Text that is not a host name is refused before any
 * question, unless the hosts file has it: an empty label, a label of more than
 * 63 bytes, more than 253 bytes in all, bytes other than letters, digits, '-'
 * and '_', or one to four labels of digits only, as in "127.1". A name outside
 * ASCII is given in its "xn--" form.
 *
 * The hosts file is asked before any server, and by the rules of the C library
 * with "multi on" (host.conf(5)): all lines of a name count, and if one has an
 * address, no server is asked, not for the other family either. Asked for IPv4
 * alone, the line of "::1" is one of 127.0.0.1, and that of "::ffff:192.0.2.1"
 * one of 192.0.2.1. A name there is any text of up to 253 bytes without blanks
 * and '#', case does not matter, a dot at its end does, and no search domain is
 * added. Lines that do not begin with a whole address ("127.1", "fe80::1%eth0")
 * do not count, nor does what is behind 16 MiB, or a million names.
 *
 * Short names are searched for as the C library does. A name with fewer dots
 * than `ndots` is asked for below each domain of the list, then as it is;
 * another one as it is, then below the domains. The list goes on behind a
 * domain that has no such name or no address, or whose servers cannot answer
 * (SERVFAIL); it ends at one whose servers refuse (REFUSED, NOTIMP, FORMERR) or
 * are silent, and the name as it is is asked for still. If nothing is found,
 * the error is that of the name as it is if that came first; else
 * WEIR_EDNSNODATA, WEIR_EDNSSERVFAIL, or the last error, whichever there was.
 *
 * Of resolv.conf(5) weir reads `nameserver` (32 at most, with the zone of a
 * link: fe80::1%eth0), `search` and `domain` with any number of domains in
 * lines of any length, and these options: `ndots`, `timeout`, `attempts`,
 * `rotate`, `use-vc`, `no-aaaa`, `no-reload`, `no-tld-query`, and
 * `single-request`, `single-request-reopen`, which both ask for IPv4, then for
 * IPv6. Neither opens another socket for the second question: behind a firewall
 * that drops the second question of a port, `use-vc` is needed. LOCALDOMAIN and
 * RES_OPTIONS of the environment come after the file. Without effect are
 * `edns0` and `trust-ad` (an answer that is too large comes by TCP, and no
 * result says whether it is authentic), `no-check-names` (names are checked
 * always), `debug`, `inet6`, `ip6-bytestring`, `ip6-dotint` and `sortlist`.
 * Without `timeout` and `attempts` a server has 2 s, and three tries.
 *
 * A loop keeps the addresses of a name for as long as the answer says (TTL),
 * and at most for a minute: for getaddrinfo, makers and servers alike. asyncio
 * keeps nothing. Lookups of one name that are under way together are one
 * question; each has its own time limit, and the last one that is cancelled
 * ends it. What is not kept: an error, an answer that one family has an error
 * in, and what the hosts file says, which tells no time. All answers are
 * forgotten when resolv.conf or the hosts file has changed, which are looked at
 * once a second while names are looked up, and read again then. Answers have up
 * to 512 KiB, some 400 names, and the least recently used go first;
 * answers that are not used go some seconds after connections were lost
 * (weir_loop_trim()).
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

/**
 * The most addresses of one family that a lookup keeps; further addresses of an
 * answer are dropped. So twice as many are enough for every result.
 */
#define WEIR_ADDRESSES_MAX 64

/** Room for every host name that lookups write, with the NUL. */
#define WEIR_HOST_SIZE 256

/** A lookup under way, as a resolver sees it. */
typedef struct weir_lookup weir_lookup;

/**
 * The end of a lookup: @p err is 0 and there are @p count addresses, at least
 * one, borrowed; or @p err is negative and @p count 0.
 */
typedef void weir_lookup_done_fn(void *arg, int err,
                                 const struct weir_address *addresses,
                                 size_t count);

/**
 * Options of weir_getaddrinfo() and weir_lookup_start(): the flags and hints of
 * getaddrinfo(3). There is no socket type, because all types get the same
 * addresses, and no AI_IDN, because a name is given in its "xn--" form.
 */
struct weir_getaddrinfo_options {
    size_t size;
    /** AF_INET or AF_INET6 to insist on one; 0: both. */
    int family;
    /** Without a host: the wildcard addresses, for a server, instead of the
     * loopback addresses (AI_PASSIVE). */
    bool passive;
    /** Accept only literal addresses, and look no name up (AI_NUMERICHOST). */
    bool numeric_host;
    /** Accept only a service that is a number, and read no file
     * (AI_NUMERICSERV). */
    bool numeric_service;
    /** If this machine, apart from its loopback, has addresses of one family
     * only, look up only that family (AI_ADDRCONFIG). Literal addresses and
     * localhost are not affected. */
    bool configured_only;
    /** With AF_INET6: if there is no IPv6 address, return the IPv4 addresses as
     * "::ffff:192.0.2.1" (AI_V4MAPPED). An IPv6 socket that also speaks IPv4
     * can use them, for example a datagram endpoint with only a local_port. */
    bool map_ipv4;
    /** As map_ipv4, but also behind IPv6 addresses (AI_ALL). */
    bool map_all;
    /** The port by name or number ("http", "80"), looked up in /etc/services;
     * NULL: the port of the call. */
    const char *service;
    /** Give up after this time, in nanoseconds; default 10 s, UINT64_MAX: when
     * the resolver does. */
    uint64_t timeout_ns;
    /** Memory for the canonical name of the host (AI_CANONNAME): the name at
     * the end of its aliases (CNAME), the first name of its line in the hosts
     * file, or the name with the search domain that was added, without a dot at
     * the end. Of a literal address it is the address as weir writes it, of
     * localhost the name itself. Held until the lookup has ended, and undefined
     * after an error. NULL: not wanted; otherwise a host is needed. */
    char *canonical_name;
    /** Bytes at canonical_name: at least WEIR_HOST_SIZE. */
    size_t canonical_name_size;
};

/**
 * Look up the addresses of a host, in a task (asyncio's loop.getaddrinfo).
 *
 * IPv6 addresses come first, each family in the order of its answer. Each time
 * that a kept answer is used, its families begin with their next address, as
 * they do with name servers that take turns. If one family has addresses, an
 * error of the other is not reported.
 *
 * @param host      a name or a literal address; NULL: this machine itself
 * @param port      the port in host byte order, for all results
 * @param ret       room for @p capacity addresses
 * @param capacity  room in @p ret; 2 * WEIR_ADDRESSES_MAX is enough
 * @return          number of addresses, at least 1; addresses beyond @p
 *                  capacity are not written
 * @retval WEIR_EDNSNOTFOUND     there is no such name
 * @retval WEIR_EDNSNODATA       the name has no address of the family asked
 *                               for, or this machine with configured_only
 * @retval WEIR_EDNSSERVFAIL     the servers cannot answer now: try again
 * @retval WEIR_EDNSTIMEOUT      no answer in time: try again
 * @retval WEIR_EDNSREFUSED      the servers refuse to answer
 * @retval WEIR_EDNSUNREACHABLE  no server could be reached
 * @retval WEIR_EDNSBADANSWER    the answer is not understood, or the canonical
 *                               name is no host name
 * @retval WEIR_EDNSBADNAME      @p host can be no host name, and is none of the
 *                               hosts file
 * @retval WEIR_ESERVICE         there is no such service, or it is no number,
 *                               with numeric_service
 * @retval WEIR_ENONAMES         weir was built without a resolver
 * @retval WEIR_ENOTLITERAL      a name, with numeric_host
 * @retval -ENODEV     the zone of an address names no interface
 * @retval -EMFILE     no descriptors left
 * @retval -EINVAL     an unknown family, no @p ret, IPv4 that is to be
 *                     mapped in another family than IPv6, or canonical_name
 *                     without a host or with too little room
 * @retval -ENOMEM     no memory
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_getaddrinfo(weir_loop *loop, const char *host, uint16_t port,
                 const struct weir_getaddrinfo_options *options,
                 struct weir_address *ret, size_t capacity);

/**
 * Look up the addresses of a host, with a callback in place of a task.
 *
 * @param host  a name or a literal address; NULL: this machine itself
 * @param port  the port in host byte order, for all results
 * @param done  called once, from the loop, with the errors of
 *              weir_getaddrinfo()
 * @param ret   a handle for weir_pending_cancel(); NULL when none is wanted
 * @return      0 when the lookup has begun
 * @retval WEIR_EDNSBADNAME  @p host can be no host name, and is none of the
 *                           hosts file
 * @retval -EMFILE     no descriptors left to read the hosts file
 * @retval WEIR_ESERVICE     there is no such service
 * @retval WEIR_ENOTLITERAL  a name, with numeric_host
 * @retval -ENODEV     the zone of an address names no interface
 * @retval -EINVAL     no done, or as weir_getaddrinfo() has it
 */
WEIR_API WEIR_MUST_USE int
weir_lookup_start(weir_loop *loop, const char *host, uint16_t port,
                  const struct weir_getaddrinfo_options *options,
                  weir_lookup_done_fn *done, void *done_arg,
                  weir_pending **ret);

/** Room for every service that weir_getnameinfo() writes, with the NUL. */
#define WEIR_SERVICE_SIZE 64

/** Options of weir_getnameinfo(). */
struct weir_getnameinfo_options {
    size_t size;
    /** Write the address, and look no name up (NI_NUMERICHOST). */
    bool numeric_host;
    /** Fail where the address has no name (NI_NAMEREQD). */
    bool name_required;
    /** Write the port as a number (NI_NUMERICSERV). */
    bool numeric_service;
    /** The service is one of UDP (NI_DGRAM). */
    bool datagram;
    /** Give up after this time, in nanoseconds; default 10 s, UINT64_MAX: when
     * the resolver does. */
    uint64_t timeout_ns;
};

/** The texts that an address stands for. */
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
 * text there; or what the owner of the address says by DNS, which may be
 * untrue. An address without a name is written in numbers, unless the name is
 * required.
 *
 * @param address  the address; borrowed
 * @param ret      the texts, written on success only
 * @retval WEIR_EDNSNOTFOUND  the address has no name, and one is required
 * @retval WEIR_EDNSBADANSWER  the answer is no host name
 * @retval -EINVAL     no address or one of another length than its family's, or
 *                     no @p ret
 * @retval -EAFNOSUPPORT  the address is neither IPv4 nor IPv6
 * @retval -ENOMEM     no memory
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_getnameinfo(weir_loop *loop, const struct weir_address *address,
                 const struct weir_getnameinfo_options *options,
                 struct weir_nameinfo *ret);

/* ---- services ---- */

/** The most records of a service that a lookup keeps. */
#define WEIR_SRV_MAX 64

/** A record of a service (SRV, RFC 2782): a host that has it. */
struct weir_srv {
    /** Hosts of the lowest number are used while one of them can be reached. */
    uint16_t priority;
    /** The share of the host among those of its priority; one of 0 is small. */
    uint16_t weight;
    /** Where it is, in host byte order. */
    uint16_t port;
    /** The name of the host, without a dot at its end. */
    char host[WEIR_HOST_SIZE];
};

/** Options of weir_lookup_srv(). */
struct weir_lookup_srv_options {
    size_t size;
    /** Give up after this time, in nanoseconds; default 10 s, UINT64_MAX: when
     * the resolver does. */
    uint64_t timeout_ns;
};

/**
 * Look up the hosts that have a service, in a task.
 *
 * They come in the order of their priorities, of each priority the heaviest
 * first. The addresses of a host are those that weir_getaddrinfo() finds. No
 * search domain is added to the name, no answer is kept, and the hosts file is
 * not asked. A record that names no host, or the port 0, is left out; of more
 * than WEIR_SRV_MAX the last ones are.
 *
 * @param name      as "_postgres._tcp.db.example"
 * @param ret       room for @p capacity records
 * @param capacity  room in @p ret; WEIR_SRV_MAX is enough
 * @return          number of records, at least 1; records beyond @p capacity
 *                  are not written
 * @retval WEIR_EDNSNOTFOUND     there is no such name
 * @retval WEIR_EDNSNODATA       the name has no record of a service
 * @retval WEIR_EDNSNOSERVICE    the domain says that it has no such service
 * @retval WEIR_EDNSSERVFAIL     the servers cannot answer now: try again
 * @retval WEIR_EDNSTIMEOUT      no answer in time: try again
 * @retval WEIR_EDNSREFUSED      the servers refuse to answer
 * @retval WEIR_EDNSUNREACHABLE  no server could be reached
 * @retval WEIR_EDNSBADANSWER    the answer is not understood
 * @retval WEIR_EDNSBADNAME      @p name can be no name
 * @retval WEIR_ENONAMES         weir was built without a resolver
 * @retval -EINVAL     no @p name, or no @p ret
 * @retval -ENOMEM     no memory
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_lookup_srv(weir_loop *loop, const char *name,
                const struct weir_lookup_srv_options *options,
                struct weir_srv *ret, size_t capacity);

/* ---- the built-in resolver ---- */

/** Settings of the built-in resolver of one loop. */
struct weir_dns_options {
    size_t size;
    /** Name servers, as in "127.0.0.1:5353,[::1]:53,[fe80::1%eth0]:53", 32 at
     * most; NULL: those of resolv.conf. */
    const char *servers;
    /** Search domains, separated by commas, "" for none, "." for the name as it
     * is; NULL: those of resolv.conf. */
    const char *search;
    /** The file to read instead of /etc/resolv.conf; NULL: that one. */
    const char *resolv_conf;
    /** The file to read instead of /etc/hosts; NULL: that one. */
    const char *hosts;
    /** A name with this many dots is tried without a search domain first; 0:
     * the value of resolv.conf, by default 1. */
    uint32_t ndots;
    /** How long to wait for a server in the first round, in nanoseconds; each
     * further round waits twice as long. Default 2 s. */
    uint64_t try_timeout_ns;
    /** How many times each server is asked; default 3. */
    uint32_t tries;
    /** Ask for each lookup, and keep no answer. */
    bool no_cache;
    /** The longest time that an answer is kept, whatever its TTL says, in
     * nanoseconds; default 60 s, UINT64_MAX: as long as the TTL says. */
    uint64_t cache_ns;
};

/**
 * Set up the built-in resolver, instead of the system's files.
 *
 * It may be called again when no lookup is under way, and forgets all answers
 * that are kept. Without this call the first lookup reads the system's files.
 *
 * @return 0; after an error nothing has changed
 * @retval WEIR_ENONAMES  weir was built without a resolver
 * @retval -EINVAL  text that is no list of servers, or a number out of range
 * @retval -ENOBUFS  more than 32 servers
 * @retval -ENODEV  the zone of a server names no interface
 * @retval -EBUSY   lookups are under way
 * @retval -ESHUTDOWN  the loop is being freed
 * @retval -EMFILE, -ENFILE  no descriptor to read the files by
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
     * The resolver answers by weir_lookup_answer(), inside this call or later,
     * once for each family, or once for both. A negative result ends the lookup
     * with this error.
     *
     * @p host is a valid name, borrowed, perhaps with a dot at its end.
     * @p family is AF_INET, AF_INET6 or 0 for both. cancel gets the value of
     * @p ret_data.
     */
    int (*start)(void *user, weir_lookup *lookup, const char *host, int family,
                 void **ret_data);
    /**
     * Begin to look up the name of an address, which weir_lookup_answer_name()
     * answers; NULL: no address has a name.
     */
    int (*start_reverse)(void *user, weir_lookup *lookup,
                         const struct weir_address *address, void **ret_data);
    /**
     * Forget a lookup that has not all its answers: it was cancelled, perhaps
     * inside start, or its time is over. The resolver must not answer it any
     * more; inside this call an answer is -ESTALE.
     */
    void (*cancel)(void *user, weir_lookup *lookup, void *data);
    /** The loop may keep the addresses of names for the time that
     * weir_lookup_set_ttl() tells, and asks once for a name that several
     * lookups want. Without it each lookup is a question. */
    bool is_shared;
    /**
     * Begin to look up the records of a service, which weir_lookup_answer_srv()
     * answers; NULL: there is no service.
     */
    int (*start_srv)(void *user, weir_lookup *lookup, const char *name,
                     void **ret_data);
};

/**
 * Replace the built-in resolver, for all lookups of a loop that begin from now
 * on. Answers that are kept are forgotten.
 *
 * @param resolver  a table that stays until the loop has ended or has another
 *                  one, and no lookup uses it; NULL: the built-in resolver
 * @param user      first argument of its functions
 * @retval -EINVAL  no start or cancel
 * @retval -ESHUTDOWN  the loop is being freed
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int
weir_loop_set_resolver(weir_loop *loop, const struct weir_resolver *resolver,
                       void *user);

/**
 * Answer a lookup, as a resolver; the end of the lookup follows from the loop.
 *
 * Addresses of another family than @p family are ignored, and so are
 * duplicates. Ports are not used.
 *
 * @param family     AF_INET or AF_INET6 for the addresses of one family, 0 for
 *                   all that have no answer yet
 * @param err        0, or why there are no addresses, negative
 * @param addresses  the addresses, copied; may be NULL when there are none
 * @param count      how many
 * @retval -EINVAL   the family was not asked for, or @p err is positive
 * @retval -ESTALE   the family has an answer
 */
WEIR_API WEIR_MUST_USE int
weir_lookup_answer(weir_lookup *lookup, int family, int err,
                   const struct weir_address *addresses, size_t count);

/**
 * Tell the canonical name of a host, as a resolver, before its last answer.
 *
 * The name of the last call counts; without a call the canonical name is the
 * requested name. No effect if the program did not ask for it.
 *
 * @param name  the name, perhaps with a dot at its end; copied
 * @retval WEIR_EDNSBADANSWER  @p name can be no host name
 * @retval -EINVAL  not a lookup of addresses, or no @p name
 * @retval -ESTALE  it has its answer
 */
WEIR_API WEIR_MUST_USE int weir_lookup_set_canonical_name(weir_lookup *lookup,
                                                          const char *name);

/**
 * Tell how long addresses are good, as a resolver, before the last answer.
 *
 * Sets of upstreams (upstream.h) look a name up again then, and a loop keeps
 * the answer of a resolver with is_shared until then. The shortest time of
 * several calls counts; without a call the time is not known.
 *
 * @param ttl_ns  the time, in nanoseconds
 * @retval -EINVAL  not a lookup of addresses
 * @retval -ESTALE  it has its answer
 */
WEIR_API WEIR_MUST_USE int weir_lookup_set_ttl(weir_lookup *lookup,
                                               uint64_t ttl_ns);

/**
 * Answer a lookup of a name, as a resolver.
 *
 * @param err   0, or why there is no name, negative
 * @param host  the name, copied; NULL with an error
 * @retval -EINVAL  not a lookup of a name, @p err is positive, or no name
 * @retval -ESTALE  it has an answer
 */
WEIR_API WEIR_MUST_USE int weir_lookup_answer_name(weir_lookup *lookup, int err,
                                                   const char *host);

/**
 * Answer a lookup of a service, as a resolver.
 *
 * @param err      0, or why there are no records, negative
 * @param records  the records in any order, copied; those that name no host or
 *                 the port 0 are left out; may be NULL when there are none
 * @param count    how many
 * @retval -EINVAL   not a lookup of a service, @p err is positive, or no record
 * @retval -ESTALE   it has an answer
 */
WEIR_API WEIR_MUST_USE int
weir_lookup_answer_srv(weir_lookup *lookup, int err,
                       const struct weir_srv *records, size_t count);

WEIR_END_DECLS

#endif
