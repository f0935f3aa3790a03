/*
 * Lists of requests: how a line is parsed, which lines share a kind, and errors
 * with their line numbers.
 *
 * A file is a text in memory, except for one that cannot be read.
 */
#include "tools/weir-load/request/urls.c"

#include "tests/unit.h"

static struct urls urls;
static char why[WHY_SIZE];

/* Number of the allocation that fails; 0 is none. */
static size_t fail_at;
static size_t calls;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
    return ++calls == fail_at ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return ++calls == fail_at ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return ++calls == fail_at ? NULL : __real_realloc(memory, size);
}

static void with_nothing_left(void (*body)(void))
{
    body();
    urls_fini(&urls);
}

static int parse(const char *text, bool is_http, const char *target)
{
    return urls_parse(text, strlen(text), is_http, target, &urls, why);
}

static const struct request_kind *kind_of(size_t line)
{
    return &urls.kinds[urls.kind_indices[line]];
}

UNIT_IN(load_urls, others_have_a_rule_a_beginning_and_a_request,
        with_nothing_left, void)
{
    expect_eq(
        parse("delim:\\r\\n begin:+\\x20 a b\\r\\n\nlen:4 begin", false, NULL),
        0, "%s", why);

    expect_eq(kind_of(0)->rule->delimiter_len, 2);
    expect_eq(kind_of(0)->rule->begin_len, 2);
    expect_str_eq(kind_of(0)->request, "a b\\r\\n");
    expect_eq(kind_of(1)->rule->size_bytes, 4);
    expect_str_eq(kind_of(1)->request, "begin");
}

UNIT_IN(load_urls, lines_with_the_same_request_share_a_kind, with_nothing_left,
        void)
{
    static char text[40000];
    size_t len = 0;

    for (unsigned i = 0; i < 3000; i++) {
        len += (size_t)sprintf(text + len, "/%u\n", i * 7 % 1000);
    }

    expect_eq(parse(text, true, NULL), 0, "%s", why);
    expect_eq(urls.count, 3000);
    expect_eq(urls.kind_count, 1000);
    for (unsigned i = 0; i < 3000; i++) {
        char path[16];
        sprintf(path, "/%u", i * 7 % 1000);
        expect_str_eq(kind_of(i)->path, path);
    }
}

UNIT(load_urls, a_list_has_no_times_and_begins_again_at_its_end)
{
    static const char *const lines[] = {"/a", "POST /b x y", "/a", "/", "/c?d"};
    static const char text[] = "# a list\n/a\n\n POST /b x y\r\n/a\n"
                               "http://h:8\nhttp://h:8/c?d";

    expect_eq(parse(text, true, "http://h:8"), 0, "%s", why);
    expect_eq(urls.count, 5);
    expect_eq(urls.kind_count, 4);
    for (uint64_t number = 0; number < 12; number++) {
        expect_str_eq(urls.kinds[urls_kind(&urls, number)].line,
                      lines[number % 5]);
    }
    urls_fini(&urls);
}

UNIT(load_urls, targets_of_vegeta_are_a_list)
{
    static const char text[] =
        "# of vegeta\nGET http://h:8/a\n\nPOST http://h:8?q=1\n  A: b\r\n"
        "C:d\n@/dev/null\n\nDELETE http://h:8\nGET http://h:8/a\n\nHEAD /\n";

    expect_eq(parse(text, true, "http://h:8"), 0, "%s", why);
    expect_eq(urls.count, 5);
    expect_eq(urls.kind_count, 4);
    expect_str_eq(urls.kinds[0].line, "GET /a");
    expect_str_eq(urls.kinds[1].line, "POST /?q=1\nA: b\nC:d\n@/dev/null");
    expect_str_eq(urls.kinds[1].path, "/?q=1");
    expect_str_eq(urls.kinds[1].body, "@/dev/null");
    expect_eq(urls.kinds[1].header_count, 2);
    expect_eq(memcmp(urls.kinds[1].headers, "A: b\0C:d", 9), 0);
    expect_str_eq(urls.kinds[2].path, "/");
    expect_eq(urls_kind(&urls, 3), 0);
    urls_fini(&urls);
}

