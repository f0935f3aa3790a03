/*
 * The answers that a loop caches and the queries that lookups share, with the
 * test's resolver, on the fake clock.
 *
 * The resolver records what it is asked, and the test answers. Each lookup
 * records how it has ended.
 */
#define UNIT_RUN with_machine

#include "clock.h"
#include "tests/fake/fake.h"
#include "tests/statistics.h"
#include "tests/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <weir/error.h>
#include <weir/resolver.h>

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

enum { ASKED_MAX = 16, LOOKUPS_MAX = 16, PENDING = 1000 };

struct lookup {
    weir_pending *pending;
    int result; /* number of addresses, an error, or PENDING */
    char text[512];
};

static weir_loop *loop;
static weir_lookup *asked[ASKED_MAX]; /* NULL: it was to forget the lookup */
static int asked_count;
static int forgotten_count;
static void (*in_start)(weir_lookup *lookup);
static struct lookup lookups[LOOKUPS_MAX];
static int lookup_count;

static int start(void *user, weir_lookup *lookup, const char *host, int family,
                 void **ret_data)
{
    *ret_data = &asked[asked_count % ASKED_MAX];
    asked[asked_count++ % ASKED_MAX] = lookup;
    if (in_start) {
        in_start(lookup);
    }
    return 0;
}

static void cancel(void *user, weir_lookup *lookup, void *data)
{
    weir_lookup **slot = data;
    expect_eq(*slot, lookup);
    *slot = NULL;
    forgotten_count++;
}

static const struct weir_resolver resolver = {.size = sizeof(resolver),
                                              .start = start,
                                              .cancel = cancel,
                                              .is_shared = true};

static void with_machine(void (*body)(void))
{
    asked_count = forgotten_count = lookup_count = 0;
    in_start = NULL;
    fake_start(&(struct fake_options){.seed = 1});
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_loop_set_resolver(loop, &resolver, NULL), 0);
    body();
    expect_eq(weir_loop_free(loop), 0);
    fake_stop();
}

static void done(void *arg, int err, const struct weir_address *addresses,
                 size_t count)
{
    struct lookup *lookup = arg;
    char one[WEIR_ADDRESS_TEXT_SIZE];
    expect_eq(lookup->result, PENDING, "told once");
    lookup->pending = NULL;
    lookup->result = err < 0 ? err : (int)count;
    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(lookup->text);
        snprintf(lookup->text + len, sizeof(lookup->text) - len, "%s ",
                 weir_address_format(&addresses[i], one, sizeof(one)));
    }
}

static struct lookup *ask_with(const char *host,
                               const struct weir_getaddrinfo_options *options)
{
    struct lookup *lookup = &lookups[lookup_count++ % LOOKUPS_MAX];
    memset(lookup, 0, sizeof(*lookup));
    lookup->result = PENDING;
    expect_eq(weir_resolve_start(loop, host, 80, options, done, lookup,
                                 &lookup->pending),
              0);
    clock_run_for(loop, 1);
    return lookup;
}

static struct lookup *ask(const char *host)
{
    return ask_with(host, NULL);
}

static weir_lookup *last_asked(void)
{
    expect_gt(asked_count, 0);
    return asked[(asked_count - 1) % ASKED_MAX];
}

/* Answers one family, or both, with the texts; a TTL of UINT64_MAX is not told.
 */
static void answer_one(weir_lookup *lookup, int family, uint64_t ttl_ns,
                       const char *const *texts, size_t count)
{
    struct weir_address addresses[4];
    cr_assert_not_null(lookup);
    for (size_t i = 0; i < count; i++) {
        expect_eq(weir_address_parse(texts[i], 0, &addresses[i]), 0);
    }
    if (ttl_ns != UINT64_MAX) {
        expect_eq(weir_lookup_set_ttl(lookup, ttl_ns), 0);
    }
    expect_eq(
        weir_resolver_reply_addresses(lookup, family, 0, addresses, count), 0);
}

static void answer(uint64_t ttl_ns)
{
    static const char *const texts[] = {"192.0.2.1", "2001:db8::1"};
    answer_one(last_asked(), 0, ttl_ns, texts, 2);
    clock_run_for(loop, 1);
}

/* Asks, and answers where the resolver was asked. */
static bool is_asked(const char *host, uint64_t ttl_ns)
{
    const int before = asked_count;
    struct lookup *lookup = ask(host);
    const bool was_asked = asked_count > before;
    if (was_asked) {
        answer(ttl_ns);
    }
    expect_str_eq(lookup->text, "[2001:db8::1]:80 192.0.2.1:80 ");
    return was_asked;
}

static void expect_counts(uint64_t hits, uint64_t misses)
{
    const struct weir_loop_statistics now = statistics_of(loop);
    expect_eq(now.name_hits, hits);
    expect_eq(now.name_misses, misses);
}

