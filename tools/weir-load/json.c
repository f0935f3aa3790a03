/*
 * Built with jansson from parts, one function for each member of the object.
 * A part that could not be made is NULL, and jansson passes that up to the
 * whole, which is looked at once.
 *
 * Numbers are integers or finite reals; a percentile that too few values
 * support is null, so that no reader takes it for zero.
 */
#include "json.h"
#include "exits.h"

#include "hdr.h"
#include "verdict.h"

#include "weir/base.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name;
    uint32_t share;
} percentiles[] = {
    {"50", 50000}, {"75", 75000},   {"90", 90000},    {"95", 95000},
    {"99", 99000}, {"99.9", 99900}, {"99.99", 99990}, {"99.999", 99999},
};

#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

/* JSON integers are signed here; no count of a run comes near the limit. */
static json_int_t integer(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

/* A text that is no UTF-8 would spoil the whole object. */
static json_t *text_part(const char *text, size_t len)
{
    json_t *part = json_stringn(text, len);

    return part ? part : json_string("?");
}

/* A text of the command line, or null where it was not given. */
static json_t *given_part(const char *text)
{
    return text ? text_part(text, strlen(text)) : json_null();
}

/* null where no target has TLS. */
static json_t *tls_config_part(const struct run_options *options)
{
    const struct tls_flags *flags = &options->tls;

    if (!tls_is_meant(options->targets, options->target_count)) {
        return json_null();
    }
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:f}",
                     "insecure", flags->options.no_verify, "ca",
                     given_part(flags->options.authorities.file), "crl",
                     given_part(flags->options.revocations.file), "certificate",
                     given_part(flags->identities[0].certificate.file), "sni",
                     given_part(flags->sni), "alpn",
                     given_part(flags->options.alpn), "min",
                     tls_version_name(flags->options.min_version), "max",
                     tls_version_name(flags->options.max_version), "resume",
                     (double)flags->resume_share / TLS_RESUME_ALL);
}

static json_t *config_part(const struct run_options *options)
{
    json_t *targets = json_array();

    for (size_t i = 0; i < options->target_count; i++) {
        json_array_append_new(targets, json_string(options->targets[i].text));
    }
    return json_pack(
        "{s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:b, "
        "s:I}",
        "targets", targets, "mode",
        options->mode == RUN_MODE_CRR ? "crr" : "echo", "tls",
        tls_config_part(options), "connections", integer(options->conn_count),
        "depth", integer(options->depth), "send_bytes",
        integer(options->size_bytes), "duration_ns",
        integer(options->duration_ns), "requests",
        integer(options->request_count), "warmup_ns",
        integer(options->warmup_ns), "interval_ns",
        integer(options->interval_ns), "timeout_ns",
        integer(options->timeout_ns), "connect_timeout_ns",
        integer(options->connect_timeout_ns), "max_errors",
        integer(options->max_errors), "max_errors_in_millionths",
        options->max_errors_is_share, "seed", integer(options->seed));
}

/* FNV-1a over the configuration without the seed: equal when two runs can be
 * compared. */
static json_t *config_hash(const struct run_options *options)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    char text[20];

    json_t *config = config_part(options);
    json_object_del(config, "seed");
    char *dump = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(config);
    if (!dump) {
        return NULL;
    }
    for (const char *at = dump; *at; at++) {
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    }
    free(dump);
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
    return json_string(text);
}

static json_t *command_part(const struct run_options *options)
{
    json_t *command = json_array();

    for (int i = 0; i < options->argc; i++) {
        json_array_append_new(
            command, text_part(options->argv[i], strlen(options->argv[i])));
    }
    return command;
}

/* Lines of a text as an array. */
static json_t *lines_part(const char *text)
{
    json_t *lines = json_array();

    while (*text) {
        size_t len = strcspn(text, "\n");
        json_array_append_new(lines, text_part(text, len));
        text += len + (text[len] == '\n');
    }
    return lines;
}

