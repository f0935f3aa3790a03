/*
 * The plan of checks: defaults, what is refused, and the verdict on a response
 * after each of its bytes.
 *
 * A verdict is written as '.' while it is unknown, and as '+' or '-'.
 */
#include "lib/proxy/upstream/check.h"

#include "tests/unit.h"
#include "uring/alloc.h"

#include <errno.h>

static struct wr_check check;
static struct wr_check_talk talk; /* of the last verdict */

#define SENDS(text)   .send = text, .send_size = sizeof(text) - 1
#define EXPECTS(text) .expect = text, .expect_size = sizeof(text) - 1

static int read_plan(const struct weir_upstream_check *plan)
{
    return wr_check_init(&check, wr_default_allocator(), plan);
}

static int read_sized(const struct weir_upstream_check *plan)
{
    struct weir_upstream_check sized = *plan;
    sized.size = sizeof(sized);
    return read_plan(&sized);
}

static void drop_plan(void)
{
    wr_check_fini(&check, wr_default_allocator());
}

static void expect_refused(const struct weir_upstream_check *plan)
{
    struct weir_upstream_check sized = *plan;
    sized.size = sizeof(sized);
    expect_eq(read_plan(&sized), -EINVAL);
    expect_eq(check.text_size, 0);
}

#define REFUSED(...) expect_refused(&(struct weir_upstream_check){__VA_ARGS__})

/* Judges the first @len bytes; text that the check sends is recorded. */
static enum wr_verdict judge(const char *answer, size_t len, char **ret_end)
{
    enum wr_verdict verdict;

    while ((verdict = wr_check_judge(&check, &talk, (const uint8_t *)answer,
                                     len)) == WR_VERDICT_SAY) {
        *(*ret_end)++ = '>';
    }
    return verdict;
}

/* Expects the verdicts after each byte: '.', '+' or '-', with a '>' before each
 * time that the check sends. */
static void expect_verdicts_of(const struct weir_upstream_check *plan,
                               const char *answer, size_t size,
                               const char *expected)
{
    char got[512] = "";
    char *end = got;
    enum wr_verdict verdict = WR_VERDICT_MORE;

    talk = (struct wr_check_talk){.step = 0};
    expect_eq(read_sized(plan), 0);
    const size_t room = wr_check_get_room(&check);
    cr_assert_lt(size, sizeof(got) / 2);
    expect_eq(judge(answer, 0, &end), WR_VERDICT_MORE);
    for (size_t len = 1; len <= size && len <= room; len++) {
        /* Memory of exactly its size, for the address sanitizer. */
        char *part = malloc(len);
        cr_assert_not_null(part);
        memcpy(part, answer, len);
        verdict = judge(part, len, &end);
        free(part);
        *end++ = ".+-"[verdict];
        if (verdict != WR_VERDICT_MORE) {
            break;
        }
    }
    expect_str_eq(got, expected);
    drop_plan();
}

static void expect_verdicts(const struct weir_upstream_check *plan,
                            const char *answer, const char *expected)
{
    expect_verdicts_of(plan, answer, strlen(answer), expected);
}

UNIT(upstream_plan, has_the_defaults_that_are_documented)
{
    const struct weir_upstream_check plan = {.size = sizeof(plan)};
    expect_eq(read_plan(&plan), 0);
    expect_eq(check.plan.timeout_ns, 2000000000u);
    expect_eq(check.plan.rise, 2);
    expect_eq(check.plan.fall, 3);
    expect_eq(check.plan.limit_bytes, 4096);
    expect_eq(check.plan.min_status, 200);
    expect_eq(check.plan.max_status, 399);
    expect_str_eq(check.plan.path, "/");
    expect_eq(wr_check_is_active(&check), false, "no interval, no checks");
    drop_plan();
    const struct weir_upstream_check text = {.size = sizeof(text),
                                             .kind = WEIR_UPSTREAM_CHECK_TEXT};
    expect_eq(read_plan(&text), 0);
    expect_eq(check.plan.limit_bytes, 16384);
    drop_plan();
}

