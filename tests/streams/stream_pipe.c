/*
 * Streams over pipes, on the fake machine.
 *
 * A connected socket stands for the end of a pipe that weir has, and its peer
 * for the other end: the transport takes it for one that moves bytes one way.
 */
#include "pair.h"

#include <weir/stream.h>

struct piped {
    weir_reader *reader;
    weir_writer *writer;
    struct fake_peer *peer;
};

static void open_reading(struct piped *p, uint64_t limit_bytes)
{
    const struct weir_open_options options = {.size = sizeof(options),
                                              .limit_bytes = limit_bytes};
    const int fd = fake_connected_fd(&p->peer);

    expect_ok(weir_open_connection_at(loop, weir_endpoint_read_pipe(fd),
                                      &options, &p->reader, &p->writer));
}

static void close_piped(struct piped *p)
{
    weir_writer_unref(p->writer);
    fake_peer_close(p->peer);
    settle();
    expect_eq(rig_statistics().connections, 0);
}

TASK(stream_pipe, lines_are_read_to_the_end_of_the_pipe)
{
    char line[32] = "";
    struct piped p;

    open_reading(&p, 0);
    expect_eq(fake_peer_write(p.peer, "one\ntw", 6), 6);
    expect_eq(weir_reader_readline(p.reader, line, sizeof(line)), 4);
    expect_eq(memcmp(line, "one\n", 4), 0);
    expect_eq(fake_peer_write(p.peer, "o\nthree", 7), 7);
    fake_peer_shutdown(p.peer);
    expect_eq(weir_reader_readline(p.reader, line, sizeof(line)), 4);
    expect_eq(memcmp(line, "two\n", 4), 0);
    expect_eq(weir_reader_readline(p.reader, line, sizeof(line)), 5);
    expect_eq(memcmp(line, "three", 5), 0);
    expect_eq(weir_reader_read(p.reader, line, sizeof(line)), 0);
    expect_eq(weir_writer_wait_closed(p.writer), WEIR_EPEERCLOSED);
    close_piped(&p);
}

TASK(stream_pipe, writes_to_a_pipe_that_is_read_are_refused)
{
    struct piped p;

    open_reading(&p, 0);
    expect_eq(weir_writer_write(p.writer, "x", 1), -EOPNOTSUPP);
    expect_eq(weir_writer_write_eof(p.writer), -EOPNOTSUPP);
    cr_assert(!weir_writer_can_write_eof(p.writer));
    expect_eq(weir_writer_drain(p.writer), 0);
    expect_eq(weir_writer_flush(p.writer), 0);
    close_piped(&p);
}

TASK(stream_pipe, a_reader_that_is_full_pauses_the_pipe)
{
    static char bytes[60000];
    struct piped p;
    size_t total = 0;

    open_reading(&p, 1000);
    while (fake_peer_write(p.peer, bytes, sizeof(bytes)) > 0) {
        settle();
    }
    const struct weir_loop_statistics stats = rig_statistics();
    cr_assert_leq(stats.held_bytes, 300000);
    fake_peer_shutdown(p.peer);
    for (;;) {
        ssize_t len = weir_reader_read(p.reader, bytes, sizeof(bytes));
        cr_assert_geq(len, 0);
        if (len == 0) {
            break;
        }
        total += (size_t)len;
    }
    cr_assert_geq(total, 60000);
    close_piped(&p);
}

static int read_byte(weir_loop *on, void *arg)
{
    char byte;
    return (int)weir_reader_read(arg, &byte, 1);
}

TASK(stream_pipe, a_read_that_waits_is_cancelled_and_loses_no_byte)
{
    struct piped p;
    char byte;

    open_reading(&p, 0);
    weir_task *task = rig_spawn(read_byte, p.reader);
    settle();
    expect_eq(rig_cancel(task), -ECANCELED);
    expect_eq(fake_peer_write(p.peer, "x", 1), 1);
    expect_eq(weir_reader_read(p.reader, &byte, 1), 1);
    expect_eq(byte, 'x');
    close_piped(&p);
}

TASK(stream_pipe, closing_ends_a_read_that_waits)
{
    struct piped p;

    open_reading(&p, 0);
    weir_task *task = rig_spawn(read_byte, p.reader);
    settle();
    weir_writer_close(p.writer);
    expect_eq(rig_join(task), 0);
    expect_eq(weir_writer_wait_closed(p.writer), 0);
    close_piped(&p);
}

static void open_writing(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    p->fd = fake_connected_fd(&p->peer);
    expect_eq(weir_open_connection_at(loop, weir_endpoint_write_pipe(p->fd),
                                      NULL, NULL, &p->writer),
              0);
    p->t = weir_writer_get_transport(p->writer);
}

TASK(stream_pipe, drain_waits_for_the_low_mark_and_flush_for_every_byte)
{
    struct writer_call drain;
    struct writer_call flush;
    struct pair p;

    open_writing(&p);
    expect_eq(pair_write(&p, MIB), 0);
    call_start(&drain, &p, weir_writer_drain);
    call_start(&flush, &p, weir_writer_flush);
    nap();
    cr_assert(!drain.is_done);
    cr_assert(!flush.is_done);
    pair_peer_read_all(&p);
    expect_eq(p.peer_read, MIB);
    expect_eq(call_end(&drain), 0);
    expect_eq(call_end(&flush), 0);
    cr_assert_leq(drain.depth, 16384);
    expect_eq(flush.depth, 0);
    pair_close(&p);
}

