/*
 * Random strings that match a pattern: each is asked of regexec(3), which knows
 * nothing of this program, all that can come do come, and mistakes are told
 * with their place.
 */
#include "tools/weir-load/pattern.c"

#include "tests/unit.h"

#include <regex.h>

static struct pattern pattern;
static char why[PATTERN_WHY_SIZE];
static char out[PATTERN_SIZE_MAX + 1];

static void parse(const char *text)
{
    size_t at = 0;

    expect_eq(pattern_parse(text, strlen(text), &pattern, &at, why), 0,
              "%s: at %zu: %s", text, at, why);
    expect_eq(at, strlen(text) - 1, "%s", text);
}

static const char *write_one(uint64_t random)
{
    const size_t len = pattern_write(&pattern, random, out);

    expect_leq(len, pattern.size_max);
    out[len] = '\0';
    return out;
}

/* All strings of a pattern, in the order of strcmp(), by many draws. */
static void becomes(const char *text, const char *const *wanted)
{
    bool seen[16] = {false};
    bool has_empty = false;
    size_t count = 0;

    while (wanted[count]) {
        has_empty |= wanted[count][0] == '\0';
        count++;
    }
    parse(text);
    expect_eq(pattern.may_be_empty, has_empty, "%s", text);
    for (uint64_t i = 0; i < 400; i++) {
        const char *one = write_one(payload_mix(i));
        size_t at = 0;
        while (at < count && strcmp(wanted[at], one) != 0) {
            at++;
        }
        cr_assert_lt(at, count, "%s became '%s'", text, one);
        seen[at] = true;
    }
    for (size_t i = 0; i < count; i++) {
        cr_assert(seen[i], "%s never became '%s'", text, wanted[i]);
    }
    pattern_fini(&pattern);
}

#define BECOMES(text, ...)                                                     \
    becomes(text, (const char *const[]){__VA_ARGS__, NULL})

static void refuses(const char *text, size_t wanted_at, const char *reason)
{
    size_t at = 0;

    expect_eq(pattern_parse(text, strlen(text), &pattern, &at, why), -EINVAL,
              "%s", text);
    expect_eq(at, wanted_at, "%s: %s", text, why);
    cr_assert_not_null(strstr(why, reason), "'%s' said: %s", text, why);
}

UNIT(load_pattern, it_becomes_all_that_it_describes_and_nothing_else)
{
    BECOMES("abc}", "abc");
    BECOMES("[a-c]}", "a", "b", "c");
    BECOMES("[a-]}", "a", "-");
    BECOMES("[-+]}", "-", "+");
    BECOMES("[\\]^\\\\]}", "]", "^", "\\");
    BECOMES("[^ -z~]}", "{", "|", "}");
    BECOMES("[^\\d\\w\\s!-/:-^`]}", "{", "|", "}", "~");
    BECOMES("\\s}", " ", "\t");
    BECOMES("\\{\\}\\\\}", "{}\\");
    BECOMES("a?}", "", "a");
    BECOMES("a{2}b{1,3}}", "aab", "aabb", "aabbb");
    BECOMES("a{0,2}}", "", "a", "aa");
    BECOMES("a|bc|}", "a", "bc", "");
    BECOMES("x(a|b(c|d))y}", "xay", "xbcy", "xbdy");
    BECOMES("(a|b){2}}", "aa", "ab", "ba", "bb");
    BECOMES("((a|b)?c){0,1}}", "", "c", "ac", "bc");
    BECOMES("(|a|)}", "", "a");
    BECOMES("(|a)(b|)}", "", "a", "b", "ab");
    BECOMES("(|a)b}", "b", "ab");
    BECOMES("a(|b)?}", "a", "ab");
    BECOMES("(a|b?)|c}", "", "a", "b", "c");
    BECOMES("(a|b)c?d?}", "a", "b", "ac", "bc", "ad", "bd", "acd", "bcd");
    BECOMES("(x{2}){0,2}}", "", "xx", "xxxx");
    BECOMES("\xc3\xa9(\xc3\xa9){2}}", "\xc3\xa9\xc3\xa9\xc3\xa9");
    BECOMES("\"{1}]/-}", "\"]/-");
}

