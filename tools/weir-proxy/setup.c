/*
 * A setup is counted by its users: the proxy, and the services of each thread.
 * Addresses and routes that were shared once are remembered until the end, so
 * that one which comes back goes on. They are as many as an operator has ever
 * written.
 */
#include "setup.h"

#include "clients.h"
#include "facts.h"
#include "posting.h"
#include "states.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct shared_address {
    struct shared_address *next;
    struct weir_address address;
    struct places places;
};

struct shared_route {
    struct shared_route *next;
    weir_upstreams_shared *shared;
    char *service; /* "": it is of a group of targets */
    char *route;   /* its label, or the name of the group */
};

/* ---- a setup ---- */

static bool is_text(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

struct setup *setup_new(struct config *config, const struct setup *before,
                        char *why)
{
    struct setup *setup = calloc(1, sizeof(*setup));

    if (!setup) {
        option_refuse(why, "no memory");
        config_free(config);
        free(config);
        return NULL;
    }
    atomic_init(&setup->users, 1);
    setup->config = config;
    setup->log.fd = -1;
    setup->facts = facts_make(config);
    setup->clients = clients_make_next(config, before ? before->clients : NULL,
                                       before ? before->config : NULL, why);
    if (setup->clients) {
        setup->contexts = contexts_make(config, why);
    }
    if (setup->contexts && config->admin_token) {
        setup->token = posting_read_token(config->admin_token, why);
    }
    if (!setup->contexts || (config->admin_token && !setup->token)) {
        setup_unref(setup);
        return NULL;
    }
    return setup;
}

struct setup *setup_ref(struct setup *setup)
{
    atomic_fetch_add(&setup->users, 1);
    return setup;
}

void setup_unref(struct setup *setup)
{
    if (!setup || atomic_fetch_sub(&setup->users, 1) > 1) {
        return;
    }
    listeners_close(&setup->listeners);
    if (setup->log.fd >= 0) {
        close(setup->log.fd);
    }
    contexts_free(setup->contexts);
    clients_free(setup->clients, setup->config);
    config_free(setup->config);
    free(setup->config);
    free(setup->places);
    free(setup->route_shared);
    free(setup->orders);
    free(setup->facts);
    if (setup->token) {
        explicit_bzero(setup->token, strlen(setup->token));
        free(setup->token);
    }
    free(setup);
}

int setup_open_log(struct setup *setup, const struct setup *before)
{
    const struct config *config = setup->config;
    struct log_options *log = &setup->log;
    char why[OPTION_WHY_SIZE];

    *log = (struct log_options){.path = config->log_path,
                                .facility = config->log_facility,
                                .format = config->log_format,
                                .names = config->log_names,
                                .fd = -1};
    if (!log->path) {
        return 0;
    }
    (void)!sink_read(log->path, &log->sink, why); /* it was read */
    if (before && is_text(before->log.path, log->path)) {
        return 0;
    }
    /* All threads have duplicates of one descriptor. */
    log->fd = log_open_place(log);
    return log->fd < 0 && log->sink.kind == SINK_NONE ? log->fd : 0;
}

/* ---- what goes on ---- */

/* NULL without memory. */
static struct places *find_places(struct proxy *proxy,
                                  const struct weir_address *address)
{
    struct shared_address *one = proxy->addresses;

    while (one && !weir_address_is_equal(&one->address, address)) {
        one = one->next;
    }
    if (!one) {
        one = calloc(1, sizeof(*one));
        if (!one) {
            return NULL;
        }
        one->address = *address;
        one->next = proxy->addresses;
        proxy->addresses = one;
    }
    return &one->places;
}

/* NULL without memory. */
static struct shared_route *make_route(struct proxy *proxy, const char *service,
                                       const char *route)
{
    struct shared_route *one = calloc(1, sizeof(*one));

    if (!one) {
        return NULL;
    }
    one->service = strdup(service);
    one->route = strdup(route);
    if (!one->service || !one->route ||
        weir_upstreams_shared_new(NULL, &one->shared) < 0) {
        free(one->service);
        free(one->route);
        free(one);
        return NULL;
    }
    one->next = proxy->routes;
    proxy->routes = one;
    return one;
}

/* NULL without memory. */
static weir_upstreams_shared *find_route(struct proxy *proxy,
                                         const char *service, const char *route)
{
    struct shared_route *one = proxy->routes;

    while (one && (strcmp(one->service, service) != 0 ||
                   strcmp(one->route, route) != 0)) {
        one = one->next;
    }
    if (!one) {
        one = make_route(proxy, service, route);
    }
    return one ? one->shared : NULL;
}

static size_t count_routes(const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->service_count; i++) {
        count += config->services[i].route_count;
    }
    return count;
}

