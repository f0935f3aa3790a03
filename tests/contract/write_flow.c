/*
 * Write flow control: rules R14 to R20 for stream sockets.
 *
 * The size counts bytes that are written and not accepted by the kernel,
 * including bytes in flight. pause_writing is called when it exceeds the high
 * mark, resume_writing when it is at or below the low mark, alternately.
 */
#define PAIRS_NEED RIG_SENDS
#include "tests/contract/scenes.h"
#include "tests/marks.h"

#include <poll.h>
#include <sys/mman.h>

SCENE(write_flow, r14__pause_writing_when_size_exceeds_high, "sends wide",
      "marks 1000 100; write 1000; events made; write 1; events made pause; "
      "pending 1001")
SCENE(
    write_flow, r14__pause_writing_is_called_once_until_resumed, "sends wide",
    "marks 1000 100", "write 1001; again 9",
    "events made pause; read 10010; until pending 0; events made pause resume")
SCENE(write_flow, r14__pause_writing_sees_the_bytes_counted, "sends wide",
      "write 65537; ran @pause 1", "@pause pending 65537")
SCENE(write_flow, r14__with_high_zero_any_byte_pauses, "sends wide",
      "marks 0 0; write 0; events made; write 1; events made pause")
SCENE(write_flow, r14__with_low_zero_only_an_empty_queue_resumes, "sends",
      "marks 1000 0; clog; read written; event resume; ran @resume 1",
      "@resume pending 0")

static void look_at_size(struct rig *rig)
{
    rig->bytes = rig_pending(rig);
}

UNIT(write_flow, r14__resume_writing_when_size_is_no_more_than_low)
{
    const size_t low = 100000;
    struct rig rig = {.small_buffers = true,
                      .hooks = {.resume_writing = look_at_size}};

    while (rig_next(&rig)) {
        expect_eq(set_marks(rig.t, 200000, (int64_t)low), 0);
        rig_clog(&rig);
        while (rig_pending(&rig) > 0) {
            rig_peer_read_most(&rig, 3000);
            rig_turn(&rig);
            expect_eq(strstr(rig.events, "resume") != NULL,
                      rig_pending(&rig) <= low);
        }
        expect_events(&rig, "made pause resume");
        expect(rig.bytes <= low);
    }
}

SCENE(write_flow, r15__the_defaults_are_64_and_16_kib, "sends wide",
      "are 64K 16K; marks 5 4; marks default default; are 64K 16K")
SCENE(write_flow, r15__with_only_high_low_is_a_quarter, "sends wide",
      "marks 1003 default; are 1003 250; marks 0 default; are 0 0")
SCENE(write_flow, r15__with_only_low_high_is_four_times, "sends wide",
      "marks default 250; are 1000 250; marks default max; are max max")
SCENE(write_flow, r15__low_above_high_or_negative_is_refused, "sends wide",
      "marks 1000 1000; marks 10 11 EINVAL; marks -1 -1 EINVAL; "
      "marks 10 -1 EINVAL; marks -1 default EINVAL; marks default -1 EINVAL; "
      "are 1000 1000")
SCENE(write_flow, r16__a_lower_mark_pauses_at_once, "sends wide",
      "write 2000; marks 2000 0; events made; marks 1999 0; events made pause")
SCENE(write_flow, r16__a_higher_mark_resumes_only_when_bytes_are_sent, "sends",
      "clog; events made pause; note sent; marks max max; events made pause; "
      "turn 5; read 100000; event resume; pending >0",
      "@resume sent >+0")

SCENE(write_flow, r17__one_write_may_overshoot_and_is_not_refused, "sends wide",
      "write 8M; write 1M; events made pause; pending 9M; read 9M")
SCENE(write_flow, the_hard_limit_refuses_the_first_byte_beyond_it, "sends",
      "hard 1000; write 1001 ENOBUFS; pending 0; told ENOBUFS; write 400; "
      "write 600; write 1 ENOBUFS; told ENOBUFS; pending 1000; read 1000; "
      "until pending 0; write 1000; hard 0; write 1; read 1001")
SCENE(write_flow, the_hard_limit_comes_from_the_makers_options,
      "sends wide hard=5000",
      "write 5001 ENOBUFS; told ENOBUFS; write 5000; read 5000")
SCENE(write_flow, a_write_of_nothing_needs_no_room, "sends wide",
      "write 100; hard 20; write 0; told 0; read 100")
