/*
 * The addresses of the hosts in the SRV records of a service. A host whose
 * lookup fails temporarily keeps the addresses that it had; a host that does
 * not exist has none.
 */
#ifndef WEIR_LIB_NAMES_SRV_H
#define WEIR_LIB_NAMES_SRV_H

#include "lookup.h"

/* The host of an address, and the numbers of its record. */
struct wr_srv_rank {
    uint32_t host; /* a hash of the name */
    uint16_t priority;
    uint16_t weight;
};

#define WR_SRV_ADDRESSES_MAX (2u * WEIR_ADDRESSES_MAX)

/* Returns the size of memory for addresses, followed by their ranks. */
static inline size_t wr_srv_get_size(size_t count)
{
    return count * (sizeof(struct weir_address) + sizeof(struct wr_srv_rank));
}
static inline struct wr_srv_rank *wr_srv_get_ranks(struct weir_address *all,
                                                   size_t count)
{
    return (struct wr_srv_rank *)(void *)(all + count);
}

struct wr_srv_host;

struct wr_srv {
    weir_loop *loop;
    /* Called when the addresses can be collected, or when there is an error. */
    void (*ended)(struct wr_srv *srv);
    weir_lookup records;
    struct wr_srv_host *hosts;
    size_t host_count;
    size_t open_count; /* lookups of hosts in progress */
    uint64_t ttl_ns;
};

/* @srv must have no lookup in progress. */
void wr_srv_start(struct wr_srv *srv, weir_loop *loop, const char *name,
                  void (*ended)(struct wr_srv *srv));

/* Writes the addresses, the best first, after all lookups have ended. Returns
 * their number or, if there are none, an error, which is WEIR_EDNSNOSERVICE if
 * the records declare that there is no service. @old are the previous addresses
 * with their ranks. */
WEIR_MUST_USE int wr_srv_collect(const struct wr_srv *srv,
                                 const struct weir_address *old,
                                 const struct wr_srv_rank *old_ranks,
                                 size_t old_count, struct weir_address *ret,
                                 struct wr_srv_rank *ret_ranks);

void wr_srv_end(struct wr_srv *srv);

#endif
