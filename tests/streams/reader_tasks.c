/*
 * Readers and the tasks that read.
 *
 * One task at a time reads. It may be cancelled, time out, or be inside a
 * reader that is freed. reader.c tests the results of calls.
 */
#define UNIT_RUN(body) with_reader(10, body)
#include "tests/streams/reader_rig.h"

static struct reader_call call;
static struct reader_call other;

UNIT(reader_tasks, a_second_reader_is_busy)
{
    read_start(&call, EXACTLY, 4);
    feed("abc");

    for (int how = 0; how < HOW_COUNT; how++) {
        expect_error((enum how)how, 1, -EBUSY);
    }
    expect_eq(weir_reader_consume(reader, 1), -EBUSY);
    feed("d"); /* wakes the task, which has not run yet */
    expect_error(READ, 1, -EBUSY);

    expect_eq(read_end(&call), 4);
    feed("e");
    expect(READ, 1, "e");
}

UNIT(reader_tasks, complaint_25__one_may_read_right_after_another_was_cancelled)
{
    read_start(&call, EXACTLY, 4);
    feed("abc");
    cr_assert(weir_task_cancel(call.task));

    expect(READ, 10, "abc"); /* returns at once, before that task runs */
    read_start(&other, READ, 3);

    expect_eq(read_end(&call), -ECANCELED);
    cr_assert_not(other.is_done, "only the first reader was ended");
    feed("d");
    expect_eq(read_end(&other), 1);
}

UNIT(reader_tasks, complaint_26__a_cancelled_read_consumes_nothing)
{
    for (int how = 0; how < HOW_COUNT; how++) {
        const bool some = how == READ || how == READ_VIEW || how == TAKE;
        const char *there = some ? "" : "ab";
        if (!some) {
            feed("ab");
        }
        read_start(&call, (enum how)how, 4);
        cr_assert_not(call.is_done);
        cr_assert(weir_task_cancel(call.task));
        expect_eq(read_end(&call), -ECANCELED);

        expect_buffered(there);
        expect_eq(weir_reader_consume(reader, strlen(there)), 0);
    }
}

UNIT(reader_tasks, complaint_26__what_was_there_before_the_cancel_is_not_lost)
{
    read_start(&call, READ, 4);
    feed("ab");
    cr_assert(weir_task_cancel(call.task));

    expect_eq(read_end(&call), 2);

    expect_buffered("");
    read_start(&call, READ, 4);
    cr_assert(weir_task_cancel(call.task));
    feed("cd");
    expect_eq(read_end(&call), -ECANCELED);
    expect_buffered("cd");
}

UNIT(reader_tasks, complaint_26__a_read_that_times_out_consumes_nothing)
{
    struct weir_timeout limit;
    char buf[8];
    feed("ab");
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    const ssize_t result = weir_reader_readexactly(reader, buf, 4);
    expect_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);
    feed("cd");
    expect(EXACTLY, 4, "abcd");
}

/* Frees the reader while the task waits, or after it was woken and before it
 * runs. */
static void free_under_a_task(enum how how, bool woken)
{
    weir_reader *first = reader;
    expect_eq(weir_reader_new(loop, 10, &reader), 0);
    read_start(&call, how, 4);
    if (woken) {
        feed("abc\n");
        weir_reader_feed_eof(reader);
    }

    weir_reader_free(reader);

    expect_eq(read_end(&call), -ECANCELED);
    reader = first;
}

UNIT(reader_tasks, a_task_in_a_reader_that_is_freed_is_cancelled)
{
    for (int how = 0; how < HOW_COUNT; how++) {
        free_under_a_task((enum how)how, false);
        free_under_a_task((enum how)how, true);
    }
    weir_reader_free(NULL);
}

static weir_reader *gone;

static ssize_t read_byte(void)
{
    struct weir_buf view;
    return weir_reader_read_view(gone, 1, &view);
}

static ssize_t read_line(void)
{
    char byte;
    return weir_reader_readline(gone, &byte, 1);
}

static ssize_t read_line_view(void)
{
    struct weir_buf view;
    return weir_reader_readline_view(gone, &view);
}

typedef ssize_t read_fn(void);

static int reads_for_ever(weir_loop *on, void *arg)
{
    read_fn *const *reads = arg;
    for (;;) {
        /* Never waits, but sometimes lets other tasks run. */
        const ssize_t len = (*reads)();
        if (len < 0) {
            return (int)len;
        }
    }
}

UNIT(reader_tasks, a_task_that_lets_others_run_sees_the_end_of_its_reader)
{
    static read_fn *const calls[] = {read_byte, read_line, read_line_view};
    char bytes[4096];
    memset(bytes, '\n', sizeof(bytes));
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        expect_eq(weir_reader_new(loop, 10, &gone), 0);
        expect_eq(weir_reader_feed_data(gone, bytes, sizeof(bytes)), 0);
        weir_task *task =
            rig_spawn(reads_for_ever, (void *)(uintptr_t)&calls[i]);
        expect_eq(weir_yield(loop), 0);
        const size_t left = weir_reader_get_buffer_size(gone);
        expect_lt(left, sizeof(bytes));
        expect_gt(left, 0);

        weir_reader_free(gone);

        expect_eq(rig_join(task), -ECANCELED);
    }
}
