/*
 * Answers of the built-in resolver that a loop caches and shares: which queries
 * the name server receives, and how often.
 *
 * tests/trace/name_cache.c tests the times, and everything that the program's
 * own resolver sees, on the simulated machine.
 */
#include "tests/contract/names_rig.h"
#include "tests/statistics.h"

#include <sys/wait.h>
#include <weir/embed.h>

static int count_asked(struct names *n, const char *host)
{
    char question[128];
    int count = 0;
    snprintf(question, sizeof(question), " A %s. ", host);
    for (const char *at = dns_server_read_log(&n->server);
         (at = strstr(at, question)); at++) {
        count++;
    }
    return count;
}

NAMES(names_cache, a_name_is_asked_for_once, n)
{
    for (int i = 0; i < 3; i++) {
        names_lookup(n, "a4-a6.example", NULL);
        expect_str_eq(names_text(n), "[2001:db8::1]:80 192.0.2.1:80 ");
    }
    expect_eq(n->server.udp_count, 2, "for each family");
    expect_eq(statistics_of(n->loop).name_hits, 2);
    expect_eq(statistics_of(n->loop).name_misses, 1);
}

NAMES(names_cache, what_the_server_does_not_vouch_for_is_asked_for_again, n)
{
    static const char *const hosts[] = {"a4-fail6.example", "nx.example",
                                        "fail.example", "none.example"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        names_lookup(n, hosts[i], NULL);
        const int before = n->server.udp_count;
        names_lookup(n, hosts[i], NULL);
        expect_eq(n->server.udp_count, 2 * before, "%s", hosts[i]);
        n->server.udp_count = 0;
    }
}

NAMES(names_cache, a_brief_answer_is_asked_for_again, n)
{
    const uint64_t until_ns = until_clock_ns() + 60 * 1000 * MS;
    while (count_asked(n, "a4-a6-brief.example") < 2) {
        cr_assert_lt(until_clock_ns(), until_ns, "never asked again");
        names_lookup(n, "a4-a6-brief.example", NULL);
        expect_eq(n->result, 2);
    }
}

NAMES(names_cache, many_lookups_of_a_name_at_once_are_one_question, n)
{
    for (int i = 0; i < 1000; i++) {
        expect_eq(names_start(n, "a4-a6.example", NULL), 0);
    }
    expect_eq(weir_loop_run_until(n->loop, names_is_over, n), 0);
    expect_eq(n->result, 2);
    expect_eq(n->server.udp_count, 2);
    expect_eq(statistics_of(n->loop).name_hits, 999);
}

/* Nothing is sent, because the loop ends before the next iteration. */
NAMES(names_cache, the_first_lookups_of_a_loop_share_a_question_too, n)
{
    expect_eq(weir_loop_free(n->loop), 0);
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
    expect_eq(names_start(n, "host.example", NULL), 0);
    expect_eq(names_start(n, "host.example", NULL), 0);

    expect_eq(weir_loop_run_once(n->loop), 0);

    expect_eq(statistics_of(n->loop).name_misses, 1);
    expect_eq(statistics_of(n->loop).name_hits, 1);
}

NAMES(names_cache, settings_say_whether_and_how_long_answers_are_kept, n)
{
    struct weir_dns_options dns = names_dns_options(n);
    dns.no_cache = true;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    names_lookup(n, "a4.example", NULL);
    names_lookup(n, "a4.example", NULL);
    expect_eq(count_asked(n, "a4.example"), 2);
    expect_eq(statistics_of(n->loop).name_misses, 0);

    dns.no_cache = false;
    dns.cache_ns = 10 * MS;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    names_lookup(n, "a4.example", NULL);
    names_run_for(n, 20 * MS);
    names_lookup(n, "a4.example", NULL);
    expect_eq(count_asked(n, "a4.example"), 4);
}

NAMES(names_cache, settings_begin_with_nothing, n)
{
    const struct weir_dns_options dns = names_dns_options(n);
    names_lookup(n, "a4.example", NULL);
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    names_lookup(n, "a4.example", NULL);
    expect_eq(count_asked(n, "a4.example"), 2);
    expect_eq(weir_loop_set_dns_options(
                  n->loop, &(struct weir_dns_options){.size = sizeof(dns),
                                                      .servers = "none"}),
              -EINVAL);
    names_lookup(n, "a4.example", NULL);
    expect_eq(count_asked(n, "a4.example"), 2, "nothing has changed");
}

static int asked_count;

static int answer_at_once(void *user, weir_lookup *lookup, const char *host,
                          int family, void **ret_data)
{
    struct weir_address address;
    asked_count++;
    expect_eq(weir_address_parse("192.0.2.9", 0, &address), 0);
    expect_eq(weir_lookup_set_ttl(lookup, 60 * 1000 * MS), 0);
    return weir_resolver_reply_addresses(lookup, 0, 0, &address, 1);
}

static void forget(void *user, weir_lookup *lookup, void *data)
{
}

/* The first settings of a loop, which also name another hosts file. */
NAMES(names_cache, settings_begin_with_nothing_of_the_programs_resolver, n)
{
    static const struct weir_resolver sharing = {.size = sizeof(sharing),
                                                 .start = answer_at_once,
                                                 .cancel = forget,
                                                 .is_shared = true};
    const struct weir_dns_options dns = {
        .size = sizeof(dns), .servers = "127.0.0.1:1", .hosts = "/dev/null"};
    asked_count = 0;
    expect_eq(weir_loop_free(n->loop), 0);
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
    expect_eq(weir_loop_set_resolver(n->loop, &sharing, NULL), 0);
    names_lookup(n, "any.example", NULL);
    names_lookup(n, "any.example", NULL);
    expect_eq(asked_count, 1);
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    names_lookup(n, "any.example", NULL);
    expect_eq(asked_count, 2);
    expect_str_eq(names_text(n), "192.0.2.9:80 ");
}

NAMES(names_cache, a_forked_child_takes_nothing_away, n)
{
    expect_eq(names_start(n, "a4-a6-late4-late6.example", NULL), 0);
    expect_eq(names_start(n, "a4-a6-late4-late6.example", NULL), 0);
    names_run_until_asked(n, "A a4-a6-late4-late6.example");
    const pid_t child = fork();
    if (child == 0) {
        weir_pending_cancel(n->lookup);
        _exit(weir_loop_set_resolver(n->loop, NULL, NULL) != -ECHILD ||
              weir_loop_trim(n->loop) != -ECHILD);
    }

    expect_eq(end_of(child), 0);
    expect_eq(weir_loop_run_until(n->loop, names_is_over, n), 0);
    expect_eq(n->result, 2);
    expect_eq(count_asked(n, "a4-a6-late4-late6.example"), 1);
}
