/*
 * Random tests of the cache of names on the fake machine: lookups begin, share
 * queries, are cancelled and time out, while the test's resolver answers in
 * parts, late or at once, with errors or not, is configured again, and the loop
 * is trimmed and freed. A seed repeats a run.
 *
 * Each returned address has a different number. So a lookup's result shows its
 * answer, and whether that was valid. The resolver must not get a query for a
 * name that it is looking up.
 */
#include "clock.h"
#include "tests/fake/fake.h"
#include "tests/statistics.h"
#include "tests/unit/random.h"

#include <arpa/inet.h>
#include <errno.h>
#include <weir/error.h>
#include <weir/resolver.h>

#define MS UINT64_C(1000000)

enum { STORMS = 200, STEPS = 300, HOSTS = 5, LOOKUPS = 24, NUMBERS = 8192 };

struct question {
    weir_lookup *lookup; /* NULL: it is over */
    int host;
    int open; /* families, 1: IPv4, 2: IPv6 */
    int families;
    int epoch;
    int first; /* the number of its first address */
    uint64_t ttl_ns;
};

/* What the resolver has told by the address of a number. */
struct told {
    const struct question *question; /* NULL: it is over */
    int host;
    int epoch;
    uint64_t when_ns;
    uint64_t until_ns; /* UINT64_MAX: not known before the question's end */
};

struct one {
    weir_pending *pending;
    bool is_waiting;
    int host;
    int families;
    int epoch;
    uint64_t start_ns;
};

static const int families_of[] = {0, AF_INET, AF_INET6};
static weir_loop *loop;
static struct unit_random dice;
static struct question questions[LOOKUPS * 4];
static struct told tolds[NUMBERS];
static int told_count;
static int epoch; /* counts the resolvers that were set */
static struct one ones[LOOKUPS];
static int begun_count;
static int ended_count;

static uint32_t roll(uint32_t below)
{
    return (uint32_t)unit_random_below(&dice, below);
}

/* When the answer of a question is over, if it is told now. */
static uint64_t end_of(const struct question *question)
{
    return question->ttl_ns == UINT64_MAX ? UINT64_MAX
                                          : fake_now() + question->ttl_ns;
}

static struct weir_address make_address(int family,
                                        const struct question *question)
{
    struct weir_address address;
    char text[64];
    const int number = told_count++;
    cr_assert_lt(number, NUMBERS);
    snprintf(text, sizeof(text),
             family == AF_INET ? "10.0.%d.%d" : "2001:db8::%x:%x", number >> 8,
             number & 255);
    expect_eq(weir_address_parse(text, 0, &address), 0);
    tolds[number] = (struct told){.question = question,
                                  .host = question->host,
                                  .epoch = question->epoch,
                                  .when_ns = fake_now(),
                                  .until_ns = end_of(question)};
    return address;
}

/* An address without a time is good for the lookups of its question, and for as
 * long as the other family says. */
static void end_question(struct question *question)
{
    for (int i = question->first; i < told_count; i++) {
        if (tolds[i].question == question) {
            const uint64_t end_ns = end_of(question);
            tolds[i].question = NULL;
            tolds[i].until_ns = tolds[i].until_ns != UINT64_MAX
                                    ? tolds[i].until_ns
                                : end_ns != UINT64_MAX ? end_ns
                                                       : fake_now();
        }
    }
    question->lookup = NULL;
}

/* Answers one family of a question, with up to three addresses. */
static void answer_family(struct question *question, int bit)
{
    static const uint64_t ttls_ns[] = {0, 1 * MS, 5 * MS, 40 * MS, UINT64_MAX};
    const int family = bit == 1 ? AF_INET : AF_INET6;
    struct weir_address addresses[3];
    const size_t count = roll(4);
    const uint64_t ttl_ns = ttls_ns[roll(5)];
    weir_lookup *lookup = question->lookup;

    if (ttl_ns != UINT64_MAX) {
        expect_eq(weir_lookup_set_ttl(lookup, ttl_ns), 0);
        question->ttl_ns =
            ttl_ns < question->ttl_ns ? ttl_ns : question->ttl_ns;
    }
    for (size_t i = 0; i < count; i++) {
        addresses[i] = make_address(family, question);
    }
    question->open &= ~bit;
    if (question->open == 0) {
        end_question(question);
    }
    const int err = count > 0      ? 0
                    : roll(2) == 0 ? WEIR_EDNSSERVFAIL
                                   : WEIR_EDNSNODATA;
    expect_eq(
        weir_resolver_reply_addresses(lookup, family, err, addresses, count),
        0);
}

static int start(void *user, weir_lookup *lookup, const char *host, int family,
                 void **ret_data)
{
    struct question *question = questions;
    const int families = family == 0 ? 3 : family == AF_INET ? 1 : 2;
    for (int i = 0; i < LOOKUPS * 4; i++) {
        const struct question *other = &questions[i];
        cr_assert(!other->lookup || other->host != host[1] - '0' ||
                      other->families != families || other->epoch != epoch ||
                      other->open != families,
                  "it is asked for already");
    }
    while (question->lookup) {
        question++;
    }
    cr_assert_lt(question - questions, LOOKUPS * 4);
    *question = (struct question){.lookup = lookup,
                                  .host = host[1] - '0',
                                  .open = families,
                                  .families = families,
                                  .epoch = epoch,
                                  .first = told_count,
                                  .ttl_ns = UINT64_MAX};
    *ret_data = question;
    if (roll(10) == 0) {
        end_question(question);
        return WEIR_EDNSREFUSED;
    }
    if (roll(8) == 0 && (question->open & 1)) {
        answer_family(question, 1);
    }
    if (roll(8) == 0 && question->open & 2) {
        answer_family(question, 2);
    }
    const struct one *one = &ones[roll(LOOKUPS)];
    if (roll(20) == 0 && one->is_waiting) {
        weir_pending_cancel(one->pending);
    }
    return 0;
}

