/*
 * The objects of the running proxy, and who may access them.
 *
 * - proxy: the whole; after the start only the first worker changes it, except
 *   for atomic fields
 * - setup: a configuration and what all threads share of it (setup.h); a reload
 *   replaces it (reload.h)
 * - worker: state of one thread: services, log, counts and sessions
 * - service: one thread's state of a service of a setup
 * - session: a connection of a client, from accept to its line in the log
 *
 * Workers share only the proxy, its setups and the shared state of upstream
 * sets. In a setup a worker changes only places, clients and orders (places.h,
 * clients.h, orders.h). Work that concerns all workers is a callback that runs
 * on each thread.
 */
#ifndef WEIR_PROXY_PROXY_H
#define WEIR_PROXY_PROXY_H

#include "networks.h"
#include "tools/weir-proxy/config/config.h"
#include "tools/weir-proxy/confine/confine.h"
#include "tools/weir-proxy/facts/counts.h"
#include "tools/weir-proxy/facts/log.h"

#include "weir/server.h"
#include "weir/sync.h"
#include "weir/threads.h"
#include "weir/upstream.h"

#include <stdatomic.h>

struct client;
struct clients;
struct order;
struct place;
struct session;
struct setup;
struct states_one;
struct tally;
struct target_tally;

/* A list in order of age. Its elements begin with a link. */
struct link {
    struct link *older;
    struct link *younger;
};

struct list {
    struct link *oldest;
    struct link *youngest;
};

static inline void list_add(struct list *list, struct link *link)
{
    struct link *older = list->youngest;

    *link = (struct link){.older = older};
    *(older ? &older->younger : &list->oldest) = link;
    list->youngest = link;
}

static inline void list_remove(struct list *list, struct link *link)
{
    *(link->older ? &link->older->younger : &list->oldest) = link->younger;
    *(link->younger ? &link->younger->older : &list->youngest) = link->older;
}

/* A limit of connections, for all threads. */
struct places {
    _Atomic uint64_t taken;
    _Atomic uint64_t waiting; /* clients that wait, on all threads */
    _Atomic uint64_t limit;   /* 0 is no limit, and nothing is counted */
};

/* A session whose socket to the target will get TCP keepalive (keepalive.h). */
struct unasked {
    struct link link;        /* in its worker's list; must be the first field */
    struct session *session; /* NULL if not in the list */
};

/* State of resetting connections (cuts.h). */
struct cuts {
    struct weir_handle timer;
    uint64_t step_ns;
    unsigned steps;
    size_t left;
};

/* A worker's state of a target. */
struct route_target {
    weir_upstream *added;      /* NULL before it was added */
    bool was_down;             /* it was down after it was last up */
    struct target_tally *past; /* of freed upstream sets */
};

/* A worker's state of a route. */
struct route {
    const struct services *services;
    const struct config_route *config;
    weir_upstreams *upstreams;
    struct route_target *targets;
    char *in_use; /* with balance first: name of the used upstream */
    struct cuts cuts;
    struct order **orders; /* for each target: the operators' order */
};

static inline const char *route_get_name(const struct route *route)
{
    return route->config->label;
}

/* A worker's listening socket. */
struct door {
    struct service *service;
    const struct target *at;
    weir_server *server;
    struct places *places;                /* limit of the address */
    struct list waiting;                  /* clients (struct place) that wait
                                           * for the limit */
    void (*take_in)(struct place *place); /* called when the limits admit a
                                           * client */
};

struct service {
    struct worker *worker;
    struct services *services;
    const struct config_service *config;
    size_t index;
    struct route *routes;
    struct networks trusted; /* may send PROXY headers */
    struct clients *clients; /* NULL if the service has no client rules */
    bool reads_header;       /* connections begin with a PROXY header */
    bool reads_hello; /* the ClientHello is read before TLS is terminated */
    bool has_route_for_all; /* the only route is for all clients */
    bool has_alpn_route;    /* a route depends on the ClientHello's ALPN */
    bool has_silent_route;
    struct counts *counts; /* also of old services with the same name */
};

/* A worker's state of a setup. After a reload the old services accept no more
 * connections, and are freed after their last connection. */
struct services {
    struct link link; /* in worker->all; must be the first field */
    struct worker *worker;
    struct setup *setup; /* a reference */
    struct service *all;
    size_t count;
    struct route *routes; /* of all services, in order; zero until made */
    size_t route_count;
    struct route_target *targets; /* of all routes, in order */
    struct door *doors;           /* of all services */
    size_t door_count;
    size_t busy; /* servers and sessions that have not ended */
    bool is_old;
};

struct trimming {
    uint64_t count;
    uint64_t peak;    /* since memory was last released */
    uint64_t last_ns; /* time of the last release; 0 is never */
    bool is_due;
};

/* Connections whose request has not arrived (askers.h). */
struct askers {
    struct list idle;
    size_t idle_count;
};

