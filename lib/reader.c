/*
 * Readers: what arrived, until somebody asks for it.
 *
 * Bytes are fed at one end and read by one task at the other. A task that needs
 * more than there is waits, and is woken when that many have come, or when no
 * more will: it then looks at the queue anew, so that a wait carries no result
 * of its own and a cancelled one leaves nothing behind.
 *
 * What concerns memory is done at the end of the turn, by the keeper, when the
 * tasks have taken what they want: what is left is packed or moved out of the
 * receive pool, a few small pieces a little later (a relay would copy the tail
 * of every receive), and the transport is paused if it is too much. A task that
 * waits for more than it has must never be what its own bytes wait for: where
 * they keep the transport from receiving, all of them are moved.
 */
#include "reader.h"

#include "transport.h"

#include <string.h>

/* Few small pieces are left where they are for so long: most are read, or sent
 * on, before. */
#define PACK_AFTER_NS 10000000u
#define PACK_ABOVE    64u

static void pause_transport(weir_reader *reader)
{
    if (reader->transport && !reader->is_paused) {
        reader->is_paused = true;
        weir_transport_pause_reading(reader->transport);
    }
}

static void resume_transport(weir_reader *reader)
{
    if (reader->is_paused) {
        reader->is_paused = false;
        weir_transport_resume_reading(reader->transport);
    }
}

void wr_reader_resume_if_low(weir_reader *reader)
{
    if (reader->queue.total <= reader->limit_bytes) {
        resume_transport(reader);
    }
}

/* ---- the end of the turn ---- */

/* Must bytes give up their place in the pool so that more can come? */
static bool is_short(const weir_reader *reader, bool waits)
{
    return reader->must_move || wr_pool_is_short(&reader->loop->pool) ||
           (waits && reader->transport &&
            reader->transport->ops->is_short(reader->transport));
}

/* Others starve, and this one has bytes that it could move. */
static void relieve(struct wr_list *link)
{
    weir_reader *reader = wr_container_of(link, weir_reader, hoard_link);

    reader->must_move = true;
    wr_reader_keep(reader);
}

/* Looks again in some time whether anything was consumed by then. */
static void watch_rest(weir_reader *reader)
{
    reader->is_untouched = true;
    wr_timer_arm(&reader->loop->wheel, &reader->packer,
                 wr_add_sat(reader->loop->now_ns, PACK_AFTER_NS));
}

static void pack(struct wr_timer *timer)
{
    weir_reader *reader = wr_container_of(timer, weir_reader, packer);

    if (reader->queue.total == 0) {
        return;
    }
    if (reader->is_untouched) {
        wr_ignore(wr_recvq_compact(&reader->queue, false)); /* or later */
    } else {
        watch_rest(reader);
    }
}

/* Many pieces, and small ones: their records cost more than they do. */
static bool is_crumbled(const weir_reader *reader)
{
    const uint64_t count = reader->queue.count;
    return count > PACK_ABOVE && reader->queue.total < count * WR_COMPACT_BELOW;
}

static void keep(struct wr_sender *sender)
{
    weir_reader *reader = wr_container_of(sender, weir_reader, keeper);
    struct wr_list *link = reader->waiters.next;
    const bool waits = link != &reader->waiters;
    const bool all = is_short(reader, waits);

    reader->must_move = false;
    if (reader->queue.total == 0) {
        return;
    }
    bool has_memory = true;
    if (all || is_crumbled(reader)) {
        has_memory = wr_recvq_compact(&reader->queue, all);
    } else if (!wr_timer_is_armed(&reader->packer)) {
        watch_rest(reader);
    }
    if (!waits) {
        if (reader->queue.total > reader->high_bytes) {
            pause_transport(reader);
        }
        return;
    }
    if (all && !has_memory) {
        /* Nothing would ever wake it. */
        wr_waiter_wake(wr_container_of(link, struct wr_waiter, link), -ENOMEM);
    } else if (!all && !wr_list_is_linked(&reader->hoard_link)) {
        wr_pool_hoard(&reader->loop->pool, &reader->hoard_link, relieve);
    }
}

/* ---- waking and waiting ---- */

