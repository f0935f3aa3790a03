/*
 * The program cannot write to a shadow stack. When a fiber has ended, its
 * shadow stack still has the addresses of its last frames. The next fiber on
 * the stack drops them before it begins (wr_shadow_entry in switch.S);
 * otherwise each fiber would begin a few frames deeper than the previous fiber.
 */
#include "shadow.h"

#ifdef WR_SHADOW

#include "fiber.h"
#include "switch.h"
#include "weir/error.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Since Linux 6.6; older headers do not define them. */
#ifndef SYS_map_shadow_stack
#define SYS_map_shadow_stack 453
#endif
#ifndef SHADOW_STACK_SET_TOKEN
#define SHADOW_STACK_SET_TOKEN 1
#endif

void wr_shadow_exchange(void **sp, void **shadow);
void wr_shadow_entry(void);

void (*wr_shadow_swap)(void **sp) = wr_fiber_swap;

/* Returns NULL without shadow stacks: rdsspq does nothing then. */
static void *shadow_pointer(void)
{
    void *pointer = NULL;

    __asm__ volatile("rdsspq %0" : "+r"(pointer));
    return pointer;
}

static size_t shadow_size(const struct wr_stack *stack)
{
    return stack->size / 2;
}

static void shadow_swap(void **sp)
{
    struct wr_fiber *fiber = (struct wr_fiber *)sp;
    struct wr_stack *stack = fiber->stack;
    struct wr_switch_frame *frame = fiber->sp;

    _Static_assert(offsetof(struct wr_fiber, sp) == 0, "one address");
    if (!stack->shadow) {
        wr_fiber_swap(sp);
        return;
    }
    if (frame->return_to == wr_fiber_entry) {
        frame->return_to = wr_shadow_entry;
        frame->rbx = stack->shadow_base + shadow_size(stack);
    }
    wr_shadow_exchange(sp, &stack->shadow);
}

int wr_shadow_make(struct wr_stack *stack)
{
    wr_assert(!stack->shadow);
    if (WR_LIKELY(!shadow_pointer())) {
        return 0;
    }
    const long start = syscall(SYS_map_shadow_stack, NULL, shadow_size(stack),
                               SHADOW_STACK_SET_TOKEN);
    if (start < 0) {
        return errno == ENOMEM ? WEIR_ESTACKLIMIT : -ENOMEM;
    }
    stack->shadow_base = (uint8_t *)start;
    stack->shadow = stack->shadow_base + shadow_size(stack) - sizeof(void *);
    __atomic_store_n(&wr_shadow_swap, shadow_swap, __ATOMIC_RELAXED);
    return 0;
}

void wr_shadow_free(struct wr_stack *stack)
{
    if (stack->shadow) {
        munmap(stack->shadow_base, shadow_size(stack));
        stack->shadow = NULL;
    }
}

#endif
