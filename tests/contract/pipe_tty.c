/*
 * Pipes over terminals: a pseudo-terminal whose slave, or master, is the pipe.
 *
 * Terminals have no non-blocking read or write, so kernel workers make these
 * calls. They must delay neither the loop nor its end, and the terminal's
 * settings must not change for others.
 */
#include "tests/contract/maker.h"

#include "tests/pattern.h"

#include <poll.h>
#include <pty.h>
#include <sys/mman.h>
#include <termios.h>
#include <weir/pipe.h>
#include <weir/sendfile.h>

static int master;
static int slave;

static void open_terminal(bool raw)
{
    struct termios termios;

    cr_assert(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    if (raw) {
        cr_assert(tcgetattr(slave, &termios) == 0);
        cfmakeraw(&termios);
        cr_assert(tcsetattr(slave, TCSANOW, &termios) == 0);
    }
}

static void make(struct maker *m, int fd, bool reads)
{
    m->done = 0;
    expect_ok(reads ? weir_connect_read_pipe(m->loop, &m->factory, fd, NULL,
                                             maker_connect_done, m, NULL)
                    : weir_connect_write_pipe(m->loop, &m->factory, fd, NULL,
                                              maker_connect_done, m, NULL));
    maker_expect_done(m, 0);
}

MAKER(pipe_tty, lines_are_read_and_the_end_of_input_is_the_end, m)
{
    open_terminal(false);
    make(m, slave, true);
    expect_eq(write(master, "abc", 3), 3);
    maker_run_for(m, 20 * MS);
    expect_eq(m->received, 0); /* the line is not complete */
    expect_eq(write(master, "d\n", 2), 2);
    RUN_UNTIL(m->loop, m->received >= 5);
    expect_eq(write(master, "\004", 1), 1);
    maker_expect_lost(m, 0);
    expect_eq(m->received, 5);
    close(master);
}

MAKER(pipe_tty, complaint_77__the_flags_of_a_terminal_stay_as_they_are, m)
{
    open_terminal(true);
    const int other = dup(slave);
    const int before = fcntl(other, F_GETFL);
    make(m, slave, true);
    expect_eq(write(master, "abc", 3), 3);
    RUN_UNTIL(m->loop, m->received >= 3);
    expect_eq(fcntl(other, F_GETFL), before);
    expect_eq(before & O_NONBLOCK, 0);
    weir_transport_close(m->t);
    maker_run(m, maker_is_lost);
    expect_eq(fcntl(other, F_GETFL), before);
    close(other);
    close(master);
}

/* Another process takes the bytes first, so a read blocks in a worker: neither
 * the loop nor its end waits for it. */
MAKER(pipe_tty, bytes_that_another_reader_takes_hold_up_nothing, m)
{
    char bytes[64];

    open_terminal(true);
    const int other = dup(slave);
    make(m, slave, true);
    for (int i = 0; i < 2000; i++) {
        struct pollfd pollfd = {.fd = other, .events = POLLIN};
        expect_eq(write(master, "x", 1), 1);
        if (i % 2) { /* by now the poll has seen the byte */
            maker_run_for(m, 0);
        }
        if (poll(&pollfd, 1, 0) == 1) {
            fcntl(other, F_SETFL, O_NONBLOCK | O_RDWR);
            expect_geq(read(other, bytes, sizeof(bytes)), -1);
            fcntl(other, F_SETFL, O_RDWR);
        }
        maker_run_for(m, 0);
    }
    weir_transport_close(m->t);
    maker_expect_lost(m, 0);
    close(other);
    close(master);
}

MAKER(pipe_tty, a_write_that_the_terminal_stops_is_ended_by_an_abort, m)
{
    static char bytes[100000];

    open_terminal(true);
    make(m, slave, false);
    memset(bytes, 'x', sizeof(bytes));
    expect_eq(weir_transport_write(m->t, bytes, sizeof(bytes)), 0);
    maker_run_for(m, 50 * MS); /* nothing reads, so it is full */
    expect_gt(weir_transport_get_write_buffer_size(m->t), 0);
    expect_eq(m->lost, 0);
    weir_transport_abort(m->t);
    maker_expect_lost(m, 0);
    close(master);
}

MAKER(pipe_tty, what_is_written_arrives_in_order, m)
{
    static char bytes[100000];
    char got[4096];
    size_t total = 0;

    open_terminal(true);
    make(m, slave, false);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i % 251);
    }
    expect_eq(weir_transport_write(m->t, bytes, sizeof(bytes)), 0);
    fcntl(master, F_SETFL, O_NONBLOCK | O_RDWR);
    while (total < sizeof(bytes)) {
        ssize_t len = read(master, got, sizeof(got));
        if (len > 0) {
            expect_eq(memcmp(got, bytes + total, (size_t)len), 0);
            total += (size_t)len;
        }
        maker_run_for(m, 0);
    }
    weir_transport_close(m->t);
    maker_expect_lost(m, 0);
    close(master);
}

