/*
 * The receive pool on the fake machine, with connections that fill it.
 *
 * Each connection's peer writes a stream whose byte i is a function of i and of
 * the connection; what completes is turned into leases by the pool, compared
 * with the stream and kept until the test gives it back.
 */
#ifndef WEIR_TESTS_TRACE_POOL_RIG_H
#define WEIR_TESTS_TRACE_POOL_RIG_H

#include "tests/fake/fake.h"
#include "tests/unit.h"
#include "tests/unit/allocator.h"
#include "uring/feature.h"
#include "uring/pool.h"
#include "uring/sys.h"

#include <errno.h>

#define CONN_MAX  8
#define LEASE_MAX 4096

#define CREDIT_PLENTY (64u << 20)

struct conn {
    struct wr_op op;
    struct wr_account account;
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
    struct conn *conn;
    uint64_t position;
};

static struct unit_allocator allocator;
static struct wr_uring uring;
static struct wr_pool pool;
static struct wr_blocks blocks;
static struct conn conns[CONN_MAX];
static int conn_count;
static struct got gots[LEASE_MAX];
static int got_count;
/* When set, bytes are borrowed and this is the callback. */
static void (*in_borrow)(struct conn *conn, weir_lease *lease);

static inline uint8_t byte_of(const struct conn *conn, uint64_t position)
{
    return (uint8_t)(position * 131 + (position >> 8) * 17 +
                     (uint64_t)(conn - conns) * 59);
}

static inline void check_lease(const struct got *got)
{
    for (uint32_t i = 0; i < got->lease->len; i++) {
        if (got->lease->data[i] != byte_of(got->conn, got->position + i)) {
            cr_assert_fail("byte %llu of %d is wrong",
                           (unsigned long long)(got->position + i),
                           (int)(got->conn - conns));
        }
    }
}

/* As a protocol sees them: for the time of a callback. */
static inline void borrow(struct conn *conn, int32_t res, uint32_t flags)
{
    weir_lease *lease = wr_pool_borrow(&pool, &conn->account, res, flags);
    if (lease) {
        const struct got got = {lease, conn, conn->received};
        check_lease(&got);
        in_borrow(conn, lease);
        wr_pool_end_borrow(lease);
    }
    conn->received += (uint64_t)res;
}

static inline void completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct conn *conn = wr_container_of(op, struct conn, op);

    conn->last_res = res;
    if (!(flags & WR_CQE_BUFFER)) {
        return;
    }
    if (in_borrow && res > 0) {
        borrow(conn, res, flags);
        return;
    }
    weir_lease *lease = wr_pool_receive(&pool, &conn->account, res, flags);
    if (!lease) {
        conn->received += res > 0 ? (uint64_t)res : 0; /* lost */
        return;
    }
    cr_assert_lt(got_count, LEASE_MAX);
    cr_assert_eq(lease->len, (uint32_t)res);
    cr_assert_eq(lease->refs, 1);
    gots[got_count] = (struct got){lease, conn, conn->received};
    check_lease(&gots[got_count]);
    got_count++;
    conn->received += (uint64_t)res;
}

static inline void account_released(struct wr_account *account)
{
    wr_container_of(account, struct conn, account)->released_count++;
}

static inline void pool_start(const struct fake_options *options,
                              uint64_t limit_bytes)
{
    unit_allocator_init(&allocator);
    const struct wr_ring_options ring = {
        .allocator = &allocator.hooks, .sq_entries = 64, .cq_entries = 256};
    const struct wr_pool_options pool_options = {.limit_bytes = limit_bytes,
                                                 .blocks = &blocks};
    fake_start(options);
    wr_blocks_init(&blocks, &allocator.hooks);
    cr_assert_eq(wr_uring_open(&uring, &ring), 0);
    cr_assert_eq(wr_ring_enable(uring.ring), 0);
    cr_assert_eq(wr_pool_init(&pool, &uring, &pool_options), 0);
    conn_count = got_count = 0;
    in_borrow = NULL;
}

static inline struct conn *add_conn(uint64_t limit_bytes)
{
    struct conn *conn = &conns[conn_count++];
    memset(conn, 0, sizeof(*conn));
    wr_op_init(&conn->op, completed);
    conn->account.limit_bytes = limit_bytes;
    conn->account.tell_released = true;
    conn->account.released = account_released;
    conn->fd = fake_connected_fd(&conn->peer);
    cr_assert_geq(conn->fd, FAKE_FIRST_FD);
    pool.budget.account_count++;
    return conn;
}

/* As much of @len bytes as the pipe takes. */
static inline void peer_writes(struct conn *conn, size_t len)
{
    static uint8_t bytes[1u << 18];
    cr_assert_leq(len, sizeof(bytes));
    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_of(conn, conn->written + i);
    }
    ssize_t done = fake_peer_write(conn->peer, bytes, len);
    if (done > 0) {
        conn->written += (uint64_t)done;
    }
}

/* Unless a receive is in flight, which goes on while its credit lasts. */
static inline void arm(struct conn *conn, uint32_t credit)
{
    if (!conn->op.in_flight) {
        wr_prep_recv(&uring, &conn->op, conn->fd,
                     &(struct wr_recv_limits){.credit = credit,
                                              .buf_size = pool.buf_size});
    }
}

/* What is there completes. */
static inline void turn(void)
{
    cr_assert_eq(wr_uring_enter(&uring, 1, 1), 0);
    wr_uring_drain(&uring, UINT32_MAX);
}

/* Receives all of @len bytes into leases. */
static inline void receive(struct conn *conn, size_t len)
{
    const uint64_t goal = conn->received + len;

    for (int i = 0; conn->received < goal; i++) {
        cr_assert_lt(i, 1000, "nothing is received any more");
        const uint64_t missing = goal - conn->written;
        peer_writes(conn, (size_t)wr_min_u64(missing, 32u << 10));
        arm(conn, CREDIT_PLENTY);
        turn();
    }
}

static inline void give_back(int index)
{
    wr_lease_unref(gots[index].lease);
    gots[index] = gots[--got_count];
}

static inline void give_all_back(void)
{
    while (got_count > 0) {
        give_back(got_count - 1);
    }
}

/* What must be true at any time, when only @gots refers to leases. */
static inline void check_pool(void)
{
    uint64_t held = 0;
    for (int i = 0; i < conn_count; i++) {
        uint64_t own = 0;
        uint32_t leases = 0;
        for (int j = 0; j < got_count; j++) {
            if (gots[j].conn == &conns[i]) {
                own += wr_lease_cost(gots[j].lease);
                leases++;
            }
        }
        cr_assert_eq(conns[i].account.held_bytes, own);
        cr_assert_eq(conns[i].account.lease_count, leases);
        held += own;
    }
    cr_assert_eq(pool.budget.held_bytes, held);
    cr_assert_leq(pool.buf_count, pool.buf_max);
    cr_assert_leq(pool.posted_count, pool.buf_count);
}

static inline void pool_stop(void)
{
    allocator.fail_at = 0;
    for (int i = 0; i < conn_count; i++) {
        wr_op_cancel(&uring, &conns[i].op);
    }
    while (uring.ops_in_flight > 0) {
        turn();
    }
    for (int i = 0; i < conn_count; i++) {
        wr_sys_close(conns[i].fd);
        fake_peer_close(conns[i].peer);
    }
    give_all_back();
    check_pool();
    wr_uring_close(&uring);
    cr_assert(wr_pool_fini(&pool));
    wr_blocks_fini(&blocks);
    unit_allocator_check(&allocator);
    fake_stop();
}

#endif
