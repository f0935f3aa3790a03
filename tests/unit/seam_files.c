/*
 * Files, pipes and the signal of a ring, on both engines of the kernel.
 *
 * The simulated machine has no files; tests of files run on the kernel, too.
 * Each test has its own folder.
 */
#define UNIT_RUN in_folder
#include "tests/unit/seam_rig.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

static char folder[] = "/tmp/weir-seam-XXXXXX";
static int folder_fd = -1;

static void in_folder(void (*body)(struct wr_op *op))
{
    char path[] = "/tmp/weir-seam-XXXXXX";
    cr_assert(mkdtemp(path));
    memcpy(folder, path, sizeof(path));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    expect_geq(folder_fd, 0);
    on_each_machine(body);
    expect_eq(close(folder_fd), 0);
    expect_eq(rmdir(folder), 0);
}

static int32_t opened(struct wr_op *op, const char *path, uint64_t flags,
                      uint64_t resolve)
{
    const struct open_how how = {.flags = flags | O_CLOEXEC,
                                 .mode = flags & O_CREAT ? 0600 : 0,
                                 .resolve = resolve};
    wr_prep_open(uring, of_file(op), folder_fd, path, &how);
    return ended(op);
}

static int32_t closed(struct wr_op *op, int fd, bool by_worker)
{
    wr_prep_close_file(uring, of_file(op), fd, by_worker);
    return ended(op);
}

UNIT(seam_files, a_file_is_made_written_and_read)
{
    char buf[16] = "";
    struct statx info = {.stx_size = 99};
    const int fd = opened(op, "file", O_RDWR | O_CREAT | O_EXCL, 0);
    cr_assert_geq(fd, 0);
    wr_prep_write_at(uring, of_file(op), fd, "abcdef", 6, 0);
    expect_eq(ended(op), 6);
    wr_prep_write_at(uring, of_file(op), fd, "XY", 2, 2);
    expect_eq(ended(op), 2);
    wr_prep_fsync(uring, of_file(op), fd, false);
    expect_eq(ended(op), 0);
    wr_prep_fsync(uring, of_file(op), fd, true);
    expect_eq(ended(op), 0);
    wr_prep_stat(uring, of_file(op), fd, &info);
    expect_eq(ended(op), 0);
    expect_eq(info.stx_size, 6);

    wr_prep_read_at(uring, of_file(op), fd, buf, sizeof(buf), 1);
    expect_eq(ended(op), 5);
    expect_eq(memcmp(buf, "bXYef", 5), 0);
    wr_prep_read_at(uring, of_file(op), fd, buf, sizeof(buf), 6);
    expect_eq(ended(op), 0, "the end");

    expect_eq(closed(op, fd, false), 0);
    expect_eq(fcntl(fd, F_GETFD), -1);
    expect_eq(unlinkat(folder_fd, "file", 0), 0);
}

UNIT(seam_files, an_open_that_cannot_be_says_why)
{
    expect_eq(opened(op, "none", O_RDONLY, 0), -ENOENT);
    const int fd = opened(op, "file", O_WRONLY | O_CREAT, RESOLVE_BENEATH);
    cr_assert_geq(fd, 0);
    expect_eq(closed(op, fd, true), 0);
    expect_eq(opened(op, "file", O_WRONLY | O_CREAT | O_EXCL, 0), -EEXIST);
    expect_eq(opened(op, "../file", O_RDONLY, RESOLVE_BENEATH), -EXDEV);
    expect_eq(unlinkat(folder_fd, "file", 0), 0);
}

UNIT(seam_files, an_operation_of_a_wrong_kind_of_descriptor_fails)
{
    char byte;
    const int fd = opened(op, "file", O_WRONLY | O_CREAT, 0);
    cr_assert_geq(fd, 0);
    wr_prep_read_at(uring, of_file(op), fd, &byte, 1, 0);
    expect_eq(ended(op), -EBADF);
    wr_prep_fsync(uring, of_file(op), ends[0], false);
    expect_eq(ended(op), -EINVAL);
    expect_eq(closed(op, fd, false), 0);
    expect_eq(unlinkat(folder_fd, "file", 0), 0);
}

UNIT(seam_files, an_accept_of_what_does_not_listen_fails)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    static const int errors[] = {-EINVAL, -EOPNOTSUPP};
    for (int i = 0; i < 2; i++) {
        const int fd = wr_sys_socket(AF_INET, types[i], 0);
        wr_prep_accept(uring, op, fd, i > 0);
        turn(WEIR_SECONDS(2));
        cr_assert_not(op->in_flight);
        expect_eq(results[0].res, errors[i]);
        expect_eq(close(fd), 0);
    }
}

/* Opens a pipe as other programs have it, with blocking ends. */
static void open_pipe(int ret[2])
{
    expect_eq(wr_sys_pipe(ret), 0);
}

static void close_pipe(const int fds[2])
{
    for (int i = 0; i < 2; i++) {
        wr_prep_close_any(uring, fds[i]);
    }
    for (int turns = 0; uring->closes_in_flight > 0; turns++) {
        cr_assert_lt(turns, 1000);
        turn(WEIR_SECONDS(60));
    }
}

static bool is_cancelled(int32_t res)
{
    return res == -ECANCELED || res == -EINTR || res == -WR_ERESTARTSYS;
}

