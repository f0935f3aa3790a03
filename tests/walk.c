/*
 * Walks in which each allocation fails once; see walk.h.
 *
 * The round's number is not part of the allocator, because a body may
 * initialise its allocator again. The failing allocation is counted from
 * walk_begin().
 */
#include "tests/walk.h"

enum { ROUNDS_MAX = 5000 }; /* no body asks for memory that often */

uint64_t walk_round;

void allocator_check(const struct test_allocator *self)
{
    expect_eq(self->live_count, 0);
    expect_eq(self->live_bytes, 0);
}

weir_loop *allocator_make_loop(const struct test_allocator *self)
{
    const struct weir_loop_options options = allocator_options(self);
    weir_loop *loop = NULL;
    expect_eq(weir_loop_new(&options, &loop), 0);
    return loop;
}

uint64_t walk_allocations(struct test_allocator *self, void (*body)(void *arg),
                          void *arg)
{
    const bool is_empty = self->live_count == 0;
    walk_round = 0;
    do {
        expect_lt(++walk_round, ROUNDS_MAX);
        if (is_empty) {
            allocator_init(self);
        }
        self->failed = 0;
        body(arg);
        walk_end(self);
        if (is_empty) {
            allocator_check(self);
        }
    } while (self->failed > 0);
    expect_gt(walk_round, 1, "no allocation failed");
    return walk_round - 1;
}

void walk_begin(struct test_allocator *self)
{
    allocator_fail_in(self, walk_round);
}

bool walk_end(struct test_allocator *self)
{
    self->fail_at = 0;
    return self->failed > 0;
}
