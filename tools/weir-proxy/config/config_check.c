/*
 * Checks of a complete configuration.
 *
 * Each check sets config->line to the line of the directive that it checks
 * next, so that a refusal names the line.
 */
#include "check_plan.h"
#include "config.h"
#include "needs.h"

#include "tools/common/console.h"
#include "tools/common/key_log.h"
#include "tools/common/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Checks that a service has addresses, and that its routes have targets. */
static bool has_ends(struct config *config,
                     const struct config_service *service, char *why)
{
    config->line = service->line;
    if (service->listen_count == 0) {
        return option_refuse(why, "'%s' has no address; add 'listen'",
                             service->name ? service->name : "the service");
    }
    for (size_t i = 0; i < service->route_count; i++) {
        const struct config_route *route = &service->routes[i];
        config->line = route->line;
        if (route->target_count == 0) {
            return option_refuse(why, "'%s' has no target; add 'to'",
                                 route->server_name ? route->server_name
                                                    : service->listens[0].text);
        }
    }
    return true;
}

/* Returns the same text for an address in any spelling, or NULL if out of
 * memory. */
static char *place_of(struct config *config, const struct target *at)
{
    char text[TARGET_HOST_SIZE + WEIR_ADDRESS_TEXT_SIZE + 16] = "tls";
    const size_t len = at->is_tls ? 3 : 0;

    if (at->address.len > 0) {
        weir_address_format(&at->address, text + len, sizeof(text) - len);
    } else {
        snprintf(text + len, sizeof(text) - len, "%s %u", at->host, at->port);
    }
    for (char *c = text; *c && at->address.len == 0; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return arena_copy_text(&config->arena, text);
}

/* Metrics distinguish a route's targets by name, so each must be unique. */
static bool has_each_once(struct config *config,
                          const struct config_route *route, char *why)
{
    bool is_good = true;

    for (size_t i = 0; i < route->target_count; i++) {
        struct config_target *target = &route->targets[i];
        target->place = place_of(config, &target->at);
        is_good = target->place && is_good;
    }
    size_t *firsts = is_good ? hashes_find_firsts(&route->targets[0].place,
                                                  sizeof(*route->targets),
                                                  route->target_count)
                             : NULL;
    is_good = firsts || option_refuse(why, "no memory");
    for (size_t i = 0; i < route->target_count && is_good; i++) {
        const struct config_target *target = &route->targets[i];
        config->line = target->line;
        if (target->is_sni && target->allowed.count == 0) {
            is_good = option_refuse(
                why, "'%s' needs sni-allow: names that clients may request",
                target->at.text);
        } else if (firsts[i] < i) {
            is_good =
                option_refuse(why, "'%s' is a target twice", target->at.text);
        }
    }
    free(firsts);
    return is_good;
}

static bool check_service(struct config *config, struct config_service *service,
                          char *why)
{
    if (!config_check_routes(config, service, why)) {
        return false;
    }
    for (size_t i = 0; i < service->route_count; i++) {
        if (!has_each_once(config, &service->routes[i], why)) {
            return false;
        }
    }
    config->line = service->listen_lines[service->listen_count - 1];
    return service->certs.count > 0 || !config_opens_tls(service) ||
           option_refuse(
               why, "'%s' needs a certificate: 'cert'%s",
               service->listens[0].text,
               config_is_tls_alone(service)
                   ? ""
                   : "; or 'passthrough' for its routes of TLS, and 'route-as "
                     "= plain' for others");
}

static bool is_alike(const struct config_service *one,
                     const struct config_service *other)
{
    return one->client_conns == other->client_conns &&
           one->client_rate == other->client_rate &&
           one->client_rate_ns == other->client_rate_ns &&
           one->client_ban_ns == other->client_ban_ns &&
           one->client_prefix4 == other->client_prefix4 &&
           one->client_prefix6 == other->client_prefix6;
}

/* Services with the same client-share must have the same client limits. */
static bool check_shares(struct config *config, char *why)
{
    size_t *firsts =
        hashes_find_firsts(&config->services[0].client_share,
                           sizeof(*config->services), config->service_count);
    bool is_good = firsts || option_refuse(why, "no memory");

    for (size_t i = 0; i < config->service_count && is_good; i++) {
        const struct config_service *one = &config->services[i];
        if (!is_alike(one, &config->services[firsts[i]])) {
            config->line =
                needs_line(&(struct needs_at){.config = config, .service = one},
                           "client-share");
            is_good = option_refuse(
                why,
                "client-share: services that share '%.60s' have the same "
                "client-conns, client-rate, client-ban and client-prefix",
                one->client_share);
        }
    }
    free(firsts);
    return is_good;
}

/* Marks the routes of a group except the first. */
static bool note_members(const struct config *config, char *why)
{
    const char **groups = calloc(config->route_count + 1, sizeof(*groups));

    for (size_t i = 0; i < config->route_count && groups; i++) {
        groups[i] = config->routes[i]->group;
    }
    size_t *firsts = groups ? hashes_find_firsts(groups, sizeof(*groups),
                                                 config->route_count)
                            : NULL;
    for (size_t i = 0; i < config->route_count && firsts; i++) {
        config->routes[i]->is_member = firsts[i] < i;
    }
    const bool is_good = firsts || option_refuse(why, "no memory");
    free(groups);
    free(firsts);
    return is_good;
}

/* Returns true if both are the same address, in any spelling. */
static bool is_same(const struct target *a, const struct target *b)
{
    return a->address.len > 0 || b->address.len > 0
               ? weir_address_is_equal(&a->address, &b->address)
               : a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static bool is_any(const struct target *at)
{
    const struct weir_address *address = &at->address;

    return address->len == 0 ? at->host[0] == '\0'
           : address->storage.any.sa_family == AF_INET
               ? address->storage.inet.sin_addr.s_addr == htonl(INADDR_ANY)
               : IN6_IS_ADDR_UNSPECIFIED(&address->storage.inet6.sin6_addr);
}

static bool is_loopback(const struct target *at)
{
    const struct weir_address *address = &at->address;

    return address->len == 0 ? strcasecmp(at->host, "localhost") == 0
           : address->storage.any.sa_family == AF_INET
               ? ntohl(address->storage.inet.sin_addr.s_addr) >> 24 ==
                     IN_LOOPBACKNET
               : IN6_IS_ADDR_LOOPBACK(&address->storage.inet6.sin6_addr);
}

/* Returns true if @any is a wildcard address that includes @at. Both must have
 * the same port. */
static bool includes(const struct target *any, const struct target *at)
{
    return is_any(any) &&
           (any->address.len == 0 || any->address.storage.any.sa_family ==
                                         at->address.storage.any.sa_family);
}

/* Returns true if bind(2) to one address makes bind(2) to the other fail. The
 * kernel chooses another port for port 0 each time. */
static bool is_taken(const struct target *one, const struct target *other)
{
    return one->port == other->port &&
           (one->port == 0
                ? config_is_unix(&one->address) && is_same(one, other)
                : is_same(one, other) || includes(one, other) ||
                      includes(other, one));
}

struct listen {
    const struct target *at;
    unsigned line;
};

static bool refuse_taken(struct config *config, const struct listen *one,
                         const struct listen *other, char *why)
{
    const bool is_equal = is_same(one->at, other->at);
    char place[CONFIG_PLACE_SIZE];

    config->line = one->line;
    return option_refuse(
        why, "%s'%s' %s at %slisten = %s%s",
        one->at->text == config->admin ? "admin: " : "", one->at->text,
        is_equal ? "is listened on twice; also by the service"
        : includes(one->at, other->at) ? "includes the address"
                                       : "is included in the address",
        config_place(config, other->line, place), other->at->text,
        is_equal ? "" : ": use another port, or remove one");
}

/* Compares the addresses of all services, and of 'admin'. */
static bool check_listens(struct config *config, char *why)
{
    struct target admin = {.text = config->admin};
    struct listen one = {&admin, 0};
    struct listen *all = NULL;
    size_t count = 0;
    bool is_good = true;

    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->listen_count; j++) {
            one =
                (struct listen){&service->listens[j], service->listen_lines[j]};
            is_good =
                arena_add(NULL, &all, &count, &one, sizeof(one)) && is_good;
        }
    }
    if (config->admin &&
        config_read_admin(config->admin, &admin.address) == 0) {
        /* sin6_port has the same offset. */
        admin.port = ntohs(admin.address.storage.inet.sin_port);
        one = (struct listen){
            &admin, needs_line(&(struct needs_at){.config = config}, "admin")};
        is_good = arena_add(NULL, &all, &count, &one, sizeof(one)) && is_good;
    }
    is_good = is_good || option_refuse(why, "no memory");
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i && is_good; j++) {
            is_good = !is_taken(all[i].at, all[j].at) ||
                      refuse_taken(config, &all[i], &all[j], why);
        }
    }
    free(all);
    return is_good;
}

