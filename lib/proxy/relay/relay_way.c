/*
 * Ways: the bytes of one direction of a relay.
 *
 * Received bytes are queued on the other side under their lease, so that they
 * stay charged to the side that received them until they are sent. What this
 * side may hold is therefore a bound to what waits in both queues. Pieces that
 * the other side's queue copies are charged no more, and are bounded by its
 * high mark.
 *
 * As its peer decides for how long they wait, the bound is narrow until bytes
 * have passed and the kernel has room for twice of the buffer, and again when
 * it has refused bytes. Until it takes them, nothing is received.
 *
 *     narrow --the kernel has much room--> wide --it refuses bytes--> narrow
 */
#include "relay.h"

#include "lib/transport/connection.h"

/* Bytes from which on a way is worth the memory of a splicing. */
#define SPLICE_FROM_BYTES (64u << 10)
/* The narrow bound: a receive of as many bytes moves bulk (sock_bulk.c). */
#define NARROW_BYTES (32u << 10)

/* ---- the bound ---- */

/* The buffer, and a sixteenth less where `to` is TLS, whose high mark is half
 * of it; see relay_way_set_limits(). */
static uint64_t relay_way_wide_bytes(const struct wr_way *way)
{
    const uint64_t high = way->to->high_bytes; /* the program may set it */

    wr_assert(way->to != way->from);
    return wr_max_u64(way->to->ops->get_below ? 2 * high - high / 8 : high,
                      WR_CREDIT_MIN);
}

/* The next look is due when as many bytes were passed on as wait at most, or
 * when they are worth a splicing. */
static void relay_way_set_narrow(struct wr_way *way, bool is_narrow)
{
    uint64_t bound = wr_max_u64(wr_min_u64(way->to->high_bytes, NARROW_BYTES),
                                WR_CREDIT_MIN);

    wr_debug_assert(!(way->from->is_below || way->to->is_below));
    way->is_narrow = is_narrow;
    way->look_at = way->bytes + bound;
    if (!is_narrow) {
        bound = relay_way_wide_bytes(way);
        way->look_at = way->may_splice
                           ? wr_max_u64(way->bytes, SPLICE_FROM_BYTES)
                           : UINT64_MAX;
    }
    weir_transport_set_read_buffer_limit(way->from, bound);
}

/* Ends a receive that is armed, until wr_way_resume_back(). */
static void relay_way_stop(struct wr_way *way)
{
    wr_assert(way->holds & WR_WAY_FULL);
    way->is_narrow = true;
    weir_transport_set_read_buffer_limit(way->from, WR_CREDIT_MIN);
}

/* True if the kernel has refused bytes of the transport. */
static bool relay_way_has_stalled(const weir_transport *to)
{
    wr_assert(to->is_relayed && to->writing_paused);
    while (to->ops->get_below && to->ops->get_below(to)) {
        to = to->ops->get_below(to);
    }
    return wr_transport_is_connection(to) && wr_outbox_of(to)->is_stalled;
}

/* True if the kernel has much room, or if its room is not known. */
static bool relay_way_has_room(const struct wr_way *way)
{
    const int fd = weir_transport_get_socket(way->to);
    const int room = fd >= 0 ? wr_sys_room(fd) : -1;

    wr_assert(way->is_narrow);
    return room < 0 || (uint64_t)room >= 2 * relay_way_wide_bytes(way);
}

/* The way has passed on as many bytes as ->look_at. */
static __attribute__((noinline)) void relay_way_look(struct wr_way *way)
{
    wr_assert(way->bytes >= way->look_at);
    if (way->may_splice && way->bytes >= SPLICE_FROM_BYTES) {
        wr_ready_push(&way->relay->loop->ready, &way->relay->step);
    }
    relay_way_set_narrow(way, way->is_narrow && !relay_way_has_room(way));
}

/* ---- bytes ---- */

/* The write was refused. If the other side is ending by itself, its
 * connection_lost follows and has the cause, except that a paused transport may
 * keep its loss back. */
static __attribute__((noinline)) void relay_way_refused(struct wr_way *way,
                                                        int err)
{
    const int cause = weir_transport_get_error(way->to);

    wr_assert(err < 0);
    if (cause < 0) {
        wr_relay_fail(wr_way_back(way), cause);
    } else if (err == -EPIPE || err == -ESHUTDOWN) {
        wr_way_set_state(way, WR_WAY_BROKEN);
    } else {
        wr_relay_break_by(wr_way_back(way), err);
    }
}

