/*
 * Which route a weir-proxy client gets by its kind, its name, its protocols and
 * its first bytes, byte by byte; and which routes cannot be distinguished.
 *
 * Routes are written as in a file. Comparisons of texts and addresses are
 * counted, because many routes and targets must not be compared with each
 * other.
 */
#define UNIT_RUN with_empty
#include "tests/unit/proxy_config.h"
#include "tools/weir-proxy/config/matching.h"

#include <errno.h>

static uint64_t looks; /* comparisons of texts and addresses */

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);
size_t __real_strlen(const char *text);
size_t __wrap_strlen(const char *text);
int __real_strncasecmp(const char *a, const char *b, size_t len);
int __wrap_strncasecmp(const char *a, const char *b, size_t len);
bool __real_weir_address_is_equal(const struct weir_address *a,
                                  const struct weir_address *b);
bool __wrap_weir_address_is_equal(const struct weir_address *a,
                                  const struct weir_address *b);

int __wrap_strcmp(const char *a, const char *b)
{
    looks++;
    return __real_strcmp(a, b);
}

size_t __wrap_strlen(const char *text)
{
    looks++;
    return __real_strlen(text);
}

int __wrap_strncasecmp(const char *a, const char *b, size_t len)
{
    looks++;
    return __real_strncasecmp(a, b, len);
}

bool __wrap_weir_address_is_equal(const struct weir_address *a,
                                  const struct weir_address *b)
{
    looks++;
    return __real_weir_address_is_equal(a, b);
}

/* Applies the directives of a text, except for targets. */
static void say_all(const char *text)
{
    struct directive one;
    for (unsigned line = 1; directive_at(text, line, &one); line++) {
        if (line > 1 && strcmp(one.name, "route") == 0 &&
            config_route(&config)->target_count == 0 &&
            config_route(&config)->is_begun) {
            says("to", "tcp://127.0.0.1:9");
        }
        config.line_count = config.line = line;
        says(one.name, one.value);
    }
    says("to", "tcp://127.0.0.1:9");
}

static void have_routes(const char *text)
{
    say_all(text);
    cr_assert(config_check(&config, why), "%s", why);
}

/* Returns the label of the route, "more" while more bytes are needed, or
 * "none". */
static const char *choice(int err, size_t route)
{
    return err == -EAGAIN   ? "more"
           : err == -ENOENT ? "none"
                            : config_service(&config)->routes[route].label;
}

static const char *choose(const struct matching_facts *facts)
{
    size_t route = 0;
    const int err = matching_choose(config_service(&config), facts, &route);

    return choice(err, route);
}

static const char *choose_by_hello(const struct matching_facts *facts)
{
    size_t route = 0;
    const int err =
        matching_choose_by_hello(config_service(&config), facts, &route);

    return choice(err, route);
}

/* Returns the choice for a client of any:// that has sent these bytes. */
static const char *by_bytes(const void *bytes, size_t len, bool is_over)
{
    const struct matching_facts facts = {
        .kind = is_over ? MATCHING_PLAIN : matching_guess(bytes, len),
        .begin = bytes,
        .begin_len = len,
        .may_be_silent = true,
        .is_over = is_over,
    };

    return choose(&facts);
}

static void gets(const char *bytes, const char *wanted)
{
    cr_assert_str_eq(by_bytes(bytes, strlen(bytes), false), wanted, "'%s'",
                     bytes);
}

/* ... and sends no more in time. */
static void gets_late(const char *bytes, const char *wanted)
{
    cr_assert_str_eq(by_bytes(bytes, strlen(bytes), true), wanted, "'%s'",
                     bytes);
}

UNIT(proxy_matching, tls_is_known_by_the_begin_of_a_hello)
{
    static const uint8_t hello[] = {22, 3, 1, 0, 5, 1, 0};
    static const uint8_t other[] = {22, 3, 1, 0, 5, 2};
    static const uint8_t odd[] = {22, 4};

    for (size_t i = 0; i < 6; i++) {
        expect_eq(matching_guess(hello, i), MATCHING_UNKNOWN);
    }
    expect_eq(matching_guess(hello, 6), MATCHING_TLS);
    expect_eq(matching_guess(hello, 7), MATCHING_TLS);
    expect_eq(matching_guess(other, 5), MATCHING_UNKNOWN);
    expect_eq(matching_guess(other, 6), MATCHING_PLAIN);
    expect_eq(matching_guess(odd, 1), MATCHING_UNKNOWN);
    expect_eq(matching_guess(odd, 2), MATCHING_PLAIN);
    expect_eq(matching_guess((const uint8_t *)"S", 1), MATCHING_PLAIN);
}

