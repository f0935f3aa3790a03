/*
 * Computes the plan of a target's checks.
 *
 * A check on another port inherits nothing implicitly: check-tls or the scheme
 * of check-at selects TLS, and check-proxy selects the PROXY header.
 */
#include "check_plan.h"

#include <string.h>

bool check_plan_is_port_alone(const struct target *at)
{
    return at->host[0] == '\0' && at->address.len == 0;
}

bool check_plan_is_checked(const struct config_route *route,
                           const struct config_target *target)
{
    return !target->check.is_off &&
           (route->is_checked || target->check.interval_ns > 0);
}

uint16_t check_plan_port(const struct config_route *route,
                         const struct config_target *target)
{
    return target->check.has_at    ? target->check.at.port
           : route->check_port > 0 ? (uint16_t)route->check_port
                                   : target->at.port;
}

bool check_plan_has_tls(const struct config_route *route,
                        const struct config_target *target)
{
    const bool speaks = route->check != WEIR_UPSTREAM_CHECK_TCP &&
                        !config_logs_in(route->check);

    if (!speaks || !check_plan_is_checked(route, target)) {
        return false;
    }
    if (target->check.has_at) {
        return target->check.at.is_tls;
    }
    return route->check_tls == CHECK_TLS_ON ||
           ((route->check_tls != CHECK_TLS_OFF ||
             route->check == WEIR_UPSTREAM_CHECK_TLS) &&
            target->at.is_tls);
}

bool check_plan_needs_tls(const struct config_route *route)
{
    size_t i = 0;

    while (i < route->target_count &&
           !check_plan_has_tls(route, &route->targets[i])) {
        i++;
    }
    return i < route->target_count;
}

bool check_plan_has_own_authorities(const struct config_route *route)
{
    return route->check_ca || route->check_insecure;
}

static const char *name_of(const struct config_route *route,
                           const struct config_target *target)
{
    return route->check_name  ? route->check_name
           : target->tls_name ? target->tls_name
           : route->to_name   ? route->to_name
           : target->check.has_at && target->check.at.host[0]
               ? target->check.at.host
           : target->at.host[0] ? target->at.host
                                : NULL;
}

static bool is_insecure(const struct config_route *route,
                        const struct config_target *target)
{
    return route->check_insecure ||
           (config_is_insecure(route, target) && !route->check_ca);
}

bool check_plan_is_verifiable(const struct config_route *route,
                              const struct config_target *target)
{
    return name_of(route, target) || is_insecure(route, target);
}

struct weir_tls_settings check_plan_tls(const struct config_route *route,
                                        const struct config_target *target,
                                        weir_tls_context *context)
{
    return (struct weir_tls_settings){
        .size = sizeof(struct weir_tls_settings),
        .context = context,
        .server_hostname = name_of(route, target),
        .no_hostname_check = is_insecure(route, target),
        .handshake_timeout_ns = UINT64_MAX, /* check-timeout includes it */
    };
}

static void write_place(const struct config_route *route,
                        const struct config_target *target,
                        struct weir_upstream_check *ret)
{
    const struct target *at = &target->check.at;

    if (!target->check.has_at) {
        ret->port = (uint16_t)route->check_port;
    } else if (check_plan_is_port_alone(at)) {
        ret->port = at->port;
    } else if (at->address.len > 0) {
        ret->endpoint = weir_endpoint_addresses(&at->address, 1);
    } else {
        ret->endpoint = weir_endpoint_host(at->host, at->port);
    }
}

void check_plan_make(const struct config_route *route,
                     const struct config_target *target, struct check_plan *ret)
{
    const struct config_target_check *own = &target->check;
    const bool is_elsewhere =
        (own->has_at && !check_plan_is_port_alone(&own->at)) ||
        check_plan_port(route, target) != target->at.port;
    const enum config_header header = config_own_header(
        route->check_proxy,
        is_elsewhere ? HEADER_NONE : config_header_of(route, target));

    ret->check = (struct weir_upstream_check){
        .size = sizeof(struct weir_upstream_check),
        .kind = route->check,
        .interval_ns = !check_plan_is_checked(route, target) ? 0
                       : own->interval_ns > 0                ? own->interval_ns
                                              : route->check_interval_ns,
        .fast_ns = route->check_fast_ns,
        .timeout_ns = route->check_timeout_ns,
        .rise = (uint32_t)(own->rise > 0 ? own->rise : route->check_rise),
        .fall = (uint32_t)(own->fall > 0 ? own->fall : route->check_fall),
        .steps = route->check_step_count > 0 ? ret->steps : NULL,
        .step_count = route->check_step_count,
        .user = route->check_user,
        .path = route->check_path,
        .host = route->check_host,
        .no_tls = route->check != WEIR_UPSTREAM_CHECK_TLS &&
                  !check_plan_has_tls(route, target),
        .min_status = (uint32_t)route->check_min_status,
        .max_status = (uint32_t)route->check_max_status,
        .proxy_version = (enum weir_proxy_version)header,
        .starts_down = route->unchecked == UNCHECKED_WAIT,
    };
    write_place(route, target, &ret->check);
    for (size_t i = 0; i < route->check_step_count; i++) {
        const struct config_step *step = &route->check_steps[i];
        ret->steps[i] = (struct weir_upstream_check_step){
            step->send, step->send_size, step->expect, step->expect_size,
            !step->begins};
    }
}
