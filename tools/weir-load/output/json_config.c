/*
 * write_rows() writes the options whose row has `json`; the other functions
 * write the rest. Options that only affect the output are left out, so that
 * runs with different outputs are comparable.
 */
#include "writers.h"

#include "tools/weir-load/command/command.h"
#include "tools/weir-load/measure/measure.h"
#include "weir/base.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns null if no target uses TLS. */
static json_t *tls_config_part(const struct run_options *options)
{
    const struct tls_flags *flags = &options->tls;

    return !tls_is_meant(options->targets, options->target_count)
               ? json_null()
               : json_pack(
                     "{s:o, s:s, s:s, s:f}", "certificate",
                     json_text_or_null(flags->identities[0].certificate.file),
                     "min", tls_version_name(flags->options.min_version), "max",
                     tls_version_name(flags->options.max_version), "resume",
                     (double)flags->resume_share / TLS_RESUME_ALL);
}

static json_t *headers_part(const struct http_options *http)
{
    json_t *headers = json_array();

    for (size_t i = 0; i < http->field_count; i++) {
        json_array_append_new(headers, json_text_or_null(http->fields[i]));
    }
    return headers;
}

static json_t *http_config_part(const struct run_options *options)
{
    const struct http_options *http = &options->http;

    return options->mode == RUN_MODE_HTTP
               ? json_pack("{s:o, s:o, s:o}", "headers", headers_part(http),
                           "expect", json_text_or_null(options->expected),
                           "expect_body", json_text_or_null(http->wanted))
               : json_null();
}

static json_t *mix_part(const struct mix *mix)
{
    if (!mix) {
        return json_null();
    }
    json_t *lines = json_array();
    for (size_t i = 0; i < mix->kind_count; i++) {
        json_array_append_new(lines, json_text_or_null(mix->kinds[i].line));
    }
    return lines;
}

static json_t *hash_part(uint64_t hash)
{
    char text[20];

    snprintf(text, sizeof(text), "%016llx", LLU(hash));
    return json_string(text);
}

/* Only counts and a hash, because the list may be large. */
static json_t *urls_part(const struct urls *urls)
{
    if (!urls) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:o}", "requests",
                     json_integer_of(urls->count), "different",
                     json_integer_of(urls->kind_count), "hash",
                     hash_part(urls_hash(urls)));
}

static json_t *data_part(const struct data *data)
{
    if (!data) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:o}", "rows",
                     json_integer_of(data->row_count), "columns",
                     json_integer_of(data->column_count), "hash",
                     hash_part(data_hash(data)));
}

/* Without the requests, which may have passwords. */
static json_t *preamble_part(const struct preamble *preamble)
{
    if (!preamble) {
        return json_null();
    }
    json_t *captures = json_array();
    for (size_t i = 0; i < preamble->capture_count; i++) {
        json_array_append_new(captures,
                              json_string(preamble->captures[i].text));
    }
    return json_pack("{s:I, s:o, s:o}", "requests",
                     json_integer_of(preamble->line_count), "captures",
                     captures, "hash", hash_part(preamble_hash(preamble)));
}

static json_t *bind_part(const struct run_options *options)
{
    json_t *locals = json_array();
    char text[WEIR_ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < options->local_count; i++) {
        weir_address_format(&options->locals[i], text, sizeof(text));
        json_array_append_new(locals, json_string(text));
    }
    return locals;
}

/* Returns null if the sizes are fixed. */
static json_t *drawn_part(const struct sizes *sizes, const char *text)
{
    return json_text_or_null(sizes_is_fixed(sizes) ? NULL : text);
}

/* The system's defaults are null. */
static json_t *sockets_part(const struct run_options *options)
{
    const struct socket_flags *flags = &options->sockets;

    return json_pack("{s:b, s:o}", "nodelay", !flags->has_nagle, "tos",
                     flags->tos < 0 ? json_null() : json_integer(flags->tos));
}

/* Returns the value of an option. @zero_is_null makes 0 null (`json` in
 * option.h). */
static json_t *value_of(const struct option *row, const void *options,
                        bool zero_is_null)
{
    const void *field = (const char *)options + row->offset;
    uint64_t number = 0;

    switch (row->kind) {
    case OPTION_SWITCH:
        return json_boolean(*(const bool *)field);
    case OPTION_TEXT:
        return json_text_or_null(*(const char *const *)field);
    case OPTION_CHOICE:
        return json_string(option_name_choice(row, *(const int *)field));
    case OPTION_EITHER:
        return json_string(option_name_choice(row, *(const bool *)field));
    case OPTION_RATE:
        return zero_is_null && *(const double *)field <= 0
                   ? json_null()
                   : json_real(*(const double *)field);
    default:
        assert(row->kind == OPTION_COUNT || row->kind == OPTION_SIZE ||
               row->kind == OPTION_TIME);
        memcpy(&number, field, sizeof(number));
        return zero_is_null && number == 0
                   ? json_null()
                   : json_integer(json_integer_of(number));
    }
}

