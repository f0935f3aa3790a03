/*
 * Limits by client address: which clients are allowed, how many connections
 * each may have at a time, and how many it may make per period.
 *
 * The client is the address in the PROXY header, or else the peer. Clients of
 * Unix sockets are not counted. All addresses in a network of client-prefix
 * bits count as one client. All threads share one table, so that client-conns
 * limits the sum over all threads. client-rate counts the connections of the
 * last 90 to 100 % of its period. A full table forgets the client that has been
 * idle longest. If no client is idle, a new client is admitted without being
 * counted.
 */
#ifndef WEIR_PROXY_CLIENTS_H
#define WEIR_PROXY_CLIENTS_H

#include "tools/weir-proxy/config/config.h"
#include "tools/weir-proxy/facts/record.h"

struct clients;
struct client;

/* Makes an array with an element for each service; the element is NULL for a
 * service without rules. A service keeps the clients of the service with the
 * same name or client-share in @before_config, unless client-table, the period
 * or the prefixes have changed. @before and @before_config may be NULL. Returns
 * NULL with a reason in @why. */
struct clients **clients_make(const struct config *config,
                              struct clients **before,
                              const struct config *before_config, char *why);
void clients_free(struct clients **clients, const struct config *config);

struct clients_refusal {
    enum end_reason reason;
    /* True if the refusal must be logged: at most once a second for each
     * client, and once a second for all denied clients together. */
    bool is_told;
    /* Number of refusals since the last logged one. */
    uint32_t left_out;
};

/* Admits a connection of a client, or returns false. Sets *ret to the client
 * for clients_leave(), or to NULL if the connection is not counted. Can be
 * called on any thread. */
bool clients_enter(struct clients *clients, const struct weir_address *address,
                   uint64_t now_ns, struct client **ret,
                   struct clients_refusal *ret_refusal);
void clients_leave(struct clients *clients, struct client *client);

#endif
