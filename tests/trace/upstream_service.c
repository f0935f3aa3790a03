/*
 * Upstreams that are the hosts of a service, on the fake machine: the test's
 * resolver says which SRV records there are, and which addresses hosts have.
 *
 * The host "h2" has the address 192.0.2.2, and "h12" has 192.0.2.1 and .2.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

#include <weir/error.h>
#include <weir/resolver.h>

static int host_err;       /* of all hosts; 0: none */
static const char *broken; /* this one's lookup fails for the moment */
static uint16_t port = 80; /* of all records */

static int start(void *user, weir_lookup *lookup, const char *host, int family,
                 void **ret_data)
{
    struct weir_address addresses[8];
    size_t count = 0;
    (void)user;
    (void)family;
    (void)ret_data;
    if (host_err < 0) {
        return host_err;
    }
    if (broken && strncmp(host, broken, strlen(broken)) == 0) {
        return WEIR_EDNSSERVFAIL;
    }
    for (const char *digit = host + 1; *digit != '.'; digit++) {
        char text[32];
        snprintf(text, sizeof(text), "192.0.2.%c", *digit);
        addresses[count++] = peer_address(text, 1);
    }
    expect_eq(weir_lookup_set_ttl(lookup, 60000 * MS), 0);
    return weir_resolver_reply_addresses(lookup, 0, 0, addresses, count);
}

/* Records as "PRIORITY WEIGHT HOST,...", for five seconds; an error
 * for none. */
static void answer_or(const char *text, int err)
{
    struct weir_srv records[8];
    size_t count = 0;
    unsigned priority;
    unsigned weight;
    char host[16];
    for (; *text; text += strcspn(text, ",") + (strchr(text, ',') != NULL)) {
        cr_assert_eq(sscanf(text, "%u %u %15[^,]", &priority, &weight, host),
                     3);
        records[count] = (struct weir_srv){.priority = (uint16_t)priority,
                                           .weight = (uint16_t)weight,
                                           .port = port};
        snprintf(records[count].host, sizeof(records[count].host), "%s.example",
                 host);
        count++;
    }
    weir_lookup *lookup = ups_take_question();
    expect_eq(weir_lookup_set_ttl(lookup, 5000 * MS), 0);
    expect_eq(
        weir_resolver_reply_srv(lookup, count > 0 ? 0 : err, records, count),
        0);
    maker_run_for(&ups.m, 1 * MS);
}

static void answer(const char *text)
{
    answer_or(text, WEIR_EDNSNOTFOUND);
}

static void then_answer(const char *text)
{
    maker_run_for(&ups.m, 5000 * MS);
    answer(text);
}

static void add_service(struct weir_upstream_options upstream)
{
    upstream.size = sizeof(upstream);
    upstream.name = "pods";
    upstream.endpoint = weir_endpoint_host("_web._tcp.pods.example", 0);
    upstream.is_service = true;
    expect_eq(weir_upstreams_add(ups.set, &upstream, &ups.all[3]), 0);
    maker_run_for(&ups.m, 1 * MS);
}

static void open_service_of(struct weir_upstreams_options options,
                            struct weir_upstream_options upstream)
{
    host_err = 0;
    broken = NULL;
    port = 80;
    ups_open(&options, 3);
    for (size_t i = 0; i < 3; i++) {
        weir_upstream_remove(ups.all[i]);
    }
    ups.resolver.start = start;
    ups_play_resolver("_web._tcp.pods.example");
    add_service(upstream);
}

static void open_service(void)
{
    open_service_of(ups_options(), (struct weir_upstream_options){.size = 0});
}

static weir_upstream *find(char digit)
{
    char name[64];
    snprintf(name, sizeof(name), "pods at 192.0.2.%c:%u", digit, port);
    for (size_t i = 0; i < weir_upstreams_get_count(ups.set); i++) {
        weir_upstream *one = weir_upstreams_get_upstream(ups.set, i);
        if (strcmp(weir_upstream_get_name(one), name) == 0) {
            return one;
        }
    }
    return NULL;
}

/* The last digits of those that are there. */
static const char *members(void)
{
    static char digits[8];
    size_t count = 0;
    for (char digit = '1'; digit <= '3'; digit++) {
        if (find(digit)) {
            digits[count++] = digit;
        }
    }
    digits[count] = '\0';
    return digits;
}

static struct weir_upstream_statistics info_of(char digit)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    cr_assert_not_null(find(digit));
    expect_eq(weir_upstream_get_statistics(find(digit), &info), 0);
    return info;
}

