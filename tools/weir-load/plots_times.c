/*
 * Plots over time, in which each interval is a point, a bar or a column: those
 * of many intervals are wider than the page, and scroll in it.
 *
 * Rates and percentiles of all runs are lines of one plot. Errors and heat maps
 * cover what is behind them, and so each run has its own.
 */
#include "plots.h"

#include "hdr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Narrower than this intervals cannot be told from each other. */
#define ROW_WIDTH 3U

/* Kinds of errors with a color each; the others have one together. */
#define KINDS_SHOWN 7U

#define NS_PER_SECOND 1e9

enum row_value {
    ROW_OK,
    ROW_OFFERED,
    ROW_P50,
    ROW_P99,
};

static double value_of(const struct interval *row, enum row_value value)
{
    double seconds = (double)(row->end_ns - row->begin_ns) / NS_PER_SECOND;

    switch (value) {
    case ROW_OK:
        return (double)row->ok / seconds;
    case ROW_OFFERED:
        return (double)row->offered / seconds;
    case ROW_P50:
        return (double)row->p50_ns;
    default:
        return (double)row->p99_ns;
    }
}

/* The lines of one plot over time. */
struct timeline {
    const char *name;
    enum row_value value;
    enum plot_shape shape;
    /* Of a run alone; several have a color each. */
    size_t color;
    /* Only of open loops. */
    bool is_open;
};

/* A line over time, or none where all its values are 0. */
static bool add_rows(struct plot *plot, const struct saved *run,
                     const struct timeline *line, const char *name,
                     size_t color)
{
    double sum = 0;

    for (size_t i = 0; i < run->row_count; i++) {
        sum += value_of(&run->rows[i].counts, line->value);
    }
    if (sum <= 0) {
        return true;
    }
    struct plot_series *series = plot_add(plot, name, run->row_count);
    if (!series) {
        return false;
    }
    series->shape = line->shape;
    series->color = color;
    for (size_t i = 0; i < run->row_count; i++) {
        const struct interval *row = &run->rows[i].counts;
        double end = (double)row->end_ns / NS_PER_SECOND;
        double half = (double)(row->end_ns - row->begin_ns) / NS_PER_SECOND / 2;
        plot_add_point(series, end - half, value_of(row, line->value));
        plot->x.reach = end > plot->x.reach ? end : plot->x.reach;
    }
    unsigned width = (unsigned)run->row_count * ROW_WIDTH;
    plot->width = width > plot->width ? width : plot->width;
    return true;
}

static int make_timeline(struct plot *plot, const char *file,
                         const struct timeline *lines, const struct saved *runs,
                         size_t count, const struct plots_sink *sink)
{
    char name[96];
    bool failed = false;

    for (size_t i = 0; i < count && i < PLOTS_RUNS_MAX; i++) {
        for (const struct timeline *line = lines; line->name; line++) {
            if (line->is_open && !runs[i].is_open) {
                continue;
            }
            plots_name_series(name, sizeof(name), &runs[i], line->name,
                              count == 1);
            failed |= !add_rows(plot, &runs[i], line, name,
                                count == 1 ? line->color : i);
        }
    }
    return plots_give(plot, failed, file, sink);
}

static int make_rates(const struct saved *runs, size_t count,
                      const struct plots_sink *sink)
{
    static const struct timeline lines[] = {
        {"answered", ROW_OK, PLOT_LINE, 0, false},
        {"offered", ROW_OFFERED, PLOT_DASHES, 1, true},
        {NULL, ROW_OK, PLOT_LINE, 0, false},
    };
    struct plot plot = {
        .title = "Rate over time",
        .x = {.label = "time since measuring began, s", .unit = AXIS_SECONDS},
        .y = {.label = "requests per second"},
    };

    return make_timeline(&plot, "rate-over-time", lines, runs, count, sink);
}

static int make_latencies(const struct saved *runs, size_t count,
                          const struct plots_sink *sink)
{
    static const struct timeline lines[] = {
        {"p50", ROW_P50, PLOT_LINE, 0, false},
        {"p99", ROW_P99, PLOT_DASHES, 1, false},
        {NULL, ROW_OK, PLOT_LINE, 0, false},
    };
    struct plot plot = {
        .title = "Latency over time",
        .x = {.label = "time since measuring began, s", .unit = AXIS_SECONDS},
        .y = {.label = "latency", .scale = AXIS_LOG, .unit = AXIS_TIME},
    };

    return make_timeline(&plot, "latency-over-time", lines, runs, count, sink);
}

/* ---- plots of one run ---- */

