/*
 * Relays: their creation from two transports, and the record that the program
 * gets at the end.
 *
 * The relay is over when both transports are lost: relay_state.c closes or
 * aborts them, even at the end of the loop. A broken side is lost after its
 * last bytes were delivered, and the other side is aborted when it has sent
 * these bytes.
 */
#include "relay.h"

#include "weir/error.h"

#include <errno.h>
#include <string.h>

#define BUFFER_DEFAULT UINT64_C(65536)
#define BUFFER_MOST    (UINT64_C(1) << 30)
#define RATE_MOST      (UINT64_C(1) << 40)

static void relay_free(struct wr_relay *relay)
{
    for (int i = 0; i < 2; i++) {
        wr_way_drop_initial(&relay->ways[i]);
        if (WR_UNLIKELY(relay->ways[i].rate)) {
            wr_way_free_rate(&relay->ways[i]);
        }
    }
    if (WR_UNLIKELY(relay->drain)) {
        wr_free(&relay->loop->counting, relay->drain, sizeof(*relay->drain));
    }
    wr_ready_cancel(&relay->step);
    wr_relay_give(relay);
}

static struct weir_relay_record relay_describe(const struct wr_relay *relay)
{
    const struct wr_way *a = &relay->ways[WEIR_RELAY_A];
    const struct wr_way *b = &relay->ways[WEIR_RELAY_B];

    wr_assert(a->from == b->to);
    return (struct weir_relay_record){
        .size = sizeof(struct weir_relay_record),
        .a_bytes = a->bytes,
        .b_bytes = b->bytes,
        .start_ns = relay->start_ns,
        .a_first_ns = a->first_ns,
        .b_first_ns = b->first_ns,
        .ended_by = relay->ended_by,
        .cause = relay->cause,
        .err = relay->err,
        .a_spliced_bytes = a->spliced_bytes,
        .b_spliced_bytes = b->spliced_bytes,
    };
}

static void relay_finish(struct wr_relay *relay)
{
    struct weir_relay_record record = relay_describe(relay);
    weir_transport *const a = relay->ways[WEIR_RELAY_A].from;
    weir_transport *const b = relay->ways[WEIR_RELAY_B].from;

    wr_relay_set_state(relay, WR_RELAY_OVER);
    wr_assert(relay->has_cause);
    wr_relay_time_stop(relay);
    record.end_ns = weir_loop_get_time(relay->loop);
    if (relay->done) {
        relay->done(relay->done_arg, record.err, &record);
        wr_loop_end_if_forked(relay->loop);
    }
    relay_free(relay);
    wr_transport_unref(a);
    wr_transport_unref(b);
}

/* Called for the first error of a side, before the last bytes of this side are
 * delivered. These bytes may wait until the other side has space. */
static void relay_broke(void *user, weir_transport *t, int err,
                        const struct weir_address *peer)
{
    struct wr_way *way = user;
    (void)peer;

    wr_assert(way->from == t && err < 0);
    wr_ready_push(&way->relay->loop->ready, &way->relay->step);
}

static void relay_lost(void *user, weir_transport *t, int err)
{
    struct wr_way *way = user;
    struct wr_relay *relay = way->relay;

    wr_relay_check_invariants(relay);
    wr_assert(way->from == t && !way->is_lost);
    way->is_lost = true;
    if (err < 0) {
        wr_relay_fail(way, err);
    } else if (relay->state == WR_RELAY_OPEN || t->end == WEIR_END_ABORTED) {
        wr_relay_break(relay, WEIR_RELAY_PROGRAM, WEIR_RELAY_CANCELED,
                       -ECANCELED); /* aborted by the program */
    }
    if (wr_way_back(way)->is_lost) {
        relay_finish(relay);
    } else if (relay->state == WR_RELAY_DRAINING && way == relay->drain->way) {
        wr_relay_drain_look(relay);
    } else if (relay->state == WR_RELAY_DRAINING) {
        /* The draining side is lost. It has sent all bytes, or cannot send any
         * more. */
        wr_relay_break_by(relay->drain->way, relay->err);
    }
}

