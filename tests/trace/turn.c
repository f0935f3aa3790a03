/*
 * Iterations of the loop, recorded as text.
 *
 * Each test is a complete run on the fake machine. Its text is compared with
 * the expected one: submissions, completions, the time, and what callbacks saw.
 * loop.h promises the order within an iteration, and these tests check it.
 */
#define UNIT_RUN with_loop

#include "adopt.h"
#include "tests/bind.h"
#include "tests/statistics.h"
#include "uring/pool.h"

#include <weir/loop.h>

#define MS 1000000u

static weir_loop *loop;
static weir_transport *transport;
static struct fake_peer *peer;
static bool adds_on_data; /* data_received adds a callback */

static void start(const struct fake_options *options)
{
    struct fake_options machine = *options;
    machine.trace = true;
    fake_start(&machine);
    expect_eq(weir_loop_new(NULL, &loop), 0);
}

static void stop(void)
{
    expect_geq(weir_loop_free(loop), 0);
    fake_stop();
}

/* Compares everything since the last comparison, line by line. */
static void expect(const char *expected)
{
    expect_str_eq(fake_text(), expected, "this happened:\n%s", fake_text());
    fake_text_clear();
}

static void run_for(uint64_t duration_ns)
{
    struct weir_handle handle;
    expect_ok(weir_loop_call_later(
        loop, duration_ns, (weir_callback_fn *)weir_loop_stop, loop, &handle));
    expect_eq(weir_loop_run(loop), 0);
}

static void connection_made(void *user, weir_transport *t)
{
    transport = t;
    fake_trace("made");
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    transport = NULL;
    fake_trace("lost %d", err);
}

static void pause_writing(void *user, weir_transport *t)
{
    fake_trace("pause at %llu",
               (unsigned long long)weir_transport_get_write_buffer_size(t));
}

static void resume_writing(void *user, weir_transport *t)
{
    fake_trace("resume at %llu",
               (unsigned long long)weir_transport_get_write_buffer_size(t));
}

static void say(void *arg)
{
    fake_trace("%s", (const char *)arg);
}

static void *words(const char *text)
{
    return (void *)(uintptr_t)text;
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    fake_trace("data %zu", buf->len);
    if (adds_on_data) {
        expect_ok(
            weir_loop_call_soon(loop, say, words("made ready by it"), NULL));
    }
    return weir_transport_write(t, buf->data, buf->len);
}

static int eof_received(void *user, weir_transport *t)
{
    fake_trace("eof");
    return 0;
}

static CALLBACKS(protocol, STREAM, .connection_made = connection_made,
                 .connection_lost = connection_lost,
                 .pause_writing = pause_writing,
                 .resume_writing = resume_writing,
                 .data_received = data_received, .eof_received = eof_received);

static bool is_made(void *arg)
{
    return transport != NULL;
}

/* Adopts a connected descriptor, so that no accept stands in the text. */
static void connect_peer(void)
{
    adopt(loop, &protocol, NULL, NULL, &peer);
    expect_eq(weir_loop_run_until(loop, is_made, NULL), 0);
    run_for(MS);
    fake_text_clear();
}

static void say_and_add(void *arg)
{
    fake_trace("first");
    expect_eq(weir_loop_call_soon(loop, say, words("third"), NULL), 0);
}

static void stop_loop(void *arg)
{
    weir_loop_stop(loop);
}

static void with_loop(void (*body)(void))
{
    start(&(struct fake_options){.seed = 1});
    body();
    stop();
}

UNIT(turn, callbacks_of_ready_callbacks_run_in_the_next_turn)
{
    expect_eq(weir_loop_call_soon(loop, say_and_add, NULL, NULL), 0);
    expect_eq(weir_loop_call_soon(loop, say, words("second"), NULL), 0);
    expect_eq(weir_loop_call_soon(loop, stop_loop, NULL, NULL), 0);

    expect_eq(weir_loop_run(loop), 0);
    fake_trace("---");
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);

    expect("enter want=0\n"
           "first\n"
           "second\n"
           "enter want=0\n"
           "---\n"
           "enter want=0\n"
           "third\n"
           "enter want=0\n");
}

static void timer_adds(void *arg)
{
    fake_trace("timer");
    expect_ok(weir_loop_call_soon(loop, say, words("made ready by it"), NULL));
    expect_eq(weir_loop_call_soon(loop, stop_loop, NULL, NULL), 0);
}

UNIT(turn, callbacks_of_timers_run_in_the_same_turn)
{
    expect_eq(weir_loop_call_later(loop, MS, timer_adds, NULL, NULL), 0);
    expect_eq(weir_loop_call_later(loop, MS, say, words("timer too"), NULL), 0);

    expect_eq(weir_loop_run(loop), 0);

    expect("enter want=1\n"
           "time +1000 us\n"
           "timer\n"
           "timer too\n"
           "made ready by it\n"
           "enter want=0\n");
}

