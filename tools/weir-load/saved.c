/*
 * jansson takes the text apart and says what is missing; here the numbers are
 * looked at, and histograms are unpacked. Nothing is believed of a file: it may
 * come from anywhere.
 */
#include "saved.h"

#include "exits.h"
#include "fields.h"
#include "hdr.h"
#include "json.h"
#include "json_part.h"
#include "saved_merge.h"
#include "saved_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1000000U

/* The prefix of a line may have so many braces. */
#define LINE_TRIES_MAX 8U

__attribute__((format(printf, 3, 4))) static int
refuse(char *why, const char *name, const char *format, ...)
{
    char reason[SAVED_WHY_SIZE / 2];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    snprintf(why, SAVED_WHY_SIZE, "%.120s: %s", name, reason);
    return -EINVAL;
}

static int refuse_memory(char *why)
{
    snprintf(why, SAVED_WHY_SIZE, "no memory");
    return -ENOMEM;
}

static bool read_rate(const json_t *object, const char *name, double *ret)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_number(value) || json_number_value(value) < 0) {
        return false;
    }
    *ret = json_number_value(value);
    return true;
}

/* The fields of a struct. A latency that is null is 0. */
static bool read_fields(const struct field *fields, const json_t *object,
                        void *to)
{
    for (; fields->name; fields++) {
        uint64_t *value = (uint64_t *)((char *)to + fields->offset);
        const json_t *number = json_object_get(object, fields->name);
        *value = 0;
        if ((number || !fields->is_optional) &&
            (fields->unit != FIELD_LATENCY || !json_is_null(number)) &&
            !json_read_count(object, fields->name, value)) {
            return false;
        }
    }
    return true;
}

static bool read_errors(const json_t *row, struct saved_row *ret)
{
    const char *kind = NULL;
    json_t *count = NULL;

    ret->errors = json_object_get(row, "errors");
    if (ret->errors && !json_is_object(ret->errors)) {
        return false;
    }
    json_object_foreach((json_t *)ret->errors, kind, count)
    {
        if (!json_is_integer(count) || json_integer_value(count) < 0) {
            return false;
        }
    }
    return true;
}

/* The histogram is looked at now, so that a plot finds none that is broken. */
static int read_row(const json_t *row, struct histogram *scratch,
                    struct saved_row *ret)
{
    ret->hdr = json_object_get(row, "hdr");
    if (!read_fields(fields_interval, row, &ret->counts) ||
        ret->counts.begin_ns >= ret->counts.end_ns || !read_errors(row, ret)) {
        return -EINVAL;
    }
    if (!ret->hdr || json_is_null(ret->hdr)) {
        return 0;
    }
    const char *text = json_string_value(ret->hdr);
    return text ? hdr_decode(text, scratch) : -EINVAL;
}

static int read_rows(struct saved *saved, char *why)
{
    const json_t *list = json_object_get(saved->object, "intervals");
    size_t count = json_array_size(list);

    if (!json_is_array(list) || count > ROWS_MAX) {
        return refuse(why, saved->name, "'intervals' is no list of intervals");
    }
    saved->rows = calloc(count + 1, sizeof(*saved->rows));
    struct histogram *scratch = malloc(sizeof(*scratch));
    int err = saved->rows && scratch ? 0 : -ENOMEM;
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = read_row(json_array_get(list, i), scratch, &saved->rows[i]);
        saved->row_count += err == 0;
    }
    free(scratch);
    if (err == 0) {
        return 0;
    }
    return err == -ENOMEM ? refuse_memory(why)
                          : refuse(why, saved->name, "interval %zu is none",
                                   saved->row_count);
}

