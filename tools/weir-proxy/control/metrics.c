/*
 * Names follow Prometheus' rules: a unit at the end, _total for counters, one
 * HELP and TYPE for a family. Texts of the configuration become escaped label
 * values.
 */
#include "metrics.h"

#include "command.h"
#include "tools/weir-proxy/runtime/setup.h"
#include "tools/weir-proxy/runtime/targets.h"
#include "tools/weir-proxy/runtime/worker.h"

#include "weir/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void name_targets(struct metrics *metrics)
{
    const struct config *config = metrics->setup->config;
    struct target_facts *facts = metrics->targets;

    for (size_t i = 0; i < config->service_count; i++) {
        metrics->services[i].names[0] = config->services[i].name;
    }
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = config->routes[i];
        for (size_t j = 0; j < route->target_count; j++, facts++) {
            const char *text = route->targets[j].at.text;
            facts->names[0] = route->service->name;
            facts->names[1] = route->label;
            facts->names[2] = text;
            facts->short_name = command_short_name(text);
            facts->config = &route->targets[j];
        }
    }
}

static bool init(struct metrics *metrics, const struct proxy *proxy)
{
    const struct config *config = proxy->setup->config;

    *metrics = (struct metrics){.proxy = proxy,
                                .setup = setup_ref(proxy->setup),
                                .loops = {.size = sizeof(metrics->loops)}};
    metrics->services =
        calloc(config->service_count, sizeof(*metrics->services));
    metrics->targets = calloc(config->target_count, sizeof(*metrics->targets));
    metrics->seen = calloc(proxy->worker_count, sizeof(*metrics->seen));
    if (!metrics->services || !metrics->targets || !metrics->seen) {
        return false;
    }
    name_targets(metrics);
    return true;
}

void metrics_free(struct metrics *metrics)
{
    setup_unref(metrics->setup);
    free(metrics->services);
    free(metrics->targets);
    free(metrics->addresses);
    free(metrics->seen);
    *metrics = (struct metrics){.proxy = NULL};
}

/* ---- gathering ----
 *
 * The services of another setup are counted with the services of the same
 * names. */

static const struct config_service *find_service(const struct config *config,
                                                 const char *name)
{
    for (size_t i = 0; i < config->service_count; i++) {
        if (strcmp(config->services[i].name, name) == 0) {
            return &config->services[i];
        }
    }
    return NULL;
}

/* Finds the facts about a service of any setup by its name. */
static struct service_facts *facts_of(const struct metrics *metrics,
                                      const struct config_service *service)
{
    const struct config *config = metrics->setup->config;
    const struct config_service *same = find_service(config, service->name);

    return same ? &metrics->services[same - config->services] : NULL;
}

/* Finds the facts about a target of another setup by the names of its service,
 * route and target. */
static struct target_facts *find_target(const struct metrics *metrics,
                                        const struct route *route,
                                        const char *text)
{
    const struct config_service *service =
        find_service(metrics->setup->config, route->config->service->name);

    for (size_t i = 0; service && i < service->route_count; i++) {
        const struct config_route *config = &service->routes[i];
        if (strcmp(config->label, route->config->label) != 0) {
            continue;
        }
        for (size_t j = 0; j < config->target_count; j++) {
            if (strcmp(config->targets[j].at.text, text) == 0) {
                return &metrics->targets[config->first_target + j];
            }
        }
    }
    return NULL;
}

/* Adds the counts of a thread's route. @sums has an element for each target, or
 * is NULL if the route is of another setup. */
static void add_route(struct metrics *metrics, const struct route *route,
                      struct target_facts *sums)
{
    const struct config_route *config = route->config;

    for (size_t i = 0; i < config->target_count; i++) {
        struct target_facts *facts =
            sums ? &sums[i]
                 : find_target(metrics, route, config->targets[i].at.text);
        const weir_upstream *upstream = route->targets[i].added;
        if (!facts || !upstream) {
            continue;
        }
        if (route->services->is_old) {
            /* The states are those of the current set. */
            struct target_sum old = {.is_up = 0};
            counts_add_target(&old, upstream);
            facts->sum.active += old.active;
            counts_add_counters(&facts->sum.counters, &old.counters);
        } else {
            counts_add_target(&facts->sum, upstream);
            counts_add_counters(&facts->sum.counters,
                                &route->targets[i].past->past);
        }
    }
}

static void add_services(struct metrics *metrics,
                         const struct services *services)
{
    const bool is_same = services->setup == metrics->setup;

    for (size_t i = 0; i < services->route_count; i++) {
        const struct route *route = &services->routes[i];
        struct service_facts *facts =
            route->upstreams ? facts_of(metrics, route->config->service) : NULL;
        if (facts) {
            struct weir_upstreams_statistics info = {.size = sizeof(info)};
            (void)!weir_upstreams_get_statistics(route->upstreams, &info);
            facts->queued += info.queued_count;
            add_route(metrics, route,
                      is_same ? &metrics->targets[route->config->first_target]
                              : NULL);
        }
    }
}