UNIT(name_cache, an_answer_is_kept_for_as_long_as_it_is_good)
{
    ask("host.example");
    answer(10 * S);
    expect_eq(is_asked("host.example", S), false);
    clock_run_for(loop, 10 * S - MS);
    expect_eq(is_asked("host.example", S), false);
    clock_run_for(loop, MS);
    expect_eq(is_asked("host.example", S), true);
    clock_run_for(loop, S);
    expect_eq(is_asked("host.example", S), true,
              "the new answer's time counts");
    expect_counts(2, 3);
}

UNIT(name_cache, an_answer_is_kept_for_a_minute_at_most)
{
    ask("host.example");
    answer(86400 * S);
    clock_run_for(loop, 60 * S - MS);
    expect_eq(is_asked("host.example", S), false);
    clock_run_for(loop, MS);
    expect_eq(is_asked("host.example", S), true);
}

UNIT(name_cache, an_answer_without_a_time_is_not_kept)
{
    ask("host.example");
    answer(UINT64_MAX);
    expect_eq(is_asked("host.example", 0), true);
    expect_eq(is_asked("host.example", 0), true);
    expect_counts(0, 3);
}

/* The time of each family runs from its own answer. */
UNIT(name_cache, the_family_whose_answer_ends_first_counts)
{
    static const char *const inet[] = {"192.0.2.1"};
    static const char *const inet6[] = {"2001:db8::1"};
    ask("host.example");
    answer_one(last_asked(), AF_INET, 10 * S, inet, 1);
    clock_run_for(loop, 4 * S);
    answer_one(last_asked(), AF_INET6, 3600 * S, inet6, 1);
    clock_run_for(loop, 6 * S - MS);
    expect_eq(is_asked("host.example", S), false);
    clock_run_for(loop, MS);
    expect_eq(is_asked("host.example", S), true);
}

UNIT(name_cache, errors_are_not_kept)
{
    static const char *const inet[] = {"192.0.2.1"};
    struct lookup *lookup = ask("host.example");
    expect_eq(weir_lookup_set_ttl(last_asked(), S), 0);
    expect_eq(weir_resolver_reply_addresses(last_asked(), 0, WEIR_EDNSNOTFOUND,
                                            NULL, 0),
              0);
    clock_run_for(loop, 1);
    expect_eq(lookup->result, WEIR_EDNSNOTFOUND);

    lookup = ask("host.example");
    answer_one(last_asked(), AF_INET, S, inet, 1);
    expect_eq(weir_resolver_reply_addresses(last_asked(), 0, WEIR_EDNSSERVFAIL,
                                            NULL, 0),
              0);
    clock_run_for(loop, 1);
    expect_eq(lookup->result, 1);
    expect_eq(is_asked("host.example", S), true, "one family may have more");
    expect_counts(0, 3);
}

UNIT(name_cache, that_a_family_has_no_address_is_kept)
{
    static const char *const inet[] = {"192.0.2.1"};
    ask("host.example");
    answer_one(last_asked(), 0, S, inet, 1);
    clock_run_for(loop, 1);
    const struct lookup *lookup = ask("host.example");
    expect_str_eq(lookup->text, "192.0.2.1:80 ");
    expect_eq(asked_count, 1);
}

UNIT(name_cache, a_name_is_kept_as_it_was_asked_for)
{
    const struct weir_getaddrinfo_options inet = {.size = sizeof(inet),
                                                  .family = AF_INET};
    is_asked("host.example", 10 * S);
    expect_eq(is_asked("HOST.Example", S), false, "whatever the case is");
    expect_eq(is_asked("host.example.", 10 * S), true, "no search is another");
    expect_eq(is_asked("host.example.", 10 * S), false);
    expect_eq(is_asked("other.example", S), true);

    struct lookup *lookup = ask_with("host.example", &inet);
    expect_eq(asked_count, 4, "one family alone may be another name's");
    answer(10 * S);
    expect_str_eq(lookup->text, "192.0.2.1:80 ");
    lookup = ask_with("host.example", &inet);
    expect_str_eq(lookup->text, "192.0.2.1:80 ");
    expect_eq(asked_count, 4);
}

UNIT(name_cache, a_canonical_name_is_asked_for)
{
    char name[WEIR_HOST_SIZE];
    const struct weir_getaddrinfo_options options = {.size = sizeof(options),
                                                     .canonical_name = name,
                                                     .canonical_name_size =
                                                         sizeof(name)};
    is_asked("host.example", 10 * S);
    ask_with("host.example", &options);
    expect_eq(asked_count, 2);
    expect_eq(weir_lookup_set_canonical_name(last_asked(), "real.example"), 0);
    answer(10 * S);
    expect_str_eq(name, "real.example");
    expect_counts(0, 1);
}

