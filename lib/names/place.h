/*
 * Reading struct weir_place.
 *
 * Text and addresses are validated alike. A name stays text, which the caller
 * looks up; a descriptor is checked by the caller, who knows its required type.
 */
#ifndef WEIR_LIB_NAMES_PLACE_H
#define WEIR_LIB_NAMES_PLACE_H

#include "lib/loop/loop.h"
#include "weir/place.h"

/* A place that was read. It points to the program's memory, and to itself. */
struct wr_place {
    const char *name; /* to be looked up, or NULL */
    uint16_t port;    /* of the addresses that the name has */
    /* Valid addresses; empty for a name, a descriptor and the host NULL. */
    const struct weir_address *addresses;
    size_t count;
    struct weir_address single;
};

/* Returns 0, -EINVAL, WEIR_EDNSBADNAME, -ENAMETOOLONG or -ENODEV. For more
 * addresses than @limit returns -EINVAL and reads none of them. Returns -EINVAL
 * for a pipe, which has no address. */
WEIR_MUST_USE int wr_place_read(weir_loop *loop, const struct weir_place *place,
                                size_t limit, struct wr_place *ret);

/* Returns the text of a host, or NULL for another kind of place. */
static inline const char *wr_place_get_host(const struct weir_place *place)
{
    return place->kind == WEIR_PLACE_HOST ? place->host : NULL;
}

static inline bool wr_place_is_pipe(const struct weir_place *place)
{
    return place->kind == WEIR_PLACE_READ_PIPE ||
           place->kind == WEIR_PLACE_WRITE_PIPE;
}

static inline bool wr_place_is_open(const struct weir_place *place)
{
    return place->kind == WEIR_PLACE_FD || wr_place_is_pipe(place);
}

/* Returns the descriptor, which the call with this place owns now, or -1. */
static inline int wr_place_get_fd(const struct weir_place *place)
{
    return wr_place_is_open(place) ? place->fd : -1;
}

#endif
