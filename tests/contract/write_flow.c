/*
 * Write flow control: rules R14 to R20 for stream sockets.
 *
 * The size counts bytes written and not yet accepted by the kernel, in flight
 * included. pause_writing when it is above the high mark, strictly;
 * resume_writing when it is at or below the low one; one after the other.
 */
#define PAIRS_NEED RIG_SENDS
#include "tests/contract/harness.h"
#include "tests/marks.h"

#include <poll.h>
#include <sys/mman.h>

static void set_limits(struct rig *rig, int64_t high, int64_t low)
{
    expect_eq(set_marks(rig->t, high, low), 0);
}

static void expect_limits(const struct rig *rig, uint64_t high, uint64_t low)
{
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(rig->t);
    expect_eq((uint64_t)marks.low_bytes, low);
    expect_eq((uint64_t)marks.high_bytes, high);
}

/* ---- R14: when ---- */

PAIRS(write_flow, r14__pause_writing_when_size_exceeds_high, rig)
{
    set_limits(rig, 1000, 100);

    expect_eq(rig_write(rig, 1000), 0);
    expect_events(rig, "made");
    expect_eq(rig_write(rig, 1), 0);

    expect_events(rig, "made pause");
    expect_eq(rig_pending(rig), 1001);
}

PAIRS(write_flow, r14__pause_writing_is_called_once_until_resumed, rig)
{
    set_limits(rig, 1000, 100);
    for (int i = 0; i < 10; i++) {
        expect_eq(rig_write(rig, 1001), 0);
    }
    expect_events(rig, "made pause");

    rig_peer_read(rig, 10010);
    rig_wait_sent(rig);

    expect_events(rig, "made pause resume");
}

static void look_at_size(struct rig *rig)
{
    rig->bytes = rig_pending(rig);
}

PAIRS(write_flow, r14__pause_writing_sees_the_bytes_counted, rig,
      .hooks = {.pause_writing = look_at_size})
{
    expect_eq(rig_write(rig, 65537), 0);

    expect_eq(rig->bytes, 65537);
}

PAIRS(write_flow, r14__with_high_zero_any_byte_pauses, rig)
{
    set_limits(rig, 0, 0);

    expect_eq(rig_write(rig, 0), 0);
    expect_events(rig, "made");
    expect_eq(rig_write(rig, 1), 0);

    expect_events(rig, "made pause");
}

PAIRS(write_flow, r14__with_low_zero_only_an_empty_queue_resumes, rig,
      .small_buffers = true, .hooks = {.resume_writing = look_at_size})
{
    set_limits(rig, 1000, 0);
    rig_clog(rig);
    rig->bytes = 1;

    rig_peer_read(rig, rig->written);
    rig_wait_event(rig, "resume");

    expect_eq(rig->bytes, 0);
}

