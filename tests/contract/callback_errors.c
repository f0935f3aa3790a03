/*
 * Errors that stay, and callbacks that fail.
 *
 * The first error is kept, comes after the data received before it, and never
 * becomes a clean end of stream: the kernel reports a reset once, and from then
 * on 0, end of stream. A negative result of data_received, eof_received,
 * get_buffer or buffer_updated aborts the connection with that error, which
 * goes to connection_lost and once to the exception hook.
 */
#include "tests/contract/scenes.h"

#include <weir/connect.h>

#define CLOSING_PENDING "clog; close; turn 3; alive; "

/* The reset is known, but the connection is not lost yet, because earlier bytes
 * wait to be delivered. */
#define BROKEN  "pause; send 100; until held >0; reset; broken ECONNRESET; "
#define GOES_ON "resume; lost ECONNRESET; events made data lost; received 100"

SCENE(sticky_errors, data_before_a_reset_is_delivered_before_it,
      "both reset wide",
      "send 50000; reset; lost ECONNRESET BROKEN; events made data lost; "
      "received 50000")
SCENE(sticky_errors, data_kept_while_paused_is_delivered_before_the_reset,
      "both break wide", BROKEN "closing 1; turn 5; events made; " GOES_ON)
SCENE(sticky_errors,
      data_of_who_reads_only_while_it_may_write_comes_before_the_reset,
      "both break",
      "clog; send 100; until held >0; reset; lost ECONNRESET|EPIPE; "
      "events made pause resume data lost; received 100",
      "@pause pause", "@resume resume")
SCENE(sticky_errors, a_broken_connection_is_not_paused_by_low_marks,
      "both break",
      "clog; send 100; until held >0; reset; lost ECONNRESET|EPIPE; "
      "events made pause resume data lost; received 100",
      "@pause pause", "@resume resume; marks 0 0")
SCENE(sticky_errors, the_error_survives_writes_and_close, "both break wide",
      BROKEN "write 10 EPIPE; eof; close; lost ECONNRESET BROKEN; turn 3; "
             "error ECONNRESET; write 10 EPIPE; error ECONNRESET")
SCENE(sticky_errors, a_reset_with_bytes_waiting_drops_them, "both reset",
      "clog; reset; lost ECONNRESET|EPIPE; pending 0; events made pause lost")
SCENE(sticky_errors, a_reset_while_a_close_flushes_is_told, "both reset",
      CLOSING_PENDING "reset; lost ECONNRESET|EPIPE CLOSED; "
                      "events made pause lost")
SCENE(sticky_errors, a_peer_that_closes_without_reading_is_an_error,
      "both plain wide",
      "write 1000; there 1000; leave; lost ECONNRESET; events made lost")
SCENE(sticky_errors, a_callback_that_fails_later_does_not_replace_the_first,
      "both break wide",
      BROKEN GOES_ON "; error ECONNRESET; exception EPROTO data_received",
      "@data fail EPROTO")
SCENE(sticky_errors, a_reset_is_never_an_end_of_stream, "both reset wide eof=1",
      "send 10000; turn; again 3",
      "reset; lost ECONNRESET; none eof; received 40000")
SCENE(sticky_errors,
      data_of_who_keeps_bytes_until_it_may_write_comes_before_the_reset,
      "both break read=4096",
      "clog; send 20000; event data; reset; lost ECONNRESET|EPIPE; "
      "received 20000; events made pause data resume data lost",
      "@data unless resume; keep", "@resume give", "@lost give")
/* The watch that a pause has left has already reported the reset. */
SCENE(sticky_errors,
      data_that_reaches_the_limit_after_the_reset_comes_before_it,
      "both break read=4096",
      "clog; pause; turn 3; resume; turn 3; send 20000; reset; "
      "lost ECONNRESET|EPIPE; received 20000; "
      "events made pause data resume data lost",
      "@data unless resume; keep", "@resume give", "@lost give")

/* The first writes only provoke the reset. */
SCENE(sticky_errors, writing_to_a_peer_that_has_gone_breaks_the_connection,
      "both wide eof=1", "leave; event eof; write 1000",
      "run 1; write 1000 any; again lost",
      "lost ECONNRESET|EPIPE BROKEN; events made eof lost")
/* The connection is at its limit, and more bytes are in the kernel: the reset
 * is found by a failing send, or by the watch if there is nothing to send. */
#define AT_THE_LIMIT                                                           \
    "send 20000; event data; run 5; received <=4096; reset; broken any"
