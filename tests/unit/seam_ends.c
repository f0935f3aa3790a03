/*
 * How sends, connects, accepts and resets end, on each machine (seam.c).
 *
 * A result that only one machine has would need extra code in all layers above
 * the interface.
 */
#include "tests/unit/seam_rig.h"

/* Receives exactly this many bytes at the accepted end. */
static void take(uint8_t *buf, size_t len)
{
    struct wr_op op;
    wr_op_init(&op, note);
    for (size_t at = 0; at < len;) {
        wr_prep_recv_into(uring, &op, ends[0], buf + at, len - at);
        const int32_t res = ended(&op);
        cr_assert_gt(res, 0);
        at += (size_t)res;
    }
}

static void expect_taken(const char *text)
{
    uint8_t buf[64];
    cr_assert_leq(strlen(text), sizeof(buf));
    take(buf, strlen(text));
    expect_eq(memcmp(buf, text, strlen(text)), 0);
}

UNIT(seam_ends, vectors_are_sent_in_their_order)
{
    char parts[3][8] = {"one ", "two ", "three"};
    struct iovec iov[3];
    for (int i = 0; i < 3; i++) {
        iov[i] = (struct iovec){parts[i], strlen(parts[i])};
    }
    wr_prep_sendv(uring, op, ends[1], iov, 3);
    memset(iov, 0, sizeof(iov)); /* they were copied */
    expect_eq(ended(op), 13);
    expect_taken("one two three");

    struct iovec piece = {parts[2], 5};
    wr_prep_sendv(uring, op, ends[1], &piece, 1);
    expect_eq(ended(op), 5);
    expect_taken("three");
}

UNIT(seam_ends, a_message_is_sent)
{
    char parts[2][8] = {"four ", "five"};
    struct iovec iov[2] = {{parts[0], 5}, {parts[1], 4}};
    const struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    wr_prep_sendmsg(uring, op, ends[1], &message);
    expect_eq(ended(op), 9);
    expect_taken("four five");
}

static int32_t room_events;

static void note_room(struct wr_op *op, int32_t res, uint32_t flags)
{
    room_events = res;
}

UNIT(seam_ends, a_send_without_room_does_not_wait)
{
    static uint8_t block[1 << 16];
    static uint8_t taken[1 << 16];
    uint64_t left = 0;
    int32_t res;
    do {
        wr_prep_send(uring, op, ends[1], block, sizeof(block));
        res = ended(op);
        left += res > 0 ? (uint64_t)res : 0;
        cr_assert_lt(left, 1u << 30);
    } while (res > 0);
    expect_eq(res, -EAGAIN);

    struct wr_op room;
    wr_op_init(&room, note_room);
    room_events = 0;
    wr_prep_poll(uring, &room, ends[1], POLLOUT, false);
    turn(0);
    cr_assert(room.in_flight, "there is no room");
    while (left > 0) {
        const uint64_t most = left < sizeof(taken) ? left : sizeof(taken);
        take(taken, most);
        left -= most;
    }
    wr_ignore(ended(&room) == 0); /* an earlier iteration may have had it */
    expect_eq(room_events & POLLOUT, POLLOUT);
    wr_prep_send(uring, op, ends[1], block, 1);
    expect_eq(ended(op), 1, "there is room again");
}

UNIT(seam_ends, a_send_after_the_own_end_is_broken)
{
    expect_eq(wr_sys_shutdown(ends[1], SHUT_WR), 0);
    wr_prep_send(uring, op, ends[1], "x", 1);
    expect_eq(ended(op), -EPIPE);
}

static int32_t received_bytes;

static void count_bytes(struct wr_op *op, int32_t res, uint32_t flags)
{
    expect_eq((flags & WR_CQE_MORE) != 0, op->in_flight);
    expect_geq(res, 0);
    received_bytes += res;
}

/* Waits until a persistent poll has reported that both directions have ended.
 */
static void await_hangup(const struct wr_op *op)
{
    bool is_told = false;
    for (int turns = 0; !is_told; turns++) {
        cr_assert_lt(turns, 1000, "the poll tells nothing");
        turn(WEIR_SECONDS(60));
        for (int i = 0; i < result_count; i++) {
            is_told |= results[i].op == op && results[i].res & POLLHUP;
        }
    }
}

/* Over epoll the set is then edge-triggered, because it would report the
 * hang-up forever; an edge comes once, and the receive leaves bytes unread. */
