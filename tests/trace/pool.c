/*
 * The receive pool with a kernel that fills it: which buffers are posted, when
 * one is released, what is charged to whom, and what is moved so that a few
 * bytes do not keep a large buffer. tests/unit/pool.c tests what needs no ring.
 */
#define UNIT_RUN with_pool

#include "tests/trace/pool_rig.h"

#include "tests/unit/random.h"

#define GOAL_INC   8u
#define GOAL_PLAIN 128u

UNIT(pool, posts_few_large_buffers_when_they_can_be_shared)
{
    cr_assert_not(wr_pool_has_posted(&pool));

    wr_pool_post(&pool);

    expect_eq(pool.posted_count, GOAL_INC);
    expect_eq(pool.buf_count, GOAL_INC);
    expect_eq(pool.buf_size, WR_POOL_INC_SIZE);
    wr_pool_post(&pool);
    expect_eq(pool.buf_count, GOAL_INC, "posted beyond the goal");
}

UNIT_IN(pool, posts_more_and_smaller_ones_when_each_receive_takes_one,
        with_plain_pool, void)
{
    wr_pool_post(&pool);

    expect_eq(pool.posted_count, GOAL_PLAIN);
    expect_eq(pool.buf_size, WR_POOL_PLAIN_SIZE);
}

UNIT(pool, posts_what_there_is_memory_for_and_the_rest_later)
{
    allocator.fail_at = allocator.calls + 5; /* two for each buffer */

    wr_pool_post(&pool);

    expect_eq(pool.posted_count, 2);
    allocator.fail_at = allocator.calls + 2;
    wr_pool_post(&pool);
    expect_eq(pool.posted_count, 2);
    wr_pool_post(&pool);
    expect_eq(pool.posted_count, GOAL_INC);
}

UNIT_IN(pool, starting_without_memory_leaves_nothing, unit_alone, void)
{
    const struct fake_options machine = {.seed = 1};
    const struct wr_ring_options ring = {
        .allocator = &allocator.hooks, .sq_entries = 64, .cq_entries = 256};
    allocator_init(&allocator);
    fake_start(&machine);
    expect_eq(wr_uring_open(&uring, &ring), 0);
    const uint64_t live_bytes = allocator.live_bytes;
    allocator.fail_at = allocator.calls + 1;

    expect_eq(wr_pool_init(&pool, &uring, MIB, &blocks), -ENOMEM);

    expect_eq(allocator.live_bytes, live_bytes);
    wr_uring_close(&uring);
    fake_stop();
    allocator_check(&allocator);
}

UNIT(pool, receives_of_all_connections_share_a_buffer)
{
    wr_pool_post(&pool);
    struct pool_conn *first = add_conn(MIB);
    struct pool_conn *second = add_conn(MIB);

    receive(first, 100);
    receive(second, 200);
    receive(first, 300);

    expect_eq(got_count, 3);
    expect_eq(gots[1].lease->data, gots[0].lease->data + 100);
    expect_eq(gots[2].lease->data, gots[1].lease->data + 200);
    expect_eq(pool.posted_count, GOAL_INC);
    expect_eq(first->demand.account.held_bytes, 400);
    expect_eq(second->demand.account.held_bytes, 200);
}

UNIT_IN(pool, a_plain_buffer_is_used_up_by_one_receive, with_plain_pool, void)
{
    struct pool_conn *conn = post_and_add(MIB);

    receive(conn, 100);

    expect_eq(pool.posted_count, GOAL_PLAIN - 1);
    give_back(0);
    wr_pool_post(&pool);
    expect_eq(pool.buf_count, GOAL_PLAIN, "made a buffer anew");
    expect_eq(pool.posted_count, GOAL_PLAIN);
}

/* Receives as much as uses up the buffer at the head; keeps one lease. */
static void use_up_buffer(struct pool_conn *conn)
{
    const uint32_t posted = pool.posted_count;
    while (pool.posted_count == posted) {
        receive(conn, 32u << 10);
    }
    while (got_count > 1) {
        give_back(1);
    }
}

