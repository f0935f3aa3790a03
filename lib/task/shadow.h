/*
 * Shadow stacks of fibers: where the processor keeps a second copy of return
 * addresses (SHSTK of x86-64, Linux 6.6), each fiber has one of its own.
 *
 * A thread has shadow stacks from its start, if its program and all libraries
 * have the note of them and the C library is told to use them. Then a stack is
 * made with a shadow stack, and a switch exchanges both. It is half as large,
 * as a call takes 16 bytes of a stack at least and 8 of its shadow; its pages
 * are made when they are touched, and kept as long as the stack is mapped.
 *
 * The side that does not run has a token at the top of its shadow stack, which
 * only a switch or the kernel can write; wr_stack.shadow says where.
 *
 * By ucontext no shadow stack is made here: the C library's swapcontext() has
 * its own.
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

/* The switch of fiber.c: wr_fiber_swap(), and from the first shadow stack on a
 * function that exchanges shadow stacks as well. It returns by a jump. */
#if defined(__has_attribute) && __has_attribute(indirect_return)
#define WR_SHADOW_RETURN indirect_return,
#else
#define WR_SHADOW_RETURN
#endif
extern void (*wr_shadow_swap)(void **sp)
    __attribute__((WR_SHADOW_RETURN visibility("hidden")));

/* Gives the stack a shadow stack if this thread has one: 0, -ENOMEM or
 * WEIR_ESTACKLIMIT. */
WEIR_MUST_USE int wr_shadow_make(struct wr_stack *stack);

/* Unmaps the shadow stack of a stack on which no fiber is, if it has one. */
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