static const struct weir_protocol relay_protocol = {
    .size = sizeof(relay_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_lost = relay_lost,
    .pause_writing = wr_way_pause_back,
    .resume_writing = wr_way_resume_back,
    .data_received = wr_way_received,
    .eof_received = wr_way_received_end,
    .error_received = relay_broke,
};

static void relay_give_up(weir_pending *pending)
{
    struct wr_relay *relay = wr_container_of(pending, struct wr_relay, pending);

    wr_assert(relay->done);
    wr_relay_break(relay, WEIR_RELAY_PROGRAM, WEIR_RELAY_CANCELED, -ECANCELED);
}

static void relay_step(struct wr_ready *ready)
{
    struct wr_relay *relay = wr_container_of(ready, struct wr_relay, step);

    wr_relay_check_invariants(relay);
    for (int i = 0; i < 2; i++) {
        struct wr_way *way = &relay->ways[i];
        const int err = way->is_lost ? 0 : weir_transport_get_error(way->from);
        wr_assert(err <= 0);
        if (err < 0) {
            wr_relay_fail(way, err);
        }
    }
    for (int i = 0; i < 2; i++) {
        wr_way_pass_initial(&relay->ways[i]);
        wr_way_splice_if_due(&relay->ways[i]);
    }
}

static int relay_check_options(struct weir_relay_options *options)
{
    if (options->buffer_bytes == 0) {
        options->buffer_bytes = BUFFER_DEFAULT;
    }
    wr_require(options->buffer_bytes >= WR_CREDIT_MIN &&
                   options->buffer_bytes <= BUFFER_MOST,
               -EINVAL);
    wr_require(options->a_rate_bytes <= RATE_MOST &&
                   options->b_rate_bytes <= RATE_MOST,
               -EINVAL);
    wr_require(options->a_initial || options->a_initial_count == 0, -EINVAL);
    wr_require(options->b_initial || options->b_initial_count == 0, -EINVAL);
    return 0;
}

static int relay_check_side(weir_transport *t, bool *ret_has_ended)
{
    struct wr_handover handover;
    int err = wr_transport_enter(t);

    wr_require(err >= 0, err);
    wr_require(t->ops->get_handover && t->ops->can_write_eof, -EOPNOTSUPP);
    wr_require(t->state >= WR_LIFE_OPEN, -EBUSY);
    err = t->ops->write(t, NULL, 0); /* checks the state, writes nothing */
    wr_require(err >= 0, err);
    wr_require(!weir_transport_is_closing(t), -ESHUTDOWN);
    wr_require(!t->is_part, -EOPNOTSUPP);
    t->ops->get_handover(t, &handover);
    wr_require(!handover.is_new, -EBUSY);
    *ret_has_ended =
        handover.has_ended && !wr_delivery_has_end(wr_delivery_of(t));
    return 0;
}

/* Creates a relay without its timers and initial bytes, which has not taken the
 * transports over yet. */
static struct wr_relay *relay_make(weir_transport *const sides[2],
                                   const struct weir_relay_options *options)
{
    weir_loop *loop = sides[0]->loop;
    struct wr_relay *relay = wr_relay_take(loop);

    if (!relay) {
        return NULL;
    }
    relay->pending.loop = loop;
    relay->pending.give_up = relay_give_up;
    for (int i = 0; i < 2; i++) {
        struct wr_way *way = &relay->ways[i];
        way->relay = relay;
        way->from = sides[i];
        way->to = sides[!i];
        way->party = i == 0 ? WEIR_RELAY_A : WEIR_RELAY_B;
        way->may_splice = options->splice;
        way->is_tapped = options->tap != NULL;
    }
    wr_ready_init(&relay->step, relay_step);
    relay->tap = options->tap;
    relay->tap_arg = options->tap_arg;
    relay->closes_at_once = options->close_at_first_end;
    wr_assert(relay->state == WR_RELAY_OPEN);
    return relay;
}

static int relay_keep(struct wr_relay *relay,
                      const struct weir_relay_options *options)
{
    int err = wr_relay_time_init(relay, options);

    wr_assert(relay->state == WR_RELAY_OPEN);
    wr_require(err == 0, err);
    err = wr_way_keep(&relay->ways[WEIR_RELAY_A], options->a_initial,
                      options->a_initial_count);
    wr_require(err == 0, err);
    return wr_way_keep(&relay->ways[WEIR_RELAY_B], options->b_initial,
                       options->b_initial_count);
}

/* A checked transport cannot refuse a protocol without initial bytes. */
static void relay_bind(struct wr_relay *relay,
                       const struct weir_relay_options *options)
{
    for (int i = 0; i < 2; i++) {
        struct wr_way *way = &relay->ways[i];
        const struct weir_protocol_binding binding = {
            .protocol = &relay_protocol, .user = way};
        const int err =
            weir_transport_set_protocol(way->from, &binding, NULL, 0);
        wr_assert(err == 0);
        (void)err;
        wr_assert(!way->from->is_part);
        way->from->is_part = true;
        way->from->is_relayed = true;
        if (options->ignore_unexpected_eof &&
            way->from->ops->ignore_unexpected_eof) {
            way->from->ops->ignore_unexpected_eof(way->from);
        }
        weir_transport_ref(way->from);
        weir_transport_set_busy(way->from, true);
    }
}

int weir_relay(weir_transport *a, weir_transport *b,
               const struct weir_relay_options *options,
               weir_relay_done_fn *done, void *done_arg, weir_pending **ret)
{
    struct weir_relay_options known;
    weir_transport *const sides[2] = {a, b};
    bool has_ended[2];

    wr_require(a && b, -EINVAL);
    wr_require_loop(a->loop);
    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    err = relay_check_options(&known);
    wr_require(err >= 0, err);
    wr_require(done || !ret, -EINVAL);
    for (int i = 0; i < 2; i++) {
        wr_require(sides[i]->loop == a->loop, -EINVAL);
        err = relay_check_side(sides[i], &has_ended[i]);
        wr_require(err >= 0, err);
    }
    wr_require(a != b, -EINVAL);
    struct wr_relay *relay = relay_make(sides, &known);
    wr_require(relay, -ENOMEM);
    err = relay_keep(relay, &known);
    if (err < 0) {
        relay_free(relay);
        return err;
    }
    relay->done = done;
    relay->done_arg = done_arg;
    relay_bind(relay, &known);
    wr_way_begin(&relay->ways[0], known.buffer_bytes, has_ended[0]);
    wr_way_begin(&relay->ways[1], known.buffer_bytes, has_ended[1]);
    wr_relay_time_begin(relay);
    if (ret) {
        *ret = &relay->pending;
    }
    return 0;
}

int weir_relay_get_record(const weir_pending *relay,
                          struct weir_relay_record *ret)
{
    wr_require(relay && relay->give_up == relay_give_up, -EINVAL);
    wr_require_loop(relay->loop);
    const int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    const struct weir_relay_record record =
        relay_describe(wr_container_of(relay, struct wr_relay, pending));
    wr_answer_write(ret, &record, sizeof(record));
    return 0;
}