UNIT(pool, a_used_up_buffer_is_free_with_its_last_lease_and_not_before)
{
    struct pool_conn *conn = post_and_add(MIB);

    use_up_buffer(conn);

    expect_eq(pool.posted_count, GOAL_INC - 1);
    cr_assert_null(pool.free_list);
    wr_pool_post(&pool);
    expect_eq(pool.buf_count, GOAL_INC + 1, "posted under a lease");
    check_lease(&gots[0]);
    give_back(0);
    cr_assert_not_null(pool.free_list);
}

UNIT(pool, the_buffer_that_was_given_back_last_is_posted_first)
{
    struct pool_conn *conn = post_and_add(MIB);
    use_up_buffer(conn);
    wr_pool_post(&pool); /* one more than the goal is made */
    give_back(0);
    const struct wr_pool_buf *older = pool.free_list;
    use_up_buffer(conn);
    give_back(0);
    expect_neq(pool.free_list, older);

    wr_pool_post(&pool);

    expect_eq(pool.posted_count, GOAL_INC);
    expect_eq(pool.free_list, older);
    expect_eq(pool.buf_count, GOAL_INC + 1);
}

UNIT_IN(pool, an_end_of_stream_with_a_buffer_charges_nothing, with_plain_pool,
        void)
{
    struct wr_account nobody = {.limit_bytes = MIB};
    wr_pool_post(&pool);

    cr_assert_null(wr_pool_receive(&pool, &nobody, 0, WR_CQE_BUFFER));

    expect_eq(nobody.held_bytes, 0);
    expect_eq(pool.posted_count, GOAL_PLAIN - 1);
    cr_assert_not_null(pool.free_list, "the buffer is gone");
}

UNIT_IN(pool, bytes_without_memory_for_a_lease_are_lost_but_not_their_buffer,
        with_plain_pool, void)
{
    struct pool_conn *conn = post_and_add(MIB);
    peer_writes(conn, 100);
    arm(conn, CREDIT_PLENTY);
    expect_eq(wr_uring_enter(&uring, 1, 1), 0);
    allocator.fail_at = allocator.calls + 1;

    wr_uring_dispatch(&uring, UINT32_MAX);

    expect_eq(conn->last_res, 100);
    expect_eq(got_count, 0);
    expect_eq(conn->demand.account.held_bytes, 0);
    cr_assert_not_null(pool.free_list);
    receive(conn, 50);
    expect_eq(got_count, 1);
}

UNIT_IN(pool, leases_that_are_held_run_it_dry_and_their_return_fills_it,
        unit_alone, void)
{
    pool_start(&inc, MIB);
    struct pool_conn *conn = post_and_add(64 * MIB);
    while (wr_pool_has_posted(&pool)) {
        receive(conn, 32u << 10);
        wr_pool_post(&pool);
    }
    expect_eq(pool.buf_count, pool.buf_max);
    expect_leq((uint64_t)pool.buf_count * pool.buf_size,
               MIB + 2 * GOAL_INC * WR_POOL_INC_SIZE, "over the limit");
    expect_eq(wr_budget_credit(&budget, &conn->demand), 0);
    peer_writes(conn, 10);
    arm(conn, CREDIT_PLENTY);
    turn();
    expect_eq(conn->last_res, -ENOBUFS);

    give_all_back();
    wr_pool_post(&pool);

    expect_eq(pool.posted_count, GOAL_INC);
    arm(conn, CREDIT_PLENTY);
    turn();
    expect_eq(conn->last_res, 10);
    pool_stop();
}

UNIT(pool, each_lease_given_back_is_told_to_its_account)
{
    wr_pool_post(&pool);
    struct pool_conn *first = add_conn(MIB);
    struct pool_conn *second = add_conn(MIB);
    receive(first, 10);
    receive(second, 10);
    receive(first, 10);

    give_back(0);
    expect_eq(first->released_count, 1);
    expect_eq(second->released_count, 0);
    give_all_back();

    expect_eq(first->released_count, 2);
    expect_eq(second->released_count, 1);
}

UNIT(pool, does_not_end_while_a_lease_is_out)
{
    wr_pool_post(&pool);
    receive(add_conn(MIB), 10);

    cr_assert_not(wr_pool_fini(&pool));

    check_lease(&gots[0]);
}

static void keep_none(struct pool_conn *conn, weir_lease *lease)
{
    expect_eq(conn->demand.account.held_bytes, 0, "charged before it is kept");
    wr_lease_ref(lease); /* only for a while */
    wr_lease_unref(lease);
}

