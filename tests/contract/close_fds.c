/*
 * Descriptors that a peer has sent and that weir closes: one whose close waits,
 * for as long as the peer likes, holds up one thread and neither the loop nor a
 * connection without such closes. Whether the others arrive is in recv_fds.c.
 */
#define UNIT_RUN with_sides
#include "tests/contract/asleep.h"
#include "tests/contract/fds_rig.h"
#include "tests/contract/slow_close.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <weir/connect.h>

/* A connection on the loop of the test, which takes one descriptor a message
 * and echoes bytes, and the plain end of its socket. */
struct side {
    weir_transport *t;
    int peer;
    size_t received;
    size_t taken;
    size_t lost_fds; /* calls that were told of a loss */
    size_t lost;
    int lost_err;
};

static weir_loop *loop;
enum { THREADS = 8 };
static struct side sides[THREADS + 1];

static void side_made(void *user, weir_transport *t)
{
    struct side *side = user;
    side->t = weir_transport_ref(t);
}

static int side_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct side *side = user;
    side->received += buf->len;
    return weir_transport_write(t, buf->data, buf->len);
}

static int side_fds(void *user, weir_transport *t, const int *fds, size_t count,
                    bool lost)
{
    struct side *side = user;
    cr_assert_leq(count, 1);
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    side->taken += count;
    side->lost_fds += lost;
    return 0;
}

static void side_lost(void *user, weir_transport *t, int err)
{
    struct side *side = user;
    side->lost++;
    side->lost_err = err;
}

static CALLBACKS(side_protocol, STREAM, .connection_made = side_made,
                 .data_received = side_received, .fds_received = side_fds,
                 .connection_lost = side_lost);

/* Protocols of a program that asks for descriptors only so that weir closes
 * them. */
static bool sides_drop_all;

static int side_create(void *arg, weir_transport *t,
                       struct weir_protocol_binding *ret)
{
    static struct weir_protocol dropping;
    dropping = side_protocol;
    dropping.fds_received = NULL;
    *ret = (struct weir_protocol_binding){
        .protocol = sides_drop_all ? &dropping : &side_protocol, .user = arg};
    return 0;
}

static void side_open(struct side *side,
                      const struct weir_connection_options *connection)
{
    int ends[2];
    const struct weir_factory factory = {.create = side_create, .arg = side};
    struct weir_connect_options options = {.size = sizeof(options),
                                           .connection = *connection};
    expect_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                         ends));
    *side = (struct side){.peer = ends[1]};
    expect_ok(weir_create_connection_at(
        loop, &factory, weir_endpoint_fd(ends[0]), &options, NULL, NULL, NULL));
    RUN_UNTIL(loop, side->t != NULL);
}

static void side_close(struct side *side)
{
    weir_transport_abort(side->t);
    RUN_UNTIL(loop, side->lost > 0);
    weir_transport_unref(side->t);
    close(side->peer);
}

static void turns(int count)
{
    while (count-- > 0) {
        weir_loop_stop(loop);
        cr_assert_eq(weir_loop_run(loop), 0);
    }
}

static bool side_has_echo(void *arg)
{
    char byte;
    return recv(((struct side *)arg)->peer, &byte, 1, 0) == 1;
}

/* The loop answers on the connection. */
static void expect_echo(struct side *side)
{
    cr_assert_eq(send(side->peer, "x", 1, MSG_NOSIGNAL), 1);
    while (!side_has_echo(side)) {
        turns(1);
    }
}

/* Sends a byte with descriptors; @flags as of sendmsg(). */
static ssize_t side_send_as(const struct side *side, const int *fds,
                            size_t count, int flags)
{
    return rights_send(side->peer, "f", 1, fds, count, flags);
}

static ssize_t side_send(const struct side *side, const int *fds, size_t count)
{
    return side_send_as(side, fds, count, 0);
}

/* The loop's own completions may cut the wait of a close on its thread short,
 * but not of so many. */
enum { SLOW = 8 };

struct slow {
    int fars[SLOW];
};

/* Sends one that is taken and others that are not, whose closes wait. The test
 * has no other descriptors of them. */
static void side_send_slow_as(const struct side *side, int flags,
                              struct slow *ret)
{
    int fds[1 + SLOW] = {mark_open(1)};
    for (int i = 0; i < SLOW; i++) {
        fds[1 + i] = slow_close_open(&ret->fars[i]);
    }
    cr_assert_eq(side_send_as(side, fds, 1 + SLOW, flags), 1);
    for (int i = 0; i <= SLOW; i++) {
        close(fds[i]);
    }
}

