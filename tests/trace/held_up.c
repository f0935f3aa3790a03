/*
 * A loop that was delayed by a slow callback or a stopped process, while its
 * peers sent in time.
 *
 * The kernel posts about twenty completions per enter. More peers send within
 * their limit during the delay, and their bytes wait in the kernel when the
 * limit has passed.
 */
#include "adopt.h"
#include "clock.h"
#include "tests/bind.h"
#include "uring/check.h"
#include "uring/feature.h"

#include <weir/connect.h>
#include <weir/embed.h>
#include <weir/pipe.h>

#define MS UINT64_C(1000000)

enum { COUNT = 90, SILENT = 10, LIMIT_MS = 100, HELD_MS = 400, IDLE = 2000 };

struct link {
    weir_transport *t;
    struct fake_peer *peer;
    struct fake_fifo *fifo;
    uint64_t received;
    int done_err;
    int lost_count;
    int lost_err;
    uint64_t lost_ns;
};

static weir_loop *loop;
static struct link links[COUNT];
static uint64_t received_links; /* links that have received */
static uint64_t held_ns;        /* when the loop went on */

static void made(void *user, weir_transport *t)
{
    struct link *link = user;
    link->t = t;
}

static int received(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct link *link = user;
    received_links += link->received == 0;
    link->received += buf->len;
    return 0;
}

static void lost(void *user, weir_transport *t, int err)
{
    struct link *link = user;
    link->lost_count++;
    link->lost_err = err;
    link->lost_ns = fake_now();
}

static CALLBACKS(protocol, STREAM, .connection_made = made,
                 .data_received = received, .connection_lost = lost);

static void start(const struct fake_options *machine)
{
    fake_start(machine);
    expect_eq(weir_loop_new(NULL, &loop), 0);
}

static void stop(int alive)
{
    expect_eq(weir_loop_free(loop), alive);
    for (int i = 0; i < COUNT; i++) {
        if (links[i].peer) {
            fake_peer_close(links[i].peer);
        }
        if (links[i].fifo) {
            fake_fifo_close(links[i].fifo);
        }
    }
    fake_stop();
}

typedef void open_fn(struct link *link, const struct weir_timeouts *limits);

static void open_socket(struct link *link, const struct weir_timeouts *limits)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    options.connection.timeouts = *limits;
    adopt(loop, &protocol, link, &options, &link->peer);
}

static void open_pipe(struct link *link, const struct weir_timeouts *limits)
{
    const struct weir_factory factory = bind_to(&protocol, link);
    struct weir_connect_options options = {.size = sizeof(options)};
    int fd;
    options.connection.timeouts = *limits;
    link->fifo = fake_fifo_open(true, false, 4096, &fd);
    expect_ok(
        weir_connect_read_pipe(loop, &factory, fd, &options, NULL, NULL, NULL));
}

static void open_all(open_fn *open, const struct weir_timeouts *limits)
{
    for (int i = 0; i < COUNT; i++) {
        open(&links[i], limits);
    }
    clock_run_for(loop, MS);
}

static void send_byte(struct link *link)
{
    expect_eq(link->peer ? fake_peer_write(link->peer, "x", 1)
                         : fake_fifo_write(link->fifo, "x", 1),
              1);
}

/* All but the last ones. */
static void send_bytes(void *arg)
{
    for (int i = 0; i < COUNT - SILENT; i++) {
        send_byte(&links[i]);
    }
}

/* A callback that takes so long; peers send meanwhile, within their limit. */
static void hold_up(void *arg)
{
    fake_at(fake_now() + MS, send_bytes, NULL);
    fake_spend(HELD_MS * MS);
    held_ns = fake_now();
}

static void hold_up_in(uint64_t time_ns)
{
    struct weir_handle handle;
    expect_eq(weir_loop_call_later(loop, time_ns, hold_up, NULL, &handle), 0);
}

static void expect_the_silent_lost(int err)
{
    for (int i = 0; i < COUNT; i++) {
        const bool is_silent = i >= COUNT - SILENT;
        expect_eq(links[i].lost_count, is_silent, "link %d: %s", i,
                  weir_err_name(links[i].lost_err));
        expect_eq(links[i].received, !is_silent, "link %d", i);
        if (is_silent) {
            expect_eq(links[i].lost_err, err);
            expect_leq(links[i].lost_ns, held_ns + MS);
        }
    }
}