UNIT(upstream_plan, takes_the_least_of_each_number)
{
    const struct weir_upstream_check plan = {.size = sizeof(plan),
                                             .timeout_ns = 1,
                                             .rise = 1,
                                             .fall = 1,
                                             .limit_bytes = 1,
                                             .min_status = 1,
                                             .max_status = 1};
    expect_eq(read_plan(&plan), 0);
    expect_eq(check.plan.timeout_ns, 1);
    expect_eq(check.plan.rise, 1);
    expect_eq(check.plan.fall, 1);
    expect_eq(check.plan.limit_bytes, 1);
    expect_eq(check.plan.min_status, 1);
    expect_eq(check.plan.max_status, 1);
    drop_plan();
}

UNIT(upstream_plan, keeps_its_own_copies)
{
    char send[] = "PING";
    char expect[] = "PONG";
    char path[] = "/alive";
    char host[] = "db";
    const struct weir_upstream_check plan = {.size = sizeof(plan),
                                             .send = send,
                                             .send_size = 4,
                                             .expect = expect,
                                             .expect_size = 4,
                                             .path = path,
                                             .host = host};
    expect_eq(read_plan(&plan), 0);
    memset(send, 'x', 4);
    memset(expect, 'x', 4);
    memset(path, 'x', 6);
    memset(host, 'x', 2);
    expect_eq(memcmp(check.plan.send, "PING", 4), 0);
    expect_eq(memcmp(check.plan.expect, "PONG", 4), 0);
    expect_str_eq(check.plan.path, "/alive");
    expect_str_eq(check.plan.host, "db");
    drop_plan();
}

UNIT(upstream_plan, refuses_what_makes_no_sense)
{
    int kind = 0;
    while (weir_upstream_check_kind_get_name(
        (enum weir_upstream_check_kind)kind)) {
        kind++;
    }
    REFUSED(.kind = (enum weir_upstream_check_kind)kind);
    REFUSED(.send_size = 1);
    REFUSED(.expect_size = 1);
    REFUSED(EXPECTS("abc"), .limit_bytes = 2);
    REFUSED(.min_status = 400);
    REFUSED(.kind = WEIR_UPSTREAM_CHECK_HTTP, .limit_bytes = 11);
    REFUSED(.kind = WEIR_UPSTREAM_CHECK_TLS, .no_tls = true);
    REFUSED(.path = "");
    REFUSED(.path = "/ HTTP/1.0");
    REFUSED(.host = "a\r\nb: c");
    REFUSED(.host = "a\x7f");
    REFUSED(.proxy_version = 3);
    REFUSED(.kind = WEIR_UPSTREAM_CHECK_MYSQL);
    REFUSED(.kind = WEIR_UPSTREAM_CHECK_POSTGRES, .user = "");
    char user[WEIR_UPSTREAM_CHECK_USER_MAX + 2];
    memset(user, 'u', sizeof(user) - 1);
    user[sizeof(user) - 1] = '\0';
    REFUSED(.kind = WEIR_UPSTREAM_CHECK_MYSQL, .user = user);
}

UNIT(upstream_plan, refuses_steps_that_make_no_sense)
{
    static const struct weir_upstream_check_step
        many[WEIR_UPSTREAM_CHECK_STEPS_MAX + 1];
    const struct weir_upstream_check_step no_send = {.send_size = 1};
    const struct weir_upstream_check_step no_expect = {.expect_size = 1};
    const struct weir_upstream_check_step much = {EXPECTS("abc")};
    REFUSED(.step_count = 1);
    REFUSED(.steps = many, .step_count = WEIR_UPSTREAM_CHECK_STEPS_MAX + 1);
    REFUSED(.steps = &no_send, .step_count = 1);
    REFUSED(.steps = &no_expect, .step_count = 1);
    REFUSED(.steps = &much, .step_count = 1, .limit_bytes = 2);
    REFUSED(.steps = many, .step_count = 1, SENDS("a"));
}

