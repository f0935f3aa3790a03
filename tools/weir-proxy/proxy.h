/*
 * The objects of the running proxy, and who may touch them.
 *
 *     proxy    the whole; constant once all workers listen, but for its setup
 *     setup    a configuration and what all threads have of it (setup.h); the
 *              next one takes its place when it is read again (reload.h)
 *     worker   what one thread has: services, log, counts and sessions
 *     service  what one thread has of a service of a setup
 *     session  a connection of a client, from its acceptance to its line in
 *              the log
 *
 * Workers share nothing but the proxy and its setups, whose places and clients
 * alone they change while they run (places.h, clients.h), and what sets of
 * targets have in common. Whatever concerns all workers is a visit of the
 * threads.
 */
#ifndef WEIR_PROXY_PROXY_H
#define WEIR_PROXY_PROXY_H

#include "config.h"
#include "confine.h"
#include "counts.h"
#include "log.h"

#include "weir/network.h"
#include "weir/server.h"
#include "weir/sync.h"
#include "weir/threads.h"
#include "weir/upstream.h"

#include <stdatomic.h>

struct admin;
struct client;
struct control;
struct clients;
struct order;
struct place;
struct session;
struct setup;
struct states_one;
struct tally;
struct target_tally;

/* A list by age: what is in it begins with its link. */
struct link {
    struct link *older;
    struct link *younger;
};

