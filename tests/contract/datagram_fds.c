/*
 * Descriptors that a Unix peer sends along with datagrams, where the kernel
 * does not refuse them: weir closes them. One whose close waits, for as long as
 * the peer likes, holds up one thread and neither the loop nor an endpoint
 * without such closes. What endpoints of newer kernels do is in
 * datagram_facts.c.
 */
#define UNIT_RUN(body) with_sides(0, body)
#include "tests/contract/fds_rig.h"
#include "tests/contract/slow_close.h"

#include <weir/datagram.h>

#include <pthread.h>

/* An endpoint on the loop of the test, which echoes, and the plain end of its
 * socket. */
struct side {
    weir_transport *t;
    int peer;
    size_t received;
    size_t stamped; /* of those with the time of their arrival */
    size_t lost;
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
                         const struct weir_datagram *datagram)
{
    struct side *side = user;
    side->received++;
    side->stamped += datagram->ancillary &&
                     datagram->ancillary->has == WEIR_ANCILLARY_TIMESTAMP;
    return weir_transport_sendto(t, datagram->buf.data, datagram->buf.len,
                                 NULL);
}

static void side_lost(void *user, weir_transport *t, int err)
{
    struct side *side = user;
    side->lost++;
}

static CALLBACKS(side_protocol, DATAGRAM, .connection_made = side_made,
                 .datagram_received = side_received,
                 .connection_lost = side_lost);

/* Returns the end for weir, which no endpoint has yet. */
static int side_open_socket(struct side *side)
{
    int ends[2];
    expect_ok(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                         ends));
    *side = (struct side){.peer = ends[1]};
    return ends[0];
}

static void side_open(struct side *side, uint32_t ancillary)
{
    const struct weir_factory factory = bind_to(&side_protocol, side);
    const struct weir_datagram_options options = {.size = sizeof(options),
                                                  .ancillary = ancillary};
    expect_ok(weir_create_datagram_endpoint_at(
        loop, &factory, weir_endpoint_fd(side_open_socket(side)),
        weir_endpoint_none(), &options, NULL, NULL, NULL));
    RUN_UNTIL(loop, side->t != NULL);
}

static void side_abort(struct side *side)
{
    weir_transport_abort(side->t);
    RUN_UNTIL(loop, side->lost > 0);
}

static void side_close(struct side *side)
{
    side_abort(side);
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

/* The loop answers on the endpoint. */
static void expect_echo(struct side *side)
{
    char byte;
    while (recv(side->peer, &byte, 1, 0) >= 0) { /* earlier ones */
    }
    cr_assert_eq(send(side->peer, "x", 1, MSG_NOSIGNAL), 1);
    while (recv(side->peer, &byte, 1, 0) != 1) {
        turns(1);
    }
}

/* Sends a datagram of @len bytes with descriptors. */
static ssize_t side_send(const struct side *side, size_t len, const int *fds,
                         size_t count)
{
    return rights_send(side->peer, "f", len, fds, count, 0);
}

/* Sends as many as a message carries. */
static ssize_t side_send_many(const struct side *side, int fd)
{
    int fds[WEIR_FDS_MAX];
    for (size_t i = 0; i < WEIR_FDS_MAX; i++) {
        fds[i] = fd;
    }
    return side_send(side, 1, fds, WEIR_FDS_MAX);
}

/* Sends a descriptor whose close waits, behind @marks others, and returns its
 * far end. The test keeps none of them. */
static int side_send_slow(const struct side *side, size_t len, int marks)
{
    int fds[WEIR_FDS_MAX];
    int far;
    for (int i = 0; i < marks; i++) {
        fds[i] = mark_open(1);
    }
    fds[marks] = slow_close_open(&far);
    cr_assert_eq(side_send(side, len, fds, (size_t)marks + 1), (ssize_t)len);
    for (int i = 0; i <= marks; i++) {
        close(fds[i]);
    }
    return far;
}

/* Returns when it is closed. */
static void slow_let_end(int far)
{
    while (!slow_close_read(far)) {
    }
}

static void *make_loop(void *arg)
{
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    return NULL;
}

/* A loop that refuses no descriptors. Another thread makes it: some time after
 * the end of the ring that weir tries the kernel with, the kernel interrupts
 * the thread that had it, and would cut the wait of a close there short. */
static void open_loop(void)
{
    pthread_t maker;
    char names[256];
    const char *mask = getenv("WEIR_FEATURES_MASK");
    if (!mask || !strstr(mask, "passrights")) {
        snprintf(names, sizeof(names), "%s,passrights", mask ? mask : "");
        cr_assert_eq(setenv("WEIR_FEATURES_MASK", names, 1), 0);
    }
    cr_assert_eq(pthread_create(&maker, NULL, make_loop, NULL), 0);
    cr_assert_eq(pthread_join(maker, NULL), 0);
    cr_assert_not(fds_are_refused(loop));
}

static void with_sides(uint32_t facts, void (*body)(void))
{
    open_loop();
    side_open(&sides[0], facts);
    side_open(&sides[1], facts);
    body();
    side_close(&sides[0]);
    side_close(&sides[1]);
    cr_assert_eq(weir_loop_free(loop), 0);
}

/* ---- received ---- */

UNIT(datagram_fds, those_whose_closes_wait_do_not_hold_up_the_loop)
{
    const int slow = side_send_slow(&sides[0], 1, 1);
    RUN_UNTIL(loop, sides[0].received > 0);

    expect_echo(&sides[1]);

    slow_let_end(slow);
}

UNIT_OF(datagram_fds, those_beside_facts_do_not_hold_up_the_loop, with_sides,
        WEIR_ANCILLARY_TIMESTAMP, void)
{
    const int slow = side_send_slow(&sides[0], 1, 1);
    RUN_UNTIL(loop, sides[0].received > 0);

    expect_echo(&sides[1]);

    cr_assert_eq(sides[0].stamped, 1);
    slow_let_end(slow);
}

enum { PASS_PIDFD = 76 /* SO_PASSPIDFD, Linux 6.5 */ };

static void ask_for_everything(const struct side *side)
{
    static const int names[] = {SO_PASSCRED, SO_PASSSEC, PASS_PIDFD};
    const int on = 1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (setsockopt(weir_transport_get_socket(side->t), SOL_SOCKET, names[i],
                       &on, sizeof(on)) < 0) {
            cr_assert_eq(errno, ENOPROTOOPT); /* an older kernel */
        }
    }
}

