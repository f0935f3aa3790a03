/*
 * What our own limits and time-outs may do to a peer, on a clock that obeys.
 *
 * Bytes before a reset, the read time-out, the read limit and the write stall:
 * who is waited for, and for how long.
 */
#include "tests/fake/fake.h"
#include "tests/unit.h"

#include <weir.h>

#include <errno.h>

#define MS UINT64_C(1000000)

enum { PIECE = 4096, LIMIT = 8192 };

static weir_loop *loop;
static weir_transport *transport;
static struct fake_peer *peer;
static weir_lease *kept[64];
static int kept_count;
static bool keeps;
static bool pauses;
static uint64_t received_bytes;
static int lost_count;
static int lost_err;
static uint64_t lost_ns;

static void made(void *user, weir_transport *t)
{
    (void)user;
    transport = t;
    if (pauses) {
        weir_transport_pause_reading(t);
    }
}

static int received(void *user, weir_transport *t, const struct weir_buf *buf)
{
    (void)user;
    (void)t;
    received_bytes += buf->len;
    if (keeps) {
        struct weir_buf piece = *buf;
        cr_assert_eq(weir_buf_keep(&piece), 0);
        kept[kept_count++] = piece.lease;
    }
    return 0;
}

static void lost(void *user, weir_transport *t, int err)
{
    (void)user;
    (void)t;
    lost_count++;
    lost_err = err;
    lost_ns = fake_now();
}

static const struct weir_protocol protocol = {.size = sizeof(protocol),
                                              .kind = WEIR_PROTOCOL_STREAM,
                                              .connection_made = made,
                                              .data_received = received,
                                              .connection_lost = lost};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    ret->protocol = &protocol;
    ret->user = arg;
    return 0;
}

static bool is_over(void *arg)
{
    return fake_now() >= *(uint64_t *)arg;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void run_for(uint64_t time_ns)
{
    uint64_t end_ns = fake_now() + time_ns;
    fake_at(end_ns, nothing, NULL);
    struct weir_handle handle;
    cr_assert_eq(weir_loop_call_later(loop, time_ns, nothing, NULL, &handle),
                 0);
    cr_assert_eq(weir_loop_run_until(loop, is_over, &end_ns), 0);
}

static void start(const struct weir_stream_options *stream)
{
    const struct weir_factory factory = {.create = create};
    struct weir_connect_options options = {.size = sizeof(options),
                                           .use_sock = true};
    fake_start(&(struct fake_options){.seed = 1});
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    options.sock = fake_connected_fd(&peer);
    if (stream) {
        options.stream = *stream;
    }
    cr_assert_eq(
        weir_create_connection(loop, &factory, NULL, 0, &options, NULL), 0);
    run_for(MS);
}

static void stop(int alive)
{
    while (kept_count > 0) {
        weir_lease_unref(kept[--kept_count]);
    }
    cr_assert_eq(weir_loop_free(loop), alive);
    fake_peer_close(peer);
    fake_stop();
}

static void peer_writes(size_t len)
{
    static const uint8_t bytes[1u << 16];
    cr_assert_eq(fake_peer_write(peer, bytes, len), (ssize_t)len);
}

UNIT(limits, bytes_before_a_reset_are_delivered_when_reading_goes_on)
{
    pauses = true;
    start(NULL);
    peer_writes(1000);
    fake_peer_reset(peer);
    run_for(MS);
    cr_assert_eq(lost_count, 0, "lost before its bytes were delivered");

    weir_transport_resume_reading(transport);
    run_for(MS);

    cr_assert_eq(received_bytes, 1000);
    cr_assert_eq(lost_count, 1);
    cr_assert_eq(lost_err, -ECONNRESET);
    stop(0);
}

UNIT(limits, a_reset_with_nothing_before_it_is_told_while_paused)
{
    pauses = true;
    start(NULL);
    fake_peer_reset(peer);

    run_for(MS);

    cr_assert_eq(lost_count, 1);
    cr_assert_eq(lost_err, -ECONNRESET);
    stop(0);
}

UNIT(limits, the_read_time_out_rests_while_our_own_limit_keeps_us_from_reading)
{
    struct weir_stream_options stream = {.size = sizeof(stream),
                                         .read_limit_bytes = LIMIT};
    stream.timeouts.size = sizeof(stream.timeouts);
    stream.timeouts.read_ns = 200 * MS;
    keeps = true;
    start(&stream);
    for (int i = 0; i < 4; i++) {
        peer_writes(PIECE);
        run_for(MS);
    }
    cr_assert_leq(received_bytes, 2 * LIMIT);

    run_for(1000 * MS);
    cr_assert_eq(lost_count, 0, "the peer is blamed for our limit");

    while (kept_count > 0) {
        weir_lease_unref(kept[--kept_count]);
    }
    keeps = false;
    run_for(100 * MS);
    cr_assert_eq(received_bytes, 4 * PIECE);
    cr_assert_eq(lost_count, 0);
    run_for(200 * MS);
    cr_assert_eq(lost_count, 1, "it runs again when we read again");
    cr_assert_eq(lost_err, WEIR_EREADTIMEOUT);
    stop(0);
}

UNIT(limits, a_lowered_read_limit_binds_the_receive_that_is_armed)
{
    keeps = true;
    start(NULL);
    peer_writes(1);
    run_for(MS); /* armed for many bytes now */

    weir_transport_set_read_buffer_limit(transport, LIMIT);
    for (int i = 0; i < 8; i++) {
        peer_writes(PIECE);
        run_for(MS);
    }

    cr_assert_leq(weir_transport_get_read_buffer_size(transport), LIMIT);
    stop(1);
}

UNIT(limits, a_write_stall_is_told_when_its_time_is_over)
{
    static const uint8_t bytes[1u << 20];
    struct weir_stream_options stream = {.size = sizeof(stream)};
    stream.timeouts.size = sizeof(stream.timeouts);
    stream.timeouts.write_stall_ns = 800 * MS;
    start(&stream);
    const uint64_t from_ns = fake_now();
    cr_assert_eq(weir_transport_write(transport, bytes, sizeof(bytes)), 0);

    run_for(2000 * MS);

    cr_assert_eq(lost_count, 1);
    cr_assert_eq(lost_err, WEIR_EWRITESTALL);
    cr_assert_geq(lost_ns - from_ns, 800 * MS);
    cr_assert_leq(lost_ns - from_ns, 910 * MS);
    stop(0);
}

UNIT(limits, an_abort_is_a_reset_and_a_close_is_an_end)
{
    char byte;
    start(NULL);
    cr_assert_eq(weir_transport_abort(transport), 0);
    run_for(MS);
    cr_assert_eq(fake_peer_read(peer, &byte, 1), -ECONNRESET);
    stop(0);

    start(NULL);
    cr_assert_eq(weir_transport_close(transport), 0);
    run_for(MS);
    cr_assert_eq(fake_peer_read(peer, &byte, 1), 0);
    stop(0);
}