UNIT(seam_ends, a_receive_that_stays_reads_on_after_a_hangup_was_told)
{
    static const uint8_t block[BUF_SIZE];
    const struct wr_recv_limits limits = {.credit = 8 * BUF_SIZE,
                                          .buf_size = BUF_SIZE};
    struct wr_op sends;
    struct wr_op receives;
    wr_op_init(&sends, note);
    wr_op_init(&receives, count_bytes);
    provide(BUF_COUNT);
    wr_prep_poll(uring, op, ends[0], 0, true);
    for (int i = 0; i < 3; i++) {
        wr_prep_send(uring, &sends, ends[1], block, BUF_SIZE);
        expect_eq(ended(&sends), BUF_SIZE);
    }
    expect_eq(wr_sys_shutdown(ends[0], SHUT_WR), 0);
    expect_eq(wr_sys_shutdown(ends[1], SHUT_WR), 0);
    await_hangup(op);

    received_bytes = 0;
    for (int receive = 0; received_bytes < 3 * BUF_SIZE; receive++) {
        cr_assert_lt(receive, 3);
        wr_prep_recv(uring, &receives, ends[0], &limits);
        for (int turns = 0; receives.in_flight; turns++) {
            cr_assert_lt(turns, 30, "it reads no further");
            turn(WEIR_SECONDS(2));
        }
    }
    wr_op_cancel(uring, op);
    expect_eq(ended(op), -ECANCELED);
}

/* A socket that was received from may be reported once more. */
UNIT(seam_ends, bytes_that_no_receive_waits_for_wake_no_wait_for_long)
{
    provide(BUF_COUNT);
    for (int i = 0; i < 3; i++) {
        prep_recv(op, true);
        if (i == 0) { /* later there are already bytes */
            turn(0);
            send_now("abc");
        }
        expect_eq(ended(op), 3);
        send_now("abc");
        expect_no_spin();
    }
}

UNIT(seam_ends, a_reset_is_told_to_a_receive_once)
{
    provide(BUF_COUNT);
    prep_recv(op, false);
    turn(0);
    cr_assert(op->in_flight);
    expect_eq(wr_sys_disconnect(ends[1]), 0);
    expect_eq(ended(op), -ECONNRESET);
    expect_eq(results[result_count - 1].flags & WR_CQE_BUFFER, 0);
    prep_recv(op, true);
    expect_eq(ended(op), 0, "afterwards it has ended");
    wr_prep_send(uring, op, ends[0], "x", 1);
    expect_eq(ended(op), -EPIPE);
}

UNIT(seam_ends, a_reset_that_was_there_before_is_told)
{
    provide(BUF_COUNT);
    expect_eq(wr_sys_disconnect(ends[1]), 0);
    prep_recv(op, true);
    expect_eq(ended(op), -ECONNRESET);
}

UNIT(seam_ends, a_poll_tells_a_reset)
{
    wr_prep_poll(uring, op, ends[0], 0, false);
    turn(0);
    cr_assert(op->in_flight);
    expect_eq(wr_sys_disconnect(ends[1]), 0);
    const int32_t events = ended(op);
    expect_eq(events & POLLERR, POLLERR);
    expect_eq(events & POLLHUP, POLLHUP);
}

/* A loop that learns that first receives find nothing still gets the available
 * bytes. */
UNIT(seam_ends, each_new_connection_gets_its_bytes_late_or_early)
{
    enum { LATE = 40, EARLY = 40 };
    for (int i = 0; i < LATE + EARLY; i++) {
        if (i > 0) {
            wr_prep_close(uring, ends[0]);
            wr_prep_close(uring, ends[1]);
            turn(0);
            connect_ends();
        }
        uint8_t got[4] = "";
        if (i >= LATE) {
            send_at(1, "abcd");
        }
        wr_prep_recv_into(uring, op, ends[0], got, sizeof(got));
        if (i < LATE) {
            turn(0);
            cr_assert(op->in_flight);
            struct iovec piece = {(char[]){"abcd"}, 4};
            expect_eq(wr_sys_send(ends[1], &piece, 1), 4);
        }
        expect_eq(ended(op), 4);
        expect_eq(memcmp(got, "abcd", 4), 0);
    }
}

UNIT(seam_ends, a_connect_without_a_listener_is_refused)
{
    int listener;
    const struct sockaddr_in addr = listen_at(&listener);
    expect_eq(wr_sys_close(listener), 0);
    const int fd = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    wr_prep_connect(uring, op, fd, (const struct sockaddr *)&addr,
                    sizeof(addr));
    expect_eq(ended(op), -ECONNREFUSED);
    wr_prep_close(uring, fd);
}

/* One accept is one connection; the next connection stays for the next accept.
 */
