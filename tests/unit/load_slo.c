/*
 * Objectives of a run (--slo): the syntax, the position of an error, and which
 * facts pass.
 *
 * No run is made; the facts are values that the tests set by hand.
 */
#define UNIT_RUN with_facts
#include "tools/weir-load/measure/slo.c"

#include "tests/unit.h"

static struct histogram response;
static struct slo slo;
static struct slo_error error;
static struct slo_facts facts;

/* 10000 answers of 1 to 10000 us. */
static void with_facts(void (*body)(void))
{
    histogram_clear(&response);
    for (uint64_t us = 1; us <= 10000; us++) {
        histogram_record(&response, us * 1000);
    }
    facts = (struct slo_facts){
        .times = {[SLO_RESPONSE] = &response},
        .offered = 20000,
        .errors = 20,
        .timeouts = 3,
        .rate = 990,
        .offered_rate = 1000,
    };
    body();
}

/* Returns true if the objective holds. */
static bool holds(const char *text)
{
    expect_eq(slo_parse(text, &slo, &error), 0, "%s: %s", text, error.why);
    for (size_t i = 0; i < slo.count; i++) {
        if (!slo_judge(&slo.terms[i], &facts).passed) {
            return false;
        }
    }
    return true;
}

UNIT(load_slo, terms_are_read_with_their_units)
{
    expect_eq(slo_parse("p99<5ms, errors <= 0.1% ,rate>=50k", &slo, &error), 0);

    expect_eq(slo.count, 3);
    expect_eq(slo.terms[0].figure, SLO_QUANTILE);
    expect_eq(slo.terms[0].share, 99000);
    expect_eq(slo.terms[0].comparison, SLO_LESS);
    expect_eq(slo.terms[0].limit, 5000000);
    expect_eq(slo.terms[1].comparison, SLO_AT_MOST);
    expect_eq(slo.terms[1].limit, 1000);
    cr_assert(slo.terms[1].is_share);
    expect_str_eq(slo.terms[1].text, "errors <= 0.1%");
    expect_eq(slo.terms[2].comparison, SLO_AT_LEAST);
    expect_eq(slo.terms[2].limit, 50000);
}

UNIT(load_slo, other_times_are_named_before_a_point)
{
    expect_eq(slo_parse("response.min<1s", &slo, &error), 0);
    expect_eq(slo.terms[0].times, SLO_RESPONSE);
    expect_eq(slo_parse("service.p99.9<1s,late.max<1ms", &slo, &error), 0);

    expect_eq(slo.terms[0].times, SLO_SERVICE);
    expect_eq(slo.terms[0].share, 99900);
    expect_eq(slo.terms[1].times, SLO_LATE);
    expect_eq(slo.terms[1].figure, SLO_MAX);
}

/* Returns 7 answers of each status. */
static const uint64_t *count_seven(void)
{
    static uint64_t seven[1000];

    for (size_t i = 0; i < 1000; i++) {
        seven[i] = 7;
    }
    return seven;
}

UNIT(load_slo, statuses_are_counted_one_by_one_or_by_classes)
{
    cr_assert_not(holds("status.503<1"), "statuses are not known");
    facts.status = count_seven();
    cr_assert(holds("status.503<=7"));
    cr_assert_not(holds("status.503<7"));
    cr_assert(holds("status.2xx<=700,status.2xx>=700"));
    cr_assert(holds("status.5xx>=3500"), "those from 600 on are of 5xx");
    cr_assert(holds("status.999<8 , status.100<8"));
    cr_assert(holds("status.4xx<=3.5%"), "of 20000 requests");
    cr_assert_not(holds("status.4xx<3.5%"));
    expect_str_eq(slo.terms[0].text, "status.4xx<3.5%");
}

/* Facts of a kind "/{a}", with 100 requests of which 3 failed. */
static bool find_a(const void *owner, const char *name, struct slo_facts *ret)
{
    *ret = (struct slo_facts){
        .times = {[SLO_RESPONSE] = &response},
        .offered = 100,
        .errors = 3,
        .timeouts = 1,
        .rate = 5,
        .status = count_seven(),
    };
    return strcmp(name, "/{a}") == 0;
}

