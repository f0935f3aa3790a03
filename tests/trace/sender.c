/*
 * Files in a send queue, without a connection: the transport is an outbox that
 * the test empties, with the disk and the clock of the fake machine.
 *
 * A round sends a part of a file. Reads are short, late or fail, and memory
 * runs out; at any moment the file is cancelled, or its connection ends. The
 * bytes must be the file's without a gap, done must be called once, and the
 * count must be exact.
 */
#include "lib/transport/connection.h"
#include "tests/fake/fake.h"
#include "tests/statistics.h"
#include "tests/unit/random.h"
#include "tests/unit/table.h"
#include "tests/walk.h"
#include "uring/sys.h"

enum { FILE_BYTES = 500000, PART = 60000, ROUNDS = 400 };

static struct test_allocator memory;
static weir_loop *loop;

/* A transport that has no more than what a sender looks at. */
static struct sink {
    struct wr_connection c;
    uint64_t offset; /* of the file: where the part begins */
    uint64_t taken;  /* bytes that were taken from the queue */
    int ended_count;
    int done_count;
    int err;
    uint64_t sent;
} sink;

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 17 + (offset >> 16));
}

static void fill(void *arg, void *buf, uint64_t offset, size_t len)
{
    uint8_t *bytes = buf;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_at(offset + i);
    }
}

static uint64_t sink_depth(const weir_transport *t)
{
    cr_assert(t == &sink.c.t);
    return sink.c.outbox.queue.bytes;
}

/* As of other transports, whose step, which breaks the sender, comes later. */
static void sink_abort(weir_transport *t)
{
    cr_assert(t == &sink.c.t);
    cr_assert_not_null(sink.c.outbox.sender);
}

static void sink_abandon(weir_transport *t)
{
    cr_assert(t == &sink.c.t);
    if (sink.c.outbox.sender) {
        wr_sender_abandon(sink.c.outbox.sender);
    }
}

static void sink_check(const weir_transport *t)
{
    cr_assert(t == &sink.c.t);
}

static void sink_queued(weir_transport *t, size_t len)
{
    cr_assert(t == &sink.c.t);
    expect_leq(len, PART);
}

static void sink_ended(weir_transport *t)
{
    cr_assert(t == &sink.c.t);
    sink.ended_count++;
    if (wr_list_is_linked(&t->member.link)) {
        wr_loop_remove_member(loop, &t->member);
    }
}

static const struct wr_transport_ops sink_ops = {
    .name = "sink",
    .size = sizeof(struct sink),
    TABLE_REST,
    TABLE_DEVICE,
    .get_depth = sink_depth,
    .limits_changed = table_not_called,
    .sendfile = wr_outbox_sendfile,
    .cancel_sendfile = wr_outbox_cancel_sendfile,
    .abort = sink_abort,
    .doom = table_not_called,
    .abandon = sink_abandon,
    .check = sink_check,
    .free = table_not_called,
    .queued = sink_queued,
    .part_bytes = PART,
    .queue_file = wr_outbox_queue_file,
    .end_file = wr_outbox_end_file,
    .file_begins = table_not_called,
    .file_ended = sink_ended,
};

static void sink_done(void *arg, weir_transport *t, int err, uint64_t sent)
{
    cr_assert(arg == &sink);
    cr_assert(t == &sink.c.t);
    expect_eq(sink.ended_count, 1);
    sink.done_count++;
    sink.err = err;
    sink.sent = sent;
}

static void run_for(uint64_t duration_ns)
{
    struct weir_handle handle;
    expect_ok(weir_loop_call_later(
        loop, duration_ns, (weir_callback_fn *)weir_loop_stop, loop, &handle));
    expect_eq(weir_loop_run(loop), 0);
}

static void open_all(const struct fake_options *machine)
{
    fake_start(machine);
    allocator_init(&memory);
    loop = allocator_make_loop(&memory);
    run_for(1); /* a ring that has not run takes nothing */
}

static void close_all(void)
{
    expect_eq(weir_loop_free(loop), 0);
    allocator_check(&memory);
    fake_stop();
}