UNIT(seam_ends, an_accept_takes_one_connection)
{
    struct wr_op connects[2];
    int fds[2];
    int listener;
    const struct sockaddr_in addr = listen_at(&listener);
    for (int i = 0; i < 2; i++) {
        fds[i] = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
        wr_op_init(&connects[i], note);
        wr_prep_connect(uring, &connects[i], fds[i],
                        (const struct sockaddr *)&addr, sizeof(addr));
        expect_eq(ended(&connects[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        wr_prep_accept(uring, op, listener, false);
        const int fd = ended(op);
        cr_assert_geq(fd, 0);
        expect_eq(results[result_count - 1].flags & WR_CQE_MORE, 0);
        wr_prep_close(uring, fd);
    }
    wr_prep_accept(uring, op, listener, false);
    turn(0);
    cr_assert(op->in_flight, "there is no third one");
    wr_op_cancel(uring, op);
    expect_eq(ended(op), -ECANCELED);
    for (int i = 0; i < 2; i++) {
        wr_prep_close(uring, fds[i]);
    }
    wr_prep_close(uring, listener);
}

UNIT(seam_ends, a_read_waits_for_a_count)
{
    uint64_t count = 0;
    const int fd = wr_sys_eventfd();
    expect_geq(fd, 0);
    for (int i = 0; i < 3; i++) {
        wr_prep_read(uring, op, fd, &count, sizeof(count));
        turn(0);
        cr_assert(op->in_flight, "nothing was counted");
        expect_eq(wr_sys_eventfd_write(fd), 0);
        expect_eq(ended(op), (int32_t)sizeof(count));
        expect_eq(count, 1);
    }
    wr_prep_read(uring, op, fd, &count, sizeof(count));
    turn(0);
    wr_op_cancel(uring, op);
    expect_eq(ended(op), -ECANCELED);
    wr_prep_close(uring, fd);
}

UNIT(seam_ends, a_counted_close_is_in_flight_until_it_is_done)
{
    const int fd = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
    wr_prep_close_any(uring, fd);
    expect_eq(uring->ops_in_flight, 1);
    expect_eq(uring->closes_in_flight, 1);
    for (int turns = 0; uring->closes_in_flight > 0; turns++) {
        cr_assert_lt(turns, 1000);
        turn(WEIR_SECONDS(60));
    }
    expect_eq(uring->ops_in_flight, 0);
    cr_assert_not(op->in_flight);
}

UNIT(seam_ends, completions_stay_until_they_are_taken)
{
    struct wr_cqe cqe;
    send_at(1, "abc");
    cr_assert_not(wr_ring_has_completions(uring->ring));
    wr_prep_poll(uring, op, ends[0], POLLIN, false);
    cr_assert(wr_ring_has_work(uring->ring), "an entry is prepared");
    for (int turns = 0; !wr_ring_has_completions(uring->ring); turns++) {
        cr_assert_lt(turns, 1000);
        expect_eq(wr_ring_enter(uring->ring, 1, WEIR_SECONDS(60)), 0);
    }
    expect_eq(wr_ring_unsubmitted(uring->ring), 0);
    expect_eq(wr_ring_enter(uring->ring, 0, 0), 0);
    expect_eq(wr_ring_reap(uring->ring, &cqe, 1), 1);
    expect_eq(cqe.user_data, (uintptr_t)op);
    expect_eq(cqe.res & POLLIN, POLLIN);
    expect_eq(wr_ring_reap(uring->ring, &cqe, 1), 0);
    cr_assert_not(wr_ring_has_work(uring->ring));
    op->in_flight = false; /* as wr_uring_dispatch() has it */
    uring->ops_in_flight--;
}

/* More of them than any machine has space for at first. */
UNIT(seam_ends, completions_keep_their_order)
{
    enum { SENDS = 200, TAKEN = 10 };
    struct wr_op sends[SENDS];
    int taken = 0;
    result_count = 0;
    for (int i = 0; i < SENDS; i++) {
        wr_op_init(&sends[i], note);
        wr_prep_send(uring, &sends[i], ends[1], "x", 1);
        expect_eq(wr_uring_enter(uring, 0, 0), 0);
        if (i % 50 == 49) {
            expect_eq(wr_uring_dispatch(uring, TAKEN), TAKEN);
            taken += TAKEN;
        }
    }
    expect_eq(result_count, taken);
    for (int turns = 0; result_count < SENDS; turns++) {
        cr_assert_lt(turns, 1000);
        expect_eq(wr_uring_enter(uring, 1, WEIR_SECONDS(60)), 0);
        wr_uring_dispatch(uring, UINT32_MAX);
    }
    for (int i = 0; i < SENDS; i++) {
        cr_assert(results[i].op == &sends[i], "%d", i);
        expect_eq(results[i].res, 1);
    }
}