static json_t *env_part(const struct result *result)
{
    const struct host *host = &result->host;

    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:o}", "weir",
        weir_version(), "host", host->name, "kernel", host->kernel, "machine",
        host->machine, "cpu_model", host->cpu_model, "governor", host->governor,
        "cpus", (json_int_t)host->cpu_count, "cpus_allowed",
        (json_int_t)host->cpus_allowed, "same_machine", result->same_machine,
        "io_uring", lines_part(result->features));
}

static json_t *ledger_part(const struct ledger *ledger, uint64_t in_flight)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "sent", integer(ledger->sent),
                     "ok", integer(ledger->ok), "failed",
                     integer(ledger->failed), "timeout",
                     integer(ledger->timeout), "in_flight", integer(in_flight));
}

/* null where there are no datagrams. */
static json_t *datagrams_part(const struct result *result)
{
    const struct track_counts *answers = &result->answers;

    if (!result->options->targets[0].is_datagram) {
        return json_null();
    }
    return json_pack(
        "{s:I, s:I, s:I, s:I}", "lost", integer(result->measured.timeout),
        "late", integer(answers->late), "duplicate",
        integer(answers->duplicate), "reordered", integer(answers->reordered));
}

/* null where no target has TLS, or without a connection its three names. */
static json_t *tls_part(const struct result *result)
{
    const struct tls_facts *tls = &result->tls;
    double window_ns = (double)result->window_ns;

    if (!tls_is_meant(result->options->targets,
                      result->options->target_count)) {
        return json_null();
    }
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o}", "full", integer(tls->full),
        "resumed", integer(tls->resumed), "failed", integer(tls->failed),
        "in_window", integer(result->handshakes), "per_second",
        window_ns > 0 ? (double)result->handshakes * 1e9 / window_ns : 0,
        "version", given_part(tls->version[0] ? tls->version : NULL), "cipher",
        given_part(tls->cipher[0] ? tls->cipher : NULL), "alpn",
        given_part(tls->alpn[0] ? tls->alpn : NULL));
}

static json_t *rate_part(const struct result *result)
{
    double cpu_ns = (double)(result->usage.user_ns + result->usage.system_ns);
    double window_ns = (double)result->window_ns;
    double completed = (double)result->completed;

    return json_pack(
        "{s:I, s:f, s:f}", "completed", integer(result->completed), "achieved",
        window_ns > 0 ? completed * 1e9 / window_ns : 0,
        "per_client_cpu_second", cpu_ns > 0 ? completed * 1e9 / cpu_ns : 0);
}

static json_t *hdr_part(const struct histogram *h)
{
    char *text = hdr_encode(h);
    json_t *part = text ? json_string(text) : NULL;

    free(text);
    return part;
}

static json_t *histogram_part(const struct histogram *h)
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
            json_integer(integer(histogram_quantile(h, share))));
        histogram_interval(h, share, &low, &high);
        json_object_set_new(intervals, percentiles[i].name,
                            json_pack("[I, I]", integer(low), integer(high)));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "count",
                     integer(h->count), "min", integer(h->count ? h->min : 0),
                     "mean", integer((uint64_t)histogram_mean(h)), "stdev",
                     integer((uint64_t)histogram_deviation(h)), "max",
                     integer(h->max), "overflows", integer(h->overflows),
                     "percentiles", values, "ci95", intervals, "hdr",
                     hdr_part(h));
}

static json_t *errors_part(const struct error_table *errors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errors->kind_count; i++) {
        const struct error_kind *kind = &errors->kinds[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "phase",
                            error_phase_name(kind->phase), "code",
                            error_code_name(kind->code), "text",
                            error_code_text(kind->code), "count",
                            integer(kind->count), "requests",
                            integer(kind->requests), "first", kind->detail));
    }
    return list;
}

