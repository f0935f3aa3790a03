/*
 * Active checks and lookups of upstreams on the fake machine: when each check
 * begins and ends, what it sends to its peer, and what its results change.
 *
 * The test's resolver answers names.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

#include <weir/resolver.h>

static struct weir_upstream_check plan;

static void open_set(enum weir_upstream_check_kind kind, int count)
{
    struct weir_upstreams_options options = ups_options();
    plan.size = sizeof(plan);
    plan.kind = kind;
    plan.interval_ns = plan.interval_ns ? plan.interval_ns : 1000 * MS;
    plan.timeout_ns = 100 * MS;
    options.check = &plan;
    options.slow_start_ns = 10000 * MS;
    ups_open(&options, count);
}

static uint64_t checks_of(size_t index)
{
    const struct weir_upstream_statistics info = ups_info(index);
    return info.check_count + info.check_error_count;
}

/* Runs until the upstream has had this number of checks. */
static void run_checks(size_t index, uint64_t count)
{
    for (int i = 0; i < 10000 && checks_of(index) < count; i++) {
        maker_run_for(&ups.m, 1 * MS);
    }
    maker_run_for(&ups.m, 1 * MS);
    expect_eq(checks_of(index), count);
}

UNIT_IN(upstream_checks, kinds_are_found_by_their_names, unit_alone, void)
{
    enum weir_upstream_check_kind kind = WEIR_UPSTREAM_CHECK_TCP;
    const char *name = NULL;
    int count = 0;

    for (; (name = weir_upstream_check_kind_get_name(
                (enum weir_upstream_check_kind)count));
         count++) {
        expect_eq(weir_upstream_check_kind_parse(name, &kind), 0);
        expect_eq(kind, count, "%s, which no other kind has", name);
    }
    expect_geq(count, WEIR_UPSTREAM_CHECK_HTTP + 1);
    expect_eq(weir_upstream_check_kind_parse("http", &kind), 0);
    expect_eq(kind, WEIR_UPSTREAM_CHECK_HTTP);
    expect_eq(weir_upstream_check_kind_parse("", &kind), -EINVAL);
    expect_eq(weir_upstream_check_kind_parse("HTTP", &kind), -EINVAL);
    expect_eq(weir_upstream_check_kind_parse(NULL, &kind), -EINVAL);
    expect_eq(weir_upstream_check_kind_parse("tcp", NULL), -EINVAL);
    expect_eq(kind, WEIR_UPSTREAM_CHECK_HTTP,
              "a refused call has written nothing");
}

UNIT(upstream_checks, begin_at_once_and_come_again_after_the_interval)
{
    uint64_t last_ms = 0;
    open_set(WEIR_UPSTREAM_CHECK_TCP, 1);
    run_checks(0, 1);
    expect_leq(ups_ms(), 5);
    bool differs = false;
    for (uint64_t i = 2; i < 12; i++) {
        const uint64_t before_ms = ups_ms();
        run_checks(0, i);
        const uint64_t took_ms = ups_ms() - before_ms;
        expect_geq(took_ms, 890);
        expect_leq(took_ms, 1110);
        differs = differs || (i > 2 && took_ms != last_ms);
        last_ms = took_ms;
    }
    expect_eq(differs, true, "give or take a tenth");
    expect_eq(ups_info(0).check_count, 11);
    expect_str_eq(ups.changes, "", "it was up from the beginning");
}

UNIT(upstream_checks, fall_and_rise_and_are_told)
{
    open_set(WEIR_UPSTREAM_CHECK_TCP, 2);
    ups_answer(0, FAKE_REFUSE);
    run_checks(0, 2);
    expect_str_eq(ups.changes, "");
    run_checks(0, 3);
    expect_str_eq(ups.changes, "a:down ");
    expect_eq(ups.change_err, -ECONNREFUSED);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_DOWN);
    expect_eq(ups_set_info().up_count, 1);
    for (int i = 0; i < 3; i++) {
        struct ups_end *end = ups_connect();
        expect_eq(end->name, 'b');
        ups_leave(end, 0);
    }
    ups_answer(0, FAKE_ACCEPT);
    run_checks(0, 4);
    expect_str_eq(ups.changes, "a:down ", "two are needed");
    run_checks(0, 5);
    expect_str_eq(ups.changes, "a:down a:up ");
    expect_lt(ups_info(0).warm_permille, 10, "it starts slowly");
    expect_eq(ups_info(1).warm_permille, 1000);
}

