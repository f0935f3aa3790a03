/*
 * Only one figure decides, the median latency unless --metric says otherwise:
 * with seven that each err once in twenty, a server would often be different
 * from itself. The others are shown with the same intervals.
 */
#include "comparison.h"

#include "findings.h"
#include "json_file.h"
#include "tools/common/console.h"
#include "tools/common/units.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CELL_SIZE 40U

/* A longer --undecided is a slip of the finger. */
#define UNTIL_MAX_NS (UINT64_C(24) * 3600 * 1000000000)

enum figure_unit {
    FIGURE_RATE,
    FIGURE_TIME,
};

static const struct figure {
    enum figure_unit unit;
    /* Of a latency; 0 is its mean. */
    uint32_t share;
} figures[COMPARISON_FIGURES] = {
    {FIGURE_RATE, 0},     {FIGURE_TIME, 50000}, {FIGURE_TIME, 90000},
    {FIGURE_TIME, 99000}, {FIGURE_TIME, 99900}, {FIGURE_TIME, 0},
    {FIGURE_RATE, 0},
};

const char *const comparison_metrics[COMPARISON_FIGURES + 1] = {
    "rate", "p50", "p90", "p99", "p99.9", "mean", "cpu-rate", NULL};

#define FIGURE_CPU_RATE (COMPARISON_FIGURES - 1)

/* One line of the table. */
struct row {
    bool is_known;
    double medians[2];
    struct statistics_change change;
    enum statistics_verdict verdict;
};

static double read_figure(size_t index, const struct saved *saved)
{
    const struct histogram *h = saved_latency(saved);
    const struct figure *figure = &figures[index];

    if (index == FIGURE_CPU_RATE) {
        return json_number_value(json_object_get(
            json_object_get(saved->object, "rate"), "per_client_cpu_second"));
    }
    if (figure->unit == FIGURE_RATE) {
        return saved->achieved_rate;
    }
    if (figure->share == 0) {
        return histogram_mean(h);
    }
    return histogram_can_tell(h, figure->share)
               ? (double)histogram_quantile(h, figure->share)
               : 0;
}

void comparison_add(struct comparison *comparison, size_t side,
                    const struct saved *saved)
{
    size_t run = comparison->counts[side]++;

    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        comparison->values[i][side][run] = read_figure(i, saved);
    }
}

/* Of the interval of each look. */
static double level_of(const struct comparison *comparison)
{
    assert(comparison->looks > 0);
    return 1 - (1 - STATISTICS_LEVEL) / comparison->looks;
}

static bool is_known(const struct comparison *comparison, size_t figure)
{
    for (size_t side = 0; side < 2; side++) {
        for (size_t i = 0; i < comparison->counts[side]; i++) {
            if (comparison->values[figure][side][i] <= 0) {
                return false;
            }
        }
    }
    return true;
}

/* 0 or -ENOMEM. */
static int make_row(const struct comparison *comparison, size_t figure,
                    double margin, struct row *ret)
{
    const double *a = comparison->values[figure][0];
    const double *b = comparison->values[figure][1];
    size_t counts[2] = {comparison->counts[0], comparison->counts[1]};
    double sorted[STATISTICS_RUNS_MAX];

    *ret = (struct row){.is_known = is_known(comparison, figure)};
    if (!ret->is_known) {
        ret->verdict = STATISTICS_UNDERPOWERED;
        return 0;
    }
    for (size_t side = 0; side < 2; side++) {
        memcpy(sorted, comparison->values[figure][side],
               counts[side] * sizeof(*sorted));
        ret->medians[side] = statistics_median(sorted, counts[side]);
    }
    int err = comparison->is_paired
                  ? statistics_compare_pairs(a, b, counts[0],
                                             level_of(comparison), &ret->change)
                  : statistics_compare(a, counts[0], b, counts[1],
                                       level_of(comparison), &ret->change);
    ret->verdict = statistics_judge(&ret->change, margin,
                                    figures[figure].unit == FIGURE_RATE);
    return err;
}

