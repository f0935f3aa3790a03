/*
 * Fibers: stacks to run functions on, and switching between stacks.
 *
 * A fiber is entered from the loop's stack and leaves to its caller there; it
 * never enters another fiber. A switch saves only the callee-saved registers
 * (switch.S for x86-64 and aarch64, ucontext elsewhere) and, in a program with
 * a C++ runtime, its per-thread exception state. Every switch is announced to
 * sanitizers and valgrind: to AddressSanitizer in any program that has it, to
 * ThreadSanitizer if the library was compiled for it.
 */
#ifndef WEIR_LIB_TASK_FIBER_H
#define WEIR_LIB_TASK_FIBER_H

#include "stack.h"

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

/* Initializes a fiber without a touch of its stack: when many fibers are made,
 * the page would be out of the cache again before the fiber runs. */
void wr_fiber_init(struct wr_fiber *fiber, struct wr_stack *stack);

/* Must be called once, before the first wr_fiber_enter(), which then calls
 * @run(@arg) on the stack. @run must not return: it ends with wr_fiber_exit().
 * It starts with the caller's rounding mode and floating point exceptions. */
void wr_fiber_begin(struct wr_fiber *fiber, void (*run)(void *arg), void *arg);

/* Continues the fiber, from the loop's stack. Returns when the fiber leaves. */
void wr_fiber_enter(struct wr_fiber *fiber);

/* Switches to the loop's stack. Returns at the next wr_fiber_enter(). */
void wr_fiber_leave(struct wr_fiber *fiber);

/* Like wr_fiber_leave(), but the fiber is not entered again. */
_Noreturn void wr_fiber_exit(struct wr_fiber *fiber);

/* Releases the stack for another fiber; after wr_fiber_exit(), or before the
 * first wr_fiber_enter(). */
#ifdef WR_FIBER_TSAN
void wr_fiber_fini(struct wr_fiber *fiber);
#else
static inline void wr_fiber_fini(struct wr_fiber *fiber)
{
    fiber->sp = NULL;
}
#endif

#endif
