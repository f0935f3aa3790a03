/*
 * Configurations in memory, built directive by directive.
 *
 * A section gets its defaults and its line number when it begins. A directive
 * can therefore set a value of 0, and later messages can name the line.
 */
#include "config.h"

#include "tools/weir-proxy/base/array.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>

#define SECOND UINT64_C(1000000000)

bool config_add_text(struct config_texts *texts, const char *text)
{
    char *copy = strdup(text);
    char **one =
        copy ? array_add(&texts->texts, &texts->count, sizeof(*one)) : NULL;

    if (!one) {
        free(copy);
        return false;
    }
    *one = copy;
    return true;
}

void config_free_texts(struct config_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        free(texts->texts[i]);
    }
    free(texts->texts);
}

static void free_steps(struct config_route *route)
{
    for (size_t i = 0; i < route->check_step_count; i++) {
        free(route->check_steps[i].send);
        free(route->check_steps[i].expect);
    }
    free(route->check_steps);
    route->check_steps = NULL;
    route->check_step_count = 0;
}

/* Appends a step after removing inherited ones. Returns NULL if out of memory
 * or if there are too many steps. */
static struct config_step *add_step(struct config_route *route)
{
    if (route->inherits_steps) {
        free_steps(route);
        route->inherits_steps = false;
    }
    return route->check_step_count < WEIR_UPSTREAM_CHECK_STEPS_MAX
               ? array_add(&route->check_steps, &route->check_step_count,
                           sizeof(*route->check_steps))
               : NULL;
}

bool config_add_send(struct config *config, char *text, size_t size)
{
    struct config_step *step = add_step(config_route(config));

    if (!step) {
        free(text);
        return false;
    }
    step->send = text;
    step->send_size = size;
    return true;
}

bool config_add_expect(struct config *config, char *text, size_t size,
                       bool begins)
{
    struct config_route *route = config_route(config);
    struct config_step *step =
        route->check_step_count > 0 && !route->inherits_steps
            ? &route->check_steps[route->check_step_count - 1]
            : NULL;

    if (!step || step->expect) {
        step = add_step(route);
    }
    if (!step) {
        free(text);
        return false;
    }
    step->expect = text;
    step->expect_size = size;
    step->begins = begins;
    return true;
}

static void *copy_bytes(const void *bytes, size_t size)
{
    void *copy = bytes ? malloc(size + 1) : NULL;

    return copy ? memcpy(copy, bytes, size) : NULL;
}

