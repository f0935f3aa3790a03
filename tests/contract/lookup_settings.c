/*
 * Settings of the built-in resolver, from the program and from a file: how long
 * and how often servers are queried, over which protocol, and for which
 * families.
 */
#include "tests/contract/names_rig.h"

#include <sched.h>
#include <weir/embed.h>

NAMES(lookup_settings,
      a_file_of_settings_says_how_long_and_how_often_servers_are_asked, n)
{
    const struct weir_getaddrinfo_options options = {
        .size = sizeof(options), .family = AF_INET, .timeout_ns = UINT64_MAX};
    char path[] = "/tmp/weir-resolv-conf-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    fputs("options timeout:3 attempts:1\n", file);
    fclose(file);
    expect_eq(weir_loop_set_dns_options(
                  n->loop, SIZED(weir_dns_options, .servers = n->server.address,
                                 .search = "", .resolv_conf = path)),
              0);
    const uint64_t start_ns = until_clock_ns();

    names_lookup(n, "silent.example", &options);
    unlink(path);

    expect_eq(n->result, WEIR_EDNSTIMEOUT);
    expect_geq(until_clock_ns() - start_ns, 2900 * MS, "the default is 2 s");
    expect_str_eq(dns_server_read_log(&n->server), "A silent.example. ");
}

NAMES(lookup_settings, a_server_is_asked_as_often_as_settings_say, n)
{
    static const struct {
        const char *settings;
        uint32_t tries;
        size_t count;
    } rows[] = {
        {"", 0, 3},
        {"options attempts:2\n", 0, 2},
        {"options attempts:2\n", 4, 4},
        {"", 1, 1},
    };
    static const char question[] = "A silent.example. ";
    char path[] = "/tmp/weir-resolv-conf-XXXXXX";
    close(mkstemp(path));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        FILE *file = fopen(path, "we");
        fputs(rows[i].settings, file);
        fclose(file);
        expect_eq(
            weir_loop_set_dns_options(
                n->loop, SIZED(weir_dns_options, .servers = n->server.address,
                               .search = "", .resolv_conf = path,
                               .try_timeout_ns = MS, .tries = rows[i].tries)),
            0);
        n->server.log[0] = '\0';
        names_lookup(n, "silent.example",
                     SIZED(weir_getaddrinfo_options, .family = AF_INET));
        dns_server_wait(&n->server);
        expect_eq(n->result, WEIR_EDNSTIMEOUT);
        expect_eq(strlen(dns_server_read_log(&n->server)),
                  rows[i].count * strlen(question), "%zu: %s", i,
                  dns_server_read_log(&n->server));
    }
    unlink(path);
}

static char settings_path[64];

/* Writes a settings file, which cannot specify the port of the test's server.
 */
static void make_settings(struct names *n, const char *text)
{
    strcpy(settings_path, "/tmp/weir-resolv-conf-XXXXXX");
    FILE *file = fdopen(mkstemp(settings_path), "w");
    fputs(text, file);
    fclose(file);
    expect_eq(
        weir_loop_set_dns_options(
            n->loop, SIZED(weir_dns_options, .servers = n->server.address,
                           .resolv_conf = settings_path, .no_cache = true)),
        0);
}

static void remove_settings(void)
{
    unlink(settings_path);
}

NAMES(lookup_settings, a_file_of_settings_says_that_servers_are_asked_by_TCP, n)
{
    make_settings(n, "search one.example\noptions use-vc\n");
    names_expect(n, "a4-a6", NULL, "[2001:db8::1]:80 192.0.2.1:80 ");
    expect_eq(n->server.udp_count, 0);
    expect_eq(n->server.tcp_count, 2);
    remove_settings();
}

/* This includes a search that continues and one that ends at an alias. */
NAMES(lookup_settings, errors_of_servers_are_told_apart_by_TCP, n)
{
    static const struct {
        const char *host;
        int err;
        const char *asked;
    } rows[] = {
        {"fail.host", WEIR_EDNSSERVFAIL,
         "A fail.host. A fail.host.one.example. "},
        {"fail", WEIR_EDNSSERVFAIL, "A fail.one.example. A fail. "},
        {"refused.host", WEIR_EDNSREFUSED,
         "A refused.host. A refused.host.one.example. "},
        {"notimp.host", WEIR_EDNSREFUSED,
         "A notimp.host. A notimp.host.one.example. "},
        {"none", WEIR_EDNSNODATA, "A none.one.example. A none. "},
        {"loop", WEIR_EDNSNODATA, "A loop.one.example. "},
    };
    make_settings(n, "search one.example\noptions use-vc\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(n->server.log, 0, sizeof(n->server.log));
        names_lookup(n, rows[i].host,
                     SIZED(weir_getaddrinfo_options, .family = AF_INET));
        expect_eq(n->result, rows[i].err, "%s: %s", rows[i].host,
                  weir_err_name(n->result));
        expect_str_eq(dns_server_read_log(&n->server), rows[i].asked);
    }
    expect_eq(n->server.udp_count, 0);
    remove_settings();
}

