/*
 * Where responses of any protocol end: rules and the positions of errors in
 * them, escapes, and reading that does not depend on how the bytes are split.
 *
 * Random delimiters are compared with a search that keeps all bytes.
 */
#include "tools/weir-load/request/script.c"

#include "random.h"

static struct script_rule rule;
static char why[WHY_SIZE];

static void parse(const char *text)
{
    memset(&rule, 0, sizeof(rule));
    expect_eq(script_parse_rule(text, &rule, why), 0, "%s: %s", text, why);
}

/* Returns the size of the first response, read in pieces; 0 if it is
 * incomplete; or an error. */
static ssize_t measure_answer(const void *bytes, size_t len, size_t piece)
{
    struct script_reader reader = {.size_bytes = 0};
    const uint8_t *data = bytes;
    bool is_complete = false;
    size_t used = 0;

    while (used < len && !is_complete) {
        const size_t left = len - used;
        const ssize_t part =
            script_read(&rule, &reader, data + used,
                        piece < left ? piece : left, &is_complete);
        if (part < 0) {
            return part;
        }
        expect_gt(part, 0);
        used += (size_t)part;
    }
    return is_complete ? (ssize_t)used : 0;
}

static void ends_at(const char *text, const char *bytes, size_t len,
                    ssize_t wanted)
{
    parse(text);
    for (size_t piece = 1; piece <= len; piece++) {
        expect_eq(measure_answer(bytes, len, piece), wanted,
                  "%s in pieces of %zu", text, piece);
    }
}

#define ENDS_AT(text, bytes, wanted)                                           \
    ends_at(text, bytes, sizeof(bytes) - 1, wanted)

UNIT(load_script, a_delimiter_ends_an_answer)
{
    ENDS_AT("delim:\\r\\n", "+PONG\r\n+PONG\r\n", 7);
    ENDS_AT("delim:\\r\\n", "\r\r\n\n", 3);
    ENDS_AT("delim:\\r\\n", "+PONG\r", 0);
    ENDS_AT("delim:\\0", "ab\0c", 3);
    ENDS_AT("delim:END\\r\\n", "VALUE x\r\nEENEND\rEND\r\n", 21);
    ENDS_AT("delim:aabaac", "aabaabaacx", 9);
    ENDS_AT("delim::", "a:b:", 2);
}

UNIT(load_script, the_nth_delimiter_ends_an_answer)
{
    ENDS_AT("count:2:\\r\\n", "$3\r\nabc\r\n$3\r\n", 9);
    ENDS_AT("count:3:aa", "aaaaaaa", 6);
    ENDS_AT("count:2:\\r\\n", "$-1\r\n", 0);
}

UNIT(load_script, a_size_ends_an_answer)
{
    ENDS_AT("len:5", "abcdefgh", 5);
    ENDS_AT("len:5", "abcd", 0);
    parse("len:1k");
    expect_eq(rule.size_bytes, 1024);
}

UNIT(load_script, a_length_field_ends_an_answer)
{
    ENDS_AT("prefix:1", "\003abcd", 4);
    ENDS_AT("prefix:1be", "\003abcd", 4);
    ENDS_AT("prefix:1le", "\003abcd", 4);
    ENDS_AT("prefix:2be", "\000\002ab\000", 4);
    ENDS_AT("prefix:2le", "\002\000ab\000", 4);
    ENDS_AT("prefix:4be@1-4", "Z\0\0\0\005I", 6);
    ENDS_AT("prefix:4be@1-4", "Z\0\0\0\004I", 5);
    ENDS_AT("prefix:4le@2+1", "xx\001\0\0\0abc", 8);
    ENDS_AT("prefix:8be", "\0\0\0\0\0\0\0\0a", 8);
    ENDS_AT("prefix:8be", "\0\0\0\0\0\0\0\001a", 9);
    ENDS_AT("prefix:8le", "\001\0\0\0\0\0\0\0a", 9);
    ENDS_AT("prefix:2be", "\000", 0);
}

UNIT(load_script, a_length_that_cannot_be_is_an_error)
{
    ENDS_AT("prefix:4be@1-4", "Z\0\0\0\003I", -EMSGSIZE);
    ENDS_AT("prefix:4be", "\x40\0\0\1", -EMSGSIZE);
    ENDS_AT("prefix:4be", "\x40\0\0\0", 0);
    ENDS_AT("prefix:4be", "\x7f\xff\xff\xff", -EMSGSIZE);
    ENDS_AT("prefix:8le", "\0\0\0\0\0\0\0\x80", -EMSGSIZE);
}