static const char *format_value(const struct figure *figure, double value,
                                char *buf)
{
    if (figure->unit == FIGURE_TIME) {
        return units_format_time((uint64_t)value, buf);
    }
    snprintf(buf, UNITS_TEXT_SIZE, "%.*f/s", value < 100 ? 1 : 0, value);
    return buf;
}

/* How many pairs, or runs of each, have an interval of this level. */
static unsigned count_enough(const struct comparison *comparison)
{
    unsigned count = 4;

    /* All signs of the ranks of count pairs are equally likely. */
    while (comparison->is_paired &&
           2.0 / (double)(1U << count) > 1 - level_of(comparison)) {
        count++;
    }
    return count;
}

static void print_row(const struct figure *figure, const struct row *row,
                      FILE *out)
{
    char a[UNITS_TEXT_SIZE];
    char b[UNITS_TEXT_SIZE];
    char interval[CELL_SIZE];

    if (!row->is_known) {
        fprintf(out, "%-9s %10s %10s\n", comparison_metrics[figure - figures],
                "-", "-");
        return;
    }
    snprintf(interval, sizeof(interval),
             row->change.has_interval ? "[%+.1f%%, %+.1f%%]" : "-",
             row->change.low * 100, row->change.high * 100);
    fprintf(out, "%-9s %10s %10s %+8.1f%%  %-18s %s\n",
            comparison_metrics[figure - figures],
            format_value(figure, row->medians[0], a),
            format_value(figure, row->medians[1], b), row->change.change * 100,
            interval, statistics_word(row->verdict));
}

/* Why the verdict is none, and what would help. */
static void print_power(const struct comparison *comparison,
                        const struct comparison_options *options,
                        const struct row *row, FILE *out)
{
    const char *what = comparison->is_paired ? "pairs" : "runs of each";
    size_t count = comparison->counts[0] < comparison->counts[1]
                       ? comparison->counts[0]
                       : comparison->counts[1];

    if (row->verdict != STATISTICS_UNDERPOWERED) {
        return;
    }
    if (!row->is_known) {
        fprintf(out, "            %s is not known in every run\n",
                comparison_metrics[options->metric]);
    } else if (!row->change.has_interval) {
        fprintf(out,
                "            %zu %s are too few for a %.3g %% interval; make "
                "%u or more\n",
                count, what, level_of(comparison) * 100,
                count_enough(comparison));
    } else {
        fprintf(
            out,
            "            the runs scatter too much; about %zu %s would tell "
            "%.3g%%\n",
            statistics_runs_needed(&row->change, count, options->margin), what,
            options->margin * 100);
    }
}

static void print_text(const struct comparison *comparison,
                       const struct comparison_options *options,
                       const struct row *rows, FILE *out)
{
    const struct row *row = &rows[options->metric];
    char title[CELL_SIZE];

    fprintf(out, "A           %s\nB           %s\n", comparison->names[0],
            comparison->names[1]);
    snprintf(title, sizeof(title), "%.3g%% interval",
             level_of(comparison) * 100);
    fprintf(out, "%-9s %10s %10s %9s  %-18s\n", "", "A", "B", "B to A", title);
    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        print_row(&figures[i], &rows[i], out);
    }
    fprintf(out, "Verdict     %s: %s", comparison_metrics[options->metric],
            statistics_word(row->verdict));
    if (comparison->is_paired) {
        fprintf(out, ", from %zu pairs of runs", comparison->counts[0]);
    } else {
        fprintf(out, ", from %zu and %zu runs", comparison->counts[0],
                comparison->counts[1]);
    }
    fprintf(out, "; up to %.3g%% is no difference\n", options->margin * 100);
    print_power(comparison, options, row, out);
}

