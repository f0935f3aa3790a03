/*
 * Completes the options of a run: sets defaults, the mode and the schedule from
 * other options and the targets, and refuses conflicts. A URL, --request, --mix
 * or --urls determines the mode, and the mode determines which options apply.
 */
#include "command.h"

#include "tools/common/console.h"
#include "tools/common/units.h"
#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/http1/http1.h"
#include "tools/weir-load/http2/http2.h"
#include "tools/weir-load/options/options.h"

#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

#define WHOLE_MILLIONTHS 1000000U

#define IN_FLIGHT_MAX (UINT64_C(1) << 30)

/* Most intervals. A longer run gets longer intervals by default. */
#define INTERVALS_MAX 3600U

#define BLOCK_DEFAULT (64U << 10)

/* The largest number of --conn-stages replaces -c, so that memory, ports and
 * descriptors suffice. The stages set the duration. */
static bool settle_conns(struct run_options *options)
{
    const struct conn_stages *stages = &options->conn_stages;

    if (!options_has_conn_stages(options)) {
        return true;
    }
    options->whole_conn_count = conn_stages_most(stages);
    options->duration_ns = conn_stages_duration(stages);
    return !options->stages ||
           schedule_duration(&options->schedule) == options->duration_ns ||
           say("--conn-stages: its stages last %.9gs in total, and those of "
               "--stages %.9gs",
               (double)options->duration_ns / 1e9,
               (double)schedule_duration(&options->schedule) / 1e9);
}

/* Checks that with --part every process has connections and requests. */
static bool settle_part(struct run_options *options)
{
    const struct part *part = &options->part;

    options->first_conn = part_begin(part, options->whole_conn_count);
    options->conn_count = part_size(part, options->whole_conn_count);
    if (options->whole_conn_count < part->count) {
        return say(
            "--part: -c %llu is less than one connection for each of %u parts",
            LLU(options->whole_conn_count), part->count);
    }
    if (options->request_count > 0 && options->request_count < part->count) {
        return say(
            "--part: %llu requests are less than one for each of %u parts",
            LLU(options->request_count), part->count);
    }
    const uint64_t threads = options->thread_count * part->count;
    if (options->max_in_flight > 0 && options->max_in_flight < threads) {
        return say(
            "--max-inflight: %llu is less than one request for each of %llu "
            "threads%s",
            LLU(options->max_in_flight), LLU(threads),
            part->count > 1 ? " of all parts" : "");
    }
    return true;
}

static bool settle_amounts(struct run_options *options,
                           const struct options_given *given)
{
    const bool is_counted = options->request_count > 0;
    const uint64_t in_flight = options->depth * options->send.most;

    if (!is_counted && !given->duration && !options_has_conn_stages(options)) {
        options->duration_ns = 10 * SECOND;
    }
    if (!given->warmup) {
        options->warmup_ns =
            is_counted || options_first_conns(options) == 0 ? 0 : SECOND;
    }
    if (in_flight > IN_FLIGHT_MAX) {
        return say("-p times --send is more than 1G on each connection");
    }
    if (options->conn_count * options->depth * sizeof(uint64_t) >
        IN_FLIGHT_MAX) {
        return say("-c times -p is more than 128M requests in flight");
    }
    return true;
}

static bool settle_udp(struct run_options *options,
                       const struct options_given *given)
{
    for (size_t i = 1; i < options->target_count; i++) {
        if (options->targets[i].is_datagram !=
            options->targets[0].is_datagram) {
            return say("udp:// and other targets cannot be loaded together");
        }
    }
    if (!options->targets[0].is_datagram) {
        return true;
    }
    if (options->conn_count * options->depth * sizeof(struct track_slot) >
        IN_FLIGHT_MAX) {
        return say("-c times -p is more than %lluM datagrams in flight",
                   LLU(IN_FLIGHT_MAX / sizeof(struct track_slot) / 1000000));
    }
    if (!given->timeout) {
        options->timeout_ns = SECOND;
    }
    return true;
}

/* Checks an address against -4 or -6. */
static bool settle_family(int family, const struct weir_address *address,
                          const char *what)
{
    if (family == 0 || address->len == 0 ||
        address->storage.any.sa_family == family) {
        return true;
    }
    return say("%s: %s is not an IPv%c address",
               family == AF_INET ? "-4" : "-6", what,
               family == AF_INET ? '4' : '6');
}

