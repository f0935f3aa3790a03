/*
 * Promises of write pipes, beyond the suites for all kinds that send.
 *
 * SIGPIPE has its default action in these programs: a write that raised it
 * would end the test.
 */
#define PAIRS_NEED RIG_SENDS | RIG_IS_PIPE
#include "tests/contract/scenes.h"

#include <signal.h>

SCENE(pipe_write, a_megabyte_arrives_in_order_through_a_small_pipe,
      "sends pipe", "write 1M; read 1M; until pending 0")
SCENE(pipe_write, close_writes_everything_first, "sends pipe",
      "write 300000; close; write 1 ESHUTDOWN; read-end; came 300000; "
      "lost 0; events made pause resume lost")
SCENE(pipe_write, write_eof_is_close, "sends pipe",
      "can-eof 1; write 50000; eof; closing 1; write 1 ESHUTDOWN; read-end; "
      "came 50000; lost 0 CLOSED")
SCENE(pipe_write, abort_drops_what_waits, "sends pipe",
      "clog; abort; alive; lost 0; read-end; came <written")

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

/* The timer's iteration writes. Pipes are excluded: if a kernel worker writes,
 * the completion comes in another iteration. */
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

SCENE(pipe_write, a_reader_that_goes_is_noticed_while_nothing_is_written,
      "sends pipe wide", "leave; lost 0 EOF; events made lost; write 1 EPIPE")
SCENE(pipe_write, complaint_14__a_reader_that_goes_while_bytes_wait_is_an_error,
      "sends pipe", "clog; leave; lost EPIPE BROKEN; write 1 EPIPE")
SCENE(pipe_write, a_reader_that_goes_while_a_close_writes_is_an_error,
      "sends pipe", "clog; close; turn 3; leave; lost EPIPE CLOSED")

/* Between two iterations the watch would notice the end before the write. */
static void close_and_write(void *arg)
{
    struct rig *rig = arg;

    rig_peer_close(rig);
    expect_eq(rig_write(rig, 100), 0);
}

static void write_to_no_reader(struct rig *rig)
{
    signal(SIGPIPE, SIG_DFL); /* whatever the test program inherited */
    expect_eq(weir_loop_call_soon(rig->loop, close_and_write, rig, NULL), 0);
    rig_wait_lost(rig);
}

PAIRS(pipe_write, a_write_after_the_reader_has_gone_raises_no_signal, rig)
{
    write_to_no_reader(rig);
    expect_eq(rig->lost_err, -EPIPE);
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

SCENE(pipe_write,
      r18__writing_resumes_at_the_low_mark_and_not_when_all_is_written,
      "sends pipe",
      "marks 64K 40000; write 100000; read 100000; until pending 0; "
      "events made pause resume; ran @resume 1",
      "@resume pending >0; pending <=40000")
SCENE(pipe_write, the_hard_limit_refuses_and_close_tells,
      "sends pipe hard=100000",
      "write 100001 ENOBUFS; write 1 ENOBUFS; close ENOBUFS; lost ENOBUFS; "
      "exceptions 1")
SCENE(pipe_write, calls_of_the_other_direction_are_refused, "sends pipe wide",
      "pause EOPNOTSUPP; resume EOPNOTSUPP; buffer 64K EOPNOTSUPP; "
      "reading 0; held 0; no-socket EOPNOTSUPP")

PAIRS(pipe_write, the_loop_can_be_freed_while_bytes_wait, rig,
      .small_buffers = true)
{
    rig_clog(rig);
    expect_eq(weir_loop_free(rig->loop), 1);
    rig->loop = NULL;
    expect_events(rig, "made pause lost");
    weir_transport_unref(rig->t);
}

SCENE(pipe_write, a_reader_that_takes_nothing_is_a_stall,
      "sends pipe stall-ms=30", "write 1M; lost WEIR_EWRITESTALL")
SCENE(pipe_write, a_close_that_cannot_write_everything_ends_by_its_time_out,
      "sends pipe close-ms=30", "clog; close; lost WEIR_ECLOSETIMEOUT")
SCENE(pipe_write, an_idle_pipe_ends_by_the_idle_time_out,
      "sends pipe wide idle-ms=30", "lost WEIR_EIDLE")

PAIRS(pipe_write, a_reader_that_goes_on_taking_is_none, rig,
      .small_buffers = true,
      .connection = {.timeouts = {.write_stall_ns = 700 * RIG_MS}})
{
    expect_eq(rig_write(rig, 1 << 20), 0);
    for (int i = 0; i < 16; i++) { /* longer in total than the time limit */
        const uint64_t since_ns = rig_now_ns();
        rig_turn_for(rig, 50 * RIG_MS);
        if (rig_now_ns() - since_ns > 300 * RIG_MS) {
            return; /* the machine may pause for as long as a stall */
        }
        rig_peer_read(rig, 16384);
    }
    expect_eq(rig->lost_count, 0);
    expect(rig_pending(rig) > 0);
}
