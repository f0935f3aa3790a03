/*
 * TLS filters: from received ciphertext to plaintext, and the handshake.
 *
 * The pump opens received bytes in place, before the call in which the
 * transport below delivers them returns. Bytes that cannot be opened yet (the
 * protocol has paused or holds too much, or the handshake waits for a later
 * iteration) are kept under leases, and the transport below is paused. So its
 * receive limit also bounds the bytes that wait here.
 *
 * Plaintext is opened into a block that the loop's filters share. If the bytes
 * fill half of the block, they are delivered in it, and the filters take
 * another block. Fewer bytes are copied to a smaller block, so that a lease on
 * them pins less.
 */
#include "filter_impl.h"

void wr_filter_keep_input(struct wr_filter *f, weir_lease *lease)
{
    wr_assert(lease->refs == 1);
    lease->next = NULL;
    if (f->input_tail) {
        f->input_tail->next = lease;
    } else {
        f->input_head = lease;
    }
    f->input_tail = lease;
}

static void filter_read_pop(struct wr_filter *f)
{
    weir_lease *lease = f->input_head;

    wr_assert(lease);
    f->head_is_fed = false;
    f->input_head = lease->next;
    if (!f->input_head) {
        f->input_tail = NULL;
    }
    lease->next = NULL;
    wr_lease_unref(lease);
}

void wr_filter_drop_input(struct wr_filter *f)
{
    wr_assert(!f->input_head == !f->input_tail);
    if (f->has_engine) {
        wr_tls_engine_drop_input(&f->engine);
    }
    while (f->input_head) {
        filter_read_pop(f);
    }
}

static bool filter_read_keep_rest(struct wr_filter *f,
                                  const struct weir_buf *buf, size_t len)
{
    const struct weir_buf rest = {
        .data = buf->data + buf->len - len, .len = len, .lease = buf->lease};
    wr_assert(len > 0 && len <= buf->len);
    weir_lease *lease = wr_lease_keep_apart(&rest);

    if (!lease) {
        wr_delivery_lose_bytes(&f->c.t, -ENOMEM);
        return false;
    }
    wr_filter_keep_input(f, lease);
    return true;
}

/* Feeds the end of the stream, at which the engine fails if it requires a
 * close_notify. Then postpones the end until our own close_notify is sealed,
 * after everything that was written to this filter or to a filter above. */
static __attribute__((noinline)) bool filter_read_feed_end(struct wr_filter *f)
{
    const bool is_open =
        f->c.t.state == WR_LIFE_OPEN && !wr_filter_is_shaking(f);

    wr_assert(!f->input_head && f->below_eof);
    if (f->engine.input_ended || f->c.t.state == WR_LIFE_CLOSING) {
        return false;
    }
    f->is_cut |= !f->engine.ignores_eof && is_open && f->c.t.error == 0;
    if (!f->is_cut || !is_open) {
        wr_tls_engine_feed_eof(&f->engine);
    }
    return f->engine.input_ended;
}

static bool filter_read_feed_next(struct wr_filter *f)
{
    if (f->head_is_fed) {
        wr_assert(wr_tls_engine_get_input_left(&f->engine) == 0);
        filter_read_pop(f);
    }
    if (f->input_head) {
        wr_assert(f->input_head->len > 0);
        wr_tls_engine_feed(&f->engine, f->input_head->data, f->input_head->len);
        f->head_is_fed = true;
        return true;
    }
    return WR_UNLIKELY(f->below_eof) && filter_read_feed_end(f);
}

static bool filter_read_has_input(const struct wr_filter *f)
{
    wr_assert(f->has_engine);
    return f->input_head || f->below_eof ||
           wr_tls_engine_get_input_left(&f->engine) > 0;
}

/* If the transport below has already failed, the bytes that made the engine
 * fail arrived before. So the engine's error replaces the error of the
 * transport below, even in the filters above this one. */
static void filter_read_fail(struct wr_filter *f, int err, const char *what)
{
    const int later = f->c.t.error;

    wr_assert(err < 0);
    if (later == 0 || later != f->below->error || err == WEIR_ETLSTRUNCATED) {
        wr_transport_set_error(&f->c.t, err, what);
        return;
    }
    for (; f && f->c.t.error == later; f = f->upper) {
        wr_transport_correct_error(&f->c.t, err, what);
    }
}

