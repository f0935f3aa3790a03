/*
 * Reasons for which a value or a line of a file is refused. A reason is one
 * line of text, which the caller prints after the name of the option or of the
 * file. All buffers have the same size, so a reason can be passed on.
 */
#ifndef WEIR_LOAD_WHY_H
#define WEIR_LOAD_WHY_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Size of every buffer for a reason; equal to OPTION_WHY_SIZE. */
#define WHY_SIZE 512

/* Writes a reason to @why. Returns @err. */
__attribute__((format(printf, 3, 4))) static inline int
why_refuse(char *why, int err, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, WHY_SIZE, format, arguments);
    va_end(arguments);
    return err;
}

/* Writes a reason with the position and the start of the wrong part, @at in
 * @text. Returns -EINVAL. */
static inline int why_refuse_at(char *why, const char *text, const char *at,
                                const char *want)
{
    return why_refuse(why, -EINVAL, "at %zu, '%.40s': %s",
                      (size_t)(at - text) + 1, at, want);
}

static inline int why_no_memory(char *why)
{
    return why_refuse(why, -ENOMEM, "no memory");
}

#endif