static json_t *row_part(const struct figure *figure, const struct row *row)
{
    const struct statistics_change *change = &row->change;

    if (!row->is_known) {
        return json_pack("{s:s, s:n, s:n, s:n, s:n, s:s}", "figure",
                         comparison_metrics[figure - figures], "a", "b",
                         "change", "interval", "verdict",
                         statistics_word(row->verdict));
    }
    return json_pack("{s:s, s:f, s:f, s:f, s:o, s:s}", "figure",
                     comparison_metrics[figure - figures], "a", row->medians[0],
                     "b", row->medians[1], "change", change->change, "interval",
                     change->has_interval
                         ? json_pack("[f, f]", change->low, change->high)
                         : json_null(),
                     "verdict", statistics_word(row->verdict));
}

static json_t *make_json(const struct comparison *comparison,
                         const struct comparison_options *options,
                         const struct row *rows)
{
    json_t *list = json_array();

    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        json_array_append_new(list, row_part(&figures[i], &rows[i]));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:b, s:[I, I], s:f, s:f, s:s, s:s, s:o}", "schema",
        "weir-load-comparison/1", "a", comparison->names[0], "b",
        comparison->names[1], "paired", comparison->is_paired, "runs",
        (json_int_t)comparison->counts[0], (json_int_t)comparison->counts[1],
        "level", level_of(comparison), "margin", options->margin, "metric",
        comparison_metrics[options->metric], "verdict",
        statistics_word(rows[options->metric].verdict), "figures", list);
}

/* ---- the options ---- */

/* One word of --undecided. */
static bool read_word(struct comparison_options *options, const char *word)
{
    static const char until[] = "until=";

    if (strcmp(word, "pass") == 0 || strcmp(word, "fail") == 0) {
        options->undecided_passes = word[0] == 'p';
        return true;
    }
    return strncmp(word, until, sizeof(until) - 1) == 0 &&
           units_parse_time(word + sizeof(until) - 1, &options->until_ns) ==
               0 &&
           options->until_ns > 0 && options->until_ns <= UNTIL_MAX_NS;
}

bool comparison_read_undecided(void *options, const struct option *option,
                               const char *value, char *why)
{
    const bool can_go_on = strstr(option->value, "until") != NULL;
    bool is_good = can_go_on || !strstr(value, "until");
    const char *at = value;

    for (bool has_more = true; is_good && has_more;) {
        const size_t len = strcspn(at, ",");
        char word[32] = "";
        memcpy(word, at, len < sizeof(word) ? len : 0);
        is_good = read_word(options, word);
        has_more = at[len] == ',';
        at += len + 1;
    }
    return is_good ||
           option_refuse(why, "'%.200s' is not pass%s", value,
                         can_go_on ? ", fail or until=TIME, or until=TIME,pass"
                                   : " or fail");
}

bool comparison_check(const struct comparison_options *options)
{
    const struct command *command = &options->command;

    return publish_check(&options->publish,
                         command_prints(command) ? NULL : "--json");
}

/* ---- the files for a pipeline ---- */

bool comparison_open(struct comparison *comparison,
                     const struct comparison_options *options)
{
    return publish_open(&comparison->publish, &options->publish, NULL, NULL);
}

void comparison_drop(struct comparison *comparison)
{
    publish_drop(&comparison->publish);
}

static struct findings begin_findings(const struct comparison *comparison,
                                      const char *verdict, enum load_exit exit)
{
    return (struct findings){
        .command = comparison->command,
        .verdict = verdict,
        .exit = exit,
        .side_count = 2,
        .sides = {comparison->names[0], comparison->names[1]},
        .run_counts = {comparison->counts[0], comparison->counts[1]},
        .level = level_of(comparison),
    };
}

/* The names that summaries have. */
static const char *const finding_names[COMPARISON_FIGURES] = {
    "rate", "p50", "p90", "p99", "p99_9", "mean", "cpu_rate"};

static void add_finding(struct findings *findings, size_t index,
                        const struct row *row)
{
    const struct statistics_change *change = &row->change;

    *findings_add_figure(findings) = (struct finding){
        .name = finding_names[index],
        .unit =
            figures[index].unit == FIGURE_TIME ? FINDING_TIME : FINDING_RATE,
        .is_known = row->is_known,
        .values = {row->medians[0], row->medians[1]},
        .change = change->change,
        .has_interval = change->has_interval,
        .low = change->low,
        .high = change->high,
        .verdict = statistics_word(row->verdict),
    };
}

