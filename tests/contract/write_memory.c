/*
 * Writes without a copy: the caller's memory, and leases.
 *
 * The release callback of write_ref runs exactly once, whatever happens to the
 * bytes, and never while the kernel may still use them. A written lease keeps
 * its bytes until they are sent, and costs no copy.
 */
#include "tests/contract/harness.h"
#include "uring/lease.h"

static void count_release(void *arg)
{
    ((struct rig *)arg)->count++;
}

static uint8_t bytes[4u << 20];

static int write_bytes(struct rig *rig, size_t len)
{
    rig_pattern(bytes, rig->written, len);
    int err = weir_transport_write_ref(rig->t, bytes, len, count_release, rig);
    rig->written += err == 0 ? len : 0;
    return err;
}

PAIRS(write_memory, release_comes_once_the_bytes_are_sent, rig,
      .needs = RIG_SENDS)
{
    expect_eq(write_bytes(rig, 50000), 0);
    expect_eq(rig->count, 0);

    rig_peer_read(rig, 50000);
    rig_wait_sent(rig);

    expect_eq(rig->count, 1);
    if (!rig_can(rig, RIG_IS_MEMORY)) { /* where a relay copies */
        expect_eq(rig_statistics(rig).copied_by_write, 0);
    }
}

PAIRS(write_memory, release_comes_not_before_the_last_byte_is_sent, rig,
      .needs = RIG_SENDS | RIG_IS_PLAIN, .small_buffers = true)
{
    expect_eq(write_bytes(rig, sizeof(bytes)), 0);
    while (rig_pending(rig) > 0) {
        expect_eq(rig->count, 0);
        rig_peer_read_most(rig, 50000);
        rig_turn(rig);
    }

    expect_eq(rig->count, 1);
    rig_peer_read(rig, rig->written - rig->peer_received);
}

PAIRS(write_memory, bytes_that_the_kernel_takes_of_one_send_are_counted_at_once,
      rig, .needs = RIG_SENDS, .small_buffers = true)
{
    expect_eq(write_bytes(rig, 250000), 0);

    RUN_UNTIL(rig->loop, rig_pending(rig) < 250000);

    expect(rig_pending(rig) > 0);
    expect_eq(rig->count, 0);
    rig_peer_read(rig, 250000);
}

PAIRS(write_memory, release_comes_before_the_return_of_a_write_that_fails, rig,
      .needs = RIG_SENDS)
{
    expect_eq(weir_transport_set_write_hard_limit(rig->t, 10), 0);
    expect_eq(write_bytes(rig, 11), -ENOBUFS);
    expect_eq(rig->count, 1);
    expect_eq(weir_transport_take_write_error(rig->t), -ENOBUFS);
    expect_eq(weir_transport_write_eof(rig->t), 0);
    expect_eq(write_bytes(rig, 1), -ESHUTDOWN);
    expect_eq(rig->count, 2);
    expect_eq(weir_transport_abort(rig->t), 0);
    expect_eq(write_bytes(rig, 1), -ESHUTDOWN);
    expect_eq(rig->count, 3);
    rig_wait_lost(rig);

    expect_eq(write_bytes(rig, 1), -ESHUTDOWN);
    expect_eq(rig->count, 4);
}

PAIRS(write_memory, release_comes_before_the_return_when_there_is_nothing, rig,
      .needs = RIG_SENDS)
{
    expect_eq(write_bytes(rig, 0), 0);

    expect_eq(rig->count, 1);
}

PAIRS(write_memory, release_comes_after_an_abort_before_the_loss, rig,
      .needs = RIG_SENDS, .small_buffers = true)
{
    expect_eq(write_bytes(rig, 3u << 20), 0);
    rig_turn_for(rig, 5 * RIG_MS);
    expect(rig_pending(rig) > 0);
    expect_eq(rig->count, 0);

    expect_eq(weir_transport_abort(rig->t), 0);
    expect_eq(rig->count, 0); /* the kernel may still use them */
    rig_wait_lost(rig);

    expect_eq(rig->count, 1);
}

PAIRS(write_memory, release_comes_when_the_loop_is_freed, rig,
      .needs = RIG_SENDS, .small_buffers = true)
{
    expect_eq(write_bytes(rig, 3u << 20), 0);
    rig_turns(rig, 3);
    expect_eq(rig->count, 0);
    weir_transport_unref(rig->t);
    if (rig->server) {
        weir_server_free(rig->server);
    }

    expect_eq(weir_loop_free(rig->loop), rig_alive(rig));
    rig->loop = NULL;

    expect_eq(rig->count, 1);
}

PAIRS(write_memory, release_comes_once_when_the_peer_resets, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET, .small_buffers = true)
{
    expect_eq(write_bytes(rig, 3u << 20), 0);
    rig_turn_for(rig, 5 * RIG_MS);

    rig_peer_reset(rig);
    rig_wait_lost(rig);

    expect_eq(rig->count, 1);
    expect(rig->lost_err == -ECONNRESET || rig->lost_err == -EPIPE);
}

static void write_again(void *arg)
{
    struct rig *rig = arg;
    if (rig->count++ < 5) {
        rig_pattern(bytes, rig->written, 1000);
        rig->written += 1000;
        expect_ok(
            weir_transport_write_ref(rig->t, bytes, 1000, write_again, rig));
    }
}

PAIRS(write_memory, release_may_write_again, rig, .needs = RIG_SENDS)
{
    write_again(rig);

    rig_peer_read(rig, 5000);
    rig_wait_sent(rig);

    expect_eq(rig->count, 6);
}