static void wake(weir_reader *reader)
{
    struct wr_list *link = reader->waiters.next;
    if (link == &reader->waiters) {
        return;
    }
    struct wr_reader_visit *visit =
        wr_container_of(link, struct wr_reader_visit, waiter.link);
    reader->woken = visit;
    wr_waiter_wake(&visit->waiter, 0);
}

int wr_reader_wait(weir_reader *reader, size_t needed)
{
    struct wr_reader_visit visit;

    wr_assert(!reader->queue.is_shown);
    visit.waiter.interrupt = NULL;
    visit.reader = reader;
    reader->needed = needed;
    if (WR_UNLIKELY(reader->is_paused)) {
        resume_transport(reader);
    }
    if (WR_UNLIKELY(reader->queue.total > 0)) {
        wr_reader_keep(reader);
    } else if (WR_UNLIKELY(reader->queue.capacity > WR_RECVQ_INLINE)) {
        wr_recvq_shrink(&reader->queue);
    }
    int err = wr_task_wait(reader->loop, &visit.waiter, &reader->waiters);
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    if (WR_UNLIKELY(!visit.reader)) {
        return -ECANCELED;
    }
    reader->woken = NULL;
    wr_recvq_drop_shown(&reader->queue); /* what a callback peeked at */
    return 0;
}

int wr_reader_begin_slowly(weir_reader *reader)
{
    weir_loop *loop = reader->loop;
    struct wr_reader_visit visit = {.reader = reader};

    if (!loop->current || wr_loop_check(loop) < 0) {
        return wr_task_enter_slowly(loop);
    }
    wr_list_init(&visit.link);
    wr_list_push_back(&reader->visits, &visit.link);
    int err = wr_task_enter_slowly(loop);
    if (!visit.reader) {
        return err < 0 ? err : -ECANCELED;
    }
    wr_list_remove(&visit.link);
    if (err < 0) {
        return err;
    }
    wr_require(!wr_reader_is_busy(reader), -EBUSY);
    wr_recvq_drop_shown(&reader->queue);
    return 0;
}

/* What woke the task was for this call to see to, and the call leaves it. */
static void keep_rest(weir_reader *reader)
{
    if (reader->queue.total > 0) {
        wr_reader_keep(reader);
    }
}

