/*
 * Relays that splice: large transfers between two sockets inside the kernel.
 *
 * The peers are plain descriptors of TCP and Unix sockets, in every pairing.
 * The tests of relays.c and relay_begin.c also run with splicing relays; here
 * an event occurs during a large transfer. The record shows that bytes were
 * spliced, so no test passes because none were.
 */
#include "tests/contract/relay_rig.h"
#include "uring/sys.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <weir/inspect.h>
#include <weir/pair.h>
#include <weir/protocol.h>

enum { KIB = 1024, MIB = KIB * KIB };
/* Bytes that a side which reads nothing lets the other side send, besides the
 * kernel's queues: the buffer, a spliced piece, and what small writes may
 * add. */
enum { BUFFER = 64 * KIB, HELD_MOST = 2 * BUFFER + 256 * KIB };

static const struct weir_relay_options splices = {.size = sizeof(splices),
                                                  .splice = true};

static struct weir_relay_record look(const struct relayed *r)
{
    struct weir_relay_record record = {.size = sizeof(record)};
    expect_eq(weir_relay_get_record(r->pending, &record), 0);
    return record;
}

static void offer(struct rig *from, uint64_t len)
{
    static uint8_t buf[64 * KIB];
    ssize_t sent = 1;

    for (; len > 0 && sent > 0; len -= sent > 0 ? (uint64_t)sent : 0) {
        const size_t part = len < sizeof(buf) ? (size_t)len : sizeof(buf);
        rig_pattern(buf, from->peer_sent, part);
        sent = send(from->peer, buf, part, MSG_NOSIGNAL | MSG_DONTWAIT);
        from->peer_sent += sent > 0 ? (uint64_t)sent : 0;
    }
}

/* Moves @len bytes from one side's peer to the other's. All bytes that fit wait
 * in the kernel before each round and leave it within the round, because small
 * receives from a full queue would start no bulk mode. */
static void pour(struct rig *from, struct rig *to, uint64_t len)
{
    const uint64_t end = from->peer_sent + len;
    const uint64_t end_ns = rig_now_ns() + RIG_WAIT_NS;

    while (to->peer_received < end) {
        int there = 0;
        expect_lt(rig_now_ns(), end_ns);
        offer(from, end - from->peer_sent);
        rig_turns(from, 16);
        expect_eq(ioctl(to->peer, FIONREAD, &there), 0);
        rig_peer_read(to, (uint64_t)there);
    }
}

/* Without large receive buffers no transfer counts as bulk, and nothing is
 * spliced. */
static bool has_bulk(const struct relayed *r)
{
    char text[4096];
    weir_loop_get_features_text(r->a->loop, text, sizeof(text));
    return strstr(text, "buf_inc          6.12  yes") != NULL;
}

/* Lets enough bytes wait in the side's socket for a splice. By itself a TCP
 * socket does so only after it has measured a short round trip. */
static void let_bytes_wait(const struct rig *rig)
{
    const int fd = weir_transport_get_socket(rig->t);
    const int bytes = 212992; /* the usual net.core.rmem_max */

    expect_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
}

static void pour_until_spliced(struct relayed *r, bool is_a)
{
    struct rig *from = is_a ? r->a : &r->b;
    struct rig *to = is_a ? &r->b : r->a;
    const struct weir_relay_record before = look(r);
    const uint64_t end_ns = rig_now_ns() + RIG_WAIT_NS;
    struct weir_relay_record now;

    let_bytes_wait(from);
    do {
        expect_lt(rig_now_ns(), end_ns);
        pour(from, to, 4 * MIB);
        now = look(r);
    } while (has_bulk(r) &&
             (is_a ? now.a_spliced_bytes == before.a_spliced_bytes
                   : now.b_spliced_bytes == before.b_spliced_bytes));
}

static void move_until_spliced(struct relayed *r)
{
    pour_until_spliced(r, true);
}

