/*
 * Readers: a large number of bytes into the caller's memory.
 *
 * What arrives is moved there at once, so that it neither fills the receive
 * pool nor has to be kept in blocks until it is complete. The call owns the
 * reader meanwhile: `woken` is its visit from begin to end, so that no other
 * task finds a gap. A call that fails puts back what it has, which costs a
 * copy only then: after a cancellation, or the end of the stream, everything
 * is there to be read, in order.
 */
#include "reader.h"

/* The task is woken for no less than this, unless less is missing. */
#define PIECE ((size_t)16 << 10)

struct transfer {
    struct wr_reader_visit visit;
    uint8_t *buf;
    size_t len;
};

static void move_some(weir_reader *reader, const struct transfer *transfer)
{
    const size_t done = reader->moved;
    const size_t len = wr_min_u64(reader->queue.total, transfer->len - done);

    wr_assert(done < transfer->len);
    if (len > 0) {
        reader->moved = done + len;
        wr_ignore(wr_reader_copy_out(reader, transfer->buf + done, len) < 0);
    }
}

/* Without memory nothing that comes after the gap may be read. */
static void put_back(weir_reader *reader, const struct transfer *transfer)
{
    const size_t len = reader->moved;

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
    wr_reader_keep(reader);
}

/* Moves bytes until they are complete: 0, or an error, and then the reader may
 * be gone. */
static int move_all(weir_reader *reader, struct transfer *transfer)
{
    for (;;) {
        move_some(reader, transfer);
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

ssize_t wr_reader_exact(weir_reader *reader, void *buf, size_t len)
{
    struct transfer transfer = {
        .visit = {.reader = reader}, .buf = buf, .len = len};

    wr_assert(!reader->woken);
    wr_assert(reader->moved == 0);
    reader->woken = &transfer.visit;
    int err = move_all(reader, &transfer);
    if (!transfer.visit.reader) {
        return err;
    }
    wr_assert(reader->woken == &transfer.visit);
    reader->woken = NULL;
    if (err < 0) {
        put_back(reader, &transfer);
        return err;
    }
    reader->moved = 0;
    return (ssize_t)len;
}
