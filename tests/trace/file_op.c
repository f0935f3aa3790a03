/*
 * Operations on files without a worker of the fake machine: each is done on the
 * loop's thread, unless its owner has cancelled it, and for a second no other
 * one requests a worker.
 */
#define UNIT_RUN rig_test
#include "tests/trace/ring_rig.h"

#include <errno.h>

enum { SIZE = 100, SECOND_NS = 1000000000 };

static uint32_t told_count;
static struct wr_file_op op;
static uint8_t bytes[SIZE];

static void count_lack(struct wr_uring *uring)
{
    expect_eq(uring, &rig.uring);
    told_count++;
}

static void start_without_workers(void)
{
    struct fake_options options = {.seed = 1, .trace = true};
    options.permille[FAKE_NO_WORKER] = 1000;
    rig_start(&options);
    rig.uring.lacks_worker = count_lack;
    told_count = 0;
    wr_op_init(&op.base, note);
}

static void fill(void *arg, void *buf, uint64_t offset, size_t len)
{
    memset(buf, 'a', len);
}

/* Turns until the operation has ended; its result. */
static int32_t ended(void)
{
    while (op.base.in_flight) {
        rig_turn(1, UINT64_MAX);
    }
    expect_eq(result_count, 1);
    expect_eq(results[0].op, &op.base);
    return results[0].res;
}

UNIT(file_op, a_read_without_a_worker_is_made_here)
{
    start_without_workers();
    rig.fd = fake_disk_open(SIZE, fill, NULL);

    wr_prep_read_at(&rig.uring, &op, rig.fd, bytes, SIZE, 10);

    expect_eq(ended(), SIZE - 10);
    expect_eq(bytes[0], 'a');
    expect_eq(told_count, 1);
    expect_eq(fake_stats()->worked_here, 1);
}

UNIT(file_op, an_own_cancel_wins)
{
    start_without_workers();
    rig.fd = fake_disk_open(SIZE, fill, NULL);
    wr_prep_read_at(&rig.uring, &op, rig.fd, bytes, SIZE, 0);
    rig_turn(0, 0);
    cr_assert(op.base.in_flight);

    wr_op_cancel(&rig.uring, &op.base);

    expect_eq(ended(), -ECANCELED);
    cr_assert(wr_op_was_cancelled(&op.base, -ECANCELED));
    expect_eq(fake_stats()->worked_here, 0);
    expect_eq(told_count, 0);

    wr_prep_read_at(&rig.uring, &op, rig.fd, bytes, SIZE, 0);
    cr_assert_not(wr_op_was_cancelled(&op.base, -ECANCELED));
    expect_eq(ended(), SIZE);
}

UNIT(file_op, a_close_without_a_worker_is_made_here)
{
    start_without_workers();
    char line[32];
    const int fd = fake_disk_open(SIZE, fill, NULL);
    snprintf(line, sizeof(line), "\nclose fd=%d\n", fd);

    wr_prep_close_any(&rig.uring, fd);
    rig_turn(1, UINT64_MAX);

    expect_eq(rig.uring.closes_in_flight, 0);
    expect_eq(rig.uring.ops_in_flight, 0);
    expect_eq(told_count, 1);
    cr_assert_not_null(strstr(fake_text(), line), "%s", fake_text());
}

static void close_and_wait(int fd)
{
    wr_prep_close_any(&rig.uring, fd);
    while (rig.uring.closes_in_flight > 0) {
        rig_turn(1, UINT64_MAX);
    }
}

/* A worker may be lacking again when the close is made. */
UNIT(file_op, a_close_whose_worker_has_gone_is_made_here)
{
    start_without_workers();
    const int fd = fake_disk_open(SIZE, fill, NULL);
    rig.uring.worker_ns = fake_now();

    wr_prep_close_any(&rig.uring, fd);
    while (rig.uring.closes_in_flight > 0) {
        rig_turn(1, UINT64_MAX);
    }

    expect_eq(told_count, 1);
    expect_eq(fake_stats()->workers_lacking, 2, "the close, and a look");
    expect_eq(rig.uring.worker_ns, 0);
}

/* The last worker goes when it has been idle for five seconds, and may no more
 * run on its processor; the kernel does not tell of it. */
UNIT(file_op, a_worker_that_was_there_long_ago_is_looked_for)
{
    int fds[3];
    rig_start(&(struct fake_options){.seed = 1, .trace = true});
    for (int i = 0; i < 3; i++) {
        fds[i] = fake_disk_open(SIZE, fill, NULL);
    }
    close_and_wait(fds[0]);
    fake_text_clear();
    close_and_wait(fds[1]);
    cr_assert_null(strstr(fake_text(), "nop"), "%s", fake_text());
    fake_spend(6ull * SECOND_NS);

    close_and_wait(fds[2]);

    cr_assert_not_null(strstr(fake_text(), "nop"), "%s", fake_text());
}

/* Likewise where the loop has made no turn since the worker was at work. */
UNIT(file_op, a_worker_is_known_from_when_it_was_at_work)
{
    rig_start(&(struct fake_options){.seed = 1, .trace = true});
    const int first = fake_disk_open(SIZE, fill, NULL);
    const int second = fake_disk_open(SIZE, fill, NULL);
    wr_prep_close_any(&rig.uring, first);
    expect_eq(wr_uring_enter(&rig.uring, 0, 0), 0);
    fake_spend(6ull * SECOND_NS);
    while (rig.uring.closes_in_flight > 0) {
        rig_turn(1, UINT64_MAX);
    }
    fake_text_clear();

    close_and_wait(second);

    cr_assert_not_null(strstr(fake_text(), "nop"), "%s", fake_text());
}

