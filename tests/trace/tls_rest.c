/*
 * Closes that wait for the peer's close_notify, with peers that send other
 * data.
 *
 * The peer's kernel has all bytes of the subject. From then on such a peer
 * cannot extend the wait: its bytes are read for 2 s or up to 1 MiB. For a peer
 * that sends nothing the wait lasts as long as the program has requested, and 5
 * minutes at most.
 */
#include "tls_wire.h"

#include "lib/transport/transport.h"

#include <errno.h>

#define S (1000 * WIRE_MS)

enum { MOST_BYTES = (1 << 20) + (256 << 10), ROOM = 256 << 10 };

static const uint64_t timeouts_ns[] = {0, S, 30 * S, 3600 * S, UINT64_MAX};

static struct wire wire;
static void (*act)(void); /* of the peer, before each turn; NULL: none */
static uint64_t acted_ns;
static bool is_closed;
static bool is_deaf; /* the peer reads nothing */

/* What the peer has sealed and its kernel has not taken. */
static uint8_t pending[ROOM];
static size_t pending_len;

static void pending_send(void *arg, const void *data, size_t len)
{
    cr_assert_leq(len, sizeof(pending) - pending_len);
    memcpy(pending + pending_len, data, len);
    pending_len += len;
}

static void pending_opened(void *arg, const void *data, size_t len)
{
    wire.opened += len;
}

static const struct tls_way pending_way = {.send = pending_send,
                                           .opened = pending_opened};

static void pending_flush(void)
{
    const ssize_t len = fake_peer_write(wire.peer, pending, pending_len);

    if (len > 0) {
        pending_len -= (size_t)len;
        memmove(pending, pending + len, pending_len);
    }
}

static void seal(size_t len)
{
    static const uint8_t bytes[WR_TLS_RECORD_MAX];

    expect_eq(wr_tls_engine_write(&wire.side.engine, bytes, len), 0);
    tls_side_flush(&wire.side);
}

static void send_as_fast_as_it_can(void)
{
    fake_spend(WIRE_MS / 10);
    while (pending_len < ROOM / 2) {
        seal(WR_TLS_RECORD_MAX);
    }
}

/* Each with the data that earns it the next one. */
static void ask_for_keys(void)
{
    fake_spend(WIRE_MS / 10);
    while (pending_len < ROOM / 2) {
        seal(2048);
        wr_ignore(wr_tls_engine_update_keys(&wire.side.engine) < 0);
        tls_side_flush(&wire.side);
    }
}

/* True each half second. */
static bool is_time(void)
{
    if (fake_now() - acted_ns < S / 2) {
        return false;
    }
    acted_ns = fake_now();
    return true;
}

static void send_a_byte_now_and_then(void)
{
    if (is_time()) {
        seal(1);
    }
}

/* Of a record that is never whole. */
static void send_a_part_of_a_record(void)
{
    static const uint8_t part[] = {23, 3, 3, 0x3f, 0xff, 1, 2, 3};

    if (is_time()) {
        act = NULL;
        pending_send(NULL, part, sizeof(part));
    }
}

static void send_a_record_byte_by_byte(void)
{
    static const uint8_t record[512] = {23, 3, 3, 0x3f, 0xff};
    static size_t sent;

    if (is_time()) {
        pending_send(NULL, &record[sent++ % sizeof(record)], 1);
    }
}

/* Also what came before a reset. */
static void peer_reads(void)
{
    uint8_t buf[256];
    ssize_t len;

    while ((len = fake_peer_read(wire.peer, buf, sizeof(buf))) > 0) {
        tls_side_feed(&wire.side, buf, (size_t)len, (size_t)len);
    }
}

static void peer_acts(void *arg)
{
    if (is_closed && act) {
        act();
    }
    if (pending_len > 0) {
        pending_flush();
    }
    if (is_closed && !is_deaf) {
        peer_reads();
    }
}

/* The clock moves on between what the peer does. */
static void run_until_lost(weir_loop *loop, uint64_t limit_ns)
{
    const uint64_t since_ns = fake_now();

    while (wire.lost_count == 0 && fake_now() - since_ns < limit_ns) {
        clock_run_for(loop, 50 * WIRE_MS);
    }
    expect_eq(wire.lost_count, 1);
}