/* False: there was no memory for it. */
static bool begin(int fd, uint64_t offset, uint64_t count, uint64_t high)
{
    struct wr_sendfile file;

    memset(&sink, 0, sizeof(sink));
    sink.offset = offset;
    wr_transport_init(&sink.c.t, loop, &sink_ops);
    wr_transport_set_marks(&sink.c.t, high, 0);
    wr_sendq_init(&sink.c.outbox.queue);
    wr_outbox_open(&sink.c.outbox);
    expect_eq(wr_sendfile_init(&file, fd, offset, count), 0);
    file.done = sink_done;
    file.arg = &sink;
    sink.c.outbox.sender = wr_sender_new(&sink.c.t, &file);
    return sink.c.outbox.sender != NULL;
}

/* Takes bytes from the queue, as a kernel with room for @room of them. */
static void take(uint64_t room)
{
    struct iovec iov;

    while (room > 0 &&
           wr_sendq_gather(&sink.c.outbox.queue, &iov, 1, room) == 1) {
        const uint8_t *bytes = iov.iov_base;
        for (size_t i = 0; i < iov.iov_len; i++) {
            expect_eq(bytes[i], byte_at(sink.offset + sink.taken + i));
        }
        sink.taken += iov.iov_len;
        room -= iov.iov_len;
        wr_outbox_consume(&sink.c.t, iov.iov_len);
    }
    if (sink.c.outbox.sender) {
        wr_sender_go_on(sink.c.outbox.sender);
    }
}

static uint64_t expected_bytes(uint64_t offset, uint64_t count)
{
    return offset >= FILE_BYTES ? 0 : wr_min_u64(count, FILE_BYTES - offset);
}

/* The queue goes on with what is in it, or loses it with the connection. */
static void check_end(uint64_t expected, bool is_broken)
{
    for (int i = 0; sink.done_count == 0; i++) {
        expect_lt(i, 1000, "it does not end");
        run_for(50000);
    }
    if (is_broken) {
        expect_eq(sink.sent, sink.taken);
        expect_eq(sink.err, -ECONNABORTED);
        wr_outbox_shut(&sink.c.outbox);
        wr_outbox_drop(&sink.c.t);
    } else {
        take(UINT64_MAX);
        expect_eq(sink.sent, sink.taken);
        cr_assert(sink.err < 0 || sink.sent == expected);
    }
    run_for(1000000);
    expect_eq(sink.done_count, 1);
    expect_eq(sink.ended_count, 1);
    expect_eq(sink.c.outbox.queue.bytes, 0);
    struct weir_loop_statistics stats = statistics_of(loop);
    expect_eq(stats.queued_bytes, 0);
}

UNIT(sender, two_parts_wait_at_most_and_the_next_is_read_when_there_is_room)
{
    open_all(&(struct fake_options){.seed = 1});
    const int fd = fake_disk_open(FILE_BYTES, fill, NULL);
    cr_assert(begin(fd, 7, WEIR_TO_END, 1u << 20));

    wr_sender_go_on(sink.c.outbox.sender);
    for (int i = 0; i < 20; i++) {
        run_for(100000);
    }
    expect_eq(sink.c.outbox.queue.bytes, 2 * PART);
    expect_eq(fake_stats()->disk_reads, 2);
    take(1);
    run_for(100000);
    expect_eq(fake_stats()->disk_reads, 2,
              "a part is in the queue until its end");
    take(PART - 1);
    run_for(100000);
    expect_eq(fake_stats()->disk_reads, 3);

    while (sink.done_count == 0) {
        take(UINT64_MAX);
        run_for(100000);
    }
    expect_eq(sink.err, 0);
    expect_eq(sink.sent, FILE_BYTES - 7);
    check_end(FILE_BYTES - 7, false);
    expect_eq(wr_sys_close(fd), 0);
    close_all();
}

UNIT(sender, nothing_is_read_above_the_high_mark)
{
    open_all(&(struct fake_options){.seed = 1});
    const int fd = fake_disk_open(FILE_BYTES, fill, NULL);
    cr_assert(begin(fd, 0, WEIR_TO_END, 10000));

    wr_sender_go_on(sink.c.outbox.sender);
    run_for(100000);
    run_for(100000);
    expect_eq(sink.c.outbox.queue.bytes, 20000); /* at 10000 it was not above */
    take(9999);
    run_for(100000);
    expect_eq(sink.c.outbox.queue.bytes, 10001);
    take(1);
    run_for(100000);
    expect_eq(sink.c.outbox.queue.bytes, 20000);

    wr_sender_cancel(sink.c.outbox.sender);
    check_end(20000, false);
    expect_eq(sink.err, -ECANCELED);
    expect_eq(sink.sent, 30000);
    expect_eq(wr_sys_close(fd), 0);
    close_all();
}

