/*
 * Parsing resolv.conf: servers, search domains, options and their limits, and
 * that garbage changes nothing.
 *
 * Most tests parse lines; some read a file, which may be endless or cannot be
 * opened.
 */
#include "tests/no_fd.h"
#include "tests/unit.h"

#include "lib/names/system_file.h"

#include <errno.h>

#include <arpa/inet.h>
#include <sched.h>

static struct wr_resolv_conf conf;

static const struct weir_allocator *memory(void)
{
    return wr_default_allocator();
}

static void clear(void)
{
    wr_resolv_conf_clear(memory(), &conf);
}

static void read_line(const char *line)
{
    expect_eq(wr_resolv_conf_read_line(memory(), &conf, line), 0);
}

static void begin(const char *hostname)
{
    expect_eq(wr_resolv_conf_init(memory(), &conf, hostname), 0);
}

static void read_lines(const char *const *lines)
{
    begin(NULL);
    for (; *lines; lines++) {
        read_line(*lines);
    }
}

/* Returns the domains, each followed by a space; static. */
static const char *domains(void)
{
    static char text[8192];
    const char *domain = conf.search.domains;

    text[0] = '\0';
    for (size_t i = 0; i < conf.search.count; i++) {
        strcat(strcat(text, domain), " ");
        domain += strlen(domain) + 1;
    }
    return text;
}

/* Returns the servers as c-ares gets them; static. */
static const char *servers(bool with_zones)
{
    static char text[WR_NAME_SERVERS_SIZE];

    memset(text, 'x', sizeof(text));
    wr_name_servers_write(&conf.servers, with_zones, text);
    return text;
}

UNIT(resolv_conf, without_a_file_the_domain_of_this_machine_is_searched)
{
    begin("host.a.example");
    expect_str_eq(domains(), "a.example ");
    begin("host");
    expect_eq(conf.search.count, 0);
    expect_eq(conf.search.ndots, 1);
    expect_str_eq(servers(true), "");
    clear();
}

UNIT(resolv_conf, the_last_search_or_domain_counts)
{
    read_lines((const char *[]){"domain a.example", "search b.example  c\t\r",
                                "nameserver 192.0.2.1", NULL});
    expect_str_eq(domains(), "b.example c ");

    read_lines((const char *[]){"search b.example c", "domain d e", NULL});
    expect_str_eq(domains(), "d ", "a domain is one");
    clear();
}

UNIT(resolv_conf, a_search_for_the_root_is_for_the_name_as_it_is)
{
    begin("host.a.example");
    read_line("search .");
    expect_str_eq(domains(), " ");
    clear();
}

UNIT(resolv_conf, options_have_limits)
{
    read_lines(
        (const char *[]){"options ndots:5 rotate timeout:3 attempts:2", NULL});
    expect_eq(conf.search.ndots, 5);
    expect_eq(conf.timeout_s, 3);
    expect_eq(conf.attempts, 2);

    read_lines((const char *[]){
        "options ndots:99999999999999999999 timeout:31 attempts:6", NULL});
    expect_eq(conf.search.ndots, 15);
    expect_eq(conf.timeout_s, 30);
    expect_eq(conf.attempts, 5);
    clear();
}

UNIT(resolv_conf, options_without_a_number_are_set_one_by_one)
{
    const struct {
        const char *word;
        const bool *flag;
    } flags[] = {
        {"rotate", &conf.rotate},
        {"use-vc", &conf.use_vc},
        {"no-aaaa", &conf.no_aaaa},
        {"no-reload", &conf.no_reload},
        {"no-tld-query", &conf.search.no_tld_query},
        {"single-request", &conf.single_request},
        {"single-request-reopen", &conf.single_request},
        {"single-request-reopen", &conf.reopens},
    };
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "options debug %s edns0", flags[i].word);
        begin(NULL);
        read_line("options debug edns0 trust-ad inet6 no-check-names");
        cr_assert(!*flags[i].flag, "%s", flags[i].word);
        read_line(line);
        cr_assert(*flags[i].flag, "%s", flags[i].word);
    }
    clear();
}

UNIT(resolv_conf, servers_are_addresses_and_may_have_a_zone)
{
    read_lines((const char *[]){
        "nameserver 192.0.2.1 # one", "nameserver\t2001:db8::1;two",
        "nameserver fe80::1%lo\r", "nameserver 127.1", "nameserver",
        "nameserver name.example", "nameserver fe80::1%nolink",
        "nameserver 192.0.2.1:5353", "nameserver192.0.2.9", NULL});
    expect_str_eq(servers(true), "192.0.2.1:53,[2001:db8::1]:53,"
                                 "[fe80::1%lo]:53,127.0.0.1:53");
    expect_str_eq(servers(false), "192.0.2.1:53,[2001:db8::1]:53,"
                                  "[fe80::1]:53,127.0.0.1:53");
    clear();
}

UNIT(resolv_conf, the_zone_of_a_server_is_found_by_its_address)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(53)};

    read_lines((const char *[]){"nameserver 192.0.2.1", "nameserver fe80::1%lo",
                                NULL});
    expect_eq(inet_pton(AF_INET6, "fe80::1", &address.sin6_addr), 1);
    expect_eq(wr_name_servers_get_zone(&conf.servers, &address), 1);
    expect_eq(inet_pton(AF_INET6, "fe80::2", &address.sin6_addr), 1);
    expect_eq(wr_name_servers_get_zone(&conf.servers, &address), 0);
    clear();
}

