/*
 * Bodies of HTTP responses and the values of --expect: right and wrong ones of
 * each kind, however they are split, with messages that name the fault, the
 * limit of regular expressions, and failing allocations.
 *
 * Each piece is overwritten once the reader has been told that it will be.
 */
#include "tools/weir-load/http1/wanted.c"

#include "tests/unit.h"

static struct wanted wanted;
static struct wanted_reader reader;
static char why[WHY_SIZE];
static char detail[ERRORS_DETAIL_SIZE];

static void parse(const char *text)
{
    expect_eq(wanted_parse(text, &wanted, why), 0, "%s: %s", text, why);
}

static void finish(void)
{
    wanted_drop(&reader);
    wanted_fini(&wanted);
}

/* Judges a body whose first piece has @first bytes, and every other one @step.
 */
static int judge(const char *body, size_t len, const char *echo, size_t first,
                 size_t step)
{
    const struct wanted_bytes of_echo = {echo, echo ? strlen(echo) : 0};
    uint8_t piece[64];
    size_t at = 0;
    size_t size = first;

    wanted_begin(&reader);
    while (at < len) {
        const size_t part = len - at < size ? len - at : size;
        memcpy(piece, body + at, part);
        wanted_read(&wanted, &reader, of_echo, piece, part);
        at += part;
        if (at < len) {
            wanted_keep(&reader);
            memset(piece, '#', sizeof(piece));
        }
        size = step;
    }
    expect_eq(reader.size_bytes, len);
    detail[0] = '\0';
    return wanted_judge(&wanted, &reader, of_echo, detail, sizeof(detail));
}

/* Expects the same verdict wherever the body is split; @told is the message. */
static void says(const char *text, const char *echo, const char *body,
                 size_t len, const char *told)
{
    const int code = told[0] == '\0' ? 0 : ERROR_ANSWER;

    parse(text);
    for (size_t first = 1; first <= len + 1; first++) {
        expect_eq(judge(body, len, echo, first, 64), code, "%s: %s", text,
                  detail);
        expect_str_eq(detail, told);
        expect_eq(judge(body, len, echo, first, 1), code, "%s: %s", text,
                  detail);
        expect_str_eq(detail, told);
    }
    finish();
}

#define SAYS(text, echo, body, told)                                           \
    says(text, echo, body, sizeof(body) - 1, told)

UNIT(load_wanted, bytes_are_compared)
{
    SAYS("text:hello\\n", NULL, "hello\n", "");
    SAYS("text:a\\0b", NULL, "a\0b", "");
    SAYS("text:", NULL, "", "");
    SAYS("text:hello", NULL, "hallo",
         "byte 2 of the body is wrong; it begins with 'hallo'");
    SAYS("text:hello", NULL, "hxello",
         "byte 2 of the body is wrong; it begins with 'hxello'");
    SAYS("text:hello", NULL, "hell",
         "a body of 4 bytes, not 5; it begins with 'hell'");
    SAYS("text:hello", NULL, "hello\n",
         "a body of 6 bytes, not 5; it begins with 'hello\\n'");
    SAYS("text:hello", NULL, "hellO!",
         "byte 5 of the body is wrong; it begins with 'hellO!'");
    SAYS("text:hello", NULL, "", "a body of 0 bytes, not 5");
    SAYS("text:", NULL, "x", "a body of 1 bytes, not 0; it begins with 'x'");
}

UNIT(load_wanted, the_body_of_the_request_is_compared)
{
    SAYS("echo", "{\"id\": 7}", "{\"id\": 7}", "");
    SAYS("echo", "", "", "");
    SAYS("echo", NULL, "", "");
    SAYS("echo", "{\"id\": 7}", "{\"id\": 8}",
         "byte 8 of the body is wrong; it begins with '{\"id\": 8}'");
    SAYS("echo", "ab", "a", "a body of 1 bytes, not 2; it begins with 'a'");
    SAYS("echo", NULL, "a", "a body of 1 bytes, not 0; it begins with 'a'");
}

UNIT(load_wanted, bytes_are_counted)
{
    SAYS("len:5", NULL, "hello", "");
    SAYS("len:0", NULL, "", "");
    SAYS("len:5", NULL, "hell",
         "a body of 4 bytes, not 5; it begins with 'hell'");
    SAYS("len:5", NULL, "\r\n\t\\\xff.",
         "a body of 6 bytes, not 5; it begins with "
         "'\\r\\n\\x09\\x5c\\xff.'");
    SAYS("len:1k", NULL, "", "a body of 0 bytes, not 1024");
}

UNIT(load_wanted, regular_expressions_look_at_the_whole_body)
{
    SAYS("re:^[a-z]+$", NULL, "hello", "");
    SAYS("re:ell|x", NULL, "hello", "");
    SAYS("re:\"ok\": *true", NULL, "{\"ok\": true}", "");
    SAYS("re:^a.*z$", NULL, "a\n\n\xffz", "");
    SAYS("re:^a[^q]*z$", NULL, "a\n\0\n\xffz", "");
    SAYS("re:b$", NULL, "a\0b", "");
    SAYS("re:^$", NULL, "", "");
    SAYS("re:^[a-z]+$", NULL, "hell0",
         "a body of 5 bytes does not match; it begins with 'hell0'");
    SAYS("re:a$", NULL, "a\0b",
         "a body of 3 bytes does not match; it begins with 'a\\x00b'");
    SAYS("re:.", NULL, "", "a body of 0 bytes does not match");
}

