/*
 * Requests with times: what a line is read as, which lines share a kind, and
 * mistakes with the number of their line.
 *
 * A file is a text in memory, but for one that cannot be read.
 */
#include "tools/weir-load/replay.c"

#include "tests/unit.h"

#define MS UINT64_C(1000000)

static struct replay replay;
static char why[REPLAY_WHY_SIZE];

/* The allocation that fails; 0: none. */
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
    replay_fini(&replay);
}

static int parse_bytes(const char *text, size_t len, bool is_http, double speed)
{
    FILE *file = fmemopen((void *)text, len, "r");

    cr_assert_not_null(file);
    const int err = replay_parse(file, is_http, speed, &replay, why);
    fclose(file);
    return err;
}

static int parse(const char *text, bool is_http)
{
    return parse_bytes(text, strlen(text), is_http, 1);
}

static void refuses(const char *text, bool is_http, const char *reason)
{
    expect_lt(parse(text, is_http), 0, "%s", text);
    expect_str_eq(why, reason);
    expect_eq(replay.count, 0);
    expect_eq(replay.kinds, NULL);
}

static const struct request_kind *kind_of(size_t line)
{
    return &replay.kinds[replay.kind_indices[line]];
}

UNIT_IN(load_replay, a_line_has_a_time_and_a_request, with_nothing_left, void)
{
    expect_eq(parse("# all\n\n0 /a\r\n  0.25\tPUT /b  {\"x\"} y \n"
                    "0.250 HEAD /c?d={seq}\n3 /a",
                    true),
              0, "%s", why);

    expect_eq(replay.count, 4);
    expect_eq(replay.times_ns[0], 0);
    expect_eq(replay.times_ns[1], 250 * MS);
    expect_eq(replay.times_ns[2], 250 * MS);
    expect_eq(replay.times_ns[3], 3000 * MS);
    expect_str_eq(kind_of(0)->method, "GET");
    expect_str_eq(kind_of(0)->path, "/a");
    expect_eq(kind_of(0)->body, NULL);
    expect_str_eq(kind_of(1)->line, "PUT /b  {\"x\"} y ");
    expect_str_eq(kind_of(1)->method, "PUT");
    expect_str_eq(kind_of(1)->path, "/b");
    expect_str_eq(kind_of(1)->body, "{\"x\"} y ");
    expect_str_eq(kind_of(2)->method, "HEAD");
    expect_str_eq(kind_of(2)->path, "/c?d={seq}");
}

UNIT_IN(load_replay, others_have_a_rule_a_beginning_and_a_request,
        with_nothing_left, void)
{
    expect_eq(
        parse("1 delim:\\r\\n begin:+\\x20 a b\\r\\n\n2 len:4 begin", false), 0,
        "%s", why);

    expect_eq(kind_of(0)->rule->delimiter_len, 2);
    expect_eq(kind_of(0)->rule->begin_len, 2);
    expect_str_eq(kind_of(0)->request, "a b\\r\\n");
    expect_eq(kind_of(1)->rule->size_bytes, 4);
    expect_str_eq(kind_of(1)->request, "begin");
}

UNIT_IN(load_replay, lines_with_the_same_request_share_a_kind,
        with_nothing_left, void)
{
    static char text[40000];
    size_t len = 0;

    for (unsigned i = 0; i < 3000; i++) {
        len += (size_t)sprintf(text + len, "%u /%u\n", i, i * 7 % 1000);
    }

    expect_eq(parse(text, true), 0, "%s", why);
    expect_eq(replay.count, 3000);
    expect_eq(replay.kind_count, 1000);
    for (unsigned i = 0; i < 3000; i++) {
        char path[16];
        sprintf(path, "/%u", i * 7 % 1000);
        expect_str_eq(kind_of(i)->path, path);
    }
}

UNIT_IN(load_replay, times_are_exact_to_the_nanosecond, with_nothing_left, void)
{
    expect_eq(parse("0.000000001 /\n0.1 /\n1. /\n1.0000000019999999999999 /\n"
                    "01.123456789 /\n604799.999999999 /\n604800 /",
                    true),
              0, "%s", why);

    expect_eq(replay.times_ns[0], 1);
    expect_eq(replay.times_ns[1], 100 * MS);
    expect_eq(replay.times_ns[2], 1000 * MS);
    expect_eq(replay.times_ns[3], 1000 * MS + 1, "what is left out");
    expect_eq(replay.times_ns[4], UINT64_C(1123456789));
    expect_eq(replay.times_ns[5], UINT64_C(604799999999999));
    expect_eq(replay.times_ns[6], UINT64_C(604800000000000));
}

