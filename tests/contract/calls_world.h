/*
 * The parts of a round of random calls, and its counts.
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

#include <weir/error.h>

#include <errno.h>

#define MS UINT64_C(1000000)

/* An assertion that says which round it was. */
#define check(cond)                                                            \
    cr_assert(cond, "in the round of WEIR_TEST_SEED=%llu: %s",                 \
              (unsigned long long)calls.seed, #cond)

enum {
    CONNS_MAX = 2048,
    LEASES_MAX = 4096,
    PEERS_MAX = 1024,
    BYTES_MAX = 300000,
};

struct calls_conn {
    weir_transport *t; /* valid while live, or with references */
    bool made;
    bool live;           /* between connection_made and connection_lost */
    bool paused;         /* its reading, by a call */
    bool writing_paused; /* by pause_writing */
    bool eof;            /* eof_received was called */
    bool half_closed;    /* and kept the writing side open */
    bool has_no_peer;    /* both ends are weir's: no peer closes it */
    int lost;            /* calls of connection_lost */
    int refs;            /* that the program keeps */
    void *promised;      /* memory that release_buffer or an update returns */
    size_t promised_size;
};

struct calls_world {
    struct unit_random random;
    uint64_t seed;

    weir_loop *loop;
    weir_server *server;   /* NULL once freed */
    weir_pending *connect; /* an attempt under way, or NULL */
    struct calls_conn *conns[CONNS_MAX];
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
};

extern struct calls_world calls;

extern uint8_t bytes[BYTES_MAX]; /* all 'x' */

size_t below(uint64_t bound);
bool calls_one_in(uint64_t bound);
void check_bytes(const void *data, size_t len);

/* True for a result of a call that only want of memory or the end can stop. */
bool is_excused(int err);
bool is_usable(const struct calls_conn *conn);
size_t count_live(void);
void give_leases(size_t keep);

/* ---- the library's memory ---- */

extern const struct weir_allocator world_allocator;

#endif
