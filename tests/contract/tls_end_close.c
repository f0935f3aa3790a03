/*
 * Closing a TLS connection: all written bytes are sent, whatever the peer does
 * meanwhile.
 *
 * A close that waits for the peer's close_notify reports the peer's end, and a
 * close that does not wait is not disturbed by the peer.
 */
#include "tests/contract/tls_end_rig.h"

#define WAITS .shutdown_timeout_ns = 20 * RIG_S
#define CLOGS WAITS, .small_buffers = true

static void send_garbage(struct tls_end *end)
{
    tls_peer_send(end, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35);
}

static void close_it(struct tls_end *end)
{
    expect_eq(weir_transport_close(end->t), 0);
}

static void expect_closed(struct tls_end *end, int err)
{
    tls_end_wait_lost(end);

    expect_eq(end->lost_err, err, "%s", weir_err_name(end->lost_err));
    expect_eq(weir_transport_get_end(end->t), WEIR_END_CLOSED);
    expect_end_events(end, "made lost");
}

static void expect_all_sent(struct tls_end *end)
{
    tls_end_wait_peer_end(end);
    expect_eq(end->peer.plain, end->written);
    expect_eq(end->peer.side.result, 0);
    expect_eq(end->peer.end, 0);
}

static void close_clogged(struct tls_end *end)
{
    tls_end_clog(end);
    close_it(end);
    tls_end_turns(end, 3);
    expect_end_events(end, "made");
}

static void read_on(struct tls_end *end)
{
    tls_end_turn_for(end, 10 * RIG_MS);
    end->peer.is_deaf = false;
}

TLS_ENDS(tls_end_close, with_bytes_queued_sends_them_after_the_peers_fin, end,
         CLOGS)
{
    close_clogged(end);
    tls_peer_shutdown(end);
    read_on(end);

    expect_closed(end, WEIR_ETLSTRUNCATED);
    expect_all_sent(end);
}

TLS_ENDS(tls_end_close, with_bytes_queued_sends_them_after_a_close_notify, end,
         CLOGS)
{
    close_clogged(end);
    tls_peer_close_notify(end);
    tls_peer_shutdown(end);
    read_on(end);

    expect_closed(end, 0);
    expect_all_sent(end);
}

TLS_ENDS(tls_end_close, with_bytes_queued_says_that_the_peer_sent_an_alert, end,
         CLOGS)
{
    close_clogged(end);
    tls_peer_alert(end);
    read_on(end);

    expect_closed(end, WEIR_ETLSALERT);
}

TLS_ENDS(tls_end_close, with_bytes_queued_says_that_the_peer_sent_garbage, end,
         CLOGS)
{
    close_clogged(end);
    send_garbage(end);
    read_on(end);

    expect_closed(end, WEIR_ETLSPROTOCOL);
}

TLS_ENDS(tls_end_close, that_does_not_wait_sends_all_whatever_comes, end,
         .small_buffers = true)
{
    close_clogged(end);
    send_garbage(end);
    tls_peer_shutdown(end);
    read_on(end);

    expect_closed(end, 0);
    expect_all_sent(end);
}

TLS_ENDS(tls_end_close, discards_what_the_peer_sends_while_bytes_are_queued,
         end, CLOGS)
{
    close_clogged(end);
    tls_peer_write(end, 300000); /* more than the kernel accepts */
    tls_peer_close_notify(end);
    read_on(end);

    expect_closed(end, 0);
    expect_all_sent(end);
    expect_eq(end->received, 0);
}

TLS_ENDS(tls_end_close, is_told_of_a_reset_behind_the_peers_close_notify, end,
         .stays_open = true, .small_buffers = true)
{
    tls_peer_close_notify(end);
    send_garbage(end);
    TLS_END_UNTIL(end, strstr(end->events, "eof") != NULL);
    tls_end_clog(end);
    close_it(end);
    send_garbage(end);
    tls_end_turns(end, 3);
    tls_peer_reset(end);

    tls_end_wait_lost(end);

    expect(end->lost_err == -ECONNRESET || end->lost_err == -EPIPE);
    expect_end_events(end, "made eof lost");
}

