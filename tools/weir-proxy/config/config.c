/*
 * Configurations in memory, built directive by directive.
 *
 * A section gets its defaults and its line number when it begins. A directive
 * can therefore set a value of 0, and later messages can name the line.
 */
#include "config.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

bool config_add_text(struct arena *arena, struct config_texts *texts,
                     const char *text)
{
    char *copy = arena_copy_text(arena, text);

    return copy &&
           arena_add(arena, &texts->texts, &texts->count, &copy, sizeof(copy));
}

struct config_service *config_service(struct config *config)
{
    return config->service_count > 0
               ? &config->services[config->service_count - 1]
               : NULL;
}

struct config_route *config_route(struct config *config)
{
    struct config_service *service = config_service(config);

    return service ? &service->routes[service->route_count - 1] : NULL;
}

struct config_target *config_target(struct config *config)
{
    struct config_route *route = config_route(config);

    return route && route->target_count > 0
               ? &route->targets[route->target_count - 1]
               : NULL;
}

/* Steps that the base has, too, are replaced as a whole. */
struct config_step *config_add_step(struct config *config, bool expects)
{
    static const struct config_step step;
    struct config_route *route = config_route(config);

    if (route->check_steps == config_service(config)->base.check_steps) {
        route->check_steps = NULL;
        route->check_step_count = 0;
    }
    const size_t count = route->check_step_count;
    if (expects && count > 0 && !route->check_steps[count - 1].expect) {
        return &route->check_steps[count - 1];
    }
    return count < WEIR_UPSTREAM_CHECK_STEPS_MAX
               ? arena_add(&config->arena, &route->check_steps,
                           &route->check_step_count, &step, sizeof(step))
               : NULL;
}

void config_init(struct config *ret)
{
    *ret = (struct config){.drain_ns = 30 * SECOND, .client_table = 100000};
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++) {
        hashes_free(&config->services[i].by_name);
    }
    arena_free(&config->arena);
    *config = (struct config){.services = NULL};
}

/* Returns a route with the default settings for targets, and with the settings
 * for clients of @of. */
static struct config_route new_route(const struct config_route *of)
{
    return (struct config_route){
        .line = of->line,
        .server_name = of->server_name,
        .is_begun = of->is_begun,
        .as = of->as,
        .begins = of->begins,
        .begin_count = of->begin_count,
        .alpn = of->alpn,
        .passes_tls = of->passes_tls,
        .send_header = of->send_header,
        .send_tlvs = of->send_tlvs,
        .ends_waiting = of->ends_waiting,
        .queue_timeout_ns = 5 * SECOND,
        .check_min_status = 200,
        .check_max_status = 399,
        .connect_timeout_ns = 10 * SECOND,
        .eject_failures = CONFIG_UNSAID,
        .eject_ns = 10 * SECOND,
        .resolve_ns = 30 * SECOND,
        .check_interval_ns = 2 * SECOND,
        .check_timeout_ns = 2 * SECOND,
        .check_rise = 2,
        .check_fall = 3,
    };
}

static struct config_route *add_route(struct config *config,
                                      struct config_service *service)
{
    const struct config_route route =
        new_route(&(struct config_route){.line = config->line});

    return arena_add(&config->arena, &service->routes, &service->route_count,
                     &route, sizeof(route));
}

bool config_begin_service(struct config *config, const char *name)
{
    struct config_service service = {
        .line = config->line,
        .name = name ? arena_copy_text(&config->arena, name) : NULL,
        .handshake_timeout_ns = 10 * SECOND,
        .hello_timeout_ns = 5 * SECOND,
        .silent_after_ns = 300 * (SECOND / 1000),
        .idle_timeout_ns = 300 * SECOND,
        .half_closed_timeout_ns = 60 * SECOND,
        .stall_timeout_ns = 60 * SECOND,
        .keepalive_idle_ns = 300 * SECOND,
        .keepalive_interval_ns = 30 * SECOND,
        .keepalive_count = 4,
        .client_prefix4 = 32,
        .client_prefix6 = 64,
        .buffer_bytes = 64 << 10,
    };

    return !name == !service.name && add_route(config, &service) &&
           arena_add(&config->arena, &config->services, &config->service_count,
                     &service, sizeof(service));
}

