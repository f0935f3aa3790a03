/*
 * Parses objectives, such as p99 < 10ms, and evaluates them. The text is parsed
 * in one pass from left to right, and an error has the cursor's position.
 * Values and limits are compared as doubles, which are exact up to 2^53.
 */
#include "measure.h"

#include "tools/common/units.h"
#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WHOLE_MILLIONTHS 1000000U

/* A double above this may not fit into uint64_t. */
#define TIME_LIMIT 1.8e19

struct cursor {
    const char *text;
    size_t at;
    struct slo_error *error;
};

static const struct {
    const char *name;
    enum slo_figure figure;
} figures[] = {
    {"mean", SLO_MEAN},         {"min", SLO_MIN},
    {"max", SLO_MAX},           {"errors", SLO_ERRORS},
    {"timeouts", SLO_TIMEOUTS}, {"dropped", SLO_DROPPED},
    {"rate", SLO_RATE},         {"achieved", SLO_ACHIEVED},
};

static const char *const times_names[SLO_TIMES_COUNT] = {
    [SLO_RESPONSE] = "response", [SLO_SERVICE] = "service",
    [SLO_CONNECT] = "connect",   [SLO_TLS] = "tls",
    [SLO_TTFB] = "ttfb",         [SLO_LATE] = "late",
    [SLO_CLIENT] = "client",     [SLO_BLOCKED] = "blocked",
    [SLO_READ] = "read",
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

__attribute__((format(printf, 3, 4))) static bool
refuse(const struct cursor *cursor, size_t at, const char *format, ...)
{
    va_list args;

    cursor->error->position = at + 1;
    va_start(args, format);
    vsnprintf(cursor->error->why, SLO_WHY_SIZE, format, args);
    va_end(args);
    return false;
}

static void skip_blanks(struct cursor *cursor)
{
    cursor->at += strspn(cursor->text + cursor->at, " \t");
}

/* Parses the digits of p99.9. The unit of @ret is 1/100000. */
static bool read_share(struct cursor *cursor, const char *digits, size_t len,
                       uint32_t *ret)
{
    char text[16];
    uint64_t millionths = 0;

    snprintf(text, sizeof(text), "%.*s%%", (int)len, digits);
    if (units_parse_percent(text, &millionths) < 0 || millionths == 0 ||
        millionths >= WHOLE_MILLIONTHS || millionths % 10 != 0) {
        return refuse(cursor, cursor->at,
                      "'p%.*s' is not a percentile between 0 and 99.999",
                      (int)(len < 20 ? len : 20), digits);
    }
    *ret = (uint32_t)(millionths / 10);
    return true;
}

static bool read_times(struct cursor *cursor, struct slo_term *term,
                       bool *ret_given)
{
    const char *text = cursor->text + cursor->at;
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz");

    *ret_given = text[len] == '.';
    if (!*ret_given) {
        return true;
    }
    for (size_t i = 0; i < SLO_TIMES_COUNT; i++) {
        if (is_text(text, len, times_names[i])) {
            term->times = (enum slo_times)i;
            cursor->at += len + 1;
            return true;
        }
    }
    return refuse(cursor, cursor->at,
                  "'%.*s' is not response, service, connect, tls, ttfb, late, "
                  "client, blocked or read",
                  (int)(len < 20 ? len : 20), text);
}

/* Reads a status like 503 or 5xx. 5xx includes 600 and above (RFC 9110, section
 * 15). */
static bool read_status(struct cursor *cursor, struct slo_term *term)
{
    const char *text = cursor->text + cursor->at;
    const size_t len = strcspn(text, " \t<>=,{");
    const bool is_class = len == 3 && text[1] == 'x' && text[2] == 'x';
    const bool is_code = len == 3 && text[1] >= '0' && text[1] <= '9' &&
                         text[2] >= '0' && text[2] <= '9';

    if (text[0] < '1' || text[0] > (is_class ? '5' : '9') ||
        (!is_class && !is_code)) {
        return refuse(cursor, cursor->at,
                      "'%.*s' is not a status such as 503 or 5xx",
                      (int)(len < 20 ? len : 20), text);
    }
    term->figure = SLO_STATUS;
    term->first_status = 100U * (unsigned)(text[0] - '0');
    term->last_status = text[0] == '5' ? 999 : term->first_status + 99;
    if (is_code) {
        term->first_status +=
            10U * (unsigned)(text[1] - '0') + (unsigned)(text[2] - '0');
        term->last_status = term->first_status;
    }
    cursor->at += len;
    return true;
}

static bool read_figure(struct cursor *cursor, struct slo_term *term)
{
    static const char status[] = "status.";
    bool has_times = false;

    if (strncmp(cursor->text + cursor->at, status, sizeof(status) - 1) == 0) {
        cursor->at += sizeof(status) - 1;
        return read_status(cursor, term);
    }
    if (!read_times(cursor, term, &has_times)) {
        return false;
    }
    const char *text = cursor->text + cursor->at;
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.");
    if (text[0] == 'p' && text[1] >= '0' && text[1] <= '9') {
        term->figure = SLO_QUANTILE;
        const bool is_good =
            read_share(cursor, text + 1, len - 1, &term->share);
        cursor->at += is_good ? len : 0;
        return is_good;
    }
    for (size_t i = 0; i < COUNT_OF(figures); i++) {
        if (!is_text(text, len, figures[i].name)) {
            continue;
        }
        term->figure = figures[i].figure;
        if (has_times && !slo_is_latency(term->figure)) {
            return refuse(cursor, cursor->at, "'%s' is not a latency",
                          figures[i].name);
        }
        cursor->at += len;
        return true;
    }
    return refuse(cursor, cursor->at,
                  "expected a figure: p50 to p99.999, mean, min, max, errors, "
                  "timeouts, dropped, rate, achieved or status.5xx");
}

/* Reads an optional "{GET /a}". Inner braces must be balanced. */
static bool read_kind(struct cursor *cursor, struct slo_term *term)
{
    const char *text = cursor->text + cursor->at;
    size_t depth = 1;
    size_t len = 1;

    if (text[0] != '{') {
        return true;
    }
    if (term->figure == SLO_DROPPED || term->figure == SLO_ACHIEVED ||
        (slo_is_latency(term->figure) && term->times != SLO_RESPONSE)) {
        return refuse(cursor, cursor->at,
                      "a kind of requests has no such figure");
    }
    for (; text[len] && depth > 0; len++) {
        depth += text[len] == '{';
        depth -= text[len] == '}';
    }
    if (depth > 0) {
        return refuse(cursor, cursor->at, "a } is missing");
    }
    if (len < 3 || len - 2 >= sizeof(term->kind)) {
        return refuse(cursor, cursor->at,
                      "the name of a kind has 1 to %u bytes; [NAME] before "
                      "its lines gives it a short one",
                      SLO_KIND_SIZE - 1);
    }
    if (kind_name_span(text + 1, len - 2) < len - 2) {
        return refuse(cursor, cursor->at, KIND_NAME_RULE);
    }
    memcpy(term->kind, text + 1, len - 2);
    cursor->at += len;
    return true;
}

static bool read_comparison(struct cursor *cursor, struct slo_term *term)
{
    const char *text = cursor->text + cursor->at;
    bool has_equal = text[0] != '\0' && text[1] == '=';

    if (text[0] == '<') {
        term->comparison = has_equal ? SLO_AT_MOST : SLO_LESS;
    } else if (text[0] == '>') {
        term->comparison = has_equal ? SLO_AT_LEAST : SLO_MORE;
    } else {
        return refuse(cursor, cursor->at, "expected <, <=, > or >=");
    }
    cursor->at += has_equal ? 2 : 1;
    return true;
}

static int parse_limit(const char *value, struct slo_term *term)
{
    if (slo_is_latency(term->figure)) {
        return units_parse_time(value, &term->limit);
    }
    if (term->figure != SLO_ACHIEVED &&
        units_parse_count(value, &term->limit) == 0) {
        return 0;
    }
    if (term->figure == SLO_RATE) {
        return -EINVAL;
    }
    term->is_share = true;
    return units_parse_percent(value, &term->limit);
}

static bool read_limit(struct cursor *cursor, struct slo_term *term)
{
    const char *text = cursor->text + cursor->at;
    size_t len = strcspn(text, ", \t");
    char value[32];

    const char *want = slo_is_latency(term->figure) ? "a time such as 5ms"
                       : term->figure == SLO_RATE   ? "a count such as 50k"
                       : term->figure == SLO_ACHIEVED
                           ? "a share such as 99%"
                           : "a count such as 10, or a share such as 0.1%";
    if (len == 0) {
        return refuse(cursor, cursor->at, "expected %s", want);
    }
    if (len >= sizeof(value)) {
        return refuse(cursor, cursor->at, "'%.20s...' is not %s", text, want);
    }
    memcpy(value, text, len);
    value[len] = '\0';
    if (parse_limit(value, term) < 0) {
        return refuse(cursor, cursor->at, "'%s' is not %s", value, want);
    }
    cursor->at += len;
    return true;
}

static bool read_term(struct cursor *cursor, struct slo_term *term)
{
    skip_blanks(cursor);
    size_t begin = cursor->at;

    if (!read_figure(cursor, term)) {
        return false;
    }
    skip_blanks(cursor);
    if (!read_kind(cursor, term)) {
        return false;
    }
    skip_blanks(cursor);
    if (!read_comparison(cursor, term)) {
        return false;
    }
    skip_blanks(cursor);
    if (!read_limit(cursor, term)) {
        return false;
    }
    snprintf(term->text, sizeof(term->text), "%.*s", (int)(cursor->at - begin),
             cursor->text + begin);
    skip_blanks(cursor);
    return true;
}

int slo_parse(const char *text, struct slo *ret, struct slo_error *ret_error)
{
    struct cursor cursor = {.text = text, .error = ret_error};
    struct slo slo = {0};

    for (;;) {
        if (slo.count == SLO_TERMS_MAX) {
            refuse(&cursor, cursor.at, "more than %u terms", SLO_TERMS_MAX);
            return -EINVAL;
        }
        if (!read_term(&cursor, &slo.terms[slo.count++])) {
            return -EINVAL;
        }
        if (text[cursor.at] == '\0') {
            *ret = slo;
            return 0;
        }
        if (text[cursor.at] != ',') {
            refuse(&cursor, cursor.at, "expected a comma or the end");
            return -EINVAL;
        }
        cursor.at++;
    }
}

static bool compare(enum slo_comparison comparison, double value, double limit)
{
    switch (comparison) {
    case SLO_LESS:
        return value < limit;
    case SLO_AT_MOST:
        return value <= limit;
    case SLO_MORE:
        return value > limit;
    default:
        return value >= limit;
    }
}

static bool find_latency(const struct slo_term *term,
                         const struct slo_facts *facts, double *ret)
{
    const struct histogram *h = facts->times[term->times];

    if (!h || h->count == 0) {
        return false;
    }
    switch (term->figure) {
    case SLO_QUANTILE:
        *ret = (double)histogram_quantile(h, term->share);
        return histogram_can_tell(h, term->share);
    case SLO_MEAN:
        *ret = histogram_mean(h);
        return true;
    case SLO_MIN:
        *ret = (double)h->min;
        return true;
    default:
        *ret = (double)h->max;
        return true;
    }
}

static bool find_figure(const struct slo_term *term,
                        const struct slo_facts *facts, double *ret)
{
    uint64_t number = 0;

    switch (term->figure) {
    case SLO_ERRORS:
        number = facts->errors;
        break;
    case SLO_TIMEOUTS:
        number = facts->timeouts;
        break;
    case SLO_DROPPED:
        number = facts->dropped;
        break;
    case SLO_STATUS:
        if (!facts->status) {
            return false;
        }
        for (unsigned i = term->first_status; i <= term->last_status; i++) {
            number += facts->status[i];
        }
        break;
    case SLO_RATE:
        *ret = facts->rate;
        return true;
    case SLO_ACHIEVED:
        *ret = facts->offered_rate > 0
                   ? facts->rate / facts->offered_rate * WHOLE_MILLIONTHS
                   : 0;
        return facts->offered_rate > 0;
    default:
        return find_latency(term, facts, ret);
    }
    *ret = (double)number;
    if (term->is_share) {
        *ret = facts->offered > 0
                   ? *ret * WHOLE_MILLIONTHS / (double)facts->offered
                   : 0;
        return facts->offered > 0;
    }
    return true;
}

struct slo_outcome slo_judge(const struct slo_term *term,
                             const struct slo_facts *facts)
{
    struct slo_outcome outcome = {0};
    struct slo_facts kind;

    if (term->kind[0] != '\0') {
        if (!facts->find_kind ||
            !facts->find_kind(facts->owner, term->kind, &kind)) {
            return outcome;
        }
        facts = &kind;
    }
    outcome.known = find_figure(term, facts, &outcome.value);
    if (!outcome.known && term->figure == SLO_QUANTILE &&
        facts->times[term->times]) {
        outcome.value_count = facts->times[term->times]->count;
        outcome.values_needed = histogram_need(term->share);
    }
    outcome.passed = outcome.known && compare(term->comparison, outcome.value,
                                              (double)term->limit);
    return outcome;
}

bool slo_is_latency(enum slo_figure figure)
{
    return figure <= SLO_MAX;
}

const char *slo_format(const struct slo_term *term,
                       const struct slo_outcome *outcome, char *buf)
{
    char time[UNITS_TEXT_SIZE];

    if (!outcome->known && outcome->value_count > 0) {
        snprintf(buf, SLO_TEXT_SIZE, "not known from %llu values, %llu needed",
                 LLU(outcome->value_count), LLU(outcome->values_needed));
    } else if (!outcome->known && slo_is_latency(term->figure)) {
        snprintf(buf, SLO_TEXT_SIZE, "not known, as no such times were taken");
    } else if (!outcome->known) {
        snprintf(buf, SLO_TEXT_SIZE, "not known");
    } else if (slo_is_latency(term->figure)) {
        snprintf(buf, SLO_TEXT_SIZE, "%s",
                 units_format_time(outcome->value < TIME_LIMIT
                                       ? (uint64_t)outcome->value
                                       : UINT64_MAX,
                                   time));
    } else if (term->is_share) {
        snprintf(buf, SLO_TEXT_SIZE, "%.4g%%", outcome->value / 1e4);
    } else if (term->figure == SLO_RATE) {
        snprintf(buf, SLO_TEXT_SIZE, "%.1f/s", outcome->value);
    } else {
        snprintf(buf, SLO_TEXT_SIZE, "%.0f", outcome->value);
    }
    return buf;
}