static void close_and_wait(struct tls_end *end)
{
    tls_end_write(end, 1000);
    close_it(end);
    TLS_END_UNTIL(end,
                  end->peer.side.engine.state == WR_TLS_ENGINE_RECEIVED_CLOSE);
    tls_end_turn_for(end, 10 * RIG_MS);
    expect_end_events(end, "made");
    expect_eq(end->peer.plain, 1000);
}

TLS_ENDS(tls_end_close, waits_for_the_peers_close_notify, end, WAITS)
{
    close_and_wait(end);
    tls_peer_close_notify(end);

    expect_closed(end, 0);
}

TLS_ENDS(tls_end_close, that_waits_and_gets_a_fin_alone_was_cut, end, WAITS)
{
    close_and_wait(end);
    tls_peer_shutdown(end);

    expect_closed(end, WEIR_ETLSTRUNCATED);
}

TLS_ENDS(tls_end_close, that_waits_and_gets_an_alert_says_so, end, WAITS)
{
    end->peer.is_deaf = true; /* otherwise its engine would have ended */
    close_it(end);
    tls_end_turn_for(end, 10 * RIG_MS);
    tls_peer_alert(end);

    expect_closed(end, WEIR_ETLSALERT);
}

TLS_ENDS(tls_end_close, that_waits_and_gets_garbage_says_so, end, WAITS)
{
    close_and_wait(end);
    send_garbage(end);

    expect_closed(end, WEIR_ETLSPROTOCOL);
}

TLS_ENDS(tls_end_close, that_waits_and_gets_a_reset_says_so, end, WAITS)
{
    close_and_wait(end);
    tls_peer_reset(end);

    expect_closed(end, -ECONNRESET);
}

TLS_ENDS(tls_end_close, that_waits_in_vain_has_a_limit, end,
         .shutdown_timeout_ns = 30 * RIG_MS)
{
    tls_end_write(end, 1000);
    close_it(end);

    expect_closed(end, WEIR_ETLSTIMEOUT);
    tls_end_wait_peer_end(end);
    expect_eq(end->peer.plain, 1000);
}

TLS_ENDS(tls_end_close, r34__data_behind_the_own_close_notify_is_discarded, end,
         WAITS)
{
    close_and_wait(end);
    tls_peer_write(end, 200000);
    tls_end_turn_for(end, 5 * RIG_MS);
    expect_end_events(end, "made");
    tls_peer_close_notify(end);

    expect_closed(end, 0);
    expect_eq(end->received, 0);
}

TLS_ENDS(tls_end_close, r34__without_a_wait_it_is_no_error_either, end, 0)
{
    tls_end_write(end, 1000);
    tls_peer_write(end, 5000);
    close_it(end);
    tls_peer_write(end, 5000);

    expect_closed(end, 0);
    expect_eq(end->received, 0);
}

TLS_ENDS(tls_end_close, that_waits_has_no_limits_of_idleness, end, WAITS)
{
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .idle_ns = 3600 * RIG_S,
                                         .read_ns = 3600 * RIG_S};
    close_and_wait(end);

    expect_eq(weir_transport_set_timeouts(end->t, &limits), 0);
    tls_end_turns(end, 3);

    const struct weir_loop_statistics stats = statistics_of(end->loop);
    expect_eq(stats.timers, 1); /* the timer of the wait */
    tls_peer_close_notify(end);
    expect_closed(end, 0);
}

TLS_ENDS(tls_end_close, that_waits_may_get_a_limit_later, end,
         .shutdown_timeout_ns = 3600 * RIG_S)
{
    const struct weir_timeouts limits = {.size = sizeof(limits), .close_ns = 1};
    close_and_wait(end);

    expect_eq(weir_transport_set_timeouts(end->t, &limits), 0);

    expect_closed(end, WEIR_ECLOSETIMEOUT);
}

