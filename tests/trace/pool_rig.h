/*
 * The receive pool on the fake machine, with connections that fill it.
 *
 * Each connection's peer writes a stream whose byte i is a function of i and of
 * the connection; what completes is turned into leases by the pool, compared
 * with the stream and kept until the test gives it back.
 */
#ifndef WEIR_TESTS_TRACE_POOL_RIG_H
#define WEIR_TESTS_TRACE_POOL_RIG_H

#include "lib/loop/budget.h"
#include "tests/fake/fake.h"
#include "tests/walk.h"
#include "uring/feature.h"
#include "uring/lease.h"
#include "uring/sys.h"

#include <errno.h>

#define CONN_MAX  8
#define LEASE_MAX 4096
#define MIB       (1u << 20)

#define CREDIT_PLENTY (64u << 20)

struct pool_conn {
    struct wr_op op;
    struct wr_demand demand;
    struct fake_peer *peer;
    int fd;
    uint64_t written;
    uint64_t received;
    uint64_t released_count;
    int32_t last_res; /* of the last completion */
};

/* A lease with what it must hold. */
struct got {
    weir_lease *lease;
    struct pool_conn *conn;
    uint64_t position;
};

/* Machines with buffers that several receives share, and without. */
extern const struct fake_options inc;
extern const struct fake_options plain;

extern struct test_allocator allocator;
extern struct wr_uring uring;
extern struct wr_pool pool;
extern struct wr_budget budget;
extern struct wr_blocks blocks;
extern struct pool_conn conns[CONN_MAX];
extern struct got gots[LEASE_MAX];
extern int got_count;
/* When set, bytes are borrowed and this is the callback. */
extern void (*in_borrow)(struct pool_conn *conn, weir_lease *lease);

void check_lease(const struct got *got);
void pool_start(const struct fake_options *options, uint64_t limit_bytes);
struct pool_conn *add_conn(uint64_t limit_bytes);
/* The same when the buffers are posted. */
struct pool_conn *post_and_add(uint64_t limit_bytes);

/* As much of @len bytes as the pipe takes. */
void peer_writes(struct pool_conn *conn, size_t len);

/* Unless a receive is in flight, which goes on while its credit lasts. */
void arm(struct pool_conn *conn, uint32_t credit);

/* All that can complete does. */
void turn(void);

/* Receives all of @len bytes into leases. */
void receive(struct pool_conn *conn, size_t len);
void give_back(int index);
void give_all_back(void);

/* Checks that hold at any time, when only @gots refers to leases. */
void check_pool(void);
void pool_stop(void);

/* Run a body with a pool of 64 MiB on such a machine. */
void with_pool(void (*body)(void));
void with_plain_pool(void (*body)(void));

#endif
