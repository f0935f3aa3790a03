/*
 * Closing descriptors that a Unix peer has sent.
 *
 * A close that takes as long as the peer likes holds up one thread, but neither
 * the loop nor connections without such closes. Streams receive one descriptor
 * per message; datagrams receive none if the kernel cannot refuse them. Most
 * tests run for both.
 */
#define UNIT_RUN with_both
#include "tests/contract/asleep.h"
#include "tests/contract/fds_rig.h"
#include "tests/contract/slow_close.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <weir/connect.h>
#include <weir/datagram.h>

/* A connection or endpoint that echoes, on the loop of the test, and the plain
 * end of its socket. */
struct side {
    weir_transport *t;
    int peer;
    size_t received;
    size_t stamped; /* datagrams that have only the time of their arrival */
    size_t taken;
    size_t lost_fds;
    size_t lost;
    int lost_err;
};

enum kind { STREAM, DATAGRAM, KINDS };
enum {
    THREADS = 8,
    IN_FLIGHT = 4 /* the kernel limits a user's descriptors in flight */
};

static enum kind kind;
static uint32_t facts;
static bool sides_drop_all; /* the program requests descriptors in a way that
                               makes weir close them */
static weir_loop *loop;
static struct side sides[THREADS + 1];

static void side_made(void *user, weir_transport *t)
{
    ((struct side *)user)->t = weir_transport_ref(t);
}

static int side_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    ((struct side *)user)->received += buf->len;
    return weir_transport_write(t, buf->data, buf->len);
}

static int side_datagram(void *user, weir_transport *t,
                         const struct weir_datagram *datagram)
{
    struct side *side = user;
    side->received++;
    side->stamped += datagram->ancillary &&
                     datagram->ancillary->has == WEIR_ANCILLARY_TIMESTAMP;
    return weir_transport_sendto(t, datagram->buf.data, datagram->buf.len,
                                 NULL);
}

static int side_fds(void *user, weir_transport *t, const int *fds, size_t count,
                    bool lost)
{
    struct side *side = user;
    expect_leq(count, 1);
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

static CALLBACKS(taking, STREAM, .connection_made = side_made,
                 .data_received = side_received, .fds_received = side_fds,
                 .connection_lost = side_lost);
static CALLBACKS(dropping, STREAM, .connection_made = side_made,
                 .data_received = side_received, .connection_lost = side_lost);
static CALLBACKS(datagrams, DATAGRAM, .connection_made = side_made,
                 .datagram_received = side_datagram,
                 .connection_lost = side_lost);

static int side_open_socket(struct side *side)
{
    int ends[2];
    expect_ok(socketpair(AF_UNIX,
                         (kind == STREAM ? SOCK_STREAM : SOCK_DGRAM) |
                             SOCK_CLOEXEC | SOCK_NONBLOCK,
                         0, ends));
    *side = (struct side){.peer = ends[1]};
    return ends[0];
}

static void side_open(struct side *side)
{
    const struct weir_endpoint end = weir_endpoint_fd(side_open_socket(side));
    const struct weir_factory factory = bind_to(kind == DATAGRAM ? &datagrams
                                                : sides_drop_all ? &dropping
                                                                 : &taking,
                                                side);
    expect_ok(
        kind == STREAM
            ? weir_create_connection_at(
                  loop, &factory, end,
                  SIZED(weir_connect_options, .connection = {.fd_limit = 1}),
                  NULL, NULL, NULL)
            : weir_create_datagram_endpoint_at(
                  loop, &factory, end, weir_endpoint_none(),
                  SIZED(weir_datagram_options, .ancillary = facts), NULL, NULL,
                  NULL));
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
        expect_eq(weir_loop_run(loop), 0);
    }
}

static void await(const struct side *side, size_t received)
{
    while (side->received < received) {
        turns(1);
    }
}

static void side_say(struct side *side)
{
    expect_eq(send(side->peer, "x", 1, MSG_NOSIGNAL), 1);
}

static void expect_echo(struct side *side)
{
    char byte;
    while (recv(side->peer, &byte, 1, 0) >= 0) {
    }
    side_say(side);
    while (recv(side->peer, &byte, 1, 0) != 1) {
        turns(1);
    }
}

