/*
 * Reading the option structs that callers pass.
 *
 * An option struct begins with its size as the caller's header knows it. Only
 * these bytes are read: they are copied into a struct of this library's size,
 * and the library reads only the copy. An older, shorter struct leaves the
 * other fields of the copy at 0, the default of every field. A newer, longer
 * struct is accepted if the fields that this library does not know are 0.
 *
 * A struct inside a struct (struct weir_timeouts in struct
 * weir_connection_options) is the last field, so that it can grow. A new field
 * of the outer struct is added before the inner struct, which moves.
 */
#ifndef WEIR_LIB_BASE_OPTIONS_H
#define WEIR_LIB_BASE_OPTIONS_H

#include "weir/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Fills @known, a struct of @known_size bytes, from the caller's @options; NULL
 * means all defaults. Returns 0; WEIR_EOPTIONSIZE if the size field is not set,
 * with @known all defaults; or -E2BIG if a field that this library does not
 * know is set. The size in @known stays the caller's, for
 * wr_options_read_inner(). */
WEIR_MUST_USE static inline int wr_options_read(void *known, size_t known_size,
                                                const void *options);

/* Reads @inner, the last field of @outer, in place, after wr_options_read(). If
 * the size field of @inner is 0, its size is the rest of the caller's struct. A
 * size above this rest is -EINVAL. Fields beyond the size are set to 0. */
WEIR_MUST_USE int wr_options_read_inner(const void *outer, void *inner,
                                        size_t inner_size);

/* Structs that the library fills for a caller begin with their size, too.
 * Fields that the caller does not know are left out; fields that this library
 * does not know are set to 0. */

/* Returns 0, -EINVAL if @ret is NULL, or WEIR_EOPTIONSIZE for a bad size. */
WEIR_MUST_USE int wr_answer_check(const void *ret);
/* Writes @known to @ret, which passed wr_answer_check(). */
void wr_answer_write(void *ret, const void *known, size_t known_size);

/* Like wr_options_read(); @options must not be NULL. */
WEIR_MUST_USE int wr_options_read_given(void *known, size_t known_size,
                                        const void *options);

/* Stack sizes in bytes, for the options of loops, tasks and streams. */
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
