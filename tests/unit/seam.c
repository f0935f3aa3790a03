/*
 * One suite for all implementations of the ring interface (uring/ring.h): the
 * same submissions give the same completions with io_uring, with epoll and on
 * the simulated machine.
 *
 * Both ends of the sockets use the interface, so nothing else is tested. The
 * sizes of receives are not compared where the machines may differ: a receive
 * with a window continues, a single one ends. seam_ends.c tests operations that
 * end early, seam_files.c files.
 */
#include "tests/unit/seam_rig.h"

UNIT(seam, a_receive_waits_for_bytes)
{
    provide(BUF_COUNT);
    prep_recv(op, true);
    turn(0);
    cr_assert(op->in_flight, "nothing is there");
    expect_eq(result_count, 0);

    send_at(1, "abc");

    int32_t res = result_count > 0 && results[0].op == op ? results[0].res : 0;
    res = op->in_flight ? ended(op) : res;
    for (int i = 0; i < result_count && res == 0; i++) {
        res = results[i].op == op ? results[i].res : 0;
    }
    expect_eq(res, 3);
    expect_eq(memcmp(bufs[0], "abc", 3), 0);
}

UNIT(seam, a_receive_takes_the_first_buffer)
{
    provide(BUF_COUNT);
    send_at(1, "abc");
    prep_recv(op, true);
    expect_eq(ended(op), 3);
    const uint32_t flags = results[0].flags;
    expect_eq(flags & WR_CQE_BUFFER, WR_CQE_BUFFER);
    expect_eq(flags >> WR_CQE_BUFFER_SHIFT, 0);
    expect_eq(memcmp(bufs[0], "abc", 3), 0);

    send_at(1, "d");
    prep_recv(op, true);
    expect_eq(ended(op), 1);
    const bool inc = wr_has(&uring->features, WR_FEATURE_BUF_INC);
    expect_eq(results[0].flags >> WR_CQE_BUFFER_SHIFT, inc ? 0 : 1);
    expect_eq(inc ? bufs[0][3] : bufs[1][0], 'd');
}

static uint32_t shot_count;
static int32_t shot_bytes;

static void count_shot(struct wr_op *op, int32_t res, uint32_t flags)
{
    expect_eq((flags & WR_CQE_MORE) != 0, op->in_flight);
    shot_count++;
    shot_bytes += res;
}

/* Without a window it ends with the first bytes. */
UNIT(seam, a_receive_stays_until_its_credit_is_used_up)
{
    const bool stays = wr_has(&uring->features, WR_FEATURE_RECV_CREDIT);
    const int32_t credit = BUF_SIZE / 2; /* one step less than requested */
    char text[BUF_SIZE / 4 + 1];
    memset(text, 'x', sizeof(text));
    text[BUF_SIZE / 4] = '\0';
    shot_count = 0;
    shot_bytes = 0;
    provide(BUF_COUNT);
    struct wr_op shots;
    wr_op_init(&shots, count_shot);
    send_at(1, text); /* arrives before the receive */
    prep_recv(&shots, false);
    turn(0);
    for (int turns = 0; shot_count == 0; turns++) {
        cr_assert_lt(turns, 1000, "bytes do not come");
        turn(WEIR_SECONDS(60));
    }
    expect_eq(shots.in_flight, stays);
    if (!stays) {
        return;
    }
    send_at(1, "abc");
    send_at(1, text + 3);
    wr_ignore(ended(&shots) == 0); /* it has counted its own */
    expect_eq(shot_bytes, credit);
    expect_geq(shot_count, 2);
    expect_eq(memcmp(bufs[0] + BUF_SIZE / 4, "abcx", 4), 0);
}

UNIT(seam, a_receive_without_a_buffer_leaves_the_bytes)
{
    provide(0);
    send_at(1, "abc");
    prep_recv(op, true);
    expect_eq(ended(op), -ENOBUFS);

    wr_prep_recv_into(uring, op, ends[0], bufs[3], BUF_SIZE);
    expect_eq(ended(op), 3, "the bytes are still there");
}

