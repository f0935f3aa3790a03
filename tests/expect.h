/*
 * Comparisons that print both values.
 *
 * expect_eq() and similar macros accept values of any integer, floating point
 * or pointer type, evaluate each once, and print both on failure:
 *
 *     expect_eq(weir_queue_get_size(queue), 3);
 *     lock.c:31: weir_queue_get_size(queue) is 2, not == 3
 *
 * Integers are compared as numbers, so that -1 differs from the largest
 * unsigned number. A printf format with arguments may follow, for details.
 */
#ifndef WEIR_TESTS_EXPECT_H
#define WEIR_TESTS_EXPECT_H

#include "runner/runner.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum expect_kind {
    EXPECT_SIGNED,
    EXPECT_UNSIGNED,
    EXPECT_DOUBLE,
    EXPECT_POINTER,
};

struct expect_value {
    enum expect_kind kind;
    union {
        long long as_signed;
        unsigned long long as_unsigned;
        double as_double;
        const volatile void *as_pointer;
    };
};

static inline struct expect_value expect_of_signed(long long value)
{
    return (struct expect_value){.kind = EXPECT_SIGNED, .as_signed = value};
}

static inline struct expect_value expect_of_unsigned(unsigned long long value)
{
    return (struct expect_value){.kind = EXPECT_UNSIGNED, .as_unsigned = value};
}

static inline struct expect_value expect_of_double(double value)
{
    return (struct expect_value){.kind = EXPECT_DOUBLE, .as_double = value};
}

static inline struct expect_value expect_of_pointer(const volatile void *value)
{
    return (struct expect_value){.kind = EXPECT_POINTER, .as_pointer = value};
}

#define EXPECT_VALUE(x)                                                        \
    _Generic((x), _Bool                                                        \
             : expect_of_unsigned, unsigned char                               \
             : expect_of_unsigned, unsigned short                              \
             : expect_of_unsigned, unsigned int                                \
             : expect_of_unsigned, unsigned long                               \
             : expect_of_unsigned, unsigned long long                          \
             : expect_of_unsigned, char                                        \
             : expect_of_signed, signed char                                   \
             : expect_of_signed, short                                         \
             : expect_of_signed, int                                           \
             : expect_of_signed, long                                          \
             : expect_of_signed, long long                                     \
             : expect_of_signed, float                                         \
             : expect_of_double, double                                        \
             : expect_of_double, default                                       \
             : expect_of_pointer)(x)

static inline double expect_as_double(struct expect_value value)
{
    switch (value.kind) {
    case EXPECT_SIGNED:
        return (double)value.as_signed;
    case EXPECT_UNSIGNED:
        return (double)value.as_unsigned;
    case EXPECT_DOUBLE:
        return value.as_double;
    case EXPECT_POINTER:
        break;
    }
    return (double)(uintptr_t)value.as_pointer;
}

static inline unsigned long long expect_bits(struct expect_value value,
                                             bool *ret_negative)
{
    *ret_negative = value.kind == EXPECT_SIGNED && value.as_signed < 0;
    switch (value.kind) {
    case EXPECT_SIGNED:
        return (unsigned long long)value.as_signed;
    case EXPECT_UNSIGNED:
        return value.as_unsigned;
    case EXPECT_DOUBLE:
    case EXPECT_POINTER:
        break;
    }
    return (unsigned long long)(uintptr_t)value.as_pointer;
}

static inline int expect_order(struct expect_value a, struct expect_value b)
{
    bool a_negative;
    bool b_negative;

    if (a.kind == EXPECT_DOUBLE || b.kind == EXPECT_DOUBLE) {
        const double left = expect_as_double(a);
        const double right = expect_as_double(b);
        return left < right ? -1 : left > right ? 1 : 0;
    }
    const unsigned long long left = expect_bits(a, &a_negative);
    const unsigned long long right = expect_bits(b, &b_negative);
    if (a_negative != b_negative) {
        return a_negative ? -1 : 1;
    }
    return left < right ? -1 : left > right ? 1 : 0;
}

static inline const char *expect_text(struct expect_value value, char *buf,
                                      size_t size)
{
    switch (value.kind) {
    case EXPECT_SIGNED:
        snprintf(buf, size, "%lld", value.as_signed);
        break;
    case EXPECT_UNSIGNED:
        snprintf(buf, size, "%llu", value.as_unsigned);
        break;
    case EXPECT_DOUBLE:
        snprintf(buf, size, "%.17g", value.as_double);
        break;
    case EXPECT_POINTER:
        snprintf(buf, size, "%p", (const void *)(uintptr_t)value.as_pointer);
        break;
    }
    return buf;
}

static inline const char *expect_words(char *buf, size_t size,
                                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf[0] = '\0';
    if (format[0] != '\0') {
        buf[0] = ':';
        buf[1] = ' ';
        vsnprintf(buf + 2, size - 2, format, args);
    }
    va_end(args);
    return buf;
}

/* Text before the message, and a separator: a rig that runs a test in several
 * rounds defines it to name the round. */
#define EXPECT_CONTEXT "", ""

/* The last argument of the following two is "", after the test's own text if
 * there is any. */
#define EXPECT_ORDER(op, actual, expected, ...)                                \
    do {                                                                       \
        const struct expect_value expect_a = EXPECT_VALUE(actual);             \
        const struct expect_value expect_b = EXPECT_VALUE(expected);           \
        if (!(expect_order(expect_a, expect_b) op 0)) {                        \
            char expect_texts[3][256];                                         \
            cr_assert_fail("%s%s%s is %s, not " #op " %s%s", EXPECT_CONTEXT,   \
                           #actual,                                            \
                           expect_text(expect_a, expect_texts[0], 256),        \
                           expect_text(expect_b, expect_texts[1], 256),        \
                           expect_words(expect_texts[2], 256, __VA_ARGS__));   \
        }                                                                      \
    } while (0)

#define EXPECT_STRING(actual, expected, ...)                                   \
    do {                                                                       \
        const char *expect_a = (actual);                                       \
        const char *expect_b = (expected);                                     \
        if (strcmp(expect_a, expect_b) != 0) {                                 \
            char expect_more[256];                                             \
            cr_assert_fail("%s%s%s is \"%s\", not \"%s\"%s", EXPECT_CONTEXT,   \
                           #actual, expect_a, expect_b,                        \
                           expect_words(expect_more, 256, __VA_ARGS__));       \
        }                                                                      \
    } while (0)

#define expect_eq(actual, ...) EXPECT_ORDER(==, actual, __VA_ARGS__, "")
/* For calls too long to share a line with their result. */
#define expect_ok(call)            EXPECT_ORDER(==, call, 0, "")
#define expect_neq(actual, ...)    EXPECT_ORDER(!=, actual, __VA_ARGS__, "")
#define expect_lt(actual, ...)     EXPECT_ORDER(<, actual, __VA_ARGS__, "")
#define expect_leq(actual, ...)    EXPECT_ORDER(<=, actual, __VA_ARGS__, "")
#define expect_gt(actual, ...)     EXPECT_ORDER(>, actual, __VA_ARGS__, "")
#define expect_geq(actual, ...)    EXPECT_ORDER(>=, actual, __VA_ARGS__, "")
#define expect_str_eq(actual, ...) EXPECT_STRING(actual, __VA_ARGS__, "")

#endif
