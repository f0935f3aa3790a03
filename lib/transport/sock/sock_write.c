/*
 * Stream sockets: writes of the program, on their way into the send queue.
 *
 * A write is accepted whole or refused whole, and leaves when the turn ends
 * (sock_send.c). The four kinds differ in where the bytes stay until then:
 * copied, copied from several pieces, in memory of the caller, or under a lease
 * of the receive pool. Descriptors of a Unix socket go along with copied bytes
 * (sock_fds.c).
 */
#include "sock_impl.h"

#include <string.h>

/* There is no room for bytes that could be written. A close that has begun
 * must not come to a clean end without them. */
static __attribute__((noinline)) int sock_write_refuse(struct wr_sock *s,
                                                       int err)
{
    wr_assert(err == -ENOBUFS || err == -ENOMEM);
    err = wr_transport_refuse(&s->t, err);
    if (s->state == WR_SOCK_CLOSING) {
        s->t.has_dropped = true;
        wr_transport_set_error(&s->t, err, "write");
    }
    return err;
}

static __attribute__((noinline)) int sock_write_check_slowly(struct wr_sock *s,
                                                             size_t len)
{
    wr_require(s->t.error == 0, -EPIPE);
    wr_require(s->state == WR_SOCK_OPEN ||
                   (s->state == WR_SOCK_CLOSING && s->in_resume),
               -ESHUTDOWN);
    wr_require(!s->write_eof, -ESHUTDOWN);
    wr_require(!s->sends_file, -EBUSY);
    wr_require(s->t.write_error == 0, s->t.write_error);
    if (len > 0 && (len > s->t.hard_limit_bytes ||
                    s->sendq.bytes > s->t.hard_limit_bytes - len)) {
        return sock_write_refuse(s, -ENOBUFS);
    }
    return 0;
}

/* True when @len more bytes may be written. */
static inline bool sock_write_has_room(const struct wr_sock *s, size_t len)
{
    if (s->write_eof || s->sends_file) {
        return false;
    }
    return s->state == WR_SOCK_OPEN && wr_transport_can_write(&s->t) &&
           len <= s->t.hard_limit_bytes &&
           s->sendq.bytes <= s->t.hard_limit_bytes - len;
}

/* 0 when @len more bytes may be written, or why not. */
static inline int sock_write_check(struct wr_sock *s, size_t len)
{
    return WR_LIKELY(sock_write_has_room(s, len))
               ? 0
               : sock_write_check_slowly(s, len);
}

static inline void sock_write_queue_for_sending(struct wr_sock *s,
                                                weir_loop *loop, size_t len)
{
    wr_debug_assert(len > 0 && len <= s->sendq.bytes);
    wr_budget_queue(&loop->budget, len);
    if (WR_UNLIKELY(s->times != NULL) && s->sendq.bytes == len) {
        wr_sock_note_sent(s); /* the stall clock starts with the first byte */
        wr_sock_times_changed(s);
    }
    wr_sock_make_dirty(s);
}

/* More is queued than the least share: the protocol is asked to pause when it
 * is more than its share now. A connection that goes on writing is not received
 * from any more, while its peer does not read what is queued. */
static __attribute__((noinline)) void sock_write_queued_much(struct wr_sock *s)
{
    const struct wr_budget *budget = &s->t.loop->budget;

    wr_assert(s->sendq.bytes > s->t.check_bytes);
    if (WR_UNLIKELY(wr_sock_stuck_bytes(s) > wr_budget_queued_share(budget))) {
        wr_sock_recv_revoke(s);
    }
    wr_transport_check_high(&s->t, s->sendq.bytes);
}

static inline void sock_write_check_queue(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->sendq.bytes > s->t.check_bytes)) {
        sock_write_queued_much(s);
    }
}

static inline void sock_write_queued(struct wr_sock *s, size_t len)
{
    sock_write_queue_for_sending(s, s->t.loop, len);
    sock_write_check_queue(s);
}

/* Writes bytes for which the last block of the queue has no room. */
static __attribute__((noinline)) int
sock_write_more(struct wr_sock *s, const void *data, size_t len)
{
    weir_loop *loop = s->t.loop;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    int err = wr_sendq_copy(&s->sendq, &loop->send_memory, &piece, 1, len);
    if (WR_UNLIKELY(err < 0)) {
        return sock_write_refuse(s, err);
    }
    loop->counts.copied_by_write += len;
    sock_write_queued(s, len);
    return 0;
}

