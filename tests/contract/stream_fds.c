/*
 * Descriptors and the streams of tasks.
 *
 * How they relate to bytes, and what the kernel has room for, is tested with
 * transports (send_fds.c).
 */
#include "tests/contract/fds_rig.h"

#include <sys/socket.h>
#include <weir/stream.h>
#include <weir/task.h>

static struct weir_open_options options_of(int fd)
{
    return (struct weir_open_options){
        .size = sizeof(struct weir_open_options),
        .connect = {.size = sizeof(struct weir_connect_options),
                    .use_sock = true,
                    .sock = fd}};
}

static int send_one(weir_loop *loop, void *arg)
{
    weir_writer *writer;
    const int *ends = arg;
    const struct weir_open_options options = options_of(ends[0]);
    const int fd = mark_open(6);
    expect_eq(weir_open_unix_connection(loop, NULL, &options, NULL, &writer),
              0);

    expect_eq(weir_writer_send_fds(writer, "hello", 5, &fd, 1), 0);
    expect_eq(weir_writer_flush(writer), 0);

    close(fd);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    expect_eq(weir_writer_send_fds(writer, "hello", 5, &fd, 1), -ESHUTDOWN);
    weir_writer_unref(writer);
    return 0;
}

UNIT(stream_fds, a_writer_sends_them)
{
    char text[8];
    int ends[2];
    int fd;
    uint8_t control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    expect_eq(weir_run(NULL, send_one, ends), 0);

    expect_eq(recvmsg(ends[1], &msg, MSG_CMSG_CLOEXEC), 5);
    cr_assert_not_null(CMSG_FIRSTHDR(&msg));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
    expect_eq(mark_close(fd), 6);
    close(ends[1]);
}

UNIT(stream_fds, a_writer_without_a_connection_sends_none)
{
    struct weir_protocol_binding binding;
    weir_writer *writer;
    weir_loop *loop;
    const int fd = 0;
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_stream_protocol_new(loop, NULL, &binding, &writer), 0);

    expect_eq(weir_writer_send_fds(writer, "x", 1, &fd, 1), -ENOTCONN);

    weir_writer_unref(writer);
    expect_eq(weir_loop_free(loop), 0);
}
