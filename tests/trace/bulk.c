/*
 * Connections with bulk transfers on the fake machine: what makes the loop
 * receive from them in each iteration, what an iteration does for them and for
 * other connections, and how they return to armed receives.
 */
#define UNIT_RUN stopping
#include "adopt.h"
#include "clock.h"
#include "tests/bind.h"
#include "tests/marks.h"
#include "uring/feature.h"

#include <weir/inspect.h>

#define MS  UINT64_C(1000000)
#define KIB 1024u
#define MIB (1024u * KIB)

struct conn {
    weir_transport *t;
    struct fake_peer *peer;
    int fd;
    uint64_t received;
    uint32_t calls; /* of data_received */
    int error;
    bool is_lost;
    bool has_eof;
    /* To be done in the next data_received. */
    void (*then)(struct conn *c, const struct weir_buf *buf);
};

static weir_loop *loop;
static struct conn conns[3];
static bool echoes;

static void made(void *user, weir_transport *t)
{
    ((struct conn *)user)->t = t;
    expect_eq(set_marks(t, 8 * MIB, WEIR_DEFAULT), 0);
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *c = user;
    c->received += buf->len;
    c->calls++;
    if (c->then) {
        void (*then)(struct conn *, const struct weir_buf *) = c->then;
        c->then = NULL;
        then(c, buf);
    } else if (echoes) {
        return weir_transport_write_buf(t, buf);
    }
    return 0;
}

static int eof_received(void *user, weir_transport *t)
{
    ((struct conn *)user)->has_eof = true;
    return 1;
}

static void lost(void *user, weir_transport *t, int err)
{
    struct conn *c = user;
    c->error = err;
    c->is_lost = true;
}

static CALLBACKS(protocol, STREAM, .connection_made = made,
                 .data_received = data_received, .eof_received = eof_received,
                 .connection_lost = lost);

static void run_for(uint64_t time_ns)
{
    clock_run_for(loop, time_ns);
}

static void start_on(const struct fake_options *options, int count)
{
    fake_start(options);
    memset(conns, 0, sizeof(conns));
    echoes = false;
    expect_eq(weir_loop_new(NULL, &loop), 0);
    for (int i = 0; i < count; i++) {
        conns[i].fd = adopt(loop, &protocol, &conns[i], NULL, &conns[i].peer);
    }
    run_for(MS);
    fake_text_clear();
}

static void start(int count)
{
    start_on(
        &(struct fake_options){
            .seed = 1, .recv_size = 2 * MIB, .send_size = MIB, .trace = true},
        count);
}

static void stop(void)
{
    int alive = 0;
    for (size_t i = 0; i < sizeof(conns) / sizeof(conns[0]); i++) {
        alive += conns[i].t && !conns[i].is_lost;
    }
    expect_eq(weir_loop_free(loop), alive);
    for (size_t i = 0; i < sizeof(conns) / sizeof(conns[0]); i++) {
        if (conns[i].peer) {
            fake_peer_close(conns[i].peer);
        }
    }
    fake_stop();
}

static void peer_writes(struct conn *c, size_t len)
{
    static uint8_t bytes[MIB];
    cr_assert_leq(len, sizeof(bytes));
    expect_eq(fake_peer_write(c->peer, bytes, len), (ssize_t)len);
}

static void peer_reads_all(struct conn *c)
{
    static uint8_t bytes[MIB];
    while (fake_peer_read(c->peer, bytes, sizeof(bytes)) > 0) {
    }
}

/* The receive of the connection ends with many bytes: it is polled from now. */
static void make_bulk(struct conn *c)
{
    peer_writes(c, 64 * KIB);
    run_for(MS);
    expect_eq(c->received, 64 * KIB);
    peer_reads_all(c);
    fake_text_clear();
}

/* The first of @count moves bulk. */
static void start_bulk(int count)
{
    start(count);
    make_bulk(&conns[0]);
}

static void expect_trace(const char *expected)
{
    expect_str_eq(fake_text(), expected, "this happened:\n%s", fake_text());
    fake_text_clear();
}

