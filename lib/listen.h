/*
 * The listening sockets of one server, opened and closed together.
 *
 * Knows which addresses a server was asked for and how they are bound as one:
 * all or none, but for families that this machine does not have, and with one
 * port for all where the kernel was to choose it.
 */
#ifndef WEIR_LIB_LISTEN_H
#define WEIR_LIB_LISTEN_H

#include "listener.h"

#include "../include/weir/server.h"

struct wr_listen {
    weir_loop *loop;
    const struct wr_listener_ops *ops;
    void *owner;
    struct wr_listener *listeners; /* capacity of them */
    struct weir_address *addresses;
    size_t capacity;
    size_t address_count;
    size_t count; /* listeners that are open or closing */
    int fd;       /* to adopt, or -1 */
    struct wr_listen_options options;
};

/* Reads the addresses (WEIR_ENOTLITERAL, -EINVAL ...) of @host, which may be
 * NULL, and of options->hosts, and makes room for a listener each. Errors
 * leave nothing. @fd is remembered, or -1. */
int wr_listen_init(struct wr_listen *listen, weir_loop *loop, const char *host,
                   uint16_t port, const struct weir_server_options *options);
void wr_listen_fini(struct wr_listen *listen);

/* Binds all and, if options.bind_only is not set, listens. On an error none is
 * open. */
int wr_listen_open(struct wr_listen *listen);

/* Listens on all that are bound: 0, or the first error, and then some may
 * listen. */
int wr_listen_start(struct wr_listen *listen);

/* See wr_listener_close(); returns true when all are closed. */
bool wr_listen_close(struct wr_listen *listen);

/* Are all closed? */
bool wr_listen_is_closed(const struct wr_listen *listen);

/* Accepts in the kernel. */
uint64_t wr_listen_armed(const struct wr_listen *listen);

/* Arms up to @goal accepts on each listener and no more than @room on all of
 * them together, but one on each in any case. */
void wr_listen_arm(struct wr_listen *listen, uint32_t goal, uint64_t room);

#endif
