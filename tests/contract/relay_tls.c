/*
 * Relays between TLS and plain text: which ends are clean.
 *
 * The harness's subject is the plain side. The other side is a TLS connection
 * on the same loop; its far end is a client of weir, whose socket a test shuts
 * down without a close_notify and without the client's knowledge.
 */
#define PAIRS_NEED RIG_BOTH_WAYS | RIG_IS_PLAIN | RIG_CAN_RESET
#include "tests/contract/harness.h"
#include "tests/contract/starting_rig.h"
#include "tests/dump.h"

#include <sys/socket.h>
#include <weir/connect.h>
#include <weir/relay.h>

struct tls_end {
    weir_transport *t;
    bool has_ended;
    bool is_lost;
    int lost_err;
    uint64_t received;
};

static struct tls_end near;
static struct tls_end far;
static struct weir_relay_record record;
static bool is_done;

static void end_made(void *user, weir_transport *t)
{
    ((struct tls_end *)user)->t = weir_transport_ref(t);
}

static int end_received(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    struct tls_end *end = user;
    expect(rig_is_pattern(buf->data, end->received, buf->len));
    end->received += buf->len;
    return 0;
}

static int end_ended(void *user, weir_transport *t)
{
    ((struct tls_end *)user)->has_ended = true;
    return 1;
}

static void end_lost(void *user, weir_transport *t, int err)
{
    struct tls_end *end = user;
    end->is_lost = true;
    end->lost_err = err;
}

static CALLBACKS(end_protocol, STREAM, .connection_made = end_made,
                 .data_received = end_received, .eof_received = end_ended,
                 .connection_lost = end_lost);

static void adopt(struct rig *rig, struct tls_end *end, int fd,
                  bool ignores_eof)
{
    const bool is_server = end == &near;
    const struct weir_factory factory = bind_to(&end_protocol, end);
    const struct weir_tls_settings tls = {
        .size = sizeof(tls),
        .context = tls_context_of(is_server, 13),
        .server_hostname = is_server ? NULL : "localhost",
        .ignore_unexpected_eof = ignores_eof};
    memset(end, 0, sizeof(*end));
    expect_ok(weir_create_connection_at(
        rig->loop, &factory, weir_endpoint_fd(fd),
        SIZED(weir_connect_options, .tls = &tls), NULL, NULL, NULL));
    weir_tls_context_unref(tls.context);
}

static void relay_done(void *arg, int err, const struct weir_relay_record *ret)
{
    struct rig *rig = arg;
    expect_eq(ret->err, err);
    record = *ret;
    is_done = true;
    rig->lost_count = 1; /* for the harness */
}

static void begin_as(struct rig *rig, bool ignores_eof,
                     const struct weir_relay_options *options)
{
    int fds[2];
    rig_open_peer(rig, fds);
    is_done = false;
    adopt(rig, &near, fds[0], ignores_eof);
    adopt(rig, &far, fds[1], false);
    RUN_UNTIL(rig->loop, near.t && far.t);
    expect_eq(weir_relay(near.t, rig->t, options, relay_done, rig, NULL), 0);
}

static void begin(struct rig *rig, bool ignores_eof)
{
    begin_as(rig, ignores_eof, NULL);
}

static void end(struct rig *rig)
{
    RUN_UNTIL(rig->loop, is_done && far.is_lost);
    weir_transport_unref(near.t);
    weir_transport_unref(far.t);
}

static void far_sends(struct rig *rig, size_t len)
{
    static uint8_t bytes[100000];
    rig_pattern(bytes, 0, len);
    expect_eq(weir_transport_write(far.t, bytes, len), 0);
    rig_peer_read(rig, len);
}

static void cut(void)
{
    expect_eq(shutdown(weir_transport_get_socket(far.t), SHUT_WR), 0);
}

static unsigned long long credit_of(const struct rig *rig,
                                    const weir_transport *t)
{
    char fd[32];

    snprintf(fd, sizeof(fd), " fd=%d ", weir_transport_get_socket(t));
    return dump_number(rig->loop, fd, " credit=");
}

static void pass_both_ways(struct rig *rig, size_t len)
{
    rig_peer_send(rig, len);
    RUN_UNTIL(rig->loop, far.received == len);
    far_sends(rig, len);
}

