/*
 * Reading places.
 *
 * Text and values become valid addresses alike. A name stays text, which its
 * owner looks up; a descriptor is checked by its owner, who knows of which type
 * it has to be.
 */
#ifndef WEIR_LIB_NAMES_PLACE_H
#define WEIR_LIB_NAMES_PLACE_H

#include "lib/loop/loop.h"
#include "weir/place.h"

/* A place that was read. It points to the program's memory, and to itself. */
struct wr_place {
    const char *name; /* to be looked up; NULL: none */
    uint16_t port;    /* of the addresses that the name has */
    /* Valid addresses; none of a name, a descriptor and the host NULL. */
    const struct weir_address *addresses;
    size_t count;
    struct weir_address single;
};

/* 0, or what is wrong: -EINVAL, WEIR_EDNSBADNAME, -ENAMETOOLONG, -ENODEV. More
 * addresses than @limit are -EINVAL, and none of them is read. A pipe, which
 * has no address, is -EINVAL. */
WEIR_MUST_USE int wr_place_read(weir_loop *loop, const struct weir_place *place,
                                size_t limit, struct wr_place *ret);

/* The text of a host; NULL: the place is none. */
static inline const char *wr_place_get_host(const struct weir_place *place)
{
    return place->kind == WEIR_PLACE_HOST ? place->host : NULL;
}

static inline bool wr_place_is_pipe(const struct weir_place *place)
{
    return place->kind == WEIR_PLACE_READ_PIPE ||
           place->kind == WEIR_PLACE_WRITE_PIPE;
}

/* True if the place is a socket or a pipe that is open already. */
static inline bool wr_place_is_open(const struct weir_place *place)
{
    return place->kind == WEIR_PLACE_FD || wr_place_is_pipe(place);
}

/* The descriptor, which the call that takes the place has taken; -1: none. */
static inline int wr_place_get_fd(const struct weir_place *place)
{
    return wr_place_is_open(place) ? place->fd : -1;
}

#endif
