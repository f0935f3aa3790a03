/*
 * The receive pool and a list of pieces that one connection keeps.
 *
 * Small pieces are appended to the bytes before them in the same block, so that
 * the list is charged about its bytes, whatever the pieces.
 */
#define UNIT_RUN with_pool

#include "tests/trace/pool_rig.h"
#include "tests/unit/random.h"

/* Moves the last of gots behind the one before it, as far as that goes. */
static bool pack_last(void)
{
    struct got *got = &gots[got_count - 1];
    const uint32_t len = got->lease->len;

    if (wr_lease_pack(gots[got_count - 2].lease, got->lease)) {
        got_count--;
        return true;
    }
    got->position += len - got->lease->len;
    return false;
}

/* Receives a piece to the end of the list. */
static void receive_to_list(struct pool_conn *conn, size_t len)
{
    const int before = got_count;

    receive(conn, len);
    expect_eq(got_count, before + 1);
    if (before == 0 || !pack_last()) {
        wr_lease_compact(gots[got_count - 1].lease);
    }
    check_pool();
}

static void check_list(uint64_t bytes)
{
    uint64_t position = 0;
    for (int i = 0; i < got_count; i++) {
        expect_eq(gots[i].position, position);
        check_lease(&gots[i]);
        position += gots[i].lease->len;
    }
    expect_eq(position, bytes);
}

UNIT(pool_packed, small_pieces_cost_their_bytes_and_keep_their_order)
{
    struct unit_random random = {.state = 7};
    uint64_t bytes = 0;
    struct pool_conn *conn = post_and_add(MIB);

    for (int i = 0; i < 1000; i++) {
        const size_t len = 1 + unit_random_below(&random, 400);
        receive_to_list(conn, len);
        bytes += len;
        /* The head of a small block is a sixteenth of it. */
        expect_leq(conn->demand.account.held_bytes,
                   bytes + bytes / 15 + WR_LEASE_LEAST);
    }

    expect_eq(conn->released_count, 0, "nothing was given back");
    expect_eq(pool.copied_bytes, bytes, "each byte is copied once");
    check_list(bytes);
}

UNIT(pool_packed, large_pieces_stay_and_small_ones_between_them_do_not_join)
{
    struct pool_conn *conn = post_and_add(MIB);

    for (int i = 0; i < 3; i++) {
        receive_to_list(conn, 100);
        receive_to_list(conn, WR_COMPACT_BELOW);
        expect_eq(got_count, 2 * i + 2);
        cr_assert_not_null(gots[got_count - 1].lease->buf);
    }

    expect_eq(pool.copied_bytes, 300);
    check_list(3 * (100 + WR_COMPACT_BELOW));
}

UNIT(pool_packed, nothing_goes_behind_bytes_that_others_refer_to)
{
    struct pool_conn *conn = post_and_add(MIB);
    receive_to_list(conn, 10);
    weir_lease *first = gots[0].lease;
    wr_lease_ref(first);

    receive_to_list(conn, 10);

    expect_eq(got_count, 2);
    expect_eq(first->len, 10);
    wr_lease_unref(first);
    check_list(20);
}

UNIT(pool_packed, pieces_that_others_refer_to_or_pay_for_stay_apart)
{
    struct pool_conn *conn = post_and_add(MIB);
    receive_to_list(conn, 10);

    receive(conn, 10);
    wr_lease_ref(gots[1].lease);
    cr_assert_not(pack_last());
    wr_lease_unref(gots[1].lease);
    check_list(20);
    give_back(1);
    receive(add_conn(MIB), 10);
    cr_assert_not(pack_last());

    expect_eq(gots[0].lease->len, 10);
}
