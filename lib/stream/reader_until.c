/*
 * Readers: lines, and bytes up to a separator. The limits are asyncio's: the
 * bytes before the separator may be as many as the limit, and a search that
 * passes the limit fails. The caller's buffer limits a call in the same way. A
 * call that fails consumes nothing, and with WEIR_ELIMIT reports how far it has
 * searched.
 */
#include "reader.h"

#define SEPARATORS_MAX    16u
#define SEPARATOR_LEN_MAX 1024u

struct until {
    const struct weir_separator *separators;
    size_t count;
    size_t size;  /* SIZE_MAX for a view */
    bool is_line; /* the end of the stream also ends a line */
};

static const struct weir_separator reader_until_newline = {.data = "\n",
                                                           .len = 1};

static int reader_until_over(weir_reader *reader, size_t consumed)
{
    wr_assert(consumed <= reader->queue.total);
    reader->consumed = consumed;
    wr_reader_look_later(reader);
    return WEIR_ELIMIT;
}

/* Returns 0 to wait, or sets *ret_ended and returns the result. */
static ssize_t reader_until_not_found(weir_reader *reader,
                                      const struct until *until, size_t offset,
                                      bool *ret_ended)
{
    const size_t total = reader->queue.total;

    wr_assert(offset <= total);
    *ret_ended = true;
    if (offset > reader->limit_bytes) {
        return reader_until_over(reader, offset);
    }
    if (reader->exception) {
        return reader->exception;
    }
    if (reader->is_eof && !until->is_line) {
        reader->expected = 0;
        return WEIR_EINCOMPLETE;
    }
    if (reader->is_eof) {
        return total > until->size ? reader_until_over(reader, offset)
                                   : (ssize_t)total;
    }
    if (total >= until->size) {
        return reader_until_over(reader,
                                 /* The separator does not fit. */
                                 offset);
    }
    *ret_ended = false;
    return 0;
}

/* Returns the length with the separator, 0 at the end, or an error. */
static ssize_t reader_until_await_match(weir_reader *reader,
                                        const struct until *until)
{
    struct wr_search search = {0};
    size_t begin;
    bool ended;

    for (;;) {
        const size_t end = wr_recvq_find(&reader->queue, until->separators,
                                         until->count, &search, &begin);
        if (end > 0) {
            wr_assert(begin < end);
            return begin > reader->limit_bytes || end > until->size
                       ? reader_until_over(reader, begin)
                       : (ssize_t)end;
        }
        const ssize_t result =
            reader_until_not_found(reader, until, search.offset, &ended);
        if (ended) {
            return result;
        }
        int err = wr_reader_wait(reader, reader->queue.total + 1);
        if (err < 0) {
            return err;
        }
    }
}

static ssize_t reader_until_read_into(weir_reader *reader,
                                      const struct until *until, void *buf)
{
    const ssize_t len = reader_until_await_match(reader, until);
    wr_assert(len <= 0 || (size_t)len <= until->size);
    return len <= 0 ? len : wr_reader_copy_out(reader, buf, (size_t)len);
}

static ssize_t reader_until_read_view(weir_reader *reader,
                                      const struct until *until,
                                      struct weir_buf *ret)
{
    const ssize_t len = reader_until_await_match(reader, until);
    if (len <= 0) {
        return len;
    }
    wr_assert((size_t)len <= reader->queue.total);
    int err = wr_recvq_join(&reader->queue, (size_t)len);
    return err < 0 ? err : wr_reader_show(reader, (size_t)len, ret);
}

/* Opens a window for lines if no task waits and the iteration's end will handle
 * the unread bytes. A wait, a pause and the iteration's end close it. */
static bool reader_until_open_window(weir_reader *reader)
{
    struct wr_recvq *queue = &reader->queue;

    wr_assert(!wr_recvq_has_window(queue));
    if (!wr_list_is_linked(&reader->turn_end.link) || reader->is_paused ||
        wr_reader_is_busy(reader) || queue->total == 0 || queue->spent) {
        return false;
    }
    wr_recvq_open_window(queue);
    return true;
}

/* Returns the length of a line in the first segment, or 0 if there is none of
 * at most @max bytes. The task must have been charged for the call. */
static size_t reader_until_look_ahead(weir_reader *reader, size_t max)
{
    struct wr_recvq *queue = &reader->queue;

    wr_reader_debug_check(reader);
    if (queue->newlines == 0) {
        if (!wr_recvq_has_window(queue) && !reader_until_open_window(reader)) {
            return 0;
        }
        if (!wr_recvq_move_window(queue) && !wr_recvq_find_newline(queue)) {
            return 0;
        }
    }
    const size_t len = wr_recvq_line_len(queue);
    return len > reader->limit_bytes || len > max ? 0 : len;
}

