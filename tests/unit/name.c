/*
 * Host names as text: which are valid, which mean this machine, and the names
 * under which a short one is looked up.
 *
 * The rules are pure, so the limits are tested on both sides.
 */
#include "tests/unit.h"

#include "lib/names/name.h"

static char name_text[512];

/* Returns a name with labels of @label_len bytes, @len bytes in total. */
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
        "az.AZ",
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
        "web.1",
        "a.1.2.3",
        "1.2.3.4.5",
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
        "256.1.1.1", "0",    "1.2.3", "a@b",
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

static const struct weir_allocator *memory(void)
{
    return wr_default_allocator();
}

/* Returns the names of a search, each followed by a space. The search is cut
 * after the first @cut names; 0 means never. */
static const char *search(const char *name, const char *list, uint32_t ndots,
                          bool no_tld_query, size_t cut)
{
    static char all[4096];
    struct {
        char text[WR_NAME_SIZE];
        char behind[16];
    } step = {.text = ""};
    struct wr_search_walk walk = {.has_begun = false};
    struct wr_search_list domains = {.ndots = ndots,
                                     .no_tld_query = no_tld_query};

    expect_eq(wr_search_read(memory(), list, &domains), 0);
    all[0] = '\0';
    for (size_t i = 1; wr_search_next(&walk, name, &domains, step.text); i++) {
        expect_leq(i, domains.count + 1);
        strcat(strcat(all, step.text), " ");
        if (i == cut) {
            wr_search_cut(&walk);
        }
    }
    cr_assert(!wr_search_next(&walk, name, &domains, step.text), "the end");
    for (size_t i = 0; i < sizeof(step.behind); i++) {
        expect_eq(step.behind[i], 0, "a byte behind the name was written");
    }
    wr_search_clear(memory(), &domains);
    return all;
}

static const char *steps(const char *name, const char *list, uint32_t ndots)
{
    return search(name, list, ndots, false, 0);
}

UNIT(name, without_search_domains_a_name_is_looked_up_as_it_is)
{
    expect_str_eq(steps("host", "", 1), "host. ");
    expect_str_eq(steps("host.example", "", 5), "host.example. ");
}

UNIT(name, a_name_without_dots_is_looked_up_below_the_domains_first)
{
    expect_str_eq(steps("host", "one.example", 1), "host.one.example. host. ");
}

UNIT(name, a_name_with_dots_is_looked_up_as_it_is_first)
{
    expect_str_eq(steps("a.host", "one.example", 1),
                  "a.host. a.host.one.example. ");
    expect_str_eq(steps("a.host", "one.example", 2),
                  "a.host.one.example. a.host. ");
}

UNIT(name, a_dot_at_the_end_means_no_search)
{
    expect_str_eq(steps("host.", "one.example", 1), "host. ");
}

UNIT(name, a_search_that_is_cut_ends_with_the_name_as_it_is)
{
    expect_str_eq(search("host", "a b c", 1, false, 1), "host.a. host. ");
    expect_str_eq(search("host", "a b c", 1, false, 3),
                  "host.a. host.b. host.c. host. ");
    expect_str_eq(search("a.host", "a b c", 1, false, 2), "a.host. a.host.a. ");
}

UNIT(name, the_root_is_a_domain_in_its_place)
{
    expect_str_eq(steps("host", ".", 1), "host. ");
    expect_str_eq(steps("host", "a . b", 1), "host.a. host. host.b. ");
    expect_str_eq(steps("a.host", "a . b", 1), "a.host. a.host.a. a.host.b. ");
}

UNIT(name, a_name_of_a_top_level_may_be_left_out)
{
    expect_str_eq(search("host", "a", 1, true, 0), "host.a. ");
    expect_str_eq(search("host", "", 1, true, 0), "host. ");
    expect_str_eq(search("a.host", "a", 2, true, 0), "a.host.a. a.host. ");
}

UNIT(name, domains_that_make_no_valid_name_are_left_out)
{
    char list[512];
    char host[64];

    memset(host, 'h', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    snprintf(list, sizeof(list), "one.example, %s b/d\ttwo.example.",
             name_of(230, 3));
    cr_assert(strstr(steps("host", list, 0), "host.aaa.aaa."));
    cr_assert(!strstr(steps("host", list, 0), "b/d"));
    cr_assert(strstr(steps("host", list, 0), "host.two.example. "));
    cr_assert(strstr(steps(host, list, 1), "h.two.example. "));
    for (size_t len = 20; len < 26; len++) {
        const char *all = steps(host + sizeof(host) - 1 - len, list, 1);
        expect_eq(strstr(all, "h.aaa.") != NULL, len + 1 + 230 <= 253, "%s",
                  all);
    }
    cr_assert(!strstr(steps(host, list, 1), "h.aaa."));
}

UNIT(name, a_list_of_domains_has_no_limit)
{
    enum { COUNT = 500 };
    struct wr_search_list domains = {.count = 0};
    struct wr_search_walk walk = {.has_begun = false};
    char list[COUNT * 8] = "";
    char text[WR_NAME_SIZE];
    char last[WR_NAME_SIZE] = "";

    for (int i = 0; i < COUNT; i++) {
        const size_t len = strlen(list);
        snprintf(list + len, sizeof(list) - len, "d%d ", i);
    }
    expect_eq(wr_search_read(memory(), list, &domains), 0);
    expect_eq(domains.count, COUNT);
    domains.ndots = 0;
    while (wr_search_next(&walk, "h", &domains, text)) {
        memcpy(last, text, sizeof(last));
    }
    expect_str_eq(last, "h.d499.");
    expect_eq(wr_search_read(memory(), "", &domains), 0);
    expect_eq(domains.count, 0);
    wr_search_clear(memory(), &domains);
}
