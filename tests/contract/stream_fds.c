/*
 * Descriptors and the streams of tasks.
 *
 * send_fds.c tests, with transports, how descriptors relate to bytes and what
 * the kernel has space for.
 */
#define UNIT_RUN   with_taker
#define UNIT_TAKES struct taker *taker
#include "tests/contract/fds_rig.h"

#include <poll.h>
#include <weir/stream.h>
#include <weir/task.h>

static int send_one(weir_loop *loop, void *arg)
{
    weir_writer *writer;
    const int *ends = arg;
    const int fd = mark_open(6);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(ends[0]), NULL,
                                      NULL, &writer));

    expect_eq(weir_writer_send_fds(writer, "hello", 5, &fd, 1), 0);
    expect_eq(weir_writer_flush(writer), 0);

    close(fd);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    expect_eq(weir_writer_send_fds(writer, "hello", 5, &fd, 1), -ESHUTDOWN);
    weir_writer_unref(writer);
    return 0;
}

UNIT_IN(stream_fds, a_writer_sends_them, unit_alone, void)
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

UNIT_IN(stream_fds, a_writer_without_a_connection_sends_none, unit_alone, void)
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

static void send_marks(int fd, const char *text, unsigned int first,
                       size_t count)
{
    int fds[WEIR_FDS_MAX];
    for (size_t i = 0; i < count; i++) {
        fds[i] = mark_open(first + (unsigned int)i);
    }
    expect_eq(rights_send(fd, text, strlen(text), fds, count, 0),
              (ssize_t)strlen(text));
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
}

struct taker {
    weir_loop *loop;
    weir_reader *reader;
    weir_writer *writer;
    int peer;
    char text[64];
    int fds[WEIR_FDS_MAX];
};

static void taker_open(struct taker *taker, weir_loop *loop)
{
    int ends[2];
    memset(taker, 0, sizeof(*taker));
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct weir_open_options options = {.size = sizeof(options)};
    options.connect.connection.fd_limit = WEIR_FDS_MAX;
    taker->loop = loop;
    taker->peer = ends[1];
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(ends[0]), &options,
                                      &taker->reader, &taker->writer));
}

static void expect_taken(struct taker *taker, unsigned int first, size_t count)
{
    expect_eq(weir_reader_take_fds(taker->reader, taker->fds, count),
              (ssize_t)count);
    for (size_t i = 0; i < count; i++) {
        expect_eq(mark_close(taker->fds[i]), first + i);
    }
}

typedef void body_fn(struct taker *taker);

static int call_body(weir_loop *loop, void *arg)
{
    struct taker taker;
    taker_open(&taker, loop);
    (*(body_fn **)arg)(&taker);
    weir_writer_close(taker.writer);
    weir_writer_unref(taker.writer);
    close(taker.peer);
    return 0;
}

static void with_taker(body_fn *body)
{
    expect_eq(weir_run(NULL, call_body, &body), 0);
}

UNIT(stream_fds, a_task_takes_those_of_the_message_that_it_has_read)
{
    expect_eq(weir_reader_take_fds(taker->reader, taker->fds, 9), 0);
    send_marks(taker->peer, "one\n", 1, 2);
    send_marks(taker->peer, "two\n", 3, 1);

    expect_eq(weir_reader_readline(taker->reader, taker->text, 64), 4);
    expect_taken(taker, 1, 1);
    expect_taken(taker, 2, 1);
    expect_eq(weir_reader_readline(taker->reader, taker->text, 64), 4);
    expect_taken(taker, 3, 1);
    expect_eq(weir_reader_take_fds(taker->reader, taker->fds, 9), 0);
    expect_eq(weir_reader_take_fds(taker->reader, taker->fds, 0), 0);
}

static void wait_some(struct taker *taker)
{
    expect_eq(weir_sleep(taker->loop, 5 * RIG_MS), 0);
}

static void wait_until_open(struct taker *taker, int count)
{
    while (fds_count_open() > count) {
        wait_some(taker);
    }
}

UNIT(stream_fds, a_flood_that_is_not_taken_is_left_in_the_kernel)
{
    const int before = fds_count_open();
    for (unsigned int i = 0; i < 20; i++) {
        send_marks(taker->peer, "x", 1 + i * 100, 100);
        wait_some(taker);
    }
    expect_leq(fds_count_open(), before + 100);

    for (unsigned int i = 0; i < 20; i++) {
        expect_eq(weir_reader_readexactly(taker->reader, taker->text, 1), 1);
        expect_taken(taker, 1 + i * 100, 100);
    }
    expect_eq(weir_reader_take_fds(taker->reader, taker->fds, 1), 0);
    expect_eq(fds_count_open(), before);
}

UNIT(stream_fds,
     a_task_that_waits_for_bytes_gets_them_and_hears_of_what_is_lost)
{
    const int before = fds_count_open();
    send_marks(taker->peer, "a", 1, 200);
    send_marks(taker->peer, "b", 1001, 200); /* there is space for 53 of them */
    send_marks(taker->peer, "c", 2001, 1);

    expect_eq(weir_reader_readexactly(taker->reader, taker->text, 3), 3);

    wait_until_open(taker, before + WEIR_FDS_MAX); /* the rest is closed */
    expect_eq(fds_count_open(), before + WEIR_FDS_MAX);
    expect_taken(taker, 1, 200);
    expect_taken(taker, 1001, 53);
    expect_eq(weir_reader_take_fds(taker->reader, taker->fds, 1), -ENOBUFS);
    expect_eq(weir_reader_take_fds(taker->reader, taker->fds, 1), 0);
    send_marks(taker->peer, "d", 3001, 2);
    expect_eq(weir_reader_readexactly(taker->reader, taker->text, 1), 1);
    expect_taken(taker, 3001, 2);
    expect_eq(fds_count_open(), before);
}

UNIT(stream_fds, those_that_are_not_taken_are_closed_with_the_stream)
{
    send_marks(taker->peer, "abc", 1, 100);
    expect_eq(weir_reader_readexactly(taker->reader, taker->text, 3), 3);
    wait_some(taker);
}

UNIT(stream_fds, they_can_be_taken_after_the_end)
{
    send_marks(taker->peer, "abc", 1, 3);
    shutdown(taker->peer, SHUT_WR);
    wait_some(taker);

    expect_eq(weir_reader_read(taker->reader, taker->text, 64), 3);
    expect_eq(weir_reader_read(taker->reader, taker->text, 64), 0);
    expect_taken(taker, 1, 3);
}

UNIT(stream_fds, those_that_come_for_a_reader_that_was_ended_are_closed)
{
    int ends[2];
    passed_pipe(ends);
    weir_reader_feed_eof(taker->reader);
    expect_eq(rights_send(taker->peer, "abc", 3, &ends[1], 1, 0), 3);
    close(ends[1]);

    do {
        wait_some(taker);
    } while (poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 0) ==
             0);

    expect_eq(weir_reader_take_fds(taker->reader, taker->fds, 1), 0);
    expect_eq(read(ends[0], taker->text, 1), 0);
    close(ends[0]);
}