/* The kernel would close those without room on the loop's thread; the last one
 * is the one whose close waits. */
UNIT_OF(datagram_fds, as_many_as_a_datagram_carries_have_room, with_sides,
        WEIR_ANCILLARY_TIMESTAMP, void)
{
    ask_for_everything(&sides[0]);
    const int slow = side_send_slow(&sides[0], 1, WEIR_FDS_MAX - 1);
    RUN_UNTIL(loop, sides[0].received > 0);

    expect_echo(&sides[1]);

    cr_assert_eq(sides[0].stamped, 1);
    slow_let_end(slow);
}

UNIT(datagram_fds, their_endpoint_rests_until_they_are_closed)
{
    const int slow = side_send_slow(&sides[0], 1, 1);
    RUN_UNTIL(loop, sides[0].received > 0);

    cr_assert_eq(send(sides[0].peer, "x", 1, MSG_NOSIGNAL), 1);
    turns(20);
    expect_echo(&sides[1]);
    turns(20);
    cr_assert_eq(sides[0].received, 1);
    slow_let_end(slow);

    while (sides[0].received < 2) {
        turns(1);
    }
}

UNIT(datagram_fds, a_pause_while_it_rests_is_minded)
{
    const int slow = side_send_slow(&sides[0], 1, 1);
    RUN_UNTIL(loop, sides[0].received > 0);
    cr_assert_eq(send(sides[0].peer, "x", 1, MSG_NOSIGNAL), 1);
    turns(5);
    weir_transport_pause_reading(sides[0].t);
    turns(5);
    weir_transport_resume_reading(sides[0].t);
    turns(5);
    cr_assert_eq(sides[0].received, 1);

    weir_transport_pause_reading(sides[0].t);
    slow_let_end(slow);
    expect_echo(&sides[1]);
    turns(20);
    cr_assert_eq(sides[0].received, 1);
    weir_transport_resume_reading(sides[0].t);

    while (sides[0].received < 2) {
        turns(1);
    }
}

enum { IN_FLIGHT = 4 }; /* a user may have few of them in sockets */

UNIT(datagram_fds, no_more_than_one_datagrams_wait_to_be_closed)
{
    const int mark = mark_open(1);
    int before = fds_count_open();
    const int slow = side_send_slow(&sides[0], 1, WEIR_FDS_MAX - 1);
    before++; /* the far end */
    for (int i = 0; i < IN_FLIGHT; i++) {
        cr_assert_eq(side_send_many(&sides[0], mark), 1);
    }
    RUN_UNTIL(loop, sides[0].received > 0);

    for (int i = 0; i < 20; i++) {
        turns(1);
        cr_assert_leq(fds_count_open(), before + WEIR_FDS_MAX);
    }
    slow_let_end(slow);

    while (sides[0].received < 1 + IN_FLIGHT) {
        turns(1);
    }
    close(mark);
}

UNIT(datagram_fds, a_flood_fills_no_table)
{
    const int mark = mark_open(1);
    const int before = fds_count_open();
    size_t sent = 0;
    for (int i = 0; i < 300; i++) {
        while (sent - sides[0].received < IN_FLIGHT &&
               side_send_many(&sides[0], mark) == 1) {
            sent++;
        }
        turns(1);
        cr_assert_leq(fds_count_open(), before + WEIR_FDS_MAX);
    }
    while (sides[0].received < sent) {
        turns(1);
    }
    close(mark);
}

/* ---- at the end ---- */

