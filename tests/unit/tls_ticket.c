/*
 * Session tickets: which key encrypts when, and which keys decrypt a ticket.
 *
 * The times are numbers of the tests; no clock is read. A lifetime is 100
 * seconds. The program is linked so that getentropy() comes here.
 */
#include "lib/tls/context/ticket.h"

#include "tests/unit.h"

#include <weir/error.h>

#include <errno.h>
#include <sys/random.h>

enum { TICKET_LIFETIME = 100, TICKET_NOW = 1000000, TICKET_SIZE = 80 };

static struct wr_tls_ticket_keys keys;
static struct wr_tls_ticket_key key;

static struct {
    uint8_t name[WR_TLS_TICKET_NAME];
    uint8_t iv[WR_TLS_TICKET_IV];
    uint8_t tag[WR_TLS_TICKET_TAG];
    uint8_t data[TICKET_SIZE];
    uint8_t host[WR_TLS_TICKET_DIGEST];
} parts;

static const struct wr_tls_ticket ticket = {
    .name = parts.name,
    .iv = parts.iv,
    .tag = parts.tag,
    .data = parts.data,
    .size = sizeof(parts.data),
    .host = parts.host,
};

static bool lacks_random;

int __real_getentropy(void *data, size_t size);
int __wrap_getentropy(void *data, size_t size);

int __wrap_getentropy(void *data, size_t size)
{
    if (lacks_random) {
        errno = ENOSYS;
        return -1;
    }
    return __real_getentropy(data, size);
}

static void ticket_init(void)
{
    expect_ok(
        wr_tls_ticket_keys_init(&keys, NULL, 0, TICKET_LIFETIME, TICKET_NOW));
}

static void ticket_seal(uint64_t now)
{
    expect_ok(wr_tls_backend_get()->start());
    memset(&parts, 's', sizeof(parts));
    expect_ok(wr_tls_backend_get()->start());
    expect_eq(wr_tls_ticket_keys_get(&keys, now, &key), 0);
    expect_eq(wr_tls_ticket_seal(&ticket, &key, now), 0);
}

static bool ticket_open(uint64_t now)
{
    return wr_tls_ticket_keys_find(&keys, ticket.name, &key) &&
           wr_tls_ticket_open(&ticket, &key, now, TICKET_LIFETIME);
}

static bool ticket_names_are_same(const char *one, const char *other)
{
    uint8_t digests[2][WR_TLS_TICKET_DIGEST];
    expect_eq(wr_tls_ticket_digest_name(one, strlen(one), digests[0]), 0);
    expect_eq(wr_tls_ticket_digest_name(other, strlen(other), digests[1]), 0);
    return memcmp(digests[0], digests[1], sizeof(digests[0])) == 0;
}

UNIT(tls_ticket, names_differ_in_more_than_capital_letters)
{
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    cr_assert(ticket_names_are_same("Example.ORG", "example.org"));
    cr_assert(ticket_names_are_same(longest, longest));
    cr_assert(!ticket_names_are_same(longest, longest + 1));
    cr_assert(!ticket_names_are_same("", "a"));
    cr_assert(!ticket_names_are_same("@[`{", "`{@["));
}

UNIT(tls_ticket, a_ticket_is_opened_to_what_was_sealed)
{
    uint8_t plain[TICKET_SIZE];
    memset(plain, 's', sizeof(plain));
    ticket_init();

    ticket_seal(TICKET_NOW);

    expect_neq(memcmp(parts.data, plain, sizeof(plain)), 0);
    cr_assert(ticket_open(TICKET_NOW));
    expect_eq(memcmp(parts.data, plain, sizeof(plain)), 0);
}

UNIT(tls_ticket, two_tickets_have_not_the_same_nonce)
{
    uint8_t first[WR_TLS_TICKET_NONCE];
    ticket_init();
    ticket_seal(TICKET_NOW);
    memcpy(first, parts.iv, sizeof(first));

    ticket_seal(TICKET_NOW);

    expect_neq(memcmp(first, parts.iv, sizeof(first)), 0);
}

UNIT(tls_ticket, a_ticket_with_any_bit_changed_is_refused)
{
    uint8_t *bytes = (uint8_t *)&parts;
    ticket_init();
    for (size_t i = 0; i < sizeof(parts) * 8; i++) {
        ticket_seal(TICKET_NOW);
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        cr_assert(!ticket_open(TICKET_NOW), "bit %zu", i);
    }
}

UNIT(tls_ticket, a_ticket_is_good_for_a_lifetime)
{
    ticket_init();
    ticket_seal(TICKET_NOW);
    cr_assert(ticket_open(TICKET_NOW + TICKET_LIFETIME - 1));
    ticket_seal(TICKET_NOW);
    cr_assert(!ticket_open(TICKET_NOW + TICKET_LIFETIME));
    ticket_seal(TICKET_NOW);
    cr_assert(!ticket_open(TICKET_NOW + UINT32_MAX - 61));
}

