/*
 * A setup: a configuration and what all threads share of it.
 *
 * The first setup is made before the threads start, each later setup by a
 * reload (reload.h). A complete setup does not change. It is freed with the
 * last services that use it, so a connection keeps the setup with which it
 * started.
 *
 * State that outlives a setup belongs to the proxy. The limits of an address
 * are found again by the address, and the shared state of a route's upstream
 * sets by the names of the service and of the route or its group.
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
    struct clients **clients;
    struct contexts *contexts;
    struct listeners listeners;
    struct log_options log;
    size_t key_log_count;
    struct places **places;               /* limit of each listener's address */
    weir_upstreams_shared **route_shared; /* for each route, in order */
    struct order **orders;                /* for each target, in order */
};

/* Makes a setup and reads the files that the configuration names. Takes
 * ownership of @config, and frees it on failure. @before is the setup to be
 * replaced, or NULL. Returns NULL with a reason in @why. */
struct setup *setup_new(struct config *config, const struct setup *before,
                        char *why);
struct setup *setup_ref(struct setup *setup);
/* Closes the descriptor of the log. Must be called after all threads have
 * duplicated it. Otherwise a log file that is moved away would stay open. */
void setup_close_log(struct setup *setup);
/* Can be called on any thread. NULL is ignored. */
void setup_unref(struct setup *setup);

/* Opens the key logs of all services. At the start, must be called before
 * privileges are dropped. With @only_looks only checks that this would succeed.
 * Returns false with a reason in @why. */
bool setup_open_key_logs(struct setup *setup, bool only_looks, char *why);

/* Opens the logs, and the listening sockets that were not received. Finds the
 * limits and the shared state of the routes. Must be called before the threads
 * start, or on the first thread. @before is the setup to be replaced, or NULL.
 * Returns false with a reason in @why. */
bool setup_open(struct setup *setup, const struct setup *before,
                struct proxy *proxy, char *why);
void setup_set_limits(const struct setup *setup, struct proxy *proxy);

/* Must be called after the threads have ended. */
void setup_free_shared(struct proxy *proxy);

#endif