/* ---- loops ---- */

/* Returns true if a connection to @to is accepted at @listen. */
static bool reaches(const struct target *to, const struct target *listen)
{
    if (is_same(to, listen) || config_is_unix(&to->address) ||
        config_is_unix(&listen->address)) {
        return is_same(to, listen) &&
               (config_is_unix(&to->address) || listen->port != 0);
    }
    return to->port == listen->port && (is_any(to) || is_loopback(to)) &&
           (is_any(listen) || is_loopback(listen)) &&
           (is_any(listen) || is_any(to) || to->address.len == 0);
}

/* Returns the first service of those in @left that accepts connections to a
 * target, or config->service_count. */
static size_t find_reached(const struct config *config, const bool *left,
                           const struct config_target *target)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->listen_count && left[i]; j++) {
            if (reaches(&target->at, &service->listens[j])) {
                return i;
            }
        }
    }
    return config->service_count;
}

/* Finds a target of a service by which connections reach a service in @left. */
static const struct config_target *find_passage(const struct config *config,
                                                const bool *left, size_t from,
                                                size_t *ret_to)
{
    const struct config_service *service = &config->services[from];

    for (size_t i = 0; i < service->route_count; i++) {
        const struct config_route *route = &service->routes[i];
        for (size_t j = 0; j < route->target_count; j++) {
            *ret_to = find_reached(config, left, &route->targets[j]);
            if (*ret_to < config->service_count) {
                return &route->targets[j];
            }
        }
    }
    return NULL;
}