static bool text_has(const char *words)
{
    return strstr(fake_text(), words) != NULL;
}

static void stopping(void (*body)(void))
{
    body();
    stop();
}

UNIT(bulk, many_bytes_at_once_are_the_sign_and_a_poll_and_a_receive_follow)
{
    start(1);
    echoes = true;
    peer_writes(&conns[0], 64 * KIB);
    run_for(MS);
    expect_trace("enter want=1\n"
                 "  recv fd=1001 = 65536\n"
                 "enter want=1\n"
                 "submit poll fd=1001 events=0x1\n"
                 "submit send fd=1001 vectors=1 bytes=65536\n"
                 "  send fd=1001 = 65536\n"
                 "enter want=1\n"
                 "time +1000 us\n"
                 "time +0 us\n"
                 "enter want=0\n");

    peer_writes(&conns[0], 300 * KIB);
    run_for(MS);

    expect_trace("enter want=1\n"
                 "  poll fd=1001 = 1\n"
                 "recv fd=1001 vectors=2 = 307200\n"
                 "enter want=1\n"
                 "submit poll fd=1001 events=0x1\n"
                 "submit send fd=1001 vectors=2 bytes=307200\n"
                 "  send fd=1001 = 307200\n"
                 "enter want=1\n"
                 "time +1000 us\n"
                 "time +0 us\n"
                 "enter want=0\n");
}

UNIT(bulk, half_of_what_a_connection_may_hold_is_a_sign)
{
    start(1);
    weir_transport_set_read_buffer_limit(conns[0].t, 64 * KIB);
    peer_writes(&conns[0], 32 * KIB - 1);
    run_for(MS);
    cr_assert_not(text_has("submit poll"));
    peer_writes(&conns[0], 32 * KIB);
    run_for(MS);
    cr_assert(text_has("submit poll fd=1001 events=0x1"));
}

UNIT(bulk, a_receive_that_left_bytes_is_followed_by_one_without_a_poll)
{
    start_bulk(1);
    weir_transport_set_read_buffer_limit(conns[0].t, 64 * KIB);
    peer_writes(&conns[0], 128 * KIB);
    run_for(MS);
    expect_trace("enter want=1\n"
                 "  poll fd=1001 = 1\n"
                 "recv fd=1001 vectors=1 = 65536\n"
                 "enter want=0\n"
                 "recv fd=1001 vectors=1 = 65536\n"
                 "enter want=1\n"
                 "submit poll fd=1001 events=0x1\n"
                 "time +1000 us\n"
                 "time +0 us\n"
                 "enter want=0\n");
    peer_writes(&conns[0], 100);
    run_for(MS);
    expect_eq(conns[0].received, 192 * KIB + 100);
    cr_assert(text_has("submit poll")); /* it still moves bulk */
}

/* The kernel is asked after the first message and after the seventeenth. */
UNIT(bulk, after_a_no_the_kernel_is_not_asked_for_fifteen_full_receives)
{
    start_bulk(1);
    weir_transport_set_read_buffer_limit(conns[0].t, 64 * KIB);
    const uint64_t looks = fake_stats()->looks;
    for (uint64_t i = 1; i <= 17; i++) {
        peer_writes(&conns[0], 64 * KIB);
        run_for(MS);
        expect_eq(conns[0].received, (i + 1) * 64 * KIB);
    }
    expect_eq(fake_stats()->looks - looks, 2);

    peer_writes(&conns[0], 128 * KIB);
    run_for(MS);
    expect_eq(conns[0].received, 20 * 64 * KIB, "bytes behind a no are told");
}

