/*
 * Routes: which one is for a server name, and by what its targets know a client
 * again.
 *
 * Nothing here waits or changes anything.
 */
#ifndef WEIR_PROXY_ROUTE_H
#define WEIR_PROXY_ROUTE_H

#include "session.h"

/* The most exact route for a name, which is NULL if the client named none;
 * NULL: there is no route. */
struct route *route_find(const struct service *service,
                         const char *server_name);

/* The bytes by which a client comes to the same target again. */
struct route_key {
    uint8_t bytes[256];
    size_t size; /* 0: none */
};

struct route_key route_key(const struct session *session,
                           const char *server_name);

#endif
