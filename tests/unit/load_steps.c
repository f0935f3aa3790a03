/*
 * Runs at different loads: what becomes of the results of each, the search for
 * a capacity, and the lists of a sweep.
 *
 * No run is made: in place of a child process a server that can carry so many
 * requests a second is asked, which answers in time up to that, and late
 * beyond.
 */
#define UNIT_RUN with_file
#include "tools/weir-load/exits.h"
#include "tools/weir-load/search.h"
#include "tools/weir-load/steps.c"
#include "tools/weir-load/sweep.h"

#include "tests/unit.h"

#include "tools/load/payload.h"

#include <fcntl.h>
#include <math.h>

#define MS UINT64_C(1000000)

/* The server, and what it has been asked. */
static uint64_t capacity;
static size_t asked;
/* The run that is interrupted; 0: none. */
static size_t cut;
static json_int_t exit_code;
static const char *reason;
static char path[64];
/* The objectives that the last run had, or NULL. */
static const char *asked_slo;
/* Lines on standard error. */
static unsigned said;
/* Serves a run in the place of the server with a limit; NULL: that one does. */
static void (*serve)(uint64_t rate, uint64_t duration_ns, struct histogram *h,
                     double *ret_achieved, bool *ret_held);

/* ---- in place of child processes ---- */

/* Options of runs, which are passed on. */
static const struct option run_rows[] = {
    {"rate", 'R', "RATE", "", .kind = OPTION_COUNT},
    {"connections", 'c', "N", "", .kind = OPTION_COUNT},
    {"duration", 'd', "TIME", "", .kind = OPTION_TIME},
};
const struct option_set options_set = {
    .command = "weir-load run", .rows = run_rows, .count = 3};

void say(const char *format, ...)
{
    (void)format;
    said++;
}

void console_write(const char *text, size_t len)
{
    (void)text;
    (void)len;
}

void child_show_progress(const char *format, ...)
{
    (void)format;
}

/* The number behind a flag, the last one of it; 0: there is none. */
static uint64_t find_load(const struct words *words, const char *flag)
{
    uint64_t load = 0;

    for (size_t i = 0; i + 1 < words->count; i++) {
        if (strcmp(words->list[i], flag) == 0) {
            load = strtoull(words->list[i + 1], NULL, 10);
        }
    }
    return load;
}

/* The word behind a flag, or NULL. */
static const char *find_word(const struct words *words, const char *flag)
{
    for (size_t i = 0; i + 1 < words->count; i++) {
        if (strcmp(words->list[i], flag) == 0) {
            return words->list[i + 1];
        }
    }
    return NULL;
}

static json_t *make_result(uint64_t load, uint64_t duration_ns)
{
    static struct histogram h;
    const json_int_t ok = load && capacity ? 20000 : 0;

    double achieved = (double)load;
    bool is_held = true;

    histogram_clear(&h);
    if (serve) {
        serve(load, duration_ns, &h, &achieved, &is_held);
    }
    for (json_int_t i = 0; i < ok && !serve; i++) {
        histogram_record(&h, load <= capacity ? MS : 1000 * MS);
    }
    json_t *times = json_histogram(&h);
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:{s:s}, s:i, s:{s:i, s:I, s:I, s:i, s:i}, "
        "s:{s:f, s:f}, s:{s:O, s:o, s:n, s:n, s:n, s:n}, s:[], s:[s, s], "
        "s:[{s:s, s:i}, {s:s, s:i}, {s:s, s:i}]}",
        "schema", "weir-load/2", "config_hash", "1", "verdict", "VALID",
        "exit_code", is_held ? exit_code : (json_int_t)LOAD_INVALID, "model",
        "kind", "open", "duration_ns", 1000000, "requests", "offered", 20000,
        "ok", ok, "failed", (json_int_t)(20000 - ok), "timeout", 0, "dropped",
        0, "rate", "achieved", achieved, "offered", 2.0 * (double)load,
        "latency", "response", times, "service", times, "connect", "tls",
        "ttfb", "send_lateness", "intervals", "invalid_reasons", reason,
        "another", "errors", "text", "some", "requests", 1, "text", "most",
        "requests", 3, "text", "few", "requests", 2);
}

