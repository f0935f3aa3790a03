/*
 * Slots of the pool for datagrams: where they are, what is returned unused, and
 * that kept bytes are not overwritten. Nothing is received: the test fills the
 * slots as a system call would.
 */
#define UNIT_RUN with_pool

#include "tests/trace/pool_rig.h"

#include "tests/unit/random.h"

#define KEPT_MAX 512

static struct wr_slots slots;

/* A kept slot is filled with one byte. */
struct kept {
    weir_lease *lease;
    uint8_t byte;
};

static struct kept kept[KEPT_MAX];
static int kept_count;

static void check_slots(uint32_t stride)
{
    for (uint32_t i = 0; i < slots.count; i++) {
        expect_eq((uintptr_t)slots.data[i] % WR_SLOT_ALIGN, 0);
        for (uint32_t j = 0; j < i; j++) {
            const uint8_t *a = slots.data[i];
            const uint8_t *b = slots.data[j];
            cr_assert(a + stride <= b || b + stride <= a, "two overlap");
        }
    }
}

/* Fills the first @used slots, keeps the leases of every @keep_nth. */
static void receive_slots(struct wr_account *account, uint32_t stride,
                          uint32_t most, uint32_t used, uint32_t keep_nth)
{
    static uint8_t next;
    cr_assert(wr_pool_open_slots(&pool, &slots, stride, most));
    check_slots(stride);
    slots.used = used < slots.count ? used : slots.count;
    for (uint32_t i = 0; i < slots.used; i++) {
        slots.lens[i] = 1 + (stride - 1) * (i % 3) / 2;
        memset(slots.data[i], (uint8_t)(next + i), slots.lens[i]);
    }
    weir_lease *lease = wr_pool_close_slots(&pool, account, &slots);
    for (uint32_t i = 0; i < slots.used; i++) {
        weir_lease *after = lease->next;
        lease->next = NULL;
        expect_eq(lease->data, slots.data[i]);
        expect_eq(lease->len, slots.lens[i]);
        if (keep_nth > 0 && i % keep_nth == 0 && kept_count < KEPT_MAX) {
            wr_lease_ref(lease);
            kept[kept_count++] = (struct kept){lease, (uint8_t)(next + i)};
        }
        wr_lease_end_borrow(lease);
        lease = after;
    }
    expect_eq(lease, NULL);
    next = (uint8_t)(next + slots.used);
    wr_pool_check_invariants(&pool);
}

static void give(int i)
{
    for (uint32_t at = 0; at < kept[i].lease->len; at++) {
        expect_eq(kept[i].lease->data[at], kept[i].byte, "written over");
    }
    wr_lease_unref(kept[i].lease);
    kept[i] = kept[--kept_count];
}

static void give_all(void)
{
    while (kept_count > 0) {
        give(0);
    }
}

UNIT(pool_slots, lie_one_behind_the_other_in_one_buffer)
{
    struct pool_conn *conn = add_conn(64 * MIB);

    receive_slots(&conn->demand.account, 2304, 64, 64, 0);
    expect_eq(slots.count, 64);
    expect_eq(slots.buf_count, 1);
    expect_eq(slots.data[1] - slots.data[0], 2304);
    const uint8_t *first = slots.data[0];
    receive_slots(&conn->demand.account, 2304, 64, 64, 0);

    expect_eq(slots.data[0], first, "the same memory, still in the cache");
}

UNIT_IN(pool_slots, take_several_buffers_where_one_is_too_small,
        with_plain_pool, void)
{
    struct pool_conn *conn = add_conn(64 * MIB);

    receive_slots(&conn->demand.account, 2304, 64, 64, 0);
    expect_eq(slots.count, 64);
    expect_eq(slots.buf_count, 10);
    receive_slots(&conn->demand.account, WR_POOL_PLAIN_SIZE, 64, 3, 1);
    expect_eq(slots.count, 16, "as many as one call may use");
    give_all();
}

UNIT(pool_slots, unused_ones_leave_nothing_behind)
{
    struct pool_conn *conn = add_conn(64 * MIB);

    receive_slots(&conn->demand.account, 65536, 16, 0, 0);

    expect_eq(wr_pool_leases_out(&pool), 0);
}

UNIT(pool_slots, without_memory_there_are_none)
{
    allocator.fail_at = allocator.calls + 1;
    cr_assert_not(wr_pool_open_slots(&pool, &slots, 2304, 64));
    allocator.fail_at = allocator.calls + 2; /* there are leases, no buffer */
    cr_assert_not(wr_pool_open_slots(&pool, &slots, 2304, 64));
    allocator.fail_at = 0;
    wr_pool_check_invariants(&pool);
}

UNIT_IN(pool_slots, kept_bytes_are_never_written_over, unit_alone, void)
{
    static const uint32_t strides[] = {256, 2304, 4352, 8448, 16384};
    struct unit_random random = unit_random_new();
    for (int round = 0; round < 2; round++) {
        pool_start(round == 0 ? &inc : &plain, 8 * MIB);
        struct pool_conn *conn = add_conn(64 * MIB);

        for (int step = 0; step < 2000; step++) {
            const uint32_t most = 1 + (uint32_t)unit_random_below(&random, 64);
            if (unit_random_below(&random, 3) > 0) {
                receive_slots(&conn->demand.account,
                              strides[unit_random_below(&random, 5)], most,
                              (uint32_t)unit_random_below(&random, 65),
                              (uint32_t)unit_random_below(&random, 9));
            }
            while (kept_count > 100 ||
                   (kept_count > 0 && unit_random_below(&random, 2))) {
                give((int)unit_random_below(&random, (uint64_t)kept_count));
            }
        }
        give_all();
        pool_stop();
    }
}