/* Adds a thread's counts. Its services of the same name share one struct. */
static void add_counts(struct metrics *metrics, const struct worker *worker)
{
    const struct services *services = worker->services;

    for (size_t i = 0; services && i < services->count; i++) {
        const struct service *service = &services->all[i];
        struct service_facts *facts = facts_of(metrics, service->config);
        if (service->counts && facts) {
            counts_add(&facts->counts, service->counts);
        }
    }
    metrics->program.lost_lines += worker->log.lost_lines;
}

void metrics_gather(void *arg, weir_thread *thread)
{
    struct metrics *metrics = arg;
    const uint32_t index = weir_thread_get_index(thread);
    const struct worker *worker = &metrics->proxy->workers[index];

    metrics->seen[index] = true;
    add_counts(metrics, worker);
    for (const struct link *link = worker->all.youngest; link;
         link = link->older) {
        const struct services *services =
            (const struct services *)(const void *)link;
        if (services != worker->next) {
            add_services(metrics, services);
        }
    }
}

/* A relay's received bytes count as held until they are sent. Queued bytes that
 * are also held must be counted once. */
static void finish_program(struct metrics *metrics)
{
    const struct proxy *proxy = metrics->proxy;
    const struct weir_loop_statistics *loops = &metrics->loops;
    struct program_facts *facts = &metrics->program;

    facts->threads = proxy->worker_count;
    facts->state = proxy->workers[0].is_draining ? "drains" : "serves";
    facts->received_bytes = loops->received_bytes;
    facts->sent_bytes = loops->sent_bytes;
    facts->buffer_bytes =
        loops->held_bytes + loops->queued_bytes - loops->queued_held_bytes;
    facts->memory_bytes = loops->memory_bytes;
    facts->memory_limit_bytes = proxy->memory_limit_bytes;
    facts->is_reloaded = !proxy->was_refused;
}

static bool list_addresses(struct metrics *metrics)
{
    const struct services *services = metrics->proxy->workers[0].services;
    bool is_whole = true;

    for (size_t i = 0; services && services->setup == metrics->setup &&
                       i < services->route_count;
         i++) {
        const struct route *route = &services->routes[i];
        const struct target_facts *facts =
            &metrics->targets[route->config->first_target];
        for (size_t j = 0; route->upstreams && j < route->config->target_count;
             j++) {
            is_whole =
                targets_list_addresses(route, j, &facts[j], &metrics->addresses,
                                       &metrics->address_count) &&
                is_whole;
        }
    }
    return is_whole;
}

/* Adds the counts of workers that have ended, then computes values from the
 * counts and the loops' statistics. Returns false if out of memory. */
static bool finish(struct metrics *metrics)
{
    const struct proxy *proxy = metrics->proxy;
    const struct config *config = metrics->setup->config;

    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        if (proxy->workers[i].has_ended && !metrics->seen[i]) {
            add_counts(metrics, &proxy->workers[i]);
        }
    }
    finish_program(metrics);
    for (size_t i = 0; i < config->service_count; i++) {
        for (int j = END_DONE + 1; j < END_REASONS; j++) {
            metrics->services[i].errors += metrics->services[i].counts.ended[j];
        }
    }
    for (size_t i = 0; i < config->target_count; i++) {
        struct target_facts *facts = &metrics->targets[i];
        const struct order *order = metrics->setup->orders[i];
        facts->ordered = orders_word(order, facts->config);
        facts->state = facts->ordered     ? facts->ordered
                       : facts->sum.is_up ? "up"
                                          : "down";
        facts->weight = orders_weight(order, facts->config);
        facts->errors = facts->sum.counters.connect_errors +
                        facts->sum.counters.reported_errors;
    }
    return list_addresses(metrics);
}

int metrics_take(struct metrics *metrics, const struct worker *worker,
                 weir_threads_each_fn *call, void *arg)
{
    int err = init(metrics, worker->proxy) ? worker_visit(worker, call, arg)
                                           : -ENOMEM;

    if (err >= 0) {
        err = weir_threads_get_statistics_wait(
            weir_thread_get_group(worker->thread), worker->loop,
            &metrics->loops);
    }
    return err < 0 ? err : finish(metrics) ? 0 : -ENOMEM;
}

const void *metrics_object(const struct metrics *metrics, enum field_of of,
                           size_t index)
{
    const struct config *config = metrics->setup->config;
    const struct {
        const void *all;
        size_t count;
        size_t size;
    } objects[] = {
        [OF_PROGRAM] = {&metrics->program, 1, sizeof(metrics->program)},
        [OF_SERVICE] = {metrics->services, config->service_count,
                        sizeof(*metrics->services)},
        [OF_TARGET] = {metrics->targets, config->target_count,
                       sizeof(*metrics->targets)},
        [OF_ADDRESS] = {metrics->addresses, metrics->address_count,
                        sizeof(*metrics->addresses)},
    };

    return index < objects[of].count
               ? (const char *)objects[of].all + index * objects[of].size
               : NULL;
}

