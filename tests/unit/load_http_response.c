/*
 * HTTP/1.x responses as weir-load parses them: where each ends, what is
 * invalid, and that neither depends on how the bytes are split or on earlier
 * heads.
 *
 * Each response of the tables is parsed whole, byte by byte, and split at every
 * position.
 */
#include "tools/weir-load/http1/http_response.c"

#include "tests/unit.h"

/* The start of the next response on the connection. */
#define NEXT "HTTP/1.1 200 OK\r\n\r\n"

struct good {
    const char *text;
    uint64_t body_bytes;
    uint16_t status;
    bool is_head_request;
    bool ends_with_stream;
    bool may_go_on;
};

struct bad {
    const char *text;
    enum http_error err;
};

static const struct good goods[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 5, 200,
     .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\ncontent-LENGTH:5\r\n\r\nhello", 5, 200,
     .may_go_on = 1},
    {"HTTP/1.1 200\r\nContent-Length: \t 0 \t\r\n\r\n", 0, 200, .may_go_on = 1},
    {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 0, 200, .may_go_on = 1},
    {"HTTP/1.1 404 Not \xe4\r\nContent-Length: 1\r\n\r\nx", 1, 404,
     .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\nContent-Length: 01\r\n\r\nx",
     1, 200, .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: Close\r\n\r\nx", 1,
     200, .may_go_on = 0},
    {"HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 1\r\n\r\nx", 1,
     200, .may_go_on = 0},
    {"HTTP/1.1 200 OK\r\nConnection: closed\r\nContent-Length: 1\r\n\r\nx", 1,
     200, .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nConnectio: close\r\nXConnection: close\r\n"
     "Connection-: close\r\nContent-Length: 0\r\n\r\n",
     0, 200, .may_go_on = 1},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 1, 200, .may_go_on = 0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx",
     1, 200, .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", 13, 200, .ends_with_stream = 1},
    {"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", 0, 200,
     .ends_with_stream = 1},
    {"HTTP/1.1 204 None\r\n\r\n", 0, 204, .may_go_on = 1},
    {"HTTP/1.1 304 Same\r\nContent-Length: 17\r\n\r\n", 0, 304, .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n", 0, 200,
     .is_head_request = 1, .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 200,
     .is_head_request = 1, .may_go_on = 1},
    {"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
     "HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nab",
     2, 201, .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, 200,
     .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n"
     "5\r\nhello\r\n00b;a=\"b\";c \r\nhello world\r\n0;x\r\n"
     "Trailer: 1\r\nContent-Length: 7\r\n more\r\n\r\n",
     16, 200, .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"
     "A \t;x\r\n0123456789\r\n0\r\n\r\n",
     10, 200, .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\nContent-Length: 0\r\n\r\n", 0,
     200, .may_go_on = 1},
    /* LF alone (RFC 9112, 2.2), which the RFC does not mention for chunks. */
    {"HTTP/1.1 200 OK\nContent-Length: 1\nA: b\n\nx", 1, 200, .may_go_on = 1},
    {"HTTP/1.1 200\r\nContent-Length: 1\n\r\nx", 1, 200, .may_go_on = 1},
    {"HTTP/1.1 200\nX: a\n b\nContent-Length:\n 1\r\n\nx", 1, 200,
     .may_go_on = 1},
    {"HTTP/1.1 100\n\nHTTP/1.1 204 None\n\n", 0, 204, .may_go_on = 1},
    {"HTTP/1.1 200\nTransfer-Encoding: chunked\n\n0\r\nT: x\n\n", 0, 200,
     .may_go_on = 1},
    {"HTTP/1.1 200 OK\r\nA:\r\n!#$%&'*+-.^_`|~09azAZ: \t\x80\r\n"
     "Content-Length:,0,\r\n\r\n",
     0, 200, .may_go_on = 1},
};

