/*
 * Splits a copy of the text in place, in one pass: an argument is never longer
 * than its text. A quote that is not closed is an error, because it would
 * change the arguments after it.
 */
#include "analysis.h"

#include "tools/common/option.h"

#include <string.h>

static const char *take_quoted(const char *at, char **to)
{
    const char quote = *at++;

    for (; *at && *at != quote; at++) {
        if (quote == '"' && *at == '\\' && (at[1] == '"' || at[1] == '\\')) {
            at++;
        }
        *(*to)++ = *at;
    }
    return *at ? at + 1 : NULL;
}

static const char *take_word(const char *at, char **to)
{
    while (at && *at && !strchr(" \t\n", *at)) {
        if (*at == '\'' || *at == '"') {
            at = take_quoted(at, to);
        } else if (*at == '\\') {
            *(*to)++ = at[1];
            at = at[1] ? at + 2 : NULL;
        } else {
            *(*to)++ = *at++;
        }
    }
    *(*to)++ = '\0';
    return at;
}

bool split_text(const char *text, struct split *ret, char *why)
{
    const char *at = text + strspn(text, " \t\n");
    char *to = ret->text;

    ret->count = 0;
    if (strlen(text) >= SPLIT_SIZE_MAX - 1) {
        return option_refuse(why, "longer than %u bytes", SPLIT_SIZE_MAX - 2);
    }
    while (*at) {
        if (ret->count == SPLIT_WORDS_MAX) {
            return option_refuse(why, "more than %u words", SPLIT_WORDS_MAX);
        }
        ret->words[ret->count++] = to;
        at = take_word(at, &to);
        if (!at) {
            return option_refuse(why, "a quote or a \\ at its end: '%.200s'",
                                 text);
        }
        at += strspn(at, " \t\n");
    }
    return true;
}
