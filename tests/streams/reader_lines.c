/*
 * Readers of many lines, which are searched for in advance.
 *
 * Lines found in advance must be forgotten after a call of another kind, and if
 * bytes or their segment are moved. So random lines of all lengths are read
 * between other calls, and compared with the added bytes.
 */
#include "tests/streams/reader_rig.h"
#include "tests/unit/random.h"

enum { TEXT_SIZE = 200000, PIECE_MAX = 5000, LONGEST = 300, ROUNDS = 30 };

static struct unit_random numbers;
static uint8_t text[TEXT_SIZE];
static size_t fed;
static size_t taken;

static size_t below(size_t bound)
{
    return (size_t)unit_random_below(&numbers, bound);
}

/* Short lines more often than long ones, and newlines next to each other. */
static void make_text(void)
{
    size_t at = 0;
    memset(text, 'x', sizeof(text));
    for (;;) {
        at += below(1 + below(LONGEST));
        if (at >= TEXT_SIZE - 1) {
            break;
        }
        text[at++] = '\n';
    }
    text[TEXT_SIZE - 1] = '\n';
}

static void feed_piece(void)
{
    const size_t left = TEXT_SIZE - fed;
    const size_t piece = 1 + below(PIECE_MAX);
    const size_t len = piece < left ? piece : left;
    if (len > 0) {
        expect_eq(weir_reader_feed_data(reader, text + fed, len), 0);
        fed += len;
    }
}

/* The length of the next line if all of it was fed, or 0. */
static size_t next_line(void)
{
    const uint8_t *end = memchr(text + taken, '\n', fed - taken);
    return end ? (size_t)(end - text) + 1 - taken : 0;
}

static void expect_next(const void *data, ssize_t len)
{
    expect_gt(len, 0);
    cr_assert_arr_eq(data, text + taken, (size_t)len);
    taken += (size_t)len;
}

/* Reads a line by one of the two calls. A call into memory may be refused
 * first. */
static void read_line(size_t len)
{
    uint8_t buf[LONGEST + 1];
    struct weir_buf line;
    if (below(2) == 0) {
        expect_eq(weir_reader_readline_view(reader, &line), (ssize_t)len);
        expect_next(line.data, (ssize_t)len);
        return;
    }
    if (below(8) == 0) {
        expect_eq(weir_reader_readline(reader, buf, len - 1), WEIR_ELIMIT);
    }
    const size_t size = len + below(sizeof(buf) + 1 - len);
    expect_eq(weir_reader_readline(reader, buf, size), (ssize_t)len);
    expect_next(buf, (ssize_t)len);
}

static void read_lines(void)
{
    for (size_t count = below(40); count > 0 && next_line() > 0; count--) {
        read_line(next_line());
    }
}

static void read_some(void)
{
    uint8_t buf[LONGEST];
    struct weir_buf view;
    if (taken == fed) {
        return;
    }
    switch (below(4)) {
    case 0:
        expect_next(buf, weir_reader_read(reader, buf, 1 + below(LONGEST)));
        return;
    case 1: {
        const ssize_t len =
            weir_reader_read_view(reader, 1 + below(LONGEST), &view);
        expect_next(view.data, len);
        return;
    }
    case 2:
        expect_gt(weir_reader_peek(reader, 0, &view), 0);
        cr_assert_arr_eq(view.data, text + taken, view.len);
        return;
    default:
        expect_eq(weir_reader_consume(reader, 1), 0);
        taken++;
    }
}

static void play(void)
{
    void (*const acts[])(void) = {read_lines, read_lines, read_lines,
                                  read_some,  feed_piece, turn_over};
    while (taken < TEXT_SIZE) {
        acts[below(sizeof(acts) / sizeof(acts[0]))]();
        if (next_line() == 0 && fed < TEXT_SIZE) {
            feed_piece();
        }
    }
}

UNIT_OF(reader_lines, of_any_length_are_found_whatever_is_read_between,
        with_reader, 65536, void)
{
    unit_random_seed(&numbers);
    for (int i = 0; i < ROUNDS; i++) {
        fed = taken = 0;
        make_text();
        play();
    }
}

/* A task whose lines are buffered still finds its cancellation. */
UNIT_OF(reader_lines, a_cancellation_between_two_is_told_by_the_next,
        with_reader, 65536, void)
{
    struct weir_buf line;
    char buf[8];
    weir_task *task = weir_task_get_current(loop);
    expect_eq(weir_reader_feed_data(reader, "a\nb\nc\nd\nrest", 12), 0);

    expect_eq(weir_reader_readline_view(reader, &line), 2);
    expect_eq(weir_reader_readline_view(reader, &line), 2);
    expect_eq(weir_task_cancel(task), true);
    expect_eq(weir_reader_readline_view(reader, &line), -ECANCELED);
    expect_eq(weir_reader_readline(reader, buf, sizeof(buf)), 2);
    expect_eq(memcmp(buf, "c\n", 2), 0);
    expect_eq(weir_task_cancel(task), true);
    expect_eq(weir_reader_readline(reader, buf, sizeof(buf)), -ECANCELED);
    expect_eq(weir_reader_readline_view(reader, &line), 2);
    expect_eq(memcmp(line.data, "d\n", 2), 0);
}