UNIT(load_script, random_delimiters_are_found_where_a_search_finds_them)
{
    struct unit_random chance;
    char text[64];
    char bytes[40];

    unit_random_seed(&chance);
    for (int round = 0; round < 20000; round++) {
        const size_t len = 1 + unit_random_below(&chance, sizeof(bytes));
        const size_t delimiter_len = 1 + unit_random_below(&chance, 6);
        snprintf(text, sizeof(text), "delim:");
        for (size_t i = 0; i < delimiter_len; i++) {
            text[6 + i] = (char)('a' + unit_random_below(&chance, 2));
        }
        text[6 + delimiter_len] = '\0';
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (char)('a' + unit_random_below(&chance, 2));
        }
        parse(text);
        const char *found = memmem(bytes, len, text + 6, delimiter_len);
        const ssize_t wanted =
            found ? found - bytes + (ssize_t)delimiter_len : 0;
        expect_eq(measure_answer(bytes, len, 1 + unit_random_below(&chance, 8)),
                  wanted, "%s in %.*s", text, (int)len, bytes);
    }
}

static void refuses(const char *text, size_t at)
{
    char place[32];

    snprintf(place, sizeof(place), "at byte %zu:", at);
    why[0] = '\0';
    expect_eq(script_parse_rule(text, &rule, why), -EINVAL, "%s", text);
    cr_assert_not_null(strstr(why, place), "'%s' said: %s", text, why);
}

UNIT(load_script, mistakes_in_rules_are_told_with_their_place)
{
    char text[512] = "delim:";

    refuses("", 1);
    refuses("200", 1);
    refuses("delim", 1);
    refuses("delim:", 7);
    refuses("delim:a\\", 8);
    refuses("delim:a\\q", 8);
    refuses("delim:\\x1", 7);
    refuses("delim:\\xg1", 7);
    refuses("count:", 7);
    refuses("count:0:a", 7);
    refuses("count:x:a", 7);
    refuses("count:2", 8);
    refuses("count:2:", 9);
    refuses("len:", 5);
    refuses("len:0", 5);
    refuses("len:2G", 5);
    refuses("len:5x", 5);
    refuses("prefix:", 8);
    refuses("prefix:3be", 8);
    refuses("prefix:4", 8);
    refuses("prefix:4xe", 8);
    refuses("prefix:4be@", 12);
    refuses("prefix:4be@x", 12);
    refuses("prefix:4be@5000", 12);
    refuses("prefix:4be+", 12);
    refuses("prefix:4be-5000", 12);
    refuses("prefix:4be@1+1x", 14);
    refuses("prefix:4bex", 11);
    memset(text + 6, 'a', 65);
    refuses(text, 7);
    memset(text + 6, 'a', 400);
    refuses(text, 7);
}

UNIT(load_script, a_refused_rule_writes_nothing)
{
    parse("len:7");
    refuses("delim:", 7);
    expect_eq(rule.size_bytes, 7);
}

UNIT(load_script, escapes_are_those_of_c)
{
    char out[64];
    size_t at = 0;

    expect_eq(script_unescape("a\\r\\n\\t\\0\\\\\\x4aZ", out, &at), 8);
    expect_eq(memcmp(out, "a\r\n\t\0\\JZ", 8), 0);
    expect_eq(script_unescape("", out, &at), 0);
    expect_eq(script_unescape("ab\\", out, &at), -EINVAL);
    expect_eq(at, 2);
    expect_eq(script_unescape("\\x4", out, &at), -EINVAL);
    expect_eq(at, 0);
}

UNIT(load_script, an_answer_begins_as_it_should)
{
    struct script_reader reader = {.size_bytes = 0};
    bool is_complete = false;

    parse("delim:\\n");
    expect_eq(script_parse_begin("+O", &rule, why), 0);
    script_read(&rule, &reader, (const uint8_t *)"+", 1, &is_complete);
    script_read(&rule, &reader, (const uint8_t *)"OK\n", 3, &is_complete);
    cr_assert(is_complete);
    cr_assert(script_is_good(&rule, &reader));
    reader = (struct script_reader){.size_bytes = 0};
    script_read(&rule, &reader, (const uint8_t *)"-O\n", 3, &is_complete);
    cr_assert_not(script_is_good(&rule, &reader));
    reader = (struct script_reader){.size_bytes = 0};
    script_read(&rule, &reader, (const uint8_t *)"\n", 1, &is_complete);
    cr_assert_not(script_is_good(&rule, &reader));
    expect_eq(script_parse_begin("", &rule, why), -EINVAL);
    expect_eq(script_parse_begin("\\q", &rule, why), -EINVAL);
}