SCENE(write_flow, a_write_that_was_refused_lets_none_follow_before_it_was_told,
      "sends each",
      "hard 20; write 5; write 21 ENOBUFS; by write; write 1 ENOBUFS; "
      "by lines; write 1 ENOBUFS; by ref; write 1 ENOBUFS; eof ENOBUFS; "
      "pending 5; told ENOBUFS; told 0; write 1; read 6; until pending 0")
SCENE(write_flow, a_close_after_a_write_was_refused_is_no_clean_end, "sends",
      "hard 20; write 5; write 21 ENOBUFS; close ENOBUFS; "
      "lost ENOBUFS BROKEN; error ENOBUFS")
SCENE(write_flow, an_end_of_the_peers_after_a_write_was_refused_is_no_clean_end,
      "both wide",
      "hard 20; write 21 ENOBUFS; shutdown; lost ENOBUFS BROKEN; exceptions 1")
SCENE(write_flow, a_close_after_a_refused_write_was_told_is_a_clean_end,
      "sends",
      "hard 20; write 5; write 21 ENOBUFS; told ENOBUFS; close; read 5; "
      "lost 0 CLOSED; error 0")

static uint8_t *zeros_of(size_t len)
{
    uint8_t *zeros = mmap(NULL, len, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    expect(zeros != MAP_FAILED);
    return zeros;
}

static void write_zeros(struct rig *rig, const uint8_t *zeros, size_t len,
                        int err)
{
    expect_eq(weir_transport_write_ref(rig->t, zeros, len, NULL, NULL), err);
    expect_eq(weir_transport_take_write_error(rig->t), err);
}

PAIRS(write_flow, the_hard_limit_is_64_mib_by_default, rig,
      .needs = RIG_BOTH_WAYS, .small_buffers = true)
{
    const size_t limit = 64u << 20;
    uint8_t *zeros = zeros_of(limit + 1);

    write_zeros(rig, zeros, limit + 1, -ENOBUFS);
    write_zeros(rig, zeros, limit, 0);
    write_zeros(rig, zeros, 1, -ENOBUFS);
    expect_ok(weir_transport_set_write_hard_limit(rig->t, 65u << 20));
    write_zeros(rig, zeros, 1, 0);
    expect_ok(weir_transport_set_write_hard_limit(rig->t, 0));
    expect_eq(weir_transport_write_ref(rig->t, zeros, 1, NULL, NULL), -ENOBUFS);
    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);
    munmap(zeros, limit + 1);
}

PAIRS(write_flow, no_depth_reaches_a_limit_or_a_mark_from_4_gib_less_1_on, rig,
      .needs = RIG_BOTH_WAYS, .small_buffers = true)
{
    const size_t len = (size_t)UINT32_MAX + 1;
    uint8_t *zeros = zeros_of(len);

    expect_ok(weir_transport_set_write_hard_limit(rig->t, UINT32_MAX - 1));
    write_zeros(rig, zeros, len, -ENOBUFS);
    expect_ok(weir_transport_set_write_hard_limit(rig->t, UINT32_MAX));
    expect_eq(set_marks(rig->t, UINT32_MAX, UINT32_MAX), 0);
    write_zeros(rig, zeros, len, 0);
    expect_events(rig, "made");
    expect_eq(set_marks(rig->t, UINT32_MAX - 1, UINT32_MAX - 1), 0);
    expect_events(rig, "made pause");
    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);
    munmap(zeros, len);
}

PAIRS(write_flow, r18__resume_writing_does_not_wait_for_an_empty_queue, rig,
      .small_buffers = true, .hooks = {.resume_writing = look_at_size})
{
    expect_eq(set_marks(rig->t, 512 << 10, 256 << 10), 0);
    rig_clog(rig);
    rig_peer_read(rig, rig->written);
    rig_wait_sent(rig);
    expect_events(rig, "made pause resume");
    expect(rig->bytes > 0 && rig->bytes <= 256 << 10);
}

static void write_more(struct rig *rig)
{
    expect_eq(rig->step, 1);
    rig->step = 0;
    if (rig->count < 20) {
        rig->count++;
        expect_eq(rig_write(rig, 100000), 0);
    }
}

static void expect_running(struct rig *rig)
{
    expect_eq(rig->step++, 0);
}

