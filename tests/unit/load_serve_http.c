/*
 * Request lines as weir-load's HTTP server parses them, and the settings in
 * their queries.
 *
 * End-to-end tests check whole requests and responses. The functions of
 * connections are not called here.
 */
#include "tools/weir-load/serve/serve_http.c"

#include "tests/unit.h"

static struct serve_http_wish wish;

static int parse(const char *line)
{
    wish = (struct serve_http_wish){.sizes = sizes_of(128), .status = 200};
    char ended[256];
    const int len = snprintf(ended, sizeof(ended), "%s\r", line);
    return serve_http_parse_line(ended, (size_t)len, &wish);
}

static void expect_wish(const char *line, uint64_t size_bytes,
                        uint64_t delay_ns, uint16_t status)
{
    expect_eq(parse(line), 0, "%s", line);
    expect_eq(wish.sizes.most, size_bytes, "%s", line);
    expect_eq(wish.delay_ns, delay_ns, "%s", line);
    expect_eq(wish.status, status, "%s", line);
}

UNIT(load_serve_http, a_query_says_what_is_wished_for)
{
    expect_wish("GET / HTTP/1.1", 128, 0, 200);
    expect_wish("GET /?s=20k HTTP/1.1", 20480, 0, 200);
    expect_wish("GET /?s=0&r=404 HTTP/1.1", 0, 0, 404);
    expect_wish("GET /x?t=700&s=1 HTTP/1.1", 1, 700000000, 200);
    expect_wish("GET /x?t=5us&&&r=503 HTTP/1.1", 128, 5000, 503);
    expect_wish(
        "GET /?x=y&size=7&ss=1&longname=something-that-is-longer-than-a-"
        "value HTTP/1.1",
        128, 0, 200);
    expect_wish("* ?s=1 HTTP/1.0", 1, 0, 200);
    expect_eq(wish.minor, 0);
    expect_wish("!#$%&'*+-.^_`|~09azAZ /\x80?s=1 HTTP/1.9", 1, 0, 200);
    expect_eq(wish.minor, 9);
}

UNIT(load_serve_http, close_and_head_are_told)
{
    expect_eq(parse("HEAD /?close=1 HTTP/1.1"), 0);
    cr_assert(wish.closes && wish.is_head_request);
    expect_eq(wish.minor, 1);
    expect_eq(parse("GET /?close=0 HTTP/1.1"), 0);
    cr_assert(!wish.closes && !wish.is_head_request);
    expect_eq(parse("HEADER /?close HTTP/1.1"), 0);
    cr_assert(wish.closes && !wish.is_head_request);
}

UNIT(load_serve_http, what_is_no_request_is_refused)
{
    static const char *const bad[] = {
        "",
        "GET",
        "GET /",
        "GET / ",
        "GET / HTTP/1.",
        "GET / HTTP/1.x",
        "GET / HTTP/x.1",
        "GET / HTTP/1-1",
        "GET /HTTP/1.1",
        "GETHTTP/1.1",
        "HTTP/1.1",
        "GET / HTTP/1.11",
        "GET / http/1.1",
        "GET  HTTP/1.1",
        " / HTTP/1.1",
        " HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET /\t HTTP/1.1",
        "GET /\x01 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /\r HTTP/1.1",
        "G(T / HTTP/1.1",
        "G\x80T / HTTP/1.1",
        "G:T / HTTP/1.1",
        "(ET / HTTP/1.1",
        "GET /?s=x HTTP/1.1",
        "GET /?s= HTTP/1.1",
        "GET /?s HTTP/1.1",
        "GET /?s=65M HTTP/1.1",
        "GET /?t=-1 HTTP/1.1",
        "GET /?t=2h HTTP/1.1",
        "GET /?r=199 HTTP/1.1",
        "GET /?r=600 HTTP/1.1",
        "GET /?s=11111111111111111111111111111111 HTTP/1.1",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(parse(bad[i]), 400, "%s", bad[i]);
        expect_eq(wish.sizes.most, 128, "a refusal wrote its result");
    }
    expect_eq(parse("GET / HTTP/2.0"), 505);
    expect_eq(parse("GET / HTTP/0.9"), 505);
    expect_eq(parse("G(T / HTTP/2.0"), 400);
    expect_eq(serve_http_parse_line("GET /\0 HTTP/1.1\r", 16, &wish), 400);
    expect_eq(serve_http_parse_line("GET / HTTP/1.1", 14, &wish), 400);
    expect_eq(serve_http_parse_line("GET / HTTP/1.1 ", 15, &wish), 400);
    expect_eq(serve_http_parse_line("GET / HTTP/1.1\r", 15, &wish), 0);
}
