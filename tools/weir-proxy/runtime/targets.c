/*
 * Each worker has its own upstream set for each route. The sets of a route
 * share their choices, and one of them checks for all. All threads are notified
 * of changes; only the first worker prints them.
 */
#include "targets.h"

#include "cuts.h"
#include "setup.h"
#include "states.h"
#include "tools/common/console.h"
#include "tools/weir-proxy/base/arena.h"
#include "tools/weir-proxy/config/check_plan.h"

#include "weir/error.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Minimum time between two messages about skipped checks. */
#define SKIPPED_TOLD_NS UINT64_C(1000000000)
/* Minimum time between two messages about one target that begins to fail. */
#define FAILING_TOLD_NS UINT64_C(2000000000)

static const enum weir_balance balances[] = {
    [BALANCE_ROUNDROBIN] = WEIR_BALANCE_ROUND_ROBIN,
    [BALANCE_LEASTCONN] = WEIR_BALANCE_LEAST_CONNECTIONS,
    [BALANCE_RANDOM] = WEIR_BALANCE_RANDOM_TWO,
    [BALANCE_SOURCE] = WEIR_BALANCE_HASH,
    [BALANCE_SNI] = WEIR_BALANCE_HASH,
    [BALANCE_FIRST] = WEIR_BALANCE_FIRST};

static const char *const state_words[] = {[0] = "not used", /* not known */
                                          [WEIR_UPSTREAM_UP] = "up",
                                          [WEIR_UPSTREAM_DOWN] = "down",
                                          [WEIR_UPSTREAM_EJECTED] = "ejected",
                                          [WEIR_UPSTREAM_DRAINING] = "draining",
                                          [WEIR_UPSTREAM_CHECKING] = "not used",
                                          [WEIR_UPSTREAM_REMOVED] = "not used",
                                          [WEIR_UPSTREAM_NAME] = "not used"};

static struct weir_upstream_health known_of(const struct route *route,
                                            const struct config_target *target)
{
    const struct proxy *proxy = route->services->worker->proxy;

    return states_find(proxy->states, proxy->state_count, route->config,
                       target);
}

/* A successful first check of a target is not printed. */
static bool is_news(const struct route *route, const weir_upstream *upstream,
                    const struct weir_upstream_statistics *info)
{
    return info->state != WEIR_UPSTREAM_UP || info->last_err < 0 ||
           known_of(route, weir_upstream_get_user(upstream)).state != 0;
}

static void write_why(const struct config_route *config,
                      const struct weir_upstream_statistics *info,
                      enum weir_upstream_state state, int err, char *why,
                      size_t size)
{
    const bool is_down = state == WEIR_UPSTREAM_DOWN;
    const char *alert = is_down ? info->check_alert : info->connect_alert;
    const char *reason = is_down ? info->check_reason : "";

    why[0] = '\0';
    if (is_down && info->check_status > 0 &&
        config->check == WEIR_UPSTREAM_CHECK_MYSQL) {
        snprintf(why, size, ": error %u of MySQL%s%s",
                 (unsigned)info->check_status, reason[0] ? ": " : "", reason);
    } else if (is_down && info->check_status > 0) {
        snprintf(why, size, ": HTTP %u, not %llu to %llu",
                 (unsigned)info->check_status,
                 (unsigned long long)config->check_min_status,
                 (unsigned long long)config->check_max_status);
    } else if (reason[0]) {
        snprintf(why, size, ": %s: '%s'", weir_strerror(err), reason);
    } else if (err == WEIR_ETLSALERT && alert) {
        snprintf(why, size, ": %s: %s", weir_strerror(err), alert);
    } else if (err < 0) {
        snprintf(why, size, ": %s", weir_strerror(err));
    }
}

static bool is_backup(const weir_upstream *upstream)
{
    const struct config_target *target = weir_upstream_get_user(upstream);

    return target->is_backup;
}

static enum weir_upstream_state state_of(const weir_upstream *upstream)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};

    return weir_upstream_get_statistics(upstream, &info) < 0
               ? WEIR_UPSTREAM_REMOVED
               : info.state;
}