UNIT(proxy_matching, a_route_is_taken_as_soon_as_no_other_can_match)
{
    have_routes("listen any://127.0.0.1:1; route *; route-begin SSH-; route *; "
                "route-begin GET ; route-begin POST ; route *; route-as plain");
    gets("", "more");
    gets("S", "more");
    gets("SSH", "more");
    gets("SSH-", "*/plain/SSH-");
    gets("SSH-2.0", "*/plain/SSH-");
    gets("SSX", "*/plain");
    gets("x", "*/plain");
    gets("GET ", "*/plain/GET%20+POST%20");
    gets("POST /", "*/plain/GET%20+POST%20");
    gets("\x16", "more");
    gets("\x16\x04", "*/plain");
    gets_late("SSH", "*/plain");
    gets_late("", "*/plain");
    gets_late("\x16", "*/plain");
}

UNIT(proxy_matching, a_longer_begin_wins_over_a_shorter_one)
{
    have_routes("listen tcp://127.0.0.1:1; route *; route-begin PRI; route *; "
                "route-begin PRI * HTTP/2.0; route *; route-begin PRI * X");
    gets("PR", "more");
    gets("PRI", "more");
    gets("PRI x", "*/plain/PRI");
    gets("PRI * ", "more");
    gets("PRI * HTTP/2.", "more");
    gets("PRI * HTTP/2.0", "*/plain/PRI%20*%20HTTP/2.0");
    gets("PRI * HTTP/1", "*/plain/PRI");
    gets_late("PRI * HTTP", "*/plain/PRI");
    gets("Q", "none");
    gets_late("PR", "none");
}

UNIT(proxy_matching, nothing_is_waited_for_that_changes_nothing)
{
    have_routes("listen tcp://127.0.0.1:1; route *; route-begin GET; "
                "route-begin GET /; route *; route-begin PUT");
    gets("GET", "*/plain/GET+GET%20/");
}

UNIT(proxy_matching, begins_have_any_bytes_and_64_of_them)
{
    char text[4 * CONFIG_BEGIN_MAX + 8] = "";
    char all[sizeof(text) + 64];
    char bytes[CONFIG_BEGIN_MAX + 1];

    for (size_t i = 0; i < CONFIG_BEGIN_MAX; i++) {
        strcat(text, i % 2 ? "\\x00" : "a");
        bytes[i] = i % 2 ? '\0' : 'a';
    }
    snprintf(all, sizeof(all),
             "listen tcp://127.0.0.1:1; route *; route-begin %s; route *",
             text);
    have_routes(all);
    for (size_t i = 0; i < CONFIG_BEGIN_MAX; i++) {
        cr_assert_str_eq(by_bytes(bytes, i, false), "more", "%zu", i);
    }
    cr_assert_str_neq(by_bytes(bytes, CONFIG_BEGIN_MAX, false), "*");
    bytes[CONFIG_BEGIN_MAX - 1] = 'b';
    cr_assert_str_eq(by_bytes(bytes, CONFIG_BEGIN_MAX, false), "*");
    strcat(text, "a");
    cr_assert_not(words_say(&config, "route-begin", text, why));
    cr_assert_not_null(strstr(why, "more than 64 bytes"), "%s", why);
}

UNIT(proxy_matching, one_route_for_all_waits_for_nothing)
{
    have_routes("listen tcp://127.0.0.1:1");
    const struct matching_facts plain = {.kind = MATCHING_PLAIN};
    cr_assert_str_eq(choose(&plain), "*");
}

UNIT(proxy_matching, what_passes_all_on_need_not_know_what_it_is)
{
    have_routes("listen any://127.0.0.1:1; passthrough on");
    const struct matching_facts nothing = {.kind = MATCHING_UNKNOWN};
    cr_assert_str_eq(choose(&nothing), "*");
}