static void filter_read_handshake(struct wr_filter *f)
{
    wr_assert(f->has_engine);
    if (f->engine.state != WR_TLS_ENGINE_HANDSHAKE || !wr_filter_may_open(f)) {
        return;
    }
    if (f->engine.conn.is_server && !filter_read_has_input(f)) {
        return;
    }
    if (!wr_filter_may_handshake(f)) {
        return;
    }
    f->heard_ns = weir_loop_get_time(f->c.t.loop);
    int err = wr_tls_engine_handshake(&f->engine);
    while (err == -EAGAIN && filter_read_feed_next(f)) {
        err = wr_tls_engine_handshake(&f->engine);
    }
    wr_loop_end_if_forked(f->c.t.loop); /* by the context's `choose` */
    wr_filter_send_output(f);
    if (err < 0 && err != -EAGAIN) {
        filter_read_fail(f, err, "TLS handshake");
    }
}

/* Decrypts records into @to until it is full or no record is left. Returns the
 * number of bytes, 0 at the peer's end, -EAGAIN or the engine's error. */
static ssize_t filter_read_fill(struct wr_filter *f, uint8_t *to, size_t size)
{
    size_t len = 0;

    wr_assert(size > 0);
    while (len < size) {
        const ssize_t ret =
            wr_tls_engine_read(&f->engine, to + len, size - len);
        if (ret > 0) {
            len += (size_t)ret;
        } else if (ret != -EAGAIN || !filter_read_feed_next(f)) {
            return len > 0 ? (ssize_t)len : ret;
        }
    }
    return (ssize_t)len;
}

static weir_lease *filter_read_lease(struct wr_filter *f, size_t len)
{
    struct wr_pool *pool = &f->c.t.loop->pool;
    struct wr_account *account = &f->c.t.demand.account;
    const struct wr_block *scratch = f->shared->scratch;

    wr_assert(len > 0 && len <= scratch->capacity);
    return len < scratch->capacity / 2
               ? wr_lease_copy(pool, account, scratch->data, len)
               : wr_lease_block(pool, account, wr_filter_take_scratch(f), len);
}

static void filter_read_deliver_end(struct wr_filter *f)
{
    wr_assert(f->c.t.state == WR_LIFE_OPEN);
    wr_connection_received_end(&f->c);
}

/* Returns how many bytes of plaintext may be opened next, or 0 to wait. */
static uint32_t filter_read_room(struct wr_filter *f)
{
    if (wr_filter_discards(f) || wr_filter_looks_ahead(f)) {
        return WR_CREDIT_MAX;
    }
    wr_delivery_show_held(&f->c.t, &f->c.delivery);
    if (!wr_delivery_is_free(&f->c.delivery)) {
        return 0;
    }
    if (wr_intake_waits(&f->c.t)) {
        return 0;
    }
    return f->c.t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED
               ? WR_CREDIT_MAX /* a buffered protocol keeps no leases */
               : wr_intake_ask_uncounted(&f->c.t);
}

static bool filter_read_has_more(const struct wr_filter *f)
{
    return filter_read_has_input(f) ||
           (f->engine.state != WR_TLS_ENGINE_OPEN &&
            f->engine.state != WR_TLS_ENGINE_SENT_CLOSE) ||
           wr_tls_engine_get_plaintext_left(&f->engine) > 0;
}

/* Opens and delivers once. Returns false if no more can be opened now. Requests
 * a receive window even if nothing is left to open, because without a window
 * the transport below is paused. */
static bool filter_read_open(struct wr_filter *f)
{
    const uint32_t credit = filter_read_room(f);

    wr_assert(!wr_filter_is_shaking(f));
    if (credit == 0 || !filter_read_has_more(f)) {
        return false;
    }
    struct wr_block *scratch = wr_filter_scratch(f);
    if (!scratch) {
        wr_delivery_lose_bytes(&f->c.t, -ENOMEM);
        return false;
    }
    const ssize_t ret = filter_read_fill(f, scratch->data,
                                         wr_min_u64(scratch->capacity, credit));
    wr_filter_send_output(f); /* a key update, or an alert */
    if (ret < 0 && ret != -EAGAIN) {
        filter_read_fail(f, (int)ret, "TLS receive");
        return false;
    }
    if (wr_filter_discards(f)) {
        f->c.t.eof_seen |= ret == 0 && f->c.t.state == WR_LIFE_LINGERING;
        return ret > 0;
    }
    if (ret > 0) {
        wr_assert(!wr_delivery_has_held(&f->c.delivery));
        weir_lease *lease = filter_read_lease(f, (size_t)ret);
        if (!lease) {
            wr_delivery_lose_bytes(&f->c.t, -ENOMEM);
        } else if (wr_delivery_given(&f->c.t, &f->c.delivery, lease)) {
            wr_connection_push(&f->c);
        }
        return true;
    }
    if (ret == 0 && !wr_delivery_is_paused(&f->c.delivery)) {
        filter_read_deliver_end(f);
    }
    return false;
}

