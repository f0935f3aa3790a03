/*
 * Host names as text: what is valid, what is this machine, and the names under
 * which a short one is looked up. The rules are pure, so the limits are tried
 * on both of their sides.
 */
#include "tests/unit.h"

#include "lib/names/name.h"

static char name_text[512];

/* A name of labels of @label_len bytes, @len bytes in all. */
static const char *name_of(size_t len, size_t label_len)
{
    memset(name_text, 'a', len);
    for (size_t i = label_len; i < len; i += label_len + 1) {
        name_text[i] = '.';
    }
    name_text[len] = '\0';
    return name_text;
}

UNIT(name, valid_names_are_letters_digits_hyphens_and_underscores)
{
    static const char *const valid[] = {
        "a",
        "example.com",
        "example.com.",
        "EXAMPLE.Com",
        "_srv._tcp.x",
        "1a.2b",
        "3com.com",
        "127.0.0.1.example",
        "xn--bcher-kva.example",
        "a-b",
        "-a",
        "0x7f",
    };
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        cr_assert(wr_name_is_valid(valid[i]), "%s", valid[i]);
    }
}

UNIT(name, what_can_be_no_name_is_refused)
{
    static const char *const invalid[] = {
        "",          ".",    "..",    ".a",      "a..b",      "a..",
        "a b",       "a\nb", "a\\.b", "a\\000b", "b\374cher", "a/b",
        "a:b",       "a%b",  "*.a",   "127.1",   "1.2.3.4",   "1.2.3.4.",
        "256.1.1.1", "0",    "a.1",   "a@b",
    };
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        cr_assert(!wr_name_is_valid(invalid[i]), "%s", invalid[i]);
    }
}

UNIT(name, case_and_a_last_dot_make_no_other_name)
{
    char text[WR_NAME_SIZE];
    cr_assert(wr_name_is_equal("a.example", "A.Example."));
    cr_assert(wr_name_is_equal("a.", "a."));
    cr_assert(!wr_name_is_equal("a.example", "a.example.b"));
    cr_assert(!wr_name_is_equal("a.example", "b.example"));
    wr_name_write("A.example.", text);
    expect_str_eq(text, "A.example");
    wr_name_write(text, text);
    expect_str_eq(text, "A.example");
    wr_name_write(name_of(253, 63), text);
    expect_eq(strlen(text), 253);
}

UNIT(name, labels_have_63_bytes_at_most_and_names_253)
{
    cr_assert(wr_name_is_valid(name_of(63, 63)));
    cr_assert(!wr_name_is_valid(name_of(64, 64)));
    cr_assert(wr_name_is_valid(name_of(253, 63)));
    cr_assert(!wr_name_is_valid(name_of(254, 63)));
    name_of(253, 63);
    strcat(name_text, ".");
    cr_assert(wr_name_is_valid(name_text), "the last dot does not count");
}

UNIT(name, localhost_and_what_is_below_it_is_this_machine)
{
    cr_assert(wr_name_is_localhost("localhost"));
    cr_assert(wr_name_is_localhost("LocalHost."));
    cr_assert(wr_name_is_localhost("a.b.localhost"));
    cr_assert(!wr_name_is_localhost("notlocalhost"));
    cr_assert(!wr_name_is_localhost("localhost.example"));
    cr_assert(!wr_name_is_localhost("ocalhost"));
    cr_assert(!wr_name_is_localhost(""));
}

/* The names of all steps, with a space behind each. */
static const char *steps(const char *name, size_t count, uint32_t ndots)
{
    static const char long_domain[] =
        "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
        "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
        "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
        "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
        "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a";
    struct wr_search_list search = {.ndots = ndots};
    static char list[1024];
    snprintf(list, sizeof(list), "one.example, %s b/d\ttwo.example.",
             long_domain);
    wr_name_read_search(list, &search);
    search.count = search.count < count ? search.count : count;
    static char all[1024];
    char text[WR_NAME_SIZE];

    all[0] = '\0';
    for (size_t i = 0; wr_name_candidate(name, &search, &i, text); i++) {
        strcat(strcat(all, text), " ");
    }
    return all;
}

UNIT(name, without_search_domains_a_name_is_looked_up_as_it_is)
{
    expect_str_eq(steps("host", 0, 1), "host. ");
    expect_str_eq(steps("host.example", 0, 5), "host.example. ");
}

UNIT(name, a_name_without_dots_is_looked_up_below_the_domains_first)
{
    expect_str_eq(steps("host", 1, 1), "host.one.example. host. ");
}

UNIT(name, a_name_with_dots_is_looked_up_as_it_is_first)
{
    expect_str_eq(steps("a.host", 1, 1), "a.host. a.host.one.example. ");
    expect_str_eq(steps("a.host", 1, 2), "a.host.one.example. a.host. ");
}

UNIT(name, a_dot_at_the_end_means_no_search)
{
    expect_str_eq(steps("host.", 1, 1), "host. ");
}

UNIT(name, domains_that_make_no_valid_name_are_left_out)
{
    char host[64];
    memset(host, 'h', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';

    cr_assert(strstr(steps("host", 4, 0), "host.a.a."));
    cr_assert(!strstr(steps("host", 4, 0), "b/d"));
    cr_assert(strstr(steps("host", 4, 0), "host.two.example. "));
    cr_assert(strstr(steps(host, 4, 1), "h.two.example. "));
    cr_assert(!strstr(steps(host, 4, 1), "h.a.a."), "254 bytes or more");
}

UNIT(name, a_list_of_domains_has_a_limit)
{
    struct wr_search_list search;

    wr_name_read_search("", &search);
    expect_eq(search.count, 0);
    wr_name_read_search(" a b c d e f g h i j\n", &search);
    expect_eq(search.count, WR_SEARCH_MAX);
    expect_str_eq(search.domains[0], "a");
    expect_str_eq(search.domains[WR_SEARCH_MAX - 1], "h");
}