/* Checks that local addresses have the family of the target's address. */
static bool settle_locals(const struct run_options *options,
                          const struct target *place)
{
    if (options->local_count > 0 &&
        place->address.storage.any.sa_family == AF_UNIX) {
        return say("--bind: %s has no addresses of its own", place->text);
    }
    for (size_t i = 0; i < options->local_count && place->address.len > 0;
         i++) {
        if (options->locals[i].storage.any.sa_family !=
            place->address.storage.any.sa_family) {
            return say("--bind: address %zu is of another family than %s",
                       i + 1, place->text);
        }
    }
    return true;
}

static bool settle_connections(const struct run_options *options)
{
    for (size_t i = 0; i < options->local_count; i++) {
        char text[WEIR_ADDRESS_TEXT_SIZE];
        weir_address_format(&options->locals[i], text, sizeof(text));
        if (!settle_family(options->family, &options->locals[i], text)) {
            return false;
        }
    }
    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *place =
            options_place(options, &options->targets[i]);
        if (!settle_family(options->family, &place->address, place->text) ||
            !settle_locals(options, place) ||
            !sockets_try(&options->sockets, place)) {
            return false;
        }
    }
    return true;
}

static bool settle_wanted(const struct run_options *options)
{
    const struct http_options *http = &options->http;
    char why[WHY_SIZE];
    struct wanted wanted;

    if (!http->wanted) {
        return true;
    }
    if (wanted_parse(http->wanted, &wanted, why) < 0) {
        return say("--expect: %s", why);
    }
    const bool is_echo = wanted.kind == WANTED_ECHO;
    wanted_fini(&wanted);
    if (is_echo && !http->body && !options->kinds) {
        return say("--expect echo: there is no body; see -b");
    }
    if (http->method && strcmp(http->method, "HEAD") == 0) {
        return say("--expect: answers to HEAD have no bodies");
    }
    return true;
}

static bool settle_script(struct run_options *options)
{
    struct script_options *script = &options->script;
    char why[WHY_SIZE];

    if (options->kinds) {
        return true;
    }
    if (options->expected && options->http.wanted) {
        return say("--expect: only one rule can set the end of an answer");
    }
    /* In this mode len:SIZE is a rule. The parser refuses other values. */
    if (options->http.wanted) {
        options->expected = options->http.wanted;
        options->http.wanted = NULL;
    }
    if (!script->request || !options->expected) {
        return say("--mode script: it needs --request and --expect");
    }
    if (script_parse_rule(options->expected, &script->rule, why) < 0) {
        return say("--expect: %s", why);
    }
    if (script->begin &&
        script_parse_begin(script->begin, &script->rule, why) < 0) {
        return say("--expect-begin: %s", why);
    }
    return true;
}

static enum request_form form_of(const struct run_options *options)
{
    return options->mode == RUN_MODE_HTTP    ? REQUEST_HTTP
           : options->mode == RUN_MODE_REDIS ? REQUEST_REDIS
                                             : REQUEST_SCRIPT;
}

static bool read_mix(const struct options_given *given,
                     struct run_options *options)
{
    static struct mix mix;
    char why[WHY_SIZE];

    if (mix_read(given->path, form_of(options), &mix, why) < 0) {
        return option_say(given->file, "%s: %s", given->path, why);
    }
    options->mix = &mix;
    options->kinds = mix.kinds;
    options->kind_count = mix.kind_count;
    return true;
}

static bool read_urls(const struct options_given *given,
                      struct run_options *options)
{
    const struct target *target = &options->targets[0];
    static struct urls urls;
    char why[WHY_SIZE];
    char place[TARGET_HOST_SIZE + 32];

    snprintf(place, sizeof(place), "%.*s",
             target->path ? (int)(target->path - target->text)
                          : (int)strlen(target->text),
             target->text);
    if (urls_read(given->path, form_of(options),
                  options->target_count == 1 ? place : NULL, &urls, why) < 0) {
        return option_say(given->file, "%s: %s", given->path, why);
    }
    options->urls = &urls;
    options->kinds = urls.kinds;
    options->kind_count = urls.kind_count;
    return true;
}

