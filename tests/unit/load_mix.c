/*
 * Requests of several kinds: how a line is parsed, how often each kind is
 * chosen, and errors with their line numbers.
 *
 * No files are read, except missing body files.
 */
#include "tools/weir-load/request/mix.c"

#include "tests/unit.h"

static struct mix mix;
static char why[WHY_SIZE];

static void with_nothing_left(void (*body)(void))
{
    body();
    mix_fini(&mix);
}

static int parse(const char *text, bool is_http)
{
    return mix_parse(text, strlen(text), is_http, &mix, why);
}

static void refuses(const char *text, bool is_http, const char *reason)
{
    expect_lt(parse(text, is_http), 0, "%s", text);
    expect_str_eq(why, reason);
    expect_eq(mix.kind_count, 0);
}

UNIT_IN(load_mix, http_has_a_method_a_path_and_perhaps_a_body,
        with_nothing_left, void)
{
    expect_eq(
        parse("# all\n\n  3 GET /a?b={seq}\r\n/c\n2k\tPUT\t/d  {\"x\"} y \n"
              "POST /e",
              true),
        0, "%s", why);

    expect_eq(mix.kind_count, 4);
    expect_str_eq(mix.kinds[0].line, "3 GET /a?b={seq}");
    expect_str_eq(mix.kinds[0].path, "/a?b={seq}");
    expect_eq(mix.kinds[0].body, NULL);
    expect_str_eq(mix.kinds[1].method, "GET");
    expect_str_eq(mix.kinds[1].path, "/c");
    expect_str_eq(mix.kinds[2].method, "PUT");
    expect_str_eq(mix.kinds[2].body, "{\"x\"} y ");
    expect_str_eq(mix.kinds[3].method, "POST");
    expect_eq(mix.ends[3], 2005);
}

UNIT_IN(load_mix, lines_below_a_request_of_http_are_its_headers_and_its_body,
        with_nothing_left, void)
{
    expect_eq(parse("9 POST /a\r\n  A: 1\r\nB-c:x:y \t\r\n@/dev/null\r\n"
                    "/b\nHost:\n\n# x\n2 GET /c?u=http://d",
                    true),
              0, "%s", why);

    expect_eq(mix.kind_count, 3);
    expect_eq(mix.kinds[0].header_count, 2);
    expect_eq(memcmp(mix.kinds[0].headers, "A: 1\0B-c:x:y", 13), 0);
    expect_str_eq(mix.kinds[0].path, "/a");
    expect_str_eq(mix.kinds[0].body, "@/dev/null");
    expect_eq(mix.kinds[1].header_count, 1);
    expect_str_eq(mix.kinds[1].headers, "Host:");
    expect_eq(mix.kinds[1].body, NULL);
    expect_eq(mix.kinds[2].header_count, 0);
    expect_eq(mix.ends[2], 12);
}

UNIT_IN(load_mix, a_comment_below_a_request_is_no_header, with_nothing_left,
        void)
{
    expect_eq(parse("/a\n#later: drop me\n/b\nA: b\n  #c: d\n", true), 0, "%s",
              why);
    expect_eq(mix.kind_count, 2);
    expect_eq(mix.kinds[0].header_count, 0);
    expect_eq(mix.kinds[1].header_count, 1);
    mix_fini(&mix);
    refuses("/a\n#b: c\nD: e\n", true,
            "line 3: 'D: e' is a header or a body: it stands directly below "
            "its request");
}

UNIT_IN(load_mix, a_target_without_a_scheme_is_no_header, with_nothing_left,
        void)
{
    refuses("/a\na.b:8080/b c\n", true,
            "line 2: 'a.b:8080/b' is not a path: write its path, or "
            "http://a.b:8080/b");
    refuses("localhost:80/b\n", true,
            "line 1: 'localhost:80/b' is not a path: write its path, or "
            "http://localhost:80/b");
    expect_eq(parse("/a\nAge:12\nx.y: 3\n", true), 0, "%s", why);
    expect_eq(mix.kinds[0].header_count, 2);
}

