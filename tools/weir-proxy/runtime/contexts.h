/*
 * The TLS contexts of all services and routes, made from the files of the
 * configuration. The setup (setup.h) owns them, so that connections keep the
 * context that they started with.
 */
#ifndef WEIR_PROXY_CONTEXTS_H
#define WEIR_PROXY_CONTEXTS_H

#include "tools/weir-proxy/config/config.h"

#include "weir/tls.h"

struct contexts;

/* Reads all files. Returns NULL with a reason in @why. */
struct contexts *contexts_make(const struct config *config, char *why);
/* The session ticket keys of a service, in the format sent to a successor. */
struct contexts_keys {
    uint64_t service;
    struct weir_tls_ticket_keys keys;
};

/* Copies the ticket keys of all services that have some. Returns NULL if there
 * are none or if out of memory. The caller releases them with
 * contexts_forget_keys(). */
struct contexts_keys *contexts_save_keys(const struct contexts *contexts,
                                         const struct config *config,
                                         size_t *ret_count);
/* Installs each service's keys in the service with the same name, which can
 * then resume the sessions of the predecessor. */
void contexts_load_keys(const struct contexts *contexts,
                        const struct config *config,
                        const struct contexts_keys *keys, size_t count);
void contexts_forget_keys(struct contexts_keys *keys, size_t count);

void contexts_free(struct contexts *all);

weir_tls_context *contexts_of_service(const struct contexts *contexts,
                                      size_t service);
/* Return the context for connections to a target, and for its checks. They
 * return NULL, or a context that is not used, if there is no TLS. */
weir_tls_context *contexts_for_target(const struct contexts *contexts,
                                      const struct config_route *route,
                                      const struct config_target *target);
weir_tls_context *contexts_for_check(const struct contexts *contexts,
                                     const struct config_route *route,
                                     const struct config_target *target);

#endif