TASK(stream_pipe, close_writes_everything_and_wait_closed_waits_for_that)
{
    struct writer_call closed;
    struct pair p;

    open_writing(&p);
    expect_eq(pair_write(&p, MIB), 0);
    weir_writer_close(p.writer);
    call_start(&closed, &p, weir_writer_wait_closed);
    nap();
    cr_assert(!closed.is_done);
    pair_peer_read_all(&p);
    expect_eq(p.peer_read, MIB);
    expect_eq(call_end(&closed), 0);
    pair_close(&p);
}

TASK(stream_pipe, a_reader_that_goes_while_bytes_wait_is_told_to_all)
{
    struct writer_call flush;
    struct pair p;

    open_writing(&p);
    expect_eq(pair_write(&p, MIB), 0);
    call_start(&flush, &p, weir_writer_flush);
    nap();
    fake_peer_reset(p.peer);
    nap();
    cr_assert(call_end(&flush) < 0);
    expect_eq(pair_write(&p, 1), -EPIPE);
    cr_assert(weir_writer_wait_closed(p.writer) < 0);
    pair_close(&p);
}

TASK(stream_pipe, a_reader_that_goes_while_nothing_waits_is_the_end)
{
    struct pair p;

    open_writing(&p);
    expect_eq(pair_write(&p, 10), 0);
    expect_eq(weir_writer_flush(p.writer), 0);
    fake_peer_reset(p.peer);
    nap();
    expect_eq(pair_write(&p, 1), -EPIPE);
    expect_eq(weir_writer_drain(p.writer), WEIR_EPEERCLOSED);
    expect_eq(weir_writer_wait_closed(p.writer), WEIR_EPEERCLOSED);
    pair_close(&p);
}

/* The end of one direction must not end the other. */
TASK(stream_pipe, an_end_of_the_other_direction_is_no_end_of_the_reader)
{
    struct pair p;

    open_writing(&p);
    fake_peer_shutdown(p.peer);
    nap();
    expect_eq(pair_write(&p, MIB), 0);
    pair_peer_read_all(&p);
    expect_eq(p.peer_read, MIB);
    expect_eq(weir_writer_flush(p.writer), 0);
    pair_close(&p);
}

TASK(stream_pipe, bad_calls_close_the_descriptor)
{
    struct weir_open_options options = {.size = sizeof(options)};
    struct piped p = {.peer = NULL};
    int fd = fake_connected_fd(&p.peer);

    options.limit_bytes = UINT64_MAX;
    expect_eq(weir_open_connection_at(loop, weir_endpoint_read_pipe(fd),
                                      &options, NULL, &p.writer),
              -EINVAL);
    cr_assert(fake_peer_is_alone(p.peer));
    fake_peer_close(p.peer);

    fd = fake_connected_fd(&p.peer);
    expect_eq(weir_open_connection_at(loop, weir_endpoint_write_pipe(fd), NULL,
                                      NULL, NULL),
              -EINVAL);
    cr_assert(fake_peer_is_alone(p.peer));
    fake_peer_close(p.peer);

    fd = fake_connected_fd(&p.peer);
    options = (struct weir_open_options){.size = 0};
    expect_eq(weir_open_connection_at(loop, weir_endpoint_write_pipe(fd),
                                      &options, NULL, &p.writer),
              WEIR_EOPTIONSIZE);
    cr_assert(fake_peer_is_alone(p.peer));
    fake_peer_close(p.peer);
}

UNIT(stream_pipe, can_be_made_by_a_task_alone)
{
    struct piped p = {.peer = NULL};

    rig_start();
    const int fd = fake_connected_fd(&p.peer);
    expect_eq(weir_open_connection_at(loop, weir_endpoint_read_pipe(fd), NULL,
                                      NULL, &p.writer),
              WEIR_ENOTTASK);
    cr_assert(fake_peer_is_alone(p.peer));
    fake_peer_close(p.peer);
    rig_stop();
}

static int open_without_memory(weir_loop *on, void *arg)
{
    struct piped p = {.writer = NULL};
    char byte;
    const int fd = fake_connected_fd(&p.peer);
    expect_eq(fake_peer_write(p.peer, "x", 1), 1);
    walk_begin(&rig_memory);
    int err = weir_open_connection_at(loop, weir_endpoint_read_pipe(fd), NULL,
                                      &p.reader, &p.writer);
    if (err == 0) {
        err = (int)weir_reader_read(p.reader, &byte, 1);
        weir_writer_unref(p.writer);
    }
    cr_assert(err == 1 || (walk_end(&rig_memory) && err == -ENOMEM));
    settle();
    fake_peer_close(p.peer);
    return 0;
}

UNIT(stream_pipe, without_memory_it_says_so)
{
    expect_geq(rig_walk(open_without_memory, NULL), 3);
}
