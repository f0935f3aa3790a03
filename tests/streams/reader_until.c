/*
 * Readers: lines, separators, and the limits on both.
 *
 * Each test is one of asyncio's rules; reader_model.c compares all of them at
 * random.
 */
#define UNIT_RUN(body) with_reader(10, body)
#include "tests/streams/reader_rig.h"

static struct reader_call call;

static void separate_by(const char *first, const char *second)
{
    separators[0] = (struct weir_separator){first, strlen(first)};
    separator_count = 1;
    if (second) {
        separators[1] = (struct weir_separator){second, strlen(second)};
        separator_count = 2;
    }
}

UNIT(reader_until, readline_gives_lines_the_partial_one_at_the_end_and_then_0)
{
    feed("one\n\ntwo\nthr");
    expect(LINE, 100, "one\n");
    expect(LINE_VIEW, 0, "\n");
    expect(LINE_VIEW, 0, "two\n");
    read_start(&call, LINE_VIEW, 0);
    feed_now("ee");
    cr_assert_not(call.is_done);
    feed("\nfour");
    expect_eq(read_end(&call), 6);
    cr_assert_arr_eq(call.buf, "three\n", 6);
    weir_reader_feed_eof(reader);

    expect(LINE_VIEW, 0, "four");
    expect(LINE_VIEW, 0, "");
    expect(LINE, 10, "");
}

UNIT_OF(reader_until, lines_are_iterated_over_until_there_are_none, with_reader,
        40, void)
{
    struct weir_buf line;
    int count = 0;
    for (int i = 0; i < 500; i++) {
        feed("0123456789012345678901234567890123456\n");
    }
    weir_reader_feed_eof(reader);
    while (weir_reader_readline_view(reader, &line) > 0) {
        expect_eq(line.len, 38);
        cr_assert_arr_eq(line.data, "0123456789012345678901234567890123456\n",
                         38);
        count++;
    }
    expect_eq(count, 500);
}

UNIT(reader_until,
     complaint_22__too_long_a_line_is_not_lost_and_reading_goes_on)
{
    feed("0123456789\n");
    expect(LINE, 100, "0123456789\n"); /* a line as long as the limit */

    feed("0123456789x\nnext\n");
    expect_error(LINE, 100, WEIR_ELIMIT);
    expect_eq(weir_reader_get_consumed(reader), 11); /* the newline's offset */
    expect_error(LINE_VIEW, 0, WEIR_ELIMIT);
    expect_buffered("0123456789x\nnext\n");
    expect_ok(
        weir_reader_consume(reader, weir_reader_get_consumed(reader) + 1));
    expect(LINE_VIEW, 0, "next\n");

    feed("0123456789");
    read_start(&call, LINE_VIEW, 0);
    cr_assert_not(call.is_done);
    feed("x");
    expect_eq(read_end(&call), WEIR_ELIMIT);
    expect_eq(weir_reader_get_consumed(reader), 11);
    expect_buffered("0123456789x");
    weir_reader_feed_eof(reader);
    expect_error(LINE_VIEW, 0, WEIR_ELIMIT); /* also at the end of the stream */
    expect(READ, 100, "0123456789x");
}

UNIT_OF(reader_until, complaint_22__the_callers_memory_limits_one_call,
        with_reader, 100, void)
{
    feed("abc\n");
    expect_error(LINE, 3, WEIR_ELIMIT);
    expect_eq(weir_reader_get_consumed(reader), 3);
    expect(LINE, 4, "abc\n");

    feed("abc");
    expect_error(LINE, 3, WEIR_ELIMIT); /* no newline would fit */
    expect_eq(weir_reader_get_consumed(reader), 3);
    read_start(&call, LINE, 4);
    cr_assert_not(call.is_done); /* a newline would fit */
    feed("d");
    expect_eq(read_end(&call), WEIR_ELIMIT);
    expect_buffered("abcd");

    weir_reader_feed_eof(reader);
    expect_error(LINE, 3, WEIR_ELIMIT);
    expect(LINE, 4, "abcd");
    expect_error(LINE, 0, 0);
}