UNIT(write_flow, r14__resume_writing_when_size_is_no_more_than_low)
{
    const size_t low = 100000;
    struct rig rig = {.small_buffers = true,
                      .hooks = {.resume_writing = look_at_size}};
    while (rig_next(&rig)) {
        set_limits(&rig, 200000, (int64_t)low);
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

/* ---- R15: the marks ---- */

PAIRS(write_flow, r15__the_defaults_are_64_and_16_kib, rig)
{
    expect_limits(rig, 65536, 16384);

    set_limits(rig, 5, 4);
    set_limits(rig, WEIR_DEFAULT, WEIR_DEFAULT);

    expect_limits(rig, 65536, 16384);
}

PAIRS(write_flow, r15__with_only_high_low_is_a_quarter, rig)
{
    set_limits(rig, 1003, WEIR_DEFAULT);
    expect_limits(rig, 1003, 250);

    set_limits(rig, 0, WEIR_DEFAULT);
    expect_limits(rig, 0, 0);
}

PAIRS(write_flow, r15__with_only_low_high_is_four_times, rig)
{
    set_limits(rig, WEIR_DEFAULT, 250);
    expect_limits(rig, 1000, 250);

    set_limits(rig, WEIR_DEFAULT, INT64_MAX);
    expect_limits(rig, INT64_MAX, INT64_MAX);
}

PAIRS(write_flow, r15__low_above_high_or_negative_is_refused, rig)
{
    weir_transport *t = rig->t;
    set_limits(rig, 1000, 1000);

    expect_eq(set_marks(t, 10, 11), -EINVAL);
    expect_eq(set_marks(t, -1, -1), -EINVAL);
    expect_eq(set_marks(t, 10, -1), -EINVAL);
    expect_eq(set_marks(t, -1, WEIR_DEFAULT), -EINVAL);
    expect_eq(set_marks(t, WEIR_DEFAULT, -1), -EINVAL);

    expect_limits(rig, 1000, 1000);
}

/* ---- R16: changing them ---- */

PAIRS(write_flow, r16__a_lower_mark_pauses_at_once, rig)
{
    expect_eq(rig_write(rig, 2000), 0);
    set_limits(rig, 2000, 0);
    expect_events(rig, "made");

    set_limits(rig, 1999, 0);

    expect_events(rig, "made pause");
}

/* rig->bytes were sent when the marks were raised. */
static void expect_more_sent(struct rig *rig)
{
    expect_gt(rig_statistics(rig).sent_bytes, rig->bytes);
}

PAIRS(write_flow, r16__a_higher_mark_resumes_only_when_bytes_are_sent, rig,
      .small_buffers = true, .hooks = {.resume_writing = expect_more_sent})
{
    rig_clog(rig);
    expect_events(rig, "made pause");

    rig->bytes = rig_statistics(rig).sent_bytes;
    set_limits(rig, INT64_MAX, INT64_MAX);
    expect_events(rig, "made pause");
    rig_turns(rig, 5);

    rig_peer_read(rig, 100000);
    rig_wait_event(rig, "resume");
    expect(rig_pending(rig) > 0);
}

/* ---- R17: no limit but the hard one ---- */

PAIRS(write_flow, r17__one_write_may_overshoot_and_is_not_refused, rig)
{
    expect_eq(rig_write(rig, 8u << 20), 0);
    expect_eq(rig_write(rig, 1u << 20), 0);

    expect_events(rig, "made pause");
    expect_eq(rig_pending(rig), 9u << 20);
    rig_peer_read(rig, 9u << 20);
}

PAIRS(write_flow, the_hard_limit_refuses_the_first_byte_beyond_it, rig,
      .small_buffers = true)
{
    expect_eq(weir_transport_set_write_hard_limit(rig->t, 1000), 0);
    expect_eq(rig_write(rig, 1001), -ENOBUFS);
    expect_eq(rig_pending(rig), 0);
    expect_eq(weir_transport_take_write_error(rig->t), -ENOBUFS);

    expect_eq(rig_write(rig, 400), 0);
    expect_eq(rig_write(rig, 600), 0);
    expect_eq(rig_write(rig, 1), -ENOBUFS);
    expect_eq(weir_transport_take_write_error(rig->t), -ENOBUFS);

    expect_eq(rig_pending(rig), 1000);
    rig_peer_read(rig, 1000);
    rig_wait_sent(rig);
    expect_eq(rig_write(rig, 1000), 0);
    expect_eq(weir_transport_set_write_hard_limit(rig->t, 0), 0);
    expect_eq(rig_write(rig, 1), 0); /* 64 MiB again */
    rig_peer_read(rig, 1001);
}

PAIRS(write_flow, the_hard_limit_comes_from_the_makers_options, rig,
      .connection = {.size = sizeof(struct weir_connection_options),
                     .write_hard_limit_bytes = 5000})
{
    expect_eq(rig_write(rig, 5001), -ENOBUFS);
    expect_eq(weir_transport_take_write_error(rig->t), -ENOBUFS);
    expect_eq(rig_write(rig, 5000), 0);
    rig_peer_read(rig, 5000);
}

PAIRS(write_flow, a_write_of_nothing_needs_no_room, rig)
{
    expect_eq(rig_write(rig, 100), 0);
    expect_eq(weir_transport_set_write_hard_limit(rig->t, 20), 0);

    expect_eq(rig_write(rig, 0), 0);

    expect_eq(weir_transport_take_write_error(rig->t), 0);
    rig_peer_read(rig, 100);
}

/* One write of each kind that needs no lease. */
static int write_by(weir_transport *t, int how, size_t len)
{
    static const uint8_t bytes[64];
    const struct iovec iov = {(void *)(uintptr_t)bytes, len};
    switch (how) {
    case 0:
        return weir_transport_write(t, bytes, len);
    case 1:
        return weir_transport_writelines(t, &iov, 1);
    default:
        return weir_transport_write_ref(t, bytes, len, NULL, NULL);
    }
}

enum { HOWS = 3 };

PAIRS(write_flow, a_write_that_was_refused_lets_none_follow_before_it_was_told,
      rig, .small_buffers = true)
{
    weir_transport *t = rig->t;
    expect_eq(weir_transport_set_write_hard_limit(t, 20), 0);
    for (int refused = 0; refused < HOWS; refused++) {
        expect_eq(rig_write(rig, 5), 0);
        expect_eq(write_by(t, refused, 21), -ENOBUFS);
        for (int later = 0; later < HOWS; later++) {
            expect_eq(write_by(t, later, 1), -ENOBUFS);
        }
        expect_eq(weir_transport_write_eof(t), -ENOBUFS);
        expect_eq(rig_pending(rig), 5);

        expect_eq(weir_transport_take_write_error(t), -ENOBUFS);
        expect_eq(weir_transport_take_write_error(t), 0);
        expect_eq(rig_write(rig, 1), 0);
        rig_peer_read(rig, 6);
        rig_wait_sent(rig);
    }
}

PAIRS(write_flow, a_close_after_a_write_was_refused_is_no_clean_end, rig,
      .small_buffers = true)
{
    weir_transport *t = weir_transport_ref(rig->t);
    expect_eq(weir_transport_set_write_hard_limit(t, 20), 0);
    expect_eq(rig_write(rig, 5), 0);
    expect_eq(rig_write(rig, 21), -ENOBUFS);

    expect_eq(weir_transport_close(t), -ENOBUFS);
    rig_wait_lost(rig);

    expect_eq(weir_transport_get_error(t), -ENOBUFS);
    expect_eq(weir_transport_get_end(t), WEIR_END_BROKEN);
    weir_transport_unref(t);
}

PAIRS(write_flow, an_end_of_the_peers_after_a_write_was_refused_is_no_clean_end,
      rig, .eof_result = 0)
{
    weir_transport *t = weir_transport_ref(rig->t);
    expect_eq(weir_transport_set_write_hard_limit(t, 20), 0);
    expect_eq(rig_write(rig, 21), -ENOBUFS);

    rig_peer_shutdown(rig);
    rig_expect_lost(rig, -ENOBUFS);
    expect_eq(rig->exception_count, 1);
    expect_eq(weir_transport_get_end(t), WEIR_END_BROKEN);
    weir_transport_unref(t);
}

PAIRS(write_flow, a_close_after_a_refused_write_was_told_is_a_clean_end, rig,
      .small_buffers = true)
{
    weir_transport *t = weir_transport_ref(rig->t);
    expect_eq(weir_transport_set_write_hard_limit(t, 20), 0);
    expect_eq(rig_write(rig, 5), 0);
    expect_eq(rig_write(rig, 21), -ENOBUFS);
    expect_eq(weir_transport_take_write_error(t), -ENOBUFS);

    expect_eq(weir_transport_close(t), 0);
    rig_peer_read(rig, 5);
    rig_wait_lost(rig);

    expect_eq(weir_transport_get_error(t), 0);
    expect_eq(weir_transport_get_end(t), WEIR_END_CLOSED);
    weir_transport_unref(t);
}

UNIT(write_flow, the_hard_limit_is_64_mib_by_default)
{
    const size_t limit = 64u << 20;
    uint8_t *zeros = mmap(NULL, limit + 1, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct rig rig = {.small_buffers = true};
    expect(zeros != MAP_FAILED);
    while (rig_next(&rig)) {
        weir_transport *t = rig.t;
        expect_eq(weir_transport_write_ref(t, zeros, limit + 1, NULL, NULL),
                  -ENOBUFS);
        expect_eq(weir_transport_take_write_error(t), -ENOBUFS);
        expect_eq(weir_transport_write_ref(t, zeros, limit, NULL, NULL), 0);
        expect_eq(weir_transport_write_ref(t, zeros, 1, NULL, NULL), -ENOBUFS);
        expect_eq(weir_transport_take_write_error(t), -ENOBUFS);

        expect_eq(weir_transport_set_write_hard_limit(t, 65u << 20), 0);
        expect_eq(weir_transport_write_ref(t, zeros, 1, NULL, NULL), 0);
        expect_eq(weir_transport_set_write_hard_limit(t, 0), 0);
        expect_eq(weir_transport_write_ref(t, zeros, 1, NULL, NULL), -ENOBUFS);
        expect_eq(weir_transport_abort(t), 0);
        rig_wait_lost(&rig);
    }
    munmap(zeros, limit + 1);
}

UNIT(write_flow, no_depth_reaches_a_limit_or_a_mark_from_4_gib_less_1_on)
{
    const size_t len = (size_t)UINT32_MAX + 1;
    uint8_t *zeros = mmap(NULL, len, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct rig rig = {.small_buffers = true};
    expect(zeros != MAP_FAILED);
    while (rig_next(&rig)) {
        weir_transport *t = rig.t;
        expect_eq(weir_transport_set_write_hard_limit(t, UINT32_MAX - 1), 0);
        expect_eq(weir_transport_write_ref(t, zeros, len, NULL, NULL),
                  -ENOBUFS);
        expect_eq(weir_transport_take_write_error(t), -ENOBUFS);
        expect_eq(weir_transport_set_write_hard_limit(t, UINT32_MAX), 0);
        set_limits(&rig, UINT32_MAX, UINT32_MAX);
        expect_eq(weir_transport_write_ref(t, zeros, len, NULL, NULL), 0);
        expect_events(&rig, "made");

        set_limits(&rig, UINT32_MAX - 1, UINT32_MAX - 1);
        expect_events(&rig, "made pause");
        expect_eq(weir_transport_abort(t), 0);
        rig_wait_lost(&rig);
    }
    munmap(zeros, len);
}

/* ---- R18 to R20: resuming ---- */

PAIRS(write_flow, r18__resume_writing_does_not_wait_for_an_empty_queue, rig,
      .small_buffers = true, .hooks = {.resume_writing = look_at_size})
{
    set_limits(rig, 2 << 20, 1 << 20);
    rig_clog(rig);

    rig_peer_read(rig, rig->written);
    rig_wait_sent(rig);

    expect_events(rig, "made pause resume");
    expect(rig->bytes > 0);
    expect(rig->bytes <= 1 << 20);
}

static void write_more(struct rig *rig)
{
    if (rig->count < 20) {
        rig->count++;
        expect_eq(rig_write(rig, 100000), 0);
    }
}

static void expect_running(struct rig *rig)
{
    expect_eq(rig->step, 0);
    rig->step = 1;
}

static void expect_paused(struct rig *rig)
{
    expect_eq(rig->step, 1);
    rig->step = 0;
    write_more(rig);
}

PAIRS(write_flow, r19__what_resume_writing_appends_is_sent, rig,
      .small_buffers = true,
      .hooks = {.pause_writing = expect_running,
                .resume_writing = expect_paused})
{
    expect_eq(rig_write(rig, 100000), 0);

    rig_peer_read(rig, 2100000);
    rig_wait_sent(rig);

    expect_eq(rig->count, 20);
    expect_eq(rig->step, 0);
}

static void close_it(struct rig *rig)
{
    expect_eq(weir_transport_close(rig->t), 0);
}

PAIRS(write_flow, r19__close_inside_resume_writing_loses_once, rig,
      .hooks = {.resume_writing = close_it})
{
    set_limits(rig, 0, 0);
    expect_eq(rig_write(rig, 1000), 0);

    expect_eq(rig_peer_read_end(rig), 0);
    rig_wait_lost(rig);

    rig_turns(rig, 3);
    expect_eq(rig->peer_received, 1000);
    expect_events(rig, "made pause resume lost");
    expect_eq(rig->lost_count, 1);
}

static void abort_it(struct rig *rig)
{
    expect_eq(weir_transport_abort(rig->t), 0);
}

PAIRS(write_flow, r19__abort_inside_resume_writing_loses_once, rig,
      .small_buffers = true, .hooks = {.resume_writing = abort_it})
{
    set_limits(rig, 2 << 20, 1 << 20);
    rig_clog(rig);

    expect(rig_peer_read_end(rig) <= 0);
    rig_wait_lost(rig);

    rig_turns(rig, 3);
    expect_events(rig, "made pause resume lost");
    expect(rig->peer_received < rig->written);
}

static void close_and_abort(struct rig *rig)
{
    close_it(rig);
    abort_it(rig);
}

PAIRS(write_flow, abort_inside_pause_writing_loses_once, rig,
      .hooks = {.pause_writing = close_and_abort})
{
    expect_eq(rig_write(rig, 70000), 0);
    expect_eq(rig->lost_count, 0);

    rig_wait_lost(rig);

    expect_events(rig, "made pause lost");
}

PAIRS(write_flow, r20__nothing_is_resumed_after_an_abort, rig,
      .small_buffers = true)
{
    rig_clog(rig);

    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);

    expect_events(rig, "made pause lost");
}

/* ---- the size ---- */

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

/* Over TLS bytes wait in two places: before they are sealed, and below. */
PAIRS(write_flow, r21__the_size_is_0_only_when_nothing_waits_anywhere, rig,
      .needs = RIG_BOTH_WAYS, .small_buffers = true)
{
    rig_clog(rig);

    while (rig_pending(rig) > 0) {
        rig_peer_read_most(rig, 20000);
        rig_turn(rig);
        const struct weir_loop_statistics now = rig_statistics(rig);
        expect(rig_pending(rig) == 0 || now.queued_bytes > 0);
        if (!rig_can(rig, RIG_IS_MEMORY)) { /* where a relay queues, too */
            expect_eq(rig_pending(rig) == 0, now.queued_bytes == 0);
        }
    }
}

/* A hundred writes, and three turns; returns how many bytes came meanwhile. */
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

    /* Tickets of TLS may come, each of which begins a receive anew. */
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

    /* A worker thread of the kernel may take a moment, but needs no turn. */
    expect_eq(poll(&(struct pollfd){.fd = rig->peer, .events = POLLIN}, 1,
                   (int)(RIG_WAIT_NS / RIG_MS)),
              1);
    expect_eq(read(rig->peer, got, sizeof(got)), sizeof(got));
    expect(rig_is_pattern(got, 0, sizeof(got)));
}