static void cancel(void *user, weir_lookup *lookup, void *data)
{
    struct question *question = data;
    expect_eq(question->lookup, lookup);
    end_question(question);
}

static const struct weir_resolver resolver = {.size = sizeof(resolver),
                                              .start = start,
                                              .cancel = cancel,
                                              .is_shared = true};

static int number_of(const struct weir_address *address)
{
    if (address->storage.any.sa_family == AF_INET) {
        return (int)(ntohl(address->storage.inet.sin_addr.s_addr) & 0xffff);
    }
    const uint8_t *bytes = address->storage.inet6.sin6_addr.s6_addr;
    return bytes[13] << 8 | bytes[15];
}

/* The address was told after the lookup began, or was good then. */
static void check_address(const struct one *one,
                          const struct weir_address *address)
{
    const int number = number_of(address);
    const bool is_inet = address->storage.any.sa_family == AF_INET;
    cr_assert_lt(number, told_count);
    const struct told *told = &tolds[number];
    expect_eq(told->host, one->host);
    expect_eq(told->epoch, one->epoch, "of the resolver that was asked");
    cr_assert(one->families & (is_inet ? 1 : 2));
    cr_assert(told->when_ns >= one->start_ns || told->until_ns > one->start_ns,
              "the answer was over");
}

static void done(void *arg, int err, const struct weir_address *addresses,
                 size_t count)
{
    struct one *one = arg;
    cr_assert(one->is_waiting, "told once");
    expect_eq(err < 0, count == 0);
    one->is_waiting = false;
    ended_count++;
    for (size_t i = 0; i < count; i++) {
        check_address(one, &addresses[i]);
    }
}

static void begin(struct one *one)
{
    char host[] = "h0.example";
    const uint32_t which = roll(3);
    const struct weir_getaddrinfo_options options = {
        .size = sizeof(options),
        .family = families_of[which],
        .timeout_ns = roll(3) == 0 ? 1 + roll(8) * MS : 0};
    one->host = (int)roll(HOSTS);
    one->families = which == 0 ? 3 : (int)which;
    one->epoch = epoch;
    one->is_waiting = true;
    one->start_ns = fake_now();
    host[1] = (char)('0' + one->host);
    expect_eq(
        weir_resolve_start(loop, host, 80, &options, done, one, &one->pending),
        0);
    begun_count++;
    clock_run_for(loop, 1); /* it asks before the resolver is another */
}

static void answer_some(void)
{
    struct question *question = &questions[roll(LOOKUPS * 4)];
    for (int i = 0; i < LOOKUPS * 4 && !question->lookup; i++) {
        question = &questions[i];
    }
    if (question->lookup) {
        const int bit = 1 + (int)roll(2);
        answer_family(question, question->open & bit ? bit : 3 - bit);
    }
}

static void take_step(void)
{
    struct one *one = &ones[roll(LOOKUPS)];
    const uint32_t what = roll(20);
    if (what < 9) {
        if (!one->is_waiting) {
            begin(one);
        }
    } else if (what < 14) {
        answer_some();
    } else if (what < 16) {
        if (one->is_waiting) {
            weir_pending_cancel(one->pending);
        }
    } else if (what < 18) {
        clock_run_for(loop, 1 + roll(4) * MS);
    } else if (what == 18) {
        expect_eq(weir_loop_trim(loop), 0);
    } else if (roll(4) == 0) {
        epoch++;
        expect_eq(weir_loop_set_resolver(loop, &resolver, NULL), 0);
    }
}

static uint64_t run_storm(uint64_t seed)
{
    memset(questions, 0, sizeof(questions));
    memset(ones, 0, sizeof(ones));
    told_count = begun_count = ended_count = epoch = 0;
    fake_start(&(struct fake_options){.seed = seed});
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_loop_set_resolver(loop, &resolver, NULL), 0);
    for (int step = 0; step < STEPS; step++) {
        take_step();
    }
    const struct weir_loop_statistics now = statistics_of(loop);
    expect_eq(now.name_hits + now.name_misses, begun_count);
    expect_eq(weir_loop_free(loop), 0);
    expect_eq(ended_count, begun_count, "all have their ends");
    for (int i = 0; i < LOOKUPS * 4; i++) {
        expect_eq(questions[i].lookup, NULL, "none is left");
    }
    fake_stop();
    return now.name_hits;
}

UNIT(name_storm, each_lookup_is_told_once_what_was_good_when_it_began)
{
    const uint64_t first = unit_random_seed(&dice);
    uint64_t hits = 0;
    for (uint64_t i = 0; i < STORMS; i++) {
        dice.state = first + i;
        hits += run_storm(first + i);
    }
    expect_gt(hits, STORMS * 10);
}
