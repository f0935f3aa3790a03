/*
 * Tests that the fake machine behaves like Linux.
 *
 * The simulation proves only as much as the machine is right. Each test here
 * shows one behaviour of the kernel that weir relies on or must survive. This
 * file is about data; fake_socket.c has the rest.
 */
#define UNIT_RUN rig_test
#include "tests/trace/ring_rig.h"
#include "uring/feature.h"

#include <errno.h>

UNIT(fake_ring, receive_ends_with_the_step_that_completes_its_total)
{
    rig_begin(&(struct fake_options){.seed = 1}, BUF_COUNT);
    write_all(rig.peer, 20000);

    rig_prep_recv(10000);
    rig_turn(1, UINT64_MAX);

    expect_eq(result_count, 2);
    expect_eq(results[0].res, 4096);
    expect_eq(results[0].flags,
              WR_CQE_BUFFER | WR_CQE_MORE | WR_CQE_SOCK_NONEMPTY);
    expect_eq(results[1].res, 4096, "5904 in all, in steps of 4096");
    expect_eq(results[1].flags,
              WR_CQE_BUFFER | WR_CQE_SOCK_NONEMPTY | 1u << WR_CQE_BUFFER_SHIFT);
    cr_assert_not(rig.op.in_flight);
}

UNIT(fake_ring, receives_fill_one_buffer_after_the_other)
{
    rig_begin(&(struct fake_options){.seed = 1}, 2);
    rig_prep_recv(100000);
    expect_eq(fake_peer_write(rig.peer, "abc", 3), 3);
    expect_eq(rig_turn(1, UINT64_MAX), 1);
    expect_eq(results[0].flags, WR_CQE_BUFFER | WR_CQE_MORE | WR_CQE_BUF_MORE);
    expect_eq(memcmp(rig.bufs[0], "abc", 3), 0);

    write_all(rig.peer, BUF_SIZE);
    rig_turn(1, UINT64_MAX);

    expect_eq(result_count, 2);
    expect_eq(results[0].res, (int32_t)BUF_SIZE - 3);
    expect_eq(results[0].flags & WR_CQE_BUF_MORE, 0);
    expect_eq(results[1].res, 3);
    expect_eq(results[1].flags >> WR_CQE_BUFFER_SHIFT, 1);
    wr_op_cancel(&rig.uring, &rig.op);
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, -ECANCELED);
}

UNIT(fake_ring, plain_buffers_are_used_up_by_one_receive)
{
    rig_begin(&(struct fake_options){.missing = 1u << WR_FEATURE_BUF_INC |
                                                1u << WR_FEATURE_RECV_CREDIT},
              2);
    expect_eq(fake_peer_write(rig.peer, "abc", 3), 3);

    rig_prep_recv(100000);
    rig_turn(1, UINT64_MAX);

    expect_eq(result_count, 1);
    expect_eq(results[0].flags, WR_CQE_BUFFER);
    expect_eq(fake_peer_write(rig.peer, "d", 1), 1);
    rig_prep_recv(100000);
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].flags >> WR_CQE_BUFFER_SHIFT, 1);
}

UNIT(fake_ring, receive_without_a_buffer_ends_at_once)
{
    rig_begin(&(struct fake_options){.seed = 1}, 0);

    rig_prep_recv(6000);
    rig_turn(1, UINT64_MAX);

    expect_eq(result_count, 1);
    expect_eq(results[0].res, -ENOBUFS);
    expect_eq(results[0].flags, 0);
}

UNIT(fake_ring, end_of_stream_comes_after_the_data_and_ends_the_receive)
{
    rig_begin(&(struct fake_options){.seed = 1}, 1);
    expect_eq(fake_peer_write(rig.peer, "abc", 3), 3);
    fake_peer_shutdown(rig.peer);

    rig_prep_recv(6000);
    rig_turn(1, UINT64_MAX);

    expect_eq(result_count, 2);
    expect_eq(results[0].res, 3);
    expect_eq(results[0].flags & WR_CQE_SOCK_NONEMPTY, WR_CQE_SOCK_NONEMPTY);
    expect_eq(results[1].res, 0);
    expect_eq(results[1].flags & (WR_CQE_MORE | WR_CQE_BUFFER), 0);
}

UNIT(fake_ring, reset_is_told_once_and_then_reads_as_an_end)
{
    uint8_t buf[16];
    rig_begin(&(struct fake_options){.seed = 1}, 0);
    expect_eq(fake_peer_write(rig.peer, "abc", 3), 3);
    fake_peer_reset(rig.peer);

    int32_t expected[] = {3, -ECONNRESET, 0};
    for (int i = 0; i < 3; i++) {
        wr_prep_recv_into(&rig.uring, &rig.op, rig.fd, buf, sizeof(buf));
        expect_eq(rig_turn(1, UINT64_MAX), 1);
        expect_eq(results[0].res, expected[i]);
    }
    rig_prep_send("x", 1);
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, -EPIPE);
}