static int read_times(struct saved *saved, char *why)
{
    const json_t *latency = json_object_get(saved->object, "latency");

    for (size_t i = 0; i < SLO_TIMES_COUNT; i++) {
        const json_t *part = json_object_get(latency, fields_times[i].name);
        if ((!part && fields_times[i].is_optional) ||
            (json_is_null(part) && !fields_times[i].is_always)) {
            continue;
        }
        saved->times[i] = malloc(sizeof(*saved->times[i]));
        if (!saved->times[i]) {
            return refuse_memory(why);
        }
        int err = json_histogram_read(part, saved->times[i]);
        if (err < 0) {
            return err == -ENOMEM
                       ? refuse_memory(why)
                       : refuse(why, saved->name, "the histogram of %s is none",
                                fields_times[i].name);
        }
    }
    return 0;
}

static int read_kind(const json_t *part, struct saved_kind *ret)
{
    ret->name = json_string_value(json_object_get(part, "name"));
    ret->status = json_object_get(part, "status");
    if (!ret->name || !json_is_object(ret->status) ||
        !read_fields(fields_kind, part, &ret->counts)) {
        return -EINVAL;
    }
    if (!json_object_get(part, "completed")) {
        ret->counts.completed = ret->counts.ok; /* of an earlier version */
    }
    return json_histogram_read(json_object_get(part, "latency"), &ret->latency);
}

static int read_kinds(struct saved *saved, char *why)
{
    const json_t *list = json_object_get(saved->object, "kinds");
    const size_t count = json_array_size(list);
    int err = 0;

    if (!list || json_is_null(list)) {
        return 0;
    }
    if (!json_is_array(list) || count > SAVED_KINDS_MAX) {
        return refuse(why, saved->name, "'kinds' is no list of kinds");
    }
    saved->kinds = calloc(count + 1, sizeof(*saved->kinds));
    if (!saved->kinds) {
        return refuse_memory(why);
    }
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = read_kind(json_array_get(list, i), &saved->kinds[i]);
        saved->kind_count += err == 0;
    }
    if (err == 0) {
        return 0;
    }
    return err == -ENOMEM
               ? refuse_memory(why)
               : refuse(why, saved->name, "kind %zu of requests is none",
                        saved->kind_count);
}

/* Results of earlier versions have no summary. */
static bool read_attempts(struct saved *saved)
{
    const json_t *summary = json_object_get(saved->object, "summary");
    const struct ledger *requests = &saved->requests;

    if (summary) {
        return json_read_count(summary, "attempts", &saved->attempts) &&
               json_read_count(summary, "errors", &saved->errors);
    }
    saved->errors = requests->failed + requests->timeout;
    saved->attempts = requests->scheduled > requests->dropped
                          ? requests->scheduled - requests->dropped
                          : 0;
    return true;
}

static bool read_requests(struct saved *saved)
{
    const json_t *requests = json_object_get(saved->object, "requests");
    const json_t *rate = json_object_get(saved->object, "rate");

    saved->offered_rate = 0;
    return read_fields(fields_ledger, requests, &saved->requests) &&
           read_attempts(saved) &&
           read_rate(rate, "achieved", &saved->achieved_rate) &&
           (!saved->is_open ||
            read_rate(rate, "offered", &saved->offered_rate));
}

static bool is_exit_code(int code)
{
    switch ((enum load_exit)code) {
    case LOAD_OK:
    case LOAD_NOTHING:
    case LOAD_ERRORS:
    case LOAD_INVALID:
    case LOAD_SLO:
    case LOAD_INTERRUPTED:
        return true;
    default:
        return false;
    }
}