static ssize_t side_send(const struct side *side, size_t len, const int *fds,
                         size_t count)
{
    return rights_send(side->peer, "f", len, fds, count, 0);
}

static ssize_t side_send_many(const struct side *side, int fd)
{
    int fds[WEIR_FDS_MAX];
    for (size_t i = 0; i < WEIR_FDS_MAX; i++) {
        fds[i] = fd;
    }
    return side_send(side, 1, fds, WEIR_FDS_MAX);
}

/* Sends descriptors whose closes block, after @marks others, of which a stream
 * receives the first. The test keeps no copies of them. */
static void side_send_slow_as(const struct side *side, size_t len, int marks,
                              int flags, struct slow *ret)
{
    int fds[WEIR_FDS_MAX];
    for (int i = 0; i < marks; i++) {
        fds[i] = mark_open(1);
    }
    slow_open(ret, fds + marks);
    expect_eq(
        rights_send(side->peer, "f", len, fds, (size_t)(marks + SLOW), flags),
        (ssize_t)len);
    for (int i = 0; i < marks + SLOW; i++) {
        close(fds[i]);
    }
}

static void side_send_slow(const struct side *side, struct slow *ret)
{
    side_send_slow_as(side, 1, 1, 0, ret);
}

static void side_get_slow(struct side *side, struct slow *ret)
{
    side_send_slow(side, ret);
    RUN_UNTIL(loop, side->received > 0);
}

/* Datagrams are tested only if the kernel cannot refuse descriptors. */
static void open_loop(void)
{
    char names[256];
    const char *mask = getenv("WEIR_FEATURES_MASK");
    if (kind == DATAGRAM && (!mask || !strstr(mask, "passrights"))) {
        snprintf(names, sizeof(names), "%s,passrights", mask ? mask : "");
        expect_ok(setenv("WEIR_FEATURES_MASK", names, 1));
    }
    expect_ok(weir_loop_new(NULL, &loop));
    expect(kind == STREAM || !fds_are_refused(loop));
}

static void with_sides(void (*body)(void))
{
    open_loop();
    side_open(&sides[0]);
    side_open(&sides[1]);
    body();
    side_close(&sides[0]);
    side_close(&sides[1]);
    expect_eq(weir_loop_free(loop), 0);
}

static void of_kind(enum kind which, void (*body)(void))
{
    kind = which;
    rig_set_name(kind == STREAM ? "stream" : "datagram");
    body();
}

static void with_each(void (*body)(void))
{
    of_kind(STREAM, body);
    of_kind(DATAGRAM, body);
}

static void (*body_of_both)(void);

static void run_body(void)
{
    with_sides(body_of_both);
}

static void with_both(void (*body)(void))
{
    body_of_both = body;
    with_each(run_body);
}

static void with_streams(void (*body)(void))
{
    body_of_both = body;
    of_kind(STREAM, run_body);
}

static void with_datagrams(uint32_t asked, void (*body)(void))
{
    facts = asked;
    body_of_both = body;
    of_kind(DATAGRAM, run_body);
}

static void receive_slow(size_t len, int marks, int flags)
{
    struct slow slow;
    side_send_slow_as(&sides[0], len, marks, flags, &slow);
    RUN_UNTIL(loop, sides[0].received > 0);

    expect_echo(&sides[1]);

    const struct side *side = &sides[0];
    expect_eq(side->taken, kind == STREAM);
    expect_eq(side->lost_fds, kind == STREAM);
    expect_eq(side->stamped, facts != 0);
    slow_let_end(&slow);
}

UNIT(close_fds, those_whose_closes_wait_do_not_hold_up_the_loop)
{
    receive_slow(1, 1, 0);
}

UNIT_OF(close_fds, those_beside_facts_do_not_hold_up_the_loop, with_datagrams,
        WEIR_ANCILLARY_TIMESTAMP, void)
{
    receive_slow(1, 1, 0);
}

