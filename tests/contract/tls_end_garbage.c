/*
 * Peers that send no TLS, or too much, or stop half-way: each is refused with
 * an error that names the fault, uses no memory afterwards, and harms no other
 * connection.
 */
#include "tests/contract/tls_end_rig.h"

static const uint8_t request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/* A record that claims one byte more than allowed. */
static const uint8_t oversize[64] = {22, 3, 3, 0x41, 1};
static const uint8_t oversize_data[64] = {23, 3, 3, 0x41, 1};
static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 40};

#define SEND(end, bytes) tls_peer_send(end, bytes, sizeof(bytes))

static void expect_failed(struct tls_end *end, int err)
{
    tls_end_wait_done(end);
    tls_end_turns(end, 3);

    expect_eq(end->done_err, err, "%s", weir_err_name(end->done_err));
    expect_eq(end->done_count, 1);
    expect_end_events(end, "");
    expect_eq(end->report_count, 0);
}

TLS_ENDS(tls_end_garbage, r32__text_instead_of_a_hello_is_no_tls, end,
         .no_handshake = true)
{
    SEND(end, request);

    expect_failed(end, WEIR_ETLSPROTOCOL);
}

TLS_ENDS(tls_end_garbage, r32__an_oversize_record_in_the_handshake_is_refused,
         end, .no_handshake = true)
{
    end->peer.is_deaf = true;
    tls_end_turn(end);
    SEND(end, oversize);

    expect_failed(end, WEIR_ETLSPROTOCOL);
}

TLS_ENDS(tls_end_garbage, r32__an_alert_in_the_handshake_is_named, end,
         .no_handshake = true)
{
    end->peer.is_deaf = true;
    tls_end_turn(end);
    SEND(end, alert);

    expect_failed(end, WEIR_ETLSALERT);
}

TLS_ENDS(tls_end_garbage, r32__an_end_in_the_handshake_is_a_cut, end,
         .no_handshake = true)
{
    end->peer.is_deaf = true;
    tls_end_turn(end);
    tls_peer_shutdown(end);

    expect_failed(end, WEIR_ETLSTRUNCATED);
}

TLS_ENDS(tls_end_garbage, r32__a_reset_in_the_handshake_is_a_reset, end,
         .no_handshake = true)
{
    end->peer.is_deaf = true;
    tls_end_turn(end);
    tls_peer_reset(end);

    expect_failed(end, -ECONNRESET);
}

TLS_ENDS(tls_end_garbage, r32__a_stalled_handshake_has_a_limit, end,
         .no_handshake = true, .handshake_timeout_ns = 20 * RIG_MS)
{
    end->peer.is_deaf = true;

    expect_failed(end, WEIR_ETLSTIMEOUT);
}

static const uint8_t *endless_record(bool to_server)
{
    static uint8_t record[5 + 16384];
    const uint8_t begin[] = {22, 3, 3, 0x40, 0, 0, 255, 255, 255, 3, 3};

    memcpy(record, begin, sizeof(begin));
    record[5] = to_server ? 1 : 2; /* ClientHello, ServerHello */
    return record;
}

/* A message that claims to have 16 MiB. */
TLS_ENDS(tls_end_garbage, r32__an_endless_message_is_refused_in_time, end,
         .no_handshake = true)
{
    const uint8_t *record = endless_record(!end->is_client);
    end->peer.is_deaf = true;
    tls_end_turns(end, 2);
    const uint64_t before = statistics_of(end->loop).memory_bytes;

    tls_peer_send(end, record, 5 + 16384);
    for (int i = 0; i < 20 && end->done_count == 0; i++) {
        tls_end_turn(end);
        expect_lt(statistics_of(end->loop).memory_bytes, before + (96u << 10));
    }

    expect_failed(end, WEIR_ETLSPROTOCOL);
}

static struct {
    uint8_t bytes[4096]; /* a hello with X25519MLKEM768 has 1,500 */
    size_t len;
} told;

static bool is_told(const struct tls_end *end)
{
    ssize_t len;

    while ((len = recv(end->peer.fd, told.bytes + told.len,
                       sizeof(told.bytes) - told.len, 0)) > 0) {
        told.len += (size_t)len;
    }
    return len == 0 || errno != EAGAIN;
}