UNIT(upstream_checks, where_all_are_down_a_request_fails_at_once)
{
    plan.fall = 1;
    open_set(WEIR_UPSTREAM_CHECK_TCP, 1);
    ups_answer(0, FAKE_REFUSE);
    run_checks(0, 1);
    expect_eq(ups_connect()->err, -EHOSTDOWN);
}

UNIT(upstream_checks, end_with_their_time)
{
    plan.fall = 1;
    open_set(WEIR_UPSTREAM_CHECK_TCP, 1);
    ups_answer(0, FAKE_SILENT);
    maker_run_for(&ups.m, 99 * MS);
    expect_eq(ups_info(0).is_being_checked, true);
    maker_run_for(&ups.m, 3 * MS);
    expect_eq(ups_info(0).is_being_checked, false);
    expect_eq(ups_info(0).last_err, -ETIMEDOUT);
    expect_str_eq(ups.changes, "a:down ");
}

UNIT(upstream_checks, of_one_upstream_do_not_overlap)
{
    plan.interval_ns = 10 * MS;
    open_set(WEIR_UPSTREAM_CHECK_TCP, 1);
    ups_answer(0, FAKE_SILENT);
    const uint64_t before = fake_stats()->connects;
    maker_run_for(&ups.m, 95 * MS);
    expect_eq(fake_stats()->connects - before, 0, "none has been answered");
    expect_eq(fake_ops_in_flight(), 2, "one, and the loop's own");
}

UNIT(upstream_checks, no_interval_means_none)
{
    struct weir_upstreams_options options = ups_options();
    const struct weir_upstream_check none = {.size = sizeof(none)};
    options.check = &none;
    ups_open(&options, 1);
    maker_run_for(&ups.m, 5000 * MS);
    expect_eq(checks_of(0), 0);
}

UNIT(upstream_checks, go_on_while_an_upstream_is_drained_but_not_removed)
{
    open_set(WEIR_UPSTREAM_CHECK_TCP, 1);
    weir_upstream_set_draining(ups.all[0], true);
    run_checks(0, 3);
    ups_answer(0, FAKE_SILENT);
    maker_run_for(&ups.m, 1110 * MS);
    expect_eq(fake_ops_in_flight(), 2);
    weir_upstream_remove(ups.all[0]);
    maker_run_for(&ups.m, 2 * MS);
    expect_eq(fake_ops_in_flight(), 1, "the check was given up");
}

UNIT(upstream_checks, the_set_may_be_freed_when_a_change_is_told)
{
    plan.fall = 1;
    open_set(WEIR_UPSTREAM_CHECK_TCP, 0);
    ups.frees_when_changed = true;
    ups_add(NULL);
    ups_add(NULL);
    ups_answer(0, FAKE_REFUSE);
    ups_answer(1, FAKE_REFUSE);
    maker_run_for(&ups.m, 50 * MS);
    expect_eq(ups.set == NULL, true);
}

static struct fake_peer *accept_check(size_t index)
{
    struct fake_peer *peer = NULL;
    for (int i = 0; i < 3000 && !peer; i++) {
        peer = fake_listener_accept(ups.listeners[index]);
        maker_run_for(&ups.m, 1 * MS);
    }
    cr_assert_not_null(peer);
    return peer;
}

static void expect_said(struct fake_peer *peer, const char *expected)
{
    char said[256] = "";
    expect_gt(fake_peer_read(peer, said, sizeof(said) - 1), 0);
    expect_str_eq(said, expected);
}

static void say(struct fake_peer *peer, const char *text)
{
    expect_eq(fake_peer_write(peer, text, strlen(text)), (ssize_t)strlen(text));
    maker_run_for(&ups.m, 1 * MS);
}