UNIT(load_slo, a_figure_may_be_of_one_kind_of_requests)
{
    cr_assert_not(holds("errors{/{a}}<9"), "there are no kinds");
    facts.find_kind = find_a;
    cr_assert(holds("errors{/{a}}<=3%, errors {/{a}} >=3,errors<=20"));
    cr_assert_not(holds("errors{/{a}}<3%"));
    cr_assert_not(holds("errors{/b}<9"), "it is none");
    cr_assert(holds("p50{/{a}}<=5.1ms,max{/{a}}>=10ms,rate{/{a}}<6"));
    cr_assert(holds("status.503{/{a}}<=7%,timeouts{/{a}}<2"));
    expect_str_eq(slo.terms[0].text, "status.503{/{a}}<=7%");
    expect_str_eq(slo.terms[1].kind, "/{a}");
    expect_eq(slo_parse("p9{GET /a, b<5}<1s", &slo, &error), 0);
    expect_str_eq(slo.terms[0].kind, "GET /a, b<5");
}

UNIT(load_slo, a_name_of_a_kind_has_a_length)
{
    char text[SLO_KIND_SIZE + 16];

    snprintf(text, sizeof(text), "errors{%0*d}<1", SLO_KIND_SIZE - 1, 7);
    expect_eq(slo_parse(text, &slo, &error), 0, "%s", error.why);
    expect_eq(strlen(slo.terms[0].kind), SLO_KIND_SIZE - 1);
    snprintf(text, sizeof(text), "errors{%0*d}<1", SLO_KIND_SIZE, 7);
    expect_eq(slo_parse(text, &slo, &error), -EINVAL);
    expect_str_eq(error.why,
                  "the name of a kind has 1 to 99 bytes; [NAME] before its "
                  "lines gives it a short one");
}

