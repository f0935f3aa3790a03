/*
 * Write pipes: what they promise beyond the suites of all that sends.
 *
 * SIGPIPE has its default action in these programs: a write that raised it
 * would end the test.
 */
#define PAIRS_NEED RIG_SENDS | RIG_IS_PIPE
#include "tests/contract/harness.h"
#include "tests/marks.h"

#include <fcntl.h>
#include <signal.h>

PAIRS(pipe_write, a_megabyte_arrives_in_order_through_a_small_pipe, rig,
      .small_buffers = true)
{
    expect_eq(rig_write(rig, 1 << 20), 0);
    rig_peer_read(rig, 1 << 20);
    rig_wait_sent(rig);
}

PAIRS(pipe_write, close_writes_everything_first, rig, .small_buffers = true)
{
    expect_eq(rig_write(rig, 300000), 0);
    expect_eq(weir_transport_close(rig->t), 0);
    expect_eq(rig_write(rig, 1), -ESHUTDOWN);
    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, 300000);
    rig_expect_lost(rig, 0);
    expect_events(rig, "made pause resume lost");
}

PAIRS(pipe_write, write_eof_is_close, rig, .small_buffers = true)
{
    expect(weir_transport_can_write_eof(rig->t));
    expect_eq(rig_write(rig, 50000), 0);
    expect_eq(weir_transport_write_eof(rig->t), 0);
    expect(weir_transport_is_closing(rig->t));
    expect_eq(rig_write(rig, 1), -ESHUTDOWN);
    expect_eq(rig_peer_read_end(rig), 0);
    expect_eq(rig->peer_received, 50000);
    rig_expect_lost(rig, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

PAIRS(pipe_write, abort_drops_what_waits, rig, .small_buffers = true)
{
    rig_clog(rig);
    expect_eq(weir_transport_abort(rig->t), 0);
    expect_eq(rig->lost_count, 0);
    rig_expect_lost(rig, 0);
    expect_eq(rig_peer_read_end(rig), 0);
    expect(rig->peer_received < rig->written);
}

/* ---- the reader goes ---- */

enum { TICKS = 50 };

static int ticks;

static void tick(void *arg)
{
    struct rig *rig = arg;

    expect_eq(rig_write(rig, 10), 0);
    if (++ticks < TICKS) {
        expect_eq(weir_loop_call_later(rig->loop, RIG_MS, tick, rig, NULL), 0);
    }
}

/* The turn that writes is the timer's. Pipes are left out: where a worker of
 * the kernel writes them its completion is another one. */
PAIRS(pipe_write, a_write_with_room_takes_no_turn_of_its_own, rig)
{
    if (strcmp(rig_name(), "write socket") != 0) {
        return;
    }
    rig_turns(rig, 5);
    ticks = 0;
    const uint64_t before = rig_statistics(rig).turns;
    expect_eq(weir_loop_call_later(rig->loop, RIG_MS, tick, rig, NULL), 0);
    RUN_UNTIL(rig->loop, ticks == TICKS);

    expect_lt(rig_statistics(rig).turns - before, TICKS * 3 / 2);
}

PAIRS(pipe_write, a_reader_that_goes_is_noticed_while_nothing_is_written, rig)
{
    rig_peer_close(rig);
    rig_expect_lost(rig, 0);

    expect_events(rig, "made lost");
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_EOF);
    expect_eq(rig_write(rig, 1), -EPIPE);
}

PAIRS(pipe_write, complaint_14__a_reader_that_goes_while_bytes_wait_is_an_error,
      rig, .small_buffers = true)
{
    rig_clog(rig);
    rig_peer_close(rig);
    rig_expect_lost(rig, -EPIPE);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
    expect_eq(rig_write(rig, 1), -EPIPE);
}

/* Between two turns the watch would notice the end before the write. */
static void close_and_write(void *arg)
{
    struct rig *rig = arg;

    rig_peer_close(rig);
    expect_eq(rig_write(rig, 100), 0);
}

static void write_to_no_reader(struct rig *rig)
{
    signal(SIGPIPE, SIG_DFL); /* whatever the test was started with */
    expect_eq(weir_loop_call_soon(rig->loop, close_and_write, rig, NULL), 0);
    rig_wait_lost(rig);
}

PAIRS(pipe_write, a_write_after_the_reader_has_gone_raises_no_signal, rig)
{
    write_to_no_reader(rig);
    expect_eq(rig->lost_err, -EPIPE);
}

PAIRS(pipe_write, a_reader_that_goes_while_a_close_writes_is_an_error, rig,
      .small_buffers = true)
{
    rig_clog(rig);
    expect_eq(weir_transport_close(rig->t), 0);
    rig_turns(rig, 3);
    rig_peer_close(rig);
    rig_expect_lost(rig, -EPIPE);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

static bool is_sigpipe_pending(void)
{
    sigset_t pending;

    expect_eq(sigpending(&pending), 0);
    return sigismember(&pending, SIGPIPE) == 1;
}

static void block_sigpipe(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    expect_eq(sigprocmask(how, &set, NULL), 0);
}

PAIRS(pipe_write, no_signal_is_left_pending_where_the_program_blocks_it, rig)
{
    block_sigpipe(SIG_BLOCK);
    write_to_no_reader(rig);
    expect_eq(rig->lost_err, -EPIPE);
    expect(!is_sigpipe_pending());
    block_sigpipe(SIG_UNBLOCK);
}

PAIRS(pipe_write, a_signal_of_the_programs_own_stays_pending, rig)
{
    const struct timespec at_once = {.tv_sec = 0};
    sigset_t set;

    block_sigpipe(SIG_BLOCK);
    raise(SIGPIPE);
    write_to_no_reader(rig);
    expect_eq(rig->lost_err, -EPIPE);
    expect(is_sigpipe_pending());
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    expect_eq(sigtimedwait(&set, NULL, &at_once), SIGPIPE);
    block_sigpipe(SIG_UNBLOCK);
}

/* ---- flow control ---- */

static void note_depth(struct rig *rig)
{
    rig->bytes = rig_pending(rig);
    rig->count++;
}

PAIRS(pipe_write,
      r18__writing_resumes_at_the_low_mark_and_not_when_all_is_written, rig,
      .small_buffers = true, .hooks = {.resume_writing = note_depth})
{
    expect_eq(set_marks(rig->t, 65536, 40000), 0);
    expect_eq(rig_write(rig, 100000), 0);
    rig_peer_read(rig, 100000);
    rig_wait_sent(rig);

    expect_events(rig, "made pause resume");
    expect_eq(rig->count, 1);
    expect(rig->bytes > 0);
    expect(rig->bytes <= 40000);
}

PAIRS(pipe_write, the_hard_limit_refuses_and_close_tells, rig,
      .small_buffers = true, .connection = {.write_hard_limit_bytes = 100000})
{
    expect_eq(rig_write(rig, 100001), -ENOBUFS);
    expect_eq(rig_write(rig, 1), -ENOBUFS);
    expect_eq(weir_transport_close(rig->t), -ENOBUFS);
    rig_expect_lost(rig, -ENOBUFS);
    expect_eq(rig->exception_count, 1);
}

PAIRS(pipe_write, calls_of_the_other_direction_are_refused, rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), -EOPNOTSUPP);
    expect_eq(weir_transport_resume_reading(rig->t), -EOPNOTSUPP);
    expect_eq(weir_transport_set_read_buffer_limit(rig->t, 65536), -EOPNOTSUPP);
    expect(!weir_transport_is_reading(rig->t));
    expect_eq(weir_transport_get_read_buffer_size(rig->t), 0);
    expect_eq(weir_transport_get_socket(rig->t), -EOPNOTSUPP);
}