UNIT(load_urls, a_url_of_the_target_may_be_written_in_other_ways)
{
    static const struct {
        const char *target;
        const char *url;
    } rows[] = {
        {"http://localhost:80", "http://localhost"},
        {"http://localhost", "http://localhost:80"},
        {"https://h", "https://h:443"},
        {"http://h:8", "HTTP://H:8"},
        {"HTTPS://H:8", "https://h:8"},
        {"http://[::1]", "http://[::1]:80"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[80];
        snprintf(text, sizeof(text), "GET %s/a\n%s\n%s?b\n", rows[i].url,
                 rows[i].url, rows[i].url);
        expect_eq(parse(text, true, rows[i].target), 0, "%s", why);
        expect_str_eq(urls.kinds[0].line, "GET /a");
        expect_str_eq(urls.kinds[1].line, "/");
        expect_str_eq(urls.kinds[2].line, "/?b");
        urls_fini(&urls);
    }
}

UNIT(load_urls, the_length_of_a_body_is_left_out_of_a_list)
{
    static const char text[] =
        "POST /a\nContent-Length: 3\nA: b\n  content-length:4\n@/dev/null\n";

    expect_eq(parse(text, true, NULL), 0, "%s", why);
    expect_eq(urls.count, 1);
    expect_str_eq(urls.kinds[0].line, "POST /a\nA: b\n@/dev/null");
    urls_fini(&urls);
}

UNIT(load_urls, mistakes_of_a_list_are_told_with_their_line)
{
    static const struct {
        const char *text;
        const char *target;
        const char *why;
    } rows[] = {
        {"/a\nhttp://h:80/x", "http://h:8", "line 2: 'http://h:80/x' is not"},
        {"/a\n\nhttps://h:8/x", "http://h:8", "line 3: 'https://h:8/x' is no"},
        {"http://h:8/x", "http://h:80", "line 1: 'http://h:8/x' is not of"},
        {"http://h:8/x", "https://h:8", "line 1: 'http://h:8/x' is not of"},
        {"http://h:x/x", "http://h", "line 1: 'http://h:x/x' is not of"},
        {"http://u@h/x", "http://h", "line 1: 'http://u@h/x' is not of"},
        {"http://h.i/x", "http://h", "line 1: 'http://h.i/x' is not of"},
        {"{\"method\": \"GET\", \"url\": \"http://h:8/\"}", "http://h:8",
         "line 1: targets of vegeta in JSON are not read; write METHOD URL"},
        {"http://h:8/x", NULL, "line 1: 'http://h:8/x' is not of the target"},
        {"/a b\nG", NULL, "line 2: "},
        {"/{sec}", NULL, "line 1: at byte 2"},
        {"# nothing", NULL, "there is no request in it"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_lt(parse(rows[i].text, true, rows[i].target), 0);
        expect_eq(strncmp(why, rows[i].why, strlen(rows[i].why)), 0, "%s", why);
    }
}

UNIT(load_urls, a_file_that_cannot_be_read_is_told)
{
    expect_eq(urls_read("/nonexistent/x", true, NULL, &urls, why), -ENOENT);
    expect_str_eq(why, "No such file or directory");
    expect_eq(urls_read("/", true, NULL, &urls, why), -EISDIR);
    expect_str_eq(why, "Is a directory");
    expect_eq(urls_read("/dev/null", true, NULL, &urls, why), -EINVAL);
    expect_str_eq(why, "there is no request in it");
}

UNIT(load_urls, more_than_there_is_room_for_is_refused)
{
    struct reader reader = {.urls = &urls, .form = REQUEST_HTTP, .why = why};

    urls.count = URLS_LINES_MAX;
    expect_eq(add_line(&reader, "/", 1, why), -E2BIG);
    expect_str_eq(why, "more than 10000000 requests");
    urls = (struct urls){.kind_count = URLS_KINDS_MAX};
    expect_eq(add_kind(&reader, "/", 1), -E2BIG);
    expect_str_eq(why, "more than 1000000 different requests");
    urls = (struct urls){.count = 0};
}

UNIT(load_urls, the_hash_tells_requests_apart)
{
    static const char *const texts[] = {"/a\n/b", "/a\n/c", "/b\n/a",
                                        "/a\n/b\n/b"};
    uint64_t hashes[4];

    for (size_t i = 0; i < 4; i++) {
        expect_eq(parse(texts[i], true, NULL), 0);
        hashes[i] = urls_hash(&urls);
        urls_fini(&urls);
        for (size_t j = 0; j < i; j++) {
            cr_assert(hashes[i] != hashes[j]);
        }
    }
    expect_eq(parse("# the same\n /a\n\n/b\n", true, NULL), 0);
    expect_eq(urls_hash(&urls), hashes[0]);
    urls_fini(&urls);
}

UNIT(load_urls, without_memory_it_fails_and_leaves_nothing)
{
    int err = -ENOMEM;

    for (fail_at = 1; err == -ENOMEM; fail_at++) {
        calls = 0;
        err = parse("len:1 a\nlen:1 b{seq}\nlen:1 c\nlen:1 a", false, NULL);
        if (err == -ENOMEM) {
            cr_assert_not_null(strstr(why, "no memory"), "%s", why);
        }
    }
    expect_eq(err, 0, "%s", why);
    expect_gt(fail_at, 15);
    fail_at = 0;
    urls_fini(&urls);
}
