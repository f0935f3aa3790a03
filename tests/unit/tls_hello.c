/*
 * The parser of hellos: for which hellos the name is known, that everything
 * else is unknown, and that no input makes it read out of bounds.
 *
 * The hello is built here, so that each part of it can be wrong.
 */
#include "lib/base/hello.h"

#include "tests/unit/random.h"
#include "uring/check.h"

/* A name, a ticket. */
#define HELLO_NAME_EXTENSION   "\0\0\0\x0e\0\x0c\0\0\x09localhost"
#define HELLO_TICKET_EXTENSION "\0\x23\0\x02tt"

static uint8_t hello[512];
static size_t hello_size;
static struct wr_tls_hello hello_found;

static void hello_put(const void *data, size_t size)
{
    memcpy(hello + hello_size, data, size);
    hello_size += size;
}

static void hello_put_extensions(const void *data, size_t size)
{
    const uint8_t len[2] = {0, (uint8_t)size};
    hello_put(len, 2);
    hello_put(data, size);
    hello[3] = (uint8_t)(hello_size - 4);
}

/* Writes everything before the extensions. */
static void hello_begin(void)
{
    hello_size = 0;
    hello_put("\1\0\0\0\3\3", 6);
    hello_put("rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", 32);
    hello_put("\2ss\0\2\xc0\x2b\1\0", 9);
}

static bool hello_read(void)
{
    return wr_tls_hello_read(hello, hello_size, true, &hello_found);
}

static bool hello_read_extensions(const void *data, size_t size)
{
    hello_begin();
    hello_put_extensions(data, size);
    return hello_read();
}

#define HELLO_READ(text) hello_read_extensions((text), sizeof(text) - 1)

/* The hello is read, and one of its extensions is malformed. */
#define HELLO_IS_ODD(text) (HELLO_READ(text) && hello_found.is_odd)

static void hello_expect_localhost(void)
{
    expect_eq(hello_found.name.size, 9);
    expect_eq(memcmp(hello_found.name.data, "localhost", 9), 0);
}

UNIT(tls_hello, the_name_is_known_before_and_behind_a_ticket)
{
    cr_assert(HELLO_READ(HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION));
    cr_assert(hello_found.has_ticket);
    hello_expect_localhost();
    cr_assert(HELLO_READ("\0\x17\0\0" HELLO_TICKET_EXTENSION
                         "\0\x0b\0\2\1\0" HELLO_NAME_EXTENSION));
    cr_assert(hello_found.has_ticket);
    hello_expect_localhost();
    cr_assert(HELLO_READ(HELLO_TICKET_EXTENSION));
    cr_assert(hello_found.has_ticket);
    cr_assert_null(hello_found.name.data);
}

UNIT(tls_hello, early_data_is_told_and_has_no_bytes_in_the_hello)
{
    cr_assert(HELLO_READ("\0\x2a\0\0" HELLO_NAME_EXTENSION));
    cr_assert(hello_found.has_early_data);
    hello_expect_localhost();
    cr_assert(HELLO_READ(HELLO_NAME_EXTENSION));
    cr_assert(!hello_found.has_early_data);
    cr_assert(HELLO_IS_ODD("\0\x2a\0\1x"));
}

UNIT(tls_hello, a_hello_without_a_ticket_is_plain)
{
    cr_assert(HELLO_READ(HELLO_NAME_EXTENSION));
    cr_assert(!hello_found.has_ticket);
    cr_assert(HELLO_READ("\0\x23\0\0"));
    cr_assert(!hello_found.has_ticket, "it asks for one");
    cr_assert(HELLO_READ(""));
    cr_assert(!hello_found.has_ticket && !hello_found.lacks_extensions);
    hello_begin();
    hello[3] = (uint8_t)(hello_size - 4);
    cr_assert(hello_read());
    cr_assert(hello_found.lacks_extensions, "no extensions at all");
}

