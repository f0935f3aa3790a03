/*
 * Files that pass through their transport's send queue, because the bytes must
 * be encrypted or the descriptor cannot take them from the page cache.
 *
 * Little of the file is in memory at a time, and a failing read harms nothing
 * else.
 */
#define PAIRS_NEED RIG_SENDS
#include "tests/contract/sending_rig.h"
#include "tests/dump.h"
#include "tests/marks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

enum { SIZE = 3000000 };

static void expect_within(struct rig *rig, uint64_t queued, uint64_t depth)
{
    expect_leq(rig_statistics(rig).queued_bytes, queued);
    expect_leq(rig_pending(rig), depth);
}

/* Two parts of 64 KiB; below a filter 64 KiB and an iteration's records. */
PAIRS(sendfile_copy, little_of_a_file_waits_for_a_peer_that_does_not_read, rig,
      .small_buffers = true)
{
    const uint64_t part = 64u << 10;

    send_own_file(rig, 16u << 20);
    for (int i = 0; i < 20; i++) { /* RIG_TURNS_MIN turns each */
        rig_turn_for(rig, RIG_MS / 4);
        expect_within(rig, 5 * part, 2 * part);
        rig_peer_read_most(rig, 0);
    }
    expect_eq(sending.calls, 0);
    for (int i = 0; i < 100; i++) {
        static uint8_t buf[50000];
        const ssize_t got = read(rig->peer, buf, sizeof(buf));
        rig->peer_received += got > 0 ? (uint64_t)got : 0;
        rig_turn(rig);
        expect_within(rig, 5 * part, 2 * part);
    }

    expect_eq(sending.calls, 0);
    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);
    expect_eq(rig_statistics(rig).queued_bytes, 0);
}

/* With the marks at 0 small parts follow one another, and pause_writing of the
 * protocol, which cannot write anyway, is not called. */
PAIRS(sendfile_copy, low_marks_let_less_of_it_wait, rig, .small_buffers = true)
{
    expect_eq(set_marks(rig->t, 0, 0), 0);

    send_own_file(rig, SIZE);
    for (int i = 0; i < 30; i++) {
        rig_turn_for(rig, RIG_MS / 4);
        expect_leq(rig_pending(rig), 4096);
    }
    expect_eq(sending.calls, 0);
    read_until_done(rig);

    expect_eq(sending.sent, SIZE);
    expect_events(rig, "made");
    expect_usable(rig);
}

PAIRS(sendfile_copy, a_protocol_that_was_paused_before_it_is_resumed, rig,
      .small_buffers = true)
{
    rig_clog(rig);
    rig->written = 0; /* the file begins with the pattern */
    send_own_file(rig, SIZE);
    expect_eq(sending.calls, 0);
    expect_events(rig, "made pause");

    static uint8_t buf[262144];
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    while (sending.calls == 0) {
        expect_geq(read(rig->peer, buf, sizeof(buf)), -1);
        rig_turn(rig);
        expect(rig_now_ns() < until_ns);
    }

    expect_eq(sending.sent, SIZE);
    rig_turns(rig, 2);
    expect_events(rig, "made pause resume");
    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);
}

PAIRS(sendfile_copy, the_hard_limit_of_writes_is_none_of_files, rig,
      .small_buffers = true)
{
    expect_eq(weir_transport_set_write_hard_limit(rig->t, 4000), 0);

    send_own_file(rig, SIZE);
    read_until_done(rig);

    expect_eq(sending.err, 0);
    expect_eq(sending.sent, SIZE);
    expect_eq(weir_transport_take_write_error(rig->t), 0);
    expect_usable(rig);
}

/* Memory of the process as a file: a read after its last page fails. */
static uint8_t *map_pattern(struct rig *rig, size_t size, size_t *ret_mapped)
{
    const int fd = pattern_file(0);
    expect_eq(ftruncate(fd, (off_t)size), 0);
    *ret_mapped = size + 65536;
    uint8_t *map =
        mmap(NULL, *ret_mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    expect(map != MAP_FAILED);
    rig_pattern(map, rig->written, size);
    close(fd);
    return map;
}

static void note_failed(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct rig *rig = arg;
    expect(t == rig->t);
    sending.calls++;
    sending.err = err;
    sending.sent = sent;
    rig->written += sent;
}

static void begin_failing(struct rig *rig, int fd, const uint8_t *map)
{
    sending = (struct sending){.rig = rig};
    expect_ok(weir_transport_sendfile(rig->t, fd, (uintptr_t)map, WEIR_TO_END,
                                      note_failed, rig));
}

PAIRS(sendfile_copy, a_read_that_fails_ends_the_file_and_not_the_transport, rig,
      .small_buffers = true)
{
    const size_t size = 65536 * 5;
    size_t mapped;
    const int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    expect_eq(rig_write(rig, 1000), 0);
    uint8_t *map = map_pattern(rig, size, &mapped);

    begin_failing(rig, fd, map);
    read_until_done(rig);

    expect_eq(sending.calls, 1);
    expect_eq(sending.err, -EIO);
    expect_eq(sending.sent, size);
    expect_eq(weir_transport_get_error(rig->t), 0);
    expect_usable(rig);
    munmap(map, mapped);
    close(fd);
}

PAIRS(sendfile_copy, a_close_behind_a_read_that_fails_is_no_clean_end, rig,
      .small_buffers = true)
{
    size_t mapped;
    const int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    uint8_t *map = map_pattern(rig, 65536, &mapped);

    begin_failing(rig, fd, map);
    expect_eq(weir_transport_close(rig->t), 0);
    const int end = rig_peer_read_end(rig);
    rig_wait_lost(rig);

    expect_eq(sending.calls, 1);
    expect_eq(sending.err, -EIO);
    expect_eq(rig->lost_err, -EIO);
    expect(end == -ECONNRESET || !rig_can(rig, RIG_CAN_RESET));
    munmap(map, mapped);
    close(fd);
}

PAIRS(sendfile_copy, a_reader_that_is_gone_raises_no_signal, rig,
      .needs = RIG_SENDS | RIG_IS_PIPE)
{
    struct sigaction action;
    sigset_t mask;
    expect_eq(sigaction(SIGPIPE, NULL, &action), 0);
    expect(action.sa_handler == SIG_DFL);

    send_own_file(rig, SIZE);
    rig_turns(rig, rig->rounds_run % 3);
    rig_peer_close(rig);
    rig_wait_lost(rig);

    expect_eq(sending.calls, 1);
    expect_eq(sending.err, rig->lost_err);
    expect(sending.err == -EPIPE || sending.err == -ECONNRESET);
    expect_eq(sigpending(&mask), 0);
    expect(!sigismember(&mask, SIGPIPE));
}

/* The reader has every counted byte: a pipe loses none. When the abort comes, a
 * thread has completed its write, but the loop does not know yet. */
PAIRS(sendfile_copy, the_count_of_an_aborted_file_is_exact, rig,
      .needs = RIG_SENDS | RIG_IS_PIPE, .small_buffers = true)
{
    send_own_file(rig, SIZE);
    for (int i = 0; i < 40 || (i < 400 && !dump_has(rig->loop, "io=working"));
         i++) {
        static uint8_t buf[5000];
        const ssize_t got = read(rig->peer, buf, sizeof(buf));
        rig->peer_received += got > 0 ? (uint64_t)got : 0;
        rig_turn(rig);
    }
    poll(NULL, 0, 5);

    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);
    expect_eq(rig_peer_read_end(rig), 0);

    expect_eq(sending.err, -ECONNABORTED);
    expect_eq(rig->peer_received, sending.sent);
}