struct end {
    uint64_t bytes; /* that the subject received after the close */
    uint64_t time_ns;
    int err;
};

static weir_loop *start_with(const struct wire_options *options,
                             void (*peer)(void))
{
    weir_loop *loop =
        wire_start(&(struct fake_options){.seed = 1, .entered = peer_acts});

    act = NULL;
    is_closed = is_deaf = false;
    pending_len = 0;
    wire_open(&wire, loop, options);
    wire_shake(&wire);
    wire.side.way = &pending_way;
    act = peer;
    acted_ns = fake_now();
    return loop;
}

static void stop_it(weir_loop *loop)
{
    act = NULL;
    is_closed = false;
    pending_len = 0;
    wire_close(&wire);
    wire_stop(loop, 0);
}

static struct end close_with(const struct wire_options *options,
                             void (*peer)(void))
{
    weir_loop *loop = start_with(options, peer);

    expect_eq(weir_transport_write(wire.t, "bytes", 5), 0);
    expect_eq(weir_transport_close(wire.t), 0);
    const uint64_t before = fake_stats()->received_bytes;
    const uint64_t closed_ns = fake_now();
    is_closed = true;
    run_until_lost(loop, 4000 * S);
    act = NULL;
    peer_reads();
    expect_eq(wire.opened, 5);
    const struct end end = {.bytes = fake_stats()->received_bytes - before,
                            .time_ns = wire.lost_ns - closed_ns,
                            .err = wire.lost_err};
    stop_it(loop);
    return end;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void expect_end(const struct end *end, uint64_t timeout_ns,
                       uint64_t limit_ns)
{
    const uint64_t most_ns = least(timeout_ns, limit_ns);

    expect_leq(end->bytes, MOST_BYTES);
    expect_eq(end->err, timeout_ns > 0 ? WEIR_ETLSTIMEOUT : 0, "%s",
              weir_err_name(end->err));
    expect_leq(end->time_ns, (timeout_ns > 0 ? most_ns : limit_ns) + S);
}

static void walk(void (*peer)(void), uint64_t limit_ns)
{
    for (int version = 12; version <= 13; version++) {
        for (size_t i = 0; i < sizeof(timeouts_ns) / sizeof(*timeouts_ns);
             i++) {
            const struct end end = close_with(
                &(struct wire_options){.is_client = i % 2 == 1,
                                       .version = version,
                                       .shutdown_timeout_ns = timeouts_ns[i]},
                peer);
            expect_end(&end, timeouts_ns[i], limit_ns);
        }
    }
}

UNIT(tls_rest, a_peer_that_sends_for_ever_is_read_for_a_bounded_number_of_bytes)
{
    walk(send_as_fast_as_it_can, 2 * S);
}

UNIT(tls_rest, a_peer_that_asks_for_keys_for_ever_is_too)
{
    walk(ask_for_keys, 2 * S);
}

UNIT(tls_rest, a_peer_that_sends_a_byte_now_and_then_is_read_for_a_moment)
{
    walk(send_a_byte_now_and_then, 3 * S);
}

UNIT(tls_rest, a_peer_that_sends_a_part_of_a_record_is_waited_for_a_moment)
{
    walk(send_a_part_of_a_record, 3 * S);
}

UNIT(tls_rest, a_record_that_comes_byte_by_byte_is_read_for_a_moment)
{
    walk(send_a_record_byte_by_byte, 3 * S);
}

UNIT(tls_rest, a_silent_peer_is_waited_for_as_the_program_says)
{
    walk(NULL, 300 * S);
}

UNIT(tls_rest, the_limit_of_a_close_may_be_longer_than_five_minutes)
{
    const struct end end = close_with(
        &(struct wire_options){
            .version = 13,
            .shutdown_timeout_ns = 900 * S,
            .timeouts = {.size = sizeof(struct weir_timeouts),
                         .close_ns = 1000 * S}},
        NULL);

    expect_eq(end.err, WEIR_ETLSTIMEOUT);
    expect_geq(end.time_ns, 900 * S);
    expect_leq(end.time_ns, 902 * S);
}

/* Half of what may come, and its close_notify. */
static void say_goodbye(void)
{
    for (int i = 0; i < 8; i++) {
        seal(WR_TLS_RECORD_MAX);
    }
    expect_eq(wr_tls_engine_close(&wire.side.engine), 0);
    tls_side_flush(&wire.side);
    act = NULL;
}

UNIT(tls_rest, a_peer_that_ends_within_that_is_heard)
{
    const struct end end = close_with(
        &(struct wire_options){.version = 13, .shutdown_timeout_ns = 30 * S},
        say_goodbye);

    expect_eq(end.err, 0);
    expect_leq(end.time_ns, S);
}

enum { MUCH = 1 << 20, DROP_BYTES = 64 << 20 };

/* Runs for some time, in which the peer sends as fast as it can; returns how
 * much was read. */
static uint64_t pour_for(weir_loop *loop, uint64_t time_ns)
{
    const uint64_t before = fake_stats()->received_bytes;

    clock_run_for(loop, time_ns);
    return fake_stats()->received_bytes - before;
}

static void close_unsent(uint64_t shutdown_timeout_ns)
{
    static const uint8_t bytes[MUCH];
    weir_loop *loop = start_with(
        &(struct wire_options){.version = 13,
                               .shutdown_timeout_ns = shutdown_timeout_ns},
        send_as_fast_as_it_can);
    is_deaf = true;
    expect_eq(weir_transport_write(wire.t, bytes, sizeof(bytes)), 0);
    expect_eq(weir_transport_close(wire.t), 0);
    is_closed = true;

    const uint64_t dropped = pour_for(loop, 30 * S);
    expect_geq(dropped, DROP_BYTES);
    expect_leq(dropped, DROP_BYTES + MOST_BYTES);
    expect_leq(pour_for(loop, 30 * S), MOST_BYTES);
    expect_eq(wire.lost_count, 0);

    act = NULL;
    is_deaf = false;
    run_until_lost(loop, 10 * S + shutdown_timeout_ns);
    peer_reads();
    expect_eq(wire.opened, MUCH);
    expect_eq(wire.lost_err, shutdown_timeout_ns > 0 ? WEIR_ETLSTIMEOUT : 0);
    stop_it(loop);
}

/* As many as two ends need that close against each other. */
UNIT(tls_rest, a_peer_that_takes_nothing_is_read_for_a_bounded_number_of_bytes)
{
    close_unsent(0);
}

UNIT(tls_rest, also_by_a_close_that_waits_for_its_close_notify)
{
    close_unsent(5 * S);
}

/* What follows a close_notify is no TLS. */
static void send_anything(void)
{
    static const uint8_t bytes[ROOM];
    wr_ignore(fake_peer_write(wire.peer, bytes, sizeof(bytes)) < 0);
}

UNIT(tls_rest,
     what_follows_the_end_of_a_peer_is_not_read_while_it_is_written_to)
{
    weir_loop *loop = start_with(
        &(struct wire_options){.version = 13, .stays = true}, send_anything);
    expect_eq(wr_tls_engine_close(&wire.side.engine), 0);
    tls_side_flush(&wire.side);
    clock_run_for(loop, 50 * WIRE_MS);
    expect_eq(wire.eof_count, 1);

    is_closed = true;
    is_deaf = true;
    expect_leq(pour_for(loop, 30 * S), ROOM);
    expect_eq(wire.lost_count, 0);
    is_deaf = false;
    expect_eq(weir_transport_write(wire.t, "still here", 10), 0);
    clock_run_for(loop, 50 * WIRE_MS);
    expect_eq(wire.opened, 10);

    act = NULL;
    expect_eq(weir_transport_abort(wire.t), 0);
    run_until_lost(loop, S);
    stop_it(loop);
}

static void abort_it(void *arg)
{
    expect_eq(weir_transport_abort(wire.t), 0);
}

/* The byte is sealed when its memory is given back, and is not sent. */
UNIT(tls_rest, a_byte_that_was_sealed_and_not_sent_is_dropped)
{
    weir_loop *loop = start_with(&(struct wire_options){.version = 13}, NULL);
    cr_assert_not(wire.t->has_dropped);

    expect_eq(weir_transport_write_ref(wire.t, "x", 1, abort_it, NULL), 0);
    run_until_lost(loop, S);

    cr_assert(wire.t->has_dropped);
    stop_it(loop);
}
