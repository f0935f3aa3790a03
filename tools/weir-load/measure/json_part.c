/*
 * Builds the parts of JSON that several outputs have. A percentile of too few
 * values is null, so that it is not read as zero. Sum, minimum and maximum are
 * exact; percentiles have the three digits of the histogram's buckets.
 */
#include "measure.h"

#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t share;
} percentiles[] = {
    {"50", 50000}, {"75", 75000},   {"90", 90000},    {"95", 95000},
    {"99", 99000}, {"99.9", 99900}, {"99.99", 99990}, {"99.999", 99999},
};

#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

json_int_t json_integer_of(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

bool json_is_text(const char *text)
{
    json_t *part = json_string(text);
    const bool is_text = part != NULL;

    json_decref(part);
    return is_text;
}

json_t *json_text(const char *text, size_t len)
{
    json_t *part = json_stringn(text, len);

    return part ? part : json_string("?");
}

json_t *json_text_or_null(const char *text)
{
    return text ? json_text(text, strlen(text)) : json_null();
}

json_t *json_appended(json_t *list, json_t *part)
{
    if (json_array_append_new(list, part) < 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

json_t *json_hash(const json_t *object)
{
    char text[20];

    char *dump = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    if (!dump) {
        return NULL;
    }
    const uint64_t hash = hash_bytes(HASH_BEGIN, dump, strlen(dump));
    free(dump);
    snprintf(text, sizeof(text), "%016llx", LLU(hash));
    return json_string(text);
}

static json_t *hdr_part(const struct histogram *h)
{
    char *text = hdr_encode(h);
    json_t *part = text ? json_string(text) : NULL;

    free(text);
    return part;
}

json_t *json_histogram(const struct histogram *h)
{
    json_t *values = json_object();
    json_t *intervals = json_object();

    for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
        uint32_t share = percentiles[i].share;
        uint64_t low = 0;
        uint64_t high = 0;
        if (!histogram_can_tell(h, share)) {
            json_object_set_new(values, percentiles[i].name, json_null());
            continue;
        }
        json_object_set_new(
            values, percentiles[i].name,
            json_integer(json_integer_of(histogram_quantile(h, share))));
        histogram_interval(h, share, &low, &high);
        json_object_set_new(
            intervals, percentiles[i].name,
            json_pack("[I, I]", json_integer_of(low), json_integer_of(high)));
    }
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "count",
        json_integer_of(h->count), "min",
        json_integer_of(h->count ? h->min : 0), "sum", json_integer_of(h->sum),
        "mean", json_integer_of((uint64_t)histogram_mean(h)), "stdev",
        json_integer_of((uint64_t)histogram_deviation(h)), "max",
        json_integer_of(h->max), "overflows", json_integer_of(h->overflows),
        "percentiles", values, "ci95", intervals, "hdr", hdr_part(h));
}

json_t *json_histogram_or_null(const struct histogram *h)
{
    return h->count > 0 ? json_histogram(h) : json_null();
}

int json_write_object(json_t *object, bool pretty, FILE *out)
{
    size_t flags = JSON_REAL_PRECISION(9);

    if (!object) {
        return -ENOMEM;
    }
    flags |= pretty ? JSON_INDENT(2) : JSON_COMPACT;
    int failed = json_dumpf(object, out, flags);
    json_decref(object);
    if (failed || fputc('\n', out) == EOF || fflush(out) != 0) {
        return errno ? -errno : -EIO;
    }
    return 0;
}
