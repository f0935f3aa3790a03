/*
 * The receive pool with connections that fill it; see pool_rig.h.
 *
 * A completion becomes a lease that is compared with its place in the stream;
 * the sums of held bytes are compared with the accounts.
 */
#include "tests/trace/pool_rig.h"

#include "tests/pattern.h"

const struct fake_options inc = {.seed = 1};
const struct fake_options plain = {.seed = 1,
                                   .missing = 1u << WR_FEATURE_BUF_INC};

struct test_allocator allocator;
struct wr_uring uring;
struct wr_pool pool;
struct wr_budget budget;
struct wr_blocks blocks;
struct pool_conn conns[CONN_MAX];
static int conn_count;
struct got gots[LEASE_MAX];
int got_count;
void (*in_borrow)(struct pool_conn *conn, weir_lease *lease);

/* The seed of its stream. */
static uint32_t number_of(const struct pool_conn *conn)
{
    return (uint32_t)(conn - conns);
}

void check_lease(const struct got *got)
{
    const weir_lease *lease = got->lease;

    cr_assert(pattern_is(number_of(got->conn), got->position, lease->data,
                         lease->len),
              "one of %u bytes from %llu on of %u is wrong", lease->len,
              (unsigned long long)got->position, number_of(got->conn));
}

/* As a protocol sees them: for the time of a callback. */
static void borrow(struct pool_conn *conn, int32_t res, uint32_t flags)
{
    weir_lease *lease =
        wr_pool_borrow(&pool, &conn->demand.account, res, flags);
    if (lease) {
        const struct got got = {lease, conn, conn->received};
        check_lease(&got);
        in_borrow(conn, lease);
        wr_lease_end_borrow(lease);
    }
    conn->received += (uint64_t)res;
}

static void completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct pool_conn *conn = wr_container_of(op, struct pool_conn, op);

    conn->last_res = res;
    if (!(flags & WR_CQE_BUFFER)) {
        return;
    }
    if (in_borrow && res > 0) {
        borrow(conn, res, flags);
        return;
    }
    weir_lease *lease =
        wr_pool_receive(&pool, &conn->demand.account, res, flags);
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

static void account_released(struct wr_account *account)
{
    wr_container_of(account, struct pool_conn, demand.account)
        ->released_count++;
}

void pool_start(const struct fake_options *options, uint64_t limit_bytes)
{
    allocator_init(&allocator);
    const struct wr_ring_options ring = {.allocator = &allocator.hooks,
                                         .sq_entries = 64,
                                         .cq_entries = 256,
                                         .buf_entries = WR_POOL_RING_ENTRIES};
    fake_start(options);
    wr_blocks_init(&blocks, &allocator.hooks);
    cr_assert_eq(wr_uring_open(&uring, &ring), 0);
    cr_assert_eq(wr_ring_enable(uring.ring), 0);
    cr_assert_eq(wr_pool_init(&pool, &uring, limit_bytes, &blocks), 0);
    wr_budget_init(&budget, &pool, limit_bytes, 0);
    conn_count = got_count = 0;
    in_borrow = NULL;
}

struct pool_conn *add_conn(uint64_t limit_bytes)
{
    static const struct wr_account_ops ops = {.released = account_released};
    struct pool_conn *conn = &conns[conn_count++];
    memset(conn, 0, sizeof(*conn));
    wr_op_init(&conn->op, completed);
    wr_demand_init(&conn->demand, limit_bytes, NULL);
    conn->demand.account.notify_released = true;
    conn->demand.account.ops = &ops;
    conn->fd = fake_connected_fd(&conn->peer);
    cr_assert_geq(conn->fd, FAKE_FIRST_FD);
    budget.account_count++;
    return conn;
}

void peer_writes(struct pool_conn *conn, size_t len)
{
    static uint8_t bytes[1u << 18];
    cr_assert_leq(len, sizeof(bytes));
    pattern_fill(number_of(conn), conn->written, bytes, len);
    ssize_t done = fake_peer_write(conn->peer, bytes, len);
    if (done > 0) {
        conn->written += (uint64_t)done;
    }
}

void arm(struct pool_conn *conn, uint32_t credit)
{
    if (!conn->op.in_flight) {
        wr_prep_recv(&uring, &conn->op, conn->fd,
                     &(struct wr_recv_limits){.credit = credit,
                                              .buf_size = pool.buf_size});
    }
}

void turn(void)
{
    cr_assert_eq(wr_uring_enter(&uring, 1, 1), 0);
    wr_uring_dispatch(&uring, UINT32_MAX);
}

void receive(struct pool_conn *conn, size_t len)
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

void give_back(int index)
{
    wr_lease_unref(gots[index].lease);
    gots[index] = gots[--got_count];
}

struct pool_conn *post_and_add(uint64_t limit_bytes)
{
    wr_pool_post(&pool);
    return add_conn(limit_bytes);
}

void give_all_back(void)
{
    while (got_count > 0) {
        give_back(got_count - 1);
    }
    check_pool();
}

void check_pool(void)
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
        cr_assert_eq(conns[i].demand.account.held_bytes, own);
        cr_assert_eq(conns[i].demand.account.lease_count, leases);
        held += own;
    }
    cr_assert_eq(pool.held_bytes, held);
    wr_pool_check_invariants(&pool);
}

void pool_stop(void)
{
    check_pool();
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
    wr_uring_close(&uring);
    cr_assert(wr_pool_fini(&pool));
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
    fake_stop();
}

void with_pool(void (*body)(void))
{
    pool_start(&inc, 64 * MIB);
    body();
    pool_stop();
}

void with_plain_pool(void (*body)(void))
{
    pool_start(&plain, 64 * MIB);
    body();
    pool_stop();
}