UNIT(tls_hello, the_protocols_and_the_session_are_seen)
{
    cr_assert(HELLO_READ("\0\x10\0\5\0\3\2h2" HELLO_NAME_EXTENSION));
    cr_assert(hello_found.has_session);
    expect_eq(hello_found.protocols.size, 5);
    expect_eq(memcmp(hello_found.protocols.data, "\0\3\2h2", 5), 0);
    cr_assert(HELLO_READ(HELLO_NAME_EXTENSION));
    cr_assert_null(hello_found.protocols.data);
    hello[38] = 0; /* "ss" is also read as suites */
    wr_ignore(hello_read());
    cr_assert(!hello_found.has_session);
}

UNIT(tls_hello, an_extension_that_is_malformed_is_left_out)
{
    cr_assert(HELLO_IS_ODD("\0\0\0\x0a\0\x08\0\0\1a\0\0\1b"), "two names");
    cr_assert_null(hello_found.name.data);
    cr_assert(HELLO_IS_ODD("\0\0\0\6\0\4\1\0\1a"), "a name of another type");
    cr_assert_null(hello_found.name.data);
    cr_assert(HELLO_IS_ODD("\0\0\0\1x"), "no list");
    cr_assert(HELLO_IS_ODD("\0\0\0\0" HELLO_TICKET_EXTENSION), "nothing");
    cr_assert(hello_found.has_ticket, "others are read");
    cr_assert(HELLO_IS_ODD("\0\0\0\5\0\3\0\0\0"), "a name of no bytes");
    expect_eq(hello_found.odd_name.size, 0);
    cr_assert(HELLO_IS_ODD("\0\0\0\7\0\5\0\0\2a\0"), "a NUL in a name");
    cr_assert_null(hello_found.name.data);
    expect_eq(hello_found.odd_name.size, 2);
    expect_eq(memcmp(hello_found.odd_name.data, "a\0", 2), 0);
    cr_assert(HELLO_IS_ODD("\0\x10\0\5\0\3\2h2\0\x10\0\5\0\3\2h3"),
              "two lists of protocols");
    expect_eq(hello_found.protocols.data[4], '2', "the first one");
    cr_assert(HELLO_READ(HELLO_NAME_EXTENSION) && !hello_found.is_odd);
}

UNIT(tls_hello, what_is_not_exactly_a_hello_is_unknown)
{
    cr_assert(
        !HELLO_READ(
            HELLO_NAME_EXTENSION HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION),
        "two lists of names");
    cr_assert(!hello_found.name.data && !hello_found.has_ticket);
    cr_assert(!HELLO_READ("\0\0\0\1x\0\0\0\1x"), "likewise");
    cr_assert(HELLO_READ(HELLO_TICKET_EXTENSION));
    hello[0] = 2;
    cr_assert(!hello_read(), "another message");
    hello[0] = 1;
    hello_put("x", 1);
    cr_assert(!hello_read(), "a byte behind the message");
    hello[3]++;
    cr_assert(!hello_read(), "and behind the extensions");
}

/* Reads a hello with these bytes between the random number and the extensions.
 */
static bool hello_read_middle(const void *data, size_t size)
{
    hello_size = 0;
    hello_put("\1\0\0\0\3\3", 6);
    hello_put("rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", 32);
    hello_put(data, size);
    hello_put_extensions("\0\x17\0\0", 4);
    return hello_read();
}

UNIT(tls_hello, session_suites_and_compression_have_their_sizes)
{
    char long_session[1 + 33 + 6] = {32};

    memcpy(long_session + 33, "\0\2\xc0\x2b\1\0", 6);
    cr_assert(hello_read_middle(long_session, 39));
    cr_assert(hello_found.has_extended_secret);
    expect_eq(hello_found.version, 0x0303);
    long_session[0] = 33;
    memcpy(long_session + 34, "\0\2\xc0\x2b\1\0", 6);
    cr_assert(!hello_read_middle(long_session, 40), "a long session");
    cr_assert(hello_read_middle("\0\0\2\xc0\x2b\1\0", 7));
    cr_assert(!hello_read_middle("\0\0\0\1\0", 5), "no suite");
    cr_assert(!hello_read_middle("\0\0\3\xc0\x2b\x13\1\0", 8), "half a suite");
    cr_assert(!hello_read_middle("\0\0\2\xc0\x2b\0", 6), "no compression");
}