UNIT(upstream_plan, refuses_places_that_checks_cannot_go_to)
{
    const struct weir_address unnamed = {.len = 0};
    REFUSED(.endpoint = weir_endpoint_host("a", 1), .port = 2);
    REFUSED(.endpoint = weir_endpoint_host("", 1));
    REFUSED(.endpoint = weir_endpoint_unix(""));
    REFUSED(.endpoint = weir_endpoint_unix("/a"), .port = 2);
    REFUSED(.endpoint = weir_endpoint_addresses(&unnamed, 1));
    REFUSED(.endpoint = weir_endpoint_addresses(&unnamed, 2));
    REFUSED(.endpoint = weir_endpoint_fd(0));
}

UNIT(upstream_plan, a_text_is_asked_for_in_one_piece)
{
    const struct weir_upstream_check plan = {
        .size = sizeof(plan), .kind = WEIR_UPSTREAM_CHECK_TEXT, SENDS("ping")};
    struct wr_check_piece pieces[WR_CHECK_PIECES];
    expect_eq(read_plan(&plan), 0);
    talk = (struct wr_check_talk){.step = 0};
    expect_eq(wr_check_ask(&check, &talk, "host:80", pieces), 1);
    expect_eq(pieces[0].size, 4);
    expect_eq(memcmp(pieces[0].data, "ping", 4), 0);
    drop_plan();
}

UNIT(upstream_plan, a_text_is_expected_at_the_beginning)
{
    const struct weir_upstream_check plan = {.kind = WEIR_UPSTREAM_CHECK_TEXT,
                                             EXPECTS("+OK")};
    expect_verdicts(&plan, "+OK hi", "..+");
    expect_verdicts(&plan, "+ERR", ".-");
    expect_verdicts(&plan, "x+OK", "-");
}

UNIT(upstream_plan, or_anywhere_within_the_limit)
{
    struct weir_upstream_check plan = {.kind = WEIR_UPSTREAM_CHECK_TEXT,
                                       SENDS("PING"),
                                       EXPECTS("ab"),
                                       .expect_anywhere = true,
                                       .limit_bytes = 6};
    expect_verdicts(&plan, "ab", ".+");
    expect_verdicts(&plan, "aaaab", "....+");
    expect_verdicts(&plan, "xxxxab", ".....+");
    expect_verdicts(&plan, "xxxxxab", ".....-"); /* beyond the limit */
    expect_verdicts(&plan, "xx", "..");
    expect_eq(read_sized(&plan), 0);
    talk = (struct wr_check_talk){.step = 0};
    cr_assert(wr_check_is_over_when_quiet(&check, &talk, 1));
    cr_assert_not(wr_check_is_over_when_quiet(&check, &talk, 0));
    drop_plan();
    plan.send = NULL;
    plan.send_size = 0;
    expect_eq(read_sized(&plan), 0);
    cr_assert_not(wr_check_is_over_when_quiet(&check, &talk, 1), "a greeting");
    drop_plan();
}

UNIT(upstream_plan, without_a_text_any_byte_will_do)
{
    const struct weir_upstream_check plan = {.kind = WEIR_UPSTREAM_CHECK_TEXT};
    expect_verdicts(&plan, "x", "+");
}

UNIT(upstream_plan, a_status_is_read_from_its_line)
{
    struct weir_upstream_check plan = {.kind = WEIR_UPSTREAM_CHECK_HTTP};
    expect_verdicts(&plan, "HTTP/1.1 200 OK", "...........+");
    expect_verdicts(&plan, "HTTP/1.0 399", "...........+");
    expect_verdicts(&plan, "HTTP/1.1 400", "...........-");
    expect_eq(talk.status, 400);
    expect_verdicts(&plan, "HTTP/1.1 426 Upgrade Required", "...........-");
    expect_eq(talk.status, 426);
    expect_verdicts(&plan, "HTTP/1.1 101", "...........-");
    expect_verdicts(&plan, "HTTP/1.1 099", "...........-");
    expect_verdicts(&plan, "HTTP/2.0 200", ".....-");
    expect_eq(talk.status, 0, "it has none");
    expect_verdicts(&plan, "HTTP/1.x", ".......-");
    expect_verdicts(&plan, "HTTP/1.1 2x0", "..........-");
    expect_verdicts(&plan, "SSH-2.0", "-");
    plan.min_status = 503;
    plan.max_status = 503;
    expect_verdicts(&plan, "HTTP/1.1 503", "...........+");
    expect_verdicts(&plan, "HTTP/1.1 200", "...........-");
}

