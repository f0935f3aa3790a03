/*
 * The TLS contexts of all services and routes, made from the files of the
 * configuration. They belong to its setup (setup.h), so that connections keep
 * the context that they began with.
 */
#ifndef WEIR_PROXY_CONTEXTS_H
#define WEIR_PROXY_CONTEXTS_H

#include "config.h"

#include "weir/tls.h"

struct contexts;

/* Reads all files. NULL after a line in @why. */
struct contexts *contexts_make(const struct config *config, char *why);
/* The keys of a service's session tickets, as they go to a successor. */
struct contexts_keys {
    uint64_t service; /* a number made of its name */
    struct weir_tls_ticket_keys keys;
};

/* Copies of the keys of all services that have some, to be given back to
 * contexts_forget_keys(); NULL: there are none, or there is no memory. */
struct contexts_keys *contexts_save_keys(const struct contexts *contexts,
                                         const struct config *config,
                                         size_t *ret_count);
/* Services resume the sessions of those with their names. */
void contexts_load_keys(const struct contexts *contexts,
                        const struct config *config,
                        const struct contexts_keys *keys, size_t count);
/* Overwrites and frees them. */
void contexts_forget_keys(struct contexts_keys *keys, size_t count);

void contexts_free(struct contexts *all);

/* The context of a service for its clients; NULL: it has no TLS. */
weir_tls_context *contexts_of_service(const struct contexts *contexts,
                                      size_t service);
/* Those of a route for its targets, and for their checks; NULL: none of them
 * has TLS. */
struct route_contexts {
    weir_tls_context *targets;
    weir_tls_context *checks;
    weir_tls_context *const *own; /* of each target, or NULL: it has none */
};
struct route_contexts contexts_of_route(const struct contexts *contexts,
                                        size_t service, size_t route);
/* That of a target of the route, and that of its checks. */
weir_tls_context *contexts_for_target(const struct route_contexts *contexts,
                                      const struct config_route *route,
                                      const struct config_target *target);
weir_tls_context *contexts_for_check(const struct route_contexts *contexts,
                                     const struct config_route *route,
                                     const struct config_target *target);

#endif