PAIRS(relay_tls, the_program_may_set_the_marks_of_a_side_to_nothing, rig)
{
    const struct weir_water_marks none = {0, 0};

    begin(rig, false);
    expect_ok(weir_transport_set_write_buffer_limits(rig->t, none));
    expect_ok(weir_transport_set_write_buffer_limits(near.t, none));
    pass_both_ways(rig, 65536);
    weir_transport_close(far.t);
    rig_peer_shutdown(rig);
    end(rig);
}

/* 64 KiB of plaintext would become a large segment and a tiny one. Bytes
 * received from the TLS side are not encrypted again. */
PAIRS(relay_tls, what_is_to_be_sealed_is_received_in_smaller_pieces, rig)
{
    begin(rig, false);
    expect_eq(credit_of(rig, rig->t), 32768); /* not yet encrypting */
    expect_eq(credit_of(rig, near.t), 32768); /* the kernel has much space */
    pass_both_ways(rig, 65536);
    expect_eq(credit_of(rig, rig->t), 61440);
    expect_eq(credit_of(rig, near.t), 65536);
    expect_eq(weir_transport_get_write_buffer_limits(near.t).high_bytes, 32768);
    expect_eq(weir_transport_get_write_buffer_limits(rig->t).high_bytes, 65536);
    weir_transport_close(far.t);
    rig_peer_shutdown(rig);
    end(rig);
}

PAIRS(relay_tls, a_cut_is_a_reset_for_the_plain_side, rig)
{
    begin(rig, false);
    far_sends(rig, 1000);
    cut();
    expect_eq(rig_peer_read_end(rig), -ECONNRESET);
    weir_transport_close(far.t);
    end(rig);
    expect_eq(record.err, WEIR_ETLSTRUNCATED);
    expect_eq(record.ended_by, WEIR_RELAY_A);
    expect_eq(record.cause, WEIR_RELAY_ERROR);
}

static void cut_and_end(struct rig *rig)
{
    far_sends(rig, 1000);
    cut();
    expect_eq(rig_peer_read_end(rig), 0);
    rig_peer_shutdown(rig);
    RUN_UNTIL(rig->loop, far.has_ended);
    weir_transport_close(far.t);
    end(rig);
    expect_eq(record.err, 0);
    expect_eq(record.ended_by, WEIR_RELAY_A);
    expect_eq(record.cause, WEIR_RELAY_EOF);
}

PAIRS(relay_tls, a_cut_is_an_end_where_the_settings_say_so, rig)
{
    begin(rig, true);
    cut_and_end(rig);
}

PAIRS(relay_tls, a_cut_is_an_end_where_the_relay_says_so, rig)
{
    begin_as(rig, false,
             SIZED(weir_relay_options, .ignore_unexpected_eof = true));
    cut_and_end(rig);
}

PAIRS(relay_tls, a_close_notify_is_an_end_and_an_end_a_close_notify, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN)
{
    begin(rig, false);
    far_sends(rig, 100000);
    expect_eq(weir_transport_write_eof(far.t), 0);
    expect_eq(rig_peer_read_end(rig), 0);
    rig_peer_send(rig, 1 << 20);
    expect(!far.has_ended);
    rig_peer_shutdown(rig);
    RUN_UNTIL(rig->loop, far.has_ended);
    expect_eq(far.received, 1 << 20);
    expect(!far.is_lost);
    weir_transport_close(far.t);
    end(rig);
    expect_eq(far.lost_err, 0);
    expect_eq(record.err, 0);
}

PAIRS(relay_tls, a_reset_of_the_plain_side_is_no_close_notify, rig)
{
    begin(rig, false);
    rig_peer_send(rig, 1000);
    far_sends(rig, 1000);
    rig_peer_reset(rig);
    end(rig);
    expect(!far.has_ended);
    expect_lt(far.lost_err, 0);
    expect_eq(record.err, -ECONNRESET);
    expect_eq(record.ended_by, WEIR_RELAY_B);
    expect_eq(record.cause, WEIR_RELAY_RESET);
}

STARTING(relay_tls, a_connection_in_its_handshake_is_refused, s)
{
    starting_upgrade(&s->client);

    expect_eq(weir_relay(s->client.t, s->server.t, NULL, NULL, NULL, NULL),
              -EBUSY);

    starting_upgrade(&s->server);
    starting_wait_done(&s->client);
    expect_eq(s->client.done_err, 0);
    starting_end(s);
}
