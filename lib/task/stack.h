/*
 * Stacks of tasks: mapped many at a time, guarded, and kept for reuse.
 *
 *     | guard | ................ usable ............... |
 *             base                         base + size, where it begins
 *
 * Stacks of one size are cut from large mappings. The guard below a stack is
 * made by MADV_GUARD_INSTALL (Linux 6.13), which splits no mapping, else by
 * mprotect, which costs two mappings a stack and is limited by
 * vm.max_map_count. The stack that was given back last is taken first.
 *
 * Free stacks keep their pages, so that a burst of tasks that ends and comes
 * again makes no system call for each, until all of a loop together have
 * touched WR_STACK_WARM_BYTES. Then a stack that is given back gives its pages
 * to the system. wr_stacks_trim() does so for all, and unmaps the mappings none
 * of whose stacks is in use; the others stay until the loop's end.
 *
 * A stack costs its touched pages and the kernel's page tables for its
 * addresses: 2 bytes per KiB, guard included, or 1 KiB for a stack of the
 * default size.
 */
#ifndef WEIR_LIB_TASK_STACK_H
#define WEIR_LIB_TASK_STACK_H

#include "lib/base/options.h"
#include "uring/list.h"
#include "weir/base.h"

/* The guard catches an overrun by a frame of up to this size, even if the code
 * was compiled without stack probes. */
#define WR_STACK_GUARD (256u << 10)
/* Powers of two from WR_STACK_MIN to WR_STACK_MAX. */
#define WR_STACK_CLASSES 17u
/* And a class of WR_STACK_DEFAULT for the tasks of weir's own, which run no
 * code of the program: where a guard costs mappings they have none. So as many
 * of them wait as there is memory for, and the mappings are the program's. */
#define WR_STACK_OWN WR_STACK_CLASSES
/* The most bytes that free stacks keep, of a loop and by estimate. */
#define WR_STACK_WARM_BYTES (64u << 20)
/* Free stacks of this size together are charged by their size. Beyond, one of
 * WR_STACK_SAMPLE stacks of a class is measured when it is given back, at 0.6
 * to 1.3 us, and those that follow are charged as much as it has touched. Of
 * stacks larger than the default it is one of WR_STACK_SAMPLE_LARGE. Prime
 * numbers, so that every stack of a repeating order is measured in time. */
#define WR_STACK_UNMEASURED_BYTES (16u << 20)
#define WR_STACK_SAMPLE           127u
#define WR_STACK_SAMPLE_LARGE     17u
/* Stacks that one call of wr_stacks_high_water() measures, at 0.6 us each; it
 * finishes the last mapping. */
#define WR_STACK_MEASURED 4096u

struct wr_stack_mapping; /* stack.c */

struct wr_stack {
    struct wr_stack *next; /* in a list of free stacks of its class */
    struct wr_stack_mapping *mapping;
    uint8_t *base;
    size_t size;
    uint32_t class_index;
    uint32_t valgrind_id;
    uint32_t charged_bytes; /* of warm_bytes; while it is warm */
    void *shadow;         /* the token of its shadow stack; NULL: it has none */
    uint8_t *shadow_base; /* shadow.h */
};

/* The free stacks of one size. */
struct wr_stack_class {
    struct wr_stack *warm;          /* have their pages */
    struct wr_stack *cold;          /* gave their pages back */
    struct wr_stack_mapping *fresh; /* has room for stacks not made yet */
    uint32_t touched_bytes;         /* by the stack that was measured last */
    uint32_t unmeasured;            /* stacks that it still stands for */
};

struct wr_stacks {
    const struct weir_allocator *allocator;
    struct wr_stack_class classes[WR_STACK_CLASSES + 1];
    struct wr_stack_mapping *mappings; /* the newest first */
    size_t page_size;
    uint64_t stack_count;      /* in use and free */
    uint64_t used_count;       /* taken and not given back */
    uint64_t warm_bytes;       /* charged for the warm stacks */
    uint64_t high_water_bytes; /* of the stacks that were measured */
    struct wr_stack_mapping *measure_next; /* NULL: the first */
    bool no_guard_install; /* this kernel has no MADV_GUARD_INSTALL */
};

void wr_stacks_check_invariants(const struct wr_stacks *stacks);

void wr_stacks_init(struct wr_stacks *stacks,
                    const struct weir_allocator *allocator);

/* Takes a guarded stack of at least @size bytes, from WR_STACK_MIN to
 * WR_STACK_MAX: 0, -ENOMEM or WEIR_ESTACKLIMIT. */
WEIR_MUST_USE int wr_stack_take(struct wr_stacks *stacks, size_t size,
                                struct wr_stack **ret);

/* Takes a stack of the class WR_STACK_OWN: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_stack_take_own(struct wr_stacks *stacks,
                                    struct wr_stack **ret);

/* Gives back a stack that no fiber uses any more. Returns true if
 * free stacks keep enough bytes for a trim in some seconds. */
bool wr_stack_give(struct wr_stacks *stacks, struct wr_stack *stack);

/* Gives the pages of free stacks back to the system, and unmaps mappings
 * without a stack in use. */
void wr_stacks_trim(struct wr_stacks *stacks);

/* The depth of the deepest used stack, in bytes, in whole pages. Asks the
 * kernel about all stacks or, if there are more than WR_STACK_MEASURED, about
 * as many per call, in turn. Pages that are swapped out are not seen. */
uint64_t wr_stacks_high_water(struct wr_stacks *stacks);

/* True if the address is in this stack's guard. */
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
