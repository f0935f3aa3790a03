/*
 * The receive pool without a ring: leases over copies and parts.
 *
 * The tests check counts: which connection is charged, which lease keeps which,
 * and what is left in the end. tests/trace/pool.c has the buffers that the
 * kernel fills.
 */
#define UNIT_RUN with_pool
#include "uring/lease.h"

#include "tests/death.h"
#include "tests/walk.h"

static struct test_allocator allocator;
static struct wr_blocks blocks;
static struct wr_pool pool;
static struct wr_account account;
static int released_count;

static void released(struct wr_account *of)
{
    expect_eq(of, &account);
    released_count++;
}

static void setup(void)
{
    static const struct wr_account_ops ops = {.released = released};

    allocator_init(&allocator);
    wr_blocks_init(&blocks, &allocator.hooks);
    memset(&pool, 0, sizeof(pool));
    pool.blocks = &blocks;
    wr_slab_init(&pool.leases, &allocator.hooks, sizeof(weir_lease));
    account = (struct wr_account){
        .limit_bytes = 1u << 20, .notify_released = true, .ops = &ops};
    released_count = 0;
}

static void teardown(void)
{
    expect_eq(account.held_bytes, 0);
    expect_eq(account.lease_count, 0);
    expect_eq(pool.held_bytes, 0);
    wr_slab_fini(&pool.leases);
    wr_blocks_fini(&blocks);
    allocator_check(&allocator);
}

static void with_pool(void (*body)(void))
{
    setup();
    body();
    teardown();
}

UNIT(pool, a_copy_is_charged_until_its_last_reference_goes)
{
    weir_lease *lease = wr_lease_copy(&pool, &account, "weir", 4);
    expect_eq(memcmp(lease->data, "weir", 4), 0);
    expect_eq(lease->len, 4);
    expect_eq(account.held_bytes, WR_LEASE_LEAST);
    expect_eq(pool.held_bytes, WR_LEASE_LEAST);
    expect_eq(pool.copied_bytes, 4);
    wr_lease_ref(lease);

    wr_lease_unref(lease);
    expect_eq(account.held_bytes, WR_LEASE_LEAST);
    expect_eq(released_count, 0);
    wr_lease_unref(lease);

    expect_eq(released_count, 1);
}

UNIT(pool, an_account_that_did_not_ask_is_not_told)
{
    account.notify_released = false;

    wr_lease_unref(wr_lease_copy(&pool, &account, "weir", 4));

    expect_eq(released_count, 0);
}

/* A lease allocated by the pool if @arg is not NULL. */
static void lease_without(void *arg)
{
    const struct wr_account *charged = arg ? &pool.own : &account;
    setup();
    walk_begin(&allocator);
    weir_lease *lease = arg ? wr_lease_own(&pool, 4)
                            : wr_lease_copy(&pool, &account, "weir", 4);
    if (walk_end(&allocator)) {
        cr_assert_null(lease);
        expect_eq(charged->lease_count, 0);
        expect_eq(blocks.used_bytes, 0);
        expect_eq(pool.copied_bytes, 0);
        expect_eq(released_count, 0);
    } else {
        wr_lease_unref(lease);
    }
    teardown();
}

UNIT_IN(pool, a_copy_without_memory_is_nothing_wherever_it_fails, unit_alone,
        void)
{
    /* The block, then the lease. */
    expect_eq(walk_allocations(&allocator, lease_without, NULL), 2);
}

UNIT(pool, a_slice_keeps_the_whole_and_is_not_charged_again)
{
    weir_lease *whole = wr_lease_copy(&pool, &account, "abcdef", 6);

    weir_lease *slice = wr_lease_slice(whole, whole->data + 2, 3);

    expect_eq(memcmp(slice->data, "cde", 3), 0);
    expect_eq(slice->len, 3);
    expect_eq(account.held_bytes, WR_LEASE_LEAST);
    expect_eq(account.lease_count, 1);
    wr_lease_ref(slice);
    wr_lease_unref(slice);
    expect_eq(released_count, 0);
    wr_lease_unref(slice);
    expect_eq(released_count, 1);
    expect_eq(wr_pool_leases_out(&pool), 0);
}

UNIT(pool, a_slice_of_a_slice_is_a_slice_of_the_whole)
{
    weir_lease *whole = wr_lease_copy(&pool, &account, "abcdef", 6);
    wr_lease_ref(whole);
    weir_lease *outer = wr_lease_slice(whole, whole->data + 1, 4);
    wr_lease_ref(outer);
    weir_lease *inner = wr_lease_slice(outer, outer->data + 1, 2);
    expect_eq(inner->parent, whole);
    expect_eq(memcmp(inner->data, "cd", 2), 0);

    wr_lease_unref(outer); /* inner does not need it */
    expect_eq(wr_pool_leases_out(&pool), 2);
    wr_lease_unref(whole);
    expect_eq(released_count, 0);
    wr_lease_unref(inner);

    expect_eq(released_count, 1);
    expect_eq(wr_pool_leases_out(&pool), 0);
}

