/*
 * Results that are read and merged: what is refused, what is added, and which
 * verdict two parts of a run have together.
 *
 * Results are made of members by hand; nothing is run. How files of real runs
 * are merged is tested end to end.
 */
#define UNIT_RUN with_parts
#include "tools/weir-load/exits.h"
#include "tools/weir-load/saved_merge.c"

#include "tests/unit.h"

#include <errno.h>

static struct histogram h;
static struct saved one;
static struct saved other;
static char why[SAVED_WHY_SIZE];

/* Times of an answer from begin to end, each microsecond one. */
static void record(uint64_t begin_us, uint64_t end_us)
{
    histogram_clear(&h);
    for (uint64_t us = begin_us; us < end_us; us++) {
        histogram_record(&h, us * 1000);
    }
}

/* A valid result of an open loop, whose answers took these times. */
static json_t *make_object(uint64_t begin_us, uint64_t end_us)
{
    const json_int_t count = (json_int_t)(end_us - begin_us);

    record(begin_us, end_us);
    char *text = hdr_encode(&h);
    json_t *times = json_histogram(&h);
    json_t *row = json_pack(
        "{s:i, s:i, s:I, s:I, s:i, s:i, s:i, s:I, s:I, s:I, s:s, s:{s:i}}",
        "begin_ns", 0, "end_ns", 1000, "offered", count, "ok", count, "failed",
        0, "timeout", 0, "dropped", 0, "p50", json_integer_of(h.min), "p99",
        json_integer_of(h.max), "max", json_integer_of(h.max), "hdr", text,
        "errors", "read ECONNRESET", 1);
    free(text);
    return json_pack(
        "{s:s, s:s, s:b, s:s, s:i, s:{s:s}, s:i, s:{s:I, s:I, s:i, s:i, s:i}, "
        "s:{s:f, s:f, s:i}, s:{s:O, s:o, s:n, s:n, s:n, s:n}, s:[o], s:[], "
        "s:[], s:[], s:{s:i, s:i}, s:{s:i, s:[]}, s:[{s:s, s:i, s:b}], s:i}",
        "schema", "weir-load/2", "config_hash", "1", "valid", true, "verdict",
        "VALID", "exit_code", 0, "model", "kind", "open", "duration_ns",
        1000000, "requests", "offered", count, "ok", count, "failed", 1,
        "timeout", 2, "dropped", 4, "rate", "achieved", 10.0, "offered", 20.0,
        "completed", 5, "latency", "response", times, "service", times,
        "connect", "tls", "ttfb", "send_lateness", "intervals", row, "errors",
        "invalid_reasons", "warnings", "stall", "longest_ns", 5, "at_ns", 7,
        "client", "cpu_user_ns", 1000, "threads", "slo", "expr", "p99<1s",
        "value", 5, "pass", true, "waited", 1);
}

/* The object is taken. */
static int read_object(json_t *object, struct saved *ret)
{
    cr_assert_not_null(object);
    char *text = json_dumps(object, 0);
    const int err = saved_parse(text, strlen(text), "a.json", ret, why);
    free(text);
    json_decref(object);
    return err;
}

/* A text of JSON becomes the member; NULL: there is none. */
static void set_member(json_t *object, const char *name, const char *text)
{
    if (!text) {
        json_object_del(object, name);
        return;
    }
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(value, "%s", text);
    json_object_set_new(object, name, value);
}

static json_t *member(const struct saved *saved, const char *name)
{
    return json_object_get(saved->object, name);
}

static json_t *first_row(const struct saved *saved)
{
    return json_array_get(member(saved, "intervals"), 0);
}

static json_int_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void merge(void)
{
    expect_eq(saved_merge(&one, &other, why), 0, "%s", why);
}

/* Two parts of a run, with times of 1 to 1000 us and of 2001 to 5000 us. */
static void make_parts(void)
{
    expect_eq(read_object(make_object(1, 1001), &one), 0, "%s", why);
    expect_eq(read_object(make_object(2001, 5001), &other), 0, "%s", why);
}

static void end_parts(void)
{
    saved_fini(&one);
    saved_fini(&other);
}

static void with_parts(void (*body)(void))
{
    make_parts();
    body();
    end_parts();
}

