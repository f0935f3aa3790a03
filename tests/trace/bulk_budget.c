/*
 * Connections with bulk transfers and the budget of the loop, on the fake
 * machine: their place in the queue, what counts against their window, and how
 * often the kernel is queried for more.
 */
#include "adopt.h"
#include "clock.h"
#include "tests/bind.h"
#include "tests/marks.h"

#define MS  UINT64_C(1000000)
#define KIB 1024u
#define MIB (1024u * KIB)

struct conn {
    weir_transport *t;
    struct fake_peer *peer;
    uint64_t received;
    /* To be done in each data_received. */
    void (*then)(const struct weir_buf *buf);
};

static weir_loop *loop;
static struct conn conns[2];

static void made(void *user, weir_transport *t)
{
    ((struct conn *)user)->t = t;
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *c = user;

    c->received += buf->len;
    if (c->then) {
        c->then(buf);
    }
    return 0;
}

static CALLBACKS(protocol, STREAM, .connection_made = made,
                 .data_received = data_received);

static void peer_writes(struct conn *c, size_t len)
{
    static uint8_t bytes[MIB];

    cr_assert_leq(len, sizeof(bytes));
    expect_eq(fake_peer_write(c->peer, bytes, len), (ssize_t)len);
}

static void open_both(void)
{
    fake_start(&(struct fake_options){
        .seed = 1, .recv_size = 2 * MIB, .send_size = MIB, .trace = true});
    memset(conns, 0, sizeof(conns));
    expect_eq(weir_loop_new(NULL, &loop), 0);
    for (int i = 0; i < 2; i++) {
        adopt(loop, &protocol, &conns[i], NULL, &conns[i].peer);
        clock_run_for(loop, MS);
    }
}

/* Both connections are polled for bytes at the end: they move bulk. */
static void start(void)
{
    open_both();
    for (int i = 0; i < 2; i++) {
        peer_writes(&conns[i], 64 * KIB);
        clock_run_for(loop, MS);
        expect_eq(conns[i].received, 64 * KIB);
    }
    fake_text_clear();
}

static void stop(void)
{
    expect_eq(weir_loop_free(loop), 2);
    fake_peer_close(conns[0].peer);
    fake_peer_close(conns[1].peer);
    fake_stop();
}

UNIT(bulk_budget, more_than_half_of_what_a_connection_may_hold_is_a_sign_too)
{
    open_both();
    weir_transport_set_read_buffer_limit(conns[0].t, 64 * KIB);
    peer_writes(&conns[0], 33 * KIB);
    clock_run_for(loop, MS);
    cr_assert(strstr(fake_text(), "submit poll fd=1001 events=0x1"));
    stop();
}

static void switch_the_second(const struct weir_buf *buf)
{
    const struct weir_protocol_binding again = {.protocol = &protocol,
                                                .user = &conns[1]};
    expect_eq(weir_transport_set_protocol(conns[1].t, &again, NULL, 0), 0);
}

UNIT(bulk_budget, one_that_is_switched_while_it_is_due_keeps_its_place)
{
    start();
    const uint64_t polls = fake_stats()->polls;
    peer_writes(&conns[0], 256 * KIB);
    peer_writes(&conns[1], 256 * KIB);
    conns[0].then = switch_the_second;

    clock_run_for(loop, MS);

    expect_eq(conns[1].received, 320 * KIB);
    expect_eq(fake_stats()->polls - polls, 2, "one after each receive");
    stop();
}

static void pause_the_second(const struct weir_buf *buf)
{
    expect_eq(weir_transport_pause_reading(conns[1].t), 0);
}

UNIT(bulk_budget, one_that_is_paused_while_it_is_due_notices_a_reset)
{
    start();
    peer_writes(&conns[0], 256 * KIB);
    peer_writes(&conns[1], 256 * KIB);
    conns[0].then = pause_the_second;
    clock_run_for(loop, MS);
    expect_eq(conns[1].received, 64 * KIB);

    fake_peer_reset(conns[1].peer);
    clock_run_for(loop, MS);

    cr_assert(weir_transport_is_closing(conns[1].t));
    stop();
}

static const uint8_t referred[300 * KIB];

static void write_by_reference(void *arg)
{
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_transport_write_ref(conns[i].t, referred,
                                           sizeof(referred), NULL, NULL),
                  0);
    }
}

UNIT(bulk_budget, long_sends_of_one_piece_leave_in_several_turns_too)
{
    start();
    for (int i = 0; i < 2; i++) {
        expect_eq(set_marks(conns[i].t, MIB, WEIR_DEFAULT), 0);
    }
    expect_eq(weir_loop_call_soon(loop, write_by_reference, NULL, NULL), 0);

    clock_run_for(loop, MS);

    const char *first = strstr(fake_text(), "submit send fd=1001");
    const char *second = strstr(fake_text(), "submit send fd=1002");
    cr_assert(first && second, "%s", fake_text());
    const char *turn = strstr(first < second ? first : second, "enter");
    cr_assert(turn < (first < second ? second : first), "%s", fake_text());
    stop();
}

static weir_lease *kept[64];
static int kept_count;

static void keep(const struct weir_buf *buf)
{
    struct weir_buf own = *buf;

    cr_assert_lt(kept_count, 64);
    expect_eq(weir_buf_ref(&own), 0);
    kept[kept_count++] = own.lease;
}

/* What it holds when a poll finds no credit halves its window, and to give that
 * back later does not double it. */
UNIT(bulk_budget, a_poll_without_credit_counts_against_the_window)
{
    start();
    struct conn *c = &conns[0];
    expect_eq(weir_transport_set_read_buffer_limit(c->t, 1056 * KIB), 0);
    c->then = keep;
    for (int i = 0; i < 3; i++) {
        peer_writes(c, 400 * KIB);
        clock_run_for(loop, MS);
    }
    expect_eq(weir_transport_get_read_buffer_size(c->t), 1056 * KIB);
    peer_writes(c, MIB);
    fake_text_clear();

    c->then = NULL;
    while (kept_count > 0) {
        weir_buf_unref(kept[--kept_count]);
    }
    clock_run_for(loop, MS);

    cr_assert_not_null(strstr(fake_text(), " = 524288\n"), "it received:\n%s",
                       fake_text());
    cr_assert_null(strstr(fake_text(), " = 1048576\n"),
                   "its window has doubled");
    stop();
}

/* It is asked after the first three of twenty full receives, and after fifteen
 * more. The last one is followed by a receive that finds nothing. */
UNIT(bulk_budget,
     after_three_times_yes_the_kernel_is_not_asked_until_it_is_wrong)
{
    start();
    weir_transport_set_read_buffer_limit(conns[0].t, 64 * KIB);
    const uint64_t looks = fake_stats()->looks;
    for (int i = 0; i < 20; i++) {
        peer_writes(&conns[0], 64 * KIB);
    }
    clock_run_for(loop, MS);
    expect_eq(conns[0].received, 21 * 64 * KIB);
    expect_eq(fake_stats()->looks - looks, 4);

    peer_writes(&conns[0], 64 * KIB);
    clock_run_for(loop, MS);
    expect_eq(conns[0].received, 22 * 64 * KIB);
    expect_eq(fake_stats()->looks - looks, 5);

    /* That was a no. Fifteen are not asked, and then three times again. */
    for (int i = 0; i < 20; i++) {
        peer_writes(&conns[0], 64 * KIB);
    }
    clock_run_for(loop, MS);
    expect_eq(conns[0].received, 42 * 64 * KIB);
    expect_eq(fake_stats()->looks - looks, 8);
    stop();
}
