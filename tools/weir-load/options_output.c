/*
 * Output of a run: the report, the live lines, the JSON, and how often the
 * report has a row.
 *
 * None of it changes the measurement.
 */
#include "options_table.h"

#include "tools/common/console.h"
#include "tools/common/units.h"

#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

/* Rows of the result; a longer run gets longer intervals by default. */
#define INTERVALS_MAX 3600U

#define WHOLE_MILLIONTHS 1000000U

enum {
    FLAG_JSON = OPTIONS_OUTPUT_FIRST,
    FLAG_JSON_STREAM,
    FLAG_HGRM,
    FLAG_HDR_LOG,
    FLAG_CSV,
    FLAG_SLO,
    FLAG_PERCENTILES,
    FLAG_LABEL,
    FLAG_DRY_RUN,
    FLAG_LATENCY,
};

static const struct option long_flags[] = {
    {"interval", required_argument, NULL, 'i'},
    {"json", optional_argument, NULL, FLAG_JSON},
    {"json-stream", no_argument, NULL, FLAG_JSON_STREAM},
    {"hgrm", required_argument, NULL, FLAG_HGRM},
    {"hdr-log", required_argument, NULL, FLAG_HDR_LOG},
    {"csv", required_argument, NULL, FLAG_CSV},
    {"slo", required_argument, NULL, FLAG_SLO},
    {"percentiles", required_argument, NULL, FLAG_PERCENTILES},
    {"label", required_argument, NULL, FLAG_LABEL},
    /* wrk's; latencies are always shown. */
    {"latency", no_argument, NULL, FLAG_LATENCY},
    {"dry-run", no_argument, NULL, FLAG_DRY_RUN},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "\n"
    "Output:\n"
    "  -i, --interval TIME      length of an interval of the report (1s)\n"
    "      --json[=FILE]        the result as JSON, to FILE or instead of the "
    "text\n"
    "      --json-stream        a line of JSON for each interval, and the "
    "result\n"
    "      --hgrm FILE          latencies by percentile, as HdrHistogram "
    "prints them\n"
    "      --hdr-log FILE       a histogram for each interval, as its logs "
    "have them\n"
    "      --csv FILE           the intervals as a table\n"
    "      --slo EXPR           what must hold, as 'p99<5ms,errors<0.1%'\n"
    "      --percentiles LIST   of the report (50,90,99,99.9,99.99)\n"
    "      --label NAME=VALUE   kept in the result; may be repeated\n"
    "      --dry-run            check all, print what would be done, send "
    "nothing\n"
    "  -q, --quiet              no live lines, no text report\n"
    "  -v, --verbose            what the library and the kernel do\n";

static bool read_slo(const char *value, struct run_options *options)
{
    struct slo_error error;

    if (slo_parse(value, &options->slo, &error) < 0) {
        say("--slo: '%.200s', at character %zu: %s", value, error.position,
            error.why);
        return false;
    }
    return true;
}

/* One percentile of a list, as histogram.h has it. */
static bool parse_column(const char *text, size_t len, uint32_t *ret)
{
    char percent[16];
    uint64_t millionths = 0;

    if (len == 0 || len + 2 > sizeof(percent)) {
        return false;
    }
    snprintf(percent, sizeof(percent), "%.*s%%", (int)len, text);
    if (units_parse_percent(percent, &millionths) < 0 || millionths == 0 ||
        millionths >= WHOLE_MILLIONTHS || millionths % 10 != 0) {
        return false;
    }
    *ret = (uint32_t)(millionths / 10);
    return true;
}

static bool read_columns(const char *value, struct run_options *options)
{
    const char *at = value;

    options->column_count = 0;
    for (;;) {
        const size_t len = strcspn(at, ",");
        if (options->column_count == OPTIONS_COLUMNS_MAX) {
            say("--percentiles: more than %u", OPTIONS_COLUMNS_MAX);
            return false;
        }
        if (!parse_column(at, len, &options->columns[options->column_count])) {
            say("--percentiles: '%s', at character %zu: write percentiles "
                "above 0, up to 99.999, as 50,99.9",
                value, (size_t)(at - value) + 1);
            return false;
        }
        options->column_count++;
        if (at[len] == '\0') {
            return true;
        }
        at += len + 1;
    }
}

static bool read_label(const char *value, struct run_options *options)
{
    const size_t len = strcspn(value, "=");

    if (len == 0 || value[len] == '\0') {
        return options_refuse("--label", value, "NAME=VALUE");
    }
    if (options->label_count == OPTIONS_LABELS_MAX) {
        say("--label: more than %u", OPTIONS_LABELS_MAX);
        return false;
    }
    options->labels[options->label_count] = value;
    options->label_count++;
    return true;
}

static bool read_path(const char *flag, const char *value, const char **ret)
{
    *ret = value;
    return *value || options_refuse(flag, value, "a file name");
}

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct options_given *given)
{
    switch (flag) {
    case FLAG_JSON:
        options->json = true;
        options->json_path = value && strcmp(value, "-") == 0 ? NULL : value;
        return !value || *value ||
               options_refuse("--json", value, "a file name");
    case FLAG_JSON_STREAM:
        options->files.streams = true;
        return true;
    case FLAG_HGRM:
        return read_path("--hgrm", value, &options->files.hgrm);
    case FLAG_HDR_LOG:
        return read_path("--hdr-log", value, &options->files.hdr_log);
    case FLAG_CSV:
        return read_path("--csv", value, &options->files.csv);
    case FLAG_PERCENTILES:
        return read_columns(value, options);
    case FLAG_LABEL:
        return read_label(value, options);
    case FLAG_SLO:
        return read_slo(value, options);
    case FLAG_LATENCY:
        return true;
    case FLAG_DRY_RUN:
        options->is_dry = true;
        return true;
    case 'q':
        options->quiet = true;
        return true;
    case 'v':
        options->verbose = true;
        return true;
    default:
        given->interval = true;
        return options_read_time("-i", value, SECOND / 100,
                                 &options->interval_ns);
    }
}

/* Errors that an objective speaks of are its affair, unless --max-errors says
 * how many there may be. */
static void settle_errors(struct run_options *options)
{
    bool has_budget = options->max_errors > 0 || options->max_errors_is_share;

    for (size_t i = 0; i < options->slo.count && !has_budget; i++) {
        if (options->slo.terms[i].figure == SLO_ERRORS) {
            options->max_errors = WHOLE_MILLIONTHS;
            options->max_errors_is_share = true;
        }
    }
}

static bool settle(struct run_options *options,
                   const struct options_given *given)
{
    const struct replay *replay = options->replay;
    const uint64_t length_ns =
        replay ? replay->times_ns[replay->count - 1] : options->duration_ns;
    const uint64_t shortest = length_ns / INTERVALS_MAX;

    settle_errors(options);
    if (options->json && !options->json_path && options->files.streams) {
        say("--json-stream has the result too; --json needs a file name");
        return false;
    }

    if (!given->interval) {
        options->interval_ns = shortest > SECOND ? shortest : SECOND;
    } else if (options->interval_ns < shortest) {
        char text[UNITS_TEXT_SIZE];
        say("-i: too short for this %s, at least %s (%u intervals)",
            replay ? "--replay" : "-d", units_format_time(shortest, text),
            INTERVALS_MAX);
        return false;
    }
    return true;
}

const struct options_group options_output = {
    .long_flags = long_flags,
    .short_flags = "i:qv",
    .read = read_flag,
    .settle = settle,
    .help = help,
};