/* The check has ended its stream, not reset it, and waits for the peer. */
static void expect_left(struct fake_peer *peer)
{
    char rest[64];
    expect_eq(fake_peer_read(peer, rest, sizeof(rest)), 0, "its end");
    expect_eq(fake_peer_is_alone(peer), false, "it waits");
    fake_peer_close(peer);
    maker_run_for(&ups.m, 1 * MS);
}

UNIT(upstream_checks, a_text_is_sent_and_one_expected)
{
    plan.send = "PING\r\n";
    plan.send_size = 6;
    plan.expect = "+PONG";
    plan.expect_size = 5;
    open_set(WEIR_UPSTREAM_CHECK_TEXT, 1);
    struct fake_peer *peer = accept_check(0);
    expect_said(peer, "PING\r\n");
    say(peer, "+PO");
    expect_eq(checks_of(0), 0);
    say(peer, "NG\r\n");
    run_checks(0, 1);
    expect_eq(ups_info(0).check_count, 1);
    expect_left(peer);

    peer = accept_check(0);
    say(peer, "-ERR loading\r\n");
    run_checks(0, 2);
    expect_eq(ups_info(0).last_err, -EPROTO);
    fake_peer_close(peer);

    peer = accept_check(0);
    fake_peer_shutdown(peer);
    run_checks(0, 3);
    expect_eq(ups_info(0).check_error_count, 2, "an end is no answer");
    fake_peer_close(peer);
}

UNIT(upstream_checks, a_peer_that_says_nothing_fails_in_time)
{
    open_set(WEIR_UPSTREAM_CHECK_TEXT, 1);
    struct fake_peer *peer = accept_check(0);
    maker_run_for(&ups.m, 101 * MS);
    expect_eq(ups_info(0).last_err, -ETIMEDOUT);
    expect_eq(fake_peer_is_alone(peer), true);
    fake_peer_close(peer);
}

UNIT(upstream_checks, a_dialogue_ends_without_a_reset)
{
    const struct weir_upstream_check_step steps[] = {
        {.expect = "220", .expect_size = 3, .expect_anywhere = true},
        {.send = "QUIT\r\n", .send_size = 6, .expect = "221", .expect_size = 3},
    };
    plan.steps = steps;
    plan.step_count = 2;
    plan.fall = 1;
    open_set(WEIR_UPSTREAM_CHECK_TEXT, 1);
    struct fake_peer *peer = accept_check(0);
    say(peer, "220 hello\r\n");
    expect_said(peer, "QUIT\r\n");
    say(peer, "221 bye\r\n");
    run_checks(0, 1);
    expect_eq(ups_info(0).check_count, 1);
    expect_left(peer);

    peer = accept_check(0);
    say(peer, "220 hello\r\n");
    expect_said(peer, "QUIT\r\n");
    say(peer, "5");
    expect_str_eq(ups.changes, "a:down ", "at once");
    expect_eq(ups.change_err, -EPROTO);
    expect_left(peer);
}

UNIT(upstream_checks, an_answer_that_stays_wrong_counts_before_the_time_is_over)
{
    plan.send = "PING\r\n";
    plan.send_size = 6;
    plan.expect = "+PONG";
    plan.expect_size = 5;
    plan.expect_anywhere = true;
    plan.fall = 1;
    open_set(WEIR_UPSTREAM_CHECK_TEXT, 1);
    struct fake_peer *peer = accept_check(0);
    expect_said(peer, "PING\r\n");
    say(peer, "-ERR\r\n");
    maker_run_for(&ups.m, 8 * MS);
    expect_str_eq(ups.changes, "", "more may follow");
    say(peer, "-");
    maker_run_for(&ups.m, 8 * MS);
    expect_str_eq(ups.changes, "", "more may follow");
    maker_run_for(&ups.m, 5 * MS);
    expect_str_eq(ups.changes, "a:down ", "an eighth of the time-out");
    expect_eq(ups.change_err, -EPROTO);
    expect_left(peer);
}

UNIT(upstream_checks, a_peer_that_does_not_end_is_left_after_a_second)
{
    plan.interval_ns = 5000 * MS;
    open_set(WEIR_UPSTREAM_CHECK_TEXT, 1);
    struct fake_peer *peer = accept_check(0);
    say(peer, "x");
    run_checks(0, 1);
    expect_eq(fake_peer_is_alone(peer), false);
    maker_run_for(&ups.m, 1010 * MS);
    expect_eq(fake_peer_is_alone(peer), true);
    fake_peer_close(peer);
}

