/*
 * TLS filters: from written bytes to the transport below.
 *
 * Writes go to the queue. Before the loop iteration ends, the queue is sealed
 * (encrypted into records) while the depth of the transport below is not above
 * its high mark; the rest waits as plaintext. The program's marks and limits
 * count plaintext that waits, or is in records that the transport below has not
 * sent. TLS overhead and TLS's own messages do not count. Writes of one
 * iteration share a record. The first records of a transfer fit into one
 * segment each, so that the peer can open a record as soon as its segment
 * arrives; later records have the full size.
 */
#include "filter_impl.h"

#include <string.h>

/* Maximum plaintext bytes of a record that fits into one segment on
 * Ethernet. */
#define RECORD_FIRST 1300u
#define BURST_BYTES  (48u << 10)
/* After this time without a byte, records are small again. */
#define BURST_IDLE_NS UINT64_C(1000000000)
#define RECORD_PIECES 64u
#define RECORD_EXTRA  64u
/* Sealed bytes are passed to the transport below in portions of this size. They
 * count as unsent until the transport below has sent the last of them. */
#define HANDED_BYTES WR_TLS_RECORD_MAX

void wr_filter_seal_later(struct wr_connection *c)
{
    wr_loop_before_turn_end(c->t.loop, &wr_filter_of(&c->t)->seal);
}

static void filter_write_fail(struct wr_filter *f, int err)
{
    wr_assert(err < 0);
    wr_transport_set_error(&f->c.t, err, "TLS write");
    wr_connection_push(&f->c);
}

/* Maximum number of blocks without plaintext in the queue of the transport
 * below. A handshake creates some; a peer that reads nothing causes one with
 * each key update that it requests. */
#define ANSWERS_MAX 32u

struct filter_record {
    struct wr_filter *filter;
    /* The last block of an output has the plaintext bytes of all its blocks;
     * the other blocks have 0, as have all if the transport below is a filter.
     */
    uint64_t plain_bytes;
};

/* Called when the peer of a closing filter has read something. The count of
 * bytes that the close drops starts again. */
static __attribute__((noinline)) void
filter_write_note_progress(struct wr_filter *f)
{
    wr_assert(f->c.t.state == WR_LIFE_CLOSING);
    wr_outbox_forget_dropped(&f->c.outbox);
    if (f->below_paused || wr_filter_sealed_bytes(f) == 0) {
        wr_connection_push(&f->c); /* may start the wait for the peer */
    }
}

static void filter_write_go_on(struct wr_filter *f)
{
    if (!wr_life_is_over(&f->c.t) &&
        (f->c.t.must_notify || wr_outbox_has_unsent(&f->c.outbox))) {
        wr_filter_seal_later(&f->c);
    }
    if (WR_UNLIKELY(f->c.t.state == WR_LIFE_CLOSING)) {
        filter_write_note_progress(f);
    }
}

/* Called when the transport below has sent the records of @plain_bytes. When
 * this filter reports bytes of the filter above as sent, it has only sealed
 * them. So a filter above counts as unsent at most the depth of the filter
 * below it. */
static void filter_write_sent(struct wr_filter *f, uint64_t plain_bytes)
{
    wr_outbox_passed(&f->c.outbox, plain_bytes);
    filter_write_go_on(f);
    for (f = f->upper; f; f = f->upper) {
        const uint64_t sealed = wr_filter_sealed_bytes(f);
        wr_outbox_passed(&f->c.outbox,
                         sealed - wr_min_u64(sealed, wr_filter_below_depth(f)));
        filter_write_go_on(f);
    }
}

/* Called when the transport below has sent or dropped a block. It drops its
 * queue before it calls connection_lost, so the filter still exists. */
static void filter_write_release(void *arg)
{
    struct wr_block *block = arg;
    struct filter_record record;

    memcpy(&record, block->data, sizeof(record));
    wr_block_give(&record.filter->c.t.loop->blocks, block);
    filter_write_sent(record.filter, record.plain_bytes);
}