UNIT(seam, the_end_of_the_stream_ends_each_receive)
{
    provide(BUF_COUNT);
    prep_recv(op, false);
    turn(0);
    expect_eq(wr_sys_shutdown(ends[1], SHUT_WR), 0);
    expect_eq(ended(op), 0);
    expect_eq(results[result_count - 1].flags & WR_CQE_BUFFER, 0);
    prep_recv(op, false);
    expect_eq(ended(op), 0, "once more");
}

UNIT(seam, bytes_come_before_the_end)
{
    provide(BUF_COUNT);
    send_at(1, "abc");
    expect_eq(wr_sys_shutdown(ends[1], SHUT_WR), 0);
    prep_recv(op, true);
    expect_eq(ended(op), 3);
    prep_recv(op, true);
    expect_eq(ended(op), 0, "an end that was there before the receive");
}

/* Returns the buffer of a completion to the ring. */
static void give_back(const struct result *result)
{
    const uint32_t id = result->flags >> WR_CQE_BUFFER_SHIFT;

    if (result->flags & WR_CQE_BUFFER && !(result->flags & WR_CQE_BUF_MORE)) {
        wr_ring_provide_buffer(uring->ring, bufs[id], BUF_SIZE, (uint16_t)id);
        wr_ring_commit_buffers(uring->ring);
    }
}

enum { CONNECTIONS = 6 };

/* Receives into two buffers until each connection has its bytes. */
static void receive_all(struct wr_op *receives, int (*pairs)[2])
{
    int left = CONNECTIONS;

    for (int turns = 0; left > 0; turns++) {
        cr_assert_lt(turns, 1000, "bytes do not come");
        turn(WEIR_SECONDS(60));
        for (int i = 0; i < result_count; i++) {
            const ptrdiff_t at = results[i].op - receives;
            if (at < 0 || at >= CONNECTIONS) {
                continue; /* a send */
            }
            give_back(&results[i]);
            if (results[i].res == -ENOBUFS) {
                expect_neq(uring->features.engine, WR_ENGINE_POLL,
                           "it waits for a buffer");
                ends[0] = pairs[at][0];
                prep_recv(&receives[at], true);
            } else {
                expect_eq(results[i].res, 3);
                left--;
            }
        }
    }
}

UNIT(seam, more_connections_than_buffers_get_their_bytes)
{
    struct wr_op receives[CONNECTIONS];
    struct wr_op sends[CONNECTIONS];
    int pairs[CONNECTIONS][2];
    provide(2);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (i > 0) {
            connect_ends();
        }
        memcpy(pairs[i], ends, sizeof(ends));
        wr_op_init(&receives[i], note);
        wr_op_init(&sends[i], note);
        prep_recv(&receives[i], true);
    }
    turn(0);
    for (int i = 0; i < CONNECTIONS; i++) {
        wr_prep_send(uring, &sends[i], pairs[i][1], "abc", 3);
    }
    receive_all(receives, pairs);
    for (int i = 1; i < CONNECTIONS; i++) {
        cr_assert(!receives[i].in_flight);
        wr_prep_close(uring, pairs[i][0]);
        wr_prep_close(uring, pairs[i][1]);
    }
    memcpy(ends, pairs[0], sizeof(ends));
    cr_assert(!op->in_flight);
}

UNIT(seam, a_poll_tells_what_holds_now)
{
    send_at(1, "abc");
    for (int i = 0; i < 2; i++) {
        wr_prep_poll(uring, op, ends[0], POLLIN, false);
        expect_eq(ended(op) & POLLIN, POLLIN, "it is readable still");
    }
    wr_prep_poll(uring, op, ends[0], POLLOUT, false);
    expect_eq(ended(op) & POLLOUT, POLLOUT);
}

