/*
 * The proxy, and the services of each thread, have references to a setup.
 *
 * State that setups share, by address or route, is kept until the program ends.
 * An address or route that is removed and added again therefore gets its state
 * back. The operator's configurations limit the number of entries.
 */
#include "setup.h"

#include "clients.h"
#include "states.h"
#include "tools/common/console.h"
#include "tools/common/key_log.h"
#include "tools/weir-proxy/config/changes.h"
#include "tools/weir-proxy/confine/confine.h"

#include "weir/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct shared_address {
    struct keyed keyed;
    struct places places;
};

/* Found by service and route label, or by "" and the group's name. */
struct shared_route {
    struct keyed keyed;
    weir_upstreams_shared *shared;
};

struct setup *setup_new(struct config *config, const struct setup *before,
                        char *why)
{
    struct setup *setup =
        changes_finish(config) ? calloc(1, sizeof(*setup)) : NULL;

    if (!setup) {
        option_refuse(why, "no memory");
        config_free(config);
        free(config);
        return NULL;
    }
    atomic_init(&setup->users, 1);
    setup->config = config;
    setup->log.fd = -1;
    setup->clients = clients_make(config, before ? before->clients : NULL,
                                  before ? before->config : NULL, why);
    if (setup->clients) {
        setup->contexts = contexts_make(config, why);
    }
    if (!setup->contexts) {
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

static void close_key_logs(const struct setup *setup)
{
    const struct config *config = setup->config;
    size_t left = setup->key_log_count;

    for (size_t i = 0; i < config->service_count && left > 0; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j <= service->route_count && left > 0; j++) {
            const char *path = config_key_log(service, j);
            if (path) {
                key_log_close(key_log_find(path)); /* finds the open key log */
                left--;
            }
        }
    }
}

void setup_close_log(struct setup *setup)
{
    if (setup->log.fd >= 0) {
        close(setup->log.fd);
    }
    setup->log.fd = -1;
}

void setup_unref(struct setup *setup)
{
    if (!setup || atomic_fetch_sub(&setup->users, 1) > 1) {
        return;
    }
    listeners_close(&setup->listeners);
    setup_close_log(setup);
    contexts_free(setup->contexts);
    close_key_logs(setup);
    clients_free(setup->clients, setup->config);
    config_free(setup->config);
    free(setup->config);
    free(setup->places);
    free(setup->route_shared);
    free(setup->orders);
    free(setup);
}

static int open_log(struct setup *setup, const struct setup *before)
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
    (void)!sink_read(log->path, &log->server, why); /* the syntax was checked */
    if (before && log_is_path(before->log.path, log->path)) {
        return 0;
    }
    log->fd = log_open_place(log);
    return log->fd < 0 && log->server.len == 0 ? log->fd : 0;
}

bool setup_open_key_logs(struct setup *setup, bool only_looks, char *why)
{
    const struct config *config = setup->config;
    const uid_t user = confine_get_user(config);

    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j <= service->route_count; j++) {
            const char *path = config_key_log(service, j);
            struct key_log *log = path ? key_log_find(path) : NULL;
            if (log && (only_looks ? !key_log_try(log, user, why)
                                   : !key_log_open(log, user, why))) {
                return false;
            }
            setup->key_log_count += log && !only_looks;
        }
    }
    return true;
}

static struct places *find_places(struct proxy *proxy,
                                  const struct weir_address *address)
{
    char text[WEIR_ADDRESS_TEXT_SIZE];
    bool is_new;
    struct shared_address *one = keyed_find(
        &proxy->addresses,
        keyed_key(weir_address_format(address, text, sizeof(text)), NULL, NULL),
        sizeof(*one), &is_new);

    return one ? &one->places : NULL;
}

static weir_upstreams_shared *find_route(struct proxy *proxy,
                                         const char *service, const char *route)
{
    bool is_new;
    struct shared_route *one = keyed_find(
        &proxy->routes, keyed_key(service, route, NULL), sizeof(*one), &is_new);

    if (one && !one->shared) {
        (void)!weir_upstreams_shared_new(NULL, &one->shared);
    }
    return one ? one->shared : NULL;
}

static int share_routes(struct setup *setup, struct proxy *proxy)
{
    const struct config *config = setup->config;

    setup->route_shared =
        calloc(config->route_count + 1, sizeof(*setup->route_shared));
    for (size_t i = 0; setup->route_shared && i < config->route_count; i++) {
        const struct config_route *route = config->routes[i];
        setup->route_shared[i] =
            route->group
                ? find_route(proxy, "", route->group)
                : find_route(proxy, route->service->name, route->label);
        if (!setup->route_shared[i]) {
            return -ENOMEM;
        }
    }
    return setup->route_shared ? 0 : -ENOMEM;
}

/* Finds the orders of all targets, and applies the orders in proxy->states. */
static int find_orders(struct setup *setup, struct proxy *proxy)
{
    const struct config *config = setup->config;
    struct order **orders = calloc(config->target_count + 1, sizeof(*orders));

    setup->orders = orders;
    for (size_t i = 0; orders && i < config->route_count; i++) {
        const struct config_route *route = config->routes[i];
        for (size_t j = 0; j < route->target_count; j++, orders++) {
            const struct config_target *target = &route->targets[j];
            *orders = orders_find(&proxy->orders, route->service->name,
                                  route->label, target->at.text);
            if (!*orders) {
                return -ENOMEM;
            }
            states_find_order(proxy->states, proxy->state_count, route, target,
                              *orders);
        }
    }
    return orders ? 0 : -ENOMEM;
}

static int share(struct setup *setup, struct proxy *proxy)
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

bool setup_open(struct setup *setup, const struct setup *before,
                struct proxy *proxy, char *why)
{
    const struct config *config = setup->config;
    int err = open_log(setup, before);

    if (err < 0) {
        return option_refuse(why, "%s: %s", config->log_path,
                             weir_strerror(err));
    }
    if (!setup_open_key_logs(setup, false, why)) {
        return false;
    }
    option_refuse(why, "no memory");
    console_divert(why, OPTION_WHY_SIZE);
    err = listeners_open(&setup->listeners, proxy->worker_count);
    console_divert(NULL, 0);
    return err == 0 && share(setup, proxy) == 0;
}

void setup_set_limits(const struct setup *setup, struct proxy *proxy)
{
    const uint64_t limit = setup->config->conn_limit;

    atomic_store(&proxy->places.limit, limit > 0 && limit < proxy->fd_limit
                                           ? limit
                                           : proxy->fd_limit);
    for (size_t i = 0; i < setup->listeners.count; i++) {
        atomic_store(&setup->places[i]->limit,
                     setup->listeners.all[i].config->conn_limit);
    }
}

static void end_route(void *one)
{
    weir_upstreams_shared_free(((struct shared_route *)one)->shared);
}

void setup_free_shared(struct proxy *proxy)
{
    keyed_free(&proxy->addresses, NULL);
    keyed_free(&proxy->orders, NULL);
    keyed_free(&proxy->routes, end_route);
}