int child_measure(weir_loop *loop, const struct words *words, struct saved *ret,
                  char *why)
{
    const uint64_t rate = find_load(words, "-R");
    const uint64_t conns = find_load(words, "-c");
    /* A closed loop is as fast as the server. */
    const uint64_t load = rate ? rate : conns ? conns : capacity;

    (void)loop;
    if (cut > 0 && asked + 1 == cut) {
        return -ECANCELED;
    }
    asked_slo = find_word(words, "--slo");
    json_t *object = make_result(load, find_load(words, "-d"));
    char *text = json_dumps(object, 0);
    const int err = saved_parse(text, strlen(text), "child", ret, why);
    expect_eq(err, 0, "%s", why);
    free(text);
    json_decref(object);
    asked++;
    return err;
}

/* ---- what the tests ask ---- */

static void with_file(void (*body)(void))
{
    snprintf(path, sizeof(path), "/tmp/load-steps-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    capacity = 1000;
    asked = 0;
    cut = 0;
    exit_code = LOAD_OK;
    serve = NULL;
    reason = "the first reason; with advice";
    body();
    unlink(path);
}

typedef int main_fn(int argc, char **argv, int first);

#define WORDS_COUNT 12

/* What the command printed last. */
static char printed[16384];

/* A command with these words and --json; its exit code, and what it wrote. */
static int call(main_fn *command, const char *const *words, json_t **ret)
{
    char json[80];
    char *argv[WORDS_COUNT + 1] = {NULL};
    int argc = 0;

    snprintf(json, sizeof(json), "--json=%s", path);
    argv[argc++] = json;
    for (; words[argc - 1]; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    }
    fflush(stdout);
    const int out = dup(STDOUT_FILENO);
    FILE *page = tmpfile();
    cr_assert_not_null(page);
    dup2(fileno(page), STDOUT_FILENO);
    const int code = command(argc, argv, 0);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    rewind(page);
    printed[fread(printed, 1, sizeof(printed) - 1, page)] = '\0';
    fclose(page);
    *ret = code == LOAD_USAGE ? NULL : json_load_file(path, 0, NULL);
    return code;
}

struct found {
    uint64_t low;
    uint64_t middle;
    uint64_t high; /* 0: not known */
    bool is_narrow;
};

static uint64_t number_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

/* What a search finds; 0: nothing. */
static struct found search(const char *from, const char *to, int wanted)
{
    const char *const words[] = {"--slo", "p99<500ms", "--from",       from,
                                 "--to",  to,          "tcp://host:1", NULL};
    json_t *object = NULL;

    expect_eq(call(search_main, words, &object), wanted);
    cr_assert_not_null(object);
    const struct found found = {
        .low = number_of(object, "low"),
        .middle = number_of(object, "capacity"),
        .high = number_of(object, "high"),
        .is_narrow = json_is_true(json_object_get(object, "narrow")),
    };
    json_decref(object);
    return found;
}

/* ---- the result of a step ---- */

static struct command command;
static struct steps steps;

/* A step without objectives, or with these. */
static const struct step *measure(uint64_t load, const char *slo)
{
    struct slo_error error;
    int err = -1;

    memset(&command, 0, sizeof(command));
    said = 0;
    memset(&steps, 0, sizeof(steps));
    steps.command = &command;
    steps.flag = "-R";
    command.slo_text = slo;
    expect_eq(slo ? slo_parse(slo, &command.slo, &error) : 0, 0);
    const struct step *step = steps_measure(&steps, load, MS, &err);
    cr_assert_not_null(step);
    expect_eq(err, 0);
    expect_eq(said, 0);
    return step;
}

UNIT(load_steps, a_step_has_the_figures_of_its_run)
{
    const struct step *step = measure(500, "p99<50ms");

    expect_eq(step->load, 500);
    expect_eq(step->duration_ns, 1000000);
    expect_eq(step->max_ns, MS);
    expect_eq(step->p50_ns, MS);
    expect_eq(step->p99_ns, MS);
    expect_eq(step->offered, 20000);
    expect_eq(step->ok, 20000);
    cr_assert(step->achieved_rate == 500);
    cr_assert(step->passed);
    expect_str_eq(step->why, "");
    cr_assert(steps_have_answers(&steps));
}

UNIT(load_steps, an_objective_that_does_not_hold_is_the_reason)
{
    const struct step *step = measure(1001, "p50<2s,p99<50ms");

    cr_assert_not(step->passed);
    expect_str_eq(step->why, "p99<50ms: 1.00s");
}

UNIT(load_steps, an_invalid_run_has_its_first_reason)
{
    const struct step *step = NULL;

    exit_code = LOAD_INVALID;
    step = measure(500, "p99<50ms");
    cr_assert_not(step->passed, "half of the rate was achieved");
    expect_str_eq(step->why, "the first reason");
    reason = "50 % were answered; all 2 connections were busy, more (-c) may";
    step = measure(500, "p99<50ms");
    expect_str_eq(step->why, "50 % were answered; all 2 connections were busy");
    exit_code = LOAD_ERRORS;
    step = measure(500, NULL);
    cr_assert_not(step->passed);
    expect_str_eq(step->why, "0 of 20000 requests failed; most");
    cr_assert_null(asked_slo);
    exit_code = LOAD_SLO;
    step = measure(500, "errors<1");
    cr_assert(step->passed, "objectives speak of them");
    expect_str_eq(asked_slo, "errors<1", "the run knows");
    exit_code = LOAD_ERRORS;
    step = measure(500, "errors{GET /a}<1");
    cr_assert_not(step->passed, "of one kind alone");
    expect_str_eq(step->why, "0 of 20000 requests failed; most");
}

UNIT(load_steps, a_run_without_answers_tells_its_most_frequent_error)
{
    const struct step *step = NULL;

    capacity = 0;
    exit_code = LOAD_NOTHING;
    step = measure(500, "p99<50ms");
    cr_assert_not(step->passed);
    expect_str_eq(step->why, "20000 of 20000 requests failed; most");
    cr_assert_not(steps_have_answers(&steps));
}

UNIT(load_steps, a_step_that_cannot_be_saved_is_an_error)
{
    char folder[] = "/tmp/load-steps-XXXXXX";
    char name[64];
    int err = 0;

    measure(500, NULL);
    cr_assert_not_null(mkdtemp(folder));
    command.save = folder;
    cr_assert_not_null(steps_measure(&steps, 500, MS, &err));
    expect_eq(err, 0);
    expect_eq(said, 0);
    expect_eq(steps.count, 2);
    snprintf(name, sizeof(name), "%s/step-002.json", folder);
    expect_eq(unlink(name), 0);
    rmdir(folder);
    expect_eq(steps_measure(&steps, 500, MS, &err), NULL);
    expect_eq(err, -EINVAL);
    expect_eq(said, 1);
    expect_eq(steps.count, 2);
}

/* ---- search ---- */

UNIT(load_steps, a_search_tells_the_interval_of_the_capacity)
{
    static const uint64_t capacities[] = {1, 2, 7, 99, 1000, 123456};

    for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
        capacity = capacities[i];
        const struct found found = search("100", "1G", LOAD_OK);
        expect_leq(found.low, capacity);
        expect_geq(found.high, capacity);
        expect_leq(found.middle, capacity + capacity / 50 + 1);
        expect_geq(found.middle + found.middle / 50 + 1, capacity);
        cr_assert(found.is_narrow, "%llu", (unsigned long long)capacity);
        expect_leq(asked, 50);
        asked = 0;
    }
}