/* Shows the bytes to the program; false: it has ended the relay. */
static __attribute__((noinline)) bool relay_way_tap(struct wr_way *way,
                                                    const struct weir_buf *buf)
{
    struct wr_relay *relay = way->relay;

    wr_assert(buf->len > 0 && wr_way_is_live(way));
    relay->tap(relay->tap_arg, way->party, buf);
    wr_loop_end_if_forked(relay->loop);
    return wr_way_is_live(way);
}

/* Queues the bytes on the other side. Few bytes would be copied in any case,
 * and the write of few bytes is the quicker one. */
static inline int relay_way_write(struct wr_way *way,
                                  const struct weir_buf *buf)
{
    wr_debug_assert(buf->lease && buf->lease->refs > 0);
    return buf->len < WR_LEASE_LEAST
               ? weir_transport_write(way->to, buf->data, buf->len)
               : weir_transport_write_buf(way->to, buf);
}

static inline void relay_way_pass(struct wr_way *way,
                                  const struct weir_buf *buf)
{
    if (WR_UNLIKELY(way->is_tapped) && !relay_way_tap(way, buf)) {
        return;
    }
    const int err = relay_way_write(way, buf);
    if (WR_UNLIKELY(err < 0)) {
        relay_way_refused(way, err);
        return;
    }
    if (WR_UNLIKELY(way->bytes == 0)) {
        way->first_ns = way->relay->loop->now_ns;
    }
    way->bytes += buf->len;
    if (WR_UNLIKELY(way->bytes >= way->look_at)) {
        relay_way_look(way);
    }
    if (WR_UNLIKELY(way->rate)) {
        wr_way_spend(way, buf->len);
    }
}

int wr_way_received(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct wr_way *way = user;

    (void)t;
    wr_debug_check(wr_way_check_invariants(way));
    wr_debug_assert(way->from == t && !way->initial);
    if (WR_LIKELY(way->state == WR_WAY_OPEN)) {
        relay_way_pass(way, buf);
    } else if (way->rate) { /* they are dropped */
        wr_way_spend(way, buf->len);
    }
    return 0;
}

void wr_way_pause_back(void *user, weir_transport *t)
{
    struct wr_way *way = user;
    struct wr_way *back = wr_way_back(way);

    wr_assert(way->from == t);
    wr_way_hold(back, WR_WAY_FULL);
    if (relay_way_has_stalled(t)) {
        relay_way_stop(back);
    }
}

/* A transport may resume writing without a pause, see
 * weir_transport_set_protocol(). One that broke resumes, too, and its loss may
 * wait until the other side has room for the bytes that it holds. */
void wr_way_resume_back(void *user, weir_transport *t)
{
    struct wr_way *way = user;
    struct wr_way *back = wr_way_back(way);
    const int err = weir_transport_get_error(t);

    wr_assert(way->from == t);
    if (back->is_narrow && (back->holds & WR_WAY_FULL)) {
        relay_way_set_narrow(back, !relay_way_has_room(back));
    }
    if (err < 0) {
        wr_relay_fail(way, err);
    } else if (back->holds & WR_WAY_FULL) {
        wr_way_release(back, WR_WAY_FULL);
    }
}

/* ---- the end ---- */

/* Passes the end on. If the other way has ended, too, the close of both sides
 * passes it on, behind what is queued. */
static inline void relay_way_end(struct wr_way *way)
{
    struct wr_relay *relay = way->relay;
    struct wr_way *back = wr_way_back(way);
    const bool is_last = back->state == WR_WAY_ENDED;

    wr_assert(!way->initial);
    wr_way_set_state(way, WR_WAY_ENDED);
    const int err = is_last ? 0 : weir_transport_write_eof(way->to);
    if (err < 0) {
        wr_relay_break_by(back, err);
        return;
    }
    wr_relay_way_ended(relay, way);
    wr_relay_time_half_closed(relay);
}

int wr_way_received_end(void *user, weir_transport *t)
{
    struct wr_way *way = user;

    wr_assert(way->from == t);
    wr_way_check_invariants(way);
    if (way->state == WR_WAY_OPEN) {
        relay_way_end(way);
    }
    return 1; /* the relay closes */
}

/* ---- initial bytes ---- */

/* A lease of its own for bytes of the program; NULL without memory. */
static weir_lease *relay_way_lease(const struct wr_way *way,
                                   const struct weir_buf *buf)
{
    wr_assert(buf->data && buf->len > 0);
    return buf->lease
               ? wr_lease_keep_apart(buf)
               : wr_lease_copy(&way->from->loop->pool,
                               &way->from->demand.account, buf->data, buf->len);
}

