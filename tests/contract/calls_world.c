/*
 * The state of a round of random calls; see calls_world.h.
 *
 * Here are the chances, the checks that hold at any time, and the allocator
 * that counts bytes and fails now and then.
 */
#include "tests/contract/calls_world.h"

#include <weir/buffer.h>

struct calls_world calls;

uint8_t bytes[BYTES_MAX];

size_t below(uint64_t bound)
{
    return (size_t)unit_random_below(&calls.random, bound);
}

bool calls_one_in(uint64_t bound)
{
    return below(bound) == 0;
}

void check_bytes(const void *data, size_t len)
{
    check(len > 0);
    check(len <= sizeof(bytes));
    check(memcmp(data, bytes, len) == 0);
}

bool is_excused(int err)
{
    return err == 0 || (err == -ENOMEM && calls.short_now) ||
           (err == -ESHUTDOWN && calls.ending);
}

bool is_usable(const struct calls_conn *conn)
{
    return conn->live || conn->refs > 0;
}

size_t count_live(void)
{
    size_t count = 0;
    for (size_t i = 0; i < calls.conn_count; i++) {
        count += calls.conns[i]->live;
    }
    return count;
}

void give_leases(size_t keep)
{
    while (calls.lease_count > keep) {
        weir_buf_unref(calls.leases[--calls.lease_count]);
    }
}

/* ---- the library's memory ---- */

static void *world_alloc(void *arg, size_t size)
{
    void *ptr = calls.short_now && calls_one_in(200) ? NULL : malloc(size);
    calls.memory_bytes += ptr ? size : 0;
    return ptr;
}

static void world_free(void *arg, void *ptr, size_t size)
{
    calls.memory_bytes -= ptr ? size : 0;
    free(ptr);
}

const struct weir_allocator world_allocator = {.alloc = world_alloc,
                                               .free = world_free};
