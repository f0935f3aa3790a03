/*
 * weir's limits with slow peers: what a connection may receive while its own
 * bytes, or those of others, are not sent, and that it continues as soon as
 * they are.
 */
#include "lib/loop/loop.h"
#include "subject.h"
#include "tests/bind.h"

#include <weir/connect.h>
#include <weir/stream.h>
#include <weir/task.h>

#define KIB UINT64_C(1024)

static weir_writer *writer;
static ssize_t read_bytes;

static int echo(void *user, weir_transport *t, const struct weir_buf *buf)
{
    received_bytes += buf->len;
    return weir_transport_write(t, buf->data, buf->len);
}

static CALLBACKS(echoes, STREAM, .connection_made = note_made,
                 .data_received = echo, .connection_lost = note_lost);

static int create_stream(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    transport = t;
    return weir_stream_protocol_new(loop, NULL, ret, &writer);
}

static const struct fake_options machine = {.seed = 1};

static void start(const struct weir_protocol *protocol,
                  const struct weir_loop_options *limits)
{
    subject_start(&machine, limits, protocol, NULL);
}

/* The connection is a stream. */
static void start_stream(void)
{
    const struct weir_factory factory = {.create = create_stream};

    fake_start(&machine);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_ok(weir_create_connection_at(
        loop, &factory, weir_endpoint_fd(fake_connected_fd(&peer)), NULL, NULL,
        NULL, NULL));
    clock_run_for(loop, MS);
}

static void stop(void)
{
    subject_stop(lost_count == 0);
}

/* The peer writes as much as the connection takes. */
static void peer_writes_on(void)
{
    static const uint8_t bytes[64 * KIB];

    while (fake_peer_write(peer, bytes, sizeof(bytes)) > 0) {
        clock_run_for(loop, MS / 50);
    }
}

static size_t peer_reads(size_t most)
{
    static uint8_t bytes[64 * KIB];
    const ssize_t len = fake_peer_read(
        peer, bytes, most < sizeof(bytes) ? most : sizeof(bytes));

    return len > 0 ? (size_t)len : 0;
}

/* The most that waited to be sent while the peer read @sip bytes at a time. */
static uint64_t most_queued(size_t sip)
{
    uint64_t most = 0;

    start(&echoes,
          &(struct weir_loop_options){.size = sizeof(struct weir_loop_options),
                                      .queued_limit_bytes = 1024 * KIB});
    for (int i = 0; i < 200; i++) {
        peer_writes_on();
        const uint64_t queued = weir_transport_get_write_buffer_size(transport);
        most = queued > most ? queued : most;
        peer_reads(sip);
        clock_run_for(loop, MS);
    }
    stop();
    return most;
}

UNIT(shares, a_peer_that_takes_bytes_one_by_one_queues_as_one_that_takes_none)
{
    const uint64_t most = most_queued(0);

    expect_leq(most, 512 * KIB);
    expect_leq(most_queued(1), most + 64 * KIB);
    expect_leq(most_queued(4096), most + 64 * KIB);
}

/* Another connection queues so much that only the least share is left. */
UNIT(shares, one_that_was_stuck_receives_once_its_own_bytes_are_sent)
{
    static const uint8_t much[1024 * KIB];
    struct fake_peer *other_peer;
    start(&echoes,
          &(struct weir_loop_options){.size = sizeof(struct weir_loop_options),
                                      .queued_limit_bytes = 1024 * KIB});
    weir_transport *of_peer = transport;
    adopt(loop, &noting, NULL, NULL, &other_peer);
    clock_run_for(loop, MS);
    weir_transport *other = transport;
    transport = of_peer;
    expect_geq(weir_transport_write(other, much, sizeof(much)), 0);
    clock_run_for(loop, MS);
    expect_geq(weir_transport_get_write_buffer_size(other), 512 * KIB);
    peer_writes_on();
    const uint64_t before = received_bytes;

    while (peer_reads(64 * KIB) > 0) {
        clock_run_for(loop, MS);
    }

    expect_gt(received_bytes, before + 16 * KIB);
    weir_transport_abort(other);
    clock_run_for(loop, MS);
    fake_peer_close(other_peer);
    subject_stop(1);
}

/* Else the peer, which writes all of its bytes before it reads, and the
 * connection would wait for each other for ever. */