int wr_reader_ensure(weir_reader *reader, size_t len)
{
    while (reader->queue.total < len) {
        if (reader->exception) {
            keep_rest(reader);
            return reader->exception;
        }
        if (reader->is_eof) {
            reader->expected = len;
            keep_rest(reader);
            return WEIR_EINCOMPLETE;
        }
        int err = wr_reader_wait(reader, len);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

/* Waits for a byte: 1, 0 at the end of the stream, or an error. */
static int await_some(weir_reader *reader)
{
    while (reader->queue.total == 0) {
        if (reader->exception) {
            return reader->exception;
        }
        if (reader->is_eof) {
            return 0;
        }
        int err = wr_reader_wait(reader, 1);
        if (err < 0) {
            return err;
        }
    }
    return 1;
}

/* ---- life ---- */

void wr_reader_init(weir_reader *reader, weir_loop *loop, size_t limit_bytes)
{
    wr_assert(limit_bytes > 0);
    memset(reader, 0, sizeof(*reader));
    wr_recvq_init(&reader->queue, &loop->pool, &loop->counting,
                  &loop->counts.copied_by_view);
    reader->loop = loop;
    wr_list_init(&reader->waiters);
    wr_list_init(&reader->visits);
    wr_list_init(&reader->hoard_link);
    wr_list_init(&reader->keeper.link);
    reader->keeper.flush = keep;
    wr_timer_init(&reader->packer, pack);
    reader->limit_bytes = limit_bytes;
    reader->high_bytes =
        limit_bytes > SIZE_MAX / 2 ? SIZE_MAX : limit_bytes * 2;
}

void wr_reader_fini(weir_reader *reader)
{
    struct wr_list *link;

    wr_waiters_wake_all(&reader->waiters, -ECANCELED);
    if (reader->woken) {
        reader->woken->reader = NULL;
        reader->woken = NULL;
    }
    while ((link = wr_list_pop_front(&reader->visits))) {
        wr_container_of(link, struct wr_reader_visit, link)->reader = NULL;
    }
    wr_list_remove(&reader->hoard_link);
    wr_list_remove(&reader->keeper.link);
    wr_timer_cancel(&reader->loop->wheel, &reader->packer);
    wr_recvq_fini(&reader->queue);
}

int weir_reader_new(weir_loop *loop, int64_t limit_bytes, weir_reader **ret)
{
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(limit_bytes > 0 && ret, -EINVAL);
    wr_require(!loop->closing, -ESHUTDOWN);
    weir_reader *reader = wr_alloc(&loop->counting, sizeof(*reader));
    if (!reader) {
        return -ENOMEM;
    }
    wr_reader_init(reader, loop, (size_t)limit_bytes);
    loop->pinned_count++; /* it may be freed after the loop */
    *ret = reader;
    return 0;
}

void weir_reader_free(weir_reader *reader)
{
    if (!reader || wr_loop_check(reader->loop) < 0) {
        return;
    }
    weir_loop *loop = reader->loop;
    wr_reader_fini(reader);
    wr_free(&loop->counting, reader, sizeof(*reader));
    loop->pinned_count--;
    wr_loop_release(loop);
}

/* ---- feeding ---- */

/* Bytes came that do not at once wake who waits for them. */
static void fed_more(weir_reader *reader)
{
    const bool waits = !wr_list_is_empty(&reader->waiters);

    wr_reader_keep(reader);
    if (!waits && !reader->woken && reader->queue.total > reader->high_bytes) {
        pause_transport(reader);
    }
}

static inline void fed(weir_reader *reader)
{
    if (WR_LIKELY(!wr_list_is_empty(&reader->waiters) &&
                  reader->queue.total >= reader->needed)) {
        wake(reader);
        if (WR_LIKELY(reader->queue.total <= reader->high_bytes)) {
            return; /* its call sees to what it leaves */
        }
    }
    fed_more(reader);
}

int wr_reader_feed(weir_reader *reader, const struct weir_buf *buf)
{
    wr_require(!reader->is_eof && reader->exception == 0, -ESHUTDOWN);
    if (buf->len == 0) {
        return 0;
    }
    int err = WR_LIKELY(buf->lease != NULL)
                  ? wr_recvq_push(&reader->queue, buf)
                  : wr_recvq_push_copy(&reader->queue, buf->data, buf->len);
    if (err < 0) {
        return err;
    }
    fed(reader);
    return 0;
}

int weir_reader_feed_buf(weir_reader *reader, const struct weir_buf *buf)
{
    int err = wr_loop_check(reader->loop);
    return err < 0 ? err : wr_reader_feed(reader, buf);
}

int weir_reader_feed_data(weir_reader *reader, const void *data, size_t len)
{
    const struct weir_buf buf = {.data = data, .len = len};
    return weir_reader_feed_buf(reader, &buf);
}

void weir_reader_feed_eof(weir_reader *reader)
{
    if (wr_loop_check(reader->loop) == 0) {
        reader->is_eof = true;
        wake(reader);
    }
}

void weir_reader_set_exception(weir_reader *reader, int err)
{
    if (wr_loop_check(reader->loop) < 0 || err >= 0) {
        return;
    }
    if (reader->exception == 0) {
        reader->exception = err;
    }
    wake(reader);
}

int weir_reader_set_transport(weir_reader *reader, weir_transport *t)
{
    int err = wr_loop_check(reader->loop);
    if (err < 0) {
        return err;
    }
    wr_require(!t || !reader->transport || reader->transport == t, -EBUSY);
    if (reader->transport != t) {
        reader->transport = t;
        reader->is_paused = false;
    }
    return 0;
}

/* ---- reading ---- */

ssize_t weir_reader_read(weir_reader *reader, void *buf, size_t len)
{
    if (len == 0) {
        return 0;
    }
    int err = wr_reader_begin(reader);
    if (err < 0) {
        return err;
    }
    err = await_some(reader);
    if (err <= 0) {
        return err;
    }
    return wr_reader_copy_out(reader, buf,
                              wr_min_u64(len, reader->queue.total));
}

ssize_t weir_reader_read_view(weir_reader *reader, size_t max,
                              struct weir_buf *ret)
{
    if (max == 0) {
        return 0;
    }
    int err = wr_reader_begin(reader);
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    err = await_some(reader);
    if (WR_UNLIKELY(err <= 0)) {
        return err;
    }
    return wr_reader_show(
        reader, wr_min_u64(max, wr_recvq_first_len(&reader->queue)), ret);
}

ssize_t weir_reader_take(weir_reader *reader, size_t max, struct weir_buf *ret)
{
    if (max == 0) {
        return 0;
    }
    int err = wr_reader_begin(reader);
    if (err < 0) {
        return err;
    }
    err = await_some(reader);
    if (err <= 0) {
        return err;
    }
    const size_t len = wr_min_u64(max, wr_recvq_first_len(&reader->queue));
    err = wr_recvq_take(&reader->queue, len, ret);
    if (err < 0) {
        keep_rest(reader);
        return err;
    }
    wr_reader_consumed(reader);
    return (ssize_t)len;
}

/* Waits for the end of the stream. */
static int await_end(weir_reader *reader, size_t max)
{
    for (;;) {
        if (reader->queue.total > max) {
            reader->consumed = 0;
            return WEIR_ELIMIT;
        }
        if (reader->exception) {
            return reader->exception;
        }
        if (reader->is_eof) {
            return 0;
        }
        int err = wr_reader_wait(reader, max < SIZE_MAX ? max + 1 : max);
        if (err < 0) {
            return err;
        }
    }
}

ssize_t weir_reader_read_to_end(weir_reader *reader, size_t max,
                                struct weir_buf *ret)
{
    int err = wr_reader_begin(reader);
    if (err < 0) {
        return err;
    }
    err = await_end(reader, max);
    if (err < 0) {
        return err;
    }
    const size_t len = reader->queue.total;
    if (len == 0) {
        *ret = (struct weir_buf){0};
        return 0;
    }
    err = wr_recvq_join(&reader->queue, len);
    if (err == 0) {
        err = wr_recvq_take(&reader->queue, len, ret);
    }
    if (err < 0) {
        keep_rest(reader);
        return err;
    }
    wr_reader_consumed(reader);
    return (ssize_t)len;
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
    err = wr_reader_ensure(reader, len);
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
        err = wr_reader_ensure(reader, len);
    }
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    err = wr_recvq_join(&reader->queue, len);
    if (WR_UNLIKELY(err < 0)) {
        keep_rest(reader);
        return err;
    }
    return wr_reader_show(reader, len, ret);
}

ssize_t weir_reader_fill(weir_reader *reader, size_t len)
{
    int err = wr_reader_begin(reader);
    if (err == 0) {
        err = wr_reader_ensure(reader, len);
    }
    if (err < 0) {
        return err;
    }
    keep_rest(reader);
    return (ssize_t)reader->queue.total;
}

size_t weir_reader_peek(weir_reader *reader, size_t offset,
                        struct weir_buf *ret)
{
    if (wr_loop_check(reader->loop) < 0) {
        *ret = (struct weir_buf){0};
        return 0;
    }
    wr_recvq_drop_shown(&reader->queue);
    const size_t len = wr_recvq_peek(&reader->queue, offset, ret);
    if (len > 0) {
        wr_recvq_hold(&reader->queue, ret);
    }
    return len;
}

int weir_reader_consume(weir_reader *reader, size_t len)
{
    int err = wr_loop_check(reader->loop);
    if (err < 0) {
        return err;
    }
    wr_require(!wr_reader_is_busy(reader), -EBUSY);
    wr_recvq_drop_shown(&reader->queue);
    wr_require(len <= reader->queue.total, -EINVAL);
    wr_recvq_consume(&reader->queue, len);
    wr_reader_consumed(reader);
    return 0;
}

/* ---- looking ---- */

size_t weir_reader_get_buffer_size(const weir_reader *reader)
{
    return reader->queue.total;
}

size_t weir_reader_consumed(const weir_reader *reader)
{
    return reader->consumed;
}

size_t weir_reader_expected(const weir_reader *reader)
{
    return reader->expected;
}

bool weir_reader_at_eof(const weir_reader *reader)
{
    return reader->is_eof && reader->exception == 0 && reader->queue.total == 0;
}

int weir_reader_exception(const weir_reader *reader)
{
    return reader->exception;
}
