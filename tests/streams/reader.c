/*
 * Readers to which the test adds bytes: what each call returns, what it leaves,
 * and what is true for all calls. Limits and separators are in reader_until.c,
 * transports in reader_pressure.c.
 */
#define UNIT_RUN(body) with_reader(10, body)
#include "tests/streams/reader_rig.h"

static struct reader_call call;

UNIT(reader, read_gives_what_there_is_and_nothing_for_nothing_at_once)
{
    feed("abcdef");

    expect(READ, 4, "abcd");
    expect(READ, 100, "ef");
    feed("gh");
    expect(READ_VIEW, 1, "g");
    expect(READ_VIEW, 100, "h");
    feed("ij");
    expect(TAKE, 1, "i");
    expect(TAKE, 100, "j");
    expect(READ, 0, "");
    expect(READ_VIEW, 0, "");
    expect(TAKE, 0, "");
    expect(EXACTLY, 0, "");
    expect(EXACTLY_VIEW, 0, "");
}

UNIT(reader, every_call_waits_for_what_it_needs)
{
    for (int how = 0; how < HOW_COUNT; how++) {
        if (how == TO_END) {
            continue;
        }
        read_start(&call, (enum how)how, 4);
        cr_assert_not(call.is_done);

        feed("abc");
        feed_now("\n");

        cr_assert(call.is_done, "call %d", how);
        const bool some = how == READ || how == READ_VIEW || how == TAKE;
        cr_assert(read_end(&call) == 4 || (some && call.result == 3));
        cr_assert(how == FILL ||
                  memcmp(call.buf, "abc\n", (size_t)call.result) == 0);
        expect_ok(
            weir_reader_consume(reader, weir_reader_get_buffer_size(reader)));
    }
}

UNIT(reader, readexactly_takes_no_less_and_no_more)
{
    read_start(&call, EXACTLY, 6);
    feed_now("ab");
    feed_now("cd");
    cr_assert_not(call.is_done);

    feed("efgh");

    expect_eq(read_end(&call), 6);
    cr_assert_arr_eq(call.buf, "abcdef", 6);
    expect_buffered("gh");
}

UNIT(reader, fill_waits_without_consuming)
{
    read_start(&call, FILL, 5);
    feed_now("abc");
    cr_assert_not(call.is_done);
    feed("defg");

    expect_eq(read_end(&call), 7);

    expect_buffered("abcdefg");
    expect_eq(weir_reader_fill(reader, 0), 7);
    weir_reader_feed_eof(reader);
    expect_error(FILL, 8, WEIR_EINCOMPLETE);
    expect_eq(weir_reader_get_expected(reader), 8);
}

UNIT_OF(reader, read_to_end_gives_all_of_it_in_one_piece, with_reader, 4, void)
{
    struct weir_buf buf;
    read_start(&call, TO_END, 10);
    feed_now("abc");
    feed_now("defg");
    cr_assert_not(call.is_done);
    weir_reader_feed_eof(reader);

    expect_eq(read_end(&call), 7);
    cr_assert_arr_eq(call.buf, "abcdefg", 7);
    buf.lease = (weir_lease *)(uintptr_t)1;
    expect_eq(weir_reader_read_to_end(reader, 10, &buf), 0);
    cr_assert_null(buf.lease);
}

UNIT_OF(reader, read_to_end_fails_as_soon_as_there_is_too_much, with_reader,
        100, void)
{
    read_start(&call, TO_END, 5);
    feed_now("abcde");
    cr_assert_not(call.is_done);

    feed("f"); /* before the end of the stream */

    expect_eq(read_end(&call), WEIR_ELIMIT);
    expect_buffered("abcdef");
    weir_reader_feed_eof(reader);
    expect_error(TO_END, 5, WEIR_ELIMIT);
    expect(TO_END, 6, "abcdef");
}

UNIT(reader, complaint_29__the_end_is_told_again_and_again_and_stays)
{
    read_start(&call, READ, 5);
    cr_assert_not(weir_reader_at_eof(reader));

    weir_reader_feed_eof(reader);
    weir_reader_feed_eof(reader);

    expect_eq(read_end(&call), 0);
    cr_assert(weir_reader_at_eof(reader));
    for (int i = 0; i < 3; i++) {
        expect_error(READ, 5, 0);
        expect_error(READ_VIEW, 5, 0);
        expect_error(TAKE, 5, 0);
        expect_error(LINE, 5, 0);
        expect_error(LINE_VIEW, 5, 0);
        expect_error(TO_END, 5, 0);
    }
    expect_eq(weir_reader_feed_data(reader, "a", 1), -ESHUTDOWN);
}

