/*
 * What else runs in the iterations that send a large file to a fast peer.
 *
 * Between pieces the loop keeps signals blocked and the socket non-blocking.
 * The program must not notice: not in a callback, not in a condition, and not
 * after a run.
 */
#include "subject.h"
#include "tests/bind.h"
#include "uring/sys.h"

#include <weir/embed.h>
#include <weir/sendfile.h>

#define FILE_BYTES (64u << 20)
#define ROOM       (4u << 20)

static int file;
static int fd;
static struct fake_peer *second_peer;
static weir_transport *second;
static uint64_t seen_bytes;
static uint64_t second_bytes;
static uint64_t
    held_count; /* enters between two pieces, in which nothing ran */
static uint64_t calls;

static uint64_t take_all(struct fake_peer *from)
{
    static char buf[1u << 20];
    uint64_t all = 0;

    for (ssize_t got = 1; got > 0; all += got > 0 ? (uint64_t)got : 0) {
        got = fake_peer_read(from, buf, sizeof(buf));
    }
    return all;
}

/* The machine's hook of each enter; no callback of the loop. */
static void take(void *arg)
{
    held_count += fake_blocks_signals();
    if (peer) {
        seen_bytes += take_all(peer);
    }
    if (second_peer) {
        second_bytes += take_all(second_peer);
    }
    fake_spend(1000);
}

static int look_at_data(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    cr_assert(!fake_blocks_signals());
    calls++;
    return 0;
}

static void note_second(void *user, weir_transport *t)
{
    second = t;
}

static CALLBACKS(protocol, STREAM, .connection_made = note_made,
                 .data_received = look_at_data);
static CALLBACKS(second_protocol, STREAM, .connection_made = note_second,
                 .data_received = look_at_data);

static void open_both(void)
{
    peer = second_peer = NULL;
    fd = subject_open(
        &(struct fake_options){
            .seed = 1, .send_size = ROOM, .recv_size = ROOM, .entered = take},
        NULL, &protocol, NULL);
    adopt(loop, &second_protocol, NULL, NULL, &second_peer);
    file = fake_disk_open(FILE_BYTES, fill_file, NULL);
    clock_run_for(loop, MS);
    seen_bytes = second_bytes = held_count = calls = 0;
}

static void send_on(weir_transport *t)
{
    expect_ok(
        weir_transport_sendfile(t, file, 0, WEIR_TO_END, note_told, NULL));
}

static void stop_both(void)
{
    wr_sys_close(file);
    fake_peer_close(second_peer);
    second_peer = NULL;
    subject_stop(2);
}

static void look(void *arg)
{
    cr_assert(!fake_blocks_signals());
    calls++;
}

static bool has_ended(void *arg)
{
    look(arg);
    return told_count > 0;
}

static void stop_early(void *arg)
{
    expect_eq(told_count, 0);
    look(arg);
    weir_loop_stop(loop);
}

UNIT(file_turns, no_signal_is_blocked_in_a_timer_or_after_the_run)
{
    struct weir_handle handle;

    open_both();
    send_on(transport);
    expect_ok(weir_loop_call_later(loop, 20000, stop_early, NULL, &handle));
    expect_eq(weir_loop_run(loop), 0);
    expect_gt(held_count, 0);
    expect_eq(calls, 1);
    cr_assert(!fake_blocks_signals());

    expect_eq(weir_loop_run_until(loop, has_ended, NULL), 0);
    expect_told(0, FILE_BYTES);
    stop_both();
}

UNIT(file_turns, a_run_ends_before_a_file_whose_peer_keeps_up)
{
    struct weir_handle handle;

    open_both();
    send_on(transport);
    expect_ok(weir_loop_call_later(loop, 20000, stop_early, NULL, &handle));
    expect_eq(weir_loop_run(loop), 0);
    expect_lt(seen_bytes, FILE_BYTES);
    expect_eq(told_count, 0);

    expect_eq(weir_loop_run_until(loop, has_ended, NULL), 0);
    expect_told(0, FILE_BYTES);
    stop_both();
}

