/*
 * Builds the JSON with jansson. A percentile of too few values is null,
 * so that it is not read as zero. Each _part() function makes one
 * member.
 */
#include "tools/weir-load/base/base.h"
#include "writers.h"

#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/result/result.h"

#include "weir/base.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Results are archived and must stay small enough to be read again. A large
 * result consists mostly of rows, each with numbers, errors and a coarse
 * histogram. The rest has full histograms of all times, and one for each kind
 * of request. A full histogram of ten bytes for each bucket, in base64, and its
 * percentiles have less than 0x80000 bytes. */
#define ROW_SIZE_MAX (HDR_COARSE_SIZE + (ERRORS_KINDS + 1U) * 80U + 1000U)
#define RESULT_SIZE_MAX                                                        \
    (RESULT_ROWS_MAX * ROW_SIZE_MAX +                                          \
     0x80000U * ((unsigned)SLO_TIMES_COUNT + KINDS_MAX))
_Static_assert(RESULT_SIZE_MAX <= JSON_SIZE_MAX,
               "what a run writes must be read again");

#define NS_PER_MS 1e6

/* Merges two objects and frees @more. If either is NULL, frees both and returns
 * NULL. */
static json_t *join(json_t *part, json_t *more)
{
    const bool is_done = part && more && json_object_update(part, more) == 0;

    json_decref(more);
    if (!is_done) {
        json_decref(part);
        return NULL;
    }
    return part;
}

static json_t *lines_part(const char *text)
{
    json_t *lines = json_array();

    while (*text) {
        size_t len = strcspn(text, "\n");
        json_array_append_new(lines, json_text(text, len));
        text += len + (text[len] == '\n');
    }
    return lines;
}

/* Returns null for an empty list, as without --server-cpu. */
static json_t *cpus_part(const struct cpus *cpus)
{
    json_t *list = cpus->count > 0 ? json_array() : json_null();

    for (size_t i = 0; i < cpus->count; i++) {
        json_array_append_new(list, json_integer(cpus->list[i]));
    }
    return list;
}

static json_t *env_part(const struct result *result)
{
    const struct host *host = &result->host;
    json_t *clock = json_null(); /* the kernel does not report its error */

    if (host->clock_greatest_error_ns > 0) {
        clock = json_pack("{s:b, s:I, s:I}", "synchronised",
                          host->clock_is_synchronised, "estimated_error_ns",
                          json_integer_of(host->clock_estimated_error_ns),
                          "greatest_error_ns",
                          json_integer_of(host->clock_greatest_error_ns));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:b, s:o, s:o}",
        "weir", weir_version(), "host", host->name, "kernel", host->kernel,
        "machine", host->machine, "cpu_model", host->cpu_model, "governor",
        host->governor, "cpus", (json_int_t)host->cpu_count, "cpus_allowed",
        (json_int_t)host->cpus_allowed, "client_cpus",
        cpus_part(&result->options->client_cpus), "server_cpus",
        cpus_part(&result->options->server_cpus), "same_machine",
        result->same_machine, "io_uring", lines_part(result->features), "clock",
        clock);
}

static void write_fields(const struct field *fields, const void *from,
                         json_t *into)
{
    for (; fields->name; fields++) {
        const uint64_t value = fields_get(fields, from);
        json_object_set_new(into, fields->name,
                            fields->unit == FIELD_LATENCY && value == 0
                                ? json_null()
                                : json_integer(json_integer_of(value)));
    }
}

/* Adds the fields of all parts. Missing objects are added, and an object that
 * is null stays null. */
static void write_parts(const struct result *result, json_t *into)
{
    for (const struct fields_part *part = fields_parts; part->fields; part++) {
        json_t *object = into;
        if (part->object) {
            object = json_object_get(into, part->object);
        }
        if (!object) {
            object = json_object();
            json_object_set_new(into, part->object, object);
        }
        write_fields(part->fields, (const char *)result + part->offset, object);
    }
}

/* Returns null if no target uses TLS. Without a connection, version, cipher,
 * group and alpn are null. */