UNIT(load_steps, a_search_goes_no_further_than_it_may)
{
    static const char *const limits[][2] = {
        {"100", "500"}, {"800", "500"}, {"1000", "1k"}};

    for (size_t i = 0; i < 3; i++) {
        const struct found found = search(limits[i][0], limits[i][1], LOAD_OK);
        expect_eq(found.middle, i == 2 ? 1000 : 500);
        expect_eq(found.low, found.middle);
        expect_eq(found.high, 0, "more was not tried");
        cr_assert_not(found.is_narrow);
    }
}

UNIT(load_steps, a_search_begins_at_half_of_what_a_closed_loop_reaches)
{
    static const char *const words[] = {"--slo", "p99<50ms", "tcp://host:1",
                                        NULL};
    json_t *found = NULL;

    expect_eq(call(search_main, words, &found), LOAD_OK);
    const json_t *list = json_object_get(found, "steps");
    expect_eq(number_of(json_array_get(list, 0), "rate"), 500);
    expect_leq(number_of(found, "low"), 1000);
    expect_geq(number_of(found, "high"), 1000);
    json_decref(found);
}

UNIT(load_steps, a_server_without_answers_has_no_capacity)
{
    capacity = 0;
    exit_code = LOAD_NOTHING;
    const struct found found = search("100", "1k", LOAD_NOTHING);
    expect_eq(found.low, 0);
    expect_eq(found.middle, 0);
}

/* A search without --json=FILE that is cut in this run: what it says. */
static void expect_cut(size_t run, const char *wanted)
{
    static const char *const words[] = {"--slo", "p99<500ms", "--from",
                                        "4000",  "tcp://h:1", NULL};
    json_t *object = NULL;

    asked = 0;
    cut = run;
    expect_eq(call(search_main, words, &object), LOAD_INTERRUPTED, "%zu: %s",
              run, printed);
    cr_assert_not_null(strstr(printed, wanted), "%s", printed);
    cr_assert_null(strstr(printed, "differ too much"), "%s", printed);
    cr_assert_null(strstr(printed, "Capacity    none"), "%s", printed);
    cr_assert(json_is_true(json_object_get(object, "interrupted")));
    json_decref(object);
}