struct worker {
    struct proxy *proxy;
    weir_thread *thread;
    weir_loop *loop;
    struct services *services;  /* services that accept; NULL before the first
                                 * setup */
    struct services *next;      /* services of a reload in progress, or NULL */
    struct list all;            /* struct services: the old ones, until their
                                 * connections end, and these two */
    struct keyed_table tallies; /* struct tally: of all services so far */
    struct keyed_table target_tallies; /* struct target_tally */
    struct list sessions;              /* struct session */
    struct trimming trimming;
    struct list unasked;    /* struct unasked; see keepalive.h */
    bool will_ask;          /* the timer that empties @unasked is armed */
    _Atomic bool is_called; /* a check for free places is due */
    struct log log;
    /* Servers for the operators' page, commands and successors. Other workers
     * than the first have none. */
    weir_server *page;
    struct askers page_askers;
    weir_server *control;
    struct askers control_askers;
    weir_server *successors;
    bool has_successor;   /* a successor gets or has the sockets */
    bool is_replaced;     /* a successor serves */
    weir_event *event;    /* set when a count that the task waits for has
                           * changed; NULL before the start and after the
                           * end */
    size_t opening_count; /* servers that are not open yet */
    int opening_err;
    size_t closing_count; /* servers that are not closed yet */
    bool is_draining;
    bool is_stopping; /* the first worker received a signal to stop */
    bool has_ended;   /* the worker has ended; set by the first worker */
};

/* Functions of control/ that workers call. Each worker calls ready(). Only the
 * first worker calls the others. */
struct worker_hooks {
    int (*begin)(struct worker *worker); /* after the servers accept */
    int (*ready)(struct worker *worker); /* after begin() */
    void (*end)(struct worker *worker);  /* after the connections have ended */
};

struct proxy {
    const struct worker_hooks *hooks;
    int argc; /* the command line, parsed again by a reload */
    char **argv;
    struct setup *setup; /* the current setup; changed by the first worker */
    struct confinement confinement;
    struct worker *workers;
    uint32_t worker_count;
    struct places places;         /* limit of the connections of all services */
    struct keyed_table addresses; /* limits of all addresses so far (setup.c) */
    struct keyed_table routes;    /* shared state of all routes so far */
    struct keyed_table orders;    /* struct order, of all targets so far */
    int start_err;                /* error of opening a socket */
    uint64_t fd_limit;            /* connections that the descriptors allow */
    _Atomic uint64_t told_shortage_ns; /* time of the last message, or 0 */
    uint64_t memory_limit_bytes;
    uint32_t ready_count; /* workers that accept; used by the first worker */
    uint32_t ended_count; /* used by the first worker */
    int predecessor;      /* connection to the replaced proxy, or negative */
    int admin_fd;         /* listening socket for the operators' page, from
                           * the predecessor or admin_open(); -1 if there is
                           * none or the page uses it */
    weir_lock *change;    /* held during a reload or handover */
    bool is_reloading;    /* a task of the first worker reloads */
    bool was_refused;     /* the last reload was refused */
    bool is_asked_again;  /* another reload must follow the running one */
    struct states_one *states; /* from the predecessor or the old setup */
    size_t state_count;
    int notify_fd;        /* to the manager's path, or -1 (manager.c) */
    uint64_t watchdog_ns; /* watchdog time of the service manager, or 0 */
    _Atomic uint64_t told_skipped_ns; /* time of the last message, or 0 */
    _Atomic uint64_t told_refused_ns; /* likewise */
};

/* Initial read limit of a relay (weir/relay.h). If the limit before the relay
 * were larger, the start of the relay would cancel the pending receive. */
#define RECEIVED_AHEAD_BYTES (32u << 10)

/* Returns the options of a service's connections. Connections to targets get
 * TCP keepalive later (keepalive.h). */
static inline struct weir_connection_options
connection_of(const struct config_service *config, bool is_to_target)
{
    const bool asks = config->keepalive_idle_ns > 0 && !is_to_target;

    return (struct weir_connection_options){
        .size = sizeof(struct weir_connection_options),
        .keep_alive = asks,
        .keep_alive_idle_ns = asks ? config->keepalive_idle_ns : 0,
        .keep_alive_interval_ns = asks ? config->keepalive_interval_ns : 0,
        .keep_alive_count = asks ? (uint32_t)config->keepalive_count : 0,
        .read_limit_bytes = config->buffer_bytes < RECEIVED_AHEAD_BYTES
                                ? config->buffer_bytes
                                : RECEIVED_AHEAD_BYTES,
        .timeouts = {.size = sizeof(struct weir_timeouts),
                     .write_stall_ns = config->stall_timeout_ns}};
}

/* Returns true if the last message of a kind, at @told_ns, is more than
 * @apart_ns ago or if there was none. Sets the time to @now_ns then. Of several
 * threads only one gets true. */
static inline bool is_to_tell(_Atomic uint64_t *told_ns, uint64_t now_ns,
                              uint64_t apart_ns)
{
    uint64_t before_ns = atomic_load(told_ns);

    return (before_ns == 0 || now_ns > before_ns + apart_ns) &&
           atomic_compare_exchange_strong(told_ns, &before_ns, now_ns);
}

/* Returns a worker's share of a total limit, rounded up; 0 for no limit. */
static inline uint64_t share_of(uint64_t limit, const struct proxy *proxy)
{
    return limit / proxy->worker_count + (limit % proxy->worker_count > 0);
}

#endif
