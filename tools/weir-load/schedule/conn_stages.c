/*
 * Parses --conn-stages, and computes the wanted number of connections at a
 * time. Interpolated numbers are rounded to the nearest, so a rise and a fall
 * between the same two numbers mirror each other.
 */
#include "schedule.h"

#include "tools/common/units.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WEEK_NS (UINT64_C(7) * 24 * 3600 * 1000000000)

/* Number with which k6 starts its first stage. */
#define FIRST_USERS 1U

static bool read_number(const char *text, uint64_t *ret)
{
    return units_parse_count(text, ret) == 0 && *ret <= CONN_STAGES_CONNS_MAX;
}

/* Parses "30s@100", "30s@0..100" or "30s:100". */
static const char *read_stage(void *arg, size_t index, char *part,
                              size_t *ret_error)
{
    struct conn_stages *stages = arg;
    struct conn_stage *stage = &stages->list[index];
    char *at = strpbrk(part, "@:");
    const bool goes_on = at && *at == ':';

    if (!at) {
        return "a stage is TIME@N, TIME@N..N or TIME:N";
    }
    *at++ = '\0';
    if (units_parse_time(part, &stage->duration_ns) < 0 ||
        stage->duration_ns == 0 || stage->duration_ns > WEEK_NS) {
        return "not a time such as 30s";
    }
    char *to = goes_on ? NULL : strstr(at, "..");
    if (to) {
        *to = '\0';
        to += 2;
    }
    stage->from = index > 0 ? stage[-1].to : FIRST_USERS;
    bool is_good = read_number(at, goes_on ? &stage->to : &stage->from);
    if (!goes_on) {
        stage->to = stage->from;
    }
    *ret_error = (size_t)(at - part);
    if (is_good && to) {
        *ret_error = (size_t)(to - part);
        is_good = read_number(to, &stage->to);
    }
    stages->count = index + 1;
    return is_good ? NULL : "not a number of connections, 0 to 1M";
}

int conn_stages_parse(const char *text, struct conn_stages *ret, char *why)
{
    ret->count = 0;
    const int err =
        schedule_parse_list(text, CONN_STAGES_MAX, read_stage, ret, why);
    return err < 0 || conn_stages_most(ret) > 0
               ? err
               : why_refuse_at(why, text, text, "no stage has a connection");
}

uint64_t conn_stages_duration(const struct conn_stages *stages)
{
    uint64_t duration_ns = 0;

    for (size_t i = 0; i < stages->count; i++) {
        duration_ns += stages->list[i].duration_ns;
    }
    return duration_ns;
}

uint64_t conn_stages_most(const struct conn_stages *stages)
{
    uint64_t most = 0;

    for (size_t i = 0; i < stages->count; i++) {
        const struct conn_stage *stage = &stages->list[i];
        most = stage->from > most ? stage->from : most;
        most = stage->to > most ? stage->to : most;
    }
    return most;
}

uint64_t conn_stages_least(const struct conn_stages *stages)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < stages->count; i++) {
        const struct conn_stage *stage = &stages->list[i];
        least = stage->from < least ? stage->from : least;
        least = stage->to < least ? stage->to : least;
    }
    return least;
}

uint64_t conn_stages_at(const struct conn_stages *stages, uint64_t time_ns)
{
    assert(stages->count > 0);
    for (size_t i = 0; i < stages->count; i++) {
        const struct conn_stage *stage = &stages->list[i];
        if (time_ns < stage->duration_ns) {
            const double share = (double)time_ns / (double)stage->duration_ns;
            const double change = (double)stage->to - (double)stage->from;
            return (uint64_t)llround((double)stage->from + change * share);
        }
        time_ns -= stage->duration_ns;
    }
    return stages->list[stages->count - 1].to;
}
