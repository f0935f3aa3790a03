/*
 * Configurations in memory: growing them word by word, and looking at the
 * whole.
 *
 * Defaults are set when something begins, so that 0 can be said.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <weir/error.h>

#define SECOND UINT64_C(1000000000)

bool refuse(char *why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, CONFIG_WHY_SIZE, format, args);
    va_end(args);
    return false;
}

/* Makes room for one more element of @size; NULL without memory. */
static void *grow(void *array, size_t count, size_t size)
{
    return realloc(array, (count + 1) * size);
}

/* ---- texts ---- */

bool config_add_text(struct config_texts *texts, const char *text)
{
    char **larger = grow(texts->texts, texts->count, sizeof(*larger));

    if (!larger) {
        return false;
    }
    texts->texts = larger;
    texts->texts[texts->count] = strdup(text);
    if (!texts->texts[texts->count]) {
        return false;
    }
    texts->count++;
    return true;
}

static void free_texts(struct config_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        free(texts->texts[i]);
    }
    free(texts->texts);
}

/* ---- what was begun last ---- */

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

/* ---- growing ---- */

void config_init(struct config *ret)
{
    *ret = (struct config){.drain_ns = 30 * SECOND};
}

/* Replaces a text of another route by a copy; false without memory. */
static bool copy_text(char **text)
{
    const char *other = *text;

    *text = other ? strdup(other) : NULL;
    return !other || *text;
}

/* Gives a route what was said before the first one, when that has no target.
 * False without memory; the route can be freed all the same. */
static bool inherit(struct config_route *route, const struct config_route *from)
{
    char **texts[] = {&route->check_send, &route->check_expect,
                      &route->check_path, &route->to_ca,
                      &route->to_name,    &route->to_cert,
                      &route->to_key};
    bool is_whole = true;

    *route = *from;
    route->server_name = NULL;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        is_whole = copy_text(texts[i]) && is_whole;
    }
    return is_whole;
}

static bool add_route(struct config_service *service, const char *server_name)
{
    struct config_route *larger =
        grow(service->routes, service->route_count, sizeof(*larger));

    if (!larger) {
        return false;
    }
    service->routes = larger;
    struct config_route *route = &service->routes[service->route_count];
    *route = (struct config_route){
        .tries = 3,
        .queue_timeout_ns = 5 * SECOND,
        .connect_timeout_ns = 10 * SECOND,
        .eject_failures = 3,
        .eject_ns = 10 * SECOND,
        .resolve_ns = 30 * SECOND,
        .check_interval_ns = 2 * SECOND,
        .check_timeout_ns = 2 * SECOND,
        .check_rise = 2,
        .check_fall = 3,
    };
    service->route_count++; /* freed with the service from here on */
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
    struct config_service *larger =
        grow(config->services, config->service_count, sizeof(*larger));

    if (!larger) {
        return false;
    }
    config->services = larger;
    struct config_service *service = &config->services[config->service_count];
    *service = (struct config_service){
        .handshake_timeout_ns = 10 * SECOND,
        .hello_timeout_ns = 5 * SECOND,
        .idle_timeout_ns = 300 * SECOND,
        .half_closed_timeout_ns = 60 * SECOND,
        .stall_timeout_ns = 60 * SECOND,
        .buffer_bytes = 64 << 10,
    };
    service->name = name ? strdup(name) : NULL;
    if ((name && !service->name) || !add_route(service, NULL)) {
        free(service->name);
        return false;
    }
    config->service_count++;
    return true;
}

bool config_begin_route(struct config *config, const char *server_name)
{
    return add_route(config_service(config), server_name);
}

/* Reads an address; its text is the configuration's. */
static bool read_target(const char *text, bool listening, struct target *ret,
                        char *why)
{
    char *copy = strdup(text);

    if (!copy) {
        return refuse(why, "no memory");
    }
    if (target_parse(copy, listening, ret, why) < 0) {
        free(copy);
        return false;
    }
    if (ret->is_datagram) {
        free(copy);
        return refuse(why, "'%.100s': udp:// is not relayed", text);
    }
    return true;
}

bool config_add_listen(struct config *config, const char *text, char *why)
{
    struct config_service *service = config_service(config);
    struct target target;

    if (!read_target(text, true, &target, why)) {
        return false;
    }
    struct target *larger =
        grow(service->listens, service->listen_count, sizeof(*larger));
    if (!larger) {
        free((char *)target.text);
        return refuse(why, "no memory");
    }
    service->listens = larger;
    service->listens[service->listen_count++] = target;
    return true;
}

bool config_add_target(struct config *config, const char *text, char *why)
{
    struct config_route *route = config_route(config);
    struct config_target target = {.weight = 1};

    if (!read_target(text, false, &target.at, why)) {
        return false;
    }
    struct config_target *larger =
        grow(route->targets, route->target_count, sizeof(*larger));
    if (!larger) {
        free((char *)target.at.text);
        return refuse(why, "no memory");
    }
    route->targets = larger;
    route->targets[route->target_count++] = target;
    return true;
}

