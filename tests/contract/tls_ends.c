/*
 * The ends of a TLS connection that a peer causes, however it got TLS: each has
 * its own error, after the data received before it, and only a close_notify is
 * an end of stream.
 */
#include "lib/transport/transport.h"
#include "tests/contract/tls_end_rig.h"
#include "tests/dump.h"

#include <fcntl.h>
#include <weir/sendfile.h>

static void expect_broken(struct tls_end *end, int err)
{
    tls_end_wait_lost(end);

    expect_end_events(end, "made data lost");
    expect_eq(end->received, end->sent);
    expect_eq(end->lost_err, err, "%s", weir_err_name(end->lost_err));
    expect_eq(weir_transport_get_error(end->t), err);
    expect_eq(weir_transport_get_end(end->t), WEIR_END_BROKEN);
}

static void expect_ended(struct tls_end *end)
{
    tls_end_wait_lost(end);

    expect_end_events(end, "made data eof lost");
    expect_eq(end->received, 40000);
    expect_eq(end->lost_err, 0);
    expect_eq(weir_transport_get_end(end->t), WEIR_END_EOF);
}

TLS_ENDS(tls_ends, a_close_notify_is_an_end_of_stream, end, .all_ways = true)
{
    tls_peer_write(end, 40000);
    tls_peer_close_notify(end);
    tls_peer_shutdown(end);

    expect_ended(end);
}

TLS_ENDS(tls_ends, r39__a_fin_without_close_notify_is_a_cut, end,
         .all_ways = true)
{
    tls_peer_write(end, 40000);
    tls_peer_shutdown(end);

    expect_broken(end, WEIR_ETLSTRUNCATED);
}

TLS_ENDS(tls_ends, r39__a_fin_without_any_close_notify_is_a_cut, end,
         .all_ways = true)
{
    tls_peer_write(end, 40000);
    tls_peer_cut(end);

    expect_broken(end, WEIR_ETLSTRUNCATED);
}

static void send_without_last_byte(struct tls_end *end)
{
    uint8_t sealed[4096];
    tls_peer_write(end, 40000);
    const size_t len = tls_peer_seal(end, 1000, sealed, sizeof(sealed));
    tls_peer_send(end, sealed, len - 1);
    end->sent -= 1000;
}

TLS_ENDS(tls_ends, a_fin_within_a_record_is_a_cut, end, .all_ways = true)
{
    send_without_last_byte(end);
    tls_peer_shutdown(end);

    expect_broken(end, WEIR_ETLSTRUNCATED);
}

enum { MUCH = 4 << 20 };

static void write_to_deaf(struct tls_end *end)
{
    end->peer.is_deaf = true;
    tls_end_write(end, MUCH);
    tls_peer_write(end, 40000);
}

static void expect_all_and_broken(struct tls_end *end)
{
    end->peer.is_deaf = false;
    tls_end_wait_peer_end(end);
    expect_eq(end->peer.plain, MUCH);
    expect_eq(end->peer.side.engine.state, WR_TLS_ENGINE_RECEIVED_CLOSE);
    expect_broken(end, WEIR_ETLSTRUNCATED);
}

TLS_ENDS(tls_ends, a_cut_is_told_after_all_that_was_written_is_sent, end,
         .all_ways = true, .small_buffers = true)
{
    write_to_deaf(end);
    tls_peer_shutdown(end);
    TLS_END_UNTIL(end, weir_transport_is_closing(end->t));

    expect_eq(weir_transport_write(end->t, "", 1), -ESHUTDOWN);
    expect_all_and_broken(end);
}

TLS_ENDS(tls_ends, a_cut_of_all_is_told_after_all_that_was_written_is_sent, end,
         .all_ways = true, .small_buffers = true)
{
    write_to_deaf(end);
    tls_peer_cut(end);

    expect_all_and_broken(end);
}

/* The network decides when the cut is seen, so nothing may be pending at that
 * time. */
TLS_ENDS(tls_ends, a_cut_is_answered_by_a_close_notify_when_all_is_sent, end,
         .all_ways = true, .small_buffers = true)
{
    tls_end_write(end, MUCH);
    TLS_END_UNTIL(end, end->peer.plain == end->written);
    tls_peer_write(end, 40000);
    tls_peer_cut(end);

    expect_all_and_broken(end);
}

TLS_ENDS(tls_ends, a_cut_after_write_eof_is_told_after_the_data, end,
         .all_ways = true)
{
    tls_end_write(end, 1000);
    expect_eq(weir_transport_write_eof(end->t), 0);
    tls_end_turns(end, 3);
    tls_peer_write(end, 40000);
    tls_peer_cut(end);

    expect_broken(end, WEIR_ETLSTRUNCATED);
    expect_eq(end->peer.plain, 1000);
    expect_eq(end->peer.side.engine.state, WR_TLS_ENGINE_RECEIVED_CLOSE);
}

TLS_ENDS(tls_ends, a_cut_and_a_reset_behind_it_is_a_cut, end,
         .small_buffers = true)
{
    write_to_deaf(end);
    tls_peer_cut(end);
    TLS_END_UNTIL(end, weir_transport_is_closing(end->t));
    tls_peer_reset(end);

    expect_broken(end, WEIR_ETLSTRUNCATED);
}