UNIT(tls_ticket, a_clock_that_is_a_minute_behind_is_borne)
{
    ticket_init();
    ticket_seal(TICKET_NOW);
    cr_assert(ticket_open(TICKET_NOW - 60));
    ticket_seal(TICKET_NOW);
    cr_assert(!ticket_open(TICKET_NOW - 61));
}

UNIT(tls_ticket, the_low_bits_of_the_time_may_wrap)
{
    const uint64_t before = UINT64_C(0x1FFFFFFFF);
    expect_ok(wr_tls_ticket_keys_init(&keys, NULL, 0, TICKET_LIFETIME, before));
    ticket_seal(before);
    cr_assert(ticket_open(before + TICKET_LIFETIME - 1));
    ticket_seal(before);
    cr_assert(!ticket_open(before + TICKET_LIFETIME));
}

UNIT(tls_ticket, a_key_seals_for_a_lifetime)
{
    uint8_t name[WR_TLS_TICKET_NAME];
    ticket_init();
    ticket_seal(TICKET_NOW);
    memcpy(name, parts.name, sizeof(name));

    ticket_seal(TICKET_NOW + TICKET_LIFETIME - 1);
    expect_eq(memcmp(name, parts.name, sizeof(name)), 0);
    ticket_seal(TICKET_NOW + TICKET_LIFETIME);
    expect_neq(memcmp(name, parts.name, sizeof(name)), 0);
    expect_eq(keys.count, 2);
}

UNIT(tls_ticket, the_key_before_opens_and_the_one_before_it_is_gone)
{
    const uint64_t last = TICKET_NOW + TICKET_LIFETIME - 1;
    ticket_init();
    ticket_seal(last);
    expect_eq(wr_tls_ticket_keys_get(&keys, last + 1, &key), 0);
    cr_assert(ticket_open(last + 1));

    ticket_seal(TICKET_NOW);
    const struct wr_tls_ticket_key first = keys.keys[1];
    expect_ok(wr_tls_ticket_keys_get(&keys, last + 1 + TICKET_LIFETIME, &key));

    cr_assert(!wr_tls_ticket_keys_find(&keys, first.name, &key));
    cr_assert_null(
        memmem(&keys, sizeof(keys), first.secret, sizeof(first.secret)));
}

UNIT(tls_ticket, a_clock_that_is_set_back_ends_a_key)
{
    ticket_init();
    expect_eq(wr_tls_ticket_keys_get(&keys, TICKET_NOW - 1, &key), 0);
    expect_eq(keys.count, 2);
    expect_eq(keys.since, TICKET_NOW - 1);
}

UNIT(tls_ticket, a_name_of_zeros_is_that_of_no_key)
{
    static const uint8_t zeros[WR_TLS_TICKET_NAME];
    ticket_init();
    cr_assert_not(wr_tls_ticket_keys_find(&keys, zeros, &key));
}

UNIT(tls_ticket, without_random_bytes_there_is_no_key_and_no_ticket)
{
    const uint64_t later = TICKET_NOW + TICKET_LIFETIME;
    ticket_init();
    ticket_seal(TICKET_NOW);
    const struct wr_tls_ticket_keys before = keys;
    struct wr_tls_ticket_keys others;

    lacks_random = true;
    expect_eq(wr_tls_ticket_keys_get(&keys, later, &key), WEIR_ETLSENGINE);
    expect_eq(memcmp(&keys, &before, sizeof(keys)), 0);
    expect_eq(wr_tls_ticket_keys_get(&keys, TICKET_NOW, &key), 0);
    expect_eq(wr_tls_ticket_seal(&ticket, &key, TICKET_NOW), WEIR_ETLSENGINE);
    expect_eq(wr_tls_ticket_keys_init(&others, NULL, 0, TICKET_LIFETIME, 1),
              WEIR_ETLSENGINE);
    lacks_random = false;

    expect_eq(wr_tls_ticket_keys_get(&keys, later, &key), 0);
    expect_eq(keys.count, 2);
}

UNIT(tls_ticket, keys_of_the_user_do_not_change)
{
    uint8_t given[3 * sizeof(key)];
    memset(given, 1, sizeof(given));
    memset(given + sizeof(key), 2, sizeof(key));
    memset(given + 2 * sizeof(key), 3, sizeof(key));
    expect_ok(wr_tls_ticket_keys_init(&keys, given, sizeof(given),
                                      TICKET_LIFETIME, TICKET_NOW));

    ticket_seal(TICKET_NOW + 5 * TICKET_LIFETIME);
    expect_eq(keys.count, 3);
    expect_eq(parts.name[0], 1);
    cr_assert(wr_tls_ticket_keys_find(&keys, given + 2 * sizeof(key), &key));
    expect_eq(key.secret[0], 3);

    wr_tls_ticket_keys_fini(&keys);
    expect_eq(keys.keys[0].secret[0], 0);
}

