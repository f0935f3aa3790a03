/*
 * The functions of switch.S, and the frame that they push on a stack that does
 * not run. fiber.c makes such a frame for a new fiber, and shadow.c uses it to
 * check whether a fiber is new.
 */
#ifndef WEIR_LIB_TASK_SWITCH_H
#define WEIR_LIB_TASK_SWITCH_H

#include <stdint.h>

struct wr_fiber;

/* Switches to the stack whose pointer is in *@sp, and stores this stack's
 * pointer there. Returns, with a jump, when the other side switches back. */
#if defined(__has_attribute) && __has_attribute(indirect_return)
void wr_fiber_swap(void **sp) __attribute__((indirect_return));
#else
void wr_fiber_swap(void **sp);
#endif

void wr_fiber_entry(void);

/* The frame that wr_fiber_swap() pops. */
#if defined(__x86_64__)

struct wr_switch_frame {
    uint32_t mxcsr;
    uint16_t x87_control;
    uint16_t unused;
    void *r15;
    void (*r14)(void *);
    void (*r13)(struct wr_fiber *, void (*)(void *), void *);
    struct wr_fiber *r12;
    void *rbx, *rbp;
    void (*return_to)(void);
    void *end[2]; /* 0 ends unwinding by frame pointers */
};

_Static_assert(sizeof(struct wr_switch_frame) == 80, "switch.S pops 64 bytes");

#elif defined(__aarch64__)

struct wr_switch_frame {
    struct wr_fiber *x19;
    void (*x20)(struct wr_fiber *, void (*)(void *), void *);
    void (*x21)(void *);
    void *x22;
    void *x23_to_x29[7];
    void (*x30)(void);
    uint64_t d8_to_d15[8];
    uint64_t fpcr;
    uint64_t unused;
    void *end[2];
};

_Static_assert(sizeof(struct wr_switch_frame) == 192,
               "switch.S pops 176 bytes");

#endif

#endif
