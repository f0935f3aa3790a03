/*
 * A setup: a configuration, and what all threads have of it in common.
 *
 * The first one is made before the threads start, each later one when the
 * configuration is read again (reload.h). A setup does not change once it is
 * complete; it is freed with the last services that belong to it, so that a
 * connection keeps what it began with.
 *
 * What goes on from one setup to the next belongs to the proxy: the places of
 * an address, and what the sets of a route know of their targets, are found
 * again by the address, and by the names of the service and of the route, or of
 * the group of targets.
 */
#ifndef WEIR_PROXY_SETUP_H
#define WEIR_PROXY_SETUP_H

#include "contexts.h"
#include "listeners.h"
#include "orders.h"
#include "proxy.h"

struct setup {
    _Atomic size_t users;
    struct config *config;
    struct clients **clients; /* of each service (clients.h) */
    struct contexts *contexts;
    struct listeners listeners;
    struct log_options log;
    size_t key_log_count;   /* of the services' key logs, so many are open */
    struct places **places; /* of each listener's address */
    weir_upstreams_shared **route_shared; /* by each route's sets, in order */
    struct order **orders;                /* of each target, in order */
    char *facts; /* when it was made (facts.h); NULL: no memory */
};

/* Takes a configuration, which belongs to the setup, and reads the files that
 * it names; @before is the one whose place it takes, or NULL. NULL with a line
 * in @why: the configuration is freed, too. */
struct setup *setup_new(struct config *config, const struct setup *before,
                        char *why);
struct setup *setup_ref(struct setup *setup);
/* Any thread; NULL is ignored. */
void setup_unref(struct setup *setup);

/* Opens the place of the log, unless it is that of @before, which may be NULL:
 * 0, or a negative error. */
int setup_open_log(struct setup *setup, const struct setup *before);

/* Opens the key logs of all services, before rights are given up, or only looks
 * at those that are there. False, with a line in @why. */
bool setup_open_key_logs(struct setup *setup, bool only_looks, char *why);

/* Finds the places and what routes share, when the listeners are known; before
 * the threads, or on the first. 0 or -ENOMEM. */
int setup_share(struct setup *setup, struct proxy *proxy);
/* Its limits of all connections and of addresses are in force. */
void setup_set_limits(const struct setup *setup, struct proxy *proxy);

/* The orders about a route's targets. */
struct order **setup_orders_of(const struct setup *setup,
                               const struct config_route *route);
/* What the sets of a route have in common. */
weir_upstreams_shared *setup_shared_of(const struct setup *setup,
                                       const struct config_route *route);

/* Frees what was shared, after the threads. */
void setup_free_shared(struct proxy *proxy);

#endif
