/*
 * The health check of a target: kind, interval, address, PROXY header and TLS.
 *
 * A plan is computed from the directives of the target and its route each time
 * it is needed.
 */
#ifndef WEIR_PROXY_CHECK_PLAN_H
#define WEIR_PROXY_CHECK_PLAN_H

#include "config.h"

#include "weir/tls_connection.h"

struct check_plan {
    struct weir_upstream_check check; /* points to @steps */
    struct weir_upstream_check_step steps[WEIR_UPSTREAM_CHECK_STEPS_MAX];
};

void check_plan_make(const struct config_route *route,
                     const struct config_target *target,
                     struct check_plan *ret);

bool check_plan_is_checked(const struct config_route *route,
                           const struct config_target *target);

/* Returns the port that a check connects to, or 0 for a Unix socket. */
uint16_t check_plan_port(const struct config_route *route,
                         const struct config_target *target);

bool check_plan_has_tls(const struct config_route *route,
                        const struct config_target *target);
bool check_plan_needs_tls(const struct config_route *route);

bool check_plan_is_port_alone(const struct target *at);

/* Returns true if the certificate's name is known or is not verified. */
bool check_plan_is_verifiable(const struct config_route *route,
                              const struct config_target *target);

/* Returns true if checks use other authorities than connections do. */
bool check_plan_has_own_authorities(const struct config_route *route);

struct weir_tls_settings check_plan_tls(const struct config_route *route,
                                        const struct config_target *target,
                                        weir_tls_context *context);

#endif