UNIT(name_cache, each_hit_begins_with_the_next_address_of_each_family)
{
    static const char *const texts[] = {"192.0.2.1", "2001:db8::1", "192.0.2.2",
                                        "192.0.2.3"};
    static const char *const expected[] = {
        "[2001:db8::1]:80 192.0.2.1:80 192.0.2.2:80 192.0.2.3:80 ",
        "[2001:db8::1]:80 192.0.2.2:80 192.0.2.3:80 192.0.2.1:80 ",
        "[2001:db8::1]:80 192.0.2.3:80 192.0.2.1:80 192.0.2.2:80 ",
        "[2001:db8::1]:80 192.0.2.1:80 192.0.2.2:80 192.0.2.3:80 "};
    for (int i = 0; i < 4; i++) {
        const struct lookup *lookup = ask("host.example");
        if (i == 0) {
            answer_one(last_asked(), 0, S, texts, 4);
            clock_run_for(loop, 1);
        }
        expect_str_eq(lookup->text, expected[i], "%d", i);
    }
    expect_eq(asked_count, 1);
}

UNIT(name_cache, lookups_that_are_under_way_are_one_question)
{
    const struct lookup *one = ask("host.example");
    const struct lookup *other = ask("host.example");
    const struct lookup *third = ask("third.example");
    expect_eq(asked_count, 2);
    answer_one(asked[0], 0, UINT64_MAX, (const char *const[]){"192.0.2.1"}, 1);
    clock_run_for(loop, 1);
    expect_str_eq(one->text, "192.0.2.1:80 ");
    expect_str_eq(other->text, "192.0.2.1:80 ");
    expect_eq(third->result, PENDING);
    weir_pending_cancel(third->pending);
    expect_counts(1, 2);
}

UNIT(name_cache, a_late_lookup_is_told_what_is_there)
{
    static const char *const inet[] = {"192.0.2.1"};
    const struct weir_getaddrinfo_options brief = {.size = sizeof(brief),
                                                   .timeout_ns = S};
    const struct lookup *one = ask("host.example");
    answer_one(last_asked(), AF_INET, UINT64_MAX, inet, 1);
    clock_run_for(loop, 1);
    const struct lookup *late = ask_with("host.example", &brief);
    expect_eq(asked_count, 1);
    clock_run_for(loop, S);
    expect_str_eq(late->text, "192.0.2.1:80 ", "it has waited for the rest");
    expect_eq(one->result, PENDING);
    expect_eq(weir_resolver_reply_addresses(last_asked(), 0, WEIR_EDNSNODATA,
                                            NULL, 0),
              0);
    clock_run_for(loop, 1);
    expect_eq(one->result, 1);
}

/* The other family's answer may take long. */
UNIT(name_cache, a_part_whose_time_is_over_is_told_to_no_late_lookup)
{
    static const char *const inet[] = {"192.0.2.1"};
    const struct lookup *one = ask("host.example");
    weir_lookup *slow = last_asked();
    answer_one(slow, AF_INET, S, inet, 1);
    clock_run_for(loop, S);
    const struct lookup *late = ask("host.example");
    expect_eq(asked_count, 2);
    answer(10 * S);
    expect_eq(late->result, 2);
    expect_eq(one->result, PENDING);
    expect_eq(weir_resolver_reply_addresses(slow, 0, WEIR_EDNSNODATA, NULL, 0),
              0);
    clock_run_for(loop, 1);
    expect_str_eq(one->text, "192.0.2.1:80 ");
    expect_eq(is_asked("host.example", S), false, "the newer answer is kept");
}

UNIT(name_cache, the_last_lookup_that_is_cancelled_ends_the_question)
{
    const struct lookup *one = ask("host.example");
    const struct lookup *other = ask("host.example");
    const struct lookup *third = ask("host.example");
    weir_pending_cancel(one->pending);
    clock_run_for(loop, 1);
    expect_eq(one->result, -ECANCELED);
    expect_eq(forgotten_count, 0);
    weir_pending_cancel(third->pending);
    expect_eq(forgotten_count, 0);
    weir_pending_cancel(other->pending);
    expect_eq(forgotten_count, 1);
    clock_run_for(loop, 1);
    expect_eq(other->result, -ECANCELED);
    expect_eq(is_asked("host.example", S), true);
}

UNIT(name_cache, each_lookup_has_its_own_time_limit)
{
    const struct weir_getaddrinfo_options brief = {.size = sizeof(brief),
                                                   .timeout_ns = S};
    const struct lookup *one = ask_with("host.example", &brief);
    const struct lookup *other = ask("host.example");
    clock_run_for(loop, S);
    expect_eq(one->result, WEIR_EDNSTIMEOUT);
    expect_eq(other->result, PENDING);
    expect_eq(forgotten_count, 0);
    answer(S);
    expect_eq(other->result, 2);
}

