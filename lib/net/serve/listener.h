/*
 * One listening socket and the accepts that wait on it: one multishot accept
 * or, if the owner accepts only a few more connections, several one-shot
 * accepts. The owner decides the number of accepts, and gets the descriptors.
 */
#ifndef WEIR_LIB_NET_SERVE_LISTENER_H
#define WEIR_LIB_NET_SERVE_LISTENER_H

#include "lib/base/address.h"
#include "lib/loop/loop.h"
#include "lib/names/endpoint.h"
#include "lib/names/lookups.h"
#include "weir/connect_options.h"
#include "weir/pending.h"
#include "weir/server.h"

#define WR_ACCEPT_OPS 16u

struct wr_listener;

/* Called only from completions. */
struct wr_listener_ops {
    /* Called when a connection was accepted, which may have ended already. The
     * owner takes @fd. Not called after wr_listener_close(). */
    void (*accepted)(struct wr_listener *listener, int fd);
    /* Called for a connection that the kernel accepted before
     * wr_listener_close() cancelled the accept. The owner takes @fd. */
    void (*accepted_late)(struct wr_listener *listener, int fd);
    /* Called when an accept failed with @err on an open listener. -ECANCELED
     * means that wr_listener_end_multishot() or wr_listener_disarm() has
     * cancelled it. */
    void (*failed)(struct wr_listener *listener, int err);
    /* Called after wr_listener_close(), when the descriptor is closed. */
    void (*closed)(struct wr_listener *listener);
};

struct wr_accept {
    struct wr_op op;
    struct wr_listener *listener;
};

struct wr_listener {
    const struct wr_listener_ops *ops;
    weir_loop *loop;
    void *owner;
    int fd;                      /* -1 if closed */
    int family;                  /* AF_INET, AF_INET6 or AF_UNIX */
    uint32_t armed_count;        /* accepts in the kernel */
    struct wr_accept *multishot; /* the accept that continues, or NULL */
    uint64_t nofile;             /* RLIMIT_NOFILE when ->multishot was armed */
    uint64_t looked_turn;
    bool is_closing; /* closed when the last accept has ended */
    bool was_bare;   /* adopted; queued connections may have no options */
    bool has_file;   /* the close removes the file of its Unix socket */
    dev_t file_dev;
    ino_t file_ino;
    struct weir_address address;
    struct wr_accept accepts[WR_ACCEPT_OPS];
};

struct wr_listen_options {
    int backlog;
    int proto; /* IPPROTO_...; 0 means default of the family */
    bool bind_only;
    bool reuse_address;
    bool reuse_port;
    uint64_t defer_accept_ns;
    uint32_t fast_open_limit; /* 0 means no fast open */
    /* Permissions of a Unix socket's file; 0 means by umask. */
    uint32_t socket_mode;
    bool keeps_file;
    const struct weir_connection_options *connection; /* borrowed */
};

void wr_listener_init(struct wr_listener *listener, weir_loop *loop,
                      const struct wr_listener_ops *ops, void *owner);

void wr_listener_check_invariants(const struct wr_listener *listener);

/* Makes a socket bound to @address. Returns 0, or an error without a socket. */
WEIR_MUST_USE int wr_listener_open(struct wr_listener *listener,
                                   const struct weir_address *address,
                                   const struct wr_listen_options *options);

/* Adopts a bound descriptor. Takes it, even on failure. */
WEIR_MUST_USE int wr_listener_adopt(struct wr_listener *listener, int fd,
                                    const struct wr_listen_options *options);

/* A second call only changes the backlog. */
WEIR_MUST_USE int wr_listener_listen(struct wr_listener *listener, int backlog);

/* Undoes wr_listener_listen() before an accept was armed: the socket stays
 * bound, and clients are refused. A Unix socket continues to listen. */
void wr_listener_unlisten(struct wr_listener *listener);

/* Arms one-shot accepts until there are @goal, at most WR_ACCEPT_OPS. */
void wr_listener_arm(struct wr_listener *listener, uint32_t goal);

/* Arms a multishot accept, unless one is armed. One-shot accepts stay until
 * they end with connections. The multishot accept keeps the limit of
 * descriptors with which it was armed (Linux 6.18). */
void wr_listener_arm_multishot(struct wr_listener *listener);

/* Cancels the multishot accept, which may still accept until it has ended. */
void wr_listener_end_multishot(struct wr_listener *listener);

/* Cancels all accepts. Each may still accept until it has ended. */
void wr_listener_disarm(struct wr_listener *listener);

/* Cancels the accepts, and removes a Unix socket's file. Returns true if the
 * descriptor is closed; otherwise ops->closed is called later, perhaps after
 * ops->accepted_late. */
bool wr_listener_close(struct wr_listener *listener);

/* Called when the ring has failed: ends the accepts of a closing listener. */
void wr_listener_abandon(struct wr_listener *listener);

