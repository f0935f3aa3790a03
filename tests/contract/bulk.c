/*
 * Connections with large transfers, which receive one after another.
 *
 * A connection enters this mode (bulk) when one receive brings many bytes, and
 * leaves it after several small ones. Its promises are the same in both modes:
 * each byte once and in order, nothing while paused or after close, and the
 * bytes before the end. The loop's dump shows the mode: a connection in bulk
 * mode is polled, or due.
 */
#include "tests/contract/buffered_rig.h"
#include "tests/contract/crowd.h"
#include "tests/dump.h"
#include "tests/unit/random.h"

#include <sys/ioctl.h>

#define KIB          UINT64_C(1024)
#define MIB          (KIB * KIB)
#define NARROW_BYTES (64 * KIB)  /* the low read limit */
#define WIDE_BYTES   (256 * KIB) /* of one receive buffer */
#define REST_BYTES   (16 * KIB)  /* left by the first receive at least */
#define TOTAL_BYTES  (12 * MIB)
#define LITTLE_MAX   1500u
#define KEPT_MAX     8192

#define NARROW                                                                 \
    .connection = {.size = sizeof(struct weir_connection_options),             \
                   .read_limit_bytes = NARROW_BYTES}

static struct unit_random dice;

static struct {
    int bulk_turns; /* iterations after which the connection was in bulk mode */
    int entries;
    bool moves_little;
    bool fills;
    uint64_t steps;
    struct weir_buf kept[KEPT_MAX];
    int kept_count;
} seen;

/* With plain receive buffers no receive is large enough for bulk mode. */
static bool has_large_buffers(const struct rig *rig)
{
    char text[4096];
    weir_loop_get_features_text(rig->loop, text, sizeof(text));
    return strstr(text, "plain 16 KiB receive buffers") == NULL;
}

static void push(struct rig *rig, uint64_t most)
{
    static uint8_t buf[65536];
    while (most > 0) {
        const size_t part = most < sizeof(buf) ? (size_t)most : sizeof(buf);
        rig_pattern(buf, rig->peer_sent, part);
        const ssize_t sent = send(rig->peer, buf, part, MSG_NOSIGNAL);
        if (sent < 0) {
            expect_eq(errno, EAGAIN);
            break;
        }
        rig->peer_sent += (uint64_t)sent;
        most -= (uint64_t)sent;
    }
}

/* Runs an iteration. Returns true if the connection is in bulk mode after it.
 */
static bool turn(struct rig *rig)
{
    rig_turn(rig);
    const bool is_bulk =
        dump_has(rig->loop, "recv=polling") || dump_has(rig->loop, "recv=due");
    seen.bulk_turns += is_bulk;
    seen.entries += is_bulk && seen.moves_little;
    seen.moves_little = seen.moves_little && !is_bulk;
    return is_bulk;
}

static void begin_counting(struct rig *rig)
{
    memset(&seen, 0, sizeof(seen));
    reset_buffered(rig, sizeof(buffered.memory));
    set_socket_option(rig->peer, SOL_SOCKET, SO_SNDBUF, 1 << 20);
}

static void enter_bulk(struct rig *rig)
{
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;

    begin_counting(rig);
    for (int i = 0; i < 300 || has_large_buffers(rig); i++) {
        const uint64_t before = rig->received;
        push(rig, MIB);
        if (turn(rig)) {
            return;
        }
        expect(rig_now_ns() < until_ns);
        poll(NULL, 0, rig->received == before);
    }
}

static void send_some(struct rig *rig, uint64_t total)
{
    const uint64_t left = total - rig->peer_sent;
    if (seen.steps-- == 0) {
        seen.fills = !seen.fills;
        seen.moves_little = seen.moves_little || !seen.fills;
        seen.steps = 3 + unit_random_below(&dice, seen.fills ? 8 : 30);
    }
    const uint64_t piece =
        seen.fills ? NARROW_BYTES + unit_random_below(&dice, 500 * KIB)
                   : 1 + unit_random_below(&dice, LITTLE_MAX);
    push(rig, piece < left ? piece : left);
}

static uint64_t waiting_bytes(const struct rig *rig)
{
    int bytes = 0;
    expect_eq(ioctl(weir_transport_get_socket(rig->t), FIONREAD, &bytes), 0);
    return (uint64_t)bytes;
}

static void widen(struct rig *rig)
{
    expect_eq(weir_transport_set_read_buffer_limit(rig->t, 0), 0);
}

/* Makes many bytes available at once, for several calls of data_received: over
 * TCP more than one buffer; a Unix socket has less space. */