UNIT(proxy_matching, silence_is_a_kind_until_a_byte_comes)
{
    have_routes("listen any://127.0.0.1:1; route *; route-as silent; route *; "
                "route-as plain; route *; route-as tls; passthrough on");
    const struct matching_facts silent = {.kind = MATCHING_SILENT,
                                          .may_be_silent = true};
    gets("", "more");
    cr_assert_str_eq(choose(&silent), "*/silent");
    gets("a", "*/plain");
    gets_late("", "*/plain");
    gets("\x16\x03", "more");
}

UNIT(proxy_matching, names_say_more_than_protocols_and_these_more_than_kinds)
{
    have_routes("listen any://127.0.0.1:1; passthrough on; route a.test; route "
                "*.test; route-alpn h2,http/1.1; route *; route-alpn h2; route "
                "*; route-as tls; route *");
    static const char h2[] = "\x02h2";
    struct matching_facts facts = {.kind = MATCHING_TLS,
                                   .offered = {h2, sizeof(h2) - 1}};
    facts.name = "A.Test.";
    cr_assert_str_eq(choose_by_hello(&facts), "a.test");
    facts.name = "b.test";
    cr_assert_str_eq(choose_by_hello(&facts), "*.test/h2+http/1.1");
    facts.name = "other";
    cr_assert_str_eq(choose_by_hello(&facts), "*/h2");
    facts.offered.len = 0;
    cr_assert_str_eq(choose_by_hello(&facts), "*/tls");
    facts.name = NULL;
    cr_assert_str_eq(choose_by_hello(&facts), "*/tls");
    gets("x", "*");
}

UNIT(proxy_matching, what_is_inside_of_tls_decides_once_it_is_open)
{
    have_routes(
        "listen tls://127.0.0.1:1; cert a.pem; alpn x,h2; route *; route-alpn "
        "h2; route *; route-begin Q; route *; route p.test; passthrough on");
    static const char both[] = "\x02h2\x01x";
    const struct weir_alpn_list offered = {both, sizeof(both) - 1};
    const struct config_texts *own = &config_service(&config)->alpn;
    const struct weir_alpn_name agreed = matching_agree(own, &offered);
    expect_eq(agreed.len, 1);
    struct matching_facts facts = {.kind = MATCHING_TLS,
                                   .is_open = true,
                                   .name = "p.test",
                                   .agreed = agreed};
    cr_assert_str_eq(choose(&facts), "more");
    facts.begin = (const uint8_t *)"Q";
    facts.begin_len = 1;
    cr_assert_str_eq(choose(&facts), "*/tls/Q");
    facts.begin = (const uint8_t *)"R";
    cr_assert_str_eq(choose(&facts), "*");
    facts.agreed = (struct weir_alpn_name){"h2", 2};
    cr_assert_str_eq(choose(&facts), "*/h2");
    facts.is_open = false;
    cr_assert_str_eq(choose_by_hello(&facts), "p.test");
}

UNIT(proxy_matching, of_several_that_say_as_much_the_first_wins)
{
    have_routes("listen any://127.0.0.1:1; route *.b.test; passthrough on; "
                "route *.a.test; passthrough on; route a.b.test; route-alpn x; "
                "passthrough on; route a.b.test; route-alpn y; passthrough on");
    static const char both[] = "\x01y\x01x";
    struct matching_facts facts = {.kind = MATCHING_TLS,
                                   .offered = {both, sizeof(both) - 1}};
    facts.name = "a.b.test";
    cr_assert_str_eq(choose_by_hello(&facts), "a.b.test/x");
    facts.name = "b.b.test";
    cr_assert_str_eq(choose_by_hello(&facts), "*.b.test");
    facts.name = "x.a.test.";
    cr_assert_str_eq(choose_by_hello(&facts), "*.a.test");
    facts.name = ".b.test";
    cr_assert_str_eq(choose_by_hello(&facts), "none");
    facts.name = "*.b.test";
    cr_assert_str_eq(choose_by_hello(&facts), "none", "it is no host name");
    facts.name = "b\x01.b.test";
    cr_assert_str_eq(choose_by_hello(&facts), "none", "it is no host name");
    facts.name = "";
    cr_assert_str_eq(choose_by_hello(&facts), "none");
}