/* Writes nothing, or bytes that may be refused; the others seldom, while a
 * close sends the queue. */
static __attribute__((noinline)) int
sock_write_anyway(struct wr_sock *s, const void *data, size_t len)
{
    int err = sock_write_check(s, len);
    return err < 0 || len == 0 ? err : sock_write_more(s, data, len);
}

int wr_sock_write(weir_transport *t, const void *data, size_t len)
{
    struct wr_sock *s = wr_sock_of(t);
    weir_loop *loop = t->loop;

    wr_sock_debug_check(s);
    if (WR_UNLIKELY(len == 0 || !sock_write_has_room(s, len))) {
        return sock_write_anyway(s, data, len);
    }
    void *room = wr_sendq_extend(&s->sendq, &loop->send_memory, len);
    if (WR_UNLIKELY(!room)) {
        return sock_write_more(s, data, len);
    }
    loop->counts.copied_by_write += len;
    sock_write_queue_for_sending(s, loop, len);
    memcpy(room, data, len); /* last: nothing has to be kept across it */
    sock_write_check_queue(s);
    return 0;
}

int wr_sock_writelines(weir_transport *t, const struct iovec *iov, size_t count,
                       size_t total)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_debug_check(s);
    int err = sock_write_check(s, total);
    if (err < 0 || total == 0) {
        return err;
    }
    err = wr_sendq_copy(&s->sendq, &t->loop->send_memory, iov, count, total);
    if (err < 0) {
        return sock_write_refuse(s, err);
    }
    t->loop->counts.copied_by_write += total;
    sock_write_queued(s, total);
    return 0;
}

int wr_sock_write_ref(weir_transport *t, const void *data, size_t len,
                      weir_release_fn *release, void *arg)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_debug_check(s);
    int err = sock_write_check(s, len);
    if (err < 0 || len == 0) {
        return err;
    }
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    err =
        wr_sendq_ref(&s->sendq, &s->t.loop->send_memory, &piece, release, arg);
    if (err < 0) {
        return sock_write_refuse(s, err);
    }
    sock_write_queued(s, len);
    return 0;
}

/* Few bytes are copied: to keep account of where they lie takes more memory,
 * and the peer decides how many such pieces there are. So are any where buffers
 * are short, rather than pin one. */
static bool sock_write_must_copy(const struct wr_sock *s,
                                 const struct weir_buf *buf)
{
    return buf->len < WR_LEASE_LEAST ||
           (wr_pool_is_short(&s->t.loop->pool) && buf->lease->buf);
}

static int sock_write_queue_lease(struct wr_sock *s, const struct weir_buf *buf)
{
    const struct wr_sendq_memory *memory = &s->t.loop->send_memory;
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)buf->data,
                                .iov_len = buf->len};

    if (WR_LIKELY(!sock_write_must_copy(s, buf))) {
        return wr_sendq_lease(&s->sendq, memory, buf);
    }
    int err = wr_sendq_copy(&s->sendq, memory, &piece, 1, buf->len);
    s->t.loop->pool.copied_bytes += err == 0 ? buf->len : 0;
    return err;
}

int wr_sock_write_lease(weir_transport *t, const struct weir_buf *buf)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_debug_check(s);
    wr_assert(buf->len == 0 || buf->lease->refs > 0);
    int err = sock_write_check(s, buf->len);
    if (err < 0 || buf->len == 0) {
        return err;
    }
    err = sock_write_queue_lease(s, buf);
    if (err < 0) {
        return sock_write_refuse(s, err);
    }
    sock_write_queued(s, buf->len);
    return 0;
}

int wr_sock_send_fds(weir_transport *t, const void *data, size_t len,
                     const int *fds, size_t count)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_debug_check(s);
    wr_assert(len > 0);
    int err = sock_write_check(s, len);
    if (err < 0) {
        return err;
    }
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data,
                                .iov_len = len};
    err = wr_sock_fds_push(s, fds, count);
    if (err < 0) {
        return err;
    }
    err = wr_sendq_copy(&s->sendq, &t->loop->send_memory, &piece, 1, len);
    if (err < 0) {
        wr_sock_fds_take_back(s);
        return sock_write_refuse(s, err);
    }
    wr_sock_send_fds_too(s);
    t->loop->counts.copied_by_write += len;
    sock_write_queued(s, len);
    return 0;
}
