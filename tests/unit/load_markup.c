/*
 * Texts in HTML and SVG: whatever bytes a text has, what is written is
 * well-formed, and what can be shown is there.
 *
 * The rules are those of XML 1.0, which are narrower than HTML's.
 */
#include "tools/weir-load/markup.c"

#include "tests/unit.h"

#include <stdlib.h>

static void expect_written(const char *text, const char *wanted)
{
    char *written = NULL;
    size_t len = 0;

    FILE *out = open_memstream(&written, &len);
    cr_assert_not_null(out);
    markup_write(text, out);
    fclose(out);
    expect_str_eq(written, wanted);
    free(written);
}

UNIT(load_markup, what_means_something_is_an_entity)
{
    expect_written("a <b> & \"c\"", "a &lt;b&gt; &amp; &quot;c&quot;");
}

UNIT(load_markup, characters_of_each_length_stay)
{
    expect_written("\x7f\xc2\x80\xc3\xa9\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80"
                   "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
                   "\x7f\xc2\x80\xc3\xa9\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80"
                   "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
    expect_written("\t\n\r", "\t\n\r");
}

UNIT(load_markup, each_byte_that_is_no_character_is_a_question_mark)
{
    static const char *const bad[] = {
        "\x01",         "\x1b",         "\x80",
        "\xff",         "\xc0\xaf",     "\xe0\x80\xaf",
        "\xed\xa0\x80", "\xef\xbf\xbe", "\xf4\x90\x80\x80",
        "\xc3",         "\xe2\x82",     "\xf8\x88",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[16];
        char wanted[16];
        snprintf(text, sizeof(text), "a%s<", bad[i]);
        snprintf(wanted, sizeof(wanted), "a%.*s&lt;", (int)strlen(bad[i]),
                 "????");
        expect_written(text, wanted);
    }
}

UNIT(load_markup, letters_are_counted_and_not_bytes)
{
    expect_eq(markup_count("a\xc3\xa9\xe2\x82\xac"), 3);
}