static json_t *tls_part(const struct result *result)
{
    const struct tls_facts *tls = &result->tls;
    const double window_ns = (double)result->window_ns;

    if (!tls_is_meant(result->options->targets,
                      result->options->target_count)) {
        return json_null();
    }
    return json_pack(
        "{s:i, s:f, s:o, s:o, s:o, s:o}", "in_window", 0, "per_second",
        window_ns > 0 ? (double)tls->in_window * 1e9 / window_ns : 0, "version",
        json_text_or_null(tls->version[0] ? tls->version : NULL), "cipher",
        json_text_or_null(tls->cipher[0] ? tls->cipher : NULL), "group",
        json_text_or_null(tls->group[0] ? tls->group : NULL), "alpn",
        json_text_or_null(tls->alpn[0] ? tls->alpn : NULL));
}

static json_t *rate_part(const struct result *result)
{
    double cpu_ns = (double)(result->usage.user_ns + result->usage.system_ns);
    double window_ns = (double)result->window_ns;
    double completed = (double)result->completed;

    return json_pack(
        "{s:I, s:o, s:f, s:f}", "completed", json_integer_of(result->completed),
        "offered",
        result->model == RUN_MODEL_CLOSED ? json_null()
                                          : json_real(result->offered_rate),
        "achieved", window_ns > 0 ? completed * 1e9 / window_ns : 0,
        "per_client_cpu_second", cpu_ns > 0 ? completed * 1e9 / cpu_ns : 0);
}

static json_t *latency_part(const struct result *result)
{
    json_t *part = json_object();

    for (size_t i = 0; i < SLO_TIMES_COUNT; i++) {
        const struct histogram *h = fields_times_in(result, (enum slo_times)i);
        json_object_set_new(part, fields_times[i].name,
                            fields_times[i].is_always
                                ? json_histogram(h)
                                : json_histogram_or_null(h));
    }
    return part;
}

static json_t *status_part(const uint64_t status[TRAFFIC_STATUS_COUNT])
{
    json_t *counts = json_object();
    char name[8];

    for (unsigned i = 1; i < TRAFFIC_STATUS_COUNT; i++) {
        if (status[i] > 0) {
            snprintf(name, sizeof(name), "%u", i);
            json_object_set_new(counts, name,
                                json_integer(json_integer_of(status[i])));
        }
    }
    return counts;
}

/* Returns null if kinds are not counted. */
static json_t *kinds_part(const struct result *result)
{
    const struct kinds *groups = result->options->groups;
    json_t *list = result->kinds ? json_array() : json_null();

    for (size_t i = 0; result->kinds && i < groups->count; i++) {
        const struct kind_record *kind = &result->kinds[i];
        json_t *part =
            json_pack("{s:o}", "name", json_text_or_null(groups->names[i]));
        write_fields(fields_kind, &kind->counts, part);
        list = json_appended(
            list, join(part, json_pack("{s:o, s:o}", "status",
                                       status_part(kind->status), "latency",
                                       json_histogram(&kind->latency))));
    }
    return list;
}

static json_t *errors_part(const struct error_table *errors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errors->kind_count; i++) {
        const struct error_kind *kind = &errors->kinds[i];
        json_t *part = json_pack("{s:s, s:s, s:s, s:o}", "phase",
                                 error_phase_name(kind->phase), "code",
                                 error_code_name(kind->code), "text",
                                 error_code_text(kind->code), "first",
                                 json_text_or_null(kind->detail));
        write_fields(fields_error, kind, part);
        list = json_appended(list, part);
    }
    return list;
}

static json_t *errors_of_row(const struct error_counts *errors)
{
    json_t *counts = json_object();
    char name[80];

    for (size_t i = 0; i < errors->kind_count; i++) {
        const struct error_count *kind = &errors->kinds[i];
        snprintf(name, sizeof(name), "%s %s", error_phase_name(kind->phase),
                 error_code_name(kind->code));
        json_object_set_new(counts, name,
                            json_integer(json_integer_of(kind->count)));
    }
    if (errors->other_count > 0) {
        json_object_set_new(counts, "other kinds",
                            json_integer(json_integer_of(errors->other_count)));
    }
    return counts;
}

