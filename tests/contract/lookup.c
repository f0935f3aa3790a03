/*
 * Lookups with the built-in resolver: addresses, errors, search domains, names
 * that need no server, services, and many lookups at once.
 *
 * The name server responds as the name says; see dns_server.h.
 */
#include "tests/contract/fail_calls.h"
#include "tests/contract/names_rig.h"

#include <sys/syscall.h>
#include <weir/embed.h>
#include <weir/task.h>

NAMES(lookup, a_name_has_addresses_of_both_families_IPv6_first, n)
{
    names_lookup(n, "a4-a6.example", NULL);

    expect_eq(n->result, 2, "%s", weir_err_name(n->result));
    expect_str_eq(names_text(n), "[2001:db8::1]:80 192.0.2.1:80 ");
}

NAMES(lookup, one_family_can_be_insisted_on, n)
{
    struct weir_getaddrinfo_options options = {.size = sizeof(options),
                                               .family = AF_INET};
    names_expect(n, "a4-a6.example", &options, "192.0.2.1:80 ");
    expect_str_eq(dns_server_read_log(&n->server), "A a4-a6.example. ");

    options.family = AF_INET6;
    names_expect(n, "a4-a6.example", &options, "[2001:db8::1]:80 ");
    names_expect(n, "a4.example", &options, "WEIR_EDNSNODATA");
}

NAMES(lookup, the_errors_of_servers_are_told_apart, n)
{
    static const struct {
        const char *host;
        int err;
    } rows[] = {
        {"nx.example", WEIR_EDNSNOTFOUND},
        {"none.example", WEIR_EDNSNODATA},
        {"fail.example", WEIR_EDNSSERVFAIL},
        {"refused.example", WEIR_EDNSREFUSED},
        {"a b", WEIR_EDNSBADNAME},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        names_lookup(n, rows[i].host, NULL);
        expect_eq(n->result, rows[i].err, "%s: %s", rows[i].host,
                  weir_err_name(n->result));
    }
    names_expect_silence(n);
    names_expect(n, "silent.example", NULL, "WEIR_EDNSTIMEOUT");
}

NAMES(lookup, an_error_of_one_family_is_not_told_where_the_other_has_addresses,
      n)
{
    names_expect(n, "a4-fail6.example", NULL, "192.0.2.1:80 ");
    names_expect_silence(n);
    names_expect(n, "a6-silent4.example", NULL, "[2001:db8::1]:80 ");
}

NAMES(lookup, what_may_be_otherwise_later_goes_before_what_is_certain, n)
{
    names_expect(n, "none-fail4.example", NULL, "WEIR_EDNSSERVFAIL");
    names_expect_silence(n);
    names_expect(n, "none-silent6.example", NULL, "WEIR_EDNSTIMEOUT");
}

NAMES(lookup, a_truncated_answer_is_asked_for_by_TCP_and_cut_at_64_a_family, n)
{
    names_lookup(n, "n200.example", NULL);

    expect_eq(n->result, 2 * WEIR_ADDRESSES_MAX);
    expect_eq(n->server.tcp_count, 2);
    expect_eq(n->addresses[0].storage.any.sa_family, AF_INET6);
    expect_eq(n->addresses[WEIR_ADDRESSES_MAX].storage.any.sa_family, AF_INET);
}

NAMES(lookup, answers_to_other_questions_are_not_taken, n)
{
    names_expect(n, "foreign-a4.example", NULL,
                 "[2001:db8::1]:80 192.0.2.1:80 ");
}

/* All empty datagrams have arrived when the loop reads. */
NAMES(lookup, empty_datagrams_are_survived, n)
{
    expect_ok(names_start(n, "empty-a4.example",
                          SIZED(weir_getaddrinfo_options, .family = AF_INET)));
    names_run_until_asked(n, "A empty-a4.example");
    dns_server_wait(&n->server);
    expect_eq(weir_loop_run_until(n->loop, names_is_over, n), 0);
    expect_str_eq(names_text(n), "192.0.2.1:80 ");
}

