/*
 * The table and the JSON of a comparison, and its exit code.
 *
 * The figures of the runs are made up; that the intervals are right is tested
 * in load_statistics.c.
 */
#define UNIT_RUN with_runs
#include "tools/weir-load/comparison.c"

#include "tests/unit.h"
#include "tests/unit/random.h"

static struct comparison comparison;
static struct comparison_options options;
static char *text;
static unsigned said;

static const struct option option_rows[] = {
    COMPARISON_ROWS("go on", "pass|fail|until=T", "what then")};
static const struct option_set rows_of_both = {.command = "weir-load compare",
                                               .rows = option_rows,
                                               .count = sizeof(option_rows) /
                                                        sizeof(option_rows[0])};

void say(const char *format, ...)
{
    (void)format;
    said++;
}

void console_write(const char *lines, size_t len)
{
    (void)lines;
    (void)len;
}

/* Six runs of each: 100 to 105, and as much again, of each figure. */
static void with_runs(void (*body)(void))
{
    memset(&comparison, 0, sizeof(comparison));
    memset(&options, 0, sizeof(options));
    options_set_initial(&rows_of_both, 0, &options);
    comparison.looks = 1;
    comparison.command = "compare";
    comparison.names[0] = "a.json";
    comparison.names[1] = "b.json";
    comparison.counts[0] = comparison.counts[1] = 6;
    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        for (size_t run = 0; run < 6; run++) {
            comparison.values[i][0][run] = 100 + (double)run;
            comparison.values[i][1][run] = 2 * (100 + (double)run);
        }
    }
    said = 0;
    body();
    free(text);
    text = NULL;
}

/* Reads the value of one of the options. */
static bool takes(const char *name, const char *value)
{
    char why[OPTION_WHY_SIZE];

    return option_read(&rows_of_both, &options,
                       option_find(&rows_of_both, name, strlen(name)), value,
                       why);
}

/* The table as text. */
static const char *print(void)
{
    static struct row rows[COMPARISON_FIGURES];
    size_t size = 0;

    free(text);
    FILE *file = open_memstream(&text, &size);
    cr_assert_not_null(file);
    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        expect_eq(make_row(&comparison, i, options.margin, &rows[i]), 0);
    }
    print_text(&comparison, &options, rows, file);
    fclose(file);
    return text;
}

static void expect_prints(const char *part)
{
    cr_assert(strstr(print(), part), "no '%s' in\n%s", part, text);
}

/* An error of two looks at growing numbers of runs of one server is as likely
 * as one of a single look. */
static bool errs_at_some_look(struct unit_random *random)
{
    size_t made = 0;

    for (size_t count = 20; count <= 160; count *= 2) {
        for (; made < count; made++) {
            for (size_t side = 0; side < 2; side++) {
                comparison.values[1][side][made] =
                    1000 + (double)(unit_random_next(random) % 1000);
            }
        }
        comparison.counts[0] = comparison.counts[1] = count;
        if (!comparison_is_undecided(&comparison, &options)) {
            return true;
        }
    }
    return false;
}

static enum load_exit finish(void)
{
    options.command.json = true; /* and so nothing is printed */
    options.command.json_path = "/dev/null";
    fflush(stdout);
    return comparison_finish(&comparison, &options);
}

UNIT(load_comparison, a_figure_has_its_medians_change_and_verdict)
{
    expect_prints("A           a.json\nB           b.json\n");
    expect_prints("\nrate           102/s      205/s   +100.0%  [");
    expect_prints("\np50            102ns      205ns   +100.0%  [");
    expect_prints("+94.3%, +105.9%]  worse\n");
    expect_prints("Verdict     p50: worse, from 6 and 6 runs; up to 5% is no ");
    comparison.is_paired = true;
    expect_prints("\np90            102ns      205ns   +100.0%  [+100.0%, "
                  "+100.0%] worse\n");
    expect_prints("Verdict     p50: worse, from 6 pairs of runs; up to 5% ");
}

UNIT(load_comparison, an_interval_is_in_percent)
{
    for (size_t run = 0; run < 6; run++) {
        comparison.values[1][0][run] = 100;
        comparison.values[1][1][run] = run < 3 ? 150 : 300;
    }
    comparison.is_paired = true;
    expect_prints("\np50            100ns      225ns   +112.1%  [+50.0%, "
                  "+200.0%]  worse\n");
}

UNIT(load_comparison, a_low_rate_has_a_digit_behind_its_point)
{
    char buf[UNITS_TEXT_SIZE];

    expect_str_eq(format_value(&figures[0], 99.94, buf), "99.9/s");
    expect_str_eq(format_value(&figures[0], 100, buf), "100/s");
    expect_str_eq(format_value(&figures[0], 0.5, buf), "0.5/s");
    expect_str_eq(format_value(&figures[1], 2000, buf), "2.00us");
}

UNIT(load_comparison, a_figure_that_one_run_has_not_is_not_known)
{
    static const double none[] = {0, -1};

    for (size_t i = 0; i < 2; i++) {
        comparison.values[4][1][5] = none[i];
        expect_prints("\np99.9              -          -\nmean ");
        comparison.values[1][0][0] = none[i];
        expect_prints("            p50 is not known in every run\n");
        comparison.values[1][0][0] = 100;
    }
    comparison.values[1][0][0] = 0;
    expect_prints("Verdict     p50: cannot tell");
}

