/*
 * Relays: how they start, what they get, and how the program ends them.
 *
 * The sides are TCP sockets, whose peers can distinguish a reset from an end of
 * stream.
 */
#include "tests/contract/relay_rig.h"
#include "tests/dump.h"
#include "tests/ends.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <weir/embed.h>
#include <weir/pair.h>

enum { SOME = 5000, LARGE = 1000, PAGE = 4096 };

static void pass_initial(struct relayed *r)
{
    static uint8_t bytes[SOME];
    const struct weir_buf initial[3] = {
        {.data = bytes, .len = 10},
        {.len = 0},
        {.data = bytes + 10, .len = SOME - 10},
    };
    rig_pattern(bytes, 0, SOME);
    relay_rig_begin(r, SIZED(weir_relay_options, .a_initial = initial,
                             .a_initial_count = 3, .b_initial = initial,
                             .b_initial_count = 1));
    memset(bytes, 0xff, SOME);
    r->a->peer_sent = SOME;
    r->b.peer_sent = 10;
    rig_peer_send(r->a, SOME);
    rig_peer_send(&r->b, SOME);
    rig_peer_read(&r->b, (uint64_t)2 * SOME);
    rig_peer_read(r->a, SOME + 10);
    rig_peer_shutdown(r->a);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end(r), 0);
    expect_eq(r->record.a_bytes, 2 * SOME);
    expect_eq(r->record.b_bytes, SOME + 10);
}

UNIT(relay_begin, initial_bytes_go_before_all_others)
{
    relay_rig_pairings(0, RIG_CAN_RESET | RIG_IS_PLAIN, false, pass_initial);
}

/* The protocol keeps the bytes that it has received, and passes the lease. */
static struct weir_buf kept;

static int keep(struct rig *rig, const struct weir_buf *buf)
{
    kept = *buf;
    expect_eq(weir_buf_ref(&kept), 0);
    return 0;
}

UNIT_IN(relay_begin, initial_bytes_may_have_a_lease, relay_rig_run,
        struct relayed *r)
{
    r->a->hooks.data_received = keep;
    rig_peer_send(r->a, LARGE);
    rig_wait_received(r->a, LARGE);
    r->a->hooks.data_received = NULL;
    expect_eq(kept.len, LARGE);
    relay_rig_begin(
        r, SIZED(weir_relay_options, .a_initial = &kept, .a_initial_count = 1));
    weir_buf_unref(kept.lease);
    rig_peer_read(&r->b, LARGE);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT_IN(relay_begin, a_cancellation_before_the_first_turn_drops_them,
        relay_rig_run, struct relayed *r)
{
    const struct weir_buf initial = {.data = (const uint8_t *)"x", .len = 1};
    relay_rig_begin(r, SIZED(weir_relay_options, .a_initial = &initial,
                             .a_initial_count = 1));
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
    expect_eq(r->record.a_bytes, 0);
}

static void pass_after_end(struct relayed *r)
{
    const struct weir_buf initial = {.data = (const uint8_t *)"", .len = 1};
    r->a->eof_result = 1;
    rig_peer_shutdown(r->a);
    rig_wait_event(r->a, "eof");
    relay_rig_begin(r, SIZED(weir_relay_options, .a_initial = &initial,
                             .a_initial_count = 1));
    rig_peer_read(&r->b, 1);
    expect_eq(relay_rig_end_of(&r->b), 0);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end(r), 0);
    expect_eq(r->record.ended_by, WEIR_RELAY_A);
}

UNIT(relay_begin, an_end_that_was_told_before_is_passed_on_after_them)
{
    relay_rig_pairings(0, RIG_CAN_RESET | RIG_IS_PLAIN, false, pass_after_end);
}

static void pass_held(struct relayed *r)
{
    weir_transport_pause_reading(r->a->t);
    rig_peer_send(r->a, SOME);
    rig_peer_shutdown(r->a);
    rig_turn_for(r->a, 5 * RIG_MS);
    expect_eq(r->a->received, 0);
    relay_rig_begin(r, NULL);
    rig_peer_read(&r->b, SOME);
    expect_eq(relay_rig_end_of(&r->b), 0);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end(r), 0);
}

