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

/* Parses "30s@1k" or "30s@1k..2k", and modifies the text. */
static int parse_stage(char *part, struct schedule_stage *ret,
                       size_t *ret_error, const char **ret_want)
{
    char *at = strchr(part, '@');

    *ret_error = 0;
    *ret_want = "a stage is TIME@RATE or TIME@RATE..RATE";
    if (!at) {
        return -EINVAL;
    }
    *at++ = '\0';
    if (units_parse_time(part, &ret->duration_ns) < 0 ||
        ret->duration_ns == 0) {
        *ret_want = "not a time such as 30s";
        return -EINVAL;
    }
    char *to = strstr(at, "..");
    if (to) {
        *to = '\0';
        to += 2;
    }
    *ret_want = "not a rate such as 1k";
    *ret_error = (size_t)(at - part);
    if (schedule_parse_rate(at, &ret->from) < 0) {
        return -EINVAL;
    }
    ret->to = ret->from;
    if (to && schedule_parse_rate(to, &ret->to) < 0) {
        *ret_error = (size_t)(to - part);
        return -EINVAL;
    }
    return 0;
}

int schedule_parse(const char *text, struct schedule_plan *ret, char *why)
{
    const char *at = text;
    double most = 0;

    ret->stage_count = 0;
    for (;;) {
        char part[PART_SIZE];
        size_t len = strcspn(at, ",");
        size_t error = 0;
        const char *want = NULL;
        if (ret->stage_count == SCHEDULE_STAGES_MAX) {
            return why_refuse_at(why, text, at, "there are too many stages");
        }
        if (len >= sizeof(part)) {
            return why_refuse_at(why, text, at, "this is too long for a stage");
        }
        memcpy(part, at, len);
        part[len] = '\0';
        struct schedule_stage *stage = &ret->stages[ret->stage_count];
        if (parse_stage(part, stage, &error, &want) < 0) {
            return why_refuse_at(why, text, at + error, want);
        }
        ret->stage_count++;
        most = stage->from > most ? stage->from : most;
        most = stage->to > most ? stage->to : most;
        at += len;
        if (*at == '\0') {
            break;
        }
        at++;
    }
    return most > 0 ? 0 : why_refuse_at(why, text, text, "no stage has a rate");
}
