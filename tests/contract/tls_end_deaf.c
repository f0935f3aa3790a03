/*
 * Peers that take no bytes. Such a peer cannot make a close give up bytes that
 * it has not taken: the wait for its close_notify begins when all is sent. And
 * the answers that it asks for, each a record without data, do not pile up.
 */
#include "tests/contract/tls_end_rig.h"

enum { ANSWERS = 400 };

static bool is_clogged(struct tls_end *end)
{
    return weir_transport_get_write_buffer_size(end->t) >= 60000;
}

/* The kernel takes no more, also when what is under way has come, and all that
 * is left was sealed. */
static void clog_sealed(struct tls_end *end)
{
    end->peer.is_deaf = true;
    while (!is_clogged(end) ||
           rig_is_under_way(weir_transport_get_socket(end->t))) {
        if (!is_clogged(end)) {
            tls_end_write(end, 4096);
            tls_end_turns(end, 2);
        } else {
            tls_end_turn_for(end, 5 * RIG_MS);
        }
    }
}

TLS_ENDS(tls_end_deaf, the_wait_for_the_peer_begins_when_all_is_sent, end,
         .shutdown_timeout_ns = 50 * RIG_MS, .small_buffers = true)
{
    clog_sealed(end);
    expect_eq(weir_transport_close(end->t), 0);
    tls_end_turn_for(end, 200 * RIG_MS);
    expect_end_events(end, "made");
}

/* Asks for new keys, with the data that earns it that. */
static int ask_for_keys(struct tls_end *end)
{
    tls_peer_write(end, 1024);
    int err = wr_tls_engine_update_keys(&end->peer.side.engine);
    tls_peer_flush(end);
    tls_end_turns(end, 2);
    return err;
}

TLS_ENDS(tls_end_deaf, answers_to_key_updates_do_not_pile_up, end,
         .small_buffers = true)
{
    if (end->version == 12) {
        expect_eq(ask_for_keys(end), -EOPNOTSUPP);
        return;
    }
    clog_sealed(end);
    for (int i = 0; i < ANSWERS && !strstr(end->events, "lost"); i++) {
        expect_eq(ask_for_keys(end), 0);
        TLS_END_UNTIL(end, end->received == end->sent ||
                               strstr(end->events, "lost"));
    }
    tls_end_wait_lost(end);
    expect_eq(end->lost_err, WEIR_ETLSFLOOD);
}

/* So that its answers are not a flood to the peer. */
static void send_data(struct tls_end *end)
{
    tls_end_write(end, 1024);
}

TLS_ENDS(tls_end_deaf, answers_to_key_updates_that_are_taken_may_be_any_number,
         end, .in_data = send_data)
{
    if (end->version == 12) {
        return;
    }
    for (int i = 0; i < ANSWERS; i++) {
        expect_eq(ask_for_keys(end), 0);
        TLS_END_UNTIL(end, end->received == end->sent ||
                               strstr(end->events, "lost"));
    }
    expect_end_events(end, "made data");
}
