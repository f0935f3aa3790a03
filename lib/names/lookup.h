/*
 * Lookups: the addresses of a host, the name of an address, or the records of a
 * service.
 *
 * A struct weir_lookup is embedded in its owner. Each family is answered
 * separately, so that a connection attempt may use the addresses of one family
 * while it waits for the other. The loop calls the owner from the ready queue
 * with each answer. The owner may cancel the lookup at any time; no call
 * follows.
 */
#ifndef WEIR_LIB_NAMES_LOOKUP_H
#define WEIR_LIB_NAMES_LOOKUP_H

#include "lib/base/address.h"
#include "lib/loop/loop.h"
#include "name.h"
#include "weir/resolver.h"

enum wr_lookup_state {
    WR_LOOKUP_IDLE,
    WR_LOOKUP_WAITING,  /* the ready queue will call the resolver */
    WR_LOOKUP_ASKING,   /* the resolver has the lookup */
    WR_LOOKUP_LEAVING,  /* the resolver's cancel() is running */
    WR_LOOKUP_ANSWERED, /* all parts; the owner will be called */
    WR_LOOKUP_ENDED,    /* the owner was called, or has cancelled */
};

enum wr_lookup_part {
    WR_LOOKUP_INET6,
    WR_LOOKUP_INET,
    WR_LOOKUP_NAME,
    WR_LOOKUP_SRV,
    WR_LOOKUP_PARTS,
};

struct wr_lookup_question {
    const char *host; /* borrowed; NULL means this machine */
    uint16_t port;
    int family;
    bool passive;
    bool numeric_host;
    bool configured_only;
    bool fresh;    /* do not use a kept answer */
    bool map_ipv4; /* requires the family AF_INET6 */
    bool map_all;
    char *canonical; /* WEIR_HOST_SIZE bytes, valid until the lookup has ended;
                      * may be NULL */
    uint64_t timeout_ns;
};

/* Called inside the call that closes a part. */
typedef void wr_lookup_closed_fn(weir_lookup *lookup, enum wr_lookup_part part);

struct weir_lookup {
    weir_loop *loop;
    enum wr_lookup_state state;
    /* Called for each answered part; at the end the owner may free the
     * lookup. */
    void (*changed)(weir_lookup *lookup);
    /* Set only in the cache's own lookups. */
    wr_lookup_closed_fn *closed;
    struct wr_list sharing;               /* linked by the cache */
    const struct weir_resolver *cache;    /* NULL if the answer is not shared */
    const struct weir_resolver *resolver; /* set when ASKING begins */
    void *user;                           /* argument of its functions */
    void *data;
    struct wr_ready ready;
    struct wr_timer timer;
    uint64_t timeout_ns;
    unsigned asked; /* parts, as bits */
    unsigned open;  /* requested parts without an answer */
    bool has_news;  /* set by an answer, cleared when the owner is called */
    bool configured_only;
    bool is_fresh;
    bool map_ipv4;
    bool map_all;
    bool is_for_hosts; /* not a host name: only the hosts file may have it */
    char *canonical;   /* NULL if not requested */
    int errs[WR_LOOKUP_PARTS];
    struct weir_address *addresses; /* IPv6 first */
    size_t count;
    size_t capacity;
    size_t inet6_count;
    uint64_t ttl_ns; /* UINT64_MAX if the resolver set none */
    uint16_t port;
    struct weir_srv *srv;
    size_t srv_count;
    struct weir_address address; /* the question of a reverse lookup */
    char host[WR_NAME_SIZE];     /* the question, or the name in the answer */
};

#define WR_LOOKUP_TIMEOUT_NS UINT64_C(10000000000)

void wr_lookup_init(weir_lookup *lookup, weir_loop *loop,
                    void (*changed)(weir_lookup *lookup));

/* The lookup must be idle or have ended. */
void wr_lookup_fini(weir_lookup *lookup);

/* Starts the cache's own lookup with the question of @lookup, and calls the
 * resolver. Must be called from the ready queue. */
void wr_lookup_ask_for(weir_lookup *own, const weir_lookup *lookup,
                       wr_lookup_closed_fn *closed);

/* Ends a lookup without calling its owner; no effect if it is not active. */
void wr_lookup_cancel(weir_lookup *lookup);

static inline bool wr_lookup_has_ended(const weir_lookup *lookup)
{
    return lookup->state == WR_LOOKUP_ENDED;
}

/* Returns 0 for a host name, 1 for another text of up to 253 bytes that the
 * hosts file has, else WEIR_EDNSBADNAME, or -ENOMEM, -EMFILE or a similar
 * error. */
WEIR_MUST_USE int wr_lookup_check_name(weir_loop *loop, const char *host);

/* Returns 0, or an error of weir_resolve_start() that concerns the host; the
 * lookup is then still idle. */
WEIR_MUST_USE int wr_lookup_start(weir_lookup *lookup,
                                  const struct wr_lookup_question *question);

WEIR_MUST_USE int wr_lookup_start_reverse(weir_lookup *lookup,
                                          const struct weir_address *address,
                                          uint64_t timeout_ns);

/* @name must be valid. */
void wr_lookup_start_srv(weir_lookup *lookup, const char *name,
                         uint64_t timeout_ns);

/* Only this function writes the state. */
void wr_lookup_set_state(weir_lookup *lookup, enum wr_lookup_state state);

void wr_lookup_check_invariants(const weir_lookup *lookup);

/* Returns 0 if there is a result, else an error, preferably a temporary one. */
WEIR_MUST_USE int wr_lookup_get_result(const weir_lookup *lookup);

static inline bool wr_lookup_is_open(const weir_lookup *lookup,
                                     enum wr_lookup_part part)
{
    return lookup->open & (1u << part);
}

/* If the question requests it (AI_V4MAPPED, AI_ALL), maps the IPv4 addresses to
 * IPv6. The lookup must have ended with addresses. */
void wr_lookup_map(weir_lookup *lookup);

/* Writes an address without its port. */
void wr_lookup_write_address(const struct weir_address *address,
                             char ret[WEIR_HOST_SIZE]);

/* Sets a requested canonical name. Returns 0, or WEIR_EDNSBADANSWER. */
WEIR_MUST_USE int wr_lookup_set_canonical(weir_lookup *lookup,
                                          const char *name);

/* Limits the TTL of the answer to @ttl_ns. */
void wr_lookup_note_ttl(weir_lookup *lookup, uint64_t ttl_ns);

/* Ignores duplicates, and addresses of a family beyond WEIR_ADDRESSES_MAX.
 * Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_lookup_add(weir_lookup *lookup, enum wr_lookup_part part,
                                const struct weir_address *address);

/* If @err is 0, the part's answer is complete; else @err is its error. */
void wr_lookup_close(weir_lookup *lookup, enum wr_lookup_part part, int err);

/* Answers a reverse lookup with @name, of at most 254 bytes. */
void wr_lookup_close_with_name(weir_lookup *lookup, const char *name);

/* Answers a service lookup with @records, which are sorted, at most
 * WEIR_SRV_MAX. May answer with -ENOMEM. */
void wr_lookup_close_with_srv(weir_lookup *lookup,
                              const struct weir_srv *records, size_t count);

void wr_lookup_close_all(weir_lookup *lookup, int err);

#endif
