/*
 * Each plot is filled from all runs that it shows; a run that has nothing to
 * show in it, one without intervals say, adds no line.
 *
 * Points come in the order of their x.
 */
#include "page_plots.h"

#include "plot.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Runs with lines of their own over time. */
#define DRAWN_MAX 8U

/* Points of a percentile curve for each power of ten. */
#define CURVE_STEPS 40

/* Narrower than this intervals cannot be told from each other. */
#define ROW_WIDTH 3U

#define NS_PER_SECOND 1e9

static int write_or_drop(struct plot *plot, bool failed, FILE *out)
{
    if (failed) {
        for (size_t i = 0; i < plot->series_count; i++) {
            free(plot->series[i].x);
        }
        return -ENOMEM;
    }
    if (plot->series_count > 0) {
        plot_write(plot, out);
    }
    return 0;
}

static void name_series(char *buf, size_t size, const struct saved *run,
                        const char *what, bool is_alone)
{
    const char *slash = strrchr(run->name, '/');
    const char *name = slash ? slash + 1 : run->name;

    if (is_alone) {
        snprintf(buf, size, "%s", what);
    } else {
        snprintf(buf, size, "%.60s %s", name, what);
    }
}

static bool add_curve(struct plot *plot, const struct histogram *h,
                      const char *name)
{
    double most = (double)h->count;
    size_t size = (size_t)(log10(most + 1) * CURVE_STEPS) + 3;

    struct plot_series *series = plot_add(plot, name, size);
    if (!series) {
        return false;
    }
    for (size_t i = 0; i + 2 < size; i++) {
        double x = pow(10, (double)i / CURVE_STEPS);
        double rank = ceil((1 - 1 / x) * most);
        if (x < most) {
            plot_add_point(
                series, x,
                (double)histogram_at_rank(h, rank < 1 ? 1 : (uint64_t)rank));
        }
    }
    plot_add_point(series, most, (double)h->max);
    return true;
}

static int write_percentiles(const struct saved *runs, size_t count, FILE *out)
{
    struct plot plot = {
        .title = "Latency by percentile",
        .remark = "Of the requests at one tick a tenth is left at the next "
                  "nine; a line ends at its slowest request.",
        .x = {.label = "percentile of requests", .scale = AXIS_NINES},
        .y = {.label = "latency", .scale = AXIS_LOG, .unit = AXIS_TIME},
    };
    char name[96];
    bool failed = false;

    for (size_t i = 0; i < count && i < DRAWN_MAX; i++) {
        const struct saved *run = &runs[i];
        if (run->times[SLO_RESPONSE] && run->times[SLO_RESPONSE]->count > 0) {
            name_series(name, sizeof(name), run, "response", count == 1);
            failed |= !add_curve(&plot, run->times[SLO_RESPONSE], name);
        }
        bool shows_service = count == 1 || !run->times[SLO_RESPONSE];
        if (shows_service && run->times[SLO_SERVICE]->count > 0) {
            name_series(name, sizeof(name), run, "service", count == 1);
            failed |= !add_curve(&plot, run->times[SLO_SERVICE], name);
        }
    }
    return write_or_drop(&plot, failed, out);
}

enum row_value {
    ROW_OK,
    ROW_OFFERED,
    ROW_P50,
    ROW_P99,
    ROW_MAX,
    ROW_FAILED,
    ROW_TIMEOUT,
    ROW_DROPPED,
};

static double value_of(const struct saved_row *row, enum row_value value)
{
    double seconds = (double)(row->end_ns - row->begin_ns) / NS_PER_SECOND;

    switch (value) {
    case ROW_OK:
        return (double)row->ok / seconds;
    case ROW_OFFERED:
        return (double)row->offered / seconds;
    case ROW_P50:
        return (double)row->p50_ns;
    case ROW_P99:
        return (double)row->p99_ns;
    case ROW_MAX:
        return (double)row->max_ns;
    case ROW_FAILED:
        return (double)row->failed / seconds;
    case ROW_TIMEOUT:
        return (double)row->timeout / seconds;
    default:
        return (double)row->dropped / seconds;
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
        sum += value_of(&run->rows[i], line->value);
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
        const struct saved_row *row = &run->rows[i];
        double end = (double)row->end_ns / NS_PER_SECOND;
        double half = (double)(row->end_ns - row->begin_ns) / NS_PER_SECOND / 2;
        plot_add_point(series, end - half, value_of(row, line->value));
        plot->x.reach = end > plot->x.reach ? end : plot->x.reach;
    }
    unsigned width = (unsigned)run->row_count * ROW_WIDTH;
    plot->width = width > plot->width ? width : plot->width;
    return true;
}