/* ---- reading ---- */

UNIT(load_saved, a_result_is_read)
{
    struct slo_facts facts;

    cr_assert(one.is_open);
    expect_eq(one.duration_ns, 1000000);
    expect_eq(one.requests.scheduled, 1000);
    expect_eq(one.row_count, 1);
    expect_eq(one.rows[0].counts.end_ns, 1000);
    expect_eq(one.rows[0].counts.max_ns, 1000000);
    expect_eq(saved_latency(&one), one.times[SLO_RESPONSE]);
    saved_get_facts(&one, &facts);
    expect_eq(facts.errors, 3);
    expect_eq(facts.timeouts, 2);
    expect_eq(facts.dropped, 4);
    cr_assert(facts.rate == 10 && facts.offered_rate == 20);
    expect_eq(facts.times[SLO_TLS], NULL);
}

UNIT(load_saved, a_closed_loop_has_no_rate_and_no_response_times)
{
    json_t *object = make_object(1, 11);
    struct saved closed;

    set_member(object, "model", "{\"kind\": \"closed\"}");
    set_member(object, "rate", "{\"achieved\": 10}");
    json_object_set_new(json_object_get(object, "latency"), "response",
                        json_null());
    expect_eq(read_object(object, &closed), 0, "%s", why);
    cr_assert(closed.offered_rate == 0);
    expect_eq(saved_latency(&closed), closed.times[SLO_SERVICE]);
    expect_eq(saved_merge(&one, &closed, why), -EINVAL);
    cr_assert_not_null(strstr(why, "no parts of one run"), "%s", why);
    saved_fini(&closed);
}

/* Of members with one name the last counts. */
#define ROW(rest)                                                              \
    "[{\"begin_ns\": 5, \"end_ns\": 6, \"offered\": 1, \"ok\": 1, "            \
    "\"failed\": 0, \"timeout\": 0, \"dropped\": 0, \"p50\": null, "           \
    "\"p99\": null, \"max\": 7" rest "}]"

UNIT(load_saved, what_is_no_result_is_refused)
{
    static const struct {
        const char *name;
        const char *text;
        const char *why;
    } bad[] = {
        {"schema", "\"weir-load/1\"", "a.json: its schema is weir-load/1"},
        {"verdict", NULL, "not a result of weir-load"},
        {"duration_ns", "-1", "are not those of a result"},
        {"duration_ns", "1.5", "are not those of a result"},
        {"requests", "{}", "are not those of a result"},
        {"rate", "{\"achieved\": -1, \"offered\": 1}", "are not those"},
        {"rate", "{\"achieved\": 1, \"offered\": \"1\"}", "are not those"},
        {"rate", "{\"achieved\": 1}", "are not those of a result"},
        {"latency", "{}", "the histogram of response is none"},
        {"kinds", "{}", "'kinds' is no list of kinds"},
        {"kinds", "[{}]", "kind 0 of requests is none"},
        {"kinds",
         "[{\"name\": \"a\", \"status\": {}, \"ok\": -1, \"failed\": 0, "
         "\"timeout\": 0}]",
         "kind 0 of requests is none"},
        {"kinds",
         "[{\"name\": \"a\", \"status\": {}, \"ok\": 1, \"failed\": 0, "
         "\"timeout\": 0, \"latency\": {}}]",
         "kind 0 of requests is none"},
        {"intervals", "{}", "'intervals' is no list"},
        {"intervals", "[{}]", "interval 0 is none"},
        {"intervals", ROW(", \"hdr\": 5"), "interval 0 is none"},
        {"intervals", ROW(", \"hdr\": \"HIST\""), "interval 0 is none"},
        {"intervals", ROW(", \"p99\": -1"), "interval 0 is none"},
        {"intervals", ROW(", \"errors\": []"), "interval 0 is none"},
        {"intervals", ROW(", \"errors\": {\"x\": -1}"), "interval 0 is none"},
        {"intervals", ROW(", \"errors\": {\"x\": \"1\"}"), "interval 0 is"},
        {"intervals", ROW(", \"begin_ns\": 6"), "interval 0 is none"},
    };
    struct saved saved;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        json_t *object = make_object(1, 11);
        set_member(object, bad[i].name, bad[i].text);
        why[0] = '\0';
        expect_eq(read_object(object, &saved), -EINVAL, "%s %s", bad[i].name,
                  bad[i].text);
        cr_assert(strstr(why, bad[i].why), "%s: %s", bad[i].text, why);
    }
}