/* Reads the file of --mix or --urls. It has the paths, so targets must not have
 * any. */
static bool settle_file(struct run_options *options,
                        const struct options_given *given)
{
    const bool is_http = options->mode == RUN_MODE_HTTP;

    for (size_t i = 0; i < options->target_count && is_http; i++) {
        const char *path = options->targets[i].path;
        if (path && strcmp(path, "/") != 0) {
            return option_say(given->file, "it has the paths; write %.*s/",
                              (int)(path - options->targets[i].text),
                              options->targets[i].text);
        }
    }
    return strcmp(given->file->name, "urls") == 0 ? read_urls(given, options)
                                                  : read_mix(given, options);
}

/* Selects the mode script for --request, and for --mix or --urls unless the
 * mode is http, redis or ws. With --mode crr each connection then has one
 * request. */
static bool choose_script(struct run_options *options,
                          const struct options_given *given)
{
    const char *flag = given->file ? given->file->name : "request";
    const bool is_script =
        options->script.request ||
        (given->file && options->mode != RUN_MODE_HTTP &&
         options->mode != RUN_MODE_REDIS && options->mode != RUN_MODE_WS);

    if (!is_script) {
        return true;
    }
    if (options->mode == RUN_MODE_CRR) {
        options_set_one_request(options);
    } else if (options->mode == RUN_MODE_HTTP ||
               options->mode == RUN_MODE_REDIS ||
               options->mode == RUN_MODE_WS ||
               (given->mode && options->mode != RUN_MODE_SCRIPT)) {
        return say("--%s: it is not for mode %s%s", flag,
                   options_mode_name(options->mode),
                   options->mode == RUN_MODE_REDIS
                       ? "; a command is -b 'GET key'"
                       : "");
    }
    options->mode = RUN_MODE_SCRIPT;
    return true;
}

static bool settle_expected(struct run_options *options)
{
    size_t at = 0;

    if (options->mode == RUN_MODE_SCRIPT) {
        return settle_script(options);
    }
    if (options->mode == RUN_MODE_HTTP) {
        return (!options->expected ||
                http_parse_expected(options->expected, &options->http, &at) >=
                    0 ||
                say("--expect: '%s': no status at byte %zu; write 200 or "
                    "2xx,304, or "
                    "for a body text:, file:, len:, re: or echo",
                    options->expected, at + 1)) &&
               settle_wanted(options);
    }
    return options->mode != RUN_MODE_REDIS || options_settle_redis(options);
}

/* Returns true for CONNECT, whose requests have another form in HTTP/2 (RFC
 * 9113, section 8.5). */
static bool asks_for_tunnel(const struct run_options *options)
{
    const char *method = options->http.method;
    bool is_found = method && strcmp(method, "CONNECT") == 0;

    for (size_t i = 0; options->kinds && i < options->kind_count; i++) {
        method = options->kinds[i].method;
        is_found |= method && strcmp(method, "CONNECT") == 0;
    }
    return is_found;
}

/* Offers only HTTP/2 in the TLS handshake, so that no server chooses another
 * version, except with --http auto. */
static void settle_offer(struct run_options *options)
{
    const bool is_auto = options->http.version == HTTP_VERSION_AUTO;
    const bool has_tls = tls_is_meant(options->targets, options->target_count);
    const char **alpn = &options->tls.options.alpn;

    if (has_tls && !*alpn) {
        *alpn = is_auto ? "h2,http/1.1" : "h2";
    }
    if (is_auto && !has_tls) {
        say("--http auto: without TLS nothing is negotiated, and HTTP/1.1 is "
            "used; --http 2 is HTTP/2 with prior knowledge");
    }
}

static bool settle_http2(struct run_options *options)
{
    if (!options_may_speak_http2(options)) {
        return true;
    }
    if (asks_for_tunnel(options)) {
        return say("--http: CONNECT is not supported over HTTP/2");
    }
    settle_offer(options);
    const bool is_auto = options->http.version == HTTP_VERSION_AUTO;
    for (size_t i = 0; i < options->http.field_count; i++) {
        if (h2_field_line_is_dropped(options->http.fields[i])) {
            say("--header: '%.100s' is not sent%s, HTTP/2 has no such field",
                options->http.fields[i], is_auto ? " over HTTP/2" : "");
        }
    }
    return true;
}