json_t *json_row(const struct result_row *row)
{
    json_t *part = json_object();

    write_fields(fields_interval, &row->counts, part);
    /* If memory ran out, the member is left out. Without an answer it is
     * null. */
    return join(part, json_pack("{s:o*, s:o}", "hdr",
                                row->hdr                 ? json_string(row->hdr)
                                : row->counts.max_ns > 0 ? NULL
                                                         : json_null(),
                                "errors", errors_of_row(&row->errors)));
}

static json_t *rows_part(const struct result *result)
{
    json_t *list = json_array();

    for (size_t i = 0; i < result->row_count; i++) {
        list = json_appended(list, json_row(&result->rows[i]));
    }
    return list;
}

static json_t *slo_part(const struct result *result)
{
    const struct slo *slo = &result->options->slo;
    const bool is_part = result->options->part.count > 1;
    json_t *list = json_array();

    for (size_t i = 0; i < slo->count; i++) {
        const struct slo_outcome *outcome = &result->slo[i];
        list = json_appended(
            list,
            json_pack("{s:o, s:o, s:o}", "expr",
                      json_text_or_null(slo->terms[i].text), "value",
                      outcome->known ? json_real(outcome->value) : json_null(),
                      "pass",
                      is_part ? json_null() : json_boolean(outcome->passed)));
    }
    return list;
}

static json_t *threads_part(const struct result *result)
{
    json_t *list = json_array();

    for (size_t i = 0; i < result->thread_count; i++) {
        const struct result_thread *thread = &result->threads[i];
        const struct sharing *sharing = &thread->sharing;
        json_t *cpus = NULL; /* unknown: the member is left out */
        if (sharing->cpu_count > 0) {
            cpus = json_pack("{s:I, s:f, s:f, s:f}", "count",
                             json_integer_of(sharing->cpu_count), "idle",
                             sharing->idle, "others", sharing->others, "stolen",
                             sharing->stolen);
        }
        json_t *part = json_pack("{s:o}", "cpu",
                                 thread->cpu < 0 ? json_null()
                                                 : json_integer(thread->cpu));
        write_fields(fields_thread, thread, part);
        list =
            json_appended(list, join(part, json_pack("{s:o*}", "cpus", cpus)));
    }
    return list;
}

static json_t *remarks_part(const struct remarks *remarks)
{
    json_t *list = json_array();

    for (size_t i = 0; i < remarks->count; i++) {
        json_array_append_new(list, json_text_or_null(remarks->lines[i]));
    }
    return list;
}

static json_t *labels_part(const struct run_options *options)
{
    json_t *labels = json_object();

    for (size_t i = 0; i < options->label_count; i++) {
        const char *label = options->labels[i];
        const char *value = strchr(label, '=') + 1;
        char *name = strndup(label, (size_t)(value - label) - 1);
        if (name) {
            json_object_set_new(labels, name, json_text_or_null(value));
        }
        free(name);
    }
    return labels;
}

static json_t *start_part(uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / 1000000000);
    struct tm parts;
    char text[40];

    if (wall_ns == 0 || !gmtime_r(&seconds, &parts) ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        return json_null();
    }
    return json_string(text);
}

json_t *json_begin(const struct result *result)
{
    const struct run_options *options = result->options;
    const char *arrival = options_arrival_name(result->model);

    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, "
        "s:o}",
        "schema", JSON_SCHEMA, "tool", "weir-load", "command",
        json_command(options), "config", json_config(options), "config_hash",
        json_config_hash(options), "env", env_part(result), "labels",
        labels_part(options), "start", start_part(result->wall_begin_ns),
        "start_unix_ns", json_integer_of(result->wall_begin_ns), "duration_ns",
        json_integer_of(result->window_ns), "part",
        options->part.count == 1
            ? json_null()
            : json_pack("{s:i, s:i}", "index", (int)options->part.index + 1,
                        "count", (int)options->part.count),
        "model",
        json_pack("{s:s, s:o}", "kind", arrival ? "open" : "closed", "arrival",
                  json_text_or_null(arrival)));
}

