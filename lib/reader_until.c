/*
 * Readers: lines, and what ends with a separator.
 *
 * The limits are asyncio's. The part before the separator may be as long as the
 * limit; without a separator, a search that has got beyond the limit fails. A
 * caller's buffer limits one call in the same way. A call that fails consumes
 * nothing and says how far it has looked.
 */
#include "reader.h"

#include <string.h>

#define SEPARATORS_MAX    16u
#define SEPARATOR_LEN_MAX 1024u

struct until {
    const struct weir_separator *separators;
    size_t count;
    size_t size;  /* of the caller's buffer; SIZE_MAX: a view */
    bool is_line; /* the end of the stream ends one too */
};

static const struct weir_separator newline = {.data = "\n", .len = 1};

/* What came for this call stays, and who knows for how long. */
static int over(weir_reader *reader, size_t consumed)
{
    reader->consumed = consumed;
    wr_reader_keep(reader);
    return WEIR_ELIMIT;
}

/* There is no separator: shall it go on looking? 0, or the result. */
static ssize_t not_found(weir_reader *reader, const struct until *until,
                         size_t offset, bool *ret_ended)
{
    const size_t total = reader->queue.total;

    *ret_ended = true;
    if (offset > reader->limit_bytes) {
        return over(reader, offset);
    }
    if (reader->exception) {
        return reader->exception;
    }
    if (reader->is_eof && !until->is_line) {
        reader->expected = 0;
        return WEIR_EINCOMPLETE;
    }
    if (reader->is_eof) {
        return total > until->size ? over(reader, offset) : (ssize_t)total;
    }
    if (total >= until->size) {
        return over(reader, offset); /* the separator would not fit */
    }
    *ret_ended = false;
    return 0;
}

/* Waits for the separator: the length with it, 0 at the end of the stream, or
 * an error. */
static ssize_t await_match(weir_reader *reader, const struct until *until)
{
    struct wr_search search = {0};
    size_t begin;
    bool ended;

    for (;;) {
        const size_t end = wr_recvq_find(&reader->queue, until->separators,
                                         until->count, &search, &begin);
        if (end > 0) {
            return begin > reader->limit_bytes || end > until->size
                       ? over(reader, begin)
                       : (ssize_t)end;
        }
        const ssize_t result = not_found(reader, until, search.offset, &ended);
        if (ended) {
            return result;
        }
        int err = wr_reader_wait(reader, reader->queue.total + 1);
        if (err < 0) {
            return err;
        }
    }
}

static ssize_t read_into(weir_reader *reader, const struct until *until,
                         void *buf)
{
    const ssize_t len = await_match(reader, until);
    return len <= 0 ? len : wr_reader_copy_out(reader, buf, (size_t)len);
}

static ssize_t read_view(weir_reader *reader, const struct until *until,
                         struct weir_buf *ret)
{
    const ssize_t len = await_match(reader, until);
    if (len <= 0) {
        return len;
    }
    int err = wr_recvq_join(&reader->queue, (size_t)len);
    return err < 0 ? err : wr_reader_show(reader, (size_t)len, ret);
}

/* ---- lines ---- */

ssize_t weir_reader_readline(weir_reader *reader, void *buf, size_t size)
{
    const struct until until = {
        .separators = &newline, .count = 1, .size = size, .is_line = true};

    int err = wr_reader_begin(reader);
    return err < 0 ? err : read_into(reader, &until, buf);
}

/* The call from where it need not go slowly, or from its begin. */
static __attribute__((noinline)) ssize_t
readline_view_slowly(weir_reader *reader, struct weir_buf *ret, bool entered)
{
    const struct until until = {
        .separators = &newline, .count = 1, .size = SIZE_MAX, .is_line = true};

    if (!entered) {
        int err = wr_reader_begin_slowly(reader);
        if (err < 0) {
            return err;
        }
    }
    wr_require(!wr_reader_is_busy(reader), -EBUSY);
    wr_recvq_drop_shown(&reader->queue);
    return read_view(reader, &until, ret);
}

/* Most lines are neither the first nor the last that came together. */
ssize_t weir_reader_readline_view(weir_reader *reader, struct weir_buf *ret)
{
    struct wr_recvq *q = &reader->queue;

    if (WR_UNLIKELY(!wr_task_try_enter(reader->loop))) {
        return readline_view_slowly(reader, ret, false);
    }
    if (WR_UNLIKELY(q->total == 0 || q->spent || reader->is_paused ||
                    !wr_list_is_linked(&reader->keeper.link) ||
                    wr_reader_is_busy(reader))) {
        return readline_view_slowly(reader, ret, true);
    }
    struct wr_recvq_segment *head = q->head;
    const uint8_t *end = memchr(head->data, '\n', head->len);
    const size_t len = end ? (size_t)(end - head->data) + 1 : SIZE_MAX;
    if (WR_UNLIKELY(len > reader->limit_bytes || len >= head->len)) {
        return readline_view_slowly(reader, ret, true);
    }
    ret->data = head->data;
    ret->len = len;
    ret->lease = head->lease;
    head->data = end + 1;
    head->len -= (uint32_t)len;
    q->total -= len;
    q->is_shown = true;
    return (ssize_t)len;
}

/* ---- any separators ---- */

static int check_separators(const struct weir_separator *separators,
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

static int begin_until(weir_reader *reader, const struct until *until)
{
    int err = wr_reader_begin(reader);
    return err < 0 ? err : check_separators(until->separators, until->count);
}

ssize_t weir_reader_readuntil(weir_reader *reader,
                              const struct weir_separator *separators,
                              size_t count, void *buf, size_t size)
{
    const struct until until = {
        .separators = separators, .count = count, .size = size};

    int err = begin_until(reader, &until);
    return err < 0 ? err : read_into(reader, &until, buf);
}

ssize_t weir_reader_readuntil_view(weir_reader *reader,
                                   const struct weir_separator *separators,
                                   size_t count, struct weir_buf *ret)
{
    const struct until until = {
        .separators = separators, .count = count, .size = SIZE_MAX};

    int err = begin_until(reader, &until);
    return err < 0 ? err : read_view(reader, &until, ret);
}
