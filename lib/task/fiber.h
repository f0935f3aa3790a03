/*
 * Fibers: stacks to run functions on, and switching between stacks.
 *
 * A fiber is entered from the loop's stack and leaves to its caller there; it
 * never enters another fiber. A switch saves the callee-saved registers only
 * (switch.S for x86-64 and aarch64, ucontext elsewhere), and the C++ runtime's
 * state of a thread, if there is a C++ runtime. Every switch is announced to
 * sanitizers and valgrind: to AddressSanitizer wherever the program has it, to
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
    void *sp; /* stack pointer of the suspended side; NULL: has ended */
    struct wr_stack *stack;
#ifdef WR_FIBER_TSAN
    void *tool[2]; /* the sanitizer's */
#endif
};

/* The function does not touch the stack, because its page would be out of the
 * cache again when the last of many fibers is made. */
void wr_fiber_init(struct wr_fiber *fiber, struct wr_stack *stack);

/* Once, before the first wr_fiber_enter(), which then calls @run(@arg) on the
 * stack. @run never returns: it ends with wr_fiber_exit(). It starts with the
 * caller's rounding mode and floating point exceptions. */
void wr_fiber_begin(struct wr_fiber *fiber, void (*run)(void *arg), void *arg);

/* On the loop's stack: continues the fiber; returns when the fiber leaves. */
void wr_fiber_enter(struct wr_fiber *fiber);

/* On the fiber: switches back to the loop's stack; returns at the next
 * wr_fiber_enter(). */
void wr_fiber_leave(struct wr_fiber *fiber);

/* On the fiber: the last wr_fiber_leave(). */
_Noreturn void wr_fiber_exit(struct wr_fiber *fiber);

/* Frees the stack for another fiber; after wr_fiber_exit(), or before the first
 * wr_fiber_enter(). */
#ifdef WR_FIBER_TSAN
void wr_fiber_fini(struct wr_fiber *fiber);
#else
static inline void wr_fiber_fini(struct wr_fiber *fiber)
{
    fiber->sp = NULL;
}
#endif

#endif