bool config_begin_route(struct config *config, const char *server_name)
{
    struct config_service *service = config_service(config);
    const struct config_route *first = &service->routes[0];
    const bool is_first = !first->is_begun && first->target_count == 0;
    char *name = arena_copy_text(&config->arena, server_name);

    if (is_first) {
        service->base = *first;
    }
    struct config_route *route =
        is_first ? service->routes : add_route(config, service);
    if (!name || !route) {
        return false;
    }
    if (service->routes[0].is_begun) {
        *route = service->base;
    }
    route->line = config->line;
    route->is_begun = true;
    route->server_name = strcmp(name, "*") == 0 ? NULL : name;
    return true;
}

bool config_begin_group(struct config *config, const char *group)
{
    struct config_route *route = config_route(config);

    *route = new_route(route);
    route->group = arena_copy_text(&config->arena, group);
    return route->group != NULL;
}

bool config_add_begin(struct config *config, const void *bytes, size_t len)
{
    struct config_route *route = config_route(config);
    struct config_begin begin = {.len = len};

    memcpy(begin.bytes, bytes, len);
    return arena_add(&config->arena, &route->begins, &route->begin_count,
                     &begin, sizeof(begin));
}

/* Parses a text that is made of @prefix and @rest. The result and messages have
 * @text. */
static int read_as(const char *prefix, const char *rest, const char *text,
                   bool listening, struct target *ret, char *why)
{
    char whole[TARGET_HOST_SIZE + 32];

    snprintf(whole, sizeof(whole), "%s%.*s", prefix, TARGET_HOST_SIZE + 16,
             rest);
    return target_parse_rewritten(whole, text, listening, ret, why);
}

static bool is_service(const char *text)
{
    return strncmp(text, "srv://", 6) == 0 ||
           strncmp(text, "tls+srv://", 10) == 0;
}

/* Parses the name of an SRV record. Sets ret->host to the name without its
 * first labels that begin with '_', and ret->port to 0. */
static int read_service(const char *text, struct target *ret, char *why)
{
    const char *name = strstr(text, "://") + 3;
    char host[TARGET_HOST_SIZE + 32];

    if (strpbrk(name, ":/[]")) {
        option_refuse(
            why,
            "'%.100s': a DNS service has only a name, such as "
            "srv://_postgres._tcp.db.example; the ports are in its records",
            text);
        return -1;
    }
    snprintf(host, sizeof(host), "%s://%.*s:1", text[0] == 't' ? "tls" : "tcp",
             TARGET_HOST_SIZE, name);
    const int err = target_parse_rewritten(host, text, false, ret, why);
    if (err >= 0 && ret->address.len > 0) {
        option_refuse(why, "'%.100s': an address is not a DNS service", text);
        return -1;
    }
    if (err >= 0) {
        const char *domain = ret->host;
        while (domain[0] == '_' && strchr(domain, '.') &&
               strchr(domain, '.')[1]) {
            domain = strchr(domain, '.') + 1;
        }
        memmove(ret->host, domain, strlen(domain) + 1);
        ret->service = name;
        ret->port = 0;
    }
    return err;
}

static bool is_sni(const char *text)
{
    return strncmp(text, "sni:", 4) == 0;
}

/* ret->text becomes a copy of @text that the configuration owns. */
static bool read_target(struct config *config, const char *text, bool listening,
                        struct target *ret, char *why)
{
    const bool is_any = listening && strncmp(text, "any://", 6) == 0;

    const bool names_service = !listening && is_service(text);
    const bool names_sni = !listening && is_sni(text);

    if (!is_any && !names_service && !names_sni &&
        (!target_has_scheme(text) || strncmp(text, "udp:", 4) == 0)) {
        return option_refuse(
            why,
            "'%.100s' is not %s; write tcp://HOST:PORT, "
            "tls://HOST:PORT, %sunix:PATH or tls+unix:PATH",
            text, listening ? "an address to listen at" : "a target",
            listening ? "any://HOST:PORT, "
                      : "srv://NAME, tls+srv://NAME, sni:PORT, ");
    }
    const char *copy = arena_copy_text(&config->arena, text);
    if (!copy) {
        return option_refuse(why, "no memory");
    }
    /* any:// is parsed like tls://, and sni:PORT like a name. */
    if ((is_any          ? read_as("tls", copy + 3, copy, true, ret, why)
         : names_service ? read_service(copy, ret, why)
         : names_sni     ? read_as("tcp://", copy, copy, false, ret, why)
                         : target_parse(copy, listening, ret, why)) < 0) {
        return false;
    }
    ret->is_any = is_any;
    return true;
}

