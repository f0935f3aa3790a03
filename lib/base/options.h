/*
 * Reading the option structs that callers hand in.
 *
 * Each of them begins with its size as the caller's header knows it. Only that
 * many bytes are the caller's struct: they are copied into a struct of this
 * library's size, and the library reads the copy alone. An older struct leaves
 * the rest of the copy at 0, which is the default of every field; a newer one
 * may be larger as long as the fields that are unknown here are 0.
 *
 * A struct inside another one (struct weir_timeouts in struct
 * weir_connection_options) is the last field there, so that it can grow; a new
 * field of the outer one comes before it, and moves it.
 */
#ifndef WEIR_LIB_BASE_OPTIONS_H
#define WEIR_LIB_BASE_OPTIONS_H

#include "weir/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Fills @known, a struct of @known_size bytes, from the caller's @options; NULL
 * means all defaults. Returns 0; WEIR_EOPTIONSIZE when the size field is not
 * set, and then all of @known is the default; or -E2BIG when a field is set
 * that is unknown here. The size in @known stays the caller's, for
 * wr_options_read_inner(). */
WEIR_MUST_USE static inline int wr_options_read(void *known, size_t known_size,
                                                const void *options);

/* Reads @inner, the last field of @outer, in place; one of these two functions
 * has filled @outer. A size of 0 in @inner stands for all that @outer has room
 * for; a larger one is -EINVAL, and fields beyond a smaller one are set to 0.
 */
WEIR_MUST_USE int wr_options_read_inner(const void *outer, void *inner,
                                        size_t inner_size);

/* Structs that the library fills for a caller begin with their size, too:
 * fields that the caller does not know are left out, and those that are unknown
 * here are 0. */

/* 0, or -EINVAL without a struct, or WEIR_EOPTIONSIZE when its size is not set.
 */
WEIR_MUST_USE int wr_answer_check(const void *ret);
/* Writes @known, a struct of @known_size bytes, to one that was checked. */
void wr_answer_write(void *ret, const void *known, size_t known_size);

/* wr_options_read() of options that are not NULL. */
WEIR_MUST_USE int wr_options_read_given(void *known, size_t known_size,
                                        const void *options);

/* Sizes in bytes that the options of loops, tasks and streams take for a
 * task's stack. */
#define WR_STACK_MIN     (16u << 10)
#define WR_STACK_DEFAULT (256u << 10)
#define WR_STACK_MAX     (1u << 30)

/* 0 stands for the default. */
static inline bool wr_options_is_stack_size(size_t size)
{
    return size == 0 || (size >= WR_STACK_MIN && size <= WR_STACK_MAX);
}

/* Makes a struct of defaults only. */
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
