/*
 * An unknown figure is null, never 0, so that a run without answers does not
 * pass a check of its limits. Each figure is therefore computed together with
 * whether it is known.
 */
#include "result.h"

#include "tools/weir-load/measure/measure.h"

#define NS_PER_MS 1e6

struct summary_figure {
    const char *name; /* NULL at the end */
    /* as in histogram.h; HISTOGRAM_WHOLE is the maximum, 0 the mean */
    uint32_t share;
};

static const struct summary_figure summary_figures[] = {
    {"mean", 0},    {"p50", 50000},   {"p90", 90000},           {"p95", 95000},
    {"p99", 99000}, {"p99_9", 99900}, {"max", HISTOGRAM_WHOLE}, {NULL, 0},
};

static bool find(const struct summary *summary,
                 const struct summary_figure *figure, double *ret_ns)
{
    const struct histogram *h = summary->latency;

    if (figure->share == 0) {
        *ret_ns = histogram_mean(h);
    } else if (figure->share == HISTOGRAM_WHOLE) {
        *ret_ns = (double)h->max;
    } else {
        *ret_ns = (double)histogram_quantile(h, figure->share);
        return histogram_can_tell(h, figure->share);
    }
    return h->count > 0;
}

static json_t *number_or_null(bool is_known, double number)
{
    return is_known ? json_real(number) : json_null();
}

json_t *summary_json(const struct summary *summary)
{
    const bool has_share = summary->attempts > 0;
    const double share =
        has_share ? (double)summary->errors / (double)summary->attempts : 0;
    json_t *part = json_pack("{s:s, s:f, s:I, s:I, s:o}", "verdict",
                             summary->verdict, "rate", summary->rate,
                             "attempts", json_integer_of(summary->attempts),
                             "errors", json_integer_of(summary->errors),
                             "error_share", number_or_null(has_share, share));

    for (const struct summary_figure *figure = summary_figures; figure->name;
         figure++) {
        double ns = 0;
        const bool is_known = find(summary, figure, &ns);
        json_object_set_new(part, figure->name,
                            number_or_null(is_known, ns / NS_PER_MS));
    }
    return part;
}
