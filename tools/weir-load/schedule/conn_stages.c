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

/* Longest text of a stage, with the terminating zero. */
#define PART_SIZE 64

#define WEEK_NS (UINT64_C(7) * 24 * 3600 * 1000000000)

/* Number with which k6 starts its first stage. */
#define FIRST_USERS 1U

static bool read_number(const char *text, uint64_t *ret)
{
    return units_parse_count(text, ret) == 0 && *ret <= CONN_STAGES_CONNS_MAX;
}

/* Parses "30s@100", "30s@0..100" or "30s:100", and modifies the text. The
 * caller has set ret->from to the previous stage's last number. */
static int parse_stage(char *part, struct conn_stage *ret, size_t *ret_error,
                       const char **ret_want)
{
    char *at = strpbrk(part, "@:");
    const bool goes_on = at && *at == ':';

    *ret_error = 0;
    *ret_want = "a stage is TIME@N, TIME@N..N or TIME:N";
    if (!at) {
        return -EINVAL;
    }
    *at++ = '\0';
    if (units_parse_time(part, &ret->duration_ns) < 0 ||
        ret->duration_ns == 0 || ret->duration_ns > WEEK_NS) {
        *ret_want = "not a time such as 30s";
        return -EINVAL;
    }
    char *to = goes_on ? NULL : strstr(at, "..");
    if (to) {
        *to = '\0';
        to += 2;
    }
    *ret_want = "not a number of connections, 0 to 1M";
    *ret_error = (size_t)(at - part);
    if (!read_number(at, goes_on ? &ret->to : &ret->from)) {
        return -EINVAL;
    }
    if (goes_on) {
        return 0;
    }
    ret->to = ret->from;
    if (to && !read_number(to, &ret->to)) {
        *ret_error = (size_t)(to - part);
        return -EINVAL;
    }
    return 0;
}

int conn_stages_parse(const char *text, struct conn_stages *ret, char *why)
{
    const char *at = text;

    ret->count = 0;
    for (;;) {
        char part[PART_SIZE];
        size_t len = strcspn(at, ",");
        size_t error = 0;
        const char *want = NULL;
        if (ret->count == CONN_STAGES_MAX) {
            return why_refuse_at(why, text, at, "there are too many stages");
        }
        if (len >= sizeof(part)) {
            return why_refuse_at(why, text, at, "this is too long for a stage");
        }
        memcpy(part, at, len);
        part[len] = '\0';
        struct conn_stage *stage = &ret->list[ret->count];
        stage->from = ret->count > 0 ? stage[-1].to : FIRST_USERS;
        if (parse_stage(part, stage, &error, &want) < 0) {
            return why_refuse_at(why, text, at + error, want);
        }
        ret->count++;
        at += len;
        if (*at == '\0') {
            break;
        }
        at++;
    }
    return conn_stages_most(ret) > 0
               ? 0
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