static bool filter_read_wants(const struct wr_filter *f)
{
    switch (f->c.t.state) {
    case WR_LIFE_HANDSHAKING:
        return true;
    case WR_LIFE_OPEN:
        return !f->c.t.eof_seen && wr_filter_may_open(f);
    case WR_LIFE_CLOSING:
    case WR_LIFE_LINGERING:
        return f->shutdown_timeout_ns > 0 &&
               f->engine.state != WR_TLS_ENGINE_FAILED;
    case WR_LIFE_NEW:
    case WR_LIFE_MOVING: /* never of a TLS filter */
    case WR_LIFE_DOOMED:
    case WR_LIFE_ENDING:
    case WR_LIFE_LOST:
    case WR_LIFE_STATES:
        break;
    }
    return false;
}

/* Reports the end of the stream to the filter above, which can still send what
 * was written to it. */
static __attribute__((noinline)) void
filter_read_tell_upper(struct wr_filter *f)
{
    wr_assert(f->is_cut);
    if (f->upper && f->c.t.state == WR_LIFE_OPEN && !f->c.t.eof_seen &&
        wr_delivery_is_free(&f->c.delivery)) {
        filter_read_deliver_end(f);
    }
}

/* Keeps the unread part of lent bytes, because the loan ends when the call that
 * delivers them returns. */
static void filter_read_end_loan(struct wr_filter *f)
{
    const size_t left = wr_tls_engine_get_input_left(&f->engine);

    wr_assert(f->lent && !f->head_is_fed);
    if (left > 0) {
        if (filter_read_wants(f) && filter_read_keep_rest(f, f->lent, left)) {
            f->head_is_fed = true;
            wr_tls_engine_refeed(&f->engine, f->input_head->data, left);
        } else {
            wr_tls_engine_drop_input(&f->engine);
        }
    }
    f->lent = NULL;
}

void wr_filter_pump(struct wr_filter *f)
{
    wr_assert(f->has_engine);
    if (WR_UNLIKELY(wr_filter_is_shaking(f))) {
        filter_read_handshake(f);
    } else {
        while (filter_read_wants(f) && filter_read_open(f)) {
        }
        if (WR_UNLIKELY(f->is_cut)) {
            filter_read_tell_upper(f);
        }
    }
    wr_tls_engine_rest(&f->engine);
    if (f->head_is_fed && wr_tls_engine_get_input_left(&f->engine) == 0) {
        filter_read_pop(f);
    }
    if (wr_delivery_has_held(&f->c.delivery)) {
        wr_delivery_show_held(&f->c.t, &f->c.delivery);
    }
    if (f->lent) {
        filter_read_end_loan(f);
    }
}

void wr_filter_arrived(struct wr_filter *f, const struct weir_buf *buf)
{
    wr_connection_debug_check(&f->c);
    wr_assert(buf->data && buf->len > 0);
    wr_assert(!f->lent);
    if (!filter_read_wants(f)) {
        return;
    }
    if (!f->has_engine || f->input_head) {
        wr_ignore(!filter_read_keep_rest(f, buf, buf->len));
        return;
    }
    wr_tls_engine_feed(&f->engine, buf->data, buf->len);
    f->lent = buf;
}

static __attribute__((noinline)) void filter_read_fail_late(struct wr_filter *f)
{
    wr_assert(f->engine.err <= 0);
    if (f->engine.err < 0 && f->c.t.error == f->below->error) {
        filter_read_fail(f, f->engine.err, "TLS receive");
    }
}

void wr_filter_settle_read(struct wr_connection *c)
{
    struct wr_filter *f = wr_filter_of(&c->t);
    weir_transport *below = f->below;

    wr_assert(f->c.t.state != WR_LIFE_NEW);
    if (f->below_lost || wr_life_is_over(&f->c.t)) {
        filter_read_fail_late(f);
        return;
    }
    if (!filter_read_wants(f)) {
        wr_filter_drop_input(f);
    }
    const bool is_full =
        f->input_head || (f->c.t.eof_seen && !below->error) ||
        wr_delivery_has_held(&f->c.delivery) ||
        (f->c.t.state == WR_LIFE_CLOSING &&
         f->c.outbox.dropped_bytes >= WR_END_DROP_BYTES) ||
        (f->c.t.state == WR_LIFE_OPEN && !wr_filter_is_shaking(f) &&
         (wr_delivery_is_paused(&f->c.delivery) || wr_intake_waits(&f->c.t)) &&
         !wr_filter_looks_ahead(f));
    if (is_full && !f->below_paused) {
        f->below_paused = true;
        below->ops->pause_reading(below);
    } else if (!is_full && f->below_paused) {
        f->below_paused = false;
        below->ops->resume_reading(below);
    }
}