UNIT(load_wanted, a_file_is_read_once)
{
    char path[] = "/tmp/weir-wanted-XXXXXX";
    char text[64];
    const int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    expect_eq(write(fd, "a\\n", 3), 3);
    close(fd);
    snprintf(text, sizeof(text), "file:%s", path);
    parse(text);
    unlink(path);
    expect_eq(judge("a\\n", 3, NULL, 2, 1), 0);
    expect_eq(judge("a\n", 2, NULL, 2, 1), ERROR_ANSWER);
    finish();
}

UNIT(load_wanted, only_the_first_bytes_of_a_body_are_told)
{
    char body[200];

    memset(body, 0xff, sizeof(body));
    parse("len:1");
    expect_eq(judge(body, sizeof(body), NULL, 7, 7), ERROR_ANSWER);
    cr_assert_not_null(strstr(detail, "begins with '\\xff\\xff"));
    expect_lt(strlen(detail), sizeof(detail));
    expect_eq(detail[strlen(detail) - 1], '\'', "%s", detail);
    finish();
}

UNIT(load_wanted, one_piece_is_not_copied_and_copies_are_reused)
{
    parse("re:^ab*$");
    expect_eq(judge("abbb", 4, NULL, 4, 4), 0);
    cr_assert_null(reader.kept);
    expect_eq(judge("abbb", 4, NULL, 1, 1), 0);
    const char *kept = reader.kept;
    cr_assert_not_null(kept);
    expect_eq(judge("abb", 3, NULL, 1, 1), 0);
    expect_eq(reader.kept, kept);
    expect_eq(judge("abc", 3, NULL, 2, 1), ERROR_ANSWER);
    finish();
}

UNIT(load_wanted, several_pieces_may_lie_where_they_came_together)
{
    static const uint8_t chunks[] = "ab;1;cd;2;ef";
    const struct wanted_bytes none = {NULL, 0};

    parse("re:^abcdef$");
    for (size_t at = 0; at < sizeof(chunks) - 1; at += 5) {
        wanted_read(&wanted, &reader, none, chunks + at, 2);
    }
    expect_eq(wanted_judge(&wanted, &reader, none, detail, sizeof(detail)), 0,
              "%s", detail);
    finish();
}

static uint8_t large[WANTED_KEPT_MAX + 1];

UNIT(load_wanted, a_regular_expression_has_a_limit_and_others_have_none)
{
    const struct wanted_bytes none = {NULL, 0};

    memset(large, 'x', sizeof(large));
    parse("re:^x*$");
    for (size_t first = 1; first <= WANTED_KEPT_MAX;
         first += WANTED_KEPT_MAX - 1) {
        for (size_t surplus = 0; surplus < 2; surplus++) {
            const size_t rest = WANTED_KEPT_MAX + surplus - first;
            wanted_begin(&reader);
            wanted_read(&wanted, &reader, none, large, first);
            wanted_keep(&reader);
            if (rest > 0) {
                wanted_read(&wanted, &reader, none, large + first, rest);
            }
            expect_eq(
                wanted_judge(&wanted, &reader, none, detail, sizeof(detail)),
                surplus > 0 ? ERROR_BODY_SIZE : 0);
        }
        expect_str_eq(detail,
                      "a body of 1048577 bytes; re: is applied to at most "
                      "1048576; it begins with "
                      "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'");
    }
    expect_eq(judge("xx", 2, NULL, 1, 1), 0, "the next one is looked at");
    finish();
    parse("len:1048577");
    wanted_read(&wanted, &reader, none, large, sizeof(large));
    expect_eq(wanted_judge(&wanted, &reader, none, detail, sizeof(detail)), 0);
    finish();
}

UNIT(load_wanted, mistakes_are_told)
{
    static const struct {
        const char *text;
        const char *reason;
    } bad[] = {
        {"text:a\\q", "at byte 7, '\\q': write \\r"},
        {"file:/nonexistent/x", "/nonexistent/x: No such file"},
        {"len:", "'len:': write len:SIZE"},
        {"len:x", "'len:x': write len:SIZE"},
        {"len:5:6", "'len:5:6': write len:SIZE"},
        {"re:(", "'re:(': Unmatched ("},
        {"re:[a", "'re:[a': "},
        {"echo:", "'echo:': write echo alone"},
        {"200", "'200': write text:, file:, len:, re: or echo"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(wanted_parse(bad[i].text, &wanted, why), -EINVAL, "%s",
                  bad[i].text);
        cr_assert_not_null(strstr(why, bad[i].reason), "'%s' said: %s",
                           bad[i].text, why);
    }
    cr_assert(wanted_is_meant("len:5") && wanted_is_meant("echo"));
    cr_assert_not(wanted_is_meant("200") || wanted_is_meant("delim:x") ||
                  wanted_is_meant("2xx,304") || wanted_is_meant(""));
}

static bool has_no_memory;

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
    return has_no_memory ? NULL : __real_realloc(memory, size);
}

UNIT(load_wanted, without_memory_a_body_is_not_taken_for_a_right_one)
{
    parse("re:a");
    has_no_memory = true;
    expect_eq(judge("abc", 3, NULL, 1, 1), ERROR_BODY_SIZE);
    expect_str_eq(detail, "no memory for a body of 3 bytes; it begins with "
                          "'abc'");
    expect_eq(judge("abc", 3, NULL, 3, 1), 0, "one piece needs none");
    has_no_memory = false;
    expect_eq(judge("abc", 3, NULL, 1, 1), 0);
    finish();
}
