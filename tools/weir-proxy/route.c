/*
 * Server names are compared as DNS does it, without regard to case and to the
 * dot of the root at their end: of all routes that are for a name, the one
 * whose pattern says most of it wins. A name of any other bytes is just none of
 * those that patterns are for.
 *
 * A key is a copy, so that nothing has to outlive the call that uses the key.
 */
#include "route.h"

#include "preface.h"

#include <string.h>
#include <strings.h>

/* The length of a name without the dot of the root. */
static size_t length_of(const char *name)
{
    const size_t len = strlen(name);

    return len > 1 && name[len - 1] == '.' ? len - 1 : len;
}

/* "*.NAME" is for all names below NAME. */
static bool is_for(const struct config_route *route, const char *server_name)
{
    const char *pattern = route->server_name;

    if (!pattern || !server_name) {
        return !pattern;
    }
    const bool is_below = strncmp(pattern, "*.", 2) == 0;
    const size_t len = length_of(server_name);
    const size_t tail = length_of(pattern) - is_below;
    return (is_below ? len > tail : len == tail) &&
           strncasecmp(server_name + len - tail, pattern + is_below, tail) == 0;
}

struct route *route_find(const struct service *service, const char *server_name)
{
    struct route *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < service->config->route_count; i++) {
        struct route *route = &service->routes[i];
        const char *pattern = route->config->server_name;
        const size_t len =
            !pattern ? 1 : strlen(pattern) + (pattern[0] == '*' ? 1 : 1000);
        if (is_for(route->config, server_name) && len > best_len) {
            best = route;
            best_len = len;
        }
    }
    return best;
}

static struct route_key copy(const void *bytes, size_t size)
{
    struct route_key key = {.size = size};

    if (key.size > sizeof(key.bytes)) {
        key.size = sizeof(key.bytes);
    }
    memcpy(key.bytes, bytes, key.size);
    return key;
}

/* All spellings of a name are one key. */
static struct route_key copy_name(const char *server_name)
{
    struct route_key key = copy(server_name, length_of(server_name));

    for (size_t i = 0; i < key.size; i++) {
        if (key.bytes[i] >= 'A' && key.bytes[i] <= 'Z') {
            key.bytes[i] += 'a' - 'A';
        }
    }
    return key;
}

struct route_key route_key(const struct session *session,
                           const char *server_name)
{
    const enum config_balance balance = session->route->config->balance;
    struct weir_address client;

    if (balance == BALANCE_SNI && server_name) {
        return copy_name(server_name);
    }
    if (balance != BALANCE_SOURCE) {
        return (struct route_key){.size = 0};
    }
    preface_get_client(session->preface, session->client, &client);
    switch (client.storage.any.sa_family) {
    case AF_INET:
        return copy(&client.storage.inet.sin_addr,
                    sizeof(client.storage.inet.sin_addr));
    case AF_INET6:
        return copy(&client.storage.inet6.sin6_addr,
                    sizeof(client.storage.inet6.sin6_addr));
    default:
        return (struct route_key){.size = 0};
    }
}