/* Connects so often, and ends all: how often each was chosen, as digits. */
static const char *spread(int count)
{
    static char text[16];
    uint64_t before[4] = {0};
    size_t used = 0;
    for (char digit = '1'; digit <= '3'; digit++) {
        before[digit - '0'] = find(digit) ? info_of(digit).chosen_count : 0;
    }
    for (int i = 0; i < count; i++) {
        struct ups_end *end = ups_connect();
        expect_eq(end->err, 0);
        ups_leave(end, 0);
    }
    for (char digit = '1'; digit <= '3'; digit++) {
        const uint64_t now = find(digit) ? info_of(digit).chosen_count : 0;
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%u ",
                                 (unsigned)(now - before[digit - '0']));
    }
    return text;
}

UNIT(upstream_service, its_hosts_share_by_their_weights)
{
    open_service();
    answer("0 10 h1,0 20 h2,0 0 h3");
    expect_str_eq(members(), "123");
    expect_str_eq(spread(3), "1 2 0 ");
    expect_eq(info_of('2').service_weight, 20);
    expect_eq(info_of('2').weight, 1, "the program's");
    expect_eq(ups_info(3).state, WEIR_UPSTREAM_NAME);
}

UNIT(upstream_service, addresses_without_weights_share_evenly)
{
    open_service();
    answer("0 0 h1,0 0 h23");
    expect_str_eq(spread(6), "2 2 2 ");
}

UNIT(upstream_service, the_lowest_priority_that_is_up_is_used)
{
    struct weir_upstreams_options options = ups_options();
    options.fail_limit = 1;
    options.eject_ns = 10000 * MS;
    open_service_of(options, (struct weir_upstream_options){.size = 0});
    answer("30 9 h3,20 9 h2,10 9 h1");
    expect_str_eq(spread(2), "2 0 0 ");
    expect_eq(info_of('3').service_priority, 30);
    ups_answer(0, FAKE_REFUSE);
    expect_str_eq(spread(1), "1 1 0 ", "the first has failed");
    expect_str_eq(spread(2), "0 2 0 ");
    weir_upstream_set_draining(find('2'), true);
    expect_str_eq(spread(2), "0 0 2 ");
    weir_upstream_set_draining(find('2'), false);
    expect_str_eq(spread(2), "0 2 0 ");
}

UNIT(upstream_service, priorities_are_those_of_one_name)
{
    static const struct weir_upstream_options beside = {.size = sizeof(beside),
                                                        .name = "beside"};
    struct weir_upstream_options own = beside;
    const struct weir_address address = peer_address("192.0.2.3", 80);
    open_service();
    own.endpoint = weir_endpoint_addresses(&address, 1);
    expect_eq(weir_upstreams_add(ups.set, &own, &ups.all[2]), 0);
    answer("10 1 h1,20 1 h2");
    expect_str_eq(spread(4), "2 0 0 ");
    expect_eq(ups_info(2).chosen_count, 2);
}

UNIT(upstream_service, requests_wait_for_the_first_check_of_the_best)
{
    static const struct weir_upstream_check plan = {.size = sizeof(plan),
                                                    .interval_ns = 1000 * MS,
                                                    .timeout_ns = 200 * MS,
                                                    .fall = 1,
                                                    .starts_down = true};
    struct weir_upstreams_options options = ups_options();
    options.check = &plan;
    open_service_of(options, (struct weir_upstream_options){.size = 0});
    ups_answer(0, FAKE_SILENT);
    answer("10 1 h1,20 1 h2");
    maker_run_for(&ups.m, 10 * MS);
    expect_eq(info_of('2').state, WEIR_UPSTREAM_UP);
    ups_ask(NULL);
    maker_run_for(&ups.m, 50 * MS);
    expect_eq(ups.end_count, 0);
    ups_run_until(1);
    expect_eq(weir_upstream_slot_get_upstream(ups.ends[0].slot), find('2'),
              "once that is down");
    ups_leave(&ups.ends[0], 0);
}

UNIT(upstream_service, full_hosts_of_the_best_are_waited_for)
{
    struct weir_upstreams_options options = ups_options();
    options.queue_limit = 5;
    open_service_of(options,
                    (struct weir_upstream_options){.connection_limit = 1});
    answer("10 1 h1,20 1 h2");
    struct ups_end *first = ups_connect();
    ups_ask(NULL);
    maker_run_for(&ups.m, 50 * MS);
    expect_eq(ups.end_count, 1);
    weir_upstream *best = find('1');
    ups_leave(first, 0);
    ups_run_until(2);
    expect_eq(weir_upstream_slot_get_upstream(ups.ends[1].slot), best);
    ups_leave(&ups.ends[1], 0);
}

