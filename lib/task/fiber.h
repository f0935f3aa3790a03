/*
 * Fibers: stacks to run functions on, and switching between stacks.
 *
 * A fiber is entered from its loop's stack and leaves to it; it never enters
 * another fiber of its loop. A switch saves only the callee-saved registers
 * (switch.S for x86-64 and aarch64, ucontext elsewhere) and, in a program with
 * a C++ runtime, its per-thread exception state. Every switch is announced to
 * AddressSanitizer in any program that has it, and to ThreadSanitizer if the
 * library was compiled for it. Stacks are registered with valgrind.
 */
#ifndef WEIR_LIB_TASK_FIBER_H
#define WEIR_LIB_TASK_FIBER_H

#include "lib/base/options.h"
#include "uring/list.h"
#include "weir/base.h"

/*
 * Stacks of tasks: mapped many at a time, guarded, and kept for reuse.
 *
 *     | guard | ............ usable ............. |
 *             base           base + size: the first frame is here
 *
 * Stacks of one size are cut from large mappings. The guard below a stack is
 * made with MADV_GUARD_INSTALL (Linux 6.13), which splits no mapping, or else
 * with mprotect, which costs two mappings per stack and is limited by
 * vm.max_map_count.
 *
 * Free stacks keep their pages, so that repeated bursts of tasks make no system
 * call per task. When the free stacks of a loop have touched
 * WR_STACK_WARM_BYTES together, a stack that is freed releases its pages.
 *
 * A stack of the default size takes its touched pages and 1 KiB of page tables.
 */

/* The guard catches an overrun by a frame of up to this size, even if the code
 * was compiled without stack probes. */
#define WR_STACK_GUARD (256u << 10)
/* Stack sizes are powers of two. */
#define WR_STACK_CLASSES 17u
/* Class for the library's own tasks, of WR_STACK_DEFAULT bytes. They run no
 * code of the program, so on kernels where a guard costs mappings they have
 * none, and leave the mappings to the program's tasks. */
#define WR_STACK_OWN WR_STACK_CLASSES
/* Maximum estimated memory of a loop's free stacks, in bytes. */
#define WR_STACK_WARM_BYTES (64u << 20)
/* While the free stacks have at most WR_STACK_UNMEASURED_BYTES in total, each
 * is charged with its size. Above that, every WR_STACK_SAMPLE-th stack of a
 * class (WR_STACK_SAMPLE_LARGE-th above the default size) is measured when it
 * is freed, in 0.6 to 1.3 us. The stacks up to the next measurement are charged
 * with the measured size. The intervals are primes, so that if stacks are freed
 * in a fixed cycle, each is measured at some time. */
#define WR_STACK_UNMEASURED_BYTES (16u << 20)
#define WR_STACK_SAMPLE           127u
#define WR_STACK_SAMPLE_LARGE     17u
/* wr_stacks_high_water() stops after the mapping in which it has measured this
 * many stacks. A stack takes 0.6 us. */
#define WR_STACK_MEASURED 4096u

struct wr_stack_mapping;

struct wr_stack {
    struct wr_stack *next; /* link of the list of free stacks of its class */
    struct wr_stack_mapping *mapping;
    uint8_t *base;
    size_t size;
    uint32_t class_index;
    uint32_t valgrind_id;
    uint32_t charged_bytes; /* share of warm_bytes while the stack is warm */
    /* Restore token of the shadow stack; NULL without a shadow stack. */
    void *shadow;
    uint8_t *shadow_base;
};

struct wr_stack_class {
    struct wr_stack *warm; /* free stacks that keep their pages */
    struct wr_stack *cold; /* free stacks without pages */
    /* mapping whose stacks were not all used yet */
    struct wr_stack_mapping *fresh;
    /* Bytes touched by the stack that was measured last. */
    uint32_t touched_bytes;
    uint32_t unmeasured; /* stacks to charge before the next is measured */
};

struct wr_stacks {
    const struct weir_allocator *allocator;
    struct wr_stack_class classes[WR_STACK_CLASSES + 1];
    struct wr_stack_mapping *mappings; /* newest first */
    size_t page_size;
    uint64_t stack_count; /* in use and free */
    uint64_t used_count;
    /* sum of the charges of the warm stacks */
    uint64_t warm_bytes;
    uint64_t high_water_bytes;             /* deepest of the measured stacks */
    struct wr_stack_mapping *measure_next; /* NULL means the first mapping */
    bool no_guard_install; /* the kernel refuses MADV_GUARD_INSTALL */
};

void wr_stacks_check_invariants(const struct wr_stacks *stacks);

void wr_stacks_init(struct wr_stacks *stacks,
                    const struct weir_allocator *allocator);

/* Takes a guarded stack of at least @size bytes, from WR_STACK_MIN to
 * WR_STACK_MAX. Returns 0, -ENOMEM or WEIR_ESTACKLIMIT. */
WEIR_MUST_USE int wr_stack_take(struct wr_stacks *stacks, size_t size,
                                struct wr_stack **ret);

WEIR_MUST_USE int wr_stack_take_own(struct wr_stacks *stacks,
                                    struct wr_stack **ret);

/* Releases a stack that no fiber uses any more. Returns true if the memory of
 * free stacks should be trimmed some seconds later. */
bool wr_stack_give(struct wr_stacks *stacks, struct wr_stack *stack);

/* Releases the pages of free stacks, and unmaps mappings without a stack in
 * use. */
void wr_stacks_trim(struct wr_stacks *stacks);

/* Returns the depth of the deepest used stack, in bytes, in whole pages. If
 * there are more than WR_STACK_MEASURED stacks, measures about this many; the
 * next call continues after them. Pages that are swapped out do not count. */
uint64_t wr_stacks_high_water(struct wr_stacks *stacks);

static inline bool wr_stack_guards(const struct wr_stack *stack,
                                   const void *address)
{
    uintptr_t at = (uintptr_t)address;
    uintptr_t base = (uintptr_t)stack->base;
    return at < base && at >= base - WR_STACK_GUARD;
}

void wr_stacks_fini(struct wr_stacks *stacks);

#if defined(__SANITIZE_THREAD__)
#define WR_FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WR_FIBER_TSAN 1
#endif
#endif

struct wr_fiber {
    void *sp; /* suspended side's stack pointer; NULL after wr_fiber_fini() */
    struct wr_stack *stack;
#ifdef WR_FIBER_TSAN
    void *tool[2];
#endif
};

/* Does not touch the stack: if many fibers are made, its page would leave the
 * CPU's cache before the fiber runs. */
void wr_fiber_init(struct wr_fiber *fiber, struct wr_stack *stack);

/* Must be called once, before the first wr_fiber_enter(), which then calls
 * @run(@arg) on the stack. @run must end with wr_fiber_exit(). It starts with
 * the caller's rounding mode and floating point exceptions. */
void wr_fiber_begin(struct wr_fiber *fiber, void (*run)(void *arg), void *arg);

/* Continues the fiber, from the loop's stack. Returns when the fiber leaves. */
void wr_fiber_enter(struct wr_fiber *fiber);

void wr_fiber_leave(struct wr_fiber *fiber);

/* Like wr_fiber_leave(), but the fiber is not entered again. */
_Noreturn void wr_fiber_exit(struct wr_fiber *fiber);

/* Called when the fiber is not entered any more. */
#ifdef WR_FIBER_TSAN
void wr_fiber_fini(struct wr_fiber *fiber);
#else
static inline void wr_fiber_fini(struct wr_fiber *fiber)
{
    fiber->sp = NULL;
}
#endif

#endif
