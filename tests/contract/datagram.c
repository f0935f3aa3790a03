/*
 * Datagram endpoints: what arrives and how it is delivered, over UDP on IPv4,
 * UDP on IPv6 and Unix sockets.
 *
 * Includes keeping bytes, pausing, and callbacks that fail.
 */
#include "tests/contract/datagram_rig.h"

enum { UDP_MAX = 65507, LONGEST = 100000 };

static int echo_each(struct dg *rig, const struct weir_datagram *datagram)
{
    expect_geq(weir_transport_sendto(rig->t, datagram->buf.data,
                                     datagram->buf.len, &datagram->peer),
               0);
    return 0;
}

DATAGRAMS(datagram, one_is_echoed_to_where_it_came_from, rig,
          .hooks = {.datagram_received = echo_each})
{
    char text[16];

    dg_peer_send(rig, "hello", 5);

    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 5);
    expect_eq(memcmp(text, "hello", 5), 0);
    cr_assert(weir_address_is_equal(&rig->last.peer, &rig->peer_address));
    expect_eq(rig->last.size_bytes, 5);
    expect_eq(rig->last.flags, 0);
    expect_str_eq(rig->events, "made datagram");
    expect_eq(dg_counts(rig).received, 1);
    expect_eq(dg_counts(rig).sent, 1);
}

DATAGRAMS(datagram, r45__an_empty_one_arrives_and_is_sent, rig,
          .hooks = {.datagram_received = echo_each})
{
    char text[16];

    dg_peer_send(rig, "", 0);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 0);
    dg_peer_send(rig, "x", 1);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1, "it goes on");

    expect_eq(rig->received, 2);
    expect_eq(rig->error_count, 0);
}

static int keep_nothing(struct dg *rig, const struct weir_datagram *datagram)
{
    struct weir_buf buf = datagram->buf;
    rig->step = weir_buf_ref(&buf);
    return 0;
}

DATAGRAMS(datagram, an_empty_one_cannot_be_kept, rig,
          .hooks = {.datagram_received = keep_nothing})
{
    dg_peer_send(rig, "", 0);
    dg_wait_received(rig, 1);

    expect_eq(rig->step, -EINVAL);
}

static int expect_number(struct dg *rig, const struct weir_datagram *datagram)
{
    uint32_t number;
    cr_assert_geq(datagram->buf.len, sizeof(number));
    memcpy(&number, datagram->buf.data, sizeof(number));
    expect_eq(number, (uint32_t)rig->count);
    rig->count++;
    return 0;
}

DATAGRAMS(datagram, many_arrive_in_order_and_whole, rig,
          .hooks = {.datagram_received = expect_number})
{
    enum { ROUNDS = 40, EACH = 8 };
    uint8_t bytes[200] = {0};

    for (uint32_t i = 0; i < ROUNDS * EACH; i++) {
        memcpy(bytes, &i, sizeof(i));
        dg_peer_send(rig, bytes, sizeof(i) + i % 190);
        if (i % EACH == EACH - 1) {
            dg_wait_received(rig, i + 1);
        }
    }

    expect_eq(rig->count, ROUNDS * EACH);
    expect_eq(dg_counts(rig).dropped_here, 0);
}

DATAGRAMS(datagram, complaint_65__a_full_queue_is_received_in_batches, rig, 0)
{
    enum { COUNT = 10, TRIES = 50 };
    uint64_t least = UINT64_MAX;

    /* A busy kernel may deliver them one by one. */
    for (uint64_t i = 1; i <= TRIES && least > 4; i++) {
        struct weir_loop_statistics before = {.size = sizeof(before)};
        struct weir_loop_statistics after = {.size = sizeof(after)};
        for (int j = 0; j < COUNT; j++) {
            dg_peer_send(rig, "abcd", 4);
        }
        expect_eq(weir_loop_get_statistics(rig->loop, &before), 0);
        dg_wait_received(rig, i * COUNT);
        expect_eq(weir_loop_get_statistics(rig->loop, &after), 0);
        const uint64_t turns = after.turns - before.turns;
        least = turns < least ? turns : least;
    }

    expect_leq(least, 4);
}

DATAGRAMS(datagram, bytes_are_counted_for_the_loop_as_for_streams, rig,
          .connected = true, .options.size_limit_bytes = 1000)
{
    static const char text[3000];

    dg_peer_send(rig, text, 700);
    dg_peer_send(rig, "", 0);
    dg_peer_send(rig, text, sizeof(text));
    dg_wait_received(rig, 3);
    expect_eq(dg_send(rig, text, 50), 0);
    dg_peer_recv(rig, (char[64]){0}, 64);
    const struct weir_loop_statistics now = statistics_of(rig->loop);

    /* Bytes that are cut off a datagram are not counted. */
    expect_eq(now.received_bytes, 700 + 1000);
    expect_eq(now.sent_bytes, 50);
}

