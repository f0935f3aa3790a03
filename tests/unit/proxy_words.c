/*
 * weir-proxy's configuration, directive by directive: what each service, route
 * and target gets, which values are refused and why, and which configurations
 * are incomplete.
 *
 * Flags and files use the same functions.
 */
#define UNIT_RUN with_config
#include "tests/unit/proxy_config.h"
#include "tools/weir-proxy/config/check_plan.h"
#include "tools/weir-proxy/config/needs.h"

static void say_all(const char *text)
{
    struct directive one;
    for (unsigned line = 1; directive_at(text, line, &one); line++) {
        says(one.name, one.value);
    }
}

static void refuses(const char *name, const char *value, const char *reason)
{
    why[0] = '\0';
    cr_assert_not(words_say(&config, name, value, why), "%s %s", name, value);
    cr_assert_not_null(strstr(why, reason), "'%s %s' said: %s", name, value,
                       why);
}

static void with_config(void (*body)(void))
{
    config_init(&config);
    says("listen", "tcp://127.0.0.1:1");
    says("to", "tcp://127.0.0.1:2,tcp://127.0.0.1:3");
    body();
    config_free(&config);
}

UNIT(proxy_words, a_word_is_about_what_was_begun_last)
{
    say_all("weight 7; balance leastconn; idle-timeout 3s");
    const struct config_service *service = config_service(&config);
    const struct config_route *route = &service->routes[0];
    expect_eq(route->target_count, 2);
    expect_eq(route->targets[0].weight, 1);
    expect_eq(route->targets[1].weight, 7);
    expect_eq(route->balance, BALANCE_LEASTCONN);
    expect_eq(service->idle_timeout_ns, 3000000000);
    cr_assert(config_check(&config, why), "%s", why);
    cr_assert_str_eq(service->name, "tcp://127.0.0.1:1");
    expect_eq(route->targets[0].weight, 7); /* of one list */
}

UNIT(proxy_words, texts_of_checks_have_escapes)
{
    static const char sent[] = "PING\r\n\\\x7f"
                               "A\xff\t\0";
    says("check-send", "PING\\r\\n\\\\\\x7fA\\xfF\\t\\x00");
    const struct config_step *step = config_route(&config)->check_steps;
    expect_eq(step->send_size, sizeof(sent) - 1);
    expect_eq(memcmp(step->send, sent, sizeof(sent) - 1), 0);
    refuses("check-send", "\\q", "'\\q' is not an escape");
    refuses("check-send", "", "it needs a value");
    refuses("check-expect", "\\", "is not an escape");
    refuses("check-expect", "\\x1", "is not an escape");
    refuses("check-expect", "^", "it needs a value");
    expect_eq(config_route(&config)->check_step_count, 1);
}

static void expect_step(size_t index, const char *send, const char *expect,
                        bool begins)
{
    const struct config_step *step = &config_route(&config)->check_steps[index];
    expect_eq(!step->send, !send);
    expect_eq(!step->expect, !expect);
    expect_eq(step->begins, begins);
    expect_eq(step->send_size, send ? strlen(send) : 0);
    expect_eq(step->expect_size, expect ? strlen(expect) : 0);
    cr_assert(!send || memcmp(step->send, send, strlen(send)) == 0);
    cr_assert(!expect || memcmp(step->expect, expect, strlen(expect)) == 0);
}

UNIT(proxy_words, texts_of_checks_make_a_dialogue_in_their_order)
{
    say_all("check-expect ^220; check-expect \\n; check-send EHLO\\r\\n; "
            "check-expect \\x5e250; check-send QUIT\\r\\n");
    expect_eq(config_route(&config)->check_step_count, 4);
    expect_step(0, NULL, "220", true);
    expect_step(1, NULL, "\n", false);
    expect_step(2, "EHLO\r\n", "^250", false);
    expect_step(3, "QUIT\r\n", NULL, false);
    for (size_t i = 4; i < WEIR_UPSTREAM_CHECK_STEPS_MAX; i++) {
        says("check-send", "x");
    }
    refuses("check-send", "x", "more than 64 texts");
}

UNIT_IN(proxy_words, a_route_has_the_dialogue_before_it_or_its_own, with_empty,
        void)
{
    says("listen", "tls://127.0.0.1:1");
    says("passthrough", "");
    say_all("check text; check-send a; check-expect b; route one; to "
            "tcp://127.0.0.1:2");
    expect_eq(config_route(&config)->check_step_count, 1);
    expect_step(0, "a", "b", false);
    say_all("route two; check-expect c; to tcp://127.0.0.1:2");
    cr_assert(config_check(&config, why), "%s", why);
    expect_eq(config_route(&config)->check_step_count, 1);
    expect_step(0, NULL, "c", false);
}

UNIT(proxy_words, a_target_may_be_checked_elsewhere_and_otherwise)
{
    say_all(
        "to tcp://127.0.0.1:4; check-at tls://:8008; target-check 5s; "
        "target-rise 9; target-fall 1; to tcp://127.0.0.1:5,tcp://127.0.0.1:6; "
        "target-check off; check http");
    cr_assert(config_check(&config, why), "%s", why);
    const struct config_route *route = config_route(&config);
    const struct config_target *target = &route->targets[2];
    struct check_plan plan;
    check_plan_make(route, target, &plan);
    expect_eq(plan.check.port, 8008);
    expect_eq(plan.check.no_tls, false);
    expect_eq(plan.check.interval_ns, 5000000000);
    expect_eq(plan.check.rise, 9);
    expect_eq(plan.check.fall, 1);
    cr_assert(check_plan_has_tls(route, target));
    cr_assert_str_eq(check_plan_tls(route, target, NULL).server_hostname,
                     "127.0.0.1");
    check_plan_make(route, &route->targets[0], &plan);
    expect_eq(plan.check.port, 0);
    expect_eq(plan.check.interval_ns, 2000000000);
    expect_eq(plan.check.fall, 3);
    for (size_t i = 3; i < 5; i++) {
        cr_assert_not(check_plan_is_checked(route, &route->targets[i]));
        check_plan_make(route, &route->targets[i], &plan);
        expect_eq(plan.check.interval_ns, 0, "each of the list");
    }
}

