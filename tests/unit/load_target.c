/*
 * Targets as weir-load parses them: which texts are valid, and one clear line
 * for each kind of error.
 *
 * Names are not resolved, and no connection is made.
 */
#include "tools/common/target.c"

#include "tests/unit.h"

static struct target target;
static char why[TARGET_WHY_SIZE];

static void refuses(const char *text, bool listening, const char *reason)
{
    struct target before = {.port = 4711};

    target = before;
    why[0] = '\0';
    expect_eq(target_parse(text, listening, &target, why), -EINVAL, "%s", text);
    cr_assert_not_null(strstr(why, reason), "'%s' said: %s", text, why);
    cr_assert_null(strchr(why, '\n'));
    expect_eq(target.port, 4711, "a refusal wrote its result");
}

UNIT(load_target, an_address_and_a_port_are_a_target)
{
    expect_eq(target_parse("tcp://127.0.0.1:80", false, &target, why), 0);
    expect_str_eq(target.host, "127.0.0.1");
    expect_eq(target.port, 80);
    expect_eq(target.address.storage.any.sa_family, AF_INET);
    expect_str_eq(target.text, "tcp://127.0.0.1:80");
}

UNIT(load_target, udp_is_told_from_tcp)
{
    expect_eq(target_parse("udp://[::1]:53", false, &target, why), 0);
    cr_assert(target.is_datagram);
    expect_str_eq(target.host, "::1");
    expect_eq(target.port, 53);
    expect_eq(target_parse("tcp://[::1]:53", false, &target, why), 0);
    cr_assert_not(target.is_datagram);
    refuses("udp://[::1]", false, "udp://HOST:PORT");
    refuses("udp:", false, "not a target");
}

UNIT(load_target, tls_is_told_from_what_it_lies_on)
{
    expect_eq(target_parse("tls://[::1]:443", false, &target, why), 0);
    cr_assert(target.is_tls && !target.is_datagram);
    expect_str_eq(target.host, "::1");
    expect_eq(target.port, 443);
    expect_eq(target_parse("tls+unix:/tmp/x", false, &target, why), 0);
    cr_assert(target.is_tls);
    expect_str_eq(target.host, "");
    expect_eq(target.address.storage.any.sa_family, AF_UNIX);
    expect_eq(target_parse("unix:/tmp/x", false, &target, why), 0);
    cr_assert_not(target.is_tls);
    refuses("tls+unix:", false, "no path");
    refuses("tls://[::1]", false, "tls://HOST:PORT");
    refuses("tls:", false, "not a target");
}

UNIT(load_target, ipv6_stands_in_brackets)
{
    expect_eq(target_parse("tcp://[::1]:65535", false, &target, why), 0);
    expect_str_eq(target.host, "::1");
    expect_eq(target.port, 65535);
    expect_eq(target.address.storage.any.sa_family, AF_INET6);
    refuses("tcp://::1:80", false, "brackets");
}

UNIT(load_target, only_a_listener_may_leave_things_open)
{
    expect_eq(target_parse("tcp://*:0", true, &target, why), 0);
    expect_str_eq(target.host, "");
    expect_eq(target.port, 0);
    expect_eq(target_parse("tcp://:7", true, &target, why), 0);
    refuses("tcp://127.0.0.1:0", false, "port");
    refuses("tcp://:7", false, "no host");
    refuses("tcp://*:7", false, "host name");
}

UNIT(load_target, a_name_is_told_from_nonsense)
{
    expect_eq(target_parse("tcp://localhost:80", false, &target, why), 0);
    expect_str_eq(target.host, "localhost");
    expect_eq(target.port, 80);
    expect_eq(target.address.len, 0, "it is looked up later");
    refuses("tcp://local host:80", false, "not a host name");
    refuses("tcp://b/d:80", true, "not a host name");
    refuses("tcp://10.0.0.256:80", false, "not a host name");
    refuses("tcp://127.1:80", false, "not a host name");
    refuses("tcp://a..b:80", false, "not a host name");
    refuses("tcp://.a:80", false, "not a host name");
    refuses("tcp://.:80", false, "not a host name");
    expect_eq(target_parse("tcp://1a.2-b.example.:80", false, &target, why), 0);
}

UNIT(load_target, ports_are_numbers_up_to_65535)
{
    static const char *const bad[] = {
        "tcp://1.2.3.4:",    "tcp://1.2.3.4:65536",  "tcp://1.2.3.4:http",
        "tcp://1.2.3.4:80/", "tcp://1.2.3.4:000080", "tcp://1.2.3.4:-1",
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        refuses(bad[i], false, "port must be a number");
    }
    refuses("tcp://1.2.3.4", false, "no port");
    refuses("tcp://[::1]", false, "no port");
}

UNIT(load_target, other_schemes_are_none)
{
    refuses("http://1.2.3.4:5", false, "not a target");
    refuses("ftp://1.2.3.4:5", false, "not a target");
    refuses("1.2.3.4:5", false, "not a target");
    refuses("", false, "not a target");
}

UNIT(load_target, a_path_or_an_abstract_name_is_a_target)
{
    char text[WEIR_ADDRESS_TEXT_SIZE];
    static const char *const good[] = {"unix:/tmp/x", "unix:x", "unix:@name",
                                       "unix:///tmp/x"};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        expect_eq(target_parse(good[i], i % 2, &target, why), 0);
        expect_eq(target.address.storage.any.sa_family, AF_UNIX);
        weir_address_format(&target.address, text, sizeof(text));
        expect_str_eq(text, good[i]);
    }
    expect_eq(target_parse("unix:", true, &target, why), 0);
    refuses("unix:", false, "no path");
}

UNIT(load_target, a_path_that_is_too_long_is_refused)
{
    char text[5000];
    memset(text, 'p', sizeof(text));
    memcpy(text, "unix:", 5);
    text[sizeof(text) - 1] = '\0';
    refuses(text, false, "too long");
    refuses(text, true, "too long");
}

UNIT(load_target, a_host_that_is_too_long_is_refused)
{
    char text[300];

    memset(text, '1', sizeof(text));
    memcpy(text, "tcp://", 6);
    memcpy(text + 290, ":80", 4);
    refuses(text, false, "too long");
}