DATAGRAMS(datagram, many_are_sent_in_order_and_whole, rig, .connected = true)
{
    enum { COUNT = 200 };
    uint8_t bytes[64];

    for (uint32_t next = 0; next < COUNT;) {
        dg_send_numbered(rig, 4, 40);
        for (int i = 0; i < 4; i++) {
            uint32_t number;
            expect_eq(dg_peer_recv(rig, bytes, sizeof(bytes)), 40);
            memcpy(&number, bytes, sizeof(number));
            expect_eq(number, next);
            next++;
        }
    }

    expect_eq(dg_counts(rig).sent, COUNT);
    expect_eq(weir_transport_get_write_buffer_size(rig->t), 0);
}

DATAGRAMS(datagram, long_ones_arrive_whole_between_short_ones, rig, 0)
{
    static uint8_t bytes[DG_BYTES_MAX];
    static const size_t sizes[] = {100,  2048, 2049,  100,  5000, 9000,
                                   1500, 1,    30000, 1400, 2047, 60000};
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 256);
    }

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        dg_peer_send(rig, bytes, sizes[i]);
        dg_wait_received(rig, i + 1);
        expect_eq(rig->last.len, sizes[i]);
        expect_eq(rig->last.size_bytes, sizes[i]);
        expect_eq(memcmp(rig->last.bytes, bytes, sizes[i]), 0);
        expect_eq(rig->last.flags, 0);
    }
}

DATAGRAMS(datagram, long_ones_in_one_batch_do_not_mix, rig, 0)
{
    static uint8_t bytes[3][20000];
    for (int i = 0; i < 3; i++) {
        memset(bytes[i], 'a' + i, sizeof(bytes[i]));
    }

    for (int i = 0; i < 3; i++) {
        dg_peer_send(rig, bytes[i], sizeof(bytes[i]));
    }
    dg_wait_received(rig, 3);

    expect_eq(rig->received_bytes, 3 * sizeof(bytes[0]));
    expect_eq(memcmp(rig->last.bytes, bytes[2], sizeof(bytes[2])), 0);
}

DATAGRAMS(datagram, complaint_66__a_truncated_one_says_so, rig,
          .options = {.size_limit_bytes = 1000})
{
    static uint8_t bytes[5000];

    dg_peer_send(rig, bytes, sizeof(bytes));
    dg_wait_received(rig, 1);
    expect_eq(rig->last.len, 1000);
    expect_eq(rig->last.size_bytes, sizeof(bytes));
    expect_eq(rig->last.flags, WEIR_DATAGRAM_TRUNCATED);

    dg_peer_send(rig, bytes, 1000);
    dg_wait_received(rig, 2);
    expect_eq(rig->last.flags, 0);
}

DATAGRAMS(datagram, a_truncated_one_beyond_its_slot_says_so, rig,
          .options = {.size_limit_bytes = 10000})
{
    static uint8_t bytes[20000];
    memset(bytes, 'x', sizeof(bytes));

    dg_peer_send(rig, bytes, sizeof(bytes));
    dg_wait_received(rig, 1);

    expect_eq(rig->last.len, 10000);
    expect_eq(rig->last.size_bytes, sizeof(bytes));
    expect_eq(rig->last.flags, WEIR_DATAGRAM_TRUNCATED);
    expect_eq(memcmp(rig->last.bytes, bytes, 10000), 0);
}

/* Returns a datagram of the largest size that a Unix peer may send. */
static uint8_t *long_bytes(void)
{
    static uint8_t bytes[LONGEST];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    return bytes;
}

static void receive_long_ones(struct dg *rig)
{
    static const size_t lens[] = {65000,
                                  65519,
                                  65520,
                                  65528,
                                  65529,
                                  WEIR_DATAGRAM_SIZE_MAX - 1,
                                  WEIR_DATAGRAM_SIZE_MAX,
                                  WEIR_DATAGRAM_SIZE_MAX + 1,
                                  LONGEST};
    const uint8_t *bytes = long_bytes();

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        const size_t most = WEIR_DATAGRAM_SIZE_MAX;
        const size_t shown = lens[i] < most ? lens[i] : most;
        if (rig->family != AF_UNIX && lens[i] > UDP_MAX) {
            return; /* it cannot be sent */
        }
        dg_peer_send(rig, bytes, lens[i]);
        dg_wait_received(rig, i + 1);
        expect_eq(rig->last.len, shown, "%zu bytes", lens[i]);
        expect_eq(rig->last.size_bytes, lens[i], "%zu bytes", lens[i]);
        expect_eq(memcmp(rig->last.bytes, bytes, shown), 0);
        expect_eq(rig->last.flags,
                  shown < lens[i] ? WEIR_DATAGRAM_TRUNCATED : 0);
    }
}