PAIRS(write_flow, r19__what_resume_writing_appends_is_sent, rig,
      .small_buffers = true,
      .hooks = {.pause_writing = expect_running, .resume_writing = write_more})
{
    expect_eq(rig_write(rig, 100000), 0);
    rig_peer_read(rig, 2100000);
    rig_wait_sent(rig);
    expect_eq(rig->count, 20);
    expect_eq(rig->step, 0);
}

SCENE(write_flow, r19__close_inside_resume_writing_loses_once, "sends wide",
      "marks 0 0; write 1000; read-end; lost 0; once; came 1000; "
      "events made pause resume lost",
      "@resume close")
SCENE(write_flow, r19__abort_inside_resume_writing_loses_once, "sends",
      "marks 512K 256K; clog; read-end any; lost 0; once; "
      "events made pause resume lost; came <written",
      "@resume abort")
SCENE(write_flow, abort_inside_pause_writing_loses_once, "sends wide",
      "write 70000; alive; lost 0; events made pause lost",
      "@pause close; abort")
SCENE(write_flow, r20__nothing_is_resumed_after_an_abort, "sends",
      "clog; abort; lost 0; events made pause lost")

PAIRS(write_flow, the_size_is_what_no_completion_has_accounted_for, rig,
      .needs = RIG_SENDS | RIG_IS_PLAIN, .small_buffers = true)
{
    const uint64_t sent_before = rig_statistics(rig).sent_bytes;

    rig_clog(rig);
    uint64_t completions = rig_statistics(rig).completions;
    size_t size = rig_pending(rig);
    while (size > 0) {
        rig_peer_read_most(rig, 2000);
        rig_turn(rig);
        const struct weir_loop_statistics now = rig_statistics(rig);
        const size_t pending = rig_pending(rig);
        expect_eq(pending, rig->written - (now.sent_bytes - sent_before));
        expect_eq(pending, now.queued_bytes);
        expect(pending == size || now.completions > completions);
        completions = now.completions;
        size = pending;
    }
}

/* Over TLS bytes wait in two places: before encryption, and in the transport
 * below. */
PAIRS(write_flow, r21__the_size_is_0_only_when_nothing_waits_anywhere, rig,
      .needs = RIG_BOTH_WAYS, .small_buffers = true)
{
    rig_clog(rig);
    while (rig_pending(rig) > 0) {
        rig_peer_read_most(rig, 20000);
        rig_turn(rig);
        const struct weir_loop_statistics now = rig_statistics(rig);
        expect(rig_pending(rig) == 0 || now.queued_bytes > 0);
        if (!rig_can(rig, RIG_IS_MEMORY)) { /* where a relay has a queue, too */
            expect_eq(rig_pending(rig) == 0, now.queued_bytes == 0);
        }
    }
}

static uint64_t write_in_one_turn(struct rig *rig, uint64_t *ret_submitted)
{
    const struct weir_loop_statistics before = rig_statistics(rig);

    for (int i = 0; i < 100; i++) {
        expect_eq(rig_write(rig, 100), 0);
    }
    rig_turns(rig, 3);
    const struct weir_loop_statistics after = rig_statistics(rig);
    expect_eq(rig_pending(rig), 0);
    rig_peer_read(rig, 10000);
    *ret_submitted = after.submitted - before.submitted;
    return after.received_bytes - before.received_bytes;
}

PAIRS(write_flow, the_writes_of_one_turn_leave_as_one_send, rig,
      .needs = RIG_BOTH_WAYS | RIG_HAS_KERNEL)
{
    uint64_t submitted;

    /* TLS tickets may arrive, each of which starts a new receive. */
    while (write_in_one_turn(rig, &submitted) > 0) {
        expect(rig_can(rig, RIG_IS_TLS));
    }
    expect_eq(submitted, 1);
}

PAIRS(write_flow, bytes_written_are_submitted_before_run_returns, rig)
{
    uint8_t got[1000];

    expect_eq(rig_write(rig, sizeof(got)), 0);
    rig_turn(rig);
    /* A worker thread of the kernel may take a moment, but needs no iteration.
     */
    expect_eq(poll(&(struct pollfd){.fd = rig->peer, .events = POLLIN}, 1,
                   (int)(RIG_WAIT_NS / RIG_MS)),
              1);
    expect_eq(read(rig->peer, got, sizeof(got)), sizeof(got));
    expect(rig_is_pattern(got, 0, sizeof(got)));
}
