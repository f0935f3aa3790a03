/*
 * What a round of random calls consists of, and what it counts.
 *
 * There is one loop with one server; connections that it accepted, that weir
 * made and that were adopted; plain sockets as peers; leases and references
 * that the program keeps. Every byte that is sent anywhere is an 'x', so that
 * memory which is shown and should not be is likely to be noticed. A round
 * depends on its seed, and on the kernel's mood.
 */
#ifndef WEIR_TESTS_CONTRACT_CALLS_WORLD_H
#define WEIR_TESTS_CONTRACT_CALLS_WORLD_H

#include "tests/unit.h"
#include "tests/unit/random.h"

#include <weir.h>

#include <errno.h>

#define MS UINT64_C(1000000)

/* An assertion that says which round it was. */
#define check(cond)                                                            \
    cr_assert(cond, "in the round of WEIR_TEST_SEED=%llu: %s",                 \
              (unsigned long long)world.seed, #cond)

enum {
    CONNS_MAX = 2048,
    LEASES_MAX = 4096,
    PEERS_MAX = 1024,
    BYTES_MAX = 300000,
};

struct conn {
    weir_transport *t; /* valid while live, or with references */
    bool made;
    bool live;           /* between connection_made and connection_lost */
    bool paused;         /* its reading, by a call */
    bool writing_paused; /* by pause_writing */
    bool eof;            /* eof_received was called */
    bool half_closed;    /* and kept the writing side open */
    bool has_no_peer;    /* both ends are weir's: nobody else closes it */
    int lost;            /* calls of connection_lost */
    int refs;            /* that the program keeps */
    void *promised;      /* memory that release_buffer or an update returns */
    size_t promised_size;
};

static struct {
    struct unit_random random;
    uint64_t seed;

    weir_loop *loop;
    weir_server *server;   /* NULL once freed */
    weir_connect *connect; /* an attempt under way, or NULL */
    struct conn *conns[CONNS_MAX];
    size_t conn_count;
    weir_lease *leases[LEASES_MAX];
    size_t lease_count;
    int peers[PEERS_MAX]; /* plain sockets, none blocks */
    size_t peer_count;

    int depth;       /* of callbacks that do anything */
    bool in_a_call;  /* of a protocol's callback, pause_writing aside */
    bool calm;       /* from now on callbacks do nothing by chance */
    bool ending;     /* weir_loop_free() runs */
    bool short_now;  /* an allocation may fail */
    bool runs_short; /* ... in this round */

    size_t memory_bytes;    /* that the library has not given back */
    uint64_t writes;        /* by reference */
    uint64_t releases;      /* of those */
    uint64_t attempts;      /* to connect or adopt */
    uint64_t attempts_done; /* and their ends */
    uint64_t waits;         /* for a closed server */
    uint64_t waits_done;    /* and their ends */
} world;

static uint8_t bytes[BYTES_MAX]; /* all 'x' */

static inline size_t below(uint64_t bound)
{
    return (size_t)unit_random_below(&world.random, bound);
}

static inline bool one_in(uint64_t bound)
{
    return below(bound) == 0;
}

static inline void check_bytes(const void *data, size_t len)
{
    check(len > 0);
    check(len <= sizeof(bytes));
    check(memcmp(data, bytes, len) == 0);
}

/* What a call may answer where only want of memory or the end can stop it. */
static inline bool is_excused(int err)
{
    return err == 0 || (err == -ENOMEM && world.short_now) ||
           (err == -ESHUTDOWN && world.ending);
}

static inline bool is_usable(const struct conn *conn)
{
    return conn->live || conn->refs > 0;
}

static inline size_t count_live(void)
{
    size_t count = 0;
    for (size_t i = 0; i < world.conn_count; i++) {
        count += world.conns[i]->live;
    }
    return count;
}

static inline void give_leases(size_t keep)
{
    while (world.lease_count > keep) {
        weir_lease_unref(world.leases[--world.lease_count]);
    }
}

/* ---- the library's memory ---- */

static inline void *world_alloc(void *arg, size_t size)
{
    (void)arg;
    void *ptr = world.short_now && one_in(200) ? NULL : malloc(size);
    world.memory_bytes += ptr ? size : 0;
    return ptr;
}

static inline void world_free(void *arg, void *ptr, size_t size)
{
    (void)arg;
    world.memory_bytes -= ptr ? size : 0;
    free(ptr);
}

static const struct weir_allocator world_allocator = {.alloc = world_alloc,
                                                      .free = world_free};

#endif