TLS_ENDS(tls_end_close, does_not_wait_for_a_peer_that_is_silent, end, 0)
{
    end->peer.is_deaf = true;
    tls_end_write(end, 1000);
    close_it(end);

    expect_closed(end, 0);
    end->peer.is_deaf = false;
    expect_all_sent(end);
}

TLS_ENDS(tls_end_close, r35__an_abort_says_no_goodbye, end, 0)
{
    expect_eq(weir_transport_abort(end->t), 0);
    tls_end_wait_lost(end);

    tls_end_wait_peer_end(end);
    expect_eq(end->peer.end, -ECONNRESET);
    expect_eq(end->peer.side.engine.state, WR_TLS_ENGINE_OPEN);
    expect_eq(end->lost_err, 0);
}

TLS_ENDS(tls_end_close, r36__writes_behind_it_are_refused, end, WAITS)
{
    close_it(end);
    expect_eq(weir_transport_write(end->t, "x", 1), -ESHUTDOWN);
    TLS_END_UNTIL(end,
                  end->peer.side.engine.state == WR_TLS_ENGINE_RECEIVED_CLOSE);
    expect_eq(weir_transport_write(end->t, "x", 1), -ESHUTDOWN);
    tls_peer_close_notify(end);
    expect_closed(end, 0);
    expect_eq(weir_transport_write(end->t, "x", 1), -ESHUTDOWN);
    expect_eq(end->peer.plain, 0);
}

TLS_ENDS(tls_end_close, r37__a_second_one_changes_nothing, end, WAITS)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    close_it(end);
    close_it(end);
    TLS_END_UNTIL(end,
                  end->peer.side.engine.state == WR_TLS_ENGINE_RECEIVED_CLOSE);
    close_it(end);
    expect_eq(weir_transport_get_extra_info(end->t, "cipher", &info), 0);

    expect_eq(weir_transport_abort(end->t), 0);

    tls_end_wait_lost(end);
    expect_eq(weir_transport_get_end(end->t), WEIR_END_CLOSED);
    expect_eq(weir_transport_get_extra_info(end->t, "cipher", &info), 0);
    expect_end_events(end, "made lost");
}

TLS_ENDS(tls_end_close, complaint_38__reading_goes_on_after_write_eof, end, 0)
{
    tls_end_write(end, 1000);
    expect_eq(weir_transport_write_eof(end->t), 0);
    TLS_END_UNTIL(end,
                  end->peer.side.engine.state == WR_TLS_ENGINE_RECEIVED_CLOSE);
    expect_eq(end->peer.plain, 1000);
    tls_peer_write(end, 50000);
    tls_peer_close_notify(end);

    tls_end_wait_lost(end);

    expect_end_events(end, "made data eof lost");
    expect_eq(end->received, 50000);
    expect_eq(end->lost_err, 0);
}

static void close_once(struct tls_end *end)
{
    if (end->count++ == 0) {
        close_it(end);
    }
}

/* More records are in the bytes that have just arrived. */
TLS_ENDS(tls_end_close, inside_data_received_drops_what_follows, end,
         .in_data = close_once)
{
    for (int i = 0; i < 20; i++) {
        tls_peer_write(end, 8000);
    }

    tls_end_wait_lost(end);

    expect_end_events(end, "made data lost");
    expect_eq(end->count, 1);
    expect_eq(end->lost_err, 0);
}

static void pause_it(struct tls_end *end)
{
    expect_eq(weir_transport_pause_reading(end->t), 0);
}

TLS_ENDS(tls_end_close, r29__a_paused_protocol_gets_data_and_end_on_resume, end,
         .in_made = pause_it)
{
    tls_peer_write(end, 50000);
    tls_peer_close_notify(end);
    tls_peer_shutdown(end);
    tls_end_turn_for(end, 10 * RIG_MS);
    expect_end_events(end, "made");

    expect_eq(weir_transport_resume_reading(end->t), 0);
    tls_end_wait_lost(end);

    expect_end_events(end, "made data eof lost");
    expect_eq(end->received, 50000);
    expect_eq(end->lost_err, 0);
}