UNIT(upstream_checks, come_sooner_after_one_that_speaks_against_the_state)
{
    plan.fast_ns = 50 * MS;
    open_set(WEIR_UPSTREAM_CHECK_TCP, 1);
    run_checks(0, 1);
    ups_answer(0, FAKE_REFUSE);
    run_checks(0, 2);
    uint64_t before_ms = ups_ms();
    run_checks(0, 3);
    run_checks(0, 4);
    expect_leq(ups_ms() - before_ms, 115);
    expect_str_eq(ups.changes, "a:down ");
    before_ms = ups_ms();
    run_checks(0, 5);
    expect_geq(ups_ms() - before_ms, 890, "it is known to be down");
}

static void add_checked(const struct weir_upstream_check *own)
{
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options), .check = own});
    ups_answer(1, FAKE_REFUSE);
}

UNIT(upstream_checks, of_one_upstream_may_be_others)
{
    const struct weir_upstream_check own = {.size = sizeof(own),
                                            .interval_ns = 200 * MS,
                                            .timeout_ns = 100 * MS,
                                            .fall = 1};
    open_set(WEIR_UPSTREAM_CHECK_TCP, 1);
    add_checked(&own);
    ups_answer(0, FAKE_REFUSE);
    run_checks(0, 2);
    expect_geq(checks_of(1), 4);
    expect_str_eq(ups.changes, "b:down ");
}

UNIT(upstream_checks, of_one_upstream_may_be_none)
{
    const struct weir_upstream_check none = {.size = sizeof(none)};
    plan.fall = 1;
    open_set(WEIR_UPSTREAM_CHECK_TCP, 1);
    add_checked(&none);
    ups_answer(0, FAKE_REFUSE);
    run_checks(0, 3);
    expect_eq(checks_of(1), 0);
    expect_str_eq(ups.changes, "a:down ");
    expect_eq(ups_info(1).state, WEIR_UPSTREAM_UP);
}

UNIT(upstream_checks, may_go_to_another_place)
{
    const struct weir_address at = peer_address("192.0.2.50", 8008);
    plan.endpoint = weir_endpoint_addresses(&at, 1);
    plan.path = NULL;
    plan.host = NULL;
    open_set(WEIR_UPSTREAM_CHECK_HTTP, 1);
    struct fake_listener *listener = fake_listen(&at.storage.any, at.len);
    struct fake_peer *peer = NULL;
    for (int i = 0; i < 100 && !peer; i++) {
        maker_run_for(&ups.m, 1 * MS);
        peer = fake_listener_accept(listener);
    }
    cr_assert_not_null(peer);
    expect_said(peer, "GET / HTTP/1.1\r\nHost: 192.0.2.50:8008\r\n"
                      "User-Agent: weir\r\nConnection: close\r\n\r\n");
    fake_peer_close(peer);
}

