/*
 * Making fibers, and telling the tools about every switch.
 *
 * Four parts: what sanitizers and valgrind want to know, how a stack is
 * switched on this machine, what is switched for C++, and the verbs, which are
 * the same everywhere.
 * A fiber that has not run yet is a frame at the top of its stack which
 * switch.S returns from into start().
 */
#include "fiber.h"

#include <stdint.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(start, size) (void)0
#endif

#if !defined(WR_FIBER_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define WR_FIBER_UCONTEXT 1
#endif

/* ---- what the tools are told ---- */

#if defined(WR_FIBER_ASAN)

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

/* In wr_fiber.tool: two fake stacks and the bounds of the loop's stack. */
enum {
    TOOL_LOOP_FAKE,
    TOOL_FIBER_FAKE,
    TOOL_LOOP_BASE,
    TOOL_LOOP_SIZE,
};

static void tool_init(struct wr_fiber *fiber)
{
    /* What ran here before ended in the middle of its frames. */
    __asan_unpoison_memory_region(fiber->stack->base, fiber->stack->size);
}

static void tool_before_enter(struct wr_fiber *fiber)
{
    __sanitizer_start_switch_fiber(&fiber->tool[TOOL_LOOP_FAKE],
                                   fiber->stack->base, fiber->stack->size);
}

static void tool_after_enter(struct wr_fiber *fiber)
{
    __sanitizer_finish_switch_fiber(fiber->tool[TOOL_LOOP_FAKE], NULL, NULL);
}

/* Also the first time, when there is no fake stack of the fiber yet. */
static void tool_arrive(struct wr_fiber *fiber)
{
    const void *base = NULL;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(fiber->tool[TOOL_FIBER_FAKE], &base, &size);
    fiber->tool[TOOL_LOOP_BASE] = (void *)(uintptr_t)base;
    fiber->tool[TOOL_LOOP_SIZE] = (void *)(uintptr_t)size;
}

static void tool_leave(struct wr_fiber *fiber)
{
    __sanitizer_start_switch_fiber(&fiber->tool[TOOL_FIBER_FAKE],
                                   fiber->tool[TOOL_LOOP_BASE],
                                   (size_t)fiber->tool[TOOL_LOOP_SIZE]);
}

/* Nowhere to keep the fake stack: it is freed. */
static void tool_exit(struct wr_fiber *fiber)
{
    __sanitizer_start_switch_fiber(NULL, fiber->tool[TOOL_LOOP_BASE],
                                   (size_t)fiber->tool[TOOL_LOOP_SIZE]);
}

static void tool_fini(struct wr_fiber *fiber)
{
    (void)fiber;
}

#elif defined(WR_FIBER_TSAN)

#include <sanitizer/tsan_interface.h>

enum {
    TOOL_LOOP,
    TOOL_FIBER,
};

static void tool_init(struct wr_fiber *fiber)
{
    fiber->tool[TOOL_FIBER] = __tsan_create_fiber(0);
}

static void tool_before_enter(struct wr_fiber *fiber)
{
    fiber->tool[TOOL_LOOP] = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->tool[TOOL_FIBER], 0);
}

static void tool_after_enter(struct wr_fiber *fiber)
{
    (void)fiber;
}

static void tool_arrive(struct wr_fiber *fiber)
{
    (void)fiber;
}

static void tool_leave(struct wr_fiber *fiber)
{
    __tsan_switch_to_fiber(fiber->tool[TOOL_LOOP], 0);
}

static void tool_exit(struct wr_fiber *fiber)
{
    tool_leave(fiber);
}

static void tool_fini(struct wr_fiber *fiber)
{
    __tsan_destroy_fiber(fiber->tool[TOOL_FIBER]);
}

#else

static void tool_init(struct wr_fiber *fiber)
{
    (void)fiber;
}

#define tool_before_enter tool_init
#define tool_after_enter  tool_init
#define tool_arrive       tool_init
#define tool_leave        tool_init
#define tool_exit         tool_init
#define tool_fini         tool_init

#endif

/* ---- how to switch ---- */

static _Noreturn void start(struct wr_fiber *fiber)
{
    tool_arrive(fiber);
    fiber->run(fiber->arg);
    wr_check_failed("a fiber ends with wr_fiber_exit()", __FILE__, __LINE__);
}

/* Stacks begin at the same place of a page, and the same few lines of the cache
 * would hold all of them: so each begins a little lower than its neighbour.
 * Switching between 20 000 fibers takes 60 ns then and 100 ns otherwise. */
#define COLOURS     16u
#define COLOUR_STEP 64u

static size_t colour(const struct wr_stack *stack)
{
    const size_t stride = WR_STACK_GUARD + stack->size;
    return (uintptr_t)stack->base / stride % COLOURS * COLOUR_STEP;
}

/* At the top of the stack, where nothing has been pushed yet. What valgrind
 * knows of the one that ran here before is void. */
static void *place_at_top(const struct wr_stack *stack, size_t size)
{
    uint8_t *end = stack->base + stack->size;
    uint8_t *place = end - colour(stack) - (size + 15) / 16 * 16;
    (void)VALGRIND_MAKE_MEM_UNDEFINED(place, (size_t)(end - place));
    return place;
}

#ifdef WR_FIBER_UCONTEXT

#include <ucontext.h>

