/*
 * write, writelines, write_ref, write_eof, close and abort in every state of a
 * connection (tests/asyncio.md).
 *
 * Where asyncio is silent, weir returns an error: -ESHUTDOWN after write_eof or
 * close, -EPIPE on a broken connection. Writes during a close are refused too,
 * except inside resume_writing. write_eof, close and abort may be called at any
 * time and repeatedly: close sends pending bytes, abort drops them, and the
 * connection is lost once.
 */
#include "tests/contract/scenes.h"

#include <poll.h>

#define CLOSING_PENDING "clog; close; turn 3; alive; "
/* The reset is known, but the connection is not lost yet, because earlier bytes
 * wait to be delivered. */
#define BROKEN  "pause; send 100; until held >0; reset; broken ECONNRESET; "
#define GOES_ON "resume; lost ECONNRESET; events made data lost; received 100"

SCENE(write_matrix, open_and_empty__leaves_at_the_end_of_the_turn, "both each",
      "note submitted; write 3000; pending 3000; submitted +0; turn 2; "
      "pending 0; read 3000")
SCENE(write_matrix, open_and_pending__is_appended, "both each",
      "clog; note pending; write 3000; pending +3000; read written; turn 2; "
      "pending 0")
SCENE(write_matrix, after_write_eof__is_refused, "both each",
      "eof; write 3000 ESHUTDOWN; pending 0; read-end; came 0; events made")
SCENE(write_matrix, closing_and_empty__is_refused, "both each",
      "close; write 3000 ESHUTDOWN; pending 0; read-end; came 0; lost 0")
SCENE(write_matrix, closing_and_pending__is_refused, "both each",
      CLOSING_PENDING "note pending; write 3000 ESHUTDOWN; pending +0; "
                      "read-end; came written; lost 0")
SCENE(write_matrix, after_an_error__says_that_the_connection_is_broken,
      "break each",
      BROKEN "write 3000 EPIPE; pending 0; error ECONNRESET; " GOES_ON)
SCENE(write_matrix, after_the_loss__is_refused, "both each",
      "abort; lost 0; write 3000 ESHUTDOWN; pending 0; turn 3; "
      "events made lost")
SCENE(write_matrix, nothing__does_nothing_but_checks_the_state, "both each",
      "turn 3; note sent; write 0; turn 3; pending 0; sent +0; eof; "
      "write 0 ESHUTDOWN")
SCENE(write_matrix, nothing__submits_nothing, "both plain each",
      "turn 3; note submitted; write 0; turn 3; submitted +0")

SCENE(write_matrix, closing_and_pending__write_inside_resume_writing_is_sent,
      "both",
      CLOSING_PENDING
      "note written; read-end; lost 0; written +3000; came written; "
      "events made pause resume lost",
      "@resume! write 3000")
SCENE(write_matrix, the_order_of_all_kinds_of_writes_is_kept, "both",
      "by write; write 977; by lines; write 1954; by ref; write 2931; turn; "
      "by write; write 8908; by lines; write 5; by ref; write 0; by write; "
      "write 4885; again 5",
      "read written; turn 2; pending 0")

PAIRS(write_matrix, sizes_that_overflow__writelines_is_refused, rig)
{
    const struct iovec iov[] = {{.iov_base = NULL, .iov_len = SIZE_MAX},
                                {.iov_base = NULL, .iov_len = 2}};
    expect_eq(weir_transport_writelines(rig->t, iov, 2), -EOVERFLOW);
    expect_eq(rig_pending(rig), 0);
}

PAIRS(write_matrix, many_pieces__writelines_sends_all_in_order, rig)
{
    enum { PIECES = 1500 }; /* more than one send can have */
    static uint8_t bytes[PIECES * 7];
    static struct iovec iov[PIECES];

    rig_pattern(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i < PIECES; i++) {
        iov[i] = (struct iovec){.iov_base = bytes + 7 * i, .iov_len = 7};
    }
    expect_eq(weir_transport_writelines(rig->t, iov, PIECES), 0);
    expect_eq(rig_pending(rig), sizeof(bytes));
    rig_peer_read(rig, sizeof(bytes));
}

SCENE(end_matrix, open_and_empty__write_eof_ends_the_writing_side_alone,
      "both wide",
      "can-eof 1; eof; read-end; receive 5000; events made data; closing 0")
SCENE(end_matrix, open_and_pending__write_eof_follows_the_last_byte, "both",
      "clog; eof; read-end; came written; alive")
SCENE(end_matrix, after_write_eof__write_eof_does_nothing, "both",
      "eof; eof; turn 3; events made; read-end")
SCENE(end_matrix, closing_and_empty__write_eof_does_nothing, "both",
      "close; eof; lost 0 CLOSED; once")
SCENE(end_matrix, closing_and_pending__write_eof_does_nothing, "both",
      CLOSING_PENDING "eof; read-end; came written; lost 0 CLOSED; once")
SCENE(end_matrix, after_an_error__write_eof_does_nothing, "both break",
      BROKEN "eof; " GOES_ON)