static bool inherit_steps(struct config_route *route,
                          const struct config_route *from)
{
    route->check_step_count = 0;
    route->check_steps =
        calloc(from->check_step_count + 1, sizeof(*route->check_steps));
    if (!route->check_steps) {
        return false;
    }
    for (size_t i = 0; i < from->check_step_count; i++) {
        struct config_step *step = &route->check_steps[i];
        *step = from->check_steps[i];
        step->send = copy_bytes(from->check_steps[i].send, step->send_size);
        step->expect =
            copy_bytes(from->check_steps[i].expect, step->expect_size);
        route->check_step_count++;
        if (!step->send != !from->check_steps[i].send ||
            !step->expect != !from->check_steps[i].expect) {
            return false;
        }
    }
    route->inherits_steps = true;
    return true;
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

/* The texts that a route owns and that routes after it inherit. */
static const size_t inherited[] = {
    offsetof(struct config_route, check_user),
    offsetof(struct config_route, check_path),
    offsetof(struct config_route, check_host),
    offsetof(struct config_route, check_ca),
    offsetof(struct config_route, check_name),
    offsetof(struct config_route, to_ca),
    offsetof(struct config_route, to_crl),
    offsetof(struct config_route, to_ciphers),
    offsetof(struct config_route, to_groups),
    offsetof(struct config_route, to_name),
    offsetof(struct config_route, to_cert),
    offsetof(struct config_route, to_key),
    offsetof(struct config_route, to_key_words),
    offsetof(struct config_route, to_key_log),
};

#define INHERITED_COUNT (sizeof(inherited) / sizeof(inherited[0]))

static char **text_of(struct config_route *route, size_t number)
{
    return (char **)(void *)((char *)route + inherited[number]);
}

static void free_route(struct config_route *route)
{
    for (size_t i = 0; i < route->target_count; i++) {
        free((char *)route->targets[i].at.text);
        free(route->targets[i].tls_name);
        free(route->targets[i].tls_ca);
        config_free_texts(&route->targets[i].allowed);
    }
    for (size_t i = 0; i < INHERITED_COUNT; i++) {
        free(*text_of(route, i));
    }
    free(route->targets);
    free(route->server_name);
    free(route->label);
    free(route->begins);
    config_free_texts(&route->alpn);
    free(route->group);
    free_steps(route);
}

void config_init(struct config *ret)
{
    *ret = (struct config){.drain_ns = 30 * SECOND, .client_table = 100000};
}

/* Copies the settings that come before the first 'route' directive. Returns
 * false if out of memory; the route must be freed even then. */
static bool inherit(struct config_route *route, const struct config_route *from)
{
    *route = *from; /* @from has no client settings, because no 'route' began
                     * it */
    bool is_whole = inherit_steps(route, from);
    route->server_name = NULL;
    route->group = NULL;
    for (size_t i = 0; i < INHERITED_COUNT; i++) {
        char **text = text_of(route, i);
        const char *other = *text;
        *text = other ? strdup(other) : NULL;
        is_whole = (!other || *text) && is_whole;
    }
    return is_whole;
}

static struct config_route new_route(void)
{
    return (struct config_route){
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

static bool add_route(struct config_service *service, const char *server_name)
{
    struct config_route *route =
        array_add(&service->routes, &service->route_count, sizeof(*route));

    if (!route) {
        return false;
    }
    *route = new_route();
    if (service->route_count > 1 && service->routes[0].target_count == 0 &&
        !inherit(route, &service->routes[0])) {
        return false;
    }
    if (server_name && strcmp(server_name, "*") != 0) {
        route->server_name = strdup(server_name);
        return route->server_name != NULL;
    }
    return true;
}

bool config_begin_service(struct config *config, const char *name)
{
    struct config_service *service =
        array_add(&config->services, &config->service_count, sizeof(*service));

    if (!service) {
        return false;
    }
    *service = (struct config_service){
        .line = config->line,
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
    service->name = name ? strdup(name) : NULL;
    if ((name && !service->name) || !add_route(service, NULL)) {
        free(service->name);
        config->service_count--;
        return false;
    }
    service->routes[0].line = config->line;
    return true;
}

bool config_begin_route(struct config *config, const char *server_name)
{
    const bool is_added = add_route(config_service(config), server_name);

    config_route(config)->line = config->line;
    config_route(config)->is_begun = true;
    return is_added;
}

bool config_begin_group(struct config *config, const char *group)
{
    struct config_route *route = config_route(config);
    const struct config_route before = *route;

    route->server_name = NULL;
    route->begins = NULL;
    route->alpn = (struct config_texts){.texts = NULL};
    free_route(route);
    *route = new_route();
    route->line = before.line;
    route->server_name = before.server_name;
    route->is_begun = before.is_begun;
    route->as = before.as;
    route->begins = before.begins;
    route->begin_count = before.begin_count;
    route->alpn = before.alpn;
    route->passes_tls = before.passes_tls;
    route->send_header = before.send_header;
    route->send_tlvs = before.send_tlvs;
    route->ends_waiting = before.ends_waiting;
    route->group = strdup(group);
    return route->group != NULL;
}

bool config_add_begin(struct config *config, const void *bytes, size_t len)
{
    struct config_route *route = config_route(config);
    struct config_begin *begin =
        array_add(&route->begins, &route->begin_count, sizeof(*begin));

    if (!begin) {
        return false;
    }
    begin->len = len;
    memcpy(begin->bytes, bytes, len);
    return true;
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
static bool read_target(const char *text, bool listening, struct target *ret,
                        char *why)
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
    char *copy = strdup(text);
    if (!copy) {
        return option_refuse(why, "no memory");
    }
    /* any:// is parsed like tls://, and sni:PORT like a name. */
    if ((is_any          ? read_as("tls", copy + 3, copy, true, ret, why)
         : names_service ? read_service(copy, ret, why)
         : names_sni     ? read_as("tcp://", copy, copy, false, ret, why)
                         : target_parse(copy, listening, ret, why)) < 0) {
        free(copy);
        return false;
    }
    ret->is_any = is_any;
    return true;
}

bool config_add_listen(struct config *config, const char *text, char *why)
{
    struct config_service *service = config_service(config);
    struct target target;

    if (!read_target(text, true, &target, why)) {
        return false;
    }
    struct target *one =
        array_add(&service->listens, &service->listen_count, sizeof(*one));
    if (!one) {
        free((char *)target.text);
        return option_refuse(why, "no memory");
    }
    *one = target;
    return true;
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
    if (!read_target(text, false, &target.at, why)) {
        return false;
    }
    struct config_target *one =
        array_add(&route->targets, &route->target_count, sizeof(*one));
    if (!one) {
        free((char *)target.at.text);
        return option_refuse(why, "no memory");
    }
    *one = target;
    return true;
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

void config_drop_first_route(struct config_service *service)
{
    free_route(&service->routes[0]);
    service->has_dropped_route = true;
    service->route_count--;
    memmove(service->routes, service->routes + 1,
            service->route_count * sizeof(*service->routes));
}

static void free_service(struct config_service *service)
{
    char *texts[] = {service->name,        service->client_ca,
                     service->key_words,   service->key_log,
                     service->ciphers,     service->groups,
                     service->client_share};
    struct config_texts *lists[] = {
        &service->client_crls,  &service->client_names, &service->certs,
        &service->keys,         &service->alpn,         &service->trusted,
        &service->client_allow, &service->client_deny,  &service->client_free};

    for (size_t i = 0; i < service->route_count; i++) {
        free_route(&service->routes[i]);
    }
    for (size_t i = 0; i < service->listen_count; i++) {
        free((char *)service->listens[i].text);
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free(texts[i]);
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        config_free_texts(lists[i]);
    }
    free(service->routes);
    hashes_free(&service->by_name);
    free(service->listens);
}

void config_free(struct config *config)
{
    char *texts[] = {
        config->admin,         config->log_path,     config->log_names,
        config->handover_path, config->control_path, config->resolver,
        config->user,          config->group,        config->chroot};

    for (size_t i = 0; i < config->service_count; i++) {
        free_service(&config->services[i]);
    }
    for (size_t i = 0; i < config->part_count; i++) {
        free(config->parts[i].path);
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free(texts[i]);
    }
    free(config->parts);
    config_free_texts(&config->folders);
    free(config->services);
    free(config->routes);
    config_free_texts(&config->said);
    free(config->words);
    *config = (struct config){.services = NULL};
}

bool config_begin_part(struct config *config, const char *path, unsigned line)
{
    char *copy = strdup(path);
    struct config_part *part =
        copy ? array_add(&config->parts, &config->part_count, sizeof(*part))
             : NULL;

    if (!part) {
        free(copy);
        return false;
    }
    *part = (struct config_part){copy, config->line_count + 1, line};
    return true;
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
