/*
 * Handlers of streams: what runs for a connection, in a task or as a callback.
 *
 * A handler's failure is told and its return closes the stream, after what it
 * wrote. A callback keeps the stream by a reference only.
 */
#include "handler.h"

static int write_and_return(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct pair *p = arg;
    expect_eq(weir_writer_get_reader(writer), reader);
    seen.calls++;
    snprintf(seen.task_name, sizeof(seen.task_name), "%s",
             weir_task_get_name(weir_task_get_current(loop)));
    p->writer = writer;
    p->reader = reader;
    expect_eq(pair_write(p, MIB), 0);
    return seen.result;
}

TASK(stream_handler, a_handler_that_returns_has_its_stream_closed_gracefully)
{
    char name[64];
    struct pair p;
    serve(&p, write_and_return, NULL);
    expect_eq(seen.calls, 1);
    snprintf(name, sizeof(name), ":%u", fake_peer_port(p.peer));
    expect_eq(strncmp(seen.task_name, "stream ", 7), 0);
    expect_str_eq(strrchr(seen.task_name, ':'), name, "named by its peer");
    cr_assert_not(fake_peer_is_alone(p.peer), "a megabyte waits");
    expect_eq(rig_statistics().tasks, 1, "the handler has returned");

    pair_peer_read_all(&p);
    expect_eq(p.peer_read, MIB);
    expect_eq(seen.reports, 0);
    expect_over(&p);
}

static int fail(void *arg, weir_reader *reader, weir_writer *writer)
{
    seen.calls++;
    return -EPROTO;
}

static int fail_as_cancelled(void *arg, weir_reader *reader,
                             weir_writer *writer)
{
    (void)fail(arg, reader, writer);
    return -ECANCELED;
}

static int fail_as_aborted(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    seen.calls++;
    weir_writer_abort(writer);
    return (int)weir_reader_read(reader, &byte, 1);
}

TASK(stream_handler, the_hook_sees_that_a_handler_failed)
{
    struct pair p;
    serve(&p, fail, NULL);
    expect_eq(seen.reports, 1);
    expect_eq(seen.err, -EPROTO);
    expect_str_eq(seen.callback, "client_connected");
    cr_assert_not_null(seen.transport);
    expect_eq(strncmp(seen.task_name, "stream ", 7), 0);
    expect_over(&p);

    serve(&p, fail_as_aborted, NULL);
    expect_eq(seen.calls, 1);
    expect_eq(seen.reports, 0, "an error that the handler returned");
    expect_over(&p);

    serve(&p, fail_as_cancelled, NULL);
    expect_eq(seen.calls, 1);
    expect_eq(seen.reports, 0, "a cancellation is no failure");
    expect_over(&p);
}

static int close_itself(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    seen.read_result = (int)weir_reader_read(reader, &byte, 1);
    weir_writer_close(writer);
    return weir_writer_wait_closed(writer);
}

static int write_on(void *arg, weir_reader *reader, weir_writer *writer)
{
    int err = 0;
    while (err == 0) {
        expect_eq(weir_sleep(loop, US), 0);
        err = weir_writer_write(writer, "more", 4);
    }
    seen.calls++;
    seen.result = err;
    return err;
}

static int fail_with_pipe(void *arg, weir_reader *reader, weir_writer *writer)
{
    (void)fail(arg, reader, writer);
    return -EPIPE;
}

TASK(stream_handler, an_error_of_a_write_to_a_broken_connection_is_not_reported)
{
    struct pair p;
    serve(&p, write_on, NULL);
    fake_peer_reset(p.peer);
    nap();
    expect_eq(seen.calls, 1);
    expect_eq(seen.result, -EPIPE, "the write's error is the handler's result");
    expect_eq(seen.reports, 0, "the handler has not failed");
    expect_over(&p);

    serve(&p, fail_with_pipe, NULL);
    expect_eq(seen.calls, 1);
    expect_eq(seen.reports, 1, "this connection did not break");
    expect_over(&p);
}