UNIT(load_comparison, too_few_runs_are_told_with_how_many_would_do)
{
    comparison.counts[0] = comparison.counts[1] = 3;
    expect_prints("            3 runs of each are too few for a 95 % interval; "
                  "make 4 or more\n");
    comparison.counts[0] = 6;
    comparison.counts[1] = 2;
    expect_prints("            2 runs of each are too few");
    comparison.counts[0] = comparison.counts[1] = 5;
    comparison.is_paired = true;
    expect_prints(
        "            5 pairs are too few for a 95 % interval; make 6");
}

UNIT(load_comparison, runs_that_scatter_are_told_with_how_many_would_do)
{
    for (size_t run = 0; run < 6; run++) {
        comparison.values[1][0][run] = run % 2 ? 50 : 100;
        comparison.values[1][1][run] = run % 2 ? 100 : 50;
    }
    expect_prints("            the runs scatter too much; about ");
    expect_prints(" runs of each would tell 5%\n");
}

UNIT(load_comparison, the_json_has_each_figure)
{
    struct row rows[COMPARISON_FIGURES];

    comparison.values[6][1][0] = 0;
    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        expect_eq(make_row(&comparison, i, options.margin, &rows[i]), 0);
    }
    json_t *object = make_json(&comparison, &options, rows);
    cr_assert_not_null(object);
    json_t *list = json_object_get(object, "figures");
    expect_eq(json_array_size(list), COMPARISON_FIGURES);
    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        json_t *part = json_array_get(list, i);
        expect_str_eq(json_string_value(json_object_get(part, "figure")),
                      comparison_metrics[i]);
        expect_eq(json_is_null(json_object_get(part, "a")), i == 6);
    }
    expect_str_eq(json_string_value(json_object_get(object, "verdict")),
                  "worse");
    json_decref(object);
}

UNIT(load_comparison, the_figure_that_decides_makes_the_exit_code)
{
    expect_eq(finish(), LOAD_SLO);
    cr_assert(takes("metric", "rate"));
    expect_eq(finish(), LOAD_OK, "twice the rate is better");
    cr_assert(takes("metric", "p90"));
    comparison.counts[1] = 2;
    expect_eq(finish(), LOAD_INVALID);
    expect_eq(said, 0);
    cr_assert_not(takes("metric", "p91"));
}

UNIT(load_comparison, several_looks_together_err_as_one_does)
{
    enum { TRIALS = 200 };
    struct unit_random random = {.state = 3};
    unsigned erred = 0;

    comparison.is_paired = true;
    comparison.looks = 4;
    options.margin = 1e-6; /* so that all that is told is a difference */
    for (unsigned i = 0; i < TRIALS; i++) {
        erred += errs_at_some_look(&random);
    }
    expect_leq(erred, TRIALS / 20);

    random.state = 3;
    comparison.looks = 1;
    erred = 0;
    for (unsigned i = 0; i < TRIALS; i++) {
        erred += errs_at_some_look(&random);
    }
    expect_geq(erred, TRIALS / 15, "more often with intervals of one look");
}

UNIT(load_comparison, intervals_of_several_looks_need_more_pairs)
{
    comparison.is_paired = true;
    comparison.looks = 5;
    expect_prints("\n                   A          B    B to A  99% interval");
    expect_prints("6 pairs are too few for a 99 % interval; make 8 or more");
}

UNIT(load_comparison, what_nothing_is_told_from_ends_as_asked)
{
    comparison.counts[1] = 2;
    cr_assert(takes("undecided", "pass"));
    expect_eq(finish(), LOAD_OK);
    cr_assert(takes("undecided", "until=5m,fail"));
    expect_eq(options.until_ns, UINT64_C(300000000000));
    expect_eq(finish(), LOAD_INVALID);
    cr_assert(takes("undecided", "until=1s,pass"));
    expect_eq(finish(), LOAD_OK);
    static const char *const wrong[] = {
        "",      "maybe",     "until=",   "until=0",
        "pass,", "until=25h", "until=5x", "pass fail"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_not(takes("undecided", wrong[i]), "%s", wrong[i]);
    }
}

UNIT(load_comparison, a_margin_is_a_share_that_is_not_0)
{
    static const struct {
        const char *value;
        double margin;
    } rows[] = {{"5%", 0.05}, {"0.0001%", 1e-6}, {"100%", 1}, {"0%", 0},
                {"101%", 0},  {"5", 0},          {"x", 0},    {"-1%", 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        options.margin = 0;
        expect_eq(takes("margin", rows[i].value), rows[i].margin > 0, "%s",
                  rows[i].value);
        cr_assert(options.margin == rows[i].margin, "%s", rows[i].value);
    }
}

UNIT(load_comparison, figures_of_a_run_are_those_of_its_result)
{
    static struct histogram times;
    struct saved saved = {.achieved_rate = 500};

    histogram_clear(&times);
    for (uint64_t i = 1; i <= 1000; i++) {
        histogram_record(&times, i);
    }
    saved.times[SLO_SERVICE] = &times;
    saved.object = json_pack("{s:{s:f}}", "rate", "per_client_cpu_second", 7.0);
    memset(&comparison, 0, sizeof(comparison));
    comparison_add(&comparison, 1, &saved);
    json_decref(saved.object);

    static const double wanted[] = {500, 500, 900, 990, 0, 500.5, 7};
    expect_eq(comparison.counts[0], 0);
    expect_eq(comparison.counts[1], 1);
    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        cr_assert(comparison.values[i][1][0] == wanted[i], "%s",
                  comparison_metrics[i]);
    }
}
