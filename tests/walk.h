/*
 * Makes each allocation of a call fail in turn.
 *
 * walk_allocations() repeats a body until none of its allocations fails: in the
 * first round allocation 1 after walk_begin() fails, in the second allocation
 * 2. The body asserts what holds with and without the failure. A walk without
 * any failed allocation is itself a failure.
 */
#ifndef WEIR_TESTS_WALK_H
#define WEIR_TESTS_WALK_H

#include "allocator.h"
#include "unit.h"

void allocator_check(const struct test_allocator *self);

weir_loop *allocator_make_loop(const struct test_allocator *self);

static inline void allocator_fail_in(struct test_allocator *self,
                                     uint64_t count)
{
    self->fail_at = self->calls + count;
}

/* Returns how many rounds had a failure. An allocator without live blocks is
 * initialised in each round, and must have none after it. */
uint64_t walk_allocations(struct test_allocator *self, void (*body)(void *arg),
                          void *arg);

extern uint64_t walk_round;

void walk_begin(struct test_allocator *self);
/* Returns true if an allocation failed. The rest of the body has memory. */
bool walk_end(struct test_allocator *self);

#endif