static bool has_first_choice(const struct route *route)
{
    const size_t count = weir_upstreams_get_count(route->upstreams);

    for (size_t i = 0; i < count; i++) {
        const weir_upstream *one =
            weir_upstreams_get_upstream(route->upstreams, i);
        if (one && !is_backup(one) && state_of(one) == WEIR_UPSTREAM_UP) {
            return true;
        }
    }
    return false;
}

bool targets_is_left(const struct route *route, const weir_upstream *upstream)
{
    const struct config_route *config = route->config;

    return (config->when_down.is_cut &&
            state_of(upstream) == WEIR_UPSTREAM_DOWN) ||
           (config->when_back.is_cut && is_backup(upstream) &&
            has_first_choice(route));
}

/* Applies a target's new state to this thread's connections. The end of an
 * ejection does not count as a recovery. */
static void follow_change(struct route *route, weir_upstream *upstream,
                          enum weir_upstream_state state)
{
    const struct config_route *config = route->config;
    const struct config_target *target = weir_upstream_get_user(upstream);
    bool *was_down = &route->targets[target - config->targets].was_down;

    if (state == WEIR_UPSTREAM_DOWN && config->when_down.is_cut) {
        cuts_begin(route, upstream, config->when_down.within_ns);
    }
    if (state == WEIR_UPSTREAM_UP && config->when_back.is_cut && *was_down &&
        !target->is_backup) {
        cuts_begin(route, NULL, config->when_back.within_ns);
    }
    *was_down =
        state == WEIR_UPSTREAM_DOWN || (*was_down && state != WEIR_UPSTREAM_UP);
}

static const char *describe(const struct route *route, char *ret, size_t size)
{
    if (route->config->group) {
        snprintf(ret, size, "targets %s", route->config->group);
    } else {
        snprintf(ret, size, "%s, route %s", route->config->service->name,
                 route_get_name(route));
    }
    return ret;
}

/* Returns true if this route prints its targets' changes: only on the first
 * thread, and only for the first route of a group. */
static bool says_changes(const struct route *route)
{
    const struct worker *worker = route->services->worker;

    return weir_thread_get_index(worker->thread) == 0 && !worker->is_draining &&
           !route->services->is_old && !route->config->is_member;
}

static void tell_change(void *arg, weir_upstream *upstream,
                        enum weir_upstream_state state, int err)
{
    struct route *route = arg;
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    char why[256];
    char whose[256];

    follow_change(route, upstream, state);

    if (!says_changes(route) ||
        weir_upstream_get_statistics(upstream, &info) < 0 ||
        !is_news(route, upstream, &info)) {
        return;
    }
    write_why(route->config, &info, state, err, why, sizeof(why));
    say("%s: target %s is %s%s", describe(route, whose, sizeof(whose)),
        weir_upstream_get_name(upstream), state_words[state], why);
}

/* With balance first: prints a line when another target or address comes into
 * use. The first one after the start is not printed. */
static void tell_in_use(void *arg, weir_upstream *upstream)
{
    struct route *route = arg;
    const char *name = weir_upstream_get_name(upstream);
    char *before = route->in_use;
    char whose[256];

    route->in_use = strdup(name);
    if (before && strcmp(before, name) != 0 && says_changes(route)) {
        say("%s: target %s is in use instead of %s",
            describe(route, whose, sizeof(whose)), name, before);
    }
    free(before);
}

/* Prints a line about a check that could not be made, at most once a second,
 * because usually all targets are affected. */
static void tell_skipped(void *arg, weir_upstream *upstream, int err)
{
    const struct route *route = arg;
    char whose[256];

    if (!route->services->worker->is_draining &&
        is_to_tell(&route->services->worker->proxy->told_skipped_ns,
                   weir_loop_get_time(route->services->worker->loop),
                   SKIPPED_TOLD_NS)) {
        say("%s: target %s could not be checked, and keeps its state: %s",
            describe(route, whose, sizeof(whose)),
            weir_upstream_get_name(upstream), weir_strerror(err));
    }
}

/* Prints a line when connects to a target begin to fail, and another line when
 * they succeed again. Prints at most one such pair of lines in two seconds. */
