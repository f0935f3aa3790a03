/*
 * Reads the option structs of callers.
 *
 * The first field of an option struct is its size in the caller's headers. The
 * library copies only these bytes, into a struct of its own size. If the
 * caller's struct is shorter (an older header), the other fields are 0, which
 * is the default of every field. If it is longer (a newer header), the fields
 * that the library does not know must be 0.
 *
 * A struct inside another (struct weir_timeouts in struct
 * weir_connection_options) is its last field and has its own size, so that it
 * can grow. New fields of the outer struct are added before it.
 */
#ifndef WEIR_LIB_BASE_OPTIONS_H
#define WEIR_LIB_BASE_OPTIONS_H

#include "weir/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Copies @options, or the defaults if it is NULL, to @known. Returns 0,
 * WEIR_EOPTIONSIZE with all defaults if the size is not set, or -E2BIG if an
 * unknown field is set. @known gets the caller's size. */
WEIR_MUST_USE static inline int wr_options_read(void *known, size_t known_size,
                                                const void *options);

/* Reads @inner, the last field of @outer, in place, after wr_options_read() of
 * @outer. A size field of 0 means the rest of the caller's struct. Returns
 * -EINVAL with all defaults if the size is larger than this rest or smaller
 * than its own field. Sets fields beyond the size to 0. */
WEIR_MUST_USE int wr_options_read_inner(const void *outer, void *inner,
                                        size_t inner_size);

/* Structs that the library fills also begin with the size in the caller's
 * headers. The library writes no field beyond this size, and sets fields that
 * it does not know to 0. */

/* Returns 0, -EINVAL if @ret is NULL, or WEIR_EOPTIONSIZE. */
WEIR_MUST_USE int wr_answer_check(const void *ret);
/* wr_answer_check() must have accepted @ret. */
void wr_answer_write(void *ret, const void *known, size_t known_size);

/* Like wr_options_read(), but @options must not be NULL. */
WEIR_MUST_USE int wr_options_read_given(void *known, size_t known_size,
                                        const void *options);

/* Limits and default of the stack size of loops, tasks and streams. */
#define WR_STACK_MIN     (16u << 10)
#define WR_STACK_DEFAULT (256u << 10)
#define WR_STACK_MAX     (1u << 30)

/* 0 means the default. */
static inline bool wr_options_is_stack_size(size_t size)
{
    return size == 0 || (size >= WR_STACK_MIN && size <= WR_STACK_MAX);
}

static inline void wr_options_reset(void *known, size_t size)
{
    memset(known, 0, size);
    memcpy(known, &size, sizeof(size));
}

static inline int wr_options_read(void *known, size_t known_size,
                                  const void *options)
{
    if (options) {
        return wr_options_read_given(known, known_size, options);
    }
    wr_options_reset(known, known_size);
    return 0;
}

#endif