/* A response that each kind accepts; NULL if the kind reads none. */
static const struct {
    enum weir_upstream_check_kind kind;
    const char *answer;
    size_t size;
    const char *verdicts;
} answers[] = {
    {WEIR_UPSTREAM_CHECK_TCP, NULL, 0, NULL},
    {WEIR_UPSTREAM_CHECK_TLS, NULL, 0, NULL},
    {WEIR_UPSTREAM_CHECK_TEXT, "x", 1, "+"},
    {WEIR_UPSTREAM_CHECK_HTTP, "HTTP/1.1 200", 12, "...........+"},
    {WEIR_UPSTREAM_CHECK_POSTGRES, "R\0\0\0\10\0\0\0\3", 9, "........+"},
    {WEIR_UPSTREAM_CHECK_MYSQL, "\1\0\0\0\12\1\0\0\2\0", 10, "....>.....+"},
};

UNIT(upstream_plan, each_kind_takes_its_answer)
{
    const size_t count = sizeof(answers) / sizeof(answers[0]);

    for (size_t i = 0; i < count; i++) {
        const struct weir_upstream_check plan = {
            .size = sizeof(plan), .kind = answers[i].kind, .user = "u"};
        expect_eq(plan.kind, i, "each kind has one, in their order");
        expect_eq(read_plan(&plan), 0);
        expect_eq(wr_check_has_answer(&check), answers[i].answer != NULL);
        drop_plan();
        if (answers[i].answer) {
            expect_verdicts_of(&plan, answers[i].answer, answers[i].size,
                               answers[i].verdicts);
        }
    }
    cr_assert_null(
        weir_upstream_check_kind_get_name((enum weir_upstream_check_kind)count),
        "a kind has no answer here");
}

#define STEPS(...)                                                             \
    .kind = WEIR_UPSTREAM_CHECK_TEXT,                                          \
    .steps = (const struct weir_upstream_check_step[]){__VA_ARGS__},           \
    .step_count =                                                              \
        sizeof((const struct weir_upstream_check_step[]){__VA_ARGS__}) /       \
        sizeof(struct weir_upstream_check_step)
#define ANYWHERE .expect_anywhere = true

UNIT(upstream_dialogue, waits_for_a_banner_and_speaks_in_order)
{
    const struct weir_upstream_check plan = {
        STEPS({EXPECTS("220 "), ANYWHERE}, {EXPECTS("\n"), ANYWHERE},
              {SENDS("EHLO x\r\n"), EXPECTS("250")},
              {SENDS("QUIT\r\n"), EXPECTS("221")})};
    expect_verdicts(&plan, "220 a\n250221", "...>..>...>...+");
    expect_verdicts(&plan, "220-a\n220 b\n250221", ".........>..>...>...+");
    expect_verdicts(&plan, "220 a\n5", "...>..>.-");
    expect_verdicts(&plan, "220 a\n2502219", "...>..>...>...+");
}

UNIT(upstream_dialogue, passes_over_what_came_before_it_speaks)
{
    const struct weir_upstream_check plan = {
        STEPS({EXPECTS("2"), ANYWHERE}, {SENDS("a"), EXPECTS("b"), ANYWHERE})};
    talk = (struct wr_check_talk){.step = 0};
    expect_eq(read_sized(&plan), 0);
    const uint8_t answer[] = "2b b";
    expect_eq(wr_check_judge(&check, &talk, answer, 2), WR_VERDICT_SAY);
    expect_eq(wr_check_judge(&check, &talk, answer, 2), WR_VERDICT_MORE);
    expect_eq(wr_check_judge(&check, &talk, answer, 3), WR_VERDICT_MORE);
    expect_eq(wr_check_judge(&check, &talk, answer, 4), WR_VERDICT_GOOD);
    drop_plan();
}

