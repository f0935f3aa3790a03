/*
 * The text that weir_loop_dump() writes of a loop.
 *
 * The dump is written to memory. A test searches the whole text for words, or
 * reads the number in one of its lines.
 */
#ifndef WEIR_TESTS_DUMP_H
#define WEIR_TESTS_DUMP_H

#include "expect.h"

#include <weir/inspect.h>

#include <stdlib.h>

/* Not inlined because of free(): gcc 12 would take pointers into the text for
 * pointers to this variable. */
static __attribute__((noinline, unused)) char *dump_text(const weir_loop *of)
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

static inline unsigned long long
dump_number(const weir_loop *of, const char *place, const char *name)
{
    char *text = dump_text(of);
    const char *line = strstr(text, place);
    cr_assert_not_null(line, "no %s in %s", place, text);
    const char *found = strstr(line, name);
    cr_assert_not_null(found, "no %s in %s", name, line);
    const unsigned long long number = strtoull(found + strlen(name), NULL, 10);
    free(text);
    return number;
}

#endif