SCENE(sticky_errors, data_left_in_the_kernel_is_delivered_before_the_reset,
      "break read=4096", "clog; " AT_THE_LIMIT, "give; run 1; again lost",
      "lost ECONNRESET|EPIPE; none eof; received 20000", "@data keep",
      "@lost give")
SCENE(sticky_errors, a_reset_at_the_limit_is_noticed_and_comes_after_the_data,
      "break read=4096", AT_THE_LIMIT, "give; run 1; again lost",
      "lost ECONNRESET|EPIPE; none eof; received 20000", "@data keep",
      "@lost give")

#define ABORTED(err, callback)                                                 \
    "lost " err " BROKEN; error " err "; turn 3; once; exception " err         \
    " " callback "; "

SCENE(callback_errors, an_error_of_data_received_aborts_the_connection,
      "receives wide",
      "send 100; " ABORTED(
          "EPROTO",
          "data_received") "ran @data 1; events made data lost; read-end any",
      "@data fail EPROTO")
SCENE(callback_errors, an_error_of_data_received_drops_what_waits, "both",
      "clog; send 100; " ABORTED(
          "EPROTO", "data_received") "pending 0; read-end any; came <written",
      "@data fail EPROTO")
SCENE(callback_errors, an_error_in_mid_stream_stops_the_data, "receives wide",
      "send 60000; " ABORTED("WEIR_EIDLE",
                             "data_received") "events made data lost",
      "@data if received >50000; fail WEIR_EIDLE")
SCENE(callback_errors, an_error_of_eof_received_aborts_the_connection,
      "receives wide",
      "shutdown; " ABORTED("EBADMSG", "eof_received") "events made eof lost",
      "@eof fail EBADMSG")
SCENE(callback_errors, an_error_after_close_is_told_once_too, "receives wide",
      "send 100; lost EPROTO|0 CLOSED; once; events made data lost; "
      "exceptions 1",
      "@data close; fail EPROTO")

SCENE(callback_errors, an_error_of_get_buffer_aborts_the_connection,
      "both wide copied",
      "send 100; " ABORTED("ENOSR", "get_buffer") "events made lost; updated 0",
      "@get fail ENOSR")
SCENE(callback_errors, a_get_buffer_without_memory_aborts_the_connection,
      "both wide copied",
      "send 100; " ABORTED("WEIR_ENOBUFFER",
                           "get_buffer") "events made lost; updated 0",
      "@made memory 0")
SCENE(callback_errors, an_error_of_buffer_updated_aborts_the_connection,
      "both wide copied",
      "send 100; " ABORTED("EILSEQ",
                           "buffer_updated") "events made data lost; updated 1",
      "@made memory 10", "@data fail EILSEQ")
SCENE(callback_errors, errors_of_a_protocol_that_keeps_its_memory_abort_too,
      "both plain wide in-place",
      "send 100; " ABORTED("EILSEQ", "buffer_updated") "updated 1",
      "@data fail EILSEQ")

/* The factory's result and its table; the error passed to done. */
static const struct factory_row {
    int result;
    size_t size;
    enum weir_protocol_kind kind;
    int err;
} * factory_row;
static bool factory_done;

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    static struct weir_protocol table;
    table = rig_protocol;
    table.size = factory_row->size;
    table.kind = factory_row->kind;
    ret->protocol = table.size == 1 ? NULL : &table;
    return factory_row->result;
}

static void note_done(void *arg, int err, weir_transport *t)
{
    expect(t == NULL);
    expect_eq(err, factory_row->err);
    factory_done = true;
}

UNIT(callback_errors, an_error_of_the_factory_reaches_the_makers_callback)
{
    static const struct factory_row rows[] = {
        {-EACCES, sizeof(rig_protocol), WEIR_PROTOCOL_STREAM, -EACCES},
        {0, 1, WEIR_PROTOCOL_STREAM, -EINVAL},
        {0, 0, WEIR_PROTOCOL_STREAM, -EINVAL},
        {0, sizeof(rig_protocol), WEIR_PROTOCOL_BUFFERED, -EINVAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct weir_factory factory = {.create = create};
        weir_loop *loop;
        char byte;
        int fds[2];

        factory_row = &rows[i];
        factory_done = false;
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        expect_eq(weir_loop_new(NULL, &loop), 0);
        expect_ok(weir_create_connection_at(loop, &factory,
                                            weir_endpoint_fd(fds[1]), NULL,
                                            note_done, NULL, NULL));
        RUN_UNTIL(loop, factory_done);
        expect_eq(recv(fds[0], &byte, 1, 0), 0, "it is closed");
        expect_eq(weir_loop_free(loop), 0);
        close(fds[0]);
    }
}
