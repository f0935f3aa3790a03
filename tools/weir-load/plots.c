/*
 * Each plot is filled from all runs that it shows; a run that has nothing to
 * show in it adds no line.
 *
 * Points come in the order of their x.
 */
#include "plots.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Points of a percentile curve for each power of ten. */
#define CURVE_STEPS 40

int plots_give(struct plot *plot, bool failed, const char *name,
               const struct plots_sink *sink)
{
    int err = failed ? -ENOMEM : 0;

    if (err == 0 && (plot_is_drawn(plot) || plot->remark[0])) {
        plot_settle(plot);
        err = sink->take(sink->arg, name, plot);
    }
    plot_fini(plot);
    return err;
}

const char *plots_name_of(const struct saved *run)
{
    const char *slash = strrchr(run->name, '/');

    return slash ? slash + 1 : run->name;
}

void plots_name_series(char *buf, size_t size, const struct saved *run,
                       const char *what, bool is_alone)
{
    if (is_alone) {
        snprintf(buf, size, "%s", what);
    } else {
        snprintf(buf, size, "%.60s %s", plots_name_of(run), what);
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

static int make_percentiles(const struct saved *runs, size_t count,
                            const struct plots_sink *sink)
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

    for (size_t i = 0; i < count && i < PLOTS_RUNS_MAX; i++) {
        const struct saved *run = &runs[i];
        if (run->times[SLO_RESPONSE] && run->times[SLO_RESPONSE]->count > 0) {
            plots_name_series(name, sizeof(name), run, "response", count == 1);
            failed |= !add_curve(&plot, run->times[SLO_RESPONSE], name);
        }
        bool shows_service = count == 1 || !run->times[SLO_RESPONSE];
        if (shows_service && run->times[SLO_SERVICE]->count > 0) {
            plots_name_series(name, sizeof(name), run, "service", count == 1);
            failed |= !add_curve(&plot, run->times[SLO_SERVICE], name);
        }
    }
    return plots_give(&plot, failed, "latency-by-percentile", sink);
}

static int compare_rates(const void *a, const void *b)
{
    const struct saved *x = *(const struct saved *const *)a;
    const struct saved *y = *(const struct saved *const *)b;

    return x->achieved_rate < y->achieved_rate
               ? -1
               : x->achieved_rate > y->achieved_rate;
}

static int make_load_curve(const struct saved *runs, size_t count,
                           const struct plots_sink *sink)
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
    return plots_give(&plot, failed, "latency-against-rate", sink);
}

int plots_make(const struct saved *runs, size_t count,
               const struct plots_sink *sink)
{
    int err = make_load_curve(runs, count, sink);

    if (err == 0) {
        err = make_percentiles(runs, count, sink);
    }
    return err == 0 ? plots_make_times(runs, count, sink) : err;
}