NAMES(lookup, what_is_no_answer_ends_with_an_error, n)
{
    names_expect_silence(n);
    names_lookup(n, "garbage.example", NULL);
    cr_assert(n->result == WEIR_EDNSBADANSWER || n->result == WEIR_EDNSTIMEOUT,
              "%s", weir_err_name(n->result));
    names_expect(n, "loop.example", NULL, "WEIR_EDNSNODATA");
}

NAMES(lookup, a_lookup_has_a_time_limit_of_its_own, n)
{
    const uint64_t start_ns = until_clock_ns();

    names_lookup(n, "silent.example",
                 SIZED(weir_getaddrinfo_options, .timeout_ns = 30 * MS));

    expect_eq(n->result, WEIR_EDNSTIMEOUT);
    expect_geq(until_clock_ns() - start_ns, 30 * MS);
    expect_lt(until_clock_ns() - start_ns, NAMES_TRY_MS * MS,
              "the resolver's own");
}

NAMES(lookup, a_time_limit_leaves_the_addresses_that_are_there, n)
{
    names_lookup(n, "a4-silent6.example",
                 SIZED(weir_getaddrinfo_options, .timeout_ns = 5000 * MS));

    expect_str_eq(names_text(n), "192.0.2.1:80 ", "what is there is used");
}

NAMES(lookup, a_name_whose_answer_cannot_be_had_by_tcp_harms_no_other, n)
{
    const struct weir_getaddrinfo_options options = {.size = sizeof(options),
                                                     .family = AF_INET};
    expect_eq(names_start(n, "late4-a4.example", &options), 0);
    names_run_until_asked(n, "A late4-a4.example");

    names_lookup_many(n, "cut", 3, &options);

    expect_eq(n->failed, 3);
    expect_eq(n->last_err, WEIR_EDNSUNREACHABLE);
    expect_eq(n->result, 1, "%s", weir_err_name(n->result));
}

NAMES(lookup, no_server_that_listens_is_told_apart, n)
{
    expect_eq(weir_loop_set_dns_options(
                  n->loop, SIZED(weir_dns_options, .servers = "127.0.0.1:1")),
              0);
    names_expect(n, "a4.example", NULL, "WEIR_EDNSUNREACHABLE");
}

NAMES(lookup, the_second_server_is_asked_where_the_first_is_dead, n)
{
    char servers[64];
    struct weir_dns_options dns = names_dns_options(n);
    snprintf(servers, sizeof(servers), "127.0.0.1:1,%s", n->server.address);
    dns.servers = servers;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");
}

NAMES(lookup, a_short_name_is_searched_for_and_both_families_come_from_one_name,
      n)
{
    names_search(n, "nx.example,one.example");

    names_expect(n, "a4", NULL, "192.0.2.1:80 ");
    const char *log = dns_server_read_log(&n->server);
    cr_assert(strstr(log, " a4.nx.example. "), "%s", log);
    cr_assert(!strstr(log, "one.example"), "%s", log);
}

NAMES(lookup, a_name_that_exists_without_an_address_is_searched_further, n)
{
    names_search(n, "one.example");

    names_expect(n, "none", NULL, "WEIR_EDNSNODATA");
    cr_assert(strstr(dns_server_read_log(&n->server), "A none. "));
    names_expect(n, "nx", NULL, "WEIR_EDNSNOTFOUND");
}

/* A short name, the result of its search, and the names queried. */
static const struct searched {
    const char *host;
    const char *domains;
    int result;
    const char *asked;
} searches[] = {
    /* A domain whose servers fail hides no other name. */
    {"fail", "one.example,two.example", WEIR_EDNSSERVFAIL,
     "A fail.one.example. A fail.two.example. A fail. "},
    /* The first error is reported if the unchanged name was queried first. */
    {"fail.host", "one.example", WEIR_EDNSSERVFAIL,
     "A fail.host. A fail.host.one.example. "},
    {"refused.host", "one.example", WEIR_EDNSREFUSED,
     "A refused.host. A refused.host.one.example. "},
    /* A refusal ends the list; the unchanged name is still queried. */
    {"refused", "one.example,two.example", WEIR_EDNSREFUSED,
     "A refused.one.example. A refused. "},
    {"notimp", "one.example,two.example", WEIR_EDNSREFUSED,
     "A notimp.one.example. A notimp. "},
    /* No response ends the list, too. */
    {"silent", "one.example,two.example", WEIR_EDNSTIMEOUT,
     "A silent.one.example. A silent. "},
    /* An alias of itself ends the search like a name without an address. */
    {"loop", "one.example,two.example", WEIR_EDNSNODATA,
     "A loop.one.example. "},
    {"alias-none", "one.example,two.example", WEIR_EDNSNODATA,
     "A alias-none.one.example. "},
};

