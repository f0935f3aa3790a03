/*
 * Upstreams by name, with a name server on the loopback interface
 * (dns_server.h), which sets the TTL of each answer.
 *
 * Names with many addresses are in a hosts file.
 */
#include "tests/contract/names_rig.h"

#include <weir/upstream.h>

static int count_asked(struct names *n, const char *question)
{
    int count = 0;
    for (const char *at = dns_server_read_log(&n->server);
         (at = strstr(at, question)); at++) {
        count++;
    }
    return count;
}

static weir_upstreams *open_named(struct names *n, const char *host,
                                  weir_upstream **ret)
{
    const struct weir_upstreams_options options = {
        .size = sizeof(options), .resolve_ns = 3600 * 1000 * MS};
    const struct weir_upstream_options upstream = {
        .size = sizeof(upstream), .endpoint = weir_endpoint_host(host, 80)};
    weir_upstreams *set = NULL;
    expect_eq(weir_upstreams_new(n->loop, &options, &set), 0);
    expect_eq(weir_upstreams_add(set, &upstream, ret), 0);
    return set;
}

static uint32_t count_addresses(const weir_upstream *upstream)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(upstream, &info), 0);
    return info.address_count;
}

NAMES(upstream_dns, a_name_with_a_brief_answer_is_looked_up_again, n)
{
    const uint64_t until_ns = until_clock_ns() + 60 * 1000 * MS;
    weir_upstream *upstream = NULL;
    weir_upstreams *set = open_named(n, "a4-a6-brief.example", &upstream);
    while (count_asked(n, "AAAA a4-a6-brief.example") < 3) {
        cr_assert_lt(until_clock_ns(), until_ns, "never asked again");
        names_run_for(n, MS);
    }
    expect_eq(count_addresses(upstream), 2, "of both families");
    weir_upstreams_free(set);
}

NAMES(upstream_dns, an_alias_with_a_brief_answer_is_looked_up_again, n)
{
    const uint64_t until_ns = until_clock_ns() + 60 * 1000 * MS;
    weir_upstream *upstream = NULL;
    weir_upstreams *set = open_named(n, "alias-a4-brief.example", &upstream);
    while (count_asked(n, "AAAA alias-a4-brief.example") < 2) {
        cr_assert_lt(until_clock_ns(), until_ns, "never asked again");
        names_run_for(n, MS);
    }
    expect_eq(count_addresses(upstream), 1);
    weir_upstreams_free(set);
}

NAMES(upstream_dns, hosts_of_a_service_are_looked_up_as_their_answers_say, n)
{
    const uint64_t until_ns = until_clock_ns() + 60 * 1000 * MS;
    const struct weir_upstreams_options options = {
        .size = sizeof(options), .resolve_ns = 3600 * 1000 * MS};
    const struct weir_upstream_options upstream = {
        .size = sizeof(upstream),
        .endpoint = weir_endpoint_host("s3-brief.example", 0),
        .is_service = true};
    weir_upstreams *set = NULL;
    expect_eq(weir_upstreams_new(n->loop, &options, &set), 0);
    expect_eq(weir_upstreams_add(set, &upstream, NULL), 0);
    while (count_asked(n, "SRV s3-brief.example") < 3) {
        cr_assert_lt(until_clock_ns(), until_ns, "never asked again");
        names_run_for(n, MS);
    }
    expect_eq(count_asked(n, "AAAA a4-a6.example"), 1, "good for an hour");
    expect_geq(weir_upstreams_get_count(set), 3);
    weir_upstreams_free(set);
}

enum { MANY = 40 };

struct tried {
    weir_pending *request;
    int err;
    size_t count;
};

static int create_none(void *arg, weir_transport *t,
                       struct weir_protocol_binding *ret)
{
    return -EINVAL; /* nothing listens */
}

static void count_tried(void *arg, int err,
                        const struct weir_upstreams_result *result)
{
    struct tried *tried = arg;
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    tried->err = err;
    while (weir_pending_get_attempt(tried->request, tried->count, &attempt) ==
           0) {
        expect_eq(attempt.err, -ECONNREFUSED);
        tried->count++;
    }
}

NAMES(upstream_dns, a_request_lists_64_addresses_at_most, n)
{
    const struct weir_factory factory = {create_none, NULL};
    struct weir_upstream_options target = {
        .size = sizeof(target),
        .endpoint = weir_endpoint_host("many0.example", 1)};
    struct tried tried = {.err = 1};
    weir_upstreams *set = NULL;
    char text[2 * MANY * 32] = "";
    for (int i = 0; i < 2 * MANY; i++) {
        const size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "127.1.0.%d many%d.example\n",
                 i + 1, i / MANY);
    }
    names_use_hosts(n, text);
    expect_ok(weir_upstreams_new(n->loop, NULL, &set));
    expect_ok(weir_upstreams_add(set, &target, NULL));
    target.endpoint.host = "many1.example";
    expect_ok(weir_upstreams_add(set, &target, NULL));

    expect_ok(weir_upstreams_connect(set, &factory, NULL, count_tried, &tried,
                                     &tried.request));
    RUN_UNTIL(n->loop, tried.err <= 0);

    expect_eq(tried.err, -ECONNREFUSED);
    expect_eq(tried.count, 64);
    weir_upstreams_free(set);
}