UNIT(bulk, some_small_receives_in_a_row_lead_back_to_an_armed_one)
{
    start_bulk(1);
    for (int i = 0; i < 7; i++) {
        peer_writes(&conns[0], 100);
        run_for(MS);
        cr_assert_not(text_has("submit recv"));
    }
    peer_writes(&conns[0], 16 * KIB); /* begins anew */
    run_for(MS);
    for (int i = 0; i < 8; i++) {
        cr_assert_not(text_has("submit recv"));
        peer_writes(&conns[0], 100);
        run_for(MS);
    }

    cr_assert(text_has("submit recv"));
    fake_text_clear();
    peer_writes(&conns[0], 100);
    run_for(MS);
    cr_assert_not(text_has("recv fd=1001 vectors"));
    expect_eq(conns[0].received, 80 * KIB + 1600);
}

UNIT(bulk, each_answer_leaves_before_the_next_one_receives)
{
    start_bulk(2);
    make_bulk(&conns[1]);
    peer_writes(&conns[0], 250 * KIB);
    peer_writes(&conns[1], 250 * KIB);
    echoes = true;
    fake_text_clear();
    run_for(MS);

    expect_trace("enter want=1\n"
                 "  poll fd=1001 = 1\n"
                 "  poll fd=1002 = 1\n"
                 "recv fd=1001 vectors=2 = 256000\n"
                 "enter want=0\n"
                 "submit poll fd=1001 events=0x1\n"
                 "submit send fd=1001 vectors=1 bytes=256000\n"
                 "  send fd=1001 = 256000\n"
                 "recv fd=1002 vectors=2 = 256000\n"
                 "enter want=1\n"
                 "submit poll fd=1002 events=0x1\n"
                 "submit send fd=1002 vectors=1 bytes=256000\n"
                 "  send fd=1002 = 256000\n"
                 "enter want=1\n"
                 "time +1000 us\n"
                 "time +0 us\n"
                 "enter want=0\n");
}

UNIT(bulk, who_moves_little_is_served_between_two_that_move_bulk)
{
    start_bulk(3);
    make_bulk(&conns[1]);
    peer_writes(&conns[0], 700 * KIB);
    peer_writes(&conns[1], 700 * KIB);
    echoes = true;
    peer_writes(&conns[2], 10);
    run_for(MS);

    expect_trace("enter want=1\n"
                 "  recv fd=1003 = 10\n"
                 "  poll fd=1001 = 1\n"
                 "  poll fd=1002 = 1\n"
                 "recv fd=1001 vectors=2 = 524288\n"
                 "enter want=0\n"
                 "submit recv fd=1003 len=262144 credit=262144\n"
                 "submit send fd=1003 vectors=1 bytes=10\n"
                 "  send fd=1003 = 10\n"
                 "submit send fd=1001 vectors=2 bytes=524288\n"
                 "  send fd=1001 = 524288\n"
                 "recv fd=1002 vectors=2 = 524288\n"
                 "enter want=0\n"
                 "submit send fd=1002 vectors=2 bytes=524288\n"
                 "  send fd=1002 = 524288\n"
                 "recv fd=1001 vectors=4 = 192512\n"
                 "enter want=0\n"
                 "submit poll fd=1001 events=0x1\n"
                 "submit send fd=1001 vectors=1 bytes=192512\n"
                 "  send fd=1001 = 192512\n"
                 "recv fd=1002 vectors=4 = 192512\n"
                 "enter want=1\n"
                 "submit poll fd=1002 events=0x1\n"
                 "submit send fd=1002 vectors=1 bytes=192512\n"
                 "  send fd=1002 = 192512\n"
                 "enter want=1\n"
                 "time +1000 us\n"
                 "time +0 us\n"
                 "enter want=0\n");
}

static void write_long(void *arg)
{
    static const uint8_t bytes[300 * KIB];
    for (int i = 0; i < 3; i++) {
        expect_eq(weir_transport_write(conns[i].t, bytes, sizeof(bytes)), 0);
    }
}

