/*
 * Receives by a system call into the pool: which buffers they fill, what is
 * returned unused, and what a lease on a part of a buffer costs. The fake
 * machine has the connections.
 */
#define UNIT_RUN with_large_pool
#include "tests/trace/pool_rig.h"

static const struct fake_options roomy = {
    .seed = 1, .recv_size = 2 * MIB, .send_size = MIB};
static const struct fake_options roomy_plain = {.seed = 1,
                                                .recv_size = 2 * MIB,
                                                .send_size = MIB,
                                                .missing =
                                                    1u << WR_FEATURE_BUF_INC};

static void write_much(struct pool_conn *conn, size_t len)
{
    for (size_t done = 0; done < len;) {
        const size_t part = len - done < MIB / 4 ? len - done : MIB / 4;
        peer_writes(conn, part);
        done += part;
    }
    cr_assert_eq(fake_waiting_bytes(conn->fd), len);
}

/* Receives at most @most bytes; the leases go to gots, and are charged as if
 * their callbacks had kept them. */
static int32_t receive_now(struct pool_conn *conn, uint32_t most)
{
    weir_lease *lease = NULL;
    const int32_t res = wr_pool_recv(&pool, &conn->demand.account, wr_sys_recv,
                                     conn->fd, most, &lease);

    while (lease) {
        weir_lease *next = lease->next;
        lease->next = NULL;
        wr_lease_ref(lease);
        wr_lease_end_borrow(lease);
        cr_assert_lt(got_count, LEASE_MAX);
        gots[got_count] = (struct got){lease, conn, conn->received};
        check_lease(&gots[got_count++]);
        conn->received += lease->len;
        lease = next;
    }
    wr_pool_check_invariants(&pool);
    return res;
}

static void with_large_pool(void (*body)(void))
{
    pool_start(&roomy, 64 * MIB);
    body();
    pool_stop();
}

static void receive_much(struct pool_conn *conn, size_t len)
{
    write_much(conn, len);
    expect_eq(receive_now(conn, MIB), len);
}

UNIT(pool_recv, fills_as_many_buffers_as_bytes_are_there)
{
    struct pool_conn *conn = add_conn(64 * MIB);
    write_much(conn, MIB / 4 + 1000);

    expect_eq(receive_now(conn, MIB), MIB / 4 + 1000);

    expect_eq(got_count, 2);
    expect_eq(gots[0].lease->len, MIB / 4);
    expect_eq(gots[1].lease->len, 1000);
    expect_eq(conn->demand.account.held_bytes, MIB / 4 + 1000);
    expect_eq(pool.buf_count, 4, "two of them are free again");
    give_all_back();
}

UNIT(pool_recv, takes_no_more_than_it_may)
{
    struct pool_conn *conn = add_conn(64 * MIB);
    write_much(conn, MIB);

    expect_eq(receive_now(conn, 5000), 5000);
    expect_eq(receive_now(conn, MIB / 2), MIB / 2);
    expect_eq(receive_now(conn, 4 * MIB), MIB / 2 - 5000);

    give_all_back();
}

UNIT(pool_recv, fills_the_same_buffer_again_when_it_was_given_back)
{
    struct pool_conn *conn = add_conn(64 * MIB);
    const uint8_t *data = NULL;

    for (int i = 0; i < 10; i++) {
        receive_much(conn, 100000);
        data = data ? data : gots[0].lease->data;
        expect_eq(gots[0].lease->data, data);
        give_all_back();
    }

    expect_eq(pool.buf_count, 4);
}

UNIT(pool_recv, small_receives_share_a_buffer)
{
    struct pool_conn *conn = add_conn(64 * MIB);

    for (uint32_t i = 0; i < 40; i++) {
        receive_much(conn, 300);
        expect_eq(gots[i].lease->data, gots[0].lease->data + 300u * i);
    }

    expect_eq(pool.buf_count, 5, "as many as 1 MiB may need");
    cr_assert_not(wr_pool_is_short(&pool));
    give_all_back();
    write_much(conn, 300);
    const uint8_t *start = pool.open->data;
    expect_eq(receive_now(conn, MIB), 300);
    expect_eq(gots[0].lease->data, start, "it begins anew");
    give_all_back();
}

