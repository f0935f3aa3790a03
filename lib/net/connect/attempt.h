/*
 * One attempt to connect to one address.
 *
 * An attempt makes a socket, connects it with the ring, and has its own time
 * limit. It ends once, with a call of its owner: with a connected socket, which
 * then belongs to the owner, or with an error and no socket.
 */
#ifndef WEIR_LIB_NET_CONNECT_ATTEMPT_H
#define WEIR_LIB_NET_CONNECT_ATTEMPT_H

#include "lib/loop/loop.h"
#include "weir/connect_options.h"

struct wr_attempt {
    weir_loop *loop;
    /* Called when the attempt has ended with 0 or a negative error. The attempt
     * may be freed. With 0 the owner takes ->fd. Never called inside
     * wr_attempt_start(). */
    void (*ended)(struct wr_attempt *attempt, int err);
    struct wr_op op;
    struct wr_timer timer;
    struct wr_timer retry; /* after -EAGAIN of a Unix server */
    uint64_t retry_ns;     /* next delay */
    int fd;
    int cause; /* -ECANCELED or -ETIMEDOUT if given up, else 0 */
    struct weir_address address;
    struct weir_address own; /* local address of a failed socket, or len 0 */
};

struct wr_attempt_options {
    const struct weir_address *local; /* len 0 means any */
    uint16_t local_port;              /* if local is any; 0 means any */
    int proto;           /* IPPROTO_...; 0 means default of the family */
    bool fast_open;      /* succeeds at once if the kernel has a cookie */
    uint64_t timeout_ns; /* 0 means none */
    const struct weir_connection_options *connection;
};

void wr_attempt_init(struct wr_attempt *attempt, weir_loop *loop,
                     void (*ended)(struct wr_attempt *attempt, int err));

void wr_attempt_check_invariants(const struct wr_attempt *attempt);

/* Starts an attempt; after an error it is unchanged. Options are borrowed. */
WEIR_MUST_USE int wr_attempt_start(struct wr_attempt *attempt,
                                   const struct weir_address *address,
                                   const struct wr_attempt_options *options);

/* Gives up: the attempt ends with the @cause of the first call, even if the
 * connection was made. */
void wr_attempt_give_up(struct wr_attempt *attempt, int cause);

/* Must be called after the ring broke, for an attempt that was given up. */
void wr_attempt_abandon(struct wr_attempt *attempt);

static inline bool wr_attempt_is_under_way(const struct wr_attempt *attempt)
{
    return attempt->fd >= 0;
}

#endif