static void side_send_slow(const struct side *side, struct slow *ret)
{
    side_send_slow_as(side, 0, ret);
}

/* Returns when all are closed, in whichever order. */
static void slow_let_end(struct slow *slow)
{
    struct pollfd waits[SLOW];
    for (int i = 0; i < SLOW; i++) {
        waits[i] = (struct pollfd){.fd = slow->fars[i], .events = POLLIN};
    }
    for (int left = SLOW; left > 0;) {
        cr_assert_gt(poll(waits, SLOW, -1), 0);
        for (int i = 0; i < SLOW; i++) {
            if (waits[i].revents && slow_close_read(waits[i].fd)) {
                waits[i].fd = -1;
                left--;
            }
        }
    }
}

static void with_sides(void (*body)(void))
{
    const struct weir_connection_options options = {.fd_limit = 1};
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    side_open(&sides[0], &options);
    side_open(&sides[1], &options);
    body();
    side_close(&sides[0]);
    side_close(&sides[1]);
    cr_assert_eq(weir_loop_free(loop), 0);
}

UNIT(close_fds, those_whose_closes_wait_do_not_hold_up_the_loop)
{
    struct slow slow;
    side_send_slow(&sides[0], &slow);
    RUN_UNTIL(loop, sides[0].received > 0);

    expect_echo(&sides[1]);

    cr_assert_eq(sides[0].taken, 1);
    cr_assert_eq(sides[0].lost_fds, 1);
    slow_let_end(&slow);
}

/* Unix sockets of a kernel may have none. */
static bool has_urgent_bytes(void)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const bool has = send(ends[0], "!", 1, MSG_OOB) == 1;
    close_ends(ends);
    return has;
}

UNIT(close_fds, those_beside_an_urgent_byte_do_not_hold_up_the_loop)
{
    struct slow slow;
    if (!has_urgent_bytes()) {
        return;
    }
    side_send_slow_as(&sides[0], MSG_OOB, &slow);
    RUN_UNTIL(loop, sides[0].received > 0);

    expect_echo(&sides[1]);

    cr_assert_eq(sides[0].taken, 1);
    cr_assert_eq(sides[0].lost_fds, 1);
    slow_let_end(&slow);
}

UNIT(close_fds, their_connection_rests_until_they_are_closed)
{
    struct slow slow;
    side_send_slow(&sides[0], &slow);
    RUN_UNTIL(loop, sides[0].received > 0);

    cr_assert_eq(send(sides[0].peer, "x", 1, MSG_NOSIGNAL), 1);
    turns(20);
    expect_echo(&sides[1]);
    turns(20);
    cr_assert_eq(sides[0].received, 1);
    slow_let_end(&slow);

    while (sides[0].received < 2) {
        turns(1);
    }
}

UNIT(close_fds, as_many_as_a_message_carries_do_not_hold_up_the_loop)
{
    enum { MARKS = WEIR_FDS_MAX - SLOW };
    struct slow slow;
    int fds[WEIR_FDS_MAX];
    const int mark = mark_open(7);
    for (int i = 0; i < WEIR_FDS_MAX; i++) {
        fds[i] = i < MARKS ? mark : slow_close_open(&slow.fars[i - MARKS]);
    }

    cr_assert_eq(side_send(&sides[0], fds, WEIR_FDS_MAX), 1);
    for (int i = MARKS - 1; i < WEIR_FDS_MAX; i++) {
        close(fds[i]);
    }
    RUN_UNTIL(loop, sides[0].received > 0);
    expect_echo(&sides[1]);

    slow_let_end(&slow);
    cr_assert_eq(sides[0].taken, 1);
}

UNIT(close_fds, those_of_another_connection_are_closed_meanwhile)
{
    struct slow slow;
    int ends[2];
    passed_pipe(ends);
    side_send_slow(&sides[0], &slow);
    RUN_UNTIL(loop, sides[0].received > 0);

    const int fds[] = {ends[1], ends[1]};
    cr_assert_eq(side_send(&sides[1], fds, 2), 1);
    close(ends[1]);
    RUN_UNTIL(loop, sides[1].received > 0);

    struct pollfd closed = {.fd = ends[0]};
    while (poll(&closed, 1, 1) == 0) {
        turns(1);
    }
    close(ends[0]);
    slow_let_end(&slow);
}