/* A file opened for appending cannot be spliced to. */
MAKER(pipe_tty, a_write_that_fits_arrives_and_a_close_waits_for_it, m)
{
    for (int append = 0; append < 2; append++) {
        char got[8];
        open_terminal(true);
        expect_ok(fcntl(slave, F_SETFL, append ? O_APPEND | O_RDWR : O_RDWR));
        m->lost = 0;
        make(m, slave, false);
        expect_eq(weir_transport_write(m->t, "abc", 3), 0);
        weir_transport_close(m->t);
        maker_expect_lost(m, 0);
        expect_eq(read(master, got, sizeof(got)), 3, "append %d", append);
        expect_eq(memcmp(got, "abc", 3), 0, "append %d", append);
        close(master);
    }
}

MAKER(pipe_tty, a_hang_up_ends_both_directions, m)
{
    open_terminal(true);
    make(m, dup(slave), true);
    close(master);
    maker_run(m, maker_is_lost);
    cr_assert(m->lost_err == 0 || m->lost_err == -EIO);
    close(slave);

    m->lost = 0;
    open_terminal(true);
    make(m, slave, false);
    close(master);
    maker_expect_lost(m, 0);
}

/* The kernel reports an error to the master of a pseudo-terminal when no slave
 * is open any more. */
MAKER(pipe_tty, the_end_of_the_slave_is_an_error_of_the_master, m)
{
    open_terminal(true);
    make(m, master, true);
    expect_eq(write(slave, "abc", 3), 3);
    close(slave);
    maker_run(m, maker_is_lost);
    expect_eq(m->received, 3);
    expect_eq(m->lost_err, -EIO);
}

MAKER(pipe_tty, a_loop_can_be_freed_while_reads_and_writes_wait, m)
{
    static char bytes[100000];
    int masters[2];

    for (int i = 0; i < 2; i++) {
        open_terminal(true);
        masters[i] = master;
        make(m, slave, i == 0);
    }
    expect_eq(weir_transport_write(m->t, bytes, sizeof(bytes)), 0);
    maker_run_for(m, 20 * MS);
    expect_eq(weir_loop_free(m->loop), 2);
    expect_eq(m->lost, 2);
    maker_open(m);
    close_ends(masters);
}

struct terminal_file {
    int calls;
    int err;
    uint64_t sent;
};

static void terminal_file_done(void *arg, weir_transport *t, int err,
                               uint64_t sent)
{
    struct terminal_file *file = arg;

    cr_assert(t != NULL);
    file->calls++;
    file->err = err;
    file->sent = sent;
}

static size_t read_master(struct maker *m, uint8_t *buf, size_t len)
{
    const ssize_t got = read(master, buf, len);

    maker_run_for(m, 0);
    return got > 0 ? (size_t)got : 0;
}

MAKER(pipe_tty, a_file_arrives_whole_and_another_as_far_as_it_is_counted, m)
{
    enum { SIZE = 200000 };
    static uint8_t sent[SIZE];
    static uint8_t got[SIZE];
    struct terminal_file file = {.calls = 0};
    size_t len = 0;
    const int fd = memfd_create("file", MFD_CLOEXEC);

    pattern_fill(5, 0, sent, SIZE);
    expect_eq(write(fd, sent, SIZE), SIZE);
    open_terminal(true);
    expect_eq(fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK), 0);
    make(m, slave, false);
    expect_ok(
        weir_transport_sendfile(m->t, fd, 0, SIZE, terminal_file_done, &file));
    while (len < SIZE) {
        len += read_master(m, got + len, SIZE - len);
    }
    while (file.calls == 0) {
        maker_run_for(m, MS);
    }
    expect_eq(file.err, 0);
    expect_eq(file.sent, SIZE);
    cr_assert(memcmp(sent, got, SIZE) == 0);

    /* The terminal is full: the count must match the bytes that come out. */
    struct pollfd pollfd = {.fd = master, .events = POLLIN};
    expect_ok(
        weir_transport_sendfile(m->t, fd, 0, SIZE, terminal_file_done, &file));
    while (poll(&pollfd, 1, 0) ==
           0) { /* until a worker has written some bytes */
        maker_run_for(m, MS);
    }
    maker_run_for(m, 20 * MS);
    expect_eq(file.calls, 1);
    weir_transport_cancel_sendfile(m->t);
    while (file.calls == 1) {
        maker_run_for(m, MS);
    }
    expect_eq(file.err, -ECANCELED);
    expect_eq(weir_transport_write(m->t, "end", 3), 0);
    cr_assert(file.sent > 0 && file.sent < SIZE - 3);
    for (len = 0; len < file.sent + 3;) {
        len += read_master(m, got + len, SIZE - len);
    }
    cr_assert(memcmp(sent, got, file.sent) == 0);
    cr_assert(memcmp(got + file.sent, "end", 3) == 0);

    weir_transport_close(m->t);
    maker_expect_lost(m, 0);
    close(master);
    close(fd);
}
