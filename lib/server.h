/*
 * The inside of a server, for its two halves.
 *
 * server.c is its life, from the request to listen to the last callback;
 * accept.c is what it does while it serves: accepting, waiting for resources
 * and for room, and the list of its clients.
 */
#ifndef WEIR_LIB_SERVER_H
#define WEIR_LIB_SERVER_H

#include "listen.h"
#include "transport.h"

enum server_state {
    SERVER_STARTING,
    SERVER_BOUND,
    SERVER_SERVING,
    SERVER_CLOSED,
};

struct weir_server {
    weir_loop *loop;
    struct wr_owner owner; /* of its connections */
    struct wr_alive alive;
    enum server_state state;
    struct weir_factory factory;
    weir_server_done_fn *done;
    void *done_arg;
    struct weir_stream_options stream;
    struct wr_listen listen;
    struct wr_ready work;
    struct wr_timer retry;     /* binding, or accepting after EMFILE */
    struct wr_timer grace;     /* of weir_server_stop() */
    uint64_t bind_until_ns;    /* 0 before the first attempt */
    uint64_t connection_limit; /* UINT64_MAX: none */
    uint64_t grace_ns;         /* of weir_server_serve_forever() */
    struct wr_list clients;    /* weir_transport.owner_link */
    uint64_t client_count;     /* how many */
    struct wr_list parked;     /* struct parked, oldest first */
    uint64_t parked_count;     /* how many */
    struct wr_list holders;    /* tasks that serve its connections */
    struct wr_list waiters;    /* struct waiter */
    struct wr_list joiners;    /* tasks that wait for the same */
    struct wr_list runners;    /* a task in weir_server_serve_forever() */
    uint32_t pins;             /* calls that still use the memory */
    int err;                   /* why it does not listen */
    bool ends_handlers : 1;    /* with the last connection, set once */
    bool told : 1;             /* set when done was called */
    bool exhausted : 1;        /* set by EMFILE, cleared by a success */
    bool stopping : 1;         /* set by stop */
    bool grace_over : 1;       /* set by the grace timer */
    bool freed : 1;            /* the program has given it back */
};

/* server.c */

/* Reads what @outer, itself read (options.h), says of a server. */
int wr_server_options_read(const void *outer,
                           struct weir_server_options *server);

/* weir_create_server() with options that were read. */
int wr_server_create(weir_loop *loop, const struct weir_factory *factory,
                     const char *host, uint16_t port,
                     const struct weir_server_options *options,
                     weir_server **ret);

/* Closes the socket that the options of a refused call bring along. */
void wr_server_refuse(const struct weir_server_options *options);

/* Has the server's ready item look at what there is to do. */
void wr_server_push_work(weir_server *server);

/* Closed, with no connection and nothing in the kernel? */
bool wr_server_is_quiet(const weir_server *server);

/* The same, with no task that serves it either: only the handle is left. */
bool wr_server_is_over(const weir_server *server);

/* weir_server_stop() for who waits by other means. */
void wr_server_stop(weir_server *server, uint64_t grace_ns);

/* The last thing that anybody does with a server in a completion. */
void wr_server_release_if_over(weir_server *server);

/* accept.c */

extern const struct wr_listener_ops wr_server_listener_ops;
extern const struct wr_owner_ops wr_server_owner_ops;

/* Cancels the tasks that serve its connections, or served them. */
void wr_server_cancel_handlers(weir_server *server);

/* The same once there are no connections. */
void wr_server_end_handlers(weir_server *server);

/* Arms accepts as far as there is room and nothing to wait for. */
void wr_server_arm(weir_server *server);

/* The parked connections: opens what there is room for, or closes all. */
void wr_server_open_parked(weir_server *server);
void wr_server_close_parked(weir_server *server);

/* Calls weir_transport_close() or weir_transport_abort() on all clients. */
void wr_server_end_clients(weir_server *server, int (*end)(weir_transport *t));

/* Closes the clients that are idle; a server that is stopping is told when
 * another one is. */
void wr_server_end_idle(weir_server *server);

#endif