UNIT_IN(load_mix, a_line_may_have_a_name, with_nothing_left, void)
{
    expect_eq(parse("9 [log in] POST /a {}\n[b] /b\n/c", true), 0, "%s", why);
    expect_str_eq(mix.kinds[0].name, "log in");
    expect_str_eq(mix.kinds[0].method, "POST");
    expect_str_eq(mix.kinds[1].name, "b");
    expect_str_eq(mix.kinds[1].path, "/b");
    expect_eq(mix.kinds[2].name, NULL);
    mix_fini(&mix);
    expect_eq(parse("[set] delim:x begin:a [b]", false), 0, "%s", why);
    expect_str_eq(mix.kinds[0].name, "set");
    expect_str_eq(mix.kinds[0].request, "[b]");
}

UNIT_IN(load_mix, others_have_a_rule_a_beginning_and_a_request,
        with_nothing_left, void)
{
    expect_eq(
        parse("9 delim:\\r\\n begin:+\\x20 a b\\r\\n\nlen:4 begin", false), 0,
        "%s", why);

    expect_eq(mix.kinds[0].rule->delimiter_len, 2);
    expect_eq(mix.kinds[0].rule->begin_len, 2);
    expect_str_eq(mix.kinds[0].request, "a b\\r\\n");
    expect_eq(mix.kinds[1].rule->size_bytes, 4);
    expect_eq(mix.kinds[1].rule->begin_len, 0);
    expect_str_eq(mix.kinds[1].request, "begin");
    expect_eq(mix.ends[1], 10);
}

UNIT_IN(load_mix, each_kind_is_chosen_as_often_as_its_weight_says,
        with_nothing_left, void)
{
    uint64_t counts[3] = {0};

    expect_eq(parse("2 /a\n/b\n5 /c", true), 0);
    for (uint64_t random = 0; random < 800; random++) {
        counts[mix_choose(&mix, random)]++;
    }

    expect_eq(counts[0], 200);
    expect_eq(counts[1], 100);
    expect_eq(counts[2], 500);
    expect_eq(mix_choose(&mix, UINT64_MAX - UINT64_MAX % 8 - 1), 2);
}

UNIT(load_mix, mistakes_are_told_with_their_line)
{
    refuses("", true, "there is no request in it");
    refuses("# x\n \n", true, "there is no request in it");
    refuses("/\n0 /", true, "line 2: a weight is a number from 1 to 1G");
    refuses("9x /", true, "line 1: a weight is a number from 1 to 1G");
    refuses("1001M /", true, "line 1: a weight is a number from 1 to 1G");
    refuses("7", true, "line 1: a method is one word such as GET");
    refuses("GET", true, "line 1: a path begins with /");
    refuses("\n\nG(T /", true, "line 3: a method is one word such as GET");
    refuses("GET /\x01", true, "line 1: it has a blank or a control character");
    refuses("/ @/nonexistent/x", true,
            "line 1: /nonexistent/x: No such file or directory");
    refuses("9 [a /", true, "line 1: a name is written [NAME]");
    refuses("[] /", true, "line 1: a name is written [NAME]");
    refuses("A: b", true,
            "line 1: 'A: b' is a header or a body: it stands directly below "
            "its request");
    refuses("/\n\n@b\n/", true,
            "line 3: '@b' is a header or a body: it stands directly below its "
            "request");
    refuses("/a\nB: c\nContent-Length: 3", true,
            "line 1: the body decides about it; see -b and --chunked");
    refuses("POST / x\n@/dev/null", true,
            "line 1: @/dev/null: there is a body before it");
    refuses("/\nA: b\n0 /", true, "line 3: a weight is a number from 1 to 1G");
    refuses("len:4", false, "line 1: it is empty");
    refuses("len:4 begin: x", false,
            "line 1: '': at byte 1: bytes are missing");
    refuses("len:4 a\\q", false,
            "line 1: at byte 2, '\\q': write \\r \\n \\t \\0 \\\\ or \\xHH");
}

UNIT(load_mix, more_kinds_than_there_is_room_for_are_refused)
{
    char text[3 * (MIX_KINDS_MAX + 1) + 1] = "";

    for (unsigned i = 0; i <= MIX_KINDS_MAX; i++) {
        strcat(text, "/\n");
    }

    expect_eq(parse(text, true), -E2BIG);
    expect_str_eq(why, "line 257: more than 256 requests");
    expect_eq(mix_parse("/\0", 2, true, &mix, why), -EINVAL);
}