UNIT(upstream_service, answers_change_weights_of_those_that_stay)
{
    open_service();
    answer("0 10 h1,0 10 h2");
    weir_upstream *first = find('1');
    expect_eq(weir_upstream_set_weight(first, 3), 0);
    then_answer("5 30 h1,5 10 h2");
    expect_eq(find('1'), first);
    expect_eq(info_of('1').weight, 3, "the program's is kept");
    expect_str_eq(spread(10), "9 1 0 ");
    then_answer("5 10 h2,9 1 h1");
    expect_str_eq(spread(2), "0 2 0 ");
    expect_eq(ups.asked_count, 3, "as often as answers are not good any more");
}

UNIT(upstream_service, weights_that_are_others_owe_no_turns)
{
    open_service();
    answer("0 0 h1,0 3 h2");
    expect_str_eq(spread(20), "0 20 0 ");
    then_answer("0 0 h1,0 0 h2");
    expect_str_eq(spread(20), "10 10 0 ");
}

UNIT(upstream_service, an_answer_that_is_an_error_changes_nothing)
{
    open_service();
    answer("0 1 h1,0 1 h2");
    then_answer("");
    expect_str_eq(members(), "12");
    expect_eq(ups_info(3).lookup_error_count, 1);
    host_err = WEIR_EDNSSERVFAIL;
    then_answer("0 1 h3");
    expect_str_eq(members(), "12", "no host could be looked up");
    host_err = 0;
    then_answer("0 1 h3");
    expect_str_eq(members(), "3");
}

UNIT(upstream_service, a_host_that_cannot_be_looked_up_keeps_its_addresses)
{
    open_service();
    answer("0 1 h1,0 1 h2");
    broken = "h1";
    then_answer("0 1 h1,0 1 h3");
    expect_str_eq(members(), "13");
    port = 81;
    then_answer("0 1 h1,0 1 h3");
    expect_str_eq(members(), "13", "at the port of the new record");
    then_answer("0 1 h3");
    expect_str_eq(members(), "3", "it is no host of the service any more");
}

UNIT(upstream_service, a_domain_without_the_service_has_no_upstream)
{
    open_service();
    answer("0 1 h1,0 1 h2");
    struct ups_end *kept = ups_connect();
    maker_run_for(&ups.m, 5000 * MS);
    answer_or("", WEIR_EDNSNOSERVICE);
    expect_str_eq(members(), "");
    expect_eq(ups_info(3).lookup_error_count, 0);
    expect_eq(weir_transport_is_closing(kept->t), false);
    expect_eq(ups_connect()->err, -EHOSTDOWN);
    then_answer("0 1 h3");
    expect_str_eq(members(), "3");
    ups_leave(kept, 0);
}

UNIT(upstream_service, another_set_begins_with_the_last_good_answer)
{
    struct weir_upstreams_options options = ups_options();
    weir_upstreams_shared *shared;
    expect_eq(weir_upstreams_shared_new(NULL, &shared), 0);
    options.shared = shared;
    open_service_of(options, (struct weir_upstream_options){.size = 0});
    answer("10 1 h1,20 5 h2");
    weir_upstreams *first = ups.set;
    expect_eq(weir_upstreams_new(ups.m.loop, &options, &ups.set), 0);
    add_service((struct weir_upstream_options){.size = 0});
    weir_upstreams_free(first);
    expect_str_eq(members(), "12", "while it is asked for");
    expect_str_eq(spread(2), "2 0 0 ");
    expect_eq(info_of('2').service_weight, 5);
    answer("");
    expect_str_eq(members(), "12", "after an error");
    weir_upstreams_shared_free(shared);
}

UNIT(upstream_service, the_set_may_be_freed_with_a_lookup_under_way)
{
    open_service();
    weir_upstreams_free(ups.set);
    ups.set = NULL;
    expect_eq(ups.asked, NULL, "the lookup was cancelled");
}

UNIT(upstream_service, an_address_is_no_service)
{
    struct weir_upstream_options upstream = {
        .size = sizeof(upstream),
        .endpoint = weir_endpoint_host("192.0.2.1", 80),
        .is_service = true};
    open_service();
    expect_eq(weir_upstreams_add(ups.set, &upstream, NULL), -EINVAL);
    upstream.endpoint = weir_endpoint_host("a b", 80);
    expect_eq(weir_upstreams_add(ups.set, &upstream, NULL), WEIR_EDNSBADNAME);
}