UNIT(load_slo, a_mistake_is_pointed_at)
{
    static const struct {
        const char *text;
        size_t position;
        const char *why;
    } bad[] = {
        {"", 1, "expected a figure"},
        {"p99", 4, "expected <, <=, > or >="},
        {"p99=5ms", 4, "expected <, <=, > or >="},
        {"p99<", 5, "expected a time such as"},
        {"p99<5xs", 5, "'5xs' is not a time"},
        {"p99<5ms,", 9, "expected a figure"},
        {"p99<5ms errors<1", 9, "expected a comma"},
        {"p99<5ms,foo<1", 9, "expected a figure"},
        {"foo.p99<1ms", 1,
         "'foo' is not response, service, connect, tls, ttfb, late, "
         "client, blocked or read"},
        {"service.rate>1", 9, "'rate' is not a latency"},
        {"p0<1ms", 1, "'p0' is not a percentile"},
        {"p100<1ms", 1, "'p100' is not a percentile"},
        {"p99{a<1ms", 4, "a } is missing"},
        {"p99{}<1ms", 4,
         "the name of a kind has 1 to 99 bytes; [NAME] before its "
         "lines gives it a short one"},
        {"p99{{a}<1ms", 4, "a } is missing"},
        {"dropped{a}<1", 8, "a kind of requests has no such figure"},
        {"achieved{a}<1%", 9, "a kind of requests has no such figure"},
        {"service.p9{a}<1s", 11, "a kind of requests has no such figure"},
        {"status.5x{a}<1", 8, "'5x' is not a status such as 503 or 5xx"},
        {"status.5x<1", 8, "'5x' is not a status such as 503 or 5xx"},
        {"status.099<1", 8, "'099' is not a status"},
        {"status.6xx<1", 8, "'6xx' is not a status"},
        {"status.1234<1", 8, "'1234' is not a status"},
        {"status.2x3<1", 8, "'2x3' is not a status"},
        {"status.<1", 8, "'' is not a status"},
        {"status.503<1ms", 12, "'1ms' is not a count"},
        {"p99.9999<1ms", 1, "'p99.9999' is not a percentile"},
        {"p9.9.9<1ms", 1, "'p9.9.9' is not a percentile"},
        {"p99.0000000000000<1ms", 1, "'p99.0000000000000' is not a percentile"},
        {"rate>=50%", 7, "'50%' is not a count"},
        {"achieved>0.99", 10, "'0.99' is not a share"},
        {"errors<-1", 8, "'-1' is not a count such as 10, or a share"},
        {"p50 << 1ms", 6, "'<' is not a time"},
        {"p99<11111111111111111111111111111111111ms", 5, "is not a time"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(slo_parse(bad[i].text, &slo, &error), -EINVAL, "%s",
                  bad[i].text);
        expect_eq(error.position, bad[i].position, "%s", bad[i].text);
        cr_assert_not_null(strstr(error.why, bad[i].why), "%s: %s", bad[i].text,
                           error.why);
    }
}

UNIT(load_slo, there_are_sixteen_terms_at_most)
{
    char text[256] = "max<1s";

    for (int i = 0; i < 15; i++) {
        strcat(text, ",max<1s");
    }
    expect_eq(slo_parse(text, &slo, &error), 0);
    expect_eq(slo.count, 16);
    strcat(text, ",max<1s");
    expect_eq(slo_parse(text, &slo, &error), -EINVAL);
    expect_eq(error.position, strlen(text) - strlen("max<1s") + 1);
}

UNIT(load_slo, latencies_are_compared_with_limits)
{
    cr_assert(holds("p50<=5.01ms,p50>4.99ms,max<10.001ms,min<=1us"));
    cr_assert_not(holds("p50<4.9ms"));
    cr_assert(holds("mean<5.1ms,mean>4.9ms"));
    cr_assert_not(holds("max<10ms"));
    cr_assert(holds("max<=10ms"));
}

UNIT(load_slo, numbers_and_shares_are_those_of_what_was_offered)
{
    cr_assert(holds("errors<=20,errors<=0.1%,timeouts<4,dropped<=0"));
    cr_assert_not(holds("errors<20"));
    cr_assert_not(holds("errors<0.1%"));
    cr_assert(holds("rate>=990,achieved>=99%"));
    cr_assert_not(holds("rate>990"));
    cr_assert_not(holds("achieved>99%"));
}

UNIT(load_slo, all_terms_must_hold)
{
    cr_assert_not(holds("p50<1s,rate>10k"));
    cr_assert_not(holds("rate>10k,p50<1s"));
}

UNIT(load_slo, what_is_not_known_does_not_pass)
{
    struct slo_outcome outcome;
    char text[SLO_TEXT_SIZE];

    /* Ten of 10000 values lie beyond p99.9, one beyond p99.99. */
    cr_assert(holds("p99.9<1s"));
    outcome = slo_judge(&slo.terms[0], &facts);
    expect_eq(outcome.value_count, 0, "it is known");
    cr_assert_not(holds("p99.99<1s"));
    outcome = slo_judge(&slo.terms[0], &facts);
    cr_assert_not(outcome.known);
    expect_str_eq(slo_format(&slo.terms[0], &outcome, text),
                  "not known from 10000 values, 100000 needed");
    cr_assert_not(holds("ttfb.p50<1s"));
    outcome = slo_judge(&slo.terms[0], &facts);
    expect_str_eq(slo_format(&slo.terms[0], &outcome, text),
                  "not known, as no such times were taken");
    facts.offered_rate = 0;
    cr_assert_not(holds("achieved>=1%"));
    facts.offered = 0;
    cr_assert_not(holds("errors<100%"));
    histogram_clear(&response);
    cr_assert_not(holds("max<1s"));
}

UNIT(load_slo, outcomes_are_written_in_their_units)
{
    static const struct {
        const char *term;
        const char *text;
    } known[] = {
        {"max<1s", "10.0ms"},  {"errors<1", "20"},     {"errors<1%", "0.1%"},
        {"rate>1", "990.0/s"}, {"achieved>1%", "99%"},
    };
    char text[SLO_TEXT_SIZE];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        expect_eq(slo_parse(known[i].term, &slo, &error), 0);
        struct slo_outcome outcome = slo_judge(&slo.terms[0], &facts);
        expect_str_eq(slo_format(&slo.terms[0], &outcome, text), known[i].text);
    }
}
