/*
 * Output of a run: the report, the live lines, the JSON, and how often the
 * report has a row.
 *
 * None of it changes the measurement.
 */
#include "options_table.h"

#include "tools/common/console.h"
#include "tools/common/units.h"

#define SECOND UINT64_C(1000000000)

/* Rows of the result; a longer run gets longer intervals by default. */
#define INTERVALS_MAX 3600U

enum {
    FLAG_JSON = OPTIONS_OUTPUT_FIRST,
};

static const struct option long_flags[] = {
    {"interval", required_argument, NULL, 'i'},
    {"json", optional_argument, NULL, FLAG_JSON},
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
    "  -q, --quiet              no live lines, no text report\n"
    "  -v, --verbose            what the library and the kernel do\n";

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct options_given *given)
{
    switch (flag) {
    case FLAG_JSON:
        options->json = true;
        options->json_path = value;
        return !value || *value ||
               options_refuse("--json", value, "a file name");
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

static bool settle(struct run_options *options,
                   const struct options_given *given)
{
    uint64_t shortest = options->duration_ns / INTERVALS_MAX;

    if (!given->interval) {
        options->interval_ns = shortest > SECOND ? shortest : SECOND;
    } else if (options->interval_ns < shortest) {
        char text[UNITS_TEXT_SIZE];
        say("-i: too short for this -d, at least %s (%u intervals)",
            units_format_time(shortest, text), INTERVALS_MAX);
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