static enum finding_state state_of(const struct comparison_options *options,
                                   enum statistics_verdict verdict)
{
    switch (verdict) {
    case STATISTICS_WORSE:
        return FINDING_FAILED;
    case STATISTICS_UNDERPOWERED:
        return options->undecided_passes ? FINDING_SKIPPED : FINDING_BROKEN;
    default:
        return FINDING_PASSED;
    }
}

static void explain(const struct row *row, struct finding_check *check)
{
    const struct statistics_change *change = &row->change;
    const size_t size = sizeof(check->text);

    if (!row->is_known) {
        snprintf(check->text, size, "not known in every run");
    } else if (!change->has_interval) {
        snprintf(check->text, size, "too few runs");
    } else {
        snprintf(check->text, size, "%s: %+.1f%%, interval %+.1f%% to %+.1f%%",
                 statistics_word(row->verdict), change->change * 100,
                 change->low * 100, change->high * 100);
    }
}

static bool publish_rows(struct comparison *comparison,
                         const struct comparison_options *options,
                         const struct row *rows, enum load_exit exit)
{
    const struct row *row = &rows[options->metric];
    struct findings findings =
        begin_findings(comparison, statistics_word(row->verdict),
                       comparison->cut ? LOAD_INTERRUPTED : exit);
    char name[CELL_SIZE];

    findings.margin = options->margin;
    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        add_finding(&findings, i, &rows[i]);
    }
    snprintf(name, sizeof(name), "%s is not worse",
             comparison_metrics[options->metric]);
    explain(row, findings_add_check(&findings, name,
                                    state_of(options, row->verdict)));
    if (comparison->cut) {
        struct finding_check *check =
            findings_add_check(&findings, "all runs were made", FINDING_BROKEN);
        snprintf(check->text, sizeof(check->text), "%s", comparison->cut);
    }
    return publish_write(&comparison->publish, &findings);
}

bool comparison_give_up(struct comparison *comparison, enum load_exit exit,
                        const char *why)
{
    struct findings findings = begin_findings(comparison, "no result", exit);

    struct finding_check *check =
        findings_add_check(&findings, "all runs were made", FINDING_BROKEN);
    snprintf(check->text, sizeof(check->text), "%s", why);
    return publish_write(&comparison->publish, &findings);
}

/* ---- the end ---- */

bool comparison_is_undecided(const struct comparison *comparison,
                             const struct comparison_options *options)
{
    struct row row;

    return make_row(comparison, (size_t)options->metric, options->margin,
                    &row) == 0 &&
           row.verdict == STATISTICS_UNDERPOWERED;
}

static enum load_exit exit_of(const struct comparison_options *options,
                              enum statistics_verdict verdict)
{
    switch (verdict) {
    case STATISTICS_WORSE:
        return LOAD_SLO;
    case STATISTICS_UNDERPOWERED:
        return options->undecided_passes ? LOAD_OK : LOAD_INVALID;
    default:
        return LOAD_OK;
    }
}

enum load_exit comparison_finish(struct comparison *comparison,
                                 const struct comparison_options *options)
{
    struct row rows[COMPARISON_FIGURES];

    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        if (make_row(comparison, i, options->margin, &rows[i]) < 0) {
            say("no memory");
            return LOAD_INTERNAL;
        }
    }
    const enum load_exit exit_code =
        exit_of(options, rows[options->metric].verdict);
    if (command_prints(&options->command) &&
        !publish_has_stdout(&options->publish)) {
        print_text(comparison, options, rows, stdout);
    }
    bool is_written = !options->command.json ||
                      json_file_write(options->command.json_path,
                                      make_json(comparison, options, rows));
    is_written &= publish_rows(comparison, options, rows, exit_code);
    return is_written ? exit_code : LOAD_INTERNAL;
}