static void search(struct names *n, const struct searched *row)
{
    struct weir_dns_options dns = names_dns_options(n);
    dns.search = row->domains;
    dns.no_cache = true;
    dns.try_timeout_ns =
        row->result == WEIR_EDNSTIMEOUT ? 100 * MS : dns.try_timeout_ns;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    n->server.log[0] = '\0';

    names_lookup(n, row->host,
                 SIZED(weir_getaddrinfo_options, .family = AF_INET));

    expect_eq(n->result, row->result, "%s: %s", row->host,
              weir_err_name(n->result));
    expect_str_eq(dns_server_read_log(&n->server), row->asked);
}

NAMES(lookup, a_search_goes_on_and_ends_as_that_of_the_c_library, n)
{
    for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++) {
        search(n, &searches[i]);
    }
}

/* This does not depend on the other family's response. */
NAMES(lookup, an_alias_without_an_address_ends_the_search, n)
{
    names_search(n, "one.example");
    names_expect(n, "alias-none-fail6", NULL, "WEIR_EDNSNODATA");
    cr_assert(!strstr(dns_server_read_log(&n->server), "alias-none-fail6. "));
}

NAMES(lookup, silence_for_one_family_ends_the_list_of_domains, n)
{
    struct weir_dns_options dns = names_dns_options(n);
    dns.search = "one.example,two.example";
    dns.try_timeout_ns = 3000 * MS;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    names_expect(n, "none-silent6", NULL, "WEIR_EDNSNODATA");
    const char *log = dns_server_read_log(&n->server);
    cr_assert(strstr(log, " none-silent6. "), "%s", log);
    cr_assert(!strstr(log, "two.example"), "%s", log);
}

NAMES(lookup, an_answer_by_TCP_may_come_in_pieces, n)
{
    names_lookup(n, "n200-pieces.example", NULL);
    expect_eq(n->result, 2 * WEIR_ADDRESSES_MAX);
    expect_eq(n->server.tcp_count, 2);
}

NAMES(lookup, a_dot_at_the_end_forbids_the_search, n)
{
    names_search(n, "one.example");
    names_expect(n, "a4.", NULL, "192.0.2.1:80 ");
    cr_assert(!strstr(dns_server_read_log(&n->server), "one"));
}

