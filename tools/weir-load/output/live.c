/*
 * The lines and the histogram that show a run in progress. They are written to
 * standard error, so that the report on standard output can be redirected. The
 * caller checks that standard error is a terminal.
 */
#include "writers.h"

#include "tools/common/console.h"
#include "tools/common/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_EVERY 20

/* Bars of the histogram, in eighths of a line. Without UTF-8, digits replace
 * them. */
static const char *const blocks[] = {
    " ",
    "\xe2\x96\x81",
    "\xe2\x96\x82",
    "\xe2\x96\x83",
    "\xe2\x96\x84",
    "\xe2\x96\x85",
    "\xe2\x96\x86",
    "\xe2\x96\x87",
    "\xe2\x96\x88",
};
static const char *const digits[] = {" ", "1", "2", "3", "4",
                                     "5", "6", "7", "8"};

/* Three columns per power of ten, from 10 us to 10 s. */
static const uint64_t edges[] = {
    10000,      20000,      50000,      100000,      200000,
    500000,     1000000,    2000000,    5000000,     10000000,
    20000000,   50000000,   100000000,  200000000,   500000000,
    1000000000, 2000000000, 5000000000, 10000000000,
};

#define COLUMN_COUNT (sizeof(edges) / sizeof(edges[0]) - 1)

static bool has_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value && *value) {
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
        }
    }
    return false;
}

/* The first and the last column include values beyond them. */
static void print_histogram(const struct histogram *h)
{
    const char *const *bars = has_utf8() ? blocks : digits;
    uint64_t counts[COLUMN_COUNT] = {0};
    uint64_t most = 1;
    size_t column = 0;

    for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
        while (column + 1 < COLUMN_COUNT &&
               histogram_lowest(i) >= edges[column + 1]) {
            column++;
        }
        counts[column] += h->counts[i];
        most = counts[column] > most ? counts[column] : most;
    }
    fputc('|', stderr);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        /* Rounded up, so that every counted value is visible. */
        fputs(bars[(counts[i] * 8 + most - 1) / most], stderr);
    }
    fputc('|', stderr);
}

static const char *format_latency(const struct interval *row, uint64_t value_ns,
                                  char text[UNITS_TEXT_SIZE])
{
    return row->max_ns > 0 ? units_format_time(value_ns, text) : "-";
}

static const char *format_share(const struct interval *row,
                                char text[UNITS_TEXT_SIZE])
{
    const uint64_t done = row->ok + row->failed + row->timeout;

    if (done == 0) {
        return "-";
    }
    snprintf(text, UNITS_TEXT_SIZE, "%.2f",
             100.0 * (double)row->ok / (double)done);
    return text;
}

/* Columns of a line. On a narrow terminal those with high ranks are left
 * out. */
enum {
    LIVE_TIME,
    LIVE_RATE,
    LIVE_OK,
    LIVE_P50,
    LIVE_P99,
    LIVE_MAX,
    LIVE_IN_FLIGHT,
    LIVE_CONNS,
    LIVE_BYTES,
    LIVE_BARS,
    LIVE_COUNT,
};

static const struct {
    const char *title;
    unsigned width;
    unsigned rank;
} live_columns[LIVE_COUNT] = {
    [LIVE_TIME] = {"t", 6, 1},
    [LIVE_RATE] = {"rate/s", 10, 0},
    [LIVE_OK] = {"ok%", 7, 5},
    [LIVE_P50] = {"p50", 8, 3},
    [LIVE_P99] = {"p99", 8, 2},
    [LIVE_MAX] = {"max", 8, 4},
    [LIVE_IN_FLIGHT] = {"inflight", 9, 7},
    [LIVE_CONNS] = {"conns", 6, 8},
    [LIVE_BYTES] = {"MB/s", 8, 9},
    [LIVE_BARS] = {"10us  1ms   100ms", COLUMN_COUNT + 2, 6},
};

/* Returns how many ranks fit into @width characters, with blanks between. */
static unsigned count_ranks(unsigned width)
{
    unsigned used = 0;

    for (unsigned rank = 0; rank < LIVE_COUNT; rank++) {
        unsigned at = 0;
        while (live_columns[at].rank != rank) {
            at++;
        }
        used += live_columns[at].width + (rank > 0);
        if (used > width && rank > 0) {
            return rank;
        }
    }
    return LIVE_COUNT;
}

static void print_line(const char *const *texts, unsigned ranks,
                       const struct histogram *bars)
{
    const char *gap = "";

    for (unsigned i = 0; i < LIVE_COUNT; i++) {
        if (live_columns[i].rank >= ranks) {
            continue;
        }
        fputs(gap, stderr);
        gap = " ";
        if (i == LIVE_BARS && bars) {
            print_histogram(bars);
        } else if (i == LIVE_BARS) {
            fputs(texts[i], stderr);
        } else {
            fprintf(stderr, "%*s", (int)live_columns[i].width, texts[i]);
        }
    }
    fputc('\n', stderr);
}

void live_print(const struct interval *row, const struct histogram *h,
                uint64_t number)
{
    char texts[LIVE_COUNT][UNITS_TEXT_SIZE] = {""};
    const char *titles[LIVE_COUNT];
    const char *values[LIVE_COUNT];
    const double seconds = (double)(row->end_ns - row->begin_ns) / 1e9;
    /* The terminal may have been resized. */
    const unsigned ranks = count_ranks(console_width(STDERR_FILENO));

    units_format_time(row->end_ns, texts[LIVE_TIME]);
    snprintf(texts[LIVE_RATE], UNITS_TEXT_SIZE, "%.0f",
             seconds > 0 ? (double)row->ok / seconds : 0);
    snprintf(texts[LIVE_IN_FLIGHT], UNITS_TEXT_SIZE, "%llu",
             LLU(row->in_flight));
    snprintf(texts[LIVE_CONNS], UNITS_TEXT_SIZE, "%llu", LLU(row->open));
    snprintf(texts[LIVE_BYTES], UNITS_TEXT_SIZE, "%.1f",
             seconds > 0 ? (double)row->received_bytes / seconds / 1e6 : 0);
    for (unsigned i = 0; i < LIVE_COUNT; i++) {
        titles[i] = live_columns[i].title;
        values[i] = texts[i];
    }
    values[LIVE_OK] = format_share(row, texts[LIVE_OK]);
    values[LIVE_P50] = format_latency(row, row->p50_ns, texts[LIVE_P50]);
    values[LIVE_P99] = format_latency(row, row->p99_ns, texts[LIVE_P99]);
    values[LIVE_MAX] = format_latency(row, row->max_ns, texts[LIVE_MAX]);
    if (number % HEADER_EVERY == 0) {
        print_line(titles, ranks, NULL);
    }
    print_line(values, ranks, h);
}
