/*
 * What weir_loop_dump() writes of a loop.
 *
 * A test asks for words in the text, and is shown all of it when they are not
 * there.
 */
#ifndef WEIR_TESTS_DUMP_H
#define WEIR_TESTS_DUMP_H

#include "expect.h"

#include <weir/inspect.h>

#include <stdlib.h>

/* For free(). */
static inline char *dump_text(const weir_loop *of)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    weir_loop_dump(of, out);
    fclose(out);
    return text;
}

static inline bool dump_has(const weir_loop *of, const char *words)
{
    char *text = dump_text(of);
    const bool has = strstr(text, words) != NULL;
    free(text);
    return has;
}

static inline void expect_dumped(const weir_loop *of, const char *words)
{
    char *text = dump_text(of);
    cr_assert_not_null(strstr(text, words), "%s", text);
    free(text);
}

#endif