/* The peer gets the reason: the alert is sent before the end (gh-98078). */
TLS_ENDS(tls_end_garbage, complaint_40__a_refusal_tells_the_peer, end,
         .no_handshake = true)
{
    const uint8_t unknown[] = {22, 3, 3, 0, 4, 99, 0, 0, 0};
    end->peer.is_deaf = true;
    SEND(end, unknown);
    expect_failed(end, WEIR_ETLSPROTOCOL);

    told.len = 0; /* a client has sent its hello before */
    TLS_END_UNTIL(end, is_told(end));

    expect_geq(told.len, 7);
    expect_eq(told.bytes[told.len - 7], 21);
    expect_eq(told.bytes[told.len - 2], 2);
}

TLS_ENDS(tls_end_garbage, r35__an_attempt_can_be_given_up_in_its_handshake, end,
         .no_handshake = true)
{
    tls_peer_step(end);
    tls_end_turns(end, 2);
    end->peer.is_deaf = true;

    weir_pending_cancel(end->attempt);

    expect_failed(end, -ECANCELED);
    end->peer.is_deaf = false;
    tls_end_wait_peer_end(end);
}

TLS_ENDS(tls_end_garbage, a_loop_may_be_freed_in_a_handshake, end,
         .no_handshake = true)
{
    tls_end_turns(end, 2);

    expect_eq(weir_loop_free(end->loop), 1);

    expect_eq(end->done_count, 1);
    expect_eq(end->done_err, -ECANCELED);
    expect_end_events(end, "");
    expect_eq(weir_loop_new(NULL, &end->loop), 0);
}

static void expect_broken(struct tls_end *end)
{
    tls_end_wait_lost(end);

    expect_end_events(end, "made data lost");
    expect_eq(end->received, 1000);
    expect_eq(end->lost_err, WEIR_ETLSPROTOCOL, "%s",
              weir_err_name(end->lost_err));
    expect_eq(weir_transport_get_end(end->t), WEIR_END_BROKEN);
    expect_eq(end->report_count, 0);
}

TLS_ENDS(tls_end_garbage, text_on_an_open_connection_breaks_it, end, 0)
{
    tls_peer_write(end, 1000);
    SEND(end, request);

    expect_broken(end);
}

static void write_there(struct tls_end *end)
{
    tls_end_write(end, 5000);
}

static void break_it(struct tls_end *end, const void *garbage, size_t size)
{
    tls_end_turns(end, 2);
    tls_peer_write(end, 1000);
    tls_peer_send(end, garbage, size);

    expect_broken(end);
    TLS_END_UNTIL(end, end->peer.side.engine.state == WR_TLS_ENGINE_FAILED);
    expect_eq(end->peer.plain, 5000);
}

TLS_ENDS(tls_end_garbage, what_was_written_before_text_came_arrives, end,
         .in_made = write_there)
{
    break_it(end, request, sizeof(request));
}

TLS_ENDS(tls_end_garbage, what_was_written_arrives_before_the_alert, end,
         .in_made = write_there)
{
    break_it(end, oversize_data, sizeof(oversize_data));
    expect_eq(end->peer.side.result, WEIR_ETLSALERT);
}

TLS_ENDS(tls_end_garbage, an_oversize_record_on_an_open_connection_breaks_it,
         end, 0)
{
    tls_peer_write(end, 1000);
    SEND(end, oversize_data);

    expect_broken(end);
}

TLS_ENDS(tls_end_garbage, r40__what_was_altered_breaks_the_connection, end, 0)
{
    uint8_t sealed[4096];
    tls_peer_write(end, 1000);
    const size_t len = tls_peer_seal(end, 1000, sealed, sizeof(sealed));
    sealed[len - 1] ^= 1;
    tls_peer_send(end, sealed, len);

    tls_end_wait_lost(end);

    expect_end_events(end, "made data lost");
    expect_eq(end->received, 1000);
    expect_eq(end->lost_err, WEIR_ETLSRECORD);
    tls_end_wait_peer_end(end); /* alert that the peer gets: bad_record_mac */
    expect_eq(end->peer.side.engine.err, WEIR_ETLSALERT);
    expect_eq(wr_tls_engine_get_alert_received(&end->peer.side.engine), 20);
}

TLS_ENDS(tls_end_garbage, r31__data_may_come_with_the_end_of_the_handshake, end,
         .no_handshake = true)
{
    tls_peer_begin(end);
    TLS_END_UNTIL(end,
                  end->peer.side.engine.state ==
                      WR_TLS_ENGINE_OPEN); /* its last message is in flight */
    tls_peer_write(end, 30000);
    tls_peer_close_notify(end);
    tls_peer_shutdown(end);

    tls_end_wait_lost(end);

    expect_end_events(end, "made data eof lost");
    expect_eq(end->received, 30000);
    expect_eq(end->done_err, 0);
    expect_eq(end->lost_err, 0);
}