static inline uint32_t
wr_listener_count_accepts(const struct wr_listener *listener)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < WR_ACCEPT_OPS; i++) {
        count += listener->accepts[i].op.in_flight;
    }
    return count;
}

/* ---- files of Unix sockets ----
 *
 * A bind to a path makes a file, which outlives the socket. A listener or a
 * datagram endpoint removes such a file if no socket is bound to it any more. A
 * listener also removes its own file when it is closed. */

/* A bind to an address in use is repeated for two seconds of running time. The
 * ring of a killed process keeps its socket until the kernel has ended its
 * operations: about 20 ms (Linux 6.18), and more on busy processors. Tries are
 * counted instead of time, because the kernel ends no operations while the
 * machine is suspended. */
#define WR_BIND_RETRY_NS (10u * 1000000u)
#define WR_BIND_TRIES    200u

/* Binds a socket to an address of any family. If the address has a file and
 * @mode is not 0, the file gets the permissions @mode. Returns -EADDRINUSE if
 * the path has a file that is not a socket, or to which a socket is bound.
 * Returns -EMFILE, -ENFILE, -ENOMEM or -ENOBUFS if the state of the file could
 * not be determined. An error leaves no new file. */
WEIR_MUST_USE int wr_listener_file_bind(int fd,
                                        const struct weir_address *address,
                                        uint32_t mode);

/*
 * The listening sockets of one server, bound as one: all or none, except
 * families that this machine does not have, and with one port for all if the
 * kernel chooses the port.
 */

/* All is borrowed except a descriptor, which is taken. */
struct wr_server_call {
    /* A host here is in addition to the hosts of the options. */
    struct weir_endpoint endpoint;
    const struct weir_server_options *options;
    weir_server_done_fn *done;
    void *done_arg;
};

struct wr_listener_set {
    weir_loop *loop;
    const struct wr_listener_ops *ops;
    void *owner;
    struct wr_listener *all;
    struct weir_address *addresses;
    size_t capacity;
    size_t address_count;
    size_t count; /* listeners that were opened */
    int fd;       /* socket to adopt, or -1 */
    bool is_none; /* no_sockets: the server has no listener */
    struct wr_listen_options options;
    struct wr_lookups names; /* addresses that are not known yet */
    char *error_text;        /* memory of the program, or NULL */
    size_t error_text_size;
    int told_err; /* error whose text was written, or 0 */
    struct weir_attempt *attempts;
    size_t attempt_count;
    size_t attempt_capacity;
};

/* Reads the addresses of @call, starts the lookups of its names, and allocates
 * the listeners. Keeps a socket of @call for wr_listener_set_open(). Returns 0,
 * WEIR_EDNSBADNAME, -EINVAL or another error, which leaves nothing to free. */
WEIR_MUST_USE int wr_listener_set_init(struct wr_listener_set *set,
                                       weir_loop *loop,
                                       const struct wr_server_call *call);
void wr_listener_set_fini(struct wr_listener_set *set);

void wr_listener_set_check_invariants(const struct wr_listener_set *set);

static inline bool wr_listener_set_has_names(const struct wr_listener_set *set)
{
    return !wr_list_is_empty(&set->names.all);
}

/* Must be called in a task that has called wr_task_enter(). */
WEIR_MUST_USE int wr_listener_set_resolve(struct wr_listener_set *set);

/* True if the listeners are open, or if the server wants none (no_sockets). */
static inline bool wr_listener_set_is_open(const struct wr_listener_set *set)
{
    return set->is_none ? set->count == 0 : set->count > 0;
}

/* Writes the text of @err for the program, or clears it for 0. Does nothing if
 * a more exact text of this error was written before. */
void wr_listener_set_tell(struct wr_listener_set *set, int err);

/* Binds all sockets and, unless options.bind_only is set, listens on them. An
 * error closes all. */
WEIR_MUST_USE int wr_listener_set_open(struct wr_listener_set *set);

/* Listens on all bound sockets or on none. May be repeated after an error. */
WEIR_MUST_USE int wr_listener_set_listen(struct wr_listener_set *set);

void wr_listener_set_close(struct wr_listener_set *set);

bool wr_listener_set_is_closed(const struct wr_listener_set *set);

uint64_t wr_listener_set_get_armed(const struct wr_listener_set *set);

/* Goal of wr_listener_set_arm(): arms one more accept on each listener. A new
 * accept checks the kernel's queue immediately. */
#define WR_ACCEPT_ANOTHER 0u

/* Arms up to @goal one-shot accepts on each listener. Arms at most @room on all
 * listeners together, but at least one on each. */
void wr_listener_set_arm(struct wr_listener_set *set, uint32_t goal,
                         uint64_t room);

void wr_listener_set_arm_multishot(struct wr_listener_set *set);

void wr_listener_set_end_multishot(struct wr_listener_set *set);

void wr_listener_set_disarm(struct wr_listener_set *set);

#endif
