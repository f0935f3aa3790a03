/*
 * The receive pool with a kernel whose completions are wrong: they name a
 * buffer that is not posted, or more bytes than it has left, or say that it is
 * used up when it is not. A receive in a worker thread of Linux 6.18 did the
 * last. The bytes are lost; the rest of the pool continues.
 */
#define UNIT_RUN with_pool

#include "tests/trace/pool_rig.h"

#include <weir/error.h>

#define GOAL_INC   8u
#define GOAL_PLAIN 128u

/* The flags of a completion that names the second posted buffer. */
#define SECOND_BUF (WR_CQE_BUFFER | 1u << WR_CQE_BUFFER_SHIFT)

/* The bytes are refused and not charged, and the pool goes on. */
static void check_refused(int32_t res, uint32_t flags)
{
    struct wr_account account = {.limit_bytes = MIB};

    cr_assert_null(wr_pool_receive(&pool, &account, res, flags));

    expect_eq(wr_pool_lost_error(&pool, flags), WEIR_EBADBUFFER);
    expect_eq(account.held_bytes, 0);
    expect_eq(account.lease_count, 0);
}

/* Whoever fills the first posted buffer up gets all of it, and those that
 * follow the buffers behind the lost one. */
static void check_others_receive(void)
{
    struct pool_conn *conn = add_conn(64 * MIB);

    receive(conn, 2000);
    check_pool();
}

UNIT(pool_untrue, a_buffer_that_was_never_made_is_refused)
{
    wr_pool_post(&pool);

    check_refused(10, WR_CQE_BUFFER | WR_CQE_BUF_MORE |
                          GOAL_INC << WR_CQE_BUFFER_SHIFT);

    expect_eq(pool.lost_count, 0);
    check_others_receive();
}

UNIT_IN(pool_untrue,
        a_buffer_that_is_used_up_already_is_refused_and_never_posted_again,
        with_plain_pool, void)
{
    struct wr_account account = {.limit_bytes = MIB};
    const int32_t pinnable = pool.pinnable;
    wr_pool_post(&pool);
    weir_lease *kept = wr_pool_receive(&pool, &account, 10, SECOND_BUF);
    cr_assert_not_null(kept);

    check_refused(10, SECOND_BUF);

    expect_eq(pool.lost_count, 1);
    expect_eq(pool.pinnable, pinnable, "it is pinned no more");
    wr_lease_unref(kept);
    cr_assert_null(pool.free_list, "it would be posted again");
    check_refused(10, SECOND_BUF);
    expect_eq(pool.lost_count, 1);
}

UNIT_IN(pool_untrue,
        a_buffer_that_was_given_back_is_refused_and_never_posted_again,
        with_plain_pool, void)
{
    struct wr_account account = {.limit_bytes = MIB};
    wr_pool_post(&pool);
    wr_lease_unref(wr_pool_receive(&pool, &account, 10, SECOND_BUF));
    wr_lease_unref(wr_pool_receive(&pool, &account, 10,
                                   WR_CQE_BUFFER | 2u << WR_CQE_BUFFER_SHIFT));
    cr_assert_not_null(pool.free_list);

    check_refused(10, SECOND_BUF);

    expect_eq(pool.free_list, pool.bufs[2]);
    cr_assert_null(pool.free_list->next);
}

UNIT_IN(pool_untrue, more_bytes_than_the_buffer_has_left_are_refused,
        with_plain_pool, void)
{
    wr_pool_post(&pool);

    check_refused(WR_POOL_PLAIN_SIZE + 1, SECOND_BUF);

    expect_eq(pool.lost_count, 1);
    expect_eq(pool.posted_count, GOAL_PLAIN - 1);
    wr_pool_post(&pool);
    expect_eq(pool.posted_count, GOAL_PLAIN, "another one takes its place");
    check_others_receive();
}

UNIT(pool_untrue, an_incremental_buffer_that_ends_before_it_is_full_is_refused)
{
    wr_pool_post(&pool);

    check_refused(1, SECOND_BUF); /* a worker took all, one byte arrived */

    expect_eq(pool.lost_count, 1);
    check_others_receive();
}

UNIT(pool_untrue, an_incremental_buffer_that_goes_on_beyond_its_end_is_refused)
{
    wr_pool_post(&pool);

    check_refused((int32_t)WR_POOL_INC_SIZE, SECOND_BUF | WR_CQE_BUF_MORE);

    expect_eq(pool.lost_count, 1);
}

UNIT(pool_untrue, an_incremental_buffer_with_nothing_in_it_that_ends_is_refused)
{
    wr_pool_post(&pool);

    check_refused(0, SECOND_BUF);
    check_refused(-EINTR, WR_CQE_BUFFER | 2u << WR_CQE_BUFFER_SHIFT);

    expect_eq(pool.lost_count, 2);
}

UNIT_IN(pool_untrue, lost_buffers_leave_room_in_the_kernels_ring,
        with_plain_pool, void)
{
    for (uint32_t id = 0; id < 2 * WR_POOL_RING_ENTRIES; id++) {
        wr_pool_post(&pool); /* the fake machine minds a ring too full */
        if (id == pool.buf_count) {
            break;
        }
        check_refused(10, WR_CQE_BUFFER | WR_CQE_BUF_MORE |
                              id << WR_CQE_BUFFER_SHIFT);
    }

    expect_eq(pool.lost_count, WR_POOL_RING_ENTRIES);
    expect_eq(pool.posted_count, 0);
}