UNIT(seam, a_poll_of_many_shots_tells_changes_once)
{
    wr_prep_poll(uring, op, ends[0], 0, true);
    turn(0);
    expect_eq(result_count, 0);
    expect_eq(wr_sys_shutdown(ends[1], SHUT_WR), 0);
    for (int turns = 0; result_count == 0; turns++) {
        cr_assert_lt(turns, 1000);
        turn(WEIR_SECONDS(60));
    }
    expect_eq(result_count, 1);
    expect_eq(results[0].res & POLLRDHUP, POLLRDHUP);
    expect_eq(results[0].flags, WR_CQE_MORE);
    turn(0);
    expect_eq(result_count, 0, "it is told once");
    wr_op_cancel(uring, op);
    expect_eq(ended(op), -ECANCELED);
}

/* Connects @count sockets and accepts them. A full completion queue ends the
 * accept, which is armed again. */
static void accept_many(struct wr_op *accepts, int listener,
                        const struct sockaddr_in *addr, int count)
{
    struct wr_op connects[100];
    int fds[100];
    int accepted = 0;
    cr_assert_leq(count, 100);

    for (int i = 0; i < count; i++) {
        wr_op_init(&connects[i], note);
        fds[i] = wr_sys_socket(AF_INET, SOCK_STREAM, 0);
        wr_prep_connect(uring, &connects[i], fds[i],
                        (const struct sockaddr *)addr, sizeof(*addr));
    }
    for (int idle = 0; accepted < count;) {
        turn(WEIR_SECONDS(1));
        idle += result_count == 0;
        cr_assert_lt(idle, 60, "a connection is not accepted");
        for (int i = 0; i < result_count; i++) {
            if (results[i].op == accepts) {
                expect_geq(results[i].res, 0);
                expect_eq(wr_sys_close(results[i].res), 0);
                accepted++;
            }
        }
        if (!accepts->in_flight) {
            wr_prep_accept(uring, accepts, listener, true);
        }
    }
    for (int i = 0; i < count; i++) {
        cr_assert(!connects[i].in_flight);
        expect_eq(wr_sys_close(fds[i]), 0);
    }
}

UNIT(seam, an_accept_of_many_shots_leaves_no_connection_waiting)
{
    int listener;
    const struct sockaddr_in addr = listen_at(&listener);
    wr_prep_accept(uring, op, listener, true);

    for (int i = 0; i < 12; i++) {
        accept_many(op, listener, &addr, 1);
    }
    accept_many(op, listener, &addr, 100);

    wr_op_cancel(uring, op);
    expect_eq(ended(op), -ECANCELED);
    wr_prep_close(uring, listener);
}

UNIT(seam, a_cancelled_receive_takes_nothing)
{
    provide(BUF_COUNT);
    prep_recv(op, true);
    turn(0);
    wr_op_cancel(uring, op);
    expect_eq(ended(op), -ECANCELED);
    expect_eq(results[0].flags & WR_CQE_BUFFER, 0);
    expect_eq(result_count, 1, "the request itself tells nothing");

    send_at(1, "abc");
    prep_recv(op, true);
    expect_eq(ended(op), 3, "no byte was lost");
    expect_eq(results[0].flags >> WR_CQE_BUFFER_SHIFT, 0, "nor a buffer");
}

/* Operations that wait for one descriptor, for another one and for a time. */
UNIT(seam, a_cancel_ends_the_operation_that_it_names)
{
    enum { WAITS = 5 };
    const struct wr_time long_wait = {.seconds = 3600};
    struct wr_op waits[WAITS];
    for (int i = 0; i < WAITS; i++) {
        wr_op_init(&waits[i], note);
    }
    wr_prep_timeout(uring, &waits[3], &long_wait);
    for (int i = 0; i < 3; i++) {
        wr_prep_poll(uring, &waits[i], ends[0], POLLIN, i == 2);
    }
    wr_prep_poll(uring, &waits[4], ends[1], POLLIN, false);
    turn(0);

    static const int order[WAITS] = {1, 3, 0, 4, 2};
    for (int i = 0; i < WAITS; i++) {
        wr_op_cancel(uring, &waits[order[i]]);
        turn(WEIR_SECONDS(60));
        expect_eq(result_count, 1, "%d", i);
        cr_assert(results[0].op == &waits[order[i]], "%d", i);
        expect_eq(results[0].res, -ECANCELED);
    }
}