SCENE(end_matrix, after_the_loss__write_eof_does_nothing, "both",
      "abort; lost 0; eof; lost 0 ABORTED; once")

SCENE(end_matrix, open_and_empty__close_loses_the_connection_soon, "both wide",
      "close; lost 0 CLOSED; once; read-end")
SCENE(
    end_matrix, open_and_pending__close_sends_everything_first, "both",
    "clog; close; turn 10; alive; read-end; came written; lost 0 CLOSED; once")
SCENE(end_matrix, written_in_the_same_turn__close_sends_everything_first,
      "both wide",
      "write 5000; close; read-end; came 5000; lost 0 CLOSED; once")
SCENE(end_matrix, after_write_eof__close_loses_the_connection, "both",
      "eof; close; lost 0 CLOSED; once")
SCENE(end_matrix, after_write_eof_with_bytes_pending__close_sends_them, "both",
      "clog; eof; close; read-end; came written; lost 0 CLOSED; once")
SCENE(end_matrix, closing_and_empty__close_does_nothing, "both",
      "close; close; lost 0 CLOSED; once")
SCENE(end_matrix, closing_and_pending__close_does_nothing, "both",
      CLOSING_PENDING "close; read-end; came written; lost 0 CLOSED; once")
SCENE(end_matrix, after_an_error__close_drops_what_was_kept, "both break",
      BROKEN "close; lost ECONNRESET BROKEN; events made lost")
SCENE(end_matrix, after_the_loss__close_does_nothing, "both",
      "abort; lost 0; close; lost 0 ABORTED; once")

SCENE(end_matrix, open_and_empty__abort_loses_the_connection_soon, "both wide",
      "abort; lost 0 ABORTED; once; read-end reset")
SCENE(end_matrix, open_and_pending__abort_drops_what_waits, "both",
      "clog; abort; lost 0 ABORTED; once; read-end any; came <written")
SCENE(end_matrix, written_in_the_same_turn__abort_sends_nothing, "both wide",
      "write 5000; abort; lost 0 ABORTED; once; read-end reset; came 0")
SCENE(end_matrix, after_write_eof__abort_loses_the_connection, "both",
      "eof; abort; lost 0 ABORTED; once")
SCENE(end_matrix, closing_and_empty__abort_loses_the_connection_once, "both",
      "close; abort; lost 0 CLOSED; once")
SCENE(end_matrix, closing_and_pending__abort_drops_the_rest, "both",
      CLOSING_PENDING "abort; lost 0 CLOSED; once; read-end any; came <written")
SCENE(end_matrix, closing_and_pending__a_write_that_is_refused_resets, "both",
      "marks 1 0; " CLOSING_PENDING "read-end reset; lost ENOBUFS",
      "@resume hard 20; write 21 ENOBUFS")
SCENE(end_matrix, closing_and_pending__a_write_that_is_refused_is_told, "sends",
      "marks 1 0; " CLOSING_PENDING "read-end any; lost ENOBUFS; came kept",
      "@resume hard 20; write 21 ENOBUFS")
SCENE(end_matrix, closing_after_write_eof__resume_writing_may_not_write,
      "sends",
      "clog; eof; close; read-end; ran @resume 1; came written; lost 0",
      "@resume write 1 ESHUTDOWN")
SCENE(end_matrix, after_an_error__abort_drops_what_was_kept, "both break",
      BROKEN "abort; lost ECONNRESET; events made lost")
SCENE(end_matrix, after_the_loss__abort_does_nothing, "both",
      "close; lost 0; abort; lost 0 CLOSED; once")

/* The peer sees the reset while the loop does not run. */
PAIRS(end_matrix, open_and_pending__abort_resets_at_once, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN, .small_buffers = true)
{
    static uint8_t buf[1 << 16];
    struct pollfd pollfd = {.fd = rig->peer, .events = POLLIN};
    struct weir_address own = {.len = sizeof(own.storage)};
    struct weir_address peer = {.len = sizeof(peer.storage)};
    struct weir_address told;
    ssize_t len;

    rig_clog(rig);
    expect_eq(getpeername(rig->peer, &own.storage.any, &own.len), 0);
    expect_eq(getsockname(rig->peer, &peer.storage.any, &peer.len), 0);
    expect_eq(weir_transport_abort(rig->t), 0);
    do {
        expect_eq(poll(&pollfd, 1, 60000), 1);
        len = recv(rig->peer, buf, sizeof(buf), 0);
    } while (len > 0);
    expect_eq(len < 0 ? -errno : 0,
              rig_can(rig, RIG_CAN_RESET) ? -ECONNRESET : 0);
    rig_expect_lost(rig, 0);
    weir_transport_get_sockname(rig->t, &told);
    expect_eq(memcmp(&own.storage, &told.storage, told.len), 0);
    weir_transport_get_peername(rig->t, &told);
    expect_eq(told.len, peer.len);
    expect_eq(memcmp(&peer.storage, &told.storage, told.len), 0);
}
