/*
 * Readers: received bytes wait here for a task. A task that needs more bytes
 * waits. It is woken when the bytes have arrived or no more will arrive, and
 * checks the queue again: a wait has no result, so a cancelled wait loses
 * nothing.
 */
#include "reader.h"

#include "lib/transport/transport.h"

#include <string.h>

static void reader_wake(weir_reader *reader)
{
    struct wr_list *link = reader->waiters.next;
    if (link == &reader->waiters) {
        return;
    }
    struct wr_reader_visit *visit =
        wr_container_of(link, struct wr_reader_visit, waiter.link);
    wr_debug_assert(visit->reader == reader);
    reader->woken = visit;
    wr_waiter_wake(&visit->waiter, 0);
}

bool wr_reader_is_idle(weir_reader *reader)
{
    wr_reader_check_invariants(reader);
    reader->reports_idle = true;
    return (reader->is_reporting_idle || !wr_list_is_empty(&reader->waiters)) &&
           wr_reader_available(reader) == 0;
}

static __attribute__((noinline)) void reader_before_wait(weir_reader *reader)
{
    wr_assert(wr_list_is_empty(&reader->waiters));
    if (reader->is_paused) {
        wr_reader_resume(reader);
    }
    if (reader->reports_idle && reader->transport) {
        wr_assert(!reader->is_reporting_idle);
        reader->is_reporting_idle = true;
        wr_transport_note_idle(reader->transport);
        reader->is_reporting_idle = false;
    }
}

static inline int reader_wait_as(weir_reader *reader,
                                 struct wr_reader_visit *visit, size_t needed)
{
    static const struct wr_wait_kind kind = {.name = "read"};
    wr_assert(!reader->queue.is_shown);
    wr_debug_assert(needed > 0);
    wr_debug_assert(wr_list_is_empty(&reader->waiters));
    visit->waiter.kind = &kind;
    visit->reader = reader;
    reader->needed = needed;
    if (WR_UNLIKELY(reader->is_paused || reader->reports_idle)) {
        reader_before_wait(reader);
    }
    if (WR_UNLIKELY(reader->queue.total > 0)) {
        wr_reader_look_later(reader);
    } else if (WR_UNLIKELY(reader->queue.capacity > WR_RECVQ_INLINE)) {
        wr_recvq_shrink(&reader->queue);
    }
    int err = wr_task_wait(reader->loop, &visit->waiter, &reader->waiters);
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    if (WR_UNLIKELY(!visit->reader)) {
        return -ECANCELED;
    }
    reader->woken = NULL;
    return 0;
}

int wr_reader_wait(weir_reader *reader, size_t needed)
{
    struct wr_reader_visit visit;
    return reader_wait_as(reader, &visit, needed);
}

int wr_reader_wait_as(weir_reader *reader, struct wr_reader_visit *visit,
                      size_t needed)
{
    return reader_wait_as(reader, visit, needed);
}

int wr_reader_begin_slowly(weir_reader *reader)
{
    weir_loop *loop = reader->loop;
    struct wr_reader_visit visit = {.reader = reader};

    if (!loop->current || wr_loop_check(loop) < 0) {
        return wr_task_enter_slowly(loop);
    }
    wr_reader_check_invariants(reader);
    wr_list_init(&visit.link);
    wr_list_push_back(&reader->visits, &visit.link);
    int err = wr_task_enter_slowly(loop);
    if (!visit.reader) {
        return err < 0 ? err : -ECANCELED;
    }
    wr_assert(wr_list_is_linked(&visit.link));
    wr_list_remove(&visit.link);
    if (err < 0) {
        return err;
    }
    wr_require(!wr_reader_is_busy(reader), -EBUSY);
    wr_recvq_drop_shown(&reader->queue);
    return 0;
}

/* Waits for a byte. Returns 1, 0 at the end of the stream, or an error. */
static int reader_await_some(weir_reader *reader)
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

static inline int reader_begin_some(weir_reader *reader)
{
    int err = wr_reader_begin(reader);
    return WR_UNLIKELY(err < 0) ? err : reader_await_some(reader);
}

void wr_reader_init(weir_reader *reader, weir_loop *loop, size_t limit_bytes)
{
    wr_assert(limit_bytes > 0);
    memset(reader, 0, sizeof(*reader));
    wr_recvq_init(&reader->queue, &loop->pool, &loop->counting,
                  &loop->counts.copied_by_view);
    reader->loop = loop;
    wr_list_init(&reader->waiters);
    wr_list_init(&reader->visits);
    wr_reader_memory_init(reader);
    reader->limit_bytes = limit_bytes;
    reader->high_bytes =
        limit_bytes > SIZE_MAX / 2 ? SIZE_MAX : limit_bytes * 2;
}