/* The long response comes first, over the same connection. */
NAMES(lookup_settings, a_refusal_behind_a_long_answer_by_TCP_is_told, n)
{
    const struct weir_getaddrinfo_options options = {.size = sizeof(options),
                                                     .family = AF_INET};
    make_settings(n, "options use-vc\n");
    expect_eq(names_start(n, "n200.example", &options), 0);
    expect_eq(names_start(n, "refused.example.", &options), 0);
    expect_eq(weir_loop_run_until(n->loop, names_is_over, n), 0);
    expect_eq(n->result, WEIR_EDNSREFUSED, "%s", weir_err_name(n->result));
    remove_settings();
}

NAMES(lookup_settings,
      a_file_of_settings_says_that_no_IPv6_address_is_asked_for, n)
{
    make_settings(n, "search one.example\noptions no-aaaa\n");
    names_expect(n, "a4-a6", NULL, "192.0.2.1:80 ");
    names_expect(n, "nx.example", NULL, "WEIR_EDNSNOTFOUND");
    names_expect(n, "a4-a6.example",
                 SIZED(weir_getaddrinfo_options, .family = AF_INET6),
                 "WEIR_EDNSNODATA");
    expect_str_eq(dns_server_read_log(&n->server),
                  "A a4-a6.one.example. A nx.example. "
                  "A nx.example.one.example. ");
    remove_settings();
}

NAMES(lookup_settings,
      a_file_of_settings_says_that_families_are_asked_for_in_turn, n)
{
    make_settings(n, "search one.example\noptions single-request ndots:2\n");
    names_expect(n, "a6.host", NULL, "[2001:db8::1]:80 ");
    expect_str_eq(dns_server_read_log(&n->server),
                  "A a6.host.one.example. AAAA a6.host.one.example. ");
    names_expect(n, "late4-a4-a6.host", NULL, "[2001:db8::1]:80 192.0.2.1:80 ");
    remove_settings();
}

NAMES(lookup_settings,
      a_file_of_settings_says_that_the_second_family_has_another_socket, n)
{
    static const struct {
        const char *line;
        int port_count;
    } rows[] = {{"options single-request\n", 1},
                {"options single-request-reopen\n", 2},
                {"options single-request-reopen use-vc\n", 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        n->server.port = n->server.port_count = 0;
        memset(n->server.log, 0, sizeof(n->server.log));
        make_settings(n, rows[i].line);
        names_lookup(n, "a4-a6.example", NULL);
        expect_str_eq(names_text(n), "[2001:db8::1]:80 192.0.2.1:80 ");
        expect_str_eq(dns_server_read_log(&n->server),
                      "A a4-a6.example. AAAA a4-a6.example. ");
        expect_eq(n->server.port_count, rows[i].port_count, "%zu", i);
        remove_settings();
    }
}

static void ignore_answer(void *arg, int err,
                          const struct weir_address *addresses, size_t count)
{
}

UNIT_IN(lookup_settings, without_a_server_this_machine_is_asked, unit_alone,
        void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(53),
                                        .sin_addr.s_addr =
                                            htonl(INADDR_LOOPBACK)};
    weir_loop *loop;
    char question[512];
    if ((unshare(CLONE_NEWNET) < 0 &&
         unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) ||
        system("ip link set lo up") != 0) {
        cr_skip_test("no network namespace; runs as root");
    }
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    expect_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    if (weir_loop_set_dns_options(
            loop, SIZED(weir_dns_options, .resolv_conf = "/dev/null",
                        .hosts = "/dev/null")) == WEIR_ENONAMES) {
        cr_skip_test("built without c-ares; runs with -Ddns=enabled");
    }
    expect_ok(weir_resolve_start(loop, "host.example", 80, NULL, ignore_answer,
                                 NULL, NULL));
    while (recv(fd, question, sizeof(question), 0) < 0) {
        expect_eq(weir_loop_run_once(loop), 0);
    }
    expect_eq(weir_loop_free(loop), 0);
    close(fd);
}
