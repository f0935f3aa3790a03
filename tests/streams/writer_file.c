/*
 * Sending a file from a task: how the call returns, its result, and that the
 * stream continues after its last byte. The disk and the peer are the fake
 * machine's, so that every moment can be tested.
 */
#define UNIT_RUN   with_file
#define UNIT_TAKES struct pair *p, int fd
#include "pair.h"
#include "tests/marks.h"
#include "tests/unit/random.h"
#include "uring/sys.h"

#include <weir/sendfile.h>

#define SIZE (3 * MIB + 1234)

static void fill(void *arg, void *buf, uint64_t offset, size_t len)
{
    uint8_t *bytes = buf;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = pair_byte(offset + i);
    }
}

/* A task that sends a file. */
struct sender {
    struct pair *p;
    int fd;
    uint64_t offset;
    uint64_t count;
    weir_task *task;
    bool is_done;
    int64_t ret;
};

static int send_file(weir_loop *on, void *arg)
{
    struct sender *sender = arg;
    sender->ret = weir_writer_sendfile(sender->p->writer, sender->fd,
                                       &sender->offset, sender->count);
    sender->is_done = true;
    return 0;
}

/* Sends the file's pattern after the written bytes. */
static void sender_start(struct sender *sender, struct pair *p, int fd,
                         uint64_t count)
{
    *sender =
        (struct sender){.p = p, .fd = fd, .offset = p->written, .count = count};
    sender->task = rig_spawn(send_file, sender);
}

/* Expects that the call has returned, and returns its result. */
static int64_t sender_end(struct sender *sender)
{
    cr_assert(sender->is_done);
    expect_eq(rig_join(sender->task), 0);
    sender->p->written = sender->offset;
    return sender->ret;
}

static int64_t send_all(struct pair *p, int fd, uint64_t count)
{
    struct sender sender;
    sender_start(&sender, p, fd, count);
    pair_peer_read_all(p);
    return sender_end(&sender);
}

static void expect_goes_on(struct pair *p)
{
    expect_eq(pair_write(p, 1000), 0);
    pair_peer_read_all(p);
    expect_eq(p->peer_read, p->written);
}

static void (*file_body)(struct pair *p, int fd);

static void run_file_body(struct pair *p)
{
    const int fd = fake_disk_open(SIZE, fill, NULL);
    file_body(p, fd);
    expect_goes_on(p);
    expect_eq(wr_sys_close(fd), 0);
}

static void with_file(void (*body)(struct pair *p, int fd))
{
    file_body = body;
    pair_test(run_file_body);
}

UNIT(writer_file, all_bytes_are_sent_and_counted)
{
    expect_eq(pair_write(p, 100000), 0);

    expect_eq(send_all(p, fd, 77), 77);
    expect_eq(send_all(p, fd, 0), 0);
    expect_eq(send_all(p, fd, WEIR_TO_END), SIZE - 100077);
    expect_eq(p->written, SIZE);
    expect_eq(send_all(p, fd, 10), 0);

    expect_gt(fake_stats()->sendfiles, 3);
}

UNIT(writer_file, a_file_that_is_not_in_the_cache_is_read)
{
    fake_set_fault(FAKE_COLD, 1000);

    expect_eq(send_all(p, fd, WEIR_TO_END), SIZE);

    expect_eq(fake_stats()->sendfiles, 0);
    expect_geq(fake_stats()->reads, SIZE / (64 * KIB));
}

UNIT(writer_file, a_read_that_fails_ends_it_and_not_the_stream)
{
    struct sender sender;
    sender_start(&sender, p, fd, WEIR_TO_END);
    nap();
    fake_set_fault(FAKE_COLD, 1000);
    fake_set_fault(FAKE_DISK_ERROR, 1000);

    pair_peer_read_all(p);

    expect_eq(sender_end(&sender), -EIO);
    expect_gt(p->written, 0);
    expect_eq(p->peer_read, p->written);
}

UNIT(writer_file, a_file_that_is_cut_is_sent_as_far_as_it_goes)
{
    struct sender sender;
    sender_start(&sender, p, fd, SIZE);
    nap();

    fake_disk_truncate(fd, MIB);
    pair_peer_read_all(p);

    expect_eq(sender_end(&sender), MIB);
}

UNIT(writer_file, writes_and_another_file_are_refused_meanwhile)
{
    struct sender sender;
    uint64_t offset = 0;
    sender_start(&sender, p, fd, WEIR_TO_END);
    nap();

    expect_eq(pair_write(p, 1), -EBUSY);
    expect_eq(weir_writer_sendfile(p->writer, fd, &offset, 1), -EBUSY);
    expect_eq(offset, 0);
    expect_eq(weir_writer_get_write_buffer_size(p->writer), 0);
    expect_eq(weir_writer_drain(p->writer), 0);
    expect_eq(weir_writer_flush(p->writer), 0);
    cr_assert_not(sender.is_done);

    pair_peer_read_all(p);
    expect_eq(sender_end(&sender), SIZE);
}

