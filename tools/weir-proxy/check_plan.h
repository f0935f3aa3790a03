/*
 * The plan of a target's checks, from the words about its route and itself:
 * what is asked, how often, where, behind which header and with which TLS.
 *
 * It is made anew whenever it is needed, and kept by the library alone.
 */
#ifndef WEIR_PROXY_CHECK_PLAN_H
#define WEIR_PROXY_CHECK_PLAN_H

#include "config.h"

#include "weir/tls_connection.h"

struct check_plan {
    struct weir_upstream_check check; /* it points to the steps */
    struct weir_check_step steps[WEIR_CHECK_STEPS_MAX];
};

void check_plan_make(const struct config_route *route,
                     const struct config_target *target,
                     struct check_plan *ret);

bool check_plan_is_checked(const struct config_route *route,
                           const struct config_target *target);

/* The port that a check connects to; 0: it is a Unix socket. */
uint16_t check_plan_port(const struct config_route *route,
                         const struct config_target *target);

/* Checks of this target, or of any, go over TLS. */
bool check_plan_has_tls(const struct config_route *route,
                        const struct config_target *target);
bool check_plan_needs_tls(const struct config_route *route);

/* Returns true for "tcp://:8008": the target's own address at another port. */
bool check_plan_is_port_alone(const struct target *at);

/* The certificate's name is known, or it is not verified. */
bool check_plan_is_verifiable(const struct config_route *route,
                              const struct config_target *target);

/* They verify otherwise than connections do. */
bool check_plan_has_own_authorities(const struct config_route *route);

/* Of a target whose checks have TLS. */
struct weir_tls_settings check_plan_tls(const struct config_route *route,
                                        const struct config_target *target,
                                        weir_tls_context *context);

#endif
