/*
 * getaddrinfo and getnameinfo in tasks: what they return, what they write, and
 * which arguments they refuse.
 *
 * The name server responds as the queried name says; see dns_server.h.
 */
#define UNIT_RUN   with_names
#define UNIT_TAKES struct names *n
#include "tests/contract/names_rig.h"

#include <arpa/inet.h>
#include <sched.h>
#include <weir/task.h>

static struct weir_address address_of(const char *host, uint16_t port)
{
    struct weir_address address = {.len = 0};
    expect_eq(weir_address_parse(host, port, &address), 0);
    return address;
}

typedef void body_fn(struct names *n);

struct names_body {
    struct names *n;
    body_fn *body;
};

static int call_body(weir_loop *loop, void *arg)
{
    const struct names_body *call = arg;
    call->body(call->n);
    return 0;
}

static void with_names(body_fn *body)
{
    static struct names n;
    struct names_body call = {&n, body};
    names_open(&n);
    expect_eq(weir_loop_run_task(n.loop, call_body, &call, NULL), 0);
    names_close(&n);
}

UNIT(getaddrinfo, a_task_waits_for_the_addresses)
{
    n->result =
        weir_getaddrinfo(n->loop, "a4-a6.example", 443, NULL, n->addresses, 2);
    expect_eq(n->result, 2);
    expect_str_eq(names_text(n), "[2001:db8::1]:443 192.0.2.1:443 ");
}

UNIT(getaddrinfo, no_more_is_written_than_there_is_room_for)
{
    expect_eq(
        weir_getaddrinfo(n->loop, "n200.example", 443, NULL, n->addresses, 3),
        2 * WEIR_ADDRESSES_MAX);
    expect_gt(n->addresses[2].len, 0);
    expect_eq(n->addresses[3].len, 0);
    expect_eq(weir_getaddrinfo(n->loop, "a4.example", 443, NULL, NULL, 0), 1);
    expect_eq(weir_getaddrinfo(n->loop, "a4.example", 443, NULL, NULL, 1),
              -EINVAL);
}

UNIT(getaddrinfo, a_lookup_without_a_callback_is_refused)
{
    expect_eq(
        weir_resolve_start(n->loop, "a4.example", 443, NULL, NULL, NULL, NULL),
        -EINVAL);
}

UNIT(getaddrinfo, errors_are_returned)
{
    expect_eq(
        weir_getaddrinfo(n->loop, "nx.example", 443, NULL, n->addresses, 1),
        WEIR_EDNSNOTFOUND);
    expect_eq(weir_getaddrinfo(n->loop, "..", 443, NULL, n->addresses, 1),
              WEIR_EDNSBADNAME);
    expect_eq(n->addresses[0].len, 0);
}

NAMES(getaddrinfo, only_a_task_can_wait, n)
{
    expect_eq(
        weir_getaddrinfo(n->loop, "a4.example", 443, NULL, n->addresses, 1),
        WEIR_ENOTTASK);
}

static const char *look_up(struct names *n, const char *host,
                           const struct weir_getaddrinfo_options *options)
{
    n->result = weir_getaddrinfo(n->loop, host, 80, options, n->addresses,
                                 2 * WEIR_ADDRESSES_MAX);
    return names_text(n);
}

UNIT(getaddrinfo, a_service_may_have_to_be_a_number)
{
    struct weir_getaddrinfo_options options = {
        .size = sizeof(options), .numeric_service = true, .service = "http"};
    struct weir_address address;
    expect_eq(weir_getaddrinfo(n->loop, NULL, 0, &options, &address, 1),
              WEIR_ESERVICE);
    options.service = "8080";
    options.family = AF_INET;
    expect_eq(weir_getaddrinfo(n->loop, NULL, 0, &options, &address, 1), 1);
    expect_eq(ntohs(address.storage.inet.sin_port), 8080);
}

UNIT(getaddrinfo, ipv4_is_mapped_where_there_is_no_ipv6)
{
    const struct weir_getaddrinfo_options options = {
        .size = sizeof(options), .family = AF_INET6, .map_ipv4 = true};
    expect_str_eq(look_up(n, "a4.example", &options), "[::ffff:192.0.2.1]:80 ");
    expect_str_eq(look_up(n, "a4-a6.example", &options), "[2001:db8::1]:80 ");
    expect_str_eq(look_up(n, "192.0.2.7", &options), "[::ffff:192.0.2.7]:80 ");
    expect_str_eq(look_up(n, "::1", &options), "[::1]:80 ");
    expect_str_eq(look_up(n, "localhost", &options), "[::1]:80 ");
    look_up(n, "n200.example", &options);
    expect_eq(n->result, WEIR_ADDRESSES_MAX);
    look_up(n, "nx.example", &options);
    expect_eq(n->result, WEIR_EDNSNOTFOUND);
    look_up(n, "none.example", &options);
    expect_eq(n->result, WEIR_EDNSNODATA);
}