UNIT(load_saved, an_interval_may_have_neither_histogram_nor_times)
{
    json_t *object = make_object(1, 11);
    struct saved saved;

    set_member(object, "intervals",
               ROW(", \"hdr\": null, \"errors\": {\"x\": 1}"));
    expect_eq(read_object(object, &saved), 0, "%s", why);
    expect_eq(saved.rows[0].counts.p50_ns, 0);
    expect_eq(saved.rows[0].counts.max_ns, 7);
    saved_fini(&saved);
}

UNIT(load_saved, a_list_is_not_longer_than_a_million_intervals)
{
    static const char *const reasons[] = {"interval 0 is none",
                                          "'intervals' is no list"};
    struct saved saved;

    for (size_t more = 0; more < 2; more++) {
        json_t *object = make_object(1, 11);
        json_t *list = json_array();
        for (size_t i = 0; i < 1000000 + more; i++) {
            json_array_append_new(list, json_true());
        }
        json_object_set_new(object, "intervals", list);
        expect_eq(read_object(object, &saved), -EINVAL);
        cr_assert(strstr(why, reasons[more]), "%s", why);
    }
}

/* A file with a result and this many blanks behind it. */
static void write_file(char *path, size_t blanks)
{
    json_t *object = make_object(1, 11);

    strcpy(path, "/tmp/load-saved-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert(fd >= 0);
    FILE *file = fdopen(fd, "w");
    json_dumpf(object, file, 0);
    for (size_t i = 0; i < blanks; i++) {
        fputc(' ', file);
    }
    fclose(file);
    json_decref(object);
}

UNIT(load_saved, a_file_of_any_size_is_read_and_several_are_merged)
{
    static const size_t blanks[] = {0, 65536, 1000000};
    char path[64];
    char paths[160];
    struct saved saved;

    for (size_t i = 0; i < COUNT_OF(blanks); i++) {
        write_file(path, blanks[i]);
        expect_eq(saved_read(path, false, &saved, why), 0, "%s", why);
        expect_eq(saved.requests.scheduled, 10);
        expect_str_eq(saved.name, path);
        saved_fini(&saved);
        snprintf(paths, sizeof(paths), "%s,%s", path, path);
        expect_eq(saved_read(paths, false, &saved, why), 0, "%s", why);
        expect_eq(saved.requests.scheduled, 20);
        saved_fini(&saved);
        snprintf(paths, sizeof(paths), "%s,%s-none", path, path);
        expect_eq(saved_read(paths, false, &saved, why), -EINVAL);
        cr_assert(strstr(why, "-none: No such file"), "%s", why);
        unlink(path);
    }
}

UNIT(load_saved, what_is_written_is_read_again)
{
    char path[128];
    struct saved saved;
    char folder[] = "/tmp/load-saved-XXXXXX";

    cr_assert_not_null(mkdtemp(folder));
    expect_eq(saved_write(&one, folder, "run", why), 0, "%s", why);
    snprintf(path, sizeof(path), "%s/run.json", folder);
    expect_eq(saved_read(path, false, &saved, why), 0, "%s", why);
    expect_eq(saved.requests.scheduled, 1000);
    saved_fini(&saved);
    unlink(path);
    rmdir(folder);
    expect_eq(saved_write(&one, folder, "run", why), -EINVAL);
    cr_assert(strstr(why, "No such file"), "%s", why);
}

/* ---- merging ---- */

UNIT(load_saved, counts_are_added_and_latencies_are_those_of_both)
{
    merge();

    expect_eq(one.requests.scheduled, 4000);
    expect_eq(one.requests.failed, 2);
    expect_eq(one.requests.timeout, 4);
    expect_eq(one.requests.dropped, 8);
    cr_assert(one.achieved_rate == 20 && one.offered_rate == 40);
    const struct histogram *times = one.times[SLO_RESPONSE];
    expect_eq(times->count, 4000);
    expect_eq(times->min, 1000);
    expect_eq(times->max, 5000000);
    expect_geq(histogram_quantile(times, 50000), 3000000);
    expect_leq(histogram_quantile(times, 50000), 3003000);
    expect_eq(one.times[SLO_SERVICE]->count, 4000);
    expect_eq(one.times[SLO_TLS], NULL);
    expect_eq(number(one.object, "waited"), 2);
    expect_eq(json_array_size(member(&one, "parts")), 2);
    expect_eq(number(member(&one, "client"), "cpu_user_ns"), 2000);
    cr_assert(json_number_value(json_object_get(
                  member(&one, "rate"), "per_client_cpu_second")) == 5000000);
}

UNIT(load_saved, parts_of_parts_are_named_each)
{
    struct saved third;

    expect_eq(read_object(make_object(1, 11), &third), 0, "%s", why);
    merge();
    expect_eq(saved_merge(&third, &one, why), 0, "%s", why);
    expect_eq(json_array_size(member(&third, "parts")), 3);
    expect_eq(third.requests.scheduled, 4010);
    saved_fini(&third);
}

UNIT(load_saved, the_times_of_an_interval_are_those_of_both)
{
    merge();

    expect_eq(one.rows[0].counts.ok, 4000);
    expect_eq(one.rows[0].counts.max_ns, 5000000);
    expect_geq(one.rows[0].counts.p50_ns, 3000000);
    expect_leq(one.rows[0].counts.p50_ns, 3003000);
    expect_geq(one.rows[0].counts.p99_ns, 4960000);
    expect_leq(one.rows[0].counts.p99_ns, 4965000);
    expect_eq(
        number(json_object_get(first_row(&one), "errors"), "read ECONNRESET"),
        2);
}

UNIT(load_saved, a_percentile_of_an_interval_is_not_above_its_greatest_value)
{
    json_t *object = make_object(1, 2);
    json_t *row = json_array_get(json_object_get(object, "intervals"), 0);

    /* A coarse text has a bucket for it whose highest value is above it. */
    histogram_clear(&h);
    histogram_record(&h, 1000003);
    char *text = hdr_encode_coarse(&h);
    json_object_set_new(row, "hdr", json_string(text));
    json_object_set_new(row, "max", json_integer(1000003));
    free(text);
    saved_fini(&one);
    expect_eq(read_object(json_incref(object), &one), 0, "%s", why);
    saved_fini(&other);
    expect_eq(read_object(object, &other), 0, "%s", why);
    merge();

    expect_eq(one.rows[0].counts.p50_ns, 1000003);
    expect_eq(one.rows[0].counts.p99_ns, 1000003);
}

UNIT(load_saved, what_one_interval_does_not_tell_both_do_not)
{
    json_t *object = make_object(1, 11);
    json_t *row = json_array_get(json_object_get(object, "intervals"), 0);

    json_object_del(row, "hdr");
    json_object_del(row, "errors");
    saved_fini(&other);
    expect_eq(read_object(object, &other), 0, "%s", why);
    merge();

    expect_eq(one.rows[0].counts.p50_ns, 0);
    expect_eq(one.rows[0].counts.p99_ns, 0);
    expect_eq(one.rows[0].hdr, NULL);
    expect_eq(one.rows[0].errors, NULL);
    expect_eq(one.rows[0].counts.max_ns, 1000000);
}

UNIT(load_saved, intervals_that_one_part_has_alone_stay_as_they_are)
{
    json_t *object = make_object(1, 11);
    json_t *rows = json_object_get(object, "intervals");

    json_array_append_new(rows, json_deep_copy(json_array_get(rows, 0)));
    saved_fini(&other);
    expect_eq(read_object(object, &other), 0, "%s", why);
    merge();

    expect_eq(one.row_count, 2);
    expect_eq(one.rows[0].counts.ok, 1010);
    expect_eq(one.rows[1].counts.ok, 10);
}

UNIT(load_saved, numbers_that_a_file_makes_up_do_not_wrap)
{
    expect_eq(add_integers(INT64_MAX, 1), INT64_MAX);
    expect_eq(add_integers(3, 4), 7);
}

UNIT(load_saved, the_longest_stall_of_both_is_kept)
{
    set_member(other.object, "stall", "{\"longest_ns\": 9, \"at_ns\": 3}");
    merge();
    expect_eq(number(member(&one, "stall"), "longest_ns"), 9);
    expect_eq(number(member(&one, "stall"), "at_ns"), 3);

    set_member(other.object, "stall", "{\"longest_ns\": 8, \"at_ns\": 1}");
    merge();
    expect_eq(number(member(&one, "stall"), "longest_ns"), 9);
}

/* A kind with answers of a time. */
static json_t *make_kind(const char *name, uint64_t us)
{
    record(us, us + 100);
    return json_pack("{s:s, s:i, s:i, s:i, s:{s:i}, s:o}", "name", name, "ok",
                     100, "failed", 2, "timeout", 1, "status", "200", 100,
                     "latency", json_histogram(&h));
}

UNIT(load_saved, kinds_of_one_name_are_one_and_objectives_are_of_all_parts)
{
    json_t *a = make_object(1, 1001);
    json_t *b = make_object(1, 1001);
    struct slo_facts facts;
    struct slo_facts kind;

    json_object_set_new(a, "kinds", json_pack("[o]", make_kind("x", 1)));
    json_object_set_new(
        b, "kinds",
        json_pack("[o, o]", make_kind("y", 1), make_kind("x", 1001)));
    end_parts();
    expect_eq(read_object(a, &one), 0, "%s", why);
    expect_eq(read_object(b, &other), 0, "%s", why);
    merge();

    expect_eq(one.kind_count, 2);
    expect_str_eq(one.kinds[0].name, "x");
    expect_eq(one.kinds[0].counts.ok, 200);
    expect_eq(one.kinds[0].counts.timeout, 2);
    expect_eq(one.kinds[0].latency.count, 200);
    expect_eq(one.kinds[0].latency.max, 1100000);
    expect_eq(number(one.kinds[0].status, "200"), 200);
    expect_str_eq(one.kinds[1].name, "y");
    expect_eq(one.kinds[1].counts.ok, 100);
    saved_get_facts(&one, &facts);
    cr_assert(facts.find_kind(facts.owner, "x", &kind));
    expect_eq(kind.offered, 206);
    expect_eq(kind.errors, 6);
    expect_eq(kind.count_statuses(kind.answers, 200, 299), 200);
    cr_assert_not(facts.find_kind(facts.owner, "z", &kind));
}

UNIT(load_saved, errors_of_one_kind_are_one)
{
    set_member(one.object, "errors",
               "[{\"phase\": \"read\", \"code\": \"A\", \"text\": \"t\", "
               "\"count\": 1, \"requests\": 2}]");
    set_member(other.object, "errors",
               "[{\"phase\": \"read\", \"code\": \"B\", \"text\": \"t\", "
               "\"count\": 4, \"requests\": 8},"
               " {\"phase\": \"read\", \"code\": \"A\", \"text\": \"t\", "
               "\"count\": 16, \"requests\": 32}]");
    merge();

    const json_t *errors = member(&one, "errors");
    expect_eq(json_array_size(errors), 2);
    expect_eq(number(json_array_get(errors, 0), "count"), 17);
    expect_eq(number(json_array_get(errors, 0), "requests"), 34);
    expect_eq(number(json_array_get(errors, 1), "count"), 4);
}

/* From the strongest to the weakest. */
static const struct {
    enum load_exit exit;
    const char *word;
} verdicts[] = {
    {LOAD_INTERRUPTED, "INTERRUPTED"},
    {LOAD_NOTHING, "FAILED"},
    {LOAD_ERRORS, "FAILED"},
    {LOAD_INVALID, "INVALID"},
    {LOAD_SLO, "FAILED"},
    {LOAD_OK, "VALID"},
};

static void set_verdict(struct saved *saved, size_t index)
{
    const enum load_exit code = verdicts[index].exit;

    json_object_set_new(saved->object, "valid", json_boolean(code == LOAD_OK));
    json_object_set_new(saved->object, "verdict",
                        json_string(verdicts[index].word));
    json_object_set_new(saved->object, "exit_code", json_integer(code));
}

UNIT(load_saved, a_verdict_is_as_bad_as_the_worst_but_for_objectives)
{
    for (size_t i = 0; i < COUNT_OF(verdicts) * COUNT_OF(verdicts); i++) {
        const size_t a = i / COUNT_OF(verdicts);
        const size_t b = i % COUNT_OF(verdicts);
        size_t worst = a < b ? a : b;
        end_parts();
        make_parts();
        set_verdict(&one, a);
        set_verdict(&other, b);

        merge();

        /* The objective holds for both together. */
        worst += verdicts[worst].exit == LOAD_SLO;
        expect_eq(one.exit_code, (int)verdicts[worst].exit, "%d and %d",
                  (int)verdicts[a].exit, (int)verdicts[b].exit);
        expect_str_eq(one.verdict, verdicts[worst].word);
        expect_eq(json_is_true(member(&one, "valid")),
                  verdicts[worst].exit == LOAD_OK);
    }
}

UNIT(load_saved, a_summary_of_both_counts_errors_of_either)
{
    set_member(other.object, "summary", "{\"attempts\": 50, \"errors\": 9}");
    json_t *object = json_incref(other.object);
    saved_fini(&other);
    expect_eq(read_object(object, &other), 0, "%s", why);
    const uint64_t attempts = one.requests.scheduled - one.requests.dropped;
    merge();

    const json_t *summary = member(&one, "summary");
    expect_eq(number(summary, "attempts"), attempts + 50);
    expect_eq(number(summary, "errors"), 3 + 9);
    expect_eq(one.errors, 3 + 9);
    expect_str_eq(json_string_value(json_object_get(summary, "verdict")),
                  "VALID");
}

UNIT(load_saved, a_summary_without_its_counts_is_refused)
{
    json_t *object = make_object(1, 11);

    set_member(object, "summary", "{\"attempts\": 50}");
    saved_fini(&other); /* which leaves it empty */
    expect_eq(read_object(object, &other), -EINVAL);
}

UNIT(load_saved, an_objective_is_judged_by_all_parts)
{
    static const struct {
        const char *slo;
        bool holds;
    } cases[] = {
        /* Each has 10 a second. */
        {"[{\"expr\": \"rate>=20\", \"value\": 10, \"pass\": false}]", true},
        {"[{\"expr\": \"rate>=21\", \"value\": 10, \"pass\": null}]", false},
        {"[{\"expr\": \"errors<=2\", \"value\": 3, \"pass\": true}]", false},
        {"[{\"expr\": \"errors<=6\", \"value\": 3, \"pass\": true}]", true},
        /* What is none of ours stays as it is. */
        {"[{\"expr\": \"beauty>3\", \"value\": 3, \"pass\": false}]", false},
        {"[{\"value\": 3, \"pass\": true}]", true},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        end_parts();
        make_parts();
        set_member(one.object, "slo", cases[i].slo);
        merge();
        const json_t *term = json_array_get(member(&one, "slo"), 0);
        expect_eq(json_is_true(json_object_get(term, "pass")), cases[i].holds,
                  "%s", cases[i].slo);
        expect_eq(one.exit_code, cases[i].holds ? LOAD_OK : LOAD_SLO, "%s",
                  cases[i].slo);
        expect_str_eq(one.verdict, cases[i].holds ? "VALID" : "FAILED");
    }
}

/* ---- parts of one run ---- */

/* Part index of count, measured for 1 ms from so many milliseconds on. */
static void set_part(struct saved *saved, int index, int count,
                     uint64_t start_ms)
{
    json_object_set_new(
        saved->object, "part",
        json_pack("{s:i, s:i}", "index", index, "count", count));
    saved->start_ns = start_ms * 1000000;
}

UNIT(load_saved, parts_are_of_one_load)
{
    expect_eq(saved_parts_check(&one, &other, why), 0, "%s", why);
    json_object_set_new(other.object, "config_hash", json_string("2"));
    other.config_hash =
        json_string_value(json_object_get(other.object, "config_hash"));
    expect_eq(saved_parts_check(&one, &other, why), -EINVAL);
    cr_assert_not_null(strstr(why, "other options"), "%s", why);
}

UNIT(load_saved, parts_were_measured_together)
{
    set_part(&one, 1, 2, 1000);
    set_part(&other, 2, 2, 1000);
    expect_eq(saved_parts_check(&one, &other, why), 0, "%s", why);
    other.start_ns += 50000;
    expect_eq(saved_parts_check(&one, &other, why), 0, "%s", why);
    other.start_ns += 1000;
    expect_eq(saved_parts_check(&one, &other, why), -EINVAL);
    cr_assert_not_null(strstr(why, "for only 94.9 % of the time"), "%s", why);
    expect_eq(saved_parts_check(&other, &one, why), -EINVAL);
    other.start_ns += 10000000;
    expect_eq(saved_parts_check(&one, &other, why), -EINVAL);
    cr_assert_not_null(strstr(why, "for only 0.0 %"), "%s", why);
    /* The longer of both counts. */
    other.start_ns = one.start_ns;
    other.duration_ns *= 2;
    expect_eq(saved_parts_check(&one, &other, why), -EINVAL);
    cr_assert_not_null(strstr(why, "for only 50.0 %"), "%s", why);
    /* An earlier version does not say when. */
    other.start_ns = 0;
    expect_eq(saved_parts_check(&one, &other, why), 0, "%s", why);
}

UNIT(load_saved, no_part_is_there_twice_or_of_another_number)
{
    set_part(&one, 1, 3, 0);
    set_part(&other, 1, 3, 0);
    expect_eq(saved_parts_check(&one, &other, why), -EINVAL);
    cr_assert_not_null(strstr(why, "part 1 of 3 is there twice"), "%s", why);
    set_part(&other, 2, 4, 0);
    expect_eq(saved_parts_check(&one, &other, why), -EINVAL);
    cr_assert_not_null(strstr(why, "one of 4 parts"), "%s", why);
    set_part(&other, 3, 3, 0);
    expect_eq(saved_parts_check(&one, &other, why), 0, "%s", why);
    merge();
    expect_eq(saved_parts_check(&one, &other, why), -EINVAL);
    cr_assert_not_null(strstr(why, "part 3 of 3 is there twice"), "%s", why);
}

UNIT(load_saved, missing_parts_are_named)
{
    set_part(&one, 1, 20, 0);
    expect_eq(saved_parts_check_all(&one, why), 0, "one part alone");
    set_part(&other, 3, 20, 0);
    merge();
    expect_eq(saved_parts_check_all(&one, why), -EINVAL);
    cr_assert_not_null(strstr(why, "missing: 2, 4, 5, 6, 7, 8, 9, 10 and more"),
                       "%s", why);

    end_parts();
    make_parts();
    set_part(&one, 1, 2, 0);
    set_part(&other, 2, 2, 0);
    merge();
    expect_eq(saved_parts_check_all(&one, why), 0, "%s", why);
    cr_assert(json_is_null(member(&one, "part")));
}

UNIT(load_saved, remarks_say_where_they_were_made)
{
    static const char clock[] =
        "{\"host\": \"a\", \"clock\": {\"synchronised\": true, "
        "\"estimated_error_ns\": 5, \"greatest_error_ns\": 7}}";

    set_part(&one, 1, 3, 0);
    set_part(&other, 3, 3, 0);
    set_member(one.object, "env", clock);
    set_member(other.object, "env",
               "{\"host\": \"b\", \"clock\": {\"synchronised\": false, "
               "\"estimated_error_ns\": 4, \"greatest_error_ns\": 9}}");
    set_member(one.object, "warnings", "[\"slow\"]");
    set_member(other.object, "warnings", "[\"late\"]");
    merge();
    merge();

    const json_t *list = member(&one, "warnings");
    expect_eq(json_array_size(list), 3);
    expect_str_eq(json_string_value(json_array_get(list, 0)),
                  "a, part 1: slow");
    expect_str_eq(json_string_value(json_array_get(list, 1)),
                  "b, part 3: late");
    const json_t *state = json_object_get(member(&one, "env"), "clock");
    cr_assert(json_is_false(json_object_get(state, "synchronised")));
    expect_eq(number(state, "estimated_error_ns"), 5);
    expect_eq(number(state, "greatest_error_ns"), 9);
}
