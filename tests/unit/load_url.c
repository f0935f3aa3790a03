/*
 * Targets that are URLs: transport, port and path from one text, and one line
 * for each kind of invalid URL.
 *
 * Other targets are parsed as before. Names are not resolved.
 */
#include "tools/weir-load/target/url.c"

#include "tests/unit.h"

static struct target target;
static char why[TARGET_WHY_SIZE];

static void reads(const char *text, const char *host, uint16_t port,
                  const char *path)
{
    expect_eq(url_parse(text, false, &target, why), 0, "%s: %s", text, why);
    expect_str_eq(target.host, host);
    expect_eq(target.port, port);
    cr_assert(target.is_http);
    expect_str_eq(target.text, text);
    expect_str_eq(target.path ? target.path : "", path);
}

static void refuses(const char *text, const char *reason)
{
    why[0] = '\0';
    expect_eq(url_parse(text, false, &target, why), -EINVAL, "%s", text);
    cr_assert_not_null(strstr(why, reason), "'%s' said: %s", text, why);
}

UNIT(load_url, a_url_is_host_port_and_path)
{
    reads("http://127.0.0.1", "127.0.0.1", 80, "");
    cr_assert_not(target.is_tls);
    reads("http://127.0.0.1:8080", "127.0.0.1", 8080, "");
    reads("http://name/", "name", 80, "/");
    reads("HTTP://name/", "name", 80, "/");
    reads("https://name/a:b/c?d=[e]", "name", 443, "/a:b/c?d=[e]");
    cr_assert(target.is_tls);
    reads("https://[::1]/x", "::1", 443, "/x");
    reads("http://[::1]:81", "::1", 81, "");
    expect_eq(target.address.storage.any.sa_family, AF_INET6);
}

UNIT(load_url, a_zone_follows_a_percent_sign_which_may_be_escaped)
{
    reads("http://[fe80::1%lo]/", "fe80::1%lo", 80, "/");
    reads("http://[fe80::1%25lo]:81/", "fe80::1%lo", 81, "/");
    reads("http://[fe80::1%1]/", "fe80::1%1", 80, "/");
    reads("http://[fe80::1%251]/", "fe80::1%1", 80, "/");
    expect_eq(target.address.storage.inet6.sin6_scope_id, 1);
    reads("http://name/a%25b", "name", 80, "/a%25b");
}

UNIT(load_url, a_host_with_a_path_is_http_without_a_scheme)
{
    static const char *const paths[] = {"localhost/",  "localhost:8080/x?y=1",
                                        "127.0.0.1/x", "a.example/",
                                        "a:80/",       "[::1]/",
                                        "[::1]:80/x",  "[fe80::1%lo]/"};
    static const char *const hosts[] = {
        "localhost", "localhost:8080", "127.0.0.1",  "a.example",
        "a:80",      "[::1]:80",       "a.example?x"};
    static const char *const others[] = {
        "",     "a",   "a/b",    "results/x.json", "./a.b/c",   "../a.b/",
        "/a.b", "10",  "1.5",    "tcp:a/b",        "a:b/c",     "http:a.b/",
        "-a.b", "[::", "a b.c/", "unix:/x",        "tcp://a.b", "a:80x/"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        cr_assert(url_lacks_scheme(paths[i]), "%s", paths[i]);
        cr_assert(url_is_http_place(paths[i]), "%s", paths[i]);
    }
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        cr_assert(url_lacks_scheme(hosts[i]), "%s", hosts[i]);
        cr_assert_not(url_is_http_place(hosts[i]), "%s", hosts[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_not(url_lacks_scheme(others[i]), "%s", others[i]);
        cr_assert_not(url_is_http_place(others[i]), "%s", others[i]);
    }
}

UNIT(load_url, other_targets_are_read_as_before)
{
    expect_eq(url_parse("tcp://127.0.0.1:7", false, &target, why), 0);
    cr_assert_not(target.is_http);
    expect_eq(url_parse("unix:/http://x", false, &target, why), 0);
    cr_assert_not(target.is_http);
    refuses("ftp://x/", "is not a target");
    refuses("gopher://x/",
            "https://, ws://, wss://, redis://, rediss://, tcp:");
    refuses("http://h?x", "write a / before the query");
    refuses("redis://:p/w@h", "'redis://h': in a user or password write %2F");
    refuses("redis://:p#w@h", "write %2F for /, %23 for #");
    refuses("redis+tls://:pw@h/0", "'redis+tls://h/0': write redis:// or");
    refuses("x:80/", "for HTTP write http://x:80/, else tcp://HOST:PORT");
}

UNIT(load_url, what_is_no_url_is_told)
{
    char text[400] = "http://";

    refuses("", "the target is empty");
    refuses("http://", "'http://' has no host");
    refuses("http:///path", "'http:///path' has no host");
    refuses("https://:80/", "'https://:80/' has no host");
    refuses("http://a:0/", "'http://a:0/': the port must be a number");
    refuses("http://a:/", "port must be a number");
    refuses("http://a:99999", "port must be a number");
    refuses("http://a?b", "before the query");
    refuses("http://a/b#c", "fragment");
    refuses("http://a#c", "fragment");
    refuses("http://a/b c", "blank");
    refuses("http://a/\x7f", "blank");
    refuses("http://user@a/", "Authorization: Basic");
    refuses("http://user:pw@a:80/", "Authorization: Basic");
    refuses("https://user:p%40w@[::1]/", "Authorization: Basic");
    refuses("http://::1/", "brackets");
    refuses("http://unix:/run/x.sock", "--unix /run/x.sock http://HOST/PATH");
    refuses("http+unix:///run/x.sock", "--unix PATH http://HOST/PATH");
    memset(text + 7, 'a', 300);
    refuses(text, "too long");
}
