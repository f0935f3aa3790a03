/*
 * Only one figure decides, the median latency unless --metric says otherwise:
 * with seven that each err once in twenty, a server would often be different
 * from itself. The others are shown with the same intervals.
 */
#include "comparison.h"

#include "json_file.h"
#include "tools/common/console.h"
#include "tools/common/units.h"

#include <stdlib.h>
#include <string.h>

#define CELL_SIZE 40U

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
    int err =
        comparison->is_paired
            ? statistics_compare_pairs(a, b, counts[0], &ret->change)
            : statistics_compare(a, counts[0], b, counts[1], &ret->change);
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
                "            %zu %s are too few for a 95 %% interval; make "
                "%d or more\n",
                count, what, comparison->is_paired ? 6 : 4);
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

    fprintf(out, "A           %s\nB           %s\n", comparison->names[0],
            comparison->names[1]);
    fprintf(out, "%-9s %10s %10s %9s  %-18s\n", "", "A", "B", "B to A",
            "95% interval");
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
        "{s:s, s:s, s:s, s:b, s:[I, I], s:f, s:s, s:s, s:o}", "schema",
        "weir-load-comparison/1", "a", comparison->names[0], "b",
        comparison->names[1], "paired", comparison->is_paired, "runs",
        (json_int_t)comparison->counts[0], (json_int_t)comparison->counts[1],
        "margin", options->margin, "metric",
        comparison_metrics[options->metric], "verdict",
        statistics_word(rows[options->metric].verdict), "figures", list);
}

enum load_exit comparison_finish(const struct comparison *comparison,
                                 const struct comparison_options *options)
{
    struct row rows[COMPARISON_FIGURES];

    for (size_t i = 0; i < COMPARISON_FIGURES; i++) {
        if (make_row(comparison, i, options->margin, &rows[i]) < 0) {
            say("no memory");
            return LOAD_INTERNAL;
        }
    }
    if (command_prints(&options->command)) {
        print_text(comparison, options, rows, stdout);
    }
    if (options->command.json &&
        !json_file_write(options->command.json_path,
                         make_json(comparison, options, rows))) {
        return LOAD_INTERNAL;
    }
    switch (rows[options->metric].verdict) {
    case STATISTICS_WORSE:
        return LOAD_SLO;
    case STATISTICS_UNDERPOWERED:
        return LOAD_INVALID;
    default:
        return LOAD_OK;
    }
}