/* Refuses targets whose connections would return to their service. Services
 * from which no other service is reached are left out, again and again. */
static bool check_circles(struct config *config, char *why)
{
    bool *left = malloc(config->service_count);
    const struct config_target *by = NULL;
    size_t to = 0;
    bool is_good = left || option_refuse(why, "no memory");

    for (size_t i = 0; i < config->service_count && left; i++) {
        left[i] = true;
    }
    for (size_t i = 0; i < config->service_count && is_good; i++) {
        if (left[i] && !find_passage(config, left, i, &to)) {
            left[i] = false;
            i = SIZE_MAX; /* begins again */
        }
    }
    for (size_t i = 0; i < config->service_count && is_good; i++) {
        by = left[i] ? find_passage(config, left, i, &to) : NULL;
        if (by) {
            config->line = by->line;
            is_good =
                option_refuse(why, "'%s' is an address of service '%s': a loop",
                              by->at.text, config->services[to].name);
        }
    }
    free(left);
    return is_good;
}

/* Services without a name get the text of their first address. Refuses two
 * services with the same name, because the log and the metrics distinguish
 * services by name. */
static bool name_services(struct config *config, char *why)
{
    for (size_t i = 0; i < config->service_count; i++) {
        struct config_service *service = &config->services[i];
        if (!service->name) {
            service->name = (char *)service->listens[0].text;
        }
    }
    size_t *firsts =
        hashes_find_firsts(&config->services[0].name, sizeof(*config->services),
                           config->service_count);
    bool is_good = firsts || option_refuse(why, "no memory");
    for (size_t i = 0; i < config->service_count && is_good; i++) {
        if (firsts[i] < i) {
            config->line =
                needs_line(&(struct needs_at){.config = config,
                                              .service = &config->services[i]},
                           "name");
            is_good = option_refuse(why, "two services are named '%.100s'",
                                    config->services[i].name);
        }
    }
    free(firsts);
    return is_good;
}

