/*
 * weir-load's parser of HTTP responses compared with Debian's http_parser, on
 * random responses, some with one byte changed, split at random.
 *
 * If both accept a response, they agree on status, body and reuse of the
 * connection. Either may refuse a damaged response that the other accepts.
 */
#include "tools/weir-load/http1/http1.h"

#include "random.h"

#include <http_parser.h>

enum { ROUNDS = 200000, TEXT_MAX = 2048 };

struct text {
    size_t len;
    char bytes[TEXT_MAX];
};

struct seen {
    bool is_understood;
    bool is_complete;
    bool may_go_on;
    unsigned status;
    uint64_t body_bytes;
    /* Size of the response; unknown if it is interim or ends early. */
    size_t used;
};

static struct unit_random chance;
static struct text text;

static bool one_in(uint64_t count)
{
    return unit_random_below(&chance, count) == 0;
}

static void add(const char *piece)
{
    const size_t len = strlen(piece);

    if (text.len + len < TEXT_MAX) {
        memcpy(text.bytes + text.len, piece, len);
        text.len += len;
    }
}

static const char *one_of(const char *const *words, size_t count)
{
    return words[unit_random_below(&chance, count)];
}

#define ONE_OF(...)                                                            \
    one_of((const char *const[]){__VA_ARGS__},                                 \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void add_fields(void)
{
    for (uint64_t i = unit_random_below(&chance, 4); i > 0; i--) {
        add(ONE_OF("Server: x/1.0 (y)\r\n", "Date: today\r\n", "X:\r\n",
                   "Set-Cookie: a=b; c\r\n", "Folded: a\r\n b\r\n",
                   "Connectio: close\r\n", "Content-Lengt: 7\r\n"));
    }
}

/* Adds one of them: with both close and keep-alive in HTTP/1.0, http_parser
 * obeys the second, against RFC 9112, 9.3. */
static void add_connection(void)
{
    add(ONE_OF("", "", "Connection: close\r\n", "Connection: keep-alive\r\n",
               "connection:Keep-Alive, more\r\n",
               "Connection: more, close\r\n"));
    add_fields();
}

static void add_chunks(void)
{
    char piece[64];

    add(ONE_OF("Transfer-Encoding: chunked\r\n",
               "transfer-encoding: \tChunked \r\n"));
    add_fields();
    add("\r\n");
    for (uint64_t i = unit_random_below(&chance, 4); i > 0; i--) {
        const unsigned len = 1 + (unsigned)unit_random_below(&chance, 20);
        snprintf(piece, sizeof(piece), one_in(2) ? "%x" : "%04X", len);
        add(piece);
        add(ONE_OF("\r\n", "\r\n", ";a=b\r\n", ";c\r\n"));
        snprintf(piece, sizeof(piece), "%.*s\r\n", (int)len,
                 "0123456789abcdefghijklmnopq");
        add(piece);
    }
    add(ONE_OF("0\r\n\r\n", "0\r\n\r\n", "000\r\nTrailer: x\r\n\r\n"));
}

static void add_body(void)
{
    char piece[64];
    const unsigned len = (unsigned)unit_random_below(&chance, 30);

    snprintf(piece, sizeof(piece), "Content-Length: %u\r\n", len);
    add(piece);
    add_fields();
    add("\r\n");
    snprintf(piece, sizeof(piece), "%.*s", (int)len,
             "0123456789abcdefghijklmnopqrstuvwxyz");
    add(piece);
}

/* http_parser reads bodies of 204 and 304, which have none by RFC 9112, 6.3. */
static void make_answer(void)
{
    text.len = 0;
    add(ONE_OF("HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.1 ", "HTTP/1.0 "));
    if (one_in(8)) {
        add(ONE_OF("204 None\r\n", "304 Same\r\n"));
        add_connection();
        add("\r\n");
        return;
    }
    add(ONE_OF("200 OK\r\n", "200 OK\r\n", "404 Not found\r\n", "500 \r\n"));
    add_connection();
    if (one_in(3) && text.bytes[7] == '1') {
        add_chunks();
    } else if (one_in(8)) {
        add("\r\nuntil the end");
    } else {
        add_body();
    }
}

/* Changes, removes or duplicates a byte. Not a comma: http_parser does not
 * accept empty list elements (RFC 9110, 5.6.1). */
static void spoil(void)
{
    static const char bytes[] = "\r\n :;\0\x7f\x80-1aZ";
    const size_t at = unit_random_below(&chance, text.len);

    if (text.bytes[at] == ',') {
        return;
    }
    switch (unit_random_below(&chance, 3)) {
    case 0:
        text.bytes[at] = bytes[unit_random_below(&chance, sizeof(bytes) - 1)];
        break;
    case 1:
        memmove(text.bytes + at, text.bytes + at + 1, text.len - at - 1);
        text.len--;
        break;
    default:
        memmove(text.bytes + at + 1, text.bytes + at, text.len - at - 1);
        break;
    }
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct seen *seen = parser->data;

    (void)at;
    seen->body_bytes += len;
    return 0;
}

static int on_complete(http_parser *parser)
{
    struct seen *seen = parser->data;

    seen->is_complete = true;
    seen->status = parser->status_code;
    seen->may_go_on = http_should_keep_alive(parser);
    http_parser_pause(parser, 1);
    return 0;
}

static struct seen read_other(void)
{
    struct seen seen = {.is_understood = true};
    http_parser parser;
    http_parser_settings settings;

    http_parser_settings_init(&settings);
    settings.on_body = on_body;
    settings.on_message_complete = on_complete;
    http_parser_init(&parser, HTTP_RESPONSE);
    parser.data = &seen;
    seen.used = http_parser_execute(&parser, &settings, text.bytes, text.len);
    if (!seen.is_complete && HTTP_PARSER_ERRNO(&parser) == HPE_OK) {
        http_parser_execute(&parser, &settings, "", 0); /* end of the stream */
        seen.used = text.len;
    }
    seen.is_understood = seen.is_complete;
    return seen;
}

static struct seen read_own(struct http_kept *kept)
{
    struct seen seen = {.is_understood = true};
    struct http_response response;
    size_t used = 0;

    http_response_init(&response, false);
    do {
        const size_t left = text.len - used;
        const ssize_t part = http_response_read(
            &response, kept, (const uint8_t *)text.bytes + used,
            one_in(2) ? left : 1 + unit_random_below(&chance, left));
        if (part < 0) {
            seen.is_understood = false;
            return seen;
        }
        used += (size_t)part;
    } while (used < text.len && response.state != HTTP_COMPLETE);
    if (response.state != HTTP_COMPLETE && http_response_end(&response) < 0) {
        seen.is_understood = false;
    }
    seen.is_complete = seen.is_understood;
    seen.may_go_on = http_response_may_go_on(&response);
    seen.status = http_response_status(&response);
    seen.body_bytes = response.body_bytes;
    seen.used = used;
    return seen;
}

static void compare(const struct seen *own, const struct seen *other)
{
    if (!own->is_understood || !other->is_understood) {
        return;
    }
    const int len = (int)text.len;
    expect_eq(own->status, other->status, "%.*s", len, text.bytes);
    expect_eq(own->body_bytes, other->body_bytes, "%.*s", len, text.bytes);
    expect_eq(own->may_go_on, other->may_go_on, "%.*s", len, text.bytes);
}

UNIT(load_http_oracle, whole_answers_are_read_alike)
{
    static struct http_kept kept;

    unit_random_seed(&chance);
    for (int i = 0; i < ROUNDS; i++) {
        make_answer();
        const struct seen other = read_other();
        const struct seen own = read_own(&kept);
        expect_eq(own.is_understood, other.is_understood, "%.*s", (int)text.len,
                  text.bytes);
        compare(&own, &other);
    }
}

UNIT(load_http_oracle, spoiled_answers_are_read_alike_or_refused)
{
    static struct http_kept kept;

    unit_random_seed(&chance);
    for (int i = 0; i < ROUNDS; i++) {
        make_answer();
        spoil();
        const struct seen other = read_other();
        const struct seen own = read_own(&kept);
        compare(&own, &other);
    }
}