/* What both have in common; i is the run's number. */
static struct plot begin_plot(const char *title, const struct saved *runs,
                              size_t count, size_t i)
{
    struct plot plot = {
        .x = {.label = "time since measuring began, s", .unit = AXIS_SECONDS},
        .width = (unsigned)runs[i].row_count * ROW_WIDTH,
    };

    if (count == 1) {
        snprintf(plot.title, sizeof(plot.title), "%s", title);
    } else {
        snprintf(plot.title, sizeof(plot.title), "%s: %.60s", title,
                 plots_name_of(&runs[i]));
    }
    return plot;
}

static void name_file(char *buf, size_t size, const char *name, size_t count,
                      size_t i)
{
    if (count == 1) {
        snprintf(buf, size, "%s", name);
    } else {
        snprintf(buf, size, "%s-%zu", name, i + 1);
    }
}

/* ---- errors ---- */

static bool tells_kinds(const struct saved *run)
{
    for (size_t i = 0; i < run->row_count; i++) {
        if (!run->rows[i].errors) {
            return false;
        }
    }
    return true;
}

static void set_count(json_t *counts, const char *name, uint64_t count)
{
    if (count > 0) {
        json_object_set_new(counts, name, json_integer((json_int_t)count));
    }
}

/* The errors of an interval by kind, as a new object. */
static json_t *count_errors(const struct saved_row *row, bool tells)
{
    json_t *counts = tells ? json_copy((json_t *)row->errors) : json_object();

    if (!tells) {
        set_count(counts, "failed", row->counts.failed);
        set_count(counts, "timed out", row->counts.timeout);
    }
    set_count(counts, "dropped, never sent", row->counts.dropped);
    return counts;
}

static double add_up(const json_t *counts)
{
    const char *name = NULL;
    json_t *count = NULL;
    double sum = 0;

    json_object_foreach((json_t *)counts, name, count)
    {
        sum += json_number_value(count);
    }
    return sum;
}

/* The kind with the most errors in all rows; its name is the row's. */
static const char *find_greatest(json_t *const *rows, size_t count,
                                 double *ret_sum)
{
    json_t *sums = json_object();
    const char *greatest = NULL;
    const char *name = NULL;
    json_t *value = NULL;

    *ret_sum = 0;
    for (size_t i = 0; i < count; i++) {
        json_object_foreach(rows[i], name, value)
        {
            double sum = json_number_value(json_object_get(sums, name)) +
                         json_number_value(value);
            json_object_set_new(sums, name, json_real(sum));
            if (sum > *ret_sum) {
                *ret_sum = sum;
                greatest = name;
            }
        }
    }
    json_decref(sums);
    return greatest;
}

/* Bars of one kind, which is taken from the rows; of all that is left, where
 * kind is NULL. */
static bool add_kind(struct plot *plot, const struct saved *run, json_t **rows,
                     const char *kind, double sum)
{
    char title[96];
    char name[64];

    snprintf(name, sizeof(name), "%s", kind ? kind : "other kinds");
    snprintf(title, sizeof(title), "%s (%.0f)", name, sum);
    struct plot_series *series = plot_add(plot, title, run->row_count);
    if (!series) {
        return false;
    }
    series->shape = PLOT_BARS;
    for (size_t i = 0; i < run->row_count; i++) {
        const struct interval *row = &run->rows[i].counts;
        double begin = (double)row->begin_ns / NS_PER_SECOND;
        double end = (double)row->end_ns / NS_PER_SECOND;
        double count = kind ? json_number_value(json_object_get(rows[i], kind))
                            : add_up(rows[i]);
        plot_add_point(series, (begin + end) / 2, count / (end - begin));
        plot->x.reach = end > plot->x.reach ? end : plot->x.reach;
    }
    return true;
}

/* The greatest kinds stand at the bottom, in the first colors. */
static bool add_kinds(struct plot *plot, const struct saved *run, json_t **rows)
{
    double sum = 0;

    for (size_t i = 0; i < KINDS_SHOWN; i++) {
        const char *greatest = find_greatest(rows, run->row_count, &sum);
        char *kind = greatest ? strdup(greatest) : NULL;
        if (!kind) {
            return !greatest;
        }
        bool done = add_kind(plot, run, rows, kind, sum);
        for (size_t k = 0; k < run->row_count; k++) {
            json_object_del(rows[k], kind);
        }
        free(kind);
        if (!done) {
            return false;
        }
    }
    sum = 0;
    for (size_t i = 0; i < run->row_count; i++) {
        sum += add_up(rows[i]);
    }
    return sum <= 0 || add_kind(plot, run, rows, NULL, sum);
}

static bool add_errors(struct plot *plot, const struct saved *run, bool tells)
{
    json_t **rows = calloc(run->row_count + 1, sizeof(json_t *));
    bool done = rows != NULL;

    for (size_t i = 0; done && i < run->row_count; i++) {
        rows[i] = count_errors(&run->rows[i], tells);
        done = rows[i] != NULL;
    }
    done = done && add_kinds(plot, run, rows);
    for (size_t i = 0; rows && i < run->row_count; i++) {
        json_decref(rows[i]);
    }
    free(rows);
    return done;
}

