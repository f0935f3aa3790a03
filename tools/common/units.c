/*
 * Numbers are parsed as integers: the digits before and after the point are
 * read separately and multiplied by the unit, so that 0.1 s is exactly
 * 100000000 ns.
 *
 * Signs, blanks, exponents and hexadecimal numbers are not accepted.
 */
#include "units.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit count_units[] = {
    {"", 1},        {"k", 1000},       {"K", 1000},       {"M", 1000000},
    {"m", 1000000}, {"G", 1000000000}, {"g", 1000000000},
};

static const struct unit size_units[] = {
    {"", 1},          {"B", 1},          {"k", 1U << 10}, {"K", 1U << 10},
    {"KB", 1U << 10}, {"KiB", 1U << 10}, {"m", 1U << 20}, {"M", 1U << 20},
    {"MB", 1U << 20}, {"MiB", 1U << 20}, {"g", 1U << 30}, {"G", 1U << 30},
    {"GB", 1U << 30}, {"GiB", 1U << 30},
};

static const struct unit time_units[] = {
    {"", 1000000000},
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", 60 * UINT64_C(1000000000)},
    {"h", 3600 * UINT64_C(1000000000)},
    {"d", 24 * 3600 * UINT64_C(1000000000)},
    {"sec", 1000000000},
    {"min", 60 * UINT64_C(1000000000)},
    {"S", 1000000000},
    {"M", 60 * UINT64_C(1000000000)},
    {"H", 3600 * UINT64_C(1000000000)},
};

static const struct unit percent_units[] = {
    {"%", 10000},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *read_digits(const char *text, uint64_t *value, int *digits)
{
    *value = 0;
    *digits = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (*value > (UINT64_MAX - digit) / 10) {
            return NULL;
        }
        *value = *value * 10 + digit;
        (*digits)++;
    }
    return text;
}

/* Parses a fraction as billionths; further digits are cut off. */
static const char *read_fraction(const char *text, uint64_t *billionths,
                                 int *digits)
{
    uint64_t step = 100000000;

    *billionths = 0;
    *digits = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        *billionths += (uint64_t)(*text - '0') * step;
        step /= 10;
        (*digits)++;
    }
    return text;
}

static const struct unit *find_unit(const struct unit *units, size_t count,
                                    const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].name, name) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

static int parse(const char *text, const struct unit *units, size_t count,
                 uint64_t *ret)
{
    uint64_t whole = 0;
    uint64_t billionths = 0;
    int digits = 0;
    int fraction_digits = 0;

    const char *rest = read_digits(text, &whole, &digits);
    if (!rest) {
        return -ERANGE;
    }
    if (*rest == '.') {
        rest = read_fraction(rest + 1, &billionths, &fraction_digits);
        if (fraction_digits == 0) {
            return -EINVAL;
        }
    }
    if (digits == 0) {
        return -EINVAL;
    }
    const struct unit *unit = find_unit(units, count, rest);
    if (!unit) {
        return -EINVAL;
    }
    __extension__ unsigned __int128 value =
        (__extension__(unsigned __int128) whole) * unit->factor;
    value += (__extension__(unsigned __int128) billionths) * unit->factor /
             1000000000;
    if (value > UINT64_MAX) {
        return -ERANGE;
    }
    *ret = (uint64_t)value;
    return 0;
}

/* Formats a value with three significant digits. */
static const char *format_scaled(double value, const char *unit, char *buf)
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

    snprintf(buf, UNITS_TEXT_SIZE, "%.*f%s", decimals, value, unit);
    return buf;
}

int units_parse_count(const char *text, uint64_t *ret)
{
    return parse(text, count_units, COUNT_OF(count_units), ret);
}

int units_parse_size(const char *text, uint64_t *ret_bytes)
{
    return parse(text, size_units, COUNT_OF(size_units), ret_bytes);
}

/* Parses several times with descending units, such as 1m30s. */
static int parse_times(const char *text, uint64_t *ret_ns)
{
    uint64_t unit_ns = UINT64_MAX;
    uint64_t sum_ns = 0;

    while (*text) {
        const size_t digits = strspn(text, "0123456789.");
        const size_t len = digits + strcspn(text + digits, "0123456789.");
        char part[UNITS_TEXT_SIZE];
        uint64_t part_ns = 0;
        if (len >= sizeof(part)) {
            return -EINVAL;
        }
        snprintf(part, sizeof(part), "%.*s", (int)len, text);
        const struct unit *unit =
            find_unit(time_units, COUNT_OF(time_units), part + digits);
        const int err = parse(part, time_units, COUNT_OF(time_units), &part_ns);
        if (!unit || !*unit->name || unit->factor >= unit_ns || err < 0) {
            return err < 0 ? err : -EINVAL;
        }
        if (part_ns > UINT64_MAX - sum_ns) {
            return -ERANGE;
        }
        unit_ns = unit->factor;
        sum_ns += part_ns;
        text += len;
    }
    if (unit_ns == UINT64_MAX) {
        return -EINVAL; /* without any unit */
    }
    *ret_ns = sum_ns;
    return 0;
}

int units_parse_time(const char *text, uint64_t *ret_ns)
{
    const int err = parse(text, time_units, COUNT_OF(time_units), ret_ns);

    return err == -EINVAL ? parse_times(text, ret_ns) : err;
}

bool units_lacks_unit(const char *text)
{
    return text[strspn(text, "0123456789.")] == '\0' &&
           text[strspn(text, "0.")] != '\0';
}

int units_parse_percent(const char *text, uint64_t *ret_millionths)
{
    return parse(text, percent_units, COUNT_OF(percent_units), ret_millionths);
}

const char *units_format_time(uint64_t ns, char *buf)
{
    if (ns < 1000) {
        snprintf(buf, UNITS_TEXT_SIZE, "%uns", (unsigned)ns);
        return buf;
    }
    if (ns < 999500) {
        return format_scaled((double)ns / 1e3, "us", buf);
    }
    if (ns < 999500000) {
        return format_scaled((double)ns / 1e6, "ms", buf);
    }
    return format_scaled((double)ns / 1e9, "s", buf);
}

const char *units_format_size(uint64_t bytes, char *buf)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t index = 0;
    uint64_t factor = 1;

    while (index + 1 < COUNT_OF(names) && bytes / factor >= 1024) {
        factor *= 1024;
        index++;
    }
    bool whole = bytes % factor == 0;
    snprintf(buf, UNITS_TEXT_SIZE, "%.*f %s", whole ? 0 : 1,
             (double)bytes / (double)factor, names[index]);
    return buf;
}
