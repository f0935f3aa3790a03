/*
 * Names follow Prometheus' rules: a unit at the end, _total for counters, one
 * HELP and TYPE for a family. Texts of the configuration become escaped label
 * values.
 */
#include "metrics.h"

#include "setup.h"

#include "weir/error.h"

#include <stdlib.h>
#include <string.h>

static size_t count_targets(const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            count += service->routes[j].target_count;
        }
    }
    return count;
}

bool metrics_init(struct metrics *metrics, const struct proxy *proxy)
{
    const size_t count = proxy->setup->config->service_count;

    *metrics = (struct metrics){.proxy = proxy,
                                .setup = setup_ref(proxy->setup),
                                .loops = {.size = sizeof(metrics->loops)}};
    metrics->services = calloc(count, sizeof(*metrics->services));
    metrics->queued = calloc(count, sizeof(*metrics->queued));
    metrics->targets =
        calloc(count_targets(proxy->setup->config), sizeof(*metrics->targets));
    metrics->seen = calloc(proxy->worker_count, sizeof(*metrics->seen));
    return metrics->services && metrics->queued && metrics->targets &&
           metrics->seen;
}

bool metrics_clear(struct metrics *metrics)
{
    const struct proxy *proxy = metrics->proxy;

    metrics_free(metrics);
    return metrics_init(metrics, proxy);
}

void metrics_free(struct metrics *metrics)
{
    setup_unref(metrics->setup);
    free(metrics->services);
    free(metrics->queued);
    free(metrics->targets);
    free(metrics->seen);
    *metrics = (struct metrics){.proxy = NULL};
}

/* ---- gathering ----
 *
 * Services of another setup, old or not yet accepting, count as the services of
 * the same names. */

static const struct config_service *
find_service(const struct config *config, const char *name, size_t *ret_index)
{
    for (size_t i = 0; i < config->service_count; i++) {
        if (strcmp(config->services[i].name, name) == 0) {
            *ret_index = i;
            return &config->services[i];
        }
    }
    return NULL;
}

/* Returns true if a route of another setup has the same service and label. */
static bool is_same_route(const struct config_service *service, size_t index,
                          const struct route *route)
{
    return strcmp(service->name, route->service->name) == 0 &&
           strcmp(service->routes[index].label, route->config->label) == 0;
}

/* Returns the sums of a target, or NULL; @sums are those of the route. */
static struct target_sum *find_in_route(const struct config_route *config,
                                        struct target_sum *sums,
                                        const char *text)
{
    size_t i = 0;

    while (i < config->target_count &&
           strcmp(config->targets[i].at.text, text) != 0) {
        i++;
    }
    return i < config->target_count ? &sums[i] : NULL;
}

static struct target_sum *find_target(struct metrics *metrics,
                                      const struct route *route,
                                      const char *text)
{
    const struct config *config = metrics->setup->config;
    struct target_sum *sums = metrics->targets;

    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            if (is_same_route(service, j, route)) {
                return find_in_route(&service->routes[j], sums, text);
            }
            sums += service->routes[j].target_count;
        }
    }
    return NULL;
}

/* @sums are those of the route's targets, or NULL if they must be found. */
static void add_route(struct metrics *metrics, const struct route *route,
                      struct target_sum *sums)
{
    const struct config_route *config = route->config;

    for (size_t i = 0; i < config->target_count; i++) {
        struct target_sum *sum =
            sums ? &sums[i]
                 : find_target(metrics, route, config->targets[i].at.text);
        const weir_upstream *upstream = route->added[i];
        if (!sum || !upstream) {
            continue;
        }
        const struct target_sum before = *sum;
        counts_add_target(sum, upstream);
        if (route->services->is_old) {
            sum->is_up = before.is_up; /* old sets have no new checks */
            sum->addresses = before.addresses;
            sum->in_use = before.in_use;
            sum->in_use_ns = before.in_use_ns;
        } else {
            counts_add_past(sum, &route->past[i]->past);
        }
    }
}

static uint32_t count_queued(const struct route *route)
{
    struct weir_upstreams_info info = {.size = sizeof(info)};

    return route->upstreams &&
                   weir_upstreams_get_info(route->upstreams, &info) == 0
               ? info.queued_count
               : 0;
}