UNIT(reader, at_eof_is_when_nothing_is_left_to_read)
{
    feed("abc");
    weir_reader_feed_eof(reader);

    cr_assert_not(weir_reader_at_eof(reader));
    expect(READ, 10, "abc");

    cr_assert(weir_reader_at_eof(reader));
}

UNIT(reader, complaint_21__buffered_bytes_come_before_the_error_that_stays)
{
    feed("abc");
    weir_reader_set_exception(reader, -ECONNRESET);
    weir_reader_set_exception(reader, -EPIPE);
    expect_eq(weir_reader_get_exception(reader), -ECONNRESET);
    expect_eq(weir_reader_feed_data(reader, "d", 1), -ESHUTDOWN);

    expect_error(EXACTLY, 4, -ECONNRESET);
    expect_error(LINE, 100, -ECONNRESET);
    expect_error(UNTIL_VIEW, 0, -ECONNRESET);
    expect_error(TO_END, 100, -ECONNRESET);
    expect_buffered("abc");
    expect(EXACTLY, 2, "ab");
    expect(READ, 10, "c");

    for (int how = 0; how < HOW_COUNT; how++) {
        expect_error((enum how)how, 5, -ECONNRESET);
    }
    cr_assert_not(weir_reader_at_eof(reader));
}

UNIT(reader, an_error_wakes_who_waits)
{
    for (int how = 0; how < HOW_COUNT; how++) {
        weir_reader *first = reader;
        expect_eq(weir_reader_new(loop, 10, &reader), 0);
        read_start(&call, (enum how)how, 5);
        weir_reader_set_exception(reader,
                                  1); /* positive numbers are no errors */
        turn_over();
        cr_assert_not(call.is_done);

        weir_reader_set_exception(reader, -ETIMEDOUT);

        expect_eq(read_end(&call), -ETIMEDOUT);
        weir_reader_free(reader);
        reader = first;
    }
}

UNIT(reader, complaint_23__an_incomplete_read_leaves_what_there_is_readable)
{
    feed("abc");
    read_start(&call, EXACTLY, 5);
    weir_reader_feed_eof(reader);

    expect_eq(read_end(&call), WEIR_EINCOMPLETE);

    expect_eq(weir_reader_get_expected(reader), 5);
    expect_buffered("abc");
    expect_error(EXACTLY_VIEW, 4, WEIR_EINCOMPLETE);
    expect_eq(weir_reader_get_expected(reader), 4);
    expect_error(UNTIL, 100, WEIR_EINCOMPLETE);
    expect_eq(weir_reader_get_expected(reader), 0);
    expect_error(UNTIL_VIEW, 100, WEIR_EINCOMPLETE);
    expect_buffered("abc");
    expect(EXACTLY, 3, "abc");
}

UNIT(reader, an_empty_feed_is_ignored)
{
    read_start(&call, READ, 5);
    expect_eq(weir_reader_feed_data(reader, NULL, 0), 0);
    expect_ok(weir_reader_feed_buf(reader, &(struct weir_buf){.data = NULL}));
    turn_over();
    cr_assert_not(call.is_done);
    feed("a");
    expect_eq(read_end(&call), 1);
}

UNIT_OF(reader, a_view_stays_while_bytes_come_and_its_task_waits_elsewhere,
        with_reader, 100000, void)
{
    struct weir_buf view;
    feed_now("abcdef");
    expect_eq(weir_reader_read_view(reader, 3, &view), 3);
    expect_eq(weir_reader_get_buffer_size(reader), 3);

    for (int i = 0; i < 300; i++) {
        feed("0123456789");
        expect_eq(weir_yield(loop), 0);
    }

    cr_assert_arr_eq(view.data, "abc", 3);
    expect(EXACTLY, 7, "def0123");
}