/* Returns the length of a UTF-8 character, or 0 if it is invalid. */
static size_t character(const char *text)
{
    const uint8_t first = (uint8_t)text[0];
    const size_t len = first < 0x80                    ? 1
                       : first >= 0xc2 && first < 0xe0 ? 2
                       : first >= 0xe0 && first < 0xf0 ? 3
                       : first >= 0xf0 && first < 0xf5 ? 4
                                                       : 0;

    for (size_t i = 1; i < len; i++) {
        if (((uint8_t)text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const uint8_t second = len > 2 ? (uint8_t)text[1] : 0;
    const bool is_too_long =
        (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool is_none =
        (first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90);
    return is_too_long || is_none ? 0 : len;
}

/* Writes a label. The format requires UTF-8: invalid bytes, and control bytes
 * except newlines, become '?'. */
static void label(FILE *out, const char *name, const char *value)
{
    fprintf(out, "%s=\"", name);
    while (*value) {
        const size_t len = character(value);
        if (*value == '\\' || *value == '"') {
            fputc('\\', out);
        }
        if (*value == '\n') {
            fputs("\\n", out);
        } else if (len == 0 || (uint8_t)*value < ' ' || *value == 127) {
            fputc('?', out);
        } else {
            fwrite(value, 1, len, out);
        }
        value += len > 0 ? len : 1;
    }
    fputc('"', out);
}

/* Writes a sample's name and the labels of its object. Returns the separator
 * that precedes the next label. */
static char begin_sample(FILE *out, const struct field *field,
                         const char *suffix, const void *object)
{
    static const char *const labels[FIELDS_NAMES] = {"service", "route",
                                                     "target", "address"};
    const char *const *names = object;
    char before = '{';

    fprintf(out, "weir_proxy_%s%s", field->metric, suffix);
    for (size_t i = 0; field->of != OF_PROGRAM && i < FIELDS_NAMES && names[i];
         i++) {
        fputc(before, out);
        label(out, labels[i], names[i]);
        before = ',';
    }
    return before;
}

static void end_sample(FILE *out, char before, uint64_t number)
{
    fprintf(out, "%s %llu\n", before == ',' ? "}" : "",
            (unsigned long long)number);
}

static void end_seconds(FILE *out, uint64_t ns)
{
    fprintf(out, "} %.9f\n", (double)ns / 1e9);
}

static void write_histogram(FILE *out, const struct field *field,
                            const struct service_facts *facts)
{
    const struct counts *counts = &facts->counts;
    uint64_t sum = 0;

    for (int i = 0; i <= COUNTS_BUCKETS; i++) {
        char limit[16] = "+Inf";
        sum += counts->connects[i];
        if (i < COUNTS_BUCKETS) {
            snprintf(limit, sizeof(limit), "%g", counts_bucket_ms[i] / 1e3);
        }
        fputc(begin_sample(out, field, "_bucket", facts), out);
        label(out, "le", limit);
        end_sample(out, ',', sum);
    }
    begin_sample(out, field, "_sum", facts);
    end_seconds(out, counts->connect_ns);
    end_sample(out, begin_sample(out, field, "_count", facts), sum);
}

static void write_error(FILE *out, const struct field *field,
                        const struct target_facts *facts)
{
    if (field_has_value(field, facts)) {
        fputc(begin_sample(out, field, "", facts), out);
        label(out, "error", weir_err_name(-(int)facts->sum.last_err));
        fprintf(out, ",status=\"%llu\"} 1\n",
                (unsigned long long)facts->sum.status);
    }
}

static void write_samples(FILE *out, const struct field *field,
                          const void *object)
{
    const uint64_t *numbers = field_value(field, object);

    if (field->kind == FIELD_HISTOGRAM) {
        write_histogram(out, field, object);
    } else if (field->kind == FIELD_ERROR) {
        write_error(out, field, object);
    } else if (field->kind == FIELD_MS) {
        begin_sample(out, field, "", object);
        end_seconds(out, *numbers);
    } else if (!field->label) {
        end_sample(out, begin_sample(out, field, "", object), *numbers);
    }
    for (size_t i = 0; i < field->count; i++) {
        fputc(begin_sample(out, field, "", object), out);
        label(out, field->label, field->values[i]);
        end_sample(out, ',', numbers[i]);
    }
}

static const char *type_of(const struct field *field)
{
    const size_t len = strlen(field->metric);

    return field->kind == FIELD_HISTOGRAM ? "histogram"
           : len > 6 && strcmp(field->metric + len - 6, "_total") == 0
               ? "counter"
               : "gauge";
}

void metrics_write(const struct metrics *metrics, FILE *out)
{
    for (size_t i = 0; i < fields_count; i++) {
        const struct field *field = &fields[i];
        const void *object;
        if (!field->metric) {
            continue;
        }
        fprintf(out, "# HELP weir_proxy_%s %s\n# TYPE weir_proxy_%s %s\n",
                field->metric, field->help, field->metric, type_of(field));
        for (size_t j = 0; (object = metrics_object(metrics, field->of, j));
             j++) {
            write_samples(out, field, object);
        }
    }
}