UNIT(file_turns, no_signal_is_blocked_in_a_condition)
{
    open_both();
    send_on(transport);
    expect_eq(weir_loop_run_until(loop, has_ended, NULL), 0);
    expect_gt(calls, 10);
    expect_told(0, FILE_BYTES);
    stop_both();
}

static void write_to_both(void *arg)
{
    expect_eq(fake_peer_write(peer, "x", 1), 1);
    expect_eq(fake_peer_write(second_peer, "x", 1), 1);
}

UNIT(file_turns, no_signal_is_blocked_while_connections_receive)
{
    struct weir_handle handle;

    open_both();
    send_on(transport);
    fake_at(fake_now() + 10000, write_to_both, NULL);
    expect_ok(weir_loop_call_later(loop, 20000, stop_early, NULL, &handle));
    expect_eq(weir_loop_run(loop), 0);
    expect_gt(held_count, 0);
    expect_eq(calls, 3);

    expect_eq(weir_loop_run_until(loop, has_ended, NULL), 0);
    stop_both();
}

UNIT(file_turns, the_host_sees_the_socket_as_it_was)
{
    open_both();
    send_on(transport);
    for (int i = 0; i < 1000 && told_count == 0; i++) {
        expect_eq(weir_loop_run_once(loop), 0);
        cr_assert(!fake_is_nonblocking(fd));
        cr_assert(!fake_blocks_signals());
    }
    expect_told(0, FILE_BYTES);
    stop_both();
}

static struct weir_handle again;

/* Bytes end the receives of both while they are paused, so that new ones are
 * armed in a later turn. */
static void stop_and_go(void *arg)
{
    static unsigned int step;

    if (told_count == 2) {
        return;
    }
    step++;
    if (step % 12 == 0) {
        weir_transport_pause_reading(transport);
        weir_transport_pause_reading(second);
        write_to_both(NULL);
    } else if (step % 12 == 8) {
        expect_eq(weir_transport_resume_reading(transport), 0);
        expect_eq(weir_transport_resume_reading(second), 0);
    }
    expect_ok(weir_loop_call_soon(loop, stop_and_go, NULL, &again));
}

static bool have_ended(void *arg)
{
    return told_count == 2;
}

/* The turn's budget is enough for a piece of one of them. The socket of the
 * other is still non-blocking, and must not be when its receive is
 * submitted. */
UNIT(file_turns, receives_are_armed_while_two_files_are_sent)
{
    open_both();
    send_on(transport);
    send_on(second);
    stop_and_go(NULL);
    expect_eq(weir_loop_run_until(loop, have_ended, NULL), 0);

    expect_gt(calls, 8);
    expect_eq(fake_stats()->receives_refused, 0);
    stop_both();
}

static uint64_t second_bytes_then;

static bool has_first_ended(void *arg)
{
    second_bytes_then = second_bytes;
    return told_count > 0;
}

/* Each has a piece of every second turn, however fast its peer is. */
UNIT(file_turns, two_files_are_sent_side_by_side)
{
    open_both();
    send_on(transport);
    send_on(second);
    expect_eq(weir_loop_run_until(loop, has_first_ended, NULL), 0);

    expect_geq(second_bytes_then, FILE_BYTES / 2);
    expect_eq(weir_loop_run_until(loop, have_ended, NULL), 0);
    stop_both();
}

/* The signal that the kernel raises with -EPIPE is removed; the machine fails
 * where it is not. */
UNIT(file_turns, the_signal_of_a_broken_socket_is_removed)
{
    open_both();
    send_on(transport);
    weir_transport_pause_reading(transport);
    fake_peer_close(peer);
    peer = NULL;
    expect_eq(weir_loop_run_until(loop, has_ended, NULL), 0);
    expect_lt(told_err, 0);
    peer = second_peer;
    second_peer = NULL;
    wr_sys_close(file);
    subject_stop(2);
}