static void tell_failing(void *arg, weir_upstream *upstream, int err)
{
    const struct route *route = arg;
    const struct config_target *target = weir_upstream_get_user(upstream);
    struct order *order = route->orders[target - route->config->targets];
    char whose[256];

    if (route->services->worker->is_draining || route->services->is_old ||
        target->is_sni) {
        return;
    }
    describe(route, whose, sizeof(whose));
    if (err < 0 && is_to_tell(&order->failing_ns,
                              weir_loop_get_time(route->services->worker->loop),
                              FAILING_TOLD_NS)) {
        atomic_store(&order->is_failing, true);
        say("%s: target %s starts to fail: %s", whose,
            weir_upstream_get_name(upstream), weir_strerror(err));
    } else if (err == 0 && atomic_exchange(&order->is_failing, false)) {
        say("%s: target %s works again", whose,
            weir_upstream_get_name(upstream));
    }
}

static struct weir_tls_settings tls_of(const struct config_route *config,
                                       const struct config_target *target,
                                       weir_tls_context *context)
{
    return (struct weir_tls_settings){
        .size = sizeof(struct weir_tls_settings),
        .context = context,
        .server_hostname = config_tls_name_of(config, target),
        .no_hostname_check = config_is_insecure(config, target),
        /* The time limit of the connect or the check includes the handshake. */
        .handshake_timeout_ns = UINT64_MAX,
    };
}

/* Returns true if the library starts TLS to the target. If the handshake fails,
 * it then tries other targets. After a PROXY header the session starts TLS. */
static bool has_tls_at_once(const struct config_route *config,
                            const struct config_target *target)
{
    return target->at.is_tls && config_header_of(config, target) == HEADER_NONE;
}

void targets_obey(const struct route *route, size_t index)
{
    const struct config_target *target = &route->config->targets[index];
    const struct order *order = route->orders[index];
    const uint32_t weight = orders_weight(order, target);
    weir_upstream *upstream = route->targets[index].added;

    if (upstream) {
        weir_upstream_set_weight(upstream, weight > 0 ? weight : 1);
        weir_upstream_set_draining(upstream,
                                   orders_word(order, target) != NULL);
        weir_upstream_pause_checks(upstream,
                                   atomic_load(&order->mode) == ORDER_DISABLE);
    }
}

static int add_target(struct route *route, size_t index)
{
    const struct contexts *contexts = route->services->setup->contexts;
    const struct config_target *target = &route->config->targets[index];
    struct route_target *made = &route->targets[index];
    const struct weir_tls_settings tls =
        tls_of(route->config, target,
               contexts_for_target(contexts, route->config, target));
    const struct weir_tls_settings check_tls =
        check_plan_tls(route->config, target,
                       contexts_for_check(contexts, route->config, target));
    const struct weir_upstream_health known = known_of(route, target);
    /* A placeholder: each connection to sni:PORT has its own host. */
    struct weir_address nowhere;
    struct check_plan plan;
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .endpoint = target->at.address.len > 0
                        ? weir_endpoint_addresses(&target->at.address, 1)
                    : target->at.service
                        ? weir_endpoint_host(target->at.service, 0)
                    : target->is_sni
                        ? weir_endpoint_addresses(&nowhere, 1)
                        : weir_endpoint_host(target->at.host, target->at.port),
        .name = target->at.text,
        .tls = has_tls_at_once(route->config, target) ? &tls : NULL,
        .user = (void *)target,
        .weight = (uint32_t)(target->weight > 0 ? target->weight : 1),
        .connection_limit = (uint32_t)target->limit,
        .is_backup = target->is_backup,
        .health = &known,
        .check = &plan.check,
        .check_tls =
            check_plan_has_tls(route->config, target) ? &check_tls : NULL,
        .each_address = route->config->addresses == ADDRESSES_ALL,
        .is_service = target->at.service != NULL,
        .local_address = target->from.len > 0 ? &target->from : NULL,
    };
    (void)!weir_address_parse("0.0.0.0", 0, &nowhere);
    check_plan_make(route->config, target, &plan);
    made->past = counts_find_target(&route->services->worker->target_tallies,
                                    route->config->service->name,
                                    route->config->label, target->at.text);
    const int err = made->past ? weir_upstreams_add(route->upstreams, &options,
                                                    &made->added)
                               : -ENOMEM;

    if (err < 0) {
        say("%s: %s", target->at.text, weir_strerror(err));
        return err;
    }
    made->was_down = state_of(made->added) == WEIR_UPSTREAM_DOWN;
    targets_obey(route, index);
    return 0;
}