UNIT(load_pattern, strings_match_the_expression_of_regexec)
{
    static const char *const patterns[] = {
        "[a-z]{8}",
        "[a-z0-9_]{1,5}",
        "x{3}y{0,2}z?",
        "(GET|PUT|DELETE) /[a-z]+",
        "a*b+",
        "(ab*|c(d|e){2,3}|)f",
        "[^a-y]",
        ".{20}",
        "((a|b)?c){4}",
        "-?[0-9]+[.][0-9]{2}",
        "((((((((((((((((x))))))))))))))))",
        "\\[\\]\\(\\)\\.\\*",
        "([0-9]{1,3}\\.){3}[0-9]{1,3}",
        "\\w{3}\\s\\w",
    };
    char text[80];
    regex_t expression;

    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        snprintf(text, sizeof(text), "^(%s)$", patterns[i]);
        expect_eq(regcomp(&expression, text, REG_EXTENDED | REG_NOSUB), 0);
        snprintf(text, sizeof(text), "%s}", patterns[i]);
        parse(text);
        for (uint64_t j = 0; j < 500; j++) {
            const char *one = write_one(payload_mix(j));
            expect_eq(regexec(&expression, one, 0, NULL, 0), 0,
                      "%s became '%s'", patterns[i], one);
        }
        pattern_fini(&pattern);
        regfree(&expression);
    }
}

UNIT(load_pattern, classes_have_all_their_bytes)
{
    static const struct {
        const char *text;
        size_t count;
    } classes[] = {{".}", 95},     {"\\d}", 10},       {"\\w}", 63},
                   {"[\\d]}", 10}, {"[^a]}", 94},      {"[^\\s]}", 94},
                   {"[ -~]}", 95}, {"[a-zA-Z_]}", 53}, {"[aaa]}", 1}};

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        parse(classes[i].text);
        expect_eq(pattern.len, classes[i].count, "%s", classes[i].text);
        pattern_fini(&pattern);
    }
}

UNIT(load_pattern, star_and_plus_end_at_their_cap)
{
    static const char *const texts[] = {"a*}", "a+}"};

    for (size_t i = 0; i < 2; i++) {
        bool seen[PATTERN_REPEAT_MAX + 1] = {false};
        parse(texts[i]);
        expect_eq(pattern.size_max, PATTERN_REPEAT_MAX);
        for (uint64_t j = 0; j < 1000; j++) {
            seen[strlen(write_one(payload_mix(j)))] = true;
        }
        for (size_t len = 0; len <= PATTERN_REPEAT_MAX; len++) {
            expect_eq(seen[len], len >= i, "%s with %zu", texts[i], len);
        }
        pattern_fini(&pattern);
    }
}

UNIT(load_pattern, alternatives_are_equally_likely)
{
    size_t counts[4] = {0};

    parse("a|b|c|d}");
    for (uint64_t i = 0; i < 4000; i++) {
        counts[write_one(payload_mix(i))[0] - 'a']++;
    }
    for (size_t i = 0; i < 4; i++) {
        cr_assert(counts[i] > 850 && counts[i] < 1150, "%zu", counts[i]);
    }
    pattern_fini(&pattern);
}

UNIT(load_pattern, a_random_number_has_one_string)
{
    char first[32];

    parse("[a-z]{10}(a|b){10}}");
    snprintf(first, sizeof(first), "%s", write_one(7));
    expect_str_eq(write_one(7), first);
    cr_assert_neq(strcmp(write_one(payload_mix(7)), first), 0);
    pattern_fini(&pattern);
}

UNIT(load_pattern, the_most_bytes_are_reckoned_and_bounded)
{
    static const struct {
        const char *text;
        size_t size;
    } sizes[] = {{"abc}", 3},          {"a{2,5}b?}", 6},
                 {"(ab|c{7}|)d}", 8},  {"((ab){3}c){2}}", 14},
                 {".{65536}}", 65536}, {"((a{40}){40}){40}}", 64000}};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        parse(sizes[i].text);
        expect_eq(pattern.size_max, sizes[i].size, "%s", sizes[i].text);
        write_one(i);
        pattern_fini(&pattern);
    }
    refuses("a{65536}b}", 8, "more than 65536 bytes");
    refuses("b[ab]{65536}}", 5, "more than 65536 bytes");
    refuses("(a{300}){300}}", 8, "more than 65536 bytes");
    refuses("(a{40000}b{40000}|c)}", 10, "more than 65536 bytes");
}