static void expect_fair(const struct fake_options *machine, open_fn *open,
                        struct weir_timeouts limits, int err)
{
    limits.size = sizeof(limits);
    start(machine);
    open_all(open, &limits);

    hold_up_in(LIMIT_MS / 2 * MS);
    clock_run_for(loop, (LIMIT_MS / 2 + HELD_MS + 10) * MS);

    expect_the_silent_lost(err);
    clock_run_for(loop, 2 * LIMIT_MS * MS);
    expect_eq(links[0].lost_count, 1, "it has sent nothing since");
    expect_eq(links[0].lost_err, err);
    stop(0);
}

#define MACHINE(...)                                                           \
    &(struct fake_options)                                                     \
    {                                                                          \
        .seed = 1, __VA_ARGS__                                                 \
    }
#define LIMITS(...) ((struct weir_timeouts){__VA_ARGS__})

UNIT(held_up, sockets_whose_bytes_wait_keep_the_read_limit)
{
    expect_fair(MACHINE(), open_socket, LIMITS(.read_ns = LIMIT_MS * MS),
                WEIR_EREADTIMEOUT);
}

UNIT(held_up, sockets_whose_bytes_wait_are_not_idle)
{
    expect_fair(MACHINE(), open_socket, LIMITS(.idle_ns = LIMIT_MS * MS),
                WEIR_EIDLE);
}

UNIT(held_up, pipes_whose_bytes_wait_keep_the_read_limit)
{
    expect_fair(MACHINE(), open_pipe, LIMITS(.read_ns = LIMIT_MS * MS),
                WEIR_EREADTIMEOUT);
}

UNIT(held_up, pipes_whose_bytes_wait_are_not_idle)
{
    expect_fair(MACHINE(), open_pipe, LIMITS(.idle_ns = LIMIT_MS * MS),
                WEIR_EIDLE);
}

/* A worker thread that reads has to be run too, and posts later. */
UNIT(held_up, bytes_that_no_completion_has_told_of_count)
{
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .read_ns = LIMIT_MS * MS,
                                         .idle_ns = LIMIT_MS * MS};
    start(MACHINE(.missing = 1u << WR_FEATURE_PIPE_NOWAIT));
    open_all(open_pipe, &limits);
    fake_set_fault(FAKE_DELAY, 1000);

    hold_up_in(LIMIT_MS / 2 * MS);
    clock_run_for(loop, (LIMIT_MS / 2 + HELD_MS + 10) * MS);

    expect_the_silent_lost(WEIR_EREADTIMEOUT);
    stop(COUNT - SILENT);
}

static weir_lease *kept[16];
static int kept_count;

static int keep(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct weir_buf bytes = *buf;
    expect_eq(received(user, t, buf), 0);
    expect_eq(weir_buf_ref(&bytes), 0);
    kept[kept_count++] = bytes.lease;
    return 0;
}

static CALLBACKS(keeper, STREAM, .connection_made = made, .data_received = keep,
                 .connection_lost = lost);

UNIT(held_up, bytes_that_our_own_limit_leaves_in_the_kernel_are_no_idleness)
{
    static uint8_t bytes[4096];
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .idle_ns = LIMIT_MS * MS};
    start(MACHINE());
    open_socket(&links[0], &limits);
    clock_run_for(loop, MS);
    const struct weir_protocol_binding binding = {&keeper, &links[0]};
    expect_eq(weir_transport_set_protocol(links[0].t, &binding, NULL, 0), 0);
    weir_transport_set_read_buffer_limit(links[0].t, 2 * sizeof(bytes));
    for (int i = 0; i < 8; i++) {
        expect_eq(fake_peer_write(links[0].peer, bytes, sizeof(bytes)),
                  (ssize_t)sizeof(bytes));
        clock_run_for(loop, MS);
    }
    expect_lt(links[0].received, 8 * sizeof(bytes));

    clock_run_for(loop, 5 * LIMIT_MS * MS);
    expect_eq(links[0].lost_count, 0);
    while (kept_count > 0) {
        weir_buf_unref(kept[--kept_count]);
        clock_run_for(loop, MS);
    }
    clock_run_for(loop, 2 * LIMIT_MS * MS);

    expect_eq(links[0].lost_err, WEIR_EIDLE);
    while (kept_count > 0) {
        weir_buf_unref(kept[--kept_count]);
    }
    stop(0);
}