/* Returns the PROXY version with which the last target is checked. */
static int header_of(void)
{
    const struct config_route *route = config_route(&config);
    struct check_plan plan;
    check_plan_make(route, config_target(&config), &plan);
    return (int)plan.check.proxy_version;
}

UNIT(proxy_words, a_check_has_the_header_of_connections_on_their_port_alone)
{
    says("check", "http");
    expect_eq(header_of(), 0);
    says("send-proxy", "v2");
    expect_eq(header_of(), WEIR_PROXY_V2);
    says("check-port", "3");
    expect_eq(header_of(), WEIR_PROXY_V2, "it is the target's");
    says("check-port", "4");
    expect_eq(header_of(), 0);
    says("check-proxy", "v1");
    expect_eq(header_of(), WEIR_PROXY_V1);
    says("check-proxy", "off");
    says("check-at", "tcp://:3");
    expect_eq(header_of(), 0);
    says("check-proxy", "auto");
    expect_eq(header_of(), WEIR_PROXY_V2);
    says("check-at", "tcp://127.0.0.9:3");
    expect_eq(header_of(), 0, "it is another machine");
    says("check-at", "unix:/a");
    expect_eq(header_of(), 0);
}

UNIT(proxy_words, checks_may_have_tls_where_targets_have_none)
{
    say_all("check http; check-tls on; check-ca a.pem; check-name api.example");
    cr_assert(config_check(&config, why), "%s", why);
    const struct config_route *route = config_route(&config);
    const struct weir_tls_settings tls =
        check_plan_tls(route, &route->targets[0], NULL);
    cr_assert(check_plan_needs_tls(route));
    cr_assert(check_plan_has_own_authorities(route));
    cr_assert_str_eq(tls.server_hostname, "api.example");
    says("check-tls", "off");
    cr_assert_not(check_plan_needs_tls(route));
}

UNIT(proxy_words, a_check_that_logs_in_has_a_user)
{
    says("check", "mysql:weir");
    expect_eq(config_route(&config)->check, WEIR_UPSTREAM_CHECK_MYSQL);
    cr_assert_str_eq(config_route(&config)->check_user, "weir");
    says("check", "3s");
    expect_eq(config_route(&config)->check, WEIR_UPSTREAM_CHECK_MYSQL);
    says("check", "postgres:a:b");
    expect_eq(config_route(&config)->check, WEIR_UPSTREAM_CHECK_POSTGRES);
    cr_assert_str_eq(config_route(&config)->check_user, "a:b");
    refuses("check", "mysql", "the check needs a user: mysql:USER");
    refuses("check", "http:a", "is neither off, tcp, tls, text, http");
    refuses("check", "mysql:", "with a user as in mysql:weir");
}

UNIT(proxy_words, an_address_behind_a_target_begins_the_next_service)
{
    say_all("listen tcp://127.0.0.1:4; listen unix:/run/a; to unix:/run/b");
    expect_eq(config.service_count, 2);
    expect_eq(config.services[0].listen_count, 1);
    expect_eq(config.services[1].listen_count, 2);
    cr_assert(config_check(&config, why), "%s", why);
}

UNIT_IN(proxy_words, a_route_has_targets_and_settings_of_its_own, with_empty,
        void)
{
    say_all("listen tls://127.0.0.1:1; cert a.pem; cert b.pem; key b.key; "
            "balance random; to tcp://127.0.0.1:2; route *.example.org");
    says("passthrough", "");
    says("to", "tcp://127.0.0.1:3");
    cr_assert(config_check(&config, why), "%s", why);
    const struct config_service *service = config_service(&config);
    expect_eq(service->route_count, 2);
    cr_assert_null(service->routes[0].server_name);
    cr_assert_str_eq(service->routes[1].server_name, "*.example.org");
    cr_assert(service->routes[1].passes_tls);
    cr_assert_not(service->routes[0].passes_tls);
    expect_eq(service->routes[1].balance, BALANCE_ROUNDROBIN);
    cr_assert_str_eq(service->keys.texts[0], "a.pem");
    cr_assert_str_eq(service->keys.texts[1], "b.key");
}

UNIT_IN(proxy_words, a_first_route_without_targets_is_none, with_empty, void)
{
    say_all("listen tls://127.0.0.1:1; route a.example; passthrough on; to "
            "tcp://127.0.0.1:2");
    cr_assert(config_check(&config, why), "%s", why);
    expect_eq(config_service(&config)->route_count, 1);
}

UNIT_IN(proxy_words, words_before_the_first_route_are_for_all_routes,
        with_empty, void)
{
    says("listen", "tls://127.0.0.1:1");
    says("passthrough", "");
    say_all("send-proxy v2; check http; check-path /a; route a; to "
            "tcp://127.0.0.1:2; route b; send-proxy v1; to tcp://127.0.0.1:3");
    cr_assert(config_check(&config, why), "%s", why);
    const struct config_service *service = config_service(&config);
    expect_eq(service->route_count, 2);
    expect_eq(service->routes[0].send_header, HEADER_V2);
    expect_eq(service->routes[1].send_header, HEADER_V1);
    cr_assert(service->routes[1].passes_tls);
    cr_assert_str_eq(service->routes[0].check_path, "/a");
    cr_assert_str_eq(service->routes[1].check_path, "/a");
}