UNIT(upstream_checks, a_header_goes_before_what_is_said)
{
    plan.proxy_version = WEIR_PROXY_V2;
    plan.send = "a";
    plan.send_size = 1;
    open_set(WEIR_UPSTREAM_CHECK_TEXT, 1);
    struct fake_peer *peer = accept_check(0);
    char said[256] = "";
    maker_run_for(&ups.m, 1 * MS);
    expect_eq(fake_peer_read(peer, said, sizeof(said)), 17);
    expect_eq(memcmp(said, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0a", 17), 0);
    fake_peer_close(peer);
}

UNIT(upstream_checks, http_asks_for_the_path_and_reads_the_status)
{
    plan.path = "/alive";
    plan.host = "db.example";
    open_set(WEIR_UPSTREAM_CHECK_HTTP, 1);
    struct fake_peer *peer = accept_check(0);
    expect_said(peer, "GET /alive HTTP/1.1\r\nHost: db.example\r\n"
                      "User-Agent: weir\r\nConnection: close\r\n\r\n");
    say(peer, "HTTP/1.1 204 No Content\r\n\r\n");
    run_checks(0, 1);
    expect_eq(ups_info(0).check_count, 1);
    fake_peer_close(peer);

    peer = accept_check(0);
    say(peer, "HTTP/1.1 503 Busy\r\n\r\n");
    run_checks(0, 2);
    expect_eq(ups_info(0).check_error_count, 1);
    expect_eq(ups_info(0).check_status, 503);
    fake_peer_close(peer);

    peer = accept_check(0);
    fake_peer_close(peer);
    run_checks(0, 3);
    expect_eq(ups_info(0).check_error_count, 2);
    expect_eq(ups_info(0).check_status, 0, "it has told none");
}

UNIT(upstream_checks, http_asks_for_the_root_of_the_host_by_default)
{
    static const struct {
        const char *host;
        uint16_t port;
        const char *said;
    } rows[] = {{"192.0.2.1", 80, "192.0.2.1"},
                {"192.0.2.2", 443, "192.0.2.2:443"},
                {"2001:db8::1", 80, "[2001:db8::1]"},
                {"fe80::1%lo", 8080, "[fe80::1]:8080"}};
    plan.path = NULL;
    plan.host = NULL;
    open_set(WEIR_UPSTREAM_CHECK_HTTP, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct weir_address address =
            peer_address(rows[i].host, rows[i].port);
        char text[128];
        ups_add(&(struct weir_upstream_options){
            .size = sizeof(struct weir_upstream_options),
            .endpoint = weir_endpoint_host(rows[i].host, rows[i].port)});
        if (rows[i].port != 80 || i != 0) {
            ups.listeners[i] = fake_listen(&address.storage.any, address.len);
            ups_answer(i, FAKE_ACCEPT);
        }
        struct fake_peer *peer = accept_check(i);
        snprintf(text, sizeof(text),
                 "GET / HTTP/1.1\r\nHost: %s\r\n"
                 "User-Agent: weir\r\nConnection: close\r\n\r\n",
                 rows[i].said);
        expect_said(peer, text);
        fake_peer_close(peer);
        weir_upstream_remove(ups.all[i]);
    }
}

static void answer(const char *host)
{
    const struct weir_address address = peer_address(host, 80);
    expect_eq(
        weir_resolver_reply_addresses(ups_take_question(), 0, 0, &address, 1),
        0);
    maker_run_for(&ups.m, 1 * MS);
}

static void open_named(void)
{
    struct weir_upstreams_options options = ups_options();
    options.resolve_ns = 1000 * MS;
    ups_open(&options, 0);
    ups_play_resolver("db.example");
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options),
        .endpoint = weir_endpoint_host("db.example", 80)});
    maker_run_for(&ups.m, 1 * MS);
}

UNIT_IN(upstream_names, are_looked_up_beside_connections, unit_alone, void)
{
    open_named();
    expect_eq(ups.asked_count, 1, "when it was added");
    answer("192.0.2.1");
    expect_eq(ups_info(0).address_count, 1);
    for (int i = 0; i < 3; i++) {
        ups_leave(ups_connect(), 0);
    }
    expect_eq(ups.asked_count, 1, "connections ask nobody");
    maker_run_for(&ups.m, 1000 * MS);
    expect_eq(ups.asked_count, 2);
    ups_close();
    expect_eq(ups.asked, NULL, "the lookup was cancelled");
}

UNIT(upstream_names, a_new_address_is_used_and_a_failed_lookup_keeps_the_old)
{
    const struct weir_address other = peer_address("192.0.2.77", 80);
    open_named();
    answer("192.0.2.1");
    maker_run_for(&ups.m, 1000 * MS);
    expect_eq(
        weir_resolver_reply_addresses(ups.asked, 0, WEIR_EDNSSERVFAIL, NULL, 0),
        0);
    maker_run_for(&ups.m, 1 * MS);
    expect_eq(ups_info(0).lookup_error_count, 1);
    ups_leave(ups_connect(), 0);
    expect_eq(ups.ends[0].err, 0);

    struct fake_listener *listener = fake_listen(&other.storage.any, other.len);
    maker_run_for(&ups.m, 1000 * MS);
    answer("192.0.2.77");
    ups_leave(ups_connect(), 0);
    struct fake_peer *peer = fake_listener_accept(listener);
    cr_assert_not_null(peer);
    fake_peer_close(peer);
}

