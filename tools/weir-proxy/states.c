/*
 * States are those of checks alone: a target that rests after failures is up
 * for its checks, and one that is drained, or whose first check has not ended,
 * has none.
 */
#include "states.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a, with the texts' ends among the bytes; NULL is no text. */
static uint64_t add_text(uint64_t key, const char *text)
{
    const size_t size = text ? strlen(text) + 1 : 0;

    key = (key ^ !text) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < size; i++) {
        key = (key ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    }
    return key;
}

static uint64_t key_of(const struct route *route,
                       const struct config_target *target)
{
    const struct config_route *config = route->config;
    const char *const texts[] = {route->service->name,
                                 config->server_name,
                                 target->at.text,
                                 config->check_send,
                                 config->check_expect,
                                 config->check_path,
                                 config->check_host,
                                 config->to_ca,
                                 config->to_name,
                                 config->to_cert,
                                 config->to_insecure ? "" : NULL};
    uint64_t key = UINT64_C(0xcbf29ce484222325) ^ config->check;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        key = add_text(key, texts[i]);
    }
    return key;
}

/* What the last checks have found: up, down, or 0. */
static enum weir_upstream_state found_of(const weir_upstream *upstream)
{
    struct weir_upstream_info info = {.size = sizeof(info)};

    if (weir_upstream_get_info(upstream, &info) < 0) {
        return 0;
    }
    switch (info.state) {
    case WEIR_UPSTREAM_UP:
    case WEIR_UPSTREAM_EJECTED:
        return WEIR_UPSTREAM_UP;
    case WEIR_UPSTREAM_DOWN:
        return WEIR_UPSTREAM_DOWN;
    default:
        return 0;
    }
}

/* Appends those of a route; false without memory. */
static bool add_route(struct states_one **states, size_t *count,
                      const struct route *route)
{
    for (size_t i = 0; i < route->config->target_count; i++) {
        const enum weir_upstream_state state =
            found_of(weir_upstreams_get_upstream(route->upstreams, i));
        if (!state || route->config->check == CHECK_NONE) {
            continue;
        }
        struct states_one *larger =
            realloc(*states, (*count + 1) * sizeof(*larger));
        if (!larger) {
            return false;
        }
        *states = larger;
        larger[(*count)++] = (struct states_one){
            key_of(route, &route->config->targets[i]), state};
    }
    return true;
}

int64_t states_gather(const struct worker *worker, struct states_one **ret)
{
    const struct config *config = worker->proxy->config;
    size_t count = 0;

    *ret = NULL;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct service *service = &worker->services[i];
        for (size_t j = 0; j < service->config->route_count; j++) {
            if (!add_route(ret, &count, &service->routes[j])) {
                free(*ret);
                *ret = NULL;
                return -ENOMEM;
            }
        }
    }
    return (int64_t)count;
}

enum weir_upstream_state states_find(const struct states_one *states,
                                     size_t count, const struct route *route,
                                     const struct config_target *target)
{
    const uint64_t key = count > 0 ? key_of(route, target) : 0;

    for (size_t i = 0; i < count && route->config->check != CHECK_NONE; i++) {
        if (states[i].key == key) {
            return states[i].state == WEIR_UPSTREAM_DOWN ? WEIR_UPSTREAM_DOWN
                                                         : WEIR_UPSTREAM_UP;
        }
    }
    return 0;
}