static json_t *connections_part(const struct result *result)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "asked",
                     integer(result->options->conn_count), "open_at_begin",
                     integer(result->open_at_begin), "open_at_end",
                     integer(result->open_at_end), "opened",
                     integer(result->opened), "failed",
                     integer(result->connect_failed), "lost",
                     integer(result->lost), "never_answered",
                     integer(result->never_answered));
}

static json_t *rows_part(const struct result *result)
{
    json_t *list = json_array();

    for (size_t i = 0; i < result->row_count; i++) {
        const struct result_row *row = &result->rows[i];
        json_array_append_new(
            list,
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
                      "s:I}",
                      "begin_ns", integer(row->begin_ns), "end_ns",
                      integer(row->end_ns), "ok", integer(row->ok), "failed",
                      integer(row->failed), "timeout", integer(row->timeout),
                      "p50", integer(row->p50_ns), "p99", integer(row->p99_ns),
                      "max", integer(row->max_ns), "in_flight",
                      integer(row->in_flight), "open", integer(row->open),
                      "bytes_in", integer(row->received_bytes), "bytes_out",
                      integer(row->sent_bytes)));
    }
    return list;
}

static json_t *client_part(const struct result *result)
{
    const struct host_usage *usage = &result->usage;

    return json_pack(
        "{s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I}", "cpu_user_ns",
        integer(usage->user_ns), "cpu_system_ns", integer(usage->system_ns),
        "cpu", verdict_cpu_share(result), "run_queue_wait_ns",
        integer(usage->run_queue_wait_ns), "max_rss_bytes",
        integer(usage->max_rss_bytes), "turns", integer(result->turns),
        "enters", integer(result->enters), "overflows",
        integer(result->overflows), "starved", integer(result->starved));
}

static json_t *remarks_part(const struct remarks *remarks)
{
    json_t *list = json_array();

    for (size_t i = 0; i < remarks->count; i++) {
        json_array_append_new(list, json_string(remarks->lines[i]));
    }
    return list;
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

static json_t *whole(const struct result *result)
{
    const struct run_options *options = result->options;

    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:b, s:s, s:i, s:o, s:o, "
        "s:{s:s}, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}, s:o, s:o, "
        "s:{s:I, s:I}, "
        "s:o, "
        "s:I, s:o}",
        "schema", JSON_SCHEMA, "tool", "weir-load", "command",
        command_part(options), "config", config_part(options), "config_hash",
        config_hash(options), "env", env_part(result), "start",
        start_part(result->wall_begin_ns), "duration_ns",
        integer(result->window_ns), "valid", result->exit == LOAD_OK, "verdict",
        verdict_word(result), "exit_code", (int)result->exit, "invalid_reasons",
        remarks_part(&result->invalid), "warnings",
        remarks_part(&result->warnings), "model", "kind", "closed", "requests",
        ledger_part(&result->measured, result->in_flight), "warmup",
        ledger_part(&result->warmup, result->warmup_in_flight), "datagrams",
        datagrams_part(result), "tls", tls_part(result), "rate",
        rate_part(result), "latency", "service",
        histogram_part(&result->service), "connect",
        histogram_part(&result->connect), "tls",
        tls_is_meant(options->targets, options->target_count)
            ? histogram_part(&result->handshake)
            : json_null(),
        "errors", errors_part(&result->errors), "connections",
        connections_part(result), "bytes", "in",
        integer(result->received_bytes), "out", integer(result->sent_bytes),
        "intervals", rows_part(result), "intervals_dropped",
        integer(result->rows_dropped), "client", client_part(result));
}

int json_write(const struct result *result, FILE *out)
{
    json_t *object = whole(result);

    if (!object) {
        return -ENOMEM;
    }
    int failed =
        json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(object);
    if (failed || fputc('\n', out) == EOF || fflush(out) != 0) {
        return errno ? -errno : -EIO;
    }
    return 0;
}
