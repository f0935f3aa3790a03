/*
 * The server's UDP sockets: each sends its datagrams back, or counts them.
 *
 * There are no connections here, so there is no chargen and no task for each.
 * Datagrams whose answer is refused are counted, and the others are served.
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
    /* NULL before it is bound, and after its end. */
    weir_transport *transport;
    /* Called when it is bound, or could not be, and when it has ended. */
    datagram_server_fn *on_bound;
    datagram_server_fn *on_ended;
    void *arg;
    const struct weir_protocol *protocol;
    /* Until it is bound; and where to write which address could not be. */
    weir_pending *pending;
    char *why;
    size_t why_size;
    /* Besides the bytes, which are in counts. */
    uint64_t received;
    /* Answers that could not be sent. */
    uint64_t failed;
    struct mode_counts *counts;
    /* Other endpoints share its address. */
    bool reuse_port;
};

/* Does a mode exist for datagrams? */
bool datagram_server_has(const struct mode *mode);

/* Bind; the fields up to arg, why, counts and reuse_port are set. 0 when
 * on_bound follows, or a negative error. */
int datagram_server_start(struct datagram_server *server, weir_loop *loop,
                          const struct mode *mode, const struct target *target);

/* End: what waits is sent, at once is not. Returns whether on_ended follows
 * because of this call. */
bool datagram_server_stop(struct datagram_server *server, bool at_once);

#endif