static void fill_while_bulk(struct rig *rig)
{
    const bool is_tcp = rig_can(rig, RIG_CAN_RESET) && has_large_buffers(rig);
    const uint64_t wanted = is_tcp ? 2 * WIDE_BYTES : 2 * NARROW_BYTES;
    const uint64_t least = (is_tcp ? WIDE_BYTES : NARROW_BYTES) + REST_BYTES;
    if (is_tcp) {
        widen(rig);
    }
    rig_peer_send(
        rig, 8 * MIB); /* the receive window grows, and space in the kernel */
    rig_wait_received(rig, rig->peer_sent);
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    uint64_t waiting = 0;
    for (int i = 0; waiting < (i < 100 ? wanted : least); i++) {
        expect(rig_now_ns() < until_ns);
        push(rig, MIB);
        poll(NULL, 0, 1);
        waiting = waiting_bytes(rig);
    }
}

UNIT(bulk, every_byte_comes_once_while_pieces_grow_and_shrink)
{
    struct rig rig = {NARROW};
    unit_random_seed(&dice);
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        begin_counting(&rig);
        while (rig.received < TOTAL_BYTES) {
            send_some(&rig, TOTAL_BYTES);
            turn(&rig);
        }
        expect_eq(rig.received, TOTAL_BYTES);
        expect(seen.bulk_turns > 3 || !has_large_buffers(&rig));
        expect(seen.entries > 0 || !has_large_buffers(&rig));
    }
}

static int pause_at_random(struct rig *rig, const struct weir_buf *buf)
{
    expect(weir_transport_is_reading(rig->t));
    if (unit_random_below(&dice, 3) == 0) {
        expect_eq(weir_transport_pause_reading(rig->t), 0);
    }
    return 0;
}

static void toggle_outside(struct rig *rig)
{
    const uint64_t before = rig->received;
    if (unit_random_below(&dice, 2) == 0) {
        expect_eq(weir_transport_resume_reading(rig->t), 0);
    } else if (unit_random_below(&dice, 3) == 0) {
        expect_eq(weir_transport_pause_reading(rig->t), 0);
    }
    expect_eq(rig->received, before);
}

UNIT(bulk, r27__nothing_is_delivered_while_paused_and_nothing_is_lost)
{
    struct rig rig = {.hooks = {.data_received = pause_at_random}, NARROW};
    unit_random_seed(&dice);
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        begin_counting(&rig);
        while (rig.received < TOTAL_BYTES) {
            send_some(&rig, TOTAL_BYTES);
            turn(&rig);
            toggle_outside(&rig);
        }
        expect_eq(rig.received, TOTAL_BYTES);
        expect(seen.bulk_turns > 0 || !has_large_buffers(&rig));
        widen(&rig); /* more than one buffer comes at once */
        for (int i = 0; i < 200 || rig.received < rig.peer_sent; i++) {
            push(&rig, i < 200 ? MIB : 0);
            rig_turn(&rig);
            toggle_outside(&rig);
        }
        expect_eq(rig.received, rig.peer_sent);
    }
}

static int close_once(struct rig *rig, const struct weir_buf *buf)
{
    if (rig->step > 0) {
        expect_eq(rig->count, 0);
        rig->count++;
        rig->bytes = rig->received;
        expect_ok(rig->step == 1 ? weir_transport_close(rig->t)
                                 : weir_transport_abort(rig->t));
    }
    return 0;
}

static void end_inside(struct rig *rig, int step)
{
    enter_bulk(rig);
    fill_while_bulk(rig);
    rig->step = step;
    rig_wait_lost(rig);

    expect_eq(rig->count, 1);
    expect_eq(rig->received, rig->bytes);
    expect_geq(rig->peer_sent - rig->received, REST_BYTES);
    expect_eq(rig->lost_err, 0);
    expect_eq(rig_statistics(rig).leases, 0);
}

PAIRS(bulk, close_inside_the_first_of_several_calls_drops_the_rest, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN,
      .hooks = {.data_received = close_once}, NARROW)
{
    end_inside(rig, 1);
}

PAIRS(bulk, abort_inside_the_first_of_several_calls_drops_the_rest, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN,
      .hooks = {.data_received = close_once}, NARROW)
{
    end_inside(rig, 2);
}

static struct weir_protocol targets[3]; /* plain, copying, keeps its memory */

static void bind_round_to(struct rig *rig, uint64_t which)
{
    const struct weir_protocol_binding binding = {&targets[which], rig};
    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), 0);
}

static int switch_once(struct rig *rig, const struct weir_buf *buf)
{
    expect(rig->count != 1 || rig->step == 0 ||
           weir_transport_get_protocol(rig->t).protocol ==
               &targets[rig->step - 1]);
    if (rig->step > 0 && rig->count == 0) {
        rig->count++;
        bind_round_to(rig, (uint64_t)rig->step - 1);
    }
    return 0;
}

