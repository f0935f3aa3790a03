/*
 * One listening socket and the accepts that wait on it.
 *
 * A listener keeps one multishot accept in the kernel, or, where the owner can
 * take only so many connections, that many one-shot ones. (Measured, connect,
 * one request, close: multishot and a getpeername 0.93 of 16 one-shot accepts
 * that bring the address along.) Who may connect, and what becomes of a
 * descriptor, is the owner's business.
 */
#ifndef WEIR_LIB_LISTENER_H
#define WEIR_LIB_LISTENER_H

#include "address.h"
#include "loop.h"

#define WR_ACCEPT_OPS 16u
/* A goal: as many as there are clients. */
#define WR_ACCEPT_ALL UINT32_MAX

struct wr_listener;

/* What the owner is told, always from a completion. */
struct wr_listener_ops {
    /* A connection: @fd is the owner's now, @peer is borrowed. Not called
     * after wr_listener_close(). */
    void (*accepted)(struct wr_listener *listener, int fd,
                     const struct weir_address *peer);
    /* An accept failed with @err, and the listener is open. */
    void (*failed)(struct wr_listener *listener, int err);
    /* After wr_listener_close(): the descriptor is closed. */
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
    int fd;                      /* -1 once closed */
    int family;                  /* AF_INET, AF_INET6 or AF_UNIX */
    uint32_t armed_count;        /* accepts in the kernel */
    bool closing;                /* set by wr_listener_close() */
    bool was_listening;          /* adopted so: see server.c */
    struct weir_address address; /* what it is bound to */
    struct wr_accept accepts[WR_ACCEPT_OPS];
};

struct wr_listen_options {
    int backlog;
    bool bind_only;
    bool reuse_address;
    bool reuse_port;
    uint32_t defer_accept_s;
    const struct weir_stream_options *stream; /* borrowed */
};

void wr_listener_init(struct wr_listener *listener, weir_loop *loop,
                      const struct wr_listener_ops *ops, void *owner);

/* Makes a socket that is bound to @address; or an error, and nothing is left.
 */
int wr_listener_open(struct wr_listener *listener,
                     const struct weir_address *address,
                     const struct wr_listen_options *options);

/* The same with a bound descriptor, which is taken whatever is returned. */
int wr_listener_adopt(struct wr_listener *listener, int fd,
                      const struct wr_listen_options *options);

/* Lets clients connect: until then they are refused. Calling again changes the
 * backlog at most. */
int wr_listener_listen(struct wr_listener *listener, int backlog);

/* Has accepts in the kernel up to @goal, at most WR_ACCEPT_OPS, or a multishot
 * one. Takes none away. */
void wr_listener_arm(struct wr_listener *listener, uint32_t goal);

/* Ends the accepts. Returns true when the descriptor was closed at once, false
 * when ops->closed follows. A connection that arrives meanwhile is closed. */
bool wr_listener_close(struct wr_listener *listener);

/* After that, when the ring broke: the accepts have ended. */
void wr_listener_abandon(struct wr_listener *listener);

/* Is it bound to one address, which its connections therefore have? */
bool wr_listener_is_bound_to_one(const struct wr_listener *listener);

/* Checks a descriptor that a program wants adopted: an open one (-EBADF), a
 * stream socket (-EINVAL) of a family that weir knows (-EAFNOSUPPORT), and
 * connected if @ret_peer is set, not connected if it is NULL (-EINVAL). Returns
 * the family. */
int wr_socket_check(int fd, struct weir_address *ret_peer);

#endif
