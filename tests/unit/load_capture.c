/*
 * Values captured from responses: the syntax, where values are found, and what
 * is not a value.
 *
 * Names belong to the whole program, so each test adds its own.
 */
#include "tools/weir-load/request/capture.c"

#include "tests/unit.h"

static const char head[] = "HTTP/1.1 200 OK\r\n"
                           "x-empty:\r\n"
                           "X-Token: \t a b \r\n"
                           "x-token: second\r\n"
                           "Set-Cookie: a=1; Path=/\n"
                           "set-cookie:SID=x=y ;Secure\r\n"
                           "Set-Cookie: twice=; Max-Age=0\r\n"
                           "Set-Cookie: twice=new\r\n"
                           "Set-Cookie: gone=old\r\n"
                           "Set-Cookie: gone=; Max-Age=0\r\n\r\n";

static char why[WHY_SIZE];
static struct template_value value;

/* Returns the captured value, or NULL with the reason. */
static const char *find(const char *text, const char *body)
{
    static char out[TEMPLATE_VALUE_MAX + 1];
    struct capture capture;
    const struct capture_answer answer = {
        .head = head,
        .head_len = sizeof(head) - 1,
        .body = body,
        .body_len = body ? strlen(body) : 0,
    };

    expect_eq(capture_parse(text, &capture, why), 0, "%s: %s", text, why);
    const int err = capture_take(&capture, &answer, &value, why);
    cr_assert(err == 0 || err == -EINVAL);
    if (err == 0) {
        memcpy(out, value.bytes, value.len);
        out[value.len] = '\0';
    }
    free(value.bytes);
    value = (struct template_value){NULL, 0};
    return err == 0 ? out : NULL;
}

static void refuses(const char *text, const char *reason)
{
    struct capture capture;

    expect_eq(capture_parse(text, &capture, why), -EINVAL, "%s", text);
    cr_assert_not_null(strstr(why, reason), "'%s' said: %s", text, why);
}

UNIT(load_capture, a_path_goes_down_by_names_and_indexes)
{
    static const char body[] =
        " {\"a\": {\"b c\": [[], [7, {\"d\": \"e\"}]]}, \"r\": 0.5,"
        " \"t\": true, \"n\": -9007199254740993, \"\": 1}\r\n";

    expect_str_eq(find("v=json:a.b c[1][1].d", body), "e");
    expect_str_eq(find("v=json:a.b c[1][0]", body), "7");
    expect_str_eq(find("v=json:r", body), "0.5");
    expect_str_eq(find("v=json:t", body), "true");
    expect_str_eq(find("v=json:n", body), "-9007199254740993");
    expect_str_eq(find("v=json:[1]", "[1, \"two\"]"), "two");
}

UNIT(load_capture, a_path_may_begin_with_the_whole_body)
{
    expect_str_eq(find("v=json:$.a.b", "{\"a\": {\"b\": \"c\"}}"), "c");
    expect_str_eq(find("v=json:$[1].b", "[0, {\"b\": \"c\"}]"), "c");
    expect_str_eq(find("v=json:$id", "{\"$id\": \"c\"}"), "c");
    expect_str_eq(find("v=json:$.$.x", "{\"$\": {\"x\": \"c\"}}"), "c");
    expect_str_eq(find("v=json:$", "\"token\"\n"), "token");
    expect_str_eq(find("v=json:$", "17"), "17");
    expect_eq(find("v=json:$", "{}"), NULL);
    expect_str_eq(why, "v=json:$: it is an object");
    expect_eq(find("v=json:$.a", "\"token\""), NULL);
    refuses("a=json:$.", "a path is names and indexes");
    refuses("a=json:$..b", "a path is names and indexes");
    refuses("a=json:$[", "a path is names and indexes");
    refuses("a=json:$[*]", "a path is names and indexes");
}

UNIT(load_capture, a_number_is_as_short_as_it_was_written)
{
    static const char body[] = "[19.99, 0.1, 5.0, 0.30000000000000004, 1e300,"
                               " -2.5, 1e15, 9007199254740991.0]";

    expect_str_eq(find("v=json:[0]", body), "19.99");
    expect_str_eq(find("v=json:[1]", body), "0.1");
    expect_str_eq(find("v=json:[2]", body), "5");
    expect_str_eq(find("v=json:[3]", body), "0.30000000000000004");
    expect_str_eq(find("v=json:[4]", body), "1e+300");
    expect_str_eq(find("v=json:[5]", body), "-2.5");
    expect_str_eq(find("v=json:[6]", body), "1000000000000000");
    expect_str_eq(find("v=json:[7]", body), "9007199254740991");
}

