/*
 * Assertions and the few macros that a function cannot replace.
 *
 * wr_assert states what must be true by weir's own logic; wr_check states what
 * the kernel has promised. Both stay on in release builds: they compare what
 * is in a register anyway, and a server that carries on with a broken
 * invariant does worse than one that stops. Neither is for what peers, users
 * or a full machine can cause; those are errors and are returned.
 */
#ifndef WEIR_URING_CHECK_H
#define WEIR_URING_CHECK_H

#include <stddef.h>
#include <stdint.h>

#define WR_LIKELY(cond)   __builtin_expect(!!(cond), 1)
#define WR_UNLIKELY(cond) __builtin_expect(!!(cond), 0)

/* Reports the broken condition on standard error and aborts. */
_Noreturn void wr_check_failed(const char *cond, const char *file, int line);

/* Tells on standard error what a task of the program has done, or the program
 * itself where @task is NULL, that no call can return as an error, and aborts.
 */
_Noreturn void wr_check_misused(const char *task, const char *what);

#define wr_assert(cond)                                                        \
    (WR_LIKELY(cond) ? (void)0 : wr_check_failed(#cond, __FILE__, __LINE__))

#define wr_check(cond) wr_assert(cond)

/* As wr_assert, in trees that are built with -Dinvariants=true alone: for what
 * looks at a list or another object, or stands on the way of every message. */
#ifdef WR_INVARIANTS
#define wr_debug_assert(cond) wr_assert(cond)
#else
#define wr_debug_assert(cond) ((void)(0 && (cond)))
#endif

/* wr_debug_assert() of all that a check of invariants asserts: for such a call
 * on the way of every message. */
#define wr_debug_check(call) wr_debug_assert(((call), 1))

/* Uses up a result that does not matter; the reason stands beside the call. */
#define wr_ignore(expr)                                                        \
    do {                                                                       \
        if (expr) {                                                            \
        }                                                                      \
    } while (0)

/* Public misuse: leave the calling function with an error. */
#define wr_require(cond, code)                                                 \
    do {                                                                       \
        if (WR_UNLIKELY(!(cond))) {                                            \
            return (code);                                                     \
        }                                                                      \
    } while (0)

#define wr_container_of(ptr, type, member)                                     \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline uint64_t wr_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t wr_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Times are nanoseconds; a sum that would wrap is "never". */
static inline uint64_t wr_add_sat(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
