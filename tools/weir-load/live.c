/*
 * Written to standard error, so that the report on standard output can be
 * redirected alone. Who is no terminal does not get these lines; the caller
 * looks.
 */
#include "live.h"

#include "tools/common/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_EVERY 20

/* The bars of the histogram: each is higher than the one before by an eighth;
 * without UTF-8 they are digits. */
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

/* Three columns for each power of ten, from 10 us to 10 s. */
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

/* The first and the last column hold what lies beyond them, too. */
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
        /* Whatever has been counted is seen. */
        fputs(bars[(counts[i] * 8 + most - 1) / most], stderr);
    }
    fputs("|\n", stderr);
}

/* "-" where no answer came. */
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

void live_print(const struct interval *row, const struct histogram *h,
                uint64_t number)
{
    char p50[UNITS_TEXT_SIZE];
    char p99[UNITS_TEXT_SIZE];
    char max[UNITS_TEXT_SIZE];
    char when[UNITS_TEXT_SIZE];
    char share[UNITS_TEXT_SIZE];
    double seconds = (double)(row->end_ns - row->begin_ns) / 1e9;

    if (number % HEADER_EVERY == 0) {
        fputs("     t     rate/s     ok%      p50      p99      max  inflight "
              " conns     MB/s  10us  1ms   100ms\n",
              stderr);
    }
    fprintf(stderr, "%6s %10.0f %7s %8s %8s %8s %9llu %6llu %8.1f ",
            units_format_time(row->end_ns, when),
            seconds > 0 ? (double)row->ok / seconds : 0,
            format_share(row, share), format_latency(row, row->p50_ns, p50),
            format_latency(row, row->p99_ns, p99),
            format_latency(row, row->max_ns, max),
            (unsigned long long)row->in_flight, (unsigned long long)row->open,
            seconds > 0 ? (double)row->received_bytes / seconds / 1e6 : 0);
    print_histogram(h);
}