/* Makes @count routes by name and one for all others, with as many targets. */
static void have_many(size_t count)
{
    char text[64];

    config_free(&config);
    config_init(&config);
    says("listen", "any://127.0.0.1:1");
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "%sr%04zu.test", i % 2 ? "*." : "", i);
        says("route", text);
        says("passthrough", "on");
        says("to", "tcp://127.0.0.1:9");
    }
    says("route", "*");
    says("route-as", "plain");
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "tcp://127.1.%zu.%zu:9", i / 256, i % 256);
        says("to", text);
    }
}

static uint64_t count_check(size_t count)
{
    have_many(count);
    looks = 0;
    cr_assert(config_check(&config, why), "%s", why);
    return looks;
}

UNIT(proxy_matching, routes_and_targets_are_not_compared_with_all_others)
{
    const uint64_t few = count_check(100);
    const uint64_t many = count_check(1000);

    cr_assert_gt(few, 100);
    /* Sorting n texts takes n * log(n) comparisons. */
    cr_assert_leq(many, 15 * few, "%llu of 100, %llu of 1000",
                  (unsigned long long)few, (unsigned long long)many);
}

/* Makes a choice for each of these, and counts the comparisons. */
static uint64_t count_choices(size_t count)
{
    have_many(count);
    cr_assert(config_check(&config, why), "%s", why);
    const struct matching_facts named = {.kind = MATCHING_TLS,
                                         .name = "r0042.test"};
    const struct matching_facts below = {.kind = MATCHING_TLS,
                                         .name = "a.b.R0043.test"};
    looks = 0;
    const bool are_right =
        __real_strcmp(choose_by_hello(&named), "r0042.test") == 0 &&
        __real_strcmp(choose_by_hello(&below), "*.r0043.test") == 0 &&
        __real_strcmp(by_bytes("\x16", 1, false), "more") == 0 &&
        __real_strcmp(by_bytes("x", 1, false), "*/plain") == 0;
    const uint64_t result = looks;
    cr_assert(are_right);
    return result;
}

UNIT(proxy_matching, a_choice_does_not_look_at_all_routes)
{
    expect_eq(count_choices(1000), count_choices(100));
}

static void lacks(const char *name, const char *reason, const char *text)
{
    config_init(&config);
    say_all(text);
    expect_lack(name, reason, text);
    config_free(&config);
}

UNIT_IN(proxy_matching, routes_that_cannot_be_told_apart_are_refused,
        unit_alone, void)
{
    lacks("route", "two routes are for '*/plain/b+a'",
          "listen tcp://127.0.0.1:1; route *; route-begin a; route *; "
          "route-begin b; route-begin a");
    lacks("route", "two routes are for '*/silent'",
          "listen tcp://127.0.0.1:1; route *; route-as silent; route *; "
          "route-as silent");
    lacks(
        "route", "two routes are for 'A.'",
        "listen tls://127.0.0.1:1; passthrough on; route a; route b; route A.");
    lacks("route", "two routes are for '*.a'",
          "listen tls://127.0.0.1:1; passthrough on; route *.a; route a; route "
          "*.a");
    lacks("route", "two routes are for 'a/x+y'",
          "listen tls://127.0.0.1:1; passthrough on; route a; route-alpn x; "
          "route a; route-alpn x,y");
    lacks("route", "'*' and '*/tls/a' cannot be distinguished",
          "listen tls://127.0.0.1:1; cert a.pem; route *; route-begin a; route "
          "*; passthrough on");
    lacks("route", "'*' and '*/silent' cannot be distinguished",
          "listen tls://127.0.0.1:1; cert a.pem; route *; route-as silent; "
          "route *; passthrough on");
    lacks("route", "'*' and '*/silent' cannot be distinguished",
          "listen tcp://127.0.0.1:1; listen tls://127.0.0.1:2; cert a.pem; "
          "route *; route-as silent; route *; passthrough on");
}

