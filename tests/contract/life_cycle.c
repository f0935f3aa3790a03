/*
 * The life of a connection: rules R1 to R7; the peer's last byte: R8, R9, R11
 * and R12c; closing: R24, R25, R26 and R66.
 *
 * buffered.c has R10.
 */
#include "tests/contract/scenes.h"

#include <weir/connect.h>

SCENE(life_cycle, r1__connection_made_comes_before_data, "receives wide",
      "events made; receive 5; events made data; ran @made 1",
      "@made running 1")
SCENE(life_cycle, r2__connection_lost_comes_once_whatever_is_called_again,
      "both wide",
      "close; abort; close; lost 0; abort; close; turn 5; events made lost; "
      "once")
SCENE(life_cycle, r2__nothing_follows_connection_lost, "receives wide",
      "send 100; abort; lost 0; turn 5; once; events made lost")
SCENE(life_cycle, r3__close_never_loses_the_connection_at_once, "receives wide",
      "close; alive; closing 1; lost 0; events made lost")
SCENE(life_cycle, r3__abort_never_loses_the_connection_at_once, "receives wide",
      "abort; alive; closing 1; lost 0; events made lost")
SCENE(life_cycle, r3__abort_in_connection_made_loses_from_the_loop,
      "receives wide", "lost 0 ABORTED; events made lost", "@made abort; alive")
SCENE(life_cycle, r4__the_socket_is_open_inside_connection_lost_and_not_after,
      "both kernel wide",
      "close; lost 0; ran @lost 1; turn; no-socket EBADF; read-end",
      "@lost socket")
SCENE(life_cycle, r5__close_is_told_as_no_error, "receives wide",
      "close; lost 0 CLOSED; error 0")
SCENE(life_cycle, r5__abort_is_told_as_no_error, "receives wide",
      "abort; lost 0 ABORTED; error 0")
SCENE(life_cycle, r5__end_of_stream_is_told_as_no_error, "receives wide",
      "shutdown; lost 0 EOF; events made eof lost")
SCENE(life_cycle, r5__a_reset_is_told_as_its_error, "both reset wide",
      "reset; lost ECONNRESET BROKEN; events made lost; error ECONNRESET")
SCENE(life_cycle, r6__what_connection_lost_calls_does_not_keep_the_socket_open,
      "both wide", "close; lost 0; read-end; events made lost",
      "@lost close; abort; write 1 ESHUTDOWN; eof; pause; resume; limit; "
      "marks 0 0")
SCENE(life_cycle, r7__only_pause_writing_runs_inside_another_callback,
      "both wide",
      "send 1; read 70000; event resume; events made data pause resume",
      "@data! write 70000; event pause")
SCENE(life_cycle, close_stops_reading_before_the_next_byte, "both",
      "clog; close; send 1000; run 20; received 0; alive")
SCENE(life_cycle, no_data_follows_a_close_inside_data_received, "receives wide",
      "send 60000; lost 0; ran @data 1; events made data lost", "@data close")
SCENE(life_cycle, the_first_cause_of_the_end_is_kept, "receives wide",
      "close; abort; lost 0 CLOSED")

SCENE(end_of_stream, r8__eof_received_comes_after_the_last_byte,
      "receives wide",
      "send 300000; shutdown; lost 0; events made data eof lost; "
      "received 300000")
SCENE(end_of_stream, r8__zero_closes_and_sends_what_waits, "both",
      "clog; shutdown; event eof; turn 5; alive; closing 1; read-end; "
      "lost 0 EOF; came written")
SCENE(end_of_stream, r8__a_positive_result_keeps_the_writing_side,
      "both wide eof=1",
      "shutdown; event eof; closing 0; write 100000; read 100000; alive; "
      "close; lost 0 CLOSED")
SCENE(end_of_stream, r8__what_eof_received_writes_is_sent_before_the_close,
      "both wide", "shutdown; read-end; came 1000; lost 0", "@eof write 1000")