UNIT(load_pattern, mistakes_are_told_with_their_place)
{
    static const char before[] = "write a character of ASCII, a class or a";

    refuses("abc", 3, "a } ends the pattern");
    refuses("", 0, "a } ends the pattern");
    refuses("}", 0, "what it closes has no bytes");
    refuses("|}", 1, "what it closes has no bytes");
    refuses("a()}", 2, "what it closes has no bytes");
    refuses("a(|)}", 3, "what it closes has no bytes");
    refuses("a(b}", 3, "a ) is missing");
    refuses("ab)}", 2, "no ( stands before it");
    refuses("*a}", 0, before);
    refuses("a|+}", 2, before);
    refuses("(?a)}", 1, before);
    refuses("a**}", 2, before);
    refuses("a{2}{3}}", 4, before);
    refuses("a+?}", 2, before);
    refuses("\xc3\xa9*}", 2, before);
    refuses("a{}}", 1, "write {N} or {N,M}");
    refuses("a{,3}}", 1, "write {N} or {N,M}");
    refuses("a{3,}}", 1, "write {N} or {N,M}");
    refuses("a{3,2}}", 1, "write {N} or {N,M}");
    refuses("a{0}}", 1, "M from 1 to 65536");
    refuses("a{65537}}", 1, "M from 1 to 65536");
    refuses("a{99999999999999999999}}", 1, "M from 1 to 65536");
    refuses("a{2", 1, "write {N} or {N,M}");
    refuses("a\\n}", 1, "write \\d, \\w, \\s");
    refuses("a\\0}", 1, "write \\d, \\w, \\s");
    refuses("a\\", 1, "write \\d, \\w, \\s");
    refuses("[a\\b]}", 2, "write \\d, \\w, \\s");
    refuses("[]}", 0, "the class has no bytes");
    refuses("[^ -~]}", 2, "the class has no bytes");
    refuses("[ab", 3, "a ] is missing");
    refuses("[z-a]}", 1, "write a range as a-z");
    refuses("[a-\\d]}", 1, "write a range as a-z");
    refuses("[a-", 1, "write a range as a-z");
    refuses("[\xc3\xa9]}", 1, "bytes of ASCII that print");
    refuses("^a}", 0, "no anchors");
    refuses("a$}", 1, "no anchors");
    refuses("(((((((((((((((((x)))))))))))))))))}", 16, "more than 16 groups");
}

UNIT(load_pattern, a_long_pattern_is_refused)
{
    static char text[PATTERN_TEXT_MAX + 1];

    memset(text, 'a', sizeof(text));
    text[PATTERN_TEXT_MAX - 1] = '}';
    parse("a}");
    pattern_fini(&pattern);
    size_t at = 0;
    expect_eq(pattern_parse(text, sizeof(text), &pattern, &at, why), 0);
    expect_eq(at, PATTERN_TEXT_MAX - 1);
    pattern_fini(&pattern);
    text[PATTERN_TEXT_MAX - 1] = 'a';
    text[PATTERN_TEXT_MAX] = '}';
    expect_eq(pattern_parse(text, sizeof(text), &pattern, &at, why), -EINVAL);
    cr_assert_not_null(strstr(why, "4096 bytes at most"), "%s", why);
    expect_eq(pattern_parse("a\0}", 3, &pattern, &at, why), -EINVAL);
    expect_eq(at, 1);
    expect_eq(pattern_parse("[\0]}", 4, &pattern, &at, why), -EINVAL);
    expect_eq(at, 1);
}

/* The allocation that fails; 0: none. */
static size_t fail_at;
static size_t calls;

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
    calls++;
    return calls == fail_at ? NULL : __real_realloc(memory, size);
}

UNIT(load_pattern, without_memory_it_fails_and_leaves_nothing)
{
    static const char text[] = "a(b|[c-e]{2})}";
    size_t at = 0;
    int err = -ENOMEM;

    for (fail_at = 1; err == -ENOMEM; fail_at++) {
        calls = 0;
        err = pattern_parse(text, sizeof(text) - 1, &pattern, &at, why);
    }
    expect_eq(err, 0, "%s", why);
    expect_gt(fail_at, 15);
    fail_at = 0;
    pattern_fini(&pattern);
}