/* Some kernels have no urgent bytes on Unix sockets. */
static bool has_urgent_bytes(void)
{
    int ends[2];
    expect_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    const bool has = send(ends[0], "!", 1, MSG_OOB) == 1;
    close_ends(ends);
    return has;
}

UNIT_IN(close_fds, those_beside_an_urgent_byte_do_not_hold_up_the_loop,
        with_streams, void)
{
    if (has_urgent_bytes()) {
        receive_slow(1, 1, MSG_OOB);
    }
}

UNIT(close_fds, as_many_as_a_message_carries_do_not_hold_up_the_loop)
{
    receive_slow(1, WEIR_FDS_MAX - SLOW, 0);
}

/* The kernel would close descriptors that do not fit, on the loop's thread. */
UNIT_OF(close_fds, as_many_as_a_datagram_carries_have_room, with_datagrams,
        WEIR_ANCILLARY_TIMESTAMP, void)
{
    ask_for_everything(sides[0].t);
    receive_slow(1, WEIR_FDS_MAX - SLOW, 0);
}

UNIT(close_fds, whoever_got_them_rests_until_they_are_closed)
{
    struct slow slow;
    side_get_slow(&sides[0], &slow);

    side_say(&sides[0]);
    turns(20);
    expect_echo(&sides[1]);
    turns(20);
    expect_eq(sides[0].received, 1);
    slow_let_end(&slow);

    await(&sides[0], 2);
}

UNIT(close_fds, a_pause_meanwhile_is_minded)
{
    struct slow slow;
    side_get_slow(&sides[0], &slow);
    side_say(&sides[0]);
    turns(5);
    weir_transport_pause_reading(sides[0].t);
    turns(5);
    weir_transport_resume_reading(sides[0].t);
    turns(5);
    expect_eq(sides[0].received, 1);

    weir_transport_pause_reading(sides[0].t);
    slow_let_end(&slow);
    expect_echo(&sides[1]);
    turns(20);
    expect_eq(sides[0].received, 1);
    weir_transport_resume_reading(sides[0].t);

    await(&sides[0], 2);
}

UNIT(close_fds, those_of_another_are_closed_meanwhile)
{
    struct slow slow;
    int ends[2];
    passed_pipe(ends);
    side_get_slow(&sides[0], &slow);

    const int fds[] = {ends[1], ends[1]};
    expect_eq(side_send(&sides[1], 1, fds, 2), 1);
    close(ends[1]);
    RUN_UNTIL(loop, sides[1].received > 0);

    struct pollfd closed = {.fd = ends[0]};
    while (poll(&closed, 1, 1) == 0) {
        turns(1);
    }
    close(ends[0]);
    slow_let_end(&slow);
}

UNIT(close_fds, those_of_one_wait_in_one_thread)
{
    struct slow first;
    struct slow second;
    side_get_slow(&sides[0], &first); /* as many as there are threads */
    side_get_slow(&sides[1], &second);

    slow_let_end(&second);
    slow_let_end(&first);
}

UNIT(close_fds, no_more_than_those_of_one_message_wait_to_be_closed)
{
    struct slow slow;
    const int mark = mark_open(1);
    const int before = fds_count_open() + SLOW; /* the far ends */
    side_send_slow_as(&sides[0], 1, WEIR_FDS_MAX - SLOW, 0, &slow);
    for (int i = 0; i < IN_FLIGHT; i++) {
        expect_eq(side_send_many(&sides[0], mark), 1);
    }
    RUN_UNTIL(loop, sides[0].received > 0);

    for (int i = 0; i < 20; i++) {
        turns(1);
        expect_leq(fds_count_open(), before + WEIR_FDS_MAX);
    }
    slow_let_end(&slow);

    await(&sides[0], 1 + IN_FLIGHT);
    close(mark);
}

UNIT(close_fds, a_flood_of_unwanted_ones_fills_no_table)
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
        expect_leq(fds_count_open(), before + WEIR_FDS_MAX);
    }
    await(&sides[0], sent);

    expect_eq(sides[0].lost_fds, kind == STREAM ? sent : 0);
    close(mark);
}

/* Acts like a program whose kernel cannot refuse descriptors. */
static void drop_all(void)
{
    sides_drop_all = true;
    with_sides(body_of_both);
}

