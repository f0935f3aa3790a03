/*
 * Rows of no_thread.c: bytes through pipes of all kinds.
 *
 * Each row makes both ends, one for weir and one for the test, and checks every
 * byte. More is written than fits, so that writes also find no space.
 */
#include "tests/contract/shortage_pipes.h"
#include "tests/contract/shortage_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>
#include <weir/stream.h>

/* The first end is for weir, which writes to it if @to_write is true. */
typedef void make_pipe_fn(bool to_write, int ret[2]);

static void make_anonymous(bool to_write, int ret[2])
{
    int ends[2];
    expect_eq(pipe2(ends, O_CLOEXEC), 0);
    ret[0] = ends[to_write ? 1 : 0];
    ret[1] = ends[to_write ? 0 : 1];
}

static void make_fifo(bool to_write, int ret[2])
{
    expect_eq(mkfifo(shortage_path("fifo"), 0600), 0);
    ret[1] = open(shortage_path("fifo"), O_RDWR | O_CLOEXEC);
    ret[0] = open(shortage_path("fifo"),
                  (to_write ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    cr_assert_geq(ret[0], 0);
    expect_eq(unlink(shortage_path("fifo")), 0);
}

/* A FIFO whose permissions keep the process from opening it again. */
static void make_shut_fifo(bool to_write, int ret[2])
{
    make_fifo(to_write, ret);
    expect_eq(fchmod(ret[0], 0), 0);
}

static void make_terminal(int ret[2], bool is_master)
{
    int ends[2];
    struct termios termios;
    expect_eq(openpty(&ends[0], &ends[1], NULL, NULL, NULL), 0);
    expect_eq(tcgetattr(ends[1], &termios), 0);
    cfmakeraw(&termios);
    expect_eq(tcsetattr(ends[1], TCSANOW, &termios), 0);
    ret[0] = ends[is_master ? 0 : 1];
    ret[1] = ends[is_master ? 1 : 0];
}

static void make_slave(bool to_write, int ret[2])
{
    make_terminal(ret, false);
}

static void make_master(bool to_write, int ret[2])
{
    make_terminal(ret, true);
}

static void make_regular(bool to_write, int ret[2])
{
    ret[1] = open(shortage_path("file"), O_RDWR | O_CREAT, 0600);
    ret[0] = open(shortage_path("file"),
                  (to_write ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    cr_assert_geq(ret[0], 0);
    expect_eq(unlink(shortage_path("file")), 0);
}

static void make_appended(bool to_write, int ret[2])
{
    make_regular(to_write, ret);
    expect_eq(fcntl(ret[0], F_SETFL, O_APPEND), 0);
}

static int read_from(weir_loop *loop, make_pipe_fn *make)
{
    char bytes[16] = "";
    int ends[2];
    weir_reader *reader;
    weir_writer *writer;
    make(false, ends);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_read_pipe(ends[0]),
                                      NULL, &reader, &writer));
    expect_eq(weir_sleep(loop, 0), 0);
    expect_eq(write(ends[1], "abcdef", 6), 6);
    const ssize_t got = weir_reader_readexactly(reader, bytes, 6);
    weir_writer_unref(writer);
    expect_eq(close(ends[1]), 0);
    return got == 6 && memcmp(bytes, "abcdef", 6) == 0 ? 0
           : got < 0                                   ? (int)got
                                                       : -1;
}

static int write_to(weir_loop *loop, make_pipe_fn *make, size_t len)
{
    static char bytes[200000];
    static char seen[sizeof(bytes)];
    int ends[2];
    weir_writer *writer;
    size_t got = 0;
    make(true, ends);
    expect_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    memset(bytes, 'y', len);
    bytes[len - 1] = 'z';
    expect_ok(weir_open_connection_at(loop, weir_endpoint_write_pipe(ends[0]),
                                      NULL, NULL, &writer));
    expect_eq(weir_writer_write(writer, bytes, len), 0);
    while (got < len) {
        const ssize_t part = read(ends[1], seen + got, len - got);
        got += part > 0 ? (size_t)part : 0;
        expect_eq(part > 0 ? 0 : weir_sleep(loop, 1000000), 0);
        expect_ok(weir_transport_get_error(weir_writer_get_transport(writer)));
    }
    expect_eq(memcmp(bytes, seen, len), 0);
    weir_writer_close(writer);
    const int ret = weir_writer_wait_closed(writer);
    weir_writer_unref(writer);
    expect_eq(close(ends[1]), 0);
    return ret;
}

/* Writes more than a file may have; SIGXFSZ would end the test. */
int shortage_write_beyond(weir_loop *loop)
{
    static char bytes[8192];
    int ends[2];
    weir_writer *writer;
    struct rlimit before;
    signal(SIGXFSZ, SIG_DFL); /* whatever the test program inherited */
    make_regular(true, ends);
    expect_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit = {sizeof(bytes) / 2, before.rlim_max};
    expect_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

    expect_ok(weir_open_connection_at(loop, weir_endpoint_write_pipe(ends[0]),
                                      NULL, NULL, &writer));
    expect_eq(weir_writer_write(writer, bytes, sizeof(bytes)), 0);
    weir_writer_close(writer);
    const int ret = weir_writer_wait_closed(writer);

    expect_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    weir_writer_unref(writer);
    expect_eq(close(ends[1]), 0);
    return ret == -EFBIG ? 0 : ret < 0 ? ret : -1;
}

int shortage_write_broken(weir_loop *loop)
{
    int ends[2];
    weir_writer *writer;
    signal(SIGPIPE, SIG_DFL);
    make_fifo(true, ends);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_write_pipe(ends[0]),
                                      NULL, NULL, &writer));
    expect_eq(weir_writer_write(writer, "abc", 3), 0);
    expect_eq(close(ends[1]), 0);
    const int ret = weir_writer_drain(writer);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), -EPIPE);
    weir_writer_unref(writer);
    return ret == -EPIPE || ret == 0 ? 0 : ret;
}

#define PIPE_ROWS(kind, size)                                                  \
    int shortage_read_##kind(weir_loop *loop)                                  \
    {                                                                          \
        return read_from(loop, make_##kind);                                   \
    }                                                                          \
    int shortage_write_##kind(weir_loop *loop)                                 \
    {                                                                          \
        return write_to(loop, make_##kind, size);                              \
    }

PIPE_ROWS(anonymous, 200000)
PIPE_ROWS(fifo, 200000)
PIPE_ROWS(shut_fifo, 200000)
PIPE_ROWS(slave, 10000)
PIPE_ROWS(master, 10000)
PIPE_ROWS(regular, 200000)
PIPE_ROWS(appended, 200000)
