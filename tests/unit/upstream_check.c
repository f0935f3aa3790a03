/*
 * The plan of checks: defaults, what is refused, and the verdict on an answer
 * after each of its bytes. A verdict is written as '.' while it is not known,
 * '+' or '-'.
 */
#include "lib/proxy/upstream/check.h"

#include "tests/unit.h"
#include "uring/alloc.h"

#include <errno.h>

static struct wr_check check;
static uint32_t status; /* that the last verdict was about */

static int read_plan(const struct weir_upstream_check *plan)
{
    return wr_check_init(&check, wr_default_allocator(), plan);
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

/* The verdicts after each byte: '.', '+' or '-'. */
static void expect_verdicts(const struct weir_upstream_check *plan,
                            const char *answer, const char *expected)
{
    struct weir_upstream_check sized = *plan;
    char got[128] = "";
    status = 0;
    sized.size = sizeof(sized);
    expect_eq(read_plan(&sized), 0);
    const size_t room = wr_check_get_room(&check);
    expect_eq(wr_check_judge(&check, (const uint8_t *)answer, 0, &status),
              WR_VERDICT_MORE);
    for (size_t len = 1; len <= strlen(answer) && len <= room; len++) {
        const enum wr_verdict verdict =
            wr_check_judge(&check, (const uint8_t *)answer, len, &status);
        got[len - 1] = ".+-"[verdict];
        if (verdict != WR_VERDICT_MORE) {
            break;
        }
    }
    expect_str_eq(got, expected);
    drop_plan();
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
    while (weir_check_kind_get_name((enum weir_check_kind)kind)) {
        kind++;
    }
    expect_refused(
        &(struct weir_upstream_check){.kind = (enum weir_check_kind)kind});
    expect_refused(&(struct weir_upstream_check){.send_size = 1});
    expect_refused(&(struct weir_upstream_check){.expect_size = 1});
    expect_refused(&(struct weir_upstream_check){
        .expect = "abc", .expect_size = 3, .limit_bytes = 2});
    expect_refused(&(struct weir_upstream_check){.min_status = 400});
    expect_refused(&(struct weir_upstream_check){.kind = WEIR_CHECK_HTTP,
                                                 .limit_bytes = 11});
    expect_refused(
        &(struct weir_upstream_check){.kind = WEIR_CHECK_TLS, .no_tls = true});
    expect_refused(&(struct weir_upstream_check){.path = ""});
    expect_refused(&(struct weir_upstream_check){.path = "/ HTTP/1.0"});
    expect_refused(&(struct weir_upstream_check){.host = "a\r\nb: c"});
    expect_refused(&(struct weir_upstream_check){.host = "a\x7f"});
}

UNIT(upstream_plan, a_text_is_asked_for_in_one_piece)
{
    const struct weir_upstream_check plan = {.size = sizeof(plan),
                                             .kind = WEIR_CHECK_TEXT,
                                             .send = "ping",
                                             .send_size = 4};
    struct wr_check_piece pieces[WR_CHECK_PIECES];
    expect_eq(read_plan(&plan), 0);
    expect_eq(wr_check_ask(&check, "host:80", pieces), 1);
    expect_eq(pieces[0].size, 4);
    expect_eq(memcmp(pieces[0].data, "ping", 4), 0);
    drop_plan();
}

UNIT(upstream_plan, a_text_is_expected_at_the_beginning)
{
    const struct weir_upstream_check plan = {
        .kind = WEIR_CHECK_TEXT, .expect = "+OK", .expect_size = 3};
    expect_verdicts(&plan, "+OK hi", "..+");
    expect_verdicts(&plan, "+ERR", ".-");
    expect_verdicts(&plan, "x+OK", "-");
}

UNIT(upstream_plan, or_anywhere_within_the_limit)
{
    const struct weir_upstream_check plan = {.kind = WEIR_CHECK_TEXT,
                                             .expect = "ab",
                                             .expect_size = 2,
                                             .expect_anywhere = true,
                                             .limit_bytes = 6};
    expect_verdicts(&plan, "ab", ".+");
    expect_verdicts(&plan, "aaaab", "....+");
    expect_verdicts(&plan, "xxxxab", ".....+");
    expect_verdicts(&plan, "xxxxxab", ".....-"); /* beyond the limit */
}

UNIT(upstream_plan, without_a_text_any_byte_will_do)
{
    const struct weir_upstream_check plan = {.kind = WEIR_CHECK_TEXT};
    expect_verdicts(&plan, "x", "+");
}

UNIT(upstream_plan, a_status_is_read_from_its_line)
{
    struct weir_upstream_check plan = {.kind = WEIR_CHECK_HTTP};
    expect_verdicts(&plan, "HTTP/1.1 200 OK", "...........+");
    expect_verdicts(&plan, "HTTP/1.0 399", "...........+");
    expect_verdicts(&plan, "HTTP/1.1 400", "...........-");
    expect_eq(status, 400);
    expect_verdicts(&plan, "HTTP/1.1 426 Upgrade Required", "...........-");
    expect_eq(status, 426);
    expect_verdicts(&plan, "HTTP/1.1 101", "...........-");
    expect_verdicts(&plan, "HTTP/1.1 099", "...........-");
    expect_verdicts(&plan, "HTTP/2.0 200", ".....-");
    expect_eq(status, 0, "it has none");
    expect_verdicts(&plan, "HTTP/1.x", ".......-");
    expect_verdicts(&plan, "HTTP/1.1 2x0", "..........-");
    expect_verdicts(&plan, "SSH-2.0", "-");
    plan.min_status = 503;
    plan.max_status = 503;
    expect_verdicts(&plan, "HTTP/1.1 503", "...........+");
    expect_verdicts(&plan, "HTTP/1.1 200", "...........-");
}

/* An answer that each kind takes; NULL: it reads none. */
static const struct {
    enum weir_check_kind kind;
    const char *answer;
    const char *verdicts;
} answers[] = {
    {WEIR_CHECK_TCP, NULL, NULL},
    {WEIR_CHECK_TLS, NULL, NULL},
    {WEIR_CHECK_TEXT, "x", "+"},
    {WEIR_CHECK_HTTP, "HTTP/1.1 200", "...........+"},
};

UNIT(upstream_plan, each_kind_takes_its_answer)
{
    const size_t count = sizeof(answers) / sizeof(answers[0]);

    for (size_t i = 0; i < count; i++) {
        const struct weir_upstream_check plan = {.size = sizeof(plan),
                                                 .kind = answers[i].kind};
        expect_eq(plan.kind, i, "each kind has one, in their order");
        expect_eq(read_plan(&plan), 0);
        expect_eq(wr_check_has_answer(&check), answers[i].answer != NULL);
        drop_plan();
        if (answers[i].answer) {
            expect_verdicts(&plan, answers[i].answer, answers[i].verdicts);
        }
    }
    cr_assert_null(weir_check_kind_get_name((enum weir_check_kind)count),
                   "a kind has no answer here");
}

/* RFC 9110, 15.2. */
UNIT(upstream_plan, an_interim_answer_is_passed_over)
{
    struct weir_upstream_check plan = {.kind = WEIR_CHECK_HTTP};
    expect_verdicts(&plan, "HTTP/1.1 103\r\n\r\nHTTP/1.1 200",
                    "...........................+");
    expect_verdicts(&plan, "HTTP/1.1 100 C\nA: b\n\nHTTP/1.0 503",
                    "................................-");
    expect_eq(status, 503);
    expect_verdicts(&plan, "HTTP/1.1 102\r\n\r\nHTTP/1.1 103\r\n\r\nX",
                    "................................-");
    plan.limit_bytes = 20;
    expect_verdicts(&plan, "HTTP/1.1 103\r\n\r\nHTTP/1.1 200",
                    "...................-");
    expect_verdicts(&plan, "HTTP/1.1 103 and no end", "...................-");
}

/* ---- plans that are the same ---- */

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
                                              .kind = WEIR_CHECK_TEXT,
                                              .interval_ns = 5,
                                              .send = "ab",
                                              .send_size = 2,
                                              .expect = "c",
                                              .expect_size = 1,
                                              .path = "/p",
                                              .host = "h"};
    struct weir_upstream_check others[17];
    const char texts[] = "ab"; /* elsewhere in memory */
    struct weir_upstream_check same = first;
    same.send = texts;
    same.rise = 2; /* the default */
    cr_assert(is_same_as_first(&first, &same));
    for (int i = 0; i < 17; i++) {
        others[i] = first;
    }
    others[0].kind = WEIR_CHECK_TCP;
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
    for (int i = 0; i < 17; i++) {
        cr_assert(!is_same_as_first(&first, &others[i]), "plan %d", i);
    }
}
