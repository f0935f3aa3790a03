/*
 * Calls on a file system that may hang, or that returns -ECANCELED itself.
 *
 * Kernel threads make these calls, never the loop's thread. -ECANCELED is not a
 * cancellation and not a lack of threads: each call reports it once as -EIO. A
 * descriptor is closed once, because its number may belong to another file
 * afterwards. Each row is a call. The file system is fuse_rig.h.
 */
#define UNIT_RUN   fuse_rig_run
#define UNIT_TAKES weir_loop *loop, int fd
#include "tests/contract/fuse_rig.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <weir/file.h>
#include <weir/process.h>
#include <weir/sock.h>
#include <weir/task.h>

static int call_open(weir_loop *loop, int fd)
{
    const int ret = weir_file_open(loop, fuse_rig_file, O_RDONLY, 0);
    return ret < 0 ? ret : weir_file_close(loop, ret);
}

static int call_openat(weir_loop *loop, int fd)
{
    const int ret = weir_file_openat(loop, AT_FDCWD, fuse_rig_file, O_RDONLY, 0,
                                     RESOLVE_NO_MAGICLINKS);
    return ret < 0 ? ret : weir_file_close(loop, ret);
}

static int call_stat(weir_loop *loop, int fd)
{
    struct weir_file_status status = {.size = sizeof(status)};
    return weir_file_stat(loop, fd, &status);
}

/* Reads another page than the pipe does, because cached bytes are not requested
 * again. */
static int call_read(weir_loop *loop, int fd)
{
    char bytes[100];
    return (int)weir_file_read(loop, fd, bytes, sizeof(bytes), 50000);
}

static int call_write(weir_loop *loop, int fd)
{
    return (int)weir_file_write(loop, fd, "abc", 3, 0);
}

static int call_sendfile_of_socket(weir_loop *loop, int fd)
{
    int ends[2];
    uint64_t offset = 0;
    expect_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                         ends));
    const int64_t sent =
        weir_sock_sendfile(loop, ends[0], fd, &offset, WEIR_TO_END);
    close(ends[0]);
    close(ends[1]);
    return (int)sent;
}

static int call_sendfile_of_stream(weir_loop *loop, int fd)
{
    int ends[2];
    weir_writer *writer;
    uint64_t offset = 0;
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(ends[0]), NULL,
                                      NULL, &writer));
    const int64_t sent = weir_writer_sendfile(writer, fd, &offset, WEIR_TO_END);
    weir_writer_unref(writer);
    close(ends[1]);
    return (int)sent;
}

/* The pipe has a duplicate of the descriptor. */
static int call_read_pipe(weir_loop *loop, int fd)
{
    char byte;
    weir_reader *reader;
    weir_writer *writer;
    expect_ok(weir_open_connection_at(loop, weir_endpoint_read_pipe(dup(fd)),
                                      NULL, &reader, &writer));
    const int ret = (int)weir_reader_readexactly(reader, &byte, 1);
    weir_writer_unref(writer);
    return ret;
}

static int call_write_pipe(weir_loop *loop, int fd)
{
    weir_writer *writer;
    expect_ok(weir_open_connection_at(loop, weir_endpoint_write_pipe(dup(fd)),
                                      NULL, NULL, &writer));
    expect_eq(weir_writer_write(writer, "x", 1), 0);
    weir_writer_close(writer);
    const int ret = weir_writer_wait_closed(writer);
    weir_writer_unref(writer);
    return ret;
}

static int call_program(weir_loop *loop, int fd)
{
    const char *const argv[] = {fuse_rig_file, NULL};
    weir_process *process = NULL;
    return weir_create_subprocess_exec(loop, argv, NULL, &process);
}

struct row {
    const char *name;
    int (*act)(weir_loop *loop, int fd);
    uint32_t opcode;
    int good; /* expected result; UNSEEN: the call would wait for a peer */
};

enum { UNSEEN = -1 };

static const struct row rows[] = {
    {"open a file", call_open, FUSE_OPEN, 0},
    {"open a file by openat2", call_openat, FUSE_OPEN, 0},
    {"stat a file", call_stat, FUSE_GETATTR, 0},
    {"read a file", call_read, FUSE_READ, 100},
    {"write a file", call_write, FUSE_WRITE, 3},
    {"sync a file", weir_file_sync, FUSE_FSYNC, 0},
    {"sync a file's data", weir_file_datasync, FUSE_FSYNC, 0},
    {"send a file on a socket", call_sendfile_of_socket, FUSE_READ, UNSEEN},
    {"send a file on a stream", call_sendfile_of_stream, FUSE_READ, UNSEEN},
    {"read a file as a pipe", call_read_pipe, FUSE_READ, 1},
    {"write a file as a pipe", call_write_pipe, FUSE_WRITE, 0},
};

static void expect_asked(weir_loop *loop, int fd, const struct row *row,
                         int result)
{
    const size_t before = fuse_rig_count(row->opcode);
    expect_eq(row->act(loop, fd), result, "%s", row->name);
    expect_gt(fuse_rig_count(row->opcode), before, "%s", row->name);
    expect_eq(fuse_rig_get_asked(), 0, "%s waits", row->name);
}

