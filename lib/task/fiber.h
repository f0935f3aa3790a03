/*
 * Fibers: another stack to run on, and the way there and back.
 *
 * A fiber is entered from the loop's stack and leaves to where it was entered;
 * it never enters another one. Switching saves what the calling convention
 * says must survive a call and nothing else (switch.S for x86-64 and aarch64,
 * ucontext elsewhere), and what the C++ runtime keeps of a thread, where there
 * is one. Sanitizers and valgrind are told of every switch.
 */
#ifndef WEIR_LIB_TASK_FIBER_H
#define WEIR_LIB_TASK_FIBER_H

#include "stack.h"

#if defined(__SANITIZE_ADDRESS__)
#define WR_FIBER_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define WR_FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WR_FIBER_ASAN 1
#elif __has_feature(thread_sanitizer)
#define WR_FIBER_TSAN 1
#endif
#endif

/* The state that a C++ runtime has for a thread: the exceptions that are being
 * handled, and how many are on their way to a handler. Its struct
 * __cxa_eh_globals (Itanium C++ ABI, 2.2.2). */
struct wr_fiber_exceptions {
    void *caught;
    unsigned int uncaught_count;
#ifdef __ARM_EABI_UNWINDER__
    void *propagating;
#endif
};

struct wr_fiber {
    void *sp; /* where the side that does not run continues; NULL: ended */
    struct wr_stack *stack;
    void (*run)(void *arg);
    void *arg;
    struct wr_fiber_exceptions exceptions; /* while it does not run */
#if defined(WR_FIBER_ASAN) || defined(WR_FIBER_TSAN)
    void *tool[4]; /* the sanitizer's */
#endif
};

/* The first wr_fiber_enter() calls @run(@arg) on the stack. @run never
 * returns: it ends with wr_fiber_exit(). It starts with the caller's rounding
 * mode and floating point exceptions. */
void wr_fiber_init(struct wr_fiber *fiber, struct wr_stack *stack,
                   void (*run)(void *arg), void *arg);

/* On the loop's stack: continues the fiber; returns when it leaves. */
void wr_fiber_enter(struct wr_fiber *fiber);

/* On the fiber: back to wr_fiber_enter(); returns with the next one. */
void wr_fiber_leave(struct wr_fiber *fiber);

/* On the fiber: the last wr_fiber_leave(). */
_Noreturn void wr_fiber_exit(struct wr_fiber *fiber);

/* After its exit, or before its first enter: the stack may be used for
 * another one. */
void wr_fiber_fini(struct wr_fiber *fiber);

#endif