UNIT(proxy_words, the_memory_limit_is_enough_if_each_thread_has_the_least)
{
    says("threads", "3");
    says("memory-limit", "12M");
    expect_eq(config.memory_limit_bytes, 12 << 20);
    cr_assert(config_check(&config, why), "%s", why);
    expect_eq(config_count_threads(&config), 3);
}

UNIT(proxy_words, queues_and_checks_have_forms_of_their_own)
{
    says("queue", "500:2s");
    says("check", "2500ms");
    const struct config_route *route = config_route(&config);
    expect_eq(route->queue_limit, 500);
    expect_eq(route->queue_timeout_ns, 2000000000);
    expect_eq(route->check, WEIR_UPSTREAM_CHECK_TCP);
    expect_eq(route->check_interval_ns, 2500000000);
    says("check", "http");
    expect_eq(route->check, WEIR_UPSTREAM_CHECK_HTTP);
    says("queue", "7");
    expect_eq(route->queue_limit, 7);
    expect_eq(route->queue_timeout_ns, 2000000000);
}

static const struct {
    const char *name;
    const char *value;
    const char *reason;
} wrong[] = {
    {"target-tls-name", "a b", "it is a name such as db.example"},
    {"target-tls-ca", "", "needs a value"},
    {"idle-timeout", "soon", "a time such as 500ms"},
    {"check-status", "20", "a status such as 200, or two of 100 to 599"},
    {"check-status", "200-", "a status such as 200, or two of 100 to 599"},
    {"check-status", "399-200", "a status such as 200, or two of 100 to 599"},
    {"check-status", "200-600", "a status such as 200, or two of 100 to 599"},
    {"check-tls", "yes", "'yes' is neither as-target, on nor off"},
    {"check-ca", "", "it needs a value"},
    {"check-name", "", "it needs a value"},
    {"check-at", "127.0.0.1:1",
     "is not an address for checks; write tcp://HOST"},
    {"check-at", "udp://127.0.0.1:1", "is not an address for checks"},
    {"check-at", "tcp://127.0.0.1", "has no port"},
    {"check-at", "tcp://:0", "has no port"},
    {"check-at", "unix:", "has no path"},
    {"target-check", "often", "is neither off nor a time such as 2s"},
    {"target-check", "0s", "is neither off nor a time such as 2s"},
    {"target-check", "5", "is neither off nor a time such as 2s"},
    {"client-rate", "100", "a number and a time of 1ms or more, such as"},
    {"client-rate", "0/1s", "a number and a time of 1ms or more, such as"},
    {"client-rate", "/1s", "a number and a time of 1ms or more, such as"},
    {"client-rate", "1/1us", "a number and a time of 1ms or more, such as"},
    {"client-rate", "5000000000/1s", "a number and a time of 1ms or more"},
    {"client-prefix", "32", "for IPv4 and IPv6, such as 32/64"},
    {"client-prefix", "0/64", "for IPv4 and IPv6, such as 32/64"},
    {"client-prefix", "33/64", "for IPv4 and IPv6, such as 32/64"},
    {"client-prefix", "32/129", "for IPv4 and IPv6, such as 32/64"},
    {"client-share", "", "it needs a value"},
    {"client-allow", "10.0.0.1/8", "a network such as 10.0.0.0/8, unix, or"},
    {"client-deny", "all", "a network such as 10.0.0.0/8, unix, or @FILE"},
    {"client-free", "", "a network such as 10.0.0.0/8, unix, or @FILE"},
    {"buffer", "much", "a size such as 64K"},
    {"weight", "-1", "a count such as 50"},
    {"weight", "300", "300 is out of range, 0 to 256"},
    {"buffer", "1K", "1K is out of range, 4K to 1G"},
    {"buffer", "2G", "2G is out of range, 4K to 1G"},
    {"memory-limit", "half", "a size such as 64K"},
    {"memory-limit", "0", "0 is out of range, 4M to 1048576G"},
    {"memory-limit", "4095K", "4095K is out of range, 4M to"},
    {"memory-limit", "2000000G", "is out of range, 4M to 1048576G"},
    {"tries", "0", "0 is out of range, 1 to 16"},
    {"tries", "17", "17 is out of range, 1 to 16"},
    {"limit", "4294967296", "4294967296 is out of range, 0 to 4294967295"},
    {"hello-timeout", "0", "0 is out of range, at least 1ns"},
    {"engine", "fast", "is not auto, uring or poll"},
    {"tls-library", "gnutls", "is not openssl, wolfssl or fips"},
    {"admin", "localhost:9100", "an address such as 127.0.0.1:9100"},
    {"admin", "99999", "or a port"},
    {"admin", "", "or a port"},
    {"handover",
     "/a/path/that/is/longer/than/the/107/bytes/that/the/address/of/a/"
     "Unix/socket/has/room/for/whatever/it/may/be/called",
     "is too long for the path of a Unix socket"},
    {"admin-token", "a", "'admin-token' was removed; use ctl"},
    {"ctl", "@abstract", "is not a path for a Unix socket"},
    {"check-path", "health", "a path such as /health"},
    {"check-path", "/a b", "without spaces"},
    {"route", "", "a server name, *.NAME or *"},
    {"route", "a.*", "a server name, *.NAME or *"},
    {"route", "a b", "a server name, *.NAME or *"},
    {"route", "a.test..", "a server name, *.NAME or *"},
    {"route", "*.", "a server name, *.NAME or *"},
    {"route-as", "tls", "must follow the 'route' that it narrows"},
    {"route-begin", "a", "must follow the 'route' that it narrows"},
    {"route-alpn", "a", "must follow the 'route' that it narrows"},
    {"queue", "4294967296", "such as 500:2s"},
    {"check", "0s", "a time such as 2s"},
    {"balance", "best", "roundrobin, leastconn, random, source, sni or first"},
    {"send-proxy", "v3", "off, v1 or v2"},
    {"send-proxy-tlv", "cn", "'cn' is not authority, alpn or ssl"},
    {"send-proxy-tlv", "ssl,", "'ssl,' is not authority, alpn or ssl"},
    {"backup-use", "some", "all or first"},
    {"to-addresses", "two", "one or all"},
    {"from", "here", "an address such as 192.0.2.1"},
    {"target-proxy", "v3", "as-route, off, v1 or v2"},
    {"resolver", "dns.example", "an address such as 10.0.0.53"},

    {"resolver", "", "an address such as 10.0.0.53"},
    {"when-down", "cut:", "a time such as cut:5s"},
    {"when-down", "cut:5", "a time such as cut:5s"},
    {"when-back", "cuts", "neither keep nor cut"},
    {"passthrough", "maybe", "neither on nor off"},
    {"trust", "10.0.0.0/33", "a network such as 10.0.0.0/8"},
    {"threads", "0", "0 is out of range, 1 to 1024"},
    {"threads", "1025", "is out of range, 1 to 1024"},
    {"queue", "x:2s", "such as 500:2s"},
    {"queue", "5:x", "such as 500:2s"},
    {"check", "often", "a time such as 2s"},
    {"check", "mysql:", "with a user as in mysql:weir"},
    {"keepalive", "0", "such as 5m:30s:4"},
    {"keepalive", "", "such as 5m:30s:4"},
    {"keepalive", "5m:30s", "such as 5m:30s:4"},
    {"keepalive", "5m:30s:0", "such as 5m:30s:4"},
    {"keepalive", "5m:30s:128", "such as 5m:30s:4"},
    {"keepalive", "5m:30s:4:1", "such as 5m:30s:4"},
    {"keepalive", "5m:0:4", "such as 5m:30s:4"},
    {"keepalive", "32768s", "with times up to 32767s"},
    {"log", "", "it needs a value"},
    {"user", "", "it needs a value"},
    {"group", "", "it needs a value"},
    {"chroot", "", "it needs a value"},
    {"sandbox", "maybe", "neither on nor off"},
    {"log", "syslog:log", "is not syslog:PATH with the path of a Unix socket"},
    {"log", "syslog:udp://log:514", "an address such as syslog:udp://127.0.0"},
    {"log", "journal", "'journal' was removed; use -"},
    {"log", "journal:/a", "'journal:/a' was removed; use -"},
    {"log-format", "xml", "is not text, json, or a format with fields"},
    {"log-format", "{client} {bytes}",
     "'{bytes}' is not a field; write a field"},
    {"log-format", "{client", "'{client' is not a field; write a field"},
    {"log-format", "{client}}", "'}' is not a field; write a field"},
    {"include", "/dev/null/none", "/dev/null/none: Not a directory"},
    {"include", "", ": No such file"},
    {"to", "@a", "'@a' is a group of targets, which only a file can have"},
    {"to", "udp://127.0.0.1:1",
     "is not a target; write tcp://HOST:PORT, "
     "tls://HOST:PORT, srv://NAME, tls+srv://NAME, sni:PORT, unix:PATH"},
    {"listen", "udp://127.0.0.1:1", "is not an address to listen at"},
    {"listen", "127.0.0.1:1",
     "at; write tcp://HOST:PORT, tls://HOST:PORT, "
     "any://HOST:PORT, unix:PATH or tls+unix:PATH"},
    {"to", "http://127.0.0.1:1", "is not a target"},
    {"sni-allow", "a", "it must follow the 'to'"},
    {"to", "127.0.0.1:1", "is not a target"},
    {"listen", "tcp://127.0.0.1", "has no port"},
    {"alpn", "h2,,x", "a list such as a,b"},
    {"name", "", "needs a value"},
    {"log", "", "needs a value"},
    {"cert", "", "needs a value"},
    {"key", "a", "must follow the cert that it belongs to"},
    {"key-passphrase-file", "", "needs a value"},
    {"key-log", "", "needs a value"},
    {"client-ca", "", "needs a value"},
    {"client-crl", "", "needs a value"},
    {"client-name", "a.example", "a name such as dns:a.example"},
    {"client-name", "dns:", "a name such as dns:a.example"},
    {"ciphers", "", "needs a value"},
    {"groups", "", "needs a value"},
    {"check-send", "\\q", "'\\q' is not an escape"},
    {"check-expect", "\\", "is not an escape"},
    {"check-host", "a b", "without spaces"},
    {"to-ca", "", "needs a value"},
    {"to-name", "", "needs a value"},
    {"to-cert", "", "needs a value"},
    {"to-key", "", "needs a value"},
    {"to-key-passphrase-file", "", "needs a value"},
    {"to-key-log", "", "needs a value"},
    {"to-crl", "", "needs a value"},
    {"to-ciphers", "", "needs a value"},
    {"to-groups", "", "needs a value"},
    {"wieght", "1", "did you mean 'weight'?"},
    {"nothing-like-it", "1", "unknown directive 'nothing-like-it'"},
};