UNIT(reader, peek_looks_without_consuming_and_consume_does_not_look)
{
    struct weir_buf buf;
    feed("abc");
    feed("def");
    expect(READ_VIEW, 2, "ab");

    expect_eq(weir_reader_peek(reader, 1, &buf), 3);
    cr_assert_arr_eq(buf.data, "def", 3);
    expect_eq(weir_reader_peek(reader, 4, &buf), 0);

    expect_eq(weir_reader_consume(reader, 5), -EINVAL);
    expect_eq(weir_reader_consume(reader, 1), 0);
    expect_buffered("def");
}

static void calls_in_callback(void *arg)
{
    struct weir_buf buf;
    for (int how = 0; how < HOW_COUNT; how++) {
        expect_error((enum how)how, 1, WEIR_ENOTTASK);
    }
    expect_eq(weir_reader_peek(reader, 0, &buf), 2);
    expect_eq(weir_reader_consume(reader, 1), 0);
}

UNIT(reader, reading_calls_are_for_tasks_and_the_others_for_callbacks_too)
{
    feed("ab");
    expect_eq(weir_loop_call_soon(loop, calls_in_callback, NULL, NULL), 0);
    turn_over();
    expect_buffered("b");
}

static int other_ran;

static int notes_that_it_ran(weir_loop *on, void *arg)
{
    other_ran = 1;
    return 0;
}

UNIT(reader, a_task_that_always_finds_bytes_lets_others_run)
{
    static const char bytes[3000];
    other_ran = 0;
    weir_task *task = rig_spawn(notes_that_it_ran, NULL);
    expect_eq(weir_reader_feed_data(reader, bytes, sizeof(bytes)), 0);
    for (int i = 0; i < 2100; i++) {
        char byte;
        expect_eq(weir_reader_read(reader, &byte, 1), 1);
    }
    cr_assert(other_ran);
    expect_eq(rig_join(task), 0);
}

UNIT(reader, a_limit_must_be_above_nothing)
{
    weir_reader *made = NULL;
    expect_eq(weir_reader_new(loop, 0, &made), -EINVAL);
    expect_eq(weir_reader_new(loop, UINT64_MAX, &made), -EINVAL);
    cr_assert_null(made);
    expect_eq(weir_reader_new(loop, INT64_MAX, &made), 0);
    weir_reader_free(made);
}

static int is_cancelled_by_the_end(weir_loop *on, void *arg)
{
    weir_reader *made = NULL;
    char byte;
    ssize_t *result = (ssize_t *)arg;
    *result = weir_reader_read(reader, &byte, 1);
    expect_eq(weir_reader_new(on, 10, &made), -ESHUTDOWN);
    return 0;
}

UNIT_IN(reader,
        the_end_of_the_loop_cancels_who_reads_and_the_reader_may_go_later,
        unit_alone, void)
{
    ssize_t result = 1;
    rig_start();
    expect_eq(weir_reader_new(loop, 10, &reader), 0);
    expect_ok(
        weir_task_spawn(loop, is_cancelled_by_the_end, &result, NULL, NULL));
    feed("");

    expect_geq(weir_loop_free(loop), 0);

    expect_eq(result, -ECANCELED);
    weir_reader_free(reader);
    fake_stop();
}

static int takes_and_keeps(weir_loop *on, void *arg)
{
    struct weir_buf *bufs = (struct weir_buf *)arg;
    feed_now("abcdef");
    expect_eq(weir_reader_take(reader, 2, &bufs[0]), 2);
    expect_eq(weir_reader_take(reader, 10, &bufs[1]), 4);
    return 0;
}

UNIT_IN(reader, a_taken_lease_outlives_the_reader_and_the_loop, unit_alone,
        void)
{
    struct weir_buf bufs[2];
    rig_start();
    expect_eq(weir_reader_new(loop, 10, &reader), 0);
    expect_eq(rig_main(takes_and_keeps, bufs), 0);

    weir_reader_free(reader);
    expect_geq(weir_loop_free(loop), 0);

    cr_assert_arr_eq(bufs[0].data, "ab", 2);
    weir_buf_unref(bufs[0].lease);
    cr_assert_arr_eq(bufs[1].data, "cdef", 4);
    weir_buf_unref(bufs[1].lease);
    fake_stop(); /* fails if the loop has not released everything */
}