static struct wr_tls_ticket_pair ticket_derive(const uint8_t *name)
{
    struct wr_tls_ticket_pair pair;
    expect_ok(wr_tls_backend_get()->start());
    cr_assert(wr_tls_ticket_keys_derive(&keys, name, &pair));
    return pair;
}

static bool ticket_is_pair_of(const struct wr_tls_ticket_pair *pair,
                              const uint8_t *secret)
{
    const struct wr_bytes from = {secret, WR_TLS_TICKET_SECRET};
    struct wr_tls_ticket_pair want;
    expect_ok(wr_tls_backend_get()->expand(WR_X509_HASH_SHA256, from,
                                           "ticket cipher", want.cipher,
                                           sizeof(want.cipher)));
    expect_ok(wr_tls_backend_get()->expand(
        WR_X509_HASH_SHA256, from, "ticket mac", want.mac, sizeof(want.mac)));
    return memcmp(&want, pair, sizeof(want)) == 0;
}

UNIT(tls_ticket, two_keys_are_derived_from_the_secret_of_a_name)
{
    static const uint8_t zeros[WR_TLS_TICKET_NAME];
    struct wr_tls_ticket_pair pair;
    uint8_t given[2 * sizeof(key)];
    memset(given, 1, sizeof(key));
    memset(given + sizeof(key), 2, sizeof(key));
    expect_ok(wr_tls_ticket_keys_init(&keys, given, sizeof(given),
                                      TICKET_LIFETIME, TICKET_NOW));

    for (size_t i = 0; i < 4; i++) {
        const uint8_t *name = given + i % 2 * sizeof(key);
        pair = ticket_derive(name);
        cr_assert(ticket_is_pair_of(&pair, name + WR_TLS_TICKET_NAME));
        expect_neq(memcmp(pair.cipher, pair.mac, sizeof(pair.mac)), 0);
    }
    cr_assert_not(wr_tls_ticket_keys_derive(&keys, zeros, &pair));
}

UNIT(tls_ticket, a_pair_follows_its_key_when_the_keys_rotate)
{
    ticket_init();
    const struct wr_tls_ticket_key first = keys.keys[0];
    const struct wr_tls_ticket_pair old = ticket_derive(first.name);

    expect_ok(
        wr_tls_ticket_keys_get(&keys, TICKET_NOW + TICKET_LIFETIME, &key));
    struct wr_tls_ticket_pair pair = ticket_derive(key.name);
    cr_assert(ticket_is_pair_of(&pair, key.secret));
    pair = ticket_derive(first.name);
    expect_eq(memcmp(&pair, &old, sizeof(pair)), 0);

    expect_ok(
        wr_tls_ticket_keys_get(&keys, TICKET_NOW + 2 * TICKET_LIFETIME, &key));
    cr_assert_not(wr_tls_ticket_keys_derive(&keys, first.name, &pair));
    cr_assert_null(memmem(&keys, sizeof(keys), old.mac, sizeof(old.mac)));
}

UNIT(tls_ticket, a_pair_is_of_the_keys_that_were_handed_over)
{
    struct wr_tls_ticket_saved saved;
    ticket_init();
    const struct wr_tls_ticket_pair old = ticket_derive(keys.keys[0].name);
    wr_tls_ticket_keys_save(&keys, &saved);
    memset(saved.keys[0].secret, 9, sizeof(saved.keys[0].secret));

    expect_ok(wr_tls_ticket_keys_load(&keys, &saved));

    cr_assert_null(memmem(&keys, sizeof(keys), old.mac, sizeof(old.mac)));
    const struct wr_tls_ticket_pair pair = ticket_derive(keys.keys[0].name);
    cr_assert(ticket_is_pair_of(&pair, saved.keys[0].secret));
    wr_tls_ticket_keys_fini(&keys);
    cr_assert_null(memmem(&keys, sizeof(keys), pair.mac, sizeof(pair.mac)));
}

UNIT(tls_ticket, keys_of_the_user_have_a_size)
{
    uint8_t given[5 * sizeof(key)] = {0};
    const size_t bad[] = {0, 1, sizeof(key) - 1, sizeof(key) + 1,
                          5 * sizeof(key)};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(wr_tls_ticket_keys_init(&keys, given, bad[i], 1, 1), -EINVAL);
    }
    expect_eq(wr_tls_ticket_keys_init(&keys, NULL, 48, 1, 1), -EINVAL);
    expect_eq(wr_tls_ticket_keys_init(&keys, given, 4 * sizeof(key), 1, 1), 0);
}