#define WRONG_COUNT (sizeof(wrong) / sizeof(wrong[0]))

UNIT(proxy_words, wrong_values_are_refused_with_what_is_expected)
{
    for (size_t i = 0; i < WRONG_COUNT; i++) {
        refuses(wrong[i].name, wrong[i].value, wrong[i].reason);
    }
}

/* Expects that a number outside of the row's bounds is refused with the bounds.
 */
static void refuses_bounds(const struct option *row)
{
    char value[40];
    const char *unit = row->kind == OPTION_TIME ? "ns" : "";

    if (row->least > 0) {
        snprintf(value, sizeof(value), "%llu%s",
                 (unsigned long long)row->least - 1, unit);
        refuses(row->name, value, "is out of range");
    }
    if (row->most > 0) {
        snprintf(value, sizeof(value), "%llu%s",
                 (unsigned long long)row->most + 1, unit);
        refuses(row->name, value, "is out of range");
    }
}

static bool has_wrong_line(const struct option *row)
{
    size_t i = 0;

    while (i < WRONG_COUNT && strcmp(wrong[i].name, row->name) != 0) {
        i++;
    }
    return i < WRONG_COUNT;
}

/* Values that a row parses by its kind are tested here; values that a function
 * parses have a line above. */
UNIT(proxy_words, each_word_refuses_what_its_row_leaves_out)
{
    for (size_t i = 0; i < words.count; i++) {
        const struct option *row = &words.rows[i];
        if (!words_find(row->name ? row->name : "")) {
            continue;
        }
        if (row->read) {
            cr_assert(has_wrong_line(row), "%s has no line among 'wrong'",
                      row->name);
        } else if (row->kind == OPTION_SWITCH) {
            refuses(row->name, "maybe", "is neither on nor off");
        } else if (option_has_choices(row)) {
            refuses(row->name, "?", option_name_choice(row, 0));
        } else {
            refuses(row->name, "?", "is not a");
            refuses_bounds(row);
        }
    }
}

