/*
 * The rig of the relays' tests; see relay_rig.h.
 *
 * The bytes of both directions are the harness's pattern: bytes sent by one
 * side's peer are compared where the other side's peer reads them.
 */
#include "tests/contract/relay_rig.h"

static void relay_done(void *arg, int err,
                       const struct weir_relay_record *record)
{
    struct relayed *r = arg;
    expect_eq(r->done_count, 0);
    expect_eq(record->size, sizeof(*record));
    expect_eq(record->err, err);
    expect(weir_transport_is_closing(r->a->t));
    expect(weir_transport_is_closing(r->b.t));
    r->done_count++;
    r->done_err = err;
    r->record = *record;
    r->pending = NULL;
    r->a->lost_count = 1; /* for the harness */
    r->b.lost_count = 1;
}

static struct {
    size_t number;
    bool small_buffers;
    bool splices;
    void (*body)(struct relayed *r);
} round_of;

int relay_rig_try(struct relayed *r, const struct weir_relay_options *options)
{
    struct weir_relay_options known = {.size = sizeof(known)};

    if (options) {
        known = *options;
    }
    known.splice = known.splice || round_of.splices;
    return weir_relay(r->a->t, r->b.t, &known, relay_done, r, &r->pending);
}

void relay_rig_begin(struct relayed *r,
                     const struct weir_relay_options *options)
{
    expect_eq(relay_rig_try(r, options), 0);
    expect(r->pending != NULL);
}

int relay_rig_end(struct relayed *r)
{
    RUN_UNTIL(r->a->loop, r->done_count > 0);
    return r->done_err;
}

void relay_rig_move(struct rig *from, struct rig *to, uint64_t len,
                    size_t piece)
{
    while (len > 0) {
        const size_t part = len < piece ? (size_t)len : piece;
        rig_peer_send(from, part);
        rig_peer_read(to, part);
        len -= part;
    }
}

int relay_rig_end_of(struct rig *side)
{
    return rig_peer_read_end(side);
}

static void play_round(struct rig *a)
{
    struct relayed r = {.a = a, .b = {.small_buffers = a->small_buffers}};

    rig_begin_beside(&r.b, a, round_of.number);
    round_of.body(&r);
    expect_eq(r.done_count, 1);
    rig_end_beside(&r.b);
}

static void play_rounds(const struct rig *first, size_t number, bool splices)
{
    round_of.number = number;
    round_of.splices = splices;
    rig_rounds(first, RIG_BOTH_WAYS, play_round);
    round_of.splices = false;
}

void relay_rig_pairings(unsigned int a, unsigned int b, bool small_buffers,
                        void (*body)(struct relayed *r))
{
    const struct rig first = {.needs = a | RIG_BOTH_WAYS,
                              .small_buffers = small_buffers};

    round_of.body = body;
    for (size_t i = 0; i < rig_maker_count(); i++) {
        if (rig_has_traits(i, b | RIG_BOTH_WAYS)) {
            play_rounds(&first, i, false);
        }
        if (rig_has_traits(i, b | RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
            play_rounds(&first, i, true);
        }
    }
}

void relay_rig_splicing(unsigned int a, unsigned int b,
                        void (*body)(struct relayed *r))
{
    const struct rig first = {.needs = a | RIG_BOTH_WAYS | RIG_IS_PLAIN};

    round_of.body = body;
    for (size_t i = 0; i < rig_maker_count(); i++) {
        if (rig_has_traits(i, b | RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
            play_rounds(&first, i, true);
        }
    }
}

void relay_rig_run(void (*body)(struct relayed *r))
{
    struct rig own = {.needs = RIG_BOTH_WAYS | RIG_IS_PLAIN | RIG_CAN_RESET};

    round_of.body = body;
    round_of.number = 0;
    expect(rig_next_that(&own, own.needs));
    play_round(&own);
    while (rig_next_that(&own, own.needs)) {
    }
}
