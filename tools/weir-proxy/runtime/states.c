/*
 * All threads have the same facts about their targets, so the facts of a route
 * come from the first thread that has it. A successor may have more or fewer
 * threads.
 *
 * A state (up or down) comes from checks. A target that is drained, or whose
 * first check has not ended, has no state.
 */
#include "states.h"

#include "setup.h"
#include "tools/weir-proxy/base/hashes.h"
#include "tools/weir-proxy/config/check_plan.h"
#include "worker.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum fact {
    FACT_STATE,
    FACT_RESTS,      /* consecutive ejections */
    FACT_REPORTED,   /* 1 if reported errors caused the ejections */
    FACT_ERROR,      /* last error, as a positive number */
    FACT_REST_NS,    /* remaining time of an ejection */
    FACT_SLOW_START, /* remaining time of the slow start */
    FACT_ORDER,
    FACT_WEIGHT, /* ordered weight plus 1 */
    FACT_IN_USE, /* time in use, with balance first */
    FACTS,
};

static uint64_t add_bytes(uint64_t key, const char *bytes, size_t size)
{
    key = hashes_add_byte(key, bytes ? (unsigned)size + 1 : 0);
    return hashes_add_bytes(key, bytes, size);
}

static uint64_t add_steps(uint64_t key, const struct config_route *config)
{
    for (size_t i = 0; i < config->check_step_count; i++) {
        const struct config_step *step = &config->check_steps[i];
        key = add_bytes(key, step->send, step->send_size);
        key = add_bytes(key, step->expect, step->expect_size);
        key = hashes_add_text(key, step->begins ? "" : NULL);
    }
    return key;
}

/* Adds the address, PROXY header and TLS settings of a target's checks to the
 * key. Returns the new key. */
static uint64_t add_place(uint64_t key, const struct config_route *config,
                          const struct config_target *target)
{
    const struct target *at = &target->check.at;
    char text[128] = "";

    key = hashes_add_text(key, config->check_ca);
    key = hashes_add_text(key, config->check_name);
    key = hashes_add_text(key, config->check_insecure ? "" : NULL);
    key = hashes_add_text(key, target->check.has_at ? at->host : NULL);
    if (target->check.has_at && at->address.len > 0) {
        weir_address_format(&at->address, text, sizeof(text));
    }
    key = hashes_add_text(key, text);
    snprintf(text, sizeof(text), "%u %d", (unsigned)at->port,
             (int)config->check_proxy);
    return hashes_add_text(key, text);
}

/* Returns true for facts that do not depend on the target's TLS settings. */
static bool is_of_target(enum fact fact)
{
    return fact == FACT_ORDER || fact == FACT_WEIGHT || fact == FACT_IN_USE;
}

/* Returns the key of a fact. The key of a state depends on the kind of check.
 * The keys of the other facts depend on the fact's name instead. */
static uint64_t key_of(const struct config_route *config,
                       const struct config_target *target, enum fact fact)
{
    static const char *const names[FACTS] = {
        [FACT_RESTS] = "rests",           [FACT_REPORTED] = "reported",
        [FACT_ERROR] = "error",           [FACT_REST_NS] = "rest",
        [FACT_SLOW_START] = "slow start", [FACT_IN_USE] = "in use",
        [FACT_ORDER] = "order",           [FACT_WEIGHT] = "weight"};
    const bool is_of_checks = fact == FACT_STATE;
    const bool has_tls = !is_of_target(fact);
    const char *const texts[] = {
        config->service->name,
        config->label,
        target->at.text,
        is_of_checks ? config->check_user : NULL,
        NULL,
        is_of_checks ? config->check_path : NULL,
        is_of_checks ? config->check_host : NULL,
        has_tls && target->tls_ca ? target->tls_ca
        : has_tls                 ? config->to_ca
                                  : NULL,
        has_tls && target->tls_name ? target->tls_name
        : has_tls                   ? config->to_name
                                    : NULL,
        has_tls ? config->to_cert : NULL,
        has_tls && config_is_insecure(config, target) ? "" : NULL};
    uint64_t key = HASHES_BASIS;
    char plan[96];

    key ^= is_of_checks && check_plan_is_checked(config, target)
               ? 1 + (uint64_t)config->check
               : 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        key = hashes_add_text(key, texts[i]);
    }
    if (is_of_checks) {
        key = add_steps(key, config);
        key = add_place(key, config, target);
        snprintf(plan, sizeof(plan), "%llu %llu-%llu %d",
                 (unsigned long long)config->check_port,
                 (unsigned long long)config->check_min_status,
                 (unsigned long long)config->check_max_status,
                 (int)config->check_tls);
    }
    return hashes_add_text(key, is_of_checks ? plan : names[fact]);
}

/* Results of the callbacks, in the order of the configuration. */
struct gathering {
    const struct proxy *proxy;
    const struct setup *setup;
    struct weir_upstream_health *known;
};

/* Facts from another thread are kept. */
static void note_route(struct weir_upstream_health *known,
                       const struct route *route)
{
    for (size_t i = 0; i < route->config->target_count; i++) {
        struct weir_upstream_health one = {.size = sizeof(one)};
        if (known[i].size == 0 &&
            weir_upstream_get_health(route->targets[i].added, &one) == 0) {
            known[i] = one;
        }
    }
}

