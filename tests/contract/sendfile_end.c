/*
 * Ends of a file transfer: cancelled, closed, aborted, broken by the peer, by a
 * time limit, by the loop's end.
 *
 * done is called once, before connection_lost, and the count is exact.
 */
#define PAIRS_NEED RIG_SENDS
#include "tests/contract/scenes.h"
#include "tests/contract/sending_rig.h"
#include "tests/dump.h"
#include "tests/unit/random.h"
#include "tests/walk.h"

#include <fcntl.h>
#include <signal.h>
#include <weir/connect.h>

enum { SIZE = 3000000 };

static int begin_clogged(struct rig *rig)
{
    send_own_file(rig, SIZE);
    rig_peer_await(rig, 1);
    rig_turn_for(rig, 5 * RIG_MS);
    rig_turns(rig, 30);
    expect_eq(sending.calls, 0);
    return rig->file;
}

#define CLOGGED "file 3000000; send-file; there 1; run 5; turn 30; told-of 0; "

SCENE(sendfile_end, a_cancelled_file_stops_at_a_count_that_is_told, "sends",
      CLOGGED "cancel; cancel; told-of 0; done ECANCELED; file-sent >0; "
              "file-sent <3000000; alive; usable")
SCENE(sendfile_end, a_file_that_waits_for_writes_is_cancelled_before_its_first,
      "sends wide",
      "write 1000; file 3000000; send-file; cancel; done ECANCELED; "
      "file-sent 0; usable; cancel")

static void write_on(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct rig *rig = arg;

    expect_eq(err, -ECANCELED);
    expect_eq(sent, 0);
    expect_eq(rig_write(rig, 1000), 0);
}

PAIRS(sendfile_end, bytes_written_in_the_turn_of_a_cancelled_file_leave, rig)
{
    const int fd = own_file(rig, SIZE);
    expect_eq(weir_transport_sendfile(rig->t, fd, 0, SIZE, write_on, rig), 0);

    expect_eq(weir_transport_cancel_sendfile(rig->t), 0);
    rig_turn(rig);

    expect_eq(rig->written, 1000);
    rig_peer_read(rig, 1000);
    expect_usable(rig);
}

PAIRS(sendfile_end, a_cancellation_may_come_at_any_moment, rig,
      .small_buffers = true)
{
    struct unit_random dice;
    unit_random_seed(&dice);
    const int fd = own_file(rig, SIZE);

    for (int round = 0; round < 60 && rig->written < SIZE; round++) {
        if (unit_random_below(&dice, 2) == 0) {
            make_cold(fd);
        }
        begin_sending(rig, fd, 1 + unit_random_below(&dice, 100000));
        const uint64_t turns = unit_random_below(&dice, 12);
        for (uint64_t i = 0; i < turns; i++) {
            rig_turn(rig);
            if (unit_random_below(&dice, 3) == 0) {
                rig_peer_read_most(rig, unit_random_below(&dice, 5000));
            }
        }
        expect_eq(weir_transport_cancel_sendfile(rig->t), 0);
        wait_done(rig);
        expect(sending.err == -ECANCELED || sending.err == 0);
        expect_eq(rig_write(rig, unit_random_below(&dice, 3)), 0);
        rig_peer_read(rig, rig->written - rig->peer_received);
    }
    expect_usable(rig);
}

SCENE(sendfile_end, a_close_sends_the_file_first, "sends",
      CLOGGED
      "close; read-end; lost 0; told-of 1; before-loss 1; done 0; came 3000000")
SCENE(sendfile_end, a_close_before_the_first_byte_sends_the_file_first,
      "sends wide",
      "file 3000000; send-file; close; read-end; lost 0; done 0; came 3000000")

PAIRS(sendfile_end, an_end_of_the_writing_side_comes_behind_the_file, rig,
      .needs = RIG_BOTH_WAYS, .small_buffers = true)
{
    const int fd = begin_clogged(rig);

    expect_eq(weir_transport_write_eof(rig->t), 0);
    expect_eq(rig_peer_read_end(rig), 0);

    expect_eq(sending.err, 0);
    expect_eq(rig->peer_received, SIZE);
    expect_eq(rig->lost_count, 0);
    expect_eq(weir_transport_sendfile(rig->t, fd, 0, 1, NULL, NULL), -EINVAL);
}

