/*
 * The merged object begins as a copy of the first, so that what cannot be added
 * (the configuration, the environment) is the first's; "parts" says of which
 * results it was made.
 *
 * A verdict is as bad as the worst of both, as verdict.c orders them.
 */
#include "saved_merge.h"

#include "exits.h"
#include "fields.h"
#include "hdr.h"
#include "json_part.h"
#include "saved_parts.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Numbers that a file makes up must not wrap. */
static json_int_t add_integers(json_int_t a, json_int_t b)
{
    json_int_t sum = 0;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static json_t *add_values(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        return json_integer(
            add_integers(json_integer_value(a), json_integer_value(b)));
    }
    if (json_is_number(a) && json_is_number(b)) {
        double sum = json_number_value(a) + json_number_value(b);
        return sum < 1e300 ? json_real(sum) : json_real(1e300);
    }
    return NULL;
}

/* Add each number of from to its like; what is not there is copied. */
static void add_numbers(json_t *into, const json_t *from)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)from, name, value)
    {
        json_t *sum = add_values(json_object_get(into, name), value);
        if (sum) {
            json_object_set_new(into, name, sum);
        } else if (!json_object_get(into, name)) {
            json_object_set_new(into, name, json_deep_copy(value));
        }
    }
}

static void add_number(json_t *into, const json_t *from, const char *name)
{
    json_t *sum =
        add_values(json_object_get(into, name), json_object_get(from, name));

    if (sum) {
        json_object_set_new(into, name, sum);
    }
}

static void keep_greater(json_t *into, const json_t *from, const char *name)
{
    const json_t *value = json_object_get(from, name);

    if (json_number_value(value) >
        json_number_value(json_object_get(into, name))) {
        json_object_set_new(into, name, json_deep_copy(value));
    }
}

/* 0 is none. */
static void keep_less(json_t *into, const json_t *from, const char *name)
{
    const json_t *value = json_object_get(from, name);
    const double own = json_number_value(json_object_get(into, name));
    const double other = json_number_value(value);

    if (other > 0 && (own == 0 || other < own)) {
        json_object_set_new(into, name, json_deep_copy(value));
    }
}

static void merge_field(const struct field *field, json_t *into,
                        const json_t *from)
{
    const json_t *value = json_object_get(from, field->name);

    if (!json_object_get(into, field->name) && value) {
        json_object_set_new(into, field->name, json_deep_copy(value));
    } else if (field->merge == FIELD_GREATEST) {
        keep_greater(into, from, field->name);
    } else if (field->merge == FIELD_LEAST) {
        keep_less(into, from, field->name);
    } else if (field->merge != FIELD_FIRST) {
        add_number(into, from, field->name);
    }
}

static void merge_fields(const struct field *fields, json_t *into,
                         const json_t *from)
{
    for (; fields->name; fields++) {
        merge_field(fields, into, from);
    }
}

static void merge_parts(json_t *into, const json_t *from)
{
    for (const struct fields_part *part = fields_parts; part->fields; part++) {
        const char *name = part->object;
        merge_fields(part->fields, name ? json_object_get(into, name) : into,
                     name ? json_object_get(from, name) : from);
    }
}

static bool is_same_error(const json_t *a, const json_t *b)
{
    return json_equal(json_object_get(a, "phase"),
                      json_object_get(b, "phase")) &&
           json_equal(json_object_get(a, "code"), json_object_get(b, "code")) &&
           json_equal(json_object_get(a, "text"), json_object_get(b, "text"));
}

static json_t *find_error(const json_t *list, const json_t *error)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (is_same_error(json_array_get(list, i), error)) {
            return json_array_get(list, i);
        }
    }
    return NULL;
}

static void merge_errors(json_t *into, const json_t *from)
{
    json_t *list = json_object_get(into, "errors");
    const json_t *others = json_object_get(from, "errors");

    for (size_t i = 0; i < json_array_size(others); i++) {
        json_t *other = json_array_get(others, i);
        json_t *like = find_error(list, other);
        if (like) {
            merge_fields(fields_error, like, other);
        } else {
            json_array_append_new(list, json_deep_copy(other));
        }
    }
}

/* False where one of them does not tell what the other does, so that the sum
 * would be that of one alone. */
static bool keep_common(json_t *row, const json_t *other, const char *name)
{
    if (json_object_get(row, name) && json_object_get(other, name)) {
        return true;
    }
    json_object_del(row, name);
    return false;
}

/* Percentiles are not above the greatest value, of which the row is sure. */
static void set_percentile(json_t *row, const char *name,
                           const struct histogram *h, uint32_t share)
{
    json_int_t value = json_integer_of(histogram_quantile(h, share));
    json_int_t max = json_integer_value(json_object_get(row, "max"));

    json_object_set_new(row, name, json_integer(value < max ? value : max));
}