UNIT(shares, one_that_is_stuck_takes_its_peers_bytes_when_it_is_closed)
{
    static const uint8_t bytes[64 * KIB];
    start(&echoes,
          &(struct weir_loop_options){.size = sizeof(struct weir_loop_options),
                                      .queued_limit_bytes = 1024 * KIB});
    peer_writes_on();
    const uint64_t before = received_bytes;
    expect_leq(fake_peer_write(peer, bytes, sizeof(bytes)), 0);

    expect_eq(weir_transport_close(transport), 0);
    clock_run_for(loop, MS);

    expect_gt(fake_peer_write(peer, bytes, sizeof(bytes)), 0);
    expect_eq(received_bytes, before, "they are dropped");
    weir_transport_abort(transport);
    clock_run_for(loop, MS);
    stop();
}

static void peer_writes_pieces(int count, size_t len)
{
    static const uint8_t bytes[64 * KIB];

    for (int i = 0; i < count; i++) {
        expect_eq(fake_peer_write(peer, bytes, len), (ssize_t)len);
        clock_run_for(loop, MS);
    }
}

UNIT(shares, a_connection_is_fed_when_bytes_that_a_reader_kept_go)
{
    static const uint8_t much[700 * KIB];
    weir_reader *reader;
    keeps = true;
    start(&noting,
          &(struct weir_loop_options){.size = sizeof(struct weir_loop_options),
                                      .held_limit_bytes = 1024 * KIB});
    expect_eq(weir_reader_new(loop, 1024 * KIB, &reader), 0);
    expect_eq(weir_reader_feed_data(reader, much, sizeof(much)), 0);
    peer_writes_pieces(10, 2 * KIB);
    const uint64_t before = received_bytes;
    expect_lt(before, 20 * KIB, "it had more than its share");

    weir_reader_free(reader);
    clock_run_for(loop, MS);

    expect_eq(received_bytes, 20 * KIB);
    stop();
}

UNIT(shares, a_protocol_with_memory_of_its_own_needs_no_credit)
{
    const struct weir_protocol_binding next = {.protocol = &lending};
    keeps = true;
    start(&noting, NULL);
    expect_eq(weir_transport_set_read_buffer_limit(transport, 16 * KIB), 0);
    peer_writes_pieces(10, 4 * KIB);
    expect_leq(received_bytes, 16 * KIB);

    expect_eq(weir_transport_set_protocol(transport, &next, NULL, 0), 0);
    clock_run_for(loop, MS);

    expect_eq(received_bytes, 40 * KIB);
    stop();
}

static int read_much(weir_loop *on, void *arg)
{
    struct weir_buf buf;

    read_bytes = weir_reader_readexactly_view(weir_writer_get_reader(writer),
                                              60000, &buf);
    return 0;
}

UNIT(shares, a_task_is_woken_when_the_limit_falls_below_what_its_reader_holds)
{
    start_stream();
    expect_eq(weir_task_spawn(loop, read_much, NULL, NULL, NULL), 0);
    peer_writes_pieces(8, 5000);

    expect_eq(weir_transport_set_read_buffer_limit(transport, 4 * KIB), 0);
    clock_run_for(loop, MS);
    peer_writes_pieces(8, 5000);
    clock_run_for(loop, 100 * MS);

    expect_eq(read_bytes, 60000);
    weir_writer_unref(writer);
    stop();
}

UNIT(shares, the_limit_of_one_connection_does_not_wake_the_readers_of_others)
{
    struct fake_peer *other_peer;
    start_stream();
    weir_transport *of_reader = transport;
    keeps = true;
    adopt(loop, &noting, NULL, NULL, &other_peer);
    clock_run_for(loop, MS);
    weir_transport *other = transport;
    transport = of_reader;
    expect_eq(weir_task_spawn(loop, read_much, NULL, NULL, NULL), 0);
    peer_writes_pieces(2, 5000);
    cr_assert(wr_list_is_empty(&loop->turn_ends));

    expect_eq(weir_transport_set_read_buffer_limit(other, 4 * KIB), 0);
    cr_assert(wr_list_is_empty(&loop->turn_ends));
    expect_eq(weir_transport_set_read_buffer_limit(transport, 4 * KIB), 0);
    cr_assert(!wr_list_is_empty(&loop->turn_ends));

    peer_writes_pieces(10, 5000);
    clock_run_for(loop, 100 * MS);
    expect_eq(read_bytes, 60000);
    weir_writer_unref(writer);
    weir_transport_abort(other);
    clock_run_for(loop, MS);
    fake_peer_close(other_peer);
    stop();
}