UNIT(cancelling_files, each_call_is_made_by_a_worker)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].good != UNSEEN) {
            expect_asked(loop, fd, &rows[i], rows[i].good);
        }
    }
    expect_eq(weir_file_close(loop, fd), 0);
}

UNIT(cancelling_files, its_answer_is_told_as_an_error_of_the_file)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fuse_rig_fail(rows[i].opcode, -ECANCELED);
        expect_asked(loop, fd, &rows[i], -EIO);
        fuse_rig_fail(rows[i].opcode, 0);
    }
    expect_eq(weir_file_close(loop, fd), 0);
}

/* The child calls execve(). */
UNIT(cancelling_files, a_program_that_it_does_not_open_is_not_cancelled)
{
    fuse_rig_fail(FUSE_GETATTR, -ECANCELED);
    fuse_rig_fail(FUSE_OPEN, -ECANCELED);
    expect_neq(call_program(loop, fd), -ECANCELED);
    fuse_rig_fail(FUSE_GETATTR, 0);
    fuse_rig_fail(FUSE_OPEN, 0);
    expect_eq(weir_file_close(loop, fd), 0);
}

/* Closes the descriptor. The result is -EIO, or 0 if none is reported. */
typedef int close_fn(weir_loop *loop, int fd);

struct closing {
    close_fn *close;
    int fd;
    int stranger; /* a descriptor that another thread would open */
};

static int close_it(weir_loop *loop, void *arg)
{
    const struct closing *closing = arg;
    return closing->close(loop, closing->fd);
}

/* Acts like another thread: takes the number as soon as it is free, before the
 * loop has seen the completion. */
static int take_number(weir_loop *loop, void *arg)
{
    const struct closing *closing = arg;
    for (int i = 0; fcntl(closing->fd, F_GETFD) >= 0; i++) {
        cr_assert_lt(i, 60000, "it is not closed");
        usleep(1000);
    }
    return dup3(closing->stranger, closing->fd, O_CLOEXEC);
}

static int close_file(weir_loop *loop, int fd)
{
    return weir_file_close(loop, fd);
}

/* The descriptor is already open when the pipe is aborted. */
static int close_pipe(weir_loop *loop, int fd)
{
    weir_writer *writer;
    expect_ok(weir_open_connection_at(loop, weir_endpoint_write_pipe(fd), NULL,
                                      NULL, &writer));
    weir_writer_close(writer);
    const int ret = weir_writer_wait_closed(writer);
    weir_writer_unref(writer);
    return ret;
}

static void have_worker(weir_loop *loop)
{
    const int other = weir_file_open(loop, "/dev/null", O_RDONLY, 0);
    expect_geq(other, 0);
    expect_eq(weir_file_close(loop, other), 0);
}

static void expect_closed_once(weir_loop *loop, int fd, close_fn *close_fd,
                               int told)
{
    struct closing closing = {.close = close_fd, .fd = fd};
    struct stat mine;
    struct stat there;
    weir_task *task;
    int ret = 1;
    closing.stranger = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    expect_geq(closing.stranger, 0);
    expect_eq(fstat(closing.stranger, &mine), 0);
    fuse_rig_fail(FUSE_FLUSH, -ECANCELED);

    expect_eq(weir_task_spawn(loop, close_it, &closing, NULL, &task), 0);
    for (int turns = 0; fuse_rig_count(FUSE_FLUSH) == 0; turns++) {
        cr_assert_lt(turns, 60000, "it is not closed");
        expect_eq(weir_sleep(loop, 1000000), 0);
    }
    expect_eq(take_number(loop, &closing), fd);
    expect_eq(weir_task_join(task, &ret), 0);
    expect_eq(ret, told);
    for (int turns = 0; turns < 10; turns++) {
        expect_eq(weir_sleep(loop, 0), 0);
    }

    expect_eq(fstat(fd, &there), 0, "a stranger's descriptor was closed");
    expect_eq(there.st_ino, mine.st_ino);
    expect_eq(fuse_rig_count(FUSE_FLUSH), 1);
    fuse_rig_fail(FUSE_FLUSH, 0);
    close(fd);
    close(closing.stranger);
}

UNIT(cancelling_files, a_file_is_closed_once)
{
    have_worker(loop);
    expect_closed_once(loop, fd, close_file, -EIO);
}

UNIT(cancelling_files, a_file_that_is_a_loops_first_is_closed_once)
{
    expect_closed_once(loop, fd, close_file, -EIO);
}

UNIT(cancelling_files, a_pipe_is_closed_once)
{
    have_worker(loop);
    expect_closed_once(loop, fd, close_pipe, 0);
}

UNIT(cancelling_files, a_pipe_that_is_a_loops_first_is_closed_once)
{
    expect_closed_once(loop, fd, close_pipe, 0);
}
