/*
 * Parses and checks struct weir_endpoint.
 *
 * A name stays text, which the caller looks up. The caller checks a descriptor,
 * because it knows the required type.
 */
#ifndef WEIR_LIB_NAMES_ENDPOINT_H
#define WEIR_LIB_NAMES_ENDPOINT_H

#include "lib/loop/loop.h"
#include "weir/endpoint.h"

/* A parsed endpoint. It points to the program's memory and into itself, so it
 * must not be copied. */
struct wr_endpoint {
    const char *name; /* to be looked up, or NULL */
    uint16_t port;    /* port for the addresses of the name */
    /* Valid addresses; empty for a name, a descriptor and the host NULL. */
    const struct weir_address *addresses;
    size_t count;
    struct weir_address single;
};

/* Returns 0, or 1 for a name that is valid only in the hosts file; else
 * -EINVAL, -ENAMETOOLONG, -ENODEV or an error of wr_lookup_check_name(). A
 * pipe, or more than @limit addresses, is -EINVAL. */
WEIR_MUST_USE int wr_endpoint_read(weir_loop *loop,
                                   const struct weir_endpoint *endpoint,
                                   size_t limit, struct wr_endpoint *ret);

/* Returns NULL for another kind of endpoint. */
static inline const char *
wr_endpoint_get_host(const struct weir_endpoint *endpoint)
{
    return endpoint->kind == WEIR_ENDPOINT_HOST ? endpoint->host : NULL;
}

static inline bool wr_endpoint_is_pipe(const struct weir_endpoint *endpoint)
{
    return endpoint->kind == WEIR_ENDPOINT_READ_PIPE ||
           endpoint->kind == WEIR_ENDPOINT_WRITE_PIPE;
}

static inline bool wr_endpoint_is_open(const struct weir_endpoint *endpoint)
{
    return endpoint->kind == WEIR_ENDPOINT_FD || wr_endpoint_is_pipe(endpoint);
}

/* Returns the descriptor, or -1 if the endpoint has none. The call that got the
 * endpoint owns the descriptor from now on. */
static inline int wr_endpoint_get_fd(const struct weir_endpoint *endpoint)
{
    return wr_endpoint_is_open(endpoint) ? endpoint->fd : -1;
}

#endif