static void move_both_ways(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    relay_rig_move(r->a, &r->b, 5, 5);
    move_until_spliced(r);
    pour_until_spliced(r, false);
    move_until_spliced(r);
    rig_peer_shutdown(r->a);
    expect_eq(relay_rig_end_of(&r->b), 0);
    pour_until_spliced(r, false);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end_of(r->a), 0);
    expect_eq(relay_rig_end(r), 0);

    expect_eq(r->record.cause, WEIR_RELAY_EOF);
    expect_eq(r->record.a_bytes, r->a->peer_sent);
    expect_eq(r->record.b_bytes, r->b.peer_sent);
    expect_eq(r->record.a_spliced_bytes > 0, has_bulk(r));
    expect_lt(r->record.a_spliced_bytes, r->record.a_bytes);
    expect_eq(r->record.b_spliced_bytes > 0, has_bulk(r));
    expect_lt(r->record.b_spliced_bytes, r->record.b_bytes);
}

UNIT(relay_splice, bulk_and_ends_go_both_ways_between_any_two_sockets)
{
    relay_rig_splicing(0, 0, move_both_ways);
}

/* The sockets block and SIGPIPE is raised, as before a burst of pieces. */
static void look_behind_bursts(struct relayed *r)
{
    const weir_transport *const sides[] = {r->a->t, r->b.t};
    sigset_t blocked;
    int flags[2];

    for (int i = 0; i < 2; i++) {
        flags[i] = fcntl(weir_transport_get_socket(sides[i]), F_GETFL);
    }
    relay_rig_begin(r, &splices);
    move_until_spliced(r);
    for (int i = 0; i < 2; i++) {
        expect_eq(fcntl(weir_transport_get_socket(sides[i]), F_GETFL),
                  flags[i]);
    }
    expect_eq(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    expect_eq(sigismember(&blocked, SIGPIPE), 0);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT(relay_splice, a_burst_leaves_sockets_and_signals_as_they_were)
{
    relay_rig_run(look_behind_bursts);
}

UNIT(relay_splice, a_splice_to_a_peer_that_is_gone_raises_no_signal)
{
    struct wr_sys_splices between;
    int from[2];
    int to[2];
    int ends[2];
    signal(SIGPIPE, SIG_DFL);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, from), 0);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, to), 0);
    expect_eq(wr_sys_pipe_nonblock(ends), 0);
    expect_eq(write(from[1], "x", 1), 1);
    close(to[1]);

    expect_eq(wr_sys_begin_splices(&between, from[0], to[0]), 0);
    expect_eq(wr_sys_splice_in(&between, ends[1], 1), 1);
    expect_eq(wr_sys_splice_out(&between, ends[0], 1), -EPIPE);
    wr_sys_end_splices(&between);

    close(to[0]);
    for (int i = 0; i < 2; i++) {
        close(from[i]);
        close(ends[i]);
    }
}

/* The statistics count spliced bytes as received and as sent. The peer can have
 * the last of them before the loop sees the completion that counts them. */
