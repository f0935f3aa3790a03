/*
 * The receive pool and connections that keep bytes forever.
 *
 * Whatever they keep of each buffer, they use only a limited part of all
 * buffers: enough buffers are posted in every iteration, and every kept byte
 * stays unchanged.
 */
#include "tests/trace/pool_rig.h"

#define GOAL_INC 8u

/* As weir_buf_ref() in a callback. */
static void keep_by_rule(struct pool_conn *conn, weir_lease *lease,
                         uint32_t len)
{
    struct weir_buf buf = {.data = lease->data, .len = len, .lease = lease};
    expect_eq(wr_lease_keep(&buf), 0);
    expect_eq(buf.lease->data, buf.data);
    expect_lt(got_count, LEASE_MAX);
    gots[got_count++] = (struct got){buf.lease, conn, conn->received};
}

static void keep_first_byte(struct pool_conn *conn, weir_lease *lease)
{
    keep_by_rule(conn, lease, 1);
}

static void keep_much(struct pool_conn *conn, weir_lease *lease)
{
    keep_by_rule(conn, lease, lease->len);
}

static void drop(struct pool_conn *conn, weir_lease *lease)
{
    expect_eq(lease->refs, 1);
    expect_geq(conn->received, WR_COMPACT_BELOW);
}

/* One lease out of each buffer, ten times as many as there are buffers. */
static void keep_of_every_buffer(void (*keep)(struct pool_conn *, weir_lease *),
                                 uint64_t limit_bytes)
{
    pool_start(&inc, limit_bytes);
    const uint32_t pinnable = (uint32_t)pool.pinnable;
    struct pool_conn *conn = post_and_add(64 * MIB);
    for (uint32_t i = 0; i < 10 * pool.buf_max; i++) {
        in_borrow = keep;
        receive(conn, WR_COMPACT_BELOW);
        in_borrow = drop;
        receive(conn, WR_POOL_INC_SIZE - WR_COMPACT_BELOW);
        wr_pool_post(&pool);
        expect_eq(pool.posted_count, GOAL_INC, "a buffer is missing");
    }
    expect_leq(pool.buf_count, pinnable + 1 + 2 * GOAL_INC);
    for (int i = 0; i < got_count; i++) {
        check_lease(&gots[i]);
    }
    check_pool();
    pool_stop();
}

UNIT(pool_pinned, leases_of_one_byte_pin_no_buffer)
{
    keep_of_every_buffer(keep_first_byte, 64 * MIB);
}

UNIT(pool_pinned, leases_of_any_size_pin_a_quarter_of_the_buffers_at_most)
{
    keep_of_every_buffer(keep_much, 64 * MIB);
}

UNIT(pool_pinned, the_smallest_pool_cannot_be_pinned_either)
{
    keep_of_every_buffer(keep_much, MIB);
}