PAIRS(pipe_write, the_loop_can_be_freed_while_bytes_wait, rig,
      .small_buffers = true)
{
    rig_clog(rig);
    expect_eq(weir_loop_free(rig->loop), 1);
    rig->loop = NULL;
    expect_events(rig, "made pause lost");
    weir_transport_unref(rig->t);
}

/* ---- time-outs ---- */

PAIRS(pipe_write, a_reader_that_takes_nothing_is_a_stall, rig,
      .small_buffers = true,
      .connection = {.timeouts = {.write_stall_ns = 30 * RIG_MS}})
{
    expect_eq(rig_write(rig, 1 << 20), 0);
    rig_expect_lost(rig, WEIR_EWRITESTALL);
}

PAIRS(pipe_write, a_reader_that_goes_on_taking_is_none, rig,
      .small_buffers = true,
      .connection = {.timeouts = {.write_stall_ns = 700 * RIG_MS}})
{
    expect_eq(rig_write(rig, 1 << 20), 0);
    for (int i = 0; i < 16; i++) { /* longer in all than the time-out */
        const uint64_t since_ns = rig_now_ns();
        rig_turn_for(rig, 50 * RIG_MS);
        if (rig_now_ns() - since_ns > 300 * RIG_MS) {
            return; /* the machine pauses for as long as a stall */
        }
        rig_peer_read(rig, 16384);
    }
    expect_eq(rig->lost_count, 0);
    expect(rig_pending(rig) > 0);
}

PAIRS(pipe_write, a_close_that_cannot_write_everything_ends_by_its_time_out,
      rig, .small_buffers = true,
      .connection = {.timeouts = {.close_ns = 30 * RIG_MS}})
{
    rig_clog(rig);
    expect_eq(weir_transport_close(rig->t), 0);
    rig_expect_lost(rig, WEIR_ECLOSETIMEOUT);
}

PAIRS(pipe_write, an_idle_pipe_ends_by_the_idle_time_out, rig,
      .connection = {.timeouts = {.idle_ns = 30 * RIG_MS}})
{
    rig_expect_lost(rig, WEIR_EIDLE);
}