static bool check_memory(const struct config *config, char *why)
{
    const uint32_t thread_count = config_count_threads(config);
    char limit[UNITS_TEXT_SIZE];
    char least[UNITS_TEXT_SIZE];

    if (config->memory_limit_bytes == 0 ||
        config->memory_limit_bytes / thread_count >= CONFIG_MEMORY_LEAST) {
        return true;
    }
    return option_refuse(
        why,
        "memory-limit: %s is too small for %u threads; at least %s "
        "for each",
        units_format_size(config->memory_limit_bytes, limit),
        (unsigned)thread_count, units_format_size(CONFIG_MEMORY_LEAST, least));
}

/* Copies the settings that follow a 'to' with several targets to each of them,
 * and ignores a local address of [defaults] with another address family. */
static void spread_lists(const struct config_route *route)
{
    for (size_t i = route->target_count; i-- > 0;) {
        struct config_target *target = &route->targets[i];
        const struct weir_address *at = &target->at.address;
        for (size_t j = 1; j < target->list_count; j++) {
            struct config_target other = *target;
            other.at = route->targets[i - j].at;
            other.list_count = 0;
            route->targets[i - j] = other;
        }
        if (target->inherits_from && at->len > 0 &&
            at->storage.any.sa_family != target->from.storage.any.sa_family) {
            target->from = (struct weir_address){.len = 0};
        }
    }
}

#define MYSQL_PORT 3306

/* Tells which settings apply to several targets, and warns of a check of port
 * 3306 that does not log in. MySQL counts each such check as an aborted
 * handshake, and blocks this host after many of them. */
static void warn_of_target(const struct config *config,
                           const struct config_route *route,
                           const struct config_target *target)
{
    char place[CONFIG_PLACE_SIZE];

    config_place(config, target->line, place);
    if (config->tests_only && target->list_count > 0 && target->said) {
        say("%s%s applies to each of the %zu targets of this 'to'", place,
            target->said, target->list_count);
    }
    if (check_plan_is_checked(route, target) &&
        route->check != WEIR_UPSTREAM_CHECK_MYSQL &&
        check_plan_port(route, target) == MYSQL_PORT) {
        say("%swarning: '%s': MySQL and MariaDB count such a check as an "
            "aborted handshake, and refuse this machine after "
            "max_connect_errors (100) of them in a row: write check = "
            "mysql:USER, with a user that has no password and no privileges",
            place, target->at.text);
    }
}

static void warn_of_key_logs(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j <= service->route_count; j++) {
            const char *path = config_key_log(service, j);
            struct key_log *log = path ? key_log_find(path) : NULL;
            if (log) { /* NULL if out of memory */
                key_log_warn(log);
            }
        }
    }
}

void config_warn(const struct config *config)
{
    warn_of_key_logs(config);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = config->routes[i];
        for (size_t j = 0; j < route->target_count; j++) {
            warn_of_target(config, route, &route->targets[j]);
        }
    }
}

/* Fills in config->routes, and the numbers of routes and targets. Returns false
 * if out of memory. */
static bool number_all(struct config *config)
{
    config->route_count = 0;
    config->target_count = 0;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            struct config_route *route = &service->routes[j];
            route->service = service;
            route->number = config->route_count;
            route->first_target = config->target_count;
            config->target_count += route->target_count;
            if (!arena_add(&config->arena, &config->routes,
                           &config->route_count, &route, sizeof(route))) {
                return false;
            }
        }
    }
    return true;
}

bool config_check(struct config *config, char *why)
{
    config->line = 0;
    if (config->service_count == 0) {
        return option_refuse(why, "there is no service; add 'listen' and 'to'");
    }
    if (!number_all(config)) {
        return option_refuse(why, "no memory");
    }
    for (size_t i = 0; i < config->route_count; i++) {
        spread_lists(config->routes[i]);
    }
    config->line =
        needs_line(&(struct needs_at){.config = config}, "memory-limit");
    bool is_good = check_memory(config, why);
    for (size_t i = 0; i < config->service_count && is_good; i++) {
        is_good = has_ends(config, &config->services[i], why);
    }
    is_good = is_good && needs_check(config, why);
    for (size_t i = 0; i < config->service_count && is_good; i++) {
        is_good = check_service(config, &config->services[i], why);
    }
    return is_good && check_listens(config, why) &&
           name_services(config, why) && check_circles(config, why) &&
           check_shares(config, why) && note_members(config, why);
}