static void note_result(void *arg, weir_transport *t, int err, uint64_t sent)
{
    sending.calls++;
    sending.err = err;
    sending.sent = sent;
}

static void abort_in_done(void *arg, weir_transport *t, int err, uint64_t sent)
{
    note_result(arg, t, err, sent);
    expect_eq(weir_transport_abort(t), 0);
}

/* A program that then aborts prevents its peer from taking a part for the whole
 * file. */
PAIRS(sendfile_end, an_end_of_the_writing_side_comes_after_done, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET)
{
    const int fd = own_file(rig, SIZE);
    expect_ok(weir_transport_sendfile(rig->t, fd, 0, WEIR_TO_END, abort_in_done,
                                      NULL));

    expect_eq(weir_transport_write_eof(rig->t), 0);
    expect_eq(weir_transport_cancel_sendfile(rig->t), 0);
    rig_wait_lost(rig);

    expect_eq(sending.calls, 1);
    expect_eq(sending.err, -ECANCELED);
    expect_eq(sending.sent, 0);
    expect_eq(rig_peer_read_end(rig), -ECONNRESET);
}

SCENE(sendfile_end, a_file_that_is_cancelled_while_closing_is_no_clean_end,
      "sends",
      CLOGGED "close; turn; cancel; lost ECANCELED; done ECANCELED; "
              "before-loss 1; read-end reset")
SCENE(sendfile_end, an_abort_stops_it, "sends",
      CLOGGED "abort; told-of 0; lost 0; told-of 1; before-loss 1; "
              "done ECONNABORTED; read-end reset; came <=file-sent")
SCENE(sendfile_end, an_abort_before_the_first_byte_stops_it, "sends wide",
      "file 3000000; send-file; abort; lost 0; done ECONNABORTED; file-sent 0")

UNIT(sendfile_end, the_loops_end_stops_it)
{
    struct rig rig = {.small_buffers = true};
    while (rig_next_that(&rig, RIG_SENDS)) {
        begin_clogged(&rig);
        weir_transport_unref(rig.t);
        if (rig.server) {
            weir_server_free(rig.server);
        }

        expect_eq(weir_loop_free(rig.loop), rig_alive(&rig));
        rig.loop = NULL;

        expect_eq(sending.calls, 1);
        expect(sending.before_loss);
        expect_eq(sending.err, -ECONNABORTED);
    }
}

static void expect_broken(const struct rig *rig)
{
    expect_eq(sending.calls, 1);
    expect(sending.before_loss);
    expect_eq(sending.err, weir_transport_get_error(rig->t));
    expect_eq(sending.err, rig->lost_err);
    const bool is_cut = rig_can(rig, RIG_IS_TLS) &&
                        !rig_can(rig, RIG_CAN_RESET) &&
                        sending.err == WEIR_ETLSTRUNCATED;
    expect(sending.err == -EPIPE || sending.err == -ECONNRESET || is_cut);
}

PAIRS(sendfile_end, a_peer_that_goes_breaks_it, rig, .small_buffers = true)
{
    begin_clogged(rig);

    rig_peer_close(rig);
    rig_wait_lost(rig);

    expect_broken(rig);
}