const char *options_arrival_name(enum run_model model)
{
    static const char *const names[] = {
        [RUN_MODEL_CONSTANT] = "constant",
        [RUN_MODEL_POISSON] = "poisson",
    };

    return names[model];
}

/* Refuses CPUs shared with the server, unless --force is given. */
static bool settle_cpus(struct run_options *options)
{
    struct cpus *client = &options->client_cpus;

    *client = options->cpus;
    if (client->count == 0) {
        cpus_of_process(client);
    }
    const int shared = cpus_find_common(client, &options->server_cpus);
    options->shares_cpus = shared >= 0;
    if (!options->shares_cpus || options->is_forced) {
        return true;
    }
    return say(
        "--server-cpu: CPU %d is one of the client's%s; --force runs anyway",
        shared,
        options->cpus.count > 0 ? "" : ", which --cpu can bind to others");
}

/* Sets the stages of the schedule: the warm-up, then --stages or -R. */
static bool settle_stages(struct run_options *options,
                          const struct options_given *given)
{
    struct schedule_plan *plan = &options->schedule;

    if (plan->stage_count > 0) {
        options->duration_ns = schedule_duration(plan);
        if (!given->warmup) {
            options->warmup_ns = SECOND;
        }
    } else {
        plan->stages[plan->stage_count++] = (struct schedule_stage){
            .duration_ns =
                options->duration_ns > 0 ? options->duration_ns : UINT64_MAX,
            .from = options->rate,
            .to = options->rate,
        };
    }
    if (options->warmup_ns > 0) {
        if (plan->stage_count == SCHEDULE_STAGES_MAX) {
            return say("--stages: at most %d stages after a warm-up",
                       SCHEDULE_STAGES_MAX - 1);
        }
        memmove(plan->stages + 1, plan->stages,
                plan->stage_count * sizeof(plan->stages[0]));
        plan->stages[0] = (struct schedule_stage){
            options->warmup_ns, plan->stages[1].from, plan->stages[1].from};
        plan->stage_count++;
    }
    plan->seed = options->seed;
    return true;
}

static bool settle_pace(struct run_options *options,
                        const struct options_given *given)
{
    if (options->thread_count > options->conn_count) {
        return say("-t: %llu threads for %llu connections",
                   LLU(options->thread_count), LLU(options->conn_count));
    }
    return settle_cpus(options) && (options->model == RUN_MODEL_CLOSED ||
                                    settle_stages(options, given));
}

_Static_assert(SLO_KIND_SIZE == KINDS_NAME_SIZE, "a name of a kind fits");

static bool settle_kinds(struct run_options *options)
{
    static struct kinds kinds;

    if (!options->kinds) {
        return true;
    }
    if (kinds_init(&kinds, options->kinds, options->kind_count) < 0) {
        return say("no memory for requests");
    }
    options->groups = &kinds;
    return true;
}

static bool has_kind(const struct run_options *options,
                     const struct slo_term *term)
{
    char names[400];

    if (term->kind[0] == '\0') {
        return true;
    }
    if (!options->groups) {
        return say("--slo: %s: kinds of requests need --mix or --urls",
                   term->text);
    }
    if (kinds_find(options->groups, term->kind) == options->groups->count) {
        return say("--slo: %s: no request is of this kind; there are %s",
                   term->text,
                   kinds_list(options->groups, names, sizeof(names)));
    }
    return true;
}

static bool settle_objectives(const struct run_options *options)
{
    for (size_t i = 0; i < options->slo.count; i++) {
        const struct slo_term *term = &options->slo.terms[i];
        if (term->figure == SLO_STATUS && options->mode != RUN_MODE_HTTP) {
            return say("--slo: %s: only HTTP has status codes", term->text);
        }
        if (!has_kind(options, term)) {
            return false;
        }
    }
    return true;
}