UNIT(close_fds, those_of_one_connection_wait_in_one_thread)
{
    struct slow first;
    struct slow second;
    side_send_slow(&sides[0], &first); /* as many as there are threads */
    RUN_UNTIL(loop, sides[0].received > 0);
    side_send_slow(&sides[1], &second);
    RUN_UNTIL(loop, sides[1].received > 0);

    slow_let_end(&second);
    slow_let_end(&first);
}

UNIT(close_fds, those_in_the_socket_at_the_loss_do_not_hold_up_the_loop)
{
    struct slow slow;
    weir_transport_pause_reading(sides[0].t);
    turns(2);
    side_send_slow(&sides[0], &slow);

    weir_transport_abort(sides[0].t);
    RUN_UNTIL(loop, sides[0].lost > 0);
    expect_echo(&sides[1]);

    cr_assert_eq(sides[0].taken, 0);
    slow_let_end(&slow);
}

/* The way of a program whose kernel cannot refuse descriptors. */
UNIT_IN(close_fds, a_protocol_that_takes_none_is_not_held_up, unit_alone, void)
{
    const struct weir_connection_options options = {.fd_limit = 1};
    struct slow slow;
    sides_drop_all = true;
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    side_open(&sides[0], &options);
    side_open(&sides[1], &options);
    side_send_slow(&sides[0], &slow);
    RUN_UNTIL(loop, sides[0].received > 0);

    expect_echo(&sides[1]);

    slow_let_end(&slow);
    side_close(&sides[0]);
    side_close(&sides[1]);
    cr_assert_eq(weir_loop_free(loop), 0);
}

/* Its peer waits for the end. */
UNIT(close_fds, a_socket_with_nothing_in_it_is_closed_while_all_threads_wait)
{
    const struct weir_connection_options options = {.fd_limit = 1};
    struct slow slow[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (i > 0) {
            side_open(&sides[1 + i], &options);
        }
        side_send_slow(&sides[1 + i], &slow[i]);
        RUN_UNTIL(loop, sides[1 + i].received > 0);
    }

    weir_transport_abort(sides[0].t);
    struct pollfd closed = {.fd = sides[0].peer};
    while (poll(&closed, 1, 1) == 0) {
        turns(1);
    }

    for (int i = 0; i < THREADS; i++) {
        slow_let_end(&slow[i]);
        if (i > 0) {
            side_close(&sides[1 + i]);
        }
    }
}

UNIT(close_fds, a_connection_that_rests_can_be_aborted)
{
    struct slow slow;
    side_send_slow(&sides[0], &slow);
    RUN_UNTIL(loop, sides[0].received > 0);
    turns(5);

    weir_transport_abort(sides[0].t);
    RUN_UNTIL(loop, sides[0].lost > 0);
    expect_echo(&sides[1]);

    slow_let_end(&slow);
    expect_echo(&sides[1]); /* what the thread posts finds no one */
}

/* Bytes that its peer sends meanwhile do not count as received. */
static void expect_timed_out(struct side *side,
                             const struct weir_timeouts *timeouts, int err)
{
    struct slow slow;
    side_send_slow(side, &slow);
    RUN_UNTIL(loop, side->received > 0);
    turns(5);
    cr_assert_eq(send(side->peer, "x", 1, MSG_NOSIGNAL), 1);
    cr_assert_eq(weir_transport_set_timeouts(side->t, timeouts), 0);

    RUN_UNTIL(loop, side->lost > 0);

    cr_assert_eq(side->lost_err, err);
    cr_assert_eq(side->received, 1);
    slow_let_end(&slow);
}

UNIT(close_fds, a_connection_that_rests_keeps_its_time_outs)
{
    const struct weir_timeouts reading = {.size = sizeof(reading),
                                          .read_ns = 10 * RIG_MS};
    const struct weir_timeouts idle = {.size = sizeof(idle),
                                       .idle_ns = 10 * RIG_MS};
    expect_timed_out(&sides[0], &reading, WEIR_EREADTIMEOUT);
    expect_timed_out(&sides[1], &idle, WEIR_EIDLE);
}