static void with_dropping(void (*body)(void))
{
    body_of_both = body;
    of_kind(STREAM, drop_all);
}

UNIT_IN(close_fds, a_protocol_that_takes_none_is_not_held_up, with_dropping,
        void)
{
    struct slow slow;
    side_get_slow(&sides[0], &slow);

    expect_echo(&sides[1]);

    slow_let_end(&slow);
}

UNIT(close_fds, those_in_the_socket_at_the_loss_do_not_hold_up_the_loop)
{
    struct slow slow;
    weir_transport_pause_reading(sides[0].t);
    turns(2);
    side_send_slow(&sides[0], &slow);

    side_abort(&sides[0]);
    expect_echo(&sides[1]);

    expect_eq(sides[0].received + sides[0].taken, 0);
    slow_let_end(&slow);
}

/* The peer waits for the end. With datagrams, the descriptors are in empty
 * datagrams that were not received. */
UNIT(close_fds, a_socket_with_nothing_in_it_is_closed_while_all_threads_wait)
{
    struct slow slow[THREADS];
    for (int i = 0; i < THREADS; i++) {
        struct side *side = &sides[1 + i];
        if (i > 0) {
            side_open(side);
        }
        if (kind == STREAM) {
            side_get_slow(side, &slow[i]);
            continue;
        }
        weir_transport_pause_reading(side->t);
        turns(2);
        side_send_slow_as(side, 0, 1, 0, &slow[i]);
        side_abort(side);
    }

    side_abort(&sides[0]);
    while (send(sides[0].peer, "x", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN) {
        turns(1);
    }
    expect_eq(errno, kind == STREAM ? EPIPE : ECONNREFUSED);

    for (int i = 0; i < THREADS; i++) {
        slow_let_end(&slow[i]);
        if (i > 0) {
            side_close(&sides[1 + i]);
        }
    }
}

static void end_at_rest(int (*end)(weir_transport *t))
{
    struct slow slow;
    side_get_slow(&sides[0], &slow);
    turns(5);

    expect_ok(end(sides[0].t));
    RUN_UNTIL(loop, sides[0].lost > 0);
    expect_echo(&sides[1]);

    slow_let_end(&slow);
    expect_echo(
        &sides[1]); /* the thread posts its result when no one waits for it */
}

UNIT(close_fds, whoever_rests_can_be_aborted)
{
    end_at_rest(weir_transport_abort);
}

UNIT_OF(close_fds, an_endpoint_that_rests_can_be_closed, with_datagrams, 0,
        void)
{
    end_at_rest(weir_transport_close);
}

/* Bytes that the peer sends meanwhile do not count as received. */
static void expect_timed_out(struct side *side,
                             const struct weir_timeouts *timeouts, int err)
{
    struct slow slow;
    side_get_slow(side, &slow);
    turns(5);
    side_say(side);
    expect_eq(weir_transport_set_timeouts(side->t, timeouts), 0);

    RUN_UNTIL(loop, side->lost > 0);

    expect_eq(side->lost_err, err);
    expect_eq(side->received, 1);
    slow_let_end(&slow);
}

UNIT_IN(close_fds, a_connection_that_rests_keeps_its_time_outs, with_streams,
        void)
{
    expect_timed_out(&sides[0], SIZED(weir_timeouts, .read_ns = 10 * RIG_MS),
                     WEIR_EREADTIMEOUT);
    expect_timed_out(&sides[1], SIZED(weir_timeouts, .idle_ns = 10 * RIG_MS),
                     WEIR_EIDLE);
}

UNIT_IN(close_fds, a_peer_that_ends_is_told_once_all_are_closed, with_streams,
        void)
{
    struct slow slow;
    side_get_slow(&sides[0], &slow);
    side_say(&sides[0]);
    shutdown(sides[0].peer, SHUT_WR);
    turns(20);

    slow_let_end(&slow);
    RUN_UNTIL(loop, sides[0].lost > 0);

    expect_eq(sides[0].received, 2);
    expect_eq(sides[0].lost_err, 0);
}

static void free_loop_of(struct side *side)
{
    weir_transport_unref(side->t);
    expect_eq(weir_loop_free(loop), 1);
    close(side->peer);
}

UNIT_IN(close_fds, the_end_of_the_loop_does_not_wait, with_each, void)
{
    struct slow received;
    struct slow left;
    open_loop();
    side_open(&sides[0]);
    side_get_slow(&sides[0], &received);
    side_send_slow(&sides[0], &left);
    turns(5);

    free_loop_of(&sides[0]);

    expect_eq(sides[0].lost, 1);
    slow_let_end(&received);
    slow_let_end(&left);
}

/* The threads post while the loop ends. */
UNIT_IN(close_fds, the_end_of_the_loop_meets_the_end_of_a_close, with_each,
        void)
{
    for (int i = 0; i < 300; i++) {
        const int mark = mark_open(1);
        const int fds[] = {mark, mark, mark};
        open_loop();
        side_open(&sides[0]);
        expect_eq(side_send(&sides[0], 1, fds, 3), 1);
        expect_eq(side_send(&sides[0], 1, fds, 3), 1);
        close(mark);
        RUN_UNTIL(loop, sides[0].received > 0);
        turns(i % 4);
        free_loop_of(&sides[0]);
    }
}

static void drop_one_and_go_on(struct side *side)
{
    const int mark = mark_open(1);
    const int fds[] = {mark, mark};
    open_loop();
    side_open(side);
    expect_eq(side_send(side, 1, fds, 2), 1);
    close(mark);
    RUN_UNTIL(loop, side->received > 0);
    side_say(side);
    await(side, 2);
    side_close(side);
    expect_eq(weir_loop_free(loop), 0);
}

static void have_a_child(void)
{
#ifdef __SANITIZE_THREAD__ /* ThreadSanitizer does not allow children of a     \
                              multithreaded process to create threads */
    return;
#endif
    struct slow slow;
    open_loop();
    side_open(&sides[0]);
    side_get_slow(&sides[0], &slow);
    weir_loop *const parents = loop;
    drop_one_and_go_on(&sides[1]); /* leaves an idle thread */
    expect(wait_until_others_sleep());

    const pid_t child = fork();
    if (child == 0) {
        alarm(120);
        drop_one_and_go_on(&sides[1]);
        _exit(0);
    }
    expect_eq(end_of(child), 0);

    loop = parents;
    slow_let_end(&slow);
    expect_echo(&sides[0]);
    side_close(&sides[0]);
    expect_eq(weir_loop_free(loop), 0);
}

UNIT_IN(close_fds, a_child_has_threads_of_its_own, unit_alone, void)
{
    of_kind(STREAM, have_a_child);
}

static int create_none(void *arg, weir_transport *t,
                       struct weir_protocol_binding *ret)
{
    return -EPROTO;
}

static void note_done(void *arg, int err, weir_transport *t)
{
    *(int *)arg = err;
}

static void offer_slow(uint16_t local_port, bool cancels, int expected)
{
    const struct weir_factory factory = {.create = create_none};
    struct slow slow;
    const int fd = side_open_socket(&sides[2]);
    side_send_slow(&sides[2], &slow);
    int done = 1;
    weir_pending *maker;
    int err = weir_create_datagram_endpoint_at(
        loop, &factory, weir_endpoint_fd(fd), weir_endpoint_none(),
        SIZED(weir_datagram_options, .local_port = local_port), note_done,
        &done, &maker);
    if (err == 0) {
        if (cancels) {
            weir_pending_cancel(maker);
        }
        RUN_UNTIL(loop, done != 1);
        err = done;
    }
    expect_eq(err, expected);
    expect_echo(&sides[1]);
    slow_let_end(&slow);
    close(sides[2].peer);
}

UNIT_OF(close_fds, sockets_that_become_no_endpoint_do_not_hold_up_the_loop,
        with_datagrams, 0, void)
{
    offer_slow(0, false, -EPROTO);   /* the factory fails */
    offer_slow(0, true, -ECANCELED); /* it is cancelled */
    offer_slow(1, false, -EINVAL);   /* the call is refused */
}
