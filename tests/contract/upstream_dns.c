/*
 * Upstreams by name, with a name server on the loopback (dns_server.h): for how
 * long an answer is good comes from there. The times of all lookups are tested
 * on the fake machine (trace/upstream_check.c).
 */
#include "tests/contract/names_rig.h"

/* How often the name server was asked the question. */
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
        .size = sizeof(upstream), .host = host, .port = 80};
    weir_upstreams *set = NULL;
    expect_eq(weir_upstreams_new(n->loop, &options, &set), 0);
    expect_eq(weir_upstreams_add(set, &upstream, ret), 0);
    return set;
}

static uint32_t count_addresses(const weir_upstream *upstream)
{
    struct weir_upstream_info info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_info(upstream, &info), 0);
    return info.address_count;
}

NAMES(upstream_dns, a_name_with_a_brief_answer_is_looked_up_again, n)
{
    const uint64_t until_ns = clock_ns() + 60 * 1000 * MS;
    weir_upstream *upstream = NULL;
    weir_upstreams *set = open_named(n, "a4-a6-brief.example", &upstream);
    while (count_asked(n, "AAAA a4-a6-brief.example") < 3) {
        cr_assert_lt(clock_ns(), until_ns, "never asked again");
        names_run_for(n, MS);
    }
    expect_eq(count_addresses(upstream), 2, "of both families");
    weir_upstreams_free(set);
}

NAMES(upstream_dns, an_alias_with_a_brief_answer_is_looked_up_again, n)
{
    const uint64_t until_ns = clock_ns() + 60 * 1000 * MS;
    weir_upstream *upstream = NULL;
    weir_upstreams *set = open_named(n, "alias-a4-brief.example", &upstream);
    while (count_asked(n, "AAAA alias-a4-brief.example") < 2) {
        cr_assert_lt(clock_ns(), until_ns, "never asked again");
        names_run_for(n, MS);
    }
    expect_eq(count_addresses(upstream), 1);
    weir_upstreams_free(set);
}