UNIT(close_fds, a_peer_that_ends_is_told_once_all_are_closed)
{
    struct slow slow;
    side_send_slow(&sides[0], &slow);
    RUN_UNTIL(loop, sides[0].received > 0);
    cr_assert_eq(send(sides[0].peer, "x", 1, MSG_NOSIGNAL), 1);
    shutdown(sides[0].peer, SHUT_WR);
    turns(20);

    slow_let_end(&slow);
    RUN_UNTIL(loop, sides[0].lost > 0);

    cr_assert_eq(sides[0].received, 2);
    cr_assert_eq(sides[0].lost_err, 0);
}

UNIT(close_fds, a_flood_of_unwanted_ones_fills_no_table)
{
    enum { IN_FLIGHT = 4 }; /* a user may have few of them in sockets */
    int fds[WEIR_FDS_MAX];
    const int fd = mark_open(1);
    const int before = fds_count_open();
    size_t sent = 0;
    for (size_t i = 0; i < WEIR_FDS_MAX; i++) {
        fds[i] = fd;
    }
    for (int i = 0; i < 300; i++) {
        while (sent - sides[0].received < IN_FLIGHT &&
               side_send(&sides[0], fds, WEIR_FDS_MAX) == 1) {
            sent++;
        }
        turns(1);
        cr_assert_leq(fds_count_open(), before + WEIR_FDS_MAX);
    }
    while (sides[0].received < sent) {
        turns(1);
    }

    cr_assert_eq(sides[0].lost_fds, sent);
    close(fd);
}

/* ---- the end of the loop, and of the process ---- */

UNIT_IN(close_fds, the_end_of_the_loop_does_not_wait, unit_alone, void)
{
    const struct weir_connection_options options = {.fd_limit = 1};
    struct slow received;
    struct slow left;
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    side_open(&sides[0], &options);
    side_send_slow(&sides[0], &received);
    RUN_UNTIL(loop, sides[0].received > 0);
    side_send_slow(&sides[0], &left); /* stays in the socket */
    turns(5);
    weir_transport_unref(sides[0].t);

    cr_assert_eq(weir_loop_free(loop), 1);

    cr_assert_eq(sides[0].lost, 1);
    close(sides[0].peer);
    slow_let_end(&received);
    slow_let_end(&left);
}

/* The threads post while the loop ends. */
UNIT_IN(close_fds, the_end_of_the_loop_meets_the_end_of_a_close, unit_alone,
        void)
{
    const struct weir_connection_options options = {.fd_limit = 1};
    for (int i = 0; i < 300; i++) {
        const int mark = mark_open(1);
        const int fds[] = {mark, mark, mark};
        cr_assert_eq(weir_loop_new(NULL, &loop), 0);
        side_open(&sides[0], &options);
        cr_assert_eq(side_send(&sides[0], fds, 3), 1);
        cr_assert_eq(side_send(&sides[0], fds, 3), 1);
        close(mark);
        RUN_UNTIL(loop, sides[0].received > 0);
        turns(i % 4);
        weir_transport_unref(sides[0].t);
        cr_assert_eq(weir_loop_free(loop), 1);
        close(sides[0].peer);
    }
}

/* One connection that drops a descriptor, and is told that it has gone. */
static void drop_one_and_go_on(struct side *side)
{
    const struct weir_connection_options options = {.fd_limit = 1};
    const int mark = mark_open(1);
    const int fds[] = {mark, mark};
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    side_open(side, &options);
    cr_assert_eq(side_send(side, fds, 2), 1);
    close(mark);
    RUN_UNTIL(loop, side->received > 0);
    expect_echo(side); /* of the first byte */
    expect_echo(side);
    side_close(side);
    cr_assert_eq(weir_loop_free(loop), 0);
}

UNIT_IN(close_fds, a_child_has_threads_of_its_own, unit_alone, void)
{
#ifdef __SANITIZE_THREAD__ /* which lets no child of threads make any */
    return;
#endif
    const struct weir_connection_options options = {.fd_limit = 1};
    struct slow slow;
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    side_open(&sides[0], &options);
    side_send_slow(&sides[0], &slow);
    RUN_UNTIL(loop, sides[0].received > 0);
    weir_loop *const parents = loop;
    drop_one_and_go_on(&sides[1]); /* leaves a thread without work */
    cr_assert(wait_until_others_sleep());

    const pid_t child = fork();
    if (child == 0) {
        alarm(120);
        drop_one_and_go_on(&sides[1]);
        _exit(0);
    }
    expect_eq(end_of(child), 0);

    loop = parents;
    expect_echo(&sides[0]);
    slow_let_end(&slow);
    side_close(&sides[0]);
    cr_assert_eq(weir_loop_free(loop), 0);
}