UNIT(turn, callbacks_of_completions_run_in_the_same_turn)
{
    connect_peer();
    adds_on_data = true;
    expect_eq(fake_peer_write(peer, "hello", 5), 5);

    run_for(MS);

    expect("enter want=1\n"
           "  recv fd=1001 = 5\n"
           "data 5\n"
           "made ready by it\n"
           "enter want=1\n"
           "submit recv fd=1001 len=262144 credit=262144\n"
           "submit send fd=1001 vectors=1 bytes=5\n"
           "  send fd=1001 = 5\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");
    fake_peer_close(peer);
}

UNIT(turn, stop_before_run_makes_one_turn_without_waiting)
{
    expect_eq(weir_loop_call_later(loop, MS, say, words("too late"), NULL), 0);
    expect_eq(weir_loop_call_soon(loop, say, words("once"), NULL), 0);
    weir_loop_stop(loop);

    expect_eq(weir_loop_run(loop), 0);

    expect("enter want=0\n"
           "once\n"
           "enter want=0\n");
}

UNIT(turn, echo_and_end_of_stream)
{
    connect_peer();
    const struct weir_loop_statistics before = statistics_of(loop);
    expect_eq(fake_peer_write(peer, "hello", 5), 5);
    run_for(MS);
    expect("enter want=1\n"
           "  recv fd=1001 = 5\n"
           "data 5\n"
           "enter want=1\n"
           "submit recv fd=1001 len=262144 credit=262144\n"
           "submit send fd=1001 vectors=1 bytes=5\n"
           "  send fd=1001 = 5\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");
    const struct weir_loop_statistics after = statistics_of(loop);
    expect_eq(after.turns - before.turns, 3);
    expect_eq(after.enters - before.enters, 4);
    expect_eq(after.submitted - before.submitted, 2);
    expect_eq(after.completions - before.completions, 2);
    expect_eq(after.ops_in_flight, 2,
              "the receive and the read of the wake-up");
    expect_eq(after.buffers_posted, 8);
    expect_eq(after.pool_bytes, 8 * WR_POOL_INC_SIZE);
#ifndef WR_GUARD /* there buffers do not come from the allocator */
    expect_gt(after.memory_bytes, after.pool_bytes);
#endif

    fake_peer_shutdown(peer);
    run_for(MS);
    expect("enter want=1\n"
           "  recv fd=1001 = 0\n"
           "eof\n"
           "lost 0\n"
           "enter want=1\n"
           "submit close fd=1001\n"
           "time +1000 us\n"
           "enter want=0\n");

    char in[8];
    expect_eq(fake_peer_read(peer, in, sizeof(in)), 5);
    expect_eq(fake_peer_read(peer, in, sizeof(in)), 0);
    fake_peer_close(peer);
}

UNIT_IN(turn, echo_on_a_kernel_without_any_new_feature, unit_alone, void)
{
    start(&(struct fake_options){.missing = UINT32_MAX});
    connect_peer();
    for (int i = 0; i < 2; i++) {
        expect_eq(fake_peer_write(peer, "hello", 5), 5);
        run_for(MS);
    }

    expect("enter want=1\n"
           "  recv fd=1001 = 5\n"
           "data 5\n"
           "enter want=1\n"
           "submit recv fd=1001 len=16384 credit=0\n"
           "submit send fd=1001 vectors=1 bytes=5\n"
           "  send fd=1001 = 5\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n"
           "enter want=1\n"
           "  recv fd=1001 = 5\n"
           "data 5\n"
           "enter want=1\n"
           "submit recv fd=1001 len=16384 credit=0\n"
           "submit send fd=1001 vectors=1 bytes=5\n"
           "  send fd=1001 = 5\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");
    fake_peer_close(peer);
    stop();
}

UNIT(turn, hundred_small_writes_leave_as_one_send)
{
    connect_peer();
    for (int i = 0; i < 100; i++) {
        expect_eq(weir_transport_write(transport, "0123456789", 10), 0);
    }

    run_for(MS);

    expect("enter want=0\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=1 bytes=1000\n"
           "  send fd=1001 = 1000\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");
    fake_peer_close(peer);
}

UNIT(turn, bytes_written_when_the_loop_stops_are_submitted_before_it_returns)
{
    char in[8];
    connect_peer();
    weir_transport_write(transport, "bye", 3);
    weir_loop_stop(loop);

    expect_eq(weir_loop_run(loop), 0);

    expect("enter want=0\n"
           "enter want=0\n"
           "submit send fd=1001 vectors=1 bytes=3\n"
           "  send fd=1001 = 3\n");
    expect_eq(fake_peer_read(peer, in, sizeof(in)), 3);
    fake_peer_close(peer);
}

static void write_more_than_fits(void)
{
    static const uint8_t zeros[150000];
    start(&(struct fake_options){.send_size = 40000, .recv_size = 20000});
    connect_peer();
    expect_eq(weir_transport_write(transport, zeros, sizeof(zeros)), 0);
    run_for(MS);
    expect("pause at 150000\n"
           "enter want=0\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=3 bytes=150000\n"
           "  send fd=1001 = 60000\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=3 bytes=90000\n"
           "  send fd=1001 = -11\n"
           "enter want=1\n"
           "submit poll fd=1001 events=0x4\n"
           "time +1000 us\n"
           "enter want=0\n");
}