static const struct bad bads[] = {
    {"SSH-2.0-OpenSSH_9.2\r\n", HTTP_E_STATUS_LINE},
    {"-ERR unknown command\r\n", HTTP_E_STATUS_LINE},
    {"http/1.1 200 OK\r\n", HTTP_E_STATUS_LINE},
    {"HTTP/2.0 200 OK\r\n", HTTP_E_STATUS_LINE},
    {"HTTP/1.x 200 OK\r\n", HTTP_E_STATUS_LINE},
    {"HTTP/1.1  200 OK\r\n", HTTP_E_STATUS_LINE},
    {"HTTP/1.1 20 OK\r\n", HTTP_E_STATUS_LINE},
    {"HTTP/1.1 2000 OK\r\n", HTTP_E_STATUS_LINE},
    {"\r\nHTTP/1.1 200 OK\r\n", HTTP_E_STATUS_LINE},
    {"HTTP/1.1 099 OK\r\n", HTTP_E_STATUS},
    {"HTTP/1.1 000 OK\r\n", HTTP_E_STATUS},
    {"HTTP/1.1 200 OK\rX", HTTP_E_LINE_END},
    {"HTTP/1.1 200 OK\r\nA: b\rc", HTTP_E_LINE_END},
    {"HTTP/1.1 200 OK\r\nA\n", HTTP_E_NAME},
    {"HTTP/1.1 200 OK\r\r\n", HTTP_E_LINE_END},
    {"HTTP/1.1 200 OK\r\n\rX", HTTP_E_LINE_END},
    {"HTTP/1.1 200 O\x01K\r\n", HTTP_E_VALUE},
    {"HTTP/1.1 200 OK\r\nA: \x7f\r\n", HTTP_E_VALUE},
    {"HTTP/1.1 200 OK\r\n: b\r\n", HTTP_E_NAME},
    {"HTTP/1.1 200 OK\r\nA : b\r\n", HTTP_E_NAME},
    {"HTTP/1.1 200 OK\r\nA\r\n", HTTP_E_NAME},
    {"HTTP/1.1 200 OK\r\n A: b\r\n", HTTP_E_NAME},
    {"HTTP/1.1 200 OK\r\n(A): b\r\n", HTTP_E_NAME},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1 1\r\n\r\n", HTTP_E_LENGTH},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", HTTP_E_LENGTH},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     HTTP_E_LENGTH},
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", HTTP_E_LENGTH},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n", HTTP_E_LENGTH},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
     HTTP_E_LENGTH},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1111111111111111111111111\r\n\r\n",
     HTTP_E_LENGTH},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", HTTP_E_CODING},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
     HTTP_E_CODING},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     HTTP_E_CODING},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked x\r\n\r\n", HTTP_E_CODING},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n", HTTP_E_CODING},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_E_CODING},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: "
     "5\r\n\r\n",
     HTTP_E_BOTH},
    {"HTTP/1.1 101 Other\r\n\r\n", HTTP_E_SWITCH},
};

/* Invalid bodies, after the head of a chunked response. */
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
static const struct bad bad_bodies[] = {
    {CHUNKED "\r\n", HTTP_E_CHUNK},
    {CHUNKED "g\r\n", HTTP_E_CHUNK},
    {CHUNKED "-1\r\n", HTTP_E_CHUNK},
    {CHUNKED " 1\r\n", HTTP_E_CHUNK},
    {CHUNKED "1 \r\n", HTTP_E_CHUNK},
    {CHUNKED "1\n", HTTP_E_CHUNK},
    {CHUNKED "1\rx", HTTP_E_CHUNK},
    {CHUNKED "1;\n", HTTP_E_CHUNK},
    {CHUNKED "1;\x7f", HTTP_E_CHUNK},
    {CHUNKED "1234567890123456\r\n", HTTP_E_CHUNK},
    {CHUNKED "1\r\nab", HTTP_E_CHUNK},
    {CHUNKED "1\r\na\n", HTTP_E_CHUNK},
    {CHUNKED "1\r\na\rx", HTTP_E_CHUNK},
    {CHUNKED "0\r\nTrailer\r\n", HTTP_E_NAME},
    {CHUNKED "0\r\n more: x\r\n", HTTP_E_NAME},
};

static struct http_response response;
static struct http_kept kept;

/* Parses text in pieces: the first has @first bytes, all others @step. */
static ssize_t read_cut(const char *text, size_t len, size_t first, size_t step)
{
    size_t used = 0;
    size_t size = first;

    while (used < len) {
        const size_t left = len - used;
        const ssize_t part =
            http_response_read(&response, &kept, (const uint8_t *)text + used,
                               size < left ? size : left);
        if (part < 0) {
            return part;
        }
        used += (size_t)part;
        if (response.state == HTTP_COMPLETE) {
            break;
        }
        size = step;
    }
    return (ssize_t)used;
}

static void check_good(const struct good *good, size_t first, size_t step)
{
    char text[1024];
    const size_t len = strlen(good->text);

    http_response_init(&response, good->is_head_request);
    snprintf(text, sizeof(text), "%s%s", good->text,
             good->ends_with_stream ? "" : NEXT);
    expect_eq(read_cut(text, strlen(text), first, step), (ssize_t)len,
              "%s cut at %zu", text, first);
    if (good->ends_with_stream) {
        expect_eq(response.state, HTTP_UNTIL_END);
        expect_eq(http_response_end(&response), 0);
    }
    expect_eq(response.state, HTTP_COMPLETE, "%s", text);
    expect_eq(http_response_status(&response), good->status, "%s", text);
    expect_eq(response.body_bytes, good->body_bytes, "%s", text);
    expect_eq(http_response_may_go_on(&response), good->may_go_on, "%s", text);
    expect_eq(response.size_bytes, len, "%s", text);
}