bool config_add_listen(struct config *config, const char *text, char *why)
{
    struct config_service *service = config_service(config);
    size_t line_count = service->listen_count;
    struct target target;

    return read_target(config, text, true, &target, why) &&
           ((arena_add(&config->arena, &service->listen_lines, &line_count,
                       &config->line, sizeof(config->line)) &&
             arena_add(&config->arena, &service->listens,
                       &service->listen_count, &target, sizeof(target))) ||
            option_refuse(why, "no memory"));
}

bool config_add_target(struct config *config, const char *text, char *why)
{
    struct config_route *route = config_route(config);
    struct config_target target = {
        .line = config->line, .weight = 1, .is_sni = is_sni(text)};

    if (route->target_count > 0 &&
        (target.is_sni || route->targets[0].is_sni)) {
        return option_refuse(why, "sni:PORT is the only target of its route");
    }
    return read_target(config, text, false, &target.at, why) &&
           (arena_add(&config->arena, &route->targets, &route->target_count,
                      &target, sizeof(target)) ||
            option_refuse(why, "no memory"));
}

bool config_logs_in(enum weir_upstream_check_kind kind)
{
    return kind == WEIR_UPSTREAM_CHECK_POSTGRES ||
           kind == WEIR_UPSTREAM_CHECK_MYSQL;
}

const char *config_key_log(const struct config_service *service, size_t number)
{
    return number == 0 ? service->key_log
                       : service->routes[number - 1].to_key_log;
}

enum config_header config_header_of(const struct config_route *route,
                                    const struct config_target *target)
{
    return config_own_header(target->send_header, route->send_header);
}

const char *config_tls_name_of(const struct config_route *route,
                               const struct config_target *target)
{
    return target->tls_name     ? target->tls_name
           : route->to_name     ? route->to_name
           : target->at.host[0] ? target->at.host
                                : NULL;
}

bool config_is_insecure(const struct config_route *route,
                        const struct config_target *target)
{
    return route->to_insecure && !target->tls_ca;
}

uint32_t config_count_tries(const struct config_route *route)
{
    return route->tries > 0                  ? (uint32_t)route->tries
           : route->balance == BALANCE_FIRST ? 1
                                             : 3;
}

uint32_t config_count_failures(const struct config_route *route)
{
    const bool is_sni = route->target_count > 0 && route->targets[0].is_sni;

    if (route->eject_failures == CONFIG_UNSAID) {
        return is_sni || route->balance == BALANCE_FIRST ? UINT32_MAX : 3;
    }
    return route->eject_failures > 0 ? (uint32_t)route->eject_failures
                                     : UINT32_MAX;
}

uint32_t config_count_threads(const struct config *config)
{
    cpu_set_t set;

    if (config->thread_count > 0) {
        return (uint32_t)config->thread_count;
    }
    return sched_getaffinity(0, sizeof(set), &set) == 0
               ? (uint32_t)CPU_COUNT(&set)
               : 1;
}

bool config_begin_part(struct config *config, const char *path, unsigned line)
{
    const struct config_part part = {arena_copy_text(&config->arena, path),
                                     config->line_count + 1, line};

    return part.path && arena_add(&config->arena, &config->parts,
                                  &config->part_count, &part, sizeof(part));
}

const char *config_place(const struct config *config, unsigned line,
                         char *ret_text)
{
    const struct config_part *part = NULL;

    ret_text[0] = '\0';
    for (size_t i = 0; i < config->part_count; i++) {
        if (config->parts[i].first <= line) {
            part = &config->parts[i];
        }
    }
    if (part) {
        snprintf(ret_text, CONFIG_PLACE_SIZE, "%.200s:%u: ", part->path,
                 part->line + (line - part->first));
    } else if (config->file) {
        snprintf(ret_text, CONFIG_PLACE_SIZE, "%.200s: ", config->file);
    }
    return ret_text;
}

bool config_refuse(const struct config *config, char *why, const char *format,
                   ...)
{
    char place[CONFIG_PLACE_SIZE];
    char reason[OPTION_WHY_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    return option_refuse(why, "%s%.250s",
                         config_place(config, config->line, place), reason);
}

int config_read_admin(const char *text, struct weir_address *ret)
{
    char local[64];

    if (strspn(text, "0123456789") == strlen(text)) {
        snprintf(local, sizeof(local), "127.0.0.1:%.32s", text);
        text = local;
    }
    const int err = weir_address_parse_with_port(text, ret);
    if (err == 0) {
        weir_address_unmap(ret);
    }
    return err;
}