static void count_bytes(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    move_until_spliced(r);
    const uint64_t end_ns = rig_now_ns() + RIG_WAIT_NS;
    while (rig_statistics(r->a).sent_bytes < r->a->peer_sent) {
        expect_lt(rig_now_ns(), end_ns);
        rig_turns(r->a, 3);
    }
    const struct weir_loop_statistics statistics = rig_statistics(r->a);
    expect_eq(statistics.received_bytes, r->a->peer_sent);
    expect_eq(statistics.sent_bytes, r->a->peer_sent);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT(relay_splice, spliced_bytes_are_received_and_sent)
{
    relay_rig_run(count_bytes);
}

static void talk(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    move_until_spliced(r);
    const uint64_t before = look(r).a_spliced_bytes;
    for (int i = 0; i < 100; i++) {
        relay_rig_move(r->a, &r->b, 100 + (uint64_t)i, KIB);
        relay_rig_move(&r->b, r->a, 20 * KIB, 20 * KIB);
    }
    expect_eq(look(r).a_spliced_bytes, before);
    expect_eq(look(r).b_spliced_bytes, 0);
    move_until_spliced(r);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT(relay_splice, messages_after_bulk_are_copied_and_bulk_is_spliced_again)
{
    relay_rig_splicing(0, 0, talk);
}

/* A splice stops before urgent data, which looks like the end. */
static void send_urgent(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    move_until_spliced(r);
    for (int i = 0; i < 10; i++) {
        offer(r->a, MIB);
        expect_eq(send(r->a->peer, "!", 1, MSG_OOB), 1);
        pour(r->a, &r->b, MIB);
    }
    rig_peer_shutdown(r->a);
    expect_eq(relay_rig_end_of(&r->b), 0);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end(r), 0);
    expect_eq(r->record.a_bytes, r->a->peer_sent);
}

UNIT(relay_splice, urgent_bytes_in_bulk_are_skipped_and_end_nothing)
{
    relay_rig_run(send_urgent);
}

static void reset_a(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    move_until_spliced(r);
    offer(r->a, 4 * MIB);
    rig_peer_reset(r->a);
    expect_eq(relay_rig_end_of(&r->b),
              rig_can(&r->b, RIG_CAN_RESET) ? -ECONNRESET : 0);
    expect_eq(relay_rig_end(r), -ECONNRESET);
    expect_eq(r->record.ended_by, WEIR_RELAY_A);
    expect_eq(r->record.cause, WEIR_RELAY_RESET);
}

UNIT(relay_splice, a_reset_behind_bulk_is_passed_on)
{
    relay_rig_splicing(RIG_CAN_RESET, 0, reset_a);
}

static void reset_b(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    move_until_spliced(r);
    offer(r->a, 4 * MIB);
    rig_peer_reset(&r->b);
    const int err = relay_rig_end_of(r->a);
    expect(err == -ECONNRESET || err == -EPIPE ||
           (err == 0 && !rig_can(r->a, RIG_CAN_RESET)));
    expect_eq(relay_rig_end(r), -ECONNRESET);
    expect_eq(r->record.ended_by, WEIR_RELAY_B);
    expect_eq(r->record.cause, WEIR_RELAY_RESET);
}

UNIT(relay_splice, a_reset_of_the_side_that_takes_bulk_is_passed_back)
{
    relay_rig_splicing(0, RIG_CAN_RESET, reset_b);
}

static void cancel(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    move_until_spliced(r);
    offer(r->a, 4 * MIB);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
    expect_eq(relay_rig_end_of(&r->b),
              rig_can(&r->b, RIG_CAN_RESET) ? -ECONNRESET : 0);
}

UNIT(relay_splice, a_cancellation_in_bulk_aborts_both_sides)
{
    relay_rig_splicing(0, 0, cancel);
}

/* The second side still sends the bytes that it has when the first has ended;
 * its own transfer is discarded. */
static void end_at_once(struct relayed *r)
{
    struct weir_relay_options options = splices;
    options.close_at_first_end = true;

    relay_rig_begin(r, &options);
    move_until_spliced(r);
    offer(r->a, 4 * MIB);
    rig_peer_shutdown(r->a);
    expect_eq(relay_rig_end_of(&r->b), 0);
    expect_eq(r->b.peer_received, r->a->peer_sent);
    expect_eq(relay_rig_end_of(r->a), 0);
    expect_eq(relay_rig_end(r), 0);
    expect_eq(r->record.a_bytes, r->a->peer_sent);
}

UNIT(relay_splice, what_was_spliced_is_sent_before_a_close)
{
    relay_rig_splicing(0, 0, end_at_once);
}

static bool is_stuck(const struct relayed *r, uint64_t *bytes)
{
    const uint64_t now = look(r).a_bytes;
    const bool is_same = now == *bytes;
    *bytes = now;
    return is_same;
}

static void stop_and_go_on(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    move_until_spliced(r);
    for (int i = 0; i < 3; i++) {
        uint64_t bytes = 0;

        for (int idle = 0; idle < 5;) {
            const uint64_t sent = r->a->peer_sent;
            offer(r->a, MIB);
            rig_turn_for(r->a, sent < r->a->peer_sent ? 0 : RIG_MS);
            idle = is_stuck(r, &bytes) ? idle + 1 : 0;
            expect_leq(weir_transport_get_write_buffer_size(r->b.t), HELD_MOST);
            expect_leq(weir_transport_get_read_buffer_size(r->a->t), HELD_MOST);
        }
        rig_peer_read(&r->b, r->a->peer_sent - r->b.peer_received);
    }
    rig_peer_shutdown(r->a);
    expect_eq(relay_rig_end_of(&r->b), 0);
    rig_peer_shutdown(&r->b);
    expect_eq(relay_rig_end(r), 0);
    expect_eq(r->record.a_bytes, r->a->peer_sent);
}

UNIT(relay_splice, a_side_that_takes_nothing_holds_the_other_and_goes_on)
{
    relay_rig_splicing(RIG_IS_NAMELESS, RIG_HAS_ADDRESSES, stop_and_go_on);
    relay_rig_splicing(RIG_HAS_ADDRESSES, RIG_IS_NAMELESS, stop_and_go_on);
}

static void offer_for_a_while(struct rig *from)
{
    offer(from, MIB);
    rig_turn_for(from, RIG_MS);
}

static void stall(struct relayed *r)
{
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .write_stall_ns = 50 * RIG_MS};

    relay_rig_begin(r, &splices);
    move_until_spliced(r);
    expect_eq(weir_transport_set_timeouts(r->b.t, &limits), 0);
    TURN_UNTIL(offer_for_a_while(r->a), r->done_count > 0);
    expect_eq(r->done_err, WEIR_EWRITESTALL);
    expect_eq(r->record.ended_by, WEIR_RELAY_B);
    expect_eq(r->record.cause, WEIR_RELAY_TIMEOUT);
}