UNIT(getaddrinfo, ipv4_may_be_mapped_besides_ipv6)
{
    const struct weir_getaddrinfo_options options = {
        .size = sizeof(options), .family = AF_INET6, .map_all = true};
    expect_str_eq(look_up(n, "a4-a6.example", &options),
                  "[2001:db8::1]:80 [::ffff:192.0.2.1]:80 ");
    expect_str_eq(look_up(n, "a4.example", &options), "[::ffff:192.0.2.1]:80 ");
    look_up(n, "n200.example", &options);
    expect_eq(n->result, 2 * WEIR_ADDRESSES_MAX);
    for (int i = 0; i < n->result; i++) {
        expect_eq(n->addresses[i].storage.any.sa_family, AF_INET6);
        expect_eq(n->addresses[i].len, sizeof(struct sockaddr_in6));
    }
}

UNIT(getaddrinfo, flags_that_do_not_go_together_are_refused)
{
    char name[WEIR_HOST_SIZE];
    struct weir_getaddrinfo_options options = {.size = sizeof(options),
                                               .map_ipv4 = true};
    look_up(n, "a4.example", &options);
    expect_eq(n->result, -EINVAL, "IPv4 is not mapped in both families");
    options = (struct weir_getaddrinfo_options){
        .size = sizeof(options), .map_all = true, .family = AF_INET};
    look_up(n, "a4.example", &options);
    expect_eq(n->result, -EINVAL);
    options = (struct weir_getaddrinfo_options){.size = sizeof(options),
                                                .canonical_name = name,
                                                .canonical_name_size =
                                                    sizeof(name) - 1};
    look_up(n, "a4.example", &options);
    expect_eq(n->result, -EINVAL, "too little room");
    options.canonical_name_size = sizeof(name);
    look_up(n, NULL, &options);
    expect_eq(n->result, -EINVAL, "no host");
}

static const char *canonical_of(struct names *n, const char *host)
{
    static char name[WEIR_HOST_SIZE];
    memset(name, 'x', sizeof(name));
    look_up(n, host,
            SIZED(weir_getaddrinfo_options, .canonical_name = name,
                  .canonical_name_size = sizeof(name)));
    expect_gt(n->result, 0, "%s", host);
    return name;
}

UNIT(getaddrinfo, the_canonical_name_is_at_the_end_of_the_aliases)
{
    expect_str_eq(canonical_of(n, "alias-a4-a6.example"), "end.example");
    expect_str_eq(names_text(n), "[2001:db8::1]:80 192.0.2.1:80 ");
    expect_str_eq(canonical_of(n, "alias-a4.example"), "end.example");
    expect_str_eq(canonical_of(n, "alias-n200.example."), "end.example");
    expect_str_eq(canonical_of(n, "a6.example"), "a6.example");
    expect_str_eq(canonical_of(n, "a6.example."), "a6.example");
}

UNIT(getaddrinfo, a_domain_that_was_searched_is_in_the_canonical_name)
{
    names_search(n, "none.example, second.example");
    expect_str_eq(canonical_of(n, "a4"), "a4.none.example");
    names_search(n, "");
    expect_str_eq(canonical_of(n, "a4"), "a4");
}

UNIT(getaddrinfo, the_canonical_name_of_the_hosts_file_begins_its_line)
{
    names_use_hosts(n, "192.0.2.11 first.test second.test third.test odd!name\n"
                       "2001:db8::12 alone.test\n"
                       "192.0.2.13 Odd!Name second.test\n");
    expect_str_eq(canonical_of(n, "Second.test"), "first.test");
    expect_str_eq(names_text(n), "192.0.2.11:80 192.0.2.13:80 ");
    expect_str_eq(canonical_of(n, "third.test"), "first.test");
    expect_str_eq(canonical_of(n, "first.test"), "first.test");
    expect_str_eq(canonical_of(n, "odd!name"), "first.test");
    expect_str_eq(canonical_of(n, "alone.test"), "alone.test");
    expect_str_eq(names_text(n), "[2001:db8::12]:80 ");
}