static int make_errors(const struct saved *runs, size_t count, size_t i,
                       const struct plots_sink *sink)
{
    struct plot plot = begin_plot("Errors over time", runs, count, i);
    bool tells = tells_kinds(&runs[i]);
    char file[64];

    bool done = add_errors(&plot, &runs[i], tells);
    plot.y.label = tells ? "errors per second" : "requests per second";
    snprintf(plot.remark, sizeof(plot.remark), "%s",
             plot.series_count == 0
                 ? "No interval has an error or a dropped request."
             : tells
                 ? "Kinds stand one upon the other. A connection that breaks "
                   "is one error, however many requests it costs."
                 : "Requests stand one upon the other. This result does not "
                   "tell the kinds of errors of its intervals: it, or a part "
                   "of it, was written by an earlier version.");
    name_file(file, sizeof(file), "errors-over-time", count, i);
    return plots_give(&plot, !done, file, sink);
}

/* ---- the heat map ---- */

/* Look at each histogram, or add it to its column. False without memory. */
static bool walk_rows(struct heat *heat, const struct saved *run, bool adds,
                      struct histogram *scratch)
{
    for (size_t i = 0; i < run->row_count; i++) {
        const struct saved_row *row = &run->rows[i];
        const char *text = json_string_value(row->hdr);
        heat->columns[i].begin = (double)row->counts.begin_ns / NS_PER_SECOND;
        heat->columns[i].end = (double)row->counts.end_ns / NS_PER_SECOND;
        if (!text) {
            continue;
        }
        if (hdr_decode(text, scratch) < 0) {
            return false; /* it was read before: there is no memory */
        }
        if (adds) {
            heat_add(heat, i, scratch);
        } else {
            heat_hold(heat, scratch);
        }
    }
    return true;
}

static bool add_heat(struct plot *plot, const struct saved *run)
{
    struct histogram *scratch = malloc(sizeof(*scratch));
    bool done = scratch && heat_new(run->row_count, &plot->heat) == 0 &&
                walk_rows(plot->heat, run, false, scratch) &&
                heat_make_rows(plot->heat) == 0 &&
                walk_rows(plot->heat, run, true, scratch);

    free(scratch);
    return done;
}

/* Why there is no map, or what it shows. */
static void explain_heat(struct plot *plot, const struct saved *run,
                         size_t known, size_t answered)
{
    char gaps[96] = "";

    if (answered > 0) {
        if (known < run->row_count) {
            snprintf(gaps, sizeof(gaps),
                     " Of %zu intervals %zu have no histogram and no cells.",
                     run->row_count, run->row_count - known);
        }
        snprintf(plot->remark, sizeof(plot->remark),
                 "Each column is an interval; the color of a cell tells how "
                 "many answers had such a %s time in it.%s",
                 run->is_open ? "response" : "service", gaps);
    } else if (known > 0) {
        snprintf(plot->remark, sizeof(plot->remark),
                 "Left out: no interval has an answer.");
    } else {
        snprintf(plot->remark, sizeof(plot->remark),
                 "Left out: the intervals of this result have no histograms "
                 "(hdr). It, or a part of it, was written by an earlier "
                 "version.");
    }
}

static int make_heat(const struct saved *runs, size_t count, size_t i,
                     const struct plots_sink *sink)
{
    struct plot plot = begin_plot("Heat map of latencies", runs, count, i);
    const struct saved *run = &runs[i];
    size_t known = 0;
    size_t answered = 0;
    char file[64];

    for (size_t k = 0; k < run->row_count; k++) {
        known += run->rows[k].hdr != NULL;
        answered += json_is_string(run->rows[k].hdr);
    }
    explain_heat(&plot, run, known, answered);
    plot.legend = "Answers in a cell:";
    plot.y =
        (struct axis){.label = "latency", .scale = AXIS_LOG, .unit = AXIS_TIME};
    bool done = answered == 0 || add_heat(&plot, run);
    name_file(file, sizeof(file), "latency-map", count, i);
    return plots_give(&plot, !done, file, sink);
}

int plots_make_times(const struct saved *runs, size_t count,
                     const struct plots_sink *sink)
{
    int err = make_rates(runs, count, sink);

    if (err == 0) {
        err = make_latencies(runs, count, sink);
    }
    for (size_t i = 0; err == 0 && i < count && i < PLOTS_RUNS_MAX; i++) {
        err = runs[i].row_count > 0 ? make_heat(runs, count, i, sink) : 0;
    }
    for (size_t i = 0; err == 0 && i < count && i < PLOTS_RUNS_MAX; i++) {
        err = runs[i].row_count > 0 ? make_errors(runs, count, i, sink) : 0;
    }
    return err;
}