static void abort_it(void *arg)
{
    struct rig *rig = arg;
    rig->count++;
    expect_eq(weir_transport_abort(rig->t), 0);
}

PAIRS(write_memory, release_may_abort, rig, .needs = RIG_SENDS)
{
    for (int i = 0; i < 3; i++) {
        expect_ok(weir_transport_write_ref(rig->t, bytes, 1000, abort_it, rig));
    }
    rig_wait_lost(rig);

    expect_eq(rig->count, 3);
    expect_eq(rig->lost_err, 0);
}

PAIRS(write_memory, a_write_without_release_is_sent, rig, .needs = RIG_SENDS)
{
    rig_pattern(bytes, 0, 10000);
    expect_eq(weir_transport_write_ref(rig->t, bytes, 10000, NULL, NULL), 0);

    rig_peer_read(rig, 10000);
}

static int echo(struct rig *rig, const struct weir_buf *buf)
{
    expect_eq(weir_transport_write_buf(rig->t, buf), 0);
    return 0;
}

PAIRS(write_memory, an_echo_of_leases_copies_no_byte, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN, .hooks = {.data_received = echo})
{
    for (int i = 0; i < 30; i++) {
        rig_peer_send(rig, 30000);
        rig_peer_read(rig, 30000);
    }

    const struct weir_loop_statistics stats = rig_statistics(rig);
    expect_eq(stats.copied_by_write, 0);
    expect_eq(stats.copied_by_compaction, 0);
    rig_turns(rig, 3);
    expect_eq(rig_statistics(rig).leases, 0);
}

static int echo_the_middle(struct rig *rig, const struct weir_buf *buf)
{
    struct weir_buf part = *buf;
    if (rig->count++ == 0) {
        part.data += 100;
        part.len = 50;
        expect_eq(weir_transport_write_buf(rig->t, &part), 0);
        part.len = 0;
        expect_eq(weir_transport_write_buf(rig->t, &part), 0);
    }
    return 0;
}

PAIRS(write_memory, a_part_of_a_lease_may_be_written, rig,
      .hooks = {.data_received = echo_the_middle})
{
    rig_peer_send(rig, 1000);
    rig->peer_received = 100; /* where the pattern continues */

    rig_peer_read(rig, 50);

    rig_turn_for(rig, 2 * RIG_MS);
    expect_eq(recv(rig->peer, bytes, 1, 0), -1);
}

static int echo_and_count_small(struct rig *rig, const struct weir_buf *buf)
{
    rig->bytes += buf->len < WR_LEASE_LEAST ? buf->len : 0;
    return echo(rig, buf);
}

PAIRS(write_memory, leases_in_the_queue_stop_the_reading_they_came_from, rig,
      .hooks = {.data_received = echo_and_count_small}, .small_buffers = true,
      .connection = {.size = sizeof(struct weir_connection_options),
                     .read_limit_bytes = 100000})
{
    /* Encrypted bytes are not leases: the transport below may have them up to
     * its high mark plus a record. Bytes of a block of up to two records count
     * until the transport below has sent the last of them. */
    const size_t sealed = rig_can(rig, RIG_IS_TLS) ? 65536 + 3 * 16384 : 0;
    for (int idle = 0; idle < 10; idle++) {
        rig_pattern(bytes, rig->peer_sent, 8192);
        const ssize_t sent =
            send(rig->peer, bytes, 8192, MSG_NOSIGNAL | MSG_DONTWAIT);
        rig->peer_sent += sent > 0 ? (uint64_t)sent : 0;
        if (sent > 0) {
            idle = 0;
            rig_turn(rig);
        } else {
            rig_turn_for(rig, RIG_MS); /* until in-flight operations stop */
        }
    }
    /* The size is the sum over stacked transports, each of which has the limit.
     */
    const uint64_t transports =
        1U + rig_can(rig, RIG_IS_TLS) + rig_can(rig, RIG_IS_NESTED);
    expect_leq(weir_transport_get_read_buffer_size(rig->t),
               transports * 100000);
    /* The limit is for leases: small pieces are copied and not charged. */
    expect_leq(rig_pending(rig), 100000 + rig->bytes + sealed);
    expect(rig->received < rig->peer_sent);

    rig_peer_read(rig, rig->peer_sent);

    rig_turns(rig, 3);
    expect_eq(rig_statistics(rig).leases, 0);
}

PAIRS(write_memory, leases_in_the_queue_are_given_back_by_an_abort, rig,
      .hooks = {.data_received = echo}, .small_buffers = true)
{
    rig_clog(rig);
    rig_receive(rig, 3000);
    rig_turn(rig);
    expect_eq(weir_transport_get_read_buffer_size(rig->t), 3000);

    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);

    expect_eq(rig_statistics(rig).leases, 0);
    expect_eq(rig_statistics(rig).held_bytes, 0);
}

static int write_after_close(struct rig *rig, const struct weir_buf *buf)
{
    expect_eq(weir_transport_close(rig->t), 0);
    expect_eq(weir_transport_write_buf(rig->t, buf), -ESHUTDOWN);
    return 0;
}

PAIRS(write_memory, a_lease_written_after_close_is_refused, rig,
      .hooks = {.data_received = write_after_close})
{
    rig_peer_send(rig, 1000);
    rig_wait_lost(rig);

    expect_eq(rig_statistics(rig).leases, 0);
    expect_eq(rig_peer_read_end(rig) > 0, false);
    expect_eq(rig->peer_received, 0);
}