UNIT_IN(load_replay, the_longest_pause_is_known, with_nothing_left, void)
{
    expect_eq(parse("2 /\n3 /\n3.5 /", true), 0);
    expect_eq(replay.pause_ns, 2000 * MS, "before the first");
    replay_fini(&replay);

    expect_eq(parse("2 /\n3 /\n7.5 /\n8 /", true), 0);
    expect_eq(replay.pause_ns, 4500 * MS);
}

UNIT_IN(load_replay, a_speed_divides_the_times, with_nothing_left, void)
{
    static const char text[] = "1 /\n10 /\n";

    expect_eq(parse_bytes(text, sizeof(text) - 1, true, 4), 0);
    expect_eq(replay.times_ns[0], 250 * MS);
    expect_eq(replay.times_ns[1], 2500 * MS);
    expect_eq(replay.pause_ns, 2250 * MS);
    replay_fini(&replay);

    expect_eq(parse_bytes(text, sizeof(text) - 1, true, 0.5), 0);
    expect_eq(replay.times_ns[1], 20000 * MS);
}

UNIT(load_replay, mistakes_are_told_with_their_line)
{
#define NO_TIME(word)                                                          \
    "'" word "' is not a time; write seconds from the begin, as 0.25"

    refuses("# x\n \n", true, "there is no request in it");
    refuses("/\n", true, "line 1: " NO_TIME("/"));
    refuses("0 /\n\n-1 /", true, "line 3: " NO_TIME("-1"));
    refuses("0s /", true, "line 1: " NO_TIME("0s"));
    refuses(".5 /", true, "line 1: " NO_TIME(".5"));
    refuses("1e3 /", true, "line 1: " NO_TIME("1e3"));
    refuses("0.5.1 /", true, "line 1: " NO_TIME("0.5.1"));
    refuses("2026-01-31T12:00:00.000000Z /", true,
            "line 1: " NO_TIME("2026-01-31T12:00:00.0000"));
    refuses("604800.000000001 /", true,
            "line 1: a time is at most 604800 seconds from the begin, a week");
    refuses("99999999999999999999999999999999 /", true,
            "line 1: a time is at most 604800 seconds from the begin, a week");
    refuses("0.3 /\n0.3 /\n0.299 /", true,
            "line 3: 0.299 is before the time above; times ascend");
    refuses("7", true, "line 1: a method is one word such as GET");
    refuses("0 GET", true, "line 1: a path begins with /");
    refuses("0 /\n1 /a{sec}", true,
            "line 2: at byte 3, '{sec}': write {seq}, {conn}, "
            "{rand:LOW:HIGH}, {letters:COUNT}, {file:PATH} or "
            "{csv:COLUMN}");
    refuses("0 len:4 a\n1 len:4", false, "line 2: it is empty");
    refuses("0 GET /", false,
            "line 1: 'GET': at byte 1: write delim:, count:, len: or prefix:");
    expect_eq(parse_bytes("0 /\n1 /\0\n", 9, true, 1), -EINVAL);
    expect_str_eq(why, "line 2: it has a byte of zero; write \\0");
}

static int parse_list(const char *text, bool is_http, const char *target)
{
    FILE *file = fmemopen((void *)text, strlen(text), "r");

    cr_assert_not_null(file);
    const int err = replay_parse_list(file, is_http, target, &replay, why);
    fclose(file);
    return err;
}

UNIT(load_replay, a_list_has_no_times_and_begins_again_at_its_end)
{
    static const char *const lines[] = {"/a", "POST /b x y", "/a", "/", "/c?d"};
    static const char text[] = "# a list\n/a\n\n POST /b x y\r\n/a\n"
                               "http://h:8\nhttp://h:8/c?d";

    expect_eq(parse_list(text, true, "http://h:8"), 0, "%s", why);
    expect_eq(replay.count, 5);
    expect_eq(replay.kind_count, 4);
    expect_eq(replay.times_ns, NULL);
    for (uint64_t number = 0; number < 12; number++) {
        expect_str_eq(replay.kinds[replay_kind(&replay, number)].line,
                      lines[number % 5]);
    }
    replay_fini(&replay);
}