UNIT(bulk, long_sends_of_one_turn_leave_in_several)
{
    start(3);
    expect_eq(weir_loop_call_soon(loop, write_long, NULL, NULL), 0);
    run_for(MS);

    expect_trace("enter want=0\n"
                 "enter want=0\n"
                 "submit send fd=1001 vectors=5 bytes=307200\n"
                 "  send fd=1001 = 307200\n"
                 "enter want=0\n"
                 "submit send fd=1002 vectors=5 bytes=307200\n"
                 "  send fd=1002 = 307200\n"
                 "enter want=1\n"
                 "submit send fd=1003 vectors=5 bytes=307200\n"
                 "  send fd=1003 = 307200\n"
                 "enter want=1\n"
                 "time +1000 us\n"
                 "time +0 us\n"
                 "enter want=0\n");
}

static void write_long_and_stop(void *arg)
{
    write_long(arg);
    weir_loop_stop(loop);
}

UNIT(bulk, long_sends_are_all_submitted_before_a_run_returns)
{
    start(3);
    expect_eq(weir_loop_call_soon(loop, write_long_and_stop, NULL, NULL), 0);
    expect_eq(weir_loop_run(loop), 0);

    for (int i = 0; i < 3; i++) {
        expect_eq(fake_taken_bytes(conns[i].fd), 300 * KIB);
    }
}

static void pause_the_second(struct conn *c, const struct weir_buf *buf)
{
    expect_eq(weir_transport_pause_reading(conns[1].t), 0);
}

UNIT(bulk, one_that_pauses_while_it_is_due_does_not_receive)
{
    start_bulk(2);
    make_bulk(&conns[1]);
    peer_writes(&conns[0], 256 * KIB);
    peer_writes(&conns[1], 256 * KIB);
    conns[0].then = pause_the_second;
    run_for(MS);
    expect_eq(conns[0].received, 320 * KIB);
    expect_eq(conns[1].received, 64 * KIB);
    expect_eq(fake_waiting_bytes(conns[1].fd), 256 * KIB);

    expect_eq(weir_transport_resume_reading(conns[1].t), 0);
    run_for(MS);

    expect_eq(conns[1].received, 320 * KIB);
}

static void pause_it(struct conn *c, const struct weir_buf *buf)
{
    expect_eq(weir_transport_pause_reading(c->t), 0);
}

static void close_it(struct conn *c, const struct weir_buf *buf)
{
    weir_transport_close(c->t);
}

/* Receives that fill several buffers, of which @then sees the first. */
static void receive_several(void (*then)(struct conn *,
                                         const struct weir_buf *))
{
    start_bulk(1);
    for (int i = 0; i < 4; i++) { /* the credit grows */
        peer_writes(&conns[0], MIB);
        run_for(MS);
    }
    const uint32_t calls = conns[0].calls;
    peer_writes(&conns[0], MIB);
    conns[0].then = then;
    run_for(MS);
    expect_eq(conns[0].calls, calls + 1);
}

UNIT(bulk, bytes_after_a_pause_are_kept_for_the_resumption)
{
    receive_several(pause_it);
    expect_eq(weir_transport_get_read_buffer_size(conns[0].t), 768 * KIB);

    expect_eq(weir_transport_resume_reading(conns[0].t), 0);
    run_for(MS);

    expect_eq(conns[0].received, 64 * KIB + 5 * MIB);
}

UNIT(bulk, bytes_after_a_close_are_dropped)
{
    receive_several(close_it);
    cr_assert(conns[0].is_lost);
    expect_eq(conns[0].error, 0);
}

UNIT(bulk, the_end_of_the_stream_comes_after_the_last_byte)
{
    start_bulk(1);
    peer_writes(&conns[0], 300 * KIB);
    fake_peer_shutdown(conns[0].peer);
    run_for(MS);

    expect_eq(conns[0].received, 364 * KIB);
    cr_assert(conns[0].has_eof);
    cr_assert_not(conns[0].is_lost);
}

static weir_lease *kept[64];
static int kept_count;

static void keep_all(struct conn *c, const struct weir_buf *buf)
{
    struct weir_buf own = *buf;
    cr_assert_lt(kept_count, 64);
    expect_eq(weir_buf_ref(&own), 0);
    kept[kept_count++] = own.lease;
    c->then = keep_all;
}