static void filter_write_release_answer(void *arg)
{
    struct wr_block *block = arg;
    struct filter_record record;

    memcpy(&record, block->data, sizeof(record));
    wr_assert(record.filter->answer_count > 0);
    record.filter->answer_count--;
    filter_write_release(block);
}

/* The last block of the engine's output accounts for all bytes sealed since the
 * last output. */
static inline void filter_write_send(struct wr_filter *f,
                                     struct wr_block *block,
                                     weir_release_fn *release)
{
    const uint64_t plain_bytes = block->next ? 0 : f->unsent_bytes;
    const struct filter_record record = {
        .filter = f, .plain_bytes = f->is_upper ? 0 : plain_bytes};

    _Static_assert(sizeof(record) <= WR_TLS_OUTPUT_OFFSET,
                   "there is room before a record");
    memcpy(block->data, &record, sizeof(record));
    f->unsent_bytes -= plain_bytes;
    block->next = NULL;
    wr_assert(block->used > 0);
    const int err = f->below->ops->write_ref(
        f->below, wr_tls_engine_output_of(block), block->used, release, block);
    if (err < 0) {
        release(block);
    }
    if (err == -ENOMEM && f->c.t.error == 0) {
        filter_write_fail(f, err);
    } /* other errors are reported by the loss */
}

static __attribute__((noinline)) void
filter_write_send_answers(struct wr_filter *f, struct wr_block *block)
{
    wr_assert(f->unsent_bytes == 0);
    while (block) {
        struct wr_block *next = block->next;
        f->answer_count++;
        filter_write_send(f, block, filter_write_release_answer);
        block = next;
    }
    if (f->answer_count > ANSWERS_MAX && f->c.t.error == 0) {
        filter_write_fail(f, WEIR_ETLSFLOOD);
    }
}

void wr_filter_send_output(struct wr_filter *f)
{
    wr_assert(f->has_engine);
    struct wr_block *block = wr_tls_engine_take_output(&f->engine);

    if (!block) {
        return;
    }
    if (WR_UNLIKELY(f->unsent_bytes == 0)) {
        filter_write_send_answers(f, block);
        return;
    }
    do {
        struct wr_block *next = block->next;
        filter_write_send(f, block, filter_write_release);
        block = next;
    } while (block);
    wr_assert(f->unsent_bytes == 0);
}

static bool filter_write_may_seal(const struct wr_filter *f)
{
    return (f->c.t.state == WR_LIFE_OPEN || f->c.t.state == WR_LIFE_CLOSING) &&
           f->c.t.error == 0 && !wr_filter_is_shaking(f);
}

static bool filter_write_has_room(const struct wr_filter *f)
{
    return wr_filter_below_depth(f) +
               wr_tls_engine_get_output_bytes(&f->engine) <=
           wr_transport_high(f->below);
}

static size_t filter_write_record_size(struct wr_filter *f)
{
    const uint64_t now_ns = f->c.t.loop->now_ns;

    wr_assert(now_ns >= f->sealed_ns);
    if (now_ns - f->sealed_ns > BURST_IDLE_NS) {
        f->burst_bytes = 0;
    }
    f->sealed_ns = now_ns;
    return f->burst_bytes < BURST_BYTES ? RECORD_FIRST : WR_TLS_RECORD_MAX;
}