DATAGRAMS(datagram, those_of_every_length_that_a_peer_can_send_arrive, rig, 0)
{
    receive_long_ones(rig);
}

DATAGRAMS(datagram, those_of_every_length_arrive_with_ancillary_data, rig,
          .options = {.ancillary = WEIR_ANCILLARY_TIMESTAMP})
{
    receive_long_ones(rig);
}

static struct weir_buf kept[64];

static int keep(struct dg *rig, const struct weir_datagram *datagram)
{
    kept[rig->count] = datagram->buf;
    expect_eq(weir_buf_ref(&kept[rig->count]), 0);
    rig->count++;
    return 0;
}

DATAGRAMS(datagram, kept_bytes_stay_while_others_arrive, rig,
          .hooks = {.datagram_received = keep})
{
    uint8_t bytes[1000];

    for (int i = 0; i < 20; i++) {
        memset(bytes, 'a' + i, sizeof(bytes));
        dg_peer_send(rig, bytes, i % 2 ? sizeof(bytes) : 10);
        dg_wait_received(rig, (uint64_t)i + 1);
    }

    for (int i = 0; i < 20; i++) {
        const size_t len = i % 2 ? sizeof(bytes) : 10;
        memset(bytes, 'a' + i, sizeof(bytes));
        expect_eq(kept[i].len, len);
        expect_eq(memcmp(kept[i].data, bytes, len), 0);
        weir_buf_unref(kept[i].lease);
    }
    expect_eq(weir_transport_get_read_buffer_size(rig->t), 0);
}

DATAGRAMS(datagram, keeping_too_much_stops_receiving_until_it_is_given, rig,
          .options = {.read_limit_bytes = 8192},
          .hooks = {.datagram_received = keep})
{
    static const uint8_t bytes[3000];

    for (int i = 0; i < 8; i++) {
        dg_peer_send(rig, bytes, sizeof(bytes));
        dg_turns(rig, 3);
    }
    RUN_UNTIL(rig->loop, weir_transport_get_read_buffer_size(rig->t) >= 4096);
    dg_turn_for(rig, 5 * DG_MS);
    const int held = rig->count;
    expect_lt(held, 8);
    for (int i = 0; i < held; i++) {
        weir_buf_unref(kept[i].lease);
    }
    rig->hooks.datagram_received = NULL;
    dg_wait_received(rig, 8);

    rig->hooks.datagram_received = keep;
    expect_eq(weir_transport_get_read_buffer_size(rig->t), 0);
}

DATAGRAMS(datagram, kept_bytes_outlive_the_endpoint, rig,
          .hooks = {.datagram_received = keep})
{
    dg_peer_send(rig, "stays", 5);
    dg_wait_received(rig, 1);
    weir_transport_abort(rig->t);
    dg_wait_lost(rig);

    expect_eq(memcmp(kept[0].data, "stays", 5), 0);
    weir_buf_unref(kept[0].lease);
}

static int pause_at_third(struct dg *rig, const struct weir_datagram *datagram)
{
    if (rig->received == 3) {
        expect_eq(weir_transport_pause_reading(rig->t), 0);
    }
    return 0;
}

DATAGRAMS(datagram, r27__pausing_in_a_batch_loses_none_of_it, rig,
          .hooks = {.datagram_received = pause_at_third})
{
    uint8_t bytes[3000];

    for (int i = 0; i < 6; i++) {
        memset(bytes, 'a' + i, sizeof(bytes));
        dg_peer_send(rig, bytes, i == 4 ? sizeof(bytes) : 4);
    }
    dg_wait_received(rig, 3);
    dg_turn_for(rig, 5 * DG_MS);
    expect_eq(rig->received, 3);
    cr_assert_not(weir_transport_is_reading(rig->t));
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    dg_wait_received(rig, 6);

    expect_eq(rig->received_bytes, 5 * 4 + sizeof(bytes));
    expect_eq(rig->last.bytes[0], 'f');
    expect_eq(dg_counts(rig).dropped_here, 0);
}

static void pause_at_once(struct dg *rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
}