enum { FILES = 40 };

static void break_ring_after(int stage)
{
    int fds[FILES];
    char line[32];

    rig_start(&(struct fake_options){.seed = 1, .trace = true});
    for (int i = 0; i < FILES; i++) {
        fds[i] = fake_disk_open(SIZE, fill, NULL);
        wr_prep_close_any(&rig.uring, fds[i]);
    }
    if (stage > 0) { /* a worker looks */
        expect_eq(wr_uring_enter(&rig.uring, 0, 0), 0);
    }
    if (stage > 1) { /* it is there, and the closes are prepared */
        wr_uring_dispatch(&rig.uring, UINT32_MAX);
    }
    fake_break_ring(-EBADFD);
    wr_uring_close(&rig.uring);
    for (int i = 0; i < FILES; i++) {
        snprintf(line, sizeof(line), "close fd=%d\n", fds[i]);
        cr_assert_not_null(strstr(fake_text(), line), "stage %d: %s", stage,
                           line);
    }
    expect_eq(rig.uring.ops_in_flight, 0);
}

UNIT(file_op, a_ring_that_breaks_before_a_look_leaves_no_descriptor)
{
    break_ring_after(0);
}

UNIT(file_op, a_ring_that_breaks_during_a_look_leaves_no_descriptor)
{
    break_ring_after(1);
}

UNIT(file_op, a_ring_that_breaks_after_a_look_leaves_no_descriptor)
{
    break_ring_after(2);
}

UNIT(file_op, an_answer_of_the_file_system_is_an_error_of_the_file)
{
    struct fake_options options = {.seed = 1, .trace = true};
    options.permille[FAKE_DISK_CANCEL] = 1000;
    rig_start(&options);
    rig.uring.lacks_worker = count_lack;
    told_count = 0;
    wr_op_init(&op.base, note);
    rig.fd = fake_disk_open(SIZE, fill, NULL);

    wr_prep_read_at(&rig.uring, &op, rig.fd, bytes, SIZE, 0);

    expect_eq(ended(), -EIO);
    expect_eq(told_count, 0);
    expect_eq(fake_stats()->worked_here, 0);
    expect_eq(fake_stats()->reads, 2, "once more beside a worker");
}

UNIT(file_op, a_cancel_during_the_look_wins)
{
    struct fake_options options = {.seed = 1, .trace = true};
    options.permille[FAKE_DISK_CANCEL] = 1000;
    rig_start(&options);
    wr_op_init(&op.base, note);
    rig.fd = fake_disk_open(SIZE, fill, NULL);
    wr_prep_read_at(&rig.uring, &op, rig.fd, bytes, SIZE, 0);
    while (fake_stats()->completions == 0) {
        rig_turn(1, UINT64_MAX);
    }
    cr_assert(op.base.in_flight, "looking");

    wr_op_cancel(&rig.uring, &op.base);

    expect_eq(ended(), -ECANCELED);
    cr_assert(wr_op_was_cancelled(&op.base, -ECANCELED));
    expect_eq(fake_stats()->reads, 1);
}

/* Reads a pipe that was opened by its name; true: at once. */
static bool reads_at_once(struct fake_fifo *fifo)
{
    expect_eq(fake_fifo_write(fifo, "abc", 3), 3);
    wr_prep_read_waiting(&rig.uring, &op, rig.fd, bytes, SIZE);
    rig_turn(0, 0);
    const bool is_quick = !op.base.in_flight;
    expect_eq(is_quick ? results[0].res : ended(), 3);
    return is_quick;
}

UNIT(file_op, a_worker_is_asked_for_again_after_a_second)
{
    start_without_workers();
    struct fake_fifo *fifo = fake_fifo_open(true, true, 4096, &rig.fd);
    reads_at_once(fifo);
    expect_eq(fake_stats()->workers_lacking, 1);

    cr_assert(reads_at_once(fifo));
    cr_assert(reads_at_once(fifo));
    expect_eq(fake_stats()->workers_lacking, 1);

    rig_turn(1, SECOND_NS);
    fake_set_fault(FAKE_NO_WORKER, 0);
    reads_at_once(fifo);
    expect_eq(fake_stats()->fifo_worked, 1, "by a worker");
    fake_fifo_close(fifo);
}

UNIT(file_op, a_read_that_is_made_here_does_not_wait)
{
    start_without_workers();
    struct fake_fifo *fifo = fake_fifo_open(true, true, 4096, &rig.fd);

    wr_prep_read_waiting(&rig.uring, &op, rig.fd, bytes, SIZE);
    expect_eq(ended(), -EAGAIN);
    wr_prep_read_waiting(&rig.uring, &op, rig.fd, bytes, SIZE);
    expect_eq(ended(), -EAGAIN);

    fake_fifo_close(fifo);
}

/* A NOP is in the ring, which cannot be cancelled. */
UNIT(file_op, a_cancel_before_the_submission_wins)
{
    start_without_workers();
    struct fake_fifo *fifo = fake_fifo_open(true, true, 4096, &rig.fd);
    reads_at_once(fifo);
    expect_eq(fake_fifo_write(fifo, "abc", 3), 3);

    wr_prep_read_waiting(&rig.uring, &op, rig.fd, bytes, SIZE);
    wr_op_cancel(&rig.uring, &op.base);

    expect_eq(ended(), -ECANCELED);
    expect_eq(fake_fifo_len(fifo), 3);
    fake_fifo_close(fifo);
}