SCENE(end_of_stream, r8__eof_received_may_abort, "receives wide eof=1",
      "shutdown; lost 0 ABORTED; events made eof lost", "@eof abort")
SCENE(end_of_stream, r9__pause_and_resume_bring_no_second_eof_received,
      "both wide eof=1", "shutdown; event eof; reading 0",
      "pause; turn 3; resume; turn 3; again 2", "events made eof; reading 0")
SCENE(end_of_stream, r9__nor_do_they_inside_eof_received, "both wide eof=1",
      "shutdown; event eof; run 5; events made eof", "@eof pause; resume")
SCENE(end_of_stream, r11__a_half_closed_connection_stays_and_does_not_spin,
      "both wide eof=1",
      "shutdown; event eof; rest 50; events made eof; closing 0")
SCENE(end_of_stream, r11__with_both_sides_ended_it_still_waits_for_close,
      "both wide eof=1",
      "shutdown; event eof; eof; rest 50; events made eof; close; lost 0")
SCENE(end_of_stream, r12c__an_eof_while_paused_waits_for_resume,
      "receives wide",
      "pause; turn; send 5000; shutdown; rest 50; events made; resume; "
      "lost 0; events made data eof lost; received 5000")
SCENE(end_of_stream, r12c__an_eof_without_data_while_paused_waits_for_resume,
      "receives wide",
      "pause; turn; shutdown; run 10; events made; resume; lost 0; "
      "events made eof lost")
SCENE(end_of_stream, r12c__a_reset_while_paused_is_noticed, "both reset wide",
      "pause; turn 3; reset; lost ECONNRESET; events made lost")
SCENE(end_of_stream, r12c__a_reset_is_noticed_when_nothing_was_ever_read,
      "both reset wide", "reset; lost ECONNRESET; events made lost",
      "@made pause")
/* Linux reports EPIPE if a FIN came before the reset. */
SCENE(end_of_stream, r12c__a_reset_is_noticed_after_the_end_of_stream,
      "both reset wide eof=1",
      "shutdown; event eof; turn 3; reset; lost EPIPE|ECONNRESET BROKEN; "
      "events made eof lost")
SCENE(end_of_stream, r12c__a_reset_is_noticed_after_an_eof_seen_while_paused,
      "both reset wide",
      "shutdown; run 5; reset; lost EPIPE|ECONNRESET; events made lost",
      "@made pause")

SCENE(
    closing, r24__a_send_that_fails_is_told_by_connection_lost,
    "both plain !reset wide eof=1",
    "leave; event eof; write 1000; alive; lost EPIPE; pending 0; exceptions 0")
/* The first send only provokes the reset. */
SCENE(closing, r24__a_send_that_provokes_a_reset_is_told_by_connection_lost,
      "both plain reset wide eof=1", "leave; event eof; write 10; lost any")

SCENE(closing, r25__bytes_that_were_not_read_make_the_kernel_reset,
      "both plain wide",
      "send 1000; arrive; close; lost 0; read-end ECONNRESET", "@made pause")
SCENE(closing, r25__unless_something_was_written, "both wide",
      "send 1000; write 1M; close; read-end; came written; lost 0 CLOSED",
      "@made pause")
/* Session tickets of TLS 1.3 may arrive like this. */
SCENE(
    closing, bytes_that_come_after_a_close_destroy_nothing, "both wide",
    "write 1M; close; run 5; send 1000; read-end; came written; lost 0 CLOSED")
/* The kernel resets the connection; the peer's kernel has all bytes and keeps
 * them. */
SCENE(closing, bytes_that_come_after_the_loss_destroy_nothing,
      "both tls reset wide",
      "write 1M; close; lost 0 CLOSED; send 1000; run 50; read-end; "
      "came written")
/* Some of the bytes are in the kernels' queues, and the peer may still drop
 * them. */
SCENE(closing, a_peer_that_breaks_off_before_it_has_all_is_told, "both reset",
      "write 1M; close; run 5; reset; lost ECONNRESET")