UNIT_IN(proxy_matching, routes_that_no_client_gets_are_refused, unit_alone,
        void)
{
    lacks("route-as", "route-as silent is for clients that send nothing",
          "listen tcp://127.0.0.1:1; route *; route-as silent; route-begin a");
    lacks("route-as", "route-as tls needs a 'listen' with tls:// or any://",
          "listen tcp://127.0.0.1:1; route *; route-as tls");
    lacks("route-as", "route-as plain needs a 'listen' other than tls://",
          "listen tls://127.0.0.1:1; route *; route-as plain");
    lacks("route-as", "route-as plain is for clients without TLS",
          "listen any://127.0.0.1:1; route a; route-as plain");
    lacks(
        "silent-after", "silent-after must be less than hello-timeout",
        "listen tcp://127.0.0.1:1; silent-after 5s; route *; route-as silent");
    lacks("route-alpn", "route-alpn needs a 'listen' with tls:// or any://",
          "listen tcp://127.0.0.1:1; route *; route-alpn h2");
    lacks("route-alpn", "route-alpn: 'h2' is not in the alpn of the service",
          "listen tls://127.0.0.1:1; cert a.pem; route *; route-alpn h2");
    lacks("route-begin", "route-begin needs decrypted bytes here",
          "listen tls://127.0.0.1:1; passthrough on; route *; route-begin a");
    lacks("listen",
          "needs a certificate: 'cert'; or 'passthrough' for its routes",
          "listen any://127.0.0.1:1");
    lacks("listen",
          "needs a certificate: 'cert'; or 'passthrough' for its routes",
          "listen tcp://127.0.0.1:1; listen tls://127.0.0.1:2; route *; "
          "route-as silent; route a; passthrough on; route *; route-as plain");
}

UNIT(proxy_matching, each_route_of_a_service_has_a_label_of_its_own)
{
    have_routes("listen tls://127.0.0.1:1; cert a.pem; alpn h2; route *; "
                "route-as tls; route-alpn h2; route *; route-begin h2; route "
                "a; route-begin +/\\x00\\xff");
    const struct config_route *routes = config_service(&config)->routes;
    cr_assert_str_eq(routes[0].label, "*/tls/h2");
    cr_assert_str_eq(routes[1].label, "*/tls/h2#2");
    cr_assert_str_eq(routes[2].label, "a/tls/%2B/%00%FF");
}

UNIT(proxy_matching, a_label_of_many_begins_is_cut)
{
    char name[16];

    says("listen", "tcp://127.0.0.1:1");
    says("route", "*");
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "ab%02d", i);
        says("route-begin", name);
    }
    says("to", "tcp://127.0.0.1:2");
    cr_assert(config_check(&config, why), "%s", why);
    const char *label = config_service(&config)->routes[0].label;
    expect_eq(strlen(label), 202);
    cr_assert_str_eq(label + 200, "#1");
}

UNIT(proxy_matching, what_is_left_behind_all_of_tls_needs_no_certificate)
{
    have_routes("listen any://127.0.0.1:1; route *; route-as tls; passthrough "
                "on; route *; route-begin SSH-; route *");
}

UNIT(proxy_matching, a_route_beside_certificates_of_clients_says_if_it_is_plain)
{
    have_routes(
        "listen any://127.0.0.1:1; cert a; client-ca b; require-client-cert "
        "on; route *; route-as plain; route a.test; route *; route-as tls");
}

UNIT_IN(proxy_matching, no_client_gets_past_a_certificate_by_having_no_tls,
        unit_alone, void)
{
    lacks("client-ca", "client-ca needs tls:// at every 'listen', or route-as",
          "listen any://127.0.0.1:1; cert a; client-ca b; route *");
    lacks("client-ca", "client-ca needs tls:// at every 'listen', or route-as",
          "listen any://127.0.0.1:1; cert a; client-ca b; accept-proxy v2; "
          "route a.test");
    lacks("client-ca", "client-ca needs tls:// at every 'listen', or route-as",
          "listen tls://127.0.0.1:1; listen tcp://127.0.0.1:2; cert a; "
          "client-ca b; route *");
}

UNIT(proxy_matching, words_that_narrow_come_after_their_route)
{
    static const char *const named[] = {"route-as", "route-begin",
                                        "route-alpn"};

    says("listen", "any://127.0.0.1:1");
    for (size_t i = 0; i < 3; i++) {
        cr_assert_not(words_say(&config, named[i], "tls", why));
        cr_assert_not_null(strstr(why, "must follow the 'route' that"));
    }
    says("route", "*");
    cr_assert_not(words_say(&config, "route-as", "udp", why));
    cr_assert_not_null(strstr(why, "is not any, tls, plain or silent"));
    cr_assert_not(words_say(&config, "route-begin", "", why));
    cr_assert_not(words_say(&config, "route-alpn", "", why));
}
