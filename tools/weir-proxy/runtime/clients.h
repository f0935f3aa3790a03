/*
 * Limits by client address: which clients are allowed, how many connections
 * each may have at a time, and how many it may make per period.
 *
 * The client is the address that the PROXY header names, or else the peer.
 * Clients of Unix sockets are not counted. A network of client-prefix bits
 * counts as one client. All threads count in one table, so that client-conns is
 * never exceeded. client-rate counts the connections in the last nine to ten
 * tenths of its period. A full table forgets the client that has been idle
 * longest. If no client is idle, a new client is admitted without being
 * counted.
 */
#ifndef WEIR_PROXY_CLIENTS_H
#define WEIR_PROXY_CLIENTS_H

#include "tools/weir-proxy/config/config.h"
#include "tools/weir-proxy/facts/record.h"

/* Client rules of a service. */
struct clients;
/* A client with connections. */
struct client;

/* Makes an array with an element for each service; the element is NULL for a
 * service without rules. Services with the same name or the same client-share
 * as in the configuration @before_config, which may be NULL, keep their
 * clients, unless the way of counting changed. Returns NULL with a reason in
 * @why. */
struct clients **clients_make(const struct config *config,
                              struct clients **before,
                              const struct config *before_config, char *why);
void clients_free(struct clients **clients, const struct config *config);

struct clients_refusal {
    enum end_reason reason;
    /* True if the refusal must be logged. At most one refusal of a client is
     * logged per second. */
    bool is_told;
    /* Number of refusals that were not logged since the last line. */
    uint32_t left_out;
};

/* Admits a connection of a client, or returns false. Sets *ret to the client
 * for clients_leave(), or to NULL if the connection is not counted. Can be
 * called on any thread. */
bool clients_enter(struct clients *clients, const struct weir_address *address,
                   uint64_t now_ns, struct client **ret,
                   struct clients_refusal *ret_refusal);
/* Ends a connection that was admitted. */
void clients_leave(struct clients *clients, struct client *client);

#endif