UNIT(fake_ring, overflow_ends_a_multishot_receive_and_loses_nothing)
{
    rig_begin(&(struct fake_options){.cq_max = 4}, 1);
    write_all(rig.peer, 600);

    wr_prep_recv(&rig.uring, &rig.op, rig.fd,
                 &(struct wr_recv_limits){.credit = 6000, .buf_size = 100});
    expect_eq(wr_uring_enter(&rig.uring, 1, UINT64_MAX), 0);
    expect_eq(wr_uring_dispatch(&rig.uring, UINT32_MAX), 4);
    expect_eq(wr_uring_enter(&rig.uring, 0, 0), 0);
    wr_uring_dispatch(&rig.uring, UINT32_MAX);

    expect_eq(result_count, 5);
    expect_eq(results[4].res, 100);
    expect_eq(results[4].flags & WR_CQE_MORE, 0);
    cr_assert_not(rig.op.in_flight);
    cr_assert(wr_ring_handle_overflow(rig.uring.ring));
    cr_assert_not(wr_ring_handle_overflow(rig.uring.ring));
}

UNIT(fake_ring, enter_stops_after_twenty_items_of_work_and_says_so)
{
    enum { COUNT = 24 };
    struct fake_peer *peers[COUNT];
    struct wr_op ops[COUNT];
    int fds[COUNT];
    static uint8_t byte[COUNT];
    rig_start(&(struct fake_options){.seed = 1});
    for (int i = 0; i < COUNT; i++) {
        fds[i] = rig_connect(&peers[i]);
        wr_op_init(&ops[i], note);
        wr_prep_recv_into(&rig.uring, &ops[i], fds[i], &byte[i], 1);
    }
    rig_turn(0, 0);
    for (int i = 0; i < COUNT; i++) {
        write_all(peers[i], 1);
    }

    rig_turn(1, UINT64_MAX);

    expect_eq(result_count, 20);
    expect_eq(rig_turn(0, 0), 4);
    for (int i = 0; i < COUNT; i++) {
        wr_sys_close(fds[i]);
        fake_peer_close(peers[i]);
    }
}

UNIT(fake_ring, send_takes_what_there_is_room_for_and_does_not_wait)
{
    static uint8_t out[5000];
    uint8_t in[5000];
    rig_begin(&(struct fake_options){.send_size = 1000, .recv_size = 2000}, 0);
    struct iovec iov[2] = {{out, 2500}, {out + 2500, 2500}};

    wr_prep_sendv(&rig.uring, &rig.op, rig.fd, iov, 2);
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, 3000);
    expect_eq(wr_sys_outq(rig.fd), 1000);
    rig_prep_send(out + 3000, 2000);
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, -EAGAIN);

    expect_eq(fake_peer_read(rig.peer, in, 500), 500);
    rig_prep_send(out + 3000, 2000);
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, 500);
}

UNIT(fake_ring, send_reads_the_memory_when_it_completes)
{
    char out[] = "old";
    char in[4] = "";
    rig_begin(&(struct fake_options){.permille = {[FAKE_DELAY] = 1000}}, 0);

    rig_prep_send(out, 3);
    expect_eq(rig_turn(0, 0), 0);
    memcpy(out, "new", 3);
    rig_turn(1, UINT64_MAX);

    expect_eq(results[0].res, 3);
    expect_eq(fake_peer_read(rig.peer, in, 3), 3);
    expect_str_eq(in, "new");
}

UNIT(fake_ring, write_to_an_end_that_has_closed_works_once)
{
    rig_begin(&(struct fake_options){.seed = 1}, 0);
    fake_peer_close(rig.peer);
    rig.peer = NULL;

    int32_t expected[] = {1, -EPIPE, -EPIPE};
    for (int i = 0; i < 3; i++) {
        rig_prep_send("x", 1);
        rig_turn(1, UINT64_MAX);
        expect_eq(results[0].res, expected[i]);
    }
}

UNIT(fake_ring, close_with_unread_bytes_resets_the_peer)
{
    char in[4];
    rig_begin(&(struct fake_options){.seed = 1}, 0);
    expect_eq(fake_peer_write(rig.peer, "abc", 3), 3);

    wr_sys_close(rig.fd);
    rig.fd = -1;

    cr_assert(fake_peer_is_alone(rig.peer));
    expect_eq(fake_peer_read(rig.peer, in, 3), -ECONNRESET);
    expect_eq(fake_peer_read(rig.peer, in, 3), 0);
    expect_eq(fake_peer_write(rig.peer, "x", 1), -EPIPE);
}