UNIT(proxy_words, options_of_the_command_line_are_no_words_of_a_file)
{
    static const char *const names[] = {"help", "version", "config", "test",
                                        "top"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        refuses(names[i], "1", "unknown directive");
        char itself[64];
        snprintf(itself, sizeof(itself), "did you mean '%s'", names[i]);
        cr_assert_null(strstr(why, itself), "%s", why);
    }
}

UNIT_IN(proxy_words, words_before_what_they_are_about_are_refused, with_empty,
        void)
{
    refuses("to", "tcp://127.0.0.1:1", "must follow the 'listen'");
    refuses("weight", "1", "must follow the 'to'");
    refuses("cert", "a", "must follow the 'listen'");
    refuses("route", "a", "must follow the 'listen'");
    says("listen", "tls://127.0.0.1:1");
    refuses("weight", "1", "must follow the 'to'");
    refuses("key", "a", "must follow the cert");
}

/* Expects that a configuration is refused; see expect_lack(). */
static void lacks(const char *name, const char *reason, const char *text)
{
    struct directive one;
    config_init(&config);
    for (unsigned line = 1; directive_at(text, line, &one); line++) {
        config.line_count = config.line = line;
        says(one.name, one.value);
    }
    expect_lack(name, reason, text);
    config_free(&config);
}

#define LISTEN "listen tcp://127.0.0.1:1"
#define LOCAL  "listen unix:/a"
#define SECURE "listen tls://127.0.0.1:1; cert a"
#define TO     "to tcp://127.0.0.1:2"
#define TO_TLS "to tls://a.test:2"

/* A directive and a value that has an effect; the directives before and after
 * it in a configuration without its condition; and the directives after it in
 * one with the condition. */
