/*
 * Parses stages and rates of the command line. An error shows the
 * text from the error on, so that it can be found in a long list of
 * stages.
 */
#include "schedule.h"

#include "tools/common/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest text of a stage, with the terminating zero. */
#define PART_SIZE 64

#define RATE_MAX 1e9

/* Parses the text after the '/' of a rate: a unit like m, or a time like
 * 10m. */
static bool read_period(const char *text, double *rate)
{
    const char *one = isalpha((unsigned char)*text) ? "1" : "";
    uint64_t period_ns = 0;
    char period[32];

    if (snprintf(period, sizeof(period), "%s%s", one, text) >=
            (int)sizeof(period) ||
        units_parse_time(period, &period_ns) < 0 || period_ns == 0) {
        return false;
    }
    *rate *= 1e9 / (double)period_ns;
    return true;
}

int schedule_parse_rate(const char *text, double *ret)
{
    char *end = NULL;
    double rate = strtod(text, &end);

    if (end == text) {
        return -EINVAL;
    }
    if (*end == 'k' || *end == 'K') {
        rate *= 1e3;
        end++;
    } else if (*end == 'M') {
        rate *= 1e6;
        end++;
    }
    if (*end == '/' && !read_period(end + 1, &rate)) {
        return -EINVAL;
    }
    end += strlen(end) * (*end == '/');
    if (*end || !(rate >= 0 && rate <= RATE_MAX)) {
        return -EINVAL;
    }
    *ret = rate;
    return 0;
}

int schedule_parse_list(const char *text, size_t most, schedule_read_fn *read,
                        void *arg, char *why)
{
    const char *at = text;

    for (size_t count = 0;; count++) {
        char part[PART_SIZE];
        const size_t len = strcspn(at, ",");
        size_t error = 0;
        if (count == most) {
            return why_refuse_at(why, text, at, "there are too many stages");
        }
        if (len >= sizeof(part)) {
            return why_refuse_at(why, text, at, "this is too long for a stage");
        }
        memcpy(part, at, len);
        part[len] = '\0';
        const char *want = read(arg, count, part, &error);
        if (want) {
            return why_refuse_at(why, text, at + error, want);
        }
        at += len;
        if (*at == '\0') {
            return 0;
        }
        at++;
    }
}

/* Parses "30s@1k" or "30s@1k..2k". */
static const char *read_stage(void *arg, size_t index, char *part,
                              size_t *ret_error)
{
    struct schedule_plan *plan = arg;
    struct schedule_stage *stage = &plan->stages[index];
    char *at = strchr(part, '@');

    if (!at) {
        return "a stage is TIME@RATE or TIME@RATE..RATE";
    }
    *at++ = '\0';
    if (units_parse_time(part, &stage->duration_ns) < 0 ||
        stage->duration_ns == 0) {
        return "not a time such as 30s";
    }
    char *to = strstr(at, "..");
    if (to) {
        *to = '\0';
        to += 2;
    }
    *ret_error = (size_t)(at - part);
    int err = schedule_parse_rate(at, &stage->from);
    stage->to = stage->from;
    if (err == 0 && to) {
        *ret_error = (size_t)(to - part);
        err = schedule_parse_rate(to, &stage->to);
    }
    plan->stage_count = index + 1;
    return err < 0 ? "not a rate such as 1k" : NULL;
}

int schedule_parse(const char *text, struct schedule_plan *ret, char *why)
{
    double most = 0;

    ret->stage_count = 0;
    const int err =
        schedule_parse_list(text, SCHEDULE_STAGES_MAX, read_stage, ret, why);
    for (size_t i = 0; i < ret->stage_count; i++) {
        most = ret->stages[i].from > most ? ret->stages[i].from : most;
        most = ret->stages[i].to > most ? ret->stages[i].to : most;
    }
    return err < 0 || most > 0
               ? err
               : why_refuse_at(why, text, text, "no stage has a rate");
}