/* Cancels until the operation has ended: see wr_prep_read_waiting(). */
static int32_t cancelled(struct wr_op *op)
{
    int32_t res = INT32_MIN;
    for (int turns = 0; op->in_flight; turns++) {
        cr_assert_lt(turns, 6000, "the operation does not end");
        wr_op_cancel(uring, op);
        turn(WEIR_MILLISECONDS(10));
        for (int i = 0; i < result_count; i++) {
            res = results[i].op == op ? results[i].res : res;
        }
    }
    return res;
}

UNIT(seam_files, a_read_of_a_pipe_waits_and_tells_the_end)
{
    char buf[16] = "";
    int fds[2];
    open_pipe(fds);
    wr_prep_read_waiting(uring, of_file(op), fds[0], buf, sizeof(buf));
    turn(0);
    cr_assert(op->in_flight);
    expect_eq(write(fds[1], "abc", 3), 3);
    expect_eq(ended(op), 3);
    expect_eq(memcmp(buf, "abc", 3), 0);

    wr_prep_read_waiting(uring, of_file(op), fds[0], buf, sizeof(buf));
    turn(0);
    cr_assert(is_cancelled(cancelled(op)));

    wr_prep_read_waiting(uring, of_file(op), fds[0], buf, sizeof(buf));
    turn(0);
    expect_eq(close(fds[1]), 0);
    expect_eq(ended(op), 0, "the end");
    fds[1] = dup(fds[0]);
    close_pipe(fds);
}

UNIT(seam_files, a_write_to_a_pipe_waits_for_room)
{
    static char block[1 << 16];
    int fds[2];
    open_pipe(fds);
    wr_prep_write_waiting(uring, of_file(op), fds[1], block, sizeof(block));
    expect_eq(ended(op), (int32_t)sizeof(block));
    wr_prep_write_waiting(uring, of_file(op), fds[1], "abc", 3);
    turn(0);
    cr_assert(op->in_flight, "the pipe is full");
    expect_eq(read(fds[0], block, sizeof(block)), (ssize_t)sizeof(block));
    expect_eq(ended(op), 3);
    expect_eq(read(fds[0], block, sizeof(block)), 3);
    expect_eq(memcmp(block, "abc", 3), 0);
    close_pipe(fds);
}

/* Without bytes a splice may wait, or report that there is nothing yet. */
UNIT(seam_files, bytes_and_the_end_are_spliced)
{
    char buf[16] = "";
    int fds[2];
    int stage[2];
    open_pipe(fds);
    expect_eq(wr_sys_pipe_nonblock(stage), 0);
    expect_eq(write(fds[1], "abcdef", 6), 6);
    wr_prep_splice(uring, of_file(op), fds[0], stage[1], 4);
    expect_eq(ended(op), 4);

    wr_prep_splice(uring, of_file(op), stage[0], fds[1], 4);
    expect_eq(ended(op), 4);
    expect_eq(read(fds[0], buf, sizeof(buf)), 6);
    expect_eq(memcmp(buf, "efabcd", 6), 0);

    expect_eq(close(fds[1]), 0);
    wr_prep_splice(uring, of_file(op), fds[0], stage[1], 16);
    expect_eq(ended(op), 0, "the end");
    fds[1] = dup(fds[0]);
    close_pipe(stage);
    close_pipe(fds);
}

UNIT(seam_files, an_open_of_a_fifo_waits_for_its_other_end)
{
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
    expect_eq(mkfifoat(folder_fd, "fifo", 0600), 0);
    wr_prep_open(uring, of_file(op), folder_fd, "fifo", &how);
    turn(1000000);
    cr_assert(op->in_flight);
    wr_op_cancel(uring, op);
    cr_assert(is_cancelled(ended(op)), "a cancel ends the wait");

    wr_prep_open(uring, of_file(op), folder_fd, "fifo", &how);
    turn(1000000);
    cr_assert(op->in_flight);
    const int writer = openat(folder_fd, "fifo", O_RDWR | O_CLOEXEC);
    expect_geq(writer, 0);
    const int reader = ended(op);
    cr_assert_geq(reader, 0);
    expect_eq(fcntl(reader, F_GETFL) & O_NONBLOCK, 0);
    close_pipe((int[2]){reader, writer});
    expect_eq(unlinkat(folder_fd, "fifo", 0), 0);
}

UNIT(seam_files, the_signal_tells_of_work)
{
    provide(BUF_COUNT);
    prep_recv(op, true);
    turn(0);
    const int fd = wr_ring_open_signal(uring->ring);
    expect_geq(fd, 0);
    wr_ring_enable_signal(uring->ring, fd, true);
    expect_eq(is_readable(fd, 0), 0, "there is no work");

    send_now("abc");
    expect_eq(is_readable(fd, 60000), 1);

    wr_ring_enable_signal(uring->ring, fd, false);
    expect_eq(ended(op), 3);
    wr_ring_enable_signal(uring->ring, fd, true);
    turn(0);
    expect_eq(is_readable(fd, 0), 0, "the work is done");
    wr_prep_close_any(uring, fd);
    turn(WEIR_SECONDS(60));
}

UNIT(seam_files, the_signal_does_not_tell_of_bytes_that_no_receive_waits_for)
{
    provide(BUF_COUNT);
    const int fd = wr_ring_open_signal(uring->ring);
    expect_geq(fd, 0);
    prep_recv(op, true);
    turn(0);
    send_now("abc");
    expect_eq(ended(op), 3);
    wr_ring_enable_signal(uring->ring, fd, true);
    turn(0);
    send_now("abc");
    expect_eq(is_readable(fd, 0), 0);

    wr_ring_enable_signal(uring->ring, fd, false);
    wr_prep_close_any(uring, fd);
    turn(WEIR_SECONDS(60));
}