UNIT(load_steps, an_interrupted_search_says_no_more_than_it_knows)
{
    expect_cut(1, "not known: interrupted before a rate was tried enough");
    expect_cut(2, "not known: interrupted before a rate was tried enough");
    expect_cut(3, "p99<500ms does not hold at 4000/s, and lower");
    expect_cut(6, "interrupted before the interval was as narrow as");
    capacity = 1000000;
    expect_cut(3, "Capacity    8000/s or more: p99<500ms holds there, and the "
                  "search was interrupted");
}

UNIT(load_steps, the_failure_that_is_shown_is_the_nearest_above_the_middle)
{
    unsigned long long middle = 0;
    unsigned long long shown = 0;
    unsigned long long nearest = UINT64_MAX;
    json_t *object = NULL;
    static const char *const words[] = {"--slo", "p99<500ms", "--from",
                                        "100",   "tcp://h:1", NULL};
    size_t place = 0;
    json_t *step = NULL;

    expect_eq(call(search_main, words, &object), LOAD_OK);
    middle = number_of(object, "capacity");
    json_array_foreach(json_object_get(object, "steps"), place, step)
    {
        const uint64_t rate = number_of(step, "rate");
        if (json_is_false(json_object_get(step, "passed")) && rate >= middle &&
            rate < nearest) {
            nearest = rate;
        }
    }
    json_decref(object);
    const char *line = strstr(printed, "            (");
    cr_assert_not_null(line, "%s", printed);
    shown = strtoull(line + 13, NULL, 10);
    expect_eq(shown, nearest, "%s", printed);
}

/* ---- servers of known capacity ---- */

/* One that serves for as long as the others, or for a random time, requests
 * that come at equal distances, or at random; of fifty runs one meets a stall,
 * and fails. */
static struct {
    bool is_arrival_random;
    bool is_service_random;
} queue;

static uint64_t lots;

/* Above 0, at most 1. */
static double draw_share(void)
{
    lots++;
    return (double)((payload_mix(lots) >> 11) + 1) / 9007199254740992.0;
}

static double draw_time(bool is_random, double mean)
{
    return is_random ? -log(draw_share()) * mean : mean;
}

/* An empty server, a second of warm-up, and the window. */
static void serve_queue(uint64_t rate, uint64_t duration_ns,
                        struct histogram *h, double *ret_achieved,
                        bool *ret_held)
{
    const double begin = 1;
    const double end = begin + (double)duration_ns / 1e9;
    double free_at = 0;
    double offered = 0;
    double answered = 0;

    for (double now = 0; now < end;) {
        now += draw_time(queue.is_arrival_random, 1 / (double)rate);
        free_at = (free_at > now ? free_at : now) +
                  draw_time(queue.is_service_random, 1 / (double)capacity);
        answered += free_at >= begin && free_at < end;
        if (now >= begin && now < end) {
            offered++;
            histogram_record(h, (uint64_t)((free_at - now) * 1e9));
        }
    }
    *ret_achieved = answered / (end - begin);
    *ret_held = answered >= 0.99 * offered && draw_share() > 0.02;
}

/* Of so many searches: in how many is the capacity in the interval, and in how
 * many is the middle farther from it than 2 %? */
static void search_queue(uint64_t seed, unsigned count, unsigned *ret_in,
                         unsigned *ret_far)
{
    *ret_in = 0;
    *ret_far = 0;
    serve = serve_queue;
    capacity = 2000;
    for (unsigned i = 0; i < count; i++) {
        lots = (seed * 1000 + i) << 32;
        char from[16];
        snprintf(from, sizeof(from), "%.0f", 600 + 800 * draw_share());
        const struct found found = search(from, "1G", LOAD_OK);
        *ret_in += found.low <= capacity && capacity <= found.high;
        *ret_far += fabs((double)found.middle / 2000 - 1) > 0.02;
    }
}