/* From the object to what stands beside it. */
static int read_object(struct saved *saved, char *why)
{
    const char *schema = NULL;
    const char *kind = NULL;
    json_error_t error;

    if (json_unpack_ex(saved->object, &error, 0,
                       "{s:s, s:s, s:s, s:i, s:{s:s}}", "schema", &schema,
                       "config_hash", &saved->config_hash, "verdict",
                       &saved->verdict, "exit_code", &saved->exit_code, "model",
                       "kind", &kind) < 0) {
        return refuse(why, saved->name, "not a result of weir-load (%s)",
                      error.text);
    }
    if (strcmp(schema, JSON_SCHEMA) != 0) {
        return refuse(why, saved->name, "its schema is %.40s and not %s",
                      schema, JSON_SCHEMA);
    }
    if (!is_exit_code(saved->exit_code)) {
        return refuse(why, saved->name, "no run ends with exit_code %d",
                      saved->exit_code);
    }
    saved->is_open = strcmp(kind, "open") == 0;
    if (!json_read_count(saved->object, "start_unix_ns", &saved->start_ns)) {
        saved->start_ns = 0;
    }
    if (!json_read_count(saved->object, "duration_ns", &saved->duration_ns) ||
        !read_requests(saved)) {
        return refuse(why, saved->name,
                      "requests, rates or duration_ns are "
                      "not those of a result");
    }
    int err = read_times(saved, why);
    if (err == 0) {
        err = read_kinds(saved, why);
    }
    return err < 0 ? err : read_rows(saved, why);
}

/* The object is taken. */
static int fill(json_t *object, const char *name, struct saved *ret, char *why)
{
    struct saved saved = {.object = object, .name = strdup(name)};

    int err = saved.name ? read_object(&saved, why) : refuse_memory(why);
    if (err < 0) {
        saved_fini(&saved);
        return err;
    }
    *ret = saved;
    return 0;
}

int saved_parse(const char *text, size_t len, const char *name,
                struct saved *ret, char *why)
{
    json_error_t error;

    json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!object) {
        return refuse(why, name, "line %d: %s", error.line, error.text);
    }
    return fill(object, name, ret, why);
}

static char *read_all(FILE *file, const char *path, size_t *ret_len, char *why)
{
    char *text = NULL;
    size_t len = 0;
    size_t size = 0;

    while (!feof(file) && !ferror(file) && len < JSON_SIZE_MAX) {
        if (len == size) {
            size = size ? size * 2 : 65536;
            char *more = realloc(text, size);
            if (!more) {
                break;
            }
            text = more;
        }
        len += fread(text + len, 1, size - len, file);
    }
    if (!text && feof(file)) {
        refuse(why, path, "there is nothing to read");
    } else if (!feof(file)) {
        refuse(why, path, "%s",
               ferror(file)           ? "it cannot be read"
               : len >= JSON_SIZE_MAX ? "it is larger than 128M"
                                      : "no memory");
        free(text);
        text = NULL;
    }
    *ret_len = len;
    return text;
}

static char *read_file(const char *path, size_t *ret_len, char *why)
{
    FILE *file = fopen(path, "re");

    if (!file) {
        refuse(why, path, "%s", strerror(errno));
        return NULL;
    }
    char *text = read_all(file, path, ret_len, why);
    fclose(file);
    return text;
}

static int read_one(const char *path, struct saved *ret, char *why)
{
    size_t len = 0;

    char *text = read_file(path, &len, why);
    if (!text) {
        return -EINVAL;
    }
    int err = saved_parse(text, len, path, ret, why);
    free(text);
    return err;
}

/* ---- several results, made one ---- */

struct file_reading {
    /* Without an object: nothing was read yet. */
    struct saved whole;
    bool force;
};

/* Add a result, which is taken. */
static int add(struct file_reading *reading, struct saved *part, char *why)
{
    struct saved *whole = &reading->whole;

    if (!whole->object) {
        *whole = *part;
        return 0;
    }
    int err = reading->force ? 0 : saved_parts_check(whole, part, why);
    if (err == 0) {
        err = saved_merge(whole, part, why);
    }
    saved_fini(part);
    return err;
}

/* Other programs write lines of JSON, too. */
static bool is_of_ours(const json_t *object)
{
    const char *schema = json_string_value(json_object_get(object, "schema"));

    return schema && strncmp(schema, "weir-load/", 10) == 0;
}

/* The result in a line: behind any prefix, as it is or as the data of the last
 * event of --json-stream. NULL: there is none. */
