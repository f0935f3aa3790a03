/*
 * The names of certificates compared with host names: which match, and which
 * are refused though other libraries accept them.
 *
 * The rules are those of RFC 6125 and of lib/x509/hostname.h.
 */
#include "lib/x509/hostname.h"
#include "tests/unit.h"

struct pair {
    const char *host;
    const char *name;
};

static bool fits(const struct pair *pair)
{
    return wr_x509_hostname_matches(pair->host, pair->name, strlen(pair->name));
}

UNIT(x509_hostname, a_name_fits_itself_in_any_case_and_a_wildcard_one_label)
{
    static const struct pair pairs[] = {
        {"localhost", "localhost"},
        {"a.example", "A.eXample"},
        {"a.example.", "a.example"},
        {"www.a.example", "*.a.example"},
        {"w-w_w.a.example", "*.a.example"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"xn--bcher-kva.a.example", "*.a.example"},
        {"1.2.example", "*.2.example"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        cr_assert(fits(&pairs[i]), "%s for %s", pairs[i].name, pairs[i].host);
    }
}

UNIT(x509_hostname, what_is_less_than_strict_fits_nothing)
{
    static const struct pair pairs[] = {
        {"a.example", "b.example"},
        {"a.example", "a.example.com"},
        {"a.example", "example"},
        {"www.a.example", "a.example"},
        /* invalid wildcards: for several labels, for none, partial, too wide,
         * not first */
        {"a.b.c.example", "*.c.example"},
        {"c.d.example", "*.c.d.example"},
        {"www.a.example", "w*.a.example"},
        {"www.a.example", "*w.a.example"},
        {"www.a.example", "w*w.a.example"},
        {"a.example", "*.example"},
        {"a.example", "*"},
        {"a.example", "*."},
        {"a.b.example", "*.*.example"},
        {"a.b.example", "a.*.example"},
        {"*.a.example", "*.a.example"},
        {"a.b.example", "**.b.example"},
        /* invalid names */
        {"", ""},
        {".", "."},
        {"a..example", "a..example"},
        {"a.example", "a.example."},
        {".a.example", ".a.example"},
        {"a example", "a example"},
        {"a/example", "a/example"},
        {"b\303\274cher.example", "b\303\274cher.example"},
        /* addresses are not names */
        {"127.0.0.1", "127.0.0.1"},
        {"127.0.0.1", "*.0.0.1"},
        {"::1", "::1"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        cr_assert_not(fits(&pairs[i]), "%s for %s", pairs[i].name,
                      pairs[i].host);
    }
}

UNIT(x509_hostname, a_nul_ends_no_name)
{
    cr_assert_not(wr_x509_hostname_matches("a.example", "a.example\0.b", 12));
    cr_assert_not(wr_x509_hostname_matches("a.example", "a.example", 10));
    cr_assert_not(wr_x509_hostname_matches("a.example", "a.example", 8));
    cr_assert_not(wr_x509_hostname_matches("a.example", "", 0));
}

UNIT(x509_hostname, addresses_are_read_to_their_bytes)
{
    uint8_t ip[WR_X509_IP_SIZE];
    expect_eq(wr_x509_hostname_read_ip("192.0.2.7", ip), 4);
    expect_eq(memcmp(ip, "\300\0\2\7", 4), 0);
    expect_eq(wr_x509_hostname_read_ip("::1", ip), 16);
    expect_eq(ip[0], 0);
    expect_eq(ip[15], 1);
    expect_eq(wr_x509_hostname_read_ip("fe80::2%eth0", ip), 16);
    expect_eq(ip[15], 2);
    static const char *const others[] = {"",          "a.example", "1.2.3",
                                         "1.2.3.4.5", "::g",       "%eth0"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        expect_eq(wr_x509_hostname_read_ip(others[i], ip), 0, "%s", others[i]);
    }
    char longer[300];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    expect_eq(wr_x509_hostname_read_ip(longer, ip), 0);
}