UNIT(writer_file, a_time_out_ends_it_at_a_count_that_is_told)
{
    struct weir_timeout limit;
    uint64_t offset = 0;
    const uint64_t before_ns = weir_loop_get_time(loop);

    expect_eq(weir_timeout_begin(loop, &limit, 5 * S), 0);
    const int64_t ret = weir_timeout_end(
        &limit, weir_writer_sendfile(p->writer, fd, &offset, WEIR_TO_END));

    expect_eq(ret, -ETIMEDOUT);
    expect_eq((weir_loop_get_time(loop) - before_ns) / S, 5);
    expect_eq(offset, fake_taken_bytes(p->fd));
    p->written = offset;
}

UNIT(writer_file, an_interruption_before_the_call_sends_nothing)
{
    struct sender sender;
    sender_start(&sender, p, fd, WEIR_TO_END);

    cr_assert(weir_task_cancel(sender.task));
    nap();

    expect_eq(sender_end(&sender), -ECANCELED);
    expect_eq(p->written, 0);
    expect_eq(fake_taken_bytes(p->fd), 0);
}

static const enum fake_fault faults[] = {
    FAKE_COLD,      FAKE_SHORT_SEND,  FAKE_SHORT_RECV,
    FAKE_DELAY,     FAKE_REORDER,     FAKE_INTERRUPT,
    FAKE_NO_SUBMIT, FAKE_CANCEL_RACE, FAKE_DISK_ERROR};

#define FAULT_COUNT (sizeof(faults) / sizeof(faults[0]))

static void spoil(struct unit_random *dice)
{
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        const bool is_on = unit_random_below(dice, 2) == 0;
        const uint64_t most = faults[i] == FAKE_DISK_ERROR ? 100 : 600;
        fake_set_fault(faults[i],
                       is_on ? (uint32_t)unit_random_below(dice, most) : 0);
    }
}

static void mend(void)
{
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        fake_set_fault(faults[i], 0);
    }
}

/* Reads a little from time to time, until the call returns or is cancelled. */
static void interfere(struct unit_random *dice, struct sender *sender)
{
    const uint64_t steps = unit_random_below(dice, 30);
    for (uint64_t i = 0; i < steps && !sender->is_done; i++) {
        switch (unit_random_below(dice, 4)) {
        case 0:
            pair_peer_read(sender->p, 1 + unit_random_below(dice, 200000));
            break;
        case 1:
            nap();
            break;
        default:
            expect_eq(weir_sleep(loop, 0), 0);
            break;
        }
    }
}

TASK(writer_file, a_cancellation_at_any_moment_loses_no_byte)
{
    struct unit_random dice = unit_random_new();

    for (int round = 0; round < 400; round++) {
        struct sender sender;
        struct pair p;
        const int fd = fake_disk_open(SIZE, fill, NULL);
        spoil(&dice);
        pair_open(&p);
        expect_eq(pair_write(&p, unit_random_below(&dice, 2) * 70000), 0);
        sender_start(&sender, &p, fd, unit_random_below(&dice, SIZE));
        interfere(&dice, &sender);
        expect_eq(weir_task_cancel(sender.task), !sender.is_done);
        while (!sender.is_done) {
            nap();
        }
        mend();
        const int64_t ret = sender_end(&sender);
        cr_assert(ret >= 0 || ret == -ECANCELED || ret == -EIO, "%lld",
                  (long long)ret);
        expect_goes_on(&p);
        pair_close(&p);
        expect_eq(wr_sys_close(fd), 0);
    }
}

TASK(writer_file, a_peer_that_resets_ends_it_with_that)
{
    for (int cold = 0; cold < 2; cold++) {
        struct sender sender;
        struct pair p;
        const int fd = fake_disk_open(SIZE, fill, NULL);
        fake_set_fault(FAKE_COLD, cold ? 1000 : 0);
        pair_open(&p);
        sender_start(&sender, &p, fd, WEIR_TO_END);
        nap();

        fake_peer_reset(p.peer);
        nap();

        expect_eq(sender_end(&sender), -ECONNRESET);
        expect_eq(pair_write(&p, 1), -EPIPE);
        pair_close(&p);
        expect_eq(wr_sys_close(fd), 0);
    }
}

TASK(writer_file, an_abort_ends_it_and_a_close_waits_for_it)
{
    for (int closes = 0; closes < 2; closes++) {
        struct sender sender;
        struct pair p;
        const int fd = fake_disk_open(SIZE, fill, NULL);
        pair_open(&p);
        sender_start(&sender, &p, fd, WEIR_TO_END);
        nap();

        if (closes) {
            weir_writer_close(p.writer);
        } else {
            weir_writer_abort(p.writer);
        }
        pair_peer_read_all(&p);

        expect_eq(sender_end(&sender), closes ? (int64_t)SIZE : -ECONNABORTED);
        expect_eq(p.peer_read == SIZE, closes);
        pair_close(&p);
        expect_eq(wr_sys_close(fd), 0);
    }
}