static json_t *find_result(const char *line, size_t len)
{
    const char *brace = memchr(line, '{', len);
    json_error_t error;

    for (unsigned tries = 0; brace && tries < LINE_TRIES_MAX; tries++) {
        json_t *object = json_loadb(brace, len - (size_t)(brace - line),
                                    JSON_REJECT_DUPLICATES, &error);
        json_t *data = json_object_get(object, "data");
        if (is_of_ours(object)) {
            return object;
        }
        if (is_of_ours(data) && json_object_get(data, "verdict")) {
            json_incref(data);
            json_decref(object);
            return data;
        }
        json_decref(object);
        const size_t rest = len - (size_t)(brace + 1 - line);
        brace = object ? NULL : memchr(brace + 1, '{', rest);
    }
    return NULL;
}

static int read_line(struct file_reading *reading, const char *line, size_t len,
                     size_t number, char *why)
{
    char name[64];
    struct saved part;

    json_t *object = find_result(line, len);
    if (!object) {
        return 0;
    }
    snprintf(name, sizeof(name), "standard input, line %zu", number);
    int err = fill(object, name, &part, why);
    return err < 0 ? err : add(reading, &part, why);
}

static int read_lines(struct file_reading *reading, const char *text,
                      size_t len, char *why)
{
    const char *end = text + len;
    const bool had_any = reading->whole.object != NULL;
    int err = 0;

    for (size_t number = 1; text < end && err == 0; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const size_t size = (size_t)((newline ? newline : end) - text);
        err = read_line(reading, text, size, number, why);
        text += size + 1;
    }
    return err < 0 || had_any || reading->whole.object
               ? err
               : refuse(why, "standard input", "no line of it has a result");
}

static int read_input(struct file_reading *reading, char *why)
{
    struct saved part;
    size_t len = 0;

    char *text = read_all(stdin, "standard input", &len, why);
    if (!text) {
        return -EINVAL;
    }
    json_t *whole = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    int err = 0;
    if (is_of_ours(whole)) {
        err = fill(json_incref(whole), "standard input", &part, why);
        err = err < 0 ? err : add(reading, &part, why);
    } else {
        err = read_lines(reading, text, len, why);
    }
    json_decref(whole);
    free(text);
    return err;
}

static int read_path(struct file_reading *reading, const char *path, char *why)
{
    struct saved part;

    if (strcmp(path, "-") == 0) {
        return read_input(reading, why);
    }
    int err = read_one(path, &part, why);
    return err < 0 ? err : add(reading, &part, why);
}

int saved_read(const char *paths, bool force, struct saved *ret, char *why)
{
    struct file_reading reading = {.force = force};
    int err = 0;

    char *list = strdup(paths);
    if (!list) {
        return refuse_memory(why);
    }
    char *rest = list;
    for (char *path = strsep(&rest, ","); path && err == 0;
         path = strsep(&rest, ",")) {
        err = read_path(&reading, path, why);
    }
    free(list);
    if (err == 0 && !force) {
        err = saved_parts_check_all(&reading.whole, why);
    }
    if (err < 0) {
        saved_fini(&reading.whole);
        return err;
    }
    *ret = reading.whole;
    return 0;
}

/* The verdict and the summary of what was merged of both; 0 or -ENOMEM. */
static int summarize(struct saved *merged, const struct saved *one,
                     const struct saved *other)
{
    struct summary summary;

    merged->attempts = one->attempts + other->attempts;
    merged->errors = one->errors + other->errors;
    saved_parts_judge(merged);
    saved_get_summary(merged, &summary);
    return json_object_set_new(merged->object, "summary",
                               summary_json(&summary)) < 0
               ? -ENOMEM
               : 0;
}

int saved_merge(struct saved *into, const struct saved *from, char *why)
{
    struct saved merged;
    char name[SAVED_WHY_SIZE];

    if (into->is_open != from->is_open) {
        return refuse(why, from->name,
                      "an open and a closed loop are no parts of one run");
    }
    json_t *object = saved_merge_objects(into, from);
    if (!object) {
        return refuse_memory(why);
    }
    json_object_del(object, "summary");
    snprintf(name, sizeof(name), "%.150s,%.150s", into->name, from->name);
    int err = fill(object, name, &merged, why);
    if (err < 0) {
        return err;
    }
    err = summarize(&merged, into, from);
    saved_fini(err < 0 ? &merged : into);
    if (err < 0) {
        return refuse_memory(why);
    }
    *into = merged;
    return 0;
}