UNIT(upstream_dialogue, has_bytes_of_any_value)
{
    const struct weir_upstream_check plan = {
        STEPS({SENDS("\0a\0"), EXPECTS("\0b\0")})};
    struct wr_check_piece pieces[WR_CHECK_PIECES];
    expect_verdicts_of(&plan, "\0b\0", 3, "..+");
    expect_verdicts_of(&plan, "\0bc", 3, "..-");
    expect_eq(read_sized(&plan), 0);
    talk = (struct wr_check_talk){.step = 0};
    expect_eq(wr_check_ask(&check, &talk, "", pieces), 1);
    expect_eq(pieces[0].size, 3);
    expect_eq(memcmp(pieces[0].data, "\0a\0", 3), 0);
    drop_plan();
}

UNIT(upstream_dialogue, does_not_wait_for_an_answer_that_nobody_expects)
{
    const struct weir_upstream_check plan = {
        STEPS({EXPECTS("a")}, {SENDS("bye")})};
    const struct weir_upstream_check none = {STEPS({SENDS("a")}, {SENDS("b")})};
    expect_verdicts(&plan, "a", ">+");
    talk = (struct wr_check_talk){.step = 0};
    expect_eq(read_sized(&none), 0);
    expect_eq(wr_check_judge(&check, &talk, NULL, 0), WR_VERDICT_SAY);
    expect_eq(wr_check_judge(&check, &talk, NULL, 0), WR_VERDICT_MORE);
    expect_eq(wr_check_judge(&check, &talk, (const uint8_t *)"x", 1),
              WR_VERDICT_GOOD, "where none is expected any byte will do");
    drop_plan();
}

UNIT(upstream_dialogue, ends_at_its_limit)
{
    const struct weir_upstream_check plan = {
        STEPS({EXPECTS("a"), ANYWHERE}, {EXPECTS("b"), ANYWHERE}),
        .limit_bytes = 5};
    expect_verdicts(&plan, "xaxxb", ".>...+");
    expect_verdicts(&plan, "xaxxxb", ".>...-");
}

static void expect_login(enum weir_upstream_check_kind kind, size_t step,
                         const char *said, size_t size)
{
    const struct weir_upstream_check plan = {.kind = kind, .user = "weir"};
    struct wr_check_piece pieces[WR_CHECK_PIECES];
    expect_eq(read_sized(&plan), 0);
    talk = (struct wr_check_talk){.step = step};
    expect_eq(wr_check_ask(&check, &talk, "", pieces), 1);
    expect_eq(pieces[0].size, size);
    expect_eq(memcmp(pieces[0].data, said, size), 0);
    drop_plan();
}

static void expect_login_verdicts(enum weir_upstream_check_kind kind,
                                  const char *answer, size_t size,
                                  const char *last)
{
    const struct weir_upstream_check plan = {.kind = kind, .user = "weir"};
    char got[8] = "";
    char *end = got;
    expect_eq(read_sized(&plan), 0);
    talk = (struct wr_check_talk){.step = 0};
    for (size_t len = 0; len < size; len++) {
        end = got;
        expect_eq(judge(answer, len, &end), WR_VERDICT_MORE, "%zu", len);
    }
    end = got;
    const enum wr_verdict verdict = judge(answer, size, &end);
    *end++ = ".+-"[verdict];
    *end = '\0';
    expect_str_eq(got, last);
    drop_plan();
}

#define VERDICT(kind, answer, last)                                            \
    expect_login_verdicts(WEIR_UPSTREAM_CHECK_##kind, answer,                  \
                          sizeof(answer) - 1, last)

static const char start_up[] =
    "\0\0\0\x3b\0\3\0\0user\0weir\0database\0postgres\0"
    "application_name\0weir\0";

UNIT(upstream_login, of_postgres_is_good_if_a_password_is_asked_for)
{
    expect_login(WEIR_UPSTREAM_CHECK_POSTGRES, 0, start_up, sizeof(start_up));
    VERDICT(POSTGRES, "R\0\0\0\x17\0\0\0\12SCRAM-SHA-256\0\0", "+");
    expect_eq(talk.is_in, false, "a server that waits for it is left alone");
    VERDICT(POSTGRES, "N\0\0\0\6x\0R\0\0\0\10\0\0\0\3", "+");
}