/* What is queued is sent, so nothing is cancelled any more. */
UNIT(sender, a_file_that_is_queued_to_its_end_is_not_cancelled)
{
    open_all(&(struct fake_options){.seed = 1});
    const int fd = fake_disk_open(FILE_BYTES, fill, NULL);
    cr_assert(begin(fd, 0, 1000, 10000));

    wr_sender_go_on(sink.c.outbox.sender);
    run_for(100000);
    expect_eq(sink.c.outbox.queue.bytes, 1000);
    expect_eq(sink.done_count, 0);
    wr_sender_cancel(sink.c.outbox.sender);
    run_for(100000);

    expect_eq(sink.err, 0);
    expect_eq(sink.sent, 1000);
    check_end(1000, false);
    expect_eq(wr_sys_close(fd), 0);
    close_all();
}

/* Its read ends with the ring, and no other is begun on it. */
UNIT(sender, a_ring_that_breaks_ends_the_file)
{
    open_all(&(struct fake_options){.seed = 1});
    const int fd = fake_disk_open(FILE_BYTES, fill, NULL);
    cr_assert(begin(fd, 0, WEIR_TO_END, 1u << 20));
    wr_loop_add_member(loop, &sink.c.t.member);
    wr_sender_go_on(sink.c.outbox.sender);
    fake_break_ring(WEIR_ERINGLOST);
    expect_eq(weir_loop_run(loop), WEIR_ERINGLOST);
    expect_eq(sink.done_count, 0);

    expect_eq(weir_loop_free(loop), 1);

    expect_eq(sink.ended_count, 1);
    expect_eq(sink.done_count, 1);
    expect_eq(sink.err, -ECONNABORTED);
    expect_eq(sink.sent, 0);
    expect_eq(wr_sys_close(fd), 0);
    allocator_check(&memory);
    fake_stop();
}

static void play(struct unit_random *dice, int fd)
{
    const uint64_t offset = unit_random_below(dice, FILE_BYTES + 1000);
    const uint64_t count = unit_random_below(dice, 4) == 0
                               ? WEIR_TO_END
                               : unit_random_below(dice, FILE_BYTES);
    const uint64_t steps = unit_random_below(dice, 60);
    const bool breaks = unit_random_below(dice, 2) == 0;

    memory.fail_at = unit_random_below(dice, 3) == 0
                         ? memory.calls + 1 + unit_random_below(dice, 12)
                         : 0;
    if (!begin(fd, offset, count, unit_random_below(dice, 100000))) {
        memory.fail_at = 0;
        return;
    }
    wr_sender_go_on(sink.c.outbox.sender);
    for (uint64_t i = 0; i < steps && sink.c.outbox.sender; i++) {
        if (unit_random_below(dice, 2) == 0) {
            run_for(unit_random_below(dice, 100000));
        }
        take(unit_random_below(dice, 3) == 0 ? 0
                                             : unit_random_below(dice, PART));
        expect_leq(sink.c.outbox.queue.bytes, 2 * PART);
    }
    memory.fail_at = 0;
    const bool is_active = wr_sender_is_active(sink.c.outbox.sender);
    if (is_active && breaks) {
        wr_sender_break(sink.c.outbox.sender);
    } else if (sink.c.outbox.sender) {
        wr_sender_cancel(sink.c.outbox.sender);
    }
    check_end(expected_bytes(offset, count), is_active && breaks);
}

UNIT(sender, whatever_happens_the_bytes_and_the_count_are_right)
{
    struct unit_random dice = unit_random_new();
    open_all(&(struct fake_options){.seed = unit_random_below(&dice, 1u << 30),
                                    .permille = {[FAKE_SHORT_RECV] = 300,
                                                 [FAKE_DELAY] = 300,
                                                 [FAKE_CANCEL_RACE] = 300}});
    const int fd = fake_disk_open(FILE_BYTES, fill, NULL);
    const uint32_t of_loop = fake_ops_in_flight();

    for (int round = 0; round < ROUNDS; round++) {
        fake_set_fault(FAKE_DISK_ERROR, round % 4 == 3 ? 100 : 0);
        play(&dice, fd);
        expect_eq(fake_ops_in_flight(), of_loop);
    }

    expect_eq(wr_sys_close(fd), 0);
    close_all();
}