struct summary_figure {
    const char *name; /* NULL at the end */
    /* in the unit of histogram.h; HISTOGRAM_WHOLE is the maximum, 0 the mean */
    uint32_t share;
};

static const struct summary_figure summary_figures[] = {
    {"mean", 0},    {"p50", 50000},   {"p90", 90000},           {"p95", 95000},
    {"p99", 99000}, {"p99_9", 99900}, {"max", HISTOGRAM_WHOLE}, {NULL, 0},
};

/* Returns false if the figure is unknown. */
static bool find_figure(const struct histogram *h,
                        const struct summary_figure *figure, double *ret_ns)
{
    if (figure->share == 0) {
        *ret_ns = histogram_mean(h);
    } else if (figure->share == HISTOGRAM_WHOLE) {
        *ret_ns = (double)h->max;
    } else {
        *ret_ns = (double)histogram_quantile(h, figure->share);
        return histogram_can_tell(h, figure->share);
    }
    return h->count > 0;
}

/* An unknown latency or share is null, never 0, so that a run without answers
 * does not pass a check of its limits. */
static json_t *summary_part(const struct result *result)
{
    const double window_ns = (double)result->window_ns;
    const uint64_t attempts = verdict_attempt_count(result);
    const uint64_t errors = verdict_error_count(result);
    json_t *part = json_pack(
        "{s:s, s:f, s:I, s:I, s:o}", "verdict", verdict_word(result), "rate",
        window_ns > 0 ? (double)result->completed * 1e9 / window_ns : 0,
        "attempts", json_integer_of(attempts), "errors",
        json_integer_of(errors), "error_share",
        attempts > 0 ? json_real((double)errors / (double)attempts)
                     : json_null());

    for (const struct summary_figure *figure = summary_figures; figure->name;
         figure++) {
        double ns = 0;
        const bool is_known =
            find_figure(record_times(&result->times), figure, &ns);
        json_object_set_new(part, figure->name,
                            is_known ? json_real(ns / NS_PER_MS) : json_null());
    }
    return part;
}

/* People read the members in this order. */
static json_t *counts_part(const struct result *result)
{
    return json_pack(
        "{s:{}, s:{}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{}, s:{}}",
        "requests", "warmup", "datagrams",
        result->options->targets[0].is_datagram ? json_object() : json_null(),
        "http2",
        options_may_speak_http2(result->options) ? json_object() : json_null(),
        "tls", tls_part(result), "rate", rate_part(result), "latency",
        latency_part(result), "status", status_part(result->status), "kinds",
        kinds_part(result), "errors", errors_part(&result->errors),
        "connections", "bytes");
}

json_t *json_result(const struct result *result)
{
    json_t *object = join(
        json_begin(result),
        json_pack("{s:o, s:b, s:s, s:i, s:o, s:o, s:o}", "summary",
                  summary_part(result), "valid", result->exit == LOAD_OK,
                  "verdict", verdict_word(result), "exit_code",
                  (int)result->exit, "invalid_reasons",
                  remarks_part(&result->invalid), "warnings",
                  remarks_part(&result->warnings), "slo", slo_part(result)));

    object = join(object, counts_part(result));
    object =
        join(object,
             json_pack("{s:{s:I, s:I}, s:o, s:o}", "stall", "longest_ns",
                       json_integer_of(result->stall_ns), "at_ns",
                       json_integer_of(result->stall_at_ns), "intervals",
                       rows_part(result), "client",
                       json_pack("{s:f, s:o}", "cpu", verdict_cpu_share(result),
                                 "threads", threads_part(result))));
    if (object) {
        write_parts(result, object);
    }
    return object;
}

int json_write(const struct result *result, FILE *out)
{
    return json_write_object(json_result(result), true, out);
}

void json_write_event(const char *name, json_t *data, FILE *out)
{
    /* Errors are reported when standard output is closed. */
    (void)json_write_object(
        json_pack("{s:s, s:o}", "event", name, "data", data), false, out);
}