UNIT(pool_recv, a_receive_goes_on_in_the_next_buffer)
{
    struct pool_conn *conn = add_conn(64 * MIB);

    for (int i = 0; i < 10; i++) {
        receive_much(conn, 100000);
    }

    /* 262 144 bytes take two and a part: 2 * 100000, 62144 and 37856, ... */
    expect_eq(got_count, 13);
    expect_eq(gots[2].lease->len, MIB / 4 - 200000);
    expect_eq(gots[3].lease->data, gots[3].lease->buf->data);
    give_all_back();
}

UNIT(pool_recv, a_buffer_with_little_room_is_not_filled_further)
{
    struct pool_conn *conn = add_conn(64 * MIB);
    receive_much(conn, MIB / 4 - (16 << 10) + 1);
    cr_assert_null(pool.open);

    receive_much(conn, 20);

    expect_eq(got_count, 2);
    cr_assert_neq(gots[0].lease->buf, gots[1].lease->buf);
    give_all_back();
}

UNIT(pool_recv, an_open_buffer_is_trimmed_when_nothing_is_in_it)
{
    struct pool_conn *conn = add_conn(64 * MIB);
    receive_much(conn, 300);

    wr_pool_trim(&pool);
    cr_assert_not_null(pool.open);
    give_all_back();
    wr_pool_trim(&pool);

    cr_assert_null(pool.open);
}

UNIT(pool_recv, an_open_buffer_is_posted_when_there_is_no_other)
{
    struct pool_conn *conn = add_conn(64 * MIB);
    write_much(conn, 300);
    expect_eq(receive_now(conn, 1000), 300);
    give_all_back();
    cr_assert_not_null(pool.open);
    expect_eq(pool.buf_count, 1);
    allocator.fail_at = allocator.calls + 1;

    wr_pool_post(&pool);

    expect_eq(pool.posted_count, 8, "the first one was not made");
    expect_eq(pool.buf_count, 8);
    cr_assert_null(pool.open);
}

UNIT_IN(pool_recv, plain_buffers_are_small_and_so_are_its_leases, unit_alone,
        void)
{
    pool_start(&roomy_plain, 64 * MIB);
    struct pool_conn *conn = add_conn(64 * MIB);
    write_much(conn, MIB);

    expect_eq(receive_now(conn, MIB), MIB / 4);

    expect_eq(got_count, 16);
    expect_eq(gots[15].lease->len, WR_POOL_PLAIN_SIZE);
    give_all_back();
    pool_stop();
}

UNIT(pool_recv, nothing_stays_taken_when_nothing_comes)
{
    struct pool_conn *conn = add_conn(64 * MIB);
    expect_eq(receive_now(conn, MIB), -EAGAIN);

    fake_peer_shutdown(conn->peer);
    expect_eq(receive_now(conn, MIB), 0);

    fake_peer_reset(conn->peer);
    expect_lt(receive_now(conn, MIB), 1);
    expect_eq(wr_pool_leases_out(&pool), 0);
}

UNIT(pool_recv, without_memory_it_fills_what_there_is)
{
    struct pool_conn *conn = add_conn(64 * MIB);
    write_much(conn, MIB);
    wr_pool_post(&pool);
    allocator.fail_at = allocator.calls + 1;

    expect_eq(receive_now(conn, MIB), -ENOBUFS);

    /* A buffer takes two pieces of memory, the first leases a third. */
    allocator.fail_at = allocator.calls + 3;
    expect_eq(receive_now(conn, MIB), -ENOBUFS);
    allocator.fail_at = allocator.calls + 2;
    expect_eq(receive_now(conn, MIB), MIB / 4, "the buffer was made before");
    give_all_back();
}

UNIT_IN(pool_recv, buffers_that_are_posted_are_not_taken, unit_alone, void)
{
    pool_start(&roomy, 2 * MIB);
    struct pool_conn *conn = add_conn(64 * MIB);
    int32_t res;
    wr_pool_post(&pool);

    do {
        peer_writes(conn, MIB / 4);
        res = receive_now(conn, MIB);
    } while (res > 0);

    expect_eq(res, -ENOBUFS);
    expect_eq(pool.posted_count + (uint32_t)got_count, pool.buf_max);
    cr_assert(wr_pool_has_posted(&pool));
    give_all_back();
    pool_stop();
}