static const struct {
    const char *name;
    const char *value;
    const char *reason; /* after "NAME needs" */
    const char *before;
    const char *after;
    const char *enough;
} needing[] = {
#define ROUTE(name, value, reason, enough)                                     \
    {                                                                          \
        name, value, reason, LISTEN, TO, enough                                \
    }
#define TARGET(name, value, reason, enough)                                    \
    {                                                                          \
        name, value, reason, LISTEN "; " TO, NULL, enough                      \
    }
#define SERVICE(name, value, reason, enough)                                   \
    {                                                                          \
        name, value, reason, "listen tls://127.0.0.1:1",                       \
            "passthrough on; " TO, enough                                      \
    }
    ROUTE("client-table", "2000", "client-conns", "client-conns 1; " TO),
    ROUTE("log-format", "json", "log =", "log -; " TO),
    ROUTE("log-facility", "local0", "log = syslog", "log syslog; " TO),
    ROUTE("resolver", "10.0.0.1", "a target with a name", "to tcp://a.test:2"),
    ROUTE("client-ban", "1s", "client-conns", "client-rate 1/1s; " TO),
    ROUTE("client-prefix", "24/48", "client-conns", "client-conns 1; " TO),
    ROUTE("client-share", "a", "client-conns", "client-conns 1; " TO),
    ROUTE("client-free", "10.0.0.0/8", "client-conns", "client-conns 1; " TO),
    ROUTE("trust", "unix", "accept-proxy", "accept-proxy v1; " TO),
    ROUTE("hello-timeout", "1s", "accept-proxy, a", "accept-proxy v1; " TO),
    {"hello-timeout", "1s", "accept-proxy, a", SECURE, TO,
     "client-deny 10.0.0.0/8; " TO},
    {"hello-timeout", "1s", "accept-proxy, a", SECURE, TO,
     "listen any://127.0.0.1:3; " TO},
    {"hello-timeout", "1s", "accept-proxy, a", SECURE, TO "; route a; " TO,
     TO "; route *; route-begin a; " TO},
    {"hello-timeout", "1s", "accept-proxy, a", "listen tls://127.0.0.1:1",
     "cert a; " TO, "passthrough on; " TO},
    ROUTE("silent-after", "1s", "a route with route-as",
          TO "; route *; route-as silent; to tcp://127.0.0.1:3"),
    {"client-conns", "1", "a 'listen' that is not a Unix", LOCAL, TO,
     "accept-proxy v1; " TO},
    {"client-rate", "1/1s", "a 'listen' that is not a Unix", LOCAL, TO,
     LISTEN "; " TO},
    {"client-allow", "10.0.0.0/8", "a 'listen' that is not a Unix", LOCAL, TO,
     LISTEN "; " TO},
    {"client-deny", "10.0.0.0/8", "a 'listen' that is not a Unix", LOCAL, TO,
     LISTEN "; " TO},
    {"balance", "source", "a 'listen' that is not a Unix", LOCAL, TO,
     "accept-proxy v1; " TO},
    {"no-splice", "on", "a 'listen' and a 'to' without TLS", LISTEN, TO_TLS,
     TO},
    {"no-splice", "on", "a 'listen' and a 'to' without TLS", SECURE, TO,
     "passthrough on; " TO},
    {"no-splice", "on", "a 'listen' and a 'to' without TLS, and a",
     LISTEN "; rate-in 1M", "rate-out 1M; " TO, TO},
    {"keepalive", "9s", "a 'listen' or 'to' that is no", LOCAL, "to unix:/b",
     TO},
    ROUTE("ignore-unexpected-eof", "on", "a 'listen' or 'to'", TO_TLS),
    SERVICE("ignore-unexpected-eof", "on", "a 'listen' or 'to'", "cert a; " TO),
    SERVICE("cert", "a", "a route that terminates TLS", TO),
    SERVICE("key", "a", "a certificate", TO),
    SERVICE("key-passphrase-file", "a", "a certificate", "cert a; " TO),
    SERVICE("key-log", "a", "a certificate", "cert a; " TO),
    SERVICE("alpn", "h2", "a certificate", "cert a; " TO),
    SERVICE("tls-min", "1.3", "a certificate", "cert a; " TO),
    SERVICE("ciphers", "a", "a certificate", "cert a; " TO),
    SERVICE("groups", "P-256", "a certificate", "cert a; " TO),
    SERVICE("unknown-name", "refuse", "a certificate", "cert a; " TO),
    SERVICE("handshake-timeout", "1s", "a certificate", "cert a; " TO),
    {"require-client-cert", "on", "client-ca", SECURE, TO, "client-ca a; " TO},
    SERVICE("client-ca", "a", "a certificate", "cert a; " TO),
    {"client-crl", "a", "client-ca", SECURE, TO, "client-ca a; " TO},
    {"client-name", "cn:a", "client-ca = FILE and require-client-cert = on",
     SECURE, TO, "client-ca a; " TO},
    ROUTE("stay", "on", "balance = first", "balance first; " TO),
    ROUTE("backup-use", "first", "a target with backup", TO "; backup on"),
    {"send-proxy-tlv", "ssl", "send-proxy", SECURE, TO, TO "; target-proxy v2"},
    {"send-proxy-tlv", "ssl", "send-proxy = v2, and", LISTEN "; send-proxy v2",
     TO, "accept-proxy v2; " TO},
    {"send-proxy-tlv", "ssl", "send-proxy = v2, and",
     "listen tls://127.0.0.1:1; send-proxy v2", "passthrough on; " TO,
     "cert a; " TO},
    {"send-proxy-tlv", "alpn", "send-proxy = v2, and", SECURE "; send-proxy v2",
     TO, "alpn h2; " TO},
    ROUTE("queue", "5", "a target with limit", TO "; limit 1"),
    {"check", "tcp", "a check of a target", LISTEN, TO "; target-check off",
     TO},
    {"eject-time", "1s", "eject", LISTEN, "eject 0; " TO, TO},
    {"slow-start", "1s", "a check, or eject", LISTEN, "eject 0; " TO,
     "check tcp; eject 0; " TO},
    {"slow-start", "1s", "a check, or eject",
     LISTEN "; balance first; check tcp", TO, "balance random; " TO},
    ROUTE("resolve", "1s", "a target with a name", "to tcp://a.test:2"),
    ROUTE("to-addresses", "all", "a target with a name",
          "to srv://_a._tcp.test"),
    ROUTE("check-timeout", "1s", "a check", "check tcp; " TO),
    ROUTE("check-fast", "1s", "a check", TO "; target-check 2s"),
    ROUTE("check-rise", "1", "a check", "check tcp; " TO),
    ROUTE("check-fall", "1", "a check", "check tcp; " TO),
    ROUTE("check-port", "9", "a check", "check tcp; " TO),
    {"check-port", "9", "a check of a target", LISTEN "; check tcp",
     TO "; check-at tcp://:3", TO "; check-at tcp://:3; to tcp://127.0.0.1:4"},
    ROUTE("check-proxy", "v1", "a check", "check tcp; " TO),
    ROUTE("unchecked", "use", "a check", "check tcp; " TO),
    ROUTE("when-down", "cut", "a check", "check tcp; " TO),
    {"when-back", "cut", "a target with backup", LISTEN, "check tcp; " TO,
     "check tcp; " TO "; to unix:/b; backup on"},
    {"when-back", "cut", "a target with backup", LISTEN,
     TO "; to unix:/b; backup on; target-check 1s",
     TO "; target-check 1s; to unix:/b; backup on"},
    ROUTE("check-send", "a", "check = text", "check text; " TO),
    ROUTE("check-expect", "a", "check = text", "check text; " TO),
    ROUTE("check-path", "/a", "check = http", "check http; " TO),
    ROUTE("check-status", "200", "check = http", "check http; " TO),
    ROUTE("check-host", "a", "check = http", "check http; " TO),
    ROUTE("check-tls", "on", "a check with text", "check http; " TO_TLS),
    {"check-tls", "on", "a check with text", LISTEN "; check http",
     TO_TLS "; check-at tcp://:3", TO_TLS},
    ROUTE("check-ca", "a", "checks with TLS", "check tls; " TO_TLS),
    {"check-ca", "a", "checks with TLS, and not",
     LISTEN "; check tls; check-insecure on", TO_TLS,
     "check-insecure off; " TO_TLS},
    ROUTE("check-name", "a", "checks with TLS", "check http; " TO_TLS),
    ROUTE("check-insecure", "on", "checks with TLS", "check tls; " TO_TLS),
    ROUTE("to-ca", "a", "a target with tls://", TO_TLS),
    ROUTE("to-name", "a", "a target with tls://", TO_TLS),
    ROUTE("to-cert", "a", "a target with tls://", TO_TLS),
    ROUTE("to-key", "a", "to-cert", "to-cert a; " TO_TLS),
    ROUTE("to-key-passphrase-file", "a", "to-cert", "to-cert a; " TO_TLS),
    ROUTE("to-key-log", "a", "a target with tls://", TO_TLS),
    ROUTE("to-crl", "a", "a target with tls://", TO_TLS),
    {"to-ca", "a", "a target with tls:// and", LISTEN "; to-insecure on",
     TO_TLS, "to-insecure off; " TO_TLS},
    {"to-crl", "a", "a target with tls:// and", LISTEN "; to-insecure on",
     TO_TLS, "to-insecure off; " TO_TLS},
    {"to-crl", "a", "a target with tls:// and without target-tls-ca", LISTEN,
     TO_TLS "; target-tls-ca a", TO_TLS},
    ROUTE("to-tls-min", "1.3", "a target with tls://", TO_TLS),
    ROUTE("to-ciphers", "a", "a target with tls://", TO_TLS),
    ROUTE("to-groups", "P-256", "a target with tls://", TO_TLS),
    ROUTE("to-insecure", "on", "a target with tls://", TO_TLS),
    TARGET("target-tls-name", "a", "a target with tls://",
           "check tls; check-at tls://:3"),
    TARGET("target-tls-ca", "a", "a target with tls://",
           "check tls; check-at tls://:3"),
    {"weight", "2", "a balance other than first", LISTEN "; balance first; " TO,
     NULL, "balance source"},
    TARGET("check-at", "tcp://:3", "a check", "check tcp"),
    TARGET("target-rise", "1", "a check", "target-check 1s"),
    TARGET("target-fall", "1", "a check", "check tcp"),
#undef ROUTE
#undef TARGET
#undef SERVICE
};

