/*
 * Connections that wait for closes of their peers' descriptors: nothing is
 * received meanwhile, and everything else continues. resting_end.c tests their
 * ends.
 */
#define UNIT_RUN with_rig

#include "resting_rig.h"
#include "uring/sys.h"

#include <weir/unix.h>

enum { MUCH = 4 * ROOM };

static void with_rig(void (*body)(void))
{
    rig_start();
    body();
    rig_stop(1);
}

UNIT(resting, nothing_is_received_until_the_closes_have_ended)
{
    peer_sends("x");
    peer_passes();
    rig_run(S);
    expect_str_eq(rig.received, "f");
    cr_assert(is_dumped("recv=resting"));

    rig_end_closes();
    expect_str_eq(rig.received, "fxf");
    expect_eq(rig.fds_count, 2);
    expect_eq(rig_waiting(), WAITING, "it rests again");
    rig_end_closes();
    cr_assert(!is_dumped("recv=resting"));
}

UNIT(resting, the_end_of_stream_comes_behind_the_bytes)
{
    peer_sends("x");
    peer_passes();
    fake_peer_shutdown(rig.peer);
    rig_run(S);
    expect_eq(rig.eof_count, 0);

    rig_end_closes();
    expect_str_eq(rig.received, "fxf");
    expect_eq(rig.eof_count, 0, "it rests again");
    rig_end_closes();
    expect_eq(rig.eof_count, 1);
}

/* What the peer does may wake the loop once. */
static void expect_few_turns(void)
{
    const uint64_t before = fake_stats()->enters;
    rig_run(10 * S);
    expect_leq(fake_stats()->enters - before, 10);
}

UNIT(resting, it_costs_no_turns)
{
    expect_few_turns();
    peer_sends("x");
    expect_few_turns();
    fake_peer_shutdown(rig.peer);
    expect_few_turns();
    expect_eq(weir_transport_write_eof(rig.t), 0);
    expect_few_turns();
    fake_peer_reset(rig.peer);
    expect_few_turns();

    expect_eq(rig.lost_count, 0);
}

UNIT(resting, reading_can_be_paused_and_resumed)
{
    peer_sends("x");
    expect_eq(weir_transport_pause_reading(rig.t), 0);
    rig_run(MS);
    rig_end_closes();
    expect_str_eq(rig.received, "f");

    expect_eq(weir_transport_resume_reading(rig.t), 0);
    rig_run(MS);
    expect_str_eq(rig.received, "fx");
}

UNIT_IN(resting, who_resumes_reading_waits_for_the_closes, unit_alone, void)
{
    rig.pauses = true;
    rig_start();
    peer_sends("x");
    expect_eq(weir_transport_resume_reading(rig.t), 0);
    rig_run(S);
    expect_str_eq(rig.received, "f");

    rig_end_closes();
    expect_str_eq(rig.received, "fx");
    rig_stop(1);
}

UNIT_IN(resting, closes_that_end_while_reading_is_paused_are_not_waited_for,
        unit_alone, void)
{
    rig.pauses = true;
    rig_start();
    peer_sends("x");
    rig_end_closes();
    expect_str_eq(rig.received, "f");

    expect_eq(weir_transport_resume_reading(rig.t), 0);
    rig_run(MS);
    expect_str_eq(rig.received, "fx");
    rig_stop(1);
}

/* Bytes that come along with it were received before. */
UNIT_IN(resting, another_protocol_gets_what_comes_afterwards, unit_alone, void)
{
    char later[TEXT_MAX] = "";
    const struct weir_protocol_binding binding = {&resting_protocol, later};
    rig.keeps = true;
    rig_start();
    peer_sends("x");
    expect_eq(weir_transport_set_protocol(rig.t, &binding, &rig.kept, 1), 0);
    weir_buf_unref(rig.kept.lease);
    rig_run(S);
    expect_str_eq(later, "f");

    rig_end_closes();
    expect_str_eq(later, "fx");
    expect_str_eq(rig.received, "f");
    rig_stop(1);
}

UNIT(resting, the_program_can_write_and_end_its_stream)
{
    expect_eq(weir_transport_write(rig.t, "abc", 3), 0);
    rig_run(MS);
    expect_peer_reads("abc");
    expect_eq(weir_transport_write(rig.t, "d", 1), 0);
    expect_eq(weir_transport_write_eof(rig.t), 0);
    rig_run(MS);
    expect_peer_reads("d");
    expect_peer_reads("");
    peer_sends("x");

    rig_end_closes();
    expect_str_eq(rig.received, "fx");
}

UNIT(resting, the_program_can_send_descriptors)
{
    const uint64_t token = UINT64_C(1) << 40;
    char byte;
    uint64_t tokens[FAKE_TOKENS_MAX];
    uint32_t count;
    const int fd = fake_token_open(token);
    expect_eq(weir_transport_send_fds(rig.t, "d", 1, &fd, 1), 0);
    expect_eq(wr_sys_close(fd), 0);
    rig_run(MS);

    expect_eq(fake_peer_read_tokens(rig.peer, &byte, 1, tokens, &count), 1);
    expect_eq(count, 1);
    expect_eq(tokens[0], token);
}

UNIT(resting, more_than_the_peer_has_room_for_leaves_as_it_reads)
{
    static uint8_t bytes[MUCH];
    size_t got = 0;
    expect_eq(weir_transport_write(rig.t, bytes, sizeof(bytes)), 0);
    rig_run(MS);
    for (int i = 0; i < MUCH / ROOM; i++) {
        const ssize_t len = fake_peer_read(rig.peer, bytes, sizeof(bytes));
        got += len > 0 ? (size_t)len : 0;
        rig_run(MS);
    }

    expect_eq(got, MUCH);
    expect_eq(weir_transport_get_write_buffer_size(rig.t), 0);
}
