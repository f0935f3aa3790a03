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
#include "tools/weir-proxy/base/array.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <strings.h>

/* Removes the first route if it has no targets and another route follows.
 * Refuses any other route without targets. */
static bool drop_empty_route(struct config_service *service, unsigned *line,
                             char *why)
{
    for (size_t i = 0; i < service->route_count; i++) {
        const struct config_route *route = &service->routes[i];
        *line = route->line;
        if (route->target_count == 0 && (i > 0 || service->route_count == 1)) {
            return option_refuse(why, "'%s' has no target; add 'to'",
                                 route->server_name ? route->server_name
                                                    : service->listens[0].text);
        }
    }
    if (service->routes[0].target_count == 0) {
        config_drop_first_route(service);
    }
    return true;
}

/* Returns true if both are the same address, in any spelling. */
static bool is_same(const struct target *a, const struct target *b)
{
    return a->address.len > 0 || b->address.len > 0
               ? weir_address_is_equal(&a->address, &b->address)
               : a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static uint64_t hash_place(const struct target *at)
{
    uint64_t hash = HASHES_BASIS;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    if (at->address.len > 0) {
        return hashes_add_text(
            hash, weir_address_format(&at->address, text, sizeof(text)));
    }
    hash = hashes_add_bytes(hash, &at->port, sizeof(at->port));
    for (size_t i = 0; at->host[i]; i++) {
        hash = hashes_add_byte(hash, (uint8_t)tolower((uint8_t)at->host[i]));
    }
    return hash;
}

static bool is_target_again(const struct config_route *route, size_t number,
                            const struct hashes *places)
{
    const struct target *at = &route->targets[number].at;
    const struct hashed *same;
    const size_t count = hashes_find(places, hash_place(at), &same);

    for (size_t i = 0; i < count && same[i].number < number; i++) {
        const struct target *other = &route->targets[same[i].number].at;
        if (at->is_tls == other->is_tls && is_same(at, other)) {
            return true;
        }
    }
    return false;
}

/* Metrics distinguish a route's targets by name, so each must be unique. */
static bool has_each_once(const struct config_route *route, unsigned *line,
                          char *why)
{
    struct hashes places = {.all = NULL};
    bool is_good = true;

    for (size_t i = 0; i < route->target_count && is_good; i++) {
        is_good = hashes_add(&places, hash_place(&route->targets[i].at), i) ||
                  option_refuse(why, "no memory");
    }
    hashes_sort(&places);
    for (size_t i = 0; i < route->target_count && is_good; i++) {
        const struct config_target *target = &route->targets[i];
        if (target->is_sni && target->allowed.count == 0) {
            *line = target->line;
            is_good = option_refuse(
                why, "'%s' needs sni-allow: names that clients may request",
                target->at.text);
        } else if (is_target_again(route, i, &places)) {
            *line = route->targets[i].line;
            is_good = option_refuse(why, "'%s' is a target twice",
                                    route->targets[i].at.text);
        }
    }
    hashes_free(&places);
    return is_good;
}

static bool check_service(struct config *config, size_t number, char *why)
{
    struct config_service *service = &config->services[number];

    config->line = service->line;
    if (service->listen_count == 0) {
        return option_refuse(why, "'%s' has no address; add 'listen'",
                             service->name ? service->name : "the service");
    }
    if (!drop_empty_route(service, &config->line, why) ||
        !config_check_routes(config, number, why)) {
        return false;
    }
    for (size_t i = 0; i < service->route_count; i++) {
        if (!has_each_once(&service->routes[i], &config->line, why)) {
            return false;
        }
    }
    config->line =
        needs_line(config, "listen", &(struct config_word){.service = number},
                   service->line);
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
                needs_line(config, "client-share",
                           &(struct config_word){.service = i}, one->line);
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

/* Returns true for a loopback or unspecified address. *ret_is_any is true for
 * an unspecified one. */
static bool is_here(const struct target *at, bool *ret_is_any)
{
    const struct weir_address *address = &at->address;
    const struct in6_addr *six = &address->storage.inet6.sin6_addr;

    *ret_is_any = at->host[0] == '\0' && address->len == 0;
    if (address->len == 0) {
        return *ret_is_any || strcasecmp(at->host, "localhost") == 0;
    }
    if (address->storage.any.sa_family == AF_INET) {
        const uint32_t four = ntohl(address->storage.inet.sin_addr.s_addr);
        *ret_is_any = four == INADDR_ANY;
        return *ret_is_any || four >> 24 == IN_LOOPBACKNET;
    }
    *ret_is_any = IN6_IS_ADDR_UNSPECIFIED(six);
    return *ret_is_any || IN6_IS_ADDR_LOOPBACK(six);
}

/* Returns true if @any is a wildcard address that includes @at. Both must have
 * the same port. */
static bool includes(const struct target *any, const struct target *at)
{
    const int family = any->address.storage.any.sa_family;
    bool is_any;

    (void)is_here(any, &is_any);
    return is_any && (any->address.len == 0 ||
                      family == at->address.storage.any.sa_family);
}

/* Addresses of all services, then the address of 'admin'. Port 0 is left out,
 * because the kernel chooses a different port each time. */
struct listens {
    struct listen {
        struct target at;
        unsigned line;
    } * all;
    size_t count;
    struct hashes ports; /* index by port, or by path for Unix sockets */
};

static uint64_t hash_listen(const struct target *at)
{
    return config_is_unix(&at->address) ? hash_place(at) : at->port;
}

static bool add_listen(struct listens *listens, const struct target *at,
                       unsigned line)
{
    if (at->port == 0 && !config_is_unix(&at->address)) {
        return true;
    }
    listens->all[listens->count] = (struct listen){*at, line};
    return hashes_add(&listens->ports, hash_listen(at), listens->count++);
}

static bool add_admin(const struct config *config, struct listens *ret)
{
    struct target at = {.text = config->admin};

    if (!config->admin || config_read_admin(config->admin, &at.address) < 0) {
        return true;
    }
    /* sin6_port has the same offset. */
    at.port = ntohs(at.address.storage.inet.sin_port);
    return add_listen(ret, &at,
                      needs_line(config, "admin", &(struct config_word){0}, 0));
}

/* Collects the addresses with their lines. The recorded 'listen' directives are
 * in the same order. An address without a recorded directive gets the service's
 * line. */
static bool make_listens(const struct config *config, struct listens *ret)
{
    size_t count = 1;
    size_t word = 0;
    bool is_whole = true;

    for (size_t i = 0; i < config->service_count; i++) {
        count += config->services[i].listen_count;
    }
    *ret = (struct listens){.all = calloc(count, sizeof(*ret->all))};
    for (size_t i = 0; i < config->service_count && ret->all; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->listen_count; j++) {
            while (word < config->word_count &&
                   (config->words[word].service < i ||
                    strcmp(config->words[word].word->name, "listen") != 0)) {
                word++;
            }
            const bool is_said =
                word < config->word_count && config->words[word].service == i;
            is_whole = add_listen(ret, &service->listens[j],
                                  is_said ? config->words[word++].line
                                          : service->line) &&
                       is_whole;
        }
    }
    is_whole = ret->all && is_whole && add_admin(config, ret);
    hashes_sort(&ret->ports);
    return is_whole;
}

/* Returns an earlier address that makes bind(2) to this one fail, or NULL. */
static const struct listen *find_taken(const struct listens *listens,
                                       size_t number)
{
    const struct target *at = &listens->all[number].at;
    const struct hashed *same;
    const size_t count = hashes_find(&listens->ports, hash_listen(at), &same);

    for (size_t i = 0; i < count && same[i].number < number; i++) {
        const struct target *other = &listens->all[same[i].number].at;
        if (is_same(at, other) || includes(at, other) || includes(other, at)) {
            return &listens->all[same[i].number];
        }
    }
    return NULL;
}

static bool check_listens(struct config *config, char *why)
{
    struct listens listens;
    char place[CONFIG_PLACE_SIZE];
    bool is_good =
        make_listens(config, &listens) || option_refuse(why, "no memory");

    for (size_t i = 0; i < listens.count && is_good; i++) {
        const struct listen *other = find_taken(&listens, i);
        if (other) {
            const struct target *at = &listens.all[i].at;
            const bool is_equal = is_same(at, &other->at);
            config->line = listens.all[i].line;
            is_good = option_refuse(
                why, "%s'%s' %s at %slisten = %s%s",
                at->text == config->admin ? "admin: " : "", at->text,
                is_equal ? "is listened on twice; also by the service"
                : includes(at, &other->at) ? "includes the address"
                                           : "is included in the address",
                config_place(config, other->line, place), other->at.text,
                is_equal ? "" : ": use another port, or remove one");
        }
    }
    free(listens.all);
    hashes_free(&listens.ports);
    return is_good;
}

/* ---- loops ---- */

/* Returns true if a connection to @to is accepted at @listen. */
static bool reaches(const struct target *to, const struct target *listen)
{
    bool to_any;
    bool at_any;

    const bool is_unix = config_is_unix(&to->address);
    const bool is_equal = is_same(to, listen);

    if (is_unix || config_is_unix(&listen->address) || is_equal) {
        return is_unix == config_is_unix(&listen->address) && is_equal &&
               (is_unix || listen->port != 0);
    }
    return to->port == listen->port && is_here(to, &to_any) &&
           is_here(listen, &at_any) &&
           (at_any || to_any || to->address.len == 0);
}

/* An edge from a service to another service of this proxy, made by a target. */
struct passage {
    size_t from; /* indexes of services */
    size_t to;
    const struct config_target *by;
};

/* Appends the edges of a route's targets. Returns false if out of memory. */
static bool add_passages(const struct config *config,
                         const struct config_route *route, struct passage **all,
                         size_t *count)
{
    const size_t from = (size_t)(route->service - config->services);

    for (size_t i = 0; i < route->target_count; i++) {
        for (size_t j = 0; j < config->service_count; j++) {
            const struct config_service *service = &config->services[j];
            size_t at = 0;
            while (at < service->listen_count &&
                   !reaches(&route->targets[i].at, &service->listens[at])) {
                at++;
            }
            if (at == service->listen_count) {
                continue;
            }
            struct passage *one = array_add(all, count, sizeof(*one));
            if (!one) {
                return false;
            }
            *one = (struct passage){from, j, &route->targets[i]};
        }
    }
    return true;
}

/* Repeatedly removes edges to services at which no edge starts. The remaining
 * edges lead into cycles. Returns their number. */
static size_t keep_circles(struct passage *all, size_t count)
{
    size_t before;

    do {
        before = count;
        for (size_t i = count; i-- > 0;) {
            size_t next = 0;
            while (next < count && all[next].from != all[i].to) {
                next++;
            }
            if (next == count) {
                all[i] = all[--count];
            }
        }
    } while (count < before);
    return count;
}

/* Refuses targets whose connections would return to their service. */
static bool check_circles(struct config *config, char *why)
{
    struct passage *all = NULL;
    size_t count = 0;
    bool is_good = true;

    for (size_t i = 0; i < config->route_count && is_good; i++) {
        is_good = add_passages(config, config->routes[i], &all, &count) ||
                  option_refuse(why, "no memory");
    }
    count = keep_circles(all, count);
    if (is_good && count > 0) {
        config->line = all[0].by->line;
        is_good =
            option_refuse(why, "'%s' is an address of service '%s': a loop",
                          all[0].by->at.text, config->services[all[0].to].name);
    }
    free(all);
    return is_good;
}

/* Services without a name get the text of their first address. Refuses two
 * services with the same name, because the log and the metrics distinguish
 * services by name. */
static bool name_services(struct config *config, char *why)
{
    bool is_whole = true;

    for (size_t i = 0; i < config->service_count; i++) {
        struct config_service *service = &config->services[i];
        if (!service->name) {
            service->name = strdup(service->listens[0].text);
            is_whole = service->name && is_whole;
        }
    }
    size_t *firsts = is_whole ? hashes_find_firsts(&config->services[0].name,
                                                   sizeof(*config->services),
                                                   config->service_count)
                              : NULL;
    bool is_good = firsts || option_refuse(why, "no memory");
    for (size_t i = 0; i < config->service_count && is_good; i++) {
        if (firsts[i] < i) {
            config->line =
                needs_line(config, "name", &(struct config_word){.service = i},
                           config->services[i].line);
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

/* Copies the settings that follow a 'to' with several targets to each of them.
 * Returns false if out of memory. */
static bool spread_list(struct config_route *route, size_t last)
{
    const struct config_target *said = &route->targets[last];

    for (size_t i = 1; i < said->list_count; i++) {
        struct config_target *target = &route->targets[last - i];
        target->weight = said->weight;
        target->limit = said->limit;
        target->is_backup = said->is_backup;
        target->check = said->check;
        target->from = said->from;
        target->inherits_from = said->inherits_from;
        target->send_header = said->send_header;
        target->tls_name = said->tls_name ? strdup(said->tls_name) : NULL;
        target->tls_ca = said->tls_ca ? strdup(said->tls_ca) : NULL;
        if (!target->tls_name != !said->tls_name ||
            !target->tls_ca != !said->tls_ca) {
            return false;
        }
    }
    return true;
}

/* Ignores a local address of [defaults] with another address family. */
static void drop_other_from(struct config_target *target)
{
    const struct weir_address *at = &target->at.address;

    if (target->inherits_from && at->len > 0 &&
        at->storage.any.sa_family != target->from.storage.any.sa_family) {
        target->from = (struct weir_address){.len = 0};
    }
}

static bool spread_lists(const struct config *config)
{
    bool is_whole = true;

    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            for (size_t k = 0; k < service->routes[j].target_count; k++) {
                is_whole = spread_list(&service->routes[j], k) && is_whole;
            }
            for (size_t k = 0; k < service->routes[j].target_count; k++) {
                drop_other_from(&service->routes[j].targets[k]);
            }
        }
    }
    return is_whole;
}

static void tell_of_list(const struct config *config,
                         const struct config_target *target)
{
    char place[CONFIG_PLACE_SIZE];

    if (config->tests_only && target->list_count > 0 && target->said) {
        say("%s%s applies to each of the %zu targets of this 'to'",
            config_place(config, target->line, place), target->said,
            target->list_count);
    }
}

#define MYSQL_PORT 3306

/* Warns of a check of port 3306 that does not log in. MySQL counts each such
 * check as an aborted handshake, and blocks this host after many of them. */
static void warn_of_mysql(const struct config *config,
                          const struct config_route *route,
                          const struct config_target *target)
{
    char place[CONFIG_PLACE_SIZE];

    if (check_plan_is_checked(route, target) &&
        route->check != WEIR_UPSTREAM_CHECK_MYSQL &&
        check_plan_port(route, target) == MYSQL_PORT) {
        say("%swarning: '%s': MySQL and MariaDB count such a check as an "
            "aborted handshake, and refuse this machine after "
            "max_connect_errors (100) of them in a row: write check = "
            "mysql:USER, with a user that has no password and no privileges",
            config_place(config, target->line, place), target->at.text);
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
            tell_of_list(config, &route->targets[j]);
            warn_of_mysql(config, route, &route->targets[j]);
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
            struct config_route **route = array_add(
                &config->routes, &config->route_count, sizeof(*route));
            if (!route) {
                return false;
            }
            *route = &service->routes[j];
            (*route)->service = service;
            (*route)->number = config->route_count - 1;
            (*route)->first_target = config->target_count;
            config->target_count += (*route)->target_count;
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
    if (!spread_lists(config)) {
        return option_refuse(why, "no memory");
    }
    config->line = needs_line(config, "memory-limit",
                              &(struct config_word){.service = 0}, 0);
    if (!check_memory(config, why)) {
        return false;
    }
    if (!needs_check(config, why)) {
        return false;
    }
    for (size_t i = 0; i < config->service_count; i++) {
        if (!check_service(config, i, why)) {
            return false;
        }
    }
    if (!number_all(config)) {
        return option_refuse(why, "no memory");
    }
    return check_listens(config, why) && name_services(config, why) &&
           check_circles(config, why) && check_shares(config, why) &&
           note_members(config, why);
}
