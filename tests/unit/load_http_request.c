/*
 * HTTP requests as weir-load writes them: the effect of the options, bodies
 * with every framing and size, several copies in a row, and invalid options.
 *
 * The test joins the chunks of a body.
 */
#include "tools/weir-load/request/http_request.c"

#include "tests/unit.h"

static struct http_request request;
static char why[WHY_SIZE];
static char out[1 << 20];

static const char *render(const struct http_options *options, const char *path)
{
    const struct template_values values = {.seq = 5, .conn = 6, .seed = 7};

    expect_eq(http_request_init(&request, options, "h:1", path, 4, why), 0,
              "%s", why);
    expect_leq(request.size_max, sizeof(out) - 1);
    const size_t len = http_request_render(&request, &values, out);
    expect_leq(len, request.size_max);
    out[len] = '\0';
    return out;
}

static void becomes(const struct http_options *options, const char *wanted)
{
    expect_str_eq(render(options, "/p"), wanted);
    http_request_fini(&request);
}

#define OWN "Host: h:1\r\nUser-Agent: weir-load\r\nAccept: */*\r\n"

UNIT(load_http_request, the_flags_make_the_request)
{
    becomes(&(struct http_options){0}, "GET /p HTTP/1.1\r\n" OWN "\r\n");
    becomes(&(struct http_options){.method = "PURGE"},
            "PURGE /p HTTP/1.1\r\n" OWN "\r\n");
    becomes(&(struct http_options){.method = "PUT"},
            "PUT /p HTTP/1.1\r\n" OWN "Content-Length: 0\r\n\r\n");
    becomes(&(struct http_options){.body = "abc"},
            "POST /p HTTP/1.1\r\n" OWN "Content-Length: 3\r\n\r\nabc");
    becomes(&(struct http_options){.body = "<{seq}{conn}>", .method = "PUT"},
            "PUT /p HTTP/1.1\r\n" OWN "Content-Length: 4\r\n\r\n<56>");
    becomes(&(struct http_options){.body = "abc", .is_chunked = true},
            "POST /p HTTP/1.1\r\n" OWN "Transfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n0\r\n\r\n");
    becomes(&(struct http_options){.body = "", .is_chunked = true},
            "POST /p HTTP/1.1\r\n" OWN
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

UNIT(load_http_request, own_fields_give_way)
{
    becomes(&(struct http_options){.fields = {"host: x", "Accept:", "A: b",
                                              "User-Agent: \t", "A: {seq}"},
                                   .field_count = 5},
            "GET /p HTTP/1.1\r\nhost: x\r\nA: b\r\nA: 5\r\n\r\n");
}

UNIT(load_http_request, bodies_in_chunks_are_whole_at_every_size)
{
    static const size_t sizes[] = {0,     1,     15,    16,    16383,
                                   16384, 16385, 32768, 65536, 65535};
    char text[64];

    for (size_t i = 1; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct http_options options = {.body = text, .is_chunked = true};
        snprintf(text, sizeof(text), "{letters:%zu}", sizes[i]);
        const char *at = strstr(render(&options, "/"), "\r\n\r\n") + 4;
        size_t total = 0;
        for (;;) {
            char *end = NULL;
            const size_t len = strtoul(at, &end, 16);
            expect_eq(memcmp(end, "\r\n", 2), 0);
            if (len == 0) {
                break;
            }
            expect_eq(strspn(end + 2, "abcdefghijklmnopqrstuvwxyz"), len);
            total += len;
            at = end + 2 + len + 2;
        }
        expect_eq(total, sizes[i]);
        http_request_fini(&request);
    }
}

UNIT(load_http_request, one_that_stays_the_same_lies_in_a_row)
{
    const struct http_options options = {.body = "abc"};

    render(&options, "/");
    expect_eq(request.copies, 4);
    for (size_t i = 0; i < request.copies; i++) {
        expect_eq(memcmp(request.bytes + i * request.len, out, request.len), 0);
    }
    http_request_fini(&request);
    render(&options, "/{seq}");
    cr_assert_null(request.bytes);
    http_request_fini(&request);
    render(&(struct http_options){.method = "HEAD"}, "/");
    cr_assert(request.is_head);
    http_request_fini(&request);
}

UNIT(load_http_request, a_large_one_is_one_copy)
{
    static char body[100001];

    memset(body, 'x', sizeof(body) - 1);
    render(&(struct http_options){.body = body}, "/");
    expect_eq(request.copies, 1);
    http_request_fini(&request);
}

UNIT(load_http_request, statuses_are_read_with_the_place_of_a_mistake)
{
    struct http_options options = {0};
    size_t at = 0;
    static const struct {
        const char *text;
        size_t at;
    } bad[] = {{"", 0},      {"2", 0},       {"20", 0},  {"2x", 0},
               {"200,", 4},  {"200x", 3},    {"099", 0}, {"0xx", 0},
               {"x00", 0},   {"2xx 3xx", 3}, {"20x", 0}, {",", 0},
               {"200,,3", 4}};

    expect_eq(http_parse_expected("2xx,304", &options, &at), 0);
    cr_assert(options.has_expected);
    cr_assert(options.expected[200] && options.expected[299]);
    cr_assert(options.expected[304] && !options.expected[300]);
    cr_assert_not(options.expected[199]);
    cr_assert_not(options.expected[600]);
    expect_eq(http_parse_expected("5xx,777", &options, &at), 0);
    cr_assert(options.expected[500] && options.expected[999]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(http_parse_expected(bad[i].text, &options, &at), -EINVAL,
                  "%s", bad[i].text);
        expect_eq(at, bad[i].at, "%s", bad[i].text);
    }
}

UNIT(load_http_request, mistakes_in_flags_are_told)
{
    expect_eq(http_check_method("GET", why), 0);
    expect_eq(http_check_method("", why), -EINVAL);
    expect_eq(http_check_method("G\r", why), -EINVAL);
    expect_eq(http_check_path("/", why), 0);
    expect_eq(http_check_path("*", why), 0);
    expect_eq(http_check_path("", why), -EINVAL);
    expect_eq(http_check_path("/\x01", why), -EINVAL);
    expect_eq(http_check_path("/{seq}\x01", why), -EINVAL);
}

UNIT(load_http_request, mistakes_in_fields_are_told)
{
    expect_eq(http_check_field("A:", why), 0);
    expect_eq(http_check_field("A: \tb\xff", why), 0);
    expect_eq(http_check_field(":b", why), -EINVAL);
    expect_eq(http_check_field("A", why), -EINVAL);
    expect_eq(http_check_field("A: b\nc", why), -EINVAL);
    expect_eq(http_check_field("TRANSFER-encoding: x", why), -EINVAL);
}

UNIT(load_http_request, mistakes_in_bodies_are_told)
{
    expect_eq(http_check_body("", why), 0);
    expect_eq(http_check_body("@/dev/null", why), 0);
    cr_assert_lt(http_check_body("@/nonexistent/x", why), 0);
    cr_assert_lt(http_request_init(&request,
                                   &(struct http_options){.body = "@/nonex"},
                                   "h", "/", 1, why),
                 0);
    cr_assert_not_null(strstr(why, "No such file"));
}