UNIT(load_replay, targets_of_vegeta_are_a_list)
{
    static const char text[] =
        "# of vegeta\nGET http://h:8/a\n\nPOST http://h:8?q=1\n  A: b\r\n"
        "C:d\n@/dev/null\n\nDELETE http://h:8\nGET http://h:8/a\n\nHEAD /\n";

    expect_eq(parse_list(text, true, "http://h:8"), 0, "%s", why);
    expect_eq(replay.count, 5);
    expect_eq(replay.kind_count, 4);
    expect_str_eq(replay.kinds[0].line, "GET /a");
    expect_str_eq(replay.kinds[1].line, "POST /?q=1\nA: b\nC:d\n@/dev/null");
    expect_str_eq(replay.kinds[1].path, "/?q=1");
    expect_str_eq(replay.kinds[1].body, "@/dev/null");
    expect_eq(replay.kinds[1].header_count, 2);
    expect_eq(memcmp(replay.kinds[1].headers, "A: b\0C:d", 9), 0);
    expect_str_eq(replay.kinds[2].path, "/");
    expect_eq(replay_kind(&replay, 3), 0);
    replay_fini(&replay);
}

UNIT(load_replay, a_url_of_the_target_may_be_written_in_other_ways)
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
        expect_eq(parse_list(text, true, rows[i].target), 0, "%s", why);
        expect_str_eq(replay.kinds[0].line, "GET /a");
        expect_str_eq(replay.kinds[1].line, "/");
        expect_str_eq(replay.kinds[2].line, "/?b");
        replay_fini(&replay);
    }
}

UNIT(load_replay, the_length_of_a_body_is_left_out_of_a_list)
{
    static const char text[] =
        "POST /a\nContent-Length: 3\nA: b\n  content-length:4\n@/dev/null\n";

    expect_eq(parse_list(text, true, NULL), 0, "%s", why);
    expect_eq(replay.count, 1);
    expect_str_eq(replay.kinds[0].line, "POST /a\nA: b\n@/dev/null");
    replay_fini(&replay);
}

UNIT(load_replay, mistakes_of_a_list_are_told_with_their_line)
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
        expect_lt(parse_list(rows[i].text, true, rows[i].target), 0);
        expect_eq(strncmp(why, rows[i].why, strlen(rows[i].why)), 0, "%s", why);
    }
}

UNIT(load_replay, a_file_that_cannot_be_read_is_told)
{
    expect_eq(replay_read("/nonexistent/x", true, 1, NULL, &replay, why),
              -ENOENT);
    expect_str_eq(why, "No such file or directory");
    expect_eq(replay_read("/", true, 1, NULL, &replay, why), -EISDIR);
    expect_str_eq(why, "Is a directory");
    expect_eq(replay_read("/dev/null", true, 1, NULL, &replay, why), -EINVAL);
    expect_str_eq(why, "there is no request in it");
}

UNIT(load_replay, more_than_there_is_room_for_is_refused)
{
    struct reader reader = {
        .replay = &replay, .form = REQUEST_HTTP, .has_times = true, .why = why};

    replay.count = REPLAY_LINES_MAX;
    expect_eq(add_line(&reader, (char[]){"0 /"}), -E2BIG);
    expect_str_eq(why, "more than 10000000 requests");
    replay = (struct replay){.kind_count = REPLAY_KINDS_MAX};
    expect_eq(add_kind(&reader, "/", 1), -E2BIG);
    expect_str_eq(why, "more than 1000000 different requests");
    replay = (struct replay){.count = 0};
}

UNIT(load_replay, the_hash_tells_times_and_requests_apart)
{
    static const char *const texts[] = {"0 /a\n1 /b", "0 /a\n1.1 /b",
                                        "0 /a\n1 /c", "0 /b\n1 /a",
                                        "0 /a\n1 /b\n1 /b"};
    uint64_t hashes[5];

    for (size_t i = 0; i < 5; i++) {
        expect_eq(parse(texts[i], true), 0);
        hashes[i] = replay_hash(&replay);
        replay_fini(&replay);
        for (size_t j = 0; j < i; j++) {
            cr_assert(hashes[i] != hashes[j]);
        }
    }
    expect_eq(parse("# the same\n0.0  /a\n1   /b\n", true), 0);
    expect_eq(replay_hash(&replay), hashes[0]);
    replay_fini(&replay);
}

UNIT(load_replay, without_memory_it_fails_and_leaves_nothing)
{
    int err = -ENOMEM;

    for (fail_at = 1; err == -ENOMEM; fail_at++) {
        calls = 0;
        err = parse("0 len:1 a\n1 len:1 b{seq}\n2 len:1 c\n3 len:1 a", false);
        if (err == -ENOMEM) {
            cr_assert_not_null(strstr(why, "no memory"), "%s", why);
        }
    }
    expect_eq(err, 0, "%s", why);
    expect_gt(fail_at, 15);
    fail_at = 0;
    replay_fini(&replay);
}
