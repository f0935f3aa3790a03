/*
 * The server's UDP sockets: each echoes its datagrams, or counts them.
 *
 * There are no connections, so there is no chargen. Responses that cannot be
 * sent are counted; other datagrams are still served.
 */
#ifndef WEIR_LOAD_SERVE_DATAGRAMS_H
#define WEIR_LOAD_SERVE_DATAGRAMS_H

#include "modes.h"
#include "tools/common/target.h"

#include "weir/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct datagram_server;

typedef void datagram_server_fn(void *arg, int err,
                                struct datagram_server *server);

struct datagram_server {
    /* NULL before it is bound and after its end. */
    weir_transport *transport;
    /* Called when binding succeeded or failed, and when the socket has ended.
     */
    datagram_server_fn *on_bound;
    datagram_server_fn *on_ended;
    void *arg;
    const struct weir_protocol *protocol;
    /* Set until the socket is bound. If that fails, why gets the address and
     * the error. */
    weir_pending *pending;
    char *why;
    size_t why_size;
    /* Number of datagrams; their bytes are in counts. */
    uint64_t received;
    /* Number of responses that could not be sent. */
    uint64_t failed;
    struct mode_counts *counts;
    /* Other sockets are bound to the same address. */
    bool reuse_port;
};

bool datagram_server_has(const struct mode *mode);

/* Binds; the fields up to arg, why, counts and reuse_port must be set. Returns
 * 0 if on_bound follows, or a negative error. */
int datagram_server_start(struct datagram_server *server, weir_loop *loop,
                          const struct mode *mode, const struct target *target);

/* Ends the socket; unless @at_once is true, after sending pending datagrams.
 * Returns true if this call will cause on_ended. */
bool datagram_server_stop(struct datagram_server *server, bool at_once);

#endif