static void add_services(struct metrics *metrics,
                         const struct services *services)
{
    const bool is_same = services && services->setup == metrics->setup;
    struct target_sum *sums = metrics->targets;
    size_t index;

    for (size_t i = 0; services && services->all &&
                       i < services->setup->config->service_count;
         i++) {
        const struct service *service = &services->all[i];
        if (!service->routes || !find_service(metrics->setup->config,
                                              service->config->name, &index)) {
            continue;
        }
        for (size_t j = 0; j < service->config->route_count; j++) {
            const struct route *route = &service->routes[j];
            metrics->queued[index] += count_queued(route);
            if (route->upstreams) {
                add_route(metrics, route, is_same ? sums : NULL);
            }
            sums += is_same ? service->config->routes[j].target_count : 0;
        }
    }
}

/* Services of one name share their counts. */
static void add_counts(struct metrics *metrics, const struct worker *worker)
{
    const struct services *services = worker->services;
    size_t index;

    for (size_t i = 0; services && services->all &&
                       i < services->setup->config->service_count;
         i++) {
        const struct service *service = &services->all[i];
        if (service->counts && find_service(metrics->setup->config,
                                            service->config->name, &index)) {
            counts_add(&metrics->services[index], service->counts);
        }
    }
    metrics->lost_lines += worker->log.lost_lines;
}

void metrics_gather(void *arg, weir_thread *thread)
{
    struct metrics *metrics = arg;
    const uint32_t index = weir_thread_get_index(thread);
    const struct worker *worker = &metrics->proxy->workers[index];

    metrics->seen[index] = true;
    add_counts(metrics, worker);
    add_services(metrics, worker->services);
    for (const struct link *link = worker->old.oldest; link;
         link = link->younger) {
        add_services(metrics, (const struct services *)(const void *)link);
    }
}

void metrics_add_ended(struct metrics *metrics)
{
    const struct proxy *proxy = metrics->proxy;

    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        if (proxy->workers[i].has_ended && !metrics->seen[i]) {
            add_counts(metrics, &proxy->workers[i]);
        }
    }
}

/* ---- writing ---- */

static void family(FILE *out, const char *name, const char *type,
                   const char *help)
{
    fprintf(out, "# HELP weir_proxy_%s %s\n# TYPE weir_proxy_%s %s\n", name,
            help, name, type);
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
    const bool is_none = (first == 0xed && second >= 0xa0) || /* surrogates */
                         (first == 0xf4 && second >= 0x90);
    return is_too_long || is_none ? 0 : len;
}

/* Writes a label. The format requires UTF-8: invalid and control bytes become
 * '?'. */
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

static void sample(FILE *out, const char *name, const char *service,
                   const char *more, const char *value, uint64_t number)
{
    fprintf(out, "weir_proxy_%s{", name);
    label(out, "service", service);
    if (more) {
        fputc(',', out);
        label(out, more, value);
    }
    fprintf(out, "} %llu\n", (unsigned long long)number);
}

static const char *name_of(const struct metrics *metrics, size_t service)
{
    return metrics->setup->config->services[service].name;
}

/* Writes a family of services; @offset is its field in struct counts. */
static void write_plain(const struct metrics *metrics, FILE *out,
                        const char *name, const char *type, const char *help,
                        size_t offset)
{
    family(out, name, type, help);
    for (size_t i = 0; i < metrics->setup->config->service_count; i++) {
        uint64_t number;
        memcpy(&number, (const char *)&metrics->services[i] + offset,
               sizeof(number));
        sample(out, name, name_of(metrics, i), NULL, NULL, number);
    }
}

static void write_connections(const struct metrics *metrics, FILE *out)
{
    write_plain(metrics, out, "connections_total", "counter",
                "Connections that were accepted.",
                offsetof(struct counts, accepted));
    write_plain(metrics, out, "connections_active", "gauge",
                "Connections that have not ended.",
                offsetof(struct counts, active));
    family(out, "close_total", "counter", "Connections that ended, by reason.");
    for (size_t i = 0; i < metrics->setup->config->service_count; i++) {
        for (int j = 0; j < END_REASONS; j++) {
            sample(out, "close_total", name_of(metrics, i), "reason",
                   end_reason_name((enum end_reason)j),
                   metrics->services[i].ended[j]);
        }
    }
}

static void write_accept_errors(const struct metrics *metrics, FILE *out)
{
    family(out, "accept_errors_total", "counter",
           "Times that connections could not be accepted or set up, by error; "
           "a lack of descriptors or memory counts once until it is over.");
    for (size_t i = 0; i < metrics->setup->config->service_count; i++) {
        for (int j = 0; j < COUNTS_ERRORS; j++) {
            sample(out, "accept_errors_total", name_of(metrics, i), "errno",
                   counts_error_names[j],
                   metrics->services[i].accept_errors[j]);
        }
    }
}

