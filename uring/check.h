/*
 * Assertions, and the few macros that cannot be functions.
 *
 * wr_assert states what must be true by weir's own logic, wr_check what the
 * kernel guarantees. Both stay in release builds: they compare values that are
 * in a register anyway, and a server with a broken invariant does more harm
 * than one that stops. Peers, users and a full machine cause errors, which are
 * returned, not asserted.
 */
#ifndef WEIR_URING_CHECK_H
#define WEIR_URING_CHECK_H

#include <stddef.h>
#include <stdint.h>

#define WR_LIKELY(cond)   __builtin_expect(!!(cond), 1)
#define WR_UNLIKELY(cond) __builtin_expect(!!(cond), 0)

/* Reports the broken condition on standard error and aborts. */
_Noreturn void wr_check_failed(const char *cond, const char *file, int line);

/* Reports a misuse by a task (NULL: by the program) that no call can return as
 * an error on standard error, and aborts. */
_Noreturn void wr_check_misused(const char *task, const char *what);

#define wr_assert(cond)                                                        \
    (WR_LIKELY(cond) ? (void)0 : wr_check_failed(#cond, __FILE__, __LINE__))

#define wr_check(cond) wr_assert(cond)

/* Like wr_assert, but only with -Dinvariants=true: for conditions that read a
 * list or another object, or that every message would evaluate. */
#ifdef WR_INVARIANTS
#define wr_debug_assert(cond) wr_assert(cond)
#else
#define wr_debug_assert(cond) ((void)(0 && (cond)))
#endif

/* Calls a function of checks only with -Dinvariants=true. */
#define wr_debug_check(call) wr_debug_assert(((call), 1))

/* Ignores a result; the reason stands beside the call. */
#define wr_ignore(expr)                                                        \
    do {                                                                       \
        if (expr) {                                                            \
        }                                                                      \
    } while (0)

/* Public misuse: returns an error from the calling function. */
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

/* Adds times in nanoseconds; a sum that would overflow is UINT64_MAX,
 * "never". */
static inline uint64_t wr_add_sat(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