int wr_way_keep(struct wr_way *way, const struct weir_buf *bufs, size_t count)
{
    weir_lease **end = &way->initial;

    wr_assert(!way->initial);
    for (size_t i = 0; i < count; i++) {
        if (bufs[i].len == 0) {
            continue; /* no bytes */
        }
        weir_lease *lease = relay_way_lease(way, &bufs[i]);
        wr_require(lease, -ENOMEM);
        wr_assert(!lease->next);
        *end = lease;
        end = &lease->next;
    }
    return 0;
}

void wr_way_pass_initial(struct wr_way *way)
{
    wr_way_check_invariants(way);
    if (way->relay->state == WR_RELAY_CLOSING) {
        return; /* both sides were closed at the end of the other way */
    }
    while (way->initial && way->holds == WR_WAY_INITIAL &&
           wr_way_is_live(way)) {
        weir_lease *lease = wr_way_pop_initial(way);
        const struct weir_buf buf = {
            .data = lease->data, .len = lease->len, .lease = lease};
        relay_way_pass(way, &buf);
        wr_lease_unref(lease);
    }
    if (way->initial || !(way->holds & WR_WAY_INITIAL) ||
        !wr_way_is_live(way)) {
        return;
    }
    if (way->state == WR_WAY_ENDING) {
        relay_way_end(way);
    } else {
        wr_way_release(way, WR_WAY_INITIAL);
    }
}

static void relay_way_spliced(struct wr_splicing *splicing, uint64_t bytes)
{
    struct wr_way *way = wr_container_of(splicing, struct wr_way, splicing);

    wr_assert(way->state == WR_WAY_OPEN && way->holds == 0);
    wr_assert(way->bytes >= SPLICE_FROM_BYTES);
    way->bytes += bytes;
    way->spliced_bytes += bytes;
    way->look_at = wr_add_sat(way->look_at, bytes); /* none of them is held */
}

void wr_way_splice_if_due(struct wr_way *way)
{
    const struct wr_transport_ops *ops = way->from->ops;

    if (!way->may_splice || way->bytes < SPLICE_FROM_BYTES ||
        way->state != WR_WAY_OPEN || way->from->state != WR_LIFE_OPEN ||
        way->to->state != WR_LIFE_OPEN) {
        return;
    }
    way->may_splice = false;
    way->splicing.to = way->to;
    way->splicing.moved = relay_way_spliced;
    if (ops->splice_to && !way->is_tapped && !way->rate) {
        /* Without it the bytes are delivered. */
        wr_ignore(ops->splice_to(way->from, &way->splicing) < 0);
    }
}

/* Bounds the bytes that may wait. `from` may hold all of them, and a sixteenth
 * less where `to` is TLS: sealed bytes are longer, and a segment of the kernel
 * holds less than 64 KiB. 64 KiB that are sealed and sent at once would be a
 * large segment and a tiny one, which cost a tenth more (Linux 6.18). Nor are
 * sealed bytes charged to `from` any more: while half of the bound waits
 * sealed, no more is received. */
static void relay_way_set_limits(struct wr_way *way, uint64_t buffer_bytes)
{
    const bool is_sealed = way->to->ops->get_below != NULL;
    struct weir_water_marks marks = {.high_bytes = (int64_t)buffer_bytes,
                                     .low_bytes = WEIR_DEFAULT};

    wr_assert(buffer_bytes >= WR_CREDIT_MIN);
    if (is_sealed) {
        marks.high_bytes /= 2;
    }
    way->to->hard_limit_bytes = WR_NO_LIMIT;
    weir_transport_set_write_buffer_limits(way->to, marks); /* may hold it */
    relay_way_set_narrow(way, true);
}

void wr_way_begin(struct wr_way *way, uint64_t buffer_bytes, bool has_ended)
{
    struct wr_relay *relay = way->relay;

    wr_assert(way->state == WR_WAY_OPEN && way->holds == 0);
    if (way->initial || has_ended) {
        wr_way_hold(way, WR_WAY_INITIAL);
        wr_ready_push(&relay->loop->ready, &relay->step);
    }
    if (has_ended) {
        wr_way_set_state(way, WR_WAY_ENDING);
    }
    if (way->to->writing_paused) {
        wr_way_hold(way, WR_WAY_FULL);
    }
    relay_way_set_limits(way, buffer_bytes);
    if (way->holds == 0) {
        weir_transport_resume_reading(way->from); /* its protocol had paused */
    }
}