static void write_bytes(const struct metrics *metrics, FILE *out)
{
    family(out, "bytes_total", "counter",
           "Bytes of connections that ended, by direction.");
    for (size_t i = 0; i < metrics->setup->config->service_count; i++) {
        const struct counts *counts = &metrics->services[i];
        sample(out, "bytes_total", name_of(metrics, i), "dir", "in",
               counts->in_bytes);
        sample(out, "bytes_total", name_of(metrics, i), "dir", "out",
               counts->out_bytes);
    }
}

static void write_handshakes(const struct metrics *metrics, FILE *out)
{
    family(out, "tls_handshakes_total", "counter",
           "TLS handshakes with clients, by result.");
    for (size_t i = 0; i < metrics->setup->config->service_count; i++) {
        const struct counts *counts = &metrics->services[i];
        sample(out, "tls_handshakes_total", name_of(metrics, i), "result",
               "full", counts->full_handshakes);
        sample(out, "tls_handshakes_total", name_of(metrics, i), "result",
               "resumed", counts->resumed_handshakes);
        sample(out, "tls_handshakes_total", name_of(metrics, i), "result",
               "failed", counts->failed_handshakes);
    }
}

static void write_connects(const struct metrics *metrics, FILE *out)
{
    family(out, "connect_seconds", "histogram",
           "Time to connect to a target, of connections that ended.");
    for (size_t i = 0; i < metrics->setup->config->service_count; i++) {
        const struct counts *counts = &metrics->services[i];
        uint64_t sum = 0;
        for (int j = 0; j < COUNTS_BUCKETS; j++) {
            char limit[16];
            sum += counts->connects[j];
            snprintf(limit, sizeof(limit), "%g", counts_bucket_ms[j] / 1e3);
            sample(out, "connect_seconds_bucket", name_of(metrics, i), "le",
                   limit, sum);
        }
        sum += counts->connects[COUNTS_BUCKETS];
        sample(out, "connect_seconds_bucket", name_of(metrics, i), "le", "+Inf",
               sum);
        fputs("weir_proxy_connect_seconds_sum{", out);
        label(out, "service", name_of(metrics, i));
        fprintf(out, "} %.9f\n", (double)counts->connect_ns / 1e9);
        sample(out, "connect_seconds_count", name_of(metrics, i), NULL, NULL,
               sum);
    }
}

static void write_queues(const struct metrics *metrics, FILE *out)
{
    family(out, "queue_length", "gauge", "Connections that wait for a target.");
    for (size_t i = 0; i < metrics->setup->config->service_count; i++) {
        sample(out, "queue_length", name_of(metrics, i), NULL, NULL,
               metrics->queued[i]);
    }
    write_plain(metrics, out, "queued_total", "counter",
                "Connections that ended and had waited for a target.",
                offsetof(struct counts, queued));
    family(out, "queue_seconds_total", "counter",
           "Time that connections which ended had waited for a target.");
    for (size_t i = 0; i < metrics->setup->config->service_count; i++) {
        fputs("weir_proxy_queue_seconds_total{", out);
        label(out, "service", name_of(metrics, i));
        fprintf(out, "} %.9f\n", (double)metrics->services[i].queue_ns / 1e9);
    }
}

/* Writes the start of a target's sample: name and labels. */
static void label_target(FILE *out, const char *name,
                         const struct config_service *service,
                         const struct config_route *route, size_t target)
{
    fprintf(out, "weir_proxy_%s{", name);
    label(out, "service", service->name);
    fputc(',', out);
    label(out, "route", route->label);
    fputc(',', out);
    label(out, "target", route->targets[target].at.text);
}

/* Writes a family of all targets; @offset is its field in struct target_sum. */
static void write_targets(const struct metrics *metrics, FILE *out,
                          const char *name, const char *type, const char *help,
                          size_t offset)
{
    const struct config *config = metrics->setup->config;
    size_t target = 0;

    family(out, name, type, help);
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            const struct config_route *route = &service->routes[j];
            for (size_t k = 0; k < route->target_count; k++, target++) {
                uint64_t number;
                memcpy(&number,
                       (const char *)&metrics->targets[target] + offset,
                       sizeof(number));
                label_target(out, name, service, route, k);
                fprintf(out, "} %llu\n", (unsigned long long)number);
            }
        }
    }
}

