/*
 * Shadow stacks of fibers: the processor keeps a second copy of return
 * addresses there (SHSTK of x86-64, Linux 6.6). Each fiber has its own shadow
 * stack.
 *
 * A thread has shadow stacks from its start if the program and all its
 * libraries are marked for them and the C library has them enabled. A stack is
 * then made with a shadow stack, and a switch exchanges both. The shadow stack
 * has half the size, because a call takes at least 16 bytes of a stack and 8 of
 * its shadow.
 *
 * The side that does not run has a token at the top of its shadow stack, which
 * only a switch or the kernel can write; wr_stack.shadow is its address.
 *
 * With ucontext this file makes no shadow stacks: the C library's swapcontext()
 * makes its own.
 */
#ifndef WEIR_LIB_TASK_SHADOW_H
#define WEIR_LIB_TASK_SHADOW_H

#include "weir/base.h"

#include <stddef.h>

#if defined(__x86_64__) && defined(__LP64__) && !defined(WR_FIBER_UCONTEXT)
#define WR_SHADOW 1
#endif

struct wr_stack;

#ifdef WR_SHADOW

/* The switch of fiber.c: wr_fiber_swap() or, once a shadow stack was made, a
 * function that also exchanges shadow stacks. It returns with a jump. */
#if defined(__has_attribute) && __has_attribute(indirect_return)
#define WR_SHADOW_RETURN indirect_return,
#else
#define WR_SHADOW_RETURN
#endif
extern void (*wr_shadow_swap)(void **sp)
    __attribute__((WR_SHADOW_RETURN visibility("hidden")));

/* Makes a shadow stack for the stack if this thread has one. Returns 0, -ENOMEM
 * or WEIR_ESTACKLIMIT. */
WEIR_MUST_USE int wr_shadow_make(struct wr_stack *stack);

/* No fiber may use the stack. */
void wr_shadow_free(struct wr_stack *stack);

#else

static inline int wr_shadow_make(struct wr_stack *stack)
{
    (void)stack;
    return 0;
}

static inline void wr_shadow_free(struct wr_stack *stack)
{
    (void)stack;
}

#endif

#endif
