/*
 * Memory runs out at each place of a call in turn.
 *
 * walk_allocations() runs a body again and again, until none of its allocations
 * failed: allocation 1 after walk_begin() fails in the first round, 2 in the
 * second. The body asserts what holds with and without the failure. A walk on
 * which no allocation fails is a failure itself.
 */
#ifndef WEIR_TESTS_WALK_H
#define WEIR_TESTS_WALK_H

#include "allocator.h"
#include "unit.h"

/* All that was allocated came back, byte for byte. */
void allocator_check(const struct test_allocator *self);

weir_loop *allocator_make_loop(const struct test_allocator *self);

/* The allocation that comes as number @count from now fails. */
static inline void allocator_fail_in(struct test_allocator *self,
                                     uint64_t count)
{
    self->fail_at = self->calls + count;
}

/* Returns how many rounds had a failure. An allocator of which nothing is out
 * is a new one in each round, and all of it has to come back. */
uint64_t walk_allocations(struct test_allocator *self, void (*body)(void *arg),
                          void *arg);

extern uint64_t walk_round; /* counted from 1 */

/* From here on the allocations of the body are numbered. */
void walk_begin(struct test_allocator *self);
/* The rest of the body has memory. Has an allocation failed? */
bool walk_end(struct test_allocator *self);

#endif