/* Adds the member of each row, except in objects that are null. */
static void write_rows(const struct run_options *options, json_t *config)
{
    _Static_assert(offsetof(struct options_reading, options) == 0,
                   "the rows have places in it");
    char name[64];

    for (size_t i = 0; i < options_set.count; i++) {
        const struct option *row = &options_set.rows[i];
        if (!row->json) {
            continue;
        }
        snprintf(name, sizeof(name), "%s", row->json);
        char *mark = strchr(name, '?');
        char *dot = strchr(name, '.');
        json_t *into = config;
        if (mark) {
            *mark = '\0';
        }
        if (dot) {
            *dot = '\0';
            into = json_object_get(config, name);
        }
        if (json_is_object(into)) {
            json_object_set_new(into, dot ? dot + 1 : name,
                                value_of(row, options, mark != NULL));
        }
    }
}

json_t *json_config(const struct run_options *options)
{
    json_t *targets = json_array();

    for (size_t i = 0; i < options->target_count; i++) {
        json_array_append_new(targets,
                              json_text_or_null(options->targets[i].text));
    }
    json_t *config = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:I, s:I, s:o, s:o, s:I, "
        "s:b, s:o, s:o, s:o, s:o, s:o, s:[I, I], s:{s:I, s:I}}",
        "targets", targets, "connect_to",
        json_text_or_null(options->connect_to.text), "bind", bind_part(options),
        "family",
        options->family == 0 ? json_null()
                             : json_integer(options->family == AF_INET ? 4 : 6),
        "sockets", sockets_part(options), "proxy_protocol",
        options->proxy_version, "direction",
        json_text_or_null(options->mode == RUN_MODE_STREAM
                              ? options_direction_name(options->direction)
                              : NULL),
        "tls", tls_config_part(options), "send_bytes",
        json_integer_of(options->send.most), "recv_bytes",
        json_integer_of(options->recv.most), "send_sizes",
        drawn_part(&options->send, options->send_text), "recv_sizes",
        drawn_part(&options->recv, options->recv_text), "max_errors",
        json_integer_of(options->max_errors), "max_errors_in_millionths",
        options->max_errors_is_share, "mix", mix_part(options->mix), "urls",
        urls_part(options->urls), "data", data_part(options->data), "http",
        http_config_part(options), "script",
        options->mode == RUN_MODE_SCRIPT
            ? json_pack("{s:o}", "expect", json_text_or_null(options->expected))
            : json_null(),
        "requests_per_conn", json_integer_of(options->requests_per_conn),
        json_integer_of(options->requests_per_conn_max), "lateness_limit",
        "time_ns", json_integer_of(options->lateness_limit_ns), "millionths",
        json_integer_of(options->lateness_limit_share));

    json_object_set_new(config, "preamble", preamble_part(options->preamble));
    if (options_may_speak_http2(options)) {
        json_object_set_new(config, "http2", json_object());
    }
    json_object_set_new(
        config, "redis",
        options->mode == RUN_MODE_REDIS
            ? json_pack(
                  "{s:o, s:b}", "command",
                  json_text_or_null(options->kinds ? NULL : options->http.body),
                  "has_login", options->redis.has_login)
            : json_null());
    json_object_set_new(config, "ws",
                        options->mode == RUN_MODE_WS
                            ? json_pack("{s:o, s:o}", "message",
                                        json_text_or_null(options->http.body),
                                        "headers", headers_part(&options->http))
                            : json_null());
    write_rows(options, config);
    return config;
}

/* Describes targets without their hosts, so that runs against two servers can
 * be compared. */
static json_t *shapes_part(const struct run_options *options)
{
    json_t *shapes = json_array();

    for (size_t i = 0; i < options->target_count; i++) {
        const char *text = options->targets[i].text;
        const char *colon = strchr(text, ':');
        size_t scheme_len = colon ? (size_t)(colon - text) : 0;
        json_array_append_new(shapes, json_text(text, scheme_len));
        if (colon && strncmp(colon, "://", 3) == 0) {
            const char *path = colon + 3 + strcspn(colon + 3, "/?");
            json_array_append_new(shapes, json_text_or_null(path));
        }
    }
    return shapes;
}

json_t *json_config_hash(const struct run_options *options)
{
    json_t *config = json_config(options);

    json_object_del(config, "seed");
    json_object_del(config, "connect_to");
    json_object_del(config, "bind");
    /* These do not affect the load. */
    json_object_del(config, "lateness_limit");
    json_object_del(config, "threads");
    json_object_set_new(config, "targets", shapes_part(options));
    json_t *hash = config ? json_hash(config) : NULL;
    json_decref(config);
    return hash;
}

json_t *json_command(const struct run_options *options)
{
    json_t *command = json_array();

    for (int i = 0; i < options->argc; i++) {
        char *word = secret_words_strip(options->argv, i);
        json_array_append_new(command,
                              word ? json_text(word, strlen(word)) : NULL);
        free(word);
    }
    return command;
}