/* Takes a line of at most @max bytes out of the first segment. @has_entered is
 * true if the task was charged for the call. Returns the length, 0 if the call
 * has started without such a line, or an error. */
static ssize_t reader_until_take_ahead(weir_reader *reader, size_t max,
                                       bool has_entered, struct weir_buf *ret)
{
    if (!has_entered) {
        int err = wr_reader_begin_slowly(reader);
        wr_require(err >= 0, err);
    }
    const size_t len = reader_until_look_ahead(reader, max);
    if (len > 0) {
        wr_recvq_take_line(&reader->queue, len, ret);
        return (ssize_t)len;
    }
    wr_require(!wr_reader_is_busy(reader), -EBUSY);
    wr_recvq_drop_shown(&reader->queue);
    return 0;
}

static __attribute__((noinline)) ssize_t
reader_until_readline_view_slowly(weir_reader *reader, struct weir_buf *ret,
                                  bool has_entered)
{
    const struct until until = {.separators = &reader_until_newline,
                                .count = 1,
                                .size = SIZE_MAX,
                                .is_line = true};
    const ssize_t len =
        reader_until_take_ahead(reader, SIZE_MAX, has_entered, ret);

    if (len == 0) {
        return reader_until_read_view(reader, &until, ret);
    }
    if (len > 0) {
        reader->queue.is_shown = true;
    }
    return len;
}

/* The fast path: the line's end was found already, or by one check of a window.
 * A call of a function would cost half as much again. */
ssize_t weir_reader_readline_view(weir_reader *reader, struct weir_buf *ret)
{
    struct wr_recvq *queue = &reader->queue;

    if (WR_UNLIKELY(!wr_task_try_enter(reader->loop))) {
        return reader_until_readline_view_slowly(reader, ret, false);
    }
    if (queue->newlines == 0 && WR_UNLIKELY(!wr_recvq_move_window(queue))) {
        return reader_until_readline_view_slowly(reader, ret, true);
    }
    const size_t len = wr_recvq_line_len(queue);
    if (WR_UNLIKELY(len > reader->limit_bytes)) {
        return reader_until_readline_view_slowly(reader, ret, true);
    }
    wr_recvq_take_line(queue, len, ret);
    queue->is_shown = true;
    return (ssize_t)len;
}

ssize_t weir_reader_readline(weir_reader *reader, void *buf, size_t size)
{
    const struct until until = {.separators = &reader_until_newline,
                                .count = 1,
                                .size = size,
                                .is_line = true};
    struct weir_buf line;
    const ssize_t len = reader_until_take_ahead(
        reader, size, wr_task_try_enter(reader->loop), &line);

    if (len == 0) {
        return reader_until_read_into(reader, &until, buf);
    }
    if (len > 0) {
        memcpy(buf, line.data, (size_t)len);
        reader->queue.is_shown = false;
        reader->loop->counts.copied_to_protocol += (size_t)len;
    }
    return len;
}

static int
reader_until_check_separators(const struct weir_separator *separators,
                              size_t count)
{
    wr_require(separators && count > 0 && count <= SEPARATORS_MAX, -EINVAL);
    for (size_t i = 0; i < count; i++) {
        wr_require(separators[i].data && separators[i].len > 0 &&
                       separators[i].len <= SEPARATOR_LEN_MAX,
                   -EINVAL);
    }
    return 0;
}

static int reader_until_begin(weir_reader *reader, const struct until *until)
{
    int err = wr_reader_begin(reader);
    return err < 0
               ? err
               : reader_until_check_separators(until->separators, until->count);
}

ssize_t weir_reader_readuntil(weir_reader *reader,
                              const struct weir_separator *separators,
                              size_t count, void *buf, size_t size)
{
    const struct until until = {
        .separators = separators, .count = count, .size = size};

    int err = reader_until_begin(reader, &until);
    return err < 0 ? err : reader_until_read_into(reader, &until, buf);
}

ssize_t weir_reader_readuntil_view(weir_reader *reader,
                                   const struct weir_separator *separators,
                                   size_t count, struct weir_buf *ret)
{
    const struct until until = {
        .separators = separators, .count = count, .size = SIZE_MAX};

    int err = reader_until_begin(reader, &until);
    return err < 0 ? err : reader_until_read_view(reader, &until, ret);
}