UNIT(datagram_fds, an_endpoint_that_rests_can_be_aborted)
{
    const int slow = side_send_slow(&sides[0], 1, 1);
    RUN_UNTIL(loop, sides[0].received > 0);
    turns(5);

    side_abort(&sides[0]);
    expect_echo(&sides[1]);

    slow_let_end(slow);
    expect_echo(&sides[1]); /* what the thread posts finds no one */
}

UNIT(datagram_fds, an_endpoint_that_rests_can_be_closed)
{
    const int slow = side_send_slow(&sides[0], 1, 1);
    RUN_UNTIL(loop, sides[0].received > 0);
    turns(5);

    weir_transport_close(sides[0].t);
    RUN_UNTIL(loop, sides[0].lost > 0);
    expect_echo(&sides[1]);

    slow_let_end(slow);
    expect_echo(&sides[1]);
}

UNIT(datagram_fds, those_in_the_socket_at_the_loss_do_not_hold_up_the_loop)
{
    weir_transport_pause_reading(sides[0].t);
    turns(2);
    const int slow = side_send_slow(&sides[0], 1, 1);

    side_abort(&sides[0]);
    expect_echo(&sides[1]);

    cr_assert_eq(sides[0].received, 0);
    slow_let_end(slow);
}

/* Those lie in empty datagrams. */
UNIT(datagram_fds, a_socket_with_nothing_in_it_is_closed_while_all_threads_wait)
{
    int slow[THREADS];
    for (int i = 0; i < THREADS; i++) {
        struct side *side = &sides[1 + i];
        if (i > 0) {
            side_open(side, 0);
        }
        weir_transport_pause_reading(side->t);
        turns(2);
        slow[i] = side_send_slow(side, 0, 1);
        side_abort(side);
    }

    side_abort(&sides[0]);
    while (send(sides[0].peer, "x", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN) {
        turns(1);
    }
    cr_assert_eq(errno, ECONNREFUSED);

    for (int i = 0; i < THREADS; i++) {
        slow_let_end(slow[i]);
        if (i > 0) {
            side_close(&sides[1 + i]);
        }
    }
}

UNIT_IN(datagram_fds, the_end_of_the_loop_does_not_wait, unit_alone, void)
{
    open_loop();
    side_open(&sides[0], 0);
    const int received = side_send_slow(&sides[0], 1, 1);
    RUN_UNTIL(loop, sides[0].received > 0);
    const int left = side_send_slow(&sides[0], 1, 1); /* stays in the socket */
    turns(5);
    weir_transport_unref(sides[0].t);

    cr_assert_eq(weir_loop_free(loop), 1);

    cr_assert_eq(sides[0].lost, 1);
    close(sides[0].peer);
    slow_let_end(received);
    slow_let_end(left);
}

/* The threads post while the loop ends. */
UNIT_IN(datagram_fds, the_end_of_the_loop_meets_the_end_of_a_close, unit_alone,
        void)
{
    for (int i = 0; i < 300; i++) {
        const int mark = mark_open(1);
        const int fds[] = {mark, mark, mark};
        open_loop();
        side_open(&sides[0], 0);
        cr_assert_eq(side_send(&sides[0], 1, fds, 3), 1);
        cr_assert_eq(side_send(&sides[0], 1, fds, 3), 1);
        close(mark);
        RUN_UNTIL(loop, sides[0].received > 0);
        turns(i % 4);
        weir_transport_unref(sides[0].t);
        cr_assert_eq(weir_loop_free(loop), 1);
        close(sides[0].peer);
    }
}

/* ---- sockets that become no endpoint ---- */

static int create_none(void *arg, weir_transport *t,
                       struct weir_protocol_binding *ret)
{
    return -EPROTO;
}

static void note_done(void *arg, int err, weir_transport *t)
{
    *(int *)arg = err;
}

/* Offers a socket in which some lie, and expects the error of the call, or of
 * done; the loop goes on. */
static void offer_slow(uint16_t local_port, bool cancels, int expected)
{
    const struct weir_factory factory = {.create = create_none};
    const int fd = side_open_socket(&sides[2]);
    const int slow = side_send_slow(&sides[2], 1, 1);
    int done = 1;
    const struct weir_datagram_options options = {.size = sizeof(options),
                                                  .local_port = local_port};
    weir_pending *maker;
    int err = weir_create_datagram_endpoint_at(
        loop, &factory, weir_endpoint_fd(fd), weir_endpoint_none(), &options,
        note_done, &done, &maker);
    if (err == 0) {
        if (cancels) {
            weir_pending_cancel(maker);
        }
        RUN_UNTIL(loop, done != 1);
        err = done;
    }
    cr_assert_eq(err, expected);
    expect_echo(&sides[1]);
    slow_let_end(slow);
    close(sides[2].peer);
}

UNIT(datagram_fds, a_factory_that_fails_does_not_hold_up_the_loop)
{
    offer_slow(0, false, -EPROTO);
}

UNIT(datagram_fds, a_maker_that_is_cancelled_does_not_hold_up_the_loop)
{
    offer_slow(0, true, -ECANCELED);
}

UNIT(datagram_fds, a_call_that_is_refused_does_not_hold_up_the_loop)
{
    offer_slow(1, false, -EINVAL);
}
