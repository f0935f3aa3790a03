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

static int over(weir_reader *reader, size_t consumed)
{
    reader->consumed = consumed;
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

static __attribute__((noinline)) ssize_t
readline_view_slowly(weir_reader *reader, struct weir_buf *ret)
{
    const struct until until = {
        .separators = &newline, .count = 1, .size = SIZE_MAX, .is_line = true};

    return read_view(reader, &until, ret);
}

ssize_t weir_reader_readline_view(weir_reader *reader, struct weir_buf *ret)
{
    int err = wr_reader_begin(reader);
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    if (WR_LIKELY(reader->queue.total > 0)) {
        const struct wr_recvq_segment *first = reader->queue.head;
        const uint8_t *end = memchr(first->data, '\n', first->len);
        const size_t before = (size_t)(end - first->data);
        if (WR_LIKELY(end && before <= reader->limit_bytes)) {
            return wr_reader_show(reader, before + 1, ret);
        }
    }
    return readline_view_slowly(reader, ret);
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
