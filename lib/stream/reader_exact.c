/*
 * Readers: reading an exact number of bytes. A short read waits until all its
 * bytes are buffered. A long read moves bytes into the caller's memory as they
 * arrive, so that they neither fill the receive pool nor are kept in blocks.
 * `woken` is its visit until its end, so that no other task reads in between.
 * If the read fails, it copies its bytes back, so that all bytes can be read in
 * order.
 */
#include "reader.h"

/* A longer read that misses bytes moves them to the caller as they arrive. */
#define DIRECT_ABOVE (64u << 10)
/* Minimum bytes that wake the task, unless fewer are missing. */
#define PIECE ((size_t)16 << 10)

struct transfer {
    struct wr_reader_visit visit;
    uint8_t *buf;
    size_t len;
};

static void reader_exact_move_some(weir_reader *reader,
                                   const struct transfer *transfer)
{
    const size_t done = reader->moved;
    const size_t len = wr_min_u64(reader->queue.total, transfer->len - done);

    wr_assert(reader->woken == &transfer->visit);
    wr_assert(done < transfer->len);
    if (len > 0) {
        reader->moved = done + len;
        wr_reader_copy_out(reader, transfer->buf + done, len);
    }
}

/* Without memory the stream fails: no byte after the gap may be read. */
static void reader_exact_put_back(weir_reader *reader,
                                  const struct transfer *transfer)
{
    const size_t len = reader->moved;

    wr_assert(!reader->woken);
    wr_assert(len < transfer->len);
    reader->moved = 0;
    if (len == 0) {
        return;
    }
    if (wr_recvq_unread(&reader->queue, transfer->buf, len) < 0) {
        wr_recvq_consume(&reader->queue, reader->queue.total);
        if (reader->exception == 0) {
            reader->exception = -ENOMEM;
        }
        return;
    }
    wr_reader_look_later(reader);
}

/* Returns 0, or an error, after which the reader may have been freed. */
static int reader_exact_move_all(weir_reader *reader, struct transfer *transfer)
{
    for (;;) {
        reader_exact_move_some(reader, transfer);
        const size_t missing = transfer->len - reader->moved;
        if (missing == 0) {
            return 0;
        }
        if (reader->exception) {
            return reader->exception;
        }
        if (reader->is_eof) {
            reader->expected = transfer->len;
            return WEIR_EINCOMPLETE;
        }
        int err = wr_reader_wait_as(reader, &transfer->visit,
                                    wr_min_u64(missing, PIECE));
        if (err < 0) {
            return err;
        }
        reader->woken = &transfer->visit;
    }
}

static ssize_t reader_exact_move(weir_reader *reader, void *buf, size_t len)
{
    struct transfer transfer = {
        .visit = {.reader = reader}, .buf = buf, .len = len};

    wr_assert(!reader->woken);
    wr_assert(reader->moved == 0);
    reader->woken = &transfer.visit;
    int err = reader_exact_move_all(reader, &transfer);
    if (!transfer.visit.reader) {
        return err;
    }
    wr_assert(reader->woken == &transfer.visit);
    reader->woken = NULL;
    if (err < 0) {
        reader_exact_put_back(reader, &transfer);
        return err;
    }
    reader->moved = 0;
    wr_reader_debug_check(reader);
    return (ssize_t)len;
}

static int reader_exact_await(weir_reader *reader, size_t len)
{
    while (reader->queue.total < len) {
        if (reader->exception) {
            wr_reader_note_left(reader);
            return reader->exception;
        }
        if (reader->is_eof) {
            reader->expected = len;
            wr_reader_note_left(reader);
            return WEIR_EINCOMPLETE;
        }
        int err = wr_reader_wait(reader, len);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

ssize_t weir_reader_readexactly(weir_reader *reader, void *buf, size_t len)
{
    if (len == 0) {
        return 0;
    }
    int err = wr_reader_begin(reader);
    if (err < 0) {
        return err;
    }
    if (len > reader->queue.total && len > DIRECT_ABOVE) {
        return reader_exact_move(reader, buf, len);
    }
    err = reader_exact_await(reader, len);
    if (err < 0) {
        return err;
    }
    return wr_reader_copy_out(reader, buf, len);
}

ssize_t weir_reader_readexactly_view(weir_reader *reader, size_t len,
                                     struct weir_buf *ret)
{
    if (len == 0) {
        return 0;
    }
    int err = wr_reader_begin(reader);
    if (err == 0) {
        err = reader_exact_await(reader, len);
    }
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    err = wr_recvq_join(&reader->queue, len);
    if (WR_UNLIKELY(err < 0)) {
        wr_reader_note_left(reader);
        return err;
    }
    return wr_reader_show(reader, len, ret);
}

ssize_t weir_reader_fill(weir_reader *reader, size_t len)
{
    int err = wr_reader_begin(reader);
    if (err == 0) {
        err = reader_exact_await(reader, len);
    }
    if (err < 0) {
        return err;
    }
    wr_reader_note_left(reader);
    return (ssize_t)reader->queue.total;
}