static int send_beyond_the_end(weir_loop *on, void *arg)
{
    struct pair *p = arg;
    uint64_t offset = 0;
    const int fd = fake_disk_open(SIZE, fill, NULL);
    const int64_t ret =
        weir_writer_sendfile(p->writer, fd, &offset, WEIR_TO_END);
    expect_eq(ret, -ECANCELED);
    expect_eq(offset, fake_taken_bytes(p->fd));
    expect_gt(offset, 0);
    weir_writer_unref(p->writer);
    expect_eq(wr_sys_close(fd), 0);
    note("ended");
    return 0;
}

static int leave_it_sending(weir_loop *on, void *arg)
{
    pair_open(arg);
    weir_task *task = rig_spawn(send_beyond_the_end, arg);
    nap();
    weir_task_unref(task);
    return 0;
}

UNIT_IN(writer_file, the_loops_end_ends_it, unit_alone, void)
{
    struct pair p;
    rig_start();
    expect_eq(rig_main(leave_it_sending, &p), 0);
    cr_assert_str_eq(notes, "");
    rig_stop();
    cr_assert_str_eq(notes, "ended");
}

static int64_t outside;

static void call_outside(void *arg)
{
    struct pair *p = arg;
    uint64_t offset = 0;
    outside = weir_writer_sendfile(p->writer, 0, &offset, 1);
}

UNIT_IN(writer_file, outside_a_task_it_is_an_error, pair_test, struct pair *p)
{
    expect_eq(weir_loop_call_soon(loop, call_outside, p, NULL), 0);
    nap();
    expect_eq(outside, WEIR_ENOTTASK);
    expect_eq(weir_writer_sendfile(p->writer, p->fd, NULL, 1), -EINVAL);
    uint64_t offset = 0;
    expect_eq(weir_writer_sendfile(p->writer, p->fd, &offset, 1), -ESPIPE);
}

enum { SMALL = 4000 };

/* A head and a body leave with one send, and the ring does not read the
 * file. */
UNIT_IN(writer_file, a_small_one_leaves_with_what_was_written_before, pair_test,
        struct pair *p)
{
    const int fd = fake_disk_open(SIZE, fill, NULL);
    nap(); /* the new stream begins to receive */
    for (int i = 0; i < 10; i++) {
        const uint64_t sends = fake_stats()->sends;
        const uint64_t submitted = fake_stats()->submitted;
        expect_eq(pair_write(p, 200), 0);
        uint64_t offset = p->written;

        expect_eq(weir_writer_sendfile(p->writer, fd, &offset, SMALL), SMALL);

        expect_eq(fake_stats()->sends, sends + 1);
        expect_eq(fake_stats()->submitted, submitted + 1);
        expect_eq(offset, p->written + SMALL);
        p->written = offset;
        pair_peer_read_all(p);
        expect_eq(p->peer_read, p->written);
    }
    expect_eq(fake_stats()->sendfiles, 0);
    wr_sys_close(fd);
    expect_goes_on(p);
}

UNIT_IN(writer_file,
        a_small_one_that_has_become_shorter_is_sent_as_far_as_it_goes,
        pair_test, struct pair *p)
{
    const int fd = fake_disk_open(SMALL, fill, NULL);
    struct sender sender;
    sender_start(&sender, p, fd, SMALL);
    fake_disk_truncate(fd, 1000);
    pair_peer_read_all(p);

    expect_eq(sender_end(&sender), 1000);

    expect_eq(p->written, 1000);
    wr_sys_close(fd);
    expect_goes_on(p);
}

UNIT_IN(writer_file, a_small_one_that_is_dropped_with_the_queue_was_not_sent,
        pair_test, struct pair *p)
{
    const int fd = fake_disk_open(SIZE, fill, NULL);
    const uint64_t all = 2 * fake_room_bytes(p->fd);
    expect_eq(set_marks(p->t, 8 * MIB, WEIR_DEFAULT), 0);
    expect_eq(pair_write(p, all), 0);
    struct sender sender;
    sender_start(&sender, p, fd, SMALL);
    nap();
    cr_assert_not(sender.is_done);
    expect_eq(weir_transport_get_write_buffer_size(p->t),
              all + SMALL - fake_taken_bytes(p->fd));

    fake_peer_reset(p->peer);
    nap();

    cr_assert(sender.is_done);
    expect_lt(sender.ret, 0);
    expect_eq(sender.offset, all, "none of it has left");
    expect_eq(rig_join(sender.task), 0);
    wr_sys_close(fd);
}