/* Returns the first bytes of the queue in one piece, at most @size. */
static const uint8_t *filter_write_gather(struct wr_filter *f, size_t size,
                                          size_t *ret_len)
{
    struct iovec iov[RECORD_PIECES];
    size_t len = 0;
    const uint32_t count =
        wr_sendq_gather(&f->c.outbox.queue, iov, RECORD_PIECES, size);

    wr_assert(count > 0);
    struct wr_block *scratch = count > 1 ? wr_filter_scratch(f) : NULL;
    if (!scratch) { /* without memory each piece is a record */
        *ret_len = iov[0].iov_len;
        return iov[0].iov_base;
    }
    wr_assert(size <= scratch->capacity);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(scratch->data + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    *ret_len = len;
    return scratch->data;
}

static void filter_write_seal_record(struct wr_filter *f)
{
    size_t len;
    const uint8_t *data =
        filter_write_gather(f, filter_write_record_size(f), &len);
    const int err = wr_tls_engine_write(&f->engine, data, len);

    if (err < 0) {
        filter_write_fail(f, err);
        return;
    }
    f->burst_bytes += f->burst_bytes < BURST_BYTES ? (uint32_t)len : 0;
    f->unsent_bytes += len;
    wr_outbox_pass(&f->c.outbox, len);
    if (wr_tls_engine_get_output_bytes(&f->engine) >= HANDED_BYTES) {
        wr_filter_send_output(f);
    }
    wr_outbox_consume(&f->c.t, len);
}

/* Stores how many unsent bytes of the transport below are only the
 * close_notify. If a peer that has ended responds to the close_notify with a
 * reset, no data is lost. */
static void filter_write_note_farewell(struct wr_filter *f)
{
    const size_t own = wr_tls_engine_get_output_bytes(&f->engine);

    wr_assert(f->unsent_bytes == 0);
    if (own > 0 && !f->below_lost) {
        f->below->farewell_bytes = (uint32_t)own;
        if (f->c.t.farewell_bytes > 0) {
            f->below->farewell_bytes += f->c.t.farewell_bytes + RECORD_EXTRA;
        }
    }
}

/* Called when the queue is empty. Seals the close_notify if the program has
 * ended its stream. */
static void filter_write_seal_end(struct wr_filter *f)
{
    if (!wr_outbox_is_ending(&f->c.outbox)) {
        return;
    }
    wr_assert(wr_sendq_is_empty(&f->c.outbox.queue));
    f->c.t.end_sent = true;
    const int err = wr_tls_engine_close(&f->engine);
    if (err < 0) {
        filter_write_fail(f, err);
    }
    filter_write_note_farewell(f);
    wr_filter_send_output(f);
}

void wr_filter_seal(struct wr_filter *f)
{
    wr_connection_debug_check(&f->c);
    while (filter_write_may_seal(f) && !wr_sendq_is_empty(&f->c.outbox.queue)) {
        if (!filter_write_has_room(f)) {
            wr_sendq_move_out(&f->c.outbox.queue);
            break;
        }
        filter_write_seal_record(f);
    }
    if (f->has_engine && !wr_life_is_over(&f->c.t)) {
        wr_tls_engine_rest(&f->engine);
        wr_filter_send_output(f);
    }
    if (filter_write_may_seal(f)) {
        wr_outbox_notify(&f->c.t);
    }
    if (f->c.outbox.sender && f->c.t.error == 0 && !wr_life_is_over(&f->c.t)) {
        wr_sender_go_on(f->c.outbox.sender);
    }
    /* The close_notify must wait while a program that was paused may still
     * write, or a file is sent. */
    if (filter_write_may_seal(f) && wr_sendq_is_empty(&f->c.outbox.queue) &&
        !f->c.t.writing_paused && !f->c.outbox.sender) {
        filter_write_seal_end(f);
    }
}

void wr_filter_file_begins(weir_transport *t)
{
    wr_connection_debug_check(wr_connection_of(t));
    if (!wr_life_is_over(t)) {
        wr_filter_seal_later(wr_connection_of(t));
    }
}

void wr_filter_queued(weir_transport *t, size_t len)
{
    wr_debug_assert(len > 0);
    (void)len;
    wr_filter_file_begins(t);
}

/* The close_notify may have waited for the file (sealing), or the loss may be
 * due in this iteration (the step). */
void wr_filter_file_ended(weir_transport *t)
{
    wr_assert(wr_outbox_of(t)->sender && t->state != WR_LIFE_LOST);
    wr_filter_file_begins(t);
    wr_life_push_step(t);
}