/* h and more are room for two histograms. False without memory. */
static bool merge_row_times(json_t *row, const json_t *other,
                            struct histogram *h, struct histogram *more)
{
    json_object_set_new(row, "p50", json_null());
    json_object_set_new(row, "p99", json_null());
    if (!keep_common(row, other, "hdr")) {
        return true;
    }
    const char *own = json_string_value(json_object_get(row, "hdr"));
    const char *text = json_string_value(json_object_get(other, "hdr"));
    histogram_clear(h);
    if (own && hdr_decode(own, h) < 0) {
        return false;
    }
    if (text) {
        if (hdr_decode(text, more) < 0) {
            return false;
        }
        histogram_merge(h, more);
    }
    if (h->count == 0) {
        return true;
    }
    set_percentile(row, "p50", h, HISTOGRAM_WHOLE / 2);
    set_percentile(row, "p99", h, 99 * HISTOGRAM_WHOLE / 100);
    char *merged = hdr_encode(h);
    bool done =
        merged && json_object_set_new(row, "hdr", json_string(merged)) == 0;
    free(merged);
    return done;
}

/* Intervals of the same number are those of the same time. False without
 * memory. */
static bool merge_rows(json_t *into, const json_t *from)
{
    json_t *rows = json_object_get(into, "intervals");
    const json_t *others = json_object_get(from, "intervals");
    struct histogram *times = malloc(2 * sizeof(*times));
    bool done = times != NULL;

    for (size_t i = 0; done && i < json_array_size(others); i++) {
        json_t *other = json_array_get(others, i);
        json_t *row = json_array_get(rows, i);
        if (!row) {
            json_array_append_new(rows, json_deep_copy(other));
            continue;
        }
        merge_fields(fields_interval, row, other);
        if (keep_common(row, other, "errors")) {
            add_numbers(json_object_get(row, "errors"),
                        json_object_get(other, "errors"));
        }
        done = merge_row_times(row, other, &times[0], &times[1]);
    }
    free(times);
    return done;
}

static void append_copies(json_t *into, const json_t *from, const char *name)
{
    json_t *list = json_object_get(into, name);
    const json_t *others = json_object_get(from, name);

    for (size_t i = 0; i < json_array_size(others); i++) {
        json_array_append_new(list, json_deep_copy(json_array_get(others, i)));
    }
}

static void merge_client(json_t *into, const json_t *from)
{
    json_t *client = json_object_get(into, "client");
    json_t *rate = json_object_get(into, "rate");
    const json_t *other = json_object_get(from, "client");

    append_copies(client, other, "threads");
    add_number(client, other, "cpu");
    add_numbers(rate, json_object_get(from, "rate"));
    double cpu_ns = json_number_value(json_object_get(client, "cpu_user_ns")) +
                    json_number_value(json_object_get(client, "cpu_system_ns"));
    double completed = json_number_value(json_object_get(rate, "completed"));
    json_object_set_new(rate, "per_client_cpu_second",
                        json_real(cpu_ns > 0 ? completed * 1e9 / cpu_ns : 0));
}

/* The place of a result's verdict among all, the worst first. */
static size_t find_verdict(const json_t *object)
{
    static const enum load_exit verdicts[] = {
        LOAD_INTERRUPTED, LOAD_NOTHING, LOAD_ERRORS,
        LOAD_INVALID,     LOAD_SLO,     LOAD_OK,
    };
    json_int_t code = json_integer_value(json_object_get(object, "exit_code"));
    size_t index = 0;

    while (index < COUNT_OF(verdicts) && verdicts[index] != code) {
        index++;
    }
    return index;
}

/* "host, part 2: reason", where a result is none of several. */
static json_t *name_remark(const json_t *object, const json_t *remark)
{
    const json_t *env = json_object_get(object, "env");
    const char *host = json_string_value(json_object_get(env, "host"));
    const json_int_t part = json_integer_value(
        json_object_get(json_object_get(object, "part"), "index"));
    const char *text = json_string_value(remark);

    if (json_object_get(object, "parts") || !text || (!host && part == 0)) {
        return json_deep_copy(remark);
    }
    return part == 0 ? json_sprintf("%s: %s", host, text)
                     : json_sprintf("%s%spart %lld: %s", host ? host : "",
                                    host ? ", " : "", (long long)part, text);
}

/* Remarks of both, each with where it was made. */
static void merge_remarks(json_t *into, const json_t *one, const json_t *other,
                          const char *name)
{
    const json_t *const objects[] = {one, other};
    json_t *list = json_array();

    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        const json_t *remarks = json_object_get(objects[i], name);
        for (size_t k = 0; k < json_array_size(remarks); k++) {
            json_array_append_new(
                list, name_remark(objects[i], json_array_get(remarks, k)));
        }
    }
    json_object_set_new(into, name, list);
}

static void merge_verdict(json_t *into, const json_t *one, const json_t *from)
{
    static const char *const names[] = {"valid", "verdict", "exit_code"};
    bool is_worse = find_verdict(from) < find_verdict(into);

    for (size_t i = 0; is_worse && i < COUNT_OF(names); i++) {
        json_object_set_new(into, names[i],
                            json_deep_copy(json_object_get(from, names[i])));
    }
    merge_remarks(into, one, from, "invalid_reasons");
    merge_remarks(into, one, from, "warnings");
}

