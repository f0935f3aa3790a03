/*
 * The bytes of one direction of a relay.
 *
 * Received bytes are queued on the destination by reference, and their lease
 * stays charged to the source until they are sent. So the source's receive
 * limit bounds the bytes that wait in both transports. The destination copies
 * small pieces into its queue. These are no longer charged to the source; the
 * destination's high mark bounds them.
 *
 * The destination's peer decides how long bytes wait, so the source's receive
 * limit is small at first ("narrow", NARROW_BYTES). It is raised ("wide") when
 * bytes have passed and the kernel has space for twice the buffer. It is
 * lowered again when the kernel refuses bytes; nothing is received until the
 * kernel accepts them.
 */
#include "relay.h"

/* Bytes after which a direction is worth the memory of a splicing. */
#define SPLICE_FROM_BYTES (64u << 10)
/* The narrow bound: a receive of this many bytes moves bulk (sock_bulk.c). */
#define NARROW_BYTES (32u << 10)

/* Returns the wide bound: the relay's buffer size, minus a sixteenth if `to` is
 * TLS. Computed from the high mark of `to`, which is half of the buffer size
 * for TLS; see relay_way_set_limits(). */
static uint64_t relay_way_wide_bytes(const struct wr_way *way)
{
    /* The program may set this mark. */
    const uint64_t high = way->to->high_bytes;

    wr_assert(way->to != way->from);
    return wr_max_u64(way->to->ops->get_below ? 2 * high - high / 8 : high,
                      WR_CREDIT_MIN);
}

/* Sets the bound of the direction, and when it is checked next: after as many
 * bytes as may wait, or when splicing is worthwhile. */
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

/* Returns true if the kernel has refused bytes of the transport. */
static bool relay_way_has_stalled(const weir_transport *to)
{
    wr_assert(to->is_relayed && to->writing_paused);
    while (to->ops->get_below && to->ops->get_below(to)) {
        to = to->ops->get_below(to);
    }
    return wr_transport_is_connection(to) && wr_outbox_of(to)->is_stalled;
}

static bool relay_way_has_room(const struct wr_way *way)
{
    const int fd = weir_transport_get_socket(way->to);
    const int room = fd >= 0 ? wr_sys_room(fd) : -1;

    wr_assert(way->is_narrow);
    return room < 0 || (uint64_t)room >= 2 * relay_way_wide_bytes(way);
}

static __attribute__((noinline)) void relay_way_look(struct wr_way *way)
{
    wr_assert(way->bytes >= way->look_at);
    if (way->may_splice && way->bytes >= SPLICE_FROM_BYTES) {
        wr_ready_push(&way->relay->loop->ready, &way->relay->step);
    }
    relay_way_set_narrow(way, way->is_narrow && !relay_way_has_room(way));
}

/* Handles a write that `to` has refused with @err. If `to` has failed, its
 * error is the cause. The error is handled here and not in connection_lost,
 * because a paused transport may delay connection_lost. If `to` is only
 * closing, its connection_lost follows and reports the end. */
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

/* Calls the program's tap. Returns false if the tap has ended the relay. */
static __attribute__((noinline)) bool relay_way_tap(struct wr_way *way,
                                                    const struct weir_buf *buf)
{
    struct wr_relay *relay = way->relay;

    wr_assert(buf->len > 0 && wr_way_is_live(way));
    relay->tap(relay->tap_arg, way->party, buf);
    wr_loop_end_if_forked(relay->loop);
    return wr_way_is_live(way);
}

static inline void relay_way_pass(struct wr_way *way,
                                  const struct weir_buf *buf)
{
    if (WR_UNLIKELY(way->is_tapped) && !relay_way_tap(way, buf)) {
        return;
    }
    wr_debug_assert(buf->lease && buf->lease->refs > 0);
    /* weir_transport_write() is faster for few bytes: both copy them. */
    const int err = buf->len < WR_LEASE_LEAST
                        ? weir_transport_write(way->to, buf->data, buf->len)
                        : weir_transport_write_buf(way->to, buf);
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
    } else if (way->rate) { /* dropped bytes */
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
        /* Ends an armed receive, until wr_way_resume_back(). */
        back->is_narrow = true;
        weir_transport_set_read_buffer_limit(back->from, WR_CREDIT_MIN);
    }
}

/* The protocol's resume_writing. May be called without an earlier
 * pause_writing, see weir_transport_set_protocol(). Also called when @t has
 * broken: its error is handled here, because connection_lost may have to wait
 * until the other side has taken the bytes that @t still holds. */
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

/* Passes the end of the stream on with write_eof. If the other direction has
 * ended before, both sides are closed instead, which passes the end on after
 * the queued bytes. */
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

int wr_way_keep(struct wr_way *way, const struct weir_buf *bufs, size_t count)
{
    weir_lease **end = &way->initial;

    wr_assert(!way->initial);
    for (size_t i = 0; i < count; i++) {
        if (bufs[i].len == 0) {
            continue;
        }
        weir_lease *lease = wr_lease_keep_any(
            &way->from->loop->pool, &way->from->demand.account, &bufs[i]);
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
        return; /* both sides were closed when both directions had ended */
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
    way->look_at = wr_add_sat(way->look_at, bytes); /* they do not wait */
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
        /* If splicing is refused, the bytes are delivered. */
        wr_ignore(ops->splice_to(way->from, &way->splicing) < 0);
    }
}

/* Limits the bytes that may wait. `from` may hold all of them, minus a
 * sixteenth if `to` is TLS: sealed bytes are longer, and a kernel segment holds
 * less than 64 KiB. 64 KiB that are sealed and sent at once would be a large
 * segment and a tiny one, which cost a tenth more (Linux 6.18). Also, sealed
 * bytes are no longer charged to `from`: while half of the limit waits sealed,
 * no more is received. */
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
    weir_transport_set_write_buffer_limits(way->to, marks); /* may hold @way */
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
        weir_transport_resume_reading(
            way->from); /* the previous protocol may have paused it */
    }
}