NAMES(lookup, literals_and_this_machine_ask_no_server, n)
{
    static const struct {
        const char *host;
        const char *text;
    } rows[] = {
        {"192.0.2.7", "192.0.2.7:80 "},
        {"2001:db8::7", "[2001:db8::7]:80 "},
        {"[2001:db8::7]", "[2001:db8::7]:80 "},
        {"fe80::1%lo", "[fe80::1%lo]:80 "},
        {"localhost", "[::1]:80 127.0.0.1:80 "},
        {"LOCALHOST.", "[::1]:80 127.0.0.1:80 "},
        {"a.localhost", "[::1]:80 127.0.0.1:80 "},
        {NULL, "[::1]:80 127.0.0.1:80 "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        names_lookup(n, rows[i].host, NULL);
        expect_str_eq(names_text(n), rows[i].text);
    }
    expect_str_eq(dns_server_read_log(&n->server), "");
}

NAMES(lookup, a_server_is_given_all_addresses_where_it_names_no_host, n)
{
    names_expect(n, NULL, SIZED(weir_getaddrinfo_options, .passive = true),
                 "[::]:80 0.0.0.0:80 ");
}

NAMES(lookup, a_literal_of_another_family_has_no_address, n)
{
    names_expect(n, "192.0.2.7",
                 SIZED(weir_getaddrinfo_options, .family = AF_INET6),
                 "WEIR_EDNSNODATA");
}

NAMES(lookup, what_can_be_no_host_is_refused_at_once, n)
{
    static const struct weir_getaddrinfo_options unset = {.family = 0};
    names_expect(n, "a4.example",
                 SIZED(weir_getaddrinfo_options, .numeric_host = true),
                 "WEIR_ENOTLITERAL");
    names_expect(n, "fe80::1%nonesuch", NULL, "ENODEV");
    names_expect(n, "127.1", NULL, "WEIR_EDNSBADNAME");
    names_expect(n, "", NULL, "WEIR_EDNSBADNAME");
    names_expect(n, "a4.example", &unset, "WEIR_EOPTIONSIZE");
    names_expect(n, "a4.example",
                 SIZED(weir_getaddrinfo_options, .family = AF_UNIX), "EINVAL");
    expect_str_eq(dns_server_read_log(&n->server), "");
}

NAMES(lookup, the_port_may_be_a_service, n)
{
    struct weir_getaddrinfo_options options = {.size = sizeof(options)};
    if (access("/etc/services", R_OK) != 0) {
        cr_skip_test("no /etc/services; runs with netbase");
    }
    n->port = 0;
    options.service = "https";
    names_expect(n, "192.0.2.1", &options, "192.0.2.1:443 ");
    options.service = "4711";
    names_expect(n, "192.0.2.1", &options, "192.0.2.1:4711 ");
    options.service = "nonesuch";
    names_expect(n, "192.0.2.1", &options, "WEIR_ESERVICE");
    options.service = "65536";
    names_expect(n, "192.0.2.1", &options, "WEIR_ESERVICE");
    n->port = 80;
    options.service = "https";
    names_expect(n, "192.0.2.1", &options, "EINVAL");
}

NAMES(lookup, a_thousand_names_at_once_are_all_answered, n)
{
    struct weir_dns_options dns = names_dns_options(n);
    /* The server's socket may have no space for a query. */
    dns.tries = 8;
    dns.try_timeout_ns = 2000 * MS;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);

    names_lookup_many(n, "a4-a6", 1000, NULL);
    expect_eq(n->answered, 1000);
    expect_eq(n->failed, 0);
}

NAMES(lookup, a_hundred_names_are_asked_for_without_a_delay, n)
{
    char host[32];
    for (int i = 0; i < 100; i++) {
        snprintf(host, sizeof(host), "silent.h%d.example", i);
        expect_eq(
            names_start(n, host,
                        SIZED(weir_getaddrinfo_options, .family = AF_INET)),
            0);
    }
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_loop_run_once(n->loop), 0);
    }
    dns_server_wait(&n->server);
    expect_eq(n->server.udp_count, 100);
}

NAMES(lookup, a_question_that_waits_for_its_answer_costs_no_turns, n)
{
    expect_eq(names_start(n, "silent.example", NULL), 0);
    names_run_until_asked(n, "A silent.example");
    expect_leq(names_count_turns(n, 20 * MS), 20);
}

/* A socket may be full because its packets are in flight. */
NAMES(lookup, a_question_that_finds_no_room_is_taken_for_a_lost_one, n)
{
    struct weir_dns_options dns = names_dns_options(n);
    dns.tries = 2;
    dns.try_timeout_ns = 20 * MS;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
    fail_calls(SYS_sendmsg, EAGAIN);

    names_lookup(n, "a4.example", NULL);

    expect_eq(n->result, WEIR_EDNSTIMEOUT, "%s", weir_err_name(n->result));
}

NAMES(lookup, a_hundred_names_that_fail_at_once_leave_nothing, n)
{
    const struct weir_getaddrinfo_options options = {.size = sizeof(options),
                                                     .timeout_ns = 40 * MS};
    const int fds = names_count_fds();

    names_lookup_many(n, "silent", 100, &options);

    expect_eq(n->failed, 100);
    expect_eq(n->last_err, WEIR_EDNSTIMEOUT);
    names_run_for(n, 5 * MS);
    expect_eq(names_count_fds(), fds, "sockets");
    expect_eq(names_count_timers(n), 0, "timers");
    names_lookup_many(n, "nx", 100, &options);
    expect_eq(n->failed, 200);
    names_run_for(n, 5 * MS);
    expect_eq(names_count_fds(), fds);
}