UNIT(seam, a_cancel_that_comes_too_late_changes_nothing)
{
    provide(BUF_COUNT);
    send_at(1, "abc");
    prep_recv(op, true);
    expect_eq(wr_uring_enter(uring, 1, WEIR_SECONDS(60)), 0);
    wr_op_cancel(uring, op);
    expect_eq(ended(op), 3);
}

UNIT(seam, times_end_in_their_order)
{
    const struct wr_time wait = {.nanoseconds = 2000000};
    const struct wr_time long_wait = {.seconds = 3600};
    struct wr_op other;
    const uint64_t before = wr_sys_now();
    wr_op_init(&other, note);
    wr_prep_timeout(uring, &other, &long_wait);
    wr_prep_timeout(uring, op, &wait);
    expect_eq(ended(op), -ETIME);
    expect_geq(wr_sys_now() - before, 2000000);
    cr_assert(other.in_flight);
    wr_op_cancel(uring, &other);
    expect_eq(ended(&other), -ECANCELED);
}

UNIT(seam, a_wait_ends_at_its_time)
{
    const uint64_t before = wr_sys_now();
    wr_prep_poll(uring, op, ends[0], POLLIN, false);
    /* The kernel may end a wait early. */
    for (int i = 0; i < 10 && wr_sys_now() - before < 1000000; i++) {
        turn(1000000);
    }
    expect_eq(result_count, 0);
    expect_geq(wr_sys_now() - before, 1000000);
    wr_op_cancel(uring, op);
    expect_eq(ended(op), -ECANCELED);
}

UNIT(seam, a_number_that_is_used_again_is_another_socket)
{
    const int fd = ends[0];
    provide(BUF_COUNT);
    send_at(1, "abc");
    prep_recv(op, true);
    expect_eq(ended(op), 3);
    wr_prep_close(uring, fd);
    turn(0);
    expect_eq(result_count, 0, "a close tells nothing");
    expect_eq(wr_sys_close(ends[1]), 0);
    ends[1] = -1;

    connect_ends();
    prep_recv(op, true);
    turn(0);
    cr_assert(op->in_flight);
    expect_eq(wr_sys_shutdown(ends[1], SHUT_WR), 0);
    expect_eq(ended(op), 0, "the number is that of another socket");
}

UNIT(seam, entries_that_do_not_fit_are_submitted_early)
{
    struct wr_op many[40];
    for (int i = 0; i < 40; i++) {
        wr_op_init(&many[i], note);
        wr_prep_poll(uring, &many[i], ends[i & 1], POLLIN, false);
    }
    turn(0);
    expect_gt(wr_uring_stats(uring)->sq_full, 0);
    expect_eq(uring->ops_in_flight, 40);
    for (int i = 0; i < 40; i++) {
        wr_op_cancel(uring, &many[i]);
    }
    for (int i = 0; i < 40; i++) {
        wr_ignore(ended(&many[i]) != 0);
    }
    cr_assert_not(op->in_flight);
}

UNIT(seam, memory_of_many_operations_goes_back)
{
    const bool has_own =
        seam_is_kernel && uring->features.engine == WR_ENGINE_POLL;
    struct wr_op many[140];
    for (int i = 0; i < 140; i++) {
        wr_op_init(&many[i], note);
        wr_prep_poll(uring, &many[i], ends[i & 1], POLLIN, false);
    }
    turn(0);
    expect_eq(wr_ring_trim(uring->ring), 0, "all are in flight");
    for (int i = 0; i < 140; i++) {
        wr_op_cancel(uring, &many[i]);
    }
    for (int i = 0; i < 140; i++) {
        wr_ignore(ended(&many[i]) != 0);
    }
    expect_eq(wr_ring_trim(uring->ring) > 2048, has_own);
    expect_eq(wr_ring_trim(uring->ring), 0, "it has gone back");
    wr_prep_poll(uring, op, ends[0], POLLOUT, false);
    expect_eq(ended(op) & POLLOUT, POLLOUT);
}
