/*
 * Clients by their addresses: which may come at all, how many connections each
 * may have at once, and how many in a time.
 *
 * The client of a connection is the one that its PROXY header names, or else
 * its peer; clients of Unix sockets are not counted. What counts as one client
 * is a network of client-prefix. All threads count in one table, so that there
 * is never a connection more than client-conns; the number in a time is that of
 * the last nine to ten tenths of it. A table that is full forgets the client
 * that has been idle longest, and where none is idle it lets a new one in
 * uncounted: it never refuses anybody by itself.
 */
#ifndef WEIR_PROXY_CLIENTS_H
#define WEIR_PROXY_CLIENTS_H

#include "config.h"
#include "record.h"

/* What a service asks of its clients. */
struct clients;
/* A client with connections. */
struct client;

/* An array with an element for each service, NULL for one that lets all in.
 * NULL with a line in @why. */
struct clients **clients_make(const struct config *config, char *why);
/* The same for a configuration that follows another one: services of the same
 * name, or with the same client-share, go on with their clients, unless these
 * count otherwise now. */
struct clients **clients_make_next(const struct config *config,
                                   struct clients **before,
                                   const struct config *before_config,
                                   char *why);
void clients_free(struct clients **clients, const struct config *config);

struct clients_refusal {
    enum end_reason reason;
    /* Is there to be a line in the log? There is one a second for a client;
     * and how many of its refusals had none since the one before. */
    bool is_told;
    uint32_t left_out;
};

/* A connection of a client. False: it is refused. *ret becomes what its end is
 * told to, or NULL: it does not count. Any thread. */
bool clients_enter(struct clients *clients, const struct weir_address *address,
                   uint64_t now_ns, struct client **ret,
                   struct clients_refusal *ret_refusal);
/* The end of a connection that was let in. */
void clients_leave(struct clients *clients, struct client *client);

#endif