UNIT(upstream_names, a_connection_before_the_first_answer_asks_itself)
{
    open_named();
    weir_lookup *first = ups.asked;
    ups_ask(NULL);
    maker_run_for(&ups.m, 1 * MS);
    expect_eq(ups.asked_count, 2);
    answer("192.0.2.1");
    ups_run_until(1);
    expect_eq(ups.ends[0].err, 0);
    ups_leave(&ups.ends[0], 0);
    ups.asked = first;
}

UNIT(upstream_names, are_looked_up_again_when_their_answer_is_not_good_any_more)
{
    struct weir_upstreams_options options = ups_options();
    ups_open(&options, 0);
    ups_play_resolver("db.example");
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options),
        .endpoint = weir_endpoint_host("db.example", 80)});
    maker_run_for(&ups.m, 1 * MS);
    expect_eq(weir_lookup_set_ttl(ups.asked, 9000 * MS), 0);
    expect_eq(weir_lookup_set_ttl(ups.asked, 5000 * MS), 0);
    expect_eq(weir_lookup_set_ttl(ups.asked, 7000 * MS), 0);
    answer("192.0.2.1");
    maker_run_for(&ups.m, 4990 * MS);
    expect_eq(ups.asked_count, 1);
    maker_run_for(&ups.m, 20 * MS);
    expect_eq(ups.asked_count, 2);
    expect_eq(weir_lookup_set_ttl(ups.asked, 0), 0);
    answer("192.0.2.1");
    maker_run_for(&ups.m, 990 * MS);
    expect_eq(ups.asked_count, 2, "a second is the least");
    maker_run_for(&ups.m, 20 * MS);
    expect_eq(ups.asked_count, 3);
    answer("192.0.2.1");
    maker_run_for(&ups.m, 29900 * MS);
    expect_eq(ups.asked_count, 3);
    maker_run_for(&ups.m, 200 * MS);
    expect_eq(ups.asked_count, 4, "the default, where nothing is told");
}

static void note_address(void *text, int err,
                         const struct weir_address *addresses, size_t count)
{
    expect_eq(err, 0);
    weir_address_format(addresses, text, WEIR_ADDRESS_TEXT_SIZE);
}

/* Whatever the loop keeps of it for others (names/cache.c), who get the newest
 * answer. */
UNIT(upstream_names, are_looked_up_when_it_is_time)
{
    char text[WEIR_ADDRESS_TEXT_SIZE] = "";
    static struct weir_resolver shared; /* until the loop is closed */
    struct weir_upstream_options named = {
        .size = sizeof(named),
        .endpoint = weir_endpoint_host("db.example", 80)};
    open_named();
    shared = ups.resolver;
    shared.is_shared = true;
    maker_run_for(&ups.m, 1 * MS);
    expect_eq(weir_loop_set_resolver(ups.m.loop, &shared, NULL), 0);
    answer("192.0.2.1");
    maker_run_for(&ups.m, 1000 * MS);
    expect_eq(ups.asked_count, 2);
    expect_eq(weir_lookup_set_ttl(ups.asked, 3600 * 1000 * MS), 0);
    answer("192.0.2.1");
    maker_run_for(&ups.m, 1000 * MS);
    expect_eq(ups.asked_count, 3);
    ups_add(&named);
    maker_run_for(&ups.m, 1 * MS);
    expect_eq(ups.asked_count, 3, "two upstreams ask once");
    expect_eq(weir_lookup_set_ttl(ups.asked, 3600 * 1000 * MS), 0);
    answer("192.0.2.2");
    expect_eq(weir_resolve_start(ups.m.loop, "db.example", 80, NULL,
                                 note_address, text, NULL),
              0);
    maker_run_for(&ups.m, 1 * MS);
    expect_str_eq(text, "192.0.2.2:80");
    expect_eq(ups.asked_count, 3);
    expect_eq(ups_info(0).address_count, 1);
    expect_eq(ups_info(1).address_count, 1);
}
