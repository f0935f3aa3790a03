/*
 * Internals of a server. server_state.c has the states. server_accept.c accepts
 * clients, and has the lists of clients and of parked connections. server.c has
 * the server's life.
 */
#ifndef WEIR_LIB_NET_SERVE_SERVER_H
#define WEIR_LIB_NET_SERVE_SERVER_H

#include "lib/task/own_task.h"
#include "lib/transport/secure.h"
#include "lib/transport/transport.h"
#include "listener.h"

enum server_state {
    SERVER_STARTING,
    SERVER_BOUND,
    SERVER_SERVING,
    SERVER_CLOSED,   /* accepts no more; connections stay */
    SERVER_STOPPING, /* connections end as soon as they are idle */
    SERVER_ENDING,   /* grace period expired: connections were aborted */
};

/* Waits until a server is closed or over; linked in a list of the server. */
struct wr_server_watch {
    struct wr_list link;
    /* Called once. The watch is in no list and may be freed. */
    void (*tell)(struct wr_server_watch *watch, weir_server *server);
};

struct wr_parked {
    struct wr_list link;
    int fd;
    int family;
    /* The descriptor was passed to weir_server_add_fd(), so it has inherited no
     * settings from a listener of the server. */
    bool is_foreign;
};

struct weir_server {
    weir_loop *loop;
    struct wr_connection_set set;
    struct wr_member member;
    enum server_state state;
    struct weir_factory factory; /* if ->create is NULL, no client is served */
    weir_server_accepted_fn *accepted;
    void *accepted_arg;
    weir_server_done_fn *done;
    void *done_arg;
    struct weir_connection_options connection;
    struct wr_secure_settings tls;
    struct wr_listener_set listeners;
    struct wr_ready work;
    struct wr_own_task own;    /* the task of a start that waits */
    struct wr_timer retry;     /* next accepts after EMFILE */
    struct wr_timer grace;     /* of weir_server_stop() */
    uint64_t connection_limit; /* UINT64_MAX means none */
    /* With fewer clients a multishot accept may stay armed. */
    uint64_t ample_count;
    uint64_t grace_ns; /* of weir_server_serve_forever() */
    struct wr_list clients;
    uint64_t client_count;
    struct wr_list parked;
    uint64_t parked_count;
    /* Tasks that serve the server's connections. */
    struct wr_list handlers;
    struct wr_list close_watches; /* called when the server closes */
    struct wr_list over_watches;  /* called when wr_server_is_over() */
    uint32_t pins;                /* calls that still use the memory */
    int err;                      /* the reason if the server does not listen */
    bool in_task : 1;             /* a task does the start */
    bool has_reported : 1;
    bool lacks_resources : 1; /* set by EMFILE, cleared by a success */
    bool is_freed : 1;
    /* Close clients when the tasks woken by the stop have run. */
    bool closes_clients : 1;
};

void wr_server_set_state(weir_server *server, enum server_state state);
const char *wr_server_get_state_name(const weir_server *server);
void wr_server_check_invariants(const weir_server *server);

static inline bool wr_server_is_closed(const weir_server *server)
{
    return server->state >= SERVER_CLOSED;
}

/* True for a closed server with no connection, and no accept in the kernel. */
bool wr_server_is_quiet(const weir_server *server);

/* True for a quiet server whose handler tasks have ended. */
bool wr_server_is_over(const weir_server *server);

static inline void wr_server_push_work(weir_server *server)
{
    wr_ready_push(&server->loop->ready, &server->work);
}

extern const struct wr_listener_ops wr_server_listener_ops;
extern const struct wr_connection_set_ops wr_server_set_ops;

void wr_server_arm(weir_server *server);

void wr_server_open_parked(weir_server *server);

void wr_server_end_clients(weir_server *server, int (*end)(weir_transport *t));

/* Closes idle clients now, and each other client as soon as it is idle. */
void wr_server_end_idle(weir_server *server);

/* Cancels the tasks that serve or served connections of the server, when the
 * last connection is lost, or now if there is none. */
void wr_server_end_handlers(weir_server *server);

void wr_server_close_parked(weir_server *server);

/* Reads the options of a server, the last field of @outer; see options.h. */
WEIR_MUST_USE int wr_server_options_read(const void *outer,
                                         struct weir_server_options *server);

/* The server does not listen yet. On an error closes a descriptor of @call. */
WEIR_MUST_USE int wr_server_new(weir_loop *loop,
                                const struct weir_factory *factory,
                                const struct wr_server_call *call,
                                weir_server **ret);

/* Listens, in a task that has called wr_task_enter(). Returns 0, or an error,
 * which closes the server. */
WEIR_MUST_USE int wr_server_start(weir_server *server);

void wr_server_stop(weir_server *server, uint64_t grace_ns);

#endif