static void write_last_error(FILE *out, const struct config_service *service,
                             const struct config_route *route, size_t target,
                             const struct target_sum *sum)
{
    if (sum->last_err > 0) {
        label_target(out, "upstream_last_error", service, route, target);
        fputc(',', out);
        label(out, "error", weir_err_name(-(int)sum->last_err));
        fprintf(out, ",status=\"%llu\"} 1\n", (unsigned long long)sum->status);
    }
}

static void write_last_errors(const struct metrics *metrics, FILE *out)
{
    const struct config *config = metrics->setup->config;
    const struct target_sum *sum = metrics->targets;

    family(out, "upstream_last_error", "gauge",
           "1: the last error of the target, and the status of its last "
           "check.");
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            const struct config_route *route = &service->routes[j];
            for (size_t k = 0; k < route->target_count; k++) {
                write_last_error(out, service, route, k, sum++);
            }
        }
    }
}

static void write_all_targets(const struct metrics *metrics, FILE *out)
{
    static const struct {
        const char *name;
        const char *type;
        const char *help;
        size_t offset;
    } families[] = {
        {"upstream_up", "gauge", "1: the target is up, 0: it is not.",
         offsetof(struct target_sum, is_up)},
        {"upstream_addresses", "gauge", "Addresses of the target.",
         offsetof(struct target_sum, addresses)},
        {"upstream_active", "gauge", "Connections to the target.",
         offsetof(struct target_sum, active)},
        {"upstream_chosen_total", "counter", "Times the target was chosen.",
         offsetof(struct target_sum, chosen)},
        {"upstream_connect_errors_total", "counter",
         "Connects to the target that failed.",
         offsetof(struct target_sum, connect_errors)},
        {"upstream_errors_total", "counter",
         "TLS handshakes after a PROXY header that failed.",
         offsetof(struct target_sum, reported_errors)},
        {"upstream_ejections_total", "counter", "Times the target was ejected.",
         offsetof(struct target_sum, ejections)},
        {"upstream_checks_total", "counter", "Checks that succeeded.",
         offsetof(struct target_sum, checks)},
        {"upstream_checks_failed_total", "counter", "Checks that failed.",
         offsetof(struct target_sum, check_errors)},
        {"upstream_checks_skipped_total", "counter",
         "Checks that could not be made, as this machine lacked something.",
         offsetof(struct target_sum, checks_skipped)},
        {"upstream_in_use", "gauge",
         "1: balance first uses the target, 0: it does not, or there is "
         "another balance.",
         offsetof(struct target_sum, in_use)},
    };

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        write_targets(metrics, out, families[i].name, families[i].type,
                      families[i].help, families[i].offset);
    }
    write_last_errors(metrics, out);
}

/* Received bytes of a relay are counted as held until they are sent, so queued
 * bytes that are held are not counted again. */
uint64_t metrics_buffer_bytes(const struct metrics *metrics)
{
    const struct weir_loop_statistics *loops = &metrics->loops;

    return loops->held_bytes + loops->queued_bytes - loops->queued_held_bytes;
}

void metrics_write(const struct metrics *metrics, FILE *out)
{
    write_connections(metrics, out);
    write_accept_errors(metrics, out);
    write_bytes(metrics, out);
    write_handshakes(metrics, out);
    write_connects(metrics, out);
    write_queues(metrics, out);
    write_all_targets(metrics, out);
    family(out, "buffer_bytes", "gauge",
           "Bytes that were received or wait to be sent, in all connections.");
    fprintf(out, "weir_proxy_buffer_bytes %llu\n",
            (unsigned long long)metrics_buffer_bytes(metrics));
    family(out, "memory_limit_bytes", "gauge",
           "What buffer_bytes may be at most (--memory-limit).");
    fprintf(out, "weir_proxy_memory_limit_bytes %llu\n",
            (unsigned long long)metrics->proxy->memory_limit_bytes);
    family(out, "memory_bytes", "gauge", "Memory of the loops.");
    fprintf(out, "weir_proxy_memory_bytes %llu\n",
            (unsigned long long)metrics->loops.memory_bytes);
    family(out, "log_lines_lost_total", "counter",
           "Lines of the log that could not be written.");
    fprintf(out, "weir_proxy_log_lines_lost_total %llu\n",
            (unsigned long long)metrics->lost_lines);
}