UNIT(bulk, without_credit_it_waits_and_costs_no_turns)
{
    struct weir_loop_statistics before = {.size = sizeof(before)};
    struct weir_loop_statistics after = {.size = sizeof(after)};
    start_bulk(1);
    conns[0].then = keep_all;
    for (int i = 0; i < 3; i++) {
        peer_writes(&conns[0], 400 * KIB);
        run_for(MS);
    }
    cr_assert_leq(weir_transport_get_read_buffer_size(conns[0].t), MIB);
    cr_assert_gt(fake_waiting_bytes(conns[0].fd), 0);
    expect_eq(weir_loop_get_statistics(loop, &before), 0);
    run_for(1000 * MS);
    expect_eq(weir_loop_get_statistics(loop, &after), 0);
    expect_leq(after.turns - before.turns, 3);

    while (kept_count > 0) {
        conns[0].then = NULL;
        weir_buf_unref(kept[--kept_count]);
    }
    run_for(MS);
    expect_eq(conns[0].received, 64 * KIB + 1200 * KIB);
}

static void limit_time(struct conn *c, uint64_t read_ns, uint64_t stall_ns)
{
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .read_ns = read_ns,
                                         .idle_ns = read_ns,
                                         .write_stall_ns = stall_ns};
    expect_eq(weir_transport_set_timeouts(c->t, &limits), 0);
}

static void take_long(struct conn *c, const struct weir_buf *buf)
{
    fake_spend(30 * MS);
    c->then = take_long;
}

static bool have_all(void *arg)
{
    for (int i = 0; i < 2; i++) {
        if (conns[i].received < 64 * KIB + MIB && !conns[i].is_lost) {
            return false;
        }
    }
    return true;
}

UNIT(bulk, time_in_the_queue_of_the_due_is_not_the_peers)
{
    start(2);
    for (int i = 0; i < 2; i++) {
        make_bulk(&conns[i]);
        limit_time(&conns[i], 10 * MS, 0);
        conns[i].then = take_long;
    }
    for (int i = 0; i < 2; i++) {
        peer_writes(&conns[i], MIB);
    }
    expect_eq(weir_loop_run_until(loop, have_all, NULL), 0);

    for (int i = 0; i < 2; i++) {
        expect_eq(conns[i].received, 64 * KIB + MIB);
        cr_assert_not(conns[i].is_lost);
    }
    run_for(100 * MS);
    for (int i = 0; i < 2; i++) {
        cr_assert(conns[i].is_lost);
        expect_eq(conns[i].error, WEIR_EREADTIMEOUT);
    }
}

static int slow_turns;

static void make_turns_slow(void *arg)
{
    fake_spend(30 * MS);
    if (--slow_turns > 0) {
        expect_eq(weir_loop_call_soon(loop, make_turns_slow, arg, NULL), 0);
    }
}

UNIT(bulk, time_before_a_postponed_send_is_not_the_peers)
{
    start(3);
    for (int i = 0; i < 3; i++) {
        limit_time(&conns[i], 0, 10 * MS);
    }
    slow_turns = 10;
    expect_eq(weir_loop_call_soon(loop, write_long, NULL, NULL), 0);
    expect_eq(weir_loop_call_soon(loop, make_turns_slow, NULL, NULL), 0);
    run_for(400 * MS);

    for (int i = 0; i < 3; i++) {
        cr_assert_not(conns[i].is_lost);
        expect_eq(fake_taken_bytes(conns[i].fd), 300 * KIB);
    }
}

UNIT(bulk, a_poll_that_was_wrong_leads_back_to_an_armed_receive)
{
    start_bulk(1);
    fake_set_fault(FAKE_VAIN_POLL, 1000);
    peer_writes(&conns[0], 100 * KIB);
    run_for(MS);

    expect_eq(conns[0].received, 164 * KIB);
    cr_assert(text_has("recv fd=1001 vectors=0 = -11"));
    cr_assert(text_has("submit recv"));
}
