/*
 * The bit set of transports' descriptors: numbers that are added and removed, a
 * table that grows, and one that cannot.
 *
 * tests/contract/watch_owned.c tests that a program cannot watch the descriptor
 * of a transport.
 */
#define UNIT_RUN with_owned
#include "lib/loop/owned.h"

#include "tests/walk.h"

#include <errno.h>

static struct test_allocator memory;
static struct wr_owned owned;

static void with_owned(void (*body)(void))
{
    allocator_init(&memory);
    owned = (struct wr_owned){.words = NULL};
    body();
    wr_owned_free(&owned, &memory.hooks);
    allocator_check(&memory);
}

static void add(int fd)
{
    expect_eq(wr_owned_make_room(&owned, &memory.hooks, fd), 0);
    wr_owned_add(&owned, fd);
}

UNIT(owned, a_number_is_had_from_its_adding_to_its_removal)
{
    cr_assert(!wr_owned_has(&owned, 64));

    add(64);
    cr_assert(wr_owned_has(&owned, 64));
    cr_assert(!wr_owned_has(&owned, 63));
    cr_assert(!wr_owned_has(&owned, 65));
    cr_assert(!wr_owned_has(&owned, 0));

    wr_owned_remove(&owned, 64);
    cr_assert(!wr_owned_has(&owned, 64));
}

UNIT(owned, room_for_a_large_number_keeps_the_others)
{
    add(0);
    add(255);

    add(1 << 20);

    cr_assert(wr_owned_has(&owned, 0));
    cr_assert(wr_owned_has(&owned, 255));
    cr_assert(wr_owned_has(&owned, 1 << 20));
    cr_assert(!wr_owned_has(&owned, 256));
    cr_assert(!wr_owned_has(&owned, INT32_MAX));
}

UNIT(owned, without_memory_for_more_room_nothing_has_changed)
{
    add(7);
    memory.fail_at = memory.calls + 1;

    expect_eq(wr_owned_make_room(&owned, &memory.hooks, 100000), -ENOMEM);

    memory.fail_at = 0;
    cr_assert(wr_owned_has(&owned, 7));
    cr_assert(!wr_owned_has(&owned, 100000));
}