UNIT(reader_until, a_separator_is_found_where_it_straddles_what_came)
{
    separate_by("\r\n", NULL);
    feed("GET /\r\nHost\r");
    expect(UNTIL_VIEW, 0, "GET /\r\n");
    read_start(&call, UNTIL, 100);
    cr_assert_not(call.is_done);
    feed("\nrest");
    expect_eq(read_end(&call), 6);
    cr_assert_arr_eq(call.buf, "Host\r\n", 6);
    expect_buffered("rest");
}

UNIT(reader_until, of_several_the_one_that_ends_first_wins_then_the_shortest)
{
    separate_by("long", "n");
    feed("along");
    expect(UNTIL, 100, "alon"); /* the separator whose match ends first */
    expect(READ, 10, "g");

    separate_by("xyz", "yz");
    feed("axyzb");
    feed("xyz");
    expect_error(UNTIL, 3, WEIR_ELIMIT);
    expect_eq(weir_reader_get_consumed(reader),
              2); /* offset of the shorter separator */
    expect(UNTIL_VIEW, 0, "axyz");

    separate_by("yz", "xyz"); /* in any order of the list */
    expect_error(UNTIL, 3, WEIR_ELIMIT);
    expect_eq(weir_reader_get_consumed(reader), 2);
    expect(UNTIL_VIEW, 0, "bxyz");
}

UNIT(reader_until, consumed_is_what_asyncio_says_in_both_cases)
{
    separate_by("END", NULL);
    feed("0123456789END"); /* the separator begins at the limit */
    expect(UNTIL, 100, "0123456789END");

    feed("0123456789xEND");
    expect_error(UNTIL, 100, WEIR_ELIMIT);
    expect_eq(weir_reader_get_consumed(reader), 11);
    expect_eq(weir_reader_consume(reader, 14), 0);

    feed("0123456789xE"); /* a separator may still begin at 10 */
    read_start(&call, UNTIL, 100);
    cr_assert_not(call.is_done);
    feed("x");
    expect_eq(read_end(&call), WEIR_ELIMIT);
    expect_eq(weir_reader_get_consumed(reader), 11); /* 13 + 1 - 3 */
    expect_buffered("0123456789xEx");
    expect_eq(weir_reader_consume(reader, 11), 0);
    feed("END");
    expect(UNTIL, 100, "ExEND");
}

UNIT(reader_until, separators_that_are_none_are_invalid)
{
    static const char bytes[1025];
    feed("abc\n");
    separator_count = 0;
    expect_error(UNTIL, 100, -EINVAL);
    separator_count = 17;
    expect_error(UNTIL, 100, -EINVAL);
    separator_count = 2;
    separators[1] = (struct weir_separator){"", 0};
    expect_error(UNTIL_VIEW, 100, -EINVAL);
    separators[1] = (struct weir_separator){bytes, 1025};
    expect_error(UNTIL_VIEW, 100, -EINVAL);
    separators[1] = (struct weir_separator){NULL, 1};
    expect_error(UNTIL_VIEW, 100, -EINVAL);
    separators[1] = (struct weir_separator){bytes, 1024};
    expect(UNTIL_VIEW, 100, "abc\n");
}

UNIT(reader_until, complaint_21__lines_before_the_error_are_given)
{
    feed("abc\ndef");
    weir_reader_set_exception(reader, -ECONNRESET);
    expect(LINE_VIEW, 0, "abc\n");
    expect_error(LINE_VIEW, 0, -ECONNRESET);
    expect_error(UNTIL, 100, -ECONNRESET);
    expect_buffered("def");
}

UNIT_OF(reader_until, bytes_are_looked_at_once_however_often_the_call_waits,
        with_reader, 1 << 30, void)
{
    static const char piece[1000] = {'x'};
    struct weir_buf line;
    separate_by("never", NULL);
    read_start(&call, UNTIL_VIEW, 0);
    /* Searching all bytes again after each piece would read 450 GB. */
    for (int i = 0; i < 30000; i++) {
        expect_eq(weir_reader_feed_data(reader, piece, sizeof(piece)), 0);
        expect_eq(weir_yield(loop), 0);
    }
    cr_assert_not(call.is_done);
    cr_assert(weir_task_cancel(call.task));
    expect_eq(read_end(&call), -ECANCELED);
    feed("never");
    expect_eq(weir_reader_readuntil_view(reader, separators, 1, &line),
              30000005);
}