int targets_make(const struct services *services, struct route *route,
                 const struct config_route *config)
{
    struct worker *worker = services->worker;
    const struct weir_upstreams_options options = {
        .size = sizeof(options),
        .balance = balances[config->balance],
        .queue_limit = (uint32_t)config->queue_limit,
        .queue_timeout_ns = config->queue_timeout_ns,
        .fail_limit = config_count_failures(config),
        .eject_ns = config->eject_ns,
        .slow_start_ns = config->slow_start_ns,
        .resolve_ns = config->resolve_ns > 0 ? config->resolve_ns : UINT64_MAX,
        .changed = tell_change,
        .check_skipped = tell_skipped,
        .changed_arg = route,
        .in_use = tell_in_use,
        .failing = tell_failing,
        .stay = config->stays,
        .one_backup = config->backups == BACKUPS_FIRST,
        .leave_down = config->when_down.is_cut,
        .shared = services->setup->route_shared[config->number],
    };

    *route = (struct route){.services = services,
                            .config = config,
                            .targets = services->targets + config->first_target,
                            .orders =
                                services->setup->orders + config->first_target};
    int err = weir_upstreams_new(worker->loop, &options, &route->upstreams);
    for (size_t i = 0; i < config->target_count && err == 0; i++) {
        err = add_target(route, i);
    }
    return err;
}

static void describe_address(const weir_upstream *upstream,
                             const struct target_facts *target,
                             struct address_facts *ret)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    const char *name = weir_upstream_get_name(upstream);
    const char *at = strstr(name, " at ");
    const bool is_service = target->config->at.service != NULL;

    (void)!weir_upstream_get_statistics(upstream, &info);
    *ret = (struct address_facts){
        .names = {target->names[0], target->names[1], target->names[2],
                  at ? at + 4 : name},
        .state = info.state == WEIR_UPSTREAM_DRAINING && target->ordered
                     ? target->ordered
                     : state_words[info.state],
        .is_up = info.state == WEIR_UPSTREAM_UP,
        .priority = is_service ? info.service_priority : FIELD_NONE,
        .weight = is_service ? info.service_weight : FIELD_NONE,
        .target = target};
}

bool targets_list_addresses(const struct route *route, size_t index,
                            const struct target_facts *target,
                            struct address_facts **all, size_t *all_count)
{
    const struct target *at = &target->config->at;
    const bool has_addresses =
        at->service ||
        (route->config->addresses == ADDRESSES_ALL && at->address.len == 0);
    const size_t count =
        has_addresses ? weir_upstreams_get_count(route->upstreams) : 0;

    for (size_t i = 0; i < count; i++) {
        const weir_upstream *one =
            weir_upstreams_get_upstream(route->upstreams, i);
        if (one == route->targets[index].added ||
            weir_upstream_get_user(one) != target->config) {
            continue;
        }
        struct address_facts facts;
        describe_address(one, target, &facts);
        if (!arena_add(NULL, all, all_count, &facts, sizeof(facts))) {
            return false;
        }
    }
    return true;
}

bool targets_begin_tls(const struct route *route, const weir_upstream *upstream,
                       struct weir_tls_settings *ret)
{
    const struct config_target *target = weir_upstream_get_user(upstream);

    if (!target->at.is_tls || has_tls_at_once(route->config, target)) {
        return false;
    }
    *ret = tls_of(route->config, target,
                  contexts_for_target(route->services->setup->contexts,
                                      route->config, target));
    ret->handshake_timeout_ns = route->config->connect_timeout_ns;
    return true;
}