TLS_ENDS(tls_ends, a_cut_may_be_aborted, end, .small_buffers = true)
{
    write_to_deaf(end);
    tls_peer_cut(end);
    tls_end_wait_received(end, 40000);
    tls_end_turns(end, 3);
    expect_eq(weir_transport_abort(end->t), 0);
    tls_end_wait_lost(end);

    expect_eq(end->lost_err, 0);
    expect_eq(weir_transport_get_end(end->t), WEIR_END_ABORTED);
}

TLS_ENDS(tls_ends, a_fin_may_stand_for_a_close_notify, end, .ignores_eof = true,
         .all_ways = true)
{
    tls_peer_write(end, 40000);
    tls_peer_shutdown(end);

    expect_ended(end);
}

TLS_ENDS(tls_ends, and_all_that_was_written_is_sent_after_it, end,
         .ignores_eof = true, .small_buffers = true)
{
    end->peer.is_deaf = true;
    tls_end_write(end, MUCH);
    tls_peer_cut(end);
    tls_end_turn_for(end, 5 * RIG_MS);
    end->peer.is_deaf = false;
    tls_end_wait_peer_end(end);
    tls_end_wait_lost(end);

    expect_eq(end->peer.plain, MUCH);
    expect_eq(end->lost_err, 0);
    expect_eq(weir_transport_get_end(end->t), WEIR_END_EOF);
}

TLS_ENDS(tls_ends, but_not_within_a_record, end, .ignores_eof = true)
{
    send_without_last_byte(end);
    tls_peer_cut(end);

    expect_broken(end, WEIR_ETLSTRUNCATED);
}

/* The outer TLS reports that bytes may be missing. */
TLS_ENDS(tls_ends, but_not_where_that_is_a_cut_for_the_TLS_below, end,
         .ignores_eof = true, .all_ways = true)
{
    tls_peer_write(end, 40000);
    tls_peer_cut(end);
    if (end->way == TLS_END_NESTED) {
        expect_broken(end, WEIR_ETLSTRUNCATED);
    }
}

TLS_ENDS(tls_ends, but_not_where_that_is_a_cut_below_while_bytes_wait, end,
         .ignores_eof = true, .all_ways = true, .small_buffers = true)
{
    write_to_deaf(end);
    tls_peer_cut(end);
    if (end->way == TLS_END_NESTED) {
        expect_all_and_broken(end);
    }
}

TLS_ENDS(tls_ends, a_reset_is_a_reset, end, .all_ways = true)
{
    tls_peer_write(end, 40000);
    tls_peer_reset(end);

    expect_broken(end, -ECONNRESET);
}

TLS_ENDS(tls_ends, r40__a_fatal_alert_is_named, end, .all_ways = true)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    tls_peer_write(end, 40000);
    tls_peer_alert(end);

    expect_broken(end, WEIR_ETLSALERT);

    expect_eq(weir_transport_get_extra_info(end->t, "tls_error", &info), 0);
    cr_assert_not_null(strstr(info.text, "bad_record_mac"));
    expect_eq(info.len, strlen(info.text));
    expect_eq(info.number, 0);
}

static void pause_it(struct tls_end *end)
{
    expect_eq(weir_transport_pause_reading(end->t), 0);
}

TLS_ENDS(tls_ends, an_alert_before_a_reset_is_told_by_who_has_paused, end,
         .in_made = pause_it)
{
    tls_peer_alert(end);
    tls_peer_reset(end);
    expect_eq(weir_transport_write(end->t, "GET", 3), 0);

    tls_end_wait_lost(end);

    expect_eq(end->lost_err, WEIR_ETLSALERT, "%s",
              weir_err_name(end->lost_err));
}

static void abort_it(void *arg)
{
    expect_eq(weir_transport_abort(arg), 0);
}

/* The memory is released when its bytes are encrypted: they are not sent yet.
 */
TLS_ENDS(tls_ends, an_abort_drops_bytes_that_were_sealed_in_its_turn, end, 0)
{
    static const uint8_t bytes[1000];
    expect_ok(weir_transport_write_ref(end->t, bytes, sizeof(bytes), abort_it,
                                       end->t));
    tls_end_wait_lost(end);

    expect(end->t->has_dropped);
    expect_eq(weir_transport_get_end(end->t), WEIR_END_ABORTED);
}

static void count_file(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct tls_end *end = arg;

    expect(t == end->t);
    expect_eq(err, 0);
    expect_eq(sent, 1000);
    expect_end_events(end, "made");
    end->count++;
}

/* The connection is lost in the iteration in which done is called. */
TLS_ENDS(tls_ends, a_reset_may_come_before_the_program_knows_of_its_file, end,
         0)
{
    const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    end->peer.is_deaf = true;
    expect_eq(weir_transport_sendfile(end->t, fd, 0, 1000, count_file, end), 0);
    TLS_END_UNTIL(end, dump_has(end->loop, "file=done"));
    expect_eq(end->count, 0);

    tls_peer_reset(end);
    tls_end_wait_lost(end);

    expect_eq(end->count, 1);
    expect_eq(end->lost_err, -ECONNRESET);
    expect_end_events(end, "made lost");
    close(fd);
}