UNIT(load_steps, the_capacity_of_a_queue_lies_in_the_interval)
{
    const char *given = getenv("WEIR_TEST_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
    const unsigned count = getenv("WEIR_LONG") ? 200 : 40;

    for (unsigned i = 0; i < 3; i++) {
        unsigned in = 0;
        unsigned far = 0;
        queue.is_arrival_random = i > 0;
        queue.is_service_random = i > 1;
        search_queue(seed, count, &in, &far);
        printf("# seed %llu, %s: in the interval %u, middle far %u of %u\n",
               (unsigned long long)seed,
               i == 0   ? "D/D/1"
               : i == 1 ? "M/D/1"
                        : "M/M/1",
               in, far, count);
        expect_geq(in, count * 95 / 100);
        expect_leq(far, count * 8 / 100);
    }
}

UNIT(load_steps, numbers_of_a_search_have_limits)
{
    static const struct {
        const char *flag;
        const char *value;
        int wanted;
    } rows[] = {
        {"--from", "0", LOAD_USAGE},
        {"--from", "x", LOAD_USAGE},
        {"--from", "1000000001", LOAD_USAGE},
        {"--to", "0", LOAD_USAGE},
        {"--to", "1", LOAD_OK},
        {"--precision", "0.09%", LOAD_USAGE},
        {"--precision", "0.1%", LOAD_OK},
        {"--precision", "100%", LOAD_OK},
        {"--precision", "101%", LOAD_USAGE},
        {"--precision", "x", LOAD_USAGE},
        {"-d", "99ms", LOAD_USAGE},
        {"-d", "100ms", LOAD_OK},
        {"-d", "60s", LOAD_OK},
        {"-d", "61s", LOAD_USAGE},
        {"-d", "x", LOAD_USAGE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *const words[] = {"--slo",       "p99<50ms",  rows[i].flag,
                                     rows[i].value, "tcp://h:1", NULL};
        json_t *found = NULL;
        expect_eq(call(search_main, words, &found), rows[i].wanted, "%s %s",
                  rows[i].flag, rows[i].value);
        json_decref(found);
    }
}

/* ---- sweep ---- */

/* The loads of a sweep as a text, "1 2 3". */
static const char *sweep(const char *flag, const char *list, int wanted)
{
    static char text[1024];
    const char *const words[] = {flag, list, "tcp://host:1", NULL};
    json_t *found = NULL;

    expect_eq(call(sweep_main, words, &found), wanted, "%s %s", flag, list);
    const json_t *done = json_object_get(found, "steps");
    const char *name = strcmp(flag, "--rates") == 0 ? "rate" : "connections";
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(done); i++) {
        const size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%s%lld", i ? " " : "",
                 (long long)json_integer_value(
                     json_object_get(json_array_get(done, i), name)));
    }
    json_decref(found);
    return text;
}

UNIT(load_steps, a_sweep_is_made_at_each_load_of_its_list)
{
    expect_str_eq(sweep("--rates", "5,1k,20", LOAD_OK), "5 1000 20");
    expect_str_eq(sweep("--conns", "1..10/4", LOAD_OK), "1 4 7 10");
    expect_str_eq(sweep("--rates", "3,0..1k/3", LOAD_USAGE), "");
    expect_str_eq(sweep("--rates", "3,2..1k/2", LOAD_OK), "3 2 1000");
    expect_str_eq(sweep("--rates", "1..1G/2", LOAD_OK), "1 1000000000");
}

UNIT(load_steps, a_list_that_is_none_is_refused)
{
    static const char *const lists[] = {
        "",         "0",       "x",          "1,",      "1..2",
        "1..2/",    "x..2/2",  "1..x/2",     "1..2/x",  "1..2/1",
        "2..2/2",   "3..2/2",  "1..9/0",     "..2/2",   "1../2",
        "2000000k", "1..2G/2", "1000000001", "1..9/101"};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        expect_str_eq(sweep("--rates", lists[i], LOAD_USAGE), "");
    }
}

UNIT(load_steps, a_sweep_in_which_nothing_succeeds_has_measured_nothing)
{
    capacity = 0;
    exit_code = LOAD_NOTHING;
    expect_str_eq(sweep("--rates", "5,6", LOAD_NOTHING), "5 6");
}

UNIT(load_steps, a_shuffled_sweep_has_the_order_of_its_seed)
{
    static const char *const words[] = {
        "--rates", "1..9/9", "--shuffle", "--seed", "7", "tcp://h:1", NULL};
    static const json_int_t wanted[] = {9, 1, 5, 7, 4, 2, 8, 6, 3};
    json_t *found = NULL;

    expect_eq(call(sweep_main, words, &found), LOAD_OK);
    const json_t *done = json_object_get(found, "steps");
    expect_eq(json_array_size(done), 9);
    for (size_t i = 0; i < 9; i++) {
        expect_eq(json_integer_value(
                      json_object_get(json_array_get(done, i), "rate")),
                  wanted[i], "place %zu", i);
    }
    json_decref(found);
}