static void cancel_first(weir_lookup *lookup)
{
    weir_pending_cancel(lookups[0].pending);
}

static void answer_at_once(weir_lookup *lookup)
{
    static const char *const inet[] = {"192.0.2.1"};
    answer_one(lookup, 0, S, inet, 1);
}

UNIT(name_cache, a_question_may_end_inside_its_start)
{
    in_start = cancel_first;
    expect_eq(ask("host.example")->result, -ECANCELED);
    expect_eq(forgotten_count, 1);
    in_start = answer_at_once;
    expect_eq(ask("host.example")->result, 1);
    expect_eq(ask("host.example")->result, 1);
    expect_eq(asked_count, 2);
}

UNIT(name_cache, another_resolver_begins_with_nothing)
{
    is_asked("host.example", 10 * S);
    const struct lookup *old = ask("slow.example");
    weir_lookup *slow = last_asked();
    expect_eq(weir_loop_set_resolver(loop, &resolver, NULL), 0);

    expect_eq(is_asked("host.example", 10 * S), true);
    const struct lookup *lookup = ask("slow.example");
    expect_eq(asked_count, 4, "the old question is not shared");
    answer_one(slow, 0, 10 * S, (const char *const[]){"192.0.2.7"}, 1);
    clock_run_for(loop, 1);
    expect_str_eq(old->text, "192.0.2.7:80 ");
    expect_eq(lookup->result, PENDING);
    answer(10 * S);
    expect_eq(is_asked("slow.example", S), false, "nor is its answer kept");
}

UNIT(name_cache, a_resolver_that_does_not_share_is_asked_each_time)
{
    static struct weir_resolver alone; /* until the loop is closed */
    alone = resolver;
    alone.is_shared = false;
    expect_eq(weir_loop_set_resolver(loop, &alone, NULL), 0);
    is_asked("host.example", 10 * S);
    expect_eq(is_asked("host.example", 10 * S), true);
    const struct lookup *one = ask("host.example");
    const struct lookup *other = ask("host.example");
    expect_eq(asked_count, 4);
    weir_pending_cancel(one->pending);
    weir_pending_cancel(other->pending);
    expect_eq(forgotten_count, 2);
    expect_counts(0, 0);
}

UNIT(name_cache, what_is_not_used_between_two_trims_goes)
{
    is_asked("used.example", 50 * S);
    is_asked("other.example", 50 * S);
    is_asked("brief.example", S);
    clock_run_for(loop, S);
    const uint64_t before = statistics_of(loop).memory_bytes;
    expect_eq(weir_loop_trim(loop), 0);
    const uint64_t one = before - statistics_of(loop).memory_bytes;
    expect_gt(one, 0, "its time was over");
    expect_eq(is_asked("used.example", S), false);
    expect_eq(weir_loop_trim(loop), 0);
    expect_eq(is_asked("used.example", S), false);
    expect_eq(is_asked("other.example", S), true);
}

/* Asks for so many names. */
static void fill(int count)
{
    char host[64];
    for (int i = 0; i < count; i++) {
        snprintf(host, sizeof(host), "h%d.example", i);
        expect_eq(is_asked(host, 50 * S), true);
    }
}

UNIT(name_cache, names_and_memory_are_limited_and_the_least_used_goes)
{
    clock_run_for(loop, MS);
    const uint64_t before = statistics_of(loop).memory_bytes;
    fill(200);
    const uint64_t some = statistics_of(loop).memory_bytes - before;
    for (int i = 0; i < 2000; i++) {
        char host[64];
        snprintf(host, sizeof(host), "n%d.example", i);
        expect_eq(is_asked(host, 50 * S), true);
        expect_eq(is_asked("h0.example", S), false);
    }
    expect_geq(statistics_of(loop).memory_bytes - before, some);
    expect_leq(statistics_of(loop).memory_bytes - before, (512 + 64) * 1024);
    expect_eq(is_asked("n1700.example", S), false);
    expect_eq(is_asked("h1.example", S), true);
}

UNIT(name_cache, a_loop_ends_with_lookups_that_share)
{
    is_asked("host.example", 10 * S);
    const struct lookup *one = ask("slow.example");
    const struct lookup *other = ask("slow.example");
    expect_eq(weir_loop_free(loop), 0);
    expect_eq(one->result, -ECANCELED);
    expect_eq(other->result, -ECANCELED);
    expect_eq(forgotten_count, 1);
    expect_eq(weir_loop_new(NULL, &loop), 0);
}