UNIT(relay_begin, what_waits_while_reading_is_paused_is_passed_on)
{
    relay_rig_pairings(0, RIG_CAN_RESET | RIG_IS_PLAIN, false, pass_held);
}

static struct {
    struct relayed *r;
    uint64_t seen[2];
    bool cancels;
} tap;

static void see(void *arg, enum weir_relay_party from,
                const struct weir_buf *buf)
{
    expect(arg == &tap);
    expect(rig_is_pattern(buf->data, tap.seen[from], buf->len));
    tap.seen[from] += buf->len;
    if (tap.cancels) {
        weir_pending_cancel(tap.r->pending);
    }
}

static const struct weir_relay_options tapped = {
    .size = sizeof(tapped), .tap = see, .tap_arg = &tap};

static void see_both_ways(struct relayed *r)
{
    memset(&tap, 0, sizeof(tap));
    relay_rig_begin(r, &tapped);
    relay_rig_move(r->a, &r->b, SOME, LARGE);
    relay_rig_move(&r->b, r->a, 2 * SOME, LARGE);
    expect_eq(tap.seen[WEIR_RELAY_A], SOME);
    expect_eq(tap.seen[WEIR_RELAY_B], 2 * SOME);
    rig_peer_close(r->a);
    rig_peer_close(&r->b);
    relay_rig_end(r);
}

UNIT(relay_begin, a_tap_sees_the_bytes_of_both_directions)
{
    relay_rig_pairings(0, RIG_CAN_RESET | RIG_IS_PLAIN, false, see_both_ways);
}

static void cancel_in_tap(struct relayed *r)
{
    memset(&tap, 0, sizeof(tap));
    tap.r = r;
    tap.cancels = true;
    relay_rig_begin(r, &tapped);
    rig_peer_send(r->a, SOME);
    rig_peer_send(&r->b, SOME);
    expect_eq(relay_rig_end(r), -ECANCELED);
    expect_gt(tap.seen[WEIR_RELAY_A] + tap.seen[WEIR_RELAY_B], 0);
    expect_eq(r->record.a_bytes + r->record.b_bytes, 0, "they went no further");
}

UNIT(relay_begin, a_tap_may_cancel)
{
    relay_rig_pairings(0, RIG_CAN_RESET | RIG_IS_PLAIN, false, cancel_in_tap);
}

static pid_t child;

/* The child dumps no core and prints nothing. */
static void fork_in_tap(void *arg, enum weir_relay_party from,
                        const struct weir_buf *buf)
{
    static const struct rlimit none;

    child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        setrlimit(RLIMIT_CORE, &none);
    }
}

static void end_child(void *arg)
{
    if (child == 0) {
        _exit(1);
    }
}