/* Three references end in every order; the charge ends with the last. */
UNIT_IN(pool, references_may_end_in_any_order, unit_alone, void)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 6; i++) {
        weir_lease *leases[3];
        setup();
        leases[0] = wr_lease_copy(&pool, &account, "abcdef", 6);
        wr_lease_ref(leases[0]);
        leases[1] = wr_lease_slice(leases[0], leases[0]->data, 6);
        wr_lease_ref(leases[1]);
        leases[2] = wr_lease_slice(leases[1], leases[1]->data + 5, 1);

        for (int j = 0; j < 3; j++) {
            expect_gt(account.held_bytes, 0);
            expect_eq(released_count, 0);
            wr_lease_unref(leases[orders[i][j]]);
        }

        expect_eq(released_count, 1);
        expect_eq(wr_pool_leases_out(&pool), 0);
        teardown();
    }
}

UNIT(pool, a_slice_without_memory_leaves_the_reference_to_the_caller)
{
    weir_lease *leases[1000];
    int count = 0;
    do {
        leases[count++] = wr_lease_copy(&pool, &account, "ab", 2);
    } while (pool.leases.used_count < pool.leases.total_count);
    allocator.fail_at = allocator.calls + 1;

    cr_assert_null(wr_lease_slice(leases[0], leases[0]->data, 1));

    expect_eq(leases[0]->refs, 1);
    while (count > 0) {
        wr_lease_unref(leases[--count]);
    }
}

static int own_ended_count;

static void own_released(struct wr_account *of)
{
    expect_eq(of, &pool.own);
    own_ended_count++;
}

static const struct wr_account_ops own_ops = {.released = own_released};

UNIT(pool, a_lease_of_the_pools_own_is_not_charged)
{
    weir_lease *lease = wr_lease_own(&pool, 1000);
    expect_geq(lease->len, 1000);
    expect_eq(lease->data, lease->block->data);
    expect_eq(pool.held_bytes, 0);
    expect_eq(pool.own.held_bytes, lease->len);
    expect_eq(pool.own.lease_count, 1);
    wr_lease_ref(lease);
    weir_lease *slice = wr_lease_slice(lease, lease->data + 10, 10);

    wr_lease_unref(lease);
    expect_eq(pool.own.lease_count, 1);
    wr_lease_unref(slice);

    expect_eq(pool.own.lease_count, 0);
    expect_eq(pool.own.held_bytes, 0);
}

UNIT(pool, the_end_of_its_own_leases_is_told_when_that_is_asked_for)
{
    own_ended_count = 0;
    pool.own.ops = &own_ops;
    wr_lease_unref(wr_lease_own(&pool, 1));
    expect_eq(own_ended_count, 0);
    pool.own.notify_released = true;

    wr_lease_unref(wr_lease_own(&pool, 1));

    expect_eq(own_ended_count, 1);
}

UNIT_IN(pool, an_own_lease_without_memory_is_nothing_wherever_it_fails,
        unit_alone, void)
{
    expect_eq(walk_allocations(&allocator, lease_without, &pool), 2);
}

UNIT(pool, compacting_what_pins_no_buffer_does_nothing)
{
    weir_lease *lease = wr_lease_copy(&pool, &account, "abc", 3);
    const uint8_t *data = lease->data;
    wr_lease_ref(lease);
    weir_lease *slice = wr_lease_slice(lease, data + 1, 1);

    wr_lease_compact(lease);
    wr_lease_compact(slice);

    expect_eq(lease->data, data);
    expect_eq(slice->data, data + 1);
    expect_eq(pool.copied_bytes, 3);
    wr_lease_unref(lease);
    wr_lease_unref(slice);
}

UNIT_ABORTS(pool, giving_back_what_was_given_back_aborts, "lease->refs > 0")
{
    weir_lease lease = {.refs = 0};

    wr_lease_unref(&lease);
}

UNIT_ABORTS(pool, keeping_what_was_given_back_aborts, "lease->refs > 0")
{
    weir_lease lease = {.refs = 0};

    wr_lease_ref(&lease);
}

UNIT_ABORTS(pool, a_slice_beyond_the_end_aborts,
            "data + len <= parent->data + parent->len")
{
    setup();
    weir_lease *lease = wr_lease_copy(&pool, &account, "abc", 3);

    wr_ignore(!wr_lease_slice(lease, lease->data + 1, 3));
}