static uint8_t much[600000];

static void take_all(void *arg)
{
    while (fake_peer_read(links[0].peer, much, sizeof(much)) > 0) {
    }
}

static void hold_up_close(void *arg)
{
    fake_at(fake_now() + MS, take_all, NULL);
    fake_spend(HELD_MS * MS);
    held_ns = fake_now();
}

/* The peer takes what the kernel has while the loop stands still; and then it
 * does, or does not, go on. */
static void close_held_up(bool goes_on)
{
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .close_ns = LIMIT_MS * MS};
    struct weir_handle handle;
    start(MACHINE());
    open_socket(&links[0], &limits);
    clock_run_for(loop, MS);
    expect_eq(weir_transport_write(links[0].t, much, sizeof(much)), 0);
    clock_run_for(loop, MS);
    expect_eq(weir_transport_close(links[0].t), 0);
    expect_ok(weir_loop_call_later(loop, LIMIT_MS / 2 * MS, hold_up_close, NULL,
                                   &handle));
    clock_run_for(loop, (LIMIT_MS / 2 + HELD_MS) * MS + 1);

    for (int i = 0; i < LIMIT_MS * 2; i++) {
        if (goes_on) {
            take_all(NULL);
        }
        clock_run_for(loop, MS);
    }
    stop(0);
}

UNIT(held_up, a_close_goes_on_with_a_peer_that_has_taken_all)
{
    close_held_up(true);

    expect_eq(links[0].lost_count, 1);
    expect_eq(links[0].lost_err, 0, "%s", weir_err_name(links[0].lost_err));
}

UNIT(held_up, a_close_ends_with_a_peer_that_takes_no_more)
{
    close_held_up(false);

    expect_eq(links[0].lost_err, WEIR_ECLOSETIMEOUT);
    expect_leq(links[0].lost_ns, held_ns + (LIMIT_MS + 1) * MS);
}

static void take_from_pipe(void *arg)
{
    while (fake_fifo_read(links[0].fifo, much, sizeof(much)) > 0) {
    }
}

static void hold_up_pipe(void *arg)
{
    fake_at(fake_now() + MS, take_from_pipe, NULL);
    fake_spend(HELD_MS * MS);
}

UNIT(held_up, a_peer_that_has_taken_all_is_to_blame_for_no_limit_of_two)
{
    const struct weir_factory factory = bind_to(&protocol, &links[0]);
    struct weir_connect_options options = {.size = sizeof(options)};
    struct weir_handle handle;
    int fd;
    options.connection.timeouts =
        (struct weir_timeouts){.size = sizeof(struct weir_timeouts),
                               .write_stall_ns = LIMIT_MS * MS,
                               .close_ns = LIMIT_MS * MS};
    start(MACHINE());
    links[0].fifo = fake_fifo_open(false, false, 4096, &fd);
    expect_ok(weir_connect_write_pipe(loop, &factory, fd, &options, NULL, NULL,
                                      NULL));
    clock_run_for(loop, MS);
    expect_eq(weir_transport_write(links[0].t, much, 30000), 0);
    clock_run_for(loop, MS);
    expect_eq(weir_transport_close(links[0].t), 0);

    expect_ok(weir_loop_call_later(loop, LIMIT_MS / 2 * MS, hold_up_pipe, NULL,
                                   &handle));
    clock_run_for(loop, (LIMIT_MS / 2 + HELD_MS) * MS + 1);
    for (int i = 0; i < LIMIT_MS / 2; i++) {
        take_from_pipe(NULL);
        clock_run_for(loop, MS);
    }

    expect_eq(links[0].lost_count, 1);
    expect_eq(links[0].lost_err, 0, "%s", weir_err_name(links[0].lost_err));
    stop(0);
}

static uint64_t seen_by_timer;
static uint64_t fired_ns;

static void look(void *arg)
{
    fired_ns = fake_now();
    seen_by_timer = received_links;
}

