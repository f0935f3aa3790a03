/*
 * The payload stream reveals transmission errors: a changed byte, lost,
 * repeated and exchanged blocks, and responses of another connection.
 *
 * Random tests print their seed and accept it.
 */
#include "tools/load/payload.c"

#include "tests/unit/random.h"

enum { LONG = 512 * 1024 };

static struct payload payload;
static uint8_t wire[LONG];

/* The response of a correct server. */
static void echo(uint32_t start, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        wire[i] = payload.bytes[payload_after(start, i)];
    }
}

UNIT(load_payload, a_faithful_echo_matches_from_every_position)
{
    struct unit_random random;

    unit_random_seed(&random);
    payload_init(&payload, 1);
    for (int i = 0; i < 200; i++) {
        uint32_t start = (uint32_t)(unit_random_next(&random) % PAYLOAD_PERIOD);
        size_t len = (size_t)(unit_random_next(&random) % LONG) + 1;
        echo(start, len);
        expect_eq(payload_match(&payload, start, wire, len), len);
    }
}

UNIT(load_payload, every_position_has_its_reach_in_memory)
{
    payload_init(&payload, 1);

    echo(PAYLOAD_PERIOD - 1, PAYLOAD_REACH);

    expect_eq(memcmp(wire, payload.bytes + PAYLOAD_PERIOD - 1, PAYLOAD_REACH),
              0);
}

UNIT(load_payload, the_first_changed_byte_is_found)
{
    static const size_t places[] = {0, 1, 127, 65520, 65521, 262143, 400000};

    payload_init(&payload, 1);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        echo(77, LONG);
        wire[places[i]] ^= 0x10;
        expect_eq(payload_match(&payload, 77, wire, LONG), places[i]);
    }
}

UNIT(load_payload, a_lost_block_of_any_usual_size_is_noticed)
{
    payload_init(&payload, 1);
    for (size_t lost = 1; lost <= LONG / 2; lost *= 2) {
        echo(0, LONG);
        size_t good = payload_match(&payload, 0, wire + lost, 64);
        expect_lt(good, 64, "%zu bytes were lost unnoticed", lost);
    }
}

UNIT(load_payload, exchanged_requests_are_noticed)
{
    static const size_t sizes[] = {16, 128, 1024, 65536};

    payload_init(&payload, 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        echo(0, LONG);
        size_t good = payload_match(&payload, 0, wire + sizes[i], sizes[i]);
        expect_lt(good, sizes[i]);
    }
}

UNIT(load_payload, connections_and_their_lives_begin_elsewhere)
{
    uint32_t first = payload_start(9, 0, 0);

    expect_eq(payload_start(9, 0, 0), first);
    expect_neq(payload_start(9, 1, 0), first);
    expect_neq(payload_start(9, 0, 1), first);
    expect_neq(payload_start(10, 0, 0), first);
    for (uint64_t i = 0; i < 10000; i++) {
        expect_lt(payload_start(9, i, i / 3), PAYLOAD_PERIOD);
    }
}

UNIT(load_payload, as_much_of_it_as_asked_for_lies_in_a_row)
{
    static uint8_t bytes[PAYLOAD_PERIOD + LONG];

    payload_fill(bytes, sizeof(bytes), 1);
    payload_init(&payload, 1);
    for (uint32_t start = 0; start < PAYLOAD_PERIOD; start += 4099) {
        expect_eq(payload_match(&payload, start, bytes + start, LONG), LONG);
    }
}

UNIT(load_payload, a_seed_is_a_stream)
{
    static struct payload other;

    payload_init(&payload, 1);
    payload_init(&other, 1);
    expect_eq(memcmp(&payload, &other, sizeof(other)), 0);
    payload_init(&other, 2);
    expect_neq(memcmp(&payload, &other, 64), 0);
}

UNIT(load_payload, the_period_is_prime)
{
    for (uint32_t i = 2; i * i <= PAYLOAD_PERIOD; i++) {
        expect_neq(PAYLOAD_PERIOD % i, 0);
    }
}

UNIT(load_payload, a_connection_has_a_random_number_of_its_own)
{
    cr_assert(payload_chance(1, 2, 3) == payload_chance(1, 2, 3));
    cr_assert(payload_chance(1, 2, 3) != payload_chance(2, 2, 3));
    cr_assert(payload_chance(1, 2, 3) != payload_chance(1, 3, 3));
    cr_assert(payload_chance(1, 2, 3) != payload_chance(1, 2, 4));
}