static void visit(void *arg, weir_thread *thread)
{
    const struct gathering *gathering = arg;
    const struct services *services =
        worker_at(gathering->proxy, thread)->services;

    const bool is_there = services && services->setup == gathering->setup;
    for (size_t i = 0; is_there && i < services->route_count; i++) {
        const struct route *route = &services->routes[i];
        if (route->upstreams) {
            note_route(gathering->known + route->config->first_target, route);
        }
    }
}

static size_t write_facts(struct states_one *states, const struct route *route,
                          const struct config_target *target,
                          const struct weir_upstream_health *known)
{
    const struct order *order = route->orders[target - route->config->targets];
    const uint32_t weight = atomic_load(&order->weight);
    const uint64_t values[FACTS] = {
        [FACT_STATE] = known->state,
        [FACT_RESTS] = known->ejected_count,
        [FACT_REPORTED] = known->ejected_by_report,
        [FACT_ERROR] = (uint64_t)(-(int64_t)known->err),
        [FACT_REST_NS] = known->ejected_ns,
        [FACT_SLOW_START] = known->slow_start_ns,
        [FACT_IN_USE] = known->in_use_ns,
        [FACT_ORDER] = (uint64_t)atomic_load(&order->mode),
        [FACT_WEIGHT] = weight != ORDER_NO_WEIGHT ? (uint64_t)weight + 1 : 0};
    size_t count = 0;

    for (enum fact fact = 0; fact < FACTS; fact++) {
        if (values[fact] > 0) {
            states[count++] = (struct states_one){
                key_of(route->config, target, fact), values[fact]};
        }
    }
    return count;
}

static size_t write_all(struct states_one *states, const struct worker *worker,
                        const struct weir_upstream_health *known)
{
    const struct services *services = worker->services;
    size_t count = 0;

    for (size_t i = 0; i < services->route_count; i++) {
        const struct route *route = &services->routes[i];
        for (size_t j = 0; j < route->config->target_count; j++) {
            count += write_facts(states + count, route,
                                 &route->config->targets[j], known++);
        }
    }
    return count;
}

int64_t states_gather(const struct worker *worker, struct states_one **ret)
{
    const struct setup *setup = worker->services->setup;
    const size_t count = setup->config->target_count;
    struct gathering gathering = {worker->proxy, setup,
                                  calloc(count + 1, sizeof(*gathering.known))};
    struct states_one *states = calloc(count * FACTS + 1, sizeof(*states));
    int64_t result = -ENOMEM;

    if (states && gathering.known) {
        result = worker_visit(worker, visit, &gathering);
    }
    if (result >= 0) {
        result = (int64_t)write_all(states, worker, gathering.known);
    } else {
        free(states);
        states = NULL;
    }
    free(gathering.known);
    *ret = states;
    return result;
}

static int compare(const void *a, const void *b)
{
    const struct states_one *one = a;
    const struct states_one *other = b;

    return (one->key > other->key) - (one->key < other->key);
}

void states_sort(struct states_one *states, size_t count)
{
    qsort(states, count, sizeof(*states), compare);
}

static uint64_t find(const struct states_one *states, size_t count,
                     const struct config_route *route,
                     const struct config_target *target, enum fact fact)
{
    if (count == 0) {
        return 0;
    }
    const struct states_one wanted = {.key = key_of(route, target, fact)};
    const struct states_one *found =
        bsearch(&wanted, states, count, sizeof(wanted), compare);

    return found ? found->value : 0;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

void states_find_order(const struct states_one *states, size_t count,
                       const struct config_route *route,
                       const struct config_target *target, struct order *order)
{
    const uint64_t mode = find(states, count, route, target, FACT_ORDER);
    const uint64_t weight = find(states, count, route, target, FACT_WEIGHT);

    if (mode == ORDER_DRAIN || mode == ORDER_DISABLE) {
        atomic_store(&order->mode, (int)mode);
    }
    if (weight > 0 && weight <= ORDER_WEIGHT_MAX + 1) {
        atomic_store(&order->weight, (uint32_t)(weight - 1));
    }
}

struct weir_upstream_health states_find(const struct states_one *states,
                                        size_t count,
                                        const struct config_route *route,
                                        const struct config_target *target)
{
    const bool is_checked = check_plan_is_checked(route, target);
    uint64_t values[FACTS];

    for (enum fact fact = 0; fact < FACTS; fact++) {
        values[fact] = find(states, count, route, target, fact);
    }
    const uint64_t state = is_checked ? values[FACT_STATE] : 0;
    return (struct weir_upstream_health){
        .size = sizeof(struct weir_upstream_health),
        .state = state == WEIR_UPSTREAM_UP     ? WEIR_UPSTREAM_UP
                 : state == WEIR_UPSTREAM_DOWN ? WEIR_UPSTREAM_DOWN
                                               : 0,
        .ejected_count = (uint32_t)at_most(values[FACT_RESTS], UINT32_MAX),
        .ejected_by_report = values[FACT_REPORTED] > 0,
        .err = -(int)at_most(values[FACT_ERROR], INT_MAX),
        .ejected_ns = values[FACT_REST_NS],
        .slow_start_ns = values[FACT_SLOW_START],
        .in_use_ns = values[FACT_IN_USE]};
}
