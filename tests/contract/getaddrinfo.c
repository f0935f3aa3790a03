/*
 * getaddrinfo and getnameinfo in tasks: what they return, what they write, and
 * what they refuse. The name server that is asked says by the name what it
 * does: see dns_server.h.
 */
#include "tests/contract/names_rig.h"

#include <arpa/inet.h>

static struct weir_address address_of(const char *host, uint16_t port)
{
    struct weir_address address = {.len = 0};
    expect_eq(weir_address_parse(host, port, &address), 0);
    return address;
}

/* A test whose body runs as the main task of the rig's loop. */
#define NAMES_TASK(suite, name)                                                \
    static void suite##__##name##_asked(struct names *n);                      \
    static int suite##__##name##_main(weir_loop *loop, void *arg)              \
    {                                                                          \
        (void)loop;                                                            \
        suite##__##name##_asked(arg);                                          \
        return 0;                                                              \
    }                                                                          \
    NAMES(suite, name)                                                         \
    {                                                                          \
        expect_eq(                                                             \
            weir_loop_run_task(n->loop, suite##__##name##_main, n, NULL), 0);  \
    }                                                                          \
    static void suite##__##name##_asked(struct names *n)

NAMES_TASK(getaddrinfo, a_task_waits_for_the_addresses)
{
    n->result =
        weir_getaddrinfo(n->loop, "a4-a6.example", 443, NULL, n->addresses, 2);
    expect_eq(n->result, 2);
    expect_str_eq(names_text(n), "[2001:db8::1]:443 192.0.2.1:443 ");
}

NAMES_TASK(getaddrinfo, no_more_is_written_than_there_is_room_for)
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

static void unused(void *arg, int err, const struct weir_address *addresses,
                   size_t count)
{
    (void)arg;
    (void)err;
    (void)addresses;
    (void)count;
    cr_assert_fail("a task waits for the lookup");
}

NAMES_TASK(getaddrinfo, a_callback_is_for_the_call_that_takes_one)
{
    struct weir_getaddrinfo_options options = {.size = sizeof(options)};
    expect_eq(weir_lookup_start(n->loop, "a4.example", 443, &options, NULL),
              -EINVAL);
    expect_eq(weir_lookup_start(n->loop, "a4.example", 443, NULL, NULL),
              -EINVAL);
    options.done = unused;
    expect_eq(
        weir_getaddrinfo(n->loop, "a4.example", 443, &options, n->addresses, 1),
        -EINVAL);
}

NAMES_TASK(getaddrinfo, errors_are_returned)
{
    expect_eq(
        weir_getaddrinfo(n->loop, "nx.example", 443, NULL, n->addresses, 1),
        WEIR_EDNSNOTFOUND);
    expect_eq(weir_getaddrinfo(n->loop, "..", 443, NULL, n->addresses, 1),
              WEIR_EDNSBADNAME);
    expect_eq(n->addresses[0].len, 0);
}

NAMES(getaddrinfo, only_a_task_can_wait)
{
    expect_eq(
        weir_getaddrinfo(n->loop, "a4.example", 443, NULL, n->addresses, 1),
        WEIR_ENOTTASK);
}

/* ---- names of addresses ---- */

NAMES_TASK(getnameinfo, an_address_has_the_name_that_the_server_says)
{
    const struct weir_address address = address_of("192.0.2.1", 4711);
    struct weir_nameinfo info = {.size = sizeof(info)};
    expect_eq(weir_getnameinfo(n->loop, &address, NULL, &info), 0);
    expect_str_eq(info.host, "host.example");
    expect_str_eq(info.service, "4711");
}

NAMES_TASK(getnameinfo, an_address_without_a_name_is_written_in_numbers)
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

NAMES_TASK(getnameinfo, a_name_that_is_none_is_refused)
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

NAMES_TASK(getnameinfo, numbers_ask_no_server)
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

NAMES_TASK(getnameinfo, the_service_has_its_name)
{
    const struct weir_getnameinfo_options numeric = {.size = sizeof(numeric),
                                                     .numeric_host = true};
    const struct weir_address address = address_of("192.0.2.1", 443);
    struct weir_nameinfo info = {.size = sizeof(info)};
    if (access("/etc/services", R_OK) != 0) {
        cr_skip_test("no /etc/services");
    }
    expect_eq(weir_getnameinfo(n->loop, &address, &numeric, &info), 0);
    expect_str_eq(info.service, "https");
}

NAMES_TASK(getnameinfo, misuse_is_told)
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