TASK(stream_handler, a_handler_sees_how_its_peer_ends)
{
    struct pair p;
    serve(&p, close_itself, NULL);
    fake_peer_reset(p.peer);
    nap();
    expect_eq(seen.read_result, -ECONNRESET);
    expect_eq(seen.reports, 0, "the handler has not failed");
    expect_over(&p);

    serve(&p, close_itself, NULL);
    fake_peer_shutdown(p.peer);
    nap();
    expect_eq(seen.read_result, 0);
    expect_eq(seen.reports, 0);
    expect_over(&p);
}

static int keep_writer(void *arg, weir_reader *reader, weir_writer *writer)
{
    seen.writer = weir_writer_ref(writer);
    return 0;
}

TASK(stream_handler, a_reference_keeps_the_stream_but_not_the_connection)
{
    struct pair p;
    serve(&p, keep_writer, NULL);
    expect_eq(weir_writer_wait_closed(seen.writer), 0);
    expect_eq(weir_transport_get_end(weir_writer_get_transport(seen.writer)),
              WEIR_END_CLOSED);
    weir_writer_unref(seen.writer);
    expect_over(&p);
}

static int read_in_callback(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    cr_assert_null(weir_task_get_current(loop));
    seen.calls++;
    seen.read_result = (int)weir_reader_read(reader, &byte, 1);
    seen.writer = seen.result == 1 ? weir_writer_ref(writer) : NULL;
    return seen.result == 1 ? 0 : seen.result;
}

static int read_and_keep(void *arg, weir_reader *reader, weir_writer *writer)
{
    seen.result = 1;
    return read_in_callback(arg, reader, writer);
}

static int read_and_fail(void *arg, weir_reader *reader, weir_writer *writer)
{
    seen.result = -EPROTO;
    seen.writer = weir_writer_ref(writer);
    weir_writer *kept = seen.writer;
    int err = read_in_callback(arg, reader, writer);
    seen.writer = kept;
    return err;
}

TASK(stream_handler, a_callback_keeps_the_stream_by_a_reference)
{
    struct weir_stream_options options = {.size = sizeof(options),
                                          .no_task = true};
    struct pair p;
    serve(&p, read_in_callback, &options);
    expect_eq(seen.calls, 1);
    expect_eq(seen.read_result, WEIR_ENOTTASK);
    expect_over(&p); /* no reference is left */

    serve(&p, read_and_keep, &options);
    p.writer = seen.writer;
    p.reader = weir_writer_get_reader(seen.writer);
    pair_peer_write(&p, "alive");
    pair_expect_read(&p, "alive");
    weir_writer_unref(seen.writer);
    expect_over(&p);

    serve(&p, read_and_fail, &options);
    expect_eq(seen.reports, 1);
    expect_eq(seen.err, -EPROTO);
    expect_str_eq(seen.task_name, "", "there was none");
    expect_eq(weir_writer_wait_closed(seen.writer), 0, "it was closed");
    weir_writer_unref(seen.writer);
    expect_over(&p);
}

static int go_on_for_ever(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    for (;;) {
        seen.calls += weir_reader_read(reader, &byte, 1) == -ECANCELED;
    }
    return 0;
}

static int leave_it_going_on(weir_loop *on, void *arg)
{
    serve(arg, go_on_for_ever, NULL);
    return 0;
}

UNIT(stream_handler,
     a_handler_that_ignores_the_end_of_its_loop_loses_its_stream)
{
    struct pair p;
    rig_start_counted();
    expect_eq(rig_main(leave_it_going_on, &p), 0);

    expect_eq(weir_loop_free(loop), 1);

    expect_eq(seen.reports, 1, "it was parked");
    expect_gt(seen.calls, 1000);
    cr_assert(fake_peer_is_alone(p.peer));
    allocator_check(&rig_memory);
    fake_peer_close(p.peer);
    fake_stop();
}