UNIT(upstream_login, of_postgres_is_good_if_the_user_is_let_in)
{
    VERDICT(POSTGRES,
            "R\0\0\0\10\0\0\0\0S\0\0\0\6a\0K\0\0\0\14"
            "\1\2\3\4\5\6\7\10Z\0\0\0\5I",
            "+");
    expect_eq(talk.is_in, true, "there is a session to end");
}

UNIT(upstream_login, of_postgres_is_bad_after_any_other_answer)
{
    VERDICT(POSTGRES, "E\0\0\0\5\0", "-");
    VERDICT(POSTGRES, "R\0\0\0\10\0\0\0\0E\0\0\0\5\0", "-");
    VERDICT(POSTGRES, "R\0\0\0\7\0\0\0", "-");
    VERDICT(POSTGRES, "R\0\0\0\3", "-");
    VERDICT(POSTGRES, "R\x7f\0\0\0", "-");
    VERDICT(POSTGRES, "HTTP/", "-");
    VERDICT(POSTGRES, "Z\0\0\0\5I", "-");
    VERDICT(POSTGRES, "S\0\0\0\5\0", "-");
    VERDICT(POSTGRES, "R\0\0\0\10\0\0\0\0R\0\0\0\10\0\0\0\0", "-");
}

#define GREETING "\2\0\0\0\12x"

static const char mysql_login[] =
    "\x3c\0\0\1\1\x82\x8\0\0\0\0\1\x21"
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "weir\0\0mysql_native_password";

UNIT(upstream_login, of_mysql_waits_for_the_greeting)
{
    expect_login(WEIR_UPSTREAM_CHECK_MYSQL, 1, mysql_login,
                 sizeof(mysql_login));
    VERDICT(MYSQL, GREETING, ">.");
    VERDICT(MYSQL, "\2\0\0\0\11x", "-");
    VERDICT(MYSQL, "\4\0\0\0\xff\x69\4x", "-");
    expect_eq(talk.status, 1129, "the host is blocked");
    VERDICT(MYSQL, "\0\0\0\0", "-");
    VERDICT(MYSQL, "HTTP", "-");
}

static void expect_after_greeting(const char *packet, size_t size,
                                  const char *verdicts)
{
    const struct weir_upstream_check plan = {.kind = WEIR_UPSTREAM_CHECK_MYSQL,
                                             .user = "weir"};
    char answer[128] = GREETING;
    char got[8] = "";
    char *end = got;
    const size_t before = sizeof(GREETING) - 1;
    memcpy(answer + before, packet, size);
    expect_eq(read_sized(&plan), 0);
    talk = (struct wr_check_talk){.step = 0};
    const enum wr_verdict verdict = judge(answer, before + size, &end);
    *end++ = ".+-"[verdict];
    expect_str_eq(got, verdicts);
    drop_plan();
}

#define AFTER_GREETING(packet, verdicts)                                       \
    expect_after_greeting(packet, sizeof(packet) - 1, verdicts)

UNIT(upstream_login, of_mysql_is_good_if_the_user_is_let_in)
{
    AFTER_GREETING("\3\0\0\2\0\0\0", ">+");
    expect_eq(talk.is_in, true, "there is a session to end");
    AFTER_GREETING("\4\0\0\2\xff\x15\4x", ">-");
    expect_eq(talk.status, 1045, "access is denied");
    expect_eq(talk.is_in, false);
    AFTER_GREETING("\1\0\0\2\1", ">-");
}

UNIT(upstream_login, of_mysql_has_the_empty_password_in_the_form_of_a_method)
{
    AFTER_GREETING("\x17\0\0\2\xfemysql_native_password\0", ">>.");
    expect_login(WEIR_UPSTREAM_CHECK_MYSQL, talk.step, "\0\0\0\3", 4);
    AFTER_GREETING("\x18\0\0\2\xfe"
                   "caching_sha2_password\0x",
                   ">>.");
    expect_login(WEIR_UPSTREAM_CHECK_MYSQL, talk.step, "\1\0\0\3\0", 5);
    AFTER_GREETING("\x11\0\0\2\xfesha256_password\0", ">>.");
    AFTER_GREETING("\5\0\0\2\xfepam\0", ">-");
    AFTER_GREETING("\4\0\0\2\xfepam", ">-");
    AFTER_GREETING("\1\0\0\2\xfe", ">-");
    AFTER_GREETING("\x11\0\0\2\xfesha256_password\0"
                   "\x11\0\0\4\xfesha256_password\0",
                   ">>-");
}

