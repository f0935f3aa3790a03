/*
 * Reading the option structs that callers hand in.
 *
 * Each of them begins with its size as the caller's header knows it. Only that
 * many bytes are the caller's struct: they are copied into a struct of this
 * library's size, and everybody reads the copy. An older struct leaves the
 * rest of the copy at 0, which is the default of every field; a newer one may
 * be larger as long as what is unknown here is 0.
 *
 * A struct inside another one (struct weir_timeouts in struct
 * weir_stream_options) is the last field there, so that both can grow.
 */
#ifndef WEIR_LIB_OPTIONS_H
#define WEIR_LIB_OPTIONS_H

#include <stddef.h>
#include <string.h>

/* Fills @known, a struct of @known_size bytes, from the caller's @options, of
 * which NULL means all defaults: 0; -EINVAL when their size field is unset,
 * and then all of @known is the default; or -E2BIG when they have a field set
 * that is unknown here. The size in @known stays the caller's for
 * wr_options_read_inner(). */
static inline int wr_options_read(void *known, size_t known_size,
                                  const void *options);

/* The same for @inner, the last field of @outer, where @outer is what one of
 * these two functions has filled. A size of 0 in it stands for all that @outer
 * has room for; one that is larger is -EINVAL, and what a smaller one leaves
 * out is set to 0. */
int wr_options_read_inner(const void *outer, void *inner, size_t inner_size);

/* wr_options_read() of options that are not NULL. */
int wr_options_read_given(void *known, size_t known_size, const void *options);

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