static bool settle_output(struct run_options *options,
                          const struct options_given *given)
{
    const uint64_t shortest = options->duration_ns / INTERVALS_MAX;

    for (size_t i = 0; i < options->slo.count && !options->has_max_errors;
         i++) {
        if (options->slo.terms[i].figure == SLO_ERRORS &&
            options->slo.terms[i].kind[0] == '\0') {
            options->max_errors = WHOLE_MILLIONTHS;
            options->max_errors_is_share = true;
        }
    }
    if (!settle_kinds(options) || !settle_objectives(options)) {
        return false;
    }
    if (options->json && !options->json_path && options->files.streams) {
        return say(
            "--json-stream has the result, too; --json needs a file name");
    }
    if (!publish_check(&options->files.publish,
                       options->files.streams                 ? "--json-stream"
                       : options->json && !options->json_path ? "--json"
                                                              : NULL)) {
        return false;
    }
    if (!given->interval) {
        options->interval_ns = shortest > SECOND ? shortest : SECOND;
    } else if (options->interval_ns < shortest) {
        char text[UNITS_TEXT_SIZE];
        return option_say(given->interval,
                          "too short for this -d, at least %s (%u intervals)",
                          units_format_time(shortest, text), INTERVALS_MAX);
    }
    return true;
}

static bool settle_mode(struct run_options *options)
{
    if (options->mode == RUN_MODE_RR && !options->recv_text) {
        options->recv = options->send;
        options->recv_text = options->send_text;
    }
    const unsigned least =
        options->mode == RUN_MODE_ECHO ? EXCHANGE_HEAD_SIZE : 1;
    if (options->targets[0].is_datagram &&
        !sizes_clip(&options->send, least, EXCHANGE_SIZE_MAX)) {
        return say("--send: over udp:// a datagram has %u to %u bytes", least,
                   EXCHANGE_SIZE_MAX);
    }
    if (options_has_heads(options) &&
        !sizes_clip(&options->send, OPTIONS_HEAD_SIZE, SIZES_MAX)) {
        return say(
            "--send: a request that contains its sizes has at least %u bytes",
            OPTIONS_HEAD_SIZE);
    }
    if (options->mode == RUN_MODE_IDLE) {
        options->warmup_ns = 0;
    }
    if (options->mode == RUN_MODE_STREAM && !options->send_text) {
        options->send = sizes_of(BLOCK_DEFAULT);
    }
    return true;
}

/* Checks that with a schedule each thread of each process always has a
 * connection. */
static bool settle_least(const struct run_options *options)
{
    const uint64_t whole = options->whole_conn_count;
    const uint64_t share = whole / options->part.count / options->thread_count;
    const uint64_t block = share > 0 ? share : 1;
    const uint64_t least = (whole + block - 1) / block;

    return !options_has_conn_stages(options) ||
           options->model == RUN_MODEL_CLOSED ||
           conn_stages_least(&options->conn_stages) >= least ||
           say("--conn-stages: with a schedule every thread needs a connection "
               "at all times; the stages must never go below %llu",
               LLU(least));
}

bool options_settle(struct options_reading *reading,
                    const struct option_list *list)
{
    struct run_options *options = &reading->options;
    const struct options_given *given = &reading->given;

    if (options->rate > 0 || options->stages) {
        options->model = options->schedule.is_poisson ? RUN_MODEL_POISSON
                                                      : RUN_MODEL_CONSTANT;
    }
    bool closes = false; /* -H 'Connection: close', except over HTTP/2 */
    http_has_connection(&options->http, &closes);
    if (closes && options->http.version != HTTP_VERSION_2 &&
        options->requests_per_conn == 0) {
        options_set_one_request(options);
    }
    return settle_data(options, given) && settle_conns(options) &&
           settle_part(options) && settle_amounts(options, given) &&
           settle_udp(options, given) && options_settle_urls(options, given) &&
           choose_script(options, given) &&
           options_check_needs(options, given, list) &&
           settle_connections(options) &&
           (!given->file || settle_file(options, given)) &&
           settle_expected(options) &&
           (options->mode != RUN_MODE_WS || options_settle_ws(options)) &&
           settle_http2(options) && settle_pace(options, given) &&
           preamble_settle(options) && settle_output(options, given) &&
           settle_mode(options) && settle_least(options) &&
           tls_check_run(&options->tls, options->targets,
                         options->target_count) &&
           settle_fields(options, given);
}