const struct histogram *saved_latency(const struct saved *saved)
{
    const struct histogram *response = saved->times[SLO_RESPONSE];

    return response ? response : saved->times[SLO_SERVICE];
}

void saved_get_summary(const struct saved *saved, struct summary *ret)
{
    *ret = (struct summary){
        .verdict = saved->verdict,
        .rate = saved->achieved_rate,
        .attempts = saved->attempts,
        .errors = saved->errors,
        .latency = saved_latency(saved),
    };
}

static uint64_t count_statuses(const void *answers, unsigned first,
                               unsigned last)
{
    const char *name = NULL;
    json_t *count = NULL;
    uint64_t sum = 0;

    json_object_foreach((json_t *)answers, name, count)
    {
        const unsigned long status = strtoul(name, NULL, 10);
        if (status >= first && status <= last) {
            sum += (uint64_t)json_integer_value(count);
        }
    }
    return sum;
}

static bool find_kind(const void *owner, const char *name,
                      struct slo_facts *ret)
{
    const struct saved *saved = owner;
    const double seconds = (double)saved->duration_ns / 1e9;
    size_t place = 0;

    while (place < saved->kind_count &&
           strcmp(saved->kinds[place].name, name) != 0) {
        place++;
    }
    if (place == saved->kind_count) {
        return false;
    }
    const struct saved_kind *kind = &saved->kinds[place];
    *ret = (struct slo_facts){
        .times = {[SLO_RESPONSE] = &kind->latency},
        .offered = kinds_requests(&kind->counts),
        .errors = kind->counts.failed + kind->counts.timeout,
        .timeouts = kind->counts.timeout,
        .rate = seconds > 0 ? (double)kind->counts.completed / seconds : 0,
        .count_statuses = count_statuses,
        .answers = kind->status,
    };
    return true;
}

void saved_get_facts(const struct saved *saved, struct slo_facts *ret)
{
    const struct ledger *requests = &saved->requests;

    *ret = (struct slo_facts){
        .offered = requests->scheduled,
        .errors = saved->errors,
        .timeouts = requests->timeout,
        .dropped = requests->dropped,
        .rate = saved->achieved_rate,
        .offered_rate = saved->offered_rate,
        .answers = json_object_get(saved->object, "status"),
        .find_kind = find_kind,
        .owner = saved,
    };
    const char *mode = json_string_value(
        json_object_get(json_object_get(saved->object, "config"), "mode"));
    ret->count_statuses =
        mode && strcmp(mode, "http") == 0 ? count_statuses : NULL;
    for (size_t i = 0; i < SLO_TIMES_COUNT; i++) {
        ret->times[i] = saved->times[i];
    }
    ret->times[SLO_RESPONSE] = saved_latency(saved);
}

int saved_write(const struct saved *saved, const char *directory,
                const char *name, char *why)
{
    char path[4096];

    if (snprintf(path, sizeof(path), "%s/%s.json", directory, name) >=
        (int)sizeof(path)) {
        return refuse(why, directory, "the path is too long");
    }
    FILE *file = fopen(path, "we");
    if (!file) {
        return refuse(why, path, "%s", strerror(errno));
    }
    int err = json_write_object(json_incref(saved->object), true, file);
    if (fclose(file) != 0 && err == 0) {
        err = -errno;
    }
    return err < 0 ? refuse(why, path, "%s", strerror(-err)) : 0;
}

void saved_fini(struct saved *saved)
{
    for (size_t i = 0; i < SLO_TIMES_COUNT; i++) {
        free(saved->times[i]);
    }
    free(saved->rows);
    free(saved->kinds);
    free(saved->name);
    json_decref(saved->object);
    *saved = (struct saved){0};
}