/* RFC 9110, 15.2. */
UNIT(upstream_plan, an_interim_answer_is_passed_over)
{
    struct weir_upstream_check plan = {.kind = WEIR_UPSTREAM_CHECK_HTTP};
    expect_verdicts(&plan, "HTTP/1.1 103\r\n\r\nHTTP/1.1 200",
                    "...........................+");
    expect_verdicts(&plan, "HTTP/1.1 100 C\nA: b\n\nHTTP/1.0 503",
                    "................................-");
    expect_eq(talk.status, 503);
    expect_verdicts(&plan, "HTTP/1.1 102\r\n\r\nHTTP/1.1 103\r\n\r\nX",
                    "................................-");
    plan.limit_bytes = 20;
    expect_verdicts(&plan, "HTTP/1.1 103\r\n\r\nHTTP/1.1 200",
                    "...................-");
    expect_verdicts(&plan, "HTTP/1.1 103 and no end", "...................-");
}

static bool is_same_as_first(const struct weir_upstream_check *first,
                             const struct weir_upstream_check *second)
{
    struct wr_check other;
    expect_eq(read_plan(first), 0);
    expect_eq(wr_check_init(&other, wr_default_allocator(), second), 0);
    const bool is_same = wr_check_is_same(&check, &other);
    cr_assert_eq(is_same, wr_check_is_same(&other, &check));
    wr_check_fini(&other, wr_default_allocator());
    drop_plan();
    return is_same;
}

UNIT(upstream_plan, is_the_same_if_all_of_it_is)
{
    const struct weir_upstream_check first = {.size = sizeof(first),
                                              .kind = WEIR_UPSTREAM_CHECK_TEXT,
                                              .interval_ns = 5,
                                              SENDS("ab"),
                                              EXPECTS("c"),
                                              .path = "/p",
                                              .host = "h"};
    struct weir_upstream_check others[23];
    const char texts[] = "ab"; /* at another address */
    const struct weir_upstream_check_step step = {"ab", 2, "c", 1, false};
    struct weir_upstream_check same = first;
    same.send = texts;
    same.rise = 2; /* the defaults */
    same.fast_ns = 5;
    cr_assert(is_same_as_first(&first, &same));
    for (int i = 0; i < 23; i++) {
        others[i] = first;
    }
    others[0].kind = WEIR_UPSTREAM_CHECK_TCP;
    others[1].interval_ns = 6;
    others[2].timeout_ns = 1;
    others[3].rise = 1;
    others[4].fall = 1;
    others[5].starts_down = true;
    others[6].expect_anywhere = true;
    others[7].send = "ac";
    others[8].send_size = 1;
    others[8].expect = "bc"; /* the bytes are the same */
    others[8].expect_size = 2;
    others[9].expect = "d";
    others[10].limit_bytes = 100;
    others[11].path = "/q";
    others[12].host = NULL;
    others[13].min_status = 201;
    others[14].max_status = 398;
    others[15].port = 1;
    others[16].no_tls = true;
    others[17].fast_ns = 4;
    others[18].proxy_version = WEIR_PROXY_V1;
    others[19].endpoint = weir_endpoint_host("a", 1);
    others[20].endpoint = weir_endpoint_unix("a");
    others[21].user = "u";
    others[22].send = NULL;
    others[22].send_size = 0;
    others[22].expect = NULL;
    others[22].expect_size = 0;
    others[22].steps = &step;
    others[22].step_count = 1;
    for (int i = 0; i < 23; i++) {
        cr_assert(!is_same_as_first(&first, &others[i]), "plan %d", i);
    }
}