UNIT(getaddrinfo, what_is_asked_of_no_server_has_itself_for_a_name)
{
    static const char *const pairs[][2] = {
        {"192.0.2.1", "192.0.2.1"},         {"::1", "::1"},
        {"[2001:DB8:0::1]", "2001:db8::1"}, {"fe80::1%lo", "fe80::1%lo"},
        {"localhost", "localhost"},         {"a.Localhost.", "a.Localhost"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        expect_str_eq(canonical_of(n, pairs[i][0]), pairs[i][1]);
    }
}

UNIT(getaddrinfo, a_canonical_name_that_is_none_fails_who_asks_for_it)
{
    char name[WEIR_HOST_SIZE];
    look_up(n, "aliasodd-a4.example",
            SIZED(weir_getaddrinfo_options, .canonical_name = name,
                  .canonical_name_size = sizeof(name)));
    expect_eq(n->result, WEIR_EDNSBADANSWER);
    expect_str_eq(look_up(n, "aliasodd-a4.example", NULL), "192.0.2.1:80 ");
}

NAMES(getaddrinfo, a_callback_gets_the_canonical_name_too, n)
{
    char name[WEIR_HOST_SIZE];
    names_expect(n, "alias-a4.example",
                 SIZED(weir_getaddrinfo_options, .family = AF_INET6,
                       .map_ipv4 = true, .canonical_name = name,
                       .canonical_name_size = sizeof(name)),
                 "[::ffff:192.0.2.1]:80 ");
    expect_str_eq(name, "end.example");
}

static void must(const char *command)
{
    if (system(command) != 0) {
        cr_skip_test("no ip(8), or it may not; runs as root with iproute2: %s",
                     command);
    }
}

static const char *asked_of_configured(struct names *n, int family)
{
    memset(n->server.log, 0, sizeof(n->server.log));
    names_lookup(n, "a4-a6.example",
                 SIZED(weir_getaddrinfo_options, .family = family,
                       .configured_only = true));
    dns_server_wait(&n->server);
    return dns_server_read_log(&n->server);
}

/* Has its own network, with a name server on its loopback interface. */
UNIT_IN(getaddrinfo, families_that_this_machine_has_not_are_left_out,
        unit_alone, void)
{
    static struct names n;
    if (unshare(CLONE_NEWNET) < 0 &&
        unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        cr_skip_test("no network namespace; runs as root: %s", strerror(errno));
    }
    must("ip link set lo up");
    names_open(&n);

    cr_assert(strstr(asked_of_configured(&n, 0), "AAAA "), "it has none");
    expect_eq(n.result, 2);
    must("ip addr add 198.51.100.1/32 dev lo");
    expect_str_eq(asked_of_configured(&n, 0), "A a4-a6.example. ");
    expect_str_eq(names_text(&n), "192.0.2.1:80 ");
    expect_str_eq(asked_of_configured(&n, AF_INET6), "");
    expect_eq(n.result, WEIR_EDNSNODATA);
    must("ip addr add 2001:db8:1::1/128 dev lo");
    asked_of_configured(&n, 0);
    expect_eq(n.result, 2);
    must("ip addr del 198.51.100.1/32 dev lo");
    expect_str_eq(asked_of_configured(&n, 0), "AAAA a4-a6.example. ");
    expect_str_eq(names_text(&n), "[2001:db8::1]:80 ");
    expect_str_eq(asked_of_configured(&n, AF_INET), "");
    expect_eq(n.result, WEIR_EDNSNODATA);
    names_close(&n);
}

/* A zone becomes the number of a link in the call that names it. */
UNIT_IN(getaddrinfo, a_server_whose_link_is_gone_leaves_the_others, unit_alone,
        void)
{
    static struct names n;
    char servers[64];
    char path[] = "/tmp/weir-resolv-conf-XXXXXX";
    if (unshare(CLONE_NEWNET) < 0 &&
        unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        cr_skip_test("no network namespace; runs as root: %s", strerror(errno));
    }
    must("ip link set lo up");
    must("ip link add weir0 type veth peer name weir1");
    names_open(&n);
    struct weir_dns_options dns = names_dns_options(&n);
    snprintf(servers, sizeof(servers), "[fe80::1%%weir0]:53,%s",
             n.server.address);
    const int file = mkstemp(path);
    dns.servers = servers;
    dns.resolv_conf = path;
    expect_eq(weir_loop_set_dns_options(n.loop, &dns), 0);

    must("ip link del weir0");
    expect_eq(write(file, "options ndots:2\n", 16), 16); /* it is read again */
    close(file);
    names_lookup(&n, "a4-a6.example", NULL);
    expect_eq(n.result, 2, "%s", weir_err_name(n.result));
    unlink(path);
    names_close(&n);
}

UNIT(getnameinfo, an_address_has_the_name_that_the_server_says)
{
    const struct weir_address address = address_of("192.0.2.1", 4711);
    struct weir_nameinfo info = {.size = sizeof(info)};
    expect_eq(weir_getnameinfo(n->loop, &address, NULL, &info), 0);
    expect_str_eq(info.host, "host.example");
    expect_str_eq(info.service, "4711");
}

UNIT(getnameinfo, the_hosts_file_names_an_address_before_servers)
{
    const struct weir_address address = address_of("192.0.2.1", 4711);
    struct weir_nameinfo info = {.size = sizeof(info)};
    names_use_hosts(n, "192.0.2.3 other.test\n192.0.2.1 first!name second\n");
    expect_eq(weir_getnameinfo(n->loop, &address, NULL, &info), 0);
    expect_str_eq(info.host, "first!name");
    expect_str_eq(dns_server_read_log(&n->server), "");
}

UNIT(getnameinfo, an_address_without_a_name_is_written_in_numbers)
{
    const struct weir_getnameinfo_options required = {.size = sizeof(required),
                                                      .name_required = true};
    const struct weir_address inet = address_of("192.0.2.9", 80);
    const struct weir_address inet6 = address_of("fe80::1%lo", 80);
    struct weir_nameinfo info = {.size = sizeof(info)};

    expect_eq(weir_getnameinfo(n->loop, &inet, NULL, &info), 0);
    expect_str_eq(info.host, "192.0.2.9");
    expect_eq(weir_getnameinfo(n->loop, &inet6, NULL, &info), 0);
    expect_str_eq(info.host, "fe80::1%lo");
    expect_eq(weir_getnameinfo(n->loop, &inet, &required, &info),
              WEIR_EDNSNOTFOUND);
}

UNIT(getnameinfo, a_name_that_is_none_is_refused)
{
    const struct weir_getnameinfo_options required = {.size = sizeof(required),
                                                      .name_required = true};
    const struct weir_address address = address_of("192.0.2.2", 80);
    struct weir_nameinfo info = {.size = sizeof(info)};
    expect_eq(weir_getnameinfo(n->loop, &address, &required, &info),
              WEIR_EDNSBADANSWER);
    expect_eq(weir_getnameinfo(n->loop, &address, NULL, &info), 0);
    expect_str_eq(info.host, "192.0.2.2");
}

UNIT(getnameinfo, numbers_ask_no_server)
{
    const struct weir_getnameinfo_options numeric = {
        .size = sizeof(numeric), .numeric_host = true, .numeric_service = true};
    const struct weir_address address = address_of("192.0.2.1", 80);
    struct weir_nameinfo info = {.size = sizeof(info)};
    expect_eq(weir_getnameinfo(n->loop, &address, &numeric, &info), 0);
    expect_str_eq(info.host, "192.0.2.1");
    expect_str_eq(info.service, "80");
    expect_str_eq(dns_server_read_log(&n->server), "");
}

UNIT(getnameinfo, the_service_has_its_name)
{
    const struct weir_getnameinfo_options numeric = {.size = sizeof(numeric),
                                                     .numeric_host = true};
    const struct weir_address address = address_of("192.0.2.1", 443);
    struct weir_nameinfo info = {.size = sizeof(info)};
    if (access("/etc/services", R_OK) != 0) {
        cr_skip_test("no /etc/services; runs with netbase");
    }
    expect_eq(weir_getnameinfo(n->loop, &address, &numeric, &info), 0);
    expect_str_eq(info.service, "https");
}

UNIT(getnameinfo, misuse_is_told)
{
    const struct weir_getnameinfo_options both = {
        .size = sizeof(both), .numeric_host = true, .name_required = true};
    const struct weir_getnameinfo_options unset = {.numeric_host = true};
    const struct weir_address address = address_of("192.0.2.1", 80);
    const struct weir_address none = {.len = 0};
    struct weir_nameinfo info = {.size = sizeof(info)};
    expect_eq(weir_getnameinfo(n->loop, &address, &both, &info), -EINVAL);
    expect_eq(weir_getnameinfo(n->loop, &address, &unset, &info),
              WEIR_EOPTIONSIZE);
    struct weir_nameinfo sizeless = {.size = 0};
    expect_eq(weir_getnameinfo(n->loop, &address, NULL, &sizeless),
              WEIR_EOPTIONSIZE);
    expect_eq(weir_getnameinfo(n->loop, NULL, NULL, &info), -EINVAL);
    expect_eq(weir_getnameinfo(n->loop, &address, NULL, NULL), -EINVAL);
    expect_eq(weir_getnameinfo(n->loop, &none, NULL, &info), -EINVAL);
    struct weir_address wrong = address;
    wrong.len = sizeof(wrong.storage.inet6);
    expect_eq(weir_getnameinfo(n->loop, &wrong, NULL, &info), -EINVAL);
    wrong = address_of("::1", 80);
    wrong.len = sizeof(wrong.storage.inet);
    expect_eq(weir_getnameinfo(n->loop, &wrong, NULL, &info), -EINVAL);
}