UNIT(held_up, a_timer_of_the_program_sees_what_came_before_it)
{
    struct weir_handle handle;
    start(MACHINE());
    open_all(open_socket, &LIMITS(.size = sizeof(struct weir_timeouts)));

    expect_ok(weir_loop_call_later(loop, LIMIT_MS * MS, look, NULL, &handle));
    hold_up_in(LIMIT_MS / 2 * MS);
    clock_run_for(loop, (LIMIT_MS + HELD_MS) * MS);

    expect_eq(seen_by_timer, COUNT - SILENT);
    stop(COUNT);
}

static bool is_flood;

/* Each enter finds bytes from all, so that there is always more. */
static void send_more(void *arg)
{
    for (int i = 0; is_flood && i < COUNT; i++) {
        wr_ignore(fake_peer_write(links[i].peer, "x", 1) < 0);
    }
}

UNIT(held_up, a_timer_does_not_wait_for_ever)
{
    struct weir_handle handle;
    start(MACHINE(.entered = send_more));
    open_all(open_socket, &LIMITS(.size = sizeof(struct weir_timeouts)));

    expect_ok(weir_loop_call_later(loop, LIMIT_MS * MS, look, NULL, &handle));
    hold_up_in(LIMIT_MS / 2 * MS);
    is_flood = true;
    for (int i = 0; i < 1000 && fired_ns == 0; i++) {
        expect_eq(weir_loop_run_once(loop), 0);
        fake_spend(MS);
    }
    is_flood = false;

    expect_gt(fired_ns, 0);
    expect_leq(fired_ns, held_ns + 20 * MS);
    stop(COUNT);
}

static const struct weir_timeouts no_limits = {.size = sizeof(no_limits)};

/* More that say nothing than a loop has turns to wait, and a flood. */
static void start_flood(struct link *idle, int idle_count)
{
    start(MACHINE(.send_size = 4096, .recv_size = 4096, .entered = send_more));
    for (int i = 0; i < idle_count; i++) {
        open_socket(&idle[i], &no_limits);
    }
    open_all(open_socket, &no_limits);
    is_flood = true;
}

/* Peers of the idle are freed by fake_stop(). */
static void stop_flood(int idle_count)
{
    is_flood = false;
    stop(COUNT + idle_count);
}

UNIT(held_up, a_timer_waits_no_longer_where_many_connections_are_idle)
{
    static struct link idle[IDLE];
    struct weir_handle handle;

    start_flood(idle, IDLE);

    expect_eq(weir_loop_call_later(loop, 2 * MS, look, NULL, &handle), 0);
    expect_eq(weir_loop_call_soon(loop, hold_up, NULL, &handle), 0);
    for (int i = 0; i < 1000 && fired_ns == 0; i++) {
        expect_eq(weir_loop_run_once(loop), 0);
        fake_spend(MS);
    }

    expect_gt(fired_ns, 0);
    expect_leq(fired_ns, held_ns + 12 * MS);
    stop_flood(IDLE);
}

UNIT(held_up, a_timer_waits_few_turns_where_they_are_short)
{
    static struct link idle[IDLE];
    struct weir_handle handle;
    int turns = 0;

    start_flood(idle, IDLE);

    expect_eq(weir_loop_call_later(loop, 2 * MS, look, NULL, &handle), 0);
    expect_eq(weir_loop_call_soon(loop, hold_up, NULL, &handle), 0);
    for (; turns < 1000 && fired_ns == 0; turns++) {
        expect_eq(weir_loop_run_once(loop), 0);
    }

    expect_leq(turns, 70);
    stop_flood(IDLE);
}

static void arm_for_past(void *arg)
{
    struct weir_handle handle;

    expect_ok(
        weir_loop_call_at(loop, fake_now() - 5 * MS, look, NULL, &handle));
}

static int arm_at_bytes(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    if (received_links++ == 0) {
        arm_for_past(NULL);
    }
    return 0;
}

static CALLBACKS(arming_protocol, STREAM, .connection_made = made,
                 .data_received = arm_at_bytes, .connection_lost = lost);

/* Many connections, and a time in which no timer is armed. */
static void start_quiet(void)
{
    start(MACHINE(.send_size = 4096, .recv_size = 4096, .entered = send_more));
    open_all(open_socket, &no_limits);
    clock_run_for(loop, LIMIT_MS * MS);
}

/* After more time without a turn the second turn calls the timer, though there
 * is more to see. */
