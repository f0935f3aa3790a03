/*
 * The options of one side of a comparison, split into arguments: quotes,
 * backslashes, blanks, and what is refused.
 *
 * sh splits all these lines in the same way.
 */
#include "tools/weir-load/analysis/split.c"

#include "tests/unit.h"

#include <stdarg.h>
#include <stdio.h>

static struct split split;
static char why[OPTION_WHY_SIZE];

bool option_refuse(char *reason, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(reason, OPTION_WHY_SIZE, format, args);
    va_end(args);
    return false;
}

UNIT(load_split, words_are_cut_as_a_shell_cuts_them)
{
    static const struct {
        const char *text;
        size_t count;
        const char *words[4];
    } rows[] = {
        {"", 0, {0}},
        {" \t\n ", 0, {0}},
        {"-p 4", 2, {"-p", "4"}},
        {"  -H  \"X: 1\" ", 2, {"-H", "X: 1"}},
        {"-b '{\"id\": 1}'", 2, {"-b", "{\"id\": 1}"}},
        {"'' \"\" a", 3, {"", "", "a"}},
        {"a\\ b\\'c", 1, {"a b'c"}},
        {"\"a\\\"b\\\\c\\d\"", 1, {"a\"b\\c\\d"}},
        {"x'y z'\"'\"w", 1, {"xy z'w"}},
        {"'a\\'", 1, {"a\\"}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert(split_text(rows[i].text, &split, why), "%s", rows[i].text);
        expect_eq(split.count, rows[i].count, "%s", rows[i].text);
        for (size_t word = 0; word < rows[i].count; word++) {
            expect_str_eq(split.words[word], rows[i].words[word]);
        }
    }
}

UNIT(load_split, a_quote_that_does_not_end_is_refused)
{
    static const char *const rows[] = {"'",       "a 'b", "\"",
                                       "\"a\\\"", "a\\",  "-b '{\"id\": 1}"};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_not(split_text(rows[i], &split, why), "%s", rows[i]);
        cr_assert_not_null(strstr(why, "a quote or a \\ at its end"));
    }
}

UNIT(load_split, there_are_so_many_words_and_bytes)
{
    static char text[2 * SPLIT_SIZE_MAX];

    memset(text, 'a', SPLIT_SIZE_MAX - 2);
    cr_assert(split_text(text, &split, why));
    expect_eq(strlen(split.words[0]), SPLIT_SIZE_MAX - 2);
    text[SPLIT_SIZE_MAX - 2] = 'a';
    cr_assert_not(split_text(text, &split, why));
    expect_str_eq(why, "longer than 4094 bytes");

    for (size_t i = 0; i < 2U * SPLIT_WORDS_MAX; i++) {
        text[i] = i % 2 ? ' ' : 'a';
    }
    text[2U * SPLIT_WORDS_MAX] = '\0';
    cr_assert(split_text(text, &split, why));
    expect_eq(split.count, SPLIT_WORDS_MAX);
    strcat(text, "b");
    cr_assert_not(split_text(text, &split, why));
    expect_str_eq(why, "more than 128 words");
}