static void keep_none_of_more(struct pool_conn *conn, weir_lease *lease)
{
    expect_eq(lease->refs, 1);
    expect_gt(conn->demand.account.held_bytes, 0);
}

static void keep_all(struct pool_conn *conn, weir_lease *lease)
{
    wr_lease_ref(lease);
    gots[got_count++] = (struct got){lease, conn, conn->received};
}

static void keep_last_byte(struct pool_conn *conn, weir_lease *lease)
{
    wr_lease_ref(lease); /* the slice takes it */
    weir_lease *slice = wr_lease_slice(lease, lease->data + lease->len - 1, 1);
    cr_assert_not_null(slice);
    gots[got_count++] =
        (struct got){slice, conn, conn->received + lease->len - 1};
}

UNIT(pool, bytes_that_are_not_kept_are_not_charged_and_cost_no_lease)
{
    struct pool_conn *conn = post_and_add(MIB);
    in_borrow = keep_none;
    receive(conn, 100);
    const uint64_t calls = allocator.calls;
    const uint64_t leases = pool.leases.used_count;

    for (int i = 0; i < 100; i++) {
        receive(conn, 32u << 10); /* through all buffers, twice */
        wr_pool_post(&pool);
    }

    expect_eq(allocator.calls, calls);
    expect_eq(pool.leases.used_count, leases);
    expect_eq(wr_pool_leases_out(&pool), 0);
    expect_eq(conn->released_count, 0);
    expect_eq(pool.buf_count, GOAL_INC);
}

UNIT(pool, bytes_kept_beyond_the_callback_are_charged)
{
    struct pool_conn *conn = post_and_add(MIB);
    in_borrow = keep_all;

    receive(conn, 100);
    receive(conn, 200);

    expect_eq(got_count, 2);
    expect_eq(wr_pool_leases_out(&pool), 2);
    check_pool();
    in_borrow = keep_none_of_more;
    receive(conn, 300);
    check_lease(&gots[0]);
    check_lease(&gots[1]);
    give_all_back();
    expect_eq(conn->released_count, 2);
}

UNIT(pool, a_part_that_is_kept_is_charged_for_itself_alone)
{
    struct pool_conn *conn = post_and_add(MIB);
    in_borrow = keep_last_byte;

    receive(conn, 1000);

    expect_eq(conn->demand.account.held_bytes, 1);
    check_lease(&gots[0]);
    give_all_back();
}

UNIT_IN(pool, a_borrow_that_uses_up_a_buffer_frees_it_at_its_end,
        with_plain_pool, void)
{
    struct pool_conn *conn = post_and_add(MIB);
    in_borrow = keep_all;
    receive(conn, 10);
    cr_assert_null(pool.free_list, "freed under who keeps it");
    in_borrow = keep_none_of_more;

    receive(conn, 10);

    cr_assert_not_null(pool.free_list);
    check_lease(&gots[0]);
}

UNIT_IN(pool, a_borrow_without_memory_loses_the_bytes_but_not_their_buffer,
        with_plain_pool, void)
{
    struct pool_conn *conn = post_and_add(MIB);
    in_borrow = keep_all;
    peer_writes(conn, 100);
    arm(conn, CREDIT_PLENTY);
    expect_eq(wr_uring_enter(&uring, 1, 1), 0);
    allocator.fail_at = allocator.calls + 1;

    wr_uring_dispatch(&uring, UINT32_MAX);

    expect_eq(got_count, 0);
    cr_assert_not_null(pool.free_list);
}

/* One lease of @len bytes in a buffer that is otherwise used up. */
static weir_lease *pin_buffer(struct pool_conn *conn, size_t len)
{
    receive(conn, len);
    while (pool.posted_count == GOAL_INC) {
        receive(conn, 32u << 10);
    }
    while (got_count > 1) {
        give_back(1);
    }
    cr_assert_null(pool.free_list);
    return gots[0].lease;
}