/* Each wait for room is a send in vain and a poll. */
UNIT_IN(turn, writing_resumes_when_completions_have_brought_the_depth_down,
        unit_alone, void)
{
    static uint8_t in[200000];
    write_more_than_fits();

    for (int i = 0; i < 4; i++) {
        expect_gt(fake_peer_read(peer, in, sizeof(in)), 0);
        run_for(MS);
    }
    expect("enter want=1\n"
           "  poll fd=1001 = 4\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=3 bytes=90000\n"
           "  send fd=1001 = 20000\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=2 bytes=70000\n"
           "  send fd=1001 = -11\n"
           "enter want=1\n"
           "submit poll fd=1001 events=0x4\n"
           "time +1000 us\n"
           "enter want=0\n"
           "enter want=1\n"
           "  poll fd=1001 = 4\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=2 bytes=70000\n"
           "  send fd=1001 = 20000\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=2 bytes=50000\n"
           "  send fd=1001 = -11\n"
           "enter want=1\n"
           "submit poll fd=1001 events=0x4\n"
           "time +1000 us\n"
           "enter want=0\n"
           "enter want=1\n"
           "  poll fd=1001 = 4\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=2 bytes=50000\n"
           "  send fd=1001 = 20000\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=2 bytes=30000\n"
           "  send fd=1001 = -11\n"
           "enter want=1\n"
           "submit poll fd=1001 events=0x4\n"
           "time +1000 us\n"
           "enter want=0\n"
           "enter want=1\n"
           "  poll fd=1001 = 4\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=2 bytes=30000\n"
           "  send fd=1001 = 20000\n"
           "resume at 10000\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=1 bytes=10000\n"
           "  send fd=1001 = -11\n"
           "enter want=1\n"
           "submit poll fd=1001 events=0x4\n"
           "time +1000 us\n"
           "enter want=0\n");

    fake_peer_close(peer);
    stop();
}

/* The poll tells the peer's FIN, too, and a single one would do so for ever. */
UNIT_IN(turn, after_the_peers_fin_a_send_waits_with_a_poll_that_tells_changes,
        unit_alone, void)
{
    static uint8_t zeros[100000];
    start(&(struct fake_options){.send_size = 40000, .recv_size = 20000});
    connect_peer();
    weir_transport_pause_reading(transport);
    fake_peer_shutdown(peer);
    expect_eq(weir_transport_write(transport, zeros, 70000), 0);
    run_for(MS);
    fake_text_clear();

    run_for(MS);
    expect("enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");

    expect_eq(fake_peer_read(peer, zeros, sizeof(zeros)), 20000);
    run_for(MS);
    expect("enter want=1\n"
           "  poll fd=1001 = 0x2004, more to come\n"
           "enter want=1\n"
           "submit cancel of poll fd=1001\n"
           "  poll fd=1001 = -125\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=2 bytes=10000\n"
           "  send fd=1001 = 10000\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");

    fake_peer_close(peer);
    stop();
}

UNIT(turn, a_cancelled_receive_keeps_what_came_while_paused)
{
    connect_peer();
    weir_transport_pause_reading(transport);
    expect_eq(fake_peer_write(peer, "one", 3), 3);
    run_for(MS);
    expect_eq(fake_peer_write(peer, "two", 3), 3);
    run_for(MS);
    expect("enter want=0\n"
           "  recv fd=1001 = 3\n"
           "enter want=1\n"
           "submit poll fd=1001 events=0\n"
           "time +1000 us\n"
           "enter want=0\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");

    weir_transport_resume_reading(transport);
    run_for(MS);
    expect("enter want=0\n"
           "data 3\n"
           "enter want=1\n"
           "submit recv fd=1001 len=262144 credit=262144\n"
           "  recv fd=1001 = 3, more to come\n"
           "submit send fd=1001 vectors=1 bytes=3\n"
           "  send fd=1001 = 3\n"
           "data 3\n"
           "enter want=1\n"
           "submit send fd=1001 vectors=1 bytes=3\n"
           "  send fd=1001 = 3\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");

    fake_peer_close(peer);
}

UNIT(turn, reset_is_noticed_while_paused)
{
    connect_peer();
    weir_transport_pause_reading(transport);
    run_for(MS);
    expect("enter want=0\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");

    fake_peer_reset(peer);
    run_for(MS);
    expect("enter want=1\n"
           "  recv fd=1001 = -104\n"
           "lost -104\n"
           "enter want=1\n"
           "submit close fd=1001\n"
           "time +1000 us\n"
           "enter want=0\n");

    fake_peer_close(peer);
}

UNIT(turn, a_post_wakes_the_loop_once)
{
    run_for(MS);
    fake_text_clear();
    for (int i = 0; i < 3; i++) {
        expect_ok(
            weir_loop_call_soon_threadsafe(loop, say, words("post"), NULL));
    }

    run_for(MS);

    expect("enter want=1\n"
           "  read fd=1000 = 8\n"
           "post\n"
           "post\n"
           "post\n"
           "enter want=1\n"
           "time +1000 us\n"
           "enter want=0\n");
}