/* sendfile() has no MSG_NOSIGNAL. */
PAIRS(sendfile_end, a_peer_that_is_gone_raises_no_signal, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN)
{
    struct sigaction action;
    sigset_t mask;
    const int fd = own_file(rig, SIZE);
    expect_eq(sigaction(SIGPIPE, NULL, &action), 0);
    expect(action.sa_handler == SIG_DFL);
    weir_transport_pause_reading(rig->t);
    rig->eof_result = 1;
    rig_peer_send(rig, 1);
    rig_peer_close(rig);

    while (rig->lost_count == 0 && weir_transport_get_error(rig->t) == 0) {
        begin_sending(rig, fd, 4096);
        wait_done(rig);
        rig->written = 0;
    }
    weir_transport_resume_reading(rig->t);
    rig_wait_lost(rig);

    if (!rig_can(rig,
                 RIG_CAN_RESET)) { /* otherwise the receive may see it first */
        expect_eq(sending.err, -EPIPE);
    }
    expect(rig->lost_err == -EPIPE || rig->lost_err == -ECONNRESET);
    expect_eq(sigpending(&mask), 0);
    expect(!sigismember(&mask, SIGPIPE));
    expect_eq(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
    expect(!sigismember(&mask, SIGPIPE));
}

PAIRS(sendfile_end, a_reset_breaks_it, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET, .small_buffers = true)
{
    begin_clogged(rig);

    rig_peer_reset(rig);
    rig_wait_lost(rig);

    expect_broken(rig);
}

SCENE(sendfile_end, a_peer_that_takes_nothing_stalls_it, "sends",
      CLOGGED "since; limit stall 60; lost WEIR_EWRITESTALL; "
              "done WEIR_EWRITESTALL; before-loss 1; after 60; read-end reset")
SCENE(sendfile_end, a_close_waits_for_it_as_long_as_it_may, "sends",
      CLOGGED
      "limit close 40; close; lost WEIR_ECLOSETIMEOUT; done WEIR_ECLOSETIMEOUT")

SCENE(sendfile_end, after_the_end_of_the_writing_side_none_begins, "sends wide",
      "eof; no-file ESHUTDOWN")
SCENE(sendfile_end, after_a_close_or_a_loss_none_begins, "sends wide",
      "close; no-file ESHUTDOWN; lost 0; no-file ESHUTDOWN; cancel")
SCENE(sendfile_end, on_a_broken_connection_none_begins, "both reset wide",
      "reset; lost any; no-file EPIPE")
SCENE(
    sendfile_end, after_a_write_was_refused_none_begins, "sends wide",
    "hard 10; write 11 ENOBUFS; no-file ENOBUFS; told ENOBUFS; hard 0; usable")

static struct test_allocator memory;

static int made_fd;
static weir_transport *made_t;
static bool was_refused;
static bool was_ended;

static void note_made(void *arg, int err, weir_transport *t)
{
    made_t = weir_transport_ref(t);
}

static void send_without_memory(void *arg)
{
    sending = (struct sending){.calls = 0};
    walk_begin(&memory);
    const int err = weir_transport_sendfile(made_t, made_fd, 0, WEIR_TO_END,
                                            note_result, NULL);
    if (err == 0) {
        RUN_UNTIL(arg, sending.calls > 0);
    }
    const int expected = walk_end(&memory) ? -ENOMEM : 0;
    expect_eq(err < 0 ? err : sending.err, expected);
    expect(was_ended || sending.sent == 0 || expected == 0);
    was_refused = was_refused || err < 0;
    was_ended = was_ended || sending.err < 0;
}

/* Each allocation fails once: the record of the file, then the blocks for its
 * parts. */
UNIT(sendfile_end, without_memory_none_begins_or_it_ends)
{
    static CALLBACKS(silent, STREAM);
    const struct weir_factory factory = bind_to(&silent, NULL);
    int pair[2];
    allocator_init(&memory);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    weir_loop *loop = allocator_make_loop(&memory);
    expect_ok(weir_create_connection_at(loop, &factory,
                                        weir_endpoint_fd(pair[0]), NULL,
                                        note_made, NULL, NULL));
    RUN_UNTIL(loop, made_t != NULL);
    made_fd = open("/proc/filesystems", O_RDONLY | O_CLOEXEC); /* is read */

    walk_allocations(&memory, send_without_memory, loop);
    expect(was_refused);
    expect(was_ended);
    expect_eq(weir_transport_write(made_t, "x", 1), 0);

    close(made_fd);
    weir_transport_unref(made_t);
    expect_eq(weir_loop_free(loop), 1);
    close(pair[1]);
    allocator_check(&memory);
}

PAIRS(sendfile_end, the_dump_tells_of_it, rig, .small_buffers = true)
{
    begin_clogged(rig);

    char *text = dump_text(rig->loop);
    const bool is_copied = strstr(text, "file=copying") != NULL;
    cr_assert(is_copied || strstr(text, "file=next") != NULL, "%s", text);
    free(text);
    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);
}
