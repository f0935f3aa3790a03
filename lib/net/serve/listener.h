/*
 * One listening socket and the accepts that wait on it.
 *
 * A listener keeps one multishot accept in the kernel, or, where the owner has
 * room for a few connections only, as many one-shot ones. The owner decides how
 * many may connect, and gets their descriptors.
 */
#ifndef WEIR_LIB_NET_SERVE_LISTENER_H
#define WEIR_LIB_NET_SERVE_LISTENER_H

#include "lib/base/address.h"
#include "lib/loop/loop.h"
#include "weir/connect_options.h"

#define WR_ACCEPT_OPS 16u

struct wr_listener;

/* The calls up to the owner, always from a completion. */
struct wr_listener_ops {
    /* A connection was accepted, which may have ended already; the owner takes
     * @fd. Not called after wr_listener_close(). */
    void (*accepted)(struct wr_listener *listener, int fd);
    /* A connection that the kernel accepted before wr_listener_close() has
     * cancelled the accept; the owner takes @fd. */
    void (*accepted_late)(struct wr_listener *listener, int fd);
    /* An accept failed with @err, and the listener is open. -ECANCELED: it was
     * one that wr_listener_end_multishot() or wr_listener_disarm() has ended.
     */
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
    int fd;                      /* -1: closed */
    int family;                  /* AF_INET, AF_INET6 or AF_UNIX */
    uint32_t armed_count;        /* accepts in the kernel */
    struct wr_accept *multishot; /* the one that goes on; NULL: none does */
    uint64_t nofile;             /* RLIMIT_NOFILE that it was armed with */
    uint64_t looked_turn;        /* the turn of the last look at that limit */
    bool is_closing;             /* the last accept closes it */
    bool was_bare;               /* adopted with a queue that may lack the
                                  * options */
    bool has_file;               /* it removes the file of its Unix socket */
    dev_t file_dev;              /* which file that is */
    ino_t file_ino;
    struct weir_address address; /* what it is bound to */
    struct wr_accept accepts[WR_ACCEPT_OPS];
};

struct wr_listen_options {
    int backlog;
    int proto; /* IPPROTO_...; 0: that of the family */
    bool bind_only;
    bool reuse_address;
    bool reuse_port;
    uint64_t defer_accept_ns;
    uint32_t fast_open_limit; /* 0: no fast open */
    uint32_t socket_mode;     /* of a Unix socket's file; 0: by the umask */
    bool keeps_file;          /* does not remove it */
    const struct weir_connection_options *connection; /* borrowed */
};

void wr_listener_init(struct wr_listener *listener, weir_loop *loop,
                      const struct wr_listener_ops *ops, void *owner);

void wr_listener_check_invariants(const struct wr_listener *listener);

/* Makes a socket that is bound to @address: 0, or an error, and nothing is
 * left. */
WEIR_MUST_USE int wr_listener_open(struct wr_listener *listener,
                                   const struct weir_address *address,
                                   const struct wr_listen_options *options);

/* Adopts a bound descriptor; takes it, also on an error. */
WEIR_MUST_USE int wr_listener_adopt(struct wr_listener *listener, int fd,
                                    const struct wr_listen_options *options);

/* Lets clients connect; before, they are refused. Another call only changes the
 * backlog. */
WEIR_MUST_USE int wr_listener_listen(struct wr_listener *listener, int backlog);

/* Undoes wr_listener_listen() before an accept was armed: the socket stays
 * bound, and clients are refused. A Unix socket continues to listen. One that
 * was adopted is alone in its set, and no other can fail after it. */
void wr_listener_unlisten(struct wr_listener *listener);

/* Arms one-shot accepts until there are @goal, at most WR_ACCEPT_OPS. */
void wr_listener_arm(struct wr_listener *listener, uint32_t goal);

/* Arms a multishot accept, if none goes on, beside one-shot ones that are left
 * to end by connections. It keeps the limit of descriptors that it was armed
 * with (Linux 6.18). */
void wr_listener_arm_multishot(struct wr_listener *listener);

/* Cancels the multishot accept, which may accept until it has ended. */
void wr_listener_end_multishot(struct wr_listener *listener);

/* Cancels all accepts, each of which may accept until it has ended. */
void wr_listener_disarm(struct wr_listener *listener);

/* Ends the accepts, and removes a Unix socket's file. True: the descriptor is
 * closed. False: ops->closed follows. A connection that arrives meanwhile is
 * closed. */
bool wr_listener_close(struct wr_listener *listener);

/* Ends the accepts of a listener that is closing, after the ring broke. */
void wr_listener_abandon(struct wr_listener *listener);

/* The accepts that are in flight, one by one. */
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
 * A socket that is bound to a path makes a file there, and the file outlives
 * it. A listener or a datagram endpoint that finds such a file in its way
 * removes it if no socket is bound to it any more; a listener also removes its
 * own when it is closed. */

/* A bind to an address in use is tried again, for two seconds where the process
 * runs. The ring of a process that was killed keeps its socket until the kernel
 * has ended its operations: some 20 ms (Linux 6.18), and more where processors
 * are busy. Tries are counted, and no time: while the machine stands still, the
 * kernel ends nothing either. */
#define WR_BIND_RETRY_NS (10u * 1000000u)
#define WR_BIND_TRIES    200u

/* Binds a socket to an address of any family. If the address has a file, the
 * file gets the permissions @mode, unless @mode is 0. -EADDRINUSE: the path has
 * a file that is not a socket, or that a socket is bound to; -EMFILE, -ENFILE,
 * -ENOMEM or -ENOBUFS: the state of the file could not be determined. No error
 * leaves a file. */
WEIR_MUST_USE int wr_listener_file_bind(int fd,
                                        const struct weir_address *address,
                                        uint32_t mode);

#endif
