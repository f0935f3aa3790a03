/*
 * Stacks of tasks: mapped many at a time, guarded, and kept for reuse.
 *
 *     | guard | ................ usable ............... |
 *             base                         base + size, where it begins
 *
 * Stacks of one size are cut from large mappings. The guard below each is made
 * by MADV_GUARD_INSTALL (Linux 6.13), which splits no mapping, else by
 * mprotect, which costs two mappings a stack and ends at vm.max_map_count. The
 * last one given back is the next one taken; beyond a few, free ones give their
 * pages back to the system. Mappings stay until the end, or until
 * wr_stacks_trim() finds none of their stacks in use.
 *
 * A stack costs the pages that were touched, and the kernel's page tables for
 * its addresses: 2 bytes for each KiB, guard included. That is 1 KiB for a
 * stack of the default size.
 */
#ifndef WEIR_LIB_TASK_STACK_H
#define WEIR_LIB_TASK_STACK_H

#include "lib/base/options.h"
#include "uring/list.h"
#include "weir/base.h"

/* A frame that is larger than the rest of the stack is caught when it is
 * smaller than this, whatever compiled it. */
#define WR_STACK_GUARD (256u << 10)
/* Powers of two from WR_STACK_MIN to WR_STACK_MAX. */
#define WR_STACK_CLASSES 17u
/* At most WR_STACK_WARM free stacks of each class keep their pages, since
 * getting pages back takes 4 us, which a burst of a thousand requests should
 * not pay for each: the first ones whatever they have touched, up to
 * WR_STACK_WARM_BYTES of addresses; after them those that have touched no more
 * than WR_STACK_WARM_TOUCHED bytes. */
#define WR_STACK_WARM         1024u
#define WR_STACK_WARM_BYTES   (64u << 20)
#define WR_STACK_WARM_TOUCHED (64u << 10)
/* Stacks that one call of wr_stacks_high_water() looks at, and those that are
 * left of a mapping: 0.6 us each. */
#define WR_STACK_MEASURED 4096u

struct wr_stack_mapping; /* stack.c */

struct wr_stack {
    struct wr_stack *next; /* in a list of free ones of its class */
    struct wr_stack_mapping *mapping;
    uint8_t *base;
    size_t size;
    uint32_t class_index;
    uint32_t valgrind_id;
};

/* The free stacks of one size. */
struct wr_stack_class {
    struct wr_stack *warm; /* have their pages */
    struct wr_stack *cold; /* gave their pages back */
    uint32_t warm_count;
    struct wr_stack_mapping *fresh; /* has room for stacks not made yet */
};

struct wr_stacks {
    const struct weir_allocator *allocator;
    struct wr_stack_class classes[WR_STACK_CLASSES];
    struct wr_stack_mapping *mappings; /* the newest first */
    size_t page_size;
    uint64_t stack_count;      /* in use and free */
    uint64_t used_count;       /* taken and not given back */
    uint64_t high_water_bytes; /* of those that were measured so far */
    struct wr_stack_mapping *measure_next; /* NULL: the first */
    bool no_guard_install; /* this kernel has no MADV_GUARD_INSTALL */
};

void wr_stacks_check_invariants(const struct wr_stacks *stacks);

void wr_stacks_init(struct wr_stacks *stacks,
                    const struct weir_allocator *allocator);

/* A stack of at least @size bytes, from WR_STACK_MIN to WR_STACK_MAX, its
 * guard in place: 0, -ENOMEM or WEIR_ESTACKLIMIT. */
WEIR_MUST_USE int wr_stack_take(struct wr_stacks *stacks, size_t size,
                                struct wr_stack **ret);

/* Frees a stack on which nothing runs any more. */
void wr_stack_give(struct wr_stacks *stacks, struct wr_stack *stack);

/* Gives back to the system the pages of free stacks, and the addresses and
 * records of mappings without a stack in use. */
void wr_stacks_trim(struct wr_stacks *stacks);

/* How deep the deepest stack was used, in bytes, in whole pages. Asks the
 * kernel about all stacks; where there are more than WR_STACK_MEASURED, each
 * call asks about that many, in turn. Pages that are swapped out are not seen.
 */
uint64_t wr_stacks_high_water(struct wr_stacks *stacks);

/* True when the address is in the guard of this stack. */
static inline bool wr_stack_guards(const struct wr_stack *stack,
                                   const void *address)
{
    uintptr_t at = (uintptr_t)address;
    uintptr_t base = (uintptr_t)stack->base;
    return at < base && at >= base - WR_STACK_GUARD;
}

/* All stacks must have been given back. */
void wr_stacks_fini(struct wr_stacks *stacks);

#endif