struct pair {
    ucontext_t fiber;
    ucontext_t loop;
};

/* makecontext() passes on nothing but int. */
static void start_halves(unsigned int high, unsigned int low)
{
    uint64_t address = (uint64_t)high << 32 | low;
    start((struct wr_fiber *)(uintptr_t)address);
}

static void make(struct wr_fiber *fiber)
{
    struct pair *pair = place_at_top(fiber->stack, sizeof(*pair));
    uint64_t address = (uintptr_t)fiber;

    wr_check(getcontext(&pair->fiber) == 0);
    pair->fiber.uc_link = NULL;
    pair->fiber.uc_stack.ss_sp = fiber->stack->base;
    pair->fiber.uc_stack.ss_size =
        (size_t)((uint8_t *)pair - fiber->stack->base);
    makecontext(&pair->fiber, (void (*)(void))start_halves, 2,
                (unsigned int)(address >> 32), (unsigned int)address);
    fiber->sp = pair;
}

static void switch_to_fiber(struct wr_fiber *fiber)
{
    struct pair *pair = fiber->sp;
    wr_check(swapcontext(&pair->loop, &pair->fiber) == 0);
}

static void switch_to_loop(struct wr_fiber *fiber)
{
    struct pair *pair = fiber->sp;
    wr_check(swapcontext(&pair->fiber, &pair->loop) == 0);
}

#else

/* switch.S */
void wr_fiber_swap(void **sp);
void wr_fiber_entry(void);

/* What wr_fiber_swap() finds on the stack of a fiber that never ran. */
#if defined(__x86_64__)

struct frame {
    uint32_t mxcsr;
    uint16_t x87_control;
    uint16_t unused;
    void *r15, *r14;
    void (*r13)(struct wr_fiber *);
    struct wr_fiber *r12;
    void *rbx, *rbp;
    void (*return_to)(void);
    void *end[2]; /* 0, for who unwinds by frame pointers */
};

_Static_assert(sizeof(struct frame) == 80, "switch.S pops 64 bytes");

static struct frame first_frame(struct wr_fiber *fiber)
{
    struct frame frame = {
        .mxcsr = __builtin_ia32_stmxcsr(),
        .r13 = start,
        .r12 = fiber,
        .return_to = wr_fiber_entry,
    };
    __asm__("fnstcw %0" : "=m"(frame.x87_control));
    return frame;
}

#else

struct frame {
    struct wr_fiber *x19;
    void (*x20)(struct wr_fiber *);
    void *x21_to_x29[9];
    void (*x30)(void);
    uint64_t d8_to_d15[8];
    uint64_t fpcr;
    uint64_t unused;
    void *end[2]; /* 0, for who unwinds by frame pointers */
};

_Static_assert(sizeof(struct frame) == 192, "switch.S pops 176 bytes");

static struct frame first_frame(struct wr_fiber *fiber)
{
    struct frame frame = {
        .x19 = fiber,
        .x20 = start,
        .x30 = wr_fiber_entry,
    };
    __asm__("mrs %0, fpcr" : "=r"(frame.fpcr));
    return frame;
}

#endif

static void make(struct wr_fiber *fiber)
{
    struct frame *frame = place_at_top(fiber->stack, sizeof(*frame));
    *frame = first_frame(fiber);
    fiber->sp = frame;
}

static void switch_to_fiber(struct wr_fiber *fiber)
{
    wr_fiber_swap(&fiber->sp);
}

#define switch_to_loop switch_to_fiber

#endif

/* ---- exceptions of C++ ---- */

/* Of the C++ runtime; NULL in a program that has none. */
__attribute__((weak)) struct wr_fiber_exceptions *__cxa_get_globals(void);

/* A fiber may leave while it handles an exception, or in a destructor that runs
 * because of one. Others then throw and catch theirs. */
static __attribute__((noinline)) void
switch_with_exceptions(struct wr_fiber *fiber)
{
    struct wr_fiber_exceptions *here = __cxa_get_globals();
    const struct wr_fiber_exceptions of_loop = *here;

    *here = fiber->exceptions;
    switch_to_fiber(fiber);
    fiber->exceptions = *here;
    *here = of_loop;
}

/* ---- the verbs ---- */

void wr_fiber_init(struct wr_fiber *fiber, struct wr_stack *stack,
                   void (*run)(void *arg), void *arg)
{
    *fiber = (struct wr_fiber){.stack = stack, .run = run, .arg = arg};
    tool_init(fiber);
    make(fiber);
}

void wr_fiber_enter(struct wr_fiber *fiber)
{
    wr_assert(fiber->sp);
    tool_before_enter(fiber);
    if (__cxa_get_globals) {
        switch_with_exceptions(fiber);
    } else {
        switch_to_fiber(fiber);
    }
    tool_after_enter(fiber);
}

void wr_fiber_leave(struct wr_fiber *fiber)
{
    tool_leave(fiber);
    switch_to_loop(fiber);
    tool_arrive(fiber);
}

_Noreturn void wr_fiber_exit(struct wr_fiber *fiber)
{
    tool_exit(fiber);
    switch_to_loop(fiber);
    wr_check_failed("a fiber is not entered after its end", __FILE__, __LINE__);
}

void wr_fiber_fini(struct wr_fiber *fiber)
{
    tool_fini(fiber);
    fiber->sp = NULL;
}
