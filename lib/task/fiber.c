/*
 * Making fibers, and announcing every switch to sanitizers.
 *
 * A new fiber is a frame at the top of its stack: switch.S returns from this
 * frame into fiber_start().
 */
#include "fiber.h"

#include "shadow.h"

#include <stdint.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(fiber_start, size) (void)0
#endif

#if !defined(WR_FIBER_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define WR_FIBER_UCONTEXT 1
#endif

#if defined(WR_FIBER_TSAN)

#include <sanitizer/tsan_interface.h>

enum {
    TOOL_LOOP,
    TOOL_FIBER,
};

static void fiber_tool_init(struct wr_fiber *fiber)
{
    fiber->tool[TOOL_FIBER] = __tsan_create_fiber(0);
}

static void fiber_tool_before_enter(struct wr_fiber *fiber)
{
    fiber->tool[TOOL_LOOP] = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->tool[TOOL_FIBER], 0);
}

static void fiber_tool_after_enter(struct wr_fiber *fiber)
{
    (void)fiber;
}

static void fiber_tool_arrive(struct wr_fiber *fiber)
{
    (void)fiber;
}

static void fiber_tool_leave(struct wr_fiber *fiber)
{
    __tsan_switch_to_fiber(fiber->tool[TOOL_LOOP], 0);
}

static void fiber_tool_exit(struct wr_fiber *fiber)
{
    fiber_tool_leave(fiber);
}

#else

static void fiber_tool_init(struct wr_fiber *fiber)
{
    (void)fiber;
}

#define fiber_tool_before_enter fiber_tool_init
#define fiber_tool_after_enter  fiber_tool_init
#define fiber_tool_arrive       fiber_tool_init
#define fiber_tool_leave        fiber_tool_init
#define fiber_tool_exit         fiber_tool_init

#endif

/* The C++ runtime's state of a thread, its struct __cxa_eh_globals (Itanium C++
 * ABI, 2.2.2): caught exceptions and the number of uncaught exceptions. */
struct fiber_exceptions {
    void *caught;
    unsigned int uncaught_count;
#ifdef __ARM_EABI_UNWINDER__
    void *propagating;
#endif
};

__attribute__((weak)) struct fiber_exceptions *__cxa_get_globals(void);

/* Functions of AddressSanitizer; NULL in a program without it, whether or not
 * this file was compiled for it. */
__attribute__((weak)) void
__sanitizer_start_switch_fiber(void **fake, const void *base, size_t size);
__attribute__((weak)) void
__sanitizer_finish_switch_fiber(void *fake, const void **base, size_t *size);
__attribute__((weak)) void
__asan_unpoison_memory_region(const volatile void *base, size_t size);

/* True if a switch must save exceptions or call AddressSanitizer. */
static bool fiber_is_watched;

static __attribute__((constructor)) void fiber_find_tools(void)
{
    fiber_is_watched = __cxa_get_globals || __asan_unpoison_memory_region;
}

/* The stack from which the running fiber was entered, for AddressSanitizer. */
static _Thread_local struct {
    const void *base;
    size_t size;
} fiber_outside;

/* Saves the C++ runtime's exception state on the stack that is left, and
 * restores it when that stack runs again: a switch may happen inside a catch
 * block, or in a destructor during unwinding. A new fiber has no exceptions. */
static void
fiber_switch_with_exceptions(struct wr_fiber *fiber,
                             void (*switch_stack)(struct wr_fiber *))
{
    struct fiber_exceptions *here =
        __cxa_get_globals ? __cxa_get_globals() : NULL;
    const struct fiber_exceptions own =
        here ? *here : (struct fiber_exceptions){.caught = NULL};

    if (here) {
        *here = (struct fiber_exceptions){.caught = NULL};
    }
    switch_stack(fiber);
    if (here) {
        *here = own;
    }
}

/* Enters a fiber. Reports the bounds of the fiber's stack to AddressSanitizer,
 * and keeps the fake stack of the stack that is left until the fiber leaves. */
static __attribute__((noinline, no_sanitize("address"))) void
fiber_enter_watched(struct wr_fiber *fiber,
                    void (*switch_stack)(struct wr_fiber *))
{
    const void *base = fiber_outside.base;
    const size_t size = fiber_outside.size;
    void *fake = NULL;

    if (!__asan_unpoison_memory_region) {
        fiber_switch_with_exceptions(fiber, switch_stack);
        return;
    }
    __sanitizer_start_switch_fiber(&fake, fiber->stack->base,
                                   fiber->stack->size);
    fiber_switch_with_exceptions(fiber, switch_stack);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
    /* A loop may run inside a fiber of another loop. */
    fiber_outside.base = base;
    fiber_outside.size = size;
}

