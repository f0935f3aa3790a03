/*
 * The look at a hello: of which ones the name is known, that all the rest
 * is unknown, and that no bytes whatever make it look outside of what it was
 * given. The hello is put together here, so that each part of it can be wrong.
 */
#include "lib/tls/hello.h"

#include "tests/unit.h"
#include "tests/unit/random.h"
#include "uring/check.h"

#include <string.h>

/* A name, a ticket. */
#define HELLO_NAME_EXTENSION   "\0\0\0\x0e\0\x0c\0\0\x09localhost"
#define HELLO_TICKET_EXTENSION "\0\x23\0\x02tt"

static uint8_t hello[512];
static size_t hello_size;
static struct wr_tls_hello_name hello_name;

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

/* All that stands before the extensions. */
static void hello_begin(void)
{
    hello_size = 0;
    hello_put("\1\0\0\0\3\3", 6);
    hello_put("rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", 32);
    hello_put("\2ss\0\2\xc0\x2b\1\0", 9);
}

static enum wr_tls_hello hello_read(void)
{
    hello_name = (struct wr_tls_hello_name){.data = NULL};
    return wr_tls_hello_read(hello, hello_size, &hello_name);
}

static enum wr_tls_hello hello_read_extensions(const void *data, size_t size)
{
    hello_begin();
    hello_put_extensions(data, size);
    return hello_read();
}

#define HELLO_READ(text) hello_read_extensions((text), sizeof(text) - 1)

static void hello_expect_localhost(void)
{
    expect_eq(hello_name.len, 9);
    expect_eq(memcmp(hello_name.data, "localhost", 9), 0);
}

UNIT(tls_hello, the_name_is_known_before_and_behind_a_ticket)
{
    expect_eq(HELLO_READ(HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION),
              WR_TLS_HELLO_TICKET);
    hello_expect_localhost();
    expect_eq(HELLO_READ("\0\x17\0\0" HELLO_TICKET_EXTENSION
                         "\0\x0b\0\2\1\0" HELLO_NAME_EXTENSION),
              WR_TLS_HELLO_TICKET);
    hello_expect_localhost();
    expect_eq(HELLO_READ(HELLO_TICKET_EXTENSION), WR_TLS_HELLO_TICKET);
    cr_assert_null(hello_name.data);
}

UNIT(tls_hello, a_hello_without_a_ticket_is_plain)
{
    expect_eq(HELLO_READ(HELLO_NAME_EXTENSION), WR_TLS_HELLO_PLAIN);
    expect_eq(HELLO_READ("\0\x23\0\0"), WR_TLS_HELLO_PLAIN);
    expect_eq(HELLO_READ(""), WR_TLS_HELLO_PLAIN);
    hello_begin();
    hello[3] = (uint8_t)(hello_size - 4);
    expect_eq(hello_read(), WR_TLS_HELLO_BARE, "no extensions at all");
}

UNIT(tls_hello, what_is_not_exactly_a_hello_is_unknown)
{
    expect_eq(
        HELLO_READ(
            HELLO_NAME_EXTENSION HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION),
        WR_TLS_HELLO_UNKNOWN, "two lists of names");
    expect_eq(HELLO_READ("\0\0\0\x0a\0\x08\0\0\1a\0\0\1b"),
              WR_TLS_HELLO_UNKNOWN, "two names");
    expect_eq(HELLO_READ("\0\0\0\5\0\3\0\0\0"), WR_TLS_HELLO_UNKNOWN,
              "a name of no bytes");
    expect_eq(HELLO_READ("\0\0\0\7\0\5\0\0\2a\0"), WR_TLS_HELLO_UNKNOWN,
              "a NUL in a name");
    expect_eq(HELLO_READ("\0\0\0\6\0\4\1\0\1a"), WR_TLS_HELLO_UNKNOWN,
              "a name of another type");
    expect_eq(HELLO_READ(HELLO_TICKET_EXTENSION), WR_TLS_HELLO_TICKET);
    hello[0] = 2;
    expect_eq(hello_read(), WR_TLS_HELLO_UNKNOWN, "another message");
    hello[0] = 1;
    hello_put("x", 1);
    expect_eq(hello_read(), WR_TLS_HELLO_UNKNOWN, "a byte behind the message");
    hello[3]++;
    expect_eq(hello_read(), WR_TLS_HELLO_UNKNOWN, "and behind the extensions");
}

static bool hello_is_extended(bool is_client)
{
    return wr_tls_hello_has_extended_secret(hello, hello_size, is_client);
}

UNIT(tls_hello, the_extended_master_secret_is_seen_in_both_hellos)
{
    HELLO_READ(HELLO_NAME_EXTENSION "\0\x17\0\0");
    cr_assert(hello_is_extended(true));
    cr_assert(!hello_is_extended(false));
    HELLO_READ("\0\x17\0\0" HELLO_NAME_EXTENSION);
    cr_assert(hello_is_extended(true), "others may follow");
    HELLO_READ(HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION);
    cr_assert(!hello_is_extended(true));
    HELLO_READ("\0\x17\0\1x");
    cr_assert(!hello_is_extended(true), "it has no bytes");

    hello_size = 0;
    hello_put("\2\0\0\0\3\3", 6);
    hello_put("rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", 32);
    hello_put("\2ss\xc0\x2b\0", 6);
    hello_put_extensions("\xff\1\0\1\0\0\x17\0\0", 9);
    cr_assert(wr_tls_hello_is_whole(hello, hello_size));
    cr_assert(!wr_tls_hello_is_whole(hello, hello_size - 1));
    cr_assert(hello_is_extended(false));
    cr_assert(!hello_is_extended(true));
    hello_put("\x0b\0\0\1c", 5);
    cr_assert(hello_is_extended(false), "a message may follow");
}

UNIT(tls_hello, a_hello_that_is_cut_anywhere_is_unknown)
{
    expect_eq(HELLO_READ(HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION),
              WR_TLS_HELLO_TICKET);
    for (size_t size = 0; size < hello_size; size++) {
        uint8_t *part = malloc(size + 1);
        memcpy(part, hello, size);
        expect_eq(wr_tls_hello_read(part, size, &hello_name),
                  WR_TLS_HELLO_UNKNOWN, "%zu", size);
        cr_assert(!wr_tls_hello_has_extended_secret(part, size, true));
        cr_assert(!wr_tls_hello_is_whole(part, size));
        free(part);
    }
}

/* In memory of its own size, so that the address sanitizer sees the ends. */
UNIT(tls_hello, no_bytes_make_it_look_elsewhere)
{
    struct unit_random random;
    unit_random_seed(&random);
    for (int i = 0; i < 200000; i++) {
        expect_neq(HELLO_READ(HELLO_NAME_EXTENSION HELLO_TICKET_EXTENSION),
                   WR_TLS_HELLO_UNKNOWN);
        for (uint64_t n = unit_random_below(&random, 4); n < 4; n++) {
            hello[unit_random_below(&random, hello_size)] =
                (uint8_t)unit_random_next(&random);
        }
        uint8_t *copy = malloc(hello_size);
        memcpy(copy, hello, hello_size);
        if (wr_tls_hello_read(copy, hello_size, &hello_name) ==
                WR_TLS_HELLO_TICKET &&
            hello_name.data) {
            cr_assert_geq(hello_name.data, copy);
            cr_assert_leq(hello_name.data + hello_name.len, copy + hello_size);
            cr_assert_gt(hello_name.len, 0);
        }
        wr_ignore(wr_tls_hello_has_extended_secret(copy, hello_size, false));
        wr_ignore(wr_tls_hello_is_whole(copy, hello_size));
        free(copy);
    }
}
