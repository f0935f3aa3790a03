/*
 * Reading resolv.conf: search domains, options and their limits, and that
 * garbage changes nothing. Most tests read lines; two read a file, which is
 * there or not.
 */
#include "tests/no_fd.h"
#include "tests/unit.h"

#include "lib/names/resolv_conf.h"

#include <errno.h>

static struct wr_resolv_conf conf;

static void read_lines(const char *const *lines)
{
    wr_resolv_conf_init(&conf, NULL);
    for (; *lines; lines++) {
        wr_resolv_conf_read_line(&conf, *lines);
    }
}

UNIT(resolv_conf, without_a_file_the_domain_of_this_machine_is_searched)
{
    wr_resolv_conf_init(&conf, "host.a.example");
    expect_eq(conf.search.count, 1);
    expect_str_eq(conf.search.domains[0], "a.example");
    wr_resolv_conf_init(&conf, "host");
    expect_eq(conf.search.count, 0);
    expect_eq(conf.search.ndots, 1);
}

UNIT(resolv_conf, the_last_search_or_domain_counts)
{
    read_lines((const char *[]){"domain a.example\n", "search b.example  c\t\n",
                                "nameserver 192.0.2.1\n", NULL});
    expect_eq(conf.search.count, 2);
    expect_str_eq(conf.search.domains[0], "b.example");
    expect_str_eq(conf.search.domains[1], "c");

    read_lines((const char *[]){"search b.example c", "domain d", NULL});
    expect_eq(conf.search.count, 1);
    expect_str_eq(conf.search.domains[0], "d");
}

UNIT(resolv_conf, a_search_for_the_root_alone_searches_nothing)
{
    wr_resolv_conf_init(&conf, "host.a.example");
    wr_resolv_conf_read_line(&conf, "search .\n");
    expect_eq(conf.search.count, 0);
}

UNIT(resolv_conf, options_have_limits)
{
    read_lines((const char *[]){"options ndots:5 rotate timeout:3 attempts:2\n",
                                NULL});
    expect_eq(conf.search.ndots, 5);
    expect_eq(conf.timeout_s, 3);
    expect_eq(conf.attempts, 2);

    read_lines((const char *[]){
        "options ndots:99999999999999999999 timeout:31 attempts:6", NULL});
    expect_eq(conf.search.ndots, 15);
    expect_eq(conf.timeout_s, 30);
    expect_eq(conf.attempts, 5);
}

UNIT(resolv_conf, lines_that_are_not_understood_change_nothing)
{
    read_lines((const char *[]){"search a.example", "", "\n", "#search b",
                                ";domain b", " search b", "searching b",
                                "domainb", "options", "options ndots",
                                "options ndots=3 \xff\xfe", "nonsense", NULL});
    expect_eq(conf.search.count, 1);
    expect_str_eq(conf.search.domains[0], "a.example");
    expect_eq(conf.search.ndots, 1);
}

UNIT(resolv_conf, a_file_that_is_not_there_is_empty)
{
    expect_eq(wr_resolv_conf_read(&conf, "/nonexistent/resolv.conf"), 0);
    expect_eq(conf.timeout_s, 0);
    expect_eq(conf.search.ndots, 1);
}

static void read_text(const char *text, size_t len)
{
    char path[] = "/tmp/weir-resolv-conf-XXXXXX";
    int fd = mkstemp(path);
    expect_geq(fd, 0);
    expect_eq(write(fd, text, len), (ssize_t)len);
    close(fd);

    expect_eq(wr_resolv_conf_read(&conf, path), 0);
    unlink(path);
}

/* Else other servers would be asked than those that it names. */
UNIT(resolv_conf, a_lack_of_descriptors_is_no_empty_file)
{
    const struct rlimit before = use_up_descriptors();
    const int err = wr_resolv_conf_read(&conf, "/dev/null");
    give_descriptors(&before);
    expect_eq(err, -EMFILE);
}

UNIT(resolv_conf, a_file_is_read_line_by_line)
{
    static const char text[] = "# comment\nsearch a b\noptions timeout:7";
    read_text(text, sizeof(text) - 1);
    expect_eq(conf.search.count, 2);
    expect_eq(conf.timeout_s, 7);
}

/* Wherever a long line is cut, and whatever stands behind. */
UNIT(resolv_conf, no_part_of_a_domain_is_searched)
{
    char text[8192];
    for (int blanks = 900; blanks < 1100; blanks++) {
        const int len = snprintf(
            text, sizeof(text),
            "search a.example %*sshop.example options timeout:9 domain b\n"
            "options timeout:7\n",
            blanks, "");
        read_text(text, (size_t)len);
        expect_geq(conf.search.count, 1);
        for (size_t i = 0; i < conf.search.count; i++) {
            const char *domain = conf.search.domains[i];
            cr_assert(strcmp(domain, "a.example") == 0 ||
                          strcmp(domain, "shop.example") == 0 ||
                          strcmp(domain, "options") == 0 ||
                          strcmp(domain, "domain") == 0 ||
                          strcmp(domain, "b") == 0,
                      "%s", domain);
        }
        expect_eq(conf.timeout_s, 7);
    }
}