/* Applies row @index, with or without its condition; its line is 7. The
 * condition in [defaults] is not enough. */
static bool check_needing(size_t index, bool is_enough)
{
    config_free(&config);
    config_init(&config);
    config.line_count = 9;
    config.line = 1;
    say_all(needing[index].before);
    config.inherits = true;
    say_all("cert a; require-client-cert on");
    config.inherits = false;
    config.line = 7;
    says(needing[index].name, needing[index].value);
    config.line = 8;
    say_all(is_enough ? needing[index].enough : needing[index].after);
    return config_check(&config, why);
}

UNIT_IN(proxy_words, a_word_without_what_it_needs_is_refused_by_its_line,
        with_empty, void)
{
    char wanted[256];

    for (size_t i = 0; i < sizeof(needing) / sizeof(needing[0]); i++) {
        snprintf(wanted, sizeof(wanted), "%s needs %s", needing[i].name,
                 needing[i].reason);
        cr_assert_not(check_needing(i, false), "%s", wanted);
        cr_assert_not_null(strstr(why, wanted), "'%s' said: %s", wanted, why);
        cr_assert_eq(config.line, 7, "%s: line %u", wanted, config.line);
        cr_assert(check_needing(i, true), "%s: %s", needing[i].name, why);
    }
}

UNIT_IN(proxy_words, each_word_that_needs_something_is_tried, with_empty, void)
{
    for (size_t i = 0; i < words.count; i++) {
        bool is_tried = words.rows[i].need <= NEED_LINE ||
                        words.rows[i].need == NEED_FROM; /* in [defaults] */
        for (size_t j = 0; j < sizeof(needing) / sizeof(needing[0]); j++) {
            is_tried |= strcmp(words.rows[i].name ? words.rows[i].name : "",
                               needing[j].name) == 0;
        }
        cr_assert(is_tried, "%s", words.rows[i].name);
    }
}

UNIT_IN(proxy_words, services_may_follow_each_other, with_empty, void)
{
    say_all(
        "listen tcp://0.0.0.0:1; " TO
        "; listen tcp://[::]:1; name b; to tcp://127.0.0.1:3; admin [::]:2; "
        "listen tcp://10.0.0.1:3; name c; to tcp://10.0.0.2:3; listen "
        "tcp://[::ffff:10.0.0.1]:2; name d; to tls://a.test:2,tcp://b.test:2; "
        "target-tls-name a; from 10.0.0.9; check http; check-port 9; "
        "target-check off; to unix:/b; target-check off; " TO);
    cr_assert(config_check(&config, why), "%s", why);
}

UNIT_IN(proxy_words, a_value_that_changes_nothing_needs_nothing, with_empty,
        void)
{
    say_all(
        LISTEN
        "; stay off; queue 0:5s; when-down keep; check-tls as-target; "
        "check-proxy auto; unchecked wait; tls-min 1.2; to-addresses one; " TO);
    cr_assert(config_check(&config, why), "%s", why);
    say_all("listen unix:/a; client-deny unix; balance random; " TO);
    cr_assert(config_check(&config, why), "%s", why);
}