static int write_timeline(struct plot *plot, const struct timeline *lines,
                          const struct saved *runs, size_t count, FILE *out)
{
    char name[96];
    bool failed = false;

    for (size_t i = 0; i < count && i < DRAWN_MAX; i++) {
        for (const struct timeline *line = lines; line->name; line++) {
            if (line->is_open && !runs[i].is_open) {
                continue;
            }
            name_series(name, sizeof(name), &runs[i], line->name, count == 1);
            failed |= !add_rows(plot, &runs[i], line, name,
                                count == 1 ? line->color : i);
        }
    }
    return write_or_drop(plot, failed, out);
}

static int write_rates(const struct saved *runs, size_t count, FILE *out)
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

    return write_timeline(&plot, lines, runs, count, out);
}

static int write_latencies(const struct saved *runs, size_t count, FILE *out)
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

    return write_timeline(&plot, lines, runs, count, out);
}

static int write_failures(const struct saved *runs, size_t count, FILE *out)
{
    static const struct timeline lines[] = {
        {"failed", ROW_FAILED, PLOT_BARS, 1, false},
        {"timed out", ROW_TIMEOUT, PLOT_BARS, 3, false},
        {"dropped", ROW_DROPPED, PLOT_BARS, 4, false},
        {NULL, ROW_OK, PLOT_LINE, 0, false},
    };
    struct plot plot = {
        .title = "Errors over time",
        .x = {.label = "time since measuring began, s", .unit = AXIS_SECONDS},
        .y = {.label = "requests per second"},
    };
    uint64_t errors = 0;

    for (size_t i = 0; i < count; i++) {
        errors += runs[i].failed + runs[i].timeout + runs[i].dropped;
    }
    if (errors == 0) {
        fputs("<section>\n<h2>Errors over time</h2>\n<p class=\"remark\">No "
              "request failed, timed out or was dropped.</p>\n</section>\n",
              out);
        return 0;
    }
    return write_timeline(&plot, lines, runs, count, out);
}

static int compare_rates(const void *a, const void *b)
{
    const struct saved *x = *(const struct saved *const *)a;
    const struct saved *y = *(const struct saved *const *)b;

    return x->achieved_rate < y->achieved_rate
               ? -1
               : x->achieved_rate > y->achieved_rate;
}

static int write_load_curve(const struct saved *runs, size_t count, FILE *out)
{
    static const struct {
        const char *name;
        uint32_t share;
    } lines[] = {{"p50", 50000}, {"p90", 90000}, {"p99", 99000}};
    struct plot plot = {
        .title = "Latency against rate",
        .remark = "A point for each run, in the order of their rates.",
        .x = {.label = "answers per second"},
        .y = {.label = "latency", .scale = AXIS_LOG, .unit = AXIS_TIME},
    };
    const struct saved **sorted = calloc(count, sizeof(*sorted));
    bool failed = !sorted;

    if (count < 2) {
        free(sorted);
        return 0;
    }
    for (size_t i = 0; !failed && i < count; i++) {
        sorted[i] = &runs[i];
    }
    if (!failed) {
        qsort(sorted, count, sizeof(*sorted), compare_rates);
    }
    for (size_t k = 0; !failed && k < 3; k++) {
        struct plot_series *series = plot_add(&plot, lines[k].name, count);
        failed = !series;
        for (size_t i = 0; !failed && i < count; i++) {
            const struct histogram *h = saved_latency(sorted[i]);
            bool can = histogram_can_tell(h, lines[k].share);
            series->shape = PLOT_DOTS;
            plot_add_point(series, sorted[i]->achieved_rate,
                           can ? (double)histogram_quantile(h, lines[k].share)
                               : 0);
        }
    }
    free(sorted);
    return write_or_drop(&plot, failed, out);
}

int page_write_plots(const struct saved *runs, size_t count, FILE *out)
{
    int (*const writers[])(const struct saved *, size_t, FILE *) = {
        write_load_curve, write_percentiles, write_rates,
        write_latencies,  write_failures,
    };
    int err = 0;

    for (size_t i = 0; err == 0 && i < sizeof(writers) / sizeof(writers[0]);
         i++) {
        err = writers[i](runs, count, out);
    }
    return err;
}