SCENE(closing, r25__unless_the_close_lingers, "both wide",
      "limit linger 20000; send 1000; write 700; close; read-end; came 700; "
      "shutdown; lost 0; received 0",
      "@made pause")
SCENE(closing, r26__without_a_limit_a_close_waits_for_the_peer, "both",
      "clog; close; turn 3; run 100; alive; pending >0; timers 0")

static void note_done(void *arg, int err, weir_transport *t)
{
    struct rig *rig = arg;
    expect_eq(err, 0);
    expect(t == rig->t);
    rig_record(rig, "done");
}

UNIT(life_cycle, r1__the_maker_is_done_after_connection_made_and_never_at_once)
{
    struct rig rig = {.peer = -1};
    const struct weir_factory factory = bind_to(&rig_protocol, &rig);
    int fds[2];

    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    expect_eq(send(fds[0], "\0", 1, 0), 1); /* already received */
    expect_eq(weir_loop_new(NULL, &rig.loop), 0);
    expect_ok(weir_create_connection_at(rig.loop, &factory,
                                        weir_endpoint_fd(fds[1]), NULL,
                                        note_done, &rig, NULL));
    expect_events(&rig, "");
    RUN_UNTIL(rig.loop, strstr(rig.events, "done") != NULL);
    rig_wait_received(&rig, 1);
    expect_events(&rig, "made done data");
    weir_transport_unref(rig.t);
    expect_eq(weir_loop_free(rig.loop), 1);
    expect_events(&rig, "made done data lost");
    close(fds[0]);
}

UNIT(life_cycle, a_connection_without_callbacks_lives_and_ends)
{
    static CALLBACKS(bare, STREAM);
    struct rig rig = {.eof_result = 1};

    while (rig_next(&rig)) {
        const struct weir_protocol_binding to_bare = {&bare, &rig};
        const struct weir_protocol_binding back = {&rig_protocol, &rig};

        rig_receive(&rig, 1); /* and the bytes that TLS sends before it */
        const uint64_t before = rig_statistics(&rig).received_bytes;
        expect_eq(weir_transport_set_protocol(rig.t, &to_bare, NULL, 0), 0);
        rig_peer_send(&rig, 1000);
        RUN_UNTIL(rig.loop,
                  rig_statistics(&rig).received_bytes >= before + 1000);
        expect_eq(rig_write(&rig, 1000), 0);
        rig_peer_read(&rig, 1000);
        expect_eq(weir_transport_set_protocol(rig.t, &back, NULL, 0), 0);
        rig_turn(&rig);
        expect_events(&rig, "made data");
        expect_eq(rig_statistics(&rig).held_bytes, 0);
    }
}

UNIT(life_cycle, no_eof_received_means_that_the_end_of_stream_closes)
{
    static struct weir_protocol no_eof;
    no_eof = rig_protocol;
    no_eof.eof_received = NULL;
    struct rig rig = {.protocol = &no_eof};

    while (rig_next(&rig)) {
        rig_peer_shutdown(&rig);
        rig_wait_lost(&rig);
        expect_events(&rig, "made lost");
        expect_eq(weir_transport_get_end(rig.t), WEIR_END_EOF);
    }
}

/* A duplicate of the descriptor keeps the connection open unless it is shut
 * down. */
UNIT(closing, r66__neither_close_nor_abort_shuts_the_connection_down)
{
    int (*const all[])(weir_transport *) = {weir_transport_close,
                                            weir_transport_abort};
    for (int i = 0; i < 2; i++) {
        struct rig rig = {0};
        while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
            char byte;
            const int fd = dup(weir_transport_get_socket(rig.t));
            expect(fd >= 0);
            expect_eq(all[i](rig.t), 0);
            rig_wait_lost(&rig);
            rig_turns(&rig, 2);
            expect_eq(recv(rig.peer, &byte, 1, 0), -1);
            expect_eq(errno, EAGAIN);
            close(fd);
            expect_eq(rig_peer_read_end(&rig),
                      i > 0 && rig_can(&rig, RIG_CAN_RESET) ? -ECONNRESET : 0);
        }
    }
}
