/*
 * The fake machine, continued: pipes.
 *
 * Like in fake_ring.c, each test is about one behaviour of the kernel, observed
 * on Linux 6.18.
 */
#define UNIT_RUN rig_test
#include "tests/trace/ring_rig.h"

#include <errno.h>
#include <poll.h>

#define PAGE 4096u

static uint8_t bytes[2 * PAGE];

static int32_t write_len(int fd, size_t len)
{
    const struct iovec iov = {bytes, len};
    return wr_sys_write(fd, &iov, 1, true);
}

static int32_t read_len(int fd, size_t len)
{
    struct iovec iov = {bytes, len};
    return wr_sys_read(fd, &iov, 1);
}

/* The events that a poll tells at once; 0: it waits. */
static uint32_t events_of(int fd, uint32_t events)
{
    struct wr_op op;
    wr_op_init(&op, note);
    wr_prep_poll(&rig.uring, &op, fd, events, false);
    rig_turn(0, 0);
    if (!op.in_flight) {
        return (uint32_t)results[0].res;
    }
    wr_op_cancel(&rig.uring, &op);
    rig_turn(1, UINT64_MAX);
    return 0;
}

/* A page goes in whole or not at all, and a poll waits for room for one. */
UNIT(fake_fifo, takes_a_page_into_a_pipe_whole_or_not_at_all)
{
    rig_start(&(struct fake_options){.seed = 1});
    struct fake_fifo *fifo = fake_fifo_open(false, false, 2 * PAGE, &rig.fd);

    expect_eq(write_len(rig.fd, PAGE), (int32_t)PAGE);
    expect_eq(events_of(rig.fd, POLLOUT), POLLOUT);
    expect_eq(write_len(rig.fd, PAGE), (int32_t)PAGE);
    expect_eq(write_len(rig.fd, 1), -EAGAIN);
    expect_eq(events_of(rig.fd, POLLOUT), 0);
    expect_eq(fake_fifo_read(fifo, bytes, 1), 1);
    expect_eq(write_len(rig.fd, 2), -EAGAIN);
    expect_eq(events_of(rig.fd, POLLOUT), 0);
    expect_eq(fake_fifo_read(fifo, bytes, PAGE), (ssize_t)PAGE);
    expect_eq(events_of(rig.fd, POLLOUT), POLLOUT);

    fake_fifo_close(fifo);
}

UNIT(fake_fifo, tells_a_writer_whose_reader_has_gone)
{
    rig_start(&(struct fake_options){.seed = 1});
    struct fake_fifo *fifo = fake_fifo_open(false, false, PAGE, &rig.fd);

    expect_eq(events_of(rig.fd, 0), 0);
    fake_fifo_close(fifo);

    expect_eq(events_of(rig.fd, 0), POLLERR);
    expect_eq(events_of(rig.fd, POLLOUT), POLLOUT | POLLERR);
    expect_eq(write_len(rig.fd, 1), -EPIPE);
}

UNIT(fake_fifo, gives_the_bytes_of_a_writer_that_has_gone_before_the_end)
{
    rig_start(&(struct fake_options){.seed = 1});
    struct fake_fifo *fifo = fake_fifo_open(true, false, PAGE, &rig.fd);

    expect_eq(read_len(rig.fd, 10), -EAGAIN);
    expect_eq(fake_fifo_write(fifo, "abc", 3), 3);
    expect_eq(events_of(rig.fd, POLLIN), POLLIN);
    fake_fifo_close(fifo);
    expect_eq(events_of(rig.fd, POLLIN), POLLIN | POLLHUP);

    expect_eq(read_len(rig.fd, 10), 3);
    expect_eq(memcmp(bytes, "abc", 3), 0);
    expect_eq(events_of(rig.fd, POLLIN), POLLHUP);
    expect_eq(read_len(rig.fd, 10), 0);
}

UNIT(fake_fifo, lets_a_worker_wait_for_bytes_of_a_pipe_that_has_a_name)
{
    struct wr_file_op op;
    rig_start(&(struct fake_options){.seed = 1});
    struct fake_fifo *fifo = fake_fifo_open(true, true, PAGE, &rig.fd);
    wr_op_init(&op.base, note);
    expect_eq(read_len(rig.fd, 10), -EOPNOTSUPP);

    wr_prep_read_waiting(&rig.uring, &op, rig.fd, bytes, 10);
    rig_turn(0, 0);
    expect_eq(op.base.in_flight, true);
    expect_eq(fake_fifo_write(fifo, "abc", 3), 3);
    rig_turn(1, UINT64_MAX);
    expect_eq(results[0].res, 3);
    wr_prep_read_waiting(&rig.uring, &op, rig.fd, bytes, 10);
    rig_turn(0, 0);
    wr_op_cancel(&rig.uring, &op.base);
    rig_turn(1, UINT64_MAX);

    expect_eq(results[0].res, -EINTR);
    fake_fifo_close(fifo);
}
