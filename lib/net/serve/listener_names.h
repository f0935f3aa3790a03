/*
 * The host names that a server was asked to listen on.
 *
 * They are looked up at the same time, when the server starts. All must be
 * found: a server that listens on a part of its addresses would look right and
 * refuse clients.
 */
#ifndef WEIR_LIB_NET_SERVE_LISTENER_NAMES_H
#define WEIR_LIB_NET_SERVE_LISTENER_NAMES_H

#include "lib/names/lookup.h"

struct wr_listener_names {
    weir_loop *loop;
    /* All names are looked up; called once, from the ready queue. */
    void (*done)(struct wr_listener_names *names);
    struct wr_list all;   /* struct listener_name */
    size_t count;         /* length of all */
    size_t awaited_count; /* lookups that have not ended */
    bool was_started;
};

void wr_listener_names_init(struct wr_listener_names *names, weir_loop *loop,
                            void (*done)(struct wr_listener_names *names));

/* Adds a name before the start: WEIR_EDNSBADNAME, -ENOMEM. */
WEIR_MUST_USE int wr_listener_names_add(struct wr_listener_names *names,
                                        const char *host, uint16_t port,
                                        int family);

/* Starts all lookups; there is at least one. */
void wr_listener_names_start(struct wr_listener_names *names);

/* Ends the lookups; done is no longer called. */
void wr_listener_names_cancel(struct wr_listener_names *names);

/* True while lookups are under way. */
static inline bool
wr_listener_names_is_busy(const struct wr_listener_names *names)
{
    return names->awaited_count > 0;
}

/* The first error, with the name that it is of; or the number of addresses of
 * all names. */
int wr_listener_names_get_result(const struct wr_listener_names *names,
                                 const char **ret_host);

/* Calls @add with each address, until one call fails. */
WEIR_MUST_USE int
wr_listener_names_each(const struct wr_listener_names *names,
                       int (*add)(void *arg, const struct weir_address *),
                       void *arg);

/* Frees all names; no lookup is under way. */
void wr_listener_names_fini(struct wr_listener_names *names);

#endif
