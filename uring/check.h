/*
 * Assertions, and the few macros that cannot be functions.
 *
 * wr_assert checks weir's own logic, wr_check what the kernel guarantees. Both
 * stay in release builds, because a server with a broken invariant does more
 * harm than a server that stops. Errors of peers, of the caller and of a
 * machine without resources are returned, not asserted.
 */
#ifndef WEIR_URING_CHECK_H
#define WEIR_URING_CHECK_H

#include <stddef.h>
#include <stdint.h>

#define WR_LIKELY(cond)   __builtin_expect(!!(cond), 1)
#define WR_UNLIKELY(cond) __builtin_expect(!!(cond), 0)

_Noreturn void wr_check_failed(const char *cond, const char *file, int line);

/* Prints a message and aborts. @task is the task's name, or NULL. */
_Noreturn void wr_check_misused(const char *task, const char *what);

#define wr_assert(cond)                                                        \
    (WR_LIKELY(cond) ? (void)0 : wr_check_failed(#cond, __FILE__, __LINE__))

#define wr_check(cond) wr_assert(cond)

/* Like wr_assert, but only if -Dinvariants=true is set. For conditions that
 * read a list or another object, or that would be evaluated for every
 * message. */
#ifdef WR_INVARIANTS
#define wr_debug_assert(cond) wr_assert(cond)
#else
#define wr_debug_assert(cond) ((void)(0 && (cond)))
#endif

#define wr_debug_check(call) wr_debug_assert(((call), 1))

/* Ignores a result. The caller gives the reason in a comment. */
#define wr_ignore(expr)                                                        \
    do {                                                                       \
        if (expr) {                                                            \
        }                                                                      \
    } while (0)

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

/* Adds nanoseconds. Returns UINT64_MAX, which means "never", on overflow. */
static inline uint64_t wr_add_sat(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