DATAGRAMS(datagram, r27__pausing_in_connection_made_holds_the_first, rig,
          .hooks = {.connection_made = pause_at_once})
{
    dg_peer_send(rig, "x", 1);
    dg_turn_for(rig, 3 * DG_MS);
    expect_eq(rig->received, 0);

    expect_eq(weir_transport_resume_reading(rig->t), 0);
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    dg_wait_received(rig, 1);
}

static int close_at_second(struct dg *rig, const struct weir_datagram *datagram)
{
    if (rig->received == 2) {
        expect_eq(weir_transport_close(rig->t), 0);
    }
    return 0;
}

DATAGRAMS(datagram, none_is_delivered_after_close, rig,
          .hooks = {.datagram_received = close_at_second})
{
    for (int i = 0; i < 5; i++) {
        dg_peer_send(rig, "x", 1);
    }
    dg_wait_lost(rig);

    expect_eq(rig->received, 2);
    expect_str_eq(rig->events, "made datagram lost");
    expect_eq(rig->lost_err, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

DATAGRAMS(datagram, kept_ones_are_dropped_by_a_close_while_paused, rig,
          .hooks = {.datagram_received = pause_at_third})
{
    for (int i = 0; i < 5; i++) {
        dg_peer_send(rig, "x", 1);
    }
    dg_wait_received(rig, 3);
    expect_eq(weir_transport_close(rig->t), 0);
    dg_wait_lost(rig);

    expect_eq(rig->received, 3);
}

static struct {
    uint64_t first;
    uint64_t last;
} turns;

static int note_turn(struct dg *rig, const struct weir_datagram *datagram)
{
    turns.last = statistics_of(rig->loop).turns;
    if (rig->received == 1) {
        turns.first = turns.last;
    }
    return 0;
}

DATAGRAMS(datagram, many_short_ones_are_received_in_one_turn, rig,
          .hooks.datagram_received = note_turn)
{
    enum { COUNT = 100 };
    if (rig->family == AF_UNIX) {
        return; /* the peer blocks after about ten */
    }
    for (int i = 0; i < COUNT; i++) {
        dg_peer_send(rig, "x", 1);
    }
    dg_wait_received(rig, COUNT);

    expect_eq(turns.last, turns.first);
}

/* Slots grow for long datagrams: only the first is joined from two parts. */
DATAGRAMS(datagram, long_ones_are_copied_at_first_only, rig, 0)
{
    static uint8_t bytes[6000];
    for (uint64_t i = 1; i <= 5; i++) {
        dg_peer_send(rig, bytes, sizeof(bytes));
        dg_wait_received(rig, i);
    }

    expect_leq(statistics_of(rig->loop).copied_by_compaction,
               sizeof(bytes) + 1000);
}

static int fail(struct dg *rig, const struct weir_datagram *datagram)
{
    return -EPROTO;
}

DATAGRAMS(datagram, complaint_76__a_callback_that_fails_aborts, rig,
          .hooks = {.datagram_received = fail})
{
    dg_peer_send(rig, "x", 1);
    dg_peer_send(rig, "y", 1);
    dg_wait_lost(rig);

    expect_eq(rig->received, 1);
    expect_eq(rig->lost_err, -EPROTO);
    expect_eq(rig->exception_count, 1);
    expect_eq(rig->exception_err, -EPROTO);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
    expect_eq(dg_send(rig, "x", 1), -EPIPE);
}

DATAGRAMS(datagram, a_protocol_without_callbacks_takes_everything, rig, 0)
{
    static CALLBACKS(empty, DATAGRAM);
    const struct weir_protocol_binding binding = {&empty, NULL};
    const struct weir_protocol_binding own =
        weir_transport_get_protocol(rig->t);

    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), 0);
    dg_peer_send(rig, "x", 1);
    while (dg_counts(rig).received == 0) {
        dg_turns(rig, 1);
    }
    expect_eq(rig->received, 0);
    expect_eq(weir_transport_set_protocol(rig->t, &own, NULL, 0), 0);
    dg_peer_send(rig, "x", 1);
    dg_wait_received(rig, 1);
}

DATAGRAMS(datagram, calls_of_streams_are_refused, rig, 0)
{
    static CALLBACKS(stream, STREAM);
    const struct weir_protocol_binding binding = {&stream, NULL};
    const struct iovec piece = {.iov_base = (void *)(uintptr_t) "x",
                                .iov_len = 1};

    expect_eq(weir_transport_write(rig->t, "x", 1), -EOPNOTSUPP);
    expect_eq(weir_transport_writelines(rig->t, &piece, 1), -EOPNOTSUPP);
    expect_eq(weir_transport_write_eof(rig->t), -EOPNOTSUPP);
    cr_assert_not(weir_transport_can_write_eof(rig->t));
    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), -EINVAL);
}