UNIT_IN(proxy_words, checks_and_clients_that_are_no_whole_are_refused,
        unit_alone, void)
{
    lacks("check-port", "'unix:/a' has no other port to check",
          LISTEN "; check tcp; check-port 2; to unix:/a");
    lacks("check-expect", "check = text", LISTEN "; check-expect 0:a; " TO);
    lacks("check-port", "check-port needs check-tls",
          LISTEN "; check http; check-port 2; to tls://127.0.0.1:2");
    lacks("stay", "when-back cut contradicts stay",
          LISTEN "; stay on; balance first; check tcp; when-back cut; to "
                 "tcp://127.0.0.1:2; to unix:/b; backup on");
    lacks("check-at", "check tls needs a check-at with tls://",
          LISTEN "; check tls; to tls://127.0.0.1:2; check-at tcp://:3");
    lacks("check-at", "'unix:/a' has no other port to check",
          LISTEN "; check tcp; to unix:/a; check-at tcp://:3");
    lacks("check", "check-name is required",
          LISTEN "; check http; check-tls on; to unix:/a");
    lacks("check", "check-send or check-expect",
          LISTEN "; check text; check off; to tcp://127.0.0.1:2; target-check "
                 "1s; check text");
    lacks("client-share", "services that share 'a' have the same client-conns",
          LISTEN
          "; client-conns 1; client-share a; to tcp://127.0.0.1:2; listen "
          "tcp://127.0.0.1:3; client-conns 2; client-share a; " TO);
}

UNIT_IN(proxy_words, a_refusal_names_the_line_of_its_directive, unit_alone,
        void)
{
    lacks("passthrough", "passthrough needs a 'listen'",
          LISTEN "; passthrough on; " TO);
    lacks("route", "route needs a 'listen' with tls://",
          LISTEN "; balance first; route a; tries 1; " TO);
    lacks("balance", "balance sni needs",
          LISTEN "; balance sni; route *; " TO "; route *; route-begin a; " TO);
    lacks("check-tls", "check-tls off contradicts check tls",
          LISTEN "; check tls; check-tls off; check-name a; " TO_TLS);
    lacks("from", "from is of another address family",
          LISTEN "; " TO
                 "; to tcp://[::1]:2,tcp://a.test:2; from 127.0.0.2; weight 2");
    lacks("check-at", "check-at and from are of different",
          LISTEN "; check tcp; " TO "; from 127.0.0.2; check-at tcp://[::1]:2");
}

UNIT_IN(proxy_words, a_configuration_that_is_no_whole_is_told_what_it_lacks,
        unit_alone, void)
{
    lacks(NULL, "there is no service", "threads 2");
    lacks("listen", "has no target", "listen tcp://127.0.0.1:1");
    lacks("memory-limit",
          "memory-limit: 8 MiB is too small for 3 threads; at least 4 MiB "
          "for each",
          "memory-limit 8M; threads 3; listen tcp://127.0.0.1:1; " TO);
    lacks("listen", "needs a certificate", "listen tls://127.0.0.1:1; " TO);
    lacks("alpn", "alpn needs a certificate",
          "listen any://127.0.0.1:1; alpn a; cert a; route *; route-begin "
          "a; " TO);
    lacks("cert", "cert needs a route that terminates TLS",
          "listen any://127.0.0.1:1; cert a; route *; route-as plain; " TO);
    lacks("route", "'b' has no target",
          "listen tls://127.0.0.1:1; cert a; to tcp://127.0.0.1:2; route b");
    lacks("to", "passthrough needs a target with tcp://",
          "listen tls://127.0.0.1:1; passthrough on; to tls://127.0.0.1:2");
    lacks("balance", "balance sni needs a 'listen' with tls://",
          LISTEN "; balance sni; " TO);
    lacks("check", "check-send or check-expect", LISTEN "; check text; " TO);
    lacks("client-ca", "client-ca needs a certificate",
          LISTEN "; client-ca a; " TO);
    lacks("check", "check tls needs a target with tls://",
          LISTEN "; check tls; " TO);
    lacks("to", "to-name is required", LISTEN "; to tls+unix:/a");
    lacks("to", "is a target twice",
          LISTEN "; to tcp://127.0.0.1:2,tcp://127.0.0.1:2");
    lacks("to", "is a target twice",
          LISTEN "; to tcp://[::2]:2,tcp://[0:0::2]:02");
    lacks("to", "is a target twice",
          LISTEN "; to tcp://a.test:2,tcp://A.test:2");
    lacks("to",
          "'tcp://127.0.0.1:1' is an address of service "
          "'tcp://127.0.0.1:1': a loop",
          LISTEN "; to tcp://127.0.0.1:1");
    lacks("to", "a loop", "listen tcp://:1; to tcp://localhost:1");
    lacks("to", "a loop", "listen tcp://[::]:1; to tcp://[::1]:1");
    lacks("to", "a loop", LISTEN "; to tcp://[::ffff:127.0.0.1]:1");
    lacks("to", "a loop", "listen unix:/a; to unix:/a");
    lacks("to", "a loop",
          LISTEN "; " TO "; listen tcp://127.0.0.1:2; name b; to "
                 "tcp://127.0.0.1:3,tcp://127.0.0.1:1");
    lacks("listen", "is listened on twice",
          "listen tcp://[::ffff:127.0.0.1]:01; " LISTEN "; " TO);
    lacks("route", "two routes are for 'a'",
          "listen tls://127.0.0.1:1; route a; passthrough on; to "
          "tcp://127.0.0.1:2; route a; passthrough on; to tcp://127.0.0.1:3");
    lacks("route", "two routes are for 'A'",
          "listen tls://127.0.0.1:1; route a; passthrough on; to "
          "tcp://127.0.0.1:2; route A; passthrough on; to tcp://127.0.0.1:3");
    lacks("listen", "is included in the address at listen = tcp://0.0.0.0:1:",
          "listen tcp://0.0.0.0:1; " LISTEN "; " TO);
    lacks("admin", "admin: '1' is listened on twice; also by the service",
          LISTEN "; " TO "; admin 1");
    lacks("admin", "is included in the address",
          "listen tcp://:1; " TO "; admin [::1]:1");
    lacks("name", "two services are named 'a'",
          LISTEN "; name a; to tcp://127.0.0.1:2; listen tcp://127.0.0.1:3; "
                 "name a; " TO);
}