NAMES(lookup, without_descriptors_the_error_says_so, n)
{
    names_lookup(n, "a4.example",
                 NULL); /* opens the descriptors that stay open */
    names_take_fds(n);
    names_lookup(n, "a4.other.example", NULL);
    names_give_fds(n);
    expect_eq(n->result, -EMFILE, "%s", weir_err_name(n->result));
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");
}

static void keep_error(void *arg, int err, const struct weir_address *addresses,
                       size_t count)
{
    *(int *)arg = err;
}

/* The first lookup's socket stays open, so servers can be queried over UDP. */
NAMES(lookup, without_a_descriptor_for_TCP_the_error_says_so, n)
{
    weir_pending *silent;
    int silence = 1;
    expect_ok(weir_resolve_start(n->loop, "silent.example", 80, NULL,
                                 keep_error, &silence, &silent));
    names_run_until_asked(n, "A silent.example");
    names_take_fds(n);
    names_lookup(n, "cut.example", NULL);
    names_give_fds(n);
    expect_eq(n->result, -EMFILE, "%s", weir_err_name(n->result));
    expect_eq(silence, 1, "the other lookup goes on");
    weir_pending_cancel(silent);
    names_lookup(n, "n200.example", NULL);
    expect_eq(n->result, 2 * WEIR_ADDRESSES_MAX);
    expect_eq(silence, -ECANCELED);
}

NAMES(lookup, no_name_is_unknown_while_the_hosts_file_cannot_be_opened, n)
{
    weir_pending *silent;
    int silence = 1;

    /* Its socket stays open: servers can be queried without a new descriptor.
     */
    expect_ok(weir_resolve_start(
        n->loop, "silent.example", 80,
        SIZED(weir_getaddrinfo_options, .timeout_ns = UINT64_MAX), keep_error,
        &silence, &silent));
    names_run_until_asked(n, "A silent.example");
    expect_eq(weir_loop_trim(n->loop), 0); /* so that the file is read again */
    names_take_fds(n);

    names_lookup(n, "nx.example", NULL);

    names_give_fds(n);
    expect_eq(n->result, -EMFILE, "%s", weir_err_name(n->result));
    expect_eq(silence, 1, "the other lookup goes on");
    weir_pending_cancel(silent);
    names_expect(n, "nx.example", NULL, "WEIR_EDNSNOTFOUND");
    expect_eq(silence, -ECANCELED);
}

static int look_up(weir_loop *loop, const char *host)
{
    int result = 1;
    int err =
        weir_resolve_start(loop, host, 80, NULL, keep_error, &result, NULL);
    for (int i = 0; i < 4 && err == 0; i++) {
        weir_loop_stop(loop);
        expect_eq(weir_loop_run(loop), 0);
    }
    return err < 0 ? err : result;
}

static int look_up_service(weir_loop *loop, void *arg)
{
    struct weir_srv found[1];
    int *err = arg;
    *err = weir_resolve_srv(loop, "_x._tcp.example", NULL, found, 1);
    return 0;
}

UNIT(lookup, without_a_resolver_literals_work_and_a_name_has_one_clear_error)
{
    weir_loop *loop = NULL;
    expect_eq(weir_loop_new(NULL, &loop), 0);
    int err = weir_loop_set_dns_options(loop, NULL);
    if (err != WEIR_ENONAMES) {
        weir_loop_free(loop);
        cr_skip_test("built with c-ares; runs with -Ddns=disabled");
    }
    expect_eq(look_up(loop, "name.example"), WEIR_ENONAMES);
    expect_eq(weir_loop_run_task(loop, look_up_service, &err, NULL), 0);
    expect_eq(err, WEIR_ENONAMES, "a service");
    expect_eq(look_up(loop, "192.0.2.1"), 0);
    expect_eq(look_up(loop, "::1"), 0);
    expect_eq(look_up(loop, "localhost"), 0);
    expect_eq(look_up(loop, "a b"), WEIR_EDNSBADNAME);
    weir_loop_free(loop);
}