static void check_bad(const struct bad *bad, size_t first, size_t step)
{
    http_response_init(&response, false);
    expect_eq(read_cut(bad->text, strlen(bad->text), first, step), bad->err,
              "%s cut at %zu", bad->text, first);
    expect_eq(response.state, HTTP_BROKEN);
}

UNIT(load_http_response, an_answer_ends_where_its_head_says_however_it_is_cut)
{
    for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
        for (size_t first = 1; first <= strlen(goods[i].text); first++) {
            http_kept_init(&kept);
            check_good(&goods[i], first, 1000);
            http_kept_init(&kept);
            check_good(&goods[i], first, 1);
            check_good(&goods[i], 1000, 1000);
        }
    }
}

/* Bodies of a connection's responses, joined. */
static char bodies[64];
static size_t bodies_len;

static void take_body(void *arg, const uint8_t *data, size_t len)
{
    expect_eq(arg, bodies);
    expect_gt(len, 0);
    expect_leq(bodies_len + len, sizeof(bodies));
    memcpy(bodies + bodies_len, data, len);
    bodies_len += len;
}

UNIT(load_http_response, bodies_are_passed_on_however_they_are_cut)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" CHUNKED
        "3;x=y\r\n, w\r\n4\r\norld\r\n0\r\nT: x\r\n\r\n"
        "HTTP/1.1 204 None\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!"
        "HTTP/1.1 200 OK\r\n\r\n and the end";

    for (size_t first = 1; first < sizeof(text); first++) {
        http_kept_init(&kept);
        http_response_init(&response, false);
        response.take_body = take_body;
        response.take_arg = bodies;
        bodies_len = 0;
        size_t used = 0;
        while (used < sizeof(text) - 1) {
            used += (size_t)read_cut(text + used, sizeof(text) - 1 - used,
                                     first, 1 + first % 3);
        }
        expect_eq(bodies_len, 25);
        expect_eq(memcmp(bodies, "hello, world! and the end", 25), 0);
    }
}

UNIT(load_http_response, a_head_that_was_read_before_changes_nothing)
{
    const size_t count = sizeof(goods) / sizeof(goods[0]);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            http_kept_init(&kept);
            check_good(&goods[i], 1000, 1000);
            check_good(&goods[j], 1000, 1000);
        }
    }
}

UNIT(load_http_response, a_kept_head_is_used)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    http_kept_init(&kept);
    http_response_init(&response, false);
    expect_eq(read_cut(text, sizeof(text) - 1, 1000, 1000), 43);
    expect_eq(kept.len, 38);
    kept.head.length = 4; /* the cached head is trusted */
    expect_eq(read_cut(text, sizeof(text) - 1, 1000, 1000), 42);
}

UNIT(load_http_response, answers_follow_each_other_on_a_connection)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na" CHUNKED
        "1\r\na\r\n0\r\n\r\n"
        "HTTP/1.1 204 x\r\n\r\n";
    size_t used = 0;

    http_kept_init(&kept);
    http_response_init(&response, false);
    used += (size_t)read_cut(text, sizeof(text) - 1, 7, 7);
    expect_eq(http_response_status(&response), 200);
    used += (size_t)read_cut(text + used, sizeof(text) - 1 - used, 3, 3);
    expect_eq(response.body_bytes, 1);
    used += (size_t)read_cut(text + used, sizeof(text) - 1 - used, 1, 1);
    expect_eq(http_response_status(&response), 204);
    expect_eq(used, sizeof(text) - 1);
}

UNIT(load_http_response, what_is_no_answer_is_refused_however_it_is_cut)
{
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        for (size_t first = 1; first <= strlen(bads[i].text); first++) {
            http_kept_init(&kept);
            check_bad(&bads[i], first, 1);
            check_bad(&bads[i], first, 1000);
        }
    }
}