static void expect_in_second_turn(void)
{
    fake_spend(LIMIT_MS * MS);
    is_flood = true;
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_loop_run_once(loop), 0);
    }
    expect_eq(fired_ns, fake_now());
    stop_flood(0);
}

UNIT(held_up, a_timer_that_is_armed_for_the_past_is_not_late)
{
    struct weir_handle handle;
    start_flood(NULL, 0);
    expect_eq(weir_loop_run_once(loop), 0);

    expect_eq(weir_loop_call_at(loop, 1, look, NULL, &handle), 0);
    expect_eq(weir_loop_run_once(loop), 0);

    expect_eq(fired_ns, fake_now());
    stop_flood(0);
}

UNIT(held_up, a_timer_for_the_past_is_called_at_once_after_a_quiet_time)
{
    struct weir_handle handle;
    start_quiet();

    expect_ok(weir_loop_call_soon(loop, arm_for_past, NULL, &handle));

    expect_in_second_turn();
}

UNIT(held_up, a_timer_that_bytes_arm_for_the_past_is_called_at_once)
{
    start(MACHINE(.send_size = 4096, .recv_size = 4096, .entered = send_more));
    for (int i = 0; i < COUNT; i++) {
        struct weir_connect_options options = {.size = sizeof(options)};
        adopt(loop, &arming_protocol, &links[i], &options, &links[i].peer);
    }
    clock_run_for(loop, LIMIT_MS * MS);

    expect_in_second_turn();
}

UNIT(held_up, a_timer_for_the_past_of_before_a_run_is_called_at_once)
{
    start_quiet();
    fake_spend(LIMIT_MS * MS);

    arm_for_past(NULL);

    expect_in_second_turn();
}

static uint64_t later_ns; /* when a timer of a held turn was called */

static void note_later(void *arg)
{
    later_ns = later_ns ? later_ns : fake_now();
}

UNIT(held_up, a_timer_for_the_past_passes_those_that_wait)
{
    struct weir_handle handle;
    start_flood(NULL, 0);

    expect_ok(weir_loop_call_later(loop, 2 * MS, look, NULL, &handle));
    expect_ok(weir_loop_call_soon(loop, hold_up, NULL, &handle));
    expect_eq(weir_loop_run_once(loop), 0);
    expect_eq(weir_loop_run_once(loop), 0);
    expect_ok(weir_loop_call_at(loop, fake_now() - MS / 2, note_later, NULL,
                                &handle));
    fake_spend(MS);
    expect_eq(weir_loop_run_once(loop), 0);

    expect_eq(later_ns, fake_now());
    expect_eq(fired_ns, 0, "the late one waits");
    for (int i = 0; i < 100 && fired_ns == 0; i++) {
        expect_eq(weir_loop_run_once(loop), 0);
    }
    expect_gt(fired_ns, 0);
    stop_flood(0);
}

static void connected(void *arg, int err, weir_transport *t)
{
    struct link *link = arg;
    link->done_err = err;
}

static void hold_up_only(void *arg)
{
    fake_spend(HELD_MS * MS);
}

UNIT(held_up, connections_that_stand_are_made)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(80),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct weir_handle handle;
    start(MACHINE());
    struct fake_listener *listener =
        fake_listen((struct sockaddr *)&address, sizeof(address));
    fake_listener_set(listener, FAKE_ACCEPT, 10 * MS);

    for (int i = 0; i < COUNT; i++) {
        const struct weir_factory factory = bind_to(&protocol, &links[i]);
        struct weir_connect_options options = {.size = sizeof(options),
                                               .timeout_ns = LIMIT_MS * MS};
        links[i].done_err = 1;
        expect_ok(weir_create_connection(loop, &factory, "127.0.0.1", 80,
                                         &options, connected, &links[i], NULL));
    }
    expect_eq(weir_loop_run_once(loop), 0);
    expect_eq(weir_loop_call_soon(loop, hold_up_only, NULL, &handle), 0);
    clock_run_for(loop, (HELD_MS + 10) * MS);

    for (int i = 0; i < COUNT; i++) {
        expect_eq(links[i].done_err, 0, "connection %d", i);
        links[i].peer = fake_listener_accept(listener);
    }
    stop(COUNT);
}