/* ---- freeing ---- */

static void free_route(struct config_route *route)
{
    for (size_t i = 0; i < route->target_count; i++) {
        free((char *)route->targets[i].at.text);
    }
    free(route->targets);
    free(route->server_name);
    free(route->check_send);
    free(route->check_expect);
    free(route->check_path);
    free(route->to_ca);
    free(route->to_name);
    free(route->to_cert);
    free(route->to_key);
}

static void free_service(struct config_service *service)
{
    for (size_t i = 0; i < service->route_count; i++) {
        free_route(&service->routes[i]);
    }
    for (size_t i = 0; i < service->listen_count; i++) {
        free((char *)service->listens[i].text);
    }
    free(service->routes);
    free(service->listens);
    free(service->name);
    free(service->client_ca);
    free_texts(&service->certs);
    free_texts(&service->keys);
    free_texts(&service->alpn);
    free_texts(&service->trusted);
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++) {
        free_service(&config->services[i]);
    }
    free(config->services);
    free(config->admin);
    free(config->log_path);
    free(config->handover_path);
    free(config->engine);
    *config = (struct config){.services = NULL};
}

/* ---- looking at the whole ---- */

static bool has_tls(const struct config_service *service)
{
    for (size_t i = 0; i < service->listen_count; i++) {
        if (service->listens[i].is_tls) {
            return true;
        }
    }
    return false;
}

static bool opens_tls(const struct config_service *service)
{
    for (size_t i = 0; i < service->route_count; i++) {
        if (!service->routes[i].passes_tls) {
            return has_tls(service);
        }
    }
    return false;
}

static bool check_target(const struct config_target *target,
                         const struct config_route *route, char *why)
{
    if (target->weight > 256) {
        return refuse(why, "weight: %llu is more than 256",
                      (unsigned long long)target->weight);
    }
    if (route->passes_tls && target->at.is_tls) {
        return refuse(why,
                      "'%s': a route with passthrough goes to tcp:// or "
                      "unix:, as the client's TLS is not opened",
                      target->at.text);
    }
    if (target->at.is_tls && target->at.host[0] == '\0' && !route->to_name &&
        !route->to_insecure) {
        return refuse(why, "'%s': say by to-name whose certificate it has",
                      target->at.text);
    }
    return true;
}

static bool has_tls_target(const struct config_route *route)
{
    for (size_t i = 0; i < route->target_count; i++) {
        if (route->targets[i].at.is_tls) {
            return true;
        }
    }
    return false;
}

static bool check_route(const struct config_service *service,
                        const struct config_route *route, char *why)
{
    for (size_t i = 0; i < route->target_count; i++) {
        if (!check_target(&route->targets[i], route, why)) {
            return false;
        }
    }
    if ((route->server_name || route->passes_tls ||
         route->balance == BALANCE_SNI) &&
        !has_tls(service)) {
        return refuse(why, "%s needs a 'listen' with tls://",
                      route->server_name  ? "route"
                      : route->passes_tls ? "passthrough"
                                          : "balance sni");
    }
    if (has_tls_target(route) && route->send_header != HEADER_NONE &&
        route->check > CHECK_TCP) {
        return refuse(why, "with send-proxy targets of TLS are checked by tcp "
                           "alone, as checks send no header");
    }
    if (route->check == CHECK_TEXT && !route->check_send &&
        !route->check_expect) {
        return refuse(why, "check text needs check-send or check-expect");
    }
    if (!has_tls_target(route) &&
        (route->to_ca || route->to_name || route->to_cert || route->to_key ||
         route->to_insecure || route->check == CHECK_TLS)) {
        return refuse(why, "%s needs a target with tls://",
                      route->check == CHECK_TLS ? "check tls" : "to-...");
    }
    return true;
}

/* The first route may have no target where others have; it is removed then. */
static bool drop_empty_route(struct config_service *service, char *why)
{
    for (size_t i = 0; i < service->route_count; i++) {
        const struct config_route *route = &service->routes[i];
        if (route->target_count == 0 && (i > 0 || service->route_count == 1)) {
            return refuse(why, "'%s' has no target; say where to with 'to'",
                          route->server_name ? route->server_name
                                             : service->listens[0].text);
        }
    }
    if (service->routes[0].target_count == 0) {
        free_route(&service->routes[0]);
        service->route_count--;
        memmove(service->routes, service->routes + 1,
                service->route_count * sizeof(*service->routes));
    }
    return true;
}