static void make_targets(void)
{
    targets[0] = rig_protocol;
    targets[1] = make_buffered(false);
    targets[2] = make_buffered(true);
}

static void switch_inside(int step)
{
    struct rig rig = {.hooks = {.data_received = switch_once}, NARROW};
    make_targets();
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        enter_bulk(&rig);
        fill_while_bulk(&rig);
        rig.step = step;
        rig_wait_received(&rig, rig.peer_sent);
        rig_peer_send(&rig, MIB);
        rig_wait_received(&rig, rig.peer_sent);

        expect_eq(rig.count, 1);
        expect_eq(buffered.updated_count > 0, step > 1);
        rig_peer_shutdown(&rig);
        rig_wait_lost(&rig);
        expect_events(&rig, "made data eof lost");
        expect(!buffered.out);
    }
}

UNIT(bulk, r28__a_plain_protocol_gets_the_rest_of_a_receive)
{
    switch_inside(1);
}

UNIT(bulk, r28__a_buffered_protocol_gets_the_rest_of_a_receive)
{
    switch_inside(2);
}

UNIT(bulk, r28__a_protocol_that_lends_memory_gets_the_rest_of_a_receive)
{
    switch_inside(3);
}

static int switch_at_random(struct rig *rig, const struct weir_buf *buf)
{
    if (unit_random_below(&dice, 12) == 0) {
        buffered.size = 1 + unit_random_below(&dice, sizeof(buffered.memory));
        bind_round_to(rig, unit_random_below(&dice, 3));
    } else if (unit_random_below(&dice, 4) == 0) {
        bind_round_to(rig, 0);
    }
    return 0;
}

UNIT(bulk, r28__no_byte_is_lost_by_switching_at_random)
{
    struct rig rig = {.hooks = {.data_received = switch_at_random}, NARROW};
    unit_random_seed(&dice);
    make_targets();
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        begin_counting(&rig);
        while (rig.received < TOTAL_BYTES) {
            send_some(&rig, TOTAL_BYTES);
            turn(&rig);
        }
        expect_eq(rig.received, TOTAL_BYTES);
        expect(seen.bulk_turns > 0 || !has_large_buffers(&rig));
    }
}

static int keep(struct rig *rig, const struct weir_buf *buf)
{
    if (rig->step > 0) {
        expect(seen.kept_count < KEPT_MAX);
        seen.kept[seen.kept_count] = *buf;
        expect_eq(weir_buf_ref(&seen.kept[seen.kept_count++]), 0);
    }
    return 0;
}

static void stop_loop(void *arg)
{
    weir_loop_stop(arg);
}

static uint64_t idle_turns(struct rig *rig)
{
    const uint64_t before = rig_statistics(rig).turns;
    expect_ok(weir_loop_call_later(rig->loop, 30 * RIG_MS, stop_loop, rig->loop,
                                   NULL));
    expect_eq(weir_loop_run(rig->loop), 0);
    return rig_statistics(rig).turns - before;
}

static bool is_near_limit(const struct rig *rig, uint64_t limit)
{
    return waiting_bytes(rig) > 0 &&
           weir_transport_get_read_buffer_size(rig->t) > limit - 8192;
}

PAIRS(bulk, kept_leases_stop_reading_at_the_limit_without_any_turns, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN, .hooks = {.data_received = keep},
      NARROW)
{
    const uint64_t limit = 300000;
    enter_bulk(rig);
    rig_wait_received(rig, rig->peer_sent);
    expect_eq(weir_transport_set_read_buffer_limit(rig->t, limit), 0);
    rig->step = 1;
    for (int i = 0; i < 5; i++) {
        for (int idle = 0; idle < 20;) {
            const uint64_t before = rig->received;
            push(rig, MIB);
            turn(rig);
            const bool is_idle = rig->received == before;
            idle = is_idle && is_near_limit(rig, limit) ? idle + 1 : 0;
            poll(NULL, 0, is_idle);
        }
        expect(weir_transport_get_read_buffer_size(rig->t) <= limit);
        expect(rig_statistics(rig).pool_bytes <= 16 * MIB);
        expect_lt(idle_turns(rig), 10);
        while (seen.kept_count > 0) {
            weir_buf_unref(seen.kept[--seen.kept_count].lease);
        }
    }
    rig->step = 0;
    rig_wait_received(rig, rig->peer_sent);
    expect_eq(weir_transport_get_read_buffer_size(rig->t), 0);
    expect_lt(idle_turns(rig), 10);
}