UNIT(resolv_conf, more_servers_than_have_room_are_left_out)
{
    begin(NULL);
    for (size_t i = 0; i <= WR_NAME_SERVERS_MAX; i++) {
        read_line("nameserver fe80:1111:2222:3333:4444:5555:6666:7777%lo");
    }
    expect_eq(conf.servers.count, WR_NAME_SERVERS_MAX);
    expect_eq(
        strlen(servers(true)),
        WR_NAME_SERVERS_MAX *
                strlen("[fe80:1111:2222:3333:4444:5555:6666:7777%lo]:53,") -
            1);
    clear();
}

UNIT(resolv_conf, a_list_of_servers_of_the_program_is_right_or_refused)
{
    static const char *const bad[] = {
        "",  "not a server", "127.0.0.1,x", "1.2.3.4:", "1.2.3.4:65536",
        ",", "[::1",         "::1]:53"};
    begin(NULL);
    expect_eq(wr_name_servers_read("127.0.0.1:5353, [::1]:1,::2,192.0.2.1",
                                   &conf.servers),
              0);
    expect_str_eq(servers(true),
                  "127.0.0.1:5353,[::1]:1,[::2]:53,192.0.2.1:53");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(wr_name_servers_read(bad[i], &conf.servers), -EINVAL, "%s",
                  bad[i]);
    }
    expect_eq(wr_name_servers_read("[fe80::1%nolink]:53", &conf.servers),
              -ENODEV);
    expect_eq(conf.servers.count, 4, "after an error nothing has changed");
    clear();
}

UNIT(resolv_conf, a_list_of_the_program_that_is_too_long_is_refused)
{
    char list[(WR_NAME_SERVERS_MAX + 1) * sizeof("192.0.2.1,")] = "";
    begin(NULL);
    for (size_t i = 0; i < WR_NAME_SERVERS_MAX; i++) {
        strcat(list, "192.0.2.1,");
    }
    expect_eq(wr_name_servers_read(list, &conf.servers), 0);
    expect_eq(conf.servers.count, WR_NAME_SERVERS_MAX);
    strcat(list, "192.0.2.2");
    expect_eq(wr_name_servers_read(list, &conf.servers), -ENOBUFS);
    expect_eq(conf.servers.count, WR_NAME_SERVERS_MAX);
    clear();
}

UNIT(resolv_conf, lines_that_are_not_understood_change_nothing)
{
    read_lines((const char *[]){
        "search a.example", "", "#search b", ";domain b", " search b",
        "searching b", "domainb", "search", "search \t", "domain ", "options",
        "options ndots", "options ndots=3 \xff\xfe", "nonsense", NULL});
    expect_str_eq(domains(), "a.example ");
    expect_eq(conf.search.ndots, 1);
    clear();
}

static int read_path(const char *path)
{
    return wr_resolv_conf_read(memory(), &conf, path);
}

UNIT(resolv_conf, the_name_of_this_machine_is_its_hostname)
{
    static const char name[] = "host.a.example";
    if (unshare(CLONE_NEWUTS) < 0 &&
        unshare(CLONE_NEWUSER | CLONE_NEWUTS) < 0) {
        cr_skip_test("no host name of its own; runs as root: %s",
                     strerror(errno));
    }
    expect_eq(sethostname(name, strlen(name)), 0);
    expect_eq(read_path("/dev/null"), 0);
    expect_str_eq(domains(), "a.example ");
    clear();
}

UNIT(resolv_conf, a_file_that_is_not_there_is_empty)
{
    expect_eq(read_path("/nonexistent/resolv.conf"), 0);
    expect_eq(conf.timeout_s, 0);
    expect_eq(conf.search.ndots, 1);
    clear();
}

static void read_text(const char *text, size_t len)
{
    char path[] = "/tmp/weir-resolv-conf-XXXXXX";
    int fd = mkstemp(path);
    expect_geq(fd, 0);
    expect_eq(write(fd, text, len), (ssize_t)len);
    close(fd);

    expect_eq(read_path(path), 0);
    unlink(path);
}

/* Otherwise other servers would be queried than the file names. */
UNIT(resolv_conf, a_lack_of_descriptors_is_no_empty_file)
{
    const struct rlimit before = use_up_descriptors();
    const int err = read_path("/dev/null");
    give_descriptors(&before);
    expect_eq(err, -EMFILE);
    clear();
}

UNIT(resolv_conf, a_file_is_read_line_by_line)
{
    static const char text[] = "# comment\nsearch a b\noptions timeout:7";
    read_text(text, sizeof(text) - 1);
    expect_str_eq(domains(), "a b ");
    expect_eq(conf.timeout_s, 7);
    clear();
}

UNIT(resolv_conf, a_file_has_an_end)
{
    expect_eq(read_path("/dev/zero"), 0);
    expect_eq(conf.servers.count, 0);
    clear();
}

/* Lines longer than any fixed buffer. */
UNIT(resolv_conf, a_line_of_any_length_is_read_whole)
{
    char text[80000];
    for (int blanks = 1; blanks < 70000; blanks = blanks * 2 + 1) {
        const int len = snprintf(text, sizeof(text),
                                 "search a.example %*sshop.example\n"
                                 "options timeout:7\n",
                                 blanks, "");
        read_text(text, (size_t)len);
        expect_str_eq(domains(), "a.example shop.example ");
        expect_eq(conf.timeout_s, 7);
    }
    clear();
}

UNIT(resolv_conf, the_environment_comes_after_the_file)
{
    static const char text[] = "search a b\noptions timeout:7 ndots:2";
    setenv("LOCALDOMAIN", "c.example d.example", 1);
    setenv("RES_OPTIONS", "ndots:5 use-vc", 1);
    read_text(text, sizeof(text) - 1);
    unsetenv("LOCALDOMAIN");
    unsetenv("RES_OPTIONS");
    expect_str_eq(domains(), "c.example d.example ");
    expect_eq(conf.search.ndots, 5);
    expect_eq(conf.timeout_s, 7);
    cr_assert(conf.use_vc);
    clear();
}