static int share_routes(struct setup *setup, struct proxy *proxy)
{
    const struct config *config = setup->config;
    weir_upstreams_shared **shared =
        calloc(count_routes(config) + 1, sizeof(*shared));

    setup->route_shared = shared;
    for (size_t i = 0; shared && i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            const struct config_route *route = &service->routes[j];
            *shared = route->group
                          ? find_route(proxy, "", route->group)
                          : find_route(proxy, service->name, route->label);
            if (!*shared++) {
                return -ENOMEM;
            }
        }
    }
    return shared ? 0 : -ENOMEM;
}

static size_t count_targets(const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->service_count; i++) {
        for (size_t j = 0; j < config->services[i].route_count; j++) {
            count += config->services[i].routes[j].target_count;
        }
    }
    return count;
}

/* Those that a predecessor has told are taken over. */
static int find_orders_of(const struct config_service *service,
                          const struct config_route *config,
                          struct proxy *proxy, struct order **orders)
{
    const struct route route = {.service = service, .config = config};

    for (size_t i = 0; i < config->target_count; i++) {
        const struct config_target *target = &config->targets[i];
        orders[i] = orders_find(&proxy->orders, service->name, config->label,
                                target->at.text);
        if (!orders[i]) {
            return -ENOMEM;
        }
        states_find_order(proxy->states, proxy->state_count, &route, target,
                          orders[i]);
    }
    return 0;
}

static int find_orders(struct setup *setup, struct proxy *proxy)
{
    const struct config *config = setup->config;
    struct order **orders = calloc(count_targets(config) + 1, sizeof(*orders));
    int err = orders ? 0 : -ENOMEM;

    setup->orders = orders;
    for (size_t i = 0; i < config->service_count && err == 0; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->route_count && err == 0; j++) {
            err = find_orders_of(service, &service->routes[j], proxy, orders);
            orders += service->routes[j].target_count;
        }
    }
    return err;
}

struct order **setup_orders_of(const struct setup *setup,
                               const struct config_route *route)
{
    struct order **orders = setup->orders;

    for (size_t i = 0; i < setup->config->service_count; i++) {
        const struct config_service *service = &setup->config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            if (&service->routes[j] == route) {
                return orders;
            }
            orders += service->routes[j].target_count;
        }
    }
    return NULL;
}

int setup_share(struct setup *setup, struct proxy *proxy)
{
    const struct listeners *listeners = &setup->listeners;

    setup->places = calloc(listeners->count + 1, sizeof(*setup->places));
    if (!setup->places) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < listeners->count; i++) {
        setup->places[i] = find_places(proxy, &listeners->all[i].address);
        if (!setup->places[i]) {
            return -ENOMEM;
        }
    }
    const int err = share_routes(setup, proxy);
    return err < 0 ? err : find_orders(setup, proxy);
}

void setup_set_limits(const struct setup *setup, struct proxy *proxy)
{
    atomic_store(&proxy->places.limit, setup->config->conn_limit);
    for (size_t i = 0; i < setup->listeners.count; i++) {
        atomic_store(&setup->places[i]->limit,
                     setup->listeners.all[i].config->conn_limit);
    }
}

weir_upstreams_shared *setup_shared_of(const struct setup *setup,
                                       const struct config_route *route)
{
    weir_upstreams_shared *const *shared = setup->route_shared;

    for (size_t i = 0; i < setup->config->service_count; i++) {
        const struct config_service *service = &setup->config->services[i];
        for (size_t j = 0; j < service->route_count; j++) {
            if (&service->routes[j] == route) {
                return *shared;
            }
            shared++;
        }
    }
    return NULL;
}

void setup_free_shared(struct proxy *proxy)
{
    while (proxy->addresses) {
        struct shared_address *one = proxy->addresses;
        proxy->addresses = one->next;
        free(one);
    }
    keyed_free(proxy->orders);
    proxy->orders = NULL;
    while (proxy->routes) {
        struct shared_route *one = proxy->routes;
        proxy->routes = one->next;
        weir_upstreams_shared_free(one->shared);
        free(one->service);
        free(one->route);
        free(one);
    }
}