UNIT(pool, a_small_remainder_is_moved_out_and_its_buffer_is_free)
{
    struct pool_conn *conn = post_and_add(MIB);
    weir_lease *lease = pin_buffer(conn, WR_COMPACT_BELOW - 1);
    const uint8_t *before = lease->data;

    wr_lease_compact(lease);

    expect_neq(lease->data, before);
    check_lease(&gots[0]);
    check_pool();
    cr_assert_not_null(pool.free_list);
    expect_eq(pool.copied_bytes, WR_COMPACT_BELOW - 1);
    wr_lease_compact(lease); /* once is enough */
    expect_eq(pool.copied_bytes, WR_COMPACT_BELOW - 1);
}

UNIT(pool, large_or_shared_bytes_or_those_without_memory_stay_where_they_are)
{
    struct pool_conn *conn = post_and_add(MIB);
    weir_lease *lease = pin_buffer(conn, 100);
    const uint8_t *before = lease->data;

    wr_lease_ref(lease);
    wr_lease_compact(lease);
    expect_eq(lease->data, before, "moved under somebody's feet");
    wr_lease_unref(lease);
    allocator.fail_at = allocator.calls + 1;
    wr_lease_compact(lease);
    expect_eq(lease->data, before);
    allocator.fail_at = 0;
    receive(conn, WR_COMPACT_BELOW);
    before = gots[1].lease->data;
    wr_lease_compact(gots[1].lease);

    expect_eq(gots[1].lease->data, before);
    expect_eq(pool.copied_bytes, 0);
}

UNIT(pool, a_slice_pins_the_buffer_until_it_is_moved_out)
{
    wr_pool_post(&pool);
    weir_lease *whole = pin_buffer(add_conn(MIB), 100);

    gots[0].lease = wr_lease_slice(whole, whole->data + 99, 1);
    gots[0].position = 99;
    cr_assert_null(pool.free_list, "freed under a slice");
    check_lease(&gots[0]);
    check_pool();

    wr_lease_compact(gots[0].lease);

    cr_assert_not_null(pool.free_list);
    check_lease(&gots[0]);
}

static void random_step(struct unit_random *random)
{
    struct pool_conn *conn = &conns[unit_random_below(random, CONN_MAX)];

    switch (unit_random_below(random, 6)) {
    case 0:
    case 1:
        peer_writes(conn, 1 + unit_random_below(random, 60000));
        break;
    case 2:
        if (wr_pool_has_posted(&pool)) {
            const uint32_t credit = wr_budget_credit(&budget, &conn->demand);
            if (credit > 0) {
                arm(conn, credit);
            }
        }
        break;
    case 3:
        turn();
        wr_pool_post(&pool);
        break;
    case 4:
        if (got_count > 0) {
            wr_lease_compact(
                gots[unit_random_below(random, (uint64_t)got_count)].lease);
        }
        break;
    default:
        for (int i = got_count / 2; i > 0; i--) {
            const int index =
                (int)unit_random_below(random, (uint64_t)got_count);
            check_lease(&gots[index]);
            give_back(index);
        }
        break;
    }
}

static void play(struct unit_random *random, struct fake_options *options)
{
    options->seed = unit_random_next(random);
    pool_start(options, 4 * MIB);
    wr_pool_post(&pool);
    for (int i = 0; i < CONN_MAX; i++) {
        add_conn(MIB);
    }
    for (int i = 0; i < 3000; i++) {
        random_step(random);
    }
    check_pool();
    expect_leq(pool.held_bytes, 4 * MIB, "over the budget");
    uint64_t received = 0;
    for (int i = 0; i < CONN_MAX; i++) {
        received += conns[i].received;
        expect_leq(conns[i].demand.account.held_bytes, MIB, "over its budget");
    }
    expect_gt(received, MIB, "nothing happened");
    pool_stop();
}

UNIT_IN(pool, random_holders_find_their_bytes_and_stay_in_the_budget,
        unit_alone, void)
{
    struct unit_random random = unit_random_new();

    for (int i = 0; i < 20; i++) {
        struct fake_options options = {
            .missing = (uint32_t)(i % 3 == 0 ? 1 << WR_FEATURE_BUF_INC : 0) |
                       (uint32_t)(i % 3 == 1 ? 1 << WR_FEATURE_RECV_CREDIT : 0),
            .permille = {[FAKE_SHORT_RECV] = 200,
                         [FAKE_DELAY] = 100,
                         [FAKE_NO_BUFFER] = 20},
        };
        play(&random, &options);
    }
}
