/*
 * Macros for the rows of grammars, for
 * grammar_tools.c and for files with the grammar of a
 * single tool.
 */
#ifndef WEIR_LOAD_GRAMMAR_ROWS_H
#define WEIR_LOAD_GRAMMAR_ROWS_H

#include "foreign.h"

#define KEEP(names_, takes_, means_)                                           \
    {                                                                          \
        names_, GRAMMAR_##takes_, GRAMMAR_##means_, NULL                       \
    }
#define SET(names_, means_, text_)                                             \
    {                                                                          \
        names_, GRAMMAR_NONE, GRAMMAR_##means_, text_                          \
    }
#define SAY(names_, takes_, text_)                                             \
    {                                                                          \
        names_, GRAMMAR_##takes_, GRAMMAR_SAY, text_                           \
    }
#define SKIP(names_, takes_)                                                   \
    {                                                                          \
        names_, GRAMMAR_##takes_, GRAMMAR_NOTHING, NULL                        \
    }
#define NO(names_, takes_, why_)                                               \
    {                                                                          \
        names_, GRAMMAR_##takes_, GRAMMAR_REFUSED, why_                        \
    }
#define OWN(names_, takes_, index_)                                            \
    {                                                                          \
        names_, GRAMMAR_##takes_,                                              \
            (enum grammar_means)(GRAMMAR_OWN + (index_)), NULL                 \
    }
#define OWN_SET(names_, index_, text_)                                         \
    {                                                                          \
        names_, GRAMMAR_NONE, (enum grammar_means)(GRAMMAR_OWN + (index_)),    \
            text_                                                              \
    }
#define INITIAL(means_, text_)                                                 \
    {                                                                          \
        "", GRAMMAR_NONE, GRAMMAR_##means_, text_                              \
    }
#define END                                                                    \
    {                                                                          \
        NULL, GRAMMAR_NONE, GRAMMAR_NOTHING, NULL                              \
    }

#define NO_SUITES "use --ciphers LIST with IANA names"

static inline const char *own(const struct grammar_line *line, unsigned index)
{
    return line->kept[GRAMMAR_OWN + index];
}

extern const struct grammar_row grammar_redis_rows[];
extern const struct grammar_row grammar_redis_initial[];
bool grammar_adapt_redis(struct grammar_line *line);

#endif
