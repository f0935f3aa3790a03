/*
 * One listening socket and the accepts that wait on it.
 *
 * A listener keeps one multishot accept in the kernel or, if the owner accepts
 * only a few more connections, several one-shot accepts. The owner decides the
 * number of accepts, and gets the descriptors.
 */
#ifndef WEIR_LIB_NET_SERVE_LISTENER_H
#define WEIR_LIB_NET_SERVE_LISTENER_H

#include "lib/base/address.h"
#include "lib/loop/loop.h"
#include "weir/connect_options.h"

#define WR_ACCEPT_OPS 16u

struct wr_listener;

/* Calls of the owner, always from a completion. */
struct wr_listener_ops {
    /* A connection was accepted, which may have ended already; the owner takes
     * @fd. Not called after wr_listener_close(). */
    void (*accepted)(struct wr_listener *listener, int fd);
    /* The kernel accepted a connection before wr_listener_close() has cancelled
     * the accept; the owner takes @fd. */
    void (*accepted_late)(struct wr_listener *listener, int fd);
    /* An accept failed with @err, and the listener is open. -ECANCELED means
     * that wr_listener_end_multishot() or wr_listener_disarm() has ended it. */
    void (*failed)(struct wr_listener *listener, int err);
    /* The descriptor is closed, some time after wr_listener_close(). */
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
    struct wr_accept *multishot; /* the one that continues, or NULL */
    uint64_t nofile;             /* RLIMIT_NOFILE when it was armed */
    uint64_t looked_turn;        /* iteration of the last check of this limit */
    bool is_closing;             /* closed when the last accept has ended */
    bool was_bare;  /* adopted; queued connections may have no options */
    bool has_file;  /* it removes the file of its Unix socket */
    dev_t file_dev; /* identifies the file */
    ino_t file_ino;
    struct weir_address address; /* local address */
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
    uint32_t socket_mode;     /* of a Unix socket's file; 0 means by umask */
    bool keeps_file;          /* does not remove the file */
    const struct weir_connection_options *connection; /* borrowed */
};

void wr_listener_init(struct wr_listener *listener, weir_loop *loop,
                      const struct wr_listener_ops *ops, void *owner);

void wr_listener_check_invariants(const struct wr_listener *listener);

/* Makes a socket bound to @address. Returns 0, or an error without a socket. */
WEIR_MUST_USE int wr_listener_open(struct wr_listener *listener,
                                   const struct weir_address *address,
                                   const struct wr_listen_options *options);

/* Adopts a bound descriptor; takes it, even on an error. */
WEIR_MUST_USE int wr_listener_adopt(struct wr_listener *listener, int fd,
                                    const struct wr_listen_options *options);

/* Lets clients connect. Another call only changes the backlog. */
WEIR_MUST_USE int wr_listener_listen(struct wr_listener *listener, int backlog);

/* Undoes wr_listener_listen() before an accept was armed: the socket stays
 * bound, and clients are refused. A Unix socket continues to listen. An adopted
 * socket is alone in its set, so no other one can fail after it. */
void wr_listener_unlisten(struct wr_listener *listener);

/* Arms one-shot accepts until there are @goal, at most WR_ACCEPT_OPS. */
void wr_listener_arm(struct wr_listener *listener, uint32_t goal);

/* Arms a multishot accept, unless one continues. One-shot accepts stay until
 * they end with connections. The multishot accept keeps the limit of
 * descriptors with which it was armed (Linux 6.18). */
void wr_listener_arm_multishot(struct wr_listener *listener);

/* Cancels the multishot accept, which may accept until it has ended. */
void wr_listener_end_multishot(struct wr_listener *listener);

/* Cancels all accepts, each of which may accept until it has ended. */
void wr_listener_disarm(struct wr_listener *listener);

/* Ends the accepts, and removes a Unix socket's file. Returns true if the
 * descriptor is closed; otherwise ops->closed follows, and a connection that
 * arrives meanwhile is closed. */
bool wr_listener_close(struct wr_listener *listener);

/* Ends the accepts of a listener that is closing, after the ring broke. */
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
 * A socket that is bound to a path makes a file there, which outlives it. A
 * listener or a datagram endpoint removes such a file if no socket is bound to
 * it any more; a listener also removes its own file when it is closed. */

/* A bind to an address in use is repeated, for two seconds of running time. The
 * ring of a process that was killed keeps its socket until the kernel has ended
 * its operations: about 20 ms (Linux 6.18), and more on busy processors. Tries
 * are counted instead of time: while the machine is suspended, the kernel ends
 * no operations either. */
#define WR_BIND_RETRY_NS (10u * 1000000u)
#define WR_BIND_TRIES    200u

/* Binds a socket to an address of any family. If the address has a file and
 * @mode is not 0, the file gets the permissions @mode. Returns -EADDRINUSE if
 * the path has a file that is not a socket, or to which a socket is bound;
 * -EMFILE, -ENFILE, -ENOMEM or -ENOBUFS if the state of the file could not be
 * determined. An error leaves no file. */
WEIR_MUST_USE int wr_listener_file_bind(int fd,
                                        const struct weir_address *address,
                                        uint32_t mode);

#endif