struct list {
    struct link *oldest; /* NULL: it is empty */
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

/* Connections at once, of all threads. */
struct places {
    _Atomic uint64_t taken;
    _Atomic uint64_t waiting; /* for one of these places */
    _Atomic uint64_t limit;   /* 0: none, and nothing is counted */
};

/* A session whose target has no keepalive yet (keepalive.h). */
struct unasked {
    struct link link;        /* of its worker's; the first field */
    struct session *session; /* NULL: it is not in the list */
};

/* Connections that are to be ended (cuts.h). */
struct cuts {
    struct weir_handle timer;
    uint64_t step_ns;
    unsigned steps; /* that are left, for as many connections: */
    size_t left;
};

/* What a worker has of a route: its targets. */
struct route {
    struct worker *worker;
    const struct services *services;
    const struct config_service *service;
    const struct config_route *config;
    weir_upstreams *upstreams;
    weir_upstream **added; /* of each target, borrowed; NULL: not yet */
    bool *was_down; /* of each target, by its checks, since it was up last */
    char *in_use; /* the name of the upstream, with balance first; NULL: none */
    struct cuts cuts;
    struct target_tally **past; /* of each target: of sets before this one */
    struct order **orders;      /* about each target, by operators */
};

static inline const char *route_get_name(const struct route *route)
{
    return route->config->label;
}

/* What a worker has of a socket that is listened on. */
struct door {
    struct service *service;
    const struct target *at;
    weir_server *server;
    struct places *places;                /* of the address */
    struct list waiting;                  /* struct place: for them, here */
    void (*take_in)(struct place *place); /* it has its places */
};

struct service {
    struct worker *worker;
    struct services *services; /* among which it is */
    const struct config_service *config;
    size_t index; /* in the configuration */
    struct route *routes;
    struct door *doors;
    size_t door_count;
    struct weir_network *trusted;
    size_t trusted_count;
    struct clients *clients;  /* NULL: all are let in */
    bool reads_header;        /* connections begin with a PROXY header ... */
    unsigned header_versions; /* ... of enum weir_proxy_version */
    bool reads_hello;         /* the route is chosen before TLS is opened */
    bool has_route_for_all;   /* ... and no other one */
    bool has_alpn_route;      /* ... also by the protocols of the hello */
    bool has_silent_route;    /* a client that sends nothing has a route */
    struct counts *counts;    /* of all services of its name, of this thread */
};

/* What a worker has of a setup. When another one has taken its place they are
 * old: they accept no more, and are freed with their last connection. */
struct services {
    struct link link; /* among the old ones of its worker; the first field */
    struct worker *worker;
    struct setup *setup; /* a reference */
    struct service *all;
    size_t busy; /* servers and sessions that have not ended */
    bool is_old;
};

/* Servers that are being opened or closed. A stop with a deadline ends the task
 * that waits for them, and they are told closed after it: at the loop's end. */
struct waiting {
    weir_event *event; /* NULL: no task waits any longer */
    size_t count;
    int err;
};

/* Of the connections of a worker; see trimming.h. */
struct trimming {
    uint64_t count;
    uint64_t peak;    /* since memory was given back */
    uint64_t last_ns; /* when it was; 0: never */
    bool is_due;      /* a timer runs */
};

struct worker {
    struct proxy *proxy;
    weir_thread *thread;
    weir_loop *loop;
    struct services *services;  /* that accept; NULL: before the first */
    struct services *next;      /* that are to take their place; NULL: none */
    struct list old;            /* struct services: with connections still */
    struct keyed_table tallies; /* struct tally: of all services that there
                                   were */
    struct keyed_table target_tallies; /* struct target_tally */
    struct list sessions;              /* struct session */
    struct trimming trimming;
    struct list unasked;    /* struct unasked; see keepalive.h */
    bool will_ask;          /* a timer that empties it runs */
    _Atomic bool is_called; /* to look whether there are places */
    struct log log;
    struct admin *admin;     /* the first worker's; NULL: none */
    weir_server *successors; /* who asks for the sockets, likewise */
    struct control *control; /* who commands, likewise; NULL: nobody may */
    bool has_successor;      /* one of them was given the sockets */
    bool is_replaced;        /* ... and serves */
    struct waiting opening;  /* the services' servers */
    struct waiting closing;
    bool is_draining;
    bool is_stopping; /* by a signal, of the first worker */
    bool has_ended;   /* told to the first worker, which sets it */
};

struct proxy {
    int argc; /* the command line, which is read again */
    char **argv;
    struct setup *setup; /* the first worker's: the one that accepts */
    struct confinement confinement;
    struct worker *workers; /* one for each thread */
    uint32_t worker_count;
    struct places places;         /* of all services */
    struct keyed_table addresses; /* setup.c: all that there were */
    struct keyed_table routes;    /* likewise */
    struct keyed_table orders;    /* struct order: likewise, of all targets */
    int start_err;                /* a socket of its own could not be made */
    uint64_t fd_limit; /* connections that descriptors are enough for */
    _Atomic uint64_t told_shortage_ns; /* when a line has said that they lack */
    uint64_t memory_limit_bytes;       /* of all threads */
    uint32_t ready_count;              /* the first worker's, as the next two */
    uint32_t ended_count;
    weir_event *all_ended; /* set with the last of the others; or NULL */
    int predecessor;       /* the proxy that this one replaces; -1: none */
    int admin_fd; /* the page's listening socket that came from it; -1: none */
    weir_lock *change;   /* the first worker's: who reloads, or is replaced */
    bool is_reloading;   /* by a task of the first worker */
    bool is_asked_again; /* ... which is to do it once more */
    struct states_one *states; /* what was found out about targets before */
    size_t state_count;
    int notify_fd;        /* manager.h; -1: its manager is reached by name */
    uint64_t watchdog_ns; /* of the service manager; 0: there is none */
    _Atomic uint64_t told_skipped_ns; /* of a check, by any thread; 0: none */
};

/* What a relay lets a side receive ahead at first (weir/relay.h). A larger
 * limit before it would make it end the receive that is armed on that side. */
#define RECEIVED_AHEAD_BYTES (32u << 10)

/* How connections of a service begin. Those to its targets get the keepalive
 * later (keepalive.h). */
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

/* A worker's share of a limit of all, rounded up; 0: none. */
static inline uint64_t share_of(uint64_t limit, const struct proxy *proxy)
{
    return limit / proxy->worker_count + (limit % proxy->worker_count > 0);
}

#endif
