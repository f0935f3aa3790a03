/*
 * How many ports a run will keep, by its options and what is known of the
 * machine, and what is said of it. Where a closed loop has only a time, its
 * rate is not known before, and nothing is foreseen.
 */
#include "ports.h"

#include "tools/common/units.h"

#include <stdio.h>

#define LLU(value) ((unsigned long long)(value))

/* Requests a second at most; 0: no schedule says it. */
static double find_rate(const struct run_options *options)
{
    const struct schedule_plan *plan = &options->schedule;
    double rate = 0;

    for (size_t i = 0; i < plan->stage_count; i++) {
        rate = plan->stages[i].from > rate ? plan->stages[i].from : rate;
        rate = plan->stages[i].to > rate ? plan->stages[i].to : rate;
    }
    return options->model == RUN_MODEL_CLOSED ? 0 : rate;
}

/* The share of a place in the connections of the run. */
static double find_share(const struct run_options *options)
{
    uint64_t most = 0;

    if (options->connect_to.text) {
        return 1;
    }
    for (size_t i = 0; i < options->target_count; i++) {
        const uint64_t count = options_conns_of(options, i);
        most = count > most ? count : most;
    }
    return (double)most / (double)options->conn_count;
}

uint64_t ports_foresee(const struct run_options *options,
                       const struct ports *ports)
{
    const double per_conn =
        options->requests_per_conn > 0
            ? (options->requests_per_conn + options->requests_per_conn_max) /
                  2.0
            : 1;
    const double hold_s = (double)ports->hold_ns / 1e9;
    const double length_s =
        (double)(options->warmup_ns + options->duration_ns) / 1e9;
    double rate = find_rate(options) / per_conn;
    double count = 0;

    if (options->conn_rate > 0 && (rate <= 0 || rate > options->conn_rate)) {
        rate = options->conn_rate;
    }
    if (rate > 0) {
        count = rate * (options->duration_ns > 0 && length_s < hold_s ? length_s
                                                                      : hold_s);
    }
    if (options->request_count > 0 && (rate > 0 || !ports->is_reused)) {
        const double all = (double)options->request_count / per_conn;
        count = rate > 0 && count < all ? count : all;
    }
    return (uint64_t)(count * find_share(options));
}

const char *ports_advise(const struct ports *ports, char *text)
{
    char hold[UNITS_TEXT_SIZE];

    snprintf(text, PORTS_TEXT_SIZE,
             "the client closes first, and each port is kept for %s "
             "(TIME_WAIT); of %llu to one target connecting is slow when half "
             "are kept, and fails when all are: more own addresses (--bind), "
             "more targets, a lower rate, a wider "
             "net.ipv4.ip_local_port_range%s",
             units_format_time(ports->hold_ns, hold), LLU(ports->count),
             ports->is_reused ? "" : ", or net.ipv4.tcp_tw_reuse=1");
    return text;
}
