/*
 * Files on a file system that may hang: kernel workers make the requests, and
 * the loop's thread never does.
 *
 * The file system (fuse_rig.h) sees which thread each request is for.
 */
#define UNIT_RUN   fuse_rig_run
#define UNIT_TAKES weir_loop *loop, int fd
#include "tests/contract/fuse_rig.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <weir/file.h>
#include <weir/sock.h>
#include <weir/stream.h>
#include <weir/task.h>
#include <weir/unix.h>
#include <weir/watch.h>

UNIT(hung_files, a_file_is_closed_by_a_worker)
{
    expect_eq(weir_file_close(loop, fd), 0);
    expect_geq(fuse_rig_count(FUSE_FLUSH), 1);
}

UNIT(hung_files, a_file_that_cannot_be_read_is_written_by_a_worker)
{
    char bytes[1000] = {0};
    const int other = weir_file_open(loop, fuse_rig_file, O_WRONLY, 0);
    expect_eq(weir_file_write(loop, other, bytes, sizeof(bytes), 0), 1000);
    expect_geq(fuse_rig_count(FUSE_WRITE), 1);
    expect_eq(weir_file_close(loop, other), 0);
    expect_eq(weir_file_close(loop, fd), 0);
}

static int ends[2];

static int take_all(weir_loop *loop, void *arg)
{
    static char bytes[65536];
    size_t *total = arg;
    ssize_t len;
    do {
        len = weir_sock_recv(loop, ends[1], bytes, sizeof(bytes));
        *total += len > 0 ? (size_t)len : 0;
    } while (len > 0);
    return (int)len;
}

/* Sends the file with @send, which closes the sending end. */
static void expect_sent(weir_loop *loop, int fd,
                        int64_t (*send)(weir_loop *loop, int fd))
{
    weir_task *taker;
    size_t total = 0;
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    expect_eq(weir_task_spawn(loop, take_all, &total, NULL, &taker), 0);
    expect_eq(send(loop, fd), FUSE_RIG_SIZE);
    expect_eq(weir_task_join(taker, NULL), 0);
    expect_eq(total, FUSE_RIG_SIZE);
    expect_geq(fuse_rig_count(FUSE_READ), 1);
    close(ends[1]);
    expect_eq(weir_file_close(loop, fd), 0);
}

static int64_t send_on_socket(weir_loop *loop, int fd)
{
    uint64_t offset = 0;
    const int64_t sent =
        weir_sock_sendfile(loop, ends[0], fd, &offset, WEIR_TO_END);
    close(ends[0]);
    return sent;
}

UNIT(hung_files, a_file_that_a_socket_sends_is_read_by_a_worker)
{
    expect_sent(loop, fd, send_on_socket);
}

static int64_t send_by_writer(weir_writer *writer, int fd)
{
    uint64_t offset = 0;
    const int64_t sent = weir_writer_sendfile(writer, fd, &offset, WEIR_TO_END);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    weir_writer_unref(writer);
    return sent;
}

static void open_stream(weir_loop *loop, weir_writer **ret)
{
    const struct weir_open_options options = {
        .size = sizeof(options), .connect = {.size = sizeof(options.connect)}};
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(ends[0]), &options,
                                      NULL, ret));
}

static int64_t send_on_stream(weir_loop *loop, int fd)
{
    weir_writer *writer = NULL;
    open_stream(loop, &writer);
    return send_by_writer(writer, fd);
}

UNIT(hung_files, a_file_that_a_stream_sends_is_read_by_a_worker)
{
    expect_sent(loop, fd, send_on_stream);
}

static int64_t send_on_pipe(weir_loop *loop, int fd)
{
    weir_writer *writer;
    expect_ok(weir_open_connection_at(loop, weir_endpoint_write_pipe(ends[0]),
                                      NULL, NULL, &writer));
    return send_by_writer(writer, fd);
}

UNIT(hung_files, a_file_that_a_write_pipe_sends_is_read_by_a_worker)
{
    expect_sent(loop, fd, send_on_pipe);
}

UNIT(hung_files, a_file_that_is_passed_is_closed_at_the_loops_end_too)
{
    weir_writer *writer = NULL;
    fuse_rig_kept = dup(fd);
    expect_eq(weir_file_close(loop, fd), 0);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    open_stream(loop, &writer);
    expect_eq(weir_writer_send_fds(writer, "x", 1, &fuse_rig_kept, 1), 0);
    close(ends[1]);
    weir_writer_unref(writer);
}

static void never(void *arg)
{
    cr_assert_fail("called with %p", arg);
}

UNIT(hung_files, a_file_that_cannot_be_watched_is_not_asked)
{
    expect_eq(weir_loop_add_reader(loop, fd, never, NULL), -EPERM);
    expect_eq(weir_loop_add_writer(loop, fd, never, NULL), -EPERM);
    expect_eq(weir_file_close(loop, fd), 0);
}