static bool hello_is_extended(bool is_client)
{
    struct wr_tls_hello found;
    return wr_tls_hello_read(hello, hello_size, is_client, &found) &&
           found.has_extended_secret;
}

UNIT(tls_hello, the_extended_master_secret_is_seen_in_both_hellos)
{
    cr_assert(HELLO_READ(HELLO_NAME_EXTENSION "\0\x17\0\0"));
    cr_assert(hello_is_extended(true));
    cr_assert(!hello_is_extended(false));
    cr_assert(HELLO_READ("\0\x17\0\0" HELLO_NAME_EXTENSION));
    cr_assert(hello_is_extended(true), "others may follow");
    cr_assert(HELLO_READ(HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION));
    cr_assert(!hello_is_extended(true));
    cr_assert(HELLO_IS_ODD("\0\x17\0\1x"), "it has no bytes");

    hello_size = 0;
    hello_put("\2\0\0\0\3\3", 6);
    hello_put("rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", 32);
    hello_put("\2ss\xc0\x2b\0", 6);
    hello_put_extensions("\0\0\0\0\xff\1\0\1\0\0\x17\0\0", 13);
    cr_assert(wr_tls_hello_is_whole(hello, hello_size));
    cr_assert(!wr_tls_hello_is_whole(hello, hello_size - 1));
    cr_assert(hello_is_extended(false));
    cr_assert(!hello_is_extended(true));
    hello_put("\x0b\0\0\1c", 5);
    cr_assert(hello_is_extended(false), "a message may follow");
}

UNIT(tls_hello, a_hello_that_is_cut_anywhere_is_unknown)
{
    cr_assert(HELLO_READ(HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION));
    for (size_t size = 0; size < hello_size; size++) {
        uint8_t *part = malloc(size + 1);
        memcpy(part, hello, size);
        cr_assert(!wr_tls_hello_read(part, size, true, &hello_found), "%zu",
                  size);
        cr_assert(!wr_tls_hello_read(part, size, false, &hello_found));
        cr_assert(!wr_tls_hello_is_whole(part, size));
        cr_assert(wr_tls_hello_may_come(part, size, true, hello_size));
        free(part);
    }
}

static void hello_expect_within(struct wr_bytes part, const uint8_t *data)
{
    if (part.data) {
        cr_assert_geq(part.data, data);
        cr_assert_leq(part.data + part.size, data + hello_size);
    }
}

/* In memory of exactly its size, so that the address sanitizer notices reads
 * past the end. */
UNIT(tls_hello, no_bytes_make_it_look_elsewhere)
{
    struct unit_random random = unit_random_new();
    for (int i = 0; i < 200000; i++) {
        cr_assert(HELLO_READ(
            "\0\x10\0\5\0\3\2h2" HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION));
        for (uint64_t n = unit_random_below(&random, 4); n < 4; n++) {
            hello[unit_random_below(&random, hello_size)] =
                (uint8_t)unit_random_next(&random);
        }
        uint8_t *copy = malloc(hello_size);
        memcpy(copy, hello, hello_size);
        if (wr_tls_hello_read(copy, hello_size, true, &hello_found)) {
            hello_expect_within(hello_found.name, copy);
            hello_expect_within(hello_found.odd_name, copy);
            hello_expect_within(hello_found.protocols, copy);
        }
        wr_ignore(!wr_tls_hello_read(copy, hello_size, false, &hello_found));
        wr_ignore(wr_tls_hello_is_whole(copy, hello_size));
        free(copy);
    }
}

UNIT(tls_hello, what_cannot_become_a_hello_is_known_by_its_beginning)
{
    cr_assert(HELLO_READ(HELLO_NAME_EXTENSION));
    cr_assert(wr_tls_hello_may_come(hello, hello_size, true, hello_size - 4));
    cr_assert(!wr_tls_hello_may_come(hello, 4, true, hello_size - 5));
    cr_assert(wr_tls_hello_may_come(hello, 3, true, 0), "it has not said it");
    cr_assert(!wr_tls_hello_may_come(hello, 1, false, hello_size));
}