UNIT(load_capture, a_large_integer_leaves_other_values_as_they_are)
{
    static const char body[] =
        "{\"huge\": 99999999999999999999, \"token\": \"t\", \"id\": 12,"
        " \"price\": 19.99, \"far\": 9007199254740993}";

    expect_str_eq(find("v=json:token", body), "t");
    expect_str_eq(find("v=json:id", body), "12");
    expect_str_eq(find("v=json:price", body), "19.99");
    expect_eq(find("v=json:huge", body), NULL);
    expect_str_eq(why, "v=json:huge: it may be an integer that is not known to "
                       "its last digit");
    expect_eq(find("v=json:far", body), NULL);
}

UNIT(load_capture, what_a_path_does_not_lead_to_is_no_value)
{
    static const char body[] = "{\"a\": [1], \"b\": null, \"c\": {}}";

    expect_eq(find("v=json:a[1]", body), NULL);
    expect_str_eq(why, "v=json:a[1]: the body has none");
    expect_eq(find("v=json:a.x", body), NULL);
    expect_eq(find("v=json:b", body), NULL);
    expect_str_eq(why, "v=json:b: it is null");
    expect_eq(find("v=json:a", body), NULL);
    expect_str_eq(why, "v=json:a: it is an array");
    expect_eq(find("v=json:c", body), NULL);
    expect_str_eq(why, "v=json:c: it is an object");
    expect_eq(find("v=json:a", NULL), NULL);
    expect_eq(find("v=json:a", "{\"a\": 1"), NULL);
    expect_eq(find("v=json:a", "{\"a\": 99999999999999999999}"), NULL);
}

UNIT(load_capture, the_first_header_and_the_last_cookie_of_a_name_are_found)
{
    expect_str_eq(find("v=header:X-TOKEN", NULL), "a b");
    expect_str_eq(find("v=cookie:a", NULL), "1");
    expect_str_eq(find("v=cookie:SID", NULL), "x=y");
    expect_eq(find("v=cookie:sid", NULL), NULL);
    expect_str_eq(find("v=cookie:twice", NULL), "new");
    expect_eq(find("v=cookie:gone", NULL), NULL);
    expect_str_eq(why, "v=cookie:gone: it is empty");
    expect_eq(find("v=header:X-Empty", NULL), NULL);
    expect_str_eq(why, "v=header:X-Empty: it is empty");
}

UNIT(load_capture, a_value_has_no_byte_that_ends_a_line)
{
    expect_eq(find("v=json:a", "{\"a\": \"b\\r\\nc\"}"), NULL);
    expect_str_eq(why, "v=json:a: it has a control character");
}

UNIT(load_capture, mistakes_are_told)
{
    refuses("", "write NAME=json:PATH");
    refuses("a", "write NAME=json:PATH");
    refuses("a=text:b", "write NAME=json:PATH");
    refuses("=json:b", "a name is a letter");
    refuses("1a=json:b", "a name is a letter");
    refuses("rand=json:b", "a name is a letter");
    refuses("a b=json:b", "a name is a letter");
    refuses("a=json:", "a path is names and indexes");
    refuses("a=json:.b", "a path is names and indexes");
    refuses("a=json:b.", "a path is names and indexes");
    refuses("a=json:b[", "a path is names and indexes");
    refuses("a=json:b[x]", "a path is names and indexes");
    refuses("a=json:b[1]c", "a path is names and indexes");
    refuses("a=json:b[1234567]", "a path is names and indexes");
    refuses("a=header:", "this is not a name");
    refuses("a=cookie:b c", "this is not a name");
}

UNIT(load_capture, names_are_few_and_keep_their_numbers)
{
    struct capture capture;
    char text[32];

    for (unsigned i = 0; i < TEMPLATE_NAMES_MAX; i++) {
        snprintf(text, sizeof(text), "n%u=json:a", i);
        expect_eq(capture_parse(text, &capture, why), 0, "%s", why);
        expect_eq(capture.number, i);
    }
    expect_eq(capture_parse("n3=header:b", &capture, why), 0);
    expect_eq(capture.number, 3);
    refuses("more=json:a", "more than 16 names");
}
