/*
 * Written to standard error, so that the report on standard output can be
 * redirected alone. Who is no terminal does not get these lines; the caller
 * looks.
 */
#include "live.h"

#include "tools/common/units.h"

#include <stdio.h>

#define HEADER_EVERY 20

void live_print(const struct result_row *row, uint64_t number)
{
    char p50[UNITS_TEXT_SIZE];
    char p99[UNITS_TEXT_SIZE];
    char max[UNITS_TEXT_SIZE];
    char when[UNITS_TEXT_SIZE];
    double seconds = (double)(row->end_ns - row->begin_ns) / 1e9;
    uint64_t done = row->ok + row->failed + row->timeout;

    if (number % HEADER_EVERY == 0) {
        fputs("     t     rate/s     ok%      p50      p99      max  inflight "
              " conns     MB/s\n",
              stderr);
    }
    fprintf(stderr, "%6s %10.0f %7.2f %8s %8s %8s %9llu %6llu %8.1f\n",
            units_format_time(row->end_ns, when),
            seconds > 0 ? (double)row->ok / seconds : 0,
            done ? 100.0 * (double)row->ok / (double)done : 0,
            units_format_time(row->p50_ns, p50),
            units_format_time(row->p99_ns, p99),
            units_format_time(row->max_ns, max),
            (unsigned long long)row->in_flight, (unsigned long long)row->open,
            seconds > 0 ? (double)row->received_bytes / seconds / 1e6 : 0);
}