static __attribute__((noinline, no_sanitize("address"))) void
fiber_leave_watched(struct wr_fiber *fiber,
                    void (*switch_stack)(struct wr_fiber *))
{
    void *fake = NULL;

    if (!__asan_unpoison_memory_region) {
        fiber_switch_with_exceptions(fiber, switch_stack);
        return;
    }
    __sanitizer_start_switch_fiber(&fake, fiber_outside.base,
                                   fiber_outside.size);
    fiber_switch_with_exceptions(fiber, switch_stack);
    __sanitizer_finish_switch_fiber(fake, &fiber_outside.base,
                                    &fiber_outside.size);
}

/* Runs a new fiber, which has no fake stack yet. Parameters are in the order of
 * fiber_start(), so no register is moved. */
static __attribute__((noinline, no_sanitize("address"))) void
fiber_run_watched(const struct wr_fiber *fiber, void (*run)(void *), void *arg)
{
    wr_assert(fiber->stack);
    if (__asan_unpoison_memory_region) {
        __sanitizer_finish_switch_fiber(NULL, &fiber_outside.base,
                                        &fiber_outside.size);
    }
    run(arg);
}

/* Leaves a fiber for the last time, and frees its fake stack. */
static __attribute__((noinline, no_sanitize("address"))) void
fiber_exit_watched(struct wr_fiber *fiber,
                   void (*switch_stack)(struct wr_fiber *))
{
    if (__asan_unpoison_memory_region) {
        __asan_unpoison_memory_region(fiber->stack->base, fiber->stack->size);
        __sanitizer_start_switch_fiber(NULL, fiber_outside.base,
                                       fiber_outside.size);
    }
    switch_stack(fiber);
}

static _Noreturn void fiber_start(struct wr_fiber *fiber, void (*run)(void *),
                                  void *arg)
{
    fiber_tool_arrive(fiber);
    if (fiber_is_watched) {
        fiber_run_watched(fiber, run, arg);
    } else {
        run(arg);
    }
    wr_check_failed("a fiber ends with wr_fiber_exit()", __FILE__, __LINE__);
}

/* All stacks start at the same offset of a page and would share a few cache
 * lines. So neighbouring stacks use different offsets (cache colouring). A
 * switch among 20 000 fibers takes 60 ns with colouring and 100 ns without. */
#define COLOURS     16u
#define COLOUR_STEP 64u

static void *fiber_top(const struct wr_stack *stack)
{
    /* Records of neighbouring stacks are adjacent in memory. */
    _Static_assert(sizeof(*stack) > 32, "neighbours differ");
    return stack->base + stack->size -
           ((uintptr_t)stack / 32 % COLOURS * COLOUR_STEP);
}

/* Reserves @size bytes at the top of the empty stack, and marks them as
 * undefined for valgrind, which remembers the previous fiber's values. */
static void *fiber_place_at_top(const struct wr_fiber *fiber, size_t size)
{
    uint8_t *end = fiber->sp;
    uint8_t *place = end - (size + 15) / 16 * 16;
    wr_debug_assert((uintptr_t)place % 16 == 0);
    wr_debug_assert(place > fiber->stack->base);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(place, (size_t)(end - place));
    return place;
}

#ifdef WR_FIBER_UCONTEXT

#include <ucontext.h>

struct fiber_pair {
    ucontext_t fiber;
    ucontext_t loop;
    struct wr_fiber *self;
    void (*run)(void *arg);
    void *arg;
};

/* makecontext() passes only int. */
static void fiber_start_halves(unsigned int high, unsigned int low)
{
    uint64_t address = (uint64_t)high << 32 | low;
    const struct fiber_pair *pair =
        (const struct fiber_pair *)(uintptr_t)address;
    fiber_start(pair->self, pair->run, pair->arg);
}

static void fiber_make(struct wr_fiber *fiber, void (*run)(void *), void *arg)
{
    struct fiber_pair *pair = fiber_place_at_top(fiber, sizeof(*pair));
    uint64_t address = (uintptr_t)pair;

    pair->self = fiber;
    pair->run = run;
    pair->arg = arg;

    wr_check(getcontext(&pair->fiber) == 0);
    pair->fiber.uc_link = NULL;
    pair->fiber.uc_stack.ss_sp = fiber->stack->base;
    pair->fiber.uc_stack.ss_size =
        (size_t)((uint8_t *)pair - fiber->stack->base);
    makecontext(&pair->fiber, (void (*)(void))fiber_start_halves, 2,
                (unsigned int)(address >> 32), (unsigned int)address);
    fiber->sp = pair;
}

static void fiber_switch_to(struct wr_fiber *fiber)
{
    struct fiber_pair *pair = fiber->sp;
    wr_check(swapcontext(&pair->loop, &pair->fiber) == 0);
}

static void fiber_switch_to_loop(struct wr_fiber *fiber)
{
    struct fiber_pair *pair = fiber->sp;
    wr_check(swapcontext(&pair->fiber, &pair->loop) == 0);
}