/* Invalid fields of requests, and chunked bodies, after the request line. */
static const struct bad bad_requests[] = {
    {"\n", HTTP_E_LINE_END},
    {"A: b\n\r\n", HTTP_E_LINE_END},
    {"A: b\r\n\n", HTTP_E_LINE_END},
    {"A: b\r\n c\r\n\r\n", HTTP_E_NAME},
    {"Content-Length: 1\r\n\t2\r\n\r\n", HTTP_E_NAME},
    {"Transfer-Encoding: chunked\r\n\r\n0\r\nT: x\n\r\n", HTTP_E_LINE_END},
    {"Transfer-Encoding: chunked\r\n\r\n0\r\nT: x\r\n y\r\n\r\n", HTTP_E_NAME},
    {"Transfer-Encoding: chunked\r\n\r\n0\r\n\n", HTTP_E_LINE_END},
    {"Transfer-Encoding: chunked\r\n\r\n0\n\r\n", HTTP_E_CHUNK},
};

UNIT(load_http_response, what_a_client_may_read_is_refused_in_a_request)
{
    http_kept_init(&kept);
    for (size_t i = 0; i < sizeof(bad_requests) / sizeof(*bad_requests); i++) {
        const struct bad *bad = &bad_requests[i];
        for (size_t first = 1; first <= strlen(bad->text); first++) {
            http_response_begin_request(&response, 1);
            expect_eq(read_cut(bad->text, strlen(bad->text), first, 1),
                      bad->err, "%s cut at %zu", bad->text, first);
        }
    }
}

UNIT(load_http_response, what_is_no_body_is_refused_however_it_is_cut)
{
    http_kept_init(&kept);
    for (size_t i = 0; i < sizeof(bad_bodies) / sizeof(bad_bodies[0]); i++) {
        for (size_t first = 1; first <= strlen(bad_bodies[i].text); first++) {
            check_bad(&bad_bodies[i], first, 1);
            check_bad(&bad_bodies[i], first, 1000);
        }
    }
}

UNIT(load_http_response, a_head_has_a_limit)
{
    static char text[HTTP_HEAD_MAX + 2];
    static const char begin[] = "HTTP/1.1 200 OK\r\nX: ";

    memset(text, 'x', sizeof(text));
    memcpy(text, begin, sizeof(begin) - 1);
    http_kept_init(&kept);
    http_response_init(&response, false);
    expect_eq(read_cut(text, HTTP_HEAD_MAX - 1, 1000, 1000), HTTP_HEAD_MAX - 1);
    expect_eq(read_cut("x", 1, 1, 1), HTTP_E_HEAD_SIZE);
    http_response_init(&response, false);
    memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
    expect_eq(read_cut(text, HTTP_HEAD_MAX, HTTP_HEAD_MAX, 1), HTTP_HEAD_MAX,
              "a head of just the limit");
    expect_eq(kept.len, 0, "it is too long to be kept");
}

UNIT(load_http_response, trailers_and_extensions_have_a_limit)
{
    static char text[HTTP_HEAD_MAX];

    memset(text, 'x', sizeof(text));
    http_kept_init(&kept);
    http_response_init(&response, false);
    expect_geq(
        read_cut(CHUNKED "0\r\nX:", sizeof(CHUNKED "0\r\nX:") - 1, 1000, 1), 0);
    expect_eq(read_cut(text, sizeof(text), 1000, 1000), HTTP_E_HEAD_SIZE);
    http_response_init(&response, false);
    expect_geq(read_cut(CHUNKED "1;", sizeof(CHUNKED "1;") - 1, 1000, 1), 0);
    expect_eq(read_cut(text, sizeof(text), 1000, 1000), HTTP_E_CHUNK);
}

UNIT(load_http_response, a_stream_that_ends_inside_an_answer_is_cut)
{
    for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
        const size_t len = strlen(goods[i].text);
        for (size_t part = 1; part < len && !goods[i].ends_with_stream;
             part++) {
            http_kept_init(&kept);
            http_response_init(&response, goods[i].is_head_request);
            expect_eq(read_cut(goods[i].text, part, part, 1), (ssize_t)part);
            expect_eq(http_response_end(&response), HTTP_E_CUT);
        }
    }
}

UNIT(load_http_response, an_error_shows_the_first_bytes)
{
    char text[HTTP_DESCRIPTION_SIZE];

    http_kept_init(&kept);
    check_bad(&bads[0], 2, 1);
    expect_str_eq(http_response_describe(&response, HTTP_E_STATUS_LINE, text,
                                         sizeof(text)),
                  "no status line of HTTP/1.x; the answer begins with 'SS'");
    check_bad(&bads[0], 100, 1);
    expect_str_eq(http_response_describe(&response, HTTP_E_STATUS_LINE, text,
                                         sizeof(text)),
                  "no status line of HTTP/1.x; the answer begins with "
                  "'SSH-2.0-OpenSSH_9.2\\r\\n'");
    http_response_init(&response, false);
    expect_eq(
        read_cut(CHUNKED "zz\x01\\", sizeof(CHUNKED "zz\x01\\") - 1, 1000, 1),
        HTTP_E_CHUNK);
    expect_str_eq(
        http_response_describe(&response, HTTP_E_CHUNK, text, sizeof(text)),
        "a chunk without its size or its line end; the body continues "
        "with 'zz\\x01\\x5c'");
}

