/*
 * The receive pool on the fake machine, with connections that fill it.
 *
 * The peer of each connection writes a stream; its byte i depends on i and the
 * connection. The pool makes leases of completions, which are compared with the
 * stream and kept until the test releases them.
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

/* A lease with its expected contents. */
struct got {
    weir_lease *lease;
    struct pool_conn *conn;
    uint64_t position;
};

/* Machines whose buffers several receives share, and machines without. */
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
/* If set, bytes are borrowed, and this is the callback. */
extern void (*in_borrow)(struct pool_conn *conn, weir_lease *lease);

void check_lease(const struct got *got);
void pool_start(const struct fake_options *options, uint64_t limit_bytes);
struct pool_conn *add_conn(uint64_t limit_bytes);
/* Likewise, after the buffers are posted. */
struct pool_conn *post_and_add(uint64_t limit_bytes);

/* Writes as many of @len bytes as the pipe takes. */
void peer_writes(struct pool_conn *conn, size_t len);

/* Arms a receive, unless one with credit is in flight. */
void arm(struct pool_conn *conn, uint32_t credit);

/* Runs everything that can complete. */
void turn(void);

/* Receives @len bytes into leases. */
void receive(struct pool_conn *conn, size_t len);
void give_back(int index);
void give_all_back(void);

/* Checks what is always true if only @gots has leases. */
void check_pool(void);
void pool_stop(void);

/* Run a body with a pool of 64 MiB on such a machine. */
void with_pool(void (*body)(void));
void with_plain_pool(void (*body)(void));

#endif