static bool is_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Two spellings of one address are equal. */
static bool is_same(const struct target *a, const struct target *b)
{
    return a->address.len > 0 || b->address.len > 0
               ? weir_address_is_equal(&a->address, &b->address)
               : a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static bool has_target_twice(const struct config_route *route, char *why)
{
    for (size_t i = 0; i < route->target_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (route->targets[i].at.is_tls == route->targets[j].at.is_tls &&
                is_same(&route->targets[i].at, &route->targets[j].at)) {
                refuse(why, "'%s' is a target twice",
                       route->targets[i].at.text);
                return true;
            }
        }
    }
    return false;
}

/* Metrics tell routes and targets apart by their names. */
static bool check_names(const struct config_service *service, char *why)
{
    for (size_t i = 0; i < service->route_count; i++) {
        const struct config_route *route = &service->routes[i];
        for (size_t j = 0; j < i; j++) {
            if (is_equal(service->routes[j].server_name, route->server_name)) {
                return refuse(why, "two routes are for '%s'",
                              route->server_name ? route->server_name : "*");
            }
        }
        if (has_target_twice(route, why)) {
            return false;
        }
    }
    return true;
}

static bool listens_by_tls_alone(const struct config_service *service)
{
    for (size_t i = 0; i < service->listen_count; i++) {
        if (!service->listens[i].is_tls) {
            return false;
        }
    }
    return true;
}

static bool check_tls(const struct config_service *service, char *why)
{
    if (opens_tls(service) && service->certs.count == 0) {
        return refuse(why, "'%s' needs a certificate: 'cert'",
                      service->listens[0].text);
    }
    if (!has_tls(service) && service->certs.count > 0) {
        return refuse(why, "cert needs a 'listen' with tls://");
    }
    if (service->needs_client_cert && !service->client_ca) {
        return refuse(why, "require-client-cert needs client-ca");
    }
    if (service->client_ca &&
        (!listens_by_tls_alone(service) || service->certs.count == 0)) {
        return refuse(why, "client-ca needs tls:// at every 'listen', and a "
                           "certificate");
    }
    if (service->alpn.count > 0 && service->certs.count == 0) {
        return refuse(why, "alpn needs a certificate");
    }
    return true;
}

static bool check_service(struct config_service *service, char *why)
{
    if (service->listen_count == 0) {
        return refuse(why, "'%s' listens nowhere; say where with 'listen'",
                      service->name ? service->name : "the service");
    }
    if (!drop_empty_route(service, why) || !check_names(service, why) ||
        !check_tls(service, why)) {
        return false;
    }
    for (size_t i = 0; i < service->route_count; i++) {
        if (!check_route(service, &service->routes[i], why)) {
            return false;
        }
    }
    if (service->buffer_bytes < 4096) {
        return refuse(why, "buffer: at least 4096 bytes");
    }
    if (service->trusted.count > 0 && service->accept_header == HEADER_NONE) {
        return refuse(why, "trust needs accept-proxy");
    }
    return true;
}

/* Is the address one that a service listens on, among its first @count? Port 0
 * is another one each time. */
static bool is_taken(const struct target *at,
                     const struct config_service *service, size_t count)
{
    const bool has_port_0 =
        at->port == 0 &&
        (at->address.len == 0 || at->address.storage.any.sa_family != AF_UNIX);

    for (size_t i = 0; i < count && !has_port_0; i++) {
        if (is_same(at, &service->listens[i])) {
            return true;
        }
    }
    return false;
}

/* No address is listened on twice. */
static bool check_listens(const struct config *config, size_t service,
                          char *why)
{
    const struct config_service *own = &config->services[service];

    for (size_t i = 0; i < own->listen_count; i++) {
        bool taken = is_taken(&own->listens[i], own, i);
        for (size_t j = 0; j < service && !taken; j++) {
            taken = is_taken(&own->listens[i], &config->services[j],
                             config->services[j].listen_count);
        }
        if (taken) {
            return refuse(why, "'%s' is listened on twice",
                          own->listens[i].text);
        }
    }
    return true;
}

/* Names of services tell them apart in the log and the metrics. */
static bool name_services(struct config *config, char *why)
{
    for (size_t i = 0; i < config->service_count; i++) {
        struct config_service *service = &config->services[i];
        if (!check_listens(config, i, why)) {
            return false;
        }
        if (!service->name) {
            service->name = strdup(service->listens[0].text);
        }
        if (!service->name) {
            return refuse(why, "no memory");
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(config->services[j].name, service->name) == 0) {
                return refuse(why, "two services are named '%.100s'",
                              service->name);
            }
        }
    }
    return true;
}

bool config_check(struct config *config, char *why)
{
    if (config->service_count == 0) {
        return refuse(why, "there is nothing to do; say 'listen' and 'to'");
    }
    for (size_t i = 0; i < config->service_count; i++) {
        if (!check_service(&config->services[i], why)) {
            return false;
        }
    }
    return name_services(config, why);
}