/* The loop would call the next callback in the same iteration. */
UNIT_IN(relay_begin, a_child_that_a_tap_has_forked_ends_before_another_callback,
        relay_rig_run, struct relayed *r)
{
    const struct weir_buf initial = {.data = (const uint8_t *)"", .len = 1};

    child = -1;
    relay_rig_begin(r, SIZED(weir_relay_options, .tap = fork_in_tap,
                             .a_initial = &initial, .a_initial_count = 1));
    expect_eq(weir_loop_call_soon(r->a->loop, end_child, NULL, NULL), 0);
    rig_peer_read(&r->b, 1);
    expect_gt(child, 0);
    expect_eq(end_of(child), SIGABRT);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

static void ask_on_the_way(struct relayed *r)
{
    struct weir_relay_record record = {.size = sizeof(record)};
    const struct weir_relay_record sizeless = {.size = 0};

    relay_rig_begin(r, NULL);
    expect_eq(weir_relay_get_record(r->pending, &record), 0);
    expect_eq(record.a_bytes + record.b_bytes, 0);
    expect_gt(record.start_ns, 0);
    relay_rig_move(r->a, &r->b, SOME, LARGE);
    relay_rig_move(&r->b, r->a, 2 * SOME, LARGE);
    expect_eq(weir_relay_get_record(r->pending, &record), 0);
    expect_eq(record.a_bytes, SOME);
    expect_eq(record.b_bytes, 2 * SOME);
    expect_gt(record.b_first_ns, 0);
    expect_eq(record.end_ns, 0);
    record = sizeless;
    expect_eq(weir_relay_get_record(r->pending, &record), WEIR_EOPTIONSIZE);
    expect_eq(weir_relay_get_record(NULL, &record), -EINVAL);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT(relay_begin, the_record_can_be_asked_for_on_the_way)
{
    relay_rig_pairings(0, RIG_CAN_RESET | RIG_IS_PLAIN, false, ask_on_the_way);
}

static void ignore(void *arg, int err, const struct weir_relay_record *record)
{
}

UNIT_IN(relay_begin, a_call_that_is_refused_changes_nothing, relay_rig_run,
        struct relayed *r)
{
    const struct weir_relay_options sizeless = {.buffer_bytes = 4096};
    weir_transport *t = r->a->t;
    weir_pending *pending;

    expect_eq(weir_relay(t, t, NULL, NULL, NULL, NULL), -EINVAL);
    expect_eq(weir_relay(t, NULL, NULL, NULL, NULL, NULL), -EINVAL);
    expect_eq(weir_relay(t, r->b.t, NULL, NULL, NULL, &pending), -EINVAL);
    expect_eq(weir_relay(t, r->b.t,
                         SIZED(weir_relay_options, .buffer_bytes = 4095),
                         ignore, NULL, NULL),
              -EINVAL);
    expect_eq(weir_relay(t, r->b.t,
                         SIZED(weir_relay_options,
                               .buffer_bytes = (UINT64_C(1) << 30) + 1),
                         ignore, NULL, NULL),
              -EINVAL);
    expect_eq(weir_relay(t, r->b.t,
                         SIZED(weir_relay_options,
                               .b_rate_bytes = (UINT64_C(1) << 40) + 1),
                         ignore, NULL, NULL),
              -EINVAL);
    expect_eq(weir_relay(t, r->b.t, &sizeless, ignore, NULL, NULL),
              WEIR_EOPTIONSIZE);
    rig_peer_send(r->a, SOME);
    rig_wait_received(r->a, SOME);

    relay_rig_begin(r, NULL);
    weir_transport_close(t);
    expect_eq(weir_relay(t, r->b.t, NULL, NULL, NULL, NULL), -ESHUTDOWN);
    expect_eq(relay_rig_end(r), -ECANCELED);
    expect_eq(r->record.ended_by, WEIR_RELAY_PROGRAM);
    expect_eq(relay_rig_end_of(&r->b), -ECONNRESET);
}

UNIT_IN(relay_begin, buffers_that_are_counted_and_not_given_are_refused,
        relay_rig_run, struct relayed *r)
{
    expect_eq(relay_rig_try(r, SIZED(weir_relay_options, .a_initial_count = 1)),
              -EINVAL);
    expect_eq(relay_rig_try(r, SIZED(weir_relay_options, .b_initial_count = 1)),
              -EINVAL);
    relay_rig_begin(r, NULL);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT_IN(relay_begin, sides_of_two_loops_are_refused, relay_rig_run,
        struct relayed *r)
{
    static CALLBACKS(none, STREAM);
    const struct weir_protocol_binding quiet[2] = {{&none, NULL},
                                                   {&none, NULL}};
    weir_transport *ends[2];
    weir_loop *other;

    expect_eq(weir_loop_new(NULL, &other), 0);
    expect_eq(weir_transport_pair(other, quiet, NULL, ends), 0);
    expect_eq(weir_loop_run_once(other), 0);
    expect_eq(weir_relay(r->a->t, ends[0], NULL, NULL, NULL, NULL), -EINVAL);
    expect_eq(weir_relay(ends[0], r->a->t, NULL, NULL, NULL, NULL), -EINVAL);
    expect_eq(weir_loop_free(other), 2);
    relay_rig_begin(r, NULL);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

/* The relay's own bound applies instead. */
UNIT_IN(relay_begin, a_hard_limit_of_the_program_is_lifted, relay_rig_run,
        struct relayed *r)
{
    weir_transport_set_write_hard_limit(r->a->t, 100);
    weir_transport_set_write_hard_limit(r->b.t, 100);
    relay_rig_begin(r, NULL);
    relay_rig_move(r->a, &r->b, SOME, SOME);
    relay_rig_move(&r->b, r->a, SOME, SOME);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT_IN(relay_begin, an_ended_side_is_refused, relay_rig_run, struct relayed *r)
{
    expect_eq(weir_transport_write_eof(r->b.t), 0);
    expect_eq(relay_rig_try(r, NULL), -ESHUTDOWN);
    expect_eq(relay_rig_end_of(&r->b), 0);
    weir_transport_abort(r->a->t);
    expect_eq(relay_rig_try(r, NULL), -ESHUTDOWN);
    weir_transport_abort(r->b.t);
    rig_wait_lost(r->a);
    rig_wait_lost(&r->b);
    r->done_count = 1;
}

UNIT_IN(relay_begin, a_side_keeps_the_relay_as_its_protocol, relay_rig_run,
        struct relayed *r)
{
    const struct weir_protocol_binding binding = {&rig_protocol, r->a};
    weir_transport *t = r->a->t;
    relay_rig_begin(r, NULL);
    expect_eq(weir_transport_set_protocol(t, &binding, NULL, 0), -EOPNOTSUPP);
    expect_eq(weir_relay(t, r->b.t, NULL, NULL, NULL, NULL), -EOPNOTSUPP);

    relay_rig_move(r->a, &r->b, SOME, SOME);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

PAIRS(relay_begin, pipes_and_what_was_not_made_are_refused, rig,
      .needs = RIG_IS_PIPE)
{
    static CALLBACKS(none, STREAM);
    weir_transport *ends[2];
    const struct weir_protocol_binding quiet[2] = {{&none, NULL},
                                                   {&none, NULL}};
    expect_eq(weir_transport_pair(rig->loop, quiet, NULL, ends), 0);
    expect_eq(weir_relay(ends[0], ends[1], NULL, NULL, NULL, NULL), -EBUSY);
    rig_turns(rig, 2);
    expect_eq(weir_relay(ends[0], rig->t, NULL, NULL, NULL, NULL), -EOPNOTSUPP);
    expect_eq(weir_relay(ends[0], ends[1], NULL, NULL, NULL, NULL), 0);
    weir_transport_abort(ends[0]);
    rig_turns(rig, 4);
}

UNIT_IN(relay_begin, the_end_of_the_loop_cancels_it, relay_rig_run,
        struct relayed *r)
{
    relay_rig_begin(r, NULL);
    rig_peer_send(r->a, SOME);
    rig_turn(r->a);
    expect_eq(weir_loop_free(r->a->loop), 2);
    r->a->loop = NULL;
    expect_eq(r->done_count, 1);
    expect_eq(r->done_err, -ECANCELED);
    weir_transport_unref(r->a->t);
}

static uint64_t count_copied(const struct rig *rig)
{
    const struct weir_loop_statistics stats = rig_statistics(rig);
    return stats.copied_by_write + stats.copied_by_view +
           stats.copied_by_compaction + stats.copied_to_protocol;
}

static void copy_nothing(struct relayed *r)
{
    relay_rig_begin(r, NULL);
    relay_rig_move(r->a, &r->b, 100 * PAGE, PAGE);
    relay_rig_move(&r->b, r->a, 100 * PAGE, 10 * PAGE);
    const uint64_t memory = rig_statistics(r->a).memory_bytes;
    relay_rig_move(r->a, &r->b, 500 * PAGE, PAGE);
    relay_rig_move(&r->b, r->a, 500 * PAGE, 10 * PAGE);
    expect_eq(count_copied(r->a), 0);
    /* 4 MiB were relayed; two more buffers may have been in use at once. */
    expect_leq(rig_statistics(r->a).memory_bytes,
               memory + (UINT64_C(513) << 10));
    weir_pending_cancel(r->pending);
    relay_rig_end(r);
}

UNIT(relay_begin, between_plain_sockets_no_byte_is_copied)
{
    relay_rig_pairings(RIG_IS_PLAIN, RIG_IS_PLAIN, false, copy_nothing);
}

UNIT_IN(relay_begin, pieces_of_fewer_than_256_bytes_are_copied, relay_rig_run,
        struct relayed *r)
{
    relay_rig_begin(r, NULL);
    relay_rig_move(r->a, &r->b, 256, 256);
    expect_eq(count_copied(r->a), 0);
    relay_rig_move(r->a, &r->b, 255, 255);
    expect_eq(count_copied(r->a), 255);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

static void stall(struct relayed *r)
{
    static uint8_t bytes[65536];
    int idle = 0;
    relay_rig_begin(r, SIZED(weir_relay_options, .buffer_bytes = 32768));
    while (idle < 5) {
        rig_pattern(bytes, r->a->peer_sent, sizeof(bytes));
        const ssize_t sent =
            send(r->a->peer, bytes, sizeof(bytes), MSG_NOSIGNAL);
        r->a->peer_sent += sent > 0 ? (uint64_t)sent : 0;
        if (sent > 0) {
            idle = 0;
            rig_turns(r->a, 4);
        } else {
            idle++;
            rig_turn_for(r->a, RIG_MS);
        }
        const struct weir_loop_statistics stats = rig_statistics(r->a);
        expect_leq(stats.held_bytes, 2 * 32768);
        expect_leq(stats.queued_bytes, 4 * 32768);
    }
    rig_peer_read(&r->b, r->a->peer_sent);
    weir_pending_cancel(r->pending);
    relay_rig_end(r);
}

UNIT(relay_begin, a_peer_that_does_not_read_holds_a_bounded_number_of_bytes)
{
    relay_rig_pairings(RIG_IS_PLAIN, RIG_HAS_KERNEL, true, stall);
}

static void fill(struct relayed *r, uint64_t *ret_twice)
{
    static uint8_t bytes[65536];

    for (int idle = 0; idle < 20;) {
        const ssize_t sent =
            send(r->a->peer, bytes, sizeof(bytes), MSG_NOSIGNAL);
        if (sent > 0) {
            idle = 0;
            rig_turns(r->a, 4);
        } else {
            idle++;
            rig_turn_for(r->a, RIG_MS);
        }
        const struct weir_loop_statistics stats = rig_statistics(r->a);
        expect_leq(stats.queued_held_bytes, stats.queued_bytes);
        expect_leq(stats.queued_held_bytes, stats.held_bytes);
        if (stats.queued_held_bytes > *ret_twice) {
            *ret_twice = stats.queued_held_bytes;
        }
    }
}

UNIT_IN(relay_begin, the_loop_tells_what_waits_in_it, relay_rig_run,
        struct relayed *r)
{
    uint64_t twice = 0;

    expect_eq(rig_statistics(r->a).queued_held_bytes, 0);
    cr_expect(!dump_has(r->a->loop, "relay "));
    relay_rig_begin(r, SIZED(weir_relay_options, .buffer_bytes = 32768));
    expect_dumped(r->a->loop, "relay open a=open a_bytes=0 b=open b_bytes=0\n");
    fill(r, &twice);
    expect(twice > 0);
    cr_expect(!dump_has(r->a->loop, " a_bytes=0 "));
    expect_dumped(r->a->loop, " b=open b_bytes=0\n");
    weir_pending_cancel(r->pending);
    relay_rig_end(r);
    expect_eq(rig_statistics(r->a).queued_held_bytes, 0);
    cr_expect(!dump_has(r->a->loop, "relay "));
}