#else

#include "switch.h"

#if defined(__x86_64__)

static void fiber_fill_frame(struct wr_switch_frame *frame,
                             struct wr_fiber *fiber, void (*run)(void *),
                             void *arg)
{
    *frame = (struct wr_switch_frame){
        .mxcsr = __builtin_ia32_stmxcsr(),
        .r15 = arg,
        .r14 = run,
        .r13 = fiber_start,
        .r12 = fiber,
        .return_to = wr_fiber_entry,
    };
    __asm__("fnstcw %0" : "=m"(frame->x87_control));
}

#else

typedef void fiber_return_fn(void);

/* Returns the address signed as wr_fiber_swap() authenticates it when it
 * returns with this stack pointer. */
static fiber_return_fn *fiber_sign(fiber_return_fn *address, const void *sp)
{
#ifdef __ARM_FEATURE_PAC_DEFAULT
    register fiber_return_fn *signed_address __asm__("x17") = address;
    register const void *modifier __asm__("x16") = sp;
    __asm__("hint #8" /* pacia1716 */
            : "+r"(signed_address)
            : "r"(modifier));
    return signed_address;
#else
    (void)sp;
    return address;
#endif
}

static void fiber_fill_frame(struct wr_switch_frame *frame,
                             struct wr_fiber *fiber, void (*run)(void *),
                             void *arg)
{
    uint64_t fpcr;

    __asm__("mrs %0, fpcr" : "=r"(fpcr));
    *frame = (struct wr_switch_frame){
        .x19 = fiber,
        .x20 = fiber_start,
        .x21 = run,
        .x22 = arg,
        .x30 = fiber_sign(wr_fiber_entry, &frame->end),
        .fpcr = fpcr,
    };
}

#endif

static void fiber_make(struct wr_fiber *fiber, void (*run)(void *), void *arg)
{
    struct wr_switch_frame *frame = fiber_place_at_top(fiber, sizeof(*frame));
    fiber_fill_frame(frame, fiber, run, arg);
    fiber->sp = frame;
}

static void fiber_switch_to(struct wr_fiber *fiber)
{
#ifdef WR_SHADOW
    wr_shadow_swap(&fiber->sp);
#else
    wr_fiber_swap(&fiber->sp);
#endif
#ifdef __CET__
    /* Prevents a tail call: gcc would jump to the function, and the landing pad
     * after the call would be missing. */
    __asm__ volatile("");
#endif
}

#define fiber_switch_to_loop fiber_switch_to

#endif

static inline bool fiber_is_inside(const struct wr_fiber *fiber)
{
    const uintptr_t at = (uintptr_t)__builtin_frame_address(0);
    const uintptr_t base = (uintptr_t)fiber->stack->base;

    return at >= base && at < base + fiber->stack->size;
}

void wr_fiber_init(struct wr_fiber *fiber, struct wr_stack *stack)
{
    wr_debug_assert(!stack->next); /* not in a list of free stacks */
    *fiber = (struct wr_fiber){.sp = fiber_top(stack), .stack = stack};
    fiber_tool_init(fiber);
}

void wr_fiber_begin(struct wr_fiber *fiber, void (*run)(void *arg), void *arg)
{
    wr_debug_assert(run);
    wr_debug_assert(fiber->sp == fiber_top(fiber->stack));
    fiber_make(fiber, run, arg);
}

void wr_fiber_enter(struct wr_fiber *fiber)
{
    wr_assert(fiber->sp);
    wr_debug_assert(!fiber_is_inside(fiber));
    fiber_tool_before_enter(fiber);
    if (fiber_is_watched) {
        fiber_enter_watched(fiber, fiber_switch_to);
    } else {
        fiber_switch_to(fiber);
    }
    fiber_tool_after_enter(fiber);
}

void wr_fiber_leave(struct wr_fiber *fiber)
{
    wr_debug_assert(fiber_is_inside(fiber));
    fiber_tool_leave(fiber);
    if (fiber_is_watched) {
        fiber_leave_watched(fiber, fiber_switch_to_loop);
    } else {
        fiber_switch_to_loop(fiber);
    }
    fiber_tool_arrive(fiber);
}

_Noreturn void wr_fiber_exit(struct wr_fiber *fiber)
{
    wr_debug_assert(fiber_is_inside(fiber));
    fiber_tool_exit(fiber);
    if (fiber_is_watched) {
        fiber_exit_watched(fiber, fiber_switch_to_loop);
    } else {
        fiber_switch_to_loop(fiber);
    }
    wr_check_failed("a fiber is not entered after its end", __FILE__, __LINE__);
}

#ifdef WR_FIBER_TSAN
void wr_fiber_fini(struct wr_fiber *fiber)
{
    __tsan_destroy_fiber(fiber->tool[TOOL_FIBER]);
    fiber->sp = NULL;
}
#endif
