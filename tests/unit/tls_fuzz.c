/*
 * The TLS engine with a wire that changes its bytes: bits flip, bytes are lost,
 * repeated and invented, flights are cut and arrive in pieces, at random.
 *
 * Whatever happens, an engine ends or waits, uses little memory, and decrypts
 * only what the other side encrypted, in order. The seed is printed and
 * accepted.
 */
#include "lib/tls/engine/engine_impl.h"
#include "tests/unit/random.h"
#include "tests/unit/tls_rig.h"

#include <errno.h>

enum { FUZZ_RUNS = 1500, FUZZ_TEXT = 40000 };

static struct tls_pair pair;
static struct unit_random fuzz_random;
static uint8_t fuzz_text[FUZZ_TEXT];

static uint8_t *fuzz_place(struct tls_side *side)
{
    return &side->wire[unit_random_below(&fuzz_random, side->wire_len)];
}

/* Makes one change to the wire of @side, which is not empty. */
static void fuzz_alter(struct tls_side *side)
{
    uint8_t *place = fuzz_place(side);
    const size_t behind = side->wire_len - (size_t)(place - side->wire);
    const size_t some = 1 + unit_random_below(&fuzz_random, 9);

    switch (unit_random_below(&fuzz_random, 6)) {
    case 0:
        *place ^= (uint8_t)(1u << unit_random_below(&fuzz_random, 8));
        break;
    case 1:
        *place = (uint8_t)unit_random_next(&fuzz_random);
        break;
    case 2: /* the lengths of messages are in the first bytes */
        side->wire[unit_random_below(&fuzz_random,
                                     wr_min_u64(side->wire_len, 64))] =
            (uint8_t)unit_random_next(&fuzz_random);
        break;
    case 3:
        side->wire_len -= behind - 1;
        break;
    case 4: /* some bytes are lost */
        if (some < behind) {
            memmove(place, place + some, behind - some);
            side->wire_len -= some;
        }
        break;
    default: /* some are repeated */
        memmove(place + some, place, behind);
        side->wire_len += some;
        break;
    }
}

static void fuzz_check(const struct tls_side *side)
{
    cr_assert_leq(side->plain_len, FUZZ_TEXT);
    cr_assert_eq(memcmp(side->plain, fuzz_text, side->plain_len), 0);
    cr_assert_lt(side->wire_len, 100000);
    cr_assert(side->result != 0 ||
              side->engine.state == WR_TLS_ENGINE_RECEIVED_CLOSE ||
              side->engine.state == WR_TLS_ENGINE_CLOSED);
    cr_assert_lt(pair.account.allocator.live_bytes, 200u << 10);
}

/* Writes data, once a side is open. */
static void fuzz_write(struct tls_side *side, size_t *done)
{
    const size_t len = unit_random_below(&fuzz_random, 4000);
    if (side->engine.state == WR_TLS_ENGINE_OPEN && *done + len <= FUZZ_TEXT &&
        len > 0) {
        expect_ok(wr_tls_engine_write(&side->engine, fuzz_text + *done, len));
        *done += len;
    }
    if (side->engine.state == WR_TLS_ENGINE_OPEN &&
        unit_random_below(&fuzz_random, 20) == 0) {
        cr_assert_eq(wr_tls_engine_close(&side->engine), 0);
    }
    tls_side_flush(side);
}

/* Sends some early data in one record. */
static void fuzz_send_early(void)
{
    const size_t size = unit_random_below(&fuzz_random, 3000);
    uint8_t *record = pair.client.wire + pair.client.wire_len;

    memcpy(record, (uint8_t[]){23, 3, 3, (uint8_t)(size >> 8), (uint8_t)size},
           5);
    tls_rig_fill(record + 5, size, (unsigned)size);
    pair.client.wire_len += 5 + size;
}

/* @early: the hello, which is then not changed, offers early data. */
static void fuzz_run(const struct tls_rig_options *options, bool early)
{
    const uint64_t altered = unit_random_below(&fuzz_random, 8);
    size_t done[2] = {0, 0};
    cr_assert_eq(tls_rig_open(&pair, options), 0);
    tls_side_step(&pair.client);
    early = early && altered > 0;
    cr_assert(!early || wr_tls_engine_expect_early(&pair.server.engine));
    for (unsigned i = 0; i < 12; i++) {
        struct tls_side *from = i & 1 ? &pair.server : &pair.client;
        struct tls_side *to = i & 1 ? &pair.client : &pair.server;
        fuzz_write(from, &done[i & 1]);
        if (i == altered && from->wire_len > 0) {
            fuzz_alter(from);
        }
        tls_pair_move(from, to,
                      1 + unit_random_below(&fuzz_random, i & 2 ? 10 : 20000));
        fuzz_check(from);
        fuzz_check(to);
        if (early && i == 0) {
            fuzz_send_early();
        }
    }
    wr_tls_engine_feed_eof(&pair.client.engine);
    wr_tls_engine_feed_eof(&pair.server.engine);
    tls_side_step(&pair.client);
    tls_side_step(&pair.server);
    fuzz_check(&pair.client);
    fuzz_check(&pair.server);
    cr_assert_neq(pair.client.result, -EAGAIN);
    cr_assert_neq(pair.server.result, -EAGAIN);
    tls_rig_close(&pair);
}

static void fuzz_version(int version, bool early)
{
    const struct tls_rig_options options = {.version = version};
    unit_random_seed(&fuzz_random);
    tls_rig_fill(fuzz_text, sizeof(fuzz_text), 17);
    tls_rig_init(&pair, &options);
    for (int i = 0; i < FUZZ_RUNS; i++) {
        fuzz_run(&options, early);
    }
    memset(&pair.client.engine, 0, sizeof(pair.client.engine));
    tls_pair_disconnect(&pair);
}

UNIT(tls_fuzz, a_wire_that_alters_tls_12_brings_nothing_that_was_not_sealed)
{
    fuzz_version(12, false);
}

UNIT(tls_fuzz, a_wire_that_alters_tls_13_brings_nothing_that_was_not_sealed)
{
    fuzz_version(13, false);
}

UNIT(tls_fuzz, nor_does_one_that_alters_early_data)
{
    fuzz_version(13, true);
}