/* False without memory. */
static bool merge_times(json_t *into, const struct saved *one,
                        const struct saved *other)
{
    struct histogram *h = malloc(sizeof(*h));
    json_t *latency = json_object_get(into, "latency");
    bool done = h != NULL;

    for (size_t i = 0; done && i < SLO_TIMES_COUNT; i++) {
        if (!one->times[i] && !other->times[i]) {
            continue;
        }
        histogram_clear(h);
        if (one->times[i]) {
            histogram_merge(h, one->times[i]);
        }
        if (other->times[i]) {
            histogram_merge(h, other->times[i]);
        }
        done = json_object_set_new(latency, fields_times[i].name,
                                   json_histogram(h)) == 0;
    }
    free(h);
    return done;
}

/* Both together, of which one may not be there. NULL without memory. */
static json_t *merge_kind(const struct saved_kind *one,
                          const struct saved_kind *other)
{
    struct histogram *h = malloc(sizeof(*h));
    struct kind_counts counts = one->counts;
    json_t *status = json_deep_copy(one->status);

    if (!h || !status) {
        free(h);
        json_decref(status);
        return NULL;
    }
    histogram_clear(h);
    histogram_merge(h, &one->latency);
    if (other) {
        histogram_merge(h, &other->latency);
        fields_merge(fields_kind, &counts, &other->counts);
        add_numbers(status, other->status);
    }
    json_t *part = json_pack("{s:s, s:o, s:o}", "name", one->name, "status",
                             status, "latency", json_histogram(h));
    for (const struct field *field = fields_kind; field->name; field++) {
        json_object_set_new(
            part, field->name,
            json_integer(json_integer_of(fields_get(field, &counts))));
    }
    free(h);
    return part;
}

static const struct saved_kind *find_kind(const struct saved *saved,
                                          const char *name)
{
    for (size_t i = 0; i < saved->kind_count; i++) {
        if (strcmp(saved->kinds[i].name, name) == 0) {
            return &saved->kinds[i];
        }
    }
    return NULL;
}

/* Kinds of one name; those that one of them has alone are at the end. False
 * without memory. */
static bool merge_kinds(json_t *into, const struct saved *one,
                        const struct saved *other)
{
    json_t *list = json_array();
    bool done = list != NULL;

    for (size_t i = 0; done && i < one->kind_count; i++) {
        done = json_array_append_new(
                   list, merge_kind(&one->kinds[i],
                                    find_kind(other, one->kinds[i].name))) == 0;
    }
    for (size_t i = 0; done && i < other->kind_count; i++) {
        if (!find_kind(one, other->kinds[i].name)) {
            done = json_array_append_new(
                       list, merge_kind(&other->kinds[i], NULL)) == 0;
        }
    }
    if (!done || one->kind_count + other->kind_count == 0) {
        json_decref(list);
        return done;
    }
    return json_object_set_new(into, "kinds", list) == 0;
}

/* The worst of both: that the same instant was the same is as sure as that. */
static void merge_clock(json_t *into, const json_t *from)
{
    json_t *env = json_object_get(into, "env");
    json_t *clock = json_object_get(env, "clock");
    const json_t *other =
        json_object_get(json_object_get(from, "env"), "clock");

    if (!json_is_object(clock) || !json_is_object(other)) {
        json_object_set_new(env, "clock", json_null());
        return;
    }
    keep_greater(clock, other, "estimated_error_ns");
    keep_greater(clock, other, "greatest_error_ns");
    if (json_is_false(json_object_get(other, "synchronised"))) {
        json_object_set_new(clock, "synchronised", json_false());
    }
}

json_t *saved_merge_objects(const struct saved *one, const struct saved *other)
{
    json_t *into = json_deep_copy(one->object);
    const json_t *from = other->object;
    json_t *parts = saved_parts_list(one);
    json_t *others = saved_parts_list(other);

    if (!into || !parts || !others || !merge_times(into, one, other) ||
        !merge_rows(into, from) || !merge_kinds(into, one, other)) {
        json_decref(into);
        json_decref(parts);
        json_decref(others);
        return NULL;
    }
    json_array_extend(parts, others);
    json_decref(others);
    json_object_set_new(into, "parts", parts);
    merge_parts(into, from);
    add_numbers(json_object_get(into, "status"),
                json_object_get(from, "status"));
    add_number(json_object_get(into, "tls"), json_object_get(from, "tls"),
               "per_second");
    json_object_set_new(into, "part", json_null());
    keep_greater(into, from, "duration_ns");
    const json_t *stall = json_object_get(from, "stall");
    if (json_number_value(json_object_get(stall, "longest_ns")) >
        json_number_value(
            json_object_get(json_object_get(into, "stall"), "longest_ns"))) {
        json_object_set_new(into, "stall", json_deep_copy(stall));
    }
    merge_errors(into, from);
    merge_client(into, from);
    merge_verdict(into, one->object, from);
    merge_clock(into, from);
    return into;
}