UNIT(relay_splice, a_stall_of_the_side_that_takes_bulk_is_noticed)
{
    relay_rig_run(stall);
}

static uint64_t seen;

static void see(void *arg, enum weir_relay_party from,
                const struct weir_buf *buf)
{
    expect_eq(from, WEIR_RELAY_A);
    seen += buf->len;
}

static void move_seen(struct relayed *r)
{
    struct weir_relay_options options = splices;
    options.tap = see;

    seen = 0;
    relay_rig_begin(r, &options);
    pour(r->a, &r->b, 16 * MIB);
    expect_eq(seen, 16 * MIB);
    expect_eq(look(r).a_spliced_bytes, 0);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT(relay_splice, a_tap_sees_all_bytes)
{
    relay_rig_run(move_seen);
}

/* The other direction has no rate limit. */
static void move_slowly(struct relayed *r)
{
    struct weir_relay_options options = splices;
    options.b_rate_bytes = UINT64_C(1) << 30;

    relay_rig_begin(r, &options);
    pour(&r->b, r->a, 16 * MIB);
    expect_eq(look(r).b_spliced_bytes, 0);
    move_until_spliced(r);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT(relay_splice, a_way_with_a_rate_is_copied)
{
    relay_rig_run(move_slowly);
}

static void move_other(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    pour(r->a, &r->b, 4 * MIB);
    pour(&r->b, r->a, 4 * MIB);
    expect_eq(look(r).a_spliced_bytes, 0);
    expect_eq(look(r).b_spliced_bytes, 0);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT(relay_splice, tls_and_memory_are_copied)
{
    relay_rig_pairings(RIG_IS_PLAIN | RIG_HAS_ADDRESSES, RIG_IS_MEMORY, false,
                       move_other);
    relay_rig_pairings(RIG_IS_TLS, RIG_IS_PLAIN | RIG_IS_NAMELESS, false,
                       move_other);
}

static rlim_t limit_descriptors(rlim_t limit)
{
    struct rlimit value;

    expect_eq(getrlimit(RLIMIT_NOFILE, &value), 0);
    const rlim_t before = value.rlim_cur;
    value.rlim_cur = limit;
    expect_eq(setrlimit(RLIMIT_NOFILE, &value), 0);
    return before;
}

static void move_without_pipe(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    const int next = fcntl(r->a->peer, F_DUPFD_CLOEXEC, 0);
    close(next);
    const rlim_t before = limit_descriptors((rlim_t)next + 1); /* one of two */
    pour(r->a, &r->b, 16 * MIB);
    expect_eq(look(r).a_spliced_bytes, 0);
    limit_descriptors(before);
    move_until_spliced(r);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT(relay_splice, without_descriptors_for_a_pipe_bytes_are_copied)
{
    relay_rig_run(move_without_pipe);
}

static int count_descriptors(int probe)
{
    int count = 0;
    for (int fd = 0; fd <= probe; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void give_back(struct relayed *r)
{
    relay_rig_begin(r, &splices);
    const int before = count_descriptors(1000);
    const int ends = has_bulk(r) ? 2 : 0;
    move_until_spliced(r);
    expect_eq(count_descriptors(1000), before + ends);
    weir_loop_trim(r->a->loop);
    expect_eq(count_descriptors(1000), before);
    move_until_spliced(r);
    expect_eq(count_descriptors(1000), before + ends);
    weir_pending_cancel(r->pending);
    expect_eq(relay_rig_end(r), -ECANCELED);
}

UNIT(relay_splice, a_loop_has_one_pipe_and_gives_it_back)
{
    relay_rig_run(give_back);
}