PAIRS(bulk, r8__all_bytes_before_a_fin_are_delivered, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN, NARROW)
{
    enter_bulk(rig);
    for (int i = 0; i < 40; i++) {
        push(rig, MIB);
        turn(rig);
    }
    push(rig, MIB);
    rig_peer_shutdown(rig);

    rig_wait_lost(rig);

    expect_eq(rig->received, rig->peer_sent);
    expect_events(rig, "made data eof lost");
    expect_eq(rig->lost_err, 0);
}

PAIRS(bulk, a_reset_is_told_after_the_bytes_that_came_before_it, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN | RIG_CAN_RESET, NARROW)
{
    enter_bulk(rig);
    for (int i = 0; i < 40; i++) {
        push(rig, MIB);
        turn(rig);
    }
    fill_while_bulk(rig);
    const uint64_t certain = rig->received + waiting_bytes(rig);
    rig_peer_reset(rig);

    rig_wait_lost(rig);

    expect_geq(rig->received, certain);
    expect_leq(rig->received, rig->peer_sent);
    expect_events(rig, "made data lost");
    expect_eq(rig->lost_err, -ECONNRESET);
}

/* The reader passes each urgent byte before the next one is sent; otherwise it
 * would become an ordinary byte. */
PAIRS(bulk, urgent_bytes_leave_the_stream_as_it_is, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN | RIG_CAN_RESET, NARROW)
{
    enter_bulk(rig);
    for (int i = 0; i < 150; i++) {
        push(rig, i % 3 == 0 ? MIB : 100);
        rig_wait_received(rig, rig->peer_sent);
        expect_eq(send(rig->peer, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
        push(rig, i % 3 == 1 ? MIB : 100);
        turn(rig);
        rig_wait_received(rig, rig->peer_sent);
    }
    expect_eq(rig->received, rig->peer_sent);
    expect_lt(idle_turns(rig), 10);
}

static uint64_t drain(const struct crowd_member *member, uint64_t from)
{
    static uint8_t buf[65536];
    uint64_t total = 0;
    ssize_t got;
    while ((got = recv(member->peer, buf, sizeof(buf), 0)) > 0) {
        expect(rig_is_pattern(buf, from + total, (size_t)got));
        total += (uint64_t)got;
    }
    expect_eq(errno, EAGAIN);
    return total;
}

enum { BULK_COUNT = 5, TURNS_MAX = 4, TURNS = 400 };

UNIT(bulk, all_connections_go_on_beside_each_other)
{
    uint64_t echoed[BULK_COUNT + 1] = {0};
    int waits[BULK_COUNT + 1] = {0};
    crowd_begin(0);
    for (int i = 0; i <= BULK_COUNT; i++) {
        struct crowd_member *member = crowd_add(false, CONDUCT_ECHOES);
        set_socket_option(member->peer, SOL_SOCKET, SO_SNDBUF, 1 << 20);
    }
    crowd_wait_made();

    for (int round = 0; round < TURNS; round++) {
        for (int i = 0; i <= BULK_COUNT; i++) {
            struct crowd_member *member = &crowd.members[i];
            const bool is_small = i == BULK_COUNT;
            if (!is_small || echoed[i] == member->peer_sent) {
                crowd_push(member, is_small ? 100 : MIB);
            }
            const uint64_t got = drain(member, echoed[i]);
            echoed[i] += got;
            waits[i] = got > 0 ? 0 : waits[i] + 1;
            expect_leq(waits[i], TURNS_MAX * (is_small ? 1 : 4),
                       "connection %d had nothing in turn %d", i, round);
        }
        crowd_turn();
    }

    crowd_end();
}

/* Sending may take more than one iteration. */
UNIT(bulk, a_run_that_stops_has_handed_over_all_that_was_written)
{
    static uint8_t data[200000];
    crowd_begin(0);
    for (int i = 0; i < 12; i++) {
        crowd_add(i % 2 == 0, CONDUCT_READS);
    }
    crowd_wait_made();
    rig_pattern(data, 0, sizeof(data));
    for (int i = 0; i < crowd.count; i++) {
        expect_ok(weir_transport_write(crowd.members[i].t, data, sizeof(data)));
    }

    crowd_turn();

    for (int i = 0; i < crowd.count; i++) {
        /* Written bytes arrive without an iteration, though perhaps not at
         * once. */
        const struct crowd_member *member = &crowd.members[i];
        struct pollfd pollfd = {.fd = member->peer, .events = POLLIN};
        uint64_t got = 0;

        while (got <= 1000) {
            expect_eq(poll(&pollfd, 1, 60000), 1);
            got += drain(member, got);
        }
    }
    crowd_end();
}