void wr_reader_fini(weir_reader *reader)
{
    struct wr_list *link;

    wr_reader_check_invariants(reader);
    wr_waiters_wake_all(&reader->waiters, -ECANCELED);
    if (reader->woken) {
        reader->woken->reader = NULL;
        reader->woken = NULL;
    }
    while ((link = wr_list_pop_front(&reader->visits))) {
        wr_container_of(link, struct wr_reader_visit, link)->reader = NULL;
    }
    wr_reader_memory_fini(reader);
    wr_reader_drop_fds(reader);
    wr_recvq_fini(&reader->queue);
}

int weir_reader_new(weir_loop *loop, uint64_t limit_bytes, weir_reader **ret)
{
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(limit_bytes > 0 && limit_bytes <= INT64_MAX && ret, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    weir_reader *reader = wr_alloc(&loop->counting, sizeof(*reader));
    if (!reader) {
        return -ENOMEM;
    }
    wr_reader_init(reader, loop, (size_t)limit_bytes);
    wr_loop_pin(loop);
    *ret = reader;
    return 0;
}

void weir_reader_free(weir_reader *reader)
{
    if (!reader || !wr_loop_admits(reader->loop)) {
        return;
    }
    weir_loop *loop = reader->loop;
    wr_reader_fini(reader);
    wr_free(&loop->counting, reader, sizeof(*reader));
    wr_loop_unpin(loop);
}

static inline bool reader_has_ended(const weir_reader *reader)
{
    return reader->is_eof || reader->exception;
}

static inline void reader_fed(weir_reader *reader)
{
    wr_debug_assert(!reader_has_ended(reader));
    if (WR_LIKELY(!wr_list_is_empty(&reader->waiters) &&
                  reader->queue.total >= reader->needed)) {
        reader_wake(reader);
        if (WR_LIKELY(reader->queue.total <= reader->high_bytes)) {
            return;
        }
    }
    const bool waits = !wr_list_is_empty(&reader->waiters);

    wr_debug_assert(reader->queue.total > 0);
    wr_reader_look_later(reader);
    if (!waits && !reader->woken &&
        reader->queue.total > wr_reader_high(reader)) {
        wr_reader_pause(reader);
    }
}

int wr_reader_feed(weir_reader *reader, const struct weir_buf *buf)
{
    wr_reader_debug_check(reader);
    wr_debug_assert(!buf->lease || buf->len <= buf->lease->len);
    if (buf->len == 0 || WR_UNLIKELY(reader_has_ended(reader))) {
        return 0;
    }
    int err = WR_LIKELY(buf->lease != NULL)
                  ? wr_recvq_push(&reader->queue, buf)
                  : wr_recvq_push_copy(&reader->queue, buf->data, buf->len);
    if (err < 0) {
        return err;
    }
    reader_fed(reader);
    wr_reader_debug_check(reader);
    return 0;
}

int weir_reader_feed_buf(weir_reader *reader, const struct weir_buf *buf)
{
    int err = wr_loop_check(reader->loop);
    wr_require(err >= 0, err);
    wr_require(!reader_has_ended(reader), -ESHUTDOWN);
    wr_assert(!buf->lease || buf->len <= buf->lease->len);
    wr_reader_check_invariants(reader);
    return wr_reader_feed(reader, buf);
}

int weir_reader_feed_data(weir_reader *reader, const void *data, size_t len)
{
    const struct weir_buf buf = {.data = data, .len = len};
    return weir_reader_feed_buf(reader, &buf);
}

void weir_reader_feed_eof(weir_reader *reader)
{
    if (wr_loop_admits(reader->loop)) {
        wr_reader_check_invariants(reader);
        reader->is_eof = true;
        reader_wake(reader);
    }
}

void weir_reader_set_exception(weir_reader *reader, int err)
{
    if (!wr_loop_admits(reader->loop) || err >= 0) {
        return;
    }
    wr_reader_check_invariants(reader);
    if (reader->exception == 0) {
        reader->exception = err;
    }
    reader_wake(reader);
}

int weir_reader_set_transport(weir_reader *reader, weir_transport *t)
{
    int err = wr_loop_check(reader->loop);
    if (err < 0) {
        return err;
    }
    wr_require(!t || !reader->transport || reader->transport == t, -EBUSY);
    if (reader->transport != t) {
        wr_budget_withdraw(&reader->evictable);
        wr_reader_look_later(reader); /* offers the bytes for eviction again */
        reader->transport = t;
        reader->is_paused = false;
    }
    wr_reader_check_invariants(reader);
    return 0;
}

ssize_t weir_reader_read(weir_reader *reader, void *buf, size_t len)
{
    if (len == 0) {
        return 0;
    }
    int err = reader_begin_some(reader);
    if (err <= 0) {
        return err;
    }
    wr_debug_assert(reader->queue.total > 0);
    return wr_reader_copy_out(reader, buf,
                              wr_min_u64(len, reader->queue.total));
}

ssize_t weir_reader_read_view(weir_reader *reader, size_t max_bytes,
                              struct weir_buf *ret)
{
    if (max_bytes == 0) {
        return 0;
    }
    int err = reader_begin_some(reader);
    if (WR_UNLIKELY(err <= 0)) {
        return err;
    }
    wr_debug_assert(reader->queue.total > 0);
    return wr_reader_show(
        reader, wr_min_u64(max_bytes, wr_recvq_first_len(&reader->queue)), ret);
}

ssize_t weir_reader_take(weir_reader *reader, size_t max_bytes,
                         struct weir_buf *ret)
{
    if (max_bytes == 0) {
        return 0;
    }
    int err = reader_begin_some(reader);
    if (err <= 0) {
        return err;
    }
    const size_t len =
        wr_min_u64(max_bytes, wr_recvq_first_len(&reader->queue));
    wr_assert(len > 0);
    err = wr_recvq_take(&reader->queue, len, ret);
    if (err < 0) {
        wr_reader_note_left(reader);
        return err;
    }
    wr_reader_consumed(reader);
    return (ssize_t)len;
}

/* Returns 0 at the end of the stream, or an error. */
static int reader_await_end(weir_reader *reader, size_t max_bytes)
{
    for (;;) {
        if (reader->queue.total > max_bytes) {
            reader->consumed = 0;
            return WEIR_ELIMIT;
        }
        if (reader->exception) {
            return reader->exception;
        }
        if (reader->is_eof) {
            return 0;
        }
        int err = wr_reader_wait(reader, max_bytes < SIZE_MAX ? max_bytes + 1
                                                              : max_bytes);
        if (err < 0) {
            return err;
        }
    }
}

ssize_t weir_reader_read_to_end(weir_reader *reader, size_t max_bytes,
                                struct weir_buf *ret)
{
    int err = wr_reader_begin(reader);
    if (err == 0) {
        err = reader_await_end(reader, max_bytes);
    }
    if (err < 0) {
        return err;
    }
    const size_t len = reader->queue.total;
    wr_assert(len <= max_bytes);
    if (len == 0) {
        *ret = (struct weir_buf){0};
        return 0;
    }
    err = wr_recvq_join(&reader->queue, len);
    if (err == 0) {
        err = wr_recvq_take(&reader->queue, len, ret);
    }
    if (err < 0) {
        wr_reader_note_left(reader);
        return err;
    }
    wr_reader_consumed(reader);
    return (ssize_t)len;
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
    if (len > 0 && !wr_reader_is_busy(reader)) {
        /* Held only while no task reads, because this pins memory. */
        wr_recvq_hold(&reader->queue, ret);
    }
    wr_reader_debug_check(reader);
    return len;
}

int weir_reader_consume(weir_reader *reader, size_t len)
{
    int err = wr_loop_check(reader->loop);
    if (err < 0) {
        return err;
    }
    wr_require(!wr_reader_is_busy(reader), -EBUSY);
    wr_reader_check_invariants(reader);
    wr_recvq_drop_shown(&reader->queue);
    wr_require(len <= reader->queue.total, -EINVAL);
    wr_recvq_consume(&reader->queue, len);
    wr_reader_consumed(reader);
    return 0;
}

size_t weir_reader_get_buffer_size(const weir_reader *reader)
{
    return wr_reader_available(reader);
}

size_t weir_reader_get_consumed(const weir_reader *reader)
{
    return reader->consumed;
}

size_t weir_reader_get_expected(const weir_reader *reader)
{
    return reader->expected;
}

bool weir_reader_at_eof(const weir_reader *reader)
{
    return reader->is_eof && reader->exception == 0 &&
           wr_reader_available(reader) == 0;
}

int weir_reader_get_exception(const weir_reader *reader)
{
    return reader->exception;
}
