/*
 * The exception hook that is called when no thread can be created may call any
 * function, even on the connection whose operation found no thread.
 *
 * The operation's owner has been notified of its end by then.
 */
#include "tests/contract/shortage_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <weir/sendfile.h>
#include <weir/stream.h>

static weir_transport *concerned; /* borrowed */
static void (*act)(weir_transport *t);
static int told_count;

static void act_once(void *arg, weir_loop *loop,
                     const struct weir_exception *exception)
{
    if (exception->err == -EAGAIN && told_count++ == 0) {
        act(concerned);
    }
}

static void begin(weir_loop *loop, weir_transport *t,
                  void (*hook_acts)(weir_transport *t))
{
    concerned = t;
    act = hook_acts;
    weir_loop_set_exception_handler(loop, act_once, NULL);
    shortage_begin();
}

static void end(weir_loop *loop)
{
    shortage_end();
    weir_loop_set_exception_handler(loop, NULL, NULL);
    expect_eq(told_count, 1);
}

static void abort_it(weir_transport *t)
{
    expect_eq(weir_transport_abort(t), 0);
}

static void pause_and_resume(weir_transport *t)
{
    expect_eq(weir_transport_pause_reading(t), 0);
    expect_eq(weir_transport_resume_reading(t), 0);
}

static int make_fifo(int flags, int *ret_other)
{
    expect_eq(mkfifo(shortage_path("fifo"), 0600), 0);
    *ret_other = open(shortage_path("fifo"), O_RDWR | O_CLOEXEC | O_NONBLOCK);
    const int fd = open(shortage_path("fifo"), flags | O_CLOEXEC);
    expect_geq(fd, 0);
    expect_eq(unlink(shortage_path("fifo")), 0);
    return fd;
}

UNIT_OF(no_thread_hook, it_aborts_the_pipe_that_writes, shortage_run,
        OF_PROCESSES, weir_loop *loop)
{
    int other;
    char byte;
    weir_writer *writer;
    const int fd = make_fifo(O_WRONLY, &other);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_write_pipe(fd), NULL,
                                      NULL, &writer));
    begin(loop, weir_writer_get_transport(writer), abort_it);
    expect_eq(weir_writer_write(writer, "abc", 3), 0);

    expect_lt(weir_writer_wait_closed(writer), 0);

    weir_writer_unref(writer);
    expect_eq(read(other, &byte, 1), 1, "the call was made");
    expect_eq(close(other), 0);
    end(loop);
}

static weir_writer *open_to_read(weir_loop *loop, weir_reader **ret_reader,
                                 int *ret_other)
{
    weir_writer *writer;
    const int fd = make_fifo(O_RDONLY, ret_other);
    expect_eq(write(*ret_other, "abc", 3), 3);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_read_pipe(fd), NULL,
                                      ret_reader, &writer));
    return writer;
}

UNIT_OF(no_thread_hook, it_aborts_the_pipe_that_reads, shortage_run,
        OF_PROCESSES, weir_loop *loop)
{
    int other;
    weir_writer *writer;
    weir_reader *reader;
    writer = open_to_read(loop, &reader, &other);
    begin(loop, weir_writer_get_transport(writer), abort_it);

    expect_lt(weir_writer_wait_closed(writer), 0);

    weir_writer_unref(writer);
    expect_eq(close(other), 0);
    end(loop);
}

UNIT_OF(no_thread_hook, it_pauses_and_resumes_the_pipe_that_reads, shortage_run,
        OF_PROCESSES, weir_loop *loop)
{
    int other;
    char bytes[3];
    weir_writer *writer;
    weir_reader *reader;
    writer = open_to_read(loop, &reader, &other);
    begin(loop, weir_writer_get_transport(writer), pause_and_resume);

    expect_eq(weir_reader_readexactly(reader, bytes, 3), 3);
    expect_eq(memcmp(bytes, "abc", 3), 0);

    weir_writer_unref(writer);
    expect_eq(close(other), 0);
    end(loop);
}

/* A file that the kernel reads only in a thread. */
UNIT_OF(no_thread_hook, it_aborts_the_transport_that_sends_a_file, shortage_run,
        OF_PROCESSES, weir_loop *loop)
{
    int ends[2];
    uint64_t offset = 0;
    weir_writer *writer;
    const int fd = open("/sys/kernel/uevent_seqnum", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        cr_skip_test("no file of the kernel's; runs with /sys");
    }
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(ends[0]), NULL,
                                      NULL, &writer));
    begin(loop, weir_writer_get_transport(writer), abort_it);

    expect_lt(weir_writer_sendfile(writer, fd, &offset, WEIR_TO_END), 0);

    expect_lt(weir_writer_wait_closed(writer), 0);
    weir_writer_unref(writer);
    expect_eq(close(ends[1]), 0);
    expect_eq(close(fd), 0);
    end(loop);
}