UNIT(load_http_response, other_protocols_that_servers_speak_have_a_name)
{
    static const struct {
        const char *bytes;
        size_t len;
        int err;
    } rows[] = {
        {"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80", 15, HTTP_E_HTTP2},
        {"\0\0\0\4\0\0\0\0\0", 9, HTTP_E_HTTP2},
        {"\0\0\x08\7\0\0\0\0\0\0", 10, HTTP_E_HTTP2},
        {"\x15\3\3\0\2\2F", 7, HTTP_E_TLS},
        {"\x15\3\1", 3, HTTP_E_TLS},
        {"\0\0\x12\4\0\0\0\0", 8, HTTP_E_STATUS_LINE},
        {"\0\0\x11\4\0\0\0\0\0", 9, HTTP_E_STATUS_LINE},
        {"\0\0\x12\4\1\0\0\0\0", 9, HTTP_E_STATUS_LINE},
        {"\0\0\x12\4\0\0\0\0\1", 9, HTTP_E_STATUS_LINE},
        {"\0\0\x12\1\0\0\0\0\0", 9, HTTP_E_STATUS_LINE},
        {"\1\0\x12\4\0\0\0\0\0", 9, HTTP_E_STATUS_LINE},
        {"\x15\3\5", 3, HTTP_E_STATUS_LINE},
        {"\x15\2\1", 3, HTTP_E_STATUS_LINE},
        {"\x16\3\3", 3, HTTP_E_STATUS_LINE},
        {"\x15\3", 2, HTTP_E_STATUS_LINE},
        {"\0", 1, HTTP_E_STATUS_LINE},
    };
    char text[HTTP_DESCRIPTION_SIZE];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        http_kept_init(&kept);
        http_response_init(&response, false);
        expect_eq(http_response_read(&response, &kept,
                                     (const uint8_t *)rows[i].bytes,
                                     rows[i].len),
                  rows[i].err, "row %zu", i);
    }
    expect_str_eq(
        http_response_describe(&response, HTTP_E_TLS, text, sizeof(text)),
        "the answer begins with a TLS alert");
    expect_str_eq(
        http_response_describe(&response, HTTP_E_HTTP2, text, sizeof(text)),
        "the answer begins with an HTTP/2 frame");
}

UNIT(load_http_response, a_quotation_fits_its_room)
{
    uint8_t bytes[HTTP_SHOWN_MAX];
    char text[HTTP_DESCRIPTION_SIZE];
    char small[16];

    memset(bytes, 0xff, sizeof(bytes));
    expect_eq(strlen(http_quote(bytes, sizeof(bytes), text, sizeof(text))),
              2 + 4 * HTTP_SHOWN_MAX);
    expect_lt(strlen(http_quote(bytes, sizeof(bytes), small, sizeof(small))),
              sizeof(small));
}

UNIT(load_http_response, each_error_has_a_text_and_bytes_that_are_it)
{
    /* Errors with tests of their own. */
    static const int apart[] = {HTTP_E_HEAD_SIZE, HTTP_E_CUT, HTTP_E_HTTP2,
                                HTTP_E_TLS};
    uint64_t seen = 0;

    for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++) {
        seen |= 1U << (apart[i] - HTTP_E_BEFORE);
    }
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        seen |= 1U << (bads[i].err - HTTP_E_BEFORE);
    }
    for (size_t i = 0; i < sizeof(bad_bodies) / sizeof(bad_bodies[0]); i++) {
        seen |= 1U << (bad_bodies[i].err - HTTP_E_BEFORE);
    }
    for (int err = HTTP_E_BEFORE + 1; err < HTTP_E_BEHIND; err++) {
        cr_assert(seen & 1U << (err - HTTP_E_BEFORE), "%s has no bytes here",
                  http_error_name(err));
        cr_assert_not_null(http_error_text(err));
    }
    cr_assert_not_null(http_error_text(0));
    cr_assert_null(http_error_name(HTTP_E_BEFORE));
    cr_assert_null(http_error_name(HTTP_E_BEHIND));
    expect_str_eq(http_error_name(HTTP_E_STATUS), "HTTP_STATUS");
}
