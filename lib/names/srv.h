/*
 * Where a service is: the addresses of the hosts that its records name.
 *
 * All hosts are looked up at once when the records are there. One whose lookup
 * fails for the moment keeps the addresses that it had; one that does not exist
 * has none.
 */
#ifndef WEIR_LIB_NAMES_SRV_H
#define WEIR_LIB_NAMES_SRV_H

#include "lookup.h"

/* Which host has an address, and the numbers of its record. */
struct wr_srv_rank {
    uint32_t host; /* a hash of the name */
    uint16_t priority;
    uint16_t weight;
};

/* The most addresses of a service. */
#define WR_SRV_ADDRESSES_MAX (2u * WEIR_ADDRESSES_MAX)

/* Bytes of memory for addresses, with their ranks behind them. */
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
    /* The addresses can be collected, or there is an error. */
    void (*ended)(struct wr_srv *srv);
    weir_lookup records; /* idle, or under way, or ended */
    struct wr_srv_host *hosts;
    size_t host_count;
    size_t open_count; /* of hosts */
    uint64_t ttl_ns;   /* how long the answer is good */
};

/* Begins; @srv has nothing under way. */
void wr_srv_start(struct wr_srv *srv, weir_loop *loop, const char *name,
                  void (*ended)(struct wr_srv *srv));

/* Writes the addresses, the best first, where all has ended: their number, or
 * why there are none, which is WEIR_EDNSNOSERVICE where there are to be none.
 * @old are those of before, with their ranks. */
WEIR_MUST_USE int wr_srv_collect(const struct wr_srv *srv,
                                 const struct weir_address *old,
                                 const struct wr_srv_rank *old_ranks,
                                 size_t old_count, struct weir_address *ret,
                                 struct wr_srv_rank *ret_ranks);

/* Ends what is under way, and frees all. */
void wr_srv_end(struct wr_srv *srv);

#endif
